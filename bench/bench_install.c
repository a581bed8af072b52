/*
 * bench_install.c - how much of the speed of the cryptography an install keeps: bytes per CPU second of the install
 * pipeline
 * (frame hash, decryption, flash writes, journal; without the read-back) against AES-CTR and SHA-256 alone over the
 * same bytes.
 *
 * Both sides use the same crypto port in the same run, in interleaved rounds; flash is plain RAM. Printed is the median
 * of the
 * ratios of neighbouring rounds, which does not care how fast or busy the machine is. Exit code 1 below BUDGET.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto_ports.h"
#include "encode.h"
#include "godwit/install.h"
#include "keys.h"
#include "slots.h"

#define BUDGET 0.6 /* of issue 2 */
#define ROUNDS 21u
#define IMAGE (2u << 20)
#define BLOCK 4096u
#define SLOT (IMAGE + 64u * BLOCK)
#define FLASH (5u * BLOCK + 2u * SLOT)

static uint8_t nor[FLASH];
static uint8_t frame[GW_INSTALL_BUFFER];
static struct gw_crypto crypto;
static struct gw_journal journal;

#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        int error_ = (call);                                                                                           \
        if (error_ != 0) {                                                                                             \
            fprintf(stderr, "bench: %s: %s\n", #call, gw_strerror(error_));                                            \
            exit(2);                                                                                                   \
        }                                                                                                              \
    } while (0)

static int nor_read(void *ctx, uint32_t address, void *data, uint32_t n)
{
    (void)ctx;
    memcpy(data, nor + address, n);
    return 0;
}

static int nor_write(void *ctx, uint32_t address, const void *data, uint32_t n)
{
    (void)ctx;
    memcpy(nor + address, data, n);
    return 0;
}

static int nor_erase(void *ctx, uint32_t address)
{
    (void)ctx;
    memset(nor + address, 0xff, BLOCK);
    return 0;
}

static const struct gw_flash_region region = {0, FLASH / BLOCK, BLOCK};
static const struct gw_flash flash = {
    .regions = &region, .region_count = 1, .write_size = 4, .erased = 0xff,
    .read = nor_read, .write = nor_write, .erase = nor_erase,
};
static const struct gw_layout layout = {
    .identity = {0, BLOCK},
    .trust = {{BLOCK, BLOCK}, {2 * BLOCK, BLOCK}},
    .journal = {3 * BLOCK, 2 * BLOCK},
    .slot = {{5 * BLOCK, SLOT}, {5 * BLOCK + SLOT, SLOT}},
};
static const struct gw_device device = {
    .flash = &flash, .crypto = &crypto, .layout = &layout, .journal = &journal, .bootloader = 1,
};

/*
 * ---- One device and one release, in memory
 * ------------------------------------------------------------------------
 */

struct release {
    struct gwh_buf manifest, grant, payload;
};

static const uint8_t kek[16] = "a bench-only key";
static const struct gw_span kek_id = {(const uint8_t *)"kek", 3};

static void store(struct gw_area area, const struct gwh_buf *object)
{
    for (uint32_t at = 0; at < area.size; at += BLOCK) {
        nor_erase(NULL, area.start + at);
    }
    MUST(gw_store_write(&flash, area, object->p, (uint32_t)object->n));
}

static void provision(struct gwh_key root[2], const struct gwh_key *author)
{
    struct gwh_buf identity = {0}, map = {0}, trust = {0};
    struct gwh_secret secret = {kek_id, {kek, sizeof kek}};
    struct gw_pubkey key = author->pub, roots[2] = {root[0].pub, root[1].pub};
    struct gwh_signer signer;
    struct gwh_identity id = {.device_id = "bench", .roots = roots, .root_count = 2, .threshold = 1,
                              .keks = &secret, .kek_count = 1};
    struct gwh_trust bundle = {.version = 1, .epoch = 1, .keys = &key, .key_count = 1};
    key.roles = GW_ROLE_AUTHOR;
    MUST(gwh_identity_encode(&identity, &id));
    MUST(gwh_trust_map(&map, &bundle));
    gwh_key_signer(&signer, root);
    MUST(gwh_sign_map(&trust, &crypto, "godwit/trust/1", gwh_span(&map), &signer, 1));
    store(layout.identity, &identity);
    store(layout.trust[0], &trust);
    store(layout.trust[1], &trust);
    gwh_buf_free(&identity);
    gwh_buf_free(&map);
    gwh_buf_free(&trust);
}

/* The first boot finds no image, and starts the journal. */
static void first_boot(void)
{
    static uint8_t memory[GW_VERIFY_MEMORY];
    struct gw_handover handover;
    bool watchdog;
    int error = gw_boot_run(&device, GW_CAUSE_POWER, memory, sizeof memory, &handover, &watchdog, NULL);
    MUST(error == GW_ERR_NO_IMAGE ? 0 : error);
}

