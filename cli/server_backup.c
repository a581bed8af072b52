/*
 * server_backup.c - godwit server backup: one archive (tar, ustar) with all that a server needs to go on elsewhere.
 *
 * What it keeps true: the database is copied by SQLite's online backup, so it is consistent while godwitd runs; every
 * payload of a release that can be rolled out is in the archive, or it fails; private keys are left out unless asked
 * for; the archive appears under its name complete, or not at all, and is 0600: it holds the SHA-256 of all tokens.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "serve.h"

#define BLOCK 512u

struct backup {
    const char *folder;
    const char *data;
    bool keys;
    int fd;
    unsigned files, payloads;
    uint64_t bytes;
    struct gwh_error *err;
};

/* ---- tar --------------------------------------------------------------------------------------------------------- */

static int put(struct backup *b, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    while (n > 0) {
        ssize_t done = write(b->fd, p, n);
        if (done < 0 && errno != EINTR) {
            return gwh_fail_errno(b->err, "cannot write the archive");
        }
        p += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return GWH_OK;
}

static int put_header(struct backup *b, const char *name, const struct stat *st)
{
    char h[BLOCK] = "";
    unsigned sum = 0;
    if (strlen(name) > 99 || st->st_size >= 0x200000000) {
        return gwh_fail(b->err, GWH_IO, "%s does not go into an archive", name);
    }
    memcpy(h, name, strlen(name));
    (void)snprintf(h + 100, 8, "%07o", (unsigned)(st->st_mode & 0777));
    (void)snprintf(h + 108, 8, "%07o", 0u);
    (void)snprintf(h + 116, 8, "%07o", 0u);
    (void)snprintf(h + 124, 12, "%011llo", (unsigned long long)st->st_size);
    (void)snprintf(h + 136, 12, "%011llo", (unsigned long long)st->st_mtime);
    memset(h + 148, ' ', 8);
    h[156] = '0';
    memcpy(h + 257, "ustar\0" "00", 8);
    for (size_t i = 0; i < BLOCK; i++) {
        sum += (unsigned char)h[i];
    }
    (void)snprintf(h + 148, 8, "%06o", sum);
    return put(b, h, BLOCK);
}

static int put_rest(struct backup *b, int from, const char *path, uint64_t size)
{
    static const uint8_t zeros[BLOCK];
    uint8_t chunk[65536];
    uint64_t left = size;
    int e = GWH_OK;
    while (e == GWH_OK && left > 0) {
        ssize_t n = read(from, chunk, left < sizeof chunk ? (size_t)left : sizeof chunk);
        if (n <= 0) {
            return n < 0 ? gwh_fail_errno(b->err, "cannot read %s", path)
                         : gwh_fail(b->err, GWH_IO, "%s became shorter while it was read", path);
        }
        e = put(b, chunk, (size_t)n);
        left -= (uint64_t)n;
    }
    return e == GWH_OK && size % BLOCK != 0 ? put(b, zeros, BLOCK - size % BLOCK) : e;
}

/* The file `path`, as `name`. */
static int put_file(struct backup *b, const char *path, const char *name)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int e = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)
                ? put_header(b, name, &st) : gwh_fail_errno(b->err, "cannot read %s", path);
    e = e == GWH_OK ? put_rest(b, fd, path, (uint64_t)st.st_size) : e;
    if (fd >= 0) {
        (void)close(fd);
    }
    b->files++;
    b->bytes += e == GWH_OK ? (uint64_t)st.st_size : 0;
    return e;
}

/* ---- What goes in ------------------------------------------------------------------------------------------------ */

static bool wanted(const struct backup *b, const char *name)
{
    size_t n = strlen(name);
    bool key = n > 4 && strcmp(name + n - 4, ".key") == 0;
    return name[0] != '.' && (b->keys || !key);
}

