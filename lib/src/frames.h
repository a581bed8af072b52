/*
 * frames.h - the chain of frames (SPEC.md, section 5): bytes come in, whole checked frames come out.
 */
#ifndef GW_FRAMES_H
#define GW_FRAMES_H

#include "godwit/install.h"

/* Starts at frame number `frame`, whose SHA-256 is `expect`. */
void gw_frames_start(struct gw_frames *f, const struct gw_payload *p, uint32_t frame, const uint8_t expect[32]);
/* Bytes of the current frame in the payload file, hash included; 0 behind the last one. */
uint32_t gw_frames_length(const struct gw_frames *f);
/* Offset of the next byte in the payload file. */
uint32_t gw_frames_offset(const struct gw_frames *f);
bool gw_frames_complete(const struct gw_frames *f); /* the whole current frame is in the buffer */
/* Takes bytes into `buffer`, which holds a frame; how many. */
size_t gw_frames_push(struct gw_frames *f, uint8_t *buffer, const uint8_t *bytes, size_t n);
/*
 * Checks the complete frame in `buffer` and moves on: `content` views its ciphertext. GW_ERR_FRAME_HASH: it was
 * dropped and is wanted again.
 */
GW_MUST_USE int gw_frames_check(struct gw_frames *f, const struct gw_crypto *crypto, const uint8_t *buffer,
                                struct gw_span *content);

#endif
