/*
 * report.c - what a device tells its operator: reports that wait in the journal, signed when they are sent.
 *
 * Keeps true: a counter is never used for two reports; a report stays until a server has it, or has refused it for
 * good; the secrets that signing needs are wiped behind it.
 */
#include "agent.h"

#include "cose.h"

#define FIELD(name) GW_PACKED(gw_report, name, 4)
static const struct gw_packed kept[] = { /* of each report that waits */
    FIELD(counter), FIELD(state), FIELD(reason), FIELD(times), FIELD(release.epoch), FIELD(release.sequence),
    FIELD(time),    FIELD(bytes), FIELD(again),
};
#undef FIELD
#define FIELDS (sizeof kept / sizeof kept[0])
#define ENTRY GW_REPORT_ENTRY
_Static_assert(ENTRY == FIELDS * 4u, "GW_REPORT_ENTRY: the size of the fields");
_Static_assert(4u + GW_REPORTS_KEPT * ENTRY <= GW_RECORD_MAX, "lower GW_REPORTS_KEPT: the record is too long");

#define MAP_AT 768u /* in the memory of gw_report_make(): the map; before it, what is sent */

static const uint8_t es256_header[] = { 0xa1, 0x01, 0x26 };                          /* {1: -7} */
static const uint8_t mac_header[] = { 0xa1, 0x01, 0x3a, 0x00, 0x01, 0x11, 0x71 };    /* {1: GW_ALG_REPORT_MAC} */

/* ---- Waiting ---------------------------------------------------------------------------------------------------- */

/* The REPORTS record: the last counter, then what waits, oldest first. */
struct queue {
    uint8_t r[4 + GW_REPORTS_KEPT * ENTRY];
    uint32_t count;
};

/*
 * How many wait, or an error: what cannot be read now is no reason to begin again. Of another version: the counter
 * goes on.
 */
static int load(const struct gw_device *dev, struct queue *q)
{
    uint32_t n = 0;

    int err = gw_journal_get(dev->journal, GW_REC_REPORTS, q->r, sizeof q->r, &n);
    if (n < 4) {
        gw_put32(q->r, 0);
        n = 4;
    }
    q->count = (n - 4) % ENTRY != 0 ? 0 : (n - 4) / ENTRY;
    return err == GW_OK || err == GW_ERR_NOTHING ? (int)q->count : err;
}

static int save(const struct gw_device *dev, const struct queue *q)
{
    int err = gw_journal_put(dev->journal, GW_REC_REPORTS, q->r, (uint32_t)(4 + q->count * ENTRY));

    return err == GW_OK ? gw_journal_settle(dev->journal) : err;
}

static void drop_oldest(struct queue *q)
{
    q->count--;
    memmove(q->r + 4, q->r + 4 + ENTRY, q->count * ENTRY);
}

int gw_reports_add(const struct gw_device *dev, struct gw_report *r)
{
    struct gw_report last = { .times = 0 };
    struct queue q;

    int waiting = load(dev, &q);
    if (waiting < 0) {
        return waiting;
    }
    uint8_t *end = q.r + 4 + q.count * ENTRY;
    if (q.count > 0) {
        (void)gw_pack(kept, FIELDS, &last, end - ENTRY, false);
    }
    bool same = q.count > 0 && last.state == r->state && last.reason == r->reason &&
                gw_order_compare(last.release, r->release) == 0 && last.times + r->times <= GW_REPORT_TIMES_MAX;
    if (same || q.count == GW_REPORTS_KEPT) {
        end -= ENTRY; /* where the new one goes: over the last one, or behind what is left */
    }
    if (same) {
        r->bytes += last.bytes;
        r->again += last.again;
        q.count--;
    } else if (q.count == GW_REPORTS_KEPT) {
        drop_oldest(&q);
    }
    r->times += last.times * same;
    r->counter = gw_get32(q.r) + 1;
    if (r->counter == 1 && r->time > 1) {
        r->counter = r->time; /* the journal was lost, or this is the first: above what was used before */
    }
    gw_put32(q.r, r->counter);
    (void)gw_pack(kept, FIELDS, r, end, true);
    q.count++;
    return save(dev, &q);
}

