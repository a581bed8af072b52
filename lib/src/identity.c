/*
 * identity.c - what a device is (SPEC.md, section 9), and a keystore that answers from it.
 *
 * The whole object is validated by gw_identity_parse(), the secrets in it too; they are copied nowhere by it.
 */
#include <string.h>

#include "cose.h"
#include "fields.h"

#define NEEDED(kind) (GW_FIELD_##kind | GW_FIELD_NEEDED)
#define KID_MAX 32u
#define CERTIFICATE_MAX 700u

struct record {
    struct gw_identity id;
    struct gw_span device_id;
    struct gw_span roots, factory, keks, ecdh, own, certificate;
};
#define AT(field) offsetof(struct record, field)
static const struct gw_field fields[] = {
    { 1, NEEDED(VERSION), 0, 1, 0 },
    { 2, NEEDED(FIXED), AT(id.vendor), 0, GW_UUID_SIZE },
    { 3, NEEDED(FIXED), AT(id.class_id), 0, GW_UUID_SIZE },
    { 4, NEEDED(DEVICE), AT(device_id), 0, 0 },
    { 5, NEEDED(U32), AT(id.hardware), 0, 0 },
    { 6, NEEDED(LIST), AT(roots), 0, 1 + GW_ROOTS_MAX },
    { 7, GW_FIELD_LIST, AT(factory), 0, 2 },
    { 8, GW_FIELD_LIST, AT(keks), 0, 0 },
    { 9, GW_FIELD_LIST, AT(ecdh), 0, 0 },
    { 10, GW_FIELD_LIST, AT(own), 0, 2 },
    { 11, GW_FIELD_BYTES, AT(certificate), 1, CERTIFICATE_MAX },
};

/* A secret with its name; `key` is a view. */
struct named_key {
    struct gw_span kid, key;
};

static void read_key(struct gw_cbor *c, void *out)
{
    struct named_key *k = out;

    gw_cbor_tuple(c, 2);
    k->kid = gw_cbor_bytes(c);
    k->key = gw_cbor_bytes(c);
    if (k->kid.n - 1 >= KID_MAX || (k->key.n != 16 && k->key.n != 32)) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
}

static void read_private_key(struct gw_cbor *c, void *out)
{
    struct named_key *k = out;

    read_key(c, k);
    if (k->key.n != 32) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
}

/* The threshold, then the keys: not a list of one kind, so it is walked here. */
static void read_roots(struct gw_cbor *outer, struct gw_span list, struct gw_roots *roots)
{
    struct gw_cbor c;

    if (outer->error != GW_OK) {
        return; /* there may be more of them than fit */
    }
    memset(roots, 0, sizeof *roots);
    gw_cbor_init(&c, list.p, list.n);
    roots->count = gw_cbor_array(&c) - 1;
    roots->threshold = gw_cbor_u32(&c);
    if (roots->count < 2 || roots->threshold - 1 >= roots->count) {
        gw_cbor_fail(&c, GW_ERR_VALUE);
    }
    for (uint32_t i = 0; i < roots->count && c.error == GW_OK; i++) {
        gw_cose_key(&c, &roots->key[i], true);
        roots->key[i].roles = GW_ROLE_ROOT;
        if (c.error == GW_OK && gw_span_occurs(list, roots->key[i].x) != 1) {
            gw_cbor_fail(&c, GW_ERR_VALUE); /* one key must not count as two: see trust.c */
        }
    }
    gw_cbor_fail(outer, c.error);
}

static void read_factory(struct gw_cbor *outer, struct gw_span list, struct gw_identity *id)
{
    struct gw_cbor c;

    if (list.n == 0) {
        return;
    }
    gw_cbor_init(&c, list.p, list.n);
    gw_cbor_tuple(&c, 2);
    id->factory_size = gw_cbor_u32(&c);
    gw_cbor_fixed(&c, id->factory_digest, GW_DIGEST_SIZE);
    if (id->factory_size == 0) {
        gw_cbor_fail(&c, GW_ERR_VALUE);
    }
    gw_cbor_fail(outer, c.error);
}

/* The map with its views, and nothing below it. */
static void read_record(struct gw_cbor *c, struct record *r, const uint8_t *bytes, size_t n)
{
    memset(r, 0, sizeof *r);
    gw_cbor_init(c, bytes, n);
    if (n > GW_IDENTITY_MAX) {
        gw_cbor_fail(c, GW_ERR_LIMIT);
    }
    (void)GW_FIELDS(c, r, fields);
    gw_cbor_fail(c, gw_cbor_end(c));
}

