/*
 * pki.c - see pki.h: making CAs, certificates, requests and lists. What reads and checks them is pki_check.c.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "file.h"
#include "pki.h"
#include "pki_internal.h"

#define HOUR 3600
#define NAME_MAX_BYTES 64 /* of a common name, RFC 5280 */

int gwh_pki_take(struct gwh_buf *out, BIO *bio, struct gwh_error *err)
{
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);
    return n > 0 && gwh_buf_add(out, p, (size_t)n) == GW_OK ? GWH_OK : gwh_fail_reason(err, GW_ERR_SPACE, "PEM");
}

/* ---- Parts of a certificate -------------------------------------------------------------------------------------- */

static X509_NAME *make_name(const char *text)
{
    X509_NAME *name = X509_NAME_new();
    if (name == NULL || strlen(text) > NAME_MAX_BYTES ||
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)text, -1, -1, 0) != 1) {
        X509_NAME_free(name);
        return NULL;
    }
    return name;
}

/* 127 random bits, the highest set: positive, and never the same twice. */
static bool set_serial(X509 *x)
{
    uint8_t bytes[16];
    if (RAND_bytes(bytes, sizeof bytes) != 1) {
        return false;
    }
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
    BIGNUM *n = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
    BN_free(n);
    return ok;
}

static bool set_dates(X509 *x, unsigned days)
{
    return X509_gmtime_adj(X509_getm_notBefore(x), -HOUR) != NULL &&
           X509_time_adj_ex(X509_getm_notAfter(x), (int)days, 0, NULL) != NULL;
}

static bool extend(X509 *x, X509V3_CTX *ctx, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
    bool ok = e != NULL && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

/* One name or address; nothing of it is parsed as anything else. */
static bool add_host(GENERAL_NAMES *names, const char *host)
{
    uint8_t address[16];
    int n = inet_pton(AF_INET, host, address) == 1 ? 4 : inet_pton(AF_INET6, host, address) == 1 ? 16 : 0;
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value = n != 0 ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    bool ok = name != NULL && value != NULL &&
              ASN1_STRING_set(value, n != 0 ? (const void *)address : (const void *)host,
                              n != 0 ? n : (int)strlen(host)) == 1;
    if (ok) {
        GENERAL_NAME_set0_value(name, n != 0 ? GEN_IPADD : GEN_DNS, value);
        ok = sk_GENERAL_NAME_push(names, name) > 0;
        value = NULL;
        name = ok ? NULL : name;
    }
    ASN1_STRING_free(value);
    GENERAL_NAME_free(name);
    return ok;
}

static bool add_hosts(X509 *x, const struct gwh_leaf *leaf)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    bool ok = names != NULL;
    for (size_t i = 0; ok && i < leaf->host_count; i++) {
        ok = add_host(names, leaf->hosts[i]);
    }
    ok = ok && (leaf->host_count == 0 || X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0) == 1);
    GENERAL_NAMES_free(names);
    return ok;
}

/* A name of a host: letters, digits, '-' and '.', or an address; no wildcard. */
static int check_host(const char *host, struct gwh_error *err)
{
    uint8_t address[16];
    if (inet_pton(AF_INET6, host, address) == 1) {
        return GWH_OK;
    }
    size_t n = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");
    if (n == 0 || n > 253 || host[n] != '\0' || host[0] == '.' || host[0] == '-' || strstr(host, "..") != NULL) {
        return gwh_fail(err, GWH_USAGE, "%.100s: expected the name of a host, or its address", host);
    }
    return GWH_OK;
}

/* ---- CAs --------------------------------------------------------------------------------------------------------- */

static bool fill_ca(X509 *x, const struct gwh_key *key, const char *name, unsigned days)
{
    X509V3_CTX ctx;
    X509_NAME *n = make_name(name);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    bool ok = n != NULL && X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) && set_dates(x, days) &&
              X509_set_subject_name(x, n) == 1 && X509_set_issuer_name(x, n) == 1 &&
              X509_set_pubkey(x, key->evp) == 1 &&
              extend(x, &ctx, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
              extend(x, &ctx, NID_key_usage, "critical,keyCertSign,cRLSign") &&
              extend(x, &ctx, NID_subject_key_identifier, "hash") && X509_sign(x, key->evp, EVP_sha256()) > 0;
    X509_NAME_free(n);
    return ok;
}

