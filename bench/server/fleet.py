#!/usr/bin/python3
"""A fleet at godwitd and a real Mosquitto, all of it set up by the CLI. Part 2 of `make bench-server`.

    bench/server/fleet.py BIN [--part reports|notify|poll]... [--rounds 5] [--devices 5000] [--quick]    BIN: build/host

    reports   signed reports end to end over kept mTLS connections, acknowledged when durable: per second, p99, CPU time
    notify    from the start of a rollout to the last of 5 000 connected MQTT devices, against a bare publish to them
    poll      the memory of godwitd when 10 000 devices are known and have looked

godwitd, the broker and the bare publisher share one core, the crowd of devices (fleet.c) has the other. Loopback only.
Exits with 1 when a target is missed."""
import argparse
import http.client
import json
import os
import resource
import signal
import sqlite3
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/web"), str(ROOT / "bench/server")]
from mosquitto import Mosquitto, free_ports  # noqa: E402
from run import CLASS, CLIENT_CORE, SERVER_CORE, Daemon, Verdicts, cpu, pin  # noqa: E402

LIMITS = "connections = 20000\nper_address = 20000\nper_minute = 1000000000\nidle_ms = 600000\n"
REPORTS_LEAST, NOTIFY_MOST, MEMORY_MOST = 5000, 1.25, 64


class Place:
    """What `godwit server init` makes, and godwitd in it; devices as many as are asked for."""

    def __init__(self, bin_dir, folder, devices):
        self.bin, self.folder, self.daemon = bin_dir, folder, None
        os.environ["XDG_CONFIG_HOME"] = str(folder / "config")
        folder.mkdir()
        os.chdir(folder)
        for name in ("root1", "root2", "author", "group"):
            self.godwit("key", "new", f"{name}.pem")
        self.godwit("key", "new", "dca", "--device-ca", "Bench devices")
        self.godwit("key", "bundle", "--root", "root1.pem", "--root", "root2.pem", "--author", "author.pem",
                    "--version", 1, "--epoch", 1, "-o", "trust.cose")
        self.port = free_ports(6)
        self.godwit("server", "init", "srv", "--name", "localhost", "--device-ca", "dca", "--trust", "trust.cose",
                    "--address", "127.0.0.1", "--port", self.port, "--profile", "bench")
        self.godwit("server", "token", "srv", "--name", "bench", "--role", "admin", "-o", "token")
        conf = Path("srv/godwitd.conf")
        conf.write_text(conf.read_text().replace("[devices]\n", "[devices]\n" + LIMITS))
        with open("srv/mosquitto/server.acl", "a") as acl:  # the bare publisher's: a name of its own
            acl.write("user bench\ntopic write godwit/+/notify\n")
        self.devices = devices

    def godwit(self, *arguments):
        return subprocess.run([self.bin / "bin/godwit", *map(str, arguments)], check=True, capture_output=True,
                              text=True).stdout

    def start(self):
        self.daemon = FleetDaemon(self.bin, "srv/godwitd.conf")

    def fill(self):
        """Class, release and devices, as an operator makes them known."""
        Path("image.bin").write_bytes(os.urandom(100_000))
        self.godwit("release", "build", "image.bin", "--version", "1.0.0", *CLASS, "--encrypt-to", "group.pub.pem",
                    "-o", "rel")
        self.godwit("release", "sign", "rel", "--key", "author.pem")
        self.godwit("class", "add", *CLASS)
        self.release = self.godwit("release", "publish", "rel", "--to",
                                   f"https://localhost:{self.port + 3}").strip()
        class_id = json.loads(self.godwit("class", "list", "--json"))[0]["id"]
        listed = subprocess.run([self.bin / "bench/server-fleet", "list", "--count", str(self.devices), "--class",
                                 class_id], check=True, capture_output=True).stdout
        Path("devices.json").write_bytes(listed)
        self.godwit("device", "import", "devices.json")

    @staticmethod
    def rows(query):
        db = sqlite3.connect("file:srv/data/godwit.db?mode=ro", uri=True)
        try:
            return db.execute(query).fetchone()[0]
        finally:
            db.close()

    def ask(self, connection, method, path, body=None):
        head = {"Authorization": f"Bearer {Path('token').read_text().strip()}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), head)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode()}")
        return json.loads(text) if text else None

    def admin(self):
        context = ssl.create_default_context(cafile="srv/ca/ca.pem")
        return http.client.HTTPSConnection("localhost", self.port + 3, context=context, timeout=120)


