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

/* What opening one grant needs at every step. */
struct opening {
    const struct gw_crypto *crypto;
    const struct gw_keystore *keys;
    const uint8_t *digest; /* of the manifest */
    uint8_t *cek;
    size_t cek_size;
    int error;             /* of the last recipient; GW_ERR_NO_KEY: it was not for us */
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

/*
 * The shared point's x becomes the key-encryption key. The COSE_KDF_Context (RFC 9053 section 5.2) is always the same
 * up to the digest that ends it: the protected header has one encoding.
 */
static int derive_kek(const struct opening *o, const uint8_t shared[32], uint8_t *kek, size_t size)
{
    static const uint8_t start[2][24] = {
        { 21, 0x84, 0x22, 0x83, 0xf6, 0xf6, 0xf6, 0x83, 0xf6, 0xf6, 0xf6, /* A128KW, nobody, nobody */
          0x83, 0x18, 0x80, 0x44, 0xa1, 0x01, 0x38, 0x1c, 0x58, 0x20 },   /* 128 bits, {1: -29}, digest */
        { 22, 0x84, 0x24, 0x83, 0xf6, 0xf6, 0xf6, 0x83, 0xf6, 0xf6, 0xf6,
          0x83, 0x19, 0x01, 0x00, 0x44, 0xa1, 0x01, 0x38, 0x1e, 0x58, 0x20 },
    };
    const uint8_t *s = start[size == 32];
    size_t n = s[0] - 1u;
    uint8_t context[24 + GW_DIGEST_SIZE];

    memcpy(context, s + 1, n);
    memcpy(context + n, o->digest, GW_DIGEST_SIZE);
    return gw_hkdf(o->crypto, shared, 32, context, n + GW_DIGEST_SIZE, kek, size);
}

/* A key that the keystore does not have may be another's; any other failure is no verdict on the grant. */
static int keystore_error(int error)
{
    return error == GW_OK || error == GW_ERR_NO_KEY ? error : GW_ERR_CRYPTO;
}

static int agree(const struct opening *o, const struct gw_cose_header *h, uint8_t *kek, size_t size)
{
    struct gw_cbor c;
    struct gw_pubkey key;
    uint8_t peer[64], shared[32];
    int error;

    gw_cbor_init(&c, h->key.p, h->key.n);
    gw_cose_key(&c, &key, false);
    if (c.error != GW_OK) {
        return c.error;
    }
    if (o->keys->agree == NULL) {
        return GW_ERR_NO_KEY;
    }
    memcpy(peer, key.x.p, 32);
    memcpy(peer + 32, key.y.p, 32);
    error = keystore_error(o->keys->agree(o->keys->ctx, h->kid, peer, shared));
    if (error == GW_OK) {
        error = derive_kek(o, shared, kek, size);
    }
    gw_wipe(shared, sizeof shared);
    return error;
}

static int pre_shared(const struct opening *o, const struct gw_cose_header *h, uint8_t *kek, size_t size)
{
    size_t has = 0;
    int error = o->keys->kek == NULL ? GW_ERR_NO_KEY : keystore_error(o->keys->kek(o->keys->ctx, h->kid, kek, &has));
    return error == GW_OK && has != size ? GW_ERR_NO_KEY : error;
}

/* Key wrap has its algorithm in the unprotected header, ECDH has it in the protected one. */
static int unwrap(const struct opening *o, const struct gw_cose_header *h, struct gw_span wrapped)
{
    bool ecdh = h->protected_header.n != 0;
    int32_t wrap = ecdh ? h->algorithm + (GW_ALG_A128KW - GW_ALG_ECDH_ES_A128KW) : h->algorithm;
    size_t size = wrap == GW_ALG_A128KW ? 16 : 32;
    uint8_t kek[32];
    int error;

    if ((wrap != GW_ALG_A128KW && wrap != GW_ALG_A256KW) || h->manifest.p != NULL) {
        return GW_ERR_NO_KEY;
    }
    error = ecdh ? agree(o, h, kek, size) : pre_shared(o, h, kek, size);
    if (error == GW_OK) {
        error = wrapped.n != o->cek_size + 8
                    ? GW_ERR_KEY_CHECK
                    : gw_key_unwrap(o->crypto, kek, size, wrapped.p, o->cek, o->cek_size);
    }
    gw_wipe(kek, sizeof kek);
    return error;
}

static void try_recipient(struct gw_cbor *c, void *out)
{
    struct opening *o = out;
    struct gw_cose_header h;
    struct gw_span wrapped;

    gw_cbor_tuple(c, 3);
    gw_cose_headers(c, &h);
    wrapped = gw_cbor_bytes(c);
    o->error = c->error != GW_OK ? c->error : unwrap(o, &h, wrapped);
}

/* The grant's form, and which manifest it is for. */
static struct gw_span recipients(struct gw_cbor *c, const struct gw_manifest *m, struct opening *o)
{
    struct gw_cose_header h;
    struct gw_span list;

    (void)gw_cbor_tag(c, TAG_ENCRYPT);
    gw_cbor_tuple(c, 4);
    gw_cose_headers(c, &h);
    if (!gw_cbor_null(c) || gw_cbor_peek(c) != 4) {
        gw_cbor_fail(c, GW_ERR_FORMAT);
    }
    list = gw_cbor_item(c);
    gw_cbor_fail(c, gw_cbor_end(c));
    if (h.algorithm != GW_ALG_A128CTR && h.algorithm != GW_ALG_A256CTR) {
        gw_cbor_fail(c, GW_ERR_ALGORITHM);
    }
    if (h.manifest.n != GW_DIGEST_SIZE || m->key_check.n != CHECK_SIZE ||
        memcmp(h.manifest.p, m->digest, GW_DIGEST_SIZE) != 0) {
        gw_cbor_fail(c, GW_ERR_KEY_CHECK);
    }
    o->cek_size = h.algorithm == GW_ALG_A128CTR ? 16 : 32;
    return list;
}

int gw_grant_open(const struct gw_crypto *crypto, const struct gw_keystore *keys, const struct gw_manifest *m,
                  const uint8_t *grant, size_t n, uint8_t cek[32], size_t *cek_size)
{
    struct opening o = { crypto, keys, m->digest, cek, 0, GW_ERR_NO_KEY };
    struct gw_span list;
    struct gw_cbor c;
    uint8_t check[CHECK_SIZE];
    int error;

    gw_cbor_init(&c, grant, n);
    if (n > GRANT_MAX) {
        gw_cbor_fail(&c, GW_ERR_LIMIT);
    }
    list = recipients(&c, m, &o);
    error = c.error;
    for (uint32_t i = 0; error == GW_OK && o.error == GW_ERR_NO_KEY; i++) {
        error = gw_list_read(list, i, try_recipient, &o);
    }
    if (error == GW_OK || error == GW_ERR_NOTHING) {
        error = o.error;
    }
    if (error == GW_OK) {
        error = gw_key_check(crypto, cek, o.cek_size, check);
    }
    if (error == GW_OK && !gw_equal(check, m->key_check.p, sizeof check)) {
        error = GW_ERR_KEY_CHECK;
    }
    if (error == GW_OK) {
        *cek_size = o.cek_size;
    } else {
        gw_wipe(cek, 32);
    }
    return error;
}
