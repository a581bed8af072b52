#!/usr/bin/python3
"""A board's side of a broker (ports/lwip) on this PC, with lwIP's MQTT client, the small profile of TLS and sockets:
against a real Mosquitto as `godwit server init` sets it up, and against a broker that lies.

    real    connects, is notified, reports and is taken; the broker goes and comes; who is not let in, and why
    liar    certificates that must be refused; nonsense of every kind, whole and byte by byte

Uses the program lwip-mqtt beside GODWIT_BIN, in ../tests. Arguments choose some. GODWIT_TMP: an empty folder.
Ends with `N passed, N failed`.
"""
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/web"), str(ROOT / "tests/lwip")]
from liar import Liar, Say, publish  # noqa: E402
from mosquitto import Mosquitto, free_ports, packet  # noqa: E402
from pki import CLIENT, Pki  # noqa: E402

BIN = Path(os.environ.get("GODWIT_BIN", ROOT / "build/host/bin")).resolve()
DAY = 86400
MINE = "godwit/dev1/notify"
WORKERS = 6  # most of the time of a case is the pause of a second after a loss
passed = failed = 0
lock = threading.Lock()
most = {"heap": 0, "object": 0}


def check(name, good, detail=""):
    global passed, failed
    with lock:
        passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print(f"FAILED: {name}\n    {detail}", flush=True)


class Board:
    """The program, with its lines as they come."""

    def __init__(self, port, roots, cert=(None, None), host="localhost", name="dev1", now=None):
        command = [BIN.parent / "tests/lwip-mqtt", "--host", host, "--port", port, "--id", name, "--roots", roots]
        if cert[0]:
            command += ["--cert", cert[0], "--key", cert[1]]
        command += ["--now", int(time.time() if now is None else now)]
        self.lines, self.changed = [], threading.Condition()
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, bufsize=1)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()

    def count(self, pattern):
        return sum(re.fullmatch(pattern, line) is not None for line in self.lines)

    def wait(self, pattern, seconds=8, count=1):
        with self.changed:
            return self.changed.wait_for(lambda: self.count(pattern) >= count, seconds)

    def say(self, text):
        self.process.stdin.write(text + "\n")

    def end(self):
        """Its last line; what it says of memory is checked."""
        self.process.stdin.close()
        code = self.process.wait(timeout=20)
        self.reader.join(5)
        errors = self.process.stderr.read()
        last = dict(re.findall(r"(\w+)=(\d+)", self.lines[-1] if self.lines else ""))
        check("it ends well, and gives its memory back",
              code == 0 and not errors and last.get("left") == "0" and last.get("refused") == "0",
              f"{code} {last} {errors[-1500:]}")
        for key in most:
            most[key] = max(most[key], int(last.get(key, 0)))
        return last


# ---- A real broker ---------------------------------------------------------------------------------------------------

def godwit(*command):
    subprocess.run([str(c) for c in (BIN / "godwit", *command)], check=True, capture_output=True)


