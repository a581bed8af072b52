/*
 * product.h - what a product brings along: its device description, and a way to get bytes.
 *
 * ports/ has flash and crypto for several platforms; docs/porting.md says how to write them.
 */
#ifndef PRODUCT_H
#define PRODUCT_H

#include "godwit/install.h"

extern const struct gw_device product_device;    /* flash, crypto, layout, and a journal to mount */
void product_handover(struct gw_handover *boot); /* what the bootloader left in RAM */
bool product_is_well(void);                      /* the application's own check of itself */
void product_look(struct gw_release *release);   /* waits for a release: its manifest, grants and head */
/* Up to `size` bytes of a payload from want->offset on; 0: the connection failed. */
size_t product_fetch(const struct gw_want *want, uint8_t *bytes, size_t size);
_Noreturn void product_restart(int status);      /* `status` for the log: GW_OK, or why it did not work */

#endif
