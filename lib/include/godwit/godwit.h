/*
 * godwit.h - conventions, limits, errors and reasons of libgodwit.
 *
 * What holds for every function of the library, so that it is said only once:
 *
 *  - Nothing is allocated. The caller owns every object and buffer and keeps it alive, at its place, for as long as
 *    an object that was given it is in use. Objects hold no pointers into themselves: they may be placed anywhere,
 *    but not moved while in use.
 *  - An object is a `struct gw_x`; what the caller fills is a `struct gw_x_config`, a `struct gw_x_facts` or a seam (a
 *    const struct of functions with a `ctx` that is handed back unchanged). All-zero is a valid, safe value of each
 *    field unless its comment says otherwise.
 *  - Functions return GW_OK (0), a positive status where their comment names one, or a negative GW_ERR_*. Results are
 *    written only when the function succeeds, unless its comment says otherwise.
 *  - Pointers are not NULL unless a comment says "may be NULL". Sizes are bytes.
 *  - One object is used by one thread at a time; different objects may be used by different threads, if the seams
 *    they were given allow it.
 *  - Numbers on flash and on the wire outside CBOR are big-endian, written field by field.
 *  - From the C library the compiler's own four are needed: memcpy, memmove, memset, memcmp.
 *
 * A *reason* is the positive value of an error: devices report it, servers store it, dashboards show it. The numbers
 * never change their meaning (SPEC.md, section 12).
 */
#ifndef GODWIT_GODWIT_H
#define GODWIT_GODWIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "godwit/gw_config.h"

#define GW_VERSION 0x000100 /* of the library: 0x00MMmmpp */

