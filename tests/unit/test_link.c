/*
 * test_link.c - the installer against a link that lies and a caller that errs: what it takes, refuses, asks again, and
 * what the slots look like afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cose.h"
#include "device.h"
#include "slots.h"

static struct simdev d;
static struct simdev_release one, two;

static void boot_and_mount(enum gw_cause cause)
{
    (void)simdev_boot(&d, cause);
    assert_int_equal(simdev_mount(&d), GW_OK);
}

/* A device that runs release 1, confirmed, in slot A. */
static int start(void **state)
{
    const struct simdev_config config = { .erase = SIMDEV_4K, .write_size = 8, .erased = 0xff, .data = true };

    (void)state;
    simdev_init(&d, &config);
    simdev_provision(&d);
    simdev_release(&d, &one, &(struct simdev_wish){ .sequence = 1 });
    simdev_release(&d, &two, &(struct simdev_wish){ .sequence = 2, .encrypted = true, .data = 1, .floor = 2 });
    boot_and_mount(GW_CAUSE_POWER);
    assert_int_equal(simdev_install(&d, &one, 0), GW_DONE);
    boot_and_mount(GW_CAUSE_SOFTWARE);
    assert_int_equal(gw_device_confirm(&d.dev), GW_OK);
    boot_and_mount(GW_CAUSE_SOFTWARE);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    simdev_release_free(&one);
    simdev_release_free(&two);
    simdev_free(&d);
    return 0;
}

/* Polls until it wants bytes; GW_DONE or an error ends it too. */
static int until_want(void)
{
    int status;

    do {
        status = gw_install_poll(&d.ram.inst);
    } while (status == GW_MORE);
    return status;
}

static const struct gwh_buf *file_of(const struct gw_want *w)
{
    return memcmp(w->payload, two.name[0], 32) == 0 ? &two.file[0] : &two.file[1];
}

/* Delivers one frame; `flip` damages its last byte. */
static void deliver(bool flip)
{
    struct gw_want w;
    uint8_t frame[600];
    size_t used;

    assert_int_equal(gw_install_want(&d.ram.inst, &w), GW_OK);
    assert_true(w.frame <= sizeof frame && w.frame <= w.longest);
    memcpy(frame, file_of(&w)->p + w.offset, w.frame);
    frame[w.frame - 1] ^= flip;
    assert_int_equal(gw_install_push(&d.ram.inst, frame, w.frame, &used), GW_OK);
    assert_int_equal(used, w.frame);
}

static void a_bad_frame_is_asked_again(void **state)
{
    struct gw_want before, after;
    struct gw_progress p;

    (void)state;
    assert_int_equal(simdev_open(&d, &two), GW_OK);
    assert_int_equal(until_want(), GW_WANT);
    deliver(false);
    assert_int_equal(until_want(), GW_WANT);
    assert_int_equal(gw_install_want(&d.ram.inst, &before), GW_OK);
    assert_int_equal(before.offset, 544);
    for (unsigned i = 0; i < 2; i++) {
        deliver(true);
        assert_int_equal(gw_install_poll(&d.ram.inst), GW_ERR_FRAME_HASH);
        assert_int_equal(until_want(), GW_WANT);
        assert_int_equal(gw_install_want(&d.ram.inst, &after), GW_OK);
        assert_int_equal(after.offset, before.offset);
    }
    gw_install_progress(&d.ram.inst, &p);
    assert_int_equal(p.asked_again, 2 * 544);
    assert_int_equal(p.done, 544);
    deliver(false); /* the third is right: it counts anew */
    assert_int_equal(until_want(), GW_WANT);
    assert_int_equal(simdev_go_on(&d, &two, 0), GW_DONE);
    assert_true(simdev_holds(&d, &two, GW_SLOT_B));
}

static void three_bad_frames_give_the_source_up(void **state)
{
    (void)state;
    assert_int_equal(simdev_open(&d, &two), GW_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(until_want(), GW_WANT);
        deliver(true);
        assert_int_equal(gw_install_poll(&d.ram.inst), i < 2 ? GW_ERR_FRAME_HASH : GW_ERR_SOURCE);
    }
    assert_int_equal(gw_install_poll(&d.ram.inst), GW_ERR_SOURCE);
    assert_int_equal(gw_install_finish(&d.ram.inst), GW_ERR_SOURCE);
}

