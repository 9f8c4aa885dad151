#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests in groups that memarb cannot limit: on cgroup v1, on both hierarchies, without a memory controller, beside others, and
those of a user's own libvirtd. Each is named, is told why it has no caps, and is ballooned and ended as any other."""
import os
import pwd
import shutil
import tempfile

from arbiter import Arbiter, BareGuest
from taptest import check, check_equal, run_tests, skip_all
from tinyguest import MIB, Lab, wait_for

try:
    import libvirt
    from virthost import Domain, domain_xml, quiet_errors
except ImportError as missing:
    skip_all(f"{missing}")

NAMES = {"own", "no-memory-controller", "v1", "hybrid", "shared", "user-session", "other-manager", "no-unit"}
REASONS = {"v1": "this host has cgroup v1", "hybrid": "its memory controller on cgroup v1", "shared": "others live in its cgroup",
           "user-session": "a user's session", "no-memory-controller": "no cgroup counts its memory"}
USER, START_SECONDS = "nobody", 30
GUEST_MIB, IDLE_MIB = 192, 80


def own_groups(pid):
    """{"v1": path, "v2": path} of a process, as this machine has them."""
    groups = {}
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as text:
        for line in text.read().splitlines():
            number, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                groups["v1"] = path
            elif number == "0":
                groups["v2"] = path
    return groups


def adj_of(pid):
    with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as text:
        return int(text.read())


def write(root, name, text):
    path = os.path.join(root, name.lstrip("/"))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def make_tree(root, layout, guest):
    """/sys/fs/cgroup as such a host has it, with the groups that the guest's process says it is in; what it is called then."""
    groups = own_groups(guest.pid)
    os.makedirs(root)
    if layout in ("v1", "hybrid"):
        write(root, "memory/memory.usage_in_bytes", "1\n")
        if layout == "hybrid":
            write(root, "unified/cgroup.controllers", "\n")
        if "v1" not in groups:
            return "no-memory-controller"
        write(root, f"memory/{groups['v1']}/memory.usage_in_bytes", "1048576\n")
        write(root, f"memory/{groups['v1']}/cgroup.procs", f"{guest.pid}\n")
        return layout
    if layout == "v2" and "v2" in groups:
        write(root, "cgroup.controllers", "cpu memory pids\n")
        write(root, f"{groups['v2']}/memory.current", "1048576\n")
        write(root, f"{groups['v2']}/cgroup.procs", f"{guest.pid}\n1\n")
        return "user-session" if groups["v2"].startswith("/user.slice/") else "shared"
    return "no-memory-controller"


def test_every_layout_is_named_and_does_less(lab):
    guest = BareGuest(lab, "bare", 192)
    for layout in ("v1", "hybrid", "v2", "none"):
        root = os.path.join(lab.path("trees"), layout)
        named = make_tree(root, layout, guest)
        arbiter = Arbiter(lab, {"Arm": "kill", "Budget": "4GiB", "QmpSockets": guest.qmp_path}, name=f"on-{layout}",
                          guests={"name:bare": {"CapPids": "900", "Impact": "first", "Actions": "kill"}},
                          args=("--cgroup-root", root)).start().wait_guests(1)
        check_equal(arbiter.status()["cgroup_layout"], layout, "the host's layout")
        wait_for(lambda: arbiter.guest("bare").get("cap_missing"), 30, f"{layout}: that there is no cap")  # pylint: disable=cell-var-from-loop
        check_equal(arbiter.guest("bare")["cgroup"], named, f"{layout}: the guest's group")
        arbiter.wait_told("pids.max is not set to 900: ")
        check(REASONS[named] in arbiter.log(), f"{layout}: the journal has why: {arbiter.log()[-800:]}")
        check(layout == "v2" or f"the host's cgroups are {layout}" in arbiter.log(), f"{layout} is told at the start")
        shown = arbiter.ctl("explain", "bare")
        check("no-cgroup-to-limit" in shown and named in shown, shown)
        wait_for(lambda: adj_of(guest.pid) == 1000, 30, f"{layout}: what needs no cgroup")
        if layout == "none":
            arbiter.leave(16, [guest])
            guest.wait_exit(60)
            wait_for(lambda: arbiter.actions("kill"), 30, "the victim in the record")  # pylint: disable=cell-var-from-loop
        arbiter.stop()


