/*
 * test_pki.c - the device CA: what it signs, what it refuses, what it has revoked; host/pki.h. More: tests/pki/run.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "pki.h"

static char folder[] = "/tmp/godwit-pki-XXXXXX";
static struct gwh_ca ca;
static struct gwh_key own;

static int set_up(void **state)
{
    struct gwh_error err = {0};
    (void)state;
    return mkdtemp(folder) == NULL || chdir(folder) != 0 ||
           gwh_ca_new(&ca, "ca", "Test", 100, NULL, false, &err) != GWH_OK ||
           gwh_key_new(&own, GWH_P256, &err) != GWH_OK;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"ca/ca.pem", "ca/ca.key", "ca/crl.pem", "ca/issued.csv", "dev.pem",
                                        "server.pem", "server.key", "csr", "own.key"};
    (void)state;
    gwh_ca_free(&ca);
    gwh_key_free(&own);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)unlink(names[i]);
    }
    return rmdir("ca") != 0 || chdir("/") != 0 || rmdir(folder) != 0;
}

static void write_file(const char *path, const struct gwh_buf *bytes)
{
    struct gwh_error err = {0};
    assert_int_equal(gwh_file_write(path, gwh_span(bytes), 0644, true, &err), GWH_OK);
}

/* A request in the file csr: named so, for this key, signed by that one. */
static void request(const char *name, EVP_PKEY *key, EVP_PKEY *signer)
{
    X509_REQ *q = X509_REQ_new();
    X509_NAME *n = X509_NAME_new();
    FILE *f = fopen("csr", "w");
    assert_true(q != NULL && n != NULL && f != NULL);
    assert_int_equal(X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8, (const uint8_t *)name, -1, -1, 0), 1);
    assert_true(X509_REQ_set_subject_name(q, n) == 1 && X509_REQ_set_pubkey(q, key) == 1);
    assert_true(X509_REQ_sign(q, signer, EVP_sha256()) > 0 && PEM_write_X509_REQ(f, q) == 1);
    (void)fclose(f);
    X509_NAME_free(n);
    X509_REQ_free(q);
}

static int read_request(const char *id)
{
    struct gwh_error err = {0};
    struct gwh_key key = {0};
    char out[GW_DEVICE_ID_MAX + 1];
    int e = gwh_csr_read(&key, out, "csr", id, &err);
    if (e == GWH_OK) {
        assert_memory_equal(key.bytes, own.bytes, 64);
    }
    gwh_key_free(&key);
    return e;
}

static void takes_a_request_that_is_right(void **state)
{
    struct gwh_error err = {0};
    struct gwh_buf pem = {0};
    (void)state;
    assert_int_equal(gwh_csr_make(&pem, &own, "dev1", &err), GWH_OK);
    write_file("csr", &pem);
    assert_int_equal(read_request("dev1"), GWH_OK);
    assert_int_equal(read_request(NULL), GWH_OK);
    gwh_buf_free(&pem);
}

static void refuses_a_request_signed_by_another_key(void **state)
{
    EVP_PKEY *other = EVP_EC_gen("prime256v1");
    (void)state;
    request("dev1", own.evp, other);
    assert_int_equal(read_request("dev1"), GWH_REFUSED);
    EVP_PKEY_free(other);
}

static void refuses_a_request_for_another_device(void **state)
{
    (void)state;
    request("dev2", own.evp, own.evp);
    assert_int_equal(read_request("dev1"), GWH_REFUSED);
    assert_int_equal(read_request("dev2"), GWH_OK);
}

static void refuses_names_that_are_no_device(void **state)
{
    static const char *const names[] = {"server", "+", "#", "a/b", "a b", "dev1\n", "d\xc3\xa9v"};
    struct gwh_error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        request(names[i], own.evp, own.evp);
        assert_int_equal(read_request(NULL), GWH_REFUSED);
        err = (struct gwh_error){0};
        assert_int_equal(gwh_device_id_check(names[i], &err), GWH_REFUSED);
    }
}

