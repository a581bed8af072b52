/*
 * device_batch.c - godwit device provision --csv: keys, certificates and identities of many devices, and their list.
 *
 * What it keeps true: all lines are checked before the first file is written; a private key is in its device's identity
 * and nowhere else; devices.json holds public things alone, is written last, and only then is the batch complete.
 * Called again before that, it goes on: an identity that is there may be in its device already, and keeps its key.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batch.h"
#include "pki.h"
#include "provision.h"
#include "uuid.h"

struct batch {
    const struct gwh_args *a;
    struct gwh_batch list;
    struct gwh_ca ca;
    uint32_t days;
    struct provisioning *p;
    uint8_t class_id[16]; /* of lines that name none */
    uint32_t hardware;
    json_t *devices;
    size_t kept;
};

/* ---- One device -------------------------------------------------------------------------------------------------- */

static json_t *tags_of(const char *tags)
{
    json_t *list = json_array();
    while (*tags != '\0') {
        size_t n = strcspn(tags, ";");
        (void)json_array_append_new(list, json_stringn(tags, n));
        tags += n + (tags[n] == ';');
    }
    return list;
}

/* Names of the shared keys that all devices of the batch hold: the server chooses grants by them. */
static json_t *kids_of(const struct provisioning *p)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < p->id.ec_count; i++) {
        (void)json_array_append_new(list, gwh_show_hex(p->ec[i].kid, p->ec[i].kid_size));
    }
    for (uint32_t i = 0; i < p->id.kek_count; i++) {
        (void)json_array_append_new(list, gwh_show_hex(p->kek[i].kid, p->kek[i].kid_size));
    }
    return list;
}

static int path_of(char out[GWH_PATH_MAX], const struct batch *b, const char *id, const char *suffix,
                   struct gwh_error *err)
{
    char name[80];
    (void)snprintf(name, sizeof name, "%s%s", id, suffix);
    return gwh_path(out, gwh_text(b->a, "o"), name, err);
}

static int put(const struct batch *b, const char *id, const char *suffix, const struct gwh_buf *bytes, mode_t mode,
               struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    int e = path_of(path, b, id, suffix, err);
    return e == GWH_OK ? gwh_file_write(path, gwh_span(bytes), mode, gwh_flag(b->a, "force"), err) : e;
}

/* What the line says of it. */
static int describe(struct batch *b, const struct gwh_batch_line *l, struct gwh_error *err)
{
    struct provisioning *p = b->p;
    p->id.device_id = l->id;
    p->id.hardware = b->hardware;
    memcpy(p->id.class_id, b->class_id, 16);
    if (l->class[0] != '\0' && gwh_uuid_class(p->id.vendor, l->class, p->id.class_id) != GW_OK) {
        return gwh_fail(err, GWH_REFUSED, "%s is no class", l->class);
    }
    return l->hardware[0] != '\0' ? gwh_number_parse(l->hardware, "hardware", &p->id.hardware, err) : GWH_OK;
}

/* Key, certificate, identity. */
static int make_one(struct batch *b, const struct gwh_batch_line *l, struct gwh_error *err)
{
    struct provisioning *p = b->p;
    struct gwh_leaf leaf = {.name = l->id, .purpose = GWH_CLIENT, .days = b->days};
    struct gwh_buf pem = {0};
    int e = gwh_key_new(&p->own, GWH_P256, err);
    e = e == GWH_OK ? cli_use_own_key(p, l->id, err) : e;
    e = e == GWH_OK ? gwh_ca_sign(&b->ca, &leaf, &p->own, &pem, err) : e;
    e = e == GWH_OK ? gwh_certificate_parse(&p->certificate, gwh_span(&pem), l->id, &p->own, err) : e;
    p->id.certificate = gwh_span(&p->certificate);
    e = e == GWH_OK ? cli_encode_identity(p, err) : e;
    e = e == GWH_OK ? put(b, l->id, ".identity", &p->out, 0600, err) : e;
    gwh_buf_free(&pem);
    return e;
}

