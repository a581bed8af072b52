/*
 * test_install.c - how a release comes in: in pieces of any size, after interruptions, beside a data component; and
 * what
 * happens when payload, flash, journal or caller are not as they should be. Power cuts are in tests/powercut.
 */
#include "offer.h"

/* ---- Installing -------------------------------------------------------------------------------------------------- */

static const struct gwh_buf *file_of(const struct gw_want *want)
{
    unsigned i = memcmp(want->payload, release.r.name[1], 32) == 0;

    assert_memory_equal(want->payload, release.r.name[i], 32);
    return &release.r.file[i];
}

/* Goes on with pushes of `piece` bytes until `stop` bytes were pushed (0: never). GW_DONE, GW_WANT at the stop, or an
   error. */
static int go_on(size_t piece, size_t stop, size_t *pushed)
{
    struct gw_want want;
    int status;

    for (*pushed = 0; (status = gw_install_poll(inst)) == GW_MORE || status == GW_WANT;) {
        size_t used = 0;
        if (status == GW_MORE) {
            continue;
        }
        if (stop != 0 && *pushed >= stop) {
            return GW_WANT;
        }
        assert_int_equal(gw_install_want(inst, &want), GW_OK);
        const struct gwh_buf *file = file_of(&want);
        assert_int_equal(want.offset + want.longest, file->n);
        size_t n = want.longest < piece ? want.longest : piece;
        uint8_t *bytes = malloc(n);
        memcpy(bytes, file->p + want.offset, n);
        int err = gw_install_push(inst, bytes, n, &used);
        free(bytes);
        assert_int_equal(err, GW_OK);
        assert_int_equal(used, n < want.frame ? n : want.frame);
        *pushed += used;
    }
    return status;
}

static void expect_installed(enum gw_slot slot)
{
    struct gw_boot_state s;

    assert_int_equal(simdev_mount(&dev), GW_OK);
    assert_int_equal(gw_device_state(&dev.dev, &s), GW_OK);
    assert_int_equal(s.slot[slot].state, GW_STAGED);
    assert_memory_equal(s.slot[slot].digest, release.r.digest, 32);
    assert_int_equal(s.slot[slot].order.sequence, release.m.sequence);
    assert_int_equal(s.slot[slot].floor, release.m.floor);
    assert_true(simdev_holds(&dev, &release.r, slot));
    assert_true(slot != GW_SLOT_B || simdev_holds(&dev, &running.r, GW_SLOT_A));
}

static void comes_in_by_pieces_of_any_size(void **state)
{
    static const size_t pieces[] = { 1, 100, 512, 543, 544, 545, 4000, 100000 };
    size_t pushed;
    (void)state;

    for (unsigned i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        teardown(NULL);
        setup(NULL);
        release.m.floor = 3;
        offer_release();
        assert_int_equal(open_offer(), GW_OK);
        assert_int_equal(go_on(pieces[i], 0, &pushed), GW_DONE);
        assert_int_equal(pushed, release.r.file[0].n + release.r.file[1].n);
        assert_int_equal(gw_install_poll(inst), GW_DONE); /* until finish */
        assert_int_equal(gw_install_finish(inst), GW_OK);
        for (unsigned k = 0; k < sizeof *inst; k++) {
            assert_int_equal(((uint8_t *)inst)[k], 0); /* wiped */
        }
        expect_installed(GW_SLOT_B);
    }
}

static void encrypted_and_plain_give_the_same_image(void **state)
{
    size_t pushed;
    (void)state;

    encrypted();
    assert_memory_not_equal(release.r.file[0].p + 32, release.r.image[0].p, 512);
    assert_int_equal(open_offer(), GW_OK);
    assert_int_equal(go_on(700, 0, &pushed), GW_DONE);
    assert_int_equal(gw_install_finish(inst), GW_OK);
    expect_installed(GW_SLOT_B);
}

