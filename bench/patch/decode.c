/*
 * decode.c - decodes one patch as a device would, once: for counting its instructions under callgrind.
 *
 *     decode OLD|- PATCH NEW       exit code 0 when the output is NEW; prints the RAM that the decoder took
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "patch.h"

struct images {
    struct gwh_buf old;
    uint8_t *out;
};

static int read_old(void *ctx, uint32_t at, void *data, uint32_t n)
{
    memcpy(data, ((const struct images *)ctx)->old.p + at, n);
    return 0;
}

static int read_new(void *ctx, uint32_t at, void *data, uint32_t n)
{
    memcpy(data, ((const struct images *)ctx)->out + at, n);
    return 0;
}

static int decode(struct gw_patch *p, struct images *im, const struct gwh_buf *patch)
{
    size_t at = 0, used = 0, made = 0, n;
    int e = GW_MORE;
    while (e == GW_MORE || (e == GW_WANT && at < patch->n)) {
        if (e == GW_WANT) {
            e = gw_patch_push(p, patch->p + at, patch->n - at, &used);
            at += used;
            e = e == GW_OK ? GW_MORE : e;
            continue;
        }
        e = gw_patch_poll(p, im->out + made, GW_PATCH_STEP, &n);
        made += n;
    }
    return e;
}

int main(int argc, char **argv)
{
    struct images im = {{0}, NULL};
    struct gwh_buf patch = {0}, fresh = {0};
    struct gwh_error err = {0};
    struct gw_patch_header h;
    static struct gw_patch p;
    size_t used;
    if (argc != 4 || (strcmp(argv[1], "-") != 0 && gwh_file_read(&im.old, argv[1], 64u << 20, &err) != GWH_OK) ||
        gwh_file_read(&patch, argv[2], 64u << 20, &err) != GWH_OK ||
        gwh_file_read(&fresh, argv[3], 64u << 20, &err) != GWH_OK ||
        gw_patch_header(&h, patch.p, patch.n, &used) != GW_OK || h.new_size != fresh.n) {
        fprintf(stderr, "decode OLD|- PATCH NEW %s\n", err.text);
        return 2;
    }
    uint32_t room = gw_patch_memory(h.profile);
    struct gw_patch_config c = {&im,      read_old,     (uint32_t)im.old.n, read_new, h.new_size,
                                malloc(room), room, gwh_isas};
    im.out = malloc(h.new_size + GW_PATCH_STEP);
    if (im.out == NULL || c.memory == NULL || gw_patch_open(&p, &c) != GW_OK) {
        return 2;
    }
    int e = decode(&p, &im, &patch);
    printf("%u\n", (unsigned)gw_patch_ram(h.profile));
    return e != GW_DONE || memcmp(im.out, fresh.p, fresh.n) != 0;
}
