# SPDX-License-Identifier: LGPL-2.1-or-later
"""A plain QEMU with a vIOMMU and two devices: the second would pin all its memory again; its limit refuses it."""
import os
import resource

import tinyguest

from devices import FIRST, SECOND, bound_to_vfio
from labhost import MIB, mib, sh, wait_for
from limits import memlock
from scenarios.pins import SETTLE_SECONDS, UNLIMITED

# memarb leaves 1 GiB for what else is mapped: only a guest of more than that is over its limit by its memory again.
SIZE_MIB, SPARE_MIB = 1152, 1024
WRAPPER = "/run/memarb-lab-second"


def unprivileged_qemu():
    """One that the limit binds: root's has CAP_IPC_LOCK."""
    with open(WRAPPER, "w", encoding="ascii") as text:
        text.write("#!/bin/sh\nexec setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock -- qemu-system-x86_64 \"$@\"\n")
    os.chmod(WRAPPER, 0o755)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (UNLIMITED, UNLIMITED))
    return WRAPPER


def start(host, name):
    usual, tinyguest.QEMU = tinyguest.QEMU, unprivileged_qemu()
    try:
        # A guest that runs its IOMMU maps what it uses; this one's devices see all of its memory.
        return host.guest(name, SIZE_MIB, dial="/run/memarb/qmp.sock", append="intel_iommu=off", extra=[
            "-M", "q35", "-device", "intel-iommu,caching-mode=on,intremap=off", "-device", "pcie-root-port,id=empty,chassis=7,slot=7",
            "-device", f"vfio-pci,host={FIRST}"]).wait_up()
    finally:
        tinyguest.QEMU = usual


def plug(guest):
    """What QEMU says against it; None when it took the device."""
    try:
        guest.qmp("device_add", driver="vfio-pci", host=SECOND, bus="empty", id="second", seconds=120)
        return None
    except tinyguest.QmpError as error:
        return str(error)


def without_memarb(host):
    guest = start(host, "twice")
    locked = guest.memory()["VmLck"]
    said = plug(guest)
    twice = guest.memory()["VmLck"]
    host.note(f"without memarb: VmLck {mib(locked)} -> {mib(twice)}")
    host.point(said is None and twice >= 2 * SIZE_MIB * MIB, "without memarb the second device is taken, and all memory accounted "
               "again", (said, mib(twice)))
    guest.stop()
    wait_for(lambda: not guest.alive(), 30, "its end")


def with_memarb(host):
    host.memarb.start({"Libvirt": "no", "Arm": "reclaim", "Reserve": "32MiB", "SoftWatermark": "64MiB", "HardWatermark": "48MiB",
                       "CriticalWatermark": "32MiB"}, {"name:twice": {"PinLimit": f"{SIZE_MIB}MiB", "Actions": "none"}})
    guest = start(host, "twice")
    host.memarb.wait_guests(1)
    wait_for(lambda: memlock(guest.pid)[1] != UNLIMITED, SETTLE_SECONDS, "PinLimit= as RLIMIT_MEMLOCK")
    limit = memlock(guest.pid)
    host.point(SIZE_MIB * MIB <= limit[1] <= (SIZE_MIB + SPARE_MIB) * MIB, "its limit has room for its memory once", limit)
    said = plug(guest)
    host.note(f"  {said}")
    host.point(said is not None and guest.memory()["VmLck"] <= limit[1], "the second device is refused", (said, guest.memory()["VmLck"]))
    host.point(guest.alive() and guest.agent("echo here") == "here", "its QEMU lives, the guest works on")
    sh("systemctl", "kill", "-s", "KILL", "memarbd")
    wait_for(host.memarb.answers, 60, "memarbd after SIGKILL")
    host.memarb.wait_guests(1)
    host.memarb.stop()
    host.point(memlock(guest.pid) == (UNLIMITED, UNLIMITED), "killed, restarted and stopped, memarbd has put the limit back",
               memlock(guest.pid))
    guest.stop()


def run(host):
    host.virt_end()
    with bound_to_vfio(host, FIRST, SECOND):
        without_memarb(host)
        with_memarb(host)
