/*
 * test_patch_install.c - the real codec in an install: a delta and a compressed image, made by the author's encoder,
 * staged and streamed, interrupted after every frame and at sampled power cuts.
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
#include "patch.h"

#define SIZE 150000u
#define UNIT 32768u

static struct simdev d;
static struct simdev_release one, two;
static struct gwh_buf old_image, new_image, content;
static uint64_t memory[20u * 1024u / 8u];
static struct gw_decoding decoding;

/* Something like firmware: code that repeats itself, tables of addresses; then the same with changes. */
static void make_images(void)
{
    uint32_t x = 12345;
    uint8_t *p, *q;

    assert_int_equal(gwh_buf_grow(&old_image, SIZE, &p), GW_OK);
    for (uint32_t i = 0; i < SIZE; i++) {
        x = x * 1664525u + 1013904223u;
        p[i] = i >= 700 && (x >> 28) < 11 ? p[i - 700 + (x >> 24) % 3] : (uint8_t)(x >> 16);
    }
    for (uint32_t i = 0; i + 4 <= 8000; i += 4) { /* pointers into it */
        gw_put32(p + 90000 + i, (0x42000000u + i * 11u) << 8 | 0x42u);
    }
    assert_int_equal(gwh_buf_grow(&new_image, SIZE + 64, &q), GW_OK);
    memcpy(q, p, 60000);
    memset(q + 60000, 0x13, 64);
    memcpy(q + 60064, p + 60000, SIZE - 60000);
    for (uint32_t i = 1000; i < SIZE; i += 9973) {
        q[i] ^= 0x21;
    }
}

/* Release 1 is installed and confirmed. */
static void run_one(void)
{
    (void)simdev_boot(&d, GW_CAUSE_POWER);
    assert_int_equal(simdev_mount(&d), GW_OK);
    assert_int_equal(simdev_install(&d, &one, 0), GW_DONE);
    (void)simdev_boot(&d, GW_CAUSE_SOFTWARE);
    assert_int_equal(simdev_mount(&d), GW_OK);
    assert_int_equal(gw_device_confirm(&d.dev), GW_OK);
    d.fetched = 0;
}

/* A device with release 1 confirmed; release 2 encoded from it (delta) or by itself. */
static void start(bool delta, uint32_t unit, uint32_t profile)
{
    const struct simdev_config config = { .erase = SIMDEV_BIG, .write_size = 4, .erased = 0xff, .frame_size = 1024,
                                          .image_size = SIZE };
    const struct gwh_patch_options options = { .isa = GW_ISA_THUMB, .base_given = true, .base = 0x42000000,
                                               .base_new = 0x42000000, .profile = profile, .unit = unit };

    make_images();
    simdev_init(&d, &config);
    simdev_provision(&d);
    simdev_release(&d, &one, &(struct simdev_wish){ .sequence = 1, .coded = true, .image = gwh_span(&old_image),
                                                    .content = { (const uint8_t *)"XX", 2 } });
    assert_int_equal(gwh_patch_make(&content, delta ? gwh_span(&old_image) : (struct gw_span){ NULL, 0 },
                                    gwh_span(&new_image), &options), GW_OK);
    simdev_release(&d, &two, &(struct simdev_wish){ .sequence = 2, .coded = true, .encrypted = true,
                                                    .from = delta ? &one : NULL, .image = gwh_span(&new_image),
                                                    .content = gwh_span(&content),
                                                    .decoder_ram = gw_patch_codec.ram(profile) });
    decoding = (struct gw_decoding){ &gw_patch_codec, memory, gw_patch_codec.room(profile), gwh_isas };
    d.decoding = &decoding;
    run_one();
}

static int stop(void **state)
{
    (void)state;
    simdev_release_free(&one);
    simdev_release_free(&two);
    simdev_free(&d);
    gwh_buf_free(&old_image);
    gwh_buf_free(&new_image);
    gwh_buf_free(&content);
    return 0;
}

