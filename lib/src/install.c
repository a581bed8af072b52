/*
 * install.c - the second half of an install: bytes come in, checked frames go to flash, the slot becomes STAGED.
 *
 * Keeps true: the slot is EMPTY in the journal before its first byte changes; each frame is authenticated before it is
 * decrypted; a block is erased in the session that writes it; what the journal calls written was written; the slot is
 * staged only after all of it was read back and matched the signed digest. One state, one function, one unit of work.
 */
#include "installer.h"

#include <string.h>

#define BAD_FRAMES_MAX 3u /* in a row; then the source is given up */
#define SOURCE_NAME 8u    /* bytes of a source's name in a progress record */
#define COPY_UNIT 1024u   /* copies are multiples of it, so that they continue at whole write units */

typedef int (*state_function)(struct gw_install *inst);

static const struct gw_flash *flash_of(const struct gw_install *inst)
{
    return inst->config->dev->flash;
}

static const struct gw_choice *choice_of(const struct gw_install *inst)
{
    return &inst->plan.choice[inst->step];
}

static int go(struct gw_install *inst, enum gw_install_state state)
{
    inst->state = state;
    inst->position = 0;
    return GW_MORE;
}

/* ---- Records -------------------------------------------------------------------------------------------------- */

/* Does the journal say that this manifest is being installed into this slot? Then the slot holds it, whole. */
static int recall_install(const struct gw_install *inst)
{
    uint8_t r[1 + GW_DIGEST_SIZE];
    uint32_t n = 0;

    int err = gw_journal_get(inst->config->dev->journal, GW_REC_INSTALL, r, sizeof r, &n);
    if (err != GW_OK) {
        return err;
    }
    bool ours = n == sizeof r && r[0] == inst->slot && memcmp(r + 1, inst->manifest.digest, GW_DIGEST_SIZE) == 0;
    return ours ? GW_OK : GW_ERR_NOTHING;
}

static int keep_install(struct gw_install *inst)
{
    uint8_t r[1 + GW_DIGEST_SIZE];

    r[0] = inst->slot;
    memcpy(r + 1, inst->manifest.digest, GW_DIGEST_SIZE);
    int err = gw_install_note(inst); /* first: a progress record counts only with the install record after it */
    return err == GW_OK ? gw_journal_put(inst->config->dev->journal, GW_REC_INSTALL, r, sizeof r) : err;
}

/* What tells the source of a component from another source of the same image. */
static const uint8_t *source_name(const struct gw_install *inst)
{
    return choice_of(inst)->copy ? inst->variant.digest : inst->payload.name;
}

int gw_install_note_as(struct gw_install *inst, uint8_t *r, uint32_t n)
{
    const uint8_t *expect = inst->frames.expect;

    memset(r, 0, GW_PROGRESS_RECORD);
    r[0] = (uint8_t)inst->step;
    r[1] = (uint8_t)(inst->salvage | (uint32_t)inst->phase << 1);
    gw_put32(r + 2, inst->written);
    if (inst->step < inst->plan.count) {
        memcpy(r + 6, source_name(inst), SOURCE_NAME);
    }
    if (n > GW_PROGRESS_RECORD) {
        gw_put32(r + GW_PROGRESS_RECORD, inst->stream_at);
        if (inst->stream_at / inst->payload.frame_size != inst->frames.frame) {
            expect = inst->frame_hash; /* the unit begins in the frame that is being decoded */
        }
    }
    memcpy(r + 14, expect, GW_DIGEST_SIZE);
    return gw_journal_put(inst->config->dev->journal, GW_REC_PROGRESS, r, n);
}

int gw_install_note(struct gw_install *inst)
{
    uint8_t r[GW_RECORD_MAX];
    uint32_t n = 0;

    if (inst->phase == GW_PHASE_STREAM && inst->written > 0) { /* the header stays in it */
        int err = gw_journal_get(inst->config->dev->journal, GW_REC_PROGRESS, r, sizeof r, &n);
        if (err != GW_OK) {
            return err;
        }
    }
    return gw_install_note_as(inst, r, n > GW_PROGRESS_STREAM ? n : GW_PROGRESS_RECORD);
}

