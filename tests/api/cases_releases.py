"""Releases, heads and bundles that the server refuses, each by the reason that a device would give."""
import base64
import shutil
from pathlib import Path

from scene import Server, base64_of, begin, publish, put, roll_out


def make(keys):
    keys.release("r-plain", "3.0.0", "v1.bin", head=None)
    for name in ("r-forged", "r-cut", "r-more", "r-badgrant", "r-nogrant", "r-fakehead", "r-bighead"):
        shutil.copytree("r-plain", name)
    manifest = bytearray(Path("r-forged/manifest.cose").read_bytes())
    manifest[-3] ^= 1
    Path("r-forged/manifest.cose").write_bytes(manifest)
    Path("r-cut/manifest.cose").write_bytes(Path("r-cut/manifest.cose").read_bytes()[:-9])
    Path("r-more/manifest.cose").write_bytes(Path("r-more/manifest.cose").read_bytes() + b"x")
    next(Path("r-badgrant/grants").iterdir()).write_bytes(b"no grant")
    shutil.rmtree("r-nogrant/grants")
    keys.release("r-mallory", "3.0.0", "v1.bin", key="mallory", head=None)
    keys.release("r-role", "3.0.0", "v1.bin", key="distributor", head=None)
    keys.release("r-old", "3.0.0", "v1.bin", "--use-before", "1000000", head=None)
    keys.release("r-epoch", "3.0.0", "v1.bin", "--epoch", "7", head=None)
    keys.release("r-withdrawn", "3.0.0", "v1.bin", head=("--withdraw", "1.3000000"))
    keys.release("r-class", "3.0.0", "v1.bin", names=["--vendor", "example.com", "--class", "other"], head=None)
    keys.release("r-otherhead", "3.0.0", "v1.bin", names=["--vendor", "example.com", "--class", "other"])
    shutil.copy("r-otherhead/head.cose", "r-fakehead/head.cose")
    keys.release("r-behind", "2.9.0", "v1.bin")
    shutil.copy("r-behind/head.cose", "r-bighead/head.cose")
    keys.release("r-twin", "3.0.0", "v2.bin", head=None)


REFUSED = [("r-forged", 409, "SIGNATURE"), ("r-cut", 409, "TRUNCATED"), ("r-more", 409, "TRAILING"),
           ("r-mallory", 409, "KEY_UNKNOWN"), ("r-role", 409, "KEY_ROLE"), ("r-old", 409, "EXPIRED"),
           ("r-epoch", 409, "EPOCH"), ("r-withdrawn", 409, "WITHDRAWN"), ("r-class", 404, "not_found"),
           ("r-fakehead", 409, "HEAD_OTHER"), ("r-bighead", 409, "HEAD_BEHIND"), ("r-badgrant", 409, None),
           ("r-nogrant", 409, "NO_KEY")]


def refused(t, server):
    for folder, status, code in REFUSED:
        answer = begin(server, folder)
        t.holds(f"{folder} is refused", answer.status == status and code in (None, answer.error), answer)
        t.holds(f"{folder}: a person learns why", len((answer.json or {}).get("message", "")) > 20, answer)
    junk = {"text": base64.b64encode(b"hello").decode(), "spaces": "AA AA", "no base64": "%%%%", "empty": "",
            "unpadded": "QQ", "large": base64.b64encode(b"x" * 20000).decode()}
    for name, text in junk.items():
        answer = begin(server, "r-plain", change={"manifest": text})
        t.holds(f"manifest: {name}", answer.status in (400, 409), answer)
    answer = begin(server, "r-plain", change={"grants": ["AAAA"] * 257})
    t.equal("too many grants", answer.status, 400)
    t.equal("grants that are no texts", begin(server, "r-plain", change={"grants": [5]}).status, 400)
    t.equal("none of them is there", server.get("/api/v1/releases").json["items"], [])


