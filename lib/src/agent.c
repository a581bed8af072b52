/*
 * agent.c - the agent's states: one function for each, one bounded unit of work with each call, one table for all.
 *
 * Keeps true: nothing is asked of the network, the flash or the application but from here, in the order of the table;
 * every way out of an attempt goes through FAIL or REPORT, so that each has its reason, its report and its next look;
 * an image on trial is confirmed or left within its time, whatever the network does. Does not check what it fetches:
 * install.h does. When to look again, budgets and reports: agent_rest.c.
 */
#include "agent.h"

#include "cose.h"

#define READ_SIZE 512u      /* bytes read from the transport with one step */
#define CHUNK (256u * 1024u)
#define RETRIES 3u          /* of one range, in a row, before the attempt is given up */
#define RETRY_MS 1000u      /* before the first of them; then twice as long */

static const struct gw_device *device(const struct gw_agent *a)
{
    return a->config->dev;
}

/* On to another state. */
static int go(struct gw_agent *a, enum gw_agent_state state)
{
    a->state = (uint8_t)state;
    return GW_MORE;
}

static int fail(struct gw_agent *a, int reason)
{
    a->reason = reason;
    return go(a, GW_AGENT_FAIL);
}

static void close_request(struct gw_agent *a)
{
    if (a->open) {
        a->config->transport->close(a->config->transport->ctx);
        a->open = 0;
    }
}

/* Afresh: whatever an earlier look has left is forgotten. */
static int look(struct gw_agent *a)
{
    a->flags &= (uint16_t)~(GW_AGENT_LOOKING | GW_AGENT_REACHED);
    a->offer_n = 0;
    return go(a, GW_AGENT_LOOK);
}

/* Reports first, then there. */
static int report_then(struct gw_agent *a, enum gw_agent_state after)
{
    a->after = (uint8_t)after;
    a->report_n = 0;
    return go(a, GW_AGENT_REPORT);
}

/* The look is over, and it went well. */
static int nothing_new(struct gw_agent *a)
{
    a->reason = GW_OK;
    a->memory.failures = 0;
    int err = gw_agent_rest(a, gw_agent_interval(a));
    if (err != GW_OK) {
        return err;
    }
    a->flags |= GW_AGENT_SETTLED;
    gw_agent_tell(a, GW_EVENT_NOTHING, 0, a->rest_s, 0);
    return report_then(a, GW_AGENT_IDLE);
}

/* ---- Waiting, self-test, look ----------------------------------------------------------------------------------- */

static int st_idle(struct gw_agent *a, uint32_t *wait)
{
    if (a->woken) {
        a->woken = 0;
        uint32_t soon = a->now + gw_agent_random(a, a->config->wake_jitter_s * 1000u);
        a->due = (int32_t)(soon - a->due) < 0 ? soon : a->due;
    }
    if ((int32_t)(a->due - a->now) > 0) {
        *wait = a->due - a->now;
        return GW_DONE;
    }
    return look(a);
}

static int st_self_test(struct gw_agent *a, uint32_t *wait)
{
    const struct gw_agent_config *c = a->config;
    (void)wait;

    if (c->self_test != NULL && c->self_test(c->ctx) != 0) {
        return gw_agent_lose(a, GW_ERR_SELF_TEST);
    }
    return c->confirm_offline ? go(a, GW_AGENT_CONFIRM) : look(a);
}

/* Tells the transport what it may trust, then asks for the offer. */
static int begin_look(struct gw_agent *a)
{
    const struct gw_agent_config *c = a->config;
    struct gw_request r = { .resource = GW_RESOURCE_OFFER, .longest = (uint32_t)c->offer_size };

    r.anonymous = c->anonymous_after != 0 && a->cert_failures >= c->anonymous_after && !a->trial;
    r.unchanged_ok = (a->flags & GW_AGENT_SETTLED) != 0;
    if ((a->flags & GW_AGENT_LOOKING) == 0) {
        a->flags |= GW_AGENT_LOOKING;
        gw_agent_tell(a, GW_EVENT_LOOK, r.anonymous ? GW_ERR_LINK_TRUST : 0, 0, 0);
        int err = gw_agent_tell_trust(a);
        if (err != GW_OK) {
            return err;
        }
    }
    int err = c->transport->open(c->transport->ctx, &r);
    a->open = err != GW_ERR_AGAIN;
    return err;
}

