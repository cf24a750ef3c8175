#!/usr/bin/env bash
# Builds the Worker into edge/build (index.js and the WebAssembly module), as wrangler.toml asks for. Does nothing if it is
# up to date.
set -euo pipefail

# shellcheck source=env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

if ! command -v worker-build wasm-bindgen wasm-opt esbuild >/dev/null || ! use_wasm_compiler; then
    echo 'Tools that build the Worker are missing: run edge/setup.sh once.' >&2
    exit 1
fi
# worker-build fetches what it is not told of.
WASM_BINDGEN_BIN=$(command -v wasm-bindgen)
WASM_OPT_BIN=$(command -v wasm-opt)
ESBUILD_BIN=$edge/bundle.sh
export WASM_BINDGEN_BIN WASM_OPT_BIN ESBUILD_BIN
export CARGO_TARGET_DIR=$target_dir/edge

readonly compiled=$CARGO_TARGET_DIR/$wasm/edge/portico_worker.wasm
readonly module=$edge/build/index_bg.wasm
readonly stamp=$edge/build/.of

# What the runtime understands of what a compiler may use.
readonly features=(mutable-globals sign-ext nontrapping-float-to-int bulk-memory multivalue reference-types
    exception-handling)

# What the Worker is put together from.
inputs() {
    cat "$compiled" "$edge/src/entry.js" "$edge/build.sh" | sha256sum
}

cd "$edge/worker"
cargo build --quiet --locked --package portico-worker --lib --profile edge --target "$wasm"
if [[ -e $module ]] && cmp -s <(inputs) "$stamp"; then exit; fi
rm -f "$stamp"
worker-build --out-dir ../build --profile edge --no-opt -- --locked
# What is called once is inlined only if it is tiny: large functions have many locals, whose numbers compress badly, and are
# compiled whole even where most of one is never run.
wasm-opt "$module" -o "$module.small" -Oz --one-caller-inline-max-function-size=20 --reorder-functions \
    --strip-debug --strip-producers "${features[@]/#/--enable-}"
mv "$module.small" "$module"
inputs >"$stamp"
