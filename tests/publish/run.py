#!/usr/bin/python3
"""godwit release publish and list: into a folder that nginx serves, into a bucket of an S3 stub; interrupted, refused.

The last line is `N passed, N failed`. GODWIT_BIN: folder of the programs; GODWIT_TMP: an empty folder.
"""
import sys

import bucket
import folder
import refusals
from scene import Scene

if __name__ == "__main__":
    with Scene() as scene:
        for part in (folder.publish, folder.interrupted, folder.hostile, folder.served, refusals.all_of_them,
                     bucket.publish, bucket.over_tls, bucket.in_the_host, bucket.credentials_and_clock, bucket.refused,
                     bucket.faults):
            scene.part(part)
        print(f"{scene.passed} passed, {scene.failed} failed")
        sys.exit(1 if scene.failed else 0)
