/*
 * verify.c - a release folder checked as devices check it: signatures, head, grants, payload files. See release.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "release.h"

struct checking {
    const struct gwh_release *r;
    const struct gwh_verify *v;
    struct gw_span cek; /* n 0: not opened */
    struct gwh_error *err;
};

static void say(const struct checking *k, const char *format, ...) GWH_PRINTF(2, 3);
static void say(const struct checking *k, const char *format, ...)
{
    char line[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (k->v->found != NULL) {
        k->v->found(k->v->ctx, line);
    }
}

static int check_manifest(const struct checking *k)
{
    struct gw_manifest m;
    int e = gw_manifest_open(&m, gwh_openssl()->gw, k->v->trust, k->r->cose.p, k->r->cose.n);
    if (e != GW_OK) {
        (void)gwh_fail_reason(k->err, e, "the manifest of %s is refused", k->r->folder);
        if (e == GW_ERR_SIGNERS_FEW || e == GW_ERR_FORMAT) {
            (void)gwh_hint(k->err, "godwit release sign %s --key KEY.pem", k->r->folder);
        }
        return k->err->exit;
    }
    if (k->v->now != 0 && m.use_before != 0 && k->v->now >= m.use_before) {
        return gwh_fail_reason(k->err, GW_ERR_EXPIRED, "%s", k->r->folder);
    }
    say(k, "manifest: signed as the bundle's policy asks; epoch %u, sequence %u", (unsigned)m.order.epoch,
        (unsigned)m.order.sequence);
    return GWH_OK;
}

int gwh_head_allows(const struct gw_head *head, const uint8_t class_id[16], struct gw_order order)
{
    struct gw_order o;
    if (memcmp(head->class_id, class_id, 16) != 0) {
        return GW_ERR_HEAD_OTHER;
    }
    for (uint32_t i = 0; gw_head_withdrawn(head, i, &o) == GW_OK; i++) {
        if (gw_order_compare(o, order) == 0) {
            return GW_ERR_WITHDRAWN;
        }
    }
    return gw_order_compare(order, head->latest) > 0 ? GW_ERR_HEAD_BEHIND : GW_OK;
}

static int check_head(const struct checking *k)
{
    struct gw_head head;
    if (k->r->head.n == 0) {
        return GWH_OK;
    }
    int e = gw_head_open(&head, gwh_openssl()->gw, k->v->trust, k->r->head.p, k->r->head.n);
    e = e == GW_OK ? gwh_head_allows(&head, k->r->m.class_id, k->r->m.order) : e;
    if (e != GW_OK) {
        return gwh_fail_reason(k->err, e, "the head of %s is refused", k->r->folder);
    }
    say(k, "head: signed by a distributor; serial %u", (unsigned)head.serial);
    return GWH_OK;
}

/* Well-formed and for this manifest? Opens with the keys given, if one fits; GW_ERR_NO_KEY says only that none did. */
static int check_grant(const struct checking *k, const struct gwh_named *g, const struct gw_keystore *keys,
                       uint8_t cek[32], size_t *size)
{
    int e = gw_grant_open(gwh_openssl()->gw, keys, &k->r->m, g->bytes.p, g->bytes.n, cek, size);
    if (e != GW_OK && e != GW_ERR_NO_KEY) {
        return gwh_fail_reason(k->err, e, "the grant %s is refused", g->name);
    }
    say(k, "grant: %s %s", g->name, e == GW_OK ? "opened with the key given" : "well-formed; none of its keys is here");
    return e;
}

static int check_grants(struct checking *k, uint8_t cek[32])
{
    struct gw_keystore keys;
    struct gwh_holders none = {0}, set = k->v->holders != NULL ? *k->v->holders : none;
    uint8_t found[32];
    gwh_holder_keystore(&keys, &set);
    if (k->r->m.key_check.n == 0) {
        return GWH_OK;
    }
    if (k->r->grant_count == 0) {
        (void)gwh_fail_reason(k->err, GW_ERR_NO_KEY, "%s is encrypted and holds no grant", k->r->folder);
        return gwh_hint(k->err, "godwit release grant %s --to DEVICE.pub.pem --cek FILE", k->r->folder);
    }
    for (size_t i = 0; i < k->r->grant_count; i++) {
        size_t size = 0;
        int e = check_grant(k, &k->r->grants[i], &keys, found, &size);
        if (e == GW_OK) {
            memcpy(cek, found, size);
            k->cek = (struct gw_span){cek, size};
        } else if (e != GW_ERR_NO_KEY) {
            return e;
        }
    }
    if (set.count > 0 && k->cek.n == 0) {
        return gwh_fail_reason(k->err, GW_ERR_NO_KEY, "no grant of %s opens with the keys given", k->r->folder);
    }
    return GWH_OK;
}

static int check_payload(void *ctx, const struct gwh_place *at)
{
    const struct checking *k = ctx;
    struct gwh_buf file = {0};
    char path[GWH_PATH_MAX];
    int e = gwh_release_payload_path(path, k->r, at->p.name, k->err);
    if (e == GWH_OK) {
        e = gwh_file_read(&file, path, GWH_IMAGE_MAX, k->err);
    }
    if (e == GWH_OK) {
        int reason = gwh_payload_check(gwh_openssl()->gw, at, k->cek, gwh_span(&file));
        e = reason == GW_OK ? GWH_OK : gwh_fail_reason(k->err, reason, "the payload %s is refused", path);
    }
    gwh_buf_free(&file);
    if (e == GWH_OK) {
        bool open = at->p.cipher == 0 || k->cek.n != 0;
        say(k, "payload: %u bytes for component %u: name, size and every frame as signed%s", (unsigned)at->p.size,
            (unsigned)at->c.id, open ? "; decodes to the signed image" : " (encrypted: the image needs a key, --with)");
    }
    return e;
}

int gwh_release_verify_signed(const struct gwh_release *r, const struct gwh_verify *v, struct gwh_error *err)
{
    struct checking k = {.r = r, .v = v, .err = err};
    uint8_t cek[32];
    int e = check_manifest(&k);
    e = e == GWH_OK ? check_head(&k) : e;
    e = e == GWH_OK ? check_grants(&k, cek) : e;
    gw_wipe(cek, sizeof cek);
    return e;
}

int gwh_release_verify(const struct gwh_release *r, const struct gwh_verify *v, struct gwh_error *err)
{
    struct checking k = {.r = r, .v = v, .err = err};
    uint8_t cek[32];
    int e = check_manifest(&k);
    if (e == GWH_OK) {
        e = check_head(&k);
    }
    if (e == GWH_OK) {
        e = check_grants(&k, cek);
    }
    if (e == GWH_OK) {
        e = gwh_each_payload(&r->m, check_payload, &k);
    }
    gw_wipe(cek, sizeof cek);
    return e == GWH_OK || err->exit != GWH_OK ? e : gwh_fail_reason(err, e, "%s", r->folder);
}
