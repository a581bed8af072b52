/*
 * test_agent_rest.c - when an agent looks, how often, and what that costs: intervals, back-off, jitter, budgets, days,
 * clocks that are missing or jump, sleep, and writes of the journal. Nothing here may strand a device or wear it out.
 */
#include "agentlife.h"

/* Milliseconds from now until the next look begins. */
static uint64_t until_look(void)
{
    uint64_t before = net.ms;

    ok(simnet_until(&net, GW_AGENT_LOOK));
    well();
    return net.ms - before;
}

static void fails_with(int error, int resource)
{
    net.fault = (struct simnet_fault){ SIMNET_OPEN, 0, 0, 0, error, resource };
}

static void offer_interval(uint32_t seconds)
{
    net.offer.next_look = seconds;
    simnet_release(&net, NULL);
}

/* ---- Intervals --------------------------------------------------------------------------------------------------- */

static void the_interval_and_its_bounds(void **state)
{
    const uint32_t wishes[][2] = { { 0, DAY }, { 1, 5 }, { 5, 5 }, { 3600, 3600 }, { DAY, DAY }, { UINT32_MAX, DAY } };
    (void)state;

    for (unsigned i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        uint32_t least = UINT32_MAX, most = 0;
        net.config.look_interval_s = wishes[i][0];
        (void)simnet_settle(&net, 1);
        for (unsigned k = 0; k < 40; k++) {
            uint32_t rest = (uint32_t)until_look();
            (void)simnet_settle(&net, 1);
            least = k > 0 && rest < least ? rest : least;
            most = k > 0 && rest > most ? rest : most;
        }
        assert_in_range(least, wishes[i][1] * 1000 * 3 / 4 - 2000, wishes[i][1] * 1000 * 9 / 10);
        assert_in_range(most, wishes[i][1] * 1000 * 9 / 10, wishes[i][1] * 1000); /* jittered, never longer */
    }
}

static void what_a_server_wishes_is_kept(void **state)
{
    (void)state;
    offer_interval(7200);
    settled();
    net.nothing = true;
    assert_in_range(until_look(), 5400000 - 1000, 7200000);
    settled();
    restart(GW_CAUSE_POWER);
    assert_in_range(until_look(), 5000000, 7200000); /* the rest of it, by the clock */
    settled();
    assert_in_range(until_look(), 5400000 - 1000, 7200000);
    offer_interval(1);
    (void)simnet_settle(&net, 1);
    assert_in_range(until_look(), 3000, 5000);
    offer_interval(UINT32_MAX);
    settled();
    assert_in_range(until_look(), DAY * 750u - 1000, DAY * 1000u);
}

static void woken(void **state)
{
    uint32_t most = 0;
    (void)state;

    settled();
    net.config.wake_jitter_s = 100;
    for (unsigned i = 0; i < 60; i++) {
        ok(simnet_run(&net, 200));
        gw_agent_wake(&net.agent);
        uint32_t rest = (uint32_t)until_look();
        assert_in_range(rest, 0, 100000);
        most = rest > most ? rest : most;
        settled();
    }
    assert_true(most > 80000);
    net.config.wake_jitter_s = 0;
    ok(simnet_run(&net, 10));
    gw_agent_wake(&net.agent);
    assert_int_equal(until_look(), 0);
    gw_agent_wake(&net.agent); /* during a look: another one after it, */
    settled();
    uint32_t looks = net.looks;
    gw_agent_wake(&net.agent);
    assert_in_range(until_look(), 1, 5000); /* but not at once: notifications may come in a flood */
    settled();
    assert_int_equal(net.looks, looks + 1);
    assert_true(until_look() > 60000);
}

static void woken_while_waiting_for_the_restart(void **state)
{
    (void)state;
    simnet_release(&net, &six);
    net.veto_restart = true;
    ok(simnet_until(&net, GW_AGENT_RESTART));
    uint32_t looks = net.looks;
    ok(simnet_run(&net, 100));
    gw_agent_wake(&net.agent);
    ok(simnet_run(&net, 1000));
    assert_int_equal(net.looks, looks + 1);
    for (unsigned i = 0; i < 1000; i++) { /* a flood of notifications */
        gw_agent_wake(&net.agent);
        ok(simnet_run(&net, 1));
    }
    assert_in_range(net.looks, looks + 100, looks + 210);
    well();
}

/* ---- Back-off ---------------------------------------------------------------------------------------------------- */

