#!/usr/bin/env bash
# esbuild as worker-build calls it, with the Worker's entry point in place of worker-build's own.
set -euo pipefail

cp "$(dirname "${BASH_SOURCE[0]}")/src/entry.js" shim.js
exec esbuild "$@"
