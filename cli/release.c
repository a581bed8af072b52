/*
 * release.c - godwit release: build, sign, grant, head, inspect, verify. Publishing is in publish.c.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "coding.h"
#include "cose.h"

/* ---- build ------------------------------------------------------------------------------------------------------- */

static const struct gwh_option build_options[] = {
    {"version", "TEXT", "version for people, like 1.4.0", true, false},
    {"sequence", "N", "order among releases; from the version if not given", false, false},
    {"epoch", "N", "as in the trust bundle; 1 if not given", false, false},
    {"vendor", "DOMAIN", "vendor's domain name", true, false},
    {"class", "NAME", "class of device", true, false},
    {"address", "ADDRESS=FILE", "image linked for the slot that starts there, instead of IMAGE", false, true},
    {"data", "ID=FILE", "a data component", false, true},
    {"floor", "N", "once confirmed, no sequence below N starts again", false, false},
    {"use-before", "T", "seconds since 1970; not installed from then on", false, false},
    {"device", "ID", "only for this device", false, true},
    {"needs-hardware", "MIN[-MAX]", "hardware revisions", false, false},
    {"needs-bootloader", "MIN[-MAX]", "bootloader versions", false, false},
    {"needs-installed", "MIN[-MAX]", "sequences of the installed release", false, false},
    {"notes", "URI", "notes for people", false, false},
    {"frame-size", "BYTES", "256 to 65536, a multiple of 64; 4096 if not given", false, false},
    {"encrypt", "CIPHER", "aes128 or aes256; aes128 if --encrypt-to is given", false, false},
    {"encrypt-to", "HOLDER", "DEVICE.pub.pem or kek:NAME=FILE: who may decrypt", false, true},
    {"cek-out", "FILE", "keep the content key, for granting it later (0600); keep it secret", false, false},
    CLI_CODING_OPTIONS,
    CLI_PASSPHRASE,
    {"o", "FOLDER", "the release", true, false},
    CLI_FORCE,
    CLI_DRY_RUN,
    GWH_OPTIONS_END,
};
#define LIST_MAX 64u

struct building {
    struct gwh_build b;
    struct gwh_image image[GWH_IMAGES_MAX];
    struct gwh_holder holder[LIST_MAX];
    const char *device[LIST_MAX];
    struct gw_dependency dependency[3];
};

bool cli_sequence_of(const char *version, uint32_t *sequence)
{
    unsigned long part[3] = {0};
    const char *at = version;
    for (int i = 0; i < 3; i++) {
        char *end = NULL;
        part[i] = *at >= '0' && *at <= '9' ? strtoul(at, &end, 10) : 0;
        if (end == NULL || part[i] > (i == 0 ? 4293ul : 999ul) || (i < 2 && *end != '.')) {
            return false;
        }
        at = end + (i < 2);
    }
    *sequence = (uint32_t)(part[0] * 1000000 + part[1] * 1000 + part[2]);
    return (*at == '\0' || *at == '-' || *at == '+') && *sequence > 0;
}

static int choose_sequence(const struct gwh_args *a, struct gwh_manifest *m, struct gwh_error *err)
{
    if (gwh_flag(a, "sequence")) {
        return gwh_number(a, "sequence", 0, &m->sequence, err);
    }
    if (!cli_sequence_of(m->version, &m->sequence)) {
        (void)gwh_fail(err, GWH_USAGE,
                       "no sequence can be made from the version %s (MAJOR.MINOR.PATCH, minor and patch below 1000)",
                       m->version);
        return gwh_hint(err, "add --sequence N, larger than that of the release before");
    }
    gwh_note("sequence %u, from the version (major * 1000000 + minor * 1000 + patch)", (unsigned)m->sequence);
    return GWH_OK;
}

/* "LEFT=FILE" */
static int split(const char *text, const char *option, uint32_t *left, const char **file, struct gwh_error *err)
{
    const char *equals = strchr(text, '=');
    char number[24] = "";
    if (equals == NULL || (size_t)(equals - text) >= sizeof number || equals[1] == '\0') {
        return gwh_fail(err, GWH_USAGE, "--%s %s: expected a number, = and a file", option, text);
    }
    memcpy(number, text, (size_t)(equals - text));
    *file = equals + 1;
    return gwh_number_parse(number, option, left, err);
}

