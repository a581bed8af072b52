/*
 * firmware.h - small images that look like firmware, the same on every machine: for known answers of the codec.
 */
#ifndef TEST_FIRMWARE_H
#define TEST_FIRMWARE_H

#include <stdint.h>
#include <stddef.h>

enum firmware_kind { FIRMWARE_RISCV, FIRMWARE_THUMB, FIRMWARE_DATA, FIRMWARE_KINDS };

#define FIRMWARE_WORDS 2000u
#define FIRMWARE_MAX (4u * FIRMWARE_WORDS + 32u)

/* Writes an image; `fixed`: with a few words inserted in the middle, and all calls adjusted. Returns its size. */
size_t firmware_make(uint8_t image[FIRMWARE_MAX], enum firmware_kind kind, int fixed);

#endif
