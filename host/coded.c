/*
 * coded.c - see coded.h.
 */
#include "coded.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Images of older releases ------------------------------------------------------------------------------------ */

/* The image that a full payload holds: taken apart, decrypted, decoded, compared with what was signed. */
static int read_payload(struct gwh_buf *image, const struct gwh_release *r, const struct gwh_place *at,
                        struct gw_span cek, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    struct gwh_buf file = {0};
    int e = gwh_release_payload_path(path, r, at->p.name, err);
    e = e == GWH_OK ? gwh_file_read(&file, path, GWH_IMAGE_MAX * 2u, err) : e;
    if (e == GWH_OK) {
        int reason = gwh_payload_image(image, gwh_openssl()->gw, at, cek, (struct gw_span){NULL, 0}, gwh_span(&file));
        e = reason == GW_OK ? GWH_OK : gwh_fail_reason(err, reason, "%s", path);
    }
    gwh_buf_free(&file);
    return e;
}

struct loading {
    struct gwh_old_images *all;
    const struct gwh_release *r;
    struct gw_span cek;
    uint32_t done_component, done_variant; /* indices + 1 of the image that was loaded last */
    struct gwh_error *err;
};

/* The first full payload of each variant. */
static int load_one(void *ctx, const struct gwh_place *at)
{
    struct loading *l = ctx;
    if (at->p.delta || (l->done_component == at->component + 1 && l->done_variant == at->variant + 1)) {
        return GWH_OK;
    }
    struct gwh_old_image *grown = realloc(l->all->image, (l->all->count + 1) * sizeof *grown);
    if (grown == NULL) {
        return gwh_fail_reason(l->err, GW_ERR_SPACE, "%s", l->r->folder);
    }
    l->all->image = grown;
    struct gwh_old_image *old = &grown[l->all->count++];
    *old = (struct gwh_old_image){.release = l->r, .component = at->c.id, .linked = at->v.linked,
                                  .address = at->v.address};
    memcpy(old->digest, at->v.digest, sizeof old->digest);
    l->done_component = at->component + 1;
    l->done_variant = at->variant + 1;
    return read_payload(&old->image, l->r, at, l->cek, l->err);
}

int gwh_old_images_load(struct gwh_old_images *all, const struct gwh_release *r, const struct gwh_holders *keys,
                        struct gwh_error *err)
{
    uint8_t cek[32];
    size_t size = 0;
    int e = GWH_OK;
    if (r->m.key_check.n != 0) {
        e = gwh_release_cek(r, keys, NULL, cek, &size, err);
    }
    if (e == GWH_OK) {
        struct loading l = {all, r, {cek, size}, 0, 0, err};
        e = gwh_each_payload(&r->m, load_one, &l);
        e = e != GWH_OK && err->exit == GWH_OK ? gwh_fail_reason(err, e, "%s", r->folder) : e;
    }
    gw_wipe(cek, sizeof cek);
    return e;
}

void gwh_old_images_free(struct gwh_old_images *all)
{
    for (size_t i = 0; i < all->count; i++) {
        gwh_buf_free(&all->image[i].image);
    }
    free(all->image);
    *all = (struct gwh_old_images){0};
}

bool gwh_old_suits(const struct gwh_old_image *old, uint32_t component, bool linked, uint32_t address)
{
    return old->component == component && !(linked && old->linked && old->address == address);
}

/* ---- Making them ------------------------------------------------------------------------------------------------- */

struct pool {
    struct gwh_coding *list;
    size_t count, next;
    pthread_mutex_t lock;
};

static void *worker(void *ctx)
{
    struct pool *p = ctx;
    for (;;) {
        (void)pthread_mutex_lock(&p->lock);
        size_t i = p->next++;
        (void)pthread_mutex_unlock(&p->lock);
        if (i >= p->count) {
            return NULL;
        }
        struct gwh_coding *c = &p->list[i];
        struct gw_span old = {NULL, 0};
        if (c->from != NULL) {
            old = gwh_span(&c->from->image);
        }
        c->error = gwh_patch_make(&c->out, old, c->fresh, &c->options);
    }
}

int gwh_code_all(struct gwh_coding *list, size_t count, unsigned threads)
{
    pthread_t thread[16];
    struct pool p = {list, count, 0, PTHREAD_MUTEX_INITIALIZER};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned started = 0;
    threads = threads != 0 ? threads : cores > 0 ? (unsigned)cores : 1;
    threads = threads < 16 ? threads : 16;
    while (started + 1 < threads && started + 1 < count &&
           pthread_create(&thread[started], NULL, worker, &p) == 0) {
        started++;
    }
    (void)worker(&p); /* this one works, too; alone, if no other could be started */
    while (started > 0) {
        (void)pthread_join(thread[--started], NULL);
    }
    (void)pthread_mutex_destroy(&p.lock);
    for (size_t i = 0; i < count; i++) {
        if (list[i].error != GW_OK) {
            return list[i].error;
        }
    }
    return GW_OK;
}
