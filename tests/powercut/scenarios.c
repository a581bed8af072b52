/*
 * scenarios.c - what happens to a device: a starting point, and an application that works towards a goal.
 *
 * An application is called once in each session, after boot and mount. It looks at what runs and at the journal, does
 * the next thing and returns the cause of the next reset; after a power cut it is simply called again. So every
 * scenario is also its own recovery, and can be cut anywhere, any number of times.
 */
#include "powercut.h"

#include <string.h>

/* ---- Starting points --------------------------------------------------------------------------------------------- */

static void wish(struct run *r, unsigned i, struct simdev_wish w)
{
    w.sequence = i + 1;
    simdev_release(&r->d, &r->release[i], &w);
}

static void expect(struct run *r, int got, int wanted, const char *what)
{
    if (got != wanted) {
        (void)failed(r, false, "set-up: %s: %s", what, got < 0 ? gw_error_name(got) : "another status");
    }
}

static void start(struct run *r, enum gw_cause cause)
{
    (void)simdev_boot(&r->d, cause);
    expect(r, simdev_mount(&r->d), GW_OK, "mount");
}

/* Installs release i and confirms it. */
static void confirmed(struct run *r, unsigned i)
{
    start(r, GW_CAUSE_POWER);
    expect(r, simdev_install(&r->d, &r->release[i], 0), GW_DONE, "install");
    start(r, GW_CAUSE_SOFTWARE);
    expect(r, gw_device_confirm(&r->d.dev), GW_OK, "confirm");
    r->m.confirmed = i + 1;
}

static void setup_nothing(struct run *r)
{
    wish(r, 0, (struct simdev_wish){ .encrypted = true });
    if (r->scenario->flags & WITH_DATA) {
        wish(r, 1, (struct simdev_wish){ .data = 0 });
    }
}

static void setup_one(struct run *r)
{
    wish(r, 0, (struct simdev_wish){ .encrypted = true });
    wish(r, 1, (struct simdev_wish){ .encrypted = true, .floor = 2, .data = 1 });
    wish(r, 2, (struct simdev_wish){ .floor = 1, .linked = true, .data = 2 });
    confirmed(r, 0);
    start(r, GW_CAUSE_SOFTWARE);
}

/* Release 2 is a delta from release 1; by its size it is staged or streamed. */
static void setup_delta(struct run *r, uint32_t padding)
{
    wish(r, 0, (struct simdev_wish){ .encrypted = true });
    wish(r, 1, (struct simdev_wish){ .encrypted = true, .floor = 2, .data = 1, .coded = true, .from = &r->release[0],
                                     .padding = padding });
    wish(r, 2, (struct simdev_wish){ .floor = 1, .data = 2 });
    confirmed(r, 0);
    start(r, GW_CAUSE_SOFTWARE);
}

static void setup_agent(struct run *r)
{
    setup_one(r);
    agent_begin(r);
}

static void setup_agent_staged(struct run *r)
{
    setup_delta(r, 0);
    agent_begin(r);
}

static void setup_agent_streamed(struct run *r)
{
    setup_delta(r, 1000);
    agent_begin(r);
}

static void setup_small_delta(struct run *r) { setup_delta(r, 0); }
static void setup_large_delta(struct run *r) { setup_delta(r, 1000); }

static void setup_full(struct run *r)
{
    wish(r, 0, (struct simdev_wish){ 0 });
    wish(r, 1, (struct simdev_wish){ .floor = 2, .coded = true, .padding = 1000 });
    confirmed(r, 0);
    start(r, GW_CAUSE_SOFTWARE);
}

static void setup_delta_interrupted(struct run *r)
{
    setup_delta(r, r->d.config.frame_size < 4096 ? 0 : 1000);
    expect(r, simdev_install(&r->d, &r->release[1], 1), GW_MORE, "part of an install");
}

