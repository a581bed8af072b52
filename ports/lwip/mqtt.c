/*
 * mqtt.c - see mqtt.h. lwIP's MQTT client does the protocol; here is what it does not: when to connect, how long to
 * wait, what a broker may send at all, and that silence is noticed.
 *
 * lwIP 2.2.1's parser trusts the broker: the length of a packet may go on for ever and is written past its buffer, a
 * packet that comes in pieces is taken for a broken one, and the ring of what goes out loses everything when it is
 * exactly full. So packet_missing() lets through only packets that a broker may send to us, each whole
 * (altcp_secure.h), and nothing is put into the ring that would fill it.
 */
#include "mqtt.h"

#include <string.h>

#include <lwip/ip_addr.h>

#include "mqtt_object.h"

#define KEEP_ALIVE_S 60u
#define SILENT_MS 100000u  /* nothing came: a ping at 60 s, and an answer to it, are overdue */
#define CONNECT_MS 60000u  /* from the first step to the subscription */
#define FIRST_MS 1000u     /* pause after a loss; doubled each time, up to: */
#define MOST_MS 120000u
#define STOOD_MS 60000u    /* a connection that was worth it: the pauses begin anew */
#define PACKET_MAX 1024u   /* bytes, of any packet: SPEC.md, section 20 */
#define BUSY_MS 5u
#define IDLE_MS 500u

#define CONNECT_SIZE (2u + 10u + 2u * (2u + GW_DEVICE_ID_MAX))       /* CONNECT with client id and user name */
#define REPORT_SIZE (3u + 2u + GWL_TOPIC_MAX + 2u + GW_REPORT_MAX) /* PUBLISH, QoS 1 */
#define NOTIFY_SIZE (3u + 2u + GWL_TOPIC_MAX + GWC_NOTIFY_MAX)       /* PUBLISH, QoS 0 */
#define SPARE 8u /* of the ring, for pings that wait with a report */

#if !LWIP_ALTCP || !LWIP_ALTCP_TLS
#error "lwipopts.h: LWIP_ALTCP and LWIP_ALTCP_TLS have to be 1: MQTT runs over ports/lwip/altcp_secure.c"
#endif
#if MEMP_NUM_SYS_TIMEOUT <= LWIP_NUM_SYS_TIMEOUT_INTERNAL
#error "lwipopts.h: MEMP_NUM_SYS_TIMEOUT has to be LWIP_NUM_SYS_TIMEOUT_INTERNAL + 1 at least: MQTT has a timer"
#endif
_Static_assert(GWL_SECURE_OUT >= CONNECT_SIZE, "altcp_secure.h: GWL_SECURE_OUT has to hold a whole CONNECT");
_Static_assert(MQTT_OUTPUT_RINGBUF_SIZE > REPORT_SIZE + SPARE,
               "lwipopts.h: MQTT_OUTPUT_RINGBUF_SIZE has to be above GW_REPORT_MAX + GW_DEVICE_ID_MAX + 29");
_Static_assert(GWL_SECURE_IN >= NOTIFY_SIZE,
               "lwipopts.h: MQTT_VAR_HEADER_BUFFER_LEN has to be above GWC_NOTIFY_MAX + GW_DEVICE_ID_MAX + 19");
_Static_assert(MQTT_REQ_MAX_IN_FLIGHT >= 2, "lwipopts.h: MQTT_REQ_MAX_IN_FLIGHT: a subscription and a report");
_Static_assert(MQTT_CYCLIC_TIMER_INTERVAL <= 10, "lwipopts.h: MQTT_CYCLIC_TIMER_INTERVAL: pings would come too late");

/* ---- What a broker may send -------------------------------------------------------------------------------------- */

/* Packets of a fixed size; all others are PUBLISH with QoS 0, or none that is for a client like this one. */
static const uint8_t fixed[][2] = {
    { 0x20, 2 }, /* CONNACK */
    { 0x40, 2 }, /* PUBACK */
    { 0x90, 3 }, /* SUBACK */
    { 0xd0, 0 }, /* PINGRESP */
};

static bool may_come(uint8_t kind, size_t length)
{
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (kind == fixed[i][0]) {
            return length == fixed[i][1];
        }
    }
    return (kind & 0xfe) == 0x30 && length >= 2; /* retained or not */
}

