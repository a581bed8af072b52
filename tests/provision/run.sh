#!/usr/bin/env bash
# Units of a board from the factory: complete flash files, verified before any is written, and what is refused.
set -u
# shellcheck source=tests/support/check.sh
. "$(dirname "$0")/../support/check.sh"

python=${PYTHON:-/usr/bin/python3}
board=$root/ports/qemu-rv32/board.json
# part FILE OFFSET SIZE: a piece of a file.
part() { tail -c +$(($2 + 1)) "$1" | head -c "$3"; }
# erased FILE OFFSET SIZE: all of it reads 0xff.
erased() { [ -z "$(part "$@" | tr -d '\377' | head -c 1)" ]; }

for name in author root1 root2 group stranger; do godwit key new $name.pem 2>/dev/null; done
godwit key new rsa.pem --type rsa3072 2>/dev/null
godwit key bundle --root root1.pem --root root2.pem --author author.pem --version 1 --epoch 1 -o trust.cose 2>/dev/null
godwit key bundle --root root1.pem --root rsa.pem --author author.pem --version 1 --epoch 1 -o foreign.cose 2>/dev/null
head -c 90001 /dev/urandom > firmware.bin
head -c 40003 /dev/urandom > recovery.bin
head -c 27001 /dev/urandom > boot.bin
release() { # folder, image, more options
    godwit release build "$2" -o "$1" --vendor example.com "${@:3}" 2>/dev/null
}
release rel firmware.bin --version 1.0.0 --floor 1000000 --class sensor --encrypt-to group.pub.pem
release unsigned firmware.bin --version 1.0.0 --class sensor
release class firmware.bin --version 1.0.0 --class lamp
release stranger firmware.bin --version 1.0.0 --class sensor --encrypt-to stranger.pub.pem
head -c 600000 /dev/urandom > large.bin
release large large.bin --version 1.0.0 --class sensor
for name in rel class stranger large; do godwit release sign $name --key author.pem 2>/dev/null; done

id="--vendor example.com --class sensor --root root1.pub.pem --root root2.pub.pem --device-key group.pem"
on="--board qemu-rv32 --bootloader boot.bin --trust trust.cose"
unit="godwit device provision $id $on --factory recovery.bin --release rel"

# ---- A unit ------------------------------------------------------------------------------------------------------
check "a unit" 0 "first release confirmed" $unit --id unit1 -o unit1
check "a second one" 0 "bootloader 27001 of 65536 bytes" $unit --id unit2 -o unit2/
check "with a board by path" 0 "a unit of qemu-rv32" godwit device provision $id --board "$board" --bootloader \
    boot.bin --trust trust.cose --id unit1 -o plain
for bank in bank0 bank1; do
    holds "$bank is as large as the part" test "$(stat -c %s unit1/$bank.bin)" = 33554432
    holds "$bank is 0600" mode_is unit1/$bank.bin 600
done
holds "the bootloader is at the start" same boot.bin <(part unit1/bank0.bin 0 27001)
holds "erased from there to the identity" erased unit1/bank0.bin 27001 $((65536 - 27001))
holds "the factory image is in its place" same recovery.bin <(part unit1/bank0.bin 131072 40003)
holds "erased from there to the end of its area" erased unit1/bank0.bin $((131072 + 40003)) $((262144 - 40003))
holds "the release is in slot A, decrypted" same firmware.bin <(part unit1/bank1.bin 524288 90001)
holds "slot B is erased" erased unit1/bank1.bin $((524288 * 2)) 524288
check "show: confirmed" 0 "state: CONFIRMED" godwit device show unit1
check "show: the floor is recorded" 0 '"sequence": 1000000' godwit device show unit1 --json
check "show: the board" 0 "board: qemu-rv32" godwit device show unit1
check "show: the bootloader" 0 "bootloader bytes: 27001" godwit device show unit1
check "show: who it is" 0 "device: unit2" godwit device show unit2
check "show hides secrets" 0 "secret: hidden" godwit device show unit1
check "inspect knows units" 0 "kind: unit" godwit inspect unit1
check "a unit without a release" 0 "state of the slots: NOTHING" godwit device show plain