static void setup_same_data(struct run *r)
{
    wish(r, 0, (struct simdev_wish){ .data = 5 });
    wish(r, 1, (struct simdev_wish){ .data = 5 });
    confirmed(r, 0);
}

static void setup_interrupted(struct run *r)
{
    setup_one(r);
    expect(r, simdev_install(&r->d, &r->release[1], r->d.config.frame_size < 4096 ? 3 : 1), GW_MORE,
           "part of an install");
}

static void setup_two_authors(struct run *r)
{
    wish(r, 0, (struct simdev_wish){ 0 });
    wish(r, 1, (struct simdev_wish){ .author = 1 });
    confirmed(r, 0);
}

/* Records until the bank in use is nearly full. */
static void setup_full_journal(struct run *r)
{
    const struct gw_journal *j = &r->d.ram.journal;

    setup_one(r);
    while (j->bank[j->current].start + j->bank[j->current].size - j->next > 500) {
        expect(r, gw_journal_put(&r->d.ram.journal, GW_REC_AGENT, (const uint8_t *)"something to say", 16), GW_OK,
               "record");
    }
}

static void setup_lost_journal(struct run *r)
{
    wish(r, 0, (struct simdev_wish){ 0 });
    wish(r, 1, (struct simdev_wish){ .floor = 2 });
    confirmed(r, 0);
    confirmed(r, 1);
    r->m.confirmed = 1; /* release 2 is to start again; only that it was confirmed has been forgotten */
    r->m.staged = 2;
    r->m.floor = (struct gw_order){ 1, 2 };
    flashsim_ruin(&r->d.sim, r->d.layout.journal);
}

static void setup_preloaded(struct run *r)
{
    wish(r, 0, (struct simdev_wish){ 0 });
    simdev_preload(&r->d, &r->release[0], GW_SLOT_A);
    r->m.staged = 1;
    r->m.cause = GW_CAUSE_UNKNOWN;
}

static void setup_staged(struct run *r)
{
    wish(r, 0, (struct simdev_wish){ 0 });
    wish(r, 1, (struct simdev_wish){ 0 });
    confirmed(r, 0);
    start(r, GW_CAUSE_SOFTWARE);
    expect(r, simdev_install(&r->d, &r->release[1], 0), GW_DONE, "install");
    r->m.staged = 2;
}

static void setup_two(struct run *r)
{
    wish(r, 0, (struct simdev_wish){ 0 });
    wish(r, 1, (struct simdev_wish){ 0 });
    confirmed(r, 0);
    confirmed(r, 1);
    start(r, GW_CAUSE_SOFTWARE);
}

static void setup_trying(struct run *r)
{
    setup_one(r);
    expect(r, simdev_install(&r->d, &r->release[1], 0), GW_DONE, "install");
    r->m.staged = 2;
    start(r, GW_CAUSE_SOFTWARE);
}

/* The only confirmed image is damaged: what is left is the factory image. */
static void setup_ruined(struct run *r)
{
    uint32_t slot;

    setup_one(r);
    slot = r->d.handover.slot;
    for (uint32_t i = 0; i < 40; i++) {
        flashsim_poke(&r->d.sim, r->d.layout.slot[slot].start + 100 + i, 0x3c);
    }
    r->ruined = 1;
    r->m.confirmed = 0;
}

/* Three of the crashes that are allowed. */
static void setup_crashed(struct run *r)
{
    setup_two(r);
    for (unsigned i = 0; i < 3; i++) {
        start(r, GW_CAUSE_WATCHDOG);
    }
}

/* ---- Applications ------------------------------------------------------------------------------------------------ */

static int refuse(struct run *r, const char *what, int err)
{
    return failed(r, false, "%s: %s", what, err < 0 ? gw_error_name(err) : "another status");
}

static int confirm(struct run *r)
{
    say(r, "  confirm\n");
    int err = gw_device_confirm(&r->d.dev);
    if (err != GW_OK) {
        return refuse(r, "confirm", err);
    }
    r->m.confirmed = r->running->sequence > r->m.confirmed ? r->running->sequence : r->m.confirmed;
    return NEXT_DONE;
}

