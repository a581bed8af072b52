/*
 * fuzz_plan.c - the plan: 48 bytes of facts, then a manifest (bare). Whatever is chosen, the facts allow; the same
 * facts give the same plan; a refusal writes nothing.
 */
#include "fuzz_formats.h"

#define FACTS 48u

static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void make_facts(const uint8_t *p, struct gw_facts *f, struct gw_identity *id, struct gw_place place[2],
                       struct gw_head *head)
{
    memset(f, 0, sizeof *f);
    memset(id, 0, sizeof *id);
    memset(place, 0, 2 * sizeof *place);
    memset(head, 0, sizeof *head);
    memset(id->vendor, 0xaa, 16);
    memset(id->class_id, 0xbb, 16);
    memset(head->class_id, 0xbb, 16);
    memcpy(id->device_id, "dev-1", 5);
    id->device_id_size = 5;
    id->hardware = p[0];
    place[0] = (struct gw_place){ p[1], GW_KIND_BOOTABLE, u32(p + 4), u32(p + 8), (p[2] & 1) != 0, u32(p + 12), { 0 } };
    place[1] = (struct gw_place){ p[3], GW_KIND_DATA, 0, u32(p + 16), (p[2] & 2) != 0, u32(p + 20), { 0 } };
    memset(place[0].installed, p[24], 32);
    memset(place[1].installed, p[25], 32);
    f->identity = id;
    f->places = place;
    f->place_count = p[26] % 3;
    f->bootloader = p[27];
    f->has_installed = (p[2] & 4) != 0;
    f->installed = (struct gw_order){ p[28], p[29] };
    f->floor = (struct gw_order){ p[30], p[31] };
    f->epoch = p[32];
    f->head = (p[2] & 8) != 0 ? head : NULL;
    head->latest = (struct gw_order){ p[33], p[34] };
    head->serial = p[35];
    f->head_serial = p[36];
    f->now = u32(p + 37);
    f->frame_max = (uint32_t)p[41] << 9;
    f->decoder_ram = (uint32_t)p[42] << 9;
    f->encodings = p[43];
    f->a128ctr = (p[2] & 16) != 0;
    f->a256ctr = (p[2] & 32) != 0;
}

static void check(const struct gw_choice *c, const struct gw_manifest *m, const struct gw_facts *f)
{
    const struct gw_place *place = &f->places[c->place];
    struct gw_component o;
    struct gw_variant v;
    struct gw_payload p;

    MUST(c->place < f->place_count);
    MUST(gw_manifest_component(m, c->component, &o) == GW_OK);
    MUST(o.id == place->component && o.kind == place->kind);
    MUST(gw_component_variant(&o, c->variant, &v) == GW_OK);
    MUST(v.size <= place->room && (!v.linked || v.address == place->address));
    if (c->copy) {
        MUST(o.kind == GW_KIND_DATA && memcmp(v.digest, place->installed, 32) == 0);
        return;
    }
    MUST(gw_variant_payload(&v, c->payload, &p) == GW_OK);
    MUST(p.frame_size <= f->frame_max && p.decoder_ram <= f->decoder_ram && (f->encodings >> p.encoding & 1) != 0);
    MUST(!p.delta || (place->has_installed && memcmp(p.precursor, place->installed, 32) == 0));
    MUST(p.cipher != GW_ALG_A128CTR || f->a128ctr);
    MUST(p.cipher != GW_ALG_A256CTR || f->a256ctr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_facts f;
    struct gw_identity id;
    struct gw_place place[2];
    struct gw_head head;
    struct gw_manifest m;
    struct gw_plan plan, again;
    int error;

    if (size < FACTS || gw_manifest_parse(&m, data + FACTS, size - FACTS) != GW_OK) {
        return 0;
    }
    make_facts(data, &f, &id, place, &head);
    memset(&plan, 0x5c, sizeof plan);
    memcpy(&again, &plan, sizeof plan);
    error = gw_plan_make(&plan, &m, &f);
    if (error != GW_OK) {
        MUST(error < 0 && memcmp(&plan, &again, sizeof plan) == 0);
        return 0;
    }
    MUST(plan.count == m.component_count && m.order.epoch == f.epoch);
    MUST(gw_manifest_suits(&m, &id, f.floor) == GW_OK);
    MUST(!f.has_installed || gw_order_compare(m.order, f.installed) > 0);
    for (uint32_t i = 0; i < plan.count; i++) {
        check(&plan.choice[i], &m, &f);
    }
    MUST(gw_plan_make(&again, &m, &f) == GW_OK);
    MUST(memcmp(&plan, &again, sizeof plan) == 0);
    return 0;
}
