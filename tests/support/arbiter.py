# SPDX-License-Identifier: LGPL-2.1-or-later
"""arbiter.py - memarbd under test, and memarbctl as its operator. Standard library only.

A test must not depend on how fast the machine is, nor on what guests happen to hold. So before a shortage guests settle()
and the budget is taken from memarbd's own count; what could answer the shortage beside what the test is about is ruled out
(Guarantee=, Actions=); that nothing happens is watched for a number of cycles; how long memarbd took is read from its
record, never from the test's own clock; and what a test demands it waits for, as the journal and the record are written
after the deed.

    with Lab() as lab:
        arbiter = Arbiter(lab, {"Arm": "kill", "Budget": "400MiB"}, guests={"name:db": {"Impact": "never"}})
        guest = lab.guest("db", mib=256, dial=arbiter.dial).wait_up()
        arbiter.start().wait_guests(1)
        arbiter.reload({"Budget": "300MiB"})            # the shortage
        wait_for(lambda: arbiter.guest("db")["taken"], 10, "a balloon")

Settings are memarb.conf's keys; which section a key belongs into is known here. Everything lies in the lab's folder:
configuration, control socket, run folder, record; the machine's own memarb is never touched.
"""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import uuid

from taptest import on_failure
from tinyguest import MIB, PATIENCE, QEMU, Process, Qmp, proc_memory, wait_for

BUILD = os.environ.get("MEMARB_BUILD", "build")
MEMARBD = os.path.join(BUILD, "arbiter/daemon/memarbd")
MEMARBCTL = os.path.join(BUILD, "arbiter/cli/memarbctl")
START_SECONDS = 20
HOST_KEYS = ("Budget BudgetCgroup QmpSockets QmpMode QmpListen GuestAgent AgentListen AgentSockets Libvirt LibvirtUri LibvirtRunDir"
             " PsiStall PsiWindow SampleIdle SampleBusy GuestSample MaxGuests PinBudget NodePinBudget").split()
ADMISSION_KEYS = ("Mode", "ReadmitAfter", "ReserveFor", "WhenDown")
# A little host with short times: a test asserts order and bounds, and waits for events.
DEFAULTS = {"Arm": "observe", "QuietTime": "1s", "Reserve": "48MiB", "SoftWatermark": "96MiB", "HardWatermark": "64MiB",
            "CriticalWatermark": "32MiB", "Libvirt": "no", "SampleIdle": "200ms", "SampleBusy": "100ms",
            "GuestSample": "1s"}
MEMARBCTL_DOWN = 3
# Stands still: moves by less than this for so long, and for so many of memarbd's cycles. An idle guest's kernel touches a
# page now and then.
LEVEL_MIB, LEVEL_SECONDS, LEVEL_CYCLES = 2, 1, 5


class CtlError(Exception):
    """memarbctl failed; .status is its exit status, the text what it said."""

    def __init__(self, status, text):
        super().__init__(f"status {status}: {text}")
        self.status = status


def mib(number):
    return f"{int(number)}MiB"


