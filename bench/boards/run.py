#!/usr/bin/python3
"""Many emulated boards update together, from one godwitd and one broker, on this PC.

    bench/boards/run.py BIN [--boards 20] [--full]        BIN: build/host/bin

All are told at the same moment to take 1.1 in place of 1.0, as a delta (or with --full, all of it). Printed: the time
from the start of the rollout to the last board that has confirmed, bytes on the wire of each (handshakes apart), and
the longest time that a board's own work, a reading every 100 ms, was late meanwhile. The emulators share the PC's
cores: times are theirs, not a board's. Exits with 1 when a board did not get there."""
import argparse
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/qemu"), str(ROOT / "tests/web"), str(ROOT / "tests/netfaults")]
SECONDS = 300


def connect(board):
    board.start()
    board.expect_all(r"network up: ", r"broker connected\n", r"nothing new", seconds=SECONDS)


def update(board, begun):
    """Seconds until it has confirmed; what it says of its readings before the restart."""
    board.expect(r"notified\n", SECONDS)
    notified = time.monotonic() - begun
    found = board.expect(r"readings: (\d+), longest gap (\d+) us beyond the period, longest step (\d+) us", SECONDS)
    board.expect(r"sensor 1\.1\S* running from slot B, TRYING", SECONDS)
    board.expect(r"confirmed\n", SECONDS)
    return (notified, time.monotonic() - begun, *map(int, found.groups()))


def wire(boards, before):
    """(data, handshake) bytes of each board since then."""
    rows = []
    for board in boards:
        mine = [c for c in board.net.https.connections if c.number > before[board]]
        handshake = sum(c.up_handshake + c.down_handshake for c in mine)
        rows.append((sum(c.up + c.down for c in mine) - handshake, handshake))
    return rows


def spread(values, unit, digits=0):
    return f"median {statistics.median(values):.{digits}f} {unit}, most {max(values):.{digits}f} {unit}"


def measure(scene, boards, full):
    """True: the server knows that all run 1.1."""
    from place import until
    first = scene / "rel-1.0"
    release = (scene.release("rel-1.1", "sensor-1.1", "1.1.0") if full else
               scene.delta("rel-1.1", "sensor-1.1", "1.1.0", first))
    size = min(p.stat().st_size for p in (release / "payloads").iterdir())
    digest = scene.place.publish(release)
    before = {board: board.net.https.count for board in boards}
    with ThreadPoolExecutor(max_workers=len(boards)) as pool:
        begun = time.monotonic()
        jobs = [pool.submit(update, board, begun) for board in boards]
        scene.place.roll_out(digest, name="together")
        notified, confirmed, readings, gaps, steps = zip(*[job.result() for job in jobs])
    seen = until(60, lambda: all(d["version"] == "1.1.0" for d in scene.place.devices().values()))
    for board in boards:
        board.kill()  # a connection that was open is counted when it ends
    until(10, lambda: all(len(b.net.https.connections) == b.net.https.count for b in boards))
    data, handshake = zip(*wire(boards, before))
    print(f"{len(boards)} boards, {'full image' if full else 'delta'}: payload of {size} bytes\n"
          f"  notified after       {spread(notified, 's', 1)}\n"
          f"  confirmed after      {spread(confirmed, 's', 1)}\n"
          f"  bytes on the wire    {spread(data, '')}; handshakes {spread(handshake, '')}; in all "
          f"{sum(data) + sum(handshake)}\n"
          f"  a reading was late   {spread([g / 1000 for g in gaps], 'ms', 1)}, of {sum(readings)} readings\n"
          f"  longest step         {spread([s / 1000 for s in steps], 'ms', 1)}", flush=True)
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("bin", type=Path)
    parser.add_argument("--boards", type=int, default=20)
    parser.add_argument("--full", action="store_true", help="all of the image, no delta")
    options = parser.parse_args()
    os.environ["GODWIT_BIN"] = str(options.bin.resolve())
    from board import Dead
    from place import Failed
    from scene import Online, firmware
    firmware()
    names = [f"board{i}" for i in range(1, options.boards + 1)]
    with tempfile.TemporaryDirectory(prefix="godwit-boards-") as work:
        os.environ["XDG_CONFIG_HOME"] = str(Path(work) / "config")
        os.chdir(work)
        boards = []
        try:
            with Online(Path(work) / "scene", names) as scene:
                first = scene.release("rel-1.0", "sensor-1.0", "1.0.0")
                boards = [scene.board(name, first) for name in names]
                begun = time.monotonic()
                with ThreadPoolExecutor(max_workers=len(boards)) as pool:
                    list(pool.map(connect, boards))
                print(f"{len(boards)} boards have looked and are connected after {time.monotonic() - begun:.1f} s")
                seen = measure(scene, boards, options.full)
        except (Dead, Failed) as why:
            print(f"bench-boards: FAILED: {why}")
            return 1
        finally:
            for board in boards:
                board.__exit__()
            os.chdir("/")
    print(f"bench-boards: {len(boards)} boards updated" if seen else "bench-boards: FAILED: the server does not know")
    return 0 if seen else 1


if __name__ == "__main__":
    sys.exit(main())
