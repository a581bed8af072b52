/*
 * test_release.c - release folders: built, loaded, signed, granted, verified; altered and half-written ones refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "cose.h"
#include "release.h"
#include "uuid.h"

static char folder[] = "/tmp/godwit-release-XXXXXX";
static struct gwh_key author, approver, device;
static uint8_t image[10000];

static const struct gw_crypto *crypto(void)
{
    return gwh_openssl()->gw;
}

static int setup(void **state)
{
    struct gwh_error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof image; i++) {
        image[i] = (uint8_t)(i ^ i >> 8);
    }
    return mkdtemp(folder) == NULL || chdir(folder) != 0 || gwh_key_new(&author, GWH_P256, &err) != GWH_OK ||
           gwh_key_new(&approver, GWH_P256, &err) != GWH_OK || gwh_key_new(&device, GWH_P256, &err) != GWH_OK ||
           gwh_key_save(&device, "device.pem", NULL, false, &err) != GWH_OK ||
           gwh_file_write("image.bin", (struct gw_span){image, sizeof image}, 0644, false, &err) != GWH_OK;
}

static int teardown(void **state)
{
    char command[64];
    (void)state;
    gwh_key_free(&author);
    gwh_key_free(&approver);
    gwh_key_free(&device);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return chdir("/") != 0 || system(command) != 0;
}

static void remove_tree(const char *name)
{
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", name);
    assert_int_equal(system(command), 0);
}

static int build(const char *out, int32_t cipher, bool force, struct gwh_built *built, struct gwh_error *err)
{
    struct gwh_image images[2] = {{.kind = GW_KIND_BOOTABLE, .path = "image.bin"},
                                  {.component = 7, .kind = GW_KIND_DATA, .path = "image.bin"}};
    struct gwh_holder holder;
    struct gwh_build b = {.manifest = {.epoch = 1, .sequence = 5, .version = "1.0.0"},
                          .images = images,
                          .image_count = 2,
                          .frame_size = 1024,
                          .cipher = cipher,
                          .holders = &holder,
                          .holder_count = cipher != 0,
                          .force = force};
    assert_int_equal(gwh_holder_parse(&holder, "device.pem", NULL, &(struct gwh_error){0}), GWH_OK);
    int e = gwh_release_build(&b, out, built, err);
    gwh_holder_free(&holder);
    return e;
}

static void make(const char *out, int32_t cipher)
{
    struct gwh_built built;
    struct gwh_error err = {0};
    assert_int_equal(build(out, cipher, false, &built, &err), GWH_OK);
}

static void sign(const char *path, struct gwh_key *key, int expected_reason)
{
    struct gwh_error err = {0};
    struct gwh_object o = {path, GW_TYPE_MANIFEST};
    assert_int_equal(gwh_object_sign(&o, key, &err), expected_reason == 0 ? GWH_OK : GWH_REFUSED);
    assert_int_equal(err.reason, expected_reason);
}

/* Verifies with a bundle that holds the author, made here; the reason of the refusal or 0. */
static int verify(const char *path, const struct gwh_holders *holders)
{
    struct gw_pubkey key = author.pub;
    struct gwh_trust spec = {.version = 1, .epoch = 1, .keys = &key, .key_count = 1};
    struct gwh_buf map = {0};
    struct gw_trust trust;
    struct gwh_release r;
    struct gwh_error err = {0};
    struct gwh_verify v = {.trust = &trust, .holders = holders};
    key.roles = GW_ROLE_AUTHOR;
    assert_int_equal(gwh_trust_map(&map, &spec), GW_OK);
    assert_int_equal(gw_trust_parse(&trust, map.p, map.n), GW_OK);
    int e = gwh_release_load(&r, path, &err);
    if (e == GWH_OK) {
        e = gwh_release_verify(&r, &v, &err);
    }
    gwh_release_free(&r);
    gwh_buf_free(&map);
    return e == GWH_OK ? 0 : err.reason != 0 ? err.reason : e;
}

