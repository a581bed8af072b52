/*
 * http.c - doors and connections: who comes in, how long they may take, and the states of a connection.
 *
 * Built on libevent's loop and OpenSSL's SSL_read/SSL_write. evhttp is not used: it shows a connection only with its
 * first whole request, so that nothing could be limited before (addresses, handshakes, slow heads), it accepts forms
 * of framing on which proxies disagree, and it notices that a client left only when it is answered.
 *
 * Keeps true: every state has a time limit, except RUNNING (a handler always answers) and STREAMING (bounded by what
 * waits); a connection costs a fixed amount until its request was let in; requests of one connection are served one
 * after the other.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_internal.h"

static const struct gws_refusal head_slow = {408, "slow", "the request did not arrive in time"};
static const struct gws_refusal head_long = {431, "headers", "the head of the request is too long"};
static const struct gws_refusal head_bad = {400, "malformed", "this is not a well-formed HTTP request"};

struct gws_request *gws_request_of(const struct gws_call *call)
{
    return call->library;
}

void gws_request_free(struct gws_request *r)
{
    free(r->bytes);
    free(r->body);
    free(r);
}

/* ---- What a connection waits for --------------------------------------------------------------------------------- */

static void want(struct gws_conn *c, short wants)
{
    short add = wants & ~c->wants, drop = c->wants & ~wants;
    if (add & EV_READ)
        event_add(&c->readable, NULL);
    if (add & EV_WRITE)
        event_add(&c->writable, NULL);
    if (drop & EV_READ)
        event_del(&c->readable);
    if (drop & EV_WRITE)
        event_del(&c->writable);
    c->wants = wants;
}

static void within(struct gws_conn *c, uint32_t ms)
{
    struct timeval t = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};
    event_add(&c->timer, &t);
}

/* ---- Addresses --------------------------------------------------------------------------------------------------- */

static void address_bytes(uint8_t out[17], const struct sockaddr *sa)
{
    memset(out, 0, 17);
    if (sa->sa_family == AF_INET) {
        out[0] = 4;
        memcpy(out + 1, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        out[0] = 6;
        memcpy(out + 1, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 8); /* the /64 */
    }
}

static struct gws_address **address_slot(struct gws_http *h, const uint8_t bytes[17])
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < 17; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    struct gws_address **at = &h->address[hash % GWS_ADDRESS_BUCKETS];
    while (*at != NULL && memcmp((*at)->bytes, bytes, 17) != 0)
        at = &(*at)->next;
    return at;
}

static struct gws_address *address_take(struct gws_http *h, const struct sockaddr *sa, uint32_t most)
{
    uint8_t bytes[17];
    address_bytes(bytes, sa);
    struct gws_address **at = address_slot(h, bytes);
    if (*at == NULL) {
        *at = calloc(1, sizeof **at);
        if (*at == NULL)
            return NULL;
        memcpy((*at)->bytes, bytes, 17);
    }
    if ((*at)->connections >= most)
        return NULL;
    (*at)->connections++;
    return *at;
}

static void address_release(struct gws_http *h, struct gws_address *a)
{
    if (--a->connections != 0)
        return;
    struct gws_address **at = address_slot(h, a->bytes);
    *at = a->next;
    free(a);
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
    event_del(&c->readable); /* may be active without being added */
    event_del(&c->writable);
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
    address_release(d->http, c->address);
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
        gws_log(c->door->http->server, "refused", "address", c->address_text, "reason", "certificate", NULL);
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
    memcpy(r->call.address, c->address_text, sizeof c->address_text);
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
        within(c, c->door->limits.header_ms);
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
    within(c, c->door->limits.body_ms);
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
        within(c, GWS_LINGER_MS);
        return true;
    }
    c->state = GWS_HEAD;
    c->scanned = 0;
    c->head_begun = c->in_n != 0;
    within(c, c->head_begun ? c->door->limits.header_ms : c->door->limits.idle_ms);
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
        within(c, c->door->limits.idle_ms);
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
    [GWS_HANDSHAKE] = step_handshake, [GWS_HEAD] = step_head,           [GWS_BODY] = step_body,
    [GWS_RUNNING] = step_running,     [GWS_WRITING] = step_writing,     [GWS_STREAMING] = step_streaming,
    [GWS_LINGERING] = step_lingering,
};