static int packet_missing(const uint8_t *p, size_t n)
{
    size_t head = 2, length;

    if (n < head) {
        return (int)(head - n);
    }
    length = p[1] & 0x7f;
    if ((p[1] & 0x80) != 0) {
        if (n < ++head) {
            return 1;
        }
        if ((p[2] & 0x80) != 0) {
            return -1; /* no packet is that long */
        }
        length |= (size_t)p[2] << 7;
    }
    return may_come(p[0], length) && head + length <= PACKET_MAX ? (int)(head + length - n) : -1;
}

/* ---- Life of a connection ---------------------------------------------------------------------------------------- */

static uint32_t now_of(const struct gwl_mqtt *m)
{
    return m->config->now_ms(m->config->ctx);
}

/* Not connected any more, and why: the next try is after a pause. */
static void lost(struct gwl_mqtt *m, int why)
{
    const struct gwl_mqtt_config *c = m->config;
    uint32_t now = now_of(m);
    bool stood = m->subscribed && now - m->since_ms >= STOOD_MS;

    m->longest_ms = stood || m->longest_ms == 0 ? FIRST_MS : m->longest_ms * 2;
    m->longest_ms = m->longest_ms > MOST_MS ? MOST_MS : m->longest_ms;
    m->pause_ms = m->longest_ms - c->random(c->ctx) % (m->longest_ms / 4 + 1);
    m->since_ms = now;
    m->trying = m->subscribed = false;
    if (c->changed != NULL) {
        c->changed(c->ctx, why);
    }
}

/* By us, without a word of lwIP. */
static void give_up(struct gwl_mqtt *m, int why)
{
    mqtt_disconnect(&m->client);
    lost(m, why);
}

static void on_subscribed(void *arg, err_t err)
{
    struct gwl_mqtt *m = arg;

    if (err != ERR_OK) {
        m->refused = err == ERR_TIMEOUT ? GW_ERR_TIMEOUT : GW_ERR_TRANSPORT;
    } else if (!m->subscribed) {
        m->subscribed = true;
        m->since_ms = m->heard_ms = now_of(m);
        if (m->config->changed != NULL) {
            m->config->changed(m->config->ctx, GW_OK);
        }
    }
}

static void on_connection(mqtt_client_t *client, void *arg, mqtt_connection_status_t status)
{
    struct gwl_mqtt *m = arg;

    if (status == MQTT_CONNECT_TIMEOUT) {
        lost(m, GW_ERR_TIMEOUT);
    } else if (status != MQTT_CONNECT_ACCEPTED) {
        lost(m, m->secure.error != GW_OK ? m->secure.error : GW_ERR_TRANSPORT);
    } else if (mqtt_subscribe(client, m->notify, 0, on_subscribed, m) != ERR_OK) {
        m->refused = GW_ERR_TRANSPORT;
    }
}

/* ---- Messages ---------------------------------------------------------------------------------------------------- */

/* A topic with a zero in it would end there for lwIP: then the parts are not as long as the packet. */
static bool is_whole(const struct gwl_mqtt *m, size_t payload)
{
    const uint8_t *p = m->secure.in; /* the packet, until the next one comes */
    size_t length = p[1] & 0x7f;

    if ((p[1] & 0x80) != 0) {
        length |= (size_t)p[2] << 7;
    }
    return length == 2 + strlen(m->notify) + payload;
}

static void on_publish(void *arg, const char *topic, u32_t payload)
{
    struct gwl_mqtt *m = arg;

    m->message_n = 0;
    m->mine = payload <= sizeof m->message && strcmp(topic, m->notify) == 0 && is_whole(m, payload);
}

static void on_data(void *arg, const u8_t *data, u16_t n, u8_t flags)
{
    struct gwl_mqtt *m = arg;

    if (!m->mine || n > sizeof m->message - m->message_n) {
        return;
    }
    memcpy(m->message + m->message_n, data, n);
    m->message_n = (uint8_t)(m->message_n + n);
    if ((flags & MQTT_DATA_FLAG_LAST) != 0) {
        m->mine = false;
        m->config->message(m->config->ctx, (struct gw_span){ m->message, m->message_n });
    }
}

/* Bytes of the ring that wait to be sent. */
static size_t ring_used(const struct gwl_mqtt *m)
{
    const struct mqtt_ringbuf_t *r = &m->client.output;

    return r->put >= r->get ? (size_t)(r->put - r->get) : (size_t)(r->put + MQTT_OUTPUT_RINGBUF_SIZE - r->get);
}

