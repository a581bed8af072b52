"""A whole life with real devices: imported, looked, rolled out to, updated by a delta over mutual TLS, counted."""
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import reports
from scene import BIN, CLASS, Server, godwit, publish, roll_out

IDS = [f"life{i}" for i in range(6)]


def make_device(pki, name):
    cert, key = pki.client(name)
    godwit("godwit", "device", "provision", "--id", name, *CLASS, "--root", "root1.pub.pem", "--root", "root2.pub.pem",
           "--device-key", "group.pem", "--own-key", key, "--certificate", cert, "-o", f"{name}.identity")
    godwit("godwit-device", "init", name, "--identity", f"{name}.identity", "--trust", "trust.cose", "--slot-size",
           "64K")
    godwit("godwit-device", "install", name, "rel-1.0")
    godwit("godwit-device", "boot", name, "--cause", "software")
    godwit("godwit-device", "confirm", name)
    return reports.load(key)


def run_device(server, pki, name, *more):
    command = [BIN / "godwit-device", "run", name, "--server", f"https://localhost:{server.port['devices']}", "--offer",
               "device/v1/offer", "--report", "device/v1/report", "--ca", pki.ca, "--looks", "1", "--seconds", "40",
               "--interval", "5", "--json", *more]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    return done.stdout + done.stderr


def everybody(server, pki, names=IDS, *more):
    with ThreadPoolExecutor(max_workers=6) as pool:
        return dict(zip(names, pool.map(lambda name: run_device(server, pki, name, *more), names)))


def counts(server, rollout):
    got = server.get(f"/api/v1/rollouts/{rollout}").json["devices"]
    return {k: v for k, v in got.items() if v}


def first_looks(t, server, pki, digest):
    """Nothing is rolled out: they look, and say what they run."""
    said = everybody(server, pki)
    shown = server.get("/api/v1/devices?state=CONFIRMED").json["items"]
    t.holds("all said what they run", [d["version"] for d in shown] == ["1.0.0"] * 6, said)
    plan = server.post("/api/v1/rollouts/plan", {"name": "1.1", "release": digest, "target": {"all": True}}).json
    group = plan["groups"][0]
    t.holds("the plan: all of them, by the delta", plan["devices"] == 6 and len(plan["groups"]) == 1 and
            group["payload"] == "delta" and group["known"] and group["bytes"] < 8000, plan)


def update(t, server, pki, digest):
    rollout = roll_out(server, "1.1 to all", digest, {"all": True})
    before = counts(server, rollout)  # seen in the second of its start: offered
    t.holds("before they look again", before.get("silent", 0) + before.get("offered", 0) == 6, before)
    said = everybody(server, pki)
    t.holds("all of them confirmed", counts(server, rollout) == {"all": 6, "confirmed": 6},
            (counts(server, rollout), said[IDS[0]][-2000:]))
    versions = [d["version"] for d in server.get("/api/v1/devices").json["items"]]
    t.equal("all run 1.1", versions, ["1.1.0"] * 6)
    seen = server.get(f"/api/v1/devices/{IDS[0]}/reports").json["items"]
    t.equal("what a device told, newest first", [r["state"] for r in seen], ["CONFIRMED", "STAGED", "CONFIRMED"])
    plan = server.post("/api/v1/rollouts/plan", {"name": "x", "release": digest, "target": {"all": True}}).json
    t.holds("a plan after it: nothing to do", plan["bytes"] == 0, plan)
    return rollout


