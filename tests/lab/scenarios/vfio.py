# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest with a real vfio-pci device: seen as unmovable, never inflated, its neighbour is."""
import os
import time

import libvirt

from labhost import MIB, PAIR_MIB, mib, oom_kills, sh, wait_for

DEVICE = "0000:01:00.0"
HOSTDEV = ("<hostdev mode='subsystem' type='pci' managed='yes'><source>"
           "<address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source></hostdev>")
EATEN_MIB, LEFT_MIB, WATCHED_SECONDS = 180, 500, 10


def close_to(ledger, real):
    return abs(ledger - real) <= MIB + real // 100


def is_seen(host, pinned):
    guest = host.memarb.guest("pinned")
    host.point("vfio" in guest["inhibited_by"], "the device is seen as what inhibits the balloon", guest)
    locked = pinned.memory()["VmLck"]
    host.point(close_to(guest.get("pinned_bytes", 0), PAIR_MIB * MIB), "all its memory is pinned in the ledger",
               (mib(guest.get("pinned_bytes", 0)), f"VmLck {mib(locked)}"))
    return guest


def is_left_alone(host, pinned, neighbour):
    memarb, at_start = host.memarb, {name: host.balloon_commands(name) for name in ("pinned", "two")}
    hog = host.hog((host.available() // MIB) - LEFT_MIB).wait_full()
    left = host.settled(host.available)
    memarb.reload({"Arm": "reclaim", **host.shortage(left)})
    wait_for(lambda: neighbour.dom.memoryStats()["actual"] < PAIR_MIB << 10, 60, "the neighbour's balloon")
    host.point(True, "short, the neighbour's balloon moves")
    # Far more than the neighbour has: there is nobody else but the pinned guest.
    memarb.reload({**host.shortage(left, 400)})
    time.sleep(WATCHED_SECONDS)
    sent = {name: host.balloon_commands(name) - count for name, count in at_start.items()}
    host.point(sent["pinned"] == 0, "no balloon command reached the pinned guest's QEMU", sent)
    host.point(sent["two"] > 0, "(the same trace shows the neighbour's)")
    host.point(pinned.dom.memoryStats()["actual"] == PAIR_MIB << 10, "libvirt says the same")
    asked = [action for action in memarb.actions() if action["name"] == "pinned"]
    host.point(asked == [], "and so does memarb's record", asked[:2])
    host.note(f"two: {neighbour.dom.memoryStats()['actual'] >> 10} of {PAIR_MIB} MiB, "
              f"{sent['two']} commands")
    hog.end()


def gives_back_after_a_kill(host, neighbour):
    memarb, old = host.memarb, host.memarb.pid
    sh("systemctl", "kill", "-s", "KILL", "memarbd")
    wait_for(lambda: memarb.pid not in (0, old) and memarb.answers(), 60, "memarbd after SIGKILL")
    wait_for(lambda: neighbour.dom.memoryStats()["actual"] == PAIR_MIB << 10, 150, "the neighbour's memory")
    host.point(neighbour.dom.state()[0] == libvirt.VIR_DOMAIN_RUNNING, "killed in the middle of it, memarbd gives the neighbour all of "
               "it back once there is room")


def run(host):
    kills = oom_kills()
    _, neighbour = host.pair()
    pinned = host.virt.domain("pinned", PAIR_MIB, stats_period=1, devices=HOSTDEV).wait_up()
    host.touch([neighbour, pinned], EATEN_MIB)
    host.memarb.start(guests={"name:one": {"Actions": "none"}, "name:*": {"Actions": "balloon resize"}}, count=3)
    driver = os.path.basename(os.path.realpath(f"/sys/bus/pci/devices/{DEVICE}/driver"))
    host.point(driver == "vfio-pci", "libvirt hands the device through by vfio-pci", driver)
    is_seen(host, pinned)
    is_left_alone(host, pinned, neighbour)
    gives_back_after_a_kill(host, neighbour)
    host.point(oom_kills() == kills, "nobody was killed")
