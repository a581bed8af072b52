/*
 * test_refuse.c - what may not come in: each with its exact reason, and not a byte written.
 */
#include "cose.h"
#include "offer.h"

/* ---- Not for this device, not now -------------------------------------------------------------------------------- */

static void releases_for_others(void **state)
{
    static const char *const others[] = { "device-2" };
    (void)state;

    accepted();
    release.m.vendor[3] ^= 1;
    offer_release();
    refused(GW_ERR_VENDOR);
    right();
    release.m.class_id[3] ^= 1;
    offer_release();
    refused(GW_ERR_CLASS);
    right();
    release.m.devices = others;
    release.m.device_count = 1;
    offer_release();
    refused(GW_ERR_DEVICE);
}

static void releases_of_another_time(void **state)
{
    (void)state;
    for (uint32_t sequence = 4; sequence <= 5; sequence++) {
        right();
        release.m.sequence = sequence;
        offer_release();
        refused(GW_ERR_OLDER);
    }
    for (uint32_t epoch = 0; epoch <= 2; epoch += 2) { /* below and above the bundle's */
        right();
        release.m.epoch = epoch;
        offer_release();
        refused(GW_ERR_EPOCH);
    }
    right();
    release.m.use_before = 1000;
    offer_release();
    config->now = 1000;
    refused(GW_ERR_EXPIRED);
    config->now = 999;
    accepted();
    config->now = 0; /* no clock */
    accepted();
    right();
    release.m.floor = 7;
    offer_release();
    refused(GW_ERR_FLOOR_ABOVE);
}

static void releases_below_the_floor(void **state)
{
    (void)state;
    boot.floor = (struct gw_order){ 1, 7 };
    scene_state(&dev, &boot);
    refused(GW_ERR_FLOOR);
    boot.floor.sequence = 6;
    scene_state(&dev, &boot);
    accepted();
}

static void dependencies(void **state)
{
    static const struct gw_dependency fit[] = { { 1, 3, 3 }, { 2, 5, 0xffffffff }, { 3, 2, 5 } };
    static const struct gw_dependency not[] = { { 1, 4, 9 }, { 1, 1, 2 }, { 2, 6, 9 }, { 3, 6, 9 }, { 3, 1, 4 } };
    (void)state;

    release.m.dependencies = fit;
    release.m.dependency_count = 3;
    offer_release();
    accepted();
    release.m.dependency_count = 1;
    for (unsigned i = 0; i < sizeof not / sizeof not[0]; i++) {
        release.m.dependencies = &not[i];
        offer_release();
        refused(GW_ERR_DEPENDENCY);
    }
}

static void rejected_before(void **state)
{
    (void)state;
    boot.slot[1] = scene_slot(&release, GW_REJECTED);
    boot.slot[1].reason = -GW_ERR_IMAGE_DIGEST; /* it never ran: perhaps the flash was at fault */
    scene_state(&dev, &boot);
    accepted();
    boot.slot[1].reason = -GW_ERR_TRIES_USED;
    scene_state(&dev, &boot);
    refused(GW_ERR_REJECTED_BEFORE);
    assert_int_equal(gw_slots_clear(&dev.dev, GW_SLOT_B), GW_OK);
    assert_int_equal(simdev_mount(&dev), GW_OK);
    refused(GW_ERR_REJECTED_BEFORE); /* also when the slot was used again */
    release.m.version = "1.0.1";
    offer_release();
    accepted(); /* another release */
}

static void only_from_a_confirmed_image_or_recovery(void **state)
{
    static const struct { uint8_t mine; int err; } cases[] = {
        { GW_EMPTY, GW_ERR_NOT_CONFIRMED }, { GW_STAGED, GW_ERR_NOT_CONFIRMED }, { GW_TRYING, GW_ERR_NOT_CONFIRMED },
        { GW_REJECTED, GW_ERR_NOT_CONFIRMED }, { GW_CONFIRMED, GW_OK }, { GW_PREVIOUS, GW_OK },
    };
    (void)state;

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        boot.slot[0].state = cases[i].mine;
        scene_state(&dev, &boot);
        if (cases[i].err == GW_OK) {
            accepted();
        } else {
            refused(cases[i].err);
        }
    }
    config->running = GW_SLOT_B; /* not what boot started */
    refused(GW_ERR_STATE);
    config->running = GW_SLOT_FACTORY;
    refused(GW_ERR_NOT_CONFIRMED);
    config->running = GW_SLOT_NONE;
    refused(GW_ERR_NOT_CONFIRMED);
    config->recovery = true;
    refused(GW_ERR_STATE); /* boot started slot A: this is no recovery */
    boot.last = GW_SLOT_NONE;
    scene_state(&dev, &boot);
    accepted();
    boot.last = GW_SLOT_FACTORY;
    scene_state(&dev, &boot);
    config->running = GW_SLOT_FACTORY;
    accepted();
}

