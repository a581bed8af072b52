/*
 * test_serial.c - a release comes in over the serial line: packets lost, repeated and altered one by one; text of a
 * console between them; goes on after the power was lost; what is refused, with the right reason.
 */
#include "cbor.h"
#include "hostline.h"
#include "offer.h"

static struct hostline line;
static struct gw_handover slot_a = { .slot = GW_SLOT_A, .state = GW_CONFIRMED, .cause = GW_CAUSE_SOFTWARE,
                                     .reason = 130, .bootloader = 5 };

static int open_line(void **state)
{
    (void)setup(state);
    scene_release_sign(&dev, &release);
    memset(&line, 0, sizeof line);
    line.boot = slot_a;
    hostline_open(&line, &dev, GWC_OFFER_MAX);
    hostline_offer(&line, &release.r, NULL);
    return 0;
}

static int close_line(void **state)
{
    hostline_close(&line);
    return teardown(state);
}

static void anew(void)
{
    close_line(NULL);
    open_line(NULL);
}

/* RAM is lost, the line stays. */
static void lose_power(void)
{
    assert_int_equal(simdev_mount(&dev), GW_OK);
    hostline_open(&line, &dev, line.config.offer_size);
}

static void expect_staged(uint32_t sequence)
{
    struct gw_boot_state s;

    assert_int_equal(hostline_u32(&line, 0), 1);
    assert_int_equal(hostline_u32(&line, 4), sequence);
    assert_int_equal(simdev_mount(&dev), GW_OK);
    assert_int_equal(gw_device_state(&dev.dev, &s), GW_OK);
    assert_int_equal(s.slot[1].state, GW_STAGED);
    assert_int_equal(s.slot[1].order.sequence, sequence);
    assert_true(simdev_holds(&dev, &release.r, GW_SLOT_B));
    assert_true(simdev_holds(&dev, &running.r, GW_SLOT_A));
}

static void expect_refused(int reason)
{
    assert_int_equal(line.answer[0], GWC_REFUSED);
    if (hostline_reason(&line) != reason) {
        fail_msg("%s instead of %s", gw_error_name(hostline_reason(&line)), gw_error_name(reason));
    }
}

/* ---- The way that is meant --------------------------------------------------------------------------------------- */

static void a_release_comes_in(void **state)
{
    static const uint32_t pieces[] = { 512, 511, 100, 17 };
    (void)state;

    for (unsigned i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        anew();
        assert_int_equal(hostline_begin(&line), GWC_WANT);
        assert_int_equal(hostline_u32(&line, 33), 0);
        assert_int_equal(hostline_u32(&line, 45), release.r.file[0].n + release.r.file[1].n);
        assert_int_equal(hostline_go_on(&line, 0, pieces[i]), GWC_DONE);
        assert_int_equal(line.events, 2);
        assert_int_equal(line.event[0], GW_MORE);
        assert_int_equal(line.event[1], GW_DONE);
        assert_true(line.most_ops <= 10); /* one unit of work; the first record of a session begins a bank */
        expect_staged(6);
    }
}

static void an_encrypted_release_comes_in(void **state)
{
    (void)state;
    encrypted();
    hostline_offer(&line, &release.r, NULL);
    assert_int_equal(hostline_begin(&line), GWC_WANT);
    assert_int_equal(hostline_go_on(&line, 0, 512), GWC_DONE);
    expect_staged(6);
}

static void the_same_release_again_is_done_at_once(void **state)
{
    (void)state;
    (void)hostline_begin(&line);
    assert_int_equal(hostline_go_on(&line, 0, 512), GWC_DONE);
    assert_int_equal(hostline_begin(&line), GWC_DONE);
    expect_staged(6);
}

