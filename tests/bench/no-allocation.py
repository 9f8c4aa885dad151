# SPDX-License-Identifier: LGPL-2.1-or-later
"""P10: from a pressure event to the last balloon command on the wire memarbd's loop allocates nothing. On the real
daemon, with a probe that counts; the same probe sees allocations in the rest of the cycle, so it can count."""
import os

import benchlib
from benchlib import GIB, MIB, Lab, ProcTree, Swarm
from reaction import Driver, GUEST, one_event, settings_of
from taptest import check, check_equal, run_tests, skip_all

COUNT = 5


def test_pressure_to_command_allocates_nothing(lab):
    dial = os.path.join(lab.path("dial"), "qmp.sock")
    swarm = Swarm(lab, COUNT, dial, **GUEST)
    tree = ProcTree(lab.path("proc"), COUNT * 5 * GIB)
    for pid in swarm.pids:
        tree.add(pid, resident_bytes=GUEST["memory_mib"] * MIB)
    driver = Driver(lab, tree)
    event = one_event(lab, driver, tree, settings_of(QmpListen=dial, Libvirt="no"), 0, COUNT, has_warm_up=True)
    check(event is not None, "the event was answered with commands")
    check_equal(event["commands"], COUNT, "guests ballooned")
    check_equal(event["allocations"], 0, "allocations up to the last command")
    check(event["cycle_allocations"] > 0, "the probe sees those of the rest of the cycle")


if not os.path.exists(benchlib.PROBE):
    skip_all("the probe stands in for malloc, as a sanitizer does: not in this build")
with Lab() as the_lab:
    run_tests([test_pressure_to_command_allocates_nothing], the_lab)