static int write_pem(const X509 *x, const char *folder, const char *name, bool force, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    struct gwh_buf pem = {0};
    BIO *bio = BIO_new(BIO_s_mem());
    int e = gwh_path(path, folder, name, err);
    if (e == GWH_OK && (bio == NULL || PEM_write_bio_X509(bio, x) != 1)) {
        e = gwh_openssl_failed(err, "cannot encode a certificate");
    }
    e = e == GWH_OK ? gwh_pki_take(&pem, bio, err) : e;
    e = e == GWH_OK ? gwh_file_write(path, gwh_span(&pem), 0644, force, err) : e;
    gwh_buf_free(&pem);
    BIO_free(bio);
    return e;
}

static int make_folder(const char *folder, struct gwh_error *err)
{
    if (mkdir(folder, 0700) != 0 && (errno != EEXIST || !gwh_is_folder(folder))) {
        return gwh_fail_errno(err, "cannot make the folder %s", folder);
    }
    return GWH_OK;
}

int gwh_ca_new(struct gwh_ca *ca, const char *folder, const char *name, unsigned days, const char *passphrase,
               bool force, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    memset(ca, 0, sizeof *ca);
    if (name[0] == '\0' || strlen(name) > NAME_MAX_BYTES) {
        return gwh_fail(err, GWH_USAGE, "a CA has a name of 1 to %d bytes", NAME_MAX_BYTES);
    }
    (void)snprintf(ca->folder, sizeof ca->folder, "%.1000s", folder);
    int e = make_folder(folder, err);
    e = e == GWH_OK ? gwh_path(path, folder, "ca.key", err) : e;
    e = e == GWH_OK ? gwh_key_new(&ca->key, GWH_P256, err) : e;
    ca->certificate = e == GWH_OK ? X509_new() : NULL;
    if (e == GWH_OK && (ca->certificate == NULL || !fill_ca(ca->certificate, &ca->key, name, days))) {
        e = gwh_openssl_failed(err, "cannot make a CA");
    }
    e = e == GWH_OK ? gwh_key_save(&ca->key, path, passphrase, force, err) : e;
    e = e == GWH_OK ? write_pem(ca->certificate, folder, "ca.pem", force, err) : e;
    e = e == GWH_OK ? gwh_ca_revoke(ca, NULL, GWH_CRL_DAYS, err) : e;
    if (e != GWH_OK) {
        gwh_ca_free(ca);
    }
    return e;
}

int gwh_ca_load(struct gwh_ca *ca, const char *folder, const char *passphrase, struct gwh_error *err)
{
    char key[GWH_PATH_MAX], certificate[GWH_PATH_MAX];
    memset(ca, 0, sizeof *ca);
    (void)snprintf(ca->folder, sizeof ca->folder, "%.1000s", folder);
    int e = gwh_path(key, folder, "ca.key", err);
    e = e == GWH_OK ? gwh_path(certificate, folder, "ca.pem", err) : e;
    e = e == GWH_OK ? gwh_key_load_private(&ca->key, key, passphrase, err) : e;
    ca->certificate = e == GWH_OK ? gwh_pki_read(certificate, err) : NULL;
    if (e == GWH_OK && ca->certificate == NULL) {
        e = err->exit;
    } else if (e == GWH_OK && X509_check_ca(ca->certificate) != 1) {
        e = gwh_fail(err, GWH_REFUSED, "%s is not the certificate of a CA", certificate);
    } else if (e == GWH_OK && EVP_PKEY_eq(X509_get0_pubkey(ca->certificate), ca->key.evp) != 1) {
        e = gwh_fail(err, GWH_REFUSED, "%s and %s do not belong together", certificate, key);
    }
    ERR_clear_error();
    if (e != GWH_OK) {
        gwh_ca_free(ca);
    }
    return e;
}

void gwh_ca_free(struct gwh_ca *ca)
{
    X509_free(ca->certificate);
    gwh_key_free(&ca->key);
    memset(ca, 0, sizeof *ca);
}

/* ---- What they sign ---------------------------------------------------------------------------------------------- */

static bool fill_leaf(X509 *x, const struct gwh_ca *ca, const struct gwh_leaf *leaf, const struct gwh_key *key)
{
    X509V3_CTX ctx;
    X509_NAME *name = make_name(leaf->name);
    X509V3_set_ctx(&ctx, ca->certificate, x, NULL, NULL, 0);
    bool ok = name != NULL && X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
              set_dates(x, leaf->days) && X509_set_subject_name(x, name) == 1 &&
              X509_set_issuer_name(x, X509_get_subject_name(ca->certificate)) == 1 &&
              X509_set_pubkey(x, key->evp) == 1 &&
              extend(x, &ctx, NID_basic_constraints, "critical,CA:FALSE") &&
              extend(x, &ctx, NID_key_usage, "critical,digitalSignature") &&
              extend(x, &ctx, NID_ext_key_usage, leaf->purpose == GWH_SERVER ? "serverAuth" : "clientAuth") &&
              extend(x, &ctx, NID_authority_key_identifier, "keyid") && add_hosts(x, leaf) &&
              X509_sign(x, ca->key.evp, EVP_sha256()) > 0;
    X509_NAME_free(name);
    return ok;
}

