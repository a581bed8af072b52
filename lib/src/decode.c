/*
 * decode.c - an install's encoded payloads: staged or streamed, from checked frames through the decoder to the slot.
 *
 * Keeps true: the decoder sees authenticated bytes only, also when they were stored meanwhile: every frame is checked
 * again from the signed head. The image that a delta was made from is checked by its digest before its first byte is
 * used. A reset goes back to the start of decoding (staged) or to the last restart unit (streamed), never further.
 */
#include "installer.h"

#include "plan.h"

#include <string.h>

static struct gw_patch *decoder(const struct gw_install *inst)
{
    return inst->config->decoding->memory;
}

static const struct gw_codec *codec(const struct gw_install *inst)
{
    return inst->config->decoding->codec;
}

static const struct gw_flash *flash_of(const struct gw_install *inst)
{
    return inst->config->dev->flash;
}

/* ---- What can be taken, and how ------------------------------------------------------------------------------- */

/* The most RAM that payloads may ask for: by the largest profile that fits into the caller's memory. */
static uint32_t decoder_ram(const struct gw_install_config *c)
{
    const struct gw_decoding *d = c->decoding;
    uint32_t most = 0;

    for (uint32_t profile = 0; d != NULL && profile < GW_PATCH_PROFILES; profile++) {
        if (d->codec->room(profile) <= d->size && d->codec->ram(profile) > most) {
            most = d->codec->ram(profile);
        }
    }
    return most;
}

void gw_decode_facts(const struct gw_install *inst, struct gw_facts *f)
{
    const struct gw_install_config *c = inst->config;

    f->frame_max = (uint32_t)(c->buffer_size - GW_DIGEST_SIZE);
    f->frame_max = f->frame_max < GW_FRAME_MAX ? f->frame_max : GW_FRAME_MAX;
    f->decoder_ram = decoder_ram(c);
    f->encodings = 1u << GW_ENCODING_RAW | (f->decoder_ram != 0 ? 1u << GW_ENCODING_PATCH : 0);
    f->a128ctr = c->dev->crypto->aes_ctr != NULL && inst->cek_size != 0;
    f->a256ctr = f->a128ctr && inst->cek_size == 32;
}

bool gw_decode_may(const struct gw_install *inst, const struct gw_payload *p)
{
    struct gw_facts facts;

    gw_decode_facts(inst, &facts);
    return !p->delta && gw_plan_payload(p, &facts, NULL) == GW_OK;
}

int gw_decode_aim(struct gw_install *inst, enum gw_install_phase phase)
{
    struct gw_component c;

    int err = gw_manifest_component(&inst->manifest, inst->plan.choice[inst->step].component, &c);
    if (err == GW_OK) {
        err = gw_component_area(inst->config->dev, (enum gw_slot)inst->slot, c.kind, c.id, &inst->target);
    }
    inst->phase = (uint8_t)phase;
    inst->decoding = 0;
    inst->out_n = inst->piece = 0;
    inst->goal = inst->variant.size;
    if (phase == GW_PHASE_STORE) {
        inst->target = inst->stage;
        inst->goal = inst->payload.size;
    }
    return err;
}

int gw_decode_begin(struct gw_install *inst)
{
    inst->stream_at = 0;
    inst->precursor_ok = 0;
    inst->phase = GW_PHASE_RAW;
    inst->goal = inst->variant.size;
    if (inst->plan.choice[inst->step].copy || inst->payload.encoding == GW_ENCODING_RAW) {
        return GW_OK;
    }
    int err = gw_layout_spare(flash_of(inst), inst->target, inst->variant.size, &inst->stage);
    bool fits = inst->payload.size <= inst->stage.size;
    return err == GW_OK ? gw_decode_aim(inst, fits ? GW_PHASE_STORE : GW_PHASE_STREAM) : err;
}

/* ---- What the decoder reads back ------------------------------------------------------------------------------ */

static int read_old(void *ctx, uint32_t offset, void *data, uint32_t n)
{
    const struct gw_install *inst = ctx;

    return gw_flash_read(flash_of(inst), inst->source.start + offset, data, n);
}

/* Output that is written, then output that is still here. */
static int read_new(void *ctx, uint32_t offset, void *data, uint32_t n)
{
    const struct gw_install *inst = ctx;
    uint32_t written = offset < inst->written ? inst->written - offset : 0;
    uint32_t head = n < written ? n : written;

    if (offset > inst->written + inst->out_n || n > inst->written + inst->out_n - offset) {
        return GW_ERR_DECODE;
    }
    int err = head > 0 ? gw_flash_read(flash_of(inst), inst->target.start + offset, data, head) : GW_OK;
    if (err == GW_OK && n > head) {
        memcpy((uint8_t *)data + head, inst->out + (offset + head - inst->written), n - head);
    }
    return err;
}

/* ---- Beginning ------------------------------------------------------------------------------------------------ */

static void configure(struct gw_install *inst)
{
    const struct gw_decoding *d = inst->config->decoding;

    inst->patch = (struct gw_patch_config){
        .ctx = inst,
        .read_old = inst->payload.delta ? read_old : NULL,
        .old_size = inst->payload.delta ? inst->plan.choice[inst->step].precursor_size : 0,
        .read_new = read_new,
        .new_size = inst->variant.size,
        .memory = (uint8_t *)d->memory + GW_DECODER_OBJECT,
        .memory_size = (uint32_t)d->size - GW_DECODER_OBJECT,
        .isas = d->isas,
    };
}

