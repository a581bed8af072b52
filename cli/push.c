/*
 * push.c - godwit push: a release to a device over its serial line, or over TCP to what stands for one.
 */
#include <string.h>

#include "cli.h"
#include "posix_device.h"
#include "push.h"

#define BAUD 115200u
#define AFTER_RESTART_MS 1000u /* its first words are of interest */

static const struct gwh_option push_options[] = {
    {"tcp", "HOST:PORT", "the line is a TCP connection: an emulator, a serial server", false, false},
    {"serial", "DEVICE", "the line is a serial port, /dev/ttyUSB0", false, false},
    {"baud", "N", "of the serial port; 115200 if not given", false, false},
    {"trust", "FILE", "a newer trust bundle, pushed before the release", false, false},
    {"restart", NULL, "restart the device at the end, so that it tries the release", false, false},
    {"status", NULL, "print what the device says of itself, before anything else", false, false},
    CLI_JSON,
    GWH_OPTIONS_END,
};

static void console(void *ctx, const char *line)
{
    (void)ctx;
    gwh_note("device: %s", line);
}

static void tell(void *ctx, const char *line)
{
    (void)ctx;
    gwh_note("%s", line);
}

/* A line for each tenth. */
static void progress(void *ctx, uint32_t done, uint32_t total)
{
    unsigned *shown = ctx, tenth = total > 0 ? (unsigned)((uint64_t)done * 10 / total) : 0;
    if (tenth > *shown && tenth < 10) {
        gwh_note("%3u %%  %u of %u bytes", tenth * 10, (unsigned)done, (unsigned)total);
        *shown = tenth;
    }
}

static int open_line(const struct gwh_args *a, struct gwh_line *l, struct gwh_error *err)
{
    const char *tcp = gwh_text(a, "tcp"), *serial = gwh_text(a, "serial");
    uint32_t baud = BAUD;
    if ((tcp == NULL) == (serial == NULL)) {
        return gwh_fail(err, GWH_USAGE, "expected one of --tcp HOST:PORT and --serial DEVICE");
    }
    if (a->operand_count == 0 && !gwh_flag(a, "trust") && !gwh_flag(a, "status") && !gwh_flag(a, "restart")) {
        (void)gwh_fail(err, GWH_USAGE, "nothing to push: expected a RELEASE, --trust, --restart or --status");
        return gwh_hint(err, "godwit push rel/ --%s %s", tcp != NULL ? "tcp" : "serial", tcp != NULL ? tcp : serial);
    }
    int e = gwh_number(a, "baud", BAUD, &baud, err);
    if (e != GWH_OK) {
        return e;
    }
    return tcp != NULL ? gwh_line_tcp(l, tcp, err) : gwh_line_serial(l, serial, baud, err);
}

static json_t *show_status(const struct gwh_status *s)
{
    json_t *o = json_object();
    (void)json_object_set_new(o, "device", json_string(s->device_id));
    (void)json_object_set_new(o, "vendor", gwh_show_uuid(s->vendor));
    (void)json_object_set_new(o, "class", gwh_show_uuid(s->class_id));
    (void)json_object_set_new(o, "hardware", json_integer(s->hardware));
    (void)json_object_set_new(o, "slot", json_string(gwp_slot_name(s->slot)));
    if (s->slot <= GW_SLOT_B) {
        (void)json_object_set_new(o, "state at boot", json_string(gwp_state_name(s->state)));
    }
    if (s->order.sequence != 0) {
        (void)json_object_set_new(o, "release", gwh_show_order(s->order));
    }
    (void)json_object_set_new(o, "reset cause", json_string(gwp_cause_name(s->cause)));
    if (s->reason != 0) {
        (void)json_object_set_new(o, "image before was left", json_string(gw_error_name((int)s->reason)));
    }
    (void)json_object_set_new(o, "recovery", json_boolean(s->recovery != 0));
    (void)json_object_set_new(o, "bootloader", json_integer(s->bootloader));
    (void)json_object_set_new(o, "largest offer", json_integer(s->largest));
    return o;
}

