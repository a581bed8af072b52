#!/usr/bin/python3
"""The whole way on the emulated board, in half a minute: units from the factory, an update over the serial line with
the plug pulled in the middle, images that crash or hang, releases that are refused, flash that is wiped.

GODWIT_BIN: folder of the programs; GODWIT_TMP: an empty folder. Ends with `N passed, N failed`.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from board import Board, Dead, copy_unit
from scene import BIN, Failed, Scene, firmware, godwit

BANK1_USED = 384 * 4096
FRAME = 4096 + 32
TESTS = []


def test(function):
    TESTS.append(function)
    return function


class World:
    """Releases and a unit, made once; each test gets a copy of the unit."""

    def __init__(self, folder):
        self.scene = Scene(folder)
        self.rel = {name: self.scene.release(name, image, version, key) for name, image, version, key in (
            ("1.0", "sensor-1.0", "1.0.0", "author"), ("1.1", "sensor-1.1", "1.1.0", "author"),
            ("crashes", "sensor-crashes", "1.2.0", "author"), ("hangs", "sensor-hangs", "1.3.0", "author"),
            ("scribbles", "sensor-scribbles", "1.4.0", "author"), ("forged", "sensor-2.0", "9.9.9", "mallory"))}
        self.new = self.scene.unit("new", self.rel["1.0"])
        self.updated = None  # 1.1 confirmed in slot B, by the test of that
        self.lock, self.copies = threading.Lock(), 0

    def unit(self, source=None):
        with self.lock:
            self.copies += 1
            number = self.copies
        return copy_unit(source or self.new, self.scene / f"unit-{number}")


def push(board, release, *options, code=0, says=""):
    return godwit("push", release, "--tcp", board.address, *options, code=code, says=says)


@test
def a_new_unit_runs_its_first_release(world):
    with Board(world.unit()) as board:
        board.expect(r"boot: starts A, CONFIRMED\n")
        board.expect(r"sensor 1\.0\S* running from slot A, CONFIRMED, cause power")
        board.expect(r"temperature \S+ C\n")
        board.ask("version", r"\nsensor 1\.0\n")
        board.ask("status", r"slot A CONFIRMED 1\.1000000\nslot B EMPTY\n(.*\n)*readings: \d+, longest gap", "boot: ")
        board.expect(r"temperature \S+ C\n", forbid="boot: ")


@test
def an_update_is_taken_and_confirmed(world):
    unit = world.unit()
    with Board(unit) as board:
        board.expect(r"sensor 1\.0\S* running from slot A, CONFIRMED, cause power")
        push(board, world.rel["1.1"], "--restart")
        board.expect(r"sensor 1\.1\S* running from slot B, TRYING, cause software")
        board.expect(r"confirmed")
        push(board, world.rel["1.0"], code=1, says="OLDER")
        push(board, world.rel["forged"], code=1, says="KEY_UNKNOWN")
        board.restart()
        board.expect(r"sensor 1\.1\S* running from slot B, CONFIRMED, cause power")
    shown = godwit("device", "show", unit)
    if "CONFIRMED" not in shown or "PREVIOUS" not in shown:
        raise Failed(f"the flash tells another story:\n{shown}")
    world.updated = unit


@test
def an_update_goes_on_after_the_plug_was_pulled(world):
    with Board(world.unit()) as board:
        board.expect(r"sensor 1\.0")
        with subprocess.Popen([BIN / "godwit", "push", world.rel["1.1"], "--tcp", board.address],
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as pushing:
            half(board)
            board.restart()
            said = pushing.stderr.read().decode(errors="replace")
            if pushing.wait(60) == 0:
                raise Failed(f"the push was through before the plug was pulled:\n{said}")
        reached = [int(n) for n in re.findall(r"%  (\d+) of", said)]
        board.expect(r"sensor 1\.0\S* running from slot A, CONFIRMED, cause power")
        again = push(board, world.rel["1.1"], "--restart", says="goes on: ")
        kept = int(re.search(r"goes on: (\d+) of", again).group(1))
        if kept < max(reached, default=0) - FRAME or kept < FRAME:
            raise Failed(f"{kept} bytes were kept of {reached} that the device had confirmed")
        board.expect(r"sensor 1\.1\S* running from slot B, TRYING, cause software")
        board.expect(r"confirmed")


def half(board):
    """Until some of slot B is written."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with open(board.unit / "bank1.bin", "rb") as file:
            file.seek(0x100000 + 5 * 4096)
            if file.read(4096).strip(b"\xff"):
                return
        time.sleep(0.002)
    raise Dead(f"nothing was written\n{board.tail()}")


def comes_back(world, name, cause):
    with Board(world.unit(world.updated)) as board:
        board.expect(r"sensor 1\.1\S* running from slot B, CONFIRMED")
        push(board, world.rel[name], "--restart")
        board.expect(r"boot: starts A, TRYING")
        found = board.expect(r"sensor 1\.1\S* running from slot B, CONFIRMED, cause (\w+)", seconds=90)
        if found.group(1) not in cause:
            raise Failed(f"cause {found.group(1)}, expected {cause}")
        push(board, world.rel[name], code=1, says="REJECTED_BEFORE")


@test
def an_image_that_crashes_is_given_up(world):
    comes_back(world, "crashes", ("fault",))


@test
def an_image_that_hangs_is_given_up(world):
    comes_back(world, "hangs", ("watchdog",))


@test
def an_image_that_scribbles_is_given_up(world):
    comes_back(world, "scribbles", ("fault", "watchdog"))


@test
def a_wiped_board_recovers(world):
    unit = world.unit()
    with open(unit / "bank1.bin", "r+b") as file:
        file.write(b"\xff" * BANK1_USED)
    with Board(unit) as board:
        board.expect(r"boot: starts factory, recovery")
        push(board, world.rel["1.1"], "--trust", world.scene / "trust.cose", "--restart")
        board.expect(r"sensor 1\.1\S* running from slot \w, TRYING")
        board.expect(r"confirmed")


def run(function, world):
    name, start = function.__name__.replace("_", " "), time.monotonic()
    try:
        function(world)
    except (Dead, Failed, OSError) as why:
        print(f"FAILED  {name}: {why}", flush=True)
        return False
    print(f"ok      {name}, {time.monotonic() - start:.1f} s", flush=True)
    return True


def main():
    firmware()
    folder = Path(os.environ.get("GODWIT_TMP") or tempfile.mkdtemp(prefix="godwit-qemu-")) / "qemu"
    world = World(folder)
    results = [run(function, world) for function in TESTS[:2]]  # the second one makes what others start from
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        results += pool.map(lambda function: run(function, world), TESTS[2:])
    passed = sum(results)
    failed = len(results) - passed
    shutil.rmtree(folder, ignore_errors=True)
    print(f"qemu: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
