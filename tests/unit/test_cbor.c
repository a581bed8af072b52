/*
 * test_cbor.c - the CBOR reader takes what is deterministic and nothing else; the writer makes what the reader takes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "objects.h"

static int read_item(const char *hex)
{
    struct t_bytes b = t_hex(hex);
    struct gw_cbor c;
    int error;

    gw_cbor_init(&c, b.p, b.n);
    (void)gw_cbor_item(&c);
    error = gw_cbor_end(&c);
    t_free(&b);
    return error;
}

static void test_items_taken(void **state)
{
    static const char *const good[] = {
        "00", "17", "1818", "18ff", "190100", "19ffff", "1a00010000", "1affffffff", "1b0000000100000000",
        "1bffffffffffffffff", "20", "37", "3818", "3bffffffffffffffff", "40", "43010203", "60", "6161", "62c3a9",
        "63e282ac", "64f09f9880", "64f48fbfbf", "63ed9fbf", "63ee8080", "80", "83010203", "a0", "a10102",
        "a3 00 01 20 02 6161 03", "a2 00 a1 00 01 01 80", "f6", "82 f6 f6", "a2 41 00 01 42 0000 02",
        "81 81 81 81 81 81 81 81 00", "a2 6161 00 6162 00", "a2 17 00 1818 00", "a2 19 0100 00 20 00",
        "82 a1 00 00 a1 00 00",
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (read_item(good[i]) != GW_OK) {
            fail_msg("%s gave %d", good[i], read_item(good[i]));
        }
    }
}

static void test_items_refused(void **state)
{
    static const struct {
        const char *hex;
        int error;
    } bad[] = {
        { "", GW_ERR_TRUNCATED },
        /* longer than needed */
        { "1800", GW_ERR_FORMAT }, { "1817", GW_ERR_FORMAT }, { "1900ff", GW_ERR_FORMAT },
        { "1a0000ffff", GW_ERR_FORMAT }, { "1b00000000ffffffff", GW_ERR_FORMAT }, { "5800", GW_ERR_FORMAT },
        { "9800", GW_ERR_FORMAT }, { "b800", GW_ERR_FORMAT }, { "3801", GW_ERR_FORMAT }, { "780161", GW_ERR_FORMAT },
        /* indefinite lengths, reserved heads */
        { "5f4100ff", GW_ERR_FORMAT }, { "7f6161ff", GW_ERR_FORMAT }, { "9f00ff", GW_ERR_FORMAT },
        { "bf0000ff", GW_ERR_FORMAT }, { "1c", GW_ERR_FORMAT }, { "1d", GW_ERR_FORMAT }, { "1e", GW_ERR_FORMAT },
        { "1f", GW_ERR_FORMAT }, { "ff", GW_ERR_FORMAT }, { "dc", GW_ERR_FORMAT },
        /* tags, floats, simple values */
        { "c000", GW_ERR_FORMAT }, { "d86200", GW_ERR_FORMAT }, { "f4", GW_ERR_FORMAT }, { "f5", GW_ERR_FORMAT },
        { "f7", GW_ERR_FORMAT }, { "e0", GW_ERR_FORMAT }, { "f8ff", GW_ERR_FORMAT }, { "f816", GW_ERR_FORMAT },
        { "f90000", GW_ERR_FORMAT }, { "fa00000000", GW_ERR_FORMAT }, { "fb0000000000000000", GW_ERR_FORMAT },
        { "f93c00", GW_ERR_FORMAT },
        /* ends too early */
        { "18", GW_ERR_TRUNCATED }, { "19ff", GW_ERR_TRUNCATED }, { "1affffff", GW_ERR_TRUNCATED },
        { "1bffffffffffffff", GW_ERR_TRUNCATED }, { "41", GW_ERR_TRUNCATED }, { "4301", GW_ERR_TRUNCATED },
        { "6261", GW_ERR_TRUNCATED }, { "81", GW_ERR_TRUNCATED }, { "8200", GW_ERR_TRUNCATED },
        { "a1", GW_ERR_TRUNCATED }, { "a100", GW_ERR_TRUNCATED }, { "a2000001", GW_ERR_TRUNCATED },
        { "9affffffff00", GW_ERR_TRUNCATED }, { "bbffffffffffffffff0000", GW_ERR_TRUNCATED },
        { "5bffffffffffffffff00", GW_ERR_TRUNCATED }, { "7b7fffffffffffffff61", GW_ERR_TRUNCATED },
        { "9bffffffffffffffff00", GW_ERR_TRUNCATED }, { "bb800000000000000000 00", GW_ERR_TRUNCATED },
        /* order of keys, the same key twice, keys that are no scalars */
        { "a2 01 00 00 00", GW_ERR_FORMAT }, { "a2 00 00 00 00", GW_ERR_FORMAT }, { "a2 20 00 00 00", GW_ERR_FORMAT },
        { "a2 21 00 20 00", GW_ERR_FORMAT }, { "a2 6162 00 6161 00", GW_ERR_FORMAT },
        { "a2 6161 00 6161 00", GW_ERR_FORMAT }, { "a2 6161 00 20 00", GW_ERR_FORMAT },
        { "a2 626161 00 6162 00", GW_ERR_FORMAT }, { "a2 1818 00 17 00", GW_ERR_FORMAT },
        { "a1 80 00", GW_ERR_FORMAT }, { "a1 a0 00", GW_ERR_FORMAT }, { "a1 f6 00", GW_ERR_FORMAT },
        { "a1 8100 00", GW_ERR_FORMAT }, { "81 a2 00 00 00 00", GW_ERR_FORMAT },
        { "a1 00 a2 01 00 00 00", GW_ERR_FORMAT },
        /* UTF-8 */
        { "6180", GW_ERR_FORMAT }, { "61c3", GW_ERR_FORMAT }, { "62c328", GW_ERR_FORMAT }, { "62c080", GW_ERR_FORMAT },
        { "62c1bf", GW_ERR_FORMAT }, { "63e08080", GW_ERR_FORMAT }, { "63e09fbf", GW_ERR_FORMAT },
        { "63eda080", GW_ERR_FORMAT }, { "63edbfbf", GW_ERR_FORMAT }, { "64f0808080", GW_ERR_FORMAT },
        { "64f08fbfbf", GW_ERR_FORMAT }, { "64f4908080", GW_ERR_FORMAT }, { "64f5808080", GW_ERR_FORMAT },
        { "65f888808080", GW_ERR_FORMAT }, { "61ff", GW_ERR_FORMAT }, { "62e282", GW_ERR_FORMAT },
        { "63f09f98", GW_ERR_FORMAT }, { "63e28228", GW_ERR_FORMAT },
        /* too deep, bytes after the end */
        { "81 81 81 81 81 81 81 81 81 00", GW_ERR_LIMIT },
        { "a100 a100 a100 a100 a100 a100 a100 a100 a100 00", GW_ERR_LIMIT },
        { "0000", GW_ERR_TRAILING }, { "a000", GW_ERR_TRAILING },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (read_item(bad[i].hex) != bad[i].error) {
            fail_msg("%s gave %s", bad[i].hex, gw_error_name(read_item(bad[i].hex)));
        }
    }
}

