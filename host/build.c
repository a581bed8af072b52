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

#include "coded.h"
#include "cose.h"
#include "godwit/install.h"

#define PAYLOADS_MAX (GWH_FROM_MAX * 2u + 2u) /* of one image: deltas (two slots), compressed, raw */

/* All that a build holds in memory. Images and variants go by the same index. */
struct work {
    const struct gwh_build *b;
    struct gwh_error *err;
    uint8_t cek[32];
    size_t cek_size;
    uint8_t key_check[8];
    struct gwh_buf image[GWH_IMAGES_MAX], file[GWH_IMAGES_MAX][PAYLOADS_MAX];
    struct gw_payload payload[GWH_IMAGES_MAX][PAYLOADS_MAX];
    const struct gwh_old_image *from[GWH_IMAGES_MAX][PAYLOADS_MAX]; /* of deltas */
    struct gwh_coding coding[GWH_IMAGES_MAX * PAYLOADS_MAX]; /* those of an image follow each other */
    size_t coding_count, codings[GWH_IMAGES_MAX];            /* in all; of an image */
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
        for (size_t k = 0; k < PAYLOADS_MAX; k++) {
            gwh_buf_free(&w->file[i][k]);
        }
    }
    for (size_t i = 0; i < w->coding_count; i++) {
        gwh_buf_free(&w->coding[i].out);
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

static int read_image(struct work *w, size_t i)
{
    const struct gwh_image *image = &w->b->images[i];
    struct gwh_variant *v = &w->variant[i];
    int e = gwh_file_read(&w->image[i], image->path, GWH_IMAGE_MAX, w->err);
    if (e == GWH_OK && w->image[i].n == 0) {
        e = gwh_fail(w->err, GWH_REFUSED, "%s is empty", image->path);
    }
    *v = (struct gwh_variant){.linked = image->linked,
                              .address = image->address,
                              .size = (uint32_t)w->image[i].n,
                              .payloads = w->payload[i]};
    if (e == GWH_OK) {
        int reason = gw_sha256(gwh_openssl()->gw, w->image[i].p, w->image[i].n, v->digest);
        e = reason == GW_OK ? GWH_OK : gwh_fail_reason(w->err, reason, "%s", image->path);
    }
    return e;
}

/* ---- Encoding ---------------------------------------------------------------------------------------------------- */

static void plan_coding(struct work *w, size_t i, const struct gwh_old_image *old)
{
    const struct gwh_image *image = &w->b->images[i];
    struct gwh_coding *c = &w->coding[w->coding_count++];
    w->codings[i]++;
    c->from = old;
    c->fresh = gwh_span(&w->image[i]);
    c->options = (struct gwh_patch_options){.isa = w->b->isa, .profile = w->b->profile};
    c->options.unit = old == NULL ? GWH_PATCH_UNIT : 0;
    if (image->linked && old != NULL && old->linked) { /* the one that runs is linked for the other slot */
        c->options.base_given = true;
        c->options.base = old->address;
        c->options.base_new = image->address;
    }
}

/* What is worth trying for image i: the image itself first, then a delta from each older one. */
static void plan_codings(struct work *w, size_t i)
{
    const struct gwh_image *image = &w->b->images[i];
    if (w->b->compress || w->b->old != NULL) {
        plan_coding(w, i, NULL);
    }
    for (size_t k = 0; w->b->old != NULL && k < w->b->old->count && w->codings[i] < PAYLOADS_MAX - 1; k++) {
        const struct gwh_old_image *old = &w->b->old->image[k];
        bool same = memcmp(old->digest, w->variant[i].digest, 32) == 0;
        if (!same && gwh_old_suits(old, image->component, image->linked, image->address)) {
            plan_coding(w, i, old);
        }
    }
}

static int run_codings(struct work *w)
{
    for (size_t i = 0; i < w->b->image_count; i++) {
        plan_codings(w, i);
    }
    int reason = gwh_code_all(w->coding, w->coding_count, 0);
    return reason == GW_OK ? GWH_OK : gwh_fail_reason(w->err, reason, "an image cannot be encoded");
}

/* ---- Payloads ---------------------------------------------------------------------------------------------------- */

static void tell_made(const struct work *w, size_t i, const struct gw_payload *p, const struct gwh_old_image *from,
                      uint32_t size, uint32_t full)
{
    const struct gwh_image *image = &w->b->images[i];
    struct gwh_made made = {.payload = p, .from = from != NULL ? from->release : NULL, .component = image->component,
                            .linked = image->linked, .address = image->address,
                            .image_size = w->variant[i].size, .size = size, .full = full};
    if (w->b->made != NULL) {
        w->b->made(w->b->ctx, &made);
    }
}

/* The next payload of image i, of this content: encrypted, framed. */
static int add_payload(struct work *w, size_t i, struct gw_span content, const struct gwh_coding *coding)
{
    struct gwh_component *component = &w->component[w->component_count - 1];
    struct gwh_variant *v = &w->variant[i];
    uint32_t k = (uint32_t)v->payload_count++;
    struct gw_payload *p = &w->payload[i][k];
    struct gwh_position at = {component->id, component->variant_count - 1, k};
    p->frame_size = w->b->frame_size == 0 ? 4096 : w->b->frame_size;
    p->cipher = w->b->cipher;
    if (coding != NULL) {
        p->encoding = GW_ENCODING_PATCH;
        p->decoder_ram = gw_patch_codec.ram(coding->options.profile);
        p->delta = coding->from != NULL;
        w->from[i][k] = coding->from;
    }
    if (p->delta) {
        memcpy(p->precursor, coding->from->digest, sizeof p->precursor);
    }
    int e = gwh_payload_make(&w->file[i][k], gwh_openssl()->gw, (struct gw_span){w->cek, w->cek_size}, at, content, p);
    return e == GW_OK ? GWH_OK
                      : gwh_fail_reason(w->err, e, "cannot make a payload of %s", w->b->images[i].path);
}

/* From the encodings of image i: deltas that pay, the compressed image if it is smaller than raw, the raw one. */
static int make_payloads(struct work *w, size_t i, const struct gwh_coding *coding)
{
    const uint32_t pays = w->b->pays == 0 ? 70 : w->b->pays, raw = w->variant[i].size;
    const struct gwh_coding *full = w->codings[i] > 0 ? coding : NULL;
    bool smaller = full != NULL && full->out.n < raw;
    uint32_t least = smaller ? (uint32_t)full->out.n : raw;
    int e = GWH_OK;
    component_of(w, i)->variant_count++;
    for (size_t k = 1; e == GWH_OK && k < w->codings[i]; k++) {
        const struct gwh_coding *c = &coding[k];
        bool worth = (uint64_t)c->out.n * 100 < (uint64_t)pays * least;
        e = worth ? add_payload(w, i, gwh_span(&c->out), c) : GWH_OK;
        const struct gw_payload *p = worth && e == GWH_OK ? &w->payload[i][w->variant[i].payload_count - 1] : NULL;
        tell_made(w, i, p, c->from, (uint32_t)c->out.n, least);
    }
    if (e == GWH_OK && smaller) {
        e = add_payload(w, i, gwh_span(&full->out), full);
        tell_made(w, i, &w->payload[i][w->variant[i].payload_count - 1], NULL, least, raw);
    }
    if (e == GWH_OK && (!w->b->no_raw || !smaller)) {
        e = add_payload(w, i, gwh_span(&w->image[i]), NULL);
        if (full != NULL) {
            tell_made(w, i, &w->payload[i][w->variant[i].payload_count - 1], NULL, raw, raw);
        }
    }
    return e;
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
    size_t image, payload; /* that comes next */
};

/* The device's own code takes apart what was just made; payloads come in the order in which they were made. */
static int check_payload(void *ctx, const struct gwh_place *at)
{
    struct self_check *s = ctx;
    struct work *w = s->w;
    struct gwh_buf image = {0};
    size_t i = s->image, k = s->payload;
    struct gw_span old = {NULL, 0};
    if (w->from[i][k] != NULL) {
        old = gwh_span(&w->from[i][k]->image);
    }
    int e = gwh_payload_image(&image, gwh_openssl()->gw, at, (struct gw_span){w->cek, w->cek_size}, old,
                              gwh_span(&w->file[i][k]));
    e = e == GW_OK && image.n == 0 ? GW_ERR_IMAGE_DIGEST : e;
    gwh_buf_free(&image);
    bool last = k + 1 == w->variant[i].payload_count;
    s->image = last ? i + 1 : i;
    s->payload = last ? 0 : k + 1;
    return e == GW_OK ? GWH_OK
                      : gwh_fail_reason(w->err, e, "the payload made of %s does not decode to it",
                                        w->b->images[i].path);
}

static int make_all(struct work *w)
{
    int e = make_cek(w);
    for (size_t i = 0; e == GWH_OK && i < w->b->image_count; i++) {
        e = read_image(w, i);
    }
    if (e == GWH_OK) {
        e = run_codings(w);
    }
    const struct gwh_coding *coding = w->coding;
    for (size_t i = 0; e == GWH_OK && i < w->b->image_count; i++) {
        e = make_payloads(w, i, coding);
        coding += w->codings[i];
    }
    if (e == GWH_OK) {
        e = make_manifest(w);
    }
    if (e == GWH_OK) {
        struct self_check s = {w, 0, 0};
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
    for (size_t i = 0; i < w->b->image_count; i++) {
        for (size_t k = 0; e == GWH_OK && k < w->variant[i].payload_count; k++) {
            e = gwh_release_payload_path(path, &r, w->payload[i][k].name, w->err);
            if (e == GWH_OK) { /* the same content: the same name */
                e = gwh_file_write(path, gwh_span(&w->file[i][k]), 0644, true, w->err);
            }
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
    built->images = (uint32_t)w->b->image_count;
    built->manifest_bytes = (uint32_t)w->cose.n;
    for (size_t i = 0; i < w->b->image_count; i++) {
        built->image_bytes += (uint32_t)w->image[i].n;
        built->payloads += (uint32_t)w->variant[i].payload_count;
        for (size_t k = 0; k < w->variant[i].payload_count; k++) {
            built->payload_bytes += (uint32_t)w->file[i][k].n;
        }
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