static void an_equal_data_image_is_copied(void **state)
{
    struct gw_progress p;
    size_t pushed;
    (void)state;

    scene_release_free(&release);
    scene_release(&dev, &release, &(struct simdev_wish){ .sequence = 6, .data = 1 });
    offer_release();
    assert_int_equal(open_offer(), GW_OK);
    gw_install_progress(inst, &p);
    assert_int_equal(p.total, release.r.file[0].n);
    assert_int_equal(go_on(700, 0, &pushed), GW_DONE);
    assert_int_equal(pushed, release.r.file[0].n);
    assert_int_equal(gw_install_finish(inst), GW_OK);
    expect_installed(GW_SLOT_B);
    right();
    scene_release_free(&release);
    scene_release(&dev, &release, &(struct simdev_wish){ .sequence = 7, .data = 1 });
    offer_release();
    config->buffer_size = GW_MANIFEST_MAX - 1; /* no room for the running manifest: then it is fetched */
    assert_int_equal(open_offer(), GW_OK);
    gw_install_progress(inst, &p);
    assert_int_equal(p.total, release.r.file[0].n + release.r.file[1].n);
    assert_int_equal(gw_install_abort(inst, true), GW_OK);
}

static void a_source_that_is_not_what_it_should_be_is_no_copy(void **state)
{
    size_t pushed;
    (void)state;

    scene_release_free(&release);
    scene_release(&dev, &release, &(struct simdev_wish){ .sequence = 6, .data = 1 });
    offer_release();
    scene_damage(&dev, dev.data.area[0].start + 5);
    assert_int_equal(open_offer(), GW_OK);
    assert_int_equal(go_on(700, 0, &pushed), GW_ERR_IMAGE_DIGEST);
    assert_int_equal(gw_install_finish(inst), GW_ERR_IMAGE_DIGEST);
    assert_int_equal(gw_install_abort(inst, false), GW_OK);
}

static void an_interrupted_install_goes_on(void **state)
{
    struct gw_progress p;
    size_t pushed, all;
    (void)state;

    all = release.r.file[0].n + release.r.file[1].n;
    for (size_t stop = 300; stop < all + 1000; stop += 611) {
        teardown(NULL);
        setup(NULL);
        assert_int_equal(open_offer(), GW_OK);
        int status = go_on(300, stop, &pushed);
        size_t first = pushed;
        assert_int_equal(simdev_mount(&dev), GW_OK); /* RAM is gone, without a word */
        offer_release();
        assert_int_equal(open_offer(), GW_OK);
        gw_install_progress(inst, &p);
        assert_true(p.done <= first && p.done + 544 >= first);
        assert_int_equal(p.total, all);
        assert_int_equal(go_on(300, 0, &pushed), GW_DONE);
        assert_true(first + pushed <= all + 544 && first + pushed >= all);
        assert_true(status == GW_WANT || pushed == 0);
        assert_int_equal(gw_install_finish(inst), GW_OK);
        expect_installed(GW_SLOT_B);
    }
}

/* RAM is lost after any number of polls: also between the last frame and the check of the image, and while copying. */
static void one_that_is_left_after_any_poll_goes_on(void **state)
{
    const size_t file = release.r.file[0].n;
    struct gw_want want;
    size_t used, pushed, first;
    int status = GW_MORE;
    (void)state;

    for (unsigned polls = 1; status != GW_DONE; polls++) {
        teardown(NULL);
        setup(NULL);
        scene_release_free(&release);
        scene_release(&dev, &release, &(struct simdev_wish){ .sequence = 6, .data = 1 });
        offer_release();
        assert_int_equal(open_offer(), GW_OK);
        first = 0;
        for (unsigned i = 0; i < polls && (status = gw_install_poll(inst)) != GW_DONE; i++) {
            assert_true(status >= 0);
            if (status == GW_WANT) {
                assert_int_equal(gw_install_want(inst, &want), GW_OK);
                assert_int_equal(gw_install_push(inst, release.r.file[0].p + want.offset, want.frame, &used), GW_OK);
                first += used;
            }
        }
        assert_int_equal(simdev_mount(&dev), GW_OK);
        offer_release();
        assert_int_equal(open_offer(), GW_OK);
        assert_int_equal(go_on(544, 0, &pushed), GW_DONE);
        assert_true(first + pushed >= file && first + pushed <= file + 544);
        assert_int_equal(gw_install_finish(inst), GW_OK);
        expect_installed(GW_SLOT_B);
        assert_true(polls < 200);
    }
}

