/*
 * firmware.c - see firmware.h. Words from a small set, every fourth a call of some other place.
 */
#include "firmware.h"

#define INSERTED 6u /* words, before word 777 */
#define PLACE 777u

static uint32_t address_of(uint32_t word, int fixed)
{
    return 4u * (word + (fixed && word >= PLACE ? INSERTED : 0u));
}

static uint32_t next(uint32_t *x)
{
    *x = *x * 1664525u + 1013904223u;
    return *x >> 8;
}

static uint32_t jal(uint32_t offset)
{
    return (offset >> 20 & 1u) << 31 | (offset >> 1 & 0x3ffu) << 21 | (offset >> 11 & 1u) << 20 |
           (offset >> 12 & 0xffu) << 12 | 1u << 7 | 0x6fu;
}

static uint32_t bl(uint32_t offset)
{
    uint32_t s = offset >> 24 & 1u, j1 = (offset >> 23 ^ s ^ 1u) & 1u, j2 = (offset >> 22 ^ s ^ 1u) & 1u;

    return (0xf000u | s << 10 | (offset >> 12 & 0x3ffu)) |
           (0xd000u | j1 << 13 | j2 << 11 | (offset >> 1 & 0x7ffu)) << 16;
}

static void put(uint8_t **at, uint32_t word)
{
    for (unsigned i = 0; i < 4; i++) {
        *(*at)++ = (uint8_t)(word >> 8 * i);
    }
}

size_t firmware_make(uint8_t image[FIRMWARE_MAX], enum firmware_kind kind, int fixed)
{
    uint8_t *at = image;
    uint32_t x = 7u + (uint32_t)kind;

    for (uint32_t i = 0; i < FIRMWARE_WORDS; i++) {
        uint32_t pick = next(&x), from = address_of(i, fixed), to = address_of(next(&x) % FIRMWARE_WORDS, fixed);
        for (uint32_t k = 0; fixed && i == PLACE && k < INSERTED; k++) {
            put(&at, 0x00150513u + k * 0x01000100u);
        }
        if (kind == FIRMWARE_RISCV && pick % 4 == 0) {
            put(&at, jal(to - from));
        } else if (kind == FIRMWARE_THUMB && pick % 4 == 0) {
            put(&at, bl(to - from - 4u));
        } else {
            put(&at, (pick % 61u) * 0x00100211u + 0x13u + (kind == FIRMWARE_THUMB ? 0x20000000u : 0u));
        }
    }
    return (size_t)(at - image);
}
