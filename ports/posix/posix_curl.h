/*
 * posix_curl.h - the agent's transport (godwit/transport.h) on libcurl, never blocking. SPEC.md, section 16.
 *
 * One connection for the offer and all ranges. Checked, whatever libcurl's defaults are: TLS 1.2 at least, chain, host
 * name, purpose, revocation if a CRL is given, pins of the trust bundle; 206 with the Content-Range and the size that
 * were asked for and the same ETag as before; a 200 to a range ends the request at its header. No proxy from the
 * environment, no cookies, no content codings, redirects (at most three) only for payloads, only to https and to hosts
 * that the bundle names.
 *
 * If the trust bundle names CAs of servers, they alone count, and not config.roots; pins hold beside either.
 * Connections and TLS sessions are kept between requests and looks, and ended when trust() says what they were not
 * verified by: other CAs, other pins, a clock that was not known before, a time outside the dates of what was verified.
 * Anonymous requests never share a connection with others. At most 64 KB of a body are held for the caller; then the
 * server has to wait. A report that is followed by trust() or open() before it was answered is given up. Different
 * transports may be used by different threads. Needs libcurl 7.87 or later, built with OpenSSL.
 */
#ifndef GWP_POSIX_CURL_H
#define GWP_POSIX_CURL_H

#include "error.h"
#include "godwit/transport.h"

struct gwp_curl_config {
    const char *server;      /* "https://updates.example.com/fleet"; https only */
    const char *offer_path;  /* below it: "offers/<class id>" or "device/v1/offer" */
    const char *report_path; /* "device/v1/report"; NULL: reports are not sent */
    const char *roots;       /* file with CAs in PEM, or a folder (c_rehash); NULL: the system's. Read once */
    const char *crl;         /* file, read once; NULL: none. Of the server's CA; one past its date refuses all. A CA of
                              * the bundle that it says nothing of is taken */
    struct gw_span certificate, key; /* of this client, PEM in memory, no passphrase; n 0: none. Copied */
    const char *token;       /* instead of a certificate: "Authorization: Bearer ..."; NULL: none. Copied */
    uint32_t connect_ms;     /* name, TCP and TLS together; 0: 10 s */
    uint32_t stall_ms;       /* without a byte; 0: 30 s */
    const char *resolve;     /* "host:port:address", for tests; NULL: by name */
};

struct gwp_curl; /* opaque */
/* What went over the wire, since the transport was made: HTTP without TLS. A redirect that is followed is a request. */
struct gwp_curl_count {
    uint64_t requests, connections, header_bytes, body_bytes, sent_bytes;
};
/* Makes a transport; NULL and err. Free with gwp_curl_free(). */
struct gwp_curl *gwp_curl_new(const struct gwp_curl_config *config, struct gw_transport *t, struct gwh_error *err);
void gwp_curl_free(struct gwp_curl *c);
void gwp_curl_count(const struct gwp_curl *c, struct gwp_curl_count *count);
/* Waits until there is something to read or write, or for `ms`: what a loop does between two steps. */
void gwp_curl_wait(struct gwp_curl *c, uint32_t ms);
/* Waits for any of several transports at once. */
void gwp_curl_wait_any(struct gwp_curl *const *all, size_t count, uint32_t ms);
/* For people: what libcurl or the server said about the last failure; never NULL. */
const char *gwp_curl_why(const struct gwp_curl *c);

#endif