/* Fetches `target` and restarts. */
static int install(struct run *r, const struct simdev_release *target, uint32_t frames)
{
    say(r, "  install %u\n", (unsigned)target->sequence);
    int err = simdev_install(&r->d, target, frames);
    if (err != GW_DONE && err != GW_MORE) {
        return refuse(r, "install", err);
    }
    if (err == GW_DONE) {
        r->m.staged = target->sequence > r->m.staged ? target->sequence : r->m.staged;
    }
    return GW_CAUSE_SOFTWARE;
}

static int towards(struct run *r, const struct simdev_release *target, uint32_t frames)
{
    if (r->running != target) {
        return install(r, target, frames);
    }
    return r->d.handover.state == GW_TRYING ? confirm(r) : NEXT_DONE;
}

static int app_first(struct run *r) { return towards(r, &r->release[0], 0); }
static int app_update(struct run *r) { return towards(r, &r->release[1], 0); }
static int app_frame_by_frame(struct run *r) { return towards(r, &r->release[1], 1); }
/* More than a restart unit in each session: a streamed payload comes no further with less. */
static int app_four_frames(struct run *r) { return towards(r, &r->release[1], 4); }
static int app_other(struct run *r) { return towards(r, &r->release[2], 0); }

/* Release 2, then release 3 into the slot that release 1 had. */
static int app_two_updates(struct run *r)
{
    if (r->running == &r->release[1] && r->d.handover.state == GW_TRYING && confirm(r) != NEXT_DONE) {
        return NEXT_FAILED;
    }
    return r->running == &r->release[0] ? install(r, &r->release[1], 0) : towards(r, &r->release[2], 0);
}

static int app_confirm(struct run *r)
{
    return r->d.handover.state == GW_TRYING ? confirm(r) : NEXT_DONE;
}

static int app_bundle(struct run *r)
{
    bool pending = false;
    int err = simdev_trust(&r->d, 1, &pending);

    say(r, "  trust update: %d\n", err);
    if ((err != GW_OK && err != GW_DONE) || pending) {
        return refuse(r, "trust update", err);
    }
    return NEXT_DONE;
}

/* The bundle revokes the author of release 1: it waits until release 2 is confirmed. */
static int app_bundle_pending(struct run *r)
{
    bool pending = false;

    if (r->running == &r->release[0]) {
        int err = simdev_trust(&r->d, 2, &pending);
        say(r, "  trust update: %d\n", err);
        if (err != GW_DONE && (err != GW_OK || !pending)) {
            return refuse(r, "trust update", err);
        }
        if (simdev_trust_version(&r->d) != 1) {
            return failed(r, false, "a bundle that refuses the running image took effect");
        }
    }
    return towards(r, &r->release[1], 0);
}

/* Release 2 crashes whenever it runs. */
static int app_crash(struct run *r)
{
    if (r->running != &r->release[1]) {
        return NEXT_DONE;
    }
    r->m.crashes++;
    return r->m.crashes % 2 ? GW_CAUSE_WATCHDOG : GW_CAUSE_FAULT;
}

static int app_crash_first(struct run *r)
{
    if (r->running == NULL) {
        return NEXT_DONE;
    }
    r->m.crashes++;
    return GW_CAUSE_WATCHDOG;
}

static int app_plug(struct run *r)
{
    if (r->d.handover.state == GW_TRYING && r->m.pulls < 5) {
        r->m.pulls++;
        return GW_CAUSE_POWER;
    }
    return app_confirm(r);
}

static int app_brown_out(struct run *r)
{
    if (r->running != &r->release[1]) {
        return NEXT_DONE;
    }
    r->m.pulls++;
    return GW_CAUSE_POWER;
}

