/*
 * test_reports_server.c - reports as the server takes them, looks, first sight; the audit that finds what was forged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "offers.h"
#include "resources.h"
#include "server_stubs.h"
#include "serverdb.h"

static struct t_server s;
static struct gws_server server;

static void set_key(const char *id, const struct gwh_key *key)
{
    char hex[129];
    uint8_t xy[64];
    memcpy(xy, key->pub.x.p, 32);
    memcpy(xy + 32, key->pub.y.p, 32);
    gwh_hex(hex, xy, 64);
    t_server_sql(&s, "UPDATE device SET key = x'%s' WHERE id = '%s'", hex, id);
}

static int start(void **state)
{
    struct gwh_error err = {0};
    (void)state;
    memset(&stub, 0, sizeof stub);
    stub.now = 1000;
    t_server_open(&s);
    t_server_device(&s, "dev-1", NULL);
    t_server_device(&s, "dev-2", NULL);
    set_key("dev-1", &s.w.device_key);
    memset(&server, 0, sizeof server);
    server.base = event_base_new();
    assert_int_equal(gws_db_open(&server.db, s.path, server.base, &err), GWH_OK);
    assert_int_equal(gws_fleet_load(&server.fleet, gws_db_reader(server.db), &err), GWH_OK);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    gws_db_close(server.db);
    gws_prune_free(&server);
    gws_fleet_free(server.fleet);
    event_base_free(server.base);
    t_server_close(&s);
    return 0;
}

/* ---- One report -------------------------------------------------------------------------------------------------- */

struct taken {
    int result, reason;
    unsigned calls;
};
static void note(void *ctx, int result, const struct gwh_error *err)
{
    struct taken *t = ctx;
    t->result = result;
    t->reason = err->reason;
    t->calls++;
    assert_true(result == GWH_OK || err->text[0] != '\0');
}

static void pump(const unsigned *calls, unsigned until)
{
    while (*calls < until) {
        assert_int_equal(event_base_loop(server.base, EVLOOP_ONCE), 0);
    }
}

static int take(const char *device, const struct gw_pubkey *key, struct t_bytes cose, int *reason)
{
    struct taken t = {.result = -1};
    gws_report_take(&server, device, key, (struct gw_span){cose.p, cose.n}, note, &t);
    pump(&t.calls, 1);
    assert_int_equal(t.calls, 1);
    *reason = t.reason;
    return t.result;
}

static int send_report(const char *device, struct gwh_key *key, struct gw_report r, int *reason)
{
    struct t_bytes cose = t_report(key, &r);
    int e = take(device, NULL, cose, reason);
    t_free(&cose);
    return e;
}

static int64_t stored(const char *device)
{
    struct gwh_error err = {0};
    int64_t n = -1;
    assert_int_equal(gws_number(s.db, &err, &n, NULL, "SELECT count(*) FROM report WHERE device = ?", "t", device),
                     GWH_OK);
    return n;
}

static void a_report_is_stored_and_counted(void **state)
{
    int reason;
    struct gw_report r = t_report_of("dev-1", 7, GW_REPORT_FAILED, 41);
    (void)state;
    r.reason = 34;
    r.running = (struct gw_order){2, 40};
    assert_int_equal(send_report("dev-1", &s.w.device_key, r, &reason), GWH_OK);
    assert_int_equal(stored("dev-1"), 1);
    const struct gws_device *d = gws_fleet_device(server.fleet, "dev-1");
    assert_int_equal(d->counter, 7);
    assert_int_equal(d->state, GW_REPORT_FAILED);
    assert_int_equal(d->reason, 34);
    assert_int_equal(d->running.sequence, 40);
    assert_int_equal(d->reported, 1000);
    assert_int_equal(stub.events, 1);
    assert_int_equal(stub.count[GWS_M_REPORTS], 1);
}