static void test_build_and_verify(void **state)
{
    struct gwh_holder holder;
    struct gwh_holders with = {&holder, 1};
    struct gwh_error err = {0};
    (void)state;
    make("rel", GW_ALG_A256CTR);
    assert_int_equal(verify("rel", NULL), GW_ERR_SIGNERS_FEW);
    sign("rel/manifest.cose", &author, 0);
    assert_int_equal(verify("rel", NULL), 0);
    assert_int_equal(gwh_holder_parse(&holder, "device.pem", NULL, &err), GWH_OK);
    assert_int_equal(verify("rel", &with), 0);
    gwh_holder_free(&holder);
}

static void test_signers(void **state)
{
    (void)state;
    sign("rel/manifest.cose", &author, GW_ERR_SIGNER_TWICE);
    sign("rel/manifest.cose", &approver, 0);
    assert_int_equal(verify("rel", NULL), 0); /* an unknown signer more does no harm */
}

static void test_only_unknown_signers(void **state)
{
    (void)state;
    make("other", 0);
    sign("other/manifest.cose", &approver, 0);
    assert_int_equal(verify("other", NULL), GW_ERR_KEY_UNKNOWN);
}

static void test_no_overwriting(void **state)
{
    struct gwh_built built;
    struct gwh_error err = {0}, forced = {0}, precious = {0};
    (void)state;
    make("twice", 0);
    assert_int_equal(build("twice", 0, false, &built, &err), GWH_REFUSED);
    assert_int_equal(build("twice", 0, true, &built, &forced), GWH_OK);
    assert_int_equal(gwh_file_write("twice/mine", (struct gw_span){image, 1}, 0644, false, &forced), GWH_OK);
    assert_int_equal(build("twice", 0, true, &built, &precious), GWH_REFUSED);
    assert_true(gwh_file_exists("twice/mine"));
}

static void test_nobody_can_decrypt(void **state)
{
    struct gwh_image images = {.kind = GW_KIND_BOOTABLE, .path = "image.bin"};
    struct gwh_build b = {.manifest = {.epoch = 1, .sequence = 5, .version = "1"},
                          .images = &images,
                          .image_count = 1,
                          .cipher = GW_ALG_A128CTR};
    struct gwh_built built;
    struct gwh_error err = {0};
    (void)state;
    assert_int_equal(gwh_release_build(&b, "none", &built, &err), GWH_REFUSED);
    assert_int_equal(err.reason, GW_ERR_NO_KEY);
    assert_false(gwh_file_exists("none"));
}

/* A manifest that devices refuse is not written. */
static void test_bad_requests(void **state)
{
    struct gwh_image images = {.kind = GW_KIND_BOOTABLE, .path = "image.bin"}, data = images;
    struct gwh_built built;
    struct gwh_build b = {
        .manifest = {.epoch = 1, .sequence = 5, .version = "1", .floor = 6}, .images = &images, .image_count = 1};
    struct gwh_error err = {0}, no_boot = {0}, missing = {0};
    (void)state;
    assert_int_equal(gwh_release_build(&b, "bad", &built, &err), GWH_REFUSED);
    assert_int_equal(err.reason, GW_ERR_FLOOR_ABOVE);
    b.manifest.floor = 0;
    data.kind = GW_KIND_DATA;
    b.images = &data;
    assert_int_equal(gwh_release_build(&b, "bad", &built, &no_boot), GWH_REFUSED);
    images.path = "nothing.bin";
    b.images = &images;
    assert_int_equal(gwh_release_build(&b, "bad", &built, &missing), GWH_IO);
    assert_false(gwh_file_exists("bad"));
}

struct found {
    struct gwh_place at[4];
    unsigned count;
};

static int collect(void *ctx, const struct gwh_place *at)
{
    struct found *f = ctx;
    f->at[f->count++] = *at;
    return GW_OK;
}

