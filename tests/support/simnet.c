/*
 * simnet.c - see simnet.h. What cannot fail in a right test aborts with its name; what the agent does wrong is noted.
 */
#include "simnet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "cose.h"

#define STEPS_MAX 400000u /* without a pause of more than a second: it spins */

bool simnet_seen[GW_AGENT_STATES][GW_AGENT_STATES];

static void must(int err, const char *what)
{
    if (err != 0) {
        fprintf(stderr, "simnet: %s: %s\n", what, gw_error_name(err));
        abort();
    }
}

static void wrong(struct simnet *s, const char *what)
{
    s->wrong = s->wrong == NULL ? what : s->wrong;
}

/* ---- The transport ----------------------------------------------------------------------------------------------- */

static struct simnet_request *entry(struct simnet *s)
{
    return &s->log[s->requests - 1 < SIMNET_LOG ? s->requests - 1 : SIMNET_LOG - 1];
}

static bool faulty(const struct simnet *s, enum simnet_fault_kind kind, int resource)
{
    const struct simnet_fault *f = &s->fault;
    uint32_t number = s->requests - 1;

    return f->kind == kind && number >= f->request && (f->count == 0 || number - f->request < f->count) &&
           (f->resource == 0 || f->resource == resource);
}

static bool again(struct simnet *s)
{
    if (s->waited < s->again) {
        s->waited += s->again != UINT32_MAX;
        return true;
    }
    s->waited = 0;
    return false;
}

static int net_trust(void *ctx, const struct gw_transport_trust *trust)
{
    struct simnet *s = ctx;

    if (trust->trust == NULL || s->open || s->asked) {
        wrong(s, "trust: none, or while a request is open");
    }
    s->told_trust++;
    return 0;
}

static bool same_request(const struct gw_request *a, const struct gw_request *b)
{
    return a->resource == b->resource && a->offset == b->offset && a->longest == b->longest && a->size == b->size &&
           memcmp(a->digest, b->digest, sizeof a->digest) == 0 && a->unchanged_ok == b->unchanged_ok &&
           a->anonymous == b->anonymous && a->base.p == b->base.p && a->base.n == b->base.n;
}

