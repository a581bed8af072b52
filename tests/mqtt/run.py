#!/usr/bin/python3
"""The broker as `godwit server init` sets it up: a real Mosquitto, hostile clients, devices on this PC, and godwitd.

    rules     what a device may and may not: topics, names, certificates, retained messages, wills, sizes
    devices   a notification wakes a device whose interval is a day; reports over MQTT; broker down, and up again
    cas       the broker's CA comes from the trust bundle, if that names some, and from nowhere else then
    server    godwitd at the broker: connects, loses it, comes back; a report over MQTT is in its database
    fleet     all of it by the CLI's verbs: import, publish, rollout, watch, why; a device with a token among them

Arguments choose some. Ends with `N passed, N failed`.
"""
import datetime
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/agent"), str(ROOT / "tests/web"), str(ROOT / "tests/netfaults")]
from mosquitto import Client, Mosquitto, free_ports  # noqa: E402
from place import run, until  # noqa: E402
from scene import BIN, CLASS, Scene, godwit  # noqa: E402
from server import FaultServer  # noqa: E402

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: E402

SERVER = ("srv/ca/ca.pem", "srv/tls/godwitd.pem", "srv/tls/godwitd.key")
DAY = 86400


class Place:
    """A server's folder, a device CA, and four devices made by the batch."""

    def __init__(self, s):
        godwit("godwit", "key", "new", "dca", "--device-ca", "Test devices")
        Path("list.csv").write_text("id,class,hardware,tags\ndev1\ndev2,,1,beta\ndev3\ngone\n")
        godwit("godwit", "device", "provision", "--csv", "list.csv", "--device-ca", "dca", *CLASS, "--root",
               "root1.pub.pem", "--root", "root2.pub.pem", "--device-key", "group.pem", "-o", "devices")
        godwit("godwit", "key", "revoke", "devices/gone.pem", "--ca", "dca")
        self.port = free_ports(6)
        godwit("godwit", "server", "init", "srv", "--name", "localhost", "--device-ca", "dca", "--trust", "trust.cose",
               "--address", "127.0.0.1", "--port", self.port)
        self.scene = s

    def certify(self, name, file):
        """A device CA that was careless: a certificate for any name, with a key in a file."""
        ca = x509.load_pem_x509_certificate(Path("dca/ca.pem").read_bytes())
        ca_key = serialization.load_pem_private_key(Path("dca/ca.key").read_bytes(), None)
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.utcnow()
        cert = (x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
                .issuer_name(ca.subject).public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=9))
                .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
                .sign(ca_key, hashes.SHA256()))
        Path(f"{file}.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        Path(f"{file}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM,
                                                          serialization.PrivateFormat.PKCS8,
                                                          serialization.NoEncryption()))
        return f"{file}.pem", f"{file}.key"

    def client(self, cert=(None, None), **more):
        return Client(self.port + 4, "srv/ca/ca.pem", *cert, **more)

    def server(self, name="godwitd"):
        return Client(self.port + 5, *SERVER, name=name)


# ---- Rules -----------------------------------------------------------------------------------------------------------

def own_topics(s, p, one, two):
    server = p.server()
    s.holds("the server is let in", server.code == 0)
    server.subscribe("godwit/+/report")
    dev = p.client(one, name="dev1")
    s.holds("a device is let in", dev.code == 0)
    for topic in ("godwit/dev1/notify", "godwit/dev2/notify", "godwit/+/notify", "godwit/#", "#", "$SYS/#",
                  "godwit/dev2/report", "godwit/+/report"):
        dev.subscribe(topic)
    for name in ("dev1", "dev2"):
        server.publish(f"godwit/{name}/notify", b"look")
    other = p.client(two, name="dev2")
    other.publish("godwit/dev2/report", b"of dev2")
    got = dev.messages(1.5)
    s.holds("a device reads its own topic", ("godwit/dev1/notify", b"look") in got, str(got))
    s.holds("a device reads nothing else", {t for t, _ in got} <= {"godwit/dev1/notify"}, str(got))
    for topic in ("godwit/dev2/report", "godwit/dev1/notify", "godwit/dev2/notify", "godwit/dev1/report/x", "x"):
        dev.publish(topic, b"forged")
    dev.publish("godwit/dev1/report", b"mine")
    reports = server.messages(1.5)
    s.holds("its own report arrives", ("godwit/dev1/report", b"mine") in reports, str(reports))
    s.holds("nothing arrives in another's name", all(data != b"forged" for _, data in reports), str(reports))
    s.holds("not to other devices either", not other.messages(0.5))
    for c in (server, dev, other):
        c.close()


