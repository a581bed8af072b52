#!/usr/bin/python3
"""Makes lib/src/patch_tables.c: constants of gwpatch's model, the same numbers on every machine. Prints to stdout."""
import math

HEAD = """/*
 * patch_tables.c - constants of the model: logistic function and its inverse, learning rates. Made by
 * scripts/patch_tables.py; the same numbers on every machine.
 */
#include "patch_tables.h"
"""


def logit(p):
    return max(-2047, min(2047, round(200 * math.log(p / (1 - p)))))


def table(comment, kind, name, values):
    print(f"\n/* {comment} */\nconst {kind} {name}[{len(values)}] = {{")
    line = "   "
    for v in values:
        if len(line) + len(f" {v},") > 118:
            print(line)
            line = "   "
        line += f" {v},"
    print(line + "\n};")


print(HEAD, end="")
table("200 * ln(p / (1 - p)): for p = (32 i + 16) / 4096, 128 times; then for p = (i + 1/2) / 4096, 128 times",
      "int16_t", "gw_patch_stretch",
      [logit((i + 0.5) / 128) for i in range(128)] + [logit((i + 0.5) / 4096) for i in range(128)])
table("65536 / (1 + exp(-(64 i - 2048) / 200))", "uint16_t", "gw_patch_squash",
      [min(65504, max(32, round(65536 / (1 + math.exp(-(64 * i - 2048) / 200))))) for i in range(65)])
table("how far a counter goes that was used i times, in 1/65536", "uint16_t", "gw_patch_rate",
      [round(65536 / n) for n in (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 19, 22, 26, 30)])
