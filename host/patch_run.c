/*
 * patch_run.c - codes a plan: the decoder's own steps (lib/src/patch_core.h) under an oracle that reads the plan.
 *
 * A plan may be a little wrong (a match that does not reproduce its bytes because an instruction begins elsewhere): the
 * oracle tries each match on a copy of the state and shortens it, and what is left becomes literals.
 */
#include <pthread.h>
#include <stdlib.h>

#include "patch_coder_encode.h"

#include "../lib/src/patch_core.h"

uint16_t gwh_bit_cost[4097];

static void fill_costs(void)
{
    for (uint32_t i = 0; i <= 4096; i++) { /* 64 * log2(4096 / i), by squaring */
        uint64_t x = i == 0 ? 1 : i;
        uint32_t whole = 0, part = 0;
        while (x >> (whole + 1) != 0) {
            whole++;
        }
        x = (x << 32) >> whole;
        for (unsigned k = 0; k < 7; k++) {
            x = (x >> 8) * (x >> 8) >> 16;
            part <<= 1;
            if (x >> 33 != 0) {
                part |= 1;
                x >>= 1;
            }
        }
        uint32_t log = whole * 128 + part;
        gwh_bit_cost[i] = (uint16_t)((12 * 128 - log + 1) / 2);
    }
}

void gwh_costs_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, fill_costs); /* several patches may be made at once */
}

/* ---- the oracle -------------------------------------------------------------------------------------------------- */

static uint32_t piece_end(const struct gwh_piece *q)
{
    return q->at + q->length;
}

/* How many bytes of this match come out right? */
static uint32_t try_match(const struct gwh_run *r, uint32_t distance, uint32_t length)
{
    struct gw_patch p = r->p;
    uint32_t from = p.np, right = 0;
    p.rep[0] = distance;
    p.match_left = length;
    p.has_held = 0;
    while (p.match_left > 0) {
        uint32_t at = p.np;
        gw_step_match(&p);
        for (; at < p.np; at++, right++) {
            if (p.ring[at & 255] != r->plan->fresh[at]) {
                return right;
            }
        }
    }
    return p.np - from;
}

static struct gw_token match_token(struct gwh_run *r, uint32_t distance, uint32_t length)
{
    struct gw_token t = {GW_LITERAL, 0, 0};
    uint32_t right = distance < r->p.np ? try_match(r, distance, length) : 0;
    while (right > 0 && right < length) { /* a shorter one may cut a field differently */
        length = right;
        right = try_match(r, distance, length);
    }
    for (uint32_t i = 0; i < 3 && t.kind == GW_LITERAL && right > 0; i++) {
        if (r->p.rep[i] == distance) {
            t = (struct gw_token){GW_REPEAT, right, i};
        }
    }
    if (t.kind == GW_LITERAL && right > 1) {
        t = (struct gw_token){GW_MATCH, right, distance};
    }
    if (t.kind == GW_LITERAL || right < length) {
        r->literal_until = r->p.np + length; /* the rest, tokens as they come */
    }
    if (t.kind != GW_LITERAL) {
        r->literal_until = r->p.np + right;
    }
    return t;
}

struct gw_token gw_want_token(struct gw_patch *p)
{
    struct gwh_run *r = gwh_run_of(p);
    while (r->token < r->plan->count && piece_end(&r->plan->piece[r->token]) <= p->np) {
        r->token++;
    }
    if (r->token == r->plan->count || p->np < r->literal_until) {
        return (struct gw_token){GW_LITERAL, 0, 0};
    }
    const struct gwh_piece *q = &r->plan->piece[r->token];
    uint32_t skip = p->np - q->at, length = q->length - skip;
    length = length < p->end - p->np ? length : p->end - p->np;
    if (q->kind == GWH_MATCH) {
        return match_token(r, q->source, length);
    }
    return (struct gw_token){q->kind, length, q->source + skip};
}

/* Where the run of literals at np ends. */
static uint32_t literal_end(const struct gwh_run *r)
{
    uint32_t end = r->literal_until > r->p.np ? r->literal_until : r->p.np, i = r->token;
    while (i < r->plan->count && (r->plan->piece[i].kind == GWH_LITERAL || piece_end(&r->plan->piece[i]) <= end) &&
           r->plan->piece[i].at <= end) {
        end = piece_end(&r->plan->piece[i]) > end ? piece_end(&r->plan->piece[i]) : end;
        i++;
        if (end >= r->p.np + 16) {
            break;
        }
    }
    return end;
}

