#!/usr/bin/python3
"""The verbs of `godwit` that ask a server, against a stub of its administration (stub.py, SPEC.md section 19).

Access (profiles, tokens, certificates), reading verbs as tables and JSON, pages, changes, uploads that are cut off,
events, errors in the server's words; completion and the manual page. Ends with `N passed, N failed`.
"""
import fcntl
import hashlib
import json
import os
import pty
import stat
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/web"), str(ROOT / "tests/rest")]
from pki import Pki  # noqa: E402
from place import BIN, Score, ended  # noqa: E402
from stub import Stub  # noqa: E402

TOKEN = "gwa_the_token_of_this_test"
score = Score()
holds = score.holds


def run(*command, code=0, env=None, program="godwit"):
    """stdout; checks the exit code, and that no secret is told."""
    done = ended(program, *command, env=env)
    run.err = done.stderr
    holds(f"exit code {code} of {' '.join(map(str, command))}", done.returncode == code, done.stdout + done.stderr)
    holds("the token is not shown", TOKEN not in done.stdout + done.stderr)
    return done.stdout


def access(stub, pki):
    Path("token").write_text(TOKEN + "\n")
    Path("token").chmod(0o600)
    where = ["--server", stub.url, "--ca", pki.ca]
    run("class", "list", *where, "--token-file", "token")
    run("class", "list", *where, env={"GODWIT_TOKEN": TOKEN})
    run("class", "list", *where, code=2)
    holds("no token: says what to do", "GODWIT_TOKEN" in run.err, run.err)
    Path("token").chmod(0o644)
    run("class", "list", *where, "--token-file", "token", code=1)
    holds("a token that others can read is refused", "chmod 600" in run.err, run.err)
    Path("token").chmod(0o600)
    before = len(stub.asked)
    run("class", "list", "--server", stub.url, "--token-file", "token", code=3)
    other = Pki("other")
    run("class", "list", "--server", stub.url, "--ca", other.ca, "--token-file", "token", code=3)
    run("class", "list", "--server", stub.url.replace("localhost", "127.0.0.2"), "--ca", pki.ca, "--token-file",
        "token", code=3)
    run("class", "list", "--server", stub.url.replace("https", "http"), "--ca", pki.ca, "--token-file", "token", code=2)
    holds("nothing was asked of a server that is not trusted", len(stub.asked) == before, str(stub.asked[before:]))
    run("class", "list", *where, env={"GODWIT_TOKEN": "wrong"}, code=1)
    holds("a wrong token: the server's words", "not known" in run.err and "server token" in run.err, run.err)
    Path("bad").write_text("two words\n")
    Path("bad").chmod(0o600)
    run("class", "list", *where, "--token-file", "bad", code=1)


