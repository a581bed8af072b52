/*
 * build.c - makes a release folder from images: reads, encrypts, frames, takes apart again, writes. See release.h.
 *
 * The folder is built beside its final name and renamed when it is complete.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cose.h"
#include "release.h"

/* All that a build holds in memory. Images, payloads and variants go by the same index. */
struct work {
    const struct gwh_build *b;
    struct gwh_error *err;
    uint8_t cek[32];
    size_t cek_size;
    uint8_t key_check[8];
    struct gwh_buf image[GWH_IMAGES_MAX], file[GWH_IMAGES_MAX];
    struct gw_payload payload[GWH_IMAGES_MAX];
    struct gwh_variant variant[GWH_IMAGES_MAX];
    struct gwh_component component[GWH_IMAGES_MAX];
    uint32_t component_count;
    struct gwh_buf map, cose;
    struct gw_manifest m;
    uint8_t digest[32];
};

static void work_free(struct work *w)
{
    for (size_t i = 0; i < GWH_IMAGES_MAX; i++) {
        gwh_buf_free(&w->image[i]);
        gwh_buf_free(&w->file[i]);
    }
    gwh_buf_free(&w->map);
    gwh_buf_free(&w->cose);
    gw_wipe(w, sizeof *w);
    free(w);
}

/* ---- In memory --------------------------------------------------------------------------------------------------- */

static int make_cek(struct work *w)
{
    const struct gw_crypto *c = gwh_openssl()->gw;
    if (w->b->cipher == 0) {
        return GWH_OK;
    }
    w->cek_size = w->b->cipher == GW_ALG_A128CTR ? 16 : 32;
    int e = c->random(c->ctx, w->cek, w->cek_size) == 0 ? GW_OK : GW_ERR_CRYPTO;
    if (e == GW_OK) {
        e = gw_key_check(c, w->cek, w->cek_size, w->key_check);
    }
    return e == GW_OK ? GWH_OK : gwh_fail_reason(w->err, e, "cannot make a content key");
}

/* The component of image i: begun by the first image with its id, which the others follow. */
static struct gwh_component *component_of(struct work *w, size_t i)
{
    struct gwh_component *last = &w->component[w->component_count - (w->component_count > 0)];
    if (w->component_count > 0 && last->id == w->b->images[i].component) {
        return last;
    }
    last = &w->component[w->component_count++];
    last->id = w->b->images[i].component;
    last->kind = w->b->images[i].kind;
    last->variants = &w->variant[i];
    return last;
}

static int make_payload(struct work *w, size_t i)
{
    const struct gwh_image *image = &w->b->images[i];
    const struct gw_crypto *c = gwh_openssl()->gw;
    struct gw_payload *p = &w->payload[i];
    struct gwh_variant *v = &w->variant[i];
    struct gwh_component *component = component_of(w, i);
    struct gwh_position at = {component->id, component->variant_count++, 0};
    int e = gwh_file_read(&w->image[i], image->path, GWH_IMAGE_MAX, w->err);
    if (e != GWH_OK) {
        return e;
    }
    if (w->image[i].n == 0) {
        return gwh_fail(w->err, GWH_REFUSED, "%s is empty", image->path);
    }
    p->frame_size = w->b->frame_size == 0 ? 4096 : w->b->frame_size;
    p->encoding = GW_ENCODING_RAW;
    p->cipher = w->b->cipher;
    *v = (struct gwh_variant){.linked = image->linked,
                              .address = image->address,
                              .size = (uint32_t)w->image[i].n,
                              .payloads = p,
                              .payload_count = 1};
    e = gw_sha256(c, w->image[i].p, w->image[i].n, v->digest);
    if (e == GW_OK) {
        e = gwh_payload_make(&w->file[i], c, (struct gw_span){w->cek, w->cek_size}, at, gwh_span(&w->image[i]), p);
    }
    return e == GW_OK ? GWH_OK : gwh_fail_reason(w->err, e, "cannot make a payload of %s", image->path);
}

static int make_manifest(struct work *w)
{
    struct gwh_manifest m = w->b->manifest;
    m.components = w->component;
    m.component_count = w->component_count;
    m.key_check = w->b->cipher == 0 ? NULL : w->key_check;
    int e = gwh_manifest_map(&w->map, &m);
    if (e == GW_OK) {
        e = gw_manifest_parse(&w->m, w->map.p, w->map.n);
    }
    if (e == GW_OK) {
        e = gw_sha256(gwh_openssl()->gw, w->map.p, w->map.n, w->digest);
    }
    if (e == GW_OK) {
        e = gwh_sign_new(&w->cose, w->map.p, w->map.n);
    }
    if (e == GW_OK && w->cose.n + 128 > GW_MANIFEST_MAX) { /* room for one signature */
        e = GW_ERR_LIMIT;
    }
    memcpy(w->m.digest, w->digest, sizeof w->digest);
    return e == GW_OK ? GWH_OK : gwh_fail_reason(w->err, e, "no device would take this manifest");
}

