/*
 * patch_core.h - the steps of the codec: tokens, literals, matches, copies from old. Shared by decoder and encoder, as
 * patch_coder.h says; each is one translation unit that includes this file once.
 *
 * Output is made of tokens: a literal, a match with earlier output, a copy from the old image that is corrected where
 * it differs. A copy goes in groups: a stretch of old bytes is parsed, each field gets its predicted new address, and
 * one decision says whether all of it is right; only if not, each byte and field is decided on.
 *
 * Kept true: a step makes at most GW_STEP_MAX bytes, all into the ring; np never passes `end`; every read of old and of
 * earlier output is inside them. The first error stays in p->error.
 */
#ifndef GW_PATCH_CORE_H
#define GW_PATCH_CORE_H

#include "patch_model.h"

#define GW_STEP_MAX 40u
#define GW_STEP_INPUT 112u /* patch bytes that a step may take: an 8-byte field, byte by byte, at the worst odds */
#define GW_RING_LOOK 192u /* output that is read from the ring, not from flash */
#define GW_GROUP_MAX 32u
#define GW_GROUP_FIELDS 8u
#define GW_RISKY 3900u /* a field whose prediction holds less often (of 4096) is decided on alone */

enum { GW_LITERAL, GW_MATCH, GW_REPEAT, GW_COPY };

static void gw_fail(struct gw_patch *p, int error)
{
    if (p->error == 0) {
        p->error = error;
    }
}

static uint8_t gw_recent(const struct gw_patch *p, uint32_t back)
{
    return p->ring[(p->np - back) & 255];
}

static void gw_emit(struct gw_patch *p, uint32_t byte)
{
    p->ring[p->np++ & 255] = (uint8_t)byte;
}

/* Address of an offset in the old (0) or new (1) image. */
static uint32_t gw_address(struct gw_patch *p, unsigned image, uint32_t at)
{
    const struct gw_patch_segment *s = p->h.segment[image];
    uint8_t i = p->seg[image];
    if (at < s[i].at) {
        i = 0;
    }
    while (i + 1u < p->h.segments[image] && at >= s[i + 1u].at) {
        i++;
    }
    p->seg[image] = i;
    return at + s[i].shift;
}

/* The old bytes at `at` and at least 128 more, or up to the end; one before them. *n: how many. */
static const uint8_t *gw_old(struct gw_patch *p, uint32_t at, uint32_t *n)
{
    uint32_t rest = p->h.old_size - at, need = rest < 128 ? rest : 128, lead = at > 0 ? 1 : 0;
    if (at - lead < p->old_from || at + need > p->old_from + p->old_n) {
        p->old_from = at - lead;
        p->old_n = rest + lead < sizeof p->old ? rest + lead : (uint32_t)sizeof p->old;
        int e = p->config->read_old(p->config->ctx, p->old_from, p->old, p->old_n);
        if (e != 0) {
            gw_fail(p, e);
        }
    }
    *n = p->old_from + p->old_n - at;
    return p->old + (at - p->old_from);
}

/* One byte of earlier output. */
static uint8_t gw_earlier(struct gw_patch *p, uint32_t at)
{
    if (p->np - at <= GW_RING_LOOK) {
        return p->ring[at & 255];
    }
    if (at - p->back_from >= p->back_n) {
        uint32_t most = p->np - GW_RING_LOOK - at + 1;
        p->back_from = at;
        p->back_n = most < sizeof p->back ? most : (uint32_t)sizeof p->back;
        int e = p->config->read_new(p->config->ctx, at, p->back, p->back_n);
        if (e != 0) {
            gw_fail(p, e);
        }
    }
    return p->back[at - p->back_from];
}

/* Follows where instructions of the output begin. */
static void gw_follow(struct gw_patch *p, uint32_t byte)
{
    if (p->skip > 0) {
        p->skip--;
        return;
    }
    if (p->insn_k == 0 && ((p->np - 1) & (p->isa->align - 1u)) != 0) {
        return;
    }
    p->insn[p->insn_k++] = (uint8_t)byte;
    if (p->insn_k <= 2) {
        p->insn_size = (uint8_t)p->isa->size(p->insn, p->insn_k);
    }
    if (p->insn_k >= p->insn_size) {
        p->insn_k = 0;
    }
}