def profiles(stub, pki):
    """By `server init --profile`, whose server is put in the stub's place."""
    stub_port = stub.http.server_port
    run("server", "init", "srv", "--name", "localhost", "--address", "127.0.0.1", "--port", stub_port - 3, "--profile",
        "fleet")
    holds("the token is not shown when it is kept", "gwa_" not in run.err)
    folder = Path(os.environ["XDG_CONFIG_HOME"]) / "godwit"
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()}
    holds("profiles and tokens are private", modes["profiles.ini"] == modes["fleet.token"] == 0o600, str(modes))
    holds("so is the folder", stat.S_IMODE(folder.stat().st_mode) == 0o700)
    kept = (folder / "fleet.token").read_text()
    line = Path("srv/data/first-tokens").read_text().split()
    holds("the server has its hash alone", line[:2] == ["first", "admin"]
          and line[4] == hashlib.sha256(kept.encode()).hexdigest() and kept not in Path("srv/godwitd.conf").read_text())
    run("server", "init", "srv2", "--name", "localhost", "--profile", "fleet", code=1)
    (folder / "fleet.token").write_text(TOKEN)
    (folder / "fleet.ca.pem").write_bytes(Path(pki.ca).read_bytes())
    run("class", "list")
    run("class", "list", "--profile", "fleet")
    run("class", "list", "--profile", "none", code=2)
    run("class", "list", env={"GODWIT_PROFILE": ""})
    run("class", "list", env={"GODWIT_PROFILE": "", "XDG_CONFIG_HOME": "/nowhere"}, code=2)
    holds("no profile at all: says so", "no profile in /nowhere/" in run.err, run.err)
    whole = (folder / "profiles.ini").read_text()
    with open(folder / "profiles.ini", "a") as f:
        f.write("[second]\nserver = https://localhost:1\n")
    run("class", "list", code=2)
    holds("two profiles: which?", "which" in run.err, run.err)
    (folder / "profiles.ini").write_text("[other]\nserver = https://localhost:2")
    run("server", "init", "srv3", "--name", "localhost", "--port", 20000, "--profile", "third")
    holds("added behind a last line without its end", "localhost:2\n[third]\nserver = https://localhost:20003\n"
          in (folder / "profiles.ini").read_text(), (folder / "profiles.ini").read_text())
    run("class", "list", "--profile", "third", code=3)
    (folder / "profiles.ini").write_text(whole)
    (folder / "profiles.ini").chmod(0o644)
    run("class", "list", "--profile", "fleet", code=1)
    (folder / "profiles.ini").chmod(0o600)
    os.environ["GODWIT_PROFILE"] = "fleet"


def devices(stub):
    out = run("class", "add", "--vendor", "example.com", "--class", "sensor-c3")
    holds("class add prints the id", out.strip() in stub.classes)
    listed = {"devices": [{"id": f"dev{i}", "class": "ab" * 16, "key": "cd" * 64, "tags": ["beta"] if i % 2 else []}
                          for i in range(1100)]}
    Path("devices.json").write_text(json.dumps(listed))
    run("device", "import", "devices.json")
    imports = [b for m, p, _, b in stub.asked if (m, p) == ("POST", "/api/v1/devices")]
    holds("imported in bounded parts", len(imports) == 3 and len(stub.devices) == 1100)
    stub.devices = {k: v for k, v in stub.devices.items() if v["id"] in ("dev1", "dev2", "dev3", "dev4", "dev5")}
    stub.devices["dev1"].update(state="FAILED", reason="PAYLOAD_SHORT", seen=1700000000)
    out = run("device", "list")
    holds("a table of all pages", out.startswith("DEVICE ") and len(out.splitlines()) == 6, out)
    holds("times are times", "2023-11-14 22:13:20" in out, out)
    out = run("device", "show", "dev1")
    holds("of one device too", "seen: 2023-11-14 22:13:20\n" in out, out)
    holds("but for programs a number", json.loads(run("device", "show", "dev1", "--json"))["seen"] == 1700000000)
    tree = json.loads(run("device", "list", "--tag", "beta", "--json"))
    holds("--tag and --json", [d["id"] for d in tree] == ["dev1", "dev3", "dev5"], str(tree))
    stub.devices["dev2"]["tags"] = ["\x1b[31mred"]
    holds("no control character reaches the terminal", "\x1b" not in run("device", "list"))
    run("device", "list", "--text", "a&b=c/#?")
    holds("queries are escaped", stub.asked[-1][2].get("text") == "a&b=c/#?", str(stub.asked[-1]))
    out = run("device", "why", "dev1")
    holds("why in words", out == "It was never seen.\nNo rollout serves it: it is offered nothing.\n", out)
    holds("why as data", json.loads(run("device", "why", "dev1", "--json"))["id"] == "dev1")
    holds("show of the server's", json.loads(run("device", "show", "dev1", "--json"))["state"] == "FAILED")
    holds("reports", len(run("device", "reports", "dev1").splitlines()) == 6)
    run("device", "retry", "dev1")
    holds("retry", stub.asked[-1][:2] == ("POST", "/api/v1/devices/dev1/retry"))
    run("device", "set", "dev1", "--enabled", "no", "--tag", "x", "--tag", "y")
    holds("set", stub.devices["dev1"]["enabled"] is False and stub.devices["dev1"]["tags"] == ["x", "y"])
    run("device", "why", "nobody", code=1)
    holds("the server's words and hint", "there is no nobody" in run.err and "next: godwit device list" in run.err)
    for name in ("../tokens", "a/b", "server", ""):
        before = len(stub.asked)
        run("device", "why", name, code=1)
        holds(f"\"{name}\" is no device, and nobody is asked", len(stub.asked) == before)
    Path("two.json").write_text(json.dumps({"devices": listed["devices"][:2]}))
    run("device", "import", "two.json", "--tokens", "tokens")
    kept = Path("tokens/dev1.token")
    holds("tokens of devices are kept privately", kept.read_text() == "gwd_of_dev1" and
          stat.S_IMODE(kept.stat().st_mode) == 0o600)