/* The bundle alone; then a release that only the new bundle accepts; then both in one offer. */
static void a_trust_bundle_comes_along(void **state)
{
    (void)state;
    scene_bundle_make(&dev, &bundle, 2, -1);
    hostline_offer(&line, NULL, &bundle.bytes);
    assert_int_equal(hostline_begin(&line), GWC_DONE);
    assert_int_equal(hostline_u32(&line, 0), 0);
    assert_int_equal(hostline_u32(&line, 4), 0);
    assert_int_equal(simdev_trust_version(&dev), 2);
    assert_int_equal(hostline_begin(&line), GWC_DONE); /* the same bundle is fine */
    scene_bundle_make(&dev, &bundle, 3, -1);
    hostline_offer(&line, &release.r, &bundle.bytes);
    assert_int_equal(hostline_begin(&line), GWC_WANT);
    assert_int_equal(simdev_trust_version(&dev), 3);
    assert_int_equal(hostline_go_on(&line, 0, 512), GWC_DONE);
    expect_staged(6);
}

static void the_status_is_told(void **state)
{
    static const uint8_t version = 1;
    struct gw_cbor c;
    struct gw_cbor_map map;
    int64_t key;
    unsigned keys = 0;
    (void)state;

    assert_int_equal(hostline_ask(&line, GWC_HELLO, &version, 1), GWC_STATUS);
    gw_cbor_init(&c, line.answer + 2, line.answer_n - 2);
    gw_cbor_map(&c, &map);
    while (gw_cbor_next(&c, &map, &key)) {
        static const uint32_t value[] = { 0, 1, 0, 0, 0, 0, 3, 0, 4, 130, 0, 5, GWC_OFFER_MAX, 3 };
        keys++;
        if (key == 2) {
            struct gw_span id = gw_cbor_text(&c);
            assert_int_equal(id.n, 8);
            assert_memory_equal(id.p, "device-1", 8);
        } else if (key == 3 || key == 4) {
            assert_int_equal(gw_cbor_bytes(&c).n, 16);
        } else if (key == 7) {
            assert_int_equal(gw_cbor_array(&c), 2);
            assert_int_equal(gw_cbor_u32(&c), 1);
            assert_int_equal(gw_cbor_u32(&c), 5);
        } else {
            assert_int_equal(gw_cbor_u32(&c), value[key]);
        }
    }
    assert_int_equal(gw_cbor_end(&c), GW_OK);
    assert_int_equal(keys, 13);
    for (size_t i = 0; i < GWC_BUFFER_MIN && i < GW_IDENTITY_MAX; i++) {
        assert_int_equal(line.buffer[i], 0); /* the identity holds secrets */
    }
}

static void another_version_of_the_line_is_refused(void **state)
{
    static const uint8_t version = 2;
    (void)state;
    assert_int_equal(hostline_ask(&line, GWC_HELLO, &version, 1), GWC_REFUSED);
    expect_refused(GW_ERR_VERSION);
}

static void the_status_is_told_during_an_install(void **state)
{
    static const uint8_t version = 1;
    (void)state;
    (void)hostline_begin(&line);
    (void)hostline_go_on(&line, 3, 300);
    uint32_t at = hostline_u32(&line, 33);
    assert_int_equal(hostline_ask(&line, GWC_HELLO, &version, 1), GWC_STATUS);
    assert_int_equal(hostline_ask(&line, GWC_DATA, "\xff\xff\xff\xff", 4), GWC_WANT); /* nothing is lost by it */
    assert_int_equal(hostline_u32(&line, 33), at);
    assert_int_equal(hostline_go_on(&line, 0, 512), GWC_DONE);
    expect_staged(6);
}

/* ---- A bad line -------------------------------------------------------------------------------------------------- */

static void every_fault_at_every_request(void **state)
{
    unsigned whole;
    (void)state;

    anew();
    (void)hostline_begin(&line);
    assert_int_equal(hostline_go_on(&line, 0, 512), GWC_DONE);
    whole = line.requests;
    for (unsigned fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        for (unsigned at = 1; at <= whole; at++) {
            anew();
            line.fault = (enum hostline_fault)fault;
            line.fault_at = at;
            line.chatter = at % 3 == 0 ? "status\r\n" : NULL;
            (void)hostline_begin(&line);
            assert_int_equal(hostline_go_on(&line, 0, 512), GWC_DONE);
            assert_true(line.requests >= whole && line.requests <= whole + 2);
            assert_int_equal(line.events, 2);
            expect_staged(6);
        }
    }
}

