"""What is not published, each by its reason, and leaves what is there as it is."""
import shutil
from pathlib import Path

from scene import tree

PUBLISH = "godwit release publish {} --to repo --trust trust.cose"


def make(s):
    s.release("withdrawn", "1.2.0")
    s.head("withdrawn", 6, "--withdraw 1.1002000")
    shutil.copytree("rel2", "behind")
    s.head("rel", 20)
    shutil.copy("rel/head.cose", "behind/head.cose")
    s.must("godwit release build firmware.bin --version 1.3.0 --vendor example.com --class sensor-c3 -o unsigned")
    s.must("godwit release build firmware.bin --version 1.3.0 --vendor example.com --class sensor-c3 -o strange")
    s.must("godwit release sign strange --key distributor.pem")
    s.release("expired", "1.3.0", more="--use-before 1000000")
    s.release("twin", "1.1.0", more="--sequence 1001000")
    for name in ("lost", "altered", "long"):
        shutil.copytree("rel2", name)
    next(Path("lost/payloads").iterdir()).unlink()
    file = next(Path("altered/payloads").iterdir())
    file.write_bytes(file.read_bytes()[:-1] + b"X")
    file = next(Path("long/payloads").iterdir())
    file.write_bytes(file.read_bytes() + b"X")
    shutil.copytree("rel2", "ungranted")
    shutil.rmtree("ungranted/grants")
    shutil.copytree("rel2", "badgrant")
    next(Path("badgrant/grants").iterdir()).write_bytes(b"no grant")
    s.release("clear", "1.4.0", more="")
    shutil.copytree("rel2/grants", "clear/grants")
    many = ""
    for i in range(5):
        s.must(f"godwit key new d{i}.pem")
        many += f" --encrypt-to d{i}.pub.pem"
    s.release("many", "1.3.0", more=many)


def all_of_them(s):
    make(s)
    shutil.rmtree("repo", ignore_errors=True)
    Path("rel2/head.cose").unlink(missing_ok=True)
    s.head("rel2", 10)
    s.publish("rel2", more="--offer-trust")
    before = tree("repo")
    for release, code, reason in [
            ("unsigned", 1, "SIGNERS_FEW"), ("strange", 1, "KEY_ROLE"), ("expired", 1, "EXPIRED"),
            ("rel", 1, "OLDER"), ("twin", 1, "another release of epoch 1, sequence 1001000"),
            ("withdrawn", 1, "WITHDRAWN"), ("behind", 1, "HEAD_BEHIND"), ("lost", 3, "No such file"),
            ("altered", 1, "FRAME_HASH"), ("long", 1, "PAYLOAD_LONG"),
            ("ungranted", 1, "NO_KEY"), ("badgrant", 1, "the grant"),
            ("clear", 1, "not encrypted and holds grants"), ("many", 1, "at most 4"),
            ("rel2/manifest.cose", 2, "name the folder"), ("nowhere", 3, "does not exist")]:
        s.check(f"{release} is refused", code, reason, PUBLISH.format(release))
    s.check("many grants: what to do", 1, "kek:NAME=FILE", PUBLISH.format("many"))
    s.head("rel2", 9)
    s.check("an older head", 1, "HEAD_OLDER", PUBLISH.format("rel2"))
    s.check("also alone", 1, "HEAD_OLDER", PUBLISH.format("--head-only rel2/head.cose"))
    s.check("a head that is none", 1, "the head is refused", PUBLISH.format("--head-only trust.cose"))
    s.check("neither release nor head", 2, "expected either", PUBLISH.format(""))
    s.check("both", 2, "expected either", PUBLISH.format("rel2 --head-only rel2/head.cose"))
    s.check("another class's name", 1, "another class than", PUBLISH.format("rel2 --class sensor-c4"))
    for base in ("http://a.example/p", "https://user@a.example", "https://a.example/?x", "ftp://a.example"):
        s.check(f"payload base {base}", 2, "devices do not take it", PUBLISH.format(f"rel2 --payload-base {base}"))
    s.check("no bundle", 2, "--trust BUNDLE is needed", "godwit release publish rel2 --to repo")
    s.check("a bundle by other roots", 1, "refused by", PUBLISH.format("rel2") + " --root author.pub.pem --threshold 1")
    s.holds("all that left the repository as it was", tree("repo") == before)
    s.head("rel2", 10)
    s.must(PUBLISH.format("rel2").replace("trust.cose", "trust2.cose") + " --offer-trust")
    s.check("an older bundle", 1, "TRUST_OLDER", PUBLISH.format("rel2") + " --offer-trust")
    s.check("none where there was one", 0, "is offered no more", PUBLISH.format("rel2"))
    s.check("an older release, if it must be", 0, "offered", PUBLISH.format("rel --allow-older"))
    withdrawal(s)
    s.check("a base elsewhere", 0, "does not name cdn.example", PUBLISH.format(
        "rel --payload-base https://cdn.example/p/"))


def withdrawal(s):
    """As an operator does it: a head that withdraws the release, alone; the release before, with a head of its own."""
    shutil.rmtree("repo")
    s.head("rel2", 30)
    s.publish("rel2")
    s.head("rel2", 31, "--withdraw 1.1001000")
    s.check("a release that was withdrawn", 1, "WITHDRAWN", PUBLISH.format("rel2"))
    s.check("the head alone", 0, "nothing is offered", PUBLISH.format("--head-only rel2/head.cose"))
    Path("rel2/head.cose").unlink()
    s.check("cannot come back without a head", 1, "WITHDRAWN", PUBLISH.format("rel2"))
    s.head("rel", 32, "--withdraw 1.1001000")
    s.check("the one before is offered", 0, "offered", PUBLISH.format("rel"))
    line = s.listing()["classes"][0]
    s.holds("with the head that withdraws", line["offers"]["version"] == "1.0.0" and line["head"]["withdrawn"])
    offer = Path("repo/offers") / line["class id"]
    offer.write_bytes(b"garbage")
    s.check("an offer that cannot be read", 1, "--allow-older", PUBLISH.format("rel"))
    s.check("is listed as that", 1, "cannot be read", "godwit release list --from repo")
    s.check("and replaced if it must be", 0, "it is replaced", PUBLISH.format("rel --allow-older"))
