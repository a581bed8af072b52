/*
 * store_folder.c - a repository in a folder: what is put is written beside its place, forced to the disk and renamed.
 *
 *     DIR/offers  DIR/payloads  DIR/releases
 *     DIR/.lock                 held by the one who publishes, and let go when its process ends, however it ends
 *     DIR/payloads/.tmp-XXXXXX  a file on its way; one that was left by a process that died is removed by the next
 *
 * Below DIR no symbolic link is followed and nothing but regular files is read or replaced: whoever may write into one
 * of the folders does not get to send a publisher elsewhere.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "keys.h"
#include "publish_store.h"

#define CHUNK 65536u
#define LOCK_PATIENCE_MS 60000u
#define LOCK_PAUSE_MS 50u
#define TEMPORARY ".tmp-"

struct folder {
    char path[GWH_PATH_MAX];
    int fd;   /* -1: it is not there, and nobody asked to write */
    int lock; /* -1: not held */
};

static const char *const folders[] = {"offers", "payloads", "releases"};

/* ---- The three folders ------------------------------------------------------------------------------------------- */

static int is_no_folder(const struct folder *f, const char *name, struct gwh_error *err)
{
    if (errno != ENOTDIR && errno != ELOOP) {
        return gwh_fail_errno(err, "cannot open %s/%s", f->path, name);
    }
    return gwh_fail(err, GWH_IO, "%s/%s is no folder (a symbolic link is not followed there)", f->path, name);
}

/* The folder that `name` lies in, open; -1 if it is not there, which is no failure. */
static int open_folder(const struct folder *f, const char *name, int *fd, struct gwh_error *err)
{
    char part[GWH_STORE_NAME_MAX];
    size_t n = strcspn(name, "/");
    *fd = -1;
    if (f->fd < 0 || n >= sizeof part) {
        return GWH_OK;
    }
    memcpy(part, name, n);
    part[n] = '\0';
    *fd = openat(f->fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *fd >= 0 || errno == ENOENT ? GWH_OK : is_no_folder(f, part, err);
}

static int make_folder(const struct folder *f, const char *name, struct gwh_error *err)
{
    if (mkdirat(f->fd, name, 0777) != 0 && errno != EEXIST) {
        return gwh_fail_errno(err, "cannot make the folder %s/%s", f->path, name);
    }
    return GWH_OK;
}

/* Files of publishers that died: the lock says that no other is at work. */
static int sweep(const struct folder *f, const char *name, struct gwh_error *err)
{
    int fd;
    int e = open_folder(f, name, &fd, err);
    if (e != GWH_OK || fd < 0) {
        return e;
    }
    DIR *d = fdopendir(fd);
    if (d == NULL) {
        (void)close(fd);
        return gwh_fail_errno(err, "cannot read %s/%s", f->path, name);
    }
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        if (strncmp(entry->d_name, TEMPORARY, strlen(TEMPORARY)) == 0) {
            (void)unlinkat(dirfd(d), entry->d_name, 0);
        }
    }
    (void)closedir(d);
    return GWH_OK;
}

/* ---- look, get --------------------------------------------------------------------------------------------------- */