static void text_goes_to_the_console(void **state)
{
    (void)state;
    line.chatter = "r\xc3\xa9";
    (void)hostline_begin(&line);
    assert_int_equal(line.console_n % 3, 0);
    assert_true(line.console_n == line.terminal_n && line.console_n >= 4 * 3);
    for (size_t i = 0; i < line.console_n; i++) {
        assert_int_equal(line.console[i], line.chatter[i % 3]);
        assert_int_equal(line.terminal[i], line.chatter[i % 3]);
    }
    line.chatter = NULL;
    hostline_raw(&line, "\xc0", 1);
    line.console_n = 0;
    hostline_raw(&line, "hello\xc0\xc0!\xc0", 9);
    assert_string_equal(line.console, "hello!");
    assert_int_equal(hostline_go_on(&line, 0, 512), GWC_DONE);
}

static void what_is_no_packet_is_dropped(void **state)
{
    static const char *const raw[] = {
        "\xc0\x01\x01\x01\xc0", "\xc0\x01\xc0", "\xc0\x01\xdb\xc0", "\xc0\x01\xdb\x41\x01\x01\x01\x01\x01\xc0",
        "\xdb\xdc\xdb\xdd", "\xc0\xc0\xc0\xc0",
    };
    uint8_t large[GWC_PACKET_MAX + 100];
    (void)state;

    for (unsigned i = 0; i < sizeof raw / sizeof raw[0]; i++) {
        hostline_raw(&line, raw[i], strlen(raw[i]));
        hostline_raw(&line, "\xc0", 1);
        assert_int_equal(line.answers, 0);
    }
    memset(large, 3, sizeof large);
    large[0] = 0xc0;
    hostline_raw(&line, large, sizeof large);
    hostline_raw(&line, "\xc0", 1);
    assert_int_equal(line.answers, 0);
    assert_int_equal(hostline_ask(&line, 0x07, "", 0), 0);    /* no such request */
    assert_int_equal(hostline_ask(&line, GWC_WANT, "", 0), 0); /* an answer */
    assert_int_equal(hostline_ask(&line, GWC_DATA, "abc", 3), 0);
    assert_int_equal(hostline_ask(&line, GWC_OFFER, "abcde", 5), 0);
    assert_int_equal(hostline_ask(&line, GWC_END, "a", 1), 0);
    assert_int_equal(hostline_ask(&line, GWC_RESTART, "a", 1), 0);
    assert_int_equal(line.answers, 0);
    assert_int_equal(hostline_begin(&line), GWC_WANT);
}

/* ---- Interruptions ----------------------------------------------------------------------------------------------- */

static void goes_on_after_the_power_was_lost(void **state)
{
    (void)state;
    for (unsigned packets = 1; packets < 14; packets++) {
        anew();
        (void)hostline_begin(&line);
        if (hostline_go_on(&line, packets, 512) == GWC_DONE) {
            break;
        }
        uint32_t before = hostline_u32(&line, 41);
        lose_power();
        assert_int_equal(hostline_begin(&line), GWC_WANT);
        uint32_t done = hostline_u32(&line, 41);
        assert_true(done <= before && done + 544 >= before);
        assert_true(packets < 3 || done > 0);
        assert_int_equal(hostline_go_on(&line, 0, 512), GWC_DONE);
        expect_staged(6);
    }
}

static void another_host_goes_on(void **state)
{
    (void)state;
    (void)hostline_begin(&line);
    (void)hostline_go_on(&line, 5, 512);
    line.number = 200;
    assert_int_equal(hostline_begin(&line), GWC_WANT);
    assert_true(hostline_u32(&line, 33) > 0);
    assert_int_equal(hostline_go_on(&line, 0, 512), GWC_DONE);
    expect_staged(6);
}

