/*
 * db.c - the database: file, lock, migrations, the writer's thread. See db.h.
 *
 * The writer takes what waits, up to a batch, runs each change in a savepoint of one transaction, commits, and hands
 * the changes back to the event loop over an eventfd. It never waits for more to come: while one commit runs, the next
 * batch gathers by itself. What is slow to prepare is prepared by a second thread, which then queues it for the writer.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <unistd.h>

#include "db.h"
#include "file.h"
#include "migrations.h"

#define BUSY_MS 5000
#define LOG_KEPT "16777216" /* bytes of the log that stay when a long reader, who made it longer, has gone */
#define APPLICATION_ID 0x47445754 /* "GDWT" */

struct list {
    struct gws_change *first, *last;
};
struct gws_db {
    sqlite3 *writer, *reader;
    int lock, wake;
    struct event *event;
    pthread_t thread, preparer;
    bool started, preparing;
    pthread_mutex_t mutex;
    pthread_cond_t more, more_slow;
    /* Under the mutex: */
    struct list queue, slow, done;
    unsigned waiting;
    struct gws_db_counts counts;
    bool stop, stop_slow;
};

static void append(struct list *l, struct gws_change *c)
{
    c->next = NULL;
    if (l->first == NULL) {
        l->first = c;
    } else {
        l->last->next = c;
    }
    l->last = c;
}

static struct gws_change *take(struct list *l)
{
    struct gws_change *c = l->first;
    if (c != NULL) {
        l->first = c->next;
        c->next = NULL;
    }
    return c;
}

/* ---- A connection ------------------------------------------------------------------------------------------------ */

static int pragma(sqlite3 *db, struct gwh_error *err, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? GWH_OK : gws_db_error(db, err, sql);
}

int gws_transaction(sqlite3 *db, struct gwh_error *err, const char *statement)
{
    return pragma(db, err, statement);
}

void gws_db_close_plain(sqlite3 *db)
{
    if (db != NULL) {
        gws_statements_drop(db);
        (void)sqlite3_close(db);
    }
}

static int connect_to(sqlite3 **out, const char *path, int flags, struct gwh_error *err)
{
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    int e = code == SQLITE_OK ? GWH_OK : gwh_fail(err, GWH_IO, "cannot open the database %s: %s", path,
                                                  db != NULL ? sqlite3_errmsg(db) : "no memory");
    if (e == GWH_OK) {
        (void)sqlite3_busy_timeout(db, BUSY_MS);
        (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
        e = pragma(db, err, "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cell_size_check=ON;"
                            " PRAGMA journal_size_limit=" LOG_KEPT);
    }
    e = e == GWH_OK ? gws_statements_keep(db, err) : e;
    if (e != GWH_OK) {
        gws_db_close_plain(db);
        return e;
    }
    *out = db;
    return GWH_OK;
}

/* A new file's name is durable before anybody relies on it. */
static int sync_folder(const char *path, struct gwh_error *err)
{
    char copy[GWH_PATH_MAX];
    (void)snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int e = fd >= 0 && fsync(fd) == 0 ? GWH_OK : gwh_fail_errno(err, "cannot make the folder of %s durable", path);
    if (fd >= 0) {
        (void)close(fd);
    }
    return e;
}

/* ---- The lock ---------------------------------------------------------------------------------------------------- */

static int lock_path(char out[GWH_PATH_MAX], const char *path, struct gwh_error *err)
{
    return snprintf(out, GWH_PATH_MAX, "%s.lock", path) < GWH_PATH_MAX
               ? GWH_OK
               : gwh_fail(err, GWH_IO, "the path %.80s... is too long", path);
}

static int take_lock(int *fd, const char *path, struct gwh_error *err)
{
    char name[GWH_PATH_MAX];
    int e = lock_path(name, path, err);
    if (e != GWH_OK) {
        return e;
    }
    *fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd < 0) {
        return gwh_fail_errno(err, "cannot open %s", name);
    }
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0) {
        return GWH_OK;
    }
    e = errno == EWOULDBLOCK ? gwh_fail(err, GWH_REFUSED, "another process has %s open", path)
                             : gwh_fail_errno(err, "cannot lock %s", name);
    (void)gwh_hint(err, "one godwitd has one folder of data: stop the other, or choose another folder");
    (void)close(*fd);
    *fd = -1;
    return e;
}