static bool gw_at_insn(const struct gw_patch *p)
{
    return p->insn_k == 0 && p->skip == 0 && (p->np & (p->isa->align - 1u)) == 0;
}

/* ---- copies from the old image ------------------------------------------------------------------------------------ */

/* Is there a field at old offset `at`? */
static void gw_find(struct gw_patch *p, struct gw_isa_place *a, struct gw_patch_field *f)
{
    f->kind = GW_FIELD_NONE;
    if (a->at >= p->old_next && (a->at & (p->isa->align - 1u)) == 0 && gw_is_code(p->isa, a->pc)) {
        p->isa->find(a, p->state, f);
        p->old_next = a->at + (a->n >= 2 ? p->isa->size(a->p, 2) : 4);
        if (f->kind != GW_FIELD_NONE) {
            p->old_next = a->at + f->size;
        }
    }
    if (f->kind == GW_FIELD_NONE && (a->at & 3) == 0 && a->n >= 4 && gw_is_pointer(p->isa, &p->h, gw_le32(a->p))) {
        f->kind = GW_FIELD_POINTER;
        f->size = 4;
        f->target = gw_le32(a->p);
    }
}

static void gw_place(struct gw_patch *p, const struct gw_patch_field *f, const uint8_t *old, uint32_t pc, uint32_t target,
                     uint8_t *to)
{
    if (f->kind == GW_FIELD_POINTER) {
        gw_put_le32(to, target);
    } else {
        p->isa->place(f, old, pc, target, to);
    }
}

static void gw_guess(struct gw_patch *p, const struct gw_model *m, struct gw_patch_unit *u, uint32_t pc, uint32_t new_pc)
{
    u->guess = gw_map_get(&p->map, m->map, u->field.target);
    if (u->guess.sure == 0) {
        u->guess.shift = (p->isa->relative >> u->field.kind & 1) != 0 ? (int32_t)(new_pc - pc) : 0;
    }
}

static uint16_t *gw_hit_counter(const struct gw_model *m, const struct gw_patch_unit *u, unsigned calm)
{
    return &m->c[GW_C_HIT + ((u->field.kind * 4u + u->guess.sure) * 2u + u->guess.two) * 2u + calm];
}

/* How far a group reaches: the longer all was right, the longer. */
static uint32_t gw_reach(uint32_t run)
{
    return run < 2 ? 1 : run < 8 ? 4 : run < 16 ? 8 : run < 32 ? 16 : GW_GROUP_MAX;
}

/* Parses old bytes into a group. */
static void gw_group_make(struct gw_patch *p, const struct gw_model *m)
{
    uint32_t n, reach = gw_reach(p->run), pc = gw_address(p, 0, p->old_at), new_pc = gw_address(p, 1, p->np), i = 0;
    const uint8_t *old = gw_old(p, p->old_at, &n);
    struct gw_patch_group *g = &p->group;
    g->fields = g->at = g->next = 0;
    reach = reach < p->copy_left ? reach : p->copy_left;
    while (i < reach && g->fields < GW_GROUP_FIELDS) {
        struct gw_patch_unit *u = &g->unit[g->fields];
        struct gw_isa_place a = {old + i, n - i, pc + i, p->old_at + i};
        if (p->has_held != 0) {
            *u = p->held;
            p->has_held = 0;
        } else {
            gw_find(p, &a, &u->field);
            if (u->field.kind == GW_FIELD_NONE || u->field.size > p->copy_left - i) {
                g->made[i++] = a.p[0];
                continue;
            }
        }
        u->at = (uint8_t)i;
        gw_guess(p, m, u, a.pc, new_pc + i);
        bool risky = *gw_hit_counter(m, u, 1) >> 4 < GW_RISKY;
        if (risky && i > 0) {
            p->held = *u;
            p->has_held = 1;
            break;
        }
        gw_place(p, &u->field, a.p, new_pc + i, u->field.target + (uint32_t)u->guess.shift, g->made + i);
        i += u->field.size;
        g->fields++;
        if (risky) {
            break;
        }
    }
    g->size = (uint8_t)i;
}