static void abort_keeps_or_forgets(void **state)
{
    (void)state;
    for (uint8_t forget = 0; forget < 2; forget++) {
        anew();
        (void)hostline_begin(&line);
        (void)hostline_go_on(&line, 5, 512);
        assert_int_equal(hostline_ask(&line, GWC_ABORT, &forget, 1), GWC_STATUS);
        assert_int_equal(line.event[1], GW_ERR_VETO);
        assert_int_equal(hostline_ask(&line, GWC_DATA, "\0\0\0\0", 4), GWC_REFUSED);
        expect_refused(GW_ERR_STATE);
        assert_int_equal(hostline_begin(&line), GWC_WANT);
        assert_true((hostline_u32(&line, 33) > 0) == !forget);
        assert_int_equal(hostline_go_on(&line, 0, 512), GWC_DONE);
        expect_staged(6);
    }
}

static void the_end_of_the_source(void **state)
{
    (void)state;
    assert_int_equal(hostline_ask(&line, GWC_END, "", 0), GWC_REFUSED);
    expect_refused(GW_ERR_STATE);
    (void)hostline_begin(&line);
    (void)hostline_go_on(&line, 5, 512);
    assert_int_equal(hostline_ask(&line, GWC_END, "", 0), GWC_REFUSED);
    expect_refused(GW_ERR_PAYLOAD_SHORT);
    assert_int_equal(hostline_ask(&line, GWC_OFFER, "\0\0\0\x10", 4), GWC_WANT);
    assert_int_equal(hostline_ask(&line, GWC_END, "", 0), GWC_REFUSED);
    expect_refused(GW_ERR_TRUNCATED);
    assert_int_equal(hostline_begin(&line), GWC_WANT);
    assert_true(hostline_u32(&line, 33) > 0); /* kept */
    assert_int_equal(hostline_go_on(&line, 0, 512), GWC_DONE);
}

static void restart_comes_once(void **state)
{
    static const uint8_t version = 1;
    (void)state;

    assert_int_equal(hostline_ask(&line, GWC_RESTART, "", 0), GWC_STATUS);
    assert_int_equal(line.restarts, 0); /* the first request of a run: one that was repeated */
    assert_int_equal(hostline_ask(&line, GWC_HELLO, &version, 1), GWC_STATUS);
    line.fault = FAULT_REPEAT_REQUEST;
    line.fault_at = line.requests + 1;
    (void)hostline_begin(&line);
    (void)hostline_go_on(&line, 5, 512);
    line.fault_at = line.requests + 1;
    unsigned requests = line.requests;
    assert_int_equal(hostline_ask(&line, GWC_RESTART, "", 0), GWC_STATUS);
    assert_int_equal(line.requests, requests + 1); /* the answer came before the restart */
    assert_int_equal(line.restarts, 1);
    assert_int_equal(line.event[line.events - 1], GW_ERR_VETO); /* the install was put aside first */
    lose_power();
    assert_int_equal(hostline_begin(&line), GWC_WANT);
    assert_true(hostline_u32(&line, 33) > 0);
}

/* ---- Refusals ---------------------------------------------------------------------------------------------------- */

static void refuses_offer(int reason)
{
    uint8_t *copy = scene_copy(&dev);

    hostline_offer(&line, &release.r, NULL);
    assert_int_equal(hostline_begin(&line), GWC_REFUSED);
    expect_refused(reason);
    assert_int_equal(line.event[0], reason);
    assert_true(scene_same(&dev, copy));
    free(copy);
    assert_int_equal(hostline_ask(&line, GWC_DATA, "\0\0\0\0", 4), GWC_REFUSED); /* told again */
    expect_refused(reason);
    lose_power();
}

