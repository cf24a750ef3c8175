#!/usr/bin/env bash
# Runs what stands in for DynamoDB, S3, SNS and a mail server, in the foreground, until Ctrl-C or SIGTERM.
#
# All arguments go to the program; `tests/emulators.sh --help` lists them. Once ready it prints where it listens and
# the variables to set. It is built first if need be, which takes some minutes the first time.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
command -v cargo >/dev/null || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin

# A folder of its own, since this workspace's dependencies differ from the product's.
target=${CARGO_TARGET_DIR:-$root/target}/emulators

CARGO_TARGET_DIR=$target cargo build --quiet --locked --manifest-path "$root/tests/emulators/Cargo.toml" >&2
exec "$target/debug/portico-emulators" --print-env "$@"