/* The whole offer is here, or there is none: the server was reached, which is what an image on trial needs. */
static int looked(struct gw_agent *a)
{
    close_request(a);
    a->cert_failures = 0;
    a->flags |= GW_AGENT_REACHED;
    if (a->trial) {
        return go(a, GW_AGENT_CONFIRM);
    }
    return a->offer_n == 0 ? nothing_new(a) : go(a, GW_AGENT_CHECK);
}

static int st_look(struct gw_agent *a, uint32_t *wait)
{
    const struct gw_agent_config *c = a->config;
    size_t n = 0;
    uint8_t more;

    if (!a->open) {
        int err = begin_look(a);
        *wait = err == GW_ERR_AGAIN ? GW_AGENT_POLL_MS : 0;
        return err == GW_OK || err == GW_ERR_AGAIN ? GW_MORE : fail(a, err);
    }
    bool full = a->offer_n == c->offer_size; /* one more byte is too many */
    int err = c->transport->read(c->transport->ctx, full ? &more : c->offer + a->offer_n,
                                 full ? 1 : c->offer_size - a->offer_n, &n);
    if (err == GW_ERR_AGAIN) {
        *wait = GW_AGENT_POLL_MS;
        return GW_MORE;
    }
    if (err == GW_ERR_NOTHING) {
        a->offer_n = 0;
        return looked(a);
    }
    if (err != GW_OK || (full && n != 0)) {
        return fail(a, err != GW_OK ? err : GW_ERR_LIMIT);
    }
    a->offer_n += (uint32_t)n;
    return n == 0 ? looked(a) : GW_MORE;
}

static int st_confirm(struct gw_agent *a, uint32_t *wait)
{
    (void)wait;
    int err = gw_agent_confirm(a);
    if (err != GW_OK) {
        return err;
    }
    if ((a->flags & GW_AGENT_LOOKING) == 0) {
        return report_then(a, GW_AGENT_IDLE); /* confirmed without a look */
    }
    return a->offer_n == 0 ? nothing_new(a) : go(a, GW_AGENT_CHECK);
}

/* ---- What the offer says ---------------------------------------------------------------------------------------- */

static int st_check(struct gw_agent *a, uint32_t *wait)
{
    (void)wait;
    a->flags &= (uint16_t)~GW_AGENT_SETTLED;
    memset(&a->offer, 0, sizeof a->offer);
    int err = gw_offer_parse(&a->offer, a->config->offer, a->offer_n);
    if (err == GW_OK && a->offer.next_look != 0) {
        a->memory.interval_s = a->offer.next_look;
    }
    if (err == GW_OK && a->offer.trust.n != 0) {
        err = gw_agent_take_trust(a);
    }
    if (err == GW_OK && a->offer.manifest.n == 0 && a->offer.head.n != 0) {
        err = gw_agent_take_head(a);
    }
    if (err != GW_OK) {
        return fail(a, err);
    }
    return a->offer.manifest.n == 0 ? nothing_new(a) : go(a, GW_AGENT_PLAN);
}

/* Is it what runs, or what is staged already? The answer rests on digests alone: nothing is believed by it. */
static enum gw_state known_release(struct gw_agent *a, const struct gw_manifest *m)
{
    struct gw_boot_state s;

    if (gw_device_state(device(a), &s) == GW_OK) {
        for (unsigned i = 0; i < 2; i++) {
            if (s.slot[i].state != GW_EMPTY && memcmp(s.slot[i].digest, m->digest, GW_DIGEST_SIZE) == 0 &&
                (s.slot[i].state == GW_STAGED || i == a->config->handover->slot)) {
                return (enum gw_state)s.slot[i].state;
            }
        }
    }
    return GW_EMPTY;
}

/* Who made it and for whom does not matter yet; `m` is empty if it cannot be read at all. */
static void peek(struct gw_agent *a, struct gw_manifest *m)
{
    const struct gw_crypto *crypto = device(a)->crypto;
    struct gw_cose_sign sign;

    memset(m, 0, sizeof *m);
    if (gw_cose_sign_parse(&sign, a->offer.manifest.p, a->offer.manifest.n) != GW_OK ||
        gw_manifest_parse(m, sign.payload.p, sign.payload.n) != GW_OK ||
        gw_sha256(crypto, sign.payload.p, sign.payload.n, m->digest) != GW_OK) {
        memset(m, 0, sizeof *m);
    }
}

