# SPDX-License-Identifier: LGPL-2.1-or-later
"""reaper.py - ends what a test started, however the test ended.

A child of the test in a session of its own. The test writes one JSON line for each thing that must not outlive it, and
holds the pipe open; at end of file (the test closed it, or died, by SIGKILL even) everything is undone, last first:

    {"kill": PID, "start": TICKS}     a process, known by its start time as well: numbers are used again
    {"run": ["program", "arg"]}       a command, for example a libvirtd's stop
    {"remove": "/folder"}             a folder and all below it
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

TERM_SECONDS = 3
RUN_SECONDS = 60


def start_ticks(pid):
    """Field 22 of /proc/PID/stat, or None when there is no such process (a zombie counts as none)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def kill(pid, start):
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if start_ticks(pid) != start:
            return
        for signum in (signal.SIGTERM, signal.SIGKILL):
            # A stopped process takes no SIGTERM before it is continued.
            for each in (signum, signal.SIGCONT):
                try:
                    signal.pidfd_send_signal(fd, each)
                except ProcessLookupError:
                    return
            end = time.monotonic() + TERM_SECONDS
            while time.monotonic() < end:
                if start_ticks(pid) != start:
                    return
                time.sleep(0.02)
    finally:
        os.close(fd)


def undo(item):
    if "kill" in item:
        kill(item["kill"], item["start"])
    elif "run" in item:
        subprocess.run(item["run"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=RUN_SECONDS, check=False)
    elif "remove" in item:
        shutil.rmtree(item["remove"], ignore_errors=True)


def main():
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    items = [json.loads(line) for line in sys.stdin]
    for item in reversed(items):
        try:
            undo(item)
        except (OSError, subprocess.SubprocessError) as problem:
            print(f"# reaper: {item}: {problem}", file=sys.stderr)


if __name__ == "__main__":
    main()
