/*
 * patch_inspect.c - what the bytes of a patch are for: decodes it with the device's steps, and books for each step how
 * far the range coder moved.
 */
#include <stdlib.h>

#include "patch.h"

#include "../lib/src/patch_core.h"

struct images {
    struct gw_span old;
    uint8_t *fresh;
};

static int read_old(void *ctx, uint32_t at, void *data, uint32_t n)
{
    memcpy(data, ((const struct images *)ctx)->old.p + at, n);
    return 0;
}

static int read_new(void *ctx, uint32_t at, void *data, uint32_t n)
{
    memcpy(data, ((const struct images *)ctx)->fresh + at, n);
    return 0;
}

const char *gwh_cost_name(unsigned cost)
{
    static const char *const names[] = {"literals", "matches", "copies", "corrections in copies"};
    return cost < GWH_COSTS ? names[cost] : "unknown";
}

/* 256 * log2(v). */
static uint32_t log_of(uint32_t v)
{
    uint32_t n = 0, part = 0;
    while (n < 31 && v >> (n + 1) != 0) {
        n++;
    }
    uint64_t x = ((uint64_t)v << 31) >> n;
    for (unsigned i = 0; i < 8; i++) {
        x = x * x >> 31;
        part = part << 1 | (uint32_t)(x >> 32);
        x = x >> 32 != 0 ? x >> 1 : x;
    }
    return n << 8 | part;
}

/* Steps through one segment, whose code is seg. costs->bytes: in 1/2048 byte. */
static int one_segment(struct gw_patch *p, struct images *im, struct gw_span seg, struct gwh_patch_costs *costs)
{
    struct gw_model m = gw_model_of(p);
    size_t at = 0;
    bool begun = false;
    p->left = (uint32_t)seg.n;
    p->in_at = p->in_n = 0;
    while (p->error == 0 && p->np < p->end) {
        uint32_t rest = p->in_n - p->in_at, from = p->np, take = (uint32_t)sizeof p->in - rest;
        memmove(p->in, p->in + p->in_at, rest);
        take = take < seg.n - at ? take : (uint32_t)(seg.n - at);
        memcpy(p->in + rest, seg.p + at, take);
        at += take;
        p->in_at = 0;
        p->in_n = rest + take;
        if (!begun) {
            gw_restart(p);
            gw_code_start(p);
            begun = true;
        }
        uint32_t left = p->left, range = log_of(p->range);
        unsigned what = p->copy_left > 0 ? GWH_COST_CORRECTIONS : GWH_COST_MATCHES, more = p->match_left > 0 ? 0 : 1;
        gw_step(p, &m);
        what = p->copy_left > 0 && what == GWH_COST_MATCHES && p->np == from ? GWH_COST_COPIES : what;
        what = what == GWH_COST_MATCHES && more != 0 && p->np > from ? GWH_COST_LITERALS : what;
        costs->count[what] += more;
        costs->made[what] += p->np - from;
        costs->bytes[what] += ((uint64_t)(left - p->left) << 11) + range - log_of(p->range);
        for (uint32_t i = from > 8 ? from - 8 : 0; i < p->np; i++) {
            im->fresh[i] = p->ring[i & 255];
        }
    }
    return p->error != 0 ? p->error : p->left == 0 ? GW_OK : GW_ERR_DECODE;
}

static uint32_t varint(struct gw_span *s)
{
    uint32_t v = 0;
    for (unsigned shift = 0; shift < 32 && s->n > 0; shift += 7) {
        uint8_t b = *s->p++;
        s->n--;
        v |= (uint32_t)(b & 127) << shift;
        if (b < 128) {
            break;
        }
    }
    return v;
}

static int all_segments(struct gw_patch *p, struct images *im, struct gw_span rest, struct gwh_patch_costs *costs)
{
    int e = GW_OK;
    while (e == GW_OK && p->np < p->h.new_size) {
        uint32_t n = varint(&rest);
        if (n > rest.n) {
            return GW_ERR_TRUNCATED;
        }
        p->end = p->h.unit > 0 && p->h.new_size - p->np > p->h.unit ? p->np + p->h.unit : p->h.new_size;
        e = one_segment(p, im, (struct gw_span){rest.p, n}, costs);
        rest = (struct gw_span){rest.p + n, rest.n - n};
    }
    for (unsigned i = 0; i < GWH_COSTS; i++) {
        costs->bytes[i] = (costs->bytes[i] + 1024) >> 11;
    }
    return e;
}

int gwh_patch_inspect(struct gwh_patch_costs *costs, struct gw_span old, struct gw_span patch)
{
    struct images im = {old, NULL};
    struct gw_patch_config c = {.ctx = &im, .read_old = read_old, .read_new = read_new, .old_size = (uint32_t)old.n};
    struct gw_patch *p = calloc(1, sizeof *p);
    size_t used = 0;
    int e = p != NULL ? gw_patch_header(&p->h, patch.p, patch.n, &used) : GW_ERR_SPACE;
    memset(costs, 0, sizeof *costs);
    if (e == GW_OK && (p->h.old_size > old.n || p->h.new_size > 64u << 20)) {
        e = GW_ERR_DECODE;
    }
    if (e == GW_OK) {
        im.fresh = malloc((size_t)p->h.new_size + 1);
        c.memory = malloc(gw_memory_size(p->h.profile));
        p->config = &c;
        for (uint32_t i = 0; gwh_isas[i] != NULL; i++) {
            p->isa = gwh_isas[i]->id == p->h.isa ? gwh_isas[i] : p->isa;
        }
        p->isa = p->isa != NULL ? p->isa : &gw_isa_none;
        e = im.fresh != NULL && c.memory != NULL
                ? all_segments(p, &im, (struct gw_span){patch.p + used, patch.n - used}, costs)
                : GW_ERR_SPACE;
    }
    free(c.memory);
    free(im.fresh);
    free(p);
    return e;
}
