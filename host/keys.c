/*
 * keys.c - see keys.h.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "cose.h"
#include "file.h"
#include "keys.h"

#define KEY_FILE_MAX 65536u
#define PASSPHRASE_ROUNDS 600000 /* PBKDF2-HMAC-SHA-256: about a fifth of a second */

int gwh_openssl_failed(struct gwh_error *err, const char *what)
{
    char text[160] = "unknown cause";
    unsigned long code = ERR_peek_last_error();
    if (code != 0) {
        ERR_error_string_n(code, text, sizeof text);
    }
    ERR_clear_error();
    return gwh_fail(err, GWH_IO, "%s: OpenSSL: %s", what, text);
}

/* ---- The public half as the device sees it ----------------------------------------------------------------------- */

static int view_ec(struct gwh_key *key)
{
    uint8_t point[65];
    char group[32] = "";
    size_t n = 0;
    if (EVP_PKEY_get_group_name(key->evp, group, sizeof group, NULL) != 1 || strcmp(group, "prime256v1") != 0 ||
        EVP_PKEY_get_octet_string_param(key->evp, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &n) != 1 || n != 65 ||
        point[0] != 4) {
        return GW_ERR_KEY_WEAK;
    }
    memcpy(key->bytes, point + 1, 64);
    key->pub.algorithm = GW_ALG_ES256;
    key->pub.x = (struct gw_span){key->bytes, 32};
    key->pub.y = (struct gw_span){key->bytes + 32, 32};
    return GW_OK;
}

