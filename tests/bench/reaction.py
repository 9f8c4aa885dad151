# SPDX-License-Identifier: LGPL-2.1-or-later
"""reaction.py - from a pressure event to the balloon commands on the wire; tests/bench/README.md has the method.

    reaction.py [--counts 1,10,100,1000] [--events 30] [--delay-usec D] [--nice N]

Each event has a memarbd of its own: started, left until it knows every guest and is at rest, then the shortage."""
import argparse
import mmap
import os
import select
import socket
import struct
import time

import benchlib
from benchlib import GIB, MIB, Arbiter, Lab, ProcTree, Swarm, emit, progress, spread, table, wait_known

COMMANDS_MAX = 4096
HEAD = struct.Struct("10Q")  # struct notes of probe.c
NOTES_BYTES = HEAD.size + 2 * 8 * COMMANDS_MAX
# Of the made host; Reserve= is 5 %, so 10 % is the soft watermark. One slew step of every guest covers the difference.
ROOMY_PERCENT, SHORT_PERCENT = 30, 7
GUEST = {"memory_mib": 4096, "used_mib": 1024}
# Longer than a sampling period: what the start left behind is done, the last cycle said "normal".
REST_SECONDS = 1.5
COMMANDS_SECONDS = 5
# In the first life the guests' balloons get their statistics period, and the second round of figures comes after 10 s.
WARM_UP_SECONDS = 12


class Driver:
    """The other end of probe.c."""

    def __init__(self, lab, tree, delay_usec=0, nice=0):
        self.nice = nice
        self.listener = socket.create_server(("127.0.0.1", 0))
        path = os.path.join(lab.path("probe"), "notes")
        with open(path, "wb") as file:
            file.truncate(NOTES_BYTES)
        with open(path, "r+b") as file:
            self.notes = mmap.mmap(file.fileno(), NOTES_BYTES)
        self.trigger = None
        self.env = {"LD_PRELOAD": benchlib.PROBE, "MEMARB_BENCH_MAP": path, "MEMARB_BENCH_PRESSURE": tree.pressure,
                    "MEMARB_BENCH_PORT": str(self.listener.getsockname()[1]),
                    "MEMARB_BENCH_DELAY_USEC": str(delay_usec)}

    def begin_life(self):
        self.notes[:] = bytes(NOTES_BYTES)

    def accept(self):
        self.trigger, _ = self.listener.accept()
        self.trigger.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not select.select([self.trigger], [], [], 10)[0] or not self.trigger.recv(64).startswith(b"some "):
            raise RuntimeError("memarbd armed no trigger")

    def fire(self):
        """The moment before the event became readable."""
        at = time.monotonic_ns()
        self.trigger.send(b"!", socket.MSG_OOB)
        return at

    def head(self):
        names = ("events", "readable", "n_left", "n_returned", "allocations", "cycle_allocations", "is_cycle_over",
                 "first_cpu", "first_faults", "first_switches")
        return dict(zip(names, HEAD.unpack_from(self.notes)))

    def times(self, which, count):
        return struct.unpack_from(f"{count}Q", self.notes, HEAD.size + which * 8 * COMMANDS_MAX)

    def wait_commands(self, count, key="n_left"):
        """Until that many commands left, or no more come."""
        end = time.monotonic() + COMMANDS_SECONDS
        while self.head()[key] < count and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.05)
        return self.head()


