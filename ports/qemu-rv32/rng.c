/*
 * rng.c - random numbers: virtio entropy device (virtio 1.1, sections 4.2 and 5.4), modern MMIO transport.
 *
 * One queue, one buffer: it goes into the available ring; the device fills what it likes, and says so in the used one.
 */
#include <string.h>

#include "board.h"
#include "registers.h"

#define VIRTIO(i) (0x10001000u + (i) * 0x1000u) /* eight places */
#define MAGIC 0x74726976u
#define VERSION_1 1u /* feature bit 32: bit 0 of word 1 */
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { /* register offsets, table 4.1 */
    R_MAGIC = 0x00, R_VERSION = 0x04, R_DEVICE = 0x08, R_FEATURES = 0x20, R_FEATURES_WORD = 0x24, R_QUEUE = 0x30,
    R_QUEUE_SIZE = 0x38, R_QUEUE_READY = 0x44, R_NOTIFY = 0x50, R_STATUS = 0x70,
    R_DESCRIPTORS = 0x80, R_AVAILABLE = 0x90, R_USED = 0xa0,
};
#define SIZE 2u          /* entries of the queue; one is used */
#define POLLS 50000000u

static struct { /* section 2.6; the device reads and writes it */
    struct { uint32_t address, address_high, length; uint16_t flags, next; } descriptor[SIZE];
    struct { uint16_t flags, index, ring[SIZE]; } available;
    struct { uint16_t flags, index; struct { uint32_t id, length; } ring[SIZE]; } used;
} queue __attribute__((aligned(16)));
static uint8_t bytes[64];
static uint32_t device; /* register base; 0: not looked for yet */

static uint32_t find(void)
{
    for (uint32_t i = 0, d = VIRTIO(0); i < 8; d = VIRTIO(++i)) {
        if (REG32(d + R_MAGIC) == MAGIC && REG32(d + R_VERSION) == 2 && REG32(d + R_DEVICE) == 4) {
            return d;
        }
    }
    return 0;
}

static uint32_t start(void)
{
    uint32_t d = find();

    if (d == 0) {
        return 0;
    }
    REG32(d + R_STATUS) = 0; /* reset */
    REG32(d + R_STATUS) = ACKNOWLEDGE | DRIVER;
    REG32(d + R_FEATURES_WORD) = 1;
    REG32(d + R_FEATURES) = VERSION_1;
    REG32(d + R_STATUS) = ACKNOWLEDGE | DRIVER | FEATURES_OK;
    if ((REG32(d + R_STATUS) & FEATURES_OK) == 0) {
        return 0;
    }
    REG32(d + R_QUEUE) = 0;
    REG32(d + R_QUEUE_SIZE) = SIZE;
    REG32(d + R_DESCRIPTORS) = (uint32_t)(uintptr_t)queue.descriptor;
    REG32(d + R_AVAILABLE) = (uint32_t)(uintptr_t)&queue.available;
    REG32(d + R_USED) = (uint32_t)(uintptr_t)&queue.used;
    REG32(d + R_QUEUE_READY) = 1;
    REG32(d + R_STATUS) = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
    return d;
}

/* Fills `bytes`; how many of them. 0: the device does not answer. */
static uint32_t fill(void)
{
    const volatile uint16_t *used = &queue.used.index;
    uint16_t before = *used;

    queue.descriptor[0].address = (uint32_t)(uintptr_t)bytes;
    queue.descriptor[0].length = sizeof bytes;
    queue.descriptor[0].flags = 2; /* the device writes */
    queue.available.ring[queue.available.index % SIZE] = 0;
    __asm__ volatile("fence" ::: "memory");
    queue.available.index++;
    __asm__ volatile("fence" ::: "memory");
    REG32(device + R_NOTIFY) = 0;
    for (uint32_t i = 0; i < POLLS; i++) {
        if (*used != before) {
            __asm__ volatile("fence" ::: "memory");
            uint32_t n = queue.used.ring[before % SIZE].length;
            return n <= sizeof bytes ? n : 0;
        }
    }
    return 0;
}

int board_random(void *to, size_t n)
{
    uint8_t *p = to;

    device = device != 0 ? device : start();
    while (device != 0 && n > 0) {
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
