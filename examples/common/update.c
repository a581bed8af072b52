/*
 * update.c - see update.h.
 */
#include "update.h"

#include "memory.h"

static struct gwc_serial serial;
static struct gwc_serial_config config;
static bool on, done;
static void (*before_first)(void);

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

void update_start(const struct gw_device *dev, const struct gw_handover *boot, void (*before)(void))
{
    before_first = before;
    config = (struct gwc_serial_config){
        .dev = dev, .boot = boot, .offer = memory_offer, .offer_size = sizeof memory_offer, .buffer = memory_buffer,
        .buffer_size = sizeof memory_buffer, .decoding = &memory_decoding, .now = now, .put = put, .restart = restart,
        .on_event = on_event,
    };
    on = gwc_serial_init(&serial, &config) == GW_OK;
}

/* Somebody speaks packets: the memory of an update is theirs from now on. */
static void begin(void)
{
    if (before_first != NULL) {
        before_first();
        before_first = NULL;
    }
}

bool update_step(const struct console_command *commands)
{
    int byte;

    while ((byte = board_get()) >= 0) {
        if (!on || !gwc_serial_byte(&serial, (uint8_t)byte)) {
            console_byte(commands, (uint8_t)byte);
        }
        if (serial.reader.full) {
            begin();
            break; /* the request first */
        }
    }
    return (on && gwc_serial_step(&serial) == GW_MORE) || byte >= 0;
}

bool update_is_done(void)
{
    return done;
}
