/*
 * release.c - a release folder taken in, its payload files taken apart, its grants opened and made, its head signed.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "cose.h"
#include "frames.h"
#include "patch.h"
#include "release.h"

#define HEAD_MAX 1024u
#define GRANT_MAX 1024u

/* ---- Load -------------------------------------------------------------------------------------------------------- */

static int parse_manifest(struct gwh_release *r, const char *path, struct gwh_error *err)
{
    const struct gw_crypto *c = gwh_openssl()->gw;
    int e = gwh_sign_payload(gwh_span(&r->cose), &r->map);
    if (e == GW_OK) {
        e = gw_manifest_parse(&r->m, r->map.p, r->map.n);
    }
    if (e == GW_OK) {
        e = gw_sha256(c, r->map.p, r->map.n, r->digest);
    }
    if (e != GW_OK) {
        return gwh_fail_reason(err, e, "%s is no manifest", path);
    }
    memcpy(r->m.digest, r->digest, sizeof r->m.digest);
    return GWH_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct gwh_named *)a)->name, ((const struct gwh_named *)b)->name);
}

static int load_grant(struct gwh_release *r, const char *folder, const char *name, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    size_t n = strlen(name);
    if (n < 6 || n >= sizeof r->grants->name || strcmp(name + n - 5, ".cose") != 0) {
        return GWH_OK;
    }
    if (r->grant_count == GWH_GRANTS_MAX) {
        return gwh_fail_reason(err, GW_ERR_LIMIT, "%s holds more than %u grants", folder, GWH_GRANTS_MAX);
    }
    struct gwh_named *grown = realloc(r->grants, (r->grant_count + 1) * sizeof *grown);
    if (grown == NULL) {
        return gwh_fail_reason(err, GW_ERR_SPACE, "%s", folder);
    }
    r->grants = grown;
    struct gwh_named *g = &r->grants[r->grant_count];
    memset(g, 0, sizeof *g);
    memcpy(g->name, name, n + 1);
    r->grant_count++;
    int e = gwh_path(path, folder, name, err);
    return e == GWH_OK ? gwh_file_read(&g->bytes, path, GRANT_MAX, err) : e;
}

static int load_grants(struct gwh_release *r, struct gwh_error *err)
{
    char folder[GWH_PATH_MAX];
    int e = gwh_path(folder, r->folder, "grants", err);
    if (e != GWH_OK || !gwh_is_folder(folder)) {
        return e;
    }
    DIR *d = opendir(folder);
    if (d == NULL) {
        return gwh_fail_errno(err, "cannot read %s", folder);
    }
    for (struct dirent *entry; e == GWH_OK && (entry = readdir(d)) != NULL;) {
        e = load_grant(r, folder, entry->d_name, err);
    }
    closedir(d);
    if (r->grant_count > 0) {
        qsort(r->grants, r->grant_count, sizeof *r->grants, by_name);
    }
    return e;
}

static int load_folder(struct gwh_release *r, const char *folder, struct gwh_error *err)
{
    char path[GWH_PATH_MAX];
    size_t n = strlen(folder);
    if (n >= sizeof r->folder) {
        return gwh_fail(err, GWH_IO, "the path %.80s... is too long", folder);
    }
    memcpy(r->folder, folder, n + 1);
    int e = gwh_path(path, folder, "manifest.cose", err);
    if (e == GWH_OK && !gwh_file_exists(path)) {
        (void)gwh_fail(err, GWH_IO, "%s is no release: it holds no manifest.cose", folder);
        return gwh_hint(err, "godwit release build IMAGE ... -o %s", folder);
    }
    if (e == GWH_OK) {
        e = gwh_file_read(&r->cose, path, GW_MANIFEST_MAX, err);
    }
    if (e == GWH_OK) {
        e = parse_manifest(r, path, err);
    }
    if (e == GWH_OK) {
        e = gwh_path(path, folder, "head.cose", err);
    }
    if (e == GWH_OK && gwh_file_exists(path)) {
        e = gwh_file_read(&r->head, path, HEAD_MAX, err);
    }
    return e == GWH_OK ? load_grants(r, err) : e;
}

int gwh_release_load(struct gwh_release *r, const char *folder, struct gwh_error *err)
{
    memset(r, 0, sizeof *r);
    if (!gwh_file_exists(folder)) {
        (void)gwh_fail(err, GWH_IO, "%s does not exist", folder);
        return gwh_hint(err, "godwit release build IMAGE ... -o %s", folder);
    }
    if (gwh_is_folder(folder)) {
        return load_folder(r, folder, err);
    }
    int e = gwh_file_read(&r->cose, folder, GW_MANIFEST_MAX, err);
    return e == GWH_OK ? parse_manifest(r, folder, err) : e;
}

void gwh_release_free(struct gwh_release *r)
{
    for (size_t i = 0; i < r->grant_count; i++) {
        gwh_buf_free(&r->grants[i].bytes);
    }
    free(r->grants);
    gwh_buf_free(&r->cose);
    gwh_buf_free(&r->head);
    memset(r, 0, sizeof *r);
}