int gw_reports_drop(const struct gw_device *dev)
{
    struct queue q;

    int waiting = load(dev, &q);
    if (waiting <= 0) {
        return waiting < 0 ? waiting : GW_ERR_NOTHING;
    }
    drop_oldest(&q);
    return save(dev, &q);
}

/* ---- Making ----------------------------------------------------------------------------------------------------- */

/* Items 3 to 15 of a report: where they lie, and when they are left out. */
enum when { ALWAYS, UNLESS_0, UNLESS_1, PAIR_UNLESS_0 };
#define ITEM(field, when) { (uint8_t)offsetof(struct gw_report, field), when }
static const struct {
    uint8_t offset, when;
} items[] = {
    ITEM(counter, ALWAYS),  ITEM(state, ALWAYS),          ITEM(reason, UNLESS_0),     ITEM(release, PAIR_UNLESS_0),
    ITEM(times, UNLESS_1),  ITEM(time, UNLESS_0),         ITEM(bytes, UNLESS_0),      ITEM(again, UNLESS_0),
    ITEM(running, PAIR_UNLESS_0), ITEM(hardware, ALWAYS), ITEM(bootloader, ALWAYS), ITEM(trust_version, ALWAYS),
    ITEM(head_serial, ALWAYS),
};
#undef ITEM

/* All after the head of the map; returns how many items there are. */
static uint32_t put_fields(struct gw_cborw *w, const struct gw_report *r)
{
    uint32_t n = 2;

    gw_cborw_uint(w, 1);
    gw_cborw_uint(w, 1);
    gw_cborw_uint(w, 2);
    gw_cborw_head(w, 3, r->device.n);
    gw_cborw_raw(w, r->device.p, r->device.n);
    for (unsigned i = 0; i < sizeof items / sizeof items[0]; i++) {
        bool pair = items[i].when == PAIR_UNLESS_0;
        uint32_t v[2] = { 0, 0 };
        memcpy(v, (const uint8_t *)r + items[i].offset, pair ? 8 : 4);
        uint32_t number = v[pair];
        if (items[i].when != ALWAYS && number == (items[i].when == UNLESS_1)) {
            continue;
        }
        gw_cborw_uint(w, 3 + i);
        if (pair) {
            gw_cborw_array(w, 2);
            gw_cborw_uint(w, v[0]);
        }
        gw_cborw_uint(w, number);
        n++;
    }
    return n;
}

static size_t put_map(uint8_t *out, size_t room, const struct gw_report *r)
{
    struct gw_cborw w;

    gw_cborw_init(&w, NULL, 0);
    uint32_t n = put_fields(&w, r);
    gw_cborw_init(&w, out, room);
    gw_cborw_map(&w, n);
    (void)put_fields(&w, r);
    return gw_cborw_end(&w) == GW_OK ? w.at : 0;
}

int gw_report_tag(const struct gw_crypto *crypto, const uint8_t *kek, size_t kek_size,
                  const uint8_t digest[GW_DIGEST_SIZE], uint8_t tag[32])
{
    uint8_t info[13 + GW_DIGEST_SIZE] = "godwit report";

    memcpy(info + 13, digest, GW_DIGEST_SIZE);
    return gw_hkdf(crypto, kek, kek_size, info, sizeof info, tag, 32);
}

struct proof {
    struct gw_span header, kid;
    uint8_t own_kid[8], value[64];
    size_t n;
};

static int mac(const struct gw_device *dev, const struct gw_keystore *store, struct gw_span name,
               const uint8_t digest[GW_DIGEST_SIZE], struct proof *p)
{
    uint8_t kek[32];
    size_t size = 0;

    if (name.n == 0 || store->kek == NULL) {
        return GW_ERR_NO_KEY;
    }
    int err = store->kek(store->ctx, name, kek, &size);
    if (err == GW_OK) {
        err = gw_report_tag(dev->crypto, kek, size, digest, p->value);
    }
    gw_wipe(kek, sizeof kek);
    p->kid = name;
    p->n = 32;
    return err;
}

/* Signs the digest of the Sig_structure, or MACs it: which one decides over the header that is part of it. */
static int prove(const struct gw_device *dev, const struct gw_keystore *store, struct gw_span kek, struct gw_span map,
                 struct proof *p)
{
    static const struct gw_span headers[] = {
        { es256_header, sizeof es256_header }, { mac_header, sizeof mac_header },
    };
    uint8_t digest[GW_DIGEST_SIZE];

