/*
 * online.c - see online.h. From the wire up: card, lwIP, TCP, TLS, HTTP; beside it TCP, TLS, MQTT; the agent on top.
 */
#include "online.h"

#include <string.h>

#include "client.h"
#include "courier.h"
#include "crypto_ports.h"
#include "events.h"
#include "fetch.h"
#include "heap.h"
#include "memory.h"
#include "mqtt.h"
#include "mqtt_object.h"
#include "net.h"
#include "settings.h"
#include "tcp.h"
#include "tls.h"
#include "trusted.h"
#include "url.h"

#define STEP_MAX_US 1000000u

static const struct gw_device *device;
static struct gw_span settings;
static struct gwl_net_config net;
static struct gwl_tcp http_tcp, mqtt_tcp;
static struct gwc_tls *http_tls, *mqtt_tls;
static struct gwc_client client;
static struct gwc_fetch_config fetch_config;
static struct gwc_fetch fetch;
static struct gw_transport https, over; /* HTTPS alone; with reports by the broker */
static struct gwc_courier_config courier_config;
static struct gwc_courier courier;
static struct gwl_mqtt_config mqtt_config;
static struct gwl_mqtt mqtt;
static struct gw_agent_config config;
static struct gw_agent agent;
static char server[GWC_URL_MAX + 1], broker[GWC_HOST_MAX + 1], offer_path[GWC_SETTING_PATH_MAX + 1],
    report_path[GWC_SETTING_PATH_MAX + 1];
static bool running, stopped, up, has_broker, told_trust; /* the agent (twice); an address; a broker is set; believed */
static void (*at_end)(void);

/* ---- What the others ask for ------------------------------------------------------------------------------------ */

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return (uint32_t)(board_time_us() / 1000);
}

static uint32_t now_s(void *ctx)
{
    (void)ctx;
    return board_clock();
}

static int draw(void *ctx, void *bytes, size_t n)
{
    (void)ctx;
    return board_random(bytes, n);
}

static uint32_t draw_word(void *ctx)
{
    uint32_t word = 0;

    return draw(ctx, &word, sizeof word) == 0 ? word : now_ms(ctx);
}

static uint8_t *frame(void *ctx)
{
    (void)ctx;
    return board_net_frame();
}

static void send_frame(void *ctx, uint8_t *bytes, uint32_t n)
{
    (void)ctx;
    board_net_send(bytes, n);
}

static void receive_frame(void *ctx, const uint8_t *bytes, uint32_t n)
{
    (void)ctx;
    gwl_net_receive(bytes, n);
}

/* "name address" */
static bool split(struct gw_span line, struct gw_span *name, struct gw_span *address)
{
    const uint8_t *blank = memchr(line.p, ' ', line.n);

    if (blank == NULL) {
        return false;
    }
    *name = (struct gw_span){ line.p, (size_t)(blank - line.p) };
    *address = (struct gw_span){ blank + 1, line.n - name->n - 1 };
    return true;
}

static uint32_t known_host(void *ctx, struct gw_span wanted)
{
    struct gw_span line, name, address;

    (void)ctx;
    for (unsigned i = 0; (line = gwc_setting(settings, "host", i)).n > 0; i++) {
        if (split(line, &name, &address) && gwc_host_equal(name, wanted)) {
            return gwc_address(address);
        }
    }
    return 0;
}

/* ---- What happens ----------------------------------------------------------------------------------------------- */

static void on_event(void *ctx, enum gw_event event, int reason, uint32_t a, uint32_t b)
{
    (void)ctx;
    events_tell(event, reason, a, b);
    if (at_end != NULL && (event == GW_EVENT_STAGED || event == GW_EVENT_TRIED)) {
        at_end();
    }
}

static void restart(void *ctx)
{
    (void)ctx;
    gwl_mqtt_close(&mqtt);
    board_reset(GW_CAUSE_SOFTWARE);
}

static void on_message(void *ctx, struct gw_span bytes)
{
    (void)ctx;
    gwc_courier_message(&courier, bytes);
}

static void on_broker(void *ctx, int status)
{
    (void)ctx;
    if (status == GW_OK) {
        board_print("broker connected\n");
    } else {
        console_error("broker lost", status);
    }
}

static void wake(void *ctx)
{
    (void)ctx;
    board_print("notified\n");
    if (running) {
        gw_agent_wake(&agent);
    }
}

static bool publish(void *ctx, const uint8_t *bytes, size_t n)
{
    (void)ctx;
    return gwl_mqtt_report(&mqtt, bytes, n);
}

static bool broker_is_there(void *ctx)
{
    (void)ctx;
    return gwl_mqtt_connected(&mqtt);
}

