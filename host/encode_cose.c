/*
 * encode_cose.c - COSE_Sign objects, key grants (COSE_Encrypt) and payload files: SPEC.md, sections 2, 5 and 6.
 *
 * Signatures come from the signer's callback; private keys are never seen here. Nothing is validated.
 */
#include <string.h>

#include "cose.h"
#include "encode.h"
#include "encode_internal.h"

/* ---- COSE_Sign --------------------------------------------------------------------------------------------------- */

/* A COSE_Sign object taken apart; other than the device's parser it takes one without signatures. */
struct parts {
    struct gw_span protected_header, payload, signatures;
    uint32_t count;
};

static int take_apart(struct gw_span cose, struct parts *parts)
{
    struct gw_cbor c;
    gw_cbor_init(&c, cose.p, cose.n);
    (void)gw_cbor_tag(&c, 98);
    if (gw_cbor_array(&c) != 4) {
        gw_cbor_fail(&c, GW_ERR_FORMAT);
    }
    parts->protected_header = gw_cbor_bytes(&c);
    (void)gw_cbor_item(&c);
    parts->payload = gw_cbor_bytes(&c);
    parts->count = gw_cbor_array(&c);
    size_t from = c.at;
    for (uint32_t i = 0; i < parts->count && c.error == GW_OK; i++) {
        (void)gw_cbor_item(&c);
    }
    int e = gw_cbor_end(&c);
    parts->signatures = (struct gw_span){cose.p + from, c.at - from};
    return e;
}

/* What is written of a COSE_Sign object: old signatures, and one new one if `added` is not empty. */
struct assembly {
    struct parts parts;
    struct gw_span sign_protected, kid, added;
};

static void put_sign(struct gw_cborw *w, const void *spec)
{
    const struct assembly *a = spec;
    gw_cborw_array(w, 4);
    gw_cborw_bytes(w, a->parts.protected_header.p, a->parts.protected_header.n);
    gw_cborw_map(w, 0);
    gw_cborw_bytes(w, a->parts.payload.p, a->parts.payload.n);
    gw_cborw_array(w, a->parts.count + (a->added.n != 0));
    gw_cborw_raw(w, a->parts.signatures.p, a->parts.signatures.n);
    if (a->added.n == 0) {
        return;
    }
    gw_cborw_array(w, 3);
    gw_cborw_bytes(w, a->sign_protected.p, a->sign_protected.n);
    gw_cborw_map(w, 1);
    gw_cborw_int(w, 4);
    gw_cborw_bytes(w, a->kid.p, a->kid.n);
    gw_cborw_bytes(w, a->added.p, a->added.n);
}

/* {1: algorithm} */
static struct gw_span algorithm_header(uint8_t buffer[16], int32_t algorithm)
{
    struct gw_cborw w;
    gw_cborw_init(&w, buffer, 16);
    gw_cborw_map(&w, 1);
    gw_cborw_int(&w, 1);
    gw_cborw_int(&w, algorithm);
    return (struct gw_span){buffer, w.at};
}

int gwh_sign_new(struct gwh_buf *out, const void *map, size_t n)
{
    struct assembly a;
    memset(&a, 0, sizeof a);
    a.parts.payload = (struct gw_span){map, n};
    return gwh_emit(out, put_sign, &a);
}

int gwh_sign_payload(struct gw_span cose, struct gw_span *map)
{
    struct parts parts;
    int e = take_apart(cose, &parts);
    if (e == GW_OK) {
        *map = parts.payload;
    }
    return e;
}

int gwh_sign_digest(const struct gw_crypto *c, const char *type, struct gw_span cose, int32_t algorithm,
                    uint8_t digest[32])
{
    struct parts parts;
    uint8_t header[16];
    int e = take_apart(cose, &parts);
    if (e != GW_OK) {
        return e;
    }
    return gw_cose_sig_digest(c, type, parts.protected_header, algorithm_header(header, algorithm), parts.payload,
                              digest);
}

