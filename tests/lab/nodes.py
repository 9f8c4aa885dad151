# SPDX-License-Identifier: LGPL-2.1-or-later
"""nodes.py - node 1 of the virtual host filled up while node 0 has room."""
import re
import time

from labhost import MIB, mib, read

FASTER = 3


def placed(mode, node=1):
    return f"<numatune><memory mode='{mode}' nodeset='{node}'/></numatune>"


def node_free(node):
    text = read(f"/sys/devices/system/node/node{node}/meminfo")
    return int(re.search(r"MemFree:\s+(\d+)", text).group(1)) * 1024


def on_node(pid, node):
    """Bytes of the process's own memory there. The files that it maps (QEMU itself, the guest's kernel) lie where they were read."""
    pages = 0
    for line in read(f"/proc/{pid}/numa_maps").splitlines():
        pages += " file=" not in line and sum(int(count) for count in re.findall(rf" N{node}=(\d+)", line))
    return pages * 4096


def drop_caches():
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as text:
        text.write("3")


def exhaust(host, guests, grower, left_mib, grow, tick):
    """Somebody else takes node 1 but for left_mib; then grower touches grow[0] MiB, grow[1] a second; without memarb, whose answer
    takes its time, FASTER times as many."""
    grow_mib, rate_mib = grow[0], grow[1] if host.memarb.is_running() else grow[1] * FASTER
    drop_caches()
    host.hog(max(node_free(1) // MIB - left_mib, 16), node=1, pause=0.03).wait_full()
    host.note(f"node 0 free {mib(node_free(0))}, node 1 free {mib(node_free(1))}")
    before, least = grower.memory().get("RssAnon", 0), node_free(1)
    grower.agent(f"grow {grow_mib} {rate_mib}")
    end = time.monotonic() + 60 + 3 * grow_mib / rate_mib
    while time.monotonic() < end and all(guest.alive() for guest in guests):
        least = min(least, node_free(1))
        tick()
        # By its own word: what it had used before, and is free inside, does not show outside.
        if grower.agent("kill -0 $! 2>/dev/null && echo grows; true") == "":
            break
        time.sleep(0.5)
    time.sleep(1)
    grown = grower.memory().get("RssAnon", 0) - before
    host.note(f"least free on node 1 {mib(least)}, grown by {mib(max(grown, 0))}, node 0 free {mib(node_free(0))}")
