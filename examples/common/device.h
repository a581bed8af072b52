/*
 * device.h - what the library has to know of this board, in one place: flash, layout, cryptography, journal. Another
 * board with the same board.h, or another crypto library, changes device.c and nothing else.
 */
#ifndef EXAMPLE_DEVICE_H
#define EXAMPLE_DEVICE_H

#include "board.h"

/* How this run began, and the device. NULL: cryptography or journal failed, and the console was told. */
const struct gw_device *device_start(struct gw_handover *boot);

#endif
