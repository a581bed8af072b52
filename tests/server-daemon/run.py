#!/usr/bin/python3
"""godwitd as a process: configuration, signals, folder, payloads, links. Ends with `N passed, N failed`."""
import hashlib
import hmac
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "server-http"), str(HERE.parent / "web")]
from pki import Pki  # noqa: E402
from place import Score  # noqa: E402
from server import Client, client_context  # noqa: E402

TMP, GODWITD = Path(os.environ["GODWIT_TMP"]), Path(os.environ["GODWIT_BIN"]).resolve() / "godwitd"
score = Score()
check, equal = score.holds, score.equal


class Daemon:
    def __init__(self, config):
        self.config, self.port, self.lines = config, {}, []

    def __enter__(self):
        self.process = subprocess.Popen([GODWITD, self.config], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                        text=True)
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        if not self.ready.wait(20) or self.process.poll() is not None:
            self.process.kill()
            raise RuntimeError("no start: " + "".join(self.lines))
        return self

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            if match := re.search(r"listening door=(\w+) .*port=(\d+)", line):
                self.port[match[1]] = int(match[2])
            if line.endswith(" ready\n"):
                self.ready.set()
        self.ready.set()

    def wait_for(self, text, seconds=10):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(text in line for line in self.lines):
                return True
            time.sleep(0.02)
        return False

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.thread.join(5)

    def __exit__(self, *_):
        self.code = self.end()


def write(name, text):
    path = TMP / name
    path.write_text(text)
    return path


def once(config, *more):
    return subprocess.run([GODWITD, config, *more], capture_output=True, text=True, timeout=30)


PLAIN = "[server]\ndata = data\n[payloads]\nlisten = 127.0.0.1:0\n[admin]\nlisten = 127.0.0.1:0\n"


def test_refused(pki):
    done = once(write("bad.conf", "[server]\ndata = d\nnext_lok = 5\n"))
    check("unknown option", done.returncode == 2 and "bad.conf:3: no such option" in done.stderr, done.stderr)
    done = once(TMP / "none.conf")
    equal("no file", done.returncode, 3)
    cert, key = pki.server("check")
    good = f"[server]\ndata = d\n[payloads]\nlisten = 127.0.0.1:0\ncertificate = {cert}\nkey = {key}\n"
    done = once(write("check.conf", good), "--check")
    equal("--check", (done.returncode, done.stdout), (0, "ok\n"))
    check("--check leaves nothing", not (TMP / "d").exists())
    other = pki.server("other")[1]
    done = once(write("check.conf", good.replace(str(key), str(other))), "--check")
    check("--check: key of another", done.returncode == 3 and "key" in done.stderr, done.stderr)
    done = once(write("mqtt.conf", PLAIN + "[mqtt]\nhost = b\n"))
    check("mqtt without certificates", done.returncode == 2 and "[mqtt] needs" in done.stderr, done.stderr)
    done = once(write("open.conf", "[server]\ndata = d2\n[admin]\nlisten = 0.0.0.0:0\n"))
    check("no TLS beyond loopback", done.returncode == 2 and "loopback" in done.stderr, done.stderr)


def test_life():
    config = write("life.conf", PLAIN)
    with Daemon(config) as d:
        with Client(d.port["admin"]) as c:
            equal("health", c.ask("/healthz").json(), {"alive": True})
            equal("ready", c.ask("/readyz").json(), {"ready": True})
            equal("metrics need a token", c.ask("/metrics").status, 401)
            equal("the root is nothing", c.ask("/").status, 404)
            equal("payloads are not here", c.ask("/payloads/" + "0" * 64).status, 404)
        with Client(d.port["payloads"]) as c:
            equal("administration is not there", c.ask("/healthz").status, 404)
            equal("no such payload", c.ask("/payloads/" + "0" * 64).code(), "not_found")
            equal("no digest", c.ask("/payloads/zz").status, 404)
            equal("capital letters", c.ask("/payloads/" + "A" * 64).status, 404)
        second = once(config)
        check("two on one folder", second.returncode in (1, 3) and "godwit.db" in second.stderr, second.stderr)
        mode = (TMP / "data/godwit.db").stat().st_mode & 0o777
        equal("others cannot read the database", mode & 0o077, 0)
        began = time.monotonic()
    equal("SIGTERM", d.code, 0)
    check("soon", time.monotonic() - began < 10)
    check("in order", d.lines[-1].endswith(" ended\n"), d.lines[-1:])
    for number in (signal.SIGINT, signal.SIGKILL):
        with Daemon(config) as d:
            code = d.end(number)
        check(f"starts again, after {number.name}", code in (0, -9))


