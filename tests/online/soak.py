#!/usr/bin/python3
"""A board that is updated again and again over the network, with its plug pulled at random moments.

    tests/online/soak.py [--updates 50] [--seed N]

Releases alternate between two programs, each a delta from the one before and notified by the broker; in half of the
updates the plug is pulled, up to three times, whatever the board is at. Every update has to end confirmed, and every
report has to be the board's own. The seed is printed: the same one gives the same moments, as far as time allows.
"""
import argparse
import datetime
import os
import random
import re
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "qemu"), str(HERE.parent / "web"), str(HERE.parent / "netfaults")]
from board import Dead  # noqa: E402
from place import Failed, until  # noqa: E402
from scene import Online, firmware  # noqa: E402

NAME = "soak"
IMAGES = ("sensor-1.0", "sensor-1.1")
DAY = 4   # updates after which the board's clock is a day ahead: attempts are limited to 24 a day
BAD = r"recovery|boot: nothing to start|boot: fault"


class Soak:
    def __init__(self, folder, chance):
        self.chance, self.kills, self.today = chance, 0, datetime.datetime.utcnow()
        self.scene = Online(folder, [NAME], next_look=5)
        self.release = self.scene.release("rel-0", IMAGES[0], "1.0.0")
        self.board = self.scene.board(NAME, self.release)

    def pull(self):
        """The plug is pulled and put back."""
        self.kills += 1
        self.board.restart()

    def next(self, number):
        """The next release is out."""
        self.release = self.scene.delta(f"rel-{number}", IMAGES[number % 2], f"1.0.{number}", self.release)
        self.scene.publish(self.release, "--all", name=f"number {number}")

    def update(self, number):
        if number % DAY == 0:
            self.today += datetime.timedelta(days=1)
            self.board.rtc = self.today.strftime("%Y-%m-%dT%H:%M:%S")
            self.pull()
        self.next(number)
        for _ in range(self.chance.choice((0, 0, 0, 1, 2, 3))):
            time.sleep(self.chance.uniform(0, 6))
            self.pull()
        if not until(120, lambda: self.runs(number), 0.3):
            raise Failed(f"update {number} did not end\n{self.board.tail(40)}")
        if re.search(BAD, self.board.text()):
            raise Failed(f"update {number}\n{self.board.tail(40)}")

    def runs(self, number):
        return self.scene.place.devices()[NAME]["version"] == f"1.0.{number}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--updates", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    firmware()
    with tempfile.TemporaryDirectory(prefix="godwit-soak-") as work:
        os.environ["XDG_CONFIG_HOME"] = str(Path(work) / "config")
        os.chdir(work)
        begun, soak = time.monotonic(), Soak(Path(work) / "soak", random.Random(options.seed))
        try:
            with soak.scene, soak.board as board:
                board.expect(r"broker connected\n", 60)
                for number in range(1, options.updates + 1):
                    soak.update(number)
                    if number % 10 == 0:
                        took = time.monotonic() - begun
                        print(f"  {number} updates, {soak.kills} pulled plugs, {took:.0f} s", flush=True)
                reports = soak.scene.reports(NAME)
        except (Dead, Failed) as why:
            print(f"soak-qemu: FAILED: {why}")
            return 1
        finally:
            os.chdir("/")
    confirmed = {r["release"]["sequence"] for r in reports if r["state"] == "CONFIRMED"}
    left = [r for r in reports if r["state"] == "LEFT"]
    print(f"soak-qemu: {options.updates} updates, {soak.kills} pulled plugs, {len(reports)} reports verified, of them "
          f"{len(confirmed)} releases confirmed and {len(left)} left; {time.monotonic() - begun:.0f} s")
    return 0 if not left and len(confirmed) > options.updates else 1


if __name__ == "__main__":
    sys.exit(main())