static void wrong_releases_are_refused(void **state)
{
    (void)state;
    memcpy(release.m.class_id, "another class id", 16);
    scene_release_sign(&dev, &release);
    refuses_offer(GW_ERR_CLASS);
    anew();
    memcpy(release.m.vendor, "another vendor i", 16);
    scene_release_sign(&dev, &release);
    refuses_offer(GW_ERR_VENDOR);
    anew();
    release.m.sequence = 5;
    scene_release_sign(&dev, &release);
    refuses_offer(GW_ERR_OLDER);
    anew();
    release.signer[0] = dev.approver.signer;
    scene_release_sign(&dev, &release);
    refuses_offer(GW_ERR_KEY_ROLE);
    anew();
    release.r.manifest.p[release.r.manifest.n - 1] ^= 1; /* in the signature */
    refuses_offer(GW_ERR_SIGNATURE);
    anew();
    release.r.manifest.n--;
    refuses_offer(GW_ERR_TRUNCATED);
    release.r.manifest.n++;
}

static void offers_that_are_none(void **state)
{
    struct gw_offer empty = { .next_look = 60 };
    (void)state;

    gwh_buf_free(&line.offer);
    assert_int_equal(gwh_offer(&line.offer, &empty), GW_OK);
    assert_int_equal(hostline_begin(&line), GWC_REFUSED);
    expect_refused(GW_ERR_NOTHING);
    line.offer.p[0] = 0xff;
    assert_int_equal(hostline_begin(&line), GWC_REFUSED);
    expect_refused(GW_ERR_FORMAT);
    assert_int_equal(hostline_ask(&line, GWC_OFFER, "\0\0\0\0", 4), GWC_REFUSED);
    expect_refused(GW_ERR_TRUNCATED);
    assert_int_equal(hostline_ask(&line, GWC_OFFER, "\xff\xff\xff\xff", 4), GWC_REFUSED);
    expect_refused(GW_ERR_LIMIT);
    uint8_t size[4];
    gw_put32(size, GWC_OFFER_MAX + 1);
    assert_int_equal(hostline_ask(&line, GWC_OFFER, size, 4), GWC_REFUSED);
    expect_refused(GW_ERR_LIMIT);
    gw_put32(size, GWC_OFFER_MAX);
    assert_int_equal(hostline_ask(&line, GWC_OFFER, size, 4), GWC_WANT);
}

/* More than is left, and from elsewhere: only what is wanted counts. */
static void data_of_an_offer_stays_inside(void **state)
{
    uint8_t body[4 + 64];
    (void)state;

    memset(body, 0xee, sizeof body);
    assert_int_equal(hostline_ask(&line, GWC_OFFER, "\0\0\0\x0a", 4), GWC_WANT);
    for (uint32_t at = 1; at < 70; at += 7) {
        gw_put32(body, at);
        assert_int_equal(hostline_ask(&line, GWC_DATA, body, sizeof body), GWC_WANT);
        assert_int_equal(hostline_u32(&line, 33), 0);
    }
    gw_put32(body, 0);
    assert_int_equal(hostline_ask(&line, GWC_DATA, body, sizeof body), GWC_REFUSED);
    expect_refused(GW_ERR_FORMAT);
    for (unsigned i = 10; i < sizeof body; i++) {
        assert_int_not_equal(line.offer_room[i], 0xee);
    }
}

static void wrong_bundles_are_refused(void **state)
{
    (void)state;
    scene_bundle_make(&dev, &bundle, 2, -1);
    hostline_offer(&line, NULL, &bundle.bytes);
    (void)hostline_begin(&line);
    scene_bundle_make(&dev, &bundle, 1, -1);
    hostline_offer(&line, &release.r, &bundle.bytes);
    assert_int_equal(hostline_begin(&line), GWC_REFUSED);
    expect_refused(GW_ERR_TRUST_OLDER);
    scene_bundle(&dev, &bundle, 3, -1);
    bundle.signers = 1;
    scene_bundle_sign(&dev, &bundle);
    hostline_offer(&line, NULL, &bundle.bytes);
    assert_int_equal(hostline_begin(&line), GWC_REFUSED);
    expect_refused(GW_ERR_ROOTS_FEW);
    assert_int_equal(simdev_trust_version(&dev), 2);
}

