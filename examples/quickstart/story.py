#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""story.py - the main job on real guests; quickstart.sh calls it with memarbd and memarbctl built.

A private libvirtd, five real guests, one memory budget for all of them. First they leave idle memory lying about and
memarb takes it by balloon. Then one of them grows without end, balloons cannot answer, and the least-impact guest pays
while the protected one is not touched. Then the pressure goes and everything is given back. The exit status says
whether the host's own figures (resident memory of the processes) show all of that."""
import argparse
import json
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tests", "support"))

from tinyguest import PATIENCE, Lab, proc_memory, wait_for  # noqa: E402  pylint: disable=wrong-import-position

MIB = 1 << 20
GUEST_MIB = 512
BOOT_SECONDS = 120
STEP_SECONDS = 60
PAUSED = 3  # VIR_DOMAIN_PAUSED

GUESTS = [  # name, what the operator says of it, in words
    ("db", 'impact="never"', "the database: never a victim"),
    ("shop", 'impact="500"', "the shop: dear (impact 500)"),
    ("mail", 'impact="100"', "mail: like most (impact 100)"),
    ("batch", 'impact="20"', "the nightly batch: cheap (impact 20)"),
    ("test", 'impact="5"', "a test machine: cheapest (impact 5)"),
]
# Idle memory: used once and let go by these guests, so that the host still pays for it.
IDLE_MIB = 290
IDLE_GUESTS = ("shop", "mail", "batch")
SOFT_MIB = 180
# The bomb: what 'mail' grows by, and how fast. TCG guests dirty some 70 MiB a second.
BOMB_MIB = 400
BOMB_MIB_PER_SECOND = 25

CONFIG = """\
# written by the quickstart for a little host of its own
[Arbiter]
Arm=kill
QuietTime=10s
Reserve=110MiB
SoftWatermark={soft}MiB
HardWatermark=130MiB
CriticalWatermark=80MiB
MaxVictimsPerIncident=2
[Host]
Budget={budget}MiB
Libvirt=yes
LibvirtUri={uri}
LibvirtRunDir={run_dir}
QmpListen={qmp}
SampleIdle=500ms
SampleBusy=250ms
GuestSample=2s
[Record]
Directory={record}
[Control]
Socket={control}
Group=
"""


def metadata(attributes):
    return f'<memarb:guest xmlns:memarb="urn:memarb:guest:1" {attributes}/>'