static void back_off_doubles_up_to_the_interval(void **state)
{
    uint32_t s = 30;
    (void)state;

    settled();
    fails_with(GW_ERR_TRANSPORT, GW_RESOURCE_OFFER);
    net.config.look_interval_s = 3600;
    gw_agent_wake(&net.agent);
    ok(simnet_until(&net, GW_AGENT_FAIL));
    for (unsigned i = 0; i < 12; i++) {
        assert_in_range(until_look(), s * 750, s * 1000);
        ok(simnet_until(&net, GW_AGENT_FAIL));
        s = s * 2 < 3600 ? s * 2 : 3600;
        assert_int_equal(net.agent.memory.failures, i + 2);
    }
    net.fault.kind = SIMNET_NO_FAULT;
    (void)until_look();
    settled();
    assert_int_equal(net.agent.memory.failures, 0);
    fails_with(GW_ERR_TRANSPORT, GW_RESOURCE_OFFER);
    ok(simnet_until(&net, GW_AGENT_FAIL));
    assert_in_range(until_look(), 22000, 30000);
}

static void back_off_survives_a_reset(void **state)
{
    (void)state;
    settled();
    fails_with(GW_ERR_TRANSPORT, GW_RESOURCE_OFFER);
    for (unsigned i = 0; i < 10; i++) {
        ok(simnet_until(&net, GW_AGENT_FAIL));
        ok(simnet_until(&net, GW_AGENT_IDLE));
        ok(i < 9 ? simnet_until(&net, GW_AGENT_LOOK) : 0);
    }
    uint32_t failures = net.agent.memory.failures;
    assert_int_equal(failures, 10); /* 30 * 2^9 = 15360 s */
    restart(GW_CAUSE_WATCHDOG);
    assert_int_equal(net.agent.memory.failures, failures);
    assert_in_range(until_look(), 11000000, 15360000); /* by the clock, what was left */

    for (unsigned i = 0; i < 30; i++) { /* without: at any moment of it */
        ok(simnet_until(&net, GW_AGENT_FAIL));
        ok(simnet_until(&net, GW_AGENT_IDLE));
        net.epoch = 0;
        restart(GW_CAUSE_WATCHDOG);
        assert_in_range(until_look(), 0, DAY * 1000u);
    }
    well();
}

/* ---- Sleep ------------------------------------------------------------------------------------------------------- */

/* Sleeps for so long, RAM lost; then is awake for a second. */
static void sleep_for(uint32_t seconds)
{
    ok(gw_agent_sleep(&net.agent, net.ms_zero + (uint32_t)net.ms, seconds));
    net.ms += seconds * 1000u;
    restart(GW_CAUSE_DEEP_SLEEP);
}

static void sleeping_with_and_without_a_clock(void **state)
{
    (void)state;
    for (unsigned clock = 0; clock < 2; clock++) {
        net.epoch = clock ? SIMNET_1970 : 0;
        ok(simnet_open(&net));
        settled();
        uint32_t looks = net.looks, ops = dev.sim.ops;
        for (unsigned hours = 0; hours < 24 * 10; hours++) {
            sleep_for(3595);
                ok(simnet_run(&net, 5));
        }
        assert_in_range(net.looks - looks, 9, 15); /* about one in a day, as if it had stayed awake */
        print_message("%s clock: %u looks, %u operations in ten days\n", clock ? "with" : "without",
                      (unsigned)(net.looks - looks), (unsigned)(dev.sim.ops - ops));
        assert_true(!clock || dev.sim.ops - ops < 10 * 40); /* nothing is written for a sleep that the clock tells */
    }
    well();
}

/* Switched on for ten hours a day, no clock: it still looks. */
static void often_switched_off(void **state)
{
    (void)state;
    net.epoch = 0;
    ok(simnet_open(&net));
    settled();
    uint32_t looks = net.looks;
    for (unsigned days = 0; days < 60; days++) {
        restart(GW_CAUSE_POWER);
        ok(simnet_run(&net, 10 * 3600));
    }
    assert_in_range(net.looks - looks, 10, 60);
    well();
}

/* The next look was written down by a clock that was years ahead; with the right one it is no date to wait for. */
static void often_switched_off_after_a_wrong_clock(void **state)
{
    (void)state;
    net.epoch = SIMNET_1970 + 3650 * DAY;
    ok(simnet_open(&net));
    settled();
    assert_int_equal(net.agent.memory.next_look > SIMNET_1970 + 3650 * DAY, 1);
    uint32_t looks = net.looks;
    for (unsigned days = 0; days < 60; days++) {
        net.epoch = SIMNET_1970;
        restart(GW_CAUSE_POWER);
        ok(simnet_run(&net, 10 * 3600));
    }
    assert_in_range(net.looks - looks, 10, 60);
    well();
}

