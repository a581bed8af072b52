/*
 * test_agent.c - the ordinary life of an agent: looks, updates, trials, confirmations, going back, reports, vetoes.
 *
 * Every change of state that this program sees must be an arrow of the agent's table; in the end every arrow must have
 * been seen, and the table must be what stands in SPEC.md, section 17. Faults: test_agent_faults.c; intervals, budgets
 * and clocks: test_agent_rest.c.
 */
#include "agentlife.h"

#include <stdio.h>

/* ---- Looks ------------------------------------------------------------------------------------------------------- */

static void nothing_is_offered(void **state)
{
    (void)state;
    settled();
    assert_int_equal(net.looks, 1);
    assert_int_equal(net.event[GW_EVENT_NOTHING], 1);
    assert_int_equal(net.told_trust, 1);
    assert_false(net.log[0].unchanged_ok);
    assert_int_equal(net.reports, 1);
    reported(0, GW_REPORT_CONFIRMED, 0, 5);
    assert_int_equal(net.report[0].running.sequence, 5);
    assert_int_equal(net.report[0].hardware, 3);
    assert_int_equal(net.report[0].bootloader, 5);
    assert_int_equal(net.report[0].trust_version, 1);
    assert_memory_equal(net.report[0].device.p, "device-1", 8);
}

static void unchanged_is_welcome_only_after_a_look_that_was_dealt_with(void **state)
{
    (void)state;
    simnet_release(&net, &five);
    settled();
    look_now();
    assert_int_equal(net.log[2].resource, GW_RESOURCE_OFFER); /* 1: the report */
    assert_true(net.log[2].unchanged_ok);
    net.nothing = true; /* 304 */
    look_now();
    assert_true(net.log[3].unchanged_ok);
    net.fault = (struct simnet_fault){ SIMNET_BYTE, net.requests, 1, 10, GW_ERR_TIMEOUT, 0 };
    net.nothing = false;
    simnet_release(&net, &seven);
    net.veto_fetch = true;
    look_now(); /* fails in the middle, then again, wholly, and is declined */
    assert_true(net.log[4].unchanged_ok);
    uint32_t n = net.requests;
    look_now();
    for (uint32_t i = 5; i <= n; i++) {
        assert_true(net.log[i].resource != GW_RESOURCE_OFFER || !net.log[i].unchanged_ok);
    }
    well();
}

static void a_restart_asks_afresh(void **state)
{
    (void)state;
    settled();
    restart(GW_CAUSE_SOFTWARE);
    net.ms += (uint64_t)DAY * 1000;
    settled();
    for (uint32_t i = 0; i < net.requests; i++) {
        assert_false(net.log[i].unchanged_ok);
    }
    assert_int_equal(net.reports, 1); /* what runs is told once */
}

/* ---- Updates ----------------------------------------------------------------------------------------------------- */

static void an_update_from_offer_to_confirm(void **state)
{
    (void)state;
    simnet_release(&net, &six);
    ok(simnet_until(&net, GW_AGENT_RESTART));
    assert_int_equal(net.event[GW_EVENT_OFFER], 1);
    assert_int_equal(net.last_b[GW_EVENT_OFFER], 6);
    assert_int_equal(net.last_a[GW_EVENT_PLAN], six.file[0].n);
    assert_int_equal(net.last_a[GW_EVENT_PROGRESS], six.file[0].n);
    assert_int_equal(net.event[GW_EVENT_STAGED], 1);
    assert_int_equal(net.delivered, six.file[0].n);
    assert_int_equal(net.twice, 0);
    reported(0, GW_REPORT_CONFIRMED, 0, 5);
    reported(1, GW_REPORT_STAGED, 0, 6);
    assert_int_equal(net.report[1].bytes, six.file[0].n);
    assert_int_equal(net.report[1].again, 0);
    assert_int_equal(state_now().slot[1].state, GW_STAGED);
    (void)simnet_step(&net);
    assert_int_equal(net.restart_asked, 1);

    restart(GW_CAUSE_SOFTWARE);
    assert_int_equal(net.agent.state, GW_AGENT_SELF_TEST);
    assert_int_equal(state_now().slot[1].state, GW_TRYING);
    (void)simnet_step(&net);
    assert_int_equal(net.self_tests, 1);
    assert_int_equal(state_now().slot[1].state, GW_TRYING); /* not without a look */
    settled();
    assert_int_equal(state_now().slot[1].state, GW_CONFIRMED);
    assert_int_equal(net.last_reason[GW_EVENT_TRIED], 0);
    assert_int_equal(net.reports, 3);
    reported(2, GW_REPORT_CONFIRMED, 0, 6);
    assert_int_equal(net.report[2].running.sequence, 6);
    assert_true(simdev_holds(&dev, &six, GW_SLOT_B));
}

