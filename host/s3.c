/*
 * s3.c - see s3.h.
 *
 * Rules that libcurl's SigV4 sets (7.88): x-amz-content-sha256 is sent by us, the query is sorted by us, and no header
 * is ever removed. Failures of the way and of the server (500, 502, 503, 504, 429) are tried again with growing
 * pauses, about eleven seconds in all; answers that will not change are not.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "file.h"
#include "keys.h"
#include "s3.h"

#define ERROR_MAX 16384u /* of an error's XML */
#define STALL_S 60L
#define CONNECT_S 20L
#define PAUSE_MS 200u    /* the first; doubled each time */
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* ---- Where, and as whom ------------------------------------------------------------------------------------------ */

static bool only(const char *text, const char *more)
{
    for (; *text != '\0'; text++) {
        bool plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || (*text >= '0' && *text <= '9');
        if (!plain && strchr(more, *text) == NULL) {
            return false;
        }
    }
    return true;
}

static int bad_name(const char *where, struct gwh_error *err)
{
    (void)gwh_fail(err, GWH_USAGE, "%.200s: expected s3://bucket or s3://bucket/prefix", where);
    return gwh_hint(err, "letters, digits, '.', '_' and '-'; a prefix may have slashes, but none at its start");
}

static int take_name(struct gwh_s3 *s3, const char *where, struct gwh_error *err)
{
    if (strncmp(where, "s3://", 5) != 0) {
        return bad_name(where, err);
    }
    const char *bucket = where + 5, *slash = strchr(bucket, '/');
    size_t n = slash != NULL ? (size_t)(slash - bucket) : strlen(bucket);
    const char *prefix = slash != NULL ? slash + 1 : "";
    size_t m = strlen(prefix);
    while (m > 0 && prefix[m - 1] == '/') {
        m--;
    }
    if (n < 3 || n >= sizeof s3->bucket || m + 2 > sizeof s3->prefix) {
        return bad_name(where, err);
    }
    memcpy(s3->bucket, bucket, n);
    memcpy(s3->prefix, prefix, m);
    if (m > 0) {
        s3->prefix[m] = '/';
    }
    bool dots = s3->bucket[0] == '.' || strstr(s3->prefix, "./") != NULL; /* "." and "..", and what is like them */
    if (dots || !only(s3->bucket, ".-_") || !only(s3->prefix, ".-_/") || s3->prefix[0] == '/' ||
        strstr(s3->prefix, "//") != NULL) {
        return bad_name(where, err);
    }
    return GWH_OK;
}

static bool is_loopback(const char *host)
{
    unsigned b, c, d;
    char rest;
    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           sscanf(host, "127.%3u.%3u.%3u%c", &b, &c, &d, &rest) == 3;
}

