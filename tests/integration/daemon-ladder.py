#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ladder, rung by rung, up and down again: balloons, pause, ACPI shutdown, kill; and what is not armed (P2, P6, P8,
P11, P14)."""
import os
import resource

import libvirt

from arbiter import Arbiter, BareGuest, mib
from taptest import check, check_between, check_equal, run_tests
from tinyguest import MIB, Lab, wait_for

GUEST_MIB = 320
DOMAIN_MIB = 192
IDLE_MIB = 150
# Above what its use and the margin ask for: this is what stops its balloon.
GUARANTEE_MIB = 290
ROOMY = "8GiB"


class Ladder:
    """Two plain guests with idle memory, one of libvirt's; a fresh memarbd for each test, at the same socket."""

    def __init__(self, lab):
        self.lab, self.dial, self.tests = lab, os.path.join(lab.path("dial"), "qmp.sock"), 0
        self.virt, self.current = lab.libvirtd(), None
        self.idle = lab.guest("idle", mib=GUEST_MIB, dial=self.dial)
        self.kept = lab.guest("kept", mib=GUEST_MIB, dial=self.dial)
        self.domain = self.virt.domain("domain", mib=DOMAIN_MIB)
        self.plain = [self.idle, self.kept]
        for guest in (*self.plain, self.domain):
            guest.wait_up()

    def living(self):
        return [guest for guest in (*self.plain, self.domain) if guest.alive()]

    def refill(self):
        for guest in self.plain:
            wait_for(lambda guest=guest: guest.qmp.balloon() == GUEST_MIB * MIB, 30, "a full balloon")
            guest.agent(f"eat {IDLE_MIB}", seconds=120)
            guest.agent("eatfree")

    def arbiter(self, settings, guests=None, args=()):
        self.tests += 1
        if self.current is not None:
            self.current.end()  # a test that failed leaves it
        arbiter = self.current = Arbiter(
            self.lab, {"Budget": ROOMY, "QuietTime": "0s", "Libvirt": "yes", "LibvirtUri": self.virt.uri,
                       "LibvirtRunDir": f"{self.virt.dir}/run/libvirt/qemu", **settings},
            name=f"memarbd-{self.tests}", dial=self.dial, guests=guests, args=args)
        return arbiter.start()

    def known(self, arbiter, extra=0):
        arbiter.wait_guests(len(self.living()) + extra, 60)
        return arbiter

    def touchable(self):
        """All that memarb could change: balloons, run states, the statistics' period, cgroups, limits."""
        out = {}
        for guest in self.plain:
            out[guest.name] = (guest.qmp.balloon(), guest.qmp("query-status")["status"],
                               guest.qmp("qom-get", path=guest.balloon_path, property="guest-stats-polling-interval"))
        out["domain"] = (self.domain.dom.info()[2], self.domain.state(),
                         self.virt.conn.lookupByName("domain").XMLDesc())
        for guest in self.living():
            with open(f"/proc/{guest.pid}/cgroup", encoding="ascii") as cgroup:
                out[guest.name, "cgroup"] = cgroup.read()
            with open(f"/proc/{guest.pid}/oom_score_adj", encoding="ascii") as adj:
                out[guest.name, "oom"] = adj.read()
            out[guest.name, "limits"] = [resource.prlimit(guest.pid, which) for which in range(16)]
        return out

    def check_untouched(self, arbiter, what):
        before = self.touchable()
        self.refill()
        arbiter.leave(-150, self.living())
        wait_for(lambda: arbiter.status()["pressure"] == "critical", 15, "the shortage")
        wait_for(lambda: arbiter.status()["planned"] > 0, 15, "a plan")
        arbiter.pass_cycles(30)
        check_equal(arbiter.status()["planned_armed"], 0, f"armed actions, {what}")
        check_equal(self.touchable(), before, f"what could be touched, {what}")


def test_dry_run_changes_nothing(ladder):
    arbiter = ladder.arbiter({"Arm": "kill"}, args=["--dry-run"])
    # No statistics without a period, and a dry run sets none: the plain guests' balloons are known all the same.
    ladder.known(arbiter)
    ladder.check_untouched(arbiter, "in a dry run")
    check_equal(arbiter.stop(), 0, "exit status")


def test_observing_changes_nothing(ladder):
    arbiter = ladder.arbiter({"Arm": "observe"})
    ladder.known(arbiter)
    ladder.check_untouched(arbiter, "observing")
    check_equal(arbiter.stop(), 0, "exit status")


