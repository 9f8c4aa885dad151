# SPDX-License-Identifier: LGPL-2.1-or-later
"""real-agent.py AGENT - memarb-guest-agent and a host that knows docs/protocol.md only (tests/support/protocoldoc.py), over a
raw pseudo-terminal that stands for the port: the reports of this machine, without a guest. What a real port does besides
(unplugging, migration, suspend) is in tests/integration/guest-agent.py."""
import array
import contextlib
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
import tty

from protocoldoc import LINE_MAX, Cutter, read_line, write_line
from taptest import check, check_equal, run_tests

AGENT = sys.argv[1]
sys.argv[1:2] = []
SECONDS = 60
MSEC = 1000  # us
GIB = 1 << 30
# What the hook is told, in one write; its verdict by the squeeze's number: 1 done, 2 asks to be spared, 3 fails, 4 hangs with
# a child that would outlive it, 5 says so much that nobody reads it.
HOOK = """#!/bin/sh
echo "$# $1 $MEMARB_EVENT $MEMARB_SQUEEZE $MEMARB_TARGET_BYTES $MEMARB_TAKE_BYTES $MEMARB_DEADLINE_MSEC" \\
    "$(env | grep -c ^MEMARB_) $(cat)" >>"${0%/*}/told"
case $MEMARB_SQUEEZE in
1) exit 0 ;;
2) exit 75 ;;
3) exit 1 ;;
4) sleep 1000 & echo $! >"${0%/*}/child"; wait ;;
5) yes | head -c 1000000; exit 0 ;;
esac
"""
NONE, RUNNING, DONE, FAILED, KILLED, SPARE = range(6)


