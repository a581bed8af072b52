/*
 * serverdb.h - a database of the server for tests: the keys of objects.h, a class, releases, devices, reports.
 */
#ifndef T_SERVERDB_H
#define T_SERVERDB_H

#include "db.h"
#include "godwit/agent.h"
#include "objects.h"

struct t_server {
    struct t_world w;
    char folder[220], path[260];
    sqlite3 *db;          /* open, to write to */
    uint8_t class_id[16]; /* the world's: bb... */
    char class_hex[33];
};
/* A folder of its own, a database with the class (vendor example.com, name "board") and the world's bundle. */
void t_server_open(struct t_server *s);
void t_server_close(struct t_server *s);
void t_server_sql(struct t_server *s, const char *format, ...) GWH_PRINTF(2, 3);

/* A release that is ready: one bootable component of 100 000 bytes in one raw payload; `from` > 0: before it a delta of
 * 5 000 bytes from the release of that sequence. */
struct t_wish {
    uint32_t sequence, from;
    bool encrypted;       /* with the grants below */
    unsigned grants;      /* t_grant(), so often */
    unsigned devices;     /* that it names: makes the manifest larger. dev-1 is one of them */
    const char *kid;      /* not NULL: one more grant, for this KEK alone */
};
void t_server_release(struct t_server *s, const struct t_wish *wish, uint8_t digest[32]);
void t_server_device(struct t_server *s, const char *id, const char *tag);
void t_server_rollout(struct t_server *s, const char *id, const uint8_t release[32], const char *target, int priority,
                      int state, int started);
void t_server_head(struct t_server *s);  /* the world's head_is, as it is now */

/* A report, signed by the key. */
struct t_bytes t_report(struct gwh_key *key, const struct gw_report *r);
/* The least that one needs: device, counter, state, release. */
struct gw_report t_report_of(const char *device, uint32_t counter, uint32_t state, uint32_t sequence);

#endif
