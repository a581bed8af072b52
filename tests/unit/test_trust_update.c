/*
 * test_trust_update.c - a newer bundle takes over, or waits until it cannot outlaw what runs; nothing else is taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scene.h"

static struct simdev dev;
static struct scene_release release; /* sequence 5 by author 0, confirmed in slot A */
static struct scene_bundle bundle;

static int setup(void **state)
{
    const struct simdev_config config = { .erase = SIMDEV_4K, .write_size = 8, .erased = 0xff, .ecc = true, .extended = true };
    struct gw_boot_state boot = { .last = GW_SLOT_A };
    (void)state;

    simdev_init(&dev, &config);
    simdev_provision(&dev);
    memset(&bundle, 0, sizeof bundle);
    scene_release(&dev, &release, &(struct simdev_wish){ .sequence = 5 });
    scene_release_sign(&dev, &release);
    simdev_preload(&dev, &release.r, GW_SLOT_A);
    boot.slot[0] = scene_slot(&release, GW_CONFIRMED);
    scene_state(&dev, &boot);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scene_release_free(&release);
    gwh_buf_free(&bundle.bytes);
    simdev_free(&dev);
    return 0;
}

/* Bundle and memory lie in heap buffers of exactly their size. */
static int update_with(struct gw_span cose, size_t memory_size, bool *pending)
{
    uint8_t *p = malloc(cose.n), *memory = malloc(memory_size);

    memcpy(p, cose.p, cose.n);
    int err = gw_trust_update(&dev.dev, p, cose.n, memory, memory_size, pending);
    free(p);
    free(memory);
    return err;
}

static int update(bool *pending)
{
    return update_with(gwh_span(&bundle.bytes), GW_VERIFY_MEMORY, pending);
}

/* Is refused for this reason (or is the same: GW_DONE), and nothing is written. */
static void refused(int reason)
{
    uint8_t *copy = scene_copy(&dev);
    uint32_t ops = dev.sim.ops;
    bool pending = true;

    int err = update(&pending);
    if (err != reason) {
        fail_msg("%s instead of %s", gw_error_name(err), gw_error_name(reason));
    }
    assert_int_equal(dev.sim.ops, ops);
    assert_true(scene_same(&dev, copy));
    free(copy);
}

static void expect_state(unsigned active, unsigned waits, uint32_t version)
{
    struct gw_boot_state s;

    assert_int_equal(simdev_mount(&dev), 0);
    assert_int_equal(gw_device_state(&dev.dev, &s), 0);
    assert_int_equal(s.trust_active, active);
    assert_int_equal(s.trust_pending, waits);
    assert_int_equal(simdev_trust_version(&dev), version);
}

static void a_newer_bundle_takes_over(void **state)
{
    (void)state;
    for (uint32_t version = 2; version < 7; version++) {
        uint32_t other = dev.layout.trust[version % 2].start; /* the area in use: not to be touched */
        uint8_t before[64];
        bool pending = true;
        scene_bundle_make(&dev, &bundle, version, -1);
        memcpy(before, flashsim_peek(&dev.sim, other), sizeof before);
        assert_int_equal(update(&pending), GW_OK);
        assert_false(pending);
        assert_memory_equal(before, flashsim_peek(&dev.sim, other), sizeof before);
        expect_state((version + 1) % 2, 0, version);
        assert_int_equal(simdev_boot(&dev, GW_CAUSE_POWER), GW_OK);
        assert_int_equal(dev.handover.slot, GW_SLOT_A);
        refused(GW_DONE); /* the same again */
    }
}

static void older_ones_are_refused(void **state)
{
    bool pending;
    (void)state;

    scene_bundle(&dev, &bundle, 7, -1);
    bundle.t.epoch = 4;
    scene_bundle_sign(&dev, &bundle);
    assert_int_equal(update(&pending), GW_OK);
    for (uint32_t epoch = 3; epoch <= 5; epoch++) {
        for (uint32_t version = 6; version <= 8; version++) {
            scene_bundle(&dev, &bundle, version, -1);
            bundle.t.epoch = epoch;
            scene_bundle_sign(&dev, &bundle);
            if (version == 7 && epoch == 4) {
                refused(GW_DONE);
            } else if (version < 8 || epoch < 4) { /* also: another bundle of the same version */
                refused(GW_ERR_TRUST_OLDER);
            }
        }
    }
    assert_int_equal(update(&pending), GW_OK); /* 8, epoch 5 */
    expect_state(0, 0, 8);
}

