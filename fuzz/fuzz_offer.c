/*
 * fuzz_offer.c - offers: unsigned, from whoever answers. Every part lies inside of the input.
 */
#include "fuzz_formats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_offer o;

    if (gw_offer_parse(&o, data, size) != GW_OK) {
        return 0;
    }
    MUST(o.grant_count <= GW_GRANTS_MAX);
    fuzz_inside(o.manifest, data, size);
    fuzz_inside(o.head, data, size);
    fuzz_inside(o.trust, data, size);
    fuzz_inside(o.rollout, data, size);
    fuzz_inside(o.payload_base, data, size);
    for (uint32_t i = 0; i < o.grant_count; i++) {
        MUST(o.grant[i].n > 0);
        fuzz_inside(o.grant[i], data, size);
    }
    return 0;
}
