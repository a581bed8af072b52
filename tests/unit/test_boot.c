/*
 * test_boot.c - gw_boot_run on a whole device: what it starts, what it hands over, what it writes; recovery, factory, a
 * journal that cannot be written, a journal that was lost; the hand-over record bit by bit.
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
static struct scene_release r[2]; /* 5, floor 2, by author 0; 6, floor 3, by author 1 */
static struct scene_bundle bundle;
static struct gw_boot_state boot;
static struct gw_slot_map map[2];

static int start(bool extended)
{
    const struct simdev_config config = { .erase = SIMDEV_4K, .write_size = 8, .erased = 0xff, .ecc = true,
                                          .extended = extended };

    simdev_init(&dev, &config);
    simdev_provision(&dev);
    memset(&boot, 0, sizeof boot);
    memset(&bundle, 0, sizeof bundle);
    boot.last = GW_SLOT_NONE;
    for (unsigned i = 0; i < 2; i++) {
        scene_release(&dev, &r[i], &(struct simdev_wish){ .sequence = 5 + i, .floor = 2 + i, .author = i });
        scene_release_sign(&dev, &r[i]);
        simdev_preload(&dev, &r[i].r, (enum gw_slot)i);
        assert_int_equal(gw_layout_slot(&dev.sim.flash, &dev.layout, (enum gw_slot)i, &map[i]), 0);
    }
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return start(true);
}

static int setup_limited(void **state)
{
    (void)state;
    return start(false);
}

static int teardown(void **state)
{
    (void)state;
    scene_release_free(&r[0]);
    scene_release_free(&r[1]);
    gwh_buf_free(&bundle.bytes);
    simdev_free(&dev);
    return 0;
}

static void slots(enum gw_state a, enum gw_state b)
{
    boot.slot[0] = a == GW_EMPTY ? (struct gw_slot_state){ 0 } : scene_slot(&r[0], a);
    boot.slot[1] = b == GW_EMPTY ? (struct gw_slot_state){ 0 } : scene_slot(&r[1], b);
    scene_state(&dev, &boot);
}

static struct gw_boot_state now(void)
{
    struct gw_boot_state s;

    assert_int_equal(simdev_mount(&dev), GW_OK);
    assert_int_equal(gw_device_state(&dev.dev, &s), GW_OK);
    return s;
}

/* Boots; the whole hand-over must be this. reason: positive. */
/* The image that boot chose, copied to RAM as boards do: whole, and that of the slot that it started. */
static void loads(enum gw_slot slot)
{
    const struct gwh_buf *right = slot == GW_SLOT_FACTORY ? &dev.factory : &r[slot].r.image[0];
    uint8_t *ram = malloc(dev.image.size);

    assert_non_null(ram);
    assert_int_equal(dev.image.size, right->n);
    assert_int_equal(gw_image_load(&dev.dev, &dev.image, ram, dev.image.size), GW_OK);
    assert_memory_equal(ram, right->p, right->n);
    assert_int_equal(gw_image_load(&dev.dev, &dev.image, ram, dev.image.size - 1), GW_ERR_SLOT_SMALL);
    dev.image.digest[31] ^= 1;
    assert_int_equal(gw_image_load(&dev.dev, &dev.image, ram, dev.image.size), GW_ERR_IMAGE_DIGEST);
    free(ram);
}

static void starts(enum gw_cause cause, enum gw_slot slot, enum gw_state state, unsigned attempt, unsigned reason)
{
    const struct gw_handover *h = &dev.handover;

    int err = simdev_boot(&dev, cause);
    if (err != GW_OK) {
        fail_msg("%s", gw_error_name(err));
    }
    assert_int_equal(h->slot, slot);
    assert_int_equal(h->state, state);
    assert_int_equal(h->attempt, attempt);
    assert_int_equal(h->recovery, slot == GW_SLOT_FACTORY);
    assert_int_equal(h->cause, cause);
    assert_int_equal(h->reason, reason);
    assert_int_equal(h->bootloader, 5);
    assert_int_equal(dev.watchdog, state == GW_TRYING);
    loads(slot);
}

