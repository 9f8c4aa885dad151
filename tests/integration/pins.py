#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Locked memory of a real QEMU in the ledger, over its budget, and grown by a DIMM that nobody asked for; RLIMIT_MEMLOCK that
somebody else changes, and that is put back when nothing asks for it any more."""
import resource

from arbiter import Arbiter, BareGuest, Stopped
from taptest import Skip, check, check_between, check_equal, run_tests
from tinyguest import MIB, Lab, proc_memory, wait_for

MEMLOCK = resource.RLIMIT_MEMLOCK
CAP_IPC_LOCK = 14
LOCKED_MIB, DIMM_MIB, BUDGET_MIB = 64, 512, 32
# guest-limits.c lowers RLIMIT_MEMLOCK only half a minute after it has met a guest.
SETTLE_SECONDS = 120


def has_ipc_lock(pid="self"):
    with open(f"/proc/{pid}/status", encoding="ascii") as text:
        effective = next(line for line in text if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> CAP_IPC_LOCK & 1)


def locked_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as text:
        return next(int(line.split()[1]) * 1024 for line in text if line.startswith("VmLck:"))


class Host:
    """"bounded" and "other" have a PinLimit=; "locked" has all its memory locked, where the kernel lets it."""

    def __init__(self, lab):
        self.arbiter = Arbiter(lab, {"Arm": "reclaim", "Budget": "700MiB", "PinBudget": f"{BUDGET_MIB}MiB"})
        self.bounded, self.other = (BareGuest(lab, name, 64, dial=self.arbiter.dial) for name in ("bounded", "other"))
        check(self.bounded.qmp is not None and self.other.qmp is not None, "they are up")
        # 8 MiB are the least that a system gives; without CAP_SYS_RESOURCE no more can be given here.
        hard = resource.prlimit(self.bounded.pid, MEMLOCK)[1]
        self.before = 8 * MIB if hard == resource.RLIM_INFINITY else min(hard, 8 * MIB)
        for guest in self.bounded, self.other:
            resource.prlimit(guest.pid, MEMLOCK, (self.before, hard))
        self.limit = self.before // 2
        rule = {"PinLimit": f"{self.limit}B"}
        self.arbiter.configure(guests={"name:bounded": rule, "name:other": rule})
        self.locked = None
        if has_ipc_lock():
            self.locked = BareGuest(lab, "locked", LOCKED_MIB, dial=self.arbiter.dial, extra=(
                "-overcommit", "mem-lock=on", "-m", f"{LOCKED_MIB}M,slots=2,maxmem=2G"))
            check(self.locked.qmp is not None, "it is up, and locked")
        self.arbiter.start().wait_guests(3 if self.locked else 2)

    def memlock(self, guest=None):
        return resource.prlimit((guest or self.bounded).pid, MEMLOCK)

    def shown(self):
        return {row["limit"]: row for row in self.arbiter.json("explain", "bounded")["limits"]}.get("memlock", {})

    def need_locked(self):
        if self.locked is None:
            raise Skip("no CAP_IPC_LOCK here: no QEMU can lock its memory")
        return self.locked


def test_what_is_locked_stands_in_the_ledger(host):
    locked = host.need_locked()
    wait_for(lambda: host.arbiter.guest("locked").get("pins", {}).get("account_bytes"), 30, "its account")
    guest = host.arbiter.guest("locked")
    # The kernel's account has all that is mapped, also what nobody touched: what is unmovable is what is there.
    check_equal(guest["pins"]["account_bytes"], locked_bytes(locked.pid), "the kernel's account")
    resident = (proc_memory(locked.pid)["RssAnon"] + proc_memory(locked.pid)["RssShmem"]) // MIB
    check_between(guest["pinned_bytes"] // MIB, LOCKED_MIB, resident + 1, "MiB pinned")
    check("limit-void" in guest["pins"]["findings"], f"CAP_IPC_LOCK is found out: {guest['pins']}")
    check_equal("limit-void" in host.arbiter.guest("bounded")["pins"]["findings"], has_ipc_lock(host.bounded.pid),
                "the same of the other one")
    host.arbiter.wait_told(f"over its budget of {BUDGET_MIB} MiB")
    check("Guest ''" not in host.arbiter.log(), f"nobody is spoken of before its name is known: {host.arbiter.log()}")


def test_what_the_kernel_promised_is_shown(host):
    with open("/proc/meminfo", encoding="ascii") as text:
        limit = next(int(line.split()[1]) * 1024 for line in text if line.startswith("CommitLimit:"))
    status = host.arbiter.status()
    check_equal(status["commit_limit_bytes"], limit, "CommitLimit")
    check(status["committed_as_bytes"] > 0, "Committed_AS")
    check("CommitLimit" in host.arbiter.ctl("status"), "an operator sees it")


def test_a_dimm_that_nobody_asked_for_is_told(host):
    locked = host.need_locked()
    # 512 MiB more of what cannot come back, where less than that is left
    host.arbiter.leave(128, [host.bounded, host.other, locked])
    host.arbiter.pass_cycles(3)
    check("was given" not in host.arbiter.log(), "nothing before")
    locked.qmp("object-add", arguments={"qom-type": "memory-backend-ram", "id": "dimm", "size": DIMM_MIB * MIB})
    locked.qmp("device_add", arguments={"driver": "pc-dimm", "id": "dimm0", "memdev": "dimm"})
    host.arbiter.wait_told("Guest 'locked' runs and was given", 60)
    host.arbiter.reload({"Budget": "4GiB"})


def test_a_limit_that_others_raise_is_seen_in_the_next_cycle(host):
    wait_for(lambda: host.memlock()[0] == host.limit, SETTLE_SECONDS, "PinLimit= as RLIMIT_MEMLOCK")
    host.theirs = host.limit + host.limit // 2
    with Stopped(host.arbiter.pid):
        # as libvirt does before it plugs a device in
        resource.prlimit(host.bounded.pid, MEMLOCK, (host.theirs, max(host.theirs, host.memlock()[1])))
    seq = host.arbiter.status()["seq"]
    wait_for(lambda: host.arbiter.status()["seq"] > seq + 1, 30, "a cycle that began afterwards")
    check_equal(host.shown().get("now"), host.theirs, "what explain shows of it")
    host.arbiter.wait_told("memlock was changed from memarb's")


def test_what_nothing_asks_for_any_more_is_put_back(host):
    wait_for(lambda: host.memlock(host.other)[0] == host.limit, SETTLE_SECONDS, "PinLimit= of the other one")
    del host.arbiter.guest_rules["name:other"]
    host.arbiter.reload()
    wait_for(lambda: host.memlock(host.other)[0] == host.before, 60, "RLIMIT_MEMLOCK without a rule")
    check(host.other.alive() and host.bounded.alive(), "they live")


with Lab() as the_lab:
    run_tests([test_what_is_locked_stands_in_the_ledger, test_what_the_kernel_promised_is_shown,
               test_a_dimm_that_nobody_asked_for_is_told, test_a_limit_that_others_raise_is_seen_in_the_next_cycle,
               test_what_nothing_asks_for_any_more_is_put_back], Host(the_lab))