/* The plan's payload, or the one that an earlier attempt had to take instead of it. */
static void recall_choice(struct gw_install *inst, const uint8_t *name)
{
    struct gw_choice *choice = &inst->plan.choice[inst->step];
    struct gw_payload p;

    for (uint32_t i = 0; !choice->copy && gw_variant_payload(&inst->variant, i, &p) == GW_OK; i++) {
        if (memcmp(p.name, name, SOURCE_NAME) == 0 && (i == choice->payload || gw_decode_may(inst, &p))) {
            inst->plan.fetch_bytes += p.size - inst->payload.size;
            choice->payload = i;
            return;
        }
    }
}

/* Takes up how far the current component was; `n` bytes of record. All of it, or nothing: then from its start. */
static int recall_component(struct gw_install *inst, const uint8_t *r, uint32_t n)
{
    uint32_t written = gw_get32(r + 2), at = 0;
    unsigned phase = r[1] >> 1;

    int err = gw_install_select(inst);
    if (err == GW_OK) {
        recall_choice(inst, r + 6);
        err = gw_install_select(inst);
    }
    bool same = phase == inst->phase || (phase == GW_PHASE_APPLY && inst->phase == GW_PHASE_STORE);
    bool marked = phase != GW_PHASE_STREAM || n > GW_PROGRESS_STREAM;
    if (err != GW_OK || !same || !marked || memcmp(r + 6, source_name(inst), SOURCE_NAME) != 0 ||
        (written > inst->goal && phase != GW_PHASE_APPLY)) {
        return err; /* another source than before */
    }
    inst->salvage = r[1] & 1u;
    if (phase == GW_PHASE_APPLY) {
        return gw_decode_aim(inst, GW_PHASE_APPLY); /* from its start, without fetching anything */
    }
    inst->written = written;
    if (choice_of(inst)->copy || written == 0) {
        return GW_OK;
    }
    uint32_t whole = inst->payload.frame_size + (phase == GW_PHASE_STORE ? GW_DIGEST_SIZE : 0);
    at = (written + whole - 1) / whole;
    if (phase == GW_PHASE_STREAM) {
        inst->stream_at = gw_get32(r + GW_PROGRESS_RECORD);
        at = inst->stream_at / inst->payload.frame_size;
    }
    gw_frames_start(&inst->frames, &inst->payload, at, r + 14);
    return GW_OK;
}

int gw_install_recall(struct gw_install *inst)
{
    uint8_t r[GW_RECORD_MAX];
    uint32_t n = 0;

    int err = recall_install(inst);
    if (err == GW_OK) {
        err = gw_journal_get(inst->config->dev->journal, GW_REC_PROGRESS, r, sizeof r, &n);
    }
    if (err == GW_OK && (n < GW_PROGRESS_RECORD || r[0] > inst->plan.count)) {
        err = GW_ERR_NOTHING;
    }
    for (; err == GW_OK && inst->step < r[0]; inst->step++) {
        err = gw_install_select(inst);
        inst->done_before += choice_of(inst)->copy ? 0 : inst->payload.size;
    }
    if (err != GW_OK || inst->step == inst->plan.count) {
        return err;
    }
    return recall_component(inst, r, n);
}

int gw_install_forget(struct gw_install *inst)
{
    struct gw_journal *j = inst->config->dev->journal;

    int err = gw_journal_put(j, GW_REC_INSTALL, NULL, 0);
    if (err == GW_OK) {
        err = gw_journal_put(j, GW_REC_PROGRESS, NULL, 0);
    }
    return err == GW_OK ? gw_journal_settle(j) : err;
}

/* ---- Flash ---------------------------------------------------------------------------------------------------- */

