/*
 * test_keys.c - keys in files: made, saved, loaded, refused; signatures that the device's verifier takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cose.h"
#include "file.h"
#include "keys.h"
#include "uuid.h"

static char folder[] = "/tmp/godwit-keys-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL || chdir(folder) != 0;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"k.pem", "k.pub.pem", "sealed.pem", "two.pem", "f", "pass"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)unlink(names[i]);
    }
    return chdir("/") != 0 || rmdir(folder) != 0;
}

static void sign_and_verify(enum gwh_key_kind kind, size_t size)
{
    const struct gw_crypto *c = gwh_openssl()->gw;
    struct gwh_key key;
    struct gwh_signer signer;
    struct gwh_error err = {0};
    uint8_t digest[32] = {1, 2, 3}, sig[512];
    size_t n = 0;
    assert_int_equal(gwh_key_new(&key, kind, &err), GWH_OK);
    gwh_key_signer(&signer, &key);
    for (int i = 0; i < 4; i++) { /* r and s have leading zeros now and then */
        digest[5] = (uint8_t)i;
        assert_int_equal(signer.sign(signer.ctx, digest, sig, &n), GW_OK);
        assert_int_equal(n, size);
        assert_int_equal(c->verify(c->ctx, &key.pub, digest, sig, n), GW_OK);
        sig[n / 2] ^= 1;
        assert_int_equal(c->verify(c->ctx, &key.pub, digest, sig, n), GW_ERR_SIGNATURE);
    }
    gwh_key_free(&key);
}

static void test_p256(void **state)
{
    (void)state;
    sign_and_verify(GWH_P256, 64);
}

static void test_rsa2048(void **state)
{
    (void)state;
    sign_and_verify(GWH_RSA2048, 256);
}

static void test_rsa3072(void **state)
{
    (void)state;
    sign_and_verify(GWH_RSA3072, 384);
}

