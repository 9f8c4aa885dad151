#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""inside.py [SCENARIO...] - runs scenarios inside the virtual host; started there by memarb-lab.service, or by hand as
`lab NAME` in its shell. TAP, one point an assertion, goes to the port lab.tap (by hand: to the terminal); logs go as a
tar file to lab.files, the journal, piece by piece, to lab.journal."""
import importlib
import os
import signal
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
os.environ.setdefault("MEMARB_TEST_ACCEL", "kvm")

# pylint: disable=wrong-import-position
import emulator  # noqa: E402
import inhibited  # noqa: E402
from catalogue import SCENARIOS  # noqa: E402
from labhost import LabHost, Points, Skip  # noqa: E402
from watch import Watch  # noqa: E402

TAP_PORT = "/dev/virtio-ports/lab.tap"
FILES_PORT = "/dev/virtio-ports/lab.files"
JOURNAL_PORT = "/dev/virtio-ports/lab.journal"
NAMES, REPEAT = "/opt/memarb/scenarios", "/opt/memarb/repeat"
LOGS = "/run/lab-logs"


class Overdue(Exception):
    """The scenario's own time limit."""


def on_alarm(*_):
    raise Overdue()


def read_number(path):
    with open(path, encoding="ascii") as text:
        return int(text.read())


def run_one(name, host, points, watch):
    scenario = importlib.import_module(f"scenarios.{name}")
    points.scenario = name
    points.note(f"{name}: {scenario.__doc__.splitlines()[0]}")
    began, began_usec = time.monotonic(), int(time.time() * 1e6)
    seconds = SCENARIOS[name].seconds * max(host.repeat, 1)
    watch.limit(seconds)
    signal.alarm(seconds)
    try:
        with host:
            scenario.run(host)
    except Skip as reason:
        points.skip(str(reason))
    except (Exception, SystemExit) as error:  # pylint: disable=broad-except
        signal.alarm(0)
        for line in traceback.format_exc().splitlines():
            points.note(line)
        points.point(False, f"runs to its end ({type(error).__name__})")
        points.note_output("journalctl", "-u", "memarbd", "-n", "15", "--no-pager", "-o", "cat")
    finally:
        signal.alarm(0)
    inhibited.check(host, began_usec)
    points.note(f"{name}: {time.monotonic() - began:.0f} s")


def keep_logs():
    os.makedirs(LOGS, exist_ok=True)
    commands = {"journal.txt": ["journalctl", "-o", "short-monotonic", "--no-pager"], "dmesg.txt": ["dmesg"],
                "trace.txt": ["cat", emulator.TRACE]}
    for file, command in commands.items():
        with open(f"{LOGS}/{file}", "wb") as out:
            subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False)
    with open(FILES_PORT, "wb") as port:
        subprocess.run(["tar", "-c", "--ignore-failed-read", "-C", "/", "run/lab-logs", "var/log/libvirt",
                        "var/lib/memarb", "etc/memarb", "var/lib/libvirt/lab"], stdout=port, stderr=subprocess.DEVNULL, check=False)


def send_journal():
    """What is new in it: all that is left of a host that hangs. In pieces, since a stream costs an interrupt a line."""
    with open(JOURNAL_PORT, "wb") as port:
        subprocess.run(["journalctl", "-o", "short-monotonic", "--no-pager", "--cursor-file=/run/lab-journal-cursor"], stdout=port,
                       stderr=subprocess.DEVNULL, timeout=15, check=False)


def has_libraries(points):
    """The image has all that memarb is linked to, or no scenario says anything."""
    done = subprocess.run(["ldd", "/usr/sbin/memarbd", "/usr/bin/memarbctl"], stdout=subprocess.PIPE, text=True, check=True)
    missing = [line.strip() for line in done.stdout.splitlines() if "not found" in line]
    return not missing or points.point(False, "memarb's libraries are there (see PACKAGES in host-image.sh)", missing)


def main():
    by_hand = sys.argv[1:]
    if by_hand:
        tap, names = sys.stdout, by_hand
    else:
        tap = open(TAP_PORT, "w", encoding="utf-8", buffering=1)  # pylint: disable=consider-using-with
        with open(NAMES, encoding="ascii") as text:
            names = text.read().split()
    signal.signal(signal.SIGALRM, on_alarm)
    points = Points(tap)
    points.note(f"up after {time.clock_gettime(time.CLOCK_BOOTTIME):.0f} s")
    watch = Watch(points, *((lambda: None, lambda: None) if by_hand else (send_journal, keep_logs)))
    watch.start()
    host = LabHost(points)
    host.repeat = int(os.environ.get("LAB_REPEAT") or (0 if by_hand else read_number(REPEAT)))
    for name in names if has_libraries(points) else []:
        run_one(name, host, points, watch)
    watch.limit(None)
    host.end()
    points.end()
    if not by_hand:
        keep_logs()
        tap.write("# end\n")
        tap.close()


main()
