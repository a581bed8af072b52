/*
 * serverdb.c - see serverdb.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "file.h"
#include "serverdb.h"

void t_server_sql(struct t_server *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *sql = sqlite3_vmprintf(format, args);
    va_end(args);
    if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(s->db));
    }
    sqlite3_free(sql);
}

static void exec(struct t_server *s, const char *sql, struct gw_span a, struct gw_span b)
{
    struct gwh_error err = {0};
    if (gws_exec(s->db, &err, sql, "bb", a, b) != GWH_OK) {
        fail_msg("%s", err.text);
    }
}

void t_server_open(struct t_server *s)
{
    const char *tmp = getenv("GODWIT_TMP");
    struct gwh_error err = {0};
    t_world_open(&s->w);
    snprintf(s->folder, sizeof s->folder, "%.150s/server.XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->path, sizeof s->path, "%s/godwit.db", s->folder);
    assert_int_equal(gws_db_open_plain(&s->db, s->path, true, &err), GWH_OK);
    memset(s->class_id, 0xbb, 16);
    gwh_hex(s->class_hex, s->class_id, 16);
    t_server_sql(s, "INSERT INTO class(id, vendor, name, created) VALUES(x'%s', 'example.com', 'board', 1)",
                 s->class_hex);
    exec(s, "INSERT INTO trust(version, cose, received) VALUES(5, ?1, coalesce(?2, 1))",
         (struct gw_span){s->w.trust_bytes.p, s->w.trust_bytes.n}, (struct gw_span){NULL, 0});
}

void t_server_close(struct t_server *s)
{
    char command[300];
    gws_db_close_plain(s->db);
    t_world_close(&s->w);
    snprintf(command, sizeof command, "rm -rf '%s'", s->folder);
    assert_int_equal(system(command), 0);
}

/* ---- Releases ---------------------------------------------------------------------------------------------------- */

static struct t_bytes make_manifest(struct t_server *s, const struct t_wish *wish)
{
    struct gwh_manifest *m = &s->w.manifest_is;
    struct gw_payload payload[2];
    struct gwh_variant variant = {.size = 100000, .payloads = payload};
    struct gwh_component component = {0, GW_KIND_BOOTABLE, &variant, 1};
    char version[24], id[80][48];
    const char *ids[80] = {"dev-1"};
    for (unsigned i = 1; i < wish->devices; i++) {
        snprintf(id[i], sizeof id[i], "a-device-with-a-long-name-to-fill-up-%06u", i);
        ids[i] = id[i];
    }
    memcpy(payload, s->w.payload, sizeof payload);
    memset(variant.digest, (int)wish->sequence, 32);
    memset(payload[0].precursor, (int)wish->from, 32);
    payload[0].cipher = payload[1].cipher = wish->encrypted ? GW_ALG_A128CTR : 0;
    memset(payload[1].name, (int)wish->sequence, 32);
    variant.payloads = wish->from > 0 ? payload : payload + 1;
    variant.payload_count = wish->from > 0 ? 2 : 1;
    snprintf(version, sizeof version, "1.%u", wish->sequence);
    *m = (struct gwh_manifest){.epoch = 2, .sequence = wish->sequence, .version = version, .components = &component,
                               .component_count = 1, .devices = ids, .device_count = wish->devices,
                               .key_check = wish->encrypted ? s->w.key_check : NULL};
    memset(m->vendor, 0xaa, 16);
    memset(m->class_id, 0xbb, 16);
    struct t_bytes cose = t_manifest(&s->w, KEYS(&s->w.author));
    m->components = s->w.component;
    m->version = "1";
    m->device_count = 0;
    return cose;
}

static struct t_bytes one_grant(struct t_server *s, const uint8_t digest[32], const char *kid)
{
    struct gwh_recipient r = {.algorithm = GW_ALG_A128KW, .kid = {(const uint8_t *)kid, strlen(kid)}};
    struct gwh_grant g = {.cipher = GW_ALG_A128CTR, .cek = {s->w.cek, 16}, .recipients = &r, .recipient_count = 1};
    struct gwh_buf b = {0};
    r.kek = s->w.kek[0].key;
    memcpy(g.digest, digest, 32);
    assert_int_equal(gwh_grant_encode(&b, gwh_openssl(), &g), GW_OK);
    struct t_bytes out = t_exact(b.p, b.n);
    gwh_buf_free(&b);
    return out;
}

static void add_grant(struct t_server *s, const uint8_t digest[32], struct t_bytes g)
{
    exec(s, "INSERT INTO key_grant(release, number, cose) SELECT ?1, coalesce(max(number), 0) + 1, ?2 FROM key_grant"
            " WHERE release = ?1",
         (struct gw_span){digest, 32}, (struct gw_span){g.p, g.n});
    t_free(&g);
}

