#!/usr/bin/python3
"""The units of packaging/: read by systemd's tools, and godwitd under their restrictions. `N passed, N failed`."""
import ctypes
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/web")]
from mosquitto import free_ports, program  # noqa: E402
from place import BIN, Score, ended, run, until  # noqa: E402

UNIT, BROKER = ROOT / "packaging/godwitd.service", ROOT / "packaging/mosquitto-godwit.conf"
USER = "nobody"
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
score = Score()
holds = score.holds


def analyze(*command):
    return subprocess.run(["systemd-analyze", *map(str, command)], capture_output=True, text=True, check=False)


def settings(text, name):
    return re.findall(rf"^{name}=(.*)$", text, re.M)


# ---- What systemd says of them ---------------------------------------------------------------------------------------

def units(here):
    """Where programs and folder are is not the unit's fault here: they are put in its place."""
    text = UNIT.read_text().replace("/usr/bin/godwitd", str(BIN / "godwitd"))
    (here / "godwitd.service").write_text(text)
    done = analyze("verify", here / "godwitd.service")
    holds("systemd takes the unit", done.returncode == 0 and not done.stderr, done.stderr)
    (here / "bad.service").write_text(text.replace("MemoryDenyWriteExecute=yes", "MemoryDenyWriteExecute=perhaps"))
    holds("and would say what it does not", "perhaps" in analyze("verify", here / "bad.service").stderr)
    done = analyze("security", "--offline=true", "--threshold=15", here / "godwitd.service")
    holds("its exposure is at most 1.5 of 10", done.returncode == 0, done.stdout[-300:])
    (here / "mosquitto.service").write_text("[Service]\nExecStart=/bin/false\n")
    folder = here / "mosquitto.service.d"
    folder.mkdir()
    broker = BROKER.read_text()
    (folder / "godwit.conf").write_text(broker.replace("/usr/sbin/mosquitto", program()))
    done = analyze("verify", here / "mosquitto.service")
    holds("systemd takes the broker's", done.returncode == 0 and not done.stderr, done.stderr)


def paths(folder):
    """All that the units name is there after `server init /srv/godwit`, which is `folder` here."""
    for text in (UNIT.read_text(), BROKER.read_text()):
        named = set(re.findall(r"/srv/godwit\S*", "\n".join(line for line in text.splitlines() if line[:1] != "#")))
        holds("it names the server's folder", named, text)
        for path in named:
            holds(f"{path} is there", Path(path.replace("/srv/godwit", str(folder))).exists())


# ---- Run as the unit would -------------------------------------------------------------------------------------------

def no_new_code():
    """MemoryDenyWriteExecute, where the kernel has it as a flag (6.3); before, systemd does it by filters."""
    ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)


