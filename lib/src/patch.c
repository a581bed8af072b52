/*
 * patch.c - the decoder of gwpatch: header, segments, input and output around the steps of patch_core.h.
 *
 * Kept true: a step begins only when the input that it may need is there, or when the segment has no more; output
 * beyond np - (bytes of an instruction that is not complete) is not handed out; at most GW_PATCH_STEP bytes a poll.
 */
#include "patch_core.h"

#define FORMAT 1u
#define UNIT_BITS 14u /* smallest unit: 32 KB = 1 << (14 + 1) */

enum { HEADER, LENGTH, START, RUN, FINISHED };

uint32_t gw_patch_memory(uint32_t profile)
{
    return profile < GW_PATCH_PROFILES ? gw_memory_size(profile) : 0;
}

uint32_t gw_patch_ram(uint32_t profile)
{
    uint32_t n = gw_patch_memory(profile);
    return n != 0 ? n + (uint32_t)sizeof(struct gw_patch) + GW_PATCH_STACK : 0;
}

/* ---- header ------------------------------------------------------------------------------------------------------ */

struct cursor {
    const uint8_t *p;
    size_t n, at;
    int error;
};

static uint32_t byte_of(struct cursor *c)
{
    if (c->at >= c->n) {
        c->error = GW_ERR_TRUNCATED;
        return 0;
    }
    return c->p[c->at++];
}

/* Seven bits a byte, the lowest first. */
static uint32_t varint(struct cursor *c)
{
    uint32_t v = 0, b;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        b = byte_of(c);
        if (shift == 28 && b > 15) {
            break;
        }
        v |= (b & 127) << shift;
        if (b < 128) {
            return v;
        }
    }
    c->error = c->error != 0 ? c->error : GW_ERR_DECODE;
    return 0;
}

static uint32_t signed_varint(struct cursor *c)
{
    uint32_t z = varint(c);
    return (z & 1) != 0 ? ~(z >> 1) : z >> 1;
}

/* The new image's table: each relative to the entry before. The old one's: relative to the new one's entry, if any. */
static void read_segments(struct cursor *c, struct gw_patch_header *h, unsigned image)
{
    struct gw_patch_segment s = {0, 0}, before = s;
    uint32_t n = byte_of(c);
    if (n == 0 || n > GW_PATCH_SEGMENTS) {
        c->error = c->error != 0 ? c->error : GW_ERR_DECODE;
        return;
    }
    h->segments[image] = (uint8_t)n;
    for (uint32_t i = 0; i < n; i++) {
        s = image == 0 && i < h->segments[1] ? h->segment[1][i] : before;
        s.at += i > 0 ? signed_varint(c) : 0;
        s.shift += signed_varint(c);
        if (i > 0 && s.at <= before.at) {
            c->error = c->error != 0 ? c->error : GW_ERR_DECODE;
        }
        h->segment[image][i] = before = s;
    }
}

int gw_patch_header(struct gw_patch_header *h, const uint8_t *p, size_t n, size_t *used)
{
    struct cursor c = {p, n, 0, GW_OK};
    struct gw_patch_header r;
    memset(&r, 0, sizeof r);
    uint32_t b = byte_of(&c), unit;
    r.version = (uint8_t)(b >> 4);
    r.isa = b & 15;
    if (c.error == GW_OK && r.version != FORMAT) {
        return GW_ERR_VERSION;
    }
    b = byte_of(&c);
    r.profile = b & 7;
    unit = b >> 4;
    r.unit = unit > 0 ? 1u << (UNIT_BITS + unit) : 0;
    r.new_size = varint(&c);
    r.old_size = (b & 8) != 0 ? varint(&c) : 0;
    read_segments(&c, &r, 1);
    if ((b & 8) != 0) {
        read_segments(&c, &r, 0);
    } else {
        r.segments[0] = 1;
    }
    if (c.error != GW_OK) {
        return c.error;
    }
    if (r.profile >= GW_PATCH_PROFILES || r.isa >= GW_ISA_COUNT || ((b & 8) != 0 && r.old_size == 0)) {
        return GW_ERR_DECODE;
    }
    *h = r;
    *used = c.at;
    return GW_OK;
}

/* ---- beginnings -------------------------------------------------------------------------------------------------- */

static int take_header(struct gw_patch *p, const struct gw_patch_header *h)
{
    const struct gw_patch_config *c = p->config;
    p->isa = h->isa == GW_ISA_NONE ? &gw_isa_none : NULL;
    for (uint32_t i = 0; p->isa == NULL && c->isas != NULL && c->isas[i] != NULL; i++) {
        p->isa = c->isas[i]->id == h->isa ? c->isas[i] : NULL;
    }
    if (p->isa == NULL) {
        return GW_ERR_ENCODING;
    }
    if (h->new_size != c->new_size || h->old_size > c->old_size) {
        return GW_ERR_DECODE;
    }
    if (gw_patch_memory(h->profile) > c->memory_size) {
        return GW_ERR_DECODER_RAM;
    }
    p->h = *h;
    p->stage = LENGTH;
    return GW_OK;
}

int gw_patch_open(struct gw_patch *p, const struct gw_patch_config *config)
{
    memset(p, 0, sizeof *p);
    p->config = config;
    if (config->read_new == NULL || (config->old_size > 0 && config->read_old == NULL) || config->memory == NULL) {
        p->error = GW_ERR_CONFIG;
    }
    return p->error;
}

