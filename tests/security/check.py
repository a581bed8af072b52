#!/usr/bin/python3
"""SECURITY.md names, for every threat and requirement of RFC 9124, a check in the code and a test: do they exist?

A reference is `file:name` in backquotes; `file` is the end of a path that only one file of the tree has. What `name`
must be depends on the file: in C a function that is defined there, in tests with cmocka a test that is run there, a
scenario in scenarios.c, a constant in a header, the label of a check in scripts. A row with the status "met" needs a
check and a test.
The last line is `N passed, N failed`.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
THREATS = """IMG.EXPIRED IMG.EXPIRED.OFFLINE IMG.INCOMPATIBLE IMG.FORMAT IMG.LOCATION NET.REDIRECT NET.ONPATH
    IMG.REPLACE IMG.NON_AUTH UPD.WRONG_PRECURSOR UPD.UNAPPROVED IMG.DISCLOSURE MFST.OVERRIDE MFST.EXPOSURE IMG.EXTRA
    KEY.EXPOSURE MFST.MODIFICATION MFST.TOCTOU""".split()
SECURITY = """SEQUENCE COMPATIBLE EXP AUTHENTIC AUTH.IMG_TYPE AUTH.IMG_LOC AUTH.REMOTE_LOC AUTH.EXEC AUTH.PRECURSOR
    AUTH.COMPATIBILITY RIGHTS IMG.CONFIDENTIALITY ACCESS_CONTROL MFST.CONFIDENTIALITY IMG.COMPLETE_DIGEST REPORTING
    KEY.PROTECTION KEY.ROTATION MFST.CHECK MFST.TRUSTED MFST.CONST""".split()
USABILITY = """MFST.PRE_CHECK MFST.TEXT MFST.OVERRIDE_REMOTE MFST.COMPONENT MFST.MULTI_AUTH IMG.FORMAT IMG.NESTED
    IMG.VERSIONS IMG.SELECT EXEC LOAD PAYLOAD PARSE DELEGATION""".split()
EXPECTED = {"THREAT." + n for n in THREATS} | {"REQ.SEC." + n for n in SECURITY} | {"REQ.USE." + n for n in USABILITY}
STATUSES = {"met", "partly", "later", "accepted", "operator"}
REFERENCE = re.compile(r"`([A-Za-z0-9_./-]+\.(?:c|h|py|sh)):([^`]+)`")
results = {"passed": 0, "failed": 0}


def test(what, good):
    results["passed" if good else "failed"] += 1
    if not good:
        print(f"FAILED: {what}")


def tree():
    listing = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                             capture_output=True, text=True).stdout
    return [f for f in listing.splitlines() if (ROOT / f).is_file()]


def resolve(files, name):
    found = [f for f in files if f == name or f.endswith("/" + name)]
    return found[0] if len(found) == 1 else None


def is_test(path):
    return path.startswith(("tests/", "fuzz/"))


def holds(path, name):
    """Is `name` in this file what a reference to it promises?"""
    text = (ROOT / path).read_text()
    if path.endswith((".sh", ".py")):
        label = r'\b(?:check|holds|test)[ (](?:"|f"[^"\n]*: )' + re.escape(name) + '"'  # f"{what}: name" too
        return re.search(label, text) is not None
    if path.endswith(".h"):
        return re.search(r"^#define " + re.escape(name) + r"\b|\b" + re.escape(name) + r"\(", text, re.M) is not None
    if path.endswith("powercut/scenarios.c"):
        return f'{{ "{name}",' in text
    defined = re.search(r"^[A-Za-z][\w *]*\b" + re.escape(name) + r"\([^;]*?\)\n\{", text, re.M) is not None
    if "cmocka_run_group_tests" in text:
        run = r"(?:cmocka_unit_test\w*|\bTEST|\bT)\(" + re.escape(name) + r"\b"
        return defined and re.search(run, text) is not None
    return defined


def rows(text):
    """Rows of the tables: (name, status, references); rows without a name continue the one before."""
    result = []
    for line in text.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if len(cells) != 4 or set(cells[1]) <= {"-"} and cells[1]:
            continue
        if cells[0] and cells[0] != "name":
            result.append([cells[0].strip("`"), cells[1], []])
        if result:
            result[-1][2] += REFERENCE.findall(line)
    return result


def main():
    text = (ROOT / "SECURITY.md").read_text()
    files = tree()
    kinds = {}
    for file, name in REFERENCE.findall(text):
        path = resolve(files, file)
        good = path is not None and holds(path, name)
        test(f"{file}:{name} " + ("is not there" if path else "names no file, or several"), good)
        kinds[file, name] = is_test(path) if path else None
    table = rows(text)
    names = [row[0] for row in table]
    for name in sorted(EXPECTED):
        test(f"{name} has {names.count(name)} rows", names.count(name) == 1)
    for name, status, references in table:
        test(f"{name}: unknown status {status}", status in STATUSES)
        test(f"{name}: no name of RFC 9124", name in EXPECTED or not name.startswith(("THREAT.", "REQ.")))
        if status == "met":
            test(f"{name}: no check in the code", any(kinds[r] is False for r in references))
            test(f"{name}: no test", any(kinds[r] for r in references))
    print(f"security: {results['passed']} passed, {results['failed']} failed")
    return 1 if results["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
