/*
 * devices.c - devices as they are administered: import all or none, tags, keys, tokens, off and on; what they reported.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resources.h"
#include "show.h"

/* ---- Changes ----------------------------------------------------------------------------------------------------- */

static int write_tags(struct gws_edit *e, sqlite3 *db, const char *id, const json_t *tags)
{
    struct gwh_error *err = &e->change.err;
    size_t i;
    const json_t *tag;
    int x = gws_exec(db, err, "DELETE FROM tag WHERE device = ?", "t", id);
    json_array_foreach (tags, i, tag) {
        x = x == GWH_OK ? gws_exec(db, err, "INSERT INTO tag(device, name) VALUES(?, ?)", "tt", id,
                                   json_string_value(tag))
                        : x;
    }
    return x;
}

/* A new token; what it is goes into `to` (an object), its hash into the database. */
static int write_token(struct gws_edit *e, sqlite3 *db, const char *id, json_t *to)
{
    struct gwh_error *err = &e->change.err;
    char token[GWS_TOKEN_MAX];
    uint8_t hash[32];
    int x = gws_token_make('d', token, hash, err);
    x = x == GWH_OK ? gws_exec(db, err, "UPDATE device SET token_hash = ? WHERE id = ?", "bt",
                               (struct gw_span){hash, 32}, id)
                    : x;
    if (x == GWH_OK) {
        (void)json_object_set_new(to, "token", json_string(token));
    }
    gw_wipe(token, sizeof token);
    return x;
}

static int has_class(sqlite3 *db, struct gwh_error *err, const uint8_t id[16])
{
    int64_t n;
    int e = gws_number(db, err, &n, NULL, "SELECT count(*) FROM class WHERE id = ?", "b", (struct gw_span){id, 16});
    return e == GWH_OK && n == 0 ? gws_refuse(err, GWS_NOT_FOUND, "the class of a device is not there") : e;
}

static int import_one(struct gws_edit *e, sqlite3 *db, const json_t *o, bool token, json_t *tokens)
{
    struct gwh_error *err = &e->change.err;
    struct gws_device_request r;
    int x = gws_device_request(&r, o, err);
    x = x == GWH_OK ? has_class(db, err, r.class_id) : x;
    if (x != GWH_OK) {
        return x;
    }
    x = gws_exec(db, err,
                 "INSERT INTO device(id, class, key, kids, created, origin) VALUES(?, ?, ?, ?, ?, 'import')"
                 " ON CONFLICT(id) DO NOTHING",
                 "tbbbi", r.id, (struct gw_span){r.class_id, 16}, (struct gw_span){r.has_key ? r.key : NULL, 64},
                 (struct gw_span){r.kids_n > 0 ? r.kids : NULL, r.kids_n}, e->now);
    if (x == GWH_OK && sqlite3_changes64(db) == 0) {
        return gws_refuse(err, GWS_CONFLICT, "%s is known already: nothing was imported", r.id);
    }
    x = x == GWH_OK && r.tags != NULL ? write_tags(e, db, r.id, r.tags) : x;
    if (x == GWH_OK && token) {
        json_t *t = json_object();
        (void)json_object_set_new(t, "id", json_string(r.id));
        x = write_token(e, db, r.id, t);
        (void)json_array_append_new(tokens, t);
    }
    gws_edit_touch_device(e, r.id);
    return x;
}

int gws_devices_import(struct gws_edit *e, sqlite3 *db)
{
    struct gwh_error *err = &e->change.err;
    const json_t *list, *o;
    bool token;
    size_t i;
    char count[24];
    int x = gws_import_request(&list, &token, e->request, err);
    if (x != GWH_OK) {
        return x;
    }
    json_t *tokens = json_array();
    json_array_foreach (list, i, o) {
        x = x == GWH_OK ? import_one(e, db, o, token, tokens) : x;
    }
    (void)snprintf(count, sizeof count, "%zu devices", json_array_size(list));
    x = x == GWH_OK ? gws_edit_audit(e, db, "devices imported", count, json_incref(e->devices)) : x;
    if (x == GWH_OK) {
        e->answer = json_pack("{s:I, s:O}", "devices", (json_int_t)json_array_size(list), "tokens", tokens);
    }
    json_decref(tokens);
    return x;
}

