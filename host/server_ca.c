/*
 * server_ca.c - see pki.h: CAs of servers, as a trust bundle names them (SPEC.md, section 3, item 9).
 *
 * Stricter than the devices: what one kind of device would not take, and with it nobody, is refused here.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "file.h"
#include "pki.h"
#include "pki_internal.h"

#define SIZE_MAX_OF_CA 1024u /* SPEC.md */
#define FILE_MAX (64u * 1024u)

/* The only certificate in it, PEM or DER; NULL and err. */
static X509 *read_one(const struct gwh_buf *bytes, const char *path, struct gwh_error *err)
{
    const uint8_t *p = bytes->p;
    BIO *bio = BIO_new_mem_buf(bytes->p, (int)bytes->n);
    X509 *x = bio != NULL ? PEM_read_bio_X509(bio, NULL, gwh_passphrase_given, NULL) : NULL;
    X509 *more = x != NULL ? PEM_read_bio_X509(bio, NULL, gwh_passphrase_given, NULL) : NULL;
    if (x == NULL) {
        x = d2i_X509(NULL, &p, (long)bytes->n);
        if (x != NULL && p != bytes->p + bytes->n) {
            X509_free(x);
            x = NULL;
        }
    }
    if (x == NULL) {
        (void)gwh_fail(err, GWH_REFUSED, "%s is no X.509 certificate in PEM or DER", path);
    } else if (more != NULL) {
        (void)gwh_fail(err, GWH_REFUSED, "%s holds more than one certificate", path);
        (void)gwh_hint(err, "give each CA that may sign servers a file and a --server-ca of its own; intermediate "
                            "certificates belong to the server, which sends them");
        X509_free(x);
        x = NULL;
    }
    ERR_clear_error();
    X509_free(more);
    BIO_free(bio);
    return x;
}

/* Every TLS layer of a device reads it (ports/tls/config). */
static bool key_is_taken(const X509 *x)
{
    EVP_PKEY *key = X509_get0_pubkey(x);
    int type = key != NULL ? EVP_PKEY_get_base_id(key) : 0, bits = key != NULL ? EVP_PKEY_get_bits(key) : 0;
    char group[32] = "";
    if (type == EVP_PKEY_RSA) {
        return bits >= 2048 && bits <= 4096;
    }
    return type == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
           OBJ_txt2nid(group) == NID_X9_62_prime256v1;
}

static int check(X509 *x, const char *path, size_t n, struct gwh_error *err)
{
    if (X509_check_ca(x) != 1) {
        (void)gwh_fail(err, GWH_REFUSED, "%s is not the certificate of a CA (basicConstraints)", path);
        return gwh_hint(err, "give the certificate of the CA that signs the servers' certificates, not a server's own");
    }
    if (!key_is_taken(x)) {
        (void)gwh_fail(err, GWH_REFUSED, "%s has a key that not every device can check signatures by", path);
        return gwh_hint(err, "use a CA with a P-256 key, or RSA of 2048 to 4096 bits");
    }
    if (n > SIZE_MAX_OF_CA) {
        (void)gwh_fail(err, GWH_REFUSED, "%s has %zu bytes; a CA in a bundle has at most %u", path, n, SIZE_MAX_OF_CA);
        return gwh_hint(err, "use a CA with a P-256 key and short names: some 400 bytes");
    }
    if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0) {
        (void)gwh_fail(err, GWH_REFUSED, "%s has expired: no device that knows the time would trust it", path);
        return gwh_hint(err, "give the CA that signs the servers' certificates now");
    }
    return GWH_OK;
}

int gwh_server_ca_read(struct gwh_buf *der, const char *path, struct gwh_error *err)
{
    struct gwh_buf bytes = {0};
    uint8_t *p = NULL;
    int e = gwh_file_read(&bytes, path, FILE_MAX, err);
    X509 *x = e == GWH_OK ? read_one(&bytes, path, err) : NULL;
    int n = x != NULL ? i2d_X509(x, &p) : 0;
    e = e != GWH_OK || x == NULL ? err->exit : n <= 0 ? gwh_openssl_failed(err, path) : check(x, path, (size_t)n, err);
    if (e == GWH_OK && gwh_buf_add(der, p, (size_t)n) != GW_OK) {
        e = gwh_fail_reason(err, GW_ERR_SPACE, "%s", path);
    }
    OPENSSL_free(p);
    ERR_clear_error();
    X509_free(x);
    gwh_buf_free(&bytes);
    return e;
}

bool gwh_certificate_describe(struct gwh_certificate *c, struct gw_span der)
{
    const uint8_t *p = der.p;
    X509 *x = d2i_X509(NULL, &p, (long)der.n);
    bool ok = x != NULL && p == der.p + der.n && gwh_pki_describe(c, x) == GW_OK;
    ERR_clear_error();
    X509_free(x);
    return ok;
}
