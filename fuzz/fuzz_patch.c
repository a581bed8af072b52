/*
 * fuzz_patch.c - gwpatch under any bytes: the decoder ends, with an error or with exactly the output that was asked
 * for, and reads nothing outside the old image and what it put out.
 *
 * Input: one byte, the size of the pieces pushed; then the patch. Images are as large as its header says, up to a
 * bound; the old one is made from its offsets.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz_formats.h"
#include "patch.h"

#define SIZE_MAX_TRIED 65536u

struct world {
    uint8_t *old, *fresh;
    uint32_t old_n, fresh_n;
};

static int read_old(void *ctx, uint32_t at, void *data, uint32_t n)
{
    const struct world *w = ctx;
    MUST(at <= w->old_n && n <= w->old_n - at);
    memcpy(data, w->old + at, n);
    return 0;
}

static int read_new(void *ctx, uint32_t at, void *data, uint32_t n)
{
    const struct world *w = ctx;
    MUST(at <= w->fresh_n && n <= w->fresh_n - at);
    memcpy(data, w->fresh + at, n);
    return 0;
}

static void decode(struct gw_patch *p, struct world *w, const uint8_t *patch, size_t n, size_t piece)
{
    uint8_t out[GW_PATCH_STEP];
    size_t used, got;
    int e = GW_MORE;
    while (e == GW_MORE || (e == GW_WANT && n > 0)) {
        if (e == GW_WANT) {
            e = gw_patch_push(p, patch, n < piece ? n : piece, &used);
            patch += used;
            n -= used;
            e = e == GW_OK ? GW_MORE : e;
            continue;
        }
        e = gw_patch_poll(p, out, sizeof out, &got);
        MUST(w->fresh_n + got <= p->config->new_size);
        memcpy(w->fresh + w->fresh_n, out, got);
        w->fresh_n += (uint32_t)got;
    }
    MUST(e != GW_DONE || w->fresh_n == p->config->new_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_patch_header h;
    struct world w = {0};
    size_t used;
    if (size < 2) {
        return 0;
    }
    if (gw_patch_header(&h, data + 1, size - 1, &used) != GW_OK || h.old_size > SIZE_MAX_TRIED ||
        h.new_size > SIZE_MAX_TRIED) {
        return 0;
    }
    w.old = malloc(h.old_size + 1u);
    w.fresh = malloc(h.new_size + 1u);
    uint32_t room = gw_patch_memory(h.profile);
    struct gw_patch *p = malloc(sizeof *p);
    struct gw_patch_config c = {&w, read_old, h.old_size, read_new, h.new_size, malloc(room), room, gwh_isas};
    MUST(w.old != NULL && w.fresh != NULL && p != NULL && c.memory != NULL);
    for (w.old_n = 0; w.old_n < h.old_size; w.old_n++) {
        w.old[w.old_n] = (uint8_t)(w.old_n * 37u ^ w.old_n >> 5);
    }
    MUST(gw_patch_open(p, &c) == GW_OK);
    decode(p, &w, data + 1, size - 1, 1u + data[0]);
    free(c.memory);
    free(p);
    free(w.old);
    free(w.fresh);
    return 0;
}