/* Records that nobody wrote: they are passed over, not followed. */
static void progress_that_cannot_be_is_no_progress(void **state)
{
    static const struct { enum gw_record kind; unsigned at; uint8_t value; uint32_t n; } cases[] = {
        { GW_REC_PROGRESS, 0, 3, 46 },  /* more components than the plan has */
        { GW_REC_PROGRESS, 0, 0, 45 },
        { GW_REC_PROGRESS, 2, 0xff, 46 }, /* more bytes than the image has */
        { GW_REC_PROGRESS, 6, 0, 46 },  /* of another payload */
        { GW_REC_INSTALL, 0, 0, 33 },   /* into the other slot */
        { GW_REC_INSTALL, 1, 0, 33 },   /* of another manifest */
        { GW_REC_INSTALL, 0, 1, 32 },
    };
    uint8_t record[GW_RECORD_MAX];
    struct gw_progress p;
    uint32_t n;
    size_t pushed;
    (void)state;

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(open_offer(), GW_OK);
        assert_int_equal(go_on(544, 2000, &pushed), GW_WANT);
        assert_int_equal(gw_install_abort(inst, false), GW_OK);
        assert_int_equal(gw_journal_get(&dev.ram.journal, cases[i].kind, record, sizeof record, &n), GW_OK);
        record[cases[i].at] = record[cases[i].at] == cases[i].value && cases[i].n == n ? (uint8_t)~cases[i].value
                                                                                       : cases[i].value;
        assert_int_equal(gw_journal_put(&dev.ram.journal, cases[i].kind, record, cases[i].n), GW_OK);
        assert_int_equal(open_offer(), GW_OK);
        gw_install_progress(inst, &p);
        assert_int_equal(p.done, 0);
        assert_int_equal(go_on(544, 0, &pushed), GW_DONE);
        assert_int_equal(gw_install_abort(inst, true), GW_OK);
    }
}

static void large_blocks_are_salvaged(void **state)
{
    const struct simdev_config c = { .erase = SIMDEV_64K, .write_size = 32, .erased = 0xff, .ecc = true,
                                     .image_size = 30000, .frame_size = 512 };
    size_t pushed, all = 0;
    (void)state;

    teardown(NULL);
    start(&c);
    for (unsigned i = 0; i < 6; i++) { /* five interruptions in one block */
        assert_int_equal(open_offer(), GW_OK);
        int status = go_on(1000, i < 5 ? 5000 : 0, &pushed);
        assert_int_equal(status, i < 5 ? GW_WANT : GW_DONE);
        all += pushed;
        if (i < 5) {
            assert_int_equal(simdev_mount(&dev), GW_OK);
            offer_release();
        }
    }
    assert_true(all <= release.r.file[0].n + 5 * 544);
    assert_int_equal(gw_install_finish(inst), GW_OK);
    expect_installed(GW_SLOT_B);
}

static void abort_keeps_or_forgets(void **state)
{
    struct gw_progress p;
    size_t pushed;
    (void)state;

    for (unsigned forget = 0; forget < 2; forget++) {
        assert_int_equal(open_offer(), GW_OK);
        assert_int_equal(go_on(544, 2000, &pushed), GW_WANT);
        assert_int_equal(gw_install_abort(inst, forget), GW_OK);
        assert_int_equal(gw_install_poll(inst), GW_ERR_STATE);
        uint32_t ops = dev.sim.ops;
        assert_int_equal(simdev_mount(&dev), GW_OK);
        assert_int_equal(dev.sim.ops, ops); /* it was settled */
        offer_release();
        assert_int_equal(open_offer(), GW_OK);
        gw_install_progress(inst, &p);
        assert_int_equal(p.done, forget ? 0 : 4 * 544);
        assert_int_equal(gw_install_abort(inst, true), GW_OK);
    }
}

static void another_release_begins_afresh(void **state)
{
    struct gw_progress p;
    size_t pushed;
    (void)state;

    assert_int_equal(open_offer(), GW_OK);
    assert_int_equal(go_on(544, 3000, &pushed), GW_WANT);
    assert_int_equal(gw_install_abort(inst, false), GW_OK);
    release.m.version = "other";
    offer_release();
    assert_int_equal(open_offer(), GW_OK);
    gw_install_progress(inst, &p);
    assert_int_equal(p.done, 0);
    assert_int_equal(go_on(544, 0, &pushed), GW_DONE);
    assert_int_equal(gw_install_finish(inst), GW_OK);
    expect_installed(GW_SLOT_B);
}

