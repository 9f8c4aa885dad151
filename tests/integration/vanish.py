#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that ends by itself after it was read and chosen, in the very moment in which memarbd acts on it: it is gone, nobody
else pays for it, and nothing is made of it."""
import os

from arbiter import BUILD, GuestHost
from taptest import check, check_equal, run_tests
from tinyguest import Lab, wait_for

VANISH = os.path.join(BUILD, "tests/integration/libvanish.so")
RULES = {"name:web": {"Impact": "5", "Actions": "kill"}, "name:mail": {"Impact": "50", "Actions": "kill"}}


def host_of(lab, call, **web):
    """Its first guest ends before the first such call of memarbd's (tests/support/vanish.c)."""
    host = GuestHost(lab, call, names=("web", "mail"), guests={**RULES, "name:web": {**RULES["name:web"], **web}})
    host.arbiter.env = {"LD_PRELOAD": VANISH, "VANISH": f"{call} {host['web'].pid}"}
    return host


class Hosts:
    """All are there before the first test: a guest is past the ten seconds in which it counts as starting."""

    def __init__(self, lab):
        self.reading, self.adj = host_of(lab, "status"), host_of(lab, "adj", Impact="first")
        self.killing, self.button = host_of(lab, "signal"), host_of(lab, "powerdown", Actions="shutdown")


def has_vanished(host, call):
    # Its parent is this test, which has to look.
    return not host["web"].alive() and f"vanished: {call}" in host.arbiter.log()


def outlives(host, call):
    """It ends at that call; the other one lives, memarbd does, and has forgotten it."""
    wait_for(lambda: has_vanished(host, call), 60, "its end")
    wait_for(lambda: sorted(host.arbiter.guests()) == ["mail"], 60, "the guest to be forgotten")
    host.arbiter.pass_cycles(30)
    check_equal(sorted(host.dead()), ["web"], "who ended")
    check(host.arbiter.alive(), "memarbd lives")
    for guest in host.living():
        with open(f"/proc/{guest.pid}/oom_score_adj", encoding="ascii") as text:
            check_equal(text.read().strip(), "0", f"{guest.name}'s oom_score_adj")


def test_as_its_figures_are_read(hosts):
    host = hosts.reading
    host.arbiter.start()
    try:
        outlives(host, "status")
        check_equal(host.arbiter.actions(), [], "actions")
    finally:
        host.__exit__()


def test_as_its_oom_score_is_set(hosts):
    host = hosts.adj
    host.arbiter.start()
    try:
        outlives(host, "adj")
        check("cannot be set" not in host.arbiter.log(), f"no word of a guest that is gone: {host.arbiter.log()[-800:]}")
        outcomes = [line["outcome"] for line in host.arbiter.decisions() if line.get("outcome", {}).get("action") == "oom-adj"]
        check_equal([outcome["result"] for outcome in outcomes], ["gone"], "what the record has of it")
        check_equal(host.arbiter.status()["pins"]["limited_guests"], 0, "limits of memarb's")
    finally:
        host.__exit__()


def test_as_it_is_killed(hosts):
    with hosts.killing as host:
        host.short()
        outlives(host, "signal")
        check_equal([kill["name"] for kill in host.arbiter.wait_actions("kill")], ["web"], "who was chosen")


def test_as_its_power_button_is_pressed(hosts):
    with hosts.button as host:
        host.short()
        outlives(host, "powerdown")
        check_equal([action["name"] for action in host.arbiter.wait_actions("shutdown")], ["web"], "who was chosen")
        check_equal(host.arbiter.actions("kill"), [], "kills")


with Lab() as the_lab:
    run_tests([test_as_its_figures_are_read, test_as_its_oom_score_is_set, test_as_it_is_killed,
               test_as_its_power_button_is_pressed], Hosts(the_lab))
