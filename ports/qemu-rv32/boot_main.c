/*
 * boot_main.c - the bootloader of this board: runs gw_boot_run(), loads the image into RAM, checks it there, starts it.
 *
 * Keeps true: what runs is what was hashed, in the RAM where it runs; an image on trial runs under the watchdog; flash
 * is read-only to stray stores. When nothing can be started it says what and why, and waits for a person.
 */
#include "board.h"
#include "crypto_ports.h"

#define WATCHDOG_MS 8000u   /* an image on trial must feed within */
#define LOADS 3u            /* readings before an image is given up for this start */

static struct gw_journal journal;
static uint8_t memory[GW_VERIFY_MEMORY];

/* By number: `godwit reasons` explains. */
static void say_reason(unsigned reason)
{
    if (reason != 0) {
        board_print(", reason ");
        board_print_number(reason);
    }
}

static void say_start(const struct gw_handover *h)
{
    static const char *const slots[] = {"A", "B", "factory", "none"};
    static const char *const states[] = {"EMPTY", "STAGED", "TRYING", "CONFIRMED", "PREVIOUS", "REJECTED"};

    board_print("boot: starts ");
    board_print(slots[h->slot & 3]);
    if (h->slot <= GW_SLOT_B) {
        board_print(", ");
        board_print(states[h->state % 6]);
    }
    board_print(h->recovery ? ", recovery" : "");
    say_reason(h->reason);
    board_print("\n");
}

/* Nothing can be started, not even what nobody can write: somebody has to bring this board to a programmer. */
static _Noreturn void recover(int error, const struct gw_handover *h)
{
    board_print("boot: nothing to start: no image in A or B is verified, and the factory image is damaged or missing");
    say_reason(h->reason != 0 ? h->reason : (unsigned)-error);
    board_print("\nboot: write the flash images again (godwit device provision --board), or press r to try again\n");
    while (board_get() != 'r') {
        board_wait(1000000);
    }
    board_reset(GW_CAUSE_PIN);
}

static int load(const struct gw_device *device, const struct gw_image *image)
{
    int error = GW_ERR_IMAGE_DIGEST;
    for (unsigned i = 0; error != GW_OK && i < LOADS; i++) {
        error = gw_image_load(device, image, (void *)(uintptr_t)BOARD_IMAGE, BOARD_IMAGE_ROOM);
    }
    return error;
}

static _Noreturn void start(const struct gw_handover *h, bool watchdog)
{
    board_handover_put(h);
    gw_wipe(memory, sizeof memory); /* the identity's keys were in it */
    if (watchdog) {
        board_watchdog_start(WATCHDOG_MS);
    }
    __asm__ volatile("fence.i; jr %0" : : "r"(BOARD_IMAGE) : "memory");
    __builtin_unreachable();
}

int main(void)
{
    static const char *const causes[] = {"unknown", "power", "watchdog", "fault", "software", "pin", "sleep"};
    struct gw_crypto crypto;
    struct gw_handover handover = { .slot = GW_SLOT_NONE };
    struct gw_image image;
    bool watchdog = false;
    const struct gw_device device = {
        .flash = &board_flash, .crypto = &crypto, .layout = &board_layout, .journal = &journal,
        .bootloader = GW_VERSION,
    };

    board_protect();
    enum gw_cause cause = board_cause();
    board_print("\nboot: godwit, reset by ");
    board_print(causes[cause]);
    board_print("\n");
    gw_crypto_mbedtls_boot_init(&crypto);
    int error = gw_boot_run(&device, cause, memory, sizeof memory, &handover, &watchdog, &image);
    error = error == GW_OK ? load(&device, &image) : error;
    if (error != GW_OK) {
        recover(error, &handover);
    }
    say_start(&handover);
    start(&handover, watchdog);
}
