#!/usr/bin/python3
"""A board asks a name server: DHCP, a name server that lies, one that is not there, and an update from the server that
has the name.

Runs in a network namespace and a mount namespace of its own, made here with unshare: its loopback is empty, and its
/etc/resolv.conf names a server of this script, to which QEMU's user network passes on what the board asks.
GODWIT_BIN: folder of the programs; GODWIT_TMP: an empty folder. Ends with `N passed, N failed`.
"""
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/qemu"), str(ROOT / "tests/web"), str(ROOT / "tests/netfaults")]
import board as boards  # noqa: E402
import scene  # noqa: E402
from pki import Pki  # noqa: E402
from place import Score  # noqa: E402
from server import FaultServer  # noqa: E402

NAME = "updates.example.com"
HERE = bytes([10, 0, 2, 2])  # this PC, as the board sees it
score = Score()


def alone():
    """Goes on in namespaces of its own, where this user is root; once."""
    if os.environ.get("GODWIT_NAMES") == "1":
        return
    user = [] if os.geteuid() == 0 else ["-r"]
    os.environ["GODWIT_NAMES"] = "1"
    os.execvp("unshare", ["unshare", *user, "-n", "-m", sys.executable, *sys.argv])


def set_up(folder):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    resolv = folder / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\n")
    place = os.path.realpath("/etc/resolv.conf")
    if not os.path.exists(place):
        sys.exit("names: this machine has no /etc/resolv.conf")
    subprocess.run(["mount", "--bind", resolv, place], check=True)


class NameServer(threading.Thread):
    """Answers for NAME (RFC 1035), as often as it likes wrongly: `lies` are sent before what is true."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.asked, self.lies, self.silent, self.truth = [], [], False, self.answer
        self.start()

    @staticmethod
    def answer(number, question, flags=0x8180, count=1, address=HERE, name=b"\xc0\x0c", size=4):
        head = struct.pack(">HHHHHH", number, flags, 1, count, 0, 0)
        return head + question + name + struct.pack(">HHIH", 1, 1, 60, size) + address

    def run(self):
        while True:
            data, whom = self.socket.recvfrom(1500)
            number, question = struct.unpack(">H", data[:2])[0], data[12:]
            labels, at = [], 0
            while question[at]:
                labels.append(question[at + 1:at + 1 + question[at]].decode())
                at += 1 + question[at]
            name = ".".join(labels)
            self.asked.append(name)
            if self.silent:
                continue
            for lie in self.lies:
                self.socket.sendto(lie(number, question), whom)
            if name == NAME:
                self.socket.sendto(self.truth(number, question), whom)
            else:
                self.socket.sendto(self.answer(number, question, flags=0x8183, count=0)[:12] + question, whom)


def lies():
    """Answers that no one may believe, or fall over: each takes the query's number and question."""
    answer = NameServer.answer
    chance = random.Random(7)
    return [
        lambda n, q: answer(n ^ 0x5555, q, address=bytes([127, 0, 0, 9])),            # for another query
        lambda n, q: answer(n, b"\x04evil\x03com\x00\x00\x01\x00\x01", address=bytes([127, 0, 0, 9])),
        lambda n, q: answer(n, q, flags=0x0100, address=bytes([127, 0, 0, 9])),        # a question, no answer
        lambda n, q: answer(n ^ 1, q, name=b"\xc0\x20\xc0\x20"),                        # pointers in a circle
        lambda n, q: answer(n ^ 1, q, size=0xffff),
        lambda n, q: answer(n ^ 1, q, count=0xffff),
        lambda n, q: answer(n ^ 1, b"\x3f" * 400),
        lambda n, q: b"",
        lambda n, q: struct.pack(">H", n),
        lambda n, q: bytes(chance.randrange(256) for _ in range(chance.randrange(512))),
    ]


