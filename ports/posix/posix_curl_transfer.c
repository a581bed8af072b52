/*
 * posix_curl_transfer.c - one request as a transfer of libcurl: its options, its callbacks, its end.
 *
 * Every option is set for each transfer, whatever libcurl's defaults are. Whether an answer is taken is decided when
 * its head is complete (posix_answer.h); whom it may come from while the connection is made (posix_tls.h). Anonymous
 * requests have handles of their own, so that no connection that nobody has verified can ever serve a checked request.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "posix_curl_internal.h"

#define DISCARD 16384u /* bytes of a body nobody reads, for the sake of the connection */
#define REDIRECTS 3u
#define WHY 400u       /* bytes of a sentence for people */

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* The first error of a request stays. */
int gwp_curl_fail(struct gwp_curl *c, int error, const char *why)
{
    if (c->error == GW_OK && error != GW_OK) {
        c->error = error;
        (void)snprintf(c->why, sizeof c->why, "%s", why);
        for (char *p = c->why; *p != '\0'; p++) {
            *p = *p < ' ' || *p > '~' ? '?' : *p; /* some of it is the server's text */
        }
    }
    return c->error;
}

/* ---- Handles ------------------------------------------------------------------------------------------------- */

void gwp_lane_close(struct gwp_lane *lane)
{
    curl_easy_cleanup(lane->easy);
    (void)curl_multi_cleanup(lane->multi);
    *lane = (struct gwp_lane){ NULL, NULL };
}

static bool lane_open(struct gwp_lane *lane)
{
    if (lane->multi != NULL) {
        return true;
    }
    lane->multi = curl_multi_init();
    lane->easy = curl_easy_init();
    if (lane->multi == NULL || lane->easy == NULL ||
        curl_multi_setopt(lane->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) != CURLM_OK) {
        gwp_lane_close(lane);
        return false;
    }
    return true;
}

/* Takes the transfer off its handle; its connection is kept by libcurl if the answer was read to its end. */
void gwp_transfer_end(struct gwp_curl *c)
{
    if (c->on == NULL) {
        return;
    }
    long connects = 0;
    (void)curl_easy_getinfo(c->on->easy, CURLINFO_NUM_CONNECTS, &connects);
    c->count.connections += (uint64_t)connects;
    (void)curl_multi_remove_handle(c->on->multi, c->on->easy);
    curl_easy_reset(c->on->easy); /* it holds pointers to what is freed here */
    c->on = NULL;
    for (struct curl_slist *l = c->headers; l != NULL; l = l->next) {
        gw_wipe(l->data, strlen(l->data)); /* one may be a token */
    }
    curl_slist_free_all(c->headers);
    curl_slist_free_all(c->resolves);
    c->headers = c->resolves = NULL;
}

/* ---- What libcurl calls --------------------------------------------------------------------------------------- */

static CURLcode on_context(CURL *easy, void *ssl_ctx, void *ctx)
{
    struct gwp_curl *c = ctx;
    (void)easy;
    return gwp_tls_attach(&c->tls, ssl_ctx, c->request.anonymous) == GW_OK ? CURLE_OK : CURLE_SSL_CONNECT_ERROR;
}

/* A connection is not for the programs that this one starts. */
static int on_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
    (void)ctx, (void)purpose;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return CURL_SOCKOPT_OK;
}

/* The connection is there, and verified; the request is about to be sent. */
static int on_connected(void *ctx, char *a, char *b, int c1, int c2)
{
    struct gwp_curl *c = ctx;
    (void)a, (void)b, (void)c1, (void)c2;
    c->connected = true;
    c->heard_ms = now_ms();
    return CURL_PREREQFUNC_OK;
}

/* Only counts: what libcurl says of sizes differs between its versions. */
static int on_debug(CURL *easy, curl_infotype type, char *data, size_t n, void *ctx)
{
    struct gwp_curl *c = ctx;
    (void)easy, (void)data;
    c->count.sent_bytes += type == CURLINFO_HEADER_OUT || type == CURLINFO_DATA_OUT ? n : 0;
    return 0;
}

/* For people: what of the head is other than it should be. */
static void describe(const struct gwp_curl *c, char why[WHY])
{
    const struct gwp_answer *a = &c->answer;
    int n = snprintf(why, WHY, "the server answered with status %u", a->status);
    if (a->status >= 400) {
        (void)snprintf(why + n, WHY - (size_t)n, " when asked for %.300s", c->target.url);
    } else if (a->status == 206 && a->has_range) {
        (void)snprintf(why + n, WHY - (size_t)n, ", bytes %llu-%llu/%llu, entity tag %.40s",
                       (unsigned long long)a->first, (unsigned long long)a->last, (unsigned long long)a->size,
                       a->etag[0] != '\0' ? a->etag : "none");
    } else if (a->coded) {
        (void)snprintf(why + n, WHY - (size_t)n, " and a content coding");
    }
}

