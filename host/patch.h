/*
 * patch.h - makes and applies gwpatch payloads (SPEC.md, section 15): deltas and compressed full images.
 *
 * Deterministic: the same input gives the same patch, on every machine. Every patch is decoded with the device's
 * decoder before it is returned.
 */
#ifndef GWH_PATCH_H
#define GWH_PATCH_H

#include "encode.h"
#include "error.h"
#include "godwit/patch.h"

#define GWH_ISA_AUTO 255u

struct gwh_patch_options {
    uint32_t isa;     /* enum gw_isa_id or GWH_ISA_AUTO */
    bool base_given;  /* else it is found, or read from the image's header */
    uint32_t base;    /* address of the first byte of an image without segments */
    uint32_t base_new; /* of the new image, when it is linked for another slot */
    uint32_t profile; /* enum gw_patch_profile */
    uint32_t unit;    /* restart unit, 0 or a power of two from 32 KB to 1 MB */
    uint32_t effort;  /* 0: all there is; 1: one search, one pass */
};

/* Appends the patch from `old` (n 0: none, a full image) to `fresh`. GW_ERR_SPACE, GW_ERR_VALUE (options),
 * GW_ERR_DECODE (never: the decoder disagrees). */
int gwh_patch_make(struct gwh_buf *out, struct gw_span old, struct gw_span fresh,
                   const struct gwh_patch_options *options);
/* Appends the new image. */
int gwh_patch_apply(struct gwh_buf *out, struct gw_span old, struct gw_span patch);

/* What the bytes of a patch are for. */
enum gwh_cost { GWH_COST_LITERALS, GWH_COST_MATCHES, GWH_COST_COPIES, GWH_COST_CORRECTIONS, GWH_COSTS };
struct gwh_patch_costs {
    uint64_t count[GWH_COSTS]; /* of steps: bytes or calls, matches, copies, groups of a copy */
    uint64_t made[GWH_COSTS];  /* bytes of output */
    uint64_t bytes[GWH_COSTS]; /* bytes of patch, rounded */
};
int gwh_patch_inspect(struct gwh_patch_costs *costs, struct gw_span old, struct gw_span patch);
const char *gwh_cost_name(unsigned cost);

const char *gwh_isa_name(uint32_t isa);
/* True and *isa for "thumb", "riscv" ... or "auto". */
bool gwh_isa_parse(const char *name, uint32_t *isa);

/* All instruction sets, for gw_patch_config.isas. */
extern const struct gw_isa *const gwh_isas[];

#endif
