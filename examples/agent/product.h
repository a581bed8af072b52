/*
 * product.h - what a product with a network brings along.
 *
 * ports/ has flash, crypto and transports for several platforms; docs/porting.md says how to write them.
 */
#ifndef PRODUCT_H
#define PRODUCT_H

#include "godwit/agent.h"

extern const struct gw_device product_device;       /* flash, crypto, layout, and a journal to mount */
extern const struct gw_transport product_transport; /* offers, payloads and reports, over TLS */
void product_handover(struct gw_handover *boot);    /* what the bootloader left in RAM */
int product_self_test(void *ctx);                   /* of a new image: 0 if it is well */
bool product_is_idle(void *ctx);                    /* may it restart now? */
void product_restart(void *ctx);
uint32_t product_ms(void);
void product_work(uint32_t most_ms);

#endif
