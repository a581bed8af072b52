/*
 * device_batch.c - godwit device provision --csv: keys, certificates and identities of many devices, and their list.
 *
 * What it keeps true: all lines are checked before the first file is written; a private key is in its device's identity
 * and nowhere else; devices.json holds public things alone.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pki.h"
#include "provision.h"
#include "uuid.h"

#define CSV_MAX (16u * 1024u * 1024u)
#define TAG_MAX 32u
#define TAGS_MAX 16u

struct line {
    char *id, *class, *hardware, *tags; /* in the text of the file; "": not given */
};
struct batch {
    const struct gwh_args *a;
    struct gwh_buf text;
    struct line *line;
    size_t count;
    struct gwh_ca ca;
    uint32_t days;
    struct provisioning *p;
    uint8_t class_id[16]; /* of lines that name none */
    uint32_t hardware;
    json_t *list;
};

/* ---- The file ---------------------------------------------------------------------------------------------------- */

static char *trim(char *s)
{
    while (*s == ' ' || *s == '\t') {
        s++;
    }
    size_t n = strlen(s);
    while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r')) {
        s[--n] = '\0';
    }
    return s;
}

static bool split(struct line *l, char *text)
{
    char **const field[] = {&l->id, &l->class, &l->hardware, &l->tags};
    for (size_t i = 0; i < 4; i++) {
        char *comma = text != NULL ? strchr(text, ',') : NULL;
        *field[i] = text != NULL ? text : "";
        text = comma != NULL ? comma + 1 : NULL;
        if (comma != NULL) {
            *comma = '\0';
        }
        if (**field[i] != '\0') {
            *field[i] = trim(*field[i]);
        }
    }
    return text == NULL;
}

