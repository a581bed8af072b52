/*
 * posix_app.c - one session of an image: an application whose main loop is the agent's. See posix_run.h.
 *
 * Keeps true: the watchdog is fed by the loop alone, so a loop that hangs is seen; everything that an event tells goes
 * to stdout in one line, written at once.
 */
#define _GNU_SOURCE /* memmem */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "godwit/agent.h"
#include "patch.h"
#include "posix_mqtt.h"
#include "posix_run.h"
#include "slots.h"

#define MARK "godwit-app: "
#define MARK_WITHIN 4096u /* bytes at the start of an image, where the mark is looked for */
#define LATER_MS 200u     /* how long GWP_CRASHES_LATER runs */
#define LOOP_MS 250u      /* longest wait of the loop, for the watchdog */

struct session {
    const struct gwp_app *app;
    struct gwp_device device;
    struct gw_agent_config config;
    struct gw_agent agent;
    struct gw_transport transport, over, broken;
    struct gw_decoding decoding;
    struct gwp_link *link;
    struct gwp_mqtt *mqtt; /* NULL: none */
    enum gwp_behaviour behaviour;
    uint8_t buffer[GW_VERIFY_MEMORY], offer[8192];
    uint64_t decoder[20u * 1024u / 8u];
    uint32_t quiet;   /* looks in a row after which there was nothing to do */
    bool restart;
    char version[65]; /* of the image, for people */
};

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

uint64_t gwp_now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

const char *gwp_behaviour_name(enum gwp_behaviour b)
{
    static const char *const names[] = {"healthy",        "crashes",         "hangs",
                                        "never-confirms", "fails-self-test", "crashes-later"};
    return b < GWP_BEHAVIOURS ? names[b] : "unknown";
}

enum gwp_behaviour gwp_behaviour_parse(const char *name)
{
    unsigned b = 0;
    while (b < GWP_BEHAVIOURS && strcmp(name, gwp_behaviour_name((enum gwp_behaviour)b)) != 0) {
        b++;
    }
    return (enum gwp_behaviour)b;
}

/* ---- What it says ------------------------------------------------------------------------------------------------ */

static const char *event_name(enum gw_event event)
{
    static const char *const names[] = {
        [GW_EVENT_LOOK] = "LOOK",           [GW_EVENT_OFFER] = "OFFER",   [GW_EVENT_PLAN] = "PLAN",
        [GW_EVENT_PROGRESS] = "PROGRESS",   [GW_EVENT_STAGED] = "STAGED", [GW_EVENT_FAILED] = "FAILED",
        [GW_EVENT_TRIED] = "TRIED",         [GW_EVENT_NOTHING] = "NOTHING", [GW_EVENT_TRUST] = "TRUST",
        [GW_EVENT_REPORTED] = "REPORTED",   [GW_EVENT_LEFT] = "LEFT",
    };
    return (size_t)event < sizeof names / sizeof *names && names[event] != NULL ? names[event] : "?";
}

/* In words; %1 and %2 are the event's numbers. */
static const char *event_text(enum gw_event event, int reason, uint32_t b)
{
    static const char *const texts[] = {
        [GW_EVENT_LOOK] = "looks for an update",
        [GW_EVENT_OFFER] = "is offered release %1.%2",
        [GW_EVENT_PLAN] = "has to fetch %1 bytes, %2 are here already",
        [GW_EVENT_PROGRESS] = "has %1 of %2 bytes",
        [GW_EVENT_STAGED] = "has installed release %1.%2; restarts to try it",
        [GW_EVENT_FAILED] = "the update did not happen; looks again in %1 s",
        [GW_EVENT_TRIED] = "the image on trial is confirmed",
        [GW_EVENT_NOTHING] = "nothing new; looks again in %1 s",
        [GW_EVENT_TRUST] = "took a newer trust bundle",
        [GW_EVENT_REPORTED] = "report %1 has arrived",
        [GW_EVENT_LEFT] = "went back from release %1.%2",
    };
    if (event == GW_EVENT_TRIED && reason != 0) {
        return "the image on trial gives up";
    }
    if (event == GW_EVENT_LEFT && b == 0) {
        return "before this start"; /* the journal was lost, or nothing is there: no release is to blame */
    }
    return (size_t)event < sizeof texts / sizeof *texts && texts[event] != NULL ? texts[event] : "?";
}

