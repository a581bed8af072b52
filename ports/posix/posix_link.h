/*
 * posix_link.h - the network of a device on a PC: libcurl, or the client that boards use, behind one transport.
 *
 * The key and certificate that the device shows come from its identity; they are in memory only.
 */
#ifndef GWP_POSIX_LINK_H
#define GWP_POSIX_LINK_H

#include "error.h"
#include "godwit/transport.h"

struct gwp_device;

enum gwp_ports { GWP_PORTS_CURL, GWP_PORTS_COMMON };

struct gwp_link_config {
    enum gwp_ports ports;
    const char *server;      /* "https://host:port/path" */
    const char *offer_path;  /* NULL: "offers/<class id>", of a static repository */
    const char *report_path; /* NULL: reports are not sent */
    const char *token_file;  /* of a device with a token instead of a certificate, 0600, libcurl alone; NULL: none */
    const char *roots;       /* CAs: a PEM file, for libcurl also a folder; NULL: those of this PC (libcurl alone) */
    const char *crl;         /* NULL: none */
    uint32_t stall_ms;       /* without a byte; 0: 30 s */
};

/* What went over the wire: libcurl: bytes of HTTP, heads and bodies, without TLS; common: of TCP, with TLS. */
struct gwp_link_count {
    uint64_t requests, connections, received, sent;
};

struct gwp_link; /* opaque */
/* Makes the network of a mounted device; NULL and err. `t` is filled. Free with gwp_link_free(). */
struct gwp_link *gwp_link_new(const struct gwp_link_config *config, const struct gwp_device *device,
                              struct gw_transport *t, struct gwh_error *err);
void gwp_link_free(struct gwp_link *l);
/* Who the device is, as PEM; views. False: it has no certificate. */
struct gwp_link_client {
    const char *id;
    struct gw_span certificate, key;
};
bool gwp_link_client(const struct gwp_link *l, struct gwp_link_client *client);
/* Waits until there is something to do for the transport, at most `ms`. */
void gwp_link_wait(struct gwp_link *l, uint32_t ms);
void gwp_link_count(const struct gwp_link *l, struct gwp_link_count *count);
/* For people: more on the last failure; never NULL, may be empty. */
const char *gwp_link_why(const struct gwp_link *l);

#endif
