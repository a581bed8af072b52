/*
 * faultvfs.h - a VFS for SQLite that fails on demand, and loses what was not synced: the disk of a machine whose power
 * is cut. Wraps the default one; files really lie on the disk, and what a power loss would leave is made beside them.
 *
 * One process, one power cut at a time. What is synced is remembered for each file as a shadow: its bytes as they were
 * at the last sync. After faultvfs_cut(), all writes are dropped; faultvfs_restore() puts the shadows in place of the
 * files, with any subset of the later writes kept that `keep` chooses (disks write in any order).
 */
#ifndef FAULTVFS_H
#define FAULTVFS_H

#include <sqlite3.h>
#include <stdbool.h>

enum faultvfs_kind { FAULTVFS_NONE, FAULTVFS_WRITE, FAULTVFS_SYNC, FAULTVFS_FULL, FAULTVFS_OPEN, FAULTVFS_TRUNCATE };

/* Registers it as the default (once). */
void faultvfs_install(void);
void faultvfs_remove(void);
/* Forgets files, counts and faults. */
void faultvfs_reset(void);
/* Operation number n (from 1) of this kind fails, and if `stays` all after it; 0: none. */
void faultvfs_fail(enum faultvfs_kind kind, unsigned n, bool stays);
unsigned faultvfs_count(enum faultvfs_kind kind); /* operations so far */
/* From operation n (writes, syncs and truncations together, from 1) on nothing reaches the disk any more. 0: never. */
void faultvfs_cut_at(unsigned n);
unsigned faultvfs_operations(void);
bool faultvfs_is_cut(void);
/* After all connections are closed: the files as the power loss left them. keep: a number that chooses which writes
 * that were not synced are there all the same; 0: none. */
void faultvfs_restore(unsigned keep);

#endif
