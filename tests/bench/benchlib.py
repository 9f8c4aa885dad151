# SPDX-License-Identifier: LGPL-2.1-or-later
"""benchlib.py - what the benchmarks of memarbd share: the machine, a /proc made for the purpose, a swarm of monitors,
percentiles, and results as a table and as JSON lines. Standard library only."""
import json
import os
import platform
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

from arbiter import BUILD, Arbiter, CtlError  # noqa: E402,F401  (re-exported)
from tinyguest import MIB, Lab, wait_for  # noqa: E402,F401

SWARM = os.path.join(BUILD, "tests/contract/qmp-swarm")
PROBE = os.path.join(BUILD, "tests/bench/libbench-probe.so")
GIB = 1024 * MIB


def load():
    return os.getloadavg()[0]


def machine():
    """What the figures were measured on."""
    model = "?"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as text:
        for line in text:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(),
            "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MIB}


def percentile(values, percent):
    """The smallest value that at least so many percent of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def spread(values):
    return {f"p{p}": round(percentile(values, p), 3) for p in (50, 90, 99)} | {"max": round(max(values), 3)}


def emit(bench, fields):
    """One result: a JSON line for machines, in MEMARB_BENCH_JSON or on stdout."""
    line = json.dumps({"bench": bench, "at": int(time.time()), "load": round(load(), 1),
                       "command": " ".join(sys.argv), "machine": machine(), **fields})
    target = os.environ.get("MEMARB_BENCH_JSON")
    if target:
        with open(target, "a", encoding="utf-8") as out:
            out.write(line + "\n")
    else:
        print(line, flush=True)


def table(title, columns, rows):
    rows = [[f"{v:.2f}" if isinstance(v, float) else str(v) for v in row] for row in rows]
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    print(f"\n{title}")
    for row in [columns, *rows]:
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths)))
    sys.stdout.flush()


def progress(text):
    print(f"# {text}", file=sys.stderr, flush=True)


class Swarm:
    """N played monitors, a process each, that dial in to `dial` again and again."""

    def __init__(self, lab, count, dial, *, memory_mib=4096, used_mib=1024):
        self.process = lab.process(f"swarm-{count}", [
            SWARM, "--dial", dial, "--count", str(count), "--processes", "--fresh", "--memory-mib", str(memory_mib),
            "--used-mib", str(used_mib), "--rate-mib", "1000000"])
        wait_for(lambda: "ready" in self.process.log_text(), 60, "the swarm")
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as text:
            self.pids = [int(pid) for pid in text.read().split()]

    def stop(self):
        self.process.stop()


class ProcTree:
    """A /proc of which the benchmark decides the host's memory. What is not decided is the real file, by a link."""

    def __init__(self, folder, total_bytes):
        self.dir, self.total = folder, total_bytes
        os.makedirs(f"{folder}/pressure", exist_ok=True)
        for name in ("zoneinfo", "vmstat", "self"):
            os.symlink(f"/proc/{name}", f"{folder}/{name}")
        self.pressure = f"{folder}/pressure/memory"
        with open(self.pressure, "w", encoding="ascii") as text:
            for kind in ("some", "full"):
                text.write(f"{kind} avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
        self.meminfo = os.open(f"{folder}/meminfo", os.O_RDWR | os.O_CREAT, 0o644)
        with open("/proc/meminfo", encoding="ascii") as text:
            self.rest = [line for line in text if not line.startswith(("MemTotal", "MemFree", "MemAvailable"))]
        self.set_available(total_bytes // 2)

    def set_available(self, available_bytes):
        """In one write of the same length, so that a reader sees the old file or the new one."""
        lines = [f"{key + ':':<16}{value // 1024:12d} kB\n" for key, value in (
            ("MemTotal", self.total), ("MemFree", available_bytes), ("MemAvailable", available_bytes))]
        os.pwrite(self.meminfo, "".join(lines + self.rest).encode(), 0)

    def add(self, pid, resident_bytes=None):
        """A process, its real files; with resident_bytes it holds so much by what its status says."""
        folder = f"{self.dir}/{pid}"
        if os.path.isdir(folder):
            return
        os.mkdir(folder)
        for name in ("stat", "cmdline", "cgroup", "limits", "fd", "maps", "oom_score_adj"):
            os.symlink(f"/proc/{pid}/{name}", f"{folder}/{name}")
        os.symlink(os.readlink(f"/proc/{pid}/exe"), f"{folder}/exe")
        if resident_bytes is None:
            os.symlink(f"/proc/{pid}/status", f"{folder}/status")
            return
        with open(f"/proc/{pid}/status", encoding="ascii") as text:
            lines = text.readlines()
        with open(f"{folder}/status", "w", encoding="ascii") as out:
            for line in lines:
                key = line.split(":", 1)[0]
                out.write(f"{key}:\t{resident_bytes // 1024:8d} kB\n" if key in ("VmRSS", "RssAnon") else line)


def wait_known(arbiter, count, seconds=90):
    """Until that many guests are known, run, and have their first figures; seconds it took."""
    began = time.monotonic()

    def is_known(guest):
        return guest["state"] == "running" and guest.get("resident_bytes") and guest.get("actual_bytes")

    while True:
        try:
            guests = arbiter.guests().values()
        except CtlError:
            guests = ()
        if sum(1 for guest in guests if is_known(guest)) >= count:
            return time.monotonic() - began
        if time.monotonic() > began + seconds:
            known = sum(1 for guest in guests if is_known(guest))
            raise TimeoutError(f"{known} of {count} guests known after {seconds} s: {arbiter.log()[-1500:]}")
        if not arbiter.alive():
            raise RuntimeError(f"memarbd ended: {arbiter.log()[-2000:]}")
        time.sleep(0.1 + count / 2000)
