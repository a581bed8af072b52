/*
 * fleet_why.c - why a device gets what it gets: in words, and as data.
 *
 * The verdict on the release is the device's own (gw_plan_make), from what its last report says. What the server does
 * not know of a device is assumed to be there, and said: room, memory for decoders, both encodings; that it rejected
 * nothing; where images are linked for.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "db.h"
#include "fleet_internal.h"
#include "show.h"

static void say(json_t *words, const char *format, ...) GWH_PRINTF(2, 3);
static void say(json_t *words, const char *format, ...)
{
    char line[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    (void)json_array_append_new(words, json_string(line));
}

static void set(json_t *o, const char *name, json_t *value)
{
    (void)json_object_set_new(o, name, value);
}

static json_t *text_of(struct gw_span s)
{
    return json_stringn((const char *)s.p, s.n);
}

/* ---- The device's planner ---------------------------------------------------------------------------------------- */

struct passing {
    json_t *list;
};
static void note_passed(void *ctx, uint32_t component, uint32_t variant, uint32_t payload, int reason)
{
    struct passing *p = ctx;
    json_t *o = json_object();
    set(o, "component", json_integer(component));
    if (variant != UINT32_MAX) {
        set(o, "variant", json_integer(variant));
    }
    if (payload != UINT32_MAX) {
        set(o, "payload", json_integer(payload));
    }
    set(o, "reason", json_string(gw_error_name(reason)));
    if (json_array_append_new(p->list, o) != 0) {
        p->list = NULL;
    }
}

/* The image of this component that the installed release has; linked elsewhere than the new one, if it has a choice. */
static void find_installed(const struct fleet_release *installed, struct gw_place *place)
{
    struct gw_component c;
    struct gw_variant v;
    for (uint32_t i = 0; gw_manifest_component(&installed->m, i, &c) == GW_OK; i++) {
        for (uint32_t j = 0; c.id == place->component && gw_component_variant(&c, j, &v) == GW_OK; j++) {
            if (!place->has_installed || (v.linked && v.address != place->address)) {
                place->has_installed = true;
                place->installed_size = v.size;
                memcpy(place->installed, v.digest, 32);
            }
        }
    }
}

static uint32_t make_places(const struct fleet_release *r, const struct fleet_release *installed,
                            struct gw_place place[GW_COMPONENTS_MAX])
{
    struct gw_component c;
    struct gw_variant v;
    uint32_t n = 0;
    for (; n < GW_COMPONENTS_MAX && gw_manifest_component(&r->m, n, &c) == GW_OK; n++) {
        place[n] = (struct gw_place){.component = c.id, .kind = c.kind, .room = UINT32_MAX};
        if (gw_component_variant(&c, 0, &v) == GW_OK && v.linked) {
            place[n].address = v.address;
        }
        if (installed != NULL) {
            find_installed(installed, &place[n]);
        }
    }
    return n;
}

static void make_identity(struct gw_identity *id, const struct fleet_release *r, const struct gws_device *d)
{
    memcpy(id->vendor, r->m.vendor, 16);
    memcpy(id->class_id, d->class_id, 16);
    id->device_id_size = (uint8_t)strlen(d->id);
    memcpy(id->device_id, d->id, id->device_id_size);
    id->hardware = d->hardware;
}

static bool has_grant(const struct fleet_release *r, const struct gws_device *d)
{
    for (uint32_t i = 0; i < r->grant_count; i++) {
        if (fleet_grant_fits(gwh_span(&r->grant[i]), d->kids)) {
            return true;
        }
    }
    return false;
}

int fleet_plan_device(const struct fleet_class *c, const struct fleet_release *r,
                      const struct fleet_release *installed, const struct gws_device *d, int64_t now, json_t *passed,
                      struct gw_plan *plan)
{
    struct gw_identity id = {.hardware = 0};
    struct gw_place places[GW_COMPONENTS_MAX];
    struct passing p = {passed};
    make_identity(&id, r, d);
    struct gw_facts facts = {.identity = &id, .places = places, .bootloader = d->bootloader};
    facts.place_count = make_places(r, installed, places);
    facts.has_installed = d->running.sequence != 0;
    facts.installed = d->running;
    facts.epoch = r->m.order.epoch; /* its bundle's is not reported */
    facts.head = c->cose.n > 0 ? &c->head : NULL;
    facts.head_serial = d->head_serial;
    facts.now = now > 0 && now < UINT32_MAX ? (uint32_t)now : 0;
    facts.frame_max = facts.decoder_ram = UINT32_MAX;
    facts.encodings = 1u << GW_ENCODING_RAW | 1u << GW_ENCODING_PATCH;
    facts.a128ctr = facts.a256ctr = has_grant(r, d);
    facts.passed = passed != NULL ? note_passed : NULL;
    facts.ctx = &p;
    return gw_plan_make(plan, &r->m, &facts);
}

