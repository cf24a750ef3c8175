#!/usr/bin/env bash
# Fuzzes everything that reads bytes from outside: tests/fuzz.sh [--keep] [SECONDS [TARGET...]]
#
# Each target (all of tests/fuzz/fuzz_targets, unless some are named) runs for SECONDS (60), two at a time, from its seeds,
# its corpus and what ever broke it. It works with the stable compiler: no sanitizer is needed, as there is no unsafe code.
# With --keep, what the run finds goes to tests/fuzz/corpus, as little of it as reaches as much. An input that breaks a
# target is left in tests/fuzz/artifacts; once mended, it belongs to tests/fuzz/regressions/TARGET.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v cargo >/dev/null || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin

readonly version=0.13.2
readonly fuzz=tests/fuzz
readonly max_len=4096
readonly most_files=120

# Runs one target; prints a line if all is well, else what it said.
run_target() {
    local name=$1 found=$scratch/$1 log=$scratch/$1.log corpora=() dictionary=()
    mkdir -p "$found" "$fuzz/artifacts"
    for folder in corpus seeds regressions; do
        [[ -d $fuzz/$folder/$name ]] && corpora+=("$fuzz/$folder/$name")
    done
    [[ -f $fuzz/dictionaries/$name.dict ]] && dictionary=("-dict=$fuzz/dictionaries/$name.dict")
    if ! "$binaries/$name" "$found" "${corpora[@]}" "${dictionary[@]}" -max_total_time="$seconds" -max_len="$max_len" \
        -rss_limit_mb=2048 -timeout=20 -seed=1 -print_final_stats=1 \
        -artifact_prefix="$fuzz/artifacts/$name-" >"$log" 2>&1; then
        printf 'BROKEN: %s\n' "$name"
        grep -v '^#' "$log" | tail -n 40
        return 1
    fi
    printf '%-16s %s\n' "$name" "$(sum_up "$log")"
    if ((keep)); then keep_finds "$name" "$found" "${corpora[@]}"; fi
}

sum_up() {
    awk '
        /number_of_executed_units/ { runs = $2 }
        /average_exec_per_sec/ { rate = $2 }
        / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
        END { printf "%d runs, %d a second, %d edges", runs, rate, edges }
    ' "$1"
}

# Replaces the corpus by the least of all there is that reaches the same; of many, by those that reach the most.
keep_finds() {
    local name=$1 least=$scratch/$1.least file
    mkdir -p "$least" "$fuzz/corpus"
    "$binaries/$name" -set_cover_merge=1 -use_counters=0 -max_len="$max_len" "$least" "${@:2}" >>"$scratch/$name.log" 2>&1
    # They are written in the order in which they are chosen.
    find "$least" -type f -printf '%T@ %p\n' | sort -n | tail -n "+$((most_files + 1))" | cut -d ' ' -f 2- |
        while read -r file; do rm "$file"; done
    rm -rf "${fuzz:?}/corpus/$name"
    mv "$least" "$fuzz/corpus/$name"
}

if [[ ${1-} == --one ]]; then
    run_target "$2"
    exit
fi

keep=0
if [[ ${1-} == --keep ]]; then
    keep=1
    shift
fi
seconds=${1:-60}
targets=("${@:2}")
if ((${#targets[@]} == 0)); then
    for file in "$fuzz"/fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi

# The target directory, whether CARGO_TARGET_DIR or a configuration file names it.
metadata=$(cargo metadata --format-version 1 --no-deps)
target=$(sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p' <<<"$metadata")
export CARGO_TARGET_DIR=$target/fuzz

# Finds or installs the one version that this is written for.
if [[ ! -x $target/tools/bin/cargo-fuzz || $("$target/tools/bin/cargo-fuzz" --version) != "cargo-fuzz $version" ]]; then
    CARGO_TARGET_DIR=$target/tools/build cargo install cargo-fuzz --locked --version "$version" --root "$target/tools"
    rm -rf "$target/tools/build"
fi
# Everything is instrumented, so that nothing of another build is of use.
cargo metadata --locked --format-version 1 --no-deps --manifest-path "$fuzz/Cargo.toml" >/dev/null
PATH=$target/tools/bin:$PATH cargo fuzz build --fuzz-dir "$fuzz" --sanitizer none

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
binaries=$CARGO_TARGET_DIR/$(rustc -vV | sed -n 's/^host: //p')/release
export seconds keep scratch binaries
printf '%s\n' "${targets[@]}" | xargs -n 1 -P 2 "$PWD/tests/fuzz.sh" --one
