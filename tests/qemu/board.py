#!/usr/bin/python3
"""The emulated board (ports/qemu-rv32): runs a unit that `godwit device provision --board qemu-rv32` made.

    tests/qemu/board.py run UNIT [--tcp PORT] [--console FILE] [--net | --allow PORT] [--pcap FILE] [--rtc TIME]
    tests/qemu/board.py expect FILE PATTERN [--seconds N]

For people (scripts/board.sh): console on the terminal (Ctrl-A X ends it), or a line for `godwit push --tcp`.

For tests, class Board: starts the emulator on a unit's files, waits for lines on the console, resets by what the unit
does, kills by its own pid, collects the exit code. The serial line listens on a TCP port of its own on 127.0.0.1; all
that the board says goes to a file too, whoever listens. With a Net it has a network card, and reaches the servers that
are named there, through links that fail on demand (tests/netfaults/link.py), and nothing else. What it keeps true: one
emulator on a unit's files at a time (QEMU itself takes no lock); a Board that is left is dead.
"""
import argparse
import fcntl
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LINK = Path(__file__).resolve().parent.parent / "netfaults/link.py"
sys.path.insert(0, str(LINK.parent))
from link import Link  # noqa: E402

QEMU = os.environ.get("QEMU_RISCV32", "qemu-system-riscv32")
PARAMETERS = 0x80063F00  # board.h, BOARD_PARAMETERS
PACKET_MAX = 2 * 522 + 2  # bytes of a packet on the line, escapes included (SPEC.md, section 14)


class Dead(Exception):
    """The board did not do what was waited for."""


