/*
 * fetch_main.c - what a board does, from the command line: an offer, ranges of payloads and reports by the agent's
 * transport, over HTTP, TLS and sockets. tests/tls/run.py compares what it prints; tls-fetch-full and tls-fetch-small
 * are this program with the two profiles of TLS.
 *
 * Usage: tls-fetch-X option... action...; see `options` and run_action(). Exit code 0 unless it was called wrongly.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mbedtls/platform.h>
#include <mbedtls/sha256.h>

#include "cbor.h"
#include "crypto_ports.h"
#include "fetch.h"
#include "posix_socket.h"
#include "tls.h"

#define FILE_MAX 65536u
#define LIST_MAX 4200u /* four CAs of 1 KB */

/* ---- A heap that counts ----------------------------------------------------------------------------------------- */

static size_t heap_now, heap_most, heap_blocks;

union block {
    size_t n;
    max_align_t align;
};

static void *count_calloc(size_t n, size_t size)
{
    union block *b = size != 0 && n > SIZE_MAX / 2 / size ? NULL : calloc(1, sizeof *b + n * size);

    if (b == NULL) {
        return NULL;
    }
    b->n = n * size;
    heap_now += b->n;
    heap_blocks++;
    heap_most = heap_now > heap_most ? heap_now : heap_most;
    return b + 1;
}

static void count_free(void *p)
{
    if (p != NULL) {
        union block *b = (union block *)p - 1;
        heap_now -= b->n;
        heap_blocks--;
        free(b);
    }
}

/* ---- Sockets, looked at ----------------------------------------------------------------------------------------- */

static struct gwp_socket sock;
static struct gwc_stream watched;
static struct {
    unsigned connections;
    size_t at, length, largest; /* where in a record, of how many bytes; largest seen */
    uint8_t header[5];
    bool trickle, pause;        /* a few bytes at a time, and AGAIN between */
} wire;

/* Finds the boundaries of records as they come in. */
static void watch(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (wire.at < 5) {
            wire.header[wire.at] = p[i];
        }
        wire.at++;
        if (wire.at == 5) {
            wire.length = (size_t)wire.header[3] << 8 | wire.header[4];
            wire.largest = wire.length > wire.largest ? wire.length : wire.largest;
        }
        if (wire.at >= 5 && wire.at == 5 + wire.length) {
            wire.at = 0;
        }
    }
}

static int watched_connect(void *ctx, struct gw_span host, uint16_t port)
{
    int error = sock.stream.connect(ctx, host, port);
    if (error == GW_OK) {
        wire.connections++;
        wire.at = 0;
    }
    return error;
}

static int watched_recv(void *ctx, uint8_t *p, size_t n, size_t *got)
{
    wire.pause = !wire.pause;
    if (wire.trickle && wire.pause) {
        *got = 0;
        return GW_ERR_AGAIN;
    }
    int error = sock.stream.recv(ctx, p, wire.trickle && n > 7 ? 7 : n, got);
    watch(p, *got);
    return error;
}

/* ---- Options ---------------------------------------------------------------------------------------------------- */

static struct {
    const char *server, *offer, *report, *roots, *crl, *cert, *key;
    unsigned long now, chunk, timeout;
    const char *cas; /* "file,file": CAs (DER) that the bundle names; NULL: it names none */
    bool anonymous, trickle;
    bool sudden;     /* what is trusted is said once more, in the middle of a handshake */
    uint8_t pins[LIST_MAX], hosts[LIST_MAX], ca[LIST_MAX];
    struct gw_cborw pin_list, host_list, ca_list;
} want = { .offer = "offer", .chunk = 65536, .timeout = 5000 };

static uint8_t hex_of(const char *text, size_t i)
{
    unsigned v = 0;
    if (sscanf(text + 2 * i, "%2x", &v) != 1) {
        exit(2);
    }
    return (uint8_t)v;
}

static void digest_of(const char *text, uint8_t digest[GW_DIGEST_SIZE])
{
    if (strlen(text) != 64) {
        exit(2);
    }
    for (size_t i = 0; i < GW_DIGEST_SIZE; i++) {
        digest[i] = hex_of(text, i);
    }
}

