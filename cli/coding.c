/*
 * coding.c - godwit release build: the options for deltas and compression, and the table of what came of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "coding.h"
#include "posix_board.h"

struct cli_coding {
    struct gwh_release from[GWH_FROM_MAX];
    size_t count;
    struct cli_holders *keys;
    struct gwh_old_images old;
    struct gwp_board board;
    struct gwp_layout own;
    const struct gwp_layout *layout; /* of either; NULL: none was given */
    uint32_t pays;
};

/* ---- Options ----------------------------------------------------------------------------------------------------- */

static int load_old(const struct gwh_args *a, struct cli_coding *c, struct gwh_error *err)
{
    int e = GWH_OK;
    for (unsigned i = 0; e == GWH_OK && gwh_text_i(a, "delta-from", i) != NULL; i++) {
        if (i == GWH_FROM_MAX) {
            return gwh_fail(err, GWH_USAGE, "--delta-from more than %u times", GWH_FROM_MAX);
        }
        c->count = i + 1;
        e = gwh_release_load(&c->from[i], gwh_text_i(a, "delta-from", i), err);
        e = e == GWH_OK ? gwh_old_images_load(&c->old, &c->from[i], &c->keys->set, err) : e;
    }
    return e;
}

static int choose_profile(const struct gwh_args *a, struct gwh_build *b, struct gwh_error *err)
{
    const char *ram = gwh_text(a, "ram");
    if (ram != NULL && strcmp(ram, "16K") != 0 && strcmp(ram, "10K") != 0) {
        return gwh_fail(err, GWH_USAGE, "--ram %s: expected 16K or 10K", ram);
    }
    b->profile = ram != NULL && ram[1] == '0' ? GW_PATCH_RAM_10K : GW_PATCH_RAM_16K;
    b->isa = GWH_ISA_AUTO;
    const char *arch = gwh_text(a, "arch");
    if (arch != NULL && !gwh_isa_parse(arch, &b->isa)) {
        return gwh_fail(err, GWH_USAGE, "--arch %s: expected auto, none, thumb, riscv, xtensa, arm64 or arm", arch);
    }
    int e = gwh_number(a, "pays", 70, &b->pays, err);
    return e == GWH_OK && (b->pays == 0 || b->pays > 100) ? gwh_fail(err, GWH_USAGE, "--pays: expected 1 to 100") : e;
}

/* A layout.json, or the layout of a board: its board.json, or its name. */
static int load_layout(struct cli_coding *c, const char *given, struct gwh_error *err)
{
    struct gwh_error ignored = {0};
    if (gwh_file_exists(given) && gwp_layout_load(&c->own, given, &ignored) == GWH_OK) {
        c->layout = &c->own;
        return GWH_OK;
    }
    int e = gwp_board_load(&c->board, given, err);
    c->layout = e == GWH_OK ? &c->board.layout : NULL;
    return e;
}

int cli_coding(const struct gwh_args *a, struct gwh_build *b, struct cli_coding **coding, struct gwh_error *err)
{
    struct cli_coding *c = calloc(1, sizeof *c);
    *coding = c;
    if (c == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "release build");
    }
    int e = choose_profile(a, b, err);
    e = e == GWH_OK ? cli_holders(&c->keys, a, "with", err) : e;
    e = e == GWH_OK ? load_old(a, c, err) : e;
    e = e == GWH_OK && gwh_flag(a, "layout") ? load_layout(c, gwh_text(a, "layout"), err) : e;
    c->pays = b->pays;
    b->compress = gwh_flag(a, "compress") || gwh_flag(a, "no-raw");
    b->no_raw = gwh_flag(a, "no-raw");
    b->old = c->old.count > 0 ? &c->old : NULL;
    b->made = cli_coding_tell;
    b->ctx = c;
    return e;
}

void cli_coding_free(struct cli_coding *c)
{
    if (c == NULL) {
        return;
    }
    gwh_old_images_free(&c->old);
    for (size_t i = 0; i < c->count; i++) {
        gwh_release_free(&c->from[i]);
    }
    cli_holders_free(c->keys);
    gwp_board_free(&c->board);
    free(c);
}

/* ---- The table --------------------------------------------------------------------------------------------------- */

/* Bytes behind an image in its place; 0: none, or no such place. */
static uint32_t spare(const struct cli_coding *c, const struct gwh_made *m)
{
    struct gw_flash flash;
    struct gw_slot_map map;
    struct gw_area place = {0, 0}, room;
    gwp_layout_geometry(c->layout, &flash);
    bool b_slot = m->linked && m->address == c->layout->layout.slot[1].start;
    enum gw_slot slot = b_slot ? GW_SLOT_B : GW_SLOT_A;
    if (m->component == 0 && gw_layout_slot(&flash, &c->layout->layout, slot, &map) == GW_OK) {
        place = map.image;
    }
    for (uint32_t i = 0; i < c->layout->layout.data_count; i++) {
        place = c->layout->layout.data[i].component == m->component ? c->layout->layout.data[i].area[0] : place;
    }
    return place.size >= m->image_size && gw_layout_spare(&flash, place, m->image_size, &room) == GW_OK ? room.size : 0;
}

static const char *way(const struct cli_coding *c, const struct gwh_made *m)
{
    if (c->layout == NULL || m->payload == NULL || m->payload->encoding == GW_ENCODING_RAW) {
        return "";
    }
    return m->payload->size <= spare(c, m) ? ", staged" : ", streamed";
}

void cli_coding_tell(void *ctx, const struct gwh_made *m)
{
    const struct cli_coding *c = ctx;
    char name[64] = "raw", where[48] = "";
    double share = 100.0 * m->size / (m->full != 0 ? m->full : 1);
    if (m->from != NULL) {
        (void)snprintf(name, sizeof name, "delta from %.*s",
                       (int)(m->from->m.version.n < 40 ? m->from->m.version.n : 40),
                       (const char *)m->from->m.version.p);
    } else if (m->payload->encoding != GW_ENCODING_RAW) {
        (void)snprintf(name, sizeof name, "compressed");
    }
    if (m->linked || m->component != 0) {
        (void)snprintf(where, sizeof where, m->linked ? ", for 0x%x" : ", component %u",
                       (unsigned)(m->linked ? m->address : m->component));
    }
    if (m->payload == NULL) {
        gwh_note("  %s%s: %u bytes, %.1f %% of the full payload: does not pay (--pays %u), left out", name, where,
                 (unsigned)m->size, share, (unsigned)c->pays);
    } else if (m->payload->encoding == GW_ENCODING_RAW) {
        gwh_note("  %s%s: %u bytes", name, where, (unsigned)m->size);
    } else {
        gwh_note("  %s%s: %u bytes, %.1f %% of the %s, decodes in %u KB of RAM%s", name, where, (unsigned)m->size,
                 share, m->from != NULL ? "full payload" : "image", (unsigned)(m->payload->decoder_ram + 1023) / 1024,
                 way(c, m));
    }
}
