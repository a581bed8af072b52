/*
 * agents.c - many devices in one process, each with an agent, flash in memory and a connection of its own, that update
 * themselves from one HTTPS server at once. Each begins blank, in recovery: it installs the release, restarts, tries
 * it, and confirms it by a second look. They take raw payloads: decoders would need 16 KB each.
 *
 *     agents --server URL --ca FILE --identity FILE --trust FILE --devices N [--seconds S]
 *
 * The identity's device id ends in five digits, which are counted up. Prints one line of JSON. See run.py.
 */
#define _GNU_SOURCE /* memmem */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "args.h"
#include "godwit/agent.h"
#include "posix_curl.h"
#include "posix_device.h"
#include "posix_run.h"

struct totals {
    unsigned confirmed, staged, failures;
    uint64_t read, again;
};

struct one {
    struct gwp_device device;
    struct gw_handover boot;
    struct gw_transport transport;
    struct gwp_curl *curl;
    struct gw_agent_config config;
    struct gw_agent agent;
    struct totals *totals;
    uint8_t buffer[GW_VERIFY_MEMORY], offer[8192];
    uint32_t due;
    bool restart, confirmed;
};

static uint32_t now_ms(void)
{
    return (uint32_t)gwp_now_ms();
}

static void on_event(void *ctx, enum gw_event event, int reason, uint32_t a, uint32_t b)
{
    struct one *o = ctx;
    (void)a;
    (void)b;
    o->totals->staged += event == GW_EVENT_STAGED;
    o->totals->failures += event == GW_EVENT_FAILED;
    if (event == GW_EVENT_STAGED || event == GW_EVENT_FAILED) {
        o->totals->read += o->agent.read;
        o->totals->again += o->agent.again;
    }
    if (event == GW_EVENT_TRIED && reason == 0) {
        o->confirmed = true;
        o->totals->confirmed++;
    }
}

static void restart(void *ctx)
{
    ((struct one *)ctx)->restart = true;
}

/* Bootloader, then the agent of what it started. */
static int start(struct one *o, struct gwh_error *err)
{
    bool watchdog = false;
    int e = gw_boot_run(&o->device.dev, o->restart ? GW_CAUSE_SOFTWARE : GW_CAUSE_POWER, o->buffer, sizeof o->buffer,
                        &o->boot, &watchdog, NULL);
    if (e == GW_ERR_NO_IMAGE) {
        o->boot = (struct gw_handover){.slot = GW_SLOT_NONE, .recovery = 1, .cause = GW_CAUSE_POWER};
    }
    o->restart = false;
    int m = gwp_device_mount(&o->device, err);
    return m == GWH_OK ? gw_agent_open(&o->agent, &o->config, now_ms()) : m;
}

static struct one *make(const struct gwp_init *init, const struct gwp_curl_config *net, struct totals *totals,
                        struct gwh_error *err)
{
    struct gwp_layout layout;
    struct one *o = calloc(1, sizeof *o);
    if (o == NULL || gwp_layout_make(&layout, &init->layout, err) != GWH_OK ||
        gwp_device_memory(&o->device, "device", &layout, err) != GWH_OK ||
        gwp_device_fill(&o->device, init, err) != GWH_OK) {
        return NULL;
    }
    o->curl = gwp_curl_new(net, &o->transport, err);
    o->totals = totals;
    o->config = (struct gw_agent_config){.dev = &o->device.dev, .handover = &o->boot, .transport = &o->transport,
                                         .buffer = o->buffer, .buffer_size = sizeof o->buffer, .offer = o->offer,
                                         .offer_size = sizeof o->offer, .look_interval_s = 5,
                                         .restart = restart, .on_event = on_event, .ctx = o};
    return o->curl != NULL && start(o, err) == GW_OK ? o : NULL;
}

/* Steps every device that has something to do. Returns how many did. */
static unsigned turn(struct one **all, unsigned count, struct gwh_error *err)
{
    unsigned busy = 0;
    for (unsigned i = 0; i < count && err->exit == GWH_OK; i++) {
        struct one *o = all[i];
        uint32_t wait = 0;
        for (unsigned k = 0; k < 16 && !o->confirmed && wait == 0; k++) {
            int status = gw_agent_step(&o->agent, now_ms(), &wait);
            if (status < 0) {
                (void)gwh_fail_reason(err, status, "device %u", i);
                return busy;
            }
            busy += wait == 0;
            if (o->restart) {
                gw_agent_close(&o->agent);
                (void)start(o, err);
            }
        }
    }
    return busy;
}

static void go(struct one **all, unsigned count, unsigned seconds, struct totals *totals, struct gwh_error *err)
{
    struct gwp_curl **links = calloc(count, sizeof *links);
    uint64_t until = gwp_now_ms() + seconds * 1000u;
    for (unsigned i = 0; i < count; i++) {
        links[i] = all[i]->curl;
    }
    while (err->exit == GWH_OK && totals->confirmed < count && gwp_now_ms() < until) {
        if (turn(all, count, err) == 0) {
            gwp_curl_wait_any(links, count, 20);
        }
    }
    free(links);
}

