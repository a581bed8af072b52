#!/usr/bin/python3
"""The demo: a distribution server, its broker, and eight devices that update themselves; most have an obstacle.

    scripts/demo.py [folder of the programs]

The paper's whole process on one machine, and all of it real: an author's desk, godwitd with SQLite, a Mosquitto with
client certificates, devices with keys of their own, bootloaders, images that crash, a plug that is pulled. Release
1.1.0 comes by notification, 1.2.0 by poll while the broker is down. Ends with a table in which the server's view, the
devices' view and the signed reports must agree; the exit code is not 0 if anything differs from what was to happen.
Leaves nothing running. On a terminal it then lets you pull plugs yourself.
"""
import asyncio
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/web"), str(ROOT / "tests/netfaults")]
if len(sys.argv) > 1:
    os.environ["GODWIT_BIN"] = sys.argv[1]
from place import BIN, Place, public_key, verified  # noqa: E402
from place import run as program  # noqa: E402
from place import until as in_time  # noqa: E402
from server import impostor  # noqa: E402

CLASS = ["--vendor", "example.com", "--class", "sensor-c3"]
POLL = 12  # seconds between looks, as the server says; notifications are quicker
STORIES = {
    "dev1": "nothing",
    "dev2": "nothing",
    "dev3": "a plug that is pulled in mid-download",
    "dev4": "a link that breaks every 30 KB",
    "dev5": "a new image that crashes",
    "dev6": "a false server: an older release",
    "dev7": "a false server: a forged release",
    "dev8": "an operator who thinks it was stolen",
}
failures = []


def say(text=""):
    print(text, flush=True)


def check(good, what):
    if not good:
        failures.append(what)
        say(f"   FAILED: {what}")


def run(*command, show=True, **more):
    """A command of Godwit; stops the demo if it ends otherwise than told."""
    if show:
        say("  $ " + " ".join(map(str, command)))
    return program(*command, **more)


def until(seconds, what, true):
    good = in_time(seconds, true)
    check(good, f"{what}: not within {seconds} s")
    return good


# ---- The author's desk -----------------------------------------------------------------------------------------------

def keys():
    for name in ("root1", "root2", "author", "distributor", "group", "mallory"):
        run("godwit", "key", "new", f"{name}.pem", show=name == "author")
    who = ["--root", "root1.pem", "--root", "root2.pem", "--distributor", "distributor.pem", "--epoch", "1"]
    run("godwit", "key", "bundle", *who, "--author", "author.pem", "--version", "1", "-o", "trust.cose")
    run("godwit", "key", "bundle", *who, "--author", "mallory.pem", "--version", "1", "-o", "mallory.cose", show=False)
    run("godwit", "key", "new", "device-ca", "--device-ca", "Example devices")


def release(version, image, *more, author="author", show=True):
    name = f"rel-{version}"
    run("godwit", "release", "build", image, "--version", version, *CLASS, "--encrypt-to", "group.pub.pem", *more, "-o",
        name, show=show)
    run("godwit", "release", "sign", name, "--key", f"{author}.pem", show=False)
    run("godwit", "release", "head", name, "--key", "distributor.pem", show=False)
    return name


def images():
    """Any file will do for an image: here pieces of the tools. 1.1.0 is new from end to end, 1.2.0 mends it."""
    rewritten = (BIN / "godwit-device").read_bytes()[200_000:500_000]
    Path("1.0.0.bin").write_bytes((BIN / "godwit").read_bytes()[:300_000])
    Path("1.1.0.bin").write_bytes(rewritten)
    Path("1.2.0.bin").write_bytes(rewritten[:100_000] + b"and it is mended" * 8 + rewritten[100_000:])
    Path("1.3.0.bin").write_bytes((BIN / "godwit").read_bytes()[300_000:700_000])


# ---- Devices ---------------------------------------------------------------------------------------------------------