static void test_save_and_load(void **state)
{
    struct gwh_key key, loaded;
    struct gwh_error err = {0};
    struct stat st;
    uint8_t a[32], b[32];
    (void)state;
    assert_int_equal(gwh_key_new(&key, GWH_P256, &err), GWH_OK);
    assert_int_equal(gwh_key_save(&key, "k.pem", NULL, false, &err), GWH_OK);
    assert_int_equal(stat("k.pem", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(gwh_key_load_private(&loaded, "k.pem", NULL, &err), GWH_OK);
    assert_memory_equal(key.thumbprint, loaded.thumbprint, 32);
    assert_int_equal(gwh_key_secret(&key, a), GW_OK);
    assert_int_equal(gwh_key_secret(&loaded, b), GW_OK);
    assert_memory_equal(a, b, 32);
    gwh_key_free(&loaded);
    assert_int_equal(gwh_key_save_public(&key, "k.pub.pem", false, &err), GWH_OK);
    assert_int_equal(gwh_key_load(&loaded, "k.pub", NULL, &err), GWH_OK); /* .pem is added */
    assert_false(loaded.is_private);
    assert_memory_equal(key.bytes, loaded.bytes, 64);
    assert_int_equal(gwh_key_secret(&loaded, a), GW_ERR_VALUE);
    gwh_key_free(&loaded);
    assert_int_equal(gwh_key_load_private(&loaded, "k.pub.pem", NULL, &err), GWH_REFUSED);
    gwh_key_free(&key);
}

static void test_no_overwriting(void **state)
{
    struct gwh_key key;
    struct gwh_error err = {0};
    struct gwh_buf before = {0}, after = {0};
    (void)state;
    assert_int_equal(gwh_key_new(&key, GWH_P256, &err), GWH_OK);
    assert_int_equal(gwh_file_read(&before, "k.pem", 10000, &err), GWH_OK);
    assert_int_equal(gwh_key_save(&key, "k.pem", NULL, false, &err), GWH_REFUSED);
    assert_int_equal(gwh_file_read(&after, "k.pem", 10000, &(struct gwh_error){0}), GWH_OK);
    assert_int_equal(before.n, after.n);
    assert_memory_equal(before.p, after.p, before.n);
    gwh_buf_free(&before);
    gwh_buf_free(&after);
    gwh_key_free(&key);
}

static void test_passphrase(void **state)
{
    struct gwh_key key, loaded;
    struct gwh_error err = {0}, none = {0}, wrong = {0};
    (void)state;
    assert_int_equal(gwh_key_new(&key, GWH_P256, &err), GWH_OK);
    assert_int_equal(gwh_key_save(&key, "sealed.pem", "secret", false, &err), GWH_OK);
    assert_int_equal(gwh_key_load(&loaded, "sealed.pem", NULL, &none), GWH_REFUSED);
    assert_non_null(strstr(none.hint, "--passphrase-file"));
    assert_int_equal(gwh_key_load(&loaded, "sealed.pem", "guess", &wrong), GWH_REFUSED);
    assert_int_equal(gwh_key_load(&loaded, "sealed.pem", "secret", &err), GWH_OK);
    assert_memory_equal(key.thumbprint, loaded.thumbprint, 32);
    gwh_key_free(&loaded);
    gwh_key_free(&key);
}

static void test_passphrase_file(void **state)
{
    struct gwh_buf out = {0};
    struct gwh_error err = {0}, empty = {0};
    (void)state;
    assert_int_equal(gwh_file_write("pass", (struct gw_span){(const uint8_t *)"a b\r\nc", 6}, 0600, true, &err),
                     GWH_OK);
    assert_int_equal(gwh_passphrase_read(&out, "pass", &err), GWH_OK);
    assert_string_equal((const char *)out.p, "a b");
    gwh_buf_free(&out);
    assert_int_equal(gwh_file_write("pass", (struct gw_span){(const uint8_t *)"\n", 1}, 0600, true, &err), GWH_OK);
    assert_int_equal(gwh_passphrase_read(&out, "pass", &empty), GWH_REFUSED);
    gwh_buf_free(&out);
}

/* Every truncation of a key file is refused, with a sentence. */
static void test_truncated(void **state)
{
    struct gwh_buf pem = {0};
    struct gwh_error err = {0};
    struct gwh_key key;
    (void)state;
    assert_int_equal(gwh_file_read(&pem, "k.pem", 10000, &err), GWH_OK);
    for (size_t n = 0; n + 30 < pem.n; n += 7) {
        struct gwh_error why = {0};
        assert_int_equal(gwh_key_parse(&key, (struct gw_span){pem.p, n}, "cut", NULL, NULL, &why), GWH_REFUSED);
        assert_true(why.text[0] != '\0');
    }
    gwh_buf_free(&pem);
}

static void test_several_in_a_file(void **state)
{
    struct gwh_key a, b, found;
    struct gwh_buf pem = {0};
    struct gwh_error err = {0};
    size_t used = 0, more = 0;
    (void)state;
    assert_int_equal(gwh_key_new(&a, GWH_P256, &err), GWH_OK);
    assert_int_equal(gwh_key_new(&b, GWH_P256, &err), GWH_OK);
    assert_int_equal(gwh_key_public_pem(&pem, &a, &err), GWH_OK);
    assert_int_equal(gwh_key_public_pem(&pem, &b, &err), GWH_OK);
    assert_int_equal(gwh_key_parse(&found, gwh_span(&pem), "two", NULL, &used, &err), GWH_OK);
    assert_memory_equal(found.thumbprint, a.thumbprint, 32);
    gwh_key_free(&found);
    assert_int_equal(gwh_key_parse(&found, (struct gw_span){pem.p + used, pem.n - used}, "two", NULL, &more, &err),
                     GWH_OK);
    assert_memory_equal(found.thumbprint, b.thumbprint, 32);
    assert_int_equal(used + more, pem.n);
    gwh_key_free(&found);
    gwh_key_free(&a);
    gwh_key_free(&b);
    gwh_buf_free(&pem);
}

static void test_ec_public(void **state)
{
    const struct gwh_crypto *c = gwh_openssl();
    struct gwh_key key;
    struct gwh_error err = {0};
    uint8_t d[32], pub[64], zero[32] = {0}, large[32];
    (void)state;
    memset(large, 0xff, sizeof large);
    assert_int_equal(gwh_key_new(&key, GWH_P256, &err), GWH_OK);
    assert_int_equal(gwh_key_secret(&key, d), GW_OK);
    assert_int_equal(c->ec_public(c->ctx, d, pub), GW_OK);
    assert_memory_equal(pub, key.bytes, 64);
    assert_int_not_equal(c->ec_public(c->ctx, zero, pub), GW_OK);
    assert_int_not_equal(c->ec_public(c->ctx, large, pub), GW_OK);
    gwh_key_free(&key);
}

static void test_files(void **state)
{
    struct gwh_buf b = {0};
    struct gwh_error err = {0}, exists = {0}, large = {0}, place = {0};
    (void)state;
    struct gw_span text = {(const uint8_t *)"text", 4};
    assert_int_equal(gwh_file_write("f", text, 0644, false, &err), GWH_OK);
    assert_int_equal(gwh_file_write("f", text, 0644, false, &exists), GWH_REFUSED);
    assert_int_equal(gwh_file_write("f", (struct gw_span){text.p, 2}, 0644, true, &err), GWH_OK);
    assert_int_equal(gwh_file_read(&b, "f", 1, &large), GWH_REFUSED);
    assert_int_equal(large.reason, GW_ERR_LIMIT);
    b.n = 0;
    assert_int_equal(gwh_file_read(&b, "f", 2, &err), GWH_OK);
    assert_memory_equal(b.p, "te", 2);
    gwh_buf_free(&b);
    assert_int_equal(gwh_file_write("/nowhere/f", text, 0644, false, &place), GWH_IO);
}

static void test_hex(void **state)
{
    uint8_t bytes[3];
    char text[7];
    (void)state;
    assert_true(gwh_unhex(bytes, 3, "00fFa5"));
    gwh_hex(text, bytes, 3);
    assert_string_equal(text, "00ffa5");
    assert_false(gwh_unhex(bytes, 3, "00ff"));
    assert_false(gwh_unhex(bytes, 3, "00ffg5"));
}

/* RFC 9562's example of UUIDv5, and ids as SPEC.md makes them. */
static void test_uuid(void **state)
{
    uint8_t vendor[16], class_id[16];
    char text[37];
    (void)state;
    assert_int_equal(gwh_uuid_vendor("www.example.com", vendor), GW_OK);
    gwh_uuid_text(text, vendor);
    assert_string_equal(text, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
    assert_int_equal(gwh_uuid_class(vendor, "a", class_id), GW_OK);
    assert_memory_not_equal(vendor, class_id, 16);
    assert_int_equal(class_id[6] >> 4, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p256),
        cmocka_unit_test(test_rsa2048),
        cmocka_unit_test(test_rsa3072),
        cmocka_unit_test(test_save_and_load),
        cmocka_unit_test(test_no_overwriting),
        cmocka_unit_test(test_passphrase),
        cmocka_unit_test(test_passphrase_file),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_several_in_a_file),
        cmocka_unit_test(test_ec_public),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_uuid),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