static int push_trust(const struct gwh_args *a, const struct gwh_push *p, struct gwh_error *err)
{
    struct gwh_buf cose = {0};
    if (!gwh_flag(a, "trust")) {
        return GWH_OK;
    }
    int e = gwh_file_read(&cose, gwh_text(a, "trust"), GW_TRUST_MAX, err);
    e = e == GWH_OK ? gwh_push_trust(p, gwh_span(&cose), err) : e;
    if (e == GWH_OK) {
        gwh_note("the device has the trust bundle %s", gwh_text(a, "trust"));
    }
    gwh_buf_free(&cose);
    return e;
}

/* What a person would try next. */
static int advise(int e, struct gwh_error *err)
{
    switch (err->reason) {
    case GW_ERR_NOT_CONFIRMED: return gwh_hint(err, "wait until the running image has confirmed itself");
    case GW_ERR_NO_KEY: return gwh_hint(err, "godwit release grant REL --to DEVICE.pub.pem --with KEY.pem");
    case GW_ERR_SIGNERS_FEW: return gwh_hint(err, "godwit release sign REL --key KEY.pem");
    case GW_ERR_KEY_UNKNOWN: return gwh_hint(err, "if the key is in a newer trust bundle: add --trust FILE");
    case GW_ERR_SOURCE: return gwh_hint(err, "the payload in the folder is damaged: godwit release verify REL ...");
    default: return e;
    }
}

static int push_release(const struct gwh_args *a, struct gwh_push *p, struct gwh_error *err)
{
    struct gwh_release r;
    struct gwh_pushed done;
    unsigned shown = 0;
    if (a->operand_count == 0) {
        return GWH_OK;
    }
    int e = gwh_release_load(&r, a->operand[0], err);
    if (e == GWH_OK) {
        p->ctx = &shown;
        e = gwh_push_release(p, &r, &done, err);
    }
    if (e == GWH_OK) {
        gwh_note("the device has release %u.%u: STAGED (%u payload bytes sent, %u were there)",
                 (unsigned)done.order.epoch, (unsigned)done.order.sequence, (unsigned)done.sent,
                 (unsigned)done.at_first);
    }
    gwh_release_free(&r);
    return e == GWH_OK ? e : advise(e, err);
}

static int restart(const struct gwh_args *a, struct gwh_line *l, struct gwh_error *err)
{
    if (!gwh_flag(a, "restart")) {
        if (a->operand_count > 0) {
            gwh_note("it is tried with the next restart: add --restart");
        }
        return GWH_OK;
    }
    int e = gwh_push_restart(l, err);
    if (e == GWH_OK) {
        gwh_note("the device restarts");
        gwh_line_listen(l, AFTER_RESTART_MS);
    }
    return e;
}

static int run_push(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_line line = {.fd = -1, .text = console};
    struct gwh_push p = {.line = &line, .progress = progress, .tell = tell};
    struct gwh_status status;
    int e = open_line(a, &line, err);
    e = e == GWH_OK ? gwh_push_status(&line, &status, err) : e;
    if (e == GWH_OK) {
        p.largest = status.largest;
        gwh_note("%s runs from slot %s, %s", status.device_id, gwp_slot_name(status.slot),
                 status.recovery ? "recovery" : gwp_state_name(status.state));
        e = gwh_flag(a, "status") ? cli_print(a, show_status(&status)) : GWH_OK;
    }
    e = e == GWH_OK ? push_trust(a, &p, err) : e;
    e = e == GWH_OK ? push_release(a, &p, err) : e;
    e = e == GWH_OK ? restart(a, &line, err) : e;
    if (line.repeated > 0) {
        gwh_note("%u requests had to be repeated", (unsigned)line.repeated);
    }
    gwh_line_close(&line);
    return e;
}

const struct gwh_command cli_push[] = {
    {NULL, "push", "[RELEASE]", 0, 1,
     "bring a release to a device over its serial line; goes on where it was interrupted", push_options,
     "godwit push rel/ --tcp localhost:5555 --restart", run_push},
    CLI_COMMANDS_END,
};
