/*
 * test_agent_faults.c - an agent among faults: of the network at every request and every byte, of the server, of the
 * flash at every write. Whatever happens: nothing is fetched twice but what one interruption costs, nothing is lost
 * that was to be reported, and when the fault is gone the update completes.
 */
#include "agentlife.h"

#define FRAME (512u + 32u)

static const int link_errors[] = {
    GW_ERR_TRANSPORT, GW_ERR_TIMEOUT, GW_ERR_CERT_EXPIRED, GW_ERR_CERT_EARLY, GW_ERR_CERT_UNKNOWN, GW_ERR_CERT_NAME,
    GW_ERR_CERT_PURPOSE, GW_ERR_CERT_REVOKED, GW_ERR_CERT_PIN, GW_ERR_TLS, GW_ERR_HTTP, GW_ERR_HTTP_STATUS,
    GW_ERR_RANGE, GW_ERR_REDIRECT,
};
#define LINK_ERRORS (sizeof link_errors / sizeof link_errors[0])

static struct flashsim_state fresh;

/* The device as it was at first, with a new agent; the server has release 6. */
static void again(void)
{
    if (fresh.now == NULL) {
        flashsim_take(&dev.sim, &fresh);
    } else {
        flashsim_put_back(&dev.sim, &fresh);
    }
    flashsim_arm(&dev.sim, 1);
    net.fault = (struct simnet_fault){ 0 };
    net.again = net.piece = net.range_most = 0;
    net.report_error = 0;
    net.last.counter = 0;
    net.wrong = NULL;
    net.endless = false;
    simnet_clear_log(&net);
    ok(simnet_boot(&net, GW_CAUSE_POWER));
    net.offer.payload_base = (struct gw_span){ NULL, 0 };
    simnet_release(&net, &six);
}

static int teardown_fresh(void **state)
{
    flashsim_state_free(&fresh);
    memset(&fresh, 0, sizeof fresh);
    return teardown(state);
}

/* Goes on to the confirmed release 6: at most so many bytes were fetched twice. */
static void completes(uint32_t twice)
{
    for (unsigned i = 0; i < 20 && state_now().slot[1].state != GW_CONFIRMED; i++) {
        ok(simnet_run(&net, 1000));
        gw_agent_wake(&net.agent);
    }
    assert_int_equal(state_now().slot[1].state, GW_CONFIRMED);
    assert_true(simdev_holds(&dev, &six, GW_SLOT_B));
    if (net.twice > twice) {
        fail_msg("%u bytes twice, by a fault of kind %u at request %u, byte %u", (unsigned)net.twice, net.fault.kind,
                 (unsigned)net.fault.request, (unsigned)net.fault.byte);
    }
    well();
}

/* ---- The network ------------------------------------------------------------------------------------------------- */

static void every_error_at_every_request(void **state)
{
    (void)state;
    for (unsigned e = 0; e < LINK_ERRORS; e++) {
        for (uint32_t request = 0; request < 7; request++) {
            again();
            net.config.chunk = 2000;
            net.fault = (struct simnet_fault){ SIMNET_OPEN, request, 1, 0, link_errors[e], 0 };
            completes(link_errors[e] == GW_ERR_REDIRECT ? FRAME : 0); /* that ends the attempt, within a frame */
            net.config.chunk = 0;
        }
    }
}

static void every_byte_of_every_request(void **state)
{
    const enum simnet_fault_kind kinds[] = { SIMNET_BYTE, SIMNET_ENDS, SIMNET_FLIPS };
    uint32_t runs = 0;
    (void)state;

    for (unsigned k = 0; k < 3; k++) {
        for (uint32_t request = 0; request < 3; request++) {
            uint32_t size = request == 1 ? (uint32_t)six.file[0].n : request == 0 ? (uint32_t)net.answer.n : 600;
            again();
            size = request == 0 ? (uint32_t)net.answer.n : size;
            for (uint32_t byte = 0; byte < size; byte += 1 + 6 * (request != 1) + 12 * (k == 2)) {
                again();
                net.fault = (struct simnet_fault){ kinds[k], request, 1, byte, GW_ERR_TRANSPORT, 0 };
                completes(k == 2 ? FRAME : 0);
                runs++;
            }
        }
    }
    print_message("%u runs\n", (unsigned)runs);
}

