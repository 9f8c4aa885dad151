#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Nobody ends that must not: promises P1, P4, P11, P13. memarbd armed to kill, real QEMUs, and every doubt there is."""
import ctypes
import os
import time

from arbiter import ForgedProc, GuestHost, Stopped
from taptest import check, check_equal, run_tests
from tinyguest import MIB, Lab, wait_for

# arbiter/core/weigh/options-time.c: after this a killed guest's memory counts as not coming back.
KILL_DEADLINE_SECONDS = 15
SHUTDOWN_SECONDS, QUIET_SECONDS = 8, 6
# memarbd waits by a clock that no one sets, and records by the wall's.
CLOCKS_SECONDS = 0.5
# Time enough for a test that is kept waiting itself.
FORGED_SECONDS = 4
# <linux/ptrace.h>
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_O_TRACEEXIT = 17, 0x4206, 0x40


class Undying:
    """with Undying(pid): a process that SIGKILL does not end. Its main thread stops on its way out, its memory still
    held, as one does that sits in a system call which never returns (D state)."""

    def __init__(self, pid):
        self.pid, self.libc = pid, ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def __enter__(self):
        check_equal(self.libc.ptrace(PTRACE_SEIZE, self.pid, None, PTRACE_O_TRACEEXIT), 0, "ptrace")
        return self

    def __exit__(self, *_):
        os.waitpid(self.pid, os.WUNTRACED | os.WNOHANG)
        self.libc.ptrace(PTRACE_DETACH, self.pid, None, None)


def check_order(arbiter, first, then, seconds):
    """By the record: the first action came at least so long before the other, and nothing else was done."""
    actions = arbiter.wait_actions(count=2)
    check_equal([(action["name"], action["action"]) for action in actions], [first, then], "what was done")
    took = (actions[1]["realtime_usec"] - actions[0]["realtime_usec"]) / 1e6
    check(took >= seconds - CLOCKS_SECONDS, f"{then} came {took:.1f} s after {first}, whose time is {seconds} s")


def held_bytes(guest):
    memory = guest.memory()
    return memory.get("RssAnon", 0) + memory.get("RssShmem", 0)


def test_least_impact_goes_and_one_is_enough(hosts):
    with hosts["one"] as host:
        host.short()
        wait_for(lambda: not host["web"].alive(), 15, "the cheapest to go")
        host.stands(1, "the dead", but=("web",))
        kill, = host.arbiter.wait_actions("kill")
        check_equal((kill["name"], kill["reason"]), ("web", "least-impact"), "the record")


def test_arm_rungs_are_respected(hosts):
    """P11: a plan shows what it may not do."""
    with hosts["rungs"] as host:
        host.short()
        for rung in ("observe", "reclaim", "pause"):
            host.arbiter.ctl("arm", rung)
            host.arbiter.pass_cycles(3)
            kills = wait_for(lambda: host.arbiter.planned("kill"), 10, "a planned kill")
            check(not any(action["armed"] for action in kills), f"not armed at {rung}")
            host.stands(1, f"the dead when armed to {rung}")
        host.arbiter.ctl("arm", "kill")
        wait_for(lambda: not host["web"].alive(), 10, "the victim once armed to kill")


def test_never_and_held_guests_stay_whatever_grows(hosts):
    """P1: the only guest that grows is `never`, the others are held or excluded."""
    with hosts["never"] as host:
        host.arbiter.ctl("hold", "web", "1h")
        host.arbiter.reload({"Budget": host.budget(120)})
        for _ in range(4):
            host["bomb"].grow(40)
        wait_for(lambda: host.arbiter.planned("exhausted"), 15, "memarbd to say that nothing is left to do")
        host.stands(3, "the dead")
        why = host.arbiter.json("explain", "bomb")
        check("never" in str(why), f"explain says never: {why}")
        host.arbiter.ctl("hold", "web", "0")
        wait_for(lambda: not host["web"].alive(), 15, "the guest once its hold is lifted")
        host.stands(2, "the dead", but=("web",))


def test_one_forged_sample_kills_nobody(hosts):
    """P13: the need must stand in two snapshots, and is read again before acting."""
    proc = hosts["proc"]
    with hosts["forged"] as host:
        for _ in range(2):
            proc.available(0)
            # A trend begins anew, so that memarbd sees no fall for which it would look more often: this test has all of
            # a period to tell the truth again.
            host.arbiter.reload({"SampleIdle": f"{FORGED_SECONDS}s", "SampleBusy": f"{FORGED_SECONDS}s"})
            wait_for(lambda: host.arbiter.status()["available_bytes"] == 0, 10, "memarbd to read 0 available")
            proc.available(8192)
            seen = host.arbiter.status()["seq"]
            wait_for(lambda: host.arbiter.status()["available_bytes"] > 0, 10, "memarbd to read the truth again")
            check_equal(host.arbiter.status()["pressure"], "critical", "the state, which is left slowly")
            check(host.arbiter.status()["seq"] <= seen + 2, "it was read once")
        host.arbiter.reload({"SampleIdle": "200ms", "SampleBusy": "100ms"})
        host.stands(2, "the dead")
        check_equal(host.arbiter.actions("kill"), [], "armed kills")
        proc.available(0)
        wait_for(lambda: not host["web"].alive(), 15, "the victim of a shortage that stays")