def heads(t, server, keys, class_id):
    path = f"/api/v1/classes/{class_id}/head"

    def head(body, ident=path):
        return server.ask("PUT", ident, body, role="publisher")

    good = Path("r-behind/head.cose").read_bytes()
    t.equal("a head", head(good).status, 200)
    t.equal("the same again", (head(good).status, head(good).error), (409, "HEAD_OLDER"))
    older = head(Path("rel-1.0/head.cose").read_bytes())
    t.equal("an older one", (older.status, older.error), (409, "HEAD_OLDER"))
    other = head(Path("r-otherhead/head.cose").read_bytes())
    t.equal("of another class", (other.status, other.error), (409, "HEAD_OTHER"))
    t.equal("at a class that it does not name", head(good, f"/api/v1/classes/{'0' * 32}/head").error, "HEAD_OTHER")
    t.equal("what is none", head(b"nothing").status, 409)
    t.equal("empty", head(b"").status, 400)
    listed = server.get("/api/v1/classes").json["items"]
    t.holds("the class shows it", any(c["id"] == class_id and c["head"]["serial"] for c in listed), listed)


def bundles(t, server, keys):
    path = "/api/v1/trust"
    keys.bundle("trust-few.cose", 5, roots=("root1.pem", "mallory.pem"))
    keys.bundle("trust-2.cose", 2, "--author", "author2.pem", "--revoke", "author.pem", author="author.pem")
    answer = server.ask("PUT", path, Path("trust-few.cose").read_bytes())
    t.equal("by a root of somebody else", (answer.status, answer.error), (409, "KEY_UNKNOWN"))
    answer = server.ask("PUT", path, Path("trust.cose").read_bytes())
    t.equal("not newer", (answer.status, answer.error), (409, "TRUST_OLDER"))
    t.equal("what is none", server.ask("PUT", path, b"nothing").status, 409)
    t.equal("still the first", server.get(path).json["version"], 1)
    answer = server.ask("PUT", path, Path("trust-2.cose").read_bytes())
    t.equal("a newer one", (answer.status, answer.json), (200, {"version": 2}))
    t.equal("is shown", server.get(path).json["cose"], base64_of("trust-2.cose"))


def revoked(t, server, before):
    """Bundle 2 revokes the author: what was published before cannot be started any more."""
    answer = begin(server, "r-twin")
    t.equal("signed by a revoked key", (answer.status, answer.error), (409, "KEY_REVOKED"))
    answer = server.post(f"/api/v1/rollouts/{before}/start", role="operator")
    t.equal("a draft of a release whose key was revoked", (answer.status, answer.error), (409, "KEY_REVOKED"))


def deleting(t, server, digest, needed):
    path = f"/api/v1/releases/{needed}"
    t.equal("a rollout needs it", server.ask("DELETE", path).status, 409)
    t.equal("it is there", server.get(path).status, 200)
    t.equal("a release of nobody", server.ask("DELETE", f"/api/v1/releases/{digest}").status, 204)
    t.equal("it is gone", server.get(f"/api/v1/releases/{digest}").status, 404)


def run(t, keys, pki):
    """On a server of its own: the bundle changes."""
    make(keys)
    server = Server("srv-releases", pki)
    try:
        server.first()
        server.post("/api/v1/classes", {"vendor": "example.com", "name": "sensor-c3"})
        class_id = server.get("/api/v1/classes").json["items"][0]["id"]
        t.equal("the same class again", server.post("/api/v1/classes", {"vendor": "example.com", "name": "sensor-c3"})
                .status, 409)
        refused(t, server)
        digest = publish(server, "r-plain")
        twin = begin(server, "r-twin")
        t.holds("another of the same sequence", twin.status == 409 and "sequence" in twin.json["hint"], twin)
        spare = begin(server, "rel-0.5").json["digest"]
        draft = roll_out(server, "draft", digest, {"all": True}, start=False)
        deleting(t, server, spare, digest)
        heads(t, server, keys, class_id)
        bundles(t, server, keys)
        revoked(t, server, draft)
        t.equal("ends in order", server.stop(), 0)
    finally:
        server.kill()
    return server


def unverifiable(t, pki):
    """Without a bundle nothing can be checked: so nothing is taken."""
    server = Server("srv-bare", pki, trust=None)
    try:
        server.first()
        t.equal("no bundle", server.get("/api/v1/trust").status, 404)
        server.post("/api/v1/classes", {"vendor": "example.com", "name": "sensor-c3"})
        answer = begin(server, "rel-0.5")
        t.holds("nothing is taken", answer.status == 404 and "trust" in answer.json["message"], answer)
        t.equal("no parts either", put(server, "0" * 64, "0" * 64, 0, b"x").status, 404)
    finally:
        server.stop()