/* Scheme, host and port of a URL that has no more than that. `scheme` and `host` belong to the caller: curl_free(). */
static int url_parts(const char *text, char **scheme, char **host, char **port)
{
    char *more = NULL, *path = NULL;
    CURLU *url = curl_url();
    int e = url == NULL || curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK ||
            curl_url_get(url, CURLUPART_SCHEME, scheme, 0) != CURLUE_OK ||
            curl_url_get(url, CURLUPART_HOST, host, 0) != CURLUE_OK ||
            curl_url_get(url, CURLUPART_PORT, port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
            curl_url_get(url, CURLUPART_PATH, &path, 0) != CURLUE_OK || strcmp(path, "/") != 0;
    static const CURLUPart none[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT};
    for (size_t i = 0; e == 0 && i < sizeof none / sizeof *none; i++) {
        e = curl_url_get(url, none[i], &more, 0) == CURLUE_OK;
        curl_free(more);
        more = NULL;
    }
    curl_free(path);
    curl_url_cleanup(url);
    return e ? -1 : 0;
}

/*
 * The bucket is named by the path, or by the host (virtual-host style), never by both: the keys would be others. A host
 * "BUCKET.s3..." names it; a host of its own that begins with the bucket's name does not, but if that is said.
 */
static int take_base(struct gwh_s3 *s3, const char *scheme, const char *host, const char *port, struct gwh_error *err)
{
    const char *style = getenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST");
    size_t n = strlen(s3->bucket);
    bool said = style != NULL && strcasecmp(style, "true") == 0;
    bool begins = strncasecmp(host, s3->bucket, n) == 0 && host[n] == '.';
    bool s3_follows = begins && strncasecmp(host + n + 1, "s3", 2) == 0 && strchr(".-", host[n + 3]) != NULL;
    bool named = begins && (said || s3_follows);
    if (said && !begins) {
        (void)gwh_fail(err, GWH_USAGE, "AWS_VIRTUAL_HOSTED_STYLE_REQUEST is true, and the host of AWS_ENDPOINT_URL "
                                       "does not begin with \"%s.\"", s3->bucket);
        return gwh_hint(err, "put the bucket in front of the host, or unset AWS_VIRTUAL_HOSTED_STYLE_REQUEST");
    }
    (void)snprintf(s3->base, sizeof s3->base, "%s://%s:%s%s%s", scheme, host, port, named ? "" : "/",
                   named ? "" : s3->bucket);
    return GWH_OK;
}

static int take_endpoint(struct gwh_s3 *s3, const char *region, struct gwh_error *err)
{
    char *scheme = NULL, *host = NULL, *port = NULL, common[128];
    const char *text = getenv("AWS_ENDPOINT_URL");
    (void)snprintf(common, sizeof common, "https://s3.%s.amazonaws.com", region);
    text = text != NULL && *text != '\0' ? text : common;
    int e = GWH_OK;
    if (url_parts(text, &scheme, &host, &port) != 0 || strlen(host) > 255) {
        /* The text is not shown: it might hold a password. */
        e = gwh_fail(err, GWH_USAGE, "AWS_ENDPOINT_URL is not https://HOST or https://HOST:PORT");
    } else if (strcmp(scheme, "https") != 0 && (strcmp(scheme, "http") != 0 || !is_loopback(host))) {
        (void)gwh_fail(err, GWH_USAGE, "AWS_ENDPOINT_URL: %.60s://%.200s is not taken", scheme, host);
        e = gwh_hint(err, "use https (http only to 127.0.0.1, ::1 or localhost)");
    } else {
        e = take_base(s3, scheme, host, port, err);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    return e;
}

static const char *credential(const char *name, struct gwh_error *err)
{
    const char *value = getenv(name);
    if (value == NULL || *value == '\0') {
        (void)gwh_fail(err, GWH_USAGE, "%s is not set", name);
        (void)gwh_hint(err, "export AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, but for AWS itself, "
                            "AWS_ENDPOINT_URL");
        return NULL;
    }
    return value;
}

static int set_up(struct gwh_s3 *s3, struct gwh_error *err)
{
    const char *id = credential("AWS_ACCESS_KEY_ID", err), *secret = credential("AWS_SECRET_ACCESS_KEY", err);
    const char *ca = getenv("AWS_CA_BUNDLE");
    bool plain = strncmp(s3->base, "http:", 5) == 0;
    if (id == NULL || secret == NULL) {
        return err->exit;
    }
    CURL *c = s3->curl = curl_easy_init();
    bool good = c != NULL && curl_easy_setopt(c, CURLOPT_AWS_SIGV4, s3->sigv4) == CURLE_OK &&
                curl_easy_setopt(c, CURLOPT_USERNAME, id) == CURLE_OK &&
                curl_easy_setopt(c, CURLOPT_PASSWORD, secret) == CURLE_OK &&
                curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, plain ? "http" : "https") == CURLE_OK &&
                curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
                curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
                curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_S) == CURLE_OK &&
                curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
                curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, STALL_S) == CURLE_OK &&
                (!plain || curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK) &&
                (ca == NULL || *ca == '\0' || curl_easy_setopt(c, CURLOPT_CAINFO, ca) == CURLE_OK);
    return good ? GWH_OK : gwh_fail(err, GWH_IO, "libcurl cannot sign requests to S3 here; it has to be 7.87 or newer");
}

int gwh_s3_open(struct gwh_s3 *s3, const char *where, struct gwh_error *err)
{
    const char *region = getenv("AWS_REGION");
    memset(s3, 0, sizeof *s3);
    region = region != NULL && *region != '\0' ? region : getenv("AWS_DEFAULT_REGION");
    region = region != NULL && *region != '\0' ? region : "us-east-1";
    int e = take_name(s3, where, err);
    if (e == GWH_OK && (strlen(region) > 40 || !only(region, "-_"))) {
        e = gwh_fail(err, GWH_USAGE, "AWS_REGION is no region");
    }
    e = e == GWH_OK ? take_endpoint(s3, region, err) : e;
    (void)snprintf(s3->sigv4, sizeof s3->sigv4, "aws:amz:%.40s:s3", region);
    if (e == GWH_OK && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        e = gwh_fail(err, GWH_IO, "libcurl does not start");
    }
    return e == GWH_OK ? set_up(s3, err) : e;
}

