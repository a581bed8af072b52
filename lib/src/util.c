/*
 * util.c - the few helpers that everything else needs: order of releases, comparing and wiping secrets.
 */
#include "godwit/godwit.h"

int gw_order_compare(struct gw_order a, struct gw_order b)
{
    uint32_t x = a.epoch, y = b.epoch;
    if (x == y) {
        x = a.sequence;
        y = b.sequence;
    }
    return (x > y) - (x < y);
}

/* No early end, and no branch on the bytes: the compiler may not see through the volatile reads. */
bool gw_equal(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a, *y = b;
    unsigned differ = 0;
    for (size_t i = 0; i < n; i++) {
        differ |= (unsigned)x[i] ^ y[i];
    }
    return differ == 0;
}

void gw_wipe(void *p, size_t n)
{
    volatile uint8_t *x = p;
    for (size_t i = 0; i < n; i++) {
        x[i] = 0;
    }
}
