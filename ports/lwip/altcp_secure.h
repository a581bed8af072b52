/*
 * altcp_secure.h - a gwc_secure (ports/tls) as a connection of lwIP's altcp, for lwIP's MQTT client.
 *
 * The struct has the name that lwIP leaves to whoever brings TLS: mqtt.c hands it to altcp_tls_new(). One connection at
 * a time. All that happens happens in gwl_secure_step(), callbacks of the connection included.
 *
 * Keeps true: callbacks get whole packets, one at a time, each in one piece of memory with a byte to spare behind it:
 * lwIP 2.2.1's MQTT client neither joins what comes in parts nor looks where a packet ends before it writes a zero
 * there. A packet that has no room here is passed over without being kept.
 */
#ifndef GWL_ALTCP_SECURE_H
#define GWL_ALTCP_SECURE_H

#include <lwip/altcp.h>
#include <lwip/apps/mqtt_opts.h>

#include "stream.h"

#define GWL_SECURE_OUT 256u
#define GWL_SECURE_IN (MQTT_VAR_HEADER_BUFFER_LEN - 1u) /* a packet, and the zero behind a topic that fills it */

struct altcp_tls_config {
    const struct gwc_secure *secure;
    const char *host;
    uint16_t port;
    /* How many bytes are missing to a packet that begins with these n: 0: none; < 0: it is none. Never more than
     * are missing; for the first n and then for more of the same ones. */
    int (*missing)(const uint8_t *p, size_t n);

    /* Readable: */
    int error;         /* why the last connection ended: GW_OK: by us; GW_ERR_* */
    uint32_t received; /* packets, those passed over too */

    /* Private: */
    struct altcp_pcb *conn; /* NULL: none */
    struct pbuf *refused;   /* by the callback: it comes again */
    uint32_t polled_ms;
    uint32_t skip;          /* bytes of a packet that has no room */
    uint16_t in_n, out_n;
    uint16_t trying;        /* bytes of `out` that the stream was given and did not take */
    uint8_t state;
    uint8_t in[GWL_SECURE_IN];
    uint8_t out[GWL_SECURE_OUT];
};

/* One bounded unit of work. True: there may be more at once. */
bool gwl_secure_step(struct altcp_tls_config *s);
/* Tries once to send what was written. For a last word before a connection is closed. */
void gwl_secure_flush(struct altcp_tls_config *s);
/* The handshake is under way; something waits to be sent. */
bool gwl_secure_busy(const struct altcp_tls_config *s);

#endif