/* A line in the folder's list of what was signed. The name was checked: it has no comma and no quote. */
static int write_down(const struct gwh_ca *ca, const X509 *x, const struct gwh_leaf *leaf, struct gwh_error *err)
{
    char path[GWH_PATH_MAX], line[256], until[32] = "";
    struct tm t;
    int e = gwh_path(path, ca->folder, "issued.csv", err);
    BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    char *serial = n != NULL ? BN_bn2hex(n) : NULL;
    int fd = e == GWH_OK ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644) : -1;
    if (e == GWH_OK && ASN1_TIME_to_tm(X509_get0_notAfter(x), &t) == 1) {
        (void)strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%SZ", &t);
    }
    int length = snprintf(line, sizeof line, "%s,%s,%s\n", serial != NULL ? serial : "?", leaf->name, until);
    if (e == GWH_OK && (fd < 0 || write(fd, line, (size_t)length) != length || fsync(fd) != 0)) {
        e = gwh_fail_errno(err, "cannot write %s", path);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    OPENSSL_free(serial);
    BN_free(n);
    return e;
}

static int check_leaf(const struct gwh_ca *ca, const struct gwh_leaf *leaf, const struct gwh_key *key,
                      struct gwh_error *err)
{
    int e = GWH_OK;
    if (key->pub.algorithm != GW_ALG_ES256) {
        return gwh_fail(err, GWH_REFUSED, "certificates are made for P-256 keys");
    }
    if (leaf->days == 0 || leaf->days > 36500) {
        return gwh_fail(err, GWH_USAGE, "a certificate is good for 1 to 36500 days");
    }
    if (leaf->purpose == GWH_SERVER && leaf->host_count == 0) {
        return gwh_fail(err, GWH_USAGE, "a server's certificate needs the server's name or address");
    }
    for (size_t i = 0; e == GWH_OK && i < leaf->host_count; i++) {
        e = check_host(leaf->hosts[i], err);
    }
    if (e == GWH_OK && EVP_PKEY_eq(ca->key.evp, key->evp) == 1) {
        e = gwh_fail(err, GWH_REFUSED, "a CA does not sign its own key");
    }
    ERR_clear_error();
    return e;
}

int gwh_ca_sign(const struct gwh_ca *ca, const struct gwh_leaf *leaf, const struct gwh_key *key, struct gwh_buf *pem,
                struct gwh_error *err)
{
    int e = check_leaf(ca, leaf, key, err);
    X509 *x = e == GWH_OK ? X509_new() : NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    if (e == GWH_OK && (x == NULL || bio == NULL || !fill_leaf(x, ca, leaf, key) || PEM_write_bio_X509(bio, x) != 1)) {
        e = gwh_openssl_failed(err, "cannot make a certificate");
    }
    e = e == GWH_OK ? write_down(ca, x, leaf, err) : e;
    e = e == GWH_OK ? gwh_pki_take(pem, bio, err) : e;
    BIO_free(bio);
    X509_free(x);
    return e;
}

int gwh_ca_sign_new(const struct gwh_ca *ca, const struct gwh_leaf *leaf, const char *folder, const char *name,
                    bool force, struct gwh_error *err)
{
    char file[128], key_path[GWH_PATH_MAX], path[GWH_PATH_MAX];
    struct gwh_key key = {0};
    struct gwh_buf pem = {0};
    (void)snprintf(file, sizeof file, "%.100s.key", name);
    int e = gwh_path(key_path, folder, file, err);
    (void)snprintf(file, sizeof file, "%.100s.pem", name);
    e = e == GWH_OK ? gwh_path(path, folder, file, err) : e;
    e = e == GWH_OK ? gwh_key_new(&key, GWH_P256, err) : e;
    e = e == GWH_OK ? gwh_ca_sign(ca, leaf, &key, &pem, err) : e;
    e = e == GWH_OK ? gwh_key_save(&key, key_path, NULL, force, err) : e;
    e = e == GWH_OK ? gwh_file_write(path, gwh_span(&pem), 0644, force, err) : e;
    gwh_key_free(&key);
    gwh_buf_free(&pem);
    return e;
}

/* ---- Revocation -------------------------------------------------------------------------------------------------- */

