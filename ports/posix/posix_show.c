/*
 * posix_show.c - a device's flash described: identity, bundles, journal records, slots. Needs no key.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "installer.h"
#include "posix_device.h"
#include "show.h"

static const char *pick(const char *const *names, size_t count, unsigned i)
{
    return i < count ? names[i] : "unknown";
}

const char *gwp_state_name(unsigned state)
{
    static const char *const names[] = {"EMPTY", "STAGED", "TRYING", "CONFIRMED", "PREVIOUS", "REJECTED"};
    return pick(names, 6, state);
}

const char *gwp_slot_name(unsigned slot)
{
    static const char *const names[] = {"A", "B", "factory", "none"};
    return pick(names, 4, slot);
}

const char *gwp_cause_name(unsigned cause)
{
    static const char *const names[] = {"unknown", "power", "watchdog", "fault", "software", "pin", "sleep"};
    return pick(names, 7, cause);
}

static void set(json_t *o, const char *name, json_t *v)
{
    (void)json_object_set_new(o, name, v);
}

static void set_reason(json_t *o, const char *name, unsigned reason)
{
    if (reason != 0) {
        set(o, name, json_string(gw_error_name((int)reason)));
    }
}

static json_t *show_area(struct gw_area a)
{
    char text[48];
    if (a.size == 0) {
        return json_null();
    }
    (void)snprintf(text, sizeof text, "0x%08x, %u bytes", (unsigned)a.start, (unsigned)a.size);
    return json_string(text);
}

/* ---- Objects on flash -------------------------------------------------------------------------------------------- */

/* A sealed object, described by what it parses as. */
static json_t *show_stored(const struct gwp_device *d, struct gw_area area, uint32_t max)
{
    json_t *o = NULL;
    uint32_t n = 0;
    uint8_t *bytes = malloc(max);
    int e = bytes == NULL ? GW_ERR_SPACE : gw_store_read(d->dev.flash, area, bytes, max, &n);
    if (e == GW_OK) {
        e = gwh_show_any(&o, (struct gw_span){bytes, n});
    }
    if (bytes != NULL) {
        gw_wipe(bytes, max);
        free(bytes);
    }
    return e == GW_OK ? o : json_string(e == GW_ERR_NOTHING ? "nothing" : gw_error_name(e));
}

static json_t *show_slot(const struct gwp_device *d, unsigned slot, const struct gw_slot_state *s)
{
    json_t *o = json_object();
    struct gw_slot_map map;
    set(o, "slot", json_string(gwp_slot_name(slot)));
    set(o, "area", show_area(d->dev.layout->slot[slot]));
    if (s != NULL) {
        set(o, "state", json_string(gwp_state_name(s->state)));
    }
    if (s != NULL && s->state != GW_EMPTY) {
        set(o, "release", gwh_show_order(s->order));
        set(o, "manifest digest", gwh_show_hex(s->digest, 32));
        set(o, "floor it asks for", json_integer(s->floor));
        set(o, "weight in quarters", json_integer(s->weight));
        set_reason(o, "left because", s->reason);
    }
    if (gw_layout_slot(d->dev.flash, d->dev.layout, (enum gw_slot)slot, &map) == GW_OK) {
        set(o, "room for an image", json_integer(map.image.size));
        set(o, "manifest on flash", show_stored(d, map.manifest, GW_MANIFEST_MAX));
    }
    return o;
}

/* ---- Journal ----------------------------------------------------------------------------------------------------- */

static json_t *show_install(struct gwp_device *d)
{
    uint8_t r[GW_RECORD_MAX];
    uint32_t n = 0;
    json_t *o = json_object();
    if (gw_journal_get(&d->journal, GW_REC_INSTALL, r, sizeof r, &n) != GW_OK || n != 1 + GW_DIGEST_SIZE) {
        json_decref(o);
        return json_string("none");
    }
    set(o, "into slot", json_string(gwp_slot_name(r[0])));
    set(o, "manifest digest", gwh_show_hex(r + 1, GW_DIGEST_SIZE));
    if (gw_journal_get(&d->journal, GW_REC_PROGRESS, r, sizeof r, &n) == GW_OK && n >= GW_PROGRESS_RECORD) {
        set(o, "components done", json_integer(r[0]));
        set(o, "bytes of the image written", json_integer(gw_get32(r + 2)));
    }
    return o;
}

