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

#include <poll.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "crypto_ports.h"
#include "fetch.h"
#include "posix_curl.h"
#include "posix_device.h"
#include "posix_link.h"
#include "posix_run.h"
#include "posix_socket.h"
#include "store.h"
#include "tls.h"

struct gwp_link {
    struct gwp_curl *curl;           /* or: */
    struct gwp_socket socket;
    struct gwc_stream counted;       /* the socket, with what goes through it counted */
    struct gwc_tls *tls;
    struct gwc_fetch fetch;
    struct gwc_fetch_config fetch_config;
    struct gwp_link_count count;
    char offer_path[64];
    char id[GW_DEVICE_ID_MAX + 1];
    struct gwh_buf certificate, key; /* PEM, with a zero at the end */
    struct gwh_buf roots;            /* the same; the TLS layer keeps a view */
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
    return ok && gwh_buf_add(out, "", 1) == GW_OK;
}

static bool certificate_pem(struct gwh_buf *out, struct gw_span der)
{
    const uint8_t *p = der.p;
    BIO *bio = BIO_new(BIO_s_mem());
    X509 *x = d2i_X509(NULL, &p, (long)der.n);
    bool ok = bio != NULL && x != NULL && PEM_write_bio_X509(bio, x) == 1 && take(out, bio);
    X509_free(x);
    BIO_free(bio);
    return ok && gwh_buf_add(out, "", 1) == GW_OK;
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
        (void)memcpy(l->id, id.device_id, id.device_id_size);
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

/* ---- The client that boards use ---------------------------------------------------------------------------------- */

static int random_bytes(void *ctx, void *data, size_t n)
{
    (void)ctx;
    return getrandom(data, n, 0) == (ssize_t)n ? 0 : -1;
}

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return (uint32_t)gwp_now_ms();
}

static int count_connect(void *ctx, struct gw_span host, uint16_t port)
{
    struct gwp_link *l = ctx;
    bool new = !l->socket.connected;
    int err = l->socket.stream.connect(l->socket.stream.ctx, host, port);
    l->count.connections += new && err == GW_OK;
    return err;
}

static int count_send(void *ctx, const uint8_t *p, size_t n, size_t *used)
{
    struct gwp_link *l = ctx;
    int err = l->socket.stream.send(l->socket.stream.ctx, p, n, used);
    l->count.sent += err == GW_OK ? *used : 0;
    return err;
}

static int count_recv(void *ctx, uint8_t *p, size_t n, size_t *got)
{
    struct gwp_link *l = ctx;
    int err = l->socket.stream.recv(l->socket.stream.ctx, p, n, got);
    l->count.received += err == GW_OK ? *got : 0;
    return err;
}

static void count_close(void *ctx)
{
    struct gwp_link *l = ctx;
    l->socket.stream.close(l->socket.stream.ctx);
}

/* A PEM file as Mbed TLS wants it: with a zero that is counted. */
static int read_pem(struct gwh_buf *out, const char *path, struct gwh_error *err)
{
    int e = path == NULL ? GWH_OK : gwh_file_read(out, path, 1024 * 1024, err);
    if (e == GWH_OK && out->n > 0 && gwh_buf_add(out, "", 1) != GW_OK) {
        e = gwh_fail_reason(err, GW_ERR_SPACE, "%s", path);
    }
    return e;
}

static int open_tls(struct gwp_link *l, const struct gwp_link_config *c, struct gwh_error *err)
{
    struct gwh_buf crl = {0};
    int e = read_pem(&l->roots, c->roots, err), reason = GW_OK;
    e = e == GWH_OK ? read_pem(&crl, c->crl, err) : e;
    if (e == GWH_OK) {
        struct gwc_tls_config config = {.below = &l->counted, .roots = gwh_span(&l->roots), .crl = gwh_span(&crl),
                                        .certificate = gwh_span(&l->certificate), .key = gwh_span(&l->key),
                                        .random = random_bytes};
        gw_crypto_psa_entropy(random_bytes, NULL);
        l->tls = gwc_tls_new(&config, &reason);
        e = l->tls != NULL ? GWH_OK : gwh_fail_reason(err, reason, "TLS does not take these roots and certificates");
    }
    gwh_buf_free(&crl);
    return e;
}

