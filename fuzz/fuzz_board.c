/*
 * fuzz_board.c - any bytes as board.json, and so as a layout.
 *
 * Properties: nothing is read out of bounds; a board that is taken has its regions in its files, its bootloader in a
 * region, its settings in another place of one, names that stay in a folder, and a flash of bounded size; a refusal
 * says why.
 */
#include <string.h>

#include "fuzz_formats.h"
#include "posix_board.h"
#include "settings.h"

static bool inside(struct gw_area outer, uint32_t start, uint64_t size)
{
    return start >= outer.start && start + size <= (uint64_t)outer.start + outer.size;
}

static bool meet(struct gw_area a, struct gw_area b)
{
    return a.start < (uint64_t)b.start + b.size && b.start < (uint64_t)a.start + a.size;
}

static void check_settings(const struct gwp_board *b)
{
    const struct gw_layout *l = &b->layout.layout;
    unsigned regions = 0;
    for (uint32_t i = 0; i < b->layout.region_count; i++) {
        const struct gw_flash_region *r = &b->layout.region[i];
        regions += inside((struct gw_area){r->start, r->count * r->erase_size}, b->settings.start, b->settings.size);
    }
    MUST(b->settings.size <= GWC_SETTINGS_MAX && regions == 1);
    MUST(!meet(b->settings, b->bootloader) && !meet(b->settings, l->identity) && !meet(b->settings, l->journal) &&
         !meet(b->settings, l->trust[0]) && !meet(b->settings, l->trust[1]) && !meet(b->settings, l->slot[0]) &&
         !meet(b->settings, l->slot[1]) && (l->factory.size == 0 || !meet(b->settings, l->factory)));
}

static void check_region(const struct gwp_board *b, const struct gw_flash_region *r, bool *bootloader)
{
    uint64_t size = (uint64_t)r->count * r->erase_size;
    unsigned files = 0;
    for (uint32_t i = 0; i < b->file_count; i++) {
        files += inside(b->file[i].area, r->start, size);
    }
    MUST(files == 1);
    if (inside((struct gw_area){r->start, (uint32_t)size}, b->bootloader.start, b->bootloader.size)) {
        *bootloader = true;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gwp_board b;
    struct gwh_error err = {0};
    bool bootloader = false;

    if (gwp_board_parse(&b, (struct gw_span){data, size}, "input", &err) != GWH_OK) {
        MUST(err.exit == GWH_REFUSED && err.reason == GW_ERR_LAYOUT && err.text[0] != '\0');
        gwp_board_free(&b);
        return 0;
    }
    for (uint32_t i = 0; i < b.layout.region_count; i++) {
        check_region(&b, &b.layout.region[i], &bootloader);
    }
    if (b.settings.size > 0) {
        check_settings(&b);
    }
    MUST(bootloader && b.text.n == size && gwp_layout_bytes(&b.layout) <= GWP_FLASH_MAX);
    for (uint32_t i = 0; i < b.file_count; i++) {
        MUST(b.file[i].name[0] != '\0' && b.file[i].name[0] != '.' && strchr(b.file[i].name, '/') == NULL);
    }
    gwp_board_free(&b);
    return 0;
}