void gws_conn_pump(struct gws_conn *c)
{
    c->pumping = true;
    for (unsigned turns = 0; !c->dead; turns++) {
        if (turns == 64) { /* others have their turn; bytes may lie in OpenSSL, so that the socket alone is not asked */
            event_active(&c->readable, EV_READ, 0);
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
        refuse_head(c, &head_slow);
        gws_conn_pump(c);
        return;
    }
    if (c->state == GWS_HANDSHAKE)
        gws_count(GWS_M_REFUSED, 1);
    gws_conn_drop(c);
}

/* ---- Coming in --------------------------------------------------------------------------------------------------- */

static bool conn_start(struct gws_http_door *d, struct gws_conn *c, evutil_socket_t fd)
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
    event_assign(&c->readable, d->http->base, fd, EV_READ | EV_PERSIST, on_socket, c);
    event_assign(&c->writable, d->http->base, fd, EV_WRITE | EV_PERSIST, on_socket, c);
    event_assign(&c->timer, d->http->base, -1, EV_TIMEOUT, on_timer, c);
    c->next = d->conns;
    if (d->conns != NULL)
        d->conns->prev = c;
    d->conns = c;
    d->count++;
    return true;
}

static void address_print(char out[46], const struct sockaddr *sa)
{
    const void *address = sa->sa_family == AF_INET
                              ? (const void *)&((const struct sockaddr_in *)(const void *)sa)->sin_addr
                              : (const void *)&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
    if (inet_ntop(sa->sa_family, address, out, 46) == NULL)
        memcpy(out, "?", 2);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int n, void *ctx)
{
    struct gws_http_door *d = ctx;
    struct gws_address *address = NULL;
    struct gws_conn *c = NULL;
    (void)l;
    (void)n;
    gws_count(GWS_M_CONNECTIONS, 1);
    if (d->count < d->limits.connections && !d->http->draining)
        address = address_take(d->http, sa, d->limits.per_address);
    if (address != NULL)
        c = calloc(1, sizeof *c);
    if (c == NULL || !conn_start(d, c, fd)) {
        if (address != NULL)
            address_release(d->http, address);
        free(c);
        evutil_closesocket(fd);
        gws_count(GWS_M_REFUSED, 1);
        return;
    }
    c->address = address;
    address_print(c->address_text, sa);
    within(c, d->limits.header_ms);
    gws_conn_pump(c);
}

static void on_again(evutil_socket_t fd, short what, void *ctx)
{
    struct gws_http_door *d = ctx;
    (void)fd;
    (void)what;
    if (d->listener != NULL)
        evconnlistener_enable(d->listener);
}

/* No descriptors or no memory: the others get on, and it is tried again. */
static void on_accept_error(struct evconnlistener *l, void *ctx)
{
    struct gws_http_door *d = ctx;
    struct timeval t = {0, 100000};
    gws_log(d->http->server, "accept-failed", "error", strerror(errno), NULL);
    evconnlistener_disable(l);
    event_add(&d->again, &t);
}

/* ---- Doors ------------------------------------------------------------------------------------------------------- */

int gws_http_new(struct gws_http **http, struct gws_server *server, struct event_base *base, struct gwh_error *err)
{
    if (gws_routes_check(err) != GWH_OK)
        return err->exit;
    *http = calloc(1, sizeof **http);
    if (*http == NULL)
        return gwh_fail(err, GWH_IO, "no memory");
    (*http)->server = server;
    (*http)->base = base;
    return GWH_OK;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value == 0 ? otherwise : value;
}

static struct gws_limits limits_of(const struct gws_limits *l)
{
    return (struct gws_limits){
        .header_bytes = or_default(l->header_bytes, 16 * 1024),
        .header_ms = or_default(l->header_ms, 10000),
        .idle_ms = or_default(l->idle_ms, 75000),
        .body_ms = or_default(l->body_ms, 300000),
        .connections = or_default(l->connections, 8192),
        .per_address = or_default(l->per_address, 256),
        .per_minute = or_default(l->per_minute, 60),
    };
}

static bool is_loopback(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr) >> 24) == 127;
    return sa->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
}

/* "address:port", with brackets around an IPv6 address; a port of its own is not optional. */
static int listen_address(const char *text, struct sockaddr_storage *sa, int *n, struct gwh_error *err)
{
    *n = (int)sizeof *sa;
    memset(sa, 0, sizeof *sa);
    const char *colon = strrchr(text, ':');
    if (colon == NULL || strspn(colon + 1, "0123456789") != strlen(colon + 1) || colon[1] == '\0' ||
        evutil_parse_sockaddr_port(text, (struct sockaddr *)sa, n) != 0)
        return gwh_fail(err, GWH_USAGE, "\"%s\" is not an address and a port, such as 0.0.0.0:8443 or [::]:8443", text);
    return GWH_OK;
}

static uint16_t port_of(evutil_socket_t fd)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;
    if (getsockname(fd, (struct sockaddr *)&sa, &n) != 0)
        return 0;
    return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port : ((struct sockaddr_in *)&sa)->sin_port);
}

