/*
 * audit.c - the log of what people changed: written in the change's own transaction, read newest first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resources.h"

#define DETAIL_MAX 4096u /* bytes; longer ones are left out */

static int write_entry(sqlite3 *db, struct gwh_error *err, const char *who, const char *what, const char *object,
                       const char *detail)
{
    return gws_exec(db, err,
                    "INSERT INTO audit(time, who, what, object, detail)"
                    " VALUES(CAST(strftime('%s', 'now') AS INTEGER), ?, ?, ?, ?)",
                    "tttt", who, what, object, detail);
}

int gws_audit(sqlite3 *db, struct gwh_error *err, const char *who, const char *what, const char *object,
              const json_t *detail)
{
    char *text = detail != NULL ? json_dumps(detail, JSON_COMPACT) : NULL;
    bool fits = text == NULL || strlen(text) <= DETAIL_MAX;
    int e = write_entry(db, err, who, what, object, fits ? text : "{\"left out\": true}");
    free(text);
    return e;
}

static int take(void *ctx, sqlite3_stmt *s)
{
    json_t *o = json_object();
    char key[24];
    (void)snprintf(key, sizeof key, "%lld", (long long)sqlite3_column_int64(s, 0));
    (void)json_object_set_new(o, "id", json_string(key));
    (void)json_object_set_new(o, "time", json_integer(sqlite3_column_int64(s, 1)));
    (void)json_object_set_new(o, "who", json_string(gws_column_text(s, 2)));
    (void)json_object_set_new(o, "what", json_string(gws_column_text(s, 3)));
    (void)json_object_set_new(o, "object", json_string(gws_column_text(s, 4)));
    json_t *detail = json_loads(gws_column_text(s, 5), 0, NULL);
    if (detail != NULL) {
        (void)json_object_set_new(o, "detail", detail);
    }
    (void)gws_list_add(ctx, key, o);
    return GWH_OK;
}

json_t *gws_audit_list(sqlite3 *db, const struct gws_page *page, struct gwh_error *err)
{
    struct gws_list l = {.items = json_array(), .limit = gws_page_limit(page)};
    int64_t before = page != NULL && page->after != NULL ? strtoll(page->after, NULL, 10) : INT64_MAX;
    int e = gws_query(db, err, take, &l,
                      "SELECT id, time, who, what, object, detail FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?",
                      "ii", before, (int64_t)l.limit + 1);
    return gws_list_end(&l, e);
}
