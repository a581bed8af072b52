#!/usr/bin/python3
"""How long the emulated board takes from reset to the image: wall time of the whole emulator, and instructions.

    bench/boot.py [folder of the programs]       default: build/host/bin; `make bench-boot` builds what it needs

A unit is provisioned with a 128 KB image that ends the emulator as soon as it runs. Wall time: the median of 5 runs,
QEMU's own start included. Instructions: one run with -icount shift=0, where a nanosecond of the board's timer is one
instruction. Fails when the boot takes 0.5 s or more.
"""
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/host/bin").resolve()
BOARD = ROOT / "build/rv32-board"
QEMU = ["qemu-system-riscv32", "-M", "virt", "-cpu", "lowrisc-ibex", "-m", "400K", "-bios", "none", "-nodefaults",
        "-display", "none", "-monitor", "none", "-serial", "stdio", "-device", "i6300esb", "-snapshot",
        "-drive", "if=pflash,unit=0,format=raw,file=bank0.bin", "-drive", "if=pflash,unit=1,format=raw,file=bank1.bin"]
LIMIT_S = 0.5


def godwit(*arguments):
    subprocess.run([BIN / "godwit", *map(str, arguments)], check=True, capture_output=True)


def provision():
    for name in ("root1", "root2", "author"):
        godwit("key", "new", f"{name}.pem")
    roots = ["--root", "root1.pem", "--root", "root2.pem"]
    ids = ["--vendor", "example.com", "--class", "sensor-c3"]
    godwit("key", "bundle", *roots, "--author", "author.pem", "--version", 1, "--epoch", 1, "-o", "trust.cose")
    godwit("release", "build", BOARD / "started.bin", "--version", "1.0.0", *ids, "-o", "rel")
    godwit("release", "sign", "rel", "--key", "author.pem")
    godwit("device", "provision", "--board", ROOT / "ports/qemu-rv32/board.json", "--id", "dev1", *ids, *roots,
           "--bootloader", BOARD / "boot.bin", "--trust", "trust.cose", "--release", "rel", "-o", "unit")


def boot(*more):
    """Microseconds by the board's timer, seconds by the wall."""
    start = time.monotonic()
    out = subprocess.run([*QEMU, *more], cwd="unit", check=True, capture_output=True, text=True, timeout=60).stdout
    took = time.monotonic() - start
    match = re.search(r"boot: starts A, CONFIRMED\s+image: started (\d+) us", out)
    if not match:
        sys.exit(f"bench-boot: the image did not start:\n{out}")
    return int(match.group(1)), took


def main():
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        provision()
        size = (BOARD / "started.bin").stat().st_size
        wall = statistics.median(boot()[1] for _ in range(5))
        instructions = boot("-icount", "shift=0")[0] / 1000
    print(f"image of {size} bytes: {wall:.2f} s with the start of QEMU; {instructions:.1f} M instructions from reset "
          f"to the image")
    print(f"bench-boot: {wall:.2f} s of at most {LIMIT_S} s")
    return 0 if wall < LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
