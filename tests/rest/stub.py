"""The administration of SPEC.md, section 19, without a server behind it: what the CLI's verbs are tested against.

    with Stub(cert, key) as stub:       stub.url; stub.asked: (method, path, query, body) of all requests, in order
    stub.cut = n                        from the n-th part of an upload on connections are lost, the n-th half stored
    stub.send(event, data)              to who listens to events
    stub.tokens[token] = role           "admin" can do all that is checked here; an expired one is not in there
"""
import base64
import hashlib
import http.server
import json
import re
import ssl
import threading
from urllib.parse import parse_qs, urlsplit

ROLES = ["viewer", "publisher", "operator", "admin"]
PART_MAX = 4_000_000


class Refused(Exception):
    def __init__(self, status, code, message, hint=None, **more):
        super().__init__(message)
        self.status, self.body = status, {"error": code, "message": message, **({"hint": hint} if hint else {}), **more}


class Stub:
    def __init__(self, cert, key, page=3):
        self.asked, self.tokens, self.page, self.cut = [], {}, page, None
        self.devices, self.classes, self.releases, self.rollouts, self.made = {}, {}, {}, {}, []
        self.audit = [{"id": str(i), "time": 1700000000 + i, "who": "ann", "what": "rollout started", "object": f"r{i}"}
                      for i in range(7, 0, -1)]
        self.listeners, self.lock = [], threading.Lock()
        stub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                stub.handle(self)
            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.http = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://localhost:{self.http.server_port}"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()

    def send(self, event, data):
        for wfile in list(self.listeners):
            try:
                wfile.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())
                wfile.flush()
            except OSError:
                self.listeners.remove(wfile)

    # ---- Requests ----

    def handle(self, h):
        url = urlsplit(h.path)
        body = h.rfile.read(int(h.headers.get("Content-Length") or 0))
        query = {k: v[0] for k, v in parse_qs(url.query, strict_parsing=bool(url.query)).items()}
        with self.lock:
            self.asked.append((h.command, url.path, query, body))
        try:
            status, answer = self.route(h, url.path, query, body)
        except Refused as e:
            status, answer = e.status, e.body
        except ConnectionAbortedError:
            h.close_connection = True
            h.connection.close()
            return
        if status is None:
            return
        data = json.dumps(answer).encode() if answer is not None else b""
        h.send_response(status)
        h.send_header("Content-Type", "application/json")
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data)

    def route(self, h, path, query, body):
        token = (h.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in self.tokens:
            raise Refused(401, "unauthorized", "this token is not known, or has expired")
        for method, pattern, role, name in ROUTES:
            match = re.fullmatch(pattern.replace("{}", "([A-Za-z0-9_.-]+)"), path)
            if match and method == h.command:
                if ROLES.index(self.tokens[token]) < ROLES.index(role):
                    raise Refused(403, "forbidden", f"this takes a token of the role {role}",
                                  f"godwit server token --role {role}")
                return getattr(self, name)(h, query, body, *match.groups())
        raise Refused(404, "not_found", "there is nothing of that name")

    def listed(self, items, query, key="id"):
        limit, after = int(query.get("limit", 100)), query.get("after")
        assert 1 <= limit <= 1000
        at = [i[key] for i in items].index(after) + 1 if after else 0
        page = items[at:at + min(limit, self.page)]
        more = at + len(page) < len(items)
        return 200, {"items": page, "next": page[-1][key] if more else None}

    @staticmethod
    def json(body, *names):
        tree = json.loads(body)
        if set(tree) - set(names):
            raise Refused(400, "bad_request", f"unknown: {sorted(set(tree) - set(names))}")
        return tree

    @staticmethod
    def one(things, name):
        if name not in things:
            raise Refused(404, "not_found", f"there is no {name}", "godwit device list shows them")
        return things[name]

    @staticmethod
    def octets(h, query, body, *_):
        return 200, {"version": len(body)}

    # ---- Devices ----

    def classes_list(self, h, query, body):
        return self.listed(list(self.classes.values()), query)

    def classes_add(self, h, query, body):
        o = self.json(body, "vendor", "name")
        o["id"] = hashlib.md5(json.dumps(o).encode()).hexdigest()
        self.classes[o["id"]] = o
        return 201, o

    def devices_list(self, h, query, body):
        found = [d for d in self.devices.values() if query.get("tag") in (None, *d["tags"])
                 and query.get("text", "") in d["id"] and query.get("state") in (None, d.get("state"))]
        return self.listed(found, query)

    def devices_add(self, h, query, body):
        o = self.json(body, "devices", "token")
        for d in o["devices"]:
            if set(d) - {"id", "class", "key", "tags"}:
                raise Refused(400, "bad_request", "unknown names")
            self.devices[d["id"]] = {"enabled": True, "tags": [], "state": None, "seen": 0, **d}
        answer = {"devices": len(o["devices"])}
        if o.get("token"):
            answer["tokens"] = [{"id": d["id"], "token": "gwd_of_" + d["id"]} for d in o["devices"]]
        return 201, answer

    def device(self, h, query, body, name):
        return 200, self.one(self.devices, name)

    def device_patch(self, h, query, body, name):
        self.one(self.devices, name).update(self.json(body, "enabled", "tags", "key", "token"))
        return 200, {}

    def device_why(self, h, query, body, name):
        self.one(self.devices, name)
        return 200, {"id": name, "words": ["It was never seen.", "No rollout serves it: it is offered nothing."]}

    def device_retry(self, h, query, body, name):
        self.one(self.devices, name)
        return 202, {}

    def device_reports(self, h, query, body, name):
        return self.listed([{"id": str(i), "received": 1700000000, "counter": i, "state": "FAILED",
                             "reason": "PAYLOAD_SHORT", "about": {"epoch": 1, "sequence": 2}, "bytes": 10, "again": 0,
                             "cose": "AA=="} for i in range(5, 0, -1)], query)

    # ---- Releases ----

    def releases_list(self, h, query, body):
        return self.listed([{k: v for k, v in r.items() if k != "files"} for r in self.releases.values()], query,
                           "digest")

    def release(self, h, query, body, digest):
        return 200, {k: v for k, v in self.one(self.releases, digest).items() if k != "files"}

    def release_begin(self, h, query, body):
        o = self.json(body, "manifest", "grants", "head")
        manifest = base64.b64decode(o["manifest"], validate=True)
        for grant in o["grants"]:
            base64.b64decode(grant, validate=True)
        name, sizes = self.expect(manifest)
        release = self.releases.setdefault(name, {"digest": name, "version": "1.1.0", "epoch": 1, "sequence": 2,
                                                  "state": "uploading", "created": 1700000000, "creator": "ann",
                                                  "files": {n: b"" for n in sizes}})
        release["sizes"] = sizes
        return 200, {"digest": name, "payloads": [{"name": n, "size": s, "there": len(release["files"][n])}
                                                  for n, s in sizes.items()]}

    def expect(self, manifest):
        """Set by the test: (digest, {payload name: size}) for a manifest."""
        raise NotImplementedError

    def payload_put(self, h, query, body, digest, name):
        release = self.one(self.releases, digest)
        there, offset = release["files"][name], int(h.headers["Upload-Offset"])
        if len(body) > PART_MAX:
            raise Refused(413, "too_large", "a part has at most 4 MB")
        if self.cut is not None and self.cut <= 0:
            raise ConnectionAbortedError
        if offset != len(there):
            raise Refused(409, "offset", "that is not what is there", there=len(there))
        if self.cut is not None:
            self.cut -= 1
            if self.cut == 0:
                release["files"][name] = there + body[:len(body) // 2]
            if self.cut <= 0:
                raise ConnectionAbortedError
        release["files"][name] = there + body
        return 200, {"there": len(release["files"][name])}

    def release_finish(self, h, query, body, digest):
        release = self.one(self.releases, digest)
        for name, data in release["files"].items():
            if hashlib.sha256(data).hexdigest() != name:
                raise Refused(409, "FRAME_HASH", f"payload {name} is not what was signed")
        release["state"] = "ready"
        return 200, {"digest": digest, "state": "ready"}

    # ---- Rollouts ----

    def counts(self, rollout):
        return {**rollout, "devices": rollout.get("devices") or {"all": 4, "confirmed": 0, "staged": 0, "failed": 0,
                                                                 "offered": 0, "silent": 4, "other": 0}}

    def rollouts_list(self, h, query, body):
        return self.listed([self.counts(r) for r in self.rollouts.values()], query)

    def rollout(self, h, query, body, name):
        return 200, self.counts(self.one(self.rollouts, name))

    def rollout_devices(self, h, query, body, name):
        return self.listed([{"id": f"dev{i}", "state": "silent", "seen": 0} for i in range(4)], query)

    def rollout_new(self, h, query, body):
        o = self.json(body, "name", "release", "target", "priority")
        if len(o["target"]) != 1:
            raise Refused(400, "bad_request", "one target")
        o["id"] = f"r{len(self.rollouts) + 1}"
        self.rollouts[o["id"]] = {"state": "draft", "version": "1.1.0", "started": 0, **o}
        return 201, {"id": o["id"], "state": "draft"}

    def rollout_plan(self, h, query, body):
        self.json(body, "name", "release", "target", "priority")
        return 200, {"devices": 4, "there_already": 1, "served_by_another": 0, "bytes": 30000, "groups": [
            {"running": {"epoch": 1, "sequence": 1}, "known": True, "devices": 3, "payload": "delta", "bytes": 10000}]}

    def rollout_act(self, h, query, body, name, verb):
        allowed = {"start": ["draft"], "pause": ["running"], "resume": ["paused"],
                   "abort": ["draft", "running", "paused"]}
        state = {"start": "running", "pause": "paused", "resume": "running", "abort": "aborted"}
        r = self.one(self.rollouts, name)
        if verb not in allowed:
            raise Refused(404, "not_found", "there is nothing of that name")
        if r["state"] not in allowed[verb]:
            raise Refused(409, "CONFLICT", f"it is {r['state']}", "godwit rollout status")
        r["state"] = state[verb]
        return 200, {"id": name, "state": r["state"]}

    # ---- The rest ----

    def tokens_list(self, h, query, body):
        return self.listed([{"id": f"t{i}", "name": n, "role": r, "created": 1700000000, "expires": 1800000000,
                             "creator": "ann"} for i, (n, r, _) in enumerate(self.made)], query)

    def tokens_add(self, h, query, body):
        o = self.json(body, "name", "role", "expires")
        self.made.append((o["name"], o["role"], o["expires"]))
        token = f"gwa_made_{len(self.made)}"
        self.tokens[token] = o["role"]
        return 201, {"id": f"t{len(self.made) - 1}", "token": token}

    def tokens_delete(self, h, query, body, name):
        return 204, None

    def audit_list(self, h, query, body):
        return self.listed(self.audit, query)

    def events(self, h, query, body):
        h.send_response(200)
        h.send_header("Content-Type", "text/event-stream")
        h.end_headers()
        h.wfile.write(b": hello\n\n")
        h.wfile.flush()
        self.listeners.append(h.wfile)
        while h.wfile in self.listeners:
            threading.Event().wait(0.05)
        h.close_connection = True
        return None, None


ROUTES = [
    ("GET", "/api/v1/classes", "viewer", "classes_list"), ("POST", "/api/v1/classes", "admin", "classes_add"),
    ("GET", "/api/v1/devices", "viewer", "devices_list"), ("POST", "/api/v1/devices", "operator", "devices_add"),
    ("GET", "/api/v1/devices/{}", "viewer", "device"), ("PATCH", "/api/v1/devices/{}", "operator", "device_patch"),
    ("GET", "/api/v1/devices/{}/why", "viewer", "device_why"),
    ("POST", "/api/v1/devices/{}/retry", "operator", "device_retry"),
    ("GET", "/api/v1/devices/{}/reports", "viewer", "device_reports"),
    ("GET", "/api/v1/releases", "viewer", "releases_list"), ("GET", "/api/v1/releases/{}", "viewer", "release"),
    ("POST", "/api/v1/releases", "publisher", "release_begin"),
    ("PUT", "/api/v1/releases/{}/payloads/{}", "publisher", "payload_put"),
    ("POST", "/api/v1/releases/{}/finish", "publisher", "release_finish"),
    ("GET", "/api/v1/rollouts", "viewer", "rollouts_list"), ("GET", "/api/v1/rollouts/{}", "viewer", "rollout"),
    ("GET", "/api/v1/rollouts/{}/devices", "viewer", "rollout_devices"),
    ("POST", "/api/v1/rollouts", "operator", "rollout_new"),
    ("POST", "/api/v1/rollouts/plan", "viewer", "rollout_plan"),
    ("PUT", "/api/v1/trust", "admin", "octets"), ("PUT", "/api/v1/classes/{}/head", "publisher", "octets"),
    ("POST", "/api/v1/rollouts/{}/{}", "operator", "rollout_act"),
    ("GET", "/api/v1/tokens", "admin", "tokens_list"), ("POST", "/api/v1/tokens", "admin", "tokens_add"),
    ("DELETE", "/api/v1/tokens/{}", "admin", "tokens_delete"), ("GET", "/api/v1/audit", "admin", "audit_list"),
    ("GET", "/api/v1/events", "viewer", "events"),
]