/* The manifest has an encrypted payload and a plain one: the key comes late, and the payload that is chosen changes. */
static void another_payload_of_a_component_begins_it_afresh(void **state)
{
    struct gw_crypto without = fastcrypto;
    struct gw_payload two[2];
    struct gwh_buf file = { 0 }, first;
    struct gw_progress p;
    size_t pushed;
    (void)state;

    encrypted();
    two[0] = release.payload[0];
    two[1] = (struct gw_payload){ .frame_size = 512 };
    assert_int_equal(gwh_payload_make(&file, &fastcrypto, (struct gw_span){ 0 }, (struct gwh_position){ 0 },
                                      gwh_span(&release.r.image[0]), &two[1]), 0);
    release.variant[0][0].payloads = two;
    release.variant[0][0].payload_count = 2;
    release.variant[1][0].payloads = &two[1]; /* never fetched here */
    release.variant[1][0].size = release.variant[0][0].size;
    release.m.component_count = 1;
    offer_release();
    assert_int_equal(open_offer(), GW_OK);
    assert_int_equal(go_on(544, 2000, &pushed), GW_WANT);
    assert_int_equal(gw_install_abort(inst, false), GW_OK);
    without.aes_ctr = NULL; /* the plain one is chosen now */
    dev.dev.crypto = &without;
    first = release.r.file[0];
    release.r.file[0] = file;
    memcpy(release.r.name[0], two[1].name, 32);
    assert_int_equal(open_offer(), GW_OK);
    gw_install_progress(inst, &p);
    assert_int_equal(p.done, 0);
    assert_int_equal(go_on(544, 0, &pushed), GW_DONE);
    assert_int_equal(pushed, file.n);
    assert_int_equal(gw_install_finish(inst), GW_OK);
    dev.dev.crypto = &fastcrypto;
    dev.config.data = false; /* for the comparison */
    expect_installed(GW_SLOT_B);
    gwh_buf_free(&first);
}

static void what_is_staged_already_needs_no_byte(void **state)
{
    size_t pushed;
    (void)state;

    assert_int_equal(open_offer(), GW_OK);
    assert_int_equal(go_on(544, 0, &pushed), GW_DONE);
    assert_int_equal(gw_install_finish(inst), GW_OK);
    offer_release();
    assert_int_equal(open_offer(), GW_OK);
    assert_int_equal(gw_install_poll(inst), GW_DONE);
    assert_int_equal(gw_install_finish(inst), GW_OK);
    expect_installed(GW_SLOT_B);
    right(); /* a newer one takes its place */
    release.m.sequence = 7;
    offer_release();
    assert_int_equal(open_offer(), GW_OK);
    assert_int_equal(go_on(544, 0, &pushed), GW_DONE);
    assert_int_equal(gw_install_finish(inst), GW_OK);
    expect_installed(GW_SLOT_B);
}

static void recovery_writes_the_slot_that_is_worth_less(void **state)
{
    static const struct { uint8_t a, b; enum gw_slot target; } cases[] = {
        { GW_CONFIRMED, GW_EMPTY, GW_SLOT_B }, { GW_CONFIRMED, GW_PREVIOUS, GW_SLOT_B },
        { GW_PREVIOUS, GW_CONFIRMED, GW_SLOT_A }, { GW_REJECTED, GW_PREVIOUS, GW_SLOT_A },
        { GW_EMPTY, GW_EMPTY, GW_SLOT_A }, { GW_PREVIOUS, GW_TRYING, GW_SLOT_B }, { GW_STAGED, GW_REJECTED, GW_SLOT_B },
    };
    struct gw_boot_state s;
    (void)state;

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        boot.slot[0].state = cases[i].a;
        boot.slot[1] = boot.slot[0];
        boot.slot[1].state = cases[i].b;
        boot.last = GW_SLOT_NONE;
        scene_state(&dev, &boot);
        config->running = GW_SLOT_NONE;
        config->recovery = true;
        assert_int_equal(open_offer(), GW_OK);
        assert_int_equal(gw_install_poll(inst), GW_MORE); /* the slot is EMPTY before anything else */
        assert_int_equal(gw_device_state(&dev.dev, &s), GW_OK);
        assert_int_equal(s.slot[cases[i].target].state, GW_EMPTY);
        assert_int_equal(s.slot[cases[i].target ^ 1u].state, cases[i].target == GW_SLOT_A ? cases[i].b : cases[i].a);
        assert_int_equal(gw_install_abort(inst, true), GW_OK);
    }
}

/* ---- Payloads that are not what was signed ----------------------------------------------------------------------- */

