#!/usr/bin/python3
"""The emulated board online, end to end: boards with certificates of their own at a real godwitd and a real Mosquitto,
through links that fail on demand; static repositories and false servers besides.

    tests/online/run.py [NAME]...       tests whose names have one of these in them; without: all

Of the faults of the link a few, with GODWIT_FULL=1 each. GODWIT_BIN: folder of the programs; GODWIT_TMP: an empty
folder. Ends with `N passed, N failed`.
"""
import concurrent.futures
import datetime
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "qemu"), str(HERE.parent / "web"), str(HERE.parent / "netfaults")]
from board import Board, Dead, Net  # noqa: E402
from pki import Pki  # noqa: E402
from place import Failed, Score, until  # noqa: E402
from scene import STATIC, Online, Scene, firmware, godwit, short_lived_twin  # noqa: E402
from server import FaultServer, impostor  # noqa: E402

FULL = os.environ.get("GODWIT_FULL")
FRAME = 4096 + 32
RECORD = 16384 + 8192  # bytes of TLS that are lost when a connection breaks: a record, and what is under way
POLL = 5  # seconds; the shortest that a device agrees to
WORKERS = 6
RUNS = r"sensor {} running from slot {}, {}"
FIRST, LATER, FAULTS = [], [], []
score = Score()
holds, equal = score.holds, score.equal


def first(function):
    """Before the others, and alone."""
    FIRST.append(function)
    return function


def later(function):
    LATER.append(function)
    return function


class World(Online):
    """Releases, published, and a way to a board of each name."""

    def __init__(self, folder, names):
        super().__init__(folder, names, next_look=POLL)
        self.first = self.release("rel-1.0", "sensor-1.0", "1.0.0")
        self.fixed = self.delta("rel-1.1", "sensor-1.1", "1.1.0", self.first)
        self.crashes = self.delta("rel-1.2", "sensor-crashes", "1.2.0", self.first)
        self.large = self.release("rel-2.0", "sensor-2.0", "2.0.0")  # no delta: something is under way for a while
        self.digests = {r: self.place.publish(r) for r in (self.fixed, self.crashes, self.large)}

    def roll_out(self, release, device):
        return self.place.roll_out(self.digests[release], "--id", device, name=f"{Path(release).name} for {device}")

    def slow(self, name, **more):
        """A board whose server sends at a pace that leaves time to interfere."""
        board = self.board(name, self.first, **more)
        board.net.https.set("drip", after=8000, size=1400, ms=15)
        return board


def payload_sizes(release):
    return sorted(p.stat().st_size for p in Path(release, "payloads").iterdir())


def starts(board, version=r"1\.0", slot="A", state="CONFIRMED", seconds=60, forbid=None):
    board.expect(RUNS.format(version + r"\S*", slot, state), seconds, forbid)


def ended(link):
    """All connections of a board that is off: a restart leaves some open."""
    until(5, lambda: len(link.connections) + link.refused == link.count)
    return link.connections


def connected(board):
    starts(board)
    board.expect(r"network up: 10\.0\.2\.15\n")
    board.expect_all(r"broker connected\n", r"nothing new, again in \d+ s\n")


def updates(board, version, slot="B", seconds=90, forbid=None):
    """To the end, from where it is now."""
    board.expect(r"update done: ", seconds, forbid)
    starts(board, version, slot, "TRYING")
    board.expect(r"confirmed\n", seconds)


def reported(world, name, version, seconds=40):
    """The server says that the device runs this version, and can prove it."""
    seen = until(seconds, lambda: world.place.devices()[name]["version"] == version)
    holds(f"{name}: the server says that it runs {version}", seen, world.place.godwit("device", "reports", name))
    reports = world.reports(name)
    holds(f"{name}: its reports are its own", reports and reports[-1]["state"] == "CONFIRMED", reports)
    return reports


def has_reason(world, name, reason, seconds=40):
    """The device's own signed word for it."""
    good = until(seconds, lambda: any(r.get("reason") == reason for r in world.reports(name)), 0.3)
    holds(f"{name}: reports {reason}", good, world.reports(name))


# ---- What is meant to work ------------------------------------------------------------------------------------------

