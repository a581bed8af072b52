/*
 * scene.h - releases and bundles with one thing wrong, for a simulated device (device.h): made right, changed by the
 * test, then encoded and signed.
 */
#ifndef TEST_SCENE_H
#define TEST_SCENE_H

#include "device.h"
#include "slots.h"

/* What a release says. Fields may be changed between scene_release() and scene_release_sign(). Not to be moved. */
struct scene_release {
    struct simdev_release r; /* images and payload files; manifest and grant once it was signed */
    struct gwh_manifest m;
    struct gwh_component component[2];
    struct gwh_variant variant[2][2];
    struct gw_payload payload[2];
    struct gwh_signer signer[4];
    uint32_t signers;
    uint8_t check[8];
};
/* A right release, as simdev_release() makes it; author number wish->author signs. Not signed yet. */
void scene_release(struct simdev *d, struct scene_release *s, const struct simdev_wish *wish);
void scene_release_sign(struct simdev *d, struct scene_release *s);
void scene_release_free(struct scene_release *s);

struct scene_bundle {
    struct gwh_buf bytes;
    struct gwh_trust t;
    struct gw_pubkey key[4]; /* author 0, author 1, approver, distributor */
    uint8_t revoked[1][32];
    struct gwh_signer signer[3];
    uint32_t signers;
};
/* A right bundle: epoch 1, both roots sign. revoke: number of an author, or -1. `b` is all-zero, or was used before. */
void scene_bundle(struct simdev *d, struct scene_bundle *b, uint32_t version, int revoke);
void scene_bundle_sign(struct simdev *d, struct scene_bundle *b);
/* Both. */
void scene_bundle_make(struct simdev *d, struct scene_bundle *b, uint32_t version, int revoke);

/* Writes an object into an area, as provisioning does. */
void scene_put(struct simdev *d, struct gw_area area, struct gw_span object);
void scene_erase(struct simdev *d, struct gw_area area);
/* Flips bits of one byte on flash. */
void scene_damage(struct simdev *d, uint32_t address);
/* Mounts, and makes this the boot record. */
void scene_state(struct simdev *d, const struct gw_boot_state *state);
/* What the slot's state is when this release lies there. */
struct gw_slot_state scene_slot(const struct scene_release *s, enum gw_state state);

/* A copy of all bytes of the flash; and whether they are the same still. */
uint8_t *scene_copy(const struct simdev *d);
bool scene_same(const struct simdev *d, const uint8_t *copy);

#endif