/* Copies up to a buffer full, at most n bytes, from one address to another; *moved of them. */
static int move(struct gw_install *inst, uint32_t from, uint32_t to, uint32_t n, uint32_t *moved)
{
    const struct gw_flash *flash = flash_of(inst);
    uint8_t *buffer = inst->config->buffer;
    uint32_t most = (uint32_t)inst->config->buffer_size / COPY_UNIT * COPY_UNIT;

    most = most < GW_FRAME_MAX ? most : GW_FRAME_MAX;
    n = n < most ? n : most;
    int err = gw_flash_read(flash, from, buffer, n);
    if (err == GW_OK) {
        uint32_t whole = gw_round_up(n, flash->write_size);
        memset(buffer + n, flash->erased, whole - n);
        err = gw_flash_write(flash, to, buffer, whole);
    }
    *moved = n;
    return err;
}

/* Erases one block if `end` (an offset in the target) is not in erased flash yet: GW_MORE. GW_OK: it is. */
int gw_install_erase_ahead(struct gw_install *inst, uint32_t end)
{
    if (end <= inst->erased_to) {
        return GW_OK;
    }
    int err = gw_area_erase(flash_of(inst), inst->target, &inst->erased_to);
    return err == GW_DONE ? GW_ERR_SLOT_SMALL : err;
}

/* ---- States --------------------------------------------------------------------------------------------------- */

static int st_failed(struct gw_install *inst)
{
    return inst->error != GW_OK ? inst->error : GW_ERR_STATE;
}

static int st_clear(struct gw_install *inst)
{
    int err = gw_slots_clear(inst->config->dev, (enum gw_slot)inst->slot);
    if (err == GW_OK) {
        err = gw_install_forget(inst);
    }
    return err == GW_OK ? go(inst, GW_ST_ERASE) : err;
}

static int st_erase(struct gw_install *inst)
{
    int status = gw_area_erase(flash_of(inst), inst->manifest_area, &inst->position);

    return status == GW_DONE ? go(inst, GW_ST_STORE) : status;
}

static int st_store(struct gw_install *inst)
{
    int err = gw_store_write(flash_of(inst), inst->manifest_area, inst->manifest_bytes.p,
                             (uint32_t)inst->manifest_bytes.n);
    if (err == GW_OK) {
        err = gw_install_select(inst);
    }
    if (err == GW_OK) {
        err = keep_install(inst);
    }
    return err == GW_OK ? go(inst, GW_ST_COMPONENT) : err;
}

/* The erase block in which writing goes on. */
static int current_block(const struct gw_install *inst, struct gw_area *block)
{
    return gw_flash_block(flash_of(inst), inst->target.start + inst->written, block);
}

static enum gw_install_state source_state(const struct gw_install *inst)
{
    return choice_of(inst)->copy ? GW_ST_COPY : inst->phase >= GW_PHASE_APPLY ? GW_ST_DECODE : GW_ST_FETCH;
}

static size_t key_size(const struct gw_install *inst)
{
    return inst->payload.cipher == GW_ALG_A128CTR ? 16 : 32;
}

/* The key of the current payload, once for all its frames. */
static int derive_key(struct gw_install *inst)
{
    const struct gw_choice *c = choice_of(inst);

    if (c->copy || inst->payload.cipher == 0) {
        return GW_OK;
    }
    return gw_payload_key(inst->config->dev->crypto, inst->cek, inst->cek_size, inst->component, c->variant, c->payload,
                          inst->key, key_size(inst));
}

/* All frames are stored: on to decoding them. */
static int apply(struct gw_install *inst)
{
    int err = gw_decode_aim(inst, GW_PHASE_APPLY);

    inst->written = 0;
    if (err == GW_OK) {
        err = gw_install_note(inst);
    }
    gw_frames_start(&inst->frames, &inst->payload, 0, inst->payload.head);
    return err == GW_OK ? go(inst, GW_ST_COMPONENT) : err;
}