static void starts_nothing(unsigned reason)
{
    assert_int_equal(simdev_boot(&dev, GW_CAUSE_POWER), GW_ERR_NO_IMAGE);
    assert_int_equal(dev.handover.slot, GW_SLOT_NONE);
    assert_int_equal(dev.handover.state, GW_EMPTY);
    assert_int_equal(dev.handover.recovery, 0);
    assert_int_equal(dev.handover.reason, reason);
    assert_false(dev.watchdog);
}

static void a_confirmed_image_starts_and_nothing_is_written_twice(void **state)
{
    (void)state;
    slots(GW_CONFIRMED, GW_PREVIOUS);
    starts(GW_CAUSE_POWER, GW_SLOT_A, GW_CONFIRMED, 0, 0);
    assert_int_equal(now().last, GW_SLOT_A);
    uint32_t ops = dev.sim.ops;
    starts(GW_CAUSE_SOFTWARE, GW_SLOT_A, GW_CONFIRMED, 0, 0);
    starts(GW_CAUSE_DEEP_SLEEP, GW_SLOT_A, GW_CONFIRMED, 0, 0);
    assert_int_equal(dev.sim.ops, ops);
    slots(GW_PREVIOUS, GW_CONFIRMED);
    starts(GW_CAUSE_PIN, GW_SLOT_B, GW_CONFIRMED, 0, 0);
}

static void a_trial_is_counted_and_given_up(void **state)
{
    (void)state;
    slots(GW_CONFIRMED, GW_STAGED);
    starts(GW_CAUSE_SOFTWARE, GW_SLOT_B, GW_TRYING, 0, 0);
    starts(GW_CAUSE_POWER, GW_SLOT_B, GW_TRYING, 1, 0); /* a quarter */
    starts(GW_CAUSE_WATCHDOG, GW_SLOT_B, GW_TRYING, 5, 0);
    starts(GW_CAUSE_DEEP_SLEEP, GW_SLOT_B, GW_TRYING, 5, 0);
    starts(GW_CAUSE_FAULT, GW_SLOT_B, GW_TRYING, 9, 0);
    starts(GW_CAUSE_WATCHDOG, GW_SLOT_A, GW_CONFIRMED, 0, -GW_ERR_TRIES_USED);
    assert_int_equal(now().slot[1].state, GW_REJECTED);
    assert_int_equal(now().slot[1].reason, -GW_ERR_TRIES_USED);
    /* the application reports it until it is old */
    starts(GW_CAUSE_POWER, GW_SLOT_A, GW_CONFIRMED, 0, -GW_ERR_TRIES_USED);
}

static void a_trial_that_confirms(void **state)
{
    (void)state;
    slots(GW_CONFIRMED, GW_STAGED);
    starts(GW_CAUSE_SOFTWARE, GW_SLOT_B, GW_TRYING, 0, 0);
    assert_int_equal(gw_device_confirm(&dev.dev), GW_OK);
    starts(GW_CAUSE_SOFTWARE, GW_SLOT_B, GW_CONFIRMED, 0, 0);
    assert_int_equal(now().slot[0].state, GW_PREVIOUS);
    assert_int_equal(now().floor.sequence, 3);
}

static void a_trial_that_gives_up_itself(void **state)
{
    (void)state;
    slots(GW_CONFIRMED, GW_STAGED);
    starts(GW_CAUSE_SOFTWARE, GW_SLOT_B, GW_TRYING, 0, 0);
    assert_int_equal(gw_device_reject(&dev.dev, GW_ERR_SELF_TEST), GW_OK);
    starts(GW_CAUSE_SOFTWARE, GW_SLOT_A, GW_CONFIRMED, 0, -GW_ERR_SELF_TEST);
}