static void bad_frames_are_wanted_again_three_times(void **state)
{
    struct gw_progress p;
    struct gw_want want;
    size_t pushed, used;
    uint8_t frame[544];
    (void)state;

    assert_int_equal(open_offer(), GW_OK);
    assert_int_equal(go_on(544, 1088, &pushed), GW_WANT);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(gw_install_want(inst, &want), GW_OK);
        assert_int_equal(want.offset, i < 3 ? 1088 : 1632); /* dropped: the same frame again */
        memcpy(frame, release.r.file[0].p + want.offset, sizeof frame);
        frame[i * 100] ^= i == 2 ? 0 : 1; /* the third one is right, and resets the count */
        assert_int_equal(gw_install_push(inst, frame, sizeof frame, &used), GW_OK);
        if (i == 2) {
            assert_int_equal(gw_install_poll(inst), GW_MORE);
            assert_int_equal(gw_install_poll(inst), GW_MORE);
        } else {
            assert_int_equal(gw_install_poll(inst), GW_ERR_FRAME_HASH);
        }
        assert_int_equal(gw_install_poll(inst), GW_WANT);
    }
    gw_install_progress(inst, &p);
    assert_int_equal(p.done, 1632);
    assert_int_equal(p.asked_again, 4 * 544);
    assert_int_equal(gw_install_push(inst, frame, sizeof frame, &used), GW_OK);
    assert_int_equal(gw_install_poll(inst), GW_ERR_SOURCE); /* given up */
    assert_int_equal(gw_install_poll(inst), GW_ERR_SOURCE);
    assert_int_equal(gw_install_want(inst, &want), GW_ERR_STATE);
    assert_int_equal(gw_install_push(inst, frame, 1, &used), GW_ERR_SOURCE);
    assert_int_equal(gw_install_abort(inst, false), GW_OK);
    offer_release(); /* what was right is kept */
    assert_int_equal(open_offer(), GW_OK);
    gw_install_progress(inst, &p);
    assert_int_equal(p.done, 1632);
    assert_int_equal(gw_install_abort(inst, true), GW_OK);
}

static void swapped_and_missing_frames_are_refused(void **state)
{
    struct gw_want want;
    size_t pushed, used;
    (void)state;

    assert_int_equal(open_offer(), GW_OK);
    assert_int_equal(go_on(544, 544, &pushed), GW_WANT);
    assert_int_equal(gw_install_want(inst, &want), GW_OK);
    assert_int_equal(gw_install_push(inst, release.r.file[0].p + 1088, 544, &used), GW_OK);
    assert_int_equal(gw_install_poll(inst), GW_ERR_FRAME_HASH);
    assert_int_equal(gw_install_push(inst, release.r.file[1].p, 544, &used), GW_OK); /* of the other component */
    assert_int_equal(gw_install_poll(inst), GW_ERR_FRAME_HASH);
    assert_int_equal(go_on(544, 0, &pushed), GW_DONE);
    assert_int_equal(gw_install_finish(inst), GW_OK);
    expect_installed(GW_SLOT_B);
}

static void longer_and_shorter_than_signed(void **state)
{
    struct gw_want want;
    size_t pushed, used, all = release.r.file[0].n + release.r.file[1].n;
    (void)state;

    assert_int_equal(open_offer(), GW_OK);
    assert_int_equal(gw_install_end(inst), GW_OK); /* nothing was asked for yet */
    for (size_t stop = 100; stop < all; stop += 333) {
        assert_int_equal(go_on(50, stop - 50, &pushed), GW_WANT);
        /* not latched: another source may have the rest */
        assert_int_equal(gw_install_end(inst), GW_ERR_PAYLOAD_SHORT);
        assert_int_equal(gw_install_abort(inst, true), GW_OK);
        assert_int_equal(open_offer(), GW_OK);
    }
    int status;
    while ((status = gw_install_poll(inst)) == GW_MORE) {
    }
    assert_int_equal(status, GW_WANT); /* a whole frame, and then nothing any more */
    assert_int_equal(gw_install_push(inst, release.r.file[0].p, 544, &used), GW_OK);
    assert_int_equal(gw_install_end(inst), GW_ERR_PAYLOAD_SHORT);
    assert_int_equal(gw_install_poll(inst), GW_MORE);
    assert_int_equal(gw_install_end(inst), GW_ERR_PAYLOAD_SHORT);
    assert_int_equal(go_on(544, release.r.file[0].n - 544 - 392, &pushed), GW_WANT);
    assert_int_equal(gw_install_want(inst, &want), GW_OK);
    assert_int_equal(want.frame, want.longest); /* the last frame */
    uint8_t *more = malloc(want.longest + 10);
    memcpy(more, release.r.file[0].p + want.offset, want.longest);
    memset(more + want.longest, 0, 10);
    assert_int_equal(gw_install_push(inst, more, want.longest + 10, &used), GW_OK);
    assert_int_equal(used, want.longest); /* never past the payload's end */
    assert_int_equal(gw_install_end(inst), GW_OK);
    assert_int_equal(gw_install_poll(inst), GW_MORE);
    assert_int_equal(gw_install_poll(inst), GW_MORE);
    assert_int_equal(gw_install_push(inst, more, 10, &used), GW_ERR_PAYLOAD_LONG);
    assert_int_equal(used, 0);
    assert_int_equal(gw_install_push(inst, more, 0, &used), GW_OK);
    assert_int_equal(go_on(544, 0, &pushed), GW_DONE); /* what was signed is here all the same */
    assert_int_equal(gw_install_push(inst, more, 10, &used), GW_ERR_PAYLOAD_LONG);
    assert_int_equal(gw_install_finish(inst), GW_OK);
    expect_installed(GW_SLOT_B);
    free(more);
}