struct self_check {
    struct work *w;
    size_t i;
};

/* The device's own code takes apart what was just made; images come in the order in which they were given. */
static int check_payload(void *ctx, const struct gwh_place *at)
{
    struct self_check *s = ctx;
    struct gw_span cek = {s->w->cek, s->w->cek_size};
    size_t i = s->i++;
    int e = gwh_payload_check(gwh_openssl()->gw, at, cek, gwh_span(&s->w->file[i]));
    return e == GW_OK
               ? GWH_OK
               : gwh_fail_reason(s->w->err, e, "the payload made of %s does not decode to it", s->w->b->images[i].path);
}

static int make_all(struct work *w)
{
    int e = make_cek(w);
    for (size_t i = 0; e == GWH_OK && i < w->b->image_count; i++) {
        e = make_payload(w, i);
    }
    if (e == GWH_OK) {
        e = make_manifest(w);
    }
    if (e == GWH_OK) {
        struct self_check s = {w, 0};
        e = gwh_each_payload(&w->m, check_payload, &s);
    }
    return e == GWH_OK || w->err->exit != GWH_OK ? e : gwh_fail_reason(w->err, e, "self-check");
}

/* ---- On disk ----------------------------------------------------------------------------------------------------- */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static bool is_grant(const char *name)
{
    return ends_with(name, ".cose");
}

static bool is_payload(const char *name)
{
    uint8_t digest[32];
    return gwh_unhex(digest, 32, name);
}

static bool is_top(const char *name)
{
    return strcmp(name, "manifest.cose") == 0 || strcmp(name, "head.cose") == 0 || strcmp(name, "grants") == 0 ||
           strcmp(name, "payloads") == 0;
}

/* Calls for all names in a folder: true if every one is `known`; removes them if `remove_them`. */
static bool sweep(const char *folder, bool (*known)(const char *name), bool remove_them)
{
    char path[GWH_PATH_MAX];
    struct gwh_error ignored = {0};
    DIR *d = opendir(folder);
    if (d == NULL) {
        return errno == ENOENT;
    }
    bool all = true;
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        all = all && known(entry->d_name);
        if (remove_them && known(entry->d_name) && gwh_path(path, folder, entry->d_name, &ignored) == GWH_OK) {
            (void)unlink(path);
        }
    }
    closedir(d);
    return all;
}

/* Removes a release, and nothing else: false if the folder holds anything that is not of a release. */
static bool sweep_release(const char *folder, bool remove_them)
{
    struct gwh_error ignored = {0};
    char grants[GWH_PATH_MAX], payloads[GWH_PATH_MAX];
    if (gwh_path(grants, folder, "grants", &ignored) != GWH_OK ||
        gwh_path(payloads, folder, "payloads", &ignored) != GWH_OK) {
        return false;
    }
    bool all = sweep(grants, is_grant, remove_them) && sweep(payloads, is_payload, remove_them) &&
               sweep(folder, is_top, remove_them);
    if (remove_them) {
        (void)rmdir(grants);
        (void)rmdir(payloads);
        (void)rmdir(folder);
    }
    return all;
}

/* A release of which only the place is known. */
static void name_folder(struct gwh_release *r, const char *folder)
{
    memset(r, 0, sizeof *r);
    memcpy(r->folder, folder, strnlen(folder, sizeof r->folder - 1));
}

static int write_payloads(struct work *w, const char *folder)
{
    struct gwh_release r;
    char path[GWH_PATH_MAX];
    name_folder(&r, folder);
    int e = gwh_path(path, folder, "payloads", w->err);
    if (e == GWH_OK) {
        e = gwh_folder_make(path, w->err);
    }
    for (size_t i = 0; e == GWH_OK && i < w->b->image_count; i++) {
        e = gwh_release_payload_path(path, &r, w->payload[i].name, w->err);
        if (e == GWH_OK) {
            e = gwh_file_write(path, gwh_span(&w->file[i]), 0644, true, w->err); /* the same content: the same name */
        }
    }
    return e;
}

static int write_grants(struct work *w, const char *folder)
{
    struct gwh_release r;
    int e = GWH_OK;
    name_folder(&r, folder);
    memcpy(r.digest, w->digest, 32);
    for (size_t i = 0; e == GWH_OK && i < w->b->holder_count; i++) {
        e = gwh_release_grant(&r, (struct gw_span){w->cek, w->cek_size}, &w->b->holders[i], true, w->err);
    }
    return e;
}

