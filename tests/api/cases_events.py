"""Server-sent events: in order, resumed, bounded, and no longer than the token."""
import http.client
import json
import socket
import threading
import time


class Listener:
    """Reads events in a thread of its own."""

    def __init__(self, server, last=None, token=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port["admin"], timeout=30)
        headers = {"Authorization": f"Bearer {token or server.tokens['viewer']}"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        self.connection.connect()
        self.socket = self.connection.sock
        self.connection.request("GET", "/api/v1/events", headers=headers)
        self.reply = self.connection.getresponse()
        self.status, self.events, self.ended, self.last = self.reply.status, [], False, None
        self.type = self.reply.getheader("Content-Type")
        if self.status == 200:
            threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        event = {}
        try:
            for line in self.reply:
                line = line.decode().rstrip("\n")
                name, _, value = line.partition(": ")
                if line == "":
                    self.last = event.get("id", self.last)
                    if "data" in event:
                        self.events.append(event)
                    event = {}
                elif name:
                    event[name] = value
        except (OSError, ValueError, AttributeError):
            pass
        self.ended = True

    def until(self, count, seconds=5):
        end = time.monotonic() + seconds
        while len(self.events) < count and time.monotonic() < end:
            time.sleep(0.01)
        return self.events

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def change(server, i):
    return server.ask("PATCH", "/api/v1/devices/t1", {"tags": [f"e{i}"]}, role="operator").status


def in_order(t, server):
    a, b = Listener(server), Listener(server)
    t.equal("listening", (a.status, a.type), (200, "text/event-stream"))
    time.sleep(0.2)
    for i in range(20):
        change(server, i)
    for listener in (a, b):
        got = listener.until(20)
        ids = [int(e["id"]) for e in got]
        t.holds("in order, without holes", len(ids) == 20 and ids == list(range(ids[0], ids[0] + 20)), ids)
        t.equal("of what", {(e["event"], json.loads(e["data"])["id"]) for e in got}, {("device", "t1")})
    a.close()
    for i in range(5):
        change(server, i)
    resumed = Listener(server, a.events[-1]["id"])
    t.equal("resumed", [int(e["id"]) for e in resumed.until(5)], [int(a.events[-1]["id"]) + 1 + i for i in range(5)])
    for name, last in (("long ago", "1"), ("what was never", "9" * 15), ("no number", "x"), ("too long", "1" * 40)):
        lost = Listener(server, last)
        t.equal(f"Last-Event-ID {name}", [e["event"] for e in lost.until(1)], ["gap"])
        lost.close()
    for i in range(300):
        change(server, i)
    lost = Listener(server, a.events[-1]["id"])
    t.equal("more than the ring holds", [e["event"] for e in lost.until(1)], ["gap"])
    for listener in (b, resumed, lost):
        listener.close()


def bounded(t, server):
    time.sleep(0.3)
    many = [Listener(server) for _ in range(64)]
    t.equal("64 listen", {x.status for x in many}, {200})
    more = Listener(server)
    t.equal("one more", more.status, 503)
    for listener in [*many, more]:
        listener.close()
    time.sleep(0.5)
    change(server, 1)
    again = Listener(server)
    t.equal("there is room again", again.status, 200)
    again.close()


def revoked(t, server):
    made = server.post("/api/v1/tokens", {"name": "listener", "role": "viewer", "expires": 4102444800}).json
    listener = Listener(server, token=made["token"])
    t.equal("listening by a token", listener.status, 200)
    server.ask("DELETE", f"/api/v1/tokens/{made['id']}")
    t.equal("not a second time", Listener(server, token=made["token"]).status, 401)
    return listener


def run(t, server):
    in_order(t, server)
    bounded(t, server)
    revoked_one = revoked(t, server)
    end = time.monotonic() + 17
    return lambda: (time.sleep(max(0, end - time.monotonic())),
                    t.holds("a stream ends with its token, at the next heartbeat", revoked_one.ended))
