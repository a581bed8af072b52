#!/usr/bin/python3
"""The links of the emulated boards (link.py), with plain sockets in place of a board: every fault, each way, and what
they count. Ends with `N passed, N failed`."""
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "web")]
from link import Link  # noqa: E402
from place import Score  # noqa: E402

DATA = bytes(range(256)) * 200  # 51 200 bytes
score = Score()
holds, equal = score.holds, score.equal


class Echo:
    """A server that sends DATA to whoever comes, and keeps what it gets."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.got = {}
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        number = 0
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            number += 1
            threading.Thread(target=self.serve, args=(sock, number), daemon=True).start()

    def serve(self, sock, number):
        self.got[number] = b""
        try:
            sock.sendall(DATA)
            while more := sock.recv(65536):
                self.got[number] += more
            sock.close()
        except OSError:
            self.got[number] += b"!"


class End:
    """The board's end of a connection: link.py as the emulator starts it, on a TCP socket."""

    def __init__(self, folder, port, name="x"):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.sock = socket.create_connection(listener.getsockname())
            theirs, _ = listener.accept()
        with theirs:
            self.process = subprocess.Popen([sys.executable, HERE / "link.py", folder, name, str(port)], stdin=theirs,
                                            stdout=theirs, stderr=theirs)
        self.sock.settimeout(10)
        self.reset = False

    def read(self, seconds=None, most=None):
        """All until the end, or what came in so many seconds, or so many bytes."""
        data, end = b"", time.monotonic() + (seconds or 20)
        while most is None or len(data) < most:
            self.sock.settimeout(max(end - time.monotonic(), 0.001))
            try:
                more = self.sock.recv(65536 if most is None else most - len(data))
            except TimeoutError:
                return data
            except ConnectionResetError:
                self.reset = True
                return data
            if not more:
                return data
            data += more
        return data

    def end(self):
        self.sock.close()
        return self.process.wait(timeout=10)


class Case:
    """A folder and a server of its own."""

    def __init__(self, base, name):
        self.name, self.link, self.echo = name, Link(Path(base) / name, "x"), Echo()

    def connect(self):
        return End(self.link.folder, self.echo.port)

    def logged(self, count=1):
        """The connections, when so many have ended."""
        end = time.monotonic() + 5
        while len(self.link.connections) < count and time.monotonic() < end:
            time.sleep(0.02)
        return self.link.connections


def clean(case):
    for number in (1, 2):
        end = case.connect()
        end.sock.sendall(DATA[:3000])
        equal(f"connection {number}: all comes", end.read(most=len(DATA)), DATA)
        end.sock.shutdown(socket.SHUT_WR)
        equal("and then the end", end.read(), b"")
        equal("its process ends", end.end(), 0)
    seen = case.logged(2)
    equal("both are counted", [(c.number, c.up, c.down, c.ended) for c in seen],
          [(1, 3000, len(DATA), "closed"), (2, 3000, len(DATA), "closed")])
    equal("the server got all", case.echo.got, {1: DATA[:3000], 2: DATA[:3000]})
    equal("nothing struck", case.link.struck, [])


def truncate(case):
    case.link.set("truncate", after=10_000)
    end = case.connect()
    end.sock.sendall(b"unread" * 100)
    holds("so many bytes, then a proper end", end.read() == DATA[:10_000] and not end.reset)
    end.end()
    equal("it is told", case.link.struck, [(1, "truncate")])
    equal("and counted", [(c.down, c.ended) for c in case.logged()], [(10_000, "truncate")])


def reset(case):
    case.link.set("reset", after=10_000, at=2)
    end = case.connect()
    equal("not the first", end.read(most=len(DATA)), DATA)
    end.end()
    end = case.connect()
    data = end.read()
    holds("the second: RST", end.reset and DATA.startswith(data) and len(data) <= 10_000, len(data))
    end.end()
    end = case.connect()
    equal("not the third", end.read(most=len(DATA)), DATA)
    end.end()
    equal("once", case.link.struck, [(2, "reset")])
    case.link.clear()
    case.link.set("reset", after=100, way="up", once=True)
    for sent, struck in ((50, False), (200, True), (300, False)):
        end = case.connect()
        end.sock.sendall(DATA[:sent])
        end.read(seconds=1)
        equal(f"the first that sends so much: {sent}", end.reset, struck)
        end.end()


