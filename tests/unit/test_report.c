/*
 * test_report.c - reports: how they wait in the journal, how they are signed or MACed, and how a server reads them.
 */
#include "agentlife.h"

static uint8_t memory[GW_INSTALL_BUFFER_MIN];

static int add(enum gw_report_state state, int reason, uint32_t sequence, uint32_t time)
{
    struct gw_report r = { .state = state, .reason = (uint32_t)-reason, .times = 1, .release = { 1, sequence },
                           .time = time, .bytes = 100, .again = 7 };

    return gw_reports_add(&dev.dev, &r);
}

/* The oldest that waits, as a server reads it; its bytes in a heap buffer of their size. */
static struct gw_report oldest(void)
{
    struct gw_span out = { NULL, 0 };
    struct gw_report r;
    uint32_t counter = 0;

    ok(gw_report_make(&dev.dev, net.config.report_kek, memory, &counter, &out));
    assert_true(out.n > 0 && out.n <= GW_REPORT_MAX);
    for (unsigned i = GW_TRUST_MAX; i < sizeof memory; i++) {
        assert_int_equal(memory[i], 0); /* the identity's secrets were there */
    }
    if (dev.config.signs) {
        ok(gw_report_open(&r, dev.crypto->gw, &net.report_key, out.p, out.n));
    } else {
        ok(gw_report_open_mac(&r, dev.crypto->gw, dev.kek, sizeof dev.kek, out.p, out.n));
    }
    assert_int_equal(r.counter, counter);
    return r;
}

static void a_report_and_all_its_fields(void **state)
{
    (void)state;
    ok(add(GW_REPORT_FAILED, GW_ERR_TIMEOUT, 6, SIMNET_1970));
    struct gw_report r = oldest();
    assert_int_equal(r.counter, SIMNET_1970); /* the first of a device that knows the time */
    assert_int_equal(r.state, GW_REPORT_FAILED);
    assert_int_equal(r.reason, 7);
    assert_int_equal(r.times, 1);
    assert_int_equal(r.release.epoch, 1);
    assert_int_equal(r.release.sequence, 6);
    assert_int_equal(r.time, SIMNET_1970);
    assert_int_equal(r.bytes, 100);
    assert_int_equal(r.again, 7);
    assert_int_equal(r.running.sequence, 5);
    assert_int_equal(r.hardware, 3);
    assert_int_equal(r.bootloader, 5);
    assert_int_equal(r.trust_version, 1);
    assert_int_equal(r.head_serial, 0);
    ok(gw_reports_drop(&dev.dev));
    assert_int_equal(gw_reports_drop(&dev.dev), GW_ERR_NOTHING);
    ok(add(GW_REPORT_CONFIRMED, 0, 0, 0)); /* nothing that may be left out is there */
    r = oldest();
    assert_int_equal(r.counter, SIMNET_1970 + 1);
    assert_int_equal(r.reason, 0);
    assert_int_equal(r.release.sequence, 0);
    assert_int_equal(r.time, 0);
}

static void the_same_again_is_counted(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        ok(add(GW_REPORT_FAILED, GW_ERR_TLS, 6, 0));
    }
    assert_int_equal(gw_reports_waiting(&dev.dev), 2);
    struct gw_report r = oldest();
    assert_int_equal(r.times, 255);
    assert_int_equal(r.counter, 255);
    assert_int_equal(r.bytes, 25500);
    ok(gw_reports_drop(&dev.dev));
    r = oldest();
    assert_int_equal(r.times, 45);
    assert_int_equal(r.counter, 300);
    ok(add(GW_REPORT_FAILED, GW_ERR_TLS, 7, 0)); /* another release, reason or state: another report */
    ok(add(GW_REPORT_FAILED, GW_ERR_HTTP, 7, 0));
    ok(add(GW_REPORT_LEFT, GW_ERR_HTTP, 7, 0));
    ok(add(GW_REPORT_FAILED, GW_ERR_TLS, 6, 0));
    assert_int_equal(gw_reports_waiting(&dev.dev), 5);
}

