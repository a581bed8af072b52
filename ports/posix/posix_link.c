/*
 * posix_link.c - a device's network: its identity's certificate for a client, and one of two clients. See posix_link.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPENSSL_SUPPRESS_DEPRECATED /* EC_KEY: the shortest way from a private number to PEM */
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "posix_curl.h"
#include "posix_device.h"
#include "posix_link.h"
#include "store.h"

struct gwp_link {
    struct gwp_curl *curl;
    char offer_path[64];
    struct gwh_buf certificate, key; /* PEM */
};

/* ---- From the identity ------------------------------------------------------------------------------------------- */

static bool take(struct gwh_buf *out, BIO *bio)
{
    char *text = NULL;
    long n = BIO_get_mem_data(bio, &text);
    return n > 0 && gwh_buf_add(out, text, (size_t)n) == GW_OK;
}

static bool key_pem(struct gwh_buf *out, struct gw_span d)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    EC_KEY *key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *point = key != NULL ? EC_POINT_new(EC_KEY_get0_group(key)) : NULL;
    BIGNUM *n = BN_bin2bn(d.p, (int)d.n, NULL);
    bool ok = bio != NULL && point != NULL && n != NULL &&
              EC_POINT_mul(EC_KEY_get0_group(key), point, n, NULL, NULL, NULL) == 1 &&
              EC_KEY_set_private_key(key, n) == 1 && EC_KEY_set_public_key(key, point) == 1 &&
              PEM_write_bio_ECPrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1 && take(out, bio);
    BN_clear_free(n);
    EC_POINT_free(point);
    EC_KEY_free(key);
    BIO_free(bio);
    return ok;
}

static bool certificate_pem(struct gwh_buf *out, struct gw_span der)
{
    const uint8_t *p = der.p;
    BIO *bio = BIO_new(BIO_s_mem());
    X509 *x = d2i_X509(NULL, &p, (long)der.n);
    bool ok = bio != NULL && x != NULL && PEM_write_bio_X509(bio, x) == 1 && take(out, bio);
    X509_free(x);
    BIO_free(bio);
    return ok;
}

/* Class, and what the device shows to servers, if it has that. */
static int read_identity(struct gwp_link *l, const struct gwp_device *device, struct gwh_error *err)
{
    uint8_t bytes[GW_IDENTITY_MAX];
    struct gw_identity id;
    struct gw_span d, certificate;
    uint32_t n = 0;
    int e = gw_store_read(device->dev.flash, device->dev.layout->identity, bytes, sizeof bytes, &n);
    e = e == GW_OK ? gw_identity_parse(&id, NULL, bytes, n) : e;
    if (e == GW_OK) {
        (void)memcpy(l->offer_path, "offers/", 8);
        gwh_hex(l->offer_path + 7, id.class_id, GW_UUID_SIZE);
        e = gw_identity_client(bytes, n, &d, &certificate);
        if (e == GW_OK && certificate.n != 0 &&
            !(key_pem(&l->key, d) && certificate_pem(&l->certificate, certificate))) {
            e = GW_ERR_KEY_WEAK;
        }
        e = e == GW_ERR_NO_KEY ? GW_OK : e;
    }
    gw_wipe(bytes, sizeof bytes);
    return e == GW_OK ? GWH_OK : gwh_fail_reason(err, e, "the identity of %s cannot be used", device->folder);
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static int open_curl(struct gwp_link *l, const struct gwp_link_config *c, struct gw_transport *t, struct gwh_error *err)
{
    struct gwp_curl_config config = {.server = c->server,
                                     .offer_path = c->offer_path != NULL ? c->offer_path : l->offer_path,
                                     .report_path = c->report_path,
                                     .roots = c->roots,
                                     .crl = c->crl,
                                     .certificate = gwh_span(&l->certificate),
                                     .key = gwh_span(&l->key),
                                     .stall_ms = c->stall_ms};
    l->curl = gwp_curl_new(&config, t, err);
    return l->curl != NULL ? GWH_OK : err->exit;
}

struct gwp_link *gwp_link_new(const struct gwp_link_config *config, const struct gwp_device *device,
                              struct gw_transport *t, struct gwh_error *err)
{
    struct gwp_link *l = calloc(1, sizeof *l);
    if (l == NULL) {
        (void)gwh_fail_reason(err, GW_ERR_SPACE, "network");
        return NULL;
    }
    int e = read_identity(l, device, err);
    if (e == GWH_OK) {
        e = open_curl(l, config, t, err);
    }
    if (e != GWH_OK) {
        gwp_link_free(l);
        return NULL;
    }
    return l;
}

void gwp_link_free(struct gwp_link *l)
{
    if (l == NULL) {
        return;
    }
    gwp_curl_free(l->curl);
    gw_wipe(l->key.p, l->key.n);
    gwh_buf_free(&l->key);
    gwh_buf_free(&l->certificate);
    free(l);
}

void gwp_link_wait(struct gwp_link *l, uint32_t ms)
{
    gwp_curl_wait(l->curl, ms);
}

void gwp_link_count(const struct gwp_link *l, struct gwp_link_count *count)
{
    struct gwp_curl_count c = {0};
    gwp_curl_count(l->curl, &c);
    *count = (struct gwp_link_count){c.requests, c.connections, c.header_bytes + c.body_bytes, c.sent_bytes};
}

const char *gwp_link_why(const struct gwp_link *l)
{
    return gwp_curl_why(l->curl);
}