class Arbiter:
    """One memarbd: its configuration, its process, its operator."""

    def __init__(self, lab, settings=None, *, name="memarbd", dial=None, guests=None, args=(), env=None):
        self.lab, self.name, self.args, self.env = lab, name, list(args), env
        self.dir, self.run_dir = lab.path(name), lab.path(f"{name}-run")
        self.dial = dial or os.path.join(self.dir, "qmp.sock")
        self.control = os.path.join(self.dir, "control")
        self.config_path = os.path.join(self.dir, "memarb.conf")
        self.record_dir = os.path.join(self.dir, "record")
        self.agent_dial = os.path.join(self.dir, "agent.sock")
        self.settings = {**DEFAULTS, "QmpListen": self.dial, "AgentListen": self.agent_dial}
        self.guest_rules = dict(guests or {})
        self.process, self.lives = None, 0
        self.configure(settings)
        on_failure(self.last_words)

    def configure(self, settings=None, guests=None):
        """Writes the configuration; a value None takes a key out."""
        for key, value in (settings or {}).items():
            self.settings.pop(key, None)
            if value is not None:
                self.settings[key] = value
        self.guest_rules.update(guests or {})
        sections = {"Arbiter": [], "Host": [], "Admission": [], "Record": [f"Directory={self.record_dir}"],
                    "Control": [f"Socket={self.control}", "Group="]}
        for key, value in self.settings.items():
            section, _, name = key.rpartition(".")  # "Metrics.Port" says its section
            section = section or ("Host" if key in HOST_KEYS else "Admission" if key in ADMISSION_KEYS else "Arbiter")
            sections.setdefault(section, []).append(f"{name}={value}")
        for match, rules in self.guest_rules.items():
            sections[f"Guest {match}"] = [f"{key}={value}" for key, value in rules.items()]
        with open(self.config_path, "w", encoding="utf-8") as text:
            for section, lines in sections.items():
                text.write(f"[{section}]\n" + "".join(f"{line}\n" for line in lines))

    def command(self, *args):
        return [MEMARBD, "--config", self.config_path, "--run-dir", self.run_dir, *self.args, *args]

    def start(self, wait=True):
        self.lives += 1
        # meson's MALLOC_PERTURB_ writes to all that is allocated, also what no host would ever touch.
        env = {name: value for name, value in {**os.environ, **(self.env or {})}.items() if name != "MALLOC_PERTURB_"}
        self.process = self.lab.process(f"{self.name}.{self.lives}", self.command(), env=env)
        if wait:
            wait_for(self.is_up, START_SECONDS, "memarbd to answer")
        return self

    def is_up(self):
        if not self.process.alive():
            raise RuntimeError(f"memarbd ended with {self.process.popen.returncode}: {self.log()[-2000:]}")
        try:
            self.status()
            return True
        except CtlError:
            return False

    def alive(self):
        return self.process is not None and self.process.alive()

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.process.log_text()

    def last_words(self):
        """For a failed test: the end of what it said, while it lives."""
        return f"{self.name} said last:\n{self.log()[-4000:]}" if self.alive() else None

    def kill(self):
        """SIGKILL: no chance to say good-bye."""
        self.process.kill()
        self.process.popen.wait(10)

    def end(self):
        """Whatever it is doing, and without giving back."""
        if self.alive():
            self.kill()

    def stop(self, seconds=40):
        """SIGTERM; its exit status."""
        return self.process.stop(seconds)

    def reload(self, settings=None, guests=None):
        self.configure(settings, guests)
        self.ctl("reload")

    def run_ctl(self, *args, seconds=30):
        """(exit status, stdout, stderr) of a memarbctl command."""
        done = subprocess.run([MEMARBCTL, "--socket", self.control, *args], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds * PATIENCE, check=False)
        return done.returncode, done.stdout, done.stderr

    def ctl(self, *args, seconds=30):
        status, out, err = self.run_ctl(*args, seconds=seconds)
        if status != 0:
            raise CtlError(status, err.strip())
        return out

    def json(self, *args):
        return json.loads(self.ctl("--json", *args))

    def status(self):
        return self.json("status")

    def guests(self):
        """By name, as `memarbctl guests --json` has them."""
        return {guest["name"]: guest for guest in self.json("guests")}

    def guest(self, name):
        return self.guests()[name]

    def call(self, method, **parameters):
        """A method of the control socket that memarbctl has no command for."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10 * PATIENCE)
            sock.connect(self.control)
            call = {"method": f"io.memarb.Arbiter.{method}", "parameters": parameters}
            sock.sendall(json.dumps(call).encode() + b"\0")
            answer = b""
            while not answer.endswith(b"\0"):
                data = sock.recv(65536)
                if not data:
                    raise EOFError(f"memarbd closed the connection in the middle of {method}")
                answer += data
        return json.loads(answer[:-1])["parameters"]

    def snapshot(self):
        """The newest snapshot, its guests by name."""
        snapshot = self.call("GetSnapshot")["snapshot"]
        return {**snapshot, "guests": {guest["name"]: guest for guest in snapshot["guests"]}}

    def plan(self):
        return self.json("plan")

    def wait_guests(self, count, seconds=30):
        """Until that many guests are known with their figures."""
        def all_known():
            guests = self.guests().values()
            return len(guests) == count and all(guest.get("resident_bytes") and guest["state"] in ("running", "paused")
                                                and guest.get("actual_bytes") for guest in guests)
        try:
            wait_for(all_known, seconds, f"{count} guests with figures")
        except TimeoutError as problem:
            raise TimeoutError(f"{problem}: {self.guests()}; memarbd said: {self.log()[-1500:]}") from None
        return self

    def known_used_mib(self):
        """What all guests hold by memarbd's own count: what a Budget= counts as used."""
        return sum(guest.get("resident_bytes", 0) for guest in self.guests().values()) / MIB

    def settle(self, guests, seconds=60):
        """Until what these guests hold, all that memarbd knows, stands still and memarbd counts the same; that, in MiB.

        A guest that boots, a test's own command in it, a balloon on its way: all of it moves what is used, and with it
        what a budget leaves."""
        last = {"used": None, "since": 0, "seq": 0}

        def is_level():
            used, now, seq = used_bytes(guests) / MIB, time.monotonic(), self.status()["seq"]
            if last["used"] is None or abs(used - last["used"]) > LEVEL_MIB:
                last.update(used=used, since=now, seq=seq)
            return (now > last["since"] + LEVEL_SECONDS and seq > last["seq"] + LEVEL_CYCLES
                    and abs(self.known_used_mib() - used) <= LEVEL_MIB)

        wait_for(is_level, seconds, f"{[guest.name for guest in guests]} to stand still")
        return self.known_used_mib()

    def leave(self, left_mib, guests, **settings):
        """A budget that leaves so much beside what these guests, all there are, have settled at."""
        self.reload({"Budget": mib(self.settle(guests) + left_mib), **settings})

    def pass_cycles(self, count=20):
        """Until memarbd has decided so many times more: to see that something does not happen."""
        seq = self.status()["seq"]
        wait_for(lambda: self.status()["seq"] >= seq + count, 60, f"{count} cycles")

    def wait_told(self, words, seconds=20):
        """Until the journal says so."""
        try:
            wait_for(lambda: words in self.log(), seconds, f"{words!r} in the journal")
        except TimeoutError as problem:
            raise TimeoutError(f"{problem}: {self.log()[-1500:]}") from None

    def wait_actions(self, kind=None, count=1, seconds=30):
        """Until the record has so many armed actions of that kind; those."""
        wait_for(lambda: len(self.actions(kind)) >= count, seconds, f"{count} of {kind or 'any action'} in the record")
        return self.actions(kind)

    def state(self):
        """What memarbd has written of its memory so far: what the next one will know."""
        try:
            with open(os.path.join(self.run_dir, "state.json"), encoding="utf-8") as text:
                return json.load(text)
        except FileNotFoundError:
            return {}

    def decisions(self):
        """The record's lines: {"plan": ...}, {"outcome": ...}, and the header."""
        lines = []
        for name in ("record.jsonl.1", "record.jsonl"):
            try:
                with open(os.path.join(self.record_dir, name), encoding="utf-8") as record:
                    for line in record:
                        if line.endswith("\n"):
                            lines.append(json.loads(line))
            except FileNotFoundError:
                pass
        return lines

    def actions(self, kind=None, since=0):
        """Armed actions of the record, in order, each with the "seq" and "realtime_usec" of its decision."""
        found = []
        for line in self.decisions():
            for action in (line.get("plan") or {}).get("actions", []):
                if action.get("armed") and kind in (None, action["action"]) and line["realtime_usec"] >= since:
                    found.append({**action, "seq": line["seq"], "realtime_usec": line["realtime_usec"]})
        return found

    def planned(self, kind):
        """The actions of that kind in the newest plan, armed or not."""
        return [action for action in self.plan().get("plan", self.plan())["actions"] if action["action"] == kind]

    def memory(self):
        return proc_memory(self.pid)

    def release_without_daemon(self, *options, seconds=60):
        """`memarbctl release` on this run folder: the status and what it said."""
        done = subprocess.run([MEMARBCTL, "--socket", self.control, "--run-dir", self.run_dir, "--config",
                               self.config_path, "release", *options], text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds * PATIENCE, check=False)
        return done.returncode, done.stdout


