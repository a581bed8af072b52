/*
 * altcp_secure.c - see altcp_secure.h.
 *
 * What lwIP asks of a layer: a callback may close or abort the connection, and then nothing of it is touched any more;
 * before `err` is called its memory is gone; a pbuf that `recv` refuses is kept and offered again before anything else.
 */
#include "altcp_secure.h"

#include <string.h>

#include <lwip/altcp_tls.h>
#include <lwip/pbuf.h>
#include <lwip/priv/altcp_priv.h>
#include <lwip/sys.h>

#define POLL_MS 500u /* unit of a poll interval */

enum state {
    NONE = 0,
    MADE,       /* not told to connect yet */
    CONNECTING,
    OPEN,
    ENDED,      /* by the other side; the callback was told */
};

static const struct altcp_functions functions;

/* ---- Life of a connection ---------------------------------------------------------------------------------------- */

/* Gives everything back; after this the connection's memory is another's. */
static void drop(struct altcp_tls_config *s)
{
    struct altcp_pcb *conn = s->conn;

    s->secure->stream.close(s->secure->stream.ctx);
    if (s->refused != NULL) {
        pbuf_free(s->refused);
        s->refused = NULL;
    }
    s->conn = NULL;
    s->state = NONE;
    altcp_free(conn);
}

static void end(struct altcp_tls_config *s, int error, err_t err)
{
    altcp_err_fn tell = s->conn->err;
    void *arg = s->conn->arg;

    s->error = error;
    drop(s);
    if (tell != NULL) {
        tell(arg, err);
    }
}

struct altcp_pcb *altcp_tls_new(struct altcp_tls_config *s, u8_t ip_type)
{
    struct altcp_pcb *conn = s->conn == NULL ? altcp_alloc() : NULL;

    (void)ip_type;
    if (conn != NULL) {
        conn->fns = &functions;
        conn->state = s;
        s->conn = conn;
        s->state = MADE;
        s->error = GW_OK;
        s->in_n = s->out_n = s->trying = 0;
        s->skip = 0;
    }
    return conn;
}

/* ---- Asked by lwIP ----------------------------------------------------------------------------------------------- */

static err_t secure_bind(struct altcp_pcb *conn, const ip_addr_t *address, u16_t port)
{
    (void)conn, (void)address, (void)port;
    return ERR_OK; /* the stream below chooses */
}

/* Where to: the struct says, since a name is checked in the certificate, which an address would not be. */
static err_t secure_connect(struct altcp_pcb *conn, const ip_addr_t *address, u16_t port, altcp_connected_fn connected)
{
    struct altcp_tls_config *s = conn->state;

    (void)address, (void)port;
    if (s->state != MADE) {
        return ERR_ISCONN;
    }
    conn->connected = connected;
    s->secure->peer(s->secure->stream.ctx, GWC_PEER_OWN);
    s->state = CONNECTING;
    return ERR_OK;
}

static void secure_abort(struct altcp_pcb *conn)
{
    end(conn->state, GW_OK, ERR_ABRT);
}

static err_t secure_close(struct altcp_pcb *conn)
{
    drop(conn->state);
    return ERR_OK;
}

static u16_t secure_sndbuf(struct altcp_pcb *conn)
{
    const struct altcp_tls_config *s = conn->state;

    return s->state == OPEN ? (u16_t)(sizeof s->out - s->out_n) : 0;
}

static err_t secure_write(struct altcp_pcb *conn, const void *data, u16_t n, u8_t flags)
{
    struct altcp_tls_config *s = conn->state;

    (void)flags; /* always copied */
    if (s->state != OPEN) {
        return ERR_CONN;
    }
    if (n > sizeof s->out - s->out_n) {
        return ERR_MEM;
    }
    memcpy(s->out + s->out_n, data, n);
    s->out_n = (uint16_t)(s->out_n + n);
    return ERR_OK;
}

static err_t secure_output(struct altcp_pcb *conn)
{
    (void)conn;
    return ERR_OK; /* the next step sends */
}

/* The others are not asked for by lwIP's MQTT client; altcp answers for them. */
static const struct altcp_functions functions = {
    .bind = secure_bind,
    .connect = secure_connect,
    .abort = secure_abort,
    .close = secure_close,
    .write = secure_write,
    .output = secure_output,
    .sndbuf = secure_sndbuf,
};

/* ---- Steps: each is false when the connection is gone, or there is nothing to do ------------------------------ */

static bool step_connect(struct altcp_tls_config *s)
{
    const struct gwc_stream *stream = &s->secure->stream;
    struct altcp_pcb *conn = s->conn;
    int status = stream->connect(stream->ctx, (struct gw_span){ (const uint8_t *)s->host, strlen(s->host) }, s->port);

    if (status == GW_ERR_AGAIN) {
        return false;
    }
    if (status != GW_OK) {
        end(s, status, ERR_CONN);
        return false;
    }
    s->state = OPEN;
    s->polled_ms = sys_now();
    if (conn->connected != NULL) {
        (void)conn->connected(conn->arg, conn, ERR_OK);
    }
    return s->conn == conn;
}

