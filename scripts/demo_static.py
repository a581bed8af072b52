#!/usr/bin/python3
"""Without godwitd: eight devices update themselves over HTTPS from a real nginx, and something goes wrong for most.

    scripts/demo_static.py [folder of the programs]

Everything is real: keys, signatures, encryption, certificates, flash with NOR's rules, processes that crash. Ends with
a table of what each device did, whose numbers must add up with what nginx says it sent and with the reports that the
devices signed; the exit code is not 0 if anything differs from what was to happen. Leaves nothing running.
"""
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/web"), str(ROOT / "tests/netfaults")]
from nginx import Nginx, free_port  # noqa: E402
from pki import Pki  # noqa: E402
from server import FaultServer  # noqa: E402

BIN = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/host/bin").resolve()
CLASS = ["--vendor", "example.com", "--class", "sensor-c3"]
QUIET = bool(os.environ.get("CI"))
failures = []


def say(text):
    print(text, flush=True)


def check(good, what):
    if not good:
        failures.append(what)
        say(f"   FAILED: {what}")


def run(*command, code=0, show=True):
    """A command of Godwit; stops the demo if it ends otherwise than told."""
    command = [str(c) for c in command]
    if show:
        say("  $ " + " ".join(command))
    done = subprocess.run([str(BIN / command[0]), *command[1:]], capture_output=True, text=True)
    if done.returncode != code:
        say(f"demo-static: FAILED: exit code {done.returncode}, expected {code}: {' '.join(command)}\n"
            f"{done.stdout}{done.stderr}")
        sys.exit(1)
    return done.stdout


# ---- The author's desk -----------------------------------------------------------------------------------------------

def keys():
    for name in ("root1", "root2", "author", "distributor", "group", "mallory", "mallory-root1", "mallory-root2"):
        run("godwit", "key", "new", f"{name}.pem", show=name == "author")
    bundle = ["--version", "1", "--epoch", "1"]
    run("godwit", "key", "bundle", "--root", "root1.pem", "--root", "root2.pem", "--author", "author.pem",
        "--distributor", "distributor.pem", *bundle, "-o", "trust.cose")
    run("godwit", "key", "bundle", "--root", "mallory-root1.pem", "--root", "mallory-root2.pem", "--author",
        "mallory.pem", *bundle, "-o", "mallory.cose", show=False)


def images():
    """Any file will do for an image: here pieces of the tools. 1.1.0 is new from end to end, 1.2.0 mends it."""
    rewritten = (BIN / "godwit-device").read_bytes()[200_000:500_000]
    Path("1.0.0.bin").write_bytes((BIN / "godwit").read_bytes()[:300_000])
    Path("1.1.0.bin").write_bytes(rewritten)
    Path("1.2.0.bin").write_bytes(rewritten[:100_000] + b"and it is mended" * 8 + rewritten[100_000:])


def release(version, author="author", delta_from=(), image=None, head=True):
    name = f"rel-{version}"
    deltas = [x for old in delta_from for x in ("--delta-from", f"rel-{old}")]
    with_key = ["--with", "group.pem"] if deltas else []
    run("godwit", "release", "build", image or f"{version}.bin", "--version", version, *CLASS, "--encrypt-to",
        "group.pub.pem", *deltas, *with_key, "-o", name)
    run("godwit", "release", "sign", name, "--key", f"{author}.pem", show=False)
    if head:
        run("godwit", "release", "head", name, "--key", "distributor.pem", show=False)
    return name


def publish(name, to, trust="trust.cose", *more):
    run("godwit", "release", "publish", name, "--to", to, "--trust", trust, *more)


# ---- Devices ---------------------------------------------------------------------------------------------------------

class Device:
    """One device: a folder, and all events that its runs told."""

    def __init__(self, name, story):
        self.name, self.story = name, story
        self.events, self.runs = [], 0

    def make(self):
        """As a factory does: a key of its own, an identity, flash, the first release, confirmed."""
        n = self.name
        run("godwit", "key", "new", f"{n}-own.pem", show=False)
        run("godwit", "device", "provision", "--id", n, *CLASS, "--hardware", "1", "--root", "root1.pub.pem", "--root",
            "root2.pub.pem", "--device-key", "group.pem", "--own-key", f"{n}-own.pem", "-o", f"{n}.identity",
            show=False)
        run("godwit-device", "init", n, "--identity", f"{n}.identity", "--trust", "trust.cose", "--slot-size", "512K",
            show=False)
        run("godwit-device", "install", n, "rel-1.0.0", show=False)
        run("godwit-device", "boot", n, "--cause", "software", show=False)
        run("godwit-device", "confirm", n, show=False)

    def update(self, url, *more, ca="pki/ca.pem", code=0, seconds=45):
        command = [str(BIN / "godwit-device"), "run", self.name, "--server", url, "--ca", ca, "--report",
                   "device/v1/report", "--interval", "5", "--looks", "1", "--seconds", str(seconds), "--watchdog", "2",
                   "--stall", "2", "--json", *more]
        done = subprocess.run(command, capture_output=True, text=True)
        for line in done.stdout.splitlines():
            self.events.append(json.loads(line) | {"run": self.runs})
        self.runs += 1
        check(done.returncode == code, f"{self.name}: exit code {done.returncode}, expected {code}\n{done.stdout}"
                                       f"{done.stderr}")

    def last(self, event):
        return next((e for e in reversed(self.events) if e["event"] == event), None)

    def reasons(self, event):
        return [e["reason"] for e in self.events if e["event"] == event]

    def sum(self, field, but_run=None):
        return sum(e[field] for e in self.events if e["event"] == "COUNTS" and e["run"] != but_run)

    def kept(self):
        """Payload bytes that a run found on the flash, from one that was interrupted."""
        return max((e["b"] for e in self.events if e["event"] == "PLAN"), default=0)

    def version(self):
        status = json.loads(run("godwit-device", "status", self.name, "--json", show=False))
        confirmed = [s for s in status["slots"] if s["state"] == "CONFIRMED"]
        return confirmed[0]["manifest on flash"]["version"] if confirmed else "none"


