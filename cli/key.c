/*
 * key.c - godwit key: new, list, export, bundle, sign.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "cose.h"
#include "pki.h"

/* ---- new --------------------------------------------------------------------------------------------------------- */

static const struct gwh_option new_options[] = {
    {"type", "TYPE", "p256, rsa2048, rsa3072; kek or kek128 for a pre-shared key. p256 if not given", false, false},
    {"device-ca", "NAME", "instead of a key: a CA for devices, in a folder FILE; it never goes to the server", false,
     false},
    {"days", "N", "for --device-ca: how long its certificate is good; 20 years if not given", false, false},
    CLI_PASSPHRASE,
    CLI_FORCE,
    CLI_DRY_RUN,
    GWH_OPTIONS_END,
};

/* KEY.pem -> KEY.pub.pem */
static int public_path(char out[GWH_PATH_MAX], const char *path, struct gwh_error *err)
{
    size_t n = strlen(path);
    n -= n > 4 && strcmp(path + n - 4, ".pem") == 0 ? 4 : 0;
    if (n + 9 > GWH_PATH_MAX) {
        return gwh_fail(err, GWH_IO, "the path %.80s... is too long", path);
    }
    memcpy(out, path, n);
    memcpy(out + n, ".pub.pem", 9);
    return GWH_OK;
}

static int new_kek(const char *path, size_t n, bool force, struct gwh_error *err)
{
    const struct gw_crypto *c = gwh_openssl()->gw;
    uint8_t kek[32];
    char text[66];
    if (c->random(c->ctx, kek, n) != 0) {
        return gwh_fail_reason(err, GW_ERR_CRYPTO, "cannot make a key");
    }
    gwh_hex(text, kek, n);
    text[2 * n] = '\n';
    int e = gwh_file_write(path, (struct gw_span){(const uint8_t *)text, 2 * n + 1}, 0600, force, err);
    gw_wipe(kek, sizeof kek);
    gw_wipe(text, sizeof text);
    if (e == GWH_OK) {
        gwh_note("%s: a pre-shared key of %zu bits; keep it secret", path, 8 * n);
    }
    return e;
}

static int save_pair(const struct gwh_args *a, struct gwh_key *key, const char *path, struct gwh_error *err)
{
    char public_name[GWH_PATH_MAX], id[2 * GW_KEY_ID_SIZE + 1];
    struct gwh_buf secret = {0};
    const char *passphrase = NULL;
    bool force = gwh_flag(a, "force");
    int e = public_path(public_name, path, err);
    if (e == GWH_OK && !force && gwh_file_exists(public_name)) {
        (void)gwh_fail(err, GWH_REFUSED, "%s exists and is not overwritten", public_name);
        e = gwh_hint(err, "choose another name, or add --force to replace both");
    }
    if (e == GWH_OK) {
        e = cli_passphrase(a, &secret, &passphrase, err);
    }
    if (e == GWH_OK && !gwh_flag(a, "dry-run")) {
        e = gwh_key_save(key, path, passphrase, force, err);
        if (e == GWH_OK) {
            e = gwh_key_save_public(key, public_name, force, err);
        }
    }
    if (e == GWH_OK) {
        gwh_hex(id, key->thumbprint, GW_KEY_ID_SIZE);
        gwh_note("%s: a %s key, id %s%s; public half: %s", path, gwh_key_kind_name(key), id,
                 passphrase != NULL ? ", encrypted" : "", public_name);
    }
    gwh_buf_free(&secret);
    return e;
}

