/*
 * http.c - connections: the states that they go through, and how long they may take.
 *
 * Built on libevent's loop and OpenSSL's SSL_read/SSL_write. evhttp is not used: it shows a connection only with its
 * first whole request, so that nothing could be limited before (addresses, handshakes, slow heads), it accepts forms
 * of framing on which proxies disagree, and it notices that a client left only when it is answered.
 *
 * Keeps true: every state has a time limit, except RUNNING (a handler always answers) and STREAMING (bounded by what
 * waits); a connection costs a fixed amount until its request was let in; requests of one connection are served one
 * after the other.
 */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http_internal.h"

static const struct gws_refusal head_slow = { 408, "slow", "the request did not arrive in time" };
static const struct gws_refusal head_long = { 431, "headers", "the head of the request is too long" };
static const struct gws_refusal head_bad = { 400, "malformed", "this is not a well-formed HTTP request" };

void gws_request_free(struct gws_request *r)
{
    free(r->bytes);
    free(r->body);
    free(r);
}

/* ---- What a connection waits for --------------------------------------------------------------------------------- */

static void on_socket(evutil_socket_t fd, short what, void *ctx);

static void want(struct gws_conn *c, short wants)
{
    if (wants == c->wants)
        return;
    event_del(&c->socket); /* and what made it active: this is called in the pump, which has done that */
    c->wants = wants;
    event_assign(&c->socket, c->door->http->base, c->fd, (short)(wants | EV_PERSIST), on_socket, c);
    if (wants != 0)
        event_add(&c->socket, NULL);
}

void gws_conn_within(struct gws_conn *c, uint32_t ms)
{
    struct timeval t = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };
    event_add(&c->timer, &t);
}

/* ---- The end of a connection ------------------------------------------------------------------------------------- */

/* The client is gone. Who is working for it is told, or finds out when it answers. */
static void forget_request(struct gws_conn *c)
{
    struct gws_request *r = c->request;
    struct gws_stream *s = c->stream;
    c->request = NULL;
    c->stream = NULL;
    if (s != NULL)
        gws_stream_end(s);
    if (r != NULL && c->state == GWS_RUNNING)
        r->conn = NULL;
    else if (r != NULL)
        gws_request_free(r);
}

static void close_socket(struct gws_conn *c)
{
    if (c->ssl != NULL) { /* a session stays good though the other side did not say goodbye */
        if (SSL_is_init_finished(c->ssl))
            SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(c->ssl);
    }
    evutil_closesocket(c->fd);
}

static void conn_free(struct gws_conn *c)
{
    struct gws_http_door *d = c->door;
    event_del(&c->socket); /* may be active without being added */
    event_del(&c->timer);
    forget_request(c);
    close_socket(c);
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        d->conns = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    d->count--;
    gws_address_release(d->http, c->address);
    gws_out_free(&c->out);
    free(c->in);
    free(c);
    if (d->http->drained != NULL && gws_http_connections(d->http) == 0)
        event_active(&d->http->drain, EV_TIMEOUT, 0);
}

void gws_conn_drop(struct gws_conn *c)
{
    c->dead = true;
    if (!c->pumping)
        conn_free(c);
}

/* ---- States: one function each. True: go on with the state that is set now; false: wait. ------------------------- */

/* What waiting means in a state that reads. */
static bool wait_for(struct gws_conn *c, enum gws_io io)
{
    if (io == GWS_IO_END)
        c->dead = true;
    else
        want(c, io == GWS_IO_WRITE ? EV_WRITE : EV_READ);
    return false;
}

static bool step_handshake(struct gws_conn *c)
{
    enum gws_io io = gws_io_handshake(c);
    if (io != GWS_IO_DONE)
        return wait_for(c, io);
    if (c->ssl != NULL) {
        gws_count(GWS_M_HANDSHAKES, 1);
        gws_count(GWS_M_RESUMED, (uint64_t)SSL_session_reused(c->ssl));
    }
    if (c->door->door == GWS_DOOR_DEVICES && !gws_io_identify(c)) {
        char address[GWS_ADDRESS_TEXT];
        gws_conn_address(c, address);
        gws_log(c->door->http->server, "refused", "address", address, "reason", "certificate", NULL);
        gws_count(GWS_M_REFUSED, 1);
    }
    c->state = GWS_HEAD;
    c->head_begun = true; /* the time for the handshake is that for the head */
    return true;
}