static void an_image_that_is_not_the_signed_one_is_not_staged(void **state)
{
    struct gw_boot_state s;
    struct gw_progress p;
    size_t pushed;
    (void)state;

    release.variant[0][0].digest[9] ^= 1; /* right frames, wrong image: the author's mistake */
    offer_release();
    assert_int_equal(open_offer(), GW_OK);
    assert_int_equal(go_on(544, 0, &pushed), GW_ERR_IMAGE_DIGEST);
    assert_int_equal(gw_install_poll(inst), GW_ERR_IMAGE_DIGEST);
    assert_int_equal(gw_install_finish(inst), GW_ERR_IMAGE_DIGEST);
    assert_int_equal(gw_install_abort(inst, false), GW_OK);
    assert_int_equal(gw_device_state(&dev.dev, &s), GW_OK);
    assert_int_equal(s.slot[1].state, GW_EMPTY);
    assert_int_equal(open_offer(), GW_OK);
    gw_install_progress(inst, &p);
    assert_int_equal(p.done, 0); /* the next attempt begins afresh */
    assert_int_equal(gw_install_abort(inst, true), GW_OK);
}

/* ---- The contract ------------------------------------------------------------------------------------------------ */

static void calls_out_of_order(void **state)
{
    struct gw_want want;
    size_t used, pushed;
    uint8_t byte = 0;
    int status;
    (void)state;

    assert_int_equal(open_offer(), GW_OK);
    assert_int_equal(gw_install_want(inst, &want), GW_ERR_STATE); /* poll first */
    assert_int_equal(gw_install_finish(inst), GW_ERR_STATE);
    assert_int_equal(gw_install_push(inst, &byte, 1, &used), GW_OK);
    assert_int_equal(used, 0);
    while ((status = gw_install_poll(inst)) == GW_MORE) {
    }
    assert_int_equal(status, GW_WANT);
    assert_int_equal(gw_install_poll(inst), GW_WANT); /* as often as one likes */
    assert_int_equal(gw_install_finish(inst), GW_ERR_STATE);
    assert_int_equal(gw_install_push(inst, release.r.file[0].p, 1000, &used), GW_OK);
    assert_int_equal(used, 544);
    assert_int_equal(gw_install_want(inst, &want), GW_ERR_STATE); /* a frame is complete: poll first */
    assert_int_equal(gw_install_push(inst, &byte, 1, &used), GW_OK);
    assert_int_equal(used, 0);
    assert_int_equal(go_on(544, 0, &pushed), GW_DONE);
    assert_int_equal(gw_install_want(inst, &want), GW_ERR_STATE);
    assert_int_equal(gw_install_finish(inst), GW_OK);
    assert_int_equal(gw_install_finish(inst), GW_ERR_STATE); /* it is over */
    assert_int_equal(gw_install_poll(inst), GW_ERR_STATE);
    assert_int_equal(gw_install_push(inst, &byte, 1, &used), GW_ERR_STATE);
    assert_int_equal(gw_install_abort(inst, true), GW_OK);
    inst->state = 0xffffffff; /* a flipped bit in RAM runs no wild function */
    assert_int_equal(gw_install_poll(inst), GW_ERR_STATE);
}

