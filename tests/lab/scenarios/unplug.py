# SPDX-License-Identifier: LGPL-2.1-or-later
"""A plain QEMU with vfio-pci and virtio-mem: its balloon is of no use, unplugging its memory is."""
import resource

import ledger
from devices import FIRST, bound_to_vfio
from labhost import MIB, TRACED, mib, sh, wait_for
from nodes import drop_caches

STICK_MIB, PLUGGED_MIB, LEFT_MIB = 192, 256, 500


def ledger_is_what_comes_back(host, stick, plugged):
    """Nothing but its end moves the host's free memory: no libvirt, no driver that takes the device back. The files that QEMU maps
    (itself, the guest's kernel) stay in the cache."""
    host.end_hogs()
    host.memarb.stop()
    wait_for(lambda: plugged() == PLUGGED_MIB * MIB, 120, "what was unplugged to be given back")
    host.memarb.start({"Libvirt": "no", "Arm": "observe"}, count=1)
    sh("sync")
    drop_caches()
    before = host.settled(ledger.free_to_the_host, 60, MIB // 4)
    accounts = ledger.accounts()
    guest = host.memarb.guest("stick")
    pinned, resident = guest["pinned_bytes"], guest["resident_bytes"]
    stick.kill()
    stick.wait_exit()
    gain = host.settled(ledger.free_to_the_host, 60, MIB // 4) - before
    ledger.moved_since(host, accounts)
    host.note(f"free memory +{gain / MIB:.1f} MiB; ledger: pinned {pinned / MIB:.1f}, resident {resident / MIB:.1f} MiB")
    host.point(abs(gain - resident) <= MIB + gain // 100, "it ends: the host's free memory grows by what the ledger had, within 1 MiB "
               "+ 1 %", (gain, resident))
    host.point(abs(pinned - (STICK_MIB + PLUGGED_MIB) * MIB) <= MIB + pinned // 100, "all but QEMU's own was pinned", pinned)


def run(host):
    with bound_to_vfio(host, FIRST):
        shrinks_and_comes_back(host)


def shrinks_and_comes_back(host):
    memarb, device = host.memarb, "/machine/peripheral/vmem0"
    memarb.start({"Libvirt": "no", "Arm": "observe"}, {"name:stick": {"Actions": "balloon resize", "Guarantee": "128MiB"}})
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    stick = host.guest("stick", STICK_MIB, dial="/run/memarb/qmp.sock", virtio_mem_mib=PLUGGED_MIB,
                       extra=["-device", f"vfio-pci,host={FIRST}"]).wait_up()

    def plugged():
        return stick.qmp("qom-get", path=device, property="size")
    stick.qmp("qom-set", path=device, property="requested-size", value=PLUGGED_MIB * MIB)
    wait_for(lambda: plugged() == PLUGGED_MIB * MIB, 60, "the plug of virtio-mem")
    memarb.wait_guests(1)
    wait_for(lambda: memarb.guest("stick").get("pinned_bytes", 0) >= (STICK_MIB + PLUGGED_MIB - 8) * MIB, 30,
             "the plugged memory in the ledger")
    host.point("vfio" in memarb.guest("stick")["inhibited_by"], "plain QEMU: what was plugged in is pinned too")
    host.hog((host.available() // MIB) - LEFT_MIB).wait_full()
    left, locked, anonymous = host.settled(host.available), stick.memory()["VmLck"], host.anonymous()
    memarb.reload({"Arm": "reclaim", **host.shortage(left)})
    try:
        wait_for(lambda: plugged() < PLUGGED_MIB * MIB, 60, "an unplug")
    except TimeoutError:
        host.point(False, "short, virtio-mem is unplugged")
        host.points.note_output("memarbctl", "explain", "stick")
        return
    host.point(True, "short, virtio-mem is unplugged")
    size = host.settled(plugged, within=0)
    gained = anonymous - host.settled(host.anonymous)
    host.note(f"virtio-mem {PLUGGED_MIB} -> {mib(size)}, VmLck {mib(locked)} -> {mib(stick.memory()['VmLck'])}, held by all "
              f"processes -{mib(gained)}, available +{mib(host.available() - left)}")
    host.point(locked - stick.memory()["VmLck"] >= PLUGGED_MIB * MIB - size - MIB, "virtio-mem unplug unpins", locked)
    host.point(gained >= (PLUGGED_MIB * MIB - size) * 3 // 4, "and the host has it", mib(gained))
    host.point(TRACED not in stick.log_text(), "again without one balloon command")
    ledger_is_what_comes_back(host, stick, plugged)