static int is_known(struct gws_edit *e, sqlite3 *db)
{
    struct gwh_error *err = &e->change.err;
    int64_t n;
    int x = gws_number(db, err, &n, NULL, "SELECT count(*) FROM device WHERE id = ?", "t", e->object);
    return x == GWH_OK && n == 0 ? gws_refuse(err, GWS_NOT_FOUND, "there is no such device") : x;
}

/* The device's key, if it is not this one, and how far its reports were taken: they are not taken again, should the key
 * come back, and the audit (reports.c) knows whose they are. */
static int remember_key(struct gws_edit *e, sqlite3 *db, const uint8_t other[64])
{
    return gws_exec(db, &e->change.err,
                    "INSERT INTO former_key(device, key, last) SELECT id, key, counter FROM device WHERE id = ? AND"
                    " key <> ? AND counter > 0 ON CONFLICT(device, key) DO UPDATE SET last = max(last, excluded.last)",
                    "tb", e->object, (struct gw_span){other, 64});
}

static int replace_key(struct gws_edit *e, sqlite3 *db, const uint8_t key[64])
{
    struct gwh_error *err = &e->change.err;
    struct gw_span xy = {key, 64};
    int x = remember_key(e, db, key);
    return x == GWH_OK ? gws_exec(db, err, "UPDATE device SET key = ? WHERE id = ?", "bt", xy, e->object) : x;
}

static int patch(struct gws_edit *e, sqlite3 *db, const struct gws_patch_request *r)
{
    struct gwh_error *err = &e->change.err;
    int x = GWH_OK;
    if (r->has_enabled) {
        x = gws_exec(db, err, "UPDATE device SET enabled = ? WHERE id = ?", "it", (int64_t)r->enabled, e->object);
    }
    if (x == GWH_OK && r->has_key) {
        x = replace_key(e, db, r->key);
    }
    if (x == GWH_OK && r->has_kids) {
        x = gws_exec(db, err, "UPDATE device SET kids = ? WHERE id = ?", "bt",
                     (struct gw_span){r->kids_n > 0 ? r->kids : NULL, r->kids_n}, e->object);
    }
    x = x == GWH_OK && r->tags != NULL ? write_tags(e, db, e->object, r->tags) : x;
    return x == GWH_OK && r->token ? write_token(e, db, e->object, e->answer) : x;
}

int gws_device_patch(struct gws_edit *e, sqlite3 *db)
{
    struct gws_patch_request r;
    int x = gws_patch_request(&r, e->request, &e->change.err);
    x = x == GWH_OK ? is_known(e, db) : x;
    e->answer = json_object();
    x = x == GWH_OK ? patch(e, db, &r) : x;
    gws_edit_touch_device(e, e->object);
    return x == GWH_OK ? gws_edit_audit(e, db, "device changed", e->object, json_incref(e->request)) : x;
}