static void test_deep_empty_containers(void **state)
{
    (void)state;
    assert_int_equal(read_item("81 81 81 81 81 81 81 81 80"), GW_OK);
    assert_int_equal(read_item("82 81 81 81 81 81 81 81 00 81 81 81 81 81 81 81 00"), GW_OK);
}

static void test_integers(void **state)
{
    struct t_bytes b = t_hex("00 1bffffffffffffffff 1affffffff 20 3b7fffffffffffffff 1b7fffffffffffffff");
    struct gw_cbor c;
    (void)state;

    gw_cbor_init(&c, b.p, b.n);
    assert_int_equal(gw_cbor_peek(&c), 0);
    assert_true(gw_cbor_uint(&c) == 0);
    assert_true(gw_cbor_uint(&c) == UINT64_MAX);
    assert_true(gw_cbor_u32(&c) == UINT32_MAX);
    assert_int_equal(gw_cbor_peek(&c), 1);
    assert_true(gw_cbor_int(&c) == -1);
    assert_true(gw_cbor_int(&c) == INT64_MIN);
    assert_true(gw_cbor_int(&c) == INT64_MAX);
    assert_int_equal(gw_cbor_peek(&c), -1);
    assert_int_equal(gw_cbor_end(&c), GW_OK);
    t_free(&b);
}