/* RAM survives; the counter of milliseconds may have stood still. */
static void sleep_with_ram(void **state)
{
    (void)state;
    net.epoch = 0;
    ok(simnet_open(&net));
    settled();
    net.agent.memory.attempts = 24;
    for (unsigned i = 0; i < 23; i++) {
        ok(gw_agent_sleep(&net.agent, net.ms_zero + (uint32_t)net.ms, 3600)); /* stands still */
        (void)simnet_step(&net);
    }
    assert_int_equal(net.agent.memory.attempts, 24);
    ok(gw_agent_sleep(&net.agent, net.ms_zero + (uint32_t)net.ms, 3700));
    assert_int_equal(net.agent.memory.attempts, 0);
    ok(gw_agent_sleep(&net.agent, net.ms_zero + (uint32_t)net.ms, UINT32_MAX));
}

/* ---- Budgets ----------------------------------------------------------------------------------------------------- */

static void attempts_of_a_day(void **state)
{
    uint64_t begun;
    (void)state;

    net.config.look_interval_s = 60;
    net.config.attempts_per_day = 5;
    simnet_release(&net, &six);
    fails_with(GW_ERR_TLS, GW_RESOURCE_PAYLOAD);
    net.epoch = SIMNET_1970 - SIMNET_1970 % DAY + 3600; /* at one o'clock */
    ok(simnet_open(&net));
    begun = net.ms;
    ok(simnet_run(&net, 20 * 3600));
    uint32_t payload = 0, budget = 0;
    for (uint32_t i = 0; i < net.requests && i < SIMNET_LOG; i++) {
        payload += net.log[i].resource == GW_RESOURCE_PAYLOAD;
    }
    assert_int_equal(payload, 5 * 4);
    for (uint32_t i = 0; i < net.reports; i++) {
        budget += net.report[i].reason == (uint32_t)-GW_ERR_BUDGET;
    }
    assert_int_equal(budget, 1);
    restart(GW_CAUSE_WATCHDOG); /* a reset gives no new ones */
    ok(simnet_run(&net, 2 * 3600));
    assert_int_equal(net.agent.memory.attempts, 5);
    net.fault.kind = SIMNET_NO_FAULT;
    ok(simnet_until(&net, GW_AGENT_INSTALL));
    assert_in_range(net.ms - begun, 23u * 3600000u, 31u * 3600000u); /* the next day */
    assert_int_equal(net.agent.memory.attempts, 1);
    well();
}

/* A device that is reset in the middle of each attempt: they count all the same. */
static void attempts_that_a_reset_ends(void **state)
{
    uint32_t begun = 0;
    (void)state;

    net.config.attempts_per_day = 4;
    simnet_release(&net, &six);
    for (unsigned i = 0; i < 10; i++) {
        restart(GW_CAUSE_WATCHDOG);
        gw_agent_wake(&net.agent);
        while (net.agent.state != GW_AGENT_FETCH && net.agent.state != GW_AGENT_FAIL) {
            assert_true(simnet_step(&net) > 0);
            net.ms += net.wait;
        }
        begun += net.agent.state == GW_AGENT_FETCH;
    }
    assert_int_equal(begun, 4);
    assert_int_equal(net.agent.memory.attempts, 4);
    assert_int_equal(net.agent.reason, GW_ERR_BUDGET);
    well();
}

static void bytes_of_a_day(void **state)
{
    uint32_t days = 0;
    (void)state;

    net.config.bytes_per_day = 1500;
    simnet_release(&net, &six);
    net.restarts = false;
    for (; state_now().slot[1].state != GW_STAGED && days < 20; days++) {
        uint64_t before = net.delivered;
        ok(simnet_until(&net, GW_AGENT_FETCH));
        (void)simnet_settle(&net, 60);
        assert_true(net.delivered - before <= 1500);
        gw_agent_wake(&net.agent); /* a notification gives no new ones */
        (void)simnet_settle(&net, 60);
        assert_true(net.delivered - before <= 1500);
        if (state_now().slot[1].state != GW_STAGED) {
            restart(GW_CAUSE_POWER);
        }
    }
    assert_in_range(days, six.file[0].n / 1500, 6);
    assert_true(net.twice <= days * 544u);
    well();
}

