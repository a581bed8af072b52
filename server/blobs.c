/*
 * blobs.c - payload files by their SHA-256. See blobs.h.
 *
 * An upload is DATA/uploads/<64 hex>: what it holds is what was put so far. The end is a rename into blobs/, after the
 * digest was checked and the bytes synced; the folder is synced before it is told.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "blobs.h"
#include "keys.h"

#define STALE_UPLOAD_S (24 * 3600)
#define YOUNG_BLOB_S 3600
#define HEX (2 * 32)
#define FOLDER_MAX 900 /* bytes of the path of DATA: what is added fits into GWH_PATH_MAX */

/* ---- Paths ------------------------------------------------------------------------------------------------------- */

static int make_folder(const char *data, const char *name, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    int e = gwh_path(path, data, name, err);
    return e == GWH_OK ? gwh_folder_make(path, err) : e;
}

int gws_blobs_open(struct gws_blobs *b, const char *data, struct gwh_error *err)
{
    if (snprintf(b->folder, sizeof b->folder, "%s", data) > FOLDER_MAX) {
        return gwh_fail(err, GWH_IO, "the path %.80s... is too long", data);
    }
    int e = gwh_folder_make(data, err);
    e = e == GWH_OK ? make_folder(data, "blobs", err) : e;
    return e == GWH_OK ? make_folder(data, "uploads", err) : e;
}

int gws_blob_path(char out[GWH_PATH_MAX], const struct gws_blobs *b, const uint8_t name[32])
{
    char hex[HEX + 1];
    gwh_hex(hex, name, 32);
    return snprintf(out, GWH_PATH_MAX, "%s/blobs/%.2s/%s", b->folder, hex, hex) < GWH_PATH_MAX ? GWH_OK : GWH_IO;
}

static void upload_path(char out[GWH_PATH_MAX], const struct gws_blobs *b, const uint8_t name[32])
{
    char hex[HEX + 1];
    gwh_hex(hex, name, 32);
    (void)snprintf(out, GWH_PATH_MAX, "%.900s/uploads/%s", b->folder, hex);
}

static int64_t size_of(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1;
}

int64_t gws_blob_size(const struct gws_blobs *b, const uint8_t name[32])
{
    char path[GWH_PATH_MAX];
    return gws_blob_path(path, b, name) == GWH_OK ? size_of(path) : -1;
}

int gws_blob_fd(const struct gws_blobs *b, const uint8_t name[32], uint64_t *size)
{
    char path[GWH_PATH_MAX];
    struct stat st;
    int fd = gws_blob_path(path, b, name) == GWH_OK ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        (void)close(fd);
        return -1;
    }
    *size = fd >= 0 ? (uint64_t)st.st_size : 0;
    return fd;
}

/* ---- Uploads ----------------------------------------------------------------------------------------------------- */

static int sync_folder(const char *path, struct gwh_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int e = fd >= 0 && fsync(fd) == 0 ? GWH_OK : gwh_fail_errno(err, "cannot make %s durable", path);
    if (fd >= 0) {
        (void)close(fd);
    }
    return e;
}

/* One that is there is in use again: collecting passes over what is young. */
static bool touch_blob(const struct gws_blobs *b, const uint8_t name[32], uint64_t size)
{
    char path[GWH_PATH_MAX];
    bool there = gws_blob_path(path, b, name) == GWH_OK && size_of(path) == (int64_t)size;
    return there && utimensat(AT_FDCWD, path, NULL, 0) == 0;
}

