#!/usr/bin/env bash
# The demo on a board without a network: real firmware for RV32IMC in the emulator, from the factory on, updated over
# its serial line. The plug is pulled in the middle; bad images are given up; a forged and an older release are refused;
# flash is wiped, and the factory's recovery image takes a release again.
#
#   scripts/demo_serial.sh [folder of the programs]
#
# Ends with a line that says that all went as told, or stops with a non-zero exit code at the first thing that did not.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
bin=$(cd "${1:-$root/build/host/bin}" && pwd)
export PATH="$bin:$PATH"
work=$(mktemp -d)
emulator=
trap '[ -z "$emulator" ] || kill -9 "$emulator" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
ln -s "$root/build/rv32-board" board # firmware
rows=()
started=$SECONDS

say() { printf '\n%s\n' "$*"; }
fail() {
    printf 'demo-serial: FAILED: %s\n' "$*"
    exit 1
}
quiet() { "$@" >out 2>&1 || { cat out; fail "$*"; }; }
type_it() { printf '  $ %s\n' "$*"; "$@" 2>&1 | sed 's/^/    /'; }
# Runs a command that has to end with this exit code, and say this. What the board says meanwhile is in its console.
expect() {
    local code=$1 text=$2 out got=0
    shift 2
    printf '  $ %s\n' "$*"
    out=$("$@" 2>&1) || got=$?
    printf '%s\n' "$out" >said
    grep -v '^device: ' <<<"$out" | tail -n 4 | sed 's/^/    /'
    if [ "$got" != "$code" ] || ! grep -qF -- "$text" <<<"$out"; then
        printf '%s\n' "$out"
        fail "exit code $got, expected $code and the text \"$text\""
    fi
}
# What happened to a release, for the table at the end.
row() { rows+=("$(printf '%-26s %s' "$1" "$2")"); }

# ---- The board ---------------------------------------------------------------------------------------------------
line=
power_on() {
    rm -f board.out
    "$root/scripts/board.sh" run unit1 --tcp 0 --console console >board.out 2>&1 &
    emulator=$!
    local i
    for i in {1..250}; do
        line=$(sed -n 's/^board: serial line on //p' board.out 2>/dev/null || true)
        [ -z "$line" ] || return 0
        sleep 0.02
    done
    cat board.out
    fail "the emulator does not start"
}
power_off() {
    kill -9 "$emulator"
    wait "$emulator" 2>/dev/null || true
    emulator=
}
# The board says this; all lines up to it are shown.
sees() {
    if ! "$root/scripts/board.sh" expect console "$1" --seconds 60 >lines; then
        cat lines
        fail "the board did not say \"$1\""
    fi
    sed 's/^/    | /' lines
}
release() { # version, image, key
    quiet godwit release build "board/$2.bin" --version "$1" --vendor example.com --class sensor --encrypt-to \
        group.pub.pem -o "rel-$1"
    quiet godwit release sign "rel-$1" --key "${3:-author}.pem"
}
push() { expect "$1" "$2" godwit push "$3" --tcp "$line" --restart; }

say "1. On the author's desk: keys, a trust bundle, and releases of a small program, the sensor. Some have bugs."
for name in author root1 root2 group mallory; do quiet godwit key new $name.pem; done
quiet godwit key bundle --root root1.pem --root root2.pem --author author.pem --version 1 --epoch 1 -o trust.cose
release 1.0.0 sensor-1.0
release 1.1.0 sensor-1.1
release 1.2.0 sensor-crashes
release 1.3.0 sensor-hangs
release 2.0.0 sensor-2.0
release 9.9.9 sensor-2.0 mallory
for name in rel-*; do printf '    %s: %s bytes, signed\n' "$name" "$(cat "$name"/payloads/* | wc -c)"; done

say "2. At the factory: the whole flash of a unit. Bootloader, identity and recovery image lie in a bank that nobody can
   write."
