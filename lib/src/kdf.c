/*
 * kdf.c - what is built on the crypto seam: one-shot hash, HMAC and HKDF (RFC 5869), AES key unwrap (RFC 3394).
 *
 * What it keeps true: secrets that it made on the way are wiped before it returns, whatever happened.
 */
#include <string.h>

#include "hash.h"

#define BLOCK 64u /* of SHA-256, bytes */

void gw_hash_start(struct gw_hash *h, const struct gw_crypto *crypto)
{
    h->crypto = crypto;
    h->error = crypto->sha256_start(crypto->ctx, &h->state) != 0 ? GW_ERR_CRYPTO : GW_OK;
}

void gw_hash_add(struct gw_hash *h, const void *p, size_t n)
{
    if (h->error == GW_OK && n != 0 && h->crypto->sha256_update(h->crypto->ctx, &h->state, p, n) != 0) {
        h->error = GW_ERR_CRYPTO;
    }
}

int gw_hash_end(struct gw_hash *h, uint8_t digest[GW_DIGEST_SIZE])
{
    if (h->error == GW_OK && h->crypto->sha256_finish(h->crypto->ctx, &h->state, digest) != 0) {
        h->error = GW_ERR_CRYPTO;
    }
    gw_wipe(&h->state, sizeof h->state);
    return h->error;
}

int gw_sha256(const struct gw_crypto *c, const void *data, size_t n, uint8_t digest[32])
{
    struct gw_hash h;
    gw_hash_start(&h, c);
    gw_hash_add(&h, data, n);
    return gw_hash_end(&h, digest);
}

/* HMAC-SHA-256 with a key of 32 bytes over three parts, one after the other; out may be the key or a part. */
static int hmac(const struct gw_crypto *c, const uint8_t key[32], const struct gw_span part[3], uint8_t out[32])
{
    struct {
        struct gw_hash h;
        uint8_t pad[BLOCK], inner[32];
    } s;
    int error = GW_OK;

    for (unsigned pass = 0; pass < 2 && error == GW_OK; pass++) {
        uint8_t mask = pass == 0 ? 0x36 : 0x5c;
        memset(s.pad, mask, sizeof s.pad);
        for (unsigned i = 0; i < 32; i++) {
            s.pad[i] = key[i] ^ mask;
        }
        gw_hash_start(&s.h, c);
        gw_hash_add(&s.h, s.pad, sizeof s.pad);
        for (unsigned i = 0; i < 3 && pass == 0; i++) {
            gw_hash_add(&s.h, part[i].p, part[i].n);
        }
        if (pass == 1) {
            gw_hash_add(&s.h, s.inner, sizeof s.inner);
        }
        error = gw_hash_end(&s.h, pass == 0 ? s.inner : out);
    }
    gw_wipe(&s, sizeof s);
    return error;
}

int gw_hkdf(const struct gw_crypto *c, const uint8_t *secret, size_t secret_size, const uint8_t *info, size_t info_size,
            uint8_t *out, size_t n)
{
    struct {
        uint8_t key[32], block[32];
    } s = { { 0 }, { 0 } };
    uint8_t number = 0;
    struct gw_span part[3] = { { secret, secret_size }, { info, 0 }, { &number, 0 } };
    int error = hmac(c, s.key, part, s.key);

    part[0].p = s.block;
    part[0].n = 0; /* the first block is made from no block before */
    part[1].n = info_size;
    part[2].n = 1;
    for (size_t done = 0; error == GW_OK && done < n; done += sizeof s.block) {
        number++;
        error = hmac(c, s.key, part, s.block);
        part[0].n = sizeof s.block;
        memcpy(out + done, s.block, n - done < sizeof s.block ? n - done : sizeof s.block);
    }
    gw_wipe(&s, sizeof s);
    if (error != GW_OK) {
        gw_wipe(out, n);
    }
    return error;
}

int gw_key_unwrap(const struct gw_crypto *c, const uint8_t *kek, size_t kek_size, const uint8_t *wrapped, uint8_t *out,
                  size_t n)
{
    struct {
        uint8_t in[16], plain[16], iv[8];
    } s;
    int error = c->aes_decrypt == NULL ? GW_ERR_NO_KEY : GW_OK;

    memset(s.iv, 0xa6, sizeof s.iv);
    memcpy(s.plain, wrapped, 8);
    memcpy(out, wrapped + 8, n);
    for (size_t t = 6 * (n / 8); t > 0 && error == GW_OK; t--) {
        uint8_t *r = out + (t - 1) % (n / 8) * 8;
        memcpy(s.in, s.plain, 8);
        memcpy(s.in + 8, r, 8);
        s.in[7] ^= (uint8_t)t; /* at most 24 steps: one byte holds the number */
        error = c->aes_decrypt(c->ctx, kek, kek_size, s.in, s.plain) != 0 ? GW_ERR_CRYPTO : GW_OK;
        memcpy(r, s.plain + 8, 8);
    }
    if (error == GW_OK && !gw_equal(s.plain, s.iv, sizeof s.iv)) {
        error = GW_ERR_KEY_CHECK;
    }
    gw_wipe(&s, sizeof s);
    if (error != GW_OK) {
        gw_wipe(out, n);
    }
    return error;
}
