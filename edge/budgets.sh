#!/usr/bin/env bash
# Prints what the Worker weighs and costs, in the runtime that Cloudflare runs it in, beside the same figures of an empty
# JavaScript Worker. It measures, and asserts nothing. Linux only, for it reads /proc.
#
#   edge/budgets.sh [--json] [--worker DIR] [--seconds N]
#
#   --json       prints JSON instead of a table
#   --worker     measures the Worker built in this folder instead of building one into edge/build
#   --seconds    how long each round of requests takes (3 by itself)
#
# What stands in for AWS is built if need be, which takes some minutes the first time; PORTICO_EMULATORS names a program to
# use instead.
set -euo pipefail

# shellcheck source=env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

if ! command -v node workerd >/dev/null; then
    echo 'Tools that run the Worker are missing: run edge/setup.sh once.' >&2
    exit 1
fi
[[ " $*" == *' --worker'* ]] || "$edge/build.sh"
if [[ -z ${PORTICO_EMULATORS:-} ]]; then
    CARGO_TARGET_DIR=$target_dir/emulators \
        cargo build --quiet --locked --manifest-path "$root/tests/emulators/Cargo.toml" >&2
    export PORTICO_EMULATORS=$target_dir/emulators/debug/portico-emulators
fi
exec node "$edge/budgets.mjs" "$@"
