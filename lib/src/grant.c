/*
 * grant.c - key grants (SPEC.md, section 6) and the keys made from a content key (section 5).
 *
 * What it keeps true: a content key leaves here only if the manifest's signed key check value says that it is the right
 * one; every secret on the way is wiped, whatever happened.
 */
#include <string.h>

#include "cose.h"
#include "fields.h"

#define TAG_ENCRYPT 96u
#define GRANT_MAX 1024u
#define CHECK_SIZE 8u
#define CONTEXT_MAX 64u /* a COSE_KDF_Context, with 4 bytes of protected header, has 53 */

/* The algorithms of recipients: how the key-encryption key is had, and its size. */
static const struct recipient_kind {
    int8_t algorithm;
    int8_t wrap;
    uint8_t size;
} kinds[] = {
    { GW_ALG_A128KW, GW_ALG_A128KW, 16 },
    { GW_ALG_A256KW, GW_ALG_A256KW, 32 },
    { GW_ALG_ECDH_ES_A128KW, GW_ALG_A128KW, 16 },
    { GW_ALG_ECDH_ES_A256KW, GW_ALG_A256KW, 32 },
};

/* What opening one grant needs at every step. */
struct opening {
    const struct gw_crypto *crypto;
    const struct gw_keystore *keys;
    const struct gw_manifest *m;
    uint8_t kek[32];
    size_t cek_size;
};

int gw_payload_key(const struct gw_crypto *crypto, const uint8_t *cek, size_t cek_size, uint32_t component,
                   uint32_t variant, uint32_t payload, uint8_t *key, size_t key_size)
{
    static const char label[] = "godwit payload";
    const uint32_t number[3] = { component, variant, payload };
    uint8_t info[sizeof label - 1 + 12];
    uint8_t *p = info + sizeof label - 1;

    memcpy(info, label, sizeof label - 1);
    for (unsigned i = 0; i < 12; i++) {
        p[i] = (uint8_t)(number[i / 4] >> (24 - i % 4 * 8));
    }
    return gw_hkdf(crypto, cek, cek_size, info, sizeof info, key, key_size);
}

int gw_key_check(const struct gw_crypto *crypto, const uint8_t *cek, size_t cek_size, uint8_t value[8])
{
    static const char label[] = "godwit key check";
    return gw_hkdf(crypto, cek, cek_size, (const uint8_t *)label, sizeof label - 1, value, CHECK_SIZE);
}

/* A secret that the keystore does not have: the next recipient may be another's. Any other failure is the library's. */
static int keystore_error(int error)
{
    return error == GW_OK || error == GW_ERR_NO_KEY ? error : GW_ERR_CRYPTO;
}

/* The shared point's x becomes the key-encryption key (COSE_KDF_Context, RFC 9053 section 5.2). */
static int derive_kek(struct opening *o, const struct recipient_kind *kind, struct gw_span protected_header,
                      const uint8_t shared[32])
{
    static const uint8_t nobody[] = { 0x83, 0xf6, 0xf6, 0xf6, 0x83, 0xf6, 0xf6, 0xf6 };
    uint8_t context[CONTEXT_MAX];
    struct gw_cborw w;

    gw_cborw_init(&w, context, sizeof context);
    gw_cborw_array(&w, 4);
    gw_cborw_int(&w, kind->wrap);
    gw_cborw_raw(&w, nobody, sizeof nobody);
    gw_cborw_array(&w, 3);
    gw_cborw_uint(&w, kind->size * 8u);
    gw_cborw_bytes(&w, protected_header.p, protected_header.n);
    gw_cborw_bytes(&w, o->m->digest, GW_DIGEST_SIZE);
    if (gw_cborw_end(&w) != GW_OK) {
        return GW_ERR_FORMAT;
    }
    return gw_hkdf(o->crypto, shared, 32, context, w.at, o->kek, kind->size);
}

static int agree(struct opening *o, const struct recipient_kind *kind, const struct gw_cose_header *h)
{
    struct gw_cbor c;
    struct gw_pubkey key;
    uint8_t peer[64], shared[32];
    int error;

    gw_cbor_init(&c, h->key.p, h->key.n);
    gw_cose_key(&c, &key, false);
    if (c.error != GW_OK || o->keys->agree == NULL) {
        return c.error != GW_OK ? c.error : GW_ERR_NO_KEY;
    }
    memcpy(peer, key.x.p, 32);
    memcpy(peer + 32, key.y.p, 32);
    error = keystore_error(o->keys->agree(o->keys->ctx, h->kid, peer, shared));
    if (error == GW_OK) {
        error = derive_kek(o, kind, h->protected_header, shared);
    }
    gw_wipe(shared, sizeof shared);
    return error;
}

