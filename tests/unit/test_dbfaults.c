/*
 * test_dbfaults.c - a disk that fails at any write, sync or open, one that is full, a power loss at any moment: what
 * was acknowledged is there afterwards, what was not is there as a whole or not at all, and nothing is damaged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "db.h"
#include "faultvfs.h"

#define HISTORY 8u /* rounds of changes */
#define ROUND 3u   /* changes in each: submitted together */

static char folder[200], path[300];
static struct event_base *base;

static int start(void **state)
{
    const char *tmp = getenv("GODWIT_TMP");
    (void)state;
    snprintf(folder, sizeof folder, "%s/faults.XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/godwit.db", folder);
    base = event_base_new();
    faultvfs_install();
    return 0;
}

static int stop(void **state)
{
    char command[300];
    (void)state;
    faultvfs_remove();
    event_base_free(base);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void remove_files(void)
{
    static const char *const ends[] = {"", "-wal", "-shm", ".lock", "-journal"};
    for (unsigned i = 0; i < 5; i++) {
        char name[320];
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        (void)unlink(name);
    }
    faultvfs_reset();
}

/* ---- A history --------------------------------------------------------------------------------------------------- */

struct change {
    struct gws_change change;
    unsigned number;
    int result; /* -1: not told */
};
static unsigned left;

/* Two rows in two tables: both or neither. */
static int apply(struct gws_change *c, sqlite3 *db)
{
    struct change *k = (struct change *)c;
    char name[24], value[200];
    snprintf(name, sizeof name, "n%u", k->number);
    memset(value, (int)('a' + k->number % 26), sizeof value);
    int e = gws_exec(db, &c->err, "INSERT INTO setting(name, value) VALUES(?, ?)", "tb", name,
                     (struct gw_span){(const uint8_t *)value, sizeof value});
    return e == GWH_OK ? gws_exec(db, &c->err, "INSERT INTO audit(time, who, what, object) VALUES(1, 'x', 'y', ?)",
                                  "t", name)
                       : e;
}

static void done(struct gws_change *c)
{
    ((struct change *)c)->result = c->result;
    left--;
}

struct history {
    struct change change[HISTORY * ROUND];
    int opened;
    struct gwh_error err;
};

static void run_history(struct history *h)
{
    struct gws_db *db = NULL;
    memset(h, 0, sizeof *h);
    for (unsigned i = 0; i < HISTORY * ROUND; i++) {
        h->change[i] = (struct change){.change = {.apply = apply, .done = done}, .number = i, .result = -1};
    }
    h->opened = gws_db_open(&db, path, base, &h->err);
    for (unsigned i = 0; i < HISTORY && h->opened == GWH_OK; i++) {
        for (unsigned j = 0; j < ROUND; j++) {
            left++;
            gws_db_submit(db, &h->change[i * ROUND + j].change);
        }
        while (left > 0) {
            event_base_loop(base, EVLOOP_ONCE);
        }
        if (i == HISTORY / 2) { /* a checkpoint in the middle: the file itself is written too */
            sqlite3 *other = NULL;
            if (sqlite3_open(path, &other) == SQLITE_OK) {
                sqlite3_wal_checkpoint_v2(other, NULL, SQLITE_CHECKPOINT_FULL, NULL, NULL);
            }
            sqlite3_close(other);
        }
    }
    if (h->opened == GWH_OK) {
        gws_db_close(db);
    }
}

static int64_t ask(sqlite3 *db, const char *sql, const char *name)
{
    struct gwh_error err = {0};
    int64_t n = -1;
    if (gws_number(db, &err, &n, NULL, sql, name != NULL ? "t" : "", name) != GWH_OK) {
        fail_msg("%s: %s", sql, err.text);
    }
    return n;
}

static int take_text(void *ctx, sqlite3_stmt *s)
{
    snprintf(ctx, 100, "%s", gws_column_text(s, 0));
    return GWH_OK;
}

/* Reopens without faults. What failed (GWH_IO) may be there after all, but not in part: see db.h. */
static void check(const struct history *h, const char *what, unsigned n)
{
    struct gwh_error err = {0};
    sqlite3 *db = NULL;
    char whole[100] = "";
    if (gws_db_open_plain(&db, path, true, &err) != GWH_OK) {
        fail_msg("%s %u: cannot be opened again: %s", what, n, err.text);
    }
    assert_int_equal(gws_query(db, &err, take_text, whole, "PRAGMA integrity_check", ""), GWH_OK);
    if (strcmp(whole, "ok") != 0) {
        fail_msg("%s %u: %s", what, n, whole);
    }
    for (unsigned i = 0; i < HISTORY * ROUND; i++) {
        char name[24];
        snprintf(name, sizeof name, "n%u", i);
        int64_t a = ask(db, "SELECT count(*) FROM setting WHERE name = ?", name);
        int64_t b = ask(db, "SELECT count(*) FROM audit WHERE object = ?", name);
        int result = h->change[i].result;
        if (a != b) {
            fail_msg("%s %u: change %u is there in part", what, n, i);
        }
        if (result == GWH_OK && a != 1) {
            fail_msg("%s %u: change %u was acknowledged and is lost", what, n, i);
        }
        if (result > 0 && h->change[i].change.err.text[0] == '\0') {
            fail_msg("%s %u: change %u failed without a word", what, n, i);
        }
    }
    gws_db_close_plain(db);
}

static unsigned acknowledged(const struct history *h)
{
    unsigned n = 0;
    for (unsigned i = 0; i < HISTORY * ROUND; i++) {
        n += h->change[i].result == GWH_OK;
    }
    return n;
}

/* ---- Every operation fails once ---------------------------------------------------------------------------------- */

static void fail_each(enum faultvfs_kind kind, const char *name, bool stays)
{
    static struct history h;
    unsigned failed = 0;
    remove_files();
    run_history(&h);
    assert_int_equal(acknowledged(&h), HISTORY * ROUND);
    unsigned all = faultvfs_count(kind);
    assert_true(all > 0);
    for (unsigned n = 1; n <= all; n++) {
        remove_files();
        faultvfs_fail(kind, n, stays);
        run_history(&h);
        failed += h.opened != GWH_OK || acknowledged(&h) < HISTORY * ROUND;
        assert_true(h.opened == GWH_OK || h.err.text[0] != '\0');
        faultvfs_fail(kind, 0, false);
        check(&h, name, n);
    }
    print_message("# %s: %u places, %u were felt\n", name, all, failed);
    assert_true(failed > 0);
}

static void every_write_fails_once(void **state)
{
    (void)state;
    fail_each(FAULTVFS_WRITE, "write", false);
}
static void every_sync_fails_once(void **state)
{
    (void)state;
    fail_each(FAULTVFS_SYNC, "sync", false);
}
static void syncs_fail_from_any_on(void **state)
{
    (void)state;
    fail_each(FAULTVFS_SYNC, "syncs", true);
}
static void the_disk_is_full_from_any_write_on(void **state)
{
    (void)state;
    fail_each(FAULTVFS_FULL, "full", true);
}
static void every_open_fails_once(void **state)
{
    (void)state;
    fail_each(FAULTVFS_OPEN, "open", false);
}

/* ---- The power is lost ------------------------------------------------------------------------------------------- */

static void the_power_is_lost_at_any_operation(void **state)
{
    static struct history h;
    unsigned least = HISTORY * ROUND, most = 0, cut = 0;
    (void)state;
    remove_files();
    run_history(&h);
    unsigned all = faultvfs_operations();
    assert_true(all > 50);
    for (unsigned n = 1; n <= all; n++) {
        for (unsigned keep = 0; keep < 4; keep++) {
            remove_files();
            faultvfs_cut_at(n);
            run_history(&h);
            cut += faultvfs_is_cut(); /* a busy PC groups commits otherwise: it may have ended before, whole */
            faultvfs_restore(keep == 0 ? 0 : n * 7 + keep);
            faultvfs_reset();
            least = acknowledged(&h) < least ? acknowledged(&h) : least;
            most = acknowledged(&h) > most ? acknowledged(&h) : most;
            check(&h, "power lost at", n * 10 + keep);
        }
    }
    print_message("# power: %u moments, 4 ways each; %u to %u changes were acknowledged before\n", all, least, most);
    assert_int_equal(least, 0);
    assert_true(most > HISTORY);
    assert_true(cut > all * 4 * 3 / 4);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(every_write_fails_once),
        T(every_sync_fails_once),
        T(syncs_fail_from_any_on),
        T(the_disk_is_full_from_any_write_on),
        T(every_open_fails_once),
        T(the_power_is_lost_at_any_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