/* The broker's certificate is judged as the server's is; a connection that another bundle allowed ends. */
static int trust_broker(void *ctx, const struct gw_transport_trust *trust)
{
    static uint32_t version; /* of the bundle that was told last */
    uint32_t told = trust->trust != NULL ? trust->trust->version : 0;
    const struct gwc_secure *s = gwc_tls_secure(mqtt_tls);
    uint8_t pins[GWC_PINS_MAX][GW_DIGEST_SIZE];
    struct gwc_trusted trusted;
    int err = gwc_trusted_from(&trusted, pins, trust);

    (void)ctx;
    err = err == GW_OK ? s->trust(s->stream.ctx, &trusted) : err;
    if (err != GW_OK || told != version) {
        gwl_mqtt_close(&mqtt);
    }
    version = told;
    told_trust = err == GW_OK;
    return err;
}

/* ---- Start ------------------------------------------------------------------------------------------------------ */

static uint32_t setting_address(const char *name)
{
    return gwc_address(gwc_setting(settings, name, 0));
}

/* "10.0.2.15/24" */
static void set_address(void)
{
    struct gw_span text = gwc_setting(settings, "address", 0);
    const uint8_t *slash = text.n > 0 ? memchr(text.p, '/', text.n) : NULL;
    uint32_t bits = 0;

    if (slash == NULL) {
        return; /* DHCP */
    }
    (void)gwc_number((struct gw_span){ slash + 1, (size_t)(text.p + text.n - slash - 1) }, &bits);
    net.address = gwc_address((struct gw_span){ text.p, (size_t)(slash - text.p) });
    net.mask = bits == 0 || bits > 32 ? 0 : ~0u << (32 - bits);
    net.gateway = setting_address("gateway");
}

static int start_net(void)
{
    net = (struct gwl_net_config){ .frame = frame, .send = send_frame, .host = known_host, .random = draw_word,
                                   .now_ms = now_ms, .name_server = setting_address("dns") };
    set_address();
    if (!board_net_start(net.mac)) {
        board_print("no network card\n");
        return GW_ERR_CONFIG;
    }
    return gwl_net_start(&net);
}

static struct gwc_tls *make_tls(struct gwl_tcp *tcp, int *err)
{
    const struct gwc_tls_config tls = {
        .below = &tcp->stream, .certificate = client.certificate,
        .key = { client.key, client.certificate.n > 0 ? sizeof client.key : 0 }, .random = draw,
    };

    gwl_tcp_init(tcp, known_host, NULL);
    return *err == GW_OK ? gwc_tls_new(&tls, err) : NULL;
}

/* Certificate and key go from the identity into the TLS layers, and are wiped here. */
static int start_tls(void)
{
    int err = gwc_client_read(&client, device, memory_buffer, sizeof memory_buffer);

    heap_start();
    http_tls = make_tls(&http_tcp, &err);
    if (has_broker) {
        mqtt_tls = make_tls(&mqtt_tcp, &err);
    }
    gwc_client_forget(&client, memory_buffer, sizeof memory_buffer);
    return err;
}

static void set_paths(void)
{
    bool is_static = gwc_setting_text(settings, "offer", offer_path, sizeof offer_path) &&
                     strcmp(offer_path, "static") == 0;

    if (is_static) {
        memcpy(offer_path, "offers/", 7);
        memcpy(offer_path + 7, client.class_id, sizeof client.class_id);
    } else if (offer_path[0] == '\0') {
        memcpy(offer_path, "device/v1/offer", 16);
    }
    if (!gwc_setting_text(settings, "report", report_path, sizeof report_path) && !is_static) {
        memcpy(report_path, "device/v1/report", 17);
    }
}

static int start_https(void)
{
    set_paths();
    fetch_config = (struct gwc_fetch_config){
        .secure = gwc_tls_secure(http_tls), .server = server, .offer_path = offer_path,
        .report_path = report_path[0] != '\0' ? report_path : NULL, .now_ms = now_ms,
    };
    return gwc_fetch_init(&fetch, &fetch_config, &https);
}

static int start_broker(uint16_t port)
{
    courier_config = (struct gwc_courier_config){
        .below = &https, .crypto = device->crypto, .publish = publish, .connected = broker_is_there, .wake = wake,
        .trust = trust_broker, .now_ms = now_ms,
    };
    mqtt_config = (struct gwl_mqtt_config){
        .secure = gwc_tls_secure(mqtt_tls), .host = broker, .port = port, .id = client.id, .message = on_message,
        .changed = on_broker, .random = draw_word, .now_ms = now_ms,
    };
    int err = gwc_courier_init(&courier, &courier_config, &over);
    return err == GW_OK ? gwl_mqtt_init(&mqtt, &mqtt_config) : err;
}

static void set_agent(const struct gw_handover *boot, int (*self_test)(void *ctx))
{
    config = (struct gw_agent_config){
        .dev = device, .handover = boot, .transport = has_broker ? &over : &https, .decoding = &memory_decoding,
        .buffer = memory_buffer, .buffer_size = sizeof memory_buffer, .offer = memory_offer,
        .offer_size = sizeof memory_offer, .look_interval_s = gwc_setting_number(settings, "poll", 3600),
        .wake_jitter_s = gwc_setting_number(settings, "jitter", 0),
        .anonymous_after = gwc_setting_number(settings, "anonymous_after", 0), .time = now_s,
        .self_test = self_test, .restart = restart, .on_event = on_event,
    };
}

