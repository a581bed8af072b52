/*
 * fuzz_head.c - channel heads, signed and bare.
 */
#include "fuzz_formats.h"

static void walk(const struct gw_head *h, const uint8_t *data, size_t size)
{
    struct gw_order order;

    MUST(h->channel.n >= 1 && h->channel.n <= 32 && h->serial > 0);
    fuzz_inside(h->channel, data, size);
    for (uint32_t i = 0; i < h->withdrawn_count; i++) {
        MUST(gw_head_withdrawn(h, i, &order) == GW_OK);
    }
    MUST(gw_head_withdrawn(h, h->withdrawn_count, &order) == GW_ERR_NOTHING);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_world *w = fuzz_world();
    struct gw_head h;

    if (gw_head_parse(&h, data, size) == GW_OK) {
        walk(&h, data, size);
    }
    if (gw_head_open(&h, &w->crypto, &w->trust, data, size) == GW_OK) {
        walk(&h, data, size);
    }
    return 0;
}
