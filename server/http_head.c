/*
 * http_head.c - the head of a request, taken apart strictly. See http_head.h.
 *
 * One pass over lines that end with CR LF, cut in place. What it does not do: transfer codings (refused), obsolete line
 * folding (refused), more than one representation of the same request.
 */
#include <string.h>
#include <strings.h>

#include "http_head.h"

static const struct gws_refusal malformed = { 400, "malformed", "this is not a well-formed HTTP request" };
static const struct gws_refusal bad_path = { 400, "bad_path", "the path is not one that this server could have" };
static const struct gws_refusal bad_version = { 505, "version", "HTTP/1.1 is spoken here" };
static const struct gws_refusal bad_method = { 501, "method_unknown", "no such method" };
static const struct gws_refusal bad_coding = { 411, "length_required",
                                               "transfer codings are not taken: give a length" };
static const struct gws_refusal bad_length = { 400, "bad_length", "Content-Length must be one decimal number" };
static const struct gws_refusal bad_host = { 400, "bad_host", "there must be exactly one Host" };
static const struct gws_refusal bad_expect = { 417, "expectation", "only 100-continue can be expected" };
static const struct gws_refusal many_headers = { 431, "headers", "too many header fields" };

long gws_head_end(const char *bytes, size_t n, size_t *scanned)
{
    for (size_t i = *scanned; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '\n' && (i == 0 || bytes[i - 1] != '\r'))
            return -1;
        if (c != '\n' && i > 0 && bytes[i - 1] == '\r')
            return -1;
        if ((c < ' ' && c != '\n' && c != '\r' && c != '\t') || c >= 0x7f)
            return -1;
        if (c == '\n' && i == 1)
            return -1; /* an empty line before the request */
        if (c == '\n' && i >= 3 && bytes[i - 2] == '\n') {
            *scanned = 0;
            return (long)i + 1;
        }
    }
    *scanned = n;
    return 0;
}

static bool token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

bool gws_decimal(const char *text, size_t n, uint64_t *value)
{
    uint64_t v = 0;
    if (n == 0 || n > 19)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(text[i] - '0');
    }
    *value = v;
    return true;
}

/* Cuts the next line off; NULL at the end. */
static char *next_line(char **at, char *end)
{
    char *line = *at;
    if (line >= end)
        return NULL;
    char *lf = memchr(line, '\n', (size_t)(end - line));
    if (lf == NULL || lf == line || lf[-1] != '\r')
        return NULL;
    lf[-1] = '\0';
    *at = lf + 1;
    return line;
}

/* ---- Request line ------------------------------------------------------------------------------------------------ */

static bool method_known(const char *method)
{
    static const char *const known[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(method, known[i]) == 0)
            return true;
    return false;
}

static const struct gws_refusal *parse_version(struct gws_head *h, const char *version)
{
    if (strcmp(version, "HTTP/1.1") == 0)
        h->keep = true;
    else if (strcmp(version, "HTTP/1.0") != 0)
        return strncmp(version, "HTTP/", 5) == 0 ? &bad_version : &malformed;
    return NULL;
}

static const struct gws_refusal *parse_target(struct gws_head *h, char *target)
{
    h->path = target;
    char *mark = strchr(target, '?');
    if (mark != NULL) {
        *mark = '\0';
        h->query = mark + 1;
    }
    if (!gws_path_valid(target) || (h->query != NULL && strlen(h->query) > GWS_QUERY_MAX))
        return &bad_path;
    return NULL;
}

static const struct gws_refusal *parse_request_line(struct gws_head *h, char *line)
{
    char *target = line == NULL ? NULL : strchr(line, ' ');
    char *version = target == NULL ? NULL : strchr(target + 1, ' ');
    if (version == NULL || strchr(line, '\t') != NULL || strchr(version + 1, ' ') != NULL)
        return &malformed;
    *target++ = '\0';
    *version++ = '\0';
    h->method = line;
    const struct gws_refusal *no = parse_version(h, version);
    if (no == NULL && !method_known(line))
        no = &bad_method;
    return no != NULL ? no : parse_target(h, target);
}

