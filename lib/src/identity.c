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

struct record {
    struct gw_identity id;
    struct gw_span device_id;
    struct gw_span roots, factory, keks, ecdh;
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
};

/* A secret with its name; `key` is a view. */
struct named_key {
    struct gw_span kid, key;
};

static void read_key(struct gw_cbor *c, struct named_key *k)
{
    gw_cbor_tuple(c, 2);
    k->kid = gw_cbor_bytes(c);
    k->key = gw_cbor_bytes(c);
    if (k->kid.n == 0 || k->kid.n > KID_MAX || (k->key.n != 16 && k->key.n != 32)) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
}

/* ctx: the size that keys must have at least. */
static void check_key(struct gw_cbor *c, void *ctx)
{
    struct named_key k;
    read_key(c, &k);
    if (k.key.n < *(const size_t *)ctx) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
}

static int get_root(const void *roots, uint32_t i, struct gw_pubkey *key)
{
    *key = ((const struct gw_roots *)roots)->key[i];
    return GW_OK;
}

static int read_roots(struct gw_span list, struct gw_roots *roots)
{
    struct gw_cbor c;

    memset(roots, 0, sizeof *roots);
    gw_cbor_init(&c, list.p, list.n);
    roots->count = gw_cbor_array(&c) - 1;
    roots->threshold = gw_cbor_u32(&c);
    if (roots->count < 2 || roots->threshold < 1 || roots->threshold > roots->count) {
        gw_cbor_fail(&c, GW_ERR_VALUE);
    }
    for (uint32_t i = 0; i < roots->count && c.error == GW_OK; i++) {
        gw_cose_signing_key(&c, &roots->key[i]);
        roots->key[i].roles = GW_ROLE_ROOT;
    }
    return c.error != GW_OK ? c.error : gw_keys_distinct(get_root, roots, roots->count);
}

static int read_factory(struct gw_span list, struct gw_identity *id)
{
    struct gw_cbor c;

    if (list.n == 0) {
        return GW_OK;
    }
    gw_cbor_init(&c, list.p, list.n);
    gw_cbor_tuple(&c, 2);
    id->factory_size = gw_cbor_u32(&c);
    gw_cbor_fixed(&c, id->factory_digest, GW_DIGEST_SIZE);
    if (id->factory_size == 0) {
        gw_cbor_fail(&c, GW_ERR_VALUE);
    }
    return c.error;
}

/* The map with its views, and nothing below it. */
static int read_record(struct record *r, const uint8_t *bytes, size_t n)
{
    struct gw_cbor c;

    memset(r, 0, sizeof *r);
    if (n > GW_IDENTITY_MAX) {
        return GW_ERR_LIMIT;
    }
    gw_cbor_init(&c, bytes, n);
    (void)GW_FIELDS(&c, r, fields);
    return gw_cbor_end(&c);
}

int gw_identity_parse(struct gw_identity *id, struct gw_roots *roots, const uint8_t *bytes, size_t n)
{
    struct record r;
    struct gw_roots read;
    size_t kek_min = 16, ecdh_min = 32;
    int error = read_record(&r, bytes, n);

    if (error == GW_OK) {
        error = read_roots(r.roots, &read);
    }
    if (error == GW_OK) {
        error = read_factory(r.factory, &r.id);
    }
    if (error == GW_OK) {
        error = gw_list_each(r.keks, check_key, &kek_min);
    }
    if (error == GW_OK) {
        error = gw_list_each(r.ecdh, check_key, &ecdh_min);
    }
    if (error != GW_OK) {
        return error;
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
static int find(const struct gw_identity_keys *keys, bool ecdh, struct gw_span kid, struct gw_span *key)
{
    struct record r;
    struct named_key k;
    struct gw_cbor c;
    int error = read_record(&r, keys->identity.p, keys->identity.n);
    struct gw_span list = ecdh ? r.ecdh : r.keks;

    if (error != GW_OK) {
        return error;
    }
    gw_cbor_init(&c, list.p, list.n);
    for (uint32_t left = gw_cbor_array(&c); left > 0 && c.error == GW_OK; left--) {
        read_key(&c, &k);
        if (c.error == GW_OK && k.kid.n == kid.n && memcmp(k.kid.p, kid.p, kid.n) == 0) {
            *key = k.key;
            return GW_OK;
        }
    }
    return GW_ERR_NO_KEY;
}

static int serve_kek(void *ctx, struct gw_span kid, uint8_t kek[32], size_t *size)
{
    struct gw_span key;
    int error = find(ctx, false, kid, &key);
    if (error == GW_OK) {
        memcpy(kek, key.p, key.n);
        *size = key.n;
    }
    return error;
}

static int serve_agree(void *ctx, struct gw_span kid, const uint8_t peer[64], uint8_t shared[32])
{
    const struct gw_identity_keys *keys = ctx;
    struct gw_span key;
    int error = find(keys, true, kid, &key);

    if (error == GW_OK && (key.n != 32 || keys->crypto->ecdh == NULL)) {
        error = GW_ERR_NO_KEY;
    }
    return error != GW_OK ? error : keys->crypto->ecdh(keys->crypto->ctx, key.p, peer, shared);
}

void gw_identity_keystore(struct gw_keystore *store, struct gw_identity_keys *keys)
{
    store->ctx = keys;
    store->kek = serve_kek;
    store->agree = serve_agree;
}
