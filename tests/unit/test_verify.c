/*
 * test_verify.c - what gw_slot_verify says of a slot: right, wrong for each reason, or no verdict at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scene.h"

static struct simdev dev;
static struct scene_release release; /* sequence 5, in slot A */
static struct scene_bundle bundle;
static struct gw_boot_state boot;
static struct gw_crypto broken;
static struct gw_slot_map map[2];

static void place(enum gw_slot slot, enum gw_state state)
{
    scene_release_sign(&dev, &release);
    simdev_preload(&dev, &release.r, slot);
    boot.slot[slot] = scene_slot(&release, state);
}

static int setup(void **state)
{
    const struct simdev_config config = { .erase = SIMDEV_4K, .write_size = 8, .erased = 0xff, .ecc = true,
                                          .extended = true, .data = true };
    (void)state;

    simdev_init(&dev, &config);
    simdev_provision(&dev);
    memset(&boot, 0, sizeof boot);
    memset(&bundle, 0, sizeof bundle);
    scene_release(&dev, &release, &(struct simdev_wish){ .sequence = 5, .floor = 2, .data = 1 });
    place(GW_SLOT_A, GW_CONFIRMED);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(gw_layout_slot(&dev.sim.flash, &dev.layout, (enum gw_slot)i, &map[i]), 0);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scene_release_free(&release);
    gwh_buf_free(&bundle.bytes);
    simdev_free(&dev);
    return 0;
}

/* Verifies in memory of exactly the size that is asked for. */
static void expect(enum gw_slot slot, enum gw_verdict verdict, int reason)
{
    uint8_t *memory = malloc(GW_VERIFY_MEMORY);
    struct gw_manifest m;
    int why = 99;
    uint32_t ops = dev.sim.ops;

    enum gw_verdict v = gw_slot_verify(&dev.dev, &boot, slot, memory, GW_VERIFY_MEMORY, &m, &why);
    if (why != reason || v != verdict) {
        fail_msg("%s (%x) instead of %s (%x)", gw_error_name(why), v, gw_error_name(reason), verdict);
    }
    if (v == GW_VERDICT_OK && slot != GW_SLOT_FACTORY) {
        assert_int_equal(m.order.sequence, release.m.sequence);
        assert_memory_equal(m.digest, release.r.digest, 32);
        assert_true(m.version.p >= memory && m.version.p < memory + GW_VERIFY_MEMORY);
    }
    assert_int_equal(dev.sim.ops, ops); /* it writes nothing */
    free(memory);
}

static void good(enum gw_slot slot)
{
    expect(slot, GW_VERDICT_OK, GW_OK);
}

static void bad(enum gw_slot slot, int reason)
{
    expect(slot, GW_VERDICT_BAD, reason);
}

static void a_right_release_is_right_in_every_state(void **state)
{
    (void)state;
    place(GW_SLOT_B, GW_CONFIRMED);
    for (uint8_t s = GW_EMPTY; s <= GW_REJECTED; s++) {
        boot.slot[0].state = boot.slot[1].state = s;
        good(GW_SLOT_A);
        good(GW_SLOT_B);
    }
    uint8_t memory[GW_VERIFY_MEMORY];
    struct gw_manifest m;
    assert_int_equal(gw_slot_verify(&dev.dev, &boot, GW_SLOT_A, memory, sizeof memory, &m, NULL), GW_VERDICT_OK);
}

static void every_byte_of_the_images_counts(void **state)
{
    uint32_t n = (uint32_t)release.r.image[0].n, data = (uint32_t)release.r.image[1].n;
    const uint32_t at[] = { map[0].image.start, map[0].image.start + 255, map[0].image.start + 4096,
                            map[0].image.start + n - 1, dev.data.area[0].start, dev.data.area[0].start + data - 1 };
    (void)state;

    for (unsigned i = 0; i < sizeof at / sizeof at[0]; i++) {
        scene_damage(&dev, at[i]);
        bad(GW_SLOT_A, GW_ERR_IMAGE_DIGEST);
        scene_damage(&dev, at[i]); /* and back */
        good(GW_SLOT_A);
    }
    flashsim_poke(&dev.sim, map[0].image.start + n, 0x12); /* behind the images anything may be */
    flashsim_poke(&dev.sim, dev.data.area[0].start + data, 0x12);
    flashsim_poke(&dev.sim, dev.data.area[1].start, 0x12);
    good(GW_SLOT_A);
}