/* Teaches the map from the new bytes of a field, which end at np. */
static void gw_field_learn(struct gw_patch *p, const struct gw_model *m, const struct gw_patch_unit *u, bool hit)
{
    const struct gw_patch_field *f = &u->field;
    uint8_t b[8];
    uint32_t t = 0, pc = gw_address(p, 1, p->np - f->size);
    int known = 1;
    for (unsigned i = 0; i < f->size; i++) {
        b[i] = gw_recent(p, f->size - i);
    }
    if (f->kind == GW_FIELD_POINTER) {
        t = gw_le32(b);
    } else {
        known = p->isa->target(f, b, pc, p->state, &t);
    }
    int32_t shift = (int32_t)(t - f->target);
    if (known == 1 && !(hit && u->guess.sure == 3) && shift > -(1 << 20) && shift < 1 << 20) {
        gw_map_put(&p->map, m->map, f->target, f->target, shift);
    }
}

static void gw_note(struct gw_patch *p, bool hit, uint32_t n)
{
    p->misses = p->misses << 1 | !hit;
    p->run = hit ? p->run + n : 0;
}

/* The byte that replaces the predicted one: coded as the difference. */
static uint32_t gw_miss(struct gw_patch *p, const struct gw_model *m, uint32_t made, uint32_t kind, uint32_t want)
{
    uint32_t hash[3] = {(kind != 0 ? 2u : 1u) << 24, (3u << 24) + (made << 8) + (kind << 16),
                        (4u << 24) + ((uint32_t)p->last_miss << 8 | (p->misses & 1) << 16)};
    uint32_t d = gw_byte(p, m, hash, m->w + (GW_W_MISS + (kind != 0 ? 1u : 0u)) * GW_INPUTS, (want - made) & 255);
    p->last_miss = (uint8_t)d;
    return (made + d) & 255;
}

/* One byte of a group. `open`: a miss must still come in this group; `last`: and it is here. */
static bool gw_group_byte(struct gw_patch *p, const struct gw_model *m, const uint8_t *old, uint32_t made,
                          const uint8_t *want, unsigned kind, bool open, bool last)
{
    uint32_t run = p->run < 15 ? p->run : 15, before = p->np > 0 ? gw_recent(p, 1) : 0;
    unsigned hit = want != NULL && *want == made;
    uint16_t *c[4] = {&m->c[GW_C_RUN + (run * 2 + open) * 4 + (p->np & 3)],
                      &m->c[GW_C_HIST + (p->misses & 127) + (kind != 0 ? 128u : 0u)],
                      gw_pool(m, 5u << 24, made << 8 | open | kind << 1),
                      gw_pool(m, 6u << 24, before << 8 | (uint32_t)old[0] << 16 | (p->misses & 3))};
    if (open && last) {
        hit = 0;
    } else {
        hit = gw_mix(p, c, 4, m->w + (GW_W_HIT + 32u + open + (kind != 0 ? 2u : 0u)) * GW_INPUTS, hit);
    }
    gw_emit(p, hit != 0 ? made : gw_miss(p, m, made, kind, want != NULL ? *want : 0));
    gw_note(p, hit != 0, 1);
    return hit != 0;
}

/* A field whose target is the guess plus v steps. Returns whether the encoder could say it so; the decoder: true. */
static bool gw_field_number(struct gw_patch *p, const struct gw_model *m, const struct gw_patch_unit *u,
                            const uint8_t *old, uint32_t pc, const uint8_t *want, uint8_t *made)
{
    const struct gw_patch_field *f = &u->field;
    uint32_t guess = f->target + (uint32_t)u->guess.shift, t = guess, grain = p->isa->grain[f->kind];
    uint16_t *flag = &m->c[GW_C_FIELD + f->kind * 3u];
    int32_t v = 0;
    unsigned ok = 0;
    if (want != NULL) {
        int known = 1;
        if (f->kind == GW_FIELD_POINTER) {
            t = gw_le32(want);
        } else {
            known = p->isa->target(f, want, pc, p->state, &t);
        }
        v = (int32_t)(t - guess) >> grain;
        for (unsigned i = 0; known != 0 && ok == 0 && i < 2; i++, v += ok == 0) {
            gw_place(p, f, old, pc, guess + ((uint32_t)v << grain), made);
            ok = v != 0 && memcmp(made, want, f->size) == 0;
        }
    }
    if (gw_bit(p, flag + 1, ok, 15) == 0) {
        return false;
    }
    unsigned kind = (p->isa->relative >> f->kind & 1) != 0;
    bool minus = gw_bit(p, &m->c[GW_C_SIGN + f->kind], v < 0, 15) != 0;
    uint32_t a = gw_number(p, m->c + GW_C_N_FIELD + kind * GW_NUM, (v < 0 ? 0u - (uint32_t)v : (uint32_t)v) - 1, false);
    a = minus ? 0u - (a + 1) : a + 1;
    gw_place(p, f, old, pc, guess + (a << grain), made);
    return true;
}