STORIES = {
    "dev1": "a plain update",
    "dev2": "a plain update",
    "dev3": "its plug is pulled in mid-download",
    "dev4": "behind a bad link",
    "dev5": "the new image crashes",
    "dev6": "is offered an older release",
    "dev7": "a server with a forged release",
    "dev8": "a server whose certificate has expired",
}
# What must have happened after the first round: version, and reasons told.
ROUND_1 = {
    "dev1": ("1.1.0", set()), "dev2": ("1.1.0", set()), "dev3": ("1.1.0", set()), "dev4": ("1.1.0", None),
    "dev5": ("1.0.0", {"TRIES_USED", "REJECTED_BEFORE"}), "dev6": ("1.0.0", {"OLDER"}),
    "dev7": ("1.0.0", {"KEY_UNKNOWN"}), "dev8": ("1.0.0", {"CERT_EXPIRED"}),
}


def sink(port, folder):
    """What makes nginx keep the reports that are posted, and answer 204: bodies go to files of this folder."""
    return (f"location = /device/v1/report {{ client_body_in_file_only on; client_body_temp_path {folder}; "
            f"proxy_pass http://127.0.0.1:{port}/; proxy_pass_request_body off; proxy_set_header Content-Length ''; }}"
            f"}} server {{ listen 127.0.0.1:{port}; access_log off; return 204; ")


def first_round(devices, servers):
    main, old, forged, expired, bad_link = servers
    plug = ["--cut-at", "40"]
    jobs = {
        "dev1": lambda d: d.update(main.url),
        "dev2": lambda d: d.update(main.url),
        "dev3": lambda d: (d.update(main.url, *plug, code=77), d.update(main.url)),
        "dev4": lambda d: d.update(bad_link.url),
        "dev5": lambda d: d.update(main.url, "--app", "crashes"),
        "dev6": lambda d: d.update(old.url),
        "dev7": lambda d: d.update(forged.url),
        "dev8": lambda d: d.update(expired.url, seconds=3, code=1),
    }
    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        for job in [pool.submit(jobs[d.name], d) for d in devices]:
            job.result()


def second_round(devices, server):
    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        for job in [pool.submit(d.update, server.url) for d in devices]:
            job.result()


def told(device):
    return set(device.reasons("FAILED") + device.reasons("LEFT") + device.reasons("TRIED")) - {""}


def check_first(devices):
    for d in devices:
        version, reasons = ROUND_1[d.name]
        check(d.version() == version, f"{d.name} runs {d.version()}, expected {version}")
        check(reasons is None or told(d) == reasons, f"{d.name} told {told(d)}, expected {reasons}")


# ---- Reports ---------------------------------------------------------------------------------------------------------

def read_reports(folders):
    """{device: its reports in the order of their counters}, each verified with that device's own key."""
    reports = {}
    for path in sorted(p for f in folders for p in Path(f).rglob("*") if p.is_file()):
        device = json.loads(run("godwit", "inspect", path, "--json", show=False))["device"]
        report = json.loads(run("godwit", "report", "verify", path, "--own-key", f"{device}-own.pub.pem", "--json",
                                show=False))
        reports.setdefault(device, {})[report["counter"]] = report
    return {device: [by[c] for c in sorted(by)] for device, by in reports.items()}


def check_reports(devices, reports):
    for d in devices:
        mine = reports.get(d.name, [])
        arrived = [e["a"] for e in d.events if e["event"] == "REPORTED"]
        check({r["counter"] for r in mine} >= set(arrived),
              f"{d.name}: reports {arrived} were acknowledged, the server has {[r['counter'] for r in mine]}")
        said = {r["reason"] for r in mine} - {""}
        check(told(d) <= said, f"{d.name} told {told(d)}, its reports say {said}")
        check(mine and mine[-1]["state"] == "CONFIRMED" and mine[-1]["running"] is not None,
              f"{d.name}: the last report is {mine[-1]['state'] if mine else 'missing'}")


