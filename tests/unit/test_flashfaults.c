/*
 * test_flashfaults.c - flash that fails without a power cut: every call is made to fail in turn, in every way. What
 * comes of it is a named error or success, the confirmed image still starts, and without the fault the update
 * completes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "device.h"

/* A device with release 1 confirmed, 2 to come; `start` is where every case begins. */
struct bench {
    struct simdev d;
    struct simdev_release r[2];
    struct flashsim_state start;
    const char *doing;
    bool confirmed; /* release 2, by the last live() */
    uint32_t number;
};
static struct bench b;

/* Says which case it is when an assertion is about to fail. */
static bool good(bool is, const char *what)
{
    if (!is) {
        fprintf(stderr, "%s: %s, number %u\n", what, b.doing, (unsigned)b.number);
    }
    return is;
}

static bool named_flash_error(int err)
{
    return err == GW_ERR_FLASH_READ || err == GW_ERR_FLASH_WRITE || err == GW_ERR_FLASH_ERASE ||
           err == GW_ERR_FLASH_VERIFY || err == GW_ERR_IMAGE_DIGEST || err == GW_ERR_TRUST_MISSING ||
           err == GW_ERR_NOTHING;
}

static void start(const struct simdev_config *config)
{
    memset(&b, 0, sizeof b);
    simdev_init(&b.d, config);
    simdev_provision(&b.d);
    simdev_release(&b.d, &b.r[0], &(struct simdev_wish){ .sequence = 1 });
    simdev_release(&b.d, &b.r[1], &(struct simdev_wish){ .sequence = 2, .encrypted = true });
    (void)simdev_boot(&b.d, GW_CAUSE_POWER);
    assert_int_equal(simdev_mount(&b.d), GW_OK);
    assert_int_equal(simdev_install(&b.d, &b.r[0], 0), GW_DONE);
    assert_int_equal(simdev_boot(&b.d, GW_CAUSE_SOFTWARE), GW_OK);
    assert_int_equal(simdev_mount(&b.d), GW_OK);
    assert_int_equal(gw_device_confirm(&b.d.dev), GW_OK);
}

/* From here every case starts. */
static void mark(void)
{
    flashsim_take(&b.d.sim, &b.start);
}

static void again(uint64_t seed)
{
    flashsim_put_back(&b.d.sim, &b.start);
    flashsim_arm(&b.d.sim, seed);
}

static void stop(void)
{
    flashsim_state_free(&b.start);
    simdev_release_free(&b.r[0]);
    simdev_release_free(&b.r[1]);
    simdev_free(&b.d);
}

/* The whole life of an update, for as long as nothing fails. */
static int live(void)
{
    int err = simdev_boot(&b.d, GW_CAUSE_SOFTWARE);

    if (err == GW_OK) {
        err = simdev_mount(&b.d);
    }
    if (err == GW_OK) {
        err = simdev_install(&b.d, &b.r[1], 0);
    }
    err = err == GW_DONE ? simdev_boot(&b.d, GW_CAUSE_SOFTWARE) : err;
    if (err == GW_OK) {
        err = simdev_mount(&b.d);
    }
    b.confirmed = false;
    if (err == GW_OK && b.d.handover.state == GW_TRYING) {
        err = gw_device_confirm(&b.d.dev);
        b.confirmed = err == GW_OK;
    }
    return err; /* GW_OK without `confirmed`: the trial could not be recorded, and did not start */
}

static const struct simdev_release *running(void)
{
    struct gw_boot_state s;

    if (b.d.booted != GW_OK || b.d.handover.slot > GW_SLOT_B || gw_device_state(&b.d.dev, &s) != GW_OK) {
        return NULL;
    }
    for (unsigned i = 0; i < 2; i++) {
        if (memcmp(s.slot[b.d.handover.slot].digest, b.r[i].digest, 32) == 0) {
            return &b.r[i];
        }
    }
    return NULL;
}