/* Nothing of an unchecked frame reaches the flash: a bad one leaves the target as it was. */
static void a_bad_frame_writes_nothing(void **state)
{
    (void)state;
    assert_int_equal(simdev_open(&d, &two), GW_OK);
    assert_int_equal(until_want(), GW_WANT);
    uint32_t operations = d.sim.ops;
    deliver(true);
    assert_int_equal(gw_install_poll(&d.ram.inst), GW_ERR_FRAME_HASH);
    assert_int_equal(d.sim.ops, operations);
    assert_int_equal(*flashsim_peek(&d.sim, d.layout.slot[1].start), 0xff);
}

static void bytes_in_any_pieces(void **state)
{
    struct gw_want w;
    uint32_t n = 1;

    (void)state;
    assert_int_equal(simdev_open(&d, &two), GW_OK);
    int status;
    while ((status = until_want()) == GW_WANT) {
        size_t used;
        assert_int_equal(gw_install_want(&d.ram.inst, &w), GW_OK);
        n = n * 5 % 1537; /* also more than a frame: then only the rest of the frame is taken */
        size_t give = n < w.longest ? n : w.longest;
        assert_int_equal(gw_install_push(&d.ram.inst, file_of(&w)->p + w.offset, give, &used), GW_OK);
        assert_int_equal(used, give < w.frame ? give : w.frame);
    }
    assert_int_equal(status, GW_DONE);
    assert_int_equal(gw_install_finish(&d.ram.inst), GW_OK);
    assert_true(simdev_holds(&d, &two, GW_SLOT_B));
}

static void called_out_of_order(void **state)
{
    struct gw_want w;
    size_t used;

    (void)state;
    assert_int_equal(simdev_open(&d, &two), GW_OK);
    assert_int_equal(gw_install_want(&d.ram.inst, &w), GW_ERR_STATE);
    assert_int_equal(gw_install_finish(&d.ram.inst), GW_ERR_STATE);
    assert_int_equal(until_want(), GW_WANT);
    assert_int_equal(gw_install_end(&d.ram.inst), GW_ERR_PAYLOAD_SHORT);
    assert_int_equal(simdev_go_on(&d, &two, 3), GW_MORE);
    assert_int_equal(gw_install_abort(&d.ram.inst, false), GW_OK);
    assert_int_equal(gw_install_poll(&d.ram.inst), GW_ERR_STATE);
    assert_int_equal(gw_install_push(&d.ram.inst, one.file[0].p, 10, &used), GW_ERR_STATE);
    assert_int_equal(used, 0);
}

static void more_bytes_than_signed(void **state)
{
    struct gw_want w;
    size_t used;

    (void)state;
    assert_int_equal(simdev_open(&d, &two), GW_OK);
    for (;;) {
        assert_int_equal(until_want(), GW_WANT);
        deliver(false);
        if (gw_install_poll(&d.ram.inst) == GW_MORE && gw_install_poll(&d.ram.inst) == GW_MORE &&
            gw_install_want(&d.ram.inst, &w) == GW_ERR_STATE) {
            break; /* the last frame was written: reading back */
        }
    }
    assert_int_equal(gw_install_push(&d.ram.inst, one.file[0].p, 10, &used), GW_ERR_PAYLOAD_LONG);
}

static uint32_t state_of(enum gw_slot slot)
{
    struct gw_boot_state s;

    assert_int_equal(gw_device_state(&d.dev, &s), GW_OK);
    return s.slot[slot].state;
}

static void an_aborted_install_continues_unless_forgotten(void **state)
{
    struct gw_progress p;

    (void)state;
    assert_int_equal(simdev_install(&d, &two, 4), GW_MORE);
    assert_int_equal(gw_install_abort(&d.ram.inst, false), GW_OK);
    assert_int_equal(simdev_open(&d, &two), GW_OK);
    gw_install_progress(&d.ram.inst, &p);
    assert_int_equal(p.done, 4 * 544);
    assert_int_equal(gw_install_abort(&d.ram.inst, true), GW_OK);
    assert_int_equal(simdev_open(&d, &two), GW_OK);
    gw_install_progress(&d.ram.inst, &p);
    assert_int_equal(p.done, 0);
    assert_int_equal(state_of(GW_SLOT_B), GW_EMPTY);
    assert_int_equal(state_of(GW_SLOT_A), GW_CONFIRMED);
}