static void judge(struct gwp_curl *c)
{
    char why[WHY];
    bool payload = c->request.resource == GW_RESOURCE_PAYLOAD;
    int e;
    c->judged = true;
    if (c->reporting) {
        return;
    }
    e = gwp_answer_judge(&c->answer, &c->request, c->conditional, c->ranged ? c->payload_etag : NULL);
    c->redirected = e == GWP_REDIRECTED;
    if (e == GW_OK && payload) {
        c->ranged = true;
        memcpy(c->payload_etag, c->answer.etag, sizeof c->payload_etag);
    }
    if (e == GW_ERR_NOTHING) {
        c->error = e; /* no failure */
    } else if (e < 0) {
        describe(c, why);
        (void)gwp_curl_fail(c, e, why);
    }
}

/* An answer that is complete as it is, good or bad: its transfer goes on to its end, which keeps the connection. */
bool gwp_transfer_goes_on(const struct gwp_curl *c)
{
    return c->error == GW_OK || c->error == GW_ERR_NOTHING || c->error == GW_ERR_HTTP_STATUS;
}

static size_t on_header(char *line, size_t one, size_t n, void *ctx)
{
    struct gwp_curl *c = ctx;
    n *= one;
    c->count.header_bytes += n;
    c->heard_ms = now_ms();
    if (gwp_answer_line(&c->answer, line, n) != GW_OK) {
        (void)gwp_curl_fail(c, GW_ERR_HTTP, "the head of the answer is not HTTP/1.1, or too long");
    } else if (c->answer.complete && !c->judged) {
        judge(c);
    }
    return gwp_transfer_goes_on(c) ? n : 0;
}

static size_t discard(struct gwp_curl *c, size_t n)
{
    c->count.body_bytes += n;
    c->discarded = n < DISCARD - c->discarded ? c->discarded + (uint32_t)n : DISCARD;
    return c->discarded < DISCARD ? n : 0;
}

/* Into the buffer; there is room. */
static void hold(struct gwp_curl *c, const char *p, size_t n)
{
    if (c->at + c->held + n > GWP_RECEIVE) {
        memmove(c->buffer, c->buffer + c->at, c->held);
        c->at = 0;
    }
    memcpy(c->buffer + c->at + c->held, p, n);
    c->held += n;
    c->received += (uint32_t)n;
}

static size_t on_body(char *p, size_t one, size_t n, void *ctx)
{
    struct gwp_curl *c = ctx;
    n *= one;
    c->heard_ms = now_ms();
    if (!c->judged || !gwp_transfer_goes_on(c)) {
        return 0;
    }
    if (c->reporting || c->redirected || c->error != GW_OK) {
        return discard(c, n);
    }
    if (n > GWP_RECEIVE - c->held) {
        c->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    bool offer = c->request.resource == GW_RESOURCE_OFFER;
    uint32_t left = gwp_answer_room(&c->answer, &c->request) - c->received;
    bool framed = c->answer.has_length || c->answer.chunked;
    c->count.body_bytes += n;
    hold(c, p, n < left ? n : left);
    c->complete = !offer && !framed && n >= left; /* nothing else says where it ends */
    if (n > left && !c->complete) {
        (void)gwp_curl_fail(c, offer ? GW_ERR_LIMIT : GW_ERR_HTTP, "the body is longer than it may be");
    }
    return n > left || c->complete ? 0 : n;
}

/* ---- A transfer ------------------------------------------------------------------------------------------------ */

/* Every option that matters is set for each transfer; one that libcurl does not know ends it. */
#define SET(option, value) (bad |= curl_easy_setopt(easy, (option), (value)) != CURLE_OK)

static bool set_connection(struct gwp_curl *c, CURL *easy)
{
    bool bad = false;
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_NOPROGRESS, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* does not wait for a slow resolver */
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_ms);
    SET(CURLOPT_RESOLVE, c->resolves);
    SET(CURLOPT_ERRORBUFFER, c->said);
    return !bad;
}