static void the_oldest_makes_room(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 8; i++) {
        ok(add(GW_REPORT_STAGED, 0, i, 0));
    }
    assert_int_equal(gw_reports_waiting(&dev.dev), GW_REPORTS_KEPT);
    for (uint32_t i = 4; i <= 8; i++) {
        struct gw_report r = oldest();
        assert_int_equal(r.release.sequence, i);
        assert_int_equal(r.counter, i);
        ok(gw_reports_drop(&dev.dev));
    }
    struct gw_span out;
    uint32_t counter;
    assert_int_equal(gw_report_make(&dev.dev, net.config.report_kek, memory, &counter, &out), GW_ERR_NOTHING);
    ok(add(GW_REPORT_STAGED, 0, 9, SIMNET_1970)); /* the counter goes on, it does not jump */
    assert_int_equal(oldest().counter, 9);
}

static void counters_over_restarts_and_losses(void **state)
{
    (void)state;
    ok(add(GW_REPORT_STAGED, 0, 6, SIMNET_1970));
    ok(gw_reports_drop(&dev.dev));
    ok(simdev_mount(&dev));
    ok(add(GW_REPORT_STAGED, 0, 7, SIMNET_1970 + 10));
    assert_int_equal(oldest().counter, SIMNET_1970 + 1);
    flashsim_ruin(&dev.sim, dev.layout.journal);
    ok(simdev_boot(&dev, GW_CAUSE_POWER));
    ok(simdev_mount(&dev));
    ok(add(GW_REPORT_CONFIRMED, 0, 5, SIMNET_1970 + 1000));
    assert_int_equal(oldest().counter, SIMNET_1970 + 1000);
}

/* A record that cannot be read now is no reason to begin again with the counter. */
static void a_record_that_cannot_be_read(void **state)
{
    (void)state;
    ok(add(GW_REPORT_STAGED, 0, 6, 0));
    ok(add(GW_REPORT_STAGED, 0, 7, 0));
    flashsim_arm(&dev.sim, 1);
    flashsim_add_fault(&dev.sim, (struct flashsim_fault){ FLASHSIM_READ_FAILS, 0, 0, dev.layout.journal.start,
                                                          dev.layout.journal.size });
    assert_int_equal(add(GW_REPORT_STAGED, 0, 8, 0), GW_ERR_FLASH_READ);
    assert_int_equal(gw_reports_drop(&dev.dev), GW_ERR_FLASH_READ);
    flashsim_arm(&dev.sim, 1);
    ok(add(GW_REPORT_STAGED, 0, 8, 0));
    assert_int_equal(gw_reports_waiting(&dev.dev), 3);
    assert_int_equal(oldest().counter, 1);
    uint8_t odd[9] = { 0, 0, 0, 77, 1, 2, 3, 4, 5 }; /* of another version */
    ok(gw_journal_put(dev.dev.journal, GW_REC_REPORTS, odd, sizeof odd));
    ok(add(GW_REPORT_STAGED, 0, 9, SIMNET_1970));
    assert_int_equal(oldest().counter, 78);
}