static void test_integers_out_of_range(void **state)
{
    static const struct {
        const char *hex;
        bool is_signed;
        int error;
    } rows[] = {
        { "1b0000000100000000", false, GW_ERR_VALUE }, { "1b8000000000000000", true, GW_ERR_VALUE },
        { "3b8000000000000000", true, GW_ERR_VALUE },  { "20", false, GW_ERR_FORMAT },
        { "40", true, GW_ERR_FORMAT },                 { "40", false, GW_ERR_FORMAT },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct t_bytes b = t_hex(rows[i].hex);
        struct gw_cbor c;
        gw_cbor_init(&c, b.p, b.n);
        if (rows[i].is_signed) {
            assert_true(gw_cbor_int(&c) == 0);
        } else {
            assert_true(gw_cbor_u32(&c) == 0);
        }
        assert_int_equal(gw_cbor_end(&c), rows[i].error);
        t_free(&b);
    }
}

/* After the first error nothing moves, nothing is given, and the error stays. */
static void test_error_latches(void **state)
{
    struct t_bytes b = t_hex("f6 01 4101");
    struct gw_cbor c;
    struct gw_cbor_map m;
    uint8_t byte = 0x99;
    int64_t key;
    size_t at;
    (void)state;

    gw_cbor_init(&c, b.p, b.n);
    assert_int_equal(gw_cbor_uint(&c), 0);
    at = c.at;
    assert_int_equal(c.error, GW_ERR_FORMAT);
    gw_cbor_fail(&c, GW_ERR_VALUE);
    assert_int_equal(gw_cbor_u32(&c), 0);
    assert_int_equal(gw_cbor_int(&c), 0);
    assert_int_equal(gw_cbor_bytes(&c).n, 0);
    assert_int_equal(gw_cbor_text(&c).n, 0);
    assert_int_equal(gw_cbor_array(&c), 0);
    assert_int_equal(gw_cbor_item(&c).n, 0);
    assert_false(gw_cbor_null(&c));
    assert_false(gw_cbor_tag(&c, 98));
    assert_int_equal(gw_cbor_peek(&c), -1);
    gw_cbor_fixed(&c, &byte, 1);
    assert_int_equal(byte, 0x99);
    gw_cbor_map(&c, &m);
    assert_false(gw_cbor_next(&c, &m, &key));
    assert_int_equal(c.at, at);
    assert_int_equal(gw_cbor_end(&c), GW_ERR_FORMAT);
    t_free(&b);
}

static void test_null_and_tag(void **state)
{
    struct t_bytes b = t_hex("f6 d862 00");
    struct gw_cbor c;
    (void)state;

    gw_cbor_init(&c, b.p, b.n);
    assert_false(gw_cbor_tag(&c, 98));
    assert_true(gw_cbor_null(&c));
    assert_false(gw_cbor_null(&c));
    assert_false(gw_cbor_tag(&c, 96));
    assert_true(gw_cbor_tag(&c, 98));
    assert_int_equal(gw_cbor_uint(&c), 0);
    assert_int_equal(gw_cbor_end(&c), GW_OK);
    t_free(&b);
}

static void test_fixed(void **state)
{
    struct t_bytes b = t_hex("420102");
    struct gw_cbor c;
    uint8_t out[3] = { 9, 9, 9 };
    (void)state;

    gw_cbor_init(&c, b.p, b.n);
    gw_cbor_fixed(&c, out, 3);
    assert_int_equal(gw_cbor_end(&c), GW_ERR_VALUE);
    assert_int_equal(out[0], 9);
    gw_cbor_init(&c, b.p, b.n);
    gw_cbor_fixed(&c, out, 2);
    assert_int_equal(gw_cbor_end(&c), GW_OK);
    assert_int_equal(out[1], 2);
    assert_int_equal(out[2], 9);
    t_free(&b);
}

