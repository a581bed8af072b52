#!/usr/bin/python3
"""The REST API of a real godwitd: roles, tokens, requests that are wrong, uploads, releases, rollouts, devices, events.

Every answer that comes is held against the OpenAPI document of the server itself. Works in GODWIT_TMP; every process is
ended by its id. Ends with `N passed, N failed`.
"""
import os
import sys
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
os.environ.setdefault("GODWIT_TMP", "/tmp/godwit-api")
Path(os.environ["GODWIT_TMP"]).mkdir(parents=True, exist_ok=True)
os.chdir(os.environ["GODWIT_TMP"])
import cases_access  # noqa: E402
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


def main():
    t = Score()
    keys, pki = Keys(), Pki("pki")
    server = Server("srv", pki)
    cases = [
        ("uploads", lambda: cases_uploads.run(t, server, pki)),
        ("requests", lambda: cases_requests.run(t, server, document)),
        ("access", lambda: cases_access.run(t, server, document)),
    ]
    try:
        server.first()
        document = server.get("/api/v1/openapi.json").json
        t.equal("class", server.post("/api/v1/classes", {"vendor": "example.com", "name": "sensor-c3"}).status, 201)
        for name, case in cases:
            before = t.failed
            try:
                case()
            except Exception:
                t.holds(name, False, traceback.format_exc())
            print(f"{name}: {t.passed} passed so far, {t.failed - before} failed here", flush=True)
        declared(t, server, document)
        t.equal("ends in order", server.stop(), 0)
    finally:
        if server.process and server.process.poll() is None:
            server.kill()
    text = server.log.read_text()
    t.holds("no bug is in the log", " bug " not in text and "Sanitizer" not in text, text[-3000:])
    t.holds("no secret is in the log", not any(token in text for token in server.tokens.values()))
    print(f"{t.passed} passed, {t.failed} failed")
    return 1 if t.failed else 0


if __name__ == "__main__":
    sys.exit(main())
