#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hundreds of guests at once, played by qmp-swarm: memarbd's own memory, its descriptors, and an alarm path that
allocates nothing (P10)."""
import os
import resource
import time

from arbiter import BUILD, MEMARBD, Arbiter, ForgedProc
from taptest import Skip, check, check_equal, run_tests
from tinyguest import MIB, Lab, wait_for

SWARM = os.path.join(BUILD, "tests/contract/qmp-swarm")
COUNT_MALLOC = os.path.join(BUILD, "tests/integration/libcount-malloc.so")


class Swarm:
    """with Swarm(lab, arbiter, count): that many peers, a process each, dialled in and known."""

    def __init__(self, lab, arbiter, count, proc=None):
        self.lab, self.arbiter, self.count, self.proc = lab, arbiter, count, proc
        self.argv = [SWARM, "--dial", arbiter.dial, "--count", str(count), "--processes", "--memory-mib", "256",
                     "--used-mib", "64"]

    def peers(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as text:
            return text.read().split()

    def __enter__(self):
        self.process = self.lab.process(f"swarm-{self.arbiter.name}", self.argv)
        if self.proc is not None:
            wait_for(lambda: len(self.peers()) == self.count, 20, "the peers' processes")
            for pid in self.peers():
                self.proc.add(pid)
        wait_for(lambda: self.arbiter.status()["qmp_peers"] == self.count, 60, f"{self.count} peers: "
                 f"{self.arbiter.status()}")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait_exit()
        self.arbiter.kill()


def private_mib(arbiter):
    return arbiter.memory()["RssAnon"] / MIB


def check_private(lab, count, most_mib):
    if is_sanitized():
        raise Skip("a sanitizer's own memory would be measured")
    arbiter = Arbiter(lab, {"SampleIdle": "1s", "GuestSample": "10s"}, name=f"memory-{count}").start()
    with Swarm(lab, arbiter, count):
        wait_for(lambda: arbiter.status()["guests"] == count, 30, "guests in the snapshot")
        time.sleep(5)
        arbiter.guests()
        private = private_mib(arbiter)
        check(private <= most_mib, f"{private:.1f} MiB of private memory with {count} guests, {most_mib} at most")
        print(f"# {count} guests: RssAnon {private:.1f} MiB, VmRSS {arbiter.memory()['VmRSS'] / MIB:.1f} MiB", flush=True)


def test_private_memory_with_100_guests(lab):
    check_private(lab, 100, 6)


def test_private_memory_with_1000_guests(lab):
    check_private(lab, 1000, 24)


def test_descriptors_up_to_the_hard_limit(lab):
    """Started with a soft limit that 100 guests of three descriptors each would break."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        arbiter = Arbiter(lab, name="descriptors").start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    check_equal(resource.prlimit(arbiter.pid, resource.RLIMIT_NOFILE), (hard, hard), "memarbd's limit of open files")
    with Swarm(lab, arbiter, 100):
        wait_for(lambda: all("resident_bytes" in guest for guest in arbiter.guests().values()), 20, "every guest's figures")


def test_shortage_to_commands_without_an_allocation(lab):
    """P10, counted inside the real memarbd."""
    if is_sanitized():
        raise Skip("a sanitizer has its own malloc")
    out = os.path.join(lab.path("count"), "allocations")
    proc = ForgedProc(lab, "swarm")
    proc.available(20 << 10)
    arbiter = Arbiter(lab, {"Arm": "reclaim", "Budget": None, "PsiStall": "0s", "QuietTime": "0s", "Reserve": "1GiB",
                            "SoftWatermark": "8GiB", "HardWatermark": "2GiB", "CriticalWatermark": "1GiB"},
                      name="allocations", args=["--proc-root", proc.root],
                      env={"LD_PRELOAD": COUNT_MALLOC, "COUNT_MALLOC_FILE": out}).start()
    with Swarm(lab, arbiter, 50, proc=proc):
        wait_for(lambda: all(guest.get("actual_bytes") and guest["state"] == "running"
                             for guest in arbiter.guests().values()), 40, "every guest's figures")
        # Between the soft and the hard watermark: every guest's balloon gives a little.
        proc.available(6 << 10)
        wait_for(lambda: len(counts(out)) >= 10, 40, "balloon commands")
        time.sleep(1)
        check(max(commands for _, commands in counts(out)) >= 5, f"several commands in one cycle: {counts(out)}")
        check_equal({allocations for allocations, _ in counts(out)}, {0}, "allocations before a command")


def counts(path):
    """(allocations, commands) since epoll_wait returned, for each balloon command."""
    try:
        with open(path, encoding="ascii") as text:
            return [tuple(map(int, line.split())) for line in text if line.endswith("\n")]
    except FileNotFoundError:
        return []


def is_sanitized():
    with open(MEMARBD, "rb") as program:
        text = program.read()
    return b"__asan_init" in text or b"__tsan_init" in text


with Lab() as the_lab:
    run_tests([test_descriptors_up_to_the_hard_limit, test_private_memory_with_100_guests,
               test_private_memory_with_1000_guests, test_shortage_to_commands_without_an_allocation], the_lab)