static void only_what_enough_roots_signed(void **state)
{
    struct fastcrypto_key stranger;
    (void)state;

    scene_bundle_make(&dev, &bundle, 2, -1);
    bundle.signers = 1;
    scene_bundle_sign(&dev, &bundle);
    refused(GW_ERR_ROOTS_FEW);
    bundle.signers = 2;
    bundle.signer[1] = bundle.signer[0];
    scene_bundle_sign(&dev, &bundle);
    refused(GW_ERR_SIGNER_TWICE);
    fastcrypto_key(&stranger, 99);
    fastcrypto_signer(&bundle.signer[1], &stranger, 0);
    scene_bundle_sign(&dev, &bundle);
    refused(GW_ERR_KEY_UNKNOWN);
    bundle.signer[1] = dev.author[0].signer; /* a key of the bundle is no root */
    scene_bundle_sign(&dev, &bundle);
    refused(GW_ERR_KEY_UNKNOWN);
    scene_bundle_make(&dev, &bundle, 2, -1);
    bundle.bytes.p[bundle.bytes.n / 2] ^= 1;
    refused(GW_ERR_SIGNATURE);
    bundle.bytes.p[bundle.bytes.n / 2] ^= 1;
    bundle.bytes.n--;
    refused(GW_ERR_TRUNCATED);
    bundle.bytes.n++;
    assert_int_equal(gwh_buf_add(&bundle.bytes, "", 1), 0);
    refused(GW_ERR_TRAILING);
    assert_int_equal(gwh_buf_add(&bundle.bytes, dev.ram.memory, GW_TRUST_MAX + 1 - bundle.bytes.n), 0);
    refused(GW_ERR_LIMIT);
}

static void memory_must_suffice(void **state)
{
    uint32_t ops = dev.sim.ops;
    bool pending;
    (void)state;

    scene_bundle_make(&dev, &bundle, 2, -1);
    assert_int_equal(update_with(gwh_span(&bundle.bytes), GW_VERIFY_MEMORY - 1, &pending), GW_ERR_SPACE);
    assert_int_equal(dev.sim.ops, ops);
}

static void not_while_an_image_is_on_trial(void **state)
{
    struct gw_boot_state s;
    bool pending;
    (void)state;

    scene_bundle_make(&dev, &bundle, 2, -1);
    assert_int_equal(gw_device_state(&dev.dev, &s), 0);
    s.slot[0].state = GW_TRYING;
    scene_state(&dev, &s);
    refused(GW_ERR_NOT_CONFIRMED);
    assert_int_equal(gw_device_confirm(&dev.dev), GW_OK);
    assert_int_equal(update(&pending), GW_OK);
}

static void confirm_release_by_author_1(uint32_t sequence)
{
    struct simdev_release r;

    simdev_release(&dev, &r, &(struct simdev_wish){ .sequence = sequence, .author = 1 });
    assert_int_equal(simdev_boot(&dev, GW_CAUSE_SOFTWARE), GW_OK);
    assert_int_equal(simdev_install(&dev, &r, 0), GW_DONE);
    assert_int_equal(simdev_boot(&dev, GW_CAUSE_SOFTWARE), GW_OK);
    assert_int_equal(dev.handover.state, GW_TRYING);
    assert_int_equal(gw_device_confirm(&dev.dev), GW_OK);
    simdev_release_free(&r);
}

static void one_that_outlaws_what_runs_waits_for_the_next_confirm(void **state)
{
    bool pending = false;
    (void)state;

    scene_bundle_make(&dev, &bundle, 2, 0);
    assert_int_equal(update(&pending), GW_OK);
    assert_true(pending);
    expect_state(0, 1, 1);
    refused(GW_DONE); /* it is here already */
    assert_int_equal(simdev_boot(&dev, GW_CAUSE_POWER), GW_OK); /* what runs still starts */
    assert_int_equal(dev.handover.slot, GW_SLOT_A);
    struct simdev_release r; /* what it revokes does not come in any more */
    simdev_release(&dev, &r, &(struct simdev_wish){ .sequence = 6 });
    assert_int_equal(simdev_install(&dev, &r, 0), GW_ERR_KEY_REVOKED);
    simdev_release_free(&r);
    confirm_release_by_author_1(7);
    expect_state(1, 0, 2);
    assert_int_equal(simdev_boot(&dev, GW_CAUSE_POWER), GW_OK);
    assert_int_equal(dev.handover.slot, GW_SLOT_B);
}

static void a_second_one_that_waits_takes_the_place_of_the_first(void **state)
{
    bool pending = false;
    (void)state;

    scene_bundle_make(&dev, &bundle, 3, 0);
    assert_int_equal(update(&pending), GW_OK);
    scene_bundle_make(&dev, &bundle, 2, -1); /* older than the one that waits */
    refused(GW_ERR_TRUST_OLDER);
    scene_bundle_make(&dev, &bundle, 4, 0);
    pending = false;
    assert_int_equal(update(&pending), GW_OK);
    assert_true(pending);
    expect_state(0, 1, 1);
    scene_bundle_make(&dev, &bundle, 5, 1); /* this one accepts what runs: nothing waits any more */
    assert_int_equal(update(&pending), GW_OK);
    assert_false(pending);
    expect_state(1, 0, 5);
    scene_bundle_make(&dev, &bundle, 6, 0);
    assert_int_equal(update(&pending), GW_OK);
    assert_true(pending);
    expect_state(1, 1, 5);
}