/* A reset at any frame costs one frame at most; of a streamed payload one restart unit. */
static void a_reset_at_every_step(void **state)
{
    const struct simdev_wish wishes[] = {
        { .encrypted = true }, { .coded = true }, { .coded = true, .padding = 1000 },
    };
    const uint32_t most[] = { FRAME, FRAME, 2 * FRAME + 1000 + 2 * SIMDEV_UNIT };
    uint32_t runs = 0;
    (void)state;

    for (unsigned w = 0; w < 3; w++) {
        (void)teardown_fresh(NULL);
        struct simdev_config config = usual;
        config.image_size = w == 1 ? 3000 : 5000; /* leaves spare room, so that the delta is staged */
        life(&config, &wishes[w]);
        for (uint32_t steps = 1, staged = 0; staged == 0; steps += 1) {
            again();
            for (uint32_t i = 0; i < steps && net.agent.state != GW_AGENT_RESTART; i++) {
                assert_true(simnet_step(&net) > 0);
                net.ms += net.wait;
            }
            staged = net.agent.state == GW_AGENT_RESTART;
            ok(simnet_boot(&net, GW_CAUSE_SOFTWARE));
            completes(most[w]);
            runs++;
        }
    }
    print_message("%u runs\n", (unsigned)runs);
}

static void short_ranges_and_small_pieces(void **state)
{
    const uint32_t sizes[] = { 1, 7, 100, 511, 512, 513, 544, 545, 1088, 5000 };
    (void)state;

    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        again();
        net.range_most = sizes[i];
        completes(0);
        again();
        net.piece = sizes[i];
        completes(0);
        again();
        net.config.chunk = sizes[i];
        completes(0);
        net.config.chunk = 0;
    }
}

static void not_ready_at_every_call(void **state)
{
    (void)state;
    for (uint32_t n = 1; n < 4; n++) {
        again();
        net.again = n;
        net.piece = 300;
        completes(0);
        assert_true(net.opens > net.requests / 2);
    }
}

/* A transport that is never ready is given up in the end, and tried again later. */
static void never_ready(void **state)
{
    (void)state;
    again();
    net.again = UINT32_MAX;
    ok(simnet_run(&net, 3600));
    assert_true(net.looks >= 3);
    assert_int_equal(net.last_reason[GW_EVENT_FAILED], -GW_ERR_TIMEOUT);
    well();
    again();
    ok(simnet_until(&net, GW_AGENT_FETCH));
    net.again = UINT32_MAX;
    ok(simnet_until(&net, GW_AGENT_FAIL));
    net.again = 0;
    completes(0);
    again();
    ok(simnet_until(&net, GW_AGENT_REPORT));
    net.again = UINT32_MAX;
    ok(simnet_until(&net, GW_AGENT_RESTART));
    assert_false(net.open || net.asked);
    net.again = 0;
    completes(0);
}

/* Nothing comes, and it is said at once: never more than a few requests at a time. */
static void a_transport_that_says_no_at_once(void **state)
{
    (void)state;
    for (unsigned kind = SIMNET_OPEN; kind <= SIMNET_ENDS; kind++) {
        for (int resource = GW_RESOURCE_OFFER; resource <= SIMNET_REPORT; resource++) {
            again();
            net.fault = (struct simnet_fault){ (enum simnet_fault_kind)kind, 0, 0, 0, GW_ERR_TRANSPORT, resource };
            net.report_error = resource == SIMNET_REPORT ? GW_ERR_TRANSPORT : 0;
            net.restarts = false;
            ok(simnet_run(&net, DAY));
            assert_true(net.opens <= 24 * 4 + 40);
            assert_true(net.requests <= 24 * 5 + 40);
            well();
            net.restarts = true;
            net.fault.kind = SIMNET_NO_FAULT;
            net.report_error = 0;
            completes(0);
        }
    }
}

static void redirect_is_not_tried_again_at_once(void **state)
{
    (void)state;
    again();
    net.fault = (struct simnet_fault){ SIMNET_OPEN, 0, 0, 0, GW_ERR_REDIRECT, GW_RESOURCE_PAYLOAD };
    ok(simnet_until(&net, GW_AGENT_FAIL));
    assert_int_equal(net.requests, 2);
    again();
    net.fault = (struct simnet_fault){ SIMNET_OPEN, 0, 0, 0, GW_ERR_TLS, GW_RESOURCE_PAYLOAD };
    ok(simnet_until(&net, GW_AGENT_FAIL));
    assert_int_equal(net.requests, 5);
    assert_in_range(net.log[4].ms - net.log[1].ms, 7000, 10000);
}

