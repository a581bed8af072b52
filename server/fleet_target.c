/*
 * fleet_target.c - whom a rollout is for: read from JSON, and whether it holds a device.
 */
#include <stdlib.h>
#include <string.h>

#include "fleet_internal.h"
#include "keys.h"

#define TAG_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789._-"
#define ID_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

bool gws_tag_ok(const char *tag)
{
    size_t n = strlen(tag);
    return n >= 1 && n <= GWS_TAG_MAX && strspn(tag, TAG_LETTERS) == n;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int read_ids(struct gws_target_set *t, const json_t *list, struct gwh_error *err)
{
    size_t n = json_array_size(list);
    if (n == 0 || n > GWS_TARGET_IDS_MAX) {
        return gwh_fail(err, GWH_USAGE, "ids: a list of 1 to %u device ids", GWS_TARGET_IDS_MAX);
    }
    t->ids = calloc(n, sizeof *t->ids);
    if (t->ids == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "ids");
    }
    for (t->id_count = 0; t->id_count < n; t->id_count++) {
        const json_t *id = json_array_get(list, t->id_count);
        size_t length = json_string_length(id);
        const char *text = json_string_value(id);
        if (text == NULL || length == 0 || length > GW_DEVICE_ID_MAX || strspn(text, ID_LETTERS) != length) {
            return gwh_fail(err, GWH_USAGE, "ids: number %zu is no device id", t->id_count + 1);
        }
        memcpy(t->ids[t->id_count], text, length + 1);
    }
    qsort(t->ids, n, sizeof *t->ids, by_id);
    return GWH_OK;
}

static int read_kind(struct gws_target_set *t, const json_t *target, struct gwh_error *err)
{
    const json_t *all = json_object_get(target, "all"), *tag = json_object_get(target, "tag");
    const json_t *ids = json_object_get(target, "ids"), *share = json_object_get(target, "share");
    if (json_object_size(target) == 1 && json_is_true(all)) {
        t->kind = GWS_TARGET_ALL;
        return GWH_OK;
    }
    const char *text = json_string_value(tag);
    if (json_object_size(target) == 1 && text != NULL && strlen(text) == json_string_length(tag) && gws_tag_ok(text)) {
        t->kind = GWS_TARGET_TAG;
        memcpy(t->tag, text, strlen(text) + 1);
        return GWH_OK;
    }
    if (json_object_size(target) == 1 && json_is_array(ids)) {
        t->kind = GWS_TARGET_IDS;
        return read_ids(t, ids, err);
    }
    json_int_t n = json_integer_value(share);
    if (json_object_size(target) == 1 && json_is_integer(share) && n >= 1 && n <= 1000) {
        t->kind = GWS_TARGET_SHARE;
        t->share = (uint32_t)n;
        return GWH_OK;
    }
    return gwh_fail(err, GWH_USAGE, "target: one of {\"all\": true}, {\"tag\": text}, {\"ids\": [...]}, {\"share\": 1 "
                                    "to 1000 per mille}");
}

int gws_target_parse(struct gws_target_set *t, const json_t *target, struct gwh_error *err)
{
    memset(t, 0, sizeof *t);
    int e = read_kind(t, target, err);
    if (e != GWH_OK) {
        gws_target_free(t);
    }
    return e;
}

void gws_target_free(struct gws_target_set *t)
{
    free(t->ids);
    memset(t, 0, sizeof *t);
}

uint32_t gws_share_of(const char *rollout, const char *device)
{
    char text[40 + GW_DEVICE_ID_MAX + 1];
    uint8_t digest[32] = {0};
    size_t a = strnlen(rollout, 40), b = strnlen(device, GW_DEVICE_ID_MAX);
    memcpy(text, rollout, a);
    memcpy(text + a, device, b);
    if (gw_sha256(gwh_openssl()->gw, text, a + b, digest) != GW_OK) {
        return 1000; /* in no share */
    }
    return ((uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 | digest[3]) % 1000;
}

bool gws_target_holds(const struct gws_fleet *fleet, const struct gws_target_set *t, const char *rollout,
                      const struct gws_device *d)
{
    switch (t->kind) {
    case GWS_TARGET_ALL:
        return true;
    case GWS_TARGET_TAG:
        return gws_device_has_tag(fleet, d, t->tag);
    case GWS_TARGET_IDS:
        return bsearch(d->id, t->ids, t->id_count, sizeof *t->ids, by_id) != NULL;
    case GWS_TARGET_SHARE:
        return gws_share_of(rollout, d->id) < t->share;
    }
    return false;
}
