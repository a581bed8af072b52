/*
 * line.c - opens a line and asks on it; see line.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "line.h"

#define CONNECT_MS 5000

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

/* Two hosts in a row must not begin with the same number. */
static void start(struct gwh_line *l, int fd)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    l->fd = fd;
    l->number = (uint8_t)(now.tv_nsec / 1000 + getpid());
}

static int connect_to(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol), failed = 0, on = 1;
    socklen_t n = sizeof failed;
    if (fd < 0) {
        return -1;
    }
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
        failed = errno;
        if (failed == EINPROGRESS) {
            bool ready = poll(&p, 1, CONNECT_MS) == 1;
            failed = ready && getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &n) == 0 ? failed : ETIMEDOUT;
        }
    }
    if (failed != 0) {
        close(fd);
        errno = failed;
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

int gwh_line_tcp(struct gwh_line *l, const char *address, struct gwh_error *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    char host[256] = "";
    const char *colon = strrchr(address, ':'), *from = address;
    size_t n = colon != NULL ? (size_t)(colon - address) : 0;
    if (n > 2 && from[0] == '[' && from[n - 1] == ']') {
        from++;
        n -= 2;
    }
    if (n == 0 || n >= sizeof host || colon[1] == '\0') {
        return gwh_fail(err, GWH_USAGE, "--tcp %s: expected HOST:PORT", address);
    }
    memcpy(host, from, n);
    int e = getaddrinfo(host, colon + 1, &hints, &list);
    if (e != 0) {
        return gwh_fail(err, GWH_IO, "cannot find %s: %s", address, gai_strerror(e));
    }
    int fd = -1;
    for (const struct addrinfo *a = list; fd < 0 && a != NULL; a = a->ai_next) {
        fd = connect_to(a);
    }
    e = errno;
    freeaddrinfo(list);
    if (fd < 0) {
        errno = e;
        (void)gwh_fail_errno(err, "cannot connect to %s", address);
        return gwh_hint(err, "is the device on, and is nobody else connected to it?");
    }
    l->is_tcp = true;
    start(l, fd);
    return GWH_OK;
}

static speed_t speed_of(uint32_t baud)
{
    static const struct {
        uint32_t baud;
        speed_t speed;
    } known[] = {
        {9600, B9600},     {19200, B19200},   {38400, B38400},     {57600, B57600},     {115200, B115200},
        {230400, B230400}, {460800, B460800}, {500000, B500000},   {921600, B921600},   {1000000, B1000000},
        {1500000, B1500000}, {2000000, B2000000}, {3000000, B3000000},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].baud == baud) {
            return known[i].speed;
        }
    }
    return B0;
}

static int make_raw(int fd, speed_t speed)
{
    struct termios t;
    if (tcgetattr(fd, &t) != 0) {
        return -1;
    }
    cfmakeraw(&t);
    t.c_cflag |= CLOCAL | CREAD;
    t.c_cflag &= ~(tcflag_t)(CSTOPB | CRTSCTS | HUPCL); /* HUPCL: closing would reset boards that reset by DTR */
    return cfsetspeed(&t, speed) == 0 ? tcsetattr(fd, TCSANOW, &t) : -1;
}

int gwh_line_serial(struct gwh_line *l, const char *device, uint32_t baud, struct gwh_error *err)
{
    speed_t speed = speed_of(baud);
    if (speed == B0) {
        return gwh_fail(err, GWH_USAGE, "--baud %u: expected 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600 "
                        "or another rate that is usual", (unsigned)baud);
    }
    int fd = open(device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        (void)gwh_fail_errno(err, "cannot open %s", device);
        return gwh_hint(err, "ls -l %s; members of its group (usually dialout) may use it", device);
    }
    if (make_raw(fd, speed) != 0) {
        int e = gwh_fail_errno(err, "%s is no serial port that can be set to %u baud", device, (unsigned)baud);
        close(fd);
        return e;
    }
    start(l, fd);
    return GWH_OK;
}

static void flush_console(struct gwh_line *l)
{
    if (l->console_n > 0 && l->text != NULL) {
        l->console[l->console_n] = '\0';
        l->text(l->ctx, l->console);
    }
    l->console_n = 0;
}

void gwh_line_close(struct gwh_line *l)
{
    flush_console(l);
    if (l->fd >= 0) {
        close(l->fd);
    }
    l->fd = -1;
}

