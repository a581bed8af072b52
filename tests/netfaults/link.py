#!/usr/bin/python3
"""A link that fails on demand: relays its stdin and stdout to a TCP port on 127.0.0.1. One process is one connection.

    link.py FOLDER NAME PORT        as the emulator starts it for each connection of a board (tests/qemu/board.py)

    link = Link(folder, name)                      for tests; the board may run already
    link.set("stall", after=30_000, seconds=5)     each connection from now on
    link.set("reset", after=2_000, at=2)           only the second one from now on
    link.set("reset", after=2_000, once=True)      only the first one that gets so far
    link.clear()                                   no faults any more, for connections that stand too
    link.to(port)                                  new connections go there, whatever PORT was; None: to PORT again
    link.connections                               Connection tuples, in order: bytes each way, of them handshake
    link.struck                                    faults that struck, in order, as (connection, name)

Faults, after so many bytes in one direction (way="down": to the board, the default; "up": from it; `after` 0 if not
given):

    stall       nothing more goes that way for so many `seconds`; without: as long as the connection lasts
    truncate    the rest is dropped; the connection is closed properly
    reset       RST, both ways
    corrupt     byte number `after` is another (one bit)
    drip        from there on `size` bytes (40) each `ms` (20)
    delay       everything comes `ms` later

Keeps true: without faults bytes pass as they are, in order; a process ends with its connection. Loopback only. Nothing
is printed: stderr is the board's network, too.
"""
import argparse
import collections
import errno
import fcntl
import json
import os
import select
import socket
import struct
import sys
import time
from pathlib import Path

BUFFER = 256 * 1024  # bytes under way in a direction, at most; the sender waits then
LINGER = 2.0         # seconds that a connection lasts when the board has closed it
POLL = 0.1           # seconds until a change of the faults is seen by a connection on which nothing happens
HANDSHAKE = (20, 21, 22)  # TLS records: change of cipher, alert, handshake; 23 is data

Connection = collections.namedtuple("Connection", "number up down up_handshake down_handshake seconds ended")


class Records:
    """Counts bytes of TLS records that are not data. What is no TLS counts as data."""

    def __init__(self):
        self.head, self.left, self.kind, self.handshake = b"", 0, 0, 0

    def feed(self, data):
        at = 0
        while at < len(data):
            if self.left == 0:
                take = min(5 - len(self.head), len(data) - at)
                self.head += data[at:at + take]
                at += take
                if len(self.head) < 5:
                    return
                self.kind, self.left = self.head[0], int.from_bytes(self.head[3:5], "big")
                self.handshake += 5 if self.kind in HANDSHAKE else 0
                self.head = b""
            take = min(self.left, len(data) - at)
            self.handshake += take if self.kind in HANDSHAKE else 0
            self.left -= take
            at += take


class Way:
    """One direction: what has come and is not yet sent, and the faults that are on it."""

    def __init__(self, name, source, sink):
        self.name, self.source, self.sink = name, source, sink
        self.waiting = collections.deque()  # (due, bytes)
        self.count = 0      # bytes taken in
        self.sent = 0
        self.held = 0       # bytes in `waiting`
        self.open = True    # the source has more to say
        self.done = False   # the end was passed on
        self.until = 0.0    # nothing goes before this time
        self.records = Records()

    def take(self, data, delay):
        self.records.feed(data)
        self.count += len(data)
        self.held += len(data)
        self.waiting.append([time.monotonic() + delay, data])


class Struck(Exception):
    """The connection is over; its argument says how: "reset" or "truncate"."""