bool gwl_mqtt_report(struct gwl_mqtt *m, const uint8_t *bytes, size_t n)
{
    size_t size = REPORT_SIZE - GW_REPORT_MAX + n;

    return m->subscribed && n <= GW_REPORT_MAX && ring_used(m) + size + SPARE < MQTT_OUTPUT_RINGBUF_SIZE &&
           mqtt_publish(&m->client, m->report, bytes, (u16_t)n, 1, 0, NULL, NULL) == ERR_OK;
}

/* ---- Steps ------------------------------------------------------------------------------------------------------- */

static void begin(struct gwl_mqtt *m)
{
    const struct gwl_mqtt_config *c = m->config;
    const struct mqtt_connect_client_info_t info = { .client_id = c->id, .client_user = c->id,
                                                     .keep_alive = KEEP_ALIVE_S, .tls_config = &m->secure };

    m->trying = true;
    m->refused = GW_OK;
    m->since_ms = now_of(m);
    mqtt_set_inpub_callback(&m->client, on_publish, on_data, m);
    if (mqtt_client_connect(&m->client, IP4_ADDR_ANY, c->port, on_connection, m, &info) != ERR_OK) {
        lost(m, GW_ERR_TRANSPORT); /* lwIP has no memory */
    }
}

/* What lwIP does not notice. */
static void check(struct gwl_mqtt *m)
{
    uint32_t now = now_of(m);

    if (m->received != m->secure.received) {
        m->received = m->secure.received;
        m->heard_ms = now;
    }
    if (m->refused != GW_OK) {
        give_up(m, m->refused);
    } else if (m->subscribed ? now - m->heard_ms > SILENT_MS : now - m->since_ms > CONNECT_MS) {
        give_up(m, GW_ERR_TIMEOUT);
    }
}

void gwl_mqtt_step(struct gwl_mqtt *m, uint32_t *wait_ms)
{
    uint32_t waited = now_of(m) - m->since_ms;

    if (!m->trying && waited < m->pause_ms) {
        *wait_ms = m->pause_ms - waited;
        return;
    }
    if (!m->trying) {
        begin(m);
    }
    bool more = m->trying && gwl_secure_step(&m->secure);
    if (m->trying) {
        check(m);
    }
    *wait_ms = !m->trying ? m->pause_ms : more ? 0 : gwl_secure_busy(&m->secure) ? BUSY_MS : IDLE_MS;
}

bool gwl_mqtt_connected(const struct gwl_mqtt *m)
{
    return m->subscribed;
}

void gwl_mqtt_close(struct gwl_mqtt *m)
{
    static const uint8_t goodbye[] = { 0xe0, 0 }; /* DISCONNECT, which lwIP does not send */

    if (m->subscribed && ring_used(m) == 0 &&
        altcp_write(m->client.conn, goodbye, sizeof goodbye, TCP_WRITE_FLAG_COPY) == ERR_OK) {
        gwl_secure_flush(&m->secure);
    }
    mqtt_disconnect(&m->client);
    m->trying = m->subscribed = false;
    m->pause_ms = m->longest_ms = 0;
}

/* ---- Init -------------------------------------------------------------------------------------------------------- */

static void write_topic(char *out, const char *id, const char *what)
{
    memcpy(out, "godwit/", 7);
    memcpy(out + 7, id, strlen(id));
    memcpy(out + 7 + strlen(id), what, strlen(what) + 1);
}

int gwl_mqtt_init(struct gwl_mqtt *m, const struct gwl_mqtt_config *config)
{
    const struct gwc_secure *s = config->secure;

    if (s == NULL || s->peer == NULL || s->stream.connect == NULL || s->stream.send == NULL || s->stream.recv == NULL ||
        s->stream.close == NULL || config->host == NULL || config->host[0] == '\0' || config->port == 0 ||
        config->id == NULL || config->message == NULL || config->random == NULL || config->now_ms == NULL) {
        return GW_ERR_CONFIG;
    }
    if (config->id[0] == '\0' || strlen(config->id) > GW_DEVICE_ID_MAX || strlen(config->host) > GWC_HOST_MAX) {
        return GW_ERR_VALUE;
    }
    memset(m, 0, sizeof *m);
    m->config = config;
    m->secure.secure = s;
    m->secure.host = config->host;
    m->secure.port = config->port;
    m->secure.missing = packet_missing;
    write_topic(m->notify, config->id, "/notify");
    write_topic(m->report, config->id, "/report");
    return GW_OK;
}
