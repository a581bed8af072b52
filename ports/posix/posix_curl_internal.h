/*
 * posix_curl_internal.h - what posix_curl.c (the transport) and posix_curl_transfer.c (a transfer of libcurl) share.
 */
#ifndef GWP_POSIX_CURL_INTERNAL_H
#define GWP_POSIX_CURL_INTERNAL_H

#include <curl/curl.h>

#include "posix_answer.h"
#include "posix_curl.h"
#include "posix_target.h"
#include "posix_tls.h"

#define GWP_RECEIVE 65536u   /* bytes of a body that are held for the caller */
#define GWP_REPORT_MAX 4096u

struct gwp_lane {
    CURLM *multi;
    CURL *easy;
};

struct gwp_curl {
    char *server, *offer_path, *report_path, *resolve;
    char *token;                 /* the header that has it */
    uint8_t *certificate, *key; /* PEM */
    size_t certificate_n, key_n;
    uint32_t connect_ms, stall_ms;
    char host[GWC_HOST_MAX + 1]; /* of the server */
    struct gwp_tls tls;
    uint8_t hosts[GW_TRUST_MAX]; /* of the trust bundle, encoded */
    size_t hosts_n;
    struct gwp_lane lane[2]; /* checked, anonymous; made when they are needed */
    struct gwp_curl_count count;

    /* The request. */
    bool open, reporting;        /* one of them, or neither */
    struct gw_request request;
    struct gwp_target target;
    struct gwp_answer answer;
    uint8_t report[GWP_REPORT_MAX];
    size_t report_n;
    struct gwp_lane *on;             /* where its transfer is under way; NULL: it has ended, or there is none */
    struct curl_slist *headers, *resolves;
    bool conditional, connected, judged, redirected, paused;
    bool complete;               /* all that the head promised is there */
    bool ended;
    int error;                   /* first of this request; what is in the buffer is given out before it */
    unsigned redirects;
    uint32_t received, discarded;
    uint64_t heard_ms;           /* when the last byte came */

    /* Of this session. */
    char offer_etag[GWP_ETAG_MAX + 1];   /* of the offer that was read last */
    uint8_t payload[GW_DIGEST_SIZE];     /* whose ranges had this tag: */
    char payload_etag[GWP_ETAG_MAX + 1]; /* of its ranges so far, if `ranged` */
    bool ranged;

    char said[CURL_ERROR_SIZE];
    char why[512];
    size_t at, held;
    uint8_t buffer[GWP_RECEIVE];
};

/* Sends c->request, or the report, to c->target. An error is kept in c->error too. */
int gwp_transfer_start(struct gwp_curl *c);
/* Lets libcurl do what it can without waiting. */
void gwp_transfer_step(struct gwp_curl *c);
/* No error, or one that does not concern the connection. */
bool gwp_transfer_goes_on(const struct gwp_curl *c);
/* Goes on with a transfer that was paused since the buffer was full. */
void gwp_transfer_resume(struct gwp_curl *c);
/* Ends the transfer, if one is under way; its connection is kept if the answer was read to its end. */
void gwp_transfer_end(struct gwp_curl *c);
/* Ends the connections of a lane, and forgets its TLS sessions. */
void gwp_lane_close(struct gwp_lane *lane);
/* May payloads come from there? */
bool gwp_curl_allows(const struct gwp_curl *c, const char *host);
/* The first error of a request stays, and why. Returns it. */
int gwp_curl_fail(struct gwp_curl *c, int error, const char *why);

#endif