static void the_other_base_next_time(void **state)
{
    (void)state;
    again();
    net.offer.payload_base = (struct gw_span){ (const uint8_t *)"https://cdn", 11 };
    simnet_serve(&net);
    net.fault = (struct simnet_fault){ SIMNET_OPEN, 0, 0, 0, GW_ERR_CERT_NAME, GW_RESOURCE_PAYLOAD };
    ok(simnet_until(&net, GW_AGENT_FAIL));
    assert_false(net.log[1].own_base);
    uint32_t n = net.requests;
    ok(simnet_until(&net, GW_AGENT_LOOK));
    net.fault = (struct simnet_fault){ SIMNET_OPEN, net.requests, 1, 0, GW_ERR_TLS, GW_RESOURCE_OFFER };
    ok(simnet_until(&net, GW_AGENT_FAIL)); /* a look that fails changes nothing of it */
    ok(simnet_until(&net, GW_AGENT_LOOK));
    net.fault = (struct simnet_fault){ SIMNET_OPEN, 0, 0, 0, GW_ERR_CERT_NAME, GW_RESOURCE_PAYLOAD };
    ok(simnet_until(&net, GW_AGENT_FAIL));
    assert_true(net.requests > n + 2 && net.log[net.requests - 1].own_base);
    ok(simnet_until(&net, GW_AGENT_INSTALL));
    net.fault.kind = SIMNET_NO_FAULT;
    ok(simnet_until(&net, GW_AGENT_STAGE));
    assert_false(net.log[net.requests - 1].own_base); /* and back */
    well();
}

static void without_trust_in_the_server(void **state)
{
    (void)state;
    again();
    net.config.anonymous_after = 3;
    net.restarts = false;
    for (unsigned i = 0; i < 3; i++) {
        net.fault = (struct simnet_fault){ SIMNET_OPEN, net.requests, 1, 0, GW_ERR_CERT_EXPIRED, 0 };
        ok(simnet_until(&net, GW_AGENT_FAIL));
        ok(simnet_until(&net, GW_AGENT_LOOK));
    }
    ok(simnet_until(&net, GW_AGENT_STAGE));
    bool payload = false;
    for (uint32_t i = 0; i < net.requests; i++) {
        payload = payload || net.log[i].resource == GW_RESOURCE_PAYLOAD;
        assert_true(net.log[i].anonymous == (i >= 3)); /* the look and all its payloads */
    }
    assert_true(payload);
    assert_int_equal(net.last_reason[GW_EVENT_LOOK], -GW_ERR_LINK_TRUST);
    ok(simnet_until(&net, GW_AGENT_RESTART));
    look_now();
    assert_false(net.log[net.requests - 1].anonymous); /* one look */
    well();
    net.config.anonymous_after = 0;
}

/* ---- The server -------------------------------------------------------------------------------------------------- */

/* This offer is refused with this reason: reported once, never installed, looked at again after the interval. */
static void refused_as(int reason, uint32_t sequence)
{
    net.fault = (struct simnet_fault){ 0 };
    settled();
    assert_int_equal(net.agent.reason, reason);
    uint32_t n = net.reports;
    reported(n - 1, GW_REPORT_FAILED, reason, sequence);
    assert_in_range(net.last_a[GW_EVENT_FAILED], DAY * 3 / 4, DAY);
    settled();
    settled();
    assert_int_equal(net.reports, n);
    assert_int_equal(net.delivered, 0);
    assert_int_equal(state_now().slot[1].state, GW_EMPTY);
    well();
}

static void what_is_refused(void **state)
{
    (void)state;
    again();
    net.endless = true;
    refused_as(GW_ERR_LIMIT, 0);
    again();
    net.fault = (struct simnet_fault){ 0 };
    gwh_buf_free(&net.answer);
    assert_int_equal(gwh_buf_add(&net.answer, "\xa1\x01\x02", 3), 0);
    refused_as(GW_ERR_VERSION, 0);
    again();
    struct simdev_release older;
    simdev_release(&dev, &older, &(struct simdev_wish){ .sequence = 4 });
    simnet_release(&net, &older);
    refused_as(GW_ERR_OLDER, 4);
    simdev_release_free(&older);
    again();
    six.manifest.p[six.manifest.n - 1] ^= 1;
    simnet_release(&net, &six);
    six.manifest.p[six.manifest.n - 1] ^= 1;
    refused_as(GW_ERR_SIGNATURE, 0); /* what it says of itself is not proved */
}

