/*
 * load_main.c - the server's database and blobs under load, to be killed: every acknowledgement is a line on stdout.
 *
 *    server-load run DIR FIRST [LIMIT]   from change number FIRST on, without end. LIMIT: largest file, bytes (a disk
 *                                        that fills up). Prints "ack N" or "blob N BYTES", "failed N TEXT"
 *    server-load check DIR               reads such lines; is all of it there, and nothing in part?
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "blobs.h"
#include "db.h"
#include "resources.h"

#define OUTSTANDING 64u
#define PART 1000u
#define BLOB 1000000u

struct one {
    struct gws_change change;
    unsigned long number;
    char device[24];
    struct gw_report report;
    uint8_t key[64], cose[300];
};
static struct gws_db *db;
static struct gws_blobs blobs;
static unsigned long next;
static uint64_t blob_at;

static void line(const char *format, unsigned long n, unsigned long long m, const char *text)
{
    char out[700];
    int size = snprintf(out, sizeof out, format, n, m, text);
    if (write(1, out, (size_t)size) != size) {
        _exit(3);
    }
}

/* One report, and its line in the audit log: both or neither. */
static int apply(struct gws_change *c, sqlite3 *conn)
{
    struct one *o = (struct one *)c;
    struct gws_storing k = {.device = o->device, .key = o->key, .cose = {o->cose, sizeof o->cose},
                            .report = &o->report, .now = 1000};
    int e = gws_exec(conn, &c->err,
                     "INSERT INTO device(id, class, created, origin) VALUES(?, zeroblob(16), 1, 'import')"
                     " ON CONFLICT DO NOTHING",
                     "t", o->device);
    e = e == GWH_OK ? gws_report_store(&k, conn, &c->err) : e;
    return e == GWH_OK ? gws_exec(conn, &c->err,
                                  "INSERT INTO audit(time, who, what, object) VALUES(1, 'load', 'report', ?)", "t",
                                  o->device)
                       : e;
}

static void name_blob(uint8_t name[32])
{
    memset(name, 0x5a, 32);
}

static void put_part(void)
{
    uint8_t name[32], bytes[PART];
    struct gwh_error err = {0};
    uint64_t there = 0;
    name_blob(name);
    memset(bytes, (int)(blob_at / PART), sizeof bytes);
    if (blob_at < BLOB &&
        gws_upload_put(&blobs, name, blob_at, (struct gw_span){bytes, PART}, &there, &err) == GWH_OK) {
        blob_at = there;
        line("blob %lu %llu%s\n", 0, there, "");
    }
}

static void submit(struct one *o)
{
    o->number = next++;
    snprintf(o->device, sizeof o->device, "device-%lu", o->number);
    o->report = (struct gw_report){.counter = 1, .state = GW_REPORT_STAGED, .release = {1, 2}};
    memset(o->cose, (int)o->number, sizeof o->cose);
    memset(&o->change.err, 0, sizeof o->change.err);
    gws_db_submit(db, &o->change);
}

static void done(struct gws_change *c)
{
    struct one *o = (struct one *)c;
    if (c->result == GWH_OK) {
        line("ack %lu%.0llu%s\n", o->number, 0, "");
    } else {
        line("failed %lu%.0llu %s\n", o->number, 0, c->err.text);
    }
    if (o->number % 16 == 0) {
        put_part();
    }
    submit(o);
}

static int fail(const struct gwh_error *err)
{
    fprintf(stderr, "%s\n", err->text);
    return 2;
}

