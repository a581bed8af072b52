/*
 * posix_tls.h - whom a PC's transport takes for the server: OpenSSL's verification, with a reason for each refusal.
 *
 * Used by posix_curl.c and posix_mqtt.c. Every connection is verified here, with a store, a clock and flags of its own:
 * what libcurl or a configuration of OpenSSL would trust plays no part. A session that is resumed was verified before;
 * gwp_tls_trust() says when what was verified then would not be any more.
 */
#ifndef GWP_POSIX_TLS_H
#define GWP_POSIX_TLS_H

#include <openssl/ssl.h>

#include "error.h"
#include "godwit/transport.h"
#include "trusted.h"

#define GWP_PINS_MAX (GW_TRUST_MAX / (GW_DIGEST_SIZE + 2u)) /* what fits into a bundle */

struct gwp_tls {
    X509_STORE *roots;      /* that it was opened with */
    X509_STORE *bundle;     /* CAs of the trust bundle, which count alone; NULL: it names none */
    uint8_t cas[GW_TRUST_MAX]; /* their list, as it came */
    size_t cas_n;
    bool given;             /* roots were named: any CA among them ends a chain, root or not */
    bool nobody;            /* the bundle's cannot be read */
    bool crl;
    uint32_t now;           /* seconds since 1970; 0: dates are not checked */
    uint8_t pins[GWP_PINS_MAX][GW_DIGEST_SIZE];
    uint32_t pin_count;     /* 0: any CA */
    const char *host;       /* whom the connection that is being made is for: a name or an IPv4 address */
    int cause;              /* why the last verification failed: GW_ERR_CERT_*, GW_ERR_TLS; 0: it did not */
    bool alert;             /* a fatal alert was sent or came */
    int64_t from, until;    /* what was verified so far is valid within these, by the dates of the certificates */
    char why[256];          /* for people */
};

/* `roots`: PEM file or folder of hashed names, NULL: OpenSSL's own, "": none; `crl`: PEM file, NULL: none. Zero `tls`
 * first. */
int gwp_tls_open(struct gwp_tls *tls, const char *roots, const char *crl, struct gwh_error *err);
void gwp_tls_close(struct gwp_tls *tls);
/* Takes CAs, pins and time. *changed: connections and sessions that there are were verified by other rules; end them.
 * GW_ERR_CRYPTO: a CA of the bundle is none: nobody is trusted. */
int gwp_tls_trust(struct gwp_tls *tls, const struct gw_transport_trust *trust, bool *changed);
/* Before a request: forgets causes. `host` must stay while it lasts. */
void gwp_tls_begin(struct gwp_tls *tls, const char *host);
/* Puts the verification into the context of a new connection. 0, or GW_ERR_TLS. */
int gwp_tls_attach(struct gwp_tls *tls, SSL_CTX *ctx, bool anonymous);
/* A certificate and a key of a client, PEM: do they belong together? Keys with a passphrase are refused. */
int gwp_tls_check_client(struct gw_span certificate, struct gw_span key, struct gwh_error *err);

#endif