static int view_rsa(struct gwh_key *key)
{
    BIGNUM *n = NULL, *e = NULL;
    int bits = EVP_PKEY_get_bits(key->evp), result = GW_ERR_KEY_WEAK;
    if ((bits == 2048 || bits == 3072) && EVP_PKEY_get_bn_param(key->evp, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
        EVP_PKEY_get_bn_param(key->evp, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_num_bytes(e) <= 4) {
        int n_size = BN_bn2bin(n, key->bytes);
        int e_size = BN_bn2bin(e, key->bytes + n_size);
        key->pub.algorithm = GW_ALG_PS256;
        key->pub.x = (struct gw_span){key->bytes, (size_t)n_size};
        key->pub.y = (struct gw_span){key->bytes + n_size, (size_t)e_size};
        result = GW_OK;
    }
    BN_free(n);
    BN_free(e);
    return result;
}

/* Fills what is known of key->evp. */
static int view(struct gwh_key *key, const char *name, struct gwh_error *err)
{
    int e = EVP_PKEY_is_a(key->evp, "EC")    ? view_ec(key)
            : EVP_PKEY_is_a(key->evp, "RSA") ? view_rsa(key)
                                             : GW_ERR_ALGORITHM;
    if (e == GW_OK) {
        e = gw_key_thumbprint(gwh_openssl()->gw, &key->pub, key->thumbprint);
    }
    if (e == GW_OK) {
        return GWH_OK;
    }
    (void)gwh_fail_reason(err, e, "the key in %s cannot be used", name);
    (void)gwh_hint(err, "Godwit takes P-256, RSA-2048 and RSA-3072: godwit key new FILE [--type p256|rsa2048|rsa3072]");
    gwh_key_free(key);
    return err->exit;
}

const char *gwh_key_kind_name(const struct gwh_key *key)
{
    return key->pub.algorithm == GW_ALG_ES256 ? "P-256" : key->pub.x.n == 256 ? "RSA-2048" : "RSA-3072";
}

/* ---- Making, loading, saving ------------------------------------------------------------------------------------- */

int gwh_key_new(struct gwh_key *key, enum gwh_key_kind kind, struct gwh_error *err)
{
    memset(key, 0, sizeof *key);
    key->evp = kind == GWH_P256 ? EVP_EC_gen("prime256v1") : EVP_RSA_gen(kind == GWH_RSA2048 ? 2048u : 3072u);
    if (key->evp == NULL) {
        return gwh_openssl_failed(err, "cannot make a key");
    }
    key->is_private = true;
    return view(key, "memory", err);
}

void gwh_key_free(struct gwh_key *key)
{
    EVP_PKEY_free(key->evp);
    memset(key, 0, sizeof *key);
}

int gwh_passphrase_given(char *out, int size, int writing, void *ctx)
{
    const char *passphrase = ctx;
    (void)writing;
    size_t n = passphrase == NULL ? 0 : strlen(passphrase);
    if (n == 0 || n > (size_t)size) {
        return -1;
    }
    memcpy(out, passphrase, n);
    return (int)n;
}

static bool holds(struct gw_span pem, const char *label)
{
    size_t n = strlen(label);
    for (size_t i = 0; i + n <= pem.n; i++) {
        if (memcmp(pem.p + i, label, n) == 0) {
            return true;
        }
    }
    return false;
}

static int parse_failed(struct gw_span pem, const char *name, const char *passphrase, struct gwh_error *err)
{
    ERR_clear_error();
    if (holds(pem, "ENCRYPTED") && passphrase == NULL) {
        (void)gwh_fail(err, GWH_REFUSED, "%s is encrypted and no passphrase was given", name);
        return gwh_hint(err, "add --passphrase-file FILE");
    }
    if (holds(pem, "ENCRYPTED")) {
        return gwh_fail(err, GWH_REFUSED, "%s cannot be decrypted: wrong passphrase, or the file is damaged", name);
    }
    (void)gwh_fail(err, GWH_REFUSED, "%s holds no key that can be read (PEM: PKCS#8, or a public key)", name);
    return gwh_hint(err, "godwit key new FILE makes one");
}

int gwh_key_parse(struct gwh_key *key, struct gw_span pem, const char *name, const char *passphrase, size_t *rest,
                  struct gwh_error *err)
{
    memset(key, 0, sizeof *key);
    if (pem.n > INT_MAX) {
        return gwh_fail_reason(err, GW_ERR_LIMIT, "%s", name);
    }
    bool is_private = rest == NULL && holds(pem, "PRIVATE KEY-----");
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    if (bio == NULL) {
        return gwh_openssl_failed(err, "cannot read a key");
    }
    void *ctx = (void *)(uintptr_t)passphrase;
    key->evp = is_private ? PEM_read_bio_PrivateKey(bio, NULL, gwh_passphrase_given, ctx)
                          : PEM_read_bio_PUBKEY(bio, NULL, gwh_passphrase_given, ctx);
    key->is_private = is_private;
    if (rest != NULL) {
        *rest = pem.n - (size_t)BIO_pending(bio);
    }
    BIO_free(bio);
    if (key->evp == NULL) {
        return parse_failed(pem, name, passphrase, err);
    }
    return view(key, name, err);
}

int gwh_key_load(struct gwh_key *key, const char *path, const char *passphrase, struct gwh_error *err)
{
    struct gwh_buf pem = {0};
    char with_suffix[GWH_PATH_MAX];
    memset(key, 0, sizeof *key);
    if (!gwh_file_exists(path) &&
        (size_t)snprintf(with_suffix, sizeof with_suffix, "%s.pem", path) < sizeof with_suffix &&
        gwh_file_exists(with_suffix)) {
        path = with_suffix; /* root1.pub is what people type for root1.pub.pem */
    }
    int e = gwh_file_read(&pem, path, KEY_FILE_MAX, err);
    if (e == GWH_OK) {
        e = gwh_key_parse(key, gwh_span(&pem), path, passphrase, NULL, err);
    }
    gwh_buf_free(&pem);
    return e;
}

int gwh_key_load_private(struct gwh_key *key, const char *path, const char *passphrase, struct gwh_error *err)
{
    int e = gwh_key_load(key, path, passphrase, err);
    if (e == GWH_OK && !key->is_private) {
        gwh_key_free(key);
        e = gwh_fail(err, GWH_REFUSED, "%s is a public key: the private one is needed", path);
    }
    return e;
}

static bool write_encrypted(BIO *bio, EVP_PKEY *evp, const char *passphrase)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(evp);
    X509_ALGOR *pbe = PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), PASSPHRASE_ROUNDS, NULL, 0, NULL, NID_hmacWithSHA256);
    X509_SIG *sealed = NULL;
    if (info != NULL && pbe != NULL) {
        sealed = PKCS8_set0_pbe(passphrase, (int)strlen(passphrase), info, pbe);
    }
    if (sealed == NULL) {
        X509_ALGOR_free(pbe);
    }
    bool ok = sealed != NULL && PEM_write_bio_PKCS8(bio, sealed) == 1;
    X509_SIG_free(sealed);
    PKCS8_PRIV_KEY_INFO_free(info);
    return ok;
}

