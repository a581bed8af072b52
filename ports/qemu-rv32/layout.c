/*
 * layout.c - where things lie on this board's flash. board.json tells the same to the factory's tools; a test compares.
 *
 * Bank 0 cannot be written by the board at all: bootloader, identity, factory image. Bank 1 is 1.5 MB of 4 KB sectors.
 */
#include "board.h"

const struct gw_layout board_layout = {
    .identity = {BOARD_BANK0 + 0x10000, BOARD_SECTOR},
    .trust = {{BOARD_BANK1, BOARD_SECTOR}, {BOARD_BANK1 + BOARD_SECTOR, BOARD_SECTOR}},
    .journal = {BOARD_BANK1 + 2 * BOARD_SECTOR, 4 * BOARD_SECTOR},
    .factory = {BOARD_BANK0 + 0x20000, 0x40000},
    .slot = {{BOARD_BANK1 + 0x80000, 0x80000}, {BOARD_BANK1 + 0x100000, 0x80000}},
};

const struct gw_area board_settings = {BOARD_BANK0 + 0x11000, BOARD_SECTOR};