static void add_pin(const char *text)
{
    uint8_t digest[GW_DIGEST_SIZE];
    digest_of(text, digest);
    gw_cborw_bytes(&want.pin_list, digest, sizeof digest);
}

static const struct {
    const char *name;
    const char **text;
    unsigned long *number;
    bool *flag;
} options[] = {
    { "--server", &want.server, NULL, NULL },   { "--offer-path", &want.offer, NULL, NULL },
    { "--report-path", &want.report, NULL, NULL }, { "--roots", &want.roots, NULL, NULL },
    { "--crl", &want.crl, NULL, NULL },         { "--cert", &want.cert, NULL, NULL },
    { "--key", &want.key, NULL, NULL },         { "--cas", &want.cas, NULL, NULL },
    { "--now", NULL, &want.now, NULL },
       { "--chunk", NULL, &want.chunk, NULL },
    { "--timeout", NULL, &want.timeout, NULL },
    { "--anonymous", NULL, NULL, &want.anonymous }, { "--trickle", NULL, NULL, &want.trickle },
};

/* Takes one option from the arguments; false: it is none. */
static bool take_option(char ***at)
{
    char **a = *at;

    if (strcmp(a[0], "--pin") == 0 || strcmp(a[0], "--host") == 0) {
        if (a[1] == NULL) {
            exit(2);
        }
        if (a[0][2] == 'p') {
            add_pin(a[1]);
        } else {
            gw_cborw_text(&want.host_list, a[1], strlen(a[1]));
        }
        *at += 2;
        return true;
    }
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (strcmp(a[0], options[i].name) != 0) {
            continue;
        }
        if (options[i].flag != NULL) {
            *options[i].flag = true;
            *at += 1;
            return true;
        }
        if (a[1] == NULL) {
            exit(2);
        }
        if (options[i].text != NULL) {
            *options[i].text = a[1];
        } else {
            *options[i].number = strtoul(a[1], NULL, 10);
        }
        *at += 2;
        return true;
    }
    return false;
}

/* An array of what was collected in `list`; none if nothing was. */
static struct gw_span close_list(struct gw_cborw *list, const uint8_t *items, uint8_t out[LIST_MAX])
{
    struct gw_cborw w;
    struct gw_cbor c;
    size_t n = 0;

    if (list->at == 0 || list->error != GW_OK) {
        return (struct gw_span){ NULL, 0 };
    }
    gw_cbor_init(&c, items, list->at);
    while (c.at < c.size && c.error == GW_OK) {
        (void)gw_cbor_item(&c);
        n++;
    }
    gw_cborw_init(&w, out, LIST_MAX);
    gw_cborw_array(&w, n);
    gw_cborw_raw(&w, items, list->at);
    if (gw_cborw_end(&w) != GW_OK) {
        exit(2);
    }
    return (struct gw_span){ out, w.at };
}

/* A file with a zero at its end, which is counted if it is PEM. */
static struct gw_span read_file(const char *path)
{
    uint8_t *p = calloc(1, FILE_MAX);
    FILE *f = path == NULL ? NULL : fopen(path, "rb");

    if (path != NULL && (f == NULL || p == NULL)) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    size_t n = f == NULL || p == NULL ? 0 : fread(p, 1, FILE_MAX - 1, f);
    if (f != NULL) {
        fclose(f);
    }
    return (struct gw_span){ p, n > 0 && p[0] == '-' ? n + 1 : n };
}

/* ---- Seams ------------------------------------------------------------------------------------------------------ */

static int random_bytes(void *ctx, void *data, size_t n)
{
    FILE *f = fopen("/dev/urandom", "rb");
    size_t got = f == NULL ? 0 : fread(data, 1, n, f);

    (void)ctx;
    if (f != NULL) {
        fclose(f);
    }
    return got == n ? GW_OK : GW_ERR_CRYPTO;
}

static uint32_t now_ms(void *ctx)
{
    struct timespec t;

    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint32_t)t.tv_sec * 1000u + (uint32_t)(t.tv_nsec / 1000000);
}

static struct gw_span roots; /* of the TLS layer, which keeps the view */

static struct gwc_tls *layer; /* that is being tested */