static int add_images(const struct gwh_args *a, struct building *w, const char *option, struct gwh_error *err)
{
    bool data = strcmp(option, "data") == 0;
    int e = GWH_OK;
    for (unsigned i = 0; e == GWH_OK && gwh_text_i(a, option, i) != NULL; i++) {
        if (w->b.image_count == GWH_IMAGES_MAX) {
            return gwh_fail(err, GWH_USAGE, "more than %u images", GWH_IMAGES_MAX);
        }
        struct gwh_image *image = &w->image[w->b.image_count++];
        image->kind = data ? GW_KIND_DATA : GW_KIND_BOOTABLE;
        image->linked = !data;
        e = split(gwh_text_i(a, option, i), option, data ? &image->component : &image->address, &image->path, err);
        if (e == GWH_OK && data && image->component == 0) {
            e = gwh_fail(err, GWH_USAGE, "--data %s: id 0 is the bootable image's", gwh_text_i(a, option, i));
        }
    }
    return e;
}

static int choose_images(const struct gwh_args *a, struct building *w, struct gwh_error *err)
{
    if ((a->operand_count == 0) == !gwh_flag(a, "address")) {
        return gwh_fail(err, GWH_USAGE, "expected either one IMAGE or --address ADDRESS=FILE for each slot");
    }
    if (a->operand_count == 1) {
        w->image[0] = (struct gwh_image){.kind = GW_KIND_BOOTABLE, .path = a->operand[0]};
        w->b.image_count = 1;
    }
    int e = add_images(a, w, "address", err);
    if (e == GWH_OK) {
        e = add_images(a, w, "data", err);
    }
    w->b.images = w->image;
    return e;
}

/* "MIN" or "MIN-MAX" */
static int add_dependency(const struct gwh_args *a, struct building *w, const char *option, uint32_t kind,
                          struct gwh_error *err)
{
    const char *text = gwh_text(a, option);
    char low[24] = "";
    if (text == NULL) {
        return GWH_OK;
    }
    size_t n = strcspn(text, "-");
    if (n >= sizeof low) {
        return gwh_fail(err, GWH_USAGE, "--%s %s: expected MIN or MIN-MAX", option, text);
    }
    memcpy(low, text, n);
    struct gw_dependency *d = &w->dependency[w->b.manifest.dependency_count++];
    *d = (struct gw_dependency){.kind = kind, .max = UINT32_MAX};
    int e = gwh_number_parse(low, option, &d->min, err);
    return e == GWH_OK && text[n] == '-' ? gwh_number_parse(text + n + 1, option, &d->max, err) : e;
}

static int choose_limits(const struct gwh_args *a, struct building *w, struct gwh_error *err)
{
    struct gwh_manifest *m = &w->b.manifest;
    int e = gwh_number(a, "epoch", 1, &m->epoch, err);
    e = e == GWH_OK ? gwh_number(a, "floor", 0, &m->floor, err) : e;
    e = e == GWH_OK ? gwh_number(a, "use-before", 0, &m->use_before, err) : e;
    e = e == GWH_OK ? gwh_number(a, "frame-size", 4096, &w->b.frame_size, err) : e;
    e = e == GWH_OK ? add_dependency(a, w, "needs-hardware", GW_DEPENDS_HARDWARE, err) : e;
    e = e == GWH_OK ? add_dependency(a, w, "needs-bootloader", GW_DEPENDS_BOOTLOADER, err) : e;
    e = e == GWH_OK ? add_dependency(a, w, "needs-installed", GW_DEPENDS_INSTALLED, err) : e;
    m->dependencies = w->dependency;
    if (e == GWH_OK && (w->b.frame_size < 256 || w->b.frame_size > 65536 || w->b.frame_size % 64 != 0)) {
        e = gwh_fail(err, GWH_USAGE, "--frame-size %u: expected 256 to 65536, a multiple of 64",
                     (unsigned)w->b.frame_size);
    }
    if (e == GWH_OK && gwh_text_count(a, "device") > LIST_MAX) {
        e = gwh_fail(err, GWH_USAGE, "more than %u devices", LIST_MAX);
    }
    for (unsigned i = 0; e == GWH_OK && gwh_text_i(a, "device", i) != NULL; i++) {
        w->device[i] = gwh_text_i(a, "device", i);
        m->device_count = i + 1;
    }
    m->devices = w->device;
    m->notes = gwh_text(a, "notes");
    return e;
}

