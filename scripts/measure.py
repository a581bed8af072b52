#!/usr/bin/python3
"""What cryptography costs on RV32IMC: instructions, counted by the emulator, and bytes of code, as linked.

    scripts/measure.py          prints the table of docs/porting.md; `make measure-rv32` builds what it needs

Exact and the same on every machine: QEMU counts with -icount shift=0, tests/target/measure.c reads the processor's
counter. Exit code 1 over the limits of LIMITS, which hold for what a bootloader links.
"""
import re
import subprocess
import sys

from size import by_object
from targets import ROOT

FOLDER = ROOT / "build/target-rv32/measure"
QEMU = ["qemu-system-riscv32", "-M", "virt", "-cpu", "lowrisc-ibex", "-m", "64M", "-bios", "none", "-display", "none",
        "-serial", "none", "-monitor", "none", "-semihosting-config", "enable=on,target=native", "-icount", "shift=0",
        "-kernel"]
PORTS = {"mbedtls-boot": "bootloader: p256-m", "ecp": "the same with Mbed TLS's curves", "psa": "application: PSA"}
LIMITS = {"sha256_pieces": 110, "es256": 45e6}  # instructions per byte; instructions (issue 3)


def measure(port):
    """{name: number} that one program prints, with the bytes of its library and port."""
    run = subprocess.run([*QEMU, FOLDER / f"measure-{port}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, timeout=120)
    if run.returncode:
        sys.exit(f"measure-{port} failed:\n{run.stdout}")
    found = {name: int(n) for name, n in re.findall(r"^(\w+) (\d+)$", run.stdout, re.M)}
    for name in ("sha256_pieces", "sha256_whole", "aes128_ctr"):
        if name in found:
            found[name] /= found["bytes"]
    linked = by_object((FOLDER / f"{port}.map").read_text())
    found["code"] = sum(n for name, n in linked.items() if name.startswith((f"lib{port}-mbedtls", "libgodwit-crypto")))
    return found


def row(text, found, name, shown):
    print(f"| {text} | " + " | ".join(shown(f[name]) if name in f else "-" for f in found) + " |")


def table(found):
    print("| RV32IMC, -Os | " + " | ".join(PORTS.values()) + " |\n|---|" + "---|" * len(PORTS))
    each, millions = "{:.1f}".format, lambda n: f"{n / 1e6:.1f} M"
    row("SHA-256 of 128 KB in pieces of 256 bytes, instructions per byte", found, "sha256_pieces", each)
    row("SHA-256 of 128 KB in one piece, instructions per byte", found, "sha256_whole", each)
    row("one ES256 verification, instructions", found, "es256", millions)
    row("heap that it takes, bytes", found, "es256_heap", str)
    row("AES-128-CTR of 128 KB, instructions per byte", found, "aes128_ctr", each)
    row("one key agreement (ECDH), instructions", found, "ecdh", millions)
    row("code and constants of library and port, linked, bytes", found, "code", str)


def main():
    found = {port: measure(port) for port in PORTS}
    table(found.values())
    over = [f"{name} takes {found['mbedtls-boot'][name]:.1f}, at most {limit:.0f}" for name, limit in LIMITS.items()
            if found["mbedtls-boot"][name] > limit]
    for sentence in over:
        print(f"measure: over the limit: {sentence}", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
