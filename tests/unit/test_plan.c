/*
 * test_plan.c - what of a release a device takes; each reason for not taking it, alone and in its order; and what is
 * told of all that was passed over.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "objects.h"


static struct t_world w, kept;

/* The device: runs release (2, 35), has room in the slot at 0x80000 and a place for the data. */
static struct gw_identity id;
static struct gw_place place[2];
static struct gw_facts facts;
static struct gw_head head;
static uint8_t rejected[2][32];

#define PASSED_MAX 16
static struct {
    uint32_t component, variant, payload;
    int reason;
} passed[PASSED_MAX];
static uint32_t passed_count;

static void note(void *ctx, uint32_t component, uint32_t variant, uint32_t payload, int reason)
{
    assert_ptr_equal(ctx, &facts);
    assert_true(passed_count < PASSED_MAX);
    passed[passed_count].component = component;
    passed[passed_count].variant = variant;
    passed[passed_count].payload = payload;
    passed[passed_count++].reason = reason;
}

static void start_again(void)
{
    memcpy(w.payload, kept.payload, sizeof w.payload);
    memcpy(w.variant, kept.variant, sizeof w.variant);
    memcpy(w.component, kept.component, sizeof w.component);
    memcpy(w.dependency, kept.dependency, sizeof w.dependency);
    w.manifest_is = kept.manifest_is;

    memset(&id, 0, sizeof id);
    memset(id.vendor, 0xaa, 16);
    memset(id.class_id, 0xbb, 16);
    memcpy(id.device_id, "dev-1", 5);
    id.device_id_size = 5;
    id.hardware = 3;

    memset(place, 0, sizeof place);
    place[0].component = 7;
    place[0].kind = GW_KIND_DATA;
    place[0].address = 0xc0000;
    place[0].room = 4096;
    place[1].component = 0;
    place[1].kind = GW_KIND_BOOTABLE;
    place[1].address = 0x80000;
    place[1].room = 120000;
    place[1].has_installed = true;
    place[1].installed_size = 90000;
    memset(place[1].installed, 0x33, 32); /* the delta's precursor */

    memset(&facts, 0, sizeof facts);
    facts.identity = &id;
    facts.places = place;
    facts.place_count = 2;
    facts.bootloader = 3;
    facts.has_installed = true;
    facts.installed = (struct gw_order){ 2, 35 };
    facts.floor = (struct gw_order){ 2, 30 };
    facts.epoch = 2;
    facts.now = 1900000000;
    facts.frame_max = 4096;
    facts.decoder_ram = 16384;
    facts.encodings = 1u << GW_ENCODING_RAW | 1u << GW_ENCODING_PATCH;
    facts.a128ctr = true;
    facts.passed = note;
    facts.ctx = &facts;
    passed_count = 0;

    memset(&head, 0, sizeof head);
    memset(head.class_id, 0xbb, 16);
    head.latest = (struct gw_order){ 2, 40 };
    head.serial = 9;
}

/* Plans for the manifest that w describes; its digest is 0x99... */
static int make(struct gw_plan *plan)
{
    struct t_bytes b = t_manifest_map(&w);
    struct gw_manifest m;
    int error;

    assert_int_equal(gw_manifest_parse(&m, b.p, b.n), GW_OK);
    memset(m.digest, 0x99, 32);
    passed_count = 0;
    error = gw_plan_make(plan, &m, &facts);
    t_free(&b);
    return error;
}

/* The one reason, nothing written; then everything as it was. */
#define REFUSED(error) do { \
        struct gw_plan untouched, plan_; \
        memset(&untouched, 0x5c, sizeof untouched); \
        memcpy(&plan_, &untouched, sizeof plan_); \
        assert_int_equal(make(&plan_), error); \
        assert_memory_equal(&plan_, &untouched, sizeof plan_); \
        start_again(); \
    } while (0)
#define TAKEN() do { struct gw_plan plan_; assert_int_equal(make(&plan_), GW_OK); start_again(); } while (0)

static void assert_passed(uint32_t i, uint32_t component, uint32_t variant, uint32_t payload, int reason)
{
    assert_true(i < passed_count);
    assert_int_equal(passed[i].component, component);
    assert_int_equal(passed[i].variant, variant);
    assert_int_equal(passed[i].payload, payload);
    assert_int_equal(passed[i].reason, reason);
}
#define NOT_SO_DEEP UINT32_MAX

