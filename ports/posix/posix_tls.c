/*
 * posix_tls.c - see posix_tls.h.
 *
 * libcurl makes the connection and asks OpenSSL to verify the peer; the callback below takes the place of OpenSSL's
 * own verification. It runs X509_verify_cert() itself, so that nothing is left out, in a context of its own, and hands
 * the verdict back. An error in here is a refusal.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "fields.h"
#include "file.h"
#include "keys.h"
#include "posix_tls.h"

#define CHAIN_MAX 8 /* intermediates */
#define LEVEL 2     /* of OpenSSL's security levels: 112 bits, no SHA-1 */

/* ---- Roots ------------------------------------------------------------------------------------------------- */

static bool load_roots(X509_STORE *store, const char *roots)
{
    if (roots == NULL) {
        return X509_STORE_set_default_paths(store) == 1;
    }
    if (roots[0] == '\0') {
        return true; /* nobody */
    }
    return gwh_is_folder(roots) ? X509_STORE_load_path(store, roots) == 1 : X509_STORE_load_file(store, roots) == 1;
}

static bool load_crl(X509_STORE *store, const char *crl)
{
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    return lookup != NULL && X509_load_crl_file(lookup, crl, X509_FILETYPE_PEM) > 0;
}

int gwp_tls_open(struct gwp_tls *tls, const char *roots, const char *crl, struct gwh_error *err)
{
    tls->given = roots != NULL;
    tls->crl = crl != NULL;
    tls->from = INT64_MIN;
    tls->until = INT64_MAX;
    ERR_clear_error();
    tls->roots = X509_STORE_new();
    if (tls->roots == NULL || !load_roots(tls->roots, roots)) {
        (void)gwh_fail(err, GWH_IO, "cannot read the roots for servers from %s",
                       roots != NULL ? roots : "OpenSSL's own place");
        return gwh_hint(err, "give a file with CA certificates in PEM, or a folder that `openssl rehash` has seen");
    }
    if (crl != NULL && !load_crl(tls->roots, crl)) {
        return gwh_fail(err, GWH_IO, "%s holds no list of revoked certificates (CRL, PEM)", crl);
    }
    ERR_clear_error();
    return GWH_OK;
}

void gwp_tls_close(struct gwp_tls *tls)
{
    X509_STORE_free(tls->roots);
    X509_STORE_free(tls->bundle);
    tls->roots = tls->bundle = NULL;
}

/* The lists of what is revoked, as they were read, for the CAs of a bundle too. */
static bool copy_crls(X509_STORE *to, X509_STORE *from)
{
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(from);
    bool ok = true;
    for (int i = 0; ok && i < sk_X509_OBJECT_num(all); i++) {
        X509_CRL *crl = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));
        ok = crl == NULL || X509_STORE_add_crl(to, crl) == 1;
    }
    return ok;
}

static bool add_root(X509_STORE *store, struct gw_span der)
{
    const uint8_t *p = der.p;
    X509 *x = d2i_X509(NULL, &p, (long)der.n);
    bool ok = x != NULL && p == der.p + der.n && X509_check_ca(x) == 1 && X509_STORE_add_cert(store, x) == 1;
    X509_free(x);
    return ok;
}

/* A store with the CAs of the list alone. One that cannot be read: nobody is trusted, and GW_ERR_CRYPTO. */
static int take_bundle(struct gwp_tls *tls, const struct gwc_trusted *t)
{
    X509_STORE *store = X509_STORE_new();
    struct gw_span der;
    bool ok = store != NULL;
    for (uint32_t i = 0; ok && gwc_trusted_root(t, i, &der) == GW_OK; i++) {
        ok = add_root(store, der);
    }
    ok = ok && copy_crls(store, tls->roots);
    if (!ok) {
        X509_STORE_free(store);
        store = NULL;
    }
    tls->bundle = store;
    tls->nobody = !ok;
    ERR_clear_error();
    return ok ? GW_OK : GW_ERR_CRYPTO;
}

/* Whose certificates count from now on. *changed is set if it is somebody else. */
static int choose_roots(struct gwp_tls *tls, const struct gwc_trusted *t, bool *changed)
{
    bool same = tls->cas_n == t->roots.n && (t->roots.n == 0 || memcmp(tls->cas, t->roots.p, t->roots.n) == 0);
    if (same && !tls->nobody) {
        return GW_OK;
    }
    *changed = true;
    X509_STORE_free(tls->bundle);
    tls->bundle = NULL;
    tls->nobody = false;
    tls->cas_n = t->roots.n;
    if (t->roots.n == 0) {
        return GW_OK;
    }
    memcpy(tls->cas, t->roots.p, t->roots.n);
    return take_bundle(tls, t);
}

