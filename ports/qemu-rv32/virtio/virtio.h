/*
 * virtio.h - what the virtio devices of this board share: finding one on the MMIO transport, and its queues
 * (virtio 1.1, sections 2.6 and 4.2). Polled; modern devices only.
 *
 * A queue has three parts: a table of descriptors (buffers), a ring in which the driver offers them, a ring in which
 * the device gives them back. Here descriptor i always is buffer i, so rings hold buffer numbers. What the device
 * writes is foreign: numbers and lengths are checked.
 */
#ifndef VIRTIO_H
#define VIRTIO_H

#include "board.h"

#define VIRTIO_SIZE 8u /* entries of a queue */
enum virtio_kind { VIRTIO_NET = 1, VIRTIO_RNG = 4 };
enum { VIRTIO_DEVICE_WRITES = 2 }; /* flag of a buffer */

struct virtio_queue { /* section 2.6 */
    struct { uint32_t address, address_high, length; uint16_t flags, next; } descriptor[VIRTIO_SIZE];
    struct { uint16_t flags, index, ring[VIRTIO_SIZE]; } available;
    struct { uint16_t flags, index; struct { uint32_t id, length; } ring[VIRTIO_SIZE]; } used;
    uint16_t seen; /* of `used`; not for the device */
} __attribute__((aligned(16)));

struct virtio {
    uint32_t base;  /* its registers; 0: there is none */
    uint32_t irq;   /* at the PLIC */
};

/* Finds the device and resets it; asks for these features (word 0) beside VERSION_1. False: it is not there, or
 * refuses. Then its queues; then virtio_ready(). */
bool virtio_find(struct virtio *v, enum virtio_kind kind, uint32_t features);
bool virtio_add_queue(const struct virtio *v, uint32_t number, struct virtio_queue *q);
void virtio_ready(const struct virtio *v);
/* Buffer number i of a queue goes to the device, which is told. */
void virtio_give(const struct virtio *v, uint32_t number, struct virtio_queue *q, uint16_t i, void *bytes, uint32_t n,
                 uint16_t flags);
/* A buffer that the device is done with: its number, and how many bytes it wrote; or -1. */
int virtio_take(struct virtio_queue *q, uint32_t *n);
/* Takes the interrupt back that the device raised: board_wait() may wait for the next one. */
void virtio_calm(const struct virtio *v);
/* A byte of the device's own configuration. */
uint8_t virtio_config(const struct virtio *v, uint32_t at);

#endif
