"""While a large release is uploaded and checked, devices' reports are acknowledged as if nothing was."""
import os
import threading
import time
from pathlib import Path

import reports
from cases_reports import Device
from scene import CLASS, Server, begin, godwit, put

SIZE, PART = 16 << 20, 4 << 20


class Reporter(threading.Thread):
    """One device that reports over and over; how long each acknowledgement took, and when."""

    def __init__(self, device):
        super().__init__(daemon=True)
        self.device, self.ended, self.took, self.bad = device, False, [], []

    def run(self):
        counter = 1
        while not self.ended:
            body = reports.make(self.device.key, self.device.name, counter)
            began = time.monotonic()
            status = self.device.report(body).status
            self.took.append((began, time.monotonic() - began))
            if status != 204:
                self.bad.append(status)
            counter += 1

    def longest(self, since, until):
        """Of those that were under way in between."""
        return max(t for began, t in self.took if began < until and began + t > since)

    def within(self, since, until):
        """How many came and went in between."""
        return sum(began >= since and began + t <= until for began, t in self.took)


def big_release():
    Path("big.bin").write_bytes(os.urandom(SIZE))
    godwit("godwit", "release", "build", "big.bin", "--version", "9.0.0", *CLASS, "-o", "rel-big")
    godwit("godwit", "release", "sign", "rel-big", "--key", "author.pem")


def upload(server):
    begun = begin(server, "rel-big")
    for payload in begun.json["payloads"]:
        data = (Path("rel-big/payloads") / payload["name"]).read_bytes()
        for at in range(0, len(data), PART):
            put(server, begun.json["digest"], payload["name"], at, data[at:at + PART])
    return begun.json["digest"]


def run(t, pki):
    big_release()
    server = Server("srv-load", pki)
    try:
        server.first()
        server.post("/api/v1/classes", {"vendor": "example.com", "name": "sensor-c3"})
        made = server.get("/api/v1/classes").json["items"][0]["id"]
        server.post("/api/v1/devices", {"devices": [{"id": "load-1", "class": made}]}, role="operator")
        reporter = Reporter(Device(server, pki, "load-1"))
        reporter.start()
        time.sleep(1)
        calm = reporter.longest(0, time.monotonic())
        at = [time.monotonic()]
        digest = upload(server)
        at.append(time.monotonic())
        answer = server.post(f"/api/v1/releases/{digest}/finish", role="publisher", timeout=300)
        at.append(time.monotonic())
        reporter.ended = True
        reporter.join()
        checking, longest = at[2] - at[1], reporter.longest(at[1], at[2])
        meanwhile = reporter.within(at[1] + checking / 4, at[2])
        print(f"the longest report: {calm:.3f} s with nothing else, {reporter.longest(at[0], at[1]):.3f} s in the"
              f" upload of {at[1] - at[0]:.1f} s, {longest:.3f} s in the check of {checking:.2f} s; in its last three"
              f" quarters {meanwhile} reports")
        t.equal("checked", answer.status, 200)
        t.equal("every report was taken", reporter.bad, [])
        t.holds("reports do not wait for the check", meanwhile >= 4, (meanwhile, longest, checking, calm))
    finally:
        server.stop()
    return server