static void staged_and_streamed_payloads(void **state)
{
    const uint32_t padding[] = { 0, 1000 };
    (void)state;

    for (unsigned i = 0; i < 2; i++) {
        (void)teardown(NULL);
        life(&usual, &(struct simdev_wish){ .coded = true, .padding = padding[i], .encrypted = true });
        simnet_release(&net, &six);
        ok(simnet_run(&net, 1000));
        assert_int_equal(state_now().slot[1].state, GW_CONFIRMED);
        assert_true(simdev_holds(&dev, &six, GW_SLOT_B));
        assert_int_equal(net.delivered, six.file[0].n);
        well();
    }
}

static void two_updates_in_a_row(void **state)
{
    (void)state;
    simnet_release(&net, &six);
    ok(simnet_run(&net, 1000));
    simnet_release(&net, &seven);
    gw_agent_wake(&net.agent);
    ok(simnet_run(&net, 1000));
    assert_int_equal(state_now().slot[0].state, GW_CONFIRMED);
    assert_int_equal(state_now().slot[0].order.sequence, 7);
    assert_int_equal(state_now().slot[1].state, GW_PREVIOUS);
    assert_int_equal(net.reports, 5);
    reported(3, GW_REPORT_STAGED, 0, 7);
    reported(4, GW_REPORT_CONFIRMED, 0, 7);
}

static void a_newer_release_while_the_restart_is_declined(void **state)
{
    (void)state;
    simnet_release(&net, &six);
    net.veto_restart = true;
    ok(simnet_run(&net, 500));
    assert_int_equal(net.agent.state, GW_AGENT_RESTART);
    assert_in_range(net.asked_restart, 5, 9); /* each minute */
    assert_int_equal(net.restart_asked, 0);
    look_now(); /* the same offer: it goes on waiting, and does not look again at once */
    assert_int_equal(net.agent.state, GW_AGENT_RESTART);
    uint32_t looks = net.looks;
    ok(simnet_run(&net, 3600));
    assert_int_equal(net.looks, looks);
    net.nothing = true; /* no offer at all: it waits for the restart all the same */
    look_now();
    assert_int_equal(net.agent.state, GW_AGENT_RESTART);
    net.fault = (struct simnet_fault){ SIMNET_OPEN, net.requests, 1, 0, GW_ERR_TRANSPORT, 0 };
    look_now();
    assert_int_equal(net.agent.state, GW_AGENT_RESTART);
    simnet_release(&net, &seven);
    look_now();
    assert_int_equal(state_now().slot[1].order.sequence, 7);
    net.veto_restart = false;
    ok(simnet_run(&net, 1000));
    assert_int_equal(state_now().slot[1].state, GW_CONFIRMED);
    assert_true(simdev_holds(&dev, &seven, GW_SLOT_B));
    well();
}