int gwh_sign_attach(struct gwh_buf *cose, const struct gw_crypto *c, const struct gw_pubkey *key,
                    int32_t header_algorithm, struct gw_span kid, struct gw_span signature)
{
    struct assembly a;
    struct gwh_buf out = {0};
    uint8_t header[16], thumbprint[32];
    int e = take_apart(gwh_span(cose), &a.parts);
    if (e == GW_OK) {
        e = gw_key_thumbprint(c, key, thumbprint);
    }
    if (e != GW_OK) {
        return e;
    }
    a.sign_protected = algorithm_header(header, header_algorithm != 0 ? header_algorithm : key->algorithm);
    a.kid = kid.n != 0 ? kid : (struct gw_span){thumbprint, GW_KEY_ID_SIZE};
    a.added = signature;
    e = gwh_emit(&out, put_sign, &a);
    if (e != GW_OK) {
        gwh_buf_free(&out);
        return e;
    }
    gwh_buf_free(cose);
    *cose = out;
    return GW_OK;
}

int gwh_sign_add(struct gwh_buf *cose, const struct gw_crypto *c, const char *type, const struct gwh_signer *signer)
{
    uint8_t digest[32], signature[512];
    size_t n = 0;
    int32_t algorithm = signer->header_algorithm != 0 ? signer->header_algorithm : signer->key.algorithm;
    int e = gwh_sign_digest(c, type, gwh_span(cose), algorithm, digest);
    if (e == GW_OK) {
        e = signer->sign(signer->ctx, digest, signature, &n);
    }
    if (e != GW_OK) {
        return e;
    }
    return gwh_sign_attach(cose, c, &signer->key, algorithm, signer->kid, (struct gw_span){signature, n});
}

int gwh_sign_map(struct gwh_buf *out, const struct gw_crypto *c, const char *type, struct gw_span map,
                 const struct gwh_signer *signers, size_t count)
{
    struct gwh_buf cose = {0};
    int e = gwh_sign_new(&cose, map.p, map.n);
    for (size_t i = 0; e == GW_OK && i < count; i++) {
        e = gwh_sign_add(&cose, c, type, &signers[i]);
    }
    if (e == GW_OK) {
        e = gwh_buf_add(out, cose.p, cose.n);
    }
    gwh_buf_free(&cose);
    return e;
}

/* ---- Key grants -------------------------------------------------------------------------------------------------- */

int gwh_key_wrap(const struct gwh_crypto *c, struct gw_span kek, const uint8_t *key, size_t n, uint8_t *out)
{
    uint8_t block[16];
    if (n > 32 || n % 8 != 0) {
        return GW_ERR_VALUE;
    }
    memset(out, 0xa6, 8);
    memcpy(out + 8, key, n);
    for (size_t t = 1; t <= 6 * (n / 8); t++) {
        uint8_t *r = out + 8 + (t - 1) % (n / 8) * 8;
        memcpy(block, out, 8);
        memcpy(block + 8, r, 8);
        if (c->aes_encrypt(c->ctx, kek.p, kek.n, block, block) != 0) {
            return GW_ERR_CRYPTO;
        }
        memcpy(out, block, 8);
        out[7] ^= (uint8_t)t; /* t is at most 24 */
        memcpy(r, block + 8, 8);
    }
    gw_wipe(block, sizeof block);
    return GW_OK;
}

static bool by_ecdh(const struct gwh_recipient *r)
{
    return r->algorithm == GW_ALG_ECDH_ES_A128KW || r->algorithm == GW_ALG_ECDH_ES_A256KW;
}

/* One recipient with its secrets worked out. */
struct recipient {
    const struct gwh_recipient *spec;
    struct gw_span protected_header;
    uint8_t public_key[64];
    uint8_t wrapped[40];
    size_t wrapped_size;
};

static void put_ephemeral(struct gw_cborw *w, const uint8_t pub[64])
{
    gw_cborw_int(w, -1);
    gw_cborw_map(w, 4);
    gw_cborw_int(w, 1);
    gw_cborw_uint(w, 2);
    gw_cborw_int(w, -1);
    gw_cborw_uint(w, 1);
    gw_cborw_int(w, -2);
    gw_cborw_bytes(w, pub, 32);
    gw_cborw_int(w, -3);
    gw_cborw_bytes(w, pub + 32, 32);
}