def test_metrics():
    config = write("life.conf", PLAIN)
    with Daemon(config) as d:
        pass
    db = sqlite3.connect(TMP / "data/godwit.db")
    token = "gwa_" + "a" * 43
    db.execute("INSERT INTO token(id, name, hash, role, created, creator, expires)"
               " VALUES('t1', 'scraper', ?, 1, 1, 'test', ?)",
               (hashlib.sha256(token.encode()).digest(), int(time.time()) + 1000))
    db.commit()
    db.close()
    with Daemon(config) as d, Client(d.port["admin"]) as c:
        a = c.ask("/metrics", headers=[f"Authorization: Bearer {token}"])
        text = a.body.decode()
        check("metrics", a.status == 200 and "# TYPE godwit_devices gauge\ngodwit_devices 0\n" in text, text)
        names = re.findall(r"^(godwit_\w+) \d+$", text, re.M)
        counted = {n: int(re.search(rf"^godwit_{n} (\d+)$", text, re.M)[1]) for n in ("commits_total", "changes_total")}
        check("commits are counted", counted["commits_total"] >= 1 and counted["changes_total"] >= 1, counted)
        check("each with HELP and TYPE", len(names) > 15 and all(f"# HELP {n} " in text for n in names))
        c.send(f"GET /api/v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        equal("events", c.answer().headers["content-type"], "text/event-stream")
        while b"\n\n" not in c.buffer and c.more():
            pass
        check("a stream that lives", c.buffer.startswith(b": "))
    equal("ended with a listener", d.code, 0)


def test_old_reports():
    """What [reports] does not keep goes, from the start on; the newest of a device stays."""
    folder = TMP / "reports"
    folder.mkdir()
    config = folder / "godwitd.conf"
    config.write_text(PLAIN + "[reports]\nkeep_each = 5\n")
    with Daemon(config):
        pass
    db = sqlite3.connect(folder / "data/godwit.db")
    token, now = "gwa_" + "b" * 43, int(time.time())
    db.execute("INSERT INTO token(id, name, hash, role, created, creator, expires) VALUES('t', 'n', ?, 1, 1, 'c', ?)",
               (hashlib.sha256(token.encode()).digest(), now + 1000))
    db.execute("INSERT INTO class(id, vendor, name, created) VALUES(?, 'v', 'n', 1)", (bytes(16),))
    for device, reports, received in (("a", 700, now), ("b", 3, now), ("old", 3, now - 366 * 86400)):
        db.execute("INSERT INTO device(id, class, created, origin) VALUES(?, ?, 1, 'import')", (device, bytes(16)))
        db.executemany("INSERT INTO report(device, counter, received, state, reason, about_epoch, about_sequence,"
                       " bytes, again, cose) VALUES(?, ?, ?, 1, 0, 0, 0, 0, 0, x'00')",
                       [(device, i + 1, received) for i in range(reports)])
    db.commit()
    with Daemon(config) as d, Client(d.port["admin"]) as c:
        check("it says so", d.wait_for("reports-pruned reports=697"), d.lines)
        text = c.ask("/metrics", headers=[f"Authorization: Bearer {token}"]).body.decode()
        check("and counts", "\ngodwit_reports_pruned_total 697\n" in text, text)
    equal("kept", db.execute("SELECT device, min(counter), count(*) FROM report GROUP BY device").fetchall(),
          [("a", 696, 5), ("b", 1, 3), ("old", 3, 1)])
    db.close()


def put_blob(data):
    name = hashlib.sha256(data).hexdigest()
    folder = TMP / "data/blobs" / name[:2]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return name


def test_payloads():
    data = os.urandom(300_000)
    name = put_blob(data)
    with Daemon(write("life.conf", PLAIN)) as d, Client(d.port["payloads"]) as c:
        a = c.ask(f"/payloads/{name}")
        check("whole", a.status == 200 and a.body == data and a.headers["etag"] == f'"{name}"')
        check("for caches", "immutable" in a.headers["cache-control"])
        a = c.ask(f"/payloads/{name}", headers=["Range: bytes=100-199", f'If-Range: "{name}"'])
        check("range", a.status == 206 and a.body == data[100:200])
        equal("unchanged", c.ask(f"/payloads/{name}", headers=[f'If-None-Match: "{name}"']).status, 304)
        equal("HEAD", c.ask(f"/payloads/{name}", "HEAD").headers["content-length"], "300000")
        equal("POST", c.ask(f"/payloads/{name}", "POST").status, 405)
        put = c.ask("/payloads/../data/godwit.db")
        equal("out of the folder", put.status, 400)


def test_links():
    data = b"linked" * 100
    name = put_blob(data)
    config = write("links.conf", PLAIN.replace("data = data\n", "data = data\nlink_seconds = 60\n"))

    def link(expires, key, of=name):
        mac = hmac.new(key, bytes.fromhex(of) + expires.to_bytes(8, "big"), "sha256").hexdigest()
        return f"/payloads/{of}?expires={expires}&mac={mac}"

    with Daemon(config) as d, Client(d.port["payloads"]) as c:
        with sqlite3.connect(TMP / "data/godwit.db") as db:
            key = db.execute("SELECT value FROM setting WHERE name = 'link_key'").fetchone()[0]
        now = int(time.time())
        equal("its key", len(key), 32)
        equal("link", c.ask(link(now + 60, key)).body, data)
        other = put_blob(b"other")
        stolen = link(now + 60, key).replace(name, other)
        longer = link(now + 60, key).replace(str(now + 60), str(now + 90))
        for what, path in (("none", f"/payloads/{name}"), ("expired", link(now - 1, key)),
                           ("forged", link(now + 60, b"k")), ("of another payload", stolen), ("longer", longer),
                           ("half", f"/payloads/{name}?expires={now + 60}"),
                           ("no hex", f"/payloads/{name}?expires=9&mac=x"), ("cut", link(now + 60, key)[:-2])):
            a = c.ask(path)
            equal(f"link: {what}", (a.status, a.code()), (403, "link"))
    with Daemon(config) as d, Client(d.port["payloads"]) as c:
        equal("the key is kept", c.ask(link(now + 60, key)).status, 200)


def test_reload(pki):
    cert, key = pki.server("reload")
    config = write("tls.conf", f"[server]\ndata = data\n[payloads]\nlisten = 127.0.0.1:0\ncertificate = {cert}\n"
                               f"key = {key}\n")
    context = client_context(pki.ca)

    def serial(d):
        with Client(d.port["payloads"], context) as c:
            return c.socket.getpeercert()["serialNumber"]

    with Daemon(config) as d:
        first = serial(d)
        fresh = pki.server("fresh")
        cert.write_bytes(fresh[0].read_bytes())
        d.process.send_signal(signal.SIGHUP)
        check("a key of another: kept, and said", d.wait_for("reload-failed door=payloads"))
        equal("the old one", serial(d), first)
        key.write_bytes(fresh[1].read_bytes())
        d.process.send_signal(signal.SIGHUP)
        check("reloaded, and said", d.wait_for("reloaded door=payloads"))
        check("the new one", serial(d) != first)
    equal("ends", d.code, 0)


def test_trust():
    def godwit(*arguments):
        subprocess.run([GODWITD.parent / "godwit", *map(str, arguments)], check=True, capture_output=True, cwd=TMP)

    for name in ("root1", "root2", "author"):
        godwit("key", "new", f"{name}.pem")
    godwit("key", "bundle", "--root", "root1.pem", "--root", "root2.pem", "--author", "author.pem", "--version", 1,
           "--epoch", 1, "-o", "trust.cose")
    text = PLAIN.replace("data = data\n", "data = trusted\ntrust = trust.cose\nroots = roots.pem\n")
    config = write("trust.conf", text)
    write("roots.pem", (TMP / "author.pub.pem").read_text())
    done = once(config)
    check("a bundle of other roots", done.returncode not in (0, 2), done.stderr)
    write("roots.pem", (TMP / "root1.pub.pem").read_text() + (TMP / "root2.pub.pem").read_text())
    for start in ("first", "again"):
        with Daemon(config) as d:
            pass
        equal(f"start, {start}", d.code, 0)
    with sqlite3.connect(TMP / "trusted/godwit.db") as db:
        equal("the bundle is there", db.execute("SELECT version FROM trust").fetchall(), [(1,)])


def test_json_log():
    config = write("json.conf", PLAIN.replace("data = data\n", "data = data\nlog = json\n"))
    process = subprocess.Popen([GODWITD, config], stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(json.loads(line))
        if lines[-1]["event"] == "ready":
            process.terminate()
    process.wait(timeout=20)
    equal("events", [line["event"] for line in lines], ["listening", "listening", "ready", "draining", "ended"])


def main():
    pki = Pki(TMP / "pki")
    for name, test in list(globals().items()):
        if name.startswith("test_") and (len(sys.argv) < 2 or sys.argv[1] in name):
            try:
                test(*[pki] * test.__code__.co_argcount)
            except Exception as error:  # noqa: BLE001
                check(name, False, repr(error))
    return score.close()


if __name__ == "__main__":
    sys.exit(main())
