/*
 * selftest_crypto.c - known answers for a crypto port; linked only if used. The lines are explained in
 * docs/porting.md.
 *
 * To be small, long answers are compared by the first bytes of their SHA-256, once SHA-256 itself has been checked. RSA
 * is not covered here (its vectors are half a kilobyte): tests/crypto does that.
 */
#include <string.h>

#include "hash.h"

enum line {
    LINE_PRESENT = 1, /* sha256_start, _update, _finish are there */
    LINE_SHA256 = 2,  /* in one piece */
    LINE_PIECES = 3,  /* in odd pieces, the state copied between them */
    LINE_RIGHT = 4,   /* ES256: a right signature */
    LINE_WRONG = 5,   /* ES256: another digest is GW_ERR_SIGNATURE, not a failure */
    LINE_CTR128 = 6,  /* AES-CTR from block 0, and from block 1 */
    LINE_CTR256 = 7,
    LINE_UNWRAP128 = 8, /* aes_decrypt, by RFC 3394 */
    LINE_UNWRAP256 = 9,
    LINE_ECDH = 10,
    LINE_RANDOM = 11, /* two draws differ */
};

/* RFC 6979, A.2.5: private key, x and y, signature of "sample" with SHA-256. */
static const uint8_t private_key[32] = {
    0xc9, 0xaf, 0xa9, 0xd8, 0x45, 0xba, 0x75, 0x16, 0x6b, 0x5c, 0x21, 0x57, 0x67, 0xb1, 0xd6, 0x93,
    0x4e, 0x50, 0xc3, 0xdb, 0x36, 0xe8, 0x9b, 0x12, 0x7b, 0x8a, 0x62, 0x2b, 0x12, 0x0f, 0x67, 0x21,
};
static const uint8_t public_key[64] = {
    0x60, 0xfe, 0xd4, 0xba, 0x25, 0x5a, 0x9d, 0x31, 0xc9, 0x61, 0xeb, 0x74, 0xc6, 0x35, 0x6d, 0x68,
    0xc0, 0x49, 0xb8, 0x92, 0x3b, 0x61, 0xfa, 0x6c, 0xe6, 0x69, 0x62, 0x2e, 0x60, 0xf2, 0x9f, 0xb6,
    0x79, 0x03, 0xfe, 0x10, 0x08, 0xb8, 0xbc, 0x99, 0xa4, 0x1a, 0xe9, 0xe9, 0x56, 0x28, 0xbc, 0x64,
    0xf2, 0xf1, 0xb2, 0x0c, 0x2d, 0x7e, 0x9f, 0x51, 0x77, 0xa3, 0xc2, 0x94, 0xd4, 0x46, 0x22, 0x99,
};
static const uint8_t signature[64] = {
    0xef, 0xd4, 0x8b, 0x2a, 0xac, 0xb6, 0xa8, 0xfd, 0x11, 0x40, 0xdd, 0x9c, 0xd4, 0x5e, 0x81, 0xd6,
    0x9d, 0x2c, 0x87, 0x7b, 0x56, 0xaa, 0xf9, 0x91, 0xc3, 0x4d, 0x0e, 0xa8, 0x4e, 0xaf, 0x37, 0x16,
    0xf7, 0xcb, 0x1c, 0x94, 0x2d, 0x65, 0x7c, 0x41, 0xd4, 0x36, 0xc7, 0xa1, 0xb6, 0xe2, 0x9f, 0x65,
    0xf3, 0xe9, 0x00, 0xdb, 0xb9, 0xaf, 0xf4, 0x06, 0x4d, 0xc4, 0xab, 0x2f, 0x84, 0x3a, 0xcd, 0xa8,
};

/* RFC 3394, 4.1 and 4.3: keys 00 01 02 .., data 00 11 .. ff. */
static const uint8_t wrapped[2][24] = {
    { 0x1f, 0xa6, 0x8b, 0x0a, 0x81, 0x12, 0xb4, 0x47, 0xae, 0xf3, 0x4b, 0xd8,
      0xfb, 0x5a, 0x7b, 0x82, 0x9d, 0x3e, 0x86, 0x23, 0x71, 0xd2, 0xcf, 0xe5 },
    { 0x64, 0xe8, 0xc3, 0xf9, 0xce, 0x0f, 0x5b, 0xa2, 0x63, 0xe9, 0x77, 0x79,
      0x05, 0x81, 0x8a, 0x2a, 0x93, 0xc8, 0x19, 0x1e, 0x7d, 0x6e, 0x8a, 0xe7 },
};

static void count_up(uint8_t *p, size_t n, unsigned step)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = (uint8_t)(i * step);
    }
}

