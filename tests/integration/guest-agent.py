#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""memarb-guest-agent inside real guests, on a real virtio-serial port; the host's end is this test's.

Two guests: one whose memory is too small for what it does and whose host stops to read, and beside it one that is suspended,
saved, restored, migrated, unplugged and rebooted."""
import os
import socket
import time

from taptest import check, check_between, check_equal, run_tests
from tinyguest import AGENT, PATIENCE, Agent, Lab, LineSocket, Qmp, wait_for

SECONDS = 60 * PATIENCE
# A second, and as much for a machine that keeps the guest's processor waiting meanwhile.
STALL_MAX_USEC = 2_000_000
HOOK = """#!/bin/sh
echo "$MEMARB_SQUEEZE $MEMARB_TAKE_BYTES" >>/tmp/hook
exit 75
"""


class Host(LineSocket):
    """The host's end of the port."""

    def __init__(self, path=None, sock=None):
        if sock is None:
            super().__init__(path)
        else:
            self.sock, self.buffer = sock, b""
        self.token = int(time.monotonic() * 1000)

    def rate(self, fastest=100, slowest=10000):
        self.token += 1
        self.send(f"memarb/1 rate token={self.token} now={int(time.monotonic() * 1e6)} fastest_msec={fastest}"
                  f" slowest_msec={slowest}")

    def squeeze(self, number, take, seconds):
        self.send(f"memarb/1 squeeze token={self.token} now={int(time.monotonic() * 1e6)} id={number} target={64 << 20}"
                  f" take={take} deadline_msec={seconds * 1000}")

    def report(self, seconds=SECONDS):
        """The next report, whatever its token; values are numbers."""
        while True:
            line = self.line(seconds)
            if line:
                words = line.split()
                check_equal(words[:2], ["memarb/1", "report"], "head of a report")
                return {key: int(value) for key, value in (word.split("=") for word in words[2:])}

    def wait_report(self, condition, seconds=SECONDS):
        """The first report under our token for which the condition holds."""
        end = time.monotonic() + seconds
        while True:
            report = self.report(max(end - time.monotonic(), 0.001))
            if report["token"] == self.token and condition(report):
                return report

    def fresh(self, seconds=SECONDS):
        """A report that was made after this call."""
        self.rate()
        return self.wait_report(lambda _: True, seconds)


def start_agent(guest, command="memarb-guest-agent --verbose"):
    guest.agent(f"{command} >/tmp/agent.log 2>&1 </dev/null &")


def uptime_usec(guest):
    return int(float(guest.agent("cut -d' ' -f1 /proc/uptime")) * 1e6)


def switches(guest):
    return int(guest.agent("awk '/^voluntary_ctxt/ { print $2 }' /proc/$(pidof memarb-guest-agent)/status"))


class Pair:
    """Both guests, booted side by side."""

    def __init__(self, lab):
        self.lab = lab
        mine, theirs = socket.socketpair()
        # QEMU's end holds three lines, so that the ring fills in seconds.
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        hook = os.path.join(lab.path("hook"), "guest-squeeze")
        with open(hook, "w", encoding="ascii") as text:
            text.write(HOOK)
        files = {**AGENT, "/bin/guest-squeeze": hook}
        self.small = lab.guest("small", mib=96, files=files, swap_mib=192, swap_iops=400, pass_fds=(theirs.fileno(),),
                               extra=["-chardev", f"socket,id=deaf,fd={theirs.fileno()}",
                                      "-device", "virtserialport,chardev=deaf,name=org.memarb.guest.0"])
        theirs.close()
        # vmlinuz: the other form of the kernel does not wake from a suspend, its firmware finds no way back.
        self.options = {"mib": 96, "files": AGENT, "agent_port": True, "kernel": "vmlinuz"}
        self.calm = lab.guest("calm", **self.options)
        self.deaf_host = Host(sock=mine)
        self.host = None
        self.small.wait_up()
        self.calm.wait_up()


def test_a_guest_that_thrashes_says_so_within_a_second(pair):
    guest, host = pair.small, pair.deaf_host
    start_agent(guest)
    host.rate()
    before = host.wait_report(lambda _: True)
    check_equal((before["alarm"], before["veto"]), (0, 0), "alarm and veto at rest")
    guest.agent("mkswap /dev/vda && swapon /dev/vda && mount -o remount,size=160m /m")
    guest.agent("eat 40")
    guest.agent("(eat 50; while :; do cat /m/* >/dev/null; done) >/dev/null 2>&1 </dev/null &")
    alarm = host.wait_report(lambda report: report["alarm"])
    # The guest's own count of its stall, so that a busy machine does not matter.
    stalled = alarm["some_total"] - before["some_total"]
    check_between(stalled, 100_000, STALL_MAX_USEC, "stall in usec at the first alarm")
    veto = host.wait_report(lambda report: report["veto"])
    all_stalled = veto["full_total"] - before["full_total"]
    check_between(all_stalled, 100_000, STALL_MAX_USEC, "stall of all tasks in usec at the first veto")
    print(f"# alarm at {stalled / 1e6:.2f} s of stall, veto at {all_stalled / 1e6:.2f} s of all tasks' (TCG)")
    host.wait_report(lambda report: report["swap_in"] > 1 << 20 and report["refaults"] > 100)