static void a_damaged_manifest_is_none(void **state)
{
    (void)state;
    scene_damage(&dev, map[0].manifest.start + 64 + 20);
    bad(GW_SLOT_A, GW_ERR_NOTHING);
    scene_damage(&dev, map[0].manifest.start + 64 + 20);
    scene_damage(&dev, map[0].manifest.start + 4);
    bad(GW_SLOT_A, GW_ERR_NOTHING);
    bad(GW_SLOT_B, GW_ERR_NOTHING); /* nothing was ever there */
}

static void an_altered_manifest_is_refused_though_its_checksum_is_right(void **state)
{
    (void)state;
    release.r.manifest.p[release.r.manifest.n - 1] ^= 1; /* of the signature */
    scene_put(&dev, map[0].manifest, gwh_span(&release.r.manifest));
    bad(GW_SLOT_A, GW_ERR_SIGNATURE);
    release.r.manifest.p[release.r.manifest.n - 1] ^= 1;
    release.r.manifest.p[60] ^= 1; /* of what is signed */
    scene_put(&dev, map[0].manifest, gwh_span(&release.r.manifest));
    bad(GW_SLOT_A, GW_ERR_SIGNATURE);
    release.r.manifest.p[60] ^= 1;
    scene_put(&dev, map[0].manifest, (struct gw_span){ release.r.manifest.p, release.r.manifest.n - 1 });
    bad(GW_SLOT_A, GW_ERR_TRUNCATED);
}

static void made_for_others(void **state)
{
    static const char *const others[] = { "device-2", "device-10", "device-" };
    static const char *const ours[] = { "other", "device-1" };
    (void)state;

    release.m.vendor[15] = 1;
    place(GW_SLOT_A, GW_CONFIRMED);
    bad(GW_SLOT_A, GW_ERR_VENDOR);
    release.m.vendor[15] = 0;
    release.m.class_id[0] ^= 1;
    place(GW_SLOT_A, GW_CONFIRMED);
    bad(GW_SLOT_A, GW_ERR_CLASS);
    release.m.class_id[0] ^= 1;
    release.m.devices = others;
    release.m.device_count = 3;
    place(GW_SLOT_A, GW_CONFIRMED);
    bad(GW_SLOT_A, GW_ERR_DEVICE);
    release.m.devices = ours;
    release.m.device_count = 2;
    place(GW_SLOT_A, GW_CONFIRMED);
    good(GW_SLOT_A);
}

static void the_floor_holds(void **state)
{
    (void)state;
    boot.floor = (struct gw_order){ 1, 5 };
    good(GW_SLOT_A);
    boot.floor = (struct gw_order){ 1, 6 };
    bad(GW_SLOT_A, GW_ERR_FLOOR);
    boot.floor = (struct gw_order){ 2, 1 };
    bad(GW_SLOT_A, GW_ERR_FLOOR);
}

static void another_release_than_the_journal_says(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 32; i += 31) {
        boot.slot[0].digest[i] ^= 0x80;
        bad(GW_SLOT_A, GW_ERR_IMAGE_DIGEST);
        boot.slot[0].digest[i] ^= 0x80;
    }
    memset(boot.slot[0].digest, 0, 32);
    boot.slot[0].state = GW_EMPTY; /* the journal says nothing: as after its loss */
    good(GW_SLOT_A);
}

