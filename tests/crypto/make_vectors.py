#!/usr/bin/python3
"""Writes tests/crypto/vectors.h: known answers for the crypto seam.

Published vectors stand here as text and are checked against python3-cryptography before they are written; what nobody
publishes (AES-CTR with a counter from zero, RSA-PSS with wrong salts) is made here. RSA keys are fresh in every run, so
the header is committed. """
from pathlib import Path

from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

OUT = Path(__file__).with_name("vectors.h")
text = []


def h(s):
    return bytes.fromhex(s.replace(" ", ""))


def put(name, data, comment=""):
    lines = [", ".join(f"0x{b:02x}" for b in data[i:i + 18]) for i in range(0, len(data), 18)]
    if comment:
        text.append(f"/* {comment} */")
    text.append(f"static const uint8_t {name}[{len(data)}] = {{\n    " + ",\n    ".join(lines) + ",\n};")


def sha256(data):
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize()


def hashing():
    put("sha_empty", sha256(b""), "SHA-256 of nothing, of \"abc\", and of 1000 bytes i * 7 (FIPS 180-4)")
    assert sha256(b"abc") == h("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    put("sha_abc", sha256(b"abc"))
    put("sha_1000", sha256(bytes(i * 7 & 255 for i in range(1000))))


def ctr(key, block, n):
    aes = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    blocks = (n + 15) // 16
    return b"".join(aes.update((block + i).to_bytes(16, "big")) for i in range(blocks))[:n]


def aes():
    for bits, key, first in [
            (128, "10a58869d74be5a374cf867cfb473859", "6d251e6944b051e04eaa6fb4dbf78465"),
            (256, "c47b0294dbbbee0fec4757f22ffeee3587ca4730c3d33b691df38bab076bc558",
             "46f2fb342d6f0ab477476fc501242c5f")]:
        key = h(key)
        assert ctr(key, 0, 16) == h(first)
        put(f"aes{bits}_key", key, f"AES-{bits}: CAVP KeySbox; the stream's first block is the published answer")
        put(f"aes{bits}_stream", ctr(key, 0, 77), "blocks 0 to 4")
        put(f"aes{bits}_stream_late", ctr(key, 0xfffffffe, 64), "from block 2^32 - 2: the counter carries past 32 bits")
    put("ecb128_key", h("2b7e151628aed2a6abf7158809cf4f3c"), "SP 800-38A F.1.2 and F.1.6, first block")
    put("ecb128_cipher", h("3ad77bb40d7a3660a89ecaf32466ef97"))
    put("ecb256_key", h("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"))
    put("ecb256_cipher", h("f3eed1bdb5d2a03c064b5a7e3db181f8"))
    put("ecb_plain", h("6bc1bee22e409f96e93d7e117393172a"))


def wrapping():
    data = h("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F")
    kek = bytes(range(32))
    cases = [("wrap_128_128", 16, 16, "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"),
             ("wrap_256_128", 32, 16, "64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7"),
             ("wrap_256_256", 32, 32,
              "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21")]
    put("wrap_data", data, "RFC 3394, 4.1, 4.3 and 4.6; the KEK is 00 01 02 ...")
    for name, kek_size, n, answer in cases:
        assert keywrap.aes_key_wrap(kek[:kek_size], data[:n]) == h(answer)
        put(name, h(answer))


def derivation():
    ikm = b"\x0b" * 22
    okm = HKDF(hashes.SHA256(), 42, None, b"").derive(ikm)
    assert okm == h("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
    put("hkdf_none", okm, "RFC 5869, test 3: no salt, no info; then with info \"godwit\", 64 bytes")
    put("hkdf_info", HKDF(hashes.SHA256(), 64, None, b"godwit").derive(ikm))


def ecdsa():
    x = h("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6")
    y = h("7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299")
    key = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()).public_key()
    put("p256_x", x, "RFC 6979, A.2.5")
    put("p256_y", y)
    put("p256_n", h("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"), "the order of the curve")
    for name, message, r, s in [
            ("sample", b"sample", "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
             "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"),
            ("test", b"test", "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
             "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083")]:
        der = utils.encode_dss_signature(int(r, 16), int(s, 16))
        key.verify(der, message, ec.ECDSA(hashes.SHA256()))
        put(f"p256_{name}_digest", sha256(message))
        put(f"p256_{name}_sig", h(r + s))


def agreement():
    x = h("700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287")
    y = h("db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac")
    d = h("7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534")
    z = h("46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b")
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
    peer = numbers.public_key()
    assert ec.derive_private_key(int.from_bytes(d, "big"), ec.SECP256R1()).exchange(ec.ECDH(), peer) == z
    put("ecdh_peer", x + y, "NIST CAVP, KAS ECC CDH primitive, P-256, count 0")
    put("ecdh_priv", d)
    public = ec.derive_private_key(int.from_bytes(d, "big"), ec.SECP256R1()).public_key().public_numbers()
    put("sign_pub", public.x.to_bytes(32, "big") + public.y.to_bytes(32, "big"), "public key of ecdh_priv")
    put("ecdh_shared", z)


def pss():
    digest = sha256(b"godwit")
    put("rsa_digest", digest, "RSA: keys and signatures made by make_vectors.py, over SHA-256 of \"godwit\"")
    for bits in (2048, 3072, 1024):
        key = rsa.generate_private_key(65537, bits)

        def sign(salt, key=key):
            scheme = padding.PSS(padding.MGF1(hashes.SHA256()), salt)
            return key.sign(digest, scheme, utils.Prehashed(hashes.SHA256()))

        put(f"rsa{bits}_n", key.public_key().public_numbers().n.to_bytes(bits // 8, "big"))
        put(f"rsa{bits}_sig", sign(32))
        if bits == 2048:
            put("rsa2048_sig_salt0", sign(0), "salts that PS256 does not have")
            put("rsa2048_sig_salt31", sign(31))
            put("rsa2048_sig_salt33", sign(33))
            put("rsa2048_sig_pkcs1", key.sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256())),
                "the older padding")
    put("rsa_e", h("010001"))


for part in (hashing, aes, wrapping, derivation, ecdsa, agreement, pss):
    part()
OUT.write_text("""/*
 * vectors.h - known answers for tests/crypto/kat.c. Written by make_vectors.py, which says where each comes from.
 */
#ifndef GODWIT_TESTS_CRYPTO_VECTORS_H
#define GODWIT_TESTS_CRYPTO_VECTORS_H

#include <stdint.h>

""" + "\n".join(text) + "\n\n#endif\n")