def test_reports_are_the_guests_own_figures(pair):
    guest = pair.calm
    start_agent(guest)
    pair.host = Host(guest.agent_port_path)
    first = pair.host.report()
    check_equal(first["token"], 0, "token before the host's first line")
    report, meminfo = pair.host.fresh(), guest.agent.meminfo()
    check_equal(report["mem_total"], meminfo["MemTotal"], "mem_total")
    check_between(report["mem_available"], meminfo["MemAvailable"] - (4 << 20), meminfo["MemAvailable"] + (4 << 20),
                  "mem_available")
    check_between(report["now"], 1, uptime_usec(guest), "the guest's time")
    check_equal((report["run"], report["seq"] > first["seq"]), (first["run"], True), "run and rising seq")
    pair.host.rate(slowest=3000)
    # At rest, by the guest's own clock: a guest that boots on a busy machine may take it for much faster than ours.
    began, wakes, first = uptime_usec(guest), switches(guest), report
    report = pair.host.wait_report(lambda r: r["now"] > began + 4_000_000)
    wakes, seconds = switches(guest) - wakes, (uptime_usec(guest) - began) / 1e6
    check(wakes <= seconds + 2 * (report["seq"] - first["seq"] + 1) + 2, f"{wakes} wake-ups in {seconds:.1f} s at rest")


def test_the_hosts_side_is_closed_and_opened(pair):
    guest = pair.calm
    pair.host.close()
    wait_for(lambda: "closed" in guest.agent("cat /tmp/agent.log"), SECONDS, "the agent's notice")
    began, wakes = uptime_usec(guest), switches(guest)
    guest.agent("eat 8")  # a change that nobody hears
    guest.agent("sleep 2")
    check_equal(switches(guest), wakes, "wake-ups without a host")
    pair.host = Host(guest.agent_port_path)
    first = pair.host.report()
    check_equal(first["token"], 0, "token of the host before")
    check(first["now"] > began + 2_000_000, "what was not sent is replaced by the newest")


def test_the_port_is_unplugged_and_plugged(pair):
    guest = pair.calm
    guest.qmp("device_del", id="agentport0")
    guest.qmp.wait_event("DEVICE_DELETED", SECONDS)
    wait_for(lambda: "gone" in guest.agent("cat /tmp/agent.log"), SECONDS, "the agent's notice")
    pair.host.close()
    guest.qmp("device_add", driver="virtserialport", id="agentport0", chardev="agentport", name="org.memarb.guest.0")
    pair.host = Host(guest.agent_port_path)
    check(pair.host.fresh()["mem_total"] > 0, "it speaks again")


def test_suspended_and_woken(pair):
    """To memory (S3), and woken by the host."""
    guest, before = pair.calm, pair.host.fresh()
    guest.agent("(sleep 1; echo mem >/sys/power/state) >/tmp/suspend 2>&1 </dev/null &")
    guest.qmp.wait_event("SUSPEND", SECONDS)
    guest.qmp("system_wakeup")
    guest.qmp.wait_event("WAKEUP", SECONDS)
    after = pair.host.fresh()
    check_equal(after["run"], before["run"], "the same agent goes on")
    check(after["seq"] > before["seq"] and after["now"] > before["now"], "its reports go on")
    check_equal(guest.agent("cat /tmp/suspend"), "", "what the kernel said of the suspend")


def test_migrated(pair):
    """To another QEMU on this machine; the host's end there is a new one."""
    guest, before = pair.calm, pair.host.fresh()
    path = os.path.join(pair.lab.path("migrate"), "socket")
    migrated = pair.lab.guest("migrated", **pair.options, guest_uuid=guest.uuid, extra=["-incoming", f"unix:{path}"])
    migrated.qmp = Qmp(migrated.qmp_path)
    guest.qmp("migrate", uri=f"unix:{path}")
    wait_for(lambda: migrated.qmp("query-status")["status"] == "running", SECONDS, "the guest on its new host")
    check_equal(guest.qmp("query-migrate")["status"], "completed", "the migration")
    guest.stop()
    pair.host.close()
    pair.host = Host(migrated.agent_port_path)
    after = pair.host.fresh()
    check_equal(after["run"], before["run"], "the same agent goes on")
    check(after["seq"] > before["seq"] and after["now"] > before["now"], "its reports go on")
    migrated.agent, pair.calm = Agent(migrated.agent_path), migrated


