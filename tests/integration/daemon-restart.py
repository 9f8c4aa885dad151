#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What memarb took it gives back (P6), also after it was killed at the worst moment; what an operator set stays."""
import json
import os
import time

from arbiter import Arbiter, mib, used_mib
from taptest import check, check_equal, run_tests
from tinyguest import MIB, Lab, wait_for

GUEST_MIB = 320
# Used once and let go of: what a balloon can take. The guest's kernel holds the rest of what it uses.
IDLE_MIB = 150
ROOMY = "8GiB"


class Balloons:
    """Two guests with idle memory; a fresh memarbd for each test, at the same socket."""

    def __init__(self, lab):
        self.lab, self.dial, self.tests = lab, os.path.join(lab.path("dial"), "qmp.sock"), 0
        self.current = None
        self.guests = [lab.guest(name, mib=GUEST_MIB, dial=self.dial) for name in ("one", "two")]
        for guest in self.guests:
            guest.wait_up()

    def arbiter(self, **settings):
        self.tests += 1
        if self.current is not None:
            self.current.end()  # a test that failed leaves it
        self.current = Arbiter(self.lab, {"Arm": "reclaim", "Budget": ROOMY, "QuietTime": "0s", **settings},
                               name=f"memarbd-{self.tests}", dial=self.dial)
        return self.current

    def refill(self):
        for guest in self.guests:
            wait_for(lambda guest=guest: guest.qmp.balloon() == GUEST_MIB * MIB, 30, "a full balloon")
            guest.agent(f"eat {IDLE_MIB}", seconds=120)
            guest.agent("eatfree")

    def sizes(self):
        return [guest.qmp.balloon() // MIB for guest in self.guests]

    def are_full(self):
        return self.sizes() == [GUEST_MIB, GUEST_MIB]

    def shorten(self, arbiter):
        """The budget now asks for what both hold in idle memory: neither has as much alone."""
        arbiter.leave(-60, self.guests)

    def take(self, arbiter):
        """Starts it and waits until balloons have really moved."""
        self.refill()
        arbiter.start().wait_guests(2)
        before = arbiter.settle(self.guests)
        self.shorten(arbiter)
        wait_for(lambda: used_mib(self.guests) < before - 40, 40, "memory back on the host's side")

    def stay_short(self, arbiter):
        """The next memarbd finds a shortage in which it may take nothing: what was taken is neither more nor given back
        before the test has looked. So short that it stays short when a balloon is still on its way."""
        arbiter.configure({"Arm": "observe", "Budget": mib(used_mib(self.guests) - 100)})

    def wait_settled(self):
        """Balloons stand where they are."""
        while True:
            before = self.sizes()
            time.sleep(1)
            if self.sizes() == before:
                return before


def outdate_state(arbiter):
    """As if the state had been written an hour ago."""
    path = os.path.join(arbiter.run_dir, "state.json")
    with open(path, encoding="utf-8") as file:
        state = json.load(file)
    state["realtime_usec"] -= 3600 * 1000000
    with open(path, "w", encoding="utf-8") as file:
        json.dump(state, file)


def is_balloon_noted(arbiter, guest):
    """In the state file, as arrived: a size found otherwise is somebody else's doing."""
    guests = arbiter.state().get("state", {}).get("guests", [])
    return any(known["uuid"] == guest.uuid and known.get("balloon_is_settled") for known in guests)


def taken(arbiter):
    return {name: guest["taken"] for name, guest in arbiter.guests().items() if guest["taken"]}


def test_second_memarbd_is_refused(balloons):
    arbiter = balloons.arbiter().start()
    status, text = arbiter.release_without_daemon("--offline")
    check_equal(status, 1, "exit status of a second memarbd")
    check("another memarbd is running" in text, f"it says why: {text}")
    check_equal(arbiter.stop(), 0, "exit status after SIGTERM")


def test_sigterm_gives_back(balloons):
    arbiter = balloons.arbiter()
    balloons.take(arbiter)
    check_equal(arbiter.stop(), 0, "exit status after SIGTERM")
    wait_for(balloons.are_full, 20, f"full balloons, which are {balloons.sizes()}")


def test_killed_at_any_moment_all_is_given_back(balloons):
    """SIGKILL in the middle of the burst of balloon commands, and a little before and after."""
    for delay in (0.0, 0.05, 0.4):
        balloons.refill()
        arbiter = balloons.arbiter()
        arbiter.start().wait_guests(2)
        balloons.shorten(arbiter)
        time.sleep(delay)
        arbiter.kill()
        sizes = balloons.wait_settled()
        if delay > 0.1:  # what was short when the old one was killed says nothing an hour later
            arbiter.configure({"Budget": ROOMY})
            outdate_state(arbiter)
            arbiter.start().wait_guests(2)
            check_equal(arbiter.status()["pressure"], "normal", "pressure that a new memarbd finds")
        else:
            balloons.stay_short(arbiter)
            arbiter.start().wait_guests(2)
            if sizes != [GUEST_MIB, GUEST_MIB]:
                check(taken(arbiter), f"the new memarbd knows what the old one took: {sizes}")
        check_equal(arbiter.stop(), 0, "exit status")
        wait_for(balloons.are_full, 20, f"full balloons {delay} s after the shortage, which are {balloons.sizes()}")


def test_release_without_a_daemon(balloons):
    arbiter = balloons.arbiter()
    balloons.take(arbiter)
    arbiter.kill()
    balloons.wait_settled()
    status, text = arbiter.release_without_daemon()
    check_equal(status, 0, f"exit status of the release ({text})")
    wait_for(balloons.are_full, 20, f"full balloons, which are {balloons.sizes()}")


def test_intents_suffice_when_the_state_file_is_bad(balloons):
    arbiter = balloons.arbiter()
    balloons.take(arbiter)
    arbiter.kill()
    state = os.path.join(arbiter.run_dir, "state.json")
    with open(state, "rb") as file:
        good = file.read()
    balloons.stay_short(arbiter)
    for number, bad in enumerate((good[:len(good) // 2], good[:-1], b"\xff garbage \0", b"[]", b"")):
        with open(state, "wb") as file:
            file.write(bad)
        arbiter.start().wait_guests(2)
        check(os.path.exists(f"{state}.bad"), f"bad state {number} was set aside")
        arbiter.wait_told("intents alone")
        check(taken(arbiter), f"what was taken is known with bad state {number}")
        os.unlink(f"{state}.bad")
        arbiter.kill()
    check_equal(arbiter.start().wait_guests(2).stop(), 0, "exit status")
    wait_for(balloons.are_full, 20, f"full balloons, which are {balloons.sizes()}")


def test_what_an_operator_set_meanwhile_stays(balloons):
    arbiter = balloons.arbiter()
    balloons.take(arbiter)
    balloons.wait_settled()
    # Whose balloon answered is memarbd's choice.
    at = 0 if balloons.sizes()[0] < GUEST_MIB else 1
    guest = balloons.guests[at]
    wait_for(lambda: is_balloon_noted(arbiter, guest), 20, "memarbd to have noted where it stands")
    arbiter.kill()
    # More than what a guest's balloon jitters by, and lower: a pressed operator.
    theirs = balloons.sizes()[at] - 50
    guest.qmp.set_balloon(theirs * MIB)
    arbiter.configure({"Budget": ROOMY})
    arbiter.start().wait_guests(2)
    wait_for(lambda: guest.name not in taken(arbiter), 20, "the operator's balloon to be left out of the ledger")
    check_equal(arbiter.stop(), 0, "exit status")
    wait_for(lambda: balloons.sizes()[at] == theirs and balloons.sizes()[1 - at] == GUEST_MIB, 20,
             f"their size, and ours given back: {balloons.sizes()}")
    guest.qmp.set_balloon(GUEST_MIB * MIB)


with Lab() as the_lab:
    run_tests([test_second_memarbd_is_refused, test_sigterm_gives_back, test_killed_at_any_moment_all_is_given_back,
               test_release_without_a_daemon, test_intents_suffice_when_the_state_file_is_bad,
               test_what_an_operator_set_meanwhile_stays], Balloons(the_lab))
