# SPDX-License-Identifier: LGPL-2.1-or-later
"""ledger.py - the host's own account of its memory, to hold memarb's ledger against."""
from labhost import MIB, read

FIELDS = ("MemFree", "Buffers", "Cached", "AnonPages", "Shmem", "Slab", "SReclaimable", "SUnreclaim", "PageTables", "SecPageTables",
          "KernelStack", "Percpu", "Unevictable", "MemAvailable", "Mapped")


def waiting():
    """Pages in per-cpu lists: free too, and 7 MiB more or less of them from one moment to the next."""
    return 4096 * sum(int(line.split()[1]) for line in read("/proc/zoneinfo").splitlines() if line.strip().startswith("count:"))


def accounts():
    fields = {line.split(":")[0]: int(line.split()[1]) << 10 for line in read("/proc/meminfo").splitlines() if line.endswith("kB")}
    return {**{name: fields[name] for name in FIELDS if name in fields}, "per-cpu lists": waiting()}


def free_to_the_host():
    """Free memory, and what waits."""
    now = accounts()
    return now["MemFree"] + now["per-cpu lists"]


def moved_since(host, before):
    """{field: MiB}, told as a note."""
    after = accounts()
    moved = {name: (after[name] - before[name]) / MIB for name in before}
    host.note("moved, MiB: " + ", ".join(f"{name} {change:+.1f}" for name, change in moved.items() if abs(change) >= 0.3))
    return moved
