/*
 * open.c - the first half of an install: may this release come in, which parts of it, and what is here already?
 *
 * Keeps true: nothing is written before the end of all checks but the serial of a newer channel head; the target is
 * never the slot that runs or ran last; the content key is wiped on every failure. The second half is install.c.
 */
#include "installer.h"

#include <string.h>

#include "cose.h"

/* What open needs besides the install itself; lives on the stack of open only. */
struct opening {
    struct gw_install *inst;
    const struct gw_release *release;
    struct gw_boot_state state;
    struct gw_identity id;
    struct gw_head head;
    struct gw_place place[GW_COMPONENTS_MAX];
    uint32_t places;
    bool has_installed;
    struct gw_order installed;
    uint32_t head_serial;
    uint32_t epoch;
};

/* What only the plan needs: not on the stack while signatures are checked. */
struct planning {
    uint8_t rejected[GW_REJECTED_MAX + 2][GW_DIGEST_SIZE];
    struct gw_facts facts;
};

static const struct gw_device *device(const struct opening *o)
{
    return o->inst->config->dev;
}

/* How much would be lost by overwriting a slot. */
static unsigned worth(const struct gw_slot_state *slot)
{
    static const uint8_t value[] = {
        [GW_EMPTY] = 0, [GW_REJECTED] = 0, [GW_STAGED] = 1, [GW_TRYING] = 1, [GW_PREVIOUS] = 2, [GW_CONFIRMED] = 3,
    };
    return value[slot->state];
}

/* The slot to write: never the one that runs or ran last; in recovery the one that is worth less. */
static int choose_slot(struct opening *o)
{
    const struct gw_install_config *c = o->inst->config;
    unsigned running = c->running;

    if (running > GW_SLOT_B) {
        if (!c->recovery) {
            return GW_ERR_NOT_CONFIRMED;
        }
        if (o->state.last <= GW_SLOT_B) {
            return GW_ERR_STATE; /* boot started a slot: this is no recovery */
        }
        o->inst->slot = worth(&o->state.slot[1]) < worth(&o->state.slot[0]);
        return GW_OK;
    }
    if (running != o->state.last) {
        return GW_ERR_STATE; /* not what boot started: the caller confuses its slots */
    }
    if (worth(&o->state.slot[running]) < worth(&(struct gw_slot_state){ .state = GW_PREVIOUS })) {
        return GW_ERR_NOT_CONFIRMED;
    }
    o->has_installed = true;
    o->installed = o->state.slot[running].order;
    o->inst->slot = (uint8_t)(running ^ 1u);
    return GW_OK;
}

/* The content key, from the first grant that fits. */
static GW_NOINLINE int open_grants(struct opening *o)
{
    struct gw_install *inst = o->inst;
    struct gw_identity_keys keys = { device(o)->crypto, { 0 } };
    struct gw_keystore store;
    int err = GW_ERR_NO_KEY;
    size_t size = 0;

    if (inst->manifest.key_check.n == 0) {
        return GW_OK;
    }
    if (device(o)->keys != NULL) {
        store = *device(o)->keys;
    } else {
        uint8_t *memory = inst->config->buffer + GW_TRUST_MAX;
        err = gw_identity_load(device(o), memory, &o->id, NULL, &keys.identity);
        if (err != GW_OK) {
            return err;
        }
        gw_identity_keystore(&store, &keys);
        err = GW_ERR_NO_KEY;
    }
    for (uint32_t i = 0; err != GW_OK && i < o->release->grant_count && i < GW_GRANTS_MAX; i++) {
        const struct gw_span *grant = &o->release->grant[i];
        int e = gw_grant_open(device(o)->crypto, &store, &inst->manifest, grant->p, grant->n, inst->cek, &size);
        err = e == GW_OK || err == GW_ERR_NO_KEY ? e : err; /* a more telling reason than "none" is kept */
    }
    inst->cek_size = (uint8_t)size;
    return err;
}

