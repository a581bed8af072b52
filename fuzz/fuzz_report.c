/*
 * fuzz_report.c - reports as a server reads them: the signed map alone, and the COSE_Sign around it, by key and by KEK.
 *
 * Properties: a report that is accepted says what the format allows: a state, a counter, a reason below 256, times from
 * 1 to 255, a device id of 1 to 48 characters inside the input.
 */
#include "fuzz_formats.h"
#include "godwit/agent.h"

static void check(const struct gw_report *r, const uint8_t *data, size_t size)
{
    MUST(r->counter > 0 && r->state >= GW_REPORT_CONFIRMED && r->state <= GW_REPORT_DECLINED);
    MUST(r->reason < 256 && r->times > 0 && r->times < 256);
    MUST(r->device.n > 0 && r->device.n <= GW_DEVICE_ID_MAX);
    MUST(r->device.p >= data && r->device.p + r->device.n <= data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fastcrypto_key key;
    static struct gwh_signer signer;
    static const uint8_t kek[16] = { 0x4b };
    struct gw_report r;

    if (signer.sign == NULL) {
        fastcrypto_key(&key, 7);
        fastcrypto_signer(&signer, &key, 0);
    }
    if (gw_report_parse(&r, data, size) == GW_OK) {
        check(&r, data, size);
    }
    if (gw_report_open(&r, &fastcrypto, &signer.key, data, size) == GW_OK ||
        gw_report_open_mac(&r, &fastcrypto, kek, sizeof kek, data, size) == GW_OK) {
        check(&r, data, size);
    }
    return 0;
}