def test_saved_and_restored(pair):
    guest = pair.calm
    before = pair.host.fresh()
    image = os.path.join(pair.lab.path("saved"), "image")
    guest.qmp("migrate", uri=f"exec:cat >{image}")

    def is_saved():
        status = guest.qmp("query-migrate").get("status")
        check(status != "failed", "the guest can be saved")
        return status == "completed"

    wait_for(is_saved, SECONDS, "saving the guest")
    guest.stop()
    pair.host.close()
    restored = pair.lab.guest("restored", **pair.options, guest_uuid=guest.uuid, extra=["-incoming", f"exec:cat {image}"])
    restored.qmp = Qmp(restored.qmp_path)
    wait_for(lambda: restored.qmp("query-status")["status"] == "running", SECONDS, "the restored guest")
    pair.host = Host(restored.agent_port_path)
    after = pair.host.fresh()
    check_equal(after["run"], before["run"], "the same agent goes on")
    check(after["seq"] > before["seq"] and after["now"] > before["now"], "its reports go on")
    restored.agent = Agent(restored.agent_path)
    pair.calm = restored


def test_rebooted_and_without_root(pair):
    guest = pair.calm
    before = pair.host.fresh()
    guest.qmp("set-action", reboot="reset")
    guest.qmp("system_reset")

    def is_up():
        with open(guest.console, "rb") as console:
            return b"GUEST-UP" in console.read()

    wait_for(is_up, 2 * SECONDS, "the guest's next boot")
    # Lines of the shell before and after it are all answered; this one waits for the new shell.
    guest.agent("echo nobody:x:99:99::/:/bin/sh >/etc/passwd; echo nobody:x:99: >/etc/group; chmod 666 /dev/vport*")
    start_agent(guest, "su nobody -c 'exec memarb-guest-agent --verbose'")
    after = pair.host.fresh()
    check(after["run"] != before["run"] and after["seq"] <= 3, "a new agent begins anew")
    check_equal(guest.agent("stat -c %u /proc/$(pidof memarb-guest-agent)"), "99", "its user")
    check("some_total" in after, "pressure is told without root")


def test_without_pressure_information(pair):
    """As in a kernel without CONFIG_PSI, or booted with psi=0; and as before Linux 5.2, which has figures and no triggers."""
    guest, old = pair.calm, pair.host.fresh()
    end = "kill $(pidof memarb-guest-agent); while pidof memarb-guest-agent >/dev/null; do usleep 50000; done"
    guest.agent(f"{end}; mkdir -p /tmp/none && mount -o bind /tmp/none /proc/pressure")
    start_agent(guest)
    report = pair.host.fresh()
    check(report["run"] != old["run"] and "some_total" not in report and "full_avg10" not in report, f"pressure is left out: {report}")
    check(0 < report["mem_available"] < report["mem_total"], f"the rest is told: {report}")
    guest.agent(f"{end}; umount /proc/pressure; cat /proc/pressure/memory >/tmp/none/memory;"
                " mount -o bind /tmp/none /proc/pressure; mount -o remount,bind,ro /proc/pressure")
    start_agent(guest)
    again = pair.host.fresh()
    check(again["run"] != report["run"] and "some_total" in again, f"pressure is read where nothing can be triggered: {again}")


def test_a_host_that_does_not_read_blocks_nothing(pair):
    guest, host = pair.small, pair.deaf_host
    # Unread since the first test. The other direction works on: the hook is run.
    # Said again at each retry: once could be a moment's.
    wait_for(lambda: guest.agent("cat /tmp/agent.log").count("does not read") > 1, SECONDS, "a full ring")
    guest.agent("mkdir -p /etc/memarb && cp /bin/guest-squeeze /etc/memarb/guest-squeeze")
    last = {"seq": 0}
    host.rate()
    host.squeeze(41, 5 << 20, 60)
    wait_for(lambda: guest.agent("cat /tmp/hook 2>/dev/null || :") == f"41 {5 << 20}", SECONDS, "the hook, while nobody reads")
    old = 0
    while True:
        report = host.report()
        check_equal(report["seq"], last["seq"] + 1 if last["seq"] else report["seq"], "seq: none is lost that was sent")
        last = report
        if report["token"] == host.token:
            break
        old += 1
    print(f"# {old} old lines dropped by their token")
    check(old >= 100, f"{old} old lines were in the channel")
    final = host.wait_report(lambda report: report.get("hook") == 5)
    check_equal((final["squeeze"], final["veto"]), (41, 1), "the hook's answer")


TESTS = [test_a_guest_that_thrashes_says_so_within_a_second, test_reports_are_the_guests_own_figures,
         test_the_hosts_side_is_closed_and_opened, test_suspended_and_woken, test_the_port_is_unplugged_and_plugged,
         test_saved_and_restored, test_migrated, test_rebooted_and_without_root, test_without_pressure_information,
         test_a_host_that_does_not_read_blocks_nothing]

if __name__ == "__main__":
    with Lab() as the_lab:
        run_tests(TESTS, Pair(the_lab))