static int new_single(const struct gwh_args *a, struct gwh_error *err)
{
    static const struct {
        const char *name;
        int kind; /* enum gwh_key_kind, or -bytes of a KEK */
    } types[] = {{"p256", GWH_P256}, {"rsa2048", GWH_RSA2048}, {"rsa3072", GWH_RSA3072}, {"kek", -32}, {"kek128", -16}};
    const char *type = gwh_text(a, "type") != NULL ? gwh_text(a, "type") : "p256", *path = a->operand[0];
    struct gwh_key key = {0};
    size_t i = 0;
    while (i < 5 && strcmp(types[i].name, type) != 0) {
        i++;
    }
    if (i == 5) {
        return gwh_fail(err, GWH_USAGE, "--type %s: expected p256, rsa2048, rsa3072, kek or kek128", type);
    }
    if (!gwh_flag(a, "force") && gwh_file_exists(path)) {
        (void)gwh_fail(err, GWH_REFUSED, "%s exists and is not overwritten", path);
        return gwh_hint(err, "choose another name, or add --force to replace it");
    }
    if (types[i].kind < 0) {
        return gwh_flag(a, "dry-run") ? GWH_OK : new_kek(path, (size_t)-types[i].kind, gwh_flag(a, "force"), err);
    }
    int e = gwh_key_new(&key, (enum gwh_key_kind)types[i].kind, err);
    if (e == GWH_OK) {
        e = save_pair(a, &key, path, err);
    }
    gwh_key_free(&key);
    return e;
}

static int run_new(const struct gwh_args *a, struct gwh_error *err)
{
    if (!gwh_flag(a, "device-ca")) {
        return gwh_flag(a, "days") ? gwh_fail(err, GWH_USAGE, "--days is for --device-ca") : new_single(a, err);
    }
    return gwh_flag(a, "type") ? gwh_fail(err, GWH_USAGE, "a CA has a P-256 key: no --type") : cli_new_ca(a, err);
}

/* ---- list, export ------------------------------------------------------------------------------------------------ */

static const struct gwh_option list_options[] = {CLI_JSON, CLI_PASSPHRASE, GWH_OPTIONS_END};

static json_t *describe_key(const char *path, const char *passphrase)
{
    struct gwh_key key = {0};
    struct gwh_error why = {0};
    json_t *o;
    if (gwh_key_load(&key, path, passphrase, &why) == GWH_OK) {
        o = gwh_show_key(&key);
    } else {
        o = json_pack("{s:s}", "unreadable", why.text);
    }
    (void)json_object_set_new(o, "file", json_string(path));
    gwh_key_free(&key);
    return o;
}

static int list_folder(json_t *list, const char *folder, const char *passphrase, struct gwh_error *err)
{
    struct dirent **names = NULL;
    char path[GWH_PATH_MAX];
    int n = scandir(folder, &names, NULL, alphasort), e = GWH_OK;
    if (n < 0) {
        return gwh_fail_errno(err, "cannot read %s", folder);
    }
    for (int i = 0; i < n; i++) {
        size_t length = strlen(names[i]->d_name);
        if (length > 4 && strcmp(names[i]->d_name + length - 4, ".pem") == 0 && e == GWH_OK) {
            e = gwh_path(path, folder, names[i]->d_name, err);
            if (e == GWH_OK) {
                (void)json_array_append_new(list, describe_key(path, passphrase));
            }
        }
        free(names[i]);
    }
    free(names);
    return e;
}

static int run_list(const struct gwh_args *a, struct gwh_error *err)
{
    json_t *list = json_array();
    struct gwh_buf secret = {0};
    const char *passphrase = NULL;
    int e = cli_passphrase(a, &secret, &passphrase, err);
    for (unsigned i = 0; e == GWH_OK && i < (a->operand_count == 0 ? 1 : a->operand_count); i++) {
        const char *path = a->operand_count == 0 ? "." : a->operand[i];
        if (gwh_is_folder(path)) {
            e = list_folder(list, path, passphrase, err);
        } else {
            (void)json_array_append_new(list, describe_key(path, passphrase));
        }
    }
    gwh_buf_free(&secret);
    if (e != GWH_OK) {
        json_decref(list);
        return e;
    }
    return cli_print(a, list);
}

static const struct gwh_option export_options[] = {
    {"o", "FILE", "write it there instead of stdout", false, false},
    CLI_PASSPHRASE,
    CLI_FORCE,
    GWH_OPTIONS_END,
};

