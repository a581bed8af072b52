"""Into a folder: once, twice, cut off, in a hostile place, and served by nginx."""
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

from scene import Nginx, Pki, offered, tree

PUBLISH = "godwit release publish {} --to {} --trust trust.cose"


def publish(s):
    done = s.publish("rel", more="--dry-run --class sensor-c3")
    s.holds("a dry run writes nothing", not Path("repo").exists() and done["payloads put"] == 1)
    done = s.publish("rel", more="--class sensor-c3 --next-look 600")
    s.holds("published", done["payloads put"] == 1 and done["offer changed"] and not done["dry run"])
    repo = s.listing()
    line = repo["classes"][0]
    s.holds("listed", line["offers"]["version"] == "1.0.0" and line["offers"]["class"] == "sensor-c3" and
            line["next look in seconds"] == 600 and line["offers"]["payloads"][0]["state"] == "there")
    before = tree("repo")
    done = s.publish("rel", more="--class sensor-c3 --next-look 600")
    s.holds("a second time puts nothing", done["bytes put"] == 0 and done["payloads there"] == 1)
    s.holds("and touches nothing", tree("repo") == before)
    s.publish("rel", more="--next-look 600")
    s.holds("without the class's name neither", tree("repo") == before)
    s.head("rel", 5)
    done = s.publish("rel")
    s.holds("a new head replaces the offer alone", done["payloads put"] == 0 and done["offer changed"])
    s.holds("the head is listed", s.listing()["classes"][0]["head"]["serial"] == 5)
    s.check("a newer release; it has no head", 0, "(serial 5) is offered no more", PUBLISH.format("rel2", "repo"))
    repo = s.listing()
    s.holds("the older one still lies there", [r["version"] for r in repo["releases not offered"]] == ["1.0.0"])
    s.holds("its payload belongs to it", repo["payloads of no release"] == [])
    Path("repo/payloads/" + "a" * 64).write_bytes(b"stray")
    s.holds("a payload of no release is told", s.listing()["payloads of no release"][0]["size"] == 5)
    Path("repo/payloads/" + "a" * 64).unlink()
    s.publish("rel2", more="--offer-trust")
    s.holds("the bundle is offered", s.listing()["classes"][0]["trust bundle version"] == 1)
    s.check("an offer is inspected", 0, "kind: offer", f"godwit inspect repo/{done['offer']}")
    s.check("also as a release", 0, "kind: offer", f"godwit release inspect repo/{done['offer']}")
    s.check("list in words", 0, "version: 1.1.0", "godwit release list --from repo")
    s.check("list of nothing", 3, "no repository", "godwit release list --from nowhere")
    damaged(s)
    two_classes(s)


def damaged(s):
    name = json.loads(s.must("godwit release list --from repo --json"))["classes"][0]["offers"]["payloads"][0]["name"]
    file = Path("repo/payloads") / name
    right = file.read_bytes()
    file.write_bytes(right[:-1])
    s.check("a payload that is too short", 1, "not whole", "godwit release list --from repo")
    s.holds("is named", "has another size" in s.listing(code=1)["problems"][0])
    s.check("and put again", 0, "1 payload(s) put", PUBLISH.format("rel2", "repo"))
    file.write_bytes(bytes([right[0] ^ 1]) + right[1:])
    s.check("one with other bytes", 1, "has other bytes", "godwit release list --from repo --check")
    s.check("is put again too", 0, "not whole; it is put again", PUBLISH.format("rel2", "repo"))
    file.unlink()
    s.check("a payload that is missing", 1, "missing", "godwit release list --from repo")
    s.check("comes back", 0, "1 payload(s) put", PUBLISH.format("rel2", "repo"))
    s.holds("all is well again", s.listing()["problems"] == [] and file.read_bytes() == right)


def at_once(s, *releases):
    """Exit codes of publishers that start at the same time, into a folder that is not there."""
    shutil.rmtree("both", ignore_errors=True)
    running = [subprocess.Popen(PUBLISH.format(r, "both").split(), env=s.env, stdin=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) for r in releases]
    return [p.wait(timeout=60) for p in running]


def two_classes(s):
    s.release("other", "3.0.0", ids="--vendor example.com --class other")
    for i in range(5):
        s.holds(f"two publishers at once, {i}", at_once(s, "rel2", "other") == [0, 0])
        s.holds(f"both are offered, {i}", sorted(offered(s.listing("both")).values()) == ["1.1.0", "3.0.0"])
    for i in range(5):
        codes = at_once(s, "rel", "rel2")
        s.holds(f"of one class the newer stays, {i}", codes[1] == 0 and codes[0] in (0, 1) and
                list(offered(s.listing("both")).values()) == ["1.1.0"])


