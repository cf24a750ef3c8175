#!/usr/bin/env bash
# Runs the Worker here under `wrangler dev`, on http://localhost:8787 unless told otherwise, until Ctrl-C.
#
# Settings are in .dev.vars, which this makes if there is none. Everything is kept at its AWS_ENDPOINT_URL (that of the
# environment, or http://localhost:4566): by LocalStack or any emulator that answers there, or else by those in
# tests/emulators, which this starts and ends. All arguments go to wrangler.
set -euo pipefail

# shellcheck source=env.sh
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$root"

readonly settings=.dev.vars
endpoint=
[[ ! -e $settings ]] || endpoint=$(sed -n 's/^AWS_ENDPOINT_URL=//p' "$settings")
readonly endpoint=${endpoint:-${AWS_ENDPOINT_URL:-http://localhost:4566}}

# A new key each time would end every session.
make_settings() {
    local key
    key=$(openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 2>/dev/null || openssl genrsa 2048 2>/dev/null)
    (
        umask 077
        cat >"$settings" <<EOF
APP_ENV=development
AWS_ENDPOINT_URL=$endpoint
AWS_ACCESS_KEY_ID=test
AWS_SECRET_ACCESS_KEY=test
MAIL_RELAY_URL=$endpoint/_mail
MAIL_RELAY_TOKEN=for-development-alone
JWT_PRIVATE_KEY="${key//$'\n'/\\n}"
EOF
    )
    printf 'edge/dev.sh: made %s, with a new key\n' "$settings"
}

answers() {
    (: </dev/tcp/"${1%:*}"/"${1#*:}") 2>/dev/null
}

emulators=
finish() {
    [[ -z $emulators ]] || kill "$emulators" 2>/dev/null || true
}
trap finish EXIT

if ! command -v wrangler >/dev/null; then
    echo 'wrangler is missing: run edge/setup.sh once.' >&2
    exit 1
fi
[[ -e $settings ]] || make_settings
address=${endpoint#*://}
if ! answers "$address"; then
    tests/emulators.sh --port "${address##*:}" &
    emulators=$!
fi
# Its own messages about itself go nowhere.
export WRANGLER_SEND_METRICS=false WRANGLER_SEND_ERROR_REPORTS=false
wrangler dev --show-interactive-dev-session=false "$@"
