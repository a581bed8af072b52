/*
 * mqtt.c - see mqtt.h. libmosquitto, driven by its loop_read, loop_write and loop_misc: no thread, no select().
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <mosquitto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "keys.h"
#include "mqtt.h"

struct gwh_mqtt {
    struct gwh_mqtt_config config;
    char *host, *id, *topic, *ca, *certificate, *key;
    struct mosquitto *mosq;
    SSL_CTX *tls;
    bool handed; /* libmosquitto has it */
    enum { DOWN, CONNECTING, UP } state;
    bool tcp;              /* the connection is made */
    uint64_t due_ms;       /* DOWN: when to try; CONNECTING: when to give up */
    uint32_t pause_ms;
    bool lost;             /* told by a callback; dealt with in the step */
    char why[200];
};

/* ---- TLS --------------------------------------------------------------------------------------------------------- */

static bool use_memory(SSL_CTX *tls, const struct gwh_mqtt_config *c)
{
    BIO *a = BIO_new_mem_buf(c->certificate_pem.p, (int)c->certificate_pem.n);
    BIO *b = BIO_new_mem_buf(c->key_pem.p, (int)c->key_pem.n);
    X509 *x = a != NULL ? PEM_read_bio_X509(a, NULL, gwh_passphrase_given, NULL) : NULL;
    EVP_PKEY *key = b != NULL ? PEM_read_bio_PrivateKey(b, NULL, gwh_passphrase_given, NULL) : NULL;
    bool ok = x != NULL && key != NULL && SSL_CTX_use_certificate(tls, x) == 1 && SSL_CTX_use_PrivateKey(tls, key) == 1;
    EVP_PKEY_free(key);
    X509_free(x);
    BIO_free(b);
    BIO_free(a);
    return ok;
}

static bool use_files(SSL_CTX *tls, const struct gwh_mqtt_config *c)
{
    SSL_CTX_set_default_passwd_cb(tls, gwh_passphrase_given);
    return SSL_CTX_use_certificate_chain_file(tls, c->certificate) == 1 &&
           SSL_CTX_use_PrivateKey_file(tls, c->key, SSL_FILETYPE_PEM) == 1;
}

static bool set_name(SSL_CTX *tls, const char *host)
{
    X509_VERIFY_PARAM *p = SSL_CTX_get0_param(tls);
    X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_ip_asc(p, host) == 1 || X509_VERIFY_PARAM_set1_host(p, host, 0) == 1;
}

static int make_tls(SSL_CTX **out, const struct gwh_mqtt_config *c, struct gwh_error *err)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    int e = GWH_OK;
    *out = tls;
    if (tls == NULL || SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1 || !set_name(tls, c->host)) {
        e = gwh_fail(err, GWH_IO, "OpenSSL gives no TLS for the broker %.100s", c->host);
    } else if (c->ca != NULL && SSL_CTX_load_verify_file(tls, c->ca) != 1) {
        e = gwh_fail(err, GWH_IO, "cannot read the broker's CA from %s", c->ca);
    } else if (!(c->certificate != NULL ? use_files(tls, c) : use_memory(tls, c)) ||
               SSL_CTX_check_private_key(tls) != 1) {
        e = gwh_fail(err, GWH_REFUSED, "the certificate and key for the broker cannot be used (%s)",
                     c->certificate != NULL ? c->certificate : "from the identity");
    } else {
        SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        if (c->verify != NULL && !c->verify(c->ctx, tls)) {
            e = gwh_fail(err, GWH_IO, "OpenSSL gives no TLS for the broker %.100s", c->host);
        }
    }
    ERR_clear_error();
    return e;
}

/* ---- What libmosquitto tells, within the step -------------------------------------------------------------------- */

static void note_lost(struct gwh_mqtt *m, const char *why)
{
    m->lost = true;
    if (m->why[0] == '\0') {
        (void)snprintf(m->why, sizeof m->why, "%s", why);
    }
}

static void on_connect(struct mosquitto *mosq, void *ctx, int code)
{
    struct gwh_mqtt *m = ctx;
    if (code != 0) {
        note_lost(m, mosquitto_connack_string(code));
    } else if (mosquitto_subscribe(mosq, NULL, m->topic, m->config.qos) != MOSQ_ERR_SUCCESS) {
        note_lost(m, "cannot subscribe");
    }
}

static void on_subscribe(struct mosquitto *mosq, void *ctx, int number, int count, const int *granted)
{
    struct gwh_mqtt *m = ctx;
    (void)mosq, (void)number;
    if (count != 1 || granted[0] > 2) {
        note_lost(m, "the broker does not let it subscribe");
        return;
    }
    m->state = UP;
    m->pause_ms = 0;
    m->why[0] = '\0';
    if (m->config.state != NULL) {
        m->config.state(m->config.ctx, true, "");
    }
}

static void on_disconnect(struct mosquitto *mosq, void *ctx, int code)
{
    (void)mosq;
    note_lost(ctx, code == 0 ? "disconnected" : mosquitto_strerror(code));
}