static void progress_counts_up_to_the_total(void **state)
{
    struct gw_progress p, was = { 0 };
    struct gw_want want;
    size_t used;
    int status;
    (void)state;

    assert_int_equal(open_offer(), GW_OK);
    while ((status = gw_install_poll(inst)) != GW_DONE) {
        assert_true(status == GW_MORE || status == GW_WANT);
        gw_install_progress(inst, &p);
        assert_int_equal(p.total, release.r.file[0].n + release.r.file[1].n);
        assert_true(p.done <= p.total && p.asked_again == 0);
        assert_true(p.done >= was.done && p.done <= was.done + 544);
        was = p;
        if (status == GW_WANT) {
            assert_int_equal(gw_install_want(inst, &want), GW_OK);
            assert_int_equal(gw_install_push(inst, file_of(&want)->p + want.offset, want.frame, &used), GW_OK);
        }
    }
    gw_install_progress(inst, &p);
    assert_int_equal(p.done, p.total);
    assert_int_equal(gw_install_finish(inst), GW_OK);
}

/* Each poll: one erase, or writes of one frame, beside the journal. */
static void each_poll_is_a_bounded_unit_of_work(void **state)
{
    static struct flashsim_op trace[64];
    struct gw_want want;
    size_t used;
    int status = GW_MORE;
    (void)state;

    assert_int_equal(open_offer(), GW_OK);
    for (unsigned polls = 0; status != GW_DONE; polls++) {
        unsigned erases = 0, bytes = 0;
        flashsim_arm(&dev.sim, 1);
        dev.sim.trace = trace;
        dev.sim.trace_size = 64;
        status = gw_install_poll(inst);
        assert_true(status >= 0 && dev.sim.ops <= 64);
        for (unsigned i = 0; i < dev.sim.ops; i++) {
            bool slot = trace[i].address >= dev.layout.slot[0].start;
            erases += slot && trace[i].kind == FLASHSIM_ERASE;
            bytes += slot && trace[i].kind == FLASHSIM_WRITE ? trace[i].n : 0;
        }
        assert_true(erases <= 1 && bytes <= GW_FRAME_MAX && (erases == 0 || bytes == 0));
        if (status == GW_WANT) {
            assert_int_equal(gw_install_want(inst, &want), GW_OK);
            assert_int_equal(gw_install_push(inst, file_of(&want)->p + want.offset, want.frame, &used), GW_OK);
        }
        assert_true(polls < 1000);
    }
    flashsim_arm(&dev.sim, 1);
    assert_int_equal(gw_install_finish(inst), GW_OK);
}

static int no_ctr(void *ctx, const uint8_t *key, size_t key_size, uint32_t block, uint8_t *data, size_t n)
{
    (void)ctx, (void)key, (void)key_size, (void)block, (void)data, (void)n;
    return -1;
}

static unsigned hash_fails; /* 1: start, 2: update, 3: finish */

static int sick_start(void *ctx, struct gw_sha256 *s)
{
    return hash_fails == 1 ? -1 : fastcrypto.sha256_start(ctx, s);
}

static int sick_update(void *ctx, struct gw_sha256 *s, const void *data, size_t n)
{
    return hash_fails == 2 ? -1 : fastcrypto.sha256_update(ctx, s, data, n);
}

static int sick_finish(void *ctx, struct gw_sha256 *s, uint8_t digest[32])
{
    return hash_fails == 3 ? -1 : fastcrypto.sha256_finish(ctx, s, digest);
}

