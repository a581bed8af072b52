/*
 * tls.c - gwc_tls on Mbed TLS 3.6; see tls.h.
 *
 * The library checks chain, CRL, name and use; the callback for each certificate adds what it cannot know: dates by
 * the agent's clock, and pins. Faults are collected as Mbed TLS's flags and told in the order of `reasons`. Record
 * buffers, the largest part of the heap, exist only while there is a connection.
 */
#include "tls.h"

#include <string.h>

#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/platform.h>
#include <mbedtls/sha256.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crl.h>
#include <psa/crypto.h>

#include "trusted.h"

enum tls_state { CLOSED = 0, BELOW, SHAKING, OPEN };

struct gwc_tls {
    struct gwc_secure secure;
    const struct gwc_stream *below;
    int (*random)(void *ctx, void *data, size_t n);
    void *random_ctx;
    mbedtls_ssl_config conf;
    struct gw_span built_in; /* roots that the layer was made with */
    bool of_bundle;          /* those in use are the trust bundle's */
    mbedtls_x509_crt roots, own;
    mbedtls_x509_crl crl;
    mbedtls_pk_context key;
    mbedtls_ssl_context ssl; /* while there is a connection */
    mbedtls_ssl_session session;
    bool has_session;
    uint8_t state;
    uint8_t peer, next_peer; /* enum gwc_peer: of this connection, of the next */
    bool busy;               /* the handshake has a next step that waits for nobody */
    bool pinned;             /* a CA of this chain is */
    bool verified;           /* a chain was looked at: the handshake was no resumption */
    bool outdated;           /* this connection was begun by what was trusted before: no later one may resume it */
    uint32_t now;
    uint8_t pins[GWC_TLS_PINS_MAX][GW_DIGEST_SIZE];
    size_t pin_count;
    char host[GWC_HOST_MAX + 1]; /* that session and connection are with */
    uint16_t port;
    int below_error;
    struct gwc_tls_count count;
};

/* ---- The certificate -------------------------------------------------------------------------------------------- */

#define PIN_FLAG MBEDTLS_X509_BADCERT_OTHER /* set by nobody but check_certificate() */

static const struct {
    uint32_t flags;
    int error;
} reasons[] = { /* SPEC.md does not order them; tls.h says why this order */
    { MBEDTLS_X509_BADCERT_NOT_TRUSTED | MBEDTLS_X509_BADCERT_MISSING | MBEDTLS_X509_BADCERT_BAD_MD |
          MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY, GW_ERR_CERT_UNKNOWN },
    { MBEDTLS_X509_BADCERT_REVOKED | MBEDTLS_X509_BADCRL_NOT_TRUSTED | MBEDTLS_X509_BADCRL_BAD_MD |
          MBEDTLS_X509_BADCRL_BAD_PK | MBEDTLS_X509_BADCRL_BAD_KEY, GW_ERR_CERT_REVOKED },
    { MBEDTLS_X509_BADCERT_CN_MISMATCH, GW_ERR_CERT_NAME },
    { MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE | MBEDTLS_X509_BADCERT_NS_CERT_TYPE,
      GW_ERR_CERT_PURPOSE },
    { MBEDTLS_X509_BADCERT_EXPIRED, GW_ERR_CERT_EXPIRED },
    { MBEDTLS_X509_BADCERT_FUTURE, GW_ERR_CERT_EARLY },
    { PIN_FLAG, GW_ERR_CERT_PIN },
};

static int reason_of(uint32_t flags)
{
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if ((flags & reasons[i].flags) != 0) {
            return reasons[i].error;
        }
    }
    return GW_ERR_TLS;
}

/* Seconds since 1970 of a date of the Gregorian calendar. */
static int64_t seconds(const mbedtls_x509_time *t)
{
    int64_t year = t->mon <= 2 ? t->year - 1 : t->year; /* years that begin in March: the leap day is the last */
    int64_t day = (153 * (t->mon + (t->mon > 2 ? -3 : 9)) + 2) / 5 + t->day - 1;
    int64_t days = year * 365 + year / 4 - year / 100 + year / 400 + day - 719468;

    return ((days * 24 + t->hour) * 60 + t->min) * 60 + t->sec;
}

