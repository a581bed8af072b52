#!/usr/bin/python3
"""The deepest stack of the entry points of lib/ and boot/, rv32imc at -Os, from gcc's call graph (-fcallgraph-info).

    scripts/stack.py [--all]          exit code 1 over the budget, and when a call is not understood; --all shows every
    public function

What it keeps true: every indirect call is resolved. A call through a seam (flash, crypto, boot ops, callbacks of the
application) leaves the library and is counted as nothing: what it needs is the port's. A function of lib that is handed
to another one as a callback is followed from the place where it is handed over, so that bounded nesting is no
recursion. Anything else stands in TABLES. Every function of lib whose address is taken must have been met in one of
these ways, so that a new pointer cannot escape the count. Recursion and frames of unknown size are errors.
"""
import re
import sys

from targets import ROOT, Target, sources

OUT = ROOT / "build/stack"
BUDGET = 2048  # bytes, issue 2
AGENT = {"gw_agent_open": BUDGET, "gw_agent_step": BUDGET + 512, "gw_update": BUDGET + 512}  # on top of an install
ENTRIES = ["gw_boot_run", "gw_install_open", "gw_install_poll", "gw_trust_update", *AGENT]
C_LIBRARY = {"memcpy": 16, "memmove": 16, "memset": 16, "memcmp": 16}  # picolibc's frames are smaller
SEAMS = re.compile(r"(?:transport|\bt)\s*->\s*(?P<net>trust|open|read|close|report)\s*\("
                   r"|\bcrypto\s*->\s*(?P<crypto>sign)\s*\("
                   r"|->\s*(?P<seam>sha256_\w+|verify|aes_ctr|aes_decrypt|ecdh|random|kek|agree|read|write|erase|idle"
                   r"|state|clear|stage|confirm|reject|steady|passed|read_old|read_new|sign"
                   r"|time|may_fetch|may_restart|self_test|restart|on_event|now_ms|wait)\s*\(")
# Functions that call by pointer what is neither a seam nor a callback argument: name -> pattern of the targets.
TABLES = {"gw_install_poll": r"lib/src/install\.c:st_\w+", "gw_agent_step": r"lib/src/agent\.c:st_\w+"}
# Functions that hand over one of a table: name -> pattern of what it may be (the second is inlined into the first).
HANDED = {name: r"lib/src/trust\.c:read_(distinct_key|digest|line|host|server_ca)"
          for name in ("gw_trust_parse", "read_lists")}
# Calls through const structs that lib fills itself: the call, and the targets by the name of the member.
STRUCTS = {re.compile(r"codec(?:\(inst\))?\s*->\s*(\w+)\s*\("): r"gw_patch_{}|lib/src/codec\.c:{}",
           re.compile(r"isa\s*->\s*(\w+)\s*\("): r"lib/src/isa_\w+\.c:{}"}
# Seams that lib itself implements: the keys in the identity object, what the decoder reads back.
OWN_SEAMS = {"kek": "serve_kek", "agree": "serve_agree", "sign": "serve_sign", "read_old": "read_old",
             "read_new": "read_new"}


def short(title):
    """Function name without the file and without the compiler's suffixes."""
    return title.split(":")[-1].split(".")[0]


def without_comments(text):
    return re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def function_types():
    """Names of typedefs of functions and of pointers to functions."""
    files = [p for folder in ("lib", "boot") for p in (ROOT / folder).rglob("*.[ch]")]
    text = "".join(without_comments(p.read_text()) for p in files)
    functions = re.findall(r"typedef [^;({]*?\b(\w+)\([^*]", text)
    return set(functions + re.findall(r"typedef [^;({]*\(\*(\w+)\)\(", text))


# A parameter that is a function, and a name that stands as an argument of a call.
CALLBACK = re.compile(r"\(\*\w+\)\(" + "".join(rf"|\b{name}\b" for name in sorted(function_types())))
ARGUMENT = re.compile(r"[(,?:]\s*&?(\w+)\s*(?=[,):])")


