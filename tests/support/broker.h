/*
 * broker.h - an MQTT broker by script, as a stream without a network: answers as a good one does, says what a bad one
 * may say, in any pieces, with GW_ERR_AGAIN between them, ends and failures at any call.
 *
 * It is strict with the client: a packet that MQTT 3.1.1 does not allow, or a call that stream.h does not, ends the
 * program.
 */
#ifndef BROKER_H
#define BROKER_H

#include "stream.h"

#define BROKER_OUT_MAX 16384u
#define BROKER_IN_MAX 2048u

struct broker {
    struct gwc_secure secure;
    /* How it behaves: */
    size_t piece;            /* bytes of one call; 0: as many as fit */
    bool again;              /* about every other call is GW_ERR_AGAIN */
    unsigned fail_at;        /* the call that fails, from 1; 0: none */
    int fail_with;
    bool deaf;               /* takes nothing: send is GW_ERR_AGAIN */
    bool absent;             /* connect is GW_ERR_AGAIN */
    bool mute;               /* answers nothing */
    bool no_suback, no_puback, no_pong;
    bool closes;             /* once all was received */
    uint8_t connack, suback; /* codes */
    /* What it saw, since broker_open: */
    unsigned calls, connects, closed, conns, subscribes, reports, pings, goodbyes;
    char host[GWC_HOST_MAX + 1];
    uint16_t port, keep_alive;
    enum gwc_peer peer;
    char id[64], user[64], subscribed[96], topic[96]; /* topic: of the last report */
    uint8_t report[1024];
    size_t report_n;
    uint16_t report_id, subscribe_id;
    /* Private: */
    bool connected;
    uint8_t out[BROKER_OUT_MAX], in[BROKER_IN_MAX], tried[BROKER_IN_MAX];
    size_t out_n, out_at, in_n, tried_n;
};

void broker_open(struct broker *b);
/* Any bytes, after what was said before. */
void broker_say(struct broker *b, const void *p, size_t n);
/* PUBLISH, QoS 0. */
void broker_publish(struct broker *b, const char *topic, const void *p, size_t n);
/* Was all of it received? */
bool broker_heard(const struct broker *b);

/* What lwIP asks of a port: the time, which a test moves, and chance, which there is none of. */
extern uint32_t lwip_ms;
uint32_t sys_now(void);
unsigned gwl_random(void);
/* Memory of lwIP: the call that gives nothing, from 1; 0: none. Counts down. */
extern unsigned lwipmem_fail;
void *lwipmem_malloc(size_t n); /* for lwIP's files: lwipmem.h */

#endif
