#!/usr/bin/python3
"""The server's HTTP layer, with toy routes: TLS and certificates, who is let in, limits, hostile requests, ranges.

Everything is on loopback, every process is ended by its id. Ends with `N passed, N failed`.
"""
import os
import socket
import ssl
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "web")]
from pki import Pki  # noqa: E402
from place import Score  # noqa: E402
from server import Client, Toy, client_context  # noqa: E402

TMP = Path(os.environ["GODWIT_TMP"])
score = Score()
check, equal = score.holds, score.equal
VIEWER, ADMIN = "Authorization: Bearer viewer-0123456789", "Authorization: Bearer admin-0123456789"
PLAIN = "payloads=127.0.0.1:0"
DATA = os.urandom(1 << 20)


def toy(*doors, file=None):
    return Toy(doors, file=file, log=TMP / "toy.log")


# ---- Requests that are not well-formed, or mean different things to different servers ------------------------------

HOSTILE = {
    "bare LF": (b"GET /who HTTP/1.1\nHost: a\n\n", 400),
    "bare LF in a header": (b"GET /who HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
    "bare CR": (b"GET /who HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400),
    "NUL": (b"GET /who HTTP/1.1\r\nHost: a\0b\r\n\r\n", 400),
    "byte above ASCII": (b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "an empty line first": (b"\r\nGET /who HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "folded header": (b"GET /who HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
    "blank before the colon": (b"GET /who HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "header without colon": (b"GET /who HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
    "header without name": (b"GET /who HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", 400),
    "two blanks in the request line": (b"GET  /who HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "tab in the request line": (b"GET\t/who\tHTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no version": (b"GET /who\r\n\r\n", 400),
    "HTTP/2.0": (b"GET /who HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "lower-case method": (b"get /who HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "TRACE": (b"TRACE /who HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "absolute target": (b"GET http://a/who HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no Host": (b"GET /who HTTP/1.1\r\nX: a\r\n\r\n", 400),
    "two Hosts": (b"GET /who HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "two lengths": (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
    "length as a list": (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx", 400),
    "negative length": (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
    "signed length": (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", 400),
    "hexadecimal length": (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nx", 400),
    "length that overflows": (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\nx", 400),
    "empty length": (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
    "body of a GET": (b"GET /who HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 400),
    "chunked": (b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    "length and chunked": (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                           b"0\r\n\r\n", 411),
    "chunked in disguise": (b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 411),
    "expectation": (b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: gold\r\nContent-Length: 1\r\n\r\nx", 417),
    "two Ranges": (b"GET /file/a HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\nRange: bytes=5-6\r\n\r\n", 400),
    "dots": (b"GET /file/../who HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "one dot": (b"GET /./who HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "dots at the end": (b"GET /file/.. HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "escaped dots": (b"GET /file/%2e%2e/who HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "escaped slash": (b"GET /file%2fa HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "backslash": (b"GET /file\\a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "empty part": (b"GET //who HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "slash at the end": (b"GET /who/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "fragment": (b"GET /who#a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "long path": (b"GET /" + b"a" * 600 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "long query": (b"GET /who?" + b"a" * 1100 + b"=1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "many headers": (b"GET /who HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 60 + b"\r\n", 431),
    "long header": (b"GET /who HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20000 + b"\r\n\r\n", 431),
    "endless line": (b"G" * 70000, 431),
    "TLS": (bytes.fromhex("1603010200010001fc0303"), 400),
}


def test_hostile():
    with toy(PLAIN, "admin=127.0.0.1:0") as t:
        for name, (request, status) in HOSTILE.items():
            with Client(t.port["admin"]) as c:
                c.send(request)
                a = c.answer()
                equal(name, a and a.status, status)
                check(f"{name}: JSON", a and a.code() and a.headers["content-type"] == "application/json")
                check(f"{name}: closed", c.closed())
        with Client(t.port["payloads"]) as c:
            equal("the server lives", c.ask("/who").status, 200)
    equal("it ended in order", t.code, 0)


def test_split_heads():
    """A request cut into two at every byte, and byte by byte."""
    request = b"GET /number/5/of?n=7&text=a%20b HTTP/1.1\r\nHost: a\r\n" + VIEWER.encode() + b"\r\n\r\n"
    expected = {"n": 7, "text": "a b", "arg": "5"}
    with toy("admin=127.0.0.1:0") as t:
        with Client(t.port["admin"]) as c:
            good = 0
            for cut in range(1, len(request)):
                c.send(request[:cut])
                time.sleep(0.0005)
                c.send(request[cut:])
                good += c.answer().json() == expected
            equal("cut anywhere", good, len(request) - 1)
        with Client(t.port["admin"]) as c:
            for byte in request:
                c.send(bytes([byte]))
            equal("byte by byte", c.answer().json(), expected)


# ---- Routes, queries, bodies ---------------------------------------------------------------------------------------

def test_routes():
    with toy(PLAIN, "admin=127.0.0.1:0") as t:
        with Client(t.port["payloads"]) as c:
            equal("unknown path", c.ask("/nothing").status, 404)
            equal("another door's route", c.ask("/echo", "POST").status, 404)
            a = c.ask("/who", "POST")
            equal("method", (a.status, a.headers["allow"]), (405, "GET, HEAD"))
            equal("a part too many", c.ask("/who/more").status, 404)
            a = c.ask("/who", "HEAD")
            check("HEAD", a.status == 200 and int(a.headers["content-length"]) > 10 and a.body == b"")
            a = c.ask("/failure")
            equal("failure", (a.status, a.code()), (409, "LIMIT"))
            check("no header injection", "x-bad" not in a.headers and "injected" not in a.headers)
            equal("parameter where there are none", c.ask("/who?a=1").code(), "bad_query")
        with Client(t.port["admin"]) as c:
            for path, status in (("n=7", 200), ("n=0", 400), ("n=1001", 400), ("n=x", 400), ("n=", 400), ("x=1", 400),
                                 ("n=1&n=2", 400), ("n", 400), ("text=%zz", 400), ("text=%00", 400), ("text=%0a", 400),
                                 ("text=%e4%b8%ad+%26", 200), ("", 200), ("n=99999999999999999999", 400)):
                equal(f"query {path}", c.ask("/number/1/of?" + path, headers=[VIEWER]).status, status)
            for body, status in ((b'{"a": 1}', 200), (b"[1]", 400), (b'{"a": 1, "a": 2}', 400), (b'{"a": 1} x', 400),
                                 (b"", 400), (b"{" * 50000, 400), (b"\xff{}", 400)):
                equal(f"JSON {body[:20]}", c.ask("/json", "POST", [VIEWER], body).status, status)


def test_bodies():
    with toy("admin=127.0.0.1:0") as t:
        with Client(t.port["admin"]) as c:
            equal("body", c.ask("/echo", "POST", [ADMIN], DATA[:100000]).body, DATA[:100000])
            equal("empty body", c.ask("/echo", "POST", [ADMIN]).status, 200)
            c.send(f"POST /echo HTTP/1.1\r\nHost: a\r\n{ADMIN}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
                   .encode())
            equal("100", c.answer().status, 100)
            c.send(b"hello")
            equal("body after 100", c.answer().body, b"hello")
            c.send(f"POST /echo HTTP/1.1\r\nHost: a\r\n{ADMIN}\r\nContent-Length: 100001\r\n\r\n".encode())
            equal("refused before it is sent", c.answer().status, 413)
            check("closed after it", c.closed())
        with Client(t.port["admin"]) as c:
            c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            equal("no 100 without a token", c.answer().status, 401)
        with Client(t.port["admin"]) as c:
            answers = [c.ask("/echo", "POST", [ADMIN], DATA[:n]).body == DATA[:n] for n in range(0, 5000, 97)]
            check("many bodies on one connection", all(answers))


def test_pipelining():
    with toy(PLAIN) as t:
        one = b"GET /who HTTP/1.1\r\nHost: a\r\n\r\n"
        with Client(t.port["payloads"]) as c:
            c.send(one * 500)
            equal("one after the other", sum(c.answer().status == 200 for _ in range(500)), 500)
            c.send(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n" + one * 3)
            equal("in order", [len(c.answer().body) < 20 for _ in range(4)], [True, False, False, False])
            c.send(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n" + one * 2000)
            equal("more than the buffer", sum(c.answer().status == 200 for _ in range(2001)), 2001)
            c.send(b"GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + one)
            c.answer()
            check("nothing after close", c.closed() and c.buffer == b"")
        with Client(t.port["payloads"]) as c:
            c.send(b"GET /who HTTP/1.0\r\n\r\n")
            check("HTTP/1.0 closes", c.answer().headers["connection"] == "close" and c.closed())


def test_keep_alive():
    with toy(PLAIN) as t:
        with Client(t.port["payloads"]) as c:
            equal("3 000 on one connection", sum(c.ask("/look").status == 200 for _ in range(3000)), 3000)
            equal("304", c.ask("/look", headers=['If-None-Match: "1-2"']).status, 304)
            equal("and one more", c.ask("/who").status, 200)


# ---- Time and number -----------------------------------------------------------------------------------------------

def test_times():
    with toy("admin=127.0.0.1:0,header_ms=400,idle_ms=600,body_ms=500") as t:
        port = t.port["admin"]
        began = time.monotonic()
        with Client(port) as c:
            check("nothing sent: closed", c.closed() and 0.2 < time.monotonic() - began < 3)
        began = time.monotonic()
        with Client(port) as c:
            try:
                for byte in b"GET /who HTTP/1.1\r\n" + b"X: slow-loris\r\n" * 100:
                    c.send(bytes([byte]))
                    time.sleep(0.05)
            except OSError:
                pass
            check("slow head", time.monotonic() - began < 3)
        with Client(port) as c:
            c.send(b"GET /wh")
            equal("half a head", c.answer().status, 408)
        with Client(port) as c:
            c.send(f"POST /echo HTTP/1.1\r\nHost: a\r\n{ADMIN}\r\nContent-Length: 10\r\n\r\nabc".encode())
            a = c.answer()
            equal("half a body", (a.status, a.headers["connection"]), (408, "close"))
        with Client(port) as c:
            c.ask("/late")
            began = time.monotonic()
            check("idle: closed", c.closed() and 0.4 < time.monotonic() - began < 3)
        with Client(port) as c:
            c.ask("/late")
            time.sleep(0.3)
            equal("not idle for long enough", c.ask("/late").status, 200)


def test_slow_handshakes(world):
    """Nothing, half a hello, a hello and no more: each has the time of a head, in all."""
    whole = ssl.MemoryBIO()
    hello = world.context().wrap_bio(ssl.MemoryBIO(), whole, server_hostname="localhost")
    try:
        hello.do_handshake()
    except ssl.SSLWantReadError:
        pass
    data = whole.read()
    with toy(f"payloads=127.0.0.1:0,cert={world.cert},key={world.key},header_ms=500") as t:
        for name, first, drip in (("nothing", b"", b""), ("half a hello", data[:40], b""), ("a hello", data, b""),
                                  ("byte by byte", data[:40], data[40:])):
            with Client(t.port["payloads"]) as c:
                began = time.monotonic()
                c.send(first)
                try:
                    for i in range(min(len(drip), 60)):
                        c.send(drip[i:i + 1])
                        time.sleep(0.05)
                except OSError:
                    pass
                check(f"{name}: closed", c.closed() and 0.3 < time.monotonic() - began < 3.5)
        equal("others get in", _status(t.port["payloads"], world.context()), 200)


def test_slow_reader():
    file = TMP / "big"
    with open(file, "wb") as f:
        f.truncate(64 << 20)
    with toy(PLAIN + ",idle_ms=500", file=file) as t:
        with Client(t.port["payloads"]) as c:
            c.send(b"GET /file/a HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(2)
            total = 0
            while c.more():
                total += len(c.buffer)
                c.buffer = b""
            check("one that does not read is dropped", total < 60 << 20, f"({total})")


def test_numbers():
    with toy(PLAIN + ",per_address=5", "admin=127.0.0.1:0,connections=3") as t:
        many = [Client(t.port["payloads"]) for _ in range(8)]
        equal("per address", sum(_works(c) for c in many), 5)
        many[0].close()
        time.sleep(0.1)
        many.append(Client(t.port["payloads"]))
        check("one left, one came", _works(many[-1]))
        for c in many:
            c.close()
        time.sleep(0.1)
        many = [Client(t.port["admin"]) for _ in range(5)]
        equal("in all", sum(_works(c, "/count") for c in many), 3)
        for c in many:
            c.close()
        time.sleep(0.1)
        with Client(t.port["admin"]) as c:
            equal("all are forgotten", c.ask("/count").json()["connections"], 1)


def _from(port, context, source):
    """A connection from this address; None: refused."""
    try:
        s = socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0))
        return context.wrap_socket(s, server_hostname="localhost")
    except OSError:
        return None


def test_numbers_of_ipv4_at_an_ipv6_door(world):
    """[::] takes IPv4 too: each of its addresses counts for itself, not all of them as one /64."""
    with toy(f"payloads=[::]:0,cert={world.cert},key={world.key},per_address=2") as t:
        port, context = t.port["payloads"], world.context()
        one = [_from(port, context, "127.0.0.1") for _ in range(3)]
        other = [_from(port, context, "127.0.0.2") for _ in range(3)]
        equal("of one address", [c is not None for c in one], [True, True, False])
        equal("of another one", [c is not None for c in other], [True, True, False])
        for c in one + other:
            c and c.close()


def _works(client, path="/who"):
    try:
        answer = client.ask(path)
    except OSError:
        return False
    return answer is not None and answer.status == 200


# ---- Files ---------------------------------------------------------------------------------------------------------

def test_ranges():
    file, n = TMP / "data", len(DATA)
    file.write_bytes(DATA)
    cases = (("bytes=0-0", 0, 1), ("bytes=0-", 0, n), ("bytes=4095-4097", 4095, 3), ("bytes=4096-70000", 4096, 65905),
             (f"bytes={n - 1}-", n - 1, 1), (f"bytes={n - 5}-{n + 5}", n - 5, 5), ("bytes=-7", n - 7, 7),
             (f"bytes=-{n + 1}", 0, n), ("bytes=5-9999999999999999999", 5, n - 5), ("BYTES=1-2", 1, 2))
    with toy(PLAIN, file=file) as t, Client(t.port["payloads"]) as c:
        for text, first, count in cases:
            a = c.ask("/file/a", headers=[f"Range: {text}"])
            equal(text, (a.status, a.headers.get("content-range"), a.body == DATA[first:first + count]),
                  (206, f"bytes {first}-{first + count - 1}/{n}", True))
        for text in (f"bytes={n}-", f"bytes={n}-{n + 1}", "bytes=-0", "bytes=9223372036854775807-"):
            a = c.ask("/file/a", headers=[f"Range: {text}"])
            equal(text, (a.status, a.headers.get("content-range")), (416, f"bytes */{n}"))
        for text in ("bytes=2-1", "bytes=a-b", "bytes=1", "lines=1-2", "bytes=0-1,5-6", "bytes=", "bytes=-",
                     "bytes= 1-2", "bytes=1-2 ", "bytes=99999999999999999999-", "bytes=1--2"):
            a = c.ask("/file/a", headers=[f"Range: {text}"])
            good = (206, 2) if text == "bytes=1-2 " else (200, n)
            equal(text, (a.status, len(a.body)), good)
        for tag, status in (('"abc"', 206), ('W/"abc"', 200), ('"abd"', 200), ("Wed, 21 Oct 2026 07:28:00 GMT", 200)):
            a = c.ask("/file/a", headers=["Range: bytes=1-2", f"If-Range: {tag}"])
            equal(f"If-Range {tag}", a.status, status)
        for tag, status in (('"abc"', 304), ('"x", "abc"', 304), ('W/"abc"', 304), ("*", 304), ('"x"', 200),
                            ("abc", 200)):
            equal(f"If-None-Match {tag}", c.ask("/file/a", headers=[f"If-None-Match: {tag}"]).status, status)
        a = c.ask("/file/a", "HEAD")
        equal("HEAD", (a.status, a.headers["content-length"], a.headers["etag"]), (200, str(n), '"abc"'))
        a = c.ask("/file/a", "HEAD", ["Range: bytes=0-9"])
        equal("HEAD of a range", (a.status, a.headers["content-length"]), (206, "10"))
        equal("the connection is in step", c.ask("/who").status, 200)
        check("immutable", "immutable" in a.headers["cache-control"])
    with open(file, "r+b") as f:  # more than is mapped as a whole
        f.truncate(300 << 20)
        f.seek(290 << 20)
        f.write(b"far away")
    with toy(PLAIN, file=file) as t, Client(t.port["payloads"]) as c:
        a = c.ask("/file/a", headers=[f"Range: bytes={(290 << 20) + 4}-{(290 << 20) + 99999}"])
        equal("range of a large file", (a.status, a.body[:4], len(a.body)), (206, b"away", 99996))
        for n in (1, 16000, 16383, 16384, 16385, 70000):
            a = c.ask("/file/a", headers=[f"Range: bytes=3-{n + 2}"])
            equal(f"range of {n}", a.body, DATA[3:n + 3])
    file.write_bytes(b"")
    with toy(PLAIN, file=file) as t, Client(t.port["payloads"]) as c:
        equal("empty file", (c.ask("/file/a").status, c.ask("/file/a", headers=["Range: bytes=0-"]).status), (200, 416))


# ---- TLS and who is let in -----------------------------------------------------------------------------------------

class World:
    """Two CAs and what they signed."""

    def __init__(self):
        self.pki, self.devices = Pki(TMP / "pki"), Pki(TMP / "devices", "Device CA")
        self.other = Pki(TMP / "other", "Device CA")  # the same name, another key
        self.cert, self.key = self.pki.server()
        self.crl = self.devices.crl([])
        self.options = f"cert={self.cert},key={self.key},ca={self.devices.ca},crl={self.crl}"

    def context(self, client=None, **more):
        return client_context(self.pki.ca, *(client or ()), **more)


def _status(port, context, path="/who", session=None):
    """Status, or "tls": no handshake, no answer."""
    try:
        with Client(port, context, session) as c:
            a = c.ask(path)
            return a.status if a else "tls"
    except (ssl.SSLError, ConnectionError):
        return "tls"


def test_certificates(world):
    good = world.devices.client("dev1")
    payloads = f"payloads=127.0.0.1:0,cert={world.cert},key={world.key}"
    with toy("devices=127.0.0.1:0," + world.options, payloads) as t:
        port = t.port["devices"]
        a = Client(port, world.context(good)).ask("/who").json()
        check("device and key", a["device"] == "dev1" and len(a["key"]) == 16 and a["key"] != "0" * 16)
        for version, ok in ((ssl.TLSVersion.TLSv1_2, 200), (ssl.TLSVersion.TLSv1_3, 200),
                            (ssl.TLSVersion.TLSv1_1, "tls")):
            equal(version.name, _status(port, world.context(good, version=version)), ok)
        weak = world.context(good, version=ssl.TLSVersion.TLSv1_2)
        weak.set_ciphers("AES128-SHA:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
        equal("weak cipher", _status(port, weak), "tls")
        equal("no certificate", _status(port, world.context()), "tls")
        equal("other CA of the same name", _status(port, world.context(world.other.client("dev1"))), "tls")
        equal("expired", _status(port, world.context(world.devices.client("dev2", days=(-9, -1)))), "tls")
        equal("not yet valid", _status(port, world.context(world.devices.client("dev2", days=(5, 9)))), "tls")
        server = world.devices.server("srv", hosts=("dev1",))
        equal("a server's certificate", _status(port, world.context(server)), "tls")
        equal("of the server's CA", _status(port, world.context(world.pki.client("dev1"))), "tls")
        equal("unknown device", _status(port, world.context(world.devices.client("dev9"))), 403)
        for name in ("dev1+x", "dev1/x", "dev#", "server", "d" * 49, "dev 1"):
            files = world.devices._leaf("odd", name, (-1, 9), None)
            equal(f"id {name[:9]}", _status(port, world.context(files)), 403)
        equal("payloads need none", _status(t.port["payloads"], world.context()), 200)
        with Client(port) as c:
            c.send(b"GET /who HTTP/1.1\r\nHost: a\r\n\r\n")
            check("no TLS spoken", c.closed() and b"200" not in c.buffer)
    equal("it ended in order", t.code, 0)


def test_disabled(world):
    good = world.devices.client("dev1")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with toy("devices=127.0.0.1:0," + world.options, PLAIN) as t:
            port, context = t.port["devices"], world.context(good, version=version)
            kept = Client(port, context)
            equal("enabled", kept.ask("/who").status, 200)
            session = kept.socket.session
            t.say("disable dev1")
            a = kept.ask("/who")
            equal("disabled, kept connection", (a.status, a.code()), (403, "device_disabled"))
            with Client(port, context, session) as c:
                a = c.ask("/who")
                equal(f"disabled, resumed session {version.name}", (a.status, c.socket.session_reused), (403, True))
            t.say("enable dev1")
            with Client(port, context) as c:
                c.send(b"POST /report HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab")
                time.sleep(0.2)
                t.say("disable dev1")
                c.send(b"c")
                a = c.answer()
                equal("disabled while its body came", (a.status, a.code()), (403, "device_disabled"))
            t.say("enable dev1")
            equal("enabled again", kept.ask("/who").status, 200)
            kept.close()
            counts = Client(t.port["payloads"]).ask("/count").json()
            equal("handshakes, resumed", (counts["handshakes"], counts["resumed"]), (3, 1))


def test_reload(world):
    good, bad = world.devices.client("dev1"), world.devices.client("dev2")
    with toy("devices=127.0.0.1:0," + world.options, PLAIN) as t:
        port, context = t.port["devices"], world.context(bad)
        kept = Client(port, context)
        equal("before", kept.ask("/who").status, 200)
        session = kept.socket.session
        busy = Client(port, context)
        busy.send(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
        half, body = Client(port, context), Client(port, context)
        half.send(b"GET /who HTTP/1.1\r\nHost: a\r\n")
        body.send(b"POST /report HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
        time.sleep(0.1)
        crl = world.devices.crl([bad[0]], "revoked.pem")
        new = world.pki.server("new")
        equal("what does not load is refused", t.say(f"reload devices cert={TMP}/none,key={new[1]}")[:7], "refused")
        other_key = f"cert={new[0]},key={world.key},ca={world.devices.ca}"
        equal("key of another", t.say(f"reload devices {other_key}")[:7], "refused")
        equal("reload", t.say(f"reload devices cert={new[0]},key={new[1]},ca={world.devices.ca},crl={crl}"), "ok")
        check("idle connection closed", kept.closed())
        check("half a head is not served", half.closed() and half.buffer == b"")
        check("half a body is not served", body.closed() and body.buffer == b"")
        a = busy.answer()
        equal("the answer under way comes", (a.status, a.headers["connection"]), (200, "close"))
        check("then it is closed", busy.closed())
        equal("revoked", _status(port, context), "tls")
        equal("revoked, old session", _status(port, context, session=session), "tls")
        with Client(port, world.context(good)) as c:
            equal("others get in", c.ask("/who").status, 200)
            check("with the new certificate", c.socket.getpeercert()["serialNumber"])
            mine = ssl.DER_cert_to_PEM_cert(c.socket.getpeercert(True))
            equal("which is the new one", mine.split(), new[0].read_text().split())


def test_tokens(world):
    server = f"cert={world.cert},key={world.key}"
    with toy(f"tokens=127.0.0.1:0,{server}", f"admin=127.0.0.1:0,{server}") as t:
        with Client(t.port["tokens"], world.context()) as c:
            token = "Authorization: Bearer device-token-0123456789"
            equal("device by token", c.ask("/who", headers=[token]).json()["device"], "tok1")
            for name, header in (("none", "X: y"), ("wrong", "Authorization: Bearer device-token-0123456780"),
                                 ("short", "Authorization: Bearer a"), ("basic", "Authorization: Basic dG9rMTp4"),
                                 ("an administrator's", ADMIN), ("empty", "Authorization: Bearer "),
                                 ("long", "Authorization: Bearer " + "a" * 300)):
                a = c.ask("/who", headers=[header])
                equal(f"token: {name}", (a.status, a.headers.get("www-authenticate")), (401, "Bearer"))
            t.say("disable tok1")
            equal("disabled", c.ask("/who", headers=[token]).code(), "device_disabled")
        with Client(t.port["admin"], world.context()) as c:
            equal("viewer", c.ask("/who", headers=[VIEWER]).json()["role"], 1)
            equal("no token", c.ask("/who").status, 401)
            equal("a device's token", c.ask("/who", headers=[token]).status, 401)
            equal("anybody's route", c.ask("/count").status, 200)
            equal("role too low", c.ask("/echo", "POST", [VIEWER]).code(), "role")
            equal("role enough", c.ask("/echo", "POST", [ADMIN]).status, 200)


def test_per_minute(world):
    good = world.devices.client("dev1")
    time.sleep(max(0, 62 - time.time() % 60) if time.time() % 60 > 57 else 0)
    with toy("devices=127.0.0.1:0,per_minute=5," + world.options) as t:
        with Client(t.port["devices"], world.context(good)) as c:
            equal("within the limit", [c.ask("/look").status for _ in range(5)], [200] * 5)
            a = c.ask("/look")
            equal("beyond it", a.status, 429)
            check("Retry-After", 0 < int(a.headers["retry-after"]) <= 60)
            equal("ranges do not count", c.ask("/who").status, 200)
        with Client(t.port["devices"], world.context(world.devices.client("dev2"))) as c:
            equal("others are not concerned", c.ask("/look").status, 200)


def test_first_sight(world):
    new, other = world.devices.client("new1"), world.devices.client("new2")
    with toy("devices=127.0.0.1:0," + world.options) as t:
        port = t.port["devices"]
        equal("off", _status(port, world.context(new)), 403)
        t.say("first-sight on")
        with Client(port, world.context(new)) as c:
            a = c.ask("/report", "POST", body=b"hello")
            equal("made known, and served", (a.status, a.body), (200, b"hello"))
            equal("known now", c.ask("/who").json()["device"], "new1")
        equal("the hook refuses", _status(port, world.context(other)), 403)
    crl = world.devices.crl([new[0]], "revoked-new.pem")
    with toy("devices=127.0.0.1:0," + world.options) as t, Client(t.port["devices"], world.context(new)) as c:
        t.say("first-sight on")
        c.send(b"POST /report HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
        time.sleep(0.01)  # it is made known for 50 ms
        equal("revoked at first sight", t.say(f"reload devices cert={world.cert},key={world.key},ca={world.devices.ca},"
                                              f"crl={crl}"), "ok")
        time.sleep(0.1)
        try:
            c.send(b"llo")
        except OSError:
            pass
        check("revoked while it was made known: not served", c.closed() and c.buffer == b"", c.buffer)


# ---- Calls that live longer than their client, streams, the end ----------------------------------------------------

def test_gone():
    with toy(PLAIN) as t:
        for _ in range(20):
            with Client(t.port["payloads"]) as c:
                c.send(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.1)
        with Client(t.port["payloads"]) as c:
            equal("noticed before the answer", c.ask("/count").json()["connections"], 1)
            time.sleep(0.4)
            equal("and survived", c.ask("/count").json()["connections"], 1)
    equal("it ended in order", t.code, 0)


def test_stream():
    with toy(PLAIN) as t:
        port = t.port["payloads"]
        with Client(port) as c, Client(port) as other:
            c.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            a = c.answer()
            equal("stream", (a.status, a.headers["content-type"], a.headers["connection"]),
                  (200, "text/event-stream", "close"))
            while len(c.buffer) < 64:
                c.more()
            check("events come", c.buffer.endswith(b"\n\n"))
            c.close()
            time.sleep(0.1)
            equal("the handler hears that it ended", other.ask("/count").json()["gone"], 1)
        with Client(port) as c, Client(port) as other:
            c.send(b"GET /stream?fast=1 HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(1)
            equal("too slow: dropped", other.ask("/count").json()["gone"], 2)
            check("and closed", c.closed())


def test_stream_memory():
    """A listener that reads all the time, and never all of it: what was read needs no room."""
    with toy(PLAIN) as t, socket.socket() as s, Client(t.port["payloads"]) as other:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", t.port["payloads"]))
        s.sendall(b"GET /stream?steady=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        total, end = 0, time.monotonic() + 20
        while total < 8 << 20 and time.monotonic() < end:
            total += len(s.recv(65536))
        check("it reads", total >= 8 << 20, f"({total})")
        room = other.ask("/count").json()["room"]
        check("what waits is bounded, and so is its room", 0 < room <= 1 << 19, f"({room})")


def test_drain(world):
    server = f"cert={world.cert},key={world.key}"
    with toy(f"payloads=127.0.0.1:0,{server}") as t:
        port, context = t.port["payloads"], world.context()
        idle, busy = Client(port, context), Client(port, context)
        idle.ask("/who")
        busy.send(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.1)
        equal("drain", t.say("drain 5000"), "ok")
        check("idle closed", idle.closed())
        try:
            Client(port, context)
            check("no new connections", False)
        except OSError:
            check("no new connections", True)
        a = busy.answer()
        equal("the answer under way comes", (a.status, a.headers["connection"]), (200, "close"))
        check("closed", busy.closed())
        busy.close()
        equal("drained", t.process.stdout.readline(), "drained\n")
    equal("ended in order", t.code, 0)
    with toy(PLAIN) as t:
        c = Client(t.port["payloads"])
        c.send(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.05)
        t.say("drain 50")
        equal("the time is over", t.process.stdout.readline(), "drained\n")
    equal("ended with an answer outstanding", t.code, 0)


def test_six():
    """IPv6, where there is some."""
    with socket.socket(socket.AF_INET6) as s:
        try:
            s.bind(("::1", 0))
        except OSError:
            return
    with toy("payloads=[::1]:0") as t:
        with socket.create_connection(("::1", t.port["payloads"]), 5) as s:
            s.sendall(b"GET /who HTTP/1.1\r\nHost: a\r\n\r\n")
            check("over IPv6", s.recv(100).startswith(b"HTTP/1.1 200 "))


def test_doors(world):
    for name, door in (("no TLS beyond loopback", "admin=0.0.0.0:0"), ("devices without TLS", "devices=127.0.0.1:0"),
                       ("no port", "admin=127.0.0.1"), ("no address", "admin=:80"), ("a name", "admin=localhost:0"),
                       ("devices without client certificates",
                        f"devices=127.0.0.1:0,cert={world.cert},key={world.key}"),
                       ("no certificate", "admin=127.0.0.1:0,cert=/nonexistent,key=/nonexistent"),
                       ("port too high", "admin=127.0.0.1:70000")):
        try:
            with toy(door):
                check(name, False)
        except RuntimeError:
            check(name, True)


def main():
    world = World()
    for name, test in list(globals().items()):
        if name.startswith("test_") and (len(sys.argv) < 2 or sys.argv[1] in name):
            began = time.monotonic()
            try:
                test(*[world] * test.__code__.co_argcount)
            except Exception as error:  # noqa: BLE001
                check(name, False, repr(error))
            print(f"{name} {time.monotonic() - began:.1f} s", flush=True)
    return score.close()


if __name__ == "__main__":
    sys.exit(main())
