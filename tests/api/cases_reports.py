"""Reports over mutual TLS: taken once, in order, from their own device; everything else is refused with its code."""
import base64
import http.client
import socket
import ssl
import threading

import reports
from scene import Answer


def context(pki, device=None, ca=None):
    made = ssl.create_default_context(cafile=str(ca or pki.ca))
    if device:
        made.load_cert_chain(*[str(p) for p in pki.client(device)])
    return made


class Device:
    """A device of mutual TLS; its certificate's key signs its reports."""

    def __init__(self, server, pki, name):
        self.server, self.name, self.tls = server, name, context(pki, name)
        self.key = reports.load(pki.folder / f"client-{name}.key")

    def ask(self, method, path, body=None):
        connection = http.client.HTTPSConnection("localhost", self.server.port["devices"], context=self.tls, timeout=10)
        try:
            connection.request(method, path, body, {"Content-Type": "application/cose"} if body else {})
            reply = connection.getresponse()
            return Answer(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def report(self, body):
        return self.ask("POST", "/device/v1/report", body)


def order(t, server, d):
    def send(counter, **more):
        return d.report(reports.make(d.key, d.name, counter, **more)).status

    first = reports.make(d.key, d.name, 5)
    t.equal("a report", d.report(first).status, 204)
    t.equal("the same again is fine: the answer may have been lost", d.report(first).status, 204)
    t.equal("another with its counter", send(5, state=reports.FAILED, fields={5: 71}), 409)
    t.equal("an older one", send(4), 409)
    t.equal("a newer one", send(6, state=reports.STAGED, about=(1, 2)), 204)
    t.equal("far ahead", send(1_700_000_000), 204)
    t.equal("reordered", send(7), 409)
    t.equal("the replay of one that is stored changes nothing", d.report(first).status, 204)
    kept = server.get(f"/api/v1/devices/{d.name}/reports").json["items"]
    t.equal("kept, newest first", [r["counter"] for r in kept], [1_700_000_000, 6, 5])
    t.equal("as they came", base64.b64decode(kept[-1]["cose"]), first)
    t.equal("by page", [r["counter"] for r in server.get(f"/api/v1/devices/{d.name}/reports?limit=1&after="
                                                         f"{kept[0]['id']}").json["items"]], [6])
    shown = server.get(f"/api/v1/devices/{d.name}").json
    t.holds("the device shows it", shown["counter"] == 1_700_000_000 and shown["state"] == "CONFIRMED", shown)


def forged(t, d, other):
    good = reports.make(d.key, d.name, 1_700_000_001)
    flipped = bytearray(good)
    flipped[-1] ^= 1
    bad = {
        "for another device": reports.make(d.key, other.name, 1_700_000_001),
        "signed by another device": reports.make(other.key, d.name, 1_700_000_001),
        "a signature that was altered": bytes(flipped),
        "signed as something else": reports.make(d.key, d.name, 1_700_000_001, aad=b"godwit/head/1"),
        "cut off": good[:-5],
        "with something behind it": good + b"\0",
        "no counter": reports.make(d.key, d.name, None),
        "counter 0": reports.make(d.key, d.name, 0),
        "a counter beyond 32 bits": reports.make(d.key, d.name, 1 << 32),
        "a state that is none": reports.make(d.key, d.name, 1_700_000_001, state=9),
        "a critical key": reports.make(d.key, d.name, 1_700_000_001, fields={99: 1}),
        "an id of server": reports.make(d.key, "server", 1_700_000_001),
        "text": b"hello",
        "JSON": b'{"device": "dev1"}',
        "nothing": b"",
    }
    for name, body in bad.items():
        answer = d.report(body)
        t.holds(f"report {name}", answer.status in (400, 403), answer)
        t.holds(f"report {name}: a code", answer.error, answer)
    t.equal("a large one", d.report(b"x" * 600).status, 413)
    t.equal("none of it counted", d.report(good).status, 204)


def disabled(t, server, pki, d):
    """Also on a connection that is open, and when its session is resumed."""
    raw = socket.create_connection(("127.0.0.1", server.port["devices"]), 10)
    old = ssl.create_default_context(cafile=str(pki.ca))
    old.maximum_version = ssl.TLSVersion.TLSv1_2  # its sessions can be kept as soon as the handshake is over
    old.load_cert_chain(pki.folder / f"client-{d.name}.pem", pki.folder / f"client-{d.name}.key")
    tls = old.wrap_socket(raw, server_hostname="localhost")
    ask = b"GET /device/v1/offer HTTP/1.1\r\nHost: localhost\r\n\r\n"
    tls.sendall(ask)
    t.holds("before", tls.recv(4096).split()[1] in (b"200", b"204"))
    session = tls.session
    server.ask("PATCH", f"/api/v1/devices/{d.name}", {"enabled": False}, role="operator")
    tls.sendall(ask)
    t.equal("disabled: on an open connection", tls.recv(4096).split()[1], b"403")
    again = old.wrap_socket(socket.create_connection(("127.0.0.1", server.port["devices"]), 10),
                            server_hostname="localhost", session=session)
    again.sendall(ask)
    t.equal("disabled: after a resumed handshake", again.recv(4096).split()[1], b"403")
    t.holds("it was resumed", again.session_reused)
    again.close()
    tls.close()
    t.equal("disabled: its reports", d.report(reports.make(d.key, d.name, 1_700_000_009)).status, 403)
    server.ask("PATCH", f"/api/v1/devices/{d.name}", {"enabled": True}, role="operator")
    t.equal("enabled again", d.report(reports.make(d.key, d.name, 1_700_000_009)).status, 204)


def strangers(t, server, pki):
    known, unknown = Device(server, pki, "m2"), Device(server, pki, "stranger")
    for method, path in (("GET", "/api/v1/classes"), ("POST", "/api/v1/tokens"), ("GET", "/metrics"),
                         ("GET", "/healthz"), ("GET", "/api/v1/events")):
        t.equal(f"{method} {path} at the door for devices", known.ask(method, path, b"{}" if method == "POST" else None)
                .status, 404)
    t.equal("a certificate of a device that is not known", unknown.ask("GET", "/device/v1/offer").status, 403)
    try:
        raw = socket.create_connection(("127.0.0.1", server.port["devices"]), 10)
        with context(pki).wrap_socket(raw, server_hostname="localhost") as s:
            s.sendall(b"GET /device/v1/offer HTTP/1.1\r\nHost: localhost\r\n\r\n")
            got = s.recv(100)
    except (ssl.SSLError, ConnectionError):
        got = b""
    t.equal("no certificate", got, b"")


def at_once(t, server, d):
    """Twenty at a time, and what the server said is what it has."""
    answers = {}

    def send(counter):
        answers[counter] = d.report(reports.make(d.key, d.name, counter)).status

    threads = [threading.Thread(target=send, args=(1_700_000_100 + i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = {r["counter"] for r in server.get(f"/api/v1/devices/{d.name}/reports?limit=100").json["items"]}
    t.holds("at once", set(answers.values()) <= {204, 409}, answers)
    t.equal("acknowledged is kept, refused is not", {c for c in answers if c in kept},
            {c for c, status in answers.items() if status == 204})


def run(t, server, pki, class_id):
    one, two = Device(server, pki, "m1"), Device(server, pki, "m2")
    made = server.post("/api/v1/devices", {"devices": [
        {"id": d.name, "class": class_id, "key": reports.public(d.key).hex()} for d in (one, two)]}, role="operator")
    t.equal("two devices", made.status, 201)
    order(t, server, one)
    forged(t, one, two)
    at_once(t, server, two)
    disabled(t, server, pki, one)
    strangers(t, server, pki)
