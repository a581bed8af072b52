/*
 * serial.c - the newest channel head that this device has seen: its serial, and when it was issued.
 *
 * Keeps true: the serial never falls, so no server can go back behind a head that it once showed. When the head was
 * issued is the least that the time can be: what a device without a clock, or with a wrong one, knows of the date.
 */
#include "godwit/install.h"
#include "slots.h"

#define SEEN_RECORD 8u

void gw_head_seen(const struct gw_device *dev, struct gw_head_seen *seen)
{
    uint8_t r[SEEN_RECORD] = { 0 }; /* records of four bytes are of an older version */
    uint32_t n = 0;

    int err = gw_journal_get(dev->journal, GW_REC_HEAD, r, sizeof r, &n);
    (void)err; /* none, or none that can be read: zero */
    seen->serial = gw_get32(r);
    seen->issued_at = gw_get32(r + 4);
}

/* Of the wrong channel, or stale? What else is wrong with a head, the plan says. */
static int suits(const struct gw_install_config *c, const struct gw_head *head)
{
    uint32_t n = (uint32_t)c->channel.n, most = c->head_age_s;

    if (n != 0 && (head->channel.n != n || memcmp(head->channel.p, c->channel.p, n) != 0)) {
        return GW_ERR_HEAD_OTHER;
    }
    bool stale = most != 0 && c->now > head->issued_at && c->now - head->issued_at > most;
    return stale ? GW_ERR_HEAD_STALE : GW_OK;
}

int gw_head_take(const struct gw_install_config *c, const struct gw_trust *trust, const uint8_t class_id[GW_UUID_SIZE],
                 struct gw_span cose, struct gw_head *head, struct gw_head_seen *seen)
{
    const struct gw_device *dev = c->dev;
    uint8_t r[SEEN_RECORD];

    gw_head_seen(dev, seen);
    int err = gw_head_open(head, dev->crypto, trust, cose.p, cose.n);
    if (err == GW_OK && memcmp(head->class_id, class_id, GW_UUID_SIZE) == 0 && head->serial > seen->serial) {
        gw_put32(r, head->serial);
        gw_put32(r + 4, head->issued_at);
        err = gw_journal_put(dev->journal, GW_REC_HEAD, r, sizeof r);
        err = err == GW_OK ? gw_journal_settle(dev->journal) : err;
    }
    return err == GW_OK ? suits(c, head) : err;
}
