/*
 * db.h - the database: one SQLite file (WAL), one writer with group commit, migrations by number.
 *
 * Keeps true: what `done` was told with result GWH_OK is on the disk (synchronous=FULL) and survives kill -9 and a loss
 * of power; a change that fails leaves nothing behind and takes no other with it; one process has the file.
 *
 * The main thread reads through gws_db_reader(); nothing but the writer's thread writes.
 */
#ifndef GWS_DB_H
#define GWS_DB_H

#include <event2/event.h>
#include <sqlite3.h>

#include "error.h"

struct gws_db;

/* A change of the database. Owned by who submits it, until `done` was called. */
struct gws_change {
    /* In the writer's thread, inside a transaction. Anything but GWH_OK undoes this change; fill c->err then. */
    int (*apply)(struct gws_change *c, sqlite3 *db);
    /* In the thread of the event loop: after the commit, or after the failure. Frees the change. */
    void (*done)(struct gws_change *c);
    int result;
    struct gwh_error err;
    struct gws_change *next; /* the queue's */
};

/* Opens or makes the file, migrates it, takes its lock (GWH_REFUSED: another godwitd has it). `base` runs `done`. */
int gws_db_open(struct gws_db **db, const char *path, struct event_base *base, struct gwh_error *err);
/* Waits for what was submitted, then closes. Calls the `done` of all of it. */
void gws_db_close(struct gws_db *db);
void gws_db_submit(struct gws_db *db, struct gws_change *c);
/* Changes that wait; beyond GWS_DB_QUEUE_MAX callers answer 503. */
#define GWS_DB_QUEUE_MAX 20000u
unsigned gws_db_waiting(struct gws_db *db);
/* For the main thread; read-only. */
sqlite3 *gws_db_reader(struct gws_db *db);
/* A consistent copy while the server runs (SQLite's online backup). */
int gws_db_backup(struct gws_db *db, const char *path, struct gwh_error *err);
/* For tools and tests: opens and migrates without a writer; close with sqlite3_close(). */
int gws_db_open_plain(sqlite3 **db, const char *path, struct gwh_error *err);
#define GWS_SCHEMA_VERSION 1u /* of the newest migration */

/*
 * Statements, prepared once for each connection and kept. `sql` is a constant string; `format` has a letter for each
 * parameter: i int64_t, t const char * (may be NULL), b struct gw_span (by value; p NULL: NULL).
 */
int gws_exec(sqlite3 *db, struct gwh_error *err, const char *sql, const char *format, ...);
/* Calls `row` for each row until it returns other than GWH_OK; columns by sqlite3_column_*(). */
int gws_query(sqlite3 *db, struct gwh_error *err, int (*row)(void *ctx, sqlite3_stmt *s), void *ctx, const char *sql,
              const char *format, ...);
/* One number: *found false if there is no row. */
int gws_number(sqlite3 *db, struct gwh_error *err, int64_t *value, bool *found, const char *sql, const char *format,
               ...);
/* Rows that the last gws_exec() changed: sqlite3_changes64(db). */

#endif
