#!/usr/bin/python3
"""The transport on libcurl against nginx and against a server that fails on demand. Loopback only.

Each case runs curl-transport (curl_main.c) with commands and compares the result of each with what SPEC.md, section 16
says. GODWIT_BIN: the folder of the programs; GODWIT_TMP: an empty folder. Ends with `N passed, N failed`.
"""
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

warnings.simplefilter("ignore")  # of the library for certificates, on its own future
from cryptography import x509
from cryptography.hazmat.primitives import serialization

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/web"), str(ROOT / "tests/netfaults")]
from nginx import Nginx  # noqa: E402
from pki import CLIENT, Pki  # noqa: E402
from server import FaultServer  # noqa: E402

BIN = Path(os.environ.get("GODWIT_BIN", ROOT / "build/host-asan/bin")).resolve()
PROGRAM = BIN.parent / "tests/curl-transport"
TMP = Path(os.environ.get("GODWIT_TMP") or tempfile.mkdtemp()).resolve()
SIZE, RANGE, BIG = 100_000, 30_000, 4 << 20
BUFFER = 65536  # bytes that the transport holds, and one piece of libcurl's
SLOWEST_CALL = 1000  # ms. A call takes 10 or so; a busy machine may stop the process for much longer
NOW = int(time.time())
passed = failed = 0
slowest = 0.0