/* ---- What the bundle says ----------------------------------------------------------------------------------- */

static void read_pin(struct gw_cbor *c, void *out)
{
    gw_cbor_fixed(c, out, GW_DIGEST_SIZE);
}

/* True: they are others than before. */
static bool take_pins(struct gwp_tls *tls, const struct gw_trust *trust)
{
    uint8_t old[GWP_PINS_MAX][GW_DIGEST_SIZE];
    uint32_t count = trust != NULL ? gw_list_count(trust->pins) : 0, old_count = tls->pin_count;

    memcpy(old, tls->pins, sizeof old);
    memset(tls->pins, 0, sizeof tls->pins);
    tls->pin_count = count < GWP_PINS_MAX ? count : GWP_PINS_MAX;
    for (uint32_t i = 0; i < tls->pin_count; i++) {
        if (gw_list_read(trust->pins, i, read_pin, tls->pins[i]) != GW_OK) {
            memset(tls->pins[i], 0, GW_DIGEST_SIZE); /* pins nothing */
        }
    }
    return old_count != tls->pin_count || memcmp(old, tls->pins, sizeof old) != 0;
}

int gwp_tls_trust(struct gwp_tls *tls, const struct gw_transport_trust *trust, bool *changed)
{
    const struct gwc_trusted t = {
        .roots = trust->trust != NULL ? trust->trust->server_cas : (struct gw_span){ NULL, 0 }
    };
    uint32_t was = tls->now;

    if (t.roots.n > sizeof tls->cas) {
        return GW_ERR_LIMIT; /* not from a bundle */
    }
    tls->now = trust->now;
    *changed = take_pins(tls, trust->trust);
    int error = choose_roots(tls, &t, changed);
    bool dated = tls->now == 0 || (was != 0 && tls->now >= tls->from && tls->now <= tls->until);
    if (*changed || !dated) {
        *changed = true;
        tls->from = INT64_MIN;
        tls->until = INT64_MAX;
    }
    return error;
}

static bool spki_digest(X509 *cert, uint8_t digest[GW_DIGEST_SIZE])
{
    unsigned char *der = NULL;
    unsigned size = 0;
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    bool ok = n > 0 && EVP_Digest(der, (size_t)n, digest, &size, EVP_sha256(), NULL) == 1 && size == GW_DIGEST_SIZE;
    OPENSSL_free(der);
    return ok;
}

static bool is_pinned(const struct gwp_tls *tls, X509 *cert)
{
    uint8_t digest[GW_DIGEST_SIZE];
    if (X509_check_ca(cert) <= 0 || !spki_digest(cert, digest)) {
        return false;
    }
    for (uint32_t i = 0; i < tls->pin_count; i++) {
        if (memcmp(tls->pins[i], digest, sizeof digest) == 0) {
            return true;
        }
    }
    return false;
}

static bool chain_is_pinned(const struct gwp_tls *tls, STACK_OF(X509) *chain)
{
    bool pinned = tls->pin_count == 0;
    for (int i = 0; !pinned && i < sk_X509_num(chain); i++) {
        pinned = is_pinned(tls, sk_X509_value(chain, i));
    }
    return pinned;
}

/* ---- Verification -------------------------------------------------------------------------------------------- */

/* OpenSSL's errors that have a reason of their own; all others are GW_ERR_TLS. */
static const struct {
    int x509, error;
} causes[] = {
    { X509_V_ERR_CERT_HAS_EXPIRED, GW_ERR_CERT_EXPIRED },
    { X509_V_ERR_CERT_NOT_YET_VALID, GW_ERR_CERT_EARLY },
    { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, GW_ERR_CERT_UNKNOWN },
    { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, GW_ERR_CERT_UNKNOWN },
    { X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, GW_ERR_CERT_UNKNOWN },
    { X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, GW_ERR_CERT_UNKNOWN },
    { X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, GW_ERR_CERT_UNKNOWN },
    { X509_V_ERR_CERT_SIGNATURE_FAILURE, GW_ERR_CERT_UNKNOWN },
    { X509_V_ERR_CERT_CHAIN_TOO_LONG, GW_ERR_CERT_UNKNOWN },
    { X509_V_ERR_CERT_UNTRUSTED, GW_ERR_CERT_UNKNOWN },
    { X509_V_ERR_CERT_REJECTED, GW_ERR_CERT_UNKNOWN },
    { X509_V_ERR_HOSTNAME_MISMATCH, GW_ERR_CERT_NAME },
    { X509_V_ERR_IP_ADDRESS_MISMATCH, GW_ERR_CERT_NAME },
    { X509_V_ERR_INVALID_PURPOSE, GW_ERR_CERT_PURPOSE },
    { X509_V_ERR_INVALID_CA, GW_ERR_CERT_PURPOSE },
    { X509_V_ERR_INVALID_NON_CA, GW_ERR_CERT_PURPOSE },
    { X509_V_ERR_PATH_LENGTH_EXCEEDED, GW_ERR_CERT_PURPOSE },
    { X509_V_ERR_KEYUSAGE_NO_CERTSIGN, GW_ERR_CERT_PURPOSE },
    { X509_V_ERR_CERT_REVOKED, GW_ERR_CERT_REVOKED },
};

