#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Admission through libvirt's real hook: examples/hooks/qemu in a private libvirtd, memarbd beside it."""
import os
import subprocess
import time

from arbiter import MEMARBCTL, Arbiter, CtlError, Stopped
from taptest import check, check_equal, run_tests, skip_all
from tinyguest import MIB, Lab, wait_for

try:
    import libvirt
except ImportError as missing:
    skip_all(f"{missing}")

HOOK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "hooks", "qemu")
GUEST_MIB = 128
# guarantee, and what QEMU takes besides (MA_ADMIT_OVERHEAD_BYTES and page tables)
NEED_MIB = 100 + 64 + 0.5
METADATA = ('<memarb:guest xmlns:memarb="urn:memarb:guest:1" impact="first">'
            '<memarb:memory guarantee="100MiB"/><memarb:actions allow="kill"/></memarb:guest>')
# The hook's second is for operators; a loaded machine of tests may take longer, and would be let in unjudged.
PATIENCE, ANSWERS = "--timeout=30s", 11


class Host:
    """A libvirtd with the hook, memarbd armed (to end guests only where a test wants that), room for one guest and a half
    beside the reserve."""

    def __init__(self, lab):
        self.lab, self.virt = lab, lab.libvirtd()
        self.arbiter = Arbiter(lab, {
            "Arm": "reclaim", "Libvirt": "yes", "LibvirtUri": self.virt.uri, "QuietTime": "0s", "PsiStall": "0s",
            "LibvirtRunDir": f"{self.virt.dir}/run/libvirt/qemu", "Budget": "300MiB", "ReserveFor": "10min"})
        hooks = f"{self.virt.dir}/etc/hooks/qemu.d"
        os.makedirs(hooks)
        with open(HOOK, encoding="utf-8") as text:
            shipped = text.read()
        memarbctl = f"{MEMARBCTL} --config={self.arbiter.config_path} {PATIENCE}"
        check("/usr/bin/memarbctl" in shipped, "the shipped hook calls memarbctl")
        with open(f"{hooks}/50-memarb", "w", encoding="utf-8") as text:
            text.write(shipped.replace("/usr/bin/memarbctl", memarbctl))
        os.chmod(f"{hooks}/50-memarb", 0o755)
        self.virt.restart()
        self.arbiter.start()
        wait_for(lambda: self.arbiter.status()["libvirt"] == "connected", 30, "libvirt")
        self.first = None

    def start(self, name, **options):
        return self.virt.domain(name, GUEST_MIB, metadata=METADATA, **options)

    def refused(self, name, **options):
        """Starts it, and wants it refused: what libvirt tells the one who asked."""
        try:
            domain = self.start(name, **options)
        except libvirt.libvirtError as error:
            check_equal(error.get_error_code(), libvirt.VIR_ERR_HOOK_SCRIPT_FAILED, "libvirt's error")
            return str(error)
        raise AssertionError(f"{name} was let in with pid {domain.pid}; memarbd said:\n{self.arbiter.log()[-1500:]}")

    def admission(self):
        return self.arbiter.status()["admission"]

    def ctl(self, *args, stdin=b""):
        done = subprocess.run([MEMARBCTL, "--config", self.arbiter.config_path, *args], input=stdin, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_one_is_let_in_and_the_next_is_told_what_is_missing(host):
    host.first = host.start("first")
    held = host.admission()
    check_equal(held["on_their_way"], 1, "guests on their way")
    check(0 < held["held_bytes"] <= NEED_MIB * MIB, f"{held['held_bytes']} bytes are held for it")
    # It has not taken its memory yet: 300 MiB look free, and are promised.
    said = host.refused("second")
    for part in ("Guest 'second' is refused", "it needs 164.5 MiB at once", "missing"):
        check(part in said, f"virsh shows: {said}")
    check_equal(host.admission()["on_their_way"], 1, "nothing is held for the refused one")
    events = host.arbiter.ctl("events")
    check("Guest 'second' is refused" in events and "Guest 'first' is let in" in events, events)


def test_what_is_held_outlives_memarbd(host):
    before = host.admission()["on_their_way"]
    host.arbiter.kill()
    host.arbiter.start()
    check_equal((before, host.admission()["on_their_way"]), (1, 1), "guests on their way before and after")


def test_restarts_of_libvirtd_harm_no_running_guest(host):
    host.arbiter.reload({"Budget": "170MiB", "WhenDown": "refuse"})
    for signal_name in ("TERM", "KILL"):
        host.virt.restart(signal_name)
        dom = host.virt.conn.lookupByName("first")
        check_equal(dom.state()[0], libvirt.VIR_DOMAIN_RUNNING, f"state after SIG{signal_name} and reconnect")
        check(host.first.alive(), f"QEMU lives after SIG{signal_name}")
    host.arbiter.reload({"Budget": "300MiB", "WhenDown": None})


def test_a_start_that_fails_holds_nothing(host):
    host.arbiter.reload({"Budget": "600MiB"})
    try:
        host.start("broken", extra_args=("-no-such-option",))
    except libvirt.libvirtError as error:
        check(error.get_error_code() != libvirt.VIR_ERR_HOOK_SCRIPT_FAILED, f"QEMU fails, not the hook: {error}")
    wait_for(lambda: host.admission()["on_their_way"] == 1, 20, "the failed start to be forgotten")
    check("Guest 'broken' is let in" in host.arbiter.ctl("events"), "it was let in")
    host.arbiter.reload({"Budget": "300MiB"})


def test_a_guest_by_hand_and_nothing_held(host):
    path = os.path.join(host.lab.path("by-hand"), "guest.xml")
    xml = host.virt.xml("third", GUEST_MIB, metadata=METADATA)
    with open(path, "w", encoding="utf-8") as text:
        text.write(xml)
    status, out, _ = host.ctl("admit", f"--xml={path}", "--dry-run")
    check_equal(status, 4, f"exit status: {out}")
    check("Guest 'third' would be refused" in out, out)
    host.arbiter.reload({"Budget": "2GiB"})
    status, out, _ = host.ctl("admit", f"--xml={path}", "--dry-run")
    check_equal((status, "would be let in" in out), (0, True), out)
    took = []
    for _ in range(ANSWERS):
        began = time.monotonic()
        host.ctl("admit", f"--xml={path}", "--dry-run")
        took.append(time.monotonic() - began)
    # 10 ms on a quiet machine, and what libvirt waits for each start
    check(sorted(took)[ANSWERS // 2] < 1, f"answers within a second: {took}")
    # all of it pinned: more than its operator lets it
    with open(path, "w", encoding="utf-8") as text:
        text.write(xml.replace('guarantee="100MiB"/>', 'guarantee="100MiB"/><memarb:pin limit="64MiB"/>')
                   .replace("<vcpu>", "<memoryBacking><locked/></memoryBacking><vcpu>"))
    status, out, _ = host.ctl("--json", "admit", f"--xml={path}", "--dry-run")
    check("pin-limit" in out and status == 4, out)
    check_equal(host.admission()["on_their_way"], 1, "held after dry runs")
    host.arbiter.reload({"Budget": "300MiB"})


def test_garbage_refuses_nothing_and_says_so(host):
    definition = host.virt.xml("garbage", GUEST_MIB).encode()
    for args, stdin, words in (
            (("garbage", "prepare", "begin", "-"), b"\x00\xff<domain", "let in unjudged"),
            (("garbage", "prepare", "begin", "-"), b"<domain><name>x</name></domain>", "no uuid"),
            (("garbage", "prepare", "begin", "-"), b"<!DOCTYPE d [<!ENTITY a 'b'>]><domain>&a;</domain>", "well-formed"),
            (("garbage", "prepare", "begin", "-"), b"<domain>" + b"<a>" * 5000000, "4 MiB|too large"),
            (("garbage", "prepare", "begin", "-"), definition.replace(b"MiB", b"furlong"), "no amount of memory"),
            (("garbage",), b"", "no arguments"), (("", ""), b"", "no arguments")):
        status, out, err = host.ctl("admit", PATIENCE, "--", *args, stdin=stdin)
        check_equal((status, out), (0, ""), f"{args}: {err}")
        check(any(word in err for word in words.split("|")), f"{args} {stdin[:40]}: {err!r}")
    # and what does not decide says nothing, whatever comes with it
    for operation in ("reconnect", "start", "started", "stopped", "attach", "migrate"):
        check_equal(host.ctl("admit", PATIENCE, "--", "garbage", operation, "end", "-", stdin=b"<x"), (0, "", ""), operation)


def test_memarbd_that_does_not_answer_lets_guests_start(host):
    options = {"persistent": False}
    with Stopped(host.arbiter.pid):
        status, out, err = host.ctl("admit", "--timeout=300ms", "--", "late", "prepare", "begin", "-",
                                    stdin=host.virt.xml("late", GUEST_MIB).encode())
        check_equal((status, out, "let in unjudged" in err), (0, "", True), err)
    host.arbiter.kill()
    let_in = host.start("unjudged", **options)
    let_in.dom.destroy()
    host.arbiter.configure({"WhenDown": "refuse"})
    check("WhenDown=refuse" in host.refused("strictly", **options), "why it is refused")
    host.arbiter.configure({"WhenDown": None})
    host.arbiter.start()
    wait_for(lambda: "first" in host.arbiter.guests(), 30, "memarbd to see the guest again")


def test_what_memarb_ended_does_not_come_back_at_once(host):
    wait_for(lambda: host.arbiter.guest("first").get("resident_bytes"), 30, "figures")
    # its start is over for memarb after ten seconds; then it may be ended
    wait_for(lambda: host.arbiter.guest("first")["state"] == "running", 60, "its start to be over")
    host.arbiter.leave(16, [host.first], Arm="kill")
    host.first.wait_exit(60)
    host.arbiter.reload({"Budget": "2GiB"})
    again = host.virt.conn.lookupByName("first")
    wait_for(lambda: not again.isActive(), 30, "libvirt to notice")
    try:
        again.create()
        raise AssertionError(f"it came back at once; memarbd said:\n{host.arbiter.log()[-1500:]}")
    except libvirt.libvirtError as error:
        check("ReadmitAfter=" in str(error), str(error))
    host.arbiter.ctl("readmit", again.UUIDString())
    again.create()
    check_equal(again.state()[0], libvirt.VIR_DOMAIN_RUNNING, "after its operator said so")


def test_a_saved_guest_asks_before_it_is_restored(host):
    dom = host.virt.conn.lookupByName("first")
    dom.managedSave()
    host.arbiter.reload({"Budget": "170MiB"})
    try:
        dom.create()
        raise AssertionError("it was restored into a host without room")
    except libvirt.libvirtError as error:
        check("is refused" in str(error), str(error))
    check(dom.hasManagedSaveImage(), "its saved memory is still there")
    host.arbiter.reload({"Budget": "2GiB"})
    dom.create()
    check_equal(dom.state()[0], libvirt.VIR_DOMAIN_RUNNING, "restored")
    dom.destroy()


def test_observing_refuses_nobody(host):
    host.arbiter.reload({"Budget": "170MiB"})
    host.arbiter.ctl("disarm")
    domain = host.start("observed", persistent=False)
    check("would be refused, and is let in" in host.arbiter.ctl("events"), "it is told")
    domain.dom.destroy()
    wait_for(lambda: host.admission()["on_their_way"] == 0, 20, "nothing held at the end")
    try:
        host.arbiter.ctl("readmit", "no-such-guest")
        raise AssertionError("a guest that was never ended was readmitted")
    except CtlError as error:
        check("ended no guest" in str(error), str(error))


with Lab() as the_lab:
    the_host = Host(the_lab)
    run_tests([test_one_is_let_in_and_the_next_is_told_what_is_missing, test_what_is_held_outlives_memarbd,
               test_restarts_of_libvirtd_harm_no_running_guest, test_a_start_that_fails_holds_nothing,
               test_a_guest_by_hand_and_nothing_held, test_garbage_refuses_nothing_and_says_so,
               test_memarbd_that_does_not_answer_lets_guests_start,
               test_what_memarb_ended_does_not_come_back_at_once, test_a_saved_guest_asks_before_it_is_restored,
               test_observing_refuses_nobody], the_host)
