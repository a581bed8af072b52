#!/usr/bin/python3
"""The server's database and blobs under load, killed with SIGKILL at random moments: what was acknowledged is there.

    tests/server-kill/run.py [--seed N] [--rounds N]

Each round goes on in the same folder. The seed is printed: the same one gives the same moments. Then two servers on one
folder, and a disk that fills up and is emptied again.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

BIN = Path(os.environ.get("GODWIT_BIN", "build/host-asan/bin")).resolve().parent / "tests"
TMP = Path(os.environ.get("GODWIT_TMP", "/tmp"))
passed = failed = 0


def verdict(name, good, detail=""):
    global passed, failed
    passed += bool(good)
    failed += not good
    print(f"{'ok' if good else 'FAILED'}: {name} {detail}", flush=True)


def start(folder, first, log, limit=None):
    arguments = [BIN / "server-load", "run", folder, str(first)] + ([str(limit)] if limit else [])
    return subprocess.Popen([str(a) for a in arguments], stdout=log, stderr=subprocess.PIPE)


def acknowledged(path):
    lines = path.read_text().split("\n")[:-1]  # a last line without an end was not said
    return [int(line.split()[1]) for line in lines if line.startswith("ack ")]


def wait_for(process, path, lines, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if path.read_bytes().count(b"\n") >= lines:
            return True
        time.sleep(0.01)
    return False


def check(folder, log):
    with open(log) as lines:
        result = subprocess.run([str(BIN / "server-load"), "check", str(folder)], stdin=lines, capture_output=True,
                                text=True)
    return result.returncode == 0, (result.stdout + result.stderr).strip()


def next_number(log):
    lines = log.read_text().split("\n")[:-1]
    numbers = [int(line.split()[1]) for line in lines if line.startswith(("ack ", "failed "))]
    return max(numbers, default=0) + 1000


def kill_rounds(folder, log, rounds, chance):
    for number in range(rounds):
        before = log.read_bytes().count(b"\n")
        with open(log, "ab") as out:
            process = start(folder, next_number(log), out)
            started = wait_for(process, log, before + 1)
            time.sleep(chance.uniform(0, 0.4))
            process.kill()
            process.wait()
            process.stderr.close()
        text = log.read_bytes()
        if text and not text.endswith(b"\n"):  # the kill came in the middle of a line
            log.write_bytes(text[:text.rindex(b"\n") + 1])
        good, detail = check(folder, log)
        verdict(f"killed, round {number + 1}", started and good, detail)


def two_at_once(folder, log):
    with open(log, "ab") as out:
        process = start(folder, next_number(log), out)
        wait_for(process, log, log.read_bytes().count(b"\n") + 50)
        second = subprocess.run([str(BIN / "server-load"), "run", str(folder), "0"], capture_output=True, text=True,
                                timeout=60)
        alive = process.poll() is None
        process.kill()
        process.wait()
        process.stderr.close()
    verdict("a second server on the folder is refused", second.returncode == 2 and "another process" in second.stderr,
            second.stderr.strip())
    verdict("the first goes on", alive)
    verdict("nothing is lost", *check(folder, log))


def disk_full(folder, log):
    size = max(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    before = len(acknowledged(log))
    with open(log, "ab") as out:
        process = start(folder, next_number(log), out, size + 200_000)
        end = time.monotonic() + 30
        while time.monotonic() < end and b"failed " not in log.read_bytes():
            time.sleep(0.05)
        time.sleep(0.3)
        alive = process.poll() is None
        process.kill()
        process.wait()
        process.stderr.close()
    text = log.read_text()
    verdict("a full disk is told", "failed " in text and "the database" in text)
    verdict("and ends nothing", alive)
    verdict("what was acknowledged until then is there", *check(folder, log))
    with open(log, "ab") as out:
        process = start(folder, next_number(log), out)
        more = wait_for(process, log, log.read_bytes().count(b"\n") + 200)
        process.kill()
        process.wait()
        process.stderr.close()
    verdict("with room again it goes on", more and len(acknowledged(log)) > before)
    verdict("nothing is lost", *check(folder, log))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print(f"seed {options.seed}: again with tests/server-kill/run.py --seed {options.seed}", flush=True)
    folder = TMP / "data"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log = TMP / "acknowledged"
    log.write_text("")
    kill_rounds(folder, log, options.rounds, random.Random(options.seed))
    two_at_once(folder, log)
    disk_full(folder, log)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
