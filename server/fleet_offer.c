/*
 * fleet_offer.c - which rollout serves a device, and the offer that comes of it. See fleet.h.
 *
 * Offers are made when the first device asks, and kept by what they are made of: class, rollout, grants, bundle, step
 * of the jitter. When there are too many (a release with a grant for each device), all are forgotten and made anew.
 */
#include <string.h>

#include "cose.h"
#include "fields.h"
#include "fleet_internal.h"
#include "keys.h"
#include "publish.h"

#define STEPS 16u /* of the jitter: so many offers differ in nothing else */

/* ---- Precedence -------------------------------------------------------------------------------------------------- */

const struct fleet_class *fleet_class_of(const struct gws_fleet *f, const struct gws_device *d)
{
    for (size_t i = 0; i < f->policy.class_count; i++) {
        if (memcmp(f->policy.classes[i].id, d->class_id, 16) == 0) {
            return &f->policy.classes[i];
        }
    }
    return NULL;
}

struct fleet_rollout *fleet_rollout(const struct gws_fleet *f, const char *id)
{
    for (size_t i = 0; i < f->policy.rollout_count; i++) {
        if (strcmp(f->policy.rollouts[i].id, id) == 0) {
            return &f->policy.rollouts[i];
        }
    }
    return NULL;
}

static bool ranks_above(const struct fleet_rollout *a, const struct fleet_rollout *b)
{
    if (a->priority != b->priority) {
        return a->priority > b->priority;
    }
    if (a->started != b->started) {
        return a->started > b->started;
    }
    return a->turn != b->turn ? a->turn > b->turn : strcmp(a->id, b->id) > 0;
}

const struct fleet_rollout *fleet_pick(const struct gws_fleet *f, const struct gws_device *d)
{
    const struct fleet_class *c = fleet_class_of(f, d);
    const struct fleet_rollout *best = NULL;
    for (size_t i = 0; i < f->policy.rollout_count && c != NULL; i++) {
        const struct fleet_rollout *r = &f->policy.rollouts[i];
        if (r->state == ROLLOUT_RUNNING && &f->policy.classes[r->class_at] == c &&
            (best == NULL || ranks_above(r, best)) && gws_target_holds(f, &r->target, r->id, d)) {
            best = r;
        }
    }
    return best;
}

enum fleet_against fleet_against(const struct gws_fleet *f, const struct fleet_rollout *r, const struct gws_device *d,
                                 const struct fleet_rollout *serving)
{
    if (r == serving) {
        return FOR;
    }
    if (!gws_target_holds(f, &r->target, r->id, d)) {
        return NOT_IN_TARGET;
    }
    if (r->state != ROLLOUT_RUNNING) {
        return r->state == ROLLOUT_PAUSED ? PAUSED : NOT_STARTED;
    }
    return r->priority < serving->priority ? LOWER_PRIORITY : STARTED_EARLIER;
}

/* It went back from it, or was offered it again before the server knew that, and said so. */
static bool left(const struct gws_device *d, struct gw_order order)
{
    bool says = d->state == GW_REPORT_LEFT || (d->state == GW_REPORT_FAILED && d->reason == -GW_ERR_REJECTED_BEFORE);
    return says && gw_order_compare(d->about, order) == 0;
}

enum fleet_withheld fleet_withheld(const struct fleet_class *c, const struct fleet_release *r,
                                   const struct gws_device *d)
{
    int order = gw_order_compare(d->running, r->m.order);
    if (!d->enabled) {
        return DISABLED;
    }
    if (d->reported != 0 && d->running.sequence != 0 && order >= 0) {
        return order == 0 ? RUNS_IT : RUNS_NEWER;
    }
    if (left(d, r->m.order)) {
        return LEFT_IT;
    }
    int said = c->cose.n > 0 ? gwh_head_allows(&c->head, d->class_id, r->m.order) : GW_OK;
    return said == GW_OK ? OFFERED : said == GW_ERR_WITHDRAWN ? WITHDRAWN : HEAD_BEHIND;
}

/* ---- Grants ------------------------------------------------------------------------------------------------------ */

struct matching {
    struct gw_span kids;
    bool fits;
};

static void match_recipient(struct gw_cbor *c, void *out)
{
    struct matching *m = out;
    struct gw_cose_header h;
    gw_cbor_tuple(c, 3);
    gw_cose_headers(c, &h);
    (void)gw_cbor_bytes(c);
    for (size_t at = 0; c->error == GW_OK && at < m->kids.n; at += 1u + m->kids.p[at]) {
        size_t n = m->kids.p[at];
        if (at + 1 + n <= m->kids.n && h.kid.n == n && memcmp(h.kid.p, m->kids.p + at + 1, n) == 0) {
            m->fits = true;
        }
    }
}