static int run_export(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_key key = {0};
    struct gwh_buf secret = {0}, pem = {0};
    const char *passphrase = NULL, *out = gwh_text(a, "o");
    int e = cli_passphrase(a, &secret, &passphrase, err);
    if (e == GWH_OK) {
        e = gwh_key_load(&key, a->operand[0], passphrase, err);
    }
    if (e == GWH_OK && out != NULL) {
        e = gwh_key_save_public(&key, out, gwh_flag(a, "force"), err);
    } else if (e == GWH_OK) {
        e = gwh_key_public_pem(&pem, &key, err);
        (void)fwrite(pem.p, 1, pem.n, stdout);
    }
    gwh_key_free(&key);
    gwh_buf_free(&secret);
    gwh_buf_free(&pem);
    return e;
}

/* ---- bundle ------------------------------------------------------------------------------------------------------ */

static const struct gwh_option bundle_options[] = {
    {"root", "KEY", "a root of the devices; signs if it is a private key", true, true},
    {"author", "KEY", "may sign manifests", false, true},
    {"approver", "KEY", "may approve manifests", false, true},
    {"distributor", "KEY", "may sign channel heads", false, true},
    {"revoke", "KEY", "revoked: nothing that it signed counts", false, true},
    {"version", "N", "of the bundle; devices take only newer ones", true, false},
    {"epoch", "N", "of the releases that it accepts", true, false},
    {"policy", "ROLES", "what manifests need: author=1,approver=1; author+approver=2. author=1 if not given", false,
     false},
    {"pin", "HEX", "SHA-256 of a server CA's SubjectPublicKeyInfo", false, true},
    {"host", "NAME", "payloads may come from there", false, true},
    {"server-ca", "FILE", "CA that may sign servers, PEM or DER: if any is given, they alone may", false, true},
    CLI_OUT("the bundle; the roots' public keys go to FILE.roots.pem"),
    CLI_PASSPHRASE,
    CLI_FORCE,
    CLI_DRY_RUN,
    GWH_OPTIONS_END,
};
#define HOSTS_MAX 16u

struct bundling {
    struct cli_keys roots, keys, revoked_keys;
    struct gw_policy_line policy[GW_POLICY_MAX];
    uint8_t revoked[GW_KEYS_MAX][32], pins[HOSTS_MAX][32];
    const char *hosts[HOSTS_MAX];
    struct gwh_buf ca[GW_SERVER_CAS_MAX];
    struct gw_span cas[GW_SERVER_CAS_MAX];
    struct gwh_trust spec;
    struct gwh_buf map, cose, secret, pem;
    const char *passphrase;
};

/* "author+approver" */
static bool parse_roles(const char *text, size_t n, uint32_t *roles)
{
    static const char *const name[] = {"author", "approver", "distributor"};
    *roles = 0;
    while (n > 0) {
        const char *plus = memchr(text, '+', n);
        size_t word = plus == NULL ? n : (size_t)(plus - text);
        uint32_t found = 0;
        for (unsigned i = 0; i < 3; i++) {
            found |= strlen(name[i]) == word && memcmp(name[i], text, word) == 0 ? 1u << i : 0;
        }
        if (found == 0) {
            return false;
        }
        *roles |= found;
        text += word + (plus != NULL);
        n -= word + (plus != NULL);
    }
    return *roles != 0;
}

