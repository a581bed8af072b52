/*
 * test_db.c - the server's database: migrations, the lock, changes in groups, statements, backup.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <semaphore.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db.h"
#include "file.h"
#include "migrations.h"

static char folder[200], path[300];
static struct event_base *base;

static int start(void **state)
{
    const char *tmp = getenv("GODWIT_TMP");
    (void)state;
    snprintf(folder, sizeof folder, "%s/db.XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/godwit.db", folder);
    base = event_base_new();
    return 0;
}

static int stop(void **state)
{
    char command[300];
    (void)state;
    event_base_free(base);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static struct gws_db *open_db(void)
{
    struct gws_db *db = NULL;
    struct gwh_error err = {0};
    int e = gws_db_open(&db, path, base, &err);
    if (e != GWH_OK) {
        print_error("%s\n", err.text);
    }
    assert_int_equal(e, GWH_OK);
    return db;
}

/* A change that sets a setting, or fails as told. */
struct setting {
    struct gws_change change;
    char name[16];
    int fail;
    int result;
    unsigned *left;
    struct gws_db *again; /* submit itself once more from done */
};
static int apply(struct gws_change *c, sqlite3 *db)
{
    struct setting *s = (struct setting *)c;
    int e = gws_exec(db, &c->err, "INSERT INTO setting(name, value) VALUES(?, ?)", "tb", s->name,
                     (struct gw_span){(const uint8_t *)"x", 1});
    return e == GWH_OK && s->fail ? gwh_fail(&c->err, GWH_REFUSED, "told to") : e;
}
static void done(struct gws_change *c)
{
    struct setting *s = (struct setting *)c;
    s->result = c->result;
    if (s->again != NULL) {
        struct gws_db *db = s->again;
        s->again = NULL;
        snprintf(s->name, sizeof s->name, "again");
        gws_db_submit(db, c);
        return;
    }
    (*s->left)--;
}
static void submit(struct gws_db *db, struct setting *s, unsigned number, unsigned *left)
{
    memset(s, 0, sizeof *s);
    s->change.apply = apply;
    s->change.done = done;
    s->left = left;
    s->result = -1;
    snprintf(s->name, sizeof s->name, "n%u", number);
    (*left)++;
    gws_db_submit(db, &s->change);
}

static int64_t count(sqlite3 *db)
{
    struct gwh_error err = {0};
    int64_t n = -1;
    assert_int_equal(gws_number(db, &err, &n, NULL, "SELECT count(*) FROM setting", ""), GWH_OK);
    return n;
}

static void a_new_file_has_the_newest_schema(void **state)
{
    struct gws_db *db = open_db();
    struct gwh_error err = {0};
    int64_t n;
    bool found;
    (void)state;
    assert_int_equal(gws_number(gws_db_reader(db), &err, &n, &found, "PRAGMA user_version", ""), GWH_OK);
    assert_true(found);
    assert_int_equal(n, GWS_SCHEMA_VERSION);
    assert_int_equal(gws_number(gws_db_reader(db), &err, &n, &found, "SELECT 1 WHERE 0", ""), GWH_OK);
    assert_false(found);
    /* the reader reads only */
    assert_int_equal(gws_exec(gws_db_reader(db), &err, "DELETE FROM setting", ""), GWH_IO);
    gws_db_close(db);
    db = open_db(); /* again */
    gws_db_close(db);
}

