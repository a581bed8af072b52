#!/usr/bin/env bash
# The command line as a newcomer types it, on a real file, and what it refuses: every refusal has its exit code, its
# reason and leaves nothing half-written. GODWIT_BIN: folder of the programs; GODWIT_TMP: an empty folder.
set -u

# shellcheck source=tests/support/check.sh
. "$(dirname "$0")/../support/check.sh"

build="godwit release build firmware.bin --vendor example.com --class sensor-c3"

# ---- Keys --------------------------------------------------------------------------------------------------------
head -c 70000 /dev/urandom > firmware.bin
for name in author approver distributor root1 root2 device other stranger; do
    check "key new $name" 0 "P-256" godwit key new $name.pem
done
holds "private keys are 0600" mode_is author.pem 600
check "key new does not overwrite" 1 "not overwritten" godwit key new author.pem
check "key new --force" 0 "P-256" godwit key new spare.pem
check "key new --force again" 0 "P-256" godwit key new spare.pem --force
check "key new rsa2048" 0 "RSA-2048" godwit key new rsa2.pem --type rsa2048
check "key new rsa3072" 0 "RSA-3072" godwit key new rsa3.pem --type rsa3072
check "key new of another kind" 2 "expected p256" godwit key new x.pem --type dsa
check "key new kek" 0 "256 bits" godwit key new fleet.kek --type kek
holds "KEKs are 0600" mode_is fleet.kek 600
echo "correct horse" > pass; echo "wrong" > wrongpass; : > emptypass
check "key new with a passphrase" 0 "encrypted" godwit key new sealed.pem --passphrase-file pass
check "an encrypted key needs its passphrase" 1 "is encrypted" godwit key export sealed.pem
check "a wrong passphrase" 1 "wrong passphrase" godwit key export sealed.pem --passphrase-file wrongpass
check "an empty passphrase file" 1 "no passphrase" godwit key export sealed.pem --passphrase-file emptypass
check "key export" 0 "BEGIN PUBLIC KEY" godwit key export sealed.pem --passphrase-file pass
check "openssl reads the keys" 0 "" openssl pkey -in author.pem -noout
check "openssl reads an encrypted key" 0 "" openssl pkey -in sealed.pem -passin "pass:correct horse" -noout
check "key list" 0 "author.pem" godwit key list
check "key list --json" 0 '"thumbprint"' godwit key list author.pem --json
echo "not a key" > garbage.pem
check "a garbage key" 1 "no key that can be read" godwit key export garbage.pem
head -c 100 author.pem > short.pem
check "a truncated key" 1 "no key that can be read" godwit key export short.pem
openssl genpkey -algorithm ED25519 -out ed.pem 2>/dev/null
check "a key of another kind" 1 "ALGORITHM" godwit key export ed.pem
openssl ecparam -name secp384r1 -genkey -noout -out p384.pem 2>/dev/null
check "a key on another curve" 1 "KEY_WEAK" godwit key export p384.pem
openssl genrsa -out rsa1.pem 1024 2>/dev/null
check "RSA-1024" 1 "KEY_WEAK" godwit key export rsa1.pem
check "a missing file" 3 "No such file" godwit key export nowhere.pem

# ---- Bundles -----------------------------------------------------------------------------------------------------
bundle="godwit key bundle --root root1.pem --root root2.pem --author author.pem --epoch 1"
check "key bundle" 0 "signed by 2 of 2" $bundle --version 1 -o trust.cose
check "key bundle does not overwrite" 1 "not overwritten" $bundle --version 1 -o trust.cose
check "key bundle with one root" 2 "2 to 4" godwit key bundle --root root1.pem --author author.pem --version 1 \
    --epoch 1 -o x.cose
check "the same root twice is one" 2 "1 given" godwit key bundle --root root1.pem --root root1.pub.pem --author \
    author.pem \
    --version 1 --epoch 1 -o x.cose
check "key bundle with a policy" 0 "signed by 2 of 2" $bundle --approver approver.pem --distributor distributor.pem \
    --policy author=1,approver=1 --version 2 -o trust2.cose
