/*
 * patch_core.h - the steps of the codec: tokens, literals, matches. Shared by decoder and encoder, as patch_coder.h
 * says; each is one translation unit that includes this file once.
 *
 * Output is made of tokens: a literal, a match with earlier output, a copy from the old image (patch_copy.h).
 *
 * Kept true: a step makes at most GW_STEP_MAX bytes, all into the ring; np never passes `end`; every read of old and of
 * earlier output is inside them. The first error stays in p->error.
 */
#ifndef GW_PATCH_CORE_H
#define GW_PATCH_CORE_H

#include "patch_copy.h"

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
    p->diag_hist = (uint8_t)((uint32_t)p->diag_hist << 1 | same);
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

#endif
