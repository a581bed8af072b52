/*
 * crowd.h - many devices in one process, for bench/server/fleet.c: their keys, certificates and reports.
 *
 * Device number i is called d00000 and so on; its key is made of its number, so that every run has the same devices.
 * All of it ends the program with a message when something fails.
 */
#ifndef CROWD_H
#define CROWD_H

#include <openssl/ssl.h>

#include "keys.h"

#define CROWD_NAME_MAX 16

void die(const char *what);
double now_s(void);

void crowd_name(char out[CROWD_NAME_MAX], unsigned number);
/* Its key; free with gwh_key_free(). Do not move it. */
void crowd_key(struct gwh_key *key, unsigned number);
/* Certificates of this CA, for clients. */
void crowd_issuer(const char *certificate, const char *key);
X509 *crowd_certificate(const char *name, EVP_PKEY *key);
/* A report that a device would sign after an update. Appends. */
void crowd_report(struct gwh_buf *out, unsigned number, struct gwh_key *key, uint32_t counter);
/* For `godwit device import`. `class_id`: hexadecimal. */
void crowd_list(unsigned count, const char *class_id);

#endif