/* The payload is of no use here, and nothing of it was used: the next one in the list that is no delta. */
static int take_next(struct gw_install *inst, int reason)
{
    const struct gw_install_config *c = inst->config;
    struct gw_choice *choice = &inst->plan.choice[inst->step];
    struct gw_payload p;
    uint32_t old = inst->payload.size;

    if (c->passed != NULL) {
        c->passed(c->ctx, choice->component, choice->variant, choice->payload, reason);
    }
    for (uint32_t i = choice->payload + 1; gw_variant_payload(&inst->variant, i, &p) == GW_OK; i++) {
        if (gw_decode_may(inst, &p)) {
            choice->payload = i;
            inst->plan.fetch_bytes += p.size - old;
            int err = gw_install_select(inst);
            return err == GW_OK ? go(inst, GW_ST_COMPONENT) : err;
        }
    }
    return reason;
}

static int st_component(struct gw_install *inst)
{
    struct gw_area block;

    if (inst->step == inst->plan.count) {
        return go(inst, GW_ST_READY);
    }
    int err = derive_key(inst);
    if (err != GW_OK) {
        return err;
    }
    if (inst->payload.delta && !choice_of(inst)->copy && !inst->precursor_ok) {
        return go(inst, GW_ST_PRECURSOR);
    }
    inst->erased_to = inst->written;
    if (inst->written == inst->goal) {
        return inst->phase == GW_PHASE_STORE ? apply(inst) : go(inst, GW_ST_READ_BACK);
    }
    err = current_block(inst, &block);
    if (err != GW_OK) {
        return err;
    }
    if (block.start == inst->target.start + inst->written) {
        return go(inst, source_state(inst));
    }
    /* An interruption in the middle of a block: behind what the journal calls written anything may be. */
    return go(inst, inst->salvage != 0 ? GW_ST_RENEW : GW_ST_WORK);
}

static int st_work(struct gw_install *inst)
{
    int status = gw_area_erase(flash_of(inst), inst->work, &inst->position);

    return status == GW_DONE ? go(inst, GW_ST_SAVE) : status;
}

/* One piece of the head of the spoiled block, to the work block or back from there; `then` when it is complete. */
static int move_head(struct gw_install *inst, bool back, enum gw_install_state then)
{
    struct gw_area block;
    uint32_t moved = 0;

    int err = current_block(inst, &block);
    if (err != GW_OK) {
        return err;
    }
    uint32_t here = block.start + inst->position, there = inst->work.start + inst->position;
    uint32_t left = inst->target.start + inst->written - here;
    err = move(inst, back ? there : here, back ? here : there, left, &moved);
    inst->position += moved;
    if (err != GW_OK || moved < left) {
        return err == GW_OK ? GW_MORE : err;
    }
    if (back) {
        inst->erased_to = block.start + block.size - inst->target.start;
    } else {
        inst->salvage = 1;
        err = gw_install_note(inst);
    }
    return err == GW_OK ? go(inst, then) : err;
}

static int st_save(struct gw_install *inst)
{
    return move_head(inst, false, GW_ST_RENEW);
}

static int st_renew(struct gw_install *inst)
{
    struct gw_area block;

    int err = current_block(inst, &block);
    if (err == GW_OK) {
        err = gw_flash_erase(flash_of(inst), block.start);
    }
    return err == GW_OK ? go(inst, GW_ST_RESTORE) : err;
}

static int st_restore(struct gw_install *inst)
{
    return move_head(inst, true, source_state(inst));
}

/* Drops a bad frame; gives the source up after several in a row. */
static int bad_frame(struct gw_install *inst, uint32_t length)
{
    inst->asked_again += length;
    inst->refused++;
    return inst->refused < BAD_FRAMES_MAX ? GW_ERR_FRAME_HASH : GW_ERR_SOURCE;
}

int gw_install_take_frame(struct gw_install *inst)
{
    const struct gw_crypto *crypto = inst->config->dev->crypto;
    uint8_t *buffer = inst->config->buffer;
    uint32_t length = gw_frames_length(&inst->frames);
    uint32_t block = inst->frames.frame * (inst->payload.frame_size / 16);
    struct gw_span content;

    memcpy(inst->frame_hash, inst->frames.expect, GW_DIGEST_SIZE);
    int err = gw_frames_check(&inst->frames, crypto, buffer, &content);
    if (err != GW_OK) {
        return err;
    }
    bool whole = inst->phase == GW_PHASE_STORE; /* with its hash, and as it came: checked again when it is used */
    inst->piece_at = whole ? 0 : (uint32_t)(length - content.n);
    inst->piece = length - inst->piece_at;
    if (!whole && inst->payload.cipher != 0 &&
        crypto->aes_ctr(crypto->ctx, inst->key, key_size(inst), block, buffer + inst->piece_at, content.n) != 0) {
        return GW_ERR_CRYPTO;
    }
    return GW_OK;
}

