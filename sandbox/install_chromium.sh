#!/bin/sh
# Installs Debian's Chromium, and a font that has Japanese, where they are missing: the dashboard's tests run in it.
set -eu
. "$(dirname "$0")/apt.sh"
packages="chromium fonts-ipafont-gothic"

missing=""
command -v chromium > /dev/null || missing="chromium"
command -v fc-list > /dev/null && [ -n "$(fc-list :lang=ja)" ] || missing="$missing fonts-ipafont-gothic"
[ -n "$missing" ] || exit 0

if ! can_install; then
    echo "What the dashboard's tests run in is missing: $missing." >&2
    echo "Install it; on Debian: sudo apt-get install $packages" >&2
    exit 1
fi
echo "installing $missing ..."
# shellcheck disable=SC2086  # words are meant
install_packages fontconfig $missing
