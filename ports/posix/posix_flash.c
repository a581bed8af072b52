/*
 * posix_flash.c - see posix_flash.h.
 *
 * Order of a write: the units are marked as programmed, then programmed; of an erase: the content is erased, then the
 * marks are cleared. So when the process dies between the two, the flash is stricter than it was, never more lenient.
 * (When the PC itself loses power, marks may be lost that the kernel still held.)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix_flash.h"

static struct gwp_flash *of(void *ctx)
{
    return ctx;
}

static uint32_t base_of(const struct gwp_flash *f)
{
    return f->layout.region[0].start;
}

/* The first broken rule stays, for the one who debugs a caller. */
static int broken(struct gwp_flash *f, const char *rule, uint32_t address, uint32_t n)
{
    if (f->broken[0] == '\0') {
        (void)snprintf(f->broken, sizeof f->broken, "%s: address 0x%x, %u bytes", rule, (unsigned)address, (unsigned)n);
    }
    return -1;
}

static bool inside(const struct gwp_flash *f, uint32_t address, uint32_t n)
{
    uint64_t end = (uint64_t)address + n;
    for (uint32_t i = 0; i < f->layout.region_count; i++) {
        const struct gw_flash_region *r = &f->layout.region[i];
        uint64_t region_end = r->start + (uint64_t)r->count * r->erase_size;
        if (address >= r->start && end <= region_end) {
            return true;
        }
        if (address >= r->start && address < region_end) { /* goes on in the next region, if that follows at once */
            n = (uint32_t)(end - region_end);
            address = (uint32_t)region_end;
        }
    }
    return n == 0;
}

static bool transfer(int fd, uint8_t *p, size_t n, off_t at, bool out)
{
    while (n > 0) {
        ssize_t k = out ? pwrite(fd, p, n, at) : pread(fd, p, n, at);
        if (k < 0 && errno == EINTR) {
            continue;
        }
        if (k <= 0) {
            return false;
        }
        p += k;
        at += k;
        n -= (size_t)k;
    }
    return true;
}

/* To or from flash.bin, or the private copy of a flash that is only looked at. Durable when it returns. */
static bool contents(struct gwp_flash *f, uint8_t *p, uint32_t n, uint32_t at, bool out)
{
    if (f->image != NULL) {
        memcpy(out ? f->image + at : p, out ? p : f->image + at, n);
        return true;
    }
    return transfer(f->fd, p, n, (off_t)at, out) && (!out || fdatasync(f->fd) == 0);
}

static int flash_read(void *ctx, uint32_t address, void *data, uint32_t n)
{
    struct gwp_flash *f = of(ctx);
    if (!inside(f, address, n)) {
        return broken(f, "read outside of the flash", address, n);
    }
    return contents(f, data, n, address - base_of(f), false) ? 0 : -1;
}

static bool marked(const struct gwp_flash *f, uint32_t unit)
{
    return (f->units[unit / 8] >> unit % 8 & 1) != 0;
}

/* Marks or clears units. They survive this process; only the content is forced to the disk. */
static bool mark(struct gwp_flash *f, uint32_t first, uint32_t count, bool programmed)
{
    for (uint32_t u = first; u < first + count; u++) {
        uint8_t bit = (uint8_t)(1u << u % 8);
        f->units[u / 8] = (uint8_t)(programmed ? f->units[u / 8] | bit : f->units[u / 8] & ~bit);
    }
    size_t from = first / 8, to = (first + count - 1) / 8 + 1;
    return f->image != NULL || transfer(f->units_fd, f->units + from, to - from, (off_t)from, true);
}

static bool cut_now(const struct gwp_flash *f)
{
    return f->cut_at != 0 && f->writes + f->erases == f->cut_at;
}

/* What was in RAM is gone: the hand-over too. */
static void power_cut(const struct gwp_flash *f)
{
    char path[GWH_PATH_MAX];
    struct gwh_error ignored = {0};
    (void)fflush(stdout);
    if (gwh_path(path, f->folder, "handover.bin", &ignored) == GWH_OK) {
        (void)unlink(path);
    }
    (void)fprintf(stderr, "power cut: the flash operation under way is torn\n");
    _exit(GWP_CUT_EXIT);
}

