/*
 * patch_state.h - what the steps of the codec share: output, windows on flash, instructions followed, beginnings. Part
 * of patch_core.h.
 *
 * Kept true: a step makes at most GW_STEP_MAX bytes, all into the ring; np never passes `end`; every read of old and of
 * earlier output is inside them. The first error stays in p->error.
 */
#ifndef GW_PATCH_STATE_H
#define GW_PATCH_STATE_H

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

/* ---- beginnings -------------------------------------------------------------------------------------------------- */

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
    memset((uint8_t *)p + offsetof(struct gw_patch, copy_left), 0,
           sizeof *p - offsetof(struct gw_patch, copy_left));
    p->map.room = (uint16_t)GW_MAP_ROOM(p->h.profile);
    p->old_at = p->np;
}

#endif
