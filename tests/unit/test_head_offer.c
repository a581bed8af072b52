/*
 * test_head_offer.c - channel heads (signed by a distributor) and offers (signed by nobody, so refused only
 * when malformed).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "objects.h"


static struct t_world w;

static int open_head(void *ctx, const uint8_t *p, size_t n)
{
    struct gw_head head;
    (void)ctx;
    return gw_head_open(&head, w.crypto, &w.trust, p, n);
}

static int head_by(struct gwh_key *const *keys, size_t n)
{
    struct t_bytes b = t_head(&w, keys, n);
    int error = open_head(NULL, b.p, b.n);
    t_free(&b);
    return error;
}

static int head_of(const struct gwh_head *is)
{
    const struct gwh_head kept = w.head_is;
    int error;
    w.head_is = *is;
    error = head_by(KEYS(&w.distributor));
    w.head_is = kept;
    return error;
}

static void test_head_as_it_is(void **state)
{
    struct t_bytes b = t_head(&w, KEYS(&w.distributor));
    struct gw_head head;
    struct gw_order order;
    (void)state;

    assert_int_equal(gw_head_open(&head, w.crypto, &w.trust, b.p, b.n), GW_OK);
    assert_memory_equal(head.class_id, w.head_is.class_id, 16);
    assert_int_equal(head.channel.n, 6);
    assert_memory_equal(head.channel.p, "stable", 6);
    assert_int_equal(head.latest.epoch, 2);
    assert_int_equal(head.latest.sequence, 41);
    assert_int_equal(head.issued_at, 1790000000);
    assert_int_equal(head.serial, 9);
    assert_int_equal(head.withdrawn_count, 2);
    assert_int_equal(gw_head_withdrawn(&head, 1, &order), GW_OK);
    assert_int_equal(order.sequence, 39);
    assert_int_equal(gw_head_withdrawn(&head, 2, &order), GW_ERR_NOTHING);
    t_free(&b);
}

static void test_head_signers(void **state)
{
    (void)state;
    assert_int_equal(head_by(KEYS(&w.author)), GW_ERR_KEY_ROLE);
    assert_int_equal(head_by(KEYS(&w.stranger)), GW_ERR_KEY_UNKNOWN);
    assert_int_equal(head_by(KEYS(&w.revoked)), GW_ERR_KEY_REVOKED);
    assert_int_equal(head_by(NULL, 0), GW_ERR_SIGNERS_FEW);
}

static void test_head_of_another_type(void **state)
{
    struct gwh_buf map = { 0 };
    struct t_bytes b;
    (void)state;
    assert_int_equal(gwh_head_map(&map, &w.head_is), GW_OK);
    b = t_sign(GW_TYPE_MANIFEST, &map, KEYS(&w.distributor));
    assert_int_equal(open_head(NULL, b.p, b.n), GW_ERR_SIGNATURE);
    t_free(&b);
    gwh_buf_free(&map);
}

static void test_head_values(void **state)
{
    struct gwh_head is = w.head_is;
    (void)state;

    is.channel = "";
    assert_int_equal(head_of(&is), GW_ERR_VALUE);
    is.channel = "a23456789012345678901234567890123";
    assert_int_equal(head_of(&is), GW_ERR_VALUE);
    is.channel = "a2345678901234567890123456789012";
    assert_int_equal(head_of(&is), GW_OK);
    is.serial = 0;
    assert_int_equal(head_of(&is), GW_ERR_VALUE);
    is = w.head_is;
    is.format = 2;
    assert_int_equal(head_of(&is), GW_ERR_VERSION);
    is = w.head_is;
    is.withdrawn_count = 0;
    assert_int_equal(head_of(&is), GW_OK);
    is.extra = (struct gwh_extra){ { (const uint8_t *)"\x08\x00", 2 }, 1 };
    assert_int_equal(head_of(&is), GW_ERR_UNKNOWN_KEY);
    is.extra = (struct gwh_extra){ { (const uint8_t *)"\x19\x01\x00\x00", 4 }, 1 };
    assert_int_equal(head_of(&is), GW_OK);
}

static void test_head_too_large(void **state)
{
    static struct gw_order many[200];
    struct gwh_head is = w.head_is;
    (void)state;
    for (uint32_t i = 0; i < 200; i++) {
        many[i] = (struct gw_order){ 2, 100000 + i };
    }
    is.withdrawn = many;
    is.withdrawn_count = 200;
    assert_int_equal(head_of(&is), GW_ERR_LIMIT);
    is.withdrawn_count = 100;
    assert_int_equal(head_of(&is), GW_OK);
}

static void test_head_damage(void **state)
{
    struct t_bytes b = t_head(&w, KEYS(&w.distributor));
    (void)state;
    t_refuse_cuts(b, open_head, NULL);
    t_refuse_flips(b, open_head, NULL);
    t_free(&b);
}

#define UUID "50 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
static void test_malformed_heads(void **state)
{
    static const struct {
        const char *hex;
        int error;
    } rows[] = {
        { "a6 01 01 02 " UUID " 03 6161 04 82 02 05 06 00 07 01", GW_OK },
        { "a5 01 01 02 " UUID " 03 6161 04 82 02 05 06 00", GW_ERR_FORMAT },
        { "a6 01 01 02 4100 03 6161 04 82 02 05 06 00 07 01", GW_ERR_VALUE },
        { "a6 01 01 02 " UUID " 03 4161 04 82 02 05 06 00 07 01", GW_ERR_FORMAT },
        { "a6 01 01 02 " UUID " 03 6161 04 81 02 06 00 07 01", GW_ERR_FORMAT },
        { "a6 01 01 02 " UUID " 03 6161 04 83 02 05 05 06 00 07 01", GW_ERR_FORMAT },
        { "a7 01 01 02 " UUID " 03 6161 04 82 02 05 05 80 06 00 07 01", GW_ERR_FORMAT },
        { "a7 01 01 02 " UUID " 03 6161 04 82 02 05 05 81 01 06 00 07 01", GW_ERR_FORMAT },
        { "a7 01 01 02 " UUID " 03 6161 04 82 02 05 05 81 82 01 20 06 00 07 01", GW_ERR_FORMAT },
        { "a7 01 01 02 " UUID " 03 6161 04 82 02 05 05 81 82 01 1b0000000100000000 06 00 07 01", GW_ERR_VALUE },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct t_bytes b = t_hex(rows[i].hex);
        struct gw_head head;
        int error = gw_head_parse(&head, b.p, b.n);
        if (error != rows[i].error) {
            fail_msg("row %zu gave %s", i, gw_error_name(error));
        }
        t_free(&b);
    }
}

/* ---- Offers ---- */

