/*
 * http.h - a strict HTTP/1.1 client (RFC 9110, RFC 9112) for offers, ranges and reports. No allocation, no globals.
 *
 * One request at a time on one connection that is kept. Requests are made from parts, never held whole; answers are
 * read through one small window, line by line: nothing is stored but what is asked about. Refused (GW_ERR_HTTP): other
 * versions than HTTP/1.1, bare line feeds, folded lines, control characters, both Content-Length and
 * Transfer-Encoding, two lengths that differ, a field of interest that comes twice, codings other than chunked,
 * heads and trailers of more than GWC_HTTP_HEADERS bytes, chunk lines of more than 16 digits and extensions of more
 * than 64 bytes, more than two 1xx answers, a length beyond 32 bits. A body never exceeds what was said, and an answer
 * that ends early is GW_ERR_TRANSPORT.
 */
#ifndef GWC_HTTP_H
#define GWC_HTTP_H

#include "stream.h"

#define GWC_HTTP_WINDOW 256u   /* bytes received ahead; a field of interest is shorter, but for Location */
#define GWC_HTTP_HEADERS 8192u /* bytes of status lines and headers of one answer; of its trailers as many again */
#define GWC_HTTP_ETAG 64u      /* longest entity tag that is compared; longer ones count as none */

/* POST if there is a body, else GET. What is given here goes out as it is: no control characters, no blanks. */
struct gwc_http_request {
    struct gw_span host;    /* for the Host header */
    uint16_t port;          /* added to Host unless 443 */
    struct gw_span path[3]; /* put together; the first begins with a slash */
    bool ranged;            /* Range: bytes=first-last */
    uint32_t first, last;
    struct gw_span etag;    /* If-None-Match, with its quotes; n 0: none */
    struct gw_span body;    /* n 0: none; Content-Type: application/cose */
};

/* What of the answer's head is of interest. */
struct gwc_http_answer {
    uint16_t status;        /* 200 to 599 */
    bool has_length;        /* Content-Length, of the body as it comes */
    uint32_t length;
    bool chunked;
    bool closes;            /* the connection is not kept */
    bool has_range;         /* 206: Content-Range: bytes first-last/size, first <= last < size */
    uint32_t range_first, range_last, range_size; /* size 0: not said ("*") */
    uint8_t etag[GWC_HTTP_ETAG]; /* with its quotes */
    uint8_t etag_n;         /* 0: none, or too long */
    bool located;           /* a Location header came: gwc_http.location holds it if location_n is not 0 */
};

/* A client. Opaque but for `answer` and `location`, once the head was read, and `bytes`. */
struct gwc_http {
    const struct gwc_stream *stream;
    struct gwc_http_answer answer;
    uint8_t *location;      /* for a Location header; may be NULL */
    uint16_t location_size, location_n; /* n 0: none, or longer than there is room */
    uint32_t bytes;         /* sent and received since init, modulo 2^32: does it move? */
    uint8_t window[GWC_HTTP_WINDOW];
    uint16_t window_at, window_n;
    uint16_t header_bytes;
    uint16_t fields;        /* bits: fields of interest that came */
    uint32_t left;          /* of the body, or of the chunk */
    uint32_t total;         /* of all chunks */
    uint32_t part_at;       /* sent of this part */
    uint8_t part;           /* of the request that is being sent */
    uint8_t state;
    uint8_t interim;        /* 1xx answers seen */
    bool more;              /* of this line is still to come */
    bool heard;             /* a byte of the answer came */
    int error;              /* latched until the next start */
};

void gwc_http_init(struct gwc_http *h, const struct gwc_stream *stream, uint8_t *location, uint16_t location_size);
/* Begins a request on a connected stream: a fresh one, or one that gwc_http_reusable() said may be used again. */
void gwc_http_start(struct gwc_http *h);
/* Sends the request and reads the answer's head: GW_ERR_AGAIN until `answer` is complete (0). The same request each
 * time; its views must stay until gwc_http_sent(). */
GW_MUST_USE int gwc_http_head(struct gwc_http *h, const struct gwc_http_request *request);
/* Body: *n bytes of at most `size`, which is not 0. *n == 0 with 0: it is complete. */
GW_MUST_USE int gwc_http_read(struct gwc_http *h, uint8_t *data, size_t size, size_t *n);
/* The answer was read to its end, and the server keeps the connection. */
bool gwc_http_reusable(const struct gwc_http *h);
/* The request is on its way: its views are not needed any more. */
bool gwc_http_sent(const struct gwc_http *h);
/* Not a byte of an answer came: on a connection that was kept, the server may have closed it before it saw the
 * request. */
bool gwc_http_silent(const struct gwc_http *h);

#endif
