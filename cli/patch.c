/*
 * patch.c - godwit patch: make, apply, inspect. The codec by itself; `godwit release build` makes payloads of it.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "patch.h"

#define IMAGE_MAX (64u << 20)

static const struct gwh_option make_options[] = {
    CLI_OUT("the patch"),
    {"arch", "SET", "auto, none, thumb, riscv, xtensa, arm64, arm; auto if not given", false, false},
    {"base", "ADDRESS", "address of the first byte of both images; found if not given", false, false},
    {"base-new", "ADDRESS", "of the new image, if it is linked for another slot", false, false},
    {"ram", "16K|10K", "all the decoder may use; 16K if not given", false, false},
    {"unit", "BYTES", "restart unit of a streamed install: 32K, 64K ... 1M; 0, none, if not given", false, false},
    {"full", NULL, "only NEW is given: a compressed full image", false, false},
    CLI_FORCE,
    GWH_OPTIONS_END,
};

/* For `make`: the options as given. */
static int make_how(const struct gwh_args *a, struct gwh_patch_options *o, struct gwh_error *err)
{
    const char *arch = gwh_text(a, "arch");
    uint32_t ram = 0;
    o->isa = GWH_ISA_AUTO;
    if (arch != NULL && !gwh_isa_parse(arch, &o->isa)) {
        (void)gwh_fail(err, GWH_USAGE, "%s is no instruction set that godwit knows", arch);
        return gwh_hint(err, "godwit patch make --help");
    }
    o->base_given = gwh_flag(a, "base");
    int e = gwh_number(a, "base", 0, &o->base, err);
    e = e == GWH_OK ? gwh_number(a, "base-new", o->base, &o->base_new, err) : e;
    e = e == GWH_OK ? gwh_number(a, "unit", 0, &o->unit, err) : e;
    e = e == GWH_OK ? gwh_number(a, "ram", 16384, &ram, err) : e;
    if (e == GWH_OK && ram != 16384 && ram != 10240) {
        e = gwh_fail(err, GWH_USAGE, "--ram is 16K or 10K");
    }
    if (e == GWH_OK && o->unit != 0 && (o->unit < 32768 || o->unit > 1u << 20 || (o->unit & (o->unit - 1)) != 0)) {
        e = gwh_fail(err, GWH_USAGE, "--unit is a power of two from 32K to 1M, or 0");
    }
    o->profile = ram == 10240 ? GW_PATCH_RAM_10K : GW_PATCH_RAM_16K;
    return e;
}

static int run_make(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_buf old = {0}, fresh = {0}, out = {0};
    struct gwh_patch_options o = {0};
    bool full = gwh_flag(a, "full");
    const char *path = gwh_text(a, "o");
    if (a->operand_count != (full ? 1u : 2u)) {
        (void)gwh_fail(err, GWH_USAGE, full ? "--full takes one image" : "expected the old and the new image");
        return gwh_hint(err, "godwit patch make %s-o out.gwp", full ? "--full new.bin " : "old.bin new.bin ");
    }
    int e = make_how(a, &o, err);
    e = e == GWH_OK && !full ? gwh_file_read(&old, a->operand[0], IMAGE_MAX, err) : e;
    e = e == GWH_OK ? gwh_file_read(&fresh, a->operand[full ? 0 : 1], IMAGE_MAX, err) : e;
    if (e == GWH_OK) {
        int reason = gwh_patch_make(&out, gwh_span(&old), gwh_span(&fresh), &o);
        e = reason == GW_OK ? GWH_OK : gwh_fail_reason(err, reason, "cannot make a patch");
    }
    e = e == GWH_OK ? gwh_file_write(path, gwh_span(&out), 0644, gwh_flag(a, "force"), err) : e;
    if (e == GWH_OK) {
        gwh_note("%s: %zu bytes, %.2f %% of the new image, decoded again to be sure; the decoder needs %u bytes of RAM",
                 path, out.n, fresh.n > 0 ? 100.0 * (double)out.n / (double)fresh.n : 0.0,
                 (unsigned)gw_patch_ram(o.profile));
    }
    gwh_buf_free(&old);
    gwh_buf_free(&fresh);
    gwh_buf_free(&out);
    return e;
}

static const struct gwh_option apply_options[] = {
    CLI_OUT("the new image"),
    CLI_FORCE,
    GWH_OPTIONS_END,
};