static int run(const char *dir, const char *path)
{
    static struct one all[OUTSTANDING];
    struct gwh_error err = {0};
    uint8_t name[32];
    sqlite3 *plain = NULL;
    name_blob(name);
    if (gws_blobs_open(&blobs, dir, &err) != GWH_OK || gws_db_open_plain(&plain, path, true, &err) != GWH_OK ||
        gws_transaction(plain, &err, "INSERT INTO class(id, vendor, name, created) VALUES(zeroblob(16), 'x', 'y', 1)"
                                     " ON CONFLICT DO NOTHING") != GWH_OK ||
        gws_upload_begin(&blobs, name, BLOB, &blob_at, &err) != GWH_OK) {
        return fail(&err);
    }
    gws_db_close_plain(plain);
    struct event_base *base = event_base_new();
    if (gws_db_open(&db, path, base, &err) != GWH_OK) {
        event_base_free(base);
        return fail(&err);
    }
    for (unsigned i = 0; i < OUTSTANDING; i++) {
        all[i].change = (struct gws_change){.apply = apply, .done = done};
        submit(&all[i]);
    }
    return event_base_dispatch(base);
}

/* ---- Afterwards -------------------------------------------------------------------------------------------------- */

static int64_t ask(sqlite3 *conn, const char *sql, const char *device)
{
    struct gwh_error err = {0};
    int64_t n = -1;
    (void)gws_number(conn, &err, &n, NULL, sql, device != NULL ? "t" : "", device);
    return n;
}

static int take_text(void *ctx, sqlite3_stmt *s)
{
    snprintf(ctx, 100, "%s", gws_column_text(s, 0));
    return GWH_OK;
}

static unsigned check_line(sqlite3 *conn, const char *text)
{
    unsigned long number;
    unsigned long long bytes;
    uint64_t there = 0;
    char device[24];
    uint8_t name[32];
    struct gwh_error err = {0};
    name_blob(name);
    if (sscanf(text, "blob 0 %llu", &bytes) == 1) {
        return gws_upload_begin(&blobs, name, BLOB, &there, &err) != GWH_OK || there < bytes;
    }
    if (sscanf(text, "ack %lu", &number) != 1) {
        return 0;
    }
    snprintf(device, sizeof device, "device-%lu", number);
    return ask(conn, "SELECT count(*) FROM report WHERE device = ?", device) != 1;
}

static int check(const char *dir, const char *path)
{
    char text[800], whole[100] = "";
    struct gwh_error err = {0};
    sqlite3 *conn = NULL;
    unsigned lost = 0, lines = 0;
    if (gws_blobs_open(&blobs, dir, &err) != GWH_OK || gws_db_open_plain(&conn, path, false, &err) != GWH_OK ||
        gws_query(conn, &err, take_text, whole, "PRAGMA integrity_check", "") != GWH_OK) {
        return fail(&err);
    }
    while (fgets(text, sizeof text, stdin) != NULL) {
        lost += strchr(text, '\n') != NULL ? check_line(conn, text) : 0;
        lines++;
    }
    int64_t torn = ask(conn, "SELECT count(*) FROM device WHERE id NOT IN (SELECT device FROM report)", NULL) +
                   ask(conn, "SELECT count(*) FROM report WHERE device NOT IN (SELECT object FROM audit)", NULL) +
                   ask(conn, "SELECT abs((SELECT count(*) FROM report) - (SELECT count(*) FROM audit))", NULL);
    printf("%u lines, %u lost, %d in part, %s\n", lines, lost, (int)torn, whole);
    gws_db_close_plain(conn);
    return lost == 0 && torn == 0 && strcmp(whole, "ok") == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    char path[GWH_PATH_MAX];
    struct gwh_error err = {0};
    if (argc < 3 || gwh_path(path, argv[2], "godwit.db", &err) != GWH_OK) {
        fprintf(stderr, "usage: server-load run DIR FIRST [LIMIT] | check DIR\n");
        return 2;
    }
    next = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    if (argc > 4) {
        struct rlimit limit = {strtoul(argv[4], NULL, 10), RLIM_INFINITY};
        (void)signal(SIGXFSZ, SIG_IGN);
        (void)setrlimit(RLIMIT_FSIZE, &limit);
    }
    return strcmp(argv[1], "run") == 0 ? run(argv[2], path) : check(argv[2], path);
}
