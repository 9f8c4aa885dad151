# SPDX-License-Identifier: LGPL-2.1-or-later
"""steady.py - what memarbd costs while nothing happens; tests/bench/README.md has the method.

    steady.py [--counts 100,1000] [--seconds 60] [--repeat 1]

The guests' processes, /proc and the periods are real: GuestSample=10s, SampleIdle=1s."""
import argparse
import glob
import os
import time

import benchlib
from benchlib import Arbiter, Lab, Swarm, emit, progress, table, wait_known
from reaction import settings_of

# After the last guest is known: the balloons' statistics begin, caches of processes and cgroups fill, queues drain.
SETTLE_SECONDS = 15
BUDGET = {100: {"cpu_percent": 0.5, "rss_anon_mib": 6.0}, 1000: {"cpu_percent": 1.0, "rss_anon_mib": 24.0}}
PEERS = {"memory_mib": 4096, "used_mib": 1024}


def cpu_nsec(pids):
    """Time on a processor of all threads of these processes, by the scheduler's own count."""
    total = 0
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            try:
                with open(path, encoding="ascii") as text:
                    total += int(text.read().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                pass
    return total


def wakeups(pid):
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/status"):
        with open(path, encoding="ascii") as text:
            total += sum(int(line.split()[1]) for line in text if line.startswith("voluntary_ctxt_switches"))
    return total


def memory_mib(pid):
    wanted = {"VmRSS": "rss_mib", "RssAnon": "rss_anon_mib", "RssFile": "rss_file_mib"}
    with open(f"/proc/{pid}/status", encoding="ascii") as text:
        pairs = (line.split(":") for line in text if ":" in line)
        return {wanted[key]: round(int(value.split()[0]) / 1024, 2) for key, value in pairs if key in wanted}


def watch(pid, seconds, beside=()):
    """CPU in percent of one core over the time, and memory at its end; beside: (name, pids) of others."""
    began, cpu = time.monotonic(), cpu_nsec([pid])
    others = {name: cpu_nsec(pids) for name, pids in beside}
    wake = wakeups(pid)
    time.sleep(seconds)
    took = time.monotonic() - began
    result = {"seconds": round(took, 1), "cpu_percent": round((cpu_nsec([pid]) - cpu) / took / 1e7, 3),
              "wakeups_per_s": round((wakeups(pid) - wake) / took, 1), **memory_mib(pid)}
    for name, pids in beside:
        result[f"{name}_cpu_percent"] = round((cpu_nsec(pids) - others[name]) / took / 1e7, 3)
    return result


def measure_swarm(count, seconds, repeat):
    with Lab() as lab:
        dial = os.path.join(lab.path("dial"), "qmp.sock")
        swarm = Swarm(lab, count, dial, **PEERS)
        # Reserve= is small so that other users of this machine do not make a shortage of it
        settings = settings_of(QmpListen=dial, Libvirt="no", Reserve="1%", MaxGuests=max(1024, count + 16))
        arbiter = Arbiter(lab, settings).start()
        wait_known(arbiter, count)
        time.sleep(SETTLE_SECONDS)
        results = []
        for _ in range(repeat):
            result = {"way": "qmp", "guests": count, "peers": "swarm",
                      **watch(arbiter.pid, seconds, [("peers", swarm.pids)]), "budget": BUDGET.get(count)}
            result["pressure"] = arbiter.status().get("pressure")
            emit("steady", result)
            results.append(result)
            progress(f"steady, {count} peers: {result['cpu_percent']} % CPU, {result['rss_anon_mib']} MiB private,"
                     f" load {benchlib.load():.1f}")
        arbiter.stop()
        swarm.stop()
    return results


def print_table(results):
    rows = [[r["way"], r["guests"], r["cpu_percent"], r["wakeups_per_s"], r["rss_anon_mib"], r["rss_mib"],
             r.get("libvirtd_cpu_percent", "-"), r.get("peers_cpu_percent", "-")] for r in results]
    table("at rest: CPU in % of one core, memory in MiB",
          ["way", "guests", "cpu", "wakeups/s", "RssAnon", "RSS", "libvirtd cpu", "guests' cpu"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="100,1000")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--repeat", type=int, default=1)
    args = parser.parse_args()
    results = [r for n in args.counts.split(",") if n for r in measure_swarm(int(n), args.seconds, args.repeat)]
    print_table(results)


if __name__ == "__main__":
    main()