static int choose_encryption(const struct gwh_args *a, struct building *w, struct gwh_error *err)
{
    const char *cipher = gwh_text(a, "encrypt");
    unsigned n = gwh_text_count(a, "encrypt-to");
    if (cipher != NULL && strcmp(cipher, "aes128") != 0 && strcmp(cipher, "aes256") != 0) {
        return gwh_fail(err, GWH_USAGE, "--encrypt %s: expected aes128 or aes256", cipher);
    }
    if (n > LIST_MAX) {
        return gwh_fail(err, GWH_USAGE, "more than %u holders", LIST_MAX);
    }
    if (cipher != NULL || n > 0 || gwh_flag(a, "cek-out")) {
        w->b.cipher = cipher != NULL && strcmp(cipher, "aes256") == 0 ? GW_ALG_A256CTR : GW_ALG_A128CTR;
    } else {
        gwh_note("not encrypted: whoever gets the payload can read it (--encrypt-to seals it)");
    }
    int e = GWH_OK;
    for (unsigned i = 0; e == GWH_OK && i < n; i++) {
        e = gwh_holder_parse(&w->holder[i], gwh_text_i(a, "encrypt-to", i), NULL, err);
        w->b.holder_count += e == GWH_OK;
    }
    w->b.holders = w->holder;
    w->b.cek_out = gwh_text(a, "cek-out");
    return e;
}

static void tell_built(const struct gwh_args *a, const struct gwh_built *built)
{
    char digest[65];
    gwh_hex(digest, built->digest, 32);
    gwh_note("%s: %u image(s), %u bytes, in %u payload(s) of %u bytes, manifest %u bytes%s", gwh_text(a, "o"),
             (unsigned)built->images, (unsigned)built->image_bytes, (unsigned)built->payloads,
             (unsigned)built->payload_bytes, (unsigned)built->manifest_bytes,
             gwh_flag(a, "dry-run") ? " (dry run: nothing was written)" : "");
    (void)printf("%s\n", digest);
    gwh_note("next: godwit release sign %s --key AUTHOR.pem", gwh_text(a, "o"));
}

static int run_build(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_built built;
    struct cli_coding *coding = NULL;
    struct building *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "build");
    }
    struct gwh_manifest *m = &w->b.manifest;
    m->version = gwh_text(a, "version");
    w->b.force = gwh_flag(a, "force");
    w->b.dry_run = gwh_flag(a, "dry-run");
    int e = cli_ids(a, m->vendor, m->class_id, err);
    e = e == GWH_OK ? choose_sequence(a, m, err) : e;
    e = e == GWH_OK ? choose_images(a, w, err) : e;
    e = e == GWH_OK ? choose_limits(a, w, err) : e;
    e = e == GWH_OK ? choose_encryption(a, w, err) : e;
    e = e == GWH_OK ? cli_coding(a, &w->b, &coding, err) : e;
    e = e == GWH_OK ? gwh_release_build(&w->b, gwh_text(a, "o"), &built, err) : e;
    if (e == GWH_OK) {
        tell_built(a, &built);
    }
    for (size_t i = 0; i < w->b.holder_count; i++) {
        gwh_holder_free(&w->holder[i]);
    }
    cli_coding_free(coding);
    free(w);
    return e;
}

/* ---- sign -------------------------------------------------------------------------------------------------------- */

static const struct gwh_option sign_options[] = {
    {"key", "KEY", "private key that signs", false, false},
    {"public", "KEY", "its public key, when the private one is elsewhere; a P-256 key if not given", false, false},
    {"digest-out", "FILE", "write the 32 bytes that it has to sign", false, false},
    {"signature-in", "FILE", "take the signature that it made (r || s, or DER; RSA: PSS)", false, false},
    CLI_PASSPHRASE,
    CLI_FORCE,
    GWH_OPTIONS_END,
};

static int run_sign(const struct gwh_args *a, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    struct gwh_release r;
    struct gwh_object o = {path, GW_TYPE_MANIFEST};
    int e = gwh_release_load(&r, a->operand[0], err);
    if (e == GWH_OK) {
        e = gwh_is_folder(a->operand[0]) ? gwh_path(path, a->operand[0], "manifest.cose", err) : GWH_OK;
        o.path = gwh_is_folder(a->operand[0]) ? path : a->operand[0];
    }
    gwh_release_free(&r);
    return e == GWH_OK ? cli_sign(a, &o, err) : e;
}

/* ---- grant ------------------------------------------------------------------------------------------------------- */

