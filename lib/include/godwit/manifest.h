/*
 * manifest.h - signed objects: trust bundle, manifest, channel head, key grant, offer; and the plan.
 *
 * Open means: verify the signatures over the bytes, then parse. What an open function fills points into the bytes
 * that it was given; they must stay unchanged for as long as the object is used. A manifest that was refused is
 * all-zero. Parsing is strict: the whole object is validated once, so that the accessors below cannot fail on an
 * opened object except for an index out of range (GW_ERR_NOTHING). Formats: SPEC.md, sections 3 to 6.
 */
#ifndef GODWIT_MANIFEST_H
#define GODWIT_MANIFEST_H

#include "godwit/crypto.h"

/* ---- Identity: what a device is; written at provisioning ---------------------------------------------------- */

#define GW_ROOTS_MAX 4u

/* The keys that sign trust bundles. */
struct gw_roots {
    struct gw_pubkey key[GW_ROOTS_MAX];
    uint32_t count;     /* n, at least 2 */
    uint32_t threshold; /* m, at least 1, at most n */
};

struct gw_identity {
    uint8_t vendor[GW_UUID_SIZE];
    uint8_t class_id[GW_UUID_SIZE];
    uint8_t device_id[GW_DEVICE_ID_MAX];
    uint8_t device_id_size;
    uint32_t hardware;                       /* hardware revision */
    uint32_t factory_size;                   /* bytes of the factory image; 0: none */
    uint8_t factory_digest[GW_DIGEST_SIZE];  /* its SHA-256 */
};

/*
 * Parses an identity object (SPEC.md, section 9). `roots` (may be NULL) receives views into the bytes. Secrets in it
 * are checked and not kept; gw_identity_keystore() serves them.
 */
GW_MUST_USE int gw_identity_parse(struct gw_identity *id, struct gw_roots *roots, const uint8_t *bytes, size_t n);

/*
 * The key and the certificate that a device shows to servers, if it has them: views into the identity object; d is
 * secret. certificate->n 0: a key alone. GW_ERR_NO_KEY: no key either.
 */
GW_MUST_USE int gw_identity_client(const uint8_t *bytes, size_t n, struct gw_span *d, struct gw_span *certificate);

/* A keystore that answers from an identity object in memory. */
struct gw_identity_keys {
    const struct gw_crypto *crypto;
    struct gw_span identity; /* the object; wipe it when done */
};
/* Fills `store` so that it serves the keys of `keys`; both must outlive its use. */
void gw_identity_keystore(struct gw_keystore *store, struct gw_identity_keys *keys);

/* ---- Trust bundle ------------------------------------------------------------------------------------------- */

/* One line of a policy: at least `count` distinct keys that have a role of `roles` must have signed. */
struct gw_policy_line {
    uint32_t roles;
    uint32_t count;
};
#define GW_POLICY_MAX 3u
#define GW_SERVER_CAS_MAX 4u /* CAs of servers in one bundle */

struct gw_trust {
    struct gw_span bytes;   /* the signed CBOR map */
    uint32_t version;       /* of the bundle; only grows */
    uint32_t epoch;         /* of the releases that it accepts; only grows */
    struct gw_span keys;    /* encoded arrays; use the accessors */
    struct gw_span revoked;
    struct gw_span pins;       /* of server CAs: one must be in the chain of a server's certificate */
    struct gw_span hosts;
    struct gw_span server_cas; /* X.509, DER: they alone are roots for servers; n 0: those that the device was given */
    uint32_t key_count;
    struct gw_policy_line policy[GW_POLICY_MAX]; /* for manifests; default: one author */
    uint32_t policy_count;
};

/* Verifies a bundle (COSE_Sign, type "godwit/trust/1") against the roots and parses it. */
GW_MUST_USE int gw_trust_open(struct gw_trust *trust, const struct gw_crypto *crypto, const struct gw_roots *roots,
                              const uint8_t *cose, size_t n);
/* Parses the signed map alone, for showing it. Nothing else accepts its result: every use verifies by itself. */
GW_MUST_USE int gw_trust_parse(struct gw_trust *trust, const uint8_t *map, size_t n);
/* Key number i, views into the bundle. Its key id: the first 8 bytes of gw_key_thumbprint(). */
GW_MUST_USE int gw_trust_key(const struct gw_trust *trust, uint32_t i, struct gw_pubkey *key);
/* Thumbprint of a public key (RFC 9679): SHA-256 of its COSE_Key with only the required members. */
GW_MUST_USE int gw_key_thumbprint(const struct gw_crypto *crypto, const struct gw_pubkey *key, uint8_t digest[32]);

/* ---- Manifest ----------------------------------------------------------------------------------------------- */