/* Every way of altering a payload file has its reason. */
static void test_payload_files(void **state)
{
    struct gwh_release r;
    struct gwh_error err = {0};
    struct found f = {.count = 0};
    char path[GWH_PATH_MAX];
    struct gwh_buf file = {0};
    struct gw_span none = {0};
    (void)state;
    make("files", 0);
    assert_int_equal(gwh_release_load(&r, "files", &err), GWH_OK);
    assert_int_equal(gwh_each_payload(&r.m, collect, &f), GW_OK);
    assert_int_equal(f.count, 2);
    assert_int_equal(gwh_release_payload_path(path, &r, f.at[0].p.name, &err), GWH_OK);
    assert_int_equal(gwh_file_read(&file, path, 100000, &err), GWH_OK);
    struct gwh_place at = f.at[0];
    assert_int_equal(gwh_payload_check(crypto(), &at, none, gwh_span(&file)), GW_OK);
    assert_int_equal(gwh_payload_check(crypto(), &at, none, (struct gw_span){file.p, file.n - 1}),
                     GW_ERR_PAYLOAD_SHORT);
    assert_int_equal(gwh_buf_add(&file, "x", 1), GW_OK);
    assert_int_equal(gwh_payload_check(crypto(), &at, none, gwh_span(&file)), GW_ERR_PAYLOAD_LONG);
    file.n--;
    for (size_t i = 0; i < file.n; i += 97) {
        file.p[i] ^= 0x10;
        assert_int_equal(gwh_payload_check(crypto(), &at, none, gwh_span(&file)), GW_ERR_FRAME_HASH);
        file.p[i] ^= 0x10;
    }
    at.v.digest[0] ^= 1;
    assert_int_equal(gwh_payload_check(crypto(), &at, none, gwh_span(&file)), GW_ERR_IMAGE_DIGEST);
    at = f.at[0];
    at.p.name[0] ^= 1;
    assert_int_equal(gwh_payload_check(crypto(), &at, none, gwh_span(&file)), GW_ERR_FRAME_HASH);
    gwh_buf_free(&file);
    gwh_release_free(&r);
}

static void test_grants(void **state)
{
    struct gwh_release r, again;
    struct gwh_error err = {0}, other = {0};
    struct gwh_holder holder, stranger = {.is_kek = true, .kid = "k", .kid_size = 1, .kek = {1}, .kek_size = 16};
    struct gwh_holders with = {&holder, 1}, none = {&stranger, 1};
    uint8_t cek[32], found[32];
    size_t n = 0, m = 0;
    (void)state;
    assert_int_equal(gwh_holder_parse(&holder, "device.pem", NULL, &err), GWH_OK);
    assert_int_equal(gwh_release_load(&r, "rel", &err), GWH_OK);
    assert_int_equal(gwh_release_cek(&r, &none, NULL, cek, &n, &other), GWH_REFUSED);
    assert_int_equal(other.reason, GW_ERR_NO_KEY);
    assert_int_equal(gwh_release_cek(&r, &with, NULL, cek, &n, &err), GWH_OK);
    assert_int_equal(n, 32);
    assert_int_equal(gwh_release_grant(&r, (struct gw_span){cek, n}, &stranger, false, &err), GWH_OK);
    assert_true(gwh_file_exists("rel/grants/6b.cose"));
    assert_int_equal(gwh_release_load(&again, "rel", &err), GWH_OK);
    assert_int_equal(again.grant_count, 2);
    assert_int_equal(gwh_release_cek(&again, &none, NULL, found, &m, &err), GWH_OK);
    assert_memory_equal(cek, found, n);
    gwh_release_free(&again);
    gwh_release_free(&r);
    gwh_holder_free(&holder);
}

