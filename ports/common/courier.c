/*
 * courier.c - reports over a broker, all else over the transport below; see courier.h.
 *
 * One report is on its way at a time: the agent asks with the same bytes until it has an answer. Which way it goes is
 * decided once, when it begins, and afterwards only from the broker to below: never back, so that a report ends.
 */
#include "courier.h"

#include <string.h>

#define SAID 22u /* "taken " or "never ", then 16 digits */
#define WORD 6u

/* ---- What the server says ---------------------------------------------------------------------------------------- */

void gwc_courier_message(struct gwc_courier *c, struct gw_span bytes)
{
    bool taken = bytes.n == SAID && memcmp(bytes.p, "taken ", WORD) == 0;
    bool never = bytes.n == SAID && memcmp(bytes.p, "never ", WORD) == 0;

    if (!taken && !never) {
        c->config->wake(c->config->ctx);
    } else if (c->report_n > 0 && memcmp(bytes.p + WORD, c->said, sizeof c->said) == 0) {
        c->taken |= taken;
        c->never |= never;
    }
}

/* ---- What goes below --------------------------------------------------------------------------------------------- */

static int over_trust(void *ctx, const struct gw_transport_trust *trust)
{
    const struct gwc_courier_config *config = ((struct gwc_courier *)ctx)->config;
    const struct gw_transport *t = config->below;
    int below = t->trust != NULL ? t->trust(t->ctx, trust) : GW_OK;
    int own = config->trust != NULL ? config->trust(config->ctx, trust) : GW_OK;

    return below != GW_OK ? below : own;
}

static int over_open(void *ctx, const struct gw_request *request)
{
    const struct gw_transport *t = ((struct gwc_courier *)ctx)->config->below;

    return t->open(t->ctx, request);
}

static int over_read(void *ctx, uint8_t *data, size_t size, size_t *n)
{
    const struct gw_transport *t = ((struct gwc_courier *)ctx)->config->below;

    return t->read(t->ctx, data, size, n);
}

static void over_close(void *ctx)
{
    const struct gw_transport *t = ((struct gwc_courier *)ctx)->config->below;

    t->close(t->ctx);
}

static int report_below(struct gwc_courier *c, const uint8_t *bytes, size_t n)
{
    const struct gw_transport *t = c->config->below;
    int status = t->report != NULL ? t->report(t->ctx, bytes, n) : GW_ERR_TRANSPORT;

    c->below = true;
    if (status != GW_ERR_AGAIN) {
        c->report_n = 0;
    }
    return status;
}

/* ---- Reports ----------------------------------------------------------------------------------------------------- */

static void write_digits(char said[16], const uint8_t digest[GW_DIGEST_SIZE])
{
    for (size_t i = 0; i < 16; i++) {
        said[i] = "0123456789abcdef"[digest[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15];
    }
}

/* A report that is not the one on its way: by the broker if it is there, else not. */
static void begin(struct gwc_courier *c, const uint8_t *bytes, size_t n)
{
    const struct gwc_courier_config *config = c->config;
    uint8_t digest[GW_DIGEST_SIZE] = { 0 };

    memcpy(c->report, bytes, n);
    c->report_n = (uint16_t)n;
    c->taken = c->never = false;
    c->sent_ms = config->now_ms(config->ctx);
    c->below = gw_sha256(config->crypto, bytes, n, digest) != GW_OK || !config->publish(config->ctx, bytes, n);
    write_digits(c->said, digest);
}

static int over_report(void *ctx, const uint8_t *bytes, size_t n)
{
    struct gwc_courier *c = ctx;
    const struct gwc_courier_config *config = c->config;

    if (n == 0 || n > sizeof c->report) {
        return GW_ERR_VALUE;
    }
    if (c->report_n != n || memcmp(c->report, bytes, n) != 0) {
        begin(c, bytes, n);
    }
    if (!c->below && (c->taken || c->never)) {
        c->report_n = 0;
        return c->taken ? GW_OK : GW_ERR_VALUE;
    }
    if (c->below || !config->connected(config->ctx) || config->now_ms(config->ctx) - c->sent_ms > GWC_COURIER_ACK_MS) {
        return report_below(c, bytes, n);
    }
    return GW_ERR_AGAIN;
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

int gwc_courier_init(struct gwc_courier *c, const struct gwc_courier_config *config, struct gw_transport *over)
{
    const struct gw_transport *t = config->below;

    if (t == NULL || t->open == NULL || t->read == NULL || t->close == NULL || config->crypto == NULL ||
        config->publish == NULL || config->connected == NULL || config->wake == NULL || config->now_ms == NULL) {
        return GW_ERR_CONFIG;
    }
    memset(c, 0, sizeof *c);
    c->config = config;
    *over = (struct gw_transport){ .ctx = c,
                                   .trust = over_trust,
                                   .open = over_open,
                                   .read = over_read,
                                   .close = over_close,
                                   .report = over_report };
    return GW_OK;
}