void gwh_s3_close(struct gwh_s3 *s3)
{
    if (s3->curl != NULL) {
        curl_easy_cleanup(s3->curl);
        curl_global_cleanup();
    }
    memset(s3, 0, sizeof *s3);
}

/* ---- One try ----------------------------------------------------------------------------------------------------- */

struct transfer {
    struct gwh_s3 *s3;
    const struct gwh_s3_request *q;
    struct gwh_s3_answer *a;
    struct gwh_source source;
    struct gwh_error *err; /* of reading the file, memory, and answers too long */
};

static size_t take_body(char *p, size_t one, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    long status = 0;
    (void)curl_easy_getinfo(t->s3->curl, CURLINFO_RESPONSE_CODE, &status);
    size_t max = status >= 200 && status < 300 ? t->q->max : ERROR_MAX;
    if (t->a->body.n + one * n > max) {
        (void)gwh_fail_reason(t->err, GW_ERR_LIMIT, "%s is larger than %zu bytes",
                              t->q->name != NULL ? t->q->name : "an answer", max);
        return 0;
    }
    if (gwh_buf_add(&t->a->body, p, one * n) != GW_OK) {
        (void)gwh_fail_reason(t->err, GW_ERR_SPACE, "an answer of the service");
        return 0;
    }
    return one * n;
}

static size_t give_body(char *p, size_t one, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    size_t got;
    int e = gwh_source_read(&t->source, (uint8_t *)p, one * n, &got, t->err);
    return e == GWH_OK ? got : CURL_READFUNC_ABORT;
}

static int rewind_body(void *ctx, curl_off_t to, int origin)
{
    struct transfer *t = ctx;
    bool start = to == 0 && origin == SEEK_SET;
    return start && gwh_source_rewind(&t->source, t->err) == GWH_OK ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_CANTSEEK;
}

static bool add_header(struct curl_slist **list, const char *format, ...) GWH_PRINTF(2, 3);
static bool add_header(struct curl_slist **list, const char *format, ...)
{
    char text[2200];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct curl_slist *grown = n > 0 && (size_t)n < sizeof text ? curl_slist_append(*list, text) : NULL;
    gw_wipe(text, sizeof text);
    *list = grown != NULL ? grown : *list;
    return grown != NULL;
}

static struct curl_slist *headers(const struct gwh_item *item)
{
    struct curl_slist *list = NULL;
    const char *token = getenv("AWS_SESSION_TOKEN");
    char digest[65];
    bool good = true;
    if (item != NULL) {
        gwh_hex(digest, item->digest, 32);
        good = add_header(&list, "x-amz-content-sha256: %s", digest) &&
               add_header(&list, "x-amz-meta-sha256: %s", digest) &&
               add_header(&list, "Content-Type: %s", item->type) &&
               add_header(&list, "Cache-Control: %s",
                          item->immutable ? "public, max-age=31536000, immutable" : "no-cache");
    } else {
        good = add_header(&list, "x-amz-content-sha256: " EMPTY_SHA256);
    }
    if (good && token != NULL && *token != '\0') {
        good = add_header(&list, "x-amz-security-token: %s", token);
    }
    if (!good) {
        curl_slist_free_all(list);
        return NULL;
    }
    return list;
}

static bool prepare(struct transfer *t, const char *url, struct curl_slist *list)
{
    CURL *c = t->s3->curl;
    bool put = t->q->item != NULL, head = strcmp(t->q->method, "HEAD") == 0;
    return list != NULL && curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_HTTPHEADER, list) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOBODY, (long)head) == CURLE_OK &&
           (head || curl_easy_setopt(c, CURLOPT_UPLOAD, (long)put) == CURLE_OK) &&
           (head || put || curl_easy_setopt(c, CURLOPT_HTTPGET, 1L) == CURLE_OK) &&
           curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, put ? (curl_off_t)t->q->item->size : (curl_off_t)-1) ==
               CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_READFUNCTION, give_body) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_READDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, rewind_body) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_SEEKDATA, t) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEDATA, t) == CURLE_OK;
}