static int again(void)
{
    (void)simdev_boot(&d, GW_CAUSE_POWER);
    assert_int_equal(simdev_mount(&d), GW_OK);
    return simdev_open(&d, &two);
}

static void runs_two(void)
{
    (void)simdev_boot(&d, GW_CAUSE_SOFTWARE);
    assert_int_equal(d.handover.slot, GW_SLOT_B);
    assert_true(simdev_holds(&d, &two, GW_SLOT_B));
}

static void staged(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) { /* delta, compressed; both profiles */
        start(i % 2 == 0, 0, i / 2);
        assert_int_equal(simdev_open(&d, &two), GW_OK);
        int status = GW_MORE;
        while ((status = simdev_go_on(&d, &two, 1)) == GW_MORE) {
            assert_int_equal(d.ram.inst.phase, GW_PHASE_STORE);
            assert_int_equal(again(), GW_OK);
        }
        assert_int_equal(status, GW_DONE);
        assert_int_equal(d.fetched, two.file[0].n);
        assert_true(two.file[0].n < (i % 2 == 0 ? SIZE / 20 : SIZE));
        runs_two();
        stop(NULL);
    }
    make_images(); /* for stop() */
}

/* The slot is full but for the image: no room to stage. */
static void no_room(void)
{
    struct gw_slot_map map;

    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(gw_layout_slot(&d.sim.flash, &d.layout, (enum gw_slot)i, &map), GW_OK);
        uint32_t image = (SIZE + 64 + 4095) / 4096 * 4096;
        d.layout.slot[i].start += map.image.size - image;
        d.layout.slot[i].size -= map.image.size - image;
    }
    assert_int_equal(gw_layout_check(&d.sim.flash, &d.layout), GW_OK);
}

/* After each number of frames power is lost, the RAM with it: no more than the unit's frames are fetched again. */
static void streamed(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        uint32_t frames = 1, frame = 1056;
        start(i == 0, UNIT, GW_PATCH_RAM_16K);
        no_room();
        flashsim_ruin(&d.sim, d.layout.journal); /* the slots moved: begin again */
        run_one();
        unsigned slot = d.handover.slot;
        unsigned cuts = 0;
        assert_int_equal(simdev_open(&d, &two), GW_OK);
        int status;
        while ((status = simdev_go_on(&d, &two, frames)) == GW_MORE) {
            assert_int_equal(d.ram.inst.phase, GW_PHASE_STREAM);
            frames += 5;
            cuts++;
            assert_int_equal(again(), GW_OK);
        }
        assert_int_equal(status, GW_DONE);
        assert_true(d.fetched <= two.file[0].n + cuts * (UNIT + 2 * frame));
        (void)simdev_boot(&d, GW_CAUSE_SOFTWARE);
        assert_int_equal(d.handover.slot, slot ^ 1u);
        assert_true(simdev_holds(&d, &two, (enum gw_slot)(slot ^ 1u)));
        stop(NULL);
    }
    make_images();
}

/* Power is cut after sampled flash operations, again and again, ever later; the install goes on and ends well. */
static void sampled_cuts(void **state)
{
    static jmp_buf out;
    static uint32_t cuts;

    (void)state;
    cuts = 0;
    start(true, 0, GW_PATCH_RAM_16K);
    if (setjmp(out) != 0) {
        cuts++;
        flashsim_restart(&d.sim);
    }
    flashsim_arm(&d.sim, 1);
    d.sim.out = &out;
    flashsim_cut_at(&d.sim, (struct flashsim_cut){ .op = 5 + 41 * cuts, .shape = FLASHSIM_AFTER });
    assert_int_equal(again(), GW_OK);
    assert_int_equal(simdev_go_on(&d, &two, 0), GW_DONE);
    assert_true(cuts > 5);
    assert_true(d.fetched <= two.file[0].n + cuts * 1056);
    flashsim_arm(&d.sim, 1);
    runs_two();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(staged, stop),
        cmocka_unit_test_teardown(streamed, stop),
        cmocka_unit_test_teardown(sampled_cuts, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