static int open_common(struct gwp_link *l, const struct gwp_link_config *c, struct gw_transport *t,
                       struct gwh_error *err)
{
    gwp_socket_init(&l->socket);
    l->counted = (struct gwc_stream){l, count_connect, count_send, count_recv, count_close};
    int e = open_tls(l, c, err);
    if (e != GWH_OK) {
        return e;
    }
    l->fetch_config = (struct gwc_fetch_config){.secure = gwc_tls_secure(l->tls), .server = c->server,
                                                .offer_path = c->offer_path != NULL ? c->offer_path : l->offer_path,
                                                .report_path = c->report_path, .timeout_ms = c->stall_ms,
                                                .now_ms = now_ms};
    int reason = gwc_fetch_init(&l->fetch, &l->fetch_config, t);
    return reason == GW_OK ? GWH_OK : gwh_fail_reason(err, reason, "%s is no server", c->server);
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static struct gw_span without_zero(const struct gwh_buf *b)
{
    return (struct gw_span){b->p, b->n > 0 ? b->n - 1 : 0};
}

/* The first line; nobody else may read it. */
static int read_token(struct gwh_buf *token, const struct gwp_link *l, const char *path, struct gwh_error *err)
{
    struct stat st;
    if (path == NULL) {
        return GWH_OK;
    }
    if (l->certificate.n > 0) {
        return gwh_fail(err, GWH_USAGE, "the device has a certificate, and needs no token");
    }
    if (stat(path, &st) == 0 && (st.st_mode & 077) != 0) {
        (void)gwh_fail(err, GWH_REFUSED, "%s can be read by others", path);
        return gwh_hint(err, "chmod 600 %s", path);
    }
    int e = gwh_passphrase_read(token, path, err);
    if (e == GWH_OK && strspn((char *)token->p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") !=
                           strlen((char *)token->p)) {
        e = gwh_fail(err, GWH_REFUSED, "%s holds no token", path);
    }
    return e;
}

static int open_curl(struct gwp_link *l, const struct gwp_link_config *c, struct gw_transport *t, struct gwh_error *err)
{
    struct gwh_buf token = {0};
    int e = read_token(&token, l, c->token_file, err);
    struct gwp_curl_config config = {.server = c->server,
                                     .offer_path = c->offer_path != NULL ? c->offer_path : l->offer_path,
                                     .report_path = c->report_path,
                                     .roots = c->roots,
                                     .crl = c->crl,
                                     .certificate = without_zero(&l->certificate),
                                     .key = without_zero(&l->key),
                                     .token = token.n > 0 ? (const char *)token.p : NULL,
                                     .stall_ms = c->stall_ms};
    l->curl = e == GWH_OK ? gwp_curl_new(&config, t, err) : NULL;
    gwh_buf_free(&token);
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
    if (e == GWH_OK && config->ports == GWP_PORTS_COMMON && config->token_file != NULL) {
        e = gwh_fail(err, GWH_USAGE, "a token goes with libcurl alone (--ports curl)");
    }
    if (e == GWH_OK) {
        e = config->ports == GWP_PORTS_COMMON ? open_common(l, config, t, err) : open_curl(l, config, t, err);
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
    if (l->curl == NULL && l->fetch.config != NULL) {
        gwc_fetch_end(&l->fetch);
    }
    gwc_tls_free(l->tls);
    gwp_curl_free(l->curl);
    gw_wipe(l->key.p, l->key.n);
    gwh_buf_free(&l->key);
    gwh_buf_free(&l->certificate);
    gwh_buf_free(&l->roots);
    free(l);
}

bool gwp_link_client(const struct gwp_link *l, struct gwp_link_client *client)
{
    *client = (struct gwp_link_client){l->id, without_zero(&l->certificate), without_zero(&l->key)};
    return l->certificate.n > 0;
}

void gwp_link_wait(struct gwp_link *l, uint32_t ms)
{
    if (l->curl != NULL) {
        gwp_curl_wait(l->curl, ms);
    } else if (gwc_tls_busy(l->tls)) {
        return;
    } else if (l->socket.connected || l->socket.count > 0) {
        gwp_socket_wait(&l->socket, (int)ms);
    } else {
        (void)poll(NULL, 0, (int)ms);
    }
}

void gwp_link_count(const struct gwp_link *l, struct gwp_link_count *count)
{
    struct gwp_curl_count c = {0};
    if (l->curl == NULL) {
        *count = l->count;
        return;
    }
    gwp_curl_count(l->curl, &c);
    *count = (struct gwp_link_count){c.requests, c.connections, c.header_bytes + c.body_bytes, c.sent_bytes};
}

const char *gwp_link_why(const struct gwp_link *l)
{
    return l->curl != NULL ? gwp_curl_why(l->curl) : "";
}