/* One field of a group. */
static bool gw_group_field(struct gw_patch *p, const struct gw_model *m, struct gw_patch_unit *u, const uint8_t *old,
                           const uint8_t *want, bool open)
{
    const struct gw_patch_field *f = &u->field;
    uint8_t *made = p->group.made + u->at, first[8];
    uint32_t pc = gw_address(p, 1, p->np), run = p->run < 15 ? p->run : 15;
    gw_guess(p, m, u, gw_address(p, 0, p->old_at + u->at), pc);
    gw_place(p, f, old, pc, f->target + (uint32_t)u->guess.shift, made);
    unsigned hit = want != NULL && memcmp(made, want, f->size) == 0, other = 0;
    uint16_t *c[4] = {gw_hit_counter(m, u, !open), &m->c[GW_C_HIST + 128 + (p->misses & 127)],
                      gw_pool(m, 7u << 24, f->kind << 16 | (f->target & 0xffff)),
                      &m->c[GW_C_RUN + (run * 2 + open) * 4 + (p->np & 3)]};
    hit = gw_mix(p, c, 4, m->w + (GW_W_HIT + f->kind * 4u + u->guess.sure) * GW_INPUTS, hit);
    bool exact = hit != 0;
    if (!exact && u->guess.two) {
        memcpy(first, made, sizeof first);
        gw_place(p, f, old, pc, f->target + (uint32_t)u->guess.other, made);
        other = want != NULL && memcmp(made, want, f->size) == 0;
        exact = gw_bit(p, &m->c[GW_C_FIELD + f->kind * 3u], other, 15) != 0;
        if (!exact) {
            memcpy(made, first, sizeof first);
        }
    }
    if (!exact) {
        memcpy(first, made, sizeof first);
        exact = gw_field_number(p, m, u, old, pc, want, made);
        if (!exact) {
            memcpy(made, first, sizeof first);
        }
    }
    for (unsigned i = 0; i < f->size; i++) {
        if (exact) {
            gw_emit(p, made[i]);
        } else {
            (void)gw_group_byte(p, m, old + i, made[i], want != NULL ? want + i : NULL, f->kind, false, false);
        }
    }
    if (exact) {
        gw_note(p, hit != 0, f->size);
    }
    gw_field_learn(p, m, u, hit != 0);
    return hit != 0;
}

/* Is all of the group as predicted? */
static bool gw_group_right(struct gw_patch *p, const struct gw_model *m, const uint8_t *want)
{
    const struct gw_patch_group *g = &p->group;
    uint32_t run = p->run, bucket = 0, size = 0;
    while (run > 0 && bucket < 15) {
        run >>= 1;
        bucket++;
    }
    while (g->size >> (size + 1) != 0) {
        size++;
    }
    uint16_t *c[3] = {&m->c[GW_C_GROUP + size * 16 + bucket], &m->c[GW_C_GHIST + (p->misses & 63)],
                      gw_pool(m, 8u << 24, gw_le16(g->made) << 8 | g->made[2])};
    return gw_mix(p, c, 3, m->w + (GW_W_GROUP + size) * GW_INPUTS,
                  want != NULL && memcmp(want, g->made, g->size) == 0) != 0;
}

