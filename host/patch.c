/*
 * patch.c - makes patches: tries several searches, keeps the smallest, decodes it again; and applies them.
 */
#include "patch.h"

#include <divsufsort.h>
#include <stdlib.h>
#include <string.h>

#include "patch_plan.h"

const struct gw_isa *const gwh_isas[] = {&gw_isa_thumb, &gw_isa_riscv, &gw_isa_xtensa,
                                         &gw_isa_arm64, &gw_isa_arm,   NULL};

static const char *const names[GW_ISA_COUNT] = {"none", "thumb", "riscv", "xtensa", "arm64", "arm"};

const char *gwh_isa_name(uint32_t isa)
{
    return isa < GW_ISA_COUNT ? names[isa] : "unknown";
}

bool gwh_isa_parse(const char *name, uint32_t *isa)
{
    for (uint32_t i = 0; i < GW_ISA_COUNT; i++) {
        if (strcmp(name, names[i]) == 0) {
            *isa = i;
            return true;
        }
    }
    *isa = GWH_ISA_AUTO;
    return strcmp(name, "auto") == 0;
}

int gwh_plan_add(struct gwh_plan *plan, uint32_t kind, uint32_t at, uint32_t length, uint32_t source)
{
    struct gwh_piece *last = plan->count > 0 ? &plan->piece[plan->count - 1] : NULL;
    if (length == 0) {
        return GW_OK;
    }
    if (last != NULL && kind == GWH_LITERAL && last->kind == GWH_LITERAL && last->at + last->length == at) {
        last->length += length;
        return GW_OK;
    }
    if (plan->count == plan->room) {
        uint32_t room = plan->room + plan->room / 4 + 256;
        struct gwh_piece *p = realloc(plan->piece, room * sizeof *p);
        if (p == NULL) {
            return GW_ERR_SPACE;
        }
        plan->piece = p;
        plan->room = room;
    }
    plan->piece[plan->count++] = (struct gwh_piece){at, length, source, kind};
    return GW_OK;
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

struct maker {
    const struct gwh_patch_options *options;
    struct gw_span old, fresh;
    struct gwh_plan copies, plan; /* plan: of the best so far */
    uint64_t cost; /* of the best so far */
};

/* Copies with literals between them. */
static int plain_plan(struct gwh_plan *plan, const struct gwh_plan *copies)
{
    uint32_t at = 0;
    int e = GW_OK;
    plan->count = 0;
    for (uint32_t i = 0; i < copies->count && e == GW_OK; i++) {
        const struct gwh_piece *c = &copies->piece[i];
        e = gwh_plan_add(plan, GWH_LITERAL, at, c->at - at, 0);
        e = e == GW_OK ? gwh_plan_add(plan, GWH_COPY, c->at, c->length, c->source) : e;
        at = c->at + c->length;
    }
    return e == GW_OK ? gwh_plan_add(plan, GWH_LITERAL, at, plan->h.new_size - at, 0) : e;
}

/* One search; its copies replace those in m->copies if they make a cheaper plan. */
static int try_search(struct maker *m, const int32_t *suffixes, const uint8_t *old, const uint8_t *fresh,
                      uint32_t least)
{
    struct gwh_plan c = m->copies;
    uint64_t cost = 0;
    c.piece = NULL;
    c.count = c.room = 0;
    int e = gwh_search(&c, suffixes, old, fresh, least);
    e = e == GW_OK ? plain_plan(&m->plan, &c) : e;
    e = e == GW_OK ? gwh_run(&m->plan, NULL, NULL, NULL, &cost) : e;
    if (e == GW_OK && cost < m->cost) {
        struct gwh_piece *worse = m->copies.piece;
        m->cost = cost;
        m->copies = c;
        c.piece = worse;
    }
    free(c.piece);
    return e;
}

/* Bare images whose base statistics may have missed: of theirs, the other image's and usual ones, the base with which
 * the copies found so far cost least. */
static int choose_base(struct maker *m)
{
    struct gw_patch_segment *old = &m->plan.h.segment[0][0], *fresh = &m->plan.h.segment[1][0];
    const uint32_t o = old->shift, n = fresh->shift;
    const uint32_t tries[][2] = {{n, n}, {o, o}, {0, 0}, {0x08000000, 0x08000000}, {0x20000000, 0x20000000},
                                 {0x80000000, 0x80000000}, {0x10000000, 0x10000000}};
    uint32_t best[2] = {o, n};
    int e = plain_plan(&m->plan, &m->copies);
    if (m->options->base_given || m->plan.isa == &gw_isa_none || m->plan.h.segments[0] + m->plan.h.segments[1] != 2) {
        return e;
    }
    for (size_t i = 0; i < sizeof tries / sizeof *tries && e == GW_OK; i++) {
        uint64_t cost = 0;
        old->shift = tries[i][0];
        fresh->shift = tries[i][1];
        e = gwh_run(&m->plan, NULL, NULL, NULL, &cost);
        if (e == GW_OK && cost < m->cost) {
            m->cost = cost;
            memcpy(best, tries[i], sizeof best);
        }
    }
    old->shift = best[0];
    fresh->shift = best[1];
    return e;
}

/* Searches in images as they are and in images with their addresses blanked: each finds what the other misses. */
static int find_copies(struct maker *m)
{
    static const uint32_t least[] = {8, 32, 16};
    uint32_t old_n = (uint32_t)m->old.n, new_n = (uint32_t)m->fresh.n;
    uint8_t *old = malloc(old_n + 1), *fresh = malloc(new_n + 1);
    int32_t *suffixes = malloc(((size_t)old_n + 1) * 4);
    int e = old != NULL && fresh != NULL && suffixes != NULL ? GW_OK : GW_ERR_SPACE;
    uint32_t tries = m->options->effort == 0 ? 2 : 1;
    m->cost = UINT64_MAX;
    for (unsigned blank = 0; blank < 2 && e == GW_OK; blank++) {
        if (blank != 0) {
            gwh_domain(m->plan.isa, &m->plan.h, 0, m->old.p, old_n, GWH_MASKED, old, NULL);
            gwh_domain(m->plan.isa, &m->plan.h, 1, m->fresh.p, new_n, GWH_MASKED, fresh, NULL);
        } else {
            memcpy(old, m->old.p, old_n);
            memcpy(fresh, m->fresh.p, new_n);
        }
        e = divsufsort(old, suffixes, (int32_t)old_n) == 0 ? GW_OK : GW_ERR_SPACE;
        for (uint32_t i = 0; i < tries && e == GW_OK; i++) {
            e = try_search(m, suffixes, old, fresh, least[i]);
            e = e == GW_OK && blank == 0 && i == 0 ? choose_base(m) : e;
        }
    }
    free(old);
    free(fresh);
    free(suffixes);
    return e;
}

static int parse_all(struct maker *m)
{
    uint32_t n = (uint32_t)m->fresh.n;
    uint8_t *relative = malloc(n + 1), *marks = malloc(n + 1), *literal = calloc(n + 1, 1);
    struct gwh_prices prices;
    struct gwh_parse how = {relative, marks, literal, &prices};
    int e = relative != NULL && marks != NULL && literal != NULL ? GW_OK : GW_ERR_SPACE;
    memset(&prices, 0, sizeof prices);
    if (e == GW_OK) {
        gwh_domain(m->plan.isa, &m->plan.h, 1, m->fresh.p, n, GWH_RELATIVE, relative, marks);
        marks[n] = 0;
        e = plain_plan(&m->plan, &m->copies);
    }
    uint32_t passes = m->options->effort != 0 ? 1 : m->old.n > 0 ? 2 : 3; /* prices settle by then */
    for (uint32_t i = 0; i < passes && e == GW_OK; i++) {
        e = gwh_run(&m->plan, NULL, literal, &prices, NULL);
        e = e == GW_OK ? gwh_parse(&m->plan, &m->copies, &how) : e;
    }
    free(relative);
    free(marks);
    free(literal);
    return e;
}

static int check(const struct gwh_buf *out, size_t from, const struct maker *m)
{
    struct gwh_buf again = {0};
    int e = gwh_patch_apply(&again, m->old, (struct gw_span){out->p + from, out->n - from});
    if (e == GW_OK && (again.n != m->fresh.n || (again.n > 0 && memcmp(again.p, m->fresh.p, again.n) != 0))) {
        e = GW_ERR_DECODE;
    }
    gwh_buf_free(&again);
    return e;
}

int gwh_patch_make(struct gwh_buf *out, struct gw_span old, struct gw_span fresh,
                   const struct gwh_patch_options *options)
{
    static const uint8_t nothing[1] = {0};
    old.p = old.n > 0 ? old.p : nothing;
    fresh.p = fresh.n > 0 ? fresh.p : nothing;
    struct maker m = {.options = options, .old = old, .fresh = fresh};
    size_t from = out->n;
    if (old.n > INT32_MAX || fresh.n > INT32_MAX || options->profile >= GW_PATCH_PROFILES) {
        return GW_ERR_VALUE;
    }
    gwh_costs_init();
    m.plan.old = old.p;
    m.plan.fresh = fresh.p;
    m.plan.h.old_size = (uint32_t)old.n;
    m.plan.h.new_size = (uint32_t)fresh.n;
    m.plan.h.profile = (uint8_t)options->profile;
    m.plan.h.unit = options->unit;
    gwh_arch(&m.plan, options);
    m.copies.h = m.plan.h;
    int e = old.n > 0 ? find_copies(&m) : GW_OK;
    e = e == GW_OK ? parse_all(&m) : e;
    e = e == GW_OK ? gwh_run(&m.plan, out, NULL, NULL, NULL) : e;
    e = e == GW_OK ? check(out, from, &m) : e;
    free(m.plan.piece);
    free(m.copies.piece);
    return e;
}

/* ---- applying ---------------------------------------------------------------------------------------------------- */

struct images {
    struct gw_span old;
    const struct gwh_buf *out;
    size_t from;
};

static int read_old(void *ctx, uint32_t at, void *data, uint32_t n)
{
    memcpy(data, ((const struct images *)ctx)->old.p + at, n);
    return 0;
}

static int read_new(void *ctx, uint32_t at, void *data, uint32_t n)
{
    const struct images *i = ctx;
    memcpy(data, i->out->p + i->from + at, n);
    return 0;
}

int gwh_patch_apply(struct gwh_buf *out, struct gw_span old, struct gw_span patch)
{
    struct images images = {old, out, out->n};
    struct gw_patch_header h;
    size_t used, at = 0, n;
    int e = gw_patch_header(&h, patch.p, patch.n, &used);
    struct gw_patch *p = malloc(sizeof *p);
    struct gw_patch_config c = {.ctx = &images, .read_old = read_old, .old_size = (uint32_t)old.n, .read_new = read_new,
                                .isas = gwh_isas};
    if (e == GW_OK) {
        c.new_size = h.new_size;
        c.memory_size = gw_patch_memory(h.profile);
        c.memory = malloc(c.memory_size);
        e = p != NULL && c.memory != NULL ? gw_patch_open(p, &c) : GW_ERR_SPACE;
    }
    while (e == GW_OK || e == GW_MORE || e == GW_WANT) {
        uint8_t bytes[GW_PATCH_STEP];
        if (e == GW_WANT) {
            if (at == patch.n) {
                e = GW_ERR_TRUNCATED;
                break;
            }
            e = gw_patch_push(p, patch.p + at, patch.n - at, &used);
            at += used;
            continue;
        }
        e = gw_patch_poll(p, bytes, sizeof bytes, &n);
        int failed = gwh_buf_add(out, bytes, n);
        e = failed != GW_OK ? failed : e;
    }
    e = e == GW_DONE ? at == patch.n ? GW_OK : GW_ERR_TRAILING : e;
    free(c.memory);
    free(p);
    return e;
}
