/*
 * encode.c - the signed maps, identities and offers of SPEC.md, sections 3, 4, 7 and 9; growable bytes.
 *
 * Each object has one writer function that runs twice: to count, then to write. Nothing is validated here.
 */
#include <stdlib.h>
#include <string.h>

#include "encode.h"
#include "encode_internal.h"

/* ---- Bytes that grow --------------------------------------------------------------------------------------------- */

void gwh_buf_free(struct gwh_buf *b)
{
    if (b->p != NULL) {
        gw_wipe(b->p, b->room);
        free(b->p);
    }
    memset(b, 0, sizeof *b);
}

int gwh_buf_grow(struct gwh_buf *b, size_t n, uint8_t **at)
{
    if (n > SIZE_MAX / 2 - b->n) {
        return GW_ERR_SPACE;
    }
    if (b->p == NULL || b->room - b->n < n) {
        /* Not realloc: what may be a secret is not left behind in freed memory. */
        size_t room = (b->n + n) * 3 / 2 + 64;
        uint8_t *p = malloc(room);
        if (p == NULL) {
            return GW_ERR_SPACE;
        }
        if (b->p != NULL) {
            memcpy(p, b->p, b->n);
            gw_wipe(b->p, b->room);
            free(b->p);
        }
        b->p = p;
        b->room = room;
    }
    *at = b->p + b->n;
    b->n += n;
    return GW_OK;
}

int gwh_buf_add(struct gwh_buf *b, const void *p, size_t n)
{
    uint8_t *at;
    int e = gwh_buf_grow(b, n, &at);
    if (e == GW_OK && n > 0) {
        memcpy(at, p, n);
    }
    return e;
}

struct gw_span gwh_span(const struct gwh_buf *b)
{
    return (struct gw_span){b->p, b->n};
}

int gwh_emit(struct gwh_buf *out, gwh_writer *writer, const void *spec)
{
    struct gw_cborw w;
    gw_cborw_init(&w, NULL, 0);
    writer(&w, spec);
    size_t need = w.at;
    uint8_t *at;
    int e = gwh_buf_grow(out, need, &at);
    if (e != GW_OK) {
        return e;
    }
    gw_cborw_init(&w, at, need);
    writer(&w, spec);
    return gw_cborw_end(&w);
}

/* ---- Small things that several maps hold ------------------------------------------------------------------------- */

static void put_text(struct gw_cborw *w, const char *s)
{
    gw_cborw_text(w, s, strlen(s));
}

static void put_span(struct gw_cborw *w, struct gw_span s)
{
    gw_cborw_bytes(w, s.p, s.n);
}

static void put_uint_at(struct gw_cborw *w, int64_t key, uint64_t value)
{
    gw_cborw_int(w, key);
    gw_cborw_uint(w, value);
}

static void put_bytes_at(struct gw_cborw *w, int64_t key, const void *p, size_t n)
{
    gw_cborw_int(w, key);
    gw_cborw_bytes(w, p, n);
}

static void put_text_at(struct gw_cborw *w, int64_t key, const char *s)
{
    gw_cborw_int(w, key);
    put_text(w, s);
}

/* Key and head of an array, unless it is empty. */
static bool put_list_at(struct gw_cborw *w, int64_t key, uint32_t count)
{
    if (count == 0) {
        return false;
    }
    gw_cborw_int(w, key);
    gw_cborw_array(w, count);
    return true;
}

static void put_digests_at(struct gw_cborw *w, int64_t key, const uint8_t (*digests)[32], uint32_t count)
{
    put_list_at(w, key, count);
    for (uint32_t i = 0; i < count; i++) {
        gw_cborw_bytes(w, digests[i], 32);
    }
}

static void put_texts_at(struct gw_cborw *w, int64_t key, const char *const *texts, uint32_t count)
{
    put_list_at(w, key, count);
    for (uint32_t i = 0; i < count; i++) {
        put_text(w, texts[i]);
    }
}