static bool is_pinned(const struct gwc_tls *tls, const mbedtls_x509_crt *crt)
{
    uint8_t digest[GW_DIGEST_SIZE];
    bool found = false;

    if (mbedtls_sha256(crt->pk_raw.p, crt->pk_raw.len, digest, 0) != 0) {
        return false;
    }
    for (size_t i = 0; i < tls->pin_count; i++) {
        found = found || memcmp(tls->pins[i], digest, sizeof digest) == 0;
    }
    return found;
}

/* Called for each certificate of the chain that was built, from the root (the highest depth) to the server's (0). */
static int check_certificate(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct gwc_tls *tls = ctx;

    if (!tls->verified) {
        tls->verified = true;
        tls->pinned = false;
    }
    if (tls->now != 0 && seconds(&crt->valid_to) < (int64_t)tls->now) {
        *flags |= MBEDTLS_X509_BADCERT_EXPIRED;
    }
    if (tls->now != 0 && seconds(&crt->valid_from) > (int64_t)tls->now) {
        *flags |= MBEDTLS_X509_BADCERT_FUTURE;
    }
    if (mbedtls_x509_crt_get_ca_istrue(crt) == 1 && is_pinned(tls, crt)) {
        tls->pinned = true;
    }
    if (depth == 0 && tls->pin_count > 0 && !tls->pinned) {
        *flags |= PIN_FLAG;
    }
    if (depth == 0 && !mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME)) {
        *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH; /* the common name is no host name any more (RFC 9525) */
    }
    return 0;
}

/* ---- Below ------------------------------------------------------------------------------------------------------ */

static int draw(void *ctx, unsigned char *data, size_t n)
{
    const struct gwc_tls *tls = ctx;

    return tls->random(tls->random_ctx, data, n) == 0 ? 0 : MBEDTLS_ERR_ERROR_GENERIC_ERROR;
}

static int send_below(void *ctx, const unsigned char *p, size_t n)
{
    struct gwc_tls *tls = ctx;
    size_t used = 0;
    int error = tls->below->send(tls->below->ctx, p, n, &used);

    if (error == GW_ERR_AGAIN) {
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    }
    tls->below_error = error;
    return error == GW_OK && used <= n ? (int)used : MBEDTLS_ERR_ERROR_GENERIC_ERROR;
}

