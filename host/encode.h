/*
 * encode.h - makes the objects that devices read: manifests, trust bundles, heads, offers, grants, identities, frames.
 *
 * Pure: from structs to bytes in memory, no files, no OpenSSL. Encodings are those of SPEC.md, sections 2 to 7 and 9.
 * Nothing is validated: tests make wrong objects with the same functions (a floor above the sequence, a key that signed
 * twice, another type string). What must be right is checked by host/release.c with the device's own code.
 *
 * Functions return 0 or a GW_ERR_*; GW_ERR_SPACE means that memory was refused. "Appends" means to the end of `out`.
 */
#ifndef GWH_ENCODE_H
#define GWH_ENCODE_H

#include "godwit/crypto.h"
#include "godwit/manifest.h"

/* ---- Bytes that grow --------------------------------------------------------------------------------------------- */

/* All-zero is an empty buffer. `p` is from malloc and belongs to the buffer until gwh_buf_free(). */
struct gwh_buf {
    uint8_t *p;
    size_t n;
    size_t room;
};
void gwh_buf_free(struct gwh_buf *b); /* wipes, frees, and leaves it empty */
int gwh_buf_add(struct gwh_buf *b, const void *p, size_t n);
int gwh_buf_grow(struct gwh_buf *b, size_t n, uint8_t **at); /* n more bytes, not initialized, at *at */
struct gw_span gwh_span(const struct gwh_buf *b);

/* ---- What encoding needs of cryptography beyond the device's seam ------------------------------------------------ */

struct gwh_crypto {
    const struct gw_crypto *gw; /* sha256, aes_ctr, ecdh, random */
    void *ctx;
    /* One AES block, encrypted; key_size is 16 or 32. */
    int (*aes_encrypt)(void *ctx, const uint8_t *key, size_t key_size, const uint8_t in[16], uint8_t out[16]);
    /* x || y of a P-256 private key; fails if it is 0 or not below the group's order. */
    int (*ec_public)(void *ctx, const uint8_t priv[32], uint8_t pub[64]);
};

/* ---- Signed maps ------------------------------------------------------------------------------------------------- */

/* Pairs to add at the end of a map, encoded already: unknown keys, for tests. All-zero: none. */
struct gwh_extra {
    struct gw_span pairs;
    uint32_t count;
};

struct gwh_variant {
    bool linked;
    uint32_t address;
    uint8_t digest[32];
    uint32_t size;
    const struct gw_payload *payloads;
    uint32_t payload_count;
};
struct gwh_component {
    uint32_t id;
    uint32_t kind; /* enum gw_component_kind */
    const struct gwh_variant *variants;
    uint32_t variant_count;
};
struct gwh_manifest {
    uint32_t format; /* 0: 1 */
    uint32_t epoch, sequence;
    const char *version;
    uint8_t vendor[16], class_id[16];
    const struct gwh_component *components;
    uint32_t component_count;
    bool has_floor; /* also for a floor of 0; else: only when floor != 0 */
    uint32_t floor;
    uint32_t use_before; /* 0: absent */
    const char *const *devices;
    uint32_t device_count;                    /* 0: absent */
    const struct gw_dependency *dependencies; /* max 0xffffffff: absent */
    uint32_t dependency_count;                /* 0: absent */
    const uint8_t *key_check;                 /* 8 bytes; NULL: absent */
    const char *notes;                        /* NULL: absent */
    struct gwh_extra extra;
};
int gwh_manifest_map(struct gwh_buf *out, const struct gwh_manifest *m);

struct gwh_trust {
    uint32_t format; /* 0: 1 */
    uint32_t version, epoch;
    const struct gw_pubkey *keys; /* with roles */
    uint32_t key_count;
    const uint8_t (*revoked)[32];
    uint32_t revoked_count; /* 0: absent */
    const struct gw_policy_line *policy;
    uint32_t policy_count; /* 0: absent */
    const uint8_t (*pins)[32];
    uint32_t pin_count; /* 0: absent */
    const char *const *hosts;
    uint32_t host_count; /* 0: absent */
    const struct gw_span *server_cas; /* X.509, DER */
    uint32_t server_ca_count;         /* 0: absent */
    struct gwh_extra extra;
};
int gwh_trust_map(struct gwh_buf *out, const struct gwh_trust *t);

struct gwh_head {
    uint32_t format; /* 0: 1 */
    uint8_t class_id[16];
    const char *channel;
    struct gw_order latest;
    const struct gw_order *withdrawn;
    uint32_t withdrawn_count; /* 0: absent */
    uint32_t issued_at, serial;
    struct gwh_extra extra;
};
int gwh_head_map(struct gwh_buf *out, const struct gwh_head *h);

/* ---- Unsigned objects -------------------------------------------------------------------------------------------- */

/* The same struct as the parser's; spans with n 0 and numbers that are 0 are absent. */
int gwh_offer(struct gwh_buf *out, const struct gw_offer *o);

