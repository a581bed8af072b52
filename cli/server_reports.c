/*
 * server_reports.c - godwit server reports: is what the server's database says of its devices what the devices said?
 *
 * Reads the database of a server's folder, running or not, or of a backup that was unpacked. Every report is verified
 * by the key of its device; with --devices, the list from the factory's desk, that key is not the database's word
 * either.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "serve.h"
#include "resources.h"

const struct gwh_option cli_server_reports_options[] = {
    {"devices", "LIST", "devices.json of the desk: the keys that the devices really have", false, false},
    GWH_OPTIONS_END,
};

struct keys {
    json_t *by_id; /* the desk's list: id to device */
    uint64_t wrong;
};

static void forged(void *ctx, const char *device, int64_t report, const char *why)
{
    (void)ctx;
    if (report != 0) {
        (void)printf("%s: report %lld: %s\n", device, (long long)report, why);
    } else {
        (void)printf("%s: %s\n", device, why);
    }
}

/* Of a device that is listed twice the first line counts. */
static int index_list(struct keys *k, const json_t *list, struct gwh_error *err)
{
    size_t i;
    json_t *device;
    k->by_id = json_object();
    json_array_foreach(list, i, device) {
        const char *id = json_string_value(json_object_get(device, "id"));
        if (id != NULL && json_object_get(k->by_id, id) == NULL && json_object_set(k->by_id, id, device) != 0) {
            return gwh_fail_reason(err, GW_ERR_SPACE, "the list of devices");
        }
    }
    return k->by_id != NULL ? GWH_OK : gwh_fail_reason(err, GW_ERR_SPACE, "the list of devices");
}

static int compare_key(void *ctx, sqlite3_stmt *s)
{
    struct keys *k = ctx;
    char stored[2 * 64 + 1] = "";
    const char *id = (const char *)sqlite3_column_text(s, 0);
    const char *right = json_string_value(json_object_get(json_object_get(k->by_id, id), "key"));
    if (sqlite3_column_bytes(s, 1) == 64) {
        gwh_hex(stored, sqlite3_column_blob(s, 1), 64);
    }
    if (right == NULL || strcmp(right, stored) != 0) {
        k->wrong++;
        (void)printf("%s: %s\n", id, right == NULL ? "the desk's list does not have it, or no key of it"
                                                   : "its key is not the one of the desk's list");
    }
    return GWH_OK;
}

static int compare_keys(const struct gwh_args *a, sqlite3 *db, uint64_t *wrong, struct gwh_error *err)
{
    struct gwh_buf text = {0};
    json_error_t where;
    int e = gwh_file_read(&text, gwh_text(a, "devices"), 64u * 1024 * 1024, err);
    json_t *o = e == GWH_OK ? json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &where) : NULL;
    json_t *list = json_object_get(o, "devices");
    struct keys keys = {NULL, 0};
    if (e == GWH_OK && !json_is_array(list)) {
        e = gwh_fail(err, GWH_REFUSED, "%s is no list of devices", gwh_text(a, "devices"));
        (void)gwh_hint(err, "it is devices.json, made by godwit device provision --csv");
    }
    e = e == GWH_OK ? index_list(&keys, list, err) : e;
    e = e == GWH_OK ? gws_query(db, err, compare_key, &keys, "SELECT id, key FROM device ORDER BY id", "") : e;
    *wrong = keys.wrong;
    json_decref(keys.by_id);
    json_decref(o);
    gwh_buf_free(&text);
    return e;
}

int cli_server_reports(const struct gwh_args *a, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    sqlite3 *db = NULL;
    struct gws_audited found = {0};
    uint64_t wrong = 0;
    int e = gwh_path(path, a->operand[0], "data/godwit.db", err);
    e = e == GWH_OK ? gws_db_open_plain(&db, path, false, err) : e;
    e = e == GWH_OK ? gws_reports_audit(db, forged, NULL, &found, err) : e;
    if (e == GWH_OK && gwh_flag(a, "devices")) {
        e = compare_keys(a, db, &wrong, err);
    }
    if (db != NULL) {
        gws_db_close_plain(db);
    }
    if (e != GWH_OK) {
        return e;
    }
    gwh_note("%llu reports of %llu devices: %llu are not what a device said, %llu keys are not the desk's",
             (unsigned long long)found.reports, (unsigned long long)found.devices, (unsigned long long)found.forged,
             (unsigned long long)wrong);
    if (found.former > 0) {
        gwh_note("%llu are signed by keys that an operator has replaced since: the database alone says that these were"
                 " the devices'", (unsigned long long)found.former);
    }
    return found.forged + wrong == 0 ? GWH_OK
                                     : gwh_fail(err, GWH_REFUSED, "%s says things that no device said", a->operand[0]);
}