/* Starts a release that is whole. */
static void must_start(void)
{
    int err = simdev_boot(&b.d, GW_CAUSE_POWER);

    assert_true(good(err == GW_OK, "nothing starts"));
    assert_true(good(running() != NULL, "what starts is no release"));
    assert_true(good(simdev_holds(&b.d, running(), (enum gw_slot)b.d.handover.slot), "what starts is not whole"));
}

/* The fault is gone: release 2 gets in and is confirmed, whatever was left behind. */
static void must_recover(void)
{
    flashsim_arm(&b.d.sim, 99);
    for (unsigned i = 0; i < 4; i++) {
        must_start();
        assert_true(good(simdev_mount(&b.d) == GW_OK, "no mount"));
        if (running() == &b.r[1]) {
            assert_int_equal(gw_device_confirm(&b.d.dev), GW_OK);
            return;
        }
        int err = simdev_install(&b.d, &b.r[1], 0);
        assert_true(good(err == GW_DONE, gw_error_name(err)));
    }
    assert_true(good(false, "the update does not come in"));
}

static const struct simdev_config configs[] = {
    { .erase = SIMDEV_4K, .write_size = 8, .erased = 0xff },
    { .erase = SIMDEV_1K, .write_size = 16, .erased = 0x00, .data = true },
    { .erase = SIMDEV_MIXED, .write_size = 4, .erased = 0xff, .extended = true, .frame_size = 4096 },
};
#define CONFIGS (sizeof configs / sizeof configs[0])

/* Every write and erase refused, half done or a lie, once. */
static void test_one_call(void **state)
{
    static const enum flashsim_fault_kind kinds[] = { FLASHSIM_REFUSE, FLASHSIM_REFUSE_HALF, FLASHSIM_LIE };
    static const char *const names[] = { "refused", "half done", "lie" };

    (void)state;
    for (unsigned c = 0; c < CONFIGS; c++) {
        start(&configs[c]);
        mark();
        flashsim_arm(&b.d.sim, 1);
        assert_int_equal(live(), GW_OK);
        uint32_t operations = b.d.sim.ops;
        assert_true(operations > 30);
        for (b.number = 0; b.number < operations; b.number++) {
            for (unsigned k = 0; k < 3; k++) {
                b.doing = names[k];
                again(b.number);
                flashsim_add_fault(&b.d.sim, (struct flashsim_fault){ .kind = kinds[k], .at = b.number, .count = 1 });
                int err = live();
                assert_true(good(b.d.sim.faults_hit == 1, "the fault did not come"));
                assert_true(good(err == GW_OK || named_flash_error(err), gw_error_name(err)));
                must_start();
                /* What returned 0 was stored: a lie is found by reading back, before anybody relies on it. */
                assert_true(good(!b.confirmed || b.d.handover.state == GW_CONFIRMED, "what was confirmed is not"));
                assert_true(good(err != GW_OK || running() == &b.r[1], "the update is gone"));
                must_recover();
            }
        }
        stop();
    }
}

/* A block that takes nothing any more, each in turn. */
static void test_bad_block(void **state)
{
    (void)state;
    for (unsigned c = 0; c < CONFIGS; c++) {
        start(&configs[c]);
        mark();
        b.doing = "bad block";
        for (b.number = 0; b.number < b.d.sim.blocks; b.number++) {
            const struct flashsim_block *block = &b.d.sim.s.block[b.number];
            again(b.number);
            flashsim_add_fault(&b.d.sim, (struct flashsim_fault){ .kind = FLASHSIM_REFUSE, .address = block->start,
                                                                  .size = block->size });
            int err = live();
            assert_true(good(err == GW_OK || named_flash_error(err), gw_error_name(err)));
            assert_true(good(simdev_boot(&b.d, GW_CAUSE_POWER) == GW_OK, "nothing starts"));
            assert_true(good(b.d.handover.slot <= GW_SLOT_B, "no slot starts"));
        }
        stop();
    }
}

