# SPDX-License-Identifier: LGPL-2.1-or-later
"""pairs.py - the same trouble without and with memarb: what memarb is worth is the difference.

A Pair says what the guests are, what befalls them, and what memarb has to show for it. A run without memarb in which
nobody dies proves nothing: it is void, counted, and made again."""
import time

import libvirt

import emulator
from labhost import mib, oom_kills, sh, wait_for
from limits import STANDING, limits_of

# Runs without memarb until one loses a guest; with it, until the emulation ends none.
TRIES = 3
# What asking a guest raises that has ended.
GONE = (OSError, EOFError, libvirt.libvirtError)


class Pair:
    """One scenario. A subclass gives the three parts."""

    what = ""
    settings, rules = {}, {}
    # Guests whose end is memarb's doing, as the scenario wants it.
    may_end = ()
    # {guest's name: limit} that the trouble itself moves.
    moved_limits = {}
    # Names of guests that a run leaves as they were, if they live: started by host.again().
    kept = ()

    def guests(self, host):
        """The guests of one run, as if started afresh."""
        raise NotImplementedError

    def press(self, host, guests, tick):
        """The trouble, to its end or until somebody is dead; calls tick() now and then."""
        raise NotImplementedError

    def check(self, host, guests):
        """With memarb: what it did."""

    def is_void(self):
        """Did a guest die of something else than what the pair is about?"""
        return False

    def swap(self, host):
        """Called before each run."""


class Tally:
    """What the runs of a pair came to."""

    def __init__(self):
        self.pairs = self.voids = self.emulated = self.lost_without = self.lost_with = 0

    def text(self):
        return (f"{self.pairs} pairs: without memarb a QEMU was killed in {self.lost_without}, with memarb in {self.lost_with}; "
                f"void and made again: {self.voids} runs without it, {self.emulated} with it in which the emulation ended a guest")


def dead_of(guests, but=()):
    return [guest.name for guest in guests if not guest.alive() and guest.name not in but]


def begin(host, pair):
    """The guests, on a host without memarb. One that the emulation ends before it is up is started afresh."""
    for _ in range(TRIES):
        ended = len(emulator.shutdowns())
        try:
            return prepare(host, pair)
        except (RuntimeError, *GONE) as error:
            lines = emulator.shutdowns()[ended:]
            if not lines:
                raise
            host.note(f"before the run, and without memarb, a guest was ended by the emulation: {lines}; afresh ({str(error)[:80]})")
    raise RuntimeError(f"guests that come up: not in {TRIES} tries")


def prepare(host, pair):
    host.memarb.stop()
    host.end_hogs()
    host.virt_end(pair.kept)
    sh("swapoff", "-a", check=False)
    host.libvirt()
    pair.swap(host)
    return pair.guests(host)


def press(host, pair, guests, tick):
    try:
        pair.press(host, guests, tick)
    except GONE as error:
        if not dead_of(guests):
            raise
        host.note(f"cut short by a guest's end: {error}")


def run_without(host, pair, tally):
    for _ in range(TRIES):
        guests, kills = begin(host, pair), oom_kills()
        press(host, pair, guests, lambda: None)
        host.end_hogs()
        dead, kills = dead_of(guests), oom_kills() - kills
        host.note(f"without memarb: dead {dead or 'nobody'}, kernel's kills {kills}")
        if dead and kills and not pair.is_void():
            tally.lost_without += 1
            return True
        tally.voids += 1
        host.note("void: nobody died of it without memarb; made again")
    return False


class Killer:
    """Ends memarbd with SIGKILL once it has done something, in the middle of it."""

    def __init__(self, host):
        self.host, self.old = host, None

    def __call__(self):
        if self.old is None and self.host.memarb.actions():
            self.old = self.host.memarb.pid
            sh("systemctl", "kill", "-s", "KILL", "memarbd")
            self.host.note("memarbd is killed")

    def check(self):
        memarb = self.host.memarb
        self.host.point(self.old is not None and memarb.pid not in (0, self.old) and memarb.answers(),
                        "killed with SIGKILL in the middle, memarbd is there again", (self.old, memarb.pid))


def run_with(host, pair, tally, is_killed=False):
    for _ in range(TRIES):
        if run_with_once(host, pair, tally, is_killed):
            return
        tally.emulated += 1
    host.point(False, f"{pair.what}: a run with memarb in which the emulation ends no guest", f"void {TRIES} times")