# ---- Settings ----------------------------------------------------------------------------------------------------
printf '# where it asks\nserver = https://updates.example.com:8443\n' > settings.txt
printf 'host = a.example 10.0.2.2\nhost = b.example 10.0.2.3' >> settings.txt
told=$(stat -c %s settings.txt)
check "a unit with settings" 0 "first release confirmed" $unit --id unit1 --settings settings.txt -o told
holds "they are behind the identity" same settings.txt <(part told/bank0.bin 69632 "$told")
holds "the rest of their area is erased" erased told/bank0.bin $((69632 + told)) $((4096 - told))
holds "nothing else differs" test "$(cmp -l unit1/bank0.bin told/bank0.bin | awk '$1 <= 69632 || $1 > 69632 + 4096' |
    wc -l)" = 0
holds "nor in the other bank" same unit1/bank1.bin told/bank1.bin
check "show: the settings" 0 "value: https://updates.example.com:8443" godwit device show told
check "show: all of a name" 0 "value: b.example 10.0.2.3" godwit device show told
check "show: none" 0 "settings: none" godwit device show unit1
settings() { # file contents by printf; then as for check
    printf "$1" > s.txt
    check "settings: $2" "$3" "$4" $unit --id x --settings s.txt -o x
}
settings 'server = x\n\nserver\n' "a line that is none" 1 "line 3 of the settings"
settings 'server =\n' "without a value" 1 "line 1 of the settings"
settings 'Server = x\n' "a name with capitals" 1 "line 1 of the settings"
settings 'a = 1\n\377b = 2\n' "a byte ff" 1 "00 or ff"
settings 'a = 1\n\000b = 2\n' "a byte 00" 1 "00 or ff"
settings 'poll = 5\nmqtt = a.example\n' "a broker without its port" 1 "line 2 of the settings, mqtt: expected NAME:PORT"
settings 'address = 10.0.2.15\n' "an address without its network" 1 "address: expected A.B.C.D/BITS"
settings 'server = http://a.example\n' "a server without TLS" 1 "server: expected https://NAME"
settings 'poll = 5\npoll = 6\n' "a name that counts once, twice" 1 "line 2 of the settings, poll"
settings '' "an empty file" 1 "is empty"
settings "a = $(printf '%05000d' 0)" "too long" 1 "their area on qemu-rv32 4096"
check "settings that are not there" 3 "No such file" $unit --id x --settings nowhere -o x
check "settings for no board" 2 "add --board" godwit device provision $id --id x --settings settings.txt -o x
holds "no unit was left by these" test ! -e x
printf "a = $(printf '%04092d' 0)" > full.txt
check "settings that fill their area" 0 "a unit of" $unit --id x --settings full.txt -o full
check "are read to its end" 0 "value: $(printf '%04092d' 0)" godwit device show full

# ---- What the device shows to servers ----------------------------------------------------------------------------
mkdir csv; cd csv
godwit key new dca --device-ca "Test devices" 2>/dev/null
godwit key new own.pem 2>/dev/null
godwit device csr --id unit7 --own-key own.pem -o unit7.csr 2>/dev/null
check "a certificate for its key" 0 "" godwit device certify unit7.csr --device-ca dca -o unit7.pem
printf 'id,class,hardware,tags\nbatch1\nbatch2,,2\n' > list.csv
check "a batch" 0 "" godwit device provision --csv list.csv --device-ca dca --vendor example.com --class sensor --root \
    ../root1.pub.pem --root ../root2.pub.pem --device-key ../group.pem -o batch
cd ..
check "a unit with a key and a certificate" 0 "first release confirmed" $unit --id unit7 --own-key csv/own.pem \
    --certificate csv/unit7.pem --settings settings.txt -o own
der() { openssl x509 -in "$1" -outform DER | wc -c; }
check "which it has" 0 "certificate bytes: $(der csv/unit7.pem)" godwit device show own
check "a certificate of another key" 1 "for another key" $unit --id unit7 --own-key stranger.pem --certificate \
    csv/unit7.pem -o x
