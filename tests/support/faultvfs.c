/*
 * faultvfs.c - see faultvfs.h.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faultvfs.h"

#define FILES 8u
#define LATER 4096u

/* What a file was at its last sync, and what was written since. */
struct later {
    unsigned char *p;
    size_t n;
    sqlite3_int64 at; /* -1: truncated to n */
};
struct shadow {
    char path[512];
    unsigned char *synced;
    size_t n;
    struct later later[LATER];
    unsigned laters;
    bool used;
};
struct file {
    sqlite3_file base;
    struct shadow *shadow;
    sqlite3_file real[]; /* the wrapped VFS's, of its own size */
};

static sqlite3_vfs *below, vfs;
static struct shadow shadows[FILES];
static unsigned counts[8], fail_at[8], operations, cut_at;
static bool stays[8], cut;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static sqlite3_file *real(sqlite3_file *f)
{
    return ((struct file *)(void *)f)->real;
}

/* ---- Deciding ---------------------------------------------------------------------------------------------------- */

static bool fails(enum faultvfs_kind kind)
{
    unsigned n = ++counts[kind];
    return fail_at[kind] != 0 && (n == fail_at[kind] || (stays[kind] && n > fail_at[kind]));
}

static bool is_cut(void)
{
    operations++;
    cut = cut || (cut_at != 0 && operations >= cut_at);
    return cut;
}

/* ---- Shadows ----------------------------------------------------------------------------------------------------- */

static void forget_later(struct shadow *s)
{
    for (unsigned i = 0; i < s->laters; i++) {
        free(s->later[i].p);
    }
    s->laters = 0;
}

static void apply_later(struct shadow *s, const struct later *l)
{
    size_t end = l->at < 0 ? l->n : (size_t)l->at + l->n;
    if (l->at < 0 && end < s->n) {
        s->n = end;
    }
    if (end > s->n) {
        s->synced = realloc(s->synced, end);
        memset(s->synced + s->n, 0, end - s->n);
        s->n = end;
    }
    if (l->at >= 0 && l->n > 0) {
        memcpy(s->synced + l->at, l->p, l->n);
    }
}

static void note_later(struct shadow *s, const void *p, size_t n, sqlite3_int64 at)
{
    if (s == NULL) {
        return;
    }
    if (s->laters == LATER) {
        abort();
    }
    struct later *l = &s->later[s->laters++];
    *l = (struct later){.n = n, .at = at};
    if (at >= 0 && n > 0) {
        l->p = malloc(n);
        memcpy(l->p, p, n);
    }
}

static struct shadow *shadow_of(const char *path)
{
    struct shadow *s = NULL;
    for (unsigned i = 0; i < FILES && path != NULL; i++) {
        if (shadows[i].used && strcmp(shadows[i].path, path) == 0) {
            return &shadows[i];
        }
        s = s == NULL && !shadows[i].used ? &shadows[i] : s;
    }
    if (s == NULL) {
        return NULL;
    }
    s->used = true;
    snprintf(s->path, sizeof s->path, "%s", path);
    FILE *f = fopen(path, "rb"); /* what is there when it is opened first counts as synced */
    if (f != NULL) {
        fseek(f, 0, SEEK_END);
        s->n = (size_t)ftell(f);
        rewind(f);
        s->synced = malloc(s->n + 1);
        s->n = fread(s->synced, 1, s->n, f);
        fclose(f);
    }
    return s;
}

/* ---- A file's methods -------------------------------------------------------------------------------------------- */

static int do_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    struct shadow *s = ((struct file *)(void *)f)->shadow;
    int code = SQLITE_OK;
    pthread_mutex_lock(&lock);
    if (fails(FAULTVFS_WRITE)) {
        code = SQLITE_IOERR_WRITE;
    } else if (fails(FAULTVFS_FULL)) {
        code = SQLITE_FULL;
    } else if (!is_cut()) {
        note_later(s, p, (size_t)n, at);
    }
    pthread_mutex_unlock(&lock);
    return code == SQLITE_OK ? real(f)->pMethods->xWrite(real(f), p, n, at) : code;
}

static int do_sync(sqlite3_file *f, int flags)
{
    struct shadow *s = ((struct file *)(void *)f)->shadow;
    int code = SQLITE_OK;
    pthread_mutex_lock(&lock);
    if (fails(FAULTVFS_SYNC)) {
        code = SQLITE_IOERR_FSYNC;
    } else if (is_cut()) {
        code = SQLITE_IOERR_FSYNC; /* nobody is told that it is there */
    } else if (s != NULL) {
        for (unsigned i = 0; i < s->laters; i++) {
            apply_later(s, &s->later[i]);
        }
        forget_later(s);
    }
    pthread_mutex_unlock(&lock);
    (void)flags; /* the machine that runs the test keeps its power: nothing is really synced */
    return code;
}

static int do_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int code = SQLITE_OK;
    pthread_mutex_lock(&lock);
    if (fails(FAULTVFS_TRUNCATE)) {
        code = SQLITE_IOERR_TRUNCATE;
    } else if (!is_cut()) {
        note_later(((struct file *)(void *)f)->shadow, NULL, (size_t)size, -1);
    }
    pthread_mutex_unlock(&lock);
    return code == SQLITE_OK ? real(f)->pMethods->xTruncate(real(f), size) : code;
}

