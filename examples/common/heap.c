/*
 * heap.c - see heap.h. The C library's heap below, which takes from the rest of RAM (app.ld).
 */
#include "heap.h"

#include <stdbool.h>
#include <stdlib.h>

#include <mbedtls/platform.h>

#define PAINT 0xa5a5a5a5u

struct header { /* of a block: 8 bytes, so that what follows stays aligned */
    uint32_t size, unused;
};

static uint32_t used, peak;
extern uint32_t _stack_limit[], _stack_top[]; /* app.ld */

static void *take(size_t count, size_t size)
{
    bool fits = size == 0 || count <= (UINT32_MAX - sizeof(struct header)) / size;
    struct header *h = fits ? calloc(1, count * size + sizeof *h) : NULL;

    if (h == NULL) {
        return NULL;
    }
    h->size = (uint32_t)(count * size + sizeof *h);
    used += h->size;
    peak = used > peak ? used : peak;
    return h + 1;
}

static void give_back(void *p)
{
    if (p != NULL) {
        struct header *h = (struct header *)p - 1;
        used -= h->size;
        free(h);
    }
}

void heap_start(void)
{
    (void)mbedtls_platform_set_calloc_free(take, give_back);
}

uint32_t heap_peak(void)
{
    return peak;
}

void stack_paint(void)
{
    uint32_t *here = __builtin_frame_address(0);

    for (volatile uint32_t *p = _stack_limit; p < here - 64; p++) { /* below what is in use */
        *p = PAINT;
    }
}

uint32_t stack_peak(void)
{
    uint32_t *p = _stack_limit;

    while (p < _stack_top && *p == PAINT) {
        p++;
    }
    return (uint32_t)(_stack_top - p) * 4;
}

uint32_t stack_size(void)
{
    return (uint32_t)(_stack_top - _stack_limit) * 4;
}
