/*
 * file.c - see file.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

static int read_open(struct gwh_buf *out, int fd, const char *path, size_t max, struct gwh_error *err)
{
    size_t total = 0;
    for (;;) {
        uint8_t chunk[16384];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return gwh_fail_errno(err, "cannot read %s", path);
        }
        if (n == 0) {
            return GWH_OK;
        }
        total += (size_t)n;
        if (total > max) {
            return gwh_fail_reason(err, GW_ERR_LIMIT, "%s is larger than %zu bytes", path, max);
        }
        int e = gwh_buf_add(out, chunk, (size_t)n);
        gw_wipe(chunk, sizeof chunk);
        if (e != GW_OK) {
            return gwh_fail_reason(err, e, "cannot hold %s in memory", path);
        }
    }
}

int gwh_file_read(struct gwh_buf *out, const char *path, size_t max, struct gwh_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return gwh_fail_errno(err, "cannot open %s", path);
    }
    int e = read_open(out, fd, path, max, err);
    close(fd);
    return e;
}

static int write_all(int fd, struct gw_span bytes, uint64_t at)
{
    while (bytes.n > 0) {
        ssize_t n = pwrite(fd, bytes.p, bytes.n, (off_t)at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        bytes.p += n;
        bytes.n -= (size_t)n;
        at += (uint64_t)n;
    }
    return 0;
}

static int write_parts(int fd, const struct gwh_part *part, size_t count, uint64_t size)
{
    for (size_t i = 0; i < count; i++) {
        if (write_all(fd, part[i].bytes, part[i].at) != 0) {
            return -1;
        }
    }
    return ftruncate(fd, (off_t)size);
}

/* The folder of `path`, made durable after a name in it changed. Not every file system can: that is no failure. */
static void sync_folder(const char *path)
{
    char copy[GWH_PATH_MAX];
    (void)snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

/* Gives the finished temporary file its name. */
static int settle(const char *temporary, const char *path, bool force, struct gwh_error *err)
{
    if (force) {
        if (rename(temporary, path) != 0) {
            return gwh_fail_errno(err, "cannot replace %s", path);
        }
        return GWH_OK;
    }
    if (link(temporary, path) != 0) {
        if (errno == EEXIST) {
            (void)gwh_fail(err, GWH_REFUSED, "%s exists and is not overwritten", path);
            return gwh_hint(err, "choose another name, or add --force to replace it");
        }
        return gwh_fail_errno(err, "cannot create %s", path);
    }
    (void)unlink(temporary);
    return GWH_OK;
}

mode_t gwh_mode(mode_t mode)
{
    mode_t mask = umask(0);
    (void)umask(mask);
    return mode & ~mask;
}

int gwh_file_write(const char *path, struct gw_span bytes, mode_t mode, bool force, struct gwh_error *err)
{
    struct gwh_part whole = {0, bytes};
    return gwh_file_write_parts(path, &whole, 1, bytes.n, mode, force, err);
}

int gwh_file_write_parts(const char *path, const struct gwh_part *part, size_t count, uint64_t size, mode_t mode,
                         bool force, struct gwh_error *err)
{
    char temporary[GWH_PATH_MAX + 16];
    if (strlen(path) >= GWH_PATH_MAX) {
        return gwh_fail(err, GWH_IO, "the path %.80s... is too long", path);
    }
    struct stat st;
    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        return gwh_fail(err, GWH_IO, "%s is no regular file and is not replaced", path);
    }
    (void)snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    int fd = mkostemp(temporary, O_CLOEXEC); /* O_EXCL, 0600 */
    if (fd < 0) {
        return gwh_fail_errno(err, "cannot write beside %s", path);
    }
    int e = GWH_OK;
    if (write_parts(fd, part, count, size) != 0 || fchmod(fd, gwh_mode(mode)) != 0 || fsync(fd) != 0) {
        e = gwh_fail_errno(err, "cannot write %s", path);
    }
    if (close(fd) != 0 && e == GWH_OK) {
        e = gwh_fail_errno(err, "cannot write %s", path);
    }
    if (e == GWH_OK) {
        e = settle(temporary, path, force, err);
    }
    if (e != GWH_OK) {
        (void)unlink(temporary);
        return e;
    }
    sync_folder(path);
    return GWH_OK;
}

int gwh_folder_make(const char *path, struct gwh_error *err)
{
    if (mkdir(path, 0777) == 0) {
        sync_folder(path);
        return GWH_OK;
    }
    if (errno == EEXIST && gwh_is_folder(path)) {
        return GWH_OK;
    }
    return gwh_fail_errno(err, "cannot make the folder %s", path);
}

bool gwh_file_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

bool gwh_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int gwh_path(char out[GWH_PATH_MAX], const char *folder, const char *name, struct gwh_error *err)
{
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/') {
        n--;
    }
    if (snprintf(out, GWH_PATH_MAX, "%.*s/%s", (int)n, folder, name) >= GWH_PATH_MAX) {
        return gwh_fail(err, GWH_IO, "the path %.80s... is too long", folder);
    }
    return GWH_OK;
}

void gwh_hex(char *out, const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = '\0';
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool gwh_unhex(uint8_t *out, size_t n, const char *text)
{
    if (strlen(text) != 2 * n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}
