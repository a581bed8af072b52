/*
 * isa_riscv.c - RV32IMC: JAL, C.JAL; AUIPC and LUI with the ADDI, load, store or JALR that completes the address.
 *
 * The two halves of an address may stand apart: the state follows, per register, the upper half last loaded in the old
 * image (20 bits, and where: 12 bits of half the offset) and in the new one. A stale entry costs size only.
 */
#include <string.h>

#include "isa.h"

enum { CALL = GW_FIELD_OWN, SHORT, PAIR_PC, PAIR, HIGH, LOW };

#define REACH 36u /* half-words after a LUI in which its other half is looked for */

static unsigned size(const uint8_t *b, unsigned k)
{
    (void)k;
    return (b[0] & 3) == 3 ? 4 : 2;
}

static uint32_t reg_d(uint32_t w)
{
    return w >> 7 & 31;
}

static uint32_t reg_s(uint32_t w)
{
    return w >> 15 & 31;
}

static uint32_t jal_offset(uint32_t w)
{
    return gw_sign((w >> 31) << 20 | (w >> 12 & 255) << 12 | (w >> 20 & 1) << 11 | (w >> 21 & 1023) << 1, 21);
}

static uint32_t jal_place(uint32_t w, uint32_t v)
{
    return (w & 0xfff) | (v >> 20 & 1) << 31 | (v >> 1 & 1023) << 21 | (v >> 11 & 1) << 20 | (v >> 12 & 255) << 12;
}

/* Where bits 1..11 of a C.JAL's offset stand in it. */
static const uint8_t short_bits[11] = {3, 4, 5, 11, 2, 7, 6, 9, 10, 8, 12};

static uint32_t short_offset(uint32_t w)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < 11; i++) {
        v |= (w >> short_bits[i] & 1) << (i + 1);
    }
    return gw_sign(v, 12);
}

static uint32_t short_place(uint32_t w, uint32_t v)
{
    w &= 0xe003;
    for (unsigned i = 0; i < 11; i++) {
        w |= (v >> (i + 1) & 1) << short_bits[i];
    }
    return w;
}

/* ADDI, a load, a store: instructions with 12 low bits of an address. */
static bool has_low(uint32_t w)
{
    uint32_t op = w & 0x7f;
    return op == 0x03 || op == 0x23 || (op == 0x13 && (w >> 12 & 7) == 0);
}

static uint32_t low_of(uint32_t w)
{
    return gw_sign((w & 0x7f) == 0x23 ? w >> 25 << 5 | (w >> 7 & 31) : w >> 20, 12);
}

static uint32_t low_place(uint32_t w, uint32_t v)
{
    return (w & 0x7f) == 0x23 ? (w & 0x01fff07fu) | (v >> 5 & 127) << 25 | (v & 31) << 7
                              : (w & 0xfffffu) | (v & 0xfff) << 20;
}

/* Does a low half for register r follow soon? Returns it, or 0. */
static uint32_t low_ahead(const struct gw_isa_place *a, uint32_t r)
{
    unsigned k = 0;
    for (uint32_t q = 4; k < 14 && q + 4 <= a->n; k++) {
        uint32_t w = gw_le32(a->p + q), op = w & 0x7f;
        if ((w & 3) != 3) {
            q += 2;
            continue;
        }
        if (reg_s(w) == r && has_low(w)) {
            return w;
        }
        if (op != 0x23 && op != 0x63 && reg_d(w) == r) {
            break;
        }
        q += 4;
    }
    return 0;
}

static void set(struct gw_patch_field *f, unsigned kind, unsigned n, uint32_t target)
{
    f->kind = (uint8_t)kind;
    f->size = (uint8_t)n;
    f->target = target;
}