check "a policy of nobody" 2 "expected ROLES" $bundle --version 1 --policy boss=1 -o x.cose
check "version 0" 1 "VALUE" $bundle --version 0 -o x.cose
holds "no bundle was left by a refusal" test ! -e x.cose
check "key bundle --revoke" 0 "" $bundle --author other.pem --revoke author.pem --version 3 -o trust3.cose
check "a bundle whose second root is elsewhere" 0 "signed by 1 of 2" godwit key bundle --root root1.pem --root \
    root2.pub.pem \
    --author author.pem --version 4 --epoch 1 -o half.cose
check "key sign" 0 "signed by key" godwit key sign half.cose --key root2.pem
check "key sign twice" 1 "SIGNER_TWICE" godwit key sign half.cose --key root2.pem
check "inspect a bundle" 0 "trust bundle" godwit inspect trust.cose

# ---- CAs of servers in a bundle ----------------------------------------------------------------------------------
ca() { # file, common name, arguments of openssl req
    local file=$1 name=$2
    shift 2
    openssl req -x509 -nodes -subj "/CN=$name" -keyout "$file.key" -out "$file.pem" -days 30 "$@" 2>/dev/null
}
p256="-newkey ec -pkeyopt ec_paramgen_curve:P-256"
ca ca1 "First CA" $p256
ca ca2 "Second CA" $p256
ca ca3 "Third CA" $p256
ca ca4 "Fourth CA" $p256
ca ca5 "Fifth CA" $p256
openssl x509 -in ca2.pem -outform DER -out ca2.der
check "key bundle --server-ca" 0 "signed by 2 of 2" $bundle --version 1 --server-ca ca1.pem --server-ca ca2.der \
    --pin "$(printf '%064d' 7)" --host cdn.example.com --revoke other.pem -o cas.cose
check "inspect shows whose they are" 0 "subject: First CA" godwit inspect cas.cose
check "and of the second" 0 "subject: Second CA" godwit inspect cas.cose
fingerprint=$(openssl x509 -in ca2.pem -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f)
check "with their fingerprints" 0 "sha256: $fingerprint" godwit inspect cas.cose
pin=$(openssl x509 -in ca2.pem -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -c1-64)
check "and what a pin of them is" 0 "pin: $pin" godwit inspect cas.cose
check "and the pins" 0 "$(printf '%064d' 7)" godwit inspect cas.cose
check "and the hosts" 0 "cdn.example.com" godwit inspect cas.cose
holds "and what is revoked" sh -c "! godwit inspect cas.cose | grep -q \"revoked: none\""
check "inspect --json" 0 "\"sha256\": \"$fingerprint\"" godwit inspect cas.cose --json
check "a bundle without any" 0 "server CAs: none" godwit inspect trust.cose
check "more than fit" 1 "leave out those whose servers are gone" $bundle --version 1 --server-ca ca1.pem \
    --server-ca ca2.pem --server-ca ca3.pem --server-ca ca4.pem -o x.cose
check "it says how much is too much" 1 "devices take at most 1536" $bundle --version 1 --server-ca ca1.pem \
    --server-ca ca2.pem --server-ca ca3.pem --server-ca ca4.pem -o x.cose
check "pins that do not fit" 1 "leave out keys" $bundle --version 1 $(for i in $(seq 16); do
    printf -- '--pin %064d --host %0253d ' "$i" "$i"; done) -o x.cose
check "five CAs" 2 "at most 4" $bundle --version 1 --server-ca ca1.pem --server-ca ca2.pem --server-ca ca3.pem \
    --server-ca ca4.pem --server-ca ca5.pem -o x.cose
check "one twice" 2 "given before" $bundle --version 1 --server-ca ca2.pem --server-ca ca2.der -o x.cose
ca leaf "A server" $p256 -addext basicConstraints=critical,CA:FALSE
check "one that is no CA" 1 "basicConstraints" $bundle --version 1 --server-ca leaf.pem -o x.cose
ca rsa "RSA" -newkey rsa:2048
check "a CA with RSA" 0 "signed by 2 of 2" $bundle --version 1 --server-ca rsa.pem -o rsaca.cose
ca weak "RSA" -newkey rsa:1024
check "a weak key" 1 "not every device" $bundle --version 1 --server-ca weak.pem -o x.cose
ca p384 "P-384" -newkey ec -pkeyopt ec_paramgen_curve:P-384
check "a key that some devices do not know" 1 "not every device" $bundle --version 1 --server-ca p384.pem -o x.cose
ca long "RSA with a long name, $(printf '%040d' 0)" -newkey rsa:4096
check "a certificate that is too long" 1 "at most 1024" $bundle --version 1 --server-ca long.pem -o x.cose
cat ca1.pem ca2.pem > both.pem
check "two in one file" 1 "more than one certificate" $bundle --version 1 --server-ca both.pem -o x.cose
check "a file that is none" 1 "no X.509 certificate" $bundle --version 1 --server-ca garbage.pem -o x.cose
{ cat ca2.der; echo; } > behind.der
check "bytes behind it" 1 "no X.509 certificate" $bundle --version 1 --server-ca behind.der -o x.cose
check "a file that is not there" 3 "No such file" $bundle --version 1 --server-ca nowhere.pem -o x.cose
holds "no bundle was left by these refusals" test ! -e x.cose

