/*
 * frames.c - the chain of frames: each is checked against the hash that the one before carried.
 *
 * Keeps true: not a byte of a frame is handed on before its hash was right; memory is one frame, whatever the payload.
 */
#include "frames.h"

#include <string.h>

void gw_frames_start(struct gw_frames *f, const struct gw_payload *p, uint32_t frame, const uint8_t expect[32])
{
    *f = (struct gw_frames){ .size = p->size, .frame_size = p->frame_size, .frame = frame };
    memcpy(f->expect, expect, GW_DIGEST_SIZE);
}

/* Where the current frame starts; without overflow, because a payload's size is 32 bits. */
static uint64_t start_of(const struct gw_frames *f)
{
    return (uint64_t)f->frame * (f->frame_size + GW_DIGEST_SIZE);
}

uint32_t gw_frames_length(const struct gw_frames *f)
{
    uint64_t start = start_of(f);

    if (start >= f->size) {
        return 0;
    }
    uint64_t left = f->size - start;
    return left > f->frame_size + GW_DIGEST_SIZE ? f->frame_size + GW_DIGEST_SIZE : (uint32_t)left;
}

uint32_t gw_frames_offset(const struct gw_frames *f)
{
    uint64_t start = start_of(f);

    return start >= f->size ? f->size : (uint32_t)start + f->held;
}

bool gw_frames_complete(const struct gw_frames *f)
{
    uint32_t length = gw_frames_length(f);

    return length != 0 && f->held == length;
}

size_t gw_frames_push(struct gw_frames *f, uint8_t *buffer, const uint8_t *bytes, size_t n)
{
    size_t left = gw_frames_length(f) - f->held;
    size_t used = n < left ? n : left;

    if (used > 0) {
        memcpy(buffer + f->held, bytes, used);
    }
    f->held += (uint32_t)used;
    return used;
}

int gw_frames_check(struct gw_frames *f, const struct gw_crypto *crypto, const uint8_t *buffer, struct gw_span *content)
{
    uint8_t digest[GW_DIGEST_SIZE];
    uint32_t length = gw_frames_length(f);

    int err = gw_sha256(crypto, buffer, length, digest);
    f->held = 0;
    if (err != GW_OK) {
        return err;
    }
    if (!gw_equal(digest, f->expect, sizeof digest)) {
        return GW_ERR_FRAME_HASH;
    }
    bool last = start_of(f) + length >= f->size;
    uint32_t hash = last ? 0 : GW_DIGEST_SIZE;
    memcpy(f->expect, buffer, hash);
    *content = (struct gw_span){ buffer + hash, length - hash };
    f->frame++;
    return GW_OK;
}
