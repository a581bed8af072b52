"""What the agent's end-to-end tests start from: keys, releases, repositories, devices, and a run of a device."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/web"), str(ROOT / "tests/netfaults")]
from pki import Pki  # noqa: E402
from place import BIN, Score  # noqa: E402
from place import run as godwit  # noqa: E402

CLASS = ["--vendor", "example.com", "--class", "sensor-c3"]
FRAME = 1024
IMAGE = 20_000


class Scene(Score):
    """Everything in one folder, the working directory. Counts what holds."""

    def __init__(self):
        super().__init__()
        self.pki = Pki("pki")
        for name in ("root1", "root2", "author", "distributor", "group", "own", "mallory"):
            godwit("godwit", "key", "new", f"{name}.pem")
        self.bundle("trust.cose", 1)
        noise = os.urandom(IMAGE)
        Path("old.bin").write_bytes(noise)
        Path("new.bin").write_bytes(os.urandom(IMAGE))
        Path("small.bin").write_bytes(noise[:9000] + b"mended" + noise[9000:])
        self.release("1.0.0", "old.bin")
        self.release("1.1.0", "new.bin")
        self.publish("rel-1.1.0", "www")
        godwit("godwit", "device", "provision", "--id", "dev1", *CLASS, "--root", "root1.pub.pem", "--root",
               "root2.pub.pem", "--device-key", "group.pem", "--own-key", "own.pem", "-o", "identity")
        self.device("template")
        self.release("1.0.0", "old.bin", folder="rel-headless", head=None)
        self.device("template-headless", "rel-headless")

    def bundle(self, out, version, *more):
        godwit("godwit", "key", "bundle", "--root", "root1.pem", "--root", "root2.pem", "--author", "author.pem",
               "--distributor", "distributor.pem", "--version", version, "--epoch", 1, "-o", out, *more)

    def release(self, version, image, *more, key="author", head=(), folder=None):
        folder = folder or f"rel-{version}"
        ids = [] if "--class" in more else CLASS
        godwit("godwit", "release", "build", image, "--version", version, *ids, "--frame-size", FRAME, "--encrypt-to",
               "group.pub.pem", "-o", folder, *more)
        godwit("godwit", "release", "sign", folder, "--key", f"{key}.pem")
        if head is not None:
            godwit("godwit", "release", "head", folder, "--key", "distributor.pem", *head)
        return folder

    @staticmethod
    def publish(folder, to, *more, trust="trust.cose"):
        godwit("godwit", "release", "publish", folder, "--to", to, "--trust", trust, *more)

    @staticmethod
    def device(folder, first="rel-1.0.0", *layout, trust="trust.cose"):
        """A device with this release confirmed."""
        godwit("godwit-device", "init", folder, "--identity", "identity", "--trust", trust, "--slot-size", "64K",
               *layout)
        godwit("godwit-device", "install", folder, first)
        godwit("godwit-device", "boot", folder, "--cause", "software")
        godwit("godwit-device", "confirm", folder)


class Device:
    """A device of its own for one case: a copy of a template, and all events of its runs."""

    def __init__(self, folder, template="template"):
        self.folder = Path(folder)
        shutil.copytree(template, self.folder)
        self.events, self.said, self.code = [], "", None

    def run(self, url, *more, ca="pki/ca.pem", ports="curl", seconds=60, report=True, looks=1):
        """Until it has nothing more to do; returns its exit code."""
        command = [BIN / "godwit-device", "run", self.folder, "--server", url, *(["--ca", ca] if ca else []),
                   "--ports", ports, "--interval", "5", "--looks", str(looks), "--seconds", str(seconds), "--stall",
                   "2", "--chunk", "6000", "--watchdog", "3", "--json",
                   *(["--report", "device/v1/report"] if report else []), *map(str, more)]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        self.events += [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        self.said += done.stdout + done.stderr
        self.code = done.returncode
        return done.returncode

    def of(self, event):
        return [e for e in self.events if e["event"] == event]

    def reasons(self):
        return {e["reason"] for e in self.events if e["event"] in ("FAILED", "LEFT", "TRIED")} - {""}

    def read(self):
        """Payload bytes read from the network, in all attempts."""
        return sum(e["read"] for e in self.events if e["event"] in ("STAGED", "FAILED"))

    def status(self):
        return json.loads(godwit("godwit-device", "status", self.folder, "--json"))

    def version(self):
        confirmed = [s for s in self.status()["slots"] if s["state"] == "CONFIRMED"]
        return confirmed[0]["manifest on flash"]["version"] if confirmed else "none"

    def untouched(self):
        """Nothing was installed, nor begun: the other slot is as it was."""
        status = self.status()
        return status["install under way"] == "none" and {s["state"] for s in status["slots"]} == {"CONFIRMED", "EMPTY"}

    def remove(self):
        shutil.rmtree(self.folder)


def reports(folder):
    """What a server got: each verified with the device's own key, in the order of arrival."""
    found = []
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            found.append(json.loads(godwit("godwit", "report", "verify", path, "--own-key", "own.pub.pem", "--json")))
    return found
