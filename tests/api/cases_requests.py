"""Requests that are not as they should be: JSON, sizes, paths, queries. Each is refused with a sentence."""
import json
import socket

from cases_access import fill, routes

GOOD = {"name": "x", "role": "viewer", "expires": 4102444800}
TOKENS = "/api/v1/tokens"

JSON = {
    "empty": b"",
    "not JSON": b"name=x",
    "cut off": json.dumps(GOOD).encode()[:-1],
    "something behind it": json.dumps(GOOD).encode() + b"x",
    "two objects": json.dumps(GOOD).encode() * 2,
    "a list": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "a name twice": b'{"name":"x","name":"y","role":"viewer","expires":4102444800}',
    "unknown name": json.dumps({**GOOD, "admin": True}).encode(),
    "missing name": json.dumps({k: v for k, v in GOOD.items() if k != "role"}).encode(),
    "a number for a text": json.dumps({**GOOD, "name": 5}).encode(),
    "a text for a number": json.dumps({**GOOD, "expires": "4102444800"}).encode(),
    "a fraction": json.dumps({**GOOD, "expires": 4102444800.5}).encode(),
    "too large a number": b'{"name":"x","role":"viewer","expires":99999999999999999999}',
    "negative": json.dumps({**GOOD, "expires": -1}).encode(),
    "NaN": b'{"name":"x","role":"viewer","expires":NaN}',
    "true for a text": json.dumps({**GOOD, "name": True}).encode(),
    "null for a text": json.dumps({**GOOD, "name": None}).encode(),
    "name too long": json.dumps({**GOOD, "name": "x" * 64}).encode(),
    "name empty": json.dumps({**GOOD, "name": ""}).encode(),
    "zero in a text": b'{"name":"a\\u0000b","role":"viewer","expires":4102444800}',
    "control character": json.dumps({**GOOD, "name": "a\nb"}).encode(),
    "no UTF-8": b'{"name":"\xff\xfe","role":"viewer","expires":4102444800}',
    "half a surrogate": b'{"name":"\\ud800","role":"viewer","expires":4102444800}',
    "deep": b'{"name":' + b"[" * 1500 + b"]" * 1500 + b"}",
    "deeper than a parser": b"[" * 4000,
    "comment": b'{/* */"name":"x","role":"viewer","expires":4102444800}',
    "single quotes": b"{'name':'x'}",
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
}


def bodies(t, server):
    for name, body in JSON.items():
        answer = server.post(TOKENS, body)
        t.equal(f"{name}: status", answer.status, 400)
        t.holds(f"{name}: a sentence", answer.error in ("bad_json", "bad_request") and len(answer.json["message"]) > 10,
                answer)
    t.holds("the sentence names the field", "devices[1].id" in
            server.post("/api/v1/devices", {"devices": [{"id": "a", "class": "0" * 32}, {"id": 7, "class": "0" * 32}]})
            .json["message"])
    t.equal("nothing of it was made", [i["name"] for i in server.get(TOKENS).json["items"] if i["name"] == "x"], [])


def sizes(t, server, document):
    """One byte more than allowed: 413 before it is read, and the connection is of no more use."""
    for method, path, operation in routes(document):
        most = operation.get("x-body-max", 0)
        with socket.create_connection(("127.0.0.1", server.port["admin"]), 10) as s:
            s.sendall(f"{method} {fill(path)} HTTP/1.1\r\nHost: a\r\nUpload-Offset: 0\r\nAuthorization: Bearer "
                      f"{server.tokens['admin']}\r\nContent-Length: {most + 1}\r\n\r\n".encode())
            status = s.recv(4096).split()[1]
        t.holds(f"{method} {path}: {most + 1} bytes", status in (b"413", b"400") if method == "GET"
                else status == b"413", status)
        t.holds(f"{method} {path}: bounded", most <= 4 << 20, most)


PATHS = ["/api/v1/devices/../tokens", "/api/v1/./devices", "/api/v1//devices", "/api/v1/devices/%2e%2e",
         "/api/v1/releases/..%2f..%2fetc", "/api/v1/devices/a%00b", "/api/v1/devices/", "/api/v1/devices/a/b/c",
         "/api/v1/", "/api/v1/nothing", "/api/v2/devices", "/API/v1/devices", "/api/v1/devices\\x", "/etc/passwd",
         "/api/v1/releases/" + "A" * 64, "/api/v1/releases/" + "0" * 63, "/api/v1/classes/xyz/head",
         "/api/v1/devices/" + "x" * 600]


def paths(t, server):
    for path in PATHS:
        answer = server.get(path)
        t.holds(f"GET {path[:60]}", answer.status in (400, 404, 405, 414), answer)
    for name in ("id'; DROP TABLE device;--", "a b", "#", "+", "*", "$SYS"):
        answer = server.get("/api/v1/devices/" + name.replace(" ", "+").replace("#", "+"))
        t.holds(f"device {name}", answer.status in (400, 404), answer)
    for method in ("PUT", "DELETE", "PATCH", "POST"):
        answer = server.ask(method, "/api/v1/audit")
        t.equal(f"{method} of the audit log", answer.status, 405)
        t.equal(f"{method} of the audit log: Allow", answer.headers.get("allow"), "GET, HEAD")
    head = server.ask("HEAD", "/api/v1/classes")
    t.holds("HEAD", head.status == 200 and head.body == b"", head)


def queries(t, server):
    for query in ("limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "limit=1&limit=2", "unknown=1", "limit=1e1",
                  "after=" + "x" * 300, "limit=%zz", "limit=1%00"):
        t.equal(f"?{query[:30]}", server.get(f"/api/v1/devices?{query}").status, 400)
    for query in ("class=xyz", "state=UNKNOWN", "state=confirmed", "class=" + "0" * 31):
        t.equal(f"?{query}", server.get(f"/api/v1/devices?{query}").status, 400)
    t.equal("?after= of the audit log", server.get("/api/v1/audit?after=x").status, 400)
    t.equal("a body where none is taken", server.post("/api/v1/rollouts/none/start", b"{}").status, 413)


def run(t, server, document):
    bodies(t, server)
    sizes(t, server, document)
    paths(t, server)
    queries(t, server)