static json_t *show_records(struct gwp_device *d)
{
    static const char *const names[GW_JOURNAL_KINDS] = {[GW_REC_BOOT] = "boot",
                                                        [GW_REC_INSTALL] = "install",
                                                        [GW_REC_PROGRESS] = "progress",
                                                        [GW_REC_REJECTED] = "rejected",
                                                        [GW_REC_HEAD] = "head serial"};
    json_t *list = json_array();
    uint8_t r[GW_RECORD_MAX];
    for (unsigned kind = GW_REC_BOOT; kind < GW_JOURNAL_KINDS; kind++) {
        uint32_t n = 0;
        int e = gw_journal_get(&d->journal, (enum gw_record)kind, r, sizeof r, &n);
        if (e == GW_ERR_NOTHING) {
            continue;
        }
        json_t *o = json_pack("{s:s,s:I}", "record", names[kind] != NULL ? names[kind] : "agent", "address",
                              (json_int_t)d->journal.at[kind]);
        set(o, e == GW_OK ? "body" : "error", e == GW_OK ? gwh_show_hex(r, n) : json_string(gw_error_name(e)));
        (void)json_array_append_new(list, o);
    }
    return list;
}

static json_t *show_journal(struct gwp_device *d, int mounted)
{
    json_t *o = json_object();
    if (mounted != GW_OK) {
        set(o, "error", json_string(gw_error_name(mounted)));
        set(o, "why", json_string(gw_strerror(mounted)));
        return o;
    }
    set(o, "area", show_area(d->dev.layout->journal));
    set(o, "lost", json_boolean(d->journal.lost != 0));
    set(o, "bank in use", json_integer(d->journal.current));
    set(o, "generation", json_integer(d->journal.generation));
    set(o, "records", show_records(d));
    return o;
}

/* ---- The whole --------------------------------------------------------------------------------------------------- */

static json_t *show_running(const char *folder)
{
    struct gw_handover h;
    json_t *o = json_object();
    if (!gwp_handover_read(folder, &h)) {
        json_decref(o);
        return json_string("off");
    }
    set(o, "slot", json_string(gwp_slot_name(h.slot)));
    set(o, "state at boot", json_string(gwp_state_name(h.state)));
    set(o, "recovery", json_boolean(h.recovery != 0));
    set(o, "reset cause", json_string(gwp_cause_name(h.cause)));
    set_reason(o, "why the image before was left", h.reason);
    return o;
}

static void show_state(json_t *o, const struct gw_boot_state *s)
{
    set(o, "floor", gwh_show_order(s->floor));
    set(o, "started last", json_string(gwp_slot_name(s->last)));
    set(o, "bundle in use", json_integer(s->trust_active));
    set(o, "bundle waiting", json_boolean(s->trust_pending != 0));
    set_reason(o, "last time an image was left", s->reason);
}

json_t *gwp_show_device(struct gwp_device *d)
{
    json_t *o = json_object(), *slots = json_array(), *bundles = json_array();
    const struct gw_layout *l = d->dev.layout;
    struct gw_boot_state s;
    int mounted = gw_device_mount(&d->dev);
    int e = mounted == GW_OK ? gw_device_state(&d->dev, &s) : mounted;
    set(o, "kind", json_string("device"));
    set(o, "running", show_running(d->folder));
    set(o, "layout", json_string(l->factory.size > 0 ? "extended" : "limited"));
    if (e == GW_OK) {
        show_state(o, &s);
    } else {
        set(o, "state of the slots", json_string(gw_error_name(e)));
    }
    for (unsigned i = 0; i < 2; i++) {
        (void)json_array_append_new(slots, show_slot(d, i, e == GW_OK ? &s.slot[i] : NULL));
        (void)json_array_append_new(bundles, show_stored(d, l->trust[i], GW_TRUST_MAX));
    }
    set(o, "slots", slots);
    set(o, "factory", show_area(l->factory));
    set(o, "install under way", mounted == GW_OK ? show_install(d) : json_null());
    set(o, "journal", show_journal(d, mounted));
    set(o, "trust bundles", bundles);
    set(o, "identity", show_stored(d, l->identity, GW_IDENTITY_MAX));
    return o;
}
