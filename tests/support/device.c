/*
 * device.c - a simulated device: its flash, its provisioning, and what its bootloader and application do. See device.h.
 */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cose.h"
#include "slots.h"

#define CHUNK 700u /* bytes that the link delivers at a time */

static void must(int err, const char *what)
{
    if (err != 0) {
        fprintf(stderr, "device: %s: %s\n", what, gw_error_name(err));
        abort();
    }
}

/* ---- Geometry and layout ----------------------------------------------------------------------------------------- */

/* Blocks of each area, in the order of `carve`: identity, trust, journal bank, factory, slot, data area. */
struct shape {
    struct gw_flash_region region[FLASHSIM_REGIONS];
    uint32_t regions;
    uint32_t identity, trust, bank, factory, slot[2], data;
};

static const struct shape shapes[SIMDEV_ERASES] = {
    [SIMDEV_1K] = { { { 0x8000, 49, 0x400 } }, 1, 2, 2, 1, 2, { 10, 10 }, 2 },
    [SIMDEV_4K] = { { { 0x8000, 17, 0x1000 } }, 1, 1, 1, 1, 1, { 4, 4 }, 1 },
    [SIMDEV_64K] = { { { 0x10000, 14, 0x10000 } }, 1, 1, 1, 1, 1, { 3, 3 }, 1 },
    /* Slot A is 4 blocks of 4 KB, slot B one of 16 KB (all image) and 5 of 4 KB. */
    [SIMDEV_MIXED] = { { { 0x0, 8, 0x400 }, { 0x2000, 5, 0x1000 }, { 0x8000, 1, 0x4000 }, { 0xc000, 7, 0x1000 } },
                       4, 2, 2, 1, 1, { 4, 6 }, 1 },
    [SIMDEV_BIG] = { { { 0x100000, 4 + 1 + 2 * 320, 0x1000 } }, 1, 1, 1, 1, 0, { 320, 320 }, 0 },
};

/* Takes the next `blocks` blocks. */
static struct gw_area carve(const struct flashsim *f, uint32_t *block, uint32_t blocks)
{
    struct gw_area a = { 0, 0 };

    if (blocks > 0) {
        a.start = f->s.block[*block].start;
        const struct flashsim_block *last = &f->s.block[*block + blocks - 1];
        a.size = last->start + last->size - a.start;
        *block += blocks;
    }
    return a;
}

static void make_layout(struct simdev *d)
{
    const struct shape *s = &shapes[d->config.erase];
    struct gw_layout *l = &d->layout;
    uint32_t block = 0;

    l->identity = carve(&d->sim, &block, s->identity);
    l->trust[0] = carve(&d->sim, &block, s->trust);
    l->trust[1] = carve(&d->sim, &block, s->trust);
    l->journal = carve(&d->sim, &block, 2 * s->bank);
    l->factory = carve(&d->sim, &block, s->factory);
    l->slot[0] = carve(&d->sim, &block, s->slot[0]);
    l->slot[1] = carve(&d->sim, &block, s->slot[1]);
    d->data.component = SIMDEV_DATA_COMPONENT;
    d->data.area[0] = carve(&d->sim, &block, s->data);
    d->data.area[1] = carve(&d->sim, &block, s->data);
    if (!d->config.extended) {
        l->factory.size = 0;
    }
    if (d->config.data) {
        l->data = &d->data;
        l->data_count = 1;
    }
    must(gw_layout_check(&d->sim.flash, l), "layout");
}

/* ---- Keys and objects -------------------------------------------------------------------------------------------- */

static void make_key(struct simdev *d, struct simdev_key *k, uint32_t number, uint32_t roles)
{
    if (d->config.real) {
        struct gwh_error err = { 0 };
        must(gwh_key_new(&k->real, GWH_P256, &err), "key");
        gwh_key_signer(&k->signer, &k->real);
        k->signer.key.roles = roles;
    } else {
        fastcrypto_key(&k->fast, number);
        fastcrypto_signer(&k->signer, &k->fast, roles);
    }
}

