#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""top.py MEMARBCTL FAKE-DAEMON SOURCE - memarbctl top on a real terminal (tmux), against the real control server over a fake
view."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

PROGRAM, DAEMON, SOURCE = sys.argv[1:4]
del sys.argv[1:4]
sys.path.insert(0, os.path.join(SOURCE, "tests", "support"))
from taptest import check, check_equal, run_tests, skip_all  # noqa: E402  pylint: disable=wrong-import-position
from tinyguest import cpu_seconds, wait_for  # noqa: E402  pylint: disable=wrong-import-position

MANY = 1000
SECONDS = 30


class Daemon:
    def __init__(self, guests=3):
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen([DAEMON, str(guests)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.path = self.process.stdout.readline().strip()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            check_equal(self.process.wait(timeout=20), 0, "the server's end")


class Terminal:
    """memarbctl top in a window of a tmux of its own."""

    def __init__(self, daemon, width=80, height=24):
        # Under /tmp whatever TMPDIR says: a socket's path is short.
        self.folder = tempfile.mkdtemp(prefix="memarb-top-", dir="/tmp")
        self.socket = os.path.join(self.folder, "tmux")
        # The shell stays after it, so that the screen it leaves behind can be looked at.
        self.tmux("new-session", "-d", "-x", str(width), "-y", str(height),
                  f"NO_COLOR= TERM=screen {PROGRAM} --socket={daemon.path} top; echo ended with $?; read line")

    def tmux(self, *args):
        done = subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *args], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=30)
        check_equal(done.returncode, 0, f"tmux {args}: {done.stderr}")
        return done.stdout

    def lines(self):
        return self.tmux("capture-pane", "-p").rstrip("\n").split("\n")

    def wait(self, condition, what):
        """The screen's lines once the condition holds of them."""
        seen = []

        def holds():
            seen[:] = self.lines()
            return condition(seen)

        try:
            wait_for(holds, SECONDS, what)
        except TimeoutError as error:
            raise TimeoutError(f"{error}:\n" + "\n".join(seen)) from None
        return seen

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def pid(self):
        shell = int(self.tmux("list-panes", "-F", "#{pane_pid}").strip())
        with open(f"/proc/{shell}/task/{shell}/children", encoding="ascii") as text:
            children = text.read().split()
        return int(children[0]) if children else shell

    def end(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], stderr=subprocess.DEVNULL, check=False, timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)


def rows(lines):
    """The guests' names from above, as they stand under the header."""
    start = next(i for i, line in enumerate(lines) if line.startswith("GUEST"))
    names = []
    for line in lines[start + 1:]:
        if not line.strip() or line.startswith("last decisions"):
            break
        names.append(line.split()[0])
    return names


def is_up(lines):
    return any(line.startswith("GUEST") for line in lines)


def test_all_is_there_on_80x24(terminal, daemon):
    words = ("pressure hard", "armed pause", "3 guests", "1.0G of 16G available", "GUEST", "ACTUAL", "TARGET", "WORK", "PINNED",
                 "PSI%", "IMPACT", "FREES", "TAKEN", "web-1", "never", "balloon", "last decisions", "? keys")
    lines = terminal.wait(lambda lines: all(word in "\n".join(lines) for word in words), f"all of {words}")
    check(len(lines) <= 24 and max(len(line) for line in lines) <= 80, "\n".join(lines))
    daemon.say('event {"kind":"kill","realtime_usec":1700000000000000,"name":"we\\u001bb","message":"killed"}')
    terminal.wait(lambda lines: any("kill we?b: killed" in line for line in lines), "the decision")


def test_keys_sort_and_help(terminal, _):
    terminal.keys("n")
    terminal.wait(lambda lines: is_up(lines) and rows(lines) == ["db", "web-1", "web-2"], "names from a to z")
    terminal.keys("n")
    terminal.wait(lambda lines: is_up(lines) and rows(lines) == ["web-2", "web-1", "db"], "and the other way round")
    terminal.keys("i")
    terminal.wait(lambda lines: is_up(lines) and rows(lines)[:1] == ["db"], "never first by impact")
    terminal.keys("R")
    terminal.wait(lambda lines: is_up(lines) and rows(lines)[-1:] == ["db"], "turned round")
    terminal.keys(">", "<", "k")
    terminal.wait(lambda lines: is_up(lines) and rows(lines)[-1:] == ["web-1"], "by what was taken, from a to z")
    terminal.keys("?")
    terminal.wait(lambda lines: any("sort by" in line for line in lines) and any("q quit" in line for line in lines)
                  and not is_up(lines), "the help")
    terminal.keys("?")
    terminal.wait(is_up, "the list again")


