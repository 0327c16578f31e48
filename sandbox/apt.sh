# For the install scripts beside it: `. sandbox/apt.sh`, then these.

# Whether packages can be installed here: apt-get is there, and we are root or may become it without a password.
root=""
[ "$(id -u)" = 0 ] || root="sudo -n"
can_install() {
    command -v apt-get > /dev/null && $root true 2> /dev/null
}

# The packages, without what they only recommend and without questions.
install_packages() {
    $root apt-get update -q
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}