def run_with_once(host, pair, tally, is_killed):
    """False: void."""
    what = f"{pair.what}, memarbd killed meanwhile" if is_killed else pair.what
    guests = begin(host, pair)
    before, threads = limits_now(pair, guests), emulator.threads_of(guests)
    host.memarb.start(pair.settings, pair.rules, count=len(guests))
    kills = oom_kills()
    killer = Killer(host) if is_killed else None
    press(host, pair, guests, killer or (lambda: None))
    dead, kills = dead_of(guests, pair.may_end), oom_kills() - kills
    host.note(f"with memarb: {sorted({(a['action'], a.get('name'), a['reason']) for a in host.memarb.actions()})}")
    if dead and not kills and is_emulators(host, dead, threads):
        return False
    if not host.point(not dead and not kills, f"{what}: with memarb nobody is killed by the kernel", (dead, kills)):
        host.points.note_output("journalctl", "-u", "memarbd", "-n", "25", "--no-pager", "-o", "cat")
    living = [guest for guest in guests if guest.alive()]
    try:
        if killer is not None:
            killer.check()
        else:
            pair.check(host, guests)
        host.end_hogs()
        is_all_back(host, pair, living, before, what)
    except GONE:
        if not dead_of(living, pair.may_end):
            raise
    late = dead_of(living, pair.may_end)
    if late and is_emulators(host, late, threads):
        return False
    host.point(not late, f"{what}: nobody ends afterwards", late)
    tally.lost_with += bool(dead or kills or late)
    return True


def is_emulators(host, dead, threads):
    """All of them, and memarb ended none of them."""
    ended = {action.get("name") for action in host.memarb.actions() if action["action"] in ("kill", "shutdown", "save")}
    if not set(dead) <= set(emulator.gave_up(threads)) - ended:
        return False
    host.note(f"void: the emulated processor of {dead} shut down, nobody killed it; made again")
    for name in dead:
        host.note(f"  {name}: {emulator.gave_up(threads)[name]}")
    return True


def run_pair(host, pair, tally):
    tally.pairs += 1
    is_lost = run_without(host, pair, tally)
    host.point(is_lost, f"{pair.what}: without memarb the kernel kills a QEMU", f"void {TRIES} times")
    run_with(host, pair, tally)


def limits_now(pair, guests):
    return {guest.name: {name: value for name, value in limits_of(guest).items() if name != pair.moved_limits.get(guest.name)}
            for guest in guests}


def squeezing(limits):
    """Without those that stand while memarbd runs."""
    return {guest: {name: value for name, value in its.items() if name not in STANDING} for guest, its in limits.items()}


def is_all_back(host, pair, guests, before, what):
    """By and by; under --repeat, where runs give way to the next ones, by memarbd's stop."""
    before = {guest.name: before[guest.name] for guest in guests}
    if host.repeat:
        host.memarb.stop()
    is_given_back(host, guests, what)
    if not host.repeat:
        now = limits_now(pair, guests)
        host.point(squeezing(before) == squeezing(now), f"{what}: and no limit is left", (before, now))
        host.memarb.stop()
    now = limits_now(pair, guests)
    host.point(before == now, f"{what}: stopped, memarbd leaves no limit at all", (before, now))


def is_given_back(host, guests, what):
    def owed():
        rest = []
        for guest in guests:
            full = guest.dom.info()[1] >> 10
            actual = guest.dom.memoryStats()["actual"] >> 10
            state = guest.dom.state()[0]
            if actual != full or state != libvirt.VIR_DOMAIN_RUNNING:
                rest.append((guest.name, f"{actual} of {full} MiB", f"state {state}"))
        return rest
    began = time.monotonic()
    try:
        wait_for(lambda: not owed(), 150, "everything to be given back")
    except TimeoutError:
        host.points.note_output("memarbctl", "status")
        host.points.note_output("memarbctl", "guests")
    host.point(not owed(), f"{what}: afterwards nothing is ballooned or paused", owed())
    host.note(f"given back {time.monotonic() - began:.0f} s after the trouble's end, available {mib(host.available())}")


def run(host, pair, and_killed=True):
    """One pair, and once more with memarbd killed in the middle. Under --repeat: that many pairs."""
    host.libvirt()
    host.virt_end()
    emulator.watch()
    tally, began = Tally(), time.monotonic()
    for number in range(host.repeat or 1):
        if host.repeat:
            host.note(f"-- pair {number + 1} of {host.repeat}")
        run_pair(host, pair, tally)
        if host.repeat:
            # Also of those before one that ends the run.
            host.note(f"TALLY {pair.what}: {tally.text()}; {(time.monotonic() - began) / tally.pairs:.0f} s a pair")
    if and_killed and not host.repeat:
        run_with(host, pair, tally, is_killed=True)
