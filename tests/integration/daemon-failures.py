#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""One QEMU hangs, dies or lies, libvirtd comes and goes: the others' figures stay fresh and their balloons go on, and
nothing that was taken is forgotten (P5, P6, P9)."""
import os
import signal
import time

from arbiter import BUILD, Arbiter, BareGuest, Stopped, mib, used_mib
from taptest import check, check_equal, run_tests
from tinyguest import MIB, Lab, wait_for

GUEST_MIB = 320
IDLE_MIB = 130
GUARANTEE_MIB = GUEST_MIB // 2
ROOMY = "8GiB"
# Older figures than this are stale, and their guest is left alone. Far above what a busy machine adds to the periods: emulated
# guests answer late themselves.
STALE_SECONDS = 15
RENEWALS = 2


class Site:
    """A plain guest and two of libvirt's, all with idle memory; a bare QEMU to be stopped; one that talks garbage."""

    def __init__(self, lab):
        self.lab, self.virt = lab, lab.libvirtd()
        self.arbiter = Arbiter(lab, {"Arm": "reclaim", "Budget": ROOMY, "QuietTime": "0s", "Libvirt": "yes",
                                     "LibvirtUri": self.virt.uri, "LibvirtRunDir": f"{self.virt.dir}/run/libvirt/qemu",
                                     "StaleAfter": f"{STALE_SECONDS}s"})
        self.plain = lab.guest("plain", mib=GUEST_MIB, dial=self.arbiter.dial)
        self.domains = [self.virt.domain(name, mib=GUEST_MIB, stats_period=1) for name in ("dom1", "dom2")]
        self.bare = BareGuest(lab, "bare", 64, dial=self.arbiter.dial)
        self.liar = lab.process("liar", [os.path.join(BUILD, "tests/contract/qmp-swarm"), "--dial", self.arbiter.dial,
                                         "--count", "1", "--garbage", "1", "--processes"])
        self.grown = [self.plain, *self.domains]
        for guest in self.grown:
            guest.wait_up()
        self.arbiter.start()
        try:
            wait_for(lambda: self.known() >= {"plain", "dom1", "dom2", "bare"}, 60, "memarbd to know all")
        except TimeoutError as problem:
            raise TimeoutError(f"{problem}: {self.arbiter.guests()}; it said: {self.arbiter.log()[-1500:]}") from None

    def known(self):
        return {name for name, guest in self.arbiter.guests().items() if guest["state"] == "running"
                and guest.get("actual_bytes")}

    def refill(self):
        for guest in self.grown:
            guest.agent(f"eat {IDLE_MIB}", seconds=120)
            guest.agent("eatfree")
            time.sleep(0.1)

    def sizes(self):
        return {"plain": self.plain.qmp.balloon() // MIB,
                **{guest.name: self.virt.conn.lookupByName(guest.name).info()[2] // 1024 for guest in self.domains}}

    def short(self, *more):
        """A shortage that takes all balloons to answer: one less cannot, even where the others give all but their
        guarantees."""
        missing = (len(self.grown) + len(more) - 1) * (GUEST_MIB - GUARANTEE_MIB) + 10
        self.arbiter.reload({"Budget": mib(used_mib([*self.grown, self.bare, *more]) - missing)})

    def give_back(self):
        """All is given back, at once."""
        self.arbiter.configure({"Budget": ROOMY})
        self.arbiter.ctl("reload")
        self.arbiter.ctl("release", "--all")
        wait_for(lambda: set(self.sizes().values()) == {GUEST_MIB}, 40, f"full balloons, which are {self.sizes()}")
        self.arbiter.ctl("arm", "reclaim")

    def stay_fresh(self, names):
        """The statistics of those guests come in again and again, and no figure of theirs gets stale meanwhile. Where a
        call that does not return held them up, they would not come at all: what hangs hangs all the time."""
        came = {name: set() for name in names}

        def are_renewed():
            snapshot = self.arbiter.snapshot()
            for name in names:
                guest = snapshot["guests"][name]
                age = guest["stats"]["age_usec"]
                check(guest["sampled_age_usec"] <= 2e6, f"{name}: measured by the host at most 2 s ago")
                check(age <= STALE_SECONDS * 1e6, f"{name}: {guest['stats']}")
                came[name].add((snapshot["taken_at_usec"] - age) // 500000)
            return min(map(len, came.values())) > RENEWALS

        wait_for(are_renewed, 30, f"new figures of {names}")

    def shrink(self, names):
        """A shortage, answered by those guests' balloons."""
        before = self.sizes()
        self.short()
        wait_for(lambda: all(self.sizes()[name] < before[name] - 8 for name in names), 40,
                 f"the balloons of {names}, which were {before}")


def test_stopped_qemu_holds_up_nobody(site):
    site.refill()
    with Stopped(site.bare.pid):
        site.stay_fresh(["plain", "dom1", "dom2"])
        wait_for(lambda: site.arbiter.guest("bare")["stuck"], 20, "the stopped one to be told as stuck")
        site.shrink(["plain", "dom1", "dom2"])
    wait_for(lambda: not site.arbiter.guest("bare")["stuck"], 30, "the continued one to be well again")
    site.give_back()


def test_stopped_domain_holds_up_nobody(site):
    site.refill()
    with Stopped(site.domains[1].pid):
        site.stay_fresh(["plain", "dom1"])
        site.shrink(["plain", "dom1"])
    wait_for(lambda: not site.arbiter.guest("dom2")["stuck"], 40, "the continued one to be well again")
    site.give_back()


def test_qemu_killed_in_the_middle_of_a_command(site):
    """It is stopped, so that the command is under way, and then killed."""
    site.refill()
    extra = site.lab.guest("extra", mib=GUEST_MIB, dial=site.arbiter.dial).wait_up()
    extra.agent(f"eat {IDLE_MIB}", seconds=120)
    extra.agent("eatfree")
    wait_for(lambda: "extra" in site.known(), 30, "the extra guest to be known")
    site.stay_fresh(["extra"])
    with Stopped(extra.pid):
        site.short(extra)
        wait_for(lambda: site.arbiter.guest("extra")["taken"], 20, "a command on its way to the stopped QEMU")
        extra.kill()
        extra.wait_exit()
    wait_for(lambda: "extra" not in site.arbiter.guests(), 5, "the dead guest to be gone")
    site.stay_fresh(["plain", "dom1", "dom2"])
    site.give_back()


def test_garbage_on_a_monitor_stays_its_own_trouble(site):
    check(site.liar.alive(), "the liar still dials in")
    site.stay_fresh(["plain", "dom1", "dom2"])
    check(site.arbiter.alive(), "memarbd lives")


def libvirtd_comes_and_goes(site, signal_name):
    site.refill()
    site.shrink(["dom1"])
    site.virt.restart(signal_name)
    # Meanwhile and afterwards the guest that needs no libvirt is seen as before.
    site.stay_fresh(["plain"])
    wait_for(lambda: site.arbiter.status()["libvirt"] == "connected", 40, f"libvirt: {site.arbiter.status()['libvirt']}")
    wait_for(lambda: {"dom1", "dom2"} <= site.known(), 40, "the domains' figures to come back")
    check("balloon" in site.arbiter.guest("dom1")["taken"], "what was taken is not forgotten")
    site.stay_fresh(["plain", "dom1", "dom2"])
    site.give_back()


def test_libvirtd_is_restarted(site):
    libvirtd_comes_and_goes(site, "TERM")


def test_libvirtd_is_killed(site):
    libvirtd_comes_and_goes(site, "KILL")


with Lab() as the_lab:
    run_tests([test_garbage_on_a_monitor_stays_its_own_trouble, test_stopped_qemu_holds_up_nobody,
               test_stopped_domain_holds_up_nobody, test_qemu_killed_in_the_middle_of_a_command,
               test_libvirtd_is_restarted, test_libvirtd_is_killed], Site(the_lab))