struct gw_manifest {
    struct gw_span bytes;            /* the signed CBOR map */
    uint8_t digest[GW_DIGEST_SIZE];  /* SHA-256 of it: the name of the release, whoever signed it how often */
    struct gw_order order;
    uint32_t floor;                  /* sequence in the same epoch; 0: the floor stays */
    uint32_t use_before;             /* seconds since 1970; 0: no end */
    struct gw_span version;          /* UTF-8, for people */
    struct gw_span notes;            /* URI; n 0: none */
    struct gw_span key_check;        /* 8 bytes; n 0: nothing is encrypted */
    uint8_t vendor[GW_UUID_SIZE];
    uint8_t class_id[GW_UUID_SIZE];
    struct gw_span components;       /* encoded arrays; use the accessors */
    struct gw_span devices;
    struct gw_span dependencies;
    uint32_t component_count;
    uint32_t device_count;
    uint32_t dependency_count;
};

enum gw_component_kind { GW_KIND_BOOTABLE = 1, GW_KIND_DATA = 2 };

struct gw_component {
    uint32_t id;
    uint32_t kind;
    struct gw_span variants;
    uint32_t variant_count;
};

struct gw_variant {
    bool linked;         /* only for the slot that starts at `address` */
    uint32_t address;
    uint32_t size;       /* of the image, bytes, at least 1 */
    uint8_t digest[GW_DIGEST_SIZE];
    struct gw_span payloads;
    uint32_t payload_count;
};

enum gw_encoding { GW_ENCODING_RAW = 0, GW_ENCODING_PATCH = 1 };

struct gw_payload {
    uint8_t name[GW_DIGEST_SIZE];      /* SHA-256 of the payload file */
    uint8_t head[GW_DIGEST_SIZE];      /* of the frame chain: SHA-256 of frame 0 */
    uint32_t size;                     /* of the payload file, bytes */
    uint32_t frame_size;               /* ciphertext in a full frame; a multiple of 64, 256..65536 */
    uint32_t encoding;                 /* enum gw_encoding */
    int32_t cipher;                    /* 0, GW_ALG_A128CTR or GW_ALG_A256CTR */
    uint32_t decoder_ram;              /* bytes; 0 for raw */
    bool delta;                        /* made from `precursor` */
    uint8_t precursor[GW_DIGEST_SIZE]; /* SHA-256 of the image it was made from */
};

enum gw_dependency_kind {
    GW_DEPENDS_HARDWARE = 1,   /* hardware revision of the identity */
    GW_DEPENDS_BOOTLOADER = 2, /* version of the bootloader */
    GW_DEPENDS_INSTALLED = 3,  /* sequence of the confirmed release */
};
struct gw_dependency {
    uint32_t kind;
    uint32_t min, max; /* inclusive; max 0xffffffff: no end */
};

/*
 * Verifies a manifest (COSE_Sign, type "godwit/manifest/1") by the policy of a verified bundle and parses it. Errors
 * of trust, format and the manifest's own contradictions (GW_ERR_FLOOR_ABOVE); GW_ERR_EPOCH for an epoch above the
 * bundle's. An older epoch is no error here: what was installed before the epoch rose still starts; gw_plan_make()
 * refuses to install it, and says whether a release suits a device.
 */
GW_MUST_USE int gw_manifest_open(struct gw_manifest *m, const struct gw_crypto *crypto, const struct gw_trust *trust,
                                 const uint8_t *cose, size_t n);
/* Parses the signed map alone (digest stays zero), for showing it: nothing installs or boots by its result. */
GW_MUST_USE int gw_manifest_parse(struct gw_manifest *m, const uint8_t *map, size_t n);

GW_MUST_USE int gw_manifest_component(const struct gw_manifest *m, uint32_t i, struct gw_component *c);
GW_MUST_USE int gw_component_variant(const struct gw_component *c, uint32_t i, struct gw_variant *v);
GW_MUST_USE int gw_variant_payload(const struct gw_variant *v, uint32_t i, struct gw_payload *p);
GW_MUST_USE int gw_manifest_device(const struct gw_manifest *m, uint32_t i, struct gw_span *device_id);
GW_MUST_USE int gw_manifest_dependency(const struct gw_manifest *m, uint32_t i, struct gw_dependency *d);

/* Bytes of ciphertext in a payload file of p->size bytes (without the hashes), or 0 if the size is impossible. */
uint32_t gw_payload_content(const struct gw_payload *p);

/* ---- Channel head ------------------------------------------------------------------------------------------- */

struct gw_head {
    uint8_t class_id[GW_UUID_SIZE];
    struct gw_span channel; /* UTF-8, 1..32 bytes */
    struct gw_order latest;
    uint32_t issued_at;     /* seconds since 1970 */
    uint32_t serial;        /* only grows */
    struct gw_span withdrawn;
    uint32_t withdrawn_count;
};

/* Verifies a head (COSE_Sign, type "godwit/head/1", one distributor key) and parses it. */
GW_MUST_USE int gw_head_open(struct gw_head *head, const struct gw_crypto *crypto, const struct gw_trust *trust,
                             const uint8_t *cose, size_t n);
GW_MUST_USE int gw_head_parse(struct gw_head *head, const uint8_t *map, size_t n);
/* Order number i of the withdrawn releases. */
GW_MUST_USE int gw_head_withdrawn(const struct gw_head *head, uint32_t i, struct gw_order *order);

