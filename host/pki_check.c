/*
 * pki_check.c - see pki.h: reading and checking certificates and requests.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "file.h"
#include "pki.h"
#include "pki_internal.h"

#define PEM_MAX (1024u * 1024u)

static BIO *open_pem(struct gwh_buf *pem, const char *path, struct gwh_error *err)
{
    if (gwh_file_read(pem, path, PEM_MAX, err) != GWH_OK) {
        return NULL;
    }
    BIO *bio = BIO_new_mem_buf(pem->p, (int)pem->n);
    if (bio == NULL) {
        (void)gwh_fail_reason(err, GW_ERR_SPACE, "%s", path);
    }
    return bio;
}

X509 *gwh_pki_read(const char *path, struct gwh_error *err)
{
    struct gwh_buf pem = {0};
    BIO *bio = open_pem(&pem, path, err);
    X509 *x = bio != NULL ? PEM_read_bio_X509(bio, NULL, gwh_passphrase_given, NULL) : NULL;
    if (bio != NULL && x == NULL) {
        (void)gwh_fail(err, GWH_REFUSED, "%s is no X.509 certificate in PEM", path);
    }
    ERR_clear_error();
    BIO_free(bio);
    gwh_buf_free(&pem);
    return x;
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

int gwh_device_id_check(const char *id, struct gwh_error *err)
{
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    if (n == 0 || n > GW_DEVICE_ID_MAX || id[n] != '\0') {
        return gwh_fail_reason(err, GW_ERR_VALUE, "\"%.60s\" is no device id (letters, digits, _ and -, at most %u)",
                               id, GW_DEVICE_ID_MAX);
    }
    if (strcmp(id, "server") == 0) {
        return gwh_fail(err, GWH_REFUSED, "no device may be called \"server\"");
    }
    return GWH_OK;
}

/* The only common name, as UTF-8 without zeros. */
static bool common_name(char *out, size_t size, const X509_NAME *name)
{
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    uint8_t *text = NULL;
    out[0] = '\0';
    if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0) {
        return false;
    }
    int n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    bool ok = n > 0 && (size_t)n < size && memchr(text, 0, (size_t)n) == NULL;
    if (ok) {
        memcpy(out, text, (size_t)n);
        out[n] = '\0';
    }
    OPENSSL_free(text);
    return ok;
}

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

static int take_key(struct gwh_key *key, EVP_PKEY *evp, const char *path, struct gwh_error *err)
{
    struct gwh_buf pem = {0};
    BIO *bio = BIO_new(BIO_s_mem());
    int e = bio != NULL && PEM_write_bio_PUBKEY(bio, evp) == 1 ? gwh_pki_take(&pem, bio, err)
                                                             : gwh_openssl_failed(err, "cannot read the key");
    e = e == GWH_OK ? gwh_key_parse(key, gwh_span(&pem), path, NULL, NULL, err) : e;
    if (e == GWH_OK && key->pub.algorithm != GW_ALG_ES256) {
        gwh_key_free(key);
        e = gwh_fail(err, GWH_REFUSED, "%s is for a key that is not P-256", path);
    }
    BIO_free(bio);
    gwh_buf_free(&pem);
    return e;
}

static int check_request(X509_REQ *q, char out[GW_DEVICE_ID_MAX + 1], const char *path, const char *id,
                         struct gwh_error *err)
{
    EVP_PKEY *evp = X509_REQ_get0_pubkey(q);
    if (evp == NULL || X509_REQ_verify(q, evp) != 1) {
        return gwh_fail(err, GWH_REFUSED, "%s is not signed by the key that it is for", path);
    }
    if (!common_name(out, GW_DEVICE_ID_MAX + 1, X509_REQ_get_subject_name(q)) ||
        X509_NAME_entry_count(X509_REQ_get_subject_name(q)) != 1) {
        return gwh_fail(err, GWH_REFUSED, "%s: its subject is not the common name of one device", path);
    }
    if (id != NULL && strcmp(out, id) != 0) {
        return gwh_fail(err, GWH_REFUSED, "%s is for device %s, not %s", path, out, id);
    }
    return gwh_device_id_check(out, err);
}

int gwh_csr_read(struct gwh_key *key, char out[GW_DEVICE_ID_MAX + 1], const char *path, const char *id,
                 struct gwh_error *err)
{
    struct gwh_buf pem = {0};
    BIO *bio = open_pem(&pem, path, err);
    X509_REQ *q = bio != NULL ? PEM_read_bio_X509_REQ(bio, NULL, gwh_passphrase_given, NULL) : NULL;
    int e = GWH_OK;
    memset(key, 0, sizeof *key);
    if (bio == NULL) {
        e = err->exit;
    } else if (q == NULL) {
        e = gwh_fail(err, GWH_REFUSED, "%s is no request for a certificate (PKCS#10, PEM)", path);
    }
    e = e == GWH_OK ? check_request(q, out, path, id, err) : e;
    e = e == GWH_OK ? take_key(key, X509_REQ_get0_pubkey(q), path, err) : e;
    ERR_clear_error();
    X509_REQ_free(q);
    BIO_free(bio);
    gwh_buf_free(&pem);
    return e;
}

/* ---- Certificates ------------------------------------------------------------------------------------------------ */

static time_t seconds(const ASN1_TIME *t)
{
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
}

