"""Into a bucket of an S3-compatible service (s3stub.py): signed, resumed, and what goes wrong said plainly."""
import hashlib
import time
from pathlib import Path

from s3stub import S3Stub
from scene import Pki, offered

WHERE = "s3://updates/fleet/one"
PUBLISH = f"godwit release publish {{}} --to {WHERE} --trust trust.cose"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def environment(s3, **more):
    return {"AWS_ENDPOINT_URL": s3.url, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": SECRET, **more}


def stub(**more):
    return S3Stub(["updates"], {"AKIDEXAMPLE": SECRET}, **more)


def puts(s3):
    return [path for method, path, status in s3.requests if method == "PUT" and status == 200]


def publish(s):
    Path("rel/head.cose").unlink(missing_ok=True)
    with stub(page=2) as s3:
        env = environment(s3)
        done = s.publish("rel", WHERE, "--dry-run", env=env)
        s.holds("a dry run puts nothing", puts(s3) == [] and done["payloads put"] == 1)
        done = s.publish("rel", WHERE, env=env)
        s.holds("published into a bucket", done["payloads put"] == 1 and len(puts(s3)) == 3)
        s.holds("the offer last", done["offer"] in puts(s3)[-1] and "payloads/" in puts(s3)[0])
        payload = next(o for k, o in s3.objects.items() if "/payloads/" in k)
        s.holds("a payload may be kept by caches", "immutable" in payload.headers["cache-control"])
        s.holds("and carries its digest",
                payload.headers["x-amz-meta-sha256"] == hashlib.sha256(payload.data).hexdigest())
        offer = s3.objects[f"updates/fleet/one/{done['offer']}"]
        s.holds("an offer may not", "no-cache" in offer.headers["cache-control"])
        again = s.publish("rel", WHERE, env=env)
        s.holds("a second time puts nothing", again["bytes put"] == 0 and len(puts(s3)) == 3)
        s.publish("rel2", WHERE, env=env)
        s.publish("other", WHERE, env=env)
        for i in range(5):
            s3.objects[f"updates/fleet/one/payloads/{i:064x}"] = s3.objects[next(iter(s3.objects))]
        for other in ("a&b<c>", "b" + "/long" * 190):
            s3.objects[f"updates/fleet/one/payloads/{other}"] = s3.objects[next(iter(s3.objects))]
        repo = s.listing(WHERE, env=env)
        s.holds("listed, page by page", sorted(offered(repo).values()) == ["1.1.0", "3.0.0"] and
                len(repo["payloads of no release"]) == 5 and repo["other files"] == 1)
        s3.page = 1
        s.holds("one by one", s.listing(WHERE, env=env) == repo)
        s3.stuck = True
        s.check("the same page again and again", 3, "not follow each other", f"godwit release list --from {WHERE}", env)
        s3.stuck = False
        s.check("older is refused here too", 1, "OLDER", PUBLISH.format("rel"), env)
        key = next(k for k in s3.objects if k.endswith(repo["classes"][0]["offers"]["payloads"][0]["name"]))
        s3.objects[key] = s3.objects[key]._replace(data=s3.objects[key].data[:-1])
        s.check("a short payload is told", 1, "has another size", f"godwit release list --from {WHERE}", env)
        release = "rel2" if repo["classes"][0]["offers"]["version"] == "1.1.0" else "other"
        s.check("and put again", 0, "1 payload(s) put", PUBLISH.format(release), env)
        s3.objects[key] = s3.objects[key]._replace(headers={})
        s.check("one without a digest is put again", 0, "1 payload(s) put", PUBLISH.format(release), env)
        s.publish("rel", "s3://updates", env=env)
        s.holds("without a prefix", any(k.startswith("updates/offers/") for k in s3.objects))
    with stub(token="the/token+of==a session") as s3:
        env = environment(s3, AWS_SESSION_TOKEN="the/token+of==a session")
        s.check("with a session token", 0, "offered", PUBLISH.format("rel"), env)
        s.publish("large", "s3://updates/large", env=env)
        key = next(k for k in s3.objects if k.startswith("updates/large/payloads/"))
        s.holds("24 MB", len(s3.objects[key].data) > 24 << 20 and
                hashlib.sha256(s3.objects[key].data).hexdigest() == key.rpartition("/")[2])
    with stub(region="eu-central-1") as s3:
        s.check("in another region", 0, "offered", PUBLISH.format("rel"), environment(s3, AWS_REGION="eu-central-1"))
        s.check("in the wrong region", 3, "set AWS_REGION", PUBLISH.format("rel2"), environment(s3))


def over_tls(s):
    pki, strange = Pki("pki-s3"), Pki("pki-strange")
    with stub(cert=pki.server()) as s3:
        env = environment(s3)
        s.check("a certificate from a CA that is not trusted", 3, "AWS_CA_BUNDLE", PUBLISH.format("rel"), env)
        s.check("from another than the one named", 3, "AWS_CA_BUNDLE", PUBLISH.format("rel"),
                {**env, "AWS_CA_BUNDLE": str(strange.ca)})
        s.holds("no request was made", s3.requests == [])
        s.check("from the CA that is named", 0, "offered", PUBLISH.format("rel"), {**env, "AWS_CA_BUNDLE": str(pki.ca)})
    with stub(cert=pki.server("elsewhere", hosts=("elsewhere.example",))) as s3:
        s.check("for another host", 3, "AWS_CA_BUNDLE", PUBLISH.format("rel"),
                environment(s3, AWS_CA_BUNDLE=str(pki.ca)))


def in_the_host(s):
    """The bucket in the service's name (virtual-host style), and names that only look like it."""
    hosts = ("updates.s3.localhost", "updates.localhost", "other.s3.localhost")
    pki = Pki("pki-host")
    with stub(cert=pki.server("host", hosts=hosts)) as s3:
        def at(host, **more):
            return {**environment(s3, AWS_CA_BUNDLE=str(pki.ca), **more),
                    "AWS_ENDPOINT_URL": s3.url.replace("127.0.0.1", host)}

        said = {"AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true"}
        s3.hosts.add("updates")
        done = s.publish("rel", WHERE, env=at(hosts[0]))
        s.holds("a bucket in the host is not named in the path again", done["payloads put"] == 1 and
                sorted(k.split("/")[3] for k in s3.objects) == ["offers", "payloads", "releases"])
        s.holds("and is listed", s.listing(WHERE, env=at(hosts[0]))["problems"] == [])
        s.holds("likewise if it is said", s.publish("rel", WHERE, env=at(hosts[1], **said))["bytes put"] == 0)
        s3.hosts.clear()
        s.holds("a host of one's own that begins like the bucket",
                s.publish("rel", WHERE, env=at(hosts[1]))["bytes put"] == 0)
        s.holds("another's", s.publish("rel", WHERE, env=at(hosts[2]))["bytes put"] == 0 and len(s3.objects) == 3)
        s.check("said, and not so", 2, "put the bucket in front", PUBLISH.format("rel"), at(hosts[2], **said))


def credentials_and_clock(s):
    with stub(token="the session") as s3:
        env = environment(s3, AWS_SESSION_TOKEN="the session")
        s.check("another session's token", 3, "AWS_SESSION_TOKEN does not belong", PUBLISH.format("rel"),
                {**env, "AWS_SESSION_TOKEN": "another"})
        s.check("no token for credentials that need one", 3, "AWS_SESSION_TOKEN", PUBLISH.format("rel"),
                {**env, "AWS_SESSION_TOKEN": ""})
        s3.expired = True
        s.check("one that has expired", 3, "get new credentials", PUBLISH.format("rel"), env)
        s3.expired = False
        for ahead in (-3600, 3600):
            s3.ahead, before = ahead, len(s3.requests)
            s.check(f"a clock that is wrong by {ahead} s", 3, "set this machine's clock", PUBLISH.format("rel"), env)
            s.holds("is not asked again", len(s3.requests) == before + 1)
        s3.ahead = 600
        s.check("ten minutes are borne", 0, "offered", PUBLISH.format("rel"), env)


def refused(s):
    with stub() as s3:
        env = environment(s3)
        said = s.check("a wrong secret", 3, "SignatureDoesNotMatch", PUBLISH.format("rel"),
                       {**env, "AWS_SECRET_ACCESS_KEY": "wrong-secret-value"})
        s.holds("is not printed", "wrong-secret-value" not in said and "AWS_SECRET_ACCESS_KEY" in said)
        s.holds("and not tried again", len(s3.requests) == 1)
        s.check("an unknown id", 3, "InvalidAccessKeyId", PUBLISH.format("rel"), {**env, "AWS_ACCESS_KEY_ID": "other"})
        s.check("no such bucket", 3, "make the bucket first", PUBLISH.format("rel").replace("updates", "nothing"), env)
        s.check("no such bucket, listed", 3, "NoSuchBucket", "godwit release list --from s3://nothing/x", env)
        s3.read_only.add("updates")
        s.check("no right to write", 3, "PutObject", PUBLISH.format("rel"), env)
        s3.read_only.clear()
        s.holds("nothing was put", s3.objects == {})
        s.check("an empty bucket", 3, "no repository", f"godwit release list --from {WHERE}", env)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            s.check(f"without {name}", 2, f"{name} is not set", PUBLISH.format("rel"), {**env, name: ""})
        for url in ("http://198.51.100.1", "http://localhost.example", "ftp://127.0.0.1", "http://127.0.0.1.example"):
            s.check(f"endpoint {url}", 2, "is not taken", PUBLISH.format("rel"), {**env, "AWS_ENDPOINT_URL": url})
        for url in ("https://id:secretpw@127.0.0.1", "https://127.0.0.1/path", "https://127.0.0.1?q", "https://"):
            said = s.check(f"endpoint {url}", 2, "AWS_ENDPOINT_URL is not", PUBLISH.format("rel"),
                           {**env, "AWS_ENDPOINT_URL": url})
            s.holds("no password is shown", "secretpw" not in said)
        for where in ("s3://", "s3://a", "s3:bucket", "s3://updates//x", "s3://updates/../x", "s3://updates/a/./b",
                      "s3://updates/a?b", "s3://up dates/a".replace(" ", "%20"), "s3://updates/" + "x" * 300,
                      "s3://updates/a+b", "s3://updates/größe", "s3://updates/a~b"):
            s.check(f"bucket {where[:30]}", 2, "expected s3://", f"godwit release list --from {where}", env)
        s.check("a region with a colon", 2, "AWS_REGION", PUBLISH.format("rel"), {**env, "AWS_REGION": "a:b"})
        for line in s3.requests:
            s.holds("no secret in a URL", SECRET not in line[1])


def faults(s):
    with stub() as s3:
        env = environment(s3)
        s3.faults += [("GET", "offers/", "503"), ("HEAD", "payloads/", "500"), ("PUT", "payloads/", "503"),
                      ("PUT", "payloads/", "half"), ("PUT", "payloads/", "reset"), ("PUT", "releases/", "reset"),
                      ("PUT", "offers/", "502")]
        s.check("trouble on the way is got over", 0, "offered", PUBLISH.format("rel"), env)
        s.holds("all of it came", s3.faults == [] and s.listing(WHERE, env=env)["problems"] == [])
        before = dict(s3.objects)
        s3.faults += [("PUT", "payloads/", "503")] * 50
        start = time.monotonic()
        s.check("trouble that stays", 3, "answers 503 SlowDown", PUBLISH.format("rel2"), env)
        s.holds("ends in bounded time", 3 < time.monotonic() - start < 30)
        s.holds("after six tries", len(s3.faults) == 44)
        s.holds("the old offer stays", s3.objects == before)
        s3.faults.clear()
        s3.faults += [("PUT", "offers/", "reset")] * 50
        s.check("the last step fails", 3, "check AWS_ENDPOINT_URL", PUBLISH.format("rel2"), env)
        s.holds("the old one is offered", list(offered(s.listing(WHERE, env=env)).values()) == ["1.0.0"])
        s3.faults.clear()
        done = s.publish("rel2", WHERE, env=env)
        s.holds("the next run puts the offer alone",
                done["payloads put"] == 0 and done["bytes put"] == done["offer bytes"])
        url = s3.url
    s.check("nobody listens", 3, "check AWS_ENDPOINT_URL", f"godwit release list --from {WHERE}",
            {**env, "AWS_ENDPOINT_URL": url})