static struct gw_span bio_span(BIO *bio)
{
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);
    return (struct gw_span){(const uint8_t *)p, n > 0 ? (size_t)n : 0};
}

int gwh_key_save(const struct gwh_key *key, const char *path, const char *passphrase, bool force, struct gwh_error *err)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    bool ok = bio != NULL && key->is_private;
    if (ok && passphrase != NULL) {
        ok = write_encrypted(bio, key->evp, passphrase);
    } else if (ok) {
        ok = PEM_write_bio_PKCS8PrivateKey(bio, key->evp, NULL, NULL, 0, NULL, NULL) == 1;
    }
    int e = ok ? gwh_file_write(path, bio_span(bio), 0600, force, err) : gwh_openssl_failed(err, "no PEM of the key");
    BIO_free(bio);
    return e;
}

int gwh_key_public_pem(struct gwh_buf *out, const struct gwh_key *key, struct gwh_error *err)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int e = GWH_OK;
    if (bio == NULL || PEM_write_bio_PUBKEY(bio, key->evp) != 1) {
        e = gwh_openssl_failed(err, "cannot encode the public key");
    } else if (gwh_buf_add(out, bio_span(bio).p, bio_span(bio).n) != GW_OK) {
        e = gwh_fail_reason(err, GW_ERR_SPACE, "public key");
    }
    BIO_free(bio);
    return e;
}

int gwh_key_save_public(const struct gwh_key *key, const char *path, bool force, struct gwh_error *err)
{
    struct gwh_buf pem = {0};
    int e = gwh_key_public_pem(&pem, key, err);
    if (e == GWH_OK) {
        e = gwh_file_write(path, gwh_span(&pem), 0644, force, err);
    }
    gwh_buf_free(&pem);
    return e;
}

int gwh_key_secret(const struct gwh_key *key, uint8_t d[32])
{
    BIGNUM *bn = NULL;
    int e = GW_ERR_VALUE;
    if (key->is_private && key->pub.algorithm == GW_ALG_ES256 &&
        EVP_PKEY_get_bn_param(key->evp, OSSL_PKEY_PARAM_PRIV_KEY, &bn) == 1 && BN_bn2binpad(bn, d, 32) == 32) {
        e = GW_OK;
    }
    BN_clear_free(bn);
    return e;
}

int gwh_key_from_secret(struct gwh_key *key, const uint8_t d[32], const char *name, struct gwh_error *err)
{
    /* ECPrivateKey of RFC 5915 without the public point, which OpenSSL computes */
    static const uint8_t before[] = {0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20};
    static const uint8_t behind[] = {0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    uint8_t der[sizeof before + 32 + sizeof behind];
    const uint8_t *p = der;
    memcpy(der, before, sizeof before);
    memcpy(der + sizeof before, d, 32);
    memcpy(der + sizeof before + 32, behind, sizeof behind);
    memset(key, 0, sizeof *key);
    key->evp = d2i_PrivateKey(EVP_PKEY_EC, NULL, &p, sizeof der);
    gw_wipe(der, sizeof der);
    if (key->evp == NULL) {
        ERR_clear_error();
        return gwh_fail(err, GWH_REFUSED, "%s holds a key that is none of P-256", name);
    }
    key->is_private = true;
    return view(key, name, err);
}

int gwh_passphrase_read(struct gwh_buf *out, const char *path, struct gwh_error *err)
{
    int e = gwh_file_read(out, path, 4096, err);
    if (e != GWH_OK) {
        return e;
    }
    size_t n = 0;
    while (n < out->n && out->p[n] != '\n' && out->p[n] != '\r' && out->p[n] != '\0') {
        n++;
    }
    if (n == 0 || n > 1000) {
        return gwh_fail(err, GWH_REFUSED, "the first line of %s is no passphrase (1 to 1000 bytes)", path);
    }
    out->n = n;
    return gwh_buf_add(out, "", 1) == GW_OK ? GWH_OK : gwh_fail_reason(err, GW_ERR_SPACE, "passphrase");
}

/* ---- Signing ----------------------------------------------------------------------------------------------------- */

/* r || s from DER. */
static bool flatten(const uint8_t *der, size_t n, uint8_t out[64])
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    bool ok = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32) == 32 &&
              BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32) == 32;
    ECDSA_SIG_free(sig);
    return ok;
}