type_it godwit device provision --id unit1 --vendor example.com --class sensor --root root1.pub.pem --root \
    root2.pub.pem --device-key group.pem --board qemu-rv32 --bootloader board/boot.bin --trust trust.cose \
    --factory board/recovery.bin --release rel-1.0.0 -o unit1
power_on
sees 'sensor 1\.0'

say "3. Negative temperatures are printed wrong: 1.1 mends that. It comes over the serial line. The plug is pulled in
   the middle: the emulator is killed."
printf '  $ godwit push rel-1.1.0 --tcp %s\n' "$line"
godwit push rel-1.1.0 --tcp "$line" --restart >push.out 2>&1 &
push=$!
for i in {1..5000}; do
    if grep -q ' 40 %' push.out; then break; fi
    sleep 0.002
done
power_off
wait "$push" && fail "the push was through before the plug was pulled"
grep -v '^device: ' push.out | tail -n 2 | sed 's/^/    /'
reached=$(sed -n 's/^.* %  \([0-9]*\) of .*/\1/p' push.out | tail -n 1)
say "   Power is back. What was checked and written is not fetched again."
power_on
sees 'sensor 1\.0'
push 0 "goes on: " rel-1.1.0
kept=$(sed -n 's/^goes on: \([0-9]*\) of .*/\1/p' said)
printf '    %s bytes were there when the plug was pulled; %s were kept\n' "$reached" "$kept"
[ "$kept" -ge $((reached - 4128)) ] || fail "more than one frame was fetched again"
sees 'sensor 1\.1.*TRYING'
sees 'confirmed'
row "1.1.0" "taken, with the plug pulled in the middle; confirmed"

say "4. Release 1.2.0 crashes as soon as it starts. The board tries it, gives it up, and runs 1.1 again."
push 0 "" rel-1.2.0
sees 'sensor 1\.1.*CONFIRMED'
expect 1 "REJECTED_BEFORE" godwit push rel-1.2.0 --tcp "$line"
row "1.2.0, crashes at start" "tried, given up, 1.1 runs; not taken again"

say "5. Release 1.3.0 hangs. The watchdog ends that."
push 0 "" rel-1.3.0
sees 'sensor 1\.1.*CONFIRMED'
row "1.3.0, hangs" "ended by the watchdog, given up, 1.1 runs"

say "6. A release signed with a key that nobody vouched for, and an older one with its old bug."
expect 1 "KEY_UNKNOWN" godwit push rel-9.9.9 --tcp "$line"
row "9.9.9, forged" "refused: KEY_UNKNOWN"
expect 1 "OLDER" godwit push rel-1.0.0 --tcp "$line"
row "1.0.0, older" "refused: OLDER"

say "7. All that the board can write is wiped: both slots, the journal, the trust bundles."
power_off
printf '  $ (bank 1 := ff)\n'
head -c 1572864 /dev/zero | tr '\0' '\377' | dd of=unit1/bank1.bin conv=notrunc bs=64k status=none
power_on
sees 'recovery'
say "   The factory's recovery image runs. It has no trust bundle: that comes with the release."
expect 0 "" godwit push rel-2.0.0 --tcp "$line" --trust trust.cose --restart
sees 'sensor 2\.0.*TRYING'
sees 'confirmed'
row "2.0.0, after a wipe" "taken by the recovery image; confirmed"
power_off
printf '  $ godwit device show unit1\n'
godwit device show unit1 >said || fail "the unit cannot be read"
sed -n '/^slots:/,/^factory:/p' said | grep -E 'slot:|state:|version:|left because' | sed 's/^/    /'
grep -q 'state: CONFIRMED' said || fail "the unit has no confirmed release"

say "What happened:"
for r in "${rows[@]}"; do printf '    %s\n' "$r"; done
printf '\n%d seconds\n' $((SECONDS - started))
printf 'demo-serial: all went as told\n'