static int check_tags(const char *tags, struct gwh_error *err)
{
    unsigned count = 0;
    while (*tags != '\0') {
        size_t n = strcspn(tags, ";");
        size_t good = strspn(tags, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
        if (n == 0 || n > TAG_MAX || good != n || ++count > TAGS_MAX) {
            return gwh_fail(err, GWH_REFUSED, "tags \"%.60s\": at most %u, of letters, digits, _ . -, at most %u each",
                            tags, TAGS_MAX, TAG_MAX);
        }
        tags += n + (tags[n] == ';');
    }
    return GWH_OK;
}

static int by_id(const void *a, const void *b)
{
    return strcmp((*(const struct line *const *)a)->id, (*(const struct line *const *)b)->id);
}

static int check_once(const struct batch *b, struct gwh_error *err)
{
    const struct line **sorted = calloc(b->count + 1, sizeof *sorted);
    int e = sorted == NULL ? gwh_fail_reason(err, GW_ERR_SPACE, "batch") : GWH_OK;
    for (size_t i = 0; e == GWH_OK && i < b->count; i++) {
        sorted[i] = &b->line[i];
    }
    if (e == GWH_OK) {
        qsort(sorted, b->count, sizeof *sorted, by_id);
    }
    for (size_t i = 1; e == GWH_OK && i < b->count; i++) {
        if (strcmp(sorted[i - 1]->id, sorted[i]->id) == 0) {
            e = gwh_fail(err, GWH_REFUSED, "device %s is in the list twice", sorted[i]->id);
        }
    }
    free(sorted);
    return e;
}

static int take_line(struct batch *b, char *text, size_t number, struct gwh_error *err)
{
    struct line *l = &b->line[b->count];
    uint32_t hardware;
    const char *csv = gwh_text(b->a, "csv");
    text = trim(text);
    if (*text == '\0' || *text == '#' || (number == 1 && strncmp(text, "id", 2) == 0 && (text[2] == ',' || !text[2]))) {
        return GWH_OK;
    }
    if (!split(l, text)) {
        return gwh_fail(err, GWH_REFUSED, "%s, line %zu: expected id,class,hardware,tags", csv, number);
    }
    int e = gwh_device_id_check(l->id, err);
    if (e == GWH_OK && l->hardware[0] != '\0') {
        e = gwh_number_parse(l->hardware, "hardware", &hardware, err);
    }
    e = e == GWH_OK ? check_tags(l->tags, err) : e;
    if (e != GWH_OK) {
        char why[400];
        (void)snprintf(why, sizeof why, "%.390s", err->text);
        *err = (struct gwh_error){0};
        return gwh_fail(err, GWH_REFUSED, "%s, line %zu: %s", csv, number, why);
    }
    b->count++;
    return GWH_OK;
}

static int read_lines(struct batch *b, struct gwh_error *err)
{
    int e = gwh_file_read(&b->text, gwh_text(b->a, "csv"), CSV_MAX, err);
    size_t number = 0, lines = 1;
    if (e == GWH_OK && gwh_buf_add(&b->text, "", 1) != GW_OK) {
        e = gwh_fail_reason(err, GW_ERR_SPACE, "batch");
    }
    if (e == GWH_OK && strlen((char *)b->text.p) + 1 != b->text.n) {
        e = gwh_fail(err, GWH_REFUSED, "%s is no text", gwh_text(b->a, "csv"));
    }
    for (size_t i = 0; e == GWH_OK && i < b->text.n; i++) {
        lines += b->text.p[i] == '\n';
    }
    b->line = e == GWH_OK ? calloc(lines, sizeof *b->line) : NULL;
    if (e == GWH_OK && b->line == NULL) {
        e = gwh_fail_reason(err, GW_ERR_SPACE, "batch");
    }
    for (char *at = (char *)b->text.p; e == GWH_OK && at != NULL && *at != '\0';) {
        char *end = strchr(at, '\n');
        if (end != NULL) {
            *end++ = '\0';
        }
        e = take_line(b, at, ++number, err);
        at = end;
    }
    if (e == GWH_OK && b->count == 0) {
        e = gwh_fail(err, GWH_REFUSED, "%s names no device", gwh_text(b->a, "csv"));
    }
    return e == GWH_OK ? check_once(b, err) : e;
}

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

static int put(const struct batch *b, const char *id, const char *suffix, const struct gwh_buf *bytes, mode_t mode,
               struct gwh_error *err)
{
    char name[80], path[GWH_PATH_MAX];
    (void)snprintf(name, sizeof name, "%s%s", id, suffix);
    int e = gwh_path(path, gwh_text(b->a, "o"), name, err);
    return e == GWH_OK ? gwh_file_write(path, gwh_span(bytes), mode, gwh_flag(b->a, "force"), err) : e;
}

/* Key, certificate, identity. */
static int make_one(struct batch *b, const struct line *l, struct gwh_buf *pem, struct gwh_error *err)
{
    struct provisioning *p = b->p;
    struct gwh_leaf leaf = {.name = l->id, .purpose = GWH_CLIENT, .days = b->days};
    int e = GWH_OK;
    p->id.device_id = l->id;
    p->id.hardware = b->hardware;
    memcpy(p->id.class_id, b->class_id, 16);
    if (l->class[0] != '\0' && gwh_uuid_class(p->id.vendor, l->class, p->id.class_id) != GW_OK) {
        return gwh_fail(err, GWH_REFUSED, "%s is no class", l->class);
    }
    e = l->hardware[0] != '\0' ? gwh_number_parse(l->hardware, "hardware", &p->id.hardware, err) : e;
    e = e == GWH_OK ? gwh_key_new(&p->own, GWH_P256, err) : e;
    e = e == GWH_OK ? cli_use_own_key(p, l->id, err) : e;
    e = e == GWH_OK ? gwh_ca_sign(&b->ca, &leaf, &p->own, pem, err) : e;
    e = e == GWH_OK ? gwh_certificate_parse(&p->certificate, gwh_span(pem), l->id, &p->own, err) : e;
    p->id.certificate = gwh_span(&p->certificate);
    return e == GWH_OK ? cli_encode_identity(p, err) : e;
}

static int write_one(struct batch *b, const struct line *l, const struct gwh_buf *pem, struct gwh_error *err)
{
    struct provisioning *p = b->p;
    if (gwh_flag(b->a, "dry-run")) {
        return GWH_OK;
    }
    int e = put(b, l->id, ".identity", &p->out, 0600, err);
    e = e == GWH_OK ? put(b, l->id, ".pem", pem, 0644, err) : e;
    json_t *o = json_pack("{s:s,s:o,s:o,s:o}", "id", l->id, "class", gwh_show_hex(p->id.class_id, 16), "key",
                          gwh_show_hex(p->own.bytes, 64), "tags", tags_of(l->tags));
    if (p->id.ec_count + p->id.kek_count > 0) {
        (void)json_object_set_new(o, "kids", kids_of(p));
    }
    (void)json_array_append_new(b->list, o);
    return e;
}

static int device(struct batch *b, const struct line *l, struct gwh_error *err)
{
    struct gwh_buf pem = {0};
    int e = make_one(b, l, &pem, err);
    e = e == GWH_OK ? write_one(b, l, &pem, err) : e;
    if (b->p->out.p != NULL) {
        gw_wipe(b->p->out.p, b->p->out.n);
    }
    gw_wipe(b->p->own_d, sizeof b->p->own_d);
    gwh_key_free(&b->p->own);
    gwh_buf_free(&b->p->out);
    gwh_buf_free(&b->p->certificate);
    gwh_buf_free(&pem);
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
    json_t *tree = json_pack("{s:O}", "devices", b->list);
    char *dump = tree != NULL ? json_dumps(tree, JSON_INDENT(1)) : NULL;
    int e = dump != NULL && gwh_buf_add(&text, dump, strlen(dump)) == GW_OK && gwh_buf_add(&text, "\n", 1) == GW_OK
                ? put(b, "devices", ".json", &text, 0644, err)
                : gwh_fail_reason(err, GW_ERR_SPACE, "devices.json");
    free(dump);
    json_decref(tree);
    gwh_buf_free(&text);
    return e;
}

static int run(struct batch *b, struct gwh_error *err)
{
    const char *out = gwh_text(b->a, "o");
    bool dry = gwh_flag(b->a, "dry-run");
    int e = check_options(b->a, err);
    e = e == GWH_OK ? gwh_number(b->a, "days", GWH_DEVICE_DAYS, &b->days, err) : e;
    e = e == GWH_OK ? cli_provision_common(b->a, b->p, err) : e;
    memcpy(b->class_id, b->p->id.class_id, 16);
    b->hardware = b->p->id.hardware;
    e = e == GWH_OK ? read_lines(b, err) : e;
    e = e == GWH_OK ? gwh_ca_load(&b->ca, gwh_text(b->a, "device-ca"), b->p->passphrase, err) : e;
    if (e == GWH_OK && !dry && mkdir(out, 0700) != 0 && !gwh_is_folder(out)) {
        e = gwh_fail_errno(err, "cannot make the folder %s", out);
    }
    for (size_t i = 0; e == GWH_OK && !dry && i < b->count; i++) {
        e = device(b, &b->line[i], err);
    }
    e = e == GWH_OK && !dry ? write_list(b, err) : e;
    if (e == GWH_OK) {
        gwh_note("%s: %zu devices%s; next: godwit device import %s/devices.json", out, b->count,
                 dry ? " would be made" : "", out);
    }
    return e;
}

int cli_provision_batch(const struct gwh_args *a, struct gwh_error *err)
{
    struct batch b = {.a = a, .list = json_array(), .p = calloc(1, sizeof *b.p)};
    int e = b.p != NULL && b.list != NULL ? run(&b, err) : gwh_fail_reason(err, GW_ERR_SPACE, "batch");
    if (b.p != NULL) {
        cli_provision_free(b.p);
    }
    gwh_ca_free(&b.ca);
    gwh_buf_free(&b.text);
    free(b.line);
    json_decref(b.list);
    return e;
}
