/*
 * test_fleet.c - which rollout serves a device, the offer that results, and why.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fleet.h"
#include "publish.h"
#include "serverdb.h"

static struct t_server s;
static struct gws_fleet *fleet;
static uint8_t release[3][32]; /* sequences 40, 41, 42 */

static int start(void **state)
{
    struct gwh_error err = {0};
    (void)state;
    t_server_open(&s);
    for (unsigned i = 0; i < 3; i++) {
        t_server_release(&s, &(struct t_wish){.sequence = 40 + i, .from = i > 0 ? 39 + i : 0}, release[i]);
    }
    t_server_device(&s, "dev-1", "lab");
    t_server_device(&s, "dev-2", NULL);
    assert_int_equal(gws_fleet_load(&fleet, s.db, &err), GWH_OK);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    gws_fleet_free(fleet);
    t_server_close(&s);
    return 0;
}

static void reload(void)
{
    struct gwh_error err = {0};
    if (gws_fleet_reload_rollouts(fleet, s.db, &err) != GWH_OK) {
        fail_msg("%s", err.text);
    }
}

static struct gws_device *dev(const char *id)
{
    struct gws_device *d = gws_fleet_device(fleet, id);
    assert_non_null(d);
    return d;
}

static void parse(const struct gws_served *served, struct gwh_offered *o)
{
    memset(o, 0, sizeof *o);
    assert_int_equal(gwh_buf_add(&o->bytes, served->bytes.p, served->bytes.n), GW_OK);
    assert_int_equal(gwh_offered_parse(o), GW_OK);
}

/* The index of the release that a device is offered; -1: none; *rollout: its id. */
static int offered(const char *id, char rollout[40])
{
    const struct gws_served *served = gws_fleet_offer(fleet, dev(id));
    struct gwh_offered o;
    int found = -1;
    if (served->bytes.n == 0) {
        return -1;
    }
    parse(served, &o);
    for (int i = 0; i < 3 && o.has_manifest; i++) {
        found = memcmp(o.digest, release[i], 32) == 0 ? i : found;
    }
    if (rollout != NULL) {
        snprintf(rollout, 40, "%.*s", (int)o.offer.rollout.n, (const char *)o.offer.rollout.p);
    }
    gwh_offered_free(&o);
    return found;
}

/* ---- Precedence, against a model that is written down again ------------------------------------------------------ */

static const char *const targets[] = {"{\"all\":true}", "{\"tag\":\"lab\"}", "{\"ids\":[\"dev-2\",\"dev-9\"]}",
                                      "{\"share\":1}"};
struct option {
    int state, priority, target, started;
};
static struct option option(unsigned n)
{
    return (struct option){(int)(n % 3), (int)(n / 3 % 2), (int)(n / 6 % 4), (int)(n / 24 % 2) + 1};
}
#define OPTIONS 48u

static bool holds(int target, const char *id, const char *rollout)
{
    return target == 0 || (target == 1 && strcmp(id, "dev-1") == 0) || (target == 2 && strcmp(id, "dev-2") == 0) ||
           (target == 3 && gws_share_of(rollout, id) < 1);
}

static int expect(const struct option *o, int count, const char *id)
{
    int best = -1;
    for (int i = 0; i < count; i++) {
        char name[4] = {'r', (char)('0' + i), 0};
        if (o[i].state != 1 || !holds(o[i].target, id, name)) {
            continue;
        }
        if (best < 0 || o[i].priority > o[best].priority ||
            (o[i].priority == o[best].priority && o[i].started >= o[best].started)) {
            best = i;
        }
    }
    return best;
}

static void compare(const struct option *o, int count)
{
    t_server_sql(&s, "DELETE FROM rollout");
    for (int i = 0; i < count; i++) {
        char name[4] = {'r', (char)('0' + i), 0};
        t_server_rollout(&s, name, release[i], targets[o[i].target], o[i].priority, o[i].state, o[i].started);
    }
    reload();
    for (int d = 1; d <= 2; d++) {
        char id[24], rollout[40] = "";
        snprintf(id, sizeof id, "dev-%d", d);
        int is = offered(id, rollout), should = expect(o, count, id);
        if (is != should || (is >= 0 && rollout[1] != '0' + is)) {
            fail_msg("%s: offered %d by %s, should be %d", id, is, rollout, should);
        }
    }
}