# ---- Releases ----------------------------------------------------------------------------------------------------
check "release build" 0 "next: godwit release sign" $build --version 1.4.0 --sequence 5 --encrypt-to device.pub.pem \
    -o rel/
check "release build does not overwrite" 1 "not overwritten" $build --version 1.4.0 --encrypt-to device.pub.pem -o rel/
check "an unsigned release is refused" 1 "SIGNERS_FEW" godwit release verify rel/ --trust trust.cose
check "release sign" 0 "signed by key" godwit release sign rel/ --key author.pem
check "release sign twice" 1 "SIGNER_TWICE" godwit release sign rel/ --key author.pem
check "release sign with a public key" 1 "public key" godwit release sign rel/ --key other.pub.pem
check "release inspect" 0 "version: 1.4.0" godwit release inspect rel/
check "release inspect --json" 0 '"sequence": 5' godwit release inspect rel/ --json
check "release verify" 0 "every frame as signed" godwit release verify rel/ --trust trust.cose --root root1.pub \
    --root root2.pub
check "release verify by the roots beside the bundle" 0 "trust.cose.roots.pem" godwit release verify rel/ --trust \
    trust.cose
check "release verify with a device's key" 0 "decodes to the signed image" godwit release verify rel/ --trust \
    trust.cose \
    --with device.pem
check "release verify with another key" 1 "NO_KEY" godwit release verify rel/ --trust trust.cose --with other.pem
check "other roots" 1 "refused by" godwit release verify rel/ --trust trust.cose --root author.pub.pem --root \
    other.pub.pem
check "a revoked author" 1 "KEY_REVOKED" godwit release verify rel/ --trust trust3.cose
check "a policy that asks for more" 1 "SIGNERS_FEW" godwit release verify rel/ --trust trust2.cose
check "the approver signs" 0 "signed by key" godwit release sign rel/ --key approver.pem
check "the policy is satisfied" 0 "as the bundle's policy asks" godwit release verify rel/ --trust trust2.cose
check "no version, no sequence" 2 "no sequence can be made" $build --version spring --encrypt-to device.pub.pem -o x/
check "sequence from the version" 0 "sequence 1004002" $build --version 1.4.2 --encrypt-to device.pub.pem -o seq/
check "a version with control characters" 0 "" $build --version $'1.0\e[31m\xc2\x9b1m' --sequence 1 -o escape/
check "is shown without them" 0 'version: 1.0\x1b[31m\x9b1m' godwit release inspect escape/
check "a floor above the sequence" 1 "FLOOR_ABOVE" $build --version 1.0.0 --floor 9999999 --encrypt-to \
    device.pub.pem -o x/
