/*
 * agent_rest.c - what the agent's states share: when to look again, budgets, the trial, trust, events and reports.
 *
 * Keeps true: waits are bounded (never longer than a day) and jittered; an outcome is reported at least once, whatever
 * write fails; a day's budget survives a reset, and days pass without a clock too; what the agent writes in a day is
 * bounded, whatever a server, a clock or an application does.
 */
#include "agent.h"

#define DAY 86400u
#define CALENDAR 0x80000000u /* gw_agent_memory.day holds a day since 1970 */
#define BACK_OFF 30u         /* seconds after the first failure; then twice as long, up to the interval */
#define BACK_OFF_VETO 3600u  /* the longest after the application declined */
#define WRITE_DOWN 600u      /* a next look that is further away than so many seconds survives a reset */
#define WRITES 8u            /* of failures and next looks in a row; then one in WRITE_DOWN seconds */
#define NOTE_BYTES 65536u    /* of the day's budget, that a reset may forget */
#define HEAVY 7u             /* attempts more: for one that fetched it all, and wore the slot, in vain */
#define KEY 8u               /* bytes of a digest that tell whether something was reported */

uint32_t gw_agent_or(uint32_t value, uint32_t otherwise)
{
    return value != 0 ? value : otherwise;
}

/* xorshift32 (Marsaglia, 2003): jitter needs no better. */
uint32_t gw_agent_random(struct gw_agent *a, uint32_t below)
{
    a->random ^= a->random << 13;
    a->random ^= a->random >> 17;
    a->random ^= a->random << 5;
    return below == 0 ? 0 : a->random % below;
}

void gw_agent_tell(struct gw_agent *a, enum gw_event event, int reason, uint32_t x, uint32_t y)
{
    if (a->config->on_event != NULL) {
        a->config->on_event(a->config->ctx, event, reason < 0 ? -reason : reason, x, y);
    }
}

void gw_agent_progress(struct gw_agent *a)
{
    struct gw_progress p;

    gw_install_progress(&a->install, &p);
    gw_agent_tell(a, GW_EVENT_PROGRESS, 0, p.done, p.total);
}

/* ---- Time ------------------------------------------------------------------------------------------------------- */

uint32_t gw_agent_time(const struct gw_agent *a)
{
    uint32_t now = a->config->time != NULL ? a->config->time(a->config->ctx) : 0;

    return now < a->issued_at ? 0 : now; /* a clock that is behind a signed date is wrong */
}

uint32_t gw_agent_least_time(const struct gw_agent *a)
{
    return gw_agent_or(gw_agent_time(a), a->issued_at);
}

void gw_agent_note_time(struct gw_agent *a)
{
    struct gw_head_seen seen;

    gw_head_seen(a->config->dev, &seen);
    a->issued_at = seen.issued_at;
}

/*
 * A new day, a new budget. Without a clock a day is 24 hours of running and announced sleep. A clock that appears or
 * jumps back begins no new day; one that is not there yet may still come.
 */
static void tick(struct gw_agent *a, uint32_t slept_s)
{
    struct gw_agent_memory *m = &a->memory;
    uint32_t time = gw_agent_time(a), day = CALENDAR | time / DAY;
    int32_t ms = (int32_t)(a->now - a->ticked);
    uint32_t seconds = (ms > 0 ? (uint32_t)ms / 1000u : 0) + slept_s;
    bool calendar = m->day >= CALENDAR, over = calendar && day > m->day;

    if (time == 0) {
        if (calendar && slept_s == 0 && seconds < DAY) {
            return;
        }
        day = (calendar ? 0 : m->day) + seconds;
        over = day >= DAY;
        day = over ? 0 : day;
    }
    m->day = day;
    a->ticked += seconds * 1000u;
    if (over) {
        m->attempts = 0;
        m->bytes = 0;
    }
}

static uint32_t seconds_to_tomorrow(const struct gw_agent *a)
{
    uint32_t time = gw_agent_time(a), today = time != 0 ? time % DAY : a->memory.day;

    return today < DAY ? DAY - today : DAY;
}

