# SPDX-License-Identifier: LGPL-2.1-or-later
"""start.py - from exec of memarbd to its first snapshot, with monitors that are waiting to dial in.

    start.py [--counts 1000] [--repeat 5]

A dialling peer tries again every 200 ms (QEMU with reconnect=1: every second), so up to 0.2 s of a figure is theirs:
the time from the first connection that memarbd accepted is beside it."""
import argparse
import os
import time

import benchlib
from benchlib import Arbiter, CtlError, Lab, Swarm, emit, percentile, progress, table
from reaction import settings_of

# Beyond this a QEMU that is met is not "starting" any more: memarbd was restarted, the guests run on.
GUEST_AGE_SECONDS = 11
BUDGET_SECONDS = 2.0


def one_start(lab, swarm_settings, life, count):
    began, began_real = time.monotonic(), time.time()
    arbiter = Arbiter(lab, swarm_settings, name=f"life{life}",
                      args=["--cgroup-root", lab.path("no-cgroups")]).start(wait=False)
    ready = None
    while True:
        if time.monotonic() > began + 60:
            raise TimeoutError(f"not all guests known: {arbiter.log()[-1500:]}")
        try:
            status = arbiter.status()
        except CtlError:
            time.sleep(0.01)
            continue
        ready = ready if ready is not None else time.monotonic() - began
        if status["qmp_peers"] == count and status["guests"] == count:
            break
        time.sleep(0.02)
    known = status["realtime_usec"] / 1e6 - began_real
    with open(f"/proc/{arbiter.pid}/schedstat", encoding="ascii") as text:
        cpu = int(text.read().split()[0]) / 1e9
    arbiter.kill()
    return {"answers_seconds": round(ready, 3), "snapshot_seconds": round(known, 3), "cpu_seconds": round(cpu, 3)}


def measure(count, repeat):
    with Lab() as lab:
        dial = os.path.join(lab.path("dial"), "qmp.sock")
        swarm = Swarm(lab, count, dial)
        time.sleep(GUEST_AGE_SECONDS)
        settings = settings_of(QmpListen=dial, Libvirt="no", MaxGuests=max(1024, count + 16))
        lives = [one_start(lab, settings, life, count) for life in range(repeat)]
        swarm.stop()
    result = {"guests": count, "peers": "swarm", "starts": repeat,
              **{key: {"p50": percentile([life[key] for life in lives], 50), "max": max(life[key] for life in lives)}
                 for key in lives[0]}, "budget_seconds": BUDGET_SECONDS}
    emit("start", result)
    progress(f"start with {count} peers: {result['snapshot_seconds']}, load {benchlib.load():.1f}")
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="1000")
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    results = [measure(int(n), args.repeat) for n in args.counts.split(",")]
    table("exec -> first snapshot with every guest in it (s)", ["guests", "what", "p50", "max", "starts"],
          [[r["guests"], what, r[key]["p50"], r[key]["max"], r["starts"]] for r in results
           for what, key in (("control socket answers", "answers_seconds"), ("all in a snapshot", "snapshot_seconds"),
                             ("CPU of the loop", "cpu_seconds"))])


if __name__ == "__main__":
    main()
