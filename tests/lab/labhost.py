# SPDX-License-Identifier: LGPL-2.1-or-later
"""labhost.py - what scenarios use inside the virtual host: the points, memarbd as systemd runs it, the system's own
libvirtd, its cgroups, memory that somebody else takes. Standard library and python3-libvirt."""
import json
import os
import re
import subprocess
import sys
import threading
import time

import libvirt
import libvirt_qemu

import residency
from tinyguest import MIB, Lab, host_meminfo, wait_for
from virthost import Libvirtd, quiet_errors

# Where it is enough that some memory is taken, no more is: guests that are squeezed hard end now and then without a word
# here, as by a triple fault of their emulated processor.
KEPT = {"Guarantee": "256MiB"}
# A balloon leaves a guest 128 MiB more than it uses (P2); these use some 60.
PAIR_MIB = 320
# QEMU itself says when a balloon is asked for, whoever asks.
TRACE, TRACED = ["-trace", "enable=virtio_balloon_to_target"], "virtio_balloon_to_target balloon target"
# A guest that clears each page before it hands it to its balloon faults it in first: half of a balloon's time under emulation.
QUICK = "init_on_alloc=0"
# The rest of what a guest grows by, 200 MiB at 24 a second at most, beside others.
GROWN_SECONDS = 90
QEMU_LOGS = "/var/log/libvirt/qemu"
# VIR_DOMAIN_MEMORY_PARAM_UNLIMITED, which the Python binding lacks.
UNLIMITED_KIB = 9007199254740991
IMAGE = "/opt/memarb/image"
CONFIG = "/etc/memarb/memarb.conf.d/lab.conf"
HOST_KEYS = ("Budget BudgetCgroup QmpSockets QmpMode QmpListen Libvirt LibvirtUri LibvirtRunDir PsiStall PsiWindow SampleIdle"
             " SampleBusy GuestSample MaxGuests PinBudget NodePinBudget").split()
ADMISSION_KEYS = "Mode ReserveFor ReadmitAfter WhenDown".split()
# A small host with short times: a scenario asserts order and bounds, and waits for events.
SETTINGS = {"Arm": "observe", "QuietTime": "1s", "Reserve": "96MiB", "SoftWatermark": "192MiB", "HardWatermark": "128MiB",
            "CriticalWatermark": "64MiB", "Libvirt": "yes", "SampleIdle": "500ms", "SampleBusy": "250ms", "GuestSample": "2s"}


class Skip(Exception):
    """Raised by a scenario that cannot run here; the text is the reason."""


class Points:
    """TAP. A failed point ends nothing: the ones after it may say why."""

    def __init__(self, out):
        self.out, self.number, self.failed, self.scenario, self.began = out, 0, 0, "lab", time.monotonic()
        self.lock = threading.Lock()

    def line(self, text):
        """Whole, whichever thread writes."""
        with self.lock:
            self.out.write(f"{text}\n")
            self.out.flush()

    def note(self, text):
        self.line(f"# [{time.monotonic() - self.began:5.1f}] {text}")

    def note_output(self, *command):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        for line in done.stdout.splitlines():
            self.note(f"  {line}")

    def point(self, is_good, text, detail=""):
        self.number += 1
        self.failed += not is_good
        self.line(f"{'ok' if is_good else 'not ok'} {self.number} - {self.scenario}: {text}")
        if detail != "" and not is_good:
            self.note(f"  it is: {detail}")
        return bool(is_good)

    def skip(self, reason):
        self.number += 1
        self.line(f"ok {self.number} - {self.scenario} # SKIP {reason}")

    def end(self):
        self.line(f"1..{self.number}")


def sh(*command, check=True, seconds=90):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=seconds, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: status {done.returncode}: {done.stdout[-800:]}")
    return done.stdout


def read(path):
    with open(path, encoding="utf-8", errors="replace") as text:
        return text.read()


def mib(size):
    return f"{size / MIB:.0f} MiB"