@first
def a_delta_by_notification(world):
    with world.board("b-notified", world.first, world.settings(poll=3600)) as board:
        connected(board)
        link = board.net.https
        until(5, lambda: len(link.connections) == link.count)  # the first look's connection has ended
        before, asked = link.count, time.monotonic()
        world.roll_out(world.fixed, "b-notified")
        board.expect(r"notified\n")
        board.expect(r"looks\n")
        board.expect(r"offered \d+\.\d+\n")
        size, here = board.expect(r"update begins: (\d+) bytes to fetch, (\d+) are here\n").groups()
        updates(board, r"1\.1")
        holds("soon", time.monotonic() - asked < 60, time.monotonic() - asked)
        equal("nothing was there", int(here), 0)
        equal("the delta alone is fetched", int(size), payload_sizes(world.fixed)[0])
        reported(world, "b-notified", "1.1.0")
        board.expect(r"report \d+ arrived")
    wire(world, link, before)


def wire(world, link, before):
    """What the update cost on the wire, from its look to the look that confirmed it, handshakes apart."""
    mine = [c for c in ended(link) if c.number > before]
    payload, manifest = payload_sizes(world.fixed)[0], (Path(world.fixed) / "manifest.cose").stat().st_size
    bound = payload + manifest + 3072 + payload // 100
    data = [c.up + c.down - c.up_handshake - c.down_handshake for c in mine]
    handshake = sum(c.up_handshake + c.down_handshake for c in mine)
    print(f"wire, 1.0 to 1.1: payload {payload}, manifest {manifest}; {sum(data)} bytes in {len(mine)} connections "
          f"{data}, handshakes {handshake} bytes besides; at most {bound}", flush=True)
    holds("TCP payload is bounded", sum(data) <= bound, mine)
    equal("one connection for the update, one to confirm", len(mine), 2)


