/*
 * trust.c - trust bundles (SPEC.md, section 3): the keys, policies and revocations that the roots have signed.
 *
 * It does not decide which bundle is in use, nor when a newer one takes effect: that is the flash side's.
 */
#include <string.h>

#include "cose.h"
#include "fields.h"

#define ROLES (GW_ROLE_AUTHOR | GW_ROLE_APPROVER | GW_ROLE_DISTRIBUTOR)
#define HOST_MAX 253u
#define SERVER_CA_MAX 1024u /* bytes of a certificate */

struct bundle {
    struct gw_trust trust;
    struct gw_span policy;
    struct gw_policy_line *line; /* that is read next */
    uint8_t digest[GW_DIGEST_SIZE];
};
#define AT(field) offsetof(struct bundle, field)

static const struct gw_field fields[] = {
    { 1, GW_FIELD_VERSION | GW_FIELD_NEEDED, 0, 1, 0 },
    { 2, GW_FIELD_U32 | GW_FIELD_NEEDED, AT(trust.version), 1, 0 },
    { 3, GW_FIELD_U32 | GW_FIELD_NEEDED, AT(trust.epoch), 0, 0 },
    { 4, GW_FIELD_LIST | GW_FIELD_NEEDED, AT(trust.keys), AT(trust.key_count), GW_KEYS_MAX },
    { 5, GW_FIELD_LIST, AT(trust.revoked), 0, 0 },
    { 6, GW_FIELD_LIST, AT(policy), AT(trust.policy_count), GW_POLICY_MAX },
    { 7, GW_FIELD_LIST, AT(trust.pins), 0, 0 },
    { 8, GW_FIELD_LIST, AT(trust.hosts), 0, 0 },
    { 9, GW_FIELD_LIST, AT(trust.server_cas), 0, GW_SERVER_CAS_MAX },
};

/* A number, or a length: 1 to `most`. */
static uint32_t in_range(struct gw_cbor *c, uint32_t v, uint32_t most)
{
    if (v == 0 || v > most) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
    return v;
}

/* Readers of items; `out` is the bundle. */

static void read_digest(struct gw_cbor *c, void *out)
{
    gw_cbor_fixed(c, ((struct bundle *)out)->digest, GW_DIGEST_SIZE);
}

static void read_host(struct gw_cbor *c, void *out)
{
    (void)out;
    (void)in_range(c, (uint32_t)gw_cbor_text(c).n, HOST_MAX);
}

static void read_server_ca(struct gw_cbor *c, void *out)
{
    (void)out;
    (void)in_range(c, (uint32_t)gw_cbor_bytes(c).n, SERVER_CA_MAX);
}

static void read_line(struct gw_cbor *c, void *out)
{
    struct gw_policy_line *line = ((struct bundle *)out)->line++;
    gw_cbor_tuple(c, 2);
    line->roles = in_range(c, gw_cbor_u32(c), ROLES);
    line->count = in_range(c, gw_cbor_u32(c), GW_SIGNATURES_MAX);
}

static void read_key(struct gw_cbor *c, void *out)
{
    struct gw_pubkey *key = out;
    uint32_t roles;

    gw_cbor_tuple(c, 2);
    roles = in_range(c, gw_cbor_u32(c), ROLES);
    gw_cose_key(c, key, true);
    key->roles = roles;
}

/* (x, y) and (x, -y) have one private key: whoever has it must not count as two. The cursor is that of the list. */
static void read_distinct_key(struct gw_cbor *c, void *out)
{
    struct gw_span list = { c->p, c->size };
    struct gw_pubkey key;

    (void)out;
    read_key(c, &key);
    if (c->error == GW_OK && gw_span_occurs(list, key.x) != 1) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
}

/* Of the lists, which are the rows of `fields` from key 4 on. */
static gw_read *const readers[] = {
    read_distinct_key, read_digest, read_line, read_digest, read_host, read_server_ca,
};
#define LISTS (sizeof readers / sizeof readers[0])
_Static_assert(sizeof fields / sizeof fields[0] == 3 + LISTS, "each list has a reader");

static void read_lists(struct gw_cbor *c, struct bundle *b)
{
    for (uint32_t i = 0; i < LISTS; i++) {
        const struct gw_span *list = (const void *)((const uint8_t *)b + fields[3 + i].at);
        gw_list_walk(c, *list, readers[i], b);
    }
}

int gw_trust_key(const struct gw_trust *trust, uint32_t i, struct gw_pubkey *key)
{
    return gw_list_read(trust->keys, i, read_key, key);
}

int gw_trust_parse(struct gw_trust *trust, const uint8_t *map, size_t n)
{
    struct bundle b;
    struct gw_cbor c;
    int error;

    memset(&b, 0, sizeof b);
    b.line = b.trust.policy;
    gw_cbor_init(&c, map, n);
    (void)GW_FIELDS(&c, &b, fields);
    read_lists(&c, &b);
    error = gw_cbor_end(&c);
    if (error != GW_OK) {
        return error;
    }
    if (b.trust.policy_count == 0) {
        b.trust.policy_count = 1;
        b.trust.policy[0].roles = GW_ROLE_AUTHOR;
        b.trust.policy[0].count = 1;
    }
    b.trust.bytes.p = map;
    b.trust.bytes.n = n;
    *trust = b.trust;
    return GW_OK;
}

int gw_trust_open(struct gw_trust *trust, const struct gw_crypto *crypto, const struct gw_roots *roots,
                  const uint8_t *cose, size_t n)
{
    struct gw_keyring ring = { crypto, NULL, roots };
    struct gw_policy_line line = { GW_ROLE_ROOT, roots->threshold };
    struct gw_span map;
    int error = n > GW_TRUST_MAX ? GW_ERR_LIMIT : gw_cose_verify(&ring, GW_TYPE_TRUST, &line, 1, cose, n, &map);

    if (error == GW_ERR_SIGNERS_FEW) {
        return GW_ERR_ROOTS_FEW;
    }
    return error != GW_OK ? error : gw_trust_parse(trust, map.p, map.n);
}
