#!/usr/bin/python3
"""Power cuts on the emulated board: one real update over the serial line is recorded write by write; then the flash
that a cut at every write leaves, whole and torn, is booted.

    tests/qemu/powercut.py [--sample N] [--jobs N] [--replay STATE]

A state is good when the bootloader starts a verified image, 1.0 or 1.1, out of slot A or B, that answers on its
console; for one in ten, the update must then complete when it is pushed again. Everything else is a brick. The
recording stays in build/powercut-qemu, so that --replay STATE boots a state of it again.
"""
import argparse
import concurrent.futures
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

import writelog
from board import Board, Dead
from scene import ROOT, Failed, Scene, firmware, godwit

RECORDING = ROOT / "build/powercut-qemu"
USED = 384 * 4096  # bytes of bank 1 that the board uses (board.json)
BANK = 32 * 1024 * 1024
AGAIN = 10         # the update is completed in one of so many states
RUNS = r"sensor (\S+) running from slot (\w+), (\w+), cause (\w+)\n"
BAD = r"boot: nothing to start|recovery|boot: fault"


def scratch():
    """Where thousands of flash files may be written: in memory, if there is such a place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def record():
    """One update from 1.0 to 1.1: push, restart, first boot, confirm. Leaves the unit as it was, and the log."""
    firmware()
    scene = Scene(RECORDING)
    releases = [scene.release(f"rel-{v}", f"sensor-{v}", f"{v}.0") for v in ("1.0", "1.1")]
    unit = scene.unit("unit", releases[0])
    running = scene / "running"
    shutil.copytree(unit, running)
    log = scene / "writes.log"
    log.touch()
    bank1 = ("driver=blklogwrites,file.driver=file,file.filename=" + str(running / "bank1.bin") +
             ",log.driver=file,log.filename=" + str(log))
    with Board(running, bank1=bank1) as board:
        board.expect(RUNS)
        godwit("push", "--tcp", board.address, releases[1], "--restart")
        board.expect(r"sensor 1\.1\S* running from slot B, TRYING")
        board.expect(r"confirmed")
        time.sleep(0.5)
    writes = writelog.parse(log.read_bytes())
    flash = base_flash()
    for write in writes:
        writelog.apply(flash, write)
    if bytes(flash) != (running / "bank1.bin").read_bytes()[:USED]:
        sys.exit("powercut-qemu: the log does not lead to the flash that the update left")
    return writes


def base_flash():
    with open(RECORDING / "unit/bank1.bin", "rb") as file:
        return bytearray(file.read(USED))


class States:
    """All distinct states: number -> (name, how to make it)."""

    def __init__(self, writes):
        self.writes, self.list = writes, []
        seen, flash = set(), base_flash()
        for i, write in enumerate(writes):
            self.add(seen, f"before write {i}", i, None, flash)
            what = "erase" if writelog.is_erase(write) else "program"
            for how, data in writelog.torn(i, write, flash):
                piece = writelog.Write(write.at, data)
                changed = bytearray(flash)
                writelog.apply(changed, piece)
                self.add(seen, f"write {i}, {what} at {write.at:#x}, torn: {how}", i, piece, changed)
            writelog.apply(flash, write)
        self.add(seen, "after the last write", len(writes), None, flash)

    def add(self, seen, name, count, piece, flash):
        digest = hashlib.sha256(flash).digest()
        if digest not in seen:
            seen.add(digest)
            self.list.append((name, count, piece))

    def flash(self, number):
        _, count, piece = self.list[number]
        flash = base_flash()
        for write in self.writes[:count] + ([piece] if piece else []):
            writelog.apply(flash, write)
        return flash


def boot(unit, again, show=False):
    """Boots a unit's files; what ran in the end. Raises Dead or Failed when it is a brick."""
    with Board(unit) as board:
        try:
            found = board.expect(RUNS, forbid=BAD)
            version, slot = found.group(1), found.group(2)
            if version not in ("1.0", "1.1") or slot not in "AB":
                raise Dead(f"runs {found.group(0)!r}")
            board.expect(r"temperature \S+ C\n", forbid=BAD)
            board.ask("version", re.escape(f"sensor {version}\n"), forbid=BAD)
            if again:
                complete(board, version, found.group(3))
        finally:
            if show:
                print(board.text())
    return f"{version} in {slot}, {found.group(3)}"


