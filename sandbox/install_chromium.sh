#!/bin/sh
# Installs Debian's Chromium, and a font that has Japanese, where they are missing: the dashboard's tests run in it.
set -eu
packages="chromium fonts-ipafont-gothic"

missing=""
command -v chromium > /dev/null || missing="chromium"
command -v fc-list > /dev/null && [ -n "$(fc-list :lang=ja)" ] || missing="$missing fonts-ipafont-gothic"
[ -n "$missing" ] || exit 0

root=""
[ "$(id -u)" = 0 ] || root="sudo -n"
if ! command -v apt-get > /dev/null || ! $root true 2> /dev/null; then
    echo "What the dashboard's tests run in is missing: $missing." >&2
    echo "Install it; on Debian: sudo apt-get install $packages" >&2
    exit 1
fi
echo "installing $missing ..."
$root apt-get update -q
# shellcheck disable=SC2086  # words are meant
$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends fontconfig $missing