/* What was stored is not believed: a byte that changed in the slot is found before it is staged. */
static void what_was_stored_is_read_back(void **state)
{
    (void)state;
    assert_int_equal(simdev_install(&d, &two, 9), GW_MORE);
    flashsim_poke(&d.sim, d.layout.slot[1].start + 700, (uint8_t)~two.image[0].p[700]);
    assert_int_equal(simdev_go_on(&d, &two, 0), GW_ERR_IMAGE_DIGEST);
    assert_int_equal(state_of(GW_SLOT_B), GW_EMPTY);
    boot_and_mount(GW_CAUSE_SOFTWARE);
    assert_int_equal(d.handover.slot, GW_SLOT_A);
    assert_int_equal(simdev_install(&d, &two, 0), GW_DONE); /* afresh, and well */
}

static void a_staged_release_is_done(void **state)
{
    (void)state;
    assert_int_equal(simdev_install(&d, &two, 0), GW_DONE);
    uint64_t fetched = d.fetched;
    assert_int_equal(simdev_install(&d, &two, 0), GW_DONE);
    assert_int_equal(d.fetched, fetched);
    assert_int_equal(state_of(GW_SLOT_B), GW_STAGED);
}

static void a_trial_installs_nothing(void **state)
{
    struct simdev_release three;

    (void)state;
    simdev_release(&d, &three, &(struct simdev_wish){ .sequence = 3 });
    assert_int_equal(simdev_install(&d, &two, 0), GW_DONE);
    boot_and_mount(GW_CAUSE_SOFTWARE);
    assert_int_equal(d.handover.state, GW_TRYING);
    assert_int_equal(simdev_open(&d, &three), GW_ERR_NOT_CONFIRMED);
    assert_int_equal(gw_device_confirm(&d.dev), GW_OK);
    d.handover.slot ^= 1u; /* a caller that confuses its slots would write the one that runs */
    assert_int_equal(simdev_open(&d, &three), GW_ERR_STATE);
    d.handover.slot ^= 1u;
    assert_int_equal(simdev_install(&d, &three, 0), GW_DONE);
    assert_true(simdev_holds(&d, &two, GW_SLOT_B));
    simdev_release_free(&three);
}

static void refused(const struct simdev_wish *wish, int wanted)
{
    struct simdev_release r;

    simdev_release(&d, &r, wish);
    uint32_t operations = d.sim.ops;
    assert_int_equal(simdev_open(&d, &r), wanted);
    assert_int_equal(d.sim.ops, operations); /* and nothing was written */
    simdev_release_free(&r);
}

static void refuses_what_it_must(void **state)
{
    bool pending;

    (void)state;
    refused(&(struct simdev_wish){ .sequence = 1, .data = 9 }, GW_ERR_OLDER);
    two.grant.p[two.grant.n - 3] ^= 1;
    assert_int_equal(simdev_open(&d, &two), GW_ERR_KEY_CHECK);
    two.grant.n = 0;
    assert_int_equal(simdev_open(&d, &two), GW_ERR_NO_KEY);
    two.manifest.p[two.manifest.n - 1] ^= 1;
    assert_int_equal(simdev_open(&d, &two), GW_ERR_SIGNATURE);
    /* The waiting bundle counts for what comes in. */
    assert_int_equal(simdev_trust(&d, 2, &pending), GW_OK);
    assert_true(pending);
    refused(&(struct simdev_wish){ .sequence = 3 }, GW_ERR_KEY_REVOKED);
}

static void bundles_only_grow(void **state)
{
    bool pending;

    (void)state;
    assert_int_equal(simdev_trust(&d, 0, &pending), GW_DONE);
    assert_int_equal(simdev_trust(&d, 1, &pending), GW_OK);
    assert_false(pending);
    assert_int_equal(simdev_trust_version(&d), 2);
    assert_int_equal(simdev_trust(&d, 0, &pending), GW_ERR_TRUST_OLDER);
    d.trust[1].p[d.trust[1].n - 1] ^= 1;
    assert_int_not_equal(simdev_trust(&d, 1, &pending), GW_OK);
    assert_int_equal(simdev_trust_version(&d), 2);
    assert_int_equal(simdev_boot(&d, GW_CAUSE_SOFTWARE), GW_OK);
}

/* A bundle that can no longer be read does not take every image with it: the one before it serves. */
static void a_damaged_bundle_is_replaced_by_the_other(void **state)
{
    bool pending;

    (void)state;
    assert_int_equal(simdev_trust(&d, 1, &pending), GW_OK);
    flashsim_poke(&d.sim, d.layout.trust[1].start + 100, 0x11);
    assert_int_equal(simdev_boot(&d, GW_CAUSE_POWER), GW_OK);
    assert_int_equal(d.handover.state, GW_CONFIRMED);
    assert_int_equal(simdev_trust_version(&d), 1);
}

