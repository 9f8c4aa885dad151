# SPDX-License-Identifier: LGPL-2.1-or-later
"""tinyguest.py - real QEMU guests for tests. Standard library only.

    from tinyguest import Lab

    with Lab() as lab:                          # a temporary folder; everything in it ends with the block
        guest = lab.guest("a", mib=128, dial="/path/of/a/listener").wait_up()
        guest.agent("eat 20")                   # a shell line inside the guest; see guest-init.sh
        guest.qmp("balloon", value=96 << 20)
        guest.qmp.wait_event("BALLOON_CHANGE")

Memory is in bytes, except parameters named *_mib. A Lab undoes what it started also on SIGTERM, Ctrl-C and SIGKILL
(reaper.py). Guests run under TCG unless a /dev/kvm really boots one; MEMARB_TEST_ACCEL=tcg|kvm decides without trying.
"""
import ctypes
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

from reaper import start_ticks

SUPPORT = os.path.dirname(os.path.abspath(__file__))
QEMU = os.environ.get("MEMARB_TEST_QEMU", "qemu-system-x86_64")
MIB = 1 << 20
# A guest boots in 3-4 s under TCG on an idle machine, in 20 s beside 14 others on two cores.
BOOT_SECONDS = 120
# What an emulated guest's clock counts in is the host's time stamp counter. A kernel that finds out its pace while it boots on
# a busy machine may be wrong by a factor of 100: its time-outs end at once, also those of its ACPI interpreter, without which
# no interrupt of the balloon arrives. So it is told.
RDTSC = bytes.fromhex("0f3148c1e2204809d0c3")  # rdtsc; shl rdx,32; or rax,rdx; ret


def host_tsc_khz():
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as page:
        page.write(RDTSC)
        start = ctypes.c_char.from_buffer(page)
        rdtsc = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(start))

        def both_clocks():
            """The tightest of some readings: nothing came between."""
            readings = []
            for _ in range(200):
                before, ticks, after = time.monotonic_ns(), rdtsc(), time.monotonic_ns()
                readings.append((after - before, before, ticks))
            return min(readings)[1:]

        (began, first), _, (ended, last) = both_clocks(), time.sleep(0.05), both_clocks()
        del start
    return (last - first) * 1000000 // (ended - began)


# A deadline is there for what never happens. What happens late, on a busy machine, is no failure: all deadlines are so many
# times what is plenty on an idle one. The integration tests run with 5.
PATIENCE = int(os.environ.get("MEMARB_TEST_PATIENCE", "1"))
# KVM boots this guest in under 2 s; one that has not come up by then does not work.
KVM_TRY_SECONDS = 12
TCG = "tcg,tb-size=16"
# swiotlb=noforce: beside a memory hot-plug area the kernel would set 64 MiB of bounce buffers aside, half of the guest.
KERNEL_ARGS = ("console=ttyS0 quiet mitigations=off tsc=reliable no_timer_check panic=-1 swiotlb=noforce"
               f" tsc_early_khz={host_tsc_khz()}")
UP_MARK = b"GUEST-UP"
# files=AGENT: the guest agent, built static.
AGENT = {"/bin/memarb-guest-agent": os.path.join(os.environ.get("MEMARB_BUILD", ""),
                                                 "guest-agent/memarb-guest-agent-static")}


def wait_for(condition, seconds, what):
    """Polls condition() until it is true; its value. `seconds` is plenty on an idle machine; a loaded one gets PATIENCE
    times as much. TimeoutError names what."""
    seconds *= PATIENCE
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


class LineSocket:
    """Lines over a Unix socket that may not listen yet."""

    def __init__(self, path, seconds=30):
        self.sock = socket.socket(socket.AF_UNIX)
        self.buffer = b""

        def connected():
            try:
                self.sock.connect(path)
                return True
            except (FileNotFoundError, ConnectionRefusedError):
                return False

        wait_for(connected, seconds, f"connection to {path}")

    def send(self, line):
        self.sock.sendall(line.encode() + b"\n")

    def line(self, seconds):
        """The next one, within exactly that time."""
        end = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            self.sock.settimeout(max(end - time.monotonic(), 0.001))
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("the other side closed the connection")
            self.buffer += data
        out, self.buffer = self.buffer.split(b"\n", 1)
        return out.decode(errors="replace").rstrip("\r")

    def close(self):
        self.sock.close()


class QmpError(Exception):
    """QEMU answered with an error; .desc is its text."""

    def __init__(self, command, error):
        super().__init__(f"{command}: {error.get('desc')}")
        self.desc = error.get("desc")