static void make_identity(struct simdev *d)
{
    struct gw_pubkey roots[2] = { d->root[0].signer.key, d->root[1].signer.key };
    struct gwh_secret kek = { { (const uint8_t *)"kek", 3 }, { d->kek, sizeof d->kek } };
    struct gwh_identity id = { .vendor = "vendor", .class_id = "class", .device_id = "device-1", .hardware = 3,
                               .roots = roots, .root_count = 2, .threshold = 2, .keks = &kek, .kek_count = 1 };

    uint8_t thumbprint[32];

    if (d->config.signs) {
        make_key(d, &d->own, 7, 0);
        must(gw_key_thumbprint(d->crypto->gw, &d->own.signer.key, thumbprint), "thumbprint");
        id.own = (struct gwh_secret){ { thumbprint, GW_KEY_ID_SIZE }, { d->own.fast.priv, 32 } };
    }
    if (d->config.extended) {
        uint8_t *at;
        must(gwh_buf_grow(&d->factory, SIMDEV_FACTORY_SIZE, &at), "factory image");
        for (uint32_t i = 0; i < SIMDEV_FACTORY_SIZE; i++) {
            at[i] = (uint8_t)(i * 7 + i / 256);
        }
        id.factory_size = SIMDEV_FACTORY_SIZE;
        must(gw_sha256(d->crypto->gw, at, SIMDEV_FACTORY_SIZE, id.factory_digest), "digest");
    }
    must(gwh_identity_encode(&d->identity, &id), "identity");
}

static void make_trust(struct simdev *d, unsigned which)
{
    struct gw_pubkey keys[4] = { d->author[0].signer.key, d->author[1].signer.key, d->approver.signer.key,
                                 d->distributor.signer.key };
    struct gwh_signer roots[2] = { d->root[0].signer, d->root[1].signer };
    struct gwh_trust t = { .version = which == 0 ? 1 : 2, .epoch = 1, .keys = keys, .key_count = 4 };
    uint8_t revoked[1][32];
    struct gwh_buf map = { 0 };

    if (which == 2) {
        must(gw_key_thumbprint(d->crypto->gw, &keys[0], revoked[0]), "thumbprint");
        t.revoked = (const uint8_t(*)[32])revoked;
        t.revoked_count = 1;
    }
    must(gwh_trust_map(&map, &t), "trust map");
    must(gwh_sign_map(&d->trust[which], d->crypto->gw, GW_TYPE_TRUST, gwh_span(&map), roots, 2), "trust bundle");
    gwh_buf_free(&map);
}

void simdev_init(struct simdev *d, const struct simdev_config *config)
{
    struct flashsim_geometry g = { .write_size = config->write_size, .erased = config->erased, .ecc = config->ecc };
    const struct shape *s = &shapes[config->erase];

    memset(d, 0, sizeof *d);
    d->config = *config;
    d->config.frame_size = config->frame_size != 0 ? config->frame_size : 512;
    d->config.image_size = config->image_size != 0 ? config->image_size : 5000;
    memcpy(g.region, s->region, sizeof g.region);
    g.region_count = s->regions;
    flashsim_init(&d->sim, &g);
    make_layout(d);
    d->crypto = config->real ? gwh_openssl() : &fastcrypto_host;
    memset(d->kek, 0x4b, sizeof d->kek);
    memset(d->cek, 0x43, sizeof d->cek);
    make_key(d, &d->root[0], 1, 0);
    make_key(d, &d->root[1], 2, 0);
    make_key(d, &d->author[0], 3, GW_ROLE_AUTHOR);
    make_key(d, &d->author[1], 4, GW_ROLE_AUTHOR);
    make_key(d, &d->approver, 5, GW_ROLE_APPROVER);
    make_key(d, &d->distributor, 6, GW_ROLE_DISTRIBUTOR);
    make_identity(d);
    for (unsigned i = 0; i < 3; i++) {
        make_trust(d, i);
    }
    d->dev = (struct gw_device){ .flash = &d->sim.flash, .crypto = d->crypto->gw, .layout = &d->layout,
                                 .journal = &d->ram.journal, .bootloader = 5 };
}