/* ---- Migrations -------------------------------------------------------------------------------------------------- */

static int version_of(sqlite3 *db, struct gwh_error *err, int64_t *version)
{
    int64_t id = 0, tables = 0;
    int e = gws_number(db, err, version, NULL, "PRAGMA user_version", "");
    e = e == GWH_OK ? gws_number(db, err, &id, NULL, "PRAGMA application_id", "") : e;
    e = e == GWH_OK ? gws_number(db, err, &tables, NULL, "SELECT count(*) FROM sqlite_schema", "") : e;
    if (e == GWH_OK && (*version != 0 || tables != 0) && id != APPLICATION_ID) {
        return gwh_fail(err, GWH_REFUSED, "the file is a database, but not one of godwitd");
    }
    if (e == GWH_OK && *version > (int64_t)GWS_SCHEMA_VERSION) {
        (void)gwh_fail(err, GWH_REFUSED, "the database is of schema %d, and this program knows %u", (int)*version,
                       GWS_SCHEMA_VERSION);
        return gwh_hint(err, "a newer godwitd has had it: use that, or restore a backup");
    }
    return e;
}

static int migrate_steps(sqlite3 *db, struct gwh_error *err)
{
    int64_t at = 0;
    char sql[80];
    int e = version_of(db, err, &at); /* again: nobody changes it now */
    while (e == GWH_OK && gws_migrations[at] != NULL) {
        e = pragma(db, err, gws_migrations[at++]);
    }
    (void)snprintf(sql, sizeof sql, "PRAGMA user_version=%d; PRAGMA application_id=%d", (int)at, APPLICATION_ID);
    return e == GWH_OK ? pragma(db, err, sql) : e;
}

static int migrate(sqlite3 *db, struct gwh_error *err)
{
    struct gwh_error ignored = {0};
    int e = pragma(db, err, "PRAGMA journal_mode=WAL");
    e = e == GWH_OK ? pragma(db, err, "BEGIN IMMEDIATE") : e;
    if (e != GWH_OK) {
        return e;
    }
    e = migrate_steps(db, err);
    e = e == GWH_OK ? pragma(db, err, "COMMIT") : e;
    if (!sqlite3_get_autocommit(db)) {
        (void)pragma(db, &ignored, "ROLLBACK");
    }
    return e;
}

static bool is_wal(sqlite3 *db)
{
    struct gwh_error ignored = {0};
    int64_t version = 0;
    sqlite3_stmt *s = NULL;
    bool wal = sqlite3_prepare_v2(db, "PRAGMA journal_mode", -1, &s, NULL) == SQLITE_OK &&
               sqlite3_step(s) == SQLITE_ROW && strcmp(gws_column_text(s, 0), "wal") == 0;
    (void)sqlite3_finalize(s);
    return wal && version_of(db, &ignored, &version) == GWH_OK && version == (int64_t)GWS_SCHEMA_VERSION;
}

int gws_db_open_plain(sqlite3 **db, const char *path, bool make, struct gwh_error *err)
{
    int64_t version = 0;
    int lock = -1;
    int e = connect_to(db, path, SQLITE_OPEN_READWRITE | (make ? SQLITE_OPEN_CREATE : 0), err);
    if (e != GWH_OK) {
        return e;
    }
    e = version_of(*db, err, &version);
    if (e == GWH_OK && !is_wal(*db)) {
        e = take_lock(&lock, path, err);
        e = e == GWH_OK ? migrate(*db, err) : e;
        e = e == GWH_OK ? sync_folder(path, err) : e;
    }
    if (lock >= 0) {
        (void)close(lock);
    }
    if (e != GWH_OK) {
        gws_db_close_plain(*db);
        *db = NULL;
    }
    return e;
}

/* ---- A batch ----------------------------------------------------------------------------------------------------- */

