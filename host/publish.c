/*
 * publish.c - a release into a static repository. See publish.h.
 *
 * In this order: checked as a device checks it; compared with what is offered now; payloads; the description; and last,
 * in one step, the offer. Whatever ends it on the way, the old offer and all it needs stay as they were.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cose.h"
#include "fields.h"
#include "godwit/agent.h"
#include "publish.h"
#include "uuid.h"

#define BASE_MAX 255u /* bytes of a URL, SPEC.md section 16 */

struct publishing {
    const struct gwh_store *store;
    const struct gwh_publish *p;
    struct gwh_published *done;
    struct gwh_error *err;
    struct gwh_offered now;  /* what is offered */
    bool has_head;
    struct gw_head head;     /* the new one, verified */
    char base[BASE_MAX + 1]; /* for payloads; "": none */
    struct gwh_buf offer;
    struct gwh_buf seen;     /* names of payloads, 32 bytes each */
};

static void tell(const struct publishing *k, const char *format, ...) GWH_PRINTF(2, 3);
static void tell(const struct publishing *k, const char *format, ...)
{
    char line[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (k->p->tell != NULL) {
        k->p->tell(k->p->ctx, line);
    }
}

/* ---- What is to be published ------------------------------------------------------------------------------------- */

static int check_name(const struct publishing *k)
{
    const struct gwh_release *r = k->p->release;
    uint8_t id[16];
    if (k->p->class_name == NULL || r == NULL) {
        return GWH_OK;
    }
    int reason = gwh_uuid_class(r->m.vendor, k->p->class_name, id);
    if (reason != GW_OK) {
        return gwh_fail_reason(k->err, reason, "class ids");
    }
    if (memcmp(id, r->m.class_id, 16) != 0) {
        return gwh_fail(k->err, GWH_REFUSED, "%s is for another class than %s", r->folder, k->p->class_name);
    }
    return GWH_OK;
}

static int check_grants(const struct publishing *k)
{
    const struct gwh_release *r = k->p->release;
    if (r->grant_count > 0 && r->m.key_check.n == 0) {
        return gwh_fail(k->err, GWH_REFUSED, "%s is not encrypted and holds grants: they are of another release",
                        r->folder);
    }
    if (r->grant_count <= GW_GRANTS_MAX) {
        return GWH_OK;
    }
    (void)gwh_fail_reason(k->err, GW_ERR_LIMIT, "%s holds %zu grants, and an offer at most %u", r->folder,
                          r->grant_count, GW_GRANTS_MAX);
    return gwh_hint(k->err,
                    "grant to a key that the group shares (release grant %.60s --to kek:NAME=FILE) and remove the "
                    "others from grants/; one grant for each device needs a server, or godwit push",
                    r->folder);
}

static int check_release(struct publishing *k)
{
    const struct gwh_release *r = k->p->release;
    struct gwh_verify v = {.trust = k->p->trust, .now = k->p->now};
    if (r->folder[0] == '\0') {
        return gwh_fail(k->err, GWH_USAGE, "a manifest alone is not published: name the folder of the release");
    }
    int e = check_name(k);
    e = e == GWH_OK ? gwh_release_verify(r, &v, k->err) : e;
    e = e == GWH_OK ? check_grants(k) : e;
    memcpy(k->done->class_id, r->m.class_id, 16);
    return e;
}

static struct gw_span head_of(const struct publishing *k)
{
    return k->p->release != NULL ? gwh_span(&k->p->release->head) : k->p->head;
}

static int check_head(struct publishing *k)
{
    struct gw_span cose = head_of(k);
    if (cose.n == 0) {
        return k->p->release != NULL ? GWH_OK : gwh_fail(k->err, GWH_USAGE, "there is nothing to publish");
    }
    int reason = gw_head_open(&k->head, gwh_openssl()->gw, k->p->trust, cose.p, cose.n);
    if (reason != GW_OK) {
        return gwh_fail_reason(k->err, reason, "the head is refused");
    }
    k->has_head = true;
    memcpy(k->done->class_id, k->head.class_id, 16);
    return GWH_OK;
}

/* ---- Where devices shall fetch payloads -------------------------------------------------------------------------- */

static void read_host(struct gw_cbor *c, void *out)
{
    *(struct gw_span *)out = gw_cbor_text(c);
}

static bool is_trusted_host(const struct gw_trust *t, const char *host, size_t n)
{
    struct gw_span s;
    for (uint32_t i = 0; gw_list_read(t->hosts, i, read_host, &s) == GW_OK; i++) {
        if (s.n == n && memcmp(s.p, host, n) == 0) {
            return true;
        }
    }
    return false;
}

static int check_base(struct publishing *k)
{
    const char *base = k->p->payload_base;
    if (base == NULL) {
        return GWH_OK;
    }
    size_t n = strlen(base);
    while (n > 0 && base[n - 1] == '/') {
        n--;
    }
    static const char usual[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/[]%+,=!$&'()*;";
    bool plain = strspn(base, usual) == strlen(base);
    size_t host = n > 8 ? strcspn(base + 8, ":/") : 0;
    if (strncmp(base, "https://", 8) != 0 || host == 0 || n > BASE_MAX || !plain) {
        (void)gwh_fail(k->err, GWH_USAGE, "--payload-base %.100s: devices do not take it", base);
        return gwh_hint(k->err, "https://host[:port][/path], without user, query and fragment, at most %u bytes",
                        BASE_MAX);
    }
    memcpy(k->base, base, n);
    if (!is_trusted_host(k->p->trust, base + 8, host)) {
        tell(k, "note: the trust bundle does not name %.*s: devices fetch there only if the offer is there too",
             (int)host, base + 8);
    }
    return GWH_OK;
}

/* ---- What is offered now ----------------------------------------------------------------------------------------- */

static int read_offered(struct publishing *k)
{
    char name[GWH_STORE_NAME_MAX];
    struct gwh_error why = {0};
    gwh_offer_name(name, k->done->class_id);
    int e = gwh_offered_get(&k->now, k->store, name, &why);
    if (e == GWH_REFUSED && k->p->allow_older) { /* it does not parse, or is too large: to be replaced */
        tell(k, "note: %s; it is replaced", why.text);
        gwh_offered_free(&k->now);
        return GWH_OK;
    }
    if (e == GWH_REFUSED) {
        (void)gwh_hint(&why, "if it is to be replaced all the same, add --allow-older: it cannot be compared");
    }
    if (e != GWH_OK) {
        *k->err = why;
    }
    return e;
}

static int refuse_older(const struct publishing *k)
{
    const struct gw_order is = k->p->release->m.order, was = k->now.m.order;
    if (gw_order_compare(is, was) == 0) {
        (void)gwh_fail_reason(k->err, GW_ERR_OLDER, "another release of epoch %u, sequence %u is offered now",
                              (unsigned)was.epoch, (unsigned)was.sequence);
        return gwh_hint(k->err, "build with a higher --sequence; devices that have the other would not take this one. "
                                "--allow-older replaces it all the same");
    }
    (void)gwh_fail_reason(k->err, GW_ERR_OLDER, "epoch %u, sequence %u is offered now, this is epoch %u, sequence %u",
                          (unsigned)was.epoch, (unsigned)was.sequence, (unsigned)is.epoch, (unsigned)is.sequence);
    return gwh_hint(k->err, "devices that have the newer one stay with it; --allow-older offers this one to others");
}

static bool withdraws(const struct gw_head *head, const struct gw_manifest *m)
{
    return gwh_head_allows(head, m->class_id, m->order) == GW_ERR_WITHDRAWN;
}

static int compare_release(const struct publishing *k)
{
    const struct gwh_release *r = k->p->release;
    if (r == NULL) {
        return GWH_OK;
    }
    bool other = k->now.has_manifest && memcmp(k->now.digest, r->digest, 32) != 0;
    if (other && gw_order_compare(r->m.order, k->now.m.order) <= 0 && !k->p->allow_older) {
        return refuse_older(k);
    }
    if (k->now.has_head && !k->has_head && withdraws(&k->now.head, &r->m)) {
        (void)gwh_fail_reason(k->err, GW_ERR_WITHDRAWN, "the head that is offered now, serial %u, withdraws it",
                              (unsigned)k->now.head.serial);
        return gwh_hint(k->err, "publish a newer release, or one with a head of its own (godwit release head)");
    }
    if (k->now.has_head && !k->has_head) {
        tell(k, "note: the head that is offered now (serial %u) is offered no more: this release has none",
             (unsigned)k->now.head.serial);
    }
    return GWH_OK;
}

static int compare_head(const struct publishing *k)
{
    if (!k->now.has_head || !k->has_head || k->head.serial >= k->now.head.serial) {
        return GWH_OK;
    }
    (void)gwh_fail_reason(k->err, GW_ERR_HEAD_OLDER, "the head that is offered now has serial %u, this one %u",
                          (unsigned)k->now.head.serial, (unsigned)k->head.serial);
    return gwh_hint(k->err, "godwit release head RELEASE --key DISTRIBUTOR.pem --force signs a new one");
}

static int compare_bundle(const struct publishing *k)
{
    if (!k->now.has_trust) {
        return GWH_OK;
    }
    if (k->p->bundle.n == 0) {
        tell(k, "note: the trust bundle that is offered now (version %u) is offered no more; --offer-trust offers one",
             (unsigned)k->now.trust.version);
        return GWH_OK;
    }
    if (k->p->trust->version >= k->now.trust.version) {
        return GWH_OK;
    }
    (void)gwh_fail_reason(k->err, GW_ERR_TRUST_OLDER, "the bundle that is offered now has version %u, this one %u",
                          (unsigned)k->now.trust.version, (unsigned)k->p->trust->version);
    return gwh_hint(k->err, "publish with the newer bundle as --trust");
}

/* ---- The offer --------------------------------------------------------------------------------------------------- */

static int too_large(const struct publishing *k, const struct gw_offer *o)
{
    size_t grants = 0;
    for (uint32_t i = 0; i < o->grant_count; i++) {
        grants += o->grant[i].n;
    }
    (void)gwh_fail_reason(k->err, GW_ERR_LIMIT,
                          "the offer has %zu bytes, of at most %u: manifest %zu, %u grants %zu, head %zu, bundle %zu",
                          k->offer.n, GWH_OFFER_MAX, o->manifest.n, (unsigned)o->grant_count, grants, o->head.n,
                          o->trust.n);
    return o->trust.n > 0 ? gwh_hint(k->err, "offer the bundle first, with the release before or a head alone; then "
                                             "this one without --offer-trust")
                          : gwh_hint(k->err, "fewer deltas, signatures or grants make it smaller");
}

static int make_offer(struct publishing *k)
{
    const struct gwh_release *r = k->p->release;
    struct gw_offer o = {.head = head_of(k), .trust = k->p->bundle, .next_look = k->p->next_look_s};
    struct gwh_offered back = {0};
    o.payload_base = (struct gw_span){(const uint8_t *)k->base, strlen(k->base)};
    if (r != NULL) {
        o.manifest = gwh_span(&r->cose);
        o.grant_count = (uint32_t)r->grant_count;
        for (uint32_t i = 0; i < o.grant_count; i++) {
            o.grant[i] = gwh_span(&r->grants[i].bytes);
        }
    }
    int reason = gwh_offer(&k->offer, &o);
    if (reason == GW_OK && k->offer.n > GWH_OFFER_MAX) {
        return too_large(k, &o);
    }
    back.bytes = k->offer;
    reason = reason == GW_OK ? gwh_offered_parse(&back) : reason;
    bool same = back.has_manifest == (r != NULL) && (r == NULL || memcmp(back.digest, r->digest, 32) == 0);
    if (reason != GW_OK || !same) {
        return gwh_fail_reason(k->err, reason != GW_OK ? reason : GW_ERR_FORMAT, "the offer that was made is refused");
    }
    k->done->offer_bytes = (uint32_t)k->offer.n;
    if (k->offer.n > GW_OFFER_BUFFER) {
        tell(k, "note: the offer has %zu bytes; devices with the usual buffer take %u", k->offer.n, GW_OFFER_BUFFER);
    }
    return GWH_OK;
}

/* ---- Putting it there -------------------------------------------------------------------------------------------- */

static int put(struct publishing *k, const struct gwh_item *item)
{
    int e = k->p->dry_run ? GWH_OK : k->store->put(k->store->ctx, item, k->err);
    k->done->bytes += e == GWH_OK ? item->size : 0;
    return e;
}

static int put_bytes(struct publishing *k, const char *name, const char *type, struct gw_span bytes)
{
    struct gwh_item item = {.name = name, .bytes = bytes, .size = bytes.n, .type = type};
    if (gw_sha256(gwh_openssl()->gw, bytes.p, bytes.n, item.digest) != GW_OK) {
        return gwh_fail_reason(k->err, GW_ERR_CRYPTO, "%s", name);
    }
    return put(k, &item);
}

static bool was_seen(struct publishing *k, const uint8_t name[32])
{
    for (size_t i = 0; i < k->seen.n; i += 32) {
        if (memcmp(k->seen.p + i, name, 32) == 0) {
            return true;
        }
    }
    (void)gwh_buf_add(&k->seen, name, 32); /* without memory it is looked for twice, which does no harm */
    return false;
}

static int put_payload(void *ctx, const struct gwh_place *at)
{
    struct publishing *k = ctx;
    char name[GWH_STORE_NAME_MAX], path[GWH_PATH_MAX];
    struct gwh_stored there;
    struct gwh_item item = {.name = name,
                            .path = path,
                            .size = at->p.size,
                            .type = "application/octet-stream",
                            .immutable = true};
    if (was_seen(k, at->p.name)) {
        return GWH_OK;
    }
    memcpy(item.digest, at->p.name, 32);
    gwh_payload_name(name, at->p.name);
    int e = gwh_release_payload_path(path, k->p->release, at->p.name, k->err);
    e = e == GWH_OK ? k->store->look(k->store->ctx, name, true, &there, k->err) : e;
    if (e != GWH_OK) {
        return e;
    }
    if (there.there && there.size == item.size && there.digest_known && memcmp(there.digest, item.digest, 32) == 0) {
        k->done->payloads_there++;
        return GWH_OK;
    }
    if (there.there) {
        tell(k, "note: %s was there and was not whole; it is put again", name);
    }
    e = put(k, &item);
    k->done->payloads += e == GWH_OK;
    return e;
}

/* One that is there stays, if it describes this release and says as much of the class. */
static bool is_described(const struct publishing *k, const char *name, const json_t *is)
{
    struct gwh_buf bytes = {0};
    struct gwh_error ignored = {0};
    json_t *there = NULL;
    if (k->store->get(k->store->ctx, name, GWH_DESCRIPTION_MAX, &bytes, &ignored) == GWH_OK && bytes.n > 0) {
        there = json_loadb((const char *)bytes.p, bytes.n, JSON_REJECT_DUPLICATES, NULL);
    }
    if (json_object_get(is, "class") == NULL) {
        (void)json_object_del(there, "class");
    }
    bool same = there != NULL && json_equal(there, is);
    json_decref(there);
    gwh_buf_free(&bytes);
    return same;
}

static int put_description(struct publishing *k)
{
    const struct gwh_release *r = k->p->release;
    char name[GWH_STORE_NAME_MAX];
    json_t *o = gwh_describe(&r->m, r->digest, k->p->class_name);
    char *text = json_dumps(o, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    int e = text == NULL ? gwh_fail_reason(k->err, GW_ERR_SPACE, "%s", r->folder) : GWH_OK;
    gwh_description_name(name, r->digest);
    if (e == GWH_OK && !is_described(k, name, o)) {
        e = put_bytes(k, name, "application/json", (struct gw_span){(const uint8_t *)text, strlen(text)});
    }
    free(text);
    json_decref(o);
    return e;
}

static int put_offer(struct publishing *k)
{
    char name[GWH_STORE_NAME_MAX];
    const struct gwh_buf *was = &k->now.bytes;
    gwh_offer_name(name, k->done->class_id);
    if (was->n == k->offer.n && memcmp(was->p, k->offer.p, was->n) == 0) {
        return GWH_OK;
    }
    int e = put_bytes(k, name, "application/cbor", gwh_span(&k->offer));
    k->done->offer_changed = e == GWH_OK;
    return e;
}

static int put_all(struct publishing *k)
{
    int e = GWH_OK;
    if (k->p->release != NULL) {
        e = gwh_each_payload(&k->p->release->m, put_payload, k);
        e = e == GWH_OK ? put_description(k) : e;
    }
    e = e == GWH_OK ? put_offer(k) : e;
    return e == GWH_OK || k->err->exit != GWH_OK ? e : gwh_fail_reason(k->err, e, "publishing");
}

int gwh_publish(const struct gwh_store *store, const struct gwh_publish *p, struct gwh_published *done,
                struct gwh_error *err)
{
    struct publishing *k = calloc(1, sizeof *k);
    memset(done, 0, sizeof *done);
    if (k == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "publishing");
    }
    *k = (struct publishing){.store = store, .p = p, .done = done, .err = err};
    int (*const steps[])(struct publishing *) = {check_head, check_base, read_offered};
    int e = p->release != NULL ? check_release(k) : GWH_OK;
    for (size_t i = 0; e == GWH_OK && i < sizeof steps / sizeof *steps; i++) {
        e = steps[i](k);
    }
    int (*const comparisons[])(const struct publishing *) = {compare_head, compare_release, compare_bundle};
    for (size_t i = 0; e == GWH_OK && i < sizeof comparisons / sizeof *comparisons; i++) {
        e = comparisons[i](k);
    }
    e = e == GWH_OK ? make_offer(k) : e;
    e = e == GWH_OK ? put_all(k) : e;
    gwh_offered_free(&k->now);
    gwh_buf_free(&k->offer);
    gwh_buf_free(&k->seen);
    free(k);
    return e;
}
