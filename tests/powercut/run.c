/*
 * run.c - one run: boot, check, let the application work, again, until the goal; and what must hold after every boot.
 *
 * A cut leaves session() by longjmp; the caller takes a snapshot and goes on with the next session, as a device does.
 */
#include "powercut.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SESSIONS_MAX 80u

int failed(struct run *r, bool brick, const char *format, ...)
{
    va_list args;

    if (r->error[0] == 0) {
        va_start(args, format);
        vsnprintf(r->error, sizeof r->error, format, args);
        va_end(args);
        r->brick = brick;
    }
    return NEXT_FAILED;
}

void say(const struct run *r, const char *format, ...)
{
    va_list args;

    if (r->verbose) {
        va_start(args, format);
        vprintf(format, args);
        va_end(args);
    }
}

void run_log(const struct flashsim_op *op, uint32_t number)
{
    printf("    %3u %s 0x%05x %u\n", (unsigned)number, op->kind == FLASHSIM_WRITE ? "write" : "erase",
           (unsigned)op->address, (unsigned)op->n);
}

/* ---- What must hold after every boot ----------------------------------------------------------------------------- */

static const struct simdev_release *release_of(const struct run *r, const uint8_t digest[32])
{
    for (unsigned i = 0; i < RELEASES; i++) {
        if (r->release[i].manifest.n != 0 && memcmp(r->release[i].digest, digest, 32) == 0) {
            return &r->release[i];
        }
    }
    return NULL;
}

/* Recovery and the factory image run only while nothing was confirmed, or where that is the scenario's point. */
static int check_recovery(struct run *r)
{
    const struct gw_handover *h = &r->d.handover;
    bool may = (r->scenario->flags & MAY_FACTORY) != 0 || r->m.confirmed == 0;

    r->running = NULL;
    if (!may || r->m.staged > r->m.gone) {
        return failed(r, true, "%s although release %u was confirmed and %u staged",
                      h->slot == GW_SLOT_FACTORY ? "factory image" : "recovery", (unsigned)r->m.confirmed,
                      (unsigned)r->m.staged);
    }
    if (r->d.booted == GW_OK && h->recovery == 0) {
        return failed(r, false, "factory image started without being told that it is recovery");
    }
    if (r->d.config.extended && r->d.booted != GW_OK) {
        return failed(r, true, "the factory image does not start: %s", gw_error_name(r->d.booted));
    }
    return 0;
}

/* Slots that the journal counts on hold what it says, whole. */
static int check_slots(struct run *r, const struct gw_boot_state *state)
{
    bool any = false;

    for (unsigned i = 0; i < 2; i++) {
        const struct gw_slot_state *s = &state->slot[i];
        if (s->state == GW_REJECTED) {
            r->m.gone = s->order.sequence > r->m.gone ? s->order.sequence : r->m.gone;
        }
        if (s->state != GW_CONFIRMED && s->state != GW_PREVIOUS) {
            continue;
        }
        const struct simdev_release *there = release_of(r, s->digest);
        if (there == NULL || (there->sequence != r->ruined && !simdev_holds(&r->d, there, (enum gw_slot)i))) {
            return failed(r, false, "slot %c should hold release %u and does not", 'A' + i,
                          (unsigned)s->order.sequence);
        }
        bool enough = s->order.sequence >= r->m.confirmed || (r->scenario->flags & MAY_GO_BACK) != 0;
        any = any || (s->state == GW_CONFIRMED && enough);
    }
    if (r->m.confirmed != 0 && !any && (r->scenario->flags & MAY_GO_BACK) == 0) {
        return failed(r, false, "release %u was confirmed and is not any more", (unsigned)r->m.confirmed);
    }
    return 0;
}

static int check_floor(struct run *r, const struct gw_boot_state *state)
{
    if (gw_order_compare(state->floor, r->m.floor) < 0) {
        return failed(r, false, "the floor fell from %u to %u", (unsigned)r->m.floor.sequence,
                      (unsigned)state->floor.sequence);
    }
    if (state->floor.sequence > 2) {
        return failed(r, false, "a floor that nobody asked for: %u", (unsigned)state->floor.sequence);
    }
    r->m.floor = state->floor;
    return 0;
}