def test_no_second_victim_while_the_first_holds_its_memory(hosts):
    """P4: a victim that SIGKILL does not end, of shared memory, which process_mrelease() leaves alone."""
    with hosts["undying"] as host, Undying(host["web"].pid):
        host.short()
        host.arbiter.wait_actions("kill")

        def second_is_gone():
            check(held_bytes(host["web"]) >= 64 * MIB, "the first victim still holds its memory")
            return not host["mail"].alive()

        wait_for(second_is_gone, 2 * KILL_DEADLINE_SECONDS, "the next one after the deadline")
        host.stands(2, "the third is not needed", but=("web", "mail"))
        check_order(host.arbiter, ("web", "kill"), ("mail", "kill"), KILL_DEADLINE_SECONDS)


def test_memory_of_a_victim_that_cannot_end_comes_back(hosts):
    """process_mrelease() takes it from the dying one, so nobody else pays."""
    with hosts["mrelease"] as host, Undying(host["web"].pid):
        host.short()
        wait_for(lambda: held_bytes(host["web"]) < MIB, 15, "the victim's memory")
        host.stands(3, "no second victim", but=("web",))


def test_command_that_is_not_answered_is_no_failed_one(hosts):
    """P4: a QEMU in SIGSTOP has the power button's command in its socket and will obey it one day."""
    with hosts["unanswered"] as host, Stopped(host["web"].pid):
        host.short()
        wait_for(lambda: not host["mail"].alive(), 30, "the next one after the deadline")
        check_order(host.arbiter, ("web", "shutdown"), ("mail", "kill"), SHUTDOWN_SECONDS)


def test_memarbd_that_stood_still_is_quiet_at_first(hosts):
    """P13: stopped for 10 s while the memory goes."""
    with hosts["late"] as host:
        wait_for(lambda: host.arbiter.status()["quiet_left_usec"] == 0, 20, "the end of the first quiet time")
        host.arbiter.reload({"Budget": host.budget(60)})
        wait_for(lambda: host.arbiter.status()["quiet_left_usec"] == 0, 20, "the end of the quiet time after reload")
        with Stopped(host.arbiter.pid):
            host["shop"].grow(50)
            time.sleep(10)
            went_on = time.time()
        wait_for(lambda: not host["web"].alive(), 15, "the victim after the quiet time")
        kill, = host.arbiter.wait_actions("kill")
        check(kill["realtime_usec"] / 1e6 - went_on >= QUIET_SECONDS - CLOCKS_SECONDS,
              "nobody dies in the quiet time after memarbd stood still")


def make_hosts(lab):
    """All of them at once; each test ends its own."""
    proc = ForgedProc(lab, "forged")
    hosts = {
        "proc": proc,
        "one": GuestHost(lab, "one"),
        "rungs": GuestHost(lab, "rungs", {"Arm": "observe"}),
        "never": GuestHost(lab, "never", names=("bomb", "web", "mail"), guests={
            "name:bomb": {"Impact": "never"}, "name:web": {"Impact": "5", "Actions": "kill"},
            "name:mail": {"Actions": "none"}}),
        "forged": GuestHost(lab, "forged", {"Budget": None, "PsiStall": "0s"}, args=["--proc-root", proc.root]),
        "undying": GuestHost(lab, "undying", shared=True),
        "mrelease": GuestHost(lab, "mrelease", names=("web", "mail")),
        "unanswered": GuestHost(lab, "unanswered", guests={
            "name:web": {"Impact": "5", "Actions": "shutdown", "ShutdownTimeout": f"{SHUTDOWN_SECONDS}s"},
            "name:mail": {"Impact": "50", "Actions": "kill"}, "name:shop": {"Impact": "never"}}),
        "late": GuestHost(lab, "late", {"QuietTime": f"{QUIET_SECONDS}s"}),
    }
    for guest in hosts["forged"].guests.values():
        proc.add(guest.pid)
    return hosts


with Lab() as the_lab:
    run_tests([test_least_impact_goes_and_one_is_enough, test_arm_rungs_are_respected,
               test_never_and_held_guests_stay_whatever_grows, test_one_forged_sample_kills_nobody,
               test_no_second_victim_while_the_first_holds_its_memory,
               test_memory_of_a_victim_that_cannot_end_comes_back,
               test_command_that_is_not_answered_is_no_failed_one,
               test_memarbd_that_stood_still_is_quiet_at_first], make_hosts(the_lab))