static struct gws_request *request_new(struct gws_conn *c)
{
    struct gws_request *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    struct gws_http_door *d = c->door;
    r->conn = c;
    r->call.library = r;
    r->call.server = d->http->server;
    r->call.door = d->door;
    gws_conn_address(c, r->call.address);
    c->request = r;
    return r;
}

/* Not a request at all: answered, then closed. */
static bool refuse_head(struct gws_conn *c, const struct gws_refusal *no)
{
    struct gws_request *r = c->request != NULL ? c->request : request_new(c);
    if (r == NULL) {
        c->dead = true;
        return false;
    }
    if (r->call.method == NULL)
        r->call.method = "GET";
    r->close = true;
    c->state = GWS_RUNNING;
    gws_count(GWS_M_REFUSED, 1);
    gws_answer_refusal(r, no);
    return true;
}

/* A whole head of n bytes is there. */
static bool begin_request(struct gws_conn *c, size_t n)
{
    struct gws_request *r = request_new(c);
    if (r == NULL || (r->bytes = malloc(n)) == NULL) {
        c->dead = true;
        return false;
    }
    memcpy(r->bytes, c->in, n);
    memmove(c->in, c->in + n, c->in_n - n);
    c->in_n -= n;
    event_del(&c->timer);
    c->head_begun = false;
    const struct gws_refusal *no = gws_head_parse(&r->head, r->bytes, n);
    if (no != NULL)
        return refuse_head(c, no);
    r->call.method = r->head.method;
    r->call.path = r->head.path;
    r->close = !r->head.keep || c->door->http->draining || c->generation != c->door->generation;
    c->state = GWS_RUNNING;
    if (!gws_request_check(r))
        return true;
    c->state = GWS_BODY;
    return true;
}

/* An idle connection needs no buffer. */
static void free_in(struct gws_conn *c)
{
    free(c->in);
    c->in = NULL;
    c->in_room = 0;
}

static bool step_head(struct gws_conn *c)
{
    long n = gws_head_end(c->in, c->in_n, &c->scanned);
    if (n > 0)
        return begin_request(c, (size_t)n);
    uint32_t most = c->door->limits.header_bytes;
    if (n < 0 || c->in_n >= most)
        return refuse_head(c, n < 0 ? &head_bad : &head_long);
    enum gws_io io = gws_io_fill(c, most);
    if (c->in_n != 0 && !c->head_begun) {
        c->head_begun = true;
        gws_conn_within(c, c->door->limits.header_ms);
    }
    if (io == GWS_IO_DONE)
        return true;
    if (c->in_n == 0)
        free_in(c);
    return wait_for(c, io);
}

/* Bytes of the body that came with the head. */
static void body_from_head(struct gws_conn *c, struct gws_request *r)
{
    size_t n = r->head.length < c->in_n ? (size_t)r->head.length : c->in_n;
    memcpy(r->body, c->in, n);
    memmove(c->in, c->in + n, c->in_n - n);
    c->in_n -= n;
    r->body_n = n;
}

static bool begin_body(struct gws_conn *c, struct gws_request *r)
{
    static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
    r->body = malloc((size_t)r->head.length); /* at most the route's body_max */
    if (r->body == NULL || (r->head.expects_continue && !gws_out_add(&c->out, go, sizeof go - 1)))
        return false;
    body_from_head(c, r);
    gws_conn_within(c, c->door->limits.body_ms);
    return true;
}

static bool step_body(struct gws_conn *c)
{
    struct gws_request *r = c->request;
    if (r->head.length != 0 && r->body == NULL && !begin_body(c, r)) {
        c->dead = true;
        return false;
    }
    if (c->out.n != 0 && gws_io_flush(c) == GWS_IO_DONE) /* 25 bytes: they fit, or the connection is as good as dead */
        gws_out_free(&c->out);
    while (r->body_n < r->head.length) {
        size_t got;
        enum gws_io io = gws_io_read(c, r->body + r->body_n, (size_t)r->head.length - r->body_n, &got);
        r->body_n += got;
        if (io != GWS_IO_DONE)
            return wait_for(c, io);
    }
    event_del(&c->timer);
    c->state = GWS_RUNNING;
    gws_request_run(r);
    return true;
}

/* A handler is at work. Here only: did the client go away? What it sends meanwhile is its next request. */
static bool step_running(struct gws_conn *c)
{
    uint32_t most = c->door->limits.header_bytes;
    while (c->in_n < most) {
        enum gws_io io = gws_io_fill(c, most);
        if (io != GWS_IO_DONE)
            return wait_for(c, io);
    }
    want(c, 0);
    return false;
}