class FleetDaemon(Daemon):
    """Its log goes to a file, as it would; a line for each report."""

    def __init__(self, bin_dir, config):  # not Daemon's: that reads a pipe
        self.log = Path("godwitd.log")
        with open(self.log, "a") as log:
            self.process = subprocess.Popen([bin_dir / "bin/godwitd", config], stdin=subprocess.DEVNULL, stderr=log,
                                            preexec_fn=pin(SERVER_CORE))
        try:
            self.says(" ready")
        except RuntimeError:
            self.end()
            raise

    def says(self, text, seconds=30):
        end = time.monotonic() + seconds
        while text not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"godwitd did not say {text}: {self.log.read_text()[-800:]}")
            time.sleep(0.05)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


class Crowd:
    """fleet.c in one of its modes: a line to begin a round, a line with what came of it."""

    def __init__(self, place, mode, port, core, *more, issuer=("dca/ca.pem", "dca/ca.key")):
        self.process = subprocess.Popen(
            [place.bin / "bench/server-fleet", mode, "--port", str(port), "--ca", "srv/ca/ca.pem", "--issuer",
             issuer[0], "--issuer-key", issuer[1], *map(str, more)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, preexec_fn=pin(core))
        try:
            self.line("ready")
        except RuntimeError:
            self.end()
            raise

    def line(self, first):
        text = self.process.stdout.readline()
        if not text.startswith(first):
            raise RuntimeError(f"the crowd said {text!r} instead of {first}")
        return text.split()

    def tell(self, text="go"):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def end(self):
        """It ends with its stdin; if it hangs in a round, by its process id."""
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


# ---- Reports ---------------------------------------------------------------------------------------------------------

def reports(place, verdicts, options):
    devices, each = min(1000, place.devices), 4 if options.quick else 20
    rounds = []
    load = ("--count", devices, "--each", each, "--at-once", 256)
    with Crowd(place, "reports", place.port, CLIENT_CORE, *load) as crowd:
        for number in range(options.rounds):
            if number:
                crowd.line("ready")
            before = cpu(place.daemon.pids())
            crowd.tell()
            text = crowd.line("reports")
            used = cpu(place.daemon.pids()) - before
            count, seconds, p99 = int(text[1]), float(text[3]), float(text[7])
            if count != devices * each:
                raise RuntimeError(f"only {count} reports were acknowledged")
            rounds.append((count / seconds, p99, used / count * 1e6, used / seconds))
    stored = place.rows("SELECT count(*) FROM report")
    if stored != devices * each * options.rounds:
        raise RuntimeError(f"{stored} reports are stored, {devices * each * options.rounds} were acknowledged")
    rate, p99, micro, share = (statistics.median(column) for column in zip(*rounds))
    verdicts.say("reports end to end, mTLS: per s", rate, REPORTS_LEAST,
                 f"{devices} devices, 256 waiting; acknowledged after {p99:.1f} ms (99 of 100); {micro:.0f} us of CPU "
                 f"each, {share * 100:.0f} % of the core; best {max(r[0] for r in rounds):.0f}", least=True)


# ---- Notifications ---------------------------------------------------------------------------------------------------

class Round:
    """One crowd of MQTT devices, and two ways to tell them all."""

    def __init__(self, place, devices):
        self.place, self.connection, self.number = place, place.admin(), 0
        self.crowd = Crowd(place, "notify", place.port + 4, CLIENT_CORE, "--count", devices)
        try:
            self.publisher = Crowd(place, "publish", place.port + 5, SERVER_CORE, "--count", devices,
                                   issuer=("srv/ca/ca.pem", "srv/ca/ca.key"))
        except RuntimeError:
            self.crowd.end()
            raise
        self.devices, self.first = devices, True

    def wait(self):
        if not self.first:
            self.crowd.line("ready")
        self.first = False
        self.crowd.tell()
        self.crowd.line("waiting")

    def last(self, begun):
        """Seconds to the last device, and to the first."""
        text = self.crowd.line("told")
        if int(text[1]) != self.devices:
            raise RuntimeError(f"only {text[1]} of {self.devices} devices were notified")
        return float(text[5]) - begun, float(text[3]) - begun

    def bare(self, how):
        self.wait()
        self.publisher.tell(how)
        begun = float(self.publisher.line("published")[3])
        return self.last(begun)

    def rollout(self):
        """Seconds from the request to the last device, the first one, and the answer; CPU time of godwitd."""
        self.number += 1
        made = self.place.ask(self.connection, "POST", "/api/v1/rollouts", {
            "name": f"round {self.number}", "release": self.place.release, "target": {"all": True}})
        path = f"/api/v1/rollouts/{made['id']}"
        self.wait()
        before, begun = cpu(self.place.daemon.pids()), time.monotonic()
        self.place.ask(self.connection, "POST", f"{path}/start")
        answered = time.monotonic() - begun
        took, first = self.last(begun)
        used = cpu(self.place.daemon.pids()) - before
        self.place.ask(self.connection, "POST", f"{path}/abort")
        return took, first, answered, used

    def end(self):
        self.crowd.end()
        self.publisher.end()


def notify(place, verdicts, options):
    with Mosquitto("srv") as broker:
        os.sched_setaffinity(broker.process.pid, {SERVER_CORE})
        place.daemon.says("broker-connected")
        rounds = Round(place, options.devices)
        got = {"single": [], "batched": [], "rollout": []}
        try:
            rounds.bare("single")  # to warm up: not counted
            rounds.rollout()
            for _ in range(options.rounds):
                got["single"].append(rounds.bare("single"))
                got["rollout"].append(rounds.rollout())
                got["batched"].append(rounds.bare("batched"))
        finally:
            rounds.end()
    columns = {name: [[1000 * value for value in column] for column in zip(*rows)] for name, rows in got.items()}
    took, single = columns["rollout"][0], columns["single"][0]
    verdicts.ratio(f"rollout to the last of {options.devices} devices", took, single, NOTIFY_MOST, "ms", 1)
    _, first, answered, used = (statistics.median(column) for column in columns["rollout"])
    print(f"for information: of the rollout, first device after {first:.1f} ms (bare "
          f"{statistics.median(columns['single'][1]):.1f}), answer after {answered:.1f} ms, CPU time of godwitd "
          f"{used:.1f} ms; bare publish with many messages in a record "
          f"{statistics.median(columns['batched'][0]):.1f} ms", flush=True)


# ---- Memory ----------------------------------------------------------------------------------------------------------

def memory(pid):
    rows = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]]
    return {row[0].rstrip(":"): int(row[1]) / 1024 for row in rows}


