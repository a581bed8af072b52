#!/usr/bin/python3
"""An HTTPS server over a folder (a static repository, SPEC.md section 16) that fails on demand. Loopback only.

    with FaultServer(folder, cert, key) as server:
        server.url                          "https://localhost:PORT"
        server.set("reset", at=3)           the third request from now on; every=3: each third; since=3: from it on
        server.set("delay", seconds=0.2, device="dev1")     counted for the device with this client certificate
        server.clear()                      no faults any more, and the count starts again
        server.requests                     what was asked, as Request tuples, in order
        server.connections, .resumed        how many TCP connections came; how many TLS sessions were resumed
        server.reports                      folder with the bodies of reports, one file each

A request that no fault is set for is answered as nginx would: ranges, entity tags, If-None-Match, keep-alive. The
faults are the functions named fault_... in faults.py. As a program: `server.py FOLDER --fault reset@3`.
"""
import argparse
import collections
import hashlib
import re
import signal
import socket
import ssl
import struct
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import faults  # noqa: E402

HEAD_MAX, BODY_MAX = 16384, 65536
REASONS = {200: "OK", 204: "No Content", 206: "Partial Content", 302: "Found", 304: "Not Modified", 400: "Bad Request",
           403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 416: "Range Not Satisfiable",
           500: "Internal Server Error", 503: "Service Unavailable"}

Request = collections.namedtuple("Request", "method path range status sent device connection fault headers")


class Hangup(Exception):
    """The connection is over; `reset`: by RST."""

    def __init__(self, reset=False):
        super().__init__()
        self.reset = reset


class Answer:
    """What is about to be sent. `file` is all of the file, `first` where its range begins."""

    def __init__(self, status, body=b"", headers=None, file=b"", first=0):
        self.status, self.body, self.file, self.first = status, body, file, first
        self.headers = dict(headers or {})
        if status not in (204, 304):
            self.headers["Content-Length"] = str(len(body))

    def head(self):
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Other')}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Fault:
    """A fault that is set, and when it strikes."""

    def __init__(self, name, at=None, every=None, since=None, device=None, **options):
        self.name, self.at, self.every, self.since, self.device = name, at, every, since, device
        self.options = options
        self.strike = faults.find(name)
        self.count = 0

    def due(self, device):
        """Counts this request, and says whether it is one of those."""
        if self.device is not None and self.device != device:
            return False
        self.count += 1
        if self.at is not None:
            return self.count == self.at
        if self.since is not None:
            return self.count >= self.since
        return self.every is None or self.count % self.every == 0


