/*
 * test_update.c - one device, real cryptography, plain RAM as flash: first install, boot, confirm, update, roll back.
 *
 * The happy path and its nearest neighbours; power cuts and flash faults are in tests/powercut and test_flashfaults.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include "encode.h"
#include "godwit/install.h"
#include "keys.h"
#include "slots.h"

#define FLASH_SIZE (96u * 4096u)
#define IMAGE_SIZE 20000u

static uint8_t memory[FLASH_SIZE];
static uint8_t programmed[FLASH_SIZE]; /* 1: programmed since the last erase */

static int ram_read(void *ctx, uint32_t address, void *data, uint32_t n)
{
    (void)ctx;
    memcpy(data, memory + address, n);
    return 0;
}

static int ram_write(void *ctx, uint32_t address, const void *data, uint32_t n)
{
    (void)ctx;
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(programmed[address + i], 0);
        programmed[address + i] = 1;
    }
    memcpy(memory + address, data, n);
    return 0;
}

static int ram_erase(void *ctx, uint32_t address)
{
    (void)ctx;
    memset(memory + address, 0xff, 4096);
    memset(programmed + address, 0, 4096);
    return 0;
}

static const struct gw_flash_region region = { 0, FLASH_SIZE / 4096, 4096 };
static const struct gw_flash flash = { NULL, &region, 1, 16, 0xff, ram_read, ram_write, ram_erase, NULL };
static const struct gw_layout layout = {
    .identity = { 0, 4096 },
    .trust = { { 4096, 4096 }, { 2 * 4096, 4096 } },
    .journal = { 3 * 4096, 2 * 4096 },
    .slot = { { 5 * 4096, 16 * 4096 }, { 21 * 4096, 16 * 4096 } },
};

static const uint8_t vendor[16] = "vendor", class_id[16] = "class";
static struct gwh_key root[2], author, holder;
static struct gw_journal journal;
static uint8_t scratch[GW_VERIFY_MEMORY], buffer[GW_INSTALL_BUFFER];

static struct gw_device dev = {
    .flash = &flash, .layout = &layout, .journal = &journal, .bootloader = 1,
};

/* A release in memory. */
struct made {
    struct gwh_buf manifest, grant, payload, image;
};

static void make_identity(struct gwh_buf *out)
{
    uint8_t d[32];
    assert_int_equal(gwh_key_secret(&holder, d), 0);
    struct gw_pubkey roots[2] = { root[0].pub, root[1].pub };
    struct gwh_secret ec = { { holder.thumbprint, 8 }, { d, 32 } };
    struct gwh_identity id = { .device_id = "dev1", .hardware = 1, .roots = roots, .root_count = 2, .threshold = 2,
                               .ec = &ec, .ec_count = 1 };
    memcpy(id.vendor, vendor, 16);
    memcpy(id.class_id, class_id, 16);
    assert_int_equal(gwh_identity_encode(out, &id), 0);
}

static void make_trust(struct gwh_buf *out, uint32_t version)
{
    struct gw_pubkey keys[1] = { author.pub };
    struct gwh_signer signer[2];
    struct gwh_buf map = { 0 };

    keys[0].roles = GW_ROLE_AUTHOR;
    struct gwh_trust t = { .version = version, .epoch = 1, .keys = keys, .key_count = 1 };
    gwh_key_signer(&signer[0], &root[0]);
    gwh_key_signer(&signer[1], &root[1]);
    assert_int_equal(gwh_trust_map(&map, &t), 0);
    assert_int_equal(gwh_sign_map(out, dev.crypto, "godwit/trust/1", gwh_span(&map), signer, 2), 0);
    gwh_buf_free(&map);
}

static void put_object(struct gw_area area, const struct gwh_buf *b)
{
    uint32_t offset = 0;
    while (gw_area_erase(&flash, area, &offset) == GW_MORE) {
    }
    assert_int_equal(gw_store_write(&flash, area, b->p, (uint32_t)b->n), 0);
}

static int setup(void **state)
{
    (void)state;
    struct gwh_buf identity = { 0 }, trust = { 0 };

    dev.crypto = gwh_openssl()->gw;
    memset(memory, 0x5a, sizeof memory);
    memset(programmed, 1, sizeof programmed);
    assert_int_equal(gwh_key_new(&root[0], GWH_P256, NULL), 0);
    assert_int_equal(gwh_key_new(&root[1], GWH_P256, NULL), 0);
    assert_int_equal(gwh_key_new(&author, GWH_P256, NULL), 0);
    assert_int_equal(gwh_key_new(&holder, GWH_P256, NULL), 0);
    make_identity(&identity);
    make_trust(&trust, 1);
    put_object(layout.identity, &identity);
    put_object(layout.trust[0], &trust);
    put_object(layout.trust[1], &trust);
    gwh_buf_free(&identity);
    gwh_buf_free(&trust);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gwh_key_free(&root[0]);
    gwh_key_free(&root[1]);
    gwh_key_free(&author);
    gwh_key_free(&holder);
    return 0;
}

