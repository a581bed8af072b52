/*
 * store.h - objects and records on flash, below the boot state: CRC-32, sealed objects, the journal.
 */
#ifndef GW_STORE_H
#define GW_STORE_H

#include "godwit/boot.h"

/* Keeps a function's stack frame out of its caller's: the deepest chains are what devices pay for (`make stack`). */
#if defined(__GNUC__) || defined(__clang__)
#define GW_NOINLINE __attribute__((noinline))
#else
#define GW_NOINLINE
#endif

/* ---- Bytes ---------------------------------------------------------------------------------------------------- */

void gw_put32(uint8_t *p, uint32_t v);
uint32_t gw_get32(const uint8_t *p);
/* CRC-32 (IEEE 802.3) of n bytes; `crc` is 0 at first, or the value so far. */
uint32_t gw_crc32(uint32_t crc, const uint8_t *p, size_t n);
uint32_t gw_round_up(uint32_t v, uint32_t unit);

/* A field of a record: where it lies in its struct. Size 4: a number, big-endian on flash; others: bytes. */
struct gw_packed {
    uint8_t offset, size;
};
#define GW_PACKED(type, name, bytes) { (uint8_t)offsetof(struct type, name), bytes }
/* Moves every field between a struct and a record's body, in one of the two directions. Returns the body's size. */
size_t gw_pack(const struct gw_packed *field, size_t count, void *object, uint8_t *body, bool encode);

/* ---- Sealed objects: a header with length and CRC, written after the object (SPEC.md, section 8) --------------- */

#define GW_STORE_HEADER 64u /* the object starts here */

/* Erases block number i of an area (i from 0). GW_DONE past the last, GW_MORE otherwise. */
GW_MUST_USE int gw_area_erase(const struct gw_flash *flash, struct gw_area area, uint32_t *offset);
/* Writes an object into an erased area, reads it back, then writes its header. */
GW_MUST_USE int gw_store_write(const struct gw_flash *flash, struct gw_area area, const uint8_t *object, uint32_t n);
/* Reads the object; *n bytes of at most `size`. GW_ERR_NOTHING: none (or damaged); GW_ERR_FLASH_READ. */
GW_MUST_USE int gw_store_read(const struct gw_flash *flash, struct gw_area area, uint8_t *object, uint32_t size,
                              uint32_t *n);

/* ---- Journal (SPEC.md, section 10) ----------------------------------------------------------------------------- */

enum gw_record {
    GW_REC_SETTLED = 1,  /* what is before it was completely written */
    GW_REC_BOOT = 2,     /* struct gw_boot_state */
    GW_REC_INSTALL = 3,  /* which manifest is being installed where */
    GW_REC_PROGRESS = 4, /* how far that is */
    GW_REC_REJECTED = 5, /* digests of manifests that were tried and left */
    GW_REC_HEAD = 6,     /* highest serial of a channel head */
    GW_REC_AGENT = 7,    /* the agent's: next look, back-off, budgets, what was told (agent_memory.c) */
    GW_REC_REPORTS = 8,  /* the agent's: reports that nobody has yet (report.c); 9..11 are free */
};
#define GW_RECORD_MAX 192u /* bytes of a record's body */

/* Finds the newest records and settles what an interruption left in doubt. journal->flash and ->bank are set by it. */
GW_MUST_USE int gw_journal_mount(struct gw_journal *j, const struct gw_flash *flash, struct gw_area area);
/* The newest body of a kind: *n bytes. GW_ERR_NOTHING: none, or deleted. GW_ERR_SPACE: longer than `size`. */
GW_MUST_USE int gw_journal_get(struct gw_journal *j, enum gw_record kind, uint8_t *body, uint32_t size, uint32_t *n);
/* Appends a record; n 0 deletes the kind. Durable on return. */
GW_MUST_USE int gw_journal_put(struct gw_journal *j, enum gw_record kind, const uint8_t *body, uint32_t n);
/* Marks all that was put as completely written, so that the next mount writes nothing. */
GW_MUST_USE int gw_journal_settle(struct gw_journal *j);

#endif
