/*
 * update.c - see update.h. The memory of an update is here, and nowhere else: 13 KB and the engine, 16 KB for decoding.
 */
#include "update.h"

#include "serial.h"

static struct gwc_serial serial;
static struct gwc_serial_config config;
static uint8_t offer[GWC_OFFER_MAX], buffer[GWC_BUFFER_MIN];
static bool on, done;

/* Deltas and compressed images of this instruction set. */
static const struct gw_isa *const isas[] = { &gw_isa_riscv, NULL };
static uint64_t decoder[16u * 1024u / 8u];
static const struct gw_decoding decoding = { &gw_patch_codec, decoder, sizeof decoder, isas };

static void put(void *ctx, const uint8_t *bytes, size_t n)
{
    (void)ctx;
    board_put(bytes, n);
}

static uint32_t now(void *ctx)
{
    (void)ctx;
    return board_clock();
}

static void restart(void *ctx)
{
    (void)ctx;
    board_reset(GW_CAUSE_SOFTWARE);
}

static bool staged(void)
{
    struct gw_boot_state state;

    return gw_device_state(config.dev, &state) == GW_OK &&
           (state.slot[0].state == GW_STAGED || state.slot[1].state == GW_STAGED);
}

static void on_event(void *ctx, int status)
{
    (void)ctx;
    if (status < 0) {
        console_error("update refused", status);
    } else if (status == GW_MORE) {
        board_print("update begins\n");
    } else if (staged()) {
        done = true;
        board_print("update done: restart to try it\n");
    } else {
        board_print("trust bundle taken\n");
    }
}

void update_start(const struct gw_device *dev, const struct gw_handover *boot)
{
    config = (struct gwc_serial_config){
        .dev = dev, .boot = boot, .offer = offer, .offer_size = sizeof offer, .buffer = buffer,
        .buffer_size = sizeof buffer, .decoding = &decoding, .now = now, .put = put, .restart = restart,
        .on_event = on_event,
    };
    on = gwc_serial_init(&serial, &config) == GW_OK;
}

bool update_step(const struct console_command *commands)
{
    int byte;

    while ((byte = board_get()) >= 0) {
        if (!on || !gwc_serial_byte(&serial, (uint8_t)byte)) {
            console_byte(commands, (uint8_t)byte);
        }
        if (serial.reader.full) {
            break; /* the request first */
        }
    }
    return (on && gwc_serial_step(&serial) == GW_MORE) || byte >= 0;
}

bool update_is_done(void)
{
    return done;
}
