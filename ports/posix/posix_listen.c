/*
 * posix_listen.c - the serial engine of ports/common on a TCP connection; see posix_listen.h.
 *
 * The device stays on while hosts come and go, as a board does. A restart that a host asks for runs the bootloader, and
 * the connection stays, as a serial line does. One host at a time.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "patch.h"
#include "posix_listen.h"
#include "serial.h"

struct listening {
    const char *folder;
    const struct gwp_listen *how;
    struct gwh_error *err;
    struct gwp_device device;
    struct gw_handover boot;
    struct gwc_serial serial;
    struct gwc_serial_config config;
    uint8_t offer[GWC_OFFER_MAX], buffer[GWC_BUFFER_MIN];
    struct gw_decoding decoding;
    uint64_t decoder[20u * 1024u / 8u]; /* room for every profile */
    int socket; /* of the host that is connected */
    bool restart;
    bool on; /* the device is open */
};

/* ---- What the engine calls --------------------------------------------------------------------------------------- */

static void put(void *ctx, const uint8_t *bytes, size_t n)
{
    const struct listening *l = ctx;
    while (n > 0) {
        ssize_t sent = send(l->socket, bytes, n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) {
            return; /* the host has gone: reading will tell */
        }
        bytes += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
    }
}

static void restart(void *ctx)
{
    ((struct listening *)ctx)->restart = true;
}

static uint32_t now(void *ctx)
{
    (void)ctx;
    return (uint32_t)time(NULL);
}

static void say(struct listening *l, const char *text)
{
    put(l, (const uint8_t *)text, strlen(text));
    put(l, (const uint8_t *)"\n", 1);
}

static void on_event(void *ctx, int status)
{
    struct listening *l = ctx;
    char line[200];
    if (status < 0) {
        (void)snprintf(line, sizeof line, "update: %s: %s", gw_error_name(status), gw_strerror(status));
    } else {
        (void)snprintf(line, sizeof line, "update: %s", status == GW_DONE ? "done" : "begins");
    }
    l->how->tell(line);
    say(l, line);
}

/* ---- The device -------------------------------------------------------------------------------------------------- */

static int start_device(struct listening *l)
{
    if (!gwp_handover_read(l->folder, &l->boot)) {
        return gwh_fail(l->err, GWH_IO, "%s does not run", l->folder);
    }
    int e = gwp_device_open(&l->device, l->folder, false, l->err);
    if (e != GWH_OK) {
        return e;
    }
    l->device.flash.cut_at = l->how->cut_at;
    l->decoding = (struct gw_decoding){&gw_patch_codec, l->decoder, sizeof l->decoder, gwh_isas};
    l->config = (struct gwc_serial_config){.dev = &l->device.dev, .boot = &l->boot,       .offer = l->offer,
                                           .offer_size = sizeof l->offer, .buffer = l->buffer, .now = now,
                                           .buffer_size = sizeof l->buffer, .decoding = &l->decoding,
                                           .put = put, .restart = restart,
                                           .on_event = on_event, .ctx = l};
    l->on = true;
    e = gwp_device_mount(&l->device, l->err);
    if (e != GWH_OK) {
        return e;
    }
    int reason = gwc_serial_init(&l->serial, &l->config);
    return reason == GW_OK ? GWH_OK : gwh_fail_reason(l->err, reason, "serial line");
}

static void stop_device(struct listening *l)
{
    if (l->on) {
        gwp_device_close(&l->device);
    }
    l->on = false;
}

static int restart_device(struct listening *l)
{
    char line[80];
    stop_device(l);
    l->restart = false;
    int e = l->how->boot(l->folder, l->err);
    e = e == GWH_OK ? start_device(l) : e;
    if (e == GWH_OK) {
        (void)snprintf(line, sizeof line, "restarted: runs from slot %s, %s", gwp_slot_name(l->boot.slot),
                       gwp_state_name(l->boot.state));
        l->how->tell(line);
        say(l, line);
    }
    return e;
}

/* ---- The line ---------------------------------------------------------------------------------------------------- */

/* Until the host goes. The device answers nothing on its console. */
static int serve(struct listening *l)
{
    int e = GWH_OK;
    uint8_t byte;
    ssize_t n;
    while (e == GWH_OK && (n = recv(l->socket, &byte, 1, 0)) != 0) {
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            break;
        }
        (void)gwc_serial_byte(&l->serial, byte);
        while (gwc_serial_step(&l->serial) == GW_MORE) {
        }
        e = l->restart ? restart_device(l) : GWH_OK;
    }
    return e;
}

static int open_port(const struct gwp_listen *how, struct gwh_error *err)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    char host[64] = "", text[96];
    const char *colon = strrchr(how->address, ':');
    unsigned port = 0;
    int on = 1;
    size_t length = colon != NULL ? (size_t)(colon - how->address) : sizeof host;
    if (length >= sizeof host || sscanf(colon + 1, "%5u", &port) != 1 || port > 65535) {
        return gwh_fail(err, GWH_USAGE, "--tcp %s: expected ADDRESS:PORT, 127.0.0.1:0 for any port", how->address), -1;
    }
    memcpy(host, how->address, length);
    a.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, host, &a.sin_addr) != 1) {
        return gwh_fail(err, GWH_USAGE, "--tcp %s: expected an IPv4 address, 127.0.0.1", how->address), -1;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) != 0) {
        (void)gwh_fail_errno(err, "cannot listen on %s", how->address);
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    (void)snprintf(text, sizeof text, "%s:%u", host, (unsigned)ntohs(a.sin_port));
    how->listening(text);
    return fd;
}

static int accept_hosts(struct listening *l, int port)
{
    int e = GWH_OK;
    do {
        l->socket = accept4(port, NULL, NULL, SOCK_CLOEXEC);
        if (l->socket < 0) {
            e = errno == EINTR ? GWH_OK : gwh_fail_errno(l->err, "cannot accept");
            continue;
        }
        e = serve(l);
        close(l->socket);
    } while (e == GWH_OK && !l->how->once);
    return e;
}

int gwp_device_listen(const char *folder, const struct gwp_listen *how, struct gwh_error *err)
{
    struct listening *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "listen");
    }
    l->folder = folder;
    l->how = how;
    l->err = err;
    int e = start_device(l);
    int port = e == GWH_OK ? open_port(how, err) : -1;
    if (port >= 0) {
        e = accept_hosts(l, port);
        close(port);
    }
    stop_device(l);
    gw_wipe(l, sizeof *l);
    free(l);
    return port >= 0 ? e : err->exit;
}
