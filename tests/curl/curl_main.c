/*
 * curl_main.c - curl-transport: asks a server through posix_curl.h as the agent would, and prints what comes of it.
 *
 *     curl-transport --server URL --roots PATH [--crl PATH] [--cert PATH --key PATH] [--offer PATH] [--report PATH]
 *         [--host NAME]... [--pin HEX]... [--cas FILE,FILE] [--now SECONDS] [--stall MS] [--connect MS]
 *         [--resolve host:port:address]
 *         COMMAND...
 *
 * Commands run in order, on one transport; each prints one line of JSON and none ends the program:
 *
 *     offer | unchanged | anonymous           an offer; with If-None-Match; without checking the server
 *     payload:HEX:SIZE:RANGE[:BASE]           a payload by ranges of RANGE bytes until it is there or a range fails
 *     brief:HEX:SIZE:RANGE                    the same, each request closed with its last byte, its end not waited for
 *     slow:HEX:SIZE:MS                        a payload as one range, read only after MS milliseconds
 *     report:BYTES                            a report of so many bytes
 *     many:COUNT                              so many transports at once ask for an offer; bytes: how many got it
 *     now:SECONDS | pin:HEX | cas:FILE,FILE   from now on (the next look) the clock, the pins, the bundle's CAs (DER)
 *     wait:MS                                 does nothing for so long
 *
 * A line has: result (name of an error or "OK"), bytes, sha256 of what came, `most` bytes that one request gave, bytes
 * that were `held` when a slow one was not read, the longest call in ms, what the transport counted so far, and why.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "encode.h"
#include "file.h"
#include "posix_curl.h"

#define LIST_MAX 8u
#define MANY_MAX 200u

struct program {
    struct gwp_curl_config config;
    struct gw_transport t;
    struct gwp_curl *curl;
    uint32_t now;
    const char *hosts[LIST_MAX];
    uint32_t host_count;
    uint8_t pins[LIST_MAX][32];
    uint32_t pin_count;
    const char *cas; /* "FILE,FILE" */
    struct gwh_buf bundle, cert, key;
    double longest; /* call, ms */
    bool brief;     /* closes as soon as it has the bytes */
};

/* What came of a command. */
struct outcome {
    int error;
    uint64_t bytes;
    size_t most;   /* that one request gave */
    uint64_t held; /* by the transport, when it was not read */
    uint32_t requests;
    EVP_MD_CTX *hash;
};

static double ms_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void sleep_ms(long ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
    (void)nanosleep(&t, NULL);
}

static void timed(struct program *p, double start)
{
    double took = ms_now() - start;
    p->longest = took > p->longest ? took : p->longest;
}

static int die(const char *text)
{
    fprintf(stderr, "curl-transport: %s\n", text);
    exit(2);
}

static struct gw_span load(struct gwh_buf *buf, const char *path)
{
    struct gwh_error err = { 0 };
    if (gwh_file_read(buf, path, 1u << 20, &err) != GWH_OK) {
        (void)die(err.text);
    }
    return (struct gw_span){ buf->p, buf->n };
}

/* ---- The trust bundle ---------------------------------------------------------------------------------------- */

static uint32_t load_cas(const struct program *p, struct gwh_buf buf[LIST_MAX], struct gw_span cas[LIST_MAX])
{
    char name[512];
    uint32_t n = 0;
    for (const char *at = p->cas; at != NULL && *at != '\0' && n < LIST_MAX; n++) {
        size_t length = strcspn(at, ",");
        (void)snprintf(name, sizeof name, "%.*s", (int)length, at);
        cas[n] = load(&buf[n], name);
        at += length + (at[length] == ',');
    }
    return n;
}

