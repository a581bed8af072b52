/*
 * fuzz_mqtt.c - what any broker says, through the layer over lwIP and lwIP's MQTT client. The first byte of the input
 * says in which pieces it comes, and whether it comes instead of CONNACK or to a client that has subscribed; the rest
 * is what the broker says.
 *
 * Properties: however the bytes come, the same messages are told, and the connection is lost or not; messages are short
 * and of the own topic; what the client sends stays MQTT (tests/support/broker.c looks); after it all a good broker
 * finds a good client.
 */
#include <stdlib.h>
#include <string.h>

#include <lwip/init.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>

#include "broker.h"
#include "ports/lwip/mqtt_object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) do { if (!(condition)) { abort(); } } while (0)
#define INPUT_MAX 8000u
#define TOPIC "godwit/d/notify"

struct outcome {
    unsigned messages, lost;
    size_t bytes;
    uint32_t sum;
    int why;
};

static struct outcome seen;

static void on_message(void *ctx, struct gw_span bytes)
{
    (void)ctx;
    MUST(bytes.n <= GWC_NOTIFY_MAX);
    seen.messages++;
    seen.bytes += bytes.n;
    for (size_t i = 0; i < bytes.n; i++) {
        seen.sum = seen.sum * 31 + bytes.p[i];
    }
}

static void on_changed(void *ctx, int status)
{
    (void)ctx;
    seen.lost += status != GW_OK;
    seen.why = status != GW_OK ? status : seen.why;
}

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return lwip_ms;
}

static uint32_t any(void *ctx)
{
    (void)ctx;
    return 0;
}

static void step(struct gwl_mqtt *m)
{
    uint32_t wait_ms;

    gwl_mqtt_step(m, &wait_ms);
    sys_check_timeouts();
    lwip_ms++;
}

static void come_up(struct gwl_mqtt *m)
{
    for (unsigned i = 0; i < 5000 && !gwl_mqtt_connected(m); i++) {
        step(m);
    }
    MUST(gwl_mqtt_connected(m));
}

/* Topics that are in the input at all: no message can be told without. */
static unsigned topics(const uint8_t *p, size_t n)
{
    unsigned found = 0;

    for (size_t i = 0; i + sizeof TOPIC - 1 <= n; i++) {
        found += memcmp(p + i, TOPIC, sizeof TOPIC - 1) == 0;
    }
    return found;
}

static void listen_to(const uint8_t *p, size_t n, bool early, size_t piece, bool again)
{
    static const uint8_t small[] = "now";
    struct broker *b = malloc(sizeof *b);
    struct gwl_mqtt *m = malloc(sizeof *m);

    MUST(b != NULL && m != NULL);
    const struct gwl_mqtt_config config = { .secure = &b->secure, .host = "h", .port = 1, .id = "d",
                                            .message = on_message, .changed = on_changed, .random = any,
                                            .now_ms = now_ms };
    memset(&seen, 0, sizeof seen);
    broker_open(b);
    b->piece = piece;
    b->again = again;
    MUST(gwl_mqtt_init(m, &config) == GW_OK);
    b->mute = early;
    for (unsigned i = 0; i < 5000 && !(early ? b->conns > 0 : gwl_mqtt_connected(m)); i++) {
        step(m);
    }
    MUST(early ? b->conns > 0 : gwl_mqtt_connected(m));
    b->mute = true; /* what it says is in the input */
    broker_say(b, p, n);
    for (size_t i = 0; i < 8 * n + 100 && seen.lost == 0 && !broker_heard(b); i++) {
        step(m);
    }
    MUST(seen.lost > 0 || broker_heard(b));
    for (unsigned i = 0; i < 20 && seen.lost == 0; i++) {
        step(m); /* an end that is not told at once */
    }
    struct outcome was = seen;
    gwl_mqtt_close(m);
    MUST(!b->connected);
    b->mute = false;
    come_up(m);
    unsigned messages = seen.messages, reports = b->reports;
    broker_publish(b, TOPIC, small, sizeof small);
    MUST(gwl_mqtt_report(m, small, sizeof small));
    for (unsigned i = 0; i < 1000 && (seen.messages == messages || b->reports == reports); i++) {
        step(m);
    }
    MUST(seen.messages == messages + 1 && b->reports == reports + 1);
    gwl_mqtt_close(m);
    free(m);
    free(b);
    seen = was;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    struct outcome whole;

    if (size == 0 || size > INPUT_MAX) {
        return 0;
    }
    if (!started) {
        lwip_init();
        started = true;
    }
    const bool early = (data[0] & 0x80) != 0, again = (data[0] & 0x40) != 0;
    listen_to(data + 1, size - 1, early, 0, false);
    whole = seen;
    MUST(whole.messages <= topics(data + 1, size - 1));
    listen_to(data + 1, size - 1, early, data[0] & 0x3f, again);
    MUST(whole.messages == seen.messages && whole.bytes == seen.bytes && whole.sum == seen.sum);
    MUST(whole.lost == seen.lost && whole.why == seen.why);
    return 0;
}