class Story:
    """Says what happens, and remembers what did not happen as it should."""

    def __init__(self, lab, build, started):
        self.lab, self.build, self.started = lab, build, started
        self.failures, self.guests = [], {}
        self.budget = self.booted = 0
        self.control = os.path.join(lab.path("memarb"), "control")
        self.record = lab.path("record")
        self.virt = self.daemon = self.qmp = None

    def say(self, text=""):
        print(f"{time.monotonic() - self.started:6.1f} s  {text}" if text else "", flush=True)

    def chapter(self, text):
        self.say()
        self.say(f"== {text}")

    def check(self, is_true, what):
        self.say(f"{'    ok: ' if is_true else 'NOT SO: '}{what}")
        if not is_true:
            self.failures.append(what)

    # The host's side: what the kernel says of the processes, not what anybody claims.
    def resident(self, name):
        memory = proc_memory(self.guests[name].pid) if self.guests[name].alive() else {}
        return memory.get("RssAnon", 0) + memory.get("RssShmem", 0)

    def used(self):
        return sum(self.resident(name) for name in self.guests)

    def is_paused(self, name):
        return self.guests[name].alive() and self.guests[name].state()[0] == PAUSED

    def lost(self):
        return [name for name, guest in self.guests.items() if not guest.alive()]

    def ctl(self, *args):
        command = [os.path.join(self.build, "arbiter/cli/memarbctl"), "--socket", self.control, *args]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20,
                              check=False)
        if done.returncode != 0:
            raise RuntimeError(f"memarbctl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def balloons(self):
        """What each living guest is left with, in bytes."""
        return {name: guest.dom.info()[2] << 10 for name, guest in self.guests.items() if guest.alive()}

    def picture(self):
        parts = []
        for name, guest in self.guests.items():
            if not guest.alive():
                parts.append(f"{name} gone")
            else:
                parts.append(f"{name} {self.resident(name) // MIB:3d}{' (paused)' if self.is_paused(name) else ''}")
        room = self.budget - self.used() // MIB
        return f"room {room:4d} of {self.budget} MiB; guests hold {', '.join(parts)}"

    def watch(self, condition, seconds, what):
        """Waits for condition(), drawing the host every two seconds."""
        seconds *= PATIENCE
        end, drawn = time.monotonic() + seconds, 0.0
        while True:
            if condition():
                self.say(self.picture())
                return True
            now = time.monotonic()
            if now > end:
                self.say(self.picture())
                self.say(f"waited {seconds} s in vain for: {what}")
                return False
            if now - drawn >= 2:
                drawn = now
                self.say(self.picture())
            time.sleep(0.1)

    def follow_events(self):
        """memarb's own words, as they come."""
        stream = self.lab.process("events", [os.path.join(self.build, "arbiter/cli/memarbctl"), "--socket", self.control,
                                             "events", "--follow", "--json"])

        def reader():
            with open(stream.log, encoding="utf-8", errors="replace") as log:
                rest = ""
                while True:
                    text = log.read()
                    if not text and not stream.alive():
                        return
                    *lines, rest = (rest + text).split("\n")
                    for line in lines:
                        try:
                            self.say(f"  memarb: {json.loads(line)['message']}")
                        except (ValueError, KeyError, TypeError):
                            pass
                    time.sleep(0.1)
        threading.Thread(target=reader, daemon=True).start()

    def boot(self):
        self.chapter(f"{len(GUESTS)} real guests of {GUEST_MIB} MiB (QEMU, {self.lab.accel().upper()}) on a libvirtd of "
                     "their own")
        self.virt = self.lab.libvirtd()
        self.qmp = os.path.join(self.virt.dir, "memarb.qmp")
        for name, attributes, words in GUESTS:
            self.guests[name] = self.virt.domain(name, mib=GUEST_MIB, metadata=metadata(attributes), stats_period=1,
                                                 dial=self.qmp)
            self.say(f"started {name:6s} {words}")
        for name, guest in self.guests.items():
            guest.wait_up(BOOT_SECONDS)
            self.say(f"{name} has booted and holds {self.resident(name) // MIB} MiB of the host")
        self.booted = self.used()

    def configure(self):
        path = os.path.join(os.path.dirname(self.control), "memarb.conf")
        with open(path, "w", encoding="ascii") as text:
            text.write(CONFIG.format(budget=self.budget, soft=SOFT_MIB, uri=self.virt.uri, qmp=self.qmp, record=self.record,
                                     run_dir=f"{self.virt.dir}/run/libvirt/qemu", control=self.control))
        return path

    def start_memarb(self):
        self.budget = self.booted // MIB + 430
        self.chapter(f"memarb guards a budget of {self.budget} MiB; the guests were promised "
                     f"{len(GUESTS) * GUEST_MIB} MiB")
        self.daemon = self.lab.process("memarbd", [os.path.join(self.build, "arbiter/daemon/memarbd"), "--config",
                                                   self.configure(), "--run-dir", self.lab.path("run")])

        def knows_all():
            if not self.daemon.alive():
                raise RuntimeError(f"memarbd ended: {self.daemon.log_text()[-1500:]}")
            try:
                return self.ctl("guests").count("running") == len(GUESTS)
            except RuntimeError:
                return False  # not listening yet
        wait_for(knows_all, 60, "memarbd to know all guests")
        self.follow_events()
        print(self.ctl("guests"), flush=True)

    def use_once(self):
        self.chapter(f"{', '.join(IDLE_GUESTS)} use {IDLE_MIB} MiB each once and let go of it: the host still pays")

        def use(name):
            self.guests[name].agent(f"eat {IDLE_MIB}", seconds=BOOT_SECONDS)
            self.guests[name].agent("eatfree")
        threads = [threading.Thread(target=use, args=(name,)) for name in IDLE_GUESTS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.say(f"the guests hold {self.used() // MIB} MiB, {self.booted // MIB} of it since their boot")

    def idle_memory(self):
        self.chapter("The budget is overrun; memarb takes the idle memory by balloon")
        before = self.used()
        self.watch(lambda: self.budget * MIB - self.used() > SOFT_MIB * MIB, STEP_SECONDS, "room above the soft mark")
        taken = before - self.used()
        self.check(self.budget * MIB - self.used() > SOFT_MIB * MIB, f"{max(taken, 0) // MIB} MiB came back, measured on "
                   "the host's side")
        self.check(min(self.balloons().values()) < GUEST_MIB * MIB, "by balloon: " + ", ".join(
            f"{name} {size // MIB} MiB" for name, size in self.balloons().items()))
        self.check(not self.lost(), "nobody was hurt for it")

    def bomb(self):
        self.chapter(f"A bomb: 'mail' grows by {BOMB_MIB_PER_SECOND} MiB a second, and really uses what it takes")
        if self.guests["test"].alive():
            self.guests["test"].agent("eat 150", seconds=120)
        self.guests["mail"].agent(f"grow {BOMB_MIB} {BOMB_MIB_PER_SECOND}")

        def is_answered():
            return bool(self.lost()) or any(self.is_paused(name) for name in self.guests)
        self.check(self.watch(is_answered, STEP_SECONDS, "a victim"), "the shortage was answered by a victim")
        time.sleep(3)
        paused = [name for name in self.guests if self.is_paused(name)]
        self.say(self.picture())
        self.say(f"ended: {', '.join(self.lost()) or 'nobody'}; paused: {', '.join(paused) or 'nobody'}")
        hurt = self.lost() + paused
        self.check("db" not in hurt, "the protected guest 'db' is untouched")
        self.check("shop" not in hurt, "the dear guest 'shop' is untouched")
        self.check(self.used() < self.budget * MIB, f"the guests hold {self.used() // MIB} of {self.budget} MiB: the "
                   "host was never overrun")
        print(self.ctl("explain", "db"), flush=True)

    def give_back(self):
        self.chapter("The pressure goes: the bomb lets go of its memory, 'batch' is shut down by its owner, the budget is doubled")
        if self.guests["mail"].alive() and not self.is_paused("mail"):
            try:
                self.guests["mail"].agent("eatfree")
            except EOFError:
                # It took more than it has: its own kernel ends it, on a machine that is slow to give a balloon back.
                self.say("'mail' has ended by itself meanwhile")
        if self.guests["batch"].alive():
            self.guests["batch"].dom.destroy()
        # Where there is less than plenty, guests that are not short wait five minutes of calm for theirs.
        self.budget *= 2
        self.configure()
        self.ctl("reload")

        def all_back():
            return all(size == GUEST_MIB * MIB for size in self.balloons().values()) and not any(
                self.is_paused(name) for name in self.guests)
        self.check(self.watch(all_back, 2 * STEP_SECONDS, "balloons and pauses to be given back"),
                   "everything that was taken was given back: " +
                   ", ".join(f"{name} {size // MIB} MiB" for name, size in self.balloons().items()))

    def table(self):
        """From memarb's own record: what it did and why."""
        self.chapter("What memarb did, and why (from its record)")
        rows, waiting = [], {}
        with open(os.path.join(self.record, "record.jsonl"), encoding="utf-8") as record:
            for line in record:
                entry = json.loads(line)
                for action in entry.get("plan", {}).get("actions", []):
                    if action.get("armed"):
                        rows.append([entry["plan"]["state"], action, ""])
                        waiting.setdefault((action.get("guest"), action["action"]), []).append(rows[-1])
                outcome = entry.get("outcome")
                if outcome and waiting.get((outcome.get("guest"), outcome["action"])):
                    waiting[(outcome["guest"], outcome["action"])].pop(0)[2] = outcome["result"]
        print(f"  {'PRESSURE':9s} {'ACTION':8s} {'GUEST':6s} {'FROM':>8s} {'TO':>8s} {'IMPACT':>8s}  {'REASON':16s} RESULT")
        for state, action, result in rows:
            sizes = [f"{action[key] // MIB} MiB" if key in action else "" for key in ("from_bytes", "to_bytes")]
            print(f"  {state:9s} {action['action']:8s} {action.get('name', ''):6s} {sizes[0]:>8s} {sizes[1]:>8s} "
                  f"{action.get('impact', ''):>8}  {action['reason']:16s} {result}")
        self.check(bool(rows), f"{len(rows)} actions stand in the record, each with its reason")

    def run(self):
        self.boot()
        self.use_once()
        self.start_memarb()
        self.idle_memory()
        self.bomb()
        self.give_back()
        self.table()
        self.say()
        for failure in self.failures:
            self.say(f"NOT SO: {failure}")
        self.say("The story did not go as it should." if self.failures else
                 "All of it was measured on the host's side. Nothing of this is left on your machine.")
        return 1 if self.failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", required=True, help="folder with the built memarbd and memarbctl")
    parser.add_argument("--keep", action="store_true", help="keep logs and the record")
    options = parser.parse_args()
    started = time.monotonic()
    with Lab(keep=options.keep) as lab:
        try:
            return Story(lab, options.build, started).run()
        except (RuntimeError, TimeoutError, OSError, EOFError, subprocess.SubprocessError) as problem:
            print(f"quickstart: {problem}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
