#!/bin/sh
# Fetches a program of the distribution without installing it, and prints its path: no service is set up or started on
# this machine. For the demo, tests and benchmarks, which run it on loopback with their own configuration.
#
#   scripts/fetch-program.sh nginx|mosquitto
#
# The package, and those libraries that it needs and this machine lacks, are taken and verified by apt, then unpacked
# into ${GODWIT_DEPS:-~/.cache/godwit}/NAME. A program that is installed already is used as it is. NGINX or MOSQUITTO
# name a program to use instead.
set -eu

deps=${GODWIT_DEPS:-${HOME:?}/.cache/godwit}
name=${1:-}

fail() {
    echo "fetch-program: $*" >&2
    exit 1
}

case $name in
nginx) given=${NGINX:-} says=-v ;;
mosquitto) given=${MOSQUITTO:-} says=-h ;;
*)
    echo "usage: scripts/fetch-program.sh nginx|mosquitto" >&2
    exit 2
    ;;
esac
folder=$deps/$name
program=$folder/$name # a line of shell, for the libraries beside it

# Does it start? mosquitto prints its help with exit code 3.
runs() {
    code=0
    "$1" $says >/dev/null 2>&1 || code=$?
    [ "$code" = 0 ] || { [ "$name" = mosquitto ] && [ "$code" = 3 ]; }
}

for there in "$given" "$(command -v "$name" || true)" "/usr/sbin/$name" "$program"; do
    if [ -n "$there" ] && [ -x "$there" ] && runs "$there"; then
        echo "$there"
        exit 0
    fi
done

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# Fetches a package into this folder; with new lists if the old ones do not help.
download() {
    apt-get -q download "$1" >apt.log 2>&1 || {
        as_root apt-get -q update >>apt.log 2>&1 || true
        apt-get -q download "$1" >>apt.log 2>&1
    } || {
        tail -n 10 apt.log >&2
        fail "apt could not fetch $1"
    }
}

# Libraries that a package depends on and that are not installed, under their own name or one that stands in for it
# (Ubuntu's libssl3t64 provides libssl3).
lacking() {
    provided=$(dpkg-query -W -f '${Provides}\n' | tr ',' '\n' | sed 's/(.*//; s/ //g')
    dpkg-deb -f "$1" Depends | tr ',' '\n' | sed 's/[|(].*//; s/ //g' | grep '^lib' | while read -r library; do
        case $(dpkg-query -W -f '${db:Status-Status}' "$library" 2>/dev/null || true) in
        installed*) ;;
        *) printf '%s\n' "$provided" | grep -qxF "$library" || echo "$library" ;;
        esac
    done
}

mkdir -p "$deps"
exec 9>"$deps/lock"
flock 9 # two at once wait for each other
if ! { [ -x "$program" ] && runs "$program"; }; then
    echo "fetch-program: fetching the package $name into $folder; nothing is installed" >&2
    rm -rf "$deps/tmp.$name"
    mkdir -p "$deps/tmp.$name"
    cd "$deps/tmp.$name"
    download "$name"
    for library in $(lacking ./"${name}"_*.deb); do
        download "$library"
    done
    for package in ./*.deb; do
        dpkg-deb -x "$package" unpacked
    done
    cat >"unpacked/$name" <<EOS
#!/bin/sh
here='$folder'
libraries=\$(echo "\$here"/usr/lib/*-linux-gnu*):\$(echo "\$here"/lib/*-linux-gnu*)
LD_LIBRARY_PATH=\$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH} exec "\$here/usr/sbin/$name" "\$@"
EOS
    chmod 755 "unpacked/$name"
    rm -rf "${folder:?}"
    mv unpacked "$folder"
    cd "$deps"
    rm -rf "$deps/tmp.$name"
    runs "$program" || fail "$program does not run"
fi
echo "$program"
