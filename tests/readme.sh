#!/usr/bin/env bash
# Runs the commands that README.md shows between its two "tried by" marks, in their order and in one shell,
# against a server in a folder of its own, and compares what each block prints with the answer shown after it.
#
# Answers in JSON are compared by their members' names, and by the values of those that are the same every time; ids,
# times and tokens are not. Answers in plain text are compared as they are.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
command -v cargo >/dev/null || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin

if ! command -v curl >/dev/null; then
    printf 'the README talks to the server with curl, and there is none here: install it\n'
    exit 1
fi

# As the tests build it, so that nothing is built twice.
cargo test --quiet --workspace --all-features --no-run --test sqlite_store
target=$(cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')

folder=$(mktemp -d)
server=
finish() {
    if [[ -n $server ]]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap finish EXIT

# Writes each block to a file: 01.sh, 01.json or 01.text, 02.sh, …
awk -v folder="$folder" '
    /^<!-- tried by tests\/readme.sh: begin -->$/ { tried = 1; next }
    /^<!-- tried by tests\/readme.sh: end -->$/ { tried = 0; next }
    tried && /^```(sh|json|text)$/ {
        kind = substr($0, 4)
        if (kind == "sh") number++
        file = sprintf("%s/%02d.%s", folder, number, kind)
        next
    }
    /^```/ { file = ""; next }
    file != "" { print > file }
' README.md

# What must be the same: the whole of a text; of JSON the names of all members, and the values of those that do not
# change, one a line.
shape() {
    if [[ $shown == *.text ]]; then
        cat "$1"
        return
    fi
    { grep -oE '"[a-z_]+" *:' "$1" || true; } | tr -d ' ' | sort
    { grep -oE '"(status|code|message|token_type|expires_in|role|email_confirmed|size|type|name|is_private)" *: *("[^"]*"|[a-z0-9]+)' "$1" || true; } |
        sed 's/" *: */": /' | sort
}

# Waits, for some seconds at most, until a command succeeds.
await() {
    for _ in {1..200}; do
        if "$@"; then return; fi
        sleep 0.05
    done
    printf 'timed out waiting for: %s\n' "$*"
    cat "$folder/log"
    return 1
}

is_listening() { grep -q ' listens on ' "$folder/said"; }
has_sent() { compgen -G "$folder/data/outbox/*.eml" >/dev/null; }

: >"$folder/said"
(cd "$folder" && exec env -i PATH="$PATH" APP_PORT=0 "$target/debug/portico") >"$folder/said" 2>"$folder/log" </dev/null &
server=$!
await is_listening
address=$(sed -n 's/.* listens on http:\/\///p' "$folder/said")

tried=0
cd "$folder"
for block in "$folder"/[0-9][0-9].sh; do
    number=$(basename "$block" .sh)
    sed "s/127\.0\.0\.1:3000/$address/g" "$block" >"$block.here"
    set +eu
    # shellcheck disable=SC1090
    . "$block.here" >"$folder/$number.printed" 2>"$folder/$number.errors" </dev/null
    set -eu
    # A person takes longer to go on than the first message takes to leave.
    await has_sent
    tried=$((tried + 1))
    shown=$(compgen -G "$folder/$number.[jt]*") || continue
    if ! diff <(shape "$shown") <(shape "$folder/$number.printed") >"$folder/difference"; then
        printf 'README.md shows another answer (<) than the server gives (>) to:\n\n'
        cat "$block" "$folder/difference"
        printf '\nPrinted:\n'
        cat "$folder/$number.printed" "$folder/$number.errors"
        exit 1
    fi
done

if ((tried == 0)); then
    printf 'README.md has no commands between the marks\n'
    exit 1
fi
printf '%d blocks of %s do what they show\n' "$tried" "$root/README.md"
