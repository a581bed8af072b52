#!/usr/bin/env bash
# Deltas from the author's desk to a device on this PC: built from older releases, encrypted or not, staged or streamed,
# cut off on the way, given up for the next payload; images linked for each slot; what is refused.
set -u
. "$(dirname "$0")/../support/check.sh"

# Two versions of a program of some size: this one, with a line inserted and a few words changed.
head -c 300000 "$bin/godwit" > old.bin
{ head -c 100000 old.bin; printf 'a line more, of forty bytes and no less\n'; tail -c +100001 old.bin; } > new.bin
for at in 5000 120000 222222; do printf 'changed' | dd of=new.bin bs=1 seek=$at conv=notrunc status=none; done
head -c 300000 /dev/urandom > other.bin

for name in root1 root2 author device; do godwit key new $name.pem 2>/dev/null; done
godwit key bundle --root root1.pem --root root2.pem --author author.pem --version 1 --epoch 1 -o trust.cose 2>/dev/null
ids="--vendor example.com --class sensor-c3"
build="godwit release build $ids --encrypt-to device.pub.pem"
sign() { godwit release sign "$1" --key author.pem 2>/dev/null; }
godwit device provision --id dev1 $ids --root root1.pub.pem --root root2.pub.pem --device-key device.pem \
    -o dev1.identity 2>/dev/null