static void the_restart_is_asked_for_again(void **state)
{
    (void)state;
    simnet_release(&net, &six);
    net.restarts = false;
    ok(simnet_run(&net, 700));
    assert_in_range(net.restart_asked, 5, 12);
    ok(simnet_open(&net)); /* an agent that is opened again finds what is staged */
    assert_int_equal(net.agent.state, GW_AGENT_RESTART);
    net.config.restart = NULL; /* then the application does it */
    ok(simnet_run(&net, DAY));
    assert_int_equal(net.agent.state, GW_AGENT_RESTART);
    well();
}

static void a_declined_fetch_is_asked_for_again_and_less_and_less(void **state)
{
    (void)state;
    simnet_release(&net, &six);
    net.veto_fetch = true;
    ok(simnet_run(&net, DAY));
    assert_in_range(net.asked_fetch, 24, 45);
    assert_int_equal(net.delivered, 0);
    assert_int_equal(net.reports, 2);
    reported(1, GW_REPORT_DECLINED, GW_ERR_VETO, 6); /* once */
    assert_int_equal(net.agent.memory.attempts, 0);
    net.veto_fetch = false;
    gw_agent_wake(&net.agent);
    ok(simnet_run(&net, 1000));
    assert_int_equal(state_now().slot[1].state, GW_CONFIRMED);
    well();
}

/* ---- Going back -------------------------------------------------------------------------------------------------- */

/* Release 6 is staged and starts. */
static void on_trial(void)
{
    simnet_release(&net, &six);
    ok(simnet_until(&net, GW_AGENT_RESTART));
    restart(GW_CAUSE_SOFTWARE);
    simnet_clear_log(&net);
}

/* Release 5 runs again: told once, for this reason, also over resets; and 6 is not taken again. */
static void went_back(int reason)
{
    assert_int_equal(dev.handover.slot, GW_SLOT_A);
    settled();
    assert_int_equal(net.event[GW_EVENT_LEFT], 1);
    assert_int_equal(net.last_reason[GW_EVENT_LEFT], -reason);
    assert_int_equal(net.last_b[GW_EVENT_LEFT], 6);
    reported(0, GW_REPORT_LEFT, reason, 6);
    assert_int_equal(net.report[0].running.sequence, 5);
    assert_int_equal(net.report[1].reason, (uint32_t)-GW_ERR_REJECTED_BEFORE);
    for (unsigned i = 0; i < 3; i++) {
        restart(i == 0 ? GW_CAUSE_POWER : GW_CAUSE_SOFTWARE);
        net.ms += (uint64_t)DAY * 1000;
        settled();
    }
    assert_int_equal(net.event[GW_EVENT_LEFT], 1);
    assert_int_equal(net.reports, 2);
    assert_int_equal(net.delivered, 0);
    well();
}

static void a_self_test_that_fails(void **state)
{
    (void)state;
    on_trial();
    net.self_test = -1;
    (void)simnet_step(&net);
    assert_int_equal(net.agent.state, GW_AGENT_RESTART);
    assert_int_equal(state_now().slot[1].state, GW_REJECTED);
    net.veto_restart = true; /* nobody is asked: it does not stay */
    (void)simnet_step(&net);
    assert_int_equal(net.restart_asked, 1);
    ok(simnet_run(&net, 1)); /* never a look by it */
    assert_int_equal(net.looks, 0);
    net.veto_restart = false;
    restart(GW_CAUSE_SOFTWARE);
    went_back(GW_ERR_SELF_TEST);
}

static void a_trial_that_reaches_no_server(void **state)
{
    (void)state;
    on_trial();
    net.restarts = false;
    net.fault = (struct simnet_fault){ SIMNET_OPEN, 0, 0, 0, GW_ERR_TRANSPORT, GW_RESOURCE_OFFER };
    ok(simnet_run(&net, 590));
    assert_int_equal(state_now().slot[1].state, GW_TRYING);
    assert_true(net.looks >= 6);
    uint64_t before = net.ms;
    ok(simnet_until(&net, GW_AGENT_RESTART));
    assert_in_range(net.ms - before, 9000, 10100);
    assert_int_equal(state_now().slot[1].state, GW_REJECTED);
    assert_int_equal(net.last_reason[GW_EVENT_TRIED], -GW_ERR_CONFIRM_LATE);
    net.fault.kind = SIMNET_NO_FAULT;
    simnet_clear_log(&net);
    restart(GW_CAUSE_SOFTWARE);
    assert_int_equal(dev.handover.slot, GW_SLOT_A);
    settled();
    reported(0, GW_REPORT_FAILED, GW_ERR_TRANSPORT, 0); /* of the trial's looks */
    reported(1, GW_REPORT_LEFT, GW_ERR_CONFIRM_LATE, 6);
}

