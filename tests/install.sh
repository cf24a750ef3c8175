#!/usr/bin/env bash
# Installs the system packages that the tests need and that are not there, by apt-get where the system has it.
#
# It asks for nothing where nothing is missing, and fails where something is and it cannot be had.
set -euo pipefail

readonly browsers=(chromium chromium-browser google-chrome google-chrome-stable)

# Whether one of some commands is there.
is_there() {
    local name
    for name in "$@"; do
        if command -v "$name" >/dev/null; then return; fi
    done
    return 1
}

has_browser() {
    is_there "${browsers[@]}" || [[ -d '/Applications/Google Chrome.app' ]]
}

# The packages of what is missing, by their names in Debian.
find_missing() {
    missing=()
    is_there curl || missing+=(curl)
    has_browser || missing+=(chromium)
    is_there chromedriver || missing+=(chromium-driver)
    # Debian keeps what makes environments apart from the language.
    python3 -c 'import ensurepip, venv' &>/dev/null || missing+=(python3-venv)
}

# Runs a command as root, and without questions.
as_root() {
    if ((EUID == 0)); then
        env DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

# Ubuntu has two of them under other names.
localize() {
    local package
    for package in "$@"; do
        if ! apt-cache show "$package" &>/dev/null; then
            case $package in
                chromium) package=chromium-browser ;;
                chromium-driver) package=chromium-chromedriver ;;
            esac
        fi
        packages+=("$package")
    done
}

refuse() {
    printf '%s\n' "$1"
    printf 'The tests need, and miss (by their names in Debian): %s\n' "${missing[*]}"
    exit 1
}

find_missing
if ((${#missing[@]} == 0)); then
    printf 'nothing is missing\n'
    exit
fi

is_there apt-get || refuse 'There is no apt-get: install them in the way of this system.'
((EUID == 0)) || is_there sudo || refuse 'Only root may install packages, and there is no sudo.'
printf 'installing %s\n' "${missing[*]}"
as_root apt-get update -qq || printf 'the package lists cannot be fetched: those that are there are used\n'
packages=()
localize "${missing[@]}"
as_root apt-get install -y -qq --no-install-recommends "${packages[@]}" || refuse 'apt-get fails.'

find_missing
((${#missing[@]} == 0)) || refuse 'apt-get has installed them, but their commands are not on the PATH.'
