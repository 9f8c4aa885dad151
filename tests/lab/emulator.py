# SPDX-License-Identifier: LGPL-2.1-or-later
"""emulator.py - guests that the emulation ends, not the kernel and not memarb.

Under TCG with SVM (QEMU 7.2 and 10.0) a guest's processor now and then reads page tables that are not its own, while many of the
guest's pages come and go: a fetch of its next instruction faults in a kernel that is mapped, then the delivery of that fault, then
that of the double fault. KVM sees a shutdown and QEMU ends. That exit, of a thread of the guest's QEMU, is what is looked for."""
import os
import re

from labhost import read, sh

TRACING = "/sys/kernel/tracing"
EXIT, TRACE = f"{TRACING}/events/kvm/kvm_exit", f"{TRACING}/trace"
SHUTDOWN = re.compile(r"-(\d+)\s+\[\d+\].*kvm_exit: .*reason shutdown")


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def watch():
    """From now on the kernel's trace keeps these exits alone."""
    if not os.path.ismount(TRACING):
        sh("mount", "-t", "tracefs", "tracefs", TRACING)
    write(f"{EXIT}/filter", "exit_reason == 0x7f")
    write(f"{EXIT}/enable", "1")


def threads_of(guests):
    """{guest's name: its QEMU's threads}, asked while they live."""
    return {guest.name: set(os.listdir(f"/proc/{guest.pid}/task")) for guest in guests if guest.alive()}


def shutdowns():
    """[(thread, the line of the trace), ...] of all processors that have shut down, oldest first."""
    return [(match.group(1), match.string.strip()) for match in map(SHUTDOWN.search, read(TRACE).splitlines()) if match]


def gave_up(threads):
    """{guest's name: the line of the trace}, of the guests whose emulated processor has shut down."""
    found = dict(shutdowns())
    return {name: found[tid] for name, tids in threads.items() for tid in tids if tid in found}