def one_event(lab, driver, tree, settings, life, count, *, is_libvirt=False, has_warm_up=False):
    """The event's figures, or None when it was spoilt (a sample of memarbd's own saw the shortage first)."""
    tree.set_available(tree.total * ROOMY_PERCENT // 100)
    driver.begin_life()
    arbiter = Arbiter(lab, settings, name=f"life{life}", args=["--proc-root", tree.dir], env=driver.env)
    arbiter.start(wait=False)
    if driver.nice:
        os.setpriority(os.PRIO_PROCESS, arbiter.pid, driver.nice)  # of the loop's thread
    driver.accept()
    known_seconds = wait_known(arbiter, count)
    time.sleep(WARM_UP_SECONDS if has_warm_up else REST_SECONDS)
    if driver.head()["n_left"] != 0:
        raise RuntimeError("commands left before there was any pressure")
    tree.set_available(tree.total * SHORT_PERCENT // 100)
    fired = driver.fire()
    head = driver.wait_commands(count, "n_returned" if is_libvirt else "n_left")
    left = sorted(driver.times(0, min(head["n_left"], COMMANDS_MAX)))
    returned = sorted(driver.times(1, min(head["n_returned"], COMMANDS_MAX)))
    arbiter.kill()
    driver.trigger.close()
    if head["events"] != 1 or not left or left[0] < fired:
        progress(f"event {life} spoilt: {head}")
        return None
    usec = lambda nsec: (nsec - fired) / 1000
    return {"seen_usec": usec(head["readable"]), "first_usec": usec(left[0]), "last_usec": usec(left[-1]),
            "own_usec": (left[0] - head["readable"]) / 1000, "commands": len(left),
            "first_done_usec": usec(returned[0]) if returned else None,
            "last_done_usec": usec(returned[-1]) if returned else None,
            "allocations": head["allocations"], "cycle_allocations": head["cycle_allocations"],
            "cpu_usec": head["first_cpu"] / 1000, "faults": head["first_faults"], "switches": head["first_switches"],
            "known_seconds": known_seconds}


def report(way, count, events, extra=None):
    result = {"way": way, "guests": count, "events": len(events),
              "commands_least": min(e["commands"] for e in events),
              "allocations_most": max(e["allocations"] for e in events) if way != "libvirt" else None,
              "seen_usec": spread([e["seen_usec"] for e in events]),
              "own_usec": spread([e["own_usec"] for e in events]),
              "cpu_usec": spread([e["cpu_usec"] for e in events]),
              "faults": spread([e["faults"] for e in events]),
              "switches": spread([e["switches"] for e in events]),
              "first_usec": spread([e["first_usec"] for e in events]),
              "last_usec": spread([e["last_usec"] for e in events]), **(extra or {})}
    if events[0]["first_done_usec"] is not None:
        result["first_done_usec"] = spread([e["first_done_usec"] for e in events])
        result["last_done_usec"] = spread([e["last_done_usec"] for e in events])
    emit("reaction", result)
    return result


def settings_of(**more):
    """The product's defaults, not the tests' short times; armed for gentle actions."""
    return {"Arm": "reclaim", "QuietTime": "60s", "Reserve": "5%", "SoftWatermark": None, "HardWatermark": None,
            "CriticalWatermark": None, "SampleIdle": "1s", "SampleBusy": "250ms", "GuestSample": "10s",
            "PsiStall": "50ms", "PsiWindow": "500ms", **more}


def collect(wanted, run_one):
    """run_one(life) until so many events are good; the first life warms the guests up and is not counted."""
    events, life = [], 0
    while len(events) < wanted and life < 2 * wanted + 3:
        event = run_one(life)
        if event is not None and life > 0:
            events.append(event)
        life += 1
        if life % 10 == 0:
            progress(f"{len(events)} of {wanted} events, load {benchlib.load():.1f}")
    return events


def measure_swarm(count, wanted, delay_usec=0, nice=0):
    with Lab() as lab:
        dial = os.path.join(lab.path("dial"), "qmp.sock")
        swarm = Swarm(lab, count, dial, **GUEST)
        tree = ProcTree(lab.path("proc"), count * 5 * GIB)
        for pid in swarm.pids:
            tree.add(pid, resident_bytes=GUEST["memory_mib"] * MIB)
        driver = Driver(lab, tree, delay_usec, nice)
        settings = settings_of(QmpListen=dial, Libvirt="no", MaxGuests=max(1024, count + 16))
        events = collect(wanted, lambda life: one_event(lab, driver, tree, settings, life, count,
                                                        has_warm_up=life == 0))
        swarm.stop()
    return report("qmp", count, events, {"delay_usec": delay_usec, "nice": nice, "peers": "swarm"})


def print_table(results):
    rows = []
    for r in results:
        for what in ("first", "own", "last", "first_done", "last_done"):
            s = r.get(f"{what}_usec")
            if s:
                rows.append([r["way"], r["guests"], what] + [s[k] / 1000 for k in ("p50", "p90", "p99", "max")]
                            + ["-" if r["allocations_most"] is None else r["allocations_most"], r["commands_least"],
                               r["events"]])
    table("pressure event readable -> balloon command (ms)",
          ["way", "guests", "command", "p50", "p90", "p99", "max", "allocations", "commands", "events"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="1,10,100,1000")
    parser.add_argument("--events", type=int, default=30)
    parser.add_argument("--delay-usec", type=int, default=0, help="slept at each event: checks the measuring")
    parser.add_argument("--nice", type=int, default=0, help="of memarbd's loop: on a shared machine, what waiting costs")
    args = parser.parse_args()
    results = [measure_swarm(int(n), args.events, args.delay_usec, args.nice) for n in args.counts.split(",") if n]
    print_table(results)


if __name__ == "__main__":
    main()