static void a_staged_image_that_does_not_verify_gets_the_reason_of_its_check(void **state)
{
    (void)state;
    slots(GW_CONFIRMED, GW_STAGED);
    scene_damage(&dev, map[1].image.start + 10);
    starts(GW_CAUSE_SOFTWARE, GW_SLOT_A, GW_CONFIRMED, 0, -GW_ERR_IMAGE_DIGEST);
    assert_int_equal(now().slot[1].state, GW_REJECTED);
    assert_int_equal(now().slot[1].reason, -GW_ERR_IMAGE_DIGEST);
    slots(GW_CONFIRMED, GW_STAGED);
    boot.floor = (struct gw_order){ 1, 7 };
    boot.slot[0].order.sequence = 7; /* both are below: nothing but the factory image */
    scene_state(&dev, &boot);
    starts(GW_CAUSE_SOFTWARE, GW_SLOT_FACTORY, GW_EMPTY, 0, -GW_ERR_FLOOR);
    assert_int_equal(now().slot[1].reason, -GW_ERR_FLOOR);
    assert_int_equal(now().slot[0].state, GW_CONFIRMED); /* never condemned by a check */
}

static void a_confirmed_image_that_fails_its_check_is_passed_over_and_that_is_told(void **state)
{
    (void)state;
    slots(GW_CONFIRMED, GW_PREVIOUS);
    scene_damage(&dev, map[0].image.start);
    starts(GW_CAUSE_POWER, GW_SLOT_B, GW_PREVIOUS, 0, -GW_ERR_IMAGE_DIGEST);
    assert_int_equal(now().slot[0].state, GW_CONFIRMED);
    scene_damage(&dev, map[0].image.start); /* it is well again */
    starts(GW_CAUSE_POWER, GW_SLOT_A, GW_CONFIRMED, 0, 0);
    scene_damage(&dev, map[0].image.start);
    scene_damage(&dev, map[1].image.start);
    starts(GW_CAUSE_POWER, GW_SLOT_FACTORY, GW_EMPTY, 0, -GW_ERR_IMAGE_DIGEST);
    scene_damage(&dev, dev.layout.factory.start);
    starts_nothing(-GW_ERR_IMAGE_DIGEST);
    assert_int_equal(now().last, GW_SLOT_NONE);
}

static void a_crash_loop_goes_back(void **state)
{
    (void)state;
    slots(GW_PREVIOUS, GW_CONFIRMED);
    starts(GW_CAUSE_POWER, GW_SLOT_B, GW_CONFIRMED, 0, 0);
    for (unsigned i = 1; i < GW_BOOT_CRASHES; i++) {
        starts(GW_CAUSE_FAULT, GW_SLOT_B, GW_CONFIRMED, 0, 0);
    }
    starts(GW_CAUSE_FAULT, GW_SLOT_A, GW_CONFIRMED, 0, -GW_ERR_CRASH_LOOP);
    assert_int_equal(now().slot[1].state, GW_REJECTED);
    for (unsigned i = 1; i < GW_BOOT_CRASHES; i++) {
        starts(GW_CAUSE_FAULT, GW_SLOT_A, GW_CONFIRMED, 0, -GW_ERR_CRASH_LOOP);
        assert_int_equal(gw_device_steady(&dev.dev), GW_OK); /* forgotten every time */
    }
    starts(GW_CAUSE_FAULT, GW_SLOT_A, GW_CONFIRMED, 0, -GW_ERR_CRASH_LOOP);
}

static void a_device_without_factory_image_asks_for_recovery(void **state)
{
    (void)state;
    slots(GW_EMPTY, GW_EMPTY);
    starts_nothing(-GW_ERR_NO_IMAGE);
    slots(GW_CONFIRMED, GW_REJECTED);
    scene_damage(&dev, map[0].image.start);
    starts_nothing(-GW_ERR_IMAGE_DIGEST);
    scene_erase(&dev, dev.layout.identity);
    starts_nothing(-GW_ERR_TRUST_MISSING);
}

/* ---- Flash that fails -------------------------------------------------------------------------------------------- */

