# SPDX-License-Identifier: LGPL-2.1-or-later
"""Host pressure, without and with swap: without memarb the kernel kills a QEMU; with it balloons answer, nobody dies."""
import pairs
import pressing

NAMES, SIZE_MIB = ["red", "green", "blue"], 384
# The hog wants so much more than there is: less than the guests' idle memory, more than the kernel can find.
OVER_MIB, SWAP_MIB = 250, 128


class NoSwap(pairs.Pair):
    what = "host pressure without swap"
    settings = {"Arm": "kill", "Reserve": "150MiB", "SoftWatermark": "500MiB", "HardWatermark": "300MiB",
                "CriticalWatermark": "80MiB", "GuestSample": "1s"}

    kept = NAMES

    def guests(self, host):
        domains = host.domains(NAMES, SIZE_MIB, host.again, stats_period=1)
        host.fill(domains, SIZE_MIB)
        return domains

    def press(self, host, guests, tick):
        self.is_full = pressing.press(host, guests, OVER_MIB, tick)

    def check(self, host, guests):
        host.point(self.is_full, f"{self.what}: the hog gets all that it wants")
        kinds = sorted({action["action"] for action in host.memarb.actions()})
        host.point("balloon" in kinds and not {"kill", "shutdown", "pause", "save"} & set(kinds),
                   f"{self.what}: gentle actions alone", kinds)


class Swap(NoSwap):
    what = "host pressure with swap"

    def swap(self, host):
        host.swap_on(SWAP_MIB)


def run(host):
    pairs.run(host, NoSwap())
    if not host.repeat:
        pairs.run(host, Swap(), and_killed=False)
