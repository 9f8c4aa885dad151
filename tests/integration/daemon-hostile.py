#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What one guest's agent says, against what its neighbours' balloons are told by an armed memarbd: nothing that is no honest
report moves anybody by a byte, and one that says for ever that it stalls ends at its part.

The guests are those of swarmstage.py; the test speaks as a guest's agent."""
import contextlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from swarmstage import BAD, COUNT, FLOOR_MIB, GUEST_MIB, SECONDS, SHORT, Stage
from taptest import check, check_between, check_equal, run_tests
from tinyguest import MIB, Lab, wait_for

# What memarbd leaves the host at least before it gives: the soft watermark and an eighth.
KEPT_MIB = 1152
# Dead band, whole MiB, and one step of a balloon (a tenth).
TOLERANCE_MIB = 110


def token_of(agent):
    """The token that memarbd asked this channel under."""
    data = b""
    while b" token=" not in data or not data.endswith(b"\n"):
        data += agent.recv(65536)
    return int(data.rpartition(b" token=")[2].split()[0])


def line(token, seq, usec, **more):
    figures = {"alarm": 0, "veto": 0, "mem_total": 1024 * MIB, "mem_available": 0, "some_avg10": 9000, **more}
    return (f"memarb/1 report token={token} run=5 seq={seq} now={usec} "
            + " ".join(f"{key}={value}" for key, value in figures.items()) + "\n").encode()


def attacks(token):
    """Nothing of it is a report that counts; the last is a flood."""
    most = 2**64 - 1
    good = line(token, 1, 10**6, alarm=1, veto=1)
    yield "half lines", good[:40] + b"\n" + good[:-1] + good[40:] + b"\n" + good[:25]
    yield "2^64-1", b"\n" + line(most, most, most, alarm=1, veto=1, mem_available=most)
    yield "2^64-1 in one value", line(token, 1, 10**6, alarm=1, veto=1, some_avg10=most)
    yield "deep JSON", b'[{"a":' * 900 + b"\n" + b"{" * 1000 + b"\n"
    yield "another version", good.replace(b"memarb/1", b"memarb/2") + good.replace(b"memarb/1", b"memarb/0")
    yield "another kind", good.replace(b"report", b"squeeze") + good.replace(b"report", b"kill")
    yield "unasked", line(token + 1, 1, 10**6, alarm=1, veto=1) + line(0, 2, 2 * 10**6, alarm=1, veto=1)
    yield "what contradicts itself", line(token, 1, 10**6, alarm=1, veto=1, mem_available=2048 * MIB)
    yield "noise", os.urandom(65536).replace(b"memarb", b"")
    yield "a flood", b"x" * (1 << 16)


def is_spoken_for(stage):
    """Nothing of the bad guest's words stands anywhere."""
    guest = stage.guests()[BAD]
    return guest["agent"] in ("none", "quarantined") and "veto_left_usec" not in guest


def send_all(stage, what, data):
    agent, end = stage.agents[BAD], time.monotonic() + SECONDS
    agent.sendall(data)
    agent.settimeout(0.2)
    while what == "a flood" and stage.guests()[BAD]["agent"] != "quarantined" and time.monotonic() < end:
        with contextlib.suppress(TimeoutError):
            agent.sendall(data)
    agent.settimeout(SECONDS)
    stage.cycles(3)
    check(is_spoken_for(stage), f"{what} counts for nothing: {stage.guests()[BAD]}")