static int pre_shared(struct opening *o, const struct recipient_kind *kind, const struct gw_cose_header *h)
{
    size_t size = 0;
    int error = o->keys->kek == NULL ? GW_ERR_NO_KEY : keystore_error(o->keys->kek(o->keys->ctx, h->kid, o->kek, &size));
    return error == GW_OK && size != kind->size ? GW_ERR_NO_KEY : error;
}

/* One recipient; GW_ERR_NO_KEY: not for us. */
static int try_recipient(struct opening *o, struct gw_cbor *c, uint8_t cek[32])
{
    const struct recipient_kind *kind = NULL;
    struct gw_cose_header h;
    struct gw_span wrapped;
    int error;

    gw_cbor_tuple(c, 3);
    gw_cose_headers(c, &h);
    wrapped = gw_cbor_bytes(c);
    if (c->error != GW_OK) {
        return c->error;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        /* Key wrap has no protected header, ECDH has its algorithm there: gw_cose_headers() took it from either. */
        if (kinds[i].algorithm == h.algorithm && (kinds[i].wrap == h.algorithm) == (h.protected_header.n == 0)) {
            kind = &kinds[i];
        }
    }
    if (kind == NULL) {
        return GW_ERR_NO_KEY;
    }
    error = kind->wrap == h.algorithm ? pre_shared(o, kind, &h) : agree(o, kind, &h);
    if (error == GW_OK && wrapped.n != o->cek_size + 8) {
        error = GW_ERR_KEY_CHECK;
    }
    return error != GW_OK ? error : gw_key_unwrap(o->crypto, o->kek, kind->size, wrapped.p, cek, o->cek_size);
}

/* Checks the grant's form and which manifest it is for; leaves the cursor before the first recipient. */
static int begin(struct opening *o, struct gw_cbor *c, uint32_t *recipients)
{
    struct gw_cbor whole = *c;
    struct gw_cose_header h;

    (void)gw_cbor_tag(&whole, TAG_ENCRYPT);
    (void)gw_cbor_item(&whole);
    if (gw_cbor_end(&whole) != GW_OK) {
        return gw_cbor_end(&whole);
    }
    (void)gw_cbor_tag(c, TAG_ENCRYPT);
    gw_cbor_tuple(c, 4);
    gw_cose_headers(c, &h);
    if (!gw_cbor_null(c)) {
        gw_cbor_fail(c, GW_ERR_FORMAT);
    }
    *recipients = gw_cbor_array(c);
    if (h.algorithm != GW_ALG_A128CTR && h.algorithm != GW_ALG_A256CTR) {
        gw_cbor_fail(c, GW_ERR_ALGORITHM);
    }
    if (h.manifest.n != GW_DIGEST_SIZE || o->m->key_check.n != CHECK_SIZE ||
        memcmp(h.manifest.p, o->m->digest, GW_DIGEST_SIZE) != 0) {
        gw_cbor_fail(c, GW_ERR_KEY_CHECK);
    }
    o->cek_size = h.algorithm == GW_ALG_A128CTR ? 16 : 32;
    return c->error;
}

int gw_grant_open(const struct gw_crypto *crypto, const struct gw_keystore *keys, const struct gw_manifest *m,
                  const uint8_t *grant, size_t n, uint8_t cek[32], size_t *cek_size)
{
    struct opening o = { crypto, keys, m, { 0 }, 0 };
    struct gw_cbor c;
    uint32_t left = 0;
    uint8_t check[CHECK_SIZE];
    int error;

    gw_cbor_init(&c, grant, n);
    error = n > GRANT_MAX ? GW_ERR_LIMIT : begin(&o, &c, &left);
    if (error == GW_OK) {
        error = GW_ERR_NO_KEY;
    }
    for (; error == GW_ERR_NO_KEY && left > 0; left--) {
        error = try_recipient(&o, &c, cek);
    }
    if (error == GW_OK) {
        error = gw_key_check(crypto, cek, o.cek_size, check);
    }
    if (error == GW_OK && !gw_equal(check, m->key_check.p, sizeof check)) {
        error = GW_ERR_KEY_CHECK;
    }
    gw_wipe(o.kek, sizeof o.kek);
    if (error == GW_OK) {
        *cek_size = o.cek_size;
    } else {
        gw_wipe(cek, 32);
    }
    return error;
}