/* All of it was: put it out at once. */
static void gw_group_take(struct gw_patch *p, const struct gw_model *m)
{
    struct gw_patch_group *g = &p->group;
    for (; g->at < g->size; g->at++) {
        gw_emit(p, g->made[g->at]);
        if (g->next < g->fields && g->at + 1u == (uint32_t)g->unit[g->next].at + g->unit[g->next].field.size) {
            gw_field_learn(p, m, &g->unit[g->next++], true);
        }
    }
    gw_note(p, true, g->size);
}

/* One byte or field of it. */
static void gw_group_walk(struct gw_patch *p, const struct gw_model *m, const uint8_t *want)
{
    struct gw_patch_group *g = &p->group;
    uint32_t n;
    const uint8_t *old = gw_old(p, p->old_at + g->at, &n);
    if (g->next < g->fields && g->unit[g->next].at == g->at) {
        struct gw_patch_unit *u = &g->unit[g->next++];
        g->open &= gw_group_field(p, m, u, old, want, g->open);
        g->at = (uint8_t)(g->at + u->field.size);
    } else {
        g->open &= gw_group_byte(p, m, old, g->made[g->at], want, 0, g->open, g->at + 1 == g->size);
        g->at++;
    }
}

static void gw_step_copy(struct gw_patch *p, const struct gw_model *m)
{
    struct gw_patch_group *g = &p->group;
    const uint8_t *want = gw_want_bytes(p);
    if (g->at == g->size) {
        gw_group_make(p, m);
        g->open = g->size > 1 && !(g->fields == 1 && g->unit[0].field.size == g->size);
        if (g->open && gw_group_right(p, m, want)) {
            gw_group_take(p, m);
        }
    }
    if (g->at < g->size) {
        gw_group_walk(p, m, want);
    }
    if (g->at < g->size) {
        return;
    }
    p->old_at += g->size;
    p->copy_left -= g->size;
    if (p->copy_left == 0) {
        uint32_t rest = p->old_next - p->old_at;
        p->has_held = 0;
        p->insn_k = 0;
        p->skip = (uint8_t)(rest < 8 ? rest : 0);
    }
}

/* ---- literals and matches ------------------------------------------------------------------------------------------ */

/* One byte by itself: the place in the instruction, and with it the top of the byte before. */
static void gw_literal_byte(struct gw_patch *p, const struct gw_model *m, uint32_t want)
{
    uint32_t before = p->np > 0 ? gw_recent(p, 1) : 0, k = p->insn_k & 3u;
    uint32_t b = gw_quick_byte(p, m, (16u + k) << 24, (24u << 24) + ((before & 0xe0) << 8) + (k << 16), want);
    gw_emit(p, b);
    gw_follow(p, b);
}

/* A literal; all of it, if it begins a relative field, with the target in place of the offset. */
static void gw_step_literal(struct gw_patch *p, const struct gw_model *m)
{
    const uint8_t *want = gw_want_bytes(p);
    bool starts = gw_at_insn(p);
    uint8_t b[8];
    if (starts) {
        p->has_held = 1; /* this instruction began with a literal */
    }
    gw_literal_byte(p, m, want != NULL ? *want : 0);
    uint32_t size = p->isa->literal_size, k = p->insn_k;
    if (size == 0 || k != p->isa->literal_at + 1u || p->has_held == 0 || !gw_is_literal_field(p->isa, p->insn) ||
        p->end - p->np + k < size || !gw_is_code(p->isa, gw_address(p, 1, p->np - k))) {
        return;
    }
    for (uint32_t i = k; i < size; i++) {
        want = gw_want_bytes(p);
        gw_literal_byte(p, m, want != NULL ? *want : 0);
    }
    struct gw_patch_field f = {0, 0, 0};
    uint32_t pc = gw_address(p, 1, p->np - size);
    for (uint32_t i = 0; i < size; i++) {
        b[i] = gw_recent(p, size - i);
    }
    struct gw_isa_place a = {b, size, p->h.segment[1][0].shift, 0};
    p->isa->find(&a, p->state, &f);
    if ((p->isa->relative >> f.kind & 1) != 0) {
        uint8_t raw[8];
        p->isa->place(&f, b, pc, f.target, raw);
        for (uint32_t i = 0; i < size; i++) {
            p->ring[(p->np - size + i) & 255] = raw[i];
        }
    }
}