static json_t *show_choice(const struct fleet_release *r, const struct gw_choice *k)
{
    json_t *o = json_object();
    struct gw_component c;
    struct gw_variant v;
    struct gw_payload p;
    if (gw_manifest_component(&r->m, k->component, &c) != GW_OK ||
        gw_component_variant(&c, k->variant, &v) != GW_OK) {
        return o;
    }
    set(o, "component", json_integer(c.id));
    if (k->copy) {
        set(o, "copy", json_true());
    } else if (gw_variant_payload(&v, k->payload, &p) == GW_OK) {
        set(o, "payload", gwh_show_hex(p.name, 32));
        set(o, "kind", json_string(p.delta ? "delta" : "full"));
        set(o, "size", json_integer(p.size));
    }
    return o;
}

static json_t *show_plan(sqlite3 *db, const struct fleet_class *c, const struct fleet_release *r,
                         const struct gws_device *d, int64_t now, json_t *words, struct gwh_error *err)
{
    json_t *o = json_object(), *passed = json_array(), *chosen = json_array();
    struct fleet_release *installed = NULL;
    uint8_t digest[32];
    struct gw_plan plan;
    if (fleet_release_of(db, d->class_id, d->running, digest, err)) {
        installed = fleet_release_load(db, digest, err);
    }
    int e = fleet_plan_device(c, r, installed, d, now, passed, &plan);
    set(o, "suits", json_boolean(e == GW_OK));
    if (e != GW_OK) {
        set(o, "reason", json_string(gw_error_name(e)));
        say(words, "The device would refuse it: %s: %s.", gw_error_name(e), gw_strerror(e));
    } else {
        set(o, "bytes", json_integer(plan.fetch_bytes));
        say(words, "The device would fetch %u bytes for it.", (unsigned)plan.fetch_bytes);
    }
    for (uint32_t i = 0; e == GW_OK && i < plan.count; i++) {
        (void)json_array_append_new(chosen, show_choice(r, &plan.choice[i]));
    }
    set(o, "choices", chosen);
    set(o, "passed", passed);
    set(o, "assumed", json_string("room, decoders and their memory; nothing rejected; the bundle's epoch"));
    fleet_release_free(installed);
    return o;
}

/* ---- What it said of itself -------------------------------------------------------------------------------------- */

static void show_device(const struct gws_fleet *f, const struct gws_device *d, int64_t now, json_t *o, json_t *words)
{
    json_t *tags = json_array();
    const char *state = d->reported != 0 ? gwh_report_state_name(d->state) : "nothing yet";
    const char *reason = d->reason != 0 ? gw_error_name(d->reason) : "no reason";
    for (unsigned i = 0; i < d->tag_count; i++) {
        (void)json_array_append_new(tags, json_string(gws_fleet_tag(f, d->tags[i])));
    }
    set(o, "enabled", json_boolean(d->enabled));
    set(o, "tags", tags);
    set(o, "seen", json_integer(d->seen));
    set(o, "reported", json_integer(d->reported));
    if (!d->enabled) {
        say(words, "It is disabled: every request of it is refused.");
    }
    if (d->seen == 0) {
        say(words, "It was never seen.");
    } else {
        say(words, "It was last seen %lld seconds ago.", (long long)(now - d->seen));
    }
    if (d->reported == 0) {
        say(words, "It has reported nothing yet: what it runs is not known.");
        return;
    }
    set(o, "state", json_string(state));
    set(o, "reason", d->reason != 0 ? json_string(reason) : json_null());
    set(o, "running", gwh_show_order(d->running));
    set(o, "about", gwh_show_order(d->about));
    say(words, "It runs epoch %u, sequence %u, and last reported %s of epoch %u, sequence %u (%s).",
        (unsigned)d->running.epoch, (unsigned)d->running.sequence, state, (unsigned)d->about.epoch,
        (unsigned)d->about.sequence, reason);
}

/* ---- Rollouts ---------------------------------------------------------------------------------------------------- */

static const char *const against_names[] = {"serves it",   "not started",    "paused",
                                            "not in its target", "lower priority", "started earlier"};