class Qmp(LineSocket):
    """qmp("query-balloon"), qmp("balloon", value=N). Events that arrive meanwhile are kept in .events."""

    def __init__(self, path, seconds=30):
        super().__init__(path, seconds)
        self.events = []
        self.serial = 0
        self.greeting = json.loads(self.line(seconds * PATIENCE))
        self("qmp_capabilities")

    def __call__(self, command, *, seconds=30, arguments=None, **more):
        self.serial += 1
        self.send(json.dumps({"execute": command, "arguments": {**(arguments or {}), **more}, "id": self.serial}))
        end = time.monotonic() + seconds * PATIENCE
        while True:
            message = json.loads(self.line(max(end - time.monotonic(), 0.001)))
            if "event" in message:
                self.events.append(message)
            elif message.get("id") == self.serial:
                if "error" in message:
                    raise QmpError(command, message["error"])
                return message["return"]

    def wait_event(self, name, seconds=30):
        """The oldest event of that name that has not been asked for yet."""
        end = time.monotonic() + seconds * PATIENCE
        while True:
            for at, event in enumerate(self.events):
                if event["event"] == name:
                    return self.events.pop(at)
            message = json.loads(self.line(max(end - time.monotonic(), 0.001)))
            if "event" in message:
                self.events.append(message)

    def balloon(self):
        """What QEMU says of the guest's size, in bytes."""
        return self("query-balloon")["actual"]

    def set_balloon(self, size, seconds=60):
        """Sets the target and waits until it is reached exactly."""
        self("balloon", value=size)
        wait_for(lambda: self.balloon() == size, seconds, f"balloon at {size // MIB} MiB")


class Agent(LineSocket):
    """The guest's shell: agent("eat 20") gives the output; a failing command raises."""

    def run(self, command, seconds=60):
        self.send(command)
        out = []
        end = time.monotonic() + seconds * PATIENCE
        while True:
            line = self.line(max(end - time.monotonic(), 0.001))
            if line.startswith("<<rc="):
                return int(line[5:-2]), "\n".join(out)
            out.append(line)

    def __call__(self, command, seconds=60):
        status, out = self.run(command, seconds)
        if status != 0:
            raise RuntimeError(f"in the guest: {command}: status {status}: {out}")
        return out

    def meminfo(self):
        return parse_meminfo(self("cat /proc/meminfo"))


def parse_meminfo(text):
    """Bytes by name; the few counters without a unit are left as they are."""
    out = {}
    for line in text.splitlines():
        words = line.replace(":", "").split()
        if len(words) >= 2:
            out[words[0]] = int(words[1]) * (1024 if words[2:] == ["kB"] else 1)
    return out


def host_meminfo():
    with open("/proc/meminfo", encoding="ascii") as text:
        return parse_meminfo(text.read())


def proc_memory(pid):
    """VmRSS, RssAnon, RssFile, RssShmem, VmLck, VmPin, VmSwap of /proc/PID/status in bytes; {} when it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as text:
            lines = [line.replace(":", "").split() for line in text]
    except OSError:
        return {}
    return {words[0]: int(words[1]) * 1024 for words in lines if len(words) == 3 and words[2] == "kB"}


def proc_state(pid):
    """The letter of /proc/PID/stat: R S D T Z; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as text:
            return text.read().rpartition(")")[2].split()[0]
    except OSError:
        return None


