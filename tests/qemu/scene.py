"""What a test with the emulated board starts from: keys, a trust bundle, signed releases, units. Made anew each time
with the programs that people use (GODWIT_BIN, or build/host/bin) and the firmware of `make board`."""
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(os.environ.get("GODWIT_BIN", ROOT / "build/host/bin")).resolve()
BOARD = ROOT / "build/rv32-board"
VENDOR = ["--vendor", "example.com", "--class", "sensor"]


class Failed(Exception):
    """A program did not end as it should."""


def godwit(*arguments, code=0, says="", seconds=60):
    """Runs godwit; it must end with this exit code and say this. Returns all that it said."""
    command = [BIN / "godwit", *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds, check=False,
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"godwit {' '.join(map(str, arguments))}: did not end in {seconds} s\n{late.stderr}") from None
    said = done.stdout + done.stderr
    if done.returncode != code or says not in said:
        raise Failed(f"godwit {' '.join(map(str, arguments))}: exit code {done.returncode}, expected {code} and "
                     f"{says!r}\n{said}")
    return said


def firmware():
    """Builds the board's firmware, configured only once: other suites use the same folder at the same time."""
    if not (BOARD / "build.ninja").exists():
        subprocess.run(["cmake", "--preset", "rv32-board"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", BOARD, "-j", "2", "--", "--quiet"], cwd=ROOT, check=True)


class Scene:
    """A folder with keys and a bundle."""

    def __init__(self, folder):
        self.folder = Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for name in ("author", "root1", "root2", "group", "mallory"):
            godwit("key", "new", self / f"{name}.pem")
        godwit("key", "bundle", "--root", self / "root1.pem", "--root", self / "root2.pem", "--author",
               self / "author.pem", "--version", 1, "--epoch", 1, "-o", self / "trust.cose")

    def __truediv__(self, name):
        return self.folder / name

    def release(self, name, image, version, key="author"):
        """A signed release of an image of `make board`, encrypted for the group of units."""
        folder = self / name
        godwit("release", "build", BOARD / f"{image}.bin", "--version", version, *VENDOR, "--encrypt-to",
               self / "group.pub.pem", "-o", folder)
        godwit("release", "sign", folder, "--key", self / f"{key}.pem")
        return folder

    def unit(self, name, release):
        """A unit with this release confirmed, and the recovery image."""
        godwit("device", "provision", "--id", name, *VENDOR, "--root", self / "root1.pub.pem", "--root",
               self / "root2.pub.pem", "--device-key", self / "group.pem", "--board", "qemu-rv32", "--bootloader",
               BOARD / "boot.bin", "--trust", self / "trust.cose", "--factory", BOARD / "recovery.bin", "--release",
               release, "-o", self / name)
        return self / name
