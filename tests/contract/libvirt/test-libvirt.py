# SPDX-License-Identifier: LGPL-2.1-or-later
"""The libvirt adapter against a real libvirtd and real guests. Usage: test-libvirt.py PROBE [TEST...]"""
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
from taptest import check, check_between, check_equal, run_tests, skip_all  # noqa: E402

try:
    import libvirt
    from tinyguest import MIB, PATIENCE, Lab, wait_for
    from virthost import Domain, quiet_errors
except ImportError as missing:
    skip_all(f"{missing}")

URN = "urn:memarb:guest:1"
PERIOD_MS = 500
# Above what a call needs beside five booting TCG guests on two cores.
DEADLINE_MS = 1500
NEVER = f'<memarb:guest xmlns:memarb="{URN}" impact="never"><memarb:memory guarantee="64MiB"/></memarb:guest>'


class Probe:
    """The adapter in a process of its own; all messages in .seen, in order."""

    def __init__(self, program, virt, period_ms=PERIOD_MS):
        self.process = subprocess.Popen([program, virt.uri, f"{virt.dir}/run/libvirt/qemu", str(period_ms), str(DEADLINE_MS)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.seen, self.place, self.lines = [], 0, queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def say(self, text):
        self.process.stdin.write(text + "\n")

    def _next(self, timeout):
        if self.place == len(self.seen):
            message = self.lines.get(timeout=max(timeout, 0.001))
            if message is None:
                raise AssertionError(f"the probe ended: {self.process.wait()}")
            self.seen.append(message)
        self.place += 1
        return self.seen[self.place - 1]

    def wait(self, event, seconds=20, uuid=None, where=lambda m: True):
        """The next such message from here on; later waits look behind it."""
        seconds *= PATIENCE
        end = time.monotonic() + seconds
        while True:
            try:
                m = self._next(end - time.monotonic())
            except queue.Empty:
                raise TimeoutError(f"no {event} of {uuid} in {seconds} s; last: {self.seen[-5:]}") from None
            if m["event"] == event and uuid in (None, m["uuid"]) and where(m):
                return m

    def collect(self, seconds):
        """All messages of that time."""
        end, got = time.monotonic() + seconds, []
        while True:
            try:
                got.append(self._next(end - time.monotonic()))
            except queue.Empty:
                return got

    def do(self, action, uuid, size=0, deadline_ms=15000, expect=0):
        self.say(f"do {action} {uuid} {size} {deadline_ms}")
        m = self.wait("submitted", uuid=uuid)
        check_equal(m["result"], expect, f"submit {action}")
        check(m["took_usec"] < 50000, f"submit blocked for {m['took_usec']} us")

    def outcome(self, action, uuid, size=0, deadline_ms=15000):
        self.do(action, uuid, size, deadline_ms)
        return self.wait("outcome", uuid=uuid, seconds=deadline_ms / 1000 + 5)

    def quit(self):
        self.say("quit")
        m = self.wait("stopped", seconds=10)
        self.process.wait(10)
        return m


class Host:
    def __init__(self, lab, program):
        self.virt, self.program = lab.libvirtd(), program
        self.guests = [self.virt.domain("g0", metadata=NEVER), self.virt.domain("g1", title="web one"),
                       self.virt.domain("g2"), self.virt.domain("g3"), self.virt.domain("g4", balloon=False)]
        for g in self.guests:
            g.wait_up()
        self.probe = Probe(program, self.virt)

    def uuids(self):
        return {g.uuid for g in self.guests}


def test_lists_every_guest_with_its_facts(host):
    host.probe.wait("connected")
    host.probe.wait("list_done")
    facts = {m["uuid"]: m for m in host.probe.seen if m["event"] == "guest"}
    check_equal(set(facts), host.uuids(), "guests")
    for g in host.guests:
        m = facts[g.uuid]
        check_equal((m["name"], m["pid"], m["vcpus"], m["max_bytes"]), (g.name, g.pid, 1, 128 * MIB), "facts")
        check_equal(m["has_balloon"], int(g.name != "g4"), f"balloon of {g.name}")
        check_equal(m["inhibited_by"], 0, "inhibitors")
    states = {m["uuid"]: m["state"] for m in host.probe.seen if m["event"] == "state"}
    check_equal(set(states.values()), {"running"}, "states")
    first = next(m for m in host.probe.seen if m["uuid"] == host.guests[0].uuid)
    check_equal(first["event"], "guest", "first message of a guest")


def test_figures_flow_with_age(host):
    uuid = host.guests[1].uuid
    m = host.probe.wait("figures", uuid=uuid, where=lambda m: m["stats_has"] & 1)
    check(m["stats_age_usec"] < 5_000_000, "its statistics move: the period was set")
    check_equal(m["actual_bytes"], 128 * MIB, "actual")
    check_between(m["claimed_total_bytes"], 60 * MIB, 128 * MIB, "total as claimed")
    check(m["has_cpu_time"] and m["cpu_time_usec"] > 0, "cpu time")
    bare = host.probe.wait("figures", uuid=host.guests[4].uuid)
    check_equal(bare["has_actual"], 0, "actual without a balloon")


def test_metadata_is_read_and_followed(host):
    g = host.guests[0]
    config = [m for m in host.probe.seen if m["event"] == "config" and m["uuid"] == g.uuid][-1]
    check_equal((config["impact_class"], config["guarantee_bytes"]), (1, 64 * MIB), "config")

    def put(text, target=g):
        target.dom.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, text, "memarb" if text else None, URN, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        return host.probe.wait("config", uuid=target.uuid)

    m = put('<guest impact="500"><group name="erp"/></guest>')
    check_equal((m["impact_class"], m["impact"], m["group"], m["problem"]), (0, 500, "erp", ""), "good")
    m = put('<guest impact="sometimes"/>')
    check_equal((m["impact"], m["is_invalid"]), (500, 0), "a bad value keeps the last good one")
    check("impact" in m["problem"], "and is named")
    m = put(None)
    check_equal((m["has"], m["problem"]), (0, ""), "removed")
    m = put('<guest impact="sometimes"/>', host.guests[2])
    check_equal(m["is_invalid"], 1, "a bad value and none known")
    m = put(f'<guest impact="7"><group name="{"a" * 70000}"/></guest>', host.guests[2])
    check_equal(m["is_invalid"], 1, "too large")
    put('<guest impact="7"/>', host.guests[2])


def test_rules_reach_guests(host):
    host.probe.say("rule g[13] 33")
    m = host.probe.wait("config", uuid=host.guests[1].uuid)
    check_equal(m["impact"], 33, "impact by name")
    host.probe.say("xpath /domain/title='web' 44")
    host.probe.wait("config", uuid=host.guests[1].uuid, where=lambda m: m["impact"] == 0)
    host.probe.say("xpath starts-with(/domain/title,'web') 44")
    m = host.probe.wait("config", uuid=host.guests[1].uuid)
    check_equal(m["impact"], 44, "impact by XPath")


def test_balloon_moves_memory(host):
    g = host.guests[1]
    g.agent("eat 30")
    g.agent("eatfree")
    before = g.memory()["RssAnon"]
    m = host.probe.outcome("balloon", g.uuid, 80 * MIB + 1)
    check_equal(m["result"], "done", m["detail"])
    host.probe.wait("figures", uuid=g.uuid, where=lambda m: m["actual_bytes"] <= 80 * MIB + 4096)
    wait_for(lambda: g.memory()["RssAnon"] < before - 20 * MIB, 10, "memory to come back")
    check_equal(host.probe.outcome("balloon", g.uuid, 128 * MIB)["result"], "done", "back")
    m = host.probe.outcome("balloon", host.guests[4].uuid, 80 * MIB)
    check_equal(m["result"], "refused", "no balloon")
    check(m["detail"], "libvirt's words are handed on")


def test_pause_is_told_apart_from_an_operators(host):
    g = host.guests[1]
    check_equal(host.probe.outcome("pause", g.uuid)["result"], "done", "pause")
    states = [m for m in host.probe.collect(1) + host.probe.seen[-30:] if m["event"] == "state" and m["uuid"] == g.uuid]
    check_equal((states[-1]["state"], states[-1]["is_by_other"]), ("paused", 0), "our pause")
    g.dom.resume()
    m = host.probe.wait("state", uuid=g.uuid, where=lambda m: m["state"] == "running")
    check_equal(m["is_by_other"], 1, "the operator's resume")
    g.dom.suspend()
    m = host.probe.wait("state", uuid=g.uuid, where=lambda m: m["state"] == "paused")
    check_equal(m["is_by_other"], 1, "the operator's pause")
    check_equal(host.probe.outcome("resume", g.uuid)["result"], "done", "resume")
    host.probe.collect(1)
    last = [m for m in host.probe.seen if m["event"] == "state" and m["uuid"] == g.uuid][-1]
    check_equal((last["state"], last["is_by_other"]), ("running", 0), "our resume")


def test_restart_of_libvirtd_loses_nobody(host):
    for name in ("TERM", "KILL"):
        begin = len(host.probe.seen)
        host.virt.restart(name)
        host.probe.wait("disconnected")
        host.probe.wait("connected")
        host.probe.wait("list_done", seconds=30)
        since = host.probe.seen[begin:]
        check_equal({m["uuid"] for m in since if m["event"] == "guest"}, host.uuids(), "guests listed again")
        check_equal([m for m in since if m["event"] == "ended"], [], "ends")
        host.probe.wait("figures", uuid=host.guests[3].uuid)
    for g in host.guests:
        g.dom = host.virt.conn.lookupByName(g.name)
    check_equal(host.probe.outcome("balloon", host.guests[1].uuid, 128 * MIB)["result"], "done", "actions go on")


def test_hung_guest_delays_no_other(host):
    hung, others = host.guests[2], host.uuids() - {host.guests[2].uuid}
    host.probe.collect(0)
    os.kill(hung.pid, signal.SIGSTOP)
    try:
        host.probe.wait("stuck", uuid=hung.uuid, seconds=10)
        got = host.probe.collect(6)
        begin = host.probe.seen.index(got[0])
        for uuid in others:
            times = [m["taken_usec"] for m in host.probe.seen[begin:] if m["event"] == "figures" and m["uuid"] == uuid]
            gaps = [b - a for a, b in zip(times, times[1:])]
            check(len(gaps) >= 8, f"figures of {uuid}: {len(times)}")
            check(max(gaps) < 2 * PERIOD_MS * 1000, f"a gap of {max(gaps)} us")
        check(not [m for m in got if m["event"] == "figures" and m["uuid"] == hung.uuid], "figures of the hung one")
        host.probe.do("balloon", hung.uuid, 100 * MIB, expect=-16)
        check_equal(host.probe.outcome("balloon", host.guests[1].uuid, 120 * MIB)["result"], "done", "action beside it")
    finally:
        os.kill(hung.pid, signal.SIGCONT)
    host.probe.wait("unstuck", uuid=hung.uuid, seconds=10)
    host.probe.wait("figures", uuid=hung.uuid, seconds=10)
    host.probe.say("health")
    check_equal(host.probe.wait("health")["threads_abandoned"], 0, "threads given up")


def test_action_on_a_guest_that_hangs_times_out(host):
    hung = host.guests[3]
    host.probe.say("period 60000")
    host.probe.collect(1)
    os.kill(hung.pid, signal.SIGSTOP)
    try:
        m = host.probe.outcome("balloon", hung.uuid, 100 * MIB, deadline_ms=700)
        check_equal(m["result"], "timeout", "balloon of a hung guest")
        check_between(m["took_usec"], 600_000, 1_500_000, "time to the verdict")
        host.probe.do("pause", hung.uuid, expect=-16)
        check_equal(host.probe.outcome("resume", host.guests[1].uuid)["result"] in ("done", "refused"), True, "resume goes its way")
    finally:
        os.kill(hung.pid, signal.SIGCONT)
    host.probe.wait("unstuck", uuid=hung.uuid, seconds=10)
    host.probe.say(f"period {PERIOD_MS}")
    check_equal(host.probe.outcome("balloon", hung.uuid, 128 * MIB)["result"], "done", "afterwards")


def test_slow_reader_loses_nothing(host):
    g = host.guests[3]
    host.probe.say("deaf 3000")
    for _ in range(40):
        g.dom.suspend()
        g.dom.resume()
    states = [m["state"] for m in host.probe.collect(6) if m["event"] == "state" and m["uuid"] == g.uuid]
    check_equal(states, ["paused", "running"] * 40, "states in order")


def test_kill_ends_and_start_is_seen(host):
    g = host.guests[3]
    check_equal(host.probe.outcome("kill", g.uuid)["result"], "done", "kill")
    host.probe.collect(1)
    check(any(m["event"] == "ended" and m["uuid"] == g.uuid for m in host.probe.seen[-60:]), "its end")
    host.probe.do("balloon", g.uuid, 100 * MIB, expect=-2)
    g.dom = host.virt.conn.lookupByName(g.name)
    g.dom.create()
    m = host.probe.wait("guest", uuid=g.uuid)
    check_equal(m["pid"], host.virt.qemu_pid(g.name), "the new pid")
    check(m["pid"] != g.pid, "a new process")
    host.guests.remove(g)
    g.dom.destroy()
    host.probe.wait("ended", uuid=g.uuid)


def test_virtio_mem_is_resized(host):
    device = """<memory model='virtio-mem'><target><size unit='MiB'>256</size><node>0</node><block unit='MiB'>2</block>
      <requested unit='MiB'>64</requested></target></memory>"""
    xml = host.virt.xml("g5", devices=device).replace(
        "<memory unit='MiB'>128", "<maxMemory slots='4' unit='MiB'>1024</maxMemory><memory unit='MiB'>384").replace(
        "<currentMemory unit='MiB'>128</currentMemory>", "").replace(
        "<cpu mode='maximum'/>", "<cpu mode='maximum'><numa><cell id='0' cpus='0' memory='128' unit='MiB'/></numa></cpu>")
    g = Domain(host.virt, "g5", xml).wait_up()
    m = host.probe.wait("guest", uuid=g.uuid)
    check_equal(m["max_bytes"], 128 * MIB, "max without virtio-mem")
    m = host.probe.wait("figures", uuid=g.uuid, where=lambda m: m["plugged_bytes"] == 64 * MIB)
    check_equal((m["actual_bytes"], m["is_actual_absurd"]), (128 * MIB, 0), "actual without virtio-mem")
    check_equal(host.probe.outcome("resize", g.uuid, 31 * MIB)["result"], "done", "resize")
    m = host.probe.wait("figures", uuid=g.uuid, where=lambda m: m["plugged_bytes"] == 32 * MIB)
    check_equal(m["requested_bytes"], 32 * MIB, "a shrink takes whole blocks, and no more than asked")
    check_equal(host.probe.outcome("balloon", g.uuid, 100 * MIB)["result"], "done", "balloon beside virtio-mem")
    host.probe.wait("figures", uuid=g.uuid, where=lambda m: m["actual_bytes"] == 100 * MIB)
    check_equal(host.probe.outcome("resize", host.guests[0].uuid, 32 * MIB)["result"], "refused", "none to resize")
    g.dom.destroy()


def test_stop_puts_the_statistics_period_back(host):
    def period(g):
        return "<stats period=" in g.dom.XMLDesc()

    check(period(host.guests[1]), "the period was set")
    took = host.probe.quit()["took_usec"]
    check(took < 3_000_000, f"stop took {took} us")
    check_equal([g.name for g in host.guests if period(g)], [], "periods left behind")


def main():
    program = sys.argv.pop(1)
    if os.geteuid() != 0:
        skip_all("needs root for a private libvirtd")
    quiet_errors()
    with Lab() as lab:
        host = Host(lab, program)
        run_tests([value for name, value in globals().items() if name.startswith("test_")], host)


main()
