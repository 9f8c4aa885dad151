# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest throttled at its own memory.high on a roomy host: it stalls, the host is not short, and memarb knows that."""
import time

import libvirt

from labhost import MIB, UNLIMITED_KIB, cgroup_of, mib, psi_some_avg10, read, wait_for

SIZE_MIB, MORE_MIB, EATEN_MIB = 192, 8, 80
# Stall that would raise the state by a step, were the host not roomy.
STALL_PERCENT = 10.0
WATCHED_SECONDS = 10


def run(host):
    # Without swap nothing of it can be written out: the kernel holds it up for seconds at each step, whatever the disk does.
    host.pair()
    tight = host.virt.domain("tight", SIZE_MIB, stats_period=1).wait_up()
    memarb = host.memarb.start({"Arm": "reclaim", "GuestSample": "1s"}, count=3)
    # What a scenario before was short of is remembered for a while.
    wait_for(lambda: memarb.status()["pressure"] == "normal", 90, "a calm host")
    group = cgroup_of(tight.pid)
    high_kib = (int(read(f"{group}/memory.current")) >> 10) + (MORE_MIB << 10)
    tight.dom.setMemoryParameters({"soft_limit": high_kib}, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    host.point(int(read(f"{group}/memory.high")) == high_kib << 10, "libvirt's soft limit is memory.high of its group",
               read(f"{group}/memory.high"))
    tight.agent.send(f"eat {EATEN_MIB}")
    wait_for(lambda: psi_some_avg10() >= STALL_PERCENT, 120, f"a stall of {STALL_PERCENT} %")
    states, stalls, end = set(), [], time.monotonic() + WATCHED_SECONDS
    while time.monotonic() < end:
        status = memarb.status()
        states.add(status["pressure"])
        stalls.append(psi_some_avg10())
        time.sleep(0.5)
    room = host.available()
    host.note(f"some avg10 of the host {min(stalls):.0f}-{max(stalls):.0f} % over {WATCHED_SECONDS} s, of the guest's group "
              f"{psi_some_avg10(f'{group}/memory.pressure'):.0f} %, available {mib(room)}")
    host.point(max(stalls) >= STALL_PERCENT and room > 500 * MIB, "the host stalls although it has room")
    host.point(states == {"normal"}, "the state stays normal", states)
    host.point(memarb.actions() == [] and memarb.status()["ballooned"] == 0, "nothing is taken from anybody", memarb.actions()[:2])
    tight.dom.setMemoryParameters({"soft_limit": UNLIMITED_KIB}, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    host.point(tight.agent.line(120) == "<<rc=0>>", "the guest lives, and has what it wanted")