static int st_fetch(struct gw_install *inst)
{
    uint32_t length = gw_frames_length(&inst->frames);

    if (!gw_frames_complete(&inst->frames)) {
        uint32_t next = inst->written + inst->payload.frame_size + (inst->phase == GW_PHASE_STORE ? GW_DIGEST_SIZE : 0);
        next = inst->phase == GW_PHASE_STREAM ? inst->written : next < inst->goal ? next : inst->goal;
        int err = gw_install_erase_ahead(inst, next); /* while the bytes are on their way */
        return err == GW_OK ? GW_WANT : err;
    }
    int err = gw_install_take_frame(inst);
    if (err == GW_ERR_FRAME_HASH) {
        return bad_frame(inst, length);
    }
    inst->refused = 0;
    return err == GW_OK ? go(inst, inst->phase == GW_PHASE_STREAM ? GW_ST_DECODE : GW_ST_WRITE) : err;
}

static int st_write(struct gw_install *inst)
{
    const struct gw_flash *flash = flash_of(inst);
    uint8_t *piece = inst->config->buffer + inst->piece_at;
    uint32_t whole = gw_round_up(inst->piece, flash->write_size);

    if (inst->piece > inst->goal - inst->written) {
        return GW_ERR_PAYLOAD_LONG;
    }
    int err = gw_install_erase_ahead(inst, inst->written + inst->piece);
    if (err != GW_OK) {
        return err;
    }
    memset(piece + inst->piece, flash->erased, whole - inst->piece);
    err = gw_flash_write(flash, inst->target.start + inst->written, piece, whole);
    if (err == GW_OK) {
        inst->written += inst->piece;
        inst->salvage = 0;
        err = gw_install_note(inst);
    }
    if (err != GW_OK) {
        return err;
    }
    if (gw_frames_length(&inst->frames) != 0) {
        return go(inst, GW_ST_FETCH);
    }
    return inst->phase == GW_PHASE_STORE ? apply(inst) : go(inst, GW_ST_READ_BACK);
}

static int st_decode(struct gw_install *inst)
{
    int status = gw_decode_step(inst);

    if (status == GW_WANT) {
        return go(inst, GW_ST_FETCH);
    }
    if (status == GW_DONE) {
        return go(inst, GW_ST_READ_BACK);
    }
    bool useless = status == GW_ERR_ENCODING || status == GW_ERR_VERSION || status == GW_ERR_DECODER_RAM;
    if (useless && inst->written == 0) {
        return take_next(inst, status); /* of an instruction set, or of a version, that is not here */
    }
    if (status == GW_ERR_DECODE || status == GW_ERR_FLASH_VERIFY) { /* the next attempt begins afresh */
        int err = gw_install_forget(inst);
        return err == GW_OK ? status : err;
    }
    return status;
}

static int st_copy(struct gw_install *inst)
{
    uint32_t left = inst->variant.size - inst->written, moved = 0;
    uint32_t next = left < GW_FRAME_MAX ? left : GW_FRAME_MAX;

    int err = gw_install_erase_ahead(inst, inst->written + next);
    if (err != GW_OK) {
        return err;
    }
    err = move(inst, inst->source.start + inst->written, inst->target.start + inst->written, left, &moved);
    if (err == GW_OK) {
        inst->written += moved;
        inst->salvage = 0;
        err = gw_install_note(inst);
    }
    return err == GW_OK ? go(inst, moved == left ? GW_ST_READ_BACK : GW_ST_COPY) : err;
}