static bool set_tls(struct gwp_curl *c, CURL *easy)
{
    bool bad = false, checked = !c->request.anonymous;
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, checked ? 1L : 0L);
    SET(CURLOPT_SSL_VERIFYHOST, checked ? 2L : 0L);
    SET(CURLOPT_CAINFO, NULL); /* posix_tls.c has its own */
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_SSL_CTX_FUNCTION, on_context);
    SET(CURLOPT_SSL_CTX_DATA, c);
    if (checked && c->certificate_n > 0 && strcmp(c->target.host, c->host) == 0) {
        struct curl_blob certificate = { c->certificate, c->certificate_n, CURL_BLOB_NOCOPY };
        struct curl_blob key = { c->key, c->key_n, CURL_BLOB_NOCOPY };
        SET(CURLOPT_SSLCERTTYPE, "PEM");
        SET(CURLOPT_SSLCERT_BLOB, &certificate);
        SET(CURLOPT_SSLKEYTYPE, "PEM");
        SET(CURLOPT_SSLKEY_BLOB, &key);
    }
    return !bad;
}

static bool add_header(struct gwp_curl *c, const char *text)
{
    struct curl_slist *list = curl_slist_append(c->headers, text);
    c->headers = list != NULL ? list : c->headers;
    return list != NULL;
}

static bool set_question(struct gwp_curl *c, CURL *easy)
{
    const struct gw_request *r = &c->request;
    char text[GWP_ETAG_MAX + 32];
    bool bad = !add_header(c, "Accept:");
    if (c->token != NULL && !r->anonymous && strcmp(c->target.host, c->host) == 0) { /* to the server itself alone */
        bad |= !add_header(c, c->token);
    }
    if (c->reporting) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDS, (char *)c->report);
        SET(CURLOPT_POSTFIELDSIZE, (long)c->report_n);
        bad |= !add_header(c, "Content-Type: application/cose") || !add_header(c, "Expect:");
    } else if (r->resource == GW_RESOURCE_PAYLOAD) {
        (void)snprintf(text, sizeof text, "%u-%u", (unsigned)r->offset, (unsigned)(r->offset + r->longest - 1));
        SET(CURLOPT_RANGE, text);
    } else if (c->conditional) {
        (void)snprintf(text, sizeof text, "If-None-Match: %s", c->offer_etag);
        bad |= !add_header(c, text);
    }
    SET(CURLOPT_HTTPHEADER, c->headers);
    SET(CURLOPT_URL, c->target.url);
    return !bad;
}

static bool set_callbacks(struct gwp_curl *c, CURL *easy)
{
    bool bad = false;
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, c);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, c);
    SET(CURLOPT_SOCKOPTFUNCTION, on_socket);
    SET(CURLOPT_PREREQFUNCTION, on_connected);
    SET(CURLOPT_PREREQDATA, c);
    SET(CURLOPT_VERBOSE, 1L); /* to on_debug(), which prints nothing */
    SET(CURLOPT_DEBUGFUNCTION, on_debug);
    SET(CURLOPT_DEBUGDATA, c);
    return !bad;
}

/* Sends the request to c->target. */
int gwp_transfer_start(struct gwp_curl *c)
{
    struct gwp_lane *lane = &c->lane[c->request.anonymous ? 1 : 0];
    memset(&c->answer, 0, sizeof c->answer);
    c->connected = c->judged = c->redirected = c->paused = false;
    c->discarded = 0;
    c->said[0] = '\0';
    c->heard_ms = now_ms();
    gwp_tls_begin(&c->tls, c->target.host);
    if (!lane_open(lane)) {
        return gwp_curl_fail(c, GW_ERR_TRANSPORT, "out of memory");
    }
    c->on = lane;
    c->resolves = c->resolve == NULL ? NULL : curl_slist_append(NULL, c->resolve);
    if (!set_connection(c, lane->easy) || !set_tls(c, lane->easy) || !set_question(c, lane->easy) ||
        !set_callbacks(c, lane->easy) || curl_multi_add_handle(lane->multi, lane->easy) != CURLM_OK) {
        gwp_transfer_end(c);
        return gwp_curl_fail(c, GW_ERR_TRANSPORT, "this libcurl lacks an option, or memory is out");
    }
    c->count.requests++;
    return GW_OK;
}

static const struct {
    CURLcode code;
    int error;
} codes[] = {
    { CURLE_OPERATION_TIMEDOUT, GW_ERR_TIMEOUT },
    { CURLE_PEER_FAILED_VERIFICATION, GW_ERR_TLS },
    { CURLE_SSL_CONNECT_ERROR, GW_ERR_TLS },
    { CURLE_SSL_CERTPROBLEM, GW_ERR_TLS },
    { CURLE_SSL_CIPHER, GW_ERR_TLS },
    { CURLE_SSL_CACERT_BADFILE, GW_ERR_TLS },
    { CURLE_SSL_INVALIDCERTSTATUS, GW_ERR_TLS },
    { CURLE_SSL_CLIENTCERT, GW_ERR_TLS },
    { CURLE_SSL_ISSUER_ERROR, GW_ERR_TLS },
    { CURLE_UNSUPPORTED_PROTOCOL, GW_ERR_HTTP }, /* HTTP/0.9, as it takes what does not begin with HTTP/ */
    { CURLE_WEIRD_SERVER_REPLY, GW_ERR_HTTP },
    { CURLE_BAD_CONTENT_ENCODING, GW_ERR_HTTP },
};