static void print(struct one **all, unsigned count, const struct totals *t, double seconds)
{
    struct gwp_curl_count sum = {0}, c;
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    for (unsigned i = 0; i < count; i++) {
        gwp_curl_count(all[i]->curl, &c);
        sum.requests += c.requests;
        sum.connections += c.connections;
        sum.header_bytes += c.header_bytes;
        sum.body_bytes += c.body_bytes;
        sum.sent_bytes += c.sent_bytes;
    }
    (void)printf("{\"devices\":%u,\"confirmed\":%u,\"staged\":%u,\"failures\":%u,\"payload\":%llu,\"twice\":%llu,"
                 "\"requests\":%llu,\"connections\":%llu,\"received\":%llu,\"sent\":%llu,\"seconds\":%.2f,"
                 "\"cpu\":%.2f,\"rss_mb\":%ld}\n",
                 count, t->confirmed, t->staged, t->failures, (unsigned long long)t->read, (unsigned long long)t->again,
                 (unsigned long long)sum.requests, (unsigned long long)sum.connections,
                 (unsigned long long)(sum.header_bytes + sum.body_bytes), (unsigned long long)sum.sent_bytes, seconds,
                 (double)use.ru_utime.tv_sec + (double)use.ru_stime.tv_sec +
                     (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6,
                 use.ru_maxrss / 1024);
}

static const struct gwh_option options[] = {
    {"server", "URL", "of a static repository", true, false},
    {"offer", "PATH", "of the offer", true, false},
    {"ca", "FILE", "that signed the server", true, false},
    {"identity", "FILE", "its device id ends in 00000", true, false},
    {"trust", "FILE", "bundle", true, false},
    {"devices", "N", "how many", true, false},
    {"seconds", "N", "at most; 300 if not given", false, false},
    GWH_OPTIONS_END,
};

static int read_files(const struct gwh_args *a, struct gwh_buf *identity, struct gwh_buf *trust, struct gwh_error *err)
{
    int e = gwh_file_read(identity, gwh_text(a, "identity"), GW_IDENTITY_MAX, err);
    e = e == GWH_OK ? gwh_file_read(trust, gwh_text(a, "trust"), GW_TRUST_MAX, err) : e;
    if (e == GWH_OK && memmem(identity->p, identity->n, "00000", 5) == NULL) {
        e = gwh_fail(err, GWH_USAGE, "the identity's device id must end in 00000");
    }
    return e;
}

static int run(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_buf identity = {0}, trust = {0};
    struct gwp_curl_config net = {.server = gwh_text(a, "server"), .offer_path = gwh_text(a, "offer"),
                                  .roots = gwh_text(a, "ca")};
    struct gwp_init init = {.layout = {.slot_size = 256 * 1024, .erase_size = 4096, .write_size = 16, .erased = 0xff}};
    struct totals totals = {0};
    struct rlimit files;
    uint32_t count = 0, seconds = 300;
    int e = gwh_number(a, "devices", 0, &count, err);
    e = e == GWH_OK ? gwh_number(a, "seconds", 300, &seconds, err) : e;
    e = e == GWH_OK ? read_files(a, &identity, &trust, err) : e;
    struct one **all = calloc(count + 1, sizeof(struct one *));
    if (e != GWH_OK || all == NULL) {
        return e;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    for (unsigned i = 0; i < count; i++) {
        char digits[16];
        (void)snprintf(digits, sizeof digits, "%05u", i % 100000u);
        struct gwh_buf mine = {0};
        (void)gwh_buf_add(&mine, identity.p, identity.n);
        memcpy(memmem(mine.p, mine.n, "00000", 5), digits, 5);
        init.identity = gwh_span(&mine);
        init.trust = gwh_span(&trust);
        all[i] = make(&init, &net, &totals, err);
        gwh_buf_free(&mine);
        if (all[i] == NULL) {
            return err->exit != GWH_OK ? err->exit : gwh_fail(err, GWH_IO, "device %u does not start", i);
        }
    }
    uint64_t from = gwp_now_ms();
    go(all, count, seconds, &totals, err);
    print(all, count, &totals, (double)(gwp_now_ms() - from) / 1000.0);
    return err->exit != GWH_OK ? err->exit : totals.confirmed == count ? GWH_OK : GWH_REFUSED;
}

static const struct gwh_command commands[] = {
    {NULL, "", "", 0, 0, "many devices update themselves at once", options, "agents --devices 1000 ...", run},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
static const struct gwh_command *const tables[] = {commands, NULL};

int main(int argc, char **argv)
{
    static const struct gwh_program program = {"agents", "many devices update themselves at once", tables};
    return gwh_main(&program, argc, argv);
}