static void say_text(const struct session *s, enum gw_event event, int reason, uint32_t a, uint32_t b)
{
    (void)printf("%7.2f  ", (double)(gwp_now_ms() - s->app->started_ms) / 1000.0);
    for (const char *p = event_text(event, reason, b); *p != '\0'; p++) {
        if (*p == '%') {
            (void)printf("%u", (unsigned)(*++p == '1' ? a : b));
        } else {
            (void)putchar(*p);
        }
    }
    if (reason != 0) {
        const char *why = event == GW_EVENT_FAILED ? gwp_link_why(s->link) : "";
        (void)printf(": %s: %s%s%s%s", gw_error_name(reason), gw_strerror(reason), why[0] != '\0' ? " (" : "", why,
                     why[0] != '\0' ? ")" : "");
    }
    (void)putchar('\n');
}

static void say_json(const struct session *s, enum gw_event event, int reason, uint32_t a, uint32_t b)
{
    bool ends = event == GW_EVENT_STAGED || event == GW_EVENT_FAILED; /* an attempt: what it has read */
    (void)printf("{\"ms\":%llu,\"event\":\"%s\",\"reason\":\"%s\",\"a\":%u,\"b\":%u,\"read\":%u}\n",
                 (unsigned long long)(gwp_now_ms() - s->app->started_ms), event_name(event),
                 reason == 0 ? "" : gw_error_name(reason), (unsigned)a, (unsigned)b,
                 ends ? (unsigned)s->agent.read : 0u);
}

static void on_event(void *ctx, enum gw_event event, int reason, uint32_t a, uint32_t b)
{
    struct session *s = ctx;
    if (event == GW_EVENT_PROGRESS && !s->app->run->json && a != b) {
        return; /* people are told of the last one */
    }
    (s->app->run->json ? say_json : say_text)(s, event, reason, a, b);
    (void)fflush(stdout);
    /* A verdict on a release ends a wait for one; an offer that was damaged on its way does not. */
    if (event == GW_EVENT_NOTHING || (event == GW_EVENT_FAILED && reason >= -GW_ERR_SIGNATURE)) {
        s->quiet++;
    } else if (event == GW_EVENT_STAGED || event == GW_EVENT_FAILED) {
        s->quiet = 0;
    }
}

/* What the session has cost, for scripts. */
static void say_counts(const struct session *s)
{
    struct gwp_link_count c;
    gwp_link_count(s->link, &c);
    if (s->app->run->json) {
        (void)printf("{\"ms\":%llu,\"event\":\"COUNTS\",\"requests\":%llu,\"connections\":%llu,\"received\":%llu,"
                     "\"sent\":%llu,\"writes\":%llu,\"erases\":%llu}\n",
                     (unsigned long long)(gwp_now_ms() - s->app->started_ms), (unsigned long long)c.requests,
                     (unsigned long long)c.connections, (unsigned long long)c.received, (unsigned long long)c.sent,
                     (unsigned long long)s->device.flash.writes, (unsigned long long)s->device.flash.erases);
        (void)fflush(stdout);
    }
}

/* ---- What it does ------------------------------------------------------------------------------------------------ */

static uint32_t now_s(void *ctx)
{
    const struct session *s = ctx;
    return s->app->run->no_clock ? 0 : (uint32_t)((int64_t)time(NULL) + s->app->run->clock_offset);
}

static int self_test(void *ctx)
{
    const struct session *s = ctx;
    return s->behaviour == GWP_FAILS_SELF_TEST ? -1 : 0;
}

static void restart(void *ctx)
{
    ((struct session *)ctx)->restart = true;
}

/* The network of an image whose network does not work. */
static int no_open(void *ctx, const struct gw_request *request)
{
    (void)ctx;
    (void)request;
    return GW_ERR_TRANSPORT;
}

static int no_report(void *ctx, const uint8_t *bytes, size_t n)
{
    (void)ctx;
    (void)bytes;
    (void)n;
    return GW_ERR_TRANSPORT;
}

