/*
 * fetch.c - the agent's transport over HTTPS; see fetch.h.
 *
 * A request goes through phases: choose where it goes, connect, send and read the head, judge it, hand out the body.
 * Every address is derived anew from the request in each call, so that nothing of the caller's is kept; a redirect is
 * checked again whenever it is used. What went wrong drops the connection: only whole answers leave it usable.
 */
#include "fetch.h"

#include <string.h>

#include "cbor.h"
#include "fields.h"

enum fetch_phase {
    CLOSED = 0, /* no request */
    CHOOSE,     /* a connection: the one that is kept, or a new one */
    CONNECT,
    HEAD,
    BODY,
    FAILED,
};

#define REPORT 3u         /* beside enum gw_resource */
#define OFFER_MAX 8192u   /* bytes of an offer, whatever the caller has room for */
#define PATH_MAX 128u     /* of offer_path and report_path */
#define HEX_SIZE (2 * GW_DIGEST_SIZE)
#define TEXT(s) ((struct gw_span){ (const uint8_t *)(s), sizeof(s) - 1 })

/* What is asked for: the caller's views, in this call. */
struct job {
    const struct gw_request *request; /* NULL: a report */
    struct gw_span body;
};

/* Where it is. */
struct place {
    struct gwc_url url;
    struct gw_span path[3];
    uint8_t hex[HEX_SIZE];
};

/* The text, or more than `most` bytes of it. */
static struct gw_span text_of(const char *s, size_t most)
{
    struct gw_span text = { (const uint8_t *)s, 0 };

    while (text.n <= most && s[text.n] != 0) {
        text.n++;
    }
    return text;
}

static void drop(struct gwc_fetch *f)
{
    const struct gwc_stream *s = &f->config->secure->stream;

    s->close(s->ctx);
    f->connected = false;
}

static int fail(struct gwc_fetch *f, int error)
{
    drop(f);
    f->moved = false; /* the next try starts at the base */
    if (error == GW_ERR_RANGE) {
        f->ranged = false;
    }
    f->phase = FAILED;
    return error;
}

/* GW_ERR_AGAIN while there is patience left: counted from the first call in vain, so that a caller may take a rest. */
static int patience(struct gwc_fetch *f)
{
    uint32_t now = f->config->now_ms(f->config->ctx);
    uint32_t most = f->config->timeout_ms != 0 ? f->config->timeout_ms : GWC_FETCH_TIMEOUT_MS;

    if (!f->waiting || f->bytes != f->http.bytes) {
        f->waiting = true;
        f->bytes = f->http.bytes;
        f->since = now;
    }
    return now - f->since >= most ? fail(f, GW_ERR_TIMEOUT) : GW_ERR_AGAIN;
}

/* ---- Where to --------------------------------------------------------------------------------------------------- */

static void put_hex(uint8_t hex[HEX_SIZE], const uint8_t digest[GW_DIGEST_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < GW_DIGEST_SIZE; i++) {
        hex[2 * i] = (uint8_t)digits[digest[i] >> 4];
        hex[2 * i + 1] = (uint8_t)digits[digest[i] & 15];
    }
}

static bool is_own(const struct gwc_fetch *f, const struct gwc_url *url)
{
    return gwc_host_equal(url->host, f->server.host) && url->port == f->server.port;
}

static bool may_ask(const struct gwc_fetch *f, const struct gwc_url *url)
{
    const struct gw_trust trust = { .hosts = { f->hosts, f->hosts_n } };

    return gwc_host_equal(url->host, f->server.host) || gwc_host_listed(&trust, url->host);
}

/* The target of the last redirect; "the same host" is the one that we are connected with. */
static int place_target(const struct gwc_fetch *f, struct place *p)
{
    const struct gwc_url here = { .host = { f->host, f->host_n }, .port = f->port };
    int error = gwc_url_target(&p->url, &here, (struct gw_span){ f->target, f->target_n });

    p->path[0] = p->url.path;
    p->path[1] = p->url.path.n == 0 || p->url.path.p[0] != '/' ? TEXT("/") : TEXT("");
    return error == GW_OK && may_ask(f, &p->url) ? GW_OK : GW_ERR_REDIRECT;
}

static int place_payload(const struct gwc_fetch *f, const struct gw_request *r, struct place *p)
{
    bool named = r->base.n > 0;

    if (named && (gwc_url_parse(&p->url, r->base) != GW_OK || !may_ask(f, &p->url))) {
        return GW_ERR_REDIRECT;
    }
    put_hex(p->hex, r->digest);
    p->path[0] = p->url.path;
    p->path[1] = named ? TEXT("/") : TEXT("/payloads/");
    p->path[2] = (struct gw_span){ p->hex, sizeof p->hex };
    return GW_OK;
}