uint32_t gw_agent_interval(const struct gw_agent *a)
{
    uint32_t s = gw_agent_or(a->memory.interval_s, gw_agent_or(a->config->look_interval_s, GW_LOOK_MAX));

    return s < GW_LOOK_MIN ? GW_LOOK_MIN : s > GW_LOOK_MAX ? GW_LOOK_MAX : s;
}

/* Writes the memory down, if it changed. */
static int keep(struct gw_agent *a)
{
    int status = gw_agent_keep(a->config->dev, &a->memory);

    a->credit -= status == GW_DONE && a->credit > 0;
    return status < 0 ? status : GW_OK;
}

/* Flash wears: a few writes in a row, then one in WRITE_DOWN seconds. */
static GW_NOINLINE bool may_write(struct gw_agent *a)
{
    uint32_t more = (a->now - a->kept) / (WRITE_DOWN * 1000u);

    a->kept += more * WRITE_DOWN * 1000u;
    more += a->credit;
    a->credit = more < WRITES ? more : WRITES;
    return a->credit > 0;
}

int gw_agent_rest(struct gw_agent *a, uint32_t seconds)
{
    struct gw_agent_memory *m = &a->memory;
    uint32_t time = gw_agent_time(a);

    a->rest_s = seconds - gw_agent_random(a, seconds / 4 + 1); /* three quarters of it, to all */
    a->due = a->now + a->rest_s * 1000u;
    if (!may_write(a)) {
        return GW_OK;
    }
    bool far = a->rest_s >= WRITE_DOWN;
    m->left_s = far ? a->rest_s : 0;
    m->next_look = far && time != 0 ? time + a->rest_s : 0;
    return keep(a);
}

/*
 * When the first look is due: as it was written down, or soon. Without a clock, or with one that was put back since,
 * nobody knows how much of it has passed but after a sleep: at any moment of it, so that a device that is often
 * switched off still looks as often as it should. That takes chance; without it: soon.
 */
static uint32_t first_look_s(struct gw_agent *a)
{
    const struct gw_agent_memory *m = &a->memory;
    uint32_t time = gw_agent_time(a), spread = gw_agent_interval(a) / 8; /* not the whole fleet at once */
    bool slept = a->config->handover->cause == GW_CAUSE_DEEP_SLEEP;
    uint32_t s = m->next_look > time ? m->next_look - time : 0;

    if (m->next_look != 0 && time != 0 && s <= GW_LOOK_MAX) {
        slept = slept || s != 0;
    } else {
        s = m->left_s;
        spread = s != 0 && a->config->dev->crypto->random != NULL ? s : spread;
    }
    if (slept) {
        return s < GW_LOOK_MAX ? s : GW_LOOK_MAX;
    }
    return gw_agent_random(a, spread == s || spread < 300 ? spread : 300);
}

int gw_agent_sleep(struct gw_agent *a, uint32_t now_ms, uint32_t for_s)
{
    struct gw_agent_memory *m = &a->memory;
    uint32_t left = (int32_t)(a->due - now_ms) > 0 ? (a->due - now_ms) / 1000u : 0;

    a->now = now_ms;
    tick(a, for_s);
    uint32_t time = gw_agent_time(a), at = time + left;
    if (time == 0 || m->next_look == 0 || at - m->next_look + 60 > 120) { /* else it is known already */
        m->next_look = time != 0 ? at : 0;
        m->left_s = left > for_s ? left - for_s : 1; /* 1: due when it wakes up */
    }
    return keep(a);
}

/* ---- Budgets ---------------------------------------------------------------------------------------------------- */

int gw_agent_count_attempt(struct gw_agent *a)
{
    struct gw_agent_memory *m = &a->memory;
    uint32_t most = gw_agent_or(a->config->attempts_per_day, 24);

    if (m->attempts >= (most < UINT8_MAX ? most : UINT8_MAX)) {
        return GW_ERR_BUDGET;
    }
    m->attempts++;
    return keep(a);
}