/* ---- Bytes ------------------------------------------------------------------------------------------------------- */

static void take_text(struct gwh_line *l, uint8_t byte)
{
    if (byte == '\n') {
        flush_console(l);
        return;
    }
    if (l->console_n > sizeof l->console - 6) {
        flush_console(l);
    }
    if (byte >= 0x20 && byte < 0x7f) {
        l->console[l->console_n++] = (char)byte;
    } else if (byte >= 0x7f) {
        l->console_n += (size_t)sprintf(l->console + l->console_n, "\\x%02x", byte);
    }
}

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/*
 * The other end may send its answer byte by byte (an emulated serial port does) and wait after the first one for our
 * acknowledgement: without this each answer takes 40 ms more. The system forgets it, so it is said again and again.
 */
static void acknowledge_at_once(const struct gwh_line *l)
{
    int on = 1;
    if (l->is_tcp) {
        (void)setsockopt(l->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    }
}

/* Reads until a packet is whole (1), the time is over (0), or the line is gone (-1). */
static int receive(struct gwh_line *l, uint64_t until)
{
    while (!l->reader.full) {
        uint64_t now = now_ms();
        struct pollfd p = {.fd = l->fd, .events = POLLIN};
        acknowledge_at_once(l);
        int ready = now < until ? poll(&p, 1, (int)(until - now)) : 0;
        uint8_t byte;
        if (ready == 0) {
            return 0;
        }
        ssize_t n = ready > 0 ? read(l->fd, &byte, 1) : -1;
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            l->error = n == 0 ? EPIPE : errno;
            return -1;
        }
        if (n > 0 && !gwc_reader_byte(&l->reader, byte)) {
            take_text(l, byte);
        }
    }
    return 1;
}

/* As gwc_packet_put wants it: all of it goes out, or l->error says why not. */
static void put(void *ctx, const uint8_t *bytes, size_t n)
{
    struct gwh_line *l = ctx;
    uint64_t until = now_ms() + GWH_LINE_WAIT_MS;
    while (n > 0 && l->error == 0) {
        struct pollfd p = {.fd = l->fd, .events = POLLOUT};
        ssize_t sent = send(l->fd, bytes, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == ENOTSOCK) {
            sent = write(l->fd, bytes, n);
        }
        if (sent >= 0) {
            bytes += sent;
            n -= (size_t)sent;
        } else if (errno == EAGAIN && now_ms() < until) {
            (void)poll(&p, 1, 100);
        } else if (errno != EINTR) {
            l->error = errno;
        }
    }
}

/* ---- Asking ------------------------------------------------------------------------------------------------------ */

static int gone(struct gwh_line *l, struct gwh_error *err)
{
    flush_console(l);
    errno = l->error;
    (void)gwh_fail_errno(err, "the line to the device is gone");
    return gwh_hint(err, "push again: it goes on where it stopped");
}

/* Waits for the answer to request l->number; older ones are dropped. As receive(). */
static int await(struct gwh_line *l)
{
    uint64_t until = now_ms() + (l->wait_ms != 0 ? l->wait_ms : GWH_LINE_WAIT_MS);
    for (;;) {
        l->reader.full = 0;
        int got = receive(l, until);
        if (got <= 0 || (l->reader.packet[1] == l->number && l->reader.packet[0] >= GWC_STATUS)) {
            return got;
        }
    }
}

int gwh_line_ask(struct gwh_line *l, uint8_t type, struct gw_span body, struct gwh_error *err)
{
    uint32_t tries = l->tries != 0 ? l->tries : GWH_LINE_TRIES;
    l->number++;
    for (uint32_t i = 0; i < tries; i++) {
        l->repeated += i > 0;
        gwc_packet_put(put, l, type, l->number, body.p, body.n);
        int got = l->error == 0 ? await(l) : -1;
        if (got != 0) {
            return got > 0 ? GWH_OK : gone(l, err);
        }
    }
    flush_console(l);
    (void)gwh_fail(err, GWH_IO, "the device does not answer (asked %u times)", (unsigned)tries);
    return gwh_hint(err, "is it on, at this rate, and does its firmware listen on this line (SPEC.md, section 14)?");
}

void gwh_line_listen(struct gwh_line *l, uint32_t ms)
{
    uint64_t until = now_ms() + ms;
    do {
        l->reader.full = 0;
    } while (l->error == 0 && receive(l, until) > 0);
    flush_console(l);
}
