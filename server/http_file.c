/*
 * http_file.c - answers from files that never change: single ranges, conditions, HEAD.
 *
 * The part that is asked for is mapped and written in pieces of 64 KB; nothing is copied on the way to the TLS record.
 * Keeps true: the file is not changed while it is mapped (blobs never are), so a mapped page is always there.
 * Several ranges in one request are answered with the whole file, as RFC 9110 allows.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "http_internal.h"

/* Is `etag` (without quotes) in a list of If-None-Match? Weak comparison: the weak mark is skipped. */
static bool etag_listed(const char *list, const char *etag)
{
    size_t n = strlen(etag);
    while (list != NULL && *list != '\0') {
        list += strspn(list, " \t,");
        if (*list == '*')
            return true;
        if (strncmp(list, "W/", 2) == 0)
            list += 2;
        if (*list != '"')
            return false;
        const char *end = strchr(list + 1, '"');
        if (end == NULL)
            return false;
        if ((size_t)(end - list - 1) == n && memcmp(list + 1, etag, n) == 0)
            return true;
        list = end + 1;
    }
    return false;
}

/* If-Range holds: strong comparison; a date never does (there are none). */
static bool range_holds(const struct gws_call *call, const char *etag)
{
    const char *text = gws_header(call, "If-Range");
    size_t n = strlen(etag);
    return text == NULL ||
           (strlen(text) == n + 2 && text[0] == '"' && text[n + 1] == '"' && memcmp(text + 1, etag, n) == 0);
}

static bool map_part(struct gws_out *o, int fd, uint64_t first, uint64_t n)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), at = first - first % page;
    if (n == 0)
        return true;
    o->map_n = (size_t)(first + n - at);
    void *map = mmap(NULL, o->map_n, PROT_READ, MAP_SHARED, fd, (off_t)at);
    if (map == MAP_FAILED)
        return false;
    (void)madvise(map, o->map_n, MADV_SEQUENTIAL);
    o->map = map;
    o->file_at = (size_t)(first - at);
    o->file_end = o->map_n;
    return true;
}

/* All of it, or the range. */
static void send_part(struct gws_call *call, int fd, int status, uint64_t first, uint64_t n)
{
    if (!gws_answer_begin(call))
        return;
    struct gws_request *r = gws_request_of(call);
    struct gws_conn *c = r->conn;
    c->state = GWS_WRITING;
    if (!gws_answer_head(r, status, "application/octet-stream", (int64_t)n) ||
        (strcmp(call->method, "HEAD") != 0 && !map_part(&c->out, fd, first, n))) {
        gws_conn_drop(c);
        return;
    }
    if (c->out.map != NULL)
        gws_count(GWS_M_PAYLOAD_BYTES, n);
    gws_conn_answered(c);
}

static void send_beyond(struct gws_call *call, uint64_t size)
{
    char text[64];
    snprintf(text, sizeof text, "bytes */%" PRIu64, size);
    gws_answer_header(call, "Content-Range", text);
    gws_answer_error(call, 416, "range", "the range begins behind the end: there are %" PRIu64 " bytes", size);
}

static void send_file(struct gws_call *call, int fd, uint64_t size, const char *etag)
{
    uint64_t first = 0, last = 0;
    enum gws_range range = GWS_RANGE_NONE;
    char text[80];
    if (range_holds(call, etag))
        range = gws_range_parse(gws_header(call, "Range"), size, &first, &last);
    if (range == GWS_RANGE_BEYOND) {
        send_beyond(call, size);
    } else if (range == GWS_RANGE_NONE) {
        send_part(call, fd, 200, 0, size);
    } else {
        snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first, last, size);
        gws_answer_header(call, "Content-Range", text);
        send_part(call, fd, 206, first, last - first + 1);
    }
}

void gws_answer_file(struct gws_call *call, int fd, uint64_t size, const char *etag, const char *cache_control)
{
    char quoted[80];
    snprintf(quoted, sizeof quoted, "\"%.76s\"", etag);
    gws_answer_header(call, "ETag", quoted);
    gws_answer_header(call, "Accept-Ranges", "bytes");
    gws_answer_header(call, "Cache-Control", cache_control);
    if (etag_listed(gws_header(call, "If-None-Match"), etag))
        gws_answer(call, 304, NULL, (struct gw_span){ NULL, 0 });
    else
        send_file(call, fd, size, etag);
    close(fd);
}