int gw_agent_budget(struct gw_agent *a, uint32_t *bytes)
{
    struct gw_agent_memory *m = &a->memory;
    uint32_t most = gw_agent_or(a->config->bytes_per_day, UINT32_MAX);

    *bytes = m->bytes < most ? most - m->bytes : 0;
    if (*bytes == 0) {
        return GW_ERR_BUDGET;
    }
    if (a->config->bytes_per_day == 0 || m->bytes - a->noted < NOTE_BYTES) {
        return GW_OK;
    }
    a->noted = m->bytes;
    return keep(a);
}

/* ---- Trust ------------------------------------------------------------------------------------------------------ */

static GW_NOINLINE int load_trust(struct gw_agent *a, struct gw_trust *trust, struct gw_identity *id)
{
    struct gw_boot_state state;

    int err = gw_device_state(a->config->dev, &state);
    return err == GW_OK ? gw_trust_load(a->config->dev, &state, true, a->config->buffer, trust, id) : err;
}

int gw_agent_tell_trust(struct gw_agent *a)
{
    const struct gw_transport *t = a->config->transport;
    struct gw_transport_trust told = { NULL, gw_agent_time(a) };
    struct gw_identity id;
    struct gw_trust trust;
    int err = GW_OK;

    if (t->trust == NULL) {
        return GW_OK;
    }
    err = load_trust(a, &trust, &id);
    told.trust = err == GW_OK ? &trust : NULL;
    if (err == GW_OK || err == GW_ERR_TRUST_MISSING) {
        err = t->trust(t->ctx, &told);
    }
    gw_wipe(a->config->buffer, GW_INSTALL_BUFFER_MIN); /* the identity's secrets were in it */
    return err;
}

int gw_agent_take_trust(struct gw_agent *a)
{
    const struct gw_agent_config *c = a->config;
    bool pending = false, lent = c->decoding != NULL && c->decoding->size >= GW_VERIFY_MEMORY;
    uint8_t *memory = lent ? c->decoding->memory : c->buffer;
    size_t size = lent ? c->decoding->size : c->buffer_size;

    int err = gw_trust_update(c->dev, a->offer.trust.p, a->offer.trust.n, memory, size, &pending);
    gw_wipe(memory, size < GW_VERIFY_MEMORY ? size : GW_VERIFY_MEMORY);
    if (err == GW_OK) {
        gw_agent_tell(a, GW_EVENT_TRUST, 0, pending, 0);
    }
    return err == GW_DONE || err == GW_ERR_TRUST_OLDER ? GW_OK : err; /* an offer may lag behind */
}

/* A release that waits for the restart, and was withdrawn meanwhile, is not tried. */
static GW_NOINLINE int drop_withdrawn(struct gw_agent *a, const struct gw_head *head)
{
    struct gw_boot_state s;
    struct gw_order order;

    int err = gw_device_state(a->config->dev, &s);
    for (unsigned i = 0; i < 2; i++) {
        for (uint32_t k = 0; err == GW_OK && gw_head_withdrawn(head, k, &order) == GW_OK; k++) {
            if (s.slot[i].state == GW_STAGED && gw_order_compare(order, s.slot[i].order) == 0) {
                err = gw_agent_add_report(a, GW_REPORT_FAILED, GW_ERR_WITHDRAWN, order);
                err = err == GW_OK ? gw_slots_clear(a->config->dev, (enum gw_slot)i) : err;
            }
        }
    }
    return err;
}