class ForgedProc:
    """A proc folder, for --proc-root, whose meminfo says what the test wants; the processes in it are the real ones."""

    def __init__(self, lab, name):
        self.root = lab.path(f"{name}-proc")
        for file in ("vmstat", "zoneinfo", "meminfo"):
            shutil.copyfile(f"/proc/{file}", f"{self.root}/{file}")
        os.symlink("/proc/self", f"{self.root}/self")
        # In place and of the same length, at once: memarbd holds the file open.
        self.meminfo = os.open(f"{self.root}/meminfo", os.O_RDWR | os.O_CLOEXEC)

    def add(self, pid):
        os.symlink(f"/proc/{pid}", f"{self.root}/{pid}")

    def add_growing(self, pid):
        """A process that seems to hold more than it does, whatever it is doing: a ForgedHolder."""
        return ForgedHolder(f"{self.root}/{pid}", pid)

    def oom_kills(self, number):
        """What the kernel is said to have killed since boot."""
        path = f"{self.root}/vmstat"
        with open(path, encoding="ascii") as text:
            lines = [f"oom_kill {number}" if line.startswith("oom_kill ") else line for line in text.read().splitlines()]
        file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        os.pwrite(file, ("\n".join(lines) + "\n").encode(), 0)
        os.close(file)

    def available(self, mib_available):
        text = os.pread(self.meminfo, 65536, 0)
        at = text.index(b"MemAvailable:") + len(b"MemAvailable:")
        width = text.index(b" kB", at) - at
        os.pwrite(self.meminfo, f"{mib_available * 1024:>{width}}".encode(), at)


