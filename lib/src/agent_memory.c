/*
 * agent_memory.c - what the agent must not forget by a reset: one small record, encoded field by field.
 *
 * Keeps true: a record of another version, or of another length, is none; nothing is written that is there already.
 */
#include "agent.h"

#define FIELD(name, bytes) GW_PACKED(gw_agent_memory, name, bytes)
static const struct gw_packed fields[] = {
    FIELD(failures, 1), FIELD(cert_failures, 1), FIELD(attempts, 1),   FIELD(refused, 1), FIELD(day, 4),
    FIELD(bytes, 4),    FIELD(next_look, 4),     FIELD(left_s, 4),     FIELD(interval_s, 4),
    FIELD(running_told, 8), FIELD(left_told, 8), FIELD(refused_told, 8),
};
#undef FIELD
#define FIELDS (sizeof fields / sizeof fields[0])
#define RECORD (1u + 4u + 5u * 4u + 3u * 8u)

static int read_record(const struct gw_device *dev, uint8_t r[RECORD])
{
    uint32_t n = 0;

    int err = gw_journal_get(dev->journal, GW_REC_AGENT, r, RECORD, &n);
    return err == GW_OK && (n != RECORD || r[0] != 1) ? GW_ERR_NOTHING : err;
}

void gw_agent_recall(const struct gw_device *dev, struct gw_agent_memory *m)
{
    uint8_t r[RECORD];

    memset(m, 0, sizeof *m);
    if (read_record(dev, r) == GW_OK) {
        (void)gw_pack(fields, FIELDS, m, r + 1, false);
    }
}

int gw_agent_keep(const struct gw_device *dev, struct gw_agent_memory *m)
{
    uint8_t r[RECORD] = { 1 }, there[RECORD]; /* 1: version of this record */

    (void)gw_pack(fields, FIELDS, m, r + 1, true);
    if (read_record(dev, there) == GW_OK && memcmp(r, there, RECORD) == 0) {
        return GW_OK;
    }
    int err = gw_journal_put(dev->journal, GW_REC_AGENT, r, RECORD);
    err = err == GW_OK ? gw_journal_settle(dev->journal) : err;
    return err == GW_OK ? GW_DONE : err;
}
