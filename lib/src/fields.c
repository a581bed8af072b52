/*
 * fields.c - maps by tables, and lists: see fields.h.
 */
#include <string.h>

#include "fields.h"

void gw_cbor_tuple(struct gw_cbor *c, uint32_t n)
{
    if (gw_cbor_array(c) != n) {
        gw_cbor_fail(c, GW_ERR_FORMAT);
    }
}

void gw_read_order(struct gw_cbor *c, void *out)
{
    struct gw_order *order = out;
    gw_cbor_tuple(c, 2);
    order->epoch = gw_cbor_u32(c);
    order->sequence = gw_cbor_u32(c);
}

void gw_read_device_id(struct gw_cbor *c, void *out)
{
    struct gw_span s = gw_cbor_text(c);
    bool good = s.n >= 1 && s.n <= GW_DEVICE_ID_MAX;

    memcpy(out, &s, sizeof s);
    for (size_t i = 0; i < s.n; i++) {
        unsigned b = s.p[i];
        good = good && ((b | 0x20u) - 'a' < 26 || b - '0' < 10 || b == '_' || b == '-');
    }
    if (!good) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
}

/* ---- Lists ---- */

static uint32_t begin(struct gw_cbor *c, struct gw_span list)
{
    gw_cbor_init(c, list.p, list.n);
    return gw_cbor_array(c);
}

uint32_t gw_list_count(struct gw_span list)
{
    struct gw_cbor c;
    return begin(&c, list);
}

int gw_list_read(struct gw_span list, uint32_t i, gw_read *read, void *out)
{
    struct gw_cbor c;

    if (i >= begin(&c, list)) {
        return GW_ERR_NOTHING;
    }
    while (i-- > 0) {
        (void)gw_cbor_item(&c);
    }
    read(&c, out);
    return c.error;
}

bool gw_list_has(struct gw_span list, const uint8_t *p, size_t n)
{
    struct gw_cbor c;
    for (uint32_t left = begin(&c, list); left > 0; left--) {
        struct gw_span s = gw_cbor_bytes(&c);
        if (s.n >= n && memcmp(s.p, p, n) == 0) {
            return true;
        }
    }
    return false;
}

void gw_list_walk(struct gw_cbor *c, struct gw_span list, gw_read *read, void *out)
{
    struct gw_cbor in;

    if (c->error != GW_OK || list.n == 0) {
        return;
    }
    for (uint32_t left = begin(&in, list); left > 0 && in.error == GW_OK; left--) {
        read(&in, out);
    }
    c->error = in.error;
}

/* ---- Maps by tables ---- */

/* A value on its way into an object: whatever its alignment there, it is copied to the offset of its field. */
union value {
    uint32_t number;
    int32_t algorithm;
    struct gw_order pair;
    struct gw_span span;
};

static void read_list(struct gw_cbor *c, const struct gw_field *f, uint8_t *object, struct gw_span *list)
{
    uint32_t n;

    if (gw_cbor_peek(c) != 4) {
        gw_cbor_fail(c, GW_ERR_FORMAT);
    }
    *list = gw_cbor_item(c);
    n = gw_list_count(*list);
    if (n == 0) {
        gw_cbor_fail(c, GW_ERR_FORMAT);
    }
    if (f->most != 0 && n > f->most) {
        gw_cbor_fail(c, GW_ERR_LIMIT);
    }
    if (f->least != 0) {
        memcpy(object + f->least, &n, sizeof n);
    }
}

static void read_value(struct gw_cbor *c, const struct gw_field *f, uint8_t *object)
{
    union value v;
    size_t size = sizeof v.span, measure = f->least;
    unsigned kind = f->kind & ~GW_FIELD_NEEDED;

    switch (kind) {
    case GW_FIELD_VERSION:
        if (gw_cbor_u32(c) != f->least) {
            gw_cbor_fail(c, GW_ERR_VERSION);
        }
        return;
    case GW_FIELD_FIXED:
        gw_cbor_fixed(c, object + f->at, f->most);
        return;
    case GW_FIELD_U32:
        measure = v.number = gw_cbor_u32(c);
        size = sizeof v.number;
        break;
    case GW_FIELD_CIPHER:
        v.algorithm = gw_cose_algorithm(c);
        size = sizeof v.algorithm;
        if (v.algorithm != GW_ALG_A128CTR && v.algorithm != GW_ALG_A256CTR) {
            gw_cbor_fail(c, GW_ERR_VALUE);
        }
        break;
    case GW_FIELD_PAIR:
        gw_read_order(c, &v);
        size = sizeof v.pair;
        break;
    case GW_FIELD_DEVICE:
        gw_read_device_id(c, &v);
        break;
    case GW_FIELD_LIST:
        read_list(c, f, object, &v.span);
        break;
    default:
        v.span = kind == GW_FIELD_TEXT ? gw_cbor_text(c) : gw_cbor_bytes(c);
        measure = v.span.n;
        break;
    }
    if (kind <= GW_FIELD_TEXT && (measure < f->least || (f->most != 0 && measure > f->most))) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
    memcpy(object + f->at, &v, size);
}

uint32_t gw_fields(struct gw_cbor *c, void *object, const struct gw_field *row, uint32_t rows)
{
    struct gw_cbor_map m;
    uint32_t seen = 0, i;
    int64_t key;

    gw_cbor_map(c, &m);
    while (gw_cbor_next(c, &m, &key)) {
        for (i = 0; i < rows && row[i].key != key; i++) {
        }
        if (i == rows) {
            gw_cbor_unknown(c, key);
        } else {
            read_value(c, &row[i], object);
            seen |= (uint32_t)1 << i;
        }
    }
    for (i = 0; i < rows; i++) {
        if ((row[i].kind & GW_FIELD_NEEDED) != 0 && (seen >> i & 1u) == 0) {
            gw_cbor_fail(c, GW_ERR_FORMAT);
        }
    }
    return seen;
}