static void make_release(struct made *m, uint32_t sequence, uint32_t floor, struct gwh_key *by)
{
    const struct gw_crypto *c = dev.crypto;
    uint8_t cek[16], check[8], *image;
    struct gw_payload p = { .frame_size = 4096, .cipher = GW_ALG_A128CTR };
    struct gwh_variant v = { .size = IMAGE_SIZE, .payloads = &p, .payload_count = 1 };
    struct gwh_component comp = { 0, GW_KIND_BOOTABLE, &v, 1 };
    struct gwh_manifest spec = { .epoch = 1, .sequence = sequence, .version = "1", .components = &comp,
                                 .component_count = 1, .floor = floor, .key_check = check };
    struct gwh_recipient to = { .algorithm = GW_ALG_ECDH_ES_A128KW, .kid = { holder.thumbprint, 8 } };
    struct gwh_grant grant = { .cipher = p.cipher, .cek = { cek, 16 }, .recipients = &to, .recipient_count = 1 };
    struct gwh_signer signer;
    struct gwh_buf map = { 0 };

    memset(m, 0, sizeof *m);
    memset(cek, (int)sequence, sizeof cek);
    assert_int_equal(gwh_buf_grow(&m->image, IMAGE_SIZE, &image), 0);
    for (uint32_t i = 0; i < IMAGE_SIZE; i++) {
        image[i] = (uint8_t)(i * 7 + i / 256 + sequence);
    }
    memcpy(spec.vendor, vendor, 16);
    memcpy(spec.class_id, class_id, 16);
    assert_int_equal(gw_sha256(c, image, IMAGE_SIZE, v.digest), 0);
    assert_int_equal(gwh_payload_make(&m->payload, c, grant.cek, (struct gwh_position){ 0 }, gwh_span(&m->image), &p),
                     0);
    assert_int_equal(gw_key_check(c, cek, 16, check), 0);
    assert_int_equal(gwh_manifest_map(&map, &spec), 0);
    gwh_key_signer(&signer, by);
    assert_int_equal(gwh_sign_map(&m->manifest, c, "godwit/manifest/1", gwh_span(&map), &signer, 1), 0);
    assert_int_equal(gw_sha256(c, map.p, map.n, grant.digest), 0);
    memcpy(to.peer, holder.pub.x.p, 32);
    memcpy(to.peer + 32, holder.pub.y.p, 32);
    assert_int_equal(gwh_grant_encode(&m->grant, gwh_openssl(), &grant), 0);
    gwh_buf_free(&map);
}

static void free_release(struct made *m)
{
    gwh_buf_free(&m->manifest);
    gwh_buf_free(&m->grant);
    gwh_buf_free(&m->payload);
    gwh_buf_free(&m->image);
}

static int boot(enum gw_cause cause, struct gw_handover *h)
{
    bool watchdog;
    memset(&journal, 0xaa, sizeof journal);
    return gw_boot_run(&dev, cause, scratch, sizeof scratch, h, &watchdog, NULL);
}

/* Installs, in pushes of `piece` bytes; gives up after `stop` bytes of payload (0: never), without a word. */
static int install(const struct made *m, enum gw_slot running, size_t piece, size_t stop, uint32_t *fetched)
{
    static struct gw_install inst;
    struct gw_install_config config = { .dev = &dev, .buffer = buffer, .buffer_size = sizeof buffer,
                                        .recovery = running > GW_SLOT_B, .running = running };
    struct gw_release release = { .manifest = gwh_span(&m->manifest), .grant = { gwh_span(&m->grant) },
                                  .grant_count = 1 };
    struct gw_want want;
    size_t used;

    *fetched = 0;
    memset(&journal, 0xaa, sizeof journal);
    assert_int_equal(gw_device_mount(&dev), 0);
    int status = gw_install_open(&inst, &config, &release);
    while (status >= 0 && (status = gw_install_poll(&inst)) != GW_DONE && status >= 0) {
        if (status != GW_WANT) {
            continue;
        }
        assert_int_equal(gw_install_want(&inst, &want), 0);
        assert_true(want.offset + want.longest == m->payload.n);
        size_t n = want.longest < piece ? want.longest : piece;
        if (stop != 0 && *fetched + n > stop) {
            return GW_WANT;
        }
        int err = gw_install_push(&inst, m->payload.p + want.offset, n, &used);
        if (err != 0) {
            return err;
        }
        *fetched += (uint32_t)used;
    }
    return status == GW_DONE ? gw_install_finish(&inst) : status;
}

/* From an empty device to a confirmed release `sequence` in slot A. */
static void first_install(uint32_t sequence)
{
    struct gw_handover h;
    struct made m;
    uint32_t fetched;

    make_release(&m, sequence, 0, &author);
    assert_int_equal(boot(GW_CAUSE_POWER, &h), GW_ERR_NO_IMAGE);
    assert_int_equal(install(&m, GW_SLOT_NONE, 1000, 0, &fetched), GW_OK);
    assert_int_equal(fetched, m.payload.n);
    assert_int_equal(boot(GW_CAUSE_POWER, &h), GW_OK);
    assert_int_equal(h.slot, GW_SLOT_A);
    assert_int_equal(h.state, GW_TRYING);
    assert_int_equal(gw_device_confirm(&dev), GW_OK);
    assert_memory_equal(memory + layout.slot[0].start, m.image.p, IMAGE_SIZE);
    free_release(&m);
}