/* The first frame of a stream: its header goes into the journal before anything of it is used. */
static GW_NOINLINE int keep_header(struct gw_install *inst)
{
    uint8_t r[GW_RECORD_MAX];
    struct gw_patch_header h;
    size_t used = 0;

    const uint8_t *p = inst->config->buffer + inst->piece_at;
    int err = codec(inst)->header(&h, p, inst->piece, &used);
    if (err != GW_OK || h.unit == 0 || used > sizeof r - GW_PROGRESS_STREAM) {
        return err == GW_ERR_TRUNCATED ? GW_ERR_DECODE : err; /* it begins at its start after a reset */
    }
    memcpy(r + GW_PROGRESS_STREAM, p, used);
    return gw_install_note_as(inst, r, (uint32_t)(GW_PROGRESS_STREAM + used));
}

/* After a reset: the header as the journal keeps it. */
static GW_NOINLINE int go_on(struct gw_install *inst)
{
    uint8_t r[GW_RECORD_MAX];
    uint32_t n = 0, skip = inst->stream_at % inst->payload.frame_size;

    int err = gw_journal_get(inst->config->dev->journal, GW_REC_PROGRESS, r, sizeof r, &n);
    if (err == GW_OK && (n <= GW_PROGRESS_STREAM || skip > inst->piece)) {
        err = GW_ERR_DECODE;
    }
    if (err != GW_OK) {
        return err;
    }
    inst->piece_at += skip;
    inst->piece -= skip;
    return codec(inst)->open_at(decoder(inst), &inst->patch, r + GW_PROGRESS_STREAM, n - GW_PROGRESS_STREAM,
                                inst->written, inst->stream_at);
}

static int start(struct gw_install *inst)
{
    int err = GW_OK;

    configure(inst);
    inst->decoding = 1;
    if (inst->phase == GW_PHASE_STREAM && inst->written > 0) {
        err = go_on(inst);
    } else {
        if (inst->phase == GW_PHASE_STREAM) {
            err = keep_header(inst);
        }
        err = err == GW_OK ? codec(inst)->open(decoder(inst), &inst->patch) : err;
    }
    return err == GW_OK ? GW_MORE : err;
}

/* ---- Going on ------------------------------------------------------------------------------------------------- */

/* A stored frame, into the buffer; what was stored may have faded since. */
static int load_frame(struct gw_install *inst)
{
    uint32_t length = gw_frames_length(&inst->frames), at = gw_frames_offset(&inst->frames);

    int err = gw_flash_read(flash_of(inst), inst->stage.start + at, inst->config->buffer, length);
    if (err != GW_OK) {
        return err;
    }
    inst->frames.held = length;
    err = gw_install_take_frame(inst);
    return err == GW_ERR_FRAME_HASH ? GW_ERR_FLASH_VERIFY : err;
}

/* The decoder needs bytes. */
static int feed(struct gw_install *inst)
{
    size_t used = 0;

    if (inst->piece > 0) {
        int err = codec(inst)->push(decoder(inst), inst->config->buffer + inst->piece_at, inst->piece, &used);
        inst->piece_at += (uint32_t)used;
        inst->piece -= (uint32_t)used;
        return err != GW_OK ? err : used == 0 ? GW_ERR_DECODE : GW_MORE;
    }
    if (gw_frames_length(&inst->frames) == 0) {
        return GW_ERR_DECODE; /* it wants more than there is */
    }
    if (inst->phase == GW_PHASE_STREAM) {
        return GW_WANT;
    }
    int err = load_frame(inst);
    return err == GW_OK ? GW_MORE : err;
}

/* At the start of a restart unit: where it begins in the payload, and the hash of the frame that it begins in. */
static int mark(struct gw_install *inst, uint32_t next)
{
    uint32_t frame = next / inst->payload.frame_size;

    if (frame != inst->frames.frame && frame + 1 != inst->frames.frame) {
        return GW_OK; /* a reset goes back further */
    }
    inst->stream_at = next;
    return gw_install_note(inst);
}

/* Writes what was decoded. */
static int flush(struct gw_install *inst)
{
    const struct gw_flash *flash = flash_of(inst);
    uint32_t whole = gw_round_up(inst->out_n, flash->write_size);

    if (inst->out_n > inst->variant.size - inst->written) {
        return GW_ERR_DECODE;
    }
    int err = gw_install_erase_ahead(inst, inst->written + inst->out_n);
    if (err != GW_OK) {
        return err;
    }
    memset(inst->out + inst->out_n, flash->erased, whole - inst->out_n);
    err = gw_flash_write(flash, inst->target.start + inst->written, inst->out, whole);
    if (err != GW_OK) {
        return err;
    }
    inst->written += inst->out_n;
    inst->out_n = 0;
    inst->salvage = 0;
    uint32_t next = inst->phase == GW_PHASE_STREAM ? codec(inst)->next(decoder(inst)) : 0;
    err = next != 0 && inst->decoding == 1 ? mark(inst, next) : GW_OK;
    return err == GW_OK ? GW_MORE : err;
}

int gw_decode_step(struct gw_install *inst)
{
    size_t n = 0;

    if (inst->decoding == 0) {
        return inst->phase == GW_PHASE_APPLY || inst->piece > 0 ? start(inst) : GW_WANT;
    }
    if (inst->out_n == GW_INSTALL_OUT || (inst->decoding == 2 && inst->out_n > 0)) {
        return flush(inst);
    }
    if (inst->decoding == 2) {
        bool all = inst->written == inst->variant.size && gw_frames_length(&inst->frames) == 0;
        return all ? GW_DONE : GW_ERR_DECODE;
    }
    int status = codec(inst)->poll(decoder(inst), inst->out + inst->out_n, GW_INSTALL_OUT - inst->out_n, &n);
    inst->out_n += (uint32_t)n;
    if (status == GW_WANT) {
        return feed(inst);
    }
    inst->decoding = status == GW_DONE ? 2 : 1;
    return status == GW_DONE ? GW_MORE : status;
}