static void a_newer_bundle_counts_where_it_is_in_force(void **state)
{
    static const uint8_t states[] = { GW_STAGED, GW_TRYING, GW_CONFIRMED, GW_PREVIOUS };
    (void)state;

    scene_bundle_make(&dev, &bundle, 2, 0);
    scene_put(&dev, dev.layout.trust[1], gwh_span(&bundle.bytes));
    good(GW_SLOT_A);
    boot.trust_pending = 1; /* for what is not confirmed yet */
    for (unsigned i = 0; i < sizeof states; i++) {
        boot.slot[0].state = states[i];
        if (i < 2) {
            bad(GW_SLOT_A, GW_ERR_KEY_REVOKED);
        } else {
            good(GW_SLOT_A);
        }
    }
    boot.trust_pending = 0;
    boot.trust_active = 1; /* for all */
    bad(GW_SLOT_A, GW_ERR_KEY_REVOKED);
}

static void damaged_bundles(void **state)
{
    (void)state;
    scene_bundle_make(&dev, &bundle, 2, -1);
    scene_put(&dev, dev.layout.trust[1], gwh_span(&bundle.bytes));
    scene_damage(&dev, dev.layout.trust[0].start + 100);
    good(GW_SLOT_A); /* the other one serves */
    bundle.signers = 1;
    scene_bundle_sign(&dev, &bundle);
    scene_put(&dev, dev.layout.trust[1], gwh_span(&bundle.bytes));
    bad(GW_SLOT_A, GW_ERR_ROOTS_FEW); /* unless the roots did not sign it */
    scene_erase(&dev, dev.layout.trust[1]);
    bad(GW_SLOT_A, GW_ERR_TRUST_MISSING);
    boot.trust_active = 1;
    bad(GW_SLOT_A, GW_ERR_TRUST_MISSING);
    scene_put(&dev, dev.layout.trust[0], gwh_span(&dev.trust[0]));
    good(GW_SLOT_A);
}

static void epochs(void **state)
{
    (void)state;
    scene_bundle(&dev, &bundle, 2, -1);
    bundle.t.epoch = 2;
    scene_bundle_sign(&dev, &bundle);
    scene_put(&dev, dev.layout.trust[1], gwh_span(&bundle.bytes));
    boot.trust_active = 1;
    good(GW_SLOT_A); /* installed before the epoch rose: it still starts */
    release.m.epoch = 2;
    place(GW_SLOT_A, GW_CONFIRMED);
    good(GW_SLOT_A);
    boot.trust_active = 0;
    bad(GW_SLOT_A, GW_ERR_EPOCH);
}

static void no_identity_no_verdict_but_bad(void **state)
{
    (void)state;
    scene_erase(&dev, dev.layout.identity);
    bad(GW_SLOT_A, GW_ERR_TRUST_MISSING);
    bad(GW_SLOT_FACTORY, GW_ERR_NOTHING);
    dev.identity.p[dev.identity.n - 1] ^= 0xff;
    scene_put(&dev, dev.layout.identity, (struct gw_span){ dev.identity.p, dev.identity.n - 1 });
    bad(GW_SLOT_A, GW_ERR_TRUNCATED);
}

static void the_factory_image(void **state)
{
    struct gw_area area = dev.layout.factory;
    (void)state;

    good(GW_SLOT_FACTORY);
    assert_int_equal(gw_slot_verify(&dev.dev, &boot, GW_SLOT_FACTORY, dev.ram.memory, sizeof dev.ram.memory, NULL, NULL),
                     GW_VERDICT_OK);
    scene_damage(&dev, area.start + SIMDEV_FACTORY_SIZE - 1);
    bad(GW_SLOT_FACTORY, GW_ERR_IMAGE_DIGEST);
    scene_damage(&dev, area.start + SIMDEV_FACTORY_SIZE - 1);
    scene_damage(&dev, area.start + SIMDEV_FACTORY_SIZE);
    good(GW_SLOT_FACTORY);
    dev.layout.factory.size = SIMDEV_FACTORY_SIZE - 1;
    bad(GW_SLOT_FACTORY, GW_ERR_SLOT_SMALL);
    dev.layout.factory.size = 0;
    bad(GW_SLOT_FACTORY, GW_ERR_NOTHING);
}

