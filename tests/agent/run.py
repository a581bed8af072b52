#!/usr/bin/python3
"""A device that updates itself over HTTPS, end to end: godwit-device against servers that fail, lie or are hostile.

    clean        both clients against the fault server without faults: requests, connections, bytes on the wire
    faults       every fault at every request of an update, alternately with both clients (GODWIT_FULL=1: with each)
    hostile      certificates and offers with one thing wrong: reason, report, nothing written, the next look is fine
    images       images that crash, hang, never confirm, fail their self-test, crash later
    cuts         power cuts and faults together, sampled; a failure prints its seed: run.py --seed N
    life         budgets, clocks, reports, bundles over the air

Arguments choose some. Ends with `N passed, N failed`.
"""
import os
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from scene import BIN, CLASS, FRAME, Device, Scene, godwit, reports  # noqa: E402
from server import FaultServer  # noqa: E402

FULL = os.environ.get("GODWIT_FULL")
PORTS = ("curl", "common")
WORKERS = 16


def server(s, folder="www", name=None, **more):
    cert, key = s.pki.server(name or "server") if name else s.good
    return FaultServer(folder, cert, key, **more)


def payload_size(folder="www"):
    return min(p.stat().st_size for p in Path(folder, "payloads").iterdir())


# ---- No faults -------------------------------------------------------------------------------------------------------

