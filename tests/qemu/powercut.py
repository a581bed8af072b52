#!/usr/bin/python3
"""Power cuts on the emulated board: a real update is recorded write by write; then the flash that a cut at every write
leaves, whole and torn, is booted.

    tests/qemu/powercut.py [--kind serial|delta|full]... [--sample N] [--jobs N] [--replay KIND:STATE]

    serial      over the serial line, staged
    delta       over the network, a delta, staged: all of it is stored before it is applied
    full        over the network, all of an image that is too large for that: applied as it comes

A state is good when the bootloader starts a verified image, 1.0 or 1.1, out of slot A or B, that answers on its
console; for one in so many (AGAIN), the update must then complete: when it is pushed again, or by itself, when the
network is there. Everything else is a brick. Recordings stay in build/powercut-qemu, so that --replay boots a state of
one again.
"""
import argparse
import concurrent.futures
import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import writelog
from board import Board, Dead, Net
from scene import BOARD, ROOT, STATIC, Failed, Scene, firmware, godwit
from nginx import Nginx
from pki import Pki

RECORDINGS = ROOT / "build/powercut-qemu"
USED = 384 * 4096  # bytes of bank 1 that the board uses (board.json)
BANK = 32 * 1024 * 1024
PORT = 8443        # of the web server, as the board knows it
LARGE = 200_000    # random bytes behind an image: too many to be stored beside it in a slot of 512 KB
RUNS = r"sensor (\S+) running from slot (\w+), (\w+), cause (\w+)\n"
BAD = r"boot: nothing to start|recovery|boot: fault"


def scratch():
    """Where thousands of flash files may be written: in memory, if there is such a place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


# ---- Kinds of updates ------------------------------------------------------------------------------------------------

class Serial:
    """1.1 is pushed."""
    name, again, idle = "serial", 10, 1

    def __init__(self):
        self.folder = RECORDINGS / self.name
        self.unit = self.folder / "unit"

    def make(self):
        scene = Scene(self.folder)
        first, _ = [scene.release(f"rel-{v}", f"sensor-{v}", f"{v}.0") for v in ("1.0", "1.1")]
        scene.unit("unit", first)

    @contextlib.contextmanager
    def serving(self):
        yield

    def board(self, unit, work, bank1=None):
        return Board(unit, bank1=bank1)

    def update(self, board):
        """From 1.0, to the first start of 1.1."""
        godwit("push", "--tcp", board.address, self.folder / "rel-1.1", "--restart")
        board.expect(r"sensor 1\.1\S* running from slot B, TRYING", 60, BAD)


class Delta(Serial):
    """1.1 is in a static repository, which the board looks into by itself, over TLS."""
    name, again, idle = "delta", 4, 3  # a board waits for the network and for itself, most of the time

    def make(self):
        scene = Scene(self.folder)
        pki = Pki(scene / "pki")
        pki.server("server")
        trust = scene.bundle("trust-ca.cose", 2, "--server-ca", pki.ca)
        first = self.releases(scene)
        godwit("release", "publish", scene / "rel-1.1", "--to", scene / "www", "--trust", trust)
        scene.unit("unit", first, f"server = https://localhost:{PORT}\nhost = localhost 10.0.2.2\noffer = static\n"
                   f"poll = 5\n{STATIC}", trust="trust-ca.cose")

    def releases(self, scene):
        first = scene.release("rel-1.0", "sensor-1.0", "1.0.0")
        scene.delta("rel-1.1", "sensor-1.1", "1.1.0", first)
        return first

    @contextlib.contextmanager
    def serving(self):
        pki = self.folder / "pki"
        with Nginx(self.folder / "nginx", self.folder / "www", pki / "server.pem", pki / "server.key") as server:
            self.port = server.port
            yield

    def board(self, unit, work, bank1=None):
        return Board(unit, bank1=bank1, net=Net(Path(work) / "links", https=(PORT, self.port)))

    def update(self, board):
        board.expect(r"sensor 1\.1\S* running from slot B, TRYING", 90, BAD)


class Full(Delta):
    """1.1 has no delta, and no room to be stored."""
    name, again = "full", 2

    def releases(self, scene):
        first = scene.release("rel-1.0", "sensor-1.0", "1.0.0")
        large = scene / "large.bin"
        large.write_bytes((BOARD / "sensor-1.1.bin").read_bytes() + os.urandom(LARGE))
        scene.release("rel-1.1", large, "1.1.0")
        return first


KINDS = {kind.name: kind for kind in (Serial, Delta, Full)}


def record(case):
    """One update from 1.0 to 1.1, restart, first boot, confirm. Leaves the unit as it was, and the log."""
    running, log = case.folder / "running", case.folder / "writes.log"
    shutil.copytree(case.unit, running)
    log.touch()
    bank1 = ("driver=blklogwrites,file.driver=file,file.filename=" + str(running / "bank1.bin") +
             ",log.driver=file,log.filename=" + str(log))
    with case.board(running, case.folder, bank1) as board:
        board.expect(RUNS)
        case.update(board)
        board.expect(r"confirmed", 60)
        time.sleep(0.5)
    writes = writelog.parse(log.read_bytes())
    flash = base_flash(case)
    for write in writes:
        writelog.apply(flash, write)
    if bytes(flash) != (running / "bank1.bin").read_bytes()[:USED]:
        sys.exit(f"powercut-qemu: {case.name}: the log does not lead to the flash that the update left")
    return writes


def base_flash(case):
    with open(case.unit / "bank1.bin", "rb") as file:
        return bytearray(file.read(USED))


# ---- States ----------------------------------------------------------------------------------------------------------

class States:
    """All distinct states: number -> (name, how to make it)."""

    def __init__(self, case, writes):
        self.case, self.writes, self.list = case, writes, []
        seen, flash = set(), base_flash(case)
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
        flash = base_flash(self.case)
        for write in self.writes[:count] + ([piece] if piece else []):
            writelog.apply(flash, write)
        return flash


def boot(case, unit, again, show=False):
    """Boots a unit's files; what ran in the end. Raises Dead or Failed when it is a brick."""
    with case.board(unit, unit) as board:
        try:
            found = board.expect(RUNS, forbid=BAD)
            version, slot = found.group(1), found.group(2)
            if version not in ("1.0", "1.1") or slot not in "AB":
                raise Dead(f"runs {found.group(0)!r}")
            if again: # at once: an update over the network may be through before the first temperature
                complete(case, board, version, found.group(3))
            board.expect(r"temperature \S+ C\n", forbid=BAD)
            board.ask("version", r"\nsensor 1\.[01]\n", forbid=BAD)
        finally:
            if show:
                print(board.text())
    return f"{version} in {slot}, {found.group(3)}"


