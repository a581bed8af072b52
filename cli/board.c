/*
 * board.c - godwit device provision --board: files are read, ports/posix/posix_board.c makes the unit of them.
 */
#include <stdlib.h>

#include "cli.h"
#include "posix_board.h"

#define BOOTLOADER_MAX (16u * 1024u * 1024u)
#define SETTINGS_MAX 65536u

struct factory {
    struct gwp_board board;
    struct gwh_buf bootloader, trust, image, settings;
};

static void tell(const char *line)
{
    gwh_note("%s", line);
}

static int read_option(struct gwh_buf *b, const struct gwh_args *a, const char *name, size_t max, struct gwh_error *err)
{
    const char *path = gwh_text(a, name);
    return path == NULL ? GWH_OK : gwh_file_read(b, path, max, err);
}

static int read_all(const struct gwh_args *a, struct factory *f, struct gwh_error *err)
{
    int e = gwh_need(a, "bootloader", err);
    e = e == GWH_OK ? gwh_need(a, "trust", err) : e;
    e = e == GWH_OK ? gwp_board_load(&f->board, gwh_text(a, "board"), err) : e;
    e = e == GWH_OK ? read_option(&f->bootloader, a, "bootloader", BOOTLOADER_MAX, err) : e;
    e = e == GWH_OK ? read_option(&f->trust, a, "trust", 65536, err) : e;
    e = e == GWH_OK ? read_option(&f->image, a, "factory", GWH_IMAGE_MAX, err) : e;
    e = e == GWH_OK ? read_option(&f->settings, a, "settings", SETTINGS_MAX, err) : e;
    if (e == GWH_OK && f->bootloader.n == 0) {
        e = gwh_fail(err, GWH_REFUSED, "%s is empty", gwh_text(a, "bootloader"));
    }
    if (e == GWH_OK && gwh_flag(a, "settings") && f->settings.n == 0) {
        e = gwh_fail(err, GWH_REFUSED, "%s is empty", gwh_text(a, "settings"));
    }
    return e;
}

int cli_provision_unit(const struct gwh_args *a, struct gw_span identity, struct gwh_error *err)
{
    struct factory *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "provision");
    }
    int e = read_all(a, f, err);
    struct gwp_unit unit = {.init = {.identity = identity,
                                     .trust = gwh_span(&f->trust),
                                     .factory = gwh_span(&f->image),
                                     .force = gwh_flag(a, "force")},
                            .bootloader = gwh_span(&f->bootloader),
                            .settings = gwh_span(&f->settings),
                            .release = gwh_text(a, "release"),
                            .dry_run = gwh_flag(a, "dry-run"),
                            .tell = tell};
    e = e == GWH_OK ? gwp_board_provision(&f->board, &unit, gwh_text(a, "o"), err) : e;
    if (e == GWH_OK) {
        gwh_note("%s: a unit of %s; bootloader %zu of %u bytes; %s; %s", gwh_text(a, "o"), f->board.name,
                 f->bootloader.n, (unsigned)f->board.bootloader.size,
                 unit.release != NULL ? "first release confirmed" : "no release: it starts in recovery",
                 f->image.n > 0 ? "with a factory image" : "without a factory image");
    }
    gwp_board_free(&f->board);
    gwh_buf_free(&f->bootloader);
    gwh_buf_free(&f->trust);
    gwh_buf_free(&f->image);
    gwh_buf_free(&f->settings);
    free(f);
    return e;
}