/* Bytes of a match; calls in it keep their targets. */
static void gw_step_match(struct gw_patch *p)
{
    uint32_t distance = p->rep[0] + 1, size = p->isa->literal_size, done = 0;
    while (p->match_left > 0 && done < GW_GROUP_MAX) {
        uint8_t b[8];
        uint32_t n = 1, at = p->np - distance;
        b[0] = gw_earlier(p, at);
        if (size != 0 && p->match_left >= size && distance >= 8 && gw_at_insn(p)) {
            for (n = 1; n < size; n++) {
                b[n] = gw_earlier(p, at + n);
            }
            struct gw_patch_field f = {0, 0, 0};
            uint32_t from = gw_address(p, 1, at), pc = gw_address(p, 1, p->np);
            if (!gw_is_code(p->isa, from) || !gw_is_code(p->isa, pc)) {
                n = 1;
            } else if (gw_is_literal_field(p->isa, b)) {
                struct gw_isa_place a = {b, size, from, 0};
                p->isa->find(&a, p->state, &f);
                if ((p->isa->relative >> f.kind & 1) != 0) {
                    uint8_t raw[8];
                    p->isa->place(&f, b, pc, f.target, raw);
                    memcpy(b, raw, size);
                }
            } else {
                n = p->isa->size(b, 2);
                n = n < size ? n : size;
            }
        }
        for (uint32_t i = 0; i < n; i++) {
            gw_emit(p, b[i]);
            gw_follow(p, b[i]);
        }
        p->match_left -= n;
        done += n;
    }
}

static void gw_begin_match(struct gw_patch *p, uint32_t length)
{
    if (p->rep[0] >= p->np || length > p->end - p->np) {
        gw_fail(p, GW_ERR_DECODE);
        return;
    }
    p->match_left = length;
    p->has_held = 0;
}

static void gw_token_match(struct gw_patch *p, const struct gw_model *m, struct gw_token t)
{
    uint32_t length = gw_number(p, m->c + GW_C_N_MATCH, t.length - 2, false);
    uint32_t set = length < 2 ? length : 2;
    uint32_t distance = gw_number(p, m->c + GW_C_N_DIST + set * GW_NUM, t.at, true);
    p->rep[2] = p->rep[1];
    p->rep[1] = p->rep[0];
    p->rep[0] = distance;
    gw_begin_match(p, length + 2);
}

static void gw_token_repeat(struct gw_patch *p, const struct gw_model *m, struct gw_token t)
{
    uint32_t i = gw_bit(p, &m->c[GW_C_REP0 + (p->hist & 7)], t.at > 0, 15);
    if (i != 0) {
        i += gw_bit(p, &m->c[GW_C_REP1], t.at > 1, 15);
    }
    uint32_t length = gw_number(p, m->c + GW_C_N_REP, t.length - 1, false), d = p->rep[i];
    for (; i > 0; i--) {
        p->rep[i] = p->rep[i - 1];
    }
    p->rep[0] = d;
    gw_begin_match(p, length + 1);
}

static void gw_token_copy(struct gw_patch *p, const struct gw_model *m, struct gw_token t)
{
    uint32_t same = gw_bit(p, &m->c[GW_C_DIAG + (p->diag_hist & 3)], t.at - p->np == p->diagonal, 14);
    p->diag_hist = (uint8_t)(p->diag_hist << 1 | same);
    uint32_t at = p->np + p->diagonal;
    if (same == 0) {
        uint32_t z = t.at - p->old_at;
        z = gw_number(p, m->c + GW_C_N_SKIP, (z >> 31) != 0 ? ~z << 1 | 1 : z << 1, false);
        at = p->old_at + ((z & 1) != 0 ? ~(z >> 1) : z >> 1);
    }
    uint32_t length = gw_number(p, m->c + GW_C_N_COPY, t.length - 1, false) + 1;
    if (at > p->h.old_size || length == 0 || length > p->h.old_size - at || length > p->end - p->np) {
        gw_fail(p, GW_ERR_DECODE);
        return;
    }
    if (length >= 32) {
        uint32_t a = gw_address(p, 0, at);
        gw_map_put(&p->map, m->map, a, a + length - 1, (int32_t)(gw_address(p, 1, p->np) - a));
        p->diagonal = length >= 64 ? at - p->np : p->diagonal;
    }
    p->old_next = at + (p->insn_k != 0 ? (uint32_t)p->insn_size - p->insn_k : p->skip);
    p->old_at = at;
    p->copy_left = length;
    p->has_held = 0;
    p->insn_k = p->skip = 0;
}

