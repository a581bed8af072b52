/*
 * journal.c - an append-only log of small records in two banks, of which one is in use (SPEC.md, section 10).
 *
 * Keeps true:
 *  - a write unit is programmed once per erase. An interrupted write can leave a unit that reads as blank and is not;
 *    no reading tells. So a bank takes records only in the session that began it: the first record after a mount
 *    begins the other bank;
 *  - nothing depends on a record that may read differently next time: if nothing proves that the newest record was
 *    completely written, all records are written afresh into the other bank before mount returns;
 *  - a bank is used only when something behind its snapshot proves that its header was completely written; until then
 *    the other bank is the truth, and it says the same.
 * Does not: interpret bodies; protect against writers of the flash (SECURITY.md).
 */
#include "store.h"

#include <string.h>

#define MAGIC 0x47574a31u /* "GWJ1" */
#define HEADER 20u
#define READINGS 3u /* that must agree: an interrupted write or erase leaves units that read differently every time */
#define PROOFS 12u  /* the same for a whole bank: an interrupted erase may leave one that reads well now and then */
#define OVERHEAD 6u /* kind, length, CRC-32 */
#define MOUNTS 8u  /* attempts: what reads badly now may read well in a moment */
#define LONGEST (GW_RECORD_MAX + OVERHEAD + GW_WRITE_MAX)

/* What a scan of one bank found. */
struct scan {
    bool proven;   /* something stands behind the snapshot: the header before it was completely written */
    bool clean;    /* the last thing is a SETTLED record, blank behind it */
    bool gap;      /* a record stands behind something unreadable: no interruption does that, reading failed */
    bool weak;     /* nothing but one thing stands behind the snapshot: it may be half-programmed, and fade */
};

/* Positions are multiples of this: a write unit, 8 at least, so that a scan is short. */
static uint32_t step(const struct gw_journal *j)
{
    return j->flash->write_size > 8 ? j->flash->write_size : 8;
}

static uint32_t header_size(const struct gw_journal *j)
{
    return gw_round_up(HEADER, step(j));
}

static uint32_t record_size(const struct gw_journal *j, uint32_t body)
{
    return gw_round_up(body + OVERHEAD, step(j));
}

static uint32_t bank_end(const struct gw_journal *j, unsigned bank)
{
    return j->bank[bank].start + j->bank[bank].size;
}

static uint32_t record_crc(uint32_t generation, const uint8_t *record, uint32_t body)
{
    uint8_t salt[4];

    gw_put32(salt, generation);
    return gw_crc32(gw_crc32(0, salt, sizeof salt), record, body + 2);
}

/* Writes whole positions and reads them back. */
static int program(const struct gw_journal *j, uint32_t address, const uint8_t *data, uint32_t n)
{
    uint8_t back[GW_WRITE_MAX];
    uint32_t piece;

    int err = gw_flash_write(j->flash, address, data, n);
    for (uint32_t at = 0; err == GW_OK && at < n; at += piece) {
        piece = n - at < sizeof back ? n - at : (uint32_t)sizeof back;
        err = gw_flash_read(j->flash, address + at, back, piece);
        if (err == GW_OK && memcmp(back, data + at, piece) != 0) {
            err = GW_ERR_FLASH_VERIFY;
        }
    }
    return err;
}

/* Reads the record at `address` into `record`, whole or not. Its body's length, or negative. */
static int read_record(const struct gw_journal *j, unsigned bank, uint32_t generation, uint32_t address,
                       uint8_t record[LONGEST])
{
    uint32_t left = bank_end(j, bank) - address;
    int body = GW_ERR_NOTHING;

    for (unsigned i = 0; i < READINGS; i++) {
        if (left < OVERHEAD || gw_flash_read(j->flash, address, record, 2) != GW_OK) {
            return GW_ERR_NOTHING;
        }
        body = record[1];
        if (record[0] == 0 || record[0] >= GW_JOURNAL_KINDS || body > (int)GW_RECORD_MAX ||
            (uint32_t)body + OVERHEAD > left ||
            gw_flash_read(j->flash, address, record, (uint32_t)body + OVERHEAD) != GW_OK ||
            gw_get32(record + 2 + body) != record_crc(generation, record, (uint32_t)body)) {
            return GW_ERR_NOTHING;
        }
    }
    return body;
}

/* Bytes of blank positions from `at` on, as far as one look goes. No record starts with a blank byte. */
static uint32_t blank_from(const struct gw_journal *j, uint32_t at)
{
    uint8_t piece[2 * GW_WRITE_MAX];
    uint32_t left = bank_end(j, j->current) - at, n = 0;

    left = left < sizeof piece ? left : (uint32_t)sizeof piece;
    if (gw_flash_read(j->flash, at, piece, left) != GW_OK) {
        left = step(j); /* something in it cannot be read: position by position */
        if (gw_flash_read(j->flash, at, piece, left) != GW_OK) {
            return 0;
        }
    }
    while (n < left && piece[n] == j->flash->erased) {
        n++;
    }
    return n - n % step(j);
}