static int write_release(struct work *w, const char *folder)
{
    char path[GWH_PATH_MAX];
    int e = write_payloads(w, folder);
    if (e == GWH_OK) {
        e = write_grants(w, folder);
    }
    if (e == GWH_OK) {
        e = gwh_path(path, folder, "manifest.cose", w->err);
    }
    return e == GWH_OK ? gwh_file_write(path, gwh_span(&w->cose), 0644, false, w->err) : e;
}

/* May the final name be taken? */
static int check_target(const struct work *w, const char *folder)
{
    if (!gwh_file_exists(folder)) {
        return GWH_OK;
    }
    if (!w->b->force) {
        (void)gwh_fail(w->err, GWH_REFUSED, "%s exists and is not overwritten", folder);
        return gwh_hint(w->err, "choose another folder with -o, or add --force to replace the release in it");
    }
    if (!gwh_is_folder(folder) || !sweep_release(folder, false)) {
        return gwh_fail(w->err, GWH_REFUSED, "%s holds more than a release and is not replaced", folder);
    }
    return GWH_OK;
}

static int settle(struct work *w, const char *temporary, const char *folder)
{
    if (gwh_file_exists(folder)) {
        if (renameat2(AT_FDCWD, temporary, AT_FDCWD, folder, RENAME_EXCHANGE) != 0) {
            return gwh_fail_errno(w->err, "cannot replace %s", folder);
        }
        return sweep_release(temporary, true) ? GWH_OK : gwh_fail(w->err, GWH_IO, "%s is left over", temporary);
    }
    return rename(temporary, folder) == 0 ? GWH_OK : gwh_fail_errno(w->err, "cannot make %s", folder);
}

static int write_all(struct work *w, const char *folder)
{
    char temporary[GWH_PATH_MAX];
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/') {
        n--;
    }
    if (n + 8 > sizeof temporary) {
        return gwh_fail(w->err, GWH_IO, "the path %.80s... is too long", folder);
    }
    (void)snprintf(temporary, sizeof temporary, "%.*s.XXXXXX", (int)n, folder);
    if (mkdtemp(temporary) == NULL || chmod(temporary, gwh_mode(0755)) != 0) {
        return gwh_fail_errno(w->err, "cannot make a folder beside %s", folder);
    }
    int e = write_release(w, temporary);
    if (e == GWH_OK && w->b->cek_out != NULL) {
        char text[65];
        gwh_hex(text, w->cek, w->cek_size);
        e = gwh_file_write(w->b->cek_out, (struct gw_span){(uint8_t *)text, 2 * w->cek_size}, 0600, w->b->force,
                           w->err);
        gw_wipe(text, sizeof text);
    }
    if (e == GWH_OK) {
        e = settle(w, temporary, folder);
    }
    if (e != GWH_OK) {
        (void)sweep_release(temporary, true);
    }
    return e;
}

/* ---- The whole --------------------------------------------------------------------------------------------------- */

static int check_request(const struct gwh_build *b, struct gwh_error *err)
{
    if (b->image_count == 0 || b->image_count > GWH_IMAGES_MAX) {
        return gwh_fail(err, GWH_USAGE, "a release has 1 to %u images", GWH_IMAGES_MAX);
    }
    if (b->cipher == 0 && (b->holder_count > 0 || b->cek_out != NULL)) {
        return gwh_fail(err, GWH_USAGE, "a release that is not encrypted has no content key to give to anybody");
    }
    if (b->cipher != 0 && b->holder_count == 0 && b->cek_out == NULL) {
        (void)gwh_fail_reason(err, GW_ERR_NO_KEY, "nobody could decrypt this release");
        return gwh_hint(err, "add --encrypt-to DEVICE.pub.pem or --encrypt-to kek:NAME=FILE");
    }
    return GWH_OK;
}

static void tell(const struct work *w, struct gwh_built *built)
{
    memset(built, 0, sizeof *built);
    memcpy(built->digest, w->digest, 32);
    built->payloads = (uint32_t)w->b->image_count;
    built->manifest_bytes = (uint32_t)w->cose.n;
    for (size_t i = 0; i < w->b->image_count; i++) {
        built->image_bytes += (uint32_t)w->image[i].n;
        built->payload_bytes += (uint32_t)w->file[i].n;
    }
}

int gwh_release_build(const struct gwh_build *b, const char *folder, struct gwh_built *built, struct gwh_error *err)
{
    int e = check_request(b, err);
    if (e != GWH_OK) {
        return e;
    }
    struct work *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "release build");
    }
    w->b = b;
    w->err = err;
    e = check_target(w, folder);
    if (e == GWH_OK) {
        e = make_all(w);
    }
    if (e == GWH_OK && !b->dry_run) {
        e = write_all(w, folder);
    }
    if (e == GWH_OK) {
        tell(w, built);
    }
    work_free(w);
    return e;
}
