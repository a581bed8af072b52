/*
 * agentlife.h - what the tests of the agent start from: release 5 runs from slot A, confirmed; the server has release 6
 * (and 7), right in every respect. Defines its objects here: for one file of a test program.
 */
#ifndef TEST_AGENTLIFE_H
#define TEST_AGENTLIFE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent.h"
#include "scene.h"
#include "simnet.h"

#define DAY 86400u

static struct simdev dev;
static struct simnet net;
static struct simdev_release five, six, seven;
static struct gwh_buf head;

static inline void ok(int err)
{
    if (err != GW_OK) {
        fail_msg("in %s: %s (%d)", gw_agent_state_name((enum gw_agent_state)net.agent.state),
                 err < 0 ? gw_error_name(err) : "another status", err);
    }
}

static inline struct gw_slot_state slot_of(const struct simdev_release *r, enum gw_state state)
{
    struct gw_slot_state slot = { .state = (uint8_t)state, .order = { 1, r->sequence }, .floor = r->floor };

    memcpy(slot.digest, r->digest, sizeof slot.digest);
    return slot;
}

/* Chance, the same in each run. */
static uint32_t chance;
static struct gw_crypto with_chance;

static inline int draw_chance(void *ctx, void *data, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++) {
        chance = chance * 1664525u + 1013904223u;
        ((uint8_t *)data)[i] = (uint8_t)(chance >> 24);
    }
    return 0;
}

static inline void life(const struct simdev_config *c, const struct simdev_wish *of_six)
{
    struct gw_boot_state boot = { .last = GW_SLOT_A };

    simdev_init(&dev, c);
    with_chance = fastcrypto;
    with_chance.random = draw_chance;
    chance = 1;
    dev.dev.crypto = &with_chance;
    simdev_provision(&dev);
    simdev_release(&dev, &five, &(struct simdev_wish){ .sequence = 5, .data = 1 });
    struct simdev_wish wish = *of_six;
    wish.sequence = 6;
    wish.from = wish.coded ? &five : NULL;
    simdev_release(&dev, &six, &wish);
    simdev_release(&dev, &seven, &(struct simdev_wish){ .sequence = 7, .data = 3 });
    simdev_preload(&dev, &five, GW_SLOT_A);
    boot.slot[0] = slot_of(&five, GW_CONFIRMED);
    scene_state(&dev, &boot);
    simnet_init(&net, &dev);
    ok(simnet_boot(&net, GW_CAUSE_POWER));
    flashsim_arm(&dev.sim, 1);
}

static const struct simdev_config usual = { .erase = SIMDEV_4K, .write_size = 8, .erased = 0xff, .signs = true };

static inline int setup(void **state)
{
    (void)state;
    life(&usual, &(struct simdev_wish){ .data = 2, .encrypted = true });
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    simnet_free(&net);
    simdev_release_free(&five);
    simdev_release_free(&six);
    simdev_release_free(&seven);
    gwh_buf_free(&head);
    simdev_free(&dev);
    return 0;
}

static inline struct gw_boot_state state_now(void)
{
    struct gw_boot_state s;

    ok(gw_device_state(&dev.dev, &s));
    return s;
}

/* Nothing that the agent did broke a contract. */
static inline void well(void)
{
    if (net.wrong != NULL) {
        fail_msg("%s", net.wrong);
    }
    assert_null(dev.sim.violation);
}

/* Report number i says this. */
static inline void reported(uint32_t i, uint32_t state, int reason, uint32_t sequence)
{
    assert_true(i < net.reports);
    assert_int_equal(net.report[i].state, state);
    assert_int_equal(net.report[i].reason, (uint32_t)-reason);
    assert_int_equal(net.report[i].release.sequence, sequence);
    well();
}

/* The next look, if it waits for one, and all that follows, until it waits for more than 40 seconds. */
static inline void settled(void)
{
    if (net.agent.state == GW_AGENT_IDLE || net.agent.state == GW_AGENT_RESTART || net.agent.state == GW_AGENT_FAIL) {
        ok(simnet_until(&net, GW_AGENT_LOOK));
    }
    int status = simnet_settle(&net, 40);
    if (status != GW_DONE) {
        fail_msg("%s in %s", status < 0 ? gw_error_name(status) : "another status",
                 gw_agent_state_name((enum gw_agent_state)net.agent.state));
    }
    well();
}

/* A look by itself, when nothing else is due; then as settled(). */
static inline void look_now(void)
{
    gw_agent_wake(&net.agent);
    net.ms += GW_LOOK_MIN * 1000u; /* never sooner than that after another one */
    uint32_t looks = net.looks;
    ok(simnet_until(&net, GW_AGENT_LOOK));
    settled();
    assert_true(net.looks > looks);
}

static inline void offer_head(uint32_t latest, uint32_t withdrawn, uint32_t serial, const char *channel)
{
    struct gw_order order = { 1, withdrawn };
    struct gwh_head h = { .class_id = "class", .channel = channel, .latest = { 1, latest }, .withdrawn = &order,
                          .withdrawn_count = 1, .issued_at = SIMNET_1970 - 1000 + serial, .serial = serial };

    simnet_head(&dev, &head, &h);
    net.offer.head = gwh_span(&head);
}

/* Restart into what is staged. */
static inline void restart(enum gw_cause cause)
{
    ok(simnet_boot(&net, cause));
}

#endif