class ForgedHolder:
    """with holder.growing(mib_per_second): a folder of a forged proc whose status says more and more resident memory;
    all else in it is the process' own."""

    STEP_SECONDS = 0.1

    def __init__(self, folder, pid):
        os.mkdir(folder)
        for name in os.listdir(f"/proc/{pid}"):
            if name != "status":
                os.symlink(f"/proc/{pid}/{name}", f"{folder}/{name}")
        self.folder, self.pid, self.more_kib = folder, pid, 0
        self.write()

    def write(self):
        """The kernel's words of now, and what is forged on top; never half of it, for memarbd opens it each time."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as text:
            lines = [line.split() for line in text]
        for line in lines:
            if line[0] in ("VmRSS:", "RssAnon:"):
                line[1] = str(int(line[1]) + self.more_kib)
        with open(f"{self.folder}/status.new", "w", encoding="ascii") as out:
            out.write("".join("\t".join([line[0], " ".join(line[1:])]) + "\n" for line in lines))
        os.replace(f"{self.folder}/status.new", f"{self.folder}/status")

    @contextlib.contextmanager
    def growing(self, mib_per_second):
        end = threading.Event()

        def run():
            while not end.wait(self.STEP_SECONDS):
                self.more_kib += int(mib_per_second * 1024 * self.STEP_SECONDS)
                self.write()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            end.set()
            thread.join()

    def shrink(self):
        self.more_kib = 0
        self.write()


def used_bytes(guests):
    """What the host's kernel says that these guests hold: what a Budget= counts as used."""
    return sum(guest.memory().get("RssAnon", 0) + guest.memory().get("RssShmem", 0) for guest in guests)


def used_mib(guests):
    return used_bytes(guests) // MIB


class BareGuest(Process):
    """A real QEMU with real memory and nothing that runs in it: up in a second, never idle by itself, cannot balloon.

    All its memory is resident from the start (prealloc), and the test drives what it holds: grow() makes QEMU allocate
    so much more at once, shrink() gives that back. For tests about victims, pauses and monitors, where a guest's own
    system would only cost the time of its boot."""

    def __init__(self, lab, name, mib=64, *, dial=None, balloon=True, shared=False, folder=None, extra=()):
        self.mib, self.uuid = mib, str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.memarb.test"))
        folder = folder or name
        self.qmp_path, self.grown, self._qmp = os.path.join(lab.path(folder), "qmp"), [], None
        # The threads of Growing speak to the same monitor as the test.
        self.lock = threading.Lock()
        argv = [QEMU, "-name", f"guest={name}", "-uuid", self.uuid, "-nodefaults", "-no-user-config", "-display", "none",
                "-accel", "tcg,tb-size=1", "-M", "pc,memory-backend=ram0",
                "-object", f"memory-backend-{'memfd,share=on' if shared else 'ram'},id=ram0,size={mib}M,prealloc=on",
                "-m", f"{mib}M",
                "-qmp", f"unix:{self.qmp_path},server=on,wait=off"]
        if balloon:
            argv += ["-device", "virtio-balloon-pci,id=balloon0"]
        if dial:
            argv += ["-chardev", f"socket,id=arbiter,path={dial},server=off,reconnect=1",
                     "-mon", "chardev=arbiter,mode=control"]
        super().__init__(lab, folder, argv + list(extra))
        self.name = name

    @property
    def qmp(self):
        if self._qmp is None:
            self._qmp = Qmp(self.qmp_path)
        return self._qmp

    def grow(self, mib):
        """Holds so much more of the host, at once."""
        with self.lock:
            name = f"grown{len(self.grown)}"
            self.qmp("object-add", arguments={"qom-type": "memory-backend-ram", "id": name, "size": mib * MIB,
                                              "prealloc": True})
            self.grown.append(name)

    def shrink(self):
        with self.lock:
            while self.grown:
                self.qmp("object-del", id=self.grown.pop())

    def is_paused(self):
        with self.lock:
            return self.qmp("query-status")["status"] == "paused"

    def stopped(self):
        """A context: SIGSTOP, and SIGCONT at its end."""
        return Stopped(self.pid)