@first
def the_work_goes_on(world):
    """A whole image over HTTPS, with the broker's connection beside it, on a board as slow as a real one: its own work
    is not late, and memory is as promised."""
    with world.board("b-work", world.first, world.settings(poll=3600), icount=True) as board:
        connected(board)
        world.roll_out(world.large, "b-work")
        board.expect(r"update begins: \d{6} bytes", 60)
        board.expect(r"update done: ", 180)
        gap, step, lost = map(int, board.expect(r"readings: \d+, longest gap (\d+) us beyond the period, longest step "
                                                r"(\d+) us, lost (\d+)\n").groups())
        found = board.expect(r"memory: TLS heap (\d+), stack (\d+) of (\d+), pbufs (\d+) of (\d+), lwIP heap (\d+) of "
                             r"(\d+), refused (\d+)\n")
        heap, stack, room, pbufs, pool, used, size, refused = map(int, found.groups())
        starts(board, r"2\.0", "B", "TRYING")
    print(f"at 125 million instructions a second: a reading was late by {gap} us at most, the loop's longest step took "
          f"{step} us\n{found.group(0).strip()}", flush=True)
    holds("no reading is late by 20 ms", gap <= 20_000, gap)
    equal("no reading is lost", lost, 0)
    holds("the watchdog has time", step <= 3_000_000, step)
    holds("TLS takes at most 40 KB of heap", 20_000 < heap <= 40 * 1024, heap)
    holds("a third of the stack is left", 1000 < stack <= room * 2 // 3, (stack, room))
    holds("pools are large enough", refused == 0 and pbufs < pool and used < size, found.group(0))


@first
def an_address_by_dhcp(world):
    with world.board("b-dhcp", world.first, world.settings(static=False, poll=3600)) as board:
        connected(board)
        world.roll_out(world.fixed, "b-dhcp")
        board.expect(r"notified\n")
        updates(board, r"1\.1")
        reported(world, "b-dhcp", "1.1.0")


@later
def by_poll_without_a_broker(world):
    board = world.board("b-poll", world.first)
    board.net.mqtt.set("reset")  # whoever connects is thrown out
    with board:
        starts(board)
        board.expect(r"nothing new, again in \d+ s\n")
        world.roll_out(world.fixed, "b-poll")
        updates(board, r"1\.1", forbid=r"notified|broker connected")
        reported(world, "b-poll", "1.1.0")
        holds("it tried the broker", board.net.mqtt.struck)
        board.net.mqtt.clear()
        board.expect(r"broker connected\n", 130)


@later
def the_broker_comes_back(world):
    with world.board("b-broker", world.first) as board:
        connected(board)
        board.net.mqtt.set("reset", way="down")
        board.net.mqtt.set("reset", way="up")
        board.expect(r"broker lost: \w+: .*\n", 90)
        board.net.mqtt.clear()
        board.expect(r"broker connected\n", 60)


@later
def the_plug_is_pulled(world):
    with world.slow("b-plug") as board:
        connected(board)
        world.roll_out(world.large, "b-plug")
        size = int(board.expect(r"update begins: (\d+) bytes to fetch, 0 are here\n", 40).group(1))
        done = int(board.expect(r"update ([4-9]0) %\n", 60).group(1))
        board.restart()
        starts(board)
        again, kept = map(int, board.expect(r"update begins: (\d+) bytes to fetch, (\d+) are here\n", 40).groups())
        holds("at most one frame is fetched again", again == size and kept >= size * done // 100 - FRAME,
              (size, again, done, kept))
        link, number = board.net.https, board.net.https.count
        link.clear()
        updates(board, r"2\.0")
        reported(world, "b-plug", "2.0.0")
    rest = [c.down - c.down_handshake for c in ended(link) if c.number == number]
    holds("and the rest alone", rest and size - kept < rest[0] < size - kept + 4096, (size, kept, rest))


@later
def a_release_that_crashes(world):
    with world.board("b-crash", world.first) as board:
        connected(board)
        world.roll_out(world.crashes, "b-crash")
        board.expect(r"update done: ", 60)
        starts(board, r"1\.0", "A", "CONFIRMED", 60)
        board.expect(r"went back from \d+\.\d+: TRIES_USED: .*\n")
        has_reason(world, "b-crash", "TRIES_USED")
        why = world.place.godwit("device", "why", "b-crash")
        holds("the server tells why", "TRIES_USED" in why or "REJECTED_BEFORE" in why, why)
        left = [r for r in world.reports("b-crash") if r["state"] == "LEFT"]
        equal("once, with the release", [(r["reason"], r["release"] is not None) for r in left], [("TRIES_USED", True)])


# ---- What is refused ------------------------------------------------------------------------------------------------

def false_server(world, name, release, trust, *options):
    """Somebody else in the server's place, with its TLS key: it offers this release to everybody."""
    folder = world / f"www-{name}"
    godwit("release", "publish", release, "--to", folder, "--trust", trust, *options)
    return impostor(world.place.folder / "tls", folder, reports=world / f"{name}-reports")


@later
def a_forged_release(world):
    forged = world.release("rel-9.9", "sensor-2.0", "9.9.9", "mallory")
    trust = world.bundle("mallory.cose", 1, author="mallory")
    with false_server(world, "forged", forged, trust) as server:
        unit = world.unit("b-forged", world.first, world.settings(server=server.url, mqtt=""))
        with Board(unit, net=Net(world / "b-forged.links", https=server.port)) as board:
            starts(board)
            board.expect(r"update refused: KEY_UNKNOWN: .*\n", 30, forbid="update begins")
            board.ask("version", r"\nsensor 1\.0\n")
            holds("it is told", until(20, lambda: list((world / "forged-reports").glob("*.cose"))))


def does_not_look(world, name, reason, settings=None, trust="trust-ca.cose", **more):
    """A board that does not believe its server: says why, goes on working, gets nothing."""
    asked = world.place.said().count(f"device={name}")
    with world.board(name, world.first, settings, trust, **more) as board:
        starts(board)
        board.expect(rf"look failed: {reason}: .*, again in \d+ s\n", 40, forbid="offered|nothing new")
        board.expect(r"temperature \S+ C\n")
        board.ask("version", r"\nsensor 1\.0\n")
    equal(f"{name}: nothing was asked of that server", world.place.said().count(f"device={name}"), asked)


@later
def a_wrong_ca(world):
    other = Pki(world / "other-ca")
    trust = world.bundle("trust-other.cose", 2, "--server-ca", other.ca)
    does_not_look(world, "b-ca", "CERT_UNKNOWN", trust=trust)


@later
def a_wrong_name(world):
    settings = (f"server = https://elsewhere.example:{world.place.port}\nhost = elsewhere.example 10.0.2.2\n{STATIC}"
                f"mqtt = elsewhere.example:{world.place.mqtt_port}\n")
    does_not_look(world, "b-name", "CERT_NAME", settings)


@later
def expired_by_the_clock(world):
    does_not_look(world, "b-clock", "CERT_EXPIRED", rtc="2045-01-01T00:00:00")


def expired(world, name):
    """A bundle with a CA that is good for 30 days, and what a clock says in 60."""
    ca = short_lived_twin(world.place.ca, world.place.folder / "ca/ca.key", 30, world / f"{name}-ca.pem")
    trust = world.bundle(f"trust-{name}.cose", 1, "--server-ca", ca)
    return trust, (datetime.datetime.utcnow() + datetime.timedelta(days=60)).strftime("%Y-%m-%dT%H:%M:%S")


@later
def an_expired_ca_is_survived(world):
    """By policy: after some looks it asks without trust, and without showing who it is. godwitd lets nobody in like
    that; files on any web server in its place do. With the new bundle from there it believes godwitd again."""
    settings, (trust, rtc) = world.settings("anonymous_after = 2"), expired(world, "rescued")
    with world.board("b-rescued", world.first, settings, trust, rtc=rtc) as board:
        starts(board)
        for _ in range(2):
            board.expect(r"look failed: CERT_EXPIRED: .*\n", 60)
        board.expect(r"looks, without trust in the server\n", 60)
        with false_server(world, "rescue", world.first, world / "trust-ca.cose", "--offer-trust") as files:
            board.net.https.to(files.port)
            board.expect(r"trust bundle taken", 60)
            board.net.https.to(None)
        board.expect_all(r"broker connected\n", r"nothing new", seconds=150)
        world.roll_out(world.fixed, "b-rescued")
        updates(board, r"1\.1")
        reported(world, "b-rescued", "1.1.0")


@later
def an_expired_ca_is_not_survived(world):
    trust, rtc = expired(world, "lost")
    with world.board("b-lost", world.first, None, trust, rtc=rtc) as board:
        starts(board)
        for _ in range(4):
            board.expect(r"look failed: CERT_EXPIRED: .*\n", 60, forbid="without trust|trust bundle taken|offered")


@later
def a_static_repository(world):
    """No godwitd: files on a web server, no broker, no client certificates, no reports."""
    folder = world / "www-static"
    godwit("release", "publish", world.fixed, "--to", folder, "--trust", world / "trust-ca.cose")
    tls = world.place.folder / "tls"
    with FaultServer(folder, tls / "server.pem", tls / "server.key") as server:
        settings = world.settings("offer = static", server=server.url, mqtt="")
        unit = world.unit("b-static", world.first, settings)
        with Board(unit, net=Net(world / "b-static.links", https=server.port)) as board:
            starts(board)
            updates(board, r"1\.1")
        asked = [r for r in server.requests if "/payloads/" in r.path]
        holds("one range, on the look's connection", len({r.connection for r in asked}) == 1, server.requests)


@later
def a_wrong_setting_is_told(world):
    """The factory refuses it; flash that somebody edited is another matter. The board says which line, and goes on."""
    unit = world.unit("b-edited", world.first)
    bank = (unit / "bank0.bin").read_bytes()
    (unit / "bank0.bin").write_bytes(bank.replace(b"mqtt = localhost:", b"mqtt = localhost ", 1))
    with Board(unit, net=world.net("b-edited")) as board:
        board.expect(r"settings, line 5, mqtt: expected NAME:PORT\n", 60)
        board.expect(r"network up: 10\.0\.2\.15\n", forbid="broker")
        board.expect(r"(nothing new|update begins).*\n", 60)


@later
def a_wiped_board_comes_back(world):
    """All that the board can write is gone, trust bundle and all. The factory's image looks without trust in the
    server, as its settings allow, for an offer that brings the bundle; and takes the release."""
    folder, tls = world / "www-wiped", world.place.folder / "tls"
    godwit("release", "publish", world.fixed, "--to", folder, "--trust", world / "trust-ca.cose", "--offer-trust")
    with FaultServer(folder, tls / "server.pem", tls / "server.key") as server:
        settings = world.settings("offer = static", "anonymous_after = 1", server=server.url, mqtt="", poll=POLL)
        unit = Scene.unit(world, "wiped", world.first, settings, "trust-ca.cose")
        with open(unit / "bank1.bin", "r+b") as file:
            file.write(b"\xff" * 384 * 4096)
        with Board(unit, net=Net(world / "wiped.links", https=server.port)) as board:
            board.expect(r"boot: starts factory, recovery\n")
            board.expect(r"recovery looks for a release at its server\n")
            board.expect(r"looks, without trust in the server\n", 60)
            board.expect(r"trust bundle taken\n")
            updates(board, r"1\.1", r"\w")


# ---- Faults of the link ----------------------------------------------------------------------------------------------

def under(name, fault, quick=False, **options):
    """An update with this fault on connections to the server ends in a completed update, and little comes twice."""
    device = f"f-{name}"

    def test(world):
        with world.board(device, world.first) as board:
            connected(board)
            link = board.net.https
            link.set(fault, **options)
            world.roll_out(world.large, device)
            size = int(board.expect(r"update begins: (\d+) bytes to fetch, 0 are here\n", 90).group(1))
            board.expect(r"update done: ", 200)
            wire_line = board.expect(r"wire: sent \d+, received (\d+), connections (\d+)")
            received, connections = map(int, wire_line.groups())
            struck = [s for s in link.struck if s[1] == fault]
            starts(board, r"2\.0", "B", "TRYING")
            board.expect(r"confirmed\n", 200)
            reported(world, device, "2.0.0")
        holds(f"{name}: it struck", struck, link.connections)
        breaks = len(struck) if fault in BREAKING else 0
        bound = size + size // 100 + 3000 * connections + (RECORD + FRAME) * breaks
        holds(f"{name}: little is fetched twice", received <= bound, (size, received, connections, struck))
    test.__name__ = f"a_link_with_{name.replace('-', '_')}"
    if quick or FULL or sys.argv[1:]:
        FAULTS.append((device, test))


# after= counts bytes of a connection. Down: 900 are handshake, the look ends at about 2 500, the rest is payload. Up:
# 750 are handshake, then come requests.
BREAKING = ("stall", "truncate", "reset", "corrupt")
under("delay", "delay", ms=200)
under("delay-up", "delay", ms=200, way="up")
under("drip", "drip", after=30_000, size=1000, ms=10)
under("stall", "stall", quick=True, after=40_000, seconds=5)
under("stall-for-ever", "stall", after=40_000, once=True)
under("truncate", "truncate", after=50_000)
under("reset", "reset", quick=True, after=50_000)
under("corrupt", "corrupt", quick=True, after=60_000, once=True)
under("reset-in-handshake", "reset", after=500, once=True)
under("truncate-in-handshake", "truncate", quick=True, after=500, once=True)
under("corrupt-in-handshake", "corrupt", after=500, once=True)
under("corrupt-up", "corrupt", after=800, way="up", once=True)
under("reset-up", "reset", quick=True, after=800, way="up", once=True)
under("truncate-up", "truncate", after=800, way="up", once=True)


# ---- Running them ---------------------------------------------------------------------------------------------------

def run(function, world):
    name, start, before = function.__name__.replace("_", " "), time.monotonic(), score.failed
    try:
        function(world)
        holds(name, True)
    except (Dead, Failed, OSError, ValueError) as why:
        holds(name, False, why)
    word = "ok     " if score.failed == before else "       "  # what failed was told; others may run beside this
    print(f"{word} {name}, {time.monotonic() - start:.1f} s", flush=True)


def names():
    """Devices that the tests use, as they are written above."""
    return sorted(set(re.findall(r'"(b-\w+)"', (HERE / "run.py").read_text())) | {device for device, _ in FAULTS})


def main():
    firmware()
    wanted = sys.argv[1:]
    chosen = [[f for f in group if not wanted or any(w in f.__name__ for w in wanted)]
              for group in (FIRST, LATER + [test for _, test in FAULTS])]
    folder = Path(os.environ.get("GODWIT_TMP") or tempfile.mkdtemp(prefix="godwit-online-"))
    os.environ["XDG_CONFIG_HOME"] = str(folder / "config")
    os.chdir(folder)
    with World(folder / "online", names()) as world:
        for function in chosen[0]:
            run(function, world)
        with concurrent.futures.ThreadPoolExecutor(max_workers=WORKERS) as pool:
            list(pool.map(lambda function: run(function, world), chosen[1]))
        log = world.place.said()
    holds("no bug is in the server's log", " bug " not in log and "Sanitizer" not in log, log[-3000:])
    shutil.rmtree(folder / "online", ignore_errors=True)
    return score.close()


if __name__ == "__main__":
    sys.exit(main())