static void a_bad_frame_is_wanted_again(void **state)
{
    uint8_t *byte = &release.r.file[0].p[600];
    (void)state;

    (void)hostline_begin(&line);
    *byte ^= 1;
    assert_int_equal(hostline_go_on(&line, 3, 512), GWC_WANT);
    assert_int_equal(hostline_u32(&line, 33), 544); /* the second frame, from its start */
    *byte ^= 1;
    assert_int_equal(hostline_go_on(&line, 0, 512), GWC_DONE);
    expect_staged(6);
    anew();
    (void)hostline_begin(&line);
    release.r.file[0].p[600] ^= 1;
    assert_int_equal(hostline_go_on(&line, 0, 512), GWC_REFUSED);
    expect_refused(GW_ERR_SOURCE);
    release.r.file[0].p[600] ^= 1;
    assert_int_equal(hostline_begin(&line), GWC_WANT);
    assert_int_equal(hostline_u32(&line, 33), 544); /* what was right is kept */
    assert_int_equal(hostline_go_on(&line, 0, 512), GWC_DONE);
}

static void flash_that_fails_is_told(void **state)
{
    (void)state;
    (void)hostline_begin(&line);
    (void)hostline_go_on(&line, 3, 512);
    flashsim_arm(&dev.sim, 1);
    flashsim_add_fault(&dev.sim, (struct flashsim_fault){ .kind = FLASHSIM_REFUSE, .address = dev.layout.slot[1].start,
                                                          .size = dev.layout.slot[1].size });
    assert_int_equal(hostline_go_on(&line, 0, 512), GWC_REFUSED);
    expect_refused(GW_ERR_FLASH_WRITE);
}

static void a_trial_takes_nothing(void **state)
{
    (void)state;
    boot.slot[0].state = GW_TRYING;
    scene_state(&dev, &boot);
    refuses_offer(GW_ERR_NOT_CONFIRMED);
}

static void what_is_missing_is_said_at_init(void **state)
{
    struct gwc_serial s;
    struct gwc_serial_config c;
    (void)state;

#define WITHOUT(field, value)                                \
    c = line.config;                                         \
    c.field = (value);                                       \
    assert_int_equal(gwc_serial_init(&s, &c), GW_ERR_CONFIG)
    WITHOUT(dev, NULL);
    WITHOUT(boot, NULL);
    WITHOUT(offer, NULL);
    WITHOUT(buffer, NULL);
    WITHOUT(put, NULL);
    WITHOUT(restart, NULL);
    WITHOUT(offer_size, GWC_OFFER_MIN - 1);
    WITHOUT(buffer_size, GWC_BUFFER_MIN - 1);
    c = line.config;
    c.offer_size = GWC_OFFER_MIN;
    c.on_event = NULL;
    assert_int_equal(gwc_serial_init(&s, &c), GW_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_line, close_line)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_release_comes_in),
        TEST(an_encrypted_release_comes_in),
        TEST(the_same_release_again_is_done_at_once),
        TEST(a_trust_bundle_comes_along),
        TEST(the_status_is_told),
        TEST(another_version_of_the_line_is_refused),
        TEST(the_status_is_told_during_an_install),
        TEST(every_fault_at_every_request),
        TEST(text_goes_to_the_console),
        TEST(what_is_no_packet_is_dropped),
        TEST(goes_on_after_the_power_was_lost),
        TEST(another_host_goes_on),
        TEST(abort_keeps_or_forgets),
        TEST(the_end_of_the_source),
        TEST(restart_comes_once),
        TEST(wrong_releases_are_refused),
        TEST(offers_that_are_none),
        TEST(data_of_an_offer_stays_inside),
        TEST(wrong_bundles_are_refused),
        TEST(a_bad_frame_is_wanted_again),
        TEST(flash_that_fails_is_told),
        TEST(a_trial_takes_nothing),
        TEST(what_is_missing_is_said_at_init),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
