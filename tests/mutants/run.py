#!/usr/bin/python3
"""Makes one small fault at a time in a copy of the tree and expects the named test to fail.

    tests/mutants/run.py [--jobs N] [name ...]        all mutants, or those whose file name contains a name; --list
    names them

A mutant is a file tests/mutants/*.mutant:

    what is wrong, in words
    file: lib/src/x.c
    test: test_x                          a program below build/<preset>/tests or bin, with arguments
    <<<<
    the text that is replaced; it occurs exactly once
    ====
    what replaces it
    >>>>                                  more of <<<< ==== >>>> may follow

What it keeps true: a mutant that does not apply, does not compile, or whose test fails without it, is an error; only
the copy is changed. Last line: `mutants: N killed, 0 survived`.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = ROOT / "tests/mutants"
SECONDS = 240
PART = re.compile(r"^<<<<\n(.*?\n)====\n(.*?)>>>>\n", re.M | re.S)


class Mutant:
    def __init__(self, path):
        text = path.read_text()
        self.name = path.stem
        self.why = text.splitlines()[0]
        self.file = re.search(r"^file: (\S+)$", text, re.M).group(1)
        self.test = re.search(r"^test: (.+)$", text, re.M).group(1).split()
        self.parts = PART.findall(text)
        if not self.parts:
            raise ValueError(f"{path.name}: no part to replace")

    def apply(self, text):
        for old, new in self.parts:
            if text.count(old) != 1:
                raise ValueError(f"{self.name}: the text to replace occurs {text.count(old)} times in {self.file}")
            text = text.replace(old, new)
        return text


class Tree:
    """A copy of the sources with a build of its own."""

    def __init__(self, folder):
        self.root = folder
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", "build", "*.mutant", "__pycache__"))
        self.build_dir = folder / "build/mutants"
        self.run(["cmake", "-G", "Ninja", "-S", str(folder), "-B", str(self.build_dir), "-DCMAKE_C_COMPILER=gcc",
                  "-DCMAKE_C_FLAGS=-O1", "-DCMAKE_BUILD_TYPE=None"], check=True)

    def run(self, command, check=False):
        done = subprocess.run(command, cwd=self.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=SECONDS * 4, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(" ".join(map(str, command)) + "\n" + done.stdout.decode(errors="replace")[-3000:])
        return done.returncode

    def build(self, *targets):
        self.run(["cmake", "--build", str(self.build_dir), "-j", "1", "--target", *targets], check=True)

    def test(self, test):
        """Exit code of a test; a test that hangs has noticed, too."""
        program = next(p for p in (self.build_dir / "tests" / test[0], self.build_dir / "bin" / test[0]) if p.exists())
        try:
            return subprocess.run([program, *test[1:]], cwd=self.root, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=SECONDS,
                                  check=False).returncode
        except subprocess.TimeoutExpired:
            return -1

    def baseline(self, mutants):
        """Every test passes on the tree as it is."""
        self.build(*sorted({m.test[0] for m in mutants}))
        for test in sorted({tuple(m.test) for m in mutants}):
            if self.test(test) != 0:
                raise RuntimeError(f"{' '.join(test)} fails without any mutant")

    def try_mutant(self, mutant):
        path = self.root / mutant.file
        original = path.read_text()
        path.write_text(mutant.apply(original))
        try:
            self.build(mutant.test[0])
            return self.test(mutant.test) != 0
        finally:
            path.write_text(original)


def work(number, jobs, mutants, temporary):
    """The mutants number, number + jobs, ... in a tree of their own. Yields (mutant, killed or None, message)."""
    mine = mutants[number::jobs]
    results = []
    tree = Tree(Path(temporary) / str(number))
    tree.baseline(mine)
    for mutant in mine:
        try:
            killed = tree.try_mutant(mutant)
            message = ""
        except (ValueError, RuntimeError) as error:
            killed, message = None, str(error)
        word = "ERROR   " if killed is None else "killed  " if killed else "SURVIVED"
        print(f"{word} {mutant.name:<28} {' '.join(mutant.test):<44} {mutant.why}", flush=True)
        if message:
            print("    " + message.replace("\n", "\n    "), flush=True)
        results.append(killed)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    mutants = [Mutant(p) for p in sorted(HERE.glob("*.mutant"))]
    if options.names:
        mutants = [m for m in mutants if any(n in m.name for n in options.names)]
    if options.list:
        for m in mutants:
            print(f"{m.name:<28} {m.file:<24} {' '.join(m.test):<44} {m.why}")
        return 0
    for m in mutants:  # before anything is built
        m.apply((ROOT / m.file).read_text())
    jobs = max(1, min(options.jobs, len(mutants)))
    with tempfile.TemporaryDirectory(prefix="mutants-") as temporary, \
            concurrent.futures.ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = [pool.submit(work, i, jobs, mutants, temporary) for i in range(jobs)]
        results = [r for f in futures for r in f.result()]
    killed, survived = results.count(True), results.count(False)
    errors = results.count(None)
    if errors:
        print(f"{errors} could not be tried")
    print(f"mutants: {killed} killed, {survived} survived")
    return 0 if killed and not survived and not errors else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ValueError, RuntimeError) as problem:
        print(problem)
        print("mutants: could not be run")
        sys.exit(2)
