/*
 * fields.c - maps by tables, and lists: see fields.h.
 */
#include <string.h>

#include "fields.h"

static void in_range(struct gw_cbor *c, const struct gw_field *f, size_t v)
{
    if (v < f->least || (f->most != 0 && v > f->most)) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
}

static struct gw_span list(struct gw_cbor *c, const struct gw_field *f, uint8_t *object)
{
    struct gw_span s = gw_cbor_item(c);
    struct gw_cbor in;
    uint32_t n;

    gw_cbor_init(&in, s.p, s.n);
    n = gw_cbor_array(&in);
    if (c->error != GW_OK) {
        return s;
    }
    if (in.error != GW_OK || n == 0) {
        gw_cbor_fail(c, GW_ERR_FORMAT);
    } else if (f->most != 0 && n > f->most) {
        gw_cbor_fail(c, GW_ERR_LIMIT);
    } else if (f->least != 0) {
        memcpy(object + f->least, &n, sizeof n);
    }
    return s;
}

static void pair(struct gw_cbor *c, uint32_t v[2])
{
    gw_cbor_tuple(c, 2);
    v[0] = gw_cbor_u32(c);
    v[1] = gw_cbor_u32(c);
}

static int32_t cipher(struct gw_cbor *c)
{
    int64_t v = gw_cbor_int(c);
    if (v != GW_ALG_A128CTR && v != GW_ALG_A256CTR) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
    return (int32_t)v;
}

/* Objects are plain structs: a value is copied to the offset of its field, whatever its alignment. */
static void value(struct gw_cbor *c, const struct gw_field *f, uint8_t *object)
{
    struct gw_span s;
    uint32_t v[2];

    switch (f->kind & ~GW_FIELD_NEEDED) {
    case GW_FIELD_VERSION:
        if (gw_cbor_u32(c) != f->least) {
            gw_cbor_fail(c, GW_ERR_VERSION);
        }
        return;
    case GW_FIELD_U32:
        v[0] = gw_cbor_u32(c);
        in_range(c, f, v[0]);
        memcpy(object + f->at, v, sizeof v[0]);
        return;
    case GW_FIELD_PAIR:
        pair(c, v);
        memcpy(object + f->at, v, sizeof v);
        return;
    case GW_FIELD_CIPHER:
        v[0] = (uint32_t)cipher(c);
        memcpy(object + f->at, v, sizeof v[0]);
        return;
    case GW_FIELD_FIXED:
        gw_cbor_fixed(c, object + f->at, f->most);
        return;
    case GW_FIELD_LIST:
        s = list(c, f, object);
        break;
    case GW_FIELD_DEVICE:
        s = gw_cbor_device_id(c);
        break;
    default:
        s = (f->kind & ~GW_FIELD_NEEDED) == GW_FIELD_TEXT ? gw_cbor_text(c) : gw_cbor_bytes(c);
        in_range(c, f, s.n);
        break;
    }
    memcpy(object + f->at, &s, sizeof s);
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
            value(c, &row[i], object);
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

void gw_cbor_tuple(struct gw_cbor *c, uint32_t n)
{
    if (gw_cbor_array(c) != n) {
        gw_cbor_fail(c, GW_ERR_FORMAT);
    }
}

struct gw_order gw_cbor_order(struct gw_cbor *c)
{
    uint32_t v[2];
    struct gw_order order;
    pair(c, v);
    order.epoch = v[0];
    order.sequence = v[1];
    return order;
}

struct gw_span gw_cbor_device_id(struct gw_cbor *c)
{
    struct gw_span s = gw_cbor_text(c);
    bool good = s.n >= 1 && s.n <= GW_DEVICE_ID_MAX;

    for (size_t i = 0; i < s.n; i++) {
        uint8_t b = s.p[i], letter = b | 0x20;
        good = good && ((letter >= 'a' && letter <= 'z') || (b >= '0' && b <= '9') || b == '_' || b == '-');
    }
    if (!good) {
        gw_cbor_fail(c, GW_ERR_VALUE);
    }
    return s;
}

uint32_t gw_list_count(struct gw_span list)
{
    struct gw_cbor c;
    gw_cbor_init(&c, list.p, list.n);
    return list.n == 0 ? 0 : gw_cbor_array(&c);
}

int gw_list_at(struct gw_span list, uint32_t i, struct gw_cbor *c)
{
    gw_cbor_init(c, list.p, list.n);
    if (i >= gw_cbor_array(c)) {
        return GW_ERR_NOTHING;
    }
    while (i-- > 0) {
        (void)gw_cbor_item(c);
    }
    return c->error;
}

bool gw_list_has(struct gw_span list, const uint8_t *p, size_t n)
{
    struct gw_cbor c;
    gw_cbor_init(&c, list.p, list.n);
    for (uint32_t left = gw_cbor_array(&c); left > 0; left--) {
        struct gw_span s = gw_cbor_bytes(&c);
        if (s.n >= n && memcmp(s.p, p, n) == 0) {
            return true;
        }
    }
    return false;
}

int gw_list_each(struct gw_span list, void (*item)(struct gw_cbor *c, void *ctx), void *ctx)
{
    struct gw_cbor c;
    gw_cbor_init(&c, list.p, list.n);
    for (uint32_t left = list.n == 0 ? 0 : gw_cbor_array(&c); left > 0 && c.error == GW_OK; left--) {
        item(&c, ctx);
    }
    return c.error;
}
