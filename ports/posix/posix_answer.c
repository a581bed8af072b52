/*
 * posix_answer.c - see posix_answer.h.
 */
#include <string.h>
#include <strings.h>

#include "posix_answer.h"

/* ---- Lines --------------------------------------------------------------------------------------------------- */

/* Digits at *p, moved past them; false: there are none, or they do not fit. */
static bool number(const char **p, uint64_t *v)
{
    const char *start = *p;
    *v = 0;
    for (; **p >= '0' && **p <= '9'; (*p)++) {
        if (*v > (UINT64_MAX - 9) / 10) {
            return false;
        }
        *v = *v * 10 + (uint64_t)(**p - '0');
    }
    return *p > start;
}

static bool literal(const char **p, const char *text)
{
    size_t n = strlen(text);
    bool same = strncasecmp(*p, text, n) == 0;
    *p += same ? n : 0;
    return same;
}

static int read_length(struct gwp_answer *a, const char *value)
{
    bool again = a->has_length;
    a->has_length = true;
    return !again && number(&value, &a->length) && *value == '\0' ? GW_OK : GW_ERR_HTTP;
}

/* "bytes first-last/size", or "*" for a size that is not said. Of a 206 it must make sense; whether it fits: later. */
static int read_range(struct gwp_answer *a, const char *value)
{
    bool again = a->has_range;
    if (a->status != 206) {
        return GW_OK;
    }
    bool good = literal(&value, "bytes ") && number(&value, &a->first) && literal(&value, "-") &&
                number(&value, &a->last) && literal(&value, "/") && a->first <= a->last && a->last <= UINT32_MAX;
    bool unknown = good && literal(&value, "*");
    good = good && (unknown || (number(&value, &a->size) && a->last < a->size && a->size <= UINT32_MAX));
    a->has_range = true;
    return again || !good || *value != '\0' ? GW_ERR_HTTP : GW_OK;
}

static int read_etag(struct gwp_answer *a, const char *value)
{
    const char *quote = value;
    size_t n = strlen(value);
    if (a->etag[0] != '\0') {
        return GW_ERR_HTTP;
    }
    (void)literal(&quote, "W/");
    bool quoted = *quote == '"' && n >= 2 && value[n - 1] == '"' && value + n - 1 > quote;
    if (quoted && n <= GWP_ETAG_MAX && strspn(value, " \t") == 0) {
        memcpy(a->etag, value, n + 1);
    }
    return GW_OK;
}

static int read_location(struct gwp_answer *a, const char *value)
{
    size_t n = strlen(value);
    if (a->located) {
        return GW_ERR_HTTP;
    }
    a->located = true;
    if (n <= GWP_LOCATION_MAX) {
        memcpy(a->location, value, n + 1);
    }
    return GW_OK;
}

static int read_content_coding(struct gwp_answer *a, const char *value)
{
    a->coded = a->coded || (value[0] != '\0' && strcasecmp(value, "identity") != 0);
    return GW_OK;
}

static int read_transfer_coding(struct gwp_answer *a, const char *value)
{
    bool again = a->chunked;
    a->chunked = strcasecmp(value, "chunked") == 0;
    return !again && a->chunked ? GW_OK : GW_ERR_HTTP;
}

static const struct {
    const char *name;
    int (*read)(struct gwp_answer *a, const char *value);
} headers[] = {
    { "Content-Length", read_length },
    { "Content-Range", read_range },
    { "ETag", read_etag },
    { "Location", read_location },
    { "Content-Encoding", read_content_coding },
    { "Transfer-Encoding", read_transfer_coding },
};

static int read_status(struct gwp_answer *a, const char *line)
{
    const char *p = line;
    uint64_t status = 0;
    bool ok = strncmp(p, "HTTP/1.", 7) == 0 && (p[7] == '0' || p[7] == '1') && p[8] == ' ';
    p += ok ? 9 : 0;
    ok = ok && number(&p, &status) && status >= 100 && status <= 999 && (*p == ' ' || *p == '\0');
    a->status = (unsigned)status;
    return ok ? GW_OK : GW_ERR_HTTP;
}