/* What started is one of the releases, whole, and not older than it may be. */
static int check_started(struct run *r, const struct gw_boot_state *state)
{
    const struct gw_handover *h = &r->d.handover;
    const struct gw_slot_state *s = &state->slot[h->slot];
    bool back = (r->scenario->flags & MAY_GO_BACK) != 0;

    r->running = release_of(r, s->digest);
    if (r->running == NULL || !simdev_holds(&r->d, r->running, (enum gw_slot)h->slot)) {
        return failed(r, true, "slot %c started and holds no whole release", 'A' + h->slot);
    }
    uint32_t sequence = r->running->sequence;
    if (h->state != s->state || (h->state != GW_TRYING && h->state != GW_CONFIRMED && h->state != GW_PREVIOUS)) {
        return failed(r, false, "started in state %u, journal says %u", h->state, s->state);
    }
    if ((h->state == GW_TRYING) != r->d.watchdog) {
        return failed(r, false, "watchdog %d in state %u", r->d.watchdog, h->state);
    }
    if (h->state == GW_TRYING && sequence == r->m.gone) {
        return failed(r, false, "release %u was rejected and starts again", (unsigned)sequence);
    }
    if (sequence < r->m.confirmed && !back) {
        return failed(r, false, "release %u starts, but %u was confirmed", (unsigned)sequence,
                      (unsigned)r->m.confirmed);
    }
    if (sequence < r->m.staged && r->m.gone < r->m.staged) {
        return failed(r, false, "release %u starts, but %u was staged", (unsigned)sequence, (unsigned)r->m.staged);
    }
    if (h->state == GW_CONFIRMED && sequence > r->m.confirmed) {
        r->m.confirmed = sequence;
    }
    return 0;
}

static int check_boot(struct run *r)
{
    struct gw_boot_state state;
    int err;

    say(r, "  boot: %s, slot %u, state %u, attempt %u, reason %s\n",
        r->d.booted == 0 ? "ok" : gw_error_name(r->d.booted), r->d.handover.slot, r->d.handover.state,
        r->d.handover.attempt, gw_error_name(r->d.handover.reason));
    if (gw_device_state(&r->d.dev, &state) != GW_OK) {
        return failed(r, false, "no state after a boot");
    }
    if (r->d.booted != GW_OK && r->d.booted != GW_ERR_NO_IMAGE) {
        return failed(r, true, "boot failed: %s", gw_error_name(r->d.booted));
    }
    err = check_floor(r, &state);
    if (err == 0) {
        err = check_slots(r, &state);
    }
    if (err == 0) {
        err = r->d.booted != GW_OK || r->d.handover.slot == GW_SLOT_FACTORY ? check_recovery(r)
                                                                            : check_started(r, &state);
    }
    return err;
}

/* ---- Sessions ---------------------------------------------------------------------------------------------------- */

static int boot_and_mount(struct run *r)
{
    flashsim_restart(&r->d.sim);
    r->running = NULL;
    agent_forget(r);
    (void)simdev_boot(&r->d, r->m.cause);
    if (check_boot(r) != 0) {
        return NEXT_FAILED;
    }
    int err = simdev_mount(&r->d);
    return err == GW_OK ? 0 : failed(r, false, "mount: %s", gw_error_name(err));
}

static int session(struct run *r)
{
    if (++r->m.sessions > SESSIONS_MAX) {
        return failed(r, false, "does not come to an end");
    }
    if (boot_and_mount(r) != 0) {
        return NEXT_FAILED;
    }
    int next = r->scenario->app(r);
    if (next >= 0) {
        r->m.cause = (enum gw_cause)next;
    }
    return next;
}

/* Bounds: nothing fetched twice but a frame for each cut; blocks not worn out by cuts. */
static int check_bounds(struct run *r)
{
    uint32_t slot = 0, journal = flashsim_wear_sum(&r->d.sim, r->d.layout.journal), cuts = r->m.cuts;

    for (unsigned i = 0; i < 2; i++) {
        uint32_t most = flashsim_wear_max(&r->d.sim, r->d.layout.slot[i]);
        slot = most > slot ? most : slot;
    }
    if (r->frame == 0) { /* the run without cuts sets the measure */
        r->frame = r->d.config.frame_size + GW_DIGEST_SIZE;
        if (r->scenario->flags & CODED) { /* streamed: all frames in which the restart unit lies */
            r->frame += r->frame + 1000 + 2 * SIMDEV_UNIT;
        }
        r->fetched = r->d.fetched;
        r->journal_erases = journal;
        r->slot_erases = slot;
    }
    if (r->d.fetched > r->fetched + (uint64_t)cuts * r->frame) {
        return failed(r, false, "fetched %u bytes, %u without cuts", (unsigned)r->d.fetched, (unsigned)r->fetched);
    }
    if (slot > r->slot_erases + cuts || journal > r->journal_erases + 8 * cuts) {
        return failed(r, false, "wear: %u of a slot's block (%u without cuts), %u of the journal (%u)", (unsigned)slot,
                      (unsigned)r->slot_erases, (unsigned)journal, (unsigned)r->journal_erases);
    }
    return 0;
}