static int parse_policy(struct bundling *b, const char *text, struct gwh_error *err)
{
    const char *at = text;
    while (at != NULL && *at != '\0') {
        const char *equals = strchr(at, '='), *comma = strchr(at, ',');
        char *end = NULL;
        if (equals == NULL || (comma != NULL && comma < equals) || b->spec.policy_count == GW_POLICY_MAX) {
            break;
        }
        struct gw_policy_line *line = &b->policy[b->spec.policy_count++];
        unsigned long count = strtoul(equals + 1, &end, 10);
        if (!parse_roles(at, (size_t)(equals - at), &line->roles) || count == 0 || count > GW_SIGNATURES_MAX ||
            (*end != ',' && *end != '\0')) {
            break;
        }
        line->count = (uint32_t)count;
        at = comma == NULL ? NULL : comma + 1;
    }
    if (at != NULL) {
        return gwh_fail(err, GWH_USAGE,
                        "--policy %s: expected ROLES=COUNT[,ROLES=COUNT...], at most %u, roles author, "
                        "approver, distributor joined by +",
                        text, GW_POLICY_MAX);
    }
    b->spec.policy = b->policy;
    return GWH_OK;
}

static int add_keys(const struct gwh_args *a, struct bundling *b, struct cli_keys *keys, const char *option,
                    uint32_t roles, struct gwh_error *err)
{
    int e = GWH_OK;
    for (unsigned i = 0; e == GWH_OK && gwh_text_i(a, option, i) != NULL; i++) {
        e = cli_keys_add(keys, gwh_text_i(a, option, i), b->passphrase, roles, err);
    }
    return e;
}

static int load_bundle_keys(const struct gwh_args *a, struct bundling *b, struct gwh_error *err)
{
    const struct {
        struct cli_keys *keys;
        const char *option;
        uint32_t roles;
    } sources[] = {{&b->roots, "root", GW_ROLE_ROOT},
                   {&b->keys, "author", GW_ROLE_AUTHOR},
                   {&b->keys, "approver", GW_ROLE_APPROVER},
                   {&b->keys, "distributor", GW_ROLE_DISTRIBUTOR},
                   {&b->revoked_keys, "revoke", 0}};
    int e = cli_passphrase(a, &b->secret, &b->passphrase, err);
    for (size_t i = 0; e == GWH_OK && i < 5; i++) {
        e = add_keys(a, b, sources[i].keys, sources[i].option, sources[i].roles, err);
    }
    for (uint32_t i = 0; i < b->revoked_keys.count; i++) {
        memcpy(b->revoked[i], b->revoked_keys.key[i].thumbprint, 32);
    }
    return e;
}

static int load_texts(const struct gwh_args *a, struct bundling *b, struct gwh_error *err)
{
    if (gwh_text_count(a, "pin") > HOSTS_MAX || gwh_text_count(a, "host") > HOSTS_MAX) {
        return gwh_fail(err, GWH_USAGE, "at most %u pins and hosts", HOSTS_MAX);
    }
    for (unsigned i = 0; gwh_text_i(a, "pin", i) != NULL; i++) {
        if (!gwh_unhex(b->pins[i], 32, gwh_text_i(a, "pin", i))) {
            return gwh_fail(err, GWH_USAGE, "--pin %s: expected 64 hexadecimal digits", gwh_text_i(a, "pin", i));
        }
    }
    for (unsigned i = 0; gwh_text_i(a, "host", i) != NULL; i++) {
        b->hosts[i] = gwh_text_i(a, "host", i);
    }
    return gwh_flag(a, "policy") ? parse_policy(b, gwh_text(a, "policy"), err) : GWH_OK;
}

static int load_server_cas(const struct gwh_args *a, struct bundling *b, struct gwh_error *err)
{
    unsigned n = gwh_text_count(a, "server-ca");
    if (n > GW_SERVER_CAS_MAX) {
        return gwh_fail(err, GWH_USAGE, "at most %u CAs of servers", GW_SERVER_CAS_MAX);
    }
    for (unsigned i = 0; i < n; i++) {
        const char *path = gwh_text_i(a, "server-ca", i);
        int e = gwh_server_ca_read(&b->ca[i], path, err);
        if (e != GWH_OK) {
            return e;
        }
        b->cas[i] = gwh_span(&b->ca[i]);
        for (unsigned j = 0; j < i; j++) {
            if (b->cas[j].n == b->cas[i].n && memcmp(b->cas[j].p, b->cas[i].p, b->cas[i].n) == 0) {
                return gwh_fail(err, GWH_USAGE, "--server-ca %s: it was given before", path);
            }
        }
    }
    b->spec.server_cas = b->cas;
    b->spec.server_ca_count = n;
    return GWH_OK;
}