static void test_delta(void **state)
{
    struct gw_plan plan;
    (void)state;
    memcpy(&kept, &w, sizeof w);
    start_again();
    assert_int_equal(make(&plan), GW_OK);
    assert_int_equal(plan.count, 2);
    assert_int_equal(plan.choice[0].place, 1);
    assert_int_equal(plan.choice[0].component, 0);
    assert_int_equal(plan.choice[0].variant, 1);
    assert_int_equal(plan.choice[0].payload, 0);
    assert_false(plan.choice[0].copy);
    assert_int_equal(plan.choice[1].place, 0);
    assert_int_equal(plan.choice[1].component, 1);
    assert_int_equal(plan.choice[1].variant, 0);
    assert_int_equal(plan.choice[1].payload, 0);
    assert_int_equal(plan.fetch_bytes, 5000 + 300);
    assert_int_equal(passed_count, 1);
    assert_passed(0, 0, 0, NOT_SO_DEEP, GW_ERR_NO_VARIANT);
}

/* Too far behind for the delta: the full image, and a word on why. */
static void test_full(void **state)
{
    struct gw_plan plan;
    (void)state;
    place[1].installed[0] = 0;
    assert_int_equal(make(&plan), GW_OK);
    assert_int_equal(plan.choice[0].variant, 1);
    assert_int_equal(plan.choice[0].payload, 1);
    assert_int_equal(plan.fetch_bytes, w.payload[1].size + 300);
    assert_int_equal(passed_count, 2);
    assert_passed(1, 0, 1, 0, GW_ERR_PRECURSOR);
    start_again();
    place[1].has_installed = false;
    assert_int_equal(make(&plan), GW_OK);
    assert_int_equal(plan.choice[0].payload, 1);
    start_again();
}

/* Data that is there already is copied; a bootable image is not, for it may be linked elsewhere. */
static void test_copy(void **state)
{
    struct gw_plan plan;
    (void)state;
    place[0].has_installed = true;
    place[0].installed_size = 300;
    memcpy(place[0].installed, w.variant[2].digest, 32);
    assert_int_equal(make(&plan), GW_OK);
    assert_true(plan.choice[1].copy);
    assert_int_equal(plan.choice[1].variant, 0);
    assert_int_equal(plan.fetch_bytes, 5000);

    place[0].installed_size = 299;
    assert_int_equal(make(&plan), GW_OK);
    assert_false(plan.choice[1].copy);
    place[0].installed_size = 300;
    place[0].has_installed = false;
    assert_int_equal(make(&plan), GW_OK);
    assert_false(plan.choice[1].copy);
    start_again();

    place[1].installed_size = 100000;
    memcpy(place[1].installed, w.variant[1].digest, 32);
    assert_int_equal(make(&plan), GW_OK);
    assert_false(plan.choice[0].copy);
    assert_int_equal(plan.choice[0].payload, 1);
    start_again();
}

static void test_fetch_bytes_do_not_overflow(void **state)
{
    struct gw_plan plan;
    (void)state;
    w.payload[0].size = UINT32_MAX - 100;
    assert_int_equal(make(&plan), GW_OK);
    assert_int_equal(plan.fetch_bytes, UINT32_MAX);
    start_again();
}

/* ---- The release ---- */

static void test_made_for_others(void **state)
{
    (void)state;
    id.vendor[15] ^= 1;
    REFUSED(GW_ERR_VENDOR);
    id.class_id[0] ^= 1;
    REFUSED(GW_ERR_CLASS);
    id.device_id[4] = '3';
    REFUSED(GW_ERR_DEVICE);
    id.device_id_size = 4;
    REFUSED(GW_ERR_DEVICE);
    id.device_id[4] = '2';
    TAKEN();
    id.device_id[4] = '3';
    w.manifest_is.device_count = 0;
    TAKEN();
}

static void test_epoch(void **state)
{
    (void)state;
    facts.epoch = 3;
    REFUSED(GW_ERR_EPOCH);
    facts.epoch = 1;
    REFUSED(GW_ERR_EPOCH);
}

