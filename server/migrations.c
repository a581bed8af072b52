/*
 * migrations.c - the schema of the database, step by step. A step that has been released is never changed: add one.
 *
 * Times are seconds since 1970. Digests, class ids and keys are blobs of their binary bytes. An order of releases is
 * two columns, epoch and sequence. Text that people give is UTF-8 of bounded length, checked where it comes in.
 */
#include <stddef.h>

#include "migrations.h"

static const char first[] =
    "CREATE TABLE setting(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"

    "CREATE TABLE class(id BLOB PRIMARY KEY CHECK(length(id) = 16), vendor TEXT NOT NULL, name TEXT NOT NULL,"
    " created INTEGER NOT NULL, head BLOB, head_serial INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"

    /* The bundles of the fleet, as COSE; the one with the highest version is in use. */
    "CREATE TABLE trust(version INTEGER PRIMARY KEY, cose BLOB NOT NULL, received INTEGER NOT NULL);"

    /* key: public key x || y that signs reports. origin: import, certificate. last: of the last report. */
    "CREATE TABLE device(id TEXT PRIMARY KEY, class BLOB NOT NULL REFERENCES class(id),"
    " enabled INTEGER NOT NULL DEFAULT 1, key BLOB CHECK(key IS NULL OR length(key) = 64),"
    " token_hash BLOB UNIQUE CHECK(token_hash IS NULL OR length(token_hash) = 32), kids BLOB,"
    " created INTEGER NOT NULL, origin TEXT NOT NULL, counter INTEGER NOT NULL DEFAULT 0,"
    " state INTEGER NOT NULL DEFAULT 0, reason INTEGER NOT NULL DEFAULT 0,"
    " about_epoch INTEGER NOT NULL DEFAULT 0, about_sequence INTEGER NOT NULL DEFAULT 0,"
    " running_epoch INTEGER NOT NULL DEFAULT 0, running_sequence INTEGER NOT NULL DEFAULT 0,"
    " hardware INTEGER NOT NULL DEFAULT 0, bootloader INTEGER NOT NULL DEFAULT 0,"
    " trust_version INTEGER NOT NULL DEFAULT 0, head_serial INTEGER NOT NULL DEFAULT 0,"
    " seen INTEGER NOT NULL DEFAULT 0, reported INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
    "CREATE INDEX device_class ON device(class, id);"

    "CREATE TABLE tag(device TEXT NOT NULL REFERENCES device(id) ON DELETE CASCADE, name TEXT NOT NULL,"
    " PRIMARY KEY(device, name)) WITHOUT ROWID;"
    "CREATE INDEX tag_name ON tag(name, device);"

    /* state: 0 payloads are being uploaded, 1 ready (verified with the device's code), 2 withdrawn from use. */
    "CREATE TABLE release(digest BLOB PRIMARY KEY CHECK(length(digest) = 32), class BLOB NOT NULL REFERENCES class(id),"
    " epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, version TEXT NOT NULL, state INTEGER NOT NULL DEFAULT 0,"
    " created INTEGER NOT NULL, creator TEXT NOT NULL, manifest BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX release_order ON release(class, epoch, sequence);"
    "CREATE TABLE key_grant(release BLOB NOT NULL REFERENCES release(digest) ON DELETE CASCADE,"
    " number INTEGER NOT NULL, cose BLOB NOT NULL, PRIMARY KEY(release, number)) WITHOUT ROWID;"
    "CREATE TABLE payload(release BLOB NOT NULL REFERENCES release(digest) ON DELETE CASCADE, name BLOB NOT NULL,"
    " size INTEGER NOT NULL, PRIMARY KEY(release, name)) WITHOUT ROWID;"
    "CREATE INDEX payload_name ON payload(name);"

    /* turn: of those started in one second, the later one is higher. */
    /* state: 0 draft, 1 running, 2 paused, 3 aborted, 4 done. target: JSON. plan: phases, thresholds (later). */
    "CREATE TABLE rollout(id TEXT PRIMARY KEY, name TEXT NOT NULL, class BLOB NOT NULL REFERENCES class(id),"
    " release BLOB NOT NULL REFERENCES release(digest), target TEXT NOT NULL, priority INTEGER NOT NULL DEFAULT 0,"
    " state INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL, creator TEXT NOT NULL,"
    " started INTEGER NOT NULL DEFAULT 0, turn INTEGER NOT NULL DEFAULT 0,"
    " ended INTEGER NOT NULL DEFAULT 0, plan TEXT) WITHOUT ROWID;"
    "CREATE INDEX rollout_class ON rollout(class, state);"

    /* All reports as they came: what the columns say can be checked against the device's signature at any time. */
    "CREATE TABLE report(id INTEGER PRIMARY KEY, device TEXT NOT NULL REFERENCES device(id) ON DELETE CASCADE,"
    " counter INTEGER NOT NULL, received INTEGER NOT NULL, state INTEGER NOT NULL, reason INTEGER NOT NULL,"
    " about_epoch INTEGER NOT NULL, about_sequence INTEGER NOT NULL, bytes INTEGER NOT NULL, again INTEGER NOT NULL,"
    " cose BLOB NOT NULL, UNIQUE(device, counter));"

    "CREATE TABLE token(id TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL UNIQUE CHECK(length(hash) = 32),"
    " role INTEGER NOT NULL, created INTEGER NOT NULL, creator TEXT NOT NULL, expires INTEGER NOT NULL,"
    " used INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"

    "CREATE TABLE audit(id INTEGER PRIMARY KEY, time INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,"
    " object TEXT NOT NULL, detail TEXT);";

/* Keys that an operator replaced, and those of devices that were deleted: they signed reports up to the counter `last`.
 * Those that are stored stay good; none of them is taken again. No reference: it outlives its device. */
static const char second[] =
    "CREATE TABLE former_key(device TEXT NOT NULL, key BLOB NOT NULL CHECK(length(key) = 64), last INTEGER NOT NULL,"
    " PRIMARY KEY(device, key)) WITHOUT ROWID;";

const char *const gws_migrations[] = {first, second, NULL};