/* Errors: X(NAME, reason, what happened and what to do). */
#define GW_ERRORS(X)                                                                                                   \
    /* 1..31: nothing is decided; the same may work later. */                                                         \
    X(AGAIN, 1, "not ready yet; call again")                                                                           \
    X(FLASH_READ, 2, "flash could not be read; read again, or replace the part")                                       \
    X(FLASH_WRITE, 3, "flash could not be written; the block may be worn out")                                         \
    X(FLASH_ERASE, 4, "flash could not be erased; the block may be worn out")                                          \
    X(FLASH_VERIFY, 5, "flash holds something else than was written; the block may be worn out")                       \
    X(TRANSPORT, 6, "the connection failed; it is tried again")                                                        \
    X(TIMEOUT, 7, "no answer in time; it is tried again")                                                              \
    X(CRYPTO, 8, "the cryptographic library failed; this is no verdict on the data")                                   \
    X(SPACE, 9, "a buffer given by the caller is too small")                                                           \
    X(CERT_EXPIRED, 10, "the server's certificate has expired, or the clock is wrong")                                 \
    X(CERT_EARLY, 11, "the server's certificate is not valid yet, or the clock is wrong")                              \
    X(CERT_UNKNOWN, 12, "the server's certificate comes from no CA that is trusted here, or from itself")              \
    X(CERT_NAME, 13, "the server's certificate is for another host")                                                   \
    X(CERT_PURPOSE, 14, "the certificate may not be used for a server, or its CA not as a CA")                         \
    X(CERT_REVOKED, 15, "the server's certificate is revoked")                                                         \
    X(CERT_PIN, 16, "no CA in the server's chain is pinned by the trust bundle")                                       \
    X(TLS, 17, "the TLS handshake or a record failed; it is tried again")                                              \
    X(HTTP, 18, "an answer that is not HTTP/1.1 as SPEC.md asks for")                                                  \
    X(HTTP_STATUS, 19, "the server answered with a status that is no answer; see its log")                             \
    X(RANGE, 20, "the server sent other bytes than were asked for; it must serve ranges")                              \
    X(REDIRECT, 21, "the server points to a host that the trust bundle does not name")                                 \
    X(BUDGET, 22, "the day's budget of attempts or bytes is used up; it goes on tomorrow")                             \
    X(LINK_TRUST, 23, "fetched without trust in the server, by policy; what came is checked all the same")             \
    /* 32..47: refused, the bytes are not what SPEC.md says. */                                                       \
    X(FORMAT, 32, "not the deterministic CBOR that SPEC.md asks for")                                                  \
    X(TRUNCATED, 33, "the object ends too early; fetch it again")                                                      \
    X(TRAILING, 34, "bytes follow the end of the object")                                                              \
    X(UNKNOWN_KEY, 35, "a critical map key is unknown; newer firmware may be needed first")                            \
    X(LIMIT, 36, "larger than this build allows (gw_config.h)")                                                        \
    X(VERSION, 37, "a format version that this build does not know")                                                   \
    X(VALUE, 38, "a value outside its range")                                                                          \
    /* 48..63: refused, signatures and trust. */                                                                      \
    X(SIGNATURE, 48, "a signature is wrong: the object was altered, or is of another type")                            \
    X(SIGNERS_FEW, 49, "fewer valid signatures than the policy asks for; sign with the missing roles")                 \
    X(SIGNER_TWICE, 50, "one key signed twice; each signature needs a key of its own")                                 \
    X(KEY_UNKNOWN, 51, "signed by a key that the trust bundle does not hold")                                          \
    X(KEY_REVOKED, 52, "signed by a revoked key; sign again with a current key")                                       \
    X(KEY_ROLE, 53, "signed by a key without the role that is needed")                                                 \
    X(ALGORITHM, 54, "the algorithm is not the one bound to the key, or is unknown")                                   \
    X(KEY_WEAK, 55, "a key is too short or malformed")                                                                 \
    X(TRUST_OLDER, 56, "the trust bundle is not newer than the one in use")                                            \
    X(TRUST_MISSING, 57, "no valid trust bundle on the device; provision one")                                         \
    X(ROOTS_FEW, 58, "fewer valid root signatures than needed")                                                        \
    /* 64..79: refused, not for this device or not now. */                                                            \
    X(VENDOR, 64, "made for another vendor's devices")                                                                 \
    X(CLASS, 65, "made for another class of device")                                                                   \
    X(DEVICE, 66, "made for other devices of this class")                                                              \
    X(DEPENDENCY, 67, "needs another hardware, bootloader or installed version")                                       \
    X(OLDER, 68, "not newer than what is installed")                                                                   \
    X(FLOOR, 69, "below the floor: a confirmed release forbade going back so far")                                     \
    X(FLOOR_ABOVE, 70, "asks for a floor above its own sequence number")                                               \
    X(EXPIRED, 71, "its use-before time has passed")                                                                   \
    X(WITHDRAWN, 72, "withdrawn by the channel head")                                                                  \
    X(REJECTED_BEFORE, 73, "this device tried it before and went back")                                                \
    X(EPOCH, 74, "its epoch is not the one of the trust bundle")                                                       \
    X(HEAD_OLDER, 75, "a channel head older than one seen before; the server may be withholding")                      \
    X(HEAD_OTHER, 76, "a channel head of another class or channel")                                                    \
    X(HEAD_BEHIND, 77, "the release is newer than its channel head; publish a new head")                               \
    X(HEAD_MISSING, 78, "no channel head came with the release, and this device insists on one")                       \
    X(HEAD_STALE, 79, "the channel head is older than this device accepts; publish a fresh one")                       \
    /* 80..95: refused by the plan. */                                                                                \
    X(NO_VARIANT, 80, "no variant is linked for the free slot")                                                        \
    X(NO_PAYLOAD, 81, "no payload that this device can use")                                                           \
    X(SLOT_SMALL, 82, "the image is larger than its place")                                                            \
    X(ENCODING, 83, "an encoding that this device cannot decode")                                                      \
    X(CIPHER, 84, "a cipher that this device does not have")                                                           \
    X(PRECURSOR, 85, "a delta from another image than the installed one")                                              \
    X(DECODER_RAM, 86, "decoding needs more RAM than this device has")                                                 \
    X(FRAME_SIZE, 87, "frames larger than this device's buffer")                                                       \
    X(COMPONENT, 88, "a component that this device has no place for")                                                  \
    X(NO_KEY, 89, "no key grant for this device; make one with `godwit release grant`")                                \
    X(KEY_CHECK, 90, "the granted key is not the one of this release")                                                 \
    /* 96..111: refused while installing. */                                                                          \
    X(FRAME_HASH, 96, "a frame is not what was signed; it is fetched again")                                           \
    X(PAYLOAD_LONG, 97, "the payload is longer than signed")                                                           \
    X(PAYLOAD_SHORT, 98, "the payload is shorter than signed")                                                         \
    X(IMAGE_DIGEST, 99, "the installed image is not what was signed")                                                  \
    X(DECODE, 100, "the payload does not decode")                                                                      \
    X(OFFSET, 101, "bytes from another offset than was wanted")                                                        \
    X(SOURCE, 102, "several bad frames in a row: the source of the payload is wrong; try another")                     \
    /* 112..127: called at the wrong time. */                                                                         \
    X(STATE, 112, "called out of order")                                                                               \
    X(NOT_CONFIRMED, 113, "the running image is not confirmed; confirm it first")                                      \
    X(NOTHING, 114, "there is nothing of that kind")                                                                   \
    X(VETO, 115, "the application declined for now")                                                                   \
    /* 128..143: why an image was left (also as reasons without an error). */                                         \
    X(TRIES_USED, 128, "the new image did not confirm within its attempts; went back")                                 \
    X(CRASH_LOOP, 129, "the confirmed image kept crashing; went back")                                                 \
    X(SELF_TEST, 130, "the new image's self-test failed; went back")                                                   \
    X(CONFIRM_LATE, 131, "the new image did not confirm in time; went back")                                           \
    X(NO_IMAGE, 132, "nothing bootable was found; recovery is needed")                                                 \
    X(JOURNAL_LOST, 133, "the journal was lost; state was rebuilt from the images")                                    \
    /* 160..: fatal, the product is built or wired wrongly. */                                                        \
    X(CONFIG, 160, "a required function or field of a port is missing")                                                \
    X(LAYOUT, 161, "the flash layout does not fit its geometry; see `godwit layout check`")                            \
    X(JOURNAL_FULL, 162, "the journal is too small for its records")

