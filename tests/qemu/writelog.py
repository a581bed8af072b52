"""QEMU's log of writes to a block device (driver blklogwrites), and the flash that a power cut at any of them leaves.

Format (Linux, Documentation/admin-guide/device-mapper/log-writes.rst): sectors of 512 bytes; sector 0 is a superblock,
written only at a flush; then for each write a sector that begins with u64 sector, count, flags, length, and its data
unless flags & 4 (discard). A log that was cut short ends with a sector of zeroes, or with the file.
"""
import struct
from dataclasses import dataclass

SECTOR = 512
BLOCK = 4096  # the board's erase block
ERASED = b"\xff"
DISCARD = 4


@dataclass
class Write:
    """One write: where, and what."""
    at: int
    data: bytes


def parse(log):
    """All writes, in order."""
    writes, at = [], SECTOR
    while at + SECTOR <= len(log):
        sector, count, flags, _ = struct.unpack_from("<QQQQ", log, at)
        at += SECTOR
        if flags & DISCARD or count == 0:
            if flags == 0 and sector == 0:
                break
            continue
        data = log[at:at + count * SECTOR]
        if len(data) < count * SECTOR:
            break
        writes.append(Write(sector * SECTOR, data))
        at += count * SECTOR
    return writes


def apply(flash, write):
    flash[write.at:write.at + len(write.data)] = write.data


def is_erase(write):
    """The board erases a sector by one buffered write of ff."""
    return len(write.data) == BLOCK and write.data == ERASED * BLOCK


def words_between(old, new):
    """Offsets of the words that a write changes."""
    return [i for i in range(0, len(new), 4) if old[i:i + 4] != new[i:i + 4]]


def garbage(at, number, old, new):
    """A word that was under way: some of its bits as before, some as wanted. The same each time."""
    mask = (number * 2654435761 + at * 40503 + 0x5bd1e995) & 0xFFFFFFFF
    before, after = int.from_bytes(old[at:at + 4], "little"), int.from_bytes(new[at:at + 4], "little")
    return ((before & mask) | (after & ~mask & 0xFFFFFFFF)).to_bytes(4, "little")


def torn(number, write, flash):
    """What write `number` may leave when it is cut, as (what, bytes): prefixes, and one with a word under way."""
    new, old = write.data, bytes(flash[write.at:write.at + len(write.data)])
    words = words_between(old, new)
    if not words:
        return []
    middle, third, last = words[len(words) // 2], words[len(words) // 3], words[-1]
    prefix = {at: new[:at] + old[at:] for at in (middle, third, last)}
    states = [("half", prefix[middle]), ("half, a word under way",
              prefix[middle][:middle] + garbage(middle, number, old, new) + prefix[middle][middle + 4:])]
    if is_erase(write):
        states.append(("a third", prefix[third]))
    else:
        first = next(i for i in range(len(new)) if old[i] != new[i])
        states.append(("one byte", old[:first] + new[first:first + 1] + old[first + 1:]))
        states.append(("all but a word", prefix[last]))
    return states