static void a_trial_whose_look_hangs(void **state)
{
    (void)state;
    on_trial();
    uint64_t before = net.ms;
    net.restarts = false;
    net.again = UINT32_MAX;
    net.config.confirm_s = 120;
    ok(simnet_until(&net, GW_AGENT_RESTART)); /* LOOK -> RESTART */
    assert_in_range(net.ms, before + 120000, before + 120000 + 60000); /* and the wait of the restart */
    assert_false(net.open || net.asked); /* what the transport was at was ended */
    assert_int_equal(state_now().slot[1].state, GW_REJECTED);
    well();
}

static void an_offer_of_a_bundle_alone(void **state)
{
    (void)state;
    net.offer.trust = gwh_span(&dev.trust[1]);
    simnet_release(&net, NULL);
    settled();
    assert_int_equal(simdev_trust_version(&dev), 2);
    assert_int_equal(net.event[GW_EVENT_TRUST], 1);
    assert_int_equal(net.event[GW_EVENT_NOTHING], 1);
}

static void a_trial_that_crashes(void **state)
{
    (void)state;
    on_trial();
    for (unsigned i = 0; i < GW_BOOT_TRIES; i++) {
        restart(GW_CAUSE_WATCHDOG);
    }
    went_back(GW_ERR_TRIES_USED);
}

static void a_confirmed_image_that_crashes(void **state)
{
    (void)state;
    on_trial();
    settled();
    for (unsigned i = 0; i < GW_BOOT_CRASHES; i++) {
        restart(GW_CAUSE_WATCHDOG);
        (void)simnet_step(&net);
    }
    simnet_clear_log(&net);
    ok(simnet_open(&net));
    settled();
    assert_int_equal(dev.handover.slot, GW_SLOT_A);
    reported(0, GW_REPORT_LEFT, GW_ERR_CRASH_LOOP, 6);
    reported(1, GW_REPORT_CONFIRMED, 0, 5);
    assert_int_equal(net.report[1].running.sequence, 5);
}

static void an_image_that_runs_for_a_while_is_steady(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3 * GW_BOOT_CRASHES; i++) {
        restart(GW_CAUSE_WATCHDOG);
        assert_int_equal(dev.handover.slot, GW_SLOT_A);
        ok(simnet_run(&net, 301));
        assert_int_equal(state_now().slot[0].weight, 0);
    }
    well();
}

static void a_lost_journal_is_reported(void **state)
{
    (void)state;
    settled();
    uint32_t counter = net.last.counter;
    flashsim_ruin(&dev.sim, dev.layout.journal);
    restart(GW_CAUSE_POWER);
    simnet_clear_log(&net);
    settled();
    reported(0, GW_REPORT_LEFT, GW_ERR_JOURNAL_LOST, 0);
    reported(1, GW_REPORT_CONFIRMED, 0, 5);
    assert_true(net.report[0].counter >= SIMNET_1970 && net.report[0].counter > counter);
    restart(GW_CAUSE_POWER);
    net.ms += (uint64_t)DAY * 1000;
    settled();
    assert_int_equal(net.reports, 2);
}

/* ---- Trials ------------------------------------------------------------------------------------------------------ */

