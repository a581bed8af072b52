/*
 * fields.h - reads the maps of SPEC.md by tables: one row for each key, in the order of the keys.
 *
 * A table is the whole truth on which keys a map has, which it needs and what range each value has; what remains for
 * code are the rules between fields.
 */
#ifndef GW_FIELDS_H
#define GW_FIELDS_H

#include "cose.h"

enum gw_field_kind {
    GW_FIELD_VERSION, /* the number `least`, or GW_ERR_VERSION; stored nowhere */
    GW_FIELD_U32,     /* uint32_t in least..most; most 0: no end */
    GW_FIELD_FIXED,   /* byte string of `most` bytes, copied */
    GW_FIELD_BYTES,   /* struct gw_span, length in least..most; most 0: no end */
    GW_FIELD_TEXT,    /* the same, UTF-8 */
    GW_FIELD_LIST,    /* struct gw_span: a whole array of 1..most items; `least`, if not 0: where their number goes */
    GW_FIELD_PAIR,    /* two uint32_t: an array of two numbers */
    GW_FIELD_DEVICE,  /* struct gw_span: a device id */
    GW_FIELD_CIPHER,  /* int32_t: GW_ALG_A128CTR or GW_ALG_A256CTR */
};
#define GW_FIELD_NEEDED 0x80u

struct gw_field {
    uint8_t key;
    uint8_t kind;  /* enum gw_field_kind | GW_FIELD_NEEDED */
    uint16_t at;   /* offset in the object */
    uint16_t least;
    uint16_t most;
};

/* Reads one map into `object`; absent fields stay as they are. Returns a bit (1 << row) for each that was there. */
uint32_t gw_fields(struct gw_cbor *c, void *object, const struct gw_field *row, uint32_t rows);
#define GW_FIELDS(c, object, table) gw_fields(c, object, table, sizeof(table) / sizeof((table)[0]))

/* Reads one item at the cursor into what `out` points to. */
typedef void gw_read(struct gw_cbor *c, void *out);

/* Begins an array of exactly n items. */
void gw_cbor_tuple(struct gw_cbor *c, uint32_t n);

/* A device id, as SPEC.md section 1 has it; out: struct gw_span. */
gw_read gw_read_device_id;
/* [epoch, sequence]; out: struct gw_order. */
gw_read gw_read_order;

/* Number of items of a list, a span that gw_fields() gave; 0 for one that is absent. */
uint32_t gw_list_count(struct gw_span list);
/* Is there a byte string in the list that begins with the n bytes at p? */
bool gw_list_has(struct gw_span list, const uint8_t *p, size_t n);

/* Reads item i of a list. GW_ERR_NOTHING: there is none. */
GW_MUST_USE int gw_list_read(struct gw_span list, uint32_t i, gw_read *read, void *out);
/* Reads every item of a list that lies inside of what `c` has read; latches the first error in `c`. */
void gw_list_walk(struct gw_cbor *c, struct gw_span list, gw_read *read, void *out);

#endif
