#!/usr/bin/python3
"""Decodes releases made by `godwit` with nothing but SPEC.md, an independent CBOR library and an independent crypto
library: signatures by bundle and roots, both kinds of grants, payload keys, frame chains, images.

Not a line of Godwit's code is used here; the programs only make what is decoded. GODWIT_BIN: folder of the programs;
GODWIT_TMP: an empty folder. The last line is `stranger: N passed, N failed`.
"""
import hashlib
import itertools
import os
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import cbor2
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(os.environ.get("GODWIT_BIN", ROOT / "build/host/bin")).resolve()
results = {"passed": 0, "failed": 0}


def test(name, good):
    results["passed" if good else "failed"] += 1
    if not good:
        print(f"FAILED: {name}")
    return good


def sha256(data):
    return hashlib.sha256(data).digest()


def hkdf(secret, info, size):
    return HKDF(algorithm=hashes.SHA256(), length=size, salt=None, info=info).derive(secret)


def u32(value):
    return value.to_bytes(4, "big")


def parse(data):
    """Section 1: deterministic encoding, nothing behind the end."""
    value = cbor2.loads(data)
    test("deterministic encoding", cbor2.dumps(value, canonical=True) == data)
    return value


# ---- Section 2: keys, signatures, policies -------------------------------------------------------

def thumbprint(key):
    required = (1, -1, -2, -3) if key[1] == 2 else (1, -1, -2)
    return sha256(cbor2.dumps({k: key[k] for k in required}, canonical=True))


def signature_holds(key, signature, message):
    try:
        if key[3] == -7:
            numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(key[-2], "big"), int.from_bytes(key[-3], "big"),
                                                    ec.SECP256R1())
            if len(signature) != 64:
                return False
            der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
            numbers.public_key().verify(der, message, ec.ECDSA(hashes.SHA256()))
        else:
            numbers = rsa.RSAPublicNumbers(e=int.from_bytes(key[-2], "big"), n=int.from_bytes(key[-1], "big"))
            pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
            numbers.public_key().verify(signature, message, pss, hashes.SHA256())
        return True
    except InvalidSignature:
        return False


def signers(cose, type_string, keys):
    """Thumbprints of those of `keys` that signed; and the signed bytes."""
    body_protected, unprotected, payload, signatures = cose
    assert body_protected == b"" and unprotected == {}
    found = set()
    for protected, header, signature in signatures:
        message = cbor2.dumps(["Signature", body_protected, protected, type_string.encode(), payload], canonical=True)
        for key in keys:
            named = cbor2.loads(protected) == {1: key[3]} and header[4] == thumbprint(key)[:8]
            if named and signature_holds(key, signature, message):
                found.add(thumbprint(key))
    return found, payload


def satisfied(policy, roles_of):
    """roles_of: thumbprint -> roles of each key that signed. Every non-empty set of lines."""
    for size in range(1, len(policy) + 1):
        for lines in itertools.combinations(policy, size):
            roles = 0
            for line_roles, _ in lines:
                roles |= line_roles
            if sum(1 for r in roles_of.values() if r & roles) < sum(count for _, count in lines):
                return False
    return True


def key_of_pem(path):
    key = serialization.load_pem_public_key(path.read_bytes())
    numbers = key.public_numbers()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
    size = lambda n: (n.bit_length() + 7) // 8
    return {1: 3, 3: -37, -1: numbers.n.to_bytes(size(numbers.n), "big"),
            -2: numbers.e.to_bytes(size(numbers.e), "big")}


# ---- Sections 5 and 6: content key, payloads -----------------------------------------------------

def unwrap(kek, wrapped):
    return aes_key_unwrap(kek, wrapped)


