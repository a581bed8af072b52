# check.sh - sourced by suites in shell: a folder to work in, checks that count, the line that sums them up.
#
# GODWIT_BIN: folder of the programs; GODWIT_TMP: an empty folder. Sets $root and $work (the working directory), and
# cleans up at the end.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=$(cd "${GODWIT_BIN:-$root/build/host/bin}" && pwd) || exit 1
export PATH="$bin:$PATH"
# In memory if there is such a place: hundreds of files and flash operations are forced to the disk in these suites.
work=${GODWIT_TMP:-/tmp}/check.$$
[ ! -w /dev/shm ] || work=$(mktemp -d /dev/shm/godwit-check.XXXXXXXX)
mkdir -p "$work"; cd "$work" || exit 1
trap 'cd /; rm -rf "$work"' EXIT
passed=0 failed=0

# check NAME CODE TEXT COMMAND...: the command ends with this exit code and says this ("" for anything).
check() {
    local name=$1 code=$2 text=$3 got=0 out
    shift 3
    out=$("$@" 2>&1 </dev/null) || got=$?
    if [ "$got" = "$code" ] && grep -qF -- "$text" <<<"$out"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED: %s: exit code %s, expected %s and "%s"\n  %s\n%s\n' "$name" "$got" "$code" "$text" "$*" "$out"
    fi
}
# holds NAME CONDITION...: a test that has to be true.
holds() {
    local name=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); printf 'FAILED: %s\n' "$name"; fi
}
no_leftovers() { [ -z "$(find . -name '*.??????' | grep -E '\.[A-Za-z0-9]{6}$')" ]; }
mode_is() { [ "$(stat -c %a "$1")" = "$2" ]; }
same() { cmp -s "$1" "$2"; }
# sum_up NAME: the last line; false if anything failed.
sum_up() {
    printf '%s: %d passed, %d failed\n' "$1" "$passed" "$failed"
    [ "$failed" = 0 ]
}
