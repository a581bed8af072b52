#!/bin/sh
# Installs the Debian or Ubuntu packages that are missing (Debian 12 and 13, Ubuntu 24.04), and says which.
#
#   scripts/deps.sh [--tools=build|bench|test|full]     default: test
#     bench  build + the tools that `make bench-patch` compares with
#     build  compile everything for this PC         test  + tests, both cross compilers, checks         full  + fuzzing
# Works as root or with sudo. Silent and quick when nothing is missing.
set -eu

tools=test
case ${1:-} in
'') ;;
--tools=build | --tools=bench | --tools=test | --tools=full) tools=${1#--tools=} ;;
*)
    echo "usage: scripts/deps.sh [--tools=build|bench|test|full]" >&2
    exit 2
    ;;
esac

packages="gcc libc6-dev make cmake ninja-build pkgconf libssl-dev libjansson-dev libdivsufsort-dev libcmocka-dev
    libcurl4-openssl-dev libsqlite3-dev libevent-dev libinih-dev libmosquitto-dev python3 python3-cryptography
    dpkg-dev ca-certificates debian-archive-keyring util-linux openssl"
if grep -qs '^ID=ubuntu' /etc/os-release; then
    packages="$packages python-apt-common" # knows where Debian's sources are: fetch-sources.sh asks it
fi
if [ "$tools" = bench ]; then
    packages="$packages bsdiff xdelta3 zstd xz-utils valgrind"
elif [ "$tools" != build ]; then
    packages="$packages python3-cbor2 python3-botocore openssl curl iproute2 systemd git clang cppcheck gcovr binutils
        gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf gcc-arm-none-eabi libnewlib-arm-none-eabi
        qemu-system-misc qemu-system-arm"
fi

command -v dpkg-query >/dev/null || {
    echo "deps: this machine has no dpkg; install by hand: $packages" >&2
    exit 1
}

# Of the packages given, those that are not installed.
missing() {
    for package; do
        case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
        installed*) ;;
        *) printf '%s ' "$package" ;;
        esac
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "deps: need root to install: $*" >&2
        exit 1
    fi
}

updated=
install() {
    [ $# -gt 0 ] || return 0
    echo "deps: installing $*" >&2
    if [ -z "$updated" ]; then
        as_root apt-get -q update >/dev/null ||
            echo "deps: apt-get update failed; trying with the lists that are there" >&2
        updated=1
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "$@" >&2 </dev/null
}

# shellcheck disable=SC2046,SC2086 # words are wanted
install $(missing $packages)

if [ "$tools" = full ]; then # libFuzzer and the sanitizers of whichever clang this is
    # shellcheck disable=SC2046
    install $(missing "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev")
fi
