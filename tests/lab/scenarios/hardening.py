# SPDX-License-Identifier: LGPL-2.1-or-later
"""The sandbox of memarbd.service: systemd's verdict on it, and that all that memarbd does to guests and host works within."""
import os
import re
import resource
import urllib.request

from labhost import KEPT, MIB, cgroup_of, read, sh, wait_for
from scenarios.unit import make_short

# systemd's own scale: 0 safe, 10 unsafe.
EXPOSURE_MAX = 2.5
UNITS = ("memarbd.service", "memarb-release.service", "memarb-guest-agent.service")
EXAMPLES = "/opt/memarb/examples"
DROP_INS = "/run/systemd/system/memarbd.service.d"
FENCE, TOLD = "/usr/local/sbin/lab-fence", "/run/memarb/fence-told"
OUTSIDE = "/run/lab-fenced"
PIN_LIMIT_MIB, SETTLE_SECONDS = 64, 120
PORT = 9811
# A budget of one guest is less than the scenarios' watermarks.
SMALL = {"Reserve": "48MiB", "SoftWatermark": "96MiB", "HardWatermark": "64MiB", "CriticalWatermark": "32MiB"}
HOOKS, HOOKS_CONFIG, HOOK_TOLD = "/etc/memarb/lab-hooks.d", "/etc/memarb/memarb.conf.d/hooks.conf", "/run/memarb/hook-told"


def verdict(host):
    said = sh("systemd-analyze", "verify", "--man=no", *UNITS, check=False).strip()
    host.point(said == "", "systemd-analyze verify has nothing to say", said)
    for unit in UNITS:
        last = sh("systemd-analyze", "security", "--no-pager", unit, check=False).strip().splitlines()[-1]
        found = re.search(r"Overall exposure level for .*: ([0-9.]+)", last)
        host.note(last)
        host.point(found and float(found.group(1)) <= EXPOSURE_MAX, f"{unit}: exposure at most {EXPOSURE_MAX}", last)


def is_closed(host):
    root = f"/proc/{host.memarb.pid}/root"
    mounts = read(f"/proc/{host.memarb.pid}/mountinfo")
    host.point("hidepid=invisible" in mounts or "hidepid=2" in mounts, "/proc hides what may not be traced")
    host.point(sh("nsenter", "-t", str(host.memarb.pid), "-n", "--", "cat", "/proc/net/dev").count(":") == 1,
               "a network of its own, in which there is a loopback alone")
    host.point(os.listdir(f"{root}/home") == [] and not os.path.exists(f"{root}/dev/vda"), "no homes and no disks")


def limits_are_set(host, one, two):
    """prlimit, /proc/PID/oom_score_adj, systemd over D-Bus, files of cgroups: of processes and groups that are not its own."""
    scope = os.path.dirname(cgroup_of(one.pid))
    host.memarb.reload({"Arm": "reclaim"}, {"name:one": {"CapPids": "1", "Impact": "first", "PinLimit": f"{PIN_LIMIT_MIB}MiB",
                                                      "Actions": "kill"},
                                         "name:two": {"Impact": "never", "Actions": "balloon", **KEPT}})
    wait_for(lambda: read(f"/proc/{one.pid}/oom_score_adj").strip() == "1000", 60, "oom_score_adj")
    wait_for(lambda: read(f"{scope}/pids.max").strip() != "max", 60, "pids.max")
    wait_for(lambda: read(f"{cgroup_of(two.pid)}/memory.oom.group").strip() == "1", 60, "memory.oom.group")
    wait_for(lambda: resource.prlimit(one.pid, resource.RLIMIT_MEMLOCK)[1] == PIN_LIMIT_MIB * MIB, SETTLE_SECONDS, "PinLimit=")
    host.point(True, "RLIMIT_MEMLOCK, oom_score_adj, pids.max and memory.oom.group of guests are set")


def write_hook():
    os.makedirs(HOOKS, exist_ok=True)
    with open(f"{HOOKS}/note", "w", encoding="ascii") as text:
        text.write(f"""#!/bin/sh
echo "$MEMARB_PHASE $MEMARB_ACTION $MEMARB_GUEST_NAME" $(tail -n +3 /proc/net/dev | cut -d: -f1) >>{HOOK_TOLD}
""")
    os.chmod(f"{HOOKS}/note", 0o755)
    with open(HOOKS_CONFIG, "w", encoding="ascii") as text:
        text.write(f"[Hooks]\nDirectory={HOOKS}\n")


