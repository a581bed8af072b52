/*
 * virtio.c - see virtio.h.
 */
#include "virtio.h"

#include "registers.h"

#define VIRTIO(i) (0x10001000u + (i) * 0x1000u) /* eight places; interrupts 1 to 8 */
#define MAGIC 0x74726976u
#define VERSION_1 1u /* feature bit 32: bit 0 of word 1 */
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { /* register offsets, table 4.1 */
    R_MAGIC = 0x00, R_VERSION = 0x04, R_DEVICE = 0x08, R_FEATURES = 0x20, R_FEATURES_WORD = 0x24, R_QUEUE = 0x30,
    R_QUEUE_SIZE = 0x38, R_QUEUE_READY = 0x44, R_NOTIFY = 0x50, R_INTERRUPT = 0x60, R_INTERRUPT_ACK = 0x64,
    R_STATUS = 0x70, R_DESCRIPTORS = 0x80, R_AVAILABLE = 0x90, R_USED = 0xa0, R_CONFIG = 0x100,
};

static void fence(void)
{
    __asm__ volatile("fence" ::: "memory");
}

static bool look_for(struct virtio *v, enum virtio_kind kind)
{
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t d = VIRTIO(i);
        if (REG32(d + R_MAGIC) == MAGIC && REG32(d + R_VERSION) == 2 && REG32(d + R_DEVICE) == (uint32_t)kind) {
            *v = (struct virtio){ d, i + 1 };
            return true;
        }
    }
    *v = (struct virtio){ 0, 0 };
    return false;
}

bool virtio_find(struct virtio *v, enum virtio_kind kind, uint32_t features)
{
    if (!look_for(v, kind)) {
        return false;
    }
    REG32(v->base + R_STATUS) = 0; /* reset */
    REG32(v->base + R_STATUS) = ACKNOWLEDGE | DRIVER;
    REG32(v->base + R_FEATURES_WORD) = 0;
    REG32(v->base + R_FEATURES) = features;
    REG32(v->base + R_FEATURES_WORD) = 1;
    REG32(v->base + R_FEATURES) = VERSION_1;
    REG32(v->base + R_STATUS) = ACKNOWLEDGE | DRIVER | FEATURES_OK;
    return (REG32(v->base + R_STATUS) & FEATURES_OK) != 0;
}

bool virtio_add_queue(const struct virtio *v, uint32_t number, struct virtio_queue *q)
{
    *q = (struct virtio_queue){ .seen = 0 };
    REG32(v->base + R_QUEUE) = number;
    if (REG32(v->base + R_QUEUE_READY) != 0) {
        return false;
    }
    REG32(v->base + R_QUEUE_SIZE) = VIRTIO_SIZE;
    REG32(v->base + R_DESCRIPTORS) = (uint32_t)(uintptr_t)q->descriptor;
    REG32(v->base + R_AVAILABLE) = (uint32_t)(uintptr_t)&q->available;
    REG32(v->base + R_USED) = (uint32_t)(uintptr_t)&q->used;
    REG32(v->base + R_QUEUE_READY) = 1;
    return true;
}

void virtio_ready(const struct virtio *v)
{
    REG32(v->base + R_STATUS) = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
}

void virtio_give(const struct virtio *v, uint32_t number, struct virtio_queue *q, uint16_t i, void *bytes, uint32_t n,
                 uint16_t flags)
{
    q->descriptor[i].address = (uint32_t)(uintptr_t)bytes;
    q->descriptor[i].length = n;
    q->descriptor[i].flags = flags;
    q->available.ring[q->available.index % VIRTIO_SIZE] = i;
    fence(); /* the device sees the entry before the index */
    *(volatile uint16_t *)&q->available.index = (uint16_t)(q->available.index + 1);
    fence();
    REG32(v->base + R_NOTIFY) = number;
}

int virtio_take(struct virtio_queue *q, uint32_t *n)
{
    if (*(volatile uint16_t *)&q->used.index == q->seen) {
        return -1;
    }
    fence();
    uint32_t i = q->used.ring[q->seen % VIRTIO_SIZE].id, length = q->used.ring[q->seen % VIRTIO_SIZE].length;
    q->seen++;
    if (i >= VIRTIO_SIZE) {
        return -1;
    }
    *n = length <= q->descriptor[i].length ? length : 0;
    return (int)i;
}

void virtio_calm(const struct virtio *v)
{
    REG32(v->base + R_INTERRUPT_ACK) = REG32(v->base + R_INTERRUPT);
}

uint8_t virtio_config(const struct virtio *v, uint32_t at)
{
    return REG8(v->base + R_CONFIG + at);
}