def certificates(s, p, one):
    s.holds("no certificate is refused", p.client().code is None)
    p.certify("dev9", "dev9")
    other = s.pki.client("dev1")
    s.holds("another CA's certificate is refused", p.client(other, name="dev1").code is None)
    s.holds("the server's CA does not make devices", p.client(SERVER[1:], name="godwitd").code is None)
    s.holds("a device's certificate does not open the server's listener",
            Client(p.port + 5, "srv/ca/ca.pem", *one, name="godwitd").code is None)
    gone = p.certify("gone2", "gone2")
    godwit("godwit", "key", "revoke", "gone2.pem", "--ca", "dca")
    s.holds("before the broker has the new list", p.client(gone, name="gone2").code == 0)


def identities(s, p, one, two):
    server = p.server()
    server.subscribe("godwit/+/report")
    dev2 = p.client(two, name="dev2")
    dev2.subscribe("godwit/dev2/notify")
    mallory = p.client(one, name="dev2")
    mallory.subscribe("godwit/dev2/notify")
    server.publish("godwit/dev2/notify", b"look")
    s.holds("another's client id does not push it out", dev2.messages(1.0) == [("godwit/dev2/notify", b"look")])
    s.holds("nor does it make one the other", not mallory.messages(0.5))
    for number, name in enumerate(("+", "#", "dev1/report", "a/b", "../dev1", "server", "godwitd", "$SYS")):
        cert = p.certify(name, f"odd{number}")
        c = p.client(cert, name=name)
        if c.code == 0:
            for topic in ("godwit/dev2/notify", "godwit/+/notify", "godwit/#", "#"):
                c.subscribe(topic)
            for topic in ("godwit/dev1/report", "godwit/dev2/report", f"godwit/{name}/report", "godwit/dev2/notify"):
                if "+" not in topic and "#" not in topic:
                    c.publish(topic, b"odd")
        server.publish("godwit/dev2/notify", b"look")
        got = [m for m in server.messages(0.7) if m[0] != f"godwit/{name}/report"]
        s.holds(f"a device called {name} writes for nobody else", not got, str(got))
        s.holds(f"a device called {name} reads nothing of others", not (c.code == 0 and c.messages(0.3)))
        s.holds(f"a device called {name} tells others nothing",
                all(m == ("godwit/dev2/notify", b"look") for m in dev2.messages(0.3)))
        c.close()
        shell = subprocess.run([BIN / "godwit", "device", "csr", "--id", name, "--own-key", "own.pem", "-o", "x.csr"],
                               capture_output=True, text=True)
        if name != "godwitd":
            s.holds(f"provisioning refuses the id {name}", shell.returncode == 1, shell.stderr)
    for c in (server, dev2, mallory):
        c.close()


def messages(s, p, one, two):
    server = p.server()
    server.subscribe("godwit/+/report")
    dev = p.client(one, name="dev1")
    dev.publish("godwit/dev1/report", b"kept", retain=True)
    server.messages(0.5)
    late = p.server("late")
    late.subscribe("godwit/+/report")
    s.holds("nothing is retained", not late.messages(0.7))
    late.close()
    server = p.server()
    server.subscribe("godwit/+/report")
    dev = p.client(one, name="dev1")
    dev.publish("godwit/dev1/report", b"x" * 900)
    s.holds("900 bytes pass", [len(d) for _, d in server.messages(0.7)] == [900])
    dev.publish("godwit/dev1/report", b"x" * 5000)
    s.holds("5000 bytes do not", not server.messages(0.7))
    willing = p.client(two, name="dev2", will=("godwit/dev1/report", b"last will"))
    if willing.code == 0:
        willing.drop()
    s.holds("a will says nothing in another's name", not server.messages(1.0))
    for c in (server, dev):
        c.close()