static void signs_for_one_purpose(void **state)
{
    static const char *const hosts[] = {"updates.example.com", "127.0.0.1", "::1"};
    struct gwh_leaf device = {"dev1", NULL, 0, GWH_CLIENT, 10}, server = {"s", hosts, 3, GWH_SERVER, 10};
    struct gwh_error err = {0};
    struct gwh_buf pem = {0};
    struct stat st;
    (void)state;
    assert_int_equal(gwh_ca_sign(&ca, &device, &own, &pem, &err), GWH_OK);
    write_file("dev.pem", &pem);
    assert_int_equal(gwh_certificate_check("dev.pem", "ca/ca.pem", GWH_CLIENT, NULL, &err), GWH_OK);
    assert_int_equal(gwh_certificate_check("dev.pem", "ca/ca.pem", GWH_SERVER, NULL, &err), GWH_REFUSED);
    err = (struct gwh_error){0};
    assert_int_equal(gwh_ca_sign_new(&ca, &server, ".", "server", false, &err), GWH_OK);
    assert_true(stat("server.key", &st) == 0 && (st.st_mode & 0777) == 0600);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(gwh_certificate_check("server.pem", "ca/ca.pem", GWH_SERVER, hosts[i], &err), GWH_OK);
    }
    assert_int_equal(gwh_certificate_check("server.pem", "ca/ca.pem", GWH_SERVER, "example.com", &err), GWH_REFUSED);
    err = (struct gwh_error){0};
    assert_int_equal(gwh_certificate_check("server.pem", "ca/ca.pem", GWH_CLIENT, NULL, &err), GWH_REFUSED);
    err = (struct gwh_error){0};
    assert_int_equal(gwh_certificate_fits("server.pem", "server.key", &err), GWH_OK);
    assert_int_equal(gwh_certificate_fits("dev.pem", "server.key", &err), GWH_REFUSED);
    gwh_buf_free(&pem);
}

static void refuses_what_makes_no_sense(void **state)
{
    static const char *const bad[] = {"*.example.com", "a b", "", "a/b", "..", "host,IP:1.2.3.4"};
    struct gwh_leaf leaf = {"s", NULL, 0, GWH_SERVER, 10};
    struct gwh_error err = {0};
    struct gwh_buf pem = {0};
    (void)state;
    assert_int_equal(gwh_ca_sign(&ca, &leaf, &own, &pem, &err), GWH_USAGE);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        leaf.hosts = &bad[i];
        leaf.host_count = 1;
        err = (struct gwh_error){0};
        assert_int_equal(gwh_ca_sign(&ca, &leaf, &own, &pem, &err), GWH_USAGE);
    }
    leaf = (struct gwh_leaf){"dev1", NULL, 0, GWH_CLIENT, 0};
    err = (struct gwh_error){0};
    assert_int_equal(gwh_ca_sign(&ca, &leaf, &own, &pem, &err), GWH_USAGE);
    leaf.days = 10;
    err = (struct gwh_error){0};
    assert_int_equal(gwh_ca_sign(&ca, &leaf, &ca.key, &pem, &err), GWH_REFUSED);
    assert_int_equal(pem.n, 0);
    gwh_buf_free(&pem);
}

static void is_not_overwritten(void **state)
{
    struct gwh_ca other = {0};
    struct gwh_error err = {0};
    (void)state;
    assert_int_equal(gwh_ca_new(&other, "ca", "Other", 100, NULL, false, &err), GWH_REFUSED);
    err = (struct gwh_error){0};
    assert_int_equal(gwh_ca_load(&other, "ca", NULL, &err), GWH_OK);
    assert_memory_equal(other.key.bytes, ca.key.bytes, 64);
    gwh_ca_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_request_that_is_right),
        cmocka_unit_test(refuses_a_request_signed_by_another_key),
        cmocka_unit_test(refuses_a_request_for_another_device),
        cmocka_unit_test(refuses_names_that_are_no_device),
        cmocka_unit_test(signs_for_one_purpose),
        cmocka_unit_test(refuses_what_makes_no_sense),
        cmocka_unit_test(is_not_overwritten),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