static GW_NOINLINE enum gw_state peek_release(struct gw_agent *a)
{
    struct gw_manifest m;

    peek(a, &m);
    a->order = m.order;
    return known_release(a, &m);
}

static int open_install(struct gw_agent *a)
{
    struct gw_release r = { .manifest = a->offer.manifest, .grant_count = a->offer.grant_count, .head = a->offer.head };

    memcpy(r.grant, a->offer.grant, sizeof r.grant);
    a->install_config.now = gw_agent_least_time(a);
    int err = gw_install_open(&a->install, &a->install_config, &r);
    a->flags |= err == GW_OK ? GW_AGENT_INSTALLING : 0;
    gw_agent_note_time(a);
    return err;
}

/* May it begin? Budgets, then the application. */
static int may_begin(struct gw_agent *a)
{
    const struct gw_agent_config *c = a->config;
    struct gw_progress p;

    gw_install_progress(&a->install, &p);
    gw_agent_tell(a, GW_EVENT_OFFER, 0, a->order.epoch, a->order.sequence);
    gw_agent_tell(a, GW_EVENT_PLAN, 0, p.total, p.done);
    if (p.done == p.total) {
        return GW_OK; /* nothing to fetch */
    }
    if (c->may_fetch != NULL && !c->may_fetch(c->ctx, p.total - p.done)) {
        return GW_ERR_VETO;
    }
    return gw_agent_count_attempt(a);
}

static int st_plan(struct gw_agent *a, uint32_t *wait)
{
    enum gw_state known = peek_release(a);
    (void)wait;

    if (known == GW_STAGED) {
        return report_then(a, GW_AGENT_RESTART);
    }
    if (known != GW_EMPTY) {
        return nothing_new(a);
    }
    a->read = a->again = 0;
    a->retries = 0;
    int err = open_install(a);
    if (err == GW_OK) {
        err = may_begin(a);
    }
    return err == GW_OK ? go(a, GW_AGENT_INSTALL) : fail(a, err);
}

/* ---- Fetching and installing ------------------------------------------------------------------------------------ */

static int st_install(struct gw_agent *a, uint32_t *wait)
{
    (void)wait;
    int status = gw_install_poll(&a->install);

    switch (status) {
    case GW_MORE:
        return GW_MORE;
    case GW_WANT:
        return go(a, GW_AGENT_FETCH);
    case GW_DONE:
        close_request(a);
        return go(a, GW_AGENT_STAGE);
    case GW_ERR_FRAME_HASH: /* dropped; it is asked for again, by a request of its own */
        close_request(a);
        return GW_MORE;
    default:
        return fail(a, status);
    }
}

/* Asks for a range from where the install is. */
static int begin_range(struct gw_agent *a)
{
    const struct gw_agent_config *c = a->config;
    struct gw_want want;
    struct gw_request r = { .resource = GW_RESOURCE_PAYLOAD };

    int err = gw_install_want(&a->install, &want);
    if (err == GW_OK) {
        err = gw_agent_budget(a, &r.longest);
    }
    if (err != GW_OK) {
        return err;
    }
    uint32_t chunk = c->chunk != 0 ? c->chunk : CHUNK;
    r.longest = r.longest < want.longest ? r.longest : want.longest;
    r.longest = r.longest < chunk ? r.longest : chunk;
    r.offset = want.offset;
    r.size = a->install.payload.size;
    r.base = (a->flags & GW_AGENT_OWN_BASE) != 0 ? (struct gw_span){ NULL, 0 } : a->offer.payload_base;
    r.anonymous = c->anonymous_after != 0 && a->cert_failures >= c->anonymous_after;
    memcpy(r.digest, want.payload, sizeof r.digest);
    a->range_left = r.longest;
    err = c->transport->open(c->transport->ctx, &r);
    a->open = err != GW_ERR_AGAIN;
    return err;
}

/* A request failed. Some failures are tried again at once, from where the install is: nothing is fetched twice. */
static int retry(struct gw_agent *a, int reason, uint32_t *wait)
{
    close_request(a);
    if (reason == GW_ERR_BUDGET || reason == GW_ERR_REDIRECT || a->retries == RETRIES) {
        return fail(a, reason);
    }
    *wait = (RETRY_MS << a->retries) + gw_agent_random(a, RETRY_MS);
    a->due = a->now + *wait;
    a->retries++;
    return GW_MORE;
}