static void the_same_again_is_acknowledged_and_others_are_replays(void **state)
{
    int reason;
    struct gw_report r = t_report_of("dev-1", 7, GW_REPORT_STAGED, 41);
    struct t_bytes cose = t_report(&s.w.device_key, &r);
    (void)state;
    assert_int_equal(take("dev-1", NULL, cose, &reason), GWH_OK);
    assert_int_equal(take("dev-1", NULL, cose, &reason), GWH_OK); /* its answer was lost */
    assert_int_equal(stored("dev-1"), 1);
    assert_int_equal(stub.events, 1);
    r.state = GW_REPORT_CONFIRMED; /* same counter, other bytes */
    assert_int_equal(send_report("dev-1", &s.w.device_key, r, &reason), GWH_REFUSED);
    assert_int_equal(reason, GWS_REPLAY);
    r.counter = 6;
    assert_int_equal(send_report("dev-1", &s.w.device_key, r, &reason), GWH_REFUSED);
    assert_int_equal(reason, GWS_REPLAY);
    r.counter = 9; /* a gap is fine: reports may have been dropped */
    assert_int_equal(send_report("dev-1", &s.w.device_key, r, &reason), GWH_OK);
    assert_int_equal(take("dev-1", NULL, cose, &reason), GWH_OK); /* an older one, byte by byte: was stored */
    assert_int_equal(gws_fleet_device(server.fleet, "dev-1")->counter, 9);
    t_free(&cose);
}

static void reports_that_race_are_taken_in_order_or_refused(void **state)
{
    struct taken t[3] = {{.result = -1}, {.result = -1}, {.result = -1}};
    static const uint32_t counters[3] = {5, 4, 5};
    unsigned calls = 0;
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct gw_report r = t_report_of("dev-1", counters[i], GW_REPORT_STAGED, 41 + i);
        struct t_bytes cose = t_report(&s.w.device_key, &r);
        gws_report_take(&server, "dev-1", NULL, (struct gw_span){cose.p, cose.n}, note, &t[i]);
        t_free(&cose);
    }
    while (calls < 3) {
        event_base_loop(server.base, EVLOOP_ONCE);
        calls = t[0].calls + t[1].calls + t[2].calls;
    }
    assert_int_equal(t[0].result, GWH_OK);
    assert_int_equal(t[1].reason, GWS_REPLAY);
    assert_int_equal(t[2].reason, GWS_REPLAY);
}

static void what_is_not_the_devices_own_is_refused(void **state)
{
    int reason;
    struct gw_report r = t_report_of("dev-2", 1, GW_REPORT_STAGED, 41);
    (void)state;
    assert_int_equal(send_report("dev-1", &s.w.device_key, r, &reason), GWH_REFUSED); /* says it is dev-2 */
    assert_int_equal(reason, GW_ERR_DEVICE);
    assert_int_equal(send_report("dev-2", &s.w.device_key, r, &reason), GWH_REFUSED); /* no key of dev-2 is known */
    assert_int_equal(reason, GW_ERR_NO_KEY);
    r = t_report_of("dev-1", 1, GW_REPORT_STAGED, 41);
    assert_int_equal(send_report("dev-1", &s.w.stranger, r, &reason), GWH_REFUSED); /* forged */
    assert_true(reason == GW_ERR_SIGNATURE || reason == GW_ERR_KEY_UNKNOWN);
    assert_int_equal(take("dev-1", &s.w.stranger.pub, (struct t_bytes){NULL, 0}, &reason), GWH_REFUSED);
    struct t_bytes cose = t_report(&s.w.stranger, &r);
    assert_int_equal(take("dev-1", &s.w.stranger.pub, cose, &reason), GWH_REFUSED); /* another certificate */
    assert_int_equal(reason, GW_ERR_KEY_UNKNOWN);
    assert_int_equal(take("nobody", &s.w.stranger.pub, cose, &reason), GWH_REFUSED);
    assert_int_equal(reason, GWS_NOT_FOUND);
    t_free(&cose);
    assert_int_equal(stored("dev-1") + stored("dev-2"), 0);
    assert_true(stub.count[GWS_M_REPORTS_REFUSED] >= 6);
}