static void break_journal(enum flashsim_fault_kind kind)
{
    flashsim_arm(&dev.sim, 3);
    flashsim_add_fault(&dev.sim, (struct flashsim_fault){ kind, 0, 0, dev.layout.journal.start,
                                                          dev.layout.journal.size });
}

static void a_journal_that_cannot_be_written_does_not_stop_a_confirmed_image(void **state)
{
    (void)state;
    slots(GW_CONFIRMED, GW_STAGED);
    break_journal(FLASHSIM_REFUSE);
    /* not the trial: its attempt is not recorded */
    starts(GW_CAUSE_POWER, GW_SLOT_A, GW_CONFIRMED, 0, -GW_ERR_FLASH_ERASE);
    flashsim_arm(&dev.sim, 3);
    starts(GW_CAUSE_POWER, GW_SLOT_B, GW_TRYING, 0, 0); /* the journal is well again */
    break_journal(FLASHSIM_REFUSE);
    starts(GW_CAUSE_WATCHDOG, GW_SLOT_A, GW_CONFIRMED, 0, -GW_ERR_FLASH_ERASE);
    flashsim_arm(&dev.sim, 3);
    assert_int_equal(now().slot[1].state, GW_TRYING); /* and was not condemned for it */
    slots(GW_EMPTY, GW_STAGED); /* with nothing else to start there is recovery */
    break_journal(FLASHSIM_REFUSE);
    starts(GW_CAUSE_POWER, GW_SLOT_FACTORY, GW_EMPTY, 0, -GW_ERR_FLASH_ERASE);
    flashsim_arm(&dev.sim, 3);
}

static void an_unreadable_journal_is_rebuilt_from_the_images(void **state)
{
    (void)state;
    slots(GW_EMPTY, GW_CONFIRMED);
    break_journal(FLASHSIM_READ_FAILS);
    int err = simdev_boot(&dev, GW_CAUSE_POWER);
    flashsim_arm(&dev.sim, 3);
    assert_int_equal(err, GW_OK);
    assert_int_equal(dev.handover.slot, GW_SLOT_A); /* nothing can be recorded: the older one, which needs no record */
    assert_int_equal(dev.handover.state, GW_CONFIRMED);
    assert_int_not_equal(dev.handover.reason, 0);
}

static void an_unreadable_slot_is_passed_over(void **state)
{
    (void)state;
    slots(GW_CONFIRMED, GW_STAGED);
    flashsim_arm(&dev.sim, 3);
    flashsim_add_fault(&dev.sim, (struct flashsim_fault){ FLASHSIM_READ_FAILS, 0, 0, map[1].image.start, 4096 });
    starts(GW_CAUSE_POWER, GW_SLOT_A, GW_CONFIRMED, 0, -GW_ERR_FLASH_READ);
    flashsim_arm(&dev.sim, 3);
    assert_int_equal(now().slot[1].reason, -GW_ERR_FLASH_READ);
}

static void memory_must_suffice(void **state)
{
    uint32_t ops = dev.sim.ops;
    (void)state;

    assert_int_equal(gw_boot_run(&dev.dev, GW_CAUSE_POWER, dev.ram.memory, GW_VERIFY_MEMORY - 1, &dev.handover,
                                 &dev.watchdog, NULL), GW_ERR_SPACE);
    assert_int_equal(dev.sim.ops, ops);
}

/* ---- A journal that was lost ------------------------------------------------------------------------------------- */

static void lose_journal(void)
{
    flashsim_arm(&dev.sim, 5);
    flashsim_ruin(&dev.sim, dev.layout.journal);
}

