/*
 * report_open.c - reports as a server or a tool reads them (SPEC.md, section 18). Devices do not link it.
 */
#include "agent.h"

#include "cose.h"
#include "fields.h"

#define NEEDED(kind) (GW_FIELD_##kind | GW_FIELD_NEEDED)
#define AT(field) offsetof(struct gw_report, field)
static const struct gw_field report_fields[] = {
    { 1, NEEDED(VERSION), 0, 1, 0 },
    { 2, NEEDED(DEVICE), AT(device), 0, 0 },
    { 3, NEEDED(U32), AT(counter), 1, 0 },
    { 4, NEEDED(U32), AT(state), GW_REPORT_CONFIRMED, GW_REPORT_DECLINED },
    { 5, GW_FIELD_U32, AT(reason), 1, 255 },
    { 6, GW_FIELD_PAIR, AT(release), 0, 0 },
    { 7, GW_FIELD_U32, AT(times), 2, GW_REPORT_TIMES_MAX },
    { 8, GW_FIELD_U32, AT(time), 1, 0 },
    { 9, GW_FIELD_U32, AT(bytes), 1, 0 },
    { 10, GW_FIELD_U32, AT(again), 1, 0 },
    { 11, GW_FIELD_PAIR, AT(running), 0, 0 },
    { 12, NEEDED(U32), AT(hardware), 0, 0 },
    { 13, NEEDED(U32), AT(bootloader), 0, 0 },
    { 14, NEEDED(U32), AT(trust_version), 0, 0 },
    { 15, NEEDED(U32), AT(head_serial), 0, 0 },
};
#undef AT

int gw_report_parse(struct gw_report *r, const uint8_t *map, size_t n)
{
    struct gw_report o = { .times = 1 };
    struct gw_cbor c;

    gw_cbor_init(&c, map, n);
    (void)GW_FIELDS(&c, &o, report_fields);
    int error = gw_cbor_end(&c);
    if (error == GW_OK) {
        *r = o;
    }
    return error;
}

int gw_report_open(struct gw_report *r, const struct gw_crypto *crypto, const struct gw_pubkey *key,
                   const uint8_t *cose, size_t n)
{
    static const struct gw_policy_line line = { GW_ROLE_ROOT, 1 };
    struct gw_roots one = { .count = 1, .threshold = 1 };
    struct gw_keyring ring = { crypto, NULL, &one };
    struct gw_span map;

    one.key[0] = *key;
    int err = n > GW_REPORT_MAX ? GW_ERR_LIMIT : gw_cose_verify(&ring, GW_TYPE_REPORT, &line, 1, cose, n, &map);
    return err == GW_OK ? gw_report_parse(r, map.p, map.n) : err;
}

int gw_report_open_mac(struct gw_report *r, const struct gw_crypto *crypto, const uint8_t *kek, size_t kek_size,
                       const uint8_t *cose, size_t n)
{
    struct gw_cose_sign s;
    struct gw_cose_signature sig;
    uint8_t digest[GW_DIGEST_SIZE], tag[32];

    int err = n > GW_REPORT_MAX ? GW_ERR_LIMIT : gw_cose_sign_parse(&s, cose, n);
    if (err == GW_OK && s.count != 1) {
        err = GW_ERR_SIGNERS_FEW;
    }
    err = err == GW_OK ? gw_cose_signature(&s, 0, &sig) : err;
    if (err == GW_OK && (sig.algorithm != GW_ALG_REPORT_MAC || sig.signature.n != sizeof tag)) {
        err = GW_ERR_ALGORITHM;
    }
    err = err == GW_OK ? gw_cose_sig_digest(crypto, GW_TYPE_REPORT, s.protected_header, sig.protected_header,
                                            s.payload, digest) : err;
    err = err == GW_OK ? gw_report_tag(crypto, kek, kek_size, digest, tag) : err;
    if (err == GW_OK && !gw_equal(tag, sig.signature.p, sizeof tag)) {
        err = GW_ERR_SIGNATURE;
    }
    return err == GW_OK ? gw_report_parse(r, s.payload.p, s.payload.n) : err;
}