/*
 * Verifies the head and keeps its serial at once, whatever becomes of the release: a server that showed a head cannot
 * go back behind it, not even after this device refused what came with it.
 */
static int open_head(struct opening *o, const struct gw_trust *trust)
{
    const struct gw_install_config *c = o->inst->config;
    const struct gw_span *head = &o->release->head;
    struct gw_head_seen seen;

    int err = c->head_required ? GW_ERR_HEAD_MISSING : GW_OK;
    if (head->n != 0) {
        err = gw_head_take(c, trust, o->id.class_id, *head, &o->head, &seen); /* what else is wrong, the plan says */
    } else {
        gw_head_seen(device(o), &seen);
    }
    o->head_serial = seen.serial;
    return err;
}

/* Verifies what was offered. Uses the buffer for identity and bundle. */
static GW_NOINLINE int open_signed(struct opening *o)
{
    struct gw_install *inst = o->inst;
    const struct gw_span *m = &o->release->manifest;
    struct gw_trust trust;

    int err = gw_trust_load(device(o), &o->state, true, inst->config->buffer, &trust, &o->id);
    if (err == GW_OK) {
        o->epoch = trust.epoch;
        err = gw_manifest_open(&inst->manifest, device(o)->crypto, &trust, m->p, m->n);
    }
    return err == GW_OK ? open_head(o, &trust) : err;
}

/* What the running slot holds for a component: a source for copies and deltas. */
static void note_installed(const struct opening *o, const struct gw_manifest *running, struct gw_place *place)
{
    struct gw_component c;
    struct gw_variant v;
    struct gw_area area;
    uint32_t index;

    for (uint32_t i = 0; i < running->component_count; i++) {
        enum gw_slot slot = (enum gw_slot)(o->inst->slot ^ 1u);
        if (gw_manifest_component(running, i, &c) == GW_OK && c.id == place->component &&
            gw_component_area(device(o), slot, c.kind, c.id, &area) == GW_OK &&
            gw_variant_for(&c, area.start, &v, &index) == GW_OK) {
            place->has_installed = true;
            place->installed_size = v.size;
            memcpy(place->installed, v.digest, sizeof place->installed);
        }
    }
}

/* The manifest of the running slot, if the buffer has room for it. It was verified at boot. */
static GW_NOINLINE bool running_manifest(const struct opening *o, struct gw_manifest *m)
{
    const struct gw_install_config *c = o->inst->config;
    struct gw_slot_map map;
    struct gw_cose_sign sign;
    uint32_t n = 0;

    return o->has_installed && c->buffer_size >= GW_MANIFEST_MAX &&
           gw_layout_slot(device(o)->flash, device(o)->layout, (enum gw_slot)c->running, &map) == GW_OK &&
           gw_store_read(device(o)->flash, map.manifest, c->buffer, GW_MANIFEST_MAX, &n) == GW_OK &&
           gw_cose_sign_parse(&sign, c->buffer, n) == GW_OK &&
           gw_manifest_parse(m, sign.payload.p, sign.payload.n) == GW_OK;
}

/* The places of this device in the target slot, for the bootable component and each data area. */
static GW_NOINLINE int find_places(struct opening *o)
{
    const struct gw_layout *l = device(o)->layout;
    const struct gw_manifest *offered = &o->inst->manifest;
    struct gw_manifest running;
    struct gw_component c;
    struct gw_area area;
    uint32_t n = 0;

    bool known = running_manifest(o, &running);
    for (uint32_t i = 0; i < 1 + l->data_count; i++) {
        struct gw_place *place = &o->place[n++];
        place->kind = i == 0 ? GW_KIND_BOOTABLE : GW_KIND_DATA;
        place->component = i == 0 ? 0 : l->data[i - 1].component;
        for (uint32_t k = 0; i == 0 && k < offered->component_count; k++) { /* the bootable one goes by its kind */
            if (gw_manifest_component(offered, k, &c) == GW_OK && c.kind == GW_KIND_BOOTABLE) {
                place->component = c.id;
            }
        }
        int err = gw_component_area(device(o), (enum gw_slot)o->inst->slot, place->kind, place->component, &area);
        if (err != GW_OK) {
            return err;
        }
        place->address = area.start;
        place->room = area.size;
        if (known) {
            note_installed(o, &running, place);
        }
    }
    o->places = n;
    return GW_OK;
}