static void recovery_outlaws_nothing_that_runs(void **state)
{
    static const uint8_t last[] = { GW_SLOT_FACTORY, GW_SLOT_NONE };
    struct gw_boot_state s;
    bool pending = true;
    (void)state;

    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(gw_device_state(&dev.dev, &s), 0);
        s.last = last[i];
        scene_state(&dev, &s);
        scene_bundle_make(&dev, &bundle, 2 + i, 0);
        assert_int_equal(update(&pending), GW_OK);
        assert_false(pending);
        expect_state(1 - i, 0, 2 + i);
    }
}

static void a_device_without_a_bundle_takes_one(void **state)
{
    bool pending;
    (void)state;

    scene_erase(&dev, dev.layout.trust[0]);
    scene_bundle_make(&dev, &bundle, 1, -1);
    assert_int_equal(update(&pending), GW_OK);
    assert_int_equal(simdev_trust_version(&dev), 1);
    scene_erase(&dev, dev.layout.identity);
    scene_bundle_make(&dev, &bundle, 2, -1);
    refused(GW_ERR_NOTHING); /* but not without roots */
}

/* The bundle in use is damaged and the older one serves in its place: that one must outlive a cut at any moment. */
static void a_cut_never_takes_the_last_good_bundle(void **state)
{
    static struct flashsim_state snapshot;
    static jmp_buf out;
    bool pending;
    (void)state;

    scene_bundle_make(&dev, &bundle, 2, -1);
    assert_int_equal(update(&pending), GW_OK);
    scene_damage(&dev, dev.layout.trust[1].start + 100);
    expect_state(1, 0, 1);
    scene_bundle_make(&dev, &bundle, 3, -1);
    flashsim_take(&dev.sim, &snapshot);
    for (volatile uint32_t op = 0;; op++) {
        flashsim_put_back(&dev.sim, &snapshot);
        assert_int_equal(simdev_mount(&dev), 0);
        flashsim_arm(&dev.sim, op);
        dev.sim.out = &out;
        flashsim_cut_at(&dev.sim, (struct flashsim_cut){ .op = op, .shape = FLASHSIM_AFTER });
        int why = setjmp(out);
        int err = why == 0 ? gw_trust_update(&dev.dev, bundle.bytes.p, bundle.bytes.n, dev.ram.memory,
                                             sizeof dev.ram.memory, &pending) : GW_OK;
        dev.sim.out = NULL;
        dev.sim.cut_armed = false;
        flashsim_restart(&dev.sim);
        assert_int_equal(err, GW_OK);
        assert_int_equal(simdev_mount(&dev), 0);
        uint32_t version = simdev_trust_version(&dev);
        assert_true(version == 1 || version == 3);
        assert_int_equal(simdev_boot(&dev, GW_CAUSE_POWER), GW_OK);
        assert_int_equal(dev.handover.slot, GW_SLOT_A);
        if (why == 0) {
            assert_int_equal(version, 3);
            assert_true(op > 5);
            break;
        }
    }
    flashsim_state_free(&snapshot);
}

static void flash_errors_leave_the_bundle_in_use(void **state)
{
    static const enum flashsim_fault_kind kinds[] = { FLASHSIM_REFUSE, FLASHSIM_REFUSE_HALF, FLASHSIM_LIE };
    bool pending;
    (void)state;

    scene_bundle_make(&dev, &bundle, 2, -1);
    for (unsigned i = 0; i < 3; i++) {
        for (uint32_t op = 0; op < 6; op++) {
            scene_put(&dev, dev.layout.trust[1], gwh_span(&dev.identity)); /* what an erase that did nothing leaves */
            flashsim_arm(&dev.sim, op);
            flashsim_add_fault(&dev.sim, (struct flashsim_fault){ kinds[i], op, 1, dev.layout.trust[1].start, 4096 });
            int err = update(&pending);
            assert_true(err == GW_ERR_FLASH_ERASE || err == GW_ERR_FLASH_WRITE || err == GW_ERR_FLASH_VERIFY);
            flashsim_arm(&dev.sim, op);
            expect_state(0, 0, 1);
        }
    }
    const struct gw_area *area = dev.layout.trust; /* what cannot be read is not taken for older */
    flashsim_add_fault(&dev.sim, (struct flashsim_fault){ FLASHSIM_READ_FAILS, 0, 0, area[0].start, area[0].size + area[1].size });
    assert_int_equal(update(&pending), GW_ERR_FLASH_READ);
    flashsim_arm(&dev.sim, 1);
    assert_int_equal(update(&pending), GW_OK);
    expect_state(1, 0, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_newer_bundle_takes_over),
        TEST(older_ones_are_refused),
        TEST(only_what_enough_roots_signed),
        TEST(memory_must_suffice),
        TEST(not_while_an_image_is_on_trial),
        TEST(one_that_outlaws_what_runs_waits_for_the_next_confirm),
        TEST(a_second_one_that_waits_takes_the_place_of_the_first),
        TEST(recovery_outlaws_nothing_that_runs),
        TEST(a_device_without_a_bundle_takes_one),
        TEST(a_cut_never_takes_the_last_good_bundle),
        TEST(flash_errors_leave_the_bundle_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
