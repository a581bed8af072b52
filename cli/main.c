/*
 * main.c - godwit: for the people who make releases. The nouns are in files of their own; host/args.c does the rest.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "cose.h"
#include "uuid.h"

int cli_passphrase(const struct gwh_args *a, struct gwh_buf *b, const char **passphrase, struct gwh_error *err)
{
    const char *path = gwh_text(a, "passphrase-file");
    *passphrase = NULL;
    if (path == NULL) {
        return GWH_OK;
    }
    int e = gwh_passphrase_read(b, path, err);
    *passphrase = e == GWH_OK ? (const char *)b->p : NULL;
    return e;
}

int cli_ids(const struct gwh_args *a, uint8_t vendor[16], uint8_t class_id[16], struct gwh_error *err)
{
    int e = gwh_uuid_vendor(gwh_text(a, "vendor"), vendor);
    if (e == GW_OK) {
        e = gwh_uuid_class(vendor, gwh_text(a, "class"), class_id);
    }
    return e == GW_OK ? GWH_OK : gwh_fail_reason(err, e, "vendor and class ids");
}

/* Has this very key been added? Then it only gets the roles too. */
static bool merge_roles(struct cli_keys *k, uint32_t roles)
{
    const struct gwh_key *added = &k->key[k->count];
    for (uint32_t i = 0; i < k->count; i++) {
        if (memcmp(k->key[i].thumbprint, added->thumbprint, 32) == 0) {
            k->pub[i].roles |= roles;
            return roles != 0;
        }
    }
    return false;
}

int cli_keys_add(struct cli_keys *k, const char *path, const char *passphrase, uint32_t roles, struct gwh_error *err)
{
    if (k->count == GW_KEYS_MAX) {
        return gwh_fail(err, GWH_USAGE, "more than %u keys", GW_KEYS_MAX);
    }
    int e = gwh_key_load(&k->key[k->count], path, passphrase, err);
    if (e != GWH_OK) {
        return e;
    }
    if (merge_roles(k, roles)) {
        gwh_key_free(&k->key[k->count]);
        return GWH_OK;
    }
    k->pub[k->count] = k->key[k->count].pub;
    k->pub[k->count].roles = roles;
    k->count++;
    return GWH_OK;
}

int cli_keys_add_all(struct cli_keys *k, const char *path, struct gwh_error *err)
{
    struct gwh_buf pem = {0};
    size_t at = 0, used = 0;
    int e = gwh_file_read(&pem, path, 65536, err);
    while (e == GWH_OK && at < pem.n && k->count < GW_KEYS_MAX) {
        e = gwh_key_parse(&k->key[k->count], (struct gw_span){pem.p + at, pem.n - at}, path, NULL, &used, err);
        if (e == GWH_OK) {
            k->pub[k->count] = k->key[k->count].pub;
            k->count++;
            at += used;
        }
    }
    gwh_buf_free(&pem);
    return e;
}

void cli_keys_free(struct cli_keys *k)
{
    for (uint32_t i = 0; i < k->count; i++) {
        gwh_key_free(&k->key[i]);
    }
    k->count = 0;
}

int cli_print(const struct gwh_args *a, json_t *tree)
{
    gwh_show_print(tree, gwh_flag(a, "json"));
    json_decref(tree);
    return GWH_OK;
}

static int sign_elsewhere(const struct gwh_args *a, const struct gwh_object *o, struct gwh_key *key,
                          struct gwh_error *err)
{
    const char *digest = gwh_text(a, "digest-out"), *signature = gwh_text(a, "signature-in");
    if (digest != NULL) {
        int e = gwh_object_digest_out(o, key, digest, gwh_flag(a, "force"), err);
        if (e == GWH_OK) {
            gwh_note("%s: the 32 bytes that %s has to sign are in %s", o->path,
                     key->evp != NULL ? "this key" : "a P-256 key (name an RSA key with --public)", digest);
        }
        return e;
    }
    return gwh_object_signature_in(o, key, signature, err);
}