/* What the image says of itself in its first bytes; else `otherwise`. */
static enum gwp_behaviour marked(const struct session *s, enum gwp_behaviour otherwise)
{
    const struct gw_layout *l = s->device.dev.layout;
    char text[MARK_WITHIN + 1] = "", name[24] = "";
    struct gw_slot_map map;
    if (gw_layout_slot(s->device.dev.flash, l, (enum gw_slot)s->app->boot.slot, &map) != GW_OK ||
        map.image.size < MARK_WITHIN || gw_flash_read(s->device.dev.flash, map.image.start, text, MARK_WITHIN) != 0) {
        return otherwise;
    }
    const char *mark = memmem(text, MARK_WITHIN, MARK, strlen(MARK));
    if (mark == NULL || sscanf(mark + strlen(MARK), "%23[a-z-]", name) != 1) {
        return otherwise;
    }
    enum gwp_behaviour b = gwp_behaviour_parse(name);
    return b < GWP_BEHAVIOURS ? b : otherwise;
}

static enum gwp_behaviour behaviour(const struct session *s)
{
    struct gw_boot_state state;
    unsigned slot = s->app->boot.slot;
    bool newer = slot <= GW_SLOT_B && gw_device_state(&s->device.dev, &state) == GW_OK &&
                 gw_order_compare(state.slot[slot].order, s->app->confirmed) > 0;
    return slot <= GW_SLOT_B ? marked(s, newer ? s->app->run->app : GWP_HEALTHY) : GWP_HEALTHY;
}

static void configure(struct session *s)
{
    const struct gwp_run *r = s->app->run;
    s->decoding = (struct gw_decoding){&gw_patch_codec, s->decoder, sizeof s->decoder, gwh_isas};
    s->broken = s->transport;
    s->broken.open = no_open;
    s->broken.report = s->transport.report != NULL ? no_report : NULL;
    s->config = (struct gw_agent_config){
        .dev = &s->device.dev,
        .handover = &s->app->boot,
        .transport = s->mqtt != NULL ? &s->over : &s->transport,
        .decoding = &s->decoding,
        .buffer = s->buffer,
        .buffer_size = sizeof s->buffer,
        .offer = s->offer,
        .offer_size = sizeof s->offer,
        .look_interval_s = r->interval_s,
        .wake_jitter_s = r->jitter_s,
        .confirm_s = r->confirm_s,
        .steady_s = r->steady_s,
        .attempts_per_day = r->attempts_per_day,
        .bytes_per_day = r->bytes_per_day,
        .chunk = r->chunk,
        .head_required = r->head_required,
        .head_age_s = r->head_age_s,
        .anonymous_after = r->anonymous_after,
        .confirm_offline = r->confirm_offline,
        .time = now_s,
        .self_test = self_test,
        .restart = restart,
        .on_event = on_event,
        .ctx = s,
    };
    s->behaviour = behaviour(s);
    bool trial = s->app->boot.state == GW_TRYING;
    if (trial && s->behaviour == GWP_NEVER_CONFIRMS) {
        s->config.transport = &s->broken;
    }
}

/* Images with bugs show them here. */
static void misbehave(const struct session *s, uint64_t running_ms)
{
    bool trial = s->app->boot.state == GW_TRYING;
    if ((trial && s->behaviour == GWP_CRASHES) ||
        (!s->agent.trial && s->behaviour == GWP_CRASHES_LATER && running_ms >= LATER_MS)) {
        (void)kill(getpid(), SIGKILL);
    }
    while (trial && s->behaviour == GWP_HANGS) {
        (void)pause();
    }
}

static bool done(const struct session *s)
{
    uint32_t looks = s->app->run->looks;
    return stopped || s->restart ||
           (looks != 0 && s->quiet >= looks && s->agent.state == GW_AGENT_IDLE && !s->agent.trial);
}

static int loop(struct session *s)
{
    uint64_t from = gwp_now_ms();
    uint32_t wait = 0;
    while (!done(s)) {
        (void)!write(s->app->watchdog, "", 1);
        misbehave(s, gwp_now_ms() - from);
        gwp_mqtt_step(s->mqtt, gwp_now_ms());
        int status = gw_agent_step(&s->agent, (uint32_t)gwp_now_ms(), &wait);
        if (status < 0) {
            (void)fprintf(stderr, "%s: %s: %s\n", s->device.folder, gw_error_name(status), gw_strerror(status));
            return GWP_APP_FAILED;
        }
        if (wait > 0) {
            gwp_link_wait(s->link, wait < LOOP_MS ? wait : LOOP_MS);
        }
    }
    return s->restart ? GWP_APP_RESTART : GWP_APP_DONE;
}

