#!/usr/bin/env bash
# The demo: a release goes from the author's desk to a verified boot; power is cut on the way; a bad image rolls back;
# an older and a forged release are refused. Everything is real: files, signatures, encryption, flash with NOR's rules.
#
#   scripts/demo.sh [folder of the programs]
#
# Ends with a line that says that all went as told, or stops with a non-zero exit code at the first thing that did not.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
bin=$(cd "${1:-$root/build/host/bin}" && pwd)
export PATH="$bin:$PATH"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

say() { printf '\n%s\n' "$*"; }
type_it() { printf '  $ %s\n' "$*"; "$@" 2>&1 | sed 's/^/    /'; }
# Runs a command that has to end with this exit code, and say this.
expect() {
    local code=$1 text=$2 out got=0
    shift 2
    printf '  $ %s\n' "$*"
    out=$("$@" 2>&1) || got=$?
    printf '%s\n' "$out" | sed 's/^/    /'
    if [ "$got" != "$code" ] || ! grep -qF -- "$text" <<<"$out"; then
        printf 'demo: FAILED: exit code %s, expected %s and the text "%s"\n' "$got" "$code" "$text"
        exit 1
    fi
}
build() { # version, image, folder
    expect 0 "$3" godwit release build "$2" --version "$1" --vendor example.com --class sensor-c3 \
        --encrypt-to device.pub.pem -o "$3"
}

say "1. On the author's desk: keys, and a trust bundle that says who may sign what. Two roots sign it."
for name in author root1 root2 device; do type_it godwit key new $name.pem; done
type_it godwit key bundle --root root1.pem --root root2.pem --author author.pem --version 1 --epoch 1 -o trust.cose

say "2. A release: the image is encrypted for the device, framed, taken apart again, and signed."
head -c 300000 "$bin/godwit" > firmware.bin # any file of some size will do for an image
build 1.4.0 firmware.bin rel-1.4.0
type_it godwit release sign rel-1.4.0 --key author.pem
type_it godwit release verify rel-1.4.0 --trust trust.cose

say "3. A device: its identity names the roots and holds its own key. Its flash has a limited layout: slots A and B."
type_it godwit device provision --id dev1 --vendor example.com --class sensor-c3 --hardware 1 \
    --root root1.pub.pem --root root2.pub.pem --device-key device.pem -o dev1.identity
type_it godwit-device init dev1 --layout limited --identity dev1.identity --trust trust.cose --slot-size 512K

say "4. The first release comes in, and power is cut at flash operation 120, in the middle of it."
expect 77 "power cut" godwit-device install dev1 rel-1.4.0 --cut-at 120
say "   The next try goes on where it stopped: what was checked and written is not fetched again."
expect 0 "STAGED" godwit-device install dev1 rel-1.4.0
expect 0 "starts slot A, which is TRYING" godwit-device boot dev1 --cause software
expect 0 "confirm is recorded" godwit-device confirm dev1
say "   It runs, it is well, it is kept."

say "5. A newer release, with a bug: it starts, hangs, and never confirms. The watchdog bites, three times."
printf 'while (1) {}' | cat - firmware.bin > hangs.bin
build 1.5.0 hangs.bin rel-1.5.0
type_it godwit release sign rel-1.5.0 --key author.pem
expect 0 "STAGED" godwit-device install dev1 rel-1.5.0
expect 0 "starts slot B, which is TRYING" godwit-device boot dev1 --cause software
expect 0 "starts slot B, which is TRYING" godwit-device boot dev1 --cause watchdog
expect 0 "starts slot B, which is TRYING" godwit-device boot dev1 --cause watchdog
expect 0 "starts slot A, which is CONFIRMED" godwit-device boot dev1 --cause watchdog
say "   Three attempts, then back to the image that is known to be good. And it is not tried again:"
expect 1 "REJECTED_BEFORE" godwit-device install dev1 rel-1.5.0

say "6. The mended release travels as a delta from the one that runs; power is cut while the new image is on trial,"
say "   which is not held against it."
printf 'fixed' | cat - firmware.bin > fixed.bin
expect 0 "delta from 1.4.0" godwit release build fixed.bin --version 1.5.1 --vendor example.com --class sensor-c3 \
    --encrypt-to device.pub.pem --delta-from rel-1.4.0 --with device.pem -o rel-1.5.1
type_it godwit release sign rel-1.5.1 --key author.pem
expect 0 "STAGED" godwit-device install dev1 rel-1.5.1
expect 0 "starts slot B, which is TRYING" godwit-device boot dev1 --cause software
expect 0 "starts slot B, which is TRYING" godwit-device boot dev1 --cause power
expect 0 "confirm is recorded" godwit-device confirm dev1

say "7. Somebody offers the old release again, to bring its bugs back."
expect 1 "OLDER" godwit-device install dev1 rel-1.4.0

say "8. Somebody forges a release: made well, but signed with a key of their own."
type_it godwit key new mallory.pem
build 9.9.9 firmware.bin rel-forged
type_it godwit release sign rel-forged --key mallory.pem
expect 1 "KEY_UNKNOWN" godwit-device install dev1 rel-forged

say "9. Somebody alters one byte of a genuine payload on its way: one frame is fetched and refused."
build 1.6.0 firmware.bin rel-1.6.0
type_it godwit release sign rel-1.6.0 --key author.pem
payload=$(echo rel-1.6.0/payloads/*)
printf 'X' | dd of="$payload" bs=1 seek=5000 conv=notrunc status=none
expect 1 "SOURCE" godwit-device install dev1 rel-1.6.0

say "10. After all that the device still runs what was confirmed last."
expect 0 "starts slot B, which is CONFIRMED" godwit-device boot dev1 --cause power
expect 0 "CONFIRMED" godwit-device status dev1
printf '\ndemo: all went as told\n'