static struct gwc_tls *make_tls(void)
{
    struct gw_span files[4] = { read_file(want.roots), read_file(want.crl), read_file(want.cert),
                                read_file(want.key) };
    struct gwc_tls_config c = { .below = &watched, .roots = files[0], .crl = files[1], .certificate = files[2],
                                .key = files[3], .random = random_bytes };
    int error;
    struct gwc_tls *tls = gwc_tls_new(&c, &error);

    for (size_t i = 1; i < 4; i++) {
        free((void *)(uintptr_t)files[i].p); /* of these the layer keeps nothing */
    }
    roots = files[0];
    if (tls == NULL) {
        printf("new %s\n", gw_error_name(error));
        exit(0);
    }
    return tls;
}

/* ---- Actions ---------------------------------------------------------------------------------------------------- */

static struct gw_transport transport;
static const struct gwc_secure *secure;
static mbedtls_sha256_context sha;

static void print_result(const char *what, int error, size_t n)
{
    uint8_t digest[GW_DIGEST_SIZE];

    printf("%s %s %zu ", what, error == GW_OK ? "OK" : gw_error_name(error), n);
    mbedtls_sha256_finish(&sha, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        printf("%02x", digest[i]);
    }
    printf("\n");
}

/* Not by the transport, which lets nobody do this: a broker's connection has no such guard. */
static void say_suddenly(void)
{
    const struct gwc_trusted t = { .now = (uint32_t)want.now };

    if (want.sudden && wire.connections > 0) {
        want.sudden = false;
        printf("sudden %s\n", secure->trust(secure->stream.ctx, &t) == GW_OK ? "OK" : "not");
    }
}

/* Not when the handshake has a next step that needs nobody. */
static void wait_for_it(void)
{
    if (!gwc_tls_busy(layer)) {
        gwp_socket_wait(&sock, 20);
    }
}

/* One request, hashed. *total grows. */
static int fetch(const struct gw_request *r, size_t *total)
{
    uint8_t piece[1000];
    size_t n = 1;
    int error;

    while ((error = transport.open(transport.ctx, r)) == GW_ERR_AGAIN) {
        wait_for_it();
        say_suddenly();
    }
    while (error == GW_OK && n > 0) {
        error = transport.read(transport.ctx, piece, sizeof piece, &n);
        if (error == GW_ERR_AGAIN) {
            wait_for_it();
            error = GW_OK;
            n = 1;
        } else if (error == GW_OK && n > 0) {
            mbedtls_sha256_update(&sha, piece, n);
            *total += n;
        }
    }
    transport.close(transport.ctx);
    return error;
}

static void run_offer(bool unchanged_ok)
{
    const struct gw_request r = { .resource = GW_RESOURCE_OFFER, .longest = 8192, .unchanged_ok = unchanged_ok,
                                  .anonymous = want.anonymous };
    size_t total = 0;

    mbedtls_sha256_starts(&sha, 0);
    int error = fetch(&r, &total);
    print_result("offer", error, total);
}

static void run_payload(const char *digest, const char *size, const char *base)
{
    struct gw_request r = { .resource = GW_RESOURCE_PAYLOAD, .size = (uint32_t)strtoul(size, NULL, 10),
                            .longest = (uint32_t)want.chunk, .base = { (const uint8_t *)base, strlen(base) },
                            .anonymous = want.anonymous };
    size_t total = 0;
    int error = GW_OK;

    digest_of(digest, r.digest);
    mbedtls_sha256_starts(&sha, 0);
    while (error == GW_OK && total < r.size) {
        r.offset = (uint32_t)total;
        error = fetch(&r, &total);
        error = error == GW_OK && total == r.offset ? GW_ERR_TRUNCATED : error;
    }
    print_result("payload", error, total);
}

static void run_report(const char *text)
{
    int error;

    while ((error = transport.report(transport.ctx, (const uint8_t *)text, strlen(text))) == GW_ERR_AGAIN) {
        wait_for_it();
    }
    printf("report %s\n", error == GW_OK ? "OK" : gw_error_name(error));
}

static void read_cas(void)
{
    char name[512];

    gw_cborw_init(&want.ca_list, want.ca, sizeof want.ca);
    for (const char *at = want.cas; at != NULL && *at != 0; at += strlen(name) + (at[strlen(name)] == ',')) {
        (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(at, ","), at);
        struct gw_span der = read_file(name);
        gw_cborw_bytes(&want.ca_list, der.p, der.n);
        free((void *)(uintptr_t)der.p);
    }
}

