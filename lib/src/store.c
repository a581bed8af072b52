/*
 * store.c - one sealed object in an area of its own: identity, trust bundle, manifest.
 *
 * Keeps true: a header is written only after the object was read back as written, so an object with a valid header is
 * whole. Does not authenticate: whoever uses the object verifies it.
 */
#include "store.h"

#include <string.h>

#define MAGIC 0x47575331u /* "GWS1" */
#define PIECE 64u         /* bytes copied at a time; a multiple of every write unit */

_Static_assert(PIECE % GW_WRITE_MAX == 0, "a piece is whole write units");
_Static_assert(GW_STORE_HEADER >= 2 * GW_WRITE_MAX, "the header is in a write unit of its own");

int gw_area_erase(const struct gw_flash *flash, struct gw_area area, uint32_t *offset)
{
    struct gw_area block;

    if (*offset >= area.size) {
        return GW_DONE;
    }
    int err = gw_flash_block(flash, area.start + *offset, &block);
    if (err == GW_OK) {
        err = gw_flash_erase(flash, block.start);
    }
    if (err != GW_OK) {
        return err;
    }
    *offset += block.size;
    return GW_MORE;
}

/* Writes n bytes, padded with the erased value to a whole unit, and reads them back. */
static int write_piece(const struct gw_flash *flash, uint32_t address, const uint8_t *data, uint32_t n)
{
    uint8_t piece[PIECE], back[PIECE];
    uint32_t whole = gw_round_up(n, flash->write_size);

    memset(piece, flash->erased, sizeof piece);
    memcpy(piece, data, n);
    int err = gw_flash_write(flash, address, piece, whole);
    if (err == GW_OK) {
        err = gw_flash_read(flash, address, back, whole);
    }
    if (err == GW_OK && memcmp(piece, back, whole) != 0) {
        err = GW_ERR_FLASH_VERIFY;
    }
    return err;
}

int gw_store_write(const struct gw_flash *flash, struct gw_area area, const uint8_t *object, uint32_t n)
{
    uint8_t header[GW_WRITE_MAX] = { 0 };

    if (area.size < GW_STORE_HEADER || n > area.size - GW_STORE_HEADER) {
        return GW_ERR_LAYOUT;
    }
    for (uint32_t at = 0; at < n; at += PIECE) {
        uint32_t piece = n - at < PIECE ? n - at : PIECE;
        int err = write_piece(flash, area.start + GW_STORE_HEADER + at, object + at, piece);
        if (err != GW_OK) {
            return err;
        }
    }
    gw_put32(header, MAGIC);
    gw_put32(header + 4, n);
    gw_put32(header + 8, gw_crc32(0, object, n));
    gw_put32(header + 12, gw_crc32(0, header, 12));
    return write_piece(flash, area.start, header, sizeof header);
}

int gw_store_read(const struct gw_flash *flash, struct gw_area area, uint8_t *object, uint32_t size, uint32_t *n)
{
    uint8_t header[16];

    int err = gw_flash_read(flash, area.start, header, sizeof header);
    if (err != GW_OK) {
        return err;
    }
    uint32_t length = gw_get32(header + 4);
    if (gw_get32(header) != MAGIC || gw_get32(header + 12) != gw_crc32(0, header, 12) ||
        area.size < GW_STORE_HEADER || length > area.size - GW_STORE_HEADER) {
        return GW_ERR_NOTHING;
    }
    if (length > size) {
        return GW_ERR_LIMIT;
    }
    err = gw_flash_read(flash, area.start + GW_STORE_HEADER, object, length);
    if (err != GW_OK) {
        return err;
    }
    if (gw_crc32(0, object, length) != gw_get32(header + 8)) {
        return GW_ERR_NOTHING;
    }
    *n = length;
    return GW_OK;
}