static const struct gwh_option grant_options[] = {
    {"to", "HOLDER", "DEVICE.pub.pem or kek:NAME=FILE: who gets the content key", true, true},
    {"with", "HOLDER", "KEY.pem or kek:NAME=FILE that has a grant already", false, true},
    {"cek", "FILE", "the content key that `build --cek-out` kept", false, false},
    CLI_PASSPHRASE,
    CLI_FORCE,
    CLI_DRY_RUN,
    GWH_OPTIONS_END,
};

static int run_grant(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_release r = {0};
    uint8_t cek[32];
    size_t size = 0;
    struct cli_holders *to = NULL, *with = NULL;
    int e = cli_holders(&to, a, "to", err);
    e = e == GWH_OK ? cli_holders(&with, a, "with", err) : e;
    e = e == GWH_OK ? gwh_release_load(&r, a->operand[0], err) : e;
    if (e == GWH_OK) {
        e = gwh_release_cek(&r, &with->set, gwh_text(a, "cek"), cek, &size, err);
    }
    for (size_t i = 0; e == GWH_OK && !gwh_flag(a, "dry-run") && i < to->set.count; i++) {
        e = gwh_release_grant(&r, (struct gw_span){cek, size}, &to->holder[i], gwh_flag(a, "force"), err);
    }
    if (e == GWH_OK) {
        gwh_note("%s: %zu grant(s) made", a->operand[0], to->set.count);
    }
    gw_wipe(cek, sizeof cek);
    cli_holders_free(to);
    cli_holders_free(with);
    gwh_release_free(&r);
    return e;
}

/* ---- head -------------------------------------------------------------------------------------------------------- */

static const struct gwh_option head_options[] = {
    {"key", "KEY", "private key of a distributor", true, false},
    {"channel", "NAME", "1 to 32 bytes; stable if not given", false, false},
    {"withdraw", "EPOCH.SEQUENCE", "a release that is not to be installed any more", false, true},
    {"serial", "N", "only grows; the time if not given", false, false},
    {"issued-at", "T", "seconds since 1970; now if not given", false, false},
    CLI_PASSPHRASE,
    CLI_FORCE,
    CLI_DRY_RUN,
    GWH_OPTIONS_END,
};

static int parse_withdrawn(const struct gwh_args *a, struct gw_order *list, uint32_t *count, struct gwh_error *err)
{
    for (unsigned i = 0; gwh_text_i(a, "withdraw", i) != NULL; i++) {
        const char *text = gwh_text_i(a, "withdraw", i), *dot = strchr(text, '.');
        char epoch[16] = "";
        if (i == LIST_MAX || dot == NULL || (size_t)(dot - text) >= sizeof epoch) {
            return gwh_fail(err, GWH_USAGE, "--withdraw %s: expected EPOCH.SEQUENCE, at most %u times", text, LIST_MAX);
        }
        memcpy(epoch, text, (size_t)(dot - text));
        int e = gwh_number_parse(epoch, "--withdraw", &list[i].epoch, err);
        if (e == GWH_OK) {
            e = gwh_number_parse(dot + 1, "--withdraw", &list[i].sequence, err);
        }
        if (e != GWH_OK) {
            return e;
        }
        *count = i + 1;
    }
    return GWH_OK;
}

static int run_head(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_release r = {0};
    struct gwh_key key = {0};
    struct gwh_buf secret = {0};
    struct gw_order withdrawn[LIST_MAX];
    struct gwh_head head = {.channel = gwh_flag(a, "channel") ? gwh_text(a, "channel") : "stable",
                            .withdrawn = withdrawn};
    const char *passphrase = NULL;
    int e = gwh_number(a, "issued-at", (uint32_t)time(NULL), &head.issued_at, err);
    e = e == GWH_OK ? gwh_number(a, "serial", head.issued_at, &head.serial, err) : e;
    e = e == GWH_OK ? parse_withdrawn(a, withdrawn, &head.withdrawn_count, err) : e;
    e = e == GWH_OK ? cli_passphrase(a, &secret, &passphrase, err) : e;
    e = e == GWH_OK ? gwh_key_load_private(&key, gwh_text(a, "key"), passphrase, err) : e;
    e = e == GWH_OK ? gwh_release_load(&r, a->operand[0], err) : e;
    if (e == GWH_OK) {
        head.latest = r.m.order;
        memcpy(head.class_id, r.m.class_id, 16);
        e = gwh_flag(a, "dry-run") ? GWH_OK : gwh_release_head(&r, &head, &key, gwh_flag(a, "force"), err);
    }
    if (e == GWH_OK) {
        gwh_note("%s: head of channel %s, serial %u", a->operand[0], head.channel, (unsigned)head.serial);
    }
    gwh_key_free(&key);
    gwh_buf_free(&secret);
    gwh_release_free(&r);
    return e;
}

