#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A paused guest is never forgotten (P6): memarbd is killed, the operator resumes it, or the pause comes late."""
import json
import os
import subprocess
import time

from arbiter import MEMARBCTL, ForgedProc, GuestHost, Growing, Stopped
from taptest import check, check_equal, run_tests
from tinyguest import MIB, Lab, wait_for

ROOMY = "8GiB"


def taken(arbiter):
    return {name: guest["taken"] for name, guest in arbiter.guests().items() if guest["taken"]}


def pause_grower(host):
    """It grows until memarbd pauses it."""
    with Growing(host["grower"], 50, 1000, host.arbiter):
        wait_for(host["grower"].is_paused, 30, "the grower to be paused")


def is_pause_noted(host):
    guests = host.arbiter.state().get("state", {}).get("guests", [])
    return any(guest["uuid"] == host["grower"].uuid and guest.get("pause_is_settled") for guest in guests)


def test_next_memarbd_resumes_it(hosts):
    with hosts["killed"] as host:
        pause_grower(host)
        host.arbiter.kill()
        host.arbiter.start().wait_guests(2)
        check_equal(taken(host.arbiter), {"grower": ["pause"]}, "what the new memarbd knows as taken")
        host["grower"].shrink()
        wait_for(lambda: not host["grower"].is_paused(), 60, "the guest to be resumed")
        check_equal(host.arbiter.stop(), 0, "exit status")


def check_replays(host, policy):
    """The record has cycles of that name, and all of it is decided again to the byte."""
    path = os.path.join(host.arbiter.record_dir, "record.jsonl")
    with open(path, encoding="utf-8") as record:
        names = [line["plan"]["policy"] for line in map(json.loads, record) if "plan" in line]
    check(policy in names, f"{policy} is in the record: {names}")
    done = subprocess.run([MEMARBCTL, "replay", path], stdout=subprocess.PIPE, check=False, text=True, timeout=60)
    check_equal(done.returncode, 0, f"exit status of replay ({done.stdout[-500:]})")


def test_stop_resumes_it(hosts):
    with hosts["term"] as host:
        pause_grower(host)
        check_equal(host.arbiter.stop(), 0, "exit status")
        check(not host["grower"].is_paused(), "memarbd left nobody paused behind")
        check_replays(host, "release")


def test_release_of_it_alone_resumes_it(hosts):
    with hosts["alone"] as host:
        pause_grower(host)
        wait_for(lambda: is_pause_noted(host), 10, "memarbd to have noted that it is paused")
        host.arbiter.ctl("release", "grower")
        wait_for(lambda: not host["grower"].is_paused(), 30, "the guest to be resumed")
        host.arbiter.end()
        check_replays(host, "release-guest")


def test_guest_that_the_operator_resumed_is_left_alone(hosts):
    with hosts["operator"] as host:
        pause_grower(host)
        wait_for(lambda: is_pause_noted(host), 10, "memarbd to have noted that it is paused")
        host.arbiter.kill()
        host["grower"].qmp("cont")
        host.arbiter.start().wait_guests(2)
        wait_for(lambda: not taken(host.arbiter), 30, "the pause to be struck from the ledger")
        with Growing(host["grower"], 50, 400, host.arbiter):
            wait_for(lambda: host.arbiter.status()["available_bytes"] == 0, 30, "the growth to use everything up")
        host.arbiter.pass_cycles()
        check(not host["grower"].is_paused(), f"it is not paused again: {host.arbiter.json('explain', 'grower')}")


def test_stopped_qemu_that_obeys_late_is_resumed(hosts):
    """The pause lies in its socket, and is carried out when memarbd has long given up waiting for the answer."""
    with hosts["late"] as host:
        grower = host["grower"]
        # A process that stands still does not grow: /proc says that it does.
        holder = hosts["holder"]
        with Stopped(grower.pid), holder.growing(50):
            wait_for(lambda: "pause (least-impact)" in host.arbiter.log(), 60, "the pause")
            wait_for(lambda: "timeout" in host.arbiter.log(), 60, "the pause to be given up as not answered")
            # Long enough for memarbd to think that it never was paused.
            time.sleep(8)
        wait_for(grower.is_paused, 30, "the late pause")
        holder.shrink()
        host.arbiter.reload({"Budget": ROOMY})
        wait_for(lambda: not grower.is_paused(), 90, "the guest to be resumed")


def make_hosts(lab):
    """All of them at once; each test ends its own."""
    proc = ForgedProc(lab, "late")
    hosts = {name: GuestHost(lab, name, {"Arm": "pause", "Budget": "400MiB"}, names=("grower", "quiet"),
                             guests={"name:grower": {"Actions": "pause"}, "name:quiet": {"Impact": "never"}},
                             args=["--proc-root", proc.root] if name == "late" else [])
             for name in ("killed", "term", "alone", "operator", "late")}
    proc.add(hosts["late"]["quiet"].pid)
    return {**hosts, "holder": proc.add_growing(hosts["late"]["grower"].pid)}


with Lab() as the_lab:
    run_tests([test_next_memarbd_resumes_it, test_stop_resumes_it, test_release_of_it_alone_resumes_it,
               test_guest_that_the_operator_resumed_is_left_alone, test_stopped_qemu_that_obeys_late_is_resumed], make_hosts(the_lab))
