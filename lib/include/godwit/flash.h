/*
 * flash.h - the flash of a device: one seam with its geometry, and where things lie on it.
 *
 * The library keeps these rules whatever the part is, and tests/flashsim checks them at every operation:
 *  - a write unit is programmed at most once between two erases of its block;
 *  - a block is trusted to be erased only in the session that erased it, never because it reads as blank;
 *  - writes are whole units at aligned addresses; an erase is one whole block.
 */
#ifndef GODWIT_FLASH_H
#define GODWIT_FLASH_H

#include "godwit/godwit.h"

#define GW_WRITE_MAX 32u /* largest write unit, bytes */

/* A run of equal erase blocks. */
struct gw_flash_region {
    uint32_t start;      /* address of the first block */
    uint32_t count;      /* number of blocks, at least 1 */
    uint32_t erase_size; /* bytes of one block, a multiple of write_size */
};

/*
 * The flash. Addresses are the port's own; regions are sorted by address and do not overlap; what lies outside of
 * them does not exist. Every function blocks until the operation is complete and durable. A function returns 0, or
 * any negative number when the part reported a failure. Worst-case times are the port's to document: the library
 * calls at most one of `write` (at most GW_FRAME_MAX bytes) or `erase` between two calls of `idle`.
 */
struct gw_flash {
    void *ctx;
    const struct gw_flash_region *regions;
    uint32_t region_count;
    uint32_t write_size; /* write unit: a power of two, 1..GW_WRITE_MAX bytes */
    uint8_t erased;      /* value of every byte after an erase: 0xff or 0x00 */

    /* Reads n bytes. A unit that cannot be read (ECC) is a failure, never a fault: trap it in the port. */
    int (*read)(void *ctx, uint32_t address, void *data, uint32_t n);
    /* Programs n bytes, whole units, erased before. */
    int (*write)(void *ctx, uint32_t address, const void *data, uint32_t n);
    /* Erases the block that starts at `address`. */
    int (*erase)(void *ctx, uint32_t address);
    /* Runs between operations so that a watchdog can be fed. May be NULL. */
    void (*idle)(void *ctx);
};

/* A part of the flash: whole erase blocks, or size 0 for "there is none". */
struct gw_area {
    uint32_t start;
    uint32_t size;
};

enum gw_slot {
    GW_SLOT_A = 0,
    GW_SLOT_B = 1,
    GW_SLOT_FACTORY = 2, /* only in the extended layout; never written by an update */
    GW_SLOT_NONE = 3,
};

/* Where a data component lies: one area beside each slot, switched together with it. */
struct gw_data_areas {
    uint32_t component; /* component id in the manifest */
    struct gw_area area[2];
};

/*
 * The layout of one device (SPEC.md, section 8). A slot ends with its *work block(s)* and its *manifest block(s)*;
 * what is before them holds the image:
 *
 *     | image ...                      | spare | work | manifest |
 */
struct gw_layout {
    struct gw_area identity; /* written once, at provisioning; protect it if the part can */
    struct gw_area trust[2]; /* trust bundles: copy, then switch; each at least GW_TRUST_MAX + 64 bytes */
    struct gw_area journal;  /* two banks of equal size, each of whole erase blocks, at least 1 KB */
    struct gw_area factory;  /* size 0: limited layout */
    struct gw_area slot[2];
    const struct gw_data_areas *data; /* may be NULL */
    uint32_t data_count;
};

/* The parts of a slot. */
struct gw_slot_map {
    struct gw_area image;    /* room for the image, spare included */
    struct gw_area work;     /* scratch: at least as large as the largest erase block of the slot */
    struct gw_area manifest; /* at least GW_MANIFEST_MAX + 64 bytes */
};

/*
 * Checks a layout against its flash: areas inside, aligned, not overlapping, large enough. GW_ERR_LAYOUT,
 * GW_ERR_CONFIG.
 */
GW_MUST_USE int gw_layout_check(const struct gw_flash *flash, const struct gw_layout *layout);

/*
 * Divides a slot (A, B) into its parts; for the factory slot, image is the whole area. GW_ERR_LAYOUT if it is too
 * small.
 */
GW_MUST_USE int gw_layout_slot(const struct gw_flash *flash, const struct gw_layout *layout, enum gw_slot slot,
                               struct gw_slot_map *map);

/*
 * The room behind an image of `size` bytes (at least 1) in its place: whole blocks behind the one in which it ends.
 * spare->size 0: none. Encoded payloads that fit there are staged.
 */
GW_MUST_USE int gw_layout_spare(const struct gw_flash *flash, struct gw_area place, uint32_t size,
                                struct gw_area *spare);

/* The erase block that holds `address`. GW_ERR_LAYOUT if there is none. */
GW_MUST_USE int gw_flash_block(const struct gw_flash *flash, uint32_t address, struct gw_area *block);

/* The seam with its errors named: GW_ERR_FLASH_READ, _WRITE, _ERASE; GW_ERR_LAYOUT for a range outside the regions. */
GW_MUST_USE int gw_flash_read(const struct gw_flash *flash, uint32_t address, void *data, uint32_t n);
GW_MUST_USE int gw_flash_write(const struct gw_flash *flash, uint32_t address, const void *data, uint32_t n);
GW_MUST_USE int gw_flash_erase(const struct gw_flash *flash, uint32_t address);

/*
 * For porters: exercises the contract above on `area`, whose content is lost. `line` (may be NULL) receives the
 * number of the rule that was broken, in the order of docs/porting.md. Uses `buffer`, at least 512 bytes.
 */
GW_MUST_USE int gw_selftest_flash(const struct gw_flash *flash, struct gw_area area, void *buffer, size_t size,
                                  unsigned *line);

#endif
