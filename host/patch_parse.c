/*
 * patch_parse.c - what is between copies: literals and matches with earlier output, chosen so that the sum of prices is
 * small.
 *
 * Matches are found in a binary tree of all earlier positions (nearest for each length). The choice is a shortest path
 * over windows of positions; repeated distances are those of the best way to a position, as in LZMA encoders.
 */
#include <stdlib.h>
#include <string.h>

#include "patch_plan.h"

#define NICE 160u    /* a match as long is taken at once */
#define DEPTH 100u   /* steps in the tree */
/* A literal takes eight decisions to decode; and its price was measured where it is likelier than elsewhere. */
#define LITERAL_TIME (GWH_BIT * 5u / 4u)
#define WINDOW 4096u
#define HASH_BITS 16u
#define NONE UINT32_MAX

/* ---- earlier occurrences ----------------------------------------------------------------------------------------- */

struct finder {
    const uint8_t *t;
    uint32_t n, *head, *near2, *near3, *son;
    unsigned shift; /* 32 - log2 of the heads */
};

struct found {
    uint32_t length, distance; /* distance - 1 */
};

static uint32_t hash_of(const struct finder *f, const uint8_t *p, unsigned n)
{
    uint32_t v = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)(n > 2 ? p[2] : 0) << 16 |
                 (uint32_t)(n > 3 ? p[3] : 0) << 24;
    return v * 0x9E3779B1u >> f->shift;
}

static uint32_t common(const uint8_t *t, uint32_t a, uint32_t b, uint32_t from, uint32_t limit)
{
    while (from < limit && t[a + from] == t[b + from]) {
        from++;
    }
    return from;
}

/* Adds a match if it is longer than the ones before. */
static uint32_t note(struct found *out, uint32_t count, uint32_t length, uint32_t distance)
{
    if (count == 0 || out[count - 1].length < length) {
        out[count++] = (struct found){length, distance};
    }
    return count;
}

/* Inserts position `at` and, with `out`, lists matches, ever longer, at most NICE of them. */
static uint32_t finder_step(struct finder *f, uint32_t at, struct found *out)
{
    uint32_t limit = f->n - at < NICE ? f->n - at : NICE, count = 0, low = 0, high = 0;
    const uint8_t *t = f->t;
    if (limit < 4) {
        return 0;
    }
    uint32_t h2 = hash_of(f, t + at, 2), h3 = hash_of(f, t + at, 3), h = hash_of(f, t + at, 4), cur = f->head[h];
    if (out != NULL && f->near2[h2] != NONE && common(t, f->near2[h2], at, 0, 2) == 2) {
        count = note(out, count, common(t, f->near2[h2], at, 2, limit), at - f->near2[h2] - 1);
    }
    if (out != NULL && f->near3[h3] != NONE && common(t, f->near3[h3], at, 0, 3) == 3) {
        count = note(out, count, common(t, f->near3[h3], at, 3, limit), at - f->near3[h3] - 1);
    }
    f->head[h] = f->near2[h2] = f->near3[h3] = at;
    uint32_t *left = &f->son[2 * at], *right = left + 1;
    for (uint32_t depth = 0; cur != NONE && depth < DEPTH; depth++) {
        uint32_t *pair = &f->son[2 * cur], n = common(t, cur, at, low < high ? low : high, limit);
        if (out != NULL && n > 3) {
            count = note(out, count, n, at - cur - 1);
        }
        if (n == limit) {
            *left = pair[0];
            *right = pair[1];
            return count;
        }
        if (t[cur + n] < t[at + n]) {
            *left = cur;
            left = pair + 1;
            low = n;
            cur = *left;
        } else {
            *right = cur;
            right = pair;
            high = n;
            cur = *right;
        }
    }
    *left = *right = NONE;
    return count;
}

static int finder_open(struct finder *f, const uint8_t *t, uint32_t n)
{
    unsigned bits = 8;
    while (bits < HASH_BITS && n >> bits != 0) {
        bits++;
    }
    size_t heads = (size_t)1 << bits;
    *f = (struct finder){t, n, malloc(heads * 4), malloc(heads * 4), malloc(heads * 4), malloc((size_t)n * 8 + 8),
                         32 - bits};
    if (f->head == NULL || f->near2 == NULL || f->near3 == NULL || f->son == NULL) {
        return GW_ERR_SPACE;
    }
    memset(f->head, 0xff, heads * 4);
    memset(f->near2, 0xff, heads * 4);
    memset(f->near3, 0xff, heads * 4);
    return GW_OK;
}

static void finder_close(struct finder *f)
{
    free(f->head);
    free(f->near2);
    free(f->near3);
    free(f->son);
}

