#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What "the host" is: a cgroup as the budget, and stalls that are somebody's own limit. Needs a memory controller that
new groups can be made in; everything happens in a group that the test makes and removes."""
import contextlib
import os
import sys
import time

from arbiter import Arbiter, BareGuest
from taptest import Skip, check, check_between, check_equal, run_tests
from tinyguest import MIB, Lab, wait_for

V1_ROOT = "/sys/fs/cgroup/memory"
# Reads and rewrites a file, larger than its group may hold, again and again: in v1 a group at its limit waits for its own
# dirty pages, and for pages that it has just given up.
THRASH = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
size = os.fstat(fd).st_size
block = bytes(1 << 20)
while True:
    for at in range(0, size, 1 << 20):
        os.pread(fd, 1 << 20, at)
        os.pwrite(fd, block, at)
"""


class Group:
    """with Group(lab, name, limit_mib): a group of our own below the memory controller (cgroup v1)."""

    def __init__(self, lab, name, limit_mib):
        self.name, self.dir, self.limit_mib = f"/memarb-test-{os.getpid()}-{name}", None, limit_mib
        if not os.path.exists(f"{V1_ROOT}/memory.limit_in_bytes"):
            raise Skip("no cgroup v1 memory controller here; v2 is covered by the unit tests of adapters/host")
        self.dir = V1_ROOT + self.name
        lab.on_end({"run": ["sh", "-c", f"rmdir {self.dir} 2>/dev/null"]})

    def write(self, file, value):
        with open(f"{self.dir}/{file}", "w", encoding="ascii") as out:
            out.write(str(value))

    def read(self, file):
        with open(f"{self.dir}/{file}", encoding="ascii") as text:
            return text.read()

    def __enter__(self):
        try:
            os.mkdir(self.dir)
            self.write("memory.limit_in_bytes", self.limit_mib * MIB)
        except OSError as problem:
            raise Skip(f"no memory group can be made here: {problem}") from None
        return self

    def add(self, pid):
        self.write("cgroup.procs", pid)

    def __exit__(self, *_):
        def is_gone():
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(self.dir)
            return not os.path.exists(self.dir)

        def removed():
            try:
                return is_gone()
            except OSError:
                return False
        wait_for(removed, 10, f"the end of {self.dir}")


def test_cgroup_as_the_budget(lab):
    with Group(lab, "budget", 400) as group:
        arbiter = Arbiter(lab, {"Arm": "kill", "QuietTime": "0s", "BudgetCgroup": group.name}, name="cgroup",
                          guests={"name:small": {"Actions": "kill", "Impact": "5"}, "name:large": {"Impact": "never"}})
        guests = {name: BareGuest(lab, name, 64, dial=arbiter.dial) for name in ("small", "large")}
        for guest in guests.values():
            check(guest.qmp is not None, "QEMU is up")
            group.add(guest.pid)
        guests["small"].grow(60)
        arbiter.start().wait_guests(2)
        status = arbiter.status()
        check_equal((status["host_meaning"], status["total_bytes"]), ("cgroup", 400 * MIB), "the host")
        # What they held before they were moved is charged elsewhere.
        check_between(status["available_bytes"] // MIB, 400 - 60 - 40, 400 - 60, "MiB available in the group")
        guests["large"].grow(320)
        wait_for(lambda: not guests["small"].alive(), 20, "the victim of the group's shortage")
        check(guests["large"].alive(), "never stays, although it alone grew")
        guests["large"].kill()
        guests["large"].wait_exit()
        arbiter.kill()


def test_stall_at_a_guests_own_limit_is_no_shortage(lab):
    """PSI of the whole machine, and most of it free."""
    path = os.path.join(lab.path("thrash"), "file")
    with open(path, "wb") as file:
        for _ in range(96):
            file.write(os.urandom(MIB))
        file.flush()
        os.fsync(file.fileno())
        # Out of the cache, where it is charged to nobody who has a limit.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    arbiter = Arbiter(lab, {"Arm": "kill", "QuietTime": "0s", "Budget": None}, name="stall").start()
    with Group(lab, "thrash", 24) as group:
        # In the group before it reads anything.
        code = f"import os; open({group.dir!r} + '/cgroup.procs', 'w').write(str(os.getpid()))\n" + THRASH
        thrashers = [lab.process(f"thrash-{number}", [sys.executable, "-c", code, path]) for number in range(3)]
        try:
            stalled = 0
            end = time.monotonic() + 25
            while time.monotonic() < end and stalled < 1500:
                stalled = max(stalled, arbiter.snapshot()["host"]["pressure"].get("some_avg10_permyriad", 0))
                check_equal(arbiter.status()["pressure"], "normal", f"the state with a stall of {stalled / 100} %")
                time.sleep(0.2)
            check(all(thrasher.alive() for thrasher in thrashers), f"they stall, they do not end: {thrashers[0].log_text()}")
        finally:
            for thrasher in thrashers:
                thrasher.kill()
                thrasher.wait_exit()
    check_equal(arbiter.actions(), [], "actions")
    arbiter.kill()
    if stalled < 1000:
        raise Skip(f"the machine stalls by {stalled / 100} % only: its disk is too fast for this to mean anything")


with Lab() as the_lab:
    run_tests([test_cgroup_as_the_budget, test_stall_at_a_guests_own_limit_is_no_shortage], the_lab)