class Relay:
    """The process: its connection, and faults as the control file has them now."""

    def __init__(self, folder, name, port):
        self.folder, self.name = Path(folder), name
        self.control, self.stamp, self.faults = self.folder / f"{name}.faults", None, []
        self.begun, self.once, self.closed = time.monotonic(), set(), None
        self.number = self.next_number()
        self.board = socket.socket(fileno=os.dup(0))
        moved = self.folder / f"{name}.port"
        self.server = self.connect(int(moved.read_text()) if moved.exists() else port)
        self.down = Way("down", self.server, self.board)
        self.up = Way("up", self.board, self.server)

    def next_number(self):
        with open(self.folder / f"{self.name}.count", "a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            number = int(file.read() or b"0") + 1
            file.truncate(0)
            file.write(str(number).encode())
        return number

    def connect(self, port):
        try:
            return socket.create_connection(("127.0.0.1", port), 5)
        except OSError:
            self.note("refused")
            self.reset(self.board)
            sys.exit(0)

    def note(self, event, **more):
        """A line in the log, whole: other connections write to it too."""
        line = json.dumps({"event": event, "number": self.number, **more}) + "\n"
        file = os.open(self.folder / f"{self.name}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, line.encode())
        os.close(file)

    @staticmethod
    def reset(sock):
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        # Descriptors 0 to 2 are the same socket: it is gone when the last of them is.
        for other in (0, 1, 2):
            try:
                os.close(other)
            except OSError:
                pass
        sock.close()

    # ---- Faults ------------------------------------------------------------------------------------------------------

    def look(self):
        """The faults for this connection, when the control file has changed."""
        try:
            stat = self.control.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if stamp != self.stamp:
                self.stamp, self.faults = stamp, [f for f in json.loads(self.control.read_text())
                                                  if f["at"] in (None, self.number)]
                self.down.until = self.up.until = 0.0
        except FileNotFoundError:
            self.faults = []

    def of(self, way):
        """Faults that are on this direction. One that strikes once has this connection until it ends."""
        return [f for f in self.faults if f["way"] == way.name and not self.spent(f)]

    def spent(self, fault):
        mine = fault["id"] in self.once
        return fault["once"] and not mine and (self.folder / f"{self.name}.struck-{fault['id']}").exists()

    def strikes(self, fault):
        """Notes it; False: it has struck this connection already."""
        if fault["id"] in self.once:
            return False
        self.once.add(fault["id"])
        if fault["once"] and not self.first(fault["id"]):
            return False
        self.note("struck", fault=fault["name"])
        return True

    def first(self, fault):
        """No other connection was struck by it; nor will be."""
        try:
            os.close(os.open(self.folder / f"{self.name}.struck-{fault}", os.O_CREAT | os.O_EXCL, 0o644))
        except FileExistsError:
            return False
        return True

    def allowed(self, way, now):
        """How many bytes may go this way now, by its faults; Struck when that is the end."""
        most = way.held
        for fault in self.of(way):
            left = fault["after"] - way.sent
            if fault["name"] == "stall":
                most = self.stalled(way, fault, most, left, now)
            elif fault["name"] in ("truncate", "reset"):
                if left <= 0 and self.strikes(fault):
                    raise Struck(fault["name"])
                most = min(most, max(left, 0))
            elif fault["name"] == "drip":
                most = self.dripping(way, fault, most, left, now)
        return 0 if now < way.until else most

    def stalled(self, way, fault, most, left, now):
        if left > 0:
            return min(most, left)
        if self.strikes(fault):
            way.until = now + (fault["seconds"] if fault["seconds"] is not None else 1e9)
        return most

    def dripping(self, way, fault, most, left, now):
        if left > 0:
            return min(most, left)
        self.strikes(fault)
        return min(most, fault["size"]) if now >= way.until else 0

    def corrupted(self, way, data):
        for fault in self.of(way):
            at = fault["after"] - way.sent
            if fault["name"] == "corrupt" and 0 <= at < len(data) and self.strikes(fault):
                data = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:]
        return data

    # ---- Relaying ----------------------------------------------------------------------------------------------------

    def receive(self, way):
        try:
            data = way.source.recv(65536)
        except OSError as error:
            if error.errno == errno.ECONNRESET:
                raise Struck("gone") from None
            data = b""
        if not data:
            way.open = False
            return
        delays = [f for f in self.of(way) if f["name"] == "delay" and way.count >= f["after"]]
        for fault in delays:
            self.strikes(fault)
        way.take(data, sum(f["ms"] for f in delays) / 1000)

    def send(self, way):
        now = time.monotonic()
        most = self.allowed(way, now)
        while way.waiting and most > 0 and way.waiting[0][0] <= now:
            data = way.waiting[0][1][:most]
            sent = way.sink.send(self.corrupted(way, data))
            way.waiting[0][1] = way.waiting[0][1][sent:]
            if not way.waiting[0][1]:
                way.waiting.popleft()
            way.sent, way.held, most = way.sent + sent, way.held - sent, most - sent
            self.pace(way, now)
            if now < way.until or sent < len(data):
                return
        if not way.open and not way.waiting and not way.done:
            way.done = True
            way.sink.shutdown(socket.SHUT_WR)

    def pace(self, way, now):
        for fault in self.of(way):
            if fault["name"] == "drip" and way.sent >= fault["after"]:
                way.until = max(way.until, now + fault["ms"] / 1000)

    def wait(self, ways):
        """Until something can be read or sent, or is due."""
        now, end = time.monotonic(), time.monotonic() + POLL
        write = []
        for way in ways:
            if way.waiting:
                due = max(way.waiting[0][0], way.until)
                end = min(end, due) if due > now else end
                if due <= now and self.allowed(way, now) > 0:
                    write.append(way.sink)
        read = [way.source for way in ways if way.open and way.held < BUFFER]
        return select.select(read, write, [], max(end - now, 0))[0]

    def forgotten(self):
        """The board has closed its end, or is gone; what comes for it matters to nobody for long."""
        if self.up.open:
            return False
        self.closed = self.closed or time.monotonic()
        return time.monotonic() > self.closed + LINGER

    def close(self):
        """Properly: what was sent arrives, however much is unread."""
        for sock in (self.board, self.server):
            try:
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        end = time.monotonic() + LINGER
        left = [self.board, self.server]
        while left and time.monotonic() < end:
            for sock in select.select(left, [], [], POLL)[0]:
                try:
                    more = sock.recv(65536)
                except OSError:
                    more = b""
                left = left if more else [other for other in left if other is not sock]

    def run(self):
        ways, ended = (self.down, self.up), "closed"
        try:
            while not (self.down.done and self.up.done) and not self.forgotten():
                self.look()
                ready = self.wait(ways)
                for way in ways:
                    if way.source in ready:
                        self.receive(way)
                    self.send(way)
        except Struck as struck:
            ended = str(struck)
        except OSError:
            ended = "gone"
        down, up = self.down, self.up
        self.note("ended", up=up.count, down=down.sent, up_handshake=up.records.handshake,
                  down_handshake=down.records.handshake, seconds=round(time.monotonic() - self.begun, 3), ended=ended)
        if ended in ("reset", "gone"):
            self.reset(self.server)
            self.reset(self.board)
        else:
            self.close()


# ---- For tests -------------------------------------------------------------------------------------------------------

class Link:
    """The links of one name in a folder, seen from outside."""

    def __init__(self, folder, name):
        self.folder, self.name = Path(folder), name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.faults, self.ids = [], 0

    def set(self, name, after=0, way="down", at=None, once=False, seconds=None, ms=20, size=40):
        if name not in ("stall", "truncate", "reset", "corrupt", "drip", "delay") or way not in ("down", "up"):
            raise ValueError(f"there is no fault {name}, {way}")
        self.ids += 1
        self.faults.append({"id": self.ids, "name": name, "after": after, "way": way, "seconds": seconds, "ms": ms,
                            "size": size, "once": once, "at": None if at is None else self.count + at})
        self.write()

    def clear(self):
        self.faults = []
        self.write()

    def to(self, port):
        if port is None:
            (self.folder / f"{self.name}.port").unlink(missing_ok=True)
        else:
            self.replace("port", str(port))

    def write(self):
        self.replace("faults", json.dumps(self.faults))

    def replace(self, kind, text):
        """Whole, whoever reads it meanwhile."""
        new = self.folder / f"{self.name}.new"
        new.write_text(text)
        new.rename(self.folder / f"{self.name}.{kind}")

    @property
    def count(self):
        """Connections that began until now."""
        file = self.folder / f"{self.name}.count"
        return int(file.read_text() or "0") if file.exists() else 0

    def events(self, kind):
        file = self.folder / f"{self.name}.log"
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [e for e in lines if e.pop("event") == kind]

    @property
    def connections(self):
        """Those that have ended."""
        return sorted(Connection(**e) for e in self.events("ended"))

    @property
    def struck(self):
        return [(e["number"], e["fault"]) for e in self.events("struck")]

    @property
    def refused(self):
        """Connections that found nobody at the port."""
        return len(self.events("refused"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder")
    parser.add_argument("name")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    null = os.open(os.devnull, os.O_WRONLY)
    relay = Relay(options.folder, options.name, options.port)
    os.dup2(null, 2)
    relay.run()


if __name__ == "__main__":
    main()