static void precedence_is_as_written_for_two_rollouts(void **state)
{
    (void)state;
    t_server_sql(&s, "PRAGMA synchronous=OFF");
    for (unsigned a = 0; a < OPTIONS; a++) {
        for (unsigned b = 0; b < OPTIONS; b++) {
            struct option o[2] = {option(a), option(b)};
            compare(o, 2);
        }
    }
}

static void precedence_is_as_written_for_three_rollouts(void **state)
{
    unsigned random = 1;
    (void)state;
    t_server_sql(&s, "PRAGMA synchronous=OFF");
    for (unsigned i = 0; i < 600; i++) {
        struct option o[3];
        for (unsigned j = 0; j < 3; j++) {
            random = random * 1103515245u + 12345u;
            o[j] = option(random >> 16);
        }
        compare(o, 3);
    }
}

static void shares_are_nested_and_fair(void **state)
{
    unsigned in[3] = {0};
    static const uint32_t share[3] = {100, 250, 900};
    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        char id[24];
        struct gws_device d = {.enabled = true};
        bool held = false;
        snprintf(id, sizeof id, "device-%u", i);
        memcpy(d.id, id, sizeof id);
        for (unsigned k = 0; k < 3; k++) {
            struct gws_target_set t = {.kind = GWS_TARGET_SHARE, .share = share[k]};
            bool now = gws_target_holds(fleet, &t, "0190-rollout", &d);
            assert_true(now || !held); /* who is in the smaller is in the larger */
            held = now;
            in[k] += now;
        }
        struct gws_target_set all = {.kind = GWS_TARGET_SHARE, .share = 1000};
        assert_true(gws_target_holds(fleet, &all, "0190-rollout", &d));
    }
    for (unsigned k = 0; k < 3; k++) {
        assert_in_range(in[k], share[k] * 5 - 150, share[k] * 5 + 150);
    }
}