def corrupt(case):
    case.link.set("corrupt", after=12_345)
    case.link.set("corrupt", after=5, way="up")
    end = case.connect()
    end.sock.sendall(b"0123456789")
    data = end.read(most=len(DATA))
    equal("one byte", [i for i in range(len(DATA)) if data[i] != DATA[i]], [12_345])
    end.sock.shutdown(socket.SHUT_WR)
    end.read()
    end.end()
    equal("and one the other way", case.echo.got, {1: b"01234%6789"})


def stall(case):
    case.link.set("stall", after=20_000, seconds=1)
    end = case.connect()
    data = end.read(seconds=0.7)
    equal("so many bytes, then nothing", data, DATA[:20_000])
    begun = time.monotonic()
    equal("then the rest", end.read(most=len(DATA) - len(data)), DATA[20_000:])
    holds("after a while", time.monotonic() - begun > 0.1)
    end.end()
    case.link.clear()
    case.link.set("stall", after=100)
    end = case.connect()
    equal("for ever", end.read(seconds=1.5), DATA[:100])
    equal("the process ends with the board all the same", end.end(), 0)
    case.link.clear()
    end = case.connect()
    equal("no fault any more", end.read(most=len(DATA)), DATA)
    end.end()


def upwards(case):
    case.link.set("stall", after=1000, way="up")
    end = case.connect()
    end.sock.sendall(DATA[:5000])
    equal("down is free", end.read(most=len(DATA)), DATA)
    time.sleep(0.3)
    equal("up is not", case.echo.got[1], DATA[:1000])
    case.link.clear()
    end_at = time.monotonic() + 3
    while len(case.echo.got[1]) < 5000 and time.monotonic() < end_at:
        time.sleep(0.02)
    equal("it goes on when the fault is taken away", case.echo.got[1], DATA[:5000])
    case.link.set("reset", way="up", after=0)
    end.read(seconds=2)
    holds("a fault that is set while it runs", end.reset)
    end.end()


def slow(case):
    case.link.set("delay", ms=300)
    end = case.connect()
    begun = time.monotonic()
    equal("all comes", end.read(most=len(DATA)), DATA)
    holds("later", 0.3 <= time.monotonic() - begun < 3, time.monotonic() - begun)
    end.end()
    case.link.clear()
    case.link.set("drip", after=len(DATA) - 400, size=40, ms=50)
    end = case.connect()
    end.read(most=len(DATA) - 400)
    begun = time.monotonic()
    equal("the rest", end.read(most=400), DATA[-400:])
    holds("in drops", 0.4 <= time.monotonic() - begun < 4, time.monotonic() - begun)
    end.end()


def nobody(case):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    end = End(case.link.folder, port)
    end.read()
    holds("nobody there: RST", end.reset)
    equal("its process ends", end.end(), 0)
    equal("it is told", case.link.refused, 1)
    case.link.to(case.echo.port)
    end = End(case.link.folder, port)
    equal("new connections go elsewhere", end.read(most=len(DATA)), DATA)
    end.end()
    case.link.to(None)
    end = End(case.link.folder, port)
    equal("and back", (end.read(), end.reset, case.link.refused), (b"", True, 2))
    end.end()


def records(case):
    """TLS records are told apart, wherever they are cut."""
    def record(kind, size):
        return bytes([kind, 3, 3]) + size.to_bytes(2, "big") + bytes(size)
    stream = record(22, 300) + record(20, 1) + record(22, 40) + record(23, 1000) + record(21, 26) + record(23, 16384)
    end = case.connect()
    for at in range(0, len(stream), 777):
        end.sock.sendall(stream[at:at + 777])
        time.sleep(0.002)
    end.sock.shutdown(socket.SHUT_WR)
    end.read()
    end.end()
    seen = case.logged()[0]
    equal("handshake and alerts", (seen.up, seen.up_handshake), (len(stream), 300 + 1 + 40 + 26 + 4 * 5))


def many(case):
    """Connections at once get numbers of their own, and their lines in the log are whole."""
    def one(_):
        end = case.connect()
        good = end.read(most=len(DATA)) == DATA
        end.end()
        return good
    with ThreadPoolExecutor(max_workers=8) as pool:
        holds("all come", all(pool.map(one, range(16))))
    equal("numbers", [c.number for c in case.logged(16)], list(range(1, 17)))
    for line in (case.link.folder / "x.log").read_text().splitlines():
        json.loads(line)


def main():
    cases = (clean, truncate, reset, corrupt, stall, upwards, slow, nobody, records, many)
    with tempfile.TemporaryDirectory(dir=os.environ.get("GODWIT_TMP")) as base:
        for case in cases:
            with score.part(case.__name__):
                case(Case(base, case.__name__))
    return score.close()


if __name__ == "__main__":
    sys.exit(main())