/* ---- inspect, verify --------------------------------------------------------------------------------------------- */

static const struct gwh_option inspect_options[] = {CLI_JSON, GWH_OPTIONS_END};

/* An offer from a repository, shown if the file is one. */
static bool inspect_offer(const struct gwh_args *a, const char *path)
{
    struct gwh_buf bytes = {0};
    struct gwh_error ignored = {0};
    struct gw_offer offer;
    json_t *tree = NULL;
    bool is = !gwh_is_folder(path) && gwh_file_read(&bytes, path, 8192, &ignored) == GWH_OK &&
              gw_offer_parse(&offer, bytes.p, bytes.n) == GW_OK && gwh_show_any(&tree, gwh_span(&bytes)) == GW_OK;
    if (is) {
        (void)cli_print(a, tree);
    }
    gwh_buf_free(&bytes);
    return is;
}

static int run_inspect(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_release r;
    if (inspect_offer(a, a->operand[0])) {
        return GWH_OK;
    }
    int e = gwh_release_load(&r, a->operand[0], err);
    if (e == GWH_OK) {
        e = cli_print(a, gwh_show_release(&r, gwh_is_folder(a->operand[0])));
    }
    gwh_release_free(&r);
    return e;
}

static const struct gwh_option verify_options[] = {
    {"trust", "BUNDLE", "the trust bundle of the devices", true, false},
    {"root", "KEY", "a root; those in BUNDLE.roots.pem if none is given", false, true},
    {"threshold", "N", "root signatures needed; 2 if not given", false, false},
    {"with", "HOLDER", "KEY.pem or kek:NAME=FILE: also decrypts and checks the images", false, true},
    {"at", "T", "seconds since 1970 for use-before; now if not given", false, false},
    CLI_JSON,
    CLI_PASSPHRASE,
    GWH_OPTIONS_END,
};

static void found(void *ctx, const char *line)
{
    (void)json_array_append_new(ctx, json_string(line));
}

static int run_verify(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_release r = {0};
    struct gwh_buf bytes = {0};
    struct gw_trust trust;
    struct cli_holders *with = NULL;
    struct gwh_verify v = {.trust = &trust, .found = found, .ctx = json_array()};
    int e = cli_holders(&with, a, "with", err);
    e = e == GWH_OK ? gwh_number(a, "at", (uint32_t)time(NULL), &v.now, err) : e;
    e = e == GWH_OK ? gwh_release_load(&r, a->operand[0], err) : e;
    e = e == GWH_OK ? cli_trust(a, &bytes, &trust, err) : e;
    if (e == GWH_OK) {
        v.holders = with->set.count > 0 ? &with->set : NULL;
        e = gwh_release_verify(&r, &v, err);
    }
    if (e == GWH_OK) {
        (void)cli_print(a, json_pack("{s:s,s:O}", "verified", a->operand[0], "found", (json_t *)v.ctx));
    }
    json_decref(v.ctx);
    cli_holders_free(with);
    gwh_buf_free(&bytes);
    gwh_release_free(&r);
    return e;
}

const struct gwh_command cli_release[] = {
    {"release", "build", "[IMAGE]", 0, 1, "make a release folder from images", build_options,
     "godwit release build firmware.bin --version 1.4.0 --vendor example.com --class sensor-c3 --encrypt-to "
     "device.pub.pem -o rel/",
     run_build},
    {"release", "sign", "RELEASE", 1, 1, "add a signature to the manifest", sign_options,
     "godwit release sign rel/ --key author.pem", run_sign},
    {"release", "grant", "RELEASE", 1, 1, "give the content key to others; needs no new signature", grant_options,
     "godwit release grant rel/ --to device2.pub.pem --with device.pem", run_grant},
    {"release", "head", "RELEASE", 1, 1, "sign a channel head that names this release as the latest", head_options,
     "godwit release head rel/ --key distributor.pem --channel stable", run_head},
    {"release", "inspect", "RELEASE", 1, 1, "what is in a release, a manifest or an offer, in words; needs no key",
     inspect_options, "godwit release inspect rel/ --json", run_inspect},
    {"release", "verify", "RELEASE", 1, 1, "check all that a device checks", verify_options,
     "godwit release verify rel/ --trust trust.cose --root root1.pub.pem --root root2.pub.pem", run_verify},
    CLI_COMMANDS_END,
};