largest() { stat -c %s "$1"/payloads/* | sort -n | tail -1; }
least() { stat -c %s "$1"/payloads/* | sort -n | head -1; }

# ---- patch make, apply, inspect ----------------------------------------------------------------------------------
check "patch make" 0 "" godwit patch make old.bin new.bin -o p
check "patch apply" 0 "" godwit patch apply old.bin p -o back.bin
holds "it comes back" same new.bin back.bin
holds "and is small" test "$(stat -c %s p)" -lt 2000
check "patch inspect" 0 "" godwit patch inspect p
check "to another image than it was made from" 1 "" godwit patch apply other.bin p -o wrong.bin
holds "nothing is left of that" test ! -e wrong.bin
head -c -20 p > cut; check "a patch that was cut off" 1 "" godwit patch apply old.bin cut -o wrong.bin
check "no patch at all" 1 "" godwit patch inspect other.bin
check "it is not overwritten" 1 "exists" godwit patch make old.bin new.bin -o p

# ---- Releases ----------------------------------------------------------------------------------------------------
check "the first release" 0 "1 payload" $build old.bin --version 1.0.0 -o rel-1; sign rel-1
check "a release with a delta" 0 "delta from 1.0.0" \
    $build new.bin --version 1.1.0 --delta-from rel-1 --with device.pem -o rel-2
sign rel-2
holds "delta, compressed, raw" test "$(ls rel-2/payloads | wc -l)" = 3
holds "the delta is small" test "$(least rel-2)" -lt 2500
check "verified with the key" 0 "" godwit release verify rel-2 --trust trust.cose --with device.pem
check "and without it" 0 "" godwit release verify rel-2 --trust trust.cose
check "inspect names the encoding" 0 "gwpatch" godwit release inspect rel-2
check "no key for the older release" 1 "cannot be opened" $build new.bin --version 1.1.0 --delta-from rel-1 -o rel-x
check "a delta that does not pay" 0 "does not pay" \
    $build other.bin --version 1.2.0 --delta-from rel-1 --with device.pem -o rel-other
check "no older release there" 3 "" $build new.bin --version 1.1.0 --delta-from nowhere -o rel-x
check "a release without raw payload" 0 "compressed" $build new.bin --version 1.1.0 --no-raw -o rel-small
holds "it has one payload" test "$(ls rel-small/payloads | wc -l)" = 1
check "for 10 KB of RAM" 0 "10 KB of RAM" $build new.bin --version 1.1.0 --compress --ram 10K -o rel-10k
check "RAM that nobody has" 2 "expected 16K or 10K" $build new.bin --version 1.1.0 --ram 1K -o rel-x
check "an unknown instruction set" 2 "--arch" $build new.bin --version 1.1.0 --arch z80 -o rel-x
check "a share of nothing" 2 "--pays" $build new.bin --version 1.1.0 --pays 0 -o rel-x
cp -r rel-1 rel-bad
for file in rel-bad/payloads/*; do printf X | dd of="$file" bs=1 seek=9999 conv=notrunc status=none; done
check "an older release that was altered" 1 "FRAME_HASH" \
    $build new.bin --version 1.1.0 --delta-from rel-bad --with device.pem -o rel-x
check "build again" 0 "" $build new.bin --version 1.1.0 --delta-from rel-1 --with device.pem -o rel-again
holds "the same delta, whatever the threads" sh -c \
    'godwit patch make old.bin new.bin -o p2 && cmp p p2'

# ---- Devices: staged, streamed -----------------------------------------------------------------------------------
# device NAME SLOT-SIZE: runs release 1, confirmed.
device() {
    godwit-device init "$1" --layout limited --identity dev1.identity --trust trust.cose --slot-size "$2" \
        --erase-size 4096 2>/dev/null
    godwit-device install "$1" rel-1 >/dev/null 2>&1
    godwit-device boot "$1" >/dev/null && godwit-device confirm "$1" >/dev/null 2>&1
    godwit-device boot "$1" >/dev/null
}
runs() { # NAME SLOT IMAGE: the slot starts, and holds the image
    godwit-device boot "$1" | grep -q "starts slot $2" || return 1
    python3 - "$1" "$2" "$3" <<'END'
import json, sys
folder, slot, image = sys.argv[1:]
layout = json.load(open(folder + "/layout.json"))
start = layout["slots"]["AB".index(slot)][0] - layout["regions"][0][0]
image = open(image, "rb").read()
sys.exit(open(folder + "/flash.bin", "rb").read()[start:start + len(image)] != image)
END
}
device staged 400K
check "a delta on a device" 0 "$(least rel-2) bytes fetched" godwit-device install staged rel-2
holds "it runs" runs staged B new.bin
device tight 320K
check "said beforehand: streamed" 0 ", streamed" \
    $build new.bin --version 1.1.0 --no-raw --layout tight/layout.json -o rel-tight
sign rel-tight
cuts=0
until godwit-device install tight rel-tight --cut-at $((40 + 60 * cuts)) >out 2>&1; do
    cuts=$((cuts + 1)); [ $cuts -lt 40 ] || break
    godwit-device boot tight >/dev/null
done
holds "streamed, cut off $cuts times" test "$cuts" -gt 2 -a "$cuts" -lt 40
holds "it runs" runs tight B new.bin
device hurt 400K
printf 'X' | dd of=hurt/flash.bin bs=1 conv=notrunc status=none seek="$(python3 -c '
import json; l = json.load(open("hurt/layout.json")); print(l["slots"][0][0] - l["regions"][0][0] + 7777)')"
check "the delta's old image is damaged: the next payload" 0 "PRECURSOR" godwit-device install hurt rel-2
holds "it runs all the same" runs hurt B new.bin

# ---- Images linked for each slot ---------------------------------------------------------------------------------
godwit-device init pair --layout limited --identity dev1.identity --trust trust.cose --slot-size 400K \
    --erase-size 4096 2>/dev/null
read -r a b < <(python3 -c '
import json; l = json.load(open("pair/layout.json")); print(l["slots"][0][0], l["slots"][1][0])')
{ cat old.bin; printf 'slot B'; } > old-b.bin; { cat new.bin; printf 'slot B'; } > new-b.bin
$build --address "$a=old.bin" --address "$b=old-b.bin" --version 1.0.0 -o two-1 2>/dev/null; sign two-1
check "two slots, a delta for each" 0 "delta from 1.0.0, for" \
    $build --address "$a=new.bin" --address "$b=new-b.bin" --version 1.1.0 \
    --delta-from two-1 --with device.pem -o two-2
sign two-2
holds "two deltas, two compressed, two raw" test "$(ls two-2/payloads | wc -l)" = 6
godwit-device install pair two-1 >/dev/null 2>&1; godwit-device boot pair >/dev/null
godwit-device confirm pair >/dev/null 2>&1; godwit-device boot pair >/dev/null
fetched=$(godwit-device install pair two-2 2>&1 | sed -n 's/.*STAGED: \([0-9]*\) bytes fetched.*/\1/p')
holds "A runs, B is made from it by a delta" test "${fetched:-999999}" -lt 5000
holds "B runs" runs pair B new-b.bin

sum_up delta