/* Reads a map of integer keys whose values are skipped; keys 0..2 are known. */
static int read_map(const char *hex)
{
    struct t_bytes b = t_hex(hex);
    struct gw_cbor c;
    struct gw_cbor_map m;
    int64_t key;
    int error;

    gw_cbor_init(&c, b.p, b.n);
    gw_cbor_map(&c, &m);
    while (gw_cbor_next(&c, &m, &key)) {
        if (key >= 0 && key <= 2) {
            (void)gw_cbor_item(&c);
        } else {
            gw_cbor_unknown(&c, key);
        }
    }
    error = gw_cbor_end(&c);
    t_free(&b);
    return error;
}

static void test_maps(void **state)
{
    (void)state;
    assert_int_equal(read_map("a0"), GW_OK);
    assert_int_equal(read_map("a2 00 00 02 00"), GW_OK);
    assert_int_equal(read_map("a1 1880 a1 00 00"), GW_OK); /* 128 is not critical */
    assert_int_equal(read_map("a2 1880 00 190100 00"), GW_OK);
    assert_int_equal(read_map("a1 187f 00"), GW_ERR_UNKNOWN_KEY);
    assert_int_equal(read_map("a1 03 00"), GW_ERR_UNKNOWN_KEY);
    assert_int_equal(read_map("a1 20 00"), GW_ERR_UNKNOWN_KEY);
    assert_int_equal(read_map("a1 6161 00"), GW_ERR_FORMAT);
    assert_int_equal(read_map("a2 02 00 00 00"), GW_ERR_FORMAT);
    assert_int_equal(read_map("a2 02 00 02 00"), GW_ERR_FORMAT);
    assert_int_equal(read_map("a2 20 00 02 00"), GW_ERR_UNKNOWN_KEY);
    assert_int_equal(read_map("a2 1880 00 01 00"), GW_ERR_FORMAT);
    assert_int_equal(read_map("a2 1880 00 1880 00"), GW_ERR_FORMAT);
    assert_int_equal(read_map("a2 190100 00 18ff 00"), GW_ERR_FORMAT);
    assert_int_equal(read_map("a2 00 00 02"), GW_ERR_TRUNCATED);
    assert_int_equal(read_map("a1 1880 f4"), GW_ERR_FORMAT); /* what is skipped is checked */
    assert_int_equal(read_map("80"), GW_ERR_FORMAT);
    assert_int_equal(read_map("a0 00"), GW_ERR_TRAILING);
}

/* ---- Writer ---- */