class Service:
    """godwitd with what can be had of the unit: user, capabilities, new privileges, what is writable, umask."""

    def __init__(self, folder, log):
        user = pwd.getpwnam(USER)
        writable = settings(UNIT.read_text(), "ReadWritePaths")[0].replace("/srv/godwit", str(folder))
        script = (f"mount --make-rprivate / && mount --bind {writable} {writable} && mount -o remount,bind,ro / && "
                  f"exec setpriv --reuid {user.pw_uid} --regid {user.pw_gid} --clear-groups --no-new-privs "
                  f"--bounding-set=-all --inh-caps=-all --ambient-caps=-all sh -c 'umask 0077; "
                  f"! touch {folder}/never 2>/dev/null && ! cat {folder}/tls/broker.key >/dev/null 2>&1 && "
                  f"{folder.parent}/godwitd {folder}/godwitd.conf --check && "
                  f"exec {folder.parent}/godwitd {folder}/godwitd.conf'")
        self.log = log
        with open(log, "w") as out:
            self.process = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=out, stderr=out,
                                            preexec_fn=no_new_code)

    def says(self, text, seconds=20):
        return until(seconds, lambda: text in self.log.read_text() or self.process.poll() is not None) \
            and text in self.log.read_text()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def restricted(folder, admin):
    with Service(folder, folder.parent / "log") as service:
        holds("it starts, as another user who can write nothing but its data", service.says(" ready"),
              service.log.read_text())
        first = (folder.parent / "config/godwit/f.token").read_text()
        holds("the first token was taken in", not (folder / "data/first-tokens").exists() and first)
        run("godwit", "device", "list", "--profile", "f")
        token = run("godwit", "server", "token", folder, "--name", "second", "--role", "viewer").split()[-1]
        run("godwit", "server", "renew", folder)
        before = service.log.read_text().count(" reloaded")
        service.process.send_signal(signal.SIGHUP)
        holds("it takes in what root wrote", until(10, lambda: not (folder / "data/first-tokens").exists()),
              service.log.read_text())
        holds("and what root renewed", until(10, lambda: service.log.read_text().count(" reloaded") > before)
              and "reload-failed" not in service.log.read_text(), service.log.read_text())
        (folder.parent / "second").write_text(token)
        os.chmod(folder.parent / "second", 0o600)
        run("godwit", "device", "list", "--server", admin, "--ca", folder / "ca/ca.pem", "--token-file",
            folder.parent / "second")
        said = ended("godwit", "server", "check", folder).stdout
        holds("check finds nothing wrong with owners", "owners" not in said and "modes" in said, said)
        run("godwit", "server", "backup", folder, "-o", folder.parent / "backup.tar")
        service.process.terminate()
        holds("it ends by itself", service.process.wait(60) == 0, service.log.read_text())
    with Service(folder, folder.parent / "log2") as service:
        holds("and starts again after root made a backup", service.says(" ready"), service.log.read_text())


def owners(folder):
    """One thing of another's at a time; the command that `check` names mends it."""
    os.chmod(folder / "ca", 0o700)
    said = ended("godwit", "server", "check", folder).stdout
    holds("check sees that godwitd cannot reach the CA", f"mend: chmod 711 {folder}/ca" in said, said)
    os.chmod(folder / "ca", 0o711)
    for name in ("tls/server.key", "tls/godwitd.key", "data/godwit.db"):
        os.chown(folder / name, 0, 0)
        said = ended("godwit", "server", "check", folder).stdout
        mend = re.search(rf"{name} belongs to another user.*\n +mend: (chown .*)\n", said)
        holds(f"check sees that {name} is root's", mend, said)
        if mend:
            subprocess.run(mend[1].split(), check=True)
            holds(f"and its command mends {name}", "owners" not in ended("godwit", "server", "check", folder).stdout)


def become_root():
    """By sudo, where that asks for nothing. Is this root?"""
    program()  # into this user's cache, not into root's
    sudo = os.geteuid() != 0 and shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], check=False).returncode == 0:
        keep = "--preserve-env=GODWIT_BIN,GODWIT_TMP,GODWIT_DEPS,MOSQUITTO,HOME,PATH"
        os.execv(sudo, [sudo, "-n", keep, sys.executable, *sys.argv])
    return os.geteuid() == 0


def main():
    root = become_root()
    here = Path(tempfile.mkdtemp(prefix="godwit-packaging-", dir="/tmp"))  # where another user may come
    os.chmod(here, 0o755)
    os.environ["XDG_CONFIG_HOME"] = str(here / "config")
    try:
        shutil.copy(BIN / "godwitd", here / "godwitd")
        folder, port = here / "srv", free_ports(6)
        init = ("godwit", "server", "init", folder, "--name", "127.0.0.1", "--port", port)
        run(*init, "--user", "nobody-at-all", code=2, says="useradd" if root else "is for root")
        run("godwit", "key", "new", here / "dca", "--device-ca", "Devices")
        run(*init, *(("--user", USER) if root else ()), "--profile", "f", "--device-ca", here / "dca", "--address",
            "127.0.0.1")
        units(here)
        paths(folder)
        if root:
            restricted(folder, f"https://127.0.0.1:{port + 3}")
            owners(folder)
        else:
            print("not root, and sudo asks for a password: godwitd was not run as another user")
    finally:
        shutil.rmtree(here)
    return score.close()


if __name__ == "__main__":
    sys.exit(main())
