/* measure.h - what a crypto port costs, in instructions of the emulated processor: measure.c over one port. */
#ifndef MEASURE_H
#define MEASURE_H

#include "godwit/crypto.h"

/* Prints a line `name instructions` for each function that the port has. 0, or the port failed. */
int measure_port(const struct gw_crypto *c);

#endif