static void only_a_whole_answer_confirms(void **state)
{
    const int errors[] = { GW_ERR_TRANSPORT, GW_ERR_TIMEOUT, GW_ERR_CERT_EXPIRED, GW_ERR_CERT_PIN, GW_ERR_TLS,
                           GW_ERR_HTTP, GW_ERR_HTTP_STATUS };
    (void)state;

    net.config.confirm_s = 36000;
    on_trial();
    net.config.anonymous_after = 1; /* never on trial */
    for (unsigned i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        net.fault = (struct simnet_fault){ i % 2 ? SIMNET_OPEN : SIMNET_BYTE, net.requests, 1, 7, errors[i], 0 };
        ok(simnet_until(&net, GW_AGENT_FAIL));
        ok(simnet_until(&net, GW_AGENT_LOOK));
        assert_int_equal(state_now().slot[1].state, GW_TRYING);
    }
    net.fault = (struct simnet_fault){ SIMNET_ENDS, net.requests, 1, 0, 0, 0 }; /* an empty answer */
    ok(simnet_until(&net, GW_AGENT_FAIL));
    assert_int_equal(state_now().slot[1].state, GW_TRYING);
    for (uint32_t i = 0; i < net.requests; i++) {
        assert_false(net.log[i].anonymous);
    }
    settled();
    assert_int_equal(state_now().slot[1].state, GW_CONFIRMED);
}

static void a_trial_is_confirmed_by_nothing_new(void **state)
{
    (void)state;
    on_trial();
    net.nothing = true;
    settled();
    assert_int_equal(state_now().slot[1].state, GW_CONFIRMED);
    reported(0, GW_REPORT_CONFIRMED, 0, 6);
}

static void a_trial_confirmed_without_a_look_by_policy(void **state)
{
    (void)state;
    net.config.confirm_offline = true;
    on_trial();
    net.fault = (struct simnet_fault){ SIMNET_OPEN, 0, 1, 0, GW_ERR_TRANSPORT, 0 };
    (void)simnet_step(&net);
    (void)simnet_step(&net);
    assert_int_equal(net.agent.state, GW_AGENT_IDLE);
    assert_int_equal(state_now().slot[1].state, GW_CONFIRMED);
    assert_int_equal(net.requests, 0); /* no report before the transport knows what to trust */
    settled();
    reported(0, GW_REPORT_CONFIRMED, 0, 6);
}

static void an_agent_opened_twice_on_trial(void **state)
{
    (void)state;
    on_trial();
    settled();
    net.self_test = -1;
    ok(simnet_open(&net)); /* the hand-over still says TRYING */
    assert_int_equal(net.agent.state, GW_AGENT_IDLE);
    settled();
    assert_int_equal(state_now().slot[1].state, GW_CONFIRMED);
}

/* ---- gw_update, close -------------------------------------------------------------------------------------------- */

static void just_update(void **state)
{
    (void)state;
    assert_int_equal(gw_update(&net.agent), GW_OK);
    net.fault = (struct simnet_fault){ SIMNET_OPEN, 0, 0, 0, GW_ERR_TLS, GW_RESOURCE_OFFER };
    assert_int_equal(gw_update(&net.agent), GW_ERR_TLS);
    net.fault.kind = SIMNET_NO_FAULT;
    simnet_release(&net, &six);
    net.veto_fetch = true;
    assert_int_equal(gw_update(&net.agent), GW_ERR_VETO);
    net.veto_fetch = false;
    net.veto_restart = true;
    assert_int_equal(gw_update(&net.agent), GW_DONE);
    assert_int_equal(gw_update(&net.agent), GW_DONE);
    restart(GW_CAUSE_SOFTWARE);
    assert_int_equal(gw_update(&net.agent), GW_OK);
    assert_int_equal(state_now().slot[1].state, GW_CONFIRMED);
    simnet_release(&net, &five);
    assert_int_equal(gw_update(&net.agent), GW_ERR_OLDER);
    net.config.wait = NULL;
    assert_int_equal(gw_update(&net.agent), GW_ERR_CONFIG);
    well();
}