def releases(stub):
    for key in ("author", "group"):
        run("key", "new", f"{key}.pem")
    Path("image.bin").write_bytes(os.urandom(2_500_000))
    run("release", "build", "image.bin", "--version", "1.1.0", "--vendor", "example.com", "--class", "sensor-c3",
        "--encrypt-to", "group.pub.pem", "-o", "rel")
    run("release", "sign", "rel", "--key", "author.pem")
    digest = json.loads(run("release", "inspect", "rel", "--json"))["digest"]
    files = {p.name: p.read_bytes() for p in Path("rel/payloads").iterdir()}
    stub.expect = lambda manifest: (digest, {n: len(d) for n, d in files.items()})
    stub.cut = 2
    run("release", "publish", "rel", "--to", stub.url, code=3)
    stub.cut = None
    there = sum(len(d) for d in stub.releases[digest]["files"].values())
    holds("a connection was lost in the middle", 0 < there < sum(map(len, files.values())), str(there))
    out = run("release", "publish", "rel", "--to", stub.url, "--json")
    done = json.loads(out)
    holds("it goes on from what is there", done["bytes sent"] == sum(map(len, files.values())) - there, out)
    holds("all of it is there", stub.releases[digest]["files"] == files and stub.releases[digest]["state"] == "ready")
    parts = [len(b) for m, p, _, b in stub.asked if m == "PUT"]
    holds("parts are bounded", max(parts) <= 1 << 20, str(parts))
    out = run("release", "publish", "rel", "--to", stub.url)
    holds("a second time sends nothing", " 0 bytes sent" in run.err and out.strip() == digest, run.err)
    holds("release list", digest in run("release", "list", "--from", stub.url))
    holds("of the profile's server", digest in run("release", "list"))
    holds("release show", json.loads(run("release", "show", digest, "--from", stub.url, "--json"))["state"] == "ready")
    run("release", "publish", "rel", "--to", stub.url, "--allow-older", code=2)
    run("release", "publish", "rel", "--to", "folder", code=2)
    holds("a folder still needs the trust bundle", "--trust" in run.err, run.err)
    stub.releases[digest]["files"] = {n: b"x" * len(d) for n, d in files.items()}
    run("release", "publish", "rel", "--to", stub.url, code=1)
    holds("what the server finds wrong", "FRAME_HASH" in run.err, run.err)
    return digest


