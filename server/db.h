/*
 * db.h - the database: one SQLite file (WAL), one writer with group commit, migrations by number.
 *
 * Keeps true: what `done` was told with result GWH_OK is on the disk (synchronous=FULL) and survives kill -9 and a loss
 * of power; a change that is refused leaves nothing behind and takes no other with it; when the disk fails, all that
 * were to be committed together fail with GWH_IO (whether they are there after the next start is then not known: as a
 * whole, or not at all); one process has the file.
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
    /* In the writer's thread, before the transaction begins: work that needs no database, such as verifying. May be
     * NULL. Anything but GWH_OK refuses the change. */
    int (*prepare)(struct gws_change *c);
    /* `prepare` may take long: it is called in a thread of its own, one after the other, before the change comes to the
     * writer. Others pass it by meanwhile. */
    bool slow;
    /* In the writer's thread, inside a transaction, once. Anything but GWH_OK undoes it; fill c->err then. */
    int (*apply)(struct gws_change *c, sqlite3 *db);
    /* In the thread of the event loop: after the commit, or after the failure. Frees the change. */
    void (*done)(struct gws_change *c);
    int result;
    struct gwh_error err;
    bool prepared, refused;  /* the threads': `prepare` was called, and refused it */
    struct gws_change *next; /* the queue's */
};

/* Opens or makes the file, migrates it, takes the lock beside it, PATH.lock (GWH_REFUSED: another godwitd has it).
 * `base` runs `done`. */
int gws_db_open(struct gws_db **db, const char *path, struct event_base *base, struct gwh_error *err);
/* Waits for what was submitted, then closes. Calls the `done` of all of it. */
void gws_db_close(struct gws_db *db);
void gws_db_submit(struct gws_db *db, struct gws_change *c);
#define GWS_DB_BATCH_MAX 256u /* changes in one commit */
/* Changes that were submitted and are not done; beyond GWS_DB_QUEUE_MAX callers answer 503. */
#define GWS_DB_QUEUE_MAX 20000u
unsigned gws_db_waiting(struct gws_db *db);
/* Since it was opened: transactions committed, and changes in them. */
struct gws_db_counts {
    uint64_t commits, changes;
};
struct gws_db_counts gws_db_counts(struct gws_db *db);
/* For the main thread; read-only. */
sqlite3 *gws_db_reader(struct gws_db *db);
/* A consistent copy while the server runs (SQLite's online backup); appears under `path` whole and durable, or not at
 * all; replaces nothing. The second is for tools, which have opened the file themselves. */
int gws_db_backup(struct gws_db *db, const char *path, struct gwh_error *err);
int gws_db_copy(sqlite3 *from, const char *path, struct gwh_error *err);
/* For tools and tests: opens without a writer (also beside a running server, unless the file has to be migrated). The
 * file must be there unless `make`. Close with gws_db_close_plain(): statements are kept. */
int gws_db_open_plain(sqlite3 **db, const char *path, bool make, struct gwh_error *err);
void gws_db_close_plain(sqlite3 *db);
/* Commits what a tool changes, or undoes it: gws_transaction(db, err, "BEGIN IMMEDIATE") ... "COMMIT" or "ROLLBACK". */
int gws_transaction(sqlite3 *db, struct gwh_error *err, const char *statement);
#define GWS_SCHEMA_VERSION 2u /* of the newest migration */

/*
 * Statements, prepared once for each connection and kept (128 of them). `sql` is a constant string; `format` has a
 * letter for each parameter: i int64_t, t const char * (may be NULL), b struct gw_span (by value; p NULL: NULL).
 * A constraint that is violated is GWH_REFUSED, everything else that SQLite says GWH_IO.
 */
int gws_exec(sqlite3 *db, struct gwh_error *err, const char *sql, const char *format, ...);
/* Calls `row` for each row until it returns other than GWH_OK; columns by sqlite3_column_*(). */
int gws_query(sqlite3 *db, struct gwh_error *err, int (*row)(void *ctx, sqlite3_stmt *s), void *ctx, const char *sql,
              const char *format, ...);
/* One number: *found false if there is no row. */
int gws_number(sqlite3 *db, struct gwh_error *err, int64_t *value, bool *found, const char *sql, const char *format,
               ...);
/* Rows that the last gws_exec() changed: sqlite3_changes64(db). */

/* Columns of a row: a blob or text as views, good until `row` returns; a blob of exactly n bytes, or zeros. */
struct gw_span gws_column_bytes(sqlite3_stmt *s, int column);
void gws_column_fixed(sqlite3_stmt *s, int column, uint8_t *out, size_t n);
const char *gws_column_text(sqlite3_stmt *s, int column); /* never NULL */

/* For db.c: the statements of a connection. */
int gws_statements_keep(sqlite3 *db, struct gwh_error *err);
void gws_statements_drop(sqlite3 *db);
/* What SQLite said, in `err`. */
int gws_db_error(sqlite3 *db, struct gwh_error *err, const char *what);

#endif