int gw_agent_take_head(struct gw_agent *a)
{
    struct gw_head_seen seen;
    struct gw_identity id;
    struct gw_trust trust;
    struct gw_head head;

    if (a->offer.head.n == 0) {
        return GW_OK;
    }
    int err = load_trust(a, &trust, &id);
    if (err == GW_OK) {
        err = gw_head_take(&a->install_config, &trust, id.class_id, a->offer.head, &head, &seen);
    }
    gw_wipe(a->config->buffer, GW_INSTALL_BUFFER_MIN);
    if (err == GW_OK && memcmp(head.class_id, id.class_id, GW_UUID_SIZE) != 0) {
        err = GW_ERR_HEAD_OTHER;
    }
    if (err == GW_OK && head.serial < seen.serial) {
        err = GW_ERR_HEAD_OLDER;
    }
    gw_agent_note_time(a);
    return err == GW_OK ? drop_withdrawn(a, &head) : err;
}

static GW_NOINLINE uint8_t more(uint8_t n, uint32_t by)
{
    return n + by < UINT8_MAX ? (uint8_t)(n + by) : UINT8_MAX;
}

/* ---- Reports ---------------------------------------------------------------------------------------------------- */

int gw_agent_add_report(struct gw_agent *a, enum gw_report_state state, int reason, struct gw_order release)
{
    struct gw_report r = { .state = state, .reason = (uint32_t)(reason < 0 ? -reason : reason), .release = release };

    if (a->config->transport->report == NULL) {
        return GW_OK;
    }
    r.times = more(a->untold, 1);
    r.time = gw_agent_time(a);
    r.bytes = a->read;
    r.again = a->again;
    int err = gw_reports_add(a->config->dev, &r);
    a->untold = err == GW_OK ? 0 : a->untold;
    return err;
}

/* ---- The image on trial, and what became of the one before ------------------------------------------------------ */

void gw_agent_close_request(struct gw_agent *a)
{
    if (a->open != 0) {
        a->config->transport->close(a->config->transport->ctx);
        a->open = 0;
    }
}

int gw_agent_lose(struct gw_agent *a, int reason)
{
    int err = gw_device_reject(a->config->dev, reason);

    if (err != GW_OK) {
        return err;
    }
    gw_agent_close_request(a);
    a->reason = reason;
    a->trial = 0;
    a->flags |= GW_AGENT_LOST;
    a->state = GW_AGENT_RESTART;
    a->ask = a->now;
    gw_agent_tell(a, GW_EVENT_TRIED, reason, 0, 0);
    return GW_MORE;
}

/*
 * An outcome that is told once, and is known by `key`: reported if it is not the one in `told`. Noted after that, so
 * that no interruption loses it; twice is possible.
 */
static int tell_once(struct gw_agent *a, const uint8_t key[KEY], uint8_t told[KEY], enum gw_report_state state,
                     int reason, struct gw_order order)
{
    if (memcmp(told, key, KEY) == 0) {
        return GW_OK;
    }
    int err = gw_agent_add_report(a, state, reason, order);
    if (err == GW_OK) {
        memcpy(told, key, KEY);
        if (state == GW_REPORT_LEFT) {
            gw_agent_tell(a, GW_EVENT_LEFT, reason, order.epoch, order.sequence);
        }
    }
    return err;
}

/* The release that runs, confirmed: so is the first one, and after a loss of the journal again. */
static int tell_running(struct gw_agent *a, const struct gw_boot_state *s)
{
    unsigned slot = a->config->handover->slot;

    if (slot > GW_SLOT_B || s->slot[slot].state != GW_CONFIRMED) {
        return GW_OK;
    }
    return tell_once(a, s->slot[slot].digest, a->memory.running_told, GW_REPORT_CONFIRMED, 0, s->slot[slot].order);
}

/* Why the image before was left. */
static int tell_left(struct gw_agent *a, const struct gw_boot_state *s)
{
    uint8_t key[KEY] = { 0 };
    struct gw_order order = { 0, 0 };

    for (unsigned i = 0; i < 2; i++) {
        if (s->slot[i].state == GW_REJECTED && i != a->config->handover->slot) {
            memcpy(key, s->slot[i].digest, KEY);
            order = s->slot[i].order;
        }
    }
    key[KEY - 1] = s->reason;
    return s->reason == 0 ? GW_OK : tell_once(a, key, a->memory.left_told, GW_REPORT_LEFT, s->reason, order);
}