def cpu_seconds(pid):
    """User and system time that the process has used."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as text:
        fields = text.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Process:
    """A process that a Lab owns: QEMU, memarbd, anything. Its output is in .log (a path)."""

    def __init__(self, lab, name, argv, env=None, **more):
        self.name = name
        self.log = os.path.join(lab.path(name), "log")
        with open(self.log, "wb") as log:
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, **more)
        self.pid = self.popen.pid
        lab.on_end({"kill": self.pid, "start": start_ticks(self.pid)})

    def alive(self):
        return self.popen.poll() is None

    def wait_exit(self, seconds=30):
        """Its exit status (negative: the signal)."""
        return self.popen.wait(seconds * PATIENCE)

    def kill(self, signum=signal.SIGKILL):
        if self.alive():
            self.popen.send_signal(signum)

    def stop(self, seconds=30):
        """SIGTERM, and SIGKILL when that does not help; the exit status."""
        self.kill(signal.SIGTERM)
        self.kill(signal.SIGCONT)
        try:
            return self.popen.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.popen.wait(seconds)

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as text:
            return text.read()

    def memory(self):
        return proc_memory(self.pid)


class Guest(Process):
    """One plain QEMU (no libvirt).

    mib                  its memory; a guest under 128 MiB has little left to eat
    qmp                  False: no listening QMP socket (then .qmp stays None); its path is .qmp_path
    dial                 path of a listener that QEMU dials in to with a second monitor, again and again (reconnect=1)
    balloon              False: no balloon device; .balloon_path is its place in qom
    deflate_on_oom, free_page_reporting, mem_lock: as QEMU's options of these names
    virtio_mem_mib       size of a virtio-mem device "vmem0", nothing plugged at first
    acpi_off             False: the guest ignores the power button
    agent_port           True: a port for memarb-guest-agent; its host's end listens at .agent_port_path
    files                {path in the guest: path here}: put into its root, executable; see AGENT
    swap_mib, swap_iops  a disk /dev/vda for mkswap and swapon, and how many requests a second it does
    kernel               "vmlinux" (RssAnon honest) or "vmlinuz"; see guest-image.sh
    append, extra        more of the kernel's command line; more arguments of QEMU
    pass_fds             descriptors that these arguments name
    start                False: QEMU waits for "cont"
    """

    balloon_path = "/machine/peripheral/balloon0"

    def __init__(self, lab, name, mib=128, *, qmp=True, dial=None, balloon=True, deflate_on_oom=False,
                 free_page_reporting=False, mem_lock=False, virtio_mem_mib=0, acpi_off=True, agent_port=False, files=None, swap_mib=0,
                 swap_iops=1000, kernel="vmlinux", append="", extra=(), pass_fds=(), start=True, accel=None, guest_uuid=None):
        folder = lab.path(name)
        self.qmp = self.agent = None
        self.mib = mib
        self.uuid = guest_uuid or str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.memarb.test"))
        self.console, self.qmp_path = f"{folder}/console", f"{folder}/qmp" if qmp else None
        self.agent_path, self.agent_port_path = f"{folder}/agent", f"{folder}/agent-port"
        image = lab.image()
        initrd = with_files(f"{image}/initrd.gz", files, f"{folder}/initrd") if files else f"{image}/initrd.gz"
        accel = accel or lab.accel()
        append = f"{KERNEL_ARGS} {'' if acpi_off else 'noacpioff'} {append}"
        argv = [QEMU, "-name", f"guest={name}", "-uuid", self.uuid, "-nodefaults", "-no-user-config", "-display", "none",
                "-no-reboot", "-accel", accel, "-cpu", "host" if accel == "kvm" else "max",
                "-M", "pc,memory-backend=ram0,vmport=off", "-object", f"memory-backend-ram,id=ram0,size={mib}M",
                "-m", f"{mib}M" + (f",maxmem={mib + virtio_mem_mib}M" if virtio_mem_mib else ""),
                "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={self.agent_path},server=on,wait=off",
                "-device", "virtserialport,chardev=agent,name=test.0", "-serial", f"file:{self.console}",
                "-kernel", f"{image}/{kernel}", "-initrd", initrd, "-append", append]
        if balloon:
            argv += ["-device", "virtio-balloon-pci,id=balloon0"
                     + f",deflate-on-oom={'on' if deflate_on_oom else 'off'}"
                     + f",free-page-reporting={'on' if free_page_reporting else 'off'}"]
        if agent_port:
            argv += ["-chardev", f"socket,id=agentport,path={self.agent_port_path},server=on,wait=off",
                     "-device", "virtserialport,id=agentport0,chardev=agentport,name=org.memarb.guest.0"]
        if swap_mib:
            with open(f"{folder}/swap", "wb") as disk:
                disk.truncate(swap_mib * MIB)
            argv += ["-drive", f"file={folder}/swap,format=raw,if=none,id=swap,throttling.iops-total={swap_iops}",
                     "-device", "virtio-blk-pci,drive=swap"]
        if qmp:
            argv += ["-qmp", f"unix:{self.qmp_path},server=on,wait=off"]
        if dial:
            argv += ["-chardev", f"socket,id=arbiter,path={dial},server=off,reconnect=1",
                     "-mon", "chardev=arbiter,mode=control"]
        if mem_lock:
            argv += ["-overcommit", "mem-lock=on"]
        if virtio_mem_mib:
            argv += ["-object", f"memory-backend-ram,id=vmem,size={virtio_mem_mib}M",
                     "-device", "virtio-mem-pci,id=vmem0,memdev=vmem,requested-size=0"]
        if not start:
            argv.append("-S")
        super().__init__(lab, name, argv + list(extra), pass_fds=pass_fds)

    def up(self):
        if not self.alive():
            raise RuntimeError(f"guest {self.name} ended with {self.popen.returncode}: {self.log_text()[-1500:]}")
        return console_up(self.console)

    def wait_up(self, seconds=BOOT_SECONDS):
        """Waits until the guest's own programs run, and connects .qmp and .agent."""
        wait_for(self.up, seconds, f"boot of guest {self.name}")
        if self.qmp_path and self.qmp is None:
            self.qmp = Qmp(self.qmp_path)
        if self.agent is None:
            self.agent = Agent(self.agent_path)
        return self