def test_it_follows_the_windows_size(terminal, _):
    terminal.tmux("resize-window", "-x", "120", "-y", "40")
    terminal.wait(lambda lines: is_up(lines) and any(x.startswith("last decisions") for x in lines[30:]), "a taller screen")
    terminal.tmux("resize-window", "-x", "50", "-y", "14")
    terminal.wait(lambda lines: is_up(lines) and any(x.startswith("last decisions") for x in lines[:14])
                  and "FREES" not in "\n".join(lines) and "web-2" in "\n".join(lines), "a small screen without the last columns")
    terminal.tmux("resize-window", "-x", "15", "-y", "5")
    terminal.wait(lambda lines: "too small" in lines[:1][0], "a tiny one")
    terminal.tmux("resize-window", "-x", "80", "-y", "24")
    terminal.wait(is_up, "as before")


def test_a_daemon_that_goes_is_told_and_q_leaves_the_terminal_clean(terminal, daemon):
    daemon.end()
    terminal.keys("Space")
    terminal.wait(lambda lines: any("figures are old" in line for line in lines), "the message")
    terminal.keys("q")
    terminal.wait(lambda lines: any("ended with 0" in line for line in lines) and not is_up(lines), "its end, the screen given back")


def test_a_thousand_guests_cost_little():
    daemon = Daemon(MANY)
    terminal = Terminal(daemon)
    try:
        terminal.wait(lambda lines: is_up(lines) and f"{MANY} guests" in "\n".join(lines), "the list")
        terminal.keys("n", "End")
        terminal.wait(lambda lines: is_up(lines) and rows(lines)[-1:] == ["web-999"], "the last guest")
        terminal.keys("Home", "NPage")
        terminal.wait(lambda lines: is_up(lines) and rows(lines)[:1] not in ([], ["db"], ["web-1"])
                      and rows(lines)[-1:] != ["web-999"], "the second page")
        pid = terminal.pid()
        cpu, begin = cpu_seconds(pid), time.monotonic()
        time.sleep(6)
        share = (cpu_seconds(pid) - cpu) / (time.monotonic() - begin)
        print(f"# {MANY} guests: {share * 100:.2f} % of a core", flush=True)
        # The promise is one percent; a tick of the kernel's clock is a tenth of one here.
        check(share < 0.03, f"{share * 100:.1f} % of a core")
    finally:
        terminal.end()
        daemon.end()


def test_once_is_for_scripts():
    daemon = Daemon()
    try:
        done = subprocess.run([PROGRAM, f"--socket={daemon.path}", "top", "--once"], stdout=subprocess.PIPE, text=True, check=True,
                              timeout=20)
        check("\033" not in done.stdout and re.search(r"^db +running +3.0G", done.stdout, re.M), done.stdout)
        done = subprocess.run([PROGRAM, f"--socket={daemon.path}", "top", "--json"], stdout=subprocess.PIPE, text=True, check=True,
                              timeout=20)
        answer = json.loads(done.stdout)
        check_equal((len(answer["guests"]), answer["status"]["guests"]), (3, 3), "as JSON")
        done = subprocess.run([PROGRAM, f"--socket={daemon.path}", "top"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=False, timeout=20)
        check_equal((done.returncode, "--once" in done.stderr), (2, True), "without a terminal")
        done = subprocess.run([PROGRAM, "--socket=/nonexistent/x", "top"], stderr=subprocess.PIPE, text=True, check=False, timeout=20)
        check_equal(done.returncode, 3, "without a daemon")
    finally:
        daemon.end()


def on_one_terminal(test):
    def run():
        test(*SHARED)
    run.__name__ = test.__name__
    return run


if shutil.which("tmux") is None:
    skip_all("tmux is not installed")
the_daemon = Daemon()
SHARED = [Terminal(the_daemon), the_daemon]
try:
    run_tests([on_one_terminal(test) for test in (test_all_is_there_on_80x24, test_keys_sort_and_help,
                                                  test_it_follows_the_windows_size,
                                                  test_a_daemon_that_goes_is_told_and_q_leaves_the_terminal_clean)]
              + [test_a_thousand_guests_cost_little, test_once_is_for_scripts])
finally:
    SHARED[0].end()
    the_daemon.end()
