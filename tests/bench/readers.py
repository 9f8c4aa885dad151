# SPDX-License-Identifier: LGPL-2.1-or-later
"""readers.py - what those cost who look at memarbd: a scrape of its metrics, `memarbctl status`, `memarbctl guests`; and whether the
loop is held up meanwhile. tests/bench/README.md has the method.

    readers.py [--guests 1000] [--times 50] [--seconds 20]"""
import argparse
import os
import socket
import subprocess
import time

import benchlib
from arbiter import MEMARBCTL
from benchlib import Arbiter, Lab, Swarm, emit, progress, spread, table, wait_known
from reaction import settings_of
from steady import SETTLE_SECONDS, memory_mib

BUDGET_MSEC = {"scrape": 50, "scrape, OpenMetrics": 50, "memarbctl status": 20}
CYCLES = "memarb_cycles_total "


def scrape(path, accept):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.sendall(f"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n".encode())
        parts = []
        while True:
            part = sock.recv(1 << 20)
            if not part:
                return b"".join(parts)
            parts.append(part)


def msec_of(action, times):
    took = []
    for _ in range(times):
        began = time.monotonic()
        action()
        took.append((time.monotonic() - began) * 1000)
    return spread(took)


def cycles(path):
    text = scrape(path, "text/plain").decode()
    return int(next(line for line in text.splitlines() if line.startswith(CYCLES)).split()[1])


def cycles_in(path, seconds, meanwhile):
    first, end = cycles(path), time.monotonic() + seconds
    while time.monotonic() < end:
        meanwhile()
    return cycles(path) - first


def measure(count, times, seconds):
    with Lab() as lab:
        folder = lab.path("readers")
        dial, path = os.path.join(folder, "qmp.sock"), os.path.join(folder, "metrics")
        swarm = Swarm(lab, count, dial, memory_mib=4096, used_mib=1024)
        arbiter = Arbiter(lab, settings_of(**{"QmpListen": dial, "Libvirt": "no", "Reserve": "1%", "MaxGuests":
                                              max(1024, count + 16), "Metrics.Socket": path})).start()
        wait_known(arbiter, count)
        time.sleep(SETTLE_SECONDS)
        before = memory_mib(arbiter.pid)
        ways = {
            "scrape": lambda: scrape(path, "text/plain"),
            "scrape, OpenMetrics": lambda: scrape(path, "application/openmetrics-text;version=1.0.0"),
            "memarbctl status": lambda: subprocess.run([MEMARBCTL, "--socket", arbiter.control, "status"], check=True,
                                                       stdout=subprocess.DEVNULL),
            "memarbctl guests": lambda: subprocess.run([MEMARBCTL, "--socket", arbiter.control, "guests"], check=True,
                                                       stdout=subprocess.DEVNULL),
        }
        results = [{"what": what, "guests": count, "msec": msec_of(action, times), "budget_msec": BUDGET_MSEC.get(what)}
                   for what, action in ways.items()]
        quiet = cycles_in(path, seconds, lambda: time.sleep(seconds / 4))
        busy = cycles_in(path, seconds, ways["scrape"])
        after = memory_mib(arbiter.pid)
        results.append({"what": "cycles", "guests": count, "seconds": seconds, "quiet": quiet, "while_scraped": busy,
                        "bytes": len(scrape(path, "text/plain")), "before": before, "after": after})
        for result in results:
            emit("readers", result)
        progress(f"readers, {count} guests, load {benchlib.load():.1f}")
        arbiter.stop()
        swarm.stop()
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guests", type=int, default=1000)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    args = parser.parse_args()
    results = measure(args.guests, args.times, args.seconds)
    table(f"readers of {args.guests} guests, ms as the caller sees it", ["what", "p50", "p90", "p99", "max", "budget"],
          [[r["what"], *(r["msec"][key] for key in ("p50", "p90", "p99", "max")), r["budget_msec"] or "-"]
           for r in results if "msec" in r])
    last = results[-1]
    print(f"\n  an answer: {last['bytes'] / 1e6:.2f} MB; cycles in {last['seconds']:.0f} s: {last['quiet']} left alone, "
          f"{last['while_scraped']} scraped without a pause; RssAnon {last['before']['rss_anon_mib']} MiB before, "
          f"{last['after']['rss_anon_mib']} after")


if __name__ == "__main__":
    main()