def open_grant(grant, digest, keks, privates):
    """The content key, with a pre-shared KEK by its name, or a private key by its key id."""
    protected, unprotected, content, recipients = cbor2.loads(grant)
    header = cbor2.loads(protected)
    assert header[-70001] == digest and unprotected == {} and content is None
    for sealed, header, wrapped in recipients:
        kid = header[4]
        if sealed == b"" and kid in keks:
            assert header[1] == {16: -3, 32: -5}[len(keks[kid])]
            return unwrap(keks[kid], wrapped)
        if sealed != b"" and kid in privates:
            algorithm = cbor2.loads(sealed)[1]
            bits, wrap = {-29: (128, -3), -31: (256, -5)}[algorithm]
            point = header[-1]
            assert point[1] == 2 and point[-1] == 1
            peer = ec.EllipticCurvePublicNumbers(int.from_bytes(point[-2], "big"), int.from_bytes(point[-3], "big"),
                                                 ec.SECP256R1()).public_key()
            shared = privates[kid].exchange(ec.ECDH(), peer)
            context = cbor2.dumps([wrap, [None] * 3, [None] * 3, [bits, sealed, digest]], canonical=True)
            return unwrap(hkdf(shared, context, bits // 8), wrapped)
    return None


def take_apart(data, payload):
    """The content of a payload file, frame by frame against the chain."""
    frame_size, expect, content, at = payload[4], payload[3], b"", 0
    full = (len(data) - 1) // (frame_size + 32)
    for i in range(full + 1):
        frame = data[at:at + frame_size + 32] if i < full else data[at:]
        if sha256(frame) != expect:
            return None
        content += frame[32:] if i < full else frame
        expect = frame[:32]
        at += len(frame)
    return content if len(data) - full * (frame_size + 32) <= frame_size else None


def decrypt(content, cek, cipher, component, variant, payload):
    if cipher is None:
        return content
    info = b"godwit payload" + u32(component) + u32(variant) + u32(payload)
    key = hkdf(cek, info, {-65534: 16, -65532: 32}[cipher])
    worker = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).decryptor()
    return worker.update(content) + worker.finalize()


# ---- A whole release -----------------------------------------------------------------------------

def check_bundle(path, roots):
    found, payload = signers(cbor2.loads(path.read_bytes()), "godwit/trust/1", roots)
    test("the bundle is signed by two roots", len(found) == 2)
    test("the bundle fits", path.stat().st_size <= 1536)
    trust = parse(payload)
    test("the bundle's keys are known fields", set(trust) <= {1, 2, 3, 4, 5, 6, 7, 8, 9} and trust[1] == 1)
    return trust


def check_manifest(release, trust):
    cose = (release / "manifest.cose").read_bytes()
    test("the manifest fits", len(cose) <= 4032)
    keys = {thumbprint(key): (roles, key) for roles, key in trust[4] if thumbprint(key) not in trust.get(5, [])}
    found, payload = signers(cbor2.loads(cose), "godwit/manifest/1", [key for _, key in keys.values()])
    policy = trust.get(6, [[1, 1]])
    test("the policy is satisfied", satisfied(policy, {t: keys[t][0] for t in found}))
    wrong, _ = signers(cbor2.loads(cose), "godwit/trust/1", [key for _, key in keys.values()])
    test("the signature is none of another type", not wrong)
    manifest = parse(payload)
    test("the manifest's fields are known", set(manifest) <= set(range(1, 14)) and manifest[1] == 1)
    test("the epoch is the bundle's", manifest[2] == trust[3])
    return manifest, sha256(payload)


def check_head(release, trust, manifest):
    path = release / "head.cose"
    if not path.exists():
        return
    distributors = [key for roles, key in trust[4] if roles & 4]
    found, payload = signers(cbor2.loads(path.read_bytes()), "godwit/head/1", distributors)
    head = parse(payload)
    test("the head is signed by a distributor", len(found) == 1)
    test("the head is for this class and release", head[2] == manifest[6] and head[4] == [manifest[2], manifest[3]])


def check_payloads(release, manifest, cek, images):
    for component in manifest[7]:
        for v, variant in enumerate(component[3]):
            for p, payload in enumerate(variant[4]):
                data = (release / "payloads" / payload[1].hex()).read_bytes()
                test("name and size of a payload", sha256(data) == payload[1] and len(data) == payload[2])
                content = take_apart(data, payload)
                if not test("every frame fits the chain", content is not None):
                    continue
                image = decrypt(content, cek, payload.get(7), component[1], v, p)
                test("the image is as signed", sha256(image) == variant[2] and len(image) == variant[3])
                test("the image is the original", image == images[component[1]][v])
                broken = bytearray(data)
                broken[len(broken) // 2] ^= 1
                test("a flipped bit breaks the chain", take_apart(bytes(broken), payload) is None)


def check_release(release, trust, keks, privates, images):
    manifest, digest = check_manifest(release, trust)
    vendor = uuid.uuid5(uuid.NAMESPACE_DNS, "example.com")
    test("vendor id", manifest[5] == vendor.bytes)
    test("class id", manifest[6] == uuid.uuid5(vendor, "sensor-c3").bytes)
    check_head(release, trust, manifest)
    ceks = {open_grant(g.read_bytes(), digest, {kid: key}, {}) for g in (release / "grants").glob("*.cose")
            for kid, key in keks.items()}
    ceks |= {open_grant(g.read_bytes(), digest, {}, {kid: key}) for g in (release / "grants").glob("*.cose")
             for kid, key in privates.items()}
    ceks.discard(None)
    if 12 in manifest:
        opened = sum(1 for g in (release / "grants").glob("*.cose")
                     if open_grant(g.read_bytes(), digest, keks, privates) is not None)
        test("every grant opens", opened == len(keks) + len(privates))
        if not test("all grants hold one content key", len(ceks) == 1):
            return
        cek = ceks.pop()
        test("the key check value", hkdf(cek, b"godwit key check", 8) == manifest[12])
    else:
        cek = None
    check_payloads(release, manifest, cek, images)


# ---- What the programs make ----------------------------------------------------------------------

def godwit(work, *arguments):
    subprocess.run([BIN / "godwit", *arguments], cwd=work, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def make_keys(work):
    for name in ("author", "approver", "distributor", "root1", "device"):
        godwit(work, "key", "new", f"{name}.pem")
    godwit(work, "key", "new", "root2.pem", "--type", "rsa3072")
    godwit(work, "key", "new", "rsa.pem", "--type", "rsa2048")
    godwit(work, "key", "new", "fleet.kek", "--type", "kek")
    godwit(work, "key", "new", "old.kek", "--type", "kek128")
    godwit(work, "key", "bundle", "--root", "root1.pem", "--root", "root2.pem", "--author", "author.pem", "--approver",
           "approver.pem", "--approver", "rsa.pem", "--distributor", "distributor.pem", "--policy",
           "author=1,approver=1", "--version", "1", "--epoch", "3", "-o", "trust.cose")


def build(work, name, *more):
    godwit(work, "release", "build", "firmware.bin", "--version", "1.4.0", "--epoch", "3", "--vendor", "example.com",
           "--class", "sensor-c3", "-o", name, *more)
    godwit(work, "release", "sign", name, "--key", "author.pem")


def private_key(work, name):
    return serialization.load_pem_private_key((work / name).read_bytes(), None)


def check_identity(work, roots, device, kek):
    godwit(work, "device", "provision", "--id", "dev1", "--vendor", "example.com", "--class", "sensor-c3", "--hardware",
           "2", "--root", "root1.pub.pem", "--root", "root2.pub.pem", "--device-key", "device.pem", "--kek",
           "fleet=fleet.kek", "--factory", "firmware.bin", "-o", "dev1.identity")
    identity = parse((work / "dev1.identity").read_bytes())
    test("the identity's roots", identity[6] == [2, *roots])
    test("the identity's factory image", identity[7] == [(work / "firmware.bin").stat().st_size,
                                                         sha256((work / "firmware.bin").read_bytes())])
    test("the identity's KEK", identity[8] == [[b"fleet", kek]])
    number = device.private_numbers().private_value.to_bytes(32, "big")
    test("the identity's private key", identity[9][0][1] == number)
    test("who it is", identity[4] == "dev1" and identity[5] == 2)


def check_server_cas(work, roots):
    """A bundle that brings the CAs of servers: item 9 holds their certificates as they are."""
    cas = []
    for name in ("ca1", "ca2"):
        subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"], cwd=work, check=True,
                       capture_output=True)
        cert = x509.load_pem_x509_certificate((work / f"{name}.pem").read_bytes())
        cas.append(cert.public_bytes(serialization.Encoding.DER))
    godwit(work, "key", "bundle", "--root", "root1.pem", "--root", "root2.pem", "--author", "author.pem",
           "--server-ca", "ca1.pem", "--server-ca", "ca2.pem", "--version", "2", "--epoch", "3", "-o", "cas.cose")
    trust = check_bundle(work / "cas.cose", roots)
    test("the bundle's CAs of servers", trust.get(9) == cas)


def main(work):
    image, data = os.urandom(50_001), os.urandom(4096 * 3)
    (work / "firmware.bin").write_bytes(image)
    (work / "data.bin").write_bytes(data)
    make_keys(work)
    roots = [key_of_pem(work / "root1.pub.pem"), key_of_pem(work / "root2.pub.pem")]
    trust = check_bundle(work / "trust.cose", roots)
    test("a bundle without CAs of servers", 9 not in trust)
    check_server_cas(work, roots)
    fleet = bytes.fromhex((work / "fleet.kek").read_text().strip())
    old = bytes.fromhex((work / "old.kek").read_text().strip())
    device = private_key(work, "device.pem")
    kid = thumbprint(key_of_pem(work / "device.pub.pem"))[:8]

    build(work, "rel128", "--encrypt-to", "device.pub.pem", "--encrypt-to", "kek:fleet=fleet.kek", "--encrypt-to",
          "kek:old=old.kek")
    godwit(work, "release", "sign", "rel128", "--key", "approver.pem")
    godwit(work, "release", "head", "rel128", "--key", "distributor.pem")
    check_release(work / "rel128", trust, {b"fleet": fleet, b"old": old}, {kid: device}, {0: [image]})

    build(work, "rel256", "--encrypt", "aes256", "--encrypt-to", "device.pub.pem", "--encrypt-to",
          "kek:fleet=fleet.kek", "--data", "7=data.bin", "--frame-size", "512", "--floor", "5", "--device", "dev1",
          "--needs-hardware", "1-3")
    godwit(work, "release", "sign", "rel256", "--key", "rsa.pem")
    check_release(work / "rel256", trust, {b"fleet": fleet}, {kid: device}, {0: [image], 7: [data]})

    build(work, "plain", "--data", "9=data.bin")
    godwit(work, "release", "sign", "plain", "--key", "approver.pem")
    check_release(work / "plain", trust, {}, {}, {0: [image], 9: [data]})
    check_identity(work, roots, device, fleet)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=os.environ.get("GODWIT_TMP")) as folder:
        main(Path(folder))
    print(f"stranger: {results['passed']} passed, {results['failed']} failed")
    sys.exit(results["failed"] != 0)