static bool set_padding(EVP_PKEY_CTX *ctx, bool rsa)
{
    if (!rsa) {
        return true;
    }
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, 32) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1;
}

static int sign(void *context, const uint8_t digest[32], uint8_t *sig, size_t *n)
{
    struct gwh_key *key = context;
    bool rsa = key->pub.algorithm == GW_ALG_PS256;
    uint8_t raw[512];
    size_t size = sizeof raw;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->evp, NULL);
    bool ok = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 && set_padding(ctx, rsa) &&
              EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 && EVP_PKEY_sign(ctx, raw, &size, digest, 32) == 1;
    EVP_PKEY_CTX_free(ctx);
    if (!ok) {
        ERR_clear_error();
        return GW_ERR_CRYPTO;
    }
    if (rsa) {
        memcpy(sig, raw, size);
        *n = size;
        return GW_OK;
    }
    *n = 64;
    return flatten(raw, size, sig) ? GW_OK : GW_ERR_CRYPTO;
}

void gwh_key_signer(struct gwh_signer *signer, struct gwh_key *key)
{
    memset(signer, 0, sizeof *signer);
    signer->key = key->pub;
    signer->ctx = key;
    signer->sign = sign;
}

/* ---- Certificates ------------------------------------------------------------------------------------------------ */

static X509 *parse_certificate(struct gw_span file)
{
    const uint8_t *p = file.p;
    BIO *bio = BIO_new_mem_buf(file.p, (int)file.n);
    X509 *x = bio != NULL ? PEM_read_bio_X509(bio, NULL, gwh_passphrase_given, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return x != NULL ? x : d2i_X509(NULL, &p, (long)file.n);
}

int gwh_certificate_parse(struct gwh_buf *der, struct gw_span file, const char *name, const struct gwh_key *key,
                          struct gwh_error *err)
{
    uint8_t *bytes = NULL;
    X509 *x = file.n > 0 && file.n <= KEY_FILE_MAX ? parse_certificate(file) : NULL;
    int n = x != NULL ? i2d_X509(x, &bytes) : 0, e = GWH_OK;
    if (n <= 0) {
        e = gwh_fail(err, GWH_REFUSED, "%s is no X.509 certificate", name);
    } else if (EVP_PKEY_eq(X509_get0_pubkey(x), key->evp) != 1) {
        e = gwh_fail(err, GWH_REFUSED, "%s is a certificate for another key", name);
    } else if (gwh_buf_add(der, bytes, (size_t)n) != GW_OK) {
        e = gwh_fail_reason(err, GW_ERR_SPACE, "%s", name);
    }
    ERR_clear_error();
    OPENSSL_free(bytes);
    X509_free(x);
    return e;
}

int gwh_certificate_pem(struct gwh_buf *pem, struct gw_span der, struct gwh_error *err)
{
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = bio != NULL && PEM_write_bio(bio, PEM_STRING_X509, "", der.p, (long)der.n) > 0;
    long n = ok ? BIO_get_mem_data(bio, &text) : 0;
    int e = n > 0 && gwh_buf_add(pem, text, (size_t)n) == GW_OK ? GWH_OK
                                                                : gwh_fail_reason(err, GW_ERR_SPACE, "certificate");
    ERR_clear_error();
    BIO_free(bio);
    return e;
}

int gwh_certificate_read(struct gwh_buf *der, const char *path, const struct gwh_key *key, struct gwh_error *err)
{
    struct gwh_buf file = {0};
    int e = gwh_file_read(&file, path, KEY_FILE_MAX, err);
    e = e == GWH_OK ? gwh_certificate_parse(der, gwh_span(&file), path, key, err) : e;
    gwh_buf_free(&file);
    return e;
}