static void put_recipient(struct gw_cborw *w, const void *spec)
{
    const struct recipient *r = spec;
    bool ecdh = by_ecdh(r->spec);
    gw_cborw_array(w, 3);
    gw_cborw_bytes(w, r->protected_header.p, r->protected_header.n);
    gw_cborw_map(w, 2);
    if (!ecdh) {
        gw_cborw_int(w, 1);
        gw_cborw_int(w, r->spec->algorithm);
    }
    gw_cborw_int(w, 4);
    gw_cborw_bytes(w, r->spec->kid.p, r->spec->kid.n);
    if (ecdh) {
        put_ephemeral(w, r->public_key);
    }
    gw_cborw_bytes(w, r->wrapped, r->wrapped_size);
}

/* COSE_KDF_Context; `spec` as below. */
struct kdf_context {
    bool wide; /* A256KW */
    struct gw_span protected_header;
    const uint8_t *digest;
};

static void put_kdf_context(struct gw_cborw *w, const void *spec)
{
    const struct kdf_context *k = spec;
    gw_cborw_array(w, 4);
    gw_cborw_int(w, k->wide ? GW_ALG_A256KW : GW_ALG_A128KW);
    for (int party = 0; party < 2; party++) {
        gw_cborw_array(w, 3);
        gw_cborw_null(w);
        gw_cborw_null(w);
        gw_cborw_null(w);
    }
    gw_cborw_array(w, 3);
    gw_cborw_uint(w, k->wide ? 256 : 128);
    gw_cborw_bytes(w, k->protected_header.p, k->protected_header.n);
    gw_cborw_bytes(w, k->digest, 32);
}

/* A private key below the group's order, with its public key. */
static int ephemeral_key(const struct gwh_crypto *c, const uint8_t *given, uint8_t priv[32], uint8_t pub[64])
{
    if (given != NULL) {
        memcpy(priv, given, 32);
        return c->ec_public(c->ctx, priv, pub) == 0 ? GW_OK : GW_ERR_CRYPTO;
    }
    for (int i = 0; i < 8; i++) {
        if (c->gw->random == NULL || c->gw->random(c->gw->ctx, priv, 32) != 0) {
            return GW_ERR_CRYPTO;
        }
        if (c->ec_public(c->ctx, priv, pub) == 0) {
            return GW_OK;
        }
    }
    return GW_ERR_CRYPTO;
}

/* The key-encryption key of an ECDH recipient. */
static int agree(const struct gwh_crypto *c, const struct gwh_grant *g, struct recipient *r, uint8_t kek[32], size_t *n)
{
    struct kdf_context k = {r->spec->algorithm == GW_ALG_ECDH_ES_A256KW, r->protected_header, g->digest};
    uint8_t priv[32], shared[32];
    struct gwh_buf context = {0};
    *n = k.wide ? 32 : 16;
    int e = ephemeral_key(c, r->spec->ephemeral, priv, r->public_key);
    if (e == GW_OK && c->gw->ecdh(c->gw->ctx, priv, r->spec->peer, shared) != 0) {
        e = GW_ERR_CRYPTO;
    }
    if (e == GW_OK) {
        e = gwh_emit(&context, put_kdf_context, &k);
    }
    if (e == GW_OK) {
        e = gw_hkdf(c->gw, shared, 32, context.p, context.n, kek, *n);
    }
    gw_wipe(priv, sizeof priv);
    gw_wipe(shared, sizeof shared);
    gwh_buf_free(&context);
    return e;
}

static int add_recipient(struct gwh_buf *out, const struct gwh_crypto *c, const struct gwh_grant *g,
                         const struct gwh_recipient *spec)
{
    struct recipient r;
    uint8_t header[16], kek[32];
    struct gw_span key = spec->kek;
    int e = GW_OK;
    memset(&r, 0, sizeof r);
    r.spec = spec;
    r.wrapped_size = g->cek.n + 8;
    if (by_ecdh(spec)) {
        size_t n;
        r.protected_header = algorithm_header(header, spec->algorithm);
        e = agree(c, g, &r, kek, &n);
        key = (struct gw_span){kek, n};
    }
    if (e == GW_OK) {
        e = gwh_key_wrap(c, key, g->cek.p, g->cek.n, r.wrapped);
    }
    gw_wipe(kek, sizeof kek);
    return e == GW_OK ? gwh_emit(out, put_recipient, &r) : e;
}

