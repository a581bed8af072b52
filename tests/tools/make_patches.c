/*
 * make_patches.c - prints tests/unit/patch_known.h: patches of tests/support/firmware.c, as the encoder makes them.
 * Run it only when the format changes: what it printed once is what devices in the field must go on decoding.
 */
#include <stdio.h>
#include <stdlib.h>

#include "firmware.h"
#include "patch.h"

static void print(const char *name, struct gw_span old, struct gw_span fresh, uint32_t isa, uint32_t profile)
{
    const struct gwh_patch_options options = {.isa = isa, .base_given = true, .base = 0x8000, .base_new = 0x8000,
                                              .profile = profile};
    struct gwh_buf out = {0};
    if (gwh_patch_make(&out, old, fresh, &options) != GW_OK) {
        exit(1);
    }
    printf("static const uint8_t %s[] = {", name);
    for (size_t i = 0; i < out.n; i++) {
        printf("%s0x%02x,", i % 16 == 0 ? "\n    " : " ", out.p[i]);
    }
    printf("\n};\n");
    gwh_buf_free(&out);
}

int main(void)
{
    static const char *const names[FIRMWARE_KINDS][2] = {{"riscv_delta", "riscv_full"},
                                                         {"thumb_delta", "thumb_full"},
                                                         {"data_delta", "data_full"}};
    static const uint32_t isa[] = {GW_ISA_RISCV, GW_ISA_THUMB, GW_ISA_NONE};
    static uint8_t old[FIRMWARE_MAX], fresh[FIRMWARE_MAX];
    printf("/* patch_known.h - made by tests/tools/make_patches.c; see there. */\n");
    printf("#ifndef PATCH_KNOWN_H\n#define PATCH_KNOWN_H\n\n#include <stdint.h>\n\n");
    for (unsigned kind = 0; kind < FIRMWARE_KINDS; kind++) {
        struct gw_span a = {old, firmware_make(old, (enum firmware_kind)kind, 0)};
        struct gw_span b = {fresh, firmware_make(fresh, (enum firmware_kind)kind, 1)};
        print(names[kind][0], a, b, isa[kind], kind == FIRMWARE_DATA ? GW_PATCH_RAM_10K : GW_PATCH_RAM_16K);
        if (kind == FIRMWARE_RISCV) {
            print(names[kind][1], (struct gw_span){NULL, 0}, b, isa[kind], GW_PATCH_RAM_16K);
        }
    }
    printf("\n#endif\n");
    return 0;
}
