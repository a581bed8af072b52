#!/usr/bin/python3
"""Devices by the thousand update themselves at once from one nginx on this machine.

    bench/agent/run.py BIN [--devices 1000] [--image BYTES]       BIN: build/host

Prints bytes, retries and time, and what one update takes on the wire beyond its payload. Fails when a device does not
end with the new release confirmed, when bytes were fetched twice, or when the wire took more than payload + manifest +
3 KB + 1 % for each device (TLS handshakes and records are not counted: HTTP heads and bodies are)."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/web")]
from nginx import Nginx  # noqa: E402
from pki import Pki  # noqa: E402

CLASS = ["--vendor", "example.com", "--class", "sensor-c3"]


def prepare(bin_dir, size):
    """Keys, a device's identity, a release of an image of this size, published. Returns (offer path, its bytes)."""
    def godwit(*arguments):
        return subprocess.run([bin_dir / "bin/godwit", *map(str, arguments)], check=True, capture_output=True,
                              text=True).stdout
    for name in ("root1", "root2", "author", "group"):
        godwit("key", "new", f"{name}.pem")
    godwit("key", "bundle", "--root", "root1.pem", "--root", "root2.pem", "--author", "author.pem", "--version", 1,
           "--epoch", 1, "-o", "trust.cose")
    Path("image.bin").write_bytes(os.urandom(size))
    godwit("release", "build", "image.bin", "--version", "1.0.0", *CLASS, "--encrypt-to", "group.pub.pem", "-o", "rel")
    godwit("release", "sign", "rel", "--key", "author.pem")
    godwit("release", "publish", "rel", "--to", "www", "--trust", "trust.cose")
    godwit("device", "provision", "--id", "device00000", *CLASS, "--root", "root1.pub.pem", "--root", "root2.pub.pem",
           "--device-key", "group.pem", "-o", "identity")
    offer = next(Path("www/offers").iterdir())
    return f"offers/{offer.name}", offer.stat().st_size


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("bin", type=Path)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--image", type=int, default=100_000)
    options = parser.parse_args()
    bin_dir = options.bin.resolve()
    with tempfile.TemporaryDirectory(prefix="godwit-bench-") as work:
        os.chdir(work)
        offer, offer_bytes = prepare(bin_dir, options.image)
        payload = next(Path("rel/payloads").iterdir()).stat().st_size
        pki = Pki("pki")
        with Nginx("nginx", "www", *pki.server()) as server:
            done = subprocess.run([bin_dir / "bench/agents", "--server", server.url, "--offer", offer, "--ca", pki.ca,
                                   "--identity", "identity", "--trust", "trust.cose", "--devices",
                                   str(options.devices)], stdout=subprocess.PIPE, text=True)
        os.chdir("/")
    if not done.stdout:
        return 1
    r = json.loads(done.stdout)
    n = r["devices"]
    wire = (r["received"] + r["sent"]) / n
    bound = payload + 2 * offer_bytes + 3072 + payload / 100  # the offer is read twice: to update, and to confirm
    print(f"{n} devices, payload {payload} bytes, offer {offer_bytes} bytes\n"
          f"  {r['confirmed']} confirmed, {r['failures']} failures, {r['twice']} bytes fetched twice\n"
          f"  {r['requests'] / n:.2f} requests, {r['connections'] / n:.2f} connections for each device\n"
          f"  {wire:.0f} bytes of HTTP for each device, {wire - payload - offer_bytes:.0f} beyond payload and offer "
          f"(bound {bound - payload - offer_bytes:.0f})\n"
          f"  {r['seconds']:.1f} s, {r['cpu']:.1f} s of processor for the devices, {r['rss_mb']} MB")
    good = done.returncode == 0 and r["confirmed"] == n and wire <= bound
    print(f"bench-agent: {'ok' if good else 'FAILED'}: {r['confirmed']} of {n} devices in {r['seconds']:.1f} s, "
          f"{r['received'] + r['sent']} bytes, {r['failures']} retries")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