/* Takes n bytes that came; the frame is complete: the install's turn. */
static int take_bytes(struct gw_agent *a, const uint8_t *bytes, size_t n, bool complete)
{
    size_t used = 0;

    int err = gw_install_push(&a->install, bytes, n, &used);
    if (err != GW_OK || used != n) {
        return fail(a, err != GW_OK ? err : GW_ERR_PAYLOAD_LONG);
    }
    a->read += (uint32_t)n;
    a->memory.bytes += (uint32_t)n;
    a->range_left -= (uint32_t)n;
    a->retries = 0;
    if (a->range_left == 0) {
        close_request(a);
    }
    if (!complete) {
        return GW_MORE;
    }
    gw_agent_progress(a);
    return go(a, GW_AGENT_INSTALL);
}

static int st_fetch(struct gw_agent *a, uint32_t *wait)
{
    const struct gw_transport *t = a->config->transport;
    struct gw_want want;
    uint8_t bytes[READ_SIZE];
    size_t n = 0;

    if (!a->open) {
        if (a->retries > 0 && (int32_t)(a->due - a->now) > 0) {
            *wait = a->due - a->now;
            return GW_MORE;
        }
        int err = begin_range(a);
        *wait = err == GW_ERR_AGAIN ? GW_AGENT_POLL_MS : 0;
        return err == GW_OK || err == GW_ERR_AGAIN ? GW_MORE : retry(a, err, wait);
    }
    int err = gw_install_want(&a->install, &want);
    if (err != GW_OK) {
        return fail(a, err);
    }
    size_t room = want.frame < sizeof bytes ? want.frame : sizeof bytes;
    room = room < a->range_left ? room : a->range_left;
    err = t->read(t->ctx, bytes, room, &n);
    if (err == GW_ERR_AGAIN) {
        *wait = GW_AGENT_POLL_MS;
        return GW_MORE;
    }
    if (err != GW_OK) {
        return retry(a, err, wait);
    }
    if (n > 0) {
        return take_bytes(a, bytes, n, n == want.frame);
    }
    close_request(a); /* a shorter range than asked for, honestly said: the next one */
    return GW_MORE;
}

static int st_stage(struct gw_agent *a, uint32_t *wait)
{
    (void)wait;
    a->flags &= (uint16_t)~GW_AGENT_INSTALLING;
    int err = gw_install_finish(&a->install);
    if (err != GW_OK) {
        return fail(a, err);
    }
    a->reason = GW_OK;
    a->memory.failures = 0;
    gw_agent_tell(a, GW_EVENT_STAGED, 0, a->order.epoch, a->order.sequence);
    err = gw_agent_add_report(a, GW_REPORT_STAGED, 0, a->order);
    err = err == GW_OK ? gw_agent_rest(a, gw_agent_interval(a)) : err;
    return err == GW_OK ? report_then(a, GW_AGENT_RESTART) : err;
}

/* ---- Ends ------------------------------------------------------------------------------------------------------- */

static int st_fail(struct gw_agent *a, uint32_t *wait)
{
    (void)wait;
    close_request(a);
    int err = gw_agent_give_up(a);
    if (err != GW_OK) {
        return err;
    }
    bool reached = (a->flags & GW_AGENT_REACHED) != 0; /* else a report would not arrive either */
    return reached ? report_then(a, GW_AGENT_IDLE) : go(a, GW_AGENT_IDLE);
}

static int st_report(struct gw_agent *a, uint32_t *wait)
{
    const struct gw_agent_config *c = a->config;
    struct gw_span report = { c->buffer, a->report_n };

    if (c->transport->report == NULL) {
        return go(a, (enum gw_agent_state)a->after);
    }
    if (a->report_n == 0) {
        if (gw_report_make(device(a), c->report_kek, c->buffer, &a->counter, &report) != GW_OK) {
            return go(a, (enum gw_agent_state)a->after); /* none waits, or none can be signed */
        }
        a->report_n = (uint16_t)report.n;
    }
    int err = c->transport->report(c->transport->ctx, report.p, report.n);
    if (err == GW_ERR_AGAIN) {
        *wait = GW_AGENT_POLL_MS;
        return GW_MORE;
    }
    a->report_n = 0;
    if (err != GW_OK && err != GW_ERR_VALUE) {
        return go(a, (enum gw_agent_state)a->after);
    }
    gw_agent_tell(a, GW_EVENT_REPORTED, err, a->counter, 0);
    err = gw_reports_drop(device(a));
    return err == GW_OK ? GW_MORE : err;
}

