#!/usr/bin/python3
"""godwitd against nginx on this machine: downloads, looks, handshakes, memory. Part 1 of `make bench-server`.

    bench/server/run.py BIN [--rounds 5] [--quick]        BIN: build/host

Both servers do the same work in interleaved rounds, pinned to one core, with the client on the other. What counts is
the CPU time of the server's process for each operation (/proc/PID/task/*/schedstat), as a ratio; medians of the rounds.
Throughput is what the clock says, and other work on the machine counts against whoever runs then: best rounds are
compared.
Exits with 1 when a target is missed."""
import argparse
import hashlib
import json
import os
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/web")]
from nginx import Nginx  # noqa: E402
from pki import Pki  # noqa: E402

CLASS = ["--vendor", "example.com", "--class", "sensor-c3"]
CONFIG = """[server]
data = data
[devices]
listen = 127.0.0.1:0
certificate = {cert}
key = {key}
client_ca = {ca}
connections = 20000
per_address = 20000
per_minute = 1000000000
idle_ms = 600000
[payloads]
listen = 127.0.0.1:0
certificate = {cert}
key = {key}
"""
SERVER_CORE, CLIENT_CORE = 0, (1 if (os.cpu_count() or 1) > 1 else 0)


def pin(core):
    return lambda: os.sched_setaffinity(0, {core})


class Daemon:
    """godwitd, from its log the ports."""

    def __init__(self, bin_dir, config):
        self.process = subprocess.Popen([bin_dir / "bin/godwitd", config], stderr=subprocess.PIPE, text=True,
                                        preexec_fn=pin(SERVER_CORE))
        self.port = {}
        for line in self.process.stderr:
            if match := re.search(r"listening door=(\w+) .*port=(\d+)", line):
                self.port[match[1]] = int(match[2])
            if line.endswith("ready\n"):
                break
        else:
            raise RuntimeError("godwitd did not start")

    def pids(self):
        return [self.process.pid]

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.stderr.read()
        return self.process.wait(timeout=60)


class PinnedNginx(Nginx):
    def __enter__(self):
        super().__enter__()
        time.sleep(0.2)
        for pid in self.pids():
            os.sched_setaffinity(pid, {SERVER_CORE})
        return self

    def pids(self):
        master = self.process.pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return [master, *map(int, children)]


def cpu(pids):
    """CPU time so far, seconds."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def private(pids):
    """Memory that these processes alone have written, bytes: pages of files can be had again."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Private_Dirty:"):
                total += int(line.split()[1]) * 1024
    return total


class Load:
    def __init__(self, bin_dir, pki, client):
        self.base = [str(bin_dir / "bench/server-client")]
        self.ca, self.client = str(pki.ca), [str(c) for c in client]

    def command(self, mode, port, count, certificate, more):
        shown = ["--cert", self.client[0], "--key", self.client[1]] if certificate else []
        return [*self.base, mode, "--port", str(port), "--ca", self.ca, "--count", str(count), *shown, *map(str, more)]

    def run(self, server, mode, port, count, *more, certificate=True):
        """(CPU seconds of the server per operation, operations per second)"""
        before = cpu(server.pids())
        out = subprocess.run(self.command(mode, port, count, certificate, more), check=True, capture_output=True,
                             text=True, preexec_fn=pin(CLIENT_CORE)).stdout.split()
        return (cpu(server.pids()) - before) / int(out[1]), int(out[1]) / float(out[5])

    def idle(self, server, port, count, *more):
        """Private bytes of each connection that has asked once."""
        before = private(server.pids())
        process = subprocess.Popen(self.command("idle", port, count, True, more), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True, preexec_fn=pin(CLIENT_CORE))
        process.stdout.readline()
        each = (private(server.pids()) - before) / count
        process.stdin.close()
        process.wait()
        return each


def release(bin_dir):
    """A signed release, published as a static repository: (offer file, digest, manifest, grant, class, sequence)."""
    def godwit(*arguments):
        subprocess.run([bin_dir / "bin/godwit", *map(str, arguments)], check=True, capture_output=True)
    for name in ("root1", "root2", "author", "group"):
        godwit("key", "new", f"{name}.pem")
    godwit("key", "bundle", "--root", "root1.pem", "--root", "root2.pem", "--author", "author.pem", "--version", 1,
           "--epoch", 1, "-o", "trust.cose")
    Path("image.bin").write_bytes(os.urandom(100_000))
    godwit("release", "build", "image.bin", "--version", "1.0.0", *CLASS, "--encrypt-to", "group.pub.pem", "-o", "rel")
    godwit("release", "sign", "rel", "--key", "author.pem")
    godwit("release", "publish", "rel", "--to", "www", "--trust", "trust.cose")
    about = json.loads(next(Path("www/releases").iterdir()).read_text())
    return next(Path("www/offers").iterdir()), about


def fill(about, payload):
    """What godwitd knows: a class, a release that is rolled out to all of it, a device; and a payload."""
    db = sqlite3.connect("data/godwit.db")
    class_id, digest = bytes.fromhex(about["class id"]), bytes.fromhex(about["digest"])
    grant = next(Path("rel/grants").iterdir()).read_bytes()
    db.execute("INSERT INTO class(id, vendor, name, created) VALUES(?, 'example.com', 'sensor-c3', 1)", (class_id,))
    db.execute("INSERT INTO trust VALUES(1, ?, 1)", (Path("trust.cose").read_bytes(),))
    db.execute("INSERT INTO release VALUES(?, ?, ?, ?, '1.0.0', 1, 1, 'bench', ?)",
               (digest, class_id, about["epoch"], about["sequence"], Path("rel/manifest.cose").read_bytes()))
    db.execute("INSERT INTO key_grant VALUES(?, 0, ?)", (digest, grant))
    db.execute("INSERT INTO rollout(id, name, class, release, target, state, created, creator, started)"
               " VALUES('r1', 'all', ?, ?, '{\"all\":true}', 1, 1, 'bench', 1)", (class_id, digest))
    db.execute("INSERT INTO device(id, class, created, origin) VALUES('dev1', ?, 1, 'import')", (class_id,))
    db.commit()
    db.close()
    folder = Path("data/blobs") / payload.name[:2]
    folder.mkdir(parents=True, exist_ok=True)
    os.link(payload, folder / payload.name)


