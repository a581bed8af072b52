/*
 * who.c - who somebody is: administration tokens; a device that shows a certificate of the device CA and is not known
 * yet, where the policy allows it.
 */
#include <stdlib.h>
#include <string.h>

#include "resources.h"

enum gws_role gws_token_role(struct gws_server *s, const char *token, char who[64])
{
    uint8_t hash[32];
    who[0] = '\0';
    if (strlen(token) >= GWS_TOKEN_MAX || gws_token_hash(token, hash) != GW_OK) {
        return GWS_ROLE_NONE;
    }
    return (enum gws_role)gws_fleet_role(s->fleet, hash, gws_now(), who);
}

/* ---- First sight ------------------------------------------------------------------------------------------------- */

struct sight {
    struct gws_change change; /* first */
    struct gws_call *call;
    struct gws_server *server;
    char id[GW_DEVICE_ID_MAX + 1];
    uint8_t class_id[16], key[64];
    bool has_key;
    int64_t now;
};

static int apply(struct gws_change *c, sqlite3 *db)
{
    struct sight *k = (struct sight *)c;
    struct gw_span key = {k->has_key ? k->key : NULL, 64};
    int64_t classes = 0;
    int e = gws_number(db, &c->err, &classes, NULL, "SELECT count(*) FROM class WHERE id = ?", "b",
                       (struct gw_span){k->class_id, 16});
    if (e == GWH_OK && classes == 0) {
        return gwh_fail(&c->err, GWH_REFUSED, "the class of devices at first sight is not there");
    }
    e = e == GWH_OK ? gws_exec(db, &c->err,
                               "INSERT INTO device(id, class, key, created, origin) VALUES(?, ?, ?, ?, 'certificate')"
                               " ON CONFLICT(id) DO NOTHING",
                               "tbbi", k->id, (struct gw_span){k->class_id, 16}, key, k->now)
                    : e;
    if (e != GWH_OK || sqlite3_changes64(db) == 0) { /* two connections at once: the first has done it */
        return e;
    }
    return gws_audit(db, &c->err, "first sight", "device known", k->id, NULL);
}

static void done(struct gws_change *c)
{
    struct sight *k = (struct sight *)c;
    struct gwh_error err = {0};
    int e = c->result;
    if (e == GWH_OK) {
        e = gws_fleet_reload_device(k->server->fleet, gws_db_reader(k->server->db), k->id, &err);
    }
    if (e == GWH_OK) {
        gws_log(k->server, "device-known", "device", k->id, "by", "certificate", NULL);
        gws_call_again(k->call);
    } else {
        gws_answer_error(k->call, e == GWH_REFUSED ? 403 : 503, e == GWH_REFUSED ? "NOT_FOUND" : "BUSY",
                         "the device cannot be made known now");
    }
    free(k);
}

int gws_device_first_sight(struct gws_call *call)
{
    struct gws_server *s = call->server;
    struct sight *k = calloc(1, sizeof *k);
    if (k == NULL || !s->config.first_sight || !gws_device_id_ok(call->device) ||
        !gwh_unhex(k->class_id, 16, s->config.first_sight_class) || gws_db_waiting(s->db) >= GWS_DB_QUEUE_MAX) {
        free(k);
        return GWH_REFUSED;
    }
    k->change.apply = apply;
    k->change.done = done;
    k->call = call;
    k->server = s;
    k->now = gws_now();
    memcpy(k->id, call->device, sizeof k->id);
    k->has_key = call->key.x.n > 0;
    memcpy(k->key, call->key_bytes, 64);
    gws_db_submit(s->db, &k->change);
    return GWH_OK;
}