# ---- Cut off ---------------------------------------------------------------------------------------------------------

def whole(s, name, version):
    repo = s.listing("cut")
    return s.holds(name, list(offered(repo).values()) == [version] and repo["problems"] == [])


def leftovers():
    return [p for p in Path("cut").rglob(".tmp-*")]


def await_copy(process):
    """Until a file is on its way, and a moment more."""
    while process.poll() is None and not leftovers():
        time.sleep(0.0003)
    time.sleep(random.uniform(0, 0.02))


def interrupted(s):
    Path("large.bin").write_bytes(random.Random(1).randbytes(24 << 20))
    s.release("large", "2.0.0", "large.bin", "--frame-size 65536")
    s.publish("rel2", "cut")
    start = time.monotonic()
    s.publish("large", "timed")
    took = time.monotonic() - start
    shutil.rmtree("timed")
    killed = old = halves = 0
    for i in range(24):
        process = subprocess.Popen(PUBLISH.format("large", "cut").split(), env=s.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if i % 2:
            await_copy(process)
        else:
            time.sleep(took * random.uniform(0.3, 1.0))
        process.send_signal(signal.SIGKILL)
        in_time = process.wait() == -signal.SIGKILL
        if i % 2 == 0:
            took *= 1.05 if in_time else 0.8  # as busy as this machine is now
        killed += in_time
        halves += leftovers() != []
        repo = s.listing("cut")
        version = list(offered(repo).values())[0]
        old += version == "1.1.0"
        s.holds(f"after kill number {i} all that is offered is whole",
                repo["problems"] == [] and version in ("1.1.0", "2.0.0"))
        if version == "2.0.0":
            s.publish("rel2", "cut", "--allow-older")
        if i % 3 == 2:
            shutil.rmtree("cut/payloads")
            s.publish("rel2", "cut")
    s.holds(f"kills came in time: {killed} of 24, {old} before the offer, {halves} in a copy", killed >= 6 and
            old >= 4 and halves >= 2)
    print(f"folder: {killed} of 24 kills in time, {old} before the offer, {halves} within a copy")
    s.publish("large", "cut")
    whole(s, "a run that is left alone completes", "2.0.0")
    s.holds("nothing is left over", leftovers() == [])
    full(s)


def limit_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def full(s):
    shutil.rmtree("cut")
    s.publish("rel2", "cut")
    before = tree("cut")
    s.check("a file that grows too large", 3, "File too large", PUBLISH.format("large", "cut"), preexec_fn=limit_files)
    s.holds("changes nothing", tree("cut") == before and leftovers() == [])
    s.check("and says what to do", 3, "publish again", PUBLISH.format("large", "cut"), preexec_fn=limit_files)
    if os.getuid() == 0 and mount("small"):
        try:
            s.publish("rel2", "small/repo")
            s.check("a full disk", 3, "No space left", PUBLISH.format("large", "small/repo"))
            s.holds("leaves the old offer", list(offered(s.listing("small/repo")).values()) == ["1.1.0"])
            s.holds("and nothing else", not [p for p in Path("small").rglob(".tmp-*")])
        finally:
            subprocess.run(["umount", "small"], check=True)
    s.publish("large", "cut")
    whole(s, "with room it completes", "2.0.0")


def mount(folder):
    Path(folder).mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]
    return subprocess.run(command, capture_output=True).returncode == 0


# ---- A hostile place -------------------------------------------------------------------------------------------------

