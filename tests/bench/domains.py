# SPDX-License-Identifier: LGPL-2.1-or-later
"""domains.py - the benchmarks on real libvirt domains: tiny guests under a private libvirtd. Needs python3-libvirt."""
import os
import time

from benchlib import MIB, Arbiter, Lab, ProcTree, emit, progress, wait_for, wait_known
from reaction import Driver, collect, one_event, report, settings_of

GUEST_MIB = 384
# Booted at the same time: more only share the processors.
BOOT_BATCH = 4
# Of the made host; see SHORT_PERCENT of reaction.py: one slew step of each guest is about what is missing.
HOST_MIB_PER_GUEST = 960


class Domains:
    """Real domains, each with a monitor that dials memarbd (which may not listen)."""

    def __init__(self, lab, count):
        self.virt, self.lab = lab.libvirtd(), lab
        self.dial = os.path.join(lab.path("dial"), "qmp.sock")
        self.all = []
        began = time.monotonic()
        while len(self.all) < count:
            batch = [self.virt.domain(f"d{len(self.all) + i:02d}", mib=GUEST_MIB, dial=self.dial)
                     for i in range(min(BOOT_BATCH, count - len(self.all)))]
            for domain in batch:
                domain.wait_up(300)
            self.all += batch
            progress(f"{len(self.all)} of {count} domains up after {time.monotonic() - began:.0f} s")
        self.pids = [domain.pid for domain in self.all]

    def settings(self, **more):
        return settings_of(Libvirt="yes", LibvirtUri=self.virt.uri, LibvirtRunDir=f"{self.virt.dir}/run/libvirt/qemu",
                           **more)

    def deflate(self):
        """All balloons empty, seen by libvirt."""
        for domain in self.all:
            domain.dom.setMemoryFlags(GUEST_MIB * 1024, 1)
        wait_for(lambda: all(d.dom.memoryStats().get("actual") == GUEST_MIB * 1024 for d in self.all), 60,
                 "empty balloons")


def measure_reaction(domains, wanted):
    """The same guests by both ways, in one run: libvirt's calls, and QMP monitors beside libvirt."""
    lab, count = domains.lab, len(domains.all)
    results = []
    for way in ("libvirt", "libvirt+qmp"):
        tree = ProcTree(lab.path(f"proc-{way}"), count * HOST_MIB_PER_GUEST * MIB)
        for pid in domains.pids:
            tree.add(pid, resident_bytes=GUEST_MIB * MIB)
        driver = Driver(lab, tree)
        settings = domains.settings(QmpListen=domains.dial if way == "libvirt+qmp" else "")

        def run_one(life):
            domains.deflate()
            return one_event(lab, driver, tree, settings, f"{life}-{way}", count, is_libvirt=way == "libvirt",
                             has_warm_up=life == 0)
        results.append(report(way, count, collect(wanted, run_one), {"peers": "TCG domains"}))
    for what in ("first", "last"):
        a, b = results[0][f"{what}_usec"]["p50"], results[1][f"{what}_usec"]["p50"]
        emit("reaction-ratio", {"what": f"{what} command, libvirt / QMP, p50", "ratio": round(a / b, 2)})
    return results


def measure_steady(domains, seconds):
    from steady import SETTLE_SECONDS, cpu_nsec, watch
    count, results = len(domains.all), []
    beside = [("libvirtd", [domains.virt.pid()]), ("peers", domains.pids)]
    for way in ("libvirt", "libvirt+qmp"):
        before = [cpu_nsec(pids) for _, pids in beside]
        time.sleep(seconds / 2)
        alone = [round((cpu_nsec(pids) - b) / (seconds / 2) / 1e7, 3) for (_, pids), b in zip(beside, before)]
        settings = domains.settings(QmpListen=domains.dial if way == "libvirt+qmp" else "", Reserve="1%")
        arbiter = Arbiter(domains.lab, settings, name=f"steady-{way}").start()
        wait_known(arbiter, count)
        time.sleep(SETTLE_SECONDS)
        result = {"way": way, "guests": count, "peers": "TCG domains", **watch(arbiter.pid, seconds, beside),
                  "libvirtd_alone_cpu_percent": alone[0], "peers_alone_cpu_percent": alone[1],
                  "pressure": arbiter.status().get("pressure")}
        arbiter.stop()
        emit("steady", result)
        results.append(result)
    return results


def main():
    """Both on the same domains, whose boot is most of the time: domains.py COUNT [EVENTS [SECONDS]]"""
    import sys
    from reaction import print_table as reaction_table
    from steady import print_table as steady_table
    count, events, seconds = [int(a) for a in sys.argv[1:]] + [30, 30, 60][len(sys.argv) - 1:]
    with Lab() as lab:
        domains = Domains(lab, count)
        steady_table(measure_steady(domains, seconds))
        reaction_table(measure_reaction(domains, events))


if __name__ == "__main__":
    main()