def with_files(initrd, files, out):
    """The archive with files behind it, {path in the guest: path here}: the kernel unpacks one after the other."""
    with open(initrd, "rb") as old, open(out, "wb") as new:
        new.write(old.read())
        for number, (name, path) in enumerate([*files.items(), ("TRAILER!!!", None)], 1):
            data = b""
            if path is not None:
                with open(path, "rb") as source:
                    data = source.read()
            fields = (number, 0o100755, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name.lstrip("/")) + 1, 0)
            for part in (b"070701" + b"".join(b"%08x" % field for field in fields) + name.lstrip("/").encode() + b"\0",
                         data):
                new.write(bytes(-new.tell() % 4) + part)
        new.write(bytes(-new.tell() % 4))
    return out


def console_up(path):
    try:
        with open(path, "rb") as console:
            return UP_MARK in console.read()
    except FileNotFoundError:
        return False


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("MEMARB_TEST_CACHE") or os.path.join(base, "memarb-tests")


class Lab:
    """The temporary folder and the owner of all that a test starts. Use as a context manager."""

    def __init__(self, keep=None):
        self.keep = bool(os.environ.get("MEMARB_TEST_KEEP")) if keep is None else keep
        self.dir = tempfile.mkdtemp(prefix="memarb-", dir=os.environ.get("MEMARB_TEST_TMP", "/tmp"))
        self.reaper = subprocess.Popen([sys.executable, os.path.join(SUPPORT, "reaper.py")], stdin=subprocess.PIPE,
                                       start_new_session=True)
        if self.keep:
            print(f"# kept: {self.dir}", file=sys.stderr)
        else:
            self.on_end({"remove": self.dir})
        self.image_dir = self.virt = None
        self.old_handler = None

    def __enter__(self):
        # SIGTERM (a test runner's deadline) unwinds like Ctrl-C.
        self.old_handler = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        return self

    def __exit__(self, *_):
        self.end()
        signal.signal(signal.SIGTERM, self.old_handler)

    def on_end(self, item):
        """Hands the reaper one thing to undo (reaper.py has the forms)."""
        self.reaper.stdin.write(json.dumps(item).encode() + b"\n")
        self.reaper.stdin.flush()

    def end(self):
        if self.reaper.returncode is None:
            self.reaper.stdin.close()
            self.reaper.wait()

    def path(self, name):
        """A folder of the lab, made when it is not there."""
        folder = os.path.join(self.dir, name)
        os.makedirs(folder, exist_ok=True)
        return folder

    def image(self):
        """The folder with vmlinux, vmlinuz and initrd.gz."""
        if self.image_dir is None:
            folder = self.path("image")
            subprocess.run([os.path.join(SUPPORT, "guest-image.sh"), folder], check=True, stdin=subprocess.DEVNULL)
            self.image_dir = folder
        return self.image_dir

    def accel(self):
        wanted = os.environ.get("MEMARB_TEST_ACCEL", "auto")
        if wanted != "auto":
            return TCG if wanted == "tcg" else wanted
        return "kvm" if kvm_works(self) else TCG

    def guest(self, name, mib=128, **options):
        return Guest(self, name, mib, **options)

    def process(self, name, argv, **more):
        """Starts a program, for example memarbd, that ends with the lab."""
        return Process(self, name, argv, **more)

    def libvirtd(self):
        """The lab's private libvirtd (virthost.Libvirtd), started at the first call."""
        if self.virt is None:
            from virthost import Libvirtd
            self.virt = Libvirtd(self)
        return self.virt


def kvm_works(lab):
    """Whether /dev/kvm boots the guest. Tried once a boot of the machine; the answer is kept in the cache."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as text:
        note = os.path.join(cache_folder(), "kvm-" + text.read().strip())
    try:
        with open(note, encoding="ascii") as text:
            return text.read() == "yes"
    except FileNotFoundError:
        pass
    probe = Guest(lab, "kvm-probe", accel="kvm")
    try:
        probe.wait_up(KVM_TRY_SECONDS / PATIENCE)
        works = True
    except (RuntimeError, TimeoutError, OSError):
        works = False
    probe.stop()
    with open(f"{note}.{os.getpid()}", "w", encoding="ascii") as text:
        text.write("yes" if works else "no")
    os.replace(f"{note}.{os.getpid()}", note)
    return works
