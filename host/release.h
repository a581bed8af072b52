/*
 * release.h - a release as a folder (SPEC.md, section 11): build, load, sign, grant, head, verify.
 *
 *    rel/manifest.cose   rel/head.cose   rel/grants/<kid in hex>.cose   rel/payloads/<sha256 in hex>
 *
 * What it keeps true: a payload is accepted for signing only after the device's own code has taken it back apart; the
 * content key is never written into the folder; a file appears under its name complete or not at all; a folder
 * appears with all that belongs in it or not at all.
 */
#ifndef GWH_RELEASE_H
#define GWH_RELEASE_H

#include "encode.h"
#include "error.h"
#include "file.h"
#include "keys.h"

#define GWH_IMAGE_MAX (256u * 1024u * 1024u)
#define GWH_IMAGES_MAX 16u
#define GWH_GRANTS_MAX 256u

/* ---- Holders: whom a content key is granted to, and who can open a grant ----------------------------------------- */

/* Text from the command line, "device.pub.pem" or "kek:NAME=FILE", taken in. Free with gwh_holder_free(). */
struct gwh_holder {
    bool is_kek;
    uint8_t kid[32]; /* a KEK's name, or a key id */
    size_t kid_size;
    uint8_t kek[32];
    size_t kek_size;
    struct gwh_key key; /* P-256; with its private half it can open grants */
};
int gwh_holder_parse(struct gwh_holder *h, const char *text, const char *passphrase, struct gwh_error *err);
void gwh_holder_free(struct gwh_holder *h);
/* A keystore that answers from an array of holders; `set` and what it views must outlive it. */
struct gwh_holders {
    const struct gwh_holder *holder;
    size_t count;
};
void gwh_holder_keystore(struct gw_keystore *store, struct gwh_holders *set);
/* A pre-shared key from a file: 16 or 32 bytes, or as many in hexadecimal digits. */
int gwh_kek_read(uint8_t kek[32], size_t *size, const char *path, struct gwh_error *err);

/* ---- Build ------------------------------------------------------------------------------------------------------- */

struct gwh_image {
    uint32_t component; /* id; images of one component are its variants, in the order given */
    uint32_t kind;      /* enum gw_component_kind */
    bool linked;
    uint32_t address;
    const char *path;
};
struct gwh_old_images; /* coded.h */
/* A payload of a release being built, for telling people. */
struct gwh_made {
    const struct gw_payload *payload; /* NULL: it did not pay, and was dropped */
    const struct gwh_release *from;   /* of a delta; else NULL */
    uint32_t component;               /* id */
    bool linked;
    uint32_t address, image_size;
    uint32_t size, full;              /* bytes of it, and of the full payload that it is compared with */
};
struct gwh_build {
    struct gwh_manifest manifest; /* all but components, key_check */
    const struct gwh_image *images;
    size_t image_count;
    uint32_t frame_size; /* 0: 4096 */
    int32_t cipher;      /* 0: not encrypted */
    const struct gwh_holder *holders;
    size_t holder_count;
    const struct gwh_old_images *old; /* deltas are made from them; may be NULL */
    bool compress;       /* the image itself, encoded, before the raw one */
    bool no_raw;         /* every device of this class has a decoder: no raw payload */
    uint32_t pays;       /* per cent of the full payload that a delta may have; 0: 70 */
    uint32_t isa;        /* for encoding: enum gw_isa_id, or GWH_ISA_AUTO */
    uint32_t profile;    /* enum gw_patch_profile */
    /* Told of each payload that was made. May be NULL. */
    void (*made)(void *ctx, const struct gwh_made *payload);
    void *ctx;
    const char *cek_out; /* keeps the content key in this file; may be NULL */
    bool force;          /* replace a release that is there */
    bool dry_run;        /* do all but write */
};
/* What was built, for telling people. */
struct gwh_built {
    uint8_t digest[32];
    uint32_t images, payloads, image_bytes, payload_bytes, manifest_bytes;
};
int gwh_release_build(const struct gwh_build *b, const char *folder, struct gwh_built *built, struct gwh_error *err);

/* ---- Load -------------------------------------------------------------------------------------------------------- */

