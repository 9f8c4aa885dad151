# SPDX-License-Identifier: LGPL-2.1-or-later
"""Node 1 runs out while node 0 is free: without memarb the kernel kills a QEMU; with it guests of the node are squeezed."""
import re
import time

from labhost import MIB, mib, oom_kills, read, wait_for

STRICT = "<numatune><memory mode='strict' nodeset='1'/></numatune>"
# idle has free memory on node 1, grower needs some there; node 1 keeps less than grower wants.
IDLE_MIB, EATEN_MIB, GROWER_MIB, GROW_MIB, LEFT_MIB = 448, 330, 336, 190, 110
RATE_MIB = 8


def node_free(node):
    text = read(f"/sys/devices/system/node/node{node}/meminfo")
    return int(re.search(r"MemFree:\s+(\d+)", text).group(1)) * 1024


def start_guests(host):
    host.virt_end()
    host.libvirt()
    idle = host.virt.domain("idle", IDLE_MIB, stats_period=1, before_devices=STRICT)
    grower = host.virt.domain("grower", GROWER_MIB, stats_period=1, before_devices=STRICT)
    for domain in (idle, grower):
        domain.wait_up()
    host.touch([idle], EATEN_MIB)
    return idle, grower


def exhaust(host, idle, grower):
    kills, resident = oom_kills(), grower.memory()["RssAnon"]
    hog = host.hog(node_free(1) // MIB - LEFT_MIB, node=1).wait_full()
    host.note(f"node 0 free {mib(node_free(0))}, node 1 free {mib(node_free(1))}")
    grower.agent(f"grow {GROW_MIB} {RATE_MIB}")
    end, least = time.monotonic() + 3 * GROW_MIB / RATE_MIB, node_free(1)
    while time.monotonic() < end and idle.alive() and grower.alive():
        least = min(least, node_free(1))
        time.sleep(0.5)
        if grower.memory().get("RssAnon", 0) >= resident + (GROW_MIB - 2 * RATE_MIB) * MIB:
            break
    time.sleep(5)
    dead = [domain.name for domain in (idle, grower) if not domain.alive()]
    host.note(f"least free on node 1 {mib(least)}, node 0 free {mib(node_free(0))}, dead: {dead or 'nobody'}, kernel's kills "
              f"{oom_kills() - kills}")
    hog.end()
    return dead, oom_kills() - kills


def run(host):
    host.note("-- without memarb")
    dead, kills = exhaust(host, *start_guests(host))
    host.point(dead and kills, "without memarb: the kernel kills a QEMU although node 0 is free (void otherwise)", (dead, kills))
    host.note("-- with memarb")
    idle, grower = start_guests(host)
    memarb = host.memarb.start({"Arm": "reclaim", "GuestSample": "1s", "Reserve": "300MiB", "SoftWatermark": "600MiB",
                                "HardWatermark": "400MiB", "CriticalWatermark": "150MiB"}, count=2)
    rows = {row["resource"]: row for row in memarb.status()["resources"]}
    host.point("node1" in rows, "node 1 is a resource of its own while guests are bound to it", list(rows))
    dead, kills = exhaust(host, idle, grower)
    rows = {row["resource"]: row for row in memarb.status()["resources"]}
    host.note(f"rows: {[(name, row['pressure']) for name, row in rows.items()]}; actions: "
              f"{[(action['action'], action['name'], action['reason']) for action in memarb.actions()][:6]}")
    host.point(dead == [] and kills == 0, "with memarb: nobody dies", (dead, kills))
    host.point(any(action["action"] == "balloon" and action["name"] == "idle" for action in memarb.actions()),
               "with memarb: the node's idle guest gives", memarb.actions()[:3])
    wait_for(lambda: memarb.status()["pressure"] == "normal", 60, "the state to be normal again")
    host.point(True, "afterwards the state is normal again")
