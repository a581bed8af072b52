/*
 * http_door.c - doors: who may connect at all, and the beginning and the end of listening.
 *
 * Keeps true: connections are counted, in all and for each address, before a byte of them is read; without TLS only
 * loopback is listened on; the door for devices never opens without client certificates. After a change of certificates
 * no connection that came in under the old ones is served again.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http_internal.h"

/* ---- Addresses --------------------------------------------------------------------------------------------------- */

/* The four bytes of an IPv4 address, also when it came to a listener on [::]; NULL: it is none. */
static const uint8_t *address_v4(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET)
        return (const uint8_t *)&((const struct sockaddr_in *)(const void *)sa)->sin_addr;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
    return sa->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(six) ? six->s6_addr + 12 : NULL;
}

/* What counts as one address. */
static void address_bytes(uint8_t out[17], const struct sockaddr *sa)
{
    const uint8_t *four = address_v4(sa);
    memset(out, 0, 17);
    if (four != NULL) {
        out[0] = 4;
        memcpy(out + 1, four, 4);
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

void gws_address_release(struct gws_http *h, struct gws_address *a)
{
    if (--a->connections != 0)
        return;
    struct gws_address **at = address_slot(h, a->bytes);
    *at = a->next;
    free(a);
}

/* ---- Coming in --------------------------------------------------------------------------------------------------- */

/* IPv4 as IPv6 writes it: ::ffff:a.b.c.d. */
static void address_keep(struct in6_addr *out, const struct sockaddr *sa)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    const uint8_t *four = address_v4(sa);
    if (four != NULL) {
        memcpy(out->s6_addr, mapped, 12);
        memcpy(out->s6_addr + 12, four, 4);
    } else if (sa->sa_family == AF_INET6) {
        *out = ((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
    }
}

void gws_conn_address(const struct gws_conn *c, char out[GWS_ADDRESS_TEXT])
{
    bool four = IN6_IS_ADDR_V4MAPPED(&c->from);
    if (inet_ntop(four ? AF_INET : AF_INET6, c->from.s6_addr + (four ? 12 : 0), out, GWS_ADDRESS_TEXT) == NULL)
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
    if (c == NULL || !gws_conn_start(d, c, fd)) {
        if (address != NULL)
            gws_address_release(d->http, address);
        free(c);
        evutil_closesocket(fd);
        gws_count(GWS_M_REFUSED, 1);
        return;
    }
    c->address = address;
    address_keep(&c->from, sa);
    gws_conn_within(c, d->limits.header_ms);
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
    struct timeval t = { 0, 100000 };
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
    gws_maps_start(*http);
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
    const struct sockaddr_in6 *six = (const void *)sa;
    return sa->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

/* "address:port", with brackets around an IPv6 address; port 0 is any. */
static bool parse_address(const char *text, struct sockaddr_storage *sa, int *n)
{
    char host[64];
    uint64_t port;
    const char *colon = strrchr(text, ':');
    bool six = text[0] == '[';
    size_t length = colon == NULL ? 0 : (size_t)(colon - text);
    if (length < 3 || length >= sizeof host || !gws_decimal(colon + 1, strlen(colon + 1), &port) || port > 65535 ||
        (six && text[length - 1] != ']'))
        return false;
    memcpy(host, text + six, length - 2 * six);
    host[length - 2 * six] = '\0';
    memset(sa, 0, sizeof *sa);
    struct sockaddr_in *v4 = (struct sockaddr_in *)sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)sa;
    sa->ss_family = six ? AF_INET6 : AF_INET;
    *n = six ? (int)sizeof *v6 : (int)sizeof *v4;
    *(six ? &v6->sin6_port : &v4->sin_port) = htons((uint16_t)port);
    return inet_pton(sa->ss_family, host, six ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr) == 1;
}

static int listen_address(const char *text, struct sockaddr_storage *sa, int *n, struct gwh_error *err)
{
    if (parse_address(text, sa, n))
        return GWH_OK;
    return gwh_fail(err, GWH_USAGE, "\"%s\" is not an address and a port, such as 0.0.0.0:8443 or [::]:8443", text);
}

static uint16_t port_of(evutil_socket_t fd)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;
    if (getsockname(fd, (struct sockaddr *)&sa, &n) != 0)
        return 0;
    if (sa.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&sa)->sin6_port);
    return ntohs(((struct sockaddr_in *)&sa)->sin_port);
}

static int door_listen(struct gws_http_door *d, const char *listen, struct gwh_error *err)
{
    struct sockaddr_storage sa;
    int n = 0;
    if (listen_address(listen, &sa, &n, err) != GWH_OK)
        return err->exit;
    if (d->tls == NULL && !is_loopback((struct sockaddr *)&sa))
        return gwh_fail(err, GWH_USAGE, "%s: without TLS only loopback addresses are listened on", listen);
    if (d->door == GWS_DOOR_DEVICES &&
        (d->tls == NULL || (SSL_CTX_get_verify_mode(d->tls) & SSL_VERIFY_FAIL_IF_NO_PEER_CERT) == 0))
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

/* Which connections have nothing under way? */
static bool is_idle(const struct gws_conn *c)
{
    return (c->state == GWS_HEAD && c->in_n == 0) || c->state == GWS_STREAMING;
}

/* Which would be served as somebody who may be revoked by now? */
static bool is_stale(const struct gws_conn *c)
{
    return is_idle(c) || c->state == GWS_HANDSHAKE || c->state == GWS_HEAD ||
           (c->state == GWS_BODY && c->door->door == GWS_DOOR_DEVICES);
}

static void close_those(struct gws_http_door *d, bool (*which)(const struct gws_conn *c))
{
    for (struct gws_conn *c = d->conns, *next; c != NULL; c = next) {
        next = c->next;
        if (!c->pumping && which(c))
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
        close_those(d, is_stale);
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
    struct timeval t = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };
    http->drained = drained;
    http->drained_ctx = ctx;
    http->draining = true;
    event_assign(&http->drain, http->base, -1, EV_TIMEOUT, on_drained, http);
    event_add(&http->drain, &t);
    for (struct gws_http_door *d = http->doors; d != NULL; d = d->next) {
        door_shut(d);
        close_those(d, is_idle);
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
    gws_maps_end(http);
    free(http);
}
