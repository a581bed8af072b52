"""The two devices that lib is measured for: compilers and flags, as in cmake/rv32.cmake and cmake/cortex-m4.cmake."""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = ["-Ilib/include", "-Ilib/src", "-Iboot"]
# For people, porters and servers: a product does not call them.
STRINGS = ("strerror", "selftest", "report_open", "agent_people")


class Target:
    """One cross compiler, with the flags that its CMake toolchain file gives it."""

    def __init__(self, name):
        text = (ROOT / f"cmake/{name}.cmake").read_text()
        self.name = name
        self.gcc = re.search(r"CMAKE_C_COMPILER (\S+)\)", text).group(1)
        self.flags = re.search(r'CMAKE_C_FLAGS_INIT "(.*)"', text).group(1).replace(" -g ", " ").split()
        self.prefix = self.gcc[:-len("gcc")]

    def run(self, tool, *arguments):
        result = subprocess.run([self.prefix + tool, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
        if result.returncode:
            sys.exit(f"{self.prefix}{tool} failed:\n{result.stderr}")
        return result.stdout

    def compile(self, source, out, *more):
        out.parent.mkdir(parents=True, exist_ok=True)
        self.run("gcc", *self.flags, "-std=c11", *INCLUDE, *more, "-c", source, "-o", out)
        return out

    def size(self, path):
        """Bytes of code and constants, and of data, in an object or program."""
        total = [0, 0]
        for line in self.run("size", "-A", path).splitlines():
            match = re.match(r"\.(text|rodata|srodata|data|sdata|bss|sbss)(\.\S+)?\s+(\d+)", line)
            if match:
                total[match.group(1) in ("data", "sdata", "bss", "sbss")] += int(match.group(3))
        return tuple(total)


def sources():
    """Source files of lib/ and boot/, relative to the repository."""
    return sorted(str(p.relative_to(ROOT)) for folder in ("lib/src", "boot") for p in (ROOT / folder).glob("*.c"))
