#!/usr/bin/python3
"""Certificates, provisioning, and a server's folder: made, checked, renewed, backed up and restored.

    ca         the device CA: what it signs, what it refuses, revocation; each looked at by another implementation
    provision  key made here, batch from CSV, request from the device; bad ids, lists and requests
    folder     server init, check (one thing wrong at a time), renew
    backup     of a running godwitd, restored elsewhere; without keys, with keys

Arguments choose some. Ends with `N passed, N failed`.
"""
import datetime
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/web")]
from mosquitto import Mosquitto, free_ports  # noqa: E402
from place import BIN, Score, ended, until  # noqa: E402

ROOTS = ["--vendor", "example.com", "--class", "sensor-c3", "--root", "root1.pub.pem", "--root", "root2.pub.pem"]
score = Score()
holds = score.holds


def run(*command, code=0, says=None):
    done = ended("godwit", *command)
    what = " ".join(map(str, command))
    holds(f"exit code {code} of {what}", done.returncode == code, done.stdout + done.stderr)
    if says:
        holds(f"{what} says {says}", says in done.stdout + done.stderr, done.stdout + done.stderr)
    return done.stdout


def cert(path):
    return x509.load_pem_x509_certificate(Path(path).read_bytes())


def extension(c, kind):
    return c.extensions.get_extension_for_class(kind)


def mode(path):
    return stat.S_IMODE(Path(path).stat().st_mode)


def openssl(*command):
    return subprocess.run(["openssl", *map(str, command)], capture_output=True, text=True)


# ---- The CA ----------------------------------------------------------------------------------------------------------

def ca():
    run("key", "new", "dca", "--device-ca", "Example devices")
    c = cert("dca/ca.pem")
    holds("a CA that signs no CA", extension(c, x509.BasicConstraints).value == x509.BasicConstraints(True, 0)
          and extension(c, x509.BasicConstraints).critical)
    usage = extension(c, x509.KeyUsage).value
    holds("and nothing but certificates and lists", usage.key_cert_sign and usage.crl_sign
          and not usage.digital_signature)
    holds("P-256", isinstance(c.public_key().curve, ec.SECP256R1))
    holds("its key is private", mode("dca/ca.key") == 0o600 and mode("dca") == 0o700)
    before = Path("dca/ca.key").read_bytes()
    run("key", "new", "dca", "--device-ca", "Other", code=1, says="not overwritten")
    holds("a CA is not overwritten", Path("dca/ca.key").read_bytes() == before)
    Path("secret").write_text("correct horse\n")
    run("key", "new", "locked", "--device-ca", "Locked", "--passphrase-file", "secret")
    holds("with a passphrase it is encrypted", "ENCRYPTED" in Path("locked/ca.key").read_text())
    run("key", "new", "x", "--device-ca", "n" * 65, code=2)
    run("key", "new", "x", "--device-ca", "X", "--type", "rsa2048", code=2)
    run("key", "new", "own.pem")
    run("device", "csr", "--id", "dev1", "--own-key", "own.pem", "-o", "dev1.csr")
    holds("a request that OpenSSL takes", openssl("req", "-in", "dev1.csr", "-verify", "-noout").returncode == 0)
    run("device", "certify", "dev1.csr", "--device-ca", "locked", "-o", "dev1.pem", code=1, says="--passphrase-file")
    run("device", "certify", "dev1.csr", "--device-ca", "locked", "--passphrase-file", "secret", "-o", "locked.pem")
    out = run("device", "certify", "dev1.csr", "--device-ca", "dca", "--id", "dev1", "--days", 30, "-o", "dev1.pem")
    d = cert("dev1.pem")
    holds("its name is the device's", [a.value for a in d.subject] == ["dev1"])
    holds("for clients alone", list(extension(d, x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH])
    holds("no CA", not extension(d, x509.BasicConstraints).value.ca)
    holds("for as long as was said", 29 <= (d.not_valid_after - datetime.datetime.utcnow()).days <= 30)
    holds("serial numbers are random", d.serial_number.bit_length() > 100
          and d.serial_number != cert("locked.pem").serial_number)
    point = cert("dev1.pem").public_key().public_numbers()
    holds("id and public key are printed", out.split() == ["dev1", f"{point.x:064x}{point.y:064x}"], out)
    holds("OpenSSL agrees", openssl("verify", "-purpose", "sslclient", "-CAfile", "dca/ca.pem",
                                   "dev1.pem").returncode == 0)
    holds("but not as a server", openssl("verify", "-purpose", "sslserver", "-CAfile", "dca/ca.pem",
                                        "dev1.pem").returncode != 0)
    holds("what was signed is written down", ",dev1," in Path("dca/issued.csv").read_text())
    holds("it fits an identity", len(d.public_bytes(serialization.Encoding.DER)) <= 700)
    run("device", "provision", "--id", "dev1", *ROOTS, "--own-key", "own.pem", "--certificate", "dev1.pem", "-o", "id")
    run("key", "revoke", "dev1.pem", "--ca", "dca")
    crl = x509.load_pem_x509_crl(Path("dca/crl.pem").read_bytes())
    holds("revoked", [r.serial_number for r in crl] == [d.serial_number]
          and crl.is_signature_valid(c.public_key()))
    run("key", "revoke", "dev1.pem", "--ca", "dca")
    holds("once is enough", len(list(x509.load_pem_x509_crl(Path("dca/crl.pem").read_bytes()))) == 1)
    run("key", "revoke", "locked.pem", "--ca", "dca", code=1, says="not signed by")
    check = ["verify", "-crl_check", "-CAfile", "dca/ca.pem", "-CRLfile", "dca/crl.pem"]
    holds("OpenSSL refuses it now", openssl(*check, "dev1.pem").returncode != 0)


# ---- Provisioning ----------------------------------------------------------------------------------------------------

def request(name, key, signer=None, file="bad.csr", extra=()):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), *extra])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    data = csr.public_bytes(serialization.Encoding.DER)
    if signer is not None:  # the signature of another key under the same request
        other = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(signer, hashes.SHA256())
        data = data.replace(csr.signature, other.signature) if len(csr.signature) == len(other.signature) else None
    if data is None:
        return request(name, key, signer, file, extra)
    pem = subprocess.run(["openssl", "req", "-inform", "DER", "-outform", "PEM"], input=data, capture_output=True)
    Path(file).write_bytes(pem.stdout)
    return file


