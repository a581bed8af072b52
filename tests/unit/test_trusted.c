/*
 * test_trusted.c - from a trust bundle to what a TLS layer checks by: pins are copied, roots are views, and nothing is
 * left out in silence.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "objects.h"
#include "trusted.h"

#define PIN "5820" "0101010101010101010101010101010101010101010101010101010101010102"

static uint8_t pins[GWC_PINS_MAX][GW_DIGEST_SIZE];

static int from(struct gwc_trusted *out, struct t_bytes pin, struct t_bytes cas)
{
    struct gw_trust trust = { .pins = { pin.p, pin.n }, .server_cas = { cas.p, cas.n } };
    struct gw_transport_trust told = { &trust, 77 };

    memset(out, 0xee, sizeof *out);
    return gwc_trusted_from(out, pins, &told);
}

static void test_none(void **state)
{
    struct gw_transport_trust nobody = { NULL, 5 };
    struct gwc_trusted t;
    struct gw_span der;
    (void)state;

    memset(&t, 0xee, sizeof t);
    assert_int_equal(gwc_trusted_from(&t, pins, &nobody), GW_OK);
    assert_int_equal(t.now, 5);
    assert_int_equal(t.pin_count, 0);
    assert_int_equal(t.roots.n, 0);
    assert_int_equal(gwc_trusted_root(&t, 0, &der), GW_ERR_NOTHING);
}

static void test_pins_and_roots(void **state)
{
    struct t_bytes pin = t_hex("82" PIN PIN), cas = t_hex("82" "41aa" "42bbcc");
    struct gwc_trusted t;
    struct gw_span der;
    (void)state;

    assert_int_equal(from(&t, pin, cas), GW_OK);
    assert_int_equal(t.now, 77);
    assert_int_equal(t.pin_count, 2);
    assert_ptr_equal(t.pins, pins);
    assert_true(pins[0][0] == 1 && pins[1][31] == 2);
    assert_int_equal(gwc_trusted_root(&t, 0, &der), GW_OK);
    assert_true(der.n == 1 && der.p[0] == 0xaa);
    assert_int_equal(gwc_trusted_root(&t, 1, &der), GW_OK);
    assert_true(der.n == 2 && der.p == cas.p + 4);
    assert_int_equal(gwc_trusted_root(&t, 2, &der), GW_ERR_NOTHING);
    t_free(&pin);
    t_free(&cas);
}

static void test_too_many_pins(void **state)
{
    struct t_bytes four = t_hex("84" PIN PIN PIN PIN), five = t_hex("85" PIN PIN PIN PIN PIN), none = { 0 };
    struct gwc_trusted t;
    (void)state;

    assert_int_equal(from(&t, four, none), GW_OK);
    assert_int_equal(t.pin_count, 4);
    assert_int_equal(from(&t, five, none), GW_ERR_LIMIT);
    assert_int_equal(t.pin_count, 0);
    t_free(&four);
    t_free(&five);
}

/* Not from a bundle that lib has parsed: a pin of another size is an error, not another pin. */
static void test_bad_pin(void **state)
{
    struct t_bytes pin = t_hex("8141aa"), none = { 0 };
    struct gwc_trusted t;
    (void)state;

    assert_int_equal(from(&t, pin, none), GW_ERR_VALUE);
    assert_int_equal(t.pin_count, 0);
    t_free(&pin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_pins_and_roots),
        cmocka_unit_test(test_too_many_pins),
        cmocka_unit_test(test_bad_pin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
