# SPDX-License-Identifier: LGPL-2.1-or-later
"""Host pressure, without and with swap: without memarb the kernel kills a QEMU; with it balloons answer, nobody dies."""
import time

from labhost import MIB, mib, oom_kills
from tinyguest import host_meminfo

NAMES, SIZE_MIB, EATEN_MIB = ["red", "green", "blue"], 384, 280
# The hog wants so much more than there is: less than the guests' idle memory, more than the kernel can find.
OVER_MIB = 200
# It takes the last of it at 16 MiB in this time: under emulation a balloon returns 15-35 MiB/s, a real one 1 GiB/s.
FAST_LEFT_MIB, PAUSE = 700, 1.2
WATCHED_SECONDS = 40


def press(host, domains):
    """(How many guests died, the kernel's kills, the least that was available.)"""
    kills, least, available = oom_kills(), host.available(), host.available() // MIB
    host.hog(available - FAST_LEFT_MIB).wait_full()
    slow = host.hog(FAST_LEFT_MIB + OVER_MIB, pause=PAUSE)
    full_at, end = None, time.monotonic() + 240
    while time.monotonic() < end and (full_at is None or time.monotonic() < full_at + WATCHED_SECONDS):
        least = min(least, host.available())
        if full_at is None and slow.is_full():
            full_at = time.monotonic()
        if not all(domain.alive() for domain in domains):
            break
        time.sleep(0.5)
    dead = [domain.name for domain in domains if not domain.alive()]
    host.note(f"hog {'full' if full_at else 'not full'}, least available {mib(least)}, dead: {dead or 'nobody'}, kernel's kills "
              f"{oom_kills() - kills}, swap used {mib(host_meminfo()['SwapTotal'] - host_meminfo()['SwapFree'])}")
    for hog in host.hogs:
        hog.end()
    host.hogs.clear()
    return dead, oom_kills() - kills, full_at is not None


def guests(host):
    host.virt_end()
    domains = host.domains(NAMES, SIZE_MIB, stats_period=1)
    host.touch(domains, EATEN_MIB)
    return domains


def with_memarb(host, domains, what):
    memarb = host.memarb.start({"Arm": "kill", "Reserve": "150MiB", "SoftWatermark": "500MiB", "HardWatermark": "300MiB",
                                "CriticalWatermark": "80MiB", "GuestSample": "1s"}, count=len(NAMES))
    dead, kills, is_full = press(host, domains)
    host.point(dead == [] and kills == 0, f"{what}, with memarb: nobody dies", (dead, kills))
    host.point(is_full, f"{what}, with memarb: the hog gets all that it wants")
    kinds = sorted({action["action"] for action in memarb.actions()})
    host.point("balloon" in kinds and not {"kill", "shutdown", "pause", "save"} & set(kinds),
               f"{what}, with memarb: gentle actions alone", kinds)


def run(host):
    host.note("-- without memarb, without swap")
    dead, kills, _ = press(host, guests(host))
    host.point(dead and kills, "no swap, without memarb: the kernel kills a QEMU (void otherwise)", (dead, kills))
    host.note("-- with memarb, without swap")
    with_memarb(host, guests(host), "no swap")
    host.note("-- with memarb, with swap")
    host.memarb.stop()
    domains = guests(host)
    host.swap_on()
    with_memarb(host, domains, "swap")
