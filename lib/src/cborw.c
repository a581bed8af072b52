/*
 * cborw.c - writer of deterministic CBOR. Heads are always the shortest; the order of map keys is the caller's duty.
 */
#include <string.h>

#include "cbor.h"

void gw_cborw_init(struct gw_cborw *w, uint8_t *p, size_t size)
{
    w->p = p;
    w->size = size;
    w->at = 0;
    w->error = GW_OK;
}

void gw_cborw_raw(struct gw_cborw *w, const void *p, size_t n)
{
    if (w->p != NULL && n != 0) {
        if (w->error == GW_OK && n <= w->size - w->at) {
            memcpy(w->p + w->at, p, n);
        } else {
            w->error = GW_ERR_SPACE;
        }
    }
    w->at += n;
}

void gw_cborw_head(struct gw_cborw *w, unsigned major, uint64_t value)
{
    uint8_t b[9];
    unsigned n = value < 24 ? 0 : value <= 0xff ? 1 : value <= 0xffff ? 2 : value <= 0xffffffff ? 4 : 8;
    unsigned info = n == 0 ? (unsigned)value : n == 8 ? 27 : n == 4 ? 26 : 23 + n;

    b[0] = (uint8_t)(major << 5 | info);
    for (unsigned i = n; i > 0; i--) {
        b[i] = (uint8_t)value;
        value >>= 8;
    }
    gw_cborw_raw(w, b, n + 1);
}

void gw_cborw_uint(struct gw_cborw *w, uint64_t v)
{
    gw_cborw_head(w, 0, v);
}

void gw_cborw_int(struct gw_cborw *w, int64_t v)
{
    gw_cborw_head(w, v < 0, v < 0 ? ~(uint64_t)v : (uint64_t)v);
}

void gw_cborw_bytes(struct gw_cborw *w, const void *p, size_t n)
{
    gw_cborw_head(w, 2, n);
    gw_cborw_raw(w, p, n);
}

void gw_cborw_text(struct gw_cborw *w, const char *p, size_t n)
{
    gw_cborw_head(w, 3, n);
    gw_cborw_raw(w, p, n);
}

void gw_cborw_array(struct gw_cborw *w, size_t n)
{
    gw_cborw_head(w, 4, n);
}

void gw_cborw_map(struct gw_cborw *w, size_t n)
{
    gw_cborw_head(w, 5, n);
}

void gw_cborw_null(struct gw_cborw *w)
{
    static const uint8_t null = 0xf6;
    gw_cborw_raw(w, &null, 1);
}

void gw_cborw_tag(struct gw_cborw *w, uint32_t tag)
{
    gw_cborw_head(w, 6, tag);
}

int gw_cborw_end(const struct gw_cborw *w)
{
    return w->error;
}
