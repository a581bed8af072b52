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
#define RETRIES 3u          /* requests in a row without a byte, after the first, before the attempt is given up */
#define RETRY_MS 1000u      /* before the first of them; then twice as long */
#define STALL_MS 300000u    /* a transport that has nothing for so long is given up */

static const struct gw_device *device(const struct gw_agent *a)
{
    return a->config->dev;
}

/* On to another state. */
static int go(struct gw_agent *a, enum gw_agent_state state)
{
    a->state = state;
    a->since = a->now;
    return GW_MORE;
}

static int fail(struct gw_agent *a, int reason)
{
    gw_agent_judge(a, reason);
    return go(a, GW_AGENT_FAIL);
}

/* To where it waits: for the restart if a release is staged, else for the next look. */
static int home(struct gw_agent *a)
{
    return go(a, gw_agent_staged(a) ? GW_AGENT_RESTART : GW_AGENT_IDLE);
}

/* Afresh: whatever an earlier look has left is forgotten. */
static int look(struct gw_agent *a)
{
    a->flags &= ~(uint32_t)(GW_AGENT_LOOKING | GW_AGENT_REACHED | GW_AGENT_ANONYMOUS);
    memset(&a->offer, 0, sizeof a->offer);
    a->offer_n = a->read = a->again = 0;
    a->ask = a->looked = a->now;
    return go(a, GW_AGENT_LOOK);
}

/* The transport has nothing yet. GW_MORE: it is asked again; but not for ever. */
static int again(struct gw_agent *a, uint32_t *wait)
{
    *wait = GW_AGENT_POLL_MS;
    return a->now - a->since < STALL_MS ? GW_MORE : GW_ERR_TIMEOUT;
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
    a->flags |= a->offer_n != 0 || (a->flags & GW_AGENT_UNCHANGED) != 0 ? GW_AGENT_SETTLED : 0;
    gw_agent_tell(a, GW_EVENT_NOTHING, 0, a->rest_s, 0);
    return go(a, GW_AGENT_REPORT);
}

/* ---- Waiting, self-test, look ----------------------------------------------------------------------------------- */

/* Is a look due? *wait: how long it is until then. */
static bool look_due(struct gw_agent *a, uint32_t *wait)
{
    if (a->woken) {
        a->woken = 0;
        uint32_t soon = a->now + gw_agent_random(a, a->config->wake_jitter_s * 1000u);
        if (soon - a->looked < GW_LOOK_MIN * 1000u) {
            soon = a->looked + GW_LOOK_MIN * 1000u;
        }
        a->due = (int32_t)(soon - a->due) < 0 ? soon : a->due;
    }
    *wait = (int32_t)(a->due - a->now) > 0 ? a->due - a->now : 0;
    return *wait == 0;
}

static int st_idle(struct gw_agent *a, uint32_t *wait)
{
    return look_due(a, wait) ? look(a) : GW_DONE;
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

    if ((a->flags & GW_AGENT_LOOKING) == 0) {
        bool anonymous = c->anonymous_after != 0 && a->memory.cert_failures >= c->anonymous_after && !a->trial;
        a->flags |= GW_AGENT_LOOKING | (anonymous ? GW_AGENT_ANONYMOUS : 0);
        gw_agent_tell(a, GW_EVENT_LOOK, anonymous ? GW_ERR_LINK_TRUST : 0, 0, 0);
        int err = gw_agent_tell_trust(a);
        if (err != GW_OK) {
            return err;
        }
    }
    r.anonymous = (a->flags & GW_AGENT_ANONYMOUS) != 0;
    r.unchanged_ok = (a->flags & GW_AGENT_SETTLED) != 0;
    int err = c->transport->open(c->transport->ctx, &r);
    a->open = err == GW_ERR_AGAIN ? GW_AGENT_ASKED : GW_AGENT_OPEN;
    if (err != GW_ERR_AGAIN) { /* not settled until this one was dealt with */
        a->flags &= ~(uint32_t)(GW_AGENT_SETTLED | GW_AGENT_UNCHANGED);
        a->flags |= r.unchanged_ok ? GW_AGENT_UNCHANGED : 0;
    }
    return err;
}