/* Who makes a file of an upload holds its lock: what was checked is not cut off before it is settled. */
static int new_upload(const struct gws_blobs *b, const char *path, struct gwh_error *err)
{
    char folder[GWH_PATH_MAX];
    (void)snprintf(folder, sizeof folder, "%.900s/uploads", b->folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
    int e = locked && ftruncate(fd, 0) == 0 ? GWH_OK
            : fd >= 0 && !locked && errno == EWOULDBLOCK
                ? gwh_fail(err, GWH_REFUSED, "a payload of this release is being checked now: try again")
                : gwh_fail_errno(err, "cannot begin the upload %s", path);
    if (fd >= 0) {
        (void)close(fd);
    }
    return e == GWH_OK ? sync_folder(folder, err) : e;
}

int gws_upload_begin(const struct gws_blobs *b, const uint8_t name[32], uint64_t size, uint64_t *there,
                     struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    *there = size;
    if (touch_blob(b, name, size)) {
        return GWH_OK;
    }
    upload_path(path, b, name);
    int64_t n = size_of(path);
    if (n >= 0 && (uint64_t)n <= size) {
        *there = (uint64_t)n;
        return GWH_OK;
    }
    *there = 0;
    return new_upload(b, path, err);
}

static int write_at(int fd, struct gw_span bytes, uint64_t at)
{
    while (bytes.n > 0) {
        ssize_t n = pwrite(fd, bytes.p, bytes.n, (off_t)at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return -1;
        }
        bytes.p += n;
        bytes.n -= (size_t)n;
        at += (uint64_t)n;
    }
    return 0;
}

static int put_at(int fd, const char *path, uint64_t offset, struct gw_span bytes, struct gwh_error *err)
{
    if (write_at(fd, bytes, offset) == 0 && fsync(fd) == 0) {
        return GWH_OK;
    }
    int e = gwh_fail_errno(err, "cannot write %s", path);
    (void)!ftruncate(fd, (off_t)offset); /* what came only in part is asked for again */
    return e;
}

int gws_upload_put(const struct gws_blobs *b, const uint8_t name[32], uint64_t offset, struct gw_span bytes,
                   uint64_t *there, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    struct stat st;
    upload_path(path, b, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        *there = 0;
        int e = errno == ENOENT ? gwh_fail(err, GWH_REFUSED, "there is no such upload: begin the release again")
                                : gwh_fail_errno(err, "cannot open %s", path);
        if (fd >= 0) {
            (void)close(fd);
        }
        return e;
    }
    *there = (uint64_t)st.st_size;
    int e = offset == *there ? put_at(fd, path, offset, bytes, err)
                             : gwh_fail(err, GWH_REFUSED, "the part begins at %llu, and %llu bytes are there",
                                        (unsigned long long)offset, (unsigned long long)*there);
    if (e == GWH_OK) {
        *there = offset + bytes.n;
    }
    (void)close(fd);
    return e;
}

/* ---- The end of an upload ---------------------------------------------------------------------------------------- */

static int digest_of(int fd, uint8_t digest[32])
{
    const struct gw_crypto *c = gwh_openssl()->gw;
    struct gw_sha256 sha;
    uint8_t chunk[65536];
    ssize_t n = 0;
    int e = c->sha256_start(c->ctx, &sha);
    for (off_t at = 0; e == GW_OK && (n = pread(fd, chunk, sizeof chunk, at)) > 0; at += n) {
        e = c->sha256_update(c->ctx, &sha, chunk, (size_t)n);
    }
    if (e == GW_OK && n == 0) {
        e = c->sha256_finish(c->ctx, &sha, digest);
    }
    return n < 0 ? -1 : e;
}

static int check_file(int fd, const char *path, const uint8_t name[32], uint64_t size, struct gwh_error *err)
{
    struct stat st;
    uint8_t digest[32];
    if (fstat(fd, &st) != 0) {
        return gwh_fail_errno(err, "cannot read %s", path);
    }
    if ((uint64_t)st.st_size != size) {
        return gwh_fail(err, GWH_REFUSED, "the upload has %llu bytes of %llu", (unsigned long long)st.st_size,
                        (unsigned long long)size);
    }
    if (digest_of(fd, digest) != GW_OK || fsync(fd) != 0) {
        return gwh_fail_errno(err, "cannot read %s", path);
    }
    if (memcmp(digest, name, 32) != 0) {
        (void)unlink(path);
        return gwh_fail_reason(err, GW_ERR_FRAME_HASH, "the upload is another file and was dropped");
    }
    return GWH_OK;
}

static int settle(const struct gws_blobs *b, const char *from, const uint8_t name[32], struct gwh_error *err)
{
    char to[GWH_PATH_MAX], folder[GWH_PATH_MAX];
    if (gws_blob_path(to, b, name) != GWH_OK) {
        return gwh_fail(err, GWH_IO, "the path %.80s... is too long", to);
    }
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(strlen(to) - HEX - 1), to);
    int e = gwh_folder_make(folder, err);
    if (e == GWH_OK && (chmod(from, 0444) != 0 || rename(from, to) != 0)) {
        e = gwh_fail_errno(err, "cannot create %s", to);
    }
    return e == GWH_OK ? sync_folder(folder, err) : e;
}

int gws_upload_finish(const struct gws_blobs *b, const uint8_t name[32], uint64_t size, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    if (touch_blob(b, name, size)) {
        return GWH_OK;
    }
    upload_path(path, b, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return errno == ENOENT ? gwh_fail(err, GWH_REFUSED, "nothing of this payload was uploaded")
                               : gwh_fail_errno(err, "cannot open %s", path);
    }
    int e = flock(fd, LOCK_EX) == 0 && futimens(fd, NULL) == 0 ? GWH_OK : gwh_fail_errno(err, "cannot lock %s", path);
    e = e == GWH_OK ? check_file(fd, path, name, size, err) : e;
    e = e == GWH_OK ? settle(b, path, name, err) : e;
    (void)close(fd); /* and lets the lock go */
    return e;
}

/* ---- What nobody needs ------------------------------------------------------------------------------------------- */

static bool name_ok(const char *text, uint8_t name[32])
{
    return strspn(text, "0123456789abcdef") == HEX && gwh_unhex(name, 32, text);
}

/* Removes the files of ours in a folder that are old enough and not needed. */
static unsigned sweep(const char *folder, int64_t older_than, bool (*needed)(void *ctx, const uint8_t name[32]),
                      void *ctx)
{
    unsigned removed = 0;
    uint8_t name[32];
    struct stat st;
    DIR *dir = opendir(folder);
    for (struct dirent *d = dir != NULL ? readdir(dir) : NULL; d != NULL; d = readdir(dir)) {
        if (!name_ok(d->d_name, name) || fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode) || st.st_mtime > older_than || (needed != NULL && needed(ctx, name))) {
            continue;
        }
        removed += unlinkat(dirfd(dir), d->d_name, 0) == 0;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return removed;
}

unsigned gws_blobs_collect(const struct gws_blobs *b, bool (*needed)(void *ctx, const uint8_t name[32]), void *ctx)
{
    char folder[GWH_PATH_MAX];
    int64_t now = (int64_t)time(NULL);
    (void)snprintf(folder, sizeof folder, "%.900s/uploads", b->folder);
    unsigned removed = sweep(folder, now - STALE_UPLOAD_S, NULL, NULL);
    for (unsigned i = 0; i < 256; i++) {
        (void)snprintf(folder, sizeof folder, "%.900s/blobs/%02x", b->folder, i);
        removed += sweep(folder, now - YOUNG_BLOB_S, needed, ctx);
    }
    return removed;
}
