/*
 * posix_flash.h - NOR flash in a file, as strict as a part: a device on a PC.
 *
 * A folder holds flash.bin (the content, 0600), units.bin (one bit for each write unit: programmed since the last
 * erase) and layout.json (geometry and layout). What it keeps true: a write unit is programmed once per erase, writes
 * are whole aligned units, an erase is one whole block; anything else is refused and named. One process at a time
 * (flock). An operation is on the disk when it returns. Power can be cut at operation N: torn, then the process exits
 * with code 77. The same flash can live in memory alone: to look at a device, or to make one.
 */
#ifndef GWP_POSIX_FLASH_H
#define GWP_POSIX_FLASH_H

#include <jansson.h>

#include "error.h"
#include "file.h"
#include "godwit/flash.h"

#define GWP_REGIONS_MAX 8u
#define GWP_DATA_MAX 3u
#define GWP_FLASH_MAX (512u * 1024u * 1024u)
#define GWP_CUT_EXIT 77

/* Geometry and layout, as layout.json says. `layout.data` views `data`: do not move it after gwp_layout_*(). */
struct gwp_layout {
    struct gw_flash_region region[GWP_REGIONS_MAX];
    uint32_t region_count;
    uint32_t write_size;
    uint32_t erased;
    struct gw_layout layout;
    struct gw_data_areas data[GWP_DATA_MAX];
};
struct gwp_layout_request {
    bool extended;         /* with a factory slot */
    uint32_t slot_size;    /* at least; rounded up to whole blocks */
    uint32_t factory_size; /* the same; 0: as large as a slot */
    uint32_t erase_size;   /* 0: mixed, 4 KB blocks first, then 64 KB */
    uint32_t write_size;
    uint32_t erased; /* 0xff or 0x00 */
    uint32_t data_count;
    struct {
        uint32_t component, size;
    } data[GWP_DATA_MAX];
};
/* Lays a device out; checked by gw_layout_check(). */
int gwp_layout_make(struct gwp_layout *l, const struct gwp_layout_request *r, struct gwh_error *err);
int gwp_layout_load(struct gwp_layout *l, const char *path, struct gwh_error *err);
/* From the JSON object of a layout; `name` for messages. */
int gwp_layout_parse(struct gwp_layout *l, const json_t *o, const char *name, struct gwh_error *err);
int gwp_layout_save(const struct gwp_layout *l, const char *path, bool force, struct gwh_error *err);
/* A flash seam without functions but with this geometry, for gw_layout_check() and gw_layout_slot(). */
void gwp_layout_geometry(const struct gwp_layout *l, struct gw_flash *flash);
/* Bytes from the first region's start to the last one's end. */
uint32_t gwp_layout_bytes(const struct gwp_layout *l);

/* A flash file that is open. `flash` views `layout` and this object: do not move it. */
struct gwp_flash {
    struct gw_flash flash;
    struct gwp_layout layout;
    char folder[GWH_PATH_MAX];
    int fd, units_fd;
    uint8_t *units; /* the bits of units.bin */
    size_t units_size;
    bool read_only;
    uint8_t *image;          /* not NULL: the content, in memory; no file is changed */
    uint64_t writes, erases; /* done by this process */
    uint64_t cut_at;         /* operation (write or erase) that is torn, from 1; 0: none */
    char broken[160];        /* the first rule that a caller broke; empty: none */
};
/* Makes flash.bin (erased), units.bin and layout.json in a folder that is there. */
int gwp_flash_create(const char *folder, const struct gwp_layout *layout, struct gwh_error *err);
/* `read_only`: the files are not changed, whatever is written. */
int gwp_flash_open(struct gwp_flash *f, const char *folder, bool read_only, struct gwh_error *err);
/* Erased, and in memory alone. */
int gwp_flash_memory(struct gwp_flash *f, const struct gwp_layout *layout, struct gwh_error *err);
/* After `image` was filled from elsewhere: what does not read as erased counts as programmed. */
void gwp_flash_adopt(struct gwp_flash *f);
/* Forgets what is in memory: a device's flash holds secrets. Before gwp_flash_close(). */
void gwp_flash_wipe(struct gwp_flash *f);
void gwp_flash_close(struct gwp_flash *f);

#endif
