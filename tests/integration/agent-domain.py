#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A libvirt domain's agent and memarbd, end to end: the channel that `memarbctl enable` adds, the agent in the guest, a squeeze
that it is told of before it comes; the guest saved, restored and reset, memarbd and libvirtd started anew."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from taptest import check, check_equal, run_tests, skip_all  # noqa: E402

try:
    import libvirt
    from arbiter import MEMARBCTL, Arbiter, used_bytes
    from tinyguest import AGENT, MIB, Agent, Lab, wait_for, with_files
    from virthost import Domain
except ImportError as missing:
    skip_all(f"{missing}")

SECONDS = 90
NAME = "heard"
HOOK = """#!/bin/sh
grep MemTotal /proc/meminfo >>/tmp/hook
"""


class Host:
    """One domain, made fit for memarb by memarbctl."""

    def __init__(self, lab):
        self.lab, self.virt = lab, lab.libvirtd()
        self.arbiter = Arbiter(lab, {"Arm": "reclaim", "Budget": "4GiB", "GuestAgent": "yes", "Libvirt": "yes",
                                     "LibvirtUri": self.virt.uri, "LibvirtRunDir": f"{self.virt.dir}/run/libvirt/qemu"},
                               guests={"name:*": {"Guarantee": "64MiB"}})
        hook = os.path.join(lab.path("files"), "hook")
        with open(hook, "w", encoding="ascii") as text:
            text.write(HOOK)
        initrd = with_files(f"{lab.image()}/initrd.gz", {**AGENT, "/bin/hook": hook}, os.path.join(lab.path("files"), "initrd"))
        xml = self.virt.xml(NAME, 192).replace(f"{lab.image()}/initrd.gz", initrd)
        self.virt.conn.defineXML(xml.replace("<on_reboot>destroy", "<on_reboot>restart"))
        self.enable()
        self.arbiter.start()
        # libvirt's own choice of a path lies below /var/lib, which this libvirtd has for itself.
        target, path = "<target type='virtio' name='org.memarb.guest.0'/>", os.path.join(self.virt.guests, f"{NAME}.memarb")
        xml = self.virt.conn.lookupByName(NAME).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        check_equal(xml.count(target), 1, "channels of the agent in the definition")
        self.domain = Domain(self.virt, NAME, xml.replace(target, f"<source mode='bind' path='{path}'/>{target}"))
        self.domain.wait_up()

    def enable(self):
        done = subprocess.run([MEMARBCTL, "enable", NAME, "-y", f"--config={self.arbiter.config_path}",
                               f"--socket={self.arbiter.control}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        check_equal(done.returncode, 0, f"enable: {done.stdout}")
        check("org.memarb.guest.0" in done.stdout, f"the channel is shown: {done.stdout}")

    def run_agent(self):
        self.domain.agent("memarb-guest-agent --verbose >/tmp/agent.log 2>&1 </dev/null &")

    def guest(self):
        return self.arbiter.guests().get(NAME, {})

    def wait_agent(self, state, what, seconds=SECONDS):
        wait_for(lambda: self.guest().get("agent") == state, seconds, what)

    def agent_run(self):
        """Of the guest's agent: its process and when that began, in the guest."""
        return self.domain.agent("cut -d' ' -f1,22 /proc/$(pidof memarb-guest-agent)/stat")


def test_the_channel_that_enable_adds_is_heard(host):
    check_equal(host.guest().get("agent"), "none", "before it runs")
    host.run_agent()
    host.wait_agent("fresh", "the agent to be heard")
    check("pressure" in host.arbiter.snapshot()["guests"][NAME], "its pressure is in the snapshot")


def test_a_squeeze_is_announced_before_it_comes(host):
    guest, arbiter = host.domain, host.arbiter
    # All of it is resident, and idle, from here on: what a balloon takes, the host gets.
    guest.agent("mount -o remount,size=90% /m; eat 110; eatfree")
    guest.agent("mkdir -p /etc/memarb && cp /bin/hook /etc/memarb/guest-squeeze")
    wait_for(lambda: host.guest().get("state") == "running", SECONDS, "the guest's start to be over")
    host.wait_agent("fresh", "the agent")
    before = guest.agent.meminfo()["MemTotal"]
    # Between the soft and the hard watermark.
    arbiter.reload({"Budget": f"{used_bytes([guest]) // MIB + 80}MiB"})
    wait_for(lambda: arbiter.actions("balloon"), SECONDS, "the squeeze")
    squeeze = next(line for line in arbiter.decisions()
                   if any(action["armed"] for action in line.get("plan", {}).get("actions", [])))
    noticed = [memory.get("noticed_usec", 0) for memory in squeeze["state_before"]["guests"]]
    check(0 < noticed[0] < squeeze["snapshot"]["taken_at_usec"], f"the notice began before: {noticed}")
    wait_for(lambda: "ended well" in guest.agent("cat /tmp/agent.log"), SECONDS, "the hook's end")
    print(f"# MemTotal {before // 1024} kB before, when the hook ran: {guest.agent('cat /tmp/hook').splitlines()[0]}", flush=True)
    arbiter.reload({"Budget": "4GiB"})


def test_saved_and_restored(host):
    image, run = os.path.join(host.lab.path("saved"), "image"), host.agent_run()
    host.domain.dom.save(image)
    wait_for(lambda: NAME not in host.arbiter.guests(), SECONDS, "the guest to be gone")
    host.virt.conn.restore(image)
    host.wait_agent("fresh", "the agent of the restored guest")
    host.domain = Restored(host)
    check_equal(host.agent_run(), run, "the same agent goes on")


class Restored(Domain):
    """A domain that libvirt started by itself."""

    def __init__(self, host):
        old = host.domain
        self.virt, self.name, self.console, self.agent_path, self.uuid = host.virt, NAME, old.console, old.agent_path, old.uuid
        self.dom, self.pid = host.virt.conn.lookupByName(NAME), host.virt.qemu_pid(NAME)
        self.agent = Agent(self.agent_path)


def test_the_guest_is_reset(host):
    host.arbiter.reload({"StaleAfter": "3s"})
    host.domain.dom.reset()
    host.wait_agent("stale", "the last word of the old agent to be too old")
    host.domain.agent("true", seconds=SECONDS)  # its next boot
    host.run_agent()
    host.wait_agent("fresh", "the agent of the next boot")


def test_memarbd_is_killed_and_starts_anew(host):
    host.arbiter.kill()
    host.arbiter.start()
    host.wait_agent("fresh", "the agent to be heard again")


def test_libvirtd_starts_anew(host):
    host.virt.restart()
    wait_for(lambda: "libvirt answers" in host.arbiter.log(), SECONDS, "libvirt's connection")
    host.wait_agent("fresh", "the agent all the time")


with Lab() as the_lab:
    run_tests([test_the_channel_that_enable_adds_is_heard, test_a_squeeze_is_announced_before_it_comes, test_saved_and_restored,
               test_the_guest_is_reset, test_memarbd_is_killed_and_starts_anew, test_libvirtd_starts_anew], Host(the_lab))
