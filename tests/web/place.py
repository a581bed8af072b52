"""What suites with programs and servers share: running a program of Godwit, counting what holds, and a place where
godwitd and its broker live.

    run("godwit", "key", "new", "a.pem")        stdout; Failed, when it ends otherwise than told (code=, says=)
    score = Score(); score.holds(what, true, detail); ...; return score.close()      prints `N passed, N failed`
    until(10, lambda: ...)                      True as soon as that is; False, if it was not in ten seconds

    place = Place("srv", trust="trust.cose")    `godwit server init`, with free ports and a profile of its own
    with place: place.url, place.admin_url, place.mqtt, place.godwit("device", "list"), place.reports("dev1")

Everything is in the working directory, or where it is told. Processes are ended by their ids.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
import traceback
from pathlib import Path

from mosquitto import Mosquitto, free_ports

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(os.environ.get("GODWIT_BIN") or ROOT / "build/host/bin").resolve()


class Failed(RuntimeError):
    """A program did not end as it should."""


def ended(*command, seconds=120, env=None, bin_dir=None):
    """A program of Godwit that has ended, however: returncode, stdout, stderr."""
    command = [str(c) for c in command]
    try:
        return subprocess.run([(bin_dir or BIN) / command[0], *command[1:]], capture_output=True, text=True,
                              errors="replace", timeout=seconds, check=False, stdin=subprocess.DEVNULL,
                              env={**os.environ, **(env or {})})
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{' '.join(command)}: did not end in {seconds} s\n{late.stderr}") from None


def run(*command, code=0, says="", **more):
    """Runs one; it must end with this exit code and say this. Returns its stdout."""
    done = ended(*command, **more)
    said = done.stdout + done.stderr
    if done.returncode != code or says not in said:
        raise Failed(f"{' '.join(map(str, command))}: exit code {done.returncode}, expected {code} and {says!r}\n"
                     f"{said}")
    return done.stdout


def until(seconds, true, step=0.05):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(step)
    return bool(true())


class Score:
    """Counts what holds; from several threads if need be."""

    def __init__(self):
        self.passed = self.failed = 0
        self.lock = threading.Lock()

    def holds(self, what, true, detail=""):
        with self.lock:
            self.passed += bool(true)
            self.failed += not true
            if not true:
                print(f"FAILED: {what}\n{detail}", flush=True)
        return bool(true)

    def equal(self, what, got, expected):
        return self.holds(what, got == expected, f"got {got!r}, expected {expected!r}")

    @contextlib.contextmanager
    def part(self, name):
        """What raises in here has failed; the rest goes on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            self.holds(f"{name} broke off", False, error if isinstance(error, Failed) else traceback.format_exc())

    def close(self):
        """The line that suites end with; the exit code."""
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0


class Place:
    """godwitd and its broker, in a folder. `options`: lines for [server] of godwitd.conf."""

    def __init__(self, folder, trust, device_ca="device-ca", profile="here", next_look=None, name="localhost"):
        self.folder, self.log = Path(folder), Path(f"{folder}.log")
        self.port, self.process = free_ports(6), None
        run("godwit", "server", "init", self.folder, "--name", name, "--device-ca", device_ca, "--trust", trust,
            "--address", "127.0.0.1", "--port", self.port, "--profile", profile)
        if next_look is not None:
            self.set("next_look", next_look)
        self.url, self.admin_url = f"https://localhost:{self.port}", f"https://localhost:{self.port + 3}"
        self.mqtt, self.mqtt_port = f"127.0.0.1:{self.port + 4}", self.port + 4
        self.ca, self.profile, self.broker = self.folder / "ca/ca.pem", profile, Mosquitto(self.folder)

    def set(self, option, value):
        """The first option of that name in godwitd.conf; counts from the next start."""
        conf = self.folder / "godwitd.conf"
        text, changed = re.subn(rf"(?m)^#?{option} =.*$", f"{option} = {value}", conf.read_text(), count=1)
        if not changed:
            raise Failed(f"{conf} has no {option}")
        conf.write_text(text)

    def start(self):
        self.broker.start()
        return self.start_server()

    def start_server(self):
        at = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([BIN / "godwitd", self.folder / "godwitd.conf"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        word = "broker-connected" if self.broker.process else " ready\n"
        if not until(20, lambda: word in self.said(at) or self.process.poll() is not None) or word not in self.said(at):
            raise Failed(f"godwitd did not start: {self.said(at)}")
        return self

    def said(self, at=0):
        return self.log.read_bytes()[at:].decode(errors="replace") if self.log.exists() else ""

    def stop_server(self, how=signal.SIGTERM):
        """Its exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(how)
        code = self.process.wait(timeout=30)
        self.process = None
        return code

    def reload(self):
        """Certificates are read again."""
        at = self.log.stat().st_size
        self.process.send_signal(signal.SIGHUP)
        if not until(10, lambda: "reloaded door=devices" in self.said(at)):
            raise Failed(f"godwitd did not reload: {self.said(at)}")

    def stop(self):
        self.broker.stop()
        return self.stop_server()

    __enter__ = start

    def __exit__(self, *_):
        self.stop()

    def godwit(self, *command, **more):
        return run("godwit", *command, env={"GODWIT_PROFILE": self.profile}, **more)

    def json(self, *command):
        return json.loads(self.godwit(*command, "--json"))

    def devices(self):
        return {d["id"]: d for d in self.json("device", "list")}

    def publish(self, release):
        """Its digest."""
        return self.godwit("release", "publish", release, "--to", self.admin_url).strip()

    def roll_out(self, digest, *target, name="rollout"):
        """Starts it; its id."""
        return self.godwit("rollout", "start", digest, *(target or ("--all",)), "--name", name).strip()

    def reports(self, device, own_key=None):
        """What is stored, in order: (counter, COSE bytes); with the device's own public key, verified and in words."""
        with contextlib.closing(sqlite3.connect(f"file:{self.folder}/data/godwit.db?mode=ro", uri=True)) as db:
            query = "SELECT counter, cose FROM report WHERE device = ? ORDER BY counter"
            rows = db.execute(query, (device,)).fetchall()
        return [verified(cose, own_key) for _, cose in rows] if own_key else rows


def verified(cose, own_key):
    """A report in words; Failed, when it is not signed by that key."""
    file = Path(f"report-{os.getpid()}-{threading.get_ident()}.cose")
    file.write_bytes(cose)
    try:
        return json.loads(run("godwit", "report", "verify", file, "--own-key", own_key, "--json"))
    finally:
        file.unlink()


def public_key(certificate, out):
    """The public key in a certificate, which vouches for a device's reports, as a PEM file."""
    pem = subprocess.run(["openssl", "x509", "-in", str(certificate), "-pubkey", "-noout"], check=True,
                         capture_output=True, text=True).stdout
    Path(out).write_text(pem)
    return out


def scratch():
    """Where many large files may be written: in memory, if there is room."""
    memory = os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 1 << 29
    return Path("/dev/shm") if memory else Path(os.environ.get("GODWIT_TMP") or "/tmp")