static int cause_of(int x509)
{
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        if (causes[i].x509 == x509) {
            return causes[i].error;
        }
    }
    return GW_ERR_TLS;
}

static bool set_host(X509_VERIFY_PARAM *param, const char *host)
{
    if (host == NULL || host[0] == '\0') {
        return false; /* an empty name would switch the check off */
    }
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    bool address = strspn(host, "0123456789.") == strlen(host);
    return (address ? X509_VERIFY_PARAM_set1_ip_asc(param, host) : X509_VERIFY_PARAM_set1_host(param, host, 0)) == 1;
}

static bool set_terms(const struct gwp_tls *tls, X509_STORE_CTX *ctx)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    unsigned long flags = X509_V_FLAG_TRUSTED_FIRST;
    flags |= tls->given || tls->bundle != NULL ? X509_V_FLAG_PARTIAL_CHAIN : 0;
    flags |= tls->crl ? X509_V_FLAG_CRL_CHECK : 0;
    flags |= tls->now == 0 ? X509_V_FLAG_NO_CHECK_TIME : 0;
    if (tls->now != 0) {
        X509_VERIFY_PARAM_set_time(param, (time_t)tls->now);
    }
    X509_VERIFY_PARAM_set_depth(param, CHAIN_MAX);
    X509_VERIFY_PARAM_set_auth_level(param, LEVEL);
    return X509_STORE_CTX_set_default(ctx, "ssl_server") == 1 && X509_VERIFY_PARAM_set_flags(param, flags) == 1 &&
           set_host(param, tls->host);
}

static int64_t seconds(const ASN1_TIME *t, int64_t unknown)
{
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : unknown;
}

/* Remembers how long what was just verified may be relied on. */
static void note_dates(struct gwp_tls *tls, STACK_OF(X509) *chain)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        int64_t from = seconds(X509_get0_notBefore(sk_X509_value(chain, i)), INT64_MAX);
        int64_t until = seconds(X509_get0_notAfter(sk_X509_value(chain, i)), INT64_MIN);
        tls->from = from > tls->from ? from : tls->from;
        tls->until = until < tls->until ? until : tls->until;
    }
}

static int refuse(struct gwp_tls *tls, X509_STORE_CTX *ctx, int error, const char *text)
{
    X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
    char subject[128] = "";
    if (cert != NULL) {
        (void)X509_NAME_oneline(X509_get_subject_name(cert), subject, sizeof subject);
    }
    for (char *p = subject; *p != '\0'; p++) {
        *p = *p < ' ' || *p > '~' ? '?' : *p; /* foreign text for a terminal */
    }
    tls->cause = error;
    (void)snprintf(tls->why, sizeof tls->why, "certificate of %.80s: %.60s (%.80s)", tls->host, text, subject);
    return 0;
}

static int judge(struct gwp_tls *tls, X509_STORE_CTX *ctx)
{
    if (!set_terms(tls, ctx)) {
        return refuse(tls, ctx, GW_ERR_TLS, "cannot be verified");
    }
    if (X509_verify_cert(ctx) != 1) {
        int error = X509_STORE_CTX_get_error(ctx);
        return refuse(tls, ctx, cause_of(error), X509_verify_cert_error_string(error));
    }
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
    if (!chain_is_pinned(tls, chain)) {
        return refuse(tls, ctx, GW_ERR_CERT_PIN, "no CA of its chain is pinned");
    }
    note_dates(tls, chain);
    return 1;
}