static int flash_write(void *ctx, uint32_t address, const void *data, uint32_t n)
{
    struct gwp_flash *f = of(ctx);
    uint32_t ws = f->layout.write_size, first = (address - base_of(f)) / ws;
    if (!inside(f, address, n) || n == 0 || n % ws != 0 || (address - base_of(f)) % ws != 0) {
        return broken(f, "write not of whole, aligned units", address, n);
    }
    for (uint32_t u = 0; u < n / ws; u++) {
        if (marked(f, first + u)) {
            return broken(f, "a unit is programmed twice between two erases", address + u * ws, ws);
        }
    }
    f->writes++;
    bool cut = cut_now(f);
    uint32_t now = cut ? n / 2 : n; /* torn: a prefix arrives, but all units have to count as programmed */
    uint8_t *copy = malloc(n);
    if (copy == NULL) {
        return -1;
    }
    memcpy(copy, data, n);
    bool ok = mark(f, first, n / ws, true) && contents(f, copy, now, address - base_of(f), true);
    free(copy);
    if (cut) {
        power_cut(f);
    }
    return ok ? 0 : -1;
}

static int flash_erase(void *ctx, uint32_t address)
{
    struct gwp_flash *f = of(ctx);
    struct gw_area block;
    if (gw_flash_block(&f->flash, address, &block) != GW_OK || block.start != address) {
        return broken(f, "erase not at the start of a block", address, 0);
    }
    f->erases++;
    bool cut = cut_now(f);
    uint32_t now = cut ? block.size / 2 : block.size; /* torn: half is erased, and nothing may be programmed */
    uint8_t *blank = malloc(block.size);
    if (blank == NULL) {
        return -1;
    }
    memset(blank, (int)f->layout.erased, block.size);
    uint32_t ws = f->layout.write_size, first = (address - base_of(f)) / ws;
    bool ok = (!cut || mark(f, first, block.size / ws, true)) && contents(f, blank, now, address - base_of(f), true);
    free(blank);
    if (cut) {
        power_cut(f);
    }
    return ok && mark(f, first, block.size / ws, false) ? 0 : -1;
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static size_t units_bytes(const struct gwp_layout *l)
{
    return ((size_t)gwp_layout_bytes(l) / l->write_size + 7) / 8;
}

static int write_filled(const char *folder, const char *name, size_t n, int value, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    struct gwh_buf b = {0};
    uint8_t *p;
    int e = gwh_path(path, folder, name, err);
    if (e == GWH_OK && gwh_buf_grow(&b, n, &p) != GW_OK) {
        e = gwh_fail_reason(err, GW_ERR_SPACE, "%s", path);
    }
    if (e == GWH_OK) {
        memset(p, value, n);
        e = gwh_file_write(path, gwh_span(&b), 0600, true, err);
    }
    gwh_buf_free(&b);
    return e;
}

int gwp_flash_create(const char *folder, const struct gwp_layout *layout, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    int e = write_filled(folder, "flash.bin", gwp_layout_bytes(layout), (int)layout->erased, err);
    if (e == GWH_OK) {
        e = write_filled(folder, "units.bin", units_bytes(layout), 0, err);
    }
    if (e == GWH_OK) {
        e = gwh_path(path, folder, "layout.json", err);
    }
    return e == GWH_OK ? gwp_layout_save(layout, path, true, err) : e;
}

/* Opens a file that must have exactly `size` bytes. */
static int open_sized(int *fd, const struct gwp_flash *f, const char *name, size_t size, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    struct stat st;
    int e = gwh_path(path, f->folder, name, err);
    if (e != GWH_OK) {
        return e;
    }
    *fd = open(path, (f->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (*fd < 0 || fstat(*fd, &st) != 0) {
        return gwh_fail_errno(err, "cannot open %s", path);
    }
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size) {
        return gwh_fail_reason(err, GW_ERR_LAYOUT, "%s has %lld bytes where layout.json asks for %zu", path,
                               (long long)st.st_size, size);
    }
    return GWH_OK;
}

static int lock(const struct gwp_flash *f, struct gwh_error *err)
{
    if (flock(f->fd, (f->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0) {
        return GWH_OK;
    }
    if (errno == EWOULDBLOCK) {
        return gwh_fail(err, GWH_IO, "%s is in use by another process", f->folder);
    }
    return gwh_fail_errno(err, "cannot lock the flash of %s", f->folder);
}

/* A flash that is only looked at is changed in memory alone: mounting may want to settle what a cut left in doubt. */
static int load_image(struct gwp_flash *f, struct gwh_error *err)
{
    size_t n = gwp_layout_bytes(&f->layout);
    f->image = malloc(n);
    if (f->image == NULL || !transfer(f->fd, f->image, n, 0, false)) {
        return gwh_fail_errno(err, "cannot read flash.bin of %s", f->folder);
    }
    return GWH_OK;
}

static int load_units(struct gwp_flash *f, struct gwh_error *err)
{
    f->units_size = units_bytes(&f->layout);
    int e = open_sized(&f->units_fd, f, "units.bin", f->units_size, err);
    if (e != GWH_OK) {
        return e;
    }
    f->units = malloc(f->units_size);
    if (f->units == NULL || !transfer(f->units_fd, f->units, f->units_size, 0, false)) {
        return gwh_fail_errno(err, "cannot read units.bin of %s", f->folder);
    }
    return GWH_OK;
}

static void attach(struct gwp_flash *f)
{
    gwp_layout_geometry(&f->layout, &f->flash);
    f->flash.ctx = f;
    f->flash.read = flash_read;
    f->flash.write = flash_write;
    f->flash.erase = flash_erase;
}

int gwp_flash_memory(struct gwp_flash *f, const struct gwp_layout *layout, struct gwh_error *err)
{
    memset(f, 0, sizeof *f);
    f->fd = f->units_fd = -1;
    f->layout = *layout;
    f->layout.layout.data = f->layout.data;
    f->units_size = units_bytes(layout);
    f->units = calloc(f->units_size, 1);
    f->image = malloc(gwp_layout_bytes(layout));
    if (f->units == NULL || f->image == NULL) {
        gwp_flash_close(f);
        return gwh_fail_reason(err, GW_ERR_SPACE, "a flash of %u bytes", (unsigned)gwp_layout_bytes(layout));
    }
    memset(f->image, (int)layout->erased, gwp_layout_bytes(layout));
    attach(f);
    return GWH_OK;
}

void gwp_flash_adopt(struct gwp_flash *f)
{
    uint32_t ws = f->layout.write_size;
    for (uint32_t i = 0; i < f->layout.region_count; i++) {
        const struct gw_flash_region *r = &f->layout.region[i];
        uint32_t first = r->start - base_of(f), end = first + r->count * r->erase_size;
        for (uint32_t at = first; at < end; at++) {
            if (f->image[at] != f->layout.erased) {
                f->units[at / ws / 8] |= (uint8_t)(1u << at / ws % 8);
            }
        }
    }
}

void gwp_flash_wipe(struct gwp_flash *f)
{
    for (uint32_t i = 0; i < f->layout.region_count; i++) {
        const struct gw_flash_region *r = &f->layout.region[i];
        gw_wipe(f->image + (r->start - base_of(f)), (size_t)r->count * r->erase_size);
    }
}

int gwp_flash_open(struct gwp_flash *f, const char *folder, bool read_only, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    memset(f, 0, sizeof *f);
    f->fd = f->units_fd = -1;
    f->read_only = read_only;
    memcpy(f->folder, folder, strnlen(folder, sizeof f->folder - 1));
    int e = gwh_path(path, folder, "layout.json", err);
    if (e == GWH_OK && !gwh_file_exists(path)) {
        (void)gwh_fail(err, GWH_IO, "%s is no device: it holds no layout.json", folder);
        return gwh_hint(err, "godwit-device init %s --layout extended --identity FILE --trust FILE", folder);
    }
    if (e == GWH_OK) {
        e = gwp_layout_load(&f->layout, path, err);
    }
    if (e == GWH_OK) {
        e = open_sized(&f->fd, f, "flash.bin", gwp_layout_bytes(&f->layout), err);
    }
    if (e == GWH_OK) {
        e = lock(f, err);
    }
    if (e == GWH_OK) {
        e = load_units(f, err);
    }
    if (e == GWH_OK && read_only) {
        e = load_image(f, err);
    }
    if (e != GWH_OK) {
        gwp_flash_close(f);
        return e;
    }
    attach(f);
    return GWH_OK;
}

void gwp_flash_close(struct gwp_flash *f)
{
    if (f->fd >= 0) {
        close(f->fd);
    }
    if (f->units_fd >= 0) {
        close(f->units_fd);
    }
    free(f->units);
    free(f->image);
    f->units = f->image = NULL;
    f->fd = f->units_fd = -1;
}