static int find_file(const struct simnet *s, const uint8_t *name)
{
    for (unsigned i = 0; i < s->files; i++) {
        if (memcmp(s->name[i], name, 32) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* Writes a new request down. */
static int begin(struct simnet *s, const struct gw_request *r)
{
    s->requests++;
    s->now = *r;
    s->at = 0;
    struct simnet_request *e = entry(s);
    *e = (struct simnet_request){ .resource = (int)r->resource, .offset = r->offset, .longest = r->longest,
                                  .unchanged_ok = r->unchanged_ok, .anonymous = r->anonymous,
                                  .own_base = r->base.n == 0, .ms = s->ms };
    if (r->longest == 0 || (r->unchanged_ok && !s->last_settled)) {
        wrong(s, "a request for nothing, or 304 allowed without an offer that was read");
    }
    if (r->resource == GW_RESOURCE_OFFER) {
        return 0;
    }
    int file = find_file(s, r->digest);
    if (file < 0 || r->size != s->file[file]->n || r->offset + r->longest > r->size) {
        wrong(s, "a payload that is not there, or past its end");
        return GW_ERR_HTTP_STATUS;
    }
    e->file = (unsigned)file;
    return 0;
}

static int net_open(void *ctx, const struct gw_request *r)
{
    struct simnet *s = ctx;

    s->opens++;
    if (s->open || (s->asked && !same_request(r, &s->now))) {
        wrong(s, "open: one is open, or another one than was asked for");
    }
    if (!s->asked) {
        int err = begin(s, r);
        if (err != 0) {
            s->open = true;
            return err;
        }
    }
    s->asked = again(s);
    if (s->asked) {
        return GW_ERR_AGAIN;
    }
    s->open = true;
    return faulty(s, SIMNET_OPEN, (int)r->resource) ? s->fault.error : 0;
}

/* The bytes of what is open, from s->at on. */
static struct gw_span rest(struct simnet *s)
{
    struct gw_span all = gwh_span(&s->answer);
    uint32_t end;

    if (s->now.resource == GW_RESOURCE_PAYLOAD) {
        all = gwh_span(s->file[entry(s)->file]);
        end = s->range_most != 0 && s->range_most < s->now.longest ? s->range_most : s->now.longest;
        all = (struct gw_span){ all.p + s->now.offset, end };
    }
    uint32_t at = s->at < all.n ? s->at : (uint32_t)all.n; /* the offer may have become a shorter one meanwhile */
    return (struct gw_span){ all.p + at, all.n - at };
}

static void count_payload(struct simnet *s, size_t n)
{
    uint8_t *served = s->served[entry(s)->file] + s->now.offset + s->at;

    s->delivered += n;
    s->d->fetched += n;
    for (size_t i = 0; i < n; i++) {
        s->twice += served[i] != 0;
        served[i] = 1;
    }
}

static int net_read(void *ctx, uint8_t *data, size_t size, size_t *n)
{
    struct simnet *s = ctx;
    int resource = (int)s->now.resource;
    bool ends = faulty(s, SIMNET_ENDS, resource), fails = faulty(s, SIMNET_BYTE, resource);

    if (!s->open || size == 0) {
        wrong(s, "read: nothing is open, or no room");
    }
    *n = 0; /* as transports do that have nothing: it counts for nothing */
    if (again(s)) {
        return GW_ERR_AGAIN;
    }
    if (resource == GW_RESOURCE_OFFER && !s->endless && s->nothing && !ends && !fails) {
        return GW_ERR_NOTHING;
    }
    struct gw_span bytes = rest(s);
    if (resource == GW_RESOURCE_OFFER && s->endless) {
        memset(data, 0x5a, size);
        *n = size;
        return 0;
    }
    size_t most = size < bytes.n ? size : bytes.n;
    most = s->piece != 0 && s->piece < most ? s->piece : most;
    if ((ends || fails) && s->fault.byte - s->at < most) {
        most = s->fault.byte - s->at;
    }
    if (fails && s->at >= s->fault.byte) {
        return s->fault.error;
    }
    memcpy(data, bytes.p, most);
    if (faulty(s, SIMNET_FLIPS, resource) && s->fault.byte - s->at < most) {
        data[s->fault.byte - s->at] ^= 0x10;
    }
    if (resource == GW_RESOURCE_PAYLOAD) {
        count_payload(s, most);
        if (most > 0 && s->at + most > s->now.longest) {
            wrong(s, "more than was asked for");
        }
    }
    s->at += (uint32_t)most;
    entry(s)->given = s->at;
    s->last_settled = s->last_settled || (resource == GW_RESOURCE_OFFER && most == 0);
    *n = most;
    return 0;
}

static void net_close(void *ctx)
{
    struct simnet *s = ctx;

    s->closes++;
    s->open = s->asked = false;
    s->waited = 0;
}

static int net_report(void *ctx, const uint8_t *bytes, size_t n)
{
    struct simnet *s = ctx;
    struct gw_report r;

    if (s->open || n == 0 || n > GW_REPORT_MAX) {
        wrong(s, "report: while a request is open, or empty, or too long");
    }
    if (!s->asked) {
        s->requests++;
        *entry(s) = (struct simnet_request){ .resource = SIMNET_REPORT, .ms = s->ms };
    }
    s->asked = again(s);
    if (s->asked) {
        return GW_ERR_AGAIN;
    }
    if (s->report_error != 0) {
        return s->report_error;
    }
    if (faulty(s, SIMNET_OPEN, SIMNET_REPORT)) {
        return s->fault.error;
    }
    int err = s->report_mac ? gw_report_open_mac(&r, s->d->crypto->gw, s->d->kek, sizeof s->d->kek, bytes, n)
                            : gw_report_open(&r, s->d->crypto->gw, &s->report_key, bytes, n);
    const struct gw_report *last = &s->last;
    if (err == 0 && r.counter == last->counter && r.state == last->state && r.reason == last->reason &&
        r.times == last->times && gw_order_compare(r.release, last->release) == 0) {
        return 0; /* the same one again: the device could not note that it was taken */
    }
    if (err != 0 || r.counter <= last->counter) {
        wrong(s, err != 0 ? gw_error_name(err) : "the counter of a report does not grow");
    }
    s->last = r;
    s->report[s->reports < SIMNET_LOG ? s->reports : SIMNET_LOG - 1] = r;
    s->reports++;
    return 0;
}

/* ---- Clock and application --------------------------------------------------------------------------------------- */

static uint32_t app_time(void *ctx)
{
    const struct simnet *s = ctx;

    return s->epoch == 0 ? 0 : s->epoch + (uint32_t)(s->ms / 1000);
}

static bool app_may_fetch(void *ctx, uint32_t bytes)
{
    struct simnet *s = ctx;

    s->asked_fetch++;
    if (bytes == 0) {
        wrong(s, "asked for leave to fetch nothing");
    }
    return !s->veto_fetch;
}

static bool app_may_restart(void *ctx)
{
    struct simnet *s = ctx;

    s->asked_restart++;
    return !s->veto_restart;
}

static int app_self_test(void *ctx)
{
    struct simnet *s = ctx;

    s->self_tests++;
    return s->self_test;
}

static void app_restart(void *ctx)
{
    struct simnet *s = ctx;

    s->restart_asked++;
}

static void app_event(void *ctx, enum gw_event event, int reason, uint32_t a, uint32_t b)
{
    struct simnet *s = ctx;

    if (reason < 0 || event < 1 || event > 15) {
        wrong(s, "an event that there is not");
        return;
    }
    s->looks += event == GW_EVENT_LOOK;
    s->event[event]++;
    s->last_reason[event] = reason;
    s->last_a[event] = a;
    s->last_b[event] = b;
}

static uint32_t app_now(void *ctx)
{
    const struct simnet *s = ctx;

    return s->ms_zero + (uint32_t)s->ms;
}

static void app_wait(void *ctx, uint32_t ms)
{
    struct simnet *s = ctx;

    s->ms += ms;
}

/* ---- Making ------------------------------------------------------------------------------------------------------ */

void simnet_init(struct simnet *s, struct simdev *d)
{
    memset(s, 0, sizeof *s);
    s->d = d;
    s->report_key = d->own.signer.key;
    s->report_mac = !d->config.signs;
    s->epoch = SIMNET_1970;
    s->nothing = true;
    s->restarts = true;
    d->ram.decoding = (struct gw_decoding){ &fastcodec, d->ram.decoder, sizeof d->ram.decoder, NULL };
    s->transport = (struct gw_transport){ s, net_trust, net_open, net_read, net_close, net_report };
    s->config = (struct gw_agent_config){
        .dev = &d->dev, .handover = &d->handover, .transport = &s->transport, .decoding = &d->ram.decoding,
        .buffer = s->buffer, .buffer_size = sizeof s->buffer, .offer = s->offer_memory,
        .offer_size = sizeof s->offer_memory, .time = app_time, .may_fetch = app_may_fetch,
        .may_restart = app_may_restart, .self_test = app_self_test, .restart = app_restart, .on_event = app_event,
        .ctx = s, .now_ms = app_now, .wait = app_wait,
    };
    if (!d->config.signs) {
        s->config.report_kek = (struct gw_span){ (const uint8_t *)"kek", 3 };
    }
}

void simnet_free(struct simnet *s)
{
    gwh_buf_free(&s->answer);
    for (unsigned i = 0; i < s->files; i++) {
        free(s->served[i]);
    }
}

void simnet_files(struct simnet *s, const struct simdev_release *r)
{
    for (unsigned i = 0; i < 3; i++) {
        if (r->file[i].n == 0 || find_file(s, r->name[i]) >= 0) {
            continue;
        }
        must(s->files == SIMNET_FILES ? GW_ERR_SPACE : 0, "files");
        s->file[s->files] = &r->file[i];
        s->name[s->files] = r->name[i];
        s->served[s->files] = calloc(1, r->file[i].n);
        must(s->served[s->files] == NULL ? GW_ERR_SPACE : 0, "memory");
        s->files++;
    }
}

void simnet_serve(struct simnet *s)
{
    gwh_buf_free(&s->answer);
    must(gwh_offer(&s->answer, &s->offer), "offer");
    s->nothing = false;
}

void simnet_release(struct simnet *s, const struct simdev_release *r)
{
    s->offer.manifest = r != NULL ? gwh_span(&r->manifest) : (struct gw_span){ NULL, 0 };
    s->offer.grant_count = r != NULL && r->grant.n != 0;
    s->offer.grant[0] = s->offer.grant_count != 0 ? gwh_span(&r->grant) : (struct gw_span){ NULL, 0 };
    if (r != NULL) {
        simnet_files(s, r);
    }
    simnet_serve(s);
}

void simnet_head(struct simdev *d, struct gwh_buf *out, const struct gwh_head *head)
{
    struct gwh_buf map = { 0 };

    gwh_buf_free(out);
    must(gwh_head_map(&map, head), "head map");
    must(gwh_sign_map(out, d->crypto->gw, GW_TYPE_HEAD, gwh_span(&map), &d->distributor.signer, 1), "head");
    gwh_buf_free(&map);
}

/* ---- Running ----------------------------------------------------------------------------------------------------- */

int simnet_open(struct simnet *s)
{
    memset(&s->agent, 0xa5, sizeof s->agent);
    s->open = s->asked = s->last_settled = false;
    s->live = true;
    return gw_agent_open(&s->agent, &s->config, app_now(s));
}

int simnet_boot(struct simnet *s, enum gw_cause cause)
{
    int err = simdev_boot(s->d, cause);

    if (err == GW_OK) {
        err = simdev_mount(s->d);
    }
    return err == GW_OK ? simnet_open(s) : err;
}

int simnet_step(struct simnet *s)
{
    uint8_t before = s->agent.state;

    int status = gw_agent_step(&s->agent, app_now(s), &s->wait);
    uint8_t after = s->agent.state;
    if (after >= GW_AGENT_STATES) {
        wrong(s, "a state that there is not");
        return GW_ERR_STATE;
    }
    simnet_seen[before][after] = true;
    if (after != before && !gw_agent_may((enum gw_agent_state)before, (enum gw_agent_state)after)) {
        wrong(s, "an arrow that is not in the table");
    }
    if (s->wait > GW_LOOK_MAX * 1000u) {
        wrong(s, "a wait of more than a day");
    }
    s->slept_ms = s->wait > s->slept_ms ? s->wait : s->slept_ms;
    return status;
}

/* One step, then the wait that it asked for, but not past `end`. */
static int step_and_wait(struct simnet *s, uint64_t end, uint32_t *busy)
{
    int status = simnet_step(s);

    if (status < 0) {
        return status;
    }
    *busy = s->wait > 0 ? 0 : *busy + 1;
    if (*busy > STEPS_MAX) {
        wrong(s, "spins");
        return GW_ERR_TIMEOUT;
    }
    s->ms = s->ms + s->wait < end ? s->ms + s->wait : end;
    return status;
}

int simnet_settle(struct simnet *s, uint32_t seconds)
{
    uint64_t end = s->ms + GW_LOOK_MAX * 1000u;
    uint32_t busy = 0;

    while (s->ms < end) {
        int status = simnet_step(s);
        if (status < 0 || (status == GW_DONE && s->wait > seconds * 1000u)) {
            return status;
        }
        if (++busy > STEPS_MAX) {
            wrong(s, "spins");
            return GW_ERR_TIMEOUT;
        }
        s->ms += s->wait;
    }
    return GW_ERR_TIMEOUT;
}

int simnet_until(struct simnet *s, enum gw_agent_state state)
{
    uint64_t end = s->ms + 3u * GW_LOOK_MAX * 1000u;
    uint32_t busy = 0;

    while (s->agent.state != state && s->ms < end) {
        int status = step_and_wait(s, end, &busy);
        if (status < 0) {
            return status;
        }
    }
    return s->agent.state == state ? GW_OK : GW_ERR_TIMEOUT;
}

int simnet_run(struct simnet *s, uint32_t seconds)
{
    uint64_t end = s->ms + (uint64_t)seconds * 1000u;
    uint32_t busy = 0, asked = s->restart_asked;

    while (s->ms < end) {
        int status = step_and_wait(s, end, &busy);
        if (status >= 0 && s->restarts && s->restart_asked != asked) {
            asked = s->restart_asked;
            status = simnet_boot(s, GW_CAUSE_SOFTWARE);
        }
        if (status < 0) {
            return status;
        }
    }
    return GW_OK;
}

void simnet_clear_log(struct simnet *s)
{
    s->requests = s->looks = s->reports = s->opens = s->closes = 0;
    s->delivered = s->twice = 0;
    s->asked_fetch = s->asked_restart = s->restart_asked = s->self_tests = s->told_trust = s->slept_ms = 0;
    memset(s->event, 0, sizeof s->event);
    memset(s->last_reason, 0, sizeof s->last_reason);
    for (unsigned i = 0; i < s->files; i++) {
        memset(s->served[i], 0, s->file[i]->n);
    }
}