static void just_update_on_trial(void **state)
{
    (void)state;
    net.config.confirm_offline = true;
    on_trial();
    assert_int_equal(gw_update(&net.agent), GW_OK);
    assert_int_equal(net.looks, 1); /* not without the look */
    restart(GW_CAUSE_POWER);
    (void)teardown(NULL);
    (void)setup(NULL);
    on_trial();
    net.self_test = -1;
    assert_int_equal(gw_update(&net.agent), GW_ERR_SELF_TEST);
    assert_int_equal(net.restart_asked, 1);
    assert_int_equal(gw_update(&net.agent), GW_ERR_SELF_TEST);
}

/* In whatever state it is closed: no request stays open, and the next one goes on. */
static void closed_anywhere(void **state)
{
    uint32_t closed = 0;
    (void)state;

    simnet_release(&net, &six);
    net.again = 1;
    for (uint32_t steps = 1; state_now().slot[1].state != GW_STAGED; steps = steps % 37 + 11) {
        for (uint32_t i = 0; i < steps && state_now().slot[1].state != GW_STAGED; i++) {
            assert_true(simnet_step(&net) > 0);
            net.ms += net.wait;
        }
        gw_agent_close(&net.agent);
        assert_false(net.open || net.asked);
        closed++;
        net.config.attempts_per_day = 255;
        ok(simnet_open(&net));
        net.agent.due = net.ms_zero + (uint32_t)net.ms;
        well();
    }
    assert_true(closed > 5);
    assert_true(net.twice <= closed * (512u + 32u));
    gw_agent_close(&net.agent);
    memset(&net.agent, 0, sizeof net.agent);
    gw_agent_close(&net.agent); /* a wiped one */
}

/* ---- Open -------------------------------------------------------------------------------------------------------- */

static void what_open_refuses(void **state)
{
    const struct gw_agent_config right = net.config;
    const struct gw_transport transport = net.transport;
    (void)state;

#define REFUSED(error, change) \
    net.config = right; \
    net.transport = transport; \
    change; \
    assert_int_equal(simnet_open(&net), error)
    REFUSED(GW_ERR_CONFIG, net.config.dev = NULL);
    REFUSED(GW_ERR_CONFIG, net.config.handover = NULL);
    REFUSED(GW_ERR_CONFIG, net.config.transport = NULL);
    REFUSED(GW_ERR_CONFIG, net.transport.open = NULL);
    REFUSED(GW_ERR_CONFIG, net.transport.read = NULL);
    REFUSED(GW_ERR_CONFIG, net.transport.close = NULL);
    REFUSED(GW_ERR_CONFIG, net.config.buffer = NULL);
    REFUSED(GW_ERR_CONFIG, net.config.offer = NULL);
    REFUSED(GW_ERR_SPACE, net.config.buffer_size = GW_INSTALL_BUFFER_MIN - 1);
    REFUSED(GW_ERR_SPACE, net.config.offer_size = 0);
    REFUSED(GW_OK, net.config.offer_size = 1);
#undef REFUSED
    net.config = right;
}

/* For a broker, which a device may join long before its first look. */
static void what_is_trusted_is_told_before_the_first_look(void **state)
{
    (void)state;
    ok(simnet_open(&net));
    assert_int_equal(net.told_trust, 0);
    ok(gw_agent_tell_trust(&net.agent));
    assert_int_equal(net.told_trust, 1);
    assert_int_equal(net.looks, 0);
    ok(simnet_run(&net, 2000));
    assert_int_equal(net.looks, 1);
    assert_int_equal(net.told_trust, 2); /* each look says it too */
    well();
    net.transport.trust = NULL;
    ok(simnet_open(&net));
    ok(gw_agent_tell_trust(&net.agent)); /* nobody wants to know */
    assert_int_equal(net.told_trust, 2);
}

