/*
 * offer.h - what the tests of the installer start from: release 5 runs from slot A, confirmed; release 6 is offered,
 * right in every respect until a test changes it. Defines its objects here: for one file of a test program.
 */
#ifndef TEST_OFFER_H
#define TEST_OFFER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scene.h"

static struct simdev dev;
static struct scene_release running, release; /* 5 in slot A; what is offered */
static struct scene_bundle bundle;
static struct gw_boot_state boot;
static struct gwh_buf head;
static uint8_t *buffer; /* of exactly config->buffer_size bytes */
static struct gw_install *inst;
static struct gw_install_config *config;
static struct gw_release *offer;

/* What simdev_open() would pass, ready to be changed. */
static inline void offer_release(void)
{
    scene_release_sign(&dev, &release);
    *config = (struct gw_install_config){ .dev = &dev.dev, .buffer_size = GW_INSTALL_BUFFER, .running = GW_SLOT_A };
    *offer = (struct gw_release){ .manifest = gwh_span(&release.r.manifest), .grant_count = release.r.grant.n != 0 };
    offer->grant[0] = gwh_span(&release.r.grant);
}

/* A right release 6 with another data image. */
static inline void right(void)
{
    scene_release_free(&release);
    scene_release(&dev, &release, &(struct simdev_wish){ .sequence = 6, .data = 2 });
    offer_release();
}

static inline void encrypted(void)
{
    scene_release_free(&release);
    scene_release(&dev, &release, &(struct simdev_wish){ .sequence = 6, .data = 2, .encrypted = true });
    offer_release();
}

static inline void start(const struct simdev_config *c)
{
    simdev_init(&dev, c);
    simdev_provision(&dev);
    inst = &dev.ram.inst;
    config = &dev.ram.install;
    offer = &dev.ram.offer;
    memset(&release, 0, sizeof release);
    memset(&bundle, 0, sizeof bundle);
    memset(&boot, 0, sizeof boot);
    boot.last = GW_SLOT_A;
    scene_release(&dev, &running, &(struct simdev_wish){ .sequence = 5, .data = 1 });
    scene_release_sign(&dev, &running);
    simdev_preload(&dev, &running.r, GW_SLOT_A);
    boot.slot[0] = scene_slot(&running, GW_CONFIRMED);
    scene_state(&dev, &boot);
    right();
}

static inline int setup(void **state)
{
    const struct simdev_config c = { .erase = SIMDEV_4K, .write_size = 8, .erased = 0xff, .ecc = true, .data = true };
    (void)state;
    start(&c);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    free(buffer);
    buffer = NULL;
    scene_release_free(&running);
    scene_release_free(&release);
    gwh_buf_free(&bundle.bytes);
    gwh_buf_free(&head);
    simdev_free(&dev);
    return 0;
}

static inline int open_offer(void)
{
    free(buffer);
    config->buffer = buffer = malloc(config->buffer_size);
    memset(inst, 0xa5, sizeof *inst);
    return gw_install_open(inst, config, offer);
}

/* Opens what is offered: this reason, nothing written, nothing kept, and nothing works on the object. */
static inline void refused(int reason)
{
    uint8_t *copy = scene_copy(&dev), byte = 0;
    uint32_t ops = dev.sim.ops;
    struct gw_want want;
    size_t used = 1;

    int err = open_offer();
    if (err != reason) {
        fail_msg("%s instead of %s", gw_error_name(err), gw_error_name(reason));
    }
    assert_true(gw_install_poll(inst) < 0);
    assert_int_equal(gw_install_want(inst, &want), GW_ERR_STATE);
    assert_true(gw_install_push(inst, &byte, 1, &used) < 0);
    assert_int_equal(used, 0);
    assert_true(gw_install_finish(inst) < 0);
    for (unsigned i = 0; i < sizeof inst->cek; i++) {
        assert_int_equal(inst->cek[i], 0);
    }
    assert_int_equal(gw_install_abort(inst, false), GW_OK);
    assert_int_equal(dev.sim.ops, ops);
    assert_true(scene_same(&dev, copy));
    free(copy);
}

static inline void accepted(void)
{
    assert_int_equal(open_offer(), GW_OK);
    assert_int_equal(gw_install_abort(inst, false), GW_OK);
}

#endif