def complete(case, board, version, state):
    """The update is made again, and 1.1 gets confirmed; unless it has been."""
    if version == "1.1" and state == "CONFIRMED":
        return
    if version == "1.0":
        case.update(board)
    board.expect(r"confirmed", 60, forbid=BAD)


def judge(states, number, show=False):
    """(number, what ran or None, why not)."""
    again = number % states.case.again == 0
    return (number, *judge_flash(states.case, states.flash(number), again, show))


def judge_flash(case, flash, again=False, show=False):
    work = Path(tempfile.mkdtemp(prefix="godwit-cut-", dir=scratch()))
    try:
        with open(work / "bank1.bin", "wb") as file:
            file.write(flash)
            file.truncate(BANK)
        for name in ("bank0.bin", "board.json"):
            (work / name).symlink_to(case.unit / name)
        return boot(case, work, again, show), ""
    except (Dead, Failed) as why:
        return None, str(why)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def control(states):
    """Could this see a brick? With every manifest gone it has to."""
    spoiled = bytearray(states.flash(0))
    for at in range(0, USED, 4096):
        if spoiled[at:at + 4] != b"\xff" * 4:
            spoiled[at + 64:at + 128] = bytes(64)
    what, why = judge_flash(states.case, spoiled)
    if what is not None or "recovery" not in why:
        sys.exit(f"powercut-qemu: a spoiled flash was judged {what or why}: this run proves nothing")


def run_all(states, numbers, jobs):
    """How many are bricks. A board that gets too little of a busy PC is ended by its watchdog, as it should be: what
    failed beside others is booted once more, alone. A brick stays one."""
    ran, failed, start, kind = {}, [], time.monotonic(), states.case.name
    with concurrent.futures.ThreadPoolExecutor(max_workers=jobs) as pool:
        for done, (number, what, why) in enumerate(pool.map(lambda n: judge(states, n), numbers), 1):
            if what is None:
                failed.append(number)
                print(f"  {kind}:{number} is booted again: {why.splitlines()[0]}", flush=True)
            else:
                ran[what] = ran.get(what, 0) + 1
            if done % 100 == 0:
                print(f"  {done} of {len(numbers)} states, {time.monotonic() - start:.0f} s", flush=True)
    bricks = sum(not tell(states, number, ran) for number in failed)
    for what, count in sorted(ran.items()):
        print(f"  {count:5} ended in {what}")
    again = sum(number % states.case.again == 0 for number in numbers)
    print(f"  {kind}: {len(numbers)} states, {again} of them to the end of the update, {bricks} bricks; "
          f"{time.monotonic() - start:.0f} s, {jobs} at a time", flush=True)
    return bricks


def tell(states, number, ran):
    """Once more, alone. True: it is no brick."""
    _, what, why = judge(states, number)
    if what is None:
        print(f"BRICK: {states.case.name}, state {number}, {states.list[number][0]}\n{why}\n"
              f"    again: tests/qemu/powercut.py --replay {states.case.name}:{number}", flush=True)
        return False
    ran[what] = ran.get(what, 0) + 1
    return True


def replay(text):
    kind, _, number = text.rpartition(":")
    case = KINDS[kind or "serial"]()
    states = States(case, writelog.parse((case.folder / "writes.log").read_bytes()))
    with case.serving():
        number, what, why = judge(states, int(number), show=True)
    print(f"{case.name}, state {number}, {states.list[number][0]}: {what or 'BRICK: ' + why}")
    return 0 if what else 1


def run(case, sample, jobs):
    """(states, bricks) of one kind."""
    case.make()
    with case.serving():
        writes = record(case)
        states = States(case, writes)
        erases = sum(writelog.is_erase(w) for w in writes)
        count = len(states.list)
        print(f"{case.name}: {len(writes)} flash writes recorded, {erases} of them erases; {count} states, whole and "
              "torn", flush=True)
        control(states)
        step = max(1, count // sample) if sample else 1
        numbers = list(range(0, count, step))[:sample or None]
        case.again = 1 if sample else case.again
        return len(numbers), run_all(states, numbers, jobs * case.idle)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kind", action="append", choices=KINDS, help="that alone (may repeat)")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="boot N states of each kind, evenly chosen, "
                        "each to the end of the update; 0: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--replay", metavar="KIND:STATE", help="boot one state of the last recording, and show it")
    options = parser.parse_args()
    if options.replay is not None:
        return replay(options.replay)
    firmware()
    done = [run(KINDS[kind](), options.sample, options.jobs) for kind in options.kind or KINDS]
    print(f"powercut-qemu: {sum(n for n, _ in done)} states, {sum(b for _, b in done)} bricks")
    return 1 if any(b for _, b in done) else 0


if __name__ == "__main__":
    sys.exit(main())