check "a bad frame size" 2 "multiple of 64" $build --version 1.0.0 --frame-size 1000 -o x/
: > empty.bin
check "an empty image" 1 "is empty" godwit release build empty.bin --version 1.0.0 --vendor a.b --class c -o x/
check "a missing image" 3 "No such file" godwit release build none.bin --version 1.0.0 --vendor a.b --class c -o x/
check "encrypted for nobody" 1 "NO_KEY" $build --version 1.0.0 --encrypt aes256 -o x/
check "encrypted for an RSA key" 1 "P-256" $build --version 1.0.0 --encrypt-to rsa2.pub.pem -o x/
holds "no release was left by a refusal" test ! -e x
check "a missing option" 2 "--vendor DOMAIN is needed" godwit release build firmware.bin --version 1.0.0 --class c -o x/
check "dry run" 0 "dry run" $build --version 1.0.0 --dry-run -o x/
holds "a dry run writes nothing" test ! -e x
mkdir precious; echo keep > precious/me
check "a folder with other things is not replaced" 1 "more than a release" $build --version 1.0.0 -o precious --force
holds "and keeps them" test -s precious/me
check "--force replaces a release" 0 "" $build --version 1.4.3 --encrypt-to device.pub.pem -o seq/ --force
check "what replaced it" 0 "version: 1.4.3" godwit release inspect seq/
check "not encrypted" 0 "not encrypted" $build --version 1.0.0 -o plain/
check "aes256, to a KEK and a key" 0 "" $build --version 1.4.4 --sequence 7 --encrypt aes256 --encrypt-to \
    kek:fleet=fleet.kek \
    --encrypt-to device.pub.pem --data 7=firmware.bin --cek-out cek.hex -o big/
holds "the content key is 0600" mode_is cek.hex 600
check "sign big" 0 "" godwit release sign big/ --key author.pem
check "a KEK opens it" 0 "opened with the key given" godwit release verify big/ --trust trust.cose --with \
    kek:fleet=fleet.kek
check "grant with a key that has one" 0 "1 grant" godwit release grant rel/ --to other.pub.pem --with device.pem
check "the new grant opens" 0 "decodes to the signed image" godwit release verify rel/ --trust trust.cose --with \
    other.pem
check "grant with no key" 1 "NO_KEY" godwit release grant rel/ --to stranger.pub.pem --with stranger.pem
check "grant with the content key" 0 "1 grant" godwit release grant big/ --to stranger.pub.pem --cek cek.hex
check "grant with the content key of another release" 1 "KEY_CHECK" godwit release grant rel/ --to stranger.pub.pem \
    --cek cek.hex
