#!/bin/sh
# Gets promtool, which checks alert rules, into .venv/bin where it is missing: the one program out of Debian's package
# (19 MB to fetch), which isn't installed, since it would start a server.
set -eu
target=.venv/bin/promtool

command -v promtool > /dev/null && exit 0
[ -x "$target" ] && exit 0
if ! command -v apt-get > /dev/null || ! command -v dpkg-deb > /dev/null; then
    echo "promtool is missing, so alert rules aren't tested: install Prometheus" >&2
    exit 0
fi
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
echo "fetching promtool ..."
if ! (cd "$directory" && apt-get download -q prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool) > "$directory/log" 2>&1; then
    cat "$directory/log" >&2
    echo "promtool couldn't be fetched, so alert rules aren't tested: apt-get update, or install Prometheus" >&2
    exit 0
fi
mv "$directory/usr/bin/promtool" "$target"