for name in batch1 batch2; do
    check "a unit of the batch, $name" 0 "first release confirmed" godwit device provision --identity \
        "csv/batch/$name.identity" $on --release rel --settings settings.txt -o "$name"
    check "is $name" 0 "device: $name" godwit device show "$name"
    check "$name has its certificate" 0 "certificate bytes: $(der "csv/batch/$name.pem")" godwit device show "$name"
done

# ---- Per unit only the identity differs ---------------------------------------------------------------------------
holds "bank 1 is the same in all units" same unit1/bank1.bin unit2/bank1.bin
outside() { cmp -l unit1/bank0.bin unit2/bank0.bin | awk '$1 <= 65536 || $1 > 65536 + 4096' | wc -l; }
holds "bank 0 differs" test "$(cmp -l unit1/bank0.bin unit2/bank0.bin | wc -l)" -gt 0
holds "and only in the identity area" test "$(outside)" = 0

# ---- An identity made before -------------------------------------------------------------------------------------
check "an identity" 0 "identity of unit1" godwit device provision $id --factory recovery.bin --id unit1 -o \
    unit1.identity
check "a unit from it" 0 "first release confirmed" godwit device provision --identity unit1.identity $on --factory \
    recovery.bin --release rel -o again
holds "is the same unit" same unit1/bank0.bin again/bank0.bin
check "an identity and options for one" 2 "says already" godwit device provision --identity unit1.identity --id x $on \
    -o x
check "an identity for nothing" 2 "is for --board" godwit device provision --identity unit1.identity -o x

# ---- Refused, with the reason and nothing written ----------------------------------------------------------------
check "no id" 2 "--id ID is needed" godwit device provision $id $on -o x
check "no bootloader" 2 "--bootloader FILE is needed" godwit device provision $id --id x --board qemu-rv32 --trust \
    trust.cose -o x
check "no bundle" 2 "--trust FILE is needed" godwit device provision $id --id x --board qemu-rv32 --bootloader \
    boot.bin -o x
check "a bootloader for no board" 2 "add --board" godwit device provision $id --id x --bootloader boot.bin -o x
check "an unknown board" 3 "there is no board toaster" godwit device provision $id --id x --board toaster \
    --bootloader boot.bin --trust trust.cose -o x
head -c 65537 /dev/zero > fat.bin
check "a bootloader that does not fit" 1 "its area on qemu-rv32 65536" godwit device provision $id --id x --board \
    qemu-rv32 --bootloader fat.bin --trust trust.cose -o x
: > empty.bin
check "an empty bootloader" 1 "is empty" godwit device provision $id --id x --board qemu-rv32 --bootloader empty.bin \
    --trust trust.cose -o x
check "a bundle by other roots" 1 "refused by the roots" godwit device provision $id --id x --board qemu-rv32 \
    --bootloader boot.bin --trust foreign.cose -o x
check "a missing factory image" 1 "names a factory image" godwit device provision --identity unit1.identity $on -o x
tr '\0-\377' '\1-\377\0' < recovery.bin > other.bin
check "another factory image" 1 "not the one in the identity" godwit device provision --identity unit1.identity $on \
    --factory other.bin -o x
head -c 262145 /dev/zero > fat.bin
check "a factory image that does not fit" 1 "SLOT_SMALL" godwit device provision $id --id x $on --factory fat.bin -o x
check "an unsigned release" 1 "SIGNERS_FEW" godwit device provision $id --id x $on --release unsigned -o x
check "a release for another class" 1 "CLASS" godwit device provision $id --id x $on --release class -o x
check "a release that the unit cannot open" 1 "NO_KEY" godwit device provision $id --id x $on --release stranger -o x
check "a release that does not fit" 1 "SLOT_SMALL" godwit device provision $id --id x $on --release large -o x
check "dry run" 0 "a unit of" $unit --id x --dry-run -o x
holds "nothing was written by any of them" test ! -e x
check "a unit is not overwritten" 1 "--force" $unit --id unit3 -o unit1
holds "and is the same still" same unit1/bank0.bin again/bank0.bin
check "but with --force" 0 "a unit of" $unit --id unit2 --force -o again
holds "it is another one then" same unit2/bank0.bin again/bank0.bin
mkdir precious; echo keep > precious/me
check "a folder with other things is never replaced" 1 "something else" $unit --id x --force -o precious
holds "and keeps them" test -s precious/me
mkdir empty
check "an empty folder is filled" 0 "a unit of" $unit --id unit2 -o empty
check "no room" 3 "cannot write" bash -c "trap '' XFSZ; ulimit -f 64; $unit --id x -o x"
holds "nothing is left of it" test ! -e x

