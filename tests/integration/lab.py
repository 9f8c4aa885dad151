#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab itself: if these fail, so will every other test on real guests, and these say more simply why."""
import libvirt

from taptest import check, check_equal, run_tests
from tinyguest import MIB, Lab, wait_for


def test_balloon_returns_what_the_guest_ate(lab):
    guest = lab.guest("eater", mib=192).wait_up()
    guest.agent("eat 60")
    guest.agent("eatfree")
    before = guest.memory()["RssAnon"]
    guest.qmp.set_balloon(128 * MIB)
    gained = before - guest.memory()["RssAnon"]
    check(gained >= 32 * MIB, f"a balloon of 64 MiB returned {gained >> 20} MiB")
    guest.qmp.set_balloon(192 * MIB)
    check(guest.agent.meminfo()["MemTotal"] >= 140 * MIB, "the guest has its memory back")
    guest.stop()


def test_virtio_mem_plugs_and_unplugs(lab):
    guest = lab.guest("plug", virtio_mem_mib=128).wait_up()
    device = "/machine/peripheral/vmem0"
    small = guest.agent.meminfo()["MemTotal"]
    for size in (64 * MIB, 0):
        guest.qmp("qom-set", path=device, property="requested-size", value=size)
        wait_for(lambda: guest.qmp("qom-get", path=device, property="size") == size, 30, "virtio-mem's size")
        wait_for(lambda: abs(guest.agent.meminfo()["MemTotal"] - small - size) < 4 * MIB, 30, "MemTotal")
    guest.stop()


def test_power_button_works_unless_ignored(lab):
    obeys, ignores = lab.guest("obeys"), lab.guest("ignores", acpi_off=False)
    for guest in (obeys, ignores):
        guest.wait_up()
        guest.qmp("system_powerdown")
    check_equal(obeys.wait_exit(30), 0, "exit status")
    # It has been as long in the first one's boat, and its shell still answers.
    check(ignores.agent("echo here") == "here", "the guest that ignores the button runs on")
    ignores.stop()


def test_private_libvirtd_keeps_guests_over_a_restart(lab):
    virt = lab.libvirtd()
    domain = virt.domain("kept", stats_period=1).wait_up()
    domain.dom.setMemoryFlags(100 << 10, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    wait_for(lambda: domain.dom.memoryStats()["actual"] == 100 << 10, 30, "balloon through libvirt")
    virt.restart("KILL")
    dom = virt.conn.lookupByName("kept")
    check_equal(dom.state()[0], libvirt.VIR_DOMAIN_RUNNING, "state after libvirtd's restart")
    dom.shutdown()
    domain.wait_exit()


with Lab() as the_lab:
    run_tests([test_balloon_returns_what_the_guest_ate, test_virtio_mem_plugs_and_unplugs,
               test_power_button_works_unless_ignored, test_private_libvirtd_keeps_guests_over_a_restart], the_lab)
