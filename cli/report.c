/*
 * report.c - godwit report verify: is this what the device said? Checked with the device's own public key.
 */
#include <string.h>

#include "cli.h"
#include "godwit/agent.h"

static const struct gwh_option verify_options[] = {
    {"own-key", "KEY", "public key of the device that signed (its --own-key when it was provisioned)", false, false},
    {"kek", "NAME=FILE", "or the pre-shared key that it was MACed with", false, false},
    CLI_JSON,
    GWH_OPTIONS_END,
};

static int open_signed(struct gw_report *r, const struct gwh_args *a, const struct gwh_buf *cose, struct gwh_error *err)
{
    struct gwh_key key = {0};
    int e = gwh_key_load(&key, gwh_text(a, "own-key"), NULL, err);
    if (e == GWH_OK) {
        int reason = gw_report_open(r, gwh_openssl()->gw, &key.pub, cose->p, cose->n);
        e = reason == GW_OK ? GWH_OK : gwh_fail_reason(err, reason, "%s is refused", a->operand[0]);
    }
    gwh_key_free(&key);
    return e;
}

static int open_mac(struct gw_report *r, const struct gwh_args *a, const struct gwh_buf *cose, struct gwh_error *err)
{
    struct gwh_holder h;
    char text[GWH_PATH_MAX];
    (void)snprintf(text, sizeof text, "kek:%s", gwh_text(a, "kek"));
    int e = gwh_holder_parse(&h, text, NULL, err);
    if (e == GWH_OK) {
        int reason = gw_report_open_mac(r, gwh_openssl()->gw, h.kek, h.kek_size, cose->p, cose->n);
        e = reason == GW_OK ? GWH_OK : gwh_fail_reason(err, reason, "%s is refused", a->operand[0]);
        gwh_holder_free(&h);
    }
    return e;
}

static int run_verify(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_buf cose = {0};
    struct gw_report r;
    bool own = gwh_flag(a, "own-key");
    if (own == gwh_flag(a, "kek")) {
        return gwh_fail(err, GWH_USAGE, "one of --own-key KEY and --kek NAME=FILE says whom to believe");
    }
    int e = gwh_file_read(&cose, a->operand[0], 65536, err);
    if (e == GWH_OK) {
        e = own ? open_signed(&r, a, &cose, err) : open_mac(&r, a, &cose, err);
    }
    if (e == GWH_OK) {
        e = cli_print(a, gwh_show_report(&r));
    }
    gwh_buf_free(&cose);
    return e;
}

const struct gwh_command cli_report[] = {
    {"report", "verify", "FILE", 1, 1, "a report that a device sent: who signed it, and what it says", verify_options,
     "godwit report verify 17.cose --own-key dev1-own.pub.pem", run_verify},
    CLI_COMMANDS_END,
};
