#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits of a real QEMU: set when armed, known again after SIGKILL, put back on stop and without a daemon; what an
operator changed stays."""
import resource
import time

from arbiter import Arbiter
from taptest import check, check_equal, run_tests
from tinyguest import MIB, Lab, wait_for

MEMLOCK = resource.RLIMIT_MEMLOCK
BEFORE_MIB, LIMIT_MIB = 48, 16
# guest-limits.c lowers RLIMIT_MEMLOCK only half a minute after it has met a guest.
SETTLE_SECONDS = 120
# Idle once the guest has eaten and freed it.
GUEST_MIB, IDLE_MIB = 192, 80


class Limited:
    def __init__(self, lab):
        self.lab = lab
        self.arbiter = Arbiter(lab, {"Arm": "observe"}, guests={
            "name:one": {"PinLimit": f"{LIMIT_MIB}MiB", "Impact": "first", "CapPids": "900"}})
        self.guest = lab.guest("one", GUEST_MIB, dial=self.arbiter.dial)
        hard = resource.prlimit(self.guest.pid, MEMLOCK)[1]
        self.before = (BEFORE_MIB * MIB if hard == resource.RLIM_INFINITY else min(hard, BEFORE_MIB * MIB), hard)
        resource.prlimit(self.guest.pid, MEMLOCK, self.before)
        self.limit = min(LIMIT_MIB * MIB, self.before[0] // 2)
        self.arbiter.configure(guests={"name:one": {"PinLimit": f"{self.limit}B", "Impact": "first", "CapPids": "900"}})
        self.arbiter.start()
        self.guest.wait_up()
        self.arbiter.wait_guests(1)

    def memlock(self):
        return resource.prlimit(self.guest.pid, MEMLOCK)

    def adj(self):
        with open(f"/proc/{self.guest.pid}/oom_score_adj", encoding="ascii") as text:
            return int(text.read())

    def limits(self):
        return {limit["limit"]: limit for limit in self.arbiter.json("explain", "one")["limits"]}

    def n_limited(self):
        return self.arbiter.status()["pins"]["limited_guests"]

    def taken_over(self):
        """Limits of memarb's that somebody else changed."""
        return [line["outcome"] for line in self.arbiter.decisions() if line.get("outcome", {}).get("by") == "others"]


def test_the_ledger_is_shown(limited):
    wait_for(lambda: "pins" in limited.arbiter.guest("one"), 20, "the ledger")
    pins = limited.arbiter.guest("one")["pins"]
    check_equal(pins["memlock_limit_bytes"], limited.before[0], "RLIMIT_MEMLOCK")
    check_equal(pins["target_bytes"], limited.limit, "where PinLimit= leads")
    host = limited.arbiter.status()["pins"]
    check(host["budget_bytes"] > 0 and host["pinned_bytes"] == 0, f"the host's budget: {host}")


def test_observing_sets_nothing(limited):
    wait_for(lambda: limited.limits().get("memlock", {}).get("note") == "not-armed", 20, "what would be set")
    time.sleep(2)
    check_equal((limited.memlock(), limited.adj()), (limited.before, 0), "limits while observing")


def test_armed_they_are_set(limited):
    limited.arbiter.ctl("arm", "reclaim")
    wait_for(lambda: limited.adj() == 1000, 60, "oom_score_adj of a guest that goes first")
    wait_for(lambda: limited.memlock()[0] == limited.limit, SETTLE_SECONDS, "PinLimit= as RLIMIT_MEMLOCK")
    check(limited.limits()["memlock"]["ours"], "and explain says whose it is")
    # This machine's cgroups are not the guest's own.
    check_equal(limited.limits()["pids.max"].get("note"), "no-cgroup-to-limit", "why there is no pids.max")


def test_they_are_known_after_a_kill(limited):
    limited.arbiter.kill()
    limited.arbiter.start().wait_guests(1)
    wait_for(lambda: limited.n_limited() == 1, 20, "limits of the life before")
    check_equal((limited.memlock()[0], limited.adj()), (limited.limit, 1000), "limits over a kill")


def test_without_a_daemon_all_is_put_back(limited):
    limited.arbiter.kill()
    status, text = limited.arbiter.release_without_daemon("--offline")
    check_equal(status, 0, f"exit status of the release ({text})")
    check_equal((limited.memlock(), limited.adj()), (limited.before, 0), "limits after a release")


def test_stopped_nothing_is_set_again(limited):
    """Its last cycle looks at the guest as any other does."""
    limited.arbiter.start().wait_guests(1)
    wait_for(lambda: limited.adj() == 1000, 60, "oom_score_adj of a guest that goes first")
    check_equal(limited.arbiter.stop(), 0, "exit status")
    check_equal((limited.memlock(), limited.adj()), (limited.before, 0), f"limits afterwards: {limited.arbiter.log()[-800:]}")


def test_nothing_is_set_again_on_the_way_out(limited):
    """The figure by which the last balloon is back is also a reason to look at the guest's limits."""
    arbiter, guest = limited.arbiter, limited.guest
    arbiter.start().wait_guests(1)
    wait_for(lambda: limited.adj() == 1000, 60, "oom_score_adj")
    guest.agent(f"eat {IDLE_MIB}")
    guest.agent("eatfree")
    arbiter.leave(0, [guest])
    wait_for(lambda: guest.qmp.balloon() < GUEST_MIB * MIB, 60, "a balloon that is owed")
    check_equal(arbiter.stop(), 0, "exit status")
    check_equal(limited.adj(), 0, "oom_score_adj after the stop")
    arbiter.configure({"Budget": None})


def test_what_an_operator_changes_stays(limited):
    limited.arbiter.start().wait_guests(1)
    wait_for(lambda: limited.adj() == 1000, 60, "the limit again")
    with open(f"/proc/{limited.guest.pid}/oom_score_adj", "w", encoding="ascii") as text:
        text.write("300")
    wait_for(lambda: limited.limits()["oom-score-adj"].get("note") == "left-to-others", 30, "the operator's word")
    check_equal(limited.adj(), 300, "the operator's oom_score_adj")
    wait_for(limited.taken_over, 30, "the record of it")
    check_equal([(entry["guest"], entry["result"], entry["because"]) for entry in limited.taken_over()],
                [(limited.guest.uuid, "dropped", "oom-score-adj")], "what others set, in the record, once")


def test_stopped_all_is_put_back(limited):
    check_equal(limited.arbiter.stop(), 0, "exit status")
    check_equal(limited.memlock(), limited.before, "RLIMIT_MEMLOCK")
    check_equal(limited.adj(), 300, "oom_score_adj, which is the operator's")


with Lab() as the_lab:
    run_tests([test_the_ledger_is_shown, test_observing_sets_nothing, test_armed_they_are_set, test_they_are_known_after_a_kill,
               test_without_a_daemon_all_is_put_back, test_stopped_nothing_is_set_again, test_nothing_is_set_again_on_the_way_out,
               test_what_an_operator_changes_stays, test_stopped_all_is_put_back], Limited(the_lab))
