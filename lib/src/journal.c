/*
 * journal.c - an append-only log of small records in two banks, of which one is in use (SPEC.md, section 10).
 *
 * Keeps true:
 *  - no record is written where an interrupted write may have left a unit that only reads as blank: before the first
 *    record after a mount, the position there is spoilt (programmed to all ~erased), and nobody ever reads it;
 *  - nothing depends on a record that may read differently next time: if nothing proves that the last write was
 *    completed, the other bank is begun afresh, from what was read once, before mount returns;
 *  - a bank is used only when something behind its snapshot proves that its header was completely written; until then
 *    the other bank is the truth, and it says the same. A bank that is not used is declared void in the other before it
 *    is erased: an interrupted erase may leave it looking whole.
 * Does not: interpret bodies; protect against writers of the flash (SECURITY.md).
 */
#include "store.h"

#include <string.h>

#define MAGIC 0x47574a31u /* "GWJ1" */
#define HEADER 16u
#define OVERHEAD 6u /* kind, length, CRC-32 */
#define PROOFS 2u   /* SETTLED records that begin a bank: one for the header, one for the first */
#define LONGEST (GW_RECORD_MAX + OVERHEAD + GW_WRITE_MAX)

/* What a scan of one bank found. */
struct scan {
    uint32_t newest; /* address of the last whole record; 0: none */
    uint32_t end;    /* behind everything that may have been programmed */
    uint32_t proofs; /* things behind the snapshot: one proves that the header, two that the first was completely written */
    bool clean;      /* the last thing is a SETTLED record, blank behind it */
    uint8_t copy[LONGEST]; /* of the newest record: it may not read as well again */
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

