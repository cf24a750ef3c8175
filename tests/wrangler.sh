#!/usr/bin/env bash
# Starts the Worker as its developers do, by edge/dev.sh, and talks to it: a request is answered, a registration kept, its
# mail sent, the cron trigger run; and Ctrl-C leaves nothing behind.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

free_port() {
    local port
    for port in $(shuf -i 20000-29999 -n 50); do
        (: </dev/tcp/127.0.0.1/"$port") 2>/dev/null || { echo "$port"; return; }
    done
    return 1
}

port=$(free_port)
emulators=$(free_port)
folder=$(mktemp -d)
readonly port emulators folder site=http://127.0.0.1:$port

AWS_ENDPOINT_URL=http://127.0.0.1:$emulators setsid edge/dev.sh --ip 127.0.0.1 --port "$port" \
    >"$folder/log" 2>&1 </dev/null &
readonly dev=$!

finish() {
    kill -KILL -- "-$dev" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT

fail() {
    printf '%s\n' "$1"
    tail -n 40 "$folder/log"
    exit 1
}

await() {
    for _ in {1..240}; do
        if "$@"; then return; fi
        kill -0 "$dev" 2>/dev/null || fail 'edge/dev.sh has ended'
        sleep 0.5
    done
    fail "it did not come about: $*"
}

answers() { curl --silent --fail --output /dev/null --max-time 20 "$site/v1/health-check/ready"; }
has_mail() { grep --quiet "\"$name@example.com\"" <(curl --silent "$endpoint/_mail"); }

await answers
endpoint=$(sed -n 's/^AWS_ENDPOINT_URL=//p' .dev.vars)
name=dev$RANDOM$RANDOM
readonly endpoint name
status=$(curl --silent --output "$folder/user" --write-out '%{http_code}' --max-time 20 "$site/v1/users" \
    --header 'content-type: application/json' \
    --data "{\"username\":\"$name\",\"email\":\"$name@example.com\",\"password\":\"correct horse battery\",\"first_name\":\"A\",\"last_name\":\"B\"}")
[[ $status == 201 ]] || fail "a registration is answered $status: $(cat "$folder/user")"
await has_mail
[[ $(curl --silent --max-time 20 "$site/cdn-cgi/local/scheduled") == ok ]] || fail 'the cron trigger does not run'

kill -INT -- "-$dev"
for _ in {1..40}; do
    kill -0 -- "-$dev" 2>/dev/null || { echo 'the Worker runs under wrangler dev'; exit; }
    sleep 0.5
done
fail 'it does not stop'