static void targets_are_read_strictly(void **state)
{
    static const char *const wrong[] = {
        "{}", "{\"all\":false}", "{\"all\":1}", "{\"all\":true,\"tag\":\"a\"}", "{\"tag\":\"\"}", "{\"tag\":\"A\"}",
        "{\"tag\":1}", "{\"tag\":\"012345678901234567890123456789012\"}", "{\"ids\":[]}", "{\"ids\":[\"a/b\"]}",
        "{\"ids\":[\"a\",1]}", "{\"ids\":\"a\"}", "{\"ids\":[\"a\\u0000b\"]}", "{\"share\":0}", "{\"share\":1001}",
        "{\"share\":1.5}", "{\"share\":-1}", "{\"other\":1}", "[]", "1", "null", "{\"tag\":\"a\\u0000\"}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct gws_target_set t;
        struct gwh_error err = {0};
        json_t *o = json_loads(wrong[i], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(o);
        assert_int_equal(gws_target_parse(&t, o, &err), GWH_USAGE);
        json_decref(o);
    }
    struct gws_target_set t;
    struct gwh_error err = {0};
    assert_int_equal(gws_target_parse(&t, NULL, &err), GWH_USAGE);
}

/* ---- What is in an offer ----------------------------------------------------------------------------------------- */

static void reported(const char *id, struct gw_report r)
{
    r.device = (struct gw_span){(const uint8_t *)id, strlen(id)};
    gws_fleet_reported(fleet, dev(id), &r, 1000);
}

static void who_runs_it_or_left_it_gets_the_head_alone(void **state)
{
    struct gw_report r = t_report_of("dev-1", 1, GW_REPORT_CONFIRMED, 40);
    (void)state;
    t_server_rollout(&s, "r", release[1], targets[0], 0, 1, 1);
    reload();
    assert_int_equal(offered("dev-1", NULL), 1);
    r.running = (struct gw_order){2, 40};
    reported("dev-1", r);
    assert_int_equal(offered("dev-1", NULL), 1);
    r.running.sequence = 41;
    reported("dev-1", r);
    assert_int_equal(offered("dev-1", NULL), -1);
    r.running = (struct gw_order){3, 1};
    reported("dev-1", r);
    assert_int_equal(offered("dev-1", NULL), -1); /* newer */
    r = t_report_of("dev-1", 2, GW_REPORT_LEFT, 41);
    r.reason = 130;
    r.running = (struct gw_order){2, 40};
    reported("dev-1", r);
    assert_int_equal(offered("dev-1", NULL), -1);
    assert_int_equal(gws_fleet_offer(fleet, dev("dev-1"))->bytes.n, 0); /* no head: 204 */
    r.state = GW_REPORT_FAILED; /* the report of leaving it was lost, and it was offered again */
    r.reason = (uint32_t)-GW_ERR_REJECTED_BEFORE;
    reported("dev-1", r);
    assert_int_equal(offered("dev-1", NULL), -1);
    r.state = GW_REPORT_LEFT;
    r.release.sequence = 40; /* it left another one */
    reported("dev-1", r);
    assert_int_equal(offered("dev-1", NULL), 1);
    assert_int_equal(offered("dev-2", NULL), 1);
}

static void the_head_is_offered_and_obeyed(void **state)
{
    struct gwh_offered o;
    (void)state;
    t_server_head(&s); /* latest 41; withdraws 38, 39 */
    reload();
    parse(gws_fleet_offer(fleet, dev("dev-1")), &o);
    assert_true(o.has_head && !o.has_manifest);
    gwh_offered_free(&o);
    t_server_rollout(&s, "r", release[1], targets[0], 0, 1, 1);
    reload();
    parse(gws_fleet_offer(fleet, dev("dev-1")), &o);
    assert_true(o.has_head && o.has_manifest);
    gwh_offered_free(&o);
    t_server_rollout(&s, "q", release[2], targets[0], 5, 1, 1); /* 42: the head is behind */
    reload();
    assert_int_equal(offered("dev-1", NULL), -1);
    t_server_sql(&s, "DELETE FROM rollout WHERE id = 'q'");
    s.w.withdrawn[0].sequence = 41;
    t_server_head(&s);
    reload();
    assert_int_equal(offered("dev-1", NULL), -1);
}

static void a_disabled_device_is_offered_nothing(void **state)
{
    struct gwh_error err = {0};
    (void)state;
    t_server_head(&s);
    t_server_rollout(&s, "r", release[1], targets[0], 0, 1, 1);
    t_server_sql(&s, "UPDATE device SET enabled = 0 WHERE id = 'dev-1'");
    reload();
    assert_int_equal(gws_fleet_reload_device(fleet, s.db, "dev-1", &err), GWH_OK);
    assert_int_equal(gws_fleet_offer(fleet, dev("dev-1"))->bytes.n, 0);
    assert_int_equal(offered("dev-2", NULL), 1);
}

static void entity_tags_are_digests_and_stay(void **state)
{
    struct gwh_error err = {0};
    char before[20], hex[17];
    uint8_t digest[32];
    const uint8_t *shared = NULL;
    unsigned same = 0, looks[2] = {UINT32_MAX, 0};
    (void)state;
    t_server_rollout(&s, "r", release[1], targets[0], 0, 1, 1);
    reload();
    assert_int_equal(gws_fleet_configure(fleet, 3600, "https://cdn.example.com/p", &err), GWH_OK);
    const struct gws_served *served = gws_fleet_offer(fleet, dev("dev-1"));
    assert_int_equal(gw_sha256(gwh_openssl()->gw, served->bytes.p, served->bytes.n, digest), GW_OK);
    gwh_hex(hex, digest, 8);
    assert_string_equal(hex, served->etag);
    memcpy(before, served->etag, sizeof before);
    reload();
    assert_string_equal(gws_fleet_offer(fleet, dev("dev-1"))->etag, before);
    for (unsigned i = 0; i < 300; i++) {
        char id[16];
        struct gwh_offered o;
        snprintf(id, sizeof id, "many-%u", i);
        t_server_device(&s, id, NULL);
        assert_int_equal(gws_fleet_reload_device(fleet, s.db, id, &err), GWH_OK);
        served = gws_fleet_offer(fleet, dev(id));
        shared = strcmp(served->etag, before) == 0 ? served->bytes.p : shared;
        same += strcmp(served->etag, before) == 0;
        parse(served, &o);
        assert_in_range(o.offer.next_look, 3600 - 450, 3600 + 450);
        looks[0] = o.offer.next_look < looks[0] ? o.offer.next_look : looks[0];
        looks[1] = o.offer.next_look > looks[1] ? o.offer.next_look : looks[1];
        assert_int_equal(o.offer.payload_base.n, 25);
        gwh_offered_free(&o);
    }
    assert_true(looks[1] - looks[0] > 700); /* the jitter is used */
    assert_in_range(same, 5, 60);
    assert_ptr_equal(shared, gws_fleet_offer(fleet, dev("dev-1"))->bytes.p); /* the same bytes lie there once */
}

static void a_newer_bundle_is_offered_to_who_reports_an_older_one(void **state)
{
    struct gw_report r = t_report_of("dev-1", 1, GW_REPORT_CONFIRMED, 40);
    struct gwh_offered o;
    (void)state;
    assert_int_equal(gws_fleet_offer(fleet, dev("dev-1"))->bytes.n, 0); /* it is not known what it has */
    r.trust_version = 4;
    reported("dev-1", r);
    parse(gws_fleet_offer(fleet, dev("dev-1")), &o);
    assert_true(o.has_trust && !o.has_manifest);
    assert_int_equal(o.trust.version, 5);
    gwh_offered_free(&o);
    r.trust_version = 5;
    reported("dev-1", r);
    assert_int_equal(gws_fleet_offer(fleet, dev("dev-1"))->bytes.n, 0);
}

static void a_bundle_that_does_not_fit_goes_first(void **state)
{
    struct gw_report r = t_report_of("dev-1", 1, GW_REPORT_CONFIRMED, 0);
    struct gwh_offered o;
    uint8_t big[32];
    (void)state;
    /* Grants and names make the offer so large that the bundle does not fit beside them. */
    t_server_release(&s, &(struct t_wish){.sequence = 45, .encrypted = true, .grants = 12, .devices = 74}, big);
    t_server_rollout(&s, "r", big, targets[0], 0, 1, 1);
    reload();
    assert_in_range(gws_fleet_offer(fleet, dev("dev-1"))->bytes.n, 4000, GW_OFFER_BUFFER);
    r.trust_version = 4;
    reported("dev-1", r);
    parse(gws_fleet_offer(fleet, dev("dev-1")), &o);
    assert_true(o.has_trust && !o.has_manifest);
    gwh_offered_free(&o);
    gws_fleet_looked(fleet, dev("dev-1"), 2000);
    parse(gws_fleet_offer(fleet, dev("dev-1")), &o);
    assert_true(!o.has_trust && o.has_manifest);
    gwh_offered_free(&o);
    reported("dev-1", r); /* it still has the old one */
    parse(gws_fleet_offer(fleet, dev("dev-1")), &o);
    assert_true(o.has_trust && !o.has_manifest);
    gwh_offered_free(&o);
}

static void a_device_gets_the_grants_that_it_can_open(void **state)
{
    struct gwh_error err = {0};
    struct gwh_offered o;
    uint8_t secret[32];
    (void)state;
    t_server_release(&s, &(struct t_wish){.sequence = 46, .encrypted = true, .grants = 5, .kid = "mine"}, secret);
    t_server_rollout(&s, "r", secret, targets[0], 0, 1, 1);
    t_server_sql(&s, "UPDATE device SET kids = x'046d696e65' WHERE id = 'dev-1'"); /* "mine" */
    t_server_device(&s, "dev-3", NULL);
    t_server_sql(&s, "UPDATE device SET kids = x'056f74686572046d696e6f' WHERE id = 'dev-3'");
    reload();
    assert_int_equal(gws_fleet_reload_device(fleet, s.db, "dev-1", &err), GWH_OK);
    assert_int_equal(gws_fleet_reload_device(fleet, s.db, "dev-3", &err), GWH_OK);
    parse(gws_fleet_offer(fleet, dev("dev-1")), &o);
    assert_int_equal(o.offer.grant_count, 1);
    gwh_offered_free(&o);
    parse(gws_fleet_offer(fleet, dev("dev-2")), &o);
    assert_int_equal(o.offer.grant_count, GW_GRANTS_MAX); /* not known: all, up to four */
    gwh_offered_free(&o);
    parse(gws_fleet_offer(fleet, dev("dev-3")), &o);
    assert_int_equal(o.offer.grant_count, 0);
    gwh_offered_free(&o);
}

/* ---- What changed ------------------------------------------------------------------------------------------------ */

struct told {
    unsigned count;
    char last[50];
};
static void tell(void *ctx, const struct gws_device *d)
{
    struct told *t = ctx;
    t->count++;
    snprintf(t->last, sizeof t->last, "%s", d->id);
}

static unsigned changed(struct told *t)
{
    memset(t, 0, sizeof *t);
    gws_fleet_changed(fleet, tell, t);
    return t->count;
}

static void who_is_offered_something_else_is_told(void **state)
{
    struct told t;
    struct gwh_error err = {0};
    (void)state;
    assert_int_equal(changed(&t), 0);
    t_server_rollout(&s, "r", release[1], targets[1], 0, 1, 1);
    reload();
    assert_int_equal(changed(&t), 1);
    assert_string_equal(t.last, "dev-1");
    assert_int_equal(changed(&t), 0);
    t_server_sql(&s, "INSERT INTO tag(device, name) VALUES('dev-2', 'lab')");
    assert_int_equal(gws_fleet_reload_device(fleet, s.db, "dev-2", &err), GWH_OK);
    assert_int_equal(changed(&t), 1);
    assert_string_equal(t.last, "dev-2");
    struct gw_report r = t_report_of("dev-1", 1, GW_REPORT_CONFIRMED, 41);
    r.running = (struct gw_order){2, 41};
    reported("dev-1", r);
    assert_int_equal(changed(&t), 0); /* it knows by itself */
    t_server_sql(&s, "UPDATE rollout SET state = 2");
    reload();
    assert_int_equal(changed(&t), 1);
    t_server_sql(&s, "DELETE FROM device WHERE id = 'dev-2'");
    assert_int_equal(gws_fleet_reload_device(fleet, s.db, "dev-2", &err), GWH_OK);
    assert_null(gws_fleet_device(fleet, "dev-2"));
    assert_int_equal(gws_fleet_count(fleet), 1);
}

static void a_damaged_database_changes_nothing(void **state)
{
    struct gwh_error err = {0};
    (void)state;
    t_server_rollout(&s, "r", release[1], targets[0], 0, 1, 1);
    reload();
    t_server_sql(&s, "UPDATE release SET manifest = x'00' WHERE sequence = 41");
    assert_int_not_equal(gws_fleet_reload_rollouts(fleet, s.db, &err), GWH_OK);
    assert_true(err.text[0] != '\0');
    assert_int_equal(offered("dev-1", NULL), 1); /* as before */
}

static void tokens_name_devices_and_roles(void **state)
{
    struct gwh_error err = {0};
    uint8_t hash[32];
    char who[64];
    (void)state;
    memset(hash, 0x11, 32);
    t_server_sql(&s, "UPDATE device SET token_hash = x'%s' WHERE id = 'dev-2'",
                 "1111111111111111111111111111111111111111111111111111111111111111");
    assert_null(gws_fleet_token(fleet, hash));
    assert_int_equal(gws_fleet_reload_device(fleet, s.db, "dev-2", &err), GWH_OK);
    assert_ptr_equal(gws_fleet_token(fleet, hash), dev("dev-2"));
    t_server_sql(&s, "UPDATE device SET token_hash = NULL");
    assert_int_equal(gws_fleet_reload_device(fleet, s.db, "dev-2", &err), GWH_OK);
    assert_null(gws_fleet_token(fleet, hash));
    memset(hash, 0, 32);
    assert_null(gws_fleet_token(fleet, hash));
    t_server_sql(&s, "INSERT INTO token(id, name, hash, role, created, creator, expires)"
                     " VALUES('t', 'ann', x'%s', 3, 1, 'x', 500)",
                 "2222222222222222222222222222222222222222222222222222222222222222");
    memset(hash, 0x22, 32);
    assert_int_equal(gws_fleet_reload_tokens(fleet, s.db, &err), GWH_OK);
    assert_int_equal(gws_fleet_role(fleet, hash, 499, who), 3);
    assert_string_equal(who, "ann");
    assert_int_equal(gws_fleet_role(fleet, hash, 500, who), 0); /* over */
    hash[31]++;
    assert_int_equal(gws_fleet_role(fleet, hash, 1, who), 0);
    assert_string_equal(who, "");
}

/* ---- For people -------------------------------------------------------------------------------------------------- */

static bool says(const json_t *why, const char *part)
{
    size_t i;
    json_t *line;
    json_array_foreach (json_object_get(why, "words"), i, line) {
        if (strstr(json_string_value(line), part) != NULL) {
            return true;
        }
    }
    return false;
}

static void why_says_why(void **state)
{
    struct gwh_error err = {0};
    struct gw_report r = t_report_of("dev-1", 1, GW_REPORT_CONFIRMED, 40);
    (void)state;
    json_t *o = gws_fleet_why(fleet, s.db, "nobody", 5000, &err);
    assert_true(json_is_false(json_object_get(o, "known")));
    json_decref(o);
    t_server_rollout(&s, "a", release[1], targets[0], 1, 1, 10);
    t_server_rollout(&s, "b", release[2], targets[0], 0, 1, 20);
    t_server_rollout(&s, "c", release[2], targets[0], 9, 2, 20);
    t_server_rollout(&s, "d", release[2], targets[2], 9, 1, 20);
    reload();
    r.running = (struct gw_order){2, 40};
    reported("dev-1", r);
    o = gws_fleet_why(fleet, s.db, "dev-1", 5000, &err);
    assert_non_null(o);
    assert_true(says(o, "last seen 4000 seconds ago"));
    assert_true(says(o, "Rollout a (name of a) serves it."));
    assert_true(says(o, "Rollout b (name of b) does not: lower priority."));
    assert_true(says(o, "Rollout c (name of c) does not: paused."));
    assert_true(says(o, "Rollout d (name of d) does not: not in its target."));
    assert_true(says(o, "would fetch 5000 bytes")); /* the delta from 40 */
    const json_t *plan = json_object_get(o, "plan");
    assert_true(json_is_true(json_object_get(plan, "suits")));
    assert_int_equal(json_integer_value(json_object_get(plan, "bytes")), 5000);
    json_decref(o);
    o = gws_fleet_why(fleet, s.db, "dev-2", 5000, &err); /* d has the highest priority; what it runs is not known */
    assert_true(says(o, "Rollout d (name of d) serves it."));
    assert_true(says(o, "never seen"));
    assert_true(says(o, "would fetch 100768 bytes"));
    json_decref(o);
}

static void a_plan_says_who_gets_what(void **state)
{
    struct gwh_error err = {0};
    struct gw_report r = t_report_of("dev-1", 1, GW_REPORT_CONFIRMED, 40);
    char hex[65], text[200];
    (void)state;
    r.running = (struct gw_order){2, 40};
    reported("dev-1", r);
    gwh_hex(hex, release[1], 32);
    snprintf(text, sizeof text, "{\"name\":\"x\",\"release\":\"%s\",\"target\":{\"all\":true}}", hex);
    json_t *request = json_loads(text, 0, NULL);
    json_t *o = gws_fleet_plan(fleet, s.db, request, 5000, &err);
    assert_non_null(o);
    assert_int_equal(json_integer_value(json_object_get(o, "devices")), 2);
    assert_int_equal(json_integer_value(json_object_get(o, "bytes")), 5000 + 100768);
    assert_int_equal(json_array_size(json_object_get(o, "groups")), 2);
    json_decref(o);
    r.running.sequence = 41;
    reported("dev-1", r);
    t_server_rollout(&s, "over", release[2], targets[2], 5, 1, 1);
    reload();
    o = gws_fleet_plan(fleet, s.db, request, 5000, &err);
    assert_int_equal(json_integer_value(json_object_get(o, "there_already")), 1);
    assert_int_equal(json_integer_value(json_object_get(o, "served_by_another")), 1);
    assert_int_equal(json_integer_value(json_object_get(o, "bytes")), 0);
    json_decref(o);
    json_object_set_new(request, "release", json_string("00"));
    assert_null(gws_fleet_plan(fleet, s.db, request, 5000, &err));
    assert_int_equal(err.exit, GWH_USAGE);
    json_decref(request);
}

static int64_t number(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static void progress_counts_devices(void **state)
{
    struct gw_report r = t_report_of("dev-1", 1, GW_REPORT_STAGED, 41);
    (void)state;
    t_server_rollout(&s, "r", release[1], targets[0], 0, 1, 500);
    reload();
    json_t *o = gws_fleet_progress(fleet, "r");
    assert_int_equal(number(o, "all"), 2);
    assert_int_equal(number(o, "silent"), 2);
    json_decref(o);
    gws_fleet_looked(fleet, dev("dev-2"), 600);
    reported("dev-1", r);
    o = gws_fleet_progress(fleet, "r");
    assert_int_equal(number(o, "offered"), 1);
    assert_int_equal(number(o, "staged"), 1);
    json_decref(o);
    r.state = GW_REPORT_CONFIRMED;
    r.running = (struct gw_order){2, 41};
    reported("dev-1", r);
    o = gws_fleet_progress(fleet, "r");
    assert_int_equal(number(o, "confirmed"), 1);
    json_decref(o);
    o = gws_fleet_rollout_devices(fleet, "r", 1, NULL);
    assert_string_equal(json_string_value(json_object_get(o, "next")), "dev-1");
    json_decref(o);
    o = gws_fleet_rollout_devices(fleet, "r", 1, "dev-1");
    assert_true(json_is_null(json_object_get(o, "next")));
    assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(o, "items"), 0), "id")),
                        "dev-2");
    json_decref(o);
    o = gws_fleet_progress(fleet, "nothing");
    assert_int_equal(json_object_size(o), 0);
    json_decref(o);
}