static void every_bit_of_a_report_counts(void **state)
{
    int reason;
    struct gw_report r = t_report_of("dev-1", 3, GW_REPORT_STAGED, 41);
    struct t_bytes cose = t_report(&s.w.device_key, &r);
    (void)state;
    for (size_t i = 0; i < cose.n; i++) {
        struct t_bytes other = t_exact(cose.p, cose.n), cut = t_exact(cose.p, i);
        other.p[i] ^= (uint8_t)(1u << (i % 8));
        assert_int_equal(take("dev-1", NULL, other, &reason), GWH_REFUSED);
        assert_int_equal(take("dev-1", NULL, cut, &reason), GWH_REFUSED);
        t_free(&other);
        t_free(&cut);
    }
    assert_int_equal(stored("dev-1"), 0);
    uint8_t *long_one = calloc(1, GW_REPORT_MAX + 1);
    assert_int_equal(take("dev-1", NULL, (struct t_bytes){long_one, GW_REPORT_MAX + 1}, &reason), GWH_REFUSED);
    free(long_one);
    t_free(&cose);
}

static void a_key_that_a_certificate_showed_is_kept(void **state)
{
    int reason;
    struct gw_report r = t_report_of("dev-2", 1, GW_REPORT_STAGED, 41);
    struct t_bytes cose = t_report(&s.w.author, &r);
    (void)state;
    assert_int_equal(take("dev-2", &s.w.author.pub, cose, &reason), GWH_OK);
    t_free(&cose);
    r.counter = 2;
    assert_int_equal(send_report("dev-2", &s.w.author, r, &reason), GWH_OK); /* now it is stored: over MQTT too */
    r.counter = 3;
    cose = t_report(&s.w.stranger, &r);
    assert_int_equal(take("dev-2", &s.w.stranger.pub, cose, &reason), GWH_REFUSED);
    t_free(&cose);
    struct gwh_error err = {0};
    int64_t n = 0;
    assert_int_equal(gws_number(s.db, &err, &n, NULL, "SELECT length(key) FROM device WHERE id = 'dev-2'", ""), GWH_OK);
    assert_int_equal(n, 64);
}

static void a_disabled_device_is_refused(void **state)
{
    int reason;
    struct gwh_error err = {0};
    struct gw_report r = t_report_of("dev-1", 1, GW_REPORT_STAGED, 41);
    (void)state;
    t_server_sql(&s, "UPDATE device SET enabled = 0 WHERE id = 'dev-1'"); /* memory does not know yet */
    assert_int_equal(send_report("dev-1", &s.w.device_key, r, &reason), GWH_REFUSED);
    assert_int_equal(gws_fleet_reload_device(server.fleet, s.db, "dev-1", &err), GWH_OK);
    assert_int_equal(send_report("dev-1", &s.w.device_key, r, &reason), GWH_REFUSED);
    assert_int_equal(stored("dev-1"), 0);
}

/* ---- Over HTTP --------------------------------------------------------------------------------------------------- */

static struct gws_call call;
static void new_call(const char *device)
{
    memset(&call, 0, sizeof call);
    call.server = &server;
    snprintf(call.device, sizeof call.device, "%s", device);
}

static void post(struct t_bytes cose)
{
    unsigned before = stub.answers;
    call.body = (struct gw_span){cose.p, cose.n};
    gws_report_routes[0].run(&call);
    pump(&stub.answers, before + 1);
}