static bool add_revoked(X509_CRL *crl, const X509 *x)
{
    X509_REVOKED *r = NULL, *there = NULL;
    if (X509_CRL_get0_by_cert(crl, &there, (X509 *)(uintptr_t)x) == 1) {
        return true;
    }
    r = X509_REVOKED_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, 0);
    bool ok = r != NULL && now != NULL && X509_REVOKED_set_serialNumber(r, (ASN1_INTEGER *)(uintptr_t)
                                                                        X509_get0_serialNumber(x)) == 1 &&
              X509_REVOKED_set_revocationDate(r, now) == 1 && X509_CRL_add0_revoked(crl, r) == 1;
    ASN1_TIME_free(now);
    if (!ok) {
        X509_REVOKED_free(r);
    }
    return ok;
}

static bool sign_crl(X509_CRL *crl, const struct gwh_ca *ca, unsigned days)
{
    ASN1_TIME *from = X509_gmtime_adj(NULL, -HOUR), *until = X509_time_adj_ex(NULL, (int)days, 0, NULL);
    bool ok = from != NULL && until != NULL && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
              X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->certificate)) == 1 &&
              X509_CRL_set1_lastUpdate(crl, from) == 1 && X509_CRL_set1_nextUpdate(crl, until) == 1 &&
              X509_CRL_sort(crl) == 1 && X509_CRL_sign(crl, ca->key.evp, EVP_sha256()) > 0;
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    return ok;
}

X509_CRL *gwh_pki_read_crl(const char *path, struct gwh_error *err)
{
    struct gwh_buf pem = {0};
    if (gwh_file_read(&pem, path, 64u * 1024u * 1024u, err) != GWH_OK) {
        return NULL;
    }
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509_CRL *crl = bio != NULL ? PEM_read_bio_X509_CRL(bio, NULL, gwh_passphrase_given, NULL) : NULL;
    BIO_free(bio);
    gwh_buf_free(&pem);
    if (crl == NULL) {
        (void)gwh_fail(err, GWH_REFUSED, "%s is no list of revoked certificates", path);
    }
    ERR_clear_error();
    return crl;
}

int gwh_ca_revoke(const struct gwh_ca *ca, const char *path, unsigned days, struct gwh_error *err)
{
    char list[GWH_PATH_MAX];
    struct gwh_buf pem = {0};
    int e = gwh_path(list, ca->folder, "crl.pem", err);
    X509 *x = e == GWH_OK && path != NULL ? gwh_pki_read(path, err) : NULL;
    /* as it is, or a new one; NULL: it is there and cannot be read */
    X509_CRL *crl = e != GWH_OK ? NULL : gwh_file_exists(list) ? gwh_pki_read_crl(list, err) : X509_CRL_new();
    BIO *bio = BIO_new(BIO_s_mem());
    if (e == GWH_OK && (crl == NULL || (path != NULL && x == NULL))) {
        e = err->exit != GWH_OK ? err->exit : gwh_fail_reason(err, GW_ERR_SPACE, "%s", list);
    } else if (e == GWH_OK && x != NULL && X509_verify(x, ca->key.evp) != 1) {
        e = gwh_fail(err, GWH_REFUSED, "%s was not signed by the CA in %s", path, ca->folder);
    } else if (e == GWH_OK && ((x != NULL && !add_revoked(crl, x)) || !sign_crl(crl, ca, days) || bio == NULL ||
                               PEM_write_bio_X509_CRL(bio, crl) != 1)) {
        e = gwh_openssl_failed(err, "cannot make a list of revoked certificates");
    }
    e = e == GWH_OK ? gwh_pki_take(&pem, bio, err) : e;
    e = e == GWH_OK ? gwh_file_write(list, gwh_span(&pem), 0644, true, err) : e;
    ERR_clear_error();
    gwh_buf_free(&pem);
    BIO_free(bio);
    X509_CRL_free(crl);
    X509_free(x);
    return e;
}

/* ---- Requests ---------------------------------------------------------------------------------------------------- */

int gwh_csr_make(struct gwh_buf *pem, const struct gwh_key *key, const char *id, struct gwh_error *err)
{
    int e = gwh_device_id_check(id, err);
    if (e != GWH_OK) {
        return e;
    }
    X509_REQ *q = X509_REQ_new();
    X509_NAME *name = make_name(id);
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = q != NULL && name != NULL && bio != NULL && X509_REQ_set_version(q, X509_REQ_VERSION_1) == 1 &&
              X509_REQ_set_subject_name(q, name) == 1 && X509_REQ_set_pubkey(q, key->evp) == 1 &&
              X509_REQ_sign(q, key->evp, EVP_sha256()) > 0 && PEM_write_bio_X509_REQ(bio, q) == 1;
    e = ok ? gwh_pki_take(pem, bio, err) : gwh_openssl_failed(err, "cannot make a request");
    BIO_free(bio);
    X509_NAME_free(name);
    X509_REQ_free(q);
    return e;
}