/* The component is complete and right: on to the next one. */
static int next_component(struct gw_install *inst)
{
    int err = GW_OK;

    inst->done_before += choice_of(inst)->copy ? 0 : inst->payload.size;
    inst->step++;
    inst->written = 0;
    if (inst->step < inst->plan.count) {
        err = gw_install_select(inst);
    }
    if (err == GW_OK) {
        err = gw_install_note(inst);
    }
    return err == GW_OK ? go(inst, GW_ST_COMPONENT) : err;
}

/* Hashes n bytes of an area, a piece with each call: GW_MORE; GW_OK and the digest at the end. */
static int hash_area(struct gw_install *inst, uint32_t start, uint32_t size, uint8_t digest[GW_DIGEST_SIZE])
{
    const struct gw_crypto *c = inst->config->dev->crypto;
    uint8_t *buffer = inst->config->buffer;
    uint32_t n = size - inst->position;

    if (inst->position == 0 && c->sha256_start(c->ctx, &inst->hash) != 0) {
        return GW_ERR_CRYPTO;
    }
    n = n < GW_INSTALL_BUFFER_MIN ? n : GW_INSTALL_BUFFER_MIN;
    int err = gw_flash_read(flash_of(inst), start + inst->position, buffer, n);
    if (err != GW_OK) {
        return err;
    }
    if (c->sha256_update(c->ctx, &inst->hash, buffer, n) != 0) {
        return GW_ERR_CRYPTO;
    }
    inst->position += n;
    if (inst->position < size) {
        return GW_MORE;
    }
    return c->sha256_finish(c->ctx, &inst->hash, digest) != 0 ? GW_ERR_CRYPTO : GW_OK;
}

/* The image that the delta was made from: is it still what was installed? */
static int st_precursor(struct gw_install *inst)
{
    uint8_t digest[GW_DIGEST_SIZE];

    int status = hash_area(inst, inst->source.start, choice_of(inst)->precursor_size, digest);
    if (status != GW_OK) {
        return status == GW_ERR_FLASH_READ ? take_next(inst, GW_ERR_PRECURSOR) : status;
    }
    if (!gw_equal(digest, inst->payload.precursor, sizeof digest)) {
        return take_next(inst, GW_ERR_PRECURSOR);
    }
    inst->precursor_ok = 1;
    return go(inst, GW_ST_COMPONENT);
}

static int st_read_back(struct gw_install *inst)
{
    uint8_t digest[GW_DIGEST_SIZE];

    int err = hash_area(inst, inst->target.start, inst->variant.size, digest);
    if (err != GW_OK) {
        return err;
    }
    if (!gw_equal(digest, inst->variant.digest, sizeof digest)) {
        err = gw_install_forget(inst); /* the next attempt begins afresh */
        return err == GW_OK ? GW_ERR_IMAGE_DIGEST : err;
    }
    return next_component(inst);
}

static int st_ready(struct gw_install *inst)
{
    (void)inst;
    return GW_DONE;
}

static const state_function states[GW_ST_COUNT] = {
    [GW_ST_FAILED] = st_failed,       [GW_ST_CLEAR] = st_clear,     [GW_ST_ERASE] = st_erase,
    [GW_ST_STORE] = st_store,         [GW_ST_COMPONENT] = st_component, [GW_ST_WORK] = st_work,
    [GW_ST_SAVE] = st_save,           [GW_ST_RENEW] = st_renew,     [GW_ST_RESTORE] = st_restore,
    [GW_ST_FETCH] = st_fetch,         [GW_ST_WRITE] = st_write,     [GW_ST_COPY] = st_copy,
    [GW_ST_PRECURSOR] = st_precursor, [GW_ST_DECODE] = st_decode,
    [GW_ST_READ_BACK] = st_read_back, [GW_ST_READY] = st_ready,
};