static void test_head(void **state)
{
    struct gwh_release r;
    struct gwh_error err = {0}, again = {0};
    struct gwh_head head = {.channel = "stable", .latest = {1, 5}, .issued_at = 1, .serial = 1};
    (void)state;
    assert_int_equal(gwh_release_load(&r, "rel", &err), GWH_OK);
    assert_int_equal(gwh_release_head(&r, &head, &author, false, &err), GWH_OK);
    assert_int_equal(gwh_release_head(&r, &head, &author, false, &again), GWH_REFUSED);
    assert_int_equal(verify("rel", NULL), GW_ERR_KEY_ROLE); /* the author is no distributor */
    assert_int_equal(unlink("rel/head.cose"), 0);
    head.channel = "";
    again = (struct gwh_error){0};
    assert_int_equal(gwh_release_head(&r, &head, &author, false, &again), GWH_REFUSED);
    assert_false(gwh_file_exists("rel/head.cose"));
    gwh_release_free(&r);
}

static void test_signature_from_elsewhere(void **state)
{
    struct gwh_object o = {"away/manifest.cose", GW_TYPE_MANIFEST};
    struct gwh_signer signer;
    struct gwh_buf digest = {0};
    struct gwh_error err = {0}, wrong = {0}, size = {0};
    uint8_t sig[512];
    size_t n = 0;
    (void)state;
    make("away", 0);
    assert_int_equal(gwh_object_digest_out(&o, &author, "digest", false, &err), GWH_OK);
    assert_int_equal(gwh_file_read(&digest, "digest", 100, &err), GWH_OK);
    assert_int_equal(digest.n, 32);
    gwh_key_signer(&signer, &author);
    assert_int_equal(signer.sign(signer.ctx, digest.p, sig, &n), GW_OK);
    assert_int_equal(gwh_file_write("sig", (struct gw_span){sig, n - 1}, 0644, true, &err), GWH_OK);
    assert_int_equal(gwh_object_signature_in(&o, &author, "sig", &size), GWH_REFUSED);
    sig[3] ^= 1;
    assert_int_equal(gwh_file_write("sig", (struct gw_span){sig, n}, 0644, true, &err), GWH_OK);
    assert_int_equal(gwh_object_signature_in(&o, &author, "sig", &wrong), GWH_REFUSED);
    assert_int_equal(wrong.reason, GW_ERR_SIGNATURE);
    assert_int_equal(verify("away", NULL), GW_ERR_SIGNERS_FEW); /* nothing was attached */
    sig[3] ^= 1;
    assert_int_equal(gwh_file_write("sig", (struct gw_span){sig, n}, 0644, true, &err), GWH_OK);
    assert_int_equal(gwh_object_signature_in(&o, &author, "sig", &err), GWH_OK);
    assert_int_equal(verify("away", NULL), 0);
    gwh_buf_free(&digest);
}

/* Every truncation and a flip of every byte of a manifest is refused, by the load or by the signature. */
static void test_damaged_manifests(void **state)
{
    struct gwh_buf cose = {0};
    struct gwh_error err = {0};
    (void)state;
    make("hurt", 0);
    sign("hurt/manifest.cose", &author, 0);
    assert_int_equal(verify("hurt", NULL), 0);
    assert_int_equal(gwh_file_read(&cose, "hurt/manifest.cose", 5000, &err), GWH_OK);
    for (size_t i = 0; i < cose.n; i += 5) {
        assert_int_equal(gwh_file_write("hurt/manifest.cose", (struct gw_span){cose.p, i}, 0644, true, &err), GWH_OK);
        assert_int_not_equal(verify("hurt", NULL), 0);
        cose.p[i] ^= 1;
        assert_int_equal(gwh_file_write("hurt/manifest.cose", gwh_span(&cose), 0644, true, &err), GWH_OK);
        assert_int_not_equal(verify("hurt", NULL), 0);
        cose.p[i] ^= 1;
    }
    gwh_buf_free(&cose);
    remove_tree("hurt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build_and_verify),
        cmocka_unit_test(test_signers),
        cmocka_unit_test(test_only_unknown_signers),
        cmocka_unit_test(test_no_overwriting),
        cmocka_unit_test(test_nobody_can_decrypt),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_payload_files),
        cmocka_unit_test(test_grants),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_signature_from_elsewhere),
        cmocka_unit_test(test_damaged_manifests),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