static GW_NOINLINE int make_plan(struct opening *o)
{
    struct gw_install *inst = o->inst;
    const struct gw_install_config *c = inst->config;
    struct planning p;
    struct gw_facts *f = &p.facts;

    memset(&p, 0, sizeof p);
    f->places = o->place;
    f->place_count = o->places;
    f->identity = &o->id;
    f->bootloader = device(o)->bootloader;
    f->has_installed = o->has_installed;
    f->installed = o->installed;
    f->floor = o->state.floor;
    f->epoch = o->epoch;
    f->rejected_count = gw_slots_rejected(device(o), &o->state, p.rejected);
    f->rejected = (const uint8_t(*)[GW_DIGEST_SIZE])p.rejected;
    f->head = o->release->head.n != 0 ? &o->head : NULL;
    f->head_serial = o->head_serial;
    f->now = c->now;
    gw_decode_facts(inst, f);
    f->passed = c->passed;
    f->ctx = c->ctx;
    return gw_plan_make(&inst->plan, &inst->manifest, f);
}

/* Where to begin: afresh, where an earlier attempt stopped, or at the end. */
static int find_start(struct opening *o)
{
    struct gw_install *inst = o->inst;
    const struct gw_slot_state *slot = &o->state.slot[inst->slot];
    struct gw_slot_map map;

    int err = gw_layout_slot(device(o)->flash, device(o)->layout, (enum gw_slot)inst->slot, &map);
    if (err != GW_OK) {
        return err;
    }
    inst->work = map.work;
    inst->manifest_area = map.manifest;
    inst->release.order = inst->manifest.order;
    inst->release.floor = inst->manifest.floor;
    memcpy(inst->release.digest, inst->manifest.digest, GW_DIGEST_SIZE);
    inst->state = GW_ST_CLEAR;
    if (slot->state == GW_STAGED && memcmp(slot->digest, inst->manifest.digest, GW_DIGEST_SIZE) == 0) {
        inst->state = GW_ST_READY; /* all done before: a restart is what is missing */
    } else if (slot->state == GW_EMPTY) {
        err = gw_install_recall(inst);
        inst->state = err == GW_OK ? GW_ST_COMPONENT : GW_ST_CLEAR;
        if (err != GW_OK) {
            inst->step = inst->done_before = 0;
        }
    }
    return err == GW_ERR_NOTHING ? GW_OK : err;
}

int gw_install_open(struct gw_install *inst, const struct gw_install_config *config, const struct gw_release *release)
{
    struct opening o;

    memset(inst, 0, sizeof *inst);
    memset(&o, 0, sizeof o);
    if (config->buffer_size < GW_INSTALL_BUFFER_MIN) {
        return GW_ERR_SPACE;
    }
    inst->config = config;
    inst->manifest_bytes = release->manifest;
    o.inst = inst;
    o.release = release;
    int err = gw_device_state(config->dev, &o.state);
    if (err == GW_OK) {
        err = choose_slot(&o);
    }
    if (err == GW_OK) {
        err = open_signed(&o);
    }
    if (err == GW_OK) {
        err = open_grants(&o);
    }
    if (err == GW_OK) {
        err = find_places(&o);
    }
    if (err == GW_OK) {
        err = make_plan(&o);
    }
    if (err == GW_OK) {
        err = find_start(&o);
    }
    gw_wipe(config->buffer, GW_INSTALL_BUFFER_MIN); /* the identity's secrets were in it */
    if (err != GW_OK) {
        gw_wipe(inst, sizeof *inst);
        inst->error = err;
    }
    return err;
}
