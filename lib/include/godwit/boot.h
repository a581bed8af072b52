/*
 * boot.h - which image starts: the state of the slots, one pure decision, verification, the hand-over.
 *
 * States of a slot (SPEC.md, section 10; the diagram is drawn from the table in lib/src/decide.c):
 *
 *    EMPTY --stage--> STAGED --first boot--> TRYING --confirm--> CONFIRMED --newer confirmed--> PREVIOUS
 *                                              | attempts used up, or refused
 *                                              v
 *                                           REJECTED
 */
#ifndef GODWIT_BOOT_H
#define GODWIT_BOOT_H

#include "godwit/flash.h"
#include "godwit/manifest.h"

enum gw_state {
    GW_EMPTY = 0,
    GW_STAGED = 1,
    GW_TRYING = 2,
    GW_CONFIRMED = 3,
    GW_PREVIOUS = 4,
    GW_REJECTED = 5,
};

enum gw_cause {
    GW_CAUSE_UNKNOWN = 0,
    GW_CAUSE_POWER = 1,      /* power-on or brown-out */
    GW_CAUSE_WATCHDOG = 2,
    GW_CAUSE_FAULT = 3,      /* trap, panic, assertion */
    GW_CAUSE_SOFTWARE = 4,   /* the application asked for it */
    GW_CAUSE_PIN = 5,        /* a person pressed reset, a debugger */
    GW_CAUSE_DEEP_SLEEP = 6, /* wake-up; RAM was off */
};

/* What a check of a slot said. The values differ in many bits: one flipped bit makes none of the others. */
enum gw_verdict {
    GW_VERDICT_UNKNOWN = 0,      /* not looked at yet */
    GW_VERDICT_OK = 0x5a3c,
    GW_VERDICT_BAD = 0x3ac5,     /* not the signed image, or not for this device */
    GW_VERDICT_UNREADABLE = 0x69d2,
};

/* One slot, as the journal keeps it. */
struct gw_slot_state {
    uint8_t state;                  /* enum gw_state */
    uint8_t weight;                 /* TRYING: quarters of attempts used; CONFIRMED: quarters of crashes */
    uint8_t reason;                 /* REJECTED: why */
    struct gw_order order;          /* of the release in it */
    uint32_t floor;                 /* that its manifest asks for */
    uint8_t digest[GW_DIGEST_SIZE]; /* of its manifest */
};

/* All that a boot decision rests on; one journal record. */
struct gw_boot_state {
    struct gw_slot_state slot[2];
    struct gw_order floor;
    uint8_t last;          /* enum gw_slot: started by the last boot; GW_SLOT_NONE at first */
    uint8_t trust_active;  /* 0 or 1: the trust area in use */
    uint8_t trust_pending; /* 1: the other area holds a bundle that takes effect with the next confirm */
    uint8_t reason;        /* of the last time an image was left; 0: never */
};

/* What boot does next. */
enum gw_action {
    GW_ACTION_VERIFY = 1,   /* check `slot`, put the verdict in, decide again */
    GW_ACTION_START = 2,    /* record `state` if it changed, then start `slot` */
    GW_ACTION_RECOVERY = 3, /* nothing to start: the bootloader's own recovery */
};
struct gw_decision {
    enum gw_action action;
    enum gw_slot slot;
    bool recovery;             /* start as recovery: the factory image, because nothing else is bootable */
    bool watchdog;             /* the image is on trial: start the watchdog first */
    bool changed;              /* `state` differs from what was given */
    struct gw_boot_state state;
};

/*
 * Pure. `verdict` is indexed by enum gw_slot (A, B, factory). Has no effect but on `decision`.
 * A factory slot that a device does not have gets GW_VERDICT_BAD.
 */
void gw_boot_decide(const struct gw_boot_state *state, enum gw_cause cause, const enum gw_verdict verdict[3],
                    struct gw_decision *decision);

/*
 * The interface between installer, application and whoever keeps the state of the slots: Godwit's journal here
 * (gw_boot_native); ESP-IDF's otadata or MCUboot's trailer in ports that live with a foreign bootloader.
 * Each call is atomic and durable when it returns 0.
 */
struct gw_boot_ops {
    void *ctx;
    int (*state)(void *ctx, struct gw_boot_state *state);
    /* The slot is about to be overwritten: EMPTY from here on. */
    int (*clear)(void *ctx, enum gw_slot slot);
    /* The slot holds a verified image: STAGED. */
    int (*stage)(void *ctx, enum gw_slot slot, const struct gw_slot_state *release);
    /* The TRYING slot becomes CONFIRMED, the older one PREVIOUS; the floor rises; a pending bundle takes effect. */
    int (*confirm)(void *ctx);
    /* The TRYING slot becomes REJECTED; the next boot starts another. */
    int (*reject)(void *ctx, uint8_t reason);
    /* The CONFIRMED image has run well for long enough: its crashes are forgotten. Writes only if there were any. */
    int (*steady)(void *ctx);
};

/* Where the library keeps its journal and what it has read from it; one for each device. Opaque. */
#define GW_JOURNAL_KINDS 12u
struct gw_journal {
    const struct gw_flash *flash;
    struct gw_area bank[2];
    uint32_t generation;                 /* of the bank in use */
    uint32_t next;                       /* address of the next record; 0: this session has begun no bank yet */
    uint32_t at[GW_JOURNAL_KINDS];       /* address of the newest record of a kind; 0: none */
    uint8_t current;                     /* bank in use */
    uint8_t dirty;                       /* records were written since it was settled */
    uint8_t lost;                        /* nothing valid was found when it was mounted */
    uint32_t erases;                     /* by this object, for wear reports */
};