/* The plain files of a folder below the server's; "" for itself. */
static int put_folder(struct backup *b, const char *sub)
{
    char folder[GWH_PATH_MAX], path[GWH_PATH_MAX], name[300];
    struct dirent **names = NULL;
    struct stat st;
    int e = sub[0] != '\0' ? gwh_path(folder, b->folder, sub, b->err) : gwh_path(folder, b->folder, ".", b->err);
    int n = e == GWH_OK ? scandir(folder, &names, NULL, alphasort) : -1;
    if (e == GWH_OK && n < 0) {
        e = errno == ENOENT ? GWH_OK : gwh_fail_errno(b->err, "cannot read %s", folder);
    }
    for (int i = 0; i < n; i++) {
        const char *file = names[i]->d_name;
        e = e == GWH_OK ? gwh_path(path, folder, file, b->err) : e;
        if (e == GWH_OK && wanted(b, file) && lstat(path, &st) == 0 && S_ISREG(st.st_mode)) {
            (void)snprintf(name, sizeof name, "%s%s%s", sub, sub[0] != '\0' ? "/" : "", file);
            e = put_file(b, path, name);
        }
        free(names[i]);
    }
    free(names);
    return e;
}

static int sqlite_failed(struct backup *b, sqlite3 *db, const char *what)
{
    return gwh_fail(b->err, GWH_IO, "%s: SQLite: %s", what, db != NULL ? sqlite3_errmsg(db) : "no memory");
}