const uint8_t *gw_want_bytes(struct gw_patch *p)
{
    struct gwh_run *r = gwh_run_of(p);
    if (r->first) {
        r->mark = r->cost;
        r->first = false;
    }
    const uint8_t *raw = r->plan->fresh + p->np;
    uint32_t k = p->insn_k, s = p->np - k, size = p->isa->literal_size;
    if (p->copy_left > 0 || !(gw_at_insn(p) || (k > 0 && p->has_held != 0)) || p->end - s < size || size == 0) {
        return raw;
    }
    raw -= k;
    bool whole = k > p->isa->literal_at || literal_end(r) > s + p->isa->literal_at;
    if (!whole || !gw_is_code(p->isa, gw_address(p, 1, s)) || !gw_is_literal_field(p->isa, raw)) {
        return raw + k;
    }
    struct gw_patch_field f = {0, 0, 0};
    struct gw_isa_place a = {raw, size, gw_address(p, 1, s), 0};
    p->isa->find(&a, p->state, &f);
    if ((p->isa->relative >> f.kind & 1) == 0) {
        return raw + k;
    }
    p->isa->place(&f, raw, p->h.segment[1][0].shift, f.target, r->want);
    return r->want + k;
}

/* ---- coding ------------------------------------------------------------------------------------------------------ */

static int read_old(void *ctx, uint32_t at, void *data, uint32_t n)
{
    memcpy(data, ((const struct gwh_plan *)ctx)->old + at, n);
    return 0;
}

static int read_new(void *ctx, uint32_t at, void *data, uint32_t n)
{
    memcpy(data, ((const struct gwh_plan *)ctx)->fresh + at, n);
    return 0;
}

/* Ends a segment with the fewest bytes that decode to the same. */
static void finish(struct gwh_run *r, struct gwh_buf *coded)
{
    uint64_t v = 0;
    for (unsigned k = 33; k-- > 0;) {
        v = (r->low + (1ull << k) - 1) >> k << k;
        if (v < r->low + r->range) {
            break;
        }
    }
    r->low = v;
    for (unsigned i = 0; i < 5; i++) {
        gwh_shift_low(r);
    }
    if (coded->n > 0) { /* the first byte is the empty cache, always 0 */
        memmove(coded->p, coded->p + 1, coded->n - 1);
        coded->n = coded->n - 1 < r->taken ? coded->n - 1 : r->taken;
    }
    while (coded->n > 0 && coded->p[coded->n - 1] == 0) {
        coded->n--;
    }
}

static int put_varint(struct gwh_buf *out, uint32_t v)
{
    uint8_t b[5];
    size_t n = 0;
    while (v > 127) {
        b[n++] = (uint8_t)(v | 128);
        v >>= 7;
    }
    b[n++] = (uint8_t)v;
    return gwh_buf_add(out, b, n);
}

static int put_signed(struct gwh_buf *out, uint32_t v)
{
    return put_varint(out, v >> 31 != 0 ? ~v << 1 | 1 : v << 1);
}

static int put_segments(struct gwh_buf *out, const struct gw_patch_header *h, unsigned image)
{
    struct gw_patch_segment before = {0, 0};
    uint8_t n = h->segments[image];
    int e = gwh_buf_add(out, &n, 1);
    for (uint32_t i = 0; i < n && e == GW_OK; i++) {
        const struct gw_patch_segment *s = &h->segment[image][i];
        before = image == 0 && i < h->segments[1] ? h->segment[1][i] : before;
        e = i > 0 ? put_signed(out, s->at - before.at) : GW_OK;
        e = e == GW_OK ? put_signed(out, s->shift - before.shift) : e;
        before = *s;
    }
    return e;
}

static int put_header(struct gwh_buf *out, const struct gw_patch_header *h)
{
    unsigned unit = 0;
    while (h->unit >> (14 + unit) > 1) {
        unit++;
    }
    uint8_t b[2] = {(uint8_t)(1 << 4 | h->isa), (uint8_t)(unit << 4 | (h->old_size > 0 ? 8 : 0) | h->profile)};
    int e = gwh_buf_add(out, b, 2);
    e = e == GW_OK ? put_varint(out, h->new_size) : e;
    e = e == GW_OK && h->old_size > 0 ? put_varint(out, h->old_size) : e;
    e = e == GW_OK ? put_segments(out, h, 1) : e;
    return e == GW_OK && h->old_size > 0 ? put_segments(out, h, 0) : e;
}

static int run_segment(struct gwh_run *r, const struct gw_model *m, uint8_t *literal)
{
    struct gw_patch *p = &r->p;
    uint32_t rest = p->h.new_size - p->np;
    p->end = p->h.unit > 0 && rest > p->h.unit ? p->np + p->h.unit : p->h.new_size;
    gw_restart(p);
    gw_code_start(p);
    while (p->np < p->end && p->error == 0) {
        uint32_t from = p->np;
        r->first = true;
        bool in_copy = p->copy_left > 0 || p->match_left > 0;
        gw_step(p, m);
        if (literal != NULL && !in_copy && p->copy_left == 0 && p->match_left == 0 && p->np > from) {
            uint64_t each = (r->cost - r->mark) * 8 / GWH_BIT / (p->np - from);
            memset(literal + from, each > 255 ? 255 : (int)each, p->np - from);
        }
    }
    return p->error;
}

static uint16_t price(uint16_t c, unsigned bit)
{
    uint32_t p = (c | 8u) >> 4;
    return gwh_bit_cost[bit != 0 ? p : 4096 - p];
}

