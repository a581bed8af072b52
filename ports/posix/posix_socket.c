/*
 * posix_socket.c - TCP on a PC as a stream that does not block; see posix_socket.h.
 */
#define _GNU_SOURCE
#include "posix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct gwp_address {
    struct sockaddr_storage to;
    socklen_t size;
};

static bool is_loopback(const struct sockaddr *a)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (a->sa_family == AF_INET) {
        memcpy(&v4, a, sizeof v4);
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    }
    memcpy(&v6, a, sizeof v6);
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

static void forget_addresses(struct gwp_socket *s)
{
    free(s->list);
    s->list = NULL;
    s->next = s->count = 0;
}

static void add(struct gwp_socket *s, const struct addrinfo *found, bool loopback)
{
    for (const struct addrinfo *a = found; a != NULL && s->count < GWP_ADDRESSES_MAX; a = a->ai_next) {
        bool known = a->ai_family == AF_INET || a->ai_family == AF_INET6;
        if (known && is_loopback(a->ai_addr) == loopback) {
            memcpy(&s->list[s->count].to, a->ai_addr, a->ai_addrlen);
            s->list[s->count++].size = a->ai_addrlen;
        }
    }
}

static int look_up(struct gwp_socket *s, struct gw_span host, uint16_t port)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
    char name[GWC_HOST_MAX + 1], service[8];

    if (host.n == 0 || host.n > GWC_HOST_MAX || memchr(host.p, 0, host.n) != NULL) {
        return GW_ERR_TRANSPORT;
    }
    memcpy(name, host.p, host.n);
    name[host.n] = 0;
    snprintf(service, sizeof service, "%u", port);
    s->list = calloc(GWP_ADDRESSES_MAX, sizeof *s->list);
    if (s->list == NULL || getaddrinfo(name, service, &hints, &found) != 0) {
        forget_addresses(s);
        return GW_ERR_TRANSPORT;
    }
    add(s, found, true);
    add(s, found, false);
    freeaddrinfo(found);
    return GW_OK;
}

static void shut(struct gwp_socket *s)
{
    if (s->fd >= 0) {
        close(s->fd);
    }
    s->fd = -1;
    s->connected = false;
}

/* Begins to connect to the next address. */
static int try_next(struct gwp_socket *s)
{
    const struct gwp_address *a = &s->list[s->next++];
    struct sockaddr to;
    int on = 1;

    memcpy(&to, &a->to, sizeof to);
    s->fd = socket(to.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0) {
        return GW_ERR_TRANSPORT;
    }
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(s->fd, (const struct sockaddr *)&a->to, a->size) == 0) {
        return GW_OK;
    }
    return errno == EINPROGRESS || errno == EINTR ? GW_ERR_AGAIN : GW_ERR_TRANSPORT;
}

/* Is what was begun done? */
static int check(const struct gwp_socket *s)
{
    struct pollfd p = { .fd = s->fd, .events = POLLOUT };
    int error = 0;
    socklen_t size = sizeof error;

    if (poll(&p, 1, 0) <= 0) {
        return GW_ERR_AGAIN;
    }
    return getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0 ? GW_OK : GW_ERR_TRANSPORT;
}

static int socket_connect(void *ctx, struct gw_span host, uint16_t port)
{
    struct gwp_socket *s = ctx;
    int error = s->connected ? GW_ERR_STATE : s->list == NULL ? look_up(s, host, port) : GW_OK;

    if (error != GW_OK) {
        return error;
    }
    error = s->fd >= 0 ? check(s) : GW_ERR_TRANSPORT;
    while (error == GW_ERR_TRANSPORT && s->next < s->count) {
        shut(s);
        error = try_next(s);
    }
    if (error != GW_ERR_AGAIN) {
        forget_addresses(s);
    }
    s->connected = error == GW_OK;
    return error;
}

/* What errno means: EAGAIN, or the end of the connection. */
static int failed(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? GW_ERR_AGAIN : GW_ERR_TRANSPORT;
}

static int socket_send(void *ctx, const uint8_t *p, size_t n, size_t *used)
{
    const struct gwp_socket *s = ctx;
    ssize_t sent = s->connected ? send(s->fd, p, n, MSG_NOSIGNAL) : -1;

    *used = sent > 0 ? (size_t)sent : 0;
    if (!s->connected) {
        return GW_ERR_STATE;
    }
    return sent > 0 ? GW_OK : failed();
}

static int socket_recv(void *ctx, uint8_t *p, size_t n, size_t *got)
{
    const struct gwp_socket *s = ctx;
    ssize_t came = s->connected ? recv(s->fd, p, n, 0) : -1;

    *got = came > 0 ? (size_t)came : 0;
    if (!s->connected) {
        return GW_ERR_STATE;
    }
    return came >= 0 ? GW_OK : failed();
}

static void socket_close(void *ctx)
{
    struct gwp_socket *s = ctx;

    shut(s);
    forget_addresses(s);
}

void gwp_socket_init(struct gwp_socket *s)
{
    memset(s, 0, sizeof *s);
    s->fd = -1;
    s->stream = (struct gwc_stream){ s, socket_connect, socket_send, socket_recv, socket_close };
}

int gwp_socket_fd(const struct gwp_socket *s, short *events)
{
    *events = s->connected ? POLLIN : POLLOUT;
    return s->fd;
}

void gwp_socket_wait(const struct gwp_socket *s, int most_ms)
{
    struct pollfd p = { 0 };

    p.fd = gwp_socket_fd(s, &p.events);
    if (p.fd >= 0) {
        (void)poll(&p, 1, most_ms);
    }
}
