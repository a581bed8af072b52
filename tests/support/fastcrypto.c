/*
 * fastcrypto.c - see fastcrypto.h. Deterministic; the hash takes eight bytes at a time and mixes well enough that no
 * accident of a test goes unseen. NOT CRYPTOGRAPHY.
 */
#include "fastcrypto.h"

#include <string.h>

/*
 * ---- A 256-bit hash: four lanes over 32-byte pieces
 * ----------------------------------------------------------------
 */

struct hash {
    uint64_t lane[4];
    uint64_t length;
    uint8_t held[32];
};
_Static_assert(sizeof(struct hash) <= sizeof(struct gw_sha256), "the state fits the seam's room");

static uint64_t mix(uint64_t v)
{
    v = (v ^ (v >> 32)) * 0xd6e8feb86659fd93u;
    v = (v ^ (v >> 29)) * 0x9e3779b97f4a7c15u;
    return v ^ (v >> 32);
}

static uint64_t load(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static void absorb(struct hash *h, const uint8_t piece[32])
{
    for (unsigned i = 0; i < 4; i++) {
        uint64_t v = (h->lane[i] ^ load(piece + 8 * i)) * 0xa0761d6478bd642fu;
        h->lane[i] = (v << 23 | v >> 41) + 0xe7037ed1a0b428dbu * (i + 1);
    }
}

static int hash_start(void *ctx, struct gw_sha256 *state)
{
    struct hash h = { { 0x243f6a8885a308d3u, 0x13198a2e03707344u, 0xa4093822299f31d0u, 0x082efa98ec4e6c89u },
                      0,
                      { 0 } };

    (void)ctx;
    memcpy(state, &h, sizeof h);
    return 0;
}

static int hash_update(void *ctx, struct gw_sha256 *state, const void *data, size_t n)
{
    struct hash *h = (struct hash *)(void *)state;
    const uint8_t *p = data;
    size_t held = h->length % 32;

    (void)ctx;
    h->length += n;
    if (held > 0) {
        size_t take = n < 32 - held ? n : 32 - held;
        memcpy(h->held + held, p, take);
        p += take;
        n -= take;
        if (held + take < 32) {
            return 0;
        }
        absorb(h, h->held);
    }
    for (; n >= 32; n -= 32, p += 32) {
        absorb(h, p);
    }
    if (n > 0) {
        memcpy(h->held, p, n);
    }
    return 0;
}

static int hash_finish(void *ctx, struct gw_sha256 *state, uint8_t digest[32])
{
    struct hash h;

    (void)ctx;
    memcpy(&h, state, sizeof h);
    memset(h.held + h.length % 32, 0, 32 - h.length % 32);
    absorb(&h, h.held);
    for (unsigned round = 0; round < 4; round++) {
        uint64_t sum = mix(h.lane[0] + h.lane[1] * 3 + h.lane[2] * 5 + h.lane[3] * 7 + h.length + round);
        for (unsigned i = 0; i < 4; i++) {
            h.lane[i] = mix(h.lane[i] + sum + i);
        }
    }
    memcpy(digest, h.lane, 32);
    return 0;
}

/* A hash with a name, over up to three parts. */
static void named(const char *name, const void *a, size_t an, const void *b, size_t bn, const void *c, size_t cn,
                  uint8_t out[32])
{
    struct gw_sha256 h;

    hash_start(NULL, &h);
    hash_update(NULL, &h, name, strlen(name) + 1);
    hash_update(NULL, &h, a, an);
    hash_update(NULL, &h, b, bn);
    hash_update(NULL, &h, c, cn);
    hash_finish(NULL, &h, out);
}

/*
 * ---- Signatures: keyed by the public key, which anybody has
 * ----------------------------------------------------------
 */

static void sign_with(const uint8_t *x, size_t xn, const uint8_t *y, size_t yn, const uint8_t digest[32], uint8_t *sig,
                      size_t n)
{
    uint8_t part[32];

    for (size_t at = 0; at < n; at += 32) {
        named("sign", x, xn, y, yn, digest, 32, part);
        part[0] = (uint8_t)(part[0] ^ (at / 32));
        memcpy(sig + at, part, n - at < 32 ? n - at : 32);
    }
}

static int verify(void *ctx, const struct gw_pubkey *key, const uint8_t digest[32], const uint8_t *signature,
                  size_t size)
{
    uint8_t expected[512];
    bool es = key->algorithm == GW_ALG_ES256;
    size_t n = es ? 64 : key->x.n;

    (void)ctx;
    if ((es && (key->x.n != 32 || key->y.n != 32)) || n == 0 || n > sizeof expected) {
        return GW_ERR_KEY_WEAK;
    }
    sign_with(key->x.p, key->x.n, key->y.p, key->y.n, digest, expected, n);
    return size == n && memcmp(expected, signature, n) == 0 ? 0 : GW_ERR_SIGNATURE;
}

/*
 * ---- Ciphers
 * -------------------------------------------------------------------------------------------------------------
 */

static int aes_ctr(void *ctx, const uint8_t *key, size_t key_size, uint32_t block, uint8_t *data, size_t n)
{
    uint64_t seed = load(key) + mix(load(key + 8)) + key_size;

    (void)ctx;
    for (size_t i = 0; i < n; i += 8) {
        uint64_t stream = mix(seed + 2u * (uint64_t)block + i / 8);
        for (size_t k = 0; k < 8 && i + k < n; k++) {
            data[i + k] = (uint8_t)(data[i + k] ^ (stream >> (8 * k)));
        }
    }
    return 0;
}

/* A Feistel network of four rounds: a permutation of 16 bytes with an inverse. */
static void feistel(const uint8_t *key, size_t key_size, const uint8_t in[16], uint8_t out[16], bool backwards)
{
    uint64_t a = load(in), b = load(in + 8), seed = load(key) + mix(load(key + 8)) + key_size;

    for (unsigned i = 0; i < 4; i++) {
        unsigned round = backwards ? 3 - i : i;
        if (backwards) {
            uint64_t was = b ^ mix(a + seed + round);
            b = a;
            a = was;
        } else {
            uint64_t next = a ^ mix(b + seed + round);
            a = b;
            b = next;
        }
    }
    memcpy(out, &a, 8);
    memcpy(out + 8, &b, 8);
}

static int aes_decrypt(void *ctx, const uint8_t *key, size_t key_size, const uint8_t in[16], uint8_t out[16])
{
    (void)ctx;
    feistel(key, key_size, in, out, true);
    return 0;
}

static int aes_encrypt(void *ctx, const uint8_t *key, size_t key_size, const uint8_t in[16], uint8_t out[16])
{
    (void)ctx;
    feistel(key, key_size, in, out, false);
    return 0;
}

/*
 * ---- Agreement: powers of 3 modulo 2^61 - 1
 * ---------------------------------------------------------------------------
 */

#define PRIME 0x1fffffffffffffffu

/* a * b modulo PRIME, both below it; without 128-bit integers, which 32-bit targets lack: 2^61 is 1. */
static uint64_t times(uint64_t a, uint64_t b)
{
    const uint64_t low31 = 0x7fffffffu, low30 = 0x3fffffffu;
    uint64_t a1 = a >> 31, a0 = a & low31, b1 = b >> 31, b0 = b & low31;
    uint64_t middle = a0 * b1 + a1 * b0; /* times 2^31 */
    uint64_t sum = a1 * b1 * 2 + (middle >> 30) + ((middle & low30) << 31) + a0 * b0;

    return sum % PRIME;
}

static uint64_t power(uint64_t base, uint64_t exponent)
{
    uint64_t result = 1;

    for (base %= PRIME; exponent > 0; exponent >>= 1) {
        if (exponent & 1) {
            result = times(result, base);
        }
        base = times(base, base);
    }
    return result;
}

static int ec_public(void *ctx, const uint8_t priv[32], uint8_t pub[64])
{
    uint64_t x = power(3, load(priv));

    (void)ctx;
    named("x", &x, sizeof x, "", 0, "", 0, pub);
    memcpy(pub, &x, sizeof x);
    named("y", pub, 32, "", 0, "", 0, pub + 32);
    return 0;
}

static int ecdh(void *ctx, const uint8_t priv[32], const uint8_t peer[64], uint8_t shared[32])
{
    uint8_t y[32];
    uint64_t x;

    (void)ctx;
    named("y", peer, 32, "", 0, "", 0, y);
    if (memcmp(y, peer + 32, 32) != 0) {
        return -1; /* not on the "curve" */
    }
    x = power(load(peer), load(priv));
    named("shared", &x, sizeof x, "", 0, "", 0, shared);
    return 0;
}

/* As fastcrypto_signer() signs with the key of this private number. */
static int sign_as_device(void *ctx, const uint8_t priv[32], const uint8_t digest[32], uint8_t signature[64])
{
    uint8_t pub[64];

    ec_public(ctx, priv, pub);
    sign_with(pub, 32, pub + 32, 32, digest, signature, 64);
    return 0;
}

static int not_random(void *ctx, void *data, size_t n)
{
    (void)ctx;
    memset(data, 0x5d, n);
    return 0;
}

const struct gw_crypto fastcrypto = {
    .sha256_start = hash_start, .sha256_update = hash_update, .sha256_finish = hash_finish, .verify = verify,
    .aes_ctr = aes_ctr, .aes_decrypt = aes_decrypt, .ecdh = ecdh, .sign = sign_as_device, .random = not_random,
};
const struct gwh_crypto fastcrypto_host = { .gw = &fastcrypto, .aes_encrypt = aes_encrypt, .ec_public = ec_public };

/*
 * ---- Keys
 * ------------------------------------------------------------------------------------------------------------------
 */

void fastcrypto_key(struct fastcrypto_key *k, uint32_t number)
{
    named("key", &number, sizeof number, "", 0, "", 0, k->priv);
    ec_public(NULL, k->priv, k->pub);
}

size_t fastcrypto_sign(const struct gw_pubkey *key, const uint8_t digest[32], uint8_t *sig)
{
    size_t n = key->algorithm == GW_ALG_ES256 ? 64 : key->x.n;

    sign_with(key->x.p, key->x.n, key->y.p, key->y.n, digest, sig, n);
    return n;
}

static int sign(void *ctx, const uint8_t digest[32], uint8_t *sig, size_t *n)
{
    struct fastcrypto_key *k = ctx;

    sign_with(k->pub, 32, k->pub + 32, 32, digest, sig, 64);
    *n = 64;
    return 0;
}

void fastcrypto_signer(struct gwh_signer *signer, struct fastcrypto_key *k, uint32_t roles)
{
    memset(signer, 0, sizeof *signer);
    signer->key = (struct gw_pubkey){ GW_ALG_ES256, roles, { k->pub, 32 }, { k->pub + 32, 32 } };
    signer->ctx = k;
    signer->sign = sign;
}
