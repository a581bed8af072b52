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
    struct gw_hash h;
    uint8_t pad[BLOCK], inner[32];
    int error;

    memset(pad, 0x36, sizeof pad);
    for (unsigned i = 0; i < 32; i++) {
        pad[i] ^= key[i];
    }
    gw_hash_start(&h, c);
    gw_hash_add(&h, pad, sizeof pad);
    for (unsigned i = 0; i < 3; i++) {
        gw_hash_add(&h, part[i].p, part[i].n);
    }
    error = gw_hash_end(&h, inner);
    if (error == GW_OK) {
        for (unsigned i = 0; i < sizeof pad; i++) {
            pad[i] ^= 0x36 ^ 0x5c;
        }
        gw_hash_start(&h, c);
        gw_hash_add(&h, pad, sizeof pad);
        gw_hash_add(&h, inner, sizeof inner);
        error = gw_hash_end(&h, out);
    }
    gw_wipe(pad, sizeof pad);
    gw_wipe(inner, sizeof inner);
    return error;
}

int gw_hkdf(const struct gw_crypto *c, const uint8_t *secret, size_t secret_size, const uint8_t *info, size_t info_size,
            uint8_t *out, size_t n)
{
    uint8_t key[32] = { 0 }, block[32], number = 0;
    struct gw_span part[3] = { { secret, secret_size }, { NULL, 0 }, { NULL, 0 } };
    int error = hmac(c, key, part, key);
    size_t done = 0;

    part[0].n = 0; /* the first block is made from no block before */
    part[1].p = info;
    part[1].n = info_size;
    part[2].p = &number;
    part[2].n = 1;
    while (error == GW_OK && done < n) {
        size_t take = n - done < sizeof block ? n - done : sizeof block;
        number++;
        error = hmac(c, key, part, block);
        if (error == GW_OK) {
            memcpy(out + done, block, take);
        }
        done += take;
        part[0].p = block;
        part[0].n = sizeof block;
    }
    gw_wipe(key, sizeof key);
    gw_wipe(block, sizeof block);
    if (error != GW_OK) {
        gw_wipe(out, n);
    }
    return error;
}

int gw_key_unwrap(const struct gw_crypto *c, const uint8_t *kek, size_t kek_size, const uint8_t *wrapped, uint8_t *out,
                  size_t n)
{
    static const uint8_t iv[8] = { 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6 };
    uint8_t in[16], plain[16];
    int error = c->aes_decrypt == NULL ? GW_ERR_NO_KEY : GW_OK;

    memcpy(plain, wrapped, 8);
    memcpy(out, wrapped + 8, n);
    for (size_t t = 6 * (n / 8); t > 0 && error == GW_OK; t--) {
        uint8_t *r = out + (t - 1) % (n / 8) * 8;
        memcpy(in, plain, 8);
        in[7] ^= (uint8_t)t; /* at most 24 steps: one byte holds the number */
        memcpy(in + 8, r, 8);
        error = c->aes_decrypt(c->ctx, kek, kek_size, in, plain) != 0 ? GW_ERR_CRYPTO : GW_OK;
        memcpy(r, plain + 8, 8);
    }
    if (error == GW_OK && !gw_equal(plain, iv, sizeof iv)) {
        error = GW_ERR_KEY_CHECK;
    }
    gw_wipe(in, sizeof in);
    gw_wipe(plain, sizeof plain);
    if (error != GW_OK) {
        gw_wipe(out, n);
    }
    return error;
}
