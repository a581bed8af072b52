/*
 * test_push.c - the host's end of the serial line (host/line.h, host/push.h) against a device in a process of its own:
 * lost and altered packets, a device that is silent, goes away, restarts by itself, refuses; text that would harm a
 * terminal.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "offer.h"
#include "push.h"
#include "serial.h"

/* What the device at the other end does wrong; 0: nothing. */
struct trouble {
    unsigned lose;    /* of so many answers one is lost */
    unsigned alter;   /* of so many bytes from the host one is altered */
    unsigned restart; /* it restarts after so many answers, once */
    unsigned leave;   /* it is gone after so many answers */
    bool silent;
    const char *says; /* on its console, before each answer */
};

static struct trouble trouble;
static struct gwh_line line;
static struct gwh_error err;
static char folder[64], said[400];
static pid_t child;

/* ---- The device -------------------------------------------------------------------------------------------------- */

static struct gwc_serial serial;
static struct gwc_serial_config serial_config;
static struct gw_handover slot_a = { .slot = GW_SLOT_A, .state = GW_CONFIRMED, .cause = GW_CAUSE_PIN };
static uint8_t offer_room[GWC_OFFER_MAX], serial_buffer[GWC_BUFFER_MIN];
static unsigned answers;
static int socket_of_device;

/* Pieces of one answer come one after the other: the last one ends with c0 and is longer than that. */
static void put(void *ctx, const uint8_t *bytes, size_t n)
{
    bool last = bytes[n - 1] == 0xc0 && n > 1;
    (void)ctx;
    if (trouble.silent || (trouble.lose != 0 && answers % trouble.lose == trouble.lose - 1)) {
        answers += last;
        return;
    }
    if (trouble.says != NULL && bytes[0] == 0xc0) {
        (void)!write(socket_of_device, trouble.says, strlen(trouble.says));
    }
    (void)!write(socket_of_device, bytes, n);
    answers += last;
    if (trouble.leave != 0 && answers == trouble.leave) {
        _exit(0);
    }
}

static void restart(void *ctx)
{
    (void)ctx;
    _exit(0);
}

static void start_serial(void)
{
    serial_config = (struct gwc_serial_config){
        .dev = &dev.dev, .boot = &slot_a, .offer = offer_room, .offer_size = sizeof offer_room,
        .buffer = serial_buffer, .buffer_size = sizeof serial_buffer, .put = put, .restart = restart,
    };
    if (simdev_mount(&dev) != GW_OK || gwc_serial_init(&serial, &serial_config) != GW_OK) {
        _exit(1);
    }
}

static _Noreturn void run_device(void)
{
    uint8_t byte;

    start_serial();
    for (unsigned bytes = 1; read(socket_of_device, &byte, 1) == 1; bytes++) {
        byte ^= trouble.alter != 0 && bytes % trouble.alter == 0 ? 0x20 : 0;
        (void)gwc_serial_byte(&serial, byte);
        while (gwc_serial_step(&serial) == GW_MORE) {
        }
        if (trouble.restart != 0 && answers == trouble.restart) {
            trouble.restart = 0;
            start_serial();
        }
    }
    _exit(0);
}

/* ---- The host ---------------------------------------------------------------------------------------------------- */

static void save(const char *name, const struct gwh_buf *bytes)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(gwh_file_write(path, gwh_span(bytes), 0600, true, &err), GWH_OK);
}

static void save_release(void)
{
    char path[200], hex[65];

    snprintf(folder, sizeof folder, "/tmp/godwit-push-XXXXXX");
    assert_non_null(mkdtemp(folder));
    save("manifest.cose", &release.r.manifest);
    snprintf(path, sizeof path, "%s/payloads", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    for (unsigned i = 0; i < 2; i++) {
        gwh_hex(hex, release.r.name[i], 32);
        snprintf(path, sizeof path, "payloads/%s", hex);
        save(path, &release.r.file[i]);
    }
}

static int open_world(void **state)
{
    (void)setup(state);
    memset(&trouble, 0, sizeof trouble);
    memset(&err, 0, sizeof err);
    memset(said, 0, sizeof said);
    answers = 0;
    child = 0;
    scene_release_sign(&dev, &release);
    save_release();
    return 0;
}

static int close_world(void **state)
{
    char command[100];

    gwh_line_close(&line);
    if (child > 0) {
        (void)waitpid(child, NULL, 0);
    }
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
    return teardown(state);
}

static void hear(void *ctx, const char *text)
{
    (void)ctx;
    if (said[0] == '\0') {
        snprintf(said, sizeof said, "%s", text);
    }
}

/* The device begins to run, with its trouble. */
static void connect_device(void)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(pair[0]);
        socket_of_device = pair[1];
        run_device();
    }
    close(pair[1]);
    line = (struct gwh_line){ .fd = pair[0], .wait_ms = 100, .tries = 6, .text = hear };
}

static int push(struct gwh_pushed *out)
{
    struct gwh_push p = { .line = &line, .largest = GWC_OFFER_MAX };
    struct gwh_release r;

    int e = gwh_release_load(&r, folder, &err);
    assert_int_equal(e, GWH_OK);
    e = gwh_push_release(&p, &r, out, &err);
    gwh_release_free(&r);
    return e;
}

