#!/bin/sh
# Installs Debian's MariaDB programs where they are missing. Only the programs: these packages start no service, and the
# sandbox runs private servers.
set -eu
. "$(dirname "$0")/apt.sh"
PATH="$PATH:/usr/sbin:/usr/local/sbin"
packages="mariadb-server-core mariadb-client"

missing=""
for program in mariadbd mariadb-install-db mariadb mariadb-dump; do
    command -v "$program" > /dev/null || missing="$missing $program"
done
[ -n "$missing" ] || exit 0

if ! can_install; then
    echo "MariaDB's programs are missing:$missing." >&2
    echo "Install MariaDB 10.6 or newer; on Debian: sudo apt-get install $packages" >&2
    exit 1
fi
echo "installing $packages (for$missing) ..."
# shellcheck disable=SC2086  # words are meant
install_packages $packages
