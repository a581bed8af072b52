/*
 * tls.c - contexts of OpenSSL for the doors.
 *
 * TLS 1.2 at least, AEAD ciphers, X25519 and P-256. No tickets: OpenSSL's tickets carry the client's certificate, which
 * costs more to decode at each resumption than a session cache (notes: 1018 against 367 us), and their key outlives
 * forward secrecy. A session resumes only under the context that made it: a reload of certificates ends them all.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "httpd.h"
#include "keys.h"

#define SESSIONS 4096 /* that may be resumed: each costs some 5 KB, with its decoded client certificate */
#define SESSION_SECONDS (6 * 3600)

static int fail(struct gwh_error *err, const char *what, const char *path)
{
    unsigned long e = ERR_peek_last_error();
    const char *reason = e != 0 ? ERR_reason_error_string(e) : NULL;
    gwh_fail(err, GWH_IO, "%s %s: %s", what, path, reason != NULL ? reason : "OpenSSL refused it");
    ERR_clear_error();
    return err->exit;
}

static int load_own(SSL_CTX *ctx, const struct gws_tls_config *config, struct gwh_error *err)
{
    SSL_CTX_set_default_passwd_cb(ctx, gwh_passphrase_given);
    if (SSL_CTX_use_certificate_chain_file(ctx, config->certificate) != 1)
        return fail(err, "server certificate", config->certificate);
    if (SSL_CTX_use_PrivateKey_file(ctx, config->key, SSL_FILETYPE_PEM) != 1)
        return fail(err, "server key", config->key);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return fail(err, "the server certificate is not for the key", config->key);
    return GWH_OK;
}

static int load_crl(SSL_CTX *ctx, const char *path, struct gwh_error *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (lookup == NULL || X509_load_crl_file(lookup, path, X509_FILETYPE_PEM) <= 0)
        return fail(err, "revoked certificates", path);
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return GWH_OK;
}

static int load_clients(SSL_CTX *ctx, const struct gws_tls_config *config, struct gwh_error *err)
{
    if (SSL_CTX_load_verify_file(ctx, config->client_ca) != 1)
        return fail(err, "CA of clients", config->client_ca);
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(config->client_ca);
    if (names == NULL)
        return fail(err, "CA of clients", config->client_ca);
    SSL_CTX_set_client_CA_list(ctx, names);
    if (config->crl != NULL && load_crl(ctx, config->crl, err) != GWH_OK)
        return err->exit;
    X509_VERIFY_PARAM_set_purpose(SSL_CTX_get0_param(ctx), X509_PURPOSE_SSL_CLIENT);
    SSL_CTX_set_verify_depth(ctx, 4);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (config->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    return GWH_OK;
}

static bool set_protocol(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
           SSL_CTX_set1_groups_list(ctx, "X25519:P-256") == 1;
}

static bool set_sessions(SSL_CTX *ctx)
{
    static const unsigned char context[] = "godwitd";
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(ctx, SESSIONS);
    SSL_CTX_set_timeout(ctx, SESSION_SECONDS);
    SSL_CTX_set_num_tickets(ctx, 1);
    return SSL_CTX_set_session_id_context(ctx, context, sizeof context - 1) == 1;
}

SSL_CTX *gws_tls_new(const struct gws_tls_config *config, struct gwh_error *err)
{
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL || !set_protocol(ctx) || !set_sessions(ctx)) {
        fail(err, "TLS", "context");
    } else if (load_own(ctx, config, err) == GWH_OK &&
               (config->client_ca == NULL || load_clients(ctx, config, err) == GWH_OK)) {
        return ctx;
    }
    SSL_CTX_free(ctx);
    return NULL;
}