def memory_is_taken(host, domains):
    """With a hook around it."""
    write_hook()
    try:
        # Nobody may be ended for it yet: under emulation a balloon may be too slow for the need.
        make_short(host, domains)
        wait_for(lambda: domains[1].dom.memoryStats()["actual"] < domains[1].dom.maxMemory(), 60, "a balloon")
        host.point(True, "a balloon is moved through libvirt's socket")
        wait_for(lambda: os.path.exists(HOOK_TOLD) and "after balloon two lo\n" in read(HOOK_TOLD), 60, "a hook after it")
        host.point("before balloon two lo\n" in read(HOOK_TOLD), "hooks before and after it run, with no network but the loopback",
                   read(HOOK_TOLD))
    finally:
        os.unlink(HOOKS_CONFIG)
        sh("rm", "-rf", HOOKS)
        sh("systemctl", "reload", "memarbd")


def victim_then_fence(host, one, two):
    """A guest that may end, then nobody: SIGKILL through a pidfd, then the operator's program."""
    with open(FENCE, "w", encoding="ascii") as text:
        text.write(f"""#!/bin/sh
echo "$MEMARB_REASON" $(tail -n +3 /proc/net/dev | cut -d: -f1) >{TOLD}
systemctl start --no-block lab-fence.service
""")
    os.chmod(FENCE, 0o755)
    with open("/run/systemd/system/lab-fence.service", "w", encoding="ascii") as text:
        text.write(f"[Service]\nType=oneshot\nExecStart=/bin/sh -c 'ls /sys/class/net >{OUTSIDE}'\n")
    sh("systemctl", "daemon-reload")
    used = two.memory()["RssAnon"] + two.memory()["RssShmem"]
    sh("systemctl", "restart", "memarbd", seconds=150)
    host.memarb.wait_guests(2)
    host.memarb.reload({"Arm": "kill", "Budget": f"{max(used // MIB - 20, 64)}MiB", "OnExhausted": "command", "ExhaustedCommand": FENCE,
                        "ExhaustedAfter": "1s", **SMALL})
    wait_for(lambda: not one.alive(), 120, "the victim's end")
    host.point(two.alive(), "a victim is killed, the protected guest lives")
    wait_for(lambda: os.path.exists(TOLD) and "exhausted" in read(TOLD), 120, "the fence")
    host.point(read(TOLD).split() == ["exhausted", "lo"], "ExhaustedCommand= runs, and has no network but the loopback", read(TOLD))
    wait_for(lambda: os.path.exists(OUTSIDE), 60, "the unit that it started")
    host.point(True, "it starts a unit of its own, which is not in the sandbox")
    host.point("ended with 0" in host.memarb.ctl("events"), "its end is told")


def with_drop_in(host, example, settings):
    os.makedirs(DROP_INS, exist_ok=True)
    sh("cp", f"{EXAMPLES}/{example}", DROP_INS)
    sh("systemctl", "daemon-reload")
    host.memarb.start(settings)
    wait_for(host.memarb.answers, 60, "memarbd")


def without_drop_ins():
    sh("rm", "-rf", DROP_INS)
    sh("systemctl", "daemon-reload")


def panic_needs_its_drop_in(host):
    """Opened only: nothing is short here, and nothing is armed."""
    host.memarb.start()
    host.memarb.configure({"OnExhausted": "panic"})
    said = sh("memarbctl", "reload", check=False)
    host.point("sysrq-trigger" in said and "memarb.conf(5)" in said, "OnExhausted=panic is refused in this sandbox, with the reason", said)
    with_drop_in(host, "units/panic.conf", {"OnExhausted": "panic"})
    host.point(host.memarb.is_running(), "with its drop-in the trigger can be opened")
    without_drop_ins()


def metrics_need_their_drop_in(host):
    with open("/etc/memarb/memarb.conf.d/metrics.conf", "w", encoding="ascii") as text:
        text.write(f"[Metrics]\nPort={PORT}\n")
    try:
        with_drop_in(host, "metrics/memarbd-port.conf", None)
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=60) as answer:
            host.point(b"memarb_" in answer.read(), "metrics over the loopback with their drop-in")
    finally:
        os.unlink("/etc/memarb/memarb.conf.d/metrics.conf")
        without_drop_ins()


def run(host):
    one, two = host.pair()
    host.memarb.start(count=2)
    verdict(host)
    is_closed(host)
    limits_are_set(host, one, two)
    memory_is_taken(host, (one, two))
    victim_then_fence(host, one, two)
    panic_needs_its_drop_in(host)
    metrics_need_their_drop_in(host)