def table(devices, reports):
    say("\n   device  what was in its way                     runs   failures it told            fetched    kept  twice"
        "    wire  reports")
    for d in devices:
        mine = reports.get(d.name, [])
        read = sum(r["payload bytes"] for r in mine if r["state"] in ("STAGED", "FAILED"))
        twice = sum(r["of them read twice"] for r in mine)
        wire = d.sum("received") + d.sum("sent")
        failed = ",".join(sorted(told(d))) or "-"
        say(f"   {d.name:<7} {d.story:<39} {d.version():<6} {failed:<26} {read:>8} {d.kept():>7} {twice:>6} {wire:>7} "
            f"{len(mine):>8}")


def check_wire(devices, servers, bad_link):
    """What the servers say that they sent is what the devices say that they received."""
    by_nginx = sum(int(line.split()[6]) for s in servers for line in s.log())
    by_devices = sum(d.sum("received", but_run=0 if d.name == "dev4" else None) for d in devices)
    lost = by_nginx - by_devices
    cut = next(d for d in devices if d.name == "dev3")
    say(f"\n   nginx sent {by_nginx} bytes of HTTP; the devices received {by_devices}, and dev3 {lost} more before\n"
        f"   its plug was pulled, of which it kept {cut.kept()}. dev4 needed {len(bad_link.requests)} requests: every "
        "third was reset.")
    check(cut.kept() > 0, "dev3 kept nothing of what it had")
    check(cut.kept() <= lost, "the devices received more than nginx sent")


# ---- All of it -------------------------------------------------------------------------------------------------------

def story(work):
    start = time.monotonic()
    say("1. The author's desk: keys, a trust bundle signed by two roots, a CA for servers, whose root devices get.")
    keys()
    images()
    pki = Pki("pki")
    good = pki.server("server")
    expired_cert = pki.server("expired", days=(-30, -1))
    say("\n2. Release 1.0.0, encrypted for the group of devices; the factory puts it on eight of them.")
    release("1.0.0")
    devices = [Device(name, text) for name, text in STORIES.items()]
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(Device.make, devices))
    say("\n3. Release 1.1.0 is new from end to end. It is published as files that any web server can serve.")
    release("0.9.0", image="1.1.0.bin", head=False)
    release("1.1.0", delta_from=["1.0.0"])
    release("9.9.0", author="mallory", image="1.1.0.bin", head=False)
    publish("rel-1.1.0", "www")
    publish("rel-0.9.0", "www-old")
    publish("rel-9.9.0", "www-forged", "mallory.cose")
    for folder in ("reports", "reports-old", "reports-forged", "reports-expired"):
        Path(folder).mkdir()
    with Nginx("nginx", "www", *good, extra=sink(free_port(), work / "reports")) as main, \
            Nginx("nginx-old", "www-old", *good, extra=sink(free_port(), work / "reports-old")) as old, \
            Nginx("nginx-forged", "www-forged", *good, extra=sink(free_port(), work / "reports-forged")) as forged, \
            Nginx("nginx-expired", "www", *expired_cert, extra=sink(free_port(), work / "reports-expired")) as stale, \
            FaultServer("www", *good, reports="reports-link") as bad_link:
        bad_link.set("reset", every=3)
        say(f"\n4. nginx serves it at {main.url}. The eight devices look for updates, all at once:")
        for d in devices:
            say(f"     {d.name}: {d.story}")
        first_round(devices, (main, old, forged, stale, bad_link))
        check_first(devices)
        say("   Four run 1.1.0. dev5 went back to 1.0.0 after three crashes, dev6, dev7 and dev8 stayed with it. "
            "Each knows why.")
        say("\n5. Release 1.2.0 mends the crash: a delta from 1.1.0, and the full image for whoever does not run that. "
            "All devices look at the right server, over a good link.")
        release("1.2.0", delta_from=["1.1.0", "1.0.0"])
        publish("rel-1.2.0", "www")
        second_round(devices, main)
        for d in devices:
            check(d.version() == "1.2.0", f"{d.name} runs {d.version()}, expected 1.2.0")
        reports = read_reports(["reports", "reports-old", "reports-forged", "reports-expired", "reports-link"])
        check_reports(devices, reports)
        table(devices, reports)
        check_wire(devices, (main, old, forged, stale), bad_link)
    say("\n   What lies on the server:")
    for line in run("godwit", "release", "list", "--from", "www").splitlines():
        say("    " + line)
    say(f"\n   {time.monotonic() - start:.0f} s")


def main():
    work = Path(tempfile.mkdtemp(prefix="godwit-demo-static-"))
    os.chdir(work)
    try:
        story(work)
    finally:
        os.chdir("/")
        if not failures and not os.environ.get("GODWIT_KEEP"):
            shutil.rmtree(work)
        else:
            say(f"   left for a look: {work}")
    say("\ndemo-static: all went as told" if not failures else f"\ndemo-static: FAILED: {len(failures)} things did not")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
