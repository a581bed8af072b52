/*
 * mqtt_main.c - a board's side of a broker, on a PC: ports/lwip's MQTT on lwIP's client, the small profile of TLS, and
 * sockets, with lwIP's memory as on a board. The courier sends reports; what is below it takes none.
 *
 * Usage: lwip-mqtt --host H --port P --id I --roots FILE [--cert FILE --key FILE] [--now SECONDS]
 * On standard input: "report TEXT", "close", or its end. Prints what happens, a line each; tests/lwip/run.py reads it.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <lwip/init.h>
#include <lwip/stats.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>

#include "courier.h"
#include "crypto_ports.h"
#include "mqtt_object.h"
#include "posix_socket.h"
#include "tls.h"

#define FILE_MAX 16384u

static struct gwl_mqtt mqtt;
static struct gwc_courier courier;
static struct gw_transport over;
static struct gwp_socket sock;
static struct {
    const char *host, *port, *id, *roots, *cert, *key, *now;
} want;

/* ---- Seams ------------------------------------------------------------------------------------------------------- */

u32_t sys_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u32_t)t.tv_sec * 1000u + (u32_t)(t.tv_nsec / 1000000);
}

static int random_bytes(void *ctx, void *data, size_t n)
{
    (void)ctx;
    return getentropy(data, n) == 0 ? GW_OK : GW_ERR_CRYPTO;
}

unsigned gwl_random(void)
{
    unsigned number = 0;

    return random_bytes(NULL, &number, sizeof number) == GW_OK ? number : 0;
}

static uint32_t any(void *ctx)
{
    (void)ctx;
    return gwl_random();
}

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return sys_now();
}

static void on_message(void *ctx, struct gw_span bytes)
{
    (void)ctx;
    printf("message %.*s\n", (int)bytes.n, (const char *)bytes.p);
    gwc_courier_message(&courier, bytes);
}

static void on_changed(void *ctx, int status)
{
    (void)ctx;
    printf(status == GW_OK ? "connected\n" : "lost %s\n", gw_error_name(status));
}

static bool publish(void *ctx, const uint8_t *bytes, size_t n)
{
    (void)ctx;
    return gwl_mqtt_report(&mqtt, bytes, n);
}

static bool connected(void *ctx)
{
    (void)ctx;
    return gwl_mqtt_connected(&mqtt);
}

static void wake(void *ctx)
{
    (void)ctx;
    printf("woken\n");
}

static int no_open(void *ctx, const struct gw_request *request)
{
    (void)ctx, (void)request;
    return GW_ERR_TRANSPORT;
}

static int no_read(void *ctx, uint8_t *data, size_t size, size_t *n)
{
    (void)ctx, (void)data, (void)size, (void)n;
    return GW_ERR_TRANSPORT;
}

static void no_close(void *ctx)
{
    (void)ctx;
}

/* ---- Options ----------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, **text;
} options[] = { { "--host", &want.host }, { "--port", &want.port }, { "--id", &want.id }, { "--roots", &want.roots },
                { "--cert", &want.cert }, { "--key", &want.key },   { "--now", &want.now } };

static void take_options(char **a)
{
    for (; a[0] != NULL && a[1] != NULL; a += 2) {
        for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
            if (strcmp(a[0], options[i].name) == 0) {
                *options[i].text = a[1];
            }
        }
    }
    if (want.host == NULL || want.port == NULL || want.id == NULL || want.roots == NULL) {
        fprintf(stderr, "--host, --port, --id and --roots are needed\n");
        exit(2);
    }
}

/* A PEM file and the zero byte at its end, which counts; nothing for NULL. */
static struct gw_span read_file(const char *path)
{
    uint8_t *p = calloc(1, FILE_MAX);
    FILE *f = path == NULL ? NULL : fopen(path, "rb");

    if (p == NULL || (path != NULL && f == NULL)) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    size_t n = f == NULL ? 0 : fread(p, 1, FILE_MAX - 1, f);
    if (f != NULL) {
        fclose(f);
    }
    return (struct gw_span){ p, n > 0 ? n + 1 : 0 };
}

static struct gwc_tls *make_tls(void)
{
    struct gw_span files[3] = { read_file(want.roots), read_file(want.cert), read_file(want.key) };
    const struct gwc_tls_config c = { .below = &sock.stream, .roots = files[0], .certificate = files[1],
                                      .key = files[2], .random = random_bytes };
    int error = GW_OK;
    struct gwc_tls *tls = gwc_tls_new(&c, &error);

