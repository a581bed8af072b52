/*
 * http_head.h - the head of a request, taken apart strictly; paths, patterns, queries and ranges. No I/O, no state.
 *
 * Keeps true: what is accepted means the same to every HTTP implementation. One way to write a thing is enough for our
 * clients; the others (folded lines, bare LF, blanks before the colon, two lengths, chunked requests, escapes in paths,
 * absolute targets) are where proxies and servers disagree, and are refused with a status of their own.
 */
#ifndef GWS_HTTP_HEAD_H
#define GWS_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GWS_HEADERS_MAX 48u
#define GWS_PATH_MAX 512u
#define GWS_QUERY_MAX 1024u
#define GWS_QUERIES_MAX 16u
#define GWS_ARGUMENTS_MAX 3u

/* Why a request is refused: status, a word that stays the same, a sentence. */
struct gws_refusal {
    int status;
    const char *code, *text;
};

/* All texts are zero-terminated and stand in the bytes that were parsed. */
struct gws_head {
    const char *method, *path;
    char *query; /* behind the '?', or NULL */
    bool keep;   /* the connection may stay open */
    bool expects_continue;
    uint64_t length; /* of the body */
    size_t count;
    struct {
        const char *name, *value;
    } header[GWS_HEADERS_MAX];
};

/* Where does the head end? Bytes with the empty line; 0: more is needed; -1: never (a bare CR or LF, a control
 * character). `*scanned` starts at 0 and spares looking at the same bytes twice. */
long gws_head_end(const char *bytes, size_t n, size_t *scanned);
/* A whole head of n bytes, with its empty line. It is changed. NULL: accepted. */
const struct gws_refusal *gws_head_parse(struct gws_head *h, char *bytes, size_t n);
/* Value of a header, or NULL. */
const char *gws_head_find(const struct gws_head *h, const char *name);

/* Begins with '/', printable ASCII without % \ # ?, no empty part, no part "." or "..", at most GWS_PATH_MAX. */
bool gws_path_valid(const char *path);
/* Does it match "/a/{}/b"? `argument[i]` receives what {} matched, as texts in `store` (GWS_PATH_MAX + 1 bytes). */
bool gws_path_match(const char *pattern, const char *path, char *store, const char *argument[GWS_ARGUMENTS_MAX]);

struct gws_query {
    size_t count;
    struct {
        const char *name, *value;
    } item[GWS_QUERIES_MAX];
};
/* Decodes in place. False: malformed escapes, control characters, a name twice, too many. `text` may be NULL. */
bool gws_query_parse(struct gws_query *q, char *text);
/* Is the name in a list such as "tag=,limit="? */
bool gws_query_listed(const char *list, const char *name);

enum gws_range { GWS_RANGE_NONE, GWS_RANGE_ONE, GWS_RANGE_BEYOND };
/* A Range header against a size. NONE: all of it (not bytes, several, malformed: RFC 9110, 14.2). */
enum gws_range gws_range_parse(const char *text, uint64_t size, uint64_t *first, uint64_t *last);
/* Decimal digits only, no overflow. */
bool gws_decimal(const char *text, size_t n, uint64_t *value);

#endif