def check(name, good, detail=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(f"{'ok' if good else 'FAILED'} {name}{'' if good else ': ' + str(detail)}", flush=True)


def run(url, roots, *commands, env=None, **options):
    """Runs the program; one dict for each command, or its message."""
    global slowest
    arguments = [PROGRAM, "--server", url]
    arguments += ["--roots", roots] if roots else []
    for name, value in {"stall": 400, "connect": 5000, "offer": "offers/one", **options}.items():
        for one in value if isinstance(value, list) else [value]:
            arguments += ["--" + name, str(one)]
    done = subprocess.run([str(a) for a in (*arguments, *commands)], capture_output=True, text=True, timeout=60,
                          env=dict(os.environ, **(env or {})))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    slowest = max([slowest] + [line["longest_ms"] for line in lines])
    if done.returncode != 0 or done.stderr:
        return [{"result": f"exit {done.returncode}", "why": done.stderr[-2000:], "bytes": 0}]
    return lines


def results(name, url, roots, expected, *commands, **options):
    """A case: the commands, and the result that each must have."""
    lines = run(url, roots, *commands, **options)
    got = [line["result"] for line in lines]
    check(name, got == expected, f"{got}, not {expected}: {[line['why'] for line in lines]}")
    return lines


class Repository:
    """A static repository with an offer, a payload, and some that are too large."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("offers", "payloads"):
            (folder / name).mkdir(parents=True)
        for name, size in (("one", 1900), ("most", 8192), ("more", 8193)):
            (folder / "offers" / name).write_bytes(bytes(i * 7 % 251 for i in range(size)))
        self.small, self.big = self.payload(SIZE), self.payload(BIG)
        self.get = f"payload:{self.small}:{SIZE}:{RANGE}"

    def payload(self, size):
        data = hashlib.shake_256(b"payload").digest(size)
        name = hashlib.sha256(data).hexdigest()
        (self.folder / "payloads" / name).write_bytes(data)
        return name


# ---- nginx -----------------------------------------------------------------------------------------------------

def one_connection(repo, pki):
    with Nginx(TMP / "nginx", repo.folder, *pki.server()) as server:
        lines = results("an offer, a payload by ranges, and a second look that finds the same", server.url, pki.ca,
                        ["OK", "OK", "NOTHING"], "offer", repo.get, "unchanged")
        log = [line.split() for line in server.log()]
        check("the payload is what it should be", lines[1]["sha256"] == repo.small and lines[1]["most"] == RANGE, lines)
        check("all requests ran over one connection", len({line[0] for line in log}) == 1 and len(log) == 6, log)
        check("the server saw the ranges and the 304",
              [line[5] for line in log] == ["200"] + ["206"] * 4 + ["304"] and log[1][4] == "bytes=0-29999", log)
        count = lines[-1]
        check("requests, connections and bytes are counted", count["requests"] == 6 and count["connections"] == 1 and
              count["sent"] == sum(int(line[7]) for line in log) and
              count["header"] + count["body"] == sum(int(line[6]) for line in log), (count, log))
        print(f"   offer, 4 ranges, 304: {count['requests']} requests, {count['connections']} connection, "
              f"{count['sent']} bytes sent, {count['header']} of headers and {count['body']} of bodies received")
        lines = results("requests that are closed with their last byte", server.url, pki.ca, ["OK"],
                        f"brief:{repo.small}:{SIZE}:1000")
        check("keep the connection", lines[0]["connections"] == 1 and lines[0]["asked"] == 100, lines)
        results("what is not there", server.url, pki.ca, ["HTTP_STATUS"], "offer", offer="offers/none")
        results("an address instead of a name", server.url.replace("localhost", "127.0.0.1"), pki.ca, ["OK"], "offer")
        results("a base with a path and a slash", server.url + "/offers/", pki.ca, ["OK"], "offer", offer="one")
        proxy = {name: "http://127.0.0.1:9" for name in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")}
        results("no proxy from the environment", server.url, pki.ca, ["OK"], "offer", env=proxy)
        secrets = TMP / "secrets"
        results("no secrets in files", server.url, pki.ca, ["OK", "OK"], "offer", "anonymous",
                env={"SSLKEYLOGFILE": str(secrets)})
        check("that the environment names", not secrets.exists() or b"SECRET" not in secrets.read_bytes())
        roots_folder(server, pki)


def roots_folder(server, pki):
    folder, empty = TMP / "roots", TMP / "empty"
    folder.mkdir()
    empty.mkdir()
    (folder / "ca.pem").write_bytes(pki.ca.read_bytes())
    subprocess.run(["openssl", "rehash", folder], check=True)
    results("roots in a folder", server.url, folder, ["OK"], "offer")
    trap = {"SSL_CERT_FILE": str(pki.ca), "SSL_CERT_DIR": str(folder), "CURL_CA_BUNDLE": str(pki.ca)}
    results("no roots but those that were given", server.url, empty, ["CERT_UNKNOWN"], "offer", env=trap)
    results("the system's roots do not have a CA of ours", server.url, None, ["CERT_UNKNOWN"], "offer")


def client_certificates(repo, pki):
    cert, key = pki.client("dev1")
    other_cert, other_key = pki.client("dev2")
    locked = TMP / "locked.key"
    subprocess.run(["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked], check=True)
    with Nginx(TMP / "nginx-client", repo.folder, *pki.server(), client_ca=pki.ca) as server:
        results("a client certificate is asked for and shown", server.url, pki.ca, ["OK", "OK"], "offer", repo.get,
                cert=cert, key=key)
        results("none is there", server.url, pki.ca, ["HTTP_STATUS"], "offer")
        results("an anonymous request shows none", server.url, pki.ca, ["HTTP_STATUS", "OK"], "anonymous", "offer",
                cert=cert, key=key)
    for name, pair in {"another key": (cert, other_key), "a key with a passphrase": (cert, locked),
                       "no key": (cert, other_cert), "no certificate": (key, key)}.items():
        got = run("https://localhost:9", pki.ca, "offer", cert=pair[0], key=pair[1])
        check(f"refused at once: {name}", got[0]["result"] == "exit 2" and "client" in got[0]["why"], got)


# ---- Certificates with one thing wrong ---------------------------------------------------------------------------

def signed_by_a_leaf(pki):
    """A server whose certificate was signed by another server's, which is no CA."""
    leaf, leaf_key = pki.server("leaf", hosts=("leaf.example",))
    forger = Pki(TMP / "forger")
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    forger.key = serialization.load_pem_private_key(leaf_key.read_bytes(), None)
    forger.name = x509.load_pem_x509_certificate(leaf.read_bytes()).subject
    cert, key = forger.server("forged")
    cert.write_bytes(cert.read_bytes() + leaf.read_bytes())
    return cert, key


def certificates(repo, pki):
    other, old = Pki(TMP / "other"), Pki(TMP / "old", days=(-30, -1))
    revoked, pinned = pki.server("revoked"), pki.server("pinned")
    right, wrong = pki.pin(), other.pin()
    cases = [  # name, certificate, roots, result, options
        ("expired", pki.server("expired", days=(-30, -1)), pki.ca, "CERT_EXPIRED", {}),
        ("expired, by a device without a clock", pki.server("expired2", days=(-30, -1)), pki.ca, "OK", {"now": 0}),
        ("not valid yet", pki.server("early", days=(1, 30)), pki.ca, "CERT_EARLY", {}),
        ("of an expired CA", old.server("of-old"), old.ca, "CERT_EXPIRED", {}),
        ("self-signed", pki.server("self", self_signed=True), pki.ca, "CERT_UNKNOWN", {}),
        ("for another host", pki.server("name", hosts=("other.example",)), pki.ca, "CERT_NAME", {}),
        ("for an address only", pki.server("address", hosts=("127.0.0.1",)), pki.ca, "CERT_NAME", {}),
        ("for clients", pki.server("purpose", purpose=CLIENT), pki.ca, "CERT_PURPOSE", {}),
        ("signed by a leaf", signed_by_a_leaf(pki), pki.ca, "CERT_PURPOSE", {}),
        ("revoked", revoked, pki.ca, "CERT_REVOKED", {"crl": pki.crl([revoked[0]])}),
        ("revoked, by a device without a clock", revoked, pki.ca, "CERT_REVOKED",
         {"crl": pki.crl([revoked[0]]), "now": 0}),
        ("not revoked", pki.server("fine"), pki.ca, "OK", {"crl": pki.crl([revoked[0]])}),
        ("and no CRL of its CA", pki.server("fine"), pki.ca, "TLS", {"crl": other.crl([])}),
        ("from a CA that is unknown", other.server("unknown"), pki.ca, "CERT_UNKNOWN", {}),
        ("from a CA that is unknown, without a clock", other.server("unknown"), pki.ca, "CERT_UNKNOWN", {"now": 0}),
        ("with another CA pinned", pki.server("fine"), pki.ca, "CERT_PIN", {"pin": wrong}),
        ("that is pinned itself, and no CA", pinned, pki.ca, "CERT_PIN", {"pin": pki.pin(pinned[0])}),
        ("with its CA pinned, among others", pki.server("fine"), pki.ca, "OK", {"pin": [wrong, right]}),
        ("and a clock in the past", pki.server("fine"), pki.ca, "CERT_EARLY", {"now": 1000}),
        ("and a clock in the future", pki.server("fine"), pki.ca, "CERT_EXPIRED", {"now": 0xffffffff}),
    ]
    for number, (name, (cert, key), roots, result, options) in enumerate(cases):
        with Nginx(TMP / f"nginx-{number}", repo.folder, cert, key) as server:
            lines = results(f"a certificate {name}", server.url, roots, [result], "offer", **options)
            check(f"a certificate {name}: and no byte of it", result == "OK" or
                  (lines[0]["bytes"] == 0 and not server.log() and lines[0]["why"]), (lines, server.log()))


def certificates_later(repo, pki):
    """What was verified once is verified anew when the terms change, though connection and session are kept."""
    other = Pki(TMP / "other2")
    with Nginx(TMP / "nginx-later", repo.folder, *pki.server("later", days=(-1, 1))) as server:
        results("pins that change", server.url, pki.ca, ["OK", "OK", "CERT_PIN", "OK", "OK"],
                "offer", "pin:" + other.pin(), "offer", "pin:" + pki.pin(), "offer")
        results("a certificate that expires between two looks", server.url, pki.ca, ["OK", "OK", "CERT_EXPIRED"],
                "offer", f"now:{NOW + 3 * 86400}", "offer")
        lines = results("time that goes on within its dates", server.url, pki.ca, ["OK", "OK", "OK"],
                        "offer", f"now:{NOW + 3600}", "offer")
        check("keeps the connection", lines[-1]["connections"] == 1, lines)
        results("a clock that is known only then", server.url, pki.ca, ["OK", "OK", "CERT_EXPIRED"],
                "offer", f"now:{NOW + 3 * 86400}", "offer", now=0)
        lines = results("anonymous, then checked", server.url, other.ca, ["OK", "CERT_UNKNOWN", "OK"],
                        "anonymous", "offer", "anonymous")
        check("anonymous requests have a connection of their own", lines[-1]["connections"] == 2, lines)
    with Nginx(TMP / "nginx-old", repo.folder, *pki.server(), tls=["TLSv1.1"],
               extra="ssl_ciphers ALL:@SECLEVEL=0;") as server:
        results("a server that speaks TLS 1.1 only", server.url, pki.ca, ["TLS", "TLS"], "offer", "anonymous")
    with Nginx(TMP / "nginx-12", repo.folder, *pki.server(), tls=["TLSv1.2"]) as server:
        results("a server that speaks TLS 1.2 only", server.url, pki.ca, ["OK", "OK"], "offer", repo.get)
    cert, key = pki.server("named", hosts=("updates.example.test",))
    with Nginx(TMP / "nginx-named", repo.folder, cert, key) as server:
        results("a name that is resolved as it is told", f"https://updates.example.test:{server.port}", pki.ca, ["OK"],
                "offer", resolve=f"updates.example.test:{server.port}:127.0.0.1")


def bundle_cas(repo, pki):
    """CAs of the trust bundle: they alone count, from the look on in which the bundle says so."""
    stranger, gone = Pki(TMP / "stranger3", name="A third CA"), Pki(TMP / "gone", name="Expired", days=(-30, -1))
    right, wrong, old = der(pki.cert, "right.der"), der(stranger.cert, "wrong.der"), der(gone.cert, "old.der")
    good = pki.server("bundled")
    leaf = der(x509.load_pem_x509_certificate(good[0].read_bytes()), "leaf.der")
    junk, tail = TMP / "junk.der", TMP / "tail.der"
    junk.write_bytes(bytes(100))
    tail.write_bytes(right.read_bytes() + b"x")
    empty = TMP / "nobody"
    empty.mkdir()
    cases = [  # name, roots, CAs of the bundle, options, result
        ("the bundle's, with the system's roots", None, [right], {}, "OK"),
        ("the bundle's, with none of its own", empty, [right], {}, "OK"),
        ("the wrong one", None, [wrong], {}, "CERT_UNKNOWN"),
        ("the wrong one instead of the right one", pki.ca, [wrong], {}, "CERT_UNKNOWN"),
        ("the right one instead of the wrong one", stranger.ca, [right], {}, "OK"),
        ("two, the first", empty, [right, wrong], {}, "OK"),
        ("two, the second", empty, [wrong, right], {}, "OK"),
        ("four", empty, [wrong, old, wrong, right], {}, "OK"),
        ("none at all", empty, [], {}, "CERT_UNKNOWN"),
        ("one that is no certificate", pki.ca, [junk], {}, "CRYPTO"),
        ("one after the right one that is none", pki.ca, [right, junk], {}, "CRYPTO"),
        ("bytes behind a certificate", pki.ca, [tail], {}, "CRYPTO"),
        ("the server's own certificate, which is no CA's", empty, [leaf], {}, "CRYPTO"),
        ("a wrong pin beside", empty, [right], {"pin": "00" * 32}, "CERT_PIN"),
        ("the right pin beside", empty, [right], {"pin": pki.pin()}, "OK"),
        ("a list of revoked ones beside", pki.ca, [right], {"crl": pki.crl([good[0]])}, "CERT_REVOKED"),
        ("a list of another CA", stranger.ca, [right], {"crl": stranger.crl([])}, "OK"),
    ]
    with Nginx(TMP / "nginx-bundle", repo.folder, *good) as server:
        for name, roots, cas, options, wanted in cases:
            more = {"cas": ",".join(map(str, cas))} if cas else {}
            results(f"CAs of the bundle: {name}", server.url, roots, [wanted], "offer", **more, **options)
        changed = ["OK"] + ["OK", "CERT_UNKNOWN"] + ["OK", "OK"] + ["OK", "OK"] + ["OK", "CRYPTO", "CERT_UNKNOWN"]
        both = f"{wrong},{right}"
        lines = results("changed between looks", server.url, None,
                        changed + ["OK", "OK", "OK"], "offer", f"cas:{wrong}", "offer", f"cas:{both}", "offer",
                        f"cas:{right}", "offer", f"cas:{junk}", "offer", f"payload:{repo.small}:{SIZE}:{RANGE}",
                        f"cas:{right}", "offer", "offer", cas=right)
        check("a look by other CAs has a connection of its own, one by the same keeps it",
              [line["connections"] for line in lines if line["command"] == "offer"][-2:] == [6, 6], lines)
        results("its own again when the bundle names none any more", server.url, pki.ca,
                ["OK", "OK", "CERT_UNKNOWN", "OK", "OK"], "offer", f"cas:{wrong}", "offer", "cas:", "offer")
        results("nobody is trusted, and trust is waived", server.url, empty, ["CERT_UNKNOWN", "OK"], "offer",
                "anonymous")
    with Nginx(TMP / "nginx-gone", repo.folder, *gone.server("of-gone")) as server:
        results("an expired CA in the bundle", server.url, None, ["CERT_EXPIRED"], "offer", cas=old)
        results("the same, without a clock", server.url, None, ["OK"], "offer", cas=old, now=0)


def der(cert, name):
    (TMP / name).write_bytes(cert.public_bytes(serialization.Encoding.DER))
    return TMP / name


# ---- Faults --------------------------------------------------------------------------------------------------------

# What a payload's second range ends with; the bytes of the first are there by then, and at most half of its own.
PAYLOAD_FAULTS = {
    "OK": ["delay", "short_range", "no_length", "endless_plain", "chunked", "interim", "close", "corrupt", "drip"],
    "RANGE": ["whole", "wrong_range", "wrong_size", "no_range", "more_range", "etag_change", "etag_gone", "416"],
    "HTTP": ["gzip", "garbage", "header_flood", "long_range", "two_lengths", "less_range", "endless"],
    "HTTP_STATUS": ["201", "204", "304", "400", "403", "404", "408", "429", "500", "503"],
    "TRANSPORT": ["reset", "truncate", "early_end"],
    "TIMEOUT": ["stall", "silent"],
}
OFFER_FAULTS = {
    "OK": ["chunked", "no_length", "interim", "delay", "drip", "close"],
    "LIMIT": ["endless", "endless_plain"],
    "NOTHING": ["204"],
    "HTTP": ["gzip", "garbage", "header_flood", "two_lengths", "bad_chunk"],
    "HTTP_STATUS": ["304", "201", "403", "500", "redirect"],
    "TRANSPORT": ["reset", "truncate"],
    "TIMEOUT": ["stall", "silent"],
}
REPORT_FAULTS = {
    "OK": ["201", "delay", "close"],
    "VALUE": ["403", "404", "416"],
    "HTTP_STATUS": ["408", "429", "500", "304", "redirect"],
    "HTTP": ["garbage", "header_flood"],
    "TIMEOUT": ["silent"],
}
DAMAGED = {"corrupt"}  # bytes that only the library can find wrong
PARTIAL = {"reset", "truncate", "stall", "early_end"}  # half of the range came
ALL_OF_IT = {"endless"}


def payload_bytes(fault, result):
    """How many bytes of the payload the program must have got."""
    if result == "OK":
        return SIZE
    return RANGE + (RANGE // 2 if fault in PARTIAL else RANGE if fault in ALL_OF_IT else 0)


def faulty(repo, pki):
    with FaultServer(repo.folder, *pki.server(), reports=TMP / "reports") as server:
        for result, names in PAYLOAD_FAULTS.items():
            for fault in names:
                faulty_payload(server, repo, pki, fault, result)
        for result, names in OFFER_FAULTS.items():
            for fault in names:
                server.clear()
                server.set(fault, at=1)
                results(f"an offer with {fault}", server.url, pki.ca, [result, "OK"], "offer", "offer")
        for result, names in REPORT_FAULTS.items():
            for fault in names:
                server.clear()
                server.set(fault, at=2)
                results(f"a report with {fault}", server.url, pki.ca, ["OK", result, "OK"], "offer", "report:300",
                        "report:200", report="device/v1/report")
        others(server, repo, pki)


def faulty_payload(server, repo, pki, fault, result):
    server.clear()
    server.set(fault, at=3)
    asked = len(server.requests)
    lines = results(f"a range with {fault}", server.url, pki.ca, ["OK", result, "OK"], "offer", repo.get, repo.get)
    struck = [r.fault for r in server.requests[asked:]]
    check(f"a range with {fault}: it struck", struck.count(fault) == 1, struck)
    right = lines[1]["bytes"] == payload_bytes(fault, result) and lines[1].get("most", 0) <= RANGE
    check(f"a range with {fault}: bytes that came", right, lines)
    whole = [line["sha256"] == repo.small for line in lines[1:]] if len(lines) == 3 else []
    check(f"a range with {fault}: what they are", whole == [result == "OK" and fault not in DAMAGED, True], whole)


def others(server, repo, pki):
    server.clear()
    results("offers of 8192 and 8193 bytes", server.url, pki.ca, ["OK"], "offer", offer="offers/most")
    results("offers of 8192 and 8193 bytes", server.url, pki.ca, ["LIMIT"], "offer", offer="offers/more")
    server.set("tls_reset", at=1)
    results("a reset in the handshake", server.url, pki.ca, ["TLS", "OK"], "offer", "offer")
    server.clear()
    server.set("duplicate", at=3)  # what is too much belongs to no answer: libcurl notices now or with the next request
    lines = run(server.url, pki.ca, "offer", repo.get, repo.get)
    check("a piece that comes twice", lines[1]["result"] in ("OK", "HTTP") and lines[1]["sha256"] != repo.small and
          lines[2]["result"] == "OK" and lines[2]["sha256"] == repo.small, lines)
    server.clear()
    server.set("etag_change", since=3)  # the file was written anew: the next attempt begins with the new tag
    results("a tag that changes for good", server.url, pki.ca, ["OK", "RANGE", "OK"], "offer", repo.get, repo.get)
    server.clear()
    server.set("close", every=1)
    lines = results("a server that closes after every answer", server.url, pki.ca, ["OK"] * 3, "offer", repo.get,
                    "report:9", report="device/v1/report")
    check("costs a connection each", lines[-1]["connections"] == 6, lines)
    check("and resumes its TLS session", server.resumed > 0, server.resumed)
    results("pins that change while sessions are kept", server.url, pki.ca, ["OK", "OK", "OK", "OK", "CERT_PIN"],
            "offer", "offer", "offer", "pin:" + "00" * 32, "offer")
    server.clear()
    server.set("delay", seconds=0.5)
    start = time.monotonic()
    lines = results("fifty transports at once", server.url, pki.ca, ["OK"], "many:50", stall=5000)
    check("wait for each other's server together", lines[0]["bytes"] == 50 and time.monotonic() - start < 10, lines)
    server.clear()
    server.set("404", every=1)
    lines = results("a server that has nothing", server.url, pki.ca, ["HTTP_STATUS"] * 3, "offer", "offer", repo.get)
    check("is asked over one connection", lines[-1]["connections"] == 1, lines)
    server.clear()
    lines = results("a reader that is slow", server.url, pki.ca, ["OK"], f"slow:{repo.big}:{BIG}:700")
    check("holds the server back", 0 < lines[0]["held"] <= BUFFER and lines[0]["sha256"] == repo.big, lines)
    server.set("endless", every=1)
    lines = results("a reader that is slow, of a body without end", server.url, pki.ca, ["HTTP"],
                    f"slow:{repo.big}:{BIG}:700")
    check("holds it back too, and gets no byte more than asked", lines[0]["held"] <= BUFFER and
          lines[0]["bytes"] == BIG, lines)
    kept = sorted((TMP / "reports").iterdir())
    check("reports are what was sent", {f.read_bytes() for f in kept} == {b"\xa5" * n for n in (9, 200, 300)}, kept)


def no_server(repo, pki):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and says nothing
        start = time.monotonic()
        url = f"https://localhost:{silent.getsockname()[1]}"
        results("a server that says nothing", url, pki.ca, ["TIMEOUT"], "offer", connect=400)
        check("is waited for as long as was said", 0.4 <= time.monotonic() - start < 5)
    results("no server", url, pki.ca, ["TRANSPORT"], "offer")
    for bad in ("http://localhost", "https://", "https:///x", "https://me@localhost", "https://localhost/?a",
                "https://localhost/#a", "https://local host", "https://[::1]/", "https://localhost:99999", "localhost",
                "file:///etc/passwd", "https://localhost/" + "a" * 256):
        got = run(bad, pki.ca, "offer")
        check(f"refused at once: {bad[:40]}", got[0]["result"] == "exit 2" and "no URL" in got[0]["why"], got)
    for option in ("roots", "crl"):
        got = run("https://localhost", TMP / "none" if option == "roots" else pki.ca, "offer", **(
            {"crl": pki.ca} if option == "crl" else {}))
        check(f"refused at once: {option} that are none", got[0]["result"] == "exit 2", got)


# ---- Other hosts -----------------------------------------------------------------------------------------------------

def mtls_server(repo, pki):
    """With TLS 1.2 a client that is refused hears of it in the handshake; in 1.3 the end may overtake the reason."""
    return FaultServer(repo.folder, *pki.server(), client_ca=pki.ca, tls="1.2")


def redirects(repo, pki):
    own = {"cert": pki.client("dev1")[0], "key": pki.client("dev1")[1]}
    with FaultServer(repo.folder, *pki.server(), client_ca=pki.ca) as server, \
            FaultServer(repo.folder, *pki.server()) as cdn, \
            mtls_server(repo, pki) as mtls:
        there, strict = (s.url.replace("localhost", "127.0.0.1") for s in (cdn, mtls))
        cases = [  # name, options of the fault, hosts of the bundle, result
            ("to itself", {"to": "self", "at": 1}, [], "OK"),
            ("to a path", {"to": "path", "at": 1}, [], "OK"),
            ("to a host that is listed", {"to": there}, ["127.0.0.1"], "OK"),
            ("to a host that is listed, in capitals", {"to": there.replace("https", "HTTPS")}, ["127.0.0.1"], "OK"),
            ("to a host that is not", {"to": there}, ["cdn.example"], "REDIRECT"),
            ("to a host of no list", {"to": there}, [], "REDIRECT"),
            ("to a host that only looks so", {"to": f"https://127.0.0.1@localhost:{cdn.port}"}, ["127.0.0.1"],
             "REDIRECT"),
            ("to http", {"to": f"http://localhost:{cdn.port}"}, [], "REDIRECT"),
            ("to a file", {"to": "file://"}, [], "REDIRECT"),
            ("to somewhere without a scheme", {"to": f"//127.0.0.1:{cdn.port}"}, ["127.0.0.1"], "REDIRECT"),
            ("to a place with a query", {"to": there, "query": "?sig=a%2Fb&x=1"}, ["127.0.0.1"], "OK"),
            ("to nowhere", {"to": ""}, [], "REDIRECT"),
            ("to somewhere far too long", {"to": there + "/" + "a" * 1100}, ["127.0.0.1"], "REDIRECT"),
            ("in a circle", {"to": "self"}, [], "REDIRECT"),
            ("to a host that asks for a certificate", {"to": strict}, ["127.0.0.1"], "TLS"),
        ] + [(f"by {s}", {"to": there, "status": s}, ["127.0.0.1"], "OK") for s in (301, 303, 307, 308)] + [
            (f"by {s}", {"to": there, "status": s}, ["127.0.0.1"], "HTTP_STATUS") for s in (300, 305)]
        for name, fault, hosts, result in cases:
            server.clear()
            server.set("redirect", only="^/payloads", **fault)
            before = cdn.connections
            lines = results(f"a redirect {name}", server.url, pki.ca, ["OK", result], "offer", repo.get, host=hosts,
                            **own)
            good = lines[-1].get("sha256") == repo.small if result == "OK" else lines[-1]["bytes"] == 0
            check(f"a redirect {name}: bytes", good and (result != "REDIRECT" or cdn.connections == before), lines)
        check("three redirects and no more", loop_length(server, repo, pki, own) == 4)
        check("the own server sees the certificate, no other one", {r.device for r in server.requests} == {"dev1"} and
              {r.device for r in cdn.requests} == {""} and not mtls.requests)
        server.clear()
        payload_bases(server, cdn, there, repo, pki, own)
        stranger = Pki(TMP / "stranger").client("dev1")
        for name, one in (("1.2", mtls), ("1.3", server)):
            results(f"a client certificate that the server does not take, TLS {name}", one.url, pki.ca, ["TLS"],
                    "offer", cert=stranger[0], key=stranger[1])


def loop_length(server, repo, pki, own):
    server.clear()
    server.set("redirect", only="^/payloads")
    before = len(server.requests)
    run(server.url, pki.ca, repo.get, **own)
    return len(server.requests) - before


def payload_bases(server, cdn, there, repo, pki, own):
    cases = [("of a host that is listed", there + "/payloads", ["127.0.0.1"], "OK"),
             ("with a slash at its end", there + "/payloads/", ["127.0.0.1"], "OK"),
             ("of the own host", server.url + "/payloads", [], "OK"),
             ("of a host that is not listed", there + "/payloads", [], "REDIRECT"),
             ("with a query", server.url + "/payloads?a=", [], "REDIRECT"),
             ("over http", f"http://localhost:{cdn.port}/payloads", [], "REDIRECT"),
             ("that is no URL", "payloads", [], "REDIRECT")]
    for name, base, hosts, result in cases:
        before = cdn.connections
        lines = results(f"a base {name}", server.url, pki.ca, ["OK", result, "OK"], "offer", f"{repo.get}:{base}",
                        "offer", host=hosts, **own)
        check(f"a base {name}: nobody else is asked", result == "OK" or cdn.connections == before, lines)
    cdn.set("truncate", at=1)
    results("a base that fails", server.url, pki.ca, ["OK", "TRANSPORT", "OK"], "offer", f"{repo.get}:{there}/payloads",
            repo.get, host=["127.0.0.1"], **own)


def main():
    start = time.monotonic()
    repo, pki = Repository(TMP / "repository"), Pki(TMP / "pki")
    for part in (one_connection, client_certificates, certificates, certificates_later,
                 bundle_cas, faulty, no_server, redirects):
        begun = time.monotonic()
        part(repo, pki)
        print(f"   {part.__name__}: {time.monotonic() - begun:.1f} s")
    check("no call blocked", slowest < SLOWEST_CALL, slowest)
    print(f"   the longest call took {slowest:.1f} ms; {time.monotonic() - start:.1f} s in all")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