static void of_another_class(void **state)
{
    struct scene_release s;
    (void)state;

    again();
    scene_release(&dev, &s, &(struct simdev_wish){ .sequence = 6 });
    s.m.class_id[0] ^= 1;
    scene_release_sign(&dev, &s);
    net.offer.manifest = gwh_span(&s.r.manifest);
    simnet_serve(&net);
    refused_as(GW_ERR_CLASS, 6);
    scene_release_free(&s);
}

static void heads_and_releases(void **state)
{
    (void)state;
    again();
    net.config.head_required = true;
    simnet_boot(&net, GW_CAUSE_POWER);
    refused_as(GW_ERR_HEAD_MISSING, 6);
    net.config.head_required = false;
    again();
    offer_head(6, 6, 9, "stable");
    simnet_serve(&net);
    refused_as(GW_ERR_WITHDRAWN, 6);
    offer_head(6, 4, 8, "stable"); /* an old head, with the release as it was before it was withdrawn */
    simnet_serve(&net);
    refused_as(GW_ERR_HEAD_OLDER, 6);
    offer_head(5, 4, 10, "stable");
    simnet_serve(&net);
    refused_as(GW_ERR_HEAD_BEHIND, 6);
    offer_head(6, 4, 11, "beta");
    net.config.channel = (struct gw_span){ (const uint8_t *)"stable", 6 };
    simnet_serve(&net);
    ok(simnet_open(&net));
    refused_as(GW_ERR_HEAD_OTHER, 6);
    offer_head(6, 4, 12, "stable");
    net.config.head_age_s = 100;
    simnet_serve(&net);
    ok(simnet_open(&net));
    refused_as(GW_ERR_HEAD_STALE, 6);
    net.config.head_age_s = 0;
    net.config.channel.n = 0;
    ok(simnet_open(&net));
    completes(0);
    net.offer.head.n = 0;
}

/* Serial of the newest head that the device knows. */
static uint32_t serial(void)
{
    struct gw_head_seen seen;

    gw_head_seen(&dev.dev, &seen);
    return seen.serial;
}

/* A head alone, or beside the release that runs or is staged, is taken as well: a server cannot go back behind it. */
static void heads_beside_what_is_here(void **state)
{
    (void)state;
    again();
    offer_head(6, 6, 7, "stable");
    simnet_release(&net, NULL);
    settled();
    assert_int_equal(serial(), 7);
    offer_head(6, 6, 9, "stable");
    simnet_release(&net, &five); /* what runs */
    settled();
    assert_int_equal(serial(), 9);
    offer_head(6, 4, 8, "stable");
    simnet_release(&net, &six);
    refused_as(GW_ERR_HEAD_OLDER, 6);
    simnet_release(&net, &five);
    settled();
    assert_int_equal(net.agent.reason, GW_ERR_HEAD_OLDER);
    simnet_release(&net, NULL);
    settled();
    assert_int_equal(net.agent.reason, GW_ERR_HEAD_OLDER);
    net.config.channel = (struct gw_span){ (const uint8_t *)"beta", 4 };
    offer_head(6, 4, 20, "stable");
    simnet_release(&net, NULL);
    ok(simnet_open(&net));
    settled();
    assert_int_equal(net.agent.reason, GW_ERR_HEAD_OTHER);
    net.config.channel.n = 0;
    ok(simnet_open(&net));
    head.p[head.n - 1] ^= 1;
    simnet_release(&net, NULL);
    settled();
    assert_int_equal(net.agent.reason, GW_ERR_SIGNATURE);
    net.offer.head.n = 0;
    well();
}

/* A release that waits for the restart and is withdrawn meanwhile: not tried, and told. */
static void withdrawn_while_it_waits(void **state)
{
    (void)state;
    again();
    net.veto_restart = true;
    settled();
    assert_int_equal(net.agent.state, GW_AGENT_RESTART);
    offer_head(6, 4, 8, "stable"); /* of another one */
    simnet_release(&net, &five);
    look_now();
    assert_int_equal(state_now().slot[1].state, GW_STAGED);
    offer_head(6, 6, 7, "stable"); /* by an old head */
    simnet_release(&net, &five);
    look_now();
    assert_int_equal(state_now().slot[1].state, GW_STAGED);
    offer_head(6, 6, 9, "stable");
    simnet_release(&net, &five);
    look_now();
    assert_int_equal(net.agent.state, GW_AGENT_IDLE);
    assert_int_equal(state_now().slot[1].state, GW_EMPTY);
    reported(net.reports - 1, GW_REPORT_FAILED, GW_ERR_WITHDRAWN, 6);
    restart(GW_CAUSE_SOFTWARE);
    assert_int_equal(dev.handover.slot, GW_SLOT_A);
    net.veto_restart = false;
    net.offer.head.n = 0;
    simnet_release(&net, &seven); /* and it takes the next one */
    ok(simnet_run(&net, DAY));
    assert_int_equal(state_now().slot[1].order.sequence, 7);
    well();
}