static void posts_are_answered_as_specified(void **state)
{
    struct gw_report r = t_report_of("dev-1", 5, GW_REPORT_STAGED, 41);
    struct t_bytes cose = t_report(&s.w.device_key, &r), forged = t_report(&s.w.stranger, &r);
    (void)state;
    new_call("dev-1");
    post(cose);
    assert_int_equal(stub.status, 204);
    post(cose);
    assert_int_equal(stub.status, 204);
    post(forged);
    assert_int_equal(stub.status, 403);
    t_free(&cose);
    r.counter = 4;
    cose = t_report(&s.w.device_key, &r);
    post(cose);
    assert_int_equal(stub.status, 409);
    assert_string_equal(stub.code, "REPLAY");
    t_free(&cose);
    t_free(&forged);
    post((struct t_bytes){(uint8_t *)stub.code, 1});
    assert_int_equal(stub.status, 403);
}

static void look(const char *if_none_match)
{
    snprintf(stub.if_none_match, sizeof stub.if_none_match, "%s", if_none_match);
    gws_offer_routes[0].run(&call);
}

static void looks_are_answered_from_memory(void **state)
{
    struct gwh_error err = {0};
    uint8_t digest[32];
    char tag[40], list[80];
    (void)state;
    new_call("dev-1");
    look("");
    assert_int_equal(stub.status, 204);
    t_server_release(&s, &(struct t_wish){.sequence = 41}, digest);
    t_server_rollout(&s, "r", digest, "{\"all\":true}", 0, 1, 1);
    assert_int_equal(gws_fleet_reload_rollouts(server.fleet, s.db, &err), GWH_OK);
    look("");
    assert_int_equal(stub.status, 200);
    struct gw_offer o;
    assert_int_equal(gw_offer_parse(&o, stub.body, stub.n), GW_OK);
    assert_true(o.manifest.n > 0);
    snprintf(tag, sizeof tag, "%s", stub.etag);
    look(tag);
    assert_int_equal(stub.status, 304);
    assert_int_equal(stub.n, 0);
    assert_string_equal(stub.etag, tag);
    snprintf(list, sizeof list, "\"other\", %s", tag);
    look(list);
    assert_int_equal(stub.status, 304);
    tag[strlen(tag) - 1] = '\0'; /* no tag: a part of one */
    look(tag);
    assert_int_equal(stub.status, 200);
    look("*");
    assert_int_equal(stub.status, 200);
    new_call("nobody");
    look("");
    assert_int_equal(stub.status, 403);
    assert_int_equal(stub.count[GWS_M_LOOKS], 6);
    assert_int_equal(stub.count[GWS_M_LOOKS_UNCHANGED], 2);
}

static int64_t seen(void)
{
    struct gwh_error err = {0};
    int64_t n = -1;
    while (gws_db_waiting(server.db) > 0) {
        event_base_loop(server.base, EVLOOP_ONCE);
    }
    assert_int_equal(gws_number(s.db, &err, &n, NULL, "SELECT seen FROM device WHERE id = 'dev-1'", ""), GWH_OK);
    return n;
}

static void sightings_are_written_now_and_then(void **state)
{
    (void)state;
    new_call("dev-1");
    look("");
    assert_int_equal(seen(), 1000); /* 60 s ahead */
    stub.now = 1030;
    look("");
    assert_int_equal(seen(), 1000);
    stub.now = 1060;
    look("");
    assert_int_equal(seen(), 1060);
    stub.now = 1065;
    look("");
    assert_int_equal(gws_fleet_device(server.fleet, "dev-1")->seen, 1065);
    gws_seen_flush(&server, true); /* the server goes down */
    assert_int_equal(seen(), 1065);
}

