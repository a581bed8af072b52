/*
 * isa_xtensa.c - Xtensa (ESP8266, ESP32; windowed and call0): CALLn, L32R.
 *
 * Instructions have two bytes or three, told by the low nibble of the first; a parse that starts wrong finds its way
 * after a few.
 */
#include <string.h>

#include "isa.h"

enum { CALL = GW_FIELD_OWN, LITERAL };

static unsigned size(const uint8_t *b, unsigned k)
{
    (void)k;
    return (b[0] & 15) >= 8 ? 2 : 3;
}

static unsigned kind_of(const uint8_t *p)
{
    return (p[0] & 15) == 5 ? CALL : (p[0] & 15) == 1 ? LITERAL : GW_FIELD_NONE;
}

static uint32_t target_of(const uint8_t *p, uint32_t pc)
{
    uint32_t w = gw_le16(p + 1);
    return kind_of(p) == CALL ? (pc & ~3u) + 4 + (gw_sign(w << 2 | p[0] >> 6, 18) << 2)
                              : ((pc + 3) & ~3u) + ((w | 0xffff0000u) << 2);
}

static void find(const struct gw_isa_place *a, uint32_t *state, struct gw_patch_field *f)
{
    (void)state;
    if (a->n >= 3) {
        f->kind = (uint8_t)kind_of(a->p);
        f->size = 3;
        f->target = target_of(a->p, a->pc);
    }
}

static void place(const struct gw_patch_field *f, const uint8_t *from, uint32_t pc, uint32_t target, uint8_t *to)
{
    uint32_t v = (target - 4 - (pc & ~3u)) >> 2;
    if (f->kind == CALL) {
        to[0] = (uint8_t)((from[0] & 63) | v << 6);
        gw_put_le16(to + 1, v >> 2);
    } else {
        to[0] = from[0];
        gw_put_le16(to + 1, (target - ((pc + 3) & ~3u)) >> 2);
    }
}

static int target(const struct gw_patch_field *f, const uint8_t *p, uint32_t pc, uint32_t *state, uint32_t *t)
{
    (void)state;
    *t = target_of(p, pc);
    return kind_of(p) == f->kind;
}

const struct gw_isa gw_isa_xtensa = {
    .id = GW_ISA_XTENSA, .align = 1, .ram_first = 0x3c, .ram_last = 0x42, .data_first = 0x3c, .data_last = 0x3f,
    .relative = 1u << CALL | 1u << LITERAL,
    .literal_at = 0, .literal_mask = 0x0b, .literal_value = 0x01, .literal_size = 3,
    .grain = {[CALL] = 2, [LITERAL] = 2}, .size = size, .find = find, .place = place, .target = target,
};