/* One token, or a piece of the copy or match that is under way. */
static void gw_step(struct gw_patch *p, const struct gw_model *m)
{
    if (p->copy_left > 0) {
        gw_step_copy(p, m);
        return;
    }
    if (p->match_left > 0) {
        gw_step_match(p);
        return;
    }
    struct gw_token t = gw_want_token(p);
    uint32_t h = p->hist & 7u, other = gw_bit(p, &m->c[GW_C_TOKEN + h * 4 + (p->insn_k & 3)], t.kind != GW_LITERAL, 15);
    p->hist = (uint8_t)(h << 1 | other);
    if (other == 0) {
        gw_step_literal(p, m);
    } else if (p->h.old_size > 0 && gw_bit(p, &m->c[GW_C_COPY + h], t.kind == GW_COPY, 15) != 0) {
        gw_token_copy(p, m, t);
    } else if (p->np == 0) {
        gw_fail(p, GW_ERR_DECODE);
    } else if (gw_bit(p, &m->c[GW_C_REP + h], t.kind == GW_REPEAT, 15) != 0) {
        gw_token_repeat(p, m, t);
    } else {
        gw_token_match(p, m, t);
    }
}

/* ---- beginnings --------------------------------------------------------------------------------------------------- */

#define GW_POOL_BITS(profile) ((profile) == GW_PATCH_RAM_16K ? 12u : 10u)
#define GW_MAP_ROOM(profile) ((profile) == GW_PATCH_RAM_16K ? 144u : 96u)

static uint32_t gw_memory_size(uint32_t profile)
{
    return 2u * (GW_C_POOL + (1u << GW_POOL_BITS(profile))) + 4u * GW_W_COUNT * GW_INPUTS +
           (uint32_t)sizeof(struct gw_interval) * GW_MAP_ROOM(profile);
}

/* Where the parts of the model lie in the caller's memory. */
static struct gw_model gw_model_of(const struct gw_patch *p)
{
    uint8_t *at = p->config->memory;
    struct gw_model m;
    uint32_t bits = GW_POOL_BITS(p->h.profile);
    m.map = (struct gw_interval *)(void *)at;
    at += sizeof(struct gw_interval) * GW_MAP_ROOM(p->h.profile);
    m.w = (int32_t *)(void *)at;
    at += sizeof(int32_t) * GW_W_COUNT * GW_INPUTS;
    m.c = (uint16_t *)(void *)at;
    m.shift = 32 - bits;
    return m;
}

/* A fresh model and nothing under way, at output offset p->np. */
static void gw_restart(struct gw_patch *p)
{
    struct gw_model m = gw_model_of(p);
    uint32_t n = GW_C_POOL + (1u << GW_POOL_BITS(p->h.profile));
    for (uint32_t i = 0; i < n; i++) {
        m.c[i] = 0x8000;
    }
    for (uint32_t i = 0; i < GW_W_COUNT * GW_INPUTS; i++) {
        m.w[i] = 16384 / 2;
    }
    p->map.count = p->map.now = 0;
    p->map.room = (uint16_t)GW_MAP_ROOM(p->h.profile);
    p->copy_left = p->match_left = p->diagonal = p->run = p->misses = 0;
    p->old_at = p->np;
    p->rep[0] = p->rep[1] = p->rep[2] = 0;
    p->hist = p->diag_hist = p->has_held = p->last_miss = 0;
    p->group.at = p->group.size = 0;
    p->insn_k = p->insn_size = p->skip = 0;
    p->seg[0] = p->seg[1] = 0;
    p->back_n = p->old_n = 0;
    p->old_from = p->back_from = 0;
    memset(p->state, 0, sizeof p->state);
    memset(p->insn, 0, sizeof p->insn);
}

#endif