void simdev_free(struct simdev *d)
{
    struct simdev_key *keys[] = {
        &d->root[0], &d->root[1], &d->author[0], &d->author[1], &d->approver, &d->distributor
    };

    for (unsigned i = 0; d->config.real && i < sizeof keys / sizeof keys[0]; i++) {
        gwh_key_free(&keys[i]->real);
    }
    gwh_buf_free(&d->identity);
    gwh_buf_free(&d->factory);
    for (unsigned i = 0; i < 3; i++) {
        gwh_buf_free(&d->trust[i]);
    }
    flashsim_free(&d->sim);
}

/* ---- Provisioning ------------------------------------------------------------------------------------------------ */

static void erase_area(struct simdev *d, struct gw_area area)
{
    uint32_t offset = 0;
    int status;

    while ((status = gw_area_erase(&d->sim.flash, area, &offset)) == GW_MORE) {
    }
    must(status == GW_DONE ? 0 : status, "erase");
}

static void write_object(struct simdev *d, struct gw_area area, const struct gwh_buf *object)
{
    erase_area(d, area);
    must(gw_store_write(&d->sim.flash, area, object->p, (uint32_t)object->n), "object");
}

static void write_image(struct simdev *d, struct gw_area area, const struct gwh_buf *image)
{
    uint8_t unit[GW_WRITE_MAX];
    uint32_t size = d->config.write_size;

    erase_area(d, area);
    for (uint32_t at = 0; at < image->n; at += size) {
        uint32_t n = (uint32_t)image->n - at < size ? (uint32_t)image->n - at : size;
        memset(unit, d->config.erased, sizeof unit);
        memcpy(unit, image->p + at, n);
        must(gw_flash_write(&d->sim.flash, area.start + at, unit, size), "image");
    }
}

void simdev_provision(struct simdev *d)
{
    write_object(d, d->layout.identity, &d->identity);
    write_object(d, d->layout.trust[0], &d->trust[0]);
    if (d->config.extended) {
        write_image(d, d->layout.factory, &d->factory);
    }
}

void simdev_preload(struct simdev *d, const struct simdev_release *r, enum gw_slot slot)
{
    struct gw_slot_map map;

    must(gw_layout_slot(&d->sim.flash, &d->layout, slot, &map), "slot");
    write_image(d, map.image, &r->image[0]);
    write_object(d, map.manifest, &r->manifest);
    if (d->config.data) {
        write_image(d, d->data.area[slot], &r->image[1]);
    }
}

/* ---- Releases ---------------------------------------------------------------------------------------------------- */

static void make_image(struct gwh_buf *image, uint32_t seed, uint32_t size)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
    uint8_t *at;

    must(gwh_buf_grow(image, size, &at), "image");
    for (uint32_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        at[i] = (uint8_t)x;
    }
}

/* Something that an encoder can save on: much of the old image, and what came eight chunks before. */
static void make_alike(struct gwh_buf *image, const struct simdev_release *from)
{
    for (size_t at = 0; at + 64 <= image->n; at += 64) {
        if (from != NULL && at % 448 != 0 && at + 64 <= from->image[0].n) {
            memcpy(image->p + at, from->image[0].p + at, 64);
        } else if (at >= 256 && at % 128 == 0) {
            memcpy(image->p + at, image->p + at - 256, 64);
        }
    }
}