struct gwh_secret {
    struct gw_span kid, key;
};
struct gwh_identity {
    uint32_t format; /* 0: 1 */
    uint8_t vendor[16], class_id[16];
    const char *device_id;
    uint32_t hardware;
    const struct gw_pubkey *roots;
    uint32_t root_count, threshold;
    uint32_t factory_size; /* 0: absent */
    uint8_t factory_digest[32];
    const struct gwh_secret *keks;
    uint32_t kek_count;          /* 0: absent */
    const struct gwh_secret *ec; /* private P-256 keys, 32 bytes */
    uint32_t ec_count;           /* 0: absent */
    struct gwh_secret own;       /* key id and d of the device's own key; key.n 0: absent */
    struct gw_span certificate;  /* X.509, DER; n 0: absent */
    struct gwh_extra extra;
};
int gwh_identity_encode(struct gwh_buf *out, const struct gwh_identity *id);

/* A COSE_Key with alg, as in bundles and identities. */
int gwh_cose_key(struct gwh_buf *out, const struct gw_pubkey *key);

/* ---- COSE_Sign --------------------------------------------------------------------------------------------------- */

/* Who signs. All-zero overrides: none. */
struct gwh_signer {
    struct gw_pubkey key;
    void *ctx;
    /* Signs a SHA-256. `sig` has room for 512 bytes, *n of them are used. 0 or a GW_ERR_*. */
    int (*sign)(void *ctx, const uint8_t digest[32], uint8_t *sig, size_t *n);
    int32_t header_algorithm; /* for tests: written instead of the key's; 0: the key's */
    struct gw_span kid;       /* for tests: written instead of the key id; n 0: the key id */
};

/* [h'', {}, map, []]: nothing signed yet. Appends. */
int gwh_sign_new(struct gwh_buf *out, const void *map, size_t n);
/* Digest that a key of `algorithm` signs for this object. `type`: "godwit/manifest/1" ... */
int gwh_sign_digest(const struct gw_crypto *c, const char *type, struct gw_span cose, int32_t algorithm,
                    uint8_t digest[32]);
/* Puts a signature behind those that `cose` has; `kid` n 0: the key id of `key`. Replaces the content of `cose`. */
int gwh_sign_attach(struct gwh_buf *cose, const struct gw_crypto *c, const struct gw_pubkey *key,
                    int32_t header_algorithm, struct gw_span kid, struct gw_span signature);
/* Signs and attaches. */
int gwh_sign_add(struct gwh_buf *cose, const struct gw_crypto *c, const char *type, const struct gwh_signer *signer);
/* From map to signed object, by `count` signers. Appends. */
int gwh_sign_map(struct gwh_buf *out, const struct gw_crypto *c, const char *type, struct gw_span map,
                 const struct gwh_signer *signers, size_t count);
/* The signed map inside; its SHA-256 is the digest of a manifest. GW_ERR_FORMAT. */
int gwh_sign_payload(struct gw_span cose, struct gw_span *map);

/* ---- Key grants -------------------------------------------------------------------------------------------------- */

struct gwh_recipient {
    int32_t algorithm; /* GW_ALG_A128KW, _A256KW, _ECDH_ES_A128KW, _ECDH_ES_A256KW */
    struct gw_span kid;
    struct gw_span kek;       /* pre-shared: 16 or 32 bytes */
    uint8_t peer[64];         /* ECDH: public key of the holder, x || y */
    const uint8_t *ephemeral; /* ECDH: 32 bytes, for tests; NULL: fresh, from the crypto's random */
};
struct gwh_grant {
    int32_t cipher;     /* GW_ALG_A128CTR or _A256CTR */
    uint8_t digest[32]; /* of the manifest */
    struct gw_span cek; /* 16 or 32 bytes */
    const struct gwh_recipient *recipients;
    uint32_t recipient_count;
};
int gwh_grant_encode(struct gwh_buf *out, const struct gwh_crypto *c, const struct gwh_grant *g);
/* RFC 3394; n is a multiple of 8, at most 32; n + 8 bytes to `out`. */
int gwh_key_wrap(const struct gwh_crypto *c, struct gw_span kek, const uint8_t *key, size_t n, uint8_t *out);

/* ---- Payloads ---------------------------------------------------------------------------------------------------- */

/* Where a payload stands in its manifest; its key comes from that. */
struct gwh_position {
    uint32_t component;        /* id */
    uint32_t variant, payload; /* indices */
};
/* Encrypts (or decrypts) content in place. cipher 0: leaves it as it is. */
int gwh_payload_crypt(const struct gw_crypto *c, struct gw_span cek, struct gwh_position at, int32_t cipher,
                      uint8_t *content, size_t n);
/* Content to payload file: appends the frames to `file` (which is empty), fills name, head and size of `p` by
 * p->frame_size. */
int gwh_payload_frame(struct gwh_buf *file, const struct gw_crypto *c, struct gw_span content, struct gw_payload *p);
/* Both, from an encoded image: by p->cipher and p->frame_size; fills the rest of `p` but encoding, precursor and
 * decoder RAM. */
int gwh_payload_make(struct gwh_buf *file, const struct gw_crypto *c, struct gw_span cek, struct gwh_position at,
                     struct gw_span image, struct gw_payload *p);

#endif