static void note_head(struct transfer *t)
{
    struct curl_header *h;
    curl_off_t size = 0;
    (void)curl_easy_getinfo(t->s3->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
    t->a->size = size > 0 ? (uint64_t)size : 0;
    if (curl_easy_header(t->s3->curl, "x-amz-meta-sha256", 0, CURLH_HEADER, -1, &h) == CURLHE_OK &&
        strlen(h->value) < sizeof t->a->digest) {
        memcpy(t->a->digest, h->value, strlen(h->value) + 1);
    }
}

/* A certificate that is refused is told as one, whichever of its faults OpenSSL named last. */
static CURLcode perform(CURL *curl)
{
    long verdict = 0;
    CURLcode code = curl_easy_perform(curl);
    (void)curl_easy_getinfo(curl, CURLINFO_SSL_VERIFYRESULT, &verdict);
    return code == CURLE_SSL_CONNECT_ERROR && verdict != 0 ? CURLE_PEER_FAILED_VERIFICATION : code;
}

static CURLcode try_once(struct transfer *t, const char *url)
{
    CURLcode code = CURLE_ABORTED_BY_CALLBACK;
    t->a->status = 0;
    t->a->body.n = 0;
    if (t->q->item != NULL && gwh_source_open(&t->source, t->q->item, t->err) != GWH_OK) {
        gwh_source_close(&t->source);
        return code;
    }
    struct curl_slist *list = headers(t->q->item);
    if (prepare(t, url, list)) {
        code = perform(t->s3->curl);
        (void)curl_easy_getinfo(t->s3->curl, CURLINFO_RESPONSE_CODE, &t->a->status);
        if (code == CURLE_OK && strcmp(t->q->method, "HEAD") == 0) {
            note_head(t);
        }
    } else {
        (void)gwh_fail_reason(t->err, GW_ERR_SPACE, "a request to the service");
    }
    curl_slist_free_all(list);
    if (t->q->item != NULL) {
        gwh_source_close(&t->source);
    }
    return code;
}

/* ---- What went wrong --------------------------------------------------------------------------------------------- */

struct gw_span gwh_s3_element(struct gw_span xml, const char *name, size_t *at)
{
    char open[64], close[64];
    (void)snprintf(open, sizeof open, "<%s>", name);
    (void)snprintf(close, sizeof close, "</%s>", name);
    size_t n = strlen(open), m = strlen(close), start = 0;
    for (size_t i = *at; i + 1 <= xml.n; i++) {
        if (start == 0 && i + n <= xml.n && memcmp(xml.p + i, open, n) == 0) {
            start = i + n;
        }
        if (start != 0 && i >= start && i + m <= xml.n && memcmp(xml.p + i, close, m) == 0) {
            *at = i + m;
            return (struct gw_span){xml.p + start, i - start};
        }
    }
    return (struct gw_span){NULL, 0};
}

/* What the service says, for one line: printable characters only. */
static void quote(char *out, size_t size, struct gw_span text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n && n + 1 < size; i++) {
        out[n++] = text.p[i] >= 0x20 && text.p[i] < 0x7f ? (char)text.p[i] : '?';
    }
    out[n] = '\0';
}

static const char *advice(long status, const char *code)
{
    static const struct {
        const char *code, *text;
    } known[] = {
        {"SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID, or AWS_REGION is not "
                                  "that of the service"},
        {"InvalidAccessKeyId", "the service does not know AWS_ACCESS_KEY_ID; temporary credentials need their "
                               "AWS_SESSION_TOKEN as well"},
        {"InvalidToken", "AWS_SESSION_TOKEN does not belong to these credentials"},
        {"ExpiredToken", "AWS_SESSION_TOKEN has expired: get new credentials"},
        {"AccessDenied", "these credentials need GetObject, PutObject and ListBucket for this bucket"},
        {"NoSuchBucket", "make the bucket first, or mend the name"},
        {"RequestTimeTooSkewed", "set this machine's clock"},
        {"AuthorizationHeaderMalformed", "set AWS_REGION to the region of the bucket"},
        {"PermanentRedirect", "set AWS_ENDPOINT_URL and AWS_REGION to where the bucket is"},
        {"EntityTooLarge", "the service does not take a file of this size in one PUT"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(code, known[i].code) == 0) {
            return known[i].text;
        }
    }
    return status == 403   ? "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, and what they may do"
           : status >= 500 ? "the service has trouble; publish again later: what was put already is not put twice"
           : status / 100 == 3 ? "set AWS_ENDPOINT_URL and AWS_REGION to where the bucket is"
                               : NULL;
}

