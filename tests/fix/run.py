#!/usr/bin/python3
"""A small fix in firmware makes a tiny delta: an image is built twice for Cortex-M4 and RV32IMC, the second time with
four lines more in one function, and what `godwit patch make` makes of it has to be small, and has to apply.

The image: lib/ without the agent, boot/ and Mbed TLS, linked whole (no section is dropped), some 100 KB: what it was
when the limits were set. GODWIT_BIN: the programs;
GODWIT_TMP: an empty folder. Ends with `N passed, N failed`.
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from targets import Target, sources  # noqa: E402

GODWIT = Path(os.environ.get("GODWIT_BIN", ROOT / "build/host/bin")).resolve() / "godwit"
TMP = Path(os.environ.get("GODWIT_TMP") or tempfile.mkdtemp()).resolve()
BASE = {"cortex-m4": "0x08000000", "rv32": "0x20000000"}  # the images have no vector table that would tell it
LIMIT = {"cortex-m4": 160, "rv32": 260}  # bytes
PLACES = {  # where code lies, for each linker's own script
    "cortex-m4": ["-Wl,-Ttext=0x08000000", "--specs=nosys.specs"],
    "rv32": ["-Wl,--defsym=__flash=0x20000000,--defsym=__flash_size=0x100000",
             "-Wl,--defsym=__ram=0x80000000,--defsym=__ram_size=0x80000"],
}
LATER = ("lib/src/agent", "lib/src/report", "lib/src/serial")
ABSENT = ["gw_head_take", "gw_head_seen", "psa_status_to_mbedtls"]  # new linkers refuse calls to what is nowhere
FIXED = "lib/src/frames.c"
BEFORE = """    size_t left = gw_frames_length(f) - f->held;
    size_t used = n < left ? n : left;
"""
AFTER = BEFORE + """    if (bytes == NULL || f->size == 0) {
        f->held = 0;
        return 0;
    }
"""
MBEDTLS = ["sha256", "aes", "bignum", "bignum_core", "ecp", "ecp_curves", "ecdsa", "asn1parse", "asn1write",
           "platform_util", "constant_time", "md", "oid", "pk", "pk_wrap", "pkparse", "rsa", "rsa_alt_helpers",
           "platform", "cipher"]


def build(target, folder, fixed, mbedtls):
    """Links everything; returns the raw image."""
    more = ["-Iports/crypto", f"-isystem{mbedtls}/include", f"-I{mbedtls}/library",
            '-DMBEDTLS_CONFIG_FILE="config/psa_config.h"', "-w"]
    made = []
    ours = [s for s in sources() if not s.startswith(LATER)]
    for source in ours + [f"{mbedtls}/library/{name}.c" for name in MBEDTLS]:
        path = fixed if source == FIXED and fixed else source
        made.append(target.compile(path, folder / (Path(source).stem + ".o"), *more))
    absent = folder / "absent.c"
    absent.write_text("".join(f"void {name}(void) {{}}\n" for name in ABSENT))
    made.append(target.compile(absent, folder / "absent.o", *more))
    elf, image = folder / "image.elf", folder / "image.bin"
    target.run("gcc", *target.flags, "-nostartfiles", "-Wl,--no-gc-sections", "-Wl,-e,gw_boot_run",
               *PLACES[target.name], "-Wl,--defsym=mbedtls_psa_external_get_random=0",
               "-Wl,--unresolved-symbols=ignore-all", "-o", elf, *made)
    target.run("objcopy", "-O", "binary", "-j", ".text", "-j", ".rodata", elf, image)
    return image


def main():
    passed = failed = 0
    mbedtls = subprocess.run([ROOT / "scripts/fetch-sources.sh", "mbedtls"], check=True, capture_output=True,
                             text=True).stdout.strip()
    text = (ROOT / FIXED).read_text()
    if BEFORE not in text:
        sys.exit(f"fix: {FIXED} has changed: choose another place")
    fixed = TMP / "frames.c"
    fixed.write_text(text.replace(BEFORE, AFTER, 1))
    for name, limit in LIMIT.items():
        target = Target(name)
        old = build(target, TMP / name / "old", None, mbedtls)
        new = build(target, TMP / name / "new", fixed, mbedtls)
        patch, back = TMP / f"{name}.gwp", TMP / f"{name}.bin"
        subprocess.run([GODWIT, "patch", "make", old, new, "-o", patch], check=True,
                       capture_output=True)
        subprocess.run([GODWIT, "patch", "apply", old, patch, "-o", back], check=True, capture_output=True)
        size = patch.stat().st_size
        good = back.read_bytes() == new.read_bytes() and size <= limit and old.read_bytes() != new.read_bytes()
        print(f"{'ok' if good else 'FAILED'} {name}: image of {new.stat().st_size} bytes, delta of {size}, "
              f"at most {limit}")
        passed, failed = passed + good, failed + (not good)
    print(f"fix: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