/* The crypto library fails while a frame is decrypted, then while the image is read back. */
static void a_failing_crypto_library_stops_it(void **state)
{
    struct gw_crypto sick = fastcrypto;
    struct gw_want want;
    size_t pushed, used;
    (void)state;

    encrypted();
    dev.dev.crypto = &sick;
    sick.sha256_start = sick_start;
    hash_fails = 0;
    assert_int_equal(open_offer(), GW_OK);
    hash_fails = 1; /* the key of the payload is derived */
    assert_int_equal(go_on(544, 0, &pushed), GW_ERR_CRYPTO);
    assert_int_equal(gw_install_abort(inst, true), GW_OK);
    sick = fastcrypto;
    assert_int_equal(open_offer(), GW_OK);
    sick.aes_ctr = no_ctr;
    assert_int_equal(go_on(544, 0, &pushed), GW_ERR_CRYPTO);
    assert_int_equal(gw_install_poll(inst), GW_ERR_CRYPTO);
    sick = fastcrypto;
    sick.sha256_start = sick_start;
    sick.sha256_update = sick_update;
    sick.sha256_finish = sick_finish;
    for (unsigned i = 1; i <= 3; i++) {
        hash_fails = 0;
        assert_int_equal(gw_install_abort(inst, true), GW_OK);
        assert_int_equal(open_offer(), GW_OK);
        assert_int_equal(go_on(544, release.r.file[0].n - 392, &pushed), GW_WANT);
        assert_int_equal(gw_install_want(inst, &want), GW_OK);
        assert_int_equal(gw_install_push(inst, release.r.file[0].p + want.offset, want.longest, &used), GW_OK);
        assert_int_equal(gw_install_poll(inst), GW_MORE);
        assert_int_equal(gw_install_poll(inst), GW_MORE);
        hash_fails = i; /* all frames are here: the image is read back */
        assert_int_equal(go_on(544, 0, &pushed), GW_ERR_CRYPTO);
        hash_fails = 0;
        assert_int_equal(gw_install_poll(inst), GW_ERR_CRYPTO);
    }
    assert_int_equal(gw_install_abort(inst, true), GW_OK);
    dev.dev.crypto = &fastcrypto;
}

/* Every flash operation and every read fails once, for good: an error with a name, and the next attempt succeeds. */
static void a_failing_flash_stops_it_and_the_next_attempt_goes_on(void **state)
{
    static const struct { enum flashsim_fault_kind kind; uint32_t step; } kinds[] = {
        { FLASHSIM_REFUSE, 3 }, { FLASHSIM_LIE, 5 }, { FLASHSIM_READ_FAILS, 2 },
    };
    const struct gw_area slot = dev.layout.slot[1];
    unsigned stopped = 0;
    size_t pushed;
    (void)state;

    for (unsigned k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        for (uint32_t at = 0, calls = 1; at < calls; at += kinds[k].step) {
            teardown(NULL);
            setup(NULL);
            flashsim_arm(&dev.sim, at);
            flashsim_add_fault(&dev.sim, (struct flashsim_fault){ kinds[k].kind, at, 2, slot.start, slot.size });
            int status = open_offer();
            status = status == GW_OK ? go_on(544, 0, &pushed) : status;
            uint32_t made = kinds[k].kind == FLASHSIM_READ_FAILS ? dev.sim.reads : dev.sim.ops;
            calls = made > calls ? made : calls;
            if (status != GW_DONE) {
                assert_true(status <= GW_ERR_FLASH_READ || status == GW_ERR_IMAGE_DIGEST);
                assert_int_equal(gw_install_poll(inst), status);
                assert_int_equal(gw_install_finish(inst), status);
                stopped++;
            } else {
                assert_int_equal(gw_install_abort(inst, false), GW_OK);
            }
            flashsim_arm(&dev.sim, at);
            assert_int_equal(simdev_mount(&dev), GW_OK);
            offer_release();
            assert_int_equal(open_offer(), GW_OK);
            assert_int_equal(go_on(544, 0, &pushed), GW_DONE);
            assert_int_equal(gw_install_finish(inst), GW_OK);
            expect_installed(GW_SLOT_B);
        }
    }
    assert_true(stopped > 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(comes_in_by_pieces_of_any_size), TEST(encrypted_and_plain_give_the_same_image),
        TEST(an_equal_data_image_is_copied), TEST(a_source_that_is_not_what_it_should_be_is_no_copy),
        TEST(an_interrupted_install_goes_on), TEST(one_that_is_left_after_any_poll_goes_on),
        TEST(progress_that_cannot_be_is_no_progress), TEST(large_blocks_are_salvaged), TEST(abort_keeps_or_forgets),
        TEST(another_release_begins_afresh), TEST(another_payload_of_a_component_begins_it_afresh),
        TEST(what_is_staged_already_needs_no_byte), TEST(recovery_writes_the_slot_that_is_worth_less),
        TEST(bad_frames_are_wanted_again_three_times), TEST(swapped_and_missing_frames_are_refused),
        TEST(longer_and_shorter_than_signed), TEST(an_image_that_is_not_the_signed_one_is_not_staged),
        TEST(calls_out_of_order), TEST(progress_counts_up_to_the_total), TEST(each_poll_is_a_bounded_unit_of_work),
        TEST(a_failing_crypto_library_stops_it), TEST(a_failing_flash_stops_it_and_the_next_attempt_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
