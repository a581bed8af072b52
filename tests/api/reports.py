"""Reports (SPEC.md, section 18), made in Python: right ones, and wrong ones that no device of ours would make."""
import hashlib
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

CONFIRMED, STAGED, FAILED, LEFT, DECLINED = 1, 2, 3, 4, 5


def load(path):
    return serialization.load_pem_private_key(Path(path).read_bytes(), None)


def public(key):
    """x || y"""
    n = key.public_key().public_numbers()
    return n.x.to_bytes(32, "big") + n.y.to_bytes(32, "big")


def key_id(key):
    xy = public(key)
    return hashlib.sha256(cbor2.dumps({1: 2, -1: 1, -2: xy[:32], -3: xy[32:]}, canonical=True)).digest()[:8]


def make(key, device, counter, state=CONFIRMED, *, aad=b"godwit/report/1", about=(1, 1), running=(1, 1), **more):
    fields = {1: 1, 2: device, 3: counter, 4: state, 12: 0, 13: 1, 14: 1, 15: 0, **more.pop("fields", {})}
    if about:
        fields[6] = list(about)
    if running:
        fields[11] = list(running)
    return sign(key, {k: v for k, v in fields.items() if v is not None}, aad)


def sign(key, fields, aad=b"godwit/report/1"):
    payload = cbor2.dumps(fields, canonical=True)
    protected = cbor2.dumps({1: -7})
    digest = cbor2.dumps(["Signature", b"", protected, aad, payload])
    r, s = utils.decode_dss_signature(key.sign(digest, ec.ECDSA(hashes.SHA256())))
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return cbor2.dumps([b"", {}, payload, [[protected, {4: key_id(key)}, signature]]])