def make_payload(megabytes):
    Path("www/payloads").mkdir(exist_ok=True)
    data = os.urandom(1 << 20) * megabytes
    path = Path("www/payloads") / hashlib.sha256(data).hexdigest()
    path.write_bytes(data)
    return path


class Verdicts:
    def __init__(self):
        self.missed = []

    def ratio(self, name, ours, theirs, most, unit, scale):
        """Medians, the ratio of the medians, and whether it is at most `most`."""
        a, b = statistics.median(ours), statistics.median(theirs)
        self.say(name, a / b, most, f"{a * scale:9.2f} {unit} against {b * scale:9.2f}")

    def say(self, name, value, most, detail, least=False):
        good = value >= most if least else value <= most
        if not good:
            self.missed.append(name)
        print(f"{name:<34} {value:7.3f}  ({'at least' if least else 'at most'} {most})  {detail}"
              f"  {'ok' if good else 'MISSED'}", flush=True)


def measure(load, daemon, mutual, plain, payload, offer, options):
    scale = 10 if options.quick else 1
    size = payload.stat().st_size
    got = {}

    def note(name, result):
        got.setdefault(name, []).append(result)

    look = ("--path", "/device/v1/offer")
    static = ("--path", f"/offers/{offer.name}")
    # First of all, while nothing is left over from other work; fewer connections would carry what is there once.
    idle = {who: load.idle(server, port, 1500, *path)
            for who, server, port, path in (("ours", daemon, daemon.port["devices"], look),
                                            ("nginx", mutual, mutual.port, static))}
    ranges = ("--path", f"/payloads/{payload.name}", "--size", size, "--threads", 8)
    for _ in range(options.rounds):
        for who, server, looks, path, door in (
                ("ours", daemon, daemon.port["devices"], look, daemon.port["payloads"]),
                ("nginx", mutual, mutual.port, static, plain.port)):
            note(f"look {who}", load.run(server, "look", looks, 40000 // scale, "--threads", 4, *path))
            note(f"full {who}", load.run(server, "full", looks, 1500 // scale, "--threads", 2, *path))
            note(f"resumed {who}", load.run(server, "resumed", looks, 3000 // scale, "--threads", 2, *path))
            other = plain if who == "nginx" else daemon
            note(f"download {who}", load.run(other, "download", door, 2000 // scale, *ranges, certificate=False))
    return got, idle


def report(got, idle):
    def column(name, i):
        return [result[i] for result in got[name]]

    v = Verdicts()
    v.ratio("download: CPU per GiB", column("download ours", 0), column("download nginx", 0), 0.95, "s/GiB", 1024)
    best = {who: max(column(f"download {who}", 1)) for who in ("ours", "nginx")}
    usual = {who: statistics.median(column(f"download {who}", 1)) for who in ("ours", "nginx")}
    v.say("download: throughput, best round", best["ours"] / best["nginx"], 0.95,
          f"{best['ours']:9.0f} MiB/s against {best['nginx']:9.0f} (medians {usual['ours']:.0f}, {usual['nginx']:.0f})",
          least=True)
    v.ratio("look, kept mTLS: CPU", column("look ours", 0), column("look nginx", 0), 1.7, "us", 1e6)
    v.ratio("full mTLS handshake + look: CPU", column("full ours", 0), column("full nginx", 0), 1.1, "us", 1e6)
    v.ratio("resumed against full", column("resumed ours", 0), column("full ours", 0), 0.4, "us", 1e6)
    v.say("idle mTLS connection: KB", idle["ours"] / 1024, 24, f"nginx {idle['nginx'] / 1024:.1f}")
    print(f"for information: resumed at nginx {statistics.median(column('resumed nginx', 0)) * 1e6:.0f} us; looks/s "
          f"{statistics.median(column('look ours', 1)):.0f} against {statistics.median(column('look nginx', 1)):.0f}")
    return v.missed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("bin", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the operations")
    options = parser.parse_args()
    bin_dir = options.bin.resolve()
    with tempfile.TemporaryDirectory(prefix="godwit-bench-") as work:
        os.chdir(work)
        offer, about = release(bin_dir)
        payload = make_payload(64)
        pki = Pki("pki")
        cert, key = (path.resolve() for path in pki.server())
        Path("godwitd.conf").write_text(CONFIG.format(cert=cert, key=key, ca=pki.ca.resolve()))
        Daemon(bin_dir, "godwitd.conf").end()  # makes the database
        fill(about, payload)
        load = Load(bin_dir, pki, [path.resolve() for path in pki.client("dev1")])
        quiet = "access_log off; ssl_session_cache shared:s:10m;"
        with PinnedNginx("mutual", "www", cert, key, client_ca=pki.ca.resolve(), extra=quiet) as mutual, \
                PinnedNginx("plain", "www", cert, key, extra=quiet) as plain:
            daemon = Daemon(bin_dir, "godwitd.conf")
            try:
                missed = report(*measure(load, daemon, mutual, plain, payload, offer, options))
            finally:
                code = daemon.end()
        os.chdir("/")
    print(f"bench-server: {len(missed)} targets missed" + (": " + ", ".join(missed) if missed else ""))
    return 1 if missed or code else 0


if __name__ == "__main__":
    sys.exit(main())