class Connection:
    """One TCP connection, in a thread of its own."""

    def __init__(self, server, sock, number):
        self.server, self.sock, self.number = server, sock, number
        self.device = ""
        self.sent = 0
        self.buffer = b""

    # What faults use.

    def send(self, data):
        view = memoryview(data)
        while view:
            self.sock.sendall(view[:16384])
            self.sent += len(view[:16384])
            view = view[16384:]

    def send_answer(self, answer):
        self.send(answer.head() + answer.body)

    def sleep(self, seconds):
        self.server.stopping.wait(seconds)

    def until_closed(self, seconds):
        """Sends nothing more; returns when the other side is gone, or after so long."""
        end = time.monotonic() + seconds
        self.sock.settimeout(0.05)
        while time.monotonic() < end and not self.server.stopping.is_set():
            try:
                if not self.sock.recv(4096):
                    return
            except TimeoutError:
                continue

    def hang_up(self, reset=False):
        raise Hangup(reset)

    # The rest.

    def handshake(self):
        if self.server.context is None:
            return
        self.sock = self.server.context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
        try:
            self.sock.do_handshake()
        except ssl.SSLError:
            self.sleep(0.05)  # the end of TCP must not overtake the alert
            raise
        self.server.resumed += self.sock.session_reused
        subject = dict(pair for group in (self.sock.getpeercert() or {}).get("subject", ()) for pair in group)
        self.device = subject.get("commonName", "")

    def run(self):
        reset = False
        try:
            self.sock.settimeout(self.server.idle)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.server.strikes_handshake(self):
                self.sock.recv(512)
                raise Hangup(True)
            self.handshake()
            while not self.server.stopping.is_set() and self.one():
                pass
        except Hangup as hangup:
            reset = hangup.reset
        except (OSError, ValueError):
            pass
        self.close(reset)

    def close(self, reset):
        try:
            if reset:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif isinstance(self.sock, ssl.SSLSocket):
                self.sock.settimeout(0.2)
                self.sock.unwrap()
        except (OSError, ValueError):
            pass
        self.sock.close()

    def receive(self):
        data = self.sock.recv(65536)
        if not data:
            raise Hangup()
        self.buffer += data

    def read_request(self):
        while b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > HEAD_MAX:
                raise Hangup()
            self.receive()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        fields = [line.partition(":") for line in lines[1:]]
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        size = int(headers.get("content-length", "0"))
        if size > BODY_MAX:
            raise Hangup()
        while len(self.buffer) < size:
            self.receive()
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return method, path, headers, body

    def one(self):
        """One request and its answer; False: the connection ends."""
        method, path, headers, body = self.read_request()
        fault = self.server.choose(self.device, path)
        answer = self.server.answer(method, path, headers, body)
        index = self.server.note(self, method, path, headers, answer, fault)
        keep, self.sent = headers.get("connection", "").lower() != "close", 0
        try:
            if fault is None:
                self.send_answer(answer)
            else:
                keep = fault.strike(self, answer, path=path, url=self.server.url, **fault.options) is not False and keep
        finally:
            self.server.note_sent(index, answer, self.sent)
        return keep


