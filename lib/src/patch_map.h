/*
 * patch_map.h - the address map: where old addresses went, learned while decoding.
 *
 * Disjoint intervals of old addresses, sorted, each with its shift to the new address. Every field that was decoded
 * teaches it; the interval used least makes room. It is advice only.
 */
#ifndef GW_PATCH_MAP_H
#define GW_PATCH_MAP_H

#include "godwit/patch.h"

struct gw_interval {
    uint32_t lo, hi; /* inclusive */
    int32_t shift_use; /* shift << 8 | when it was used last */
};

struct gw_patch_guess gw_map_get(const struct gw_patch_map *m, struct gw_interval *v, uint32_t address);
/* lo..hi moved by `shift`; shifts of 8 MB and more are not kept. */
void gw_map_put(struct gw_patch_map *m, struct gw_interval *v, uint32_t lo, uint32_t hi, int32_t shift);

#endif
