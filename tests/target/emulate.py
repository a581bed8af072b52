#!/usr/bin/python3
"""Runs the programs of build/target-<target>/tests in an emulator and counts their tests.

    tests/target/emulate.py rv32 | cortex-m [--short] [--jobs N] [--only NAME]

What it keeps true: every file of tests/unit ran, or is listed with the reason why not (plan.txt); a program that is
missing, crashes, hangs, reports fewer tests than it began with or ends with another exit code than 0 has failed. The
last line is `N passed, N failed`. Logs are in build/log/target-<target>/.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SEMIHOSTING = ["-display", "none", "-serial", "none", "-monitor", "none",
               "-semihosting-config", "enable=on,target=native", "-kernel"]
EMULATORS = {  # the virt board with the instruction set of an ESP32-C3; the M3 board of ARM
    "rv32": ["qemu-system-riscv32", "-M", "virt", "-cpu", "lowrisc-ibex", "-m", "64M", "-bios", "none", *SEMIHOSTING],
    "cortex-m": ["qemu-system-arm", "-M", "mps2-an385", *SEMIHOSTING],
}
EXTRA = {"kat-psa": "", "kat-mbedtls-boot": "", "powercut": ""}  # no unit tests; as the rest of a line of plan.txt
SECONDS = 600


def plan():
    """{unit test: (words before the reason, reason)} of plan.txt."""
    result = {}
    for line in (ROOT / "tests/target/plan.txt").read_text().splitlines():
        if line.startswith("test_"):
            name, kind, rest = (line.split(None, 2) + [""])[:3]
            result[name] = (kind, rest)
    return result


def check_plan(planned):
    """What is wrong with plan.txt, as sentences."""
    there = {p.stem for p in (ROOT / "tests/unit").glob("test_*.c")}
    wrong = [f"plan.txt does not say how {name} is run" for name in sorted(there - set(planned))]
    wrong += [f"plan.txt names {name}, which does not exist" for name in sorted(set(planned) - there)]
    wrong += [f"plan.txt leaves out {name} without a reason" for name, (kind, rest) in planned.items()
              if kind == "out" and len(rest.split()) < 3]
    return wrong


class Run:
    """One program in the emulator."""

    def __init__(self, target, name):
        self.name, self.passed, self.failed, self.note = name, 0, 0, ""
        self.program = ROOT / f"build/target-{target}/tests/{name}"
        self.command = [*EMULATORS[target], str(self.program)]
        self.log = ROOT / f"build/log/target-{target}/{name}.log"

    def go(self):
        start = time.monotonic()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if not self.program.is_file():
            self.failed, self.note = 1, "was not built"
            self.log.write_text("")
            return self
        try:
            done = subprocess.run(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=SECONDS)
            text, code = done.stdout.decode(errors="replace"), done.returncode
        except subprocess.TimeoutExpired as expired:
            text, code = (expired.stdout or b"").decode(errors="replace"), f"none after {SECONDS} s"
        except OSError as error:
            text, code = f"cannot run {self.command[0]}: {error.strerror}\n", "none"
        self.log.write_text(text)
        self.count(text, code)
        self.took = time.monotonic() - start
        return self

    def count(self, text, code):
        begun = sum(int(n) for n in re.findall(r"^\[={10}\] .*: (\d+) test\(s\)", text, re.M))
        self.passed = len(re.findall(r"^\[ +OK \]", text, re.M))
        self.failed = max(begun - self.passed, len(re.findall(r"^\[  (?:FAILED|ERROR )  \] (?!\d+ test)", text, re.M)))
        if code != 0:
            self.note = f"exit code {code}"
        if not begun:
            self.note = self.note or "ran no test"
        if self.note:
            self.failed = max(self.failed, 1)

    def report(self):
        print(f"{self.name:<24} {self.passed:>7} {self.failed:>7} {self.took:>8.1f} s  "
              f"{'FAILED' if self.failed else 'ok'}{'  ' + self.note if self.note else ''}", flush=True)
        if self.failed:
            for line in self.log.read_text().splitlines()[-30:]:
                print("    | " + line)

    took = 0.0


def choose(planned, options):
    """(programs to run, [(name, why it is left out)])"""
    programs = {name: rest for name, (kind, rest) in planned.items() if kind != "out"} | EXTRA
    left = [(name, rest) for name, (kind, rest) in planned.items() if kind == "out"]
    if options.only:
        return [options.only], left
    seconds = {name: int(rest.split()[1]) for name, rest in programs.items() if rest.startswith("slow ")}
    slow = list(seconds) if options.short else []
    left += [(name, "slow: in the whole run only") for name in slow]
    chosen = [name for name in programs if name not in slow]
    return sorted(chosen, key=lambda name: -seconds.get(name, 0)), left


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("target", choices=sorted(EMULATORS))
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    planned = plan()
    wrong = check_plan(planned)
    names, left = choose(planned, options)
    print(f"{'on ' + options.target:<24} {'passed':>7} {'failed':>7} {'time':>10}")
    with concurrent.futures.ThreadPoolExecutor(max_workers=options.jobs) as pool:
        runs = list(pool.map(lambda name: Run(options.target, name).go(), names))
    for run in sorted(runs, key=lambda r: r.name):
        run.report()
    for name, why in left:
        print(f"left out: {name}: {why}")
    for sentence in wrong:
        print(f"FAILED: {sentence}")
    passed, failed = sum(r.passed for r in runs), sum(r.failed for r in runs) + len(wrong)
    units = sum(r.name in planned for r in runs)
    print(f"{options.target}: {passed + failed} tests of {units} of the {len(planned)} files in tests/unit; "
          f"other programs: {len(runs) - units}; emulator: {' '.join(EMULATORS[options.target][:3])}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