def rules(s, p):
    one, two = p.certify("dev1", "one"), p.certify("dev2", "two")
    with Mosquitto("srv") as broker:
        open_ = broker.listening()
        s.holds("it listens at its two ports on loopback, and nowhere else",
                open_ == {("0100007F", f"{p.port + n:04X}") for n in (4, 5)}, str(open_))
        gone = p.certify("dev3", "revoked")
        s.holds("before it is revoked", p.client(gone, name="dev3").code == 0)
        own_topics(s, p, one, two)
        certificates(s, p, one)
        identities(s, p, one, two)
        messages(s, p, one, two)
    godwit("godwit", "key", "revoke", "revoked.pem", "--ca", "dca")
    Path("srv/tls/device-crl.pem").write_bytes(Path("dca/crl.pem").read_bytes())
    with Mosquitto("srv"):
        s.holds("a revoked certificate is refused", p.client(gone, name="dev3").code is None)
        s.holds("the others are not", p.client(one, name="dev1").code == 0)


# ---- Devices ---------------------------------------------------------------------------------------------------------

class Running:
    """godwit-device run, with its events as they come."""

    def __init__(self, name, url, *more, interval=DAY, ca="srv"):
        self.out = Path(f"{name}.events")
        roots = ["--ca", f"{ca}/ca/ca.pem"] if ca else []
        command = [BIN / "godwit-device", "run", name, "--server", url, *roots, "--interval", interval, "--seconds",
                   180, "--stall", 2, "--json", *more]
        with open(self.out, "w") as out, open(f"{name}.err", "w") as err:
            self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def events(self, name=None):
        lines = [json.loads(line) for line in self.out.read_text().splitlines() if line.startswith("{")]
        return [e for e in lines if name is None or e["event"] == name]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)


def make(name, identity, trust="trust.cose"):
    godwit("godwit-device", "init", name, "--identity", identity, "--trust", trust, "--slot-size", "64K")
    godwit("godwit-device", "install", name, "rel-1.0.0")
    godwit("godwit-device", "boot", name, "--cause", "software")
    godwit("godwit-device", "confirm", name)


def version(name):
    slots = json.loads(godwit("godwit-device", "status", name, "--json"))["slots"]
    return [s["manifest on flash"]["version"] for s in slots if s["state"] == "CONFIRMED"]


def verified(name, data):
    Path("report.cose").write_bytes(data)
    key = x509.load_pem_x509_certificate(Path(f"devices/{name}.pem").read_bytes()).public_key()
    Path("report.pem").write_bytes(key.public_bytes(serialization.Encoding.PEM,
                                                    serialization.PublicFormat.SubjectPublicKeyInfo))
    return json.loads(godwit("godwit", "report", "verify", "report.cose", "--own-key", "report.pem", "--json"))


def take(server, seconds, count):
    """Reports as godwitd takes them: each is acknowledged, for the next one to come."""
    got, end = [], time.monotonic() + seconds
    while len(got) < count and time.monotonic() < end:
        for topic, data in server.messages(end - time.monotonic(), 1):
            got.append((topic, data))
            digest = hashlib.sha256(data).hexdigest()[:16]
            server.publish(topic.replace("/report", "/notify"), b"taken " + digest.encode(), qos=0)
    return got


