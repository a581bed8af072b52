/*
 * fastcodec.c - see fastcodec.h. What it keeps true: reads stay inside the images, output inside the units; anything
 * else is GW_ERR_DECODE. The tests break the installer, not this.
 */
#include "fastcodec.h"

#include <stdlib.h>
#include <string.h>

#include "store.h"

enum { OP_BYTES = 1, OP_OLD = 2, OP_NEW = 3, OP_NOTHING = 4 };
#define HEADER 8u
#define CHUNK 32u
#define STEP 64u

struct fast {
    const struct gw_patch_config *config;
    uint8_t in[64];
    uint32_t n, pushed; /* bytes in `in`; bytes taken ever, the offset in the payload */
    uint32_t at, unit;  /* bytes of output; size of a restart unit */
    uint32_t ops;       /* bytes of operations left in this unit */
    uint32_t left, from;
    uint8_t op, begun;
};
_Static_assert(sizeof(struct fast) <= sizeof(struct gw_patch), "it lies where the decoder would");

static struct fast *fast(struct gw_patch *p)
{
    return (struct fast *)(void *)p;
}

static uint32_t get16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t room(uint32_t profile)
{
    (void)profile;
    return sizeof(struct gw_patch) + 16;
}

static uint32_t ram(uint32_t profile)
{
    (void)profile;
    return FASTCODEC_RAM;
}

static int header(struct gw_patch_header *h, const uint8_t *p, size_t n, size_t *used)
{
    memset(h, 0, sizeof *h);
    if (n < HEADER || p[0] != 'F') {
        return n < HEADER ? GW_ERR_TRUNCATED : GW_ERR_ENCODING;
    }
    h->unit = get16(p + 2);
    h->new_size = gw_get32(p + 4);
    *used = HEADER;
    return GW_OK;
}

static int open_patch(struct gw_patch *p, const struct gw_patch_config *config)
{
    memset(fast(p), 0, sizeof(struct fast));
    fast(p)->config = config;
    return GW_OK;
}

static int open_at(struct gw_patch *p, const struct gw_patch_config *config, const uint8_t *bytes, size_t n,
                   uint32_t new_at, uint32_t patch_at)
{
    struct gw_patch_header h;
    size_t used;
    int err = header(&h, bytes, n, &used);

    (void)open_patch(p, config);
    if (err != GW_OK || new_at % h.unit != 0) {
        return err != GW_OK ? err : GW_ERR_OFFSET;
    }
    fast(p)->begun = 1;
    fast(p)->unit = h.unit;
    fast(p)->at = new_at;
    fast(p)->pushed = patch_at;
    return GW_OK;
}

static int push(struct gw_patch *p, const uint8_t *bytes, size_t n, size_t *used)
{
    struct fast *f = fast(p);
    size_t space = sizeof f->in - f->n;

    *used = n < space ? n : space;
    memcpy(f->in + f->n, bytes, *used);
    f->n += (uint32_t)*used;
    f->pushed += (uint32_t)*used;
    return GW_OK;
}

static void eat(struct fast *f, uint32_t n)
{
    memmove(f->in, f->in + n, f->n - n);
    f->n -= n;
}

/* Header, length of a unit, or an operation: GW_MORE when there was one. */
static int read_next(struct fast *f)
{
    if (!f->begun) {
        if (f->n < HEADER) {
            return GW_WANT;
        }
        if (f->in[0] != 'F' || gw_get32(f->in + 4) != f->config->new_size || get16(f->in + 2) == 0) {
            return f->in[0] == 'X' ? GW_ERR_ENCODING : GW_ERR_DECODE;
        }
        f->unit = get16(f->in + 2);
        f->begun = 1;
        eat(f, HEADER);
        return GW_MORE;
    }
    if (f->ops == 0) {
        if (f->n < 2) {
            return GW_WANT;
        }
        f->ops = get16(f->in);
        eat(f, 2);
        return f->ops == 0 ? GW_ERR_DECODE : GW_MORE;
    }
    uint32_t size = f->n > 0 && (f->in[0] == OP_OLD || f->in[0] == OP_NEW) ? 7 : 3;
    if (f->n < size) {
        return GW_WANT;
    }
    f->op = f->in[0];
    f->left = get16(f->in + 1);
    f->from = size == 7 ? gw_get32(f->in + 3) : 0;
    eat(f, size);
    if (f->ops < size || f->op < OP_BYTES || f->op > OP_NOTHING || f->left == 0) {
        return GW_ERR_DECODE;
    }
    f->ops -= size;
    return GW_MORE;
}

