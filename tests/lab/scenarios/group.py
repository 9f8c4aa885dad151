# SPDX-License-Identifier: LGPL-2.1-or-later
"""Too little for all, and nobody has idle memory: the kernel kills anybody; with memarb the cheap group goes, as one."""
import pairs
import pressing

SIZE_MIB, EATEN_MIB, OVER_MIB = 384, 280, 270
CHEAP = ["app1", "app2"]


class Group(pairs.Pair):
    what = "no idle memory, a group of two that is worth less"
    # The breaker counts over runs: three an hour by default, two of them in the first.
    settings = {"Arm": "kill", "Reserve": "150MiB", "SoftWatermark": "500MiB", "HardWatermark": "300MiB",
                "CriticalWatermark": "120MiB", "GuestSample": "1s", "MaxVictimsPerHour": "100"}
    rules = {"name:app*": {"Group": "app", "Impact": "20", "Actions": "kill"}, "name:db": {"Impact": "never"}}
    may_end = CHEAP

    def guests(self, host):
        domains = host.domains([*CHEAP, "db"], SIZE_MIB, stats_period=1)
        for domain in domains:
            domain.agent(f"eat {EATEN_MIB}", 200)
        return domains

    def press(self, host, guests, tick):
        # On the way the pair may go, which ends nothing: the hog is to get what it wants.
        self.is_full = pressing.press(host, [guest for guest in guests if guest.name == "db"], OVER_MIB, tick)

    def check(self, host, guests):
        killed = {action["name"] for action in host.memarb.actions("kill")}
        host.point(killed == set(CHEAP), "both members are chosen, and nobody else", killed)
        host.point([guest.name for guest in guests if guest.alive()] == ["db"], "they are gone together, the protected one lives")
        host.point(self.is_full, "and the hog gets all that it wants")


def run(host):
    pairs.run(host, Group())