/* A release that nobody can install: signed, but its image is not what was signed. What it costs is bounded. */
static void a_release_that_never_works(void **state)
{
    (void)state;
    (void)teardown(NULL);
    life(&usual, &(struct simdev_wish){ .coded = true, .spoil = SIMDEV_NONSENSE });
    simdev_release_free(&seven);
    simdev_release(&dev, &seven, &(struct simdev_wish){ .sequence = 7 });
    net.config.look_interval_s = 5;
    simnet_release(&net, &six);
    flashsim_wear_clear(&dev.sim);
    ok(simnet_run(&net, 10 * DAY));
    uint32_t wear = flashsim_wear_max(&dev.sim, dev.layout.slot[1]);
    print_message("ten days: %u erases of a block, %u bytes, %u looks\n", (unsigned)wear, (unsigned)net.delivered,
                  (unsigned)net.looks);
    assert_true(wear <= 11 * 3 + 3);
    assert_true(net.delivered <= 33 * (six.file[0].n + six.file[2].n));
    assert_true(net.reports <= 26);
    simnet_release(&net, &seven); /* and a better one is taken all the same */
    ok(simnet_run(&net, DAY));
    ok(simnet_run(&net, DAY));
    assert_int_equal(state_now().slot[1].order.sequence, 7);
    well();
}

/* ---- Clocks ------------------------------------------------------------------------------------------------------ */

static void clocks_that_jump(void **state)
{
    struct gw_agent *a = &net.agent;
    (void)state;

    settled();
    a->memory.attempts = 9;
    net.epoch += 400 * DAY; /* forward: a new day */
    (void)simnet_step(&net);
    assert_int_equal(a->memory.attempts, 0);
    a->memory.attempts = 9;
    net.epoch -= 400 * DAY; /* back: none, */
    (void)simnet_step(&net);
    assert_int_equal(a->memory.attempts, 9);
    ok(simnet_run(&net, DAY)); /* but the next one is */
    (void)simnet_step(&net);
    assert_int_equal(a->memory.attempts, 0);
    a->memory.attempts = 9;
    net.epoch = 0; /* gone: it may come back, */
    ok(simnet_run(&net, DAY - 3700));
    (void)simnet_step(&net);
    assert_int_equal(a->memory.attempts, 9);
    ok(simnet_run(&net, 2 * 3600)); /* or not: 24 hours of running */
    (void)simnet_step(&net);
    assert_int_equal(a->memory.attempts, 0);
    a->memory.attempts = 9;
    net.epoch = SIMNET_1970 + 1000 * DAY; /* appears: no new day yet */
    (void)simnet_step(&net);
    assert_int_equal(a->memory.attempts, 9);
    ok(simnet_run(&net, DAY));
    (void)simnet_step(&net);
    assert_int_equal(a->memory.attempts, 0);
    well();
}

/* A device that learns the time some seconds after each start has one budget for a day, and a new one the next day. */
static void a_clock_that_comes_late(void **state)
{
    (void)state;
    net.config.attempts_per_day = 2;
    fails_with(GW_ERR_TLS, GW_RESOURCE_PAYLOAD);
    simnet_release(&net, &six);
    uint32_t epoch = SIMNET_1970 - SIMNET_1970 % DAY;
    for (unsigned days = 0; days < 5; days++) {
        uint32_t before = net.event[GW_EVENT_PLAN], attempts = 0;
        for (unsigned starts = 0; starts < 6; starts++) {
            net.epoch = 0;
            restart(GW_CAUSE_POWER);
            (void)simnet_step(&net);
            net.epoch = epoch + days * DAY + starts * 3 * 3600 - (uint32_t)(net.ms / 1000);
            uint32_t was = net.agent.memory.attempts;
            gw_agent_wake(&net.agent);
            ok(simnet_run(&net, 30));
            attempts += net.agent.memory.attempts < was ? net.agent.memory.attempts : net.agent.memory.attempts - was;
        }
        assert_int_equal(attempts, 2);
        assert_true(net.event[GW_EVENT_PLAN] > before);
    }
}

static void a_clock_that_is_behind_a_signed_date(void **state)
{
    (void)state;
    offer_head(6, 4, 9, "stable");
    simnet_release(&net, NULL);
    settled();
    restart(GW_CAUSE_POWER);
    assert_int_equal(gw_agent_time(&net.agent), SIMNET_1970 + (uint32_t)(net.ms / 1000));
    net.epoch = 1000000000;
    assert_int_equal(gw_agent_time(&net.agent), 0); /* wrong: better none */
    assert_int_equal(gw_agent_least_time(&net.agent), SIMNET_1970 - 1000 + 9);
    net.epoch = 0;
    assert_int_equal(gw_agent_least_time(&net.agent), SIMNET_1970 - 1000 + 9);
    net.offer.head.n = 0;
}

