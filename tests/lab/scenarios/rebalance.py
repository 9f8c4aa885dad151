# SPDX-License-Identifier: LGPL-2.1-or-later
"""Node 1 runs out while node 0 is free, and what fills it only prefers it: with memarb its pages move, nobody is hurt."""
import nodes
import pairs
from labhost import MIB, mib

# loose uses nearly all it has: no balloon can take it.
LOOSE_MIB, EATEN_MIB, GROWER_MIB, GROW_MIB, RATE_MIB, LEFT_MIB = 448, 330, 352, 200, 8, 70
REBALANCE_TEXT = "of its memory go from node 1 to node 0"


class Move(pairs.Pair):
    what = "node 1 exhausted, beside a guest that only prefers it"
    settings = {"Arm": "reclaim", "GuestSample": "1s", "Reserve": "300MiB", "SoftWatermark": "600MiB", "HardWatermark": "400MiB",
                "CriticalWatermark": "150MiB"}
    # It is to have what it grows by.
    rules = {"name:grower": {"Actions": "none"}}

    def guests(self, host):
        loose = host.virt.domain("loose", LOOSE_MIB, stats_period=1, before_devices=nodes.placed("preferred"))
        grower = host.virt.domain("grower", GROWER_MIB, stats_period=1, before_devices=nodes.placed("strict"))
        for domain in (loose, grower):
            domain.wait_up()
        loose.agent(f"eat {EATEN_MIB}")
        self.there = nodes.on_node(loose.pid, 1)
        self.whole = loose.memory()["RssAnon"]
        return [loose, grower]

    def press(self, host, guests, tick):
        nodes.exhaust(host, guests, guests[1], LEFT_MIB, (GROW_MIB, RATE_MIB), tick)

    def check(self, host, guests):
        loose, grower = guests
        moved = host.memarb.actions("rebalance")
        host.point(moved and {action["name"] for action in moved} == {"loose"}, "pages of the guest that only prefers the node move",
                   host.memarb.actions()[:3])
        now = nodes.on_node(loose.pid, 1)
        host.note(f"loose on node 1: {mib(self.there)} -> {mib(now)}; planned {[mib(a['frees'].get('node1', 0)) for a in moved]}")
        host.point(now < self.there - 32 * MIB, "and lie on the other node now", (mib(self.there), mib(now)))
        host.point(loose.memory()["RssAnon"] >= self.whole - 16 * MIB, "nothing of it is lost", mib(loose.memory()["RssAnon"]))
        host.point(loose.agent("cat /m/* | wc -c", 300).strip() == str(EATEN_MIB * MIB), "the guest reads all of it")
        host.point(nodes.on_node(grower.pid, 0) < 32 * MIB, "the bound guest stays on its node", mib(nodes.on_node(grower.pid, 0)))
        messages = [entry.get("MESSAGE", "") for entry in host.memarb.journal()]
        host.point(any(REBALANCE_TEXT in message for message in messages), "the journal says from where to where", messages[-3:])
        outcomes = [line["outcome"] for line in host.memarb.decisions() if (line.get("outcome") or {}).get("action") == "rebalance"]
        host.note(f"outcomes: {[(o['result'], o.get('detail')) for o in outcomes][-4:]}")
        host.point(outcomes and all(o["result"] == "done" for o in outcomes), "each move's outcome stands in the record", outcomes[:3])


def run(host):
    pairs.run(host, Move())