int gwh_release_payload_path(char out[GWH_PATH_MAX], const struct gwh_release *r, const uint8_t name[32],
                             struct gwh_error *err)
{
    char relative[80] = "payloads/";
    gwh_hex(relative + 9, name, 32);
    return gwh_path(out, r->folder, relative, err);
}

static int each_of_component(const struct gw_manifest *m, struct gwh_place *at,
                             int (*each)(void *ctx, const struct gwh_place *at), void *ctx)
{
    int e = gw_manifest_component(m, at->component, &at->c);
    for (at->variant = 0; e == GW_OK && at->variant < at->c.variant_count; at->variant++) {
        e = gw_component_variant(&at->c, at->variant, &at->v);
        for (at->payload = 0; e == GW_OK && at->payload < at->v.payload_count; at->payload++) {
            e = gw_variant_payload(&at->v, at->payload, &at->p);
            if (e == GW_OK) {
                e = each(ctx, at);
            }
        }
    }
    return e;
}

int gwh_each_payload(const struct gw_manifest *m, int (*each)(void *ctx, const struct gwh_place *at), void *ctx)
{
    struct gwh_place at;
    int e = GW_OK;
    memset(&at, 0, sizeof at);
    for (at.component = 0; e == GW_OK && at.component < m->component_count; at.component++) {
        e = each_of_component(m, &at, each, ctx);
    }
    return e;
}

/* ---- Payload files ----------------------------------------------------------------------------------------------- */

/* Frame by frame through the receiver of devices: the one that will take it apart there. */
static int check_chain(const struct gw_crypto *c, const struct gw_payload *p, struct gw_span file,
                       struct gwh_buf *content)
{
    struct gw_frames frames;
    struct gw_span out;
    int e = GW_OK;
    uint8_t *frame = malloc(p->frame_size + 32u);
    if (frame == NULL) {
        return GW_ERR_SPACE;
    }
    gw_frames_start(&frames, p, 0, p->head);
    while (e == GW_OK && gw_frames_length(&frames) > 0) {
        uint32_t at = gw_frames_offset(&frames);
        (void)gw_frames_push(&frames, frame, file.p + at, file.n - at);
        e = gw_frames_complete(&frames) ? gw_frames_check(&frames, c, frame, &out) : GW_ERR_PAYLOAD_SHORT;
        if (e == GW_OK) {
            e = gwh_buf_add(content, out.p, out.n);
        }
    }
    free(frame);
    return e == GW_OK && content->n != gw_payload_content(p) ? GW_ERR_FRAME_HASH : e;
}

/* Content, decrypted, to the image: decoded if it is encoded, and compared with what was signed. */
static int to_image(struct gwh_buf *image, const struct gw_crypto *c, const struct gwh_place *at, struct gw_span old,
                    struct gw_span content)
{
    uint8_t digest[32];
    int e = at->p.encoding == GW_ENCODING_RAW ? gwh_buf_add(image, content.p, content.n)
                                              : gwh_patch_apply(image, old, content);
    if (e == GW_OK && image->n != at->v.size) {
        e = GW_ERR_IMAGE_DIGEST;
    }
    e = e == GW_OK ? gw_sha256(c, image->p, image->n, digest) : e;
    return e == GW_OK && !gw_equal(digest, at->v.digest, 32) ? GW_ERR_IMAGE_DIGEST : e;
}

int gwh_payload_image(struct gwh_buf *image, const struct gw_crypto *c, const struct gwh_place *at,
                      struct gw_span cek, struct gw_span old, struct gw_span file)
{
    struct gwh_position position = {at->c.id, at->variant, at->payload};
    struct gwh_buf content = {0};
    uint8_t digest[32];
    if (file.n != at->p.size) {
        return file.n < at->p.size ? GW_ERR_PAYLOAD_SHORT : GW_ERR_PAYLOAD_LONG;
    }
    int e = check_chain(c, &at->p, file, &content);
    e = e == GW_OK ? gw_sha256(c, file.p, file.n, digest) : e;
    if (e == GW_OK && !gw_equal(digest, at->p.name, 32)) {
        e = GW_ERR_FRAME_HASH;
    }
    bool raw_size = at->p.encoding != GW_ENCODING_RAW || content.n == at->v.size;
    if (e == GW_OK && !raw_size) {
        e = GW_ERR_IMAGE_DIGEST;
    }
    bool readable = (at->p.cipher == 0 || cek.n != 0) && (!at->p.delta || old.n != 0);
    if (e == GW_OK && readable) {
        e = gwh_payload_crypt(c, cek, position, at->p.cipher, content.p, content.n);
        e = e == GW_OK ? to_image(image, c, at, old, gwh_span(&content)) : e;
    }
    gwh_buf_free(&content);
    return e;
}

int gwh_payload_check(const struct gw_crypto *c, const struct gwh_place *at, struct gw_span cek, struct gw_span file)
{
    struct gwh_buf image = {0};
    int e = gwh_payload_image(&image, c, at, cek, (struct gw_span){NULL, 0}, file);
    gwh_buf_free(&image);
    return e;
}