/* GWH_OK: the transaction goes on, whatever the change said; else it is lost. */
static int run_change(sqlite3 *db, struct gws_change *c, struct gwh_error *err)
{
    if (c->refused) {
        return GWH_OK;
    }
    int e = gws_exec(db, err, "SAVEPOINT change", "");
    if (e != GWH_OK) {
        return e;
    }
    c->result = c->apply(c, db);
    if (sqlite3_get_autocommit(db)) { /* the disk or memory failed: SQLite undid all of it */
        *err = c->err;
        return gwh_fail(err, GWH_IO, "the database gave up the transaction");
    }
    if (c->result != GWH_OK) {
        e = gws_exec(db, err, "ROLLBACK TO change", "");
    }
    return e == GWH_OK ? gws_exec(db, err, "RELEASE change", "") : e;
}

static void fail_all(struct list *batch, const struct gwh_error *err)
{
    for (struct gws_change *c = batch->first; c != NULL; c = c->next) {
        if (!c->refused) {
            c->result = GWH_IO;
            c->err = *err;
            c->err.exit = GWH_IO;
            c->err.reason = 0;
        }
    }
}

static void prepare(struct gws_change *c)
{
    memset(&c->err, 0, sizeof c->err);
    c->result = c->prepare != NULL ? c->prepare(c) : GWH_OK;
    c->refused = c->result != GWH_OK;
}

/* Also what was refused fails when the commit does: it was judged by what is not there now. */
static struct gws_db_counts run_batch(sqlite3 *db, struct list *batch)
{
    struct gws_db_counts done = {1, 0};
    struct gwh_error err = {0}, ignored = {0};
    for (struct gws_change *c = batch->first; c != NULL; c = c->next) {
        if (!c->prepared) {
            prepare(c);
        }
        c->prepared = false; /* it may be submitted again */
    }
    int e = gws_exec(db, &err, "BEGIN IMMEDIATE", "");
    for (struct gws_change *c = batch->first; e == GWH_OK && c != NULL; c = c->next) {
        e = run_change(db, c, &err);
    }
    e = e == GWH_OK ? gws_exec(db, &err, "COMMIT", "") : e;
    if (!sqlite3_get_autocommit(db)) {
        (void)pragma(db, &ignored, "ROLLBACK");
    }
    if (e != GWH_OK) {
        fail_all(batch, &err);
        return (struct gws_db_counts){0, 0};
    }
    for (const struct gws_change *c = batch->first; c != NULL; c = c->next) {
        done.changes += c->result == GWH_OK;
    }
    return done;
}

/* ---- The writer -------------------------------------------------------------------------------------------------- */

static bool next_batch(struct gws_db *db, struct list *batch)
{
    *batch = (struct list){0};
    (void)pthread_mutex_lock(&db->mutex);
    while (db->queue.first == NULL && !db->stop) {
        (void)pthread_cond_wait(&db->more, &db->mutex);
    }
    for (unsigned n = 0; n < GWS_DB_BATCH_MAX && db->queue.first != NULL; n++) {
        append(batch, take(&db->queue));
    }
    (void)pthread_mutex_unlock(&db->mutex);
    return batch->first != NULL;
}

static void hand_back(struct gws_db *db, struct list *batch, struct gws_db_counts did)
{
    uint64_t one = 1;
    (void)pthread_mutex_lock(&db->mutex);
    db->counts.commits += did.commits;
    db->counts.changes += did.changes;
    for (struct gws_change *c = take(batch); c != NULL; c = take(batch)) {
        append(&db->done, c);
    }
    (void)pthread_mutex_unlock(&db->mutex);
    (void)!write(db->wake, &one, sizeof one); /* fails only when it is awake already */
}

static void *writer(void *arg)
{
    struct gws_db *db = arg;
    struct list batch;
    while (next_batch(db, &batch)) {
        struct gws_db_counts did = run_batch(db->writer, &batch);
        hand_back(db, &batch, did);
    }
    return NULL;
}

/* ---- What is slow to prepare ------------------------------------------------------------------------------------- */