/* ---- Header fields ----------------------------------------------------------------------------------------------- */

static const struct gws_refusal *parse_field(struct gws_head *h, char *line)
{
    size_t n = 0;
    while (token_char(line[n]))
        n++;
    if (n == 0 || line[n] != ':') /* a folded line, a blank before the colon, no colon */
        return &malformed;
    if (h->count == GWS_HEADERS_MAX)
        return &many_headers;
    line[n] = '\0';
    char *value = line + n + 1 + strspn(line + n + 1, " \t");
    for (char *end = value + strlen(value); end > value && (end[-1] == ' ' || end[-1] == '\t');)
        *--end = '\0';
    h->header[h->count].name = line;
    h->header[h->count++].value = value;
    return NULL;
}

const char *gws_head_find(const struct gws_head *h, const char *name)
{
    for (size_t i = 0; i < h->count; i++)
        if (strcasecmp(h->header[i].name, name) == 0)
            return h->header[i].value;
    return NULL;
}

static size_t count_of(const struct gws_head *h, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < h->count; i++)
        count += strcasecmp(h->header[i].name, name) == 0;
    return count;
}

static bool has_body(const char *method)
{
    return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
}

/* How long is the body? Where implementations could disagree, nobody's reading is taken. */
static const struct gws_refusal *check_framing(struct gws_head *h)
{
    if (count_of(h, "Transfer-Encoding") != 0)
        return &bad_coding;
    size_t lengths = count_of(h, "Content-Length");
    const char *text = gws_head_find(h, "Content-Length");
    if (lengths > 1 || (lengths == 1 && !gws_decimal(text, strlen(text), &h->length)))
        return &bad_length;
    if (h->length != 0 && !has_body(h->method))
        return &bad_length;
    return NULL;
}

static const struct gws_refusal *check_fields(struct gws_head *h)
{
    const char *connection = gws_head_find(h, "Connection");
    const char *expect = gws_head_find(h, "Expect");
    size_t hosts = count_of(h, "Host");
    if (hosts > 1 || (hosts == 0 && h->keep) || count_of(h, "Authorization") > 1 || count_of(h, "Range") > 1)
        return hosts != 1 ? &bad_host : &malformed;
    if (connection != NULL && (count_of(h, "Connection") > 1 || strcasecmp(connection, "keep-alive") != 0))
        h->keep = false; /* "close", an upgrade, or something that we do not know */
    if (expect != NULL && strcasecmp(expect, "100-continue") != 0)
        return &bad_expect;
    const struct gws_refusal *no = check_framing(h);
    h->expects_continue = expect != NULL && h->length != 0;
    return no;
}

const struct gws_refusal *gws_head_parse(struct gws_head *h, char *bytes, size_t n)
{
    char *at = bytes, *end = bytes + n, *line;
    memset(h, 0, sizeof *h);
    if (memchr(bytes, '\0', n) != NULL)
        return &malformed;
    const struct gws_refusal *no = parse_request_line(h, next_line(&at, end));
    while (no == NULL && (line = next_line(&at, end)) != NULL && *line != '\0')
        no = parse_field(h, line);
    if (no == NULL && at != end)
        no = &malformed;
    return no != NULL ? no : check_fields(h);
}

/* ---- Paths and patterns ------------------------------------------------------------------------------------------ */

static bool part_valid(const char *part, size_t n)
{
    if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
        return false;
    for (size_t i = 0; i < n; i++)
        if (part[i] <= ' ' || part[i] >= 0x7f || strchr("%\\#?", part[i]) != NULL)
            return false;
    return true;
}

bool gws_path_valid(const char *path)
{
    if (path[0] != '/' || strlen(path) > GWS_PATH_MAX)
        return false;
    if (path[1] == '\0')
        return true;
    while (*path == '/') {
        size_t n = strcspn(++path, "/");
        if (!part_valid(path, n))
            return false;
        path += n;
    }
    return true;
}

