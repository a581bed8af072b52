"""Uploads: interrupted at every part, resumed, killed, wrong offsets, wrong bytes, a full disk."""
import http.client
import os
import socket
import subprocess
from pathlib import Path

from scene import Server, begin, put

PART = 2048


def payloads_of(begun, folder):
    return [(p, (Path(folder) / "payloads" / p["name"]).read_bytes()) for p in begun.json["payloads"]]


def there(server, folder, name):
    return next(p["there"] for p in begin(server, folder).json["payloads"] if p["name"] == name)


def offsets(t, server, digest, name, data):
    t.equal("the first part", put(server, digest, name, 0, data[:PART]).json, {"there": PART})
    for offset in (0, 1, PART - 1, PART + 1, 2 * PART):
        answer = put(server, digest, name, offset, data[offset:offset + PART])
        t.equal(f"offset {offset}", (answer.status, answer.json.get("there")), (409, PART))
    for text in ("", "-1", "x", "1e3", "0x10", "99999999999999999999", "+5", " 5 5"):
        answer = server.ask("PUT", f"/api/v1/releases/{digest}/payloads/{name}", b"x", role="publisher",
                            headers={"Upload-Offset": text})
        t.equal(f"Upload-Offset {text!r}", answer.status, 400)
    answer = server.ask("PUT", f"/api/v1/releases/{digest}/payloads/{name}", b"x", role="publisher")
    t.equal("no Upload-Offset", answer.status, 400)
    t.equal("no bytes", put(server, digest, name, PART, b"").status, 400)
    t.equal("behind its end", put(server, digest, name, PART, data + b"x").status, 400)
    t.equal("a payload that it has not", put(server, digest, "0" * 64, 0, b"x").status, 404)
    t.equal("a release that is not there", put(server, "0" * 64, name, 0, b"x").status, 404)


def cut_off(server, digest, name, offset, data, sent):
    """The client goes away in the middle of the body."""
    with socket.create_connection(("127.0.0.1", server.port["admin"]), 10) as s:
        s.sendall(f"PUT /api/v1/releases/{digest}/payloads/{name} HTTP/1.1\r\nHost: a\r\nUpload-Offset: {offset}\r\n"
                  f"Authorization: Bearer {server.tokens['publisher']}\r\nContent-Length: {len(data)}\r\n\r\n".encode()
                  + data[:sent])