static void test_dependencies(void **state)
{
    (void)state;
    id.hardware = 1;
    REFUSED(GW_ERR_DEPENDENCY);
    id.hardware = 2;
    TAKEN();
    id.hardware = 4;
    TAKEN();
    id.hardware = 5;
    REFUSED(GW_ERR_DEPENDENCY);
    facts.bootloader = 2;
    REFUSED(GW_ERR_DEPENDENCY);
    facts.bootloader = UINT32_MAX;
    TAKEN();
    w.dependency[1] = (struct gw_dependency){ GW_DEPENDS_INSTALLED, 35, 35 };
    TAKEN();
    w.dependency[1] = (struct gw_dependency){ GW_DEPENDS_INSTALLED, 36, UINT32_MAX };
    REFUSED(GW_ERR_DEPENDENCY);
    w.dependency[1] = (struct gw_dependency){ GW_DEPENDS_INSTALLED, 35, 35 };
    facts.has_installed = false;
    REFUSED(GW_ERR_DEPENDENCY);
}

static void test_older(void **state)
{
    (void)state;
    facts.installed.sequence = 40;
    REFUSED(GW_ERR_OLDER);
    facts.installed.sequence = 41;
    REFUSED(GW_ERR_OLDER);
    facts.installed = (struct gw_order){ 3, 1 };
    REFUSED(GW_ERR_OLDER);
    facts.installed = (struct gw_order){ 1, 1000 };
    TAKEN();
    facts.installed.sequence = 39;
    TAKEN();
    facts.installed.sequence = 41;
    facts.has_installed = false;
    TAKEN();
}

static void test_floor(void **state)
{
    (void)state;
    facts.floor = (struct gw_order){ 2, 41 };
    REFUSED(GW_ERR_FLOOR);
    facts.floor = (struct gw_order){ 3, 0 };
    REFUSED(GW_ERR_FLOOR);
    facts.floor = (struct gw_order){ 2, 40 };
    TAKEN();
    facts.floor = (struct gw_order){ 1, UINT32_MAX };
    TAKEN();
}

static void test_use_before(void **state)
{
    (void)state;
    facts.now = 2000000001;
    REFUSED(GW_ERR_EXPIRED);
    facts.now = 2000000000;
    REFUSED(GW_ERR_EXPIRED); /* before, not at */
    facts.now = 1999999999;
    TAKEN();
    facts.now = 0; /* no clock */
    TAKEN();
    facts.now = UINT32_MAX;
    w.manifest_is.use_before = 0;
    TAKEN();
}

static void test_rejected_before(void **state)
{
    (void)state;
    memset(rejected, 0x98, sizeof rejected);
    facts.rejected = (const uint8_t(*)[32])rejected;
    facts.rejected_count = 2;
    TAKEN();
    memset(rejected[1], 0x99, 32);
    facts.rejected = (const uint8_t(*)[32])rejected;
    facts.rejected_count = 2;
    REFUSED(GW_ERR_REJECTED_BEFORE);
    facts.rejected = (const uint8_t(*)[32])rejected;
    facts.rejected_count = 1;
    TAKEN();
}

static void test_head(void **state)
{
    struct t_bytes list = t_hex("82 82 02 1826 82 02 1828"); /* (2, 38), (2, 40) */
    (void)state;

    facts.head = &head;
    TAKEN();
    facts.head = &head;
    head.class_id[3] ^= 1;
    REFUSED(GW_ERR_HEAD_OTHER);
    facts.head = &head;
    facts.head_serial = 10;
    REFUSED(GW_ERR_HEAD_OLDER);
    facts.head = &head;
    facts.head_serial = 9;
    TAKEN();
    facts.head = &head;
    head.withdrawn = (struct gw_span){ list.p, list.n };
    REFUSED(GW_ERR_WITHDRAWN);
    facts.head = &head;
    head.withdrawn = (struct gw_span){ list.p, list.n };
    w.manifest_is.sequence = 39;
    TAKEN();
    facts.head = &head;
    head.latest.sequence = 39;
    REFUSED(GW_ERR_HEAD_BEHIND);
    facts.head = &head;
    head.latest = (struct gw_order){ 1, 100 };
    REFUSED(GW_ERR_HEAD_BEHIND);
    facts.head = &head;
    head.latest = (struct gw_order){ 3, 1 };
    TAKEN();
    t_free(&list);
}