static void an_identity_without_a_factory_image(void **state)
{
    struct simdev_config config = dev.config;
    static struct simdev limited;
    (void)state;

    config.extended = false;
    simdev_init(&limited, &config);
    scene_put(&dev, dev.layout.identity, gwh_span(&limited.identity));
    bad(GW_SLOT_FACTORY, GW_ERR_NOTHING);
    good(GW_SLOT_A);
    simdev_free(&limited);
}

/* The size of a payload file with so much content. */
static uint32_t file_size(uint32_t content, uint32_t frame)
{
    return content + (content - 1) / frame * GW_DIGEST_SIZE;
}

static void images_that_this_device_has_no_place_for(void **state)
{
    (void)state;
    release.component[1].id = 8;
    place(GW_SLOT_A, GW_CONFIRMED);
    bad(GW_SLOT_A, GW_ERR_COMPONENT);
    release.component[1].id = SIMDEV_DATA_COMPONENT;
    release.variant[0][0].linked = true;
    release.variant[0][0].address = map[1].image.start;
    place(GW_SLOT_A, GW_CONFIRMED);
    bad(GW_SLOT_A, GW_ERR_NO_VARIANT);
    release.variant[0][1].linked = true;
    release.variant[0][1].address = map[0].image.start;
    release.component[0].variant_count = 2;
    place(GW_SLOT_A, GW_CONFIRMED);
    good(GW_SLOT_A);
    release.variant[0][0].linked = false;
    release.component[0].variant_count = 1;
    release.variant[0][0].size = map[0].image.size + 1;
    release.payload[0].size = file_size(map[0].image.size + 1, release.payload[0].frame_size);
    place(GW_SLOT_A, GW_CONFIRMED);
    bad(GW_SLOT_A, GW_ERR_SLOT_SMALL);
}

static void too_little_memory_is_no_verdict(void **state)
{
    struct gw_manifest m;
    int why = 0;
    (void)state;

    assert_int_equal(gw_slot_verify(&dev.dev, &boot, GW_SLOT_A, dev.ram.memory, GW_VERIFY_MEMORY - 1, &m, &why),
                     GW_VERDICT_UNREADABLE);
    assert_int_equal(why, GW_ERR_SPACE);
}

static void unreadable_flash_is_no_verdict(void **state)
{
    const struct gw_area where[] = { dev.layout.identity, dev.layout.trust[0], map[0].manifest, map[0].image,
                                     dev.data.area[0] };
    (void)state;

    scene_put(&dev, dev.layout.trust[1], gwh_span(&dev.trust[1]));
    for (unsigned i = 0; i < sizeof where / sizeof where[0]; i++) {
        struct flashsim_fault fault = { FLASHSIM_READ_FAILS, 0, 0, where[i].start, where[i].size };
        flashsim_arm(&dev.sim, 1);
        flashsim_add_fault(&dev.sim, fault);
        if (i == 1) { /* the other bundle serves; unless it cannot be read either */
            good(GW_SLOT_A);
            fault.size = dev.layout.trust[0].size + dev.layout.trust[1].size;
            flashsim_add_fault(&dev.sim, fault);
        }
        expect(GW_SLOT_A, GW_VERDICT_UNREADABLE, GW_ERR_FLASH_READ);
    }
    flashsim_arm(&dev.sim, 1);
    flashsim_add_fault(&dev.sim, (struct flashsim_fault){ FLASHSIM_READ_FAILS, 0, 0, dev.layout.factory.start, 1024 });
    expect(GW_SLOT_FACTORY, GW_VERDICT_UNREADABLE, GW_ERR_FLASH_READ);
    flashsim_arm(&dev.sim, 1);
    good(GW_SLOT_A);
}

