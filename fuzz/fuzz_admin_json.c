/*
 * fuzz_admin_json.c - JSON of the administration into requests: each parser gets every object. What one accepts is as
 * its header promises.
 */
#include <string.h>

#include "fuzz_formats.h"
#include "resources.h"

static void text_ok(const char *text, size_t most)
{
    MUST(text != NULL && strlen(text) >= 1 && strlen(text) <= most);
    for (const char *p = text; *p != '\0'; p++) {
        MUST((unsigned char)*p >= 0x20 && *p != 0x7f);
    }
}

static void tags_ok(const json_t *tags)
{
    MUST(json_array_size(tags) <= GWS_TAGS_MAX);
    for (size_t i = 0; i < json_array_size(tags); i++) {
        MUST(gws_tag_ok(json_string_value(json_array_get(tags, i))));
    }
}

static void kids_ok(const uint8_t *kids, size_t n)
{
    size_t at = 0;
    while (at < n) {
        MUST(kids[at] >= 1 && kids[at] <= 32);
        at += 1u + kids[at];
    }
    MUST(at == n && n <= GWS_KIDS_MAX);
}

static void devices(const json_t *o)
{
    struct gws_device_request d;
    struct gws_patch_request p;
    struct gwh_error a = {0}, b = {0}, c = {0};
    const json_t *list;
    bool tokens;
    if (gws_device_request(&d, o, &a) == GWH_OK) {
        MUST(gws_device_id_ok(d.id));
        tags_ok(d.tags);
        kids_ok(d.kids, d.kids_n);
    }
    if (gws_patch_request(&p, o, &b) == GWH_OK) {
        tags_ok(p.tags);
        kids_ok(p.kids, p.kids_n);
    }
    if (gws_import_request(&list, &tokens, o, &c) == GWH_OK) {
        MUST(json_array_size(list) >= 1 && json_array_size(list) <= GWS_IMPORT_MAX);
    }
    MUST(a.exit == GWH_OK || a.text[0] != '\0');
}

static void others(const json_t *o)
{
    struct gws_class_request c;
    struct gws_rollout_request r;
    struct gws_token_request t;
    struct gws_target_set target;
    struct gwh_release release;
    struct gwh_error err[5] = {{0}};
    if (gws_class_request(&c, o, &err[0]) == GWH_OK) {
        text_ok(c.vendor, GWS_NAME_MAX);
        text_ok(c.name, GWS_NAME_MAX);
    }
    if (gws_rollout_request(&r, o, &err[1]) == GWH_OK) {
        text_ok(r.name, GWS_NAME_MAX);
        MUST(json_is_object(r.target) && r.priority >= -1000 && r.priority <= 1000);
    }
    if (gws_token_request(&t, o, &err[2]) == GWH_OK) {
        text_ok(t.name, GWS_NAME_MAX - 1);
        MUST(t.role >= GWS_ROLE_VIEWER && t.role <= GWS_ROLE_ADMIN && t.expires > 0);
    }
    if (gws_target_parse(&target, o, &err[3]) == GWH_OK) {
        MUST(target.kind != GWS_TARGET_SHARE || (target.share >= 1 && target.share <= 1000));
        gws_target_free(&target);
    }
    if (gws_release_request(&release, o, &err[4]) == GWH_OK) {
        MUST(release.cose.n <= GW_MANIFEST_MAX + 2 && release.grant_count <= GWH_GRANTS_MAX);
    }
    gwh_release_free(&release);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *o = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    if (o == NULL) {
        return 0;
    }
    devices(o);
    others(o);
    json_decref(o);
    return 0;
}
