"""What a test with the emulated board starts from. Made anew each time with the programs that people use (GODWIT_BIN,
or build/host/bin) and the firmware of `make board`.

Scene: keys, a trust bundle, signed releases, units that are updated over their serial line. Online: a device CA,
godwitd and its broker besides, and units that update themselves over the network: each has a key and a certificate of
its own in its identity, the server's CA in its trust bundle, and settings that tell where the server is.
"""
import datetime
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/web"), str(ROOT / "tests/netfaults")]
from board import Board, Net  # noqa: E402
from place import BIN, Failed, Place, ended, public_key, until  # noqa: E402,F401

BOARD = ROOT / "build/rv32-board"
CLASS_NAMES = ["--vendor", "example.com", "--class", "sensor"]
STATIC = "address = 10.0.2.15/24\ngateway = 10.0.2.2\n"


def godwit(*arguments, code=0, says="", seconds=60):
    """Runs godwit; it must end with this exit code and say this. Returns all that it said."""
    done = ended("godwit", *arguments, seconds=seconds)
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
        self.folder = Path(folder).resolve()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for name in ("author", "root1", "root2", "group", "mallory"):
            godwit("key", "new", self / f"{name}.pem")
        self.bundle("trust.cose", 1)

    def __truediv__(self, name):
        return self.folder / name

    def bundle(self, name, version, *more, author="author"):
        godwit("key", "bundle", "--root", self / "root1.pem", "--root", self / "root2.pem", "--author",
               self / f"{author}.pem", "--version", version, "--epoch", 1, "-o", self / name, *more)
        return self / name

    def release(self, name, image, version, key="author", *more):
        """A signed release of an image of `make board`, or of a file, encrypted for the group of units."""
        folder, file = self / name, image if isinstance(image, Path) else BOARD / f"{image}.bin"
        godwit("release", "build", file, "--version", version, *CLASS_NAMES, "--encrypt-to", self / "group.pub.pem",
               "-o", folder, *more)
        godwit("release", "sign", folder, "--key", self / f"{key}.pem")
        return folder

    def delta(self, name, image, version, *older):
        """A release with deltas from older ones."""
        more = [word for folder in older for word in ("--delta-from", folder)]
        return self.release(name, image, version, "author", *more, "--with", self / "group.pem")

    def roots(self):
        return ["--root", self / "root1.pub.pem", "--root", self / "root2.pub.pem"]

    def board_files(self, release, trust="trust.cose"):
        return ["--board", "qemu-rv32", "--bootloader", BOARD / "boot.bin", "--trust", self / trust, "--release",
                release]

    def unit(self, name, release, settings=None, trust="trust.cose"):
        """A unit with this release confirmed, and the recovery image."""
        more = []
        if settings:
            (self / f"{name}.settings").write_text(settings)
            more = ["--settings", self / f"{name}.settings"]
        godwit("device", "provision", "--id", name, *CLASS_NAMES, *self.roots(), "--device-key", self / "group.pem",
               *self.board_files(release, trust), "--factory", BOARD / "recovery.bin", *more, "-o", self / name)
        return self / name


class Online(Scene):
    """A scene with godwitd and its broker, which run until stop(); and a list of devices, known to the server."""

    def __init__(self, folder, devices, next_look=3600, trust=2):
        super().__init__(folder)
        godwit("key", "new", self / "device-ca", "--device-ca", "Test devices")
        godwit("key", "new", self / "distributor.pem")
        self.place = Place(self / "srv", self / "trust.cose", self / "device-ca", profile=self.folder.name,
                           next_look=next_look)
        self.bundle("trust-ca.cose", trust, "--server-ca", self.place.ca)
        (self / "devices.csv").write_text("id,class,hardware,tags\n" + "".join(f"{name},,1,\n" for name in devices))
        godwit("device", "provision", "--csv", self / "devices.csv", "--device-ca", self / "device-ca", *CLASS_NAMES,
               *self.roots(), "--device-key", self / "group.pem", "-o", self / "made", seconds=120)
        self.place.start()
        self.place.godwit("class", "add", *CLASS_NAMES)
        self.place.godwit("device", "import", self / "made/devices.json")
        self.place.godwit("server", "trust", self / "trust-ca.cose")

    def settings(self, *lines, server=None, mqtt=None, static=True, poll=5):
        """Text for --settings. `mqtt` "": no broker."""
        lines = (f"poll = {poll}", *lines)
        mqtt = f"localhost:{self.place.mqtt_port}" if mqtt is None else mqtt
        text = f"server = {server or self.place.url}\nhost = localhost 10.0.2.2\n" + (STATIC if static else "")
        return text + (f"mqtt = {mqtt}\n" if mqtt else "") + "".join(f"{line}\n" for line in lines)

    def unit(self, name, release, settings=None, trust="trust-ca.cose", identity=None, folder=None):
        """A unit with this release confirmed, and a way to the server; no recovery image. `identity`: of another."""
        folder, text = self / (folder or name), self / f"{folder or name}.settings"
        text.write_text(settings or self.settings())
        godwit("device", "provision", "--identity", self / f"made/{identity or name}.identity", "--settings", text,
               *self.board_files(release, trust), "-o", folder)
        return folder

    def net(self, name, pcap=None, **more):
        """A network card that reaches this server and its broker alone."""
        servers = {"https": self.place.port, "mqtt": self.place.mqtt_port, **more}
        return Net(self / f"{name}.links", pcap, **servers)

    def board(self, name, release, settings=None, trust="trust-ca.cose", **more):
        """A Board of a new unit, with its network card."""
        return Board(self.unit(name, release, settings, trust), net=self.net(name), **more)

    def publish(self, release, *target, name=None):
        """Published and rolled out; the rollout's id."""
        digest = self.place.publish(release)
        return self.place.roll_out(digest, *target, name=name or Path(release).name)

    def reports(self, device):
        """What the server has of a device, each verified by the key in the device's certificate."""
        key = self / f"{device}.own.pem"
        if not key.exists():
            public_key(self / f"made/{device}.pem", key)
        return self.place.reports(device, key)

    def stop(self):
        return self.place.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def short_lived_twin(ca, key, days, out):
    """The same CA - name and key - as a certificate that is good for so many days more: after that, what it signed is
    believed by nobody any more who knows this one alone."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    old = x509.load_pem_x509_certificate(Path(ca).read_bytes())
    secret = serialization.load_pem_private_key(Path(key).read_bytes(), None)
    now = datetime.datetime.utcnow()
    builder = (x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.issuer).public_key(old.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=400))
               .not_valid_after(now + datetime.timedelta(days=days)))
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    Path(out).write_bytes(builder.sign(secret, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return Path(out)
