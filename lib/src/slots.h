/*
 * slots.h - the state of the slots in the journal, and what of it the installer and boot share.
 */
#ifndef GW_SLOTS_H
#define GW_SLOTS_H

#include "store.h"

#include <string.h>

#define GW_BOOT_RECORD 107u /* bytes of a boot record */
#define GW_REJECTED_MAX 4u  /* manifests remembered as tried and left */

void gw_boot_state_encode(const struct gw_boot_state *s, uint8_t body[GW_BOOT_RECORD]);
GW_MUST_USE int gw_boot_state_decode(struct gw_boot_state *s, const uint8_t *body, uint32_t n);

/* Writes the boot record, settled. */
GW_MUST_USE int gw_slots_save(const struct gw_device *dev, const struct gw_boot_state *s);
/* What gw_boot_ops says, through dev->boot or in the journal. */
GW_MUST_USE int gw_slots_clear(const struct gw_device *dev, enum gw_slot slot);
GW_MUST_USE int gw_slots_stage(const struct gw_device *dev, enum gw_slot slot, const struct gw_slot_state *release);

/* Digests of manifests that were tried and left, of slots and journal: how many of at most GW_REJECTED_MAX + 2. */
uint32_t gw_slots_rejected(const struct gw_device *dev, const struct gw_boot_state *s,
                           uint8_t digest[GW_REJECTED_MAX + 2][GW_DIGEST_SIZE]);

/* The state of a device that lost its journal, from what was verified in its slots (order.sequence 0: nothing). */
void gw_slots_rebuild(const struct gw_slot_state verified[2], struct gw_boot_state *s);

/*
 * Loads identity and trust bundle into `memory` (GW_TRUST_MAX for the bundle, then GW_IDENTITY_MAX): verified by the
 * roots of the identity. `pending`: the bundle that waits, if there is one. If the bundle in use is damaged the
 * other one serves.
 */
GW_MUST_USE int gw_trust_load(const struct gw_device *dev, const struct gw_boot_state *state, bool pending,
                              uint8_t *memory, struct gw_trust *trust, struct gw_identity *id);
GW_MUST_USE int gw_identity_load(const struct gw_device *dev, uint8_t *memory, struct gw_identity *id,
                                 struct gw_roots *roots, struct gw_span *bytes);

/* The newest channel head seen; all zero: none. */
struct gw_head_seen {
    uint32_t serial, issued_at;
};
void gw_head_seen(const struct gw_device *dev, struct gw_head_seen *seen);
/*
 * Verifies a head and keeps its serial at once if it is of the own class and higher, whatever becomes of the release
 * that came with it; then GW_ERR_HEAD_OTHER and _STALE by the config. `seen`: the newest before it. What else is wrong
 * with the head, the plan says.
 */
struct gw_install_config;
GW_MUST_USE int gw_head_take(const struct gw_install_config *c, const struct gw_trust *trust,
                             const uint8_t class_id[GW_UUID_SIZE], struct gw_span cose, struct gw_head *head,
                             struct gw_head_seen *seen);

/* Room for a component beside a slot: its area. GW_ERR_COMPONENT. */
GW_MUST_USE int gw_component_area(const struct gw_device *dev, enum gw_slot slot, uint32_t kind, uint32_t id,
                                  struct gw_area *area);
/* The variant that belongs at `address`. GW_ERR_NO_VARIANT. */
GW_MUST_USE int gw_variant_for(const struct gw_component *c, uint32_t address, struct gw_variant *v, uint32_t *index);

#endif
