/*
 * patch_plan.h - inside the gwpatch encoder: what a patch is going to say, and the steps from images to patch.
 *
 *     patch_search.c   where parts of the new image come from in the old one: copies
 *     patch_parse.c    what is between copies: literals and matches
 *     patch_run.c      codes a plan with the decoder's own model
 *     patch_arch.c     instruction set, base addresses, segments
 *     patch.c          tries several, keeps the smallest, decodes it again
 */
#ifndef GWH_PATCH_PLAN_H
#define GWH_PATCH_PLAN_H

#include "encode.h"
#include "godwit/patch.h"

enum gwh_piece_kind { GWH_LITERAL, GWH_MATCH, GWH_COPY = 3 };

/* A part of the new image. Pieces of a plan cover it without gap or overlap. */
struct gwh_piece {
    uint32_t at, length;
    uint32_t source; /* match: distance - 1; copy: offset in old */
    uint32_t kind;
};

struct gwh_plan {
    const uint8_t *old, *fresh; /* fresh: the new image */
    struct gw_patch_header h;
    const struct gw_isa *isa;
    struct gwh_piece *piece;
    uint32_t count, room;
};
int gwh_plan_add(struct gwh_plan *plan, uint32_t kind, uint32_t at, uint32_t length, uint32_t source);

#define GWH_BIT 64u /* unit of costs */
extern uint16_t gwh_bit_cost[4097];
void gwh_costs_init(void);

/* The image with its fields made equal where their targets are: what searches look at. */
enum gwh_domain {
    GWH_RELATIVE, /* calls as if made from the base: equal targets give equal bytes. For matches */
    GWH_MASKED,   /* all addresses blanked: for finding copies */
};
/* `out` has n bytes. `marks`, may be NULL: for each byte GWH_INSIDE a field (not at its start), and its place in its
 * instruction, 0..3. */
void gwh_domain(const struct gw_isa *isa, const struct gw_patch_header *h, unsigned image, const uint8_t *in,
                uint32_t n, enum gwh_domain domain, uint8_t *out, uint8_t *marks);
#define GWH_INSIDE 4u

/* What values cost now, read from a model after a run. */
struct gwh_prices {
    uint16_t token[8][4][2], copy[8][2], rep[8][2], rep0[8][2], rep1[2];
    uint16_t length[512], repeat[512], copy_length[512];
    uint16_t bits[3][32], top[3][20][4], low[3][8];
    uint16_t skip[32];
};

/* Codes a plan. `literal`, may be NULL: cost of each byte that was a literal, 1/8 bits, at most 255. `out`
 * may be NULL. */
int gwh_run(const struct gwh_plan *plan, struct gwh_buf *out, uint8_t *literal, struct gwh_prices *prices,
            uint64_t *cost);

/* Adds what lies between the copies of `copies`. */
struct gwh_parse {
    const uint8_t *relative, *marks; /* the new image in that domain */
    const uint8_t *literal;          /* what each byte costs as a literal, 1/8 bits */
    const struct gwh_prices *prices;
};
int gwh_parse(struct gwh_plan *plan, const struct gwh_plan *copies, const struct gwh_parse *how);

/* Copies found with a suffix array (4 bytes for each byte of old); `least`: the score a new match must win by. */
int gwh_search(struct gwh_plan *copies, const int32_t *suffixes, const uint8_t *old, const uint8_t *fresh,
               uint32_t least);

const struct gw_isa *gwh_isa(unsigned id);
struct gwh_patch_options;
/* Fills isa, h.isa and h.segment of a plan. */
void gwh_arch(struct gwh_plan *plan, const struct gwh_patch_options *options);

#endif