/* The whole offer is here, or there is none: the server was reached, which is what an image on trial needs. */
static int looked(struct gw_agent *a)
{
    gw_agent_close_request(a);
    a->memory.cert_failures = 0;
    a->flags |= GW_AGENT_REACHED;
    if (a->trial) {
        return go(a, GW_AGENT_CONFIRM);
    }
    return a->offer_n == 0 ? nothing_new(a) : go(a, GW_AGENT_CHECK);
}

/* Bytes of the offer, n of them: 0 at its end. One more than there is room for is too many. */
static int read_offer(struct gw_agent *a, size_t *n)
{
    const struct gw_agent_config *c = a->config;
    size_t room = c->offer_size - a->offer_n;
    uint8_t more;

    int err = c->transport->read(c->transport->ctx, room == 0 ? &more : c->offer + a->offer_n, room == 0 ? 1 : room, n);
    if (err == GW_OK && *n != 0) {
        a->offer_n += (uint32_t)*n;
        a->since = a->now;
        a->flags |= room == 0 ? GW_AGENT_REACHED : 0;
        return room == 0 ? GW_ERR_LIMIT : GW_OK;
    }
    return err == GW_OK && a->offer_n == 0 ? GW_ERR_TRUNCATED : err; /* an empty answer is none */
}

static int st_look(struct gw_agent *a, uint32_t *wait)
{
    size_t n = 1;

    int err = a->open != GW_AGENT_OPEN ? begin_look(a) : read_offer(a, &n);
    if (err == GW_ERR_AGAIN) {
        n = 1; /* whatever the transport has left there */
        err = again(a, wait);
    } else if (err == GW_ERR_NOTHING && a->open == GW_AGENT_OPEN) {
        a->offer_n = 0;
        n = 0;
        err = GW_OK;
    }
    if (err < 0) {
        return fail(a, err);
    }
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
        return home(a); /* confirmed without a look; the report goes with the next one */
    }
    return a->offer_n == 0 ? nothing_new(a) : go(a, GW_AGENT_CHECK);
}

/* ---- What the offer says ---------------------------------------------------------------------------------------- */

/* No release, or one that is here already: what is left to look at is the head. */
static int head_alone(struct gw_agent *a)
{
    int err = gw_agent_take_head(a);

    return err == GW_OK ? nothing_new(a) : fail(a, err);
}

static int st_check(struct gw_agent *a, uint32_t *wait)
{
    (void)wait;
    int err = gw_offer_parse(&a->offer, a->config->offer, a->offer_n);
    if (err == GW_OK && a->offer.next_look != 0) {
        a->memory.interval_s = a->offer.next_look;
    }
    if (err == GW_OK && a->offer.trust.n != 0) {
        err = gw_agent_take_trust(a);
    }
    if (err != GW_OK) {
        return fail(a, err);
    }
    return a->offer.manifest.n == 0 ? head_alone(a) : go(a, GW_AGENT_PLAN);
}

/*
 * Is it what runs, or what is staged already? Who made it and for whom does not matter: the answer rests on digests
 * alone, and nothing is believed by it. Notes its order, if it can be read at all.
 */
static GW_NOINLINE bool known_release(struct gw_agent *a)
{
    const struct gw_crypto *crypto = device(a)->crypto;
    struct gw_cose_sign sign;
    struct gw_boot_state s;
    struct gw_manifest m;

    a->order = (struct gw_order){ 0, 0 };
    if (gw_cose_sign_parse(&sign, a->offer.manifest.p, a->offer.manifest.n) != GW_OK ||
        gw_manifest_parse(&m, sign.payload.p, sign.payload.n) != GW_OK ||
        gw_sha256(crypto, sign.payload.p, sign.payload.n, m.digest) != GW_OK || gw_device_state(device(a), &s) != 0) {
        return false;
    }
    a->order = m.order;
    for (unsigned i = 0; i < 2; i++) {
        bool here = i == a->config->handover->slot ? s.slot[i].state != GW_EMPTY : s.slot[i].state == GW_STAGED;
        if (here && memcmp(s.slot[i].digest, m.digest, GW_DIGEST_SIZE) == 0) {
            return true;
        }
    }
    return false;
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
    uint32_t left;

    gw_install_progress(&a->install, &p);
    gw_agent_tell(a, GW_EVENT_OFFER, 0, a->order.epoch, a->order.sequence);
    gw_agent_tell(a, GW_EVENT_PLAN, 0, p.total, p.done);
    if (p.done != p.total) {
        int err = gw_agent_budget(a, &left);
        if (err != GW_OK) {
            return err;
        }
        if (c->may_fetch != NULL && !c->may_fetch(c->ctx, p.total - p.done)) {
            return GW_ERR_VETO;
        }
    }
    return gw_agent_count_attempt(a);
}

