# Sourced by the scripts beside it: where the Worker's tools are, and a compiler for wasm32 on the PATH.

edge=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$edge")
command -v cargo >/dev/null || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
metadata=$(cd "$root" && cargo metadata --format-version 1 --no-deps) || exit 1
# The target directory, whether CARGO_TARGET_DIR or a configuration file names it.
target_dir=$(sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p' <<<"$metadata")
readonly edge root target_dir
readonly tools=$target_dir/tools/edge
readonly wasm=wasm32-unknown-unknown

# A version as Cargo.lock has it: tools and libraries of these two must be the same.
locked() {
    awk -v name="\"$1\"" '$1 == "name" { found = $3 == name } found && $1 == "version" { gsub(/"/, "", $3); print $3; exit }' \
        "$root/Cargo.lock"
}

# The directory of wasm32's standard library made from Debian's sources, if Debian's compiler is here.
debian_toolchain() {
    local version
    version=$(dpkg-query -W -f='${Version}' rustc-web 2>/dev/null) || return
    echo "${XDG_CACHE_HOME:-$HOME/.cache}/portico/rust-wasm/${version//[^a-zA-Z0-9.]/_}"
}

# Whether the compiler on the PATH has wasm32's standard library.
has_wasm() {
    local libraries
    libraries=$(rustc --print target-libdir --target "$wasm" 2>/dev/null) && [[ -d $libraries ]]
}

# Puts Debian's compiler first if the ordinary one cannot build for wasm32. Each keeps what it builds to itself.
use_wasm_compiler() {
    has_wasm && return
    local debian
    debian=$(debian_toolchain) && [[ -e $debian/complete ]] || return
    export PATH=$debian/bin:$PATH
}

export PATH=$edge/node_modules/.bin:$tools/bin:$PATH