/* ---- Signatures -------------------------------------------------------------------------------------------------- */

static void use_bundle(void)
{
    scene_bundle_sign(&dev, &bundle);
    scene_put(&dev, dev.layout.trust[1], gwh_span(&bundle.bytes));
    boot.trust_active = 1;
    scene_state(&dev, &boot);
}

static void keys_that_may_not_sign(void **state)
{
    static struct fastcrypto_key stranger;
    (void)state;

    fastcrypto_key(&stranger, 77);
    fastcrypto_signer(&release.signer[0], &stranger, GW_ROLE_AUTHOR);
    offer_release();
    refused(GW_ERR_KEY_UNKNOWN);
    release.signer[0] = dev.approver.signer;
    offer_release();
    refused(GW_ERR_KEY_ROLE);
    release.signer[0] = dev.distributor.signer;
    offer_release();
    refused(GW_ERR_KEY_ROLE);
    release.signer[0] = dev.root[0].signer;
    offer_release();
    refused(GW_ERR_KEY_UNKNOWN);
    release.signers = 0;
    offer_release();
    assert_true(open_offer() < 0);
    right();
    scene_bundle(&dev, &bundle, 2, 0);
    use_bundle();
    refused(GW_ERR_KEY_REVOKED);
}

static void too_few_signatures(void **state)
{
    static const struct gw_policy_line both[] = { { GW_ROLE_AUTHOR, 1 }, { GW_ROLE_APPROVER, 1 } };
    static const struct gw_policy_line two[] = { { GW_ROLE_AUTHOR, 2 } };
    (void)state;

    scene_bundle(&dev, &bundle, 2, -1);
    bundle.t.policy = both;
    bundle.t.policy_count = 2;
    use_bundle();
    refused(GW_ERR_SIGNERS_FEW);
    release.signer[1] = dev.approver.signer;
    release.signers = 2;
    offer_release();
    accepted();
    bundle.t.policy = two;
    bundle.t.policy_count = 1;
    use_bundle();
    release.signer[1] = release.signer[0];
    offer_release();
    refused(GW_ERR_SIGNER_TWICE);
    release.signer[1] = dev.author[1].signer;
    offer_release();
    accepted();
}

static void signatures_that_are_not(void **state)
{
    struct gwh_buf map = { 0 }, other = { 0 };
    (void)state;

    release.signer[0].header_algorithm = GW_ALG_PS256;
    offer_release();
    refused(GW_ERR_ALGORITHM);
    right(); /* the right signature over another payload */
    release.m.sequence = 7;
    scene_release_sign(&dev, &release);
    uint8_t signature[64];
    memcpy(signature, release.r.manifest.p + release.r.manifest.n - 64, 64);
    release.m.sequence = 6;
    offer_release();
    memcpy(release.r.manifest.p + release.r.manifest.n - 64, signature, 64);
    refused(GW_ERR_SIGNATURE);
    right(); /* or as another type of object */
    assert_int_equal(gwh_manifest_map(&map, &release.m), 0);
    assert_int_equal(gwh_sign_map(&other, &fastcrypto, "godwit/head/1", gwh_span(&map), release.signer, 1), 0);
    offer->manifest = gwh_span(&other);
    refused(GW_ERR_SIGNATURE);
    gwh_buf_free(&map);
    gwh_buf_free(&other);
}

static void manifests_cut_and_stretched(void **state)
{
    struct gwh_buf *m = &release.r.manifest;
    (void)state;

    offer->manifest.n--;
    refused(GW_ERR_TRUNCATED);
    offer->manifest.n = 0;
    refused(GW_ERR_TRUNCATED);
    assert_int_equal(gwh_buf_add(m, "", 1), 0);
    offer->manifest = gwh_span(m);
    refused(GW_ERR_TRAILING);
    while (m->n <= GW_MANIFEST_MAX) {
        assert_int_equal(gwh_buf_add(m, "\0\0\0\0\0\0\0", 8), 0);
    }
    offer->manifest = gwh_span(m);
    refused(GW_ERR_LIMIT);
}

