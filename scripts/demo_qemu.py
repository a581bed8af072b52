#!/usr/bin/python3
"""The demo with boards: bare-metal firmware in the emulator, a distribution server and its broker on this PC.

    scripts/demo_qemu.py [folder of the programs]

Three boards with keys and certificates of their own, over TLS and MQTT. Release 1.1 comes by notification, as a delta;
one board has to take it whole, and its plug is pulled in the middle. A release that crashes is given up, and reported;
a forged one from a false server is refused. 2.0 comes by poll while the broker is down. Then it is 21 years later, and
the server's CA has expired: boards whose policy allows it fetch a new trust bundle and go on; the other one does not.

On the left is what the boards say, on the right what the server says. Ends with a table in which flash, server, signed
reports and bytes on the wire must agree; the exit code is not 0 if anything differs from what was to happen. Leaves
nothing running.
"""
import os
import re
import shutil
import signal
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/qemu"), str(ROOT / "tests/web"), str(ROOT / "tests/netfaults")]
if len(sys.argv) > 1:
    os.environ["GODWIT_BIN"] = sys.argv[1]
from board import Board, Dead, Text  # noqa: E402
from pki import Pki  # noqa: E402
from place import Failed, until  # noqa: E402
from scene import BOARD, Online, godwit  # noqa: E402
from server import impostor  # noqa: E402

POLL = 8         # seconds between looks, as the server says; notifications are quicker
FRAME = 4096 + 32
LATER = "2047-06-01T00:00:00"  # on the boards' clocks, in the end; certificates are good for 20 years
STORIES = {
    "board1": "gives up when the CA has expired",
    "board2": "a plug that is pulled, a slow line",
    "board3": "a release that crashes",
}
RESCUED = ("board2", "board3")  # `anonymous_after` is set
LEFT = 68        # columns for the boards
failures = []


def check(good, what):
    if not good:
        failures.append(what)
        show.say(f"   FAILED: {what}")
    return good


# ---- The screen: boards on the left, the server on the right ---------------------------------------------------------

class Follower:
    """A file that grows: its new lines."""

    def __init__(self, file, packets):
        self.file, self.at, self.text, self.taken = file, 0, Text() if packets else None, 0
        self.plain = ""

    def lines(self):
        if not self.file.exists():
            return []
        with open(self.file, "rb") as file:
            file.seek(self.at)
            data = file.read()
        self.at += len(data)
        if self.text:
            self.text.feed(data)
            text = self.text.text
        else:
            self.plain += data.decode(errors="replace")
            text = self.plain
        end = text.rfind("\n") + 1
        new, self.taken = text[self.taken:max(end, self.taken)], max(end, self.taken)
        return [line for line in new.splitlines() if line.strip()]


class Screen:
    """Prints what comes, in two columns; in whole lines, from any thread."""

    def __init__(self):
        self.lock, self.stopping, self.boards, self.server = threading.Lock(), threading.Event(), {}, None
        self.last = {}  # what each board said of its broker
        self.begun, self.width = time.monotonic(), max(100, shutil.get_terminal_size((132, 24)).columns)
        self.thread = threading.Thread(target=self.run, daemon=True)

    def say(self, text=""):
        self.look()
        with self.lock:
            print(text, flush=True)

    def chapter(self, text):
        self.say("\n" + textwrap.fill(" ".join(text.split()), 112, subsequent_indent="   "))

    def cut(self, text, width):
        return text if len(text) <= width else text[:width - 2] + ".."

    def line(self, left, right):
        at = f"{time.monotonic() - self.begun:5.1f} "
        print((at + self.cut(left, LEFT)).ljust(LEFT + 7) + "| " + self.cut(right, self.width - LEFT - 9), flush=True)

    def look(self):
        with self.lock:
            for name, follower in list(self.boards.items()):
                for line in follower.lines():
                    line = of_board(line, self.last.setdefault(name, {}))
                    if line:
                        self.line(f"{name}: {line}", "")
            for line in self.server.lines() if self.server else []:
                self.line("", in_words(line))

    def run(self):
        while not self.stopping.wait(0.1):
            self.look()


def of_board(line, last):
    """What is shown of a board's line; None: nothing. Reasons stand for their sentences."""
    if re.match(r"temperature|slot |memory:|wire:|readings|report \d+|boot: (godwit|starts)|the image", line):
        return None
    if re.match(r"update [1245789]0 %|[0-9. C-]*$", line):
        return None
    line = re.sub(r"(: [A-Z_]{3,}): .*?(, again in \d+ s)?$", r"\1\2", line)
    if line.startswith("broker"):
        line, last["broker"] = None if last.get("broker") == line else line, line
    return line