static int refused(const struct transfer *t, struct gwh_error *err)
{
    char code[48], message[200];
    size_t at = 0;
    struct gw_span xml = gwh_span(&t->a->body);
    quote(code, sizeof code, gwh_s3_element(xml, "Code", &at));
    at = 0;
    quote(message, sizeof message, gwh_s3_element(xml, "Message", &at));
    (void)gwh_fail(err, GWH_IO, "%s of s3://%s/%s%s: the service answers %ld%s%s%s%s", t->q->method, t->s3->bucket,
                   t->s3->prefix, t->q->name != NULL ? t->q->name : "", t->a->status, code[0] ? " " : "", code,
                   message[0] ? ": " : "", message);
    const char *hint = advice(t->a->status, code);
    return hint != NULL ? gwh_hint(err, "%s", hint) : err->exit;
}

static bool passes(CURLcode code, long status)
{
    static const CURLcode way[] = {CURLE_COULDNT_CONNECT,      CURLE_COULDNT_RESOLVE_HOST, CURLE_PARTIAL_FILE,
                                   CURLE_OPERATION_TIMEDOUT,   CURLE_GOT_NOTHING,          CURLE_SEND_ERROR,
                                   CURLE_RECV_ERROR,           CURLE_SEND_FAIL_REWIND,     CURLE_UPLOAD_FAILED,
                                   CURLE_COULDNT_RESOLVE_PROXY, CURLE_SSL_CONNECT_ERROR};
    for (size_t i = 0; i < sizeof way / sizeof *way; i++) {
        if (code == way[i]) {
            return true;
        }
    }
    return code == CURLE_OK && (status == 429 || status == 500 || (status >= 502 && status <= 504));
}

static int unreachable(const struct transfer *t, CURLcode code, struct gwh_error *err)
{
    (void)gwh_fail(err, GWH_IO, "%s of s3://%s/%s%s at %s: %s", t->q->method, t->s3->bucket, t->s3->prefix,
                   t->q->name != NULL ? t->q->name : "", t->s3->base, curl_easy_strerror(code));
    return code == CURLE_PEER_FAILED_VERIFICATION
               ? gwh_hint(err, "the service's certificate is not trusted here; AWS_CA_BUNDLE names a file with its CA")
               : gwh_hint(err, "check AWS_ENDPOINT_URL and the network; publish again: what was put is not put twice");
}

static void pause_before(unsigned again)
{
    const struct gw_crypto *c = gwh_openssl()->gw;
    uint8_t random = 128;
    (void)c->random(c->ctx, &random, 1);
    unsigned ms = (PAUSE_MS << (again - 1)) * (192u + random / 2u) / 256u; /* 75 to 125 per cent */
    const struct timespec t = {ms / 1000u, (long)(ms % 1000u) * 1000000L};
    (void)nanosleep(&t, NULL);
}

static bool bucket_is_missing(const struct gwh_s3_answer *a)
{
    size_t at = 0;
    struct gw_span code = gwh_s3_element(gwh_span(&a->body), "Code", &at);
    return code.n == 12 && memcmp(code.p, "NoSuchBucket", 12) == 0;
}

int gwh_s3_send(struct gwh_s3 *s3, const struct gwh_s3_request *q, struct gwh_s3_answer *a, struct gwh_error *err)
{
    struct transfer t = {.s3 = s3, .q = q, .a = a, .err = err};
    char url[sizeof s3->base + sizeof s3->prefix + GWH_S3_QUERY_MAX + 128];
    CURLcode code = CURLE_OK;
    memset(a, 0, sizeof *a);
    int n = snprintf(url, sizeof url, "%s%s%s%s%s%s", s3->base, q->name != NULL ? "/" : "",
                     q->name != NULL ? s3->prefix : "", q->name != NULL ? q->name : "", q->query != NULL ? "?" : "",
                     q->query != NULL ? q->query : "");
    if (n < 0 || (size_t)n >= sizeof url) {
        return gwh_fail_reason(err, GW_ERR_LIMIT, "the address of a request to s3://%s", s3->bucket);
    }
    for (unsigned i = 0; i < GWH_S3_TRIES && (i == 0 || passes(code, a->status)) && err->exit == GWH_OK; i++) {
        if (i > 0) {
            pause_before(i);
        }
        code = try_once(&t, url);
    }
    if (err->exit != GWH_OK) {
        return err->exit;
    }
    if (code != CURLE_OK) {
        return unreachable(&t, code, err);
    }
    bool found = a->status >= 200 && a->status < 300;
    return found || (a->status == 404 && q->may_miss && !bucket_is_missing(a)) ? GWH_OK : refused(&t, err);
}
