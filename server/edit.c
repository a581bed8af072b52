/*
 * edit.c - edits, pages, reasons: what all resources of the administration have in common. See resources.h. Needs no
 * server: tools use it too.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resources.h"

/* ---- Reasons ----------------------------------------------------------------------------------------------------- */

const char *gws_reason_name(int reason)
{
    switch (reason) {
    case 0:
        return "";
    case GWS_NOT_FOUND:
        return "NOT_FOUND";
    case GWS_REPLAY:
        return "REPLAY";
    case GWS_CONFLICT:
        return "CONFLICT";
    case GWS_NOW_NOT:
        return "BUSY";
    default:
        return gw_error_name(reason);
    }
}

int gws_refuse(struct gwh_error *err, int reason, const char *format, ...)
{
    va_list args;
    if (err->exit != GWH_OK) {
        return err->exit;
    }
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    err->reason = reason;
    err->exit = reason == GWS_NOW_NOT ? GWH_IO : GWH_REFUSED;
    return err->exit;
}

/* ---- An edit's life ---------------------------------------------------------------------------------------------- */

struct gws_edit *gws_edit_new(int (*run)(struct gws_edit *e, sqlite3 *db), const char *who, const char *object)
{
    static const struct gws_env nothing;
    struct gws_edit *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return NULL;
    }
    e->run = run;
    e->env = &nothing;
    (void)snprintf(e->who, sizeof e->who, "%s", who);
    (void)snprintf(e->object, sizeof e->object, "%s", object != NULL ? object : "");
    return e;
}

void gws_edit_free(struct gws_edit *e)
{
    if (e != NULL) {
        json_decref(e->request);
        json_decref(e->answer);
        json_decref(e->devices);
        gwh_buf_free(&e->octets);
        free(e);
    }
}

int gws_edit_run(struct gws_edit *e, sqlite3 *db)
{
    struct gwh_error *err = &e->change.err, ignored = {0};
    memset(err, 0, sizeof *err);
    int r = gws_transaction(db, err, "BEGIN IMMEDIATE");
    r = r == GWH_OK ? e->run(e, db) : r;
    r = r == GWH_OK ? gws_transaction(db, err, "COMMIT") : r;
    if (!sqlite3_get_autocommit(db)) {
        (void)gws_transaction(db, &ignored, "ROLLBACK");
    }
    e->change.result = r;
    return r;
}

void gws_edit_touch_device(struct gws_edit *e, const char *id)
{
    if (e->devices == NULL) {
        e->devices = json_array();
    }
    (void)json_array_append_new(e->devices, json_string(id));
    e->touched |= GWS_TOUCH_DEVICES;
}

/* Takes the reference to `detail`. */
int gws_edit_audit(struct gws_edit *e, sqlite3 *db, const char *what, const char *object, json_t *detail)
{
    int r = gws_audit(db, &e->change.err, e->who, what, object, detail);
    json_decref(detail);
    return r;
}

/* ---- What edits verify with -------------------------------------------------------------------------------------- */

int gws_env_roots(struct gws_env *env, const char *path, struct gwh_error *err)
{
    struct gwh_buf pem = {0};
    int e = gwh_file_read(&pem, path, 65536, err);
    for (size_t at = 0, rest = 0; e == GWH_OK && at < pem.n; at += rest) {
        struct gwh_key *key = &env->root_key[env->roots.count];
        if (env->roots.count == GW_ROOTS_MAX) {
            e = gwh_fail(err, GWH_REFUSED, "%s holds more than %u keys", path, GW_ROOTS_MAX);
            break;
        }
        e = gwh_key_parse(key, (struct gw_span){pem.p + at, pem.n - at}, path, NULL, &rest, err);
        if (e == GWH_OK) {
            env->roots.key[env->roots.count] = key->pub;
            env->roots.key[env->roots.count++].roles = GW_ROLE_ROOT;
        }
        if (rest == 0 || memmem(pem.p + at + rest, pem.n - at - rest, "-----BEGIN", 10) == NULL) {
            break;
        }
    }
    gwh_buf_free(&pem);
    if (e == GWH_OK && env->roots.count == 0) {
        e = gwh_fail(err, GWH_REFUSED, "%s holds no key", path);
    }
    env->roots.threshold = env->roots.count < 2 ? 1 : 2;
    return e;
}

void gws_env_free(struct gws_env *env)
{
    for (uint32_t i = 0; i < GW_ROOTS_MAX; i++) {
        gwh_key_free(&env->root_key[i]);
    }
    memset(env, 0, sizeof *env);
}

/* ---- Pages ------------------------------------------------------------------------------------------------------- */

unsigned gws_page_limit(const struct gws_page *page)
{
    unsigned limit = page != NULL && page->limit != 0 ? page->limit : 100;
    return limit > 1000 ? 1000 : limit;
}

bool gws_list_add(struct gws_list *l, const char *key, json_t *item)
{
    if (json_array_size(l->items) >= l->limit) {
        l->more = true;
        json_decref(item);
        return false;
    }
    (void)snprintf(l->next, sizeof l->next, "%s", key);
    (void)json_array_append_new(l->items, item);
    return true;
}

json_t *gws_list_end(struct gws_list *l, int result)
{
    if (result != GWH_OK) {
        json_decref(l->items);
        return NULL;
    }
    json_t *o = json_object();
    (void)json_object_set_new(o, "items", l->items);
    (void)json_object_set_new(o, "next", l->more ? json_string(l->next) : json_null());
    l->items = NULL;
    return o;
}
