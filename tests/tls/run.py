#!/usr/bin/python3
"""What boards speak - the HTTP client, the transport and both profiles of TLS (ports/common, ports/tls) - against real
nginx and `openssl s_server`: what has to work, and every certificate that must be refused, with its reason.

Uses the programs tls-fetch-full, -small and -tiny beside GODWIT_BIN, in ../tests. GODWIT_TMP: an empty folder.
Ends with `N passed, N failed`.
"""
import contextlib
import hashlib
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/web"))
import pki as web_pki  # noqa: E402
from nginx import Nginx, free_port  # noqa: E402
from pki import Pki  # noqa: E402

BIN = Path(os.environ.get("GODWIT_BIN", ROOT / "build/host/bin")).resolve().parent / "tests"
TMP = Path(os.environ.get("GODWIT_TMP") or tempfile.mkdtemp()).resolve()
PROFILES = ("tiny", "small", "full")
BOTH = (("tiny", "TLSv1.2"), ("small", "TLSv1.2"), ("full", "TLSv1.2"), ("full", "TLSv1.3"))
NOW = str(int(time.time()))
PAYLOAD = bytes((i * 7 + i // 251) % 256 for i in range(300_000))
DIGEST = hashlib.sha256(PAYLOAD).hexdigest()
OFFER = bytes(i % 253 for i in range(3000))
heap = {}
passed = failed = 0


def check(name, good, detail=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print(f"FAILED: {name}\n    {detail}")


class Result:
    def __init__(self, text):
        self.text = text
        self.lines = text.splitlines()
        self.count = {k: v for k, v in re.findall(r"(\w+)=(\w+)", self.lines[-1] if self.lines else "")}


def fetch(profile, ca, url, *arguments, now=NOW):
    roots = ("--roots", ca) if ca else ()
    command = [BIN / f"tls-fetch-{profile}", "--server", url, *roots, "--now", now, *arguments]
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    result = Result(run.stdout)
    if run.returncode != 0 or "ERROR" in run.stderr:
        result = Result(f"exit code {run.returncode}\n{run.stdout}{run.stderr}")
    if "heap" in result.count:
        heap[profile] = max(heap.get(profile, 0), int(result.count["heap"]))
    return result


def expect(name, result, *lines, **counts):
    """The lines before the last are these (regular expressions), the counts in the last one too."""
    good = len(result.lines) == len(lines) + 1 and all(re.fullmatch(p, t) for p, t in zip(lines, result.lines))
    good = good and all(result.count.get(k) == str(v) for k, v in counts.items())
    check(name, good, f"expected {lines} {counts}, got:\n{result.text}")


OFFER_OK = f"offer OK {len(OFFER)} {hashlib.sha256(OFFER).hexdigest()}"
PAYLOAD_OK = f"payload OK {len(PAYLOAD)} {DIGEST}"
FETCH = ("payload", DIGEST, str(len(PAYLOAD)))


def refused(what, reason):
    return f"{what} {reason} 0 [0-9a-f]+"


class Site:
    """A static repository, a CA, certificates, and nginx with any of them."""

    def __init__(self):
        self.root = TMP / "repository"
        (self.root / "payloads").mkdir(parents=True)
        (self.root / "payloads" / DIGEST).write_bytes(PAYLOAD)
        (self.root / "offer").write_bytes(OFFER)
        (self.root / "large").write_bytes(bytes(9000))
        self.pki = Pki(TMP / "pki")
        self.good = self.pki.server("good")
        self.client = self.pki.client("dev1")
        self.number = 0

    def nginx(self, pair=None, **more):
        self.number += 1
        cert, key = pair or self.good
        return Nginx(TMP / f"nginx{self.number}", self.root, cert, key, **more)


@contextlib.contextmanager
def s_server(pair, answer, *options, connections=1):
    """`openssl s_server` that sends `answer` to whoever connects; prints what comes in."""
    port = free_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(pair[0]), "-key", str(pair[1]),
               "-quiet", "-naccept", str(connections), *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        process.stdin.write(answer)
        process.stdin.flush()
        for _ in range(100):  # not by connecting: that would be the one connection
            table = Path("/proc/net/tcp").read_text()
            if f"0100007F:{port:04X} 00000000:0000 0A" in table:
                break
            time.sleep(0.05)
        yield f"https://localhost:{port}"
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def python_server(pair, serve, version=None):
    """For what real servers do not do: `serve(connection)` for each connection, after its handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, pair))
    if version:
        context.maximum_version = version
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    stop = threading.Event()

    def loop():
        while not stop.is_set():
            with contextlib.suppress(OSError):
                plain, _ = listener.accept()
                plain.settimeout(5)
                serve(context, plain)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield f"https://localhost:{listener.getsockname()[1]}"
    finally:
        stop.set()
        thread.join()
        listener.close()


def answer_with(body, notify):
    def serve(context, plain):
        with context.wrap_socket(plain, server_side=True) as tls:
            tls.recv(4096)
            tls.sendall(body)
            if notify:
                tls.unwrap()
    return serve


# ---- What has to work ----------------------------------------------------------------------------------------------

def versions(site):
    for tls, profile, version in ((["TLSv1.2"], "tiny", "0303"), (["TLSv1.2"], "small", "0303"),
                                  (["TLSv1.2", "TLSv1.3"], "tiny", "0303"), (["TLSv1.2"], "full", "0303"),
                                  (["TLSv1.3"], "full", "0304"), (["TLSv1.2", "TLSv1.3"], "small", "0303"),
                                  (["TLSv1.2", "TLSv1.3"], "full", "0304")):
        with site.nginx(tls=tls) as server:
            result = fetch(profile, site.pki.ca, server.url, "offer", *FETCH, "", "same")
            expect(f"{profile} against nginx {tls}", result, OFFER_OK, PAYLOAD_OK, refused("offer", "NOTHING"),
                   version=version, handshakes=1, connections=1)
            log = [line.split() for line in server.log()]
            check(f"{profile}, {tls}: one connection for all", len(log) == 7 and len({r[0] for r in log}) == 1 and
                  [r[-3] for r in log] == ["200"] + ["206"] * 5 + ["304"] and
                  [r[1] for r in log] == [str(i + 1) for i in range(7)], "\n".join(map(" ".join, log)))
    with site.nginx(tls=["TLSv1.3"]) as server:
        for profile in ("tiny", "small"):
            result = fetch(profile, site.pki.ca, server.url, "offer")
            expect(f"{profile} does not speak TLS 1.3", result, refused("offer", "TLS"), handshakes=0)


def piecemeal(site):
    """The TLS layer left in the middle of everything."""
    for profile in PROFILES:
        with site.nginx() as server:
            result = fetch(profile, site.pki.ca, server.url, "--trickle", "offer", *FETCH, "")
            expect(f"{profile}: seven bytes at a time", result, OFFER_OK, PAYLOAD_OK, handshakes=1)


def addresses(site):
    for profile in PROFILES:
        with site.nginx() as server:
            result = fetch(profile, site.pki.ca, server.url.replace("localhost", "127.0.0.1"), "offer")
            expect(f"{profile}: an IPv4 address as host name", result, OFFER_OK)


def rsa_chain(site):
    cert, secret = site.pki.server("rsa", key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    for profile, tls in BOTH:
        with site.nginx((cert, secret), tls=[tls]) as server:
            expect(f"{profile}: a server with an RSA key, {tls}", fetch(profile, site.pki.ca, server.url, "offer"),
                   OFFER_OK if profile != "tiny" else refused("offer", "TLS"))


def resumption(site):
    more = "keepalive_requests 2; ssl_session_cache shared:s:1m;"
    for profile, tls in BOTH:
        with site.nginx(tls=[tls], extra=more) as server:
            result = fetch(profile, site.pki.ca, server.url, "offer", *FETCH, "")
            expect(f"{profile}, {tls}: a connection made again resumes", result, OFFER_OK, PAYLOAD_OK, handshakes=3,
                   resumed=2, connections=3)
            result = fetch(profile, site.pki.ca, server.url, "offer", "look", "offer")
            expect(f"{profile}, {tls}: each look checks anew", result, OFFER_OK, OFFER_OK, handshakes=2, resumed=0)
            base = server.url.replace("localhost", "127.0.0.1") + "/payloads"
            result = fetch(profile, site.pki.ca, server.url, "--host", "127.0.0.1", "--chunk", "300000", "offer",
                           *FETCH, base)
            expect(f"{profile}, {tls}: not under another name", result, OFFER_OK, PAYLOAD_OK, handshakes=2, resumed=0)
        with site.nginx(site.pki.server("past", days=(-9, -1)), tls=[tls], extra=more) as server:
            result = fetch(profile, site.pki.ca, server.url, "waive", "offer", "offer", "offer", "insist", "offer")
            expect(f"{profile}, {tls}: a session without a check serves no other", result, OFFER_OK, OFFER_OK,
                   OFFER_OK, refused("offer", "CERT_EXPIRED"), handshakes=2, resumed=1, connections=3)


def idle(site):
    for profile in PROFILES:
        with site.nginx(extra="keepalive_timeout 1s;") as server:
            result = fetch(profile, site.pki.ca, server.url, "offer", "rest", "1", "offer")
            expect(f"{profile}: the server closed the idle connection", result, OFFER_OK, OFFER_OK, handshakes=2,
                   connections=2)


def client_certificates(site):
    show = ("--cert", site.client[0], "--key", site.client[1])
    for profile in PROFILES:
        with site.nginx(client_ca=site.pki.ca) as server, site.nginx(client_ca=site.pki.ca) as other, \
                site.nginx() as open_one:
            expect(f"{profile}: with a client certificate", fetch(profile, site.pki.ca, server.url, *show, "offer"),
                   OFFER_OK)
            expect(f"{profile}: without one", fetch(profile, site.pki.ca, server.url, "offer"),
                   refused("offer", "HTTP_STATUS"))
            base = other.url.replace("localhost", "127.0.0.1") + "/payloads"
            result = fetch(profile, site.pki.ca, server.url, *show, "--host", "127.0.0.1", *FETCH, base)
            expect(f"{profile}: it is not shown to another host", result, refused("payload", "HTTP_STATUS"),
                   handshakes=1)
            result = fetch(profile, site.pki.ca, server.url, *show, *FETCH, other.url + "/payloads")
            expect(f"{profile}: nor to another port", result, refused("payload", "HTTP_STATUS"), handshakes=1)
            base = open_one.url.replace("localhost", "127.0.0.1") + "/payloads"
            result = fetch(profile, site.pki.ca, server.url, *show, "--host", "127.0.0.1", "offer", *FETCH, base)
            expect(f"{profile}: another host that asks for none", result, OFFER_OK, PAYLOAD_OK, handshakes=2)


def sec1(path, out, public):
    """The key as a board makes it from its identity: RFC 5915 in DER, by hand, with or without its public half."""
    key = serialization.load_pem_private_key(Path(path).read_bytes(), None)
    d = key.private_numbers().private_value.to_bytes(32, "big")
    point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    body = b"\x02\x01\x01\x04\x20" + d + bytes.fromhex("a00a06082a8648ce3d030107")
    body += (b"\xa1\x44\x03\x42\x00" + point) if public else b""
    out.write_bytes(b"\x30" + bytes([len(body)]) + body)
    return out


def client_in_der(site):
    cert = TMP / "client.der"
    cert.write_bytes(web_pki.x509.load_pem_x509_certificate(site.client[0].read_bytes())
                     .public_bytes(serialization.Encoding.DER))
    keys = [sec1(site.client[1], TMP / "sec1.der", True), sec1(site.client[1], TMP / "sec1bare.der", False)]
    other = sec1(site.good[1], TMP / "sec1other.der", False)
    ca = der(site.pki, "ca2.der")
    with site.nginx(client_ca=site.pki.ca) as server:
        for profile in PROFILES:
            for key in keys:
                result = fetch(profile, None, server.url, "--cas", ca, "--cert", cert, "--key", key, "offer",
                               *FETCH, "")
                expect(f"{profile}: client certificate and {key.name}", result, OFFER_OK, PAYLOAD_OK)
            run = fetch(profile, None, server.url, "--cert", cert, "--key", other, "offer")
            check(f"{profile}: a key in DER that is another's", run.lines == ["new CRYPTO"], run.text)


def http_over_nginx(site):
    """Answers of section 16, as nginx gives them."""
    with site.nginx() as other:
        away = other.url.replace("localhost", "127.0.0.1")
        extra = f"""
            location /moved/ {{ rewrite ^/moved/(.*)$ {away}/payloads/$1?signed=yes redirect; }}
            location /plain/ {{ return 302 http://localhost/; }}
            location /round/ {{ rewrite ^/round/(.*)$ /round/$1x redirect; }}
            location /whole/ {{ max_ranges 0; alias {site.root}/payloads/; }}
            location = /none {{ return 204; }}
            location = /report {{ return 204; }}
            location = /never {{ return 403; }}
            location = /later {{ return 429; }}"""
        with site.nginx(extra=extra) as server:
            run_http(site, server.url)
        check("the redirect is used again for the ranges that follow",
              len([1 for line in other.log() if "206" in line]) == 5 * len(PROFILES), "\n".join(other.log()))


def run_http(site, url):
    listed = ("--host", "127.0.0.1")
    for profile in PROFILES:
        def go(*a):
            return fetch(profile, site.pki.ca, url, *a)
        expect(f"{profile}: redirect to a host that is listed", go(*listed, *FETCH, url + "/moved"), PAYLOAD_OK,
               connections=2)
        expect(f"{profile}: to one that is not", go(*FETCH, url + "/moved"), refused("payload", "REDIRECT"))
        expect(f"{profile}: to http", go(*FETCH, url + "/plain"), refused("payload", "REDIRECT"))
        expect(f"{profile}: without end", go(*FETCH, url + "/round"), refused("payload", "REDIRECT"))
        expect(f"{profile}: a base that is not listed", go(*FETCH, "https://127.0.0.2/x"),
               refused("payload", "REDIRECT"), connections=0)
        expect(f"{profile}: no ranges", go(*FETCH, url + "/whole"), refused("payload", "RANGE"))
        expect(f"{profile}: another size", go("payload", DIGEST, str(len(PAYLOAD) + 1), ""),
               refused("payload", "RANGE"))
        expect(f"{profile}: beyond its end", go("payload", "00" * 32, "10", ""), refused("payload", "HTTP_STATUS"))
        expect(f"{profile}: no offer", go("--offer-path", "none", "offer"), refused("offer", "NOTHING"))
        expect(f"{profile}: an offer that is too large", go("--offer-path", "large", "offer"),
               refused("offer", "LIMIT"))
        expect(f"{profile}: reports", go("--report-path", "report", "report", "x" * 500, "report", "y", "offer"),
               "report OK", "report OK", OFFER_OK, connections=1)
        expect(f"{profile}: a report that is never taken", go("--report-path", "never", "report", "x"), "report VALUE")
        expect(f"{profile}: later", go("--report-path", "later", "report", "x"), "report HTTP_STATUS")


# ---- What must be refused ------------------------------------------------------------------------------------------

def chain_through_leaf(site):
    """A certificate that is signed by one that is no CA, but has all else."""
    leaf_cert, leaf_key = site.pki.server("inner")
    inner = Pki.__new__(Pki)
    inner.folder = site.pki.folder
    inner.key = serialization.load_pem_private_key(Path(leaf_key).read_bytes(), None)
    inner.name = web_pki.x509.load_pem_x509_certificate(Path(leaf_cert).read_bytes()).subject
    cert, key = inner.server("through")
    Path(cert).write_bytes(Path(cert).read_bytes() + Path(leaf_cert).read_bytes())
    return cert, key


def certificates(site):
    pki = site.pki
    revoked = pki.server("revoked")
    crl = pki.crl([revoked[0]])
    stranger = Pki(TMP / "stranger", name="Another CA")
    imitator = Pki(TMP / "imitator")  # the name of ours, another key
    named = pki._leaf("named", "localhost", (-1, 90), web_pki.SERVER)
    old_ca = Pki(TMP / "oldca", days=(-30, -1))
    late = pki.server("late", hosts=("other.example",), days=(-30, -1), purpose=web_pki.CLIENT)
    cases = [  # name, certificate, options, reason, reason when the time is unknown; None: taken
        ("expired", pki.server("expired", days=(-30, -1)), (), "CERT_EXPIRED", None),
        ("not yet valid", pki.server("early", days=(5, 30)), (), "CERT_EARLY", None),
        ("self-signed", pki.server("self", self_signed=True), (), "CERT_UNKNOWN", "CERT_UNKNOWN"),
        ("wrong name", pki.server("other", hosts=("other.example",)), (), "CERT_NAME", "CERT_NAME"),
        ("a name in the subject only", named, (), "CERT_NAME", "CERT_NAME"),
        ("wrong purpose", pki.server("purpose", purpose=web_pki.CLIENT), (), "CERT_PURPOSE", "CERT_PURPOSE"),
        ("revoked", revoked, ("--crl", crl), "CERT_REVOKED", "CERT_REVOKED"),
        ("unknown CA", stranger.server("unknown"), (), "CERT_UNKNOWN", "CERT_UNKNOWN"),
        ("a CA of the same name", imitator.server("imitated"), (), "CERT_UNKNOWN", "CERT_UNKNOWN"),
        ("signed by what is no CA", chain_through_leaf(site), (), "CERT_UNKNOWN", "CERT_UNKNOWN"),
        ("wrong pin", site.good, ("--pin", stranger.pin()), "CERT_PIN", "CERT_PIN"),
        ("late, of a wrong name and purpose", late, (), "CERT_NAME", "CERT_NAME"),
        ("expired, and a wrong pin", pki.server("both", days=(-9, -1)), ("--pin", "00" * 32), "CERT_EXPIRED",
         "CERT_PIN"),
        ("a CA that has expired", old_ca.server("ofold"), ("--roots", old_ca.ca), "CERT_EXPIRED", None),
        ("right pin", site.good, ("--pin", pki.pin()), None, None),
        ("right pin among others", site.good, ("--pin", "11" * 32, "--pin", pki.pin()), None, None),
        ("not in the CRL", site.good, ("--crl", crl), None, None),
        ("the server's own key pinned, not a CA's", site.good, ("--pin", pin_of(site.good[0])), "CERT_PIN",
         "CERT_PIN"),
    ]
    for name, pair, options, reason, at_unknown in cases:
        with site.nginx(pair) as server, site.nginx(pair, tls=["TLSv1.2"]) as older:
            for profile, url in (("tiny", server.url), ("small", server.url), ("full", server.url),
                                 ("full", older.url)):
                for now, wanted in ((NOW, reason), ("0", at_unknown)):
                    result = fetch(profile, pki.ca, url, *options, "offer", now=now)
                    expect(f"{profile}: {name}, time {now}", result, refused("offer", wanted) if wanted else OFFER_OK,
                           handshakes=0 if wanted else 1)
                result = fetch(profile, pki.ca, url, *options, "--anonymous", "offer")
                expect(f"{profile}: {name}, trust in the server is waived", result, OFFER_OK)
        if reason:
            check(f"{name}: the server saw no request but those", len(server.log() + older.log()) <=
                  4 * (1 + (at_unknown is None)), server.log())


def der(pki, name):
    """The CA of `pki` as a bundle has it."""
    return pki._write(name, pki.cert.public_bytes(serialization.Encoding.DER))


def server_cas(site):
    """CAs of the trust bundle: they alone count, from the look on in which the bundle says so."""
    pki, stranger = site.pki, Pki(TMP / "stranger2", name="A third CA")
    gone = Pki(TMP / "gone", name="A CA that has expired", days=(-30, -1))
    right, wrong, old = der(pki, "ca.der"), der(stranger, "ca.der"), der(gone, "ca.der")
    leaf = TMP / "leaf.der"
    leaf.write_bytes(web_pki.x509.load_pem_x509_certificate(Path(site.good[0]).read_bytes())
                     .public_bytes(serialization.Encoding.DER))
    junk, tail = TMP / "junk.der", TMP / "tail.der"
    junk.write_bytes(bytes(100))
    tail.write_bytes(right.read_bytes() + b"x")
    no = refused("offer", "CERT_UNKNOWN")
    nobody = ("trust CRYPTO", no)
    cases = [  # name, roots that it was made with, CAs of the bundle, what comes of it
        ("the bundle's, without any of its own", None, [right], (OFFER_OK,)),
        ("the wrong one", None, [wrong], (no,)),
        ("the wrong one instead of the right one", pki.ca, [wrong], (no,)),
        ("the right one instead of the wrong one", stranger.ca, [right], (OFFER_OK,)),
        ("two, the first", None, [right, wrong], (OFFER_OK,)),
        ("two, the second", None, [wrong, right], (OFFER_OK,)),
        ("four", None, [wrong, old, wrong, right], (OFFER_OK,)),
        ("none at all", None, [], (no,)),
        ("one that has expired, of another server", pki.ca, [old], (no,)),
        ("one that is no certificate", pki.ca, [junk], nobody),
        ("one after the right one that is no certificate", pki.ca, [right, junk], nobody),
        ("bytes behind a certificate", pki.ca, [tail], nobody),
        ("the server's own certificate, which is no CA's", None, [leaf], nobody),
        ("a wrong pin beside", None, [right, "--pin", "00" * 32], (refused("offer", "CERT_PIN"),)),
        ("the right pin beside", None, [right, "--pin", pki.pin()], (OFFER_OK,)),
    ]
    with site.nginx() as server:
        for profile in PROFILES:
            for name, roots, cas, wanted in cases:
                files = ",".join(str(c) for c in cas if isinstance(c, Path))
                more = [c for c in cas if not isinstance(c, Path)]
                result = fetch(profile, roots, server.url, *(("--cas", files) if files else ()), *more, "offer")
                expect(f"{profile}: CAs of the bundle: {name}", result, *wanted,
                       connections=0 if name == "none at all" or wanted == nobody else 1)
            result = fetch(profile, None, server.url, "--anonymous", "offer")
            expect(f"{profile}: nobody is trusted, and trust is waived", result, OFFER_OK, handshakes=1)
    for profile in PROFILES:
        changed_cas(site, profile, right, wrong, junk)
    with site.nginx(gone.server("of-gone")) as server:
        for profile in PROFILES:
            expect(f"{profile}: an expired CA in the bundle", fetch(profile, None, server.url, "--cas", old, "offer"),
                   refused("offer", "CERT_EXPIRED"))
            expect(f"{profile}: the same, without a clock",
                   fetch(profile, None, server.url, "--cas", old, "offer", now="0"), OFFER_OK)


def changed_cas(site, profile, right, wrong, junk):
    no = refused("offer", "CERT_UNKNOWN")
    with site.nginx(extra="ssl_session_cache shared:s:1m;") as server:
        result = fetch(profile, None, server.url, "--cas", right, "offer", "cas", wrong, "look", "offer", "cas",
                       f"{wrong},{right}", "look", "offer", "cas", right, "look", "offer", "offer")
        expect(f"{profile}: changed between looks", result, OFFER_OK, no, OFFER_OK, OFFER_OK, OFFER_OK, handshakes=3,
               resumed=0)
        result = fetch(profile, site.pki.ca, server.url, "offer", "cas", wrong, "look", "offer", "cas", "", "look",
                       "offer", "cas", wrong, "look", "look", "offer")
        expect(f"{profile}: the device's own again when the bundle names none any more", result, OFFER_OK, no,
               OFFER_OK, no, resumed=0)
        result = fetch(profile, None, server.url, "offer", "cas", right, "look", "offer", "cas", junk, "look", "offer",
                       "cas", right, "look", "offer", "cas", "", "look", "offer")
        expect(f"{profile}: nobody, somebody, nobody, somebody, nobody", result, no, OFFER_OK, "trust CRYPTO", no,
               OFFER_OK, no)
        many = ("--cas", ",".join([str(right)] + [str(wrong)] * 3), "offer", *["look", "offer"] * 5)
        result = fetch(profile, None, server.url, *many)
        expect(f"{profile}: the same four in six looks", result, *[OFFER_OK] * 6, handshakes=6, resumed=0)
        print(f"    {profile}: heap with four CAs of the bundle: {result.count.get('heap')}")
    more = "keepalive_requests 1; ssl_session_cache shared:s:1m;"
    for tls in ["TLSv1.2"] + (["TLSv1.3"] if profile == "full" else []):
        with site.nginx(extra=more, tls=[tls]) as server:
            result = fetch(profile, site.pki.ca, server.url, "--trickle", "sudden", "offer", "offer", "offer")
            expect(f"{profile}, {tls}: what is trusted changes in a handshake: its session is not used again", result,
                   "sudden OK", OFFER_OK, OFFER_OK, OFFER_OK, handshakes=3, resumed=1)


def pin_of(path):
    cert = web_pki.x509.load_pem_x509_certificate(Path(path).read_bytes())
    return hashlib.sha256(cert.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def bounds(site):
    many = [x for i in range(5) for x in ("--pin", f"{i:02d}" * 32)]
    with site.nginx() as server:
        for profile in PROFILES:
            result = fetch(profile, site.pki.ca, server.url, *many)
            expect(f"{profile}: more pins than there is room for", result, "trust LIMIT")
            result = fetch(profile, site.pki.ca, server.url, *[x for i in range(10) for x in ("--host", "a" * 60)])
            expect(f"{profile}: more hosts", result, "trust LIMIT")
    junk = TMP / "junk"
    junk.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for profile in PROFILES:
        for options in (("--roots", junk), ("--crl", junk), ("--cert", site.good[0], "--key", site.client[1])):
            run = fetch(profile, site.pki.ca, "https://localhost", *options, "offer")
            check(f"{profile}: {options} do not parse", run.lines == ["new CRYPTO"], run.text)


# ---- openssl s_server ----------------------------------------------------------------------------------------------

def with_s_server(site):
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    large = bytes(8192)
    large_ok = f"offer OK 8192 {hashlib.sha256(large).hexdigest()}"
    for profile, option, version in (("tiny", "-tls1_2", "0303"), ("small", "-tls1_2", "0303"),
                                     ("full", "-tls1_2", "0303"), ("full", "-tls1_3", "0304")):
        with s_server(site.good, head % 8192 + large, option) as url:
            result = fetch(profile, site.pki.ca, url, "offer")
            expect(f"{profile}: s_server {option}", result, large_ok, version=version)
            record = int(result.count.get("record", 0))
            good = 4000 < record <= 4096 + 64 if profile != "full" else record > 8192
            check(f"{profile}, {option}: the longest record", good, record)
        body = b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        body += b"".join(b"%x;n=v\r\n%s\r\n" % (len(OFFER[i:i + 1000]), OFFER[i:i + 1000]) for i in (0, 1000, 2000))
        with s_server(site.good, body + b"0\r\nTrailer: 1\r\n\r\n", option) as url:
            expect(f"{profile}: chunked, {option}", fetch(profile, site.pki.ca, url, "offer"), OFFER_OK)
        with s_server(site.good, b"", option) as url:
            expect(f"{profile}: no answer, {option}", fetch(profile, site.pki.ca, url, "--timeout", "400", "offer"),
                   refused("offer", "TIMEOUT"), handshakes=1)
    for profile in PROFILES:
        with s_server(site.good, head % 0, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0") as url:
            expect(f"{profile}: a server that speaks TLS 1.1 only", fetch(profile, site.pki.ca, url, "offer"),
                   refused("offer", "TLS"), handshakes=0)
        with s_server(site.good, head % 0, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256") as url:
            expect(f"{profile}: one that knows CBC only", fetch(profile, site.pki.ca, url, "offer"),
                   refused("offer", "TLS"), handshakes=0)
        with s_server(site.good, b"HTTP/1.0 200 OK\r\n\r\n", "-tls1_2") as url:
            expect(f"{profile}: HTTP/1.0", fetch(profile, site.pki.ca, url, "offer"), refused("offer", "HTTP"))
    with s_server(site.good, head % 0, "-tls1_2", "-curves", "P-384") as url:
        expect("small: one that knows P-384 only", fetch("small", site.pki.ca, url, "offer"), refused("offer", "TLS"))
    with s_server(site.good, head % 0, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384") as url:
        expect("tiny: one that knows SHA-384 only", fetch("tiny", site.pki.ca, url, "offer"), refused("offer", "TLS"))


def ends(site):
    """An answer without a length ends where TLS says so, not where TCP does."""
    body = b"HTTP/1.1 200 OK\r\n\r\n" + OFFER
    for profile, version in (("tiny", ssl.TLSVersion.TLSv1_2), ("small", ssl.TLSVersion.TLSv1_2),
                             ("full", ssl.TLSVersion.TLSv1_3)):
        with python_server(site.good, answer_with(body, True), version) as url:
            expect(f"{profile}: until close_notify", fetch(profile, site.pki.ca, url, "offer"), OFFER_OK)
        with python_server(site.good, answer_with(body, False), version) as url:
            expect(f"{profile}: cut off", fetch(profile, site.pki.ca, url, "offer"),
                   f"offer TRANSPORT {len(OFFER)} [0-9a-f]+")
        with python_server(site.good, lambda context, plain: plain.close()) as url:
            expect(f"{profile}: closed at once", fetch(profile, site.pki.ca, url, "offer"),
                   refused("offer", "TRANSPORT"))
        with python_server(site.good, lambda context, plain: (time.sleep(0.8), plain.close())) as url:
            expect(f"{profile}: a server that says nothing",
                   fetch(profile, site.pki.ca, url, "--timeout", "300", "offer"), refused("offer", "TIMEOUT"))
        url = f"https://localhost:{free_port()}"
        expect(f"{profile}: nobody there", fetch(profile, site.pki.ca, url, "offer"), refused("offer", "TRANSPORT"))


def main():
    site = Site()
    for part in (versions, piecemeal, addresses, rsa_chain, resumption, idle, client_certificates, client_in_der,
                 http_over_nginx, certificates, server_cas, bounds, with_s_server, ends):
        if len(sys.argv) > 1 and part.__name__ not in sys.argv[1:]:
            continue
        start = time.monotonic()
        before = passed + failed
        part(site)
        print(f"{part.__name__}: {passed + failed - before} checks, {time.monotonic() - start:.1f} s", flush=True)
        check(f"{part.__name__} checked something", passed + failed > before)
    print("heap, most at once (without block headers): " + ", ".join(f"{p} {n}" for p, n in sorted(heap.items())))
    print(f"tls: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