/* ---- the cheapest way -------------------------------------------------------------------------------------------- */

struct node {
    uint32_t cost, length, source; /* of the piece that leads here */
    uint32_t rep[3];
    uint8_t kind, hist;
};

struct parser {
    struct gwh_plan *plan;
    const struct gwh_parse *how;
    struct finder finder;
    struct node *node;
    uint32_t inserted; /* positions below are in the tree */
    uint32_t rep[3];
    uint8_t hist;
};

static uint32_t distance_price(const struct gwh_prices *pr, uint32_t length, uint32_t distance)
{
    uint32_t s = length < 4 ? length - 2 : 2, v = distance + 1, n = 31u - (uint32_t)__builtin_clz(v);
    uint32_t top = n >= 2 ? v >> (n - 2) & 3 : n == 1 ? (v & 1) << 1 : 0, price = pr->bits[s][n];
    price += pr->top[s][n < 20 ? n : 19][top];
    if (n >= 5) {
        price += (n - 5) * GWH_BIT + pr->low[s][v & 7];
    } else if (n > 2) {
        price += (n - 2) * GWH_BIT;
    }
    return price;
}

static void reach(struct parser *ps, uint32_t i, uint32_t j, uint32_t cost, uint32_t kind, uint32_t source)
{
    struct node *n = &ps->node[j];
    if (cost < n->cost) {
        *n = (struct node){cost, j - i, source, {0, 0, 0}, (uint8_t)kind, 0};
    }
}

/* What a node inherits, once the best way to it is known. */
static void settle(struct parser *ps, uint32_t i)
{
    struct node *n = &ps->node[i];
    const struct node *b = n - n->length;
    memcpy(n->rep, b->rep, sizeof n->rep);
    n->hist = (uint8_t)((b->hist << 1 | (n->kind != GWH_LITERAL)) & 7);
    if (n->kind != GWH_MATCH) {
        return;
    }
    unsigned k = n->source == b->rep[0] ? 0 : n->source == b->rep[1] ? 1 : 2;
    for (; k > 0; k--) {
        n->rep[k] = n->rep[k - 1];
    }
    n->rep[0] = n->source;
}

static uint32_t price_of(uint32_t length, const uint16_t table[512])
{
    return table[length < 512 ? length : 511];
}

static void reach_matches(struct parser *ps, uint32_t base, uint32_t i, uint32_t from, uint32_t to, uint32_t distance,
                          uint32_t flags, const uint16_t *lengths, uint32_t least)
{
    const uint8_t *marks = ps->how->marks + base + i;
    for (uint32_t l = from; l <= to; l++) {
        if ((marks[l] & GWH_INSIDE) == 0) {
            uint32_t price = flags + price_of(l - least, lengths);
            price += least == 2 ? distance_price(ps->how->prices, l, distance) : 0;
            reach(ps, i, i + l, ps->node[i].cost + price, GWH_MATCH, distance);
        }
    }
}

static void reach_literal(struct parser *ps, uint32_t base, uint32_t i, uint32_t count, uint32_t flag)
{
    const uint8_t *marks = ps->how->marks + base, *literal = ps->how->literal + base;
    uint32_t j = i + 1, price = ps->node[i].cost + flag + literal[i] * (GWH_BIT / 8) + LITERAL_TIME;
    for (; j < count && (marks[j] & GWH_INSIDE) != 0; j++) {
        price += literal[j] * (GWH_BIT / 8);
    }
    reach(ps, i, j, price, GWH_LITERAL, 0);
}

/* All ways on from node i. Returns the length of a match that is to be taken at once, or 0; *source is its distance. */
static uint32_t expand(struct parser *ps, uint32_t base, uint32_t i, uint32_t count, uint32_t rest, uint32_t *source)
{
    const struct gwh_prices *pr = ps->how->prices;
    const uint8_t *t = ps->how->relative;
    struct node *n = &ps->node[i];
    struct found found[NICE];
    uint32_t at = base + i, h = n->hist, phase = ps->how->marks[at] & 3u, limit = count - i, found_n = 0, from = 2;
    const uint16_t *token = pr->token[h][phase];
    for (; ps->inserted < at; ps->inserted++) {
        (void)finder_step(&ps->finder, ps->inserted, NULL);
    }
    if (ps->inserted == at) {
        found_n = finder_step(&ps->finder, at, found);
        ps->inserted++;
    }
    reach_literal(ps, base, i, count, token[0]);
    uint32_t flag = token[1] + (ps->plan->h.old_size > 0 ? pr->copy[h][0] : 0u);
    for (unsigned r = 0; r < 3; r++) {
        uint32_t d = n->rep[r];
        if (d >= at || (r > 0 && d == n->rep[0])) {
            continue;
        }
        uint32_t l = common(t, at - d - 1, at, 0, limit < NICE ? limit : NICE), index = pr->rep0[h][r > 0];
        index += r > 0 ? pr->rep1[r > 1] : 0u;
        if (l >= NICE) {
            *source = d;
            return common(t, at - d - 1, at, l, rest);
        }
        reach_matches(ps, base, i, 1, l, d, flag + pr->rep[h][1] + index, pr->repeat, 1);
    }
    for (uint32_t k = 0; k < found_n; k++) {
        uint32_t l = found[k].length < limit ? found[k].length : limit;
        if (l >= NICE) {
            *source = found[k].distance;
            return common(t, at - *source - 1, at, l, rest);
        }
        reach_matches(ps, base, i, from, l, found[k].distance, flag + pr->rep[h][0], pr->length, 2);
        from = l + 1;
    }
    return 0;
}

