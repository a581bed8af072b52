/*
 * head.c - channel heads and offers (SPEC.md, section 7).
 *
 * A head is signed; an offer is not, and nothing in it is trusted: its parts are verified when they are used.
 */
#include <string.h>

#include "cose.h"
#include "fields.h"

#define HEAD_MAX 1024u
#define OFFER_MAX 8192u
#define NEEDED(kind) (GW_FIELD_##kind | GW_FIELD_NEEDED)

#define AT(field) offsetof(struct gw_head, field)
static const struct gw_field head_fields[] = {
    { 1, NEEDED(VERSION), 0, 1, 0 },
    { 2, NEEDED(FIXED), AT(class_id), 0, GW_UUID_SIZE },
    { 3, NEEDED(TEXT), AT(channel), 1, 32 },
    { 4, NEEDED(PAIR), AT(latest), 0, 0 },
    { 5, GW_FIELD_LIST, AT(withdrawn), AT(withdrawn_count), 0 },
    { 6, NEEDED(U32), AT(issued_at), 0, 0 },
    { 7, NEEDED(U32), AT(serial), 1, 0 },
};
#undef AT

struct offer {
    struct gw_offer offer;
    struct gw_span grants;
};
#define AT(field) offsetof(struct offer, field)
static const struct gw_field offer_fields[] = {
    { 1, NEEDED(VERSION), 0, 1, 0 },
    { 2, GW_FIELD_BYTES, AT(offer.manifest), 1, 0 },
    { 3, GW_FIELD_LIST, AT(grants), AT(offer.grant_count), GW_GRANTS_MAX },
    { 4, GW_FIELD_BYTES, AT(offer.head), 1, 0 },
    { 5, GW_FIELD_U32, AT(offer.next_look), 0, 0 },
    { 6, GW_FIELD_TEXT, AT(offer.rollout), 1, 0 },
    { 7, GW_FIELD_TEXT, AT(offer.payload_base), 1, 0 },
    { 8, GW_FIELD_BYTES, AT(offer.trust), 1, 0 },
};
#undef AT

int gw_head_parse(struct gw_head *head, const uint8_t *map, size_t n)
{
    struct gw_head o;
    struct gw_order order;
    struct gw_cbor c;
    int error;

    memset(&o, 0, sizeof o);
    gw_cbor_init(&c, map, n);
    (void)GW_FIELDS(&c, &o, head_fields);
    gw_list_walk(&c, o.withdrawn, gw_read_order, &order);
    error = gw_cbor_end(&c);
    if (error == GW_OK) {
        *head = o;
    }
    return error;
}

int gw_head_open(struct gw_head *head, const struct gw_crypto *crypto, const struct gw_trust *trust,
                 const uint8_t *cose, size_t n)
{
    static const struct gw_policy_line line = { GW_ROLE_DISTRIBUTOR, 1 };
    struct gw_keyring ring = { crypto, trust, NULL };
    struct gw_span map;
    int error = n > HEAD_MAX ? GW_ERR_LIMIT : gw_cose_verify(&ring, GW_TYPE_HEAD, &line, 1, cose, n, &map);

    return error != GW_OK ? error : gw_head_parse(head, map.p, map.n);
}

int gw_head_withdrawn(const struct gw_head *head, uint32_t i, struct gw_order *order)
{
    return gw_list_read(head->withdrawn, i, gw_read_order, order);
}

static void read_grant(struct gw_cbor *c, void *out)
{
    struct gw_span **grant = out;
    **grant = gw_cbor_bytes(c);
    if ((*grant)->n == 0) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
    (*grant)++;
}

int gw_offer_parse(struct gw_offer *offer, const uint8_t *bytes, size_t n)
{
    struct offer o;
    struct gw_span *grant = o.offer.grant;
    struct gw_cbor c;
    int error;

    memset(&o, 0, sizeof o);
    gw_cbor_init(&c, bytes, n);
    if (n > OFFER_MAX) {
        return GW_ERR_LIMIT;
    }
    (void)GW_FIELDS(&c, &o, offer_fields);
    gw_list_walk(&c, o.grants, read_grant, &grant);
    error = gw_cbor_end(&c);
    if (error == GW_OK) {
        *offer = o.offer;
    }
    return error;
}