def in_words(line):
    """Of godwitd's log: without the date; a report without its quotes."""
    words = line.split(" ", 1)[-1]
    found = re.match(r'report device=(\S+) state=(\S+) reason=(\S*)', words)
    if found:
        return f"report of {found[1]}, signed: {found[2]} {found[3].strip(chr(34))}".rstrip()
    return words


show = Screen()


# ---- The boards -----------------------------------------------------------------------------------------------------

class Unit:
    """A board and all that is known of it."""

    def __init__(self, scene, name, first):
        self.scene, self.name, self.story = scene, name, STORIES[name]
        lines = ["anonymous_after = 2"] if name in RESCUED else []
        self.files = scene.unit(name, first, scene.settings(*lines, poll=POLL))
        self.net, self.board, self.told, self.fetched = scene.net(name), None, set(), []

    def on(self, rtc=None):
        self.board = Board(self.files, net=self.net, rtc=rtc).start()
        show.boards[self.name] = Follower(self.board.console, True)

    def off(self):
        """The plug is pulled."""
        if self.board is not None:
            show.look()
            self.board.kill()
            text = self.board.text()
            self.told |= set(re.findall(r"(?:refused|failed|went back from \d+\.\d+): ([A-Z_]+):", text))
            self.fetched += [tuple(map(int, m)) for m in re.findall(r"begins: (\d+) bytes to fetch, (\d+) are", text)]
            del show.boards[self.name]
            self.board.__exit__()
            self.board = None

    def sees(self, pattern, seconds=60, forbid=None):
        try:
            return self.board.expect(pattern, seconds, forbid)
        except Dead as why:
            check(False, f"{self.name}: {why}")
            raise

    def updates(self, version, seconds=90):
        self.sees("update done", seconds)
        self.sees(rf"sensor {version}\S* running from slot \w+, TRYING", 60)
        self.sees(r"confirmed\n", 60)


def runs(scene, version, names):
    seen = until(40, lambda: all(scene.place.devices()[n]["version"] == version for n in names))
    check(seen, f"the server does not see {version} on {', '.join(names)}")


def command(scene, *words):
    """Of an operator, as it is typed."""
    short = (str(w).rpartition("/")[2] for w in words)
    show.say("  $ godwit " + " ".join(w[:12] if len(w) == 64 else w for w in short))
    return scene.place.godwit(*words)


def roll_out(scene, release, *target, name):
    digest = scene.place.publish(release)
    return command(scene, "rollout", "start", digest, *target, "--name", name).strip()


# ---- The story ------------------------------------------------------------------------------------------------------

def make(folder):
    """The desk, the server, the factory."""
    show.chapter("""1. The author's desk: keys, a trust bundle signed by two roots, releases. The server: its CA,
                 certificates, broker, first token. The factory: three boards, each with a key and a certificate of
                 its own, the server's CA in its trust bundle, and its address in its settings.""")
    scene = Online(folder, STORIES, next_look=POLL)
    first = scene.release("rel-1.0", "sensor-1.0", "1.0.0")
    odd = folder / "odd.bin"  # a build that no delta is from
    odd.write_bytes((BOARD / "sensor-1.0.bin").read_bytes() + os.urandom(64))
    units = [Unit(scene, name, first if name != "board2" else scene.release("rel-0.9", odd, "0.9.0"))
             for name in STORIES]
    return scene, first, {u.name: u for u in units}


def connect(scene, units):
    show.server = Follower(scene.place.log, False)
    show.server.lines()  # what was before is not shown
    show.thread.start()
    for unit in units.values():
        unit.on()
    for unit in units.values():
        unit.board.expect_all(r"network up: 10\.0\.2\.15\n", r"broker connected\n", r"nothing new", seconds=60)