bool fleet_grant_fits(struct gw_span grant, struct gw_span kids)
{
    struct matching m = {.kids = kids, .fits = kids.n == 0};
    struct gw_cose_header h;
    struct gw_cbor c;
    gw_cbor_init(&c, grant.p, grant.n);
    (void)gw_cbor_tag(&c, 96); /* COSE_Encrypt; SPEC.md, section 6 */
    gw_cbor_tuple(&c, 4);
    gw_cose_headers(&c, &h);
    (void)gw_cbor_null(&c);
    struct gw_span list = gw_cbor_item(&c);
    if (c.error != GW_OK) {
        return false;
    }
    for (uint32_t i = 0; !m.fits && gw_list_read(list, i, match_recipient, &m) == GW_OK; i++) {
    }
    return m.fits;
}

static void choose_grants(struct offer_key *k, const struct fleet_release *r, const struct gws_device *d)
{
    for (uint32_t i = 0; i < r->grant_count && k->grant_count < GW_GRANTS_MAX; i++) {
        if (fleet_grant_fits(gwh_span(&r->grant[i]), d->kids)) {
            k->grant[k->grant_count++] = (uint8_t)i;
        }
    }
}

/* ---- Making an offer --------------------------------------------------------------------------------------------- */

static uint8_t step_of(const struct gws_fleet *f, const struct gws_device *d)
{
    uint8_t digest[32] = {0};
    if (f->next_look_s == 0 || gw_sha256(gwh_openssl()->gw, d->id, strlen(d->id), digest) != GW_OK) {
        return 0;
    }
    return digest[0] % STEPS;
}

/* base +- 1/8, in STEPS steps. */
static uint32_t next_look(const struct gws_fleet *f, uint8_t step)
{
    int64_t base = f->next_look_s;
    int64_t s = base + base * (2 * (int64_t)step - (STEPS - 1)) / (8 * (STEPS - 1));
    if (base == 0) {
        return 0;
    }
    return s < GW_LOOK_MIN ? GW_LOOK_MIN : s > GW_LOOK_MAX ? GW_LOOK_MAX : (uint32_t)s;
}

static int encode(const struct gws_fleet *f, const struct offer_key *k, struct gwh_buf *out)
{
    struct gw_offer o = {.next_look = next_look(f, k->step)};
    const struct fleet_rollout *r = k->rollout != 0 ? &f->policy.rollouts[k->rollout - 1] : NULL;
    o.head = gwh_span(&f->policy.classes[k->class_at].cose);
    if (r != NULL) {
        o.manifest = gwh_span(&r->release->cose);
        o.rollout = (struct gw_span){(const uint8_t *)r->id, strlen(r->id)};
        o.payload_base = (struct gw_span){(const uint8_t *)f->payload_base, strlen(f->payload_base)};
        o.grant_count = k->grant_count;
    }
    for (uint32_t i = 0; i < o.grant_count; i++) {
        o.grant[i] = gwh_span(&r->release->grant[k->grant[i]]);
    }
    if (k->trust) {
        o.trust = gwh_span(&f->policy.trust);
    }
    if (o.manifest.n + o.head.n + o.trust.n == 0) {
        return GW_OK; /* nothing: 204 */
    }
    return gwh_offer(out, &o);
}

static int name_offer(struct cached *c)
{
    uint8_t digest[32];
    int e = gw_sha256(gwh_openssl()->gw, c->bytes.p, c->bytes.n, digest);
    if (e != GW_OK) {
        return e;
    }
    c->served.bytes = gwh_span(&c->bytes);
    gwh_hex(c->served.etag, digest, 8);
    c->tag = 0;
    for (unsigned i = 0; i < 8 && c->bytes.n > 0; i++) {
        c->tag = c->tag << 8 | digest[i];
    }
    return GW_OK;
}

/* ---- The cache --------------------------------------------------------------------------------------------------- */

void fleet_forget_offers(struct gws_fleet *f)
{
    for (uint32_t i = 0; i < f->cached; i++) {
        gwh_buf_free(&f->cache[i].bytes);
    }
    f->cached = 0;
    memset(f->slot, 0, sizeof f->slot);
    f->generation += 1 + (f->generation == UINT32_MAX);
}

static uint32_t slot_of(const struct gws_fleet *f, const struct offer_key *k)
{
    const uint8_t *p = (const uint8_t *)k;
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < sizeof *k; i++) {
        h = (h ^ p[i]) * 16777619u;
    }
    for (h %= CACHE_SLOTS; f->slot[h] != 0 && memcmp(&f->cache[f->slot[h] - 1u].key, k, sizeof *k) != 0;) {
        h = (h + 1) % CACHE_SLOTS;
    }
    return h;
}

/* The offer of this key, made if need be. Without memory: nothing is offered, and nothing is kept. */
static struct cached *cached_offer(struct gws_fleet *f, const struct offer_key *k)
{
    static struct cached nothing;
    uint32_t slot = slot_of(f, k);
    if (f->slot[slot] != 0) {
        return &f->cache[f->slot[slot] - 1u];
    }
    if (f->cached == CACHE_MAX) {
        fleet_forget_offers(f);
        slot = slot_of(f, k);
    }
    struct cached *c = &f->cache[f->cached];
    *c = (struct cached){.key = *k};
    if (encode(f, k, &c->bytes) != GW_OK || name_offer(c) != GW_OK) {
        gwh_buf_free(&c->bytes);
        return &nothing;
    }
    f->slot[slot] = (uint16_t)++f->cached;
    return c;
}

