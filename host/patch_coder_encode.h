/*
 * patch_coder_encode.h - the encoder's side of the codec's model: a range encoder, and an oracle that knows the result.
 *
 * Stands in the place of lib/src/patch_coder.h (same include guard, same functions), so that patch_core.h is compiled
 * into an encoder without a line of its own. The first member of struct gwh_run is the decoder's state.
 */
#ifndef GW_PATCH_CODER_H
#define GW_PATCH_CODER_H

#include "patch_plan.h"

struct gw_token {
    uint32_t kind, length, at;
};

struct gwh_run {
    struct gw_patch p;
    const struct gwh_plan *plan;
    /* range encoder with carry */
    uint64_t low;
    uint32_t range, taken; /* taken: bytes that the decoder will have read */
    uint64_t held;         /* bytes that a carry may still change: held - 1 times 0xff behind `cache` */
    uint8_t cache;
    struct gwh_buf *out;
    size_t begun; /* where this segment's bytes begin in out */
    uint64_t cost; /* of all bits so far, in 1/GWH_BIT bits */
    uint64_t mark; /* cost before the bytes of this step */
    bool first;
    uint32_t token; /* index of the current one */
    uint32_t literal_until; /* literals up to here, whatever the plan says */
    uint8_t want[8];
};

static inline struct gwh_run *gwh_run_of(struct gw_patch *p)
{
    return (struct gwh_run *)(void *)p;
}

static inline void gwh_shift_low(struct gwh_run *r)
{
    if (r->low < 0xff000000u || r->low >> 32 != 0) {
        uint8_t carry = (uint8_t)(r->low >> 32);
        for (; r->held > 0; r->held--) {
            uint8_t b = (uint8_t)(r->cache + carry);
            if (r->out != NULL) {
                (void)gwh_buf_add(r->out, &b, 1);
            }
            r->cache = 0xff;
        }
        r->cache = (uint8_t)(r->low >> 24);
    }
    r->held++;
    r->low = (r->low & 0x00ffffffu) << 8;
}

static inline void gw_code_start(struct gw_patch *p)
{
    struct gwh_run *r = gwh_run_of(p);
    r->low = 0;
    r->range = UINT32_MAX;
    r->held = 1;
    r->cache = 0;
    r->taken = 4;
    r->begun = r->out != NULL ? r->out->n : 0;
}

static inline unsigned gw_code_bit_here(struct gw_patch *p, uint32_t p16, unsigned bit)
{
    struct gwh_run *r = gwh_run_of(p);
    uint32_t bound = (r->range >> 16) * p16;
    r->cost += gwh_bit_cost[(bit != 0 ? p16 : 65536u - p16) >> 4];
    if (bit != 0) {
        r->range = bound;
    } else {
        r->low += bound;
        r->range -= bound;
    }
    while (r->range < 1u << 24) {
        r->range <<= 8;
        gwh_shift_low(r);
        r->taken++;
    }
    return bit != 0;
}

static inline unsigned gw_code_bit(struct gw_patch *p, uint32_t p16, unsigned bit)
{
    return gw_code_bit_here(p, p16, bit);
}

struct gw_token gw_want_token(struct gw_patch *p);
const uint8_t *gw_want_bytes(struct gw_patch *p);

#endif