/* Offers the stream what is written: after GW_ERR_AGAIN the same bytes, although more may have come. */
static int send_some(struct altcp_tls_config *s, size_t *used)
{
    const struct gwc_stream *stream = &s->secure->stream;
    size_t n = s->trying > 0 ? s->trying : s->out_n;
    int status = stream->send(stream->ctx, s->out, n, used);

    s->trying = status == GW_ERR_AGAIN ? (uint16_t)n : 0;
    if (status == GW_OK) {
        s->out_n = (uint16_t)(s->out_n - *used);
        memmove(s->out, s->out + *used, s->out_n);
    }
    return status;
}

static bool step_send(struct altcp_tls_config *s)
{
    struct altcp_pcb *conn = s->conn;
    size_t used = 0;
    int status = send_some(s, &used);

    if (status == GW_ERR_AGAIN) {
        return false;
    }
    if (status != GW_OK) {
        end(s, status, ERR_CONN);
        return false;
    }
    if (conn->sent != NULL) {
        (void)conn->sent(conn->arg, conn, (u16_t)used);
    }
    return s->conn == conn;
}

static void step_poll(struct altcp_tls_config *s)
{
    struct altcp_pcb *conn = s->conn;
    uint32_t now = sys_now();

    if (conn->poll != NULL && now - s->polled_ms >= conn->pollinterval * POLL_MS) {
        s->polled_ms = now;
        (void)conn->poll(conn->arg, conn);
    }
}

static bool hand_over(struct altcp_tls_config *s, struct pbuf *p)
{
    struct altcp_pcb *conn = s->conn;

    s->refused = NULL;
    if (conn->recv == NULL) {
        pbuf_free(p);
        return true;
    }
    err_t err = conn->recv(conn->arg, conn, p, ERR_OK);
    if (s->conn != conn) {
        return false;
    }
    if (err != ERR_OK) {
        s->refused = p;
    }
    return err == ERR_OK;
}

/* The packet in `in`, whole, to the callback. No memory: it waits, and the other side with it. */
static bool deliver(struct altcp_tls_config *s)
{
    struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)(s->in_n + 1u), PBUF_RAM);

    if (p == NULL) {
        return false;
    }
    memcpy(p->payload, s->in, s->in_n);
    p->len = p->tot_len = s->in_n; /* the byte behind it is to spare */
    s->in_n = 0;
    s->received++;
    return hand_over(s, p);
}

/* The other side has closed, and said so. */
static bool take_end(struct altcp_tls_config *s)
{
    struct altcp_pcb *conn = s->conn;

    s->error = GW_ERR_TRANSPORT;
    s->state = ENDED;
    if (conn->recv != NULL) {
        (void)conn->recv(conn->arg, conn, NULL, ERR_OK);
    } else {
        drop(s);
    }
    return false;
}

/* What came: part of a packet that is passed over, or of the one in `in`. */
static bool take(struct altcp_tls_config *s, size_t got)
{
    if (s->skip > 0) {
        s->skip -= (uint32_t)got;
        s->received += s->skip == 0;
        return true;
    }
    s->in_n = (uint16_t)(s->in_n + got);
    int missing = s->missing(s->in, s->in_n);
    if (missing < 0) {
        end(s, GW_ERR_TRANSPORT, ERR_CONN);
        return false;
    }
    if (missing == 0) {
        return deliver(s);
    }
    if ((size_t)missing > sizeof s->in - s->in_n) {
        s->skip = (uint32_t)missing;
        s->in_n = 0;
    }
    return true;
}

static bool step_recv(struct altcp_tls_config *s)
{
    const struct gwc_stream *stream = &s->secure->stream;
    size_t got = 0, n = s->skip < sizeof s->in ? s->skip : sizeof s->in;

    if (s->refused != NULL) {
        return hand_over(s, s->refused);
    }
    if (n == 0) {
        n = (size_t)s->missing(s->in, s->in_n); /* take() has seen to it that these fit */
    }
    if (n == 0) {
        return deliver(s);
    }
    int status = stream->recv(stream->ctx, s->in + s->in_n, n, &got);
    if (status == GW_ERR_AGAIN) {
        return false;
    }
    if (status != GW_OK) {
        end(s, status, ERR_CONN);
        return false;
    }
    return got == 0 ? take_end(s) : take(s, got);
}

bool gwl_secure_step(struct altcp_tls_config *s)
{
    bool more = false;

    if (s->state == CONNECTING) {
        return step_connect(s);
    }
    if (s->state == OPEN && s->out_n > 0) {
        more = step_send(s);
    }
    if (s->state == OPEN) {
        step_poll(s);
    }
    if (s->state == OPEN) {
        more |= step_recv(s);
    }
    return more && s->state == OPEN;
}

void gwl_secure_flush(struct altcp_tls_config *s)
{
    size_t used = 0;

    if (s->state == OPEN && s->out_n > 0) {
        (void)send_some(s, &used);
    }
}

bool gwl_secure_busy(const struct altcp_tls_config *s)
{
    return s->state == CONNECTING || s->out_n > 0 || s->refused != NULL;
}
