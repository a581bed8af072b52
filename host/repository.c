/*
 * repository.c - what lies in a static repository, and what is wrong with it. See publish.h.
 *
 * One listing of each folder, then each offer and each description is read. Nothing is verified (that is what devices
 * do): this says whether what an offer names lies there. Names and contents may come from anybody; names of another
 * shape than ours are counted and left alone.
 */
#include <stdlib.h>
#include <string.h>

#include "publish.h"
#include "show.h"

#define FILES_MAX 200000u /* of a folder */

struct entry {
    char name[GWH_STORE_NAME_MAX];
    uint64_t size;
    bool used;
};
struct entries {
    struct entry *entry;
    size_t count, room;
    uint32_t others; /* files with names that are not ours */
    struct gwh_error *err;
};
struct survey {
    const struct gwh_store *store;
    bool digests;
    struct entries offers, payloads, releases;
    json_t *classes, *described, *problems;
    struct gwh_error *err;
    json_t *wanted; /* what is told of the payloads of the release at hand */
    size_t next;    /* of them */
};

/* ---- Listings ---------------------------------------------------------------------------------------------------- */

static int note_file(void *ctx, const char *name, uint64_t size)
{
    struct entries *l = ctx;
    if (!gwh_store_name_ok(name)) {
        l->others++;
        return GWH_OK;
    }
    if (l->count == FILES_MAX) {
        return gwh_fail_reason(l->err, GW_ERR_LIMIT, "more than %u files", FILES_MAX);
    }
    if (l->count == l->room) {
        size_t room = l->room == 0 ? 64 : 2 * l->room;
        struct entry *grown = realloc(l->entry, room * sizeof *grown);
        if (grown == NULL) {
            return gwh_fail_reason(l->err, GW_ERR_SPACE, "the listing");
        }
        l->entry = grown;
        l->room = room;
    }
    struct entry *e = &l->entry[l->count++];
    memset(e, 0, sizeof *e);
    memcpy(e->name, name, strlen(name) + 1);
    e->size = size;
    return GWH_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int list(const struct survey *s, const char *prefix, struct entries *l)
{
    l->err = s->err;
    int e = s->store->list(s->store->ctx, prefix, note_file, l, s->err);
    if (l->count > 0) {
        qsort(l->entry, l->count, sizeof *l->entry, by_name);
    }
    return e;
}

static struct entry *find(const struct entries *l, const char *name)
{
    struct entry key;
    memset(&key, 0, sizeof key);
    memcpy(key.name, name, strlen(name) + 1);
    return l->count == 0 ? NULL : bsearch(&key, l->entry, l->count, sizeof key, by_name);
}

/* ---- Payloads of a release --------------------------------------------------------------------------------------- */

/* Asked for again if the listing says that it is not there: a publisher may have been at work since. */
static const char *judge(const struct survey *s, const struct gw_payload *p, const char *name, int *e)
{
    struct entry *file = find(&s->payloads, name);
    struct gwh_stored there;
    if (file != NULL) {
        file->used = true;
    }
    if (file != NULL && file->size == p->size && !s->digests) {
        return "there";
    }
    *e = s->store->look(s->store->ctx, name, s->digests, &there, s->err);
    if (*e != GWH_OK || !there.there) {
        return "missing";
    }
    if (there.size != p->size) {
        return "has another size";
    }
    return !there.digest_known || memcmp(there.digest, p->name, 32) == 0 ? "there" : "has other bytes";
}

static int check_payload(void *ctx, const struct gwh_place *at)
{
    struct survey *s = ctx;
    char name[GWH_STORE_NAME_MAX];
    int e = GWH_OK;
    gwh_payload_name(name, at->p.name);
    const char *state = judge(s, &at->p, name, &e);
    /* gwh_describe() told of them in this order */
    (void)json_object_set_new(json_array_get(s->wanted, s->next++), "state", json_string(state));
    if (strcmp(state, "there") != 0) {
        (void)json_array_append_new(s->problems, json_sprintf("%s %s", name, state));
    }
    return e;
}

/* ---- Descriptions ------------------------------------------------------------------------------------------------ */

static json_t *load_description(const struct survey *s, const char *name)
{
    struct gwh_buf bytes = {0};
    struct gwh_error ignored = {0};
    json_t *o = NULL;
    if (s->store->get(s->store->ctx, name, GWH_DESCRIPTION_MAX, &bytes, &ignored) == GWH_OK && bytes.n > 0) {
        o = json_loadb((const char *)bytes.p, bytes.n, JSON_REJECT_DUPLICATES, NULL);
    }
    gwh_buf_free(&bytes);
    if (!json_is_object(o)) {
        json_decref(o);
        o = NULL;
    }
    return o;
}

/* The payloads that it names are not without a release. */
static void mark_payloads(const struct survey *s, const json_t *description)
{
    size_t i;
    const json_t *p;
    json_array_foreach (json_object_get(description, "payloads"), i, p) {
        char name[GWH_STORE_NAME_MAX] = "payloads/";
        const char *hex = json_string_value(json_object_get(p, "name"));
        struct entry *file = NULL;
        if (hex != NULL && strlen(hex) == 64) {
            memcpy(name + 9, hex, 65);
            file = find(&s->payloads, name);
        }
        if (file != NULL) {
            file->used = true;
        }
    }
}

static void note_description(struct survey *s, struct entry *file)
{
    static const char *const told[] = {"version", "epoch", "sequence", "digest", "class id", "class"};
    json_t *o = load_description(s, file->name), *line = json_object();
    mark_payloads(s, o);
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        json_t *v = json_object_get(o, told[i]);
        if (v != NULL && !json_is_object(v) && !json_is_array(v)) {
            (void)json_object_set(line, told[i], v);
        }
    }
    (void)json_object_set_new(line, "file", json_string(file->name));
    if (o == NULL) {
        (void)json_object_set_new(line, "error", json_string("cannot be read"));
    }
    (void)json_array_append_new(s->described, line);
    json_decref(o);
}

