/*
 * http.h - a strict HTTP/1.1 client (RFC 9110, RFC 9112) for offers, ranges and reports. No allocation, no globals.
 *
 * One request at a time on one connection that is kept. Requests are made from parts, never held whole; answers are
 * read through one small window, headers field by field: nothing is stored but what is asked about. Refused
 * (GW_ERR_HTTP): bare line feeds, folded lines, both Content-Length and Transfer-Encoding, two that differ, codings
 * other than chunked, headers of more than GWC_HTTP_HEADERS bytes, chunk lines of more than 16 digits and extensions
 * of more than 64 bytes, more than two 1xx answers, a length beyond 32 bits. A body never exceeds what was said, and an
 * answer that ends early is GW_ERR_TRANSPORT.
 */
#ifndef GWC_HTTP_H
#define GWC_HTTP_H

#include "stream.h"

#define GWC_HTTP_WINDOW 256u   /* bytes received ahead */
#define GWC_HTTP_HEADERS 8192u /* bytes of status line and headers together */
#define GWC_HTTP_ETAG 64u      /* longest entity tag that is compared; longer ones count as none */

struct gwc_http_request {
    const char *method;     /* "GET", "POST" */
    struct gw_span host;    /* for the Host header */
    uint16_t port;          /* added to Host unless 443 */
    struct gw_span path[3]; /* put together; the first begins with a slash */
    bool ranged;            /* Range: bytes=first-last */
    uint32_t first, last;
    struct gw_span etag;    /* If-None-Match; n 0: none */
    struct gw_span body;    /* n 0: none; Content-Type: application/cose */
};

/* What of the answer's head is of interest. */
struct gwc_http_answer {
    uint16_t status;
    bool has_length;        /* Content-Length, of the body as it comes */
    uint32_t length;
    bool chunked;
    bool closes;            /* the connection is not kept */
    bool has_range;         /* Content-Range: bytes first-last/size */
    uint32_t range_first, range_last, range_size; /* size 0: not said ("*") */
    uint8_t etag[GWC_HTTP_ETAG];
    uint8_t etag_n;         /* 0: none, or too long */
    bool located;           /* a Location header came: gwc_http.location holds it if there was room */
};

/* A client. Opaque but for `answer`, once the head was read. */
struct gwc_http {
    const struct gwc_stream *stream;
    struct gwc_http_answer answer;
    char *location;         /* for a Location header; may be NULL */
    uint16_t location_size, location_n;
    uint8_t window[GWC_HTTP_WINDOW];
    uint16_t window_at, window_n;
    uint32_t header_bytes;
    uint32_t left;          /* of the body or of the chunk */
    uint32_t sent;          /* of what is being sent */
    uint8_t part;           /* of the request that is being sent */
    uint8_t state;
    uint8_t interim;        /* 1xx answers seen */
    int error;              /* latched until the next start */
};

void gwc_http_init(struct gwc_http *h, const struct gwc_stream *stream, char *location, size_t location_size);
/* Begins a request on a connected stream. What the views of `request` show must stay until the head was read. */
void gwc_http_start(struct gwc_http *h);
/* Sends the request and reads the answer's head: GW_ERR_AGAIN until `answer` is complete (0). */
GW_MUST_USE int gwc_http_head(struct gwc_http *h, const struct gwc_http_request *request);
/* Body: *n bytes of at most `size`. *n == 0 with 0: it is complete, and the connection free for the next request if
 * gwc_http_reusable(). */
GW_MUST_USE int gwc_http_read(struct gwc_http *h, uint8_t *data, size_t size, size_t *n);
bool gwc_http_reusable(const struct gwc_http *h);

#endif
