/*
 * posix_curl.c - see posix_curl.h.
 *
 * A request is one transfer of a libcurl multi handle (posix_curl_transfer.c), driven by curl_multi_perform() in
 * read() and report(). What arrives goes into a buffer of GWP_RECEIVE bytes; when it is full the transfer is paused,
 * and TCP holds the server back.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>

#include "file.h"
#include "posix_curl_internal.h"

#define CONNECT_MS 10000u
#define STALL_MS 30000u
#define BLIND_MS 20u      /* longest wait while libcurl names no socket */
#define SOCKETS 4u        /* of one transfer that are waited for: two addresses are tried side by side */

/* ---- The transport -------------------------------------------------------------------------------------- */

static void end_request(struct gwp_curl *c)
{
    gwp_transfer_end(c);
    memset(&c->request, 0, sizeof c->request);
    c->open = c->reporting = c->ended = c->complete = c->conditional = c->paused = false;
    c->error = GW_OK;
    c->redirects = c->received = 0;
    c->at = c->held = 0;
}

static int transport_trust(void *ctx, const struct gw_transport_trust *trust)
{
    struct gwp_curl *c = ctx;
    struct gw_span hosts = trust->trust != NULL ? trust->trust->hosts : (struct gw_span){ NULL, 0 };
    if (c->open) {
        return GW_ERR_STATE;
    }
    end_request(c); /* a report that was given up */
    if (hosts.n > sizeof c->hosts) {
        return GW_ERR_LIMIT;
    }
    if (hosts.n > 0) {
        memcpy(c->hosts, hosts.p, hosts.n);
    }
    c->hosts_n = hosts.n;
    bool changed = true;
    int error = gwp_tls_trust(&c->tls, trust, &changed);
    if (changed) {
        gwp_lane_close(&c->lane[0]);
    }
    return error;
}

static int aim(struct gwp_curl *c, const struct gw_request *r)
{
    char path[80] = "";
    struct gw_span base = { (const uint8_t *)c->server, strlen(c->server) };
    if (r->resource == GW_RESOURCE_OFFER) {
        return gwp_target_make(&c->target, base, c->offer_path);
    }
    bool elsewhere = r->base.n > 0;
    size_t n = elsewhere ? 0 : strlen(strcpy(path, "payloads/"));
    gwh_hex(path + n, r->digest, sizeof r->digest);
    int e = gwp_target_make(&c->target, elsewhere ? r->base : base, path);
    return e != GW_OK || !gwp_curl_allows(c, c->target.host) ? GW_ERR_REDIRECT : GW_OK;
}

static bool makes_sense(const struct gw_request *r)
{
    bool offer = r->resource == GW_RESOURCE_OFFER, payload = r->resource == GW_RESOURCE_PAYLOAD;
    return r->longest > 0 && (offer || (payload && r->offset < r->size));
}

static int transport_open(void *ctx, const struct gw_request *request)
{
    struct gwp_curl *c = ctx;
    if (c->open || !makes_sense(request)) {
        return GW_ERR_STATE;
    }
    end_request(c);
    c->why[0] = '\0';
    int e = aim(c, request);
    if (e != GW_OK) {
        (void)snprintf(c->why, sizeof c->why, "the offer names a place for payloads that is not allowed");
        return e;
    }
    c->request = *request;
    c->request.base = (struct gw_span){ NULL, 0 };
    c->open = true;
    c->conditional = request->resource == GW_RESOURCE_OFFER && request->unchanged_ok && c->offer_etag[0] != '\0';
    if (request->resource == GW_RESOURCE_PAYLOAD) {
        uint32_t left = request->size - request->offset;
        c->request.longest = request->longest < left ? request->longest : left;
        if (memcmp(c->payload, request->digest, sizeof c->payload) != 0) {
            memcpy(c->payload, request->digest, sizeof c->payload);
            c->ranged = false;
        }
    }
    return gwp_transfer_start(c);
}

static void give(struct gwp_curl *c, uint8_t *data, size_t n)
{
    memcpy(data, c->buffer + c->at, n);
    c->held -= n;
    c->at = c->held == 0 ? 0 : c->at + n;
    if (c->paused && c->on != NULL && c->held <= GWP_RECEIVE / 2) {
        gwp_transfer_resume(c);
    }
}

