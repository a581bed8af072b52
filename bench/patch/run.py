#!/usr/bin/python3
"""gwpatch against the field, on pairs of real firmware. Every patch is applied and compared with the new image.

    bench/patch/run.py CORPUS [--bin build/host] [--out build/bench-patch] [--ram 16K] [--no-callgrind]

CORPUS holds folders with old.bin and new.bin. Left out when not on the PATH: bsdiff, xdelta3, zstd, xz,
detools, hdiffz.
Columns after "full": encoder CPU seconds per MB and bytes of memory per byte of image (above a
process that does nothing), for the delta and the full image; decoder instructions per byte of output, for both. Writes
table.txt and plot.svg to --out. The last line sums up; exit code 1 when anything did not come back.
"""
import argparse
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path


def run(*command, measure=False):
    """Runs it; with `measure` returns (CPU seconds, peak bytes)."""
    if not measure:
        return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True)
    before = time.monotonic()
    p = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(p.pid, 0)
    if status != 0:
        sys.exit(f"bench-patch: {command[0]} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, time.monotonic() - before


def same(a, b):
    return Path(a).read_bytes() == Path(b).read_bytes()


class Bench:
    def __init__(self, a):
        self.a = a
        self.godwit, self.decode = a.bin / "bin/godwit", a.bin / "bench/patch_decode"
        self.tmp = a.out / "tmp"
        self.tmp.mkdir(parents=True, exist_ok=True)
        self.broken = []
        self.bare = run(self.godwit, "--help", measure=True)[1]  # memory of a process that does nothing

    def check(self, what, ok):
        if not ok:
            self.broken.append(what)
        return ok

    def rivals(self, name, old, new):
        """{tool: bytes}, each applied."""
        t, sizes = self.tmp, {}
        table = {
            "bsdiff": (["bsdiff", old, new, t / "p"], ["bspatch", old, t / "r", t / "p"]),
            "xdelta3": (["xdelta3", "-9", "-S", "djw", "-f", "-e", "-s", old, new, t / "p"],
                        ["xdelta3", "-f", "-d", "-s", old, t / "p", t / "r"]),
            "zstd": (["zstd", "-q", "-f", "-19", "--long=27", f"--patch-from={old}", new, "-o", t / "p"],
                     ["zstd", "-q", "-f", "-d", "--long=27", f"--patch-from={old}", t / "p", "-o", t / "r"]),
            "detools": (["detools", "create_patch", "-c", "heatshrink", old, new, t / "p"],
                        ["detools", "apply_patch", old, t / "p", t / "r"]),
            "hdiffz": (["hdiffz", "-f", "-c-lzma2", old, new, t / "p"], ["hpatchz", "-f", old, t / "p", t / "r"]),
        }
        for tool, (make, apply) in table.items():
            if shutil.which(tool):
                run(*make)
                run(*apply)
                self.check(f"{name} {tool}", same(t / "r", new))
                sizes[tool] = (t / "p").stat().st_size
        with open(t / "p", "wb") as f:
            subprocess.run(["xz", "-9e", "-k", "-c", new], stdout=f, check=True)
        with open(t / "r", "wb") as f:
            subprocess.run(["xz", "-d", "-c", t / "p"], stdin=open(t / "p", "rb"), stdout=f, check=True)
        self.check(f"{name} xz", same(t / "r", new))
        sizes["xz"] = (t / "p").stat().st_size
        return sizes

    def instructions(self, old, patch, new):
        if self.a.no_callgrind or not shutil.which("valgrind"):
            return None
        r = run("valgrind", "--tool=callgrind", f"--callgrind-out-file={self.tmp}/cg",
                "--toggle-collect=gw_patch_poll", "--toggle-collect=gw_patch_push", self.decode, old, patch, new)
        for line in r.stderr.splitlines():
            if "Collected" in line:
                return int(line.split(":")[1].split()[0]) / new.stat().st_size
        return None

    def ours(self, name, old, new):
        t, row = self.tmp, {}
        for kind, images in (("delta", [old, new]), ("full", ["--full", new])):
            p = t / f"{kind}.gwp"
            cpu, peak, _ = run(self.godwit, "patch", "make", *images, "-o", p, "--force", "--ram", self.a.ram,
                               measure=True)
            source = [old] if kind == "delta" else []
            run(self.godwit, "patch", "apply", *source, p, "-o", t / "r", "--force")
            self.check(f"{name} gwpatch {kind}", same(t / "r", new))
            base = old if kind == "delta" else "-"
            ram = int(run(self.decode, base, p, new).stdout)
            size = new.stat().st_size
            row[kind] = {"bytes": p.stat().st_size, "cpu": cpu / size * (1 << 20),
                         "memory": max(0, peak - self.bare) / size,
                         "ram": ram,
                         "instructions": self.instructions(base, p, new)}
        return row


def mean(values):
    values = [v for v in values if v]
    return math.exp(sum(math.log(v) for v in values) / len(values)) if values else float("nan")


def plot(rows, path):
    """Bars: patch over new image, logarithmic, one group per pair."""
    tools = [("gwpatch", "#1b6ca8"), ("bsdiff", "#999999"), ("zstd", "#c9a227"), ("xdelta3", "#b5523b")]
    high, wide = 26 * len(rows) + 60, 900
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" font-family="sans-serif" '
           'font-size="11">', '<text x="10" y="16">patch in per cent of the new image (logarithmic)</text>']

    def x(percent):
        return 250 + 620 * (math.log10(max(percent, 0.01)) + 2) / 4

    for i, (name, size, sizes, ours) in enumerate(rows):
        y = 40 + 26 * i
        out.append(f'<text x="10" y="{y + 12}">{name}</text>')
        for k, (tool, colour) in enumerate(tools):
            n = ours["delta"]["bytes"] if tool == "gwpatch" else sizes.get(tool)
            if n:
                out.append(f'<rect x="250" y="{y + 5 * k}" height="4" width="{x(100 * n / size) - 250:.1f}" '
                           f'fill="{colour}"/>')
    for k, (tool, colour) in enumerate(tools):
        out.append(f'<rect x="{250 + 110 * k}" y="{high - 18}" width="10" height="10" fill="{colour}"/>'
                   f'<text x="{264 + 110 * k}" y="{high - 9}">{tool}</text>')
    path.write_text("\n".join(out + ["</svg>"]) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--bin", type=Path, default=Path("build/host"))
    parser.add_argument("--out", type=Path, default=Path("build/bench-patch"))
    parser.add_argument("--ram", default="16K")
    parser.add_argument("--no-callgrind", action="store_true")
    a = parser.parse_args()
    b = Bench(a)
    rows, lines = [], []
    pairs = sorted(p.parent for p in a.corpus.glob("*/old.bin") if (p.parent / "new.bin").is_file())
    if not pairs:
        sys.exit(f"bench-patch: no */old.bin with new.bin in {a.corpus}")
    tools = ["bsdiff", "xdelta3", "zstd", "detools", "hdiffz", "xz"]

    def say(text):
        lines.append(text)
        print(text, flush=True)

    say(f"{'pair':<36}{'new':>9}{'gwpatch':>9}" + "".join(f"{t:>9}" for t in tools) +
        f"{'full':>9}{'s/MB':>6}{'B/B':>5}{'s/MB':>6}{'B/B':>5}{'i/B':>5}{'i/B':>5}")
    for pair in pairs:
        old, new = pair / "old.bin", pair / "new.bin"
        sizes, ours = b.rivals(pair.name, old, new), b.ours(pair.name, old, new)
        rows.append((pair.name, new.stat().st_size, sizes, ours))
        d, f = ours["delta"], ours["full"]
        say(f"{pair.name[:35]:<36}{new.stat().st_size:>9}{d['bytes']:>9}" +
            "".join(f"{sizes.get(t, '-'):>9}" for t in tools) + f"{f['bytes']:>9}{d['cpu']:>6.1f}{d['memory']:>5.0f}"
            f"{f['cpu']:>6.1f}{f['memory']:>5.0f}{d['instructions'] or 0:>5.0f}{f['instructions'] or 0:>5.0f}")
    for t in tools:
        share = [(s[t] / n, (o["full"] if t == "xz" else o["delta"])["bytes"] / s[t]) for _, n, s, o in rows if t in s]
        if share:
            say(f"{t}: {100 * mean(x for x, _ in share):.2f} % of new; gwpatch {mean(x for _, x in share):.3f}x")
    ratios = [o["delta"]["bytes"] / s["bsdiff"] for _, _, s, o in rows if "bsdiff" in s]
    for what in b.broken:
        say(f"did not come back: {what}")
    say(f"bench-patch: delta {100 * mean(o['delta']['bytes'] / n for _, n, _, o in rows):.2f} % of new, "
        f"{mean(ratios):.3f}x bsdiff, {max(ratios, default=float('nan')):.2f}x worst; "
        f"full {mean(o['full']['bytes'] / s['xz'] for _, _, s, o in rows):.3f}x xz; "
        f"RAM {max(o[k]['ram'] for _, _, _, o in rows for k in o)} bytes; "
        f"{mean(o['delta']['instructions'] for _, _, _, o in rows):.0f} instr/byte delta, "
        f"{mean(o['full']['instructions'] for _, _, _, o in rows):.0f} full")
    (a.out / "table.txt").write_text("\n".join(lines) + "\n")
    plot(rows, a.out / "plot.svg")
    return 1 if b.broken else 0


if __name__ == "__main__":
    sys.exit(main())