static struct gw_span text(const char *s)
{
    return (struct gw_span){ (const uint8_t *)s, strlen(s) };
}

static struct gw_offer full_offer(void)
{
    struct gw_offer o;
    memset(&o, 0, sizeof o);
    o.manifest = text("manifest");
    o.grant[0] = text("grant 0");
    o.grant[1] = text("grant 1");
    o.grant_count = 2;
    o.head = text("head");
    o.trust = text("trust");
    o.next_look = 3600;
    o.rollout = text("r1");
    o.payload_base = text("https://cdn.example.com/");
    return o;
}

static int offer_bytes(void *ctx, const uint8_t *p, size_t n)
{
    struct gw_offer o;
    (void)ctx;
    return gw_offer_parse(&o, p, n);
}

static int offer_of(const struct gw_offer *is)
{
    struct gwh_buf out = { 0 };
    struct t_bytes b;
    int error;
    assert_int_equal(gwh_offer(&out, is), GW_OK);
    b = t_exact(out.p, out.n);
    error = offer_bytes(NULL, b.p, b.n);
    gwh_buf_free(&out);
    t_free(&b);
    return error;
}

static void assert_span(struct gw_span a, struct gw_span b)
{
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.p, b.p, a.n);
}

static void test_offer_as_it_is(void **state)
{
    struct gw_offer is = full_offer(), o;
    struct gwh_buf out = { 0 };
    (void)state;

    assert_int_equal(gwh_offer(&out, &is), GW_OK);
    assert_int_equal(gw_offer_parse(&o, out.p, out.n), GW_OK);
    assert_span(o.manifest, is.manifest);
    assert_int_equal(o.grant_count, 2);
    assert_span(o.grant[0], is.grant[0]);
    assert_span(o.grant[1], is.grant[1]);
    assert_span(o.head, is.head);
    assert_span(o.trust, is.trust);
    assert_span(o.rollout, is.rollout);
    assert_span(o.payload_base, is.payload_base);
    assert_int_equal(o.next_look, 3600);
    gwh_buf_free(&out);
}

