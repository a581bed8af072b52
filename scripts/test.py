#!/usr/bin/python3
"""Builds and runs the tests, sums them up per suite, and ends with one line `N passed, N failed`.

    scripts/test.py quick | full | ci | cov        tiers, as `make test`, `make test-full`, .ci/run, `make cov`
    scripts/test.py one --name test_cbor           one suite; --list names them all

What it keeps true: a suite that is expected from the sources and whose program is missing, crashes, hangs, reports
fewer tests than it planned, reports none or skips one counts as failed. Logs are in build/log/.

A suite is counted by what it prints: TAP (cmocka), or a line `N passed, N failed` (scripts); `exit` suites count one.
A script suite is an executable tests/<name>/run.sh, run.py or check.py: its working directory is the repository,
GODWIT_BIN is the folder of the programs (sanitizers on), GODWIT_TMP an empty folder of its own.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LOGS = BUILD / "log"
ASAN = BUILD / "host-asan"
PYTHON = "/usr/bin/python3"  # Debian's, which has cbor2 and cryptography
REQUIRED_SCRIPTS = ["tests/cli/run.sh", "tests/stranger/check.py"]
MUTANTS = "tests/mutants"  # slow, only in the full tier
CLOSING = re.compile(r"^(?:\w+: ?)?(\d+) passed, (\d+) failed\b", re.M)


class Suite:
    """One command and how its tests are counted: 'tap', 'closing' or 'exit'."""

    def __init__(self, name, command, count, seconds=240, env=None, alone=False):
        self.name, self.command, self.count = name, [str(c) for c in command], count
        self.seconds, self.env, self.alone = seconds, env or {}, alone
        self.passed = self.failed = 0
        self.took = 0.0
        self.note = ""

    @property
    def log(self):
        return LOGS / (self.name.replace("/", "-").replace(" ", "-") + ".log")

    def run(self):
        start = time.monotonic()
        env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", GODWIT_NO_DEPS="1", LC_ALL="C.UTF-8",
                   ASAN_OPTIONS="detect_leaks=1:strict_string_checks=1", UBSAN_OPTIONS="print_stacktrace=1", **self.env)
        env.pop("MAKEFLAGS", None)
        temporary = BUILD / "tmp" / self.name.replace("/", "-")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        env["GODWIT_TMP"] = str(temporary)
        code = self.execute(env)
        text = self.log.read_text(errors="replace")
        getattr(self, "count_" + self.count)(text)
        if code != 0 and not self.failed:
            self.failed = 1
        if code != 0 and not self.note:
            self.note = f"exit code {code}"
        if not self.passed and not self.failed:
            self.failed, self.note = 1, "ran no test"
        self.took = time.monotonic() - start
        return self

    def execute(self, env):
        with open(self.log, "w") as log:
            try:
                process = subprocess.Popen(self.command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=subprocess.STDOUT, start_new_session=True)
            except OSError as error:
                self.failed, self.note = 1, f"cannot run: {error.strerror}"
                return 127
            try:
                return process.wait(timeout=self.seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
                self.failed, self.note = 1, f"killed after {self.seconds} s"
                return -9

    def count_tap(self, text):
        planned = sum(int(n) for n in re.findall(r"^1\.\.(\d+)", text, re.M))
        results = re.findall(r"^(not ok|ok)\b(.*)$", text, re.M)
        skipped = sum("# skip" in rest.lower() for _, rest in results)
        good = sum(word == "ok" and "# skip" not in rest.lower() for word, rest in results)
        self.passed = good
        self.failed = max(self.failed, len(results) - good, planned - good)
        if skipped:
            self.note = f"{skipped} skipped"
        elif len(results) < planned:
            self.note = f"only {len(results)} of {planned} tests reported"

    def count_closing(self, text):
        lines = CLOSING.findall(text)
        if not lines:
            self.failed, self.note = max(self.failed, 1), self.note or "printed no line 'N passed, N failed'"
            return
        self.passed = int(lines[-1][0])
        self.failed = max(self.failed, int(lines[-1][1]))

    def count_exit(self, text):
        self.passed = 0 if self.failed else 1  # run() turns it round on a bad exit code
        said = r"^(?:powercut(?:-qemu)?|demo(?:-\w+)?|mutants|bench(?:-\w+)?|soak-qemu|fuzz|lint): (.*)"
        verdicts = re.findall(said, text, re.M)
        self.note = self.note or (verdicts[-1] if verdicts else "")

    def finish(self):
        if self.count == "exit" and self.failed:
            self.passed = 0


def build(preset, target="all"):
    """One command that configures and builds a preset."""
    jobs = os.environ.get("JOBS") or str(os.cpu_count())
    script = f"cmake --preset {preset} && cmake --build build/{preset} -j {jobs} --target {target}"
    name = f"build {preset}" + ("" if target == "all" else f" {target}")
    return Suite(name, ["sh", "-c", script], "exit", 900, alone=True)


def units(preset_dir):
    found = sorted(p.stem for p in (ROOT / "tests/unit").glob("test_*.c"))
    return [Suite(name, [preset_dir / "tests" / name], "tap") for name in found]


def known_answers():
    return [Suite("kat-openssl", [ASAN / "tests/kat-openssl"], "tap"),
            Suite("kat-psa", [BUILD / "kat/tests/kat-psa"], "tap"),
            Suite("kat-mbedtls-boot", [BUILD / "kat/tests/kat-mbedtls-boot"], "tap")]


def scripts(bin_dir):
    names = ("run.sh", "run.py", "check.py")
    found = {str(p.relative_to(ROOT)) for name in names for p in ROOT.glob("tests/*/" + name)}
    found = sorted({f for f in found if not f.startswith(MUTANTS)} | set(REQUIRED_SCRIPTS))
    environment = {"GODWIT_BIN": str(bin_dir), "PYTHON": PYTHON}
    runner = {".py": [PYTHON], ".sh": ["bash"]}
    return [Suite(str(Path(f).parent)[len("tests/"):], runner[Path(f).suffix] + [ROOT / f], "closing", env=environment)
            for f in found]


def seeds():
    """Each fuzz target over its committed seeds, with the plain driver."""
    result = []
    for source in sorted((ROOT / "fuzz").glob("fuzz_*.c")):
        name = source.stem
        folder = ROOT / "fuzz/seeds" / name
        result.append(Suite(name, [ASAN / "fuzz" / name, folder], "exit"))
    return result


def online_full():
    """The suite `online` with every fault of the link."""
    return Suite("online-full", [PYTHON, ROOT / "tests/online/run.py"], "closing", 900, alone=True,
                 env={"GODWIT_BIN": str(ASAN / "bin"), "GODWIT_FULL": "1"})


def make(target, seconds=1800, *arguments):
    return Suite(f"make {target}", ["make", "--no-print-directory", target, *arguments], "exit", seconds, alone=True)


def powercut(preset_dir, tier, seconds):
    return Suite(f"powercut {tier}", [preset_dir / "bin/powercut", "--tier", tier], "exit", seconds)


def on_targets(*options):
    """Unit tests and known answers, cross-compiled, under emulation."""
    seconds = 300 if options else 1800
    return [Suite(f"target-{target}" if options else f"test-{target}",
                  [ROOT / "tests/target/emulate.py", target, *options], "closing", seconds, alone=not options)
            for target in ("rv32", "cortex-m")]


def quick():
    return [build("host-asan"), build("host", "powercut"), build("kat"), build("rv32"), build("cortex-m4"),
            build("rv32-board"), build("target-rv32"), build("target-cortex-m"),
            powercut(BUILD / "host", "quick", 240),
            *on_targets("--short", "--jobs", "1"), *units(ASAN), *known_answers(), *scripts(ASAN / "bin"), *seeds()]


def threads():
    """What has threads, under ThreadSanitizer (which needs addresses that are not random)."""
    names = ("test_db", "test_reports_server", "test_resources")
    return [*(build("host-tsan", name) for name in names),
            *(Suite(f"tsan-{name}", ["setarch", "-R", BUILD / "host-tsan/tests" / name], "tap") for name in names)]


def tier_ci():
    gates = ("lint", "size", "stack", "cov", "demo", "demo-static", "demo-desk", "demo-qemu", "demo-serial",
             "measure-rv32", "help")
    return [*quick(), build("host"), build("host-clang"), *(make(t) for t in gates),
            make("powercut-qemu", 900, "SAMPLE=16")]


def tier_full():
    return [*tier_ci(), *threads(), *on_targets(), online_full(), make("powercut"), make("powercut-qemu", 7200),
            make("mutants", 3600), make("fuzz", 3600), make("soak-qemu", 3600), make("bench"),
            make("bench-agent"), make("bench-boards"), make("bench-server")]


def tier_cov():
    """Of the scripts only those whose devices reach what unit tests do not; lib/ is what is counted."""
    reaching = [s for s in scripts(BUILD / "host-cov/bin") if s.name in ("cli", "delta", "provision", "stranger")]
    return [build("host-cov"), *units(BUILD / "host-cov"), *reaching,
            Suite("kat-openssl", [BUILD / "host-cov/tests/kat-openssl"], "tap"),
            powercut(BUILD / "host-cov", "quick", 600)]


def run_all(suites, jobs):
    """Builds and other commands that use all cores one by one, the rest side by side, in the order given."""
    done = []
    group = []

    def flush():
        with concurrent.futures.ThreadPoolExecutor(max_workers=jobs) as pool:
            for suite in pool.map(lambda s: s.run(), group):
                report(suite)
                done.append(suite)
        group.clear()

    for suite in suites:
        if not suite.alone:
            group.append(suite)
            continue
        flush()
        report(suite.run())
        done.append(suite)
    flush()
    return done


def report(suite):
    suite.finish()
    verdict = "FAILED" if suite.failed else "ok"
    print(f"{suite.name:<24} {suite.passed:>7} {suite.failed:>7} {suite.took:>8.1f} s  {verdict}"
          f"{'  ' + suite.note if suite.note else ''}", flush=True)
    if suite.failed:
        lines = suite.log.read_text(errors="replace").splitlines() if suite.log.exists() else []
        bad = [line for line in lines if re.search(r"^not ok|\berror:|ERROR|FAIL", line)][:20]
        for line in (bad + ["..."] if bad else []) + lines[-30:]:
            print("    | " + line)


def preset_of(name):
    """The preset whose programs a suite runs."""
    if name.startswith(("target-", "test-")):
        return "target-" + name.partition("-")[2]
    if name.startswith("tsan-"):
        return "host-tsan"
    return "kat" if "kat" in name else "host-asan"


def coverage():
    command = ["gcovr", "-r", str(ROOT), str(BUILD / "host-cov"), "--filter", str(ROOT / "lib/src/"),
               "--fail-under-line", "95", "--exclude-unreachable-branches", "--txt"]
    return subprocess.run(command, cwd=ROOT).returncode


def forget_coverage():
    for file in (BUILD / "host-cov").rglob("*.gcda"):
        file.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("tier", choices=["quick", "full", "ci", "cov", "one"])
    parser.add_argument("--name", default="")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    os.environ["JOBS"] = str(options.jobs)
    LOGS.mkdir(parents=True, exist_ok=True)
    if options.tier == "one":
        every = tier_full()
        suites = [s for s in every if s.name == options.name]
        if options.list or not suites:
            print("suites: " + ", ".join(s.name for s in every))
            return 0 if options.list else 2
        suites = [s for s in every if s.name == "build " + preset_of(options.name)] + suites
    else:
        suites = {"quick": quick, "full": tier_full, "ci": tier_ci, "cov": tier_cov}[options.tier]()
    if options.tier == "cov":
        forget_coverage()
    start = time.monotonic()
    print(f"{'suite':<24} {'passed':>7} {'failed':>7} {'time':>10}")
    done = run_all(suites, options.jobs)
    passed, failed = sum(s.passed for s in done), sum(s.failed for s in done)
    code = 1 if failed else 0
    if options.tier == "one" and not done[-1].failed:
        sys.stdout.write(done[-1].log.read_text(errors="replace"))
    if options.tier == "cov":
        code = coverage() or code
    print(f"{len(done)} suites in {time.monotonic() - start:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return code


if __name__ == "__main__":
    sys.exit(main())