/* A copy as of one moment. */
static int copy_database(struct backup *b, const char *from, const char *to)
{
    sqlite3 *source = NULL, *copy = NULL;
    sqlite3_backup *backup = NULL;
    int e = GWH_OK;
    if (sqlite3_open_v2(from, &source, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(source, 10000) != SQLITE_OK) {
        e = sqlite_failed(b, source, from);
    } else if (sqlite3_open(to, &copy) != SQLITE_OK ||
               (backup = sqlite3_backup_init(copy, "main", source, "main")) == NULL) {
        e = sqlite_failed(b, copy, to);
    } else if (sqlite3_backup_step(backup, -1) != SQLITE_DONE) { /* all of it at once: nobody can come between */
        e = sqlite_failed(b, copy, from);
    }
    if (backup != NULL && sqlite3_backup_finish(backup) != SQLITE_OK && e == GWH_OK) {
        e = sqlite_failed(b, copy, to);
    }
    if (e == GWH_OK && sqlite3_exec(copy, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) != SQLITE_OK) {
        e = sqlite_failed(b, copy, to); /* one file, with nothing beside it */
    }
    (void)sqlite3_close(source);
    (void)sqlite3_close(copy);
    return e;
}

static int put_payload(struct backup *b, const char *hex, bool needed)
{
    char name[100], path[GWH_PATH_MAX];
    (void)snprintf(name, sizeof name, "data/blobs/%.2s/%.64s", hex, hex);
    int e = gwh_path(path, b->data, name + strlen("data/"), b->err);
    if (e == GWH_OK && !gwh_file_exists(path)) {
        return needed ? gwh_fail(b->err, GWH_REFUSED, "payload %s of a release is missing: %s", hex, path) : GWH_OK;
    }
    b->payloads++;
    return e == GWH_OK ? put_file(b, path, name) : e;
}

/* Payloads that the copy of the database names; those of releases that can be rolled out must be there. */
static int put_payloads(struct backup *b, const char *database)
{
    static const char sql[] = "SELECT lower(hex(p.name)), max(r.state = 1) FROM payload p"
                              " JOIN release r ON r.digest = p.release GROUP BY p.name";
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    int e = GWH_OK, row = SQLITE_ERROR;
    if (sqlite3_open_v2(database, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) {
        e = sqlite_failed(b, db, database);
    }
    while (e == GWH_OK && (row = sqlite3_step(s)) == SQLITE_ROW) {
        e = put_payload(b, (const char *)sqlite3_column_text(s, 0), sqlite3_column_int(s, 1) != 0);
    }
    if (e == GWH_OK && row != SQLITE_DONE) {
        e = sqlite_failed(b, db, database);
    }
    (void)sqlite3_finalize(s);
    (void)sqlite3_close(db);
    return e;
}

static int put_database(struct backup *b, const struct cli_server *s, const char *out)
{
    char database[GWH_PATH_MAX], copy[GWH_PATH_MAX + 16];
    b->data = s->config.data;
    int e = gwh_path(database, b->data, "godwit.db", b->err);
    if (e == GWH_OK && !gwh_file_exists(database)) {
        gwh_note("%s is not there: godwitd has never run; the archive has no database", database);
        return GWH_OK;
    }
    (void)snprintf(copy, sizeof copy, "%s.database", out);
    int fd = e == GWH_OK ? open(copy, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600) : -1;
    if (e == GWH_OK && fd < 0) {
        e = gwh_fail_errno(b->err, "cannot make %s", copy);
    }
    if (fd >= 0) {
        (void)close(fd);
        e = copy_database(b, database, copy);
        e = e == GWH_OK ? put_file(b, copy, "data/godwit.db") : e;
        e = e == GWH_OK ? put_payloads(b, copy) : e;
        (void)unlink(copy);
    }
    return e;
}

/* ---- The archive ------------------------------------------------------------------------------------------------- */

static int fill(struct backup *b, const struct cli_server *s, const char *out)
{
    static const char *const folders[] = {"", "tls", "ca", "mosquitto"};
    static const uint8_t zeros[2 * BLOCK];
    int e = GWH_OK;
    for (size_t i = 0; e == GWH_OK && i < sizeof folders / sizeof *folders; i++) {
        e = put_folder(b, folders[i]);
    }
    e = e == GWH_OK ? put_database(b, s, out) : e;
    e = e == GWH_OK ? put(b, zeros, sizeof zeros) : e;
    return e == GWH_OK && fsync(b->fd) != 0 ? gwh_fail_errno(b->err, "cannot write %s", out) : e;
}

int cli_server_backup(const struct gwh_args *a, struct gwh_error *err)
{
    const char *out = gwh_text(a, "o");
    char part[GWH_PATH_MAX];
    struct cli_server *s = calloc(1, sizeof *s);
    struct backup b = {.folder = a->operand[0], .keys = gwh_flag(a, "with-keys"), .err = err};
    int e = s != NULL ? cli_server_open(s, a->operand[0], err) : gwh_fail_reason(err, GW_ERR_SPACE, "backup");
    if (e == GWH_OK && gwh_file_exists(out) && !gwh_flag(a, "force")) {
        (void)gwh_fail(err, GWH_REFUSED, "%s exists and is not overwritten", out);
        e = gwh_hint(err, "choose another name, or add --force to replace it");
    }
    (void)snprintf(part, sizeof part, "%.1000s.part", out);
    b.fd = e == GWH_OK ? open(part, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    if (e == GWH_OK && b.fd < 0) {
        e = gwh_fail_errno(err, "cannot make %s", part);
    }
    e = e == GWH_OK ? fill(&b, s, part) : e;
    if (b.fd >= 0 && close(b.fd) != 0 && e == GWH_OK) {
        e = gwh_fail_errno(err, "cannot write %s", part);
    }
    if (e == GWH_OK && rename(part, out) != 0) {
        e = gwh_fail_errno(err, "cannot make %s", out);
    } else if (e != GWH_OK && b.fd >= 0) {
        (void)unlink(part);
    }
    if (e == GWH_OK) {
        gwh_note("%s: %u files, %u of them payloads, %llu bytes%s; to restore: mkdir DIR && tar -xf %s -C DIR", out,
                 b.files, b.payloads, (unsigned long long)b.bytes,
                 b.keys ? ", private keys too" : ", no private keys (--with-keys)", out);
    }
    free(s);
    return e;
}
