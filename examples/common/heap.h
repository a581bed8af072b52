/*
 * heap.h - the heap of Mbed TLS, counted: how much it takes is a number to know before a product runs short of it.
 */
#ifndef EXAMPLE_HEAP_H
#define EXAMPLE_HEAP_H

#include <stddef.h>
#include <stdint.h>

/* From now on Mbed TLS allocates here; before its first allocation. */
void heap_start(void);
/* Most bytes at once, with the block headers that counting needs (8 bytes each). */
uint32_t heap_peak(void);

/* Stack: painted at the start, looked at later. */
void stack_paint(void);
uint32_t stack_peak(void); /* bytes */
uint32_t stack_size(void);

#endif