/* What an author's tool would never sign. */
static void spoil(struct gwh_buf *content, const struct simdev_wish *wish)
{
    static const uint8_t more[600];

    if (wish->spoil == SIMDEV_OTHER_ISA) {
        content->p[0] = 'X';
    } else if (wish->spoil == SIMDEV_CUT_SHORT) {
        content->n -= 40;
    } else if (wish->spoil == SIMDEV_TOO_LONG) {
        must(gwh_buf_add(content, more, sizeof more), "payload");
    } else if (wish->spoil == SIMDEV_NONSENSE) {
        memset(content->p + content->n / 2, 0x77, 60);
    }
}

static void make_payload(struct simdev *d, const struct simdev_release *r, const struct simdev_wish *wish, bool coded,
                         struct gwh_position at, struct gwh_buf *file, struct gw_payload *p)
{
    const struct gwh_buf *image = &r->image[at.component != 0];
    struct gw_span old = { NULL, 0 };
    struct gwh_buf content = { 0 };

    if (coded) {
        p->encoding = GW_ENCODING_PATCH;
        p->decoder_ram = FASTCODEC_RAM;
        if (wish->from != NULL) {
            p->delta = true;
            old = gwh_span(&wish->from->image[0]);
            must(gw_sha256(d->crypto->gw, old.p, old.n, p->precursor), "digest");
        }
        if (wish->content.n == 0) {
            fastcodec_encode(&content, old, gwh_span(image), SIMDEV_UNIT, wish->padding);
            spoil(&content, wish);
        } else {
            p->decoder_ram = wish->decoder_ram;
            must(gwh_buf_add(&content, wish->content.p, wish->content.n), "payload");
        }
    }
    must(gwh_payload_make(file, d->crypto->gw, (struct gw_span){ d->cek, sizeof d->cek }, at,
                          coded ? gwh_span(&content) : gwh_span(image), p), "payload");
    gwh_buf_free(&content);
}

/* The variants of one component, all with the same image and their own payload. */
static void make_component(struct simdev *d, struct simdev_release *r, const struct simdev_wish *wish, unsigned which,
                           struct gwh_component *c, struct gwh_variant v[2], struct gw_payload *p)
{
    const struct gw_area where[2] = { d->layout.slot[0], d->layout.slot[1] };
    struct gwh_position at = { which == 0 ? 0 : SIMDEV_DATA_COMPONENT, 0, 0 };
    bool linked = wish->linked && which == 0;

    make_image(&r->image[which], which == 0 ? wish->sequence : 1000 + wish->data,
               which == 0 ? d->config.image_size : d->config.image_size / 3);
    bool coded = wish->coded && which == 0;
    if (coded && wish->image.n != 0) {
        gwh_buf_free(&r->image[0]);
        must(gwh_buf_add(&r->image[0], wish->image.p, wish->image.n), "image");
    } else if (coded) {
        make_alike(&r->image[0], wish->from);
    }
    for (unsigned i = 0; i < 1u + coded; i++) { /* encoded before raw */
        at.payload = i;
        p[i].frame_size = d->config.frame_size;
        p[i].cipher = wish->encrypted && !linked ? GW_ALG_A128CTR : 0; /* another variant would need another key */
        make_payload(d, r, wish, coded && i == 0, at, &r->file[i == 0 ? which : 2], &p[i]);
        memcpy(r->name[i == 0 ? which : 2], p[i].name, 32);
    }
    *c = (struct gwh_component){ at.component, which == 0 ? GW_KIND_BOOTABLE : GW_KIND_DATA, v, linked ? 2 : 1 };
    for (unsigned i = 0; i < c->variant_count; i++) {
        v[i] = (struct gwh_variant){ .linked = linked, .address = where[i].start, .payloads = p,
                                     .payload_count = 1u + coded, .size = (uint32_t)r->image[which].n };
        must(gw_sha256(d->crypto->gw, r->image[which].p, r->image[which].n, v[i].digest), "digest");
    }
}

