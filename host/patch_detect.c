/*
 * patch_detect.c - instruction set and base addresses of an image nobody described: ESP headers, ELF, or statistics.
 *
 * A wrong guess costs size, never correctness.
 */
#include <stdlib.h>
#include <string.h>

#include "isa.h"
#include "patch.h"
#include "patch_plan.h"

/* ---- Espressif images ---------------------------------------------------------------------------------------------- */

/* Segment table: from `at`, `count` times (address, length) before each segment's bytes. False: it does not fit. */
static bool esp_segments(struct gw_span b, uint32_t at, struct gw_patch_segment *s, uint8_t *count)
{
    uint32_t n = b.p[1], used = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (at + 8 > b.n) {
            return false;
        }
        uint32_t address = gw_le32(b.p + at), length = gw_le32(b.p + at + 4);
        at += 8;
        if (length > b.n - at || address >> 24 < 0x3c || address >> 24 > 0x60) {
            return false;
        }
        if (used < GW_PATCH_SEGMENTS && length >= 64) {
            s[used++] = (struct gw_patch_segment){used == 0 ? 0 : at, address - at};
        }
        at += length;
    }
    *count = (uint8_t)used;
    return used > 0;
}

/* An ESP image: its instruction set, and its segments. */
static bool esp(struct gw_span b, uint32_t *isa, struct gw_patch_segment *s, uint8_t *count)
{
    if (b.n < 32 || b.p[0] != 0xe9 || b.p[1] == 0 || b.p[1] > 16) {
        return false;
    }
    if (esp_segments(b, 24, s, count)) {
        uint32_t chip = gw_le16(b.p + 12);
        *isa = chip == 0 || chip == 2 || chip == 9 ? GW_ISA_XTENSA : GW_ISA_RISCV;
        return true;
    }
    *isa = GW_ISA_XTENSA;
    return esp_segments(b, 8, s, count);
}

/* ---- statistics ---------------------------------------------------------------------------------------------------- */

#define SLOTS 65536u

/* How much the calls of an instruction set look like calls: how many go where another one goes, squared, over all. */
static uint32_t score(const struct gw_isa *isa, struct gw_span b, uint16_t *slots, uint32_t *targets, uint32_t *count)
{
    uint32_t state[GW_ISA_WORDS] = {0}, calls = 0, again = 0, next = 0;
    memset(slots, 0, SLOTS * sizeof *slots);
    *count = 0;
    for (uint32_t at = 0; at + 8 <= b.n; at++) {
        struct gw_patch_field f = {0, 0, 0};
        struct gw_isa_place a = {b.p + at, (uint32_t)b.n - at, at, at};
        if (at < next || (at & (isa->align - 1u)) != 0) {
            continue;
        }
        isa->find(&a, state, &f);
        next = at + isa->size(a.p, 2);
        if (f.kind != GW_FIELD_OWN || f.target >= b.n || f.target == 0) {
            continue;
        }
        uint32_t h = f.target * 0x9E3779B1u >> 16;
        uint16_t mark = (uint16_t)(f.target >> isa->grain[f.kind] | 1);
        calls++;
        again += slots[h] == mark;
        if (slots[h] != mark && *count < 4096) {
            targets[(*count)++] = f.target;
        }
        slots[h] = mark;
    }
    return calls > 16 && again * 3 > calls ? (uint32_t)((uint64_t)again * again / calls) : 0;
}

/* The base for which most words are addresses of called functions. 0: none stands out. */
static uint32_t find_base(struct gw_span b, uint16_t *slots, const uint32_t *targets, uint32_t count)
{
    uint32_t best = 0, votes = 0, step = (uint32_t)b.n / 4 / 16384 + 1;
    memset(slots, 0, SLOTS * sizeof *slots);
    for (uint32_t i = 0; i < b.n / 4; i += step) {
        uint32_t w = gw_le32(b.p + 4 * i) & ~1u;
        if (w < 256 || w >> 24 == 0xff || w >> 24 == 0x20) {
            continue;
        }
        for (uint32_t k = 0; k < count; k += count / 128 + 1) {
            uint32_t base = w - targets[k];
            if ((base & 0xff) != 0 || base >> 28 != w >> 28) {
                continue;
            }
            uint16_t *v = &slots[(base >> 8) * 0x9E3779B1u >> 16];
            if (++*v > votes) {
                votes = *v;
                best = base;
            }
        }
    }
    return votes >= 8 ? best : 0;
}

void gwh_arch(struct gwh_plan *plan, const struct gwh_patch_options *o)
{
    struct gw_patch_header *h = &plan->h;
    struct gw_span b[2] = {{plan->old, h->old_size}, {plan->fresh, h->new_size}};
    uint16_t *slots = malloc(SLOTS * sizeof *slots);
    uint32_t *targets = malloc(4096 * sizeof *targets), isa = GW_ISA_NONE, id, count, most = 0, s;
    bool known = false;
    for (unsigned i = 0; i < 2; i++) {
        if (!o->base_given && b[i].n > 0 && esp(b[i], &id, h->segment[i], &h->segments[i])) {
            isa = id;
            known = true;
        } else {
            h->segments[i] = 1;
            h->segment[i][0] = (struct gw_patch_segment){0, o->base_given ? i == 0 ? o->base : o->base_new : 0};
        }
    }
    for (id = 1; !known && o->isa == GWH_ISA_AUTO && slots != NULL && targets != NULL && id < GW_ISA_COUNT; id++) {
        s = score(gwh_isa(id), b[1], slots, targets, &count);
        if (s > most) {
            most = s;
            isa = id;
        }
    }
    isa = o->isa != GWH_ISA_AUTO ? o->isa : isa;
    for (unsigned i = 0; i < 2 && !known && !o->base_given && slots != NULL && targets != NULL; i++) {
        (void)score(gwh_isa(isa), b[i], slots, targets, &count);
        h->segment[i][0].shift = isa != GW_ISA_NONE && count > 0 ? find_base(b[i], slots, targets, count) : 0;
    }
    h->isa = (uint8_t)isa;
    plan->isa = gwh_isa(isa);
    free(slots);
    free(targets);
}
