/*
 * fuzz_agent.c - a whole life of an agent in bad company. The input says what the server and the network do with each
 * call: offers altered, made up or right, payload bytes altered, short or none, any error; how the clock goes, when the
 * application declines, when power is lost.
 *
 * Properties: no step but one that the flash failed returns an error; it never spins; the running confirmed image stays
 * whole and confirmed until a signed release takes its place; a slot is staged, tried or confirmed only when it holds
 * the signed release, byte by byte; reports verify and their counters grow.
 */
#include "agent.h"
#include "fuzz_formats.h"
#include "scene.h"
#include "simnet.h"

#define STEPS 3000u

static struct simdev dev;
static struct simdev_release five, six;
static struct flashsim_state fresh;
static struct simnet net;
static const struct gw_transport *inner;
static struct gw_transport outer;
static const uint8_t *input;
static size_t input_n;

static uint8_t next(void)
{
    if (input_n == 0) {
        return 0;
    }
    input_n--;
    return *input++;
}

/* One byte decides over each call: mostly nothing happens. */
static int fate(void)
{
    uint8_t b = next();

    return b < 200 ? 0 : -(int)(b - 199); /* any error from 1 to 56 */
}

static int bad_trust(void *ctx, const struct gw_transport_trust *trust)
{
    (void)inner->trust(ctx, trust);
    return fate();
}

static int bad_open(void *ctx, const struct gw_request *r)
{
    int err = inner->open(ctx, r), mine = fate();

    return err == 0 && mine != GW_ERR_AGAIN ? mine : err;
}

static int bad_read(void *ctx, uint8_t *data, size_t size, size_t *n)
{
    int err = inner->read(ctx, data, size, n), mine = fate();

    if (err == 0 && *n > 0 && next() > 240) {
        data[next() % *n] ^= next();
    }
    return err == 0 && mine != GW_ERR_AGAIN ? mine : err;
}

static int bad_report(void *ctx, const uint8_t *bytes, size_t n)
{
    int mine = fate();

    return mine != 0 && mine != GW_ERR_AGAIN ? mine : inner->report(ctx, bytes, n);
}

static struct gw_slot_state slot_of(const struct simdev_release *r, enum gw_state state)
{
    struct gw_slot_state slot = { .state = (uint8_t)state, .order = { 1, r->sequence } };

    memcpy(slot.digest, r->digest, sizeof slot.digest);
    return slot;
}

static void world(void)
{
    struct gw_boot_state boot = { .last = GW_SLOT_A };

    simdev_init(&dev, &(struct simdev_config){ .erase = SIMDEV_1K, .write_size = 8, .erased = 0xff, .frame_size = 256,
                                               .image_size = 900, .signs = true });
    simdev_provision(&dev);
    simdev_release(&dev, &five, &(struct simdev_wish){ .sequence = 5 });
    simdev_release(&dev, &six, &(struct simdev_wish){ .sequence = 6, .encrypted = true });
    simdev_preload(&dev, &five, GW_SLOT_A);
    boot.slot[0] = slot_of(&five, GW_CONFIRMED);
    scene_state(&dev, &boot);
    flashsim_take(&dev.sim, &fresh);
}

/* What the server offers now: right, with a bundle, cut, made up, or nothing. */
static void offer(uint8_t what)
{
    static const uint8_t base[] = "https://cdn.example.com";

    net.offer = (struct gw_offer){ .next_look = what & 16 ? next() * 300u : 0 };
    net.offer.trust = what & 4 ? gwh_span(&dev.trust[what % 3]) : (struct gw_span){ NULL, 0 };
    net.offer.payload_base = what & 32 ? (struct gw_span){ base, sizeof base - 1 } : (struct gw_span){ NULL, 0 };
    simnet_release(&net, what & 1 ? &six : what & 2 ? &five : NULL);
    if (what >= 224) { /* the input itself */
        size_t n = next() < input_n ? next() : input_n;
        n = n < input_n ? n : input_n;
        gwh_buf_free(&net.answer);
        MUST(n == 0 || gwh_buf_add(&net.answer, input, n) == 0);
        input += n;
        input_n -= n;
    } else if (what >= 192) {
        net.answer.p[next() % net.answer.n] ^= next();
    }
    net.nothing = what == 0 || net.answer.n == 0;
}

static void check_slots(void)
{
    struct gw_boot_state s;

    MUST(gw_device_state(&dev.dev, &s) == GW_OK);
    bool six_stays = s.slot[1].state == GW_CONFIRMED;
    MUST(s.slot[0].state == (six_stays ? GW_PREVIOUS : GW_CONFIRMED) && simdev_holds(&dev, &five, GW_SLOT_A));
    if (s.slot[1].state == GW_STAGED || s.slot[1].state == GW_TRYING || six_stays) {
        MUST(memcmp(s.slot[1].digest, six.digest, 32) == 0 && simdev_holds(&dev, &six, GW_SLOT_B));
    }
}

static void move(uint8_t what)
{
    switch (what % 16) {
    case 1: offer(next()); break;
    case 2: net.veto_fetch = next() & 1; break;
    case 3: net.veto_restart = next() & 1; break;
    case 4: gw_agent_wake(&net.agent); break;
    case 5: net.ms += next() * 100000u; break;
    case 6: net.epoch = next() * 20000000u; break;
    case 7: net.self_test = next() > 200 ? -1 : 0; break;
    case 8: MUST(simnet_boot(&net, next() & 1 ? GW_CAUSE_WATCHDOG : GW_CAUSE_POWER) == GW_OK); break;
    case 9: MUST(gw_agent_sleep(&net.agent, (uint32_t)net.ms, next() * 60u) == GW_OK); break;
    case 10: gw_agent_close(&net.agent); MUST(simnet_open(&net) == GW_OK); break;
    default: break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t asked = 0;

    if (dev.sim.bytes == 0) {
        world();
    }
    flashsim_put_back(&dev.sim, &fresh);
    simnet_free(&net);
    simnet_init(&net, &dev);
    inner = &net.transport;
    outer = (struct gw_transport){ &net, bad_trust, bad_open, bad_read, inner->close, bad_report };
    net.config.transport = &outer;
    net.config.anonymous_after = size % 4;
    net.config.bytes_per_day = size % 8 == 7 ? 1000 : 0;
    net.config.confirm_offline = size % 16 == 15;
    net.piece = 150;
    input = data;
    input_n = size;
    MUST(simnet_boot(&net, GW_CAUSE_POWER) == GW_OK);
    for (unsigned i = 0; i < STEPS && (input_n > 0 || i < 50); i++) {
        move(i % 4 == 0 ? next() : 0);
        MUST(simnet_step(&net) > 0);
        net.ms += net.wait;
        if (net.restart_asked != asked) {
            asked = net.restart_asked;
            MUST(simnet_boot(&net, GW_CAUSE_SOFTWARE) == GW_OK);
        }
        MUST(net.wrong == NULL && dev.sim.violation == NULL);
    }
    check_slots();
    return 0;
}