static void first_sight_follows_the_policy(void **state)
{
    (void)state;
    new_call("new-one");
    call.key = s.w.stranger.pub;
    memcpy(call.key_bytes, s.w.stranger.pub.x.p, 32);
    memcpy(call.key_bytes + 32, s.w.stranger.pub.y.p, 32);
    assert_int_equal(gws_device_first_sight(&call), GWH_REFUSED);
    server.config.first_sight = true;
    assert_int_equal(gws_device_first_sight(&call), GWH_REFUSED); /* no class */
    memset(server.config.first_sight_class, '0', 32);
    assert_int_equal(gws_device_first_sight(&call), GWH_OK);
    pump(&stub.answers, 1);
    assert_int_equal(stub.status, 403); /* a class that is not there */
    memset(server.config.first_sight_class, 'b', 32);
    assert_int_equal(gws_device_first_sight(&call), GWH_OK);
    assert_int_equal(gws_device_first_sight(&call), GWH_OK); /* two connections at once */
    pump(&stub.answers, 3);
    assert_int_equal(stub.status, 0);
    const struct gws_device *d = gws_fleet_device(server.fleet, "new-one");
    assert_non_null(d);
    assert_memory_equal(d->key, call.key_bytes, 64);
    snprintf(call.device, sizeof call.device, "a/b");
    assert_int_equal(gws_device_first_sight(&call), GWH_REFUSED);
}

/* ---- The audit --------------------------------------------------------------------------------------------------- */

static unsigned found;
static char last_why[100];
static void note_forged(void *ctx, const char *device, int64_t report, const char *why)
{
    (void)ctx;
    (void)device;
    (void)report;
    found++;
    snprintf(last_why, sizeof last_why, "%s", why);
}

static unsigned audit(struct gws_audited *a)
{
    struct gwh_error err = {0};
    found = 0;
    assert_int_equal(gws_reports_audit(s.db, note_forged, NULL, a, &err), GWH_OK);
    assert_int_equal(a->forged, found);
    return found;
}

static void what_the_database_forged_is_found(void **state)
{
    static const char *const forgeries[] = {
        "UPDATE report SET state = 1 WHERE counter = 2",
        "UPDATE report SET about_sequence = 99 WHERE counter = 3",
        "UPDATE report SET cose = x'00' WHERE counter = 2",
        "UPDATE report SET device = 'dev-2' WHERE counter = 2",
        "UPDATE report SET counter = 12 WHERE counter = 2",
        "UPDATE device SET running_sequence = 44 WHERE id = 'dev-1'",
        "UPDATE device SET state = 1 WHERE id = 'dev-1'",
        "UPDATE device SET counter = 3 WHERE id = 'dev-2'",
        "DELETE FROM report WHERE counter = 3",
        "UPDATE device SET key = NULL WHERE id = 'dev-1'",
        "INSERT INTO report(device, counter, received, state, reason, about_epoch, about_sequence, bytes, again, cose)"
        " SELECT device, 50, received, state, reason, about_epoch, about_sequence, bytes, again, cose FROM report"
        " WHERE counter = 2",
    };
    struct gws_audited a;
    int reason;
    (void)state;
    for (uint32_t i = 1; i <= 3; i++) {
        struct gw_report r = t_report_of("dev-1", i, GW_REPORT_STAGED, 40 + i);
        assert_int_equal(send_report("dev-1", &s.w.device_key, r, &reason), GWH_OK);
    }
    assert_int_equal(audit(&a), 0);
    assert_int_equal(a.reports, 3);
    assert_int_equal(a.devices, 2);
    for (size_t i = 0; i < sizeof forgeries / sizeof *forgeries; i++) {
        t_server_sql(&s, "BEGIN");
        t_server_sql(&s, "%s", forgeries[i]);
        if (audit(&a) == 0) {
            fail_msg("not found: %s", forgeries[i]);
        }
        t_server_sql(&s, "ROLLBACK");
    }
    assert_int_equal(audit(&a), 0);
}