/* ---- Offers ------------------------------------------------------------------------------------------------------ */

static json_t *show_head(const struct gw_head *h)
{
    json_t *o = json_object(), *list = json_array();
    struct gw_order w;
    (void)json_object_set_new(o, "channel", gwh_show_text(h->channel));
    (void)json_object_set_new(o, "serial", json_integer(h->serial));
    (void)json_object_set_new(o, "issued at", gwh_show_time(h->issued_at));
    (void)json_object_set_new(o, "latest", gwh_show_order(h->latest));
    for (uint32_t i = 0; gw_head_withdrawn(h, i, &w) == GW_OK; i++) {
        (void)json_array_append_new(list, gwh_show_order(w));
    }
    (void)json_object_set_new(o, "withdrawn", list);
    return o;
}

static int show_release(struct survey *s, const struct gwh_offered *offered, json_t *line)
{
    char name[GWH_STORE_NAME_MAX];
    gwh_description_name(name, offered->digest);
    struct entry *file = find(&s->releases, name);
    json_t *there = file != NULL ? load_description(s, name) : NULL;
    const char *class_name = json_string_value(json_object_get(there, "class"));
    if (file != NULL) {
        file->used = true;
    }
    json_t *o = gwh_describe(&offered->m, offered->digest, class_name);
    json_decref(there);
    s->wanted = json_object_get(o, "payloads");
    s->next = 0;
    int e = gwh_each_payload(&offered->m, check_payload, s);
    (void)json_object_set_new(line, "offers", o);
    return e;
}

static void show_rest(const struct gwh_offered *o, json_t *line)
{
    if (o->has_head) {
        (void)json_object_set_new(line, "head", show_head(&o->head));
    }
    if (o->has_trust) {
        (void)json_object_set_new(line, "trust bundle version", json_integer(o->trust.version));
    }
    (void)json_object_set_new(line, "grants", json_integer(o->offer.grant_count));
    (void)json_object_set_new(line, "offer bytes", json_integer((json_int_t)o->bytes.n));
    if (o->offer.next_look != 0) {
        (void)json_object_set_new(line, "next look in seconds", json_integer(o->offer.next_look));
    }
    if (o->offer.payload_base.n > 0) {
        (void)json_object_set_new(line, "payload base", gwh_show_text(o->offer.payload_base));
    }
}