static int find_place(const struct gwc_fetch *f, const struct job *job, struct place *p)
{
    int error = GW_OK;

    if (f->moved && f->resource == GW_RESOURCE_PAYLOAD) {
        return place_target(f, p);
    }
    if (f->resource == GW_RESOURCE_PAYLOAD) {
        error = place_payload(f, job->request, p);
    } else {
        p->path[0] = p->url.path;
        p->path[1] = TEXT("/");
        p->path[2] = text_of(f->resource == REPORT ? f->config->report_path : f->config->offer_path, PATH_MAX);
    }
    if (p->path[0].n > 0 && p->path[0].p[p->path[0].n - 1] == '/') {
        p->path[0].n--;
    }
    return error;
}

/* ---- Connection ------------------------------------------------------------------------------------------------- */

static bool is_anonymous(const struct job *job)
{
    return job->request != NULL && job->request->anonymous;
}

static void begin_http(struct gwc_fetch *f, bool reused)
{
    f->reused = reused;
    f->waiting = false;
    f->phase = HEAD;
    gwc_http_start(&f->http);
}

static void choose(struct gwc_fetch *f, const struct job *job, const struct place *p)
{
    const struct gwc_secure *s = f->config->secure;
    struct gw_span host = { f->host, f->host_n };

    if (f->connected && f->anonymous == is_anonymous(job) && f->port == p->url.port &&
        gwc_host_equal(host, p->url.host)) {
        begin_http(f, true);
        return;
    }
    drop(f);
    f->anonymous = is_anonymous(job);
    s->peer(s->stream.ctx, f->anonymous ? GWC_PEER_ANYBODY : is_own(f, &p->url) ? GWC_PEER_OWN : GWC_PEER_OTHER);
    memmove(f->host, p->url.host.p, p->url.host.n); /* may be where it is already: "the same host" */
    f->host_n = (uint8_t)p->url.host.n;
    f->port = p->url.port;
    f->waiting = false;
    f->phase = CONNECT;
}

static int step_connect(struct gwc_fetch *f)
{
    const struct gwc_stream *s = &f->config->secure->stream;
    int error = s->connect(s->ctx, (struct gw_span){ f->host, f->host_n }, f->port);

    if (error == GW_OK) {
        f->connected = true;
        begin_http(f, false);
    }
    return error;
}

/* ---- What came -------------------------------------------------------------------------------------------------- */

static void keep_etag(struct gwc_etag *etag, const struct gwc_http_answer *a)
{
    etag->n = a->etag_n;
    memcpy(etag->text, a->etag, sizeof etag->text);
}

static bool same_etag(const struct gwc_etag *etag, const struct gwc_http_answer *a)
{
    return etag->n == a->etag_n && memcmp(etag->text, a->etag, etag->n) == 0;
}