def rollouts(stub, digest):
    out = run("rollout", "plan", "rel", "--tag", "beta")
    holds("plan", "bytes in all                   30000" in out and "delta" in out, out)
    holds("plan as data", json.loads(run("rollout", "plan", digest, "--all", "--json"))["devices"] == 4)
    run("rollout", "plan", digest, code=2)
    run("rollout", "plan", digest, "--all", "--tag", "x", code=2)
    run("rollout", "plan", digest, "--share", "1001", code=2)
    run("rollout", "start", digest[:12], "--all", code=2)
    holds("half a digest is no draft's id: says so", "whole digest" in run.err and "release list" in run.err, run.err)
    name = run("rollout", "start", "rel", "--id", "dev1", "--id", "dev2", "--name", "first", "--draft").strip()
    made = stub.rollouts[name]
    holds("a draft", made["state"] == "draft" and made["target"] == {"ids": ["dev1", "dev2"]}
          and made["release"] == digest)
    for verb, state in (("start", "running"), ("pause", "paused"), ("resume", "running")):
        run("rollout", verb, name)
        holds(verb, stub.rollouts[name]["state"] == state)
    run("rollout", "start", name, code=1)
    holds("twice: the server's words", "it is running" in run.err, run.err)
    out = run("rollout", "status")
    holds("status of all", name in out and "running" in out, out)
    holds("status of one", json.loads(run("rollout", "status", name, "--json"))["name"] == "first")
    holds("its devices", len(run("rollout", "status", name, "--devices").splitlines()) == 5)
    watch(stub, name)
    run("rollout", "abort", name)
    holds("abort", stub.rollouts[name]["state"] == "aborted")


def counts(stub, name, confirmed, failed_=0):
    stub.rollouts[name]["devices"] = {"all": 4, "confirmed": confirmed, "staged": 0, "failed": failed_, "offered": 0,
                                      "silent": 4 - confirmed - failed_, "other": 0}
    stub.send("report", {"device": "dev1", "state": "CONFIRMED"})