def notified(scene, first, units):
    show.chapter("""2. Negative temperatures are printed wrong; 1.1 mends that. The broker tells the boards. board1
                 and board3 take a delta; board2 runs a build that no delta is from, and its line is slow. Its plug
                 is pulled.""")
    units["board2"].net.https.set("drip", after=8000, size=1400, ms=20)
    fixed = scene.delta("rel-1.1", "sensor-1.1", "1.1.0", first)
    begun = time.monotonic()
    roll_out(scene, fixed, "--all", name="mended")
    for unit in units.values():
        unit.sees(r"notified\n", 10)
    size = int(units["board2"].sees(r"update begins: (\d+) bytes", 30).group(1))
    done = int(units["board2"].sees(r"update ([3-9]0) %").group(1))
    units["board2"].off()
    show.say(f"   board2's plug is pulled at {done} % of {size} bytes. It is plugged in again.")
    units["board2"].net.https.clear()
    units["board2"].on()
    again, kept = map(int, units["board2"].sees(r"update begins: (\d+) bytes to fetch, (\d+) are here").groups())
    check(again == size and kept >= size * done // 100 - FRAME, f"board2 kept {kept} of {size} at {done} %")
    for unit in units.values():
        unit.updates(r"1\.1")
    runs(scene, "1.1.0", STORIES)
    show.say(f"   All three run 1.1, {time.monotonic() - begun:.0f} s after the start.")
    return fixed


def crashes(scene, fixed, units):
    show.chapter("""3. Release 1.2 crashes as soon as it starts. board3 gets it first, tries it, gives it up, and says
                 why.""")
    bad = scene.delta("rel-1.2", "sensor-crashes", "1.2.0", fixed)
    rollout = roll_out(scene, bad, "--id", "board3", name="crashes")
    units["board3"].sees("update done")
    units["board3"].sees(r"went back from \d+\.\d+: TRIES_USED", 60)
    until(30, lambda: any(r["reason"] == "TRIES_USED" for r in scene.reports("board3")))
    why = command(scene, "device", "why", "board3")
    show.say("    " + "\n    ".join(why.splitlines()))
    check("TRIES_USED" in why or "REJECTED_BEFORE" in why, "the server does not know why board3 went back")
    command(scene, "rollout", "abort", rollout)


def forged(scene, units):
    show.chapter("""4. Somebody takes over the server's address, with its TLS key, and offers 9.9 to board1, signed by
                 nobody who may. Then the server is itself again.""")
    release = scene.release("rel-9.9", "sensor-2.0", "9.9.9", "mallory")
    folder, trust = scene / "www-forged", scene.bundle("mallory.cose", 1, author="mallory")
    godwit("release", "publish", release, "--to", folder, "--trust", trust)
    with impostor(scene.place.folder / "tls", folder) as false:
        unit = units["board1"]
        unit.net.https.to(false.port)
        unit.sees(r"update refused: KEY_UNKNOWN", 40, "update begins")
        unit.net.https.to(None)


def by_poll(scene, fixed, units):
    show.chapter("""5. The broker goes down. 2.0 brings minimum, maximum and mean; it comes by poll.""")
    scene.place.broker.stop()
    release = scene.delta("rel-2.0", "sensor-2.0", "2.0.0", fixed)
    roll_out(scene, release, "--all", name="statistics")
    for unit in units.values():
        unit.updates(r"2\.0")
    runs(scene, "2.0.0", STORIES)
    return release


def expired(scene, release, units):
    show.chapter(f"""6. It is {LATER[:4]}: the server's certificate has expired, and its CA. There are new ones, and a
                 trust bundle that names the new CA; but who may bring it? Boards whose policy allows it ask without
                 trust after two looks, and without saying who they are. The desk lays the bundle onto a plain web
                 server in the server's place: it is signed, so anybody may bring it.""")
    for unit in units.values():
        unit.off()
        unit.on(rtc=LATER)
    for unit in units.values():
        unit.sees(r"look failed: CERT_EXPIRED: ", 60)
    bundle = install_new_ca(scene)
    files = scene / "www-rescue"
    godwit("release", "publish", release, "--to", files, "--trust", bundle, "--offer-trust")
    with impostor(scene.place.folder / "tls", files) as server:
        for unit in units.values():
            unit.net.https.to(server.port)
        for name in RESCUED:
            units[name].sees(r"looks, without trust in the server\n", 90)
            units[name].sees(r"trust bundle taken", 60)
        for unit in units.values():
            unit.net.https.to(None)
    show.say("   The server is back, with its new certificate. 2.1 is out.")
    roll_out(scene, scene.delta("rel-2.1", later_image(scene), "2.1.0", release), "--all", name="late")
    for name in RESCUED:
        units[name].updates(r"2\.0")
    runs(scene, "2.1.0", RESCUED)
    said = units["board1"].board.text()
    check(len(re.findall(r"look failed: CERT_", said)) >= 3, "board1 has hardly looked")
    check("trust bundle taken" not in said and "offered" not in said, "board1 believed somebody")


def later_image(scene):
    file = scene / "later.bin"
    file.write_bytes((BOARD / "sensor-2.0.bin").read_bytes() + b"mended once more")
    return file


def install_new_ca(scene):
    """On the server: certificates that are good for 40 years, by a CA of their own; and the bundle that names it."""
    span, tls = (-1, 40 * 365), scene.place.folder / "tls"
    pki = Pki(scene / "new-ca", name="Server CA of the forties", days=span)
    cert, key = pki.server(days=span)
    shutil.copy(cert, tls / "server.pem")
    shutil.copy(key, tls / "server.key")
    bundle = scene.bundle("trust-new.cose", 3, "--server-ca", pki.ca)
    command(scene, "server", "trust", bundle)
    ca = scene.place.folder / "ca/ca.pem"
    ca.write_bytes(ca.read_bytes() + Path(pki.ca).read_bytes())
    trusted = Path(os.environ["XDG_CONFIG_HOME"]) / f"godwit/{scene.place.profile}.ca.pem"
    trusted.write_bytes(ca.read_bytes())
    scene.place.reload()
    return bundle


# ---- Does it add up? ------------------------------------------------------------------------------------------------

def on_flash(scene, unit):
    shown = godwit("device", "show", unit.files)
    found = re.search(r"state: CONFIRMED.*?version: (\S+)", shown, re.S)
    return found.group(1) if found else "none"


def payloads(unit):
    """(bytes that were to be fetched, bytes that came twice at most): interrupted ones are counted once."""
    whole = [left + kept for left, kept in unit.fetched if kept == 0]
    return sum(whole), FRAME * sum(1 for _, kept in unit.fetched if kept)


def table(scene, units):
    versions = {"board1": "2.0.0", "board2": "2.1.0", "board3": "2.1.0"}
    told = {"board1": {"KEY_UNKNOWN"}, "board2": set(), "board3": {"TRIES_USED"}}
    seen = scene.place.devices()
    show.say("\n   board   in its way                          flash  server reports  payload    wire  handshakes  "
             "told")
    for unit in units.values():
        unit.off()
        name, reports, flash = unit.name, scene.reports(unit.name), on_flash(scene, unit)
        links = unit.net.https.connections
        handshakes = sum(c.up_handshake + c.down_handshake for c in links)
        wire = sum(c.up + c.down for c in links) - handshakes
        fetched, twice = payloads(unit)
        reasons = {r for r in unit.told if not r.startswith("CERT_")}
        check(flash == versions[name] == seen[name]["version"], f"{name}: {flash} on flash, {seen[name]['version']} at "
              f"the server, {versions[name]} expected")
        check(reports and reports[-1]["state"] == "CONFIRMED", f"{name}: its last report")
        check([r["counter"] for r in reports] == sorted({r["counter"] for r in reports}), f"{name}: counters")
        check(told[name] <= reasons, f"{name}: told {reasons}")
        check(fetched <= wire <= fetched + twice + 4096 * len(links), f"{name}: {wire} bytes for {fetched} of payload")
        show.say(f"   {name:<7} {unit.story:<35} {flash:<6} {seen[name]['version']:<6} {len(reports):>7} {fetched:>8} "
                 f"{wire:>7} {handshakes:>11}  {', '.join(sorted(unit.told))}")
    command(scene, "server", "reports", scene.place.folder, "--devices", scene / "made/devices.json")


def story(folder):
    scene, first, units = make(folder)
    try:
        connect(scene, units)
        fixed = notified(scene, first, units)
        crashes(scene, fixed, units)
        forged(scene, units)
        release = by_poll(scene, fixed, units)
        expired(scene, release, units)
        table(scene, units)
    finally:
        for unit in units.values():
            unit.off()
        check(scene.stop() == 0, "godwitd ended well")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended on this way too
    work = Path(tempfile.mkdtemp(prefix="godwit-demo-"))
    os.environ["XDG_CONFIG_HOME"] = str(work / "config")
    os.chdir(work)
    try:
        story(work / "demo")
    except (Failed, Dead) as error:
        check(False, str(error))
    finally:
        show.stopping.set()
        os.chdir("/")
        if not failures and not os.environ.get("GODWIT_KEEP"):
            shutil.rmtree(work)
        else:
            show.say(f"   left for a look: {work}")
    took = time.monotonic() - show.begun
    show.say(f"\n{took:.0f} seconds")
    show.say("demo-qemu: all went as told" if not failures else f"demo-qemu: FAILED: {len(failures)} things did not")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