cp -r big foreign; rm foreign/grants/*; cp rel/grants/* foreign/grants/
check "grants of another release" 1 "is refused" godwit release verify foreign/ --trust trust.cose --with device.pem
rm foreign/grants/*
check "a missing grant" 1 "NO_KEY" godwit release verify foreign/ --trust trust.cose
check "release head" 0 "serial 3" godwit release head big/ --key distributor.pem --serial 3
godwit release sign big/ --key approver.pem 2>/dev/null
check "release verify with a head" 0 "head: signed by a distributor" godwit release verify big/ --trust trust2.cose
check "a head by a key without the role" 1 "the head of" godwit release verify big/ --trust trust.cose
check "inspect a head" 0 "channel head" godwit inspect big/head.cose
check "a withdrawn release" 0 "" godwit release head big/ --key distributor.pem --serial 4 --withdraw 1.7 --force
check "is refused" 1 "WITHDRAWN" godwit release verify big/ --trust trust2.cose
check "an expired release" 0 "" $build --version 1.0.1 --use-before 1000 -o old/
godwit release sign old/ --key author.pem 2>/dev/null
check "is refused too" 1 "EXPIRED" godwit release verify old/ --trust trust.cose

# ---- Signatures from elsewhere -----------------------------------------------------------------------------------
check "build for signing elsewhere" 0 "" $build --version 2.0.0 --encrypt-to device.pub.pem -o away/
check "digest out" 0 "32 bytes" godwit release sign away/ --public author.pub.pem --digest-out digest
check "digest out without a key" 0 "a P-256 key" godwit release sign away/ --digest-out digest1
holds "the same digest" same digest digest1
openssl pkeyutl -sign -inkey author.pem -in digest -out sig 2>/dev/null
openssl pkeyutl -sign -inkey other.pem -in digest -out wrongsig 2>/dev/null
check "a signature by another key" 1 "SIGNATURE" godwit release sign away/ --public author.pub.pem --signature-in \
    wrongsig
head -c 20 sig > shortsig
check "a signature of the wrong size" 1 "20 bytes" godwit release sign away/ --public author.pub.pem --signature-in \
    shortsig
check "signature in" 0 "signed by key" godwit release sign away/ --public author.pub.pem --signature-in sig
check "verifies" 0 "every frame" godwit release verify away/ --trust trust.cose
check "key without a way" 2 "expected one of" godwit release sign away/ --public author.pub.pem
check "signature without a key" 2 "expected one of" godwit release sign away/ --signature-in sig
check "a bundle with RSA keys" 0 "" godwit key bundle --root root1.pem --root rsa3.pem --author rsa2.pem --version 1 \
    --epoch 1 -o rsa.cose
check "digest out, RSA" 0 "32 bytes" godwit release sign away/ --public rsa2.pub.pem --digest-out digest2
openssl pkeyutl -sign -inkey rsa2.pem -in digest2 -out sig2 -pkeyopt digest:sha256 -pkeyopt rsa_padding_mode:pss \
    -pkeyopt rsa_pss_saltlen:32 2>/dev/null
check "signature in, RSA" 0 "RSA-2048" godwit release sign away/ --public rsa2.pub.pem --signature-in sig2
check "verifies by RSA" 0 "every frame" godwit release verify away/ --trust rsa.cose

# ---- Altered and truncated ---------------------------------------------------------------------------------------
altered() { rm -rf bad; cp -r rel bad; }
altered; payload=$(echo bad/payloads/*); printf 'X' | dd of="$payload" bs=1 seek=5000 conv=notrunc status=none
check "an altered payload" 1 "FRAME_HASH" godwit release verify bad/ --trust trust.cose
altered; truncate -s -1 bad/payloads/*
check "a short payload" 1 "PAYLOAD_SHORT" godwit release verify bad/ --trust trust.cose
altered; echo >> "$(echo bad/payloads/*)"
check "a long payload" 1 "PAYLOAD_LONG" godwit release verify bad/ --trust trust.cose
altered; rm bad/payloads/*
check "a missing payload" 3 "No such file" godwit release verify bad/ --trust trust.cose
check "inspect says which is missing" 0 "bad/payloads" godwit release inspect bad/
altered; truncate -s -1 bad/manifest.cose
check "a truncated manifest" 1 "TRUNCATED" godwit release verify bad/ --trust trust.cose
altered; : > bad/manifest.cose
check "an empty manifest" 1 "no manifest" godwit release inspect bad/
altered; printf '\0' | dd of=bad/manifest.cose bs=1 seek=60 conv=notrunc status=none
check "an altered manifest" 1 "" godwit release verify bad/ --trust trust.cose
head -c 100 trust.cose > cut.cose; cp trust.cose.roots.pem cut.cose.roots.pem
check "a truncated bundle" 1 "TRUNCATED" godwit release verify rel/ --trust cut.cose
check "no release" 3 "holds no manifest.cose" godwit release inspect precious
head -c 1000 firmware.bin > noise.bin
check "inspect garbage" 1 "FORMAT" godwit inspect noise.bin
check "inspect something large" 1 "LIMIT" godwit inspect firmware.bin
check "inspect a folder that is not there" 3 "does not" godwit release inspect nowhere/

# ---- Devices -----------------------------------------------------------------------------------------------------
provision="godwit device provision --vendor example.com --class sensor-c3 --hardware 1"
provision="$provision --root root1.pub.pem --root root2.pub.pem"
check "device provision" 0 "identity of dev1" $provision --id dev1 --device-key device.pem --kek fleet=fleet.kek -o \
    dev1.identity
holds "identities are 0600" mode_is dev1.identity 600
check "provision does not overwrite" 1 "not overwritten" $provision --id dev1 -o dev1.identity
check "a bad device id" 1 "is no device id" $provision --id "dev 1" -o x.identity
check "a public device key" 1 "public key" $provision --id x --device-key device.pub.pem -o x.identity
check "inspect hides secrets" 0 "secret: hidden" godwit inspect dev1.identity
secret=$(openssl pkey -in device.pem -text -noout 2>/dev/null | sed -n '/priv:/,/pub:/p' | tr -dc '0-9a-f' | cut -c1-20)
holds "no secret is printed" test -z "$(godwit inspect dev1.identity --json | grep -i "${secret:-missing}")"
init="godwit-device init dev1 --identity dev1.identity --slot-size 256K"
check "a bundle by other roots" 1 "refused by the roots" godwit-device init dev1 --identity dev1.identity --trust \
    rsa.cose
check "init" 0 "limited layout" $init --trust trust.cose
check "init does not overwrite" 1 "not overwritten" $init --trust trust.cose
holds "the flash is 0600" mode_is dev1/flash.bin 600
check "a bad layout" 1 "LAYOUT" godwit-device init dev2 --identity dev1.identity --trust trust.cose --write-size 3
check "layout check" 0 "room for an image" godwit layout check dev1/ --image firmware.bin
check "an image that does not fit" 1 "SLOT_SMALL" godwit layout check dev1/ --image "$(command -v godwit)"
check "nothing to boot" 1 "NO_IMAGE" godwit-device boot dev1
check "a cut" 77 "power cut" godwit-device install dev1 rel/ --cut-at 21
check "status while it is off" 0 "running: off" godwit-device status dev1
check "another cut" 77 "power cut" godwit-device install dev1 rel/ --cut-at 9
check "install goes on" 0 "is STAGED" godwit-device install dev1 rel/
check "boot" 0 "starts slot A, which is TRYING" godwit-device boot dev1 --cause software
check "install before confirm" 1 "NOT_CONFIRMED" godwit-device install dev1 big/
check "confirm" 0 "confirm is recorded" godwit-device confirm dev1
check "steady" 0 "steady is recorded" godwit-device steady dev1
check "status" 0 "CONFIRMED" godwit-device status dev1
check "status --json" 0 '"state": "CONFIRMED"' godwit-device status dev1 --json
check "inspect flash.bin" 0 "record: boot" godwit inspect dev1/flash.bin
python=${PYTHON:-/usr/bin/python3}
slot=$("$python" -c "import json; print(json.load(open('dev1/layout.json'))['slots'][0][0])")
tail -c +$((slot + 1)) dev1/flash.bin | head -c 70000 > installed.bin
holds "the installed image is the original" same firmware.bin installed.bin
check "the same release again" 1 "OLDER" godwit-device install dev1 rel/
check "a head by an unknown key" 1 "KEY_UNKNOWN" godwit-device install dev1 big/
rm big/head.cose
check "a component without a place" 1 "COMPONENT" godwit-device install dev1 big/
check "a revoking bundle waits" 0 "waits" godwit-device trust dev1 trust3.cose
check "an older bundle" 1 "TRUST_OLDER" godwit-device trust dev1 trust2.cose
check "a forged bundle" 1 "refused" godwit-device trust dev1 rsa.cose
check "a release for another class" 0 "" godwit release build firmware.bin --version 3.0.0 --vendor example.com \
    --class other -o class/
godwit release sign class/ --key other.pem 2>/dev/null
check "is refused by class" 1 "CLASS" godwit-device install dev1 class/
check "a release for another device" 0 "" $build --version 3.0.0 --device dev9 -o one/
godwit release sign one/ --key other.pem 2>/dev/null
check "is refused by id" 1 "DEVICE" godwit-device install dev1 one/
check "the next release, by the new author" 0 "" $build --version 3.0.1 --encrypt-to kek:fleet=fleet.kek -o next/
godwit release sign next/ --key other.pem 2>/dev/null
check "is installed" 0 "is STAGED" godwit-device install dev1 next/
check "reject needs a boot that tries it" 0 "slot B, which is TRYING" godwit-device boot dev1 --cause software
check "reject" 0 "reject is recorded" godwit-device reject dev1 --reason SELF_TEST
check "goes back" 0 "starts slot A" godwit-device boot dev1 --cause software
check "remembers" 1 "REJECTED_BEFORE" godwit-device install dev1 next/
check "a bad reason" 2 "expected 1 to 255" godwit-device reject dev1 --reason 999
check "a bad cause" 2 "--cause flood" godwit-device boot dev1 --cause flood
echo factory-image-factory-image > factory.bin
check "provision with a factory image" 0 "" $provision --id dev3 --factory factory.bin --device-key device.pem -o \
    dev3.identity
check "init without it" 1 "names a factory image" godwit-device init dev3 --layout extended --identity dev3.identity \
    --trust trust.cose
check "init with it, mixed blocks" 0 "extended" godwit-device init dev3 --layout extended --identity dev3.identity \
    --trust trust.cose --factory factory.bin --erase-size mixed --write-size 32 --data 7=128K
check "boots the factory image" 0 "starts slot factory" godwit-device boot dev3
check "an unsigned release" 1 "SIGNERS_FEW" godwit-device install dev3 plain/
check "a release with a data component" 0 "is STAGED" godwit-device install dev3 big/
check "boots it" 0 "starts slot A, which is TRYING" godwit-device boot dev3
data=$("$python" -c "import json; print(json.load(open('dev3/layout.json'))['data'][0]['areas'][0][0])")
tail -c +$((data + 1)) dev3/flash.bin | head -c 70000 > installed.bin
holds "the data component is installed" same firmware.bin installed.bin
check "gives up" 0 "" godwit-device reject dev3
check "back to the factory image" 0 "starts slot factory" godwit-device boot dev3

# ---- Over a serial line ------------------------------------------------------------------------------------------
# listens DEVICE OPTION...: the device listens on $line, in the background.
listens() {
    : > port.txt # or the one before is found
    godwit-device listen "$@" --tcp 127.0.0.1:0 --once > port.txt 2> listen.txt 9<&- &
    device=$!
    for _ in $(seq 200); do grep -q listening port.txt && break; sleep 0.05; done
    line=$(sed -n 's/listening on //p' port.txt)
}
ends() { local got=0; wait "$device" || got=$?; [ "$got" = "$1" ]; }
check "a device for pushing" 0 "limited layout" godwit-device init dev4 --identity dev1.identity --trust trust.cose \
    --slot-size 256K
check "push to nobody" 3 "cannot connect" godwit push rel/ --tcp 127.0.0.1:1
check "push by no way" 2 "expected one of" godwit push rel/
check "push nothing" 2 "nothing to push" godwit push --tcp 127.0.0.1:1
check "push to a bad address" 2 "HOST:PORT" godwit push rel/ --tcp localhost
check "push at an odd rate" 2 "--baud 12345" godwit push rel/ --serial /dev/null --baud 12345
check "push to no serial port" 3 "no serial port" godwit push rel/ --serial /dev/null
check "listen at a bad address" 2 "expected an IPv4 address" godwit-device listen dev4 --tcp here:0
listens dev4
check "push --status" 0 "slot: none" godwit push --status --tcp "$line"
holds "listen --once ends with its host" ends 0
listens dev4 --cut-at 30
check "push, and the power goes" 3 "goes on where it stopped" godwit push rel/ --tcp "$line"
holds "the device is off" ends 77
listens dev4
check "push goes on" 0 "goes on: " godwit push rel/ --tcp "$line" --restart
holds "and restarts the device" grep -q "restarted: runs from slot A, TRYING" listen.txt
holds "which ends well" ends 0
listens dev4
check "push --status --json" 0 '"state at boot": "TRYING"' godwit push --status --json --tcp "$line"
wait "$device"; listens dev4
check "push before confirm" 1 "NOT_CONFIRMED" godwit push big/ --tcp "$line"
wait "$device"
check "confirm what was pushed" 0 "confirm is recorded" godwit-device confirm dev4
listens dev4
check "push an older release" 1 "OLDER" godwit push rel/ --tcp "$line"
wait "$device"; listens dev4
check "push another class" 1 "KEY_UNKNOWN" godwit push class/ --tcp "$line"
wait "$device"; listens dev4
check "push a bundle" 0 "has the trust bundle" godwit push --trust trust3.cose --tcp "$line"
wait "$device"; listens dev4
check "push an older bundle" 1 "TRUST_OLDER" godwit push --trust trust.cose --tcp "$line"
wait "$device"
altered; cp next/manifest.cose bad/; rm -f bad/payloads/* bad/grants/*; cp next/payloads/* bad/payloads/
cp next/grants/* bad/grants/; printf 'X' | dd of="$(echo bad/payloads/*)" bs=1 seek=5000 conv=notrunc status=none
listens dev4
check "push an altered payload" 1 "SOURCE" godwit push bad/ --tcp "$line"
cp next/payloads/* bad/payloads/; truncate -s 20000 bad/payloads/*
wait "$device"; listens dev4
check "push a short payload" 1 "PAYLOAD_SHORT" godwit push bad/ --tcp "$line"
wait "$device"; rm bad/payloads/*; listens dev4
check "push without the payload" 3 "No such file" godwit push bad/ --tcp "$line"
wait "$device"
for name in $(seq 6); do
    godwit key new holder$name.pem 2>/dev/null
    godwit release grant next/ --to holder$name.pub.pem --with kek:fleet=fleet.kek 2>/dev/null
done
listens dev4
check "push a release with many grants" 0 "of 7" godwit push next/ --tcp "$line"
wait "$device"

# ---- Damaged devices ---------------------------------------------------------------------------------------------
damaged() { rm -rf hurt; cp -r dev1 hurt; }
damaged; truncate -s -1 hurt/flash.bin
check "a truncated flash file" 1 "LAYOUT" godwit-device status hurt
damaged; rm hurt/flash.bin
check "no flash file" 3 "No such file" godwit-device boot hurt
damaged; echo '{}' > hurt/layout.json
check "a foreign layout.json" 1 "no layout that this program wrote" godwit-device status hurt
damaged; head -c 50 dev1/layout.json > hurt/layout.json
check "a truncated layout.json" 1 "no JSON" godwit-device status hurt
damaged; sed -i 's/"write size": 16/"write size": 64/' hurt/layout.json
check "a layout.json with another write unit" 1 "LAYOUT" godwit-device status hurt
damaged; head -c "$(stat -c %s hurt/flash.bin)" /dev/urandom > hurt/flash.bin
check "a flash of noise" 1 "NO_IMAGE" godwit-device boot hurt
check "is described all the same" 0 "kind: device" godwit inspect hurt
check "no device" 3 "holds no layout.json" godwit-device status precious
exec 9< dev1/flash.bin; flock -x 9
check "a device in use" 3 "in use" godwit-device boot dev1
exec 9<&-

# ---- Disk full, usage, help --------------------------------------------------------------------------------------
check "stdout is full" 3 "cannot write to stdout" sh -c 'godwit reasons > /dev/full'
check "a folder that cannot be written" 3 "cannot" godwit key new /proc/author.pem
mkdir full
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=64k tmpfs full 2>/dev/null; then
    check "disk full: release" 3 "No space" $build --version 1.0.0 -o full/rel
    holds "disk full: nothing is left" test -z "$(ls -A full)"
    check "disk full: device" 3 "No space" godwit-device init full/dev --identity dev1.identity --trust trust.cose
    holds "disk full: no flash file under its name" test ! -e full/dev/flash.bin
    umount full
fi
# Where no file system can be mounted: a limit on file sizes fails writes in the same way.
check "no room: release" 3 "cannot write" bash -c "trap '' XFSZ; ulimit -f 32; $build --version 1.0.0 -o small"
holds "no room: nothing is left" test ! -e small
check "no room: device" 3 "cannot write" bash -c \
    "trap '' XFSZ; ulimit -f 32; godwit-device init small --identity dev1.identity --trust trust.cose"
holds "no room: no flash file under its name" test ! -e small/flash.bin
check "no command" 2 "no such command" godwit
check "an unknown command" 2 "no such command" godwit key forge
check "a noun alone: its help" 2 "next: godwit rollout --help" godwit rollout
check "an unknown verb: its noun's help" 2 "next: godwit rollout --help" godwit rollout list
# Every command that a hint, a message, a comment or a document names.
godwit help --markdown > reference.md
nouns="key|release|patch|device|class|layout|rollout|server|report"
(cd "$root" && grep -rhoE "\`godwit ($nouns) [a-z]+" cli host server ports docs README.md SPEC.md) |
    cut -d' ' -f2,3 | sort -u > named
holds "many commands are named" test "$(wc -l < named)" -gt 15
while read -r noun verb; do
    holds "godwit $noun $verb, which is named, is a command" grep -qE "godwit $noun $verb( |\`|$)" reference.md
done < named
check "an unknown option" 2 "no such option" godwit key new y.pem --fast
check "an option twice" 2 "given twice" godwit key new y.pem --type p256 --type p256
check "help" 0 "godwit release build" godwit --help
check "help of a noun" 0 "key bundle" godwit key --help
check "help of a command" 0 "--cut-at N" godwit-device install --help
check "the reference page" 0 '| `--frame-size BYTES` |' godwit help --markdown
check "reasons" 0 "FRAME_HASH" godwit reasons
check "reasons --json" 0 '"reason": 96' godwit reasons --json
holds "no temporary files are left" no_leftovers
lines=$(sed -e '/^\/\*/,/\*\//d' -e '/^ *$/d' "$root/examples/minimal/main.c" | wc -l)
holds "examples/minimal has $lines lines, at most 30" test "$lines" -le 30

sum_up cli