/* The next one; NULL: the end. */
static struct gws_change *next_slow(struct gws_db *db)
{
    (void)pthread_mutex_lock(&db->mutex);
    while (db->slow.first == NULL && !db->stop_slow) {
        (void)pthread_cond_wait(&db->more_slow, &db->mutex);
    }
    struct gws_change *c = take(&db->slow);
    (void)pthread_mutex_unlock(&db->mutex);
    return c;
}

static void *preparer(void *arg)
{
    struct gws_db *db = arg;
    struct gws_change *c;
    while ((c = next_slow(db)) != NULL) {
        prepare(c);
        c->prepared = true;
        (void)pthread_mutex_lock(&db->mutex);
        append(&db->queue, c);
        (void)pthread_cond_signal(&db->more);
        (void)pthread_mutex_unlock(&db->mutex);
    }
    return NULL;
}

/* ---- Back to the event loop -------------------------------------------------------------------------------------- */

/* In the event loop's thread. What `done` submits is dealt with later. */
static void deliver(struct gws_db *db)
{
    (void)pthread_mutex_lock(&db->mutex);
    struct list done = db->done;
    db->done = (struct list){0};
    for (struct gws_change *c = done.first; c != NULL; c = c->next) {
        db->waiting--;
    }
    (void)pthread_mutex_unlock(&db->mutex);
    for (struct gws_change *c = take(&done); c != NULL; c = take(&done)) {
        c->done(c);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    uint64_t count;
    (void)what;
    (void)!read(fd, &count, sizeof count);
    deliver(arg);
}

static int start_threads(struct gws_db *db, struct gwh_error *err)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the event loop's */
    int code = pthread_create(&db->thread, NULL, writer, db);
    db->started = code == 0;
    code = db->started ? pthread_create(&db->preparer, NULL, preparer, db) : code;
    db->preparing = code == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = code;
    return code == 0 ? GWH_OK : gwh_fail_errno(err, "the database's writer");
}

static int start_writer(struct gws_db *db, struct event_base *base, struct gwh_error *err)
{
    db->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (db->wake < 0) {
        return gwh_fail_errno(err, "the database's writer");
    }
    db->event = event_new(base, db->wake, EV_READ | EV_PERSIST, on_wake, db);
    if (db->event == NULL || event_add(db->event, NULL) != 0) {
        return gwh_fail(err, GWH_IO, "the database's writer: no event");
    }
    return start_threads(db, err);
}

/* ---- Its life ---------------------------------------------------------------------------------------------------- */

static int open_all(struct gws_db *db, const char *path, struct event_base *base, struct gwh_error *err)
{
    int64_t version;
    int e = take_lock(&db->lock, path, err);
    e = e == GWH_OK ? connect_to(&db->writer, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err) : e;
    e = e == GWH_OK ? version_of(db->writer, err, &version) : e;
    e = e == GWH_OK ? migrate(db->writer, err) : e;
    e = e == GWH_OK ? sync_folder(path, err) : e;
    e = e == GWH_OK ? connect_to(&db->reader, path, SQLITE_OPEN_READONLY, err) : e;
    return e == GWH_OK ? start_writer(db, base, err) : e;
}

int gws_db_open(struct gws_db **out, const char *path, struct event_base *base, struct gwh_error *err)
{
    struct gws_db *db = calloc(1, sizeof *db);
    if (db == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "the database");
    }
    db->lock = db->wake = -1;
    (void)pthread_mutex_init(&db->mutex, NULL);
    (void)pthread_cond_init(&db->more, NULL);
    (void)pthread_cond_init(&db->more_slow, NULL);
    int e = open_all(db, path, base, err);
    if (e != GWH_OK) {
        gws_db_close(db);
        return e;
    }
    *out = db;
    return GWH_OK;
}

/* First the preparer, which still hands over what it has, then the writer. */
static void stop_writer(struct gws_db *db)
{
    (void)pthread_mutex_lock(&db->mutex);
    db->stop_slow = true;
    (void)pthread_cond_signal(&db->more_slow);
    (void)pthread_mutex_unlock(&db->mutex);
    if (db->preparing) {
        (void)pthread_join(db->preparer, NULL);
    }
    (void)pthread_mutex_lock(&db->mutex);
    db->stop = true;
    (void)pthread_cond_signal(&db->more);
    (void)pthread_mutex_unlock(&db->mutex);
    if (db->started) {
        (void)pthread_join(db->thread, NULL);
    }
    while (db->done.first != NULL) {
        deliver(db);
    }
}