static int make_bundle(const struct gwh_args *a, struct bundling *b, struct gwh_error *err)
{
    struct gwh_trust *s = &b->spec;
    int e = gwh_number(a, "version", 0, &s->version, err);
    if (e == GWH_OK) {
        e = gwh_number(a, "epoch", 0, &s->epoch, err);
    }
    if (e != GWH_OK) {
        return e;
    }
    s->keys = b->keys.pub;
    s->key_count = b->keys.count;
    s->revoked = (const uint8_t(*)[32])b->revoked;
    s->revoked_count = b->revoked_keys.count;
    s->pins = (const uint8_t(*)[32])b->pins;
    s->pin_count = gwh_text_count(a, "pin");
    s->hosts = b->hosts;
    s->host_count = gwh_text_count(a, "host");
    int reason = gwh_trust_map(&b->map, s);
    struct gw_trust parsed;
    if (reason == GW_OK) {
        reason = gw_trust_parse(&parsed, b->map.p, b->map.n);
    }
    return reason == GW_OK ? GWH_OK : gwh_fail_reason(err, reason, "no device would take this bundle");
}

/* Too large: how much, and what takes the room. */
static int too_large(const struct bundling *b, struct gwh_error *err)
{
    size_t cas = 0;
    for (uint32_t i = 0; i < b->spec.server_ca_count; i++) {
        cas += b->cas[i].n;
    }
    (void)gwh_fail_reason(err, GW_ERR_LIMIT, "the bundle has %zu bytes, and devices take at most %u", b->cose.n,
                          GW_TRUST_MAX);
    if (cas == 0) {
        return gwh_hint(err, "leave out keys, revoked keys, pins or hosts that are not needed any more");
    }
    return gwh_hint(err, "its CAs of servers take %zu of them: leave out those whose servers are gone, or use CAs with "
                         "P-256 keys and short names (some 400 bytes each)", cas);
}

/* Signed by every root whose private half is here; then checked as a device does. */
static int sign_bundle(struct bundling *b, uint32_t *signatures, struct gwh_error *err)
{
    const struct gw_crypto *c = gwh_openssl()->gw;
    struct gwh_signer signers[GW_KEYS_MAX];
    struct gw_roots roots = {.count = b->roots.count};
    struct gw_trust trust;
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->roots.count; i++) {
        roots.key[i] = b->roots.pub[i];
        if (b->roots.key[i].is_private) {
            gwh_key_signer(&signers[n++], &b->roots.key[i]);
        }
    }
    roots.threshold = n;
    int e = gwh_sign_map(&b->cose, c, GW_TYPE_TRUST, gwh_span(&b->map), signers, n);
    *signatures = n;
    if (e == GW_OK && b->cose.n > GW_TRUST_MAX) {
        return too_large(b, err);
    }
    if (e == GW_OK && n > 0) {
        e = gw_trust_open(&trust, c, &roots, b->cose.p, b->cose.n);
    }
    return e == GW_OK ? GWH_OK : gwh_fail_reason(err, e, "no device would take this bundle");
}

static int write_bundle(const struct gwh_args *a, struct bundling *b, struct gwh_error *err)
{
    char roots[GWH_PATH_MAX];
    const char *out = gwh_text(a, "o");
    bool force = gwh_flag(a, "force");
    int e = GWH_OK;
    if ((size_t)snprintf(roots, sizeof roots, "%s.roots.pem", out) >= sizeof roots) {
        return gwh_fail(err, GWH_IO, "the path %.80s... is too long", out);
    }
    for (uint32_t i = 0; e == GWH_OK && i < b->roots.count; i++) {
        e = gwh_key_public_pem(&b->pem, &b->roots.key[i], err);
    }
    if (e == GWH_OK && !force && gwh_file_exists(roots)) {
        (void)gwh_fail(err, GWH_REFUSED, "%s exists and is not overwritten", roots);
        e = gwh_hint(err, "choose another name, or add --force");
    }
    if (e == GWH_OK) {
        e = gwh_file_write(out, gwh_span(&b->cose), 0644, force, err);
    }
    return e == GWH_OK ? gwh_file_write(roots, gwh_span(&b->pem), 0644, force, err) : e;
}