static int transport_read(void *ctx, uint8_t *data, size_t size, size_t *n)
{
    struct gwp_curl *c = ctx;
    if (!c->open) {
        return GW_ERR_STATE;
    }
    gwp_transfer_step(c);
    *n = c->held < size ? c->held : size;
    if (*n > 0) {
        give(c, data, *n);
        return GW_OK;
    }
    return c->held > 0 ? GW_OK : c->error != GW_OK ? c->error : c->ended ? GW_OK : GW_ERR_AGAIN;
}

static void transport_close(void *ctx)
{
    struct gwp_curl *c = ctx;
    if (c->open && c->judged && gwp_transfer_goes_on(c)) {
        gwp_transfer_step(c); /* all was read: libcurl has to see the end, to keep the connection */
    }
    end_request(c);
}

static int transport_report(void *ctx, const uint8_t *bytes, size_t n)
{
    struct gwp_curl *c = ctx;
    struct gw_span base = { (const uint8_t *)c->server, strlen(c->server) };
    if (c->open || n > sizeof c->report) {
        return c->open ? GW_ERR_STATE : GW_ERR_VALUE;
    }
    if (!c->reporting || c->report_n != n || memcmp(c->report, bytes, n) != 0) {
        end_request(c);
        c->why[0] = '\0';
        memcpy(c->report, bytes, n);
        c->report_n = n;
        c->reporting = true;
        if (gwp_target_make(&c->target, base, c->report_path) != GW_OK) {
            (void)gwp_curl_fail(c, GW_ERR_VALUE, "the path for reports makes no URL");
        } else {
            (void)gwp_transfer_start(c);
        }
    }
    gwp_transfer_step(c);
    if (c->error == GW_OK && !c->ended) {
        return GW_ERR_AGAIN;
    }
    int e = c->error;
    end_request(c);
    return e;
}

/* ---- Making one ------------------------------------------------------------------------------------------------ */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool usable;

static void init_libcurl(void)
{
    const curl_version_info_data *info;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        info = curl_version_info(CURLVERSION_NOW);
        usable = info->version_num >= 0x075700 && info->ssl_version != NULL &&
                 strncmp(info->ssl_version, "OpenSSL/", 8) == 0; /* on_context() is given an SSL_CTX */
    }
}

static bool copy_text(char **to, const char *from)
{
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL;
}

static bool copy_span(uint8_t **to, size_t *n, struct gw_span from)
{
    *n = from.n;
    *to = from.n > 0 ? malloc(from.n) : NULL;
    if (*to != NULL) {
        memcpy(*to, from.p, from.n);
    }
    return from.n == 0 || *to != NULL;
}

static bool copy_token(char **out, const char *token)
{
    size_t n = token != NULL ? strlen(token) + 32 : 0;
    *out = token != NULL ? malloc(n) : NULL;
    if (*out != NULL) {
        (void)snprintf(*out, n, "Authorization: Bearer %s", token);
    }
    return token == NULL || *out != NULL;
}

/* The server's URL and the paths below it must make URLs. */
static int check_urls(struct gwp_curl *c, struct gwh_error *err)
{
    const char *const paths[] = { NULL, c->offer_path, c->report_path };
    struct gw_span base = { (const uint8_t *)c->server, strlen(c->server) };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (gwp_target_make(&c->target, base, paths[i]) != GW_OK) {
            (void)gwh_fail(err, GWH_USAGE, "%s%s%s is no URL of a server", c->server, i > 0 ? "/" : "",
                           i > 0 ? paths[i] : "");
            return gwh_hint(err, "a server is named as https://host[:port][/path], at most %u bytes", GWC_URL_MAX);
        }
        memcpy(c->host, c->target.host, sizeof c->host);
    }
    return GWH_OK;
}

static int configure(struct gwp_curl *c, const struct gwp_curl_config *config, struct gwh_error *err)
{
    c->connect_ms = config->connect_ms > 0 ? config->connect_ms : CONNECT_MS;
    c->stall_ms = config->stall_ms > 0 ? config->stall_ms : STALL_MS;
    if (!copy_text(&c->server, config->server) || !copy_text(&c->offer_path, config->offer_path) ||
        !copy_text(&c->report_path, config->report_path) || !copy_text(&c->resolve, config->resolve) ||
        !copy_token(&c->token, config->token) ||
        !copy_span(&c->certificate, &c->certificate_n, config->certificate) ||
        !copy_span(&c->key, &c->key_n, config->key)) {
        return gwh_fail(err, GWH_IO, "out of memory");
    }
    int e = check_urls(c, err);
    if (e == GWH_OK && (config->certificate.n > 0 || config->key.n > 0)) {
        e = gwp_tls_check_client(config->certificate, config->key, err);
    }
    return e == GWH_OK ? gwp_tls_open(&c->tls, config->roots, config->crl, err) : e;
}

