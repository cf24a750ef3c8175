#!/usr/bin/env bash
# Builds the Worker into build/ (index.js and the WebAssembly module), as wrangler.toml asks for.
set -euo pipefail

# shellcheck source=env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

if ! command -v worker-build wasm-bindgen wasm-opt esbuild >/dev/null || ! use_wasm_compiler; then
    echo 'The tools that build the Worker are missing: run edge/setup.sh once.' >&2
    exit 1
fi
# worker-build fetches what it is not told of.
WASM_BINDGEN_BIN=$(command -v wasm-bindgen)
WASM_OPT_BIN=$(command -v wasm-opt)
ESBUILD_BIN=$(command -v esbuild)
export WASM_BINDGEN_BIN WASM_OPT_BIN ESBUILD_BIN
export CARGO_TARGET_DIR=$target/edge

cd "$edge"
exec worker-build --profile edge "$@"