int gw_install_select(struct gw_install *inst)
{
    const struct gw_device *dev = inst->config->dev;
    const struct gw_choice *choice = choice_of(inst);
    struct gw_component c;

    int err = gw_manifest_component(&inst->manifest, choice->component, &c);
    if (err == GW_OK) {
        err = gw_component_variant(&c, choice->variant, &inst->variant);
    }
    if (err == GW_OK && !choice->copy) {
        err = gw_variant_payload(&inst->variant, choice->payload, &inst->payload);
    }
    if (err == GW_OK) {
        err = gw_component_area(dev, (enum gw_slot)inst->slot, c.kind, c.id, &inst->target);
    }
    if (err == GW_OK && (choice->copy || inst->payload.delta)) {
        err = gw_component_area(dev, (enum gw_slot)(inst->slot ^ 1u), c.kind, c.id, &inst->source);
    }
    inst->component = c.id;
    inst->written = 0;
    inst->salvage = 0;
    gw_frames_start(&inst->frames, &inst->payload, 0, inst->payload.head);
    return err == GW_OK ? gw_decode_begin(inst) : err;
}

/* ---- The caller's side ---------------------------------------------------------------------------------------- */

int gw_install_poll(struct gw_install *inst)
{
    int status = states[inst->state < GW_ST_COUNT ? inst->state : GW_ST_FAILED](inst);

    if (status < 0 && status != GW_ERR_FRAME_HASH) {
        inst->error = status;
    }
    if (inst->error != GW_OK) {
        inst->state = GW_ST_FAILED;
    }
    return status;
}

int gw_install_want(struct gw_install *inst, struct gw_want *want)
{
    if (inst->state != GW_ST_FETCH || gw_frames_complete(&inst->frames)) {
        return GW_ERR_STATE;
    }
    memcpy(want->payload, inst->payload.name, GW_DIGEST_SIZE);
    want->offset = gw_frames_offset(&inst->frames);
    want->longest = inst->payload.size - want->offset;
    want->frame = gw_frames_length(&inst->frames) - inst->frames.held;
    return GW_OK;
}

int gw_install_push(struct gw_install *inst, const uint8_t *bytes, size_t n, size_t *used)
{
    *used = 0;
    if (inst->state == GW_ST_FAILED) {
        return st_failed(inst);
    }
    if (inst->state == GW_ST_READ_BACK || inst->state == GW_ST_READY) {
        return n == 0 ? GW_OK : GW_ERR_PAYLOAD_LONG;
    }
    if (inst->state == GW_ST_FETCH) {
        *used = gw_frames_push(&inst->frames, inst->config->buffer, bytes, n);
    }
    return GW_OK;
}

int gw_install_end(struct gw_install *inst)
{
    bool fetching = inst->state == GW_ST_FETCH || inst->state == GW_ST_WRITE || inst->state == GW_ST_DECODE;
    bool short_of = fetching && gw_frames_offset(&inst->frames) < inst->payload.size;

    return short_of ? GW_ERR_PAYLOAD_SHORT : GW_OK;
}

int gw_install_finish(struct gw_install *inst)
{
    if (inst->state != GW_ST_READY) {
        return inst->error != GW_OK ? inst->error : GW_ERR_STATE;
    }
    int err = gw_slots_stage(inst->config->dev, (enum gw_slot)inst->slot, &inst->release);
    if (err == GW_OK) {
        err = gw_install_forget(inst);
    }
    gw_wipe(inst, sizeof *inst);
    return err;
}

int gw_install_abort(struct gw_install *inst, bool forget)
{
    int err = GW_OK;

    if (inst->config != NULL) {
        err = forget ? gw_install_forget(inst) : gw_journal_settle(inst->config->dev->journal);
    }
    gw_wipe(inst, sizeof *inst);
    return err;
}

void gw_install_progress(const struct gw_install *inst, struct gw_progress *progress)
{
    bool fetched = inst->step < inst->plan.count && !choice_of(inst)->copy;
    uint32_t here = gw_frames_offset(&inst->frames) - inst->frames.held;

    here = inst->phase == GW_PHASE_APPLY ? inst->payload.size : here; /* all of it is here; its frames are read again */
    progress->done = inst->done_before + (fetched ? here : 0);
    progress->total = inst->plan.fetch_bytes;
    progress->asked_again = inst->asked_again;
}