static void put_order(struct gw_cborw *w, struct gw_order o)
{
    gw_cborw_array(w, 2);
    gw_cborw_uint(w, o.epoch);
    gw_cborw_uint(w, o.sequence);
}

static uint32_t format_of(uint32_t format)
{
    return format == 0 ? 1 : format;
}

void gwh_put_key(struct gw_cborw *w, const void *spec)
{
    const struct gw_pubkey *key = spec;
    bool ec = key->algorithm == GW_ALG_ES256;
    gw_cborw_map(w, ec ? 5 : 4);
    put_uint_at(w, 1, ec ? 2 : 3);
    gw_cborw_int(w, 3);
    gw_cborw_int(w, key->algorithm);
    if (ec) {
        put_uint_at(w, -1, 1);
    }
    put_bytes_at(w, ec ? -2 : -1, key->x.p, key->x.n);
    put_bytes_at(w, ec ? -3 : -2, key->y.p, key->y.n);
}

int gwh_cose_key(struct gwh_buf *out, const struct gw_pubkey *key)
{
    return gwh_emit(out, gwh_put_key, key);
}

/* ---- Manifest ---------------------------------------------------------------------------------------------------- */

static void put_payload(struct gw_cborw *w, const struct gw_payload *p)
{
    gw_cborw_map(w, 5u + p->delta + (p->cipher != 0) + (p->decoder_ram != 0));
    put_bytes_at(w, 1, p->name, 32);
    put_uint_at(w, 2, p->size);
    put_bytes_at(w, 3, p->head, 32);
    put_uint_at(w, 4, p->frame_size);
    put_uint_at(w, 5, p->encoding);
    if (p->delta) {
        put_bytes_at(w, 6, p->precursor, 32);
    }
    if (p->cipher != 0) {
        gw_cborw_int(w, 7);
        gw_cborw_int(w, p->cipher);
    }
    if (p->decoder_ram != 0) {
        put_uint_at(w, 8, p->decoder_ram);
    }
}

static void put_variant(struct gw_cborw *w, const struct gwh_variant *v)
{
    gw_cborw_map(w, 3u + v->linked);
    if (v->linked) {
        put_uint_at(w, 1, v->address);
    }
    put_bytes_at(w, 2, v->digest, 32);
    put_uint_at(w, 3, v->size);
    gw_cborw_int(w, 4);
    gw_cborw_array(w, v->payload_count);
    for (uint32_t i = 0; i < v->payload_count; i++) {
        put_payload(w, &v->payloads[i]);
    }
}

static void put_component(struct gw_cborw *w, const struct gwh_component *c)
{
    gw_cborw_map(w, 3);
    put_uint_at(w, 1, c->id);
    put_uint_at(w, 2, c->kind);
    gw_cborw_int(w, 3);
    gw_cborw_array(w, c->variant_count);
    for (uint32_t i = 0; i < c->variant_count; i++) {
        put_variant(w, &c->variants[i]);
    }
}

static void put_dependencies(struct gw_cborw *w, const struct gwh_manifest *m)
{
    put_list_at(w, 11, m->dependency_count);
    for (uint32_t i = 0; i < m->dependency_count; i++) {
        const struct gw_dependency *d = &m->dependencies[i];
        bool open = d->max == UINT32_MAX;
        gw_cborw_array(w, open ? 2 : 3);
        gw_cborw_uint(w, d->kind);
        gw_cborw_uint(w, d->min);
        if (!open) {
            gw_cborw_uint(w, d->max);
        }
    }
}