def devices(s, p):
    make("dev1", "devices/dev1.identity")
    s.publish("rel-1.0.0", "mqtt-www")
    broker = Mosquitto("srv").start()
    where = ["--mqtt", f"127.0.0.1:{p.port + 4}"]
    try:
        with FaultServer("mqtt-www", "srv/tls/server.pem", "srv/tls/server.key", reports="reports-https") as web:
            server = p.server()
            server.subscribe("godwit/+/report")
            device = Running("dev1", web.url, *where)

            def looked():  # the first look is some time in this day: until it has subscribed, nobody hears
                server.publish("godwit/dev1/notify", b"look", qos=0)
                return device.events("NOTHING")
            s.holds("a notification makes it look", until(20, looked), device.out.read_text())
            first = server.messages(10, 1)
            time.sleep(1)
            s.holds("the broker's word is not the server's: it keeps its report", not device.events("REPORTED"))
            digest = hashlib.sha256(first[0][1]).hexdigest()[:16] if first else ""
            server.publish("godwit/dev1/notify", b"taken 0123456789abcdef", qos=0)
            time.sleep(1)
            s.holds("nor does another's count", not device.events("REPORTED"))
            server.publish("godwit/dev1/notify", b"taken " + digest.encode(), qos=0)
            s.holds("its first report comes over MQTT", [t for t, _ in first] == ["godwit/dev1/report"], str(first))
            s.holds("and is signed by it", bool(first) and verified("dev1", first[0][1])["state"] == "CONFIRMED")
            s.holds("the device counts it as delivered", until(5, lambda: device.events("REPORTED")))
            time.sleep(7)  # looks are five seconds apart at least, and one more may have been asked for
            s.publish("rel-1.1.0", "mqtt-www")
            looks = len(device.events("LOOK"))
            time.sleep(3)
            s.holds("without a notification nothing happens", len(device.events("LOOK")) == looks)
            told = time.monotonic()
            server.publish("godwit/dev1/notify", b"look", qos=0)
            woken = until(10, lambda: len(device.events("LOOK")) > looks)
            s.holds("a notification wakes it within seconds", woken and time.monotonic() - told < 5)
            got = take(server, 30, 2)
            s.holds("and it updates itself", until(40, lambda: device.events("TRIED")), device.out.read_text())
            states = [verified("dev1", d)["state"] for _, d in got]
            s.holds("STAGED and CONFIRMED come over MQTT", states == ["STAGED", "CONFIRMED"], str(states))
            s.holds("nothing went over HTTPS", not list(Path("reports-https").rglob("*.*"))
                    if Path("reports-https").exists() else True)
            down_and_up(s, p, broker, device, web)
            device.stop()
            s.holds("1.1.0 runs", version("dev1") == ["1.1.0"])
    finally:
        broker.stop()
    refused(s, p)


def down_and_up(s, p, broker, device, web):
    looks = len(device.events("LOOK"))
    broker.stop()
    time.sleep(4)
    s.holds("the device goes on without its broker", device.process.poll() is None)
    broker.start()
    server = p.server()
    server.subscribe("godwit/+/report")

    def woken():
        server.publish("godwit/dev1/notify", b"look", qos=0)
        return len(device.events("LOOK")) > looks
    s.holds("when the broker is back, it is woken again", until(40, woken), Path("dev1.err").read_text())
    broker.stop()
    server.close()


def refused(s, p):
    """Without a broker reports go over HTTPS; a device without a certificate has no broker."""
    make("dev2", "devices/dev2.identity")
    where = ["--mqtt", f"127.0.0.1:{p.port + 4}"]
    with FaultServer("mqtt-www", "srv/tls/server.pem", "srv/tls/server.key", reports="reports-down") as web:
        device = Running("dev2", web.url, *where, "--report", "device/v1/report", "--chunk", 6000, interval=5)
        s.holds("without a broker it updates by itself", until(60, lambda: device.events("TRIED")),
                device.out.read_text() + Path("dev2.err").read_text())
        s.holds("and reports over HTTPS", until(10, lambda: len(device.events("REPORTED")) >= 3))
        device.stop()
        plain = subprocess.run([BIN / "godwit-device", "run", "template", "--server", web.url, "--ca", "srv/ca/ca.pem",
                                *where, "--seconds", "5"], capture_output=True, text=True)
    s.holds("a device without a certificate has no broker", plain.returncode != 0 and "certificate" in plain.stderr,
            plain.stderr)


# ---- CAs of the trust bundle -----------------------------------------------------------------------------------------

def woken(p, device, seconds):
    """The first look is some time in the next day: who looks now was reached by its broker."""
    server = p.server()

    def looked():
        server.publish("godwit/dev3/notify", b"look", qos=0)
        return device.events("NOTHING")
    try:
        return bool(until(seconds, looked))
    finally:
        server.close()