static int st_restart(struct gw_agent *a, uint32_t *wait)
{
    const struct gw_agent_config *c = a->config;

    if ((a->flags & GW_AGENT_RESTARTED) != 0) {
        *wait = GW_LOOK_MAX * 1000u;
        return GW_DONE;
    }
    bool lost = (a->flags & GW_AGENT_LOST) != 0; /* an image that failed its trial does not stay */
    if (!lost && (a->woken || (int32_t)(a->due - a->now) <= 0)) {
        return look(a); /* a newer release may have come meanwhile */
    }
    if (!lost && (int32_t)(a->ask - a->now) > 0) {
        *wait = a->ask - a->now < a->due - a->now ? a->ask - a->now : a->due - a->now;
        return GW_DONE;
    }
    if (!lost && c->may_restart != NULL && !c->may_restart(c->ctx)) {
        a->ask = a->now + gw_agent_or(c->ask_again_s, 60) * 1000u;
        return GW_MORE;
    }
    a->flags |= GW_AGENT_RESTARTED;
    if (c->restart != NULL) {
        c->restart(c->ctx);
    }
    return GW_DONE;
}

/* ---- The table -------------------------------------------------------------------------------------------------- */

#define TO(state) (1u << GW_AGENT_##state)
static const struct {
    int (*run)(struct gw_agent *a, uint32_t *wait);
    const char *name;
    uint16_t next; /* states that it may lead to, by bits; SPEC.md's diagram is drawn from it */
} states[GW_AGENT_STATES] = {
    [GW_AGENT_IDLE] = { st_idle, "IDLE", TO(LOOK) | TO(RESTART) },
    [GW_AGENT_SELF_TEST] = { st_self_test, "SELF_TEST", TO(LOOK) | TO(CONFIRM) | TO(RESTART) },
    [GW_AGENT_LOOK] = { st_look, "LOOK", TO(CONFIRM) | TO(CHECK) | TO(REPORT) | TO(FAIL) | TO(RESTART) },
    [GW_AGENT_CONFIRM] = { st_confirm, "CONFIRM", TO(CHECK) | TO(REPORT) },
    [GW_AGENT_CHECK] = { st_check, "CHECK", TO(PLAN) | TO(REPORT) | TO(FAIL) },
    [GW_AGENT_PLAN] = { st_plan, "PLAN", TO(INSTALL) | TO(REPORT) | TO(FAIL) },
    [GW_AGENT_INSTALL] = { st_install, "INSTALL", TO(FETCH) | TO(STAGE) | TO(FAIL) },
    [GW_AGENT_FETCH] = { st_fetch, "FETCH", TO(INSTALL) | TO(FAIL) },
    [GW_AGENT_STAGE] = { st_stage, "STAGE", TO(REPORT) | TO(FAIL) },
    [GW_AGENT_FAIL] = { st_fail, "FAIL", TO(REPORT) | TO(IDLE) },
    [GW_AGENT_REPORT] = { st_report, "REPORT", TO(IDLE) | TO(RESTART) },
    [GW_AGENT_RESTART] = { st_restart, "RESTART", TO(LOOK) },
};
#undef TO

const char *gw_agent_state_name(enum gw_agent_state state)
{
    return state < GW_AGENT_STATES ? states[state].name : "UNKNOWN";
}

bool gw_agent_may(enum gw_agent_state from, enum gw_agent_state to)
{
    return from < GW_AGENT_STATES && to < GW_AGENT_STATES && (states[from].next >> to & 1u) != 0;
}

int gw_agent_step(struct gw_agent *a, uint32_t now_ms, uint32_t *wait_ms)
{
    *wait_ms = 0;
    a->now = now_ms;
    int status = gw_agent_begin_step(a);
    if (status == GW_OK) {
        status = states[a->state].run(a, wait_ms);
    }
    if (status >= 0) {
        gw_agent_bound_wait(a, wait_ms);
    }
    return status;
}
