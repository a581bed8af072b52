"""Devices and rollouts: import all or none, tags, tokens, disable; precedence, share, ids; pause, abort; plan, why."""
import hashlib

import cbor2

from scene import publish, roll_out


def look(server, token):
    """The release (digest) that a device with a token is offered; None: nothing; or the status of a refusal."""
    answer = server.ask("GET", "/device/v1/offer", token=token, door="tokens")
    if answer.status == 204:
        return None
    if answer.status != 200:
        return answer.status
    offer = cbor2.loads(answer.body)
    manifests = [v for v in offer.values() if isinstance(v, bytes) and len(v) > 200]
    for cose in manifests:
        payload = cbor2.loads(cose)[2]
        if 1 in cbor2.loads(payload) and 4 in cbor2.loads(payload):
            digest = hashlib.sha256(payload).hexdigest()
            if any(r["digest"] == digest for r in server.get("/api/v1/releases").json["items"]):
                return digest
    return None


def import_devices(t, server, class_id):
    """All or none; returns tokens by id."""
    path = "/api/v1/devices"
    devices = [{"id": f"t{i}", "class": class_id, "tags": ["lab"] if i < 4 else []} for i in range(40)]
    made = server.post(path, {"devices": devices, "token": True}, role="operator")
    t.equal("imported", (made.status, made.json.get("devices")), (201, 40))
    t.equal("a token for each", len({d["token"] for d in made.json["tokens"]}), 40)
    bad = {
        "one is known": [{"id": "new1", "class": class_id}, {"id": "t3", "class": class_id}],
        "one twice": [{"id": "new1", "class": class_id}, {"id": "new1", "class": class_id}],
        "a class that is not there": [{"id": "new1", "class": class_id}, {"id": "new2", "class": "0" * 32}],
        "an id with +": [{"id": "new1", "class": class_id}, {"id": "a+b", "class": class_id}],
        "an id with #": [{"id": "new1", "class": class_id}, {"id": "#", "class": class_id}],
        "an id with /": [{"id": "new1", "class": class_id}, {"id": "a/b", "class": class_id}],
        "an id that is too long": [{"id": "new1", "class": class_id}, {"id": "x" * 49, "class": class_id}],
        "an empty id": [{"id": "new1", "class": class_id}, {"id": "", "class": class_id}],
        "a tag that is none": [{"id": "new1", "class": class_id, "tags": ["A B"]}],
        "a tag twice": [{"id": "new1", "class": class_id, "tags": ["a", "a"]}],
        "too many tags": [{"id": "new1", "class": class_id, "tags": [f"t{i}" for i in range(17)]}],
        "half a key": [{"id": "new1", "class": class_id, "key": "00" * 32}],
        "nothing": [],
        "too many": [{"id": f"n{i}", "class": class_id} for i in range(1001)],
    }
    for name, devices in bad.items():
        answer = server.post(path, {"devices": devices}, role="operator")
        t.holds(f"import: {name}", answer.status in (400, 404, 409), answer)
        t.holds(f"import: {name}: a person learns why", len(answer.json["message"]) > 15, answer)
    t.equal("none of these is known", server.get(f"{path}/new1").status, 404)
    return {d["id"]: d["token"] for d in made.json["tokens"]}


def pages(t, server):
    seen, after = [], ""
    for _ in range(10):
        page = server.get(f"/api/v1/devices?limit=15{after}").json
        seen += [d["id"] for d in page["items"]]
        if not page["next"]:
            break
        after = f"&after={page['next']}"
    t.holds("pages hold every device once, in order", seen == sorted(set(seen)) and len(seen) >= 40, seen)
    t.equal("by tag", len(server.get("/api/v1/devices?tag=lab").json["items"]), 4)
    t.equal("by text", [d["id"] for d in server.get("/api/v1/devices?text=t39").json["items"]], ["t39"])
    t.equal("by state", server.get("/api/v1/devices?state=FAILED").json["items"], [])
    t.equal("of another class", server.get("/api/v1/devices?class=" + "0" * 32).json["items"], [])


def changing(t, server, tokens):
    path = "/api/v1/devices/t39"
    changed = server.ask("PATCH", path, {"tags": ["west"]}, role="operator")
    t.equal("tags", (changed.status, changed.json.get("tags")), (200, ["west"]))
    t.equal("nothing is changed by nothing", server.ask("PATCH", path, {}).json["tags"], ["west"])
    t.equal("it may look", look(server, tokens["t39"]), None)
    server.ask("PATCH", path, {"enabled": False}, role="operator")
    t.equal("disabled", look(server, tokens["t39"]), 403)
    server.ask("PATCH", path, {"enabled": True}, role="operator")
    t.equal("enabled again", look(server, tokens["t39"]), None)
    fresh = server.ask("PATCH", path, {"token": True}, role="operator").json["new_token"]
    t.equal("its old token is void", look(server, tokens["t39"]), 401)
    t.equal("its new one is not", look(server, fresh), None)
    t.holds("tokens are not shown again", fresh not in server.get(path).body.decode())
    for name, change in (("unknown name", {"id": "x"}), ("a tag", {"tags": "west"}), ("enabled", {"enabled": 1}),
                         ("token false", {"token": False}), ("key", {"key": "xyz"})):
        t.equal(f"PATCH: {name}", server.ask("PATCH", path, change, role="operator").status, 400)
    t.equal("retry", server.post(f"{path}/retry", role="operator").json, {"notified": False})
    t.equal("retry of nobody", server.post("/api/v1/devices/nobody/retry", role="operator").status, 404)
    t.equal("deleted", server.ask("DELETE", path).status, 204)
    t.equal("refused", look(server, fresh), 401)
    t.equal("deleted twice", server.ask("DELETE", path).status, 404)
    t.equal("an admin's token is no device", look(server, server.tokens["admin"]), 401)
    t.equal("a device's token is no admin", server.get("/api/v1/devices", token=tokens["t1"]).status, 401)


