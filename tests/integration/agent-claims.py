#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the agent of one real guest says, against what its neighbours' balloons are told: a squeeze ends to the byte where it ends
without that agent, whatever nonsense it says; and one that says for ever that it stalls ends at its part by shares."""
import time
from concurrent.futures import ThreadPoolExecutor

from arbiter import Arbiter, used_mib
from taptest import check, check_between, check_equal, run_tests
from tinyguest import MIB, Lab, wait_for

WAIT = 90
BAD, NAMES = "bad", ("bad", "one", "two")
# An idle guest's floor is its guarantee: what it uses and the margin are less.
GUEST_MIB, FLOOR_MIB = 256, 128
PORT = "/dev/vport0p2"
# Normal, and 80 MiB are left alone: with some 84 nobody is squeezed, nor can be given anything.
SETTINGS = {"Arm": "reclaim", "Reserve": "32MiB", "SoftWatermark": "64MiB", "HardWatermark": "48MiB", "CriticalWatermark": "24MiB",
            "StaleAfter": "5s"}
CALM_MIB, KEPT_MIB = 84, 80
# Decisions without a move, and seconds: a bid is looked at every 2 s, and a balloon moves every 5 s at most.
AT_REST, AT_REST_SECONDS = 20, 12
# A move's rounding, and what guests' own kernels touch meanwhile.
WOBBLE_MIB = 2
# Below what all of them hold at their floor: everybody ends there.
SHORT = f"{2 * FLOOR_MIB}MiB"
MOST = 2**64 - 1
# The bad guest's end: it reads, whoever the host is, and keeps the token of its last line.
READER = (f"exec 5<>{PORT}; (while :; do if read -r line <&5; then line=${{line#*token=}}; echo \"${{line%% *}}\" >/tmp/token;"
          " else sleep 0.2; fi; done) </dev/null >/dev/null 2>&1 & true")
# $1: seq, $2: further pairs. The guest's own time and the token that it was asked under.
SAY = ("say() { read -r t </tmp/token; read -r up rest </proc/uptime;"
       " echo \"memarb/1 report token=$t run=5 seq=$1 now=${up%.*}${up#*.}0000 mem_total=200000000 $2\" >&5; }")
SHORT_OF_ALL = "alarm=1 veto=1 mem_available=0 some_avg10=9000"
HOSTILE = {
    "half lines and garbage": "printf 'memarb/1 report token=1 run=1 se' >&5; head -c 20000 /dev/urandom >&5; echo >&5",
    "another version": f"echo 'memarb/9 report token=1 run=1 seq=1 now=1 {SHORT_OF_ALL}' >&5",
    "deep JSON": "for i in $(seq 900); do printf '[{\"a\":'; done >&5; echo >&5",
    "2^64-1": f"echo 'memarb/1 report token={MOST} run={MOST} seq={MOST} now={MOST} {SHORT_OF_ALL}' >&5;"
              f" say 1 'alarm=1 veto=1 mem_available=0 some_avg10={MOST}'; say {MOST} '{SHORT_OF_ALL}'",
    "unasked": f"echo 'memarb/1 report token=7 run=1 seq=1 now=1 {SHORT_OF_ALL}' >&5",
}
# An honest word; and, once it was heard, its number and one before it, again and again, with other figures.
HONEST = "say 9 'alarm=0 veto=0 mem_available=130000000 some_avg10=0'"
REPLAYS = f"i=0; while [ $i -lt 20 ]; do i=$((i + 1)); say 9 '{SHORT_OF_ALL}'; say 3 '{SHORT_OF_ALL}'; done"
FLOOD = "(dd if=/dev/zero bs=64k count=64 2>/dev/null | tr '\\0' 'x' >&5) </dev/null >/dev/null 2>&1 & true"
LIE = (f"(seq=100; while :; do seq=$((seq + 1)); say $seq '{SHORT_OF_ALL}'; usleep 200000; done)"
       " </dev/null >/dev/null 2>&1 & echo $! >/tmp/liar")


class Host:
    """Three guests, one of whose agents is bad, and one memarbd after the other."""

    def __init__(self, lab):
        self.lab, self.dial, self.lives, self.arbiter = lab, f"{lab.path('host')}/qmp.sock", 0, None
        self.guests = {name: lab.guest(name, mib=GUEST_MIB, dial=self.dial, agent_port=True) for name in NAMES}
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.prepare, NAMES))
        self.guests[BAD].agent(f"echo 0 >/tmp/token; {READER}")
        self.guests[BAD].agent(SAY)

    def prepare(self, name):
        # All of it is resident from here on.
        self.guests[name].wait_up().agent("mount -o remount,size=90% /m; eat 150; eatfree")

    def tell(self, line):
        self.guests[BAD].agent(line, seconds=WAIT)

    def begin(self, with_agents, **more):
        """A new memarbd, on the guests as they are."""
        self.lives += 1
        self.arbiter = Arbiter(self.lab, {**SETTINGS, "Budget": "8GiB", "GuestAgent": "yes" if with_agents else "no",
                                          "AgentSockets": f"{self.lab.dir}/*/agent-port", **more},
                               name=f"memarbd-{self.lives}", dial=self.dial,
                               guests={"name:*": {"Guarantee": f"{FLOOR_MIB}MiB", "Limit": f"{GUEST_MIB}MiB", "Actions": "balloon"}})
        self.arbiter.start().wait_guests(len(NAMES))
        wait_for(lambda: {guest["state"] for guest in self.arbiter.guests().values()} == {"running"}, WAIT,
                 "the guests' start to be over")
        if with_agents:
            wait_for(lambda: self.guests[BAD].agent("cat /tmp/token") != "0", WAIT, "memarbd's question")

    def make_peace(self):
        """The liar ends, and all have all again."""
        self.tell("kill $(cat /tmp/liar); rm /tmp/liar")
        for guest in self.guests.values():
            guest.qmp.set_balloon(GUEST_MIB * MIB)
        wait_for(lambda: set(self.targets().values()) == {GUEST_MIB * MIB}, WAIT, "all to have all again")
        for guest in self.guests.values():
            guest.agent("eat 150; eatfree")

    def bad(self):
        return self.arbiter.guest(BAD)

    def targets(self):
        """In bytes, as QEMU has them."""
        return {name: guest.qmp.balloon() for name, guest in self.guests.items()}

    def told(self):
        return self.arbiter.actions("balloon")

    def rest(self):
        """Until no balloon has moved for so many decisions; where they are then."""
        last = {"at": None, "seq": 0, "time": 0}

        def is_at_rest():
            now, seq = self.targets(), self.arbiter.status()["seq"]
            if now != last["at"]:
                last.update(at=now, seq=seq, time=time.monotonic())
            return seq > last["seq"] + AT_REST and time.monotonic() > last["time"] + AT_REST_SECONDS

        wait_for(is_at_rest, 2 * WAIT, "the balloons to be at rest")
        return last["at"]

    def hear(self, words):
        for what, line in words.items():
            self.tell(line)
            self.arbiter.pass_cycles(3)
            check(self.bad()["agent"] in ("none", "quarantined"), f"{what} counts for nothing: {self.bad()}")
            check_equal(self.bad().get("veto_left_usec"), None, f"a veto after {what}")


def squeeze(host, is_hostile):
    """Where a squeeze ends; the nonsense is said while the host is calm, and again while it is short."""
    host.begin(is_hostile)
    if is_hostile:
        host.hear(HOSTILE)
    host.arbiter.pass_cycles(5)
    check_equal(host.told(), [], "what balloons were told while the host is calm")
    host.arbiter.reload({"Budget": SHORT})
    if is_hostile:
        host.hear(HOSTILE)
        host.tell(HONEST)
        wait_for(lambda: host.bad()["agent"] == "fresh", WAIT, "the honest word")
        host.tell(REPLAYS)
        host.arbiter.pass_cycles(3)
        check_equal(host.bad().get("veto_left_usec"), None, "a veto by replays")
        host.tell(FLOOD)
        wait_for(lambda: host.bad()["agent"] == "quarantined", WAIT, "the flood to be in quarantine")
    wait_for(lambda: set(host.targets().values()) == {FLOOR_MIB * MIB}, WAIT, "all at their floor")
    ends = host.rest()
    check_equal(host.arbiter.status()["arm"], "reclaim", "what is armed")
    host.arbiter.reload({"Budget": "8GiB"})
    host.arbiter.stop()  # which gives everything back
    check_equal(set(host.targets().values()), {GUEST_MIB * MIB}, "what memarbd leaves")
    return ends


def test_a_liar_ends_at_its_part(host):
    """At its floor, beside neighbours that have all they ever had and use a quarter of it. It never uses what it is given."""
    host.guests[BAD].qmp.set_balloon(FLOOR_MIB * MIB)
    for name in NAMES[1:]:
        # What a balloon took before is resident again.
        host.guests[name].agent("eat 150; eatfree")
    host.tell("eat 40; eatfree")
    budget = {"Budget": f"{used_mib(host.guests.values()) + CALM_MIB}MiB"}
    ends = []
    for is_lying in (False, True):
        host.begin(is_lying, **budget)
        if is_lying:
            host.tell(LIE)
            wait_for(lambda: host.bad()["agent"] in ("fresh", "disagrees"), WAIT, "the liar to be heard")
            wait_for(lambda: host.targets()[BAD] > FLOOR_MIB * MIB, WAIT, "it to be given something")
        ends.append({name: size // MIB for name, size in host.rest().items()})
        if not is_lying:
            spare = max(host.arbiter.status()["available_bytes"] // MIB - KEPT_MIB, 0)
        host.arbiter.kill()
    host.make_peace()
    honest, lied = ends
    part = (sum(honest.values()) + spare) // len(NAMES) + WOBBLE_MIB
    print(f"# without agents {honest}, with a liar {lied}; its part by shares is {part} MiB (TCG)", flush=True)
    check_between(lied[BAD], FLOOR_MIB + 1, part, "the liar's size in MiB")
    gained = lied[BAD] - honest[BAD]
    for name in NAMES[1:]:
        check_between(lied[name], FLOOR_MIB, honest[name], f"the size of {name} in MiB")
    lost = sum(honest[name] - lied[name] for name in NAMES[1:])
    check(lost <= part - honest[BAD], f"neighbours lost {lost} MiB, the liar's share is {part - honest[BAD]}, it gained {gained}")


def test_a_hostile_agent_changes_nobodys_target(host):
    """Behind the liar: what it floods with stays in its port for minutes."""
    check_equal(squeeze(host, True), squeeze(host, False), "where everybody ends, to the byte")


with Lab() as the_lab:
    run_tests([test_a_liar_ends_at_its_part, test_a_hostile_agent_changes_nobodys_target], Host(the_lab))