/* One that an earlier call made: its key and certificate with what the line says must be the same identity again. */
static int keep_one(struct batch *b, const char *path, struct gwh_error *err)
{
    struct provisioning *p = b->p;
    struct gwh_buf there = {0};
    struct gw_span d, certificate = {NULL, 0};
    int e = gwh_file_read(&there, path, GW_IDENTITY_MAX, err);
    if (e == GWH_OK && (gw_identity_client(there.p, there.n, &d, &certificate) != GW_OK || certificate.n == 0)) {
        e = gwh_fail(err, GWH_REFUSED, "%s is no identity with a certificate", path);
    }
    e = e == GWH_OK ? gwh_key_from_secret(&p->own, d.p, path, err) : e;
    e = e == GWH_OK ? cli_use_own_key(p, path, err) : e;
    e = e == GWH_OK ? gwh_certificate_parse(&p->certificate, certificate, path, &p->own, err) : e;
    p->id.certificate = gwh_span(&p->certificate);
    e = e == GWH_OK ? cli_encode_identity(p, err) : e;
    if (e == GWH_OK && (there.n != p->out.n || memcmp(there.p, p->out.p, there.n) != 0)) {
        e = gwh_fail(err, GWH_REFUSED, "%s was made with other options, or for another line of the list", path);
    }
    if (e != GWH_OK) {
        (void)gwh_hint(err, "take the options and the list of the call that made it, or another folder for -o; "
                            "--force makes all keys anew");
    }
    if (there.p != NULL) {
        gw_wipe(there.p, there.n);
    }
    gwh_buf_free(&there);
    b->kept += e == GWH_OK;
    return e;
}

/* The certificate, from the identity: it is whole if that is. */
static int write_certificate(const struct batch *b, const char *id, bool kept, struct gwh_error *err)
{
    char path[GWH_PATH_MAX], ca[GWH_PATH_MAX];
    struct gwh_buf pem = {0};
    int e = gwh_certificate_pem(&pem, gwh_span(&b->p->certificate), err);
    e = e == GWH_OK ? path_of(path, b, id, ".pem", err) : e;
    e = e == GWH_OK ? gwh_path(ca, gwh_text(b->a, "device-ca"), "ca.pem", err) : e;
    if (e == GWH_OK && (!kept || !gwh_file_exists(path))) {
        e = put(b, id, ".pem", &pem, 0644, err);
    }
    gwh_buf_free(&pem);
    return e == GWH_OK && kept ? gwh_certificate_check(path, ca, GWH_CLIENT, NULL, err) : e;
}

static int add_to_list(struct batch *b, const struct gwh_batch_line *l, struct gwh_error *err)
{
    struct provisioning *p = b->p;
    json_t *o = json_pack("{s:s,s:o,s:o,s:o}", "id", l->id, "class", gwh_show_hex(p->id.class_id, 16), "key",
                          gwh_show_hex(p->own.bytes, 64), "tags", tags_of(l->tags));
    if (p->id.ec_count + p->id.kek_count > 0) {
        (void)json_object_set_new(o, "kids", kids_of(p));
    }
    return json_array_append_new(b->devices, o) == 0 ? GWH_OK : gwh_fail_reason(err, GW_ERR_SPACE, "%s", l->id);
}

static int device(struct batch *b, const struct gwh_batch_line *l, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    int e = path_of(path, b, l->id, ".identity", err);
    bool kept = e == GWH_OK && !gwh_flag(b->a, "force") && gwh_file_exists(path);
    e = e == GWH_OK ? describe(b, l, err) : e;
    if (e == GWH_OK) {
        e = kept ? keep_one(b, path, err) : make_one(b, l, err);
    }
    e = e == GWH_OK ? write_certificate(b, l->id, kept, err) : e;
    e = e == GWH_OK ? add_to_list(b, l, err) : e;
    if (b->p->out.p != NULL) {
        gw_wipe(b->p->out.p, b->p->out.n);
    }
    gw_wipe(b->p->own_d, sizeof b->p->own_d);
    gwh_key_free(&b->p->own);
    gwh_buf_free(&b->p->out);
    gwh_buf_free(&b->p->certificate);
    return e;
}

/* ---- All of them ------------------------------------------------------------------------------------------------- */

