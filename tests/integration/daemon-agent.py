#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests' own agents: a guest that thrashes at its floor gets memory from an idle neighbour, and sooner with its agent than
without; what a hostile agent says to an armed memarbd moves nobody; an agent that is killed, a memarbd that starts anew."""
import time
from concurrent.futures import ThreadPoolExecutor

from arbiter import Arbiter
from taptest import check, check_equal, run_tests
from tinyguest import AGENT, MIB, PATIENCE, Lab, wait_for

GUEST_MIB = 192
WAIT = 90
# The comparison ends then: balloon statistics come each 5 s.
DEAF_SECONDS = 25
PORT = "/dev/vport0p2"
# Shell lines for a guest whose end of the port is hostile: nothing of it is a report that counts.
HOSTILE = {
    "garbage and half lines": "head -c 20000 /dev/urandom >&5; printf 'memarb/1 report token=1 run=1 se' >&5; echo >&5",
    "another version, deep JSON": "echo 'memarb/9 report token=1 run=1 seq=1 now=1 alarm=1 veto=1' >&5;"
                                  " for i in $(seq 900); do printf '[{\"a\":'; done >&5; echo >&5",
    "2^64-1": "echo 'memarb/1 report token=18446744073709551615 run=18446744073709551615 seq=18446744073709551615"
              " now=18446744073709551615 alarm=1 veto=1 mem_available=0 some_avg10=10000' >&5",
    "unasked": "for i in 1 2 3 4 5; do echo \"memarb/1 report token=7 run=1 seq=$i now=$i alarm=1 veto=1 mem_total=1"
               " mem_available=0 some_avg10=10000\" >&5; done",
}
FLOOD = "dd if=/dev/zero bs=64k count=64 2>/dev/null | tr '\\0' 'x' >&5"


class Pair:
    """A guest that will thrash and an idle one, with a memarbd of their own."""

    def __init__(self, lab, name, with_agent):
        self.name, self.with_agent = name, with_agent
        self.arbiter = Arbiter(lab, {"Arm": "reclaim", "Budget": "4GiB", "GuestSample": "5s",
                                     "GuestAgent": "yes" if with_agent else "no",
                                     "AgentSockets": f"{lab.dir}/{name}-*/agent-port"},
                               name=name, guests={"name:*": {"Guarantee": "64MiB"}})
        self.busy = lab.guest(f"{name}-busy", mib=GUEST_MIB, dial=self.arbiter.dial, files=AGENT, agent_port=True,
                              swap_mib=256, swap_iops=400)
        self.idle = lab.guest(f"{name}-idle", mib=GUEST_MIB, dial=self.arbiter.dial, agent_port=True)

    def prepare(self):
        for guest in (self.busy, self.idle):
            guest.wait_up()
            # All of it is resident from here on: what a balloon takes, the host gets.
            guest.agent("mount -o remount,size=90% /m; eat 110; eatfree")
        self.busy.agent("mkswap /dev/vda && swapon /dev/vda && mount -o remount,size=250m /m")
        if self.with_agent:
            self.busy.agent("memarb-guest-agent >/tmp/agent.log 2>&1 </dev/null &")

    def guest(self, which):
        return self.arbiter.guest(f"{self.name}-{which}")

    def balloon(self, which):
        return self.guest(which)["actual_bytes"]

    def leave(self, left_mib):
        self.arbiter.leave(left_mib, [self.busy, self.idle])

    def squeeze_busy(self):
        """It goes to its floor, which cannot answer the shortage, while the idle one is held."""
        arbiter = self.arbiter.start().wait_guests(2)
        wait_for(lambda: self.guest("busy")["state"] == "running", WAIT, "the guests' start to be over")
        arbiter.ctl("hold", f"{self.name}-idle", "10min")
        self.leave(-GUEST_MIB)
        wait_for(lambda: self.balloon("busy") < 150 * MIB, WAIT, "busy to be squeezed")
        self.wait_rest()

    def wait_rest(self):
        """Until the busy one's balloon has stood still for a while, and for many of memarbd's decisions."""
        last = {"at": None, "since": 0, "seq": 0}

        def is_at_rest():
            now, seq = self.balloon("busy"), self.arbiter.status()["seq"]
            if now != last["at"]:
                last.update(at=now, since=time.monotonic(), seq=seq)
            return time.monotonic() > last["since"] + 3 and seq > last["seq"] + 20

        wait_for(is_at_rest, WAIT, "the balloon to be at rest")

    def thrash(self, seconds):
        """Seconds until it has more memory; the host has next to nothing to give. None: not within `seconds`."""
        self.leave(104)  # the soft watermark and a little
        self.arbiter.ctl("hold", f"{self.name}-idle", "0")
        had, idle_had = self.balloon("busy"), self.balloon("idle")
        self.busy.agent("(eat 60; eat 60; while :; do cat /m/* >/dev/null; done) >/dev/null 2>&1 </dev/null &")
        began = time.monotonic()
        while self.balloon("busy") < had + 8 * MIB:
            if time.monotonic() > began + seconds:
                return None
            time.sleep(0.1)
        took = time.monotonic() - began
        wait_for(lambda: self.balloon("idle") < idle_had, WAIT, "the idle neighbour to pay")
        return took


def stall_seconds(guest):
    """What the guest's own kernel has counted, in seconds."""
    text = guest.agent("cat /proc/pressure/memory", seconds=WAIT)
    return int(text.split("total=")[1].split()[0]) / 1e6