static void ten_thousand_devices_are_small(void **state)
{
    struct gwh_error err = {0};
    struct gws_fleet *many = NULL;
    (void)state;
    t_server_sql(&s, "BEGIN");
    for (unsigned i = 0; i < 10000; i++) {
        char id[24];
        snprintf(id, sizeof id, "fleet-%05u", i);
        t_server_device(&s, id, i % 7 == 0 ? "seven" : NULL);
    }
    t_server_sql(&s, "COMMIT");
    t_server_rollout(&s, "r", release[1], "{\"tag\":\"seven\"}", 0, 1, 500);
    assert_int_equal(gws_fleet_load(&many, s.db, &err), GWH_OK);
    assert_int_equal(gws_fleet_count(many), 10002);
    assert_true(sizeof(struct gws_device) + 16 + 2 * 2 * sizeof(void *) < 600);
    assert_true(gws_device_has_tag(many, gws_fleet_device(many, "fleet-00007"), "seven"));
    assert_true(gws_fleet_offer(many, gws_fleet_device(many, "fleet-00007"))->bytes.n > 0);
    assert_int_equal(gws_fleet_offer(many, gws_fleet_device(many, "fleet-00008"))->bytes.n, 0);
    gws_fleet_free(many);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(precedence_is_as_written_for_two_rollouts),
        T(precedence_is_as_written_for_three_rollouts),
        T(shares_are_nested_and_fair),
        T(targets_are_read_strictly),
        T(who_runs_it_or_left_it_gets_the_head_alone),
        T(the_head_is_offered_and_obeyed),
        T(a_disabled_device_is_offered_nothing),
        T(entity_tags_are_digests_and_stay),
        T(a_newer_bundle_is_offered_to_who_reports_an_older_one),
        T(a_bundle_that_does_not_fit_goes_first),
        T(a_device_gets_the_grants_that_it_can_open),
        T(who_is_offered_something_else_is_told),
        T(a_damaged_database_changes_nothing),
        T(tokens_name_devices_and_roles),
        T(why_says_why),
        T(a_plan_says_who_gets_what),
        T(progress_counts_devices),
        T(ten_thousand_devices_are_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