class Link:
    """A TCP link through which everything passes, and that breaks after so many bytes."""

    def __init__(self, port, limit):
        self.to, self.limit, self.breaks, self.port = port, limit, 0, None
        ready = threading.Event()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.serve, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()

    def serve(self, ready):
        async def start():
            self.server = await asyncio.start_server(self.connection, "127.0.0.1", 0)
            self.port = self.server.sockets[0].getsockname()[1]
            ready.set()
        self.loop.run_until_complete(start())
        self.loop.run_forever()

    async def connection(self, reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", self.to)
        left = [self.limit]

        async def copy(source, sink, counts):
            while data := await source.read(4096):
                left[0] -= len(data) if counts else 0
                if left[0] < 0:
                    self.breaks += 1
                    break
                sink.write(data)
                await sink.drain()
            writer.transport.abort()
            back.transport.abort()
        await asyncio.gather(copy(reader, back, False), copy(there, writer, True), return_exceptions=True)

    def stop(self):
        """No new connections; those that are open end with whoever uses them."""
        self.loop.call_soon_threadsafe(self.server.close)


class Device:
    """A device: its folder, the process that is its hardware, and what it has told."""

    def __init__(self, name):
        self.name, self.story, self.process, self.starts = name, STORIES[name], None, 0
        self.log = Path(f"{name}.events")

    def make(self):
        """As a factory does: flash with its identity, the first release, confirmed."""
        run("godwit-device", "init", self.name, "--identity", f"made/{self.name}.identity", "--trust", "trust.cose",
            "--slot-size", "512K", show=False)
        run("godwit-device", "install", self.name, "rel-1.0.0", show=False)
        run("godwit-device", "boot", self.name, "--cause", "software", show=False)
        run("godwit-device", "confirm", self.name, show=False)

    def start(self, url, *more, interval="86400"):
        self.starts += 1
        command = [BIN / "godwit-device", "run", self.name, "--server", url, "--ca", "srv/ca/ca.pem", "--interval",
                   interval, "--watchdog", "3", "--stall", "3", "--json", "--report", "device/v1/report", *more]
        with open(self.log, "a") as out, open(f"{self.name}.err", "a") as err:
            self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            start_new_session=True)

    def stop(self, plug=False):
        """Switched off; with `plug`, as a plug that is pulled: all its processes at once."""
        if self.process is not None and self.process.poll() is None:
            if plug:
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.terminate()
            self.process.wait(timeout=20)
        self.process = None

    def events(self, *names):
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        found = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [e for e in found if not names or e["event"] in names]

    def reasons(self):
        return {e["reason"] for e in self.events("FAILED", "LEFT", "TRIED")} - {""}

    def version(self):
        status = json.loads(run("godwit-device", "status", self.name, "--json", show=False))
        confirmed = [s for s in status["slots"] if s["state"] == "CONFIRMED"]
        return confirmed[0]["manifest on flash"]["version"] if confirmed else "none"


# ---- The server ------------------------------------------------------------------------------------------------------

class Shown(Place):
    """godwitd and its broker; what is asked of them is shown."""

    def admin(self, *command, show=True):
        return run("godwit", *command, show=show)


def false_servers():
    """Somebody has taken the server over, with its TLS key: still nothing of this is believed."""
    offers = {}
    for folder, version, trust in (("www-old", "0.9.0", "trust.cose"), ("www-forged", "9.9.0", "mallory.cose")):
        run("godwit", "release", "publish", f"rel-{version}", "--to", folder, "--trust", trust, show=False)
        offers[folder] = impostor("srv/tls", folder, reports=f"{folder}-reports")
    return offers


# ---- The story -------------------------------------------------------------------------------------------------------

OFFER = ["--offer", "device/v1/offer"]


def first_round(place, devices, old, forged):
    by_name = {d.name: d for d in devices}
    link = Link(place.port, 30_000)
    more = {"dev3": ["--cut-at", "60"], "dev5": ["--app", "crashes"]}
    alone = ("dev6", "dev7", "dev8")  # nobody will notify them: they look by themselves, and soon
    for d in devices:
        url = {"dev4": f"https://localhost:{link.port}", "dev6": old.url, "dev7": forged.url}.get(d.name, place.url)
        d.start(url, *OFFER, *([] if d.name in alone else ["--mqtt", place.mqtt]), *more.get(d.name, []),
                interval="5" if d.name in alone else "86400")
    return by_name, link


def reported(place, version, names):
    seen = place.devices()
    return all(seen[n]["version"] == version for n in names)