static void with_nothing_optional(void **state)
{
    (void)state;
    net.config.time = NULL;
    net.config.may_fetch = NULL;
    net.config.may_restart = NULL;
    net.config.self_test = NULL;
    net.config.on_event = NULL;
    net.transport.trust = NULL;
    net.transport.report = NULL;
    restart(GW_CAUSE_POWER);
    simnet_release(&net, &six);
    ok(simnet_run(&net, 2000));
    assert_int_equal(state_now().slot[1].state, GW_CONFIRMED);
    assert_int_equal(gw_reports_waiting(&dev.dev), 0);
    well();
}

static void status_for_people(void **state)
{
    struct gw_agent_status s;
    (void)state;

    net.fault = (struct simnet_fault){ SIMNET_BYTE, 1, 1, 700, GW_ERR_TRANSPORT, GW_RESOURCE_PAYLOAD };
    simnet_release(&net, &six);
    ok(simnet_until(&net, GW_AGENT_STAGE));
    gw_agent_status(&net.agent, &s);
    assert_int_equal(s.state, GW_AGENT_STAGE);
    assert_int_equal(s.attempts, 1);
    assert_int_equal(s.read, six.file[0].n);
    assert_int_equal(s.bytes, six.file[0].n);
    assert_int_equal(s.again, 0);
    assert_int_equal(s.reports, 1);
    assert_false(s.trial);
    assert_string_equal(gw_agent_state_name(GW_AGENT_STATES), "UNKNOWN");
    ok(simnet_until(&net, GW_AGENT_RESTART));
    gw_agent_status(&net.agent, &s);
    assert_in_range(s.next_look_s, DAY * 3 / 4 - 10, DAY);
}

/* ---- The diagram ------------------------------------------------------------------------------------------------- */

static void draw(char *out, size_t size)
{
    size_t n = 0;

    out[0] = 0;
    for (unsigned from = 0; from < GW_AGENT_STATES; from++) {
        n += (size_t)snprintf(out + n, size - n, "    %-9s ->", gw_agent_state_name((enum gw_agent_state)from));
        for (unsigned to = 0; to < GW_AGENT_STATES; to++) {
            if (gw_agent_may((enum gw_agent_state)from, (enum gw_agent_state)to)) {
                n += (size_t)snprintf(out + n, size - n, " %s", gw_agent_state_name((enum gw_agent_state)to));
            }
        }
        n += (size_t)snprintf(out + n, size - n, "\n");
    }
}

/* Each arrow as a line of a Mermaid diagram. */
static void draw_mermaid(char *out, size_t size)
{
    size_t n = 0;

    out[0] = 0;
    for (unsigned from = 0; from < GW_AGENT_STATES; from++) {
        for (unsigned to = 0; to < GW_AGENT_STATES; to++) {
            if (gw_agent_may((enum gw_agent_state)from, (enum gw_agent_state)to)) {
                n += (size_t)snprintf(out + n, size - n, "    %s --> %s\n",
                                      gw_agent_state_name((enum gw_agent_state)from),
                                      gw_agent_state_name((enum gw_agent_state)to));
            }
        }
    }
}

static void stands_in(const char *path, const char *text)
{
    static char file[131072];
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    file[fread(file, 1, sizeof file - 1, f)] = 0;
    (void)fclose(f);
    if (strstr(file, text) == NULL) {
        fail_msg("%s does not hold this:\n%s", path, text);
    }
}

