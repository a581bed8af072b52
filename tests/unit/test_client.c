/*
 * test_client.c - who a device is to servers: id, class, certificate and key out of the identity on flash, and the
 * key's DER as OpenSSL reads it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define OPENSSL_SUPPRESS_DEPRECATED /* EC_KEY: what is in it can be asked for */
#include <openssl/ec.h>
#include <openssl/objects.h>

#include "client.h"
#include "objects.h"
#include "store.h"

#define BLOCK 2048u

static struct t_world w;
static uint8_t bytes[2 * BLOCK];
static bool broken; /* the flash cannot be read */

static int flash_read(void *ctx, uint32_t at, void *data, uint32_t n)
{
    (void)ctx;
    memcpy(data, bytes + at, n);
    return broken ? -1 : 0;
}

static int flash_write(void *ctx, uint32_t at, const void *data, uint32_t n)
{
    (void)ctx;
    memcpy(bytes + at, data, n);
    return 0;
}

static int flash_erase(void *ctx, uint32_t at)
{
    (void)ctx;
    memset(bytes + at, 0xff, BLOCK);
    return 0;
}

static const struct gw_flash_region region = { 0, 2, BLOCK };
static const struct gw_flash flash = {
    .regions = &region, .region_count = 1, .write_size = 4, .erased = 0xff, .read = flash_read, .write = flash_write,
    .erase = flash_erase,
};
static const struct gw_layout layout = { .identity = { 0, BLOCK } };
static const struct gw_device device = { .flash = &flash, .layout = &layout };

static int read_of(struct gwc_client *c, const struct gwh_identity *is, uint8_t *memory, size_t size)
{
    struct gwh_buf b = { 0 };

    assert_int_equal(gwh_identity_encode(&b, is), GW_OK);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(gw_store_write(&flash, layout.identity, b.p, (uint32_t)b.n), GW_OK);
    gwh_buf_free(&b);
    return gwc_client_read(c, &device, memory, size);
}

static struct gwh_identity with_certificate(uint8_t *certificate, uint8_t *d)
{
    struct gwh_identity is = w.identity_is;

    memset(certificate, 0x5c, 300);
    for (unsigned i = 0; i < 32; i++) {
        d[i] = (uint8_t)(i + 1);
    }
    is.own = (struct gwh_secret){ { certificate, 8 }, { d, 32 } };
    is.certificate = (struct gw_span){ certificate, 300 };
    return is;
}

static void test_all_of_it(void **state)
{
    uint8_t certificate[300], d[32], memory[GW_IDENTITY_MAX], number[32];
    struct gwh_identity is = with_certificate(certificate, d);
    struct gwc_client c;
    (void)state;

    assert_int_equal(read_of(&c, &is, memory, sizeof memory), GW_OK);
    assert_string_equal(c.id, is.device_id);
    assert_int_equal(strlen(c.class_id), 32);
    for (unsigned i = 0; i < 16; i++) {
        char hex[3] = { c.class_id[2 * i], c.class_id[2 * i + 1], 0 };
        assert_int_equal(strtoul(hex, NULL, 16), is.class_id[i]);
    }
    assert_int_equal(c.certificate.n, 300);
    assert_memory_equal(c.certificate.p, certificate, 300);
    assert_true(c.certificate.p >= memory && c.certificate.p + 300 <= memory + sizeof memory);

    const uint8_t *p = c.key;
    EC_KEY *key = d2i_ECPrivateKey(NULL, &p, sizeof c.key);
    assert_non_null(key);
    assert_ptr_equal(p, c.key + sizeof c.key);
    assert_int_equal(BN_bn2binpad(EC_KEY_get0_private_key(key), number, 32), 32);
    assert_memory_equal(number, d, 32);
    assert_int_equal(EC_GROUP_get_curve_name(EC_KEY_get0_group(key)), NID_X9_62_prime256v1);
    EC_KEY_free(key);
}

static void test_it_is_forgotten(void **state)
{
    static const uint8_t zero[GW_IDENTITY_MAX];
    uint8_t certificate[300], d[32], memory[GW_IDENTITY_MAX];
    struct gwh_identity is = with_certificate(certificate, d);
    struct gwc_client c;
    (void)state;

    assert_int_equal(read_of(&c, &is, memory, sizeof memory), GW_OK);
    gwc_client_forget(&c, memory, sizeof memory);
    assert_memory_equal(memory, zero, sizeof memory);
    assert_memory_equal(c.key, zero, sizeof c.key);
    assert_int_equal(c.certificate.n, 0);
    assert_string_equal(c.id, is.device_id);
}

static void test_without_a_certificate(void **state)
{
    static const uint8_t zero[GWC_KEY_DER];
    uint8_t certificate[300], d[32], memory[GW_IDENTITY_MAX];
    struct gwh_identity is = with_certificate(certificate, d);
    struct gwc_client c;
    (void)state;

    is.certificate.n = 0;
    assert_int_equal(read_of(&c, &is, memory, sizeof memory), GW_OK); /* a key that signs reports, and no certificate */
    assert_int_equal(c.certificate.n, 0);
    assert_memory_equal(c.key, zero, sizeof c.key);
    assert_string_equal(c.id, is.device_id);
    assert_int_equal(read_of(&c, &w.identity_is, memory, sizeof memory), GW_OK); /* no key either */
    assert_int_equal(c.certificate.n, 0);
}

static void test_it_cannot_be_read(void **state)
{
    static const uint8_t zero[GW_IDENTITY_MAX];
    uint8_t certificate[300], d[32], memory[GW_IDENTITY_MAX];
    struct gwh_identity is = with_certificate(certificate, d);
    struct gwc_client c;
    (void)state;

    assert_int_equal(read_of(&c, &is, memory, sizeof memory - 1), GW_ERR_SPACE);
    bytes[GW_STORE_HEADER + 5] ^= 1;
    memset(memory, 7, sizeof memory);
    assert_int_equal(gwc_client_read(&c, &device, memory, sizeof memory), GW_ERR_NOTHING);
    assert_memory_equal(memory, zero, sizeof memory); /* half an identity is secret too */
    broken = true;
    assert_int_equal(gwc_client_read(&c, &device, memory, sizeof memory), GW_ERR_FLASH_READ);
    broken = false;
}

static int setup(void **state)
{
    (void)state;
    t_world_open(&w);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    t_world_close(&w);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_of_it),
        cmocka_unit_test(test_it_is_forgotten),
        cmocka_unit_test(test_without_a_certificate),
        cmocka_unit_test(test_it_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
