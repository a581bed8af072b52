/*
 * s3.h - one request to an S3-compatible service: signed (SigV4) by libcurl, repeated while it makes sense.
 *
 * Where and as whom comes from the environment, as other tools have it (publish_store.h); secrets are never in a
 * message, a URL or an argument. Plain http is refused but to this machine itself. A redirect is not followed.
 */
#ifndef GWH_S3_H
#define GWH_S3_H

#include <curl/curl.h>

#include "publish_store.h"

#define GWH_S3_TRIES 6u
#define GWH_S3_QUERY_MAX 4096u /* bytes of a query: the last key of a page, each of its bytes escaped, and a prefix */
#define GWH_S3_PUT_MAX (5ull * 1024u * 1024u * 1024u) /* of one PUT, by the service's rules */

struct gwh_s3 {
    CURL *curl;
    char base[512];   /* "https://host:port/bucket", or without the bucket if the host begins with it */
    char sigv4[96];   /* "aws:amz:REGION:s3" */
    char bucket[64];
    char prefix[256]; /* "" or ends with a slash */
};
/* `where` is "s3://bucket/prefix". Asks the service nothing yet. Close it even after a failure. */
int gwh_s3_open(struct gwh_s3 *s3, const char *where, struct gwh_error *err);
void gwh_s3_close(struct gwh_s3 *s3);

struct gwh_s3_request {
    const char *method;           /* GET, HEAD or PUT */
    const char *name;             /* below the prefix; NULL: the bucket itself */
    const char *query;            /* encoded, keys in order; NULL: none */
    const struct gwh_item *item;  /* of a PUT */
    size_t max;                   /* bytes of the answer's body; more: GW_ERR_LIMIT */
    bool may_miss;                /* 404 for the file is no failure (not: for the bucket) */
};
struct gwh_s3_answer {
    long status;          /* 200 to 299, or 404 */
    struct gwh_buf body;  /* free it, also after a failure */
    uint64_t size;        /* HEAD: of the file */
    char digest[65];      /* HEAD: x-amz-meta-sha256, or "" */
};
int gwh_s3_send(struct gwh_s3 *s3, const struct gwh_s3_request *q, struct gwh_s3_answer *a, struct gwh_error *err);

/* Text between the first <name> and </name> at or after *at, which goes behind it; n 0: there is none. */
struct gw_span gwh_s3_element(struct gw_span xml, const char *name, size_t *at);

#endif
