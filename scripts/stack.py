#!/usr/bin/python3
"""The deepest stack of the entry points of lib/ and boot/, for rv32imc at -Os, from gcc's own call graph (-fcallgraph-info).

    scripts/stack.py [--all]          exit code 1 over the budget, and when a call is not understood; --all shows every public function

What it keeps true: every indirect call is resolved. A call through a seam (flash, crypto, keys, boot ops, callbacks of the
application) leaves the library and is counted as nothing: what it needs is the port's. A call through a pointer to
a function of lib must be listed in CALLBACKS, and every function of lib whose address is taken must be listed there: both are
checked, so that a new pointer cannot escape the count. Recursion and frames of unknown size are errors.
"""
import re
import sys

from targets import ROOT, Target, sources

OUT = ROOT / "build/stack"
BUDGET = 2048  # bytes, issue 2
ENTRIES = ["gw_boot_run", "gw_install_open", "gw_install_poll", "gw_trust_update"]
C_LIBRARY = {"memcpy": 16, "memmove": 16, "memset": 16, "memcmp": 16}  # picolibc's frames are smaller
SEAMS = re.compile(r"->\s*(sha256_\w+|verify|aes_ctr|aes_decrypt|ecdh|random|kek|agree|read|write|erase|idle|state|clear|stage"
                   r"|confirm|reject|steady|passed)\s*\(")
# Who calls functions of lib by pointer, and which.
CALLBACKS = {
    "gw_install_poll": r"st_\w+",
}


class Graph:
    def __init__(self):
        self.frames = {}  # function -> bytes
        self.calls = {}   # function -> set of functions
        self.problems = []
        self.where = {}   # short name -> full names (static functions carry their file)

    def read(self, path, prefix):
        text = path.read_text()
        for title, label in re.findall(r'^node: { title: "([^"]+)" label: "([^"]+)"', text, re.M):
            frame = re.search(r"\\n(\d+) bytes \(([^)]*)\)", label)
            if not frame:
                continue
            if "static" not in frame.group(2) and "bounded" not in frame.group(2):
                self.problems.append(f"{title}: frame of unknown size")
            self.frames[title] = int(frame.group(1))
            self.where.setdefault(title.split(":")[-1].split(".")[0], []).append(title)
        for caller, callee, label in re.findall(r'^edge: { sourcename: "([^"]+)" targetname: "([^"]+)"(?: label: "([^"]+)")?', text, re.M):
            if callee == "__indirect_call":
                self.indirect(caller, label)
            else:
                self.calls.setdefault(caller, set()).add(callee)

    def indirect(self, caller, label):
        file, line, column = label.rsplit(":", 2)
        lines = (ROOT / file).read_text().splitlines()
        text = " ".join(lines[int(line) - 1:int(line) + 2])[int(column) - 1:]
        if SEAMS.match(text[text.find("->"):] if "->" in text else "") or SEAMS.search(text.split(";")[0]):
            return
        name = caller.split(":")[-1].split(".")[0]
        self.calls.setdefault(caller, set()).add("*" + name)
        if name not in CALLBACKS:
            self.problems.append(f"{label}: {name} calls by pointer; list it in CALLBACKS of scripts/stack.py")

    def resolve(self):
        """Turns the marks of indirect() into calls, once all files are read."""
        for callees in self.calls.values():
            for mark in [c for c in callees if c.startswith("*")]:
                callees.discard(mark)
                pattern = re.compile(CALLBACKS.get(mark[1:], r"(?!)"))
                targets = [full for short, names in self.where.items() if pattern.fullmatch(short) for full in names]
                if not targets and mark[1:] in CALLBACKS:
                    self.problems.append(f"CALLBACKS of {mark[1:]} match nothing")
                callees.update(targets)

    def deepest(self, function, path=()):
        """(bytes, chain) of the deepest stack from a function on."""
        if function in path:
            self.problems.append("recursion: " + " > ".join(path + (function,)))
            return 0, ()
        if function not in self.frames:
            if function not in C_LIBRARY and not function.startswith("__"):
                self.problems.append(f"{function} is called and not known")
            return C_LIBRARY.get(function, 0), (function,)
        best, chain = 0, ()
        for callee in sorted(self.calls.get(function, ())):
            depth, below = self.deepest(callee, path + (function,))
            if depth > best:
                best, chain = depth, below
        return self.frames[function] + best, (function,) + chain


def addresses_taken(graph):
    """Functions of lib that are named without being called: a pointer to them exists."""
    taken = set()
    for source in sources():
        text = re.sub(r"/\*.*?\*/|\"(?:\\.|[^\"\\])*\"|//[^\n]*", " ", (ROOT / source).read_text(), flags=re.S)
        taken |= {name for name in re.findall(r"\b([a-z]\w+)\b(?!\s*\()", text)
                  if any(full == name or full.startswith(source + ":") for full in graph.where.get(name, ()))
                  and re.search(rf"(?:[,({{=\]]|return)\s*&?\s*{name}\s*[,;)}}]", text)
                  and not re.search(rf"\b(?:int|bool|uint\w+|size_t|unsigned|struct \w+|enum \w+|const \w+)\s*\**\s*{name}\s*[;=,)\[]", text)}
    return taken


def main():
    target = Target("rv32")
    graph = Graph()
    for source in sources():
        out = target.compile(source, OUT / (source.replace("/", "_") + ".o"), "-fcallgraph-info=su")
        graph.read(out.with_suffix(".ci"), source)
    graph.resolve()
    for name in sorted(addresses_taken(graph)):
        if not any(re.fullmatch(pattern, name) for pattern in CALLBACKS.values()):
            graph.problems.append(f"the address of {name} is taken: list it in CALLBACKS of scripts/stack.py")
    public = sorted(f for f in graph.frames if f.startswith("gw_")) if "--all" in sys.argv else []
    over = 0
    for entry in ENTRIES + [f for f in public if f not in ENTRIES]:
        if entry not in graph.frames:
            graph.problems.append(f"{entry} is missing")
            continue
        depth, chain = graph.deepest(entry)
        over += depth > BUDGET
        print(f"{entry:<24} {depth:>6} of {BUDGET} bytes  {'ok' if depth <= BUDGET else 'OVER'}")
        if entry in ENTRIES:
            print("    " + " > ".join(f"{f.split(':')[-1]} {graph.frames.get(f, C_LIBRARY.get(f, 0))}" for f in chain))
    for problem in sorted(set(graph.problems)):
        print(f"stack: {problem}", file=sys.stderr)
    return 1 if over or graph.problems else 0


if __name__ == "__main__":
    sys.exit(main())