def locked(unit):
    """A descriptor that holds the lock of a unit's files for as long as it is open."""
    file = os.open(Path(unit) / "bank1.bin", os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise Dead(f"{unit} is running already") from None
    os.set_inheritable(file, True)
    return file


class Net:
    """A network card, and whom the board reaches: servers on this PC, name -> port, each at 10.0.2.2:port for it; or
    name -> (its port for the board, its port here). One link.py for each connection, with its files in `folder`;
    net.https is the Link of the server "https"."""

    def __init__(self, folder, pcap=None, **servers):
        self.folder, self.pcap, self.servers = Path(folder).resolve(), pcap, servers
        for name in servers:
            setattr(self, name, Link(self.folder, name))

    def options(self):
        user = "user,id=n0,restrict=on,host=10.0.2.1"
        for name, port in self.servers.items():
            port, here = port if isinstance(port, tuple) else (port, port)
            relay = " ".join(shlex.quote(str(word)) for word in (sys.executable, "-S", LINK, self.folder, name, here))
            user += f",guestfwd=tcp:10.0.2.2:{port}-cmd:{relay.replace(',', ',,')}"
        return card(user, self.pcap)


def card(netdev, pcap=None):
    """Options for a network card; `pcap`: a file for all that it sends and receives."""
    line = ["-netdev", netdev, "-device", "virtio-net-device,netdev=n0"]
    return line + (["-object", f"filter-dump,id=dump,netdev=n0,file={pcap}"] if pcap else [])


def clock(rtc, icount):
    """`rtc`: what the clock says at the start, such as 2040-01-01T00:00:00. `icount`: time passes by instructions, 125
    million a second, as on the part that this board stands for; while it sleeps, as it does here."""
    line = ["-icount", "shift=3,sleep=on"] if icount else []
    rtc = f"base={rtc or 'utc'}" + (",clock=vm" if icount else "")
    return [*line, "-rtc", rtc]


def command(unit, serial, bank1=None, parameters=None, more=()):
    """QEMU's command line. `bank1` replaces the options after `-drive if=pflash,unit=1,`."""
    unit = Path(unit)
    line = [QEMU, "-M", "virt", "-cpu", "lowrisc-ibex", "-m", "400K", "-bios", "none", "-nodefaults", "-display",
            "none", "-monitor", "none", *serial,
            "-drive", f"if=pflash,unit=0,format=raw,file={unit / 'bank0.bin'},readonly=on",
            "-drive", "if=pflash,unit=1," + (bank1 or f"format=raw,file={unit / 'bank1.bin'}"),
            "-global", "virtio-mmio.force-legacy=false", "-object", "rng-random,id=r0,filename=/dev/urandom",
            "-device", "virtio-rng-device,rng=r0", "-device", "i6300esb", "-action", "watchdog=reset"]
    if parameters:
        line += ["-device", f"loader,file={parameters},addr={PARAMETERS:#x},force-raw=on"]
    return [*line, *more]


def copy_unit(source, target):
    """A copy of a unit's files, holes kept."""
    Path(target).mkdir(parents=True, exist_ok=True)
    for name in ("bank0.bin", "bank1.bin", "board.json"):
        subprocess.run(["cp", "--sparse=always", Path(source) / name, Path(target) / name], check=True)
    return Path(target)


class Text:
    """Takes packets out of what a board says, so that text for people is left."""

    def __init__(self):
        self.packet = None  # bytes of the one that is under way
        self.text = ""

    def feed(self, data):
        for byte in data:
            if byte == 0xC0:
                self.packet = b"" if not self.packet else None
            elif self.packet is None:
                self.text += chr(byte) if byte != 13 else ""
            else:
                self.packet += bytes([byte])
                # A reset in the middle of one: the bootloader speaks.
                if self.packet.endswith(b"\nboot: ") or len(self.packet) > PACKET_MAX:
                    self.text += "\nboot: " if self.packet.endswith(b"\nboot: ") else ""
                    self.packet = None


class Board:
    """An emulator on a unit's files; use it with `with`."""

    def __init__(self, unit, bank1=None, parameters=None, net=None, rtc=None, icount=False):
        self.unit, self.net, self.rtc, self.icount = Path(unit), net, rtc, icount
        self.work = Path(tempfile.mkdtemp(prefix="godwit-board-"))
        self.console = self.work / "console"
        self.console.touch()
        self.filter, self.raw, self.at = Text(), 0, 0
        self.options = {"bank1": bank1, "parameters": self.parameters(parameters)}
        self.process = None
        self.link = None

    def parameters(self, text):
        if not text:
            return None
        file = self.work / "parameters"
        file.write_bytes(text.encode().ljust(256, b"\0"))
        return file

    def start(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        lock = locked(self.unit)
        line = (f"socket,id=line,fd={listener.fileno()},server=on,wait=off,nodelay=on,"
                f"logfile={self.console},logappend=on")
        serial = ["-chardev", line, "-serial", "chardev:line"]
        more = [*(self.net.options() if self.net else []), *clock(self.rtc, self.icount)]
        self.process = subprocess.Popen(command(self.unit, serial, more=more, **self.options), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=open(self.work / "stderr", "wb"),
                                        pass_fds=[listener.fileno(), lock])
        listener.close()
        os.close(lock)
        return self

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def text(self):
        """All that the board has said to people."""
        with open(self.console, "rb") as file:
            file.seek(self.raw)
            data = file.read()
        self.raw += len(data)
        self.filter.feed(data)
        return self.filter.text

    def expect(self, pattern, seconds=40, forbid=None):
        """Waits for text that matches, after what was expected before. Returns the match, or raises Dead."""
        end = time.monotonic() + seconds
        while True:
            alive = self.process.poll() is None
            rest = self.text()[self.at:]
            match = re.search(pattern, rest)
            bad = forbid and re.search(forbid, rest[:match.start()] if match else rest)
            if bad:
                raise Dead(f"said {bad.group(0)!r}, waiting for {pattern!r}\n{self.tail()}")
            if match:
                self.at += match.end()
                return match
            if not alive or time.monotonic() > end:
                why = f"said no {pattern!r} in {seconds} s" if alive else f"ended ({self.process.returncode})"
                raise Dead(f"{why}, waiting for {pattern!r}\n{self.tail()}")
            time.sleep(0.01)

    def expect_all(self, *patterns, seconds=40, forbid=None):
        """Waits for all of these, in any order. Returns the matches."""
        start, found, furthest = self.at, [], self.at
        for pattern in patterns:
            self.at = start
            found.append(self.expect(pattern, seconds, forbid))
            furthest = max(furthest, self.at)
        self.at = furthest
        return found

    def tail(self, lines=16):
        """What it said last, but for the temperatures."""
        errors = (self.work / "stderr").read_text(errors="replace")
        said = [line for line in (self.text() + errors).splitlines() if not line.startswith("temperature ")]
        return "\n".join("    | " + line for line in said[-lines:])

    def send(self, text):
        """Types on the console. Nobody else may be on the line then (`godwit push` is, while it runs)."""
        if self.link is None:
            self.link = socket.create_connection(("127.0.0.1", self.port))
        self.link.sendall(text.encode())
        # What the board answers comes here too; it is read from the log.

    def ask(self, text, pattern, forbid=None, tries=6):
        """Types a line until it is answered: what is typed while the board starts may be lost. Hangs up."""
        for left in reversed(range(tries)):
            self.send(text + "\r\n")
            try:
                return self.expect(pattern, 4, forbid)
            except Dead:
                said = self.text()[self.at:]
                if left == 0 or self.process.poll() is not None or (forbid and re.search(forbid, said)):
                    raise
            finally:
                self.hang_up()
        return None

    def hang_up(self):
        if self.link is not None:
            self.link.close()
            self.link = None

    def kill(self):
        """Pulls the plug."""
        self.hang_up()
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def restart(self):
        """The plug is pulled and put back: RAM is lost, flash is not."""
        self.kill()
        self.text()
        self.at = len(self.filter.text)
        self.filter.packet = None
        return self.start()

    def wait(self, seconds=20):
        """The exit code, when the board ends by itself (board_exit)."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Dead(f"did not end in {seconds} s\n{self.tail()}") from None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.work, ignore_errors=True)


def people_net(options):
    """QEMU's options for what was asked for."""
    if options.allow:
        folder = options.links or tempfile.mkdtemp(prefix="godwit-links-")
        return Net(folder, options.pcap, **{f"port{port}": port for port in options.allow}).options()
    return card("user,id=n0", options.pcap) if options.net else []


def run(options):
    """Becomes the emulator, so that whoever started this has its pid."""
    unit = Path(options.unit)
    if not (unit / "board.json").exists():
        sys.exit(f"board: {unit} is no unit; make one: godwit device provision --board qemu-rv32 ...")
    locked(unit)
    net = people_net(options)
    kind = "stdio,id=line,mux=on,signal=off"
    if options.tcp is not None:
        listener = socket.create_server(("127.0.0.1", options.tcp))
        os.set_inheritable(listener.fileno(), True)
        kind = f"socket,id=line,fd={listener.fileno()},server=on,wait=off,nodelay=on"
        print(f"board: serial line on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    log = f",logfile={options.console},logappend=on" if options.console else ""
    line = command(unit, ["-chardev", kind + log, "-serial", "chardev:line"], more=net + clock(options.rtc, False))
    try:
        os.execvp(line[0], line)
    except FileNotFoundError:
        sys.exit(f"board: {QEMU} is missing; install the package qemu-system-misc")


def expect(options):
    """Waits for a line in a console file, after the one that was waited for before (FILE.at); prints all up to it."""
    file, place = Path(options.console), Path(options.console + ".at")
    at = int(place.read_text()) if place.exists() else 0
    end = time.monotonic() + options.seconds
    while True:
        said = Text()
        said.feed(file.read_bytes() if file.exists() else b"")
        match = re.search(options.pattern + "[^\\n]*\\n", said.text[at:])
        if match or time.monotonic() > end:
            break
        time.sleep(0.02)
    lines = said.text[at:at + match.end()] if match else said.text[at:]
    print("\n".join(line for line in lines.splitlines() if line.strip()))
    if not match:
        sys.exit(f"board: did not say {options.pattern!r} in {options.seconds:.0f} s")
    place.write_text(str(at + match.end()))


def main():
    parser = argparse.ArgumentParser(description="Runs a unit of the board qemu-rv32 in the emulator.")
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("run", help="run a unit's files; what it changes stays")
    verb.add_argument("unit", help="folder made by `godwit device provision --board qemu-rv32`")
    verb.add_argument("--tcp", type=int, metavar="PORT", help="serial line on 127.0.0.1:PORT (0: any, and said) "
                      "instead of the terminal")
    verb.add_argument("--console", metavar="FILE", help="append all that the board says to FILE")
    verb.add_argument("--net", action="store_true", help="a network card: it reaches whatever this PC reaches; "
                      "127.0.0.1 of this PC is 10.0.2.2")
    verb.add_argument("--allow", type=int, action="append", metavar="PORT", help="a network card, and of this PC that "
                      "port alone (may repeat)")
    verb.add_argument("--links", metavar="DIR", default=None, help="for --allow: folder of counts and faults "
                      "(tests/netfaults/link.py); a temporary one if not given")
    verb.add_argument("--pcap", metavar="FILE", help="keep all that goes over the network card")
    verb.add_argument("--rtc", metavar="TIME", help="what its clock says at the start, such as 2040-01-01T00:00:00")
    verb.set_defaults(act=run)
    verb = verbs.add_parser("expect", help="wait for a line in a console file")
    verb.add_argument("console", metavar="FILE")
    verb.add_argument("pattern")
    verb.add_argument("--seconds", type=float, default=30)
    verb.set_defaults(act=expect)
    options = parser.parse_args()
    try:
        options.act(options)
    except Dead as why:
        sys.exit(f"board: {why}")


if __name__ == "__main__":
    main()