static void test_offers(void **state)
{
    static uint8_t large[9000];
    struct gw_offer o;
    (void)state;

    memset(&o, 0, sizeof o);
    assert_int_equal(offer_of(&o), GW_OK); /* nothing to install */
    o = full_offer();
    o.grant_count = 4;
    o.grant[2] = o.grant[3] = text("g");
    assert_int_equal(offer_of(&o), GW_OK);
    o.manifest = (struct gw_span){ large, 8000 };
    assert_int_equal(offer_of(&o), GW_OK);
    o.manifest = (struct gw_span){ large, 8192 };
    assert_int_equal(offer_of(&o), GW_ERR_LIMIT);
}

static void test_offer_cuts(void **state)
{
    struct gw_offer is = full_offer();
    struct gwh_buf out = { 0 };
    struct t_bytes b;
    (void)state;
    assert_int_equal(gwh_offer(&out, &is), GW_OK);
    b = t_exact(out.p, out.n);
    t_refuse_cuts(b, offer_bytes, NULL);
    /* Flips: an offer is not signed, so many are taken; none may be read beyond its end. */
    for (size_t bit = 0; bit < b.n * 8; bit++) {
        struct gw_offer o;
        b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (gw_offer_parse(&o, b.p, b.n) == GW_OK) {
            assert_true(o.grant_count <= GW_GRANTS_MAX);
            assert_true(o.manifest.n <= b.n && o.head.n <= b.n && o.trust.n <= b.n);
        }
        b.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    gwh_buf_free(&out);
    t_free(&b);
}

static void test_malformed_offers(void **state)
{
    static const struct {
        const char *hex;
        int error;
    } rows[] = {
        { "a1 01 01", GW_OK },
        { "a1 01 02", GW_ERR_VERSION },
        { "a0", GW_ERR_FORMAT },
        { "a2 01 01 02 40", GW_ERR_VALUE },
        { "a2 01 01 02 60", GW_ERR_FORMAT },
        { "a2 01 01 03 80", GW_ERR_FORMAT },
        { "a2 01 01 03 81 40", GW_ERR_VALUE },
        { "a2 01 01 03 81 00", GW_ERR_FORMAT },
        { "a2 01 01 03 85 4100 4100 4100 4100 4100", GW_ERR_LIMIT },
        { "a2 01 01 04 40", GW_ERR_VALUE },
        { "a2 01 01 05 1b0000000100000000", GW_ERR_VALUE },
        { "a2 01 01 06 60", GW_ERR_VALUE },
        { "a2 01 01 07 61ff", GW_ERR_FORMAT },
        { "a2 01 01 08 40", GW_ERR_VALUE },
        { "a2 01 01 09 00", GW_ERR_UNKNOWN_KEY },
        { "a2 01 01 1880 00", GW_OK },
        { "a1 01 01 00", GW_ERR_TRAILING },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct t_bytes b = t_hex(rows[i].hex);
        int error = offer_bytes(NULL, b.p, b.n);
        if (error != rows[i].error) {
            fail_msg("row %zu gave %s", i, gw_error_name(error));
        }
        t_free(&b);
    }
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
        cmocka_unit_test(test_head_as_it_is),
        cmocka_unit_test(test_head_signers),
        cmocka_unit_test(test_head_of_another_type),
        cmocka_unit_test(test_head_values),
        cmocka_unit_test(test_head_too_large),
        cmocka_unit_test(test_head_damage),
        cmocka_unit_test(test_malformed_heads),
        cmocka_unit_test(test_offer_as_it_is),
        cmocka_unit_test(test_offers),
        cmocka_unit_test(test_offer_cuts),
        cmocka_unit_test(test_malformed_offers),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