def test_a_guest_that_thrashes_is_heard(pairs):
    with ThreadPoolExecutor() as pool:
        list(pool.map(Pair.squeeze_busy, pairs.values()))
    heard, deaf = pairs["heard"], pairs["deaf"]
    took, stalled = heard.thrash(WAIT * PATIENCE), stall_seconds(heard.busy)
    check(took is not None, f"it has more memory: {heard.arbiter.guests()}")
    check_equal(heard.guest("busy")["agent"], "fresh", "its agent")
    heard.arbiter.wait_told("says that it stalls")
    # By the guest's own count, which a busy machine moves little: 0.2 s were seen.
    check(stalled < 3, f"relieved within 3 s of its own stall, not {stalled:.1f}")
    heard.busy.agent("killall cat; eatfree", seconds=WAIT)
    print(f"# with its agent: more memory {took:.1f} s after the load began, {stalled:.1f} s of its own stall (TCG)")
    took = deaf.thrash(DEAF_SECONDS)
    print(f"# without: {f'{took:.1f} s' if took else f'not within {DEAF_SECONDS} s'},"
          f" {stall_seconds(deaf.busy):.1f} s of its own stall (TCG)", flush=True)
    deaf.busy.kill()
    deaf.idle.kill()


def test_a_hostile_agent_moves_nobody(pairs):
    """The idle guest of the first pair says what it likes, to a memarbd that is armed and has given everything back."""
    pair = pairs["heard"]
    pair.arbiter.reload({"Budget": "8GiB"})
    wait_for(lambda: pair.balloon("busy") == pair.balloon("idle") == GUEST_MIB * MIB, 2 * WAIT, "all to be given back")
    pair.idle.agent(f"exec 5<>{PORT}; (while read -r line <&5; do :; done) </dev/null >/dev/null 2>&1 & true")
    pair.wait_rest()
    before = pair.arbiter.actions("balloon")
    for what, line in HOSTILE.items():
        pair.idle.agent(line, seconds=WAIT)
        check(pair.guest("idle")["agent"] in ("none", "quarantined"), f"{what} counts for nothing")
        check_equal(pair.guest("idle").get("veto_left_usec"), None, "a veto")
    pair.idle.agent(f"({FLOOD}) </dev/null >/dev/null 2>&1 & true", seconds=WAIT)
    wait_for(lambda: pair.guest("idle")["agent"] == "quarantined", WAIT, "the flood to be in quarantine")
    pair.arbiter.wait_told("is not listened to")
    check_equal(pair.arbiter.status()["arm"], "reclaim", "what is armed")
    check_equal(pair.arbiter.actions("balloon"), before, "what balloons were told")
    check_equal(pair.balloon("busy"), GUEST_MIB * MIB, "the other guest's balloon")
    wait_for(lambda: "stats" in pair.arbiter.snapshot()["guests"]["heard-idle"], WAIT, "the balloon's statistics for it")
    wait_for(lambda: pair.guest("busy")["agent"] == "fresh", WAIT, "the other one's agent, heard as before")


def test_memarbd_starts_anew_and_the_agent_ends(pairs):
    pair = pairs["heard"]
    pair.arbiter.kill()
    pair.arbiter.configure({"StaleAfter": "3s", "GuestSample": "1s"})
    pair.arbiter.start().wait_guests(2)
    wait_for(lambda: pair.guest("busy")["agent"] == "fresh", WAIT, "the agent to be heard again")
    pair.busy.agent("killall memarb-guest-agent")
    wait_for(lambda: pair.guest("busy")["agent"] == "stale", WAIT, "its last word to be too old")
    def speaks_by_balloon():
        guest = pair.arbiter.snapshot()["guests"]["heard-busy"]
        return "pressure" not in guest and "stats" in guest

    wait_for(speaks_by_balloon, WAIT, "the balloon's statistics to stand alone")
    pair.busy.agent("memarb-guest-agent >/tmp/agent.log 2>&1 </dev/null &")
    wait_for(lambda: pair.guest("busy")["agent"] == "fresh", WAIT, "a new agent")


def make_pairs(lab):
    pairs = {"heard": Pair(lab, "heard", True), "deaf": Pair(lab, "deaf", False)}
    for pair in pairs.values():
        pair.prepare()
    return pairs


with Lab() as the_lab:
    run_tests([test_a_guest_that_thrashes_is_heard, test_a_hostile_agent_moves_nobody,
               test_memarbd_starts_anew_and_the_agent_ends], make_pairs(the_lab))