/* ---- Content key and grants -------------------------------------------------------------------------------------- */

static int cek_of_file(const struct gwh_release *r, const char *path, uint8_t cek[32], size_t *size,
                       struct gwh_error *err)
{
    uint8_t value[8];
    int e = gwh_kek_read(cek, size, path, err);
    if (e != GWH_OK) {
        return e;
    }
    e = gw_key_check(gwh_openssl()->gw, cek, *size, value);
    if (e == GW_OK && !gw_equal(value, r->m.key_check.p, 8)) {
        e = GW_ERR_KEY_CHECK;
    }
    return e == GW_OK ? GWH_OK : gwh_fail_reason(err, e, "%s", path);
}

int gwh_release_cek(const struct gwh_release *r, const struct gwh_holders *holders, const char *cek_file,
                    uint8_t cek[32], size_t *size, struct gwh_error *err)
{
    struct gw_keystore keys;
    struct gwh_holders set = holders != NULL ? *holders : (struct gwh_holders){0};
    if (r->m.key_check.n == 0) {
        return gwh_fail(err, GWH_REFUSED, "%s is not encrypted: there is no content key to grant", r->folder);
    }
    if (cek_file != NULL) {
        return cek_of_file(r, cek_file, cek, size, err);
    }
    gwh_holder_keystore(&keys, &set);
    int e = GW_ERR_NO_KEY;
    for (size_t i = 0; i < r->grant_count && e == GW_ERR_NO_KEY; i++) {
        e = gw_grant_open(gwh_openssl()->gw, &keys, &r->m, r->grants[i].bytes.p, r->grants[i].bytes.n, cek, size);
    }
    if (e == GW_OK) {
        return GWH_OK;
    }
    (void)gwh_fail_reason(err, e, "the content key of %s cannot be opened with the keys given", r->folder);
    return gwh_hint(err,
                    "give a key that has a grant (--with KEY.pem or --with kek:NAME=FILE), or --cek FILE from build");
}

int gwh_release_grant(const struct gwh_release *r, struct gw_span cek, const struct gwh_holder *to, bool force,
                      struct gwh_error *err)
{
    struct gwh_recipient recipient = {.kid = {to->kid, to->kid_size}, .kek = {to->kek, to->kek_size}};
    struct gwh_grant grant = {.cipher = cek.n == 16 ? GW_ALG_A128CTR : GW_ALG_A256CTR,
                              .cek = cek,
                              .recipients = &recipient,
                              .recipient_count = 1};
    struct gwh_buf out = {0};
    char path[GWH_PATH_MAX], name[80] = "grants/";
    bool wide = to->is_kek ? to->kek_size == 32 : cek.n == 32;
    recipient.algorithm =
        to->is_kek ? (wide ? GW_ALG_A256KW : GW_ALG_A128KW) : (wide ? GW_ALG_ECDH_ES_A256KW : GW_ALG_ECDH_ES_A128KW);
    if (!to->is_kek) {
        memcpy(recipient.peer, to->key.bytes, 64);
    }
    memcpy(grant.digest, r->digest, 32);
    gwh_hex(name + 7, to->kid, to->kid_size);
    memcpy(name + strlen(name), ".cose", 6);
    int e = gwh_grant_encode(&out, gwh_openssl(), &grant);
    e = e == GW_OK ? gwh_path(path, r->folder, "grants", err) : gwh_fail_reason(err, e, "cannot make a grant");
    if (e == GWH_OK) {
        e = gwh_folder_make(path, err);
    }
    if (e == GWH_OK) {
        e = gwh_path(path, r->folder, name, err);
    }
    if (e == GWH_OK) {
        e = gwh_file_write(path, gwh_span(&out), 0644, force, err);
    }
    gwh_buf_free(&out);
    return e;
}

int gwh_release_head(const struct gwh_release *r, const struct gwh_head *head, struct gwh_key *key, bool force,
                     struct gwh_error *err)
{
    struct gwh_buf map = {0}, cose = {0};
    struct gwh_signer signer;
    char path[GWH_PATH_MAX];
    gwh_key_signer(&signer, key);
    int e = gwh_head_map(&map, head);
    if (e == GW_OK) {
        struct gw_head parsed;
        e = gw_head_parse(&parsed, map.p, map.n);
    }
    if (e == GW_OK) {
        e = gwh_sign_map(&cose, gwh_openssl()->gw, GW_TYPE_HEAD, gwh_span(&map), &signer, 1);
    }
    if (e == GW_OK && cose.n > HEAD_MAX) {
        e = GW_ERR_LIMIT;
    }
    e = e == GW_OK ? gwh_path(path, r->folder, "head.cose", err) : gwh_fail_reason(err, e, "cannot make this head");
    if (e == GWH_OK) {
        e = gwh_file_write(path, gwh_span(&cose), 0644, force, err);
    }
    gwh_buf_free(&map);
    gwh_buf_free(&cose);
    return e;
}