/* Tells the transport, with a bundle that holds the pins, hosts and CAs of the command line. */
static int tell(struct program *p)
{
    static const uint8_t x[32] = { 1 }, y[32] = { 2 };
    static const struct gw_pubkey key = { GW_ALG_ES256, GW_ROLE_AUTHOR, { x, sizeof x }, { y, sizeof y } };
    struct gwh_trust map = { .version = 1, .epoch = 1, .keys = &key, .key_count = 1, .hosts = p->hosts,
                             .host_count = p->host_count, .pins = (const uint8_t (*)[32])p->pins,
                             .pin_count = p->pin_count };
    struct gw_trust trust;
    struct gw_transport_trust told = { .trust = &trust, .now = p->now };
    struct gwh_buf ca[LIST_MAX] = { { 0 } };
    struct gw_span cas[LIST_MAX];
    map.server_ca_count = load_cas(p, ca, cas);
    map.server_cas = cas;
    gwh_buf_free(&p->bundle);
    if (gwh_trust_map(&p->bundle, &map) != GW_OK || gw_trust_parse(&trust, p->bundle.p, p->bundle.n) != GW_OK) {
        return die("cannot make a trust bundle");
    }
    for (size_t i = 0; i < LIST_MAX; i++) {
        gwh_buf_free(&ca[i]);
    }
    return p->t.trust(p->t.ctx, &told);
}

/* ---- Requests -------------------------------------------------------------------------------------------------- */

static int open_request(struct program *p, const struct gw_request *r)
{
    int e;
    do {
        double start = ms_now();
        e = p->t.open(p->t.ctx, r);
        timed(p, start);
    } while (e == GW_ERR_AGAIN);
    return e;
}

static int read_some(struct program *p, uint8_t *data, size_t size, size_t *n)
{
    for (;;) {
        double start = ms_now();
        int e = p->t.read(p->t.ctx, data, size, n);
        timed(p, start);
        if (e != GW_ERR_AGAIN) {
            return e;
        }
        gwp_curl_wait(p->curl, 100);
    }
}

/* One request, to its end; `pause` ms before the first byte is read. */
static int fetch(struct program *p, const struct gw_request *r, struct outcome *out, long pause)
{
    struct gwp_curl_count c;
    uint8_t data[4096];
    size_t n = 0, got = 0;
    gwp_curl_count(p->curl, &c);
    uint64_t before = c.body_bytes;
    int e = open_request(p, r);
    for (long waited = 0; e == GW_OK && waited < pause; waited += 10) {
        sleep_ms(10);
        e = read_some(p, data, 1, &n); /* lets libcurl work; the buffer must fill, and no more */
        got += n;
        (void)EVP_DigestUpdate(out->hash, data, n);
    }
    gwp_curl_count(p->curl, &c);
    out->held = c.body_bytes - before - got;
    do {
        n = 0;
        e = e == GW_OK ? read_some(p, data, sizeof data, &n) : e;
        (void)EVP_DigestUpdate(out->hash, data, n);
        got += n;
    } while (e == GW_OK && n > 0 && !(p->brief && got == r->longest));
    double start = ms_now();
    p->t.close(p->t.ctx);
    timed(p, start);
    out->requests++;
    out->bytes += got;
    out->most = got > out->most ? got : out->most;
    return e;
}

static void offer(struct program *p, const char *kind, struct outcome *out)
{
    struct gw_request r = { .resource = GW_RESOURCE_OFFER, .longest = 8192, .unchanged_ok = kind[0] == 'u',
                            .anonymous = kind[0] == 'a' };
    out->error = tell(p);
    out->error = out->error == GW_OK ? fetch(p, &r, out, 0) : out->error;
}

/* "HEX:SIZE:RANGE[:BASE]", or "HEX:SIZE:MS" when it is read slowly. */
static void payload(struct program *p, const char *text, bool slowly, struct outcome *out)
{
    struct gw_request r = { .resource = GW_RESOURCE_PAYLOAD };
    char hex[65] = "", base[512] = "";
    unsigned size = 0, third = 0;
    if (sscanf(text, "%64[0-9a-f]:%u:%u:%511s", hex, &size, &third, base) < 3 || !gwh_unhex(r.digest, 32, hex)) {
        (void)die("payload:HEX:SIZE:RANGE[:BASE]");
    }
    r.size = size;
    r.longest = slowly ? size : third;
    r.base = (struct gw_span){ (const uint8_t *)base, strlen(base) };
    do {
        uint64_t before = out->bytes;
        r.offset = (uint32_t)before;
        out->error = fetch(p, &r, out, slowly ? (long)third : 0);
        if (out->bytes == before) {
            break;
        }
    } while (out->error == GW_OK && out->bytes < size);
}

