/*
 * patch_coder.h - the decoder's side of the model: a binary range decoder, and no knowledge of the result.
 *
 * The model (patch_model.h, patch_core.h) is written once. Each value that it codes passes through gw_code_bit() with
 * the value wanted; here that is ignored and the decoded one is returned. The encoder (host/patch_coder_encode.h)
 * compiles the same model with its own coder and with an oracle that knows the result.
 */
#ifndef GW_PATCH_CODER_H
#define GW_PATCH_CODER_H

#include "godwit/patch.h"

struct gw_token {
    uint32_t kind, length, at; /* at: distance - 1, index of a repeated one, or offset in the old image */
};

/* The next byte of this segment; zeros follow its end. gw_step()'s caller sees to it that it is there. */
static inline uint32_t gw_code_next(struct gw_patch *p)
{
    if (p->left == 0) {
        return 0;
    }
    p->left--;
    return p->in[p->in_at++];
}

static inline void gw_code_start(struct gw_patch *p)
{
    p->range = UINT32_MAX;
    p->code = 0;
    for (unsigned i = 0; i < 4; i++) {
        p->code = p->code << 8 | gw_code_next(p);
    }
}

#if defined(__GNUC__) && !defined(__OPTIMIZE_SIZE__)
#define GW_HERE __attribute__((always_inline))
#else
#define GW_HERE
#endif

/* p16: probability of a 1 in 1/65536, 1..65535. This one is for the innermost loop, gw_code_bit() for the rest. */
GW_HERE static inline unsigned gw_code_bit_here(struct gw_patch *p, uint32_t p16, unsigned bit)
{
    uint32_t bound = (p->range >> 16) * p16;
    bit = p->code < bound;
    if (bit) {
        p->range = bound;
    } else {
        p->code -= bound;
        p->range -= bound;
    }
    while (p->range < 1u << 24) {
        p->code = p->code << 8 | gw_code_next(p);
        p->range <<= 8;
    }
    return bit;
}

static unsigned gw_code_bit(struct gw_patch *p, uint32_t p16, unsigned bit)
{
    return gw_code_bit_here(p, p16, bit);
}

/* What comes next, known to an encoder only. */
static inline struct gw_token gw_want_token(struct gw_patch *p)
{
    (void)p;
    return (struct gw_token){0, 0, 0};
}

static inline const uint8_t *gw_want_bytes(struct gw_patch *p)
{
    (void)p;
    return NULL;
}

#endif
