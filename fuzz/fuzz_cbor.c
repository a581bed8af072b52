/*
 * fuzz_cbor.c - the CBOR reader: what it takes has one encoding only, so that writing it again gives the same bytes;
 * and any order of calls on any bytes stays inside of them.
 */
#include "fuzz_formats.h"

/* Reads one item by type and writes it again. Depth is bounded by what gw_cbor_item() took. */
static void copy(struct gw_cbor *c, struct gw_cborw *w)
{
    struct gw_span s;
    struct gw_cbor_map m;
    uint32_t n;

    switch (gw_cbor_peek(c)) {
    case 0:
        gw_cborw_uint(w, gw_cbor_uint(c));
        break;
    case 1: /* may be below what gw_cbor_int() takes */
        s = gw_cbor_item(c);
        gw_cborw_raw(w, s.p, s.n);
        break;
    case 2:
        s = gw_cbor_bytes(c);
        gw_cborw_bytes(w, s.p, s.n);
        break;
    case 3:
        s = gw_cbor_text(c);
        gw_cborw_text(w, (const char *)s.p, s.n);
        break;
    case 4:
        n = gw_cbor_array(c);
        gw_cborw_array(w, n);
        while (n-- > 0) {
            copy(c, w);
        }
        break;
    case 5:
        gw_cbor_map(c, &m);
        gw_cborw_map(w, m.left);
        for (n = 2 * m.left; n > 0; n--) {
            copy(c, w);
        }
        break;
    default:
        MUST(gw_cbor_null(c));
        gw_cborw_null(w);
        break;
    }
}

static void one_item(const uint8_t *data, size_t size)
{
    struct gw_cbor c;
    struct gw_cborw w;
    struct gw_span item;
    uint8_t *again;

    gw_cbor_init(&c, data, size);
    item = gw_cbor_item(&c);
    if (c.error != GW_OK) {
        MUST(item.n == 0);
        return;
    }
    fuzz_inside(item, data, size);
    MUST(item.n > 0 && item.n == c.at);
    again = malloc(item.n);
    MUST(again != NULL);
    gw_cborw_init(&w, again, item.n);
    gw_cbor_init(&c, item.p, item.n);
    copy(&c, &w);
    MUST(gw_cbor_end(&c) == GW_OK);
    MUST(gw_cborw_end(&w) == GW_OK && w.at == item.n);
    MUST(memcmp(again, item.p, item.n) == 0);
    free(again);
}

/* The first byte of each call says which; the cursor walks over the same bytes. */
static void any_calls(const uint8_t *data, size_t size)
{
    struct gw_cbor c;
    struct gw_cbor_map m = { 0 };
    uint8_t fixed[8];
    int64_t key;
    int first = GW_OK;

    gw_cbor_init(&c, data, size);
    for (size_t i = 0; i < size && i < 64; i++) {
        size_t at = c.at;
        switch (data[size - 1 - i] % 12) {
        case 0: (void)gw_cbor_uint(&c); break;
        case 1: (void)gw_cbor_u32(&c); break;
        case 2: (void)gw_cbor_int(&c); break;
        case 3: fuzz_inside(gw_cbor_bytes(&c), data, size); break;
        case 4: fuzz_inside(gw_cbor_text(&c), data, size); break;
        case 5: gw_cbor_fixed(&c, fixed, sizeof fixed); break;
        case 6: MUST(gw_cbor_array(&c) <= size); break;
        case 7: (void)gw_cbor_null(&c); break;
        case 8: (void)gw_cbor_tag(&c, 98); break;
        case 9: gw_cbor_map(&c, &m); break;
        case 10: (void)gw_cbor_next(&c, &m, &key); break;
        default: fuzz_inside(gw_cbor_item(&c), data, size); break;
        }
        MUST(c.at >= at && c.at <= size);
        MUST(first == GW_OK || (c.error == first && c.at == at)); /* the first error stays, nothing moves */
        first = c.error;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    one_item(data, size);
    any_calls(data, size);
    return 0;
}
