/*
 * wear.c - how much an update of 1 MB wears the flash: erases of the journal, and the most of any block of a slot.
 */
#include <stdio.h>

#include "powercut.h"

#define JOURNAL_LIMIT 8u
#define SLOT_LIMIT 1u

static bool step(const char *what, bool good)
{
    if (!good) {
        printf("wear: %s failed\n", what);
    }
    return good;
}

static bool update(struct simdev *d, const struct simdev_release *r)
{
    return step("boot", simdev_boot(d, GW_CAUSE_SOFTWARE) == GW_OK || d->booted == GW_ERR_NO_IMAGE) &&
           step("mount", simdev_mount(d) == GW_OK) && step("install", simdev_install(d, r, 0) == GW_DONE) &&
           step("trial", simdev_boot(d, GW_CAUSE_SOFTWARE) == GW_OK) && step("mount", simdev_mount(d) == GW_OK) &&
           step("confirm", gw_device_confirm(&d->dev) == GW_OK);
}

static bool wear_of(uint32_t write_size)
{
    static struct simdev d;
    struct simdev_release release[2];
    const struct simdev_config config = { .erase = SIMDEV_BIG, .write_size = write_size, .erased = 0xff,
                                          .frame_size = 4096, .image_size = 1u << 20 };
    const struct simdev_wish wish[2] = { { .sequence = 1 }, { .sequence = 2, .encrypted = true } };

    simdev_init(&d, &config);
    simdev_provision(&d);
    for (unsigned i = 0; i < 2; i++) {
        simdev_release(&d, &release[i], &wish[i]);
    }
    bool good = update(&d, &release[0]);
    flashsim_wear_clear(&d.sim);
    flashsim_arm(&d.sim, 1);
    good = good && update(&d, &release[1]);
    uint32_t journal = flashsim_wear_sum(&d.sim, d.layout.journal), a = flashsim_wear_max(&d.sim, d.layout.slot[0]);
    uint32_t b = flashsim_wear_max(&d.sim, d.layout.slot[1]), slot = a > b ? a : b;
    printf("wear: 1 MB update, write size %2u: %u journal erases (at most %u), %u erase of a slot's block (at most "
           "%u), %u operations\n",
           (unsigned)write_size, (unsigned)journal, JOURNAL_LIMIT, (unsigned)slot, SLOT_LIMIT, (unsigned)d.sim.ops);
    for (unsigned i = 0; i < 2; i++) {
        simdev_release_free(&release[i]);
    }
    simdev_free(&d);
    return good && journal <= JOURNAL_LIMIT && slot <= SLOT_LIMIT;
}

bool wear_report(void)
{
    bool good = true;

    for (uint32_t write_size = 1; write_size <= GW_WRITE_MAX; write_size *= 2) {
        good = wear_of(write_size) && good;
    }
    return good;
}
