/*
 * install.h - takes a release into the free slot: open, want / push / poll, finish.
 *
 *    gw_install_open(&inst, &config, &release)
 *    while ((status = gw_install_poll(&inst)) != GW_DONE) {
 *        if (status == GW_WANT) { gw_install_want(&inst, &want); fetch up to want.longest bytes at want.offset;
 *                                 gw_install_push(&inst, bytes, n, &used); }
 *        else if (status < 0) ...
 *    }
 *    gw_install_finish(&inst)                  the slot is STAGED: restart
 *
 * An HTTP range, a CoAP block, an MQTT chunk, a serial line are all the same to it. Each poll does one bounded unit of
 * work: one erase, or one write of at most a frame, and its journal record. After an interruption at any moment the
 * same calls continue where it stopped: at most one frame is asked for again.
 *
 * An encoded payload (patch.h) is *staged* when it fits into the room that the image leaves in its slot: stored there
 * frame by frame, then decoded from there. Otherwise it is *streamed*, decoded as it comes, and an interruption goes
 * back to the last restart unit.
 */
#ifndef GODWIT_INSTALL_H
#define GODWIT_INSTALL_H

#include "godwit/boot.h"
#include "godwit/patch.h"

/* Working memory: one frame with its hash; or identity and trust bundle while the manifest is being checked. */
#define GW_INSTALL_BUFFER_MIN (GW_TRUST_MAX + GW_IDENTITY_MAX)
#define GW_INSTALL_BUFFER (GW_FRAME_MAX + GW_DIGEST_SIZE)
#define GW_INSTALL_OUT 256u /* decoded bytes that are collected before they are written */

/*
 * How encoded payloads are decoded. A device that names gw_patch_codec links the decoder (patch.h), another does not.
 * room: bytes of gw_decoding.memory for a profile; ram: what payloads of that profile ask for in the manifest.
 */
struct gw_codec {
    uint32_t (*room)(uint32_t profile);
    uint32_t (*ram)(uint32_t profile);
    int (*header)(struct gw_patch_header *h, const uint8_t *p, size_t n, size_t *used);
    int (*open)(struct gw_patch *p, const struct gw_patch_config *config);
    int (*open_at)(struct gw_patch *p, const struct gw_patch_config *config, const uint8_t *header, size_t n,
                   uint32_t new_at, uint32_t patch_at);
    int (*push)(struct gw_patch *p, const uint8_t *bytes, size_t n, size_t *used);
    int (*poll)(struct gw_patch *p, uint8_t *out, size_t room, size_t *n);
    uint32_t (*next)(const struct gw_patch *p);
};
extern const struct gw_codec gw_patch_codec;

/* What a device has for encoded payloads. */
struct gw_decoding {
    const struct gw_codec *codec;     /* &gw_patch_codec */
    void *memory;                     /* codec->room() bytes for the largest profile it takes; 8-byte aligned */
    size_t size;
    const struct gw_isa *const *isas; /* instruction sets of its images, see patch.h; each links its own code */
};

struct gw_install_config {
    const struct gw_device *dev;
    uint8_t *buffer;      /* at least GW_INSTALL_BUFFER_MIN bytes and a frame + 32; decides the largest frame */
    size_t buffer_size;
    uint32_t now;         /* seconds since 1970; 0: not known */
    bool recovery;        /* the running image is the factory image, or the bootloader's recovery */
    enum gw_slot running; /* the slot that runs, from the hand-over; GW_SLOT_FACTORY, or _NONE for the bootloader */
    const struct gw_decoding *decoding; /* NULL: this device takes raw payloads alone, and links no decoder */
    bool head_required;     /* without a channel head: GW_ERR_HEAD_MISSING */
    uint32_t head_age_s;    /* heads issued longer ago than that, by `now`: GW_ERR_HEAD_STALE; 0: any age */
    struct gw_span channel; /* heads of another channel: GW_ERR_HEAD_OTHER; n 0: any */
    /* Told of everything in the manifest that was passed over, and why. May be NULL. */
    void (*passed)(void *ctx, uint32_t component, uint32_t variant, uint32_t payload, int reason);
    void *ctx;
};

/*
 * What was offered. The manifest's bytes must stay until the install is finished or aborted; the others until open
 * returns.
 */
struct gw_release {
    struct gw_span manifest;
    struct gw_span grant[GW_GRANTS_MAX];
    uint32_t grant_count;
    struct gw_span head; /* n 0: none */
};

struct gw_want {
    uint8_t payload[GW_DIGEST_SIZE]; /* name of the payload file */
    uint32_t offset;                 /* of the next byte in it */
    uint32_t longest;                /* bytes from there that are of use: the rest of the payload */
    uint32_t frame;                  /* bytes that complete the current frame */
};