/* When several reasons hold, the first in the order of the checks is told: undone one by one, the next appears. */
static void test_order_of_reasons(void **state)
{
    struct t_bytes list = t_hex("81 82 02 1828");
    struct gw_plan plan;
    (void)state;

    id.vendor[0] ^= 1;
    id.class_id[0] ^= 1;
    id.device_id[0] ^= 1;
    facts.epoch = 3;
    id.hardware = 1;
    facts.installed.sequence = 50;
    facts.floor.sequence = 50;
    facts.now = 2000000001;
    memset(rejected, 0x99, sizeof rejected);
    facts.rejected = (const uint8_t(*)[32])rejected;
    facts.rejected_count = 1;
    facts.head = &head;
    facts.head_serial = 10;
    head.withdrawn = (struct gw_span){ list.p, list.n };
    head.latest.sequence = 1;
    head.class_id[1] ^= 1;

    assert_int_equal(make(&plan), GW_ERR_VENDOR);
    id.vendor[0] ^= 1;
    assert_int_equal(make(&plan), GW_ERR_CLASS);
    id.class_id[0] ^= 1;
    assert_int_equal(make(&plan), GW_ERR_DEVICE);
    id.device_id[0] ^= 1;
    assert_int_equal(make(&plan), GW_ERR_EPOCH);
    facts.epoch = 2;
    assert_int_equal(make(&plan), GW_ERR_DEPENDENCY);
    id.hardware = 3;
    assert_int_equal(make(&plan), GW_ERR_OLDER);
    facts.installed.sequence = 35;
    assert_int_equal(make(&plan), GW_ERR_FLOOR);
    facts.floor.sequence = 30;
    assert_int_equal(make(&plan), GW_ERR_EXPIRED);
    facts.now = 0;
    assert_int_equal(make(&plan), GW_ERR_REJECTED_BEFORE);
    facts.rejected_count = 0;
    assert_int_equal(make(&plan), GW_ERR_HEAD_OTHER);
    head.class_id[1] ^= 1;
    assert_int_equal(make(&plan), GW_ERR_HEAD_OLDER);
    facts.head_serial = 0;
    assert_int_equal(make(&plan), GW_ERR_WITHDRAWN);
    head.withdrawn.n = 0;
    assert_int_equal(make(&plan), GW_ERR_HEAD_BEHIND);
    facts.head = NULL;
    assert_int_equal(make(&plan), GW_OK);
    start_again();
    t_free(&list);
}

/* ---- Components, variants, payloads ---- */

static void test_no_place(void **state)
{
    struct gw_plan plan;
    (void)state;
    place[0].component = 8;
    assert_int_equal(make(&plan), GW_ERR_COMPONENT);
    assert_passed(passed_count - 1, 1, NOT_SO_DEEP, NOT_SO_DEEP, GW_ERR_COMPONENT);
    start_again();
    place[0].kind = GW_KIND_BOOTABLE;
    REFUSED(GW_ERR_COMPONENT);
    facts.place_count = 0;
    REFUSED(GW_ERR_COMPONENT);
}

static void test_no_variant(void **state)
{
    struct gw_plan plan;
    (void)state;
    place[1].address = 0x90000;
    assert_int_equal(make(&plan), GW_ERR_NO_VARIANT);
    assert_int_equal(passed_count, 3);
    assert_passed(0, 0, 0, NOT_SO_DEEP, GW_ERR_NO_VARIANT);
    assert_passed(1, 0, 1, NOT_SO_DEEP, GW_ERR_NO_VARIANT);
    assert_passed(2, 0, NOT_SO_DEEP, NOT_SO_DEEP, GW_ERR_NO_VARIANT);
    start_again();
}

static void test_slot_small(void **state)
{
    (void)state;
    place[1].room = 99999;
    REFUSED(GW_ERR_SLOT_SMALL);
    place[1].room = 100000;
    TAKEN();
    place[0].room = 299;
    REFUSED(GW_ERR_SLOT_SMALL);
}

/* With one payload for the slot, its own reason is the reason. */
static void test_reason_of_the_only_payload(void **state)
{
    (void)state;
    w.variant[1].payload_count = 1;
    facts.encodings = 1u << GW_ENCODING_RAW;
    REFUSED(GW_ERR_ENCODING);
    w.variant[1].payload_count = 1;
    facts.a128ctr = false;
    REFUSED(GW_ERR_CIPHER);
    w.variant[1].payload_count = 1;
    facts.a128ctr = false;
    facts.a256ctr = true;
    REFUSED(GW_ERR_CIPHER);
    w.variant[1].payload_count = 1;
    w.payload[0].cipher = GW_ALG_A256CTR;
    REFUSED(GW_ERR_CIPHER);
    w.variant[1].payload_count = 1;
    w.payload[0].cipher = GW_ALG_A256CTR;
    facts.a256ctr = true;
    TAKEN();
    w.variant[1].payload_count = 1;
    place[1].installed[31] ^= 1;
    REFUSED(GW_ERR_PRECURSOR);
    w.variant[1].payload_count = 1;
    place[1].has_installed = false;
    REFUSED(GW_ERR_PRECURSOR);
    w.variant[1].payload_count = 1;
    facts.decoder_ram = 11999;
    REFUSED(GW_ERR_DECODER_RAM);
    w.variant[1].payload_count = 1;
    facts.frame_max = 4095;
    REFUSED(GW_ERR_FRAME_SIZE);
    w.payload[0].encoding = 7;
    w.variant[1].payload_count = 1;
    REFUSED(GW_ERR_ENCODING);
}

