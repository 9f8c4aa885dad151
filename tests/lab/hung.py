#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""hung.py OUT - what a virtual host that gives no sign of life is doing: its processors as QEMU has them go to OUT/hung.txt, its
kernel's tasks and memory (SysRq over the console) to OUT/console.log."""
import json
import socket
import sys
import time

# Backtraces of the processors, memory, blocked tasks, all tasks.
SYSRQ = "lmwt"
ASKED = ("info status", "info cpus", "info registers -a")


class Monitor:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(path)
        self.lines = self.sock.makefile("r", encoding="utf-8")
        self.lines.readline()
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        self.sock.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = json.loads(self.lines.readline())
            if "event" not in answer:
                return answer.get("return", answer)


def drain(console, seconds):
    """QEMU logs what is sent, and sends no more than somebody reads."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        console.settimeout(left)
        try:
            console.recv(65536)
        except TimeoutError:
            pass


def main(out):
    monitor = Monitor(f"{out}/qmp")
    with open(f"{out}/hung.txt", "w", encoding="utf-8") as text:
        # Twice: does it run at all?
        for _ in range(2):
            for command in ASKED:
                text.write(f"{command}\n{monitor('human-monitor-command', **{'command-line': command})}\n")
            time.sleep(1)
    console = socket.socket(socket.AF_UNIX)
    console.connect(f"{out}/console")
    for key in SYSRQ:
        monitor("chardev-send-break", id="console")
        time.sleep(0.2)
        console.sendall(key.encode())
        drain(console, 4)


main(sys.argv[1])