static void devices_that_lost_something(void **state)
{
    (void)state;
    scene_erase(&dev, dev.layout.trust[0]);
    refused(GW_ERR_TRUST_MISSING);
    scene_put(&dev, dev.layout.trust[0], gwh_span(&dev.trust[0]));
    accepted();
    encrypted();
    scene_erase(&dev, dev.layout.identity);
    assert_true(open_offer() < 0);
    scene_put(&dev, dev.layout.identity, gwh_span(&dev.identity));
    flashsim_ruin(&dev.sim, dev.layout.journal);
    assert_int_equal(simdev_mount(&dev), GW_OK);
    refused(GW_ERR_NOTHING); /* nothing has booted since */
}

/* ---- The channel head -------------------------------------------------------------------------------------------- */

static void offer_head(uint32_t latest, uint32_t withdrawn, uint32_t serial, char class_id, const struct gwh_signer *by)
{
    struct gw_order order = { 1, withdrawn };
    struct gwh_head h = { .channel = "stable", .latest = { 1, latest }, .withdrawn = &order, .withdrawn_count = 1,
                          .issued_at = 1, .serial = serial, .class_id = "class" };
    struct gwh_buf map = { 0 };

    h.class_id[0] = (uint8_t)class_id;
    gwh_buf_free(&head);
    assert_int_equal(gwh_head_map(&map, &h), 0);
    assert_int_equal(gwh_sign_map(&head, &fastcrypto, GW_TYPE_HEAD, gwh_span(&map), by, 1), 0);
    gwh_buf_free(&map);
    offer->head = gwh_span(&head);
}

static void heads(void **state)
{
    const struct gwh_signer *by = &dev.distributor.signer;
    (void)state;

    uint32_t none = dev.sim.ops;
    offer_head(6, 6, 9, 'c', by);
    assert_int_equal(open_offer(), GW_ERR_WITHDRAWN);
    assert_true(dev.sim.ops > none); /* the head's serial is kept, whatever becomes of the release; and nothing else: */
    refused(GW_ERR_WITHDRAWN);
    offer_head(5, 4, 9, 'c', by);
    refused(GW_ERR_HEAD_BEHIND);
    offer_head(6, 4, 9, 'd', by);
    refused(GW_ERR_HEAD_OTHER);
    offer_head(6, 4, 9, 'c', &dev.author[0].signer);
    refused(GW_ERR_KEY_ROLE);
    offer_head(6, 4, 9, 'c', by);
    head.p[head.n - 1] ^= 1;
    refused(GW_ERR_SIGNATURE);
    head.p[head.n - 1] ^= 1;
    accepted();
    offer_head(6, 4, 99, 'd', by);
    refused(GW_ERR_HEAD_OTHER); /* the serial of another class counts for nothing */
    offer_head(6, 4, 8, 'c', by);
    refused(GW_ERR_HEAD_OLDER);
    assert_int_equal(simdev_mount(&dev), GW_OK);
    refused(GW_ERR_HEAD_OLDER); /* also over a restart */
    offer_head(7, 4, 9, 'c', by);
    uint32_t ops = dev.sim.ops;
    accepted();
    assert_int_equal(dev.sim.ops, ops); /* the same serial needs no record */
    offer->head.n = 0;
    accepted(); /* a release without a head is the server's choice */
}

/* ---- The plan ---------------------------------------------------------------------------------------------------- */

static struct { uint32_t count, component, variant, payload; int reason; } told;

static void passed(void *ctx, uint32_t component, uint32_t variant, uint32_t payload, int reason)
{
    assert_ptr_equal(ctx, &told);
    if (told.count++ == 0) { /* the deepest is told first */
        told.component = component;
        told.variant = variant;
        told.payload = payload;
        told.reason = reason;
    }
}

static void refused_by_plan(int reason, uint32_t component)
{
    memset(&told, 0, sizeof told);
    config->passed = passed;
    config->ctx = &told;
    refused(reason);
    assert_true(told.count > 0);
    assert_int_equal(told.reason, reason);
    assert_int_equal(told.component, component);
}

static void images_that_do_not_fit(void **state)
{
    struct gw_slot_map map;
    (void)state;

    assert_int_equal(gw_layout_slot(&dev.sim.flash, &dev.layout, GW_SLOT_B, &map), 0);
    const uint32_t room[2] = { map.image.size, dev.data.area[1].size };
    for (unsigned i = 0; i < 2; i++) {
        for (uint32_t more = 0; more < 2; more++) {
            right();
            release.variant[i][0].size = room[i] + more;
            release.payload[i].size = room[i] + more + (room[i] + more - 1) / 512 * GW_DIGEST_SIZE;
            offer_release();
            if (more == 0) {
                accepted();
            } else {
                refused_by_plan(GW_ERR_SLOT_SMALL, i);
            }
        }
    }
    right();
    release.component[1].id = 8;
    offer_release();
    refused_by_plan(GW_ERR_COMPONENT, 1);
    right();
    release.variant[0][0].linked = true;
    release.variant[0][0].address = dev.layout.slot[0].start;
    offer_release();
    refused_by_plan(GW_ERR_NO_VARIANT, 0);
    assert_int_equal(told.variant, 0);
    release.variant[0][0].address = dev.layout.slot[1].start;
    offer_release();
    accepted();
}