def test_balloons_suffice_and_come_back(ladder):
    """Armed to kill; but idle memory covers what is short, so nobody pays (P14), and none below its guarantee (P2)."""
    arbiter = ladder.arbiter({"Arm": "kill"}, {"name:kept": {"Guarantee": mib(GUARANTEE_MIB)}})
    ladder.known(arbiter)
    ladder.refill()
    wait_for(lambda: "available_bytes" in arbiter.snapshot()["guests"]["idle"].get("stats", {}), 20, "statistics")
    arbiter.settle(ladder.living())
    before = {guest.name: guest.memory()["RssAnon"] for guest in ladder.plain}
    smallest = {guest.name: GUEST_MIB for guest in ladder.plain}
    arbiter.leave(20, ladder.living())

    def watch(condition):
        for guest in ladder.plain:
            smallest[guest.name] = min(smallest[guest.name], guest.qmp.balloon() // MIB)
        return condition()

    wait_for(lambda: watch(lambda: before["idle"] - ladder.idle.memory()["RssAnon"] > 24 * MIB), 40,
             "the idle guest's memory, by the host's own count")
    seq = arbiter.status()["seq"]
    wait_for(lambda: watch(lambda: arbiter.status()["seq"] > seq + 20), 10, "some cycles more")
    check(smallest["kept"] >= GUARANTEE_MIB, f"never below its guarantee: {smallest}")
    check_equal(arbiter.actions("kill") + arbiter.actions("pause") + arbiter.actions("shutdown"), [], "victims")
    arbiter.reload({"Budget": ROOMY})
    wait_for(lambda: all(guest.qmp.balloon() == GUEST_MIB * MIB for guest in ladder.plain), 120,
             "memarbd to give everything back by itself")
    reasons = {action["reason"] for action in arbiter.actions("balloon") if action["to_bytes"] > action["from_bytes"]}
    # A guest that was squeezed may say that it is short before its turn comes.
    check(reasons and reasons <= {"give-back", "guest-pressure"}, f"why balloons grew: {reasons}")
    arbiter.kill()


def test_a_hook_says_no_to_a_balloon(ladder):
    """It was asked behind the first command (P10). The next plan may still go on where nobody else can give; then the guest is
    held, and no other command follows."""
    hooks = ladder.lab.path("hooks")
    os.chmod(hooks, 0o755)
    with open(os.path.join(hooks, "no"), "w", encoding="ascii") as script:
        script.write('#!/bin/sh\n[ "$MEMARB_PHASE$MEMARB_ACTION$MEMARB_VETO" != beforeballoonyes ] || exit 75\n')
    os.chmod(os.path.join(hooks, "no"), 0o755)
    # What the others have is guaranteed: the idle guest alone can give.
    arbiter = ladder.arbiter({"Arm": "reclaim", "Hooks.Directory": hooks, "Hooks.Veto": "balloon", "Hooks.VetoHold": "1h"},
                             {"name:kept": {"Guarantee": mib(GUEST_MIB)}, "name:domain": {"Guarantee": mib(DOMAIN_MIB)}})
    ladder.known(arbiter)
    ladder.refill()
    wait_for(lambda: "available_bytes" in arbiter.snapshot()["guests"]["idle"].get("stats", {}), 20, "statistics")
    arbiter.settle(ladder.living())
    arbiter.leave(20, ladder.living())
    arbiter.wait_told("hook 'no' said no to balloon, which had left")
    wait_for(lambda: arbiter.guest("idle").get("held_left_usec", 0) > 0 and arbiter.status()["held"] == 1, 30, "the hold")
    arbiter.pass_cycles()  # the record is written after the deed
    before = len(arbiter.actions("balloon"))
    arbiter.pass_cycles(30)
    check_equal(len(arbiter.actions("balloon")), before, "balloons moved while the no stands")
    # In this order: freed while the host is short, it would be asked, and held, once more.
    arbiter.reload({"Budget": ROOMY, "Hooks.Directory": ""})
    arbiter.wait_told("Memory pressure is normal", 60)
    arbiter.ctl("hold", "idle", "0")
    wait_for(lambda: ladder.idle.qmp.balloon() == GUEST_MIB * MIB, 120, "the balloon, afterwards")
    arbiter.kill()


def test_pause_of_the_one_that_grows(ladder):
    """Its growth ends when it is paused; pressure goes with it; it is resumed without anybody's word."""
    arbiter = ladder.arbiter({"Arm": "pause"}, {"name:idle": {"Actions": "pause"},
                                                # Their guarantees are all that they have: no balloon answers.
                                                "name:kept": {"Impact": "never", "Guarantee": mib(GUEST_MIB)},
                                                "name:domain": {"Impact": "never", "Guarantee": mib(DOMAIN_MIB)}})
    ladder.known(arbiter)
    # Whatever an earlier test left resident of its free memory: what it grows by, it takes from the host.
    ladder.idle.qmp.set_balloon(110 * MIB)
    ladder.idle.qmp.set_balloon(GUEST_MIB * MIB)
    # Short already, and it grows slowly: a growth that has used everything up is none that a pause could stop.
    arbiter.leave(45, ladder.living())
    ladder.idle.agent("grow 120 5")
    wait_for(lambda: ladder.idle.qmp("query-status")["status"] == "paused", 60, "the grower to be paused")
    held = ladder.idle.memory()["RssAnon"]
    arbiter.pass_cycles()
    check_between(ladder.idle.memory()["RssAnon"], held - 4 * MIB, held + 4 * MIB, "what a paused guest holds")
    arbiter.reload({"Budget": ROOMY})
    wait_for(lambda: ladder.idle.qmp("query-status")["status"] == "running", 90, "the resume")
    check_equal(ladder.idle.agent("kill $!; wait; echo here"), "here", "the resumed guest, which ends its growth")
    arbiter.kill()


def test_button_then_the_next_rung(ladder):
    """One guest obeys the power button; nobody in the other one does, so after its time it is killed."""
    deaf = BareGuest(ladder.lab, "deaf", 64, dial=ladder.dial)
    arbiter = ladder.arbiter({"Arm": "kill"}, {
        **dict.fromkeys(["name:kept", "name:domain"], {"Impact": "never", "Actions": "none"}),
        "name:deaf": {"Impact": "1", "Actions": "shutdown kill", "ShutdownTimeout": "5s"},
        "name:idle": {"Impact": "100", "Actions": "shutdown", "ShutdownTimeout": "30s"}})
    ladder.known(arbiter, 1)
    arbiter.leave(10, [*ladder.living(), deaf])
    wait_for(lambda: not deaf.alive(), 40, "the one that does not obey")
    steps = arbiter.wait_actions(count=2)
    check_equal([(step["name"], step["action"]) for step in steps], [("deaf", "shutdown"), ("deaf", "kill")],
                "what was done")
    check(steps[1]["realtime_usec"] - steps[0]["realtime_usec"] >= 4.5e6, "killed only after its ShutdownTimeout=")
    arbiter.pass_cycles()
    check(ladder.idle.alive(), "one was enough")
    arbiter.leave(10, ladder.living())
    check_equal(ladder.idle.wait_exit(60), 0, "exit status of the guest that obeys: it shut down itself")
    arbiter.kill()


def test_button_is_waited_for_while_there_is_memory(ladder):
    """It may take minutes to shut down; but when the host's memory is used up before that, it is killed."""
    deaf, other = (BareGuest(ladder.lab, name, 64, dial=ladder.dial) for name in ("dead-slow", "other"))
    arbiter = ladder.arbiter({"Arm": "kill"}, {
        "name:*": {"Impact": "never", "Guarantee": mib(GUEST_MIB)},
        "name:dead-slow": {"Impact": "1", "Actions": "shutdown kill", "ShutdownTimeout": "600s"}})
    ladder.known(arbiter, 2)
    arbiter.leave(24, [*ladder.living(), deaf, other])
    arbiter.wait_actions("shutdown")
    other.grow(40)
    wait_for(lambda: not deaf.alive(), 60, "the one that takes too long")
    arbiter.wait_told("not waited for any longer")
    check_equal([(action["name"], action["action"]) for action in arbiter.wait_actions(count=2)],
                [("dead-slow", "shutdown"), ("dead-slow", "kill")], "what was done")
    check(other.alive() and all(guest.alive() for guest in ladder.living()), "nobody else pays")
    arbiter.kill()
    other.kill()


def test_kill_through_libvirt(ladder):
    """KillMethod=libvirt: libvirt's own account of it is "destroyed", not "crashed", so nothing restarts it."""
    arbiter = ladder.arbiter({"Arm": "kill", "KillMethod": "libvirt"}, {
        "name:kept": {"Impact": "never", "Actions": "none"}, "name:domain": {"Actions": "kill"}})
    ladder.known(arbiter)
    arbiter.leave(10, ladder.living())
    ladder.domain.wait_exit(40)
    wait_for(lambda: ladder.domain.state()[0] == libvirt.VIR_DOMAIN_SHUTOFF, 20, "libvirt to say so")
    check_equal(ladder.domain.state()[1], libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED, "libvirt's reason")
    check(ladder.kept.alive(), "the protected guest lives")
    arbiter.kill()


with Lab() as the_lab:
    run_tests([test_dry_run_changes_nothing, test_observing_changes_nothing, test_balloons_suffice_and_come_back, test_a_hook_says_no_to_a_balloon,
               test_pause_of_the_one_that_grows, test_button_then_the_next_rung,
               test_button_is_waited_for_while_there_is_memory, test_kill_through_libvirt],
              Ladder(the_lab))