static int check_options(const struct gwh_args *a, struct gwh_error *err)
{
    static const char *const single[] = {"id", "own-key", "certificate", "factory", "identity", "board"};
    for (size_t i = 0; i < sizeof single / sizeof *single; i++) {
        if (gwh_flag(a, single[i])) {
            return gwh_fail(err, GWH_USAGE, "--%s is for one device, and --csv makes many", single[i]);
        }
    }
    return gwh_need(a, "device-ca", err);
}

static int write_list(struct batch *b, struct gwh_error *err)
{
    struct gwh_buf text = {0};
    json_t *tree = json_pack("{s:O}", "devices", b->devices);
    char *dump = tree != NULL ? json_dumps(tree, JSON_INDENT(1)) : NULL;
    int e = dump != NULL && gwh_buf_add(&text, dump, strlen(dump)) == GW_OK && gwh_buf_add(&text, "\n", 1) == GW_OK
                ? put(b, "devices", ".json", &text, 0644, err)
                : gwh_fail_reason(err, GW_ERR_SPACE, "devices.json");
    free(dump);
    json_decref(tree);
    gwh_buf_free(&text);
    return e;
}

/* A list that is there says that the batch is complete. One that is to be made anew must not outlive its keys. */
static int open_folder(const struct batch *b, struct gwh_error *err)
{
    const char *out = gwh_text(b->a, "o");
    char path[GWH_PATH_MAX];
    if (mkdir(out, 0700) != 0 && !gwh_is_folder(out)) {
        return gwh_fail_errno(err, "cannot make the folder %s", out);
    }
    int e = path_of(path, b, "devices", ".json", err);
    if (e != GWH_OK || !gwh_file_exists(path)) {
        return e;
    }
    if (!gwh_flag(b->a, "force")) {
        (void)gwh_fail(err, GWH_REFUSED, "%s exists: that batch is complete, and is not overwritten", path);
        return gwh_hint(err, "choose another folder for -o, or add --force to make all keys anew");
    }
    return unlink(path) == 0 ? GWH_OK : gwh_fail_errno(err, "cannot remove %s", path);
}

static void tell(const struct batch *b, bool dry)
{
    const char *out = gwh_text(b->a, "o");
    if (b->kept > 0) {
        gwh_note("%s: %zu of them were there from an earlier call, and keep their keys", out, b->kept);
    }
    gwh_note("%s: %zu devices%s; next: godwit device import %s/devices.json", out, b->list.count,
             dry ? " would be made" : "", out);
}

static int run(struct batch *b, struct gwh_error *err)
{
    bool dry = gwh_flag(b->a, "dry-run");
    int e = check_options(b->a, err);
    e = e == GWH_OK ? gwh_number(b->a, "days", GWH_DEVICE_DAYS, &b->days, err) : e;
    e = e == GWH_OK ? cli_provision_common(b->a, b->p, err) : e;
    memcpy(b->class_id, b->p->id.class_id, 16);
    b->hardware = b->p->id.hardware;
    e = e == GWH_OK ? gwh_batch_read(&b->list, gwh_text(b->a, "csv"), err) : e;
    e = e == GWH_OK ? gwh_ca_load(&b->ca, gwh_text(b->a, "device-ca"), b->p->passphrase, err) : e;
    e = e == GWH_OK && !dry ? open_folder(b, err) : e;
    for (size_t i = 0; e == GWH_OK && !dry && i < b->list.count; i++) {
        e = device(b, &b->list.line[i], err);
    }
    e = e == GWH_OK && !dry ? write_list(b, err) : e;
    if (e == GWH_OK) {
        tell(b, dry);
    }
    return e;
}

int cli_provision_batch(const struct gwh_args *a, struct gwh_error *err)
{
    struct batch b = {.a = a, .devices = json_array(), .p = calloc(1, sizeof *b.p)};
    int e = b.p != NULL && b.devices != NULL ? run(&b, err) : gwh_fail_reason(err, GW_ERR_SPACE, "batch");
    if (b.p != NULL) {
        cli_provision_free(b.p);
    }
    gwh_ca_free(&b.ca);
    gwh_batch_free(&b.list);
    json_decref(b.devices);
    return e;
}