/* The broker, for a device that has a certificate to show there. */
static int open_mqtt(struct session *s, struct gwh_error *err)
{
    const struct gwp_run *r = s->app->run;
    struct gwp_mqtt_config c = {.address = r->mqtt, .roots = r->link.roots, .agent = &s->agent, .below = &s->transport};
    if (r->mqtt == NULL) {
        return GWH_OK;
    }
    s->mqtt = gwp_mqtt_new(&c, s->link, &s->over, err);
    return s->mqtt != NULL ? GWH_OK : err->exit;
}

/* A device without a CA looks all the same, for a look without trust may bring one; but somebody should know. */
static void warn_of_nobody(struct session *s)
{
    const struct gwp_run *r = s->app->run;
    struct gw_boot_state state;
    struct gw_identity id;
    struct gw_trust trust;
    if (r->link.roots != NULL || (r->link.ports != GWP_PORTS_COMMON && s->mqtt == NULL)) {
        return;
    }
    bool known = gw_device_state(&s->device.dev, &state) == GW_OK &&
                 gw_trust_load(&s->device.dev, &state, true, s->buffer, &trust, &id) == GW_OK;
    if (!known || trust.server_cas.n == 0) {
        gwh_note("%s: no CA was given (--ca FILE) and its trust bundle names none (godwit key bundle --server-ca): %s",
                 s->device.folder, s->mqtt != NULL ? "no broker is trusted" : "no server is trusted");
    }
    gw_wipe(s->buffer, sizeof s->buffer);
}

/* A device that waits for its first look is silent meanwhile: somebody may sit before it. */
static void say_first_look(struct session *s)
{
    struct gw_agent_status now;
    gw_agent_status(&s->agent, &now);
    if (s->app->run->json || now.trial || now.next_look_s == 0) {
        return;
    }
    (void)printf("%7.2f  looks for an update in %u s; --interval says how often, and bounds this first wait too\n",
                 (double)(gwp_now_ms() - s->app->started_ms) / 1000.0, (unsigned)now.next_look_s);
    (void)fflush(stdout);
}

static int run(struct session *s, struct gwh_error *err)
{
    int e = gwp_device_mount(&s->device, err);
    if (e != GWH_OK) {
        return e;
    }
    s->link = gwp_link_new(&s->app->run->link, &s->device, &s->transport, err);
    if (s->link == NULL) {
        return err->exit;
    }
    int end = open_mqtt(s, err);
    configure(s);
    e = end == GWH_OK ? gw_agent_open(&s->agent, &s->config, (uint32_t)gwp_now_ms()) : GW_OK;
    if (end == GWH_OK && e == GW_OK && s->mqtt != NULL) {
        (void)!gw_agent_tell_trust(&s->agent); /* what is wrong with it, the first look says */
    }
    if (e != GW_OK) {
        end = gwh_fail_reason(err, e, "the agent does not start");
    } else if (end == GWH_OK) {
        warn_of_nobody(s);
        say_first_look(s);
        end = loop(s);
        say_counts(s);
        gw_agent_close(&s->agent);
    }
    gwp_mqtt_free(s->mqtt);
    gwp_link_free(s->link);
    return end;
}

int gwp_app_main(const struct gwp_app *app)
{
    struct gwh_error err = {0};
    struct session *s = calloc(1, sizeof *s);
    struct sigaction on_stop = {.sa_handler = stop};
    (void)sigaction(SIGTERM, &on_stop, NULL);
    (void)sigaction(SIGINT, &on_stop, NULL);
    if (s == NULL || gwp_device_open(&s->device, app->run->folder, false, &err) != GWH_OK) {
        (void)fprintf(stderr, "%s: %s\n", app->run->folder, err.text);
        free(s);
        return GWP_APP_FAILED;
    }
    s->app = app;
    s->device.flash.cut_at = app->cut_at;
    int end = run(s, &err);
    if (err.exit != GWH_OK) {
        (void)fprintf(stderr, "%s: %s\n", app->run->folder, err.text);
        if (err.hint[0] != '\0') {
            (void)fprintf(stderr, "next: %s\n", err.hint);
        }
        end = GWP_APP_FAILED;
    }
    gwp_device_close(&s->device);
    gw_wipe(s, sizeof *s);
    free(s);
    return end;
}
