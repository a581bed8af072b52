/*
 * posix_board.c - board.json, and making and reading a unit. See posix_board.h.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix_board.h"
#include "settings.h"
#include "show.h"

/* ---- board.json: foreign until all of this held ------------------------------------------------------------------ */

static bool get_u32(const json_t *v, uint32_t *out)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > (json_int_t)UINT32_MAX) {
        return false;
    }
    *out = (uint32_t)json_integer_value(v);
    return true;
}

/* A name for files: letters, digits, dots and dashes, no dot first. */
static bool get_name(const json_t *v, char out[32])
{
    const char *s = json_string_value(v);
    size_t n = s == NULL ? 0 : strlen(s);
    if (n == 0 || n >= 32 || s[0] == '.' ||
        strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != n) {
        return false;
    }
    memcpy(out, s, n + 1);
    return true;
}

static bool holds(struct gw_area outer, struct gw_area inner)
{
    return inner.start >= outer.start && (uint64_t)inner.start + inner.size <= (uint64_t)outer.start + outer.size;
}

static bool meet(struct gw_area a, struct gw_area b)
{
    return a.size > 0 && b.size > 0 && a.start < (uint64_t)b.start + b.size && b.start < (uint64_t)a.start + a.size;
}

/* Ascending, apart from each other, none called board.json. */
static bool get_files(const json_t *v, struct gwp_board *b)
{
    size_t n = json_array_size(v);
    uint64_t end = 0;
    if (n == 0 || n > GWP_BOARD_FILES_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(v, i);
        struct gwp_board_file *f = &b->file[i];
        if (!get_name(json_object_get(one, "name"), f->name) || strcmp(f->name, "board.json") == 0 ||
            !get_u32(json_object_get(one, "start"), &f->area.start) ||
            !get_u32(json_object_get(one, "size"), &f->area.size) || f->area.size == 0 || f->area.start < end) {
            return false;
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(b->file[k].name, f->name) == 0) {
                return false;
            }
        }
        end = (uint64_t)f->area.start + f->area.size;
    }
    b->file_count = (uint32_t)n;
    return end <= (uint64_t)UINT32_MAX + 1;
}

static const struct gwp_board_file *file_of(const struct gwp_board *b, struct gw_area a)
{
    for (uint32_t i = 0; i < b->file_count; i++) {
        if (holds(b->file[i].area, a)) {
            return &b->file[i];
        }
    }
    return NULL;
}

static struct gw_area region_area(const struct gw_flash_region *r)
{
    return (struct gw_area){r->start, r->count * r->erase_size};
}

/* Nothing of the layout lies there. */
static bool is_apart(const struct gw_layout *l, struct gw_area a)
{
    const struct gw_area area[] = {l->identity, l->trust[0], l->trust[1], l->journal,
                                   l->factory,  l->slot[0],  l->slot[1]};
    bool apart = true;
    for (size_t i = 0; i < sizeof area / sizeof *area; i++) {
        apart = apart && !meet(area[i], a);
    }
    for (uint32_t i = 0; i < l->data_count; i++) {
        apart = apart && !meet(l->data[i].area[0], a) && !meet(l->data[i].area[1], a);
    }
    return apart;
}

/* Settings, if there is a place for them: from the start of an erase block, so that nobody erases them with his own. */
static bool settings_fit(const struct gwp_board *b)
{
    bool placed = b->settings.size == 0;
    for (uint32_t i = 0; i < b->layout.region_count; i++) {
        const struct gw_flash_region *r = &b->layout.region[i];
        placed = placed || (holds(region_area(r), b->settings) && (b->settings.start - r->start) % r->erase_size == 0);
    }
    return placed && b->settings.size <= GWC_SETTINGS_MAX && b->settings.size % b->layout.write_size == 0 &&
           !meet(b->settings, b->bootloader) && is_apart(&b->layout.layout, b->settings);
}

/* Every region lies in one file; the bootloader in one region, and nothing else where it lies; settings likewise. */
static bool fits(const struct gwp_board *b)
{
    bool placed = false;
    for (uint32_t i = 0; i < b->layout.region_count; i++) {
        struct gw_area region = region_area(&b->layout.region[i]);
        if (file_of(b, region) == NULL) {
            return false;
        }
        placed = placed || holds(region, b->bootloader);
    }
    return placed && b->bootloader.size > 0 && is_apart(&b->layout.layout, b->bootloader) && settings_fit(b);
}

static bool get_area(const json_t *v, struct gw_area *out)
{
    return json_array_size(v) == 2 && get_u32(json_array_get(v, 0), &out->start) &&
           get_u32(json_array_get(v, 1), &out->size) && out->size > 0;
}

