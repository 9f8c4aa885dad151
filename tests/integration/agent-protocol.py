#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""memarbd, and guests that know docs/protocol.md only (tests/support/protocoldoc.py): how it asks, what of their words counts, how it
announces a squeeze."""
import contextlib
import select
import threading
import time

from protocoldoc import Cutter, read_line, write_line
from swarmstage import BAD, COUNT, FLOOR_MIB, GUEST_MIB, SECONDS, SHORT, Stage
from taptest import check, check_equal, run_tests
from tinyguest import MIB, Lab, wait_for

# Between the soft watermark and the hard one, with every guest at its full size.
SOFT = COUNT * GUEST_MIB + 900
RUNNING = 1
# Two clocks are compared, each read a moment after the other.
SLACK_USEC = 100_000


def monotonic_usec():
    return time.monotonic_ns() // 1000


class Voice(threading.Thread):
    """A guest's agent: hears from the start, and speaks each 0.1 s while is_speaking."""

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock, self.cutter, self.raw, self.heard, self.wrong = sock, Cutter(), b"", [], None
        self.run_number, self.seq, self.token, self.squeeze = monotonic_usec(), 0, 0, 0
        self.is_speaking, self.hook, self.more, self.end = False, RUNNING, {}, threading.Event()

    def run(self):
        try:
            while not self.end.is_set():
                if select.select([self.sock], [], [], 0.1)[0]:
                    self.hear(self.sock.recv(65536))
                if self.is_speaking:
                    self.say()
        except Exception as problem:  # pylint: disable=broad-except
            self.wrong = problem

    def hear(self, data):
        self.raw += data
        for line in self.cutter.feed(data):
            kind, values = read_line(line)
            self.heard.append((kind, values))
            if kind == "rate":
                self.token = values["token"]
            elif kind == "squeeze":
                self.squeeze = values["id"]

    def say(self, **more):
        self.seq += 1
        values = {"token": self.token, "run": self.run_number, "seq": self.seq, "now": monotonic_usec(), "alarm": 0, "veto": 0,
                  "mem_total": GUEST_MIB * MIB, "mem_available": 700 * MIB, "mem_free": 600 * MIB, "some_avg10": 0}
        if self.squeeze:
            values.update(squeeze=self.squeeze, hook=self.hook)
        self.sock.sendall(write_line("report", {**values, **self.more, **more}))

    def squeezes(self):
        return [values for kind, values in self.heard if kind == "squeeze"]


class Scene:
    """A stage whose guests have voices."""

    def __init__(self, stage):
        self.stage, self.voices = stage, {name: Voice(sock) for name, sock in stage.agents.items()}
        for voice in self.voices.values():
            voice.start()

    def __getitem__(self, name):
        voice = self.voices[name]
        if voice.wrong is not None:
            raise voice.wrong
        return voice

    def end(self):
        for voice in self.voices.values():
            voice.end.set()
            voice.join()

    def agent(self, name):
        return self.stage.guests()[name]["agent"]

    def speak(self, is_speaking):
        for voice in self.voices.values():
            voice.is_speaking = is_speaking

    def hold(self, time_text):
        for guest in self.stage.guests().values():
            self.stage.arbiter.ctl("hold", guest["uuid"], time_text)

    def wait_fresh(self):
        wait_for(lambda: {guest["agent"] for guest in self.stage.guests().values()} == {"fresh"}, SECONDS, "all to be heard")


def test_it_asks_and_asks_again(scene):
    bad = scene[BAD]
    wait_for(lambda: len(scene[BAD].heard) >= 2 and all(scene[name].token for name in scene.voices), SECONDS, "lines of memarbd")
    check(bad.raw.startswith(b"\nmemarb/1 rate "), "an empty line first")
    check_equal({kind for kind, _ in bad.heard}, {"rate"}, "what an agent hears that said nothing yet")
    check_equal({values["token"] for _, values in bad.heard}, {bad.token}, "tokens of one connection, unanswered")
    tokens = {scene[name].token for name in scene.voices}
    check_equal(len(tokens), COUNT, "each connection has its own")


def test_what_counts_is_under_the_token(scene):
    bad = scene[BAD]
    for token in (0, bad.token + 1, bad.token - 1):
        bad.say(token=token)
    scene.stage.cycles(3)
    check_equal(scene.agent(BAD), "none", "what was not said under its token")
    bad.say()
    wait_for(lambda: scene.agent(BAD) == "fresh", SECONDS, "what was")
    # An agent that began anew has heard nothing yet: it is asked again, under a token that its old lines do not have.
    old = bad.token
    bad.run_number, bad.seq = bad.run_number + 1, 0

    def is_asked_again():
        bad.say(token=0)
        return bad.token != old

    wait_for(is_asked_again, SECONDS, "another token")
    bad.say()
    scene.speak(True)
    scene.wait_fresh()


