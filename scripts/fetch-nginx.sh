#!/bin/sh
# Fetches the distribution's nginx without installing it, and prints the path of its program: no service is set up or
# started on this machine. For the demo, tests and benchmarks, which run it on loopback with their own configuration.
#
# The package is taken and verified by apt, then unpacked into ${GODWIT_DEPS:-~/.cache/godwit}/nginx. An nginx that is
# installed already is used as it is. NGINX names a program to use instead.
set -eu

deps=${GODWIT_DEPS:-${HOME:?}/.cache/godwit}
program=$deps/nginx/usr/sbin/nginx

fail() {
    echo "fetch-nginx: $*" >&2
    exit 1
}

for there in "${NGINX:-}" "$(command -v nginx || true)" /usr/sbin/nginx "$program"; do
    if [ -n "$there" ] && "$there" -v >/dev/null 2>&1; then
        echo "$there"
        exit 0
    fi
done

mkdir -p "$deps"
exec 9>"$deps/lock"
flock 9 # two at once wait for each other
if ! "$program" -v >/dev/null 2>&1; then
    echo "fetch-nginx: fetching the package nginx into $deps; nothing is installed" >&2
    rm -rf "$deps/tmp.nginx"
    mkdir -p "$deps/tmp.nginx"
    cd "$deps/tmp.nginx"
    apt-get -q download nginx >apt.log 2>&1 || {
        if [ "$(id -u)" = 0 ]; then
            apt-get -q update >>apt.log 2>&1
        else
            sudo apt-get -q update >>apt.log 2>&1
        fi
        apt-get -q download nginx >>apt.log 2>&1
    } || {
        tail -n 10 apt.log >&2
        fail "apt could not fetch nginx"
    }
    dpkg-deb -x ./nginx_*.deb unpacked
    rm -rf "${deps:?}/nginx"
    mv unpacked "$deps/nginx"
    cd "$deps"
    rm -rf "$deps/tmp.nginx"
    "$program" -v >/dev/null 2>&1 || fail "$program does not run; install the packages libpcre2-8-0, libssl3 and zlib1g"
fi
echo "$program"
