/*
 * pki_internal.h - what pki.c and pki_check.c share.
 */
#ifndef GWH_PKI_INTERNAL_H
#define GWH_PKI_INTERNAL_H

#include <openssl/bio.h>
#include <openssl/x509.h>

#include "error.h"
#include "encode.h"

/* Appends what a memory BIO holds. */
int gwh_pki_take(struct gwh_buf *out, BIO *bio, struct gwh_error *err);
/* The first certificate of a PEM file, or NULL and err. */
X509 *gwh_pki_read(const char *path, struct gwh_error *err);
/* A list of revoked certificates in PEM, or NULL and err. */
X509_CRL *gwh_pki_read_crl(const char *path, struct gwh_error *err);
struct gwh_certificate;
/* 0 or a GW_ERR_*. */
int gwh_pki_describe(struct gwh_certificate *c, X509 *x);

#endif