void gws_db_close(struct gws_db *db)
{
    if (db == NULL) {
        return;
    }
    stop_writer(db);
    if (db->event != NULL) {
        event_free(db->event);
    }
    gws_db_close_plain(db->reader);
    gws_db_close_plain(db->writer); /* the last one out moves the log into the file */
    if (db->wake >= 0) {
        (void)close(db->wake);
    }
    if (db->lock >= 0) {
        (void)close(db->lock);
    }
    (void)pthread_mutex_destroy(&db->mutex);
    (void)pthread_cond_destroy(&db->more);
    (void)pthread_cond_destroy(&db->more_slow);
    free(db);
}

void gws_db_submit(struct gws_db *db, struct gws_change *c)
{
    (void)pthread_mutex_lock(&db->mutex);
    db->waiting++;
    if (db->stop) { /* from a `done` of the last ones */
        c->result = gwh_fail(&c->err, GWH_IO, "the server is going down");
    }
    append(db->stop ? &db->done : c->slow ? &db->slow : &db->queue, c);
    (void)pthread_cond_signal(c->slow ? &db->more_slow : &db->more);
    (void)pthread_mutex_unlock(&db->mutex);
}

unsigned gws_db_waiting(struct gws_db *db)
{
    (void)pthread_mutex_lock(&db->mutex);
    unsigned n = db->waiting;
    (void)pthread_mutex_unlock(&db->mutex);
    return n;
}

struct gws_db_counts gws_db_counts(struct gws_db *db)
{
    (void)pthread_mutex_lock(&db->mutex);
    struct gws_db_counts counts = db->counts;
    (void)pthread_mutex_unlock(&db->mutex);
    return counts;
}

sqlite3 *gws_db_reader(struct gws_db *db)
{
    return db->reader;
}

/* ---- Backup ------------------------------------------------------------------------------------------------------ */

static int copy_pages(sqlite3 *from, sqlite3 *to, struct gwh_error *err)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    if (b == NULL) {
        return gws_db_error(to, err, "the copy");
    }
    int code = sqlite3_backup_step(b, -1); /* all at once: one state, and nobody can make it begin again */
    int finish = sqlite3_backup_finish(b);
    return code == SQLITE_DONE && finish == SQLITE_OK ? GWH_OK : gws_db_error(to, err, "the copy");
}

static int sync_file(const char *path, struct gwh_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int e = fd >= 0 && fsync(fd) == 0 ? GWH_OK : gwh_fail_errno(err, "cannot write %s", path);
    if (fd >= 0) {
        (void)close(fd);
    }
    return e;
}

int gws_db_copy(sqlite3 *from, const char *path, struct gwh_error *err)
{
    char part[GWH_PATH_MAX + 8];
    sqlite3 *to = NULL;
    if (snprintf(part, sizeof part, "%s.part", path) >= GWH_PATH_MAX) {
        return gwh_fail(err, GWH_IO, "the path %.80s... is too long", path);
    }
    (void)unlink(part);
    int code = sqlite3_open_v2(part, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXRESCODE, NULL);
    int e = code == SQLITE_OK ? copy_pages(from, to, err) : gws_db_error(to, err, part);
    if (sqlite3_close(to) != SQLITE_OK && e == GWH_OK) {
        e = gwh_fail(err, GWH_IO, "cannot close %s", part);
    }
    e = e == GWH_OK ? sync_file(part, err) : e;
    if (e == GWH_OK && link(part, path) != 0) {
        e = errno == EEXIST ? gwh_fail(err, GWH_REFUSED, "%s exists and is not overwritten", path)
                            : gwh_fail_errno(err, "cannot create %s", path);
    }
    (void)unlink(part);
    return e == GWH_OK ? sync_folder(path, err) : e;
}

int gws_db_backup(struct gws_db *db, const char *path, struct gwh_error *err)
{
    return gws_db_copy(db->reader, path, err);
}