def poll(place, verdicts, options):
    connection = place.admin()
    made = place.ask(connection, "POST", "/api/v1/rollouts",
                     {"name": "poll", "release": place.release, "target": {"all": True}})
    place.ask(connection, "POST", f"/api/v1/rollouts/{made['id']}/start")
    before = memory(place.daemon.process.pid)
    seen = []
    with Crowd(place, "poll", place.port, CLIENT_CORE, "--count", place.devices, "--at-once", 200) as crowd:
        for number in range(2):
            if number:
                crowd.line("ready")
            crowd.tell()
            crowd.line("looked")
            seen.append(memory(place.daemon.process.pid))
    now = seen[-1]
    private = now["Private_Clean"] + now["Private_Dirty"]
    cache = max(0, private - now["Anonymous"])
    verdicts.say(f"{place.devices} devices polling, mTLS: MB", private, MEMORY_MOST,
                 f"private; of it {cache:.1f} page cache (program, database), {now['Anonymous']:.1f} its own; before "
                 f"the first look {before['Private_Clean'] + before['Private_Dirty']:.1f}, after one look of each "
                 f"{seen[0]['Private_Clean'] + seen[0]['Private_Dirty']:.1f}")


PARTS = {"reports": reports, "notify": notify, "poll": poll}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("bin", type=Path)
    parser.add_argument("--part", action="append", choices=PARTS, help="that alone")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--devices", type=int, default=5000, help="connected to the broker")
    parser.add_argument("--quick", action="store_true", help="a tenth of it: to see that it runs")
    options = parser.parse_args()
    bin_dir, verdicts, code = options.bin.resolve(), Verdicts(), 0
    options.devices //= 10 if options.quick else 1
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the broker's, too
    if options.devices > most - 100:
        print(f"only {most - 100} devices: RLIMIT_NOFILE is {most}")
        options.devices = most - 100
    known = {"reports": 1000, "notify": options.devices, "poll": 1000 if options.quick else 10000}
    disk = bin_dir.parent / "bench-fleet"  # not where files may be in memory
    disk.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=disk) as work:
        for part in options.part or PARTS:
            place = Place(bin_dir, Path(work) / part, known[part])
            place.start()
            try:
                place.fill()
                PARTS[part](place, verdicts, options)
            finally:
                code = place.daemon.end() or code
        os.chdir("/")
    missed = verdicts.missed
    print(f"bench-server, fleet: {len(missed)} targets missed" + (": " + ", ".join(missed) if missed else ""))
    return 1 if missed or code else 0


if __name__ == "__main__":
    sys.exit(main())