def squeeze(stage, words):
    """Where everybody is at the end of a squeeze, in bytes; half of the words come while the host is calm."""
    calm = stage.moves()
    for what, data in words[:len(words) // 2]:
        send_all(stage, what, data)
    stage.cycles(5)
    check_equal(stage.moves(), calm, "what neighbours were told while the host is calm")
    stage.pool = SHORT
    stage.wait_sizes(FLOOR_MIB, "all at their floor")
    for what, data in words[len(words) // 2:]:
        send_all(stage, what, data)
    stage.cycles(5)
    check_equal({uuid for uuid, to_bytes in stage.moves() if to_bytes < FLOOR_MIB * MIB}, set(), "who was told less than its guarantee")
    return {name: guest["actual_bytes"] for name, guest in stage.guests().items()}


def test_nothing_that_is_no_report_moves_anybody(stages):
    hostile = stages["hostile"]
    words = list(attacks(token_of(hostile.agents[BAD])))
    with ThreadPoolExecutor() as pool:
        quiet, told = pool.map(squeeze, (stages["quiet"], hostile), ((), words))
    check_equal(told, quiet, "where everybody ends, to the byte")
    check_equal(hostile.guests()[BAD]["agent"], "quarantined", "after the flood")


def test_the_same_report_again_and_again_is_one(stages):
    """Replays of an honest word: it counts once."""
    stage = stages["replay"]
    agent, calm = stage.agents[BAD], stage.moves()
    good = line(token_of(agent), 1, 10**6, mem_available=512 * MIB, some_avg10=0)
    agent.sendall(good)
    wait_for(lambda: stage.guests()[BAD]["agent"] == "fresh", SECONDS, "an honest report")
    # Nothing of a replay is taken for the guest's word of now: that one grows old.
    wait_for(lambda: agent.sendall(good) or stage.guests()[BAD]["agent"] == "stale", SECONDS, "it to be too old")
    check_equal(stage.moves(), calm, "what neighbours were told")


class Liar(threading.Thread):
    """Says ten times a second that it stalls, in words that are all in order."""

    def __init__(self, agent):
        super().__init__(daemon=True)
        self.agent, self.token, self.end = agent, token_of(agent), threading.Event()

    def run(self):
        seq, heard = 0, b""
        self.agent.setblocking(False)
        while not self.end.wait(0.1):
            seq += 1
            with contextlib.suppress(BlockingIOError):
                heard = (heard + self.agent.recv(65536))[-4096:]
                if b" rate token=" in heard and heard.endswith(b"\n"):
                    self.token = int(heard.rpartition(b" rate token=")[2].split()[0])
            with contextlib.suppress(OSError):
                self.agent.send(line(self.token, seq, int(time.monotonic() * 1e6), alarm=1, veto=1, some_total=seq * 90_000))


def test_a_liar_ends_at_its_part(stages):
    """It was squeezed to its floor and uses no more; its neighbours have all they ever had, and use a quarter of it."""
    stage = stages["replay"]
    others = [name for name in stage.agents if name != BAD]
    for name in others:
        stage.arbiter.ctl("hold", stage.guests()[name]["uuid"], "10min")
    stage.pool = (COUNT - 1) * GUEST_MIB + FLOOR_MIB + 300
    wait_for(lambda: stage.sizes()[BAD] == FLOOR_MIB, SECONDS, "the liar at its floor")
    stage.is_untouched = True
    given = (COUNT - 1) * GUEST_MIB + FLOOR_MIB
    stage.pool = given + KEPT_MIB + 32
    wait_for(lambda: stage.arbiter.snapshot()["host"]["available_bytes"] >= KEPT_MIB * MIB, SECONDS, "the end of the shortage")
    for name in others:
        stage.arbiter.ctl("hold", stage.guests()[name]["uuid"], "0")
    stage.cycles(10)
    honest = stage.sizes()
    liar = Liar(stage.agents[BAD])
    liar.start()
    wait_for(lambda: stage.guests()[BAD]["agent"] in ("fresh", "disagrees"), SECONDS, "the liar to be heard")
    stage.cycles(60)
    liar.end.set()
    liar.join()
    lied, part = stage.sizes(), given // COUNT
    print(f"# without the lie {honest}, with it {lied}; its part is {part} MiB", flush=True)
    check_between(lied[BAD], FLOOR_MIB, part, "the liar's size in MiB")
    gained, lost = max(lied[BAD] - honest[BAD], 0), sum(honest[name] - lied[name] for name in others)
    check(lost <= gained + len(others) * TOLERANCE_MIB, f"neighbours lost {lost} MiB, the liar gained {gained}")
    for name, size in lied.items():
        check(size >= FLOOR_MIB, f"{name} has less than its guarantee: {lied}")


def play(lab):
    """The stages, set up side by side."""
    with contextlib.ExitStack() as stack:
        names = ("quiet", "hostile", "replay")
        with ThreadPoolExecutor() as pool:
            stages = dict(zip(names, pool.map(lambda name: Stage(lab, name).__enter__(), names)))
        for stage in stages.values():
            stack.push(stage.__exit__)
        run_tests([test_nothing_that_is_no_report_moves_anybody, test_the_same_report_again_and_again_is_one,
                   test_a_liar_ends_at_its_part], stages)


with Lab() as the_lab:
    play(the_lab)