static void two_images_the_newer_on_trial(void **state)
{
    struct gw_boot_state s;
    (void)state;

    slots(GW_PREVIOUS, GW_CONFIRMED);
    lose_journal();
    starts(GW_CAUSE_POWER, GW_SLOT_B, GW_TRYING, 0, -GW_ERR_JOURNAL_LOST);
    s = now();
    assert_int_equal(s.slot[0].state, GW_CONFIRMED);
    assert_memory_equal(s.slot[0].digest, r[0].r.digest, 32);
    assert_memory_equal(s.slot[1].digest, r[1].r.digest, 32);
    assert_int_equal(s.floor.sequence, 3); /* of the highest that their manifests ask for */
    assert_int_equal(gw_device_confirm(&dev.dev), GW_OK);
    starts(GW_CAUSE_POWER, GW_SLOT_B, GW_CONFIRMED, 0, 0);
}

static void one_image_confirmed(void **state)
{
    (void)state;
    scene_damage(&dev, map[1].image.start);
    lose_journal();
    starts(GW_CAUSE_POWER, GW_SLOT_A, GW_CONFIRMED, 0, -GW_ERR_JOURNAL_LOST);
    assert_int_equal(now().slot[1].state, GW_EMPTY);
    assert_int_equal(now().floor.sequence, 2);
    starts(GW_CAUSE_POWER, GW_SLOT_A, GW_CONFIRMED, 0, -GW_ERR_JOURNAL_LOST);
}

static void no_image_factory(void **state)
{
    (void)state;
    scene_erase(&dev, map[0].manifest);
    scene_erase(&dev, map[1].manifest);
    lose_journal();
    starts(GW_CAUSE_POWER, GW_SLOT_FACTORY, GW_EMPTY, 0, 0); /* as a new device: nothing was left */
    assert_int_equal(now().last, GW_SLOT_FACTORY);
}

static void no_image_recovery(void **state)
{
    (void)state;
    scene_erase(&dev, map[0].manifest);
    scene_erase(&dev, map[1].manifest);
    lose_journal();
    starts_nothing(-GW_ERR_NO_IMAGE);
    assert_int_equal(now().trust_active, 0);
}

static void the_newer_bundle_is_found_again(void **state)
{
    (void)state;
    scene_bundle_make(&dev, &bundle, 2, 0); /* revokes the author of release 5 */
    scene_put(&dev, dev.layout.trust[1], gwh_span(&bundle.bytes));
    lose_journal();
    starts(GW_CAUSE_POWER, GW_SLOT_B, GW_CONFIRMED, 0, -GW_ERR_JOURNAL_LOST); /* 6 alone is left */
    assert_int_equal(now().trust_active, 1);
    assert_int_equal(now().trust_pending, 0);
    assert_int_equal(now().slot[0].state, GW_EMPTY);
}

static void a_bundle_that_waited_waits_again(void **state)
{
    (void)state;
    scene_erase(&dev, map[1].manifest);
    scene_bundle_make(&dev, &bundle, 2, 0); /* revokes the author of all that is left */
    scene_put(&dev, dev.layout.trust[1], gwh_span(&bundle.bytes));
    lose_journal();
    starts(GW_CAUSE_POWER, GW_SLOT_A, GW_CONFIRMED, 0, -GW_ERR_JOURNAL_LOST);
    assert_int_equal(now().trust_active, 0);
    assert_int_equal(now().trust_pending, 1);
    starts(GW_CAUSE_POWER, GW_SLOT_A, GW_CONFIRMED, 0, -GW_ERR_JOURNAL_LOST);
}

static void no_bundle_no_image(void **state)
{
    (void)state;
    scene_erase(&dev, dev.layout.trust[0]);
    lose_journal();
    starts(GW_CAUSE_POWER, GW_SLOT_FACTORY, GW_EMPTY, 0, 0);
}

static void a_boot_record_of_another_version_is_a_lost_one(void **state)
{
    (void)state;
    slots(GW_PREVIOUS, GW_CONFIRMED);
    assert_int_equal(gw_journal_put(&dev.ram.journal, GW_REC_BOOT, (const uint8_t *)"\2", 1), GW_OK);
    starts(GW_CAUSE_POWER, GW_SLOT_B, GW_TRYING, 0, -GW_ERR_JOURNAL_LOST);
}

