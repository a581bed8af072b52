/*
 * net.c - the network card: virtio (virtio 1.1, section 5.1), two queues of buffers that hold one frame each.
 *
 * Received frames stay in their buffers until board_net_receive() has copied them out; frames to be sent are copied
 * in. No offloads: a frame is an Ethernet frame, behind 12 bytes of virtio's own.
 */
#include <string.h>

#include "virtio.h"

#define HEADER 12u /* section 5.1.6: zeroes */
#define FRAME 1518u
#define FEATURE_MAC (1u << 5)
#define RECEIVE 0u
#define SEND 1u
#define RECEIVE_BUFFERS 6u /* a window of four segments, and two more */
#define SEND_BUFFERS 4u

static struct virtio net;
static struct virtio_queue receive, send;
static uint8_t in[RECEIVE_BUFFERS][HEADER + FRAME], out[SEND_BUFFERS][HEADER + FRAME];
static uint8_t unused; /* send buffers that were never given */

bool board_net_start(uint8_t mac[6])
{
    if (!virtio_find(&net, VIRTIO_NET, FEATURE_MAC) || !virtio_add_queue(&net, RECEIVE, &receive) ||
        !virtio_add_queue(&net, SEND, &send)) {
        net.base = 0;
        return false;
    }
    virtio_ready(&net);
    for (uint16_t i = 0; i < RECEIVE_BUFFERS; i++) {
        virtio_give(&net, RECEIVE, &receive, i, in[i], sizeof in[i], VIRTIO_DEVICE_WRITES);
    }
    for (uint32_t i = 0; i < 6; i++) {
        mac[i] = virtio_config(&net, i);
    }
    unused = SEND_BUFFERS;
    board_wait_for(net.irq);
    return true;
}

uint32_t board_net_receive(void (*take)(void *ctx, const uint8_t *frame, uint32_t n), void *ctx)
{
    uint32_t n = 0, count = 0;
    int i;

    if (net.base == 0) {
        return 0;
    }
    virtio_calm(&net);
    while (count < RECEIVE_BUFFERS && (i = virtio_take(&receive, &n)) >= 0) {
        if (i < (int)RECEIVE_BUFFERS) {
            if (n > HEADER) {
                take(ctx, in[i] + HEADER, n - HEADER);
            }
            virtio_give(&net, RECEIVE, &receive, (uint16_t)i, in[i], sizeof in[i], VIRTIO_DEVICE_WRITES);
        }
        count++;
    }
    return count;
}

uint8_t *board_net_frame(void)
{
    uint32_t n;

    if (net.base == 0) {
        return NULL;
    }
    int i = unused > 0 ? --unused : virtio_take(&send, &n);
    if (i < 0 || i >= (int)SEND_BUFFERS) {
        return NULL;
    }
    memset(out[i], 0, HEADER);
    return out[i] + HEADER;
}

void board_net_send(uint8_t *frame, uint32_t n)
{
    uint32_t i = (uint32_t)(frame - out[0]) / sizeof out[0];

    virtio_give(&net, SEND, &send, (uint16_t)i, out[i], HEADER + (n < FRAME ? n : FRAME), 0);
}