static void test_writer_heads(void **state)
{
    static const struct {
        int64_t v;
        const char *hex;
    } rows[] = {
        { 0, "00" }, { 23, "17" }, { 24, "1818" }, { 255, "18ff" }, { 256, "190100" }, { 65535, "19ffff" },
        { 65536, "1a00010000" }, { 0xffffffff, "1affffffff" }, { 0x100000000, "1b0000000100000000" }, { -1, "20" },
        { -24, "37" }, { -25, "3818" }, { -65537, "3a00010000" }, { INT64_MIN, "3b7fffffffffffffff" },
        { INT64_MAX, "1b7fffffffffffffff" }, { -70001, "3a00011170" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct t_bytes want = t_hex(rows[i].hex);
        struct t_bytes got = t_exact("\0\0\0\0\0\0\0\0", want.n);
        struct gw_cborw w;
        gw_cborw_init(&w, got.p, got.n);
        gw_cborw_int(&w, rows[i].v);
        assert_int_equal(gw_cborw_end(&w), GW_OK);
        assert_int_equal(w.at, want.n);
        assert_memory_equal(got.p, want.p, want.n);
        t_free(&want);
        t_free(&got);
    }
}

static void write_one_of_each(struct gw_cborw *w)
{
    gw_cborw_tag(w, 98);
    gw_cborw_array(w, 5);
    gw_cborw_uint(w, 1000);
    gw_cborw_bytes(w, "\1\2", 2);
    gw_cborw_text(w, "text", 4);
    gw_cborw_map(w, 1);
    gw_cborw_int(w, -1);
    gw_cborw_null(w);
    gw_cborw_raw(w, "\x80", 1);
}

/* Every size that is too small says SPACE, writes nothing beyond, and knows how much is needed. */
static void test_writer_space(void **state)
{
    struct t_bytes want = t_hex("d862 85 1903e8 420102 6474657874 a1 20 f6 80");
    struct gw_cborw w;
    (void)state;

    gw_cborw_init(&w, NULL, 0);
    write_one_of_each(&w);
    assert_int_equal(gw_cborw_end(&w), GW_OK);
    assert_int_equal(w.at, want.n);
    for (size_t n = 0; n <= want.n; n++) {
        struct t_bytes b = t_exact(want.p, n);
        gw_cborw_init(&w, b.p, b.n);
        write_one_of_each(&w);
        assert_int_equal(gw_cborw_end(&w), n < want.n ? GW_ERR_SPACE : GW_OK);
        assert_int_equal(w.at, want.n);
        assert_memory_equal(b.p, want.p, n);
        t_free(&b);
    }
    t_free(&want);
}

/* ---- Both: random items, their prefixes, their neighbours ---- */

static uint32_t seed = 1;
static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static void random_item(struct gw_cborw *w, unsigned depth)
{
    static const uint64_t numbers[] = { 0, 1, 23, 24, 255, 256, 65535, 65536, UINT32_MAX, 0x100000000, UINT64_MAX };
    uint64_t number = numbers[draw(11)];
    uint32_t n = draw(4);

    switch (draw(depth == 0 ? 5 : 7)) {
    case 0:
        gw_cborw_uint(w, number);
        break;
    case 1:
        gw_cborw_head(w, 1, number);
        break;
    case 2:
        gw_cborw_bytes(w, "\xff\xff\xff", n);
        break;
    case 3:
        gw_cborw_text(w, "abc", n);
        break;
    case 4:
        gw_cborw_null(w);
        break;
    case 5:
        gw_cborw_array(w, n);
        for (uint32_t i = 0; i < n; i++) {
            random_item(w, depth - 1);
        }
        break;
    default:
        gw_cborw_map(w, n);
        for (uint32_t i = 0; i < n; i++) {
            gw_cborw_uint(w, numbers[i * 3] + draw(2));
            random_item(w, depth - 1);
        }
        break;
    }
}

static void test_random_items(void **state)
{
    uint8_t buffer[4096];
    (void)state;

    for (unsigned round = 0; round < 3000; round++) {
        struct gw_cborw w;
        struct gw_cbor c;
        struct t_bytes b;
        gw_cborw_init(&w, buffer, sizeof buffer);
        random_item(&w, 5);
        assert_int_equal(gw_cborw_end(&w), GW_OK);
        b = t_exact(buffer, w.at);
        gw_cbor_init(&c, b.p, b.n);
        assert_int_equal(gw_cbor_item(&c).n, b.n);
        assert_int_equal(gw_cbor_end(&c), GW_OK);
        for (size_t n = 0; n < b.n; n += 1 + n / 8) {
            struct t_bytes cut = t_exact(b.p, n);
            gw_cbor_init(&c, cut.p, cut.n);
            assert_int_equal(gw_cbor_item(&c).n, 0);
            assert_int_equal(gw_cbor_end(&c), GW_ERR_TRUNCATED);
            t_free(&cut);
        }
        t_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_taken),
        cmocka_unit_test(test_items_refused),
        cmocka_unit_test(test_deep_empty_containers),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_integers_out_of_range),
        cmocka_unit_test(test_error_latches),
        cmocka_unit_test(test_null_and_tag),
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_writer_heads),
        cmocka_unit_test(test_writer_space),
        cmocka_unit_test(test_random_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