/* Is it where devices of its class ask for it? */
static void check_place(const struct survey *s, const struct gwh_offered *o, const char *file)
{
    char name[GWH_STORE_NAME_MAX];
    gwh_offer_name(name, o->has_manifest ? o->m.class_id : o->head.class_id);
    if ((o->has_manifest || o->has_head) && strcmp(name, file) != 0) {
        (void)json_array_append_new(s->problems, json_sprintf("%s holds an offer for the class of %s", file, name));
    }
}

static int show_offer(struct survey *s, const char *name)
{
    struct gwh_offered offered;
    struct gwh_error why = {0};
    json_t *line = json_object();
    (void)json_object_set_new(line, "class id", json_string(name + strlen("offers/")));
    (void)json_array_append(s->classes, line);
    int e = gwh_offered_get(&offered, s->store, name, &why);
    if (e == GWH_REFUSED || (e == GWH_OK && offered.bytes.n == 0)) {
        (void)json_object_set_new(line, "error", json_string(e == GWH_OK ? "it is empty" : gw_error_name(why.reason)));
        (void)json_array_append_new(s->problems, json_sprintf("%s cannot be read", name));
        e = GWH_OK;
    } else if (e == GWH_OK) {
        check_place(s, &offered, name);
        e = offered.has_manifest ? show_release(s, &offered, line) : GWH_OK;
        if (!offered.has_manifest) {
            (void)json_object_set_new(line, "offers", json_string("nothing"));
        }
        show_rest(&offered, line);
    } else {
        *s->err = why;
    }
    gwh_offered_free(&offered);
    json_decref(line);
    return e;
}

/* ---- All of it --------------------------------------------------------------------------------------------------- */

static void show_unused(const struct survey *s, json_t *o)
{
    json_t *list = json_array();
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->payloads.count; i++) {
        const struct entry *file = &s->payloads.entry[i];
        bytes += file->size;
        if (!file->used) {
            (void)json_array_append_new(list, json_pack("{s:s,s:I}", "name", file->name + strlen("payloads/"), "size",
                                                        (json_int_t)file->size));
        }
    }
    (void)json_object_set_new(o, "payloads of no release", list);
    (void)json_object_set_new(o, "bytes of payloads", json_integer((json_int_t)bytes));
    (void)json_object_set_new(
        o, "other files", json_integer((json_int_t)s->offers.others + s->payloads.others + s->releases.others));
}

static int survey_all(struct survey *s)
{
    int e = list(s, "offers/", &s->offers);
    e = e == GWH_OK ? list(s, "payloads/", &s->payloads) : e;
    e = e == GWH_OK ? list(s, "releases/", &s->releases) : e;
    for (size_t i = 0; e == GWH_OK && i < s->offers.count; i++) {
        e = show_offer(s, s->offers.entry[i].name);
    }
    for (size_t i = 0; e == GWH_OK && i < s->releases.count; i++) {
        if (!s->releases.entry[i].used) {
            note_description(s, &s->releases.entry[i]);
        }
    }
    return e;
}

int gwh_repository_list(const struct gwh_store *store, bool digests, json_t **out, bool *whole, struct gwh_error *err)
{
    struct survey s = {.store = store, .digests = digests, .err = err};
    json_t *o = json_object();
    s.classes = json_array();
    s.described = json_array();
    s.problems = json_array();
    int e = survey_all(&s);
    bool empty = s.offers.count + s.payloads.count + s.releases.count == 0;
    if (e == GWH_OK && empty) {
        (void)gwh_fail(err, GWH_IO, "there is no repository: no offers, payloads or releases");
        e = gwh_hint(err, "godwit release publish RELEASE --to DIR --trust BUNDLE makes one");
    }
    *whole = json_array_size(s.problems) == 0;
    (void)json_object_set_new(o, "classes", s.classes);
    (void)json_object_set_new(o, "releases not offered", s.described);
    show_unused(&s, o);
    (void)json_object_set_new(o, "problems", s.problems);
    free(s.offers.entry);
    free(s.payloads.entry);
    free(s.releases.entry);
    *out = e == GWH_OK ? o : NULL;
    if (e != GWH_OK) {
        json_decref(o);
    }
    return e == GWH_OK || err->exit != GWH_OK ? e : gwh_fail_reason(err, e, "the repository");
}
