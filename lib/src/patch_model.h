/*
 * patch_model.h - what the codec expects: adaptive counters, their mixing, numbers. Shared by decoder and encoder.
 *
 * A counter is 16 bits: 12 of probability, 4 of how often it was used (it learns fast at first). Where several contexts
 * have something to say, their counters are mixed in the logistic domain with weights that learn. Integers only; the
 * same on every machine.
 */
#ifndef GW_PATCH_MODEL_H
#define GW_PATCH_MODEL_H

#include <string.h>

#include "isa.h"
#include "patch_coder.h"
#include "patch_map.h"
#include "patch_tables.h"

#define GW_INPUTS 4u /* of a mixer */
enum { GW_SETS_HIT = 36, GW_SETS_MISS = 2, GW_SETS_LITERAL = 4, GW_SETS_GROUP = 6 };
enum {
    GW_W_HIT = 0,
    GW_W_MISS = GW_W_HIT + GW_SETS_HIT,
    GW_W_LITERAL = GW_W_MISS + GW_SETS_MISS,
    GW_W_GROUP = GW_W_LITERAL + GW_SETS_LITERAL,
    GW_W_COUNT = GW_W_GROUP + GW_SETS_GROUP,
};

/* Counters with an address of their own. The rest is a pool that contexts are hashed into. */
enum { GW_BITS = 20, GW_NUM = 32 + 3 * GW_BITS + 8 }; /* of one kind of number */
enum {
    GW_C_TOKEN = 0,
    GW_C_COPY = GW_C_TOKEN + 32,
    GW_C_REP = GW_C_COPY + 8,
    GW_C_REP0 = GW_C_REP + 8,
    GW_C_REP1 = GW_C_REP0 + 8,
    GW_C_DIAG = GW_C_REP1 + 2,
    GW_C_HIT = GW_C_DIAG + 4,         /* kind 8, sure 4, missed 2, last hit 2 */
    GW_C_RUN = GW_C_HIT + 128,        /* run 16, kind class 2, position 4 */
    GW_C_HIST = GW_C_RUN + 128,       /* last 7 */
    GW_C_GROUP = GW_C_HIST + 256,     /* length 8, run 16 */
    GW_C_GHIST = GW_C_GROUP + 128,    /* last 6 */
    GW_C_FIELD = GW_C_GHIST + 64,     /* kind 8, what of the field misses */
    GW_C_SIGN = GW_C_FIELD + 24,
    GW_C_N_SKIP = GW_C_SIGN + 8,
    GW_C_N_COPY = GW_C_N_SKIP + GW_NUM,
    GW_C_N_MATCH = GW_C_N_COPY + GW_NUM,
    GW_C_N_REP = GW_C_N_MATCH + GW_NUM,
    GW_C_N_DIST = GW_C_N_REP + GW_NUM,
    GW_C_N_FIELD = GW_C_N_DIST + 3 * GW_NUM,
    GW_C_POOL = GW_C_N_FIELD + 2 * GW_NUM,
};

struct gw_model {
    uint16_t *c;             /* counters: GW_C_POOL own, then the pool */
    int32_t *w;              /* weights: GW_W_COUNT sets of GW_INPUTS */
    struct gw_interval *map;
    unsigned shift;          /* 32 - log2 of the pool */
};

/* 200 * logit of a probability in 1/4096: in steps of 32 / 4096, finer near the ends. */
static int gw_stretch(uint32_t p12)
{
    if (p12 - 128 < 3840) {
        return gw_patch_stretch[p12 >> 5];
    }
    return p12 < 128 ? gw_patch_stretch[128 + p12] : -gw_patch_stretch[128 + 4095 - p12];
}

/* 200 * logit -> 16 bits of probability, 32..65504. */
static uint32_t gw_squash(int d)
{
    d = d > 2047 ? 2047 : d < -2047 ? -2047 : d;
    uint32_t i = (uint32_t)(d + 2048) >> 6, f = (uint32_t)(d + 2048) & 63;
    return gw_patch_squash[i] + ((uint32_t)(gw_patch_squash[i + 1] - gw_patch_squash[i]) * f >> 6);
}

/* Moves a counter to 65535 or 0, `toward`. */
static inline void gw_learn(uint16_t *c, uint32_t toward, unsigned limit)
{
    uint32_t n = *c & 15u, v = *c | 8u;
    v += (uint32_t)((int32_t)(toward - v) * gw_patch_rate[n] >> 16);
    *c = (uint16_t)((v & 0xfff0) | (n + (n < limit)));
}

