/*
 * object.c - signatures on objects in files, by a key that is here or by one that never is. See release.h.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ecdsa.h>

#include "cose.h"
#include "release.h"

#define OBJECT_MAX 16384u

static int load(struct gwh_buf *cose, const struct gwh_object *o, struct gwh_error *err)
{
    struct gw_span map;
    int e = gwh_file_read(cose, o->path, OBJECT_MAX, err);
    if (e != GWH_OK) {
        return e;
    }
    e = gwh_sign_payload(gwh_span(cose), &map);
    return e == GW_OK ? GWH_OK : gwh_fail_reason(err, e, "%s is no signed object", o->path);
}

/* Refuses a key whose signature is there already: a second one would not count. */
static int check_fresh(const struct gwh_buf *cose, const struct gwh_object *o, const struct gwh_key *key,
                       struct gwh_error *err)
{
    struct gw_cose_sign s;
    struct gw_cose_signature sig;
    if (gw_cose_sign_parse(&s, cose->p, cose->n) != GW_OK) {
        return GWH_OK; /* without signatures yet: not an object that the device's parser takes */
    }
    if (s.count >= GW_SIGNATURES_MAX) {
        return gwh_fail_reason(err, GW_ERR_LIMIT, "%s has %u signatures already", o->path, (unsigned)s.count);
    }
    for (uint32_t i = 0; i < s.count; i++) {
        if (gw_cose_signature(&s, i, &sig) == GW_OK && sig.kid.n == GW_KEY_ID_SIZE &&
            memcmp(sig.kid.p, key->thumbprint, GW_KEY_ID_SIZE) == 0) {
            return gwh_fail_reason(err, GW_ERR_SIGNER_TWICE, "%s is signed by this key already", o->path);
        }
    }
    return GWH_OK;
}

static int digest_of(const struct gwh_buf *cose, const struct gwh_object *o, const struct gwh_key *key,
                     uint8_t digest[32], struct gwh_error *err)
{
    int e = gwh_sign_digest(gwh_openssl()->gw, o->type, gwh_span(cose), key->pub.algorithm, digest);
    return e == GW_OK ? GWH_OK : gwh_fail_reason(err, e, "%s", o->path);
}

/* Checks the signature with the device's verifier, attaches it, writes the file. */
static int attach(struct gwh_buf *cose, const struct gwh_object *o, const struct gwh_key *key, const uint8_t digest[32],
                  struct gw_span signature, struct gwh_error *err)
{
    const struct gw_crypto *c = gwh_openssl()->gw;
    int e = c->verify(c->ctx, &key->pub, digest, signature.p, signature.n);
    if (e == GW_OK) {
        e = gwh_sign_attach(cose, c, &key->pub, 0, (struct gw_span){0}, signature);
    }
    if (e != GW_OK) {
        return gwh_fail_reason(err, e, "this signature does not fit %s and this key", o->path);
    }
    return gwh_file_write(o->path, gwh_span(cose), 0644, true, err);
}

int gwh_object_sign(const struct gwh_object *o, struct gwh_key *key, struct gwh_error *err)
{
    struct gwh_buf cose = {0};
    struct gwh_signer signer;
    uint8_t digest[32], signature[512];
    size_t n = 0;
    gwh_key_signer(&signer, key);
    int e = load(&cose, o, err);
    if (e == GWH_OK) {
        e = check_fresh(&cose, o, key, err);
    }
    if (e == GWH_OK) {
        e = digest_of(&cose, o, key, digest, err);
    }
    if (e == GWH_OK && signer.sign(signer.ctx, digest, signature, &n) != GW_OK) {
        e = gwh_fail_reason(err, GW_ERR_CRYPTO, "cannot sign %s", o->path);
    }
    if (e == GWH_OK) {
        e = attach(&cose, o, key, digest, (struct gw_span){signature, n}, err);
    }
    gwh_buf_free(&cose);
    return e;
}

int gwh_object_digest_out(const struct gwh_object *o, const struct gwh_key *key, const char *path, bool force,
                          struct gwh_error *err)
{
    struct gwh_buf cose = {0};
    uint8_t digest[32];
    int e = load(&cose, o, err);
    if (e == GWH_OK) {
        e = check_fresh(&cose, o, key, err);
    }
    if (e == GWH_OK) {
        e = digest_of(&cose, o, key, digest, err);
    }
    if (e == GWH_OK) {
        e = gwh_file_write(path, (struct gw_span){digest, 32}, 0644, force, err);
    }
    gwh_buf_free(&cose);
    return e;
}

/* Tools that sign with P-256 mostly write DER. False: not DER. */
static bool from_der(const struct gwh_buf *in, uint8_t out[64])
{
    const uint8_t *p = in->p;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)in->n);
    bool ok = sig != NULL && p == in->p + in->n && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32) == 32 &&
              BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32) == 32;
    ECDSA_SIG_free(sig);
    return ok;
}

static int read_signature(struct gwh_buf *sig, const struct gwh_key *key, const char *path, struct gwh_error *err)
{
    uint8_t flat[64];
    bool ec = key->pub.algorithm == GW_ALG_ES256;
    size_t want = ec ? 64 : key->pub.x.n;
    int e = gwh_file_read(sig, path, 4096, err);
    if (e == GWH_OK && ec && sig->n != 64 && from_der(sig, flat)) {
        sig->n = 0;
        e = gwh_buf_add(sig, flat, 64) == GW_OK ? GWH_OK : gwh_fail_reason(err, GW_ERR_SPACE, "signature");
    }
    if (e == GWH_OK && sig->n != want) {
        (void)gwh_fail_reason(err, GW_ERR_SIGNATURE, "%s has %zu bytes where a %s signature has %zu", path, sig->n,
                              gwh_key_kind_name(key), want);
        e = gwh_hint(err,
                     "sign the 32 bytes of --digest-out as a SHA-256 digest, raw: openssl pkeyutl -sign "
                     "-inkey KEY -in DIGEST -out SIGNATURE%s",
                     ec ? "" : " -pkeyopt digest:sha256 -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:32");
    }
    return e;
}

int gwh_object_signature_in(const struct gwh_object *o, const struct gwh_key *key, const char *path,
                            struct gwh_error *err)
{
    struct gwh_buf cose = {0}, sig = {0};
    uint8_t digest[32];
    int e = load(&cose, o, err);
    if (e == GWH_OK) {
        e = check_fresh(&cose, o, key, err);
    }
    if (e == GWH_OK) {
        e = digest_of(&cose, o, key, digest, err);
    }
    if (e == GWH_OK) {
        e = read_signature(&sig, key, path, err);
    }
    if (e == GWH_OK) {
        e = attach(&cose, o, key, digest, gwh_span(&sig), err);
    }
    gwh_buf_free(&cose);
    gwh_buf_free(&sig);
    return e;
}