/* A CA that came with a bundle, whose list nobody gave to this device: nothing of it is known to be revoked. */
static int on_fault(int ok, X509_STORE_CTX *ctx)
{
    return ok == 1 || X509_STORE_CTX_get_error(ctx) == X509_V_ERR_UNABLE_TO_GET_CRL;
}

static int verify(X509_STORE_CTX *theirs, void *arg)
{
    struct gwp_tls *tls = arg;
    X509_STORE_CTX *ours = X509_STORE_CTX_new();
    X509 *leaf = X509_STORE_CTX_get0_cert(theirs);
    int ok = 0, error = X509_V_ERR_UNSPECIFIED;

    tls->cause = GW_ERR_TLS;
    if (tls->nobody) {
        X509_STORE_CTX_set_error(theirs, X509_V_ERR_CERT_UNTRUSTED);
        X509_STORE_CTX_free(ours);
        return refuse(tls, theirs, GW_ERR_CERT_UNKNOWN, "a CA of servers in the trust bundle cannot be read");
    }
    if (ours != NULL && leaf != NULL &&
        X509_STORE_CTX_init(ours, tls->bundle != NULL ? tls->bundle : tls->roots, leaf,
                            X509_STORE_CTX_get0_untrusted(theirs)) == 1) {
        if (tls->bundle != NULL) {
            X509_STORE_CTX_set_verify_cb(ours, on_fault);
        }
        ok = judge(tls, ours);
        error = X509_STORE_CTX_get_error(ours);
    }
    if (ok == 1) {
        tls->cause = GW_OK;
    }
    error = ok == 1 ? X509_V_OK : error == X509_V_OK ? X509_V_ERR_APPLICATION_VERIFICATION : error;
    X509_STORE_CTX_set_error(theirs, error);
    X509_STORE_CTX_free(ours);
    return ok;
}

/* ---- A connection -------------------------------------------------------------------------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int place = -1; /* of a struct gwp_tls in an SSL_CTX */

static void find_place(void)
{
    place = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static void on_info(const SSL *ssl, int where, int value)
{
    struct gwp_tls *tls = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), place);
    if (tls != NULL && (where & SSL_CB_ALERT) != 0 && (value >> 8) == SSL3_AL_FATAL) {
        tls->alert = true;
        if (tls->why[0] == '\0') {
            (void)snprintf(tls->why, sizeof tls->why, "TLS alert, %s: %s",
                           (where & SSL_CB_READ) != 0 ? "from the server" : "sent", SSL_alert_desc_string_long(value));
        }
    }
}

void gwp_tls_begin(struct gwp_tls *tls, const char *host)
{
    tls->host = host;
    tls->cause = GW_OK;
    tls->alert = false;
    tls->why[0] = '\0';
}

int gwp_tls_attach(struct gwp_tls *tls, SSL_CTX *ctx, bool anonymous)
{
    (void)pthread_once(&once, find_place);
    if (place < 0 || SSL_CTX_set_ex_data(ctx, place, tls) != 1 ||
        SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
        return GW_ERR_TLS;
    }
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_keylog_callback(ctx, NULL); /* libcurl would follow SSLKEYLOGFILE */
    SSL_CTX_set_info_callback(ctx, on_info);
    if (!anonymous) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_cert_verify_callback(ctx, verify, tls);
    }
    return GW_OK;
}

/* ---- The client's own certificate ----------------------------------------------------------------------------- */

int gwp_tls_check_client(struct gw_span certificate, struct gw_span key, struct gwh_error *err)
{
    BIO *a = BIO_new_mem_buf(certificate.p, (int)certificate.n), *b = BIO_new_mem_buf(key.p, (int)key.n);
    X509 *cert = a == NULL ? NULL : PEM_read_bio_X509(a, NULL, gwh_passphrase_given, NULL);
    EVP_PKEY *pkey = b == NULL ? NULL : PEM_read_bio_PrivateKey(b, NULL, gwh_passphrase_given, NULL);
    bool match = cert != NULL && pkey != NULL && X509_check_private_key(cert, pkey) == 1;
    int e = match          ? GWH_OK
            : cert == NULL ? gwh_fail(err, GWH_REFUSED, "the client certificate is no certificate in PEM")
            : pkey == NULL ? gwh_fail(err, GWH_REFUSED, "the client's key is no key in PEM, or has a passphrase")
                           : gwh_fail(err, GWH_REFUSED, "the client certificate and its key do not belong together");
    EVP_PKEY_free(pkey);
    X509_free(cert);
    BIO_free(a);
    BIO_free(b);
    ERR_clear_error();
    return e;
}
