#!/usr/bin/env bash
# Makes what a release consists of, in <target>/release-<version>/:
#
#   portico-<version>-<host>            the server, stripped
#   portico-edge-<version>.tar.gz       the Worker's two files
#   *.cdx.json                          what is in each, as a CycloneDX bill of materials
#   SHA256SUMS                          the checksums of all of them
#
# With --sbom it makes the bills of materials and their checksums alone. It needs what tests/run needs; the Worker's tools are
# installed by edge/setup.sh, cargo-cyclonedx by this.
set -euo pipefail

# shellcheck source=../edge/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../edge/env.sh"

readonly cyclonedx_version=0.5.9
readonly specification=1.5

say() {
    printf 'native/release.sh: %s\n' "$*" >&2
}

case "${1-}" in
    '' | --sbom) ;;
    *)
        say 'run it without arguments, or with --sbom'
        exit 2
        ;;
esac

cd "$root"
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
host=$(rustc -vV | sed -n 's/^host: //p')
readonly version host
readonly out=$target_dir/release-$version

# Equal sources make equal bills.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0)
export SOURCE_DATE_EPOCH

# Finds or installs the one version that this is written for.
find_cyclonedx() {
    cyclonedx=$target_dir/tools/bin/cargo-cyclonedx
    if [[ -x $cyclonedx && $("$cyclonedx" cyclonedx --version) == *" $cyclonedx_version" ]]; then return; fi
    CARGO_TARGET_DIR=$target_dir/tools/build \
        cargo install cargo-cyclonedx --locked --version "$cyclonedx_version" --root "$target_dir/tools"
    rm -rf "$target_dir/tools/build"
}

# What a package is made of on a platform: the package's name, the platform, and the file to write.
describe() {
    local package=$1 platform=$2 file=$3 name=.sbom-$$ folder=$1
    [[ $package == portico ]] && folder=native
    [[ $package == portico-edge ]] && folder=edge
    # One for every member of the workspace is written, beside its manifest.
    "$cyclonedx" cyclonedx --quiet --format json --spec-version "$specification" --target "$platform" \
        --override-filename "$name"
    mv "$folder/$name.json" "$file"
    rm -f {core,native,edge,edge/worker,tests,tests/*}/"$name.json"
    check "$package" "$platform" "$file"
}

# Refuses a bill that lacks a crate which cargo links.
check() {
    local linked listed missing
    linked=$(cargo tree --locked --package "$1" --edges normal --target "$2" --prefix none | awk '{ print $1 "@" substr($2, 2) }' | sort -u)
    listed=$(grep -o 'pkg:cargo/[^"?#]*' "$3" | sed 's|^pkg:cargo/||; s|%2B|+|g' | sort -u)
    missing=$(comm -23 <(printf '%s\n' "$linked") <(printf '%s\n' "$listed"))
    if [[ -n $missing ]]; then
        say "$3 lacks what is linked:" $missing
        return 1
    fi
    say "$(wc -l <<<"$linked") crates are linked into $1, and $(basename "$3") names them all"
}

rm -rf "$out"
mkdir -p "$out"
find_cyclonedx
describe portico "$host" "$out/portico-$version-$host.cdx.json"
# Of npm the Worker has nothing: what edge/package.json names are tools.
describe portico-edge "$wasm" "$out/portico-edge-$version.cdx.json"

if [[ ${1-} != --sbom ]]; then
    cargo build --release --locked --package portico
    strip -o "$out/portico-$version-$host" "$target_dir/release/portico"
    "$out/portico-$version-$host" --version >&2
    edge/build.sh
    tar --create --gzip --file "$out/portico-edge-$version.tar.gz" --directory edge/build --sort=name \
        --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" index.js index_bg.wasm
fi

cd "$out"
sha256sum -- portico* >SHA256SUMS
say "$out holds:"
ls "$out"