static int recv_below(void *ctx, unsigned char *p, size_t n)
{
    struct gwc_tls *tls = ctx;
    size_t got = 0;
    int error = tls->below->recv(tls->below->ctx, p, n, &got);

    if (error == GW_ERR_AGAIN) {
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    tls->below_error = error;
    return error == GW_OK && got <= n ? (int)got : MBEDTLS_ERR_ERROR_GENERIC_ERROR;
}

/* An error of Mbed TLS as one of ours. The end of TCP without the end of TLS is a connection that failed. */
static int error_of(const struct gwc_tls *tls, int error)
{
    switch (error) {
    case MBEDTLS_ERR_SSL_WANT_READ:
    case MBEDTLS_ERR_SSL_WANT_WRITE:
    case MBEDTLS_ERR_SSL_CRYPTO_IN_PROGRESS: return GW_ERR_AGAIN;
    case MBEDTLS_ERR_SSL_CONN_EOF: return GW_ERR_TRANSPORT;
    default: return tls->below_error != GW_OK ? tls->below_error : GW_ERR_TLS;
    }
}

/* ---- Session ---------------------------------------------------------------------------------------------------- */

static void forget(struct gwc_tls *tls)
{
    mbedtls_ssl_session_free(&tls->session); /* wipes its secrets */
    mbedtls_ssl_session_init(&tls->session);
    tls->has_session = false;
}

/* The session of this connection, for the next one. Failure costs a whole handshake then, nothing else. */
static void keep_session(struct gwc_tls *tls)
{
    forget(tls);
    tls->has_session = !tls->outdated && mbedtls_ssl_get_session(&tls->ssl, &tls->session) == 0;
}

/* ---- Connection ------------------------------------------------------------------------------------------------- */

static void tls_close(void *ctx)
{
    struct gwc_tls *tls = ctx;

    if (tls->state == OPEN) {
        (void)mbedtls_ssl_close_notify(&tls->ssl); /* one try: nothing depends on it */
    }
    if (tls->state >= SHAKING) {
        mbedtls_ssl_free(&tls->ssl);
    }
    if (tls->state != CLOSED) {
        tls->below->close(tls->below->ctx);
    }
    tls->state = CLOSED;
    tls->busy = false;
}

/* The first call of a connection: with whom, and whether the session before may serve. */
static int begin(struct gwc_tls *tls, struct gw_span host, uint16_t port)
{
    bool same;

    if (host.n == 0 || host.n > GWC_HOST_MAX || memchr(host.p, 0, host.n) != NULL) {
        return GW_ERR_CERT_NAME;
    }
    if (tls->roots.raw.len == 0 && tls->next_peer != GWC_PEER_ANYBODY) {
        tls->next_peer = GWC_PEER_OTHER;
        return GW_ERR_CERT_UNKNOWN; /* nobody is trusted: not worth a connection */
    }
    same = strlen(tls->host) == host.n && memcmp(tls->host, host.p, host.n) == 0 && tls->port == port;
    if (!same || tls->peer != tls->next_peer) {
        forget(tls);
    }
    memcpy(tls->host, host.p, host.n);
    tls->host[host.n] = 0;
    tls->port = port;
    tls->peer = tls->next_peer;
    tls->next_peer = GWC_PEER_OTHER;
    tls->outdated = false;
    tls->below_error = GW_OK;
    tls->state = BELOW;
    return GW_OK;
}

/* Whether this server is checked, and whether it may see our certificate. */
static int configure_peer(struct gwc_tls *tls)
{
    bool show = tls->peer == GWC_PEER_OWN && tls->own.raw.len > 0;

    mbedtls_ssl_conf_authmode(&tls->conf, tls->peer == GWC_PEER_ANYBODY ? MBEDTLS_SSL_VERIFY_NONE
                                                                        : MBEDTLS_SSL_VERIFY_REQUIRED);
    if (mbedtls_ssl_conf_own_cert(&tls->conf, NULL, NULL) != 0) { /* empties the list */
        return GW_ERR_TLS;
    }
    return show && mbedtls_ssl_conf_own_cert(&tls->conf, &tls->own, &tls->key) != 0 ? GW_ERR_SPACE : GW_OK;
}

/* TCP stands: the handshake may begin. */
static int begin_handshake(struct gwc_tls *tls)
{
    int error = configure_peer(tls);

    mbedtls_ssl_init(&tls->ssl);
    tls->state = SHAKING;
    tls->verified = tls->pinned = false;
    if (error != GW_OK) {
        return error;
    }
    if (mbedtls_ssl_setup(&tls->ssl, &tls->conf) != 0 || mbedtls_ssl_set_hostname(&tls->ssl, tls->host) != 0) {
        return GW_ERR_SPACE;
    }
    if (tls->has_session && mbedtls_ssl_set_session(&tls->ssl, &tls->session) != 0) {
        forget(tls);
    }
    mbedtls_ssl_set_bio(&tls->ssl, tls, send_below, recv_below, NULL);
    return GW_OK;
}

static void count_handshake(struct gwc_tls *tls)
{
    bool whole = tls->verified || (tls->peer == GWC_PEER_ANYBODY && !tls->has_session);

    tls->count.handshakes++;
    tls->count.resumed += whole ? 0 : 1;
    tls->count.version = (uint16_t)mbedtls_ssl_get_version_number(&tls->ssl);
}

/* One message of the handshake with each call: a key exchange or a signature takes a small processor a second. */
static int shake(struct gwc_tls *tls)
{
    int error = mbedtls_ssl_handshake_step(&tls->ssl);

    tls->busy = error == 0 && mbedtls_ssl_is_handshake_over(&tls->ssl) == 0;
    if (tls->busy) {
        return GW_ERR_AGAIN;
    }
    if (error != 0) {
        uint32_t flags = mbedtls_ssl_get_verify_result(&tls->ssl);
        bool bad = tls->verified && flags != 0 && flags != UINT32_MAX && tls->peer != GWC_PEER_ANYBODY;
        error = bad ? reason_of(flags) : error_of(tls, error);
        if (error != GW_ERR_AGAIN) {
            forget(tls);
        }
        return error;
    }
    /* Mbed TLS promises both; a server that nobody looked at must not get through even so. */
    if (tls->peer != GWC_PEER_ANYBODY &&
        (mbedtls_ssl_get_verify_result(&tls->ssl) != 0 || (!tls->verified && !tls->has_session))) {
        return GW_ERR_TLS;
    }
    count_handshake(tls);
    if (mbedtls_ssl_get_version_number(&tls->ssl) == MBEDTLS_SSL_VERSION_TLS1_2) {
        keep_session(tls); /* TLS 1.3: with its ticket */
    }
    tls->state = OPEN;
    return GW_OK;
}

static int tls_connect(void *ctx, struct gw_span host, uint16_t port)
{
    struct gwc_tls *tls = ctx;
    int error = tls->state == CLOSED ? begin(tls, host, port) : tls->state == OPEN ? GW_ERR_STATE : GW_OK;

    if (error == GW_OK && tls->state == BELOW) {
        error = tls->below->connect(tls->below->ctx, host, port);
        if (error == GW_OK) {
            error = begin_handshake(tls);
        }
    }
    return error == GW_OK ? shake(tls) : error;
}

static int tls_send(void *ctx, const uint8_t *p, size_t n, size_t *used)
{
    struct gwc_tls *tls = ctx;

    *used = 0;
    if (tls->state != OPEN) {
        return GW_ERR_STATE;
    }
    int sent = mbedtls_ssl_write(&tls->ssl, p, n);
    if (sent < 0) {
        return error_of(tls, sent);
    }
    *used = (size_t)sent;
    return GW_OK;
}

static int tls_recv(void *ctx, uint8_t *p, size_t n, size_t *got)
{
    struct gwc_tls *tls = ctx;

    *got = 0;
    if (tls->state != OPEN) {
        return GW_ERR_STATE;
    }
    int n_or_error = mbedtls_ssl_read(&tls->ssl, p, n);
    if (n_or_error == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
        return GW_OK;
    }
    if (n_or_error == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
        keep_session(tls);
        return GW_ERR_AGAIN;
    }
    if (n_or_error <= 0) {
        return n_or_error == 0 ? GW_ERR_TRANSPORT : error_of(tls, n_or_error);
    }
    *got = (size_t)n_or_error;
    return GW_OK;
}

/* ---- Roots ------------------------------------------------------------------------------------------------------ */

static void drop_roots(struct gwc_tls *tls)
{
    mbedtls_x509_crt_free(&tls->roots);
    mbedtls_x509_crt_init(&tls->roots);
    tls->of_bundle = false;
}

/* Are the roots in use those of the list, in its order? */
static bool same_roots(const struct gwc_tls *tls, const struct gwc_trusted *t)
{
    const mbedtls_x509_crt *crt = &tls->roots;
    struct gw_span der;
    uint32_t i = 0;

    if (!tls->of_bundle) {
        return false;
    }
    while (gwc_trusted_root(t, i, &der) == GW_OK) {
        if (crt == NULL || crt->raw.len != der.n || memcmp(crt->raw.p, der.p, der.n) != 0) {
            return false;
        }
        crt = crt->next;
        i++;
    }
    return crt == NULL;
}

/* Adds one root of a bundle: a certificate of a CA and nothing behind it. */
static int add_root(struct gwc_tls *tls, struct gw_span der)
{
    int error = mbedtls_x509_crt_parse_der(&tls->roots, der.p, der.n);
    const mbedtls_x509_crt *last = &tls->roots;

    if (error != 0) {
        return error == MBEDTLS_ERR_X509_ALLOC_FAILED ? GW_ERR_SPACE : GW_ERR_CRYPTO;
    }
    while (last->next != NULL) {
        last = last->next;
    }
    return last->raw.len == der.n && mbedtls_x509_crt_get_ca_istrue(last) == 1 ? GW_OK : GW_ERR_CRYPTO;
}

/* The old ones go first: two chains at once would be too much for a small heap. */
static int take_roots(struct gwc_tls *tls, const struct gwc_trusted *t)
{
    struct gw_span der;
    int error;

    drop_roots(tls);
    for (uint32_t i = 0; (error = gwc_trusted_root(t, i, &der)) == GW_OK; i++) {
        error = add_root(tls, der);
        if (error != GW_OK) {
            return error;
        }
    }
    tls->of_bundle = error == GW_ERR_NOTHING;
    return tls->of_bundle ? GW_OK : error;
}

/* The roots that the layer was made with, if there are any. */
static int built_in_roots(struct gwc_tls *tls)
{
    drop_roots(tls);
    if (tls->built_in.n == 0) {
        return GW_OK;
    }
    return mbedtls_x509_crt_parse(&tls->roots, tls->built_in.p, tls->built_in.n) == 0 ? GW_OK : GW_ERR_CRYPTO;
}

static int choose_roots(struct gwc_tls *tls, const struct gwc_trusted *t)
{
    if (t->roots.n > 0) {
        return same_roots(tls, t) ? GW_OK : take_roots(tls, t);
    }
    return tls->of_bundle || tls->roots.raw.len == 0 ? built_in_roots(tls) : GW_OK;
}

static int tls_trust(void *ctx, const struct gwc_trusted *t)
{
    struct gwc_tls *tls = ctx;
    int error;

    forget(tls);
    tls->outdated = true;
    error = t->pin_count > GWC_TLS_PINS_MAX ? GW_ERR_LIMIT : choose_roots(tls, t);
    if (error != GW_OK) {
        drop_roots(tls); /* nobody is trusted */
        return error;
    }
    tls->now = t->now;
    tls->pin_count = t->pin_count;
    if (t->pin_count > 0) {
        memcpy(tls->pins, t->pins, t->pin_count * sizeof t->pins[0]);
    }
    return GW_OK;
}

static void tls_peer(void *ctx, enum gwc_peer peer)
{
    struct gwc_tls *tls = ctx;

    tls->next_peer = (uint8_t)peer;
}

/* ---- Making it -------------------------------------------------------------------------------------------------- */

static int parse_all(struct gwc_tls *tls, const struct gwc_tls_config *c)
{
    tls->built_in = c->roots;
    if (built_in_roots(tls) != GW_OK) {
        return GW_ERR_CRYPTO;
    }
    if (c->crl.n > 0 && mbedtls_x509_crl_parse(&tls->crl, c->crl.p, c->crl.n) != 0) {
        return GW_ERR_CRYPTO;
    }
    if (c->certificate.n > 0 &&
        (mbedtls_x509_crt_parse(&tls->own, c->certificate.p, c->certificate.n) != 0 ||
         mbedtls_pk_parse_key(&tls->key, c->key.p, c->key.n, NULL, 0, draw, tls) != 0 ||
         mbedtls_pk_check_pair(&tls->own.pk, &tls->key, draw, tls) != 0)) {
        return GW_ERR_CRYPTO;
    }
    return GW_OK;
}

#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
/* Mbed TLS offers RSA-PSS before PKCS #1, and then does not know it when OpenSSL chooses it in TLS 1.2. */
static const uint16_t signatures[] = {
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,       MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,
    MBEDTLS_TLS1_3_SIG_NONE,
};
#endif

static int configure(struct gwc_tls *tls)
{
    mbedtls_ssl_config *conf = &tls->conf;

    if (mbedtls_ssl_config_defaults(conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0) {
        return GW_ERR_SPACE;
    }
    mbedtls_ssl_conf_min_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_rng(conf, draw, tls);
    mbedtls_ssl_conf_ca_chain(conf, &tls->roots, tls->crl.raw.len > 0 ? &tls->crl : NULL);
    mbedtls_ssl_conf_verify(conf, check_certificate, tls);
    mbedtls_ssl_conf_session_tickets(conf, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
    mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
        conf, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
    mbedtls_ssl_conf_sig_algs(conf, signatures);
#endif
#if MBEDTLS_SSL_IN_CONTENT_LEN < 16384
    if (mbedtls_ssl_conf_max_frag_len(conf, MBEDTLS_SSL_MAX_FRAG_LEN_4096) != 0) {
        return GW_ERR_CONFIG;
    }
#endif
    return GW_OK;
}

/* TLS 1.3 computes with PSA, which needs its own source of random numbers. */
static int start_psa(void)
{
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
    uint8_t byte;
    if (psa_crypto_init() != PSA_SUCCESS || psa_generate_random(&byte, 1) != PSA_SUCCESS) {
        return GW_ERR_CONFIG;
    }
#endif
    return GW_OK;
}

struct gwc_tls *gwc_tls_new(const struct gwc_tls_config *config, int *error)
{
    struct gwc_tls *tls = NULL;

    *error = GW_ERR_CONFIG;
    if (config->below == NULL || config->random == NULL ||
        (config->certificate.n > 0) != (config->key.n > 0) || start_psa() != GW_OK) {
        return NULL;
    }
    *error = GW_ERR_SPACE;
    tls = mbedtls_calloc(1, sizeof *tls);
    if (tls == NULL) {
        return NULL;
    }
    tls->secure = (struct gwc_secure){ { tls, tls_connect, tls_send, tls_recv, tls_close }, tls_trust, tls_peer };
    tls->below = config->below;
    tls->random = config->random;
    tls->random_ctx = config->ctx;
    mbedtls_ssl_config_init(&tls->conf);
    mbedtls_x509_crt_init(&tls->roots);
    mbedtls_x509_crt_init(&tls->own);
    mbedtls_x509_crl_init(&tls->crl);
    mbedtls_pk_init(&tls->key);
    mbedtls_ssl_session_init(&tls->session);
    *error = parse_all(tls, config);
    if (*error == GW_OK) {
        *error = configure(tls);
    }
    if (*error != GW_OK) {
        gwc_tls_free(tls);
        tls = NULL;
    }
    return tls;
}

void gwc_tls_free(struct gwc_tls *tls)
{
    if (tls == NULL) {
        return;
    }
    tls_close(tls);
    forget(tls);
    mbedtls_ssl_config_free(&tls->conf);
    mbedtls_x509_crt_free(&tls->roots);
    mbedtls_x509_crt_free(&tls->own);
    mbedtls_x509_crl_free(&tls->crl);
    mbedtls_pk_free(&tls->key);
    gw_wipe(tls, sizeof *tls);
    mbedtls_free(tls);
}

const struct gwc_secure *gwc_tls_secure(struct gwc_tls *tls)
{
    return &tls->secure;
}

const struct gwc_tls_count *gwc_tls_count(const struct gwc_tls *tls)
{
    return &tls->count;
}

bool gwc_tls_busy(const struct gwc_tls *tls)
{
    return tls->busy;
}
