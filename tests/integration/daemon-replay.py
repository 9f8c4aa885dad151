#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What memarbd recorded of a shortage with real QEMUs, memarbctl decides again to the byte."""
import json
import os
import subprocess

from arbiter import MEMARBCTL, GuestHost
from taptest import check, check_equal, run_tests
from tinyguest import Lab, wait_for


def replay(host, *arguments):
    path = os.path.join(host.arbiter.record_dir, "record.jsonl")
    done = subprocess.run([MEMARBCTL, "replay", path, "--json", *arguments], stdout=subprocess.PIPE, check=False,
                          timeout=60)
    return done.returncode, json.loads(done.stdout)


def test_record_of_a_shortage_replays_to_the_byte(host):
    with host:
        host.short()
        wait_for(lambda: not host["web"].alive(), 15, "the cheapest to go")
        wait_for(lambda: replay(host)[1]["outcomes"] > 0, 10, "its outcome in the record")
        host.arbiter.kill()
        status, answer = replay(host)
        check_equal(answer["identical"], answer["cycles"], "identical cycles")
        check(answer["cycles"] >= 3, "some cycles")
        check_equal((answer["broken"], status), (0, 0), "broken lines and exit status")
        _, answer = replay(host, "--policy", "kernel-badness")
        check_equal(answer["other"]["policy"], "kernel-badness", "the other policy")


with Lab() as the_lab:
    run_tests([test_record_of_a_shortage_replays_to_the_byte], GuestHost(the_lab, "replay"))
