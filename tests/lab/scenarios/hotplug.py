# SPDX-License-Identifier: LGPL-2.1-or-later
"""A device handed through to a ballooned guest: all of the balloon comes back at once; with memarb the host stands it."""
import threading
import time

import libvirt

import pairs
import pressing
from labhost import MIB, mib, wait_for
from scenarios.vfio import HOSTDEV

# What is handed a device, what a balloon without memarb leaves it, its neighbours.
SIZE_MIB, LEFT_MIB = 512, 208
NEIGHBOURS, NEIGHBOUR_MIB = ["red", "green"], 384
# What is left on the host beside the balloon of 304 MiB, in the run without memarb: the host lives on that, and not on what the
# device takes.
SPARE_MIB = 130
# After the device is there: what it pins is pinned by then.
WATCHED_SECONDS = 6


class Hotplug(pairs.Pair):
    what = "a device for a ballooned guest"
    settings = {"Arm": "kill", "Reserve": "200MiB", "SoftWatermark": "500MiB", "HardWatermark": "300MiB",
                "CriticalWatermark": "80MiB", "GuestSample": "1s"}
    rules = {"name:pinned": {"PinLimit": f"{SIZE_MIB}MiB", "Actions": "balloon resize"}, "name:*": {"Actions": "balloon"}}
    # libvirt raises it for the device.
    moved_limits = {"pinned": "memlock"}
    kept = NEIGHBOURS

    def guests(self, host):
        pinned = host.virt.domain("pinned", SIZE_MIB, stats_period=1)
        rest = [host.again(name, NEIGHBOUR_MIB, stats_period=1) for name in NEIGHBOURS]
        for domain in (pinned, *rest):
            domain.wait_up()
        host.fill([pinned], SIZE_MIB)
        host.fill(rest, NEIGHBOUR_MIB)
        return [pinned, *rest]

    def press(self, host, guests, tick):
        pinned, with_memarb = guests[0], host.memarb.is_running()
        self.is_early = True
        # The same amount is taken by somebody else in both runs.
        taken = host.available() // MIB + (SIZE_MIB - LEFT_MIB) - SPARE_MIB
        if not with_memarb:
            pinned.dom.setMemoryFlags(LEFT_MIB << 10, libvirt.VIR_DOMAIN_AFFECT_LIVE)
            wait_for(lambda: pinned.dom.memoryStats()["actual"] >> 10 <= LEFT_MIB + 16, 120, "the operator's balloon")
        host.hog(max(taken - 500, 16)).wait_full()
        slow = host.hog(min(500, taken), pause=pressing.PAUSE if with_memarb else 0)
        end = time.monotonic() + 300
        while time.monotonic() < end and not slow.is_full() and all(guest.alive() for guest in guests):
            time.sleep(0.5)
        before = host.settled(host.available)
        self.ballooned = SIZE_MIB - (pinned.dom.memoryStats()["actual"] >> 10)
        self.commands = host.balloon_commands("pinned")
        self.is_early = not all(guest.alive() for guest in guests)
        host.note(f"before the device: available {mib(before)}, its balloon holds {self.ballooned} MiB")
        adding = threading.Thread(target=self.attach, args=(host, pinned))
        adding.start()
        end, least, self.locked = time.monotonic() + 120, host.available(), 0
        while time.monotonic() < end and all(guest.alive() for guest in guests):
            least = min(least, host.available())
            self.locked = max(self.locked, pinned.memory().get("VmLck", 0))
            tick()
            if not adding.is_alive():
                end = min(end, time.monotonic() + WATCHED_SECONDS)
            time.sleep(0.1)
        adding.join()
        host.note(f"least available since {mib(least)}, most locked {mib(self.locked)}")

    @staticmethod
    def attach(host, pinned):
        try:
            pinned.dom.attachDeviceFlags(HOSTDEV, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        except libvirt.libvirtError as error:
            host.note(f"attach: {error}")

    def is_void(self):
        # Killed before the device came: the host was short without it, which is another scenario.
        return self.is_early

    def check(self, host, guests):
        pinned = guests[0]
        host.point(0 < self.ballooned <= 200 - 80 + 1, "its balloon took no more than the host stands", self.ballooned)
        host.point(pinned.memory()["VmLck"] >= SIZE_MIB * MIB, "the device pins all of its memory", mib(pinned.memory()["VmLck"]))
        wait_for(lambda: pinned.dom.memoryStats()["actual"] == SIZE_MIB << 10, 90, "its balloon to be given back")
        back = [action for action in host.memarb.actions("balloon") if action["reason"] == "pinned-meanwhile"]
        host.point(back and all(action["to_bytes"] == SIZE_MIB * MIB for action in back),
                   "its balloon, which holds nothing any more, is given back on the short host", back[:2])
        inflating = [action for action in host.memarb.actions("balloon") if action["name"] == "pinned"
                     and action["to_bytes"] < action["from_bytes"] and "pinned-meanwhile" != action["reason"]]
        after = host.balloon_commands("pinned") - self.commands
        host.note(f"commands to its QEMU since the device: {after}; shrinking ones in the record: {len(inflating)}")
        host.point(after <= len(back), "no other command reached its QEMU since", (after, len(back)))


def run(host):
    pairs.run(host, Hotplug())