/* An operator gives the device this key. */
static void replace_key(const char *id, const struct gwh_key *key)
{
    char hex[129], request[160];
    uint8_t xy[64];
    struct gwh_error err = {0};
    memcpy(xy, key->pub.x.p, 32);
    memcpy(xy + 32, key->pub.y.p, 32);
    gwh_hex(hex, xy, 64);
    snprintf(request, sizeof request, "{\"key\":\"%s\"}", hex);
    struct gws_edit *e = gws_edit_new(gws_device_patch, "ann", id);
    e->request = json_loads(request, 0, NULL);
    assert_int_equal(gws_edit_run(e, s.db), GWH_OK);
    gws_edit_free(e);
    assert_int_equal(gws_fleet_reload_device(server.fleet, s.db, id, &err), GWH_OK);
}

static void reports_by_a_key_that_was_replaced_are_told_apart(void **state)
{
    struct gws_audited a;
    int reason;
    struct gw_report r = t_report_of("dev-1", 1, GW_REPORT_STAGED, 41);
    (void)state;
    assert_int_equal(send_report("dev-1", &s.w.device_key, r, &reason), GWH_OK);
    r.counter = 2;
    assert_int_equal(send_report("dev-1", &s.w.device_key, r, &reason), GWH_OK);
    replace_key("dev-1", &s.w.author);
    assert_int_equal(audit(&a), 0); /* nobody forged anything */
    r.counter = 3;
    assert_int_equal(send_report("dev-1", &s.w.device_key, r, &reason), GWH_REFUSED); /* it is no key any more */
    assert_int_equal(send_report("dev-1", &s.w.author, r, &reason), GWH_OK);
    replace_key("dev-1", &s.w.author); /* the same again */
    assert_int_equal(audit(&a), 0);
    assert_int_equal(a.former, 2);
    assert_int_equal(a.reports, 3);
    replace_key("dev-1", &s.w.stranger);
    assert_int_equal(audit(&a), 0);
    assert_int_equal(a.former, 3);
    replace_key("dev-1", &s.w.author); /* back */
    assert_int_equal(audit(&a), 0);
    assert_int_equal(a.former, 2);
    t_server_sql(&s, "UPDATE report SET counter = 9 WHERE counter = 1"); /* later than the key was good for */
    assert_int_equal(audit(&a), 2); /* the report; and the row of its device, which has another counter */
    t_server_sql(&s, "UPDATE report SET counter = 1 WHERE counter = 9");
    t_server_sql(&s, "UPDATE former_key SET last = 1");
    assert_int_equal(audit(&a), 1);
    t_server_sql(&s, "DELETE FROM former_key");
    assert_int_equal(audit(&a), 2);
}

static void forget_and_know_again(const struct gwh_key *key)
{
    struct gwh_error err = {0};
    struct gws_edit *e = gws_edit_new(gws_device_delete, "ann", "dev-1");
    assert_int_equal(gws_edit_run(e, s.db), GWH_OK);
    gws_edit_free(e);
    assert_int_equal(gws_fleet_reload_device(server.fleet, s.db, "dev-1", &err), GWH_OK);
    assert_null(gws_fleet_device(server.fleet, "dev-1"));
    t_server_device(&s, "dev-1", NULL);
    if (key != NULL) {
        set_key("dev-1", key);
    }
    assert_int_equal(gws_fleet_reload_device(server.fleet, s.db, "dev-1", &err), GWH_OK);
}

/* The broker kept a report, and the device was deleted and made known again. */
static void a_device_that_was_deleted_does_not_repeat_itself(void **state)
{
    struct gws_audited a;
    int reason;
    struct gw_report r = t_report_of("dev-1", 7, GW_REPORT_FAILED, 41), low = t_report_of("dev-1", 1, 1, 41);
    struct t_bytes kept = t_report(&s.w.device_key, &r);
    (void)state;
    r.reason = 34;
    assert_int_equal(take("dev-1", NULL, kept, &reason), GWH_OK);
    forget_and_know_again(&s.w.device_key);
    assert_int_equal(take("dev-1", NULL, kept, &reason), GWH_REFUSED);
    assert_int_equal(reason, GWS_REPLAY);
    forget_and_know_again(NULL); /* its certificate will show the key */
    assert_int_equal(take("dev-1", &s.w.device_key.pub, kept, &reason), GWH_REFUSED);
    assert_int_equal(reason, GWS_REPLAY);
    r.counter = 8;
    assert_int_equal(send_report("dev-1", &s.w.device_key, r, &reason), GWH_REFUSED); /* over MQTT: no key is known */
    struct t_bytes next = t_report(&s.w.device_key, &r);
    assert_int_equal(take("dev-1", &s.w.device_key.pub, next, &reason), GWH_OK);
    assert_int_equal(audit(&a), 0);
    forget_and_know_again(&s.w.author); /* another unit with that name: it counts from one */
    assert_int_equal(send_report("dev-1", &s.w.author, low, &reason), GWH_OK);
    assert_int_equal(audit(&a), 0);
    t_free(&kept);
    t_free(&next);
}