static void make_release(struct release *r, struct gwh_key *author)
{
    uint8_t cek[16], check[8], *bytes;
    struct gwh_buf image = {0}, map = {0};
    struct gw_payload payload = {.frame_size = 4096, .cipher = GW_ALG_A128CTR};
    struct gwh_variant variant = {.size = IMAGE, .payloads = &payload, .payload_count = 1};
    struct gwh_component component = {0, GW_KIND_BOOTABLE, &variant, 1};
    struct gwh_manifest spec = {.epoch = 1, .sequence = 1, .version = "1", .components = &component,
                                .component_count = 1, .key_check = check};
    struct gwh_recipient to = {.algorithm = GW_ALG_A128KW, .kid = kek_id, .kek = {kek, sizeof kek}};
    struct gwh_grant grant = {.cipher = payload.cipher, .cek = {cek, 16}, .recipients = &to, .recipient_count = 1};
    struct gwh_signer signer;

    memset(cek, 7, sizeof cek);
    MUST(gwh_buf_grow(&image, IMAGE, &bytes));
    for (uint32_t i = 0; i < IMAGE; i++) {
        bytes[i] = (uint8_t)(i * 2654435761u >> 24);
    }
    MUST(gw_sha256(&crypto, bytes, IMAGE, variant.digest));
    MUST(gwh_payload_make(&r->payload, &crypto, grant.cek, (struct gwh_position){0}, gwh_span(&image), &payload));
    MUST(gw_key_check(&crypto, cek, 16, check));
    MUST(gwh_manifest_map(&map, &spec));
    gwh_key_signer(&signer, author);
    MUST(gwh_sign_map(&r->manifest, &crypto, "godwit/manifest/1", gwh_span(&map), &signer, 1));
    MUST(gw_sha256(&crypto, map.p, map.n, grant.digest));
    MUST(gwh_grant_encode(&r->grant, gwh_openssl(), &grant));
    gwh_buf_free(&image);
    gwh_buf_free(&map);
}

/* ---- What is measured ------------------------------------------------------------------------------------------- */

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Pushes until every payload byte is checked, decrypted and written; what follows (read-back, staging) is not timed. */
static double time_install(const struct release *r)
{
    static struct gw_install install;
    struct gw_install_config config = {.dev = &device, .buffer = frame, .buffer_size = sizeof frame, .recovery = true,
                                       .running = GW_SLOT_NONE};
    struct gw_release offered = {.manifest = gwh_span(&r->manifest), .grant = {gwh_span(&r->grant)}, .grant_count = 1};
    struct gw_progress progress;
    struct gw_want want;
    size_t used;

    MUST(gw_device_mount(&device));
    MUST(gw_install_open(&install, &config, &offered));
    double start = cpu_seconds();
    do {
        int status = gw_install_poll(&install);
        if (status == GW_WANT) {
            MUST(gw_install_want(&install, &want));
            MUST(gw_install_push(&install, r->payload.p + want.offset, want.longest, &used));
        } else if (status != GW_MORE) {
            MUST(status);
        }
        gw_install_progress(&install, &progress);
    } while (progress.done < progress.total);
    double seconds = cpu_seconds() - start;
    int status;
    while ((status = gw_install_poll(&install)) == GW_MORE) { /* the read-back: proves that the image is right */
    }
    MUST(status == GW_DONE ? 0 : status);
    MUST(gw_install_abort(&install, true));
    return seconds;
}

static double time_crypto(uint8_t *bytes, size_t n)
{
    uint8_t digest[32];
    double start = cpu_seconds();
    MUST(gw_sha256(&crypto, bytes, n, digest));
    MUST(crypto.aes_ctr(crypto.ctx, kek, sizeof kek, 0, bytes, n));
    return cpu_seconds() - start;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values)
{
    double sorted[ROUNDS];
    memcpy(sorted, values, sizeof sorted);
    qsort(sorted, ROUNDS, sizeof *sorted, by_size);
    return sorted[ROUNDS / 2];
}

int main(void)
{
    struct gw_openssl state = {0};
    struct gwh_key root[2] = {{0}}, author = {0};
    struct release release = {{0}, {0}, {0}};
    double install[ROUNDS], alone[ROUNDS], ratio[ROUNDS];

    gw_crypto_openssl_init(&crypto, &state);
    memset(nor, 0xff, sizeof nor);
    MUST(gwh_key_new(&root[0], GWH_P256, NULL));
    MUST(gwh_key_new(&root[1], GWH_P256, NULL));
    MUST(gwh_key_new(&author, GWH_P256, NULL));
    provision(root, &author);
    make_release(&release, &author);
    first_boot();
    uint8_t *copy = malloc(release.payload.n);
    if (!copy) {
        return 2;
    }
    memcpy(copy, release.payload.p, release.payload.n);
    double mb = (double)release.payload.n / 1e6;
    time_install(&release); /* warm caches, lazy contexts */
    for (unsigned i = 0; i < ROUNDS; i++) {
        alone[i] = mb / time_crypto(copy, release.payload.n);
        install[i] = mb / time_install(&release);
        ratio[i] = install[i] / alone[i];
    }
    double result = median(ratio);
    printf("AES-128-CTR + SHA-256 alone  %8.0f MB per CPU second\n", median(alone));
    printf("install, without read-back   %8.0f MB per CPU second\n", median(install));
    printf("bench: ratio %.2f of at least %.2f, median of %u interleaved rounds of %.1f MB: %s\n", result, BUDGET,
           ROUNDS, mb, result >= BUDGET ? "ok" : "UNDER");
    free(copy);
    gwh_buf_free(&release.manifest);
    gwh_buf_free(&release.grant);
    gwh_buf_free(&release.payload);
    gwh_key_free(&root[0]);
    gwh_key_free(&root[1]);
    gwh_key_free(&author);
    gw_crypto_openssl_free(&state);
    return result < BUDGET;
}