int gwh_crl_check(const char *path, const char *ca, time_t *until, struct gwh_error *err)
{
    X509 *issuer = gwh_pki_read(ca, err);
    X509_CRL *crl = issuer != NULL ? gwh_pki_read_crl(path, err) : NULL;
    if (crl != NULL && X509_CRL_verify(crl, X509_get0_pubkey(issuer)) != 1) {
        (void)gwh_fail(err, GWH_REFUSED, "%s is no list of the CA in %s", path, ca);
    } else if (crl != NULL) {
        *until = X509_CRL_get0_nextUpdate(crl) != NULL ? seconds(X509_CRL_get0_nextUpdate(crl)) : 0;
    }
    ERR_clear_error();
    X509_CRL_free(crl);
    X509_free(issuer);
    return err->exit;
}

int gwh_pki_describe(struct gwh_certificate *c, X509 *x)
{
    uint8_t *spki = NULL;
    memset(c, 0, sizeof *c);
    (void)common_name(c->subject, sizeof c->subject, X509_get_subject_name(x));
    (void)common_name(c->issuer, sizeof c->issuer, X509_get_issuer_name(x));
    c->from = seconds(X509_get0_notBefore(x));
    c->until = seconds(X509_get0_notAfter(x));
    c->is_ca = X509_check_ca(x) == 1;
    c->for_server = X509_check_purpose(x, X509_PURPOSE_SSL_SERVER, 0) == 1;
    c->for_client = X509_check_purpose(x, X509_PURPOSE_SSL_CLIENT, 0) == 1;
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &spki);
    int reason = n > 0 ? gw_sha256(gwh_openssl()->gw, spki, (size_t)n, c->spki) : GW_ERR_CRYPTO;
    OPENSSL_free(spki);
    return reason;
}

int gwh_certificate_info(struct gwh_certificate *c, const char *path, struct gwh_error *err)
{
    X509 *x = gwh_pki_read(path, err);
    if (x == NULL) {
        return err->exit;
    }
    int reason = gwh_pki_describe(c, x);
    ERR_clear_error();
    X509_free(x);
    return reason == GW_OK ? GWH_OK : gwh_fail_reason(err, reason, "%s", path);
}

static bool host_text(char out[256], const GENERAL_NAME *name)
{
    int type = 0;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    int n = value != NULL ? ASN1_STRING_length(value) : 0;
    const uint8_t *p = value != NULL ? ASN1_STRING_get0_data(value) : NULL;
    if (type == GEN_DNS && n > 0 && n < 256 && memchr(p, 0, (size_t)n) == NULL) {
        (void)snprintf(out, 256, "%.*s", n, (const char *)p);
        return true;
    }
    return type == GEN_IPADD && (n == 4 || n == 16) && inet_ntop(n == 4 ? AF_INET : AF_INET6, p, out, 256) != NULL;
}

int gwh_certificate_hosts(const char *path, char (*out)[256], unsigned max, unsigned *count, struct gwh_error *err)
{
    X509 *x = gwh_pki_read(path, err);
    GENERAL_NAMES *names = x != NULL ? X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL) : NULL;
    unsigned n = 0;
    bool good = names != NULL && sk_GENERAL_NAME_num(names) > 0 && (unsigned)sk_GENERAL_NAME_num(names) <= max;
    for (int i = 0; good && i < sk_GENERAL_NAME_num(names); i++) {
        good = host_text(out[n++], sk_GENERAL_NAME_value(names, i));
    }
    *count = n;
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    if (x == NULL) {
        return err->exit;
    }
    X509_free(x);
    return good ? GWH_OK : gwh_fail(err, GWH_REFUSED, "%s names no host, or what is no host", path);
}

static bool set_up(X509_STORE_CTX *ctx, X509_STORE *store, X509 *x, enum gwh_purpose purpose, const char *host)
{
    X509_VERIFY_PARAM *p = NULL;
    if (X509_STORE_CTX_init(ctx, store, x, NULL) != 1) {
        return false;
    }
    p = X509_STORE_CTX_get0_param(ctx);
    bool ok = X509_VERIFY_PARAM_set_purpose(p, purpose == GWH_SERVER ? X509_PURPOSE_SSL_SERVER
                                                                    : X509_PURPOSE_SSL_CLIENT) == 1;
    if (ok && host != NULL) {
        ok = X509_VERIFY_PARAM_set1_ip_asc(p, host) == 1 || X509_VERIFY_PARAM_set1_host(p, host, 0) == 1;
    }
    return ok;
}

int gwh_certificate_check(const char *path, const char *ca, enum gwh_purpose purpose, const char *host,
                          struct gwh_error *err)
{
    X509 *x = gwh_pki_read(path, err);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    int e = x != NULL ? GWH_OK : err->exit;
    if (e == GWH_OK && (store == NULL || ctx == NULL || X509_STORE_load_file(store, ca) != 1)) {
        e = gwh_fail(err, GWH_IO, "cannot read the CA %s", ca);
    } else if (e == GWH_OK && !set_up(ctx, store, x, purpose, host)) {
        e = gwh_openssl_failed(err, path);
    } else if (e == GWH_OK && X509_verify_cert(ctx) != 1) {
        e = gwh_fail(err, GWH_REFUSED, "%s, checked with %s%s%s: %s", path, ca, host != NULL ? " for " : "",
                     host != NULL ? host : "", X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    }
    ERR_clear_error();
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(x);
    return e;
}

int gwh_certificate_fits(const char *path, const char *key, struct gwh_error *err)
{
    struct gwh_key k = {0};
    X509 *x = gwh_pki_read(path, err);
    int e = x != NULL ? gwh_key_load_private(&k, key, NULL, err) : err->exit;
    if (e == GWH_OK && EVP_PKEY_eq(X509_get0_pubkey(x), k.evp) != 1) {
        e = gwh_fail(err, GWH_REFUSED, "%s and %s do not belong together", path, key);
    }
    ERR_clear_error();
    gwh_key_free(&k);
    X509_free(x);
    return e;
}