static void payloads_that_cannot_be_used(void **state)
{
    (void)state;
    release.payload[0].encoding = GW_ENCODING_PATCH;
    offer_release();
    refused_by_plan(GW_ERR_ENCODING, 0);
    right();
    release.payload[0].encoding = 31;
    offer_release();
    refused_by_plan(GW_ERR_ENCODING, 0);
    right();
    release.payload[1].delta = true; /* raw has no precursor, and needs no memory: that manifest contradicts itself */
    offer_release();
    refused(GW_ERR_VALUE);
    right();
    release.payload[0].decoder_ram = 1;
    offer_release();
    refused(GW_ERR_VALUE);
    encrypted();
    struct gw_crypto plain = fastcrypto;
    plain.aes_ctr = NULL;
    dev.dev.crypto = &plain;
    assert_true(open_offer() < 0); /* no cipher: no key check either */
    dev.dev.crypto = &fastcrypto;
    accepted();
}

static void buffers_that_are_too_small(void **state)
{
    (void)state;
    config->buffer_size = GW_INSTALL_BUFFER_MIN - 1;
    refused(GW_ERR_SPACE);
    config->buffer_size = GW_INSTALL_BUFFER_MIN;
    accepted();
    dev.config.frame_size = 2560;
    right();
    config->buffer_size = 2560 + 31;
    refused_by_plan(GW_ERR_FRAME_SIZE, 0);
    config->buffer_size = 2560 + 32;
    accepted();
    dev.config.frame_size = GW_FRAME_MAX + 64;
    right();
    config->buffer_size = 2 * GW_FRAME_MAX; /* one write is never longer than GW_FRAME_MAX */
    refused_by_plan(GW_ERR_FRAME_SIZE, 0);
}

static int my_kek(void *ctx, struct gw_span kid, uint8_t kek[32], size_t *size)
{
    assert_ptr_equal(ctx, &dev);
    if (kid.n != 3 || memcmp(kid.p, "kek", 3) != 0) {
        return GW_ERR_NO_KEY;
    }
    memcpy(kek, dev.kek, sizeof dev.kek);
    *size = sizeof dev.kek;
    return GW_OK;
}

static void grants(void **state)
{
    const struct gw_keystore mine = { .ctx = &dev, .kek = my_kek }, empty = { 0 };
    struct scene_release other = { 0 };
    (void)state;

    encrypted();
    accepted();
    offer->grant_count = 0;
    refused(GW_ERR_NO_KEY);
    scene_release(&dev, &other, &(struct simdev_wish){ .sequence = 7, .data = 3, .encrypted = true });
    scene_release_sign(&dev, &other);
    offer->grant[0] = gwh_span(&other.r.grant); /* of another manifest */
    offer->grant_count = 1;
    refused(GW_ERR_KEY_CHECK);
    offer->grant[1] = gwh_span(&release.r.grant);
    offer->grant_count = 2;
    accepted(); /* any one that fits will do */
    offer->grant_count = 99; /* a caller's mistake is not followed out of the array */
    accepted();
    dev.cek[0] ^= 1; /* a grant of this manifest with another key in it */
    scene_release_sign(&dev, &release);
    dev.cek[0] ^= 1;
    offer->manifest = gwh_span(&release.r.manifest);
    offer->grant[0] = gwh_span(&release.r.grant);
    offer->grant_count = 1;
    refused(GW_ERR_KEY_CHECK);
    encrypted();
    offer->grant[0].n--;
    refused(GW_ERR_TRUNCATED);
    offer->grant[0].n++;
    dev.dev.keys = &empty;
    refused(GW_ERR_NO_KEY);
    dev.dev.keys = &mine; /* a keystore of the product instead of the identity */
    accepted();
    scene_release_free(&other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(releases_for_others), TEST(releases_of_another_time), TEST(releases_below_the_floor), TEST(dependencies),
        TEST(rejected_before), TEST(only_from_a_confirmed_image_or_recovery), TEST(keys_that_may_not_sign),
        TEST(too_few_signatures), TEST(signatures_that_are_not), TEST(manifests_cut_and_stretched),
        TEST(devices_that_lost_something), TEST(heads), TEST(images_that_do_not_fit),
        TEST(payloads_that_cannot_be_used), TEST(buffers_that_are_too_small), TEST(grants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