/* Progress, for people. */
struct gw_progress {
    uint32_t done;  /* payload bytes checked and written, of all components */
    uint32_t total; /* payload bytes to fetch */
    uint32_t asked_again; /* bytes given up by an interruption or a bad frame, since open */
};

/* A chain of frames being received (SPEC.md, section 5). Opaque. */
struct gw_frames {
    uint8_t expect[GW_DIGEST_SIZE]; /* SHA-256 of the next frame */
    uint32_t size;                  /* of the payload file */
    uint32_t frame_size;            /* ciphertext in a full frame */
    uint32_t frame;                 /* frames that were checked */
    uint32_t held;                  /* bytes of the current one in the buffer */
};

/* An install. Opaque: `sizeof` is printed by `make size`. */
struct gw_install {
    const struct gw_install_config *config;
    struct gw_span manifest_bytes;
    struct gw_manifest manifest;
    struct gw_plan plan;
    struct gw_slot_state release;
    struct gw_variant variant;         /* of the current component */
    struct gw_payload payload;
    struct gw_sha256 hash;
    uint8_t cek[32];
    uint8_t key[32];                   /* of the current payload */
    struct gw_frames frames;
    struct gw_area target;             /* of the current component */
    struct gw_area work;
    struct gw_area manifest_area;
    struct gw_area source;             /* of a copy; the image that a delta was made from */
    struct gw_area stage;              /* spare room behind the image; size 0: none */
    struct gw_patch_config patch;      /* of the decoder */
    uint8_t out[GW_INSTALL_OUT + GW_WRITE_MAX]; /* decoded, not written yet */
    uint8_t frame_hash[GW_DIGEST_SIZE]; /* of the frame in the buffer */
    uint32_t out_n;
    uint32_t goal;                     /* bytes of what is being written: the image, or the stored payload */
    uint32_t stream_at;                /* offset in the payload's content where the decoder goes on after a reset */
    uint8_t phase;                     /* enum gw_install_phase */
    uint8_t decoding;                  /* 0 not begun, 1 begun, 2 done */
    uint8_t precursor_ok;              /* the image that the delta was made from was checked in this session */
    uint32_t state;
    uint32_t step;                     /* which choice of the plan */
    uint32_t written;                  /* bytes of the image */
    uint32_t erased_to;                /* offset in the target that this session has erased up to */
    uint32_t component;                /* id of the current one */
    uint32_t piece_at, piece;          /* checked ciphertext, then plaintext, in the buffer */
    uint32_t position;                 /* of copying, erasing and reading back */
    uint32_t done_before;              /* payload bytes of components that are complete */
    uint32_t asked_again;
    uint32_t salvage;                  /* the work block holds the head of the block being redone */
    uint8_t cek_size;
    uint8_t slot;
    uint8_t refused;                   /* bad frames in a row */
    int error;                         /* first error; latched */
};

/*
 * Verifies manifest, head and grant, makes the plan, finds out what an earlier attempt has left. Writes nothing
 * but the serial of a newer channel head.
 * Errors: all of trust, suitability and plan; GW_ERR_NOT_CONFIRMED.
 */
GW_MUST_USE int gw_install_open(struct gw_install *inst, const struct gw_install_config *config,
                                const struct gw_release *release);

/* What is wanted next. GW_ERR_STATE when nothing is (poll first). */
GW_MUST_USE int gw_install_want(struct gw_install *inst, struct gw_want *want);

/*
 * Takes bytes from want.offset on; *used of them (at least one frame's rest, never past the payload's end). When
 * *used < n, poll before pushing the rest. GW_ERR_PAYLOAD_LONG when bytes come that nobody wants.
 */
GW_MUST_USE int gw_install_push(struct gw_install *inst, const uint8_t *bytes, size_t n, size_t *used);

/* The link said that the payload ends here (a shorter file than signed): GW_ERR_PAYLOAD_SHORT unless it is complete. */
GW_MUST_USE int gw_install_end(struct gw_install *inst);

/*
 * One unit of work. GW_MORE: call again; GW_WANT: push bytes; GW_DONE: call finish. GW_ERR_FRAME_HASH alone is not the
 * end: the frame was dropped and is wanted again. After three in a row: GW_ERR_SOURCE. Errors stay.
 */
GW_MUST_USE int gw_install_poll(struct gw_install *inst);

/* The slot becomes STAGED, in one journal record. The object is wiped. */
GW_MUST_USE int gw_install_finish(struct gw_install *inst);

/* Gives up: `forget` also drops what the journal keeps for continuing. The object is wiped. */
GW_MUST_USE int gw_install_abort(struct gw_install *inst, bool forget);

void gw_install_progress(const struct gw_install *inst, struct gw_progress *progress);

#endif