/* ---- Key grants --------------------------------------------------------------------------------------------- */

/*
 * Unwraps the content key of manifest `m` from a key grant (COSE_Encrypt, SPEC.md section 6) with the first of its
 * recipients for which `keys` has a key, and checks it against the manifest's key check value.
 * GW_ERR_NO_KEY, GW_ERR_KEY_CHECK (also: a grant for another manifest). `cek` is wiped on failure.
 */
GW_MUST_USE int gw_grant_open(const struct gw_crypto *crypto, const struct gw_keystore *keys,
                              const struct gw_manifest *m, const uint8_t *grant, size_t n, uint8_t cek[32],
                              size_t *cek_size);

/* The key of one payload from the content key (SPEC.md, section 5). key_size: 16 or 32 by the cipher. */
GW_MUST_USE int gw_payload_key(const struct gw_crypto *crypto, const uint8_t *cek, size_t cek_size, uint32_t component,
                               uint32_t variant, uint32_t payload, uint8_t *key, size_t key_size);
/* The key check value of a content key. */
GW_MUST_USE int gw_key_check(const struct gw_crypto *crypto, const uint8_t *cek, size_t cek_size, uint8_t value[8]);

/* ---- Offer: what a look returns; an unsigned wrapper around signed things ------------------------------------ */

#define GW_GRANTS_MAX 4u
struct gw_offer {
    struct gw_span manifest;             /* COSE_Sign; n 0: nothing to install */
    struct gw_span grant[GW_GRANTS_MAX]; /* COSE_Encrypt */
    uint32_t grant_count;
    struct gw_span head;                 /* n 0: none */
    struct gw_span trust;                /* a newer bundle; n 0: none */
    uint32_t next_look;                  /* seconds; 0: not said */
    struct gw_span rollout;              /* n 0: none */
    struct gw_span payload_base;         /* URI; n 0: beside the offer */
};
GW_MUST_USE int gw_offer_parse(struct gw_offer *offer, const uint8_t *bytes, size_t n);

/* ---- Plan: what of a manifest this device takes ------------------------------------------------------------- */

/* A place for one component on this device, in the slot that is free. */
struct gw_place {
    uint32_t component;                  /* id */
    uint32_t kind;                       /* enum gw_component_kind */
    uint32_t address;                    /* where the image will start */
    uint32_t room;                       /* bytes */
    bool has_installed;                  /* the confirmed slot holds an image for it */
    uint32_t installed_size;
    uint8_t installed[GW_DIGEST_SIZE];   /* its SHA-256 */
};

/* What a device knows of itself. The server fills the same struct from a device's reports to explain a decision. */
struct gw_facts {
    const struct gw_identity *identity;
    const struct gw_place *places;
    uint32_t place_count;
    uint32_t bootloader;          /* version */
    bool has_installed;           /* false: nothing was ever confirmed */
    struct gw_order installed;    /* the confirmed release */
    struct gw_order floor;
    uint32_t epoch;               /* of the trust bundle in use: a release of another epoch is refused */
    const uint8_t (*rejected)[GW_DIGEST_SIZE]; /* manifests tried and left; may be NULL */
    uint32_t rejected_count;
    const struct gw_head *head;   /* verified; may be NULL */
    uint32_t head_serial;         /* highest seen; 0: none */
    uint32_t now;                 /* seconds since 1970; 0: the clock is not known, use-before is not checked */
    uint32_t frame_max;           /* largest frame of ciphertext that the buffer holds */
    uint32_t decoder_ram;         /* bytes for a decoder */
    uint32_t encodings;           /* bit (1 << enum gw_encoding) for each that is there */
    bool a128ctr, a256ctr;        /* ciphers that are there, with a key for this release */
    /* Told of everything that was passed over, and why. Index ~0u: not that deep. May be NULL. */
    void (*passed)(void *ctx, uint32_t component, uint32_t variant, uint32_t payload, int reason);
    void *ctx;
};

struct gw_choice {
    uint32_t place;     /* index in facts->places */
    uint32_t component; /* indices in the manifest */
    uint32_t variant;
    uint32_t payload;
    bool copy;          /* the installed image is the same: copy it, fetch nothing */
    uint32_t precursor_size; /* bytes of the installed image, when the payload is a delta from it */
};
struct gw_plan {
    uint32_t count;
    struct gw_choice choice[GW_COMPONENTS_MAX];
    uint32_t fetch_bytes; /* what will be fetched, in all */
};

/*
 * Pure: chooses for each component the first variant and payload that this device can use. GW_ERR_VENDOR ...
 * GW_ERR_HEAD_BEHIND, GW_ERR_NO_VARIANT ... GW_ERR_KEY_CHECK: why not.
 */
GW_MUST_USE int gw_plan_make(struct gw_plan *plan, const struct gw_manifest *m, const struct gw_facts *facts);

/* The part of the plan that boot checks too: vendor, class, device ids, floor. */
GW_MUST_USE int gw_manifest_suits(const struct gw_manifest *m, const struct gw_identity *id, struct gw_order floor);

#endif
