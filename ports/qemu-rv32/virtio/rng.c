/*
 * rng.c - random numbers: virtio entropy device (virtio 1.1, section 5.4).
 *
 * One queue, one buffer: the device fills what it likes, and says how much it was. Not from interrupts.
 */
#include <string.h>

#include "virtio.h"

#define POLLS 50000000u /* a device that takes longer is broken */

static struct virtio_queue queue;
static struct virtio rng;
static uint8_t bytes[64];

static bool start(void)
{
    if (rng.base == 0 && virtio_find(&rng, VIRTIO_RNG, 0) && virtio_add_queue(&rng, 0, &queue)) {
        virtio_ready(&rng);
    }
    return rng.base != 0;
}

/* Fills `bytes`; how many of them. 0: the device does not answer. */
static uint32_t fill(void)
{
    uint32_t n = 0;

    virtio_give(&rng, 0, &queue, 0, bytes, sizeof bytes, VIRTIO_DEVICE_WRITES);
    for (uint32_t i = 0; i < POLLS; i++) {
        if (virtio_take(&queue, &n) >= 0) {
            return n;
        }
    }
    return 0;
}

int board_random(void *to, size_t n)
{
    uint8_t *p = to;

    while (n > 0 && start()) {
        size_t got = fill();
        if (got == 0) {
            return -1;
        }
        got = got < n ? got : n;
        memcpy(p, bytes, got);
        gw_wipe(bytes, sizeof bytes);
        p += got;
        n -= got;
    }
    return n == 0 ? 0 : -1;
}
