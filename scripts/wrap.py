#!/usr/bin/python3
"""Wraps comment lines that are longer than the style allows, in place; code is left to people.

    scripts/wrap.py file...
"""
import re
import sys
from pathlib import Path

MAX = 120
CONTINUES = re.compile(r"^\s*(?:\*|#)?\s*(?:[-*]\s|\d+\.\s|\*/|/\*|@|\||\+|X\(|$)")


def split(prefix, text, room_for=0):
    """Words of one paragraph line as (what fits, what is left)."""
    cut = text.rfind(" ", 0, MAX - len(prefix) - room_for + 1)
    return (text[:cut].rstrip(), text[cut:].strip()) if cut > 0 else (text, "")


def carry(lines, number, prefix, rest, end):
    """Puts what is left in front of the next line of the same paragraph, or on a line of its own."""
    follows = lines[number + 1] if number + 1 < len(lines) else ""
    same = follows.startswith(prefix) and follows[len(prefix):len(prefix) + 1] not in ("", " ")
    if not end and same and not CONTINUES.match(follows):
        lines[number + 1] = prefix + rest + " " + follows[len(prefix):]
    else:
        lines.insert(number + 1, prefix + rest + end)


def wrap_c(lines, number):
    line = lines[number]
    inside = re.match(r"( *\* +)(\S.*?)( ?\*/)?$", line)
    alone = re.match(r"( *)/\* (\S.*) \*/$", line)
    trailing = re.match(r"( *)(\S.*?[;,{]) +/\* (.*?) \*/$", line)
    if inside:
        first, rest = split(inside.group(1), inside.group(2), 0)
        lines[number] = inside.group(1) + first
        if rest:
            carry(lines, number, inside.group(1), rest, inside.group(3) or "")
    elif alone:
        prefix = alone.group(1) + " * "
        first, rest = split(prefix, alone.group(2))
        lines[number] = alone.group(1) + "/*"
        lines[number + 1:number + 1] = [prefix + first, prefix + rest, alone.group(1) + " */"]
    elif trailing:
        indent, code, comment = trailing.groups()
        lines[number:number + 1] = [f"{indent}/* {comment} */", indent + code]


def wrap_plain(lines, number):
    """Comments after #, and the text of Python's docstrings."""
    quoted = sum(line.count('"""') for line in lines[:number]) % 2
    match = re.match(r"(\s*)(\S.*)$" if quoted else r"(\s*# *)(\S.*)$", lines[number])
    if not match:
        return
    first, rest = split(match.group(1), match.group(2))
    if rest:
        lines[number] = match.group(1) + first
        carry(lines, number, match.group(1), rest, "")


def main():
    for name in sys.argv[1:]:
        path = Path(name)
        lines = path.read_text().split("\n")
        number = 0
        while number < len(lines) and len(lines) < 5000:
            if len(lines[number]) > MAX:
                (wrap_c if name.endswith((".c", ".h")) else wrap_plain)(lines, number)
            number += 1
        path.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