static bool begins(const struct gw_crypto *c, const uint8_t *p, size_t n, uint32_t answer)
{
    uint8_t d[GW_DIGEST_SIZE];
    return gw_sha256(c, p, n, d) == GW_OK &&
           ((uint32_t)d[0] << 24 | (uint32_t)d[1] << 16 | (uint32_t)d[2] << 8 | d[3]) == answer;
}

static unsigned test_sha256(const struct gw_crypto *c)
{
    uint8_t data[200], whole[GW_DIGEST_SIZE], pieces[GW_DIGEST_SIZE];
    struct gw_hash h, copy;

    count_up(data, sizeof data, 1);
    if (!begins(c, data, sizeof data, 0x1901da1cu) || gw_sha256(c, data, sizeof data, whole) != GW_OK) {
        return LINE_SHA256;
    }
    gw_hash_start(&h, c);
    gw_hash_add(&h, data, 1);
    gw_hash_add(&h, data + 1, 63);
    copy = h;
    gw_hash_add(&h, "another way", 11);
    gw_hash_add(&copy, data + 64, 65);
    gw_hash_add(&copy, data + 129, 71);
    return gw_hash_end(&copy, pieces) != GW_OK || memcmp(whole, pieces, sizeof whole) != 0 ? LINE_PIECES : 0;
}

static unsigned test_verify(const struct gw_crypto *c)
{
    struct gw_pubkey key = { GW_ALG_ES256, 0, { public_key, 32 }, { public_key + 32, 32 } };
    uint8_t digest[GW_DIGEST_SIZE];

    if (gw_sha256(c, "sample", 6, digest) != GW_OK ||
        c->verify(c->ctx, &key, digest, signature, sizeof signature) != GW_OK) {
        return LINE_RIGHT;
    }
    digest[31] ^= 1;
    return c->verify(c->ctx, &key, digest, signature, sizeof signature) != GW_ERR_SIGNATURE ? LINE_WRONG : 0;
}

static unsigned test_ctr(const struct gw_crypto *c)
{
    static const uint32_t answers[2] = { 0x54b8637cu, 0xa6a87079u };
    uint8_t key[32], data[70], tail[54];

    count_up(key, sizeof key, 1);
    for (unsigned i = 0; i < 2; i++) {
        memset(data, 0, sizeof data);
        memset(tail, 0, sizeof tail);
        if (c->aes_ctr(c->ctx, key, 16u << i, 0, data, sizeof data) != 0 ||
            c->aes_ctr(c->ctx, key, 16u << i, 1, tail, sizeof tail) != 0 ||
            !begins(c, data, sizeof data, answers[i]) || memcmp(data + 16, tail, sizeof tail) != 0) {
            return LINE_CTR128 + i;
        }
    }
    return 0;
}

static unsigned test_unwrap(const struct gw_crypto *c)
{
    uint8_t key[32], data[16], out[16];

    count_up(key, sizeof key, 1);
    count_up(data, sizeof data, 0x11);
    for (unsigned i = 0; i < 2; i++) {
        if (gw_key_unwrap(c, key, 16u << i, wrapped[i], out, sizeof out) != GW_OK ||
            memcmp(out, data, sizeof out) != 0) {
            return LINE_UNWRAP128 + i;
        }
    }
    return 0;
}

static unsigned test_ecdh(const struct gw_crypto *c)
{
    uint8_t shared[32];
    return c->ecdh(c->ctx, private_key, public_key, shared) != 0 || !begins(c, shared, sizeof shared, 0xaa497eb9u)
               ? LINE_ECDH
               : 0;
}

static unsigned test_random(const struct gw_crypto *c)
{
    uint8_t draw[2][16];
    memset(draw, 0, sizeof draw);
    return c->random(c->ctx, draw[0], 16) != 0 || c->random(c->ctx, draw[1], 16) != 0 ||
                   memcmp(draw[0], draw[1], 16) == 0
               ? LINE_RANDOM
               : 0;
}

int gw_selftest_crypto(const struct gw_crypto *c, unsigned *line)
{
    unsigned failed = LINE_PRESENT;

    if (c->sha256_start != NULL && c->sha256_update != NULL && c->sha256_finish != NULL) {
        failed = test_sha256(c);
        failed = failed == 0 && c->verify != NULL ? test_verify(c) : failed;
        failed = failed == 0 && c->aes_ctr != NULL ? test_ctr(c) : failed;
        failed = failed == 0 && c->aes_decrypt != NULL ? test_unwrap(c) : failed;
        failed = failed == 0 && c->ecdh != NULL ? test_ecdh(c) : failed;
        failed = failed == 0 && c->random != NULL ? test_random(c) : failed;
    }
    if (line != NULL) {
        *line = failed;
    }
    return failed == 0 ? GW_OK : failed == LINE_PRESENT ? GW_ERR_CONFIG : GW_ERR_CRYPTO;
}