/* What became of the images. May be repeated; writes nothing that is there already. */
static int tell_outcome(struct gw_agent *a)
{
    struct gw_boot_state s;

    a->read = a->again = 0;
    int err = gw_device_state(a->config->dev, &s);
    if (err == GW_OK) {
        err = tell_left(a, &s);
    }
    if (err == GW_OK) {
        err = tell_running(a, &s);
    }
    if (err == GW_OK) {
        err = keep(a);
    }
    return err == GW_ERR_NOTHING ? GW_OK : err;
}

int gw_agent_confirm(struct gw_agent *a)
{
    if (a->trial) {
        int err = gw_device_confirm(a->config->dev);
        if (err != GW_OK) {
            return err;
        }
        a->trial = 0;
        gw_agent_tell(a, GW_EVENT_TRIED, 0, 0, 0);
    }
    return tell_outcome(a);
}

/* ---- Failure ---------------------------------------------------------------------------------------------------- */

/* Refused for what it is, not for how it came: it is not better in half a minute. */
static bool is_refusal(int reason)
{
    return reason <= GW_ERR_FORMAT && reason != GW_ERR_FRAME_HASH && reason != GW_ERR_SOURCE &&
           reason != GW_ERR_PAYLOAD_SHORT && reason != GW_ERR_PAYLOAD_LONG && reason != GW_ERR_VETO;
}

/* What is no accident is told once for a manifest. */
static bool told_before(struct gw_agent *a, int reason)
{
    uint8_t digest[GW_DIGEST_SIZE] = { 0 };
    struct gw_agent_memory *m = &a->memory;

    if (reason > GW_ERR_BUDGET || (a->offer.manifest.n != 0 &&
        gw_sha256(a->config->dev->crypto, a->offer.manifest.p, a->offer.manifest.n, digest) != GW_OK)) {
        return false;
    }
    bool before = m->refused == -reason && memcmp(m->refused_told, digest, KEY) == 0;
    m->refused = (uint8_t)-reason;
    memcpy(m->refused_told, digest, KEY);
    return before;
}

void gw_agent_count_again(struct gw_agent *a)
{
    struct gw_progress p;

    gw_install_progress(&a->install, &p);
    a->again += p.asked_again + a->install.frames.held;
    a->flags &= ~(uint32_t)GW_AGENT_INSTALLING;
}

static void close_install(struct gw_agent *a)
{
    if ((a->flags & GW_AGENT_INSTALLING) != 0) {
        gw_agent_count_again(a);
        int err = gw_install_abort(&a->install, false); /* what it has stays */
        (void)err; /* a journal that fails says so again at the next write */
    }
}

/* Seconds until the next look, by what went wrong. */
static GW_NOINLINE uint32_t back_off(struct gw_agent *a, int reason)
{
    struct gw_agent_memory *m = &a->memory;
    bool veto = reason == GW_ERR_VETO;
    uint32_t most = gw_agent_interval(a), s = veto ? gw_agent_or(a->config->ask_again_s, 60) : BACK_OFF;

    if (reason == GW_ERR_BUDGET) {
        return seconds_to_tomorrow(a);
    }
    most = veto && most > BACK_OFF_VETO ? BACK_OFF_VETO : most;
    if (is_refusal(reason)) {
        s = most;
    } else {
        m->failures = more(m->failures, 1);
    }
    if (a->trial) { /* there is a deadline */
        uint32_t trial = gw_agent_or(a->config->confirm_s, 600) / 8 + 1;
        most = most < trial ? most : trial;
    }
    for (unsigned i = 1; i < m->failures && s < most; i++) {
        s *= 2;
    }
    return s < most ? s : most;
}

