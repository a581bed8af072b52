/*
 * pki.h - certificates: a CA in a folder, what it signs, requests of devices, lists of what is revoked. By OpenSSL 3.
 *
 *    DIR/ca.pem   the CA's certificate        DIR/crl.pem     what it has revoked, signed anew with each change
 *    DIR/ca.key   its private key, 0600       DIR/issued.csv  serial, name and end of all that it has signed
 *
 * What it keeps true: all keys are P-256; a CA signs no other CA (pathlen 0); a certificate is good for one purpose, a
 * server's or a device's; serial numbers are random; a device's name is a device id that may be a topic of MQTT; a
 * request is signed only if its own signature is right and its name is that of the device; private keys are 0600 and
 * never overwritten unless forced.
 */
#ifndef GWH_PKI_H
#define GWH_PKI_H

#include <time.h>

#include "keys.h"

struct x509_st;
#define GWH_CA_DAYS 7300u     /* of a CA's certificate, if nothing else is said */
#define GWH_SERVER_DAYS 397u  /* of a server's */
#define GWH_DEVICE_DAYS 7300u /* of a device's */
#define GWH_CRL_DAYS 3650u    /* until a list of revoked certificates is out of date */

/* A CA. All-zero: none. Do not move it. */
struct gwh_ca {
    struct x509_st *certificate;
    struct gwh_key key;
    char folder[1024];
};
/* Makes one, in a folder that it makes (0700). The folder is refused if a CA is there, unless forced. */
int gwh_ca_new(struct gwh_ca *ca, const char *folder, const char *name, unsigned days, const char *passphrase,
               bool force, struct gwh_error *err);
int gwh_ca_load(struct gwh_ca *ca, const char *folder, const char *passphrase, struct gwh_error *err);
void gwh_ca_free(struct gwh_ca *ca);

enum gwh_purpose { GWH_SERVER, GWH_CLIENT };
struct gwh_leaf {
    const char *name;         /* common name */
    const char *const *hosts; /* names and addresses, for a server */
    size_t host_count;
    enum gwh_purpose purpose;
    unsigned days;
};
/* A certificate for this key, whose public half is enough. Appends PEM. */
int gwh_ca_sign(const struct gwh_ca *ca, const struct gwh_leaf *leaf, const struct gwh_key *key, struct gwh_buf *pem,
                struct gwh_error *err);
/* Makes a key and its certificate: FOLDER/NAME.pem and FOLDER/NAME.key (0600). */
int gwh_ca_sign_new(const struct gwh_ca *ca, const struct gwh_leaf *leaf, const char *folder, const char *name,
                    bool force, struct gwh_error *err);
/* Adds a certificate that this CA signed (a PEM file) to its list, or none (path NULL), and signs it for so long. */
int gwh_ca_revoke(const struct gwh_ca *ca, const char *path, unsigned days, struct gwh_error *err);

/* A device id as SPEC.md, section 1 has it, but for "server". */
int gwh_device_id_check(const char *id, struct gwh_error *err);
/* A request for a device's certificate, signed by its key. Appends PEM. */
int gwh_csr_make(struct gwh_buf *pem, const struct gwh_key *key, const char *id, struct gwh_error *err);
/* Reads one: its signature is right and its name is a device id (`id` NULL: any; it is copied to `out`). */
int gwh_csr_read(struct gwh_key *key, char out[GW_DEVICE_ID_MAX + 1], const char *path, const char *id,
                 struct gwh_error *err);

/* A list of revoked certificates: read, and signed by the CA in the file `ca`; *until: out of date from then on. */
int gwh_crl_check(const char *path, const char *ca, time_t *until, struct gwh_error *err);

/* What a file of certificates says of its first one, for people and `server check`. */
struct gwh_certificate {
    char subject[128], issuer[128]; /* common names */
    time_t from, until;
    bool is_ca, for_server, for_client;
    uint8_t spki[32];               /* SHA-256 of its SubjectPublicKeyInfo: what a trust bundle pins */
};
int gwh_certificate_info(struct gwh_certificate *c, const char *path, struct gwh_error *err);
/* The same of one in memory, DER. False: it is none. */
bool gwh_certificate_describe(struct gwh_certificate *c, struct gw_span der);
/* A CA of servers for a trust bundle, from a file with one certificate, PEM or DER: appends it as DER. GWH_REFUSED: it
 * is no CA, or none that every device could read. */
int gwh_server_ca_read(struct gwh_buf *der, const char *path, struct gwh_error *err);
/* Names and addresses that it is for; GWH_REFUSED: none, or more than `max`. */
int gwh_certificate_hosts(const char *path, char (*out)[256], unsigned max, unsigned *count, struct gwh_error *err);
/* Is it for this host, in the words of RFC 9525? Does `ca` (a PEM file) sign it, now, for that purpose? */
int gwh_certificate_check(const char *path, const char *ca, enum gwh_purpose purpose, const char *host,
                          struct gwh_error *err);
/* Is the key of this file (PEM, no passphrase) that of the certificate? */
int gwh_certificate_fits(const char *path, const char *key, struct gwh_error *err);

#endif