def complete(board, version, state):
    """The update is pushed again, and 1.1 gets confirmed; unless it has been."""
    if version == "1.1" and state == "CONFIRMED":
        return
    if version == "1.0":
        godwit("push", "--tcp", board.address, RECORDING / "rel-1.1", "--restart")
        board.expect(r"sensor 1\.1\S* running from slot B, TRYING", forbid=BAD)
    board.expect(r"confirmed", forbid=BAD)


def judge(states, number, show=False):
    """(number, what ran or None, why not)."""
    return judge_flash(states.flash(number), number, show)


def judge_flash(flash, number, show=False):
    work = Path(tempfile.mkdtemp(prefix="godwit-cut-", dir=scratch()))
    try:
        with open(work / "bank1.bin", "wb") as file:
            file.write(flash)
            file.truncate(BANK)
        for name in ("bank0.bin", "board.json"):
            (work / name).symlink_to(RECORDING / "unit" / name)
        return number, boot(work, number % AGAIN == 0, show), ""
    except (Dead, Failed) as why:
        return number, None, str(why)
    finally:
        shutil.rmtree(work)


def control(states):
    """Could this see a brick? With every manifest gone it has to."""
    spoiled = bytearray(states.flash(0))
    for at in range(0, USED, 4096):
        if spoiled[at:at + 4] != b"\xff" * 4:
            spoiled[at + 64:at + 128] = bytes(64)
    _, what, why = judge_flash(spoiled, 0)
    if what is not None or "recovery" not in why:
        sys.exit(f"powercut-qemu: a spoiled flash was judged {what or why}: this run proves nothing")


def run_all(states, numbers, jobs):
    ran, bricks, start = {}, 0, time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(max_workers=jobs) as pool:
        for done, (number, what, why) in enumerate(pool.map(lambda n: judge(states, n), numbers), 1):
            if what is None:
                bricks += 1
                print(f"BRICK: state {number}, {states.list[number][0]}\n{why}\n"
                      f"    again: tests/qemu/powercut.py --replay {number}", flush=True)
            ran[what] = ran.get(what, 0) + 1
            if done % 100 == 0:
                print(f"  {done} of {len(numbers)} states, {time.monotonic() - start:.0f} s", flush=True)
    for what, count in sorted((str(k), v) for k, v in ran.items()):
        print(f"  {count:5} ended in {what}")
    return bricks


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="boot N states, evenly chosen; 0: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--replay", type=int, metavar="STATE", help="boot one state of the last recording, and show it")
    options = parser.parse_args()
    start = time.monotonic()
    if options.replay is not None:
        states = States(writelog.parse((RECORDING / "writes.log").read_bytes()))
        number, what, why = judge(states, options.replay, show=True)
        print(f"state {number}, {states.list[number][0]}: {what or 'BRICK: ' + why}")
        return 0 if what else 1
    writes = record()
    states = States(writes)
    erases = sum(writelog.is_erase(w) for w in writes)
    count = len(states.list)
    print(f"recorded: {len(writes)} flash writes, {erases} of them erases; {count} states, whole and torn")
    control(states)
    step = max(1, count // options.sample) if options.sample else 1
    numbers = list(range(0, count, step))[:options.sample or None]
    bricks = run_all(states, numbers, options.jobs)
    print(f"{time.monotonic() - start:.0f} s, {options.jobs} at a time")
    print(f"powercut-qemu: {len(numbers)} states, {bricks} bricks")
    return 1 if bricks else 0


if __name__ == "__main__":
    sys.exit(main())