static void make_grant(struct simdev *d, struct simdev_release *r)
{
    struct gwh_recipient to = { .algorithm = GW_ALG_A128KW, .kid = { (const uint8_t *)"kek", 3 },
                                .kek = { d->kek, sizeof d->kek } };
    struct gwh_grant g = { .cipher = GW_ALG_A128CTR, .cek = { d->cek, sizeof d->cek }, .recipients = &to,
                           .recipient_count = 1 };

    memcpy(g.digest, r->digest, 32);
    must(gwh_grant_encode(&r->grant, d->crypto, &g), "grant");
}

void simdev_release(struct simdev *d, struct simdev_release *r, const struct simdev_wish *wish)
{
    struct gwh_component components[2];
    struct gwh_variant variants[2][2];
    struct gw_payload payload[2][2];
    uint8_t check[8];
    struct gwh_manifest m = { .epoch = 1, .sequence = wish->sequence, .version = "1.0", .vendor = "vendor",
                              .class_id = "class", .components = components, .floor = wish->floor };
    struct gwh_buf map = { 0 };

    memset(r, 0, sizeof *r);
    memset(payload, 0, sizeof payload);
    r->sequence = wish->sequence;
    r->floor = wish->floor;
    m.component_count = d->config.data ? 2 : 1;
    for (unsigned i = 0; i < m.component_count; i++) {
        make_component(d, r, wish, i, &components[i], variants[i], payload[i]);
    }
    if (payload[0][0].cipher != 0 || payload[1][0].cipher != 0) {
        must(gw_key_check(d->crypto->gw, d->cek, sizeof d->cek, check), "key check");
        m.key_check = check;
    }
    must(gwh_manifest_map(&map, &m), "manifest map");
    must(gw_sha256(d->crypto->gw, map.p, map.n, r->digest), "digest");
    must(
        gwh_sign_map(&r->manifest, d->crypto->gw, GW_TYPE_MANIFEST, gwh_span(&map), &d->author[wish->author].signer, 1),
        "manifest");
    gwh_buf_free(&map);
    if (m.key_check != NULL) {
        make_grant(d, r);
    }
}

void simdev_release_free(struct simdev_release *r)
{
    gwh_buf_free(&r->manifest);
    gwh_buf_free(&r->grant);
    for (unsigned i = 0; i < 3; i++) {
        gwh_buf_free(&r->file[i]);
    }
    gwh_buf_free(&r->image[0]);
    gwh_buf_free(&r->image[1]);
}

/* ---- Bootloader and application ---------------------------------------------------------------------------------- */

void simdev_forget(struct simdev *d)
{
    memset(&d->ram.journal, 0xa5, sizeof d->ram.journal);
    memset(&d->ram.inst, 0xa5, sizeof d->ram.inst);
}

int simdev_boot(struct simdev *d, enum gw_cause cause)
{
    simdev_forget(d);
    memset(&d->image, 0, sizeof d->image);
    d->booted = gw_boot_run(&d->dev, cause, d->ram.memory, sizeof d->ram.memory, &d->handover, &d->watchdog,
                            &d->image);
    return d->booted;
}

int simdev_mount(struct simdev *d)
{
    simdev_forget(d);
    return gw_device_mount(&d->dev);
}

int simdev_open(struct simdev *d, const struct simdev_release *r)
{
    struct gw_progress progress;

    d->ram.install = (struct gw_install_config){ .dev = &d->dev, .buffer = d->ram.buffer,
                                                 .buffer_size = sizeof d->ram.buffer };
    d->ram.install.decoding = d->decoding != NULL ? d->decoding : &d->ram.decoding;
    d->ram.decoding = (struct gw_decoding){ &fastcodec, d->ram.decoder, sizeof d->ram.decoder, NULL };
    d->ram.install.running = d->booted == GW_OK ? (enum gw_slot)d->handover.slot : GW_SLOT_NONE;
    d->ram.install.recovery = d->booted != GW_OK || d->handover.recovery != 0;
    d->ram.offer = (struct gw_release){ .manifest = gwh_span(&r->manifest), .grant_count = r->grant.n != 0 };
    d->ram.offer.grant[0] = gwh_span(&r->grant);
    int err = gw_install_open(&d->ram.inst, &d->ram.install, &d->ram.offer);
    if (err == GW_OK) {
        gw_install_progress(&d->ram.inst, &progress);
        d->taken_over += progress.done;
    }
    return err;
}

