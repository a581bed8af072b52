/*
 * memory.h - the memory of an update, whichever way it comes: over the serial line or over the network, one at a time.
 */
#ifndef EXAMPLE_MEMORY_H
#define EXAMPLE_MEMORY_H

#include "godwit/install.h"
#include "serial.h"

extern uint8_t memory_offer[GWC_OFFER_MAX];
extern uint8_t memory_buffer[GWC_BUFFER_MIN]; /* the installer's */
extern const struct gw_decoding memory_decoding; /* with 16 KB of its own, for deltas and compressed images */

#endif