void gw_agent_judge(struct gw_agent *a, int reason)
{
    struct gw_agent_memory *m = &a->memory;
    bool installing = (a->flags & GW_AGENT_INSTALLING) != 0, refusal = is_refusal(reason);

    a->reason = reason;
    gw_agent_close_request(a);
    close_install(a);
    if (reason <= GW_ERR_CERT_EXPIRED && reason >= GW_ERR_CERT_PIN) {
        m->cert_failures = more(m->cert_failures, 1);
    }
    if (installing && refusal) {
        m->attempts = more(m->attempts, HEAVY);
    } else if (installing && reason != GW_ERR_VETO && a->offer.payload_base.n != 0) {
        a->flags ^= GW_AGENT_OWN_BASE; /* the other source, next time */
    }
    if (reason <= GW_ERR_FORMAT && reason >= GW_ERR_ROOTS_FEW) {
        a->order = (struct gw_order){ 0, 0 }; /* what the offer says of itself is not proved */
    }
    a->rest_s = back_off(a, reason);
    bool quiet = !may_write(a);
    a->untold = more(a->untold, quiet);
    quiet = quiet || told_before(a, reason);
    a->flags = (a->flags & ~(uint32_t)GW_AGENT_QUIET) | (quiet ? GW_AGENT_QUIET : 0);
}

int gw_agent_give_up(struct gw_agent *a)
{
    int reason = a->reason, err = GW_OK;

    if ((a->flags & GW_AGENT_QUIET) == 0) {
        err = gw_agent_add_report(a, reason == GW_ERR_VETO ? GW_REPORT_DECLINED : GW_REPORT_FAILED, reason, a->order);
    }
    if (err == GW_OK) {
        a->credit -= (a->flags & GW_AGENT_QUIET) == 0;
        a->flags |= GW_AGENT_QUIET; /* if this step is repeated */
        err = gw_agent_rest(a, a->rest_s);
    }
    if (err == GW_OK) {
        gw_agent_tell(a, GW_EVENT_FAILED, reason, a->rest_s, 0);
        a->order = (struct gw_order){ 0, 0 };
    }
    return err;
}

/* ---- Life of an agent ------------------------------------------------------------------------------------------- */

/* What tells this start from others; enough to spread a fleet, if the device has no chance of its own. */
static void seed(struct gw_agent *a)
{
    const struct gw_device *dev = a->config->dev;

    a->random = dev->journal->generation * 0x9e3779b1u + a->now;
    if (dev->crypto->random != NULL && dev->crypto->random(dev->crypto->ctx, &a->random, sizeof a->random) != 0) {
        a->random ^= a->now;
    }
    a->random |= a->random == 0;
}

/* Where an agent waits, by the journal; SELF_TEST: the running image is on trial. */
static int waits_at(const struct gw_agent *a, enum gw_agent_state *state)
{
    struct gw_boot_state s;

    *state = GW_AGENT_IDLE;
    int err = gw_device_state(a->config->dev, &s);
    for (unsigned i = 0; err == GW_OK && i < 2; i++) {
        if (s.slot[i].state == GW_TRYING && i == a->config->handover->slot) {
            *state = GW_AGENT_SELF_TEST;
            return GW_OK;
        }
        *state = s.slot[i].state == GW_STAGED ? GW_AGENT_RESTART : *state;
    }
    return err == GW_ERR_NOTHING ? GW_OK : err;
}

bool gw_agent_staged(const struct gw_agent *a)
{
    enum gw_agent_state state;

    return waits_at(a, &state) == GW_OK && state == GW_AGENT_RESTART;
}