def story(work):
    os.environ["XDG_CONFIG_HOME"] = str(work / "config")
    begun = time.monotonic()
    say("1. The author's desk: keys, a trust bundle signed by two roots; the device CA, whose key stays here.")
    keys()
    images()
    say("\n2. Release 1.0.0, encrypted for the group of devices. The factory makes eight, each with its own key.")
    release("1.0.0", "1.0.0.bin")
    Path("fleet.csv").write_text("id,class,hardware,tags\n" + "".join(f"{n},,1,field\n" for n in STORIES))
    run("godwit", "device", "provision", "--csv", "fleet.csv", "--device-ca", "device-ca", *CLASS, "--root",
        "root1.pub.pem", "--root", "root2.pub.pem", "--device-key", "group.pem", "-o", "made")
    devices = [Device(name) for name in STORIES]
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(Device.make, devices))
    say("\n3. The distribution server: its folder, certificates, broker and first token.")
    place = Shown("srv", "trust.cose", profile="demo", next_look=POLL)
    place.start()
    try:
        serve(place, devices, begun)
    finally:
        for d in devices:
            d.stop()
        check(place.stop() == 0, "godwitd ended well")
    return devices, place


def serve(place, devices, begun):
    place.admin("class", "add", *CLASS)
    place.admin("device", "import", "made/devices.json")
    place.admin("device", "set", "dev8", "--enabled", "no")
    release("1.1.0", "1.1.0.bin", "--delta-from", "rel-1.0.0", "--with", "group.pem")
    release("0.9.0", "1.1.0.bin", show=False)
    release("9.9.0", "1.1.0.bin", author="mallory", show=False)
    servers = false_servers()
    with servers["www-old"] as old, servers["www-forged"] as forged:
        by_name, link = first_round(place, devices, old, forged)
        for d in devices:
            say(f"     {d.name}: in its way is {d.story}")
        notified(place, by_name)
        refused(by_name)
    link.stop()
    say(f"   dev4's link broke {link.breaks} times. dev6 and dev7 stayed with 1.0.0: {by_name['dev6'].reasons()}, "
        f"{by_name['dev7'].reasons()}.")
    by_poll(place, by_name)
    settle(place, devices, begun)


def notified(place, by_name):
    say("\n4. Release 1.1.0 is published and rolled out. The broker tells the devices: there is something.")
    good = ["dev1", "dev2", "dev3", "dev4"]
    time.sleep(1.5)  # until they have subscribed
    digest = place.admin("release", "publish", "rel-1.1.0", "--to", place.admin_url).strip()
    for line in place.admin("rollout", "plan", digest, "--tag", "field").splitlines():
        say("    " + line)
    told = time.monotonic()
    place.admin("rollout", "start", digest, "--tag", "field", "--name", "first").strip()
    if until(20, "dev3's plug is pulled", lambda: by_name["dev3"].process.poll() == 77):
        say("   dev3's plug was pulled in the middle of a flash operation. It is plugged in again.")
        by_name["dev3"].start(place.url, *OFFER, "--mqtt", place.mqtt)
        time.sleep(1)
        place.admin("device", "retry", "dev3", show=False)
    until(40, "four devices run 1.1.0", lambda: reported(place, "1.1.0", good))
    say(f"   Four devices run 1.1.0, {time.monotonic() - told:.1f} s after the start.")
    until(30, "dev5 has gone back, and refuses to try it again", lambda: "TRIES_USED" in by_name["dev5"].reasons() and
          place.devices()["dev5"]["reason"] == "REJECTED_BEFORE")
    for line in place.admin("device", "why", "dev5").splitlines():
        say("    " + line)


def refused(by_name):
    until(20, "dev6 refuses the older release", lambda: by_name["dev6"].reasons() == {"OLDER"})
    until(20, "dev7 refuses the forged release", lambda: by_name["dev7"].reasons() == {"KEY_UNKNOWN"})
    until(20, "dev8 is refused", lambda: by_name["dev8"].events("FAILED"))


