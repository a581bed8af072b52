"""What the parts of this suite share: a folder to work in, keys, releases, checks that count."""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/web"))
from nginx import Nginx  # noqa: E402,F401
from pki import Pki  # noqa: E402,F401

IDS = "--vendor example.com --class sensor-c3"


class Scene:
    """Keys, a bundle and releases; a with-block. `run` is the program, `check` and `holds` count."""

    def __init__(self):
        self.bin = Path(os.environ.get("GODWIT_BIN") or ROOT / "build/host/bin").resolve()
        memory = os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 1 << 29
        self.base = Path("/dev/shm") if memory else Path(os.environ.get("GODWIT_TMP") or "/tmp")
        self.passed = self.failed = 0
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_") and "proxy" not in k.lower()}
        self.env["PATH"] = f"{self.bin}:{self.env['PATH']}"

    def __enter__(self):
        self.work = Path(tempfile.mkdtemp(prefix="godwit-publish.", dir=self.base))
        os.chdir(self.work)
        for name in ("author", "distributor", "root1", "root2", "device"):
            self.must(f"godwit key new {name}.pem")
        roots = "--root root1.pem --root root2.pem --author author.pem --distributor distributor.pem --epoch 1"
        self.must(f"godwit key bundle {roots} --version 1 -o trust.cose")
        self.must(f"godwit key bundle {roots} --version 2 -o trust2.cose")
        Path("firmware.bin").write_bytes(os.urandom(150000))
        self.release("rel", "1.0.0")
        self.release("rel2", "1.1.0")
        return self

    def __exit__(self, *_):
        os.chdir("/")
        shutil.rmtree(self.work, ignore_errors=True)

    def part(self, function):
        try:
            function(self)
        except Exception:
            self.failed += 1
            print(f"FAILED: {function.__module__}.{function.__name__} broke off")
            traceback.print_exc()
        sys.stdout.flush()

    def run(self, command, env=None, **more):
        return subprocess.run(command.split(), env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", timeout=120, **more)

    def must(self, command):
        result = self.run(command)
        if result.returncode:
            raise RuntimeError(f"{command}: {result.stderr}")
        return result.stdout

    def holds(self, name, true):
        self.passed += bool(true)
        self.failed += not true
        if not true:
            print(f"FAILED: {name}")
        return true

    def check(self, name, code, text, command, env=None, **more):
        """The command ends with this exit code and says this."""
        result = self.run(command, env, **more)
        said = result.stdout + result.stderr
        if not self.holds(name, result.returncode == code and text in said):
            print(f"  {command}\n  exit code {result.returncode}, expected {code} and {text!r}\n{said}")
        return said

    def release(self, folder, version, image="firmware.bin", more="--encrypt-to device.pub.pem", ids=IDS):
        self.must(f"godwit release build {image} --version {version} {ids} {more} -o {folder}")
        self.must(f"godwit release sign {folder} --key author.pem")

    def head(self, folder, serial, more=""):
        self.must(f"godwit release head {folder} --key distributor.pem --serial {serial} --force {more}")

    def publish(self, folder="rel", to="repo", more="", env=None):
        """The report as JSON, of one that has to succeed."""
        result = self.run(f"godwit release publish {folder} --to {to} --trust trust.cose --json {more}", env)
        if result.returncode:
            raise RuntimeError(f"publish {folder}: {result.stderr}")
        return json.loads(result.stdout)

    def listing(self, where="repo", env=None, code=0):
        result = self.run(f"godwit release list --from {where} --check --json", env)
        if result.returncode != code:
            raise RuntimeError(f"list {where}: {result.returncode}: {result.stderr}")
        return json.loads(result.stdout)


def offered(repo):
    """Version that each class is offered."""
    return {c["class id"]: c["offers"]["version"] for c in repo["classes"] if isinstance(c["offers"], dict)}


def tree(folder):
    """Every file with its bytes' digest and time of change."""
    return {str(p.relative_to(folder)): (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns)
            for p in sorted(Path(folder).rglob("*")) if p.is_file()}
