/*
 * fuzz_flash.c - what lies on flash: any bytes as a journal, a sealed object and a hand-over record.
 *
 * Properties: nothing is read out of bounds; a mount ends with a journal that takes records and gives them back after
 * another mount; what the first mount said is what the second one says; a decoded boot state encodes to the same bytes.
 * First byte of the input: write size and erased value. The rest: the flash, from its start.
 */
#include <string.h>

#include "fuzz_formats.h"
#include "slots.h"

#define BLOCK 1024u
#define SIZE (2u * BLOCK)

static uint8_t memory[SIZE];

static int flash_read(void *ctx, uint32_t address, void *data, uint32_t n)
{
    (void)ctx;
    MUST(n <= SIZE && address <= SIZE - n);
    memcpy(data, memory + address, n);
    return 0;
}

static int flash_write(void *ctx, uint32_t address, const void *data, uint32_t n)
{
    (void)ctx;
    MUST(n <= SIZE && address <= SIZE - n);
    memcpy(memory + address, data, n);
    return 0;
}

static int flash_erase(void *ctx, uint32_t address)
{
    const uint8_t *erased = ctx;
    MUST(address % BLOCK == 0 && address < SIZE);
    memset(memory + address, *erased, BLOCK);
    return 0;
}

/* The newest body of a kind, as a CRC; 0: none. */
static uint32_t said(struct gw_journal *j, unsigned kind)
{
    uint8_t body[GW_RECORD_MAX];
    uint32_t n = 0;
    int err = gw_journal_get(j, (enum gw_record)kind, body, sizeof body, &n);

    MUST(err == GW_OK || err == GW_ERR_NOTHING);
    return err == GW_OK ? gw_crc32(1, body, n) : 0;
}

static void try_journal(const struct gw_flash *flash)
{
    const struct gw_area area = { 0, SIZE };
    struct gw_journal j;
    uint32_t first[GW_JOURNAL_KINDS];

    if (gw_journal_mount(&j, flash, area) != GW_OK) {
        return; /* more records than a bank holds: a named error, and nothing was lost */
    }
    for (unsigned kind = GW_REC_BOOT; kind < GW_JOURNAL_KINDS; kind++) {
        first[kind] = said(&j, kind);
    }
    MUST(gw_journal_mount(&j, flash, area) == GW_OK);
    for (unsigned kind = GW_REC_BOOT; kind < GW_JOURNAL_KINDS; kind++) {
        MUST(said(&j, kind) == first[kind]);
    }
    int err = gw_journal_put(&j, GW_REC_HEAD, (const uint8_t *)"head", 4);
    MUST(err == GW_OK || err == GW_ERR_JOURNAL_FULL);
    if (err == GW_OK) {
        MUST(gw_journal_mount(&j, flash, area) == GW_OK);
        MUST(said(&j, GW_REC_HEAD) == gw_crc32(1, (const uint8_t *)"head", 4));
    }
}

static void try_records(const uint8_t *data, size_t size)
{
    struct gw_boot_state s;
    struct gw_handover h;
    uint8_t body[GW_BOOT_RECORD], bytes[GW_HANDOVER_SIZE];

    if (size >= GW_BOOT_RECORD && gw_boot_state_decode(&s, data, GW_BOOT_RECORD) == GW_OK) {
        gw_boot_state_encode(&s, body);
        MUST(memcmp(body, data, sizeof body) == 0);
    }
    if (size >= GW_HANDOVER_SIZE && gw_handover_decode(&h, data) == GW_OK) {
        gw_handover_encode(&h, bytes);
        MUST(memcmp(bytes, data, sizeof bytes) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t write_sizes[] = { 1, 2, 4, 8, 16, 32 };
    static uint8_t object[SIZE];
    const struct gw_flash_region region = { 0, 2, BLOCK };
    uint8_t erased;
    uint32_t n = 0;

    if (size == 0) {
        return 0;
    }
    erased = data[0] & 0x80 ? 0x00 : 0xff;
    struct gw_flash flash = { &erased, &region, 1, write_sizes[data[0] % 6], erased, flash_read, flash_write,
                              flash_erase, NULL };
    data++;
    size = size - 1 < SIZE ? size - 1 : SIZE;
    memset(memory, erased, sizeof memory);
    memcpy(memory, data, size);
    if (gw_store_read(&flash, (struct gw_area){ 0, BLOCK }, object, sizeof object, &n) == GW_OK) {
        MUST(n <= BLOCK - GW_STORE_HEADER && memcmp(object, memory + GW_STORE_HEADER, n) == 0);
    }
    try_journal(&flash);
    try_records(data, size);
    return 0;
}