def by_poll(place, by_name):
    say("\n5. The broker goes down. Release 1.2.0 mends the crash; it comes by poll. dev4 gets a good "
        "link,\n   dev6 and dev7 find their own server again, and dev8 was found.")
    place.broker.stop()
    for name in ("dev4", "dev5", "dev6", "dev7"):  # dev5 without its bug from here on
        by_name[name].stop()
        by_name[name].start(place.url, *OFFER, interval="5")
    place.admin("device", "set", "dev8", "--enabled", "yes")
    release("1.2.0", "1.2.0.bin", "--delta-from", "rel-1.1.0", "--with", "group.pem")
    digest = place.admin("release", "publish", "rel-1.2.0", "--to", place.admin_url).strip()
    name = place.admin("rollout", "start", digest, "--tag", "field", "--name", "mended").strip()
    until(60, "all devices run 1.2.0", lambda: reported(place, "1.2.0", STORIES))
    for line in place.admin("rollout", "status", name).splitlines():
        say("    " + line)


def settle(place, devices, begun):
    """What the server says, what the devices say and what their reports prove must be the same."""
    say("\n   device  in its way                            runs   told                        reports  kept")
    seen = place.devices()
    for d in devices:
        d.stop()
        stored, own_key = place.reports(d.name), public_key(f"made/{d.name}.pem", f"{d.name}-own.pem")
        proven = [verified(cose, own_key) for _, cose in stored]
        check([r["counter"] for r in proven] == [c for c, _ in stored], f"{d.name}: counters of its reports")
        told = d.reasons()
        kept = max((e["b"] for e in d.events("PLAN")), default=0)
        check(d.version() == "1.2.0" == seen[d.name]["version"], f"{d.name} runs {d.version()}, the server says "
                                                                f"{seen[d.name]['version']}")
        check({e["a"] for e in d.events("REPORTED")} <= {c for c, _ in stored} or d.name in ("dev6", "dev7"),
              f"{d.name}: a report was acknowledged and is not stored")
        check(bool(proven) and proven[-1]["state"] == "CONFIRMED", f"{d.name}: its last report")
        check(d.name != "dev3" or kept > 0, "dev3 kept nothing of what it had")
        say(f"   {d.name:<7} {d.story:<37} {d.version():<6} {','.join(sorted(told)) or '-':<28} {len(stored):>5} "
            f"{kept:>7}")
    run("godwit", "server", "reports", "srv", "--devices", "made/devices.json")
    audit = json.loads(place.admin("server", "audit", "--json", show=False))
    say(f"\n   Every change is in the audit log: {len(audit)} entries. {time.monotonic() - begun:.0f} s.")


# ---- On a terminal ---------------------------------------------------------------------------------------------------

def play(place, devices):
    say("\nNow you: 1.3.0 rolls out to all eight. Press a number to pull that device's plug, q to end.")
    place.start()
    release("1.3.0", "1.3.0.bin", show=False)
    digest = place.admin("release", "publish", "rel-1.3.0", "--to", place.admin_url, show=False).strip()
    for d in devices:
        d.start(place.url, *OFFER, "--mqtt", place.mqtt, "--chunk", "4096")
    place.admin("rollout", "start", digest, "--tag", "field", "--name", "yours", show=False)
    end = time.monotonic() + 120
    try:
        while time.monotonic() < end:
            line = "  ".join(f"{n[3]}:{d['version']}" for n, d in sorted(place.devices().items()))
            print("\r   " + line + "   ", end="", flush=True)
            if select.select([sys.stdin], [], [], 0.5)[0]:
                key = sys.stdin.readline().strip()
                if key == "q":
                    break
                if key in "12345678" and key:
                    device = devices[int(key) - 1]
                    device.stop(plug=True)
                    say(f"\n   the plug of {device.name} is pulled, and put in again")
                    device.start(place.url, *OFFER, "--mqtt", place.mqtt)
    finally:
        for d in devices:
            d.stop()
        place.stop()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended on this way too
    work = Path(tempfile.mkdtemp(prefix="godwit-demo-"))
    os.chdir(work)
    try:
        devices, place = story(work)
        if sys.stdin.isatty() and sys.stdout.isatty() and not failures:
            play(place, devices)
    except RuntimeError as error:
        check(False, str(error))
    finally:
        os.chdir("/")
        if not failures and not os.environ.get("GODWIT_KEEP"):
            shutil.rmtree(work)
        else:
            say(f"   left for a look: {work}")
    say("\ndemo: all went as told" if not failures else f"\ndemo: FAILED: {len(failures)} things did not")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
