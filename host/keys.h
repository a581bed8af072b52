/*
 * keys.h - keys on a PC: P-256 (ES256) and RSA-2048/3072 (PS256), in PEM files, by OpenSSL 3.
 *
 * Private keys are PKCS#8, mode 0600, never overwritten without force, encrypted if a passphrase is given. Everything
 * else refuses them with a named error. What is not here: tokens; for them there is the way by digest and signature
 * (`godwit release sign --digest-out`, `--signature-in`).
 */
#ifndef GWH_KEYS_H
#define GWH_KEYS_H

#include "encode.h"
#include "error.h"

enum gwh_key_kind { GWH_P256, GWH_RSA2048, GWH_RSA3072 };

struct evp_pkey_st; /* an EVP_PKEY of OpenSSL */

/* A key. `pub` views `bytes`: do not move it. Free with gwh_key_free(). All-zero: none. */
struct gwh_key {
    struct evp_pkey_st *evp;
    bool is_private;
    struct gw_pubkey pub;   /* roles are the caller's to set */
    uint8_t bytes[416];     /* x || y, or n || e */
    uint8_t thumbprint[32]; /* RFC 9679; the first 8 bytes are the key id */
};

/* The OpenSSL port with what encoding needs beyond it; the same for everybody, safe in threads. */
const struct gwh_crypto *gwh_openssl(void);

/* OpenSSL's own words for what failed, and its queue of errors emptied. Returns GWH_IO. */
int gwh_openssl_failed(struct gwh_error *err, const char *what);

int gwh_key_new(struct gwh_key *key, enum gwh_key_kind kind, struct gwh_error *err);
void gwh_key_free(struct gwh_key *key);
/* A private or public key from PEM. `passphrase` may be NULL. */
int gwh_key_load(struct gwh_key *key, const char *path, const char *passphrase, struct gwh_error *err);
/* The same from memory; `name` for messages. `*rest` (may be NULL) receives where the next key of the file starts, in
 * `pem`. */
int gwh_key_parse(struct gwh_key *key, struct gw_span pem, const char *name, const char *passphrase, size_t *rest,
                  struct gwh_error *err);
/* Insists on a private one. */
int gwh_key_load_private(struct gwh_key *key, const char *path, const char *passphrase, struct gwh_error *err);
int gwh_key_save(const struct gwh_key *key, const char *path, const char *passphrase, bool force,
                 struct gwh_error *err);
int gwh_key_save_public(const struct gwh_key *key, const char *path, bool force, struct gwh_error *err);
/* PEM text of the public half. Appends. */
int gwh_key_public_pem(struct gwh_buf *out, const struct gwh_key *key, struct gwh_error *err);
/* A signer for the encoders; `key` must outlive it. */
void gwh_key_signer(struct gwh_signer *signer, struct gwh_key *key);
/* The private number of a P-256 key. GW_ERR_VALUE for others. */
int gwh_key_secret(const struct gwh_key *key, uint8_t d[32]);
/* The P-256 key that has it; `name` for messages. */
int gwh_key_from_secret(struct gwh_key *key, const uint8_t d[32], const char *name, struct gwh_error *err);
/* An X.509 certificate, PEM or DER, as DER; it must be for this key. Appends. */
int gwh_certificate_read(struct gwh_buf *der, const char *path, const struct gwh_key *key, struct gwh_error *err);
/* The same from memory; `name` for messages. */
int gwh_certificate_parse(struct gwh_buf *der, struct gw_span file, const char *name, const struct gwh_key *key,
                          struct gwh_error *err);
/* DER as PEM. Appends. */
int gwh_certificate_pem(struct gwh_buf *pem, struct gw_span der, struct gwh_error *err);
/* "P-256", "RSA-3072" ... */
const char *gwh_key_kind_name(const struct gwh_key *key);
/*
 * OpenSSL's pem_password_cb, for every file in PEM: gives the passphrase `ctx` (a string), or none (NULL). Without it
 * OpenSSL asks at the terminal, for foreign bytes that claim to be encrypted as well.
 */
int gwh_passphrase_given(char *out, int size, int writing, void *ctx);
/* First line of a passphrase file, in `out` (a string). */
int gwh_passphrase_read(struct gwh_buf *out, const char *path, struct gwh_error *err);

#endif