/* Every read fails, once: nobody notices. Twice: an error at most. */
static void test_reads(void **state)
{
    (void)state;
    start(&configs[0]);
    mark();
    flashsim_arm(&b.d.sim, 1);
    assert_int_equal(live(), GW_OK);
    uint32_t reads = b.d.sim.reads;
    for (b.number = 0; b.number < reads; b.number++) {
        b.doing = "read fails once";
        again(b.number);
        flashsim_add_fault(&b.d.sim,
                           (struct flashsim_fault) { .kind = FLASHSIM_READ_FAILS, .at = b.number, .count = 1 });
        int err = live();
        assert_true(good(err == GW_OK, gw_error_name(err)));
        if (b.number % 5 != 0) {
            continue;
        }
        b.doing = "read fails three times";
        again(b.number);
        flashsim_add_fault(&b.d.sim,
                           (struct flashsim_fault) { .kind = FLASHSIM_READ_FAILS, .at = b.number, .count = 3 });
        err = live();
        assert_true(good(err == GW_OK || named_flash_error(err), gw_error_name(err)));
        flashsim_arm(&b.d.sim, 1);
        must_start();
        must_recover();
    }
    stop();
}

/* With two confirmed releases, the loss of any block of the running one starts the other, and condemns nothing. */
static void test_unreadable_image(void **state)
{
    struct gw_boot_state s;

    (void)state;
    start(&configs[0]);
    assert_int_equal(live(), GW_OK);
    mark();
    const unsigned slot = b.d.handover.slot;
    const struct gw_area area = b.d.layout.slot[slot];
    const uint32_t image[2] = { area.start, area.start + 4096 };
    for (b.number = 0; b.number < 2; b.number++) {
        b.doing = "unreadable block";
        again(1);
        flashsim_add_fault(
            &b.d.sim, (struct flashsim_fault) { .kind = FLASHSIM_READ_FAILS, .address = image[b.number], .size = 64 });
        assert_int_equal(simdev_boot(&b.d, GW_CAUSE_POWER), GW_OK);
        assert_int_equal(b.d.handover.slot, slot ^ 1u);
        assert_int_equal(b.d.handover.reason, -GW_ERR_FLASH_READ);
        flashsim_arm(&b.d.sim, 1); /* readable again: the newer one runs again */
        assert_int_equal(simdev_boot(&b.d, GW_CAUSE_POWER), GW_OK);
        assert_int_equal(b.d.handover.slot, slot);
        assert_int_equal(gw_device_state(&b.d.dev, &s), GW_OK);
        assert_int_equal(s.slot[slot].state, GW_CONFIRMED);
    }
    stop();
}

/* A trial whose attempt cannot be recorded does not start; the confirmed image does. */
static void test_trial_unrecorded(void **state)
{
    (void)state;
    start(&configs[0]);
    assert_int_equal(simdev_boot(&b.d, GW_CAUSE_SOFTWARE), GW_OK);
    assert_int_equal(simdev_mount(&b.d), GW_OK);
    assert_int_equal(simdev_install(&b.d, &b.r[1], 0), GW_DONE);
    flashsim_arm(&b.d.sim, 1);
    flashsim_add_fault(&b.d.sim, (struct flashsim_fault){ .kind = FLASHSIM_REFUSE, .address = b.d.layout.journal.start,
                                                          .size = b.d.layout.journal.size });
    assert_int_equal(simdev_boot(&b.d, GW_CAUSE_SOFTWARE), GW_OK);
    assert_false(b.d.watchdog);
    assert_int_equal(b.d.handover.state, GW_CONFIRMED);
    assert_in_range(b.d.handover.reason, -GW_ERR_FLASH_WRITE, -GW_ERR_FLASH_ERASE);
    flashsim_arm(&b.d.sim, 1);
    assert_int_equal(simdev_boot(&b.d, GW_CAUSE_SOFTWARE), GW_OK);
    assert_int_equal(b.d.handover.state, GW_TRYING);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_call),
        cmocka_unit_test(test_bad_block),
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_unreadable_image),
        cmocka_unit_test(test_trial_unrecorded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
