/*
 * patch_copy.h - copies from the old image, corrected where it differs. Part of patch_core.h.
 *
 * A copy goes in groups: a stretch of old bytes is parsed, each field gets its predicted new address, and one decision
 * says whether all of it is right; only if not, each byte and field is decided on. Every field decided teaches the map.
 */
#ifndef GW_PATCH_COPY_H
#define GW_PATCH_COPY_H

#include "patch_state.h"

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

static void gw_place(struct gw_patch *p, const struct gw_patch_field *f, const uint8_t *old, uint32_t pc,
                     uint32_t target, uint8_t *to)
{
    if (f->kind == GW_FIELD_POINTER) {
        gw_put_le32(to, target);
    } else {
        p->isa->place(f, old, pc, target, to);
    }
}

static void gw_guess(struct gw_patch *p, const struct gw_model *m, struct gw_patch_unit *u, uint32_t pc,
                     uint32_t new_pc)
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
                      gw_pool(m, 7u << 24, (uint32_t)f->kind << 16 | (f->target & 0xffff)),
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

#endif