enum gw_error {
    GW_OK = 0,
#define GW_ERROR_(name, reason, text) GW_ERR_##name = -(reason),
    GW_ERRORS(GW_ERROR_)
#undef GW_ERROR_
};

/* Statuses of functions that work in steps. */
#define GW_MORE 1 /* something was done; call again */
#define GW_WANT 2 /* waiting for bytes: ask gw_install_want(), then push them */
#define GW_DONE 3 /* finished */

#if defined(__GNUC__) || defined(__clang__)
#define GW_MUST_USE __attribute__((warn_unused_result))
#else
#define GW_MUST_USE
#endif

#define GW_DIGEST_SIZE 32u
#define GW_UUID_SIZE 16u
#define GW_DEVICE_ID_MAX 48u /* [A-Za-z0-9_-]{1,48} */

/* Bytes that somebody else owns. */
struct gw_span {
    const uint8_t *p; /* may be NULL when n is 0 */
    size_t n;
};

/* Order of releases: (epoch, sequence), compared in that order. */
struct gw_order {
    uint32_t epoch;
    uint32_t sequence;
};

/* <0, 0, >0 as a is before, the same as, or after b. */
int gw_order_compare(struct gw_order a, struct gw_order b);

/* One sentence on an error or reason (either sign): what happened and what to do. Never NULL. Linked only if used. */
const char *gw_strerror(int error);
/* The name of an error or reason, "FRAME_HASH"; "UNKNOWN" for a number that has none. Never NULL. */
const char *gw_error_name(int error);

/* Compares secrets: the time depends on n alone. */
GW_MUST_USE bool gw_equal(const void *a, const void *b, size_t n);
/* Overwrites n bytes; not optimized away. */
void gw_wipe(void *p, size_t n);

#endif
