/*
 * posix_answer.h - the head of an HTTP answer, line by line, and what it means for a request (SPEC.md, section 16).
 *
 * Strict where libcurl is lenient: a header that decides something may come once, lines end with CR LF, numbers are
 * digits, the whole head has at most GWP_HEAD_MAX bytes. Pure: no I/O, no allocation.
 */
#ifndef GWP_POSIX_ANSWER_H
#define GWP_POSIX_ANSWER_H

#include "godwit/transport.h"

#define GWP_HEAD_MAX 8192u     /* bytes of all heads of one answer, 1xx and trailers included */
#define GWP_LOCATION_MAX 1023u /* bytes of the target of a redirect */
#define GWP_ETAG_MAX 127u      /* bytes of an entity tag; a longer one counts as none */
#define GWP_OFFER_MAX 8192u    /* bytes of an offer */
#define GWP_REDIRECTED 1       /* status of gwp_answer_judge(): follow `location` */

struct gwp_answer {
    unsigned status;      /* 0: no status line yet */
    bool complete;        /* the head has ended; lines after it are trailers */
    uint32_t bytes;
    bool has_length, has_range, chunked, coded, located;
    uint64_t length;      /* Content-Length */
    uint64_t first, last, size; /* Content-Range */
    char etag[GWP_ETAG_MAX + 1];         /* "": none */
    char location[GWP_LOCATION_MAX + 1]; /* "" if it is too long */
};

/* One line, with its end. GW_ERR_HTTP: this is not HTTP. Zero the answer before the first. */
GW_MUST_USE int gwp_answer_line(struct gwp_answer *a, const char *line, size_t n);
/*
 * The head is complete: what of it? GW_OK: the body may be read; GWP_REDIRECTED; GW_ERR_NOTHING (204, 304); an error.
 * `conditional`: If-None-Match was sent. `etag`: of this payload's ranges so far, "" if they had none; NULL: this is
 * the first of them.
 */
GW_MUST_USE int gwp_answer_judge(const struct gwp_answer *a, const struct gw_request *request, bool conditional,
                                 const char *etag);
/* The same for a report: GW_OK, GW_ERR_VALUE, GW_ERR_HTTP_STATUS. */
GW_MUST_USE int gwp_answer_judge_report(const struct gwp_answer *a);
/* Bytes of the body that are wanted at most, of a judged answer. */
uint32_t gwp_answer_room(const struct gwp_answer *a, const struct gw_request *request);

#endif
