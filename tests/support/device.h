/*
 * device.h - a whole simulated device for tests: flash that fails (flashsim), keys, bundles, releases, and the few
 * things that an application does: boot, install, confirm, take a bundle.
 *
 * Everything that the code under test keeps in RAM is in this struct and is spoiled by every restart: what survives
 * is on the flash. Cuts leave by longjmp to sim.out; nothing here needs to be unwound.
 */
#ifndef TEST_DEVICE_H
#define TEST_DEVICE_H

#include "fastcodec.h"
#include "fastcrypto.h"
#include "flashsim.h"
#include "godwit/install.h"
#include "keys.h"

enum simdev_erase { SIMDEV_1K, SIMDEV_4K, SIMDEV_64K, SIMDEV_MIXED, SIMDEV_BIG, SIMDEV_ERASES };

struct simdev_config {
    enum simdev_erase erase; /* geometry: SIMDEV_BIG has room for images of 1 MB in blocks of 4 KB */
    uint32_t write_size;     /* 1..32 */
    uint8_t erased;          /* 0xff or 0x00 */
    bool ecc;
    bool extended;           /* with a factory image */
    bool data;               /* with a data component */
    bool real;               /* real cryptography (OpenSSL) */
    bool signs;              /* the identity has a key that signs reports; not with `real` */
    uint32_t frame_size;     /* 0: 512 */
    uint32_t image_size;     /* 0: 5000 */
};

#define SIMDEV_UNIT 512u /* restart unit of encoded payloads */
#define SIMDEV_DATA_COMPONENT 7u
#define SIMDEV_FACTORY_SIZE 1500u

/* A release with all that belongs to it. */
struct simdev_release {
    struct gwh_buf manifest, grant;
    struct gwh_buf image[2]; /* 0 bootable, 1 data */
    struct gwh_buf file[3];  /* payloads of them; 2: raw, of the bootable one, behind an encoded one */
    uint8_t name[3][32];
    uint8_t digest[32];
    uint32_t sequence, floor;
};
struct simdev_wish {
    uint32_t sequence, floor;
    uint32_t data;   /* which data image, when the device has a data component; images of one number are equal */
    uint32_t author; /* which key signs: 0 or 1 */
    bool encrypted;
    bool linked;     /* two variants, one for each slot */
    bool coded;      /* the bootable payload is encoded (fastcodec), a raw one stands behind it in the list */
    const struct simdev_release *from; /* coded: a delta from its image; NULL: full */
    uint32_t padding;                  /* coded: bytes of nothing in each unit */
    struct gw_span image, content; /* coded: the image, and what encodes it, made elsewhere; n 0: made here */
    uint32_t decoder_ram;
    /* coded: what is wrong with it */
    enum { SIMDEV_RIGHT, SIMDEV_OTHER_ISA, SIMDEV_CUT_SHORT, SIMDEV_TOO_LONG, SIMDEV_NONSENSE } spoil;
};

struct simdev_key {
    struct fastcrypto_key fast;
    struct gwh_key real;
    struct gwh_signer signer;
};

/* What survives nothing: RAM. */
struct simdev_ram {
    struct gw_journal journal;
    struct gw_install inst;
    struct gw_install_config install;
    struct gw_release offer;
    uint8_t memory[GW_VERIFY_MEMORY];
    uint8_t buffer[GW_INSTALL_BUFFER];
    struct gw_decoding decoding;
    uint64_t decoder[sizeof(struct gw_patch) / 8 + 4];
};

struct simdev {
    struct simdev_config config;
    struct flashsim sim;
    struct gw_layout layout;
    struct gw_data_areas data;
    const struct gwh_crypto *crypto;
    struct gw_device dev;
    struct simdev_key root[2], author[2], approver, distributor, own;
    struct gwh_buf identity, trust[3]; /* 0: version 1; 1: version 2; 2: version 2 that revokes author 0 */
    struct gwh_buf factory;
    uint8_t kek[16], cek[16];

    /* What the last boot said. */
    int booted;
    struct gw_handover handover;
    bool watchdog;
    struct gw_image image;
    uint64_t fetched;    /* payload bytes pushed, ever */
    uint64_t taken_over; /* payload bytes that installs found there already, when they were opened, ever */

    const struct gw_decoding *decoding; /* NULL: fastcodec */
    struct simdev_ram ram;
};

void simdev_init(struct simdev *d, const struct simdev_config *config);
void simdev_free(struct simdev *d);
/* Writes identity, bundle and factory image, as the factory does. The journal stays blank. */
void simdev_provision(struct simdev *d);
/* Puts a release into a slot without an install, as the factory does. */
void simdev_preload(struct simdev *d, const struct simdev_release *r, enum gw_slot slot);

void simdev_release(struct simdev *d, struct simdev_release *r, const struct simdev_wish *wish);
void simdev_release_free(struct simdev_release *r);

/* RAM is lost. */
void simdev_forget(struct simdev *d);
/* Bootloader: RAM is lost, then gw_boot_run(). The result is in `booted`, `handover`, `watchdog`. */
int simdev_boot(struct simdev *d, enum gw_cause cause);
/* Application: mounts. */
int simdev_mount(struct simdev *d);
/* Begins an install, as the running image. */
int simdev_open(struct simdev *d, const struct simdev_release *r);
/* Goes on until done (GW_DONE: staged), an error, or `frames` frames were pushed (GW_MORE). frames 0: no end. */
int simdev_go_on(struct simdev *d, const struct simdev_release *r, uint32_t frames);
/* Both. */
int simdev_install(struct simdev *d, const struct simdev_release *r, uint32_t frames);
int simdev_trust(struct simdev *d, unsigned which, bool *pending);

/* Is the release whole in this slot, byte by byte, as the flash reads now? */
bool simdev_holds(struct simdev *d, const struct simdev_release *r, enum gw_slot slot);
/* The version of the bundle in use; 0: none. */
uint32_t simdev_trust_version(struct simdev *d);

#endif
