/*
 * token_use.c - when administration tokens were used last: noted in memory on every request, written by the minute.
 */
#include <stdlib.h>
#include <string.h>

#include "fleet_internal.h"
#include "server.h"

struct uses {
    struct gws_change change; /* first */
    size_t count;
    struct {
        uint8_t hash[32];
        int64_t used;
    } token[];
};

static int write_uses(struct gws_change *c, sqlite3 *db)
{
    struct uses *u = (struct uses *)c;
    int e = GWH_OK;
    for (size_t i = 0; i < u->count && e == GWH_OK; i++)
        e = gws_exec(db, &c->err, "UPDATE token SET used = max(used, ?) WHERE hash = ?", "ib", u->token[i].used,
                     (struct gw_span){u->token[i].hash, 32});
    return e;
}

/* One that was not written is written when the token is used the next time. */
static void wrote_uses(struct gws_change *c)
{
    free(c);
}

void gws_tokens_flush(struct gws_server *s)
{
    struct gws_fleet *f = s->fleet;
    struct uses *u = calloc(1, sizeof *u + f->token_count * sizeof u->token[0]);
    if (u == NULL)
        return;
    u->change.apply = write_uses;
    u->change.done = wrote_uses;
    for (size_t i = 0; i < f->token_count; i++) {
        struct fleet_token *t = &f->tokens[i];
        if (t->used == t->used_written)
            continue;
        memcpy(u->token[u->count].hash, t->hash, 32);
        u->token[u->count++].used = t->used;
        t->used_written = t->used;
    }
    if (u->count > 0)
        gws_db_submit(s->db, &u->change);
    else
        free(u);
}