class Graph:
    def __init__(self):
        self.frames = {}    # function -> bytes
        self.calls = {}     # function -> set of (function, names in the call's source); function "*": a call by pointer
        self.where = {}     # short name -> titles (those of static functions carry their file)
        self.bodies = {}    # function -> source text
        self.problems = set()
        self.followed = set()

    def read(self, path):
        text = path.read_text()
        for title, label in re.findall(r'^node: { title: "([^"]+)" label: "([^"]+)"', text, re.M):
            frame = re.search(r"\\n(\S+):(\d+):\d+\\n(\d+) bytes \(([^)]*)\)", label)
            if not frame:
                continue
            if frame.group(4) not in ("static", "dynamic,bounded"):
                self.problems.add(f"{title}: frame of unknown size")
            self.frames[title] = int(frame.group(3))
            self.where.setdefault(short(title), []).append(title)
            lines = without_comments((ROOT / frame.group(1)).read_text()).splitlines()
            first = int(frame.group(2)) - 1
            last = next(i for i in range(first, len(lines)) if lines[i] == "}")
            self.bodies[title] = "\n".join(lines[first:last])
        edge = r'^edge: { sourcename: "([^"]+)" targetname: "([^"]+)"(?: label: "([^"]+)")?'
        for caller, callee, label in re.findall(edge, text, re.M):
            callees = self.calls.setdefault(caller, set())
            site = self.site(label) if label else ""
            names = frozenset(ARGUMENT.findall(site))
            found = self.indirect(site) if callee == "__indirect_call" else {callee}
            callees.update((c, names) for c in found)

    @staticmethod
    def site(label):
        """The source text of the call at file:line:column."""
        file, line, column = label.rsplit(":", 2)
        lines = without_comments((ROOT / file).read_text()).splitlines()
        return " ".join([lines[int(line) - 1][int(column) - 1:], *lines[int(line):int(line) + 2]]).split(";")[0]

    @staticmethod
    def indirect(site):
        """What a call by pointer is: nothing for a seam, "*" for the rest."""
        match = SEAMS.search(site)
        if not match:
            first = [(m.start(), "@" + to.format(m.group(1), m.group(1))) for call, to in STRUCTS.items()
                     if (m := call.search(site))]
            return {min(first)[1]} if first else {"*"}
        return {OWN_SEAMS[match.group("seam")]} if match.group("seam") in OWN_SEAMS else set()

    def takes_callback(self, title):
        return title in self.bodies and CALLBACK.search(self.bodies[title].partition("{")[0].partition("(")[2])

    def handed_over(self, title, names):
        """Functions of lib that a call hands over: named in the call, or, when that is not seen, in the caller."""
        if short(title) in HANDED:
            return {t for t in self.frames if re.fullmatch(HANDED[short(title)], t.split(".constprop")[0])}
        inner = self.bodies[title].partition("{")[2]
        here = {n for n in names if n in self.where}
        names = here or {n for n in ARGUMENT.findall(inner) if n in self.where}
        return {t for n in names for t in self.where[n]}

    def targets(self, title, callback, callee, names):
        """The (function, callback given to it) that one call may reach."""
        if callee == "*" and short(title) in TABLES:
            return {(t, None) for t in self.frames if re.fullmatch(TABLES[short(title)], t.split(".constprop")[0])}
        if callee.startswith("@"):
            return {(t, None) for t in self.frames if re.fullmatch(callee[1:], t.split(".constprop")[0])}
        if callee != "*" and not self.takes_callback(callee):
            return {(callee, None)}
        given = {callback} if self.takes_callback(title) else self.handed_over(title, names)
        return {(g, None) if callee == "*" else (callee, g) for g in given}

    def next_calls(self, title, callback):
        """(function, callback that it was given) of every call in a function that was itself given `callback`."""
        found = set()
        for name, names in self.calls.get(title, ()):
            for callee in self.where.get(name, [name]):
                reached = self.targets(title, callback, callee, names)
                if not reached:
                    self.problems.add(f"{title} calls by pointer, and what is not known: see TABLES in this script")
                found |= reached
        self.followed |= {f for f, _ in found} | {c for _, c in found if c}
        return found

    def deepest(self, function, callback=None, path=()):
        """(bytes, chain) of the deepest stack from a function on."""
        here = (function, callback)
        if here in path:
            self.problems.add("recursion: " + " > ".join(short(f) for f, _ in path + (here,)))
            return 0, ()
        if function not in self.frames:
            if function not in C_LIBRARY and not function.startswith("__"):
                self.problems.add(f"{function} is called and not known")
            return C_LIBRARY.get(function, 0), (function,)
        best, chain = 0, ()
        for callee, given in sorted(self.next_calls(function, callback), key=str):
            depth, below = self.deepest(callee, given, path + (here,))
            if depth > best:
                best, chain = depth, below
        return self.frames[function] + best, (function,) + chain

    def addresses_taken(self):
        """Functions of lib that are named without being called, anywhere: a pointer to them exists."""
        taken = set()
        for source in sources():
            text = re.sub(r'"(?:\\.|[^"\\])*"', '""', without_comments((ROOT / source).read_text()))
            for name in set(re.findall(r"(?:[(,{=]|return|\?|:)\s*&?(\w+)\s*(?=[,;)}:])", text)):
                taken |= {t for t in self.where.get(name, ()) if t == name or t.startswith(source + ":")}
        return taken


def main():
    target = Target("rv32")
    graph = Graph()
    for source in sources():
        out = target.compile(source, OUT / (source.replace("/", "_") + ".o"), "-fcallgraph-info=su")
        graph.read(out.with_suffix(".ci"))
    public = sorted(f for f in graph.frames if f.startswith("gw_") and not graph.takes_callback(f))
    public = public if "--all" in sys.argv else []
    over = 0
    for entry in ENTRIES + [f for f in public if f not in ENTRIES]:
        if entry not in graph.frames:
            graph.problems.add(f"{entry} is missing")
            continue
        depth, chain = graph.deepest(entry)
        budget = AGENT.get(entry, BUDGET)
        over += depth > budget
        print(f"{entry:<24} {depth:>6} of {budget} bytes  {'ok' if depth <= budget else 'OVER'}")
        if entry in ENTRIES:
            print("    " + " > ".join(f"{short(f)} {graph.frames.get(f, C_LIBRARY.get(f, 0))}" for f in chain))
    for title in sorted(graph.frames): # the rest of lib, so that every pointer is met
        graph.next_calls(title, None) if not graph.takes_callback(title) else None
    known = graph.followed | {t for s in OWN_SEAMS.values() for t in graph.where.get(s, ())}
    for title in sorted(graph.addresses_taken() - known):
        graph.problems.add(f"the address of {title} is taken, and who calls it is not known: see scripts/stack.py")
    for problem in sorted(graph.problems):
        print(f"stack: {problem}", file=sys.stderr)
    return 1 if over or graph.problems else 0


if __name__ == "__main__":
    sys.exit(main())