static bool is_redirect(uint16_t status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* A payload is elsewhere: goes there, if it may. */
static int follow(struct gwc_fetch *f)
{
    struct place p;

    f->target_n = f->http.location_n;
    memset(&p, 0, sizeof p);
    if (++f->redirects > GWC_REDIRECTS_MAX || f->target_n == 0 || place_target(f, &p) != GW_OK) {
        return GW_ERR_REDIRECT;
    }
    f->moved = true;
    if (!gwc_http_reusable(&f->http)) {
        drop(f);
    }
    f->phase = CHOOSE;
    return GW_OK;
}

static uint32_t last_of(const struct gw_request *r)
{
    uint32_t left = r->size - r->offset;

    return r->offset + (r->longest < left ? r->longest : left) - 1;
}

static int judge_range(struct gwc_fetch *f, const struct gw_request *r)
{
    const struct gwc_http_answer *a = &f->http.answer;

    if (is_redirect(a->status)) {
        return follow(f);
    }
    if (a->status == 200 || a->status == 416) {
        return GW_ERR_RANGE;
    }
    if (a->status != 206) {
        return GW_ERR_HTTP_STATUS;
    }
    if (!a->has_range || a->range_first != r->offset || a->range_last > last_of(r) || a->range_size != r->size ||
        (f->ranged && !same_etag(&f->payload_etag, a))) {
        return GW_ERR_RANGE;
    }
    f->left = a->range_last - a->range_first + 1;
    if (a->has_length && a->length != f->left) {
        return GW_ERR_HTTP;
    }
    keep_etag(&f->payload_etag, a);
    f->ranged = true;
    f->moved = f->moved && !a->located && f->target[0] != '/'; /* else there is nothing to go to again */
    f->phase = BODY;
    return GW_OK;
}

static int judge_offer(struct gwc_fetch *f, const struct gw_request *r)
{
    const struct gwc_http_answer *a = &f->http.answer;

    f->nothing = a->status == 204 || (a->status == 304 && f->conditional);
    if (a->status != 200 && !f->nothing) {
        return GW_ERR_HTTP_STATUS;
    }
    f->left = r->longest < OFFER_MAX ? r->longest : OFFER_MAX;
    if (!f->nothing && a->has_length && a->length > f->left) {
        return GW_ERR_LIMIT;
    }
    if (a->status != 304) {
        f->offer_etag.n = 0; /* until it is read */
    }
    f->phase = BODY;
    return GW_OK;
}

/* The status is all that is of interest. */
static int judge_report(struct gwc_fetch *f)
{
    uint16_t status = f->http.answer.status;

    f->phase = BODY;
    if (status >= 200 && status < 300) {
        return GW_OK;
    }
    bool never = status >= 400 && status < 500 && status != 408 && status != 425 && status != 429;
    return never ? GW_ERR_VALUE : GW_ERR_HTTP_STATUS;
}

static int judge(struct gwc_fetch *f, const struct job *job)
{
    if (f->resource == REPORT) {
        return judge_report(f);
    }
    return f->resource == GW_RESOURCE_OFFER ? judge_offer(f, job->request) : judge_range(f, job->request);
}

static int step_head(struct gwc_fetch *f, const struct job *job, const struct place *p)
{
    struct gwc_http_request q = { .host = p->url.host, .port = p->url.port, .body = job->body };

    memcpy(q.path, p->path, sizeof q.path);
    if (f->resource == GW_RESOURCE_PAYLOAD) {
        q.ranged = true;
        q.first = job->request->offset;
        q.last = last_of(job->request);
    } else if (f->conditional) {
        q.etag = (struct gw_span){ f->offer_etag.text, f->offer_etag.n };
    }
    int error = gwc_http_head(&f->http, &q);
    if (error == GW_ERR_TRANSPORT && f->reused && !f->retried && f->resource != REPORT && gwc_http_silent(&f->http)) {
        f->retried = true;
        drop(f);
        f->phase = CHOOSE;
        return GW_OK;
    }
    return error == GW_OK ? judge(f, job) : error;
}

/* Until the head was judged. */
static int run(struct gwc_fetch *f, const struct job *job)
{
    int error = GW_OK;

    while (error == GW_OK && f->phase < BODY) {
        struct place p = { .url = f->server };
        if (f->phase == CHOOSE || (f->phase == HEAD && !gwc_http_sent(&f->http))) {
            error = find_place(f, job, &p); /* not later: the next redirect may be coming in where this one lies */
        }
        if (error != GW_OK) {
            break;
        }
        switch (f->phase) {
        case CHOOSE: choose(f, job, &p); break;
        case CONNECT: error = step_connect(f); break;
        default: error = step_head(f, job, &p); break;
        }
    }
    return error == GW_ERR_AGAIN ? patience(f) : error;
}

static void begin(struct gwc_fetch *f, uint8_t resource)
{
    f->resource = resource;
    f->redirects = 0;
    f->retried = f->nothing = f->conditional = false;
    f->left = 0;
    f->phase = CHOOSE;
}

/* ---- The transport ---------------------------------------------------------------------------------------------- */

static int fetch_trust(void *ctx, const struct gw_transport_trust *t)
{
    static const struct gw_span none = { NULL, 0 };
    struct gwc_fetch *f = ctx;
    const struct gwc_secure *s = f->config->secure;
    struct gw_span hosts = t->trust != NULL ? t->trust->hosts : none;
    uint8_t pins[GWC_PINS_MAX][GW_DIGEST_SIZE];
    struct gwc_trusted trusted;

    if (f->phase != CLOSED) {
        return GW_ERR_STATE;
    }
    drop(f);
    f->moved = false;
    f->hosts_n = 0;
    if (hosts.n > sizeof f->hosts) {
        return GW_ERR_LIMIT;
    }
    int error = gwc_trusted_from(&trusted, pins, t);
    if (error != GW_OK) {
        return error;
    }
    if (hosts.n > 0) {
        memcpy(f->hosts, hosts.p, hosts.n);
    }
    f->hosts_n = (uint16_t)hosts.n;
    return s->trust(s->stream.ctx, &trusted);
}

static int fetch_open(void *ctx, const struct gw_request *r)
{
    struct gwc_fetch *f = ctx;
    const struct job job = { .request = r };

    if (f->phase == CLOSED) {
        bool payload = r->resource == GW_RESOURCE_PAYLOAD;
        if (r->longest == 0 || (payload && r->offset >= r->size) || (!payload && r->resource != GW_RESOURCE_OFFER)) {
            f->phase = FAILED;
            return GW_ERR_RANGE;
        }
        begin(f, (uint8_t)r->resource);
        f->conditional = !payload && r->unchanged_ok && f->offer_etag.n > 0;
        if (payload && memcmp(f->payload, r->digest, sizeof f->payload) != 0) {
            memcpy(f->payload, r->digest, sizeof f->payload);
            f->ranged = f->moved = false;
        }
    }
    if (f->resource == REPORT || f->phase == BODY || f->phase == FAILED) {
        return GW_ERR_STATE;
    }
    int error = run(f, &job);
    return error != GW_OK && error != GW_ERR_AGAIN ? fail(f, error) : error;
}

/* Nothing of use is left of the body: does the answer end here too? A body without a length ends where we stop. */
static int end_of_body(struct gwc_fetch *f)
{
    const struct gwc_http_answer *a = &f->http.answer;
    uint8_t more;
    size_t n;

    if (f->resource == GW_RESOURCE_PAYLOAD && !a->has_length && !a->chunked) {
        return GW_OK;
    }
    int error = gwc_http_read(&f->http, &more, 1, &n);
    bool more_came = error == GW_OK && n > 0;
    return !more_came ? error : f->resource == GW_RESOURCE_PAYLOAD ? GW_ERR_HTTP : GW_ERR_LIMIT;
}

static int read_body(struct gwc_fetch *f, uint8_t *data, size_t size, size_t *n)
{
    if (f->left == 0) {
        return end_of_body(f);
    }
    int error = gwc_http_read(&f->http, data, size < f->left ? size : f->left, n);
    if (error == GW_OK && *n == 0 && f->resource == GW_RESOURCE_PAYLOAD) {
        error = GW_ERR_TRANSPORT; /* chunked, and shorter than its Content-Range */
    }
    f->left -= (uint32_t)*n;
    return error;
}

static int fetch_read(void *ctx, uint8_t *data, size_t size, size_t *n)
{
    struct gwc_fetch *f = ctx;

    *n = 0;
    if (f->phase != BODY || f->resource == REPORT || size == 0) {
        return GW_ERR_STATE;
    }
    if (f->nothing) {
        return GW_ERR_NOTHING;
    }
    int error = read_body(f, data, size, n);
    if (error == GW_ERR_AGAIN) {
        return patience(f);
    }
    f->waiting = false;
    if (error == GW_OK && *n == 0 && f->resource == GW_RESOURCE_OFFER) {
        keep_etag(&f->offer_etag, &f->http.answer);
    }
    return error == GW_OK ? GW_OK : fail(f, error);
}

static void fetch_close(void *ctx)
{
    struct gwc_fetch *f = ctx;

    if (f->phase == BODY && f->left == 0 && !f->nothing) {
        (void)end_of_body(f); /* the end of the last chunk, if it is here */
    }
    if (f->phase != CLOSED && !(f->phase == BODY && gwc_http_reusable(&f->http))) {
        drop(f);
    }
    f->phase = CLOSED;
}

static int fetch_report(void *ctx, const uint8_t *bytes, size_t n)
{
    struct gwc_fetch *f = ctx;
    const struct job job = { .body = { bytes, n } };

    if (n == 0) {
        return GW_ERR_VALUE;
    }
    if (f->phase == CLOSED) {
        begin(f, REPORT);
    }
    if (f->resource != REPORT) {
        return GW_ERR_STATE;
    }
    int error = run(f, &job);
    if (error != GW_ERR_AGAIN) {
        fetch_close(f);
    }
    return error;
}

static bool is_path(const char *path)
{
    size_t n = path == NULL ? 0 : text_of(path, PATH_MAX).n;

    return n > 0 && n <= PATH_MAX && path[0] != '/';
}

int gwc_fetch_init(struct gwc_fetch *f, const struct gwc_fetch_config *config, struct gw_transport *t)
{
    const struct gwc_secure *s = config->secure;

    memset(f, 0, sizeof *f);
    f->config = config;
    if (s == NULL || s->stream.connect == NULL || s->stream.send == NULL || s->stream.recv == NULL ||
        s->stream.close == NULL || s->trust == NULL || s->peer == NULL || config->server == NULL ||
        config->now_ms == NULL || config->offer_path == NULL) {
        return GW_ERR_CONFIG;
    }
    int error = gwc_url_parse(&f->server, text_of(config->server, GWC_URL_MAX));
    if (error == GW_OK && (!is_path(config->offer_path) ||
                           (config->report_path != NULL && !is_path(config->report_path)))) {
        error = GW_ERR_VALUE;
    }
    gwc_http_init(&f->http, &s->stream, f->target, sizeof f->target);
    *t = (struct gw_transport){ f, fetch_trust, fetch_open, fetch_read, fetch_close,
                                config->report_path != NULL ? fetch_report : NULL };
    return error;
}

void gwc_fetch_end(struct gwc_fetch *f)
{
    drop(f);
    f->phase = CLOSED;
}