static void update_confirms_and_keeps_the_previous(void **state)
{
    (void)state;
    struct gw_handover h;
    struct made m;
    uint32_t fetched;

    first_install(5);
    make_release(&m, 6, 5, &author);
    assert_int_equal(install(&m, GW_SLOT_A, 700, 0, &fetched), GW_OK);
    assert_int_equal(boot(GW_CAUSE_SOFTWARE, &h), GW_OK);
    assert_int_equal(h.slot, GW_SLOT_B);
    assert_int_equal(h.state, GW_TRYING);
    assert_int_equal(gw_device_confirm(&dev), GW_OK);
    assert_int_equal(boot(GW_CAUSE_POWER, &h), GW_OK);
    assert_int_equal(h.slot, GW_SLOT_B);
    assert_int_equal(h.state, GW_CONFIRMED);
    struct gw_boot_state s;
    assert_int_equal(gw_device_state(&dev, &s), GW_OK);
    assert_int_equal(s.slot[0].state, GW_PREVIOUS);
    assert_int_equal(s.floor.sequence, 5);
    free_release(&m);
}

static void interrupted_install_fetches_at_most_a_frame_again(void **state)
{
    (void)state;
    struct gw_handover h;
    struct made m;
    uint32_t first, second;

    first_install(5);
    make_release(&m, 6, 0, &author);
    for (size_t stop = 500; stop < m.payload.n; stop += 1500) {
        assert_int_equal(install(&m, GW_SLOT_A, 500, stop, &first), GW_WANT);
        assert_int_equal(boot(GW_CAUSE_POWER, &h), GW_OK);
        assert_int_equal(h.slot, GW_SLOT_A);
        assert_int_equal(install(&m, GW_SLOT_A, 500, 0, &second), GW_OK);
        assert_true(first + second <= m.payload.n + 4096 + 32);
        assert_int_equal(boot(GW_CAUSE_POWER, &h), GW_OK);
        assert_int_equal(h.slot, GW_SLOT_B);
        assert_int_equal(gw_device_reject(&dev, GW_ERR_SELF_TEST), GW_OK);
        assert_int_equal(boot(GW_CAUSE_SOFTWARE, &h), GW_OK);
        assert_int_equal(h.slot, GW_SLOT_A);
        assert_int_equal(h.reason, -GW_ERR_SELF_TEST);
        assert_int_equal(install(&m, GW_SLOT_A, 500, 0, &second), GW_ERR_REJECTED_BEFORE);
        free_release(&m);
        make_release(&m, 6 + (uint32_t)stop, 0, &author);
    }
    free_release(&m);
}

static void image_that_never_confirms_is_left(void **state)
{
    (void)state;
    struct gw_handover h;
    struct made m;
    uint32_t fetched;

    first_install(5);
    make_release(&m, 6, 0, &author);
    assert_int_equal(install(&m, GW_SLOT_A, 5000, 0, &fetched), GW_OK);
    for (unsigned i = 0; i < GW_BOOT_TRIES; i++) {
        assert_int_equal(boot(i == 0 ? GW_CAUSE_SOFTWARE : GW_CAUSE_WATCHDOG, &h), GW_OK);
        assert_int_equal(h.slot, GW_SLOT_B);
        assert_int_equal(h.attempt, 4 * i);
    }
    assert_int_equal(boot(GW_CAUSE_WATCHDOG, &h), GW_OK);
    assert_int_equal(h.slot, GW_SLOT_A);
    assert_int_equal(h.state, GW_CONFIRMED);
    assert_int_equal(h.reason, -GW_ERR_TRIES_USED);
    free_release(&m);
}

static void refuses_what_it_must(void **state)
{
    (void)state;
    struct gwh_key other = { 0 };
    struct made m;
    uint32_t fetched;

    first_install(5);
    make_release(&m, 5, 0, &author);
    assert_int_equal(install(&m, GW_SLOT_A, 5000, 0, &fetched), GW_ERR_OLDER);
    free_release(&m);
    assert_int_equal(gwh_key_new(&other, GWH_P256, NULL), 0);
    make_release(&m, 6, 0, &other);
    assert_int_equal(install(&m, GW_SLOT_A, 5000, 0, &fetched), GW_ERR_KEY_UNKNOWN);
    free_release(&m);
    gwh_key_free(&other);
    make_release(&m, 6, 0, &author);
    m.payload.p[5000] ^= 1;
    assert_int_equal(install(&m, GW_SLOT_A, 5000, 0, &fetched), GW_ERR_FRAME_HASH);
    free_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(update_confirms_and_keeps_the_previous, setup, teardown),
        cmocka_unit_test_setup_teardown(interrupted_install_fetches_at_most_a_frame_again, setup, teardown),
        cmocka_unit_test_setup_teardown(image_that_never_confirms_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_what_it_must, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