def test_nothing_is_taken_before_the_deadline(scene):
    """While the host is not hard pressed, and the hook runs. The announcement is of its own time, also when nobody spoke for long."""
    stage = scene.stage
    scene.hold("10min")
    stage.pool = SOFT
    wait_for(lambda: stage.arbiter.status()["pressure"] != "normal", SECONDS, "the shortage")
    # It came at once, and looks worse than it is until it has stood for a while.
    stage.cycles(5)
    wait_for(lambda: stage.arbiter.status()["pressure"] == "soft", SECONDS, "a host that is not hard pressed")
    scene.wait_fresh()
    scene.speak(False)
    before, offset = monotonic_usec(), time.time_ns() // 1000 - monotonic_usec()
    scene.hold("0")
    wait_for(lambda: any(scene[name].squeezes() for name in scene.voices), SECONDS, "an announcement")
    scene.speak(True)
    wait_for(lambda: stage.arbiter.actions("balloon"), SECONDS, "a balloon to be told")
    told = {}
    for action in stage.arbiter.actions("balloon"):
        told.setdefault(action["guest"], action["realtime_usec"] - offset)
    for name, guest in stage.guests().items():
        if guest["uuid"] in told:
            first = scene[name].squeezes()[0]
            check_equal((first["id"], first["deadline_msec"]), (1, 2000), f"the first squeeze of {name}")
            check(first["now"] >= before, f"{name} is told {before - first['now']} us too early a time")
            check(told[guest["uuid"]] + SLACK_USEC >= first["now"] + 2_000_000, f"{name}: told at {told[guest['uuid']]}, {first}")


def test_what_is_under_way_is_announced_once(scene):
    scene.stage.pool = SHORT
    scene.stage.wait_sizes(FLOOR_MIB, "all at their floor")
    scene.stage.cycles(3)
    for name in scene.voices:
        squeezes = scene[name].squeezes()
        check(squeezes, f"{name} is told")
        for last, this in zip(squeezes, squeezes[1:]):
            check_equal(this["id"], last["id"] + 1, "numbers")
            check(this["target"] < last["target"] or this["now"] >= last["now"] + last["deadline_msec"] * 1000,
                  f"{name} hears {this} after {last}")


def test_a_veto_is_not_had_again_by_a_restart(scene):
    """Neither memarbd's nor the agent's: the next one begins five minutes after the last."""
    stage, uuid = scene.stage, scene.stage.guests()[BAD]["uuid"]

    def until(key):
        guests = stage.arbiter.state().get("state", {}).get("guests", [])
        return {guest["uuid"]: guest for guest in guests}.get(uuid, {}).get(key, 0)

    scene[BAD].more = {"veto": 1}
    wait_for(lambda: "veto_left_usec" in stage.guests()[BAD], SECONDS, "the veto")
    wait_for(lambda: until("veto_again_usec"), SECONDS, "memarbd to write it down")
    over, again = until("veto_until_usec"), until("veto_again_usec")
    check_equal(again - over, 270_000_000, "from its end to the next")
    # It says so for ever, as another agent, and to another memarbd.
    bad = scene[BAD]
    bad.run_number, bad.seq = bad.run_number + 1, 0
    stage.cycles(5)
    before = stage.arbiter.log()
    stage.arbiter.kill()
    stage.arbiter.start()
    stage.arbiter.wait_guests(COUNT, SECONDS)
    stage.cycles(3)
    check_equal((until("veto_until_usec"), until("veto_again_usec")), (over, again), "its times afterwards")
    told = "is short under a squeeze"
    check_equal((before.count(told), stage.arbiter.log().count(told)), (1, 0), "times it was told, before and after")


def play(lab):
    with Stage(lab, "stage", StaleAfter="60s") as stage, contextlib.ExitStack() as stack:
        scene = Scene(stage)
        stack.callback(scene.end)
        run_tests([test_it_asks_and_asks_again, test_what_counts_is_under_the_token, test_nothing_is_taken_before_the_deadline,
                   test_what_is_under_way_is_announced_once, test_a_veto_is_not_had_again_by_a_restart], scene)


with Lab() as the_lab:
    play(the_lab)
