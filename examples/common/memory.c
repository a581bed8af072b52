/*
 * memory.c - see memory.h.
 */
#include "memory.h"

uint8_t memory_offer[GWC_OFFER_MAX];
uint8_t memory_buffer[GWC_BUFFER_MIN];

/* Deltas and compressed images of this instruction set. */
static const struct gw_isa *const isas[] = { &gw_isa_riscv, NULL };
static uint64_t decoder[16u * 1024u / 8u];
const struct gw_decoding memory_decoding = { &gw_patch_codec, decoder, sizeof decoder, isas };
