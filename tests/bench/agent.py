#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""agent.py - what memarb-guest-agent costs, natively: this machine is its guest, a pseudo terminal its port.

    agent.py [--seconds 60] [--program PATH]...

At rest with a host that reads, at rest without one, and at its greatest rate (what an alarm makes it do)."""
import argparse
import os
import select
import subprocess
import time
import tty

from benchlib import BUILD, emit, table
from steady import watch

BUDGET = {"rss_mib": 2.0, "cpu_percent": 0.1, "wakeups_per_s": 1.0}


class Port:
    """A terminal as the port, and the host's end of it."""

    def __init__(self):
        self.host, device = os.openpty()
        tty.setraw(self.host)
        tty.setraw(device)
        self.path, self.device = os.ttyname(device), device

    def rate(self, fastest, slowest):
        os.write(self.host, b"memarb/1 rate token=1 now=%d fastest_msec=%d slowest_msec=%d\n"
                 % (time.monotonic_ns() // 1000, fastest, slowest))

    def read(self):
        """How many lines came until now."""
        lines = 0
        while select.select([self.host], [], [], 0)[0]:
            lines += os.read(self.host, 65536).count(b"\n")
        return lines


def measure(program, case, seconds):
    port = Port()
    path = "/nowhere/port" if case == "no port" else port.path
    with subprocess.Popen([program, "--port", path, "--hook", ""], stderr=subprocess.DEVNULL) as agent:
        time.sleep(2)
        if case == "ten a second":
            port.rate(100, 100)
        elif case == "at rest":
            port.rate(100, 10000)
        time.sleep(2)
        port.read()
        result = {"case": case, "program": os.path.basename(program), **watch(agent.pid, seconds)}
        result["lines_per_s"] = round(port.read() / result["seconds"], 2)
        agent.terminate()
    emit("agent", {**result, "budget": BUDGET})
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--program", action="append")
    args = parser.parse_args()
    programs = args.program or [os.path.join(BUILD, "guest-agent", name)
                                for name in ("memarb-guest-agent", "memarb-guest-agent-static")]
    rows = []
    for program in programs:
        for case in ("at rest", "no port", "ten a second"):
            # A terminal holds 4 KiB unread: more than a minute of lines at rest, less than a second of the greatest rate.
            r = measure(program, case, min(args.seconds, 1) if case == "ten a second" else args.seconds)
            rows.append([r["program"], case, r["cpu_percent"], r["wakeups_per_s"], r["lines_per_s"], r["rss_mib"],
                         r["rss_anon_mib"]])
    table("the guest's agent: CPU in % of one core, memory in MiB", ["program", "case", "cpu", "wakeups/s", "lines/s", "RSS", "RssAnon"],
          rows)


if __name__ == "__main__":
    main()