/* The answer is written. */
static bool end_request(struct gws_conn *c)
{
    bool close = c->request->close || c->door->http->draining || c->generation != c->door->generation;
    gws_out_free(&c->out);
    gws_request_free(c->request);
    c->request = NULL;
    if (close) {
        gws_io_shut(c);
        c->state = GWS_LINGERING;
        gws_conn_within(c, GWS_LINGER_MS);
        return true;
    }
    c->state = GWS_HEAD;
    c->scanned = 0;
    c->head_begun = c->in_n != 0;
    gws_conn_within(c, c->head_begun ? c->door->limits.header_ms : c->door->limits.idle_ms);
    if (c->in_n != 0 || (c->ssl != NULL && SSL_has_pending(c->ssl)))
        return true;
    free_in(c);
    return wait_for(c, GWS_IO_READ);
}

static bool step_writing(struct gws_conn *c)
{
    size_t before = c->out.at + c->out.file_at;
    enum gws_io io = gws_io_flush(c);
    if (io == GWS_IO_DONE)
        return end_request(c);
    if (io == GWS_IO_END)
        c->dead = true;
    if (c->out.at + c->out.file_at != before || !event_pending(&c->timer, EV_TIMEOUT, NULL))
        gws_conn_within(c, c->door->limits.idle_ms);
    want(c, io == GWS_IO_READ ? EV_READ : EV_WRITE);
    return false;
}

static bool step_streaming(struct gws_conn *c)
{
    char rest[512];
    size_t got;
    enum gws_io in = gws_io_read(c, rest, sizeof rest, &got), out = gws_io_flush(c);
    if (in == GWS_IO_END || in == GWS_IO_DONE || out == GWS_IO_END) { /* a listener has nothing to say */
        c->dead = true;
        return false;
    }
    if (out == GWS_IO_DONE)
        gws_out_free(&c->out);
    want(c, out == GWS_IO_DONE ? EV_READ : EV_READ | EV_WRITE);
    return false;
}

/* Reads what still comes, so that the answer is not destroyed by a reset. */
static bool step_lingering(struct gws_conn *c)
{
    char rest[4096];
    for (unsigned i = 0; i < 64; i++) {
        ssize_t n = recv(c->fd, rest, sizeof rest, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            c->dead = true;
        if (n <= 0)
            break;
    }
    want(c, EV_READ);
    return false;
}

static bool (*const steps[])(struct gws_conn *) = {
    [GWS_HANDSHAKE] = step_handshake, [GWS_HEAD] = step_head,       [GWS_BODY] = step_body,
    [GWS_RUNNING] = step_running,     [GWS_WRITING] = step_writing, [GWS_STREAMING] = step_streaming,
    [GWS_LINGERING] = step_lingering,
};

void gws_conn_pump(struct gws_conn *c)
{
    c->pumping = true;
    for (unsigned turns = 0; !c->dead; turns++) {
        if (turns == 64) { /* others have their turn; bytes may lie in OpenSSL, so that the socket alone is not asked */
            event_active(&c->socket, EV_READ, 0);
            break;
        }
        if (!steps[c->state](c))
            break;
    }
    c->pumping = false;
    if (c->dead)
        conn_free(c);
}

void gws_conn_answered(struct gws_conn *c)
{
    if (!c->pumping)
        gws_conn_pump(c);
}

static void on_socket(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    gws_conn_pump(ctx);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct gws_conn *c = ctx;
    (void)fd;
    (void)what;
    if ((c->state == GWS_HEAD && c->in_n != 0) || c->state == GWS_BODY) {
        c->pumping = true; /* the answer waits for the pump below */
        refuse_head(c, &head_slow);
        gws_conn_pump(c);
        return;
    }
    if (c->state == GWS_HANDSHAKE)
        gws_count(GWS_M_REFUSED, 1);
    gws_conn_drop(c);
}

bool gws_conn_start(struct gws_http_door *d, struct gws_conn *c, evutil_socket_t fd)
{
    int yes = 1;
    c->fd = fd;
    c->door = d;
    c->generation = d->generation;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (d->tls != NULL && ((c->ssl = SSL_new(d->tls)) == NULL || SSL_set_fd(c->ssl, fd) != 1)) {
        SSL_free(c->ssl);
        return false;
    }
    event_assign(&c->socket, d->http->base, fd, EV_PERSIST, on_socket, c);
    event_assign(&c->timer, d->http->base, -1, EV_TIMEOUT, on_timer, c);
    c->next = d->conns;
    if (d->conns != NULL)
        d->conns->prev = c;
    d->conns = c;
    d->count++;
    return true;
}
