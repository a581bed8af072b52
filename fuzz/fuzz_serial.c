/*
 * fuzz_serial.c - a serial line with anybody at its other end. The input is a script of what the host sends: raw bytes,
 * packets with any body, an offer, what the device wants (altered or not), repetitions, and losses of power between.
 *
 * Properties: every answer is a whole packet of a known kind; a step ends; the image that runs is never touched; a
 * slot is staged only when it holds the signed release, byte by byte.
 */
#include "fuzz_formats.h"
#include "hostline.h"
#include "scene.h"

#define PROGRAM_MAX 200u /* moves of one input */

static struct simdev dev;
static struct scene_release running, release;
static struct flashsim_state fresh;
static struct hostline line;

static void world(void)
{
    struct gw_boot_state boot = { .last = GW_SLOT_A };

    simdev_init(&dev, &(struct simdev_config){ .erase = SIMDEV_1K, .write_size = 8, .erased = 0xff, .frame_size = 256,
                                               .image_size = 900 });
    simdev_provision(&dev);
    scene_release(&dev, &running, &(struct simdev_wish){ .sequence = 5 });
    scene_release_sign(&dev, &running);
    simdev_preload(&dev, &running.r, GW_SLOT_A);
    boot.slot[0] = scene_slot(&running, GW_CONFIRMED);
    scene_state(&dev, &boot);
    scene_release(&dev, &release, &(struct simdev_wish){ .sequence = 6 });
    scene_release_sign(&dev, &release);
    flashsim_take(&dev.sim, &fresh);
}

static void power(void)
{
    MUST(simdev_mount(&dev) == GW_OK);
    hostline_open(&line, &dev, GWC_OFFER_MIN);
}

/* Answers what is wanted, if something is; `flip` alters the first byte. */
static void serve(uint8_t flip, uint32_t most)
{
    uint8_t body[4 + GWC_PACKET_DATA];
    struct gw_span source = line.answer[2] == 0 ? gwh_span(&line.offer) : gwh_span(&release.r.file[0]);

    if (line.answer[0] != GWC_WANT || line.answer_n != 2 + GWC_WANT_SIZE) {
        return;
    }
    uint32_t at = hostline_u32(&line, 33), n = hostline_u32(&line, 37);
    if (at > source.n || n > source.n - at) {
        return; /* wanted of an offer whose size was made up */
    }
    n = n < most ? n : most;
    n = n < GWC_PACKET_DATA ? n : GWC_PACKET_DATA;
    memcpy(body, line.answer + 2 + 33, 4);
    memcpy(body + 4, source.p + at, n);
    body[4] ^= n > 0 ? flip : 0;
    (void)hostline_ask(&line, GWC_DATA, body, 4 + n);
}

static void offer(uint8_t what)
{
    struct gwh_buf *trust = &dev.trust[what % 3];

    hostline_offer(&line, (what & 4) == 0 ? &release.r : NULL, (what & 8) == 0 ? NULL : trust);
    if (line.offer.n > 0) {
        uint8_t size[4] = { 0, 0, (uint8_t)(line.offer.n >> 8), (uint8_t)line.offer.n };
        (void)hostline_ask(&line, GWC_OFFER, size, 4);
    }
}

static void move(uint8_t what, uint8_t arg, struct gw_span bytes)
{
    switch (what % 8) {
    case 0: hostline_raw(&line, bytes.p, bytes.n); break;
    case 1: (void)hostline_ask(&line, arg, bytes.p, bytes.n); break;
    case 2: offer(arg); break;
    case 3: serve(0, arg == 0 ? GWC_PACKET_DATA : arg); break;
    case 4: serve(arg, GWC_PACKET_DATA); break;
    case 5: line.number -= arg & 1; line.fault = (enum hostline_fault)(arg % FAULT_COUNT);
            line.fault_at = line.requests + 1 + arg / 16; break;
    case 6: power(); break;
    default: (void)hostline_go_on(&line, 1u + arg % 16, GWC_PACKET_DATA); break;
    }
    MUST(line.answers == 0 || (line.answer[0] >= GWC_STATUS && line.answer[0] <= GWC_REFUSED));
}

static void check(void)
{
    struct gw_boot_state s;

    MUST(dev.sim.violation == NULL && simdev_mount(&dev) == GW_OK && gw_device_state(&dev.dev, &s) == GW_OK);
    MUST(s.slot[0].state == GW_CONFIRMED && simdev_holds(&dev, &running.r, GW_SLOT_A));
    MUST(s.slot[1].state == GW_EMPTY || (s.slot[1].state == GW_STAGED && simdev_holds(&dev, &release.r, GW_SLOT_B)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (dev.sim.bytes == 0) {
        world();
    }
    flashsim_put_back(&dev.sim, &fresh);
    hostline_close(&line);
    line.boot = (struct gw_handover){ .slot = GW_SLOT_A, .state = GW_CONFIRMED };
    line.release = &release.r;
    power();
    for (unsigned moves = 0; size >= 3 && moves < PROGRAM_MAX; moves++) {
        size_t n = (data[0] % 8) < 2 ? data[2] : 0; /* bytes that belong to this move */
        n = n < size - 3 ? n : size - 3;
        move(data[0], data[1], (struct gw_span){ data + 3, n });
        data += 3 + n;
        size -= 3 + n;
    }
    check();
    return 0;
}
