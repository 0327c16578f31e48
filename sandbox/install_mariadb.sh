#!/bin/sh
# Installs Debian's MariaDB programs where they are missing. Only the programs: these packages start no service, and the
# sandbox runs private servers.
set -eu
PATH="$PATH:/usr/sbin:/usr/local/sbin"
packages="mariadb-server-core mariadb-client"

missing=""
for program in mariadbd mariadb-install-db mariadb mariadb-dump; do
    command -v "$program" > /dev/null || missing="$missing $program"
done
[ -n "$missing" ] || exit 0

root=""
[ "$(id -u)" = 0 ] || root="sudo -n"
if ! command -v apt-get > /dev/null || ! $root true 2> /dev/null; then
    echo "MariaDB's programs are missing:$missing." >&2
    echo "Install MariaDB 10.6 or newer; on Debian: sudo apt-get install $packages" >&2
    exit 1
fi
echo "installing $packages (for$missing) ..."
$root apt-get update -q
$root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