static int from_json(struct gwp_board *b, const json_t *o, const char *name, struct gwh_error *err)
{
    const char *format = json_string_value(json_object_get(o, "format"));
    const json_t *settings = json_object_get(o, "settings");
    if (format == NULL || strcmp(format, "godwit board 1") != 0 ||
        !get_name(json_object_get(o, "name"), b->name) || !get_files(json_object_get(o, "files"), b) ||
        !get_area(json_object_get(o, "bootloader"), &b->bootloader) ||
        (settings != NULL && !get_area(settings, &b->settings))) {
        (void)gwh_fail_reason(err, GW_ERR_LAYOUT, "%s describes no board", name);
        return gwh_hint(err, "see ports/qemu-rv32/board.json: format, name, files, bootloader, layout");
    }
    int e = gwp_layout_parse(&b->layout, json_object_get(o, "layout"), name, err);
    if (e == GWH_OK && !fits(b)) {
        (void)gwh_fail_reason(err, GW_ERR_LAYOUT, "%s: files, bootloader, settings and layout do not fit together",
                              name);
        e = gwh_hint(err, "each region lies in one file; the bootloader in one region and apart from all other areas; "
                          "settings too, from the start of an erase block, with at most %u bytes", GWC_SETTINGS_MAX);
    }
    return e;
}

int gwp_board_parse(struct gwp_board *b, struct gw_span text, const char *name, struct gwh_error *err)
{
    json_error_t why;
    memset(b, 0, sizeof *b);
    json_t *o = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &why);
    if (o == NULL) {
        return gwh_fail_reason(err, GW_ERR_LAYOUT, "%s is no JSON (%s, line %d)", name, why.text, why.line);
    }
    int e = from_json(b, o, name, err);
    json_decref(o);
    if (e == GWH_OK && gwh_buf_add(&b->text, text.p, text.n) != GW_OK) {
        e = gwh_fail_reason(err, GW_ERR_SPACE, "%s", name);
    }
    return e;
}

void gwp_board_free(struct gwp_board *b)
{
    gwh_buf_free(&b->text);
}

/* ---- Finding it -------------------------------------------------------------------------------------------------- */

/* "<folder of this program>/../share/godwit/boards" */
static void installed_boards(char out[GWH_PATH_MAX])
{
    char program[GWH_PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(program, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    if (snprintf(out, GWH_PATH_MAX, "%s/../share/godwit/boards", program) >= GWH_PATH_MAX) {
        out[0] = '\0';
    }
}

static int find(char path[GWH_PATH_MAX], const char *given, struct gwh_error *err)
{
    char folder[2][GWH_PATH_MAX], name[64];
    const char *own = getenv("GODWIT_BOARDS");
    if (gwh_file_exists(given) && !gwh_is_folder(given)) {
        return snprintf(path, GWH_PATH_MAX, "%s", given) < GWH_PATH_MAX ? GWH_OK : gwh_fail(err, GWH_IO, "path");
    }
    (void)snprintf(folder[0], sizeof folder[0], "%s", own != NULL ? own : "");
    installed_boards(folder[1]);
    if (strchr(given, '/') == NULL && (size_t)snprintf(name, sizeof name, "%s.board.json", given) < sizeof name) {
        for (unsigned i = 0; i < 2; i++) {
            if (folder[i][0] != '\0' && gwh_path(path, folder[i], name, err) == GWH_OK && gwh_file_exists(path)) {
                return GWH_OK;
            }
        }
    }
    (void)gwh_fail(err, GWH_IO, "there is no board %s", given);
    return gwh_hint(err, "name a board.json, or a NAME.board.json in $GODWIT_BOARDS or %s", folder[1]);
}

int gwp_board_load(struct gwp_board *b, const char *given, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    struct gwh_buf text = {0};
    memset(b, 0, sizeof *b);
    int e = find(path, given, err);
    e = e == GWH_OK ? gwh_file_read(&text, path, 65536, err) : e;
    e = e == GWH_OK ? gwp_board_parse(b, gwh_span(&text), path, err) : e;
    gwh_buf_free(&text);
    return e;
}

/* ---- Making a unit: as a device's life begins, in memory --------------------------------------------------------- */

static int boot(struct gwp_device *d, struct gw_handover *h, struct gwh_error *err)
{
    bool watchdog = false;
    uint8_t *memory = malloc(GW_VERIFY_MEMORY);
    if (memory == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "boot");
    }
    int e = gw_boot_run(&d->dev, GW_CAUSE_POWER, memory, GW_VERIFY_MEMORY, h, &watchdog, NULL);
    free(memory);
    if (e == GW_ERR_NO_IMAGE) {
        *h = (struct gw_handover){.slot = GW_SLOT_NONE, .recovery = 1};
    }
    return e == GW_OK || e == GW_ERR_NO_IMAGE ? GWH_OK : gwh_fail_reason(err, e, "the new unit does not boot");
}

static int first_release(struct gwp_device *d, const struct gwp_unit *unit, struct gwh_error *err)
{
    struct gwp_install how = {.release = unit->release, .tell = unit->tell};
    struct gw_handover h;
    int e = boot(d, &h, err);
    e = e == GWH_OK ? gwp_install_into(d, &how, &h, err) : e;
    e = e == GWH_OK ? boot(d, &h, err) : e;
    if (e == GWH_OK && (h.slot > GW_SLOT_B || h.state != GW_TRYING)) {
        return gwh_fail_reason(err, h.reason != 0 ? -(int)h.reason : GW_ERR_NO_IMAGE, "%s does not start",
                               unit->release);
    }
    int reason = e == GWH_OK ? gw_device_confirm(&d->dev) : GW_OK;
    if (reason != GW_OK) {
        return gwh_fail_reason(err, reason, "%s cannot be confirmed", unit->release);
    }
    e = e == GWH_OK ? boot(d, &h, err) : e;
    if (e == GWH_OK && (h.slot > GW_SLOT_B || h.state != GW_CONFIRMED)) {
        e = gwh_fail_reason(err, GW_ERR_STATE, "%s does not stay", unit->release);
    }
    return e;
}

/* From the start of an area that has room; what is left stays erased. */
static int write_area(struct gwp_device *d, const struct gwp_board *b, struct gw_area area, struct gw_span bytes,
                      const char *what, struct gwh_error *err)
{
    uint32_t ws = b->layout.write_size, n = (uint32_t)(bytes.n + ws - 1) / ws * ws;
    uint8_t *padded = malloc(n > 0 ? n : 1);
    if (padded == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "%s", what);
    }
    memset(padded, (int)b->layout.erased, n);
    memcpy(padded, bytes.p, bytes.n);
    int e = gw_flash_write(d->dev.flash, area.start, padded, n);
    free(padded);
    return e == GW_OK ? GWH_OK : gwh_fail_reason(err, e, "cannot write the %s", what);
}