/* The file, open; -1 if it is not there. */
static int open_file(const struct folder *f, const char *name, int *fd, struct stat *st, struct gwh_error *err)
{
    int at;
    *fd = -1;
    int e = gwh_store_check_name(name, err);
    e = e == GWH_OK ? open_folder(f, name, &at, err) : e;
    if (e != GWH_OK || at < 0) {
        return e;
    }
    *fd = openat(at, strchr(name, '/') + 1, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int saved = errno;
    (void)close(at);
    errno = saved;
    if (*fd < 0) {
        return errno == ENOENT ? GWH_OK
               : errno == ELOOP
                   ? gwh_fail(err, GWH_IO, "%s/%s is a symbolic link and is not followed", f->path, name)
                   : gwh_fail_errno(err, "cannot open %s/%s", f->path, name);
    }
    if (fstat(*fd, st) != 0 || !S_ISREG(st->st_mode)) {
        (void)close(*fd);
        *fd = -1;
        return gwh_fail(err, GWH_IO, "%s/%s is no regular file", f->path, name);
    }
    return GWH_OK;
}

/* Next bytes of a file; 0 at its end. */
static ssize_t read_chunk(int fd, uint8_t *chunk)
{
    ssize_t n;
    do {
        n = read(fd, chunk, CHUNK);
    } while (n < 0 && errno == EINTR);
    return n;
}

static int digest_of(int fd, uint8_t digest[32])
{
    const struct gw_crypto *c = gwh_openssl()->gw;
    struct gw_sha256 sha;
    uint8_t *chunk = malloc(CHUNK);
    ssize_t n = -1;
    int e = chunk == NULL ? -1 : c->sha256_start(c->ctx, &sha);
    while (e == 0 && (n = read_chunk(fd, chunk)) > 0) {
        e = c->sha256_update(c->ctx, &sha, chunk, (size_t)n);
    }
    free(chunk);
    return e == 0 && n == 0 ? c->sha256_finish(c->ctx, &sha, digest) : -1;
}

static int look(void *ctx, const char *name, bool digest, struct gwh_stored *out, struct gwh_error *err)
{
    const struct folder *f = ctx;
    struct stat st;
    int fd;
    memset(out, 0, sizeof *out);
    int e = open_file(f, name, &fd, &st, err);
    if (e != GWH_OK || fd < 0) {
        return e;
    }
    out->there = true;
    out->size = (uint64_t)st.st_size;
    out->digest_known = digest;
    if (digest && digest_of(fd, out->digest) != 0) {
        e = gwh_fail(err, GWH_IO, "cannot read %s/%s", f->path, name);
    }
    (void)close(fd);
    return e;
}

static int get(void *ctx, const char *name, size_t max, struct gwh_buf *out, struct gwh_error *err)
{
    const struct folder *f = ctx;
    struct stat st;
    uint8_t *chunk = malloc(CHUNK);
    ssize_t n = 0;
    int fd;
    int e = chunk == NULL ? gwh_fail_reason(err, GW_ERR_SPACE, "%s", name) : open_file(f, name, &fd, &st, err);
    if (e != GWH_OK || fd < 0) {
        free(chunk);
        return e;
    }
    size_t start = out->n;
    while (e == GWH_OK && (n = read_chunk(fd, chunk)) > 0) {
        e = gwh_buf_add(out, chunk, (size_t)n) == GW_OK ? GWH_OK : gwh_fail_reason(err, GW_ERR_SPACE, "%s", name);
        if (e == GWH_OK && out->n - start > max) {
            e = gwh_fail_reason(err, GW_ERR_LIMIT, "%s/%s is larger than %zu bytes", f->path, name, max);
        }
    }
    if (n < 0) {
        e = gwh_fail_errno(err, "cannot read %s/%s", f->path, name);
    }
    free(chunk);
    (void)close(fd);
    return e;
}

/* ---- put --------------------------------------------------------------------------------------------------------- */

static int write_failed(const struct folder *f, const char *name, struct gwh_error *err)
{
    bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    (void)gwh_fail_errno(err, "cannot write %s/%s", f->path, name);
    return full ? gwh_hint(err, "make room and publish again: what was put already is not put twice") : err->exit;
}

static int write_chunk(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return -1;
        }
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

static int copy(const struct folder *f, const struct gwh_item *item, int fd, struct gwh_error *err)
{
    struct gwh_source source;
    uint8_t *chunk = malloc(CHUNK);
    size_t n = 1;
    int e = gwh_source_open(&source, item, err);
    if (e == GWH_OK && chunk == NULL) {
        e = gwh_fail_reason(err, GW_ERR_SPACE, "%s", item->name);
    }
    while (e == GWH_OK && n > 0) {
        e = gwh_source_read(&source, chunk, CHUNK, &n, err);
        if (e == GWH_OK && write_chunk(fd, chunk, n) != 0) {
            e = write_failed(f, item->name, err);
        }
    }
    gwh_source_close(&source);
    free(chunk);
    if (e == GWH_OK && (fchmod(fd, gwh_mode(0644)) != 0 || fsync(fd) != 0)) {
        e = write_failed(f, item->name, err);
    }
    return e;
}

/* A name that nobody can foresee; taken with O_EXCL. */
static int open_temporary(int at, char name[32])
{
    const struct gw_crypto *c = gwh_openssl()->gw;
    uint8_t random[8];
    if (c->random(c->ctx, random, sizeof random) != 0) {
        errno = EIO;
        return -1;
    }
    memcpy(name, TEMPORARY, sizeof TEMPORARY);
    gwh_hex(name + strlen(TEMPORARY), random, sizeof random);
    return openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static int put_at(const struct folder *f, const struct gwh_item *item, int at, struct gwh_error *err)
{
    char temporary[32];
    const char *name = strchr(item->name, '/') + 1;
    struct stat st;
    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode)) {
        return gwh_fail(err, GWH_IO, "%s/%s is no regular file and is not replaced", f->path, item->name);
    }
    int fd = open_temporary(at, temporary);
    if (fd < 0) {
        return write_failed(f, item->name, err);
    }
    int e = copy(f, item, fd, err);
    if (close(fd) != 0 && e == GWH_OK) {
        e = write_failed(f, item->name, err);
    }
    if (e == GWH_OK && renameat(at, temporary, at, name) != 0) {
        e = write_failed(f, item->name, err);
    }
    if (e != GWH_OK) {
        (void)unlinkat(at, temporary, 0);
        return e;
    }
    (void)fsync(at); /* not every file system can: that is no failure */
    return GWH_OK;
}