int gws_device_delete(struct gws_edit *e, sqlite3 *db)
{
    static const uint8_t none[64];
    int x = is_known(e, db);
    x = x == GWH_OK ? remember_key(e, db, none) : x;
    x = x == GWH_OK ? gws_exec(db, &e->change.err, "DELETE FROM device WHERE id = ?", "t", e->object) : x;
    gws_edit_touch_device(e, e->object);
    return x == GWH_OK ? gws_edit_audit(e, db, "device deleted", e->object, NULL) : x;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

#define SELECT_COLUMNS                                                                                                 \
    "SELECT d.id, d.class, d.enabled, d.key, d.token_hash IS NOT NULL, d.origin, d.created, d.counter, d.state,"       \
    " d.reason, d.about_epoch, d.about_sequence, d.running_epoch, d.running_sequence, d.hardware, d.bootloader,"       \
    " d.trust_version, d.head_serial, d.seen, d.reported,"                                                             \
    " (SELECT json_group_array(name) FROM (SELECT name FROM tag WHERE device = d.id ORDER BY name)),"                  \
    " (SELECT version FROM release WHERE class = d.class AND epoch = d.running_epoch AND sequence ="                   \
    " d.running_sequence) "
#define COLUMNS SELECT_COLUMNS "FROM device d "

static void set_number(json_t *o, const char *name, sqlite3_stmt *s, int column)
{
    (void)json_object_set_new(o, name, json_integer(sqlite3_column_int64(s, column)));
}

static void set_order(json_t *o, const char *name, sqlite3_stmt *s, int column)
{
    struct gw_order order = {(uint32_t)sqlite3_column_int64(s, column), (uint32_t)sqlite3_column_int64(s, column + 1)};
    (void)json_object_set_new(o, name, order.sequence != 0 ? gwh_show_order(order) : json_null());
}

static void show_report_columns(json_t *o, sqlite3_stmt *s)
{
    static const char *const names[] = {"hardware", "bootloader", "trust_version", "head_serial", "seen", "reported"};
    int reason = sqlite3_column_int(s, 9);
    set_number(o, "counter", s, 7);
    (void)json_object_set_new(o, "state", sqlite3_column_int(s, 8) == 0
                                              ? json_null()
                                              : json_string(gwh_report_state_name((uint32_t)sqlite3_column_int(s, 8))));
    (void)json_object_set_new(o, "reason", reason != 0 ? json_string(gw_error_name(reason)) : json_null());
    set_order(o, "about", s, 10);
    set_order(o, "running", s, 12);
    for (int i = 0; i < 6; i++) {
        set_number(o, names[i], s, 14 + i);
    }
    const char *version = gws_column_text(s, 21);
    (void)json_object_set_new(o, "version", version[0] != '\0' ? json_string(version) : json_null());
}

static json_t *show_device(sqlite3_stmt *s)
{
    json_t *o = json_object(), *tags = json_loads(gws_column_text(s, 20), 0, NULL);
    struct gw_span class_id = gws_column_bytes(s, 1), key = gws_column_bytes(s, 3);
    (void)json_object_set_new(o, "id", json_string(gws_column_text(s, 0)));
    (void)json_object_set_new(o, "class", gwh_show_hex(class_id.p, class_id.n));
    (void)json_object_set_new(o, "enabled", json_boolean(sqlite3_column_int(s, 2) != 0));
    (void)json_object_set_new(o, "key", key.n > 0 ? gwh_show_hex(key.p, key.n) : json_null());
    (void)json_object_set_new(o, "token", json_boolean(sqlite3_column_int(s, 4) != 0));
    (void)json_object_set_new(o, "origin", json_string(gws_column_text(s, 5)));
    set_number(o, "created", s, 6);
    (void)json_object_set_new(o, "tags", tags != NULL ? tags : json_array());
    show_report_columns(o, s);
    return o;
}

static int take(void *ctx, sqlite3_stmt *s)
{
    (void)gws_list_add(ctx, gws_column_text(s, 0), show_device(s));
    return GWH_OK;
}

/* 0: any. -1: no such name. */
static int state_number(const char *name)
{
    for (int i = GW_REPORT_CONFIRMED; name != NULL && i <= GW_REPORT_DECLINED; i++) {
        if (strcmp(gwh_report_state_name((uint32_t)i), name) == 0) {
            return i;
        }
    }
    return name == NULL ? 0 : -1;
}

/* The same devices in the same order, found by the index of what is asked for. For a state or a part of the id there is
 * none: all may be looked at, 100 000 in some 10 ms. */
#define FILTER                                                                                                         \
    " AND (?2 IS NULL OR d.class = ?2) AND (?3 = 0 OR d.state = ?3) AND (?4 IS NULL OR instr(d.id, ?4) > 0)"
static const char by_tag[] = SELECT_COLUMNS "FROM tag t CROSS JOIN device d ON d.id = t.device WHERE t.name = ?5 AND"
                                            " t.device > ?1" FILTER " ORDER BY t.device LIMIT ?6";
static const char by_class[] = SELECT_COLUMNS "FROM device d INDEXED BY device_class WHERE d.class = ?2 AND ?5 IS NULL"
                                              " AND d.id > ?1" FILTER " ORDER BY d.id LIMIT ?6";
static const char by_id[] = COLUMNS "WHERE ?5 IS NULL AND d.id > ?1" FILTER " ORDER BY d.id LIMIT ?6";

json_t *gws_devices_list(sqlite3 *db, const struct gws_device_query *q, const struct gws_page *page,
                         struct gwh_error *err)
{
    struct gws_list l = {.items = json_array(), .limit = gws_page_limit(page)};
    uint8_t class_id[16] = {0};
    int64_t state = state_number(q->state);
    bool sound = state >= 0 && (q->class_id == NULL || gwh_unhex(class_id, 16, q->class_id));
    int e = sound ? GWH_OK : gwh_fail(err, GWH_USAGE, "class: 32 hexadecimal digits; state: CONFIRMED, STAGED, ...");
    const char *sql = q->tag != NULL ? by_tag : q->class_id != NULL ? by_class : by_id;
    e = e == GWH_OK ? gws_query(db, err, take, &l, sql, "tbitti",
                                page != NULL && page->after != NULL ? page->after : "",
                                (struct gw_span){q->class_id != NULL ? class_id : NULL, 16}, state, q->text, q->tag,
                                (int64_t)l.limit + 1)
                    : e;
    return gws_list_end(&l, e);
}

static int take_one(void *ctx, sqlite3_stmt *s)
{
    json_t **o = ctx;
    *o = show_device(s);
    return GWH_OK;
}

json_t *gws_device_show(sqlite3 *db, const char *id, struct gwh_error *err)
{
    json_t *o = NULL;
    int e = gws_query(db, err, take_one, &o, COLUMNS "WHERE d.id = ?", "t", id);
    if (e == GWH_OK && o == NULL) {
        (void)gws_refuse(err, GWS_NOT_FOUND, "there is no such device");
    }
    return o;
}

static int take_report(void *ctx, sqlite3_stmt *s)
{
    char key[24];
    json_t *o = json_object();
    int reason = sqlite3_column_int(s, 4);
    (void)snprintf(key, sizeof key, "%lld", (long long)sqlite3_column_int64(s, 0));
    (void)json_object_set_new(o, "id", json_string(key));
    set_number(o, "counter", s, 1);
    set_number(o, "received", s, 2);
    (void)json_object_set_new(o, "state", json_string(gwh_report_state_name((uint32_t)sqlite3_column_int(s, 3))));
    (void)json_object_set_new(o, "reason", reason != 0 ? json_string(gw_error_name(reason)) : json_null());
    set_order(o, "about", s, 5);
    set_number(o, "bytes", s, 7);
    set_number(o, "again", s, 8);
    (void)json_object_set_new(o, "cose", gws_base64_json(gws_column_bytes(s, 9)));
    (void)gws_list_add(ctx, key, o);
    return GWH_OK;
}

json_t *gws_device_reports(sqlite3 *db, const char *id, const struct gws_page *page, struct gwh_error *err)
{
    struct gws_list l = {.items = json_array(), .limit = gws_page_limit(page)};
    int64_t before = page != NULL && page->after != NULL ? strtoll(page->after, NULL, 10) : INT64_MAX;
    int e = gws_query(db, err, take_report, &l,
                      "SELECT id, counter, received, state, reason, about_epoch, about_sequence, bytes, again, cose"
                      " FROM report WHERE device = ? AND id < ? ORDER BY id DESC LIMIT ?",
                      "tii", id, before, (int64_t)l.limit + 1);
    return gws_list_end(&l, e);
}
