/*
 * layout.c - godwit layout: check. Does a layout fit its flash, and an image its slots?
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "posix_flash.h"

static const struct gwh_option check_options[] = {
    {"image", "FILE", "does this image fit?", false, false},
    CLI_JSON,
    GWH_OPTIONS_END,
};

static json_t *show_part(struct gw_area a)
{
    return json_pack("{s:I,s:I}", "start", (json_int_t)a.start, "bytes", (json_int_t)a.size);
}

static int show_slots(const struct gwp_layout *l, json_t *list, uint32_t *room, struct gwh_error *err)
{
    struct gw_flash flash;
    struct gw_slot_map map;
    gwp_layout_geometry(l, &flash);
    *room = UINT32_MAX;
    for (unsigned i = 0; i < 2; i++) {
        int e = gw_layout_slot(&flash, &l->layout, (enum gw_slot)i, &map);
        if (e != GW_OK) {
            return gwh_fail_reason(err, e, "slot %c", 'A' + (int)i);
        }
        *room = map.image.size < *room ? map.image.size : *room;
        (void)json_array_append_new(list, json_pack("{s:s,s:o,s:o,s:o}", "slot", i == 0 ? "A" : "B", "image",
                                                    show_part(map.image), "work", show_part(map.work), "manifest",
                                                    show_part(map.manifest)));
    }
    return GWH_OK;
}

static int check_image(const struct gwh_args *a, json_t *o, uint32_t room, struct gwh_error *err)
{
    struct gwh_buf image = {0};
    const char *path = gwh_text(a, "image");
    int e = gwh_file_read(&image, path, GWH_IMAGE_MAX, err);
    size_t n = image.n;
    gwh_buf_free(&image);
    if (e == GWH_OK && n > room) {
        e = gwh_fail_reason(err, GW_ERR_SLOT_SMALL, "%s has %zu bytes, the slots have room for %u", path, n,
                            (unsigned)room);
    }
    if (e == GWH_OK) {
        size_t spare = room - n;
        (void)json_object_set_new(o, "image bytes", json_integer((json_int_t)n));
        (void)json_object_set_new(o, "spare bytes", json_integer((json_int_t)spare));
    }
    return e;
}

static int run_check(const struct gwh_args *a, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    uint32_t room = 0;
    json_t *list = json_array(), *o = json_object();
    struct gwp_layout *l = calloc(1, sizeof *l);
    int e = l == NULL ? gwh_fail_reason(err, GW_ERR_SPACE, "layout") : GWH_OK;
    const char *given = a->operand[0];
    if (e == GWH_OK && gwh_is_folder(given)) {
        e = gwh_path(path, given, "layout.json", err);
        given = path;
    }
    e = e == GWH_OK ? gwp_layout_load(l, given, err) : e;
    e = e == GWH_OK ? show_slots(l, list, &room, err) : e;
    if (e == GWH_OK) {
        (void)json_object_set_new(o, "layout", json_string(l->layout.factory.size > 0 ? "extended" : "limited"));
        (void)json_object_set_new(o, "write unit", json_integer(l->write_size));
        (void)json_object_set_new(o, "room for an image", json_integer(room));
        (void)json_object_set(o, "slots", list);
    }
    if (e == GWH_OK && gwh_flag(a, "image")) {
        e = check_image(a, o, room, err);
    }
    if (e == GWH_OK) {
        gwh_show_print(o, gwh_flag(a, "json"));
    }
    json_decref(o);
    json_decref(list);
    free(l);
    return e;
}

const struct gwh_command cli_layout[] = {
    {"layout", "check", "LAYOUT", 1, 1,
     "does a layout.json (or a device's folder) fit its flash, and an image its slots?", check_options,
     "godwit layout check dev1/ --image firmware.bin", run_check},
    CLI_COMMANDS_END,
};