def interrupted(t, server, digest, name, data, folder):
    """At every part: the client is cut off, the server is killed right after it acknowledged, both go on."""
    at, parts = there(server, folder, name), 0
    while at + PART < len(data):  # the last part comes in finishing()
        cut_off(server, digest, name, at, data[at:at + PART], min(PART, len(data) - at) // 2)
        t.equal(f"cut off at {at}", there(server, folder, name), at)
        answer = put(server, digest, name, at, data[at:at + PART])
        t.equal(f"part at {at}", answer.status, 200)
        at = answer.json["there"]
        server.kill()
        server.start()
        t.equal(f"killed after {at}", there(server, folder, name), at)
        parts += 1
    return parts


def finishing(t, server, digest, folder):
    path = f"/api/v1/releases/{digest}"
    t.equal("not all is there", server.post(f"{path}/finish", role="publisher").status, 409)
    early = server.post("/api/v1/rollouts", {"name": "early", "release": digest, "target": {"all": True}})
    t.equal("no rollout of what is not ready", early.status, 409)
    for payload, data in payloads_of(begin(server, folder), folder):
        at = payload["there"]
        while at < len(data):
            at = put(server, digest, payload["name"], at, data[at:at + PART]).json["there"]
    t.equal("no delivery before it is finished", [server.get(f"/payloads/{p['name']}", door="payloads").status
                                                  for p, _ in payloads_of(begin(server, folder), folder)][0], 404)
    done = server.post(f"{path}/finish", role="publisher")
    t.equal("finished", (done.status, done.json.get("state")), (200, "ready"))
    t.equal("finished again", server.post(f"{path}/finish", role="publisher").status, 200)
    for payload, data in payloads_of(begin(server, folder), folder):
        t.equal("all of it is there", payload["there"], len(data))
        got = server.get(f"/payloads/{payload['name']}", door="payloads")
        t.holds("and is delivered as it was", got.status == 200 and got.body == data, got.status)
        answer = put(server, digest, payload["name"], 0, data[:PART])
        t.equal("uploading it again", (answer.status, answer.json.get("there")), (409, len(data)))


def wrong_bytes(t, server, folder):
    digest = begin(server, folder).json["digest"]
    for payload, data in payloads_of(begin(server, folder), folder):
        bad = bytearray(data)
        bad[len(bad) // 2] ^= 1
        t.equal("wrong bytes are taken", put(server, digest, payload["name"], 0, bytes(bad)).status, 200)
    answer = server.post(f"/api/v1/releases/{digest}/finish", role="publisher")
    t.equal("wrong bytes are refused at the end", (answer.status, answer.error), (409, "FRAME_HASH"))
    first = payloads_of(begin(server, folder), folder)[0]
    t.equal("and dropped", first[0]["there"], 0)
    for payload, data in payloads_of(begin(server, folder), folder):
        if payload["there"] == len(data):  # not looked at yet: refused in its turn
            server.post(f"/api/v1/releases/{digest}/finish", role="publisher")
    for payload, data in payloads_of(begin(server, folder), folder):
        if payload["there"] == 0:
            put(server, digest, payload["name"], 0, data)
    t.equal("right ones then finish it", server.post(f"/api/v1/releases/{digest}/finish", role="publisher").status, 200)
    return digest


def slow_kill(t, server, folder):
    """Killed while a part is on its way: what was not acknowledged may be there or not, but never half a lie."""
    digest = begin(server, folder).json["digest"]
    (payload, data), *_ = payloads_of(begin(server, folder), folder)
    connection = http.client.HTTPConnection("127.0.0.1", server.port["admin"], timeout=10)
    connection.putrequest("PUT", f"/api/v1/releases/{digest}/payloads/{payload['name']}")
    for name, value in (("Authorization", f"Bearer {server.tokens['publisher']}"), ("Upload-Offset", "0"),
                        ("Content-Length", str(len(data)))):
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(data[:len(data) // 2])
    server.kill()
    connection.close()
    server.start()
    t.equal("killed in the middle of a part", there(server, folder, payload["name"]), 0)
    t.equal("the release is deleted", server.ask("DELETE", f"/api/v1/releases/{digest}").status, 204)


def full_disk(t, pki, folder):
    """A small tmpfs: the upload ends with 507, nothing that was acknowledged is lost, and it goes on with room."""
    place = Path("small")
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200k", "none", place],
                                           capture_output=True).returncode:
        print("note: no disk could be filled: that needs root")
        return
    server = Server("srv-small", pki, data=place / "data")
    try:
        server.first()
        server.post("/api/v1/classes", {"vendor": "example.com", "name": "sensor-c3"})
        begun = begin(server, folder)
        (payload, data), *_ = payloads_of(begun, folder)
        t.equal("room at first", put(server, begun.json["digest"], payload["name"], 0, data[:PART]).status, 200)
        room = os.statvfs(place)
        ballast = place / "ballast"
        ballast.write_bytes(b"x" * (room.f_bavail * room.f_frsize))
        answer = put(server, begun.json["digest"], payload["name"], PART, data[PART:])
        t.equal("full", (answer.status, answer.error), (507, "no_space"))
        t.holds("full: other requests work", server.get("/api/v1/releases").status == 200)
        ballast.unlink()
        t.equal("nothing is lost", there(server, folder, payload["name"]), PART)
        t.equal("it goes on", put(server, begun.json["digest"], payload["name"], PART, data[PART:]).status, 200)
    finally:
        server.stop()
        subprocess.run(["umount", place], check=True)


def run(t, server, pki):
    begun = begin(server, "rel-1.0")
    t.equal("begun", begun.status, 200)
    t.equal("begun again", begin(server, "rel-1.0").json, begun.json)
    digest = begun.json["digest"]
    payload, data = payloads_of(begun, "rel-1.0")[0]
    offsets(t, server, digest, payload["name"], data)
    t.holds("parts", interrupted(t, server, digest, payload["name"], data, "rel-1.0") >= 4)
    finishing(t, server, digest, "rel-1.0")
    slow_kill(t, server, "rel-0.5")
    wrong_bytes(t, server, "rel-0.5")
    full_disk(t, pki, "rel-1.0")
    return digest