static void on_message(struct mosquitto *mosq, void *ctx, const struct mosquitto_message *message)
{
    struct gwh_mqtt *m = ctx;
    (void)mosq;
    if (m->config.message != NULL && message->payloadlen >= 0 &&
        (size_t)message->payloadlen <= GWH_MQTT_MESSAGE_MAX && !message->retain) {
        m->config.message(m->config.ctx, message->topic,
                          (struct gw_span){message->payload, (size_t)message->payloadlen});
    }
}

static void on_publish(struct mosquitto *mosq, void *ctx, int number)
{
    struct gwh_mqtt *m = ctx;
    (void)mosq;
    if (m->config.sent != NULL) {
        m->config.sent(m->config.ctx, number);
    }
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static bool copy(char **out, const char *text)
{
    *out = text != NULL ? strdup(text) : NULL;
    return text == NULL || *out != NULL;
}

static int set_up(struct gwh_mqtt *m, const struct gwh_mqtt_config *config, struct gwh_error *err)
{
    int e = GWH_OK;
    m->config = *config;
    if (!copy(&m->host, config->host) || !copy(&m->id, config->id) || !copy(&m->topic, config->subscribe) ||
        !copy(&m->ca, config->ca) || !copy(&m->certificate, config->certificate) || !copy(&m->key, config->key)) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "MQTT");
    }
    e = make_tls(&m->tls, config, err);
    m->config.host = m->host;
    m->config.ca = m->ca;
    m->config.certificate = m->certificate;
    m->config.key = m->key;
    m->config.certificate_pem = m->config.key_pem = (struct gw_span){NULL, 0};
    m->mosq = e == GWH_OK ? mosquitto_new(m->id, true, m) : NULL;
    if (e == GWH_OK && (m->mosq == NULL || mosquitto_int_option(m->mosq, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0) != 0 ||
                        mosquitto_int_option(m->mosq, MOSQ_OPT_TCP_NODELAY, 1) != 0)) {
        return gwh_fail(err, GWH_IO, "libmosquitto does not start; it has to be 2.0 or newer");
    }
    if (e == GWH_OK) {
        mosquitto_connect_callback_set(m->mosq, on_connect);
        mosquitto_subscribe_callback_set(m->mosq, on_subscribe);
        mosquitto_disconnect_callback_set(m->mosq, on_disconnect);
        mosquitto_message_callback_set(m->mosq, on_message);
        mosquitto_publish_callback_set(m->mosq, on_publish);
    }
    return e;
}

int gwh_mqtt_new(struct gwh_mqtt **out, const struct gwh_mqtt_config *config, struct gwh_error *err)
{
    struct gwh_mqtt *m = calloc(1, sizeof *m);
    *out = NULL;
    if (m == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "MQTT");
    }
    (void)mosquitto_lib_init();
    int e = set_up(m, config, err);
    if (e != GWH_OK) {
        gwh_mqtt_free(m);
        return e;
    }
    *out = m;
    return GWH_OK;
}

/* Into the context that libmosquitto has: given another one, it would never let go of this one. */
int gwh_mqtt_reload(struct gwh_mqtt *m, struct gwh_error *err)
{
    SSL_CTX *tls = NULL;
    STACK_OF(X509) *chain = NULL;
    int e = m->certificate == NULL ? gwh_fail(err, GWH_USAGE, "certificates from memory do not change")
                                   : make_tls(&tls, &m->config, err);
    if (e == GWH_OK && (SSL_CTX_get0_chain_certs(tls, &chain) != 1 ||
                        SSL_CTX_use_cert_and_key(m->tls, SSL_CTX_get0_certificate(tls), SSL_CTX_get0_privatekey(tls),
                                                 chain, 1) != 1)) {
        e = gwh_fail(err, GWH_IO, "OpenSSL takes no other certificate for the broker: %s", m->certificate);
    }
    if (e == GWH_OK) {
        SSL_CTX_set1_cert_store(m->tls, SSL_CTX_get_cert_store(tls));
    }
    ERR_clear_error();
    SSL_CTX_free(tls);
    return e;
}

void gwh_mqtt_free(struct gwh_mqtt *m)
{
    if (m == NULL) {
        return;
    }
    if (m->mosq != NULL) {
        m->config = (struct gwh_mqtt_config){0}; /* nobody is told any more */
        if (m->state == UP) {
            (void)mosquitto_disconnect(m->mosq);
        }
        mosquitto_destroy(m->mosq);
    }
    SSL_CTX_free(m->tls);
    free(m->host);
    free(m->id);
    free(m->topic);
    free(m->ca);
    free(m->certificate);
    free(m->key);
    free(m);
    (void)mosquitto_lib_cleanup();
}

void gwh_mqtt_drop(struct gwh_mqtt *m, const char *why)
{
    if (m->state != DOWN) {
        note_lost(m, why);
    }
}

/* ---- Steps ------------------------------------------------------------------------------------------------------- */

/* Between half of the pause and all of it. */
static uint32_t jitter(uint32_t ms)
{
    uint32_t random = 0;
    (void)!getrandom(&random, sizeof random, 0);
    return ms / 2 + random % (ms / 2 + 1);
}

