/*
 * online.h - updates over the network, in the loop of the program: the agent with HTTPS and a broker, on lwIP.
 *
 * Where the server is, and who this device is, come from the factory: settings (ports/common/settings.h) and identity;
 * which servers are believed comes from the trust bundle. Settings that count:
 *
 *     server = https://NAME[:PORT]      without it there is no network: updates come over the serial line
 *     offer = PATH | static             below the server; static: offers/<class id>; absent: device/v1/offer
 *     report = PATH                     absent: device/v1/report; of a static server: none
 *     mqtt = NAME:PORT                  the broker; absent: none, the poll alone
 *     poll = SECONDS                    between looks, until the server says otherwise; absent: 3600
 *     jitter = SECONDS                  a look after a notification waits for up to so long; absent: 0
 *     anonymous_after = N               looks that failed for the server's certificate, before one without trust
 *     address = A.B.C.D/BITS            absent: DHCP
 *     gateway = A.B.C.D
 *     dns = A.B.C.D
 *     host = NAME A.B.C.D               a name that no name server needs to know; any number of lines
 */
#ifndef EXAMPLE_ONLINE_H
#define EXAMPLE_ONLINE_H

#include "console.h"

/* Starts the network. False: the settings name no server, or something is wrong and the console was told. `self_test`:
 * 0 if this program is well; asked once, on trial. */
bool online_start(const struct gw_device *dev, const struct gw_handover *boot, int (*self_test)(void *ctx));

/* One bounded unit of work of network, broker and agent; how long there is nothing to do, us, if no frame comes. Until
 * `ready` the agent waits: on trial, for what the self-test needs. */
uint32_t online_step(bool ready);

/* A release was installed and waits for the restart. */
bool online_is_done(void);
/* The agent ends, for good: somebody at the serial line has a release, and the memory of an update is there once. What
 * was fetched stays; a restart begins anew. */
void online_stop(void);
/* Called after each update, before the restart into it: for what the program has to say. */
void online_on_end(void (*tell)(void));
/* Lines on the console: what memory was used at most, and what went over the wire. After online_start() was true. */
void online_tell(void);

#endif
