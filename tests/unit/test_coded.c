/*
 * test_coded.c - encoded payloads in an install: staged, streamed, given up for the next payload in the list, damaged
 * on flash, nonsense. The codec is the tests' own (fastcodec); test_patch_install has the real one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device.h"
#include "installer.h"

static struct simdev d;
static struct simdev_release one, two;
static unsigned passed_count;
static int passed_reason;

static void boot_and_mount(enum gw_cause cause)
{
    (void)simdev_boot(&d, cause);
    assert_int_equal(simdev_mount(&d), GW_OK);
}

/* A device that runs release 1, confirmed, in slot A; release 2 as wished. */
static void start(struct simdev_wish wish)
{
    const struct simdev_config config = { .erase = SIMDEV_4K, .write_size = 8, .erased = 0xff, .image_size = 3000 };

    simdev_init(&d, &config);
    simdev_provision(&d);
    simdev_release(&d, &one, &(struct simdev_wish){ .sequence = 1 });
    wish.sequence = 2;
    wish.coded = true;
    wish.encrypted = true;
    simdev_release(&d, &two, &wish);
    boot_and_mount(GW_CAUSE_POWER);
    assert_int_equal(simdev_install(&d, &one, 0), GW_DONE);
    boot_and_mount(GW_CAUSE_SOFTWARE);
    assert_int_equal(gw_device_confirm(&d.dev), GW_OK);
    boot_and_mount(GW_CAUSE_SOFTWARE);
    d.fetched = 0;
    passed_count = 0;
}

static int stop(void **state)
{
    (void)state;
    simdev_release_free(&one);
    simdev_release_free(&two);
    simdev_free(&d);
    return 0;
}

/* Power is lost; the image that runs is the same, the install is opened again. */
static int again(void)
{
    boot_and_mount(GW_CAUSE_POWER);
    return simdev_open(&d, &two);
}

/* Opens the install and delivers one frame. */
static void begin(enum gw_install_phase phase)
{
    assert_int_equal(simdev_open(&d, &two), GW_OK);
    assert_int_equal(simdev_go_on(&d, &two, 1), GW_MORE);
    assert_int_equal(d.ram.inst.phase, phase);
}

static void runs_two(void)
{
    boot_and_mount(GW_CAUSE_SOFTWARE);
    assert_int_equal(d.handover.slot, GW_SLOT_B);
    assert_true(simdev_holds(&d, &two, GW_SLOT_B));
}

static void note_passed(void *ctx, uint32_t component, uint32_t variant, uint32_t payload, int reason)
{
    (void)ctx;
    (void)component;
    (void)variant;
    passed_count++;
    passed_reason = reason;
    assert_int_equal(payload, 0);
}

/* ---- Staged ------------------------------------------------------------------------------------------------------ */

static void a_delta_that_fits_is_stored_and_then_applied(void **state)
{
    (void)state;
    start((struct simdev_wish){ .from = &one });
    begin(GW_PHASE_STORE);
    assert_true(two.file[0].n < two.image[0].n / 2);
    struct gw_area stage = d.ram.inst.stage;
    assert_int_equal(simdev_go_on(&d, &two, 0), GW_DONE);
    assert_int_equal(d.fetched, two.file[0].n);
    /* as it came: ciphertext, hashes and all, to be checked again */
    uint8_t *stored = malloc(two.file[0].n);
    assert_non_null(stored);
    assert_int_equal(gw_flash_read(&d.sim.flash, stage.start, stored, (uint32_t)two.file[0].n), GW_OK);
    assert_memory_equal(stored, two.file[0].p, two.file[0].n);
    free(stored);
    runs_two();
}

static void nothing_staged_is_fetched_twice(void **state)
{
    (void)state;
    start((struct simdev_wish){ .from = &one });
    assert_int_equal(simdev_open(&d, &two), GW_OK);
    for (unsigned polls = 0;; polls++) { /* the power goes after every poll but the last ones of applying */
        int status = simdev_go_on(&d, &two, 1);
        if (status == GW_DONE) {
            break;
        }
        assert_int_equal(status, GW_MORE);
        assert_int_equal(again(), GW_OK);
    }
    assert_int_equal(d.fetched, two.file[0].n);
    runs_two();
}