static void bundles(void **state)
{
    (void)state;
    again();
    net.restarts = false;
    net.offer.trust = gwh_span(&dev.trust[1]);
    simnet_release(&net, &five);
    settled();
    assert_int_equal(simdev_trust_version(&dev), 2);
    uint32_t ops = dev.sim.ops;
    net.offer.trust = gwh_span(&dev.trust[0]); /* older: an offer may lag behind */
    simnet_release(&net, &five);
    settled();
    assert_int_equal(simdev_trust_version(&dev), 2);
    assert_int_equal(net.agent.reason, GW_OK);
    net.offer.trust = gwh_span(&dev.trust[1]); /* the same */
    simnet_release(&net, &five);
    settled();
    assert_int_equal(net.event[GW_EVENT_TRUST], 1);
    assert_true(dev.sim.ops < ops + 40); /* of the agent's own record alone */
    dev.trust[1].p[dev.trust[1].n - 1] ^= 1;
    simnet_release(&net, &six); /* forged: the release beside it is not taken either */
    settled();
    dev.trust[1].p[dev.trust[1].n - 1] ^= 1;
    assert_int_equal(net.agent.reason, GW_ERR_SIGNATURE);
    assert_int_equal(state_now().slot[1].state, GW_EMPTY);
    net.restarts = true;
    net.offer.trust.n = 0;
}

static void a_bundle_that_waits(void **state)
{
    struct simdev_release other;
    (void)state;

    again();
    simdev_release(&dev, &other, &(struct simdev_wish){ .sequence = 8, .author = 1 });
    net.offer.trust = gwh_span(&dev.trust[2]); /* revokes the author of what runs */
    simnet_release(&net, &other);
    settled();
    assert_int_equal(net.event[GW_EVENT_TRUST], 1);
    assert_int_equal(net.last_a[GW_EVENT_TRUST], 1);
    assert_int_equal(simdev_trust_version(&dev), 1);
    ok(simnet_run(&net, 1000));
    assert_int_equal(state_now().slot[1].state, GW_CONFIRMED);
    assert_int_equal(simdev_trust_version(&dev), 2);
    assert_int_equal(net.event[GW_EVENT_TRUST], 1);
    net.offer.trust.n = 0;
    well();
    simdev_release_free(&other);
}

static void reports_that_do_not_arrive(void **state)
{
    (void)state;
    again();
    net.report_error = GW_ERR_TRANSPORT;
    net.restarts = false;
    for (unsigned i = 0; i < 4; i++) {
        struct simdev_release *r = i % 2 ? &five : &seven;
        simnet_release(&net, r);
        net.veto_fetch = i % 2 == 0;
        settled();
    }
    assert_int_equal(net.reports, 0);
    assert_true(gw_reports_waiting(&dev.dev) >= 2);
    net.report_error = 0;
    net.veto_fetch = false;
    net.restarts = true;
    simnet_release(&net, &six);
    completes(0);
    reported(0, GW_REPORT_CONFIRMED, 0, 5);
    reported(1, GW_REPORT_DECLINED, GW_ERR_VETO, 7);
    assert_int_equal(gw_reports_waiting(&dev.dev), 0);
    assert_int_equal(net.report[net.reports - 1].state, GW_REPORT_CONFIRMED);
    assert_int_equal(net.report[net.reports - 1].release.sequence, 6);
    again();
    net.report_error = GW_ERR_VALUE; /* 4xx: it will never take them */
    settled();
    assert_int_equal(gw_reports_waiting(&dev.dev), 0);
    assert_int_equal(net.last_reason[GW_EVENT_REPORTED], -GW_ERR_VALUE);
}

/* ---- Flash ------------------------------------------------------------------------------------------------------- */

/* Which outcomes a whole update is to report. */
static void all_reported(void)
{
    bool five_runs = false, six_staged = false, six_runs = false;

    for (uint32_t i = 0; i < net.reports; i++) {
        const struct gw_report *r = &net.report[i];
        five_runs = five_runs || (r->state == GW_REPORT_CONFIRMED && r->release.sequence == 5);
        six_staged = six_staged || (r->state == GW_REPORT_STAGED && r->release.sequence == 6);
        six_runs = six_runs || (r->state == GW_REPORT_CONFIRMED && r->release.sequence == 6);
    }
    assert_true(five_runs && six_staged && six_runs);
}