/* ---- What is not kept -------------------------------------------------------------------------------------------- */

/* Counters 1 to n of dev-1, one each day, all verified and stored. */
static void a_report_a_day(uint32_t n)
{
    int reason;
    for (uint32_t i = 1; i <= n; i++) {
        struct gw_report r = t_report_of("dev-1", i, GW_REPORT_STAGED, 40 + i);
        stub.now = 1000 + (int64_t)i * 86400;
        assert_int_equal(send_report("dev-1", &s.w.device_key, r, &reason), GWH_OK);
    }
}

static uint64_t prune(uint32_t keep_each, int64_t older_than)
{
    struct gws_pruning p = {.keep_each = keep_each, .older_than = older_than};
    struct gwh_error err = {0};
    assert_int_equal(gws_reports_prune(&p, s.db, &err), GWH_OK);
    assert_false(p.more);
    return p.removed;
}

static int64_t lowest(void)
{
    struct gwh_error err = {0};
    int64_t n = -1;
    assert_int_equal(gws_number(s.db, &err, &n, NULL, "SELECT min(counter) FROM report WHERE device = 'dev-1'", ""),
                     GWH_OK);
    return n;
}

static void what_was_removed_is_neither_forged_nor_taken_again(void **state)
{
    struct gws_audited a;
    int reason;
    struct gw_report r = t_report_of("dev-1", 2, GW_REPORT_STAGED, 42);
    struct t_bytes second = t_report(&s.w.device_key, &r);
    struct gw_report last = t_report_of("dev-1", 9, GW_REPORT_CONFIRMED, 49);
    struct t_bytes newest = t_report(&s.w.device_key, &last);
    (void)state;
    a_report_a_day(8);
    assert_int_equal(take("dev-1", NULL, newest, &reason), GWH_OK);
    assert_int_equal(prune(0, INT64_MIN), 0);
    assert_int_equal(prune(9, 1000), 0);
    assert_int_equal(prune(6, INT64_MIN), 3);
    assert_int_equal(lowest(), 4);
    assert_int_equal(prune(6, 1000 + 6 * 86400), 2); /* those of days 4 and 5; that of day 6 is just not older */
    assert_int_equal(lowest(), 6);
    assert_int_equal(prune(0, INT64_MAX), 3);
    assert_int_equal(stored("dev-1"), 1);
    assert_int_equal(prune(1, INT64_MAX), 0);
    assert_int_equal(audit(&a), 0);
    assert_int_equal(a.reports, 1);
    assert_int_equal(take("dev-1", NULL, second, &reason), GWH_REFUSED);
    assert_int_equal(reason, GWS_REPLAY);
    assert_int_equal(take("dev-1", NULL, newest, &reason), GWH_OK); /* its answer was lost */
    assert_int_equal(stored("dev-1"), 1);
    const struct gws_device *d = gws_fleet_device(server.fleet, "dev-1");
    assert_true(d->counter == 9 && d->state == GW_REPORT_CONFIRMED);
    t_server_sql(&s, "DELETE FROM report"); /* the newest never goes: that is a forgery */
    assert_true(audit(&a) > 0);
    t_free(&second);
    t_free(&newest);
}