class FaultServer:
    """See the top of the file. `client_ca`: asks for client certificates and insists. `tls`: "1.1" speaks no other."""

    def __init__(self, folder, cert, key, client_ca=None, reports=None, tls=None, idle=30, alias=None):
        self.folder = Path(folder).resolve()
        self.reports = Path(reports) if reports else None
        self.idle, self.alias = idle, alias or {}
        self.context = self.make_context(cert, key, client_ca, tls) if cert else None
        self.stopping = threading.Event()
        self.lock = threading.RLock()
        self.faults, self.requests, self.open = [], [], set()
        self.connections = self.resumed = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.url = f"{'https' if cert else 'http'}://localhost:{self.port}"

    @staticmethod
    def make_context(cert, key, client_ca, tls):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        if client_ca:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        if tls == "1.1":
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        elif tls == "1.2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    # Faults and the record.

    def set(self, name, **options):
        with self.lock:
            self.faults.append(Fault(name, **options))

    def clear(self):
        with self.lock:
            self.faults.clear()

    def choose(self, device, path, handshake=False):
        """The first fault that is due. Those of the handshake have counted this request already."""
        with self.lock:
            chosen = None
            for fault in self.faults:
                if (fault.name == "tls_reset") == handshake and re.search(fault.options.get("only", ""), path):
                    due = fault.due(device)
                    chosen = chosen or (fault if due else None)
            return chosen

    def strikes_handshake(self, connection):
        fault = self.choose("", "", handshake=True)
        if fault is not None:
            self.note(connection, "-", "-", {}, Answer(0), fault)
        return fault is not None

    def note(self, connection, method, path, headers, answer, fault):
        with self.lock:
            self.requests.append(Request(method, path, headers.get("range", ""), answer.status, 0, connection.device,
                                         connection.number, fault.name if fault else "", headers))
            return len(self.requests) - 1

    def note_sent(self, index, answer, sent):
        with self.lock:
            self.requests[index] = self.requests[index]._replace(status=answer.status, sent=sent)

    # Answers.

    def answer(self, method, path, headers, body):
        path = path.partition("?")[0]
        if method == "POST":
            return self.take_report(body)
        if method != "GET":
            return Answer(405)
        file = (self.folder / self.alias.get(path, path).lstrip("/")).resolve()
        if self.folder not in file.parents or not file.is_file():
            return Answer(404, b"not found\n")
        data = file.read_bytes()
        tag = '"' + hashlib.sha256(data).hexdigest()[:16] + '"'
        if tag == headers.get("if-none-match"):
            return Answer(304, headers={"ETag": tag})
        return self.part(data, headers.get("range"), {"ETag": tag, "Accept-Ranges": "bytes"})

    @staticmethod
    def part(data, wanted, headers):
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted or "")
        if not match:
            return Answer(200, data, headers, data)
        first = int(match.group(1))
        last = min(int(match.group(2) or len(data)), len(data) - 1)
        if first > last:
            return Answer(416, headers={"Content-Range": f"bytes */{len(data)}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        return Answer(206, data[first:last + 1], headers, data, first)

    def take_report(self, body):
        with self.lock:
            if self.reports is not None:
                self.reports.mkdir(parents=True, exist_ok=True)
                (self.reports / f"{len(list(self.reports.iterdir())):06}.cose").write_bytes(body)
        return Answer(204)

    # Life.

    def accept(self):
        while not self.stopping.is_set():
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                connection = Connection(self, sock, self.connections)
                self.open.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            connection.run()
        finally:
            with self.lock:
                self.open.discard(connection)

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for end in (lambda: self.listener.shutdown(socket.SHUT_RDWR), self.listener.close):
            try:
                end()
            except OSError:
                pass
        end = time.monotonic() + 2
        while time.monotonic() < end:
            with self.lock:
                left = list(self.open)
            if not left:
                return
            for connection in left:
                try:
                    connection.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            time.sleep(0.01)


def parse_fault(text):
    """name[@N][/K][:SECONDS]"""
    match = re.fullmatch(r"(\w+)(?:@(\d+))?(?:/(\d+))?(?::([\d.]+))?", text)
    if not match:
        raise argparse.ArgumentTypeError("NAME[@REQUEST][/EVERY][:SECONDS]")
    name, at, every, seconds = match.groups()
    faults.find(name)
    options = {"seconds": float(seconds)} if seconds else {}
    return dict(name=name, at=int(at) if at else None, every=int(every) if every else None, **options)


def impostor(tls, folder, **more):
    """Somebody in the place of a godwitd, with its certificate and key, which are in `tls`: to everybody the one offer
    of the repository in `folder`."""
    offer = next(Path(folder, "offers").iterdir()).name
    return FaultServer(folder, Path(tls, "server.pem"), Path(tls, "server.key"),
                       alias={"/device/v1/offer": f"/offers/{offer}"}, **more)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0],
                                     epilog="faults: " + ", ".join(faults.names()))
    parser.add_argument("folder")
    parser.add_argument("--cert", help="PEM; without it a CA is made in --pki")
    parser.add_argument("--key")
    parser.add_argument("--pki", default="pki", help="folder for the CA that is made (ca.pem is for devices)")
    parser.add_argument("--client-ca")
    parser.add_argument("--reports", help="folder for reports")
    parser.add_argument("--fault", type=parse_fault, action="append", default=[], metavar="NAME[@N][/K][:SECONDS]")
    options = parser.parse_args()
    if options.cert is None:
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "web"))
        from pki import Pki
        options.cert, options.key = Pki(options.pki).server()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    with FaultServer(options.folder, options.cert, options.key, options.client_ca, options.reports) as server:
        for fault in options.fault:
            server.set(**fault)
        print(server.url, flush=True)
        shown = 0
        while not stop.wait(0.1):
            for request in server.requests[shown:]:
                print(*request[:-1], flush=True)
                shown += 1


if __name__ == "__main__":
    main()