/* The device's own key: one [key id, d], not a list of them. */
static void read_own(struct gw_cbor *outer, struct gw_span own, struct named_key *k)
{
    struct gw_cbor c;

    if (outer->error != GW_OK || own.n == 0) {
        return;
    }
    gw_cbor_init(&c, own.p, own.n);
    read_private_key(&c, k);
    if (k->kid.n != GW_KEY_ID_SIZE) {
        gw_cbor_fail(&c, GW_ERR_VALUE);
    }
    gw_cbor_fail(outer, c.error);
}

int gw_identity_parse(struct gw_identity *id, struct gw_roots *roots, const uint8_t *bytes, size_t n)
{
    struct record r;
    struct gw_roots read;
    struct named_key key;
    struct gw_cbor c;

    read_record(&c, &r, bytes, n);
    read_roots(&c, r.roots, &read);
    read_factory(&c, r.factory, &r.id);
    gw_list_walk(&c, r.keks, read_key, &key);
    gw_list_walk(&c, r.ecdh, read_private_key, &key);
    read_own(&c, r.own, &key);
    if (c.error != GW_OK) {
        return c.error;
    }
    memcpy(r.id.device_id, r.device_id.p, r.device_id.n);
    r.id.device_id_size = (uint8_t)r.device_id.n;
    *id = r.id;
    if (roots != NULL) {
        *roots = read;
    }
    return GW_OK;
}

/* Finds the key named `kid` in the list of pre-shared (ecdh false) or private keys. */
static int find(const struct gw_identity_keys *keys, bool ecdh, struct gw_span kid, struct named_key *k)
{
    struct record r;
    struct gw_cbor c;

    read_record(&c, &r, keys->identity.p, keys->identity.n);
    if (c.error != GW_OK) {
        return c.error;
    }
    for (uint32_t i = 0; gw_list_read(ecdh ? r.ecdh : r.keks, i, ecdh ? read_private_key : read_key, k) == GW_OK; i++) {
        if (k->kid.n == kid.n && memcmp(k->kid.p, kid.p, kid.n) == 0) {
            return GW_OK;
        }
    }
    return GW_ERR_NO_KEY;
}

static int serve_kek(void *ctx, struct gw_span kid, uint8_t kek[32], size_t *size)
{
    struct named_key k;
    int error = find(ctx, false, kid, &k);
    if (error == GW_OK) {
        memcpy(kek, k.key.p, k.key.n);
        *size = k.key.n;
    }
    return error;
}

static int serve_agree(void *ctx, struct gw_span kid, const uint8_t peer[64], uint8_t shared[32])
{
    const struct gw_identity_keys *keys = ctx;
    struct named_key k;
    int error = keys->crypto->ecdh == NULL ? GW_ERR_NO_KEY : find(keys, true, kid, &k);

    return error != GW_OK ? error : keys->crypto->ecdh(keys->crypto->ctx, k.key.p, peer, shared);
}

static int serve_sign(void *ctx, const uint8_t digest[32], uint8_t signature[64], uint8_t kid[8])
{
    const struct gw_identity_keys *keys = ctx;
    const struct gw_crypto *crypto = keys->crypto;
    struct named_key k;
    struct record r;
    struct gw_cbor c;

    read_record(&c, &r, keys->identity.p, keys->identity.n);
    read_own(&c, r.own, &k);
    if (c.error != GW_OK || r.own.n == 0 || crypto->sign == NULL) {
        return c.error != GW_OK ? c.error : GW_ERR_NO_KEY;
    }
    memcpy(kid, k.kid.p, GW_KEY_ID_SIZE);
    return crypto->sign(crypto->ctx, k.key.p, digest, signature) != 0 ? GW_ERR_CRYPTO : GW_OK;
}

int gw_identity_client(const uint8_t *bytes, size_t n, struct gw_span *d, struct gw_span *certificate)
{
    struct named_key k = { { 0 }, { 0 } };
    struct record r;
    struct gw_cbor c;

    read_record(&c, &r, bytes, n);
    read_own(&c, r.own, &k);
    if (c.error == GW_OK && r.own.n == 0) {
        return GW_ERR_NO_KEY;
    }
    *d = k.key;
    *certificate = r.certificate;
    return c.error;
}

void gw_identity_keystore(struct gw_keystore *store, struct gw_identity_keys *keys)
{
    store->ctx = keys;
    store->kek = serve_kek;
    store->agree = serve_agree;
    store->sign = serve_sign;
}
