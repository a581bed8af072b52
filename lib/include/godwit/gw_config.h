/*
 * gw_config.h - the limits of this build, and nothing else.
 *
 * Every limit may be overridden from the compiler's command line or by a file named in GW_CONFIG_FILE. Both sides
 * of an update must agree only on what SPEC.md fixes; a smaller limit here means that larger objects are refused
 * with GW_ERR_LIMIT before anything is written.
 */
#ifndef GODWIT_GW_CONFIG_H
#define GODWIT_GW_CONFIG_H

#ifdef GW_CONFIG_FILE
#include GW_CONFIG_FILE
#endif

/* Largest signed manifest (the whole COSE_Sign object), bytes. With its 64-byte header it fills one 4 KB block. */
#ifndef GW_MANIFEST_MAX
#define GW_MANIFEST_MAX 4032u
#endif

/* Largest signed trust bundle, bytes. Ten P-256 keys and three signatures fit; so do two RSA-3072 signatures. */
#ifndef GW_TRUST_MAX
#define GW_TRUST_MAX 1536u
#endif

/* Largest identity object, bytes. */
#ifndef GW_IDENTITY_MAX
#define GW_IDENTITY_MAX 1024u
#endif

/* Largest frame, bytes of ciphertext without the 32-byte hash in front. */
#ifndef GW_FRAME_MAX
#define GW_FRAME_MAX 4096u
#endif

/* Components in one manifest: one bootable, the rest data. */
#ifndef GW_COMPONENTS_MAX
#define GW_COMPONENTS_MAX 4u
#endif

/* Signatures looked at on one object; more are refused, so that nobody can make a device check for ever. */
#ifndef GW_SIGNATURES_MAX
#define GW_SIGNATURES_MAX 8u
#endif

/* Keys in a trust bundle. */
#ifndef GW_KEYS_MAX
#define GW_KEYS_MAX 16u
#endif

/* Room for a running SHA-256, bytes, a multiple of 8: the largest of the crypto ports in this build. */
#ifndef GW_SHA256_STATE
#define GW_SHA256_STATE 128u
#endif

/* Attempts that an unconfirmed image has. An attempt ended by a loss of power counts as a quarter of one. */
#ifndef GW_BOOT_TRIES
#define GW_BOOT_TRIES 3u
#endif

/* Crashes of a confirmed image, each before it called gw_device_steady(), after which the previous image is used. */
#ifndef GW_BOOT_CRASHES
#define GW_BOOT_CRASHES 5u
#endif

/* INSECURE: accept RSA keys of 1024 to 2047 bits from trust bundles. Only for measuring against old systems.
 * #define GW_INSECURE_RSA1024 */

#endif