/* At the goal: the check of the scenario, then boots that come to change nothing any more. */
static int finish(struct run *r)
{
    const char *wrong = r->scenario->check != NULL ? r->scenario->check(r) : NULL;
    bool quiet = false;

    if (wrong != NULL) {
        return failed(r, false, "%s", wrong);
    }
    const struct simdev_release *goal = r->running;
    for (unsigned i = 0; i < 3; i++) {
        r->m.cause = GW_CAUSE_POWER;
        uint32_t ops = r->d.sim.ops;
        if (boot_and_mount(r) != 0) {
            return NEXT_FAILED;
        }
        if (r->running != goal) {
            return failed(r, false, "another image runs after the goal was reached");
        }
        quiet = quiet || r->d.sim.ops == ops; /* a unit that flaps may be seen late, but not every time */
    }
    if (!quiet) {
        return failed(r, false, "a settled device writes at every boot");
    }
    wrong = r->scenario->check != NULL ? r->scenario->check(r) : NULL;
    return wrong == NULL ? check_bounds(r) : failed(r, false, "%s", wrong);
}

static int until_goal(struct run *r)
{
    int next;

    do {
        next = session(r);
    } while (next >= 0);
    return next == NEXT_DONE ? finish(r) : next;
}

enum outcome run_go(struct run *r)
{
    jmp_buf out;

    r->d.sim.out = &out;
    switch (setjmp(out)) {
    case 0:
        return until_goal(r) == NEXT_FAILED ? RUN_FAILED : RUN_DONE;
    case FLASHSIM_OUT_CUT:
        r->m.cuts++;
        r->m.cause = GW_CAUSE_POWER;
        r->m.fetched = r->d.fetched;
        r->m.taken_over = r->d.taken_over;
        agent_note(r);
        say(r, "  power cut: %s after %u units\n", flashsim_shape_name(r->d.sim.cut.shape),
            (unsigned)r->d.sim.cut.units);
        return RUN_CUT;
    default:
        (void)failed(r, true, "flash rule: %s (%s of %u bytes at 0x%x)", r->d.sim.violation,
                     r->d.sim.offender.kind == FLASHSIM_WRITE ? "write" : "erase", (unsigned)r->d.sim.offender.n,
                     (unsigned)r->d.sim.offender.address);
        return RUN_FAILED;
    }
}

/* ---- Preparing --------------------------------------------------------------------------------------------------- */

bool run_prepare(struct run *r, const struct scenario *s, const struct simdev_config *config, bool verbose)
{
    struct simdev_config c = *config;
    jmp_buf out;

    memset(r, 0, sizeof *r);
    c.data = (s->flags & WITH_DATA) != 0;
    c.image_size = (s->flags & CODED) != 0 ? 2400 : c.image_size;
    c.signs = (s->flags & WITH_AGENT) != 0 && !c.real;
    c.extended = c.extended || (s->flags & ONLY_EXTENDED) != 0;
    r->scenario = s;
    r->verbose = verbose;
    r->m.cause = GW_CAUSE_POWER;
    simdev_init(&r->d, &c);
    flashsim_arm(&r->d.sim, 1);
    r->d.sim.out = &out;
    if (setjmp(out) != 0) {
        (void)failed(r, true, "flash rule in the set-up: %s", r->d.sim.violation);
        return false;
    }
    simdev_provision(&r->d);
    s->setup(r);
    flashsim_wear_clear(&r->d.sim);
    r->m.cause = r->m.cause != GW_CAUSE_POWER ? r->m.cause : GW_CAUSE_SOFTWARE;
    r->d.fetched = r->d.taken_over = 0;
    r->d.sim.log = verbose ? run_log : NULL;
    return r->error[0] == 0;
}

void run_free(struct run *r)
{
    for (unsigned i = 0; i < RELEASES; i++) {
        simdev_release_free(&r->release[i]);
    }
    agent_end(r);
    simdev_free(&r->d);
}