/* ---- For a device ------------------------------------------------------------------------------------------------ */

/* Too large for the usual buffer of devices with the bundle in it: the bundle goes first, alone; then the release. */
static struct cached *fit(struct gws_fleet *f, struct offer_key *k, const struct gws_device *d)
{
    struct cached *c = cached_offer(f, k);
    if (k->trust && k->rollout != 0 && c->bytes.n > GW_OFFER_BUFFER) {
        if (d->bundle_sent) {
            k->trust = 0;
        } else {
            k->rollout = 0;
            k->grant_count = 0;
            memset(k->grant, 0, sizeof k->grant);
        }
        c = cached_offer(f, k);
    }
    while (k->grant_count > 0 && c->bytes.n > GWH_OFFER_MAX) {
        k->grant[--k->grant_count] = 0;
        c = cached_offer(f, k);
    }
    return c;
}

static struct cached *make_offer(struct gws_fleet *f, const struct gws_device *d)
{
    static struct cached nothing;
    const struct fleet_class *c = fleet_class_of(f, d);
    const struct fleet_rollout *r = fleet_pick(f, d);
    struct offer_key k = {.step = step_of(f, d)};
    if (c == NULL || !d->enabled) {
        return &nothing;
    }
    k.class_at = (uint32_t)(c - f->policy.classes);
    k.trust = d->reported != 0 && d->trust_version < f->policy.trust_version;
    if (r != NULL && fleet_withheld(c, r->release, d) == OFFERED) {
        k.rollout = (uint32_t)(r - f->policy.rollouts) + 1;
        choose_grants(&k, r->release, d);
    }
    return fit(f, &k, d);
}

static struct cached *offer_of(struct gws_fleet *f, struct gws_device *d)
{
    if (d->generation == f->generation && d->offer != 0) {
        return &f->cache[d->offer - 1u];
    }
    struct cached *c = make_offer(f, d);
    bool kept = c >= f->cache && c < f->cache + CACHE_MAX;
    d->offer = kept ? (uint32_t)(c - f->cache) + 1 : 0;
    d->generation = f->generation;
    return c;
}

const struct gws_served *gws_fleet_offer(struct gws_fleet *fleet, struct gws_device *device)
{
    return &offer_of(fleet, device)->served;
}

static bool holds_bundle_alone(const struct cached *c)
{
    return c->key.trust && c->key.rollout == 0;
}

void gws_fleet_looked(struct gws_fleet *fleet, struct gws_device *device, int64_t now)
{
    struct cached *c = offer_of(fleet, device);
    device->seen = now;
    if (holds_bundle_alone(c) && !device->bundle_sent && fleet_pick(fleet, device) != NULL) {
        device->bundle_sent = true;
        device->offer = 0; /* the next look gets the release */
        device->told = offer_of(fleet, device)->tag;
    }
}

void gws_fleet_reported(struct gws_fleet *fleet, struct gws_device *d, const struct gw_report *report, int64_t now)
{
    d->counter = report->counter;
    d->state = (uint8_t)report->state;
    d->reason = (uint8_t)report->reason;
    d->about = report->release;
    d->running = report->running;
    d->hardware = report->hardware;
    d->bootloader = report->bootloader;
    d->trust_version = report->trust_version;
    d->head_serial = report->head_serial;
    d->reported = now;
    d->seen = now;
    d->bundle_sent = false;
    d->offer = 0;
    d->told = offer_of(fleet, d)->tag;
}

struct telling {
    struct gws_fleet *f;
    void (*each)(void *ctx, const struct gws_device *d);
    void *ctx;
};
static int tell_device(void *ctx, struct gws_device *d)
{
    struct telling *t = ctx;
    uint64_t tag = offer_of(t->f, d)->tag;
    if (tag != d->told) {
        d->told = tag;
        t->each(t->ctx, d);
    }
    return GWH_OK;
}

void gws_fleet_changed(struct gws_fleet *fleet, void (*each)(void *ctx, const struct gws_device *d), void *ctx)
{
    struct telling t = {fleet, each, ctx};
    (void)gws_fleet_each(fleet, tell_device, &t);
}

static void settle(void *ctx, const struct gws_device *d)
{
    (void)ctx;
    (void)d;
}

int gws_fleet_configure(struct gws_fleet *fleet, uint32_t next_look_s, const char *payload_base, struct gwh_error *err)
{
    size_t n = payload_base != NULL ? strlen(payload_base) : 0;
    if (n >= sizeof fleet->payload_base || next_look_s > GW_LOOK_MAX) {
        return gwh_fail(err, GWH_USAGE, "the payload base has more than 255 bytes, or the next look is later than %u s",
                        GW_LOOK_MAX);
    }
    memset(fleet->payload_base, 0, sizeof fleet->payload_base);
    memcpy(fleet->payload_base, payload_base != NULL ? payload_base : "", n);
    fleet->next_look_s = next_look_s;
    fleet_forget_offers(fleet);
    gws_fleet_changed(fleet, settle, NULL); /* what is offered now counts as known */
    return GWH_OK;
}
