"""A real Mosquitto on loopback, as `godwit server init` configured it; and a small client of MQTT 3.1.1.

    with Mosquitto(server_folder) as broker: ...        broker.stop(), broker.start(); ended by its process id
    c = Client(port, ca, cert, key)                     connects over TLS; c.code: of CONNACK, None: it never came
    c.subscribe(topic); c.publish(topic, bytes); c.messages(seconds)
"""
import os
import re
import socket
import ssl
import struct
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def program():
    return subprocess.run([ROOT / "scripts/fetch-program.sh", "mosquitto"], check=True, capture_output=True,
                          text=True).stdout.strip()


class Mosquitto:
    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        self.config = self.folder / "mosquitto/mosquitto.conf"
        self.ports = [int(p) for p in re.findall(r"^listener (\d+)", self.config.read_text(), re.M)]
        self.process, self.program = None, program()

    def start(self):
        with open(self.folder / "mosquitto.log", "a") as log:
            self.process = subprocess.Popen([self.program, "-c", str(self.config)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        for _ in range(200):
            try:
                for port in self.ports:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                return self
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        self.stop()
        raise RuntimeError("mosquitto did not start: " + self.log()[-800:])

    __enter__ = start

    def listening(self):
        """Every (address, port) that this process listens at, as the kernel has it in hex."""
        folder = Path(f"/proc/{self.process.pid}/fd")
        mine = {os.readlink(fd)[8:-1] for fd in folder.iterdir() if os.readlink(fd).startswith("socket:")}
        rows = [line.split() for table in ("tcp", "tcp6") for line in Path("/proc/net", table).read_text().splitlines()]
        return {tuple(r[1].split(":")) for r in rows if len(r) > 9 and r[3] == "0A" and r[9] in mine}

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def __exit__(self, *_):
        self.stop()

    def log(self):
        return (self.folder / "mosquitto.log").read_text()


def _text(s):
    data = s.encode() if isinstance(s, str) else s
    return struct.pack(">H", len(data)) + data


def packet(kind, body):
    """A packet of MQTT: what is in front of its body says how long that is."""
    length, n = b"", len(body)
    while True:
        length += bytes([n % 128 | (128 if n > 127 else 0)])
        n //= 128
        if not n:
            return bytes([kind]) + length + body


class Client:
    """`will`: (topic, bytes). `cert` None: shows none. An error of TLS or of the network leaves code None."""

    def __init__(self, port, ca, cert=None, key=None, name="test", will=None, version="MQTT", level=4):
        self.code, self.sock, self.inbox, self.data, self.number = None, None, [], b"", 0
        context = ssl.create_default_context(cafile=str(ca))
        if cert:
            context.load_cert_chain(str(cert), str(key))
        flags = 2 | (4 if will else 0)
        body = _text(version) + bytes([level, flags]) + struct.pack(">H", 60) + _text(name)
        if will:
            body += _text(will[0]) + _text(will[1])
        try:
            raw = socket.create_connection(("127.0.0.1", port), 5)
            self.sock = context.wrap_socket(raw, server_hostname="localhost")
            self.sock.sendall(packet(0x10, body))
            kind, answer = self._read(5)
            self.code = answer[1] if kind == 0x20 else None
        except (OSError, TypeError, IndexError):
            self.code = None

    def _read(self, seconds):
        """The next packet, or (None, b"")."""
        end = time.monotonic() + seconds
        while True:
            got = self._parse()
            if got:
                return got
            left = end - time.monotonic()
            if left <= 0:
                return None, b""
            self.sock.settimeout(left)
            try:
                more = self.sock.recv(65536)
            except (TimeoutError, socket.timeout):
                return None, b""
            if not more:
                raise ConnectionResetError("closed")
            self.data += more

    def _parse(self):
        length = shift = 0
        for i in range(1, min(5, len(self.data))):
            length |= (self.data[i] & 127) << shift
            shift += 7
            if not self.data[i] & 128:
                if len(self.data) < 1 + i + length:
                    return None
                kind, body = self.data[0], self.data[1 + i:1 + i + length]
                self.data = self.data[1 + i + length:]
                return kind, body
        return None

    def _wait(self, kind, seconds=5):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            got, body = self._read(end - time.monotonic())
            if got is None:
                return None
            if got & 0xf0 == kind:
                return body
            self._take(got, body)
        return None

    def _take(self, kind, body):
        if kind & 0xf0 == 0x30:
            n = struct.unpack(">H", body[:2])[0]
            topic, rest = body[2:2 + n].decode(), body[2 + n:]
            if kind & 6:
                self.sock.sendall(packet(0x40, rest[:2]))
                rest = rest[2:]
            self.inbox.append((topic, rest))

    def subscribe(self, topic, qos=1):
        self.number += 1
        try:
            self.sock.sendall(packet(0x82, struct.pack(">H", self.number) + _text(topic) + bytes([qos])))
            answer = self._wait(0x90)
            return answer[2] if answer else None
        except OSError:
            return None

    def publish(self, topic, data, qos=1, retain=False):
        """True: acknowledged (which an unauthorized one is too). False: the broker closed."""
        self.number += 1
        kind = 0x30 | qos << 1 | retain
        try:
            self.sock.sendall(packet(kind, _text(topic) + (struct.pack(">H", self.number) if qos else b"") + data))
            return qos == 0 or self._wait(0x40, 3) is not None
        except OSError:
            return False

    def messages(self, seconds=1.0, count=None):
        """All that came within so many seconds, or until there are `count`."""
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end and (count is None or len(self.inbox) < count):
                kind, body = self._read(end - time.monotonic())
                if kind is None:
                    break
                self._take(kind, body)
        except OSError:
            pass
        got, self.inbox = self.inbox, []
        return got

    def drop(self):
        """Without a farewell: the broker sends the will."""
        if self.sock:
            self.sock.shutdown(socket.SHUT_RDWR)
            self.sock.close()

    def close(self):
        if self.sock:
            try:
                self.sock.sendall(b"\xe0\x00")
            except OSError:
                pass
            self.sock.close()


def free_ports(count):
    """The first of so many in a row that are free now."""
    for first in range(10000 + os.getpid() % 300 * 16, 15990, 16):  # below those that connections get
        try:
            for port in range(first, first + count):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
    raise RuntimeError("no free ports")