static int run_apply(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_buf old = {0}, patch = {0}, out = {0};
    bool full = a->operand_count == 1;
    const char *path = a->operand[full ? 0 : 1];
    int e = full ? GWH_OK : gwh_file_read(&old, a->operand[0], IMAGE_MAX, err);
    e = e == GWH_OK ? gwh_file_read(&patch, path, IMAGE_MAX, err) : e;
    if (e == GWH_OK) {
        int reason = gwh_patch_apply(&out, gwh_span(&old), gwh_span(&patch));
        e = reason == GW_OK ? GWH_OK : gwh_fail_reason(err, reason, "%s does not apply", path);
        if (reason != GW_OK) {
            e = gwh_hint(err, full ? "a delta needs the image it was made from: godwit patch apply OLD PATCH -o NEW"
                                   : "was it made from another image? godwit patch inspect PATCH says its size");
        }
    }
    e = e == GWH_OK ? gwh_file_write(gwh_text(a, "o"), gwh_span(&out), 0644, gwh_flag(a, "force"), err) : e;
    gwh_buf_free(&old);
    gwh_buf_free(&patch);
    gwh_buf_free(&out);
    return e;
}

static const struct gwh_option inspect_options[] = {
    {"old", "FILE", "decode it, to say what its bytes are for; a delta needs the image it starts from", false, false},
    CLI_JSON,
    GWH_OPTIONS_END,
};

static json_t *show_table(const struct gw_patch_header *h, unsigned image)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < h->segments[image]; i++) {
        const struct gw_patch_segment *s = &h->segment[image][i];
        (void)json_array_append_new(list, json_pack("{s:I,s:I}", "offset", (json_int_t)s->at, "address",
                                                    (json_int_t)(uint32_t)(s->at + s->shift)));
    }
    return list;
}

static int run_inspect(const struct gwh_args *a, struct gwh_error *err)
{
    struct gwh_buf patch = {0}, old = {0};
    struct gw_patch_header h;
    struct gwh_patch_costs costs;
    size_t used;
    int reason, e = gwh_file_read(&patch, a->operand[0], IMAGE_MAX, err);
    bool full = false;
    if (e == GWH_OK && (reason = gw_patch_header(&h, patch.p, patch.n, &used)) != GW_OK) {
        e = gwh_fail_reason(err, reason, "%s is no gwpatch", a->operand[0]);
    }
    if (e != GWH_OK) {
        gwh_buf_free(&patch);
        return e;
    }
    full = h.old_size == 0;
    json_t *o = json_pack("{s:s,s:I,s:I,s:I,s:s,s:I,s:I,s:o}", "kind", full ? "full image" : "delta", "bytes",
                          (json_int_t)patch.n, "new image", (json_int_t)h.new_size, "old image", (json_int_t)h.old_size,
                          "instruction set", gwh_isa_name(h.isa), "restart unit", (json_int_t)h.unit, "decoder RAM",
                          (json_int_t)gw_patch_ram(h.profile), "new addresses", show_table(&h, 1));
    if (!full) {
        (void)json_object_set_new(o, "old addresses", show_table(&h, 0));
    }
    if (gwh_flag(a, "old") || full) {
        e = gwh_flag(a, "old") ? gwh_file_read(&old, gwh_text(a, "old"), IMAGE_MAX, err) : GWH_OK;
        reason = e == GWH_OK ? gwh_patch_inspect(&costs, gwh_span(&old), gwh_span(&patch)) : GW_OK;
        e = reason != GW_OK ? gwh_fail_reason(err, reason, "%s does not decode", a->operand[0]) : e;
        for (unsigned i = 0; e == GWH_OK && i < GWH_COSTS; i++) {
            (void)json_object_set_new(o, gwh_cost_name(i), json_pack("{s:I,s:I,s:I}", "count",
                                                                     (json_int_t)costs.count[i], "makes bytes",
                                                                     (json_int_t)costs.made[i], "costs bytes",
                                                                     (json_int_t)costs.bytes[i]));
        }
    }
    e = e == GWH_OK ? cli_print(a, o) : (json_decref(o), e);
    gwh_buf_free(&patch);
    gwh_buf_free(&old);
    return e;
}

const struct gwh_command cli_patch[] = {
    {"patch", "make", "[OLD] NEW", 1, 2, "a delta from OLD to NEW, or with --full a compressed NEW", make_options,
     "godwit patch make old.bin new.bin -o update.gwp", run_make},
    {"patch", "apply", "[OLD] PATCH", 1, 2, "makes the new image, with the device's decoder", apply_options,
     "godwit patch apply old.bin update.gwp -o new.bin", run_apply},
    {"patch", "inspect", "PATCH", 1, 1, "what is in it, what it needs, and what cost what", inspect_options,
     "godwit patch inspect update.gwp --old old.bin", run_inspect},
    CLI_COMMANDS_END,
};
