"""What the tests of the API start from: keys, a trust bundle, releases, certificates, and a real godwitd."""
import hashlib
import http.client
import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/web"))
from pki import Pki  # noqa: E402,F401
from place import BIN, Score  # noqa: E402,F401
from place import run as godwit  # noqa: E402

ROLES = ["none", "viewer", "publisher", "operator", "admin"]
CLASS = ["--vendor", "example.com", "--class", "sensor-c3"]
FRAME = 1024


class Keys:
    """Keys, bundle and releases, made by the command line, in the working directory."""

    def __init__(self):
        for name in ("root1", "root2", "author", "author2", "distributor", "mallory", "group"):
            godwit("godwit", "key", "new", f"{name}.pem")
        Path("roots.pem").write_text(Path("root1.pub.pem").read_text() + Path("root2.pub.pem").read_text())
        self.bundle("trust.cose", 1)
        noise = os.urandom(20_000)
        Path("v1.bin").write_bytes(noise)
        Path("v2.bin").write_bytes(noise[:9000] + b"mended" + noise[9000:])
        Path("v3.bin").write_bytes(os.urandom(20_000))
        self.serial = 10
        self.release("rel-1.0", "1.0.0", "v1.bin")
        self.release("rel-1.1", "1.1.0", "v2.bin", "--delta-from", "rel-1.0", "--with", "group.pem")
        self.release("rel-2.0", "2.0.0", "v3.bin")
        self.release("rel-0.5", "0.5.0", "v3.bin", head=None)

    @staticmethod
    def bundle(out, version, *more, author="author.pem", roots=("root1.pem", "root2.pem")):
        godwit("godwit", "key", "bundle", *[a for r in roots for a in ("--root", r)], "--author", author,
               "--distributor", "distributor.pem", "--version", version, "--epoch", 1, "-o", out, *more)
        return out

    def release(self, folder, version, image, *more, key="author", head=(), names=CLASS):
        godwit("godwit", "release", "build", image, "--version", version, *names, "--frame-size", FRAME,
               "--encrypt-to", "group.pub.pem", "-o", folder, *more)
        godwit("godwit", "release", "sign", folder, "--key", f"{key}.pem")
        if head is not None:
            godwit("godwit", "release", "head", folder, "--key", "distributor.pem", "--serial", self.serial,
                   *head)
            self.serial += 1
        return folder


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.json = None
        if body and headers.get("content-type", "").startswith("application/json"):
            self.json = json.loads(body)

    @property
    def error(self):
        return (self.json or {}).get("error")

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Server:
    """godwitd over a folder. Admin and token door without TLS on loopback, devices with mutual TLS."""

    def __init__(self, folder, pki, *, options="", trust="trust.cose", data=None):
        self.folder = Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = Path(data).resolve() if data else self.folder / "data"
        cert, key = pki.server(str(self.folder / "server"))
        here = Path.cwd()
        self.config = self.folder / "godwitd.conf"
        self.config.write_text(f"""[server]
data = {self.data}
trust = {here / trust if trust else ''}
roots = {here / 'roots.pem'}
next_look = 5
{options}
[devices]
listen = 127.0.0.1:0
certificate = {Path(cert).resolve()}
key = {Path(key).resolve()}
client_ca = {Path(pki.ca).resolve()}
per_minute = 1000
[tokens]
listen = 127.0.0.1:0
per_minute = 1000
[payloads]
listen = 127.0.0.1:0
[admin]
listen = 127.0.0.1:0
per_address = 200
""")
        self.process = None
        self.tokens, self.seen = {}, []
        self.log = self.folder / "log"

    def start(self):
        self.port = {}
        at = self.log.stat().st_size if self.log.exists() else 0
        self.process = subprocess.Popen([BIN / "godwitd", self.config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=open(self.log, "ab"))
        end = time.monotonic() + 20
        while time.monotonic() < end:
            text = self.log.read_bytes()[at:].decode()
            if " ready\n" in text:
                break
            if self.process.poll() is not None:
                raise RuntimeError(f"godwitd did not start: {text}")
            time.sleep(0.02)
        for line in text.splitlines():
            words = dict(w.split("=", 1) for w in line.split() if "=" in w)
            if " listening " in line:
                self.port[words["door"]] = int(words["port"])
        return self

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout=30)
        return self.process.returncode

    def kill(self):
        return self.stop(signal.SIGKILL)

    def token(self, role, expires=None, name=None):
        """Written to the database, as `godwit server init` does: the server must not run."""
        text = "gwa_" + secrets.token_urlsafe(32)
        digest = hashlib.sha256(text.encode()).digest()
        db = sqlite3.connect(self.data / "godwit.db")
        with db:
            db.execute("INSERT INTO token(id, name, hash, role, created, creator, expires) VALUES(?,?,?,?,?,?,?)",
                       (digest[:8].hex(), name or f"the {role}", digest, ROLES.index(role), int(time.time()), "init",
                        expires or int(time.time()) + 86400))
        db.close()
        return text

    def first(self):
        """A first start makes the database; then tokens of all roles."""
        self.start().stop()
        self.tokens = {role: self.token(role) for role in ROLES[1:]}
        return self.start()

    def ask(self, method, path, body=None, *, role="admin", token=None, headers=None, door="admin", timeout=30):
        headers = dict(headers or {})
        text = token if token is not None else self.tokens.get(role, "")
        if text:
            headers["Authorization"] = f"Bearer {text}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port[door], timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            answer = Answer(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()
        if door == "admin":
            self.seen.append((method, path, answer))
        return answer

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.ask("POST", path, body, **more)


def base64_of(path):
    import base64
    return base64.b64encode(Path(path).read_bytes()).decode()


def begin(server, folder, **more):
    """POST /releases of a release folder."""
    folder = Path(folder)
    body = {"manifest": base64_of(folder / "manifest.cose")}
    grants = [base64_of(p) for p in sorted((folder / "grants").glob("*.cose"))] if (folder / "grants").is_dir() else []
    if grants:
        body["grants"] = grants
    if (folder / "head.cose").exists():
        body["head"] = base64_of(folder / "head.cose")
    body.update(more.pop("change", {}))
    return server.post("/api/v1/releases", body, role=more.pop("role", "publisher"), **more)


def put(server, digest, name, offset, data, **more):
    return server.ask("PUT", f"/api/v1/releases/{digest}/payloads/{name}", data,
                      headers={"Upload-Offset": str(offset)}, role=more.pop("role", "publisher"), **more)


def publish(server, folder, part=8192):
    """All of it; returns the digest."""
    begun = begin(server, folder)
    assert begun.status == 200, begun
    digest = begun.json["digest"]
    for payload in begun.json["payloads"]:
        data = (Path(folder) / "payloads" / payload["name"]).read_bytes()
        at = payload["there"]
        while at < len(data):
            answer = put(server, digest, payload["name"], at, data[at:at + part])
            assert answer.status == 200, answer
            at = answer.json["there"]
    done = server.post(f"/api/v1/releases/{digest}/finish", role="publisher")
    assert done.status == 200, done
    return digest


def roll_out(server, name, digest, target, start=True, **more):
    made = server.post("/api/v1/rollouts", {"name": name, "release": digest, "target": target, **more}, role="operator")
    assert made.status == 201, made
    if start:
        answer = server.post(f"/api/v1/rollouts/{made.json['id']}/start", role="operator")
        assert answer.status == 200, answer
    return made.json["id"]
