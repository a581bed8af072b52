/*
 * plan.c - what of a manifest a device takes, or the reason why nothing (gw_plan_make).
 *
 * Pure: the same facts give the same plan, on a device, in the author's tool and on a server that explains. It trusts
 * that the manifest and the head were opened, and checks no signature.
 */
#include "plan.h"

#include <string.h>

#define NOT_SO_DEEP UINT32_MAX

/* ---- The release as a whole ---- */

static bool is_device(const struct gw_manifest *m, const struct gw_identity *id)
{
    struct gw_span s;
    for (uint32_t i = 0; gw_manifest_device(m, i, &s) == GW_OK; i++) {
        if (s.n == id->device_id_size && memcmp(s.p, id->device_id, s.n) == 0) {
            return true;
        }
    }
    return m->device_count == 0;
}

static int made_for(const struct gw_manifest *m, const struct gw_identity *id)
{
    if (memcmp(m->vendor, id->vendor, GW_UUID_SIZE) != 0) {
        return GW_ERR_VENDOR;
    }
    if (memcmp(m->class_id, id->class_id, GW_UUID_SIZE) != 0) {
        return GW_ERR_CLASS;
    }
    return is_device(m, id) ? GW_OK : GW_ERR_DEVICE;
}

int gw_manifest_suits(const struct gw_manifest *m, const struct gw_identity *id, struct gw_order floor)
{
    int error = made_for(m, id);
    return error != GW_OK ? error : gw_order_compare(m->order, floor) < 0 ? GW_ERR_FLOOR : GW_OK;
}

static bool depends(const struct gw_manifest *m, const struct gw_facts *facts)
{
    struct gw_dependency d;
    for (uint32_t i = 0; gw_manifest_dependency(m, i, &d) == GW_OK; i++) {
        uint32_t is = d.kind == GW_DEPENDS_HARDWARE     ? facts->identity->hardware
                      : d.kind == GW_DEPENDS_BOOTLOADER ? facts->bootloader
                      : facts->has_installed            ? facts->installed.sequence
                                                        : 0;
        if (is < d.min || is > d.max) {
            return false;
        }
    }
    return true;
}

static int check_head(const struct gw_manifest *m, const struct gw_facts *facts)
{
    const struct gw_head *head = facts->head;
    struct gw_order withdrawn;

    if (head == NULL) {
        return GW_OK;
    }
    if (memcmp(head->class_id, facts->identity->class_id, GW_UUID_SIZE) != 0) {
        return GW_ERR_HEAD_OTHER;
    }
    if (head->serial < facts->head_serial) {
        return GW_ERR_HEAD_OLDER;
    }
    for (uint32_t i = 0; gw_head_withdrawn(head, i, &withdrawn) == GW_OK; i++) {
        if (gw_order_compare(m->order, withdrawn) == 0) {
            return GW_ERR_WITHDRAWN;
        }
    }
    return gw_order_compare(m->order, head->latest) > 0 ? GW_ERR_HEAD_BEHIND : GW_OK;
}

static int check_release(const struct gw_manifest *m, const struct gw_facts *facts)
{
    int error = made_for(m, facts->identity);

    if (error != GW_OK) {
        return error;
    }
    if (m->order.epoch != facts->epoch) {
        return GW_ERR_EPOCH;
    }
    if (!depends(m, facts)) {
        return GW_ERR_DEPENDENCY;
    }
    if (facts->has_installed && gw_order_compare(m->order, facts->installed) <= 0) {
        return GW_ERR_OLDER;
    }
    if (gw_order_compare(m->order, facts->floor) < 0) {
        return GW_ERR_FLOOR;
    }
    if (m->use_before != 0 && facts->now >= m->use_before) {
        return GW_ERR_EXPIRED;
    }
    for (uint32_t i = 0; i < facts->rejected_count && facts->rejected != NULL; i++) {
        if (memcmp(facts->rejected[i], m->digest, GW_DIGEST_SIZE) == 0) {
            return GW_ERR_REJECTED_BEFORE;
        }
    }
    return check_head(m, facts);
}

/* ---- Choosing ---- */

/* The search for one choice: where it is, and what became of the candidates so far. */
struct search {
    const struct gw_facts *facts;
    const struct gw_place *place;
    struct gw_choice *choice;
    uint32_t fetch; /* bytes, of what was chosen */
};

/* The reason for a whole group: its one member's own, or the group's. */
static int sum_up(uint32_t members, int last, int group)
{
    return members == 1 ? last : group;
}

