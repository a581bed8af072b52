/*
 * classes.c - classes of devices, and the channel head of each.
 */
#include <string.h>

#include "class_head.h"
#include "resources.h"
#include "show.h"
#include "uuid.h"

int gws_class_create(struct gws_edit *e, sqlite3 *db)
{
    struct gwh_error *err = &e->change.err;
    struct gws_class_request r;
    uint8_t vendor[16], id[16];
    char hex[33];
    int x = gws_class_request(&r, e->request, err);
    if (x != GWH_OK) {
        return x;
    }
    int reason = gwh_uuid_vendor(r.vendor, vendor);
    reason = reason == GW_OK ? gwh_uuid_class(vendor, r.name, id) : reason;
    if (reason != GW_OK) {
        return gwh_fail(err, GWH_USAGE, "vendor: a domain name; name: a text (%s)", gw_error_name(reason));
    }
    gwh_hex(hex, id, 16);
    x = gws_exec(db, err, "INSERT INTO class(id, vendor, name, created) VALUES(?, ?, ?, ?) ON CONFLICT DO NOTHING",
                 "btti", (struct gw_span){id, 16}, r.vendor, r.name, e->now);
    if (x == GWH_OK && sqlite3_changes64(db) == 0) {
        return gws_refuse(err, GWS_CONFLICT, "the class %s %s is there already", r.vendor, r.name);
    }
    e->touched |= GWS_TOUCH_ROLLOUTS;
    e->answer = json_pack("{s:s, s:s, s:s}", "id", hex, "vendor", r.vendor, "name", r.name);
    return x == GWH_OK ? gws_edit_audit(e, db, "class created", hex, json_incref(e->answer)) : x;
}

/* ---- Heads ------------------------------------------------------------------------------------------------------- */

static int open_head(struct gws_edit *e, sqlite3 *db, struct gw_head *head)
{
    struct gwh_error *err = &e->change.err;
    struct gwh_buf bundle = {0};
    struct gw_trust trust;
    int x = gws_trust_in_use(e->env, db, &bundle, &trust, err);
    if (x == GWH_OK) {
        int reason = gw_head_open(head, gwh_openssl()->gw, &trust, e->octets.p, e->octets.n);
        x = reason == GW_OK ? GWH_OK : gwh_fail_reason(err, reason, "the head is refused");
    }
    gwh_buf_free(&bundle);
    return x;
}

int gws_class_head_store(struct gws_edit *e, sqlite3 *db, const uint8_t class_id[16], const struct gw_head *head,
                         struct gw_span cose)
{
    struct gwh_error *err = &e->change.err;
    struct gw_span id = {class_id, 16};
    int64_t serial = 0;
    bool found;
    if (memcmp(head->class_id, class_id, 16) != 0) {
        return gwh_fail_reason(err, GW_ERR_HEAD_OTHER, "the head is refused");
    }
    int x = gws_number(db, err, &serial, &found, "SELECT head_serial FROM class WHERE id = ?", "b", id);
    if (x == GWH_OK && !found) {
        return gws_refuse(err, GWS_NOT_FOUND, "there is no such class");
    }
    if (x == GWH_OK && head->serial <= serial) {
        return gwh_fail_reason(err, GW_ERR_HEAD_OLDER, "serial %u is there, this is serial %u", (unsigned)serial,
                               (unsigned)head->serial);
    }
    e->touched |= GWS_TOUCH_ROLLOUTS;
    return x == GWH_OK ? gws_exec(db, err, "UPDATE class SET head = ?, head_serial = ? WHERE id = ?", "bib", cose,
                                  (int64_t)head->serial, id)
                       : x;
}

int gws_class_head(struct gws_edit *e, sqlite3 *db)
{
    struct gwh_error *err = &e->change.err;
    struct gw_head head;
    uint8_t id[16];
    if (!gwh_unhex(id, 16, e->object)) {
        return gws_refuse(err, GWS_NOT_FOUND, "there is no such class");
    }
    int x = open_head(e, db, &head);
    x = x == GWH_OK ? gws_class_head_store(e, db, id, &head, gwh_span(&e->octets)) : x;
    e->answer = x == GWH_OK ? gwh_show_head(&head) : NULL;
    return x == GWH_OK ? gws_edit_audit(e, db, "head put", e->object, json_incref(e->answer)) : x;
}

/* ---- The list ---------------------------------------------------------------------------------------------------- */

static json_t *show_stored_head(struct gw_span cose)
{
    struct gw_span map;
    struct gw_head head;
    if (cose.n == 0 || gwh_sign_payload(cose, &map) != GW_OK || gw_head_parse(&head, map.p, map.n) != GW_OK) {
        return json_null();
    }
    return gwh_show_head(&head);
}

static int take(void *ctx, sqlite3_stmt *s)
{
    uint8_t id[16];
    char hex[33];
    json_t *o = json_object();
    gws_column_fixed(s, 0, id, 16);
    gwh_hex(hex, id, 16);
    (void)json_object_set_new(o, "id", json_string(hex));
    (void)json_object_set_new(o, "vendor", json_string(gws_column_text(s, 1)));
    (void)json_object_set_new(o, "name", json_string(gws_column_text(s, 2)));
    (void)json_object_set_new(o, "created", json_integer(sqlite3_column_int64(s, 3)));
    (void)json_object_set_new(o, "head", show_stored_head(gws_column_bytes(s, 4)));
    (void)json_object_set_new(o, "devices", json_integer(sqlite3_column_int64(s, 5)));
    (void)gws_list_add(ctx, hex, o);
    return GWH_OK;
}

json_t *gws_classes_list(sqlite3 *db, const struct gws_page *page, struct gwh_error *err)
{
    struct gws_list l = {.items = json_array(), .limit = gws_page_limit(page)};
    uint8_t after[16];
    bool from = page != NULL && page->after != NULL && gwh_unhex(after, 16, page->after);
    int e = gws_query(db, err, take, &l,
                      "SELECT id, vendor, name, created, head, (SELECT count(*) FROM device WHERE class = class.id)"
                      " FROM class WHERE id > ? ORDER BY id LIMIT ?",
                      "bi", (struct gw_span){from ? after : (const uint8_t *)"", from ? 16 : 0},
                      (int64_t)l.limit + 1);
    return gws_list_end(&l, e);
}
