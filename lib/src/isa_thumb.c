/*
 * isa_thumb.c - Thumb and Thumb-2 (Cortex-M): BL and B.W.
 *
 * Literal loads are relative to a pool that moves with its function, so they need no field; the pool's words are
 * pointers.
 */
#include <string.h>

#include "isa.h"

enum { BRANCH = GW_FIELD_OWN };

static unsigned size(const uint8_t *b, unsigned k)
{
    return k == 2 && b[1] >= 0xe8 ? 4 : 2;
}

static bool is_branch(const uint8_t *p)
{
    return (p[1] & 0xf8) == 0xf0 && (p[3] & 0x90) == 0x90;
}

static uint32_t offset(const uint8_t *p)
{
    uint32_t a = gw_le16(p), c = gw_le16(p + 2), s = a >> 10 & 1, i1 = ~(c >> 13 ^ s) & 1, i2 = ~(c >> 11 ^ s) & 1;
    return gw_sign(s << 24 | i1 << 23 | i2 << 22 | (a & 0x3ff) << 12 | (c & 0x7ff) << 1, 25);
}

static void find(const struct gw_isa_place *a, uint32_t *state, struct gw_patch_field *f)
{
    (void)state;
    if (a->n >= 4 && is_branch(a->p)) {
        f->kind = BRANCH;
        f->size = 4;
        f->target = a->pc + 4 + offset(a->p);
    }
}

static void place(const struct gw_patch_field *f, const uint8_t *from, uint32_t pc, uint32_t target, uint8_t *to)
{
    uint32_t v = target - pc - 4, s = v >> 24 & 1, j1 = ~(v >> 23 ^ s) & 1, j2 = ~(v >> 22 ^ s) & 1;
    (void)f;
    gw_put_le16(to, 0xf000u | s << 10 | (v >> 12 & 0x3ff));
    gw_put_le16(to + 2, (gw_le16(from + 2) & 0xd000) | j1 << 13 | j2 << 11 | (v >> 1 & 0x7ff));
}

static int target(const struct gw_patch_field *f, const uint8_t *p, uint32_t pc, uint32_t *state, uint32_t *t)
{
    (void)f;
    (void)state;
    *t = pc + 4 + offset(p);
    return is_branch(p);
}

const struct gw_isa gw_isa_thumb = {
    .id = GW_ISA_THUMB, .align = 2, .ram_first = 0x20, .ram_last = 0x20, .data_first = 1, .data_last = 0,
    .relative = 1u << BRANCH,
    .literal_at = 1, .literal_mask = 0xf8, .literal_value = 0xf0, .literal_size = 4,
    .grain = {[BRANCH] = 1}, .size = size, .find = find, .place = place, .target = target,
};