static const char *const withheld_names[] = {
    [OFFERED] = "offered",
    [DISABLED] = "the device is disabled",
    [RUNS_IT] = "the device runs it",
    [RUNS_NEWER] = "the device runs a newer one",
    [LEFT_IT] = "the device went back from it",
    [WITHDRAWN] = "the class's head withdraws it",
    [HEAD_BEHIND] = "the class's head does not name it yet",
};

static json_t *show_rollouts(const struct gws_fleet *f, const struct gws_device *d, const struct fleet_class *c,
                             const struct fleet_rollout *serving, json_t *words)
{
    json_t *list = json_array();
    for (size_t i = 0; i < f->policy.rollout_count; i++) {
        const struct fleet_rollout *r = &f->policy.rollouts[i];
        if (&f->policy.classes[r->class_at] != c) {
            continue;
        }
        enum fleet_against why = fleet_against(f, r, d, serving);
        json_t *o = json_object();
        set(o, "id", json_string(r->id));
        set(o, "name", json_string(r->name));
        set(o, "priority", json_integer(r->priority));
        set(o, "release", gwh_show_hex(r->release->digest, 32));
        set(o, "serves", json_boolean(why == FOR));
        set(o, "reason", json_string(against_names[why]));
        (void)json_array_append_new(list, o);
        say(words, why == FOR ? "Rollout %s (%s) %s." : "Rollout %s (%s) does not: %s.", r->id, r->name,
            against_names[why]);
    }
    return list;
}

static json_t *show_offer(struct gws_fleet *f, struct gws_device *d, const struct fleet_class *c,
                          const struct fleet_rollout *serving, json_t *words)
{
    const struct gws_served *served = gws_fleet_offer(f, d);
    json_t *o = json_object();
    set(o, "bytes", json_integer((json_int_t)served->bytes.n));
    set(o, "etag", json_string(served->bytes.n > 0 ? served->etag : ""));
    if (serving == NULL) {
        say(words, "No rollout serves it: it is offered %s.", served->bytes.n > 0 ? "no release" : "nothing");
        set(o, "release", json_null());
        return o;
    }
    enum fleet_withheld why = fleet_withheld(c, serving->release, d);
    const struct gw_manifest *m = &serving->release->m;
    set(o, "rollout", json_string(serving->id));
    set(o, "release", why == OFFERED ? gwh_show_hex(serving->release->digest, 32) : json_null());
    set(o, "version", text_of(m->version));
    set(o, "reason", json_string(withheld_names[why]));
    say(words, "Release %.*s (epoch %u, sequence %u): %s.", (int)m->version.n, (const char *)m->version.p,
        (unsigned)m->order.epoch, (unsigned)m->order.sequence, withheld_names[why]);
    return o;
}

static void show_class(const struct fleet_class *c, json_t *o, json_t *words)
{
    if (c == NULL) {
        say(words, "Its class is not known.");
        return;
    }
    json_t *k = json_object();
    set(k, "id", gwh_show_hex(c->id, 16));
    set(k, "vendor", json_string(c->vendor));
    set(k, "name", json_string(c->name));
    set(k, "head_serial", json_integer(c->cose.n > 0 ? c->head.serial : 0));
    set(o, "class", k);
    say(words, "It is of class %s %s.", c->vendor, c->name);
}

json_t *gws_fleet_why(struct gws_fleet *fleet, sqlite3 *db, const char *id, int64_t now, struct gwh_error *err)
{
    json_t *o = json_object(), *words = json_array();
    struct gws_device *d = gws_fleet_device(fleet, id);
    set(o, "id", json_string(id));
    set(o, "known", json_boolean(d != NULL));
    set(o, "words", words);
    if (d == NULL) {
        say(words, "It is not known: it was neither imported nor seen with a certificate that is taken.");
        return o;
    }
    const struct fleet_class *c = fleet_class_of(fleet, d);
    const struct fleet_rollout *serving = fleet_pick(fleet, d);
    show_class(c, o, words);
    show_device(fleet, d, now, o, words);
    set(o, "rollouts", show_rollouts(fleet, d, c, serving, words));
    set(o, "offer", show_offer(fleet, d, c, serving, words));
    if (serving != NULL && c != NULL) {
        set(o, "plan", show_plan(db, c, serving->release, d, now, words, err));
    }
    if (err->exit != GWH_OK) {
        json_decref(o);
        return NULL;
    }
    return o;
}