bool gws_path_match(const char *pattern, const char *path, char *store, const char *argument[GWS_ARGUMENTS_MAX])
{
    size_t found = 0;
    while (*pattern == '/' && *path == '/') {
        size_t n = strcspn(++pattern, "/"), m = strcspn(++path, "/");
        if (n == 2 && memcmp(pattern, "{}", 2) == 0) {
            if (m == 0 || found == GWS_ARGUMENTS_MAX)
                return false;
            argument[found++] = memcpy(store, path, m);
            store[m] = '\0';
            store += m + 1;
        } else if (n != m || memcmp(pattern, path, n) != 0) {
            return false;
        }
        pattern += n;
        path += m;
    }
    return *pattern == '\0' && *path == '\0';
}

/* ---- Queries ----------------------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode(char *text)
{
    char *out = text;
    for (; *text != '\0'; text++) {
        int c = *text == '+' ? ' ' : (unsigned char)*text;
        if (c == '%') {
            int high = hex_digit(text[1]), low = high < 0 ? -1 : hex_digit(text[2]);
            if (low < 0)
                return false;
            c = high * 16 + low;
            text += 2;
        }
        if (c < ' ' || c == 0x7f)
            return false;
        *out++ = (char)c;
    }
    *out = '\0';
    return true;
}

static bool add_item(struct gws_query *q, char *name)
{
    char *value = strchr(name, '=');
    if (value == NULL || q->count == GWS_QUERIES_MAX)
        return false;
    *value++ = '\0';
    if (!decode(name) || !decode(value))
        return false;
    for (size_t i = 0; i < q->count; i++)
        if (strcmp(q->item[i].name, name) == 0)
            return false;
    q->item[q->count].name = name;
    q->item[q->count++].value = value;
    return true;
}

bool gws_query_parse(struct gws_query *q, char *text)
{
    q->count = 0;
    while (text != NULL && *text != '\0') {
        char *next = strchr(text, '&');
        if (next != NULL)
            *next++ = '\0';
        if (!add_item(q, text))
            return false;
        text = next;
    }
    return true;
}

bool gws_query_listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    while (list != NULL && *list != '\0') {
        size_t m = strcspn(list, "=");
        if (m == n && memcmp(list, name, n) == 0)
            return true;
        list = strchr(list, ',');
        list = list == NULL ? NULL : list + 1;
    }
    return false;
}

/* ---- Ranges ------------------------------------------------------------------------------------------------------ */

static enum gws_range suffix(uint64_t n, uint64_t size, uint64_t *first, uint64_t *last)
{
    if (n == 0 || size == 0)
        return GWS_RANGE_BEYOND;
    *first = n >= size ? 0 : size - n;
    *last = size - 1;
    return GWS_RANGE_ONE;
}

enum gws_range gws_range_parse(const char *text, uint64_t size, uint64_t *first, uint64_t *last)
{
    if (text == NULL || strncasecmp(text, "bytes=", 6) != 0)
        return GWS_RANGE_NONE;
    text += 6;
    const char *dash = strchr(text, '-');
    if (dash == NULL)
        return GWS_RANGE_NONE;
    size_t before = (size_t)(dash - text), behind = strlen(dash + 1);
    uint64_t a = 0, b = UINT64_MAX;
    if (before == 0)
        return gws_decimal(dash + 1, behind, &a) ? suffix(a, size, first, last) : GWS_RANGE_NONE;
    if (!gws_decimal(text, before, &a) || (behind != 0 && !gws_decimal(dash + 1, behind, &b)) || b < a)
        return GWS_RANGE_NONE;
    if (a >= size)
        return GWS_RANGE_BEYOND;
    *first = a;
    *last = b >= size ? size - 1 : b;
    return GWS_RANGE_ONE;
}
