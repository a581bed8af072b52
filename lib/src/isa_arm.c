/*
 * isa_arm.c - 32-bit ARM (ARM7, ARM9): B and BL.
 */
#include <string.h>

#include "isa.h"

enum { BRANCH = GW_FIELD_OWN };

static unsigned size(const uint8_t *b, unsigned k)
{
    (void)b;
    (void)k;
    return 4;
}

static bool is_branch(const uint8_t *p)
{
    return (p[3] & 0x0e) == 0x0a && p[3] < 0xf0;
}

static void find(const struct gw_isa_place *a, uint32_t *state, struct gw_patch_field *f)
{
    (void)state;
    if (a->n >= 4 && is_branch(a->p)) {
        f->kind = BRANCH;
        f->size = 4;
        f->target = a->pc + 8 + (gw_sign(gw_le32(a->p), 24) << 2);
    }
}

static void place(const struct gw_patch_field *f, const uint8_t *from, uint32_t pc, uint32_t target, uint8_t *to)
{
    (void)f;
    gw_put_le32(to, (gw_le32(from) & 0xff000000u) | ((target - pc - 8) >> 2 & 0xffffffu));
}

static int target(const struct gw_patch_field *f, const uint8_t *p, uint32_t pc, uint32_t *state, uint32_t *t)
{
    (void)f;
    (void)state;
    *t = pc + 8 + (gw_sign(gw_le32(p), 24) << 2);
    return is_branch(p);
}

const struct gw_isa gw_isa_arm = {
    .id = GW_ISA_ARM, .align = 4, .ram_first = 0xc0, .ram_last = 0xc0, .data_first = 1, .data_last = 0,
    .relative = 1u << BRANCH,
    .grain = {[BRANCH] = 2}, .size = size, .find = find, .place = place, .target = target,
};