static int read_header(struct gwp_answer *a, char *line)
{
    char *colon = strchr(line, ':');
    if (colon == NULL || colon == line || strcspn(line, " \t") < (size_t)(colon - line)) {
        return GW_ERR_HTTP; /* also a folded line */
    }
    *colon = '\0';
    char *value = colon + 1 + strspn(colon + 1, " \t");
    size_t n = strlen(value);
    while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t')) {
        value[--n] = '\0';
    }
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        if (strcasecmp(line, headers[i].name) == 0) {
            return headers[i].read(a, value);
        }
    }
    return GW_OK;
}

static int end_head(struct gwp_answer *a)
{
    uint32_t bytes = a->bytes;
    if (a->status == 101 || (a->has_length && a->chunked)) {
        return GW_ERR_HTTP;
    }
    a->complete = a->status >= 200;
    if (!a->complete) { /* 1xx: the answer is still to come */
        memset(a, 0, sizeof *a);
        a->bytes = bytes;
    }
    return GW_OK;
}

int gwp_answer_line(struct gwp_answer *a, const char *line, size_t n)
{
    char text[GWP_HEAD_MAX + 1];
    if (n > GWP_HEAD_MAX - a->bytes) {
        return GW_ERR_HTTP;
    }
    a->bytes += (uint32_t)n;
    if (n < 2 || line[n - 2] != '\r' || line[n - 1] != '\n' || memchr(line, '\0', n) != NULL) {
        return GW_ERR_HTTP;
    }
    memcpy(text, line, n - 2);
    text[n - 2] = '\0';
    if (strpbrk(text, "\r\n") != NULL) {
        return GW_ERR_HTTP;
    }
    if (a->complete) {
        return GW_OK;
    }
    return a->status == 0 ? read_status(a, text) : n == 2 ? end_head(a) : read_header(a, text);
}

/* ---- What it means -------------------------------------------------------------------------------------------- */

static bool is_redirect(unsigned status)
{
    return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

static int judge_offer(const struct gwp_answer *a, const struct gw_request *r, bool conditional)
{
    if (a->status == 204 || (a->status == 304 && conditional)) {
        return GW_ERR_NOTHING;
    }
    if (a->status != 200) {
        return GW_ERR_HTTP_STATUS;
    }
    if (a->coded) {
        return GW_ERR_HTTP;
    }
    return a->has_length && a->length > gwp_answer_room(a, r) ? GW_ERR_LIMIT : GW_OK;
}

static int judge_payload(const struct gwp_answer *a, const struct gw_request *r, const char *etag)
{
    if (is_redirect(a->status)) {
        return GWP_REDIRECTED;
    }
    if (a->status == 200 || a->status == 416) {
        return GW_ERR_RANGE;
    }
    if (a->status != 206) {
        return GW_ERR_HTTP_STATUS;
    }
    if (a->coded) {
        return GW_ERR_HTTP;
    }
    uint64_t last = (uint64_t)r->offset + r->longest - 1;
    bool fits = a->has_range && a->first == r->offset && a->last >= a->first && a->last <= last &&
                a->size == r->size && a->last < a->size;
    if (!fits || (etag != NULL && strcmp(etag, a->etag) != 0)) {
        return GW_ERR_RANGE;
    }
    return a->has_length && a->length != a->last - a->first + 1 ? GW_ERR_HTTP : GW_OK;
}

int gwp_answer_judge(const struct gwp_answer *a, const struct gw_request *request, bool conditional, const char *etag)
{
    return request->resource == GW_RESOURCE_OFFER ? judge_offer(a, request, conditional)
                                                  : judge_payload(a, request, etag);
}

int gwp_answer_judge_report(const struct gwp_answer *a)
{
    bool later = a->status == 408 || a->status == 425 || a->status == 429;
    return a->status >= 200 && a->status <= 299            ? GW_OK
           : a->status >= 400 && a->status <= 499 && !later ? GW_ERR_VALUE
                                                            : GW_ERR_HTTP_STATUS;
}

uint32_t gwp_answer_room(const struct gwp_answer *a, const struct gw_request *request)
{
    if (request->resource == GW_RESOURCE_PAYLOAD) {
        return (uint32_t)(a->last - a->first + 1);
    }
    return request->longest < GWP_OFFER_MAX ? request->longest : GWP_OFFER_MAX;
}
