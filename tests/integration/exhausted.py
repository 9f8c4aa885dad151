#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Nothing is left to do (OnExhausted=), and what the kernel does when memarb is too late. The trigger of a panic is a file of
the test's own: no memarbd here is ever given the machine's."""
import os
import time

from arbiter import Arbiter, BareGuest, CtlError, ForgedProc, mib, used_mib
from taptest import check, check_equal, run_tests
from tinyguest import Lab, wait_for

NEVER = {"name:db": {"Impact": "never"}}
SETTINGS = {"Arm": "kill", "Budget": "4GiB", "QuietTime": "0s", "PsiStall": "0s", "ExhaustedAfter": "1s"}


def stands(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        check(condition(), what)
        time.sleep(0.05)


class Fence:
    """The program: adds a line with what it was told."""

    def __init__(self, folder):
        self.path, self.told = os.path.join(folder, "fence"), os.path.join(folder, "told")
        with open(self.path, "w", encoding="ascii") as text:
            text.write(f'#!/bin/sh\necho "$MEMARB_REASON $MEMARB_GUESTS $MEMARB_MISSING_BYTES" >>{self.told}\n')
        os.chmod(self.path, 0o755)

    def runs(self):
        try:
            with open(self.told, encoding="ascii") as text:
                return text.read().splitlines()
        except FileNotFoundError:
            return []


def test_the_fence_runs_once_an_incident_and_only_where_guests_may_die(lab):
    fence = Fence(lab.path("fence"))
    arbiter = Arbiter(lab, {**SETTINGS, "Arm": "pause", "OnExhausted": "command", "ExhaustedCommand": fence.path},
                      name="fenced", guests=NEVER)
    guest = BareGuest(lab, "db", 128, dial=arbiter.dial, balloon=False, folder="fenced-db")
    check(guest.qmp is not None, "a monitor")
    arbiter.start()
    wait_for(lambda: arbiter.guests().get("db", {}).get("resident_bytes"), 30, "figures")
    for program in os.path.dirname(fence.path), fence.path + ".old":
        try:
            arbiter.reload({"ExhaustedCommand": program})
            raise AssertionError(f"{program} was taken for a program")
        except CtlError as error:
            check("ExhaustedCommand=" in str(error), str(error))
    arbiter.reload({"ExhaustedCommand": fence.path})
    arbiter.reload({"Budget": mib(used_mib([guest]) + 16)})
    wait_for(lambda: arbiter.planned("exhausted"), 30, "memarbd to say that nothing is left")
    stands(lambda: fence.runs() == [], 3, "the fence ran below Arm=kill")
    arbiter.ctl("arm", "kill")
    wait_for(fence.runs, 30, "the fence")
    reason, guests, missing = fence.runs()[0].split()
    check_equal((reason, guests), ("exhausted", "1"), "what it was told")
    check(int(missing) > 0, f"missing bytes: {missing}")
    wait_for(lambda: "ended with 0" in arbiter.ctl("events"), 30, "its end to be told")
    wait_for(lambda: any(line.get("outcome", {}).get("action") == "exhausted" for line in arbiter.decisions()), 30,
             "its outcome in the record")
    # The incident goes on over a crash, and the fence stays done.
    arbiter.kill()
    arbiter.start()
    wait_for(lambda: arbiter.planned("exhausted"), 30, "memarbd to say it again")
    stands(lambda: len(fence.runs()) == 1 and guest.alive(), 3, "the fence ran again, or a guest died")
    guest.kill()
    arbiter.end()


def test_a_panic_goes_to_the_trigger_and_needs_it_beforehand(lab):
    proc = ForgedProc(lab, "panic")
    trigger = f"{proc.root}/sysrq-trigger"
    arbiter = Arbiter(lab, {**SETTINGS, "Budget": None}, name="panicky", guests=NEVER, args=["--proc-root", proc.root])
    guest = BareGuest(lab, "db", 64, dial=arbiter.dial, balloon=False, folder="panicky-db")
    proc.add(guest.pid)
    check(guest.qmp is not None, "a monitor")
    arbiter.start()
    wait_for(lambda: arbiter.guests().get("db", {}).get("resident_bytes"), 30, "figures")
    try:
        arbiter.reload({"OnExhausted": "panic"})
        raise AssertionError("a panic was taken on that could not be carried out")
    except CtlError as error:
        check("sysrq-trigger" in str(error), str(error))
    with open(trigger, "w", encoding="ascii"):
        pass
    arbiter.ctl("reload")
    proc.available(1)

    def written():
        with open(trigger, encoding="ascii") as text:
            return text.read()
    wait_for(lambda: written() == "c", 30, "the trigger")
    stands(lambda: written() == "c" and guest.alive(), 2, "the trigger was written again, or a guest died")
    wait_for(lambda: "the host panics" in arbiter.ctl("events"), 30, "it to be told")
    guest.kill()
    arbiter.end()


def test_what_the_kernel_kills_is_told_and_recorded(lab):
    proc = ForgedProc(lab, "kernel")
    proc.oom_kills(3)
    arbiter = Arbiter(lab, {**SETTINGS, "Budget": None, "Arm": "observe"}, name="late", args=["--proc-root", proc.root])
    guests = [BareGuest(lab, name, 64, dial=arbiter.dial, folder=f"late-{name}") for name in ("one", "two")]
    for guest in guests:
        proc.add(guest.pid)
        check(guest.qmp is not None, "a monitor")
    arbiter.start()
    wait_for(lambda: all(guest.get("resident_bytes") for guest in arbiter.guests().values()) and len(arbiter.guests()) == 2,
             30, "figures")
    # One that ends while the kernel kills nobody is an end like others.
    guests[0].kill()
    wait_for(lambda: list(arbiter.guests()) == ["two"], 30, "the first to be gone")
    check_equal(arbiter.status()["kernel_kills"], 0, "kernel's kills")
    proc.oom_kills(4)
    guests[1].kill()
    wait_for(lambda: arbiter.status()["kernel_kills"] == 1, 30, "the second to be attributed")
    wait_for(lambda: "Guest 'two' ended unannounced while the kernel killed" in arbiter.ctl("events"), 30, "it to be told")
    wait_for(lambda: any(line.get("outcome", {}).get("by") == "kernel" and line["outcome"]["guest"] == guests[1].uuid
                         for line in arbiter.decisions()), 30, "the record")
    proc.oom_kills(6)
    wait_for(lambda: "The kernel killed 2 processes" in arbiter.ctl("events"), 60, "what was no guest to be told")
    arbiter.end()


with Lab() as the_lab:
    run_tests([test_the_fence_runs_once_an_incident_and_only_where_guests_may_die,
               test_a_panic_goes_to_the_trigger_and_needs_it_beforehand,
               test_what_the_kernel_kills_is_told_and_recorded], the_lab)