def broken():
    """Right number and question, and then no right answer: the board asks again, or gives up for now."""
    answer = NameServer.answer
    return [
        lambda n, q: answer(n, q, size=0xffff, address=b"")[:-2],
        lambda n, q: answer(n, q, name=b"\xc0\xff\xc0\xff", count=9),
        lambda n, q: answer(n, q, name=b"\x3f" + b"a" * 20, count=3),
        lambda n, q: answer(n, q)[:-3],
    ]


class Open:
    """The emulator's user network as it is: with its DHCP, and its way to the name server."""

    @staticmethod
    def options():
        return boards.card("user,id=n0")


class World:
    def __init__(self, folder):
        self.scene = scene.Scene(folder / "scene")
        pki = Pki(folder / "pki")
        self.pair = pki.server("named", hosts=(NAME,))
        self.scene.bundle("trust-ca.cose", 2, "--server-ca", pki.ca)
        old = self.scene.release("1.0", "sensor-1.0", "1.0.0")
        new = self.scene.delta("1.1", "sensor-1.1", "1.1.0", old)
        scene.godwit("release", "publish", new, "--to", folder / "www", "--trust", self.scene / "trust-ca.cose")
        self.old, self.folder, self.count = old, folder, 0

    def board(self, server, *lines, name=NAME):
        port = server.url.rsplit(":", 1)[1]
        self.count += 1
        text = "\n".join([f"server = https://{name}:{port}", "offer = static", "poll = 5", *lines, ""])
        unit = self.scene.unit(f"unit{self.count}", self.old, settings=text, trust="trust-ca.cose")
        return boards.Board(unit, net=Open())


def by_name(world, names, server):
    """Address, name server and the server's address come from the network; lies are passed over."""
    names.lies = lies()
    with world.board(server) as board:
        board.expect(r"network up: 10\.0\.2\.15\n")
        board.expect(r"update done")
        board.expect(r"sensor 1\.1 running from slot B, TRYING")
        board.expect(r"\nconfirmed\n")
    score.holds("the name was asked for", NAME in names.asked, names.asked)


def own_name_server(world, names, server):
    """A fixed address, and a name server from the settings."""
    del names.asked[:]
    with world.board(server, "address = 10.0.2.15/24", "gateway = 10.0.2.2", "dns = 10.0.2.3") as board:
        board.expect(r"update done")
    score.holds("the settings' name server was asked", NAME in names.asked, names.asked)


def answers_that_are_none(world, names, server):
    """Damaged answers with the right number: no look succeeds, nothing falls over; then the truth is told."""
    names.lies, names.asked[:] = [], []
    with world.board(server) as board:
        for lie in broken():
            names.truth = lie
            board.expect(r"look failed: (TIMEOUT|TRANSPORT)", 60)
        names.truth = NameServer.answer
        board.expect(r"update done", 90)
    score.holds("it asked again and again", names.asked.count(NAME) >= 2, names.asked)


def nobody(world, names, server):
    """No such name; then a name server that says nothing; then one that does."""
    names.lies = []
    with world.board(server, name="nobody.example.com") as board:
        board.expect(r"look failed: TRANSPORT")
    names.silent = True
    with world.board(server) as board:
        board.expect(r"look failed: (TIMEOUT|TRANSPORT)", 60)
        names.silent = False
        board.expect(r"update done", 90)


def main():
    alone()
    folder = Path(os.environ.get("GODWIT_TMP") or tempfile.mkdtemp(prefix="godwit-names-")) / "names"
    folder.mkdir(parents=True)
    scene.firmware()
    set_up(folder)
    world, names = World(folder), NameServer()
    with FaultServer(folder / "www", *world.pair) as server:
        for part in (by_name, own_name_server, answers_that_are_none, nobody):
            with score.part(part.__name__):
                part(world, names, server)
                score.holds(part.__name__, True)
            print(f"{part.__name__}: {score.passed} passed, {score.failed} failed", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    return score.close()


if __name__ == "__main__":
    sys.exit(main())