static void go_down(struct gwh_mqtt *m, uint64_t now_ms)
{
    uint32_t most = m->config.most_ms != 0 ? m->config.most_ms : GWH_MQTT_MOST_MS;
    bool was_up = m->state == UP;
    m->pause_ms = m->pause_ms == 0 ? GWH_MQTT_FIRST_MS : m->pause_ms * 2;
    m->pause_ms = m->pause_ms > most ? most : m->pause_ms;
    m->state = DOWN;
    m->tcp = m->lost = false;
    m->due_ms = now_ms + jitter(m->pause_ms);
    (void)mosquitto_disconnect(m->mosq); /* closes what is open */
    m->lost = false;
    if (m->config.state != NULL && was_up) {
        m->config.state(m->config.ctx, false, m->why);
    }
}

/* Handed over at the first connection: libmosquitto 2.0.18 keeps a context that it never used. */
static bool has_tls(struct gwh_mqtt *m)
{
    m->handed = m->handed || mosquitto_void_option(m->mosq, MOSQ_OPT_SSL_CTX, m->tls) == MOSQ_ERR_SUCCESS;
    return m->handed;
}

static void connect_now(struct gwh_mqtt *m, uint64_t now_ms)
{
    int keepalive = m->config.keepalive_s != 0 ? (int)m->config.keepalive_s : 60;
    m->why[0] = '\0';
    m->lost = false;
    m->state = CONNECTING;
    m->due_ms = now_ms + GWH_MQTT_STALL_MS;
    if (!has_tls(m)) {
        note_lost(m, "libmosquitto takes no TLS");
        return;
    }
    int code = mosquitto_connect_async(m->mosq, m->host, m->config.port, keepalive);
    if (code != MOSQ_ERR_SUCCESS && code != MOSQ_ERR_CONN_PENDING) {
        note_lost(m, mosquitto_strerror(code));
    }
}

/* A connection that is being made: libmosquitto begins TLS only when there is one. */
static bool tcp_done(struct gwh_mqtt *m)
{
    int error = 0, fd = mosquitto_socket(m->mosq);
    socklen_t n = sizeof error;
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    if (m->tcp) {
        return true;
    }
    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0 || error != 0) {
        note_lost(m, error != 0 ? strerror(error) : "no connection");
        return false;
    }
    m->tcp = getpeername(fd, (struct sockaddr *)&peer, &size) == 0;
    if (!m->tcp && poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP)) != 0) {
        note_lost(m, "nobody answers there"); /* the error itself was taken by libmosquitto's first try */
    }
    return m->tcp;
}

static void check(struct gwh_mqtt *m, int code)
{
    if (code != MOSQ_ERR_SUCCESS && code != MOSQ_ERR_CONN_PENDING) {
        unsigned long tls = ERR_peek_last_error();
        note_lost(m, code == MOSQ_ERR_TLS && tls != 0 ? ERR_reason_error_string(tls) : mosquitto_strerror(code));
    }
    ERR_clear_error();
}

static void work(struct gwh_mqtt *m)
{
    check(m, mosquitto_loop_read(m->mosq, 64));
    if (!m->lost) {
        check(m, mosquitto_loop_write(m->mosq, 1));
    }
    if (!m->lost) {
        check(m, mosquitto_loop_misc(m->mosq));
    }
}

void gwh_mqtt_step(struct gwh_mqtt *m, uint64_t now_ms)
{
    if (m->state == DOWN && now_ms >= m->due_ms) {
        connect_now(m, now_ms);
    }
    if (m->state != DOWN && !m->lost && tcp_done(m)) {
        work(m);
    }
    if (m->state == CONNECTING && !m->lost && now_ms >= m->due_ms) {
        note_lost(m, "the broker does not answer");
    }
    if (m->state != DOWN && m->lost) {
        go_down(m, now_ms);
    }
}

int gwh_mqtt_fd(const struct gwh_mqtt *m)
{
    return m->state == DOWN ? -1 : mosquitto_socket(m->mosq);
}

bool gwh_mqtt_wants_write(const struct gwh_mqtt *m)
{
    return m->state != DOWN && (!m->tcp || mosquitto_want_write(m->mosq));
}

uint32_t gwh_mqtt_wait_ms(const struct gwh_mqtt *m, uint64_t now_ms)
{
    if (m->state == UP) {
        return 1000;
    }
    uint64_t left = m->due_ms > now_ms ? m->due_ms - now_ms : 0;
    return left < 1000 ? (uint32_t)left : 1000;
}

bool gwh_mqtt_connected(const struct gwh_mqtt *m)
{
    return m->state == UP && !m->lost;
}

bool gwh_mqtt_publish(struct gwh_mqtt *m, const char *topic, struct gw_span bytes, int qos, int *number)
{
    int n = 0;
    if (!gwh_mqtt_connected(m) ||
        mosquitto_publish(m->mosq, &n, topic, (int)bytes.n, bytes.p, qos, false) != MOSQ_ERR_SUCCESS) {
        return false;
    }
    if (number != NULL) {
        *number = n;
    }
    return true;
}

const char *gwh_mqtt_why(const struct gwh_mqtt *m)
{
    return m->why;
}
