/*
 * wire.h - a server by script, as a stream without a network: answers in any pieces, with GW_ERR_AGAIN between them,
 * ends and failures at any call. It keeps what the client sent, and with whom it connected.
 *
 * An answer is given once the client has sent a whole request on its connection. All buffers of answers are heap, of
 * their exact size.
 */
#ifndef WIRE_H
#define WIRE_H

#include "stream.h"

#define WIRE_SENT_MAX 8192u
#define WIRE_ANSWERS_MAX 64u
#define WIRE_PINS_MAX 4u

enum wire_then {
    WIRE_STAYS = 0, /* the connection stays open */
    WIRE_CLOSES,    /* the server closes it after the answer */
    WIRE_DROPS,     /* instead of the answer it closes it, once the request is there */
};

struct wire_answer {
    uint8_t *p;
    size_t n;
    enum wire_then then;
};

struct wire {
    struct gwc_secure secure;
    struct wire_answer answer[WIRE_ANSWERS_MAX];
    unsigned answers, next;
    size_t at;               /* in the answer that is being given */
    bool giving, ended;
    char sent[WIRE_SENT_MAX + 1]; /* ended by a zero */
    size_t sent_n, request_at;
    size_t piece;            /* bytes of one call; 0: as many as fit */
    bool again;              /* every other call is GW_ERR_AGAIN */
    bool turn;
    unsigned calls, fail_at; /* the call that fails, from 1; 0: none */
    int fail_with;
    bool connected;
    unsigned connects;
    char host[GWC_HOST_MAX + 1];
    uint16_t port;
    enum gwc_peer peer, next_peer; /* of the connection; said for the next one */
    enum gwc_peer peers[8];  /* of the first connections */
    uint32_t now;            /* what trust() was told */
    uint8_t pins[WIRE_PINS_MAX][GW_DIGEST_SIZE];
    size_t pin_count;
    uint8_t roots[64];       /* the list, as it came */
    size_t roots_n;
};

void wire_open(struct wire *w);
void wire_close(struct wire *w); /* frees the answers */
/* Adds an answer; text ended by a zero, or n bytes. */
void wire_answer(struct wire *w, const char *text, enum wire_then then);
void wire_answer_bytes(struct wire *w, const void *p, size_t n, enum wire_then then);
/* From the first answer again, with nothing sent and nobody connected. Pieces and failures stay. */
void wire_again(struct wire *w);
/* How often `text` is in what was sent. */
unsigned wire_sent(const struct wire *w, const char *text);

#endif