def clean(s):
    for ports in PORTS:
        device = Device(f"clean-{ports}")
        with server(s, reports=f"reports-clean-{ports}") as web:
            code = device.run(web.url, ports=ports)
            asked, connections = web.requests, web.connections
        s.holds(f"clean, {ports}: updated", code == 0 and device.version() == "1.1.0", device.said)
        offers = [r for r in asked if "/offers/" in r.path]
        ranges = [r for r in asked if "/payloads/" in r.path]
        size = payload_size()
        s.holds(f"clean, {ports}: ranges of 6000 bytes", len(ranges) == -(-size // 6000), str(asked))
        s.holds(f"clean, {ports}: two looks, to update and to confirm", len(offers) == 2, str(asked))
        s.holds(f"clean, {ports}: one connection for each session", connections == 2, str(connections))
        s.holds(f"clean, {ports}: nothing read twice", device.read() == size, device.said)
        manifest = len(Path("rel-1.1.0/manifest.cose").read_bytes())
        counts = device.of("COUNTS")
        if ports == "curl":  # HTTP without TLS; the confirming session is counted too
            wire = sum(c["received"] + c["sent"] for c in counts)
            bound = size + manifest + 3072 + size // 100
            s.holds(f"clean: {wire} bytes of HTTP, at most {bound}", wire <= bound, str(counts))
        got = reports(f"reports-clean-{ports}")
        s.holds(f"clean, {ports}: reports", [r["state"] for r in got] == ["CONFIRMED", "STAGED", "CONFIRMED"], str(got))
        s.holds(f"clean, {ports}: counters grow", sorted({r["counter"] for r in got}) == [r["counter"] for r in got])
        with server(s) as web:
            device.run(web.url, ports=ports)
        s.holds(f"clean, {ports}: a look that finds nothing new", len(device.of("NOTHING")) >= 2, device.said)
        device.remove()


def people(s):
    """What somebody reads who starts a device by hand: what it waits for, what went wrong, what to do next."""
    device = Device("people")

    def said(*more, seconds=2):
        with server(s) as web:
            done = subprocess.run([str(BIN / "godwit-device"), "run", device.folder, "--server", web.url, *more,
                                   "--seconds", str(seconds)], capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    code, out, err = said("--ca", "pki/ca.pem", "--interval", "86400", "--clock", "none")
    s.holds("people: the first look is announced", code == 1 and "looks for an update in " in out, out + err)
    s.holds("people: the end says what to do", "was not done within 2 s\nnext: " in err and "--interval" in err, err)
    code, out, err = said("--ca", "nothing.pem")
    s.holds("people: a CA that is not there", code == 3 and "nothing.pem\nnext: give a file with CA" in err, err)
    code, out, err = said("--ca", "pki/ca.pem", "--interval", "5", "--offer", "elsewhere")
    s.holds("people: an offer that is not there is named", "status 404 when asked for https://" in out and
            "/elsewhere" in out, out + err)
    code, out, err = said("--ca", "pki/ca.pem", "--interval", "5", "--looks", "1", seconds=60)
    s.holds("people: nobody waits for what comes at once", code == 0 and "is confirmed" in out, out + err)
    device.remove()


# ---- Faults ----------------------------------------------------------------------------------------------------------

# name, options; all of them are met at any request, and the update happens all the same
FAULTS = [("delay", {}), ("silent", {}), ("stall", {}), ("reset", {}), ("truncate", {}), ("corrupt", {}),
          ("duplicate", {}), ("whole", {}), ("wrong_range", {}), ("wrong_size", {}), ("no_range", {}),
          ("short_range", {}), ("more_range", {}), ("long_range", {}), ("no_length", {}), ("two_lengths", {}),
          ("chunked", {}), ("bad_chunk", {}), ("endless", {"size": 1 << 20}), ("endless_plain", {"size": 1 << 20}),
          ("drip", {}), ("redirect", {}), ("redirect", {"to": "https://elsewhere.example"}),
          ("redirect", {"to": "http://localhost"}), ("garbage", {}), ("header_flood", {}), ("etag_change", {}),
          ("etag_gone", {}), ("gzip", {}), ("interim", {}), ("close", {}), ("304", {}), ("204", {}), ("403", {}),
          ("404", {}), ("416", {}), ("500", {}), ("503", {})]
REQUESTS = 9  # offer, four or five ranges, reports, offer, reports


def one_fault(s, name, options, at, ports):
    what = f"{name}{options or ''} at request {at}, {ports}"
    device = Device(f"fault-{name}-{len(str(options))}-{at}-{ports}")
    try:
        with server(s, reports=f"{device.folder}-reports") as web:
            web.set(name, at=at, **options)
            code = device.run(web.url, ports=ports, looks=2 if name == "204" else 1)  # "nothing for you" is believed
        good = s.holds(f"{what}: updated all the same", code == 0 and device.version() == "1.1.0", device.said)
        twice = device.read() - payload_size()
        good &= s.holds(f"{what}: {twice} bytes read twice, at most a frame", twice <= FRAME + 32, device.said)
    finally:
        device.remove()
        shutil.rmtree(f"{device.folder}-reports", ignore_errors=True)


def faults(s):
    jobs = []
    for i, (name, options) in enumerate(FAULTS):
        for at in range(1, REQUESTS + 1):
            for ports in PORTS if FULL else (PORTS[(i + at) % 2],):
                jobs.append((s, name, options, at, ports))
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        for done in [pool.submit(one_fault, *job) for job in jobs]:
            done.result()


# ---- Hostile ---------------------------------------------------------------------------------------------------------

def refused(s, what, reasons, device, code_wanted, code, folder=None):
    s.holds(f"{what}: reason {reasons}", device.reasons() == reasons and code == code_wanted,
            f"{device.reasons()}, exit code {code}\n{device.said}")
    s.holds(f"{what}: nothing written", device.untouched())
    with server(s, reports=f"{device.folder}-reports") as web:
        device.run(web.url)
    s.holds(f"{what}: the next look is fine", device.version() == "1.1.0", device.said)
    got = reports(f"{device.folder}-reports") + (reports(folder) if folder and Path(folder).exists() else [])
    s.holds(f"{what}: reported", reasons <= {r["reason"] for r in got}, str(got))
    device.remove()


def certificate(s, what, reason, ports, *more, cert=None, ca="pki/ca.pem"):
    """A server with a certificate that has one thing wrong, or a device with a clock that has."""
    template = "template-headless" if what == "clock behind" else "template"
    device = Device(f"cert-{what.replace(' ', '-')}-{ports}", template)
    with FaultServer("www", *(cert or s.good)) as web:
        code = device.run(web.url, *more, ports=ports, ca=ca, seconds=3)
    refused(s, f"{what}, {ports}", {reason}, device, 1, code)


def certificates(s, pool):
    p, year = s.pki, 365 * 86400
    other = type(p)("pki-other")
    cases = [("expired", "CERT_EXPIRED", (), p.server("expired", days=(-30, -1))),
             ("not yet valid", "CERT_EARLY", (), p.server("early", days=(1, 30))),
             ("self-signed", "CERT_UNKNOWN", (), p.server("selfsigned", self_signed=True)),
             ("another CA", "CERT_UNKNOWN", (), other.server()),
             ("wrong name", "CERT_NAME", (), p.server("name", hosts=("elsewhere.example",))),
             ("wrong purpose", "CERT_PURPOSE", (), p.server("purpose", purpose=p_client())),
             ("clock ahead", "CERT_EXPIRED", ("--clock", 20 * year), None),
             ("clock behind", "CERT_EARLY", ("--clock", -20 * year), None)]  # and no head seen that would betray it
    revoked = p.server("revoked")
    cases.append(("revoked", "CERT_REVOKED", ("--crl", p.crl([revoked[0]])), revoked))
    return [pool.submit(certificate, s, what, reason, ports, *more, cert=cert)
            for what, reason, more, cert in cases for ports in PORTS]


def p_client():
    from pki import CLIENT
    return CLIENT


def offer(s, what, reason, repository, *more):
    device = Device(f"offer-{what.replace(' ', '-')}")
    folder = f"{device.folder}-first"
    damaged = reason in ("FORMAT", "LIMIT")  # perhaps on its way: it looks again, so somebody has to end the run
    with server(s, repository, reports=folder) as web:
        code = device.run(web.url, *more, seconds=3 if damaged else 60)
    refused(s, what, {reason}, device, int(damaged), code, folder=folder)


def swap(repository, change):
    """Changes the files of a copy of www; returns the copy."""
    shutil.copytree("www", repository)
    change(Path(repository), next(Path(repository, "offers").iterdir()))
    return repository


def make_offers(s):
    """Repositories with one thing wrong, and the reason that devices have to give."""
    s.release("0.9.0", "new.bin", folder="rel-older", head=("--serial", 5))
    s.publish("rel-older", "www-older")
    s.release("1.1.0", "new.bin", "--vendor", "example.com", "--class", "other", folder="rel-class", head=None)
    s.publish("rel-class", "www-class")
    offered = next(Path("www/offers").iterdir()).name
    next(Path("www-class/offers").iterdir()).rename(Path("www-class/offers") / offered)
    s.release("9.9.0", "new.bin", key="mallory", folder="rel-forged", head=None)
    godwit("godwit", "key", "bundle", "--root", "root1.pem", "--root", "root2.pem", "--author", "mallory.pem",
           "--version", 1, "--epoch", 1, "-o", "mallory.cose")
    s.publish("rel-forged", "www-forged", trust="mallory.cose")
    s.release("1.1.0", "new.bin", folder="rel-bare", head=None)
    s.publish("rel-bare", "www-bare")
    s.release("1.1.0", "new.bin", folder="rel-stale", head=("--issued-at", 1_700_000_000, "--serial", 1))
    s.publish("rel-stale", "www-stale")
    s.release("1.2.0", "small.bin", folder="rel-ahead", head=("--serial", 2_000_000_000, "--withdraw", "1.1001000"))
    return {
        "an older release": ("OLDER", "www-older"),
        "another class": ("CLASS", "www-class"),
        "a forged release": ("KEY_UNKNOWN", "www-forged"),
        "not CBOR": ("FORMAT", swap("www-garbage", lambda r, o: o.write_bytes(b"\xff" * 200))),
        "too long": ("LIMIT", swap("www-long", lambda r, o: o.write_bytes(o.read_bytes() + bytes(9000)))),
    }


def mixed_offer(manifest, head, out):
    """An offer of parts from different times, as a hostile server would mix them (SPEC.md, section 7)."""
    import cbor2
    grants = [p.read_bytes() for p in Path(manifest, "grants").iterdir()]
    parts = {1: 1, 2: Path(manifest, "manifest.cose").read_bytes(), 3: grants, 4: Path(head, "head.cose").read_bytes()}
    out.write_bytes(cbor2.dumps(parts))


def head_offers(s):
    """A withdrawn release; a head that does not know the release yet; a head from before one that was seen."""
    s.release("1.2.0", "small.bin", folder="rel-next", head=("--serial", 3_000))
    behind = swap("www-behind", lambda r, o: mixed_offer("rel-next", "rel-1.0.0-head", o))
    withdrawn = swap("www-withdrawn", lambda r, o: mixed_offer("rel-1.1.0", "rel-ahead", o))
    return behind, withdrawn


def hostile(s):
    offers = make_offers(s)
    Path("rel-1.0.0-head").mkdir()
    shutil.copy("rel-1.0.0/head.cose", "rel-1.0.0-head/head.cose")
    behind, withdrawn = head_offers(s)
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        jobs = certificates(s, pool)
        for what, (reason, repository) in offers.items():
            jobs.append(pool.submit(offer, s, what, reason, repository))
        jobs.append(pool.submit(offer, s, "a head that is behind", "HEAD_BEHIND", behind))
        jobs.append(pool.submit(offer, s, "no head though required", "HEAD_MISSING", "www-bare", "--head-required"))
        jobs.append(pool.submit(offer, s, "a stale head", "HEAD_STALE", "www-stale", "--head-age", 86400))
        jobs.append(pool.submit(withdrawn_case, s, withdrawn))
        jobs.append(pool.submit(older_head_case, s))
        for job in jobs:
            job.result()


def withdrawn_case(s, repository):
    device = Device("offer-withdrawn")
    with server(s, repository) as web:
        code = device.run(web.url)
    s.holds("a withdrawn release: WITHDRAWN", device.reasons() == {"WITHDRAWN"} and code == 0, device.said)
    s.holds("a withdrawn release: nothing written", device.untouched())
    device.remove()


def older_head_case(s):
    """A new manifest with a head from before: the device has seen a newer head, and nobody gets it behind that."""
    device = Device("offer-older-head")
    with server(s) as web:
        device.run(web.url)
    old = swap("www-old-head", lambda r, o: mixed_offer("rel-next", "rel-stale", o))
    with server(s, old) as web:
        code = device.run(web.url)
    s.holds("a head older than one that was seen", device.reasons() == {"HEAD_OLDER"} and code == 0, device.said)
    s.holds("a head older than one that was seen: stays", device.version() == "1.1.0")
    device.remove()


# ---- Images ----------------------------------------------------------------------------------------------------------

def image(s, app, reason, *more, looks=1):
    device = Device(f"image-{app}")
    with server(s, reports=f"{device.folder}-reports") as web:
        code = device.run(web.url, "--app", app, *more, seconds=100, looks=looks)
    s.holds(f"{app}: went back", code == 0 and device.version() == "1.0.0", device.said)
    s.holds(f"{app}: {reason} is told once", [e["reason"] for e in device.of("LEFT")] == [reason], device.said)
    s.holds(f"{app}: is not tried again", "REJECTED_BEFORE" in device.reasons(), device.said)
    left = [r for r in reports(f"{device.folder}-reports") if r["state"] == "LEFT"]
    s.holds(f"{app}: reported once, with the release", len(left) == 1 and left[0]["reason"] == reason and
            left[0]["release"] is not None, str(left))
    device.remove()


def images(s):
    cases = [("crashes", "TRIES_USED"), ("hangs", "TRIES_USED"), ("fails-self-test", "SELF_TEST"),
             ("never-confirms", "CONFIRM_LATE", "--confirm", 6)]
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        jobs = [pool.submit(image, s, *case) for case in cases]
        jobs.append(pool.submit(image, s, "crashes-later", "CRASH_LOOP", looks=2))  # not done before it can crash
        for job in jobs:
            job.result()


# ---- Power cuts and faults -------------------------------------------------------------------------------------------

def one_cut(s, seed):
    r = random.Random(seed)
    device = Device(f"cut-{seed}")
    ports = r.choice(PORTS)
    size, cuts, hits = payload_size(), 0, 0
    with server(s) as web:
        for _ in range(6):
            if device.code == 0:
                break
            name, options = r.choice([f for f in FAULTS if f[0] not in ("silent", "stall", "drip", "204")])
            web.clear()
            web.set(name, at=r.randint(1, 5), **options)
            hits += 1
            device.run(web.url, "--cut-at", r.randint(2, 120), ports=ports, report=False)
            cuts += device.code == 77
        web.clear()
        if device.code != 0:
            device.run(web.url, ports=ports, report=False)
    what = f"seed {seed}: {cuts} cuts, {hits} faults, {ports}"
    s.holds(f"{what}: updated", device.code == 0 and device.version() == "1.1.0", device.said)
    kept = [e["b"] for e in device.of("PLAN")]
    s.holds(f"{what}: what was kept only grows", kept == sorted(kept), str(kept))
    sent = sum(max(0, q.sent) for q in web.requests if "/payloads/" in q.path)
    s.holds(f"{what}: the last attempt fetched what was missing", not device.of("STAGED") or
            device.of("STAGED")[-1]["read"] <= size - (kept[-1] if kept else 0) + (FRAME + 32), f"{sent} {device.said}")
    device.remove()


def cuts(s):
    first = int(sys.argv[sys.argv.index("--seed") + 1]) if "--seed" in sys.argv else None
    seeds = [first] if first is not None else [random.randrange(1 << 30) for _ in range(60 if FULL else 16)]
    print("cuts: seeds", *seeds)
    with ThreadPoolExecutor(max_workers=8) as pool:
        for job in [pool.submit(one_cut, s, seed) for seed in seeds]:
            job.result()


# ---- Life ------------------------------------------------------------------------------------------------------------

def budgets(s):
    device = Device("budget-bytes")
    with server(s) as web:
        code = device.run(web.url, "--bytes-per-day", 5000, seconds=4)
        got = sum(e["read"] for e in device.of("FAILED"))
        s.holds("bytes per day: BUDGET", "BUDGET" in device.reasons() and code == 1 and got == 5000, device.said)
        device.run(web.url, "--clock", 2 * 86400)
        s.holds("bytes per day: goes on tomorrow", device.version() == "1.1.0", device.said)
        s.holds("bytes per day: nothing twice", device.of("PLAN")[-1]["b"] >= 5000 - FRAME - 32, device.said)
    device.remove()


def no_clock(s):
    """Dates are not checked, and nothing else is left out; so with a clock that is behind a date that was signed."""
    expired = s.pki.server("expired2", days=(-30, -1))
    for what, clock in (("none", "none"), ("behind", -20 * 365 * 86400)):
        for ports in PORTS:
            device = Device(f"clock-{what}-{ports}")
            with FaultServer("www", *s.pki.server(f"name-{ports}-{what}", hosts=("elsewhere.example",))) as web:
                device.run(web.url, "--clock", clock, ports=ports, seconds=2)
            s.holds(f"clock {what}, {ports}: a wrong name is refused", device.reasons() == {"CERT_NAME"}, device.said)
            with FaultServer("www", *expired) as web:
                device.run(web.url, "--clock", clock, ports=ports)
            s.holds(f"clock {what}, {ports}: dates are not checked, and it updates", device.version() == "1.1.0",
                    device.said)
            device.remove()


def streamed(s):
    """A payload that does not fit beside its image is decoded as it comes; a cut goes back to a restart unit."""
    device = Device("streamed", "template-tight")
    with server(s, "www-tight") as web:
        code = device.run(web.url, "--cut-at", 50, report=False)
        s.holds("streamed: cut", code == 77, device.said)
        device.run(web.url, report=False)
    s.holds("streamed: goes on", device.version() == "1.1.0", device.said)
    device.remove()


def bundle_over_the_air(s):
    """A bundle that revokes nothing but is newer comes with an offer; pins in it are enforced from then on."""
    s.bundle("trust2.cose", 2, "--pin", s.pki.pin())
    s.publish("rel-1.1.0", "www-bundle", "--offer-trust", trust="trust2.cose")
    device = Device("bundle")
    with server(s, "www-bundle") as web:
        device.run(web.url)
    s.holds("a bundle over the air", len(device.of("TRUST")) == 1 and device.version() == "1.1.0", device.said)
    other = type(s.pki)("pki-unpinned")
    both = Path("both.pem")
    both.write_bytes(Path("pki/ca.pem").read_bytes() + other.ca.read_bytes())
    for ports in PORTS:
        with FaultServer("www", *other.server()) as web:
            device.run(web.url, ca=both, ports=ports, seconds=3)
    s.holds("a CA that the bundle does not pin", "CERT_PIN" in device.reasons(), device.said)
    with server(s) as web:
        code = device.run(web.url)
    s.holds("the CA that it pins", code == 0, device.said)
    device.remove()


def ca_over_the_air(s, ports):
    """The CA of the servers has expired. Its successor is in a newer bundle, which only a look without trust in the
    server can bring: if the policy is on. From then on that CA counts, and the old one does not."""
    old, new = type(s.pki)(f"pki-old-{ports}", days=(-1, 2)), type(s.pki)(f"pki-new-{ports}", name="The next CA")
    bundle, newer, www = f"ca1-{ports}.cose", f"ca2-{ports}.cose", f"www-ca-{ports}"
    s.bundle(bundle, 1, "--server-ca", old.ca)
    s.bundle(newer, 2, "--server-ca", new.ca)
    s.publish("rel-1.1.0", www, "--offer-trust", trust=newer)
    s.device(f"template-ca-{ports}", trust=bundle)
    device = Device(f"ca-{ports}", f"template-ca-{ports}")
    late, name = ("--clock", 5 * 86400), f"CAs of the bundle, {ports}"
    before, after = old.server("before"), new.server("after")
    with FaultServer(www, *before) as web:
        device.run(web.url, *late, ca=None, ports=ports, seconds=4)
    s.holds(f"{name}: the bundle's has expired", device.reasons() == {"CERT_EXPIRED"}, device.said)
    with FaultServer(www, *after) as web:
        device.run(web.url, *late, ca=new.ca, ports=ports, seconds=12)
        s.holds(f"{name}: another is unknown, though the device was given it",
                device.reasons() == {"CERT_EXPIRED", "CERT_UNKNOWN"}, device.said)
        s.holds(f"{name}: without the policy nothing comes", not device.of("TRUST") and device.version() == "1.0.0" and
                "LINK_TRUST" not in {e["reason"] for e in device.of("LOOK")}, device.said)
        device.run(web.url, *late, "--anonymous-after", 1, ca=None, ports=ports)
    untrusted = [e for e in device.of("LOOK") if e["reason"] == "LINK_TRUST"]
    s.holds(f"{name}: with it one look without trust brings the new bundle", len(device.of("TRUST")) == 1 and
            len(untrusted) == 1, device.said)
    s.holds(f"{name}: and the device is up to date", device.version() == "1.1.0", device.said)
    with FaultServer(www, *after) as web:
        code = device.run(web.url, *late, ca=None, ports=ports)
    s.holds(f"{name}: the new one is trusted", code == 0, device.said)
    device.events = []
    with FaultServer(www, *before) as web:
        device.run(web.url, ca=old.ca, ports=ports, seconds=4)
    s.holds(f"{name}: the old one is not any more", device.reasons() == {"CERT_UNKNOWN"}, device.said)
    device.remove()


def client_certificate(s):
    """The identity's key and certificate are what the device shows to a server that insists."""
    cert, key = s.pki.client("dev1")
    godwit("godwit", "device", "provision", "--id", "dev1", *CLASS, "--root", "root1.pub.pem", "--root",
           "root2.pub.pem", "--device-key", "group.pem", "--own-key", key, "--certificate", cert, "-o", "identity-tls")
    for ports in PORTS:
        for identity, good in (("identity-tls", True), ("identity", False)):
            folder = f"mtls-{ports}-{identity}"
            godwit("godwit-device", "init", folder, "--identity", identity, "--trust", "trust.cose", "--slot-size",
                   "64K")
            device = Device(folder + "-run", folder)
            with server(s, client_ca=s.pki.ca) as web:
                device.run(web.url, ports=ports, report=False, seconds=20 if good else 3)
            updated = device.version() == "1.1.0"
            s.holds(f"a server that asks for a certificate, {folder}", updated == good, device.said)
            device.remove()


def life(s):
    big = os.urandom(40_000)
    Path("tight.bin").write_bytes(big)
    s.release("1.1.0", "tight.bin", "--compress", "--no-raw", folder="rel-tight")
    s.publish("rel-tight", "www-tight")
    s.device("template-tight", "rel-1.0.0")
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        jobs = [pool.submit(job, s) for job in (budgets, no_clock, streamed, bundle_over_the_air, client_certificate)]
        jobs += [pool.submit(ca_over_the_air, s, ports) for ports in PORTS]
        for job in jobs:
            job.result()


def main():
    os.chdir(os.environ.get("GODWIT_TMP") or sys.exit("GODWIT_TMP: an empty folder"))
    parts = {f.__name__: f for f in (clean, people, faults, hostile, images, cuts, life)}
    chosen = [parts[a] for a in sys.argv[1:] if a in parts] or parts.values()
    s = Scene()
    s.good = s.pki.server("server")
    for part in chosen:
        part(s)
    return s.close()


if __name__ == "__main__":
    sys.exit(main())