static void what_passes_is_read_again(void **state)
{
    (void)state;
    flashsim_arm(&dev.sim, 1);
    good(GW_SLOT_A);
    uint32_t reads = dev.sim.reads;
    assert_true(reads > 30);
    for (uint32_t i = 0; i < reads; i++) { /* two failing reads in a row fail one call; the whole check is done again */
        flashsim_arm(&dev.sim, 1);
        flashsim_add_fault(&dev.sim, (struct flashsim_fault){ FLASHSIM_READ_FAILS, i, 2, 0, 0 });
        good(GW_SLOT_A);
        assert_true(dev.sim.faults_hit > 0);
    }
}

/* A crypto library that fails at call number `fails_at`. */
static unsigned calls, fails_at;

static bool fails(void)
{
    return calls++ == fails_at;
}

static int start(void *ctx, struct gw_sha256 *s)
{
    return fails() ? -1 : fastcrypto.sha256_start(ctx, s);
}

static int update(void *ctx, struct gw_sha256 *s, const void *data, size_t n)
{
    return fails() ? -1 : fastcrypto.sha256_update(ctx, s, data, n);
}

static int finish(void *ctx, struct gw_sha256 *s, uint8_t digest[32])
{
    return fails() ? -1 : fastcrypto.sha256_finish(ctx, s, digest);
}

static int verify(void *ctx, const struct gw_pubkey *key, const uint8_t digest[32], const uint8_t *sig, size_t n)
{
    return fails() ? GW_ERR_CRYPTO : fastcrypto.verify(ctx, key, digest, sig, n);
}

static void a_failing_crypto_library_condemns_nothing(void **state)
{
    struct gw_manifest m;
    int why;
    (void)state;

    broken = fastcrypto;
    broken.sha256_start = start;
    broken.sha256_update = update;
    broken.sha256_finish = finish;
    broken.verify = verify;
    dev.dev.crypto = &broken;
    fails_at = ~0u;
    calls = 0;
    good(GW_SLOT_A);
    unsigned all = calls;
    assert_true(all > 30);
    for (unsigned n = 0; n < all; n++) {
        calls = 0;
        fails_at = n;
        good(GW_SLOT_A); /* once: it is done again */
    }
    for (unsigned fn = 0; fn < 4; fn++) { /* for ever */
        broken = fastcrypto;
        fails_at = calls = 0;
        if (fn == 0) {
            broken.sha256_start = start;
        } else if (fn == 1) {
            broken.sha256_update = update;
        } else if (fn == 2) {
            broken.sha256_finish = finish;
        } else {
            broken.verify = verify;
        }
        for (unsigned n = 0; n < 8; n++) { /* the call that it starts to fail with moves on */
            fails_at = n;
            calls = 0;
            enum gw_verdict v = gw_slot_verify(&dev.dev, &boot, GW_SLOT_A, dev.ram.memory, GW_VERIFY_MEMORY, &m, &why);
            assert_int_not_equal(v, GW_VERDICT_BAD);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_right_release_is_right_in_every_state),
        TEST(every_byte_of_the_images_counts),
        TEST(a_damaged_manifest_is_none),
        TEST(an_altered_manifest_is_refused_though_its_checksum_is_right),
        TEST(made_for_others),
        TEST(the_floor_holds),
        TEST(another_release_than_the_journal_says),
        TEST(a_newer_bundle_counts_where_it_is_in_force),
        TEST(damaged_bundles),
        TEST(epochs),
        TEST(no_identity_no_verdict_but_bad),
        TEST(the_factory_image),
        TEST(an_identity_without_a_factory_image),
        TEST(images_that_this_device_has_no_place_for),
        TEST(too_little_memory_is_no_verdict),
        TEST(unreadable_flash_is_no_verdict),
        TEST(what_passes_is_read_again),
        TEST(a_failing_crypto_library_condemns_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