static int write_bootloader(struct gwp_device *d, const struct gwp_board *b, struct gw_span image,
                            struct gwh_error *err)
{
    uint32_t ws = b->layout.write_size, n = (uint32_t)(image.n + ws - 1) / ws * ws;
    if (image.n == 0) {
        return GWH_OK;
    }
    if (image.n > b->bootloader.size || n > b->bootloader.size) {
        (void)gwh_fail_reason(err, GW_ERR_SPACE, "the bootloader has %zu bytes, its area on %s %u", image.n, b->name,
                              (unsigned)b->bootloader.size);
        err->exit = GWH_REFUSED;
        return gwh_hint(err, "build it smaller; is the file a raw binary, not an ELF file?");
    }
    return write_area(d, b, b->bootloader, image, "bootloader", err);
}

/* What the device would pass over, or read as the end of the text, is refused here: nobody would look for it later. */
static int write_settings(struct gwp_device *d, const struct gwp_board *b, struct gw_span text, struct gwh_error *err)
{
    struct gwc_settings_fault fault;
    unsigned wrong = gwc_settings_wrong(text);
    if (text.n == 0) {
        return GWH_OK;
    }
    if (b->settings.size == 0) {
        (void)gwh_fail(err, GWH_REFUSED, "the board %s has no place for settings", b->name);
        return gwh_hint(err, "leave out --settings, or give the board one: \"settings\": [start, size], in board.json");
    }
    if (text.n > b->settings.size) {
        (void)gwh_fail(err, GWH_REFUSED, "the settings have %zu bytes, their area on %s %u", text.n, b->name,
                       (unsigned)b->settings.size);
        return gwh_hint(err, "leave out comments, and what the device does not need");
    }
    if (memchr(text.p, 0, text.n) != NULL || memchr(text.p, 0xff, text.n) != NULL) {
        (void)gwh_fail(err, GWH_REFUSED, "the settings hold a byte 00 or ff, where a device would take them to end");
        return gwh_hint(err, "settings are text in UTF-8");
    }
    if (wrong != 0) {
        (void)gwh_fail(err, GWH_REFUSED, "line %u of the settings is neither blank, nor a comment, nor `name = value`",
                       wrong);
        return gwh_hint(err, "a comment begins with #; a name has small letters and _, a value at least one character");
    }
    if (gwc_settings_fault(text, &fault)) {
        (void)gwh_fail(err, GWH_REFUSED, "line %u of the settings, %s: expected %s", fault.line, fault.name,
                       fault.expected);
        return gwh_hint(err, "a device would pass over it without a word to you; what it takes: "
                             "examples/common/online.h");
    }
    return write_area(d, b, b->settings, text, "settings", err);
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

/* The parts of flash that a file holds: the regions, erased where nothing was written; holes between them. */
static int write_file(const struct gwp_device *d, const struct gwp_board *b, const struct gwp_board_file *f,
                      const char *folder, struct gwh_error *err)
{
    struct gwh_part part[GWP_REGIONS_MAX];
    char path[GWH_PATH_MAX];
    size_t count = 0;
    uint32_t base = b->layout.region[0].start;
    for (uint32_t i = 0; i < b->layout.region_count; i++) {
        struct gw_area r = region_area(&b->layout.region[i]);
        if (holds(f->area, r)) {
            part[count].at = r.start - f->area.start;
            part[count++].bytes = (struct gw_span){d->flash.image + (r.start - base), r.size};
        }
    }
    int e = gwh_path(path, folder, f->name, err);
    return e == GWH_OK ? gwh_file_write_parts(path, part, count, f->area.size, 0600, true, err) : e;
}

static int write_files(const struct gwp_device *d, const struct gwp_board *b, const char *folder,
                       struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    int e = gwh_path(path, folder, "board.json", err);
    for (uint32_t i = 0; e == GWH_OK && i < b->file_count; i++) {
        e = write_file(d, b, &b->file[i], folder, err);
    }
    return e == GWH_OK ? gwh_file_write(path, gwh_span(&b->text), 0600, true, err) : e;
}

static void sweep(const struct gwp_board *b, const char *folder)
{
    char path[GWH_PATH_MAX];
    struct gwh_error ignored = {0};
    for (uint32_t i = 0; i <= b->file_count; i++) {
        if (gwh_path(path, folder, i < b->file_count ? b->file[i].name : "board.json", &ignored) == GWH_OK) {
            (void)unlink(path);
        }
    }
    (void)rmdir(folder);
}

static bool is_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    int entries = 0;
    while (dir != NULL && readdir(dir) != NULL) {
        entries++;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return dir != NULL && entries <= 2;
}

/* A unit that is there is replaced only by --force; another folder only if it is empty. */
static int check_target(const char *folder, bool force, struct gwh_error *err)
{
    if (!gwh_file_exists(folder) || is_empty(folder) || (force && gwp_board_is_unit(folder))) {
        return GWH_OK;
    }
    (void)gwh_fail(err, GWH_REFUSED, "%s exists and is not overwritten", folder);
    return gwh_hint(err, gwp_board_is_unit(folder) ? "choose another folder, or add --force to make the unit anew"
                                                   : "choose another folder: this one holds something else");
}

/* Complete under its name, or not at all. */
static int write_unit(const struct gwp_device *d, const struct gwp_board *b, const char *folder,
                      struct gwh_error *err)
{
    char temporary[GWH_PATH_MAX];
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/') {
        n--;
    }
    if (n + 8 > sizeof temporary) {
        return gwh_fail(err, GWH_IO, "the path %.80s... is too long", folder);
    }
    (void)snprintf(temporary, sizeof temporary, "%.*s.XXXXXX", (int)n, folder);
    if (mkdtemp(temporary) == NULL) {
        return gwh_fail_errno(err, "cannot make a folder beside %s", folder);
    }
    int e = write_files(d, b, temporary, err);
    if (e == GWH_OK && gwp_board_is_unit(folder)) {
        sweep(b, folder);
    }
    if (e == GWH_OK && (chmod(temporary, gwh_mode(0755)) != 0 || rename(temporary, folder) != 0)) {
        e = gwh_fail_errno(err, "cannot make %s", folder);
    }
    if (e != GWH_OK) {
        sweep(b, temporary);
    }
    return e;
}

