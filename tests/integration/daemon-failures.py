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
ROOMY = "8GiB"
# memarbd gives a balloon without statistics this period, libvirt's domains here are defined with a second.
STATS_SECONDS = 5
GUEST_SAMPLE_SECONDS = 1
# What two loaded cores of a test machine add: emulated guests answer late themselves.
SLACK_SECONDS = 4


class Site:
    """A plain guest and two of libvirt's, all with idle memory; a bare QEMU to be stopped; one that talks garbage."""

    def __init__(self, lab):
        self.lab, self.virt = lab, lab.libvirtd()
        self.arbiter = Arbiter(lab, {"Arm": "reclaim", "Budget": ROOMY, "QuietTime": "0s", "Libvirt": "yes",
                                     "LibvirtUri": self.virt.uri, "LibvirtRunDir": f"{self.virt.dir}/run/libvirt/qemu",
                                     "GuestSample": f"{GUEST_SAMPLE_SECONDS}s"})
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

    def short(self):
        """A shortage that takes the balloons of all three to answer."""
        self.arbiter.reload({"Budget": mib(used_mib([*self.grown, self.bare]) - 100)})

    def give_back(self):
        """All is given back, at once."""
        self.arbiter.configure({"Budget": ROOMY})
        self.arbiter.ctl("reload")
        self.arbiter.ctl("release", "--all")
        wait_for(lambda: set(self.sizes().values()) == {GUEST_MIB}, 40, f"full balloons, which are {self.sizes()}")
        self.arbiter.ctl("arm", "reclaim")

    def stay_fresh(self, names, seconds=6):
        """The figures of those guests are never older than their periods explain."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            guests = self.arbiter.snapshot()["guests"]
            for name in names:
                limit = GUEST_SAMPLE_SECONDS + SLACK_SECONDS + (STATS_SECONDS if name == "plain" else 1)
                check(guests[name]["sampled_age_usec"] <= 2e6, f"{name}: measured by the host at most 2 s ago")
                check(guests[name]["stats"]["age_usec"] <= limit * 1e6, f"{name}: {guests[name]['stats']}")
            time.sleep(0.2)

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
        site.stay_fresh(["plain", "dom1"], 10)
        site.arbiter.reload({"Budget": mib(used_mib([*site.grown, site.bare]) - 60)})
        # Whose balloon is the arbiter's choice; one alone may do.
        wait_for(lambda: min(site.sizes()[name] for name in ("plain", "dom1")) < GUEST_MIB - 8, 40, "another's balloon")
    wait_for(lambda: not site.arbiter.guest("dom2")["stuck"], 40, "the continued one to be well again")
    site.give_back()


def test_qemu_killed_in_the_middle_of_a_command(site):
    """It is stopped, so that the command is under way, and then killed."""
    site.refill()
    extra = site.lab.guest("extra", mib=GUEST_MIB, dial=site.arbiter.dial).wait_up()
    extra.agent(f"eat {IDLE_MIB}", seconds=120)
    extra.agent("eatfree")
    wait_for(lambda: "extra" in site.known(), 30, "the extra guest to be known")
    time.sleep(STATS_SECONDS)
    with Stopped(extra.pid):
        site.arbiter.reload({"Budget": mib(used_mib([*site.grown, site.bare, extra]) - 100)})
        wait_for(lambda: site.arbiter.guest("extra")["taken"], 20, "a command on its way to the stopped QEMU")
        extra.kill()
        extra.wait_exit()
    wait_for(lambda: "extra" not in site.arbiter.guests(), 5, "the dead guest to be gone")
    site.stay_fresh(["plain", "dom1", "dom2"], 3)
    site.give_back()


def test_garbage_on_a_monitor_stays_its_own_trouble(site):
    check(site.liar.alive(), "the liar still dials in")
    site.stay_fresh(["plain", "dom1", "dom2"], 4)
    check(site.arbiter.alive(), "memarbd lives")


def libvirtd_comes_and_goes(site, signal_name):
    site.refill()
    site.shrink(["dom1"])
    site.virt.restart(signal_name)
    # Meanwhile and afterwards the guest that needs no libvirt is seen as before.
    site.stay_fresh(["plain"], 4)
    wait_for(lambda: site.arbiter.status()["libvirt"] == "connected", 40, f"libvirt: {site.arbiter.status()['libvirt']}")
    wait_for(lambda: {"dom1", "dom2"} <= site.known(), 40, "the domains' figures to come back")
    check("balloon" in site.arbiter.guest("dom1")["taken"], "what was taken is not forgotten")
    site.stay_fresh(["plain", "dom1", "dom2"], 3)
    site.give_back()


def test_libvirtd_is_restarted(site):
    libvirtd_comes_and_goes(site, "TERM")


def test_libvirtd_is_killed(site):
    libvirtd_comes_and_goes(site, "KILL")


with Lab() as the_lab:
    run_tests([test_garbage_on_a_monitor_stays_its_own_trouble, test_stopped_qemu_holds_up_nobody,
               test_stopped_domain_holds_up_nobody, test_qemu_killed_in_the_middle_of_a_command,
               test_libvirtd_is_restarted, test_libvirtd_is_killed], Site(the_lab))
