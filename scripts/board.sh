#!/bin/sh
# Runs a unit of the emulated board: scripts/board.sh run UNIT [--tcp PORT] [--console FILE]. See tests/qemu/board.py.
exec /usr/bin/python3 "$(dirname "$0")/../tests/qemu/board.py" "$@"