int gwp_board_provision(const struct gwp_board *b, const struct gwp_unit *unit, const char *folder,
                        struct gwh_error *err)
{
    int e = unit->dry_run ? GWH_OK : check_target(folder, unit->init.force, err);
    struct gwp_device *d = malloc(sizeof *d);
    if (d == NULL || e != GWH_OK) {
        free(d);
        return e != GWH_OK ? e : gwh_fail_reason(err, GW_ERR_SPACE, "%s", folder);
    }
    e = gwp_device_memory(d, folder, &b->layout, err);
    if (e == GWH_OK) {
        e = write_bootloader(d, b, unit->bootloader, err);
        e = e == GWH_OK ? write_settings(d, b, unit->settings, err) : e;
        e = e == GWH_OK ? gwp_device_fill(d, &unit->init, err) : e;
        e = e == GWH_OK && unit->release != NULL ? first_release(d, unit, err) : e;
        e = e == GWH_OK && !unit->dry_run ? write_unit(d, b, folder, err) : e;
        gwp_flash_wipe(&d->flash);
        gwp_device_close(d);
    }
    free(d);
    return e;
}

/* ---- Reading a unit ---------------------------------------------------------------------------------------------- */

bool gwp_board_is_unit(const char *folder)
{
    char path[GWH_PATH_MAX];
    struct gwh_error ignored = {0};
    return gwh_path(path, folder, "board.json", &ignored) == GWH_OK && gwh_file_exists(path);
}