static void milliseconds_that_wrap(void **state)
{
    const uint32_t zero[] = { 0xffffff00u, 0x7fffff00u, 0xffffffffu - 400000u, 0x80000000u - 100000u };
    (void)state;

    for (unsigned i = 0; i < 4; i++) {
        (void)teardown(NULL);
        (void)setup(NULL);
        net.ms_zero = zero[i];
        restart(GW_CAUSE_POWER);
        simnet_release(&net, &six);
        ok(simnet_run(&net, 2000));
        assert_int_equal(state_now().slot[1].state, GW_CONFIRMED);
        uint32_t looks = net.looks;
        ok(simnet_run(&net, 60 * DAY)); /* past every wrap-around */
        assert_in_range(net.looks - looks, 59, 81);
        well();
    }
}

/* ---- Wear -------------------------------------------------------------------------------------------------------- */

struct trouble {
    const char *name;
    uint32_t interval, flood; /* seconds between notifications; 0: none */
    bool veto, alternates, flaps;
    int error;
    bool releases; /* two refused releases take turns */
};

/* A day of trouble: so many writes and erases of the journal at most. */
static void what_a_day_of_trouble_costs(void **state)
{
    static const struct trouble troubles[] = {
        { "quiet", 0, 0, false, false, false, 0, false },
        { "server down", 5, 0, false, false, false, GW_ERR_TRANSPORT, false },
        { "server down now and then", 5, 0, false, true, false, GW_ERR_TRANSPORT, false },
        { "flood of notifications", 0, 1, false, false, false, 0, false },
        { "flood, server down", 0, 1, false, false, false, GW_ERR_TLS, false },
        { "wishes that change", 5, 0, false, false, true, 0, false },
        { "declined for ever", 5, 0, true, false, false, 0, false },
        { "declined, flood", 5, 3, true, false, false, 0, false },
        { "refused by turns", 5, 0, false, false, false, 0, true },
    };
    (void)state;

    for (unsigned t = 0; t < sizeof troubles / sizeof troubles[0]; t++) {
        const struct trouble *o = &troubles[t];
        (void)teardown(NULL);
        (void)setup(NULL);
        net.config.look_interval_s = o->interval;
        net.veto_fetch = o->veto;
        simnet_release(&net, o->veto ? &six : NULL);
        ok(simnet_run(&net, 400));
        simnet_clear_log(&net);
        flashsim_wear_clear(&dev.sim);
        uint32_t ops = dev.sim.ops;
        for (uint64_t s = 0, end = net.ms + DAY * 1000u; net.ms < end; s++) {
            bool fails = o->error != 0 && (!o->alternates || s % 2);
            net.fault = (struct simnet_fault){ fails ? SIMNET_OPEN : SIMNET_NO_FAULT, 0, 0, 0, o->error, 0 };
            if (o->flaps) {
                offer_interval(5 + (uint32_t)(s % 3));
            }
            if (o->releases) {
                struct simdev_release *r = s % 2 ? &six : &seven;
                r->manifest.p[r->manifest.n - 1] ^= 1;
                simnet_release(&net, r);
                r->manifest.p[r->manifest.n - 1] ^= 1;
            }
            if (o->flood != 0) {
                gw_agent_wake(&net.agent);
            }
            ok(simnet_run(&net, o->flood != 0 ? o->flood : 5));
        }
        uint32_t wear = flashsim_wear_max(&dev.sim, dev.layout.journal);
        print_message("%-26s %6u looks, %4u reports, %5u operations, %3u erases\n", o->name, (unsigned)net.looks,
                      (unsigned)net.reports, (unsigned)(dev.sim.ops - ops), (unsigned)wear);
        assert_true(wear <= 40);
        assert_true(dev.sim.ops - ops <= 2000);
        assert_true(net.looks <= DAY / 4);
        well();
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_interval_and_its_bounds),
        TEST(what_a_server_wishes_is_kept),
        TEST(woken),
        TEST(woken_while_waiting_for_the_restart),
        TEST(back_off_doubles_up_to_the_interval),
        TEST(back_off_survives_a_reset),
        TEST(sleeping_with_and_without_a_clock),
        TEST(often_switched_off),
        TEST(often_switched_off_after_a_wrong_clock),
        TEST(sleep_with_ram),
        TEST(attempts_of_a_day),
        TEST(attempts_that_a_reset_ends),
        TEST(bytes_of_a_day),
        TEST(a_release_that_never_works),
        TEST(clocks_that_jump),
        TEST(a_clock_that_comes_late),
        TEST(a_clock_that_is_behind_a_signed_date),
        TEST(milliseconds_that_wrap),
        TEST(what_a_day_of_trouble_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
