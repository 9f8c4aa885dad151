# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest throttled at its own memory.high on a roomy host: it stalls, the host is not short, and memarb knows that."""
import time

import libvirt

from labhost import MIB, UNLIMITED_KIB, cgroup_of, mib, psi_some_avg10, read, wait_for

HIGH_MIB = 140
# Stall that would raise the state by a step, were the host not roomy.
STALL_PERCENT = 10.0
WATCHED_SECONDS = 15


def run(host):
    host.swap_on()
    tight, _ = host.pair()
    memarb = host.memarb.start({"Arm": "reclaim", "GuestSample": "1s"}, count=2)
    tight.dom.setMemoryParameters({"soft_limit": HIGH_MIB << 10}, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    group = cgroup_of(tight.pid)
    host.point(int(read(f"{group}/memory.high")) == HIGH_MIB * MIB, "libvirt's soft limit is memory.high of its group",
               read(f"{group}/memory.high"))
    tight.agent("eat 150; (while :; do cat /m/* >/dev/null; done) </dev/null >/dev/null 2>&1 & echo $! >/tmp/loop", 120)
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
    tight.agent("kill $(cat /tmp/loop)")
    host.point(tight.alive(), "the guest lives")