class Host:
    """The agent, and the host's end of its port."""

    def __init__(self, folder, *options):
        self.folder, (self.fd, self.port) = folder, pty.openpty()
        tty.setraw(self.port)
        with open(os.path.join(folder, "log"), "ab") as log:
            self.agent = subprocess.Popen([AGENT, "--config", "/dev/null", "--port", os.ttyname(self.port), *options],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.cutter, self.lines, self.token, self.seq, self.now, self.run = Cutter(), [], 0, 0, 0, None

    def close(self):
        """Ends the agent as an init system does; its exit status."""
        self.agent.send_signal(signal.SIGTERM)
        status = self.agent.wait(SECONDS)
        os.close(self.fd)
        os.close(self.port)
        return status

    def send(self, data):
        view = memoryview(data)
        while view:
            select.select([], [self.fd], [], SECONDS)
            view = view[os.write(self.fd, view):]

    def rate(self, fastest=100, slowest=10000, token=None):
        self.token = self.token + 1 if token is None else token
        self.send(b"\n" + write_line("rate", {"token": self.token, "now": time.monotonic_ns() // 1000,
                                              "fastest_msec": fastest, "slowest_msec": slowest}))

    def squeeze(self, number, deadline_msec, *, token=None, ago_msec=0):
        self.send(b"\n" + write_line("squeeze", {
            "token": self.token if token is None else token, "now": time.monotonic_ns() // 1000 - ago_msec * MSEC, "id": number,
            "target": 3 * GIB, "take": GIB, "deadline_msec": deadline_msec}))

    def report(self, seconds=SECONDS):
        """The next one; each must be what the page says."""
        end = time.monotonic() + seconds
        while not self.lines:
            left = end - time.monotonic()
            check(left > 0 and select.select([self.fd], [], [], left)[0], f"a report within {seconds} s")
            self.lines += self.cutter.feed(os.read(self.fd, 65536))
        kind, values = read_line(self.lines.pop(0))
        check_equal(kind, "report", "what an agent says")
        check_equal((values["run"], values["seq"]), (self.run or values["run"], self.seq + 1), "run and number")
        check(values["now"] >= self.now, "time of the guest goes on")
        self.run, self.seq, self.now = values["run"], values["seq"], values["now"]
        return values

    def wait_report(self, condition):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            values = self.report()
            if condition(values):
                return values
        raise TimeoutError("no such report")

    def answer(self, **rates):
        """The first report after a new rate of ours."""
        self.rate(**rates)
        return self.wait_report(lambda values: values["token"] == self.token)


@contextlib.contextmanager
def host(*options):
    with tempfile.TemporaryDirectory(prefix="memarb-agent-") as folder:
        it = Host(folder, *options)
        try:
            yield it
            check_equal(it.close(), 0, "exit status after SIGTERM")
        finally:
            with contextlib.suppress(OSError):
                it.agent.kill()
                it.agent.wait()


def test_it_speaks_before_it_is_asked_and_answers_a_rate():
    with host() as it:
        values = it.report()
        check_equal((values["token"], values["seq"]), (0, 1), "before the first rate")
        check(0 < values["mem_available"] <= values["mem_total"], f"memory: {values}")
        check(abs(values["now"] - time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000) < SECONDS * 10**6, "CLOCK_BOOTTIME")
        check("squeeze" not in values and "hook" not in values, "no squeeze yet")
        check_equal(it.answer()["token"], it.token, "the first token")
        it.token = (1 << 60) - 1
        check_equal(it.answer()["token"], 1 << 60, "the largest")


def test_it_keeps_the_rate():
    with host() as it:
        it.answer(fastest=100, slowest=100)
        before = it.now
        for _ in range(8):
            it.report()
            check(it.now - before >= 100 * MSEC, f"{it.now - before} us after the report before")
            before = it.now
        # Asked all the time, and told of squeezes: not more often either.
        it.rate(fastest=300, slowest=10000)
        it.wait_report(lambda values: values["token"] == it.token)
        for number in range(1, 6):
            before = it.now
            it.squeeze(number, 600000)
            it.rate(fastest=300, slowest=10000, token=it.token)
            it.report()
            check(it.now - before >= 300 * MSEC, f"{it.now - before} us after the report before")


def test_what_is_no_line_of_a_host_changes_nothing():
    good = write_line("rate", {"token": 77, "now": 5, "fastest_msec": 200, "slowest_msec": 200})
    with host("--hook", "") as it:
        it.answer()
        for data in (b"\n" * 5000, b"\0\xff" * 4000 + b"\n", good[:-1], b"x", b"\n",
                     good.replace(b"memarb/1", b"memarb/2"), good.replace(b"rate", b"rates"),
                     good.replace(b"=77", b"=0"), good.replace(b"=77", b"=077"), good.replace(b"=77", b"=-77"),
                     good.replace(b"fastest_msec=200", b"fastest_msec=201"), good.replace(b"=200\n", b"=10001\n"),
                     good.replace(b" now=5", b""), good.replace(b" now=5", b" now=5 now=5"),
                     good.replace(b"\n", b"\r\n"), good.replace(b"\n", b" \n"),
                     good[:-1] + b" x=1" * (LINE_MAX // 4) + b"\n", b"y" * 100000 + good,
                     b"memarb/1 report token=77 run=1 seq=1 now=1 alarm=0 veto=0\n"):
            it.send(data)
        # It is not heard after any other rate than ours.
        it.squeeze(1, 600000)
        check_equal(it.wait_report(lambda values: "squeeze" in values)["token"], it.token, "token of the report")
        it.send(good[:-1] + b" of_a_later_version=18446744073709551615\n")
        it.wait_report(lambda values: values["token"] == 77)


def hook_of(it, number):
    """What became of it, at last."""
    values = it.wait_report(lambda values: values.get("squeeze") == number and values["hook"] != RUNNING)
    return values["hook"]


def test_without_a_hook_a_squeeze_is_answered_at_once():
    with host("--hook", "") as it:
        it.answer()
        it.squeeze(1, 600000)
        check_equal(hook_of(it, 1), NONE, "what became of the hook")
        it.squeeze(3, 600000, token=it.token + 1)
        it.squeeze(1, 600000)
        it.squeeze(2, 600000)
        check_equal(hook_of(it, 2), NONE, "of the next one")
        check_equal(it.answer().get("squeeze"), 2, "not the one of another token, nor the same again")


def test_the_hook_hears_of_each_squeeze_once():
    with tempfile.TemporaryDirectory(prefix="memarb-hook-") as folder:
        path, told = os.path.join(folder, "hook"), os.path.join(folder, "told")
        with open(path, "w", encoding="ascii") as text:
            text.write(HOOK)
        os.chmod(path, 0o755)
        with host("--hook", path) as it:
            it.answer(slowest=100)
            for number, outcome in ((1, DONE), (2, SPARE), (3, FAILED), (5, DONE)):
                it.squeeze(number, 600000)
                check_equal(hook_of(it, number), outcome, f"hook of squeeze {number}")
                if outcome == SPARE:
                    check_equal(it.report()["veto"], 1, "veto after a hook that asks to be spared")
                it.squeeze(number, 600000)
            it.squeeze(6, 1000, ago_msec=-2000)
            it.squeeze(7, 1000, ago_msec=5000)
            check_equal(hook_of(it, 7), KILLED, "hook of a squeeze that was announced too long ago")
            with open(told, encoding="ascii") as text:
                lines = [line.split() for line in text]
        check_equal([line[3] for line in lines if line[3] != "6"], ["1", "2", "3", "5"], "squeezes that the hook heard of")
        for line in lines[:4]:
            check_equal(line[:3] + line[4:6] + line[7:], ["1", "squeeze", "squeeze", str(3 * GIB), str(GIB), "5"], "what it was told")
            check(0 < int(line[6]) <= 600000, f"its time: {line[6]}")


def test_a_hook_that_anybody_may_write_is_told_and_not_run():
    with tempfile.TemporaryDirectory(prefix="memarb-hook-") as folder:
        path = os.path.join(folder, "hook")
        with open(path, "w", encoding="ascii") as text:
            text.write(HOOK)
        for mode, why in ((0o777, b"may write it"), (0o644, b"no executable file")):
            os.chmod(path, mode)
            with host("--hook", path) as it:
                it.answer()
                it.squeeze(1, 600000)
                check_equal(hook_of(it, 1), NONE, "what became of it")
                with open(os.path.join(it.folder, "log"), "rb") as log:
                    check_equal(log.read().count(why), 1, f"times that it is told: {why}")
        check(not os.path.exists(os.path.join(folder, "told")), "it was run")


def test_a_report_that_cannot_be_printed_is_an_error():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([AGENT, "--print"], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, check=False)
    check_equal((done.returncode, done.stderr), (1, b"memarb-guest-agent: cannot write to stdout\n"), "what it says")
    done = subprocess.run([AGENT, "--print"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    kind, values = read_line(done.stdout[:-1])
    check_equal((kind, values["token"], values["seq"]), ("report", 0, 1), "what it prints")


def test_a_hook_that_hangs_ends_at_the_deadline_with_its_children():
    with tempfile.TemporaryDirectory(prefix="memarb-hook-") as folder:
        path = os.path.join(folder, "hook")
        with open(path, "w", encoding="ascii") as text:
            text.write(HOOK)
        os.chmod(path, 0o755)
        with host("--hook", path) as it:
            it.answer(slowest=100)
            it.squeeze(4, 5000)
            check_equal(hook_of(it, 4), KILLED, "hook of squeeze 4")
            with open(os.path.join(folder, "child"), encoding="ascii") as text:
                child = int(text.read())
            end = time.monotonic() + SECONDS
            while is_running(child) and time.monotonic() < end:
                time.sleep(0.01)
            check(not is_running(child), "the hook's child is killed with it")


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        return sum(map(int, stat.read().rpartition(")")[2].split()[11:13]))


def waiting_bytes(fd):
    number = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, number)
    return number[0]


def test_a_host_that_does_not_read_blocks_nothing():
    with host("--hook", "") as it:
        it.answer(slowest=100)
        # Until nothing more fits.
        last, since = -1, time.monotonic()
        while time.monotonic() - since < 1.5:
            waiting = waiting_bytes(it.fd)
            if waiting != last:
                last, since = waiting, time.monotonic()
            time.sleep(0.05)
        before = cpu_ticks(it.agent.pid)
        it.rate(slowest=100)
        it.squeeze(1, 600000)
        time.sleep(1)
        spent = cpu_ticks(it.agent.pid) - before
        check(spent <= 20, f"{spent} ticks of processor meanwhile")
        check(os.path.getsize(os.path.join(it.folder, "log")) < 4096, "its log stays short")
        # What lay there is whole lines; what was heard meanwhile comes behind, with the next number.
        check_equal(hook_of(it, 1), NONE, "the squeeze was heard meanwhile")
        it.answer(slowest=100)
        time.sleep(1.5)  # unread again, as it is ended


run_tests([test_it_speaks_before_it_is_asked_and_answers_a_rate, test_it_keeps_the_rate,
           test_what_is_no_line_of_a_host_changes_nothing, test_without_a_hook_a_squeeze_is_answered_at_once,
           test_the_hook_hears_of_each_squeeze_once, test_a_hook_that_anybody_may_write_is_told_and_not_run,
           test_a_report_that_cannot_be_printed_is_an_error, test_a_hook_that_hangs_ends_at_the_deadline_with_its_children,
           test_a_host_that_does_not_read_blocks_nothing])