/* Every prefix, and every flipped bit, is refused. */
static void what_a_server_refuses(void **state)
{
    struct gw_span out = { NULL, 0 };
    struct gw_report r;
    struct gw_pubkey other = dev.author[0].signer.key;
    uint32_t counter;
    (void)state;

    ok(add(GW_REPORT_LEFT, GW_ERR_SELF_TEST, 6, SIMNET_1970));
    ok(gw_report_make(&dev.dev, net.config.report_kek, memory, &counter, &out));
    for (size_t n = 0; n < out.n; n++) {
        uint8_t *exact = malloc(n + 1);
        memcpy(exact, out.p, n);
        assert_true(gw_report_open(&r, dev.crypto->gw, &net.report_key, exact, n) < 0);
        assert_true(gw_report_open_mac(&r, dev.crypto->gw, dev.kek, sizeof dev.kek, exact, n) < 0);
        free(exact);
    }
    for (size_t i = 0; i < out.n * 8; i++) {
        memory[i / 8] ^= (uint8_t)(1u << i % 8);
        bool kid = gw_report_open(&r, dev.crypto->gw, &net.report_key, out.p, out.n) == GW_OK;
        if (kid) { /* the key id only helps to find the key */
            fail_msg("bit %u may be flipped", (unsigned)i);
        }
        memory[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    assert_true(gw_report_open(&r, dev.crypto->gw, &other, out.p, out.n) < 0);
    assert_int_equal(gw_report_open_mac(&r, dev.crypto->gw, dev.kek, sizeof dev.kek, out.p, out.n), GW_ERR_ALGORITHM);
    ok(gw_report_open(&r, dev.crypto->gw, &net.report_key, out.p, out.n));
    uint8_t *large = calloc(1, GW_REPORT_MAX + 1);
    assert_int_equal(gw_report_open(&r, dev.crypto->gw, &net.report_key, large, GW_REPORT_MAX + 1), GW_ERR_LIMIT);
    assert_int_equal(gw_report_open_mac(&r, dev.crypto->gw, dev.kek, 16, large, GW_REPORT_MAX + 1), GW_ERR_LIMIT);
    free(large);
}

static int setup_mac(void **state)
{
    struct simdev_config config = usual;
    (void)state;

    config.signs = false;
    life(&config, &(struct simdev_wish){ .data = 2, .encrypted = true });
    return 0;
}

static void with_a_kek(void **state)
{
    struct gw_span out = { NULL, 0 };
    struct gw_report r;
    uint8_t kek[16] = { 1 };
    uint32_t counter;
    (void)state;

    ok(add(GW_REPORT_LEFT, GW_ERR_SELF_TEST, 6, SIMNET_1970));
    assert_int_equal(oldest().reason, 130);
    ok(gw_report_make(&dev.dev, net.config.report_kek, memory, &counter, &out));
    assert_int_equal(gw_report_open_mac(&r, dev.crypto->gw, kek, sizeof kek, out.p, out.n), GW_ERR_SIGNATURE);
    for (size_t i = 0; i < out.n * 8; i++) {
        bool in_kid = i / 8 + 34 + 5 >= out.n && i / 8 + 34 < out.n; /* which KEK, unprotected */
        memory[i / 8] ^= (uint8_t)(1u << i % 8);
        int err = gw_report_open_mac(&r, dev.crypto->gw, dev.kek, sizeof dev.kek, out.p, out.n);
        if (err >= 0 && !in_kid) {
            fail_msg("bit %u of %u bytes may be flipped", (unsigned)i, (unsigned)out.n);
        }
        memory[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    assert_int_equal(gw_report_make(&dev.dev, (struct gw_span){ (const uint8_t *)"no", 2 }, memory, &counter, &out),
                     GW_ERR_NO_KEY);
}

/* The whole way with MACs; then a device with no key at all: its reports wait, the rest of its life goes on. */
static void a_life_with_and_without_a_key(void **state)
{
    (void)state;
    simnet_release(&net, &six);
    ok(simnet_run(&net, 2000));
    assert_int_equal(net.reports, 3);
    reported(2, GW_REPORT_CONFIRMED, 0, 6);
    net.config.report_kek.n = 0;
    simnet_release(&net, &seven);
    gw_agent_wake(&net.agent);
    ok(simnet_run(&net, 2000));
    assert_int_equal(state_now().slot[0].state, GW_CONFIRMED);
    assert_int_equal(state_now().slot[0].order.sequence, 7);
    assert_int_equal(net.reports, 3);
    assert_int_equal(gw_reports_waiting(&dev.dev), 2);
    well();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_report_and_all_its_fields),
        TEST(the_same_again_is_counted),
        TEST(the_oldest_makes_room),
        TEST(counters_over_restarts_and_losses),
        TEST(a_record_that_cannot_be_read),
        TEST(what_a_server_refuses),
        cmocka_unit_test_setup_teardown(with_a_kek, setup_mac, teardown),
        cmocka_unit_test_setup_teardown(a_life_with_and_without_a_key, setup_mac, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