/* The last test: what the others have seen. */
static void every_arrow_was_seen(void **state)
{
    static char text[4096];
    unsigned unseen = 0;
    (void)state;

    for (unsigned from = 0; from < GW_AGENT_STATES; from++) {
        for (unsigned to = 0; to < GW_AGENT_STATES; to++) {
            bool may = gw_agent_may((enum gw_agent_state)from, (enum gw_agent_state)to);
            if (may && !simnet_seen[from][to]) {
                print_message("never seen: %s -> %s\n", gw_agent_state_name((enum gw_agent_state)from),
                              gw_agent_state_name((enum gw_agent_state)to));
                unseen++;
            }
            assert_true(may || from == to || !simnet_seen[from][to]);
        }
    }
    assert_int_equal(unseen, 0);
    assert_false(gw_agent_may(GW_AGENT_STATES, GW_AGENT_IDLE));
    assert_false(gw_agent_may(GW_AGENT_IDLE, GW_AGENT_STATES));
    draw(text, sizeof text);
    stands_in(GW_SOURCE_DIR "/SPEC.md", text);
    draw_mermaid(text, sizeof text);
    stands_in(GW_SOURCE_DIR "/docs/agent.md", text);
}

/* What the table allows and no other test here provokes. */
static void failures_on_every_way(void **state)
{
    (void)state;
    simnet_release(&net, &six);
    net.fault = (struct simnet_fault){ SIMNET_OPEN, 1, 0, 0, GW_ERR_TRANSPORT, GW_RESOURCE_PAYLOAD };
    settled(); /* FETCH -> FAIL */
    net.fault.kind = SIMNET_NO_FAULT;
    gwh_buf_free(&net.answer);
    assert_int_equal(gwh_buf_add(&net.answer, "nonsense", 8), 0);
    look_now(); /* CHECK -> FAIL */
    assert_int_equal(net.last_reason[GW_EVENT_FAILED], -GW_ERR_FORMAT);
    simnet_release(&net, &six);
    gw_agent_wake(&net.agent);
    net.ms += 5000;
    ok(simnet_until(&net, GW_AGENT_INSTALL));
    flashsim_add_fault(&dev.sim, (struct flashsim_fault){ FLASHSIM_REFUSE, dev.sim.ops, 1, dev.layout.slot[1].start,
                                                          dev.layout.slot[1].size });
    ok(simnet_until(&net, GW_AGENT_FAIL)); /* INSTALL -> FAIL */
    gw_agent_wake(&net.agent);
    net.ms += 5000;
    ok(simnet_until(&net, GW_AGENT_STAGE));
    flashsim_add_fault(&dev.sim, (struct flashsim_fault){ FLASHSIM_REFUSE, dev.sim.ops, 8, dev.layout.journal.start,
                                                          dev.layout.journal.size });
    (void)simnet_step(&net);
    assert_int_equal(net.agent.state, GW_AGENT_FAIL); /* STAGE -> FAIL */
    flashsim_arm(&dev.sim, 1);
    well();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_offered),
        TEST(unchanged_is_welcome_only_after_a_look_that_was_dealt_with),
        TEST(a_restart_asks_afresh),
        TEST(an_update_from_offer_to_confirm),
        TEST(staged_and_streamed_payloads),
        TEST(two_updates_in_a_row),
        TEST(a_newer_release_while_the_restart_is_declined),
        TEST(the_restart_is_asked_for_again),
        TEST(a_declined_fetch_is_asked_for_again_and_less_and_less),
        TEST(a_self_test_that_fails),
        TEST(a_trial_that_reaches_no_server),
        TEST(a_trial_whose_look_hangs),
        TEST(an_offer_of_a_bundle_alone),
        TEST(a_trial_that_crashes),
        TEST(a_confirmed_image_that_crashes),
        TEST(an_image_that_runs_for_a_while_is_steady),
        TEST(a_lost_journal_is_reported),
        TEST(only_a_whole_answer_confirms),
        TEST(a_trial_is_confirmed_by_nothing_new),
        TEST(a_trial_confirmed_without_a_look_by_policy),
        TEST(an_agent_opened_twice_on_trial),
        TEST(just_update),
        TEST(just_update_on_trial),
        TEST(closed_anywhere),
        TEST(what_open_refuses),
        TEST(with_nothing_optional),
        TEST(what_is_trusted_is_told_before_the_first_look),
        TEST(status_for_people),
        TEST(failures_on_every_way),
        cmocka_unit_test(every_arrow_was_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