    int err = gw_flash_write(j->flash, address, data, n);
    for (uint32_t at = 0; err == GW_OK && at < n; at += 8) {
        err = gw_flash_read(j->flash, address + at, back, 8);
        if (err == GW_OK && memcmp(back, data + at, 8) != 0) {
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

    if (left < OVERHEAD || gw_flash_read(j->flash, address, record, 2) != GW_OK) {
        return GW_ERR_NOTHING;
    }
    uint32_t body = record[1];
    if (record[0] == 0 || record[0] >= GW_JOURNAL_KINDS || body > GW_RECORD_MAX || body + OVERHEAD > left) {
        return GW_ERR_NOTHING;
    }
    if (gw_flash_read(j->flash, address, record, body + OVERHEAD) != GW_OK ||
        gw_get32(record + 2 + body) != record_crc(generation, record, body)) {
        return GW_ERR_TRUNCATED; /* a head, but not a whole record */
    }
    return (int)body;
}

static bool blank(const struct gw_journal *j, uint32_t address)
{
    uint8_t unit[GW_WRITE_MAX];
    uint32_t n = step(j);

    if (gw_flash_read(j->flash, address, unit, n) != GW_OK) {
        return false;
    }
    while (n > 0 && unit[n - 1] == j->flash->erased) {
        n--;
    }
    return n == 0;
}

/* Generation of a bank and the end of its snapshot; 0 if it has no valid header. */
static uint32_t read_header(const struct gw_journal *j, unsigned bank, uint32_t *snapshot)
{
    uint8_t h[HEADER];

    if (gw_flash_read(j->flash, j->bank[bank].start, h, sizeof h) != GW_OK || gw_get32(h) != MAGIC ||
        gw_get32(h + 12) != gw_crc32(0, h, 12) || gw_get32(h + 8) > j->bank[bank].size) {
        return 0;
    }
    *snapshot = j->bank[bank].start + gw_get32(h + 8);
    return gw_get32(h + 4);
}

/* One position without a whole record: how far may a write have touched? */
static uint32_t touched_to(const struct gw_journal *j, uint32_t at, int torn, const uint8_t *record)
{
    if (torn == GW_ERR_TRUNCATED) {
        return at + record_size(j, record[1]); /* the torn record may reach so far, even where it reads as blank */
    }
    return blank(j, at) ? 0 : at + step(j);
}

/* Looks at every position of a bank; fills j->at. */
static void scan_bank(struct gw_journal *j, unsigned bank, uint32_t generation, uint32_t snapshot, struct scan *s)
{
    uint8_t record[LONGEST];
    uint32_t at = j->bank[bank].start + header_size(j);

    memset(j->at, 0, sizeof j->at);
    memset(s, 0, sizeof *s);
    s->end = at;
    while (at + step(j) <= bank_end(j, bank)) {
        int body = read_record(j, bank, generation, at, record);
        uint32_t next = at + step(j);
        uint32_t touched = touched_to(j, at, body, record);
        if (body >= 0) {
            j->at[record[0]] = body > 0 ? at : 0;
            s->newest = at;
            memcpy(s->copy, record, sizeof s->copy);
            next = at + record_size(j, (uint32_t)body);
            touched = next;
            s->clean = record[0] == GW_REC_SETTLED;
        }
        s->proofs += at >= snapshot && touched != 0;
        s->clean = s->clean && (body >= 0 || touched == 0);
        s->end = touched > s->end ? touched : s->end;
        at = next;
    }
}

/*
 * Programs the position at j->next to all ~erased: whatever an interrupted write has left there, no cell is in between
 * any more, and the next scan sees it. Parts that refuse to program it, or to read it, serve as well.
 */
static void spoil(struct gw_journal *j)
{
    uint8_t unit[GW_WRITE_MAX];

    memset(unit, (uint8_t)~j->flash->erased, sizeof unit);
    int ignored = gw_flash_write(j->flash, j->next, unit, step(j));
    (void)ignored;
    j->next += step(j);
    j->guard = 0;
}

/* Appends at j->next, no questions asked. */
static int append(struct gw_journal *j, uint8_t kind, const uint8_t *body, uint32_t n)
{
    uint8_t record[LONGEST] = { 0 };

    if (j->guard != 0) {
        spoil(j);
    }
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
    gw_put32(h + 12, gw_crc32(0, h, 12));
    return program(j, j->bank[bank].start, h, header_size(j));
}

/*
 * Copies the newest records into the other bank, then switches: snapshot, header, SETTLED twice, in this order. The
 * newest of all comes from `s` (may be NULL).
 */
static int compact_as(struct gw_journal *j, uint32_t generation, const struct scan *s)
{
    uint8_t record[LONGEST];
    struct gw_journal to = *j;

    to.current = j->current ^ 1u;
    to.generation = generation;
    to.guard = 0;
    to.next = j->bank[to.current].start + header_size(j);
    memset(to.at, 0, sizeof to.at);
    int err = erase_bank(&to, to.current);
    for (uint8_t kind = GW_REC_BOOT; err == GW_OK && kind < GW_JOURNAL_KINDS; kind++) {
        if (j->at[kind] == 0) {
            continue;
        }
        int body;
        if (s != NULL && s->newest == j->at[kind]) {
            memcpy(record, s->copy, sizeof record);
            body = record[1];
        } else {
            body = read_record(j, j->current, j->generation, j->at[kind], record);
        }
        err = body < 0 ? GW_ERR_FLASH_READ
              : to.next + record_size(j, (uint32_t)body) > bank_end(j, to.current) ? GW_ERR_JOURNAL_FULL
              : append(&to, kind, record + 2, (uint32_t)body);
    }
    if (err == GW_OK) {
        err = write_header(&to, to.current);
    }
    for (unsigned i = 0; err == GW_OK && i < PROOFS; i++) {
        err = append(&to, GW_REC_SETTLED, NULL, 0);
    }
    j->erases = to.erases;
    if (err == GW_OK) {
        *j = to;
    }
    return err;
}

static int compact(struct gw_journal *j, const struct scan *s)
{
    return compact_as(j, j->generation + 1, s);
}

/* Is there room for records of so many bytes in all? */
static bool room(const struct gw_journal *j, uint32_t bytes)
{
    return j->next + (j->guard != 0 ? step(j) : 0) + bytes <= bank_end(j, j->current);
}

/* Room for a record, with enough left to settle and to declare the other bank void, twice. */
static bool fits(const struct gw_journal *j, uint32_t body)
{
    return room(j, record_size(j, body) + record_size(j, 0) + 2 * (step(j) + record_size(j, 4)));
}

/* The other bank, of generation `doubtful`, is in doubt, and the one in use says the same: makes the other anew. */
static int renew_other(struct gw_journal *j, uint32_t doubtful, const struct scan *s)
{
    uint8_t body[4];
    int err = GW_OK;

    gw_put32(body, doubtful);
    if (room(j, record_size(j, sizeof body))) {
        err = append(j, GW_REC_VOID, body, sizeof body);
    }
    return err == GW_OK ? compact_as(j, doubtful + 1, s) : err;
}

/* No bank is valid: begins an empty journal in bank 0. */
static int format(struct gw_journal *j)
{
    j->lost = 1;
    j->current = 1;
    j->generation = 0;
    return compact(j, NULL);
}

/* Takes up the records of a bank. */
static void use_bank(struct gw_journal *j, unsigned bank, uint32_t generation, uint32_t snapshot, struct scan *s)
{
    j->current = (uint8_t)bank;
    j->generation = generation;
    scan_bank(j, bank, generation, snapshot, s);
    j->next = s->end;
    j->guard = 1;
}

/* The generation that a bank declares void in the other; 0: none. */
static uint32_t declared_void(struct gw_journal *j, unsigned bank, uint32_t generation, uint32_t snapshot,
                              struct scan *s)
{
    uint8_t body[4];
    uint32_t n = 0;

    if (generation == 0) {
        return 0;
    }
    use_bank(j, bank, generation, snapshot, s);
    return gw_journal_get(j, GW_REC_VOID, body, sizeof body, &n) == GW_OK && n == sizeof body ? gw_get32(body) : 0;
}

int gw_journal_mount(struct gw_journal *j, const struct gw_flash *flash, struct gw_area area)
{
    uint32_t generation[2] = { 0 }, snapshot[2] = { 0 };
    struct scan s;

    memset(j, 0, sizeof *j);
    j->flash = flash;
    for (unsigned i = 0; i < 2; i++) {
        j->bank[i] = (struct gw_area){ area.start + i * (area.size / 2), area.size / 2 };
    }
    for (unsigned try = 0; try < 6; try++) { /* what reads badly now may read well in a moment */
        if (generation[try % 2] == 0) {
            generation[try % 2] = read_header(j, try % 2, &snapshot[try % 2]);
        }
    }
    unsigned top = generation[1] > generation[0], other = top ^ 1u;
    if (generation[top] == 0) {
        return format(j);
    }
    bool is_void = declared_void(j, other, generation[other], snapshot[other], &s) == generation[top];
    use_bank(j, top, generation[top], snapshot[top], &s);
    /* Whoever declares a bank void has seen nothing behind its snapshot: where two things stand, it was never done. */
    if (generation[other] != 0 && (s.proofs == 0 || (is_void && s.proofs == 1))) {
        use_bank(j, other, generation[other], snapshot[other], &s);
        return renew_other(j, generation[top], &s);
    }
    if (!s.clean) {
        return compact(j, &s);
    }
    return s.proofs < PROOFS ? append(j, GW_REC_SETTLED, NULL, 0) : GW_OK;
}

int gw_journal_get(struct gw_journal *j, enum gw_record kind, uint8_t *body, uint32_t size, uint32_t *n)
{
    uint8_t record[LONGEST];

    if (j->at[kind] == 0) {
        return GW_ERR_NOTHING;
    }
    int length = read_record(j, j->current, j->generation, j->at[kind], record);
    if (length < 0) { /* once more: reads may fail and then work */
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
    if (fits(j, n)) {
        err = append(j, (uint8_t)kind, body, n);
    }
    if (err != GW_OK) { /* full, or a worn unit: the other bank is fresh */
        err = compact(j, NULL);
        if (err == GW_OK) {
            err = fits(j, n) ? append(j, (uint8_t)kind, body, n) : GW_ERR_JOURNAL_FULL;
        }
    }
    return err;
}

int gw_journal_settle(struct gw_journal *j)
{
    if (j->dirty == 0) {
        return GW_OK;
    }
    return room(j, record_size(j, 0)) ? append(j, GW_REC_SETTLED, NULL, 0) : compact(j, NULL);
}