/* ---- The hand-over record ---------------------------------------------------------------------------------------- */

static void the_hand_over_is_as_the_specification_says(void **state)
{
    const struct gw_handover h = { GW_SLOT_B, GW_TRYING, 5, 1, GW_CAUSE_WATCHDOG, 130, 0x01020304 };
    static const uint8_t right[12] = { 'G', 1, 1, 2, 5, 1, 2, 130, 1, 2, 3, 4 };
    uint8_t *bytes = malloc(GW_HANDOVER_SIZE);
    struct gw_handover back;
    (void)state;

    gw_handover_encode(&h, bytes);
    assert_memory_equal(bytes, right, sizeof right);
    assert_int_equal(gw_get32(bytes + 12), gw_crc32(0, right, sizeof right));
    memset(&back, 0xa5, sizeof back);
    assert_int_equal(gw_handover_decode(&back, bytes), GW_OK);
    assert_int_equal(back.slot, h.slot);
    assert_int_equal(back.state, h.state);
    assert_int_equal(back.attempt, h.attempt);
    assert_int_equal(back.recovery, h.recovery);
    assert_int_equal(back.cause, h.cause);
    assert_int_equal(back.reason, h.reason);
    assert_int_equal(back.bootloader, h.bootloader);
    for (unsigned bit = 0; bit < 8 * GW_HANDOVER_SIZE; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(gw_handover_decode(&back, bytes), GW_ERR_FORMAT);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(bytes);
}

static void hand_overs_that_cannot_be(void **state)
{
    static const struct { unsigned at, value; int err; } cases[] = {
        { 1, 0, GW_ERR_VERSION }, { 1, 2, GW_ERR_VERSION }, { 2, 3, GW_OK }, { 2, 4, GW_ERR_VALUE },
        { 3, 5, GW_OK }, { 3, 6, GW_ERR_VALUE }, { 5, 1, GW_OK }, { 5, 2, GW_ERR_VALUE }, { 0, 'g', GW_ERR_FORMAT },
        { 4, 255, GW_OK }, { 6, 255, GW_OK }, { 7, 255, GW_OK },
    };
    uint8_t bytes[GW_HANDOVER_SIZE];
    struct gw_handover h = { 0 };
    (void)state;

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memset(&h, 0, sizeof h);
        gw_handover_encode(&h, bytes);
        bytes[cases[i].at] = (uint8_t)cases[i].value;
        gw_put32(bytes + 12, gw_crc32(0, bytes, 12)); /* a right checksum does not help */
        assert_int_equal(gw_handover_decode(&h, bytes), cases[i].err);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_confirmed_image_starts_and_nothing_is_written_twice), TEST(a_trial_is_counted_and_given_up),
        TEST(a_trial_that_confirms), TEST(a_trial_that_gives_up_itself),
        TEST(a_staged_image_that_does_not_verify_gets_the_reason_of_its_check),
        TEST(a_confirmed_image_that_fails_its_check_is_passed_over_and_that_is_told), TEST(a_crash_loop_goes_back),
        cmocka_unit_test_setup_teardown(a_device_without_factory_image_asks_for_recovery, setup_limited, teardown),
        TEST(a_journal_that_cannot_be_written_does_not_stop_a_confirmed_image),
        TEST(an_unreadable_journal_is_rebuilt_from_the_images), TEST(an_unreadable_slot_is_passed_over),
        TEST(memory_must_suffice), TEST(two_images_the_newer_on_trial), TEST(one_image_confirmed),
        TEST(no_image_factory),
        cmocka_unit_test_setup_teardown(no_image_recovery, setup_limited, teardown),
        TEST(the_newer_bundle_is_found_again), TEST(a_bundle_that_waited_waits_again), TEST(no_bundle_no_image),
        TEST(a_boot_record_of_another_version_is_a_lost_one),
        cmocka_unit_test(the_hand_over_is_as_the_specification_says), cmocka_unit_test(hand_overs_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