def certify(file, code, says, *more):
    run("device", "certify", file, "--device-ca", "dca", "-o", "never.pem", *more, code=code, says=says)
    holds("nothing is written", not Path("never.pem").exists())


def asks_nothing(label, *command):
    """Foreign PEM that says that it is encrypted: OpenSSL, left to itself, asks for its passphrase and waits."""
    Path("bad.csr").write_text(f"-----{label}-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{'00' * 16}\n\n"
                               f"{'A' * 64}\n-----{label.replace('BEGIN', 'END')}-----\n")
    done = subprocess.run([BIN / "godwit", *command], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, start_new_session=True)
    holds(f"{label}: refused", done.returncode == 1, done.stderr)
    holds(f"{label}: no passphrase is asked for", "pass" not in done.stderr.lower(), done.stderr)


def requests():
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    certify(request("dev7", key, other), 1, "not signed by the key")
    certify(request("dev7", key), 1, "for device dev7, not dev8", "--id", "dev8")
    for name in ("server", "+", "#", "a/b", "a b", "x" * 49, "dev\u00e9"):
        certify(request(name, key), 1, None)
    certify(request("dev7", key, extra=[x509.NameAttribute(NameOID.COMMON_NAME, "dev8")]), 1, "common name of one")
    certify(request("dev7", key, extra=[x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Admins")]), 1, "of one device")
    certify(request("dev7", ec.generate_private_key(ec.SECP384R1())), 1, None)
    Path("bad.csr").write_text("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")
    certify("bad.csr", 1, "no request")
    certify("nowhere.csr", 3, "cannot open")
    asks_nothing("BEGIN CERTIFICATE REQUEST", "device", "certify", "bad.csr", "--device-ca", "dca", "-o", "never.pem")
    run("device", "csr", "--id", "dev1", "--own-key", "own.pub.pem", "-o", "x.csr", code=1, says="public key")


def interrupted(batch):
    """Killed in the middle and called again: identities that are there keep their keys, and no key is there twice."""
    names = [f"k{i}" for i in range(150)]
    Path("many.csv").write_text("".join(f"{name},,1,blue\n" for name in names))
    making = subprocess.Popen([BIN / "godwit", *map(str, batch), "--csv", "many.csv", "-o", "many"],
                              stderr=subprocess.DEVNULL)
    holds("some are made", until(30, lambda: len([*Path("many").glob("*.identity")]) >= 10, 0.005))
    making.kill()
    making.wait()
    made = {p.name: p.read_bytes() for p in Path("many").glob("*.identity")}
    holds("it ended in the middle", 10 <= len(made) < 150 and not Path("many/devices.json").exists(), str(len(made)))
    Path("many/k3.pem").unlink()  # the plug is pulled between the two files of a device
    run(*batch, "--csv", "many.csv", "--hardware", 9, "-o", "many", says="keep their keys")
    holds("what was there stayed", all(Path("many", name).read_bytes() == was for name, was in made.items()))
    listed = json.loads(Path("many/devices.json").read_text())["devices"]
    holds("all are in the list", [d["id"] for d in listed] == names)
    holds("no key is there twice", len({d["key"] for d in listed}) == 150)
    points = [cert(f"many/{name}.pem").public_key().public_numbers() for name in names]
    holds("list and certificates agree", [d["key"] for d in listed] == [f"{n.x:064x}{n.y:064x}" for n in points])
    Path("many/devices.json").unlink()
    changed = [option.replace("sensor-c3", "lamp") for option in batch]
    run(*changed, "--csv", "many.csv", "-o", "many", code=1, says="k0.identity was made with other options")
    run(*batch, "--root", "author.pub.pem", "--csv", "many.csv", "-o", "many", code=1, says="with other options")
    Path("many.csv").write_text("".join(f"{name},,{2 if name == 'k7' else 1},blue\n" for name in names))
    run(*batch, "--csv", "many.csv", "-o", "many", code=1, says="k7.identity was made with other options")
    run("key", "new", "elsewhere", "--device-ca", "Others")
    Path("many.csv").write_text("k0,,1,blue\n")
    changed = [option.replace("dca", "elsewhere") for option in batch]
    run(*changed, "--csv", "many.csv", "-o", "many", code=1, says="many/k0.pem")
    Path("many/k0.identity").write_bytes(b"damaged")
    run(*batch, "--csv", "many.csv", "-o", "many", code=1, says="no identity with a certificate")
    run(*batch, "--csv", "many.csv", "-o", "many", "--force", says="1 devices")
    holds("only --force makes anew", Path("many/k0.identity").read_bytes() != made["k0.identity"])


def provision():
    batch = ["device", "provision", "--device-ca", "dca", *ROOTS]
    Path("list.csv").write_text("id,class,hardware,tags\r\n# two of the first series\na1\na2,,7\n\n"
                                "b1,gateway,,blue;line-2\n")
    run(*batch, "--csv", "list.csv", "--hardware", 3, "-o", "out", says="3 devices")
    listed = json.loads(Path("out/devices.json").read_text())["devices"]
    holds("the list", [(d["id"], d["tags"]) for d in listed] == [("a1", []), ("a2", []), ("b1", ["blue", "line-2"])])
    holds("classes by name", listed[0]["class"] == listed[1]["class"] != listed[2]["class"])
    for d in listed:
        c, name = cert(f"out/{d['id']}.pem"), d["id"]
        n = c.public_key().public_numbers()
        holds(f"{name}: its key is in the list", d["key"] == f"{n.x:064x}{n.y:064x}")
        identity = json.loads(run("inspect", f"out/{name}.identity", "--json"))
        holds(f"{name}: identity", identity["device"] == name and mode(f"out/{name}.identity") == 0o600)
        holds(f"{name}: hardware", identity["hardware revision"] == {"a1": 3, "a2": 7, "b1": 3}[name], str(identity))
        holds(f"{name}: signed", openssl("verify", "-CAfile", "dca/ca.pem", f"out/{name}.pem").returncode == 0)
    holds("keys are all different", len({d["key"] for d in listed}) == 3)
    holds("no private key is in the list or beside it", not [p for p in Path("out").iterdir() if p.suffix == ".key"]
          and mode("out") == 0o700)
    run(*batch, "--csv", "list.csv", "-o", "out", code=1, says="not overwritten")
    interrupted(batch)
    Path("mark.csv").write_text("\ufeffid,class\nm1\n")
    run(*batch, "--csv", "mark.csv", "-o", "mark", says="1 devices")
    for text, why in (("a1\nb1\na1\n", "lines 1 and 3: device a1 is in the list twice"),
                      ("a+b\n", "line 1"), ("ok\nserver\n", "line 2"), ("a/b\n", "no device id"),
                      ("a1,c,x\n", "hardware"), ("a1,,,b c\n", "tags"), ("a1,,,b,c\n", "expected"),
                      ("# no\n", "names no"),
                      ("a1\0\n", "no text"), (f"a1,,,{'t' * 33}\n", "tags")):
        Path("bad.csv").write_text(text)
        run(*batch, "--csv", "bad.csv", "-o", "never", code=1, says=why)
        holds("nothing is made of a bad list", not Path("never").exists())
    run(*batch, "--csv", "list.csv", "-o", "never", "--dry-run", says="would be made")
    holds("a dry run makes nothing", not Path("never").exists())
    run(*batch, "--csv", "list.csv", "--id", "x", "-o", "never", code=2)
    run("device", "provision", "--csv", "list.csv", *ROOTS, "-o", "never", code=2, says="--device-ca")
    for name in ("server", "+", "#", "a/b"):
        run("device", "provision", "--id", name, *ROOTS, "-o", "never", code=1)
    requests()


# ---- A server's folder -----------------------------------------------------------------------------------------------

def check(code, *says, folder="srv"):
    out = run("server", "check", folder, code=code)
    for text in says:
        holds(f"check says {text}", text in out, out)
    return out


def change(path, text=None, permissions=None):
    """Undone by calling what it returns."""
    path = Path(path)
    old = (path.read_bytes(), mode(path)) if path.exists() and not path.is_dir() else (None, mode(path))
    if permissions is not None:
        path.chmod(permissions)
    elif text is None:
        path.unlink()
    else:
        path.write_bytes(text)

    def undo():
        if old[0] is not None:
            path.write_bytes(old[0])
        path.chmod(old[1])
    return undo


def folder():
    port = free_ports(6)
    run("server", "init", "srv", "--name", "localhost", "--name", "127.0.0.1", "--device-ca", "dca", "--trust",
        "trust.cose", "--address", "127.0.0.1", "--port", port)
    server = cert("srv/tls/server.pem")
    names = extension(server, x509.SubjectAlternativeName).value
    holds("names and addresses", names.get_values_for_type(x509.DNSName) == ["localhost"]
          and [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"])
    purposes = list(extension(server, x509.ExtendedKeyUsage).value)
    holds("for servers alone", purposes == [ExtendedKeyUsageOID.SERVER_AUTH])
    holds("the device CA's key is not there", not any("PRIVATE" in p.read_text(errors="replace") and
                                                    p.read_bytes() == Path("dca/ca.key").read_bytes()
                                                    for p in Path("srv").rglob("*") if p.is_file()))
    private = [p for p in Path("srv").rglob("*") if p.is_file() and "PRIVATE KEY" in p.read_text(errors="replace")]
    holds("private keys are private", len(private) == 4 and all(mode(p) == 0o600 for p in private), str(private))
    holds("so are data and the CA", mode("srv/data") == mode("srv/ca") == 0o700)
    holds("godwitd takes the configuration",
          subprocess.run([BIN / "godwitd", "srv/godwitd.conf", "--check"], capture_output=True).returncode == 0)
    run("server", "init", "srv", "--name", "localhost", code=1, says="server check")
    run("server", "init", "never", code=2, says="--name")
    run("server", "init", "never", "--name", "a host", code=2)
    run("server", "init", "never2", "--name", "localhost", "--device-ca", "dev1.pem", code=1,
        says="not the certificate")
    run("server", "check", "nowhere", code=1, says="server init")
    check(0, "is free", "server CA", "mosquitto -c")
    faults(port)
    before = server.serial_number
    shutil.move("srv/ca", "kept")
    Path("srv/ca").mkdir(0o700)
    shutil.copy("kept/ca.pem", "srv/ca/ca.pem")
    run("server", "renew", "srv", code=3)
    run("server", "renew", "srv", "--ca", "kept", "--days", 20, says="SIGHUP")
    after = cert("srv/tls/server.pem")
    holds("renewed: for the same names", after.serial_number != before and
          extension(after, x509.SubjectAlternativeName).value == names)
    out = check(0, "expires in")
    holds("the CA's key is elsewhere now: no warning", "lies on the server" not in out, out)


def old_list(days, folder="dca"):
    """A list of revoked certificates that is out of date in so many days."""
    key = serialization.load_pem_private_key(Path(folder, "ca.key").read_bytes(), None)
    now = datetime.datetime.utcnow()
    return (x509.CertificateRevocationListBuilder().issuer_name(cert(f"{folder}/ca.pem").subject)
            .last_update(now - datetime.timedelta(days=30)).next_update(now + datetime.timedelta(days=days))
            .sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def faults(port):
    """One thing wrong at a time: exit code 1, what, and how to mend it."""
    other = Path("srv/tls/broker.key").read_bytes()
    for path, kind, says in ((
            "srv/tls/server.key", {"permissions": 0o644}, "chmod go-rwx"), (
            "srv/data", {"permissions": 0o755}, "chmod go-rwx"), (
            "srv/tls/server.key", {"text": other}, "do not belong together"), (
            "srv/tls/server.pem", {"text": b"nonsense"}, "no X.509 certificate"), (
            "srv/tls/server.pem", {"text": None}, "server renew"), (
            "srv/tls/godwitd.pem", {"text": Path("srv/tls/broker.pem").read_bytes()}, "do not belong together"), (
            "srv/tls/device-ca.pem", {"text": Path("dev1.pem").read_bytes()}, "not the certificate of a CA"), (
            "srv/trust.cose", {"text": None}, "is missing")):
        undo = change(path, **kind)
        check(1, says)
        undo()
    for until, code, says in ((-1, 1, "out of date: every device"), (9, 0, "is out of date in ")):
        undo = change("srv/tls/device-crl.pem", text=old_list(until))
        check(code, says, "godwit key revoke --ca device-ca")
        undo()
    undo = change("srv/tls/device-crl.pem", text=old_list(99, "srv/ca"))
    check(1, "no list of the CA")
    undo()
    undo = change("srv/tls/device-crl.pem", text=b"nonsense")
    check(1, "no list of revoked certificates")
    undo()
    expired = Path("srv/tls/server.pem").read_bytes()
    key = serialization.load_pem_private_key(Path("srv/ca/ca.key").read_bytes(), None)
    mine = serialization.load_pem_private_key(Path("srv/tls/server.key").read_bytes(), None)
    now = datetime.datetime.utcnow()
    old = (x509.CertificateBuilder().subject_name(cert("srv/tls/server.pem").subject)
           .issuer_name(cert("srv/ca/ca.pem").subject).public_key(mine.public_key()).serial_number(5)
           .not_valid_before(now - datetime.timedelta(days=9)).not_valid_after(now - datetime.timedelta(days=1))
           .sign(key, hashes.SHA256()))
    Path("srv/tls/server.pem").write_bytes(old.public_bytes(serialization.Encoding.PEM))
    check(1, "has expired", "godwit server renew srv")
    Path("srv/tls/server.pem").write_bytes(expired)
    undo = change("srv/godwitd.conf", Path("srv/godwitd.conf").read_bytes() + b"nonsense = 1\n")
    run("server", "check", "srv", code=2, says="nonsense")
    undo()
    with Mosquitto("srv"):
        check(0, "takes the server's certificate")
    import socket
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", port + 3))
        s.listen()
        check(1, "Address already in use", "choose another port")
    found = json.loads(run("server", "check", "srv", "--json"))
    holds("check as data", {c["result"] for c in found} <= {"ok", "warning"} and len(found) > 10)


# ---- Backup ----------------------------------------------------------------------------------------------------------

class Godwitd:
    def __init__(self, where):
        self.log = open("godwitd.log", "a+")
        self.process = subprocess.Popen([str(BIN / "godwitd"), f"{where}/godwitd.conf"], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)

    def ready(self, where):
        for _ in range(150):
            if " ready" in Path("godwitd.log").read_text() and not Path(where, "data/first-tokens").exists():
                return True
            time.sleep(0.1)
        return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        self.log.close()
        Path("godwitd.log").unlink()
        return code


def backup():
    run("server", "backup", "srv", "-o", "early.tar")
    d = Godwitd("srv")
    holds("godwitd runs", d.ready("srv"), Path("godwitd.log").read_text())
    try:
        check(0, "a godwitd has it", "answers")
        fill("srv/data")
        run("server", "backup", "srv", "-o", "one.tar", says="no private keys")
        run("server", "backup", "srv", "-o", "one.tar", code=1, says="--force")
        run("server", "backup", "srv", "-o", "keys.tar", "--with-keys", says="private keys too")
    finally:
        holds("godwitd ends", d.stop() == 0)
    holds("archives are private", mode("one.tar") == mode("keys.tar") == 0o600)
    names = tarfile.open("one.tar").getnames()
    holds("no key is in it", not [n for n in names if n.endswith(".key")] and "data/godwit.db" in names, str(names))
    holds("all keys are in the other", len([n for n in tarfile.open("keys.tar").getnames() if n.endswith(".key")]) >= 3)
    Path("again").mkdir(0o700)
    holds("tar takes it", subprocess.run(["tar", "-xf", "keys.tar", "-C", "again"]).returncode == 0)
    Path("again/data").chmod(0o700)
    db = sqlite3.connect("again/data/godwit.db")
    holds("the database is whole", db.execute("PRAGMA integrity_check").fetchone() == ("ok",))
    holds("with all that was there", db.execute("SELECT count(*) FROM class").fetchone() == (500,)
          and db.execute("SELECT name FROM token").fetchall() == [("first",)])
    db.close()
    holds("its payloads too", Path(f"again/data/blobs/{BLOB[:2]}/{BLOB}").read_bytes() == b"payload")
    d = Godwitd("again")
    holds("what was restored runs", d.ready("again"), Path("godwitd.log").read_text())
    d.stop()
    Path(f"srv/data/blobs/{BLOB[:2]}/{BLOB}").unlink()
    run("server", "backup", "srv", "-o", "lost.tar", code=1, says="is missing")
    holds("no archive that lacks a payload", not Path("lost.tar").exists() and not list(Path(".").glob("lost.tar.*")))


BLOB = "ab" * 32


def fill(data):
    """Rows, as godwitd would write them, and a payload."""
    db = sqlite3.connect(f"{data}/godwit.db", timeout=20)
    with db:
        for i in range(500):
            db.execute("INSERT INTO class(id, vendor, name, created) VALUES(?, 'example.com', ?, 1)",
                       (i.to_bytes(16, "big"), f"class {i}"))
        db.execute("INSERT INTO release VALUES(?, ?, 1, 1, '1.0', 1, 1, 'ann', x'00')", (bytes(32), bytes(16)))
        db.execute("INSERT INTO payload VALUES(?, ?, 7)", (bytes(32), bytes.fromhex(BLOB)))
    db.close()
    Path(data, "blobs", BLOB[:2]).mkdir(parents=True, exist_ok=True)
    Path(data, "blobs", BLOB[:2], BLOB).write_bytes(b"payload")


def main():
    os.chdir(os.environ.get("GODWIT_TMP") or sys.exit("GODWIT_TMP is not set"))
    for name in ("root1", "root2", "author"):
        run("key", "new", f"{name}.pem")
    run("key", "bundle", "--root", "root1.pem", "--root", "root2.pem", "--author", "author.pem", "--version", 1,
        "--epoch", 1, "-o", "trust.cose")
    parts = {"ca": ca, "provision": provision, "folder": folder, "backup": backup}
    for name in sys.argv[1:] or parts:
        before = time.monotonic()
        parts[name]()
        print(f"{name}: {time.monotonic() - before:.1f} s", flush=True)
    return score.close()


if __name__ == "__main__":
    sys.exit(main())