class Session:
    """A libvirtd as a user runs it for herself (qemu:///session): no privileges, no cgroups of its guests."""

    def __init__(self, lab):
        quiet_errors()
        user = pwd.getpwnam(USER)
        # where that user may go; a test's own folder is root's alone
        self.lab, self.dir = lab, tempfile.mkdtemp(prefix="memarb-session-", dir="/tmp")
        lab.on_end({"remove": self.dir})
        self.guests, self.image = os.path.join(self.dir, "g"), os.path.join(self.dir, "image")
        shutil.copytree(lab.image(), self.image)
        for folder in ("g", "run", "home"):
            os.mkdir(os.path.join(self.dir, folder), 0o700)
        for at, folders, files in os.walk(self.dir):
            for name in [at, *(os.path.join(at, name) for name in folders + files)]:
                os.chown(name, user.pw_uid, user.pw_gid)
        run, home = os.path.join(self.dir, "run"), os.path.join(self.dir, "home")
        program = shutil.which("libvirtd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        if program is None:
            skip_all("libvirtd is missing")
        self.process = lab.process("session", [program, "-t", "0"], user=user.pw_uid, group=user.pw_gid, extra_groups=[], env={
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "HOME": home, "XDG_RUNTIME_DIR": run,
            "XDG_CONFIG_HOME": f"{home}/config", "XDG_CACHE_HOME": f"{home}/cache"})
        socket = f"{run}/libvirt/libvirt-sock"
        self.uri, self.run_dir = f"qemu+unix:///session?socket={socket}", f"{run}/libvirt/qemu/run"
        wait_for(lambda: os.path.exists(socket), START_SECONDS, f"a session libvirtd: {self.process.log_text()}")
        self.conn = libvirt.open(self.uri)

    def qemu_pid(self, name):
        with open(f"{self.run_dir}/{name}.pid", encoding="ascii") as text:
            return int(text.read())

    def qemu_log(self, name):
        return self.process.log_text() + name


def test_a_users_own_guests_are_guests(lab):
    session = Session(lab)
    xml = domain_xml("mine", GUEST_MIB, session.image, session.guests, stats_period=1, accel="tcg")
    domain = Domain(session, "mine", xml, persistent=False).wait_up()
    with open(f"/proc/{domain.pid}/status", encoding="ascii") as status:
        check(f"Uid:\t{pwd.getpwnam(USER).pw_uid}\t" in status.read(), "its QEMU is the user's")
    arbiter = Arbiter(lab, {"Arm": "reclaim", "Budget": "4GiB", "Libvirt": "yes", "LibvirtUri": session.uri,
                            "LibvirtRunDir": session.run_dir}, name="beside-session",
                      guests={"name:mine": {"CapPids": "900", "Impact": "first", "PinLimit": "8MiB"}}).start()
    wait_for(lambda: arbiter.guests().get("mine", {}).get("state") == "running", 60, "the user's guest")
    check_equal(arbiter.guest("mine")["pid"], domain.pid, "its process")
    wait_for(lambda: arbiter.guest("mine").get("cgroup"), 30, "its group")
    group = arbiter.guest("mine")["cgroup"]
    check(group in NAMES - {"own"}, f"its group is no machine's scope: {group}")
    wait_for(lambda: arbiter.guest("mine").get("cap_missing"), 30, "that it has no caps")
    domain.agent(f"eat {IDLE_MIB}")
    domain.agent("eatfree")
    arbiter.leave(0, [domain])
    wait_for(lambda: domain.dom.memoryStats()["actual"] * 1024 < GUEST_MIB * MIB, 60, "its balloon")
    arbiter.configure({"Budget": "4GiB"})
    check_equal(arbiter.stop(), 0, "exit status")
    wait_for(lambda: domain.dom.memoryStats()["actual"] * 1024 == GUEST_MIB * MIB, 60, "its balloon after the stop")
    check(domain.alive(), "it lives")
    domain.dom.destroy()


with Lab() as the_lab:
    run_tests([test_every_layout_is_named_and_does_less, test_a_users_own_guests_are_guests], the_lab)
