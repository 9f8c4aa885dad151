#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The breaker (P12): how many guests an incident may cost, and what two victims that return nothing mean."""
from arbiter import ForgedProc, GuestHost
from taptest import check, check_equal, run_tests
from tinyguest import Lab, wait_for


def test_an_incident_costs_no_more_than_allowed(hosts):
    with hosts["incident"] as host:
        host.short(-100)
        wait_for(lambda: not host["web"].alive(), 15, "the one victim")
        host.stands(4, "the dead", but=("web",))
        kills = wait_for(lambda: host.arbiter.planned("kill"), 15, "the plan to show all that it would need")
        check(not any(action["armed"] for action in kills), "and none of it is armed")
        # The operator's word is what opens the way.
        host.arbiter.ctl("arm", "kill")
        wait_for(lambda: not host["mail"].alive(), 15, "the next victim once the operator armed it again")
        host.stands(3, "the dead", but=("web", "mail"))


def test_two_poor_returns_disarm_until_the_operator_says(hosts):
    """The host says that it is as short as before after each victim: their memory is not where it is missing."""
    with hosts["poor"] as host:
        arbiter = host.arbiter
        hosts["proc"].available(16)
        wait_for(lambda: host.dead() == ["web", "mail"], 30, "two victims")
        wait_for(lambda: "kill" in arbiter.status()["disarmed"], 15, "the breaker")
        host.stands(2, "the dead", but=("web", "mail"))
        wait_for(lambda: "kill" in arbiter.state()["state"].get("disarmed_actions", []), 15, "it in the state file")
        arbiter.kill()
        arbiter.start().wait_guests(1)
        check_equal(arbiter.status()["disarmed"], ["kill"], "disarmed after memarbd was killed and started again")
        host.stands(3, "the dead", but=("web", "mail"))
        arbiter.ctl("arm", "kill")
        check_equal(arbiter.status()["disarmed"], [], "disarmed after `memarbctl arm`")
        wait_for(lambda: not host["shop"].alive(), 15, "the victim after `memarbctl arm`")


def test_operator_disarm_stands_over_a_restart(hosts):
    with hosts["disarm"] as host:
        host.arbiter.ctl("disarm")
        host.arbiter.kill()  # at once: what was answered holds
        host.arbiter.start().wait_guests(2)
        check_equal(host.arbiter.status()["arm"], "observe", "arm after a restart")
        host.short()
        host.stands(3, "the dead")


def make_hosts(lab):
    """All of them at once; each test ends its own."""
    proc = ForgedProc(lab, "poor")
    proc.available(8192)
    hosts = {
        "proc": proc,
        "incident": GuestHost(lab, "incident", {"MaxVictimsPerIncident": "1"}),
        "poor": GuestHost(lab, "poor", {"Budget": None, "PsiStall": "0s", "MaxVictimsPerIncident": "9",
                                        "MaxVictimsPerHour": "9", "CulpritFirst": "no"}, args=["--proc-root", proc.root]),
        "disarm": GuestHost(lab, "disarm", names=("web", "mail")),
    }
    for guest in hosts["poor"].guests.values():
        proc.add(guest.pid)
    return hosts


with Lab() as the_lab:
    run_tests([test_an_incident_costs_no_more_than_allowed, test_two_poor_returns_disarm_until_the_operator_says,
               test_operator_disarm_stands_over_a_restart], make_hosts(the_lab))
