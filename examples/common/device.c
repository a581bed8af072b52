/*
 * device.c - the board as the library sees it; see device.h. Cryptography is PSA (Mbed TLS), which also decrypts; an
 * application that takes only plain releases may use gw_crypto_mbedtls_boot_init() instead and is 25 KB smaller.
 */
#include "device.h"

#include "console.h"
#include "crypto_ports.h"

static struct gw_journal journal;
static struct gw_crypto crypto;
static struct gw_device device = {
    .flash = &board_flash, .crypto = &crypto, .layout = &board_layout, .journal = &journal,
};

static int draw(void *ctx, void *data, size_t n)
{
    (void)ctx;
    return board_random(data, n);
}

const struct gw_device *device_start(struct gw_handover *boot)
{
    if (board_handover_get(boot) != GW_OK) { /* put into RAM by a debugger: it runs, and updates nothing */
        *boot = (struct gw_handover){ .slot = GW_SLOT_NONE };
    }
    device.bootloader = boot->bootloader;
    gw_crypto_psa_entropy(draw, NULL);
    int error = gw_crypto_psa_init(&crypto);
    if (error == GW_OK) {
        error = gw_device_mount(&device);
    }
    if (error != GW_OK) {
        console_error("device", error);
    }
    return error == GW_OK ? &device : NULL;
}