class SystemLibvirt(Libvirtd):
    """The libvirtd that systemd starts, in the place of a private one."""

    def __init__(self, lab):  # pylint: disable=super-init-not-called
        quiet_errors()
        self.lab, self.dir, self.guests = lab, "", "/var/lib/libvirt/lab"
        os.makedirs(self.guests, exist_ok=True)
        os.chmod(self.guests, 0o777)
        self.uri = "qemu:///system"
        self.names = []
        # udev gives /dev/kvm to QEMU's group.
        sh("udevadm", "settle", "--timeout=60", check=False)
        self.conn = wait_for(self.knows_qemu, 240, "libvirtd to know its QEMU")

    def knows_qemu(self):
        """A connection once libvirtd has probed its QEMU. On a busy machine it may give up, and remembers that."""
        conn = libvirt.open(self.uri)
        try:
            conn.getDomainCapabilities(None, "x86_64", "pc", "kvm")
            return conn
        except libvirt.libvirtError as error:
            print(f"libvirtd starts again: {error}", file=sys.stderr)
            conn.close()
            sh("systemctl", "restart", "libvirtd", check=False)
            return None

    def restart(self, signal_name="TERM"):
        sh("systemctl", "kill", "-s", signal_name, "libvirtd")
        self.conn = wait_for(lambda: libvirt.open(self.uri), 60, "libvirtd")

    def qemu_log(self, name):
        return read(f"{QEMU_LOGS}/{name}.log")

    def domain(self, name, mib=192, persistent=False, **options):  # pylint: disable=redefined-outer-name
        self.names.append(name)
        return super().domain(name, mib, persistent, **options)

    def xml(self, name, mib=192, **options):  # pylint: disable=redefined-outer-name
        options["append"] = f"{QUICK} {options.get('append', '')}"
        return super().xml(name, mib, extra_args=TRACE, **options)

    def end(self, but=()):
        for name in self.names:
            try:
                if name not in but:
                    self.conn.lookupByName(name).destroy()
            except libvirt.libvirtError:
                pass
        self.names = [name for name in self.names if name in but]


