#!/usr/bin/python3
"""The REST API of a real godwitd: roles, tokens, requests that are wrong, uploads, releases, rollouts, devices, events.

Every answer that comes is held against the OpenAPI document of the server itself. Works in GODWIT_TMP; every process is
ended by its id. Ends with `N passed, N failed`.
"""
import os
import sys
import threading
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
os.environ.setdefault("GODWIT_TMP", "/tmp/godwit-api")
Path(os.environ["GODWIT_TMP"]).mkdir(parents=True, exist_ok=True)
os.chdir(os.environ["GODWIT_TMP"])
import cases_access  # noqa: E402
import cases_events  # noqa: E402
import cases_fleet  # noqa: E402
import cases_life  # noqa: E402
import cases_load  # noqa: E402
import cases_releases  # noqa: E402
import cases_reports  # noqa: E402
import cases_requests  # noqa: E402
import cases_uploads  # noqa: E402
import schema  # noqa: E402
from scene import Keys, Pki, Score, Server  # noqa: E402


def declared(t, server, document):
    """Everything that came so far, against the document; and every route of the document was asked."""
    asked = set()
    for method, path, answer in server.seen:
        found = schema.operation(document, method, path)
        if found:
            asked.add((method, found[0], answer.status))
        if method == "HEAD":
            continue
        problems = schema.check_answer(document, method, path, answer)
        t.holds(f"{method} {path[:100]}: {answer.status} as declared", not problems, problems)
    for method, path, operation in cases_access.routes(document):
        good = int(min(operation["responses"]))
        if path != "/api/v1/events":
            t.holds(f"{method} {path} answered {good}", (method, path, good) in asked)


def in_order(t, server, keys, pki):
    """The cases; each leaves to the next what it made."""
    made = {}

    def uploads():
        made["old"] = cases_uploads.run(t, server, pki)

    def fleet():
        made["class"] = server.get("/api/v1/classes").json["items"][0]["id"]
        cases_fleet.run(t, server, made["class"], made["old"])

    def events():
        made["later"] = cases_events.run(t, server)

    return [("uploads", uploads), ("fleet", fleet), ("events", events),
            ("reports", lambda: cases_reports.run(t, server, pki, made["class"])),
            ("requests", lambda: cases_requests.run(t, server, made["document"])),
            ("access", lambda: cases_access.run(t, server, made["document"])),
            ("releases", lambda: server.seen.extend(cases_releases.run(t, keys, pki).seen)),
            ("load", lambda: server.seen.extend(cases_load.run(t, pki).seen)),
            ("no bundle", lambda: cases_releases.unverifiable(t, pki)),
            ("later", lambda: made["later"]())], made


def run_case(t, name, case):
    start = time.monotonic()
    try:
        case()
    except Exception:
        t.holds(name, False, traceback.format_exc())
    print(f"{name}: {time.monotonic() - start:.1f} s; {t.passed} passed, {t.failed} failed so far", flush=True)


def main():
    t, lived = Score(), []
    keys, pki = Keys(), Pki("pki")
    server = Server("srv", pki)
    try:
        server.first()
        cases, made = in_order(t, server, keys, pki)
        made["document"] = server.get("/api/v1/openapi.json").json
        t.equal("class", server.post("/api/v1/classes", {"vendor": "example.com", "name": "sensor-c3"}).status, 201)
        life = threading.Thread(target=run_case, args=(t, "life", lambda: lived.append(cases_life.run(t, pki))))
        life.start()  # devices wait most of the time
        for name, case in cases:
            run_case(t, name, case)
        life.join()
        server.seen.extend(lived[0].seen if lived else [])
        declared(t, server, made["document"])
        t.equal("ends in order", server.stop(), 0)
    finally:
        if server.process and server.process.poll() is None:
            server.kill()
    text = server.log.read_text()
    t.holds("no bug is in the log", " bug " not in text and "Sanitizer" not in text, text[-3000:])
    t.holds("no secret is in the log", not any(token in text for token in server.tokens.values()))
    return t.close()


if __name__ == "__main__":
    sys.exit(main())