/* CRC-32 of what is between the header and `end`. */
static uint32_t snapshot_crc(const struct gw_journal *j, unsigned bank, uint32_t end)
{
    uint8_t piece[64];
    uint32_t crc = 0, n;

    for (uint32_t at = j->bank[bank].start + header_size(j); at < end; at += n) {
        n = end - at < sizeof piece ? end - at : (uint32_t)sizeof piece;
        if (gw_flash_read(j->flash, at, piece, n) != GW_OK) {
            return ~crc; /* cannot match what was written */
        }
        crc = gw_crc32(crc, piece, n);
    }
    return crc;
}

/* Generation of a bank and the end of its snapshot; 0 if header or snapshot are not whole. */
static uint32_t read_header(const struct gw_journal *j, unsigned bank, uint32_t *snapshot)
{
    uint8_t h[HEADER];

    for (unsigned i = 0; i < PROOFS; i++) {
        if (gw_flash_read(j->flash, j->bank[bank].start, h, sizeof h) != GW_OK || gw_get32(h) != MAGIC ||
            gw_get32(h + 16) != gw_crc32(0, h, 16) || gw_get32(h + 8) > j->bank[bank].size) {
            return 0;
        }
        *snapshot = j->bank[bank].start + gw_get32(h + 8);
        if (gw_get32(h + 12) != snapshot_crc(j, bank, *snapshot)) {
            return 0;
        }
    }
    return gw_get32(h + 4);
}

/* Looks at every position of a bank; fills j->at. */
static struct scan scan_bank(struct gw_journal *j, uint32_t snapshot)
{
    uint8_t record[LONGEST];
    struct scan s = { 0 };
    uint32_t at = j->bank[j->current].start + header_size(j);
    unsigned behind = 0;
    bool torn = false;

    memset(j->at, 0, sizeof j->at);
    while (at + step(j) <= bank_end(j, j->current)) {
        uint32_t skip = blank_from(j, at);
        if (skip == 0) {
            int body = read_record(j, j->current, j->generation, at, record);
            s.clean = body >= 0 && record[0] == GW_REC_SETTLED;
            skip = body >= 0 ? record_size(j, (uint32_t)body) : step(j);
            if (body >= 0) {
                j->at[record[0]] = body > 0 ? at : 0;
                s.gap = s.gap || torn;
            }
            torn = torn || body < 0;
            behind += at >= snapshot;
        }
        at += skip;
    }
    s.proven = behind > 0;
    s.weak = behind == 1;
    return s;
}

/* Appends at j->next, no questions asked. */
static int append(struct gw_journal *j, uint8_t kind, const uint8_t *body, uint32_t n)
{
    uint8_t record[LONGEST] = { 0 };
    uint32_t at = j->next;
    uint32_t size = record_size(j, n);

    record[0] = kind;
    record[1] = (uint8_t)n;
    if (n > 0) {
        memcpy(record + 2, body, n);
    }
    gw_put32(record + 2 + n, record_crc(j->generation, record, n));
    j->next += size; /* also when it fails: the units may have been touched */
    int err = program(j, at, record, size);
    if (err == GW_OK) {
        j->at[kind] = n > 0 ? at : 0;
        j->dirty = kind != GW_REC_SETTLED;
    }
    return err;
}

static int erase_bank(struct gw_journal *j, unsigned bank)
{
    uint32_t offset = 0;
    int status;

    while ((status = gw_area_erase(j->flash, j->bank[bank], &offset)) == GW_MORE) {
        j->erases++;
    }
    return status == GW_DONE ? GW_OK : status;
}

static int write_header(struct gw_journal *j, unsigned bank)
{
    uint8_t h[GW_WRITE_MAX] = { 0 };

    gw_put32(h, MAGIC);
    gw_put32(h + 4, j->generation);
    gw_put32(h + 8, j->next - j->bank[bank].start);
    gw_put32(h + 12, snapshot_crc(j, bank, j->next));
    gw_put32(h + 16, gw_crc32(0, h, 16));
    return program(j, j->bank[bank].start, h, header_size(j));
}

/* Copies the newest records into the other bank, then switches: snapshot, header, SETTLED twice, in this order. */
static int compact(struct gw_journal *j, uint32_t generation)
{
    uint8_t record[LONGEST];
    struct gw_journal to = *j;

    to.current = j->current ^ 1u;
    to.generation = generation;
    to.next = j->bank[to.current].start + header_size(j);
    memset(to.at, 0, sizeof to.at);
    int err = erase_bank(&to, to.current);
    for (uint8_t kind = GW_REC_BOOT; err == GW_OK && kind < GW_JOURNAL_KINDS; kind++) {
        if (j->at[kind] == 0) {
            continue;
        }
        int body = read_record(j, j->current, j->generation, j->at[kind], record);
        err = body < 0 ? GW_ERR_FLASH_READ
              : to.next + record_size(j, (uint32_t)body) > bank_end(j, to.current) ? GW_ERR_JOURNAL_FULL
              : append(&to, kind, record + 2, (uint32_t)body);
    }
    if (err == GW_OK) {
        err = write_header(&to, to.current);
    }
    for (unsigned i = 0; err == GW_OK && i < 2; i++) { /* the second proves that the first cannot fade */
        err = append(&to, GW_REC_SETTLED, NULL, 0);
    }
    j->erases = to.erases;
    if (err == GW_OK) {
        *j = to;
    }
    return err;
}

