/*
 * scribbles.c - a version that goes wild at its start: overwrites its stack, its code, the record of the last reset,
 * and tries the flash. How it ends is open; that the flash is unharmed is the board's promise.
 */
#include "sensor.h"

#define RAM_WORDS ((BOARD_PARAMETERS - BOARD_IMAGE) / 4)

void fault_at_start(void)
{
    uint32_t x = 0x9e3779b9;

    for (uint32_t i = 0;; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        uint32_t ram = BOARD_IMAGE + x % RAM_WORDS * 4, flash = BOARD_BANK1 + (x & 0xfffffcu);
        *(volatile uint32_t *)(uintptr_t)(i < RAM_WORDS / 8 ? ram : flash) = x;
    }
}

bool fault_is_well(void)
{
    return true;
}