/* With several, the reasons are told one by one, and the release has no usable payload. */
static void test_no_payload(void **state)
{
    struct gw_plan plan;
    (void)state;
    facts.frame_max = 2048;
    place[1].has_installed = false;
    assert_int_equal(make(&plan), GW_ERR_NO_PAYLOAD);
    assert_int_equal(passed_count, 5);
    assert_passed(0, 0, 0, NOT_SO_DEEP, GW_ERR_NO_VARIANT);
    assert_passed(1, 0, 1, 0, GW_ERR_PRECURSOR);
    assert_passed(2, 0, 1, 1, GW_ERR_FRAME_SIZE);
    assert_passed(3, 0, 1, NOT_SO_DEEP, GW_ERR_NO_PAYLOAD);
    assert_passed(4, 0, NOT_SO_DEEP, NOT_SO_DEEP, GW_ERR_NO_PAYLOAD);
    start_again();
}

static void test_several_variants_fit(void **state)
{
    (void)state;
    w.variant[0].linked = false;
    w.variant[0].size = 130000;
    w.variant[0].payload_count = 1; /* only gwpatch: its content may have any size */
    TAKEN();
    w.variant[0].linked = false;
    w.variant[0].size = 130000;
    w.variant[0].payload_count = 1;
    facts.frame_max = 256;
    REFUSED(GW_ERR_NO_PAYLOAD);
}

static void test_nobody_listens(void **state)
{
    struct gw_plan plan;
    (void)state;
    facts.passed = NULL;
    place[1].has_installed = false;
    assert_int_equal(make(&plan), GW_OK);
    facts.frame_max = 256;
    assert_int_equal(make(&plan), GW_ERR_NO_PAYLOAD);
    start_again();
}

/* ---- What boot checks ---- */

static void test_suits(void **state)
{
    struct t_bytes b = t_manifest_map(&w);
    struct gw_manifest m;
    (void)state;

    assert_int_equal(gw_manifest_parse(&m, b.p, b.n), GW_OK);
    assert_int_equal(gw_manifest_suits(&m, &id, facts.floor), GW_OK);
    assert_int_equal(gw_manifest_suits(&m, &id, (struct gw_order){ 2, 40 }), GW_OK);
    assert_int_equal(gw_manifest_suits(&m, &id, (struct gw_order){ 2, 41 }), GW_ERR_FLOOR);
    id.device_id[0] = 'x';
    assert_int_equal(gw_manifest_suits(&m, &id, (struct gw_order){ 2, 41 }), GW_ERR_DEVICE);
    id.class_id[0] = 0;
    assert_int_equal(gw_manifest_suits(&m, &id, facts.floor), GW_ERR_CLASS);
    id.vendor[0] = 0;
    assert_int_equal(gw_manifest_suits(&m, &id, facts.floor), GW_ERR_VENDOR);
    start_again();
    t_free(&b);
}

static int group_setup(void **state)
{
    (void)state;
    t_world_open(&w);
    return 0;
}
static int group_teardown(void **state)
{
    (void)state;
    t_world_close(&w);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delta),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_fetch_bytes_do_not_overflow),
        cmocka_unit_test(test_made_for_others),
        cmocka_unit_test(test_epoch),
        cmocka_unit_test(test_dependencies),
        cmocka_unit_test(test_older),
        cmocka_unit_test(test_floor),
        cmocka_unit_test(test_use_before),
        cmocka_unit_test(test_rejected_before),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_order_of_reasons),
        cmocka_unit_test(test_no_place),
        cmocka_unit_test(test_no_variant),
        cmocka_unit_test(test_slot_small),
        cmocka_unit_test(test_reason_of_the_only_payload),
        cmocka_unit_test(test_no_payload),
        cmocka_unit_test(test_several_variants_fit),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_suits),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
