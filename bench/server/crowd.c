/*
 * crowd.c - devices for benchmarks: keys from their numbers, certificates, signed reports. See crowd.h.
 */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crowd.h"
#include "file.h"

static struct {
    X509 *certificate;
    EVP_PKEY *key;
} issuer;

void die(const char *what)
{
    fprintf(stderr, "fleet: %s: %s\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(1);
}

double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void crowd_name(char out[CROWD_NAME_MAX], unsigned number)
{
    snprintf(out, CROWD_NAME_MAX, "d%05u", number);
}

static EVP_PKEY *make_key(const uint8_t d[32])
{
    EVP_PKEY *key = NULL;
    uint8_t point[65] = {4};
    if (gwh_openssl()->ec_public(gwh_openssl()->ctx, d, point + 1) != GW_OK)
        die("a public key");
    BIGNUM *number = BN_bin2bn(d, 32, NULL);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
    OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point);
    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, number);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
        die("a key");
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(b);
    BN_free(number);
    return key;
}

void crowd_key(struct gwh_key *key, unsigned number)
{
    char seed[40], *pem;
    uint8_t d[32];
    struct gwh_error err = {0};
    int n = snprintf(seed, sizeof seed, "godwit bench %u", number);
    if (gw_sha256(gwh_openssl()->gw, (const uint8_t *)seed, (size_t)n, d) != GW_OK)
        die("SHA-256");
    EVP_PKEY *evp = make_key(d);
    BIO *out = BIO_new(BIO_s_mem());
    PEM_write_bio_PKCS8PrivateKey(out, evp, NULL, NULL, 0, NULL, NULL);
    long size = BIO_get_mem_data(out, &pem);
    if (gwh_key_parse(key, (struct gw_span){(const uint8_t *)pem, (size_t)size}, seed, NULL, NULL, &err) != GWH_OK)
        die(err.text);
    BIO_free(out);
    EVP_PKEY_free(evp);
}

void crowd_issuer(const char *certificate, const char *key)
{
    FILE *f = fopen(certificate, "r"), *g = fopen(key, "r");
    if (f == NULL || g == NULL)
        die("the issuer");
    issuer.certificate = PEM_read_X509(f, NULL, NULL, NULL);
    issuer.key = PEM_read_PrivateKey(g, NULL, NULL, NULL);
    fclose(f);
    fclose(g);
    if (issuer.certificate == NULL || issuer.key == NULL)
        die("the issuer's certificate and key");
}

X509 *crowd_certificate(const char *name, EVP_PKEY *key)
{
    static long serial = 1000000;
    X509 *x = X509_new();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_set_issuer_name(x, X509_get_subject_name(issuer.certificate));
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, key);
    X509_EXTENSION *use = X509V3_EXT_conf_nid(NULL, NULL, NID_ext_key_usage, "clientAuth");
    X509_add_ext(x, use, -1);
    X509_EXTENSION_free(use);
    if (X509_sign(x, issuer.key, EVP_sha256()) == 0)
        die("a certificate");
    return x;
}

/* A small key and its number, in the shortest encoding. */
static size_t put_number(uint8_t *p, uint8_t key, uint32_t value)
{
    static const uint8_t heads[] = {0, 0x18, 0x19, 0x1a}, sizes[] = {0, 1, 2, 4};
    int kind = value < 24 ? 0 : value < 0x100 ? 1 : value < 0x10000 ? 2 : 3;
    size_t n = 2;
    p[0] = key;
    p[1] = kind == 0 ? (uint8_t)value : heads[kind];
    for (int i = sizes[kind] - 1; i >= 0; i--)
        p[n++] = (uint8_t)(value >> (8 * i));
    return n;
}

void crowd_report(struct gwh_buf *out, unsigned number, struct gwh_key *key, uint32_t counter)
{
    /* CONFIRMED, about release 1/7, which runs; hardware, bootloader, bundle, head. */
    static const uint8_t middle[] = {4, 1, 6, 0x82, 1, 7}, end[] = {11, 0x82, 1, 7, 12, 1, 13, 3, 14, 1, 15, 2};
    struct gwh_signer signer = {.ctx = NULL};
    char name[CROWD_NAME_MAX];
    uint8_t map[80] = {0xac, 1, 1, 2};
    size_t n = 4, length;
    crowd_name(name, number);
    length = strlen(name);
    map[n++] = (uint8_t)(0x60 | length);
    memcpy(map + n, name, length);
    n += length;
    n += put_number(map + n, 3, counter);
    memcpy(map + n, middle, sizeof middle);
    n += sizeof middle;
    n += put_number(map + n, 8, 1700000000);
    n += put_number(map + n, 9, 100000);
    memcpy(map + n, end, sizeof end);
    n += sizeof end;
    gwh_key_signer(&signer, key);
    if (gwh_sign_map(out, gwh_openssl()->gw, "godwit/report/1", (struct gw_span){map, n}, &signer, 1) != GW_OK)
        die("a report");
}

void crowd_list(unsigned count, const char *class_id)
{
    printf("{\"devices\": [");
    for (unsigned i = 0; i < count; i++) {
        struct gwh_key key = {.evp = NULL};
        char name[CROWD_NAME_MAX], text[129];
        crowd_name(name, i);
        crowd_key(&key, i);
        gwh_hex(text, key.bytes, 64);
        printf("%s{\"id\": \"%s\", \"class\": \"%s\", \"key\": \"%s\", \"tags\": [\"bench\"]}", i > 0 ? ",\n" : "",
               name, class_id, text);
        gwh_key_free(&key);
    }
    printf("]}\n");
}