/* "NAME:PORT". 0: there is no broker. */
static uint16_t read_broker(void)
{
    uint32_t port = 0;

    (void)gwc_setting_text(settings, "mqtt", broker, sizeof broker);
    char *colon = strrchr(broker, ':');
    if (colon == NULL || !gwc_number((struct gw_span){ (uint8_t *)colon + 1, strlen(colon + 1) }, &port)) {
        return 0;
    }
    *colon = '\0';
    return port < 65536 ? (uint16_t)port : 0;
}

/* A factory of ours refuses them; another's, or a dump that was edited, must not leave people to guess. */
static void tell_fault(void)
{
    struct gwc_settings_fault fault;

    if (gwc_settings_fault(settings, &fault)) {
        board_print("settings, line ");
        board_print_number(fault.line);
        board_print(fault.name != NULL ? ", " : "");
        board_print(fault.name != NULL ? fault.name : "");
        board_print(": expected ");
        board_print(fault.expected);
        board_print("\n");
    }
}

bool online_start(const struct gw_device *dev, const struct gw_handover *boot, int (*self_test)(void *ctx))
{
    settings = (struct gw_span){ (const uint8_t *)(uintptr_t)board_settings.start, board_settings.size };
    tell_fault();
    if (dev == NULL || !gwc_setting_text(settings, "server", server, sizeof server)) {
        return false;
    }
    device = dev;
    uint16_t port = read_broker();
    has_broker = port != 0;
    int err = start_tls();
    err = err == GW_OK ? start_https() : err;
    err = err == GW_OK && has_broker ? start_broker(port) : err;
    err = err == GW_OK ? start_net() : err; /* last: frames that nobody takes would end every wait */
    if (err != GW_OK) {
        console_error("network", err);
        return false;
    }
    set_agent(boot, self_test);
    return true;
}

/* ---- Going ------------------------------------------------------------------------------------------------------ */

static void tell_up(void)
{
    uint32_t a = gwl_net_address();

    if (a != 0 && !up) {
        up = true;
        board_print("network up: ");
        for (unsigned i = 0; i < 4; i++) {
            board_print(i > 0 ? "." : "");
            board_print_number(a >> (24 - 8 * i) & 255);
        }
        board_print("\n");
    }
}

static uint32_t step_agent(bool ready)
{
    uint32_t wait = UINT32_MAX;

    if (!running && !stopped && ready) {
        int err = gw_agent_open(&agent, &config, now_ms(NULL));
        if (err != GW_OK) {
            console_error("agent", err);
            return 1000;
        }
        running = true;
        err = gw_agent_tell_trust(&agent); /* for the broker */
        if (err != GW_OK) {
            console_error("trust", err); /* each look tries it again */
        }
        if (config.handover->state != GW_TRYING) {
            gw_agent_wake(&agent); /* a look when it starts, as on trial: for those who wait for it */
        }
    }
    if (running) {
        int err = gw_agent_step(&agent, now_ms(NULL), &wait);
        if (err < 0) {
            console_error("agent", err);
            wait = 1000;
        }
    }
    return wait;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

uint32_t online_step(bool ready)
{
    uint32_t wait = STEP_MAX_US / 1000, broker_wait = UINT32_MAX;

    bool more = board_net_receive(receive_frame, NULL) > 0;
    wait = least(wait, gwl_net_step());
    tell_up();
    wait = least(wait, step_agent(ready));
    if (has_broker && told_trust) {
        gwl_mqtt_step(&mqtt, &broker_wait);
    }
    more = more || gwc_tls_busy(http_tls) || (has_broker && gwc_tls_busy(mqtt_tls));
    return more ? 0 : least(wait, broker_wait) * 1000;
}

bool online_is_done(void)
{
    return running && agent.state == GW_AGENT_RESTART;
}

void online_stop(void)
{
    if (running) {
        gw_agent_close(&agent);
    }
    running = false;
    stopped = true;
}

void online_on_end(void (*tell)(void))
{
    at_end = tell;
}

/* ---- Numbers ---------------------------------------------------------------------------------------------------- */

static void number(const char *text, uint32_t n)
{
    board_print(text);
    board_print_number(n);
}

void online_tell(void)
{
    struct gwl_net_peak peak;

    gwl_net_peak(&peak);
    number("memory: TLS heap ", heap_peak());
    number(", stack ", stack_peak());
    number(" of ", stack_size());
    number(", pbufs ", peak.pbufs);
    number(" of ", peak.pbuf_count);
    number(", lwIP heap ", peak.heap);
    number(" of ", peak.heap_size);
    number(", refused ", peak.refused);
    const struct gwc_tls_count *h = gwc_tls_count(http_tls);
    number("\nwire: sent ", http_tcp.count.sent);
    number(", received ", http_tcp.count.received);
    number(", connections ", http_tcp.count.connections);
    number(", handshakes ", h->handshakes);
    number(", resumed ", h->resumed);
    board_print("\n");
}
