/*
 * main.c - a product's whole integration: confirm the image that runs, wait for a release, take it, restart.
 *
 * Power may go at any line: the next start goes on where this one stopped. tests/cli/run.sh counts the lines.
 */
#include "product.h"

static struct gw_install inst;
static uint8_t buffer[GW_INSTALL_BUFFER], bytes[512];

static int feed(void)
{
    struct gw_want want;
    size_t used = 0, n = gw_install_want(&inst, &want) == GW_OK ? product_fetch(&want, bytes, sizeof bytes) : 0;
    return n == 0 ? GW_ERR_TRANSPORT : gw_install_push(&inst, bytes, n, &used);
}

int main(void)
{
    struct gw_handover boot;
    struct gw_release release;
    product_handover(&boot);
    struct gw_install_config config = { .dev = &product_device, .buffer = buffer, .buffer_size = sizeof buffer,
                                        .recovery = boot.recovery, .running = (enum gw_slot)boot.slot };
    int status = gw_device_mount(&product_device);
    if (status == GW_OK && boot.state == GW_TRYING && !product_is_well()) {
        product_restart(gw_device_reject(&product_device, GW_ERR_SELF_TEST));
    }
    status = status == GW_OK && boot.state == GW_TRYING ? gw_device_confirm(&product_device) : status;
    product_look(&release);
    status = status == GW_OK ? gw_install_open(&inst, &config, &release) : status;
    while (status >= GW_OK && status != GW_DONE) {
        status = gw_install_poll(&inst);
        status = status == GW_WANT ? feed() : status;
    }
    product_restart(status == GW_DONE ? gw_install_finish(&inst) : status);
}