def cas(s, p):
    bundles = {"right": ["--server-ca", "srv/ca/ca.pem"], "two": ["--server-ca", "dca/ca.pem", "--server-ca",
               "srv/ca/ca.pem"], "wrong": ["--server-ca", "dca/ca.pem"], "none": [],
               "pin": ["--server-ca", "srv/ca/ca.pem", "--pin", "00" * 32]}
    for name, more in bundles.items():
        s.bundle(f"cas-{name}.cose", 1, *more)
    s.publish("rel-1.0.0", "mqtt-cas")
    cases = [("right", None, True), ("two", None, True), ("none", "srv", True), ("none", None, False),
             ("wrong", "srv", False), ("pin", None, False)]
    with Mosquitto("srv"), FaultServer("mqtt-cas", "srv/tls/server.pem", "srv/tls/server.key") as web:
        for bundle, ca, good in cases:
            name = f"cas-{bundle}-{ca}"
            make(name, "devices/dev3.identity", f"cas-{bundle}.cose")
            device = Running(name, web.url, "--mqtt", f"127.0.0.1:{p.port + 4}", ca=ca)
            reached = woken(p, device, 20 if good else 4)
            s.holds(f"the broker, CAs of the bundle: {bundle}, of the device: {ca}", reached == good,
                    device.out.read_text() + Path(f"{name}.err").read_text())
            device.stop()
            warned = "no broker is trusted" in Path(f"{name}.err").read_text()
            s.holds(f"{name}: it says so if there is no CA at all", warned == (bundle == "none" and ca is None))


# ---- godwitd ---------------------------------------------------------------------------------------------------------

