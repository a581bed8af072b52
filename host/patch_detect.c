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

/* ---- Espressif images -------------------------------------------------------------------------------------------- */

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
            s[used] = (struct gw_patch_segment){used == 0 ? 0 : at, address - at};
            used++;
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

/* ---- statistics -------------------------------------------------------------------------------------------------- */

#define SLOTS 65536u
#define WORDS 1024u
#define BASE_STEP 256u
#define BINS 8u

struct stats {
    uint16_t slot[SLOTS]; /* hash of a target -> part of it */
    uint8_t *called;      /* bit per two bytes of the image: something calls this place */
    uint32_t words[WORDS], count;
    uint32_t span, places; /* bytes of the image, called places */
};

/* How much the calls of an instruction set look like calls: how many go where another one went, squared, over all. */
static uint32_t score(struct stats *t, const struct gw_isa *isa, struct gw_span b)
{
    uint32_t state[GW_ISA_WORDS] = {0}, calls = 0, again = 0, next = 0;
    memset(t->slot, 0, sizeof t->slot);
    memset(t->called, 0, b.n / 16 + 1);
    t->places = 0;
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
        uint16_t *slot = &t->slot[f.target * 0x9E3779B1u >> 16], mark = (uint16_t)(f.target >> isa->grain[f.kind] | 1);
        calls++;
        again += *slot == mark;
        *slot = mark;
        t->places += (t->called[f.target / 16] >> (f.target / 2 & 7) & 1) == 0;
        t->called[f.target / 16] |= (uint8_t)(1u << (f.target / 2 & 7));
    }
    return calls > 16 && again * 3 > calls ? (uint32_t)((uint64_t)again * again / calls) : 0;
}

/* How far the words that are addresses of called places, for this base, exceed what chance would give. */
static uint32_t votes(const struct stats *t, uint32_t base)
{
    uint32_t n = 0, within = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t offset = t->words[i] - base;
        within += offset < t->span;
        n += offset < t->span && (t->called[offset / 16] >> (offset / 2 & 7) & 1) != 0;
    }
    uint64_t chance = 1 + (uint64_t)within * t->places / (t->span / 2 + 1);
    return n > chance ? (uint32_t)((n - chance) * (n - chance) * 16 / chance) : 0;
}

/* Collects words of the image that may be pointers to code, each once, in the two megabytes from `low` on. */
static void take_words(struct stats *t, struct gw_span b, uint32_t low, uint32_t odd)
{
    t->count = 0;
    memset(t->slot, 0, sizeof t->slot);
    for (uint32_t at = 0; at + 4 <= b.n; at += 4) {
        uint32_t w = gw_le32(b.p + at);
        uint16_t *seen = &t->slot[w * 0x9E3779B1u >> 16], mark = (uint16_t)(w | 1);
        if (w - low >= 2u << 20 || w < 256 || (odd != 0 && (w & 1) == 0) || *seen == mark) {
            continue;
        }
        *seen = mark;
        if (t->count < WORDS) {
            t->words[t->count++] = w & ~1u;
        } else { /* spread over the image, without chance */
            t->words[(at * 0x9E3779B1u >> 16) % WORDS] = w & ~1u;
        }
    }
}

/* The base for which most words are addresses of called places. `hint` is kept if it is nearly as good. */
static uint32_t find_base(struct stats *t, struct gw_span b, uint32_t odd, uint32_t hint)
{
    uint32_t best = 0, most = 500, bin[BINS] = {0}, fill[BINS] = {0}, hinted = 0;
    memset(t->slot, 0, sizeof t->slot);
    for (uint32_t at = 0; at + 4 <= b.n; at += 4) {
        uint32_t w = gw_le32(b.p + at);
        uint16_t *n = &t->slot[w >> 20];
        *n = (uint16_t)(*n + (*n < UINT16_MAX && w >= 256 && (odd == 0 || (w & 1) != 0)));
    }
    for (uint32_t i = 0; i < 0xe00; i++) { /* the fullest megabytes; the top is no code, nor is RAM on Cortex-M */
        for (unsigned k = 0; k < BINS && (odd == 0 || i >> 4 != 0x20); k++) {
            if (t->slot[i] > fill[k]) {
                memmove(bin + k + 1, bin + k, (BINS - 1 - k) * sizeof *bin);
                memmove(fill + k + 1, fill + k, (BINS - 1 - k) * sizeof *fill);
                bin[k] = i;
                fill[k] = t->slot[i];
                break;
            }
        }
    }
    t->span = (uint32_t)b.n;
    for (unsigned k = 0; k < BINS && fill[k] > 0; k++) {
        uint32_t low = bin[k] << 20, from = (low > t->span ? low - t->span : 0) & ~(BASE_STEP - 1);
        take_words(t, b, low, odd);
        for (uint32_t base = from; base - from < (2u << 20) + t->span; base += BASE_STEP) {
            uint32_t n = votes(t, base);
            best = n > most ? base : best;
            most = n > most ? n : most;
            hinted = base == hint && n > hinted ? n : hinted;
        }
    }
    return hinted * 5 > most * 4 ? hint : best;
}

static void by_statistics(struct gwh_plan *plan, const struct gwh_patch_options *o, const struct gw_span b[2])
{
    struct gw_patch_header *h = &plan->h;
    struct stats *t = calloc(1, sizeof *t);
    uint32_t most = 0, s, n = h->new_size > h->old_size ? h->new_size : h->old_size;
    uint8_t *called = malloc(n / 16 + 1);
    if (t == NULL || called == NULL) {
        free(t);
        free(called);
        return;
    }
    t->called = called;
    for (uint8_t id = 1; o->isa == GWH_ISA_AUTO && id < GW_ISA_COUNT; id++) {
        s = score(t, gwh_isa(id), b[1]);
        if (s > most) {
            most = s;
            h->isa = id;
        }
    }
    for (unsigned i = 2; i-- > 0 && !o->base_given && h->isa != GW_ISA_NONE;) {
        if (score(t, gwh_isa(h->isa), b[i]) > 0) {
            h->segment[i][0].shift = find_base(t, b[i], h->isa == GW_ISA_THUMB, h->segment[1][0].shift);
        }
    }
    free(t);
    free(called);
}

void gwh_arch(struct gwh_plan *plan, const struct gwh_patch_options *o)
{
    struct gw_patch_header *h = &plan->h;
    struct gw_span b[2] = {{plan->old, h->old_size}, {plan->fresh, h->new_size}};
    bool known = false;
    h->isa = o->isa != GWH_ISA_AUTO ? (uint8_t)o->isa : GW_ISA_NONE;
    for (unsigned i = 0; i < 2; i++) {
        uint32_t id;
        if (!o->base_given && b[i].n > 0 && esp(b[i], &id, h->segment[i], &h->segments[i])) {
            h->isa = o->isa != GWH_ISA_AUTO ? h->isa : (uint8_t)id;
            known = true;
        } else {
            h->segments[i] = 1;
            h->segment[i][0] = (struct gw_patch_segment){0, !o->base_given ? 0 : i == 0 ? o->base : o->base_new};
        }
    }
    if (!known) {
        by_statistics(plan, o, b);
    }
    plan->isa = gwh_isa(h->isa);
}