/* Room for a record, with enough left to settle. */
static bool fits(const struct gw_journal *j, uint32_t body)
{
    return j->next + record_size(j, body) + record_size(j, 0) <= bank_end(j, j->current);
}

/* No bank is valid: begins an empty journal in bank 0. */
static int format(struct gw_journal *j)
{
    j->lost = 1;
    j->current = 1;
    return compact(j, 1);
}

/* Takes up the records of a bank. */
static struct scan use_bank(struct gw_journal *j, unsigned bank, uint32_t generation, uint32_t snapshot)
{
    j->current = (uint8_t)bank;
    j->generation = generation;
    return scan_bank(j, snapshot);
}

/* One attempt; a unit that flaps may spoil it, or a read that fails. The last one takes what there is. */
static int mount(struct gw_journal *j, bool last)
{
    uint32_t generation[2] = { 0 }, snapshot[2] = { 0 };

    for (unsigned i = 0; i < 2 * MOUNTS; i++) { /* a bank is not given up for one bad reading */
        if (generation[i % 2] == 0) {
            generation[i % 2] = read_header(j, i % 2, &snapshot[i % 2]);
        }
    }
    unsigned top = generation[1] > generation[0], other = top ^ 1u;
    if (generation[top] == 0) {
        return GW_ERR_NOTHING;
    }
    struct scan s = use_bank(j, top, generation[top], snapshot[top]);
    if (s.gap && !last) {
        return GW_ERR_FLASH_READ;
    }
    if (!s.gap && s.proven && s.clean && !s.weak) {
        return GW_OK;
    }
    if (generation[other] != 0 && (!s.proven || s.weak)) {
        /* It was to be begun from the other bank. If that one was settled before, it says the same, beyond doubt. */
        bool settled = use_bank(j, other, generation[other], snapshot[other]).clean;
        if (s.proven && !settled) {
            (void)use_bank(j, top, generation[top], snapshot[top]);
        }
    }
    return compact(j, generation[top] + 1);
}

int gw_journal_mount(struct gw_journal *j, const struct gw_flash *flash, struct gw_area area)
{
    int err = GW_ERR_NOTHING;

    memset(j, 0, sizeof *j);
    j->flash = flash;
    for (unsigned i = 0; i < 2; i++) {
        j->bank[i] = (struct gw_area){ area.start + i * (area.size / 2), area.size / 2 };
    }
    for (unsigned try = 0; try < MOUNTS && (err == GW_ERR_NOTHING || err == GW_ERR_FLASH_READ); try++) {
        err = mount(j, try + 1 == MOUNTS);
    }
    return err == GW_ERR_NOTHING ? format(j) : err;
}

int gw_journal_get(struct gw_journal *j, enum gw_record kind, uint8_t *body, uint32_t size, uint32_t *n)
{
    uint8_t record[LONGEST];
    int length = GW_ERR_NOTHING;

    if (j->at[kind] == 0) {
        return GW_ERR_NOTHING;
    }
    for (unsigned try = 0; try < MOUNTS && length < 0; try++) {
        length = read_record(j, j->current, j->generation, j->at[kind], record);
    }
    if (length < 0) {
        return GW_ERR_FLASH_READ;
    }
    if ((uint32_t)length > size) {
        return GW_ERR_SPACE;
    }
    memcpy(body, record + 2, (uint32_t)length);
    *n = (uint32_t)length;
    return GW_OK;
}

int gw_journal_put(struct gw_journal *j, enum gw_record kind, const uint8_t *body, uint32_t n)
{
    int err = GW_ERR_FLASH_WRITE;

    if (n > GW_RECORD_MAX) {
        return GW_ERR_JOURNAL_FULL;
    }
    if (j->next != 0 && fits(j, n)) {
        err = append(j, (uint8_t)kind, body, n);
    }
    if (err != GW_OK) { /* the session's first record, a full bank, or a worn unit: the other bank is fresh */
        if (gw_journal_settle(j) != GW_OK) { /* what is left behind is beyond doubt, */
            j->dirty = 0;                    /* if its units are not worn */
        }
        err = compact(j, j->generation + 1);
        if (err == GW_OK) {
            err = fits(j, n) ? append(j, (uint8_t)kind, body, n) : GW_ERR_JOURNAL_FULL;
        }
    }
    return err;
}

int gw_journal_settle(struct gw_journal *j)
{
    return j->dirty == 0 ? GW_OK : append(j, GW_REC_SETTLED, NULL, 0);
}
