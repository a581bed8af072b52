/*
 * db_query.c - statements: prepared once for each connection, bound by a format, stepped with every code looked at.
 *
 * Keeps true: no statement is left in the middle (a commit would wait for it); one that is running is not used a second
 * time. Connections that are not known to gws_statements_keep() work too, and keep nothing.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "db.h"

#define KEPT 128u /* statements of a connection */

struct statement {
    const char *sql; /* its address is the key */
    sqlite3_stmt *s;
    bool busy;
};
struct statements {
    sqlite3 *db;
    struct statement kept[KEPT];
    struct statements *next;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct statements *connections;

/* ---- Connections ------------------------------------------------------------------------------------------------- */

int gws_statements_keep(sqlite3 *db, struct gwh_error *err)
{
    struct statements *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "statements");
    }
    c->db = db;
    (void)pthread_mutex_lock(&lock);
    c->next = connections;
    connections = c;
    (void)pthread_mutex_unlock(&lock);
    return GWH_OK;
}

void gws_statements_drop(sqlite3 *db)
{
    struct statements *c = NULL;
    (void)pthread_mutex_lock(&lock);
    for (struct statements **at = &connections; *at != NULL; at = &(*at)->next) {
        if ((*at)->db == db) {
            c = *at;
            *at = c->next;
            break;
        }
    }
    (void)pthread_mutex_unlock(&lock);
    for (unsigned i = 0; c != NULL && i < KEPT; i++) {
        (void)sqlite3_finalize(c->kept[i].s);
    }
    free(c);
}

static struct statements *statements_of(const sqlite3 *db)
{
    (void)pthread_mutex_lock(&lock);
    struct statements *c = connections;
    while (c != NULL && c->db != db) {
        c = c->next;
    }
    (void)pthread_mutex_unlock(&lock);
    return c;
}

/* ---- Errors ------------------------------------------------------------------------------------------------------ */

int gws_db_error(sqlite3 *db, struct gwh_error *err, const char *what)
{
    int code = db != NULL ? sqlite3_errcode(db) & 0xff : SQLITE_NOMEM;
    const char *text = db != NULL ? sqlite3_errmsg(db) : "no memory";
    if (code == SQLITE_CONSTRAINT) {
        return gwh_fail(err, GWH_REFUSED, "%s: it conflicts with what is there (%s)", what, text);
    }
    (void)gwh_fail(err, GWH_IO, "the database, %s: %s", what, text);
    if (code == SQLITE_FULL) {
        (void)gwh_hint(err, "the disk is full: make room where the data lies");
    } else if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
        (void)gwh_hint(err, "the file is damaged: stop the server and restore a backup");
    }
    return err->exit;
}

/* ---- A statement's life ------------------------------------------------------------------------------------------ */

/* The kept one, or a free place for it, or NULL: there is no room, or it is running already. */
static struct statement *place_of(struct statements *c, const char *sql)
{
    size_t at = c == NULL ? 0 : ((uintptr_t)sql >> 3) * 2654435761u % KEPT;
    for (unsigned i = 0; c != NULL && i < KEPT; i++) {
        struct statement *p = &c->kept[(at + i) % KEPT];
        if (p->sql == NULL || (p->sql == sql && strcmp(sqlite3_sql(p->s), sql) == 0)) {
            return p->busy ? NULL : p;
        }
    }
    return NULL;
}

static int prepare(sqlite3 *db, struct gwh_error *err, const char *sql, struct statement **place, sqlite3_stmt **s)
{
    struct statement *p = place_of(statements_of(db), sql);
    *place = p;
    if (p != NULL && p->s != NULL) {
        p->busy = true;
        *s = p->s;
        return GWH_OK;
    }
    if (sqlite3_prepare_v3(db, sql, -1, p != NULL ? SQLITE_PREPARE_PERSISTENT : 0, s, NULL) != SQLITE_OK) {
        return gws_db_error(db, err, "a statement");
    }
    if (p != NULL) {
        *p = (struct statement){.sql = sql, .s = *s, .busy = true};
    }
    return GWH_OK;
}

