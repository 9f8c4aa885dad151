# SPDX-License-Identifier: LGPL-2.1-or-later
"""Node 1 runs out while node 0 is free, its guests bound to it: the kernel kills one; with memarb the idle one gives."""
import nodes
import pairs

IDLE_MIB, EATEN_MIB, GROWER_MIB, GROW_MIB, RATE_MIB, LEFT_MIB = 448, 330, 352, 200, 8, 70


class Squeeze(pairs.Pair):
    what = "node 1 exhausted, guests bound to it"
    settings = {"Arm": "reclaim", "GuestSample": "1s", "Reserve": "300MiB", "SoftWatermark": "600MiB", "HardWatermark": "400MiB",
                "CriticalWatermark": "150MiB"}
    # It is to have what it grows by.
    rules = {"name:grower": {"Actions": "none"}}

    kept = ["idle", "grower"]

    def guests(self, host):
        idle, grower = [host.again(name, size, emptied, stats_period=1, before_devices=nodes.placed("strict"))
                        for name, size, emptied in (("idle", IDLE_MIB, None), ("grower", GROWER_MIB, GROWER_MIB - GROW_MIB))]
        for domain in (idle, grower):
            domain.wait_up()
        host.touch([idle], EATEN_MIB)
        return [idle, grower]

    def press(self, host, guests, tick):
        nodes.exhaust(host, guests, guests[1], LEFT_MIB, (GROW_MIB, RATE_MIB), tick)

    def check(self, host, guests):
        rows = [row["resource"] for row in host.memarb.status()["resources"]]
        host.point("node1" in rows, "node 1 is a resource of its own while guests are bound to it", rows)
        grown_mib = int(guests[1].agent("du -sk /m").split()[0]) >> 10
        host.point(grown_mib >= GROW_MIB, "the guest that grows has all that it wants", grown_mib)
        gave = [action for action in host.memarb.actions("balloon") if action["name"] == "idle"]
        host.point(gave, "the node's idle guest gives", host.memarb.actions()[:3])
        moved = host.memarb.actions("rebalance")
        host.point(moved == [], "and no page of a bound guest is moved", moved[:2])


def run(host):
    pairs.run(host, Squeeze())