static void report(struct program *p, const char *text, struct outcome *out)
{
    size_t n = (size_t)strtoul(text, NULL, 10);
    uint8_t *bytes = malloc(n > 0 ? n : 1);
    memset(bytes, 0xa5, n);
    for (;;) {
        double start = ms_now();
        out->error = p->t.report != NULL ? p->t.report(p->t.ctx, bytes, n) : GW_ERR_STATE;
        timed(p, start);
        if (out->error != GW_ERR_AGAIN) {
            break;
        }
        gwp_curl_wait(p->curl, 100);
    }
    free(bytes);
}

/* One step of one of many transports. True: it is done. */
static bool many_step(struct program *p, const struct gw_transport *t, struct outcome *out)
{
    uint8_t data[8192];
    size_t n = 0;
    double start = ms_now();
    int e = t->read(t->ctx, data, sizeof data, &n);
    timed(p, start);
    out->bytes += e == GW_OK && n == 0;
    out->error = e != GW_OK && e != GW_ERR_AGAIN ? e : out->error;
    return (e == GW_OK && n == 0) || (e != GW_OK && e != GW_ERR_AGAIN);
}

static void many(struct program *p, const char *text, struct outcome *out)
{
    static const struct gw_request offer_request = { .resource = GW_RESOURCE_OFFER, .longest = 8192 };
    static struct gw_transport t[MANY_MAX];
    static struct gwp_curl *all[MANY_MAX];
    struct gw_transport_trust told = { .now = p->now };
    struct gwh_error err = { 0 };
    bool done[MANY_MAX] = { false };
    size_t count = (size_t)strtoul(text, NULL, 10), left;
    count = count < MANY_MAX ? count : MANY_MAX;
    for (size_t i = 0; i < count; i++) {
        all[i] = gwp_curl_new(&p->config, &t[i], &err);
        if (all[i] == NULL || t[i].trust(t[i].ctx, &told) != GW_OK || t[i].open(t[i].ctx, &offer_request) != GW_OK) {
            (void)die("cannot make many transports");
        }
    }
    for (left = count; left > 0;) {
        for (size_t i = 0; i < count; i++) {
            if (!done[i] && many_step(p, &t[i], out)) {
                done[i] = true;
                t[i].close(t[i].ctx);
                left--;
            }
        }
        gwp_curl_wait_any(all, count, 1000);
    }
    for (size_t i = 0; i < count; i++) {
        gwp_curl_free(all[i]);
    }
}

static void print_text(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        putchar(*text == '"' || *text == '\\' || *text < ' ' ? '\'' : *text);
    }
    putchar('"');
}

static void print(struct program *p, const char *command, struct outcome *out)
{
    struct gwp_curl_count c;
    uint8_t digest[32];
    char hex[65];
    unsigned size = 0;
    (void)EVP_DigestFinal_ex(out->hash, digest, &size);
    gwh_hex(hex, digest, sizeof digest);
    gwp_curl_count(p->curl, &c);
    printf("{\"command\": ");
    print_text(command);
    printf(", \"result\": \"%s\", \"bytes\": %llu, \"most\": %zu, \"asked\": %u, \"sha256\": \"%s\"",
           out->error == GW_OK ? "OK" : gw_error_name(out->error), (unsigned long long)out->bytes, out->most,
           (unsigned)out->requests, hex);
    printf(", \"longest_ms\": %.1f, \"held\": %llu", p->longest, (unsigned long long)out->held);
    printf(", \"requests\": %llu, \"connections\": %llu, \"header\": %llu, \"body\": %llu, \"sent\": %llu, \"why\": ",
           (unsigned long long)c.requests, (unsigned long long)c.connections, (unsigned long long)c.header_bytes,
           (unsigned long long)c.body_bytes, (unsigned long long)c.sent_bytes);
    print_text(gwp_curl_why(p->curl));
    printf("}\n");
    (void)fflush(stdout);
}