/* One delivery of the link. GW_DONE: it completed a frame. */
static int deliver(struct simdev *d, const struct simdev_release *r)
{
    struct gw_want want;
    size_t used = 0;

    int err = gw_install_want(&d->ram.inst, &want);
    if (err != GW_OK) {
        return err;
    }
    const struct gwh_buf *file = NULL;
    for (unsigned i = 0; i < 3; i++) {
        file = memcmp(want.payload, r->name[i], 32) == 0 ? &r->file[i] : file;
    }
    if (file == NULL) {
        return GW_ERR_NOTHING;
    }
    size_t n = want.frame < CHUNK ? want.frame : CHUNK;
    if (want.offset + n > file->n) {
        return GW_ERR_OFFSET;
    }
    err = gw_install_push(&d->ram.inst, file->p + want.offset, n, &used);
    d->fetched += used;
    return err == GW_OK && used == want.frame ? GW_DONE : err;
}

int simdev_go_on(struct simdev *d, const struct simdev_release *r, uint32_t frames)
{
    uint32_t done = 0;

    for (uint32_t polls = 0; polls < 1000000; polls++) {
        int status = gw_install_poll(&d->ram.inst);
        if (status == GW_DONE) {
            status = gw_install_finish(&d->ram.inst);
            return status == GW_OK ? GW_DONE : status;
        }
        if (status == GW_WANT && frames != 0 && done == frames) {
            return GW_MORE;
        }
        if (status == GW_WANT) {
            status = deliver(d, r);
            done += status == GW_DONE;
        }
        if (status < 0) {
            return status;
        }
    }
    return GW_ERR_TIMEOUT;
}

int simdev_install(struct simdev *d, const struct simdev_release *r, uint32_t frames)
{
    int err = simdev_open(d, r);

    return err == GW_OK ? simdev_go_on(d, r, frames) : err;
}

int simdev_trust(struct simdev *d, unsigned which, bool *pending)
{
    return gw_trust_update(&d->dev, d->trust[which].p, d->trust[which].n, d->ram.memory, sizeof d->ram.memory, pending);
}

/* ---- Looking ----------------------------------------------------------------------------------------------------- */

static bool reads_as(struct simdev *d, uint32_t address, const struct gwh_buf *expected)
{
    uint8_t piece[1024];

    for (uint32_t at = 0; at < expected->n; at += sizeof piece) {
        uint32_t n = (uint32_t)expected->n - at < sizeof piece ? (uint32_t)expected->n - at : (uint32_t)sizeof piece;
        if (gw_flash_read(&d->sim.flash, address + at, piece, n) != GW_OK || memcmp(piece, expected->p + at, n) != 0) {
            return false;
        }
    }
    return true;
}

bool simdev_holds(struct simdev *d, const struct simdev_release *r, enum gw_slot slot)
{
    struct gw_slot_map map;

    return gw_layout_slot(&d->sim.flash, &d->layout, slot, &map) == GW_OK &&
           reads_as(d, map.image.start, &r->image[0]) &&
           reads_as(d, map.manifest.start + GW_STORE_HEADER, &r->manifest) &&
           (!d->config.data || reads_as(d, d->data.area[slot].start, &r->image[1]));
}

uint32_t simdev_trust_version(struct simdev *d)
{
    static uint8_t memory[GW_VERIFY_MEMORY];
    struct gw_boot_state state;
    struct gw_trust trust;
    struct gw_identity id;

    bool good = gw_device_state(&d->dev, &state) == GW_OK &&
                gw_trust_load(&d->dev, &state, false, memory, &trust, &id) == GW_OK;
    return good ? trust.version : 0;
}