/* Progress never goes back, and what is stored counts as done while it is applied. */
static void progress_only_grows(void **state)
{
    struct gw_progress p;
    uint32_t before = 0;
    int status = GW_MORE;

    (void)state;
    start((struct simdev_wish){ .from = &one });
    assert_int_equal(simdev_open(&d, &two), GW_OK);
    while (status != GW_DONE) {
        status = simdev_go_on(&d, &two, 1);
        if (status != GW_DONE) {
            gw_install_progress(&d.ram.inst, &p);
            assert_true(p.done >= before && p.done <= p.total);
            assert_int_equal(p.total, two.file[0].n);
            before = p.done;
        }
    }
    assert_true(before > 0);
}

static void a_stored_frame_that_fades_is_found(void **state)
{
    (void)state;
    start((struct simdev_wish){ .from = &one });
    begin(GW_PHASE_STORE);
    flashsim_poke(&d.sim, d.ram.inst.stage.start + 100, 0x00);
    assert_int_equal(simdev_go_on(&d, &two, 0), GW_ERR_FLASH_VERIFY);
    assert_int_equal(gw_install_abort(&d.ram.inst, false), GW_OK);
    assert_int_equal(again(), GW_OK); /* the next attempt fetches it afresh */
    assert_int_equal(simdev_go_on(&d, &two, 0), GW_DONE);
    runs_two();
}

/* ---- Streamed ---------------------------------------------------------------------------------------------------- */

static void what_does_not_fit_is_streamed(void **state)
{
    (void)state;
    start((struct simdev_wish){ .from = &one, .padding = 900 });
    begin(GW_PHASE_STREAM);
    assert_int_equal(simdev_go_on(&d, &two, 0), GW_DONE);
    assert_int_equal(d.fetched, two.file[0].n);
    runs_two();
}

/* After each number of frames: at most a restart unit and the frames it lies in are fetched again. */
static void a_stream_goes_back_one_unit_at_most(void **state)
{
    const uint32_t unit = 900 + 3 + 2 + SIMDEV_UNIT / 32 * 39, frame = 544;

    (void)state;
    for (uint32_t frames = 1; frames < 12; frames++) {
        start((struct simdev_wish){ .padding = 900 });
        assert_int_equal(simdev_install(&d, &two, frames), GW_MORE);
        assert_int_equal(again(), GW_OK);
        assert_int_equal(simdev_go_on(&d, &two, 0), GW_DONE);
        assert_true(d.fetched <= two.file[0].n + unit + 2 * frame);
        assert_true(frames < 8 || d.fetched < two.file[0].n + frames * frame); /* and not from the start */
        runs_two();
        stop(NULL);
    }
    start((struct simdev_wish){ 0 });
}

/* ---- Given up for the next payload ------------------------------------------------------------------------------- */

static void a_damaged_precursor_means_the_next_payload(void **state)
{
    (void)state;
    start((struct simdev_wish){ .from = &one });
    assert_int_equal(simdev_open(&d, &two), GW_OK);
    d.ram.install.passed = note_passed;
    flashsim_poke(&d.sim, d.layout.slot[0].start + 1234, 0x00);
    assert_int_equal(simdev_go_on(&d, &two, 2), GW_MORE);
    assert_int_equal(passed_count, 1);
    assert_int_equal(passed_reason, GW_ERR_PRECURSOR);
    assert_int_equal(d.ram.inst.phase, GW_PHASE_RAW);
    /* an interruption, and the choice is remembered: nothing is fetched twice */
    assert_int_equal(simdev_mount(&d), GW_OK);
    assert_int_equal(simdev_open(&d, &two), GW_OK);
    assert_int_equal(d.ram.inst.plan.choice[0].payload, 1);
    assert_int_equal(simdev_go_on(&d, &two, 0), GW_DONE);
    assert_int_equal(d.fetched, two.file[2].n);
    boot_and_mount(GW_CAUSE_SOFTWARE);
    assert_int_equal(d.handover.slot, GW_SLOT_B);
}

static void an_instruction_set_that_is_not_here_means_the_next_payload(void **state)
{
    struct gw_progress p;

    (void)state;
    start((struct simdev_wish){ .spoil = SIMDEV_OTHER_ISA, .padding = 900 });
    assert_int_equal(simdev_open(&d, &two), GW_OK);
    d.ram.install.passed = note_passed;
    assert_int_equal(simdev_go_on(&d, &two, 0), GW_DONE);
    assert_int_equal(passed_reason, GW_ERR_ENCODING);
    gw_install_progress(&d.ram.inst, &p);
    runs_two();
}

