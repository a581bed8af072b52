/*
 * posix_layout.c - layouts made from a few numbers, and layout.json. See posix_flash.h.
 *
 * layout.json is foreign to this program until gw_layout_check() took it: every number is checked for range, and the
 * whole for what lib demands of a layout.
 */
#include <stdio.h>
#include <string.h>

#include "posix_flash.h"

uint32_t gwp_layout_bytes(const struct gwp_layout *l)
{
    const struct gw_flash_region *last = &l->region[l->region_count - 1];
    return last->start + last->count * last->erase_size - l->region[0].start;
}

void gwp_layout_geometry(const struct gwp_layout *l, struct gw_flash *flash)
{
    memset(flash, 0, sizeof *flash);
    flash->regions = l->region;
    flash->region_count = l->region_count;
    flash->write_size = l->write_size;
    flash->erased = (uint8_t)l->erased;
}

static int never_read(void *ctx, uint32_t address, void *data, uint32_t n)
{
    (void)ctx, (void)address, (void)data, (void)n;
    return -1;
}

static int never_write(void *ctx, uint32_t address, const void *data, uint32_t n)
{
    (void)ctx, (void)address, (void)data, (void)n;
    return -1;
}

static int never_erase(void *ctx, uint32_t address)
{
    (void)ctx, (void)address;
    return -1;
}

/* By the device's own check. */
static int check(const struct gwp_layout *l, const char *name, struct gwh_error *err)
{
    struct gw_flash flash;
    gwp_layout_geometry(l, &flash);
    flash.read = never_read;
    flash.write = never_write;
    flash.erase = never_erase;
    int e = gw_layout_check(&flash, &l->layout);
    if (e == GW_OK) {
        return GWH_OK;
    }
    (void)gwh_fail_reason(err, e, "%s", name);
    return gwh_hint(err, "a slot holds the image, one block of work space and 4 KB or more for the manifest, in whole "
                         "blocks: use larger slots or smaller blocks");
}

/* ---- Making ------------------------------------------------------------------------------------------------------ */

/* Takes areas off the front of the flash, in whole blocks of the region they start in. */
struct cursor {
    struct gwp_layout *l;
    uint32_t erase_size, at;
};

static struct gw_area take(struct cursor *c, uint32_t bytes)
{
    uint32_t blocks = (bytes + c->erase_size - 1) / c->erase_size;
    struct gw_area a = {c->at, blocks * c->erase_size};
    c->at += a.size;
    return a;
}

/* Ends the current region at the cursor and starts one with other blocks. */
static void new_region(struct cursor *c, uint32_t erase_size)
{
    struct gwp_layout *l = c->l;
    uint32_t from = 0;
    if (l->region_count > 0) {
        const struct gw_flash_region *last = &l->region[l->region_count - 1];
        from = last->start + last->count * last->erase_size;
    }
    if (c->at > from) {
        l->region[l->region_count++] = (struct gw_flash_region){from, (c->at - from) / c->erase_size, c->erase_size};
    }
    c->erase_size = erase_size;
}

static bool request_fits(const struct gwp_layout_request *r)
{
    uint32_t e = r->erase_size == 0 ? 4096 : r->erase_size;
    uint64_t total = 3ull * r->slot_size + r->factory_size;
    for (uint32_t i = 0; i < r->data_count; i++) {
        total += 2ull * r->data[i].size;
    }
    return r->data_count <= GWP_DATA_MAX && e >= 256 && e <= 1024 * 1024 && r->write_size > 0 &&
           r->write_size <= GW_WRITE_MAX && (r->write_size & (r->write_size - 1)) == 0 && e % r->write_size == 0 &&
           r->slot_size > 0 && total < GWP_FLASH_MAX;
}

int gwp_layout_make(struct gwp_layout *l, const struct gwp_layout_request *r, struct gwh_error *err)
{
    bool mixed = r->erase_size == 0;
    memset(l, 0, sizeof *l);
    if (!request_fits(r)) {
        return gwh_fail_reason(err, GW_ERR_LAYOUT,
                               "this layout cannot be made: slots up to %u MB in all, blocks of 256 "
                               "bytes to 1 MB, units of 1 to 32 bytes",
                               GWP_FLASH_MAX >> 20);
    }
    struct cursor c = {l, mixed ? 4096 : r->erase_size, 0};
    l->write_size = r->write_size;
    l->erased = r->erased;
    l->layout.identity = take(&c, GW_IDENTITY_MAX + 64);
    l->layout.trust[0] = take(&c, GW_TRUST_MAX + 64);
    l->layout.trust[1] = take(&c, GW_TRUST_MAX + 64);
    struct gw_area bank = take(&c, 4096);
    l->layout.journal = (struct gw_area){bank.start, 2 * bank.size};
    (void)take(&c, bank.size);
    if (mixed) {
        (void)take(&c, 65536 - c.at % 65536); /* the large blocks start at a round address */
        new_region(&c, 65536);
    }
    if (r->extended) {
        l->layout.factory = take(&c, r->factory_size != 0 ? r->factory_size : r->slot_size);
    }
    l->layout.slot[0] = take(&c, r->slot_size);
    l->layout.slot[1] = take(&c, r->slot_size);
    for (uint32_t i = 0; i < r->data_count; i++) {
        l->data[i].component = r->data[i].component;
        l->data[i].area[0] = take(&c, r->data[i].size);
        l->data[i].area[1] = take(&c, r->data[i].size);
    }
    new_region(&c, 0);
    l->layout.data = l->data;
    l->layout.data_count = r->data_count;
    return check(l, "this layout", err);
}

/* ---- layout.json ------------------------------------------------------------------------------------------------- */