static int app_reject(struct run *r)
{
    if (r->d.handover.state != GW_TRYING) {
        return NEXT_DONE;
    }
    int err = gw_device_reject(&r->d.dev, GW_ERR_SELF_TEST);
    return err == GW_OK ? GW_CAUSE_SOFTWARE : refuse(r, "reject", err);
}

/* Steady, then as many crashes as are still allowed. */
static int app_steady(struct run *r)
{
    if (!r->m.steady) {
        int err = gw_device_steady(&r->d.dev);
        if (err != GW_OK) {
            return refuse(r, "steady", err);
        }
        r->m.steady = true;
    }
    return r->m.crashes++ < 3 ? GW_CAUSE_WATCHDOG : NEXT_DONE;
}

/* ---- Goals ------------------------------------------------------------------------------------------------------- */

static const char *runs(struct run *r, const struct simdev_release *wanted, enum gw_state other)
{
    struct gw_boot_state s;
    unsigned slot = r->d.handover.slot;

    if (r->running != wanted) {
        return "another release runs than the one wanted";
    }
    if (gw_device_state(&r->d.dev, &s) != GW_OK || slot > GW_SLOT_B || s.slot[slot].state != GW_CONFIRMED) {
        return "what runs is not confirmed";
    }
    return s.slot[slot ^ 1].state == other ? NULL : "the other slot is in another state than it should be";
}

static const char *goal_first(struct run *r) { return runs(r, &r->release[0], GW_EMPTY); }
static const char *goal_other(struct run *r) { return runs(r, &r->release[2], GW_PREVIOUS); }

static const char *goal_update(struct run *r)
{
    const char *wrong = runs(r, &r->release[1], GW_PREVIOUS);
    struct gw_boot_state s;

    if (wrong == NULL && gw_device_state(&r->d.dev, &s) == GW_OK && s.floor.sequence != r->release[1].floor) {
        wrong = "the floor did not rise";
    }
    return wrong;
}

static const char *goal_copied(struct run *r)
{
    const char *wrong = runs(r, &r->release[1], GW_PREVIOUS);

    if (wrong == NULL && r->m.cuts == 0 && r->d.fetched != r->release[1].file[0].n) {
        wrong = "data was fetched that was here";
    }
    return wrong;
}

static const char *goal_bundle(struct run *r)
{
    const char *wrong = runs(r, &r->release[0], GW_EMPTY);

    return wrong != NULL ? wrong : simdev_trust_version(&r->d) == 2 ? NULL : "the bundle is not in use";
}

static const char *goal_pending(struct run *r)
{
    const char *wrong = runs(r, &r->release[1], GW_PREVIOUS);

    return wrong != NULL ? wrong : simdev_trust_version(&r->d) == 2 ? NULL : "the bundle did not take effect";
}

static const char *goal_recovered(struct run *r)
{
    return runs(r, &r->release[1], GW_CONFIRMED) == NULL || runs(r, &r->release[1], GW_PREVIOUS) == NULL
               ? NULL : "the update did not recover the device";
}

/* Went back from release 2, for good, with the reason, after as many attempts as it has and not many more. */
static const char *goal_back(struct run *r, int reason, uint32_t quarters, uint32_t allowed)
{
    struct gw_boot_state s;
    unsigned slot = r->d.handover.slot;
    const char *wrong = runs(r, &r->release[0], GW_REJECTED);

    if (wrong != NULL || gw_device_state(&r->d.dev, &s) != GW_OK) {
        return wrong != NULL ? wrong : "no state";
    }
    if (s.slot[slot ^ 1].reason != (uint8_t)-reason) {
        return "went back with another reason";
    }
    if (quarters + r->m.cuts < allowed || quarters > allowed + 4 * r->m.cuts) {
        return "went back after too few or too many attempts";
    }
    return simdev_open(&r->d, &r->release[1]) == GW_ERR_REJECTED_BEFORE ? NULL : "a rejected release is accepted again";
}

static const char *goal_tries_used(struct run *r)
{
    return goal_back(r, GW_ERR_TRIES_USED, 4 * r->m.crashes + r->m.pulls, 4 * GW_BOOT_TRIES);
}