int gw_agent_open(struct gw_agent *a, const struct gw_agent_config *config, uint32_t now_ms)
{
    const struct gw_transport *t = config->transport;
    enum gw_agent_state state;

    if (config->dev == NULL || config->handover == NULL || t == NULL || t->open == NULL || t->read == NULL ||
        t->close == NULL || config->buffer == NULL || config->offer == NULL) {
        return GW_ERR_CONFIG;
    }
    if (config->buffer_size < GW_INSTALL_BUFFER_MIN || config->offer_size == 0) {
        return GW_ERR_SPACE;
    }
    memset(a, 0, sizeof *a);
    a->config = config;
    int err = waits_at(a, &state);
    if (err != GW_OK) {
        return err;
    }
    a->now = a->opened = a->ticked = a->ask = a->since = a->kept = now_ms;
    a->looked = now_ms - GW_LOOK_MIN * 1000u;
    a->credit = WRITES;
    a->trial = state == GW_AGENT_SELF_TEST;
    a->state = state;
    struct gw_install_config *c = &a->install_config;
    c->dev = config->dev;
    c->buffer = config->buffer;
    c->buffer_size = config->buffer_size;
    c->running = (enum gw_slot)config->handover->slot;
    c->recovery = config->handover->recovery != 0 || c->running > GW_SLOT_B;
    c->decoding = config->decoding;
    c->head_required = config->head_required;
    c->head_age_s = config->head_age_s;
    c->channel = config->channel;
    gw_agent_note_time(a);
    gw_agent_recall(config->dev, &a->memory);
    a->noted = a->memory.bytes;
    seed(a);
    a->due = now_ms + first_look_s(a) * 1000u;
    return GW_OK;
}

/* The trial's deadline, or when the image is to be called steady: ms after the agent was opened. */
static uint32_t limit(const struct gw_agent *a)
{
    return 1000u * (a->trial ? gw_agent_or(a->config->confirm_s, 600) : gw_agent_or(a->config->steady_s, 300));
}

int gw_agent_begin_step(struct gw_agent *a)
{
    int err = GW_OK;

    tick(a, 0);
    if ((a->flags & GW_AGENT_STARTED) == 0) {
        err = tell_outcome(a);
        if (err != GW_OK) {
            return err;
        }
        a->flags |= GW_AGENT_STARTED;
    }
    if ((a->flags & GW_AGENT_STEADY) != 0 || a->now - a->opened < limit(a)) {
        return GW_OK;
    }
    if (!a->trial) {
        err = gw_device_steady(a->config->dev);
        a->flags |= err == GW_OK || err == GW_ERR_NOTHING ? GW_AGENT_STEADY : 0;
        err = err == GW_ERR_NOTHING ? GW_OK : err;
    } else if (a->state == GW_AGENT_IDLE || a->state == GW_AGENT_LOOK) {
        err = gw_agent_lose(a, GW_ERR_CONFIRM_LATE);
    }
    return err < 0 ? err : GW_OK;
}

void gw_agent_bound_wait(const struct gw_agent *a, uint32_t *wait)
{
    uint32_t since = a->now - a->opened, most = limit(a);

    if ((a->flags & GW_AGENT_STEADY) == 0) {
        most = since < most ? most - since : 0;
        *wait = *wait < most ? *wait : most;
    }
}

void gw_agent_wake(struct gw_agent *a)
{
    a->woken = 1;
}

void gw_agent_close(struct gw_agent *a)
{
    if (a->config != NULL) {
        gw_agent_close_request(a);
        close_install(a);
    }
    gw_wipe(a, sizeof *a);
}

int gw_update(struct gw_agent *a)
{
    const struct gw_agent_config *c = a->config;
    uint32_t wait = 0;
    bool looked = false;

    if (c->now_ms == NULL || c->wait == NULL) {
        return GW_ERR_CONFIG;
    }
    a->due = c->now_ms(c->ctx);
    for (;;) {
        int status = gw_agent_step(a, c->now_ms(c->ctx), &wait);
        if (status < 0) {
            return status;
        }
        looked = looked || a->state == GW_AGENT_LOOK;
        if (a->state == GW_AGENT_RESTART && status == GW_DONE) {
            return (a->flags & GW_AGENT_LOST) != 0 ? a->reason : GW_DONE;
        }
        if (looked && a->state == GW_AGENT_IDLE) {
            return a->reason;
        }
        if (wait > 0) {
            c->wait(c->ctx, wait);
        }
    }
}
