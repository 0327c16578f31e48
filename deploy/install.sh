#!/bin/sh
# Installs bq-sync, or this version in another's place, on a box with systemd. Run it as root: docs/deploy.md.
# Settings that are there stay as they are. DESTDIR=/some/directory installs below it and leaves the system alone.
set -eu
umask 022
source=$(cd "$(dirname "$0")/.." && pwd)
root=${DESTDIR:-}
python=${PYTHON:-python3}
home=$root/opt/bq-sync

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

[ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "run it as root"
"$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2> /dev/null ||
    fail "needs Python 3.11 or newer with venv: apt-get install python3-venv, or PYTHON=/path/to/python3 $0"
if [ -z "$root" ] && systemctl list-units --no-legend --state=active,activating 'bq-sync@*' | grep -q .; then
    fail "bq-sync runs: systemctl stop 'bq-sync@*'"
fi

# Built from a copy: what an earlier build left in the checkout would be installed too.
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
tar -C "$source" --exclude=./.git --exclude='./.venv*' --exclude=build --exclude='*.egg-info' -cf - . | tar -C "$build" -xf -

# Wheels alone, since a box has no compiler, of the versions that the tests ran with.
"$home/bin/python" -c 'import pip' 2> /dev/null || "$python" -m venv --clear "$home"
"$home/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
    --constraint "$source/constraints.txt" "$build/enqueuer" "$build"

settings=$root/etc/bq-sync
mkdir -p "$settings"
[ -e "$settings/bq_sync.yaml" ] || install -m 0644 "$source/config/bq_sync.yaml" "$settings/bq_sync.yaml"
[ -e "$settings/bq-sync.env" ] || install -m 0600 "$source/deploy/bq-sync.env" "$settings/bq-sync.env"

install -D -m 0755 "$source/deploy/systemd/bq-sync" "$root/usr/local/sbin/bq-sync"
install -D -m 0644 "$source/deploy/systemd/bq-sync@.service" "$root/etc/systemd/system/bq-sync@.service"
install -D -m 0644 "$source/deploy/systemd/bq-sync.sysusers.conf" "$root/etc/sysusers.d/bq-sync.conf"
if [ -z "$root" ]; then
    systemd-sysusers bq-sync.conf
    systemctl daemon-reload
fi
echo "$("$home/bin/bq-sync" --version) is installed; its settings are in $settings"