static int do_close(sqlite3_file *f)
{
    return real(f)->pMethods->xClose(real(f));
}
static int do_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    return real(f)->pMethods->xRead(real(f), p, n, at);
}
static int do_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real(f)->pMethods->xFileSize(real(f), size);
}
static int do_lock(sqlite3_file *f, int level)
{
    return real(f)->pMethods->xLock(real(f), level);
}
static int do_unlock(sqlite3_file *f, int level)
{
    return real(f)->pMethods->xUnlock(real(f), level);
}
static int do_check_lock(sqlite3_file *f, int *out)
{
    return real(f)->pMethods->xCheckReservedLock(real(f), out);
}
static int do_control(sqlite3_file *f, int op, void *arg)
{
    return real(f)->pMethods->xFileControl(real(f), op, arg);
}
static int do_sector(sqlite3_file *f)
{
    (void)f;
    return 512;
}
static int do_characteristics(sqlite3_file *f)
{
    (void)f;
    return 0; /* nothing is atomic, in order, or safe */
}
static int do_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **p)
{
    return real(f)->pMethods->xShmMap(real(f), page, size, extend, p);
}
static int do_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
}
static void do_shm_barrier(sqlite3_file *f)
{
    real(f)->pMethods->xShmBarrier(real(f));
}
static int do_shm_unmap(sqlite3_file *f, int del)
{
    return real(f)->pMethods->xShmUnmap(real(f), del);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, .xClose = do_close, .xRead = do_read, .xWrite = do_write, .xTruncate = do_truncate,
    .xSync = do_sync, .xFileSize = do_size, .xLock = do_lock, .xUnlock = do_unlock,
    .xCheckReservedLock = do_check_lock, .xFileControl = do_control, .xSectorSize = do_sector,
    .xDeviceCharacteristics = do_characteristics, .xShmMap = do_shm_map, .xShmLock = do_shm_lock,
    .xShmBarrier = do_shm_barrier, .xShmUnmap = do_shm_unmap,
};

/* ---- The VFS ----------------------------------------------------------------------------------------------------- */

static int do_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
    struct file *k = (struct file *)(void *)f;
    (void)v;
    pthread_mutex_lock(&lock);
    bool failed = fails(FAULTVFS_OPEN);
    k->shadow = failed ? NULL : shadow_of(name);
    pthread_mutex_unlock(&lock);
    f->pMethods = NULL;
    int code = failed ? SQLITE_CANTOPEN : below->xOpen(below, name, k->real, flags, out);
    f->pMethods = code == SQLITE_OK ? &methods : NULL;
    return code;
}

/* A name that is removed is gone at once, unless the power is: then the file stays as it was synced. */
static int do_delete(sqlite3_vfs *v, const char *name, int sync)
{
    (void)v;
    pthread_mutex_lock(&lock);
    struct shadow *s = shadow_of(name);
    if (!is_cut() && s != NULL) {
        forget_later(s);
        free(s->synced);
        *s = (struct shadow){.used = false};
    }
    pthread_mutex_unlock(&lock);
    return below->xDelete(below, name, sync);
}

void faultvfs_install(void)
{
    below = sqlite3_vfs_find(NULL);
    vfs = *below;
    vfs.zName = "fault";
    vfs.szOsFile = (int)sizeof(struct file) + below->szOsFile;
    vfs.xOpen = do_open;
    vfs.xDelete = do_delete;
    sqlite3_vfs_register(&vfs, 1);
}

void faultvfs_remove(void)
{
    faultvfs_reset();
    sqlite3_vfs_unregister(&vfs);
    sqlite3_vfs_register(below, 1);
}

void faultvfs_reset(void)
{
    for (unsigned i = 0; i < FILES; i++) {
        forget_later(&shadows[i]);
        free(shadows[i].synced);
        shadows[i] = (struct shadow){.used = false};
    }
    memset(counts, 0, sizeof counts);
    memset(fail_at, 0, sizeof fail_at);
    operations = cut_at = 0;
    cut = false;
}

void faultvfs_fail(enum faultvfs_kind kind, unsigned n, bool all)
{
    pthread_mutex_lock(&lock);
    fail_at[kind] = n == 0 ? 0 : counts[kind] + n;
    stays[kind] = all;
    pthread_mutex_unlock(&lock);
}

unsigned faultvfs_count(enum faultvfs_kind kind)
{
    return counts[kind];
}

void faultvfs_cut_at(unsigned n)
{
    cut_at = n;
}

unsigned faultvfs_operations(void)
{
    return operations;
}

bool faultvfs_is_cut(void)
{
    return cut;
}

void faultvfs_restore(unsigned keep)
{
    for (unsigned i = 0; i < FILES; i++) {
        struct shadow *s = &shadows[i];
        if (!s->used) {
            continue;
        }
        for (unsigned j = 0; j < s->laters && keep != 0; j++) {
            keep = keep * 1103515245u + 12345u;
            if (keep >> 16 & 1) {
                apply_later(s, &s->later[j]);
            }
        }
        FILE *f = fopen(s->path, "wb");
        if (f == NULL || (s->n > 0 && fwrite(s->synced, 1, s->n, f) != s->n) || fclose(f) != 0) {
            abort();
        }
    }
    for (unsigned i = 0; i < FILES; i++) { /* shared memory does not survive */
        char shm[600];
        snprintf(shm, sizeof shm, "%.500s-shm", shadows[i].path);
        if (shadows[i].used) {
            (void)unlink(shm);
        }
    }
}