/* All that the library needs to know of a device: seams and places. Lives as long as what uses it. */
struct gw_device {
    const struct gw_flash *flash;
    const struct gw_crypto *crypto;
    const struct gw_layout *layout;
    struct gw_journal *journal;       /* mounted by gw_device_mount() */
    const struct gw_boot_ops *boot;   /* NULL: Godwit's own, in the journal */
    const struct gw_keystore *keys;   /* NULL: the keys in the identity object */
    uint32_t bootloader;              /* version of the bootloader, for dependencies */
};

/*
 * Checks the device's description and mounts its journal: finds the newest records, writes what an interruption left
 * in doubt afresh. Writes only if there is doubt. A lost journal is not an error: journal->lost says so.
 */
GW_MUST_USE int gw_device_mount(const struct gw_device *dev);

/*
 * State of the slots as the device's boot ops tell it. GW_ERR_NOTHING: the journal was lost, and nothing has booted
 * since.
 */
GW_MUST_USE int gw_device_state(const struct gw_device *dev, struct gw_boot_state *state);

/*
 * For applications, through dev->boot: confirm the running image on trial; give it up, because of GW_ERR_SELF_TEST,
 * GW_ERR_CONFIRM_LATE or another of 128..131 (either sign), else GW_ERR_VALUE; it has run well for a while.
 */
GW_MUST_USE int gw_device_confirm(const struct gw_device *dev);
GW_MUST_USE int gw_device_reject(const struct gw_device *dev, int reason);
GW_MUST_USE int gw_device_steady(const struct gw_device *dev);

/*
 * Checks what is in a slot: manifest (signatures by the policy of the bundle that applies to the slot, vendor, class,
 * device, floor) and the digests of all its components; the factory image by its digest in the identity. Reads twice
 * before it condemns. `memory` is used for identity, bundle and manifest in turn: at least GW_VERIFY_MEMORY bytes.
 * On GW_VERDICT_OK `m` (may be NULL for the factory alone) views the manifest in `memory`. `reason` (may be NULL):
 * an error, or 0.
 */
#define GW_VERIFY_MEMORY (GW_TRUST_MAX + GW_MANIFEST_MAX)
enum gw_verdict gw_slot_verify(const struct gw_device *dev, const struct gw_boot_state *state, enum gw_slot slot,
                               uint8_t *memory, size_t size, struct gw_manifest *m, int *reason);

/* What the bootloader tells the image that it starts; 16 bytes on the wire, see gw_handover_encode(). */
struct gw_handover {
    uint8_t slot;     /* enum gw_slot */
    uint8_t state;    /* enum gw_state of that slot */
    uint8_t attempt;  /* TRYING: quarters of attempts used before this one */
    uint8_t recovery; /* 1: nothing else was bootable */
    uint8_t cause;    /* enum gw_cause */
    uint8_t reason;   /* why the image before was left; 0: it was not */
    uint32_t bootloader;
};
#define GW_HANDOVER_SIZE 16u
void gw_handover_encode(const struct gw_handover *h, uint8_t bytes[GW_HANDOVER_SIZE]);
GW_MUST_USE int gw_handover_decode(struct gw_handover *h, const uint8_t bytes[GW_HANDOVER_SIZE]);

/* The image that boot chose: what a board that runs images from RAM copies there, and what the copy must hash to. */
struct gw_image {
    uint32_t address;               /* of its first byte, in flash */
    uint32_t size;
    uint8_t digest[GW_DIGEST_SIZE]; /* SHA-256 that was signed, or that the identity holds for the factory image */
};

/*
 * The whole of boot up to the jump: mount, decide, verify, record. The device's description is taken as it is: check
 * it with gw_device_mount() or gw_layout_check() when the product is made. GW_OK: start h->slot (watchdog first if
 * *watchdog). GW_ERR_NO_IMAGE: recovery. Other errors: the flash failed; recovery, and say so. `memory`:
 * GW_VERIFY_MEMORY bytes. `image` (may be NULL) is written with GW_OK.
 */
GW_MUST_USE int gw_boot_run(const struct gw_device *dev, enum gw_cause cause, uint8_t *memory, size_t size,
                            struct gw_handover *h, bool *watchdog, struct gw_image *image);

/* Copies n bytes of flash to `to`, and hashes the copy: what runs is what was checked. GW_ERR_IMAGE_DIGEST. */
GW_MUST_USE int gw_image_load(const struct gw_device *dev, const struct gw_image *image, void *to, size_t room);

/*
 * A newer trust bundle: verified against the roots, written to the free area, read back, switched to. If it would
 * refuse the running confirmed image it is kept as pending (*pending = true) and takes effect when an image is
 * confirmed that it accepts. `memory`: GW_VERIFY_MEMORY bytes. GW_ERR_TRUST_OLDER if it is not newer (or the same:
 * GW_DONE).
 */
GW_MUST_USE int gw_trust_update(const struct gw_device *dev, const uint8_t *cose, size_t n, uint8_t *memory,
                                size_t size, bool *pending);

#endif