    for (size_t i = 0; i < 3; i++) {
        free((void *)(uintptr_t)files[i].p); /* the layer keeps nothing of it */
    }
    if (tls == NULL) {
        fprintf(stderr, "TLS: %s\n", gw_error_name(error));
        exit(2);
    }
    return tls;
}

/* ---- Commands and steps ------------------------------------------------------------------------------------------ */

static char report[GW_REPORT_MAX + 2];
static size_t report_n; /* 0: none is on its way */

static void command(const char *line)
{
    if (strncmp(line, "report ", 7) == 0 && strlen(line + 7) < sizeof report) {
        strcpy(report, line + 7);
        report_n = strlen(report);
    } else if (strcmp(line, "close") == 0) {
        gwl_mqtt_close(&mqtt);
    } else {
        fprintf(stderr, "what is %s?\n", line);
        exit(2);
    }
}

/* What came on standard input. False: it has ended. */
static bool take_input(void)
{
    static char line[2048];
    static size_t n;
    ssize_t got = read(STDIN_FILENO, line + n, sizeof line - 1 - n);

    if (got <= 0) {
        return false;
    }
    n += (size_t)got;
    for (char *end; (end = memchr(line, '\n', n)) != NULL;) {
        *end = '\0';
        command(line);
        n -= (size_t)(end + 1 - line);
        memmove(line, end + 1, n);
    }
    return true;
}

static void step(uint32_t *wait_ms)
{
    gwl_mqtt_step(&mqtt, wait_ms);
    sys_check_timeouts();
    if (report_n > 0) {
        int status = over.report(over.ctx, (const uint8_t *)report, report_n);
        if (status != GW_ERR_AGAIN) {
            printf("report %s\n", status == GW_OK ? "OK" : gw_error_name(status));
            report_n = 0;
        }
    }
    fflush(stdout);
}

/* Until standard input ends. Sleeps as long as step() lets it, or until there is something. */
static void run(void)
{
    for (;;) {
        uint32_t wait_ms = 0;
        step(&wait_ms);
        struct pollfd p[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = -1 } };
        p[1].fd = gwp_socket_fd(&sock, &p[1].events);
        (void)poll(p, 2, wait_ms < 100 ? (int)wait_ms : 100);
        if (p[0].revents != 0 && !take_input()) {
            return;
        }
    }
}

int main(int argc, char **argv)
{
    static struct gw_openssl state;
    static struct gw_crypto crypto;
    static const struct gw_transport none = { .open = no_open, .read = no_read, .close = no_close };

    (void)argc;
    take_options(argv + 1);
    lwip_init();
    gw_crypto_psa_entropy(random_bytes, NULL);
    gwp_socket_init(&sock);
    gw_crypto_openssl_init(&crypto, &state);
    struct gwc_tls *tls = make_tls();
    const struct gwc_secure *secure = gwc_tls_secure(tls);
    const struct gwc_trusted trusted = { .now = want.now != NULL ? (uint32_t)strtoul(want.now, NULL, 10) : 0 };
    if (want.now != NULL && secure->trust(secure->stream.ctx, &trusted) != 0) {
        return 2;
    }
    const struct gwl_mqtt_config config = { .secure = secure, .host = want.host,
                                            .port = (uint16_t)strtoul(want.port, NULL, 10), .id = want.id,
                                            .message = on_message, .changed = on_changed, .random = any,
                                            .now_ms = now_ms };
    const struct gwc_courier_config reports = { .below = &none, .crypto = &crypto, .publish = publish,
                                                .connected = connected, .wake = wake, .now_ms = now_ms };
    if (gwl_mqtt_init(&mqtt, &config) != GW_OK || gwc_courier_init(&courier, &reports, &over) != GW_OK) {
        fprintf(stderr, "the settings are refused\n");
        return 2;
    }
    run();
    gwl_mqtt_close(&mqtt);
    printf("end object=%zu heap=%u refused=%u left=%u handshakes=%u resumed=%u\n", sizeof mqtt,
           (unsigned)lwip_stats.mem.max, (unsigned)lwip_stats.mem.err, (unsigned)lwip_stats.mem.used,
           (unsigned)gwc_tls_count(tls)->handshakes, (unsigned)gwc_tls_count(tls)->resumed);
    gwc_tls_free(tls);
    gw_crypto_openssl_free(&state);
    return 0;
}
