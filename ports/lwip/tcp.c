/*
 * tcp.c - see tcp.h. lwIP's callbacks only note what happened; stream functions tell it.
 */
#include "tcp.h"

#include <string.h>

#include <lwip/dns.h>
#include <lwip/tcp.h>

#include "net.h"
#include "settings.h"

enum tcp_step { TCP_CLOSED = 0, TCP_RESOLVING, TCP_CONNECTING, TCP_OPEN, TCP_FAILED };

/* ---- What lwIP tells -------------------------------------------------------------------------------------------- */

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t error)
{
    struct gwl_tcp *t = arg;

    (void)pcb;
    t->state = error == ERR_OK ? TCP_OPEN : TCP_FAILED;
    t->count.connections += error == ERR_OK;
    return ERR_OK;
}

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error)
{
    struct gwl_tcp *t = arg;

    (void)pcb;
    (void)error;
    if (p == NULL) {
        t->ended = true;
    } else if (t->in == NULL) {
        t->in = p;
        t->in_at = 0;
    } else {
        pbuf_cat(t->in, p);
    }
    return ERR_OK;
}

/* Reset, or given up: the pcb is gone already. */
static void on_error(void *arg, err_t error)
{
    struct gwl_tcp *t = arg;

    (void)error;
    t->pcb = NULL;
    t->state = TCP_FAILED;
}

static void on_found(const char *name, const ip_addr_t *address, void *arg)
{
    struct gwl_tcp *t = arg;

    if (t->state == TCP_RESOLVING && strcmp(name, t->name) == 0) {
        t->address = address != NULL ? lwip_ntohl(ip_2_ip4(address)->addr) : 0;
        if (t->address == 0) {
            t->state = TCP_FAILED;
        }
    }
}

/* ---- Connecting ------------------------------------------------------------------------------------------------- */

static int look_up(struct gwl_tcp *t, struct gw_span host)
{
    ip_addr_t found;

    if (host.n == 0 || host.n >= sizeof t->name) {
        return GW_ERR_TRANSPORT;
    }
    memcpy(t->name, host.p, host.n);
    t->name[host.n] = '\0';
    t->address = gwc_address(host);
    if (t->address == 0 && t->host != NULL) {
        t->address = t->host(t->ctx, host);
    }
    t->state = TCP_RESOLVING;
    if (t->address == 0) {
        err_t error = dns_gethostbyname(t->name, &found, on_found, t);
        if (error == ERR_OK) {
            t->address = lwip_ntohl(ip_2_ip4(&found)->addr);
        } else if (error != ERR_INPROGRESS) {
            return GW_ERR_TRANSPORT;
        }
    }
    return GW_OK;
}

static int begin(struct gwl_tcp *t, uint16_t port)
{
    ip_addr_t to = IPADDR4_INIT(lwip_htonl(t->address));

    t->pcb = tcp_new();
    if (t->pcb == NULL) {
        return GW_ERR_TRANSPORT;
    }
    tcp_arg(t->pcb, t);
    tcp_err(t->pcb, on_error);
    tcp_recv(t->pcb, on_received);
    t->state = TCP_CONNECTING;
    return tcp_connect(t->pcb, &to, port, on_connected) == ERR_OK ? GW_OK : GW_ERR_TRANSPORT;
}

static int tcp_stream_connect(void *ctx, struct gw_span host, uint16_t port)
{
    struct gwl_tcp *t = ctx;
    int error = GW_OK;

    if (gwl_net_address() == 0) {
        return GW_ERR_AGAIN; /* DHCP has not answered yet */
    }
    if (t->state == TCP_CLOSED) {
        error = look_up(t, host);
    }
    if (error == GW_OK && t->state == TCP_RESOLVING && t->address != 0) {
        error = begin(t, port);
    }
    if (error != GW_OK) {
        t->state = TCP_FAILED;
    }
    return t->state == TCP_OPEN ? GW_OK : t->state == TCP_FAILED ? GW_ERR_TRANSPORT : GW_ERR_AGAIN;
}

/* ---- Bytes ------------------------------------------------------------------------------------------------------ */

static int tcp_stream_send(void *ctx, const uint8_t *p, size_t n, size_t *used)
{
    struct gwl_tcp *t = ctx;

    *used = 0;
    if (t->state != TCP_OPEN) {
        return GW_ERR_TRANSPORT;
    }
    uint16_t room = tcp_sndbuf(t->pcb);
    uint16_t piece = n < room ? (uint16_t)n : room;
    err_t error = piece > 0 ? tcp_write(t->pcb, p, piece, TCP_WRITE_FLAG_COPY) : ERR_MEM;
    if (error == ERR_MEM) {
        return GW_ERR_AGAIN; /* until something is acknowledged */
    }
    if (error != ERR_OK) {
        return GW_ERR_TRANSPORT;
    }
    (void)tcp_output(t->pcb); /* no memory just now: lwIP's timers try again */
    *used = piece;
    t->count.sent += piece;
    return GW_OK;
}

/* What was read makes room for more. */
static void forget(struct gwl_tcp *t, uint16_t n)
{
    t->in_at = (uint16_t)(t->in_at + n);
    while (t->in != NULL && t->in_at >= t->in->len) {
        struct pbuf *first = t->in;
        t->in_at = (uint16_t)(t->in_at - first->len);
        t->in = first->next;
        if (t->in != NULL) {
            pbuf_ref(t->in);
        }
        pbuf_free(first);
    }
    if (t->pcb != NULL) {
        tcp_recved(t->pcb, n);
    }
}

static int tcp_stream_recv(void *ctx, uint8_t *p, size_t n, size_t *got)
{
    struct gwl_tcp *t = ctx;

    *got = 0;
    if (t->in != NULL) {
        uint16_t n16 = n < 0xffff ? (uint16_t)n : 0xffff;
        uint16_t piece = pbuf_copy_partial(t->in, p, n16, t->in_at);
        forget(t, piece);
        t->count.received += piece;
        *got = piece;
        return GW_OK;
    }
    if (t->state != TCP_OPEN) {
        return GW_ERR_TRANSPORT;
    }
    return t->ended ? GW_OK : GW_ERR_AGAIN;
}

static void tcp_stream_close(void *ctx)
{
    struct gwl_tcp *t = ctx;

    if (t->in != NULL) {
        pbuf_free(t->in);
        t->in = NULL;
    }
    if (t->pcb != NULL) {
        tcp_arg(t->pcb, NULL);
        tcp_err(t->pcb, NULL);
        tcp_recv(t->pcb, NULL);
        if (t->state != TCP_OPEN || tcp_close(t->pcb) != ERR_OK) {
            tcp_abort(t->pcb);
        }
        t->pcb = NULL;
    }
    t->state = TCP_CLOSED;
    t->ended = false;
}

void gwl_tcp_init(struct gwl_tcp *t, uint32_t (*host)(void *ctx, struct gw_span name), void *ctx)
{
    *t = (struct gwl_tcp){ .host = host, .ctx = ctx };
    t->stream = (struct gwc_stream){ t, tcp_stream_connect, tcp_stream_send, tcp_stream_recv, tcp_stream_close };
}