static void release(struct statement *place, sqlite3_stmt *s)
{
    if (place == NULL) {
        (void)sqlite3_finalize(s);
        return;
    }
    (void)sqlite3_reset(s); /* says again what step() said */
    (void)sqlite3_clear_bindings(s);
    place->busy = false;
}

/* Views are bound as they are: they live until the statement is released. */
static int bind_all(sqlite3 *db, struct gwh_error *err, sqlite3_stmt *s, const char *format, va_list args)
{
    int code = (int)strlen(format) == sqlite3_bind_parameter_count(s) ? SQLITE_OK : SQLITE_MISUSE;
    for (int i = 0; code == SQLITE_OK && format[i] != '\0'; i++) {
        if (format[i] == 'i') {
            code = sqlite3_bind_int64(s, i + 1, va_arg(args, int64_t));
        } else if (format[i] == 't') {
            code = sqlite3_bind_text(s, i + 1, va_arg(args, const char *), -1, SQLITE_STATIC);
        } else {
            struct gw_span b = va_arg(args, struct gw_span);
            code = b.p != NULL ? sqlite3_bind_blob64(s, i + 1, b.p, b.n, SQLITE_STATIC) : sqlite3_bind_null(s, i + 1);
        }
    }
    if (code == SQLITE_MISUSE) {
        return gwh_fail(err, GWH_IO, "the database: a statement and its parameters do not fit: %s", sqlite3_sql(s));
    }
    return code == SQLITE_OK ? GWH_OK : gws_db_error(db, err, "a parameter");
}

static int run(sqlite3 *db, struct gwh_error *err, int (*row)(void *ctx, sqlite3_stmt *s), void *ctx, const char *sql,
               const char *format, va_list args)
{
    struct statement *place;
    sqlite3_stmt *s = NULL;
    int e = prepare(db, err, sql, &place, &s);
    if (e != GWH_OK) {
        return e;
    }
    int code = SQLITE_DONE;
    e = bind_all(db, err, s, format, args);
    while (e == GWH_OK && (code = sqlite3_step(s)) == SQLITE_ROW) {
        e = row != NULL ? row(ctx, s) : GWH_OK;
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        e = gws_db_error(db, err, "a statement");
    }
    release(place, s);
    return e;
}

/* ---- The three ways ---------------------------------------------------------------------------------------------- */

int gws_exec(sqlite3 *db, struct gwh_error *err, const char *sql, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int e = run(db, err, NULL, NULL, sql, format, args);
    va_end(args);
    return e;
}

int gws_query(sqlite3 *db, struct gwh_error *err, int (*row)(void *ctx, sqlite3_stmt *s), void *ctx, const char *sql,
              const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int e = run(db, err, row, ctx, sql, format, args);
    va_end(args);
    return e;
}

struct number {
    int64_t value;
    bool found;
};
static int take_number(void *ctx, sqlite3_stmt *s)
{
    struct number *n = ctx;
    if (!n->found) {
        n->value = sqlite3_column_int64(s, 0);
        n->found = true;
    }
    return GWH_OK;
}

int gws_number(sqlite3 *db, struct gwh_error *err, int64_t *value, bool *found, const char *sql, const char *format,
               ...)
{
    struct number n = {0, false};
    va_list args;
    va_start(args, format);
    int e = run(db, err, take_number, &n, sql, format, args);
    va_end(args);
    *value = n.value;
    if (found != NULL) {
        *found = n.found;
    }
    return e;
}

/* ---- Columns ----------------------------------------------------------------------------------------------------- */

struct gw_span gws_column_bytes(sqlite3_stmt *s, int column)
{
    const uint8_t *p = sqlite3_column_blob(s, column);
    return (struct gw_span){p, p != NULL ? (size_t)sqlite3_column_bytes(s, column) : 0};
}

void gws_column_fixed(sqlite3_stmt *s, int column, uint8_t *out, size_t n)
{
    struct gw_span b = gws_column_bytes(s, column);
    memset(out, 0, n);
    if (b.n == n) {
        memcpy(out, b.p, n);
    }
}

const char *gws_column_text(sqlite3_stmt *s, int column)
{
    const char *text = (const char *)sqlite3_column_text(s, column);
    return text != NULL ? text : "";
}
