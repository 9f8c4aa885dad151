# SPDX-License-Identifier: LGPL-2.1-or-later
"""limits.py - all limits of a guest that memarb may change, as the kernel has them."""
import os
import resource

from labhost import cgroup_of, read

# Those that memarb sets for as long as it runs.
STANDING = ("memory.oom.group", "oom_score_adj")


def memlock(pid):
    return resource.prlimit(pid, resource.RLIMIT_MEMLOCK)


def scope_of(pid):
    return os.path.dirname(cgroup_of(pid))


def limits_of(domain):
    """Of a libvirt guest: its systemd scope's, those of the group that libvirt limits, its process's."""
    scope, own = scope_of(domain.pid), cgroup_of(domain.pid)
    names = ("memory.max", "memory.high", "memory.swap.max", "pids.max", "cpu.max")
    found = {name: read(f"{scope}/{name}").strip() for name in names}
    found.update({f"libvirt/{name}": read(f"{own}/{name}").strip() for name in names[:3]})
    found["memory.oom.group"] = read(f"{own}/memory.oom.group").strip()
    found["oom_score_adj"] = read(f"/proc/{domain.pid}/oom_score_adj").strip()
    found["memlock"] = memlock(domain.pid)
    return found
