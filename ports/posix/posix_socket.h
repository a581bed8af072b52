/*
 * posix_socket.h - TCP on a PC as a stream that does not block (ports/common/stream.h); to look a name up may.
 *
 * A name's addresses are tried in turn, those of this machine first.
 */
#ifndef GWP_POSIX_SOCKET_H
#define GWP_POSIX_SOCKET_H

#include "stream.h"

#define GWP_ADDRESSES_MAX 8u

struct gwp_address; /* of a host: posix_socket.c */

struct gwp_socket {
    struct gwc_stream stream; /* ready after gwp_socket_init */
    int fd;                   /* -1: none is open */
    bool connected;
    struct gwp_address *list; /* while it connects */
    unsigned next, count;
};

void gwp_socket_init(struct gwp_socket *s);
/* For poll(): what would make the last GW_ERR_AGAIN go away; events is POLLIN, or POLLOUT while it connects. -1: none
 * is open. */
int gwp_socket_fd(const struct gwp_socket *s, short *events);
/* Waits for that, at most so long; returns at once if nothing is open. */
void gwp_socket_wait(const struct gwp_socket *s, int most_ms);

#endif
