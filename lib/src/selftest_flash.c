/*
 * selftest_flash.c - exercises a flash port against the contract of godwit/flash.h; linked only if used. The numbers of
 * the rules are in docs/porting.md.
 *
 * Only the area that is given is erased and written. Does not see what only a loss of power shows, nor wear.
 */
#include "store.h"

enum rule {
    /* whole blocks, two at least; write size a power of two up to GW_WRITE_MAX; a 512 byte buffer */
    RULE_GEOMETRY = 1,
    RULE_ERASE = 2,      /* an erase makes every byte the erased value */
    RULE_WRITE = 3,      /* a written unit reads back */
    RULE_NEIGHBOURS = 4, /* and what is beside it stays erased */
    RULE_UNITS = 5,      /* every unit of a block can be written, in any order */
    RULE_BLOCKS = 6,     /* a second block is not touched by erasing the first */
    RULE_READS = 7,      /* reads of any length and offset agree */
    RULE_KEEPS = 8,      /* data survives erases and writes elsewhere */
};

enum part { ALL, UNIT, BELOW, ABOVE, FIRST, SECOND, REST, PARTS }; /* UNIT: one in the middle of FIRST */
/* IS_MARKED, or any larger number: the area holds what was written there, read in pieces of so many bytes. */
enum act { ERASE, WRITE_UNITS, WRITE, IS_BLANK, IS_MARKED = 64 };

static const struct {
    uint8_t rule, act, part;
} steps[] = {
    { RULE_ERASE, ERASE, ALL },           { RULE_ERASE, IS_BLANK, ALL },
    { RULE_WRITE, WRITE_UNITS, UNIT },    { RULE_WRITE, IS_MARKED, UNIT },
    { RULE_NEIGHBOURS, IS_BLANK, BELOW }, { RULE_NEIGHBOURS, IS_BLANK, ABOVE },
    { RULE_UNITS, ERASE, FIRST },         { RULE_UNITS, WRITE_UNITS, FIRST }, { RULE_UNITS, IS_MARKED, FIRST },
    { RULE_BLOCKS, WRITE, SECOND },       { RULE_BLOCKS, ERASE, FIRST },      { RULE_BLOCKS, IS_BLANK, FIRST },
    { RULE_BLOCKS, IS_MARKED, SECOND },   { RULE_READS, 7, SECOND },          { RULE_READS, 31, SECOND },
    { RULE_READS, 255, SECOND },          { RULE_KEEPS, WRITE, FIRST },       { RULE_KEEPS, WRITE, REST },
    { RULE_KEEPS, IS_MARKED, ALL },       { RULE_KEEPS, ERASE, REST },        { RULE_KEEPS, ERASE, FIRST },
    { RULE_KEEPS, IS_MARKED, SECOND },
};
#define PIECE 512u

/* What is written at an address: never the erased value, and not what is a unit, a page or a block away. */
static uint8_t mark(const struct gw_flash *flash, uint32_t address)
{
    uint8_t v = (uint8_t)(address * 0x9e3779b1u >> 24);

    return v != flash->erased ? v : (uint8_t)(v ^ 0x5au);
}

/* One act on an area, from its end to its start. */
static int perform(const struct gw_flash *flash, struct gw_area a, unsigned act, uint8_t *buffer)
{
    uint32_t offset = 0, step = act == WRITE_UNITS ? flash->write_size : act > IS_BLANK ? act : PIECE;
    bool writes = act < IS_BLANK;
    int err = GW_OK;

    while (act == ERASE && (err = gw_area_erase(flash, a, &offset)) == GW_MORE) {
    }
    while (act != ERASE && a.size > 0 && err == GW_OK) {
        uint32_t n = a.size < step ? a.size : step;
        a.size -= n;
        uint32_t at = a.start + a.size;
        err = writes ? GW_OK : gw_flash_read(flash, at, buffer, n);
        for (uint32_t i = 0; i < n && err == GW_OK; i++) {
            uint8_t right = act == IS_BLANK ? flash->erased : mark(flash, at + i);
            err = writes || buffer[i] == right ? GW_OK : GW_ERR_FLASH_VERIFY;
            buffer[i] = right;
        }
        if (writes) {
            err = gw_flash_write(flash, at, buffer, n);
        }
    }
    return err;
}

/* Divides the area into its parts; false if the first rule is broken. */
static bool divide(const struct gw_flash *flash, struct gw_area all, struct gw_area part[PARTS])
{
    uint32_t unit = flash->write_size, end = all.start;
    unsigned n = FIRST;

    if (unit - 1 >= GW_WRITE_MAX || (unit & (unit - 1)) != 0) {
        return false;
    }
    for (; end - all.start < all.size; end += part[n].size, n += n < REST) {
        if (gw_flash_block(flash, end, &part[n]) != GW_OK || part[n].start != end || part[n].size % unit != 0) {
            return false;
        }
    }
    part[ALL] = all;
    part[UNIT] = (struct gw_area){ all.start + part[FIRST].size / unit / 2 * unit, unit };
    part[BELOW] = (struct gw_area){ all.start, part[UNIT].start - all.start };
    part[ABOVE] = (struct gw_area){ part[UNIT].start + unit, end - unit - part[UNIT].start };
    part[REST].start = part[SECOND].start + part[SECOND].size;
    part[REST].size = end - part[REST].start;
    return n >= REST && end - all.start == all.size;
}

int gw_selftest_flash(const struct gw_flash *flash, struct gw_area area, void *buffer, size_t size, unsigned *line)
{
    struct gw_area part[PARTS];
    unsigned rule = RULE_GEOMETRY, i = 0;
    int err = size >= PIECE && divide(flash, area, part) ? GW_OK : GW_ERR_LAYOUT;

    for (; i < sizeof steps / sizeof steps[0] && err >= GW_OK; i++) {
        rule = steps[i].rule;
        err = perform(flash, part[steps[i].part], steps[i].act, buffer);
    }
    err = err < GW_OK ? err : GW_OK;
    if (line != NULL) {
        *line = err == GW_OK ? 0 : rule;
    }
    return err;
}
