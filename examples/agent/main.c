/*
 * main.c - a product that updates itself: its main loop, with the agent in it. See product.h.
 */
#include "product.h"

static struct gw_agent agent;
static uint8_t buffer[GW_VERIFY_MEMORY], offer[GW_OFFER_BUFFER];

int main(void)
{
    struct gw_handover boot;
    uint32_t wait = 0;
    product_handover(&boot);
    const struct gw_agent_config config = {
        .dev = &product_device,     .handover = &boot,         .transport = &product_transport,
        .buffer = buffer,           .buffer_size = sizeof buffer,
        .offer = offer,             .offer_size = sizeof offer,
        .look_interval_s = 6 * 3600, .self_test = product_self_test, .may_restart = product_is_idle,
        .restart = product_restart,
    };
    int status = gw_device_mount(&product_device);
    status = status == GW_OK ? gw_agent_open(&agent, &config, product_ms()) : status;
    while (status >= GW_OK) {
        product_work(wait); /* its own work, then sleep: `wait` ms at most, less when the network has something */
        status = gw_agent_step(&agent, product_ms(), &wait);
    }
    product_restart(NULL); /* the flash failed */
}