int gw_patch_open_at(struct gw_patch *p, const struct gw_patch_config *config, const uint8_t *header, size_t n,
                     uint32_t new_at, uint32_t patch_at)
{
    struct gw_patch_header h;
    size_t used;
    int e = gw_patch_open(p, config);
    e = e == GW_OK ? gw_patch_header(&h, header, n, &used) : e;
    e = e == GW_OK ? take_header(p, &h) : e;
    if (e == GW_OK && (h.unit == 0 || new_at % h.unit != 0 || new_at >= h.new_size)) {
        e = GW_ERR_OFFSET;
    }
    if (e == GW_OK && new_at >= sizeof p->ring) { /* a unit's first bytes may go by the last ones before it */
        e = config->read_new(config->ctx, new_at - (uint32_t)sizeof p->ring, p->ring, sizeof p->ring);
    }
    p->np = p->out_at = new_at;
    p->pushed = patch_at;
    p->error = e;
    return e;
}

/* ---- input and output -------------------------------------------------------------------------------------------- */

int gw_patch_push(struct gw_patch *p, const uint8_t *bytes, size_t n, size_t *used)
{
    *used = 0;
    if (p->error != 0) {
        return p->error;
    }
    uint32_t rest = p->in_n - p->in_at, room = (uint32_t)sizeof p->in - rest;
    memmove(p->in, p->in + p->in_at, rest);
    room = n < room ? (uint32_t)n : room;
    memcpy(p->in + rest, bytes, room);
    p->in_at = 0;
    p->in_n = rest + room;
    p->pushed += room;
    *used = room;
    if (p->stage == FINISHED && room > 0) {
        p->error = GW_ERR_TRAILING;
    }
    return p->error;
}

static int stage_header(struct gw_patch *p)
{
    struct gw_patch_header h;
    size_t used;
    int e = gw_patch_header(&h, p->in + p->in_at, p->in_n - p->in_at, &used);
    if (e == GW_ERR_TRUNCATED && p->in_n - p->in_at < GW_PATCH_HEADER_MAX) {
        return GW_WANT;
    }
    if (e != GW_OK) {
        return e == GW_ERR_TRUNCATED ? GW_ERR_DECODE : e;
    }
    p->in_at += (uint32_t)used;
    return take_header(p, &h);
}

/* The length of a segment's code stands before it. */
static int stage_length(struct gw_patch *p)
{
    struct cursor c = {p->in + p->in_at, p->in_n - p->in_at, 0, GW_OK};
    if (p->np == p->h.new_size) {
        p->stage = FINISHED;
        return p->in_at == p->in_n ? GW_DONE : GW_ERR_TRAILING;
    }
    p->left = varint(&c);
    if (c.error != GW_OK) {
        return c.error == GW_ERR_TRUNCATED ? GW_WANT : c.error;
    }
    p->in_at += (uint32_t)c.at;
    p->end = p->h.unit > 0 && p->h.new_size - p->np > p->h.unit ? p->np + p->h.unit : p->h.new_size;
    p->stage = START;
    return GW_OK;
}

/* Is the input there that a step may need? */
static bool ready(const struct gw_patch *p)
{
    uint32_t need = p->left < GW_STEP_INPUT ? p->left : GW_STEP_INPUT;
    return p->in_n - p->in_at >= need;
}

static int stage_run(struct gw_patch *p)
{
    struct gw_model m = gw_model_of(p);
    if (p->np == p->end) {
        p->stage = LENGTH;
        return p->left == 0 ? GW_OK : GW_ERR_DECODE;
    }
    if (!ready(p)) {
        return GW_WANT;
    }
    gw_step(p, &m);
    return p->error;
}

static int stage_start(struct gw_patch *p)
{
    if (!ready(p)) {
        return GW_WANT;
    }
    gw_restart(p);
    gw_code_start(p);
    p->stage = RUN;
    return GW_OK;
}

/* Hands out what is settled: literals of an instruction may change until it is complete. */
static size_t hand_out(struct gw_patch *p, uint8_t *out, size_t room)
{
    uint32_t n = p->np - p->out_at;
    n = p->np == p->end ? n : n > p->insn_k ? n - p->insn_k : 0;
    n = n < room ? n : (uint32_t)room;
    for (uint32_t i = 0; i < n; i++) {
        out[i] = p->ring[p->out_at++ & 255];
    }
    return n;
}

static int run_stage(struct gw_patch *p)
{
    switch (p->stage) {
    case HEADER:
        return stage_header(p);
    case LENGTH:
        return stage_length(p);
    case START:
        return stage_start(p);
    default:
        return stage_run(p);
    }
}

uint32_t gw_patch_next(const struct gw_patch *p)
{
    bool there = p->h.unit > 0 && p->np > 0 && p->np == p->out_at && p->np % p->h.unit == 0 && p->np < p->h.new_size;
    return there ? p->pushed - (p->in_n - p->in_at) + (p->stage == RUN ? p->left : 0) : 0;
}

int gw_patch_poll(struct gw_patch *p, uint8_t *out, size_t room, size_t *n)
{
    int e = p->error;
    *n = 0;
    room = room < GW_PATCH_STEP ? room : GW_PATCH_STEP;
    while (e == GW_OK) {
        *n += hand_out(p, out + *n, room - *n);
        if (*n == room || (*n > 0 && p->np == p->end)) {
            return GW_MORE;
        }
        e = p->stage == FINISHED ? GW_DONE : run_stage(p);
    }
    p->error = e < 0 ? e : 0;
    return e == GW_WANT && *n > 0 ? GW_MORE : e;
}