class Godwitd:
    def __init__(self, folder="srv"):
        self.log = Path(f"godwitd-{folder}.log")
        with open(self.log, "a") as log:
            self.process = subprocess.Popen([str(BIN / "godwitd"), f"{folder}/godwitd.conf"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)

    def says(self, text, count=1, seconds=15):
        return until(seconds, lambda: self.log.read_text().count(text) >= count)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


def know(device):
    """As an import would."""
    listed = json.loads(Path("devices/devices.json").read_text())["devices"]
    mine = next(d for d in listed if d["id"] == device)
    with sqlite3.connect("srv/data/godwit.db") as db:
        db.execute("INSERT OR IGNORE INTO class(id, vendor, name, created) VALUES(?, 'example.com', 'sensor-c3', 1)",
                   (bytes.fromhex(mine["class"]),))
        db.execute("INSERT INTO device(id, class, key, created, origin) VALUES(?, ?, ?, 1, 'import')",
                   (device, bytes.fromhex(mine["class"]), bytes.fromhex(mine["key"])))
    db.close()


def rows(sql):
    db = sqlite3.connect("srv/data/godwit.db")
    found = db.execute(sql).fetchall()
    db.close()
    return found


def godwitd(s, p):
    d = Godwitd()
    s.holds("godwitd starts without its broker", d.says(" ready"), d.log.read_text())
    s.holds("the first token is taken in", d.says("tokens-taken") and len(rows("SELECT * FROM token")) == 1)
    s.holds("and its file is gone", not Path("srv/data/first-tokens").exists())
    s.holds("it ends", d.stop() == 0, d.log.read_text())
    make("dev3", "devices/dev3.identity")
    know("dev3")
    broker = Mosquitto("srv").start()
    d = Godwitd()
    try:
        s.holds("godwitd finds its broker", d.says("broker-connected"), d.log.read_text())
        device = Running("dev3", f"https://localhost:{p.port}", "--offer", "device/v1/offer", "--mqtt",
                         f"127.0.0.1:{p.port + 4}", interval=5)
        s.holds("a report over MQTT is in the database",
                until(20, lambda: rows("SELECT device, state FROM report") == [("dev3", 1)]),
                d.log.read_text() + device.out.read_text() + Path("dev3.err").read_text())
        forger = p.client(p.certify("dev3", "forger"), name="dev3")
        forger.publish("godwit/dev3/report", b"\xd8\x62\x84")
        time.sleep(1)
        s.holds("what is no report is not", len(rows("SELECT * FROM report")) == 1)
        for i in range(300):
            forger.publish("godwit/dev3/report", b"\xd8\x62%d" % i)
        time.sleep(2)
        said = d.log.read_text().count("report-refused device=dev3")
        s.holds("a flood is said once", 1 <= d.log.read_text().count("too-many-reports device=dev3") <= 2)
        s.holds("a flood is looked at as far as a device's requests in a minute go", 50 <= said <= 125, str(said))
        device.stop()
        broker.stop()
        s.holds("godwitd notices that it is lost", d.says("broker-lost"))
        time.sleep(2)
        broker.start()
        s.holds("and comes back", d.says("broker-connected", 2, 40), d.log.read_text())
        s.holds("godwitd ends", d.stop() == 0, d.log.read_text())
    finally:
        broker.stop()
        if d.process.poll() is None:
            d.stop()


# ---- All of it -------------------------------------------------------------------------------------------------------

def admin(*command, code=0):
    return run("godwit", *command, code=code)


def open_tokens(p):
    """The door for devices with tokens, which is closed unless somebody opens it. They have to look by themselves."""
    conf = Path("fleet/godwitd.conf")
    text = conf.read_text().replace("#next_look = 3600", "next_look = 5").split("[tokens]")
    text[1] = text[1].replace("#listen =", f"listen = 127.0.0.1:{p.port + 1}", 1)
    conf.write_text("[tokens]".join(text))


def fleet(s, p):
    os.environ["XDG_CONFIG_HOME"] = str(Path("config").resolve())
    p.port = free_ports(6)
    godwit("godwit", "server", "init", "fleet", "--name", "localhost", "--device-ca", "dca", "--trust", "trust.cose",
           "--address", "127.0.0.1", "--port", p.port, "--profile", "fleet")
    open_tokens(p)
    Path("fleet.csv").write_text("id,class,hardware,tags\nf1,,,beta\nf2\n")
    provision = [*CLASS, "--root", "root1.pub.pem", "--root", "root2.pub.pem", "--device-key", "group.pem"]
    godwit("godwit", "device", "provision", "--csv", "fleet.csv", "--device-ca", "dca", *provision, "-o", "made")
    godwit("godwit", "device", "provision", "--id", "t1", *provision, "--own-key", "own.pem", "-o", "t1.identity")
    for name, identity in (("f1", "made/f1.identity"), ("f2", "made/f2.identity"), ("t1", "t1.identity")):
        make(name, identity)
    broker, d = Mosquitto("fleet").start(), Godwitd("fleet")
    running = []
    try:
        s.holds("fleet: godwitd runs", d.says("tokens-taken") and d.says("broker-connected"), d.log.read_text())
        class_id = admin("class", "add", *CLASS).strip()
        admin("device", "import", "made/devices.json")
        point = serialization.load_pem_public_key(Path("own.pub.pem").read_bytes()).public_numbers()
        Path("t1.json").write_text(json.dumps({"devices": [
            {"id": "t1", "class": class_id, "key": f"{point.x:064x}{point.y:064x}", "tags": ["beta"]}]}))
        admin("device", "import", "t1.json", "--tokens", "tokens")
        for name in ("f1", "f2"):
            running.append(Running(name, f"https://localhost:{p.port}", "--offer", "device/v1/offer", "--report",
                                   "device/v1/report", "--mqtt", f"127.0.0.1:{p.port + 4}", ca="fleet"))
        running.append(Running("t1", f"https://localhost:{p.port + 1}", "--offer", "device/v1/offer", "--report",
                               "device/v1/report", "--token-file", "tokens/t1.token", interval=5, ca="fleet"))
        roll(s, running)
    finally:
        for r in running:
            r.stop()
        broker.stop()
        s.holds("fleet: godwitd ends", d.stop() == 0, d.log.read_text()[-2000:])
    proved(s)


def proved(s):
    """The database against the devices' signatures, and its keys against the desk's list."""
    desk = [d for name in ("made/devices.json", "t1.json") for d in json.loads(Path(name).read_text())["devices"]]
    Path("desk.json").write_text(json.dumps({"devices": desk}))

    def verdict(change=None):
        shutil.rmtree("copy", ignore_errors=True)
        shutil.copytree("fleet", "copy")
        if change:
            with sqlite3.connect("copy/data/godwit.db") as db:
                db.execute(change)
            db.close()
        done = subprocess.run([BIN / "godwit", "server", "reports", "copy", "--devices", "desk.json"],
                              capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr
    code, said = verdict()
    s.holds("fleet: every report is proved", code == 0, said)
    code, said = verdict("UPDATE report SET reason = 68 WHERE id = 1")
    s.holds("fleet: a changed report is found", code == 1 and "report 1:" in said, said)
    code, said = verdict("UPDATE device SET key = zeroblob(64) WHERE id = 'f1'")
    s.holds("fleet: a changed key is found", code == 1 and "f1: its key is not the one" in said, said)


def roll(s, running):
    url = f"https://localhost:{profile()}"
    digest = admin("release", "publish", "rel-1.1.0", "--to", url).strip()
    s.holds("fleet: the release is there", digest in admin("release", "list", "--from", url))
    plan = json.loads(admin("rollout", "plan", digest, "--tag", "beta", "--json"))
    s.holds("fleet: the plan", plan["devices"] == 2, str(plan))
    time.sleep(2)  # until all have subscribed
    told = time.monotonic()
    name = admin("rollout", "start", digest, "--tag", "beta", "--name", "first").strip()
    done = subprocess.run([BIN / "godwit", "rollout", "watch", name, "--until-done", "--seconds", "60"],
                          capture_output=True, text=True)
    s.holds("fleet: the rollout is done", done.returncode == 0, done.stdout + done.stderr +
            "".join(r.out.read_text() for r in running))
    print(f"fleet: {time.monotonic() - told:.1f} s from the start to the last one", flush=True)
    listed = {d["id"]: d for d in json.loads(admin("device", "list", "--json"))}
    s.holds("fleet: those with the tag run it", listed["f1"]["version"] == listed["t1"]["version"] == "1.1.0",
            str(listed))
    s.holds("fleet: the other does not", listed["f2"]["version"] != "1.1.0", str(listed))
    why = admin("device", "why", "f2")
    s.holds("fleet: and why says so", "No rollout serves it" in why, why)
    admin("device", "retry", "f2")
    admin("device", "set", "f2", "--enabled", "no")
    refused = len([e for e in running[1].events("FAILED")])
    s.holds("fleet: disabled, it is refused", until(20, lambda: len(running[1].events("FAILED")) > refused),
            running[1].out.read_text()[-600:])
    admin("device", "remove", "f2")
    s.holds("fleet: a device that was removed is not known", "f2" not in
            {d["id"] for d in json.loads(admin("device", "list", "--json"))})
    needed = subprocess.run([BIN / "godwit", "release", "delete", digest, "--from", url],
                            capture_output=True, text=True)
    s.holds("fleet: a release that a rollout needs stays", needed.returncode == 1 and
            digest in admin("release", "list", "--from", url), needed.stderr)
    shutil.copytree("rel-1.0.0", "rel-spare", ignore=shutil.ignore_patterns("head.cose"))  # its head is an older one
    spare = admin("release", "publish", "rel-spare", "--to", url).strip()
    admin("release", "delete", spare, "--from", url)
    s.holds("fleet: another one goes", spare not in admin("release", "list", "--from", url))
    log = admin("server", "audit")
    s.holds("fleet: the audit log has it all", all(w in log for w in ("rollout", "release", "token", "f2")), log)


def profile():
    text = (Path(os.environ["XDG_CONFIG_HOME"]) / "godwit/profiles.ini").read_text()
    return text.split("https://localhost:")[1].split()[0]


def main():
    os.chdir(os.environ.get("GODWIT_TMP") or sys.exit("GODWIT_TMP is not set"))
    parts = {"rules": rules, "devices": devices, "cas": cas, "server": godwitd, "fleet": fleet}
    s = Scene()
    p = Place(s)
    for name in sys.argv[1:] or parts:
        before = time.monotonic()
        parts[name](s, p)
        print(f"{name}: {time.monotonic() - before:.1f} s", flush=True)
    return s.close()


if __name__ == "__main__":
    sys.exit(main())