/* Adds the pieces that lead to node `to`. */
static int emit(struct parser *ps, uint32_t base, uint32_t to)
{
    uint32_t next = 0, i = to;
    int e = GW_OK;
    while (i > 0) { /* turn the way round: `cost` becomes the next node */
        uint32_t before = i - ps->node[i].length;
        ps->node[i].cost = next;
        next = i;
        i = before;
    }
    for (i = next; i != 0 && e == GW_OK; i = ps->node[i].cost) {
        const struct node *n = &ps->node[i];
        e = gwh_plan_add(ps->plan, n->kind, base + i - n->length, n->length, n->source);
    }
    memcpy(ps->rep, ps->node[to].rep, sizeof ps->rep);
    ps->hist = ps->node[to].hist;
    return e;
}

static int parse_gap(struct parser *ps, uint32_t from, uint32_t end)
{
    int e = GW_OK;
    while (from < end && e == GW_OK) {
        uint32_t count = end - from < WINDOW ? end - from : WINDOW, i, source = 0, taken = 0;
        while (from + count < end && (ps->how->marks[from + count] & GWH_INSIDE) != 0) {
            count--; /* fields are not cut */
        }
        for (i = 0; i <= count; i++) {
            ps->node[i].cost = UINT32_MAX;
        }
        ps->node[0] = (struct node){0, 0, 0, {ps->rep[0], ps->rep[1], ps->rep[2]}, 0, ps->hist};
        for (i = 0; i < count && taken == 0; i++) {
            if (ps->node[i].cost != UINT32_MAX) {
                if (i > 0) {
                    settle(ps, i);
                }
                taken = expand(ps, from, i, count, end - from - i, &source);
            }
        }
        i -= taken != 0;
        if (taken == 0) {
            settle(ps, i);
        }
        e = emit(ps, from, i);
        from += i;
        while (taken > 0 && from + taken < end && (ps->how->marks[from + taken] & GWH_INSIDE) != 0) {
            taken--;
        }
        if (taken > 0 && e == GW_OK) {
            e = gwh_plan_add(ps->plan, GWH_MATCH, from, taken, source);
            if (source != ps->rep[0]) {
                ps->rep[2] = source == ps->rep[1] ? ps->rep[2] : ps->rep[1];
                ps->rep[1] = ps->rep[0];
                ps->rep[0] = source;
            }
            ps->hist = (uint8_t)((ps->hist << 1 | 1) & 7);
            from += taken;
        }
    }
    return e;
}

int gwh_parse(struct gwh_plan *plan, const struct gwh_plan *copies, const struct gwh_parse *how)
{
    struct parser ps = {.plan = plan, .how = how};
    uint32_t at = 0;
    int e = finder_open(&ps.finder, how->relative, plan->h.new_size);
    ps.node = malloc((WINDOW + 1) * sizeof *ps.node);
    e = ps.node != NULL ? e : GW_ERR_SPACE;
    plan->count = 0;
    for (uint32_t k = 0; k <= copies->count && e == GW_OK; k++) {
        uint32_t end = k < copies->count ? copies->piece[k].at : plan->h.new_size;
        e = parse_gap(&ps, at, end);
        if (k < copies->count && e == GW_OK) {
            const struct gwh_piece *c = &copies->piece[k];
            e = gwh_plan_add(plan, GWH_COPY, c->at, c->length, c->source);
            ps.hist = (uint8_t)((ps.hist << 1 | 1) & 7);
            at = c->at + c->length;
        }
    }
    free(ps.node);
    finder_close(&ps.finder);
    return e;
}
