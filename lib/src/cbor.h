/*
 * cbor.h - the subset of CBOR that Godwit signs: deterministic encoding (RFC 8949, section 4.2.1), definite lengths,
 * no floats, no tags but where COSE asks for one, integers of at most 64 bits.
 *
 * Reader: one bounded cursor that latches its first error; after an error every call returns 0 / an empty span and
 * moves nothing, so that a decoder may check once at its end. No recursion. Writer: into a caller's buffer, latching
 * GW_ERR_SPACE; with a NULL buffer it only counts.
 */
#ifndef GW_CBOR_H
#define GW_CBOR_H

#include "godwit/godwit.h"

struct gw_cbor {
    const uint8_t *p;
    size_t size;
    size_t at;
    int error; /* first error: GW_ERR_FORMAT, _TRUNCATED, _TRAILING, _UNKNOWN_KEY, _LIMIT, _VALUE */
};

/* A map being read: keys must come in deterministic order (bytewise order of their encodings), each once. */
struct gw_cbor_map {
    uint32_t left;
    struct gw_span last; /* encoding of the key before; n 0: none yet */
};

#define GW_CBOR_DEPTH 8u /* nesting that gw_cbor_skip accepts */

void gw_cbor_init(struct gw_cbor *c, const uint8_t *p, size_t n);
void gw_cbor_fail(struct gw_cbor *c, int error); /* latches, if nothing is latched yet */
uint64_t gw_cbor_uint(struct gw_cbor *c);
uint32_t gw_cbor_u32(struct gw_cbor *c);         /* larger values: GW_ERR_VALUE */
int64_t gw_cbor_int(struct gw_cbor *c);          /* -2^63 .. 2^63-1 */
struct gw_span gw_cbor_bytes(struct gw_cbor *c);
void gw_cbor_fixed(struct gw_cbor *c, uint8_t *out, size_t n); /* a byte string of exactly n bytes */
struct gw_span gw_cbor_text(struct gw_cbor *c);  /* valid UTF-8 or GW_ERR_FORMAT */
uint32_t gw_cbor_array(struct gw_cbor *c);       /* number of items */
bool gw_cbor_null(struct gw_cbor *c);            /* takes a null if one is next */
bool gw_cbor_tag(struct gw_cbor *c, uint32_t tag); /* takes the tag if it is next */
int gw_cbor_peek(const struct gw_cbor *c);       /* major type 0..7 of the next item, -1 at the end or after an error */
struct gw_span gw_cbor_item(struct gw_cbor *c);  /* skips one whole item, checking it: returns its bytes */
/* Begins a map with integer keys; then next() until it returns false. */
void gw_cbor_map(struct gw_cbor *c, struct gw_cbor_map *m);
bool gw_cbor_next(struct gw_cbor *c, struct gw_cbor_map *m, int64_t *key);
/* For a key that the decoder does not know: skips the value when key >= GW_KEY_OPTIONAL, else GW_ERR_UNKNOWN_KEY. */
#define GW_KEY_OPTIONAL 128
void gw_cbor_unknown(struct gw_cbor *c, int64_t key);
/* All bytes used? Returns the latched error, else GW_ERR_TRAILING or GW_OK. */
GW_MUST_USE int gw_cbor_end(struct gw_cbor *c);

struct gw_cborw {
    uint8_t *p; /* NULL: count only */
    size_t size;
    size_t at;  /* bytes written, or needed */
    int error;
};
void gw_cborw_init(struct gw_cborw *w, uint8_t *p, size_t size);
void gw_cborw_head(struct gw_cborw *w, unsigned major, uint64_t value);
void gw_cborw_uint(struct gw_cborw *w, uint64_t v);
void gw_cborw_int(struct gw_cborw *w, int64_t v);
void gw_cborw_bytes(struct gw_cborw *w, const void *p, size_t n);
void gw_cborw_text(struct gw_cborw *w, const char *p, size_t n);
void gw_cborw_array(struct gw_cborw *w, size_t n);
void gw_cborw_map(struct gw_cborw *w, size_t n);
void gw_cborw_null(struct gw_cborw *w);
void gw_cborw_tag(struct gw_cborw *w, uint32_t tag);
void gw_cborw_raw(struct gw_cborw *w, const void *p, size_t n); /* bytes that are CBOR already */
/* GW_OK, or GW_ERR_SPACE when the buffer was too small (w->at then says how much is needed). */
GW_MUST_USE int gw_cborw_end(const struct gw_cborw *w);

#endif