def place():
    """A server's folder as `godwit server init` makes it, and certificates of a careless device CA: tests/mqtt."""
    spec = importlib.util.spec_from_file_location("mqtt_run", ROOT / "tests/mqtt/run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("root1", "root2", "author", "distributor"):
        godwit("key", "new", f"{name}.pem")
    godwit("key", "bundle", "--root", "root1.pem", "--root", "root2.pem", "--author", "author.pem", "--distributor",
           "distributor.pem", "--version", 1, "--epoch", 1, "-o", "trust.cose")
    godwit("key", "new", "dca", "--device-ca", "Test devices")
    p = module.Place.__new__(module.Place)
    p.port = free_ports(6)
    godwit("server", "init", "srv", "--name", "localhost", "--device-ca", "dca", "--trust", "trust.cose", "--address",
           "127.0.0.1", "--port", p.port)
    return p


def reports(board, server):
    for n, size in enumerate((1, 100, 512)):
        text = "r" * size
        board.say("report " + text)
        got = server.messages(5, 1)
        check(f"a report of {size} bytes comes whole", got == [("godwit/dev1/report", text.encode())], str(got)[:300])
        check("the broker's word is not the server's", not board.wait("report .*", 0.7, n + 1))
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        server.publish(MINE, b"taken " + digest.encode(), qos=0)
        check("it is taken", board.wait("report OK", 5, n + 1), str(board.lines))
    board.say("report never")
    server.messages(5, 1)
    digest = hashlib.sha256(b"never").hexdigest()[:16]
    server.publish(MINE, b"never " + digest.encode(), qos=0)
    check("or never", board.wait("report VALUE", 5), str(board.lines))


def good_days(p, one):
    broker = Mosquitto("srv").start()
    board = Board(p.port + 4, "srv/ca/ca.pem", one)
    try:
        check("it connects", board.wait("connected"), str(board.lines))
        server = p.server()
        server.subscribe("godwit/+/report")
        server.publish(MINE, b"look", qos=0)
        check("a notification arrives and wakes", board.wait("message look") and board.wait("woken"), str(board.lines))
        server.publish(MINE, b"x" * 64, qos=0)
        server.publish(MINE, b"y" * 65, qos=0)
        server.publish(MINE, b"z" * 900, qos=0)
        server.publish("godwit/dev2/notify", b"not for it", qos=0)
        server.publish(MINE, b"after", qos=1)
        check("then others, but none that is too long", board.wait("message after") and
              board.count("message .*") == 3 and board.count("message " + "x" * 64) == 1, str(board.lines))
        reports(board, server)
        server.close()
        broker.stop()
        check("it notices that the broker is gone", board.wait("lost TRANSPORT", 5), str(board.lines))
        check("and tries again, more and more rarely", board.wait("lost TRANSPORT", 10, 3) and
              board.count("lost .*") < 6, str(board.lines))
        board.say("report down")
        check("a report goes another way at once", board.wait("report TRANSPORT", 2), str(board.lines))
        broker.start()
        check("it comes back", board.wait("connected", 20, 2), str(board.lines))
        server = p.server()
        server.subscribe("godwit/+/report")
        server.publish(MINE, b"again", qos=0)
        check("and hears again", board.wait("message again"), str(board.lines))
        before = len(server.messages(0.2))
        board.say("report silent")
        check("a report of a device that is back comes", before == 0 and len(server.messages(5, 1)) == 1)
        check("what nobody takes goes another way after ten seconds",
              not board.wait("report .*", 8, 6) and board.wait("report TRANSPORT", 5, 2), str(board.lines))
        board.say("close")
        check("after a goodbye it connects at once", board.wait("connected", 5, 3), str(board.lines))
        last = board.end()
        check("it resumed its session", int(last.get("resumed", 0)) >= 1, str(last))
    finally:
        board.process.kill()
        broker.stop()


def not_let_in(p, one):
    other = Pki("other")
    foreign = other.client("dev1")
    cases = (
        ("a CA that it does not know", {"roots": "other/ca.pem"}, "CERT_UNKNOWN", one),
        ("a certificate that has expired", {"now": time.time() + 9000 * DAY}, "CERT_EXPIRED", one),
        ("a certificate that is not valid yet", {"now": time.time() - 9000 * DAY}, "CERT_EARLY", one),
        ("no certificate of its own", {}, "TLS|TRANSPORT", (None, None)),
        ("a certificate of another CA", {}, "TLS|TRANSPORT", foreign),
        ("the server's own certificate", {}, "TLS|TRANSPORT", ("srv/tls/godwitd.pem", "srv/tls/godwitd.key")),
    )
    with Mosquitto("srv"):
        for what, more, reason, cert in cases:
            board = Board(p.port + 4, more.pop("roots", "srv/ca/ca.pem"), cert, **more)
            check(f"{what}: {reason}", board.wait(f"lost ({reason})"), str(board.lines))
            check(f"{what}: nothing else", board.count(f"lost ({reason})") == len(board.lines), str(board.lines))
            board.end()
        board, server = Board(p.port + 4, "srv/ca/ca.pem", one, name="dev2"), p.server()
        server.subscribe("godwit/+/report")
        check("another's name: the certificate's counts", board.wait("connected"), str(board.lines))
        server.publish("godwit/dev2/notify", b"for dev2", qos=0)
        board.say("report of dev2")
        check("another's name: it reads and writes nothing of the other's", not server.messages(2) and
              not board.count("message .*"), str(board.lines))
        server.close()
        board.end()


def real():
    p = place()
    one = p.certify("dev1", "one")
    good_days(p, one)
    not_let_in(p, one)


# ---- One that lies ---------------------------------------------------------------------------------------------------

def certificates(pki):
    cases = (
        ("for another host", {"hosts": ("other.test",)}, "CERT_NAME"),
        ("that has expired", {"days": (-9, -1)}, "CERT_EXPIRED"),
        ("of the future", {"days": (2, 9)}, "CERT_EARLY"),
        ("for clients", {"purpose": CLIENT}, "CERT_PURPOSE"),
        ("of its own", {"self_signed": True}, "CERT_UNKNOWN"),
    )
    for number, (what, more, reason) in enumerate(cases):
        with Liar(*pki.server(f"bad{number}", **more)) as liar:
            board = Board(liar.port, pki.ca)
            check(f"a certificate {what}: {reason}", board.wait(f"lost {reason}"), str(board.lines))
            check(f"a certificate {what}: it does not say a word", liar.hellos == 0)
            board.end()


GOOD = publish(MINE, b"good")
BAD = {  # what it says -> the connection is over
    "no packet": b"\x00\x00",
    "endless length": b"\x30" + b"\xff" * 700,
    "endless length, small": b"\x20" + b"\x80" * 300,
    "as long as can be": b"\x30\xff\xff\xff\x7f" + b"x" * 2000,
    "too long": publish(MINE, b"x" * 1100),
    "QoS 1": publish(MINE, b"\x00\x01x", 0x32),
    "QoS 2": publish(MINE, b"\x00\x01x", 0x34),
    "QoS 3": publish(MINE, b"\x00\x01x", 0x36),
    "topic longer than the packet": b"\x30\x06\xff\xffabcd",
    "no topic": b"\x30\x01\x00",
    "short CONNACK": b"\x20\x01\x00",
    "long SUBACK": packet(0x90, b"\x00\x01" + b"\x00" * 90),
    "a client's packet": packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"),
    "PUBREC": b"\x50\x02\x00\x01",
    "PUBACK of nothing at all": b"\x40\x02\x00\x00",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}
FAIR = {  # -> it stays, and hears what comes then
    "numbers that it does not know": b"\x40\x02\x77\x77\x90\x03\x77\x77\x80\x90\x03\x77\x77\x00",
    "answers that nobody asked for": b"\xd0\x00" * 50 + b"\x20\x02\x00\x00",
    "other topics, and long ones": publish("x", b"x" * 1000) + publish("godwit/dev1/notif", b"x") +
    publish(MINE + "x", b"x") + publish("t" * 900, b"") + publish(MINE + "\0", b"x") + publish(MINE, b"x" * 65),
    "a flood": publish(MINE, b"x" * 900) * 200,
}


def bad(pki, cert, what, data, piece):
    with Liar(*cert, Say(late=GOOD + data, piece=piece)) as liar:
        board = Board(liar.port, pki.ca)
        check(f"{what}, in pieces of {piece}: it goes", board.wait("lost TRANSPORT", 20), str(board.lines))
        check(f"{what}, in pieces of {piece}: and comes back",
              board.wait("message fine", 20) and board.count("lost .*") == 1 and board.count("message .*") == 2,
              str(board.lines))
        board.end()


def fair(pki, cert, what, data, piece):
    with Liar(*cert, Say(late=data + GOOD, piece=piece if len(data) < 9000 else 700)) as liar:
        board = Board(liar.port, pki.ca)
        check(f"{what}, in pieces of {piece}: it stays", board.wait("message good", 40) and
              board.lines == ["connected", "message good", "woken"], str(board.lines))
        board.end()
    check(f"{what}, in pieces of {piece}: and says goodbye", liar.last == 0xe0, f"{liar.last}")


def hello(pki, cert, what, say):
    with Liar(*cert, say) as liar:
        board = Board(liar.port, pki.ca)
        check(f"{what}: it goes", board.wait("lost TRANSPORT", 20), str(board.lines))
        check(f"{what}: and comes back", board.wait("message fine", 20) and board.count("lost .*") == 1,
              str(board.lines))
        board.end()


HELLOS = [(f"CONNACK {code}", Say(early=bytes([0x20, 2, 0, code]))) for code in (1, 2, 3, 4, 5, 200)] + [
    ("nothing but an end", Say(early=b"", close=True)),
    ("half a CONNACK and an end", Say(early=b"\x20\x02", close=True)),
    ("an end after the subscription", Say(close=True)),
    ("nonsense first", Say(early=b"\xff" * 40)),
    ("a subscription that is refused", Say(early=b"\x20\x02\x00\x00\x90\x03\x00\x01\x80")),
]


def liar():
    pki = Pki("pki")
    certificates(pki)
    cert = pki.server()
    with ThreadPoolExecutor(WORKERS) as pool:
        jobs = [pool.submit(hello, pki, cert, what, say) for what, say in HELLOS]
        for piece in (0, 1):
            jobs += [pool.submit(bad, pki, cert, what, data, piece) for what, data in BAD.items()]
            jobs += [pool.submit(fair, pki, cert, what, data, piece) for what, data in FAIR.items()]
        for job in jobs:
            job.result()


def main():
    os.chdir(os.environ.get("GODWIT_TMP") or sys.exit("GODWIT_TMP is not set"))
    parts = {"real": real, "liar": liar}
    for name in sys.argv[1:] or parts:
        before = time.monotonic()
        parts[name]()
        print(f"{name}: {time.monotonic() - before:.1f} s", flush=True)
    print(f"a gwl_mqtt: {most['object']} bytes; most of lwIP's heap in use: {most['heap']} bytes (64 bits)")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
