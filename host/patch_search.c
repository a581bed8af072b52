/*
 * patch_search.c - where parts of the new image come from in the old one: long matches by suffix array, extended while
 * at least half of the bytes agree.
 *
 * The method is the one that Percival's "Naive differences of executable code" describes: an exact match counts when it
 * beats what the last copy would give at the same place by more than `least` bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "patch_plan.h"

struct search {
    const int32_t *suffixes;
    const uint8_t *old, *fresh;
    uint32_t old_n, new_n;
};

static uint32_t match(const struct search *s, uint32_t o, uint32_t f, uint32_t from)
{
    uint32_t n = s->old_n - o < s->new_n - f ? s->old_n - o : s->new_n - f, i = from;
    while (i < n && s->old[o + i] == s->fresh[f + i]) {
        i++;
    }
    return i;
}

/* The longest match of fresh[f..) in old: *at. The bounds' common prefixes spare comparisons. */
static uint32_t longest(const struct search *s, uint32_t f, uint32_t *at)
{
    uint32_t l = 0, r = s->old_n - 1, ln, rn;
    if (s->old_n == 0) {
        return 0;
    }
    ln = match(s, (uint32_t)s->suffixes[l], f, 0);
    rn = match(s, (uint32_t)s->suffixes[r], f, 0);
    while (r - l > 1) {
        uint32_t m = l + (r - l) / 2, o = (uint32_t)s->suffixes[m], n = match(s, o, f, ln < rn ? ln : rn);
        if (f + n < s->new_n && (o + n == s->old_n || s->old[o + n] < s->fresh[f + n])) {
            l = m;
            ln = n;
        } else {
            r = m;
            rn = n;
        }
    }
    *at = (uint32_t)s->suffixes[ln > rn ? l : r];
    return ln > rn ? ln : rn;
}

static bool same(const struct search *s, uint32_t o, uint32_t f)
{
    return o < s->old_n && s->old[o] == s->fresh[f];
}

/* Where copies a (ends somewhere) and b (begins somewhere) overlap, the best border. Bytes that a keeps. */
static uint32_t border(const struct search *s, uint32_t overlap, uint32_t f, uint32_t a, uint32_t b)
{
    uint32_t best = 0;
    int32_t score = 0, most = 0;
    for (uint32_t i = 0; i < overlap; i++) {
        score += same(s, a + i, f + i);
        score -= same(s, b + i, f + i);
        if (score > most) {
            most = score;
            best = i + 1;
        }
    }
    return best;
}

/* How far the copy a -> f goes on, at most n bytes, while more than half agree. */
static uint32_t forward(const struct search *s, uint32_t a, uint32_t f, uint32_t n)
{
    int32_t score = 0, most = 0;
    uint32_t best = 0;
    for (uint32_t i = 0; i < n && a + i < s->old_n; i++) {
        score += same(s, a + i, f + i) ? 1 : -1;
        if (score > most) {
            most = score;
            best = i + 1;
        }
    }
    return best;
}

static uint32_t backward(const struct search *s, uint32_t a, uint32_t f, uint32_t n)
{
    int32_t score = 0, most = 0;
    uint32_t best = 0;
    for (uint32_t i = 1; i <= n && i <= a; i++) {
        score += same(s, a - i, f - i) ? 1 : -1;
        if (score > most) {
            most = score;
            best = i;
        }
    }
    return best;
}

struct scan {
    uint32_t at, length, source;              /* of the match looked at */
    uint32_t last, last_source, offset; /* of the copy being made; offset: source - at */
    uint32_t agree; /* bytes of the match that the copy would give too */
};

/* Moves on to the next match that beats the copy being made. */
static void next_match(const struct search *s, struct scan *c, uint32_t least)
{
    uint32_t agree = 0, counted;
    c->at += c->length;
    counted = c->at;
    for (; c->at < s->new_n; c->at++) {
        c->length = longest(s, c->at, &c->source);
        for (; counted < c->at + c->length; counted++) {
            agree += same(s, counted + c->offset, counted);
        }
        if ((c->length == agree && c->length != 0) || c->length > agree + least) {
            break;
        }
        agree -= same(s, c->at + c->offset, c->at);
    }
    c->agree = agree;
}

int gwh_search(struct gwh_plan *copies, const int32_t *suffixes, const uint8_t *old, const uint8_t *fresh,
               uint32_t least)
{
    struct search s = {suffixes, old, fresh, copies->h.old_size, copies->h.new_size};
    struct scan c = {0, 0, 0, 0, 0, 0, 0};
    int e = GW_OK;
    while (c.at < s.new_n && e == GW_OK) {
        next_match(&s, &c, least);
        if (c.length == c.agree && c.at < s.new_n) {
            continue;
        }
        uint32_t ahead = forward(&s, c.last_source, c.last, c.at - c.last), back = 0;
        if (c.at < s.new_n) {
            back = backward(&s, c.source, c.at, c.at - c.last);
        }
        if (c.last + ahead > c.at - back) {
            uint32_t overlap = c.last + ahead - (c.at - back), from = c.at - back;
            uint32_t keep = border(&s, overlap, from, c.last_source + (from - c.last), c.source - back);
            ahead += keep;
            ahead -= overlap;
            back -= keep;
        }
        if (ahead > 0) {
            e = gwh_plan_add(copies, GWH_COPY, c.last, ahead, c.last_source);
        }
        c.last = c.at - back;
        c.last_source = c.source - back;
        c.offset = c.source - c.at;
    }
    return e;
}