def on_terminal(command, columns, change, **env):
    """What is drawn on a terminal of so many columns, exit code and stderr; `change` comes in the middle."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    watcher = subprocess.Popen(command, stdout=slave, stderr=subprocess.PIPE,
                               env={**os.environ, "TERM": "vt100", **env})
    os.close(slave)
    seen = bytearray()

    def read():
        try:
            while chunk := os.read(master, 65536):
                seen.extend(chunk)
        except OSError:
            pass
    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(1.6)
    change()
    err = watcher.communicate(timeout=40)[1].decode()
    reader.join()
    os.close(master)
    return bytes(seen), watcher.returncode, err


def watch(stub, name):
    command = [str(BIN / "godwit"), "rollout", "watch", name, "--until-done", "--seconds", "30"]
    watcher = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for n in (1, 2, 4):
        time.sleep(1.6)
        counts(stub, name, n)
    out, err = watcher.communicate(timeout=40)
    lines = out.splitlines()
    holds("watch ends when all have confirmed", watcher.returncode == 0, out + err)
    holds("a line for each change, no terminal's codes", len(lines) == 4 and "\033" not in out and
          "confirmed 4" in lines[-1], out)
    counts(stub, name, 3)
    stub.rollouts[name]["name"] = "f\u00fcr alle " * 12
    seen, code, err = on_terminal(command, 40, lambda: counts(stub, name, 3, 1))
    lines = [line.replace("\033[K", "").replace("\033[7A", "") for line in seen.decode().split("\r\n")]
    holds("on 40 columns no line is wider", b"\033[7A" in seen and b"####" in seen and
          max(map(len, lines)) <= 39, repr(seen))
    holds("and the name is cut between letters", lines[0].startswith("f\u00fcr alle"), lines[0])
    counts(stub, name, 3)
    seen, code, err = on_terminal(command, 20, lambda: counts(stub, name, 3, 1))
    holds("20 columns: lines", b"\033" not in seen and b"confirmed 3" in seen, repr(seen))
    counts(stub, name, 3)
    seen, code, err = on_terminal(command, 80, lambda: counts(stub, name, 3, 1), TERM="dumb")
    holds("a dumb terminal: lines", b"\033" not in seen and b"confirmed 3" in seen, repr(seen))
    counts(stub, name, 3)
    seen, code, err = on_terminal(command, 80, lambda: counts(stub, name, 3, 1))
    holds("bars on a terminal", b"\033[7A" in seen and b"####" in seen, repr(seen))
    holds("one has failed: exit code 1, and what to do", code == 1 and "--devices" in err, err)
    counts(stub, name, 1)
    run("rollout", "watch", name, "--until-done", "--seconds", "2", code=1)
    stub.listeners.clear()


def tokens(stub):
    Path("bundle").write_bytes(b"signed elsewhere")
    run("server", "trust", "bundle")
    holds("a trust bundle as it is", stub.asked[-1] == ("PUT", "/api/v1/trust", {}, b"signed elsewhere"))
    run("class", "head", "ab" * 16, "bundle")
    holds("and a head", stub.asked[-1][1] == f"/api/v1/classes/{'ab' * 16}/head")
    out = run("server", "token", "--name", "ci", "--role", "publisher", "--days", "7", "-o", "ci.token")
    holds("a token into a file", out == "" and Path("ci.token").read_text() == "gwa_made_1" and
          stat.S_IMODE(Path("ci.token").stat().st_mode) == 0o600)
    holds("for as long as was said", abs(stub.made[0][2] - time.time() - 7 * 86400) < 60)
    run("device", "retry", "dev1", "--token-file", "ci.token", code=1)
    holds("its role does not do", "role operator" in run.err and "next: " in run.err, run.err)
    holds("tokens", "publisher" in run("server", "tokens"))
    run("server", "revoke", "t0")
    holds("revoked", stub.asked[-1][:2] == ("DELETE", "/api/v1/tokens/t0"))
    holds("audit log", run("server", "audit", "--limit", "5").count("rollout started") >= 5)
    shown = run("server", "token", "srv", "--name", "again", "--role", "admin").strip()
    lines = Path("srv/data/first-tokens").read_text().splitlines()
    holds("a token in the server's folder", len(lines) == 2 and lines[1].split()[0] == "again" and
          lines[1].split()[4] == hashlib.sha256(shown.encode()).hexdigest())
    run("server", "token", "srv", "--name", "x", "--role", "king", code=2)
    run("server", "token", "srv", "--name", "a b", "--role", "admin", code=2)


def pages():
    script = run("completion", "bash")
    Path("complete.sh").write_text(script + """
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _godwit; echo "${COMPREPLY[*]}"; }
try godwit roll; try godwit rollout st; try godwit rollout watch --un; try godwit insp; try godwit server ''
""")
    done = subprocess.run(["bash", "complete.sh"], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    holds("completion", lines[:4] == ["rollout", "start status", "--until-done", "inspect"] and
          "backup" in (lines + [""] * 5)[4], done.stdout + done.stderr)
    run("completion", "fish", code=2)
    man = run("man")
    holds("a manual page", man.startswith(".TH GODWIT 1\n") and '.SS "godwit rollout watch' in man)
    commands = run("help", "--markdown").count("\n## ")
    holds("with every command", man.count("\n.SS ") == commands, f"{man.count('.SS')} {commands}")


def main():
    os.chdir(os.environ.get("GODWIT_TMP") or sys.exit("GODWIT_TMP is not set"))
    os.environ["XDG_CONFIG_HOME"] = str(Path("config").resolve())
    os.environ.pop("GODWIT_TOKEN", None)
    os.environ.pop("GODWIT_PROFILE", None)
    pki = Pki("pki")
    cert, key = pki.server("server", hosts=("localhost",))
    with Stub(cert, key) as stub:
        stub.tokens[TOKEN] = "admin"
        access(stub, pki)
        profiles(stub, pki)
        devices(stub)
        rollouts(stub, releases(stub))
        tokens(stub)
    run("class", "list", code=3)
    holds("no server: says what to look at", "server check" in run.err, run.err)
    pages()
    return score.close()


if __name__ == "__main__":
    sys.exit(main())