def step(server, rollout, word, role="operator"):
    return server.post(f"/api/v1/rollouts/{rollout}/{word}", role=role)


def precedence(t, server, tokens, old, new):
    everybody = roll_out(server, "everybody", old, {"all": True})
    t.equal("all", {look(server, tokens[d]) for d in ("t0", "t5", "t20")}, {old})
    lab = roll_out(server, "the lab", new, {"tag": "lab"})
    t.equal("of equals the one that was started last", (look(server, tokens["t0"]), look(server, tokens["t5"])),
            (new, old))
    first = roll_out(server, "first", old, {"ids": ["t0", "t1", "nobody"]}, priority=5)
    t.equal("the highest priority", (look(server, tokens["t0"]), look(server, tokens["t2"])), (old, new))
    why = server.get("/api/v1/devices/t0/why").json
    t.holds("why says it", any("first" in w and "serves it" in w for w in why["words"]) and
            any("the lab" in w and "lower priority" in w for w in why["words"]), why["words"])
    t.equal("why: one serves", [r["name"] for r in why["rollouts"] if r["serves"]], ["first"])
    t.equal("pause", step(server, first, "pause").json.get("state"), "paused")
    t.equal("paused: the next one serves", look(server, tokens["t0"]), new)
    t.equal("resume", step(server, first, "resume").json.get("state"), "running")
    t.equal("resumed", look(server, tokens["t0"]), old)
    for rollout in (first, lab):
        t.equal("abort", step(server, rollout, "abort").json.get("state"), "aborted")
    t.equal("aborted", look(server, tokens["t0"]), old)
    for word, code in (("start", 409), ("pause", 409), ("resume", 409), ("abort", 409), ("explode", 404)):
        t.equal(f"{word} of what was aborted", step(server, lab, word).status, code)
    t.equal("start of nothing", step(server, "nothing", "start").status, 404)
    step(server, everybody, "abort")
    t.equal("nothing is left", look(server, tokens["t0"]), None)


def shares(t, server, tokens, digest):
    def holds(rollout, share):
        return {d for d in tokens if int.from_bytes(
            hashlib.sha256(f"{rollout}{d}".encode()).digest()[:4], "big") % 1000 < share}

    ids = set(tokens) - {"t39"}
    half = roll_out(server, "half", digest, {"share": 500})
    got = {d for d in ids if look(server, tokens[d]) == digest}
    t.equal("a share is that of SPEC.md", got, holds(half, 500) - {"t39"})
    members = server.get(f"/api/v1/rollouts/{half}/devices?limit=1000").json["items"]
    t.equal("its devices are listed", {m["id"] for m in members}, got)
    counts = server.get(f"/api/v1/rollouts/{half}").json["devices"]
    t.holds("counts add up", counts["all"] == len(got) == sum(v for k, v in counts.items() if k != "all"), counts)
    t.equal("seen and offered", counts["offered"], len(got))
    step(server, half, "abort")


def wrong_rollouts(t, server, digest):
    good = {"name": "x", "release": digest, "target": {"all": True}}
    bad = {"no target": {k: v for k, v in good.items() if k != "target"}, "no name": {**good, "name": ""},
           "two targets": {**good, "target": {"all": True, "tag": "lab"}}, "empty target": {**good, "target": {}},
           "all false": {**good, "target": {"all": False}}, "share 0": {**good, "target": {"share": 0}},
           "share 1001": {**good, "target": {"share": 1001}}, "no ids": {**good, "target": {"ids": []}},
           "an id that is none": {**good, "target": {"ids": ["a/b"]}}, "priority": {**good, "priority": 1001},
           "a tag that is none": {**good, "target": {"tag": "A"}}, "release": {**good, "release": "xyz"},
           "phases": {**good, "phases": []}}
    for name, body in bad.items():
        for path in ("/api/v1/rollouts", "/api/v1/rollouts/plan"):
            answer = server.post(path, body, role="operator")
            t.equal(f"POST {path}: {name}", answer.status, 400)
    gone = server.post("/api/v1/rollouts", {**good, "release": "0" * 64})
    t.equal("a release that is not there", gone.status, 404)
    plan = server.post("/api/v1/rollouts/plan", good, role="viewer")
    t.holds("a plan", plan.status == 200 and plan.json["devices"] == 39 and plan.json["bytes"] > 39 * 1000, plan)


def run(t, server, class_id, old):
    tokens = import_devices(t, server, class_id)
    pages(t, server)
    new = publish(server, "rel-1.1")
    changing(t, server, tokens)
    precedence(t, server, tokens, old, new)
    shares(t, server, tokens, new)
    wrong_rollouts(t, server, new)
    names = [r["name"] for r in server.get("/api/v1/rollouts").json["items"]]
    t.equal("rollouts in the order of their creation", names, ["everybody", "the lab", "first", "half"])
    return new