struct gwh_named {
    char name[80]; /* file name */
    struct gwh_buf bytes;
};
struct gwh_release {
    char folder[GWH_PATH_MAX];
    struct gwh_buf cose;
    struct gw_span map; /* of the manifest, in cose */
    uint8_t digest[32];
    struct gw_manifest m; /* parsed, not verified */
    struct gwh_buf head;  /* n 0: none */
    struct gwh_named *grants;
    size_t grant_count;
};
/* Reads and parses all but the payloads; checks no signature. `folder` may also name a manifest file. */
int gwh_release_load(struct gwh_release *r, const char *folder, struct gwh_error *err);
void gwh_release_free(struct gwh_release *r);
/* Path of a payload file. */
int gwh_release_payload_path(char out[GWH_PATH_MAX], const struct gwh_release *r, const uint8_t name[32],
                             struct gwh_error *err);
/* Calls `each` for every payload of a manifest until one fails. */
struct gwh_place {
    uint32_t component, variant, payload; /* indices */
    struct gw_component c;
    struct gw_variant v;
    struct gw_payload p;
};
int gwh_each_payload(const struct gw_manifest *m, int (*each)(void *ctx, const struct gwh_place *at), void *ctx);

/* ---- Payload files ----------------------------------------------------------------------------------------------- */

/*
 * Takes a payload file apart as a device does: size, name, every frame against the chain; with a content key (n 0:
 * none) also decrypts it and compares the image. GW_ERR_PAYLOAD_LONG, _SHORT, FRAME_HASH, IMAGE_DIGEST ...
 */
int gwh_payload_check(const struct gw_crypto *c, const struct gwh_place *at, struct gw_span cek, struct gw_span file);
/* The same, and appends the image: nothing when the key is missing, or `old` (n 0: none) for a delta. */
int gwh_payload_image(struct gwh_buf *image, const struct gw_crypto *c, const struct gwh_place *at,
                      struct gw_span cek, struct gw_span old, struct gw_span file);

/* ---- Sign -------------------------------------------------------------------------------------------------------- */

/* A signed object in a file: manifest, bundle or head, by its type string. */
struct gwh_object {
    const char *path;
    const char *type;
};
/* Adds the key's signature. GW_ERR_SIGNER_TWICE if it has signed already. */
int gwh_object_sign(const struct gwh_object *o, struct gwh_key *key, struct gwh_error *err);
/* What a key held elsewhere has to sign: 32 bytes, written to a file. */
int gwh_object_digest_out(const struct gwh_object *o, const struct gwh_key *key, const char *path, bool force,
                          struct gwh_error *err);
/* Takes the signature that it made: r || s or DER for P-256, as long as the modulus for RSA. Refused unless it
 * verifies. */
int gwh_object_signature_in(const struct gwh_object *o, const struct gwh_key *key, const char *path,
                            struct gwh_error *err);

/* ---- Grant, head, verify ----------------------------------------------------------------------------------------- */

/* Opens the content key: from a grant that one of `holders` can open, or from a file that build kept (may be NULL). */
int gwh_release_cek(const struct gwh_release *r, const struct gwh_holders *holders, const char *cek_file,
                    uint8_t cek[32], size_t *size, struct gwh_error *err);
/* Writes a grant for `to` into the folder. */
int gwh_release_grant(const struct gwh_release *r, struct gw_span cek, const struct gwh_holder *to, bool force,
                      struct gwh_error *err);
/* Signs a head and writes it into the folder. */
int gwh_release_head(const struct gwh_release *r, const struct gwh_head *head, struct gwh_key *key, bool force,
                     struct gwh_error *err);

/* What verify found, line by line. */
struct gwh_verify {
    const struct gw_trust *trust;
    uint32_t now;                      /* for use-before; 0: not checked */
    const struct gwh_holders *holders; /* may be NULL: payloads are checked as far as that goes without keys */
    void (*found)(void *ctx, const char *line);
    void *ctx;
};
int gwh_release_verify(const struct gwh_release *r, const struct gwh_verify *v, struct gwh_error *err);
/* The same without the payloads: also of a release that is in memory alone. */
int gwh_release_verify_signed(const struct gwh_release *r, const struct gwh_verify *v, struct gwh_error *err);
/* What a head says of a release: GW_OK, GW_ERR_HEAD_OTHER, _WITHDRAWN or _HEAD_BEHIND. */
int gwh_head_allows(const struct gw_head *head, const uint8_t class_id[16], struct gw_order order);

#endif
