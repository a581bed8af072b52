"""Who may do what: every route with every role, tokens that are missing, wrong, expired, revoked, at the wrong door."""
import json
import socket
import time

import schema
from scene import ROLES

FILL = {"class": "0" * 32, "device": "nobody", "release": "0" * 64, "payload": "0" * 64, "rollout": "none",
        "token": "none"}


def fill(path):
    for name, value in FILL.items():
        path = path.replace("{" + name + "}", value)
    return path


def routes(document):
    return [(m.upper(), path, o) for path, methods in document["paths"].items() for m, o in methods.items()]


def every_role(t, server, document):
    """Without the role: 403, and nothing of the body is looked at. With it: whatever else, but not that."""
    for method, path, operation in routes(document):
        if path == "/api/v1/events":
            continue
        least = operation["x-role"]
        body = b"{}" if "requestBody" in operation else None
        for role in ROLES[1:]:
            answer = server.ask(method, fill(path), body, role=role, headers={"Upload-Offset": "0"})
            allowed = least == "anybody" or ROLES.index(role) >= ROLES.index(least)
            t.holds(f"{method} {path} as {role}", (answer.status != 403) == allowed, answer)
            t.holds(f"{method} {path} as {role}: answered as declared",
                    not schema.check_answer(document, method, fill(path), answer),
                    schema.check_answer(document, method, fill(path), answer))
            if not allowed:
                t.equal(f"{method} {path} as {role}: code", answer.error, "role")
                t.holds(f"{method} {path} as {role}: what to do", "--role" in answer.json["hint"], answer)


def tokens_wrong(t, server, document):
    good = server.tokens["viewer"]
    for method, path, operation in routes(document):
        anybody = operation["x-role"] == "anybody"
        for name, token in (("none", ""), ("unknown", "gwa_" + "A" * 43), ("changed", good[:-1] + "!"),
                            ("shortened", good[:-1]), ("lengthened", good + "A")):
            answer = server.ask(method, fill(path), token=token, role=None)
            t.equal(f"{method} {path}, token {name}", answer.status, 200 if anybody else 401)
            if not anybody:
                t.equal(f"{method} {path}, token {name}: challenge", answer.headers.get("www-authenticate"), "Bearer")
    for scheme in ("Basic ", "bearer", "Bearer  ", ""):
        answer = server.get("/api/v1/classes", token="", role=None, headers={"Authorization": scheme + good})
        t.equal(f"scheme {scheme!r}", answer.status, 401)
    t.equal("token in the query", server.get(f"/api/v1/classes?token={good}", token="", role=None).status, 401)


def tokens_made(t, server):
    path, soon = "/api/v1/tokens", int(time.time()) + 2
    made = server.post(path, {"name": "a person", "role": "operator", "expires": soon + 3600})
    t.equal("token made", made.status, 201)
    text, ident = made.json["token"], made.json["id"]
    t.equal("it works", server.get("/api/v1/devices", token=text).status, 200)
    t.equal("not above its role", server.get(path, token=text).status, 403)
    listed = server.get(path)
    t.holds("tokens are listed without themselves", text not in listed.body.decode() and ident in listed.body.decode())
    t.equal("revoked", server.ask("DELETE", f"{path}/{ident}").status, 204)
    t.equal("refused from then on", server.get("/api/v1/devices", token=text).status, 401)
    t.equal("revoked twice", server.ask("DELETE", f"{path}/{ident}").status, 404)
    short = server.post(path, {"name": "short", "role": "viewer", "expires": soon})
    t.equal("valid until it expires", server.get("/api/v1/devices", token=short.json["token"]).status, 200)
    t.equal("expired ones are not made", server.post(path, {"name": "x", "role": "viewer", "expires": 5}).status, 400)
    for role in ("root", "", "Admin", None, 4):
        answer = server.post(path, {"name": "x", "role": role, "expires": soon + 99})
        t.equal(f"role {role!r}", answer.status, 400)
    return lambda: t.equal("refused when it has expired",
                           server.get("/api/v1/devices", token=short.json["token"]).status, 401), soon


def revoked_meanwhile(t, server):
    """A token is revoked while a request that it was good for is on its way: its body comes too late."""
    made = server.post("/api/v1/tokens", {"name": "thief", "role": "admin", "expires": int(time.time()) + 600}).json
    body = json.dumps({"name": "another", "role": "admin", "expires": int(time.time()) + 600}).encode()
    with socket.create_connection(("127.0.0.1", server.port["admin"]), 10) as s:
        s.sendall(f"POST /api/v1/tokens HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {made['token']}\r\n"
                  f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode())
        t.holds("it is let in", s.recv(100).startswith(b"HTTP/1.1 100 "))
        s.sendall(body[:-1])
        t.equal("then revoked", server.ask("DELETE", f"/api/v1/tokens/{made['id']}").status, 204)
        s.sendall(body[-1:])
        answer = s.recv(4000)
        t.holds("revoked while its body came", answer.startswith(b"HTTP/1.1 401 "), answer)
    t.holds("and it made nothing", "another" not in [k["name"] for k in server.get("/api/v1/tokens").json["items"]])


def other_doors(t, server, document):
    """No route of the administration is at another door, whatever token comes."""
    for method, path, _ in routes(document):
        for door in ("tokens", "payloads"):
            answer = server.ask(method, fill(path), role="admin", door=door)
            t.equal(f"{method} {path} at {door}", answer.status, 404)
    for method, path in (("GET", "/device/v1/offer"), ("POST", "/device/v1/report"), ("GET", "/payloads/" + "0" * 64)):
        t.equal(f"{method} {path} at the door for administration", server.ask(method, path).status, 404)


def run(t, server, document):
    later, when = tokens_made(t, server)
    every_role(t, server, document)
    tokens_wrong(t, server, document)
    revoked_meanwhile(t, server)
    other_doors(t, server, document)
    time.sleep(max(0, when + 1 - time.time()))
    later()