def hostile(s):
    payload = next(Path("rel/payloads").iterdir()).name
    Path("victim").mkdir()
    Path("victim/file").write_text("precious")
    for name in ("offers", "payloads", "releases"):
        shutil.rmtree("trap", ignore_errors=True)
        Path("trap").mkdir()
        Path("trap", name).symlink_to("../victim")
        s.check(f"{name} is a symbolic link", 3, "symbolic link is not followed", PUBLISH.format("rel", "trap"))
    shutil.rmtree("trap")
    s.publish("rel", "trap")
    offer = next(Path("trap/offers").iterdir())
    for file in (Path("trap/payloads") / payload, offer, Path("trap/.lock")):
        right = file.read_bytes()
        file.unlink()
        file.symlink_to(Path("victim/file").resolve())
        s.check(f"{file} is a symbolic link", 3, "symbolic link", PUBLISH.format("rel", "trap"))
        if file.name == payload:
            s.check("a listing does not follow it", 3, "symbolic link", "godwit release list --from trap --check")
        file.unlink()
        file.write_bytes(right)
    offer.unlink()
    os.mkfifo(offer)
    s.check("an offer that is a pipe", 3, "no regular file", PUBLISH.format("rel", "trap"))
    offer.unlink()
    s.holds("nothing was written through a link", Path("victim/file").read_text() == "precious" and
            [p.name for p in Path("victim").iterdir()] == ["file"])
    s.publish("rel", "trap")
    Path("trap/payloads/\x1b[31mred").write_text("x")
    said = s.check("a name with control characters", 0, "other files: 1", "godwit release list --from trap")
    s.holds("is not printed", "\x1b" not in said)
    description = next(Path("trap/releases").iterdir())
    description.write_text('{"class": "\x1b[31m", "version": {"a": []}, "payloads": [1, {"name": "../../x"}]}')
    said = s.check("a description by somebody else", 0, "version: 1.0.0", "godwit release list --from trap")
    s.holds("steers no terminal", "\x1b" not in said)
    s.publish("rel", "trap")
    s.holds("and is mended", json.loads(description.read_text())["version"] == "1.0.0")
    s.check("neither folder nor bucket", 2, "neither a folder nor a bucket", PUBLISH.format("rel", "http://x/y"))
    Path("plain").write_text("")
    s.check("a file instead of a folder", 3, "plain", PUBLISH.format("rel", "plain"))
    s.check("a folder below nothing", 3, "No such file", PUBLISH.format("rel", "no/where"))
    unwritable(s)


def unwritable(s):
    """Root may write anywhere, unless it gives its capabilities up; it can still find the programs in its home."""
    if os.getuid() == 0:
        for folder in (Path("trap"), *Path("trap").iterdir()):
            os.chown(folder, 65534, 65534)
        plain = "setpriv --bounding-set=-all --inh-caps=-all "
        s.check("a folder that may not be written", 3, "Permission denied", plain + PUBLISH.format("rel2", "trap"))
        s.check("but read", 0, "version: 1.0.0", plain + "godwit release list --from trap")
        s.check("a dry run needs no more", 0, "dry run", plain + PUBLISH.format("rel2", "trap") + " --dry-run")


# ---- Served ----------------------------------------------------------------------------------------------------------

def served(s):
    pki = Pki("pki")
    cert, key = pki.server()
    shutil.rmtree("repo", ignore_errors=True)
    s.work.chmod(0o755)
    offer = s.publish("rel2", "repo", "--offer-trust")["offer"]
    with Nginx("nginx", "repo", cert, key) as web:
        get = f"curl -sS --fail --cacert {pki.ca} "
        s.check("the offer is fetched", 0, "", f"{get} -o got.offer -D headers {web.url}/{offer}")
        s.check("and is the one", 0, "version: 1.1.0", "godwit release inspect got.offer")
        tag = [h.split()[1] for h in Path("headers").read_text().splitlines() if h.lower().startswith("etag:")][0]
        code = f"-o /dev/null -w %{{http_code}} -H If-None-Match:{tag}"
        s.check("unchanged, 304", 0, "304", f"{get} {code} {web.url}/{offer}")
        for payload in s.listing()["classes"][0]["offers"]["payloads"]:
            url = f"{web.url}/payloads/{payload['name']}"
            s.check("a payload is fetched", 0, "", f"{get} -o got {url}")
            s.holds("with the digest that names it",
                    hashlib.sha256(Path("got").read_bytes()).hexdigest() == payload["name"])
            s.check("a range of it, 206", 0, "206", f"{get} -r 1000-1999 -o part -w %{{http_code}} {url}")
            s.holds("is that part", Path("part").read_bytes() == Path("got").read_bytes()[1000:2000])
        s.check("another class, 404", 22, "404", f"{get} {web.url}/offers/{'0' * 32}")
        s.head("rel2", 9)
        s.publish("rel2", "repo")
        s.check("a new offer has another tag", 0, "200", f"{get} {code} {web.url}/{offer}")
        s.must("godwit release publish --head-only rel2/head.cose --to repo --trust trust.cose")
        s.check("a head alone", 0, "", f"{get} -o got.offer {web.url}/{offer}")
        s.holds("offers nothing", "manifest:" not in s.must("godwit release inspect got.offer"))