static void find_upper(const struct gw_isa_place *a, uint32_t *state, uint32_t w, struct gw_patch_field *f)
{
    uint32_t r = reg_d(w), next = a->n >= 8 ? gw_le32(a->p + 4) : 0, hi = w & 0xfffff000u, mark = a->at >> 1 & 0xfff;
    bool lui = (w & 0x7f) == 0x37, joined = (next & 0x7f) == 0x67 || (has_low(next) && (lui || (next & 0x7f) != 0x23));
    if (r == 0) {
        return;
    }
    if (joined && reg_s(next) == r) {
        bool used = (next & 0x7f) != 0x23 && reg_d(next) == r;
        set(f, lui ? PAIR : PAIR_PC, 8, hi + low_of(next) + (lui ? 0 : a->pc));
        if (lui) {
            state[r] = used ? 0 : hi | mark;
        }
        return;
    }
    next = lui ? low_ahead(a, r) : 0;
    if (next != 0) {
        state[r] = hi | mark;
        set(f, HIGH, 4, hi + low_of(next));
    }
}

static void find(const struct gw_isa_place *a, uint32_t *state, struct gw_patch_field *f)
{
    if (a->n < 4) {
        return;
    }
    uint32_t w = gw_le32(a->p), op = w & 0x7f, r = reg_s(w);
    if (op == 0x6f) {
        set(f, CALL, 4, a->pc + jal_offset(w));
    } else if ((w & 0xe003) == 0x2001) {
        set(f, SHORT, 2, a->pc + short_offset(w));
    } else if (op == 0x17 || op == 0x37) {
        find_upper(a, state, w, f);
    } else if (has_low(w) && r != 0 && state[r] != 0 && (((a->at >> 1) - state[r]) & 0xfff) <= REACH) {
        set(f, LOW, 4, (state[r] & 0xfffff000u) + low_of(w));
        if (op != 0x23 && reg_d(w) == r) {
            state[r] = 0;
        }
    }
}

static void place(const struct gw_patch_field *f, const uint8_t *from, uint32_t pc, uint32_t target, uint8_t *to)
{
    uint32_t w = gw_le16(from), v = f->kind == PAIR_PC ? target - pc : target, hi = (v + 0x800) & 0xfffff000u;
    if (f->kind == SHORT) {
        gw_put_le16(to, short_place(w, target - pc));
        return;
    }
    w = gw_le32(from);
    switch (f->kind) {
    case CALL:
        w = jal_place(w, target - pc);
        break;
    case LOW:
        w = low_place(w, v - hi);
        break;
    case HIGH:
        w = (w & 0xfff) | hi;
        break;
    default:
        w = (w & 0xfff) | hi;
        gw_put_le32(to + 4, low_place(gw_le32(from + 4), v - hi));
    }
    gw_put_le32(to, w);
}

static int target(const struct gw_patch_field *f, const uint8_t *p, uint32_t pc, uint32_t *state, uint32_t *t)
{
    uint32_t w = gw_le16(p), *fresh = state + 32;
    if (f->kind == SHORT) {
        *t = pc + short_offset(w);
        return (w & 0xe003) == 0x2001;
    }
    w = gw_le32(p);
    switch (f->kind) {
    case CALL:
        *t = pc + jal_offset(w);
        return (w & 0x7f) == 0x6f;
    case LOW:
        *t = fresh[reg_s(w)] + low_of(w);
        return has_low(w);
    case HIGH:
        fresh[reg_d(w)] = w & 0xfffff000u;
        *t = (w & 0xfffff000u) + gw_sign(f->target, 12);
        return (w & 0x7f) == 0x37 ? 2 : 0;
    default:
        if ((w & 0x7f) == 0x37) {
            fresh[reg_d(w)] = w & 0xfffff000u;
        }
        *t = (w & 0xfffff000u) + low_of(gw_le32(p + 4)) + (f->kind == PAIR_PC ? pc : 0);
        return (w & 0x7f) == (f->kind == PAIR_PC ? 0x17u : 0x37u);
    }
}

const struct gw_isa gw_isa_riscv = {
    .id = GW_ISA_RISCV, .align = 2, .ram_first = 0x3c, .ram_last = 0x42, .data_first = 0x3c, .data_last = 0x3f,
    .relative = 1u << CALL,
    .literal_at = 0, .literal_mask = 0x7f, .literal_value = 0x6f, .literal_size = 4,
    .grain = {[CALL] = 1, [SHORT] = 1, [HIGH] = 12}, .size = size, .find = find, .place = place, .target = target,
};