struct grant {
    const struct gwh_grant *spec;
    struct gw_span recipients;
};

static void put_grant_header(struct gw_cborw *w, const void *spec)
{
    const struct gwh_grant *g = spec;
    gw_cborw_map(w, 2);
    gw_cborw_int(w, 1);
    gw_cborw_int(w, g->cipher);
    gw_cborw_int(w, -70001);
    gw_cborw_bytes(w, g->digest, 32);
}

static void put_grant(struct gw_cborw *w, const void *spec)
{
    const struct grant *g = spec;
    uint8_t buffer[64];
    struct gw_cborw header;
    gw_cborw_init(&header, buffer, sizeof buffer);
    put_grant_header(&header, g->spec);
    gw_cborw_array(w, 4);
    gw_cborw_bytes(w, buffer, header.at);
    gw_cborw_map(w, 0);
    gw_cborw_null(w);
    gw_cborw_array(w, g->spec->recipient_count);
    gw_cborw_raw(w, g->recipients.p, g->recipients.n);
}

int gwh_grant_encode(struct gwh_buf *out, const struct gwh_crypto *c, const struct gwh_grant *spec)
{
    struct gwh_buf recipients = {0};
    int e = GW_OK;
    for (uint32_t i = 0; e == GW_OK && i < spec->recipient_count; i++) {
        e = add_recipient(&recipients, c, spec, &spec->recipients[i]);
    }
    if (e == GW_OK) {
        struct grant g = {spec, gwh_span(&recipients)};
        e = gwh_emit(out, put_grant, &g);
    }
    gwh_buf_free(&recipients);
    return e;
}

/* ---- Payloads ---------------------------------------------------------------------------------------------------- */

int gwh_payload_crypt(const struct gw_crypto *c, struct gw_span cek, struct gwh_position at, int32_t cipher,
                      uint8_t *content, size_t n)
{
    uint8_t key[32];
    size_t size = cipher == GW_ALG_A128CTR ? 16 : 32;
    if (cipher == 0) {
        return GW_OK;
    }
    int e = gw_payload_key(c, cek.p, cek.n, at.component, at.variant, at.payload, key, size);
    if (e == GW_OK && c->aes_ctr(c->ctx, key, size, 0, content, n) != 0) {
        e = GW_ERR_CRYPTO;
    }
    gw_wipe(key, sizeof key);
    return e;
}

int gwh_payload_frame(struct gwh_buf *file, const struct gw_crypto *c, struct gw_span content, struct gw_payload *p)
{
    if (content.n == 0 || p->frame_size == 0) {
        return GW_ERR_VALUE;
    }
    size_t full = (content.n - 1) / p->frame_size, step = p->frame_size + 32u;
    size_t size = content.n + full * 32;
    uint8_t *at;
    if (size > UINT32_MAX) {
        return GW_ERR_LIMIT;
    }
    int e = gwh_buf_grow(file, size, &at);
    /* From the last frame to the first: each but the last begins with the hash of the one behind it. */
    for (size_t i = full + 1; e == GW_OK && i-- > 0;) {
        uint8_t *frame = at + i * step;
        size_t data = i == full ? content.n - full * p->frame_size : p->frame_size;
        memcpy(i == full ? frame : frame + 32, content.p + i * p->frame_size, data);
        uint8_t *hash = i == 0 ? p->head : frame - step;
        e = gw_sha256(c, frame, i == full ? data : step, hash);
    }
    if (e == GW_OK) {
        p->size = (uint32_t)size;
        e = gw_sha256(c, at, size, p->name);
    }
    return e;
}

int gwh_payload_make(struct gwh_buf *file, const struct gw_crypto *c, struct gw_span cek, struct gwh_position at,
                     struct gw_span image, struct gw_payload *p)
{
    struct gwh_buf content = {0};
    int e = gwh_buf_add(&content, image.p, image.n);
    if (e == GW_OK) {
        e = gwh_payload_crypt(c, cek, at, p->cipher, content.p, content.n);
    }
    if (e == GW_OK) {
        e = gwh_payload_frame(file, c, gwh_span(&content), p);
    }
    gwh_buf_free(&content);
    return e;
}