static const char *goal_crash_loop(struct run *r)
{
    return goal_back(r, GW_ERR_CRASH_LOOP, 4 * r->m.crashes, 4 * GW_BOOT_CRASHES);
}

static const char *goal_rollback(struct run *r) { return goal_back(r, GW_ERR_SELF_TEST, 0, 0); }

static const char *goal_factory(struct run *r)
{
    if (r->running != NULL || r->d.handover.slot != GW_SLOT_FACTORY) {
        return "the factory image does not run";
    }
    return r->m.crashes >= GW_BOOT_CRASHES ? NULL : "went back after too few crashes";
}

static const char *goal_steady(struct run *r)
{
    return runs(r, &r->release[1], GW_PREVIOUS);
}

static const char *goal_agent(struct run *r)
{
    const char *wrong = goal_update(r);

    return wrong != NULL ? wrong : told_update(r);
}

static const char *goal_agent_back(struct run *r)
{
    const char *wrong = goal_rollback(r);

    return wrong != NULL ? wrong : told_back(r);
}

const struct scenario scenarios[] = {
    { "first-install", 0, setup_nothing, app_first, goal_first },
    { "update", 0, setup_one, app_update, goal_update },
    { "update-over", 0, setup_interrupted, app_other, goal_other },
    { "two-updates", 0, setup_one, app_two_updates, goal_other },
    { "frame-by-frame", 0, setup_one, app_frame_by_frame, goal_update },
    { "data-changed", WITH_DATA, setup_one, app_update, goal_update },
    { "data-copied", WITH_DATA, setup_same_data, app_update, goal_copied },
    { "delta-staged", CODED, setup_small_delta, app_update, goal_update },
    { "delta-streamed", CODED, setup_large_delta, app_update, goal_update },
    { "delta-by-pieces", CODED | WITH_DATA, setup_small_delta, app_four_frames, goal_update },
    { "full-streamed", CODED, setup_full, app_update, goal_update },
    { "delta-given-up", CODED, setup_delta_interrupted, app_other, goal_other },
    { "bundle", 0, setup_two_authors, app_bundle, goal_bundle },
    { "bundle-pending", 0, setup_two_authors, app_bundle_pending, goal_pending },
    { "compaction", 0, setup_full_journal, app_update, goal_update },
    { "journal-lost", 0, setup_lost_journal, app_confirm, goal_update },
    { "first-boot", 0, setup_preloaded, app_confirm, goal_first },
    { "crash-trying", MAY_GO_BACK, setup_staged, app_crash, goal_tries_used },
    { "crash-confirmed", MAY_GO_BACK, setup_two, app_crash, goal_crash_loop },
    { "crash-factory", MAY_GO_BACK | MAY_FACTORY | ONLY_EXTENDED, setup_one, app_crash_first, goal_factory },
    { "plug-pulled", 0, setup_staged, app_plug, goal_update },
    { "brown-out", MAY_GO_BACK, setup_staged, app_brown_out, goal_tries_used },
    { "confirm", 0, setup_trying, app_confirm, goal_update },
    { "rollback", MAY_GO_BACK, setup_trying, app_reject, goal_rollback },
    { "factory-recovery", ONLY_EXTENDED, setup_ruined, app_update, goal_recovered },
    { "steady", 0, setup_crashed, app_steady, goal_steady },
    { "agent", WITH_AGENT, setup_agent, app_agent, goal_agent },
    { "agent-staged", WITH_AGENT | CODED, setup_agent_staged, app_agent, goal_agent },
    { "agent-streamed", WITH_AGENT | CODED, setup_agent_streamed, app_agent, goal_agent },
    { "agent-back", WITH_AGENT | MAY_GO_BACK, setup_agent, app_agent_back, goal_agent_back },
};
const unsigned scenario_count = sizeof scenarios / sizeof scenarios[0];