static void put_manifest(struct gw_cborw *w, const void *spec)
{
    const struct gwh_manifest *m = spec;
    bool floor = m->has_floor || m->floor != 0;
    gw_cborw_map(w, 7u + floor + (m->use_before != 0) + (m->device_count != 0) + (m->dependency_count != 0) +
                        (m->key_check != NULL) + (m->notes != NULL) + m->extra.count);
    put_uint_at(w, 1, format_of(m->format));
    put_uint_at(w, 2, m->epoch);
    put_uint_at(w, 3, m->sequence);
    put_text_at(w, 4, m->version);
    put_bytes_at(w, 5, m->vendor, 16);
    put_bytes_at(w, 6, m->class_id, 16);
    gw_cborw_int(w, 7);
    gw_cborw_array(w, m->component_count);
    for (uint32_t i = 0; i < m->component_count; i++) {
        put_component(w, &m->components[i]);
    }
    if (floor) {
        put_uint_at(w, 8, m->floor);
    }
    if (m->use_before != 0) {
        put_uint_at(w, 9, m->use_before);
    }
    put_texts_at(w, 10, m->devices, m->device_count);
    put_dependencies(w, m);
    if (m->key_check != NULL) {
        put_bytes_at(w, 12, m->key_check, 8);
    }
    if (m->notes != NULL) {
        put_text_at(w, 13, m->notes);
    }
    gw_cborw_raw(w, m->extra.pairs.p, m->extra.pairs.n);
}

int gwh_manifest_map(struct gwh_buf *out, const struct gwh_manifest *m)
{
    return gwh_emit(out, put_manifest, m);
}

/* ---- Trust bundle ------------------------------------------------------------------------------------------------ */

static void put_trust(struct gw_cborw *w, const void *spec)
{
    const struct gwh_trust *t = spec;
    gw_cborw_map(w, 4u + (t->revoked_count != 0) + (t->policy_count != 0) + (t->pin_count != 0) + (t->host_count != 0) +
                        (t->server_ca_count != 0) + t->extra.count);
    put_uint_at(w, 1, format_of(t->format));
    put_uint_at(w, 2, t->version);
    put_uint_at(w, 3, t->epoch);
    gw_cborw_int(w, 4);
    gw_cborw_array(w, t->key_count);
    for (uint32_t i = 0; i < t->key_count; i++) {
        gw_cborw_array(w, 2);
        gw_cborw_uint(w, t->keys[i].roles);
        gwh_put_key(w, &t->keys[i]);
    }
    put_digests_at(w, 5, t->revoked, t->revoked_count);
    put_list_at(w, 6, t->policy_count);
    for (uint32_t i = 0; i < t->policy_count; i++) {
        gw_cborw_array(w, 2);
        gw_cborw_uint(w, t->policy[i].roles);
        gw_cborw_uint(w, t->policy[i].count);
    }
    put_digests_at(w, 7, t->pins, t->pin_count);
    put_texts_at(w, 8, t->hosts, t->host_count);
    put_list_at(w, 9, t->server_ca_count);
    for (uint32_t i = 0; i < t->server_ca_count; i++) {
        gw_cborw_bytes(w, t->server_cas[i].p, t->server_cas[i].n);
    }
    gw_cborw_raw(w, t->extra.pairs.p, t->extra.pairs.n);
}

int gwh_trust_map(struct gwh_buf *out, const struct gwh_trust *t)
{
    return gwh_emit(out, put_trust, t);
}

/* ---- Channel head ------------------------------------------------------------------------------------------------ */

static void put_head(struct gw_cborw *w, const void *spec)
{
    const struct gwh_head *h = spec;
    gw_cborw_map(w, 6u + (h->withdrawn_count != 0) + h->extra.count);
    put_uint_at(w, 1, format_of(h->format));
    put_bytes_at(w, 2, h->class_id, 16);
    put_text_at(w, 3, h->channel);
    gw_cborw_int(w, 4);
    put_order(w, h->latest);
    put_list_at(w, 5, h->withdrawn_count);
    for (uint32_t i = 0; i < h->withdrawn_count; i++) {
        put_order(w, h->withdrawn[i]);
    }
    put_uint_at(w, 6, h->issued_at);
    put_uint_at(w, 7, h->serial);
    gw_cborw_raw(w, h->extra.pairs.p, h->extra.pairs.n);
}