static void expect_pushed(void)
{
    struct gwh_pushed out;

    connect_device();
    int e = push(&out);
    if (e != GWH_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(out.order.epoch, 1);
    assert_int_equal(out.order.sequence, 6);
    assert_true(out.sent >= release.r.file[0].n + release.r.file[1].n - out.at_first);
}

static void expect_failure(int code, int reason, const char *text)
{
    struct gwh_pushed out;

    connect_device();
    assert_int_equal(push(&out), code);
    assert_int_equal(err.reason, reason);
    assert_non_null(strstr(err.text, text));
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

static void a_release_goes_over(void **state)
{
    (void)state;
    expect_pushed();
    assert_int_equal(line.repeated, 0);
}

static void over_a_line_that_loses_answers(void **state)
{
    (void)state;
    trouble.lose = 4;
    expect_pushed();
    assert_true(line.repeated >= 3);
}

static void over_a_line_that_alters_bytes(void **state)
{
    (void)state;
    trouble.alter = 1201;
    expect_pushed();
    assert_true(line.repeated >= 3);
}

static void to_a_device_that_restarts_by_itself(void **state)
{
    (void)state;
    trouble.restart = 9;
    expect_pushed();
}

static void to_a_device_that_says_nothing(void **state)
{
    (void)state;
    trouble.silent = true;
    expect_failure(GWH_IO, 0, "does not answer (asked 6 times)");
    assert_non_null(strstr(err.hint, "is it on"));
}

static void to_a_device_that_goes_away(void **state)
{
    (void)state;
    trouble.leave = 5;
    expect_failure(GWH_IO, 0, "the line to the device is gone");
    assert_non_null(strstr(err.hint, "push again"));
}

static void to_a_device_that_refuses(void **state)
{
    (void)state;
    memcpy(release.m.class_id, "another class id", 16);
    scene_release_sign(&dev, &release);
    save("manifest.cose", &release.r.manifest);
    expect_failure(GWH_REFUSED, GW_ERR_CLASS, "CLASS: made for another class of device");
}

static void a_payload_that_ends_too_early(void **state)
{
    char path[200], hex[65];
    (void)state;

    gwh_hex(hex, release.r.name[0], 32);
    snprintf(path, sizeof path, "%s/payloads/%s", folder, hex);
    assert_int_equal(truncate(path, 1000), 0);
    expect_failure(GWH_REFUSED, GW_ERR_PAYLOAD_SHORT, "PAYLOAD_SHORT");
}

static void a_payload_that_is_missing(void **state)
{
    char path[200], hex[65];
    (void)state;

    gwh_hex(hex, release.r.name[0], 32);
    snprintf(path, sizeof path, "%s/payloads/%s", folder, hex);
    assert_int_equal(unlink(path), 0);
    expect_failure(GWH_IO, 0, "No such file");
}

static void a_manifest_that_the_device_has_no_room_for(void **state)
{
    struct gwh_push p = { .line = &line, .largest = 100 };
    struct gwh_pushed out;
    struct gwh_release r;
    (void)state;

    connect_device();
    assert_int_equal(gwh_release_load(&r, folder, &err), GWH_OK);
    assert_int_equal(gwh_push_release(&p, &r, &out, &err), GWH_REFUSED);
    assert_int_equal(err.reason, GW_ERR_LIMIT);
    gwh_release_free(&r);
}

static void the_status(void **state)
{
    struct gwh_status s;
    (void)state;

    connect_device();
    assert_int_equal(gwh_push_status(&line, &s, &err), GWH_OK);
    assert_string_equal(s.device_id, "device-1");
    assert_memory_equal(s.vendor, "vendor", 6);
    assert_memory_equal(s.class_id, "class", 5);
    assert_int_equal(s.slot, GW_SLOT_A);
    assert_int_equal(s.state, GW_CONFIRMED);
    assert_int_equal(s.order.sequence, 5);
    assert_int_equal(s.cause, GW_CAUSE_PIN);
    assert_int_equal(s.largest, GWC_OFFER_MAX);
    assert_int_equal(s.hardware, 3);
}

static void a_bundle_and_a_restart(void **state)
{
    struct gwh_push p = { .line = &line, .largest = GWC_OFFER_MAX };
    (void)state;

    scene_bundle_make(&dev, &bundle, 2, -1);
    connect_device();
    assert_int_equal(gwh_push_trust(&p, gwh_span(&bundle.bytes), &err), GWH_OK);
    bundle.bytes.p[bundle.bytes.n - 1] ^= 1;
    assert_int_equal(gwh_push_trust(&p, gwh_span(&bundle.bytes), &err), GWH_REFUSED);
    assert_int_equal(err.reason, GW_ERR_SIGNATURE);
    memset(&err, 0, sizeof err);
    assert_int_equal(gwh_push_restart(&line, &err), GWH_OK);
}

static void text_cannot_harm_a_terminal(void **state)
{
    struct gwh_status s;
    (void)state;

    trouble.says = "\x1b[2Jhello\x07\xc2\x9b!\r\n";
    connect_device();
    assert_int_equal(gwh_push_status(&line, &s, &err), GWH_OK);
    assert_string_equal(said, "[2Jhello\\xc2\\x9b!");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_release_goes_over),
        TEST(over_a_line_that_loses_answers),
        TEST(over_a_line_that_alters_bytes),
        TEST(to_a_device_that_restarts_by_itself),
        TEST(to_a_device_that_says_nothing),
        TEST(to_a_device_that_goes_away),
        TEST(to_a_device_that_refuses),
        TEST(a_payload_that_ends_too_early),
        TEST(a_payload_that_is_missing),
        TEST(a_manifest_that_the_device_has_no_room_for),
        TEST(the_status),
        TEST(a_bundle_and_a_restart),
        TEST(text_cannot_harm_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