static int read_region(struct gwp_device *d, const struct gwp_board *b, struct gw_area r, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    struct stat st;
    const struct gwp_board_file *f = file_of(b, r);
    int e = gwh_path(path, d->folder, f->name, err);
    FILE *in = e == GWH_OK ? fopen(path, "re") : NULL;
    if (in == NULL) {
        return e != GWH_OK ? e : gwh_fail_errno(err, "cannot open %s", path);
    }
    if (fstat(fileno(in), &st) != 0 || (uint64_t)st.st_size != f->area.size) {
        e = gwh_fail_reason(err, GW_ERR_LAYOUT, "%s has another size than board.json says, %u bytes", path,
                            (unsigned)f->area.size);
    } else if (fseeko(in, (off_t)(r.start - f->area.start), SEEK_SET) != 0 ||
               fread(d->flash.image + (r.start - b->layout.region[0].start), 1, r.size, in) != r.size) {
        e = gwh_fail_errno(err, "cannot read %s", path);
    }
    (void)fclose(in);
    return e;
}

static int open_unit(struct gwp_device *d, const struct gwp_board *b, const char *folder, struct gwh_error *err)
{
    int e = gwp_device_memory(d, folder, &b->layout, err);
    if (e != GWH_OK) {
        return e;
    }
    for (uint32_t i = 0; e == GWH_OK && i < b->layout.region_count; i++) {
        e = read_region(d, b, region_area(&b->layout.region[i]), err);
    }
    gwp_flash_adopt(&d->flash);
    if (e != GWH_OK) {
        gwp_device_close(d);
    }
    return e;
}

/* Up to the last byte that is not erased. */
static uint32_t bootloader_bytes(const struct gwp_device *d, const struct gwp_board *b)
{
    const uint8_t *p = d->flash.image + (b->bootloader.start - b->layout.region[0].start);
    uint32_t n = b->bootloader.size;
    while (n > 0 && p[n - 1] == b->layout.erased) {
        n--;
    }
    return n;
}

static json_t *show_settings(const struct gwp_device *d, const struct gwp_board *b)
{
    const uint8_t *p = d->flash.image + (b->settings.start - b->layout.region[0].start);
    struct gw_span rest = {p, b->settings.size}, name, value;
    json_t *list = json_array();
    while (gwc_settings_next(&rest, &name, &value)) {
        (void)json_array_append_new(list, json_pack("{s:o,s:o}", "name", gwh_show_text(name), "value",
                                                    gwh_show_text(value)));
    }
    return list;
}

int gwp_board_show(json_t **tree, const char *folder, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    struct gwp_board *b = calloc(1, sizeof *b);
    struct gwp_device *d = calloc(1, sizeof *d);
    int e = b == NULL || d == NULL ? gwh_fail_reason(err, GW_ERR_SPACE, "%s", folder) : GWH_OK;
    e = e == GWH_OK ? gwh_path(path, folder, "board.json", err) : e;
    e = e == GWH_OK ? gwp_board_load(b, path, err) : e;
    if (e == GWH_OK) {
        e = open_unit(d, b, folder, err);
        if (e == GWH_OK) {
            *tree = gwp_show_device(d);
            (void)json_object_set_new(*tree, "kind", json_string("unit"));
            (void)json_object_set_new(*tree, "board", json_string(b->name));
            (void)json_object_set_new(*tree, "bootloader bytes", json_integer(bootloader_bytes(d, b)));
            if (b->settings.size > 0) {
                (void)json_object_set_new(*tree, "settings", show_settings(d, b));
            }
            (void)json_object_del(*tree, "running"); /* files do not say */
            gwp_flash_wipe(&d->flash);
            gwp_device_close(d);
        }
        gwp_board_free(b);
    }
    free(b);
    free(d);
    return e;
}
