#!/usr/bin/python3
"""The style gate: what CONTRIBUTING.md asks for and a machine can check. Exit code 1 when it finds something.

    scripts/lint.py [--quick]        --quick leaves out the compilers (clang, cppcheck, exported names)
"""
import os
import re
import subprocess
import sys

from targets import ROOT

FUNCTION_MAX, FILE_MAX, HEADER_MAX, LINE_MAX = 60, 800, 400, 120
CORE = ("lib/", "boot/")  # freestanding: the strictest rules
GENERATED = ("tests/crypto/vectors.h",)
LIB_HEADERS = {"stdbool.h", "stddef.h", "stdint.h", "string.h", "limits.h"}
LIB_FORBIDDEN = re.compile(r"\b(malloc|calloc|realloc|free|alloca|printf|sprintf|snprintf|strlen|strcpy|strcmp|strncmp"
                           r"|assert|abort|exit)\s*\(")
HOSTS = re.compile(r"\b(?:deb|ftp|security|snapshot|archive|sources)\.(?:debian|ubuntu)\.(?:org|com)"
                   r"|\bpypi\.org|python[h]osted|[n]pmjs\.|\bcrates\.io|golang\.org/|[r]ubygems\.|packages\.cloud\.",
                   re.I)
CLANG = """clang -std=c11 -fsyntax-only -Ilib/include -Ilib/src -Iboot -Werror -Weverything -Wno-unknown-warning-option
    -Wno-padded -Wno-declaration-after-statement -Wno-switch-enum -Wno-switch-default -Wno-covered-switch-default
    -Wno-unsafe-buffer-usage -Wno-conditional-uninitialized -Wno-pre-c11-compat -Wno-disabled-macro-expansion""".split()
CPPCHECK = """cppcheck --quiet --std=c11 --enable=warning,portability,performance --inline-suppr --error-exitcode=1 -j2
    --suppress=missingIncludeSystem --suppress=uninitvar --suppress=normalCheckLevelMaxBranches
    -UGW_CONFIG_FILE -Ilib/include -Ilib/src""".split()
CPPCHECK.append("--template={file}:{line}: {id}: {message}")
findings = []


def find(where, text):
    findings.append(f"{where}: {text}")


def files():
    """What git knows and what is new, without what is ignored."""
    listing = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                             capture_output=True, text=True).stdout
    return [f for f in listing.splitlines() if (ROOT / f).is_file()]


def without_comments(text):
    text = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)
    return re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)


def check_text(name, text):
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        where = f"{name}:{number}"
        if len(line) > LINE_MAX and name.endswith((".c", ".h", ".py", ".sh")):
            find(where, f"{len(line)} columns; at most {LINE_MAX}")
        if line != line.rstrip():
            find(where, "blanks at the end of the line")
        if "\t" in line and name.endswith((".c", ".h", ".py", ".sh")):
            find(where, "a tab")
        if HOSTS.search(line):
            find(where, "names a package registry's host")
    if text and not text.endswith("\n") and not name.startswith("fuzz/seeds/"):
        find(name, "no newline at the end")
    limit = HEADER_MAX if name.endswith(".h") else FILE_MAX
    if name.endswith((".c", ".h", ".py", ".sh")) and len(lines) - 1 > limit:
        find(name, f"{len(lines) - 1} lines; at most {limit}")


def check_c(name, text):
    if not text.startswith("/*"):
        find(name, "does not open with a comment that says what it is for")
    start = None
    for number, line in enumerate(text.split("\n"), 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            if number - start + 1 > FUNCTION_MAX:
                find(f"{name}:{start}", f"function of {number - start + 1} lines; at most {FUNCTION_MAX}")
            start = None


def check_core(name, text):
    if re.search(r"\b(TODO|FIXME|XXX)\b", text):
        find(name, "TODO in lib or boot")
    code = without_comments(text)
    for match in LIB_FORBIDDEN.finditer(code):
        find(f"{name}:{code[:match.start()].count(chr(10)) + 1}", f"{match.group(1)} in lib or boot")
    for header in re.findall(r"#include <([^>]+)>", text):
        if header not in LIB_HEADERS:
            find(name, f"includes <{header}>")


def check_python(name, text):
    try:
        compile(text, name, "exec")
    except SyntaxError as error:
        find(name, str(error))


def command(arguments):
    result = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        findings.append((result.stdout + result.stderr).strip() or f"{arguments[0]} failed")


def check_exports():
    """Only gw_ names leave the library."""
    env = dict(os.environ, GODWIT_NO_DEPS="1")
    subprocess.run(["make", "--no-print-directory", "build-host"], cwd=ROOT, check=True, env=env, capture_output=True)
    for archive in ("libgodwit.a", "libgodwit-boot-main.a"):
        listing = subprocess.run(["nm", "-g", "--defined-only", ROOT / "build/host" / archive], check=True,
                                 capture_output=True, text=True).stdout
        symbols = re.findall(r"^[0-9a-f]+ (\w) (\S+)$", listing, re.M)
        sysv = subprocess.run(["nm", "-f", "sysv", ROOT / "build/host" / archive], check=True, capture_output=True,
                              text=True).stdout
        constant = set(re.findall(r"^(\S+) .*\|\.data\.rel\.ro\S*$", sysv, re.M))  # const, with addresses in it
        if not symbols:
            find(archive, "exports nothing")
        for kind, symbol in symbols:
            if not symbol.startswith("gw_"):
                find(archive, f"exports {symbol}")
            if kind in "BDCbdc" and symbol not in constant:
                find(archive, f"{symbol} is a global variable")


def main():
    every = [f for f in files() if f not in GENERATED]
    for name in every:
        try:
            text = (ROOT / name).read_text()
        except UnicodeDecodeError:
            continue
        check_text(name, text)
        if name.endswith((".c", ".h")):
            check_c(name, text)
        if name.startswith(CORE) and name.endswith((".c", ".h")):
            check_core(name, text)
        if name.endswith(".py"):
            check_python(name, text)
    if "--quick" not in sys.argv:
        core = [f for f in every if f.startswith(CORE) and f.endswith(".c")]
        for source in core:
            command(CLANG + [source])
        command(CPPCHECK + core)
        check_exports()
    for finding in findings:
        print(finding)
    print(f"lint: {len(every)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