static int put(void *ctx, const struct gwh_item *item, struct gwh_error *err)
{
    const struct folder *f = ctx;
    int at = -1;
    int e = gwh_store_check_name(item->name, err);
    if (e == GWH_OK && f->lock < 0) {
        e = gwh_fail(err, GWH_IO, "%s was not opened for writing", f->path);
    }
    e = e == GWH_OK ? open_folder(f, item->name, &at, err) : e;
    if (e == GWH_OK && at < 0) {
        e = gwh_fail(err, GWH_IO, "the folder of %s/%s has gone", f->path, item->name);
    }
    if (e == GWH_OK) {
        e = put_at(f, item, at, err);
    }
    if (at >= 0) {
        (void)close(at);
    }
    return e;
}

/* ---- list -------------------------------------------------------------------------------------------------------- */

static int list_entry(int at, const char *prefix, const char *entry, int (*each)(void *, const char *, uint64_t),
                      void *each_ctx)
{
    char name[GWH_STORE_NAME_MAX + 256];
    struct stat st;
    bool hidden = entry[0] == '.';
    if (hidden || fstatat(at, entry, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) {
        return GWH_OK;
    }
    (void)snprintf(name, sizeof name, "%s%s", prefix, entry);
    return each(each_ctx, name, (uint64_t)st.st_size);
}

static int list(void *ctx, const char *prefix, int (*each)(void *ctx, const char *name, uint64_t size), void *each_ctx,
                struct gwh_error *err)
{
    const struct folder *f = ctx;
    int fd;
    int e = open_folder(f, prefix, &fd, err);
    if (e != GWH_OK || fd < 0) {
        return e;
    }
    DIR *d = fdopendir(fd);
    if (d == NULL) {
        (void)close(fd);
        return gwh_fail_errno(err, "cannot read %s/%s", f->path, prefix);
    }
    for (struct dirent *entry; e == GWH_OK && (entry = readdir(d)) != NULL;) {
        e = list_entry(dirfd(d), prefix, entry->d_name, each, each_ctx);
    }
    (void)closedir(d);
    return e;
}

/* ---- Open, close ------------------------------------------------------------------------------------------------- */

static int take_lock(struct folder *f, struct gwh_error *err)
{
    const struct timespec pause = {0, LOCK_PAUSE_MS * 1000000L};
    f->lock = openat(f->fd, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (f->lock < 0) {
        return write_failed(f, ".lock", err);
    }
    for (unsigned waited = 0; flock(f->lock, LOCK_EX | LOCK_NB) != 0; waited += LOCK_PAUSE_MS) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return gwh_fail_errno(err, "cannot lock %s/.lock", f->path);
        }
        if (waited >= LOCK_PATIENCE_MS) {
            (void)gwh_fail(err, GWH_IO, "another process has been publishing into %s for a minute", f->path);
            return gwh_hint(err, "wait until it has finished and publish again");
        }
        (void)nanosleep(&pause, NULL);
    }
    return GWH_OK;
}

static int prepare(struct folder *f, struct gwh_error *err)
{
    int e = take_lock(f, err);
    for (size_t i = 0; e == GWH_OK && i < sizeof folders / sizeof *folders; i++) {
        e = make_folder(f, folders[i], err);
        e = e == GWH_OK ? sweep(f, folders[i], err) : e;
    }
    (void)fsync(f->fd);
    return e;
}

static void free_folder(void *ctx)
{
    struct folder *f = ctx;
    if (f->lock >= 0) {
        (void)close(f->lock);
    }
    if (f->fd >= 0) {
        (void)close(f->fd);
    }
    free(f);
}

int gwh_store_open_folder(struct gwh_store *store, const char *where, bool write, struct gwh_error *err)
{
    struct folder *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "%s", where);
    }
    *store = (struct gwh_store){f, look, get, put, list, free_folder};
    f->fd = f->lock = -1;
    size_t n = strlen(where);
    if (n == 0 || n >= sizeof f->path) {
        return gwh_fail(err, GWH_USAGE, "the name of the folder is %s", n == 0 ? "empty" : "too long");
    }
    memcpy(f->path, where, n + 1);
    int e = write ? gwh_folder_make(where, err) : GWH_OK;
    if (e != GWH_OK) {
        return e;
    }
    f->fd = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->fd < 0 && (write || errno != ENOENT)) {
        return gwh_fail_errno(err, "cannot open the folder %s", where);
    }
    return write ? prepare(f, err) : GWH_OK;
}
