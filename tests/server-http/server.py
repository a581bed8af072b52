"""The toy server as a process, and clients that can be as rude as a test wants."""
import json
import os
import socket
import ssl
import subprocess
from pathlib import Path

TESTS = Path(os.environ["GODWIT_BIN"]).parent / "tests"


class Toy:
    """with Toy(["payloads=127.0.0.1:0"], file=path) as toy: toy.port["payloads"], toy.say("drain 100")"""

    def __init__(self, doors, file=None, log=None):
        self.command = [TESTS / "toy-server", *doors] + (["--file", file] if file else [])
        self.log = log
        self.port = {}

    def __enter__(self):
        self.errors = open(self.log, "a") if self.log else subprocess.DEVNULL
        self.process = subprocess.Popen([str(c) for c in self.command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, text=True, bufsize=1)
        for line in self.process.stdout:
            if line == "ready\n":
                break
            name, port = line.split()
            self.port[name] = int(port)
        else:
            raise RuntimeError("the toy server did not start")
        return self

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.code = self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.code = self.process.wait()
        if self.log:
            self.errors.close()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def code(self):
        return self.json().get("error")


def client_context(ca, cert=None, key=None, version=None):
    context = ssl.create_default_context(cafile=str(ca))
    if cert:
        context.load_cert_chain(str(cert), str(key))
    if version:
        context.minimum_version = context.maximum_version = version
    return context


class Client:
    """One connection. Requests are bytes as they are given."""

    def __init__(self, port, context=None, session=None, timeout=10, host="localhost"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname=host, session=session)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        try:
            data = self.socket.recv(65536)
        except (ConnectionError, ssl.SSLError):
            data = b""
        self.buffer += data
        return bool(data)

    def answer(self, head=False):
        """The next answer, or None: the connection was closed."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                return None
        top, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = top.decode().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        status = int(first.split()[1])
        length = 0 if head or status in (100, 204, 304) else int(headers.get("content-length", 0))
        while len(self.buffer) < length and self.more():
            pass
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Answer(status, headers, body)

    def ask(self, path, method="GET", headers=(), body=b""):
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return self.answer(head=method == "HEAD")

    def closed(self):
        """Does the server close it?"""
        try:
            while self.more():
                pass
        except TimeoutError:
            return False
        return True