static void run(struct program *p, const char *command)
{
    struct outcome out = { .hash = EVP_MD_CTX_new() };
    const char *rest = strchr(command, ':');
    rest = rest != NULL ? rest + 1 : "";
    p->longest = 0;
    p->brief = strncmp(command, "brief:", 6) == 0;
    (void)EVP_DigestInit_ex(out.hash, EVP_sha256(), NULL);
    if (strncmp(command, "payload:", 8) == 0 || strncmp(command, "slow:", 5) == 0 || p->brief) {
        payload(p, rest, command[0] == 's', &out);
    } else if (strncmp(command, "report:", 7) == 0) {
        report(p, rest, &out);
    } else if (strncmp(command, "many:", 5) == 0) {
        many(p, rest, &out);
    } else if (strncmp(command, "now:", 4) == 0) {
        p->now = (uint32_t)strtoul(rest, NULL, 10);
    } else if (strncmp(command, "pin:", 4) == 0) {
        p->pin_count = gwh_unhex(p->pins[0], 32, rest) ? 1 : 0;
    } else if (strncmp(command, "cas:", 4) == 0) {
        p->cas = rest;
    } else if (strncmp(command, "wait:", 5) == 0) {
        sleep_ms(strtol(rest, NULL, 10));
    } else {
        offer(p, command, &out);
    }
    print(p, command, &out);
    EVP_MD_CTX_free(out.hash);
}

/* ---- Command line ------------------------------------------------------------------------------------------------ */

/* Takes one option; false: this is no option. */
static bool option(struct program *p, const char *name, const char *value)
{
    const struct {
        const char *name;
        const char **to;
    } texts[] = { { "--server", &p->config.server }, { "--roots", &p->config.roots }, { "--crl", &p->config.crl },
                  { "--offer", &p->config.offer_path }, { "--report", &p->config.report_path },
                  { "--resolve", &p->config.resolve }, { "--cas", &p->cas } };
    if (strncmp(name, "--", 2) != 0 || value == NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].to = value;
            return true;
        }
    }
    if (strcmp(name, "--cert") == 0) {
        p->config.certificate = load(&p->cert, value);
    } else if (strcmp(name, "--key") == 0) {
        p->config.key = load(&p->key, value);
    } else if (strcmp(name, "--now") == 0) {
        p->now = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(name, "--stall") == 0) {
        p->config.stall_ms = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(name, "--connect") == 0) {
        p->config.connect_ms = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(name, "--host") == 0 && p->host_count < LIST_MAX) {
        p->hosts[p->host_count++] = value;
    } else if (strcmp(name, "--pin") == 0 && p->pin_count < LIST_MAX && gwh_unhex(p->pins[p->pin_count], 32, value)) {
        p->pin_count++;
    } else {
        (void)die(name);
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct program p = { .config = { .offer_path = "offers/none" } };
    struct gwh_error err = { 0 };
    int i = 1;
    p.now = (uint32_t)time(NULL);
    while (i < argc && option(&p, argv[i], argv[i + 1])) {
        i += 2;
    }
    if (p.config.server == NULL) {
        return die("--server is missing");
    }
    p.curl = gwp_curl_new(&p.config, &p.t, &err);
    if (p.curl == NULL) {
        return die(err.text);
    }
    for (; i < argc; i++) {
        run(&p, argv[i]);
    }
    gwp_curl_free(p.curl);
    gwh_buf_free(&p.bundle);
    gwh_buf_free(&p.cert);
    gwh_buf_free(&p.key);
    return 0;
}
