/*
 * cose.h - COSE_Sign (RFC 9052, section 4.1) as Godwit uses it: tagged or not, payload inside, several signatures.
 *
 * What it keeps true: nothing of the payload is parsed before the policy is satisfied; a signature counts only with
 * the algorithm and the roles that the trusted key itself has; each key counts once.
 */
#ifndef GW_COSE_H
#define GW_COSE_H

#include "cbor.h"
#include "godwit/manifest.h"

/* Type strings: the external_aad of each signed object (SPEC.md, section 2). */
#define GW_TYPE_TRUST "godwit/trust/1"
#define GW_TYPE_MANIFEST "godwit/manifest/1"
#define GW_TYPE_HEAD "godwit/head/1"
#define GW_TYPE_REPORT "godwit/report/1"

#define GW_KEY_ID_SIZE 8u /* a kid: the first bytes of the key's thumbprint (RFC 9679) */

/* One signature of a COSE_Sign object. */
struct gw_cose_signature {
    struct gw_span protected_header; /* encoded map, e.g. {1: -7} */
    struct gw_span signature;
    struct gw_span kid; /* n 0: none */
    int32_t algorithm;
};

/* A COSE_Sign object taken apart, nothing verified. */
struct gw_cose_sign {
    struct gw_span protected_header;
    struct gw_span payload;
    struct gw_span signatures; /* encoded items */
    uint32_t count;
};
GW_MUST_USE int gw_cose_sign_parse(struct gw_cose_sign *s, const uint8_t *cose, size_t n);
GW_MUST_USE int gw_cose_signature(const struct gw_cose_sign *s, uint32_t i, struct gw_cose_signature *sig);

/* SHA-256 of the Sig_structure (RFC 9052, section 4.4): what a signature is made over. Signing tools use it too. */
GW_MUST_USE int gw_cose_sig_digest(const struct gw_crypto *crypto, const char *type, struct gw_span body_protected,
                                   struct gw_span sign_protected, struct gw_span payload, uint8_t digest[32]);

/* Where trusted keys come from: number i, or GW_ERR_NOTHING past the last. `id` receives the key id. */
struct gw_keyring {
    const struct gw_crypto *crypto;
    const struct gw_trust *trust; /* or NULL: */
    const struct gw_roots *roots;
};

/*
 * Verifies a COSE_Sign object by a policy: for every set of lines, at least the sum of their counts of distinct keys
 * with one of their roles signed. Signatures that do not verify are not fatal if others satisfy the policy; if they do
 * not, the first reason found is returned (SIGNATURE, KEY_REVOKED, KEY_ROLE, ALGORITHM, SIGNER_TWICE, KEY_UNKNOWN,
 * SIGNERS_FEW).
 * `payload` receives the signed bytes.
 */
GW_MUST_USE int gw_cose_verify(const struct gw_keyring *ring, const char *type, const struct gw_policy_line *policy,
                               uint32_t policy_count, const uint8_t *cose, size_t n, struct gw_span *payload);

/*
 * Reads a COSE_Key (RFC 9052 section 7; RFC 9053 section 7.1, RFC 8230) that signs, with its algorithm, or one for
 * ECDH, without (key->algorithm is 0). Each has one encoding, SPEC.md section 2: anything else is GW_ERR_ALGORITHM, a
 * key of another size GW_ERR_KEY_WEAK.
 */
void gw_cose_key(struct gw_cbor *c, struct gw_pubkey *key, bool signs);
/* How often the bytes of `part` stand in `whole`. A public x (or n) that stands twice in a list is one key twice. */
uint32_t gw_span_occurs(struct gw_span whole, struct gw_span part);
/* An algorithm, or another number of 32 bits. */
int32_t gw_cose_algorithm(struct gw_cbor *c);

/* What COSE_Signature, COSE_recipient and COSE_Encrypt begin with: protected header, unprotected header. */
struct gw_cose_header {
    struct gw_span protected_header;
    struct gw_span kid;      /* n 0: none */
    struct gw_span key;      /* encoded ephemeral COSE_Key; n 0: none */
    struct gw_span manifest; /* digest that a grant is bound to, from the protected header; n 0: none */
    int32_t algorithm;       /* from the unprotected header only if the protected one is empty; 0: none */
};
void gw_cose_headers(struct gw_cbor *c, struct gw_cose_header *h);

#endif