void t_server_release(struct t_server *s, const struct t_wish *wish, uint8_t digest[32])
{
    struct t_bytes cose = make_manifest(s, wish);
    struct gw_span map;
    assert_int_equal(gwh_sign_payload((struct gw_span){cose.p, cose.n}, &map), GW_OK);
    assert_int_equal(gw_sha256(gwh_openssl()->gw, map.p, map.n, digest), GW_OK);
    exec(s, "INSERT INTO release(digest, class, epoch, sequence, version, state, created, creator, manifest)"
            " VALUES(?1, (SELECT id FROM class LIMIT 1), 2, 0, '', 1, 1, 'test', ?2)",
         (struct gw_span){digest, 32}, (struct gw_span){cose.p, cose.n});
    t_server_sql(s, "UPDATE release SET sequence = %u, version = '1.%u' WHERE sequence = 0", wish->sequence,
                 wish->sequence);
    t_free(&cose);
    for (unsigned i = 0; i < wish->grants; i++) {
        add_grant(s, digest, t_grant(&s->w, digest));
    }
    if (wish->kid != NULL) {
        add_grant(s, digest, one_grant(s, digest, wish->kid));
    }
}

void t_server_device(struct t_server *s, const char *id, const char *tag)
{
    t_server_sql(s, "INSERT INTO device(id, class, created, origin) VALUES('%s', x'%s', 1, 'import')", id,
                 s->class_hex);
    if (tag != NULL) {
        t_server_sql(s, "INSERT INTO tag(device, name) VALUES('%s', '%s')", id, tag);
    }
}

void t_server_rollout(struct t_server *s, const char *id, const uint8_t release[32], const char *target, int priority,
                      int state, int started)
{
    char hex[65];
    gwh_hex(hex, release, 32);
    t_server_sql(s, "INSERT INTO rollout(id, name, class, release, target, priority, state, created, creator, started)"
                    " VALUES('%s', 'name of %s', x'%s', x'%s', '%s', %d, %d, 1, 'test', %d)",
                 id, id, s->class_hex, hex, target, priority, state, started);
}

void t_server_head(struct t_server *s)
{
    struct t_bytes head = t_head(&s->w, KEYS(&s->w.distributor));
    exec(s, "UPDATE class SET head = ?1, head_serial = coalesce(?2, 9)", (struct gw_span){head.p, head.n},
         (struct gw_span){NULL, 0});
    t_free(&head);
}

/* ---- Reports ----------------------------------------------------------------------------------------------------- */

static void put(struct gw_cborw *w, uint64_t key, uint64_t value, uint64_t absent)
{
    if (value != absent) {
        gw_cborw_uint(w, key);
        gw_cborw_uint(w, value);
    }
}

static void put_order(struct gw_cborw *w, uint64_t key, struct gw_order o)
{
    if (o.sequence != 0) {
        gw_cborw_uint(w, key);
        gw_cborw_array(w, 2);
        gw_cborw_uint(w, o.epoch);
        gw_cborw_uint(w, o.sequence);
    }
}

struct t_bytes t_report(struct gwh_key *key, const struct gw_report *r)
{
    uint8_t out[512];
    struct gw_cborw w;
    size_t pairs = 8u + (r->reason != 0) + (r->release.sequence != 0) + (r->times > 1) + (r->time != 0) +
                   (r->bytes != 0) + (r->again != 0) + (r->running.sequence != 0);
    gw_cborw_init(&w, out, sizeof out);
    gw_cborw_map(&w, pairs);
    put(&w, 1, 1, 0);
    gw_cborw_uint(&w, 2);
    gw_cborw_text(&w, (const char *)r->device.p, r->device.n);
    put(&w, 3, r->counter, UINT64_MAX);
    put(&w, 4, r->state, UINT64_MAX);
    put(&w, 5, r->reason, 0);
    put_order(&w, 6, r->release);
    put(&w, 7, r->times > 1 ? r->times : 0, 0);
    put(&w, 8, r->time, 0);
    put(&w, 9, r->bytes, 0);
    put(&w, 10, r->again, 0);
    put_order(&w, 11, r->running);
    put(&w, 12, r->hardware, UINT64_MAX);
    put(&w, 13, r->bootloader, UINT64_MAX);
    put(&w, 14, r->trust_version, UINT64_MAX);
    put(&w, 15, r->head_serial, UINT64_MAX);
    assert_int_equal(gw_cborw_end(&w), GW_OK);
    struct gwh_buf map = {.p = out, .n = w.at, .room = sizeof out};
    return t_sign(GW_TYPE_REPORT, &map, &key, 1);
}

struct gw_report t_report_of(const char *device, uint32_t counter, uint32_t state, uint32_t sequence)
{
    return (struct gw_report){.device = {(const uint8_t *)device, strlen(device)}, .counter = counter, .state = state,
                              .release = {2, sequence}, .times = 1, .hardware = 3, .bootloader = 7,
                              .trust_version = 5, .head_serial = 0};
}
