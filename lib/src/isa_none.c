/*
 * isa_none.c - images of no known instruction set: nothing is known but pointers into the image itself.
 */
#include <string.h>

#include "isa.h"

static unsigned size(const uint8_t *b, unsigned k)
{
    (void)b;
    (void)k;
    return 4;
}

static void find(const struct gw_isa_place *a, uint32_t *state, struct gw_patch_field *f)
{
    (void)a;
    (void)state;
    (void)f;
}

static void place(const struct gw_patch_field *f, const uint8_t *from, uint32_t pc, uint32_t target, uint8_t *to)
{
    (void)pc;
    (void)target;
    memcpy(to, from, f->size);
}

static int target(const struct gw_patch_field *f, const uint8_t *p, uint32_t pc, uint32_t *state, uint32_t *t)
{
    (void)f;
    (void)p;
    (void)pc;
    (void)state;
    (void)t;
    return 0;
}

const struct gw_isa gw_isa_none = {
    .id = GW_ISA_NONE, .align = 4, .ram_first = 1, .ram_last = 0, .data_first = 1, .data_last = 0,

    .size = size, .find = find, .place = place, .target = target,
};