int cli_sign(const struct gwh_args *a, const struct gwh_object *o, struct gwh_error *err)
{
    const char *private_path = gwh_text(a, "key"), *public_path = gwh_text(a, "public");
    bool digest = gwh_flag(a, "digest-out"), signature = gwh_flag(a, "signature-in");
    struct gwh_key key = {0};
    struct gwh_buf secret = {0};
    const char *passphrase = NULL;
    if (digest + signature + (private_path != NULL) != 1 || (private_path != NULL && public_path != NULL) ||
        (signature && public_path == NULL)) {
        (void)gwh_fail(err, GWH_USAGE,
                       "expected one of --key KEY.pem, --digest-out FILE, --signature-in FILE --public KEY.pub.pem");
        return gwh_hint(err, "godwit %s sign --help", a->command->noun);
    }
    int e = cli_passphrase(a, &secret, &passphrase, err);
    if (e == GWH_OK && private_path != NULL) {
        e = gwh_key_load_private(&key, private_path, passphrase, err);
    } else if (e == GWH_OK && public_path != NULL) {
        e = gwh_key_load(&key, public_path, passphrase, err);
    } else {
        key.pub.algorithm = GW_ALG_ES256; /* the digest depends on no more than that */
    }
    gwh_buf_free(&secret);
    if (e == GWH_OK) {
        e = private_path != NULL ? gwh_object_sign(o, &key, err) : sign_elsewhere(a, o, &key, err);
    }
    if (e == GWH_OK && !gwh_flag(a, "digest-out")) {
        char id[2 * GW_KEY_ID_SIZE + 1];
        gwh_hex(id, key.thumbprint, GW_KEY_ID_SIZE);
        gwh_note("%s: signed by key %s (%s)", o->path, id, gwh_key_kind_name(&key));
    }
    gwh_key_free(&key);
    return e;
}

/* Roots as given, else as `key bundle` left them beside the bundle. Says which were used. */
static int find_roots(const struct gwh_args *a, const char *bundle, struct cli_keys *roots, struct gwh_error *err)
{
    char beside[GWH_PATH_MAX + 16];
    int e = GWH_OK;
    for (unsigned i = 0; e == GWH_OK && gwh_text_i(a, "root", i) != NULL; i++) {
        e = cli_keys_add(roots, gwh_text_i(a, "root", i), NULL, 0, err);
    }
    if (e != GWH_OK || roots->count > 0) {
        return e;
    }
    (void)snprintf(beside, sizeof beside, "%s.roots.pem", bundle);
    if (!gwh_file_exists(beside)) {
        (void)gwh_fail(err, GWH_USAGE, "no --root given, and there is no %s", beside);
        return gwh_hint(err, "add --root ROOT.pub.pem for each root of the device");
    }
    e = cli_keys_add_all(roots, beside, err);
    if (e == GWH_OK) {
        gwh_note("roots: the %u in %s (devices have theirs in their identity)", (unsigned)roots->count, beside);
    }
    return e;
}

int cli_trust(const struct gwh_args *a, struct gwh_buf *bytes, struct gw_trust *trust, struct gwh_error *err)
{
    const char *path = gwh_text(a, "trust");
    struct cli_keys *keys = calloc(1, sizeof *keys);
    struct gw_roots roots = {0};
    uint32_t threshold = 1;
    if (keys == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "%s", path);
    }
    int e = gwh_file_read(bytes, path, GW_TRUST_MAX, err);
    if (e == GWH_OK) {
        e = find_roots(a, path, keys, err);
    }
    if (e == GWH_OK) {
        e = gwh_number(a, "threshold", keys->count < 2 ? 1 : 2, &threshold, err);
    }
    if (e == GWH_OK && keys->count > GW_ROOTS_MAX) {
        e = gwh_fail(err, GWH_USAGE, "a device has at most %u roots", GW_ROOTS_MAX);
    }
    if (e == GWH_OK) {
        roots.count = keys->count;
        roots.threshold = threshold;
        memcpy(roots.key, keys->pub, keys->count * sizeof *keys->pub);
        for (uint32_t i = 0; i < roots.count; i++) {
            roots.key[i].roles = GW_ROLE_ROOT;
        }
        int reason = gw_trust_open(trust, gwh_openssl()->gw, &roots, bytes->p, bytes->n);
        e = reason == GW_OK ? GWH_OK
                            : gwh_fail_reason(err, reason, "the bundle %s is refused by %u of %u roots", path,
                                              (unsigned)threshold, (unsigned)roots.count);
    }
    cli_keys_free(keys);
    free(keys);
    return e;
}

int main(int argc, char **argv)
{
    static const struct gwh_command *const tables[] = {cli_key,    cli_release, cli_publish, cli_device, cli_pki,
                                                       cli_devices, cli_rollout, cli_serve,  cli_layout, cli_push,
                                                       cli_patch,  cli_report,  cli_other,   NULL};
    static const struct gwh_program program = {"godwit", "keys, releases and devices: updates for embedded devices",
                                               tables};
    return gwh_main(&program, argc, argv);
}
