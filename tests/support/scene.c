/*
 * scene.c - see scene.h. What cannot fail in a right test aborts with its name.
 */
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cose.h"

static void must(int err, const char *what)
{
    if (err != 0) {
        fprintf(stderr, "scene: %s: %s\n", what, gw_error_name(err));
        abort();
    }
}

void scene_release(struct simdev *d, struct scene_release *s, const struct simdev_wish *wish)
{
    memset(s, 0, sizeof *s);
    simdev_release(d, &s->r, wish);
    s->m = (struct gwh_manifest){ .epoch = 1, .sequence = wish->sequence, .version = "1.0", .vendor = "vendor",
                                  .class_id = "class", .components = s->component, .floor = wish->floor };
    s->m.component_count = d->config.data ? 2 : 1;
    for (unsigned i = 0; i < s->m.component_count; i++) {
        struct gwh_position at = { i == 0 ? 0 : SIMDEV_DATA_COMPONENT, 0, 0 };
        struct gw_payload *p = &s->payload[i];
        gwh_buf_free(&s->r.file[i]);
        p->frame_size = d->config.frame_size;
        p->cipher = wish->encrypted ? GW_ALG_A128CTR : 0;
        must(gwh_payload_make(&s->r.file[i], d->crypto->gw, (struct gw_span){ d->cek, sizeof d->cek }, at,
                              gwh_span(&s->r.image[i]), p), "payload");
        memcpy(s->r.name[i], p->name, 32);
        s->variant[i][0] = (struct gwh_variant){ .size = (uint32_t)s->r.image[i].n, .payloads = p, .payload_count = 1 };
        must(gw_sha256(d->crypto->gw, s->r.image[i].p, s->r.image[i].n, s->variant[i][0].digest), "digest");
        s->variant[i][1] = s->variant[i][0];
        s->component[i] = (struct gwh_component){ at.component, i == 0 ? GW_KIND_BOOTABLE : GW_KIND_DATA, s->variant[i], 1 };
    }
    if (wish->encrypted) {
        must(gw_key_check(d->crypto->gw, d->cek, sizeof d->cek, s->check), "key check");
        s->m.key_check = s->check;
    }
    s->signer[0] = d->author[wish->author].signer;
    s->signers = 1;
}

static void make_grant(struct simdev *d, struct scene_release *s)
{
    struct gwh_recipient to = { .algorithm = GW_ALG_A128KW, .kid = { (const uint8_t *)"kek", 3 },
                                .kek = { d->kek, sizeof d->kek } };
    struct gwh_grant g = { .cipher = GW_ALG_A128CTR, .cek = { d->cek, sizeof d->cek }, .recipients = &to,
                           .recipient_count = 1 };

    memcpy(g.digest, s->r.digest, 32);
    must(gwh_grant_encode(&s->r.grant, d->crypto, &g), "grant");
}

void scene_release_sign(struct simdev *d, struct scene_release *s)
{
    struct gwh_buf map = { 0 };

    gwh_buf_free(&s->r.manifest);
    gwh_buf_free(&s->r.grant);
    s->r.sequence = s->m.sequence;
    s->r.floor = s->m.floor;
    must(gwh_manifest_map(&map, &s->m), "manifest map");
    must(gw_sha256(d->crypto->gw, map.p, map.n, s->r.digest), "digest");
    must(gwh_sign_map(&s->r.manifest, d->crypto->gw, GW_TYPE_MANIFEST, gwh_span(&map), s->signer, s->signers), "sign");
    gwh_buf_free(&map);
    if (s->m.key_check != NULL) {
        make_grant(d, s);
    }
}

void scene_release_free(struct scene_release *s)
{
    simdev_release_free(&s->r);
}

void scene_bundle(struct simdev *d, struct scene_bundle *b, uint32_t version, int revoke)
{
    gwh_buf_free(&b->bytes);
    memset(b, 0, sizeof *b);
    b->key[0] = d->author[0].signer.key;
    b->key[1] = d->author[1].signer.key;
    b->key[2] = d->approver.signer.key;
    b->key[3] = d->distributor.signer.key;
    b->t = (struct gwh_trust){ .version = version, .epoch = 1, .keys = b->key, .key_count = 4 };
    if (revoke >= 0) {
        must(gw_key_thumbprint(d->crypto->gw, &b->key[revoke], b->revoked[0]), "thumbprint");
        b->t.revoked = (const uint8_t(*)[32])b->revoked;
        b->t.revoked_count = 1;
    }
    b->signer[0] = d->root[0].signer;
    b->signer[1] = d->root[1].signer;
    b->signers = 2;
}

void scene_bundle_sign(struct simdev *d, struct scene_bundle *b)
{
    struct gwh_buf map = { 0 };

    gwh_buf_free(&b->bytes);
    must(gwh_trust_map(&map, &b->t), "trust map");
    must(gwh_sign_map(&b->bytes, d->crypto->gw, GW_TYPE_TRUST, gwh_span(&map), b->signer, b->signers), "sign");
    gwh_buf_free(&map);
}

void scene_bundle_make(struct simdev *d, struct scene_bundle *b, uint32_t version, int revoke)
{
    scene_bundle(d, b, version, revoke);
    scene_bundle_sign(d, b);
}

void scene_erase(struct simdev *d, struct gw_area area)
{
    uint32_t offset = 0;
    int status;

    while ((status = gw_area_erase(&d->sim.flash, area, &offset)) == GW_MORE) {
    }
    must(status == GW_DONE ? 0 : status, "erase");
}

void scene_put(struct simdev *d, struct gw_area area, struct gw_span object)
{
    scene_erase(d, area);
    must(gw_store_write(&d->sim.flash, area, object.p, (uint32_t)object.n), "object");
}

void scene_damage(struct simdev *d, uint32_t address)
{
    flashsim_poke(&d->sim, address, (uint8_t)(*flashsim_peek(&d->sim, address) ^ 0x41));
}

void scene_state(struct simdev *d, const struct gw_boot_state *state)
{
    must(simdev_mount(d), "mount");
    must(gw_slots_save(&d->dev, state), "state");
}

struct gw_slot_state scene_slot(const struct scene_release *s, enum gw_state state)
{
    struct gw_slot_state slot = { .state = (uint8_t)state, .order = { s->m.epoch, s->m.sequence }, .floor = s->m.floor };

    memcpy(slot.digest, s->r.digest, sizeof slot.digest);
    return slot;
}

uint8_t *scene_copy(const struct simdev *d)
{
    uint8_t *copy = malloc(d->sim.bytes);

    must(copy == NULL ? GW_ERR_SPACE : 0, "memory");
    memcpy(copy, d->sim.s.now, d->sim.bytes);
    return copy;
}

bool scene_same(const struct simdev *d, const uint8_t *copy)
{
    return memcmp(copy, d->sim.s.now, d->sim.bytes) == 0;
}