class Memarb:
    """memarbd.service, and memarbctl as its operator."""

    def __init__(self, points):
        self.points, self.settings, self.guest_rules = points, dict(SETTINGS), {}
        self.began_usec = 0

    def configure(self, settings=None, guests=None):
        """Writes the drop-in; None takes a key out."""
        for key, value in (settings or {}).items():
            self.settings.pop(key, None)
            if value is not None:
                self.settings[key] = value
        self.guest_rules.update(guests or {})
        sections = {"Arbiter": [], "Host": [], "Admission": []}
        for key, value in self.settings.items():
            section = "Host" if key in HOST_KEYS else "Admission" if key in ADMISSION_KEYS else "Arbiter"
            sections[section].append(f"{key}={value}")
        for match, rules in self.guest_rules.items():
            sections[f"Guest {match}"] = [f"{key}={value}" for key, value in rules.items()]
        os.makedirs(os.path.dirname(CONFIG), exist_ok=True)
        with open(CONFIG, "w", encoding="utf-8") as text:
            for section, lines in sections.items():
                text.write(f"[{section}]\n" + "".join(f"{line}\n" for line in lines))

    def start(self, settings=None, guests=None, count=None):
        """Starts it afresh: nothing of what an earlier scenario set is left."""
        self.stop()
        self.settings, self.guest_rules = dict(SETTINGS), {}
        self.configure(settings, guests)
        self.began_usec = int(time.time() * 1e6)
        sh("systemctl", "reset-failed", "memarbd", check=False)
        sh("systemctl", "start", "memarbd")
        if count is not None:
            self.wait_guests(count)
        return self

    def stop(self):
        sh("systemctl", "stop", "memarbd", check=False, seconds=150)

    def reload(self, settings=None, guests=None):
        self.configure(settings, guests)
        sh("systemctl", "reload", "memarbd")

    def show(self, *properties, unit="memarbd.service"):
        out = sh("systemctl", "show", unit, *[f"-p{name}" for name in properties])
        values = dict(line.split("=", 1) for line in out.splitlines())
        return values[properties[0]] if len(properties) == 1 else values

    @property
    def pid(self):
        return int(self.show("MainPID"))

    def ctl(self, *args):
        return sh("memarbctl", *args)

    def json(self, *args):
        return json.loads(self.ctl("--json", *args))

    def is_running(self):
        return self.show("ActiveState") == "active"

    def answers(self):
        return subprocess.run(["memarbctl", "status"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False).returncode == 0

    def status(self):
        return self.json("status")

    def guests(self):
        return {guest["name"]: guest for guest in self.json("guests")}

    def guest(self, name):
        return self.guests()[name]

    def wait_guests(self, count, seconds=90):
        """Until that many guests are known with their figures."""
        def all_known():
            guests = self.guests().values()
            return len(guests) == count and all(guest.get("resident_bytes") and guest.get("actual_bytes")
                                                and guest["state"] == "running" for guest in guests)
        try:
            wait_for(lambda: self.answers() and all_known(), seconds, f"{count} guests with figures")
        except TimeoutError:
            self.points.note_output("memarbctl", "guests")
            raise

    def journal(self, unit="memarbd.service", message_id=None):
        """Entries since start() as dicts, oldest first."""
        # Not --after-cursor: with a filter it drops one entry more (systemd 252 journalctl).
        more = [f"--since=@{self.began_usec / 1e6:.6f}"]
        more += [f"MESSAGE_ID={message_id}"] if message_id else []
        out = sh("journalctl", "-u", unit, "-o", "json", "--no-pager", *more)
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    def decisions(self):
        lines = []
        for name in ("record.jsonl.1", "record.jsonl"):
            try:
                for line in read(f"/var/lib/memarb/{name}").splitlines(keepends=True):
                    if line.endswith("\n"):
                        lines.append(json.loads(line))
            except FileNotFoundError:
                pass
        return lines

    def actions(self, kind=None):
        """Armed actions that the record holds since start()."""
        found = []
        for line in self.decisions():
            if line.get("realtime_usec", 0) >= self.began_usec:
                for action in (line.get("plan") or {}).get("actions", []):
                    if action.get("armed") and kind in (None, action["action"]):
                        found.append(action)
        return found


HOG = """
import ctypes, mmap, sys, time
libc = ctypes.CDLL(None, use_errno=True)
if sys.argv[2] == "locked": libc.mlockall(2)
held = []
for step in range(0, int(sys.argv[1]), 16):
    area = mmap.mmap(-1, 16 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)
    held.append(area)
    time.sleep(float(sys.argv[3]))
print("full", flush=True)
time.sleep(100000)
"""


class Hog:
    """Somebody else's memory: `mib` of it taken in steps of 16 MiB. The kernel kills others first."""

    def __init__(self, size_mib, *, locked=True, node=None, pause=0.0, adj=-1000):
        prefix = ["choom", "-n", str(adj), "--"]
        if node is not None:
            prefix += ["numactl", f"--membind={node}", "--"]
        self.popen = subprocess.Popen([*prefix, sys.executable, "-c", HOG, str(size_mib), "locked" if locked else "loose",
                                       str(pause)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def is_full(self):
        return not self.is_alive() or bool(self._line())

    def _line(self):
        os.set_blocking(self.popen.stdout.fileno(), False)
        return self.popen.stdout.read()

    def is_alive(self):
        return self.popen.poll() is None

    def wait_full(self, seconds=120):
        wait_for(self.is_full, seconds, "the memory hog")
        return self

    def end(self):
        if self.is_alive():
            self.popen.kill()
        self.popen.wait()


class LabHost:
    """The host for one scenario after the other: all that a scenario started ends with it, but the pair."""

    def __init__(self, points):
        self.points, self.hogs, self.plain, self.plain_logs = points, [], [], {}
        self.repeat = 0  # pairs of a scenario, where that was asked for
        self.point, self.note = points.point, points.note
        self.memarb = Memarb(points)
        self.lab, self.virt, self.pair_of, self.kept = Lab(), None, {}, {}
        self.lab.image_dir = IMAGE

    def __enter__(self):
        # Whose pages the kernel moves on its own, and faults in again one by one, makes no difference to any scenario but in time.
        sh("sysctl", "-qw", "kernel.numa_balancing=0")
        # As a package's postinst does.
        sh("systemd-sysusers")
        sh("journalctl", "--update-catalog")
        sh("swapoff", "-a")
        return self

    def end_hogs(self):
        for hog in self.hogs:
            hog.end()
        self.hogs.clear()

    def end_plain(self):
        for guest in self.plain:
            guest.kill()
            guest.wait_exit()
        self.plain.clear()

    def __exit__(self, *_):
        self.end_hogs()
        self.memarb.stop()
        self.end_plain()
        if self.virt is not None:
            self.virt.end()
        self.kept.clear()
        sh("swapoff", "-a", check=False)
        return False

    def end(self):
        self.virt_end()
        self.lab.end()

    def libvirt(self):
        if self.virt is None:
            began = time.monotonic()
            self.virt = SystemLibvirt(self.lab)
            self.note(f"libvirtd answers after {time.monotonic() - began:.0f} s")
        return self.virt

    def virt_end(self, but=()):
        """No domain of an earlier part is left, but those for again()."""
        for domain in self.pair_of.values():
            self.virt.names.append(domain.name)
        self.pair_of.clear()
        if self.virt is not None:
            self.virt.end(but)
        self.kept = {name: domain for name, domain in self.kept.items() if name in but and domain.alive()}

    def pair(self):
        """Two libvirt guests, "one" and "two", of PAIR_MIB, that scenarios share: a boot is what takes time here. Nothing
        is eaten, taken or limited in them."""
        virt = self.libvirt()
        for name in ("one", "two"):
            if name not in self.pair_of or not self.pair_of[name].alive():
                self.pair_of[name] = virt.domain(name, PAIR_MIB, stats_period=1)
                virt.names.remove(name)
        for domain in self.pair_of.values():
            # libvirtd may be another one since.
            domain.dom = virt.conn.lookupByName(domain.name)
            domain.wait_up().agent("eatfree")
            domain.dom.setMemoryFlags(PAIR_MIB << 10, libvirt.VIR_DOMAIN_AFFECT_LIVE)
            domain.dom.setMemoryParameters({"soft_limit": UNLIMITED_KIB},
                                           libvirt.VIR_DOMAIN_AFFECT_LIVE)
        self.note("the pair is up")
        return self.pair_of["one"], self.pair_of["two"]

    def guest(self, name, size_mib, *, extra=(), **options):
        """A plain QEMU."""
        options["append"] = f"{QUICK} {options.get('append', '')}"
        guest = self.lab.guest(name, size_mib, accel="kvm", extra=["-msg", "timestamp=on", *TRACE, *extra], **options)
        self.plain.append(guest)
        self.plain_logs[name] = guest.log
        return guest

    def qemu_logs(self):
        """{guest's name: log of its QEMUs}."""
        logs = {name[:-len(".log")]: read(f"{QEMU_LOGS}/{name}") for name in os.listdir(QEMU_LOGS) if name.endswith(".log")}
        return {**logs, **{name: read(path) for name, path in self.plain_logs.items()}}

    def balloon_commands(self, name):
        """How often anybody asked this domain's QEMU for a balloon; libvirt does once, at the start, for the size it has."""
        return self.virt.qemu_log(name).count(TRACED)

    def again(self, name, size_mib, emptied_mib=None, **options):
        """The domain of an earlier run with nothing eaten or taken, if it lives, else one that boots: that is what takes time.
        emptied_mib: what it never used is not resident either, by a balloon that leaves it so much for a moment."""
        domain = self.kept.get(name)
        if domain is None or not self.is_as_new(domain, size_mib, emptied_mib):
            domain = self.kept[name] = self.virt.domain(name, size_mib, **options)
        domain.was_new_usec = time.time() * 1e6
        return domain

    def is_as_new(self, domain, size_mib, emptied_mib):
        def resize(wanted_mib):
            domain.dom.setMemoryFlags(wanted_mib << 10, libvirt.VIR_DOMAIN_AFFECT_LIVE)
            wait_for(lambda: domain.dom.memoryStats()["actual"] == wanted_mib << 10, 90, f"{domain.name} to have {wanted_mib} MiB")
        try:
            # What it still grows by would be there afterwards.
            domain.agent("wait; eatfree", GROWN_SECONDS)
            for wanted_mib in [emptied_mib, size_mib] if emptied_mib else [size_mib]:
                resize(wanted_mib)
            return True
        except (OSError, EOFError, libvirt.libvirtError):
            if domain.alive():
                self.end_silent(domain)
            return False

    def end_silent(self, domain):
        """A guest that lives and does not answer. Where there was a memarb since it did, this is for the one who reads the failure."""
        state = libvirt_qemu.qemuMonitorCommand(domain.dom, "info registers", libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP)
        self.note(f"{domain.name} does not answer; its processor: {' '.join(re.findall(r'RIP=.*|HLT=.', state))}")
        if self.memarb.began_usec > domain.was_new_usec:
            raise RuntimeError(f"{domain.name} lives and does not answer, after a run with memarb")
        self.note("started afresh: there was no memarb since it was last asked")
        domain.dom.destroy()
        domain.wait_exit()

    def domains(self, names, size_mib=192, start=None, **options):
        """Starts them together, then waits for them."""
        domains = [(start or self.libvirt().domain)(name, size_mib, **options) for name in names]
        for domain in domains:
            domain.wait_up()
        self.note(f"up: {' '.join(names)}")
        return domains

    @staticmethod
    def shortage(left, by_mib=40):
        """Settings by which a host with `left` bytes available is hard short by so much."""
        short = left // MIB + by_mib
        return {"Reserve": f"{short}MiB", "HardWatermark": f"{short + 40}MiB", "SoftWatermark": f"{short + 80}MiB",
                "CriticalWatermark": "100MiB"}

    def touch(self, domains, size_mib):
        """The guests have used so much once: it is free inside them and resident outside."""
        for domain in domains:
            domain.agent(f"eat {size_mib}", 200)
            domain.agent("eatfree")

    def fill(self, domains, size_mib):
        """As touch(), of all of their memory, and at once."""
        began = time.monotonic()
        for domain in domains:
            domain.dom.suspend()
            residency.fill(domain.pid, size_mib * MIB)
            domain.dom.resume()
        self.note(f"resident: {' '.join(mib(domain.memory().get('RssAnon', 0)) for domain in domains)}, in "
                  f"{time.monotonic() - began:.0f} s")

    def swap_on(self, size_mib=None):
        sh("mkswap", "/dev/vdb", *([str(size_mib << 10)] if size_mib else []))
        sh("swapon", "/dev/vdb")

    def hog(self, size_mib, **options):
        hog = Hog(size_mib, **options)
        self.hogs.append(hog)
        return hog

    @staticmethod
    def available():
        return host_meminfo()["MemAvailable"]

    @staticmethod
    def anonymous():
        """What all processes hold. Caches, which move by tens of MiB with every journal line and driver, are not in it."""
        return host_meminfo()["AnonPages"]

    def settled(self, figure, seconds=30, within=4 * MIB):
        """figure() once two readings a second apart agree."""
        last = figure()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(1)
            now = figure()
            if abs(now - last) <= within:
                return now
            last = now
        return last


def cgroup_of(pid):
    """The folder of the group whose memory files count for the process: its own, or the first above with them."""
    path = "/sys/fs/cgroup" + re.search(r"^0::(.*)$", read(f"/proc/{pid}/cgroup"), re.M).group(1)
    while read(f"{path}/cgroup.type").strip() == "threaded":
        path = os.path.dirname(path)
    return path


def psi_some_avg10(path="/proc/pressure/memory"):
    return float(re.search(r"some avg10=([\d.]+)", read(path)).group(1))


def oom_kills():
    """How often the kernel killed since boot."""
    return int(re.search(r"^oom_kill (\d+)", read("/proc/vmstat"), re.M).group(1))