static void a_device_without_a_decoder_takes_the_raw_one(void **state)
{
    (void)state;
    start((struct simdev_wish){ .from = &one });
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(simdev_open(&d, &two), GW_OK);
        assert_int_equal(gw_install_abort(&d.ram.inst, false), GW_OK);
        d.ram.decoding.size = sizeof(struct gw_patch) + 15; /* one byte too few */
        d.ram.install.decoding = i == 0 ? NULL : &d.ram.decoding;
        assert_int_equal(gw_install_open(&d.ram.inst, &d.ram.install, &d.ram.offer), GW_OK);
        assert_int_equal(d.ram.inst.phase, GW_PHASE_RAW);
        assert_int_equal(d.ram.inst.plan.choice[0].payload, 1);
        assert_int_equal(gw_install_abort(&d.ram.inst, false), GW_OK);
    }
}

/* ---- What no author's tool would sign ---------------------------------------------------------------------------- */

static void ends_in(struct simdev_wish wish, int error)
{
    struct gw_boot_state s;

    start(wish);
    assert_int_equal(simdev_install(&d, &two, 0), error);
    assert_int_equal(gw_install_poll(&d.ram.inst), error); /* it stays */
    assert_int_equal(gw_install_abort(&d.ram.inst, false), GW_OK);
    boot_and_mount(GW_CAUSE_POWER);
    assert_int_equal(d.handover.slot, GW_SLOT_A);
    assert_int_equal(gw_device_state(&d.dev, &s), GW_OK);
    assert_int_equal(s.slot[1].state, GW_EMPTY);
    stop(NULL);
}

static void payloads_that_do_not_decode(void **state)
{
    (void)state;
    for (uint32_t padding = 0; padding <= 900; padding += 900) { /* staged, streamed */
        ends_in((struct simdev_wish){ .from = &one, .padding = padding, .spoil = SIMDEV_CUT_SHORT }, GW_ERR_DECODE);
        ends_in((struct simdev_wish){ .from = &one, .padding = padding, .spoil = SIMDEV_TOO_LONG }, GW_ERR_DECODE);
        ends_in((struct simdev_wish){ .from = &one, .padding = padding, .spoil = SIMDEV_NONSENSE }, GW_ERR_DECODE);
    }
    start((struct simdev_wish){ 0 });
}

/* The decoder is trusted with nothing: not even with the size of the image. */
static int say_too_much(struct gw_patch *p, uint8_t *out, size_t room, size_t *n)
{
    (void)p;
    memset(out, 0x33, room);
    *n = room;
    return GW_MORE;
}

static void a_decoder_that_says_too_much_is_stopped(void **state)
{
    struct gw_codec rogue = fastcodec;
    struct gw_slot_map map;
    uint8_t behind;

    (void)state;
    start((struct simdev_wish){ .from = &one });
    rogue.poll = say_too_much;
    struct gw_decoding decoding = { &rogue, d.ram.decoder, sizeof d.ram.decoder, NULL };
    d.decoding = &decoding;
    assert_int_equal(gw_layout_slot(&d.sim.flash, &d.layout, GW_SLOT_B, &map), GW_OK);
    assert_int_equal(simdev_install(&d, &two, 0), GW_ERR_DECODE);
    assert_int_equal(gw_flash_read(&d.sim.flash, map.image.start + 3072, &behind, 1), GW_OK);
    assert_int_equal(behind, 0xff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_delta_that_fits_is_stored_and_then_applied, stop),
        cmocka_unit_test_teardown(nothing_staged_is_fetched_twice, stop),
        cmocka_unit_test_teardown(progress_only_grows, stop),
        cmocka_unit_test_teardown(a_stored_frame_that_fades_is_found, stop),
        cmocka_unit_test_teardown(what_does_not_fit_is_streamed, stop),
        cmocka_unit_test_teardown(a_stream_goes_back_one_unit_at_most, stop),
        cmocka_unit_test_teardown(a_damaged_precursor_means_the_next_payload, stop),
        cmocka_unit_test_teardown(an_instruction_set_that_is_not_here_means_the_next_payload, stop),
        cmocka_unit_test_teardown(a_device_without_a_decoder_takes_the_raw_one, stop),
        cmocka_unit_test_teardown(payloads_that_do_not_decode, stop),
        cmocka_unit_test_teardown(a_decoder_that_says_too_much_is_stopped, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
