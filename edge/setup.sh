#!/usr/bin/env bash
# Installs what building and running the Worker needs and this machine lacks; does nothing the second time.
#
#   - a compiler for wasm32: by rustup, or else Debian's (packages rustc-web and rust-web-src)
#   - wasm-bindgen, of just the version in Cargo.lock, and worker-build, into the target directory
#   - wrangler, esbuild, wasm-opt and a Node.js for them, into edge/node_modules
set -euo pipefail

# shellcheck source=env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

say() {
    printf 'edge/setup.sh: %s\n' "$*"
}

install_packages() {
    local package missing=() sudo=()
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    (($(id -u) == 0)) || sudo=(sudo)
    say "installing ${missing[*]}"
    "${sudo[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

install_compiler() {
    has_wasm && return
    if command -v rustup >/dev/null && rustup target add "$wasm" 2>/dev/null; then return; fi
    command -v apt-get >/dev/null || {
        say "no compiler for $wasm: install one (\`rustup target add $wasm\`) and run this again"
        exit 1
    }
    install_packages rustc-web cargo-web rust-web-src rust-web-llvm rust-web-clippy lld-22
    build_standard_library
}

# Builds wasm32's standard library from Debian's source package, whose dependencies are within it.
build_standard_library() {
    local toolchain version sources=/usr/lib/rustlib/src/rust
    toolchain=$(debian_toolchain)
    [[ -e $toolchain/complete ]] && return
    version=$(/usr/bin/rustc --version | awk '{ print $2 }')
    say "building the standard library of Rust $version for $wasm"
    rm -rf "$toolchain"
    mkdir -p "$toolchain/bin" "$toolchain/lib/rustlib/$wasm/lib" "$toolchain/build/src"
    echo '#![no_std]' >"$toolchain/build/src/lib.rs"
    cat >"$toolchain/build/Cargo.toml" <<'TOML'
[package]
name = "std-builder"
version = "0.0.0"
edition = "2021"

[profile.release]
debug = 0
panic = "abort"

[workspace]
TOML
    (
        cd "$toolchain/build"
        env -u CARGO_BUILD_TARGET -u RUSTC_WRAPPER -u CARGO_ENCODED_RUSTFLAGS \
            RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=target \
            RUSTFLAGS="-Cembed-bitcode=yes --remap-path-prefix=$sources=/rustc/$version" \
            /usr/bin/cargo build --quiet --release --target "$wasm" -Zbuild-std=std,panic_abort --offline \
            --config 'source.crates-io.replace-with="vendored"' \
            --config "source.vendored.directory=\"$sources/library/vendor\""
    )
    cp "$toolchain/build/target/$wasm/release/deps/"*.rlib "$toolchain/lib/rustlib/$wasm/lib/"
    rm -f "$toolchain/lib/rustlib/$wasm/lib/"libstd_builder-*
    link_compiler "$toolchain"
    rm -rf "$toolchain/build"
    touch "$toolchain/complete"
}

# Debian's compiler with the new library beside the host's.
link_compiler() {
    local toolchain=$1 host program
    host=$(/usr/bin/rustc -vV | sed -n 's/^host: //p')
    ln -s "/usr/lib/rustlib/$host" "$toolchain/lib/rustlib/$host"
    ln -s /usr/lib/rustlib/src "$toolchain/lib/rustlib/src"
    for program in rustc rustdoc; do
        printf '#!/bin/sh\nexec /usr/bin/%s --sysroot "%s" "$@"\n' "$program" "$toolchain" >"$toolchain/bin/$program"
    done
    ln -s /usr/bin/cargo "$toolchain/bin/cargo"
    printf '#!/bin/sh\nSYSROOT="%s" exec /usr/bin/cargo-clippy "$@"\n' "$toolchain" >"$toolchain/bin/cargo-clippy"
    chmod +x "$toolchain"/bin/*
}

# Installs a program of just this version; it need not be fast.
install_program() {
    local program=$1 package=$2 version=$3
    shift 3
    [[ -x $tools/bin/$program && $("$tools/bin/$program" --version 2>/dev/null) == *"$version"* ]] && return
    say "building $package $version"
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_TARGET_DIR=$tools/build \
        cargo install --quiet --force --root "$tools" --version "$version" "$package" "$@"
    rm -rf "$tools/build"
}

install_node_modules() {
    command -v npm >/dev/null || install_packages nodejs npm
    local lock=$edge/package-lock.json
    cmp -s "$lock" "$edge/node_modules/.installed" && return
    say 'installing wrangler and its companions'
    (cd "$edge" && npm ci --no-audit --no-fund --loglevel=error)
    cp "$lock" "$edge/node_modules/.installed"
}

install_compiler
install_program wasm-bindgen wasm-bindgen-cli "$(locked wasm-bindgen)" --no-default-features --bin wasm-bindgen
install_program worker-build worker-build "$(locked worker)" --locked
install_node_modules
say 'all there'
