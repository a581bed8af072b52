/*
 * http_file.c - answers from files that never change: single ranges, conditions, HEAD.
 *
 * Files are mapped, once for all that are sent them, and written in pieces of 64 KB; nothing is copied on the way to
 * the TLS record.
 * Keeps true: the file is not changed while it is mapped (blobs never are), so a mapped page is always there.
 * Several ranges in one request are answered with the whole file, as RFC 9110 allows.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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

/* ---- Maps -------------------------------------------------------------------------------------------------------- */

#define MAPS_KEPT_S 5
#define MAP_WHOLE_MAX (256u << 20) /* larger files are mapped range by range */

static void unmap(struct gws_map *m)
{
    munmap(m->bytes, m->n);
    free(m);
}

/* Files that nobody was sent for a while are let go: they may have been deleted since. */
static void on_sweep(evutil_socket_t fd, short what, void *ctx)
{
    static const struct timeval again = { MAPS_KEPT_S, 0 };
    struct gws_http *h = ctx;
    (void)fd;
    (void)what;
    for (struct gws_map **at = &h->maps; *at != NULL;) {
        struct gws_map *m = *at;
        if (m->users == 0 && gws_now() - m->unused >= MAPS_KEPT_S) {
            *at = m->next;
            unmap(m);
        } else {
            at = &m->next;
        }
    }
    if (h->maps != NULL)
        event_add(&h->sweep, &again);
}

void gws_maps_start(struct gws_http *h)
{
    event_assign(&h->sweep, h->base, -1, EV_TIMEOUT, on_sweep, h);
}

void gws_maps_end(struct gws_http *h)
{
    event_del(&h->sweep);
    while (h->maps != NULL) {
        struct gws_map *m = h->maps;
        h->maps = m->next;
        unmap(m);
    }
}

void gws_map_release(struct gws_map *m)
{
    if (--m->users != 0)
        return;
    m->unused = gws_now();
    if (m->etag[0] == '\0')
        unmap(m);
}

static struct gws_map *map_new(struct gws_http *h, int fd, uint64_t at, size_t n)
{
    struct gws_map *m = calloc(1, sizeof *m);
    void *bytes = m == NULL ? MAP_FAILED : mmap(NULL, n, PROT_READ, MAP_SHARED, fd, (off_t)at);
    if (bytes == MAP_FAILED) {
        free(m);
        return NULL;
    }
    *m = (struct gws_map){ .http = h, .bytes = bytes, .n = n, .users = 1 };
    return m;
}

/* The whole file, which others may be sent already. */
static struct gws_map *map_whole(struct gws_http *h, int fd, uint64_t size, const char *etag)
{
    static const struct timeval later = { MAPS_KEPT_S, 0 };
    for (struct gws_map *m = h->maps; m != NULL; m = m->next)
        if (strcmp(m->etag, etag) == 0 && m->n == size) {
            m->users++;
            return m;
        }
    struct gws_map *m = map_new(h, fd, 0, (size_t)size);
    if (m == NULL)
        return NULL;
    snprintf(m->etag, sizeof m->etag, "%s", etag);
    if (h->maps == NULL)
        event_add(&h->sweep, &later);
    m->next = h->maps;
    h->maps = m;
    return m;
}

struct part {
    int fd;
    uint64_t size, first, n;
    const char *etag; /* of at most 76 characters */
};

static bool map_part(struct gws_conn *c, const struct part *p)
{
    uint64_t at = p->first - p->first % (uint64_t)sysconf(_SC_PAGESIZE);
    if (p->n == 0)
        return true;
    if (p->size <= MAP_WHOLE_MAX) {
        c->out.map = map_whole(c->door->http, p->fd, p->size, p->etag);
        at = 0;
    } else {
        c->out.map = map_new(c->door->http, p->fd, at, (size_t)(p->first + p->n - at));
    }
    c->out.file_at = (size_t)(p->first - at);
    c->out.file_end = (size_t)(p->first + p->n - at);
    return c->out.map != NULL;
}

/* The head and the first bytes go out as one TLS record: short ranges as a whole. */
static bool join_first(struct gws_out *o)
{
    size_t left = o->file_end - o->file_at, room = o->n < GWS_RECORD ? GWS_RECORD - o->n : 0;
    size_t n = left < room ? left : room;
    if (o->map == NULL)
        return true;
    if (!gws_out_add(o, o->map->bytes + o->file_at, n))
        return false;
    o->file_at += n;
    return true;
}

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

/* All of it, or the range. */
static void send_part(struct gws_call *call, int status, const struct part *p)
{
    if (!gws_answer_begin(call))
        return;
    struct gws_request *r = gws_request_of(call);
    struct gws_conn *c = r->conn;
    c->state = GWS_WRITING;
    if (!gws_answer_head(r, status, "application/octet-stream", (int64_t)p->n) ||
        (strcmp(call->method, "HEAD") != 0 && (!map_part(c, p) || !join_first(&c->out)))) {
        gws_conn_drop(c);
        return;
    }
    if (c->out.map != NULL)
        gws_count(GWS_M_PAYLOAD_BYTES, p->n);
    gws_conn_answered(c);
}

static void send_beyond(struct gws_call *call, uint64_t size)
{
    char text[64];
    snprintf(text, sizeof text, "bytes */%" PRIu64, size);
    gws_answer_header(call, "Content-Range", text);
    gws_answer_error(call, 416, "range", "the range begins behind the end: there are %" PRIu64 " bytes", size);
}

static void send_file(struct gws_call *call, struct part *p)
{
    uint64_t last = 0;
    enum gws_range range = GWS_RANGE_NONE;
    char text[80];
    if (range_holds(call, p->etag))
        range = gws_range_parse(gws_header(call, "Range"), p->size, &p->first, &last);
    if (range == GWS_RANGE_BEYOND) {
        send_beyond(call, p->size);
    } else if (range == GWS_RANGE_NONE) {
        p->n = p->size;
        send_part(call, 200, p);
    } else {
        p->n = last - p->first + 1;
        snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, p->first, last, p->size);
        gws_answer_header(call, "Content-Range", text);
        send_part(call, 206, p);
    }
}

void gws_answer_file(struct gws_call *call, int fd, uint64_t size, const char *etag, const char *cache_control)
{
    char quoted[80];
    struct part p = { .fd = fd, .size = size, .etag = etag };
    snprintf(quoted, sizeof quoted, "\"%.76s\"", etag);
    gws_answer_header(call, "ETag", quoted);
    gws_answer_header(call, "Accept-Ranges", "bytes");
    gws_answer_header(call, "Cache-Control", cache_control);
    if (etag_listed(gws_header(call, "If-None-Match"), etag))
        gws_answer(call, 304, NULL, (struct gw_span){ NULL, 0 });
    else
        send_file(call, &p);
    close(fd);
}