/* A head's serial is kept: no server goes back behind it. */
static void heads_only_grow(void **state)
{
    struct gwh_buf cose[2] = { { 0 }, { 0 } };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct gwh_head h = {
            .channel = "stable", .class_id = "class", .latest = { 1, 5 }, .issued_at = 9, .serial = 7 + i
        };
        struct gwh_buf map = { 0 };
        assert_int_equal(gwh_head_map(&map, &h), 0);
        assert_int_equal(gwh_sign_map(&cose[i], d.crypto->gw, GW_TYPE_HEAD, gwh_span(&map), &d.distributor.signer, 1),
                         0);
        gwh_buf_free(&map);
    }
    const int wanted[3] = { GW_OK, GW_OK, GW_ERR_HEAD_OLDER };
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(simdev_open(&d, &one) < 0, true);
        d.ram.offer = (struct gw_release){ .manifest = gwh_span(&two.manifest), .grant = { gwh_span(&two.grant) },
                                           .grant_count = 1, .head = gwh_span(&cose[i % 2]) };
        assert_int_equal(gw_install_open(&d.ram.inst, &d.ram.install, &d.ram.offer), wanted[i]);
    }
    gwh_buf_free(&cose[0]);
    gwh_buf_free(&cose[1]);
}

/* Five releases that failed: the last four, and what the slot holds, stay known. */
static void rejected_releases_stay_known(void **state)
{
    struct simdev_release r[5];

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        simdev_release(&d, &r[i], &(struct simdev_wish){ .sequence = 10 + i });
        assert_int_equal(simdev_install(&d, &r[i], 0), GW_DONE);
        boot_and_mount(GW_CAUSE_SOFTWARE);
        assert_int_equal(gw_device_reject(&d.dev, GW_ERR_SELF_TEST), GW_OK);
        boot_and_mount(GW_CAUSE_SOFTWARE);
        assert_int_equal(d.handover.reason, -GW_ERR_SELF_TEST);
        for (unsigned k = 0; k <= i; k++) {
            assert_int_equal(simdev_open(&d, &r[k]), GW_ERR_REJECTED_BEFORE);
        }
    }
    for (unsigned i = 0; i < 5; i++) {
        simdev_release_free(&r[i]);
    }
}

/* Below the floor nothing starts: not the previous image either, however well signed. */
static void the_floor_holds_at_boot(void **state)
{
    (void)state;
    assert_int_equal(simdev_install(&d, &two, 0), GW_DONE);
    boot_and_mount(GW_CAUSE_SOFTWARE);
    assert_int_equal(gw_device_confirm(&d.dev), GW_OK);
    for (unsigned i = 0; i < 16; i++) {
        flashsim_poke(&d.sim, d.layout.slot[1].start + i, 0);
    }
    assert_int_equal(simdev_boot(&d, GW_CAUSE_POWER), GW_ERR_NO_IMAGE);
    assert_int_equal(state_of(GW_SLOT_B), GW_CONFIRMED); /* and nothing was condemned */
    assert_int_equal(state_of(GW_SLOT_A), GW_PREVIOUS);
}

/* A changed data component keeps its image from starting, as a changed image does. */
static void data_is_verified_at_boot(void **state)
{
    (void)state;
    assert_int_equal(simdev_install(&d, &two, 0), GW_DONE);
    flashsim_poke(&d.sim, d.data.area[1].start + 5, (uint8_t)~two.image[1].p[5]);
    boot_and_mount(GW_CAUSE_SOFTWARE);
    assert_int_equal(d.handover.slot, GW_SLOT_A);
    assert_int_equal(state_of(GW_SLOT_B), GW_REJECTED);
    assert_int_equal(d.handover.reason, -GW_ERR_IMAGE_DIGEST);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        CASE(a_bad_frame_is_asked_again),
        CASE(three_bad_frames_give_the_source_up),
        CASE(a_bad_frame_writes_nothing),
        CASE(bytes_in_any_pieces),
        CASE(called_out_of_order),
        CASE(more_bytes_than_signed),
        CASE(an_aborted_install_continues_unless_forgotten),
        CASE(what_was_stored_is_read_back),
        CASE(a_staged_release_is_done),
        CASE(a_trial_installs_nothing),
        CASE(refuses_what_it_must),
        CASE(bundles_only_grow),
        CASE(a_damaged_bundle_is_replaced_by_the_other),
        CASE(heads_only_grow),
        CASE(rejected_releases_stay_known),
        CASE(the_floor_holds_at_boot),
        CASE(data_is_verified_at_boot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