    for (unsigned with_kek = store->sign == NULL;; with_kek++) {
        p->header = headers[with_kek];
        int err = gw_cose_sig_digest(dev->crypto, GW_TYPE_REPORT, (struct gw_span){ 0 }, p->header, map, digest);
        if (err == GW_OK && with_kek == 0) {
            err = store->sign(store->ctx, digest, p->value, p->own_kid);
            p->kid = (struct gw_span){ p->own_kid, sizeof p->own_kid };
            p->n = 64;
        } else if (err == GW_OK) {
            err = mac(dev, store, kek, digest, p);
        }
        if (err != GW_ERR_NO_KEY || with_kek != 0) {
            return err;
        }
    }
}

static int put_cose(uint8_t *out, struct gw_span map, const struct proof *p, size_t *n)
{
    struct gw_cborw w;

    gw_cborw_init(&w, out, GW_REPORT_MAX);
    gw_cborw_array(&w, 4);
    gw_cborw_bytes(&w, NULL, 0);
    gw_cborw_map(&w, 0);
    gw_cborw_bytes(&w, map.p, map.n);
    gw_cborw_array(&w, 1);
    gw_cborw_array(&w, 3);
    gw_cborw_bytes(&w, p->header.p, p->header.n);
    gw_cborw_map(&w, 1);
    gw_cborw_uint(&w, 4);
    gw_cborw_bytes(&w, p->kid.p, p->kid.n);
    gw_cborw_bytes(&w, p->value, p->n);
    *n = w.at;
    return gw_cborw_end(&w);
}

/* What the device says of itself. The identity stays in memory, from GW_TRUST_MAX on. */
static int fill_in(const struct gw_device *dev, uint8_t *memory, struct gw_report *r, struct gw_identity *id)
{
    struct gw_boot_state state;
    struct gw_head_seen seen;
    struct gw_trust trust;

    int err = gw_device_state(dev, &state);
    if (err == GW_OK) {
        err = gw_trust_load(dev, &state, false, memory, &trust, id);
        r->trust_version = err == GW_OK ? trust.version : 0;
        err = err == GW_ERR_TRUST_MISSING ? GW_OK : err;
    }
    if (err != GW_OK) {
        return err;
    }
    for (unsigned i = 0; i < 2; i++) {
        if (state.slot[i].state == GW_CONFIRMED) {
            r->running = state.slot[i].order;
        }
    }
    gw_head_seen(dev, &seen);
    r->head_serial = seen.serial;
    r->device = (struct gw_span){ id->device_id, id->device_id_size };
    r->hardware = id->hardware;
    r->bootloader = dev->bootloader;
    return GW_OK;
}

int gw_report_make(const struct gw_device *dev, struct gw_span kek, uint8_t *memory, uint32_t *counter,
                   struct gw_span *out)
{
    struct gw_report r = { .counter = 0 };
    struct gw_identity id;
    struct queue q;

    int err = load(dev, &q);
    if (err <= 0) {
        return err < 0 ? err : GW_ERR_NOTHING;
    }
    (void)gw_pack(kept, FIELDS, &r, q.r + 4, false);
    *counter = r.counter;
    err = fill_in(dev, memory, &r, &id);
    struct gw_span map = { memory + MAP_AT, 0 };
    if (err == GW_OK) {
        map.n = put_map(memory + MAP_AT, GW_TRUST_MAX - MAP_AT, &r);
        err = map.n == 0 ? GW_ERR_SPACE : GW_OK;
    }
    if (err == GW_OK) {
        struct proof p;
        struct gw_keystore own;
        struct gw_identity_keys keys = { dev->crypto, { memory + GW_TRUST_MAX, GW_IDENTITY_MAX } };
        if (dev->keys == NULL) {
            err = gw_identity_load(dev, memory + GW_TRUST_MAX, &id, NULL, &keys.identity);
            gw_identity_keystore(&own, &keys);
        }
        err = err == GW_OK ? prove(dev, dev->keys != NULL ? dev->keys : &own, kek, map, &p) : err;
        err = err == GW_OK ? put_cose(memory, map, &p, &out->n) : err;
        out->p = memory;
    }
    gw_wipe(memory + GW_TRUST_MAX, GW_IDENTITY_MAX);
    return err;
}