static json_t *area_json(struct gw_area a)
{
    return json_pack("[I,I]", (json_int_t)a.start, (json_int_t)a.size);
}

int gwp_layout_save(const struct gwp_layout *l, const char *path, bool force, struct gwh_error *err)
{
    const struct gw_layout *y = &l->layout;
    json_t *regions = json_array(), *data = json_array();
    for (uint32_t i = 0; i < l->region_count; i++) {
        const struct gw_flash_region *r = &l->region[i];
        (void)json_array_append_new(
            regions, json_pack("[I,I,I]", (json_int_t)r->start, (json_int_t)r->count, (json_int_t)r->erase_size));
    }
    for (uint32_t i = 0; i < y->data_count; i++) {
        (void)json_array_append_new(data,
                                    json_pack("{s:I,s:[o,o]}", "component", (json_int_t)l->data[i].component, "areas",
                                              area_json(l->data[i].area[0]), area_json(l->data[i].area[1])));
    }
    json_t *o = json_pack("{s:s,s:I,s:I,s:o,s:o,s:[o,o],s:o,s:o,s:[o,o],s:o}", "format", "godwit layout 1",
                          "write size", (json_int_t)l->write_size, "erased", (json_int_t)l->erased, "regions", regions,
                          "identity", area_json(y->identity), "trust", area_json(y->trust[0]), area_json(y->trust[1]),
                          "journal", area_json(y->journal), "factory", area_json(y->factory), "slots",
                          area_json(y->slot[0]), area_json(y->slot[1]), "data", data);
    char *text = o == NULL ? NULL : json_dumps(o, JSON_INDENT(2));
    json_decref(o);
    if (text == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "%s", path);
    }
    int e = gwh_file_write(path, (struct gw_span){(const uint8_t *)text, strlen(text)}, 0644, force, err);
    free(text);
    return e;
}

static bool get_u32(const json_t *v, uint32_t *out)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > (json_int_t)UINT32_MAX) {
        return false;
    }
    *out = (uint32_t)json_integer_value(v);
    return true;
}

static bool get_area(const json_t *v, struct gw_area *a)
{
    return json_array_size(v) == 2 && get_u32(json_array_get(v, 0), &a->start) &&
           get_u32(json_array_get(v, 1), &a->size);
}

static bool get_pair(const json_t *v, struct gw_area a[2])
{
    return json_array_size(v) == 2 && get_area(json_array_get(v, 0), &a[0]) && get_area(json_array_get(v, 1), &a[1]);
}

static bool get_regions(const json_t *v, struct gwp_layout *l)
{
    size_t n = json_array_size(v);
    uint64_t end = 0;
    if (n == 0 || n > GWP_REGIONS_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(v, i);
        struct gw_flash_region *r = &l->region[i];
        if (json_array_size(one) != 3 || !get_u32(json_array_get(one, 0), &r->start) ||
            !get_u32(json_array_get(one, 1), &r->count) || !get_u32(json_array_get(one, 2), &r->erase_size) ||
            r->count == 0 || r->erase_size == 0 || r->start < end) {
            return false;
        }
        end = r->start + (uint64_t)r->count * r->erase_size;
        if (end - l->region[0].start > GWP_FLASH_MAX || end > UINT32_MAX) {
            return false;
        }
    }
    l->region_count = (uint32_t)n;
    return true;
}

static bool get_data(const json_t *v, struct gwp_layout *l)
{
    size_t n = json_array_size(v);
    if (n > GWP_DATA_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(v, i);
        if (!get_u32(json_object_get(one, "component"), &l->data[i].component) ||
            !get_pair(json_object_get(one, "areas"), l->data[i].area)) {
            return false;
        }
    }
    l->layout.data = l->data;
    l->layout.data_count = (uint32_t)n;
    return true;
}

static bool from_json(const json_t *o, struct gwp_layout *l)
{
    const char *format = json_string_value(json_object_get(o, "format"));
    struct gw_layout *y = &l->layout;
    return format != NULL && strcmp(format, "godwit layout 1") == 0 &&
           get_u32(json_object_get(o, "write size"), &l->write_size) && l->write_size > 0 &&
           l->write_size <= GW_WRITE_MAX && get_u32(json_object_get(o, "erased"), &l->erased) &&
           get_regions(json_object_get(o, "regions"), l) && get_area(json_object_get(o, "identity"), &y->identity) &&
           get_pair(json_object_get(o, "trust"), y->trust) && get_area(json_object_get(o, "journal"), &y->journal) &&
           get_area(json_object_get(o, "factory"), &y->factory) && get_pair(json_object_get(o, "slots"), y->slot) &&
           get_data(json_object_get(o, "data"), l);
}

int gwp_layout_parse(struct gwp_layout *l, const json_t *o, const char *name, struct gwh_error *err)
{
    memset(l, 0, sizeof *l);
    if (!from_json(o, l)) {
        (void)gwh_fail_reason(err, GW_ERR_LAYOUT, "%s is no layout that this program wrote", name);
        return gwh_hint(err, "godwit-device init makes one");
    }
    return check(l, name, err);
}

int gwp_layout_load(struct gwp_layout *l, const char *path, struct gwh_error *err)
{
    struct gwh_buf text = {0};
    json_error_t why;
    int e = gwh_file_read(&text, path, 65536, err);
    if (e != GWH_OK) {
        gwh_buf_free(&text);
        return e;
    }
    json_t *o = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &why);
    gwh_buf_free(&text);
    if (o == NULL) {
        return gwh_fail_reason(err, GW_ERR_LAYOUT, "%s is no JSON (%s, line %d)", path, why.text, why.line);
    }
    e = gwp_layout_parse(l, o, path, err);
    json_decref(o);
    return e;
}