def failing(t, server, pki, digest):
    """To two of them; the image of one does not pass its own test."""
    rollout = roll_out(server, "2.0 to two", digest, {"ids": IDS[:2]})
    with ThreadPoolExecutor(max_workers=3) as pool:
        sick = pool.submit(run_device, server, pki, IDS[0], "--app", "fails-self-test")
        everybody(server, pki, IDS[1:4])
        sick.result()
    t.equal("one did, one went back", counts(server, rollout), {"all": 2, "confirmed": 1, "failed": 1})
    states = {m["id"]: m["state"] for m in server.get(f"/api/v1/rollouts/{rollout}/devices").json["items"]}
    t.equal("which one", states, {IDS[0]: "failed", IDS[1]: "confirmed"})
    why = server.get(f"/api/v1/devices/{IDS[0]}/why").json
    t.holds("why says that it went back", any("went back" in w for w in why["words"]), why["words"])
    t.equal("others were left alone", server.get(f"/api/v1/devices/{IDS[2]}").json["version"], "1.1.0")
    told = [(r["state"], r["reason"]) for r in server.get(f"/api/v1/devices/{IDS[0]}/reports").json["items"]]
    t.holds("it told so", any(state == "LEFT" for state, _ in told), told)


def shut_out(t, server, pki, digest):
    """A disabled device gets nothing, and says that nobody lets it in."""
    server.ask("PATCH", f"/api/v1/devices/{IDS[5]}", {"enabled": False})
    roll_out(server, "2.0 to the last", digest, {"ids": IDS[4:]})
    everybody(server, pki, IDS[4:])
    versions = [server.get(f"/api/v1/devices/{d}").json["version"] for d in IDS[4:]]
    t.equal("a disabled device gets nothing", versions, ["2.0.0", "1.1.0"])


def audit(t, server):
    """Every change that was asked for and went well is in the log, with who and what."""
    log = server.get("/api/v1/audit?limit=1000").json["items"]
    changes = [a for m, _, a in server.seen if m != "GET" and a.status < 300]
    plans = [1 for m, path, a in server.seen if path.endswith("/plan") and a.status < 300]
    parts = [1 for m, path, a in server.seen if m == "PUT" and "/payloads/" in path and a.status < 300]
    people = [e for e in log if e["who"].startswith("the ")]
    t.equal("the audit log is complete", len(people), len(changes) - len(plans) - len(parts))
    t.holds("newest first", [int(e["id"]) for e in log] == sorted((int(e["id"]) for e in log), reverse=True))
    t.equal("the bundle of the configuration is in it", log[-1]["who"], "configuration")
    page, after, pages = [], "", 0
    while after is not None:
        got = server.get(f"/api/v1/audit?limit=7{after}").json
        page += got["items"]
        after = f"&after={got['next']}" if got["next"] else None
        pages += 1
    t.holds("by pages", [e["id"] for e in page] == [e["id"] for e in log] and pages > 1, pages)


def run(t, pki):
    server = Server("srv-life", pki)
    try:
        server.first()
        server.post("/api/v1/classes", {"vendor": "example.com", "name": "sensor-c3"})
        class_id = server.get("/api/v1/classes").json["items"][0]["id"]
        keys = {name: make_device(pki, name) for name in IDS}
        made = server.post("/api/v1/devices", {"devices": [
            {"id": name, "class": class_id, "key": reports.public(key).hex()} for name, key in keys.items()]})
        t.equal("imported", made.status, 201)
        publish(server, "rel-1.0")
        newer = publish(server, "rel-1.1")
        first_looks(t, server, pki, newer)
        update(t, server, pki, newer)
        newest = publish(server, "rel-2.0")
        failing(t, server, pki, newest)
        shut_out(t, server, pki, newest)
        audit(t, server)
        before = server.get("/api/v1/devices").json
        server.kill()
        server.start()
        t.equal("after kill -9 all of it is there", server.get("/api/v1/devices").json, before)
        server.stop()
        server.start()
        used = {i["name"]: i["used"] for i in server.get("/api/v1/tokens").json["items"]}
        t.holds("when tokens were used last is written down", time.time() - used["the admin"] < 60 and
                used["the viewer"] == 0, used)
        t.equal("ends in order", server.stop(), 0)
    finally:
        server.kill()
        for name in IDS:
            shutil.rmtree(name, ignore_errors=True)
    return server