static int run_bundle(const struct gwh_args *a, struct gwh_error *err)
{
    struct bundling *b = calloc(1, sizeof *b);
    uint32_t signatures = 0;
    int e = b == NULL ? gwh_fail_reason(err, GW_ERR_SPACE, "bundle") : load_bundle_keys(a, b, err);
    if (e == GWH_OK && (b->roots.count < 2 || b->roots.count > GW_ROOTS_MAX)) {
        e = gwh_fail(err, GWH_USAGE, "a device has 2 to %u different roots; %u given", GW_ROOTS_MAX,
                     (unsigned)b->roots.count);
    }
    if (e == GWH_OK) {
        e = load_texts(a, b, err);
    }
    if (e == GWH_OK) {
        e = load_server_cas(a, b, err);
    }
    if (e == GWH_OK) {
        e = make_bundle(a, b, err);
    }
    if (e == GWH_OK) {
        e = sign_bundle(b, &signatures, err);
    }
    if (e == GWH_OK && !gwh_flag(a, "dry-run")) {
        e = write_bundle(a, b, err);
    }
    if (e == GWH_OK) {
        gwh_note("%s: %zu bytes, %u keys, signed by %u of %u roots", gwh_text(a, "o"), b->cose.n,
                 (unsigned)b->keys.count, (unsigned)signatures, (unsigned)b->roots.count);
    }
    if (b != NULL) {
        cli_keys_free(&b->roots);
        cli_keys_free(&b->keys);
        cli_keys_free(&b->revoked_keys);
        gwh_buf_free(&b->map);
        gwh_buf_free(&b->cose);
        gwh_buf_free(&b->secret);
        gwh_buf_free(&b->pem);
        for (unsigned i = 0; i < GW_SERVER_CAS_MAX; i++) {
            gwh_buf_free(&b->ca[i]);
        }
    }
    free(b);
    return e;
}

/* ---- sign -------------------------------------------------------------------------------------------------------- */

static const struct gwh_option sign_options[] = {
    {"key", "KEY", "private key of a root", false, false},
    {"public", "KEY", "its public key, when the private one is elsewhere; a P-256 key if not given", false, false},
    {"digest-out", "FILE", "write the 32 bytes that it has to sign", false, false},
    {"signature-in", "FILE", "take the signature that it made", false, false},
    CLI_PASSPHRASE,
    CLI_FORCE,
    GWH_OPTIONS_END,
};

static int run_sign(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_object o = {a->operand[0], GW_TYPE_TRUST};
    return cli_sign(a, &o, err);
}

const struct gwh_command cli_key[] = {
    {"key", "new", "FILE", 1, 1, "make a key: FILE (0600) and its public half beside it", new_options,
     "godwit key new author.pem", run_new},
    {"key", "list", "[FILE ...]", 0, GWH_OPERANDS_MAX, "keys in files or folders, by kind and id", list_options,
     "godwit key list", run_list},
    {"key", "export", "FILE", 1, 1, "public half of a key, as PEM", export_options, "godwit key export author.pem",
     run_export},
    {"key", "bundle", "", 0, 0, "make a trust bundle: which keys may sign what, signed by the roots", bundle_options,
     "godwit key bundle --root root1.pem --root root2.pem --author author.pem --version 1 --epoch 1 -o trust.cose",
     run_bundle},
    {"key", "sign", "BUNDLE", 1, 1, "add a root's signature to a trust bundle", sign_options,
     "godwit key sign trust.cose --key root3.pem", run_sign},
    CLI_COMMANDS_END,
};