static void price_flags(uint16_t out[][2], const uint16_t *c, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        out[i][0] = price(c[i], 0);
        out[i][1] = price(c[i], 1);
    }
}

static uint16_t price_bits(const uint16_t *c, uint32_t n)
{
    uint32_t node = 1, sum = 0;
    for (unsigned i = 5; i-- > 0; node = node << 1 | (n >> i & 1)) {
        sum += price(c[node], n >> i & 1);
    }
    return (uint16_t)sum;
}

/* gw_number() without the direct bits: n bits, and the two below the leading one. */
static uint16_t price_top(const uint16_t *c, uint32_t n, uint32_t top)
{
    n = n < GW_BITS ? n : GW_BITS - 1;
    uint32_t sum = 0, first = top >> 1;
    sum += n >= 1 ? price(c[32 + n], first) : 0;
    sum += n >= 2 ? price(c[32 + GW_BITS + 2 * n + (2 | first) % 2], top & 1) : 0;
    return (uint16_t)sum;
}

static void price_lengths(uint16_t *out, const uint16_t *c)
{
    for (uint32_t v = 0; v < 512; v++) {
        uint32_t n = 0;
        while ((v + 1) >> (n + 1) != 0) {
            n++;
        }
        uint32_t top = n >= 2 ? (v + 1) >> (n - 2) & 3 : n == 1 ? ((v + 1) & 1) << 1 : 0;
        out[v] = (uint16_t)(price_bits(c, n) + price_top(c, n, top) + (n > 2 ? (n - 2) * GWH_BIT : 0));
    }
}

static void read_prices(struct gwh_prices *out, const struct gw_model *m)
{
    for (unsigned h = 0; h < 8; h++) {
        price_flags(out->token[h], m->c + GW_C_TOKEN + 4 * h, 4);
    }
    price_flags(out->copy, m->c + GW_C_COPY, 8);
    price_flags(out->rep, m->c + GW_C_REP, 8);
    price_flags(out->rep0, m->c + GW_C_REP0, 8);
    price_flags(&out->rep1, m->c + GW_C_REP1, 1);
    price_lengths(out->length, m->c + GW_C_N_MATCH);
    price_lengths(out->repeat, m->c + GW_C_N_REP);
    price_lengths(out->copy_length, m->c + GW_C_N_COPY);
    for (unsigned n = 0; n < 32; n++) {
        out->skip[n] = (uint16_t)(price_bits(m->c + GW_C_N_SKIP, n) + n * GWH_BIT);
    }
    for (unsigned s = 0; s < 3; s++) {
        const uint16_t *c = m->c + GW_C_N_DIST + s * GW_NUM;
        for (unsigned n = 0; n < 32; n++) {
            out->bits[s][n] = price_bits(c, n);
        }
        for (unsigned n = 0; n < GW_BITS; n++) {
            for (unsigned t = 0; t < 4; t++) {
                out->top[s][n][t] = price_top(c, n, t);
            }
        }
        for (unsigned v = 0; v < 8; v++) {
            unsigned node = 1, sum = 0;
            for (unsigned i = 0; i < 3; i++) {
                sum += price(c[32 + 3 * GW_BITS + node], v >> i & 1);
                node = node << 1 | (v >> i & 1);
            }
            out->low[s][v] = (uint16_t)sum;
        }
    }
}

int gwh_run(const struct gwh_plan *plan, struct gwh_buf *out, uint8_t *literal, struct gwh_prices *prices,
            uint64_t *cost)
{
    static const struct gw_isa *const none[] = {NULL};
    struct gw_patch_config config = {(void *)(uintptr_t)plan, read_old, plan->h.old_size, read_new, plan->h.new_size,
                                     NULL, gw_memory_size(plan->h.profile), none};
    struct gwh_buf coded = {0};
    struct gwh_run *r = calloc(1, sizeof *r);
    int e = r != NULL ? GW_OK : GW_ERR_SPACE;
    config.memory = calloc(1, config.memory_size);
    e = config.memory != NULL ? e : GW_ERR_SPACE;
    if (e == GW_OK && out != NULL) {
        e = put_header(out, &plan->h);
    }
    if (e == GW_OK) {
        r->p.config = &config;
        r->p.isa = plan->isa;
        r->p.h = plan->h;
        r->plan = plan;
        r->out = out != NULL ? &coded : NULL;
    }
    while (e == GW_OK && r->p.np < plan->h.new_size) {
        struct gw_model m = gw_model_of(&r->p);
        coded.n = 0;
        e = run_segment(r, &m, literal);
        if (e == GW_OK && out != NULL) {
            finish(r, &coded);
            e = put_varint(out, (uint32_t)coded.n);
            e = e == GW_OK ? gwh_buf_add(out, coded.p, coded.n) : e;
        }
        if (prices != NULL) {
            read_prices(prices, &m);
        }
    }
    if (cost != NULL && r != NULL) {
        *cost = r->cost;
    }
    free(config.memory);
    free(r);
    gwh_buf_free(&coded);
    return e;
}