static void run_trust(void)
{
    static uint8_t pins[LIST_MAX], hosts[LIST_MAX], cas[LIST_MAX];
    read_cas();
    struct gw_trust trust = { .pins = close_list(&want.pin_list, want.pins, pins),
                              .hosts = close_list(&want.host_list, want.hosts, hosts),
                              .server_cas = close_list(&want.ca_list, want.ca, cas) };
    const struct gw_transport_trust t = { &trust, (uint32_t)want.now };
    int error = transport.trust(transport.ctx, &t);

    if (error != GW_OK) {
        printf("trust %s\n", gw_error_name(error));
    }
}

/* offer | same (an offer, unchanged is welcome) | payload DIGEST SIZE BASE | report TEXT | look (trust again) |
 * rest S (and a half) | waive, insist (trust in the server, from here on) |
 * cas FILES (from the next look on; "": none) | sudden (what is trusted is said again in the middle of a handshake) */
static char **run_action(char **a)
{
    if (strcmp(a[0], "offer") == 0 || strcmp(a[0], "same") == 0) {
        run_offer(a[0][0] == 's');
        return a + 1;
    }
    if (strcmp(a[0], "look") == 0) {
        run_trust();
        return a + 1;
    }
    if (strcmp(a[0], "cas") == 0 && a[1] != NULL) {
        want.cas = a[1];
        return a + 2;
    }
    if (strcmp(a[0], "sudden") == 0) {
        want.sudden = true;
        return a + 1;
    }
    if (strcmp(a[0], "report") == 0 && a[1] != NULL && transport.report != NULL) {
        run_report(a[1]);
        return a + 2;
    }
    if (strcmp(a[0], "payload") == 0 && a[1] != NULL && a[2] != NULL && a[3] != NULL) {
        run_payload(a[1], a[2], a[3]);
        return a + 4;
    }
    if (strcmp(a[0], "waive") == 0 || strcmp(a[0], "insist") == 0) {
        want.anonymous = a[0][0] == 'w';
        return a + 1;
    }
    if (strcmp(a[0], "rest") == 0 && a[1] != NULL) {
        const struct timespec t = { (time_t)strtoul(a[1], NULL, 10), 500000000 };
        nanosleep(&t, NULL);
        return a + 2;
    }
    fprintf(stderr, "what is %s?\n", a[0]);
    exit(2);
}

int main(int argc, char **argv)
{
    static struct gwc_fetch f;
    char **a = argv + 1;

    (void)argc;
    gw_cborw_init(&want.pin_list, want.pins, sizeof want.pins);
    gw_cborw_init(&want.host_list, want.hosts, sizeof want.hosts);
    while (*a != NULL && take_option(&a)) {
    }
    mbedtls_platform_set_calloc_free(count_calloc, count_free);
    gw_crypto_psa_entropy(random_bytes, NULL);
    mbedtls_sha256_init(&sha);
    gwp_socket_init(&sock);
    watched = sock.stream;
    watched.connect = watched_connect;
    watched.recv = watched_recv;
    wire.trickle = want.trickle;
    struct gwc_tls *tls = layer = make_tls();
    secure = gwc_tls_secure(tls);
    const struct gwc_fetch_config config = { .secure = secure, .server = want.server,
                                             .offer_path = want.offer, .report_path = want.report,
                                             .timeout_ms = (uint32_t)want.timeout, .now_ms = now_ms };
    int error = gwc_fetch_init(&f, &config, &transport);
    if (error != GW_OK) {
        printf("init %s\n", gw_error_name(error));
        return 0;
    }
    run_trust();
    while (*a != NULL) {
        a = run_action(a);
    }
    struct gwc_tls_count n = *gwc_tls_count(tls);
    size_t standing = heap_now;
    gwc_fetch_end(&f);
    gwc_tls_free(tls);
    free((void *)(uintptr_t)roots.p);
    printf("tls handshakes=%u resumed=%u version=%04x connections=%u record=%zu heap=%zu standing=%zu\n", n.handshakes,
           n.resumed, n.version, wire.connections, wire.largest, heap_most, standing);
    return 0;
}