/* Rows as they lie there: nobody verifies them here. */
static void many_reports(const char *device, unsigned n)
{
    t_server_sql(&s, "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < %u)"
                     " INSERT INTO report(device, counter, received, state, reason, about_epoch, about_sequence, bytes,"
                     " again, cose) SELECT '%s', i, 1000, 2, 0, 2, 41, 0, 0, x'00' FROM k", n, device);
}

static void a_step_is_bounded_and_the_next_one_goes_on(void **state)
{
    struct gws_pruning p = {.keep_each = 1, .older_than = INT64_MIN};
    struct gwh_error err = {0};
    uint64_t removed = 0;
    unsigned steps = 0;
    (void)state;
    many_reports("dev-1", 600);
    many_reports("dev-2", 300);
    for (unsigned i = 0; i < 250; i++) { /* with nothing to remove: these bound a step too */
        char id[16];
        snprintf(id, sizeof id, "idle-%u", i);
        t_server_device(&s, id, NULL);
    }
    do {
        assert_int_equal(gws_reports_prune(&p, s.db, &err), GWH_OK);
        assert_true(p.removed <= 256);
        removed += p.removed;
        steps++;
    } while (p.more);
    assert_int_equal(removed, 599 + 299);
    assert_in_range(steps, 6, 8);
    assert_int_equal(stored("dev-1") + stored("dev-2"), 2);
    assert_int_equal(lowest(), 600);
}

static void the_running_server_prunes_by_its_configuration(void **state)
{
    (void)state;
    many_reports("dev-1", 300);
    stub.now = 1000 + 10 * 86400;
    gws_prune(&server); /* nothing is configured: everything is kept */
    assert_null(server.pruner);
    server.config.reports.keep_days = 11;
    gws_prune(&server);
    while (server.pruner != NULL) {
        event_base_loop(server.base, EVLOOP_ONCE);
    }
    assert_int_equal(stored("dev-1"), 300);
    server.config.reports.keep_days = 9;
    gws_prune(&server); /* the hour is not over */
    assert_null(server.pruner);
    stub.now += 3600;
    gws_prune(&server);
    while (server.pruner != NULL) {
        event_base_loop(server.base, EVLOOP_ONCE);
    }
    assert_int_equal(stored("dev-1"), 1);
    assert_int_equal(stub.count[GWS_M_REPORTS_PRUNED], 299);
}

/* Between two steps, and with one on its way. */
static void a_server_that_ends_while_it_prunes(void **state)
{
    (void)state;
    many_reports("dev-1", 1000);
    stub.now = 5000;
    server.config.reports.keep_each = 1;
    gws_prune(&server);
    while (stub.count[GWS_M_REPORTS_PRUNED] == 0) {
        event_base_loop(server.base, EVLOOP_ONCE);
    }
    assert_non_null(server.pruner);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(a_report_is_stored_and_counted),
        T(the_same_again_is_acknowledged_and_others_are_replays),
        T(reports_that_race_are_taken_in_order_or_refused),
        T(what_is_not_the_devices_own_is_refused),
        T(every_bit_of_a_report_counts),
        T(a_key_that_a_certificate_showed_is_kept),
        T(a_disabled_device_is_refused),
        T(posts_are_answered_as_specified),
        T(looks_are_answered_from_memory),
        T(sightings_are_written_now_and_then),
        T(first_sight_follows_the_policy),
        T(what_the_database_forged_is_found),
        T(reports_by_a_key_that_was_replaced_are_told_apart),
        T(a_device_that_was_deleted_does_not_repeat_itself),
        T(what_was_removed_is_neither_forged_nor_taken_again),
        T(a_step_is_bounded_and_the_next_one_goes_on),
        T(the_running_server_prunes_by_its_configuration),
        T(a_server_that_ends_while_it_prunes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