static int error_of(const struct gwp_curl *c, CURLcode code)
{
    if (c->tls.cause != GW_OK) {
        return c->tls.cause;
    }
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i].code == code) {
            return codes[i].error;
        }
    }
    bool chunk = code == CURLE_RECV_ERROR && strstr(c->said, "chunk") != NULL; /* libcurl has no code for it */
    return c->tls.alert ? GW_ERR_TLS : chunk ? GW_ERR_HTTP : GW_ERR_TRANSPORT;
}

/* ---- Whom payloads may come from ------------------------------------------------------------------------------- */

bool gwp_curl_allows(const struct gwp_curl *c, const char *host)
{
    struct gw_trust trust = { .hosts = { c->hosts, c->hosts_n } };
    return strcmp(host, c->host) == 0 ||
           gwc_host_listed(&trust, (struct gw_span){ (const uint8_t *)host, strlen(host) });
}

static void follow(struct gwp_curl *c)
{
    char why[400];
    const char *to = c->answer.location;
    if (++c->redirects > REDIRECTS) {
        (void)gwp_curl_fail(c, GW_ERR_REDIRECT, "more than three redirects");
    } else if (gwp_target_follow(&c->target, to) != GW_OK || !gwp_curl_allows(c, c->target.host)) {
        (void)snprintf(why, sizeof why, "redirected to %.300s", to);
        (void)gwp_curl_fail(c, GW_ERR_REDIRECT, why);
    } else {
        (void)gwp_transfer_start(c);
    }
}

/* ---- Steps ------------------------------------------------------------------------------------------------------ */

/* Nothing of the body is missing. */
static bool is_whole(const struct gwp_curl *c)
{
    bool payload = c->request.resource == GW_RESOURCE_PAYLOAD;
    return !payload || c->received == gwp_answer_room(&c->answer, &c->request);
}

static void finish_get(struct gwp_curl *c, CURLcode code)
{
    if (c->error != GW_OK) {
        return;
    }
    if (c->redirected) { /* its body does not matter */
        follow(c);
    } else if (!c->judged || (code != CURLE_OK && !c->complete)) {
        (void)gwp_curl_fail(c, error_of(c, code), c->tls.why[0] != '\0' ? c->tls.why : c->said);
    } else if (!is_whole(c)) {
        (void)gwp_curl_fail(c, GW_ERR_TRANSPORT, "the body ends early");
    } else if (c->request.resource == GW_RESOURCE_OFFER) {
        memcpy(c->offer_etag, c->answer.etag, sizeof c->offer_etag);
    }
}

static void finish_report(struct gwp_curl *c, CURLcode code)
{
    char why[64];
    if (!c->judged) {
        (void)gwp_curl_fail(c, error_of(c, code), c->tls.why[0] != '\0' ? c->tls.why : c->said);
        return;
    }
    (void)snprintf(why, sizeof why, "the server answered a report with status %u", c->answer.status);
    (void)gwp_curl_fail(c, gwp_answer_judge_report(&c->answer), why);
}

static void finish(struct gwp_curl *c, CURLcode code)
{
    gwp_transfer_end(c);
    if (c->reporting) {
        finish_report(c, code);
    } else {
        finish_get(c, code);
    }
    if (c->error != GW_OK && c->error != GW_ERR_NOTHING) {
        c->ranged = false; /* the next attempt starts without a memory */
    }
    c->ended = c->on == NULL;
}

void gwp_transfer_step(struct gwp_curl *c)
{
    int n;
    CURLMsg *message;
    struct gwp_lane *on = c->on;
    if (on == NULL) {
        return;
    }
    (void)curl_multi_perform(on->multi, &n);
    while (c->on == on && (message = curl_multi_info_read(on->multi, &n)) != NULL) {
        if (message->msg == CURLMSG_DONE && message->easy_handle == on->easy) {
            finish(c, message->data.result);
            return;
        }
    }
    if (c->connected && !c->paused && now_ms() - c->heard_ms >= c->stall_ms) {
        (void)snprintf(c->said, sizeof c->said, "no byte for %u ms", (unsigned)c->stall_ms);
        finish(c, CURLE_OPERATION_TIMEDOUT);
    }
}

void gwp_transfer_resume(struct gwp_curl *c)
{
    c->paused = false;
    c->heard_ms = now_ms();
    (void)curl_easy_pause(c->on->easy, CURLPAUSE_CONT); /* may fill the buffer, and pause again */
}