static int st_plan(struct gw_agent *a, uint32_t *wait)
{
    (void)wait;
    if (known_release(a)) {
        return head_alone(a);
    }
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
    case GW_DONE:
        gw_agent_progress(a);
        return go(a, status == GW_WANT ? GW_AGENT_FETCH : GW_AGENT_STAGE);
    case GW_ERR_FRAME_HASH: /* dropped; it is asked for again, by a request of its own */
        gw_agent_close_request(a);
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

    a->retries += a->open == 0; /* until bytes come */
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
    r.anonymous = (a->flags & GW_AGENT_ANONYMOUS) != 0;
    memcpy(r.digest, want.payload, sizeof r.digest);
    a->range_left = r.longest;
    err = c->transport->open(c->transport->ctx, &r);
    a->open = err == GW_ERR_AGAIN ? GW_AGENT_ASKED : GW_AGENT_OPEN;
    return err;
}

/* A request failed. Some failures are tried again at once, from where the install is: nothing is fetched twice. */
static int retry(struct gw_agent *a, int reason, uint32_t *wait)
{
    gw_agent_close_request(a);
    if (reason == GW_ERR_BUDGET || reason == GW_ERR_REDIRECT || a->retries > RETRIES) {
        return fail(a, reason);
    }
    *wait = (RETRY_MS / 2u << a->retries) + gw_agent_random(a, RETRY_MS);
    a->ask = a->since = a->now + *wait;
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
    a->since = a->now;
    if (a->range_left == 0) {
        gw_agent_close_request(a);
    }
    return complete ? go(a, GW_AGENT_INSTALL) : GW_MORE;
}

static int st_fetch(struct gw_agent *a, uint32_t *wait)
{
    const struct gw_transport *t = a->config->transport;
    struct gw_want want = { .frame = 0 };
    uint8_t bytes[READ_SIZE];
    size_t n = 1;
    int err;

    if (a->open != GW_AGENT_OPEN) {
        if ((int32_t)(a->ask - a->now) > 0) {
            *wait = a->ask - a->now;
            return GW_MORE;
        }
        err = begin_range(a);
    } else {
        err = gw_install_want(&a->install, &want);
        uint32_t room = want.frame < a->range_left ? want.frame : a->range_left;
        err = err == GW_OK ? t->read(t->ctx, bytes, room < sizeof bytes ? room : sizeof bytes, &n) : err;
        if (err == GW_OK && n > 0) {
            return take_bytes(a, bytes, n, n == want.frame);
        }
    }
    if (err == GW_ERR_AGAIN) {
        err = again(a, wait);
    }
    if (n == 0 && err == GW_OK) { /* a shorter range than asked for, honestly said: the next one; or an empty one */
        gw_agent_close_request(a);
        err = a->retries == 0 ? GW_OK : GW_ERR_TRANSPORT;
    }
    return err < 0 ? retry(a, err, wait) : GW_MORE;
}

static int st_stage(struct gw_agent *a, uint32_t *wait)
{
    (void)wait;
    gw_agent_close_request(a);
    if ((a->flags & GW_AGENT_INSTALLING) != 0) {
        gw_agent_count_again(a);
        int failed = gw_install_finish(&a->install);
        if (failed != GW_OK && !gw_agent_staged(a)) {
            return fail(a, failed);
        }
    }
    a->reason = GW_OK;
    a->memory.failures = 0;
    int err = gw_agent_rest(a, gw_agent_interval(a));
    err = err == GW_OK ? gw_agent_add_report(a, GW_REPORT_STAGED, 0, a->order) : err;
    if (err != GW_OK) {
        return err;
    }
    gw_agent_tell(a, GW_EVENT_STAGED, 0, a->order.epoch, a->order.sequence);
    return go(a, GW_AGENT_REPORT);
}

