/*
 * update.h - updates over the serial line, in the loop of the program: ports/common/serial.h on this board.
 */
#ifndef EXAMPLE_UPDATE_H
#define EXAMPLE_UPDATE_H

#include "console.h"

/* `dev` may be NULL: then all that comes is text. `before` (may be NULL) is called once, before the first packet is
 * dealt with: whoever else uses memory.h lets go of it. */
void update_start(const struct gw_device *dev, const struct gw_handover *boot, void (*before)(void));

/*
 * Takes what came on the line (text goes to the console) and does one unit of work. True: call again at once. At most
 * one erase or one look at an offer: feed the watchdog between.
 */
bool update_step(const struct console_command *commands);

/* A release was taken: a restart tries it. */
bool update_is_done(void);

#endif
