# SPDX-License-Identifier: LGPL-2.1-or-later
"""residency.py - makes all of a guest's memory resident from outside, in huge pages: as if the guest had used all of it once, and
it is free inside. Where a balloon has broken its huge pages up, a guest that does so itself takes 20 s for 280 MiB here: a fault
for each page, under emulation."""
import ctypes
import os

from tinyguest import MIB

PROCESS_MADVISE, MADV_COLLAPSE = 440, 25
HUGE = 2 * MIB
LIBC = ctypes.CDLL(None, use_errno=True)


class Range(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def ram_of(pid, size):
    """Where the guest's memory begins and ends in its QEMU."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as lines:
        for line in lines:
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            if end - begin == size:
                return range(begin, end, HUGE)
    raise RuntimeError(f"process {pid} has no mapping of {size // MIB} MiB")


def fill(pid, size):
    """Of a guest that does not run meanwhile, and is bound to no node: the kernel would take this process's node. Each huge page
    is written to, with what is there, and then made whole."""
    ram, process, memory = ram_of(pid, size), os.pidfd_open(pid), os.open(f"/proc/{pid}/mem", os.O_RDWR)
    try:
        for begin in ram:
            os.pwrite(memory, os.pread(memory, 1, begin), begin)
            LIBC.syscall(PROCESS_MADVISE, process, ctypes.byref(Range(begin, HUGE)), ctypes.c_size_t(1), MADV_COLLAPSE, 0)
    finally:
        os.close(memory)
        os.close(process)