# ---- Boards ------------------------------------------------------------------------------------------------------
# altered PYTHON: board.json with a change, as bad.json.
altered() {
    "$python" -c 'import json, sys
b = json.load(open(sys.argv[1])); exec(sys.argv[2]); json.dump(b, open("bad.json", "w"))' "$board" "$1"
}
refused() { # name, change
    altered "$2"
    check "a board $1" 1 "LAYOUT" godwit device provision $id --id x --board bad.json --bootloader boot.bin --trust \
        trust.cose -o x
}
refused "of another format" 'b["format"] = "godwit board 2"'
refused "without files" 'b["files"] = []'
refused "with a file outside" 'b["files"][0]["name"] = "../bank0.bin"'
refused "with a hidden file" 'b["files"][0]["name"] = ".bank0"'
refused "whose file is its description" 'b["files"][0]["name"] = "board.json"'
refused "with one name twice" 'b["files"][1]["name"] = "bank0.bin"'
refused "whose files overlap" 'b["files"][0]["size"] *= 2'
refused "with a region in no file" 'b["files"][1]["size"] = 4096'
refused "whose bootloader is in the identity" 'b["bootloader"][1] += 4096'
refused "whose bootloader is in no region" 'b["bootloader"][0] = 0'
refused "whose settings are in the identity" 'b["settings"][0] -= 4096'
refused "whose settings are in the factory area" 'b["settings"][0] = b["layout"]["factory"][0]'
refused "whose settings are in a slot" 'b["settings"][0] = b["layout"]["slots"][1][0] + 4096'
refused "whose settings are in the bootloader" 'b["settings"][0] = b["bootloader"][0]'
refused "whose settings are in no region" 'b["settings"][0] = 0'
refused "whose settings begin within a block" 'b["settings"] = [b["settings"][0] + 2048, 2048]'
refused "with room for too many settings" 'b["settings"][1] *= 2'
refused "with room for no settings" 'b["settings"][1] = 0'
refused "with half a place for settings" 'b["settings"] = b["settings"][:1]'
altered 'del b["settings"]'
check "a board without a place for settings" 0 "a unit of" godwit device provision $id --id x --board bad.json \
    --bootloader boot.bin --trust trust.cose -o bare
check "takes none" 1 "no place for settings" godwit device provision $id --id x --board bad.json --bootloader boot.bin \
    --trust trust.cose --settings settings.txt -o x
holds "and shows none" sh -c '! godwit device show bare | grep -q settings'
refused "whose slots overlap" 'b["layout"]["slots"][1] = b["layout"]["slots"][0]'
refused "with a negative number" 'b["bootloader"][1] = -1'
head -c 300 "$board" > bad.json
check "half a board" 1 "no JSON" godwit device provision $id --id x --board bad.json --bootloader boot.bin --trust \
    trust.cose -o x
mkdir boards; sed 's/"qemu-rv32"/"mine"/' "$board" > boards/mine.board.json
check "GODWIT_BOARDS" 0 "a unit of mine" env GODWIT_BOARDS="$PWD/boards" godwit device provision $id --id x --board \
    mine --bootloader boot.bin --trust trust.cose -o mine

# ---- Damaged units ------------------------------------------------------------------------------------------------
cp -r unit1 hurt; truncate -s -1 hurt/bank1.bin
check "a truncated bank" 1 "another size" godwit device show hurt
rm hurt/bank1.bin
check "a missing bank" 3 "cannot open" godwit device show hurt
rm -r hurt; cp -r unit1 hurt; head -c 2000000 /dev/urandom | dd of=hurt/bank1.bin conv=notrunc status=none
check "a bank of noise is described all the same" 0 "kind: unit" godwit device show hurt
holds "no temporary files are left" no_leftovers
sum_up provision