static void pass(const struct gw_facts *facts, uint32_t component, uint32_t variant, uint32_t payload, int reason)
{
    if (facts->passed != NULL) {
        facts->passed(facts->ctx, component, variant, payload, reason);
    }
}

int gw_plan_payload(const struct gw_payload *p, const struct gw_facts *facts, const struct gw_place *place)
{
    if ((facts->encodings >> p->encoding & 1u) == 0) {
        return GW_ERR_ENCODING;
    }
    if ((p->cipher == GW_ALG_A128CTR && !facts->a128ctr) || (p->cipher == GW_ALG_A256CTR && !facts->a256ctr)) {
        return GW_ERR_CIPHER;
    }
    if (p->delta && (!place->has_installed || memcmp(p->precursor, place->installed, GW_DIGEST_SIZE) != 0)) {
        return GW_ERR_PRECURSOR;
    }
    if (p->decoder_ram > facts->decoder_ram) {
        return GW_ERR_DECODER_RAM;
    }
    return p->frame_size > facts->frame_max ? GW_ERR_FRAME_SIZE : GW_OK;
}

static int choose_payload(struct search *s, const struct gw_variant *v)
{
    struct gw_choice *choice = s->choice;
    struct gw_payload p;
    int reason = GW_ERR_NO_PAYLOAD;

    for (choice->payload = 0; gw_variant_payload(v, choice->payload, &p) == GW_OK; choice->payload++) {
        reason = gw_plan_payload(&p, s->facts, s->place);
        if (reason == GW_OK) {
            s->fetch = p.size;
            choice->precursor_size = p.delta ? s->place->installed_size : 0;
            return GW_OK;
        }
        pass(s->facts, choice->component, choice->variant, choice->payload, reason);
    }
    return sum_up(v->payload_count, reason, GW_ERR_NO_PAYLOAD);
}

static int check_variant(struct search *s, const struct gw_variant *v)
{
    const struct gw_place *place = s->place;

    if (v->linked && v->address != place->address) {
        return GW_ERR_NO_VARIANT;
    }
    if (v->size > place->room) {
        return GW_ERR_SLOT_SMALL;
    }
    s->choice->copy = place->kind == GW_KIND_DATA && place->has_installed && v->size == place->installed_size &&
                      memcmp(v->digest, place->installed, GW_DIGEST_SIZE) == 0;
    return s->choice->copy ? GW_OK : choose_payload(s, v);
}

/* Variants that are linked for elsewhere do not count: if one remains, its reason is the reason. */
static int choose_variant(struct search *s, const struct gw_component *c)
{
    struct gw_choice *choice = s->choice;
    struct gw_variant v;
    uint32_t fitting = 0;
    int last = GW_ERR_NO_VARIANT, reason;

    for (choice->variant = 0; gw_component_variant(c, choice->variant, &v) == GW_OK; choice->variant++) {
        choice->payload = 0;
        reason = check_variant(s, &v);
        if (reason == GW_OK) {
            return GW_OK;
        }
        if (reason != GW_ERR_NO_VARIANT) {
            fitting++;
            last = reason;
        }
        pass(s->facts, choice->component, choice->variant, NOT_SO_DEEP, reason);
    }
    return fitting == 0 ? GW_ERR_NO_VARIANT : sum_up(fitting, last, GW_ERR_NO_PAYLOAD);
}

static int choose_place(struct search *s, const struct gw_component *c)
{
    const struct gw_facts *facts = s->facts;

    for (uint32_t i = 0; i < facts->place_count; i++) {
        s->place = &facts->places[i];
        if (s->place->component == c->id && s->place->kind == c->kind) {
            s->choice->place = i;
            return choose_variant(s, c);
        }
    }
    return GW_ERR_COMPONENT;
}

int gw_plan_make(struct gw_plan *plan, const struct gw_manifest *m, const struct gw_facts *facts)
{
    struct gw_plan o;
    struct gw_component c;
    int error = check_release(m, facts);

    memset(&o, 0, sizeof o);
    while (error == GW_OK && gw_manifest_component(m, o.count, &c) == GW_OK) {
        struct search s = { facts, NULL, &o.choice[o.count], 0 };
        s.choice->component = o.count;
        error = choose_place(&s, &c);
        if (error != GW_OK) {
            pass(facts, o.count, NOT_SO_DEEP, NOT_SO_DEEP, error);
        }
        o.fetch_bytes = s.fetch > UINT32_MAX - o.fetch_bytes ? UINT32_MAX : o.fetch_bytes + s.fetch;
        o.count++;
    }
    if (error == GW_OK) {
        *plan = o;
    }
    return error;
}