/* ---- Ends ------------------------------------------------------------------------------------------------------- */

static int st_fail(struct gw_agent *a, uint32_t *wait)
{
    (void)wait;
    int err = gw_agent_give_up(a);
    if (err != GW_OK) {
        return err;
    }
    bool reached = (a->flags & GW_AGENT_REACHED) != 0; /* else a report would not arrive either */
    return reached ? go(a, GW_AGENT_REPORT) : home(a);
}

static int st_report(struct gw_agent *a, uint32_t *wait)
{
    const struct gw_agent_config *c = a->config;
    struct gw_span report = { c->buffer, a->report_n };

    if (c->transport->report == NULL) {
        return home(a);
    }
    if (a->report_n == 0) {
        if (gw_report_make(device(a), c->report_kek, c->buffer, &a->counter, &report) != GW_OK) {
            return home(a); /* none waits, or none can be signed */
        }
        a->report_n = (uint32_t)report.n;
    }
    int err = c->transport->report(c->transport->ctx, report.p, report.n);
    a->open = err == GW_ERR_AGAIN ? GW_AGENT_ASKED : 0;
    err = err == GW_ERR_AGAIN ? again(a, wait) : err;
    if (err == GW_MORE) {
        return GW_MORE;
    }
    a->report_n = 0;
    if (err != GW_OK && err != GW_ERR_VALUE) {
        gw_agent_close_request(a);
        return home(a);
    }
    int dropped = gw_reports_drop(device(a));
    if (dropped != GW_OK) {
        return dropped;
    }
    gw_agent_tell(a, GW_EVENT_REPORTED, err, a->counter, 0);
    a->since = a->now;
    return GW_MORE;
}

static int st_restart(struct gw_agent *a, uint32_t *wait)
{
    const struct gw_agent_config *c = a->config;
    bool lost = (a->flags & GW_AGENT_LOST) != 0; /* an image that failed its trial does not stay */

    if (!lost && look_due(a, wait)) {
        return look(a); /* a newer release may have come meanwhile */
    }
    if ((int32_t)(a->ask - a->now) <= 0) {
        a->ask = a->now + gw_agent_or(c->ask_again_s, 60) * 1000u; /* also if no restart comes */
        if (c->restart != NULL && (lost || c->may_restart == NULL || c->may_restart(c->ctx))) {
            c->restart(c->ctx);
        }
    }
    *wait = lost || a->ask - a->now < *wait ? a->ask - a->now : *wait;
    return GW_DONE;
}

/* ---- The table -------------------------------------------------------------------------------------------------- */

static int (*const states[GW_AGENT_STATES])(struct gw_agent *a, uint32_t *wait) = { /* arrows: agent_people.c */
    [GW_AGENT_IDLE] = st_idle,       [GW_AGENT_SELF_TEST] = st_self_test, [GW_AGENT_LOOK] = st_look,
    [GW_AGENT_CONFIRM] = st_confirm, [GW_AGENT_CHECK] = st_check,         [GW_AGENT_PLAN] = st_plan,
    [GW_AGENT_INSTALL] = st_install, [GW_AGENT_FETCH] = st_fetch,         [GW_AGENT_STAGE] = st_stage,
    [GW_AGENT_FAIL] = st_fail,       [GW_AGENT_REPORT] = st_report,       [GW_AGENT_RESTART] = st_restart,
};

int gw_agent_step(struct gw_agent *a, uint32_t now_ms, uint32_t *wait_ms)
{
    *wait_ms = 0;
    a->now = now_ms;
    int status = gw_agent_begin_step(a);
    if (status == GW_OK) {
        status = states[a->state](a, wait_ms);
    }
    if (status >= 0) {
        gw_agent_bound_wait(a, wait_ms);
    }
    return status;
}
