/*
 * objects.h - what the tests of signed objects start from: keys with every role, a bundle, a manifest that is right in
 * every respect. A test changes one thing and asks for the one error that it must give.
 *
 * Encoded objects lie in heap buffers of exactly their size, so that a sanitizer sees every byte read too far.
 */
#ifndef T_OBJECTS_H
#define T_OBJECTS_H

#include "host/encode.h"
#include "host/keys.h"
#include "lib/src/cose.h"

/* Bytes in a heap buffer of exactly n bytes. */
struct t_bytes {
    uint8_t *p;
    size_t n;
};
struct t_bytes t_exact(const void *p, size_t n);
/* "a1 01 02": spaces are skipped. */
struct t_bytes t_hex(const char *hex);
void t_free(struct t_bytes *b);

#define T_BUNDLE_KEYS 7u
struct t_world {
    const struct gw_crypto *crypto;
    struct gwh_key author, author2, approver, both, distributor, revoked, rsa; /* in the bundle, in this order */
    struct gwh_key root[3];
    struct gwh_key stranger;                 /* in nothing */
    struct gw_pubkey bundle_keys[T_BUNDLE_KEYS];
    struct gw_pubkey root_keys[3];
    uint8_t revoked_thumbprint[1][32];
    struct gwh_trust trust_is;               /* version 5, epoch 2 */
    struct gw_roots roots;                   /* 2 of 3 */
    struct t_bytes trust_bytes;
    struct gw_trust trust;                   /* trust_is, opened */

    struct gw_payload payload[3];            /* encrypted delta, encrypted full, raw data */
    struct gwh_variant variant[3];           /* bootable for 0x10000 and 0x80000, data */
    struct gwh_component component[2];       /* id 0 bootable, id 7 data */
    struct gw_dependency dependency[2];
    const char *device[2];
    uint8_t key_check[8];
    uint8_t cek[32];
    struct gwh_manifest manifest_is;         /* epoch 2, sequence 40, floor 30 */
    struct gwh_head head_is;                 /* latest (2, 41), withdrawn (2, 38) and (2, 39), serial 9 */
    struct gw_order withdrawn[2];

    struct gwh_secret kek[2], ec[1];         /* kids "kek-16", "kek-32"; a private key by its key id */
    struct gwh_key device_key;
    uint8_t kek_bytes[2][32];
    uint8_t device_d[32];
    struct gwh_identity identity_is;
};
void t_world_open(struct t_world *w);
void t_world_close(struct t_world *w);

/* Two arguments: an array of these keys, and their number. */
#define KEYS(...) \
    ((struct gwh_key *const[]){ __VA_ARGS__ }), \
        sizeof((struct gwh_key *const[]){ __VA_ARGS__ }) / sizeof(struct gwh_key *)

/* Map, then signatures by `n` keys. Each key signs with its own algorithm. */
struct t_bytes t_sign(const char *type, const struct gwh_buf *map, struct gwh_key *const *keys, size_t n);
struct t_bytes t_manifest_map(const struct t_world *w);
struct t_bytes t_manifest(const struct t_world *w, struct gwh_key *const *keys, size_t n);
struct t_bytes t_trust(const struct t_world *w, struct gwh_key *const *keys, size_t n);
struct t_bytes t_head(const struct t_world *w, struct gwh_key *const *keys, size_t n);
struct t_bytes t_identity(const struct t_world *w);
/* A grant for the digest of a manifest, to both KEKs, then to the device's key. */
struct t_bytes t_grant(const struct t_world *w, const uint8_t digest[32]);

/*
 * Gives `open` every prefix of an object, then the object with every single bit flipped, each in a buffer of its own.
 * Fails the test if one is accepted, or refused without a named error.
 */
void t_refuse_cuts(struct t_bytes object, int (*open)(void *ctx, const uint8_t *p, size_t n), void *ctx);
void t_refuse_flips(struct t_bytes object, int (*open)(void *ctx, const uint8_t *p, size_t n), void *ctx);

#endif
