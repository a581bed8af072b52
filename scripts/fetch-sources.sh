#!/bin/sh
# Fetches the sources of the libraries that devices link, and prints the folder of each: Mbed TLS 3.6 and lwIP 2.2.
#
#   scripts/fetch-sources.sh [mbedtls] [lwip]        default: mbedtls
#
# They are Debian 13's source packages, taken with apt from the mirror that this machine already uses, and verified by
# apt from the signed Release file down to every file. Everything lies in ${GODWIT_DEPS:-~/.cache/godwit}; nothing of
# the machine's own apt is touched, and no root is needed. What is there already is not fetched again.
# MBEDTLS_DIR and LWIP_DIR name a folder to use instead. GODWIT_DEBIAN_MIRROR names a mirror where the machine has none.
set -eu

suite=trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
deps=${GODWIT_DEPS:-${HOME:?}/.cache/godwit}

fail() {
    echo "fetch-sources: $*" >&2
    exit 1
}

known=/usr/share/python-apt/templates/Debian.info # python-apt-common: what apt's front ends know of Debian

# The first Debian mirror among the machine's apt sources; on Ubuntu, the one that its apt knows of.
mirror() {
    if [ -n "${GODWIT_DEBIAN_MIRROR:-}" ]; then
        echo "$GODWIT_DEBIAN_MIRROR"
        return
    fi
    # shellcheck disable=SC2016 # apt expands these, not the shell
    uri=$(apt-get indextargets --format '$(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "main" && $2 ~ /\/debian\/?$/ {print $2; exit}')
    if [ -z "$uri" ] && [ -r "$known" ]; then
        uri=$(awk '$1 == "BaseURI:" {print $2; exit}' "$known")
    fi
    echo "$uri"
}

# An apt of our own: its sources, lists, caches and state are private; proxies and the like stay the machine's.
private_apt() {
    uri=$(mirror)
    [ -n "$uri" ] ||
        fail "no Debian mirror in this machine's apt sources; set GODWIT_DEBIAN_MIRROR, or MBEDTLS_DIR and LWIP_DIR"
    [ -r "$keyring" ] || fail "$keyring is missing; install debian-archive-keyring"
    mkdir -p "$deps/apt/lists/partial" "$deps/apt/cache/archives/partial" "$deps/apt/etc/parts"
    touch "$deps/apt/status"
    cat >"$deps/apt/etc/godwit.sources" <<EOS
Types: deb-src
URIs: $uri
Suites: $suite
Components: main
Signed-By: $keyring
EOS
    cat >"$deps/apt/apt.conf" <<EOS
Dir::Etc::SourceList "$deps/apt/etc/godwit.sources";
Dir::Etc::SourceParts "/dev/null";
Dir::State "$deps/apt";
Dir::State::Lists "$deps/apt/lists";
Dir::State::Status "$deps/apt/status";
Dir::Cache "$deps/apt/cache";
APT::Sandbox::User "$(id -un)";
APT::Get::Allow-Downgrades "false";
Acquire::AllowInsecureRepositories "false";
Acquire::Languages "none";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
EOS
}

# package, file that must be there: $deps/package is a link to the unpacked source.
fetch() {
    name=$1 proof=$2
    if [ -e "$deps/$name/$proof" ]; then
        return
    fi
    echo "fetch-sources: fetching $name from Debian $suite into $deps" >&2
    private_apt
    rm -rf "$deps/tmp.$name"
    mkdir -p "$deps/tmp.$name"
    (
        cd "$deps/tmp.$name"
        export APT_CONFIG="$deps/apt/apt.conf"
        apt-get -q update >apt.log 2>&1 && apt-get -q source --download-only --only-source "$name" >>apt.log 2>&1 || {
            tail -n 20 apt.log >&2
            fail "apt could not fetch $name"
        }
        dpkg-source -q --no-check --extract ./*.dsc source >/dev/null # apt checked every file against the signed index
        [ -e "source/$proof" ] || fail "$name has no $proof: not the version that was expected"
    )
    rm -rf "${deps:?}/$name"
    mv "$deps/tmp.$name/source" "$deps/$name"
    rm -rf "$deps/tmp.$name"
}

# package, what its variable holds, file that must be there
provide() {
    if [ -n "$2" ]; then
        [ -e "$2/$3" ] || fail "$2 holds no $3"
        echo "$2"
        return
    fi
    fetch "$1" "$3"
    echo "$deps/$1"
}

mkdir -p "$deps"
exec 9>"$deps/lock"
flock 9 # two builds at once wait for each other

[ $# -gt 0 ] || set -- mbedtls
for package; do
    case $package in
    mbedtls) provide mbedtls "${MBEDTLS_DIR:-}" library/psa_crypto_core.h ;;
    lwip) provide lwip "${LWIP_DIR:-}" src/include/lwip/init.h ;;
    *) fail "unknown source '$package': mbedtls, lwip" ;;
    esac
done