/* One decision by one counter. */
static unsigned gw_bit(struct gw_patch *p, uint16_t *c, unsigned bit, unsigned limit)
{
    uint32_t p16 = *c | 8u;
    bit = gw_code_bit(p, p16 < 48 ? 48 : p16, bit);
    gw_learn(c, 0xffffu & (0u - bit), limit);
    return bit;
}

/* One decision by n counters. Weights wrap around if a hostile patch drives them there: the same on all machines. */
static unsigned gw_mix(struct gw_patch *p, uint16_t *const *c, unsigned n, int32_t *w, unsigned bit)
{
    int st[GW_INPUTS];
    uint32_t dot = 0;
    for (unsigned i = 0; i < n; i++) {
        st[i] = gw_stretch(*c[i] >> 4);
        dot += (uint32_t)w[i] * (uint32_t)st[i];
    }
    uint32_t p16 = gw_squash((int32_t)dot >> 14);
    bit = gw_code_bit(p, p16, bit);
    int error = ((bit != 0 ? 65536 : 0) - (int)p16) * 3 >> 5;
    for (unsigned i = 0; i < n; i++) {
        w[i] = (int32_t)((uint32_t)w[i] + (uint32_t)((st[i] * error + (1 << 12)) >> 13));
        gw_learn(c[i], 0xffffu & (0u - bit), 12);
    }
    return bit;
}

static uint16_t *gw_pool(const struct gw_model *m, uint32_t hash, uint32_t node)
{
    return &m->c[GW_C_POOL + ((hash + node) * 0x9E3779B1u >> m->shift)];
}

/* A byte, from the top bit, by three contexts hashed into the pool. */
static uint32_t gw_byte(struct gw_patch *p, const struct gw_model *m, const uint32_t hash[3], int32_t *w,
                               uint32_t value)
{
    uint32_t node = 1;
    for (unsigned i = 8; i-- > 0;) {
        uint16_t *c[3] = {gw_pool(m, hash[0], node), gw_pool(m, hash[1], node), gw_pool(m, hash[2], node)};
        node = node << 1 | gw_mix(p, c, 3, w, value >> i & 1);
    }
    return node & 255;
}

/* The same by two contexts and no mixing, for what is frequent: their mean. */
static uint32_t gw_quick_byte(struct gw_patch *p, const struct gw_model *m, uint32_t first, uint32_t second,
                                     uint32_t value)
{
    uint32_t node = 1;
    for (unsigned i = 8; i-- > 0;) {
        uint16_t *a = gw_pool(m, first, node), *b = gw_pool(m, second, node);
        uint32_t p16 = ((uint32_t)*a + *b) >> 1;
        unsigned bit = gw_code_bit_here(p, p16 | 16u, value >> i & 1);
        gw_learn(a, 0xffffu & (0u - bit), 15);
        gw_learn(b, 0xffffu & (0u - bit), 15);
        node = node << 1 | bit;
    }
    return node & 255;
}

/* A number: how many bits (a tree), two bits below the leading one by context, the last three if `aligned`. */
static uint32_t gw_number(struct gw_patch *p, uint16_t *c, uint32_t value, bool aligned)
{
    uint32_t n = 0, node = 1, v = 1, low = 0, direct;
    while (n < 31 && (value + 1) >> (n + 1) != 0) {
        n++;
    }
    for (unsigned i = 5; i-- > 0;) {
        node = node << 1 | gw_bit(p, &c[node], n >> i & 1, 8);
    }
    n = node & 31;
    direct = aligned && n >= 5 ? 3 : 0;
    for (unsigned i = n; i-- > direct;) {
        unsigned bit = (value + 1) >> i & 1, k = n < GW_BITS ? n : GW_BITS - 1;
        if (i + 1 == n) {
            bit = gw_bit(p, &c[32 + k], bit, 10);
        } else if (i + 2 == n) {
            bit = gw_bit(p, &c[32 + GW_BITS + 2 * k + (v & 1)], bit, 10);
        } else {
            bit = gw_code_bit(p, 32768, bit);
        }
        v = v << 1 | bit;
    }
    if (direct != 0) {
        node = 1;
        for (unsigned i = 0; i < 3; i++) {
            unsigned bit = gw_bit(p, &c[32 + 3 * GW_BITS + node], (value + 1) >> i & 1, 14);
            node = node << 1 | bit;
            low |= bit << i;
        }
        v = v << 3 | low;
    }
    return v - 1;
}

#endif