class Stopped:
    """with Stopped(pid): the process stands still (SIGSTOP)."""

    def __init__(self, pid):
        self.fd = os.pidfd_open(pid)

    def __enter__(self):
        signal.pidfd_send_signal(self.fd, signal.SIGSTOP)
        return self

    def __exit__(self, *_):
        try:
            signal.pidfd_send_signal(self.fd, signal.SIGCONT)
        except ProcessLookupError:
            pass
        os.close(self.fd)


class GuestHost:
    """A host of bare guests and their memarbd, armed to kill, with the budget as the host; ended by the context.

        with GuestHost(lab, "name") as host:
            host.short()                                # the budget is now nearly used up
            wait_for(lambda: not host["web"].alive(), 15, "a victim")

    "web" goes first, then "mail"; "shop" is dear. The QEMUs start when it is made, memarbd with the block: made early, a
    guest is past the ten seconds in which it counts as starting."""

    SETTINGS = {"Arm": "kill", "Budget": "4GiB", "QuietTime": "0s"}
    GUESTS = {"name:web": {"Impact": "5", "Actions": "kill"}, "name:mail": {"Impact": "50", "Actions": "kill"},
              "name:shop": {"Impact": "900", "Actions": "kill"}}
    # Below CriticalWatermark=, above nothing: what a shortage leaves of the budget. One guest's end mends it. All their
    # memory is resident from the start, so what they hold is level.
    LEFT_MIB = 16

    def __init__(self, lab, name, settings=None, *, guests=None, names=("web", "mail", "shop"), shared=False,
                 **options):
        self.arbiter = Arbiter(lab, {**self.SETTINGS, **(settings or {})}, name=name, guests=guests or self.GUESTS,
                               **options)
        self.guests = {guest: BareGuest(lab, guest, 64, dial=self.arbiter.dial, shared=shared, folder=f"{name}-{guest}")
                       for guest in names}

    def __enter__(self):
        for guest in self.guests.values():
            if guest.qmp is None:
                raise RuntimeError("no monitor")
        self.arbiter.start().wait_guests(len(self.living()))
        return self

    def __exit__(self, *_):
        for guest in self.guests.values():
            guest.kill()
        self.arbiter.end()

    def __getitem__(self, name):
        return self.guests[name]

    def living(self):
        return [guest for guest in self.guests.values() if guest.alive()]

    def dead(self):
        return [name for name, guest in self.guests.items() if not guest.alive()]

    def budget(self, left_mib):
        """The budget that leaves so much beside what is used now."""
        return mib(used_mib(self.living()) + left_mib)

    def short(self, left_mib=LEFT_MIB, **settings):
        self.arbiter.reload({"Budget": self.budget(left_mib), **settings})

    def stands(self, seconds, what, but=()):
        """Nobody (else than `but`, names) dies for so long, and for as many of memarbd's cycles as are in it on an idle
        machine."""
        seq, end = self.arbiter.status()["seq"], time.monotonic() + seconds
        while time.monotonic() < end or self.arbiter.status()["seq"] < seq + 5 * seconds:
            if [name for name in self.dead() if name not in but]:
                raise AssertionError(f"{what}: {self.dead()}; memarbd said:\n{self.arbiter.log()[-1500:]}")
            time.sleep(0.05)


class Growing:
    """with Growing(guest, mib_per_second): holds more and more of the host, as long as the guest runs; a paused guest
    does not grow. Ends with the block; what it holds stays until guest.shrink().

    With `arbiter` each step waits for memarbd to have seen the one before: however slow the machine is, the growth is
    still going on when memarbd decides. A growth that has used everything up is none that a pause could stop."""

    STEPS_PER_SECOND = 5

    def __init__(self, guest, mib_per_second, most_mib, arbiter=None):
        self.guest, self.step, self.most_mib = guest, max(mib_per_second // self.STEPS_PER_SECOND, 1), most_mib
        self.arbiter = arbiter
        self.end, self.thread = threading.Event(), threading.Thread(target=self.run, daemon=True)

    def run(self):
        grown = 0
        while grown < self.most_mib and not self.end.wait(1 / self.STEPS_PER_SECOND):
            if self.guest.alive() and not self.guest.is_paused():
                seq = self.arbiter.status()["seq"] if self.arbiter else 0
                self.guest.grow(self.step)
                grown += self.step
                while self.arbiter and self.arbiter.status()["seq"] < seq + 2 and not self.end.wait(0.02):
                    pass

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()
