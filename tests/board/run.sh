#!/usr/bin/env bash
# The board's own self-tests (tests/board/selftest.c) in the emulator: flash, cryptography, random numbers, clock, reset
# record, memory protection, network card, interrupts. No network but the emulator's own; the flash file is thrown away.
set -u

root=$(cd "$(dirname "$0")/../.." && pwd)
tmp=${GODWIT_TMP:-$(mktemp -d)}
cd "$root" || exit 1
cmake --preset rv32-board >/dev/null && cmake --build build/rv32-board --target selftest -- --quiet || exit 1

truncate -s 32M "$tmp/bank1.bin"
timeout 60 qemu-system-riscv32 -M virt -cpu lowrisc-ibex -m 400K -bios none -nodefaults -display none -monitor none \
    -serial stdio -drive if=pflash,unit=1,format=raw,file="$tmp/bank1.bin" -global virtio-mmio.force-legacy=false \
    -object rng-random,id=r0,filename=/dev/urandom -device virtio-rng-device,rng=r0 \
    -netdev user,id=n0,restrict=on -device virtio-net-device,netdev=n0 \
    -device i6300esb -device loader,file=build/rv32-board/selftest.elf </dev/null >"$tmp/console"
code=$?
rm -f "$tmp/bank1.bin"
cat "$tmp/console"
passed=$(grep -c '^ok ' "$tmp/console")
failed=$(grep -c '^FAILED' "$tmp/console")
[ "$code" = 0 ] && [ "$passed" = 11 ] || [ "$failed" -gt 0 ] || failed=1
echo "board: $passed passed, $failed failed"
[ "$failed" = 0 ]