int gwh_head_map(struct gwh_buf *out, const struct gwh_head *h)
{
    return gwh_emit(out, put_head, h);
}

/* ---- Offer ------------------------------------------------------------------------------------------------------- */

static void put_span_at(struct gw_cborw *w, int64_t key, struct gw_span s, bool text)
{
    if (s.n == 0) {
        return;
    }
    gw_cborw_int(w, key);
    gw_cborw_head(w, text ? 3 : 2, s.n);
    gw_cborw_raw(w, s.p, s.n);
}

static void put_offer(struct gw_cborw *w, const void *spec)
{
    const struct gw_offer *o = spec;
    gw_cborw_map(w, 1u + (o->manifest.n != 0) + (o->grant_count != 0) + (o->head.n != 0) + (o->next_look != 0) +
                        (o->rollout.n != 0) + (o->payload_base.n != 0) + (o->trust.n != 0));
    put_uint_at(w, 1, 1);
    put_span_at(w, 2, o->manifest, false);
    put_list_at(w, 3, o->grant_count);
    for (uint32_t i = 0; i < o->grant_count && i < GW_GRANTS_MAX; i++) {
        put_span(w, o->grant[i]);
    }
    put_span_at(w, 4, o->head, false);
    if (o->next_look != 0) {
        put_uint_at(w, 5, o->next_look);
    }
    put_span_at(w, 6, o->rollout, true);
    put_span_at(w, 7, o->payload_base, true);
    put_span_at(w, 8, o->trust, false);
}

int gwh_offer(struct gwh_buf *out, const struct gw_offer *o)
{
    return gwh_emit(out, put_offer, o);
}

/* ---- Identity ---------------------------------------------------------------------------------------------------- */

static void put_secrets_at(struct gw_cborw *w, int64_t key, const struct gwh_secret *s, uint32_t count)
{
    put_list_at(w, key, count);
    for (uint32_t i = 0; i < count; i++) {
        gw_cborw_array(w, 2);
        put_span(w, s[i].kid);
        put_span(w, s[i].key);
    }
}

static void put_identity(struct gw_cborw *w, const void *spec)
{
    const struct gwh_identity *id = spec;
    gw_cborw_map(w, 6u + (id->factory_size != 0) + (id->kek_count != 0) + (id->ec_count != 0) + (id->own.key.n != 0) +
                        (id->certificate.n != 0) + id->extra.count);
    put_uint_at(w, 1, format_of(id->format));
    put_bytes_at(w, 2, id->vendor, 16);
    put_bytes_at(w, 3, id->class_id, 16);
    put_text_at(w, 4, id->device_id);
    put_uint_at(w, 5, id->hardware);
    gw_cborw_int(w, 6);
    gw_cborw_array(w, 1u + id->root_count);
    gw_cborw_uint(w, id->threshold);
    for (uint32_t i = 0; i < id->root_count; i++) {
        gwh_put_key(w, &id->roots[i]);
    }
    if (id->factory_size != 0) {
        put_list_at(w, 7, 2);
        gw_cborw_uint(w, id->factory_size);
        gw_cborw_bytes(w, id->factory_digest, 32);
    }
    put_secrets_at(w, 8, id->keks, id->kek_count);
    put_secrets_at(w, 9, id->ec, id->ec_count);
    if (id->own.key.n != 0) {
        put_list_at(w, 10, 2);
        put_span(w, id->own.kid);
        put_span(w, id->own.key);
    }
    put_span_at(w, 11, id->certificate, false);
    gw_cborw_raw(w, id->extra.pairs.p, id->extra.pairs.n);
}

int gwh_identity_encode(struct gwh_buf *out, const struct gwh_identity *id)
{
    return gwh_emit(out, put_identity, id);
}