/* A step of the operation that runs. */
static int run(struct fast *f, uint8_t *out, size_t space, size_t *n)
{
    uint32_t step = f->left < STEP ? f->left : STEP;
    const struct gw_patch_config *c = f->config;
    int err = GW_OK;

    if (f->op != OP_NOTHING) {
        step = step < space ? step : (uint32_t)space;
    }
    if (f->op == OP_BYTES || f->op == OP_NOTHING) {
        step = step < f->n ? step : f->n;
        if (step == 0) {
            return GW_WANT;
        }
        if (f->ops < step || (f->op == OP_BYTES && step > c->new_size - f->at)) {
            return GW_ERR_DECODE;
        }
        if (f->op == OP_BYTES) {
            memcpy(out, f->in, step);
        }
        eat(f, step);
        f->ops -= step;
    } else {
        uint32_t end = f->op == OP_OLD ? c->old_size : f->at;
        if (f->from > end || step > end - f->from || step > c->new_size - f->at) {
            return GW_ERR_DECODE;
        }
        err = f->op == OP_OLD ? c->read_old(c->ctx, f->from, out, step) : c->read_new(c->ctx, f->from, out, step);
        f->from += step;
    }
    f->left -= step;
    *n = f->op == OP_NOTHING ? 0 : step;
    f->at += (uint32_t)*n;
    return err == GW_OK ? GW_MORE : err;
}

static int poll(struct gw_patch *p, uint8_t *out, size_t space, size_t *n)
{
    struct fast *f = fast(p);

    *n = 0;
    if (f->left > 0) {
        return run(f, out, space, n);
    }
    if (f->begun && f->ops == 0 && f->at == f->config->new_size) {
        return GW_DONE;
    }
    return read_next(f);
}

static uint32_t next(const struct gw_patch *p)
{
    const struct fast *f = (const struct fast *)(const void *)p;

    return f->begun && f->left == 0 && f->ops == 0 && f->at % f->unit == 0 ? f->pushed - f->n : 0;
}

const struct gw_codec fastcodec = {
    .room = room, .ram = ram, .header = header, .open = open_patch, .open_at = open_at, .push = push, .poll = poll,
    .next = next,
};

/* ---- Making them ------------------------------------------------------------------------------------------------- */

static void add(struct gwh_buf *out, const void *p, size_t n)
{
    if (gwh_buf_add(out, p, n) != GW_OK) {
        abort();
    }
}

static void add_op(struct gwh_buf *out, uint8_t op, uint32_t n, uint32_t from)
{
    uint8_t b[7] = { op, (uint8_t)(n >> 8), (uint8_t)n };

    gw_put32(b + 3, from);
    add(out, b, op == OP_OLD || op == OP_NEW ? 7 : 3);
}

static void encode_chunk(struct gwh_buf *out, struct gw_span old, struct gw_span fresh, uint32_t at, uint32_t n)
{
    if (at + n <= old.n && memcmp(old.p + at, fresh.p + at, n) == 0) {
        add_op(out, OP_OLD, n, at);
    } else if (at >= 8 * CHUNK && memcmp(fresh.p + at - 8 * CHUNK, fresh.p + at, n) == 0) {
        add_op(out, OP_NEW, n, at - 8 * CHUNK);
    } else {
        add_op(out, OP_BYTES, n, 0);
        add(out, fresh.p + at, n);
    }
}

void fastcodec_encode(struct gwh_buf *out, struct gw_span old, struct gw_span fresh, uint32_t unit, uint32_t padding)
{
    static const uint8_t nothing[4096];
    uint8_t head[HEADER] = { 'F', 'C', (uint8_t)(unit >> 8), (uint8_t)unit };

    gw_put32(head + 4, (uint32_t)fresh.n);
    add(out, head, sizeof head);
    for (uint32_t start = 0; start < fresh.n; start += unit) {
        struct gwh_buf ops = { 0 };
        uint32_t end = start + unit < fresh.n ? start + unit : (uint32_t)fresh.n;
        if (padding > 0) {
            add_op(&ops, OP_NOTHING, padding, 0);
            add(&ops, nothing, padding);
        }
        for (uint32_t at = start; at < end; at += CHUNK) {
            encode_chunk(&ops, old, fresh, at, end - at < CHUNK ? end - at : CHUNK);
        }
        uint8_t size[2] = { (uint8_t)(ops.n >> 8), (uint8_t)ops.n };
        add(out, size, sizeof size);
        add(out, ops.p, ops.n);
        gwh_buf_free(&ops);
    }
}