/* From each older schema, with what is in it. */
static void a_file_of_an_older_schema_is_brought_up(void **state)
{
    for (unsigned from = 1; from < GWS_SCHEMA_VERSION; from++) {
        struct gwh_error err = {0};
        sqlite3 *old = NULL;
        char sql[120];
        int64_t n = 0;
        (void)state;
        unlink(path);
        assert_int_equal(sqlite3_open(path, &old), SQLITE_OK);
        for (unsigned i = 0; i < from; i++) {
            assert_int_equal(sqlite3_exec(old, gws_migrations[i], NULL, NULL, NULL), SQLITE_OK);
        }
        snprintf(sql, sizeof sql, "PRAGMA user_version=%u; PRAGMA application_id=%d", from, 0x47445754);
        assert_int_equal(sqlite3_exec(old, sql, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_exec(old, "INSERT INTO setting VALUES('kept', x'01')", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(old), SQLITE_OK);
        struct gws_db *db = open_db();
        assert_int_equal(gws_number(gws_db_reader(db), &err, &n, NULL, "PRAGMA user_version", ""), GWH_OK);
        assert_int_equal(n, GWS_SCHEMA_VERSION);
        assert_int_equal(count(gws_db_reader(db)), 1);
        assert_int_equal(gws_number(gws_db_reader(db), &err, &n, NULL, "SELECT count(*) FROM former_key", ""), GWH_OK);
        gws_db_close(db);
    }
}

static void two_servers_on_one_folder_are_refused(void **state)
{
    struct gws_db *db = open_db(), *other = NULL;
    struct gwh_error err = {0};
    sqlite3 *plain = NULL;
    (void)state;
    assert_int_equal(gws_db_open(&other, path, base, &err), GWH_REFUSED);
    assert_non_null(strstr(err.text, "another process"));
    assert_true(err.hint[0] != '\0');
    memset(&err, 0, sizeof err);
    assert_int_equal(gws_db_open_plain(&plain, path, false, &err), GWH_OK); /* tools may look */
    assert_int_equal(count(plain), 0);
    gws_db_close_plain(plain);
    gws_db_close(db);
    db = open_db(); /* the lock went with it */
    gws_db_close(db);
}

static void other_files_are_refused(void **state)
{
    struct gws_db *db = NULL;
    struct gwh_error err = {0};
    sqlite3 *plain = NULL;
    (void)state;
    assert_int_equal(gws_db_open_plain(&plain, path, false, &err), GWH_IO); /* not there */
    assert_int_equal(sqlite3_open(path, &plain), SQLITE_OK);
    assert_int_equal(sqlite3_exec(plain, "CREATE TABLE t(a)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(plain);
    memset(&err, 0, sizeof err);
    assert_int_equal(gws_db_open(&db, path, base, &err), GWH_REFUSED);
    unlink(path);

    db = open_db();
    gws_db_close(db);
    assert_int_equal(sqlite3_open(path, &plain), SQLITE_OK);
    assert_int_equal(sqlite3_exec(plain, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(plain);
    memset(&err, 0, sizeof err);
    assert_int_equal(gws_db_open(&db, path, base, &err), GWH_REFUSED);
    assert_non_null(strstr(err.text, "schema 99"));
    memset(&err, 0, sizeof err);
    assert_int_equal(gws_db_open_plain(&plain, path, true, &err), GWH_REFUSED);
    unlink(path);

    struct gw_span noise = {(const uint8_t *)"this is no database, and it is long enough to be looked at", 58};
    memset(&err, 0, sizeof err);
    assert_int_equal(gwh_file_write(path, noise, 0600, true, &err), GWH_OK);
    assert_int_equal(gws_db_open(&db, path, base, &err), GWH_IO);
}

static void a_change_that_fails_takes_no_other_with_it(void **state)
{
    struct gws_db *db = open_db();
    unsigned left = 0;
    struct setting *s = calloc(1000, sizeof *s);
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        submit(db, &s[i], i % 10 == 7 ? i - 1 : i, &left); /* i - 1: is there already */
    }
    assert_true(gws_db_waiting(db) > 0);
    while (left > 0) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(s[i].result, i % 10 == 7 ? GWH_REFUSED : GWH_OK);
        assert_true(s[i].result == GWH_OK || s[i].change.err.text[0] != '\0');
    }
    assert_int_equal(gws_db_waiting(db), 0);
    assert_int_equal(count(gws_db_reader(db)), 900);
    gws_db_close(db);
    free(s);
}

static void what_was_written_before_the_refusal_is_undone(void **state)
{
    struct gws_db *db = open_db();
    unsigned left = 0;
    struct setting s[3];
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        memset(&s[i], 0, sizeof s[i]);
        s[i].change.apply = apply;
        s[i].change.done = done;
        s[i].left = &left;
        s[i].fail = i == 1;
        snprintf(s[i].name, sizeof s[i].name, "n%u", i);
        left++;
        gws_db_submit(db, &s[i].change);
    }
    while (left > 0) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    assert_int_equal(s[1].result, GWH_REFUSED);
    assert_int_equal(count(gws_db_reader(db)), 2);
    gws_db_close(db);
}

/* ---- The log ----------------------------------------------------------------------------------------------------- */

static int64_t log_size(void)
{
    char wal[320];
    struct stat st;
    snprintf(wal, sizeof wal, "%s-wal", path);
    return stat(wal, &st) == 0 ? (int64_t)st.st_size : 0;
}

static int apply_large(struct gws_change *c, sqlite3 *db)
{
    static uint8_t bytes[1 << 20];
    struct setting *s = (struct setting *)c;
    return gws_exec(db, &c->err, "INSERT OR REPLACE INTO setting(name, value) VALUES(?, ?)", "tb", s->name,
                    (struct gw_span){bytes, sizeof bytes});
}

static void write_large(struct gws_db *db, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        unsigned left = 1;
        struct setting s = {.change = {.apply = apply_large, .done = done}, .name = "large", .left = &left};
        gws_db_submit(db, &s.change);
        while (left > 0) {
            event_base_loop(base, EVLOOP_ONCE);
        }
        assert_int_equal(s.result, GWH_OK);
    }
}

/* Somebody reads for long (an audit, a copy): the log grows meanwhile, and gives its room back. */
static void the_log_gives_back_the_room_that_a_long_reader_cost(void **state)
{
    struct gws_db *db = open_db();
    struct gwh_error err = {0};
    sqlite3 *reader = NULL;
    (void)state;
    write_large(db, 1);
    assert_int_equal(gws_db_open_plain(&reader, path, false, &err), GWH_OK);
    assert_int_equal(gws_transaction(reader, &err, "BEGIN"), GWH_OK);
    assert_int_equal(count(reader), 1);
    write_large(db, 40);
    assert_true(log_size() > 38 << 20);
    assert_int_equal(gws_transaction(reader, &err, "COMMIT"), GWH_OK);
    gws_db_close_plain(reader);
    write_large(db, 10);
    assert_in_range(log_size(), 1, 17 << 20);
    gws_db_close(db);
}

/* ---- What is slow to prepare ------------------------------------------------------------------------------------- */

static sem_t go;
static unsigned prepared;
static int wait_to_go(struct gws_change *c)
{
    sem_wait(&go);
    prepared++;
    return ((struct setting *)c)->fail ? gwh_fail(&c->err, GWH_REFUSED, "told to") : GWH_OK;
}

static void submit_slow(struct gws_db *db, struct setting *s, unsigned number, bool fail, unsigned *left)
{
    *s = (struct setting){.change = {.prepare = wait_to_go, .slow = true, .apply = apply, .done = done},
                          .fail = fail, .left = left, .result = -1};
    snprintf(s->name, sizeof s->name, "n%u", number);
    (*left)++;
    gws_db_submit(db, &s->change);
}

static void what_is_slow_to_prepare_holds_nobody_up(void **state)
{
    struct gws_db *db = open_db();
    struct setting slow[3], quick[300];
    unsigned left = 0, slow_left = 0;
    (void)state;
    sem_init(&go, 0, 0);
    prepared = 0;
    for (unsigned i = 0; i < 3; i++) {
        submit_slow(db, &slow[i], 1000 + i, i == 1, &slow_left);
    }
    for (unsigned i = 0; i < 300; i++) {
        submit(db, &quick[i], i, &left);
    }
    while (left > 0) { /* nobody has let the slow ones go yet */
        event_base_loop(base, EVLOOP_ONCE);
    }
    assert_int_equal(prepared, 0);
    assert_int_equal(gws_db_waiting(db), 3);
    assert_int_equal(count(gws_db_reader(db)), 300);
    sem_post(&go);
    sem_post(&go);
    while (slow_left > 1) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    assert_int_equal(slow[0].result, GWH_OK);
    assert_int_equal(slow[1].result, GWH_REFUSED);
    assert_string_equal(slow[1].change.err.text, "told to");
    assert_int_equal(slow[2].result, -1);
    sem_post(&go);
    gws_db_close(db); /* waits for the last one */
    assert_int_equal(slow[2].result, GWH_OK);
    assert_int_equal(prepared, 3);
    sem_destroy(&go);
}

static void closing_waits_for_what_was_submitted(void **state)
{
    struct gws_db *db = open_db();
    unsigned left = 0;
    struct setting s[40];
    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        submit(db, &s[i], i, &left);
    }
    s[39].again = db; /* read by this thread only */
    gws_db_close(db);
    assert_int_equal(left, 0);
    for (unsigned i = 0; i < 39; i++) {
        assert_int_equal(s[i].result, GWH_OK);
    }
    assert_int_equal(s[39].result, GWH_IO); /* too late */
    sqlite3 *plain = NULL;
    struct gwh_error err = {0};
    assert_int_equal(gws_db_open_plain(&plain, path, false, &err), GWH_OK);
    assert_int_equal(count(plain), 40);
    gws_db_close_plain(plain);
}

static int count_inner(void *ctx, sqlite3_stmt *s)
{
    (*(int *)ctx)++;
    (void)s;
    return GWH_OK;
}
static const char names[] = "SELECT name FROM setting ORDER BY name";
struct nested {
    sqlite3 *db;
    int rows, inner;
};
static int again(void *ctx, sqlite3_stmt *s)
{
    struct nested *n = ctx;
    struct gwh_error err = {0};
    char name[16];
    snprintf(name, sizeof name, "%s", gws_column_text(s, 0));
    n->rows++;
    assert_int_equal(gws_query(n->db, &err, count_inner, &n->inner, names, ""), GWH_OK);
    assert_string_equal(name, gws_column_text(s, 0));
    return GWH_OK;
}
static int refuse(void *ctx, sqlite3_stmt *s)
{
    (void)s;
    return (*(int *)ctx)++ == 1 ? GWH_REFUSED : GWH_OK;
}

static void statements_nest_and_stop(void **state)
{
    struct gwh_error err = {0};
    struct nested n = {0};
    int rows = 0;
    (void)state;
    assert_int_equal(gws_db_open_plain(&n.db, path, true, &err), GWH_OK);
    for (int i = 0; i < 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        assert_int_equal(gws_exec(n.db, &err, "INSERT INTO setting(name, value) VALUES(?, x'00')", "t", name), GWH_OK);
        assert_int_equal(sqlite3_changes64(n.db), 1);
    }
    assert_int_equal(gws_query(n.db, &err, again, &n, names, ""), GWH_OK);
    assert_int_equal(n.rows, 5);
    assert_int_equal(n.inner, 25);
    assert_int_equal(gws_query(n.db, &err, refuse, &rows, names, ""), GWH_REFUSED);
    assert_int_equal(rows, 2);
    assert_int_equal(gws_transaction(n.db, &err, "BEGIN IMMEDIATE"), GWH_OK); /* none is left in the middle */
    assert_int_equal(gws_transaction(n.db, &err, "COMMIT"), GWH_OK);
    /* parameters that do not fit, nonsense, a foreign key */
    assert_int_equal(gws_exec(n.db, &err, "INSERT INTO setting(name, value) VALUES(?, ?)", "t", "a"), GWH_IO);
    memset(&err, 0, sizeof err);
    assert_int_equal(gws_exec(n.db, &err, "nonsense", ""), GWH_IO);
    memset(&err, 0, sizeof err);
    assert_int_equal(gws_exec(n.db, &err, "INSERT INTO tag(device, name) VALUES('nobody', 'x')", ""), GWH_REFUSED);
    memset(&err, 0, sizeof err);
    assert_int_equal(gws_exec(n.db, &err, "INSERT INTO setting(name, value) VALUES('b', ?)", "b", (struct gw_span){0}),
                     GWH_REFUSED); /* NOT NULL */
    gws_db_close_plain(n.db);
}

static void a_backup_is_whole_and_replaces_nothing(void **state)
{
    struct gws_db *db = open_db();
    struct gwh_error err = {0};
    char copy[320];
    unsigned left = 0;
    struct setting *s = calloc(2000, sizeof *s);
    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        submit(db, &s[i], i, &left);
    }
    snprintf(copy, sizeof copy, "%s/copy.db", folder);
    assert_int_equal(gws_db_backup(db, copy, &err), GWH_OK); /* while the writer writes */
    assert_int_equal(gws_db_backup(db, copy, &err), GWH_REFUSED);
    memset(&err, 0, sizeof err);
    assert_int_equal(gws_db_backup(db, "/nowhere/copy.db", &err), GWH_IO);
    gws_db_close(db);
    assert_int_equal(left, 0);
    sqlite3 *plain = NULL;
    int64_t n = 0;
    memset(&err, 0, sizeof err);
    assert_int_equal(gws_db_open_plain(&plain, copy, false, &err), GWH_OK);
    assert_int_equal(gws_number(plain, &err, &n, NULL,
                                "SELECT count(*) FROM setting WHERE name = 'n' || (SELECT count(*) - 1 FROM setting)",
                                ""), GWH_OK); /* a prefix of the history: the last of so many is there */
    assert_true(n == 1 || count(plain) == 0);
    gws_db_close_plain(plain);
    free(s);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(a_new_file_has_the_newest_schema),
        T(a_file_of_an_older_schema_is_brought_up),
        T(two_servers_on_one_folder_are_refused),
        T(other_files_are_refused),
        T(a_change_that_fails_takes_no_other_with_it),
        T(what_was_written_before_the_refusal_is_undone),
        T(closing_waits_for_what_was_submitted),
        T(what_is_slow_to_prepare_holds_nobody_up),
        T(the_log_gives_back_the_room_that_a_long_reader_cost),
        T(statements_nest_and_stop),
        T(a_backup_is_whole_and_replaces_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