static int door_listen(struct gws_http_door *d, const char *listen, struct gwh_error *err)
{
    struct sockaddr_storage sa;
    int n;
    if (listen_address(listen, &sa, &n, err) != GWH_OK)
        return err->exit;
    if (d->tls == NULL && !is_loopback((struct sockaddr *)&sa))
        return gwh_fail(err, GWH_USAGE, "%s: without TLS only loopback addresses are listened on", listen);
    if (d->door == GWS_DOOR_DEVICES && (d->tls == NULL || (SSL_CTX_get_verify_mode(d->tls) &
                                                           SSL_VERIFY_FAIL_IF_NO_PEER_CERT) == 0))
        return gwh_fail(err, GWH_USAGE, "%s: the door for devices needs TLS with client certificates", listen);
    d->listener = evconnlistener_new_bind(d->http->base, on_accept, d,
                                          LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, 4096,
                                          (struct sockaddr *)&sa, n);
    if (d->listener == NULL)
        return gwh_fail_errno(err, "cannot listen on %s", listen);
    evconnlistener_set_error_cb(d->listener, on_accept_error);
    return GWH_OK;
}

int gws_http_open(struct gws_http *http, const struct gws_door_config *config, uint16_t *port, struct gwh_error *err)
{
    struct gws_http_door *d = calloc(1, sizeof *d);
    if (d == NULL)
        return gwh_fail(err, GWH_IO, "no memory");
    d->http = http;
    d->door = config->door;
    d->limits = limits_of(&config->limits);
    d->tls = config->tls;
    event_assign(&d->again, http->base, -1, EV_TIMEOUT, on_again, d);
    if (door_listen(d, config->listen, err) != GWH_OK) {
        free(d);
        return err->exit;
    }
    if (d->tls != NULL)
        SSL_CTX_up_ref(d->tls);
    d->next = http->doors;
    http->doors = d;
    *port = port_of(evconnlistener_get_fd(d->listener));
    return GWH_OK;
}

/* Those that wait for a request are closed now, streams too; the others after their answer. */
static void close_idle(struct gws_http_door *d, bool streams)
{
    for (struct gws_conn *c = d->conns, *next; c != NULL; c = next) {
        next = c->next;
        if (!c->pumping && ((c->state == GWS_HEAD && c->in_n == 0) || (streams && c->state == GWS_STREAMING)))
            gws_conn_drop(c);
    }
}

void gws_http_tls(struct gws_http *http, enum gws_door door, SSL_CTX *tls)
{
    for (struct gws_http_door *d = http->doors; d != NULL; d = d->next) {
        if (d->door != door || d->tls == NULL)
            continue;
        SSL_CTX_up_ref(tls);
        SSL_CTX_free(d->tls);
        d->tls = tls;
        d->generation++;
        close_idle(d, true);
    }
}

unsigned gws_http_connections(const struct gws_http *http)
{
    unsigned count = 0;
    for (const struct gws_http_door *d = http->doors; d != NULL; d = d->next)
        count += d->count;
    return count;
}

/* ---- The end ----------------------------------------------------------------------------------------------------- */

static void door_shut(struct gws_http_door *d)
{
    if (d->listener != NULL)
        evconnlistener_free(d->listener);
    d->listener = NULL;
    event_del(&d->again);
}

static void drop_all(struct gws_http *http)
{
    for (struct gws_http_door *d = http->doors; d != NULL; d = d->next)
        while (d->conns != NULL)
            gws_conn_drop(d->conns);
}

static void on_drained(evutil_socket_t fd, short what, void *ctx)
{
    struct gws_http *http = ctx;
    (void)fd;
    (void)what;
    void (*drained)(void *) = http->drained;
    event_del(&http->drain);
    http->drained = NULL;
    drop_all(http);
    if (drained != NULL)
        drained(http->drained_ctx);
}

void gws_http_drain(struct gws_http *http, uint32_t ms, void (*drained)(void *ctx), void *ctx)
{
    struct timeval t = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};
    http->drained = drained;
    http->drained_ctx = ctx;
    http->draining = true;
    event_assign(&http->drain, http->base, -1, EV_TIMEOUT, on_drained, http);
    event_add(&http->drain, &t);
    for (struct gws_http_door *d = http->doors; d != NULL; d = d->next) {
        door_shut(d);
        close_idle(d, true);
    }
    if (gws_http_connections(http) == 0)
        event_active(&http->drain, EV_TIMEOUT, 0);
}

void gws_http_free(struct gws_http *http)
{
    if (http == NULL)
        return;
    if (http->drained != NULL)
        event_del(&http->drain);
    http->draining = false;
    drop_all(http);
    while (http->doors != NULL) {
        struct gws_http_door *d = http->doors;
        http->doors = d->next;
        door_shut(d);
        SSL_CTX_free(d->tls);
        free(d);
    }
    free(http);
}
