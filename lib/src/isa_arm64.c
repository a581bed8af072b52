/*
 * isa_arm64.c - AArch64: B and BL, ADRP.
 */
#include <string.h>

#include "isa.h"

enum { BRANCH = GW_FIELD_OWN, PAGE };

static unsigned size(const uint8_t *b, unsigned k)
{
    (void)b;
    (void)k;
    return 4;
}

static unsigned kind_of(uint32_t w)
{
    return (w & 0x7c000000) == 0x14000000 ? BRANCH : (w & 0x9f000000) == 0x90000000 ? PAGE : GW_FIELD_NONE;
}

static uint32_t target_of(uint32_t w, uint32_t pc)
{
    return kind_of(w) == BRANCH ? pc + (gw_sign(w, 26) << 2)
                                : (pc & ~0xfffu) + (gw_sign((w >> 5 & 0x7ffff) << 2 | (w >> 29 & 3), 21) << 12);
}

static void find(const struct gw_isa_place *a, uint32_t *state, struct gw_patch_field *f)
{
    uint32_t w = a->n >= 4 ? gw_le32(a->p) : 0;
    (void)state;
    f->kind = (uint8_t)kind_of(w);
    f->size = 4;
    f->target = target_of(w, a->pc);
}

static void place(const struct gw_patch_field *f, const uint8_t *from, uint32_t pc, uint32_t target, uint8_t *to)
{
    uint32_t w = gw_le32(from), v = (target >> 12) - (pc >> 12);
    gw_put_le32(to, f->kind == BRANCH ? (w & 0xfc000000u) | ((target - pc) >> 2 & 0x3ffffffu)
                                      : (w & 0x9f00001fu) | (v & 3) << 29 | (v >> 2 & 0x7ffff) << 5);
}

static int target(const struct gw_patch_field *f, const uint8_t *p, uint32_t pc, uint32_t *state, uint32_t *t)
{
    (void)state;
    *t = target_of(gw_le32(p), pc);
    return kind_of(gw_le32(p)) == f->kind;
}

const struct gw_isa gw_isa_arm64 = {
    .id = GW_ISA_ARM64, .align = 4, .ram_first = 1, .ram_last = 0, .data_first = 1, .data_last = 0,
    .relative = 1u << BRANCH,
    .grain = {[BRANCH] = 2, [PAGE] = 12}, .size = size, .find = find, .place = place, .target = target,
};