struct gwp_curl *gwp_curl_new(const struct gwp_curl_config *config, struct gw_transport *t, struct gwh_error *err)
{
    (void)pthread_once(&once, init_libcurl);
    struct gwp_curl *c = usable ? calloc(1, sizeof *c) : NULL;
    if (c == NULL) {
        (void)gwh_fail(err, GWH_IO, usable ? "out of memory" : "libcurl 7.87 or later, built with OpenSSL, is needed");
        return NULL;
    }
    if (configure(c, config, err) != GWH_OK) {
        gwp_curl_free(c);
        return NULL;
    }
    *t = (struct gw_transport){ .ctx = c,
                                .trust = transport_trust,
                                .open = transport_open,
                                .read = transport_read,
                                .close = transport_close,
                                .report = config->report_path != NULL ? transport_report : NULL };
    return c;
}

void gwp_curl_free(struct gwp_curl *c)
{
    if (c == NULL) {
        return;
    }
    end_request(c);
    gwp_lane_close(&c->lane[0]);
    gwp_lane_close(&c->lane[1]);
    gwp_tls_close(&c->tls);
    if (c->key != NULL) {
        gw_wipe(c->key, c->key_n);
    }
    if (c->token != NULL) {
        gw_wipe(c->token, strlen(c->token));
    }
    free(c->token);
    free(c->key);
    free(c->certificate);
    free(c->server);
    free(c->offer_path);
    free(c->report_path);
    free(c->resolve);
    free(c);
}

/* ---- For loops and people ----------------------------------------------------------------------------------- */

void gwp_curl_count(const struct gwp_curl *c, struct gwp_curl_count *count)
{
    *count = c->count;
}

const char *gwp_curl_why(const struct gwp_curl *c)
{
    return c->why;
}

/* Nothing has to happen for the next step to get on. */
static bool is_ready(const struct gwp_curl *c)
{
    return c->held > 0 || ((c->open || c->reporting) && c->on == NULL);
}

/*
 * Adds the sockets of a transfer to `polled`, at most SOCKETS, and shortens *ms to what libcurl wants. Returns the
 * number added. libcurl names none while it resolves a name, and never one from FD_SETSIZE on: then the wait is short.
 */
static nfds_t watch(struct gwp_curl *c, struct pollfd *polled, long *ms)
{
    fd_set in, out, bad;
    nfds_t n = 0;
    int last = -1;
    long wanted = -1;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&bad);
    (void)curl_multi_fdset(c->on->multi, &in, &out, &bad, &last);
    for (int fd = 0; fd <= last && n < SOCKETS; fd++) {
        short events = (short)((FD_ISSET(fd, &in) ? POLLIN : 0) | (FD_ISSET(fd, &out) ? POLLOUT : 0));
        if (events != 0) {
            polled[n++] = (struct pollfd){ .fd = fd, .events = events };
        }
    }
    (void)curl_multi_timeout(c->on->multi, &wanted);
    if (n == 0 && (wanted < 0 || wanted > (long)BLIND_MS)) {
        wanted = BLIND_MS;
    }
    *ms = wanted >= 0 && wanted < *ms ? wanted : *ms;
    return n;
}

void gwp_curl_wait_any(struct gwp_curl *const *all, size_t count, uint32_t ms)
{
    long left = ms > INT32_MAX ? INT32_MAX : (long)ms;
    nfds_t n = 0;
    struct pollfd *polled = calloc(count * SOCKETS + 1, sizeof *polled);
    for (size_t i = 0; i < count && left > 0; i++) {
        if (is_ready(all[i])) {
            left = 0;
        } else if (all[i]->on != NULL && polled != NULL) {
            n += watch(all[i], &polled[n], &left);
        }
    }
    if (left > 0) {
        (void)poll(polled, n, polled != NULL ? (int)left : (int)BLIND_MS);
    }
    free(polled);
}

void gwp_curl_wait(struct gwp_curl *c, uint32_t ms)
{
    gwp_curl_wait_any(&c, 1, ms);
}