/* Writes and erases from number `at` on fail `count` times: steps say so, and are repeated until all is well. */
static void flash_fault_at(uint32_t at, uint32_t count, uint32_t *errors)
{
    again();
    flashsim_arm(&dev.sim, 1);
    flashsim_add_fault(&dev.sim, (struct flashsim_fault){ FLASHSIM_REFUSE, at, count, dev.layout.journal.start,
                                                          dev.layout.journal.size });
    uint32_t asked = 0;
    for (uint32_t steps = 0; steps < 60000 && (net.event[GW_EVENT_TRIED] == 0 || net.agent.state != GW_AGENT_IDLE);
         steps++) {
        int status = simnet_step(&net);
        *errors += status < 0;
        assert_true(status > 0 || (status <= GW_ERR_FLASH_READ && status >= GW_ERR_FLASH_VERIFY));
        net.ms += status < 0 ? 1000 : net.wait;
        if (net.restart_asked != asked) {
            asked = net.restart_asked;
            while (simnet_boot(&net, GW_CAUSE_SOFTWARE) != GW_OK) {
            }
        }
    }
    assert_int_equal(net.event[GW_EVENT_TRIED], 1);
    assert_int_equal(net.last_reason[GW_EVENT_TRIED], 0);
    flashsim_arm(&dev.sim, 1);
    completes(FRAME);
    settled();
    all_reported();
}

static void flash_faults_in_the_journal(void **state)
{
    uint32_t errors = 0, last = 0;
    (void)state;

    again();
    completes(0);
    last = dev.sim.ops;
    for (uint32_t at = 0; at < last; at++) {
        flash_fault_at(at, 1 + at % 40, &errors);
    }
    print_message("%u places, %u steps repeated\n", (unsigned)last, (unsigned)errors);
    assert_true(errors > 10);
}

/* Going back is reported once at least, whatever write fails. */
static void flash_faults_while_going_back(void **state)
{
    (void)state;
    for (uint32_t at = 0; at < 60; at++) {
        again();
        ok(simnet_until(&net, GW_AGENT_RESTART));
        ok(simnet_boot(&net, GW_CAUSE_SOFTWARE));
        net.self_test = -1;
        flashsim_arm(&dev.sim, 1);
        flashsim_add_fault(&dev.sim, (struct flashsim_fault){ FLASHSIM_REFUSE, at, 30, dev.layout.journal.start,
                                                              dev.layout.journal.size });
        for (unsigned steps = 0; steps < 2000 && net.event[GW_EVENT_TRIED] == 0; steps++) {
            (void)simnet_step(&net);
            net.ms += net.wait;
        }
        assert_int_equal(state_now().slot[1].state, GW_REJECTED);
        net.self_test = 0;
        while (simnet_boot(&net, GW_CAUSE_SOFTWARE) != GW_OK) { /* it counts its failing writes down */
        }
        for (unsigned steps = 0; steps < 4000 && net.looks < 3; steps++) {
            (void)simnet_step(&net);
            net.ms += net.wait;
        }
        uint32_t left = 0;
        for (uint32_t i = 0; i < net.reports; i++) {
            left += net.report[i].state == GW_REPORT_LEFT && net.report[i].reason == (uint32_t)-GW_ERR_SELF_TEST;
        }
        assert_int_equal(left, 1);
        assert_int_equal(net.event[GW_EVENT_LEFT], 1);
        well();
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown_fresh)
    const struct CMUnitTest tests[] = {
        TEST(every_error_at_every_request),
        TEST(every_byte_of_every_request),
        TEST(a_reset_at_every_step),
        TEST(short_ranges_and_small_pieces),
        TEST(not_ready_at_every_call),
        TEST(never_ready),
        TEST(a_transport_that_says_no_at_once),
        TEST(redirect_is_not_tried_again_at_once),
        TEST(the_other_base_next_time),
        TEST(without_trust_in_the_server),
        TEST(what_is_refused),
        TEST(of_another_class),
        TEST(heads_and_releases),
        TEST(heads_beside_what_is_here),
        TEST(withdrawn_while_it_waits),
        TEST(bundles),
        TEST(a_bundle_that_waits),
        TEST(reports_that_do_not_arrive),
        TEST(flash_faults_in_the_journal),
        TEST(flash_faults_while_going_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
