# SPDX-License-Identifier: LGPL-2.1-or-later
"""memarbd.service under systemd: readiness, sandbox, watchdog, restarts, the journal, and what happens when it is gone."""
import os
import signal
import time

from labhost import MIB, PAIR_MIB, cgroup_of, mib, read, sh, wait_for

CAPABILITIES = "chown dac_override ipc_lock kill sys_nice sys_ptrace sys_resource"
CAPABILITY_BITS = {"chown": 0, "dac_override": 1, "kill": 5, "ipc_lock": 14, "sys_ptrace": 19, "sys_nice": 23,
                   "sys_resource": 24}
START_ID, STOP_ID = "3bac7a4a31ec471086cd6b2927c00c51", "1155166c913c4b45933103f81f5f665a"
BALLOON_ID = "13a6bc86db0449a5b88d9e8457ed525a"
EATEN_MIB = 180
DROP_IN = "/run/systemd/system/memarbd.service.d/lab.conf"


def status_fields(pid):
    return dict(line.split(":\t", 1) for line in read(f"/proc/{pid}/status").splitlines() if ":\t" in line)


def is_ready(host):
    memarb = host.memarb
    unit = memarb.show("Type", "ActiveState", "NotifyAccess", "StatusText", "MainPID", "WatchdogUSec")
    host.point(unit["Type"] == "notify" and unit["ActiveState"] == "active", "Type=notify, active once it said READY", unit)
    # A thread of its own writes the journal.
    entries = wait_for(lambda: memarb.journal(message_id=START_ID), 20, "the start's journal entry")
    host.point(len(entries) == 1, "one journal entry with the MESSAGE_ID of a start", len(entries))
    host.point("Subject: memarbd is ready" in sh("journalctl", "-u", "memarbd", "-x", "--no-pager"),
               "journalctl -x explains it from the catalog")


def is_contained(host):
    pid = host.memarb.pid
    fields = status_fields(pid)
    wanted = sum(1 << CAPABILITY_BITS[name] for name in CAPABILITIES.split())
    host.point(int(fields["CapBnd"], 16) == wanted and int(fields["CapEff"], 16) == wanted,
               "has the capabilities of its unit and no other", (fields["CapBnd"], fields["CapEff"]))
    host.point(fields["NoNewPrivs"] == "1" and fields["Seccomp"] == "2", "no new privileges, system calls filtered")
    host.point(read(f"/proc/{pid}/oom_score_adj").strip() == "-900", "OOMScoreAdjust=-900")
    host.point(int(fields["VmLck"].split()[0]) > 0, "its memory is locked", fields["VmLck"])
    group = cgroup_of(pid)
    host.point(int(read(f"{group}/memory.max")) == 128 * MIB, "MemoryMax=128M on its cgroup")
    host.note(f"memarbd: RssAnon {fields['RssAnon'].strip()}, VmLck {fields['VmLck'].strip()}, memory.current "
              f"{mib(int(read(f'{group}/memory.current')))}")
    window = host.memarb.status().get("psi_window_usec")
    host.point(window is not None and 500000 <= window <= 1000000, "the kernel grants a pressure window of 0.5-1 s", window)


def outside_state(domains):
    """What P8 says does not change while it only observes."""
    state = []
    for domain in domains:
        group = cgroup_of(domain.pid)
        files = {name: read(f"{group}/{name}") for name in ("memory.max", "memory.high", "memory.swap.max", "cgroup.freeze")}
        state.append((domain.dom.XMLDesc(0), domain.dom.memoryStats().get("actual"), files,
                      read(f"/proc/{domain.pid}/oom_score_adj"), read(f"/proc/{domain.pid}/limits")))
    return state


def make_short(host, domains, settings=None, guests=None):
    """Memory that was given back is not resident until it is used again: used so, and a budget that is nearly used up."""
    # A guest that eats what its balloon takes meanwhile would die of it.
    host.memarb.reload({"Budget": None})
    if is_any_smaller(domains):
        host.memarb.ctl("release", "--all")
        wait_for(lambda: not is_any_smaller(domains), 60, "the balloons to come back")
    host.touch(domains, EATEN_MIB)
    used = sum(domain.memory()["RssAnon"] + domain.memory()["RssShmem"] for domain in domains)
    host.memarb.reload({"Budget": f"{used // MIB + 20}MiB", **(settings or {})}, guests)


def sees_guests(host, domains):
    memarb, before = host.memarb, outside_state(domains)
    memarb.wait_guests(len(domains))
    guests = memarb.guests()
    for domain in domains:
        guest = guests.get(domain.name, {})
        host.point(guest.get("uuid") == domain.uuid and guest.get("pid") == domain.pid
                   and guest.get("actual_bytes") == PAIR_MIB * MIB, f"{domain.name}: uuid, pid and balloon are right", guest)
    guest = guests[domains[0].name]
    real = domains[0].memory()["VmRSS"]
    host.point(abs(guest["resident_bytes"] - real) <= 96 * MIB, "resident is what the kernel says, give or take the kernel's file",
               (mib(guest["resident_bytes"]), mib(real)))
    # The pressure that would make it act, were it armed.
    make_short(host, domains)
    plan = wait_for(lambda: memarb.json("plan").get("actions"), 30, "a plan under pressure")
    host.point(all(action["action"] == "balloon" and not action["armed"] for action in plan), "observing, it plans balloons", plan)
    time.sleep(3)
    host.point(outside_state(domains) == before, "P8: observing, it changed nothing outside",
               [new for new, old in zip(outside_state(domains), before) if new != old])


def is_any_smaller(domains):
    return any(domain.dom.memoryStats()["actual"] < PAIR_MIB << 10 for domain in domains)


def takes_when_armed(host, domains):
    memarb = host.memarb
    make_short(host, domains, {"Arm": "reclaim"}, {"name:*": {"Actions": "balloon"}})
    began = time.monotonic()
    wait_for(lambda: is_any_smaller(domains), 60, "a balloon")
    host.point(True, "armed, it moves a balloon of a guest of the system's libvirtd")
    host.note(f"{time.monotonic() - began:.1f} s after the reload, under emulation")
    balloons = memarb.journal(message_id=BALLOON_ID)
    host.point(balloons and balloons[0].get("MA_GUEST_NAME") in [domain.name for domain in domains],
               "the journal names guest, from and to", balloons[:1])


def survives_a_kill(host, domains):
    memarb, old = host.memarb, host.memarb.pid
    taken = memarb.status()["ballooned"]
    sh("systemctl", "kill", "-s", "KILL", "memarbd")
    wait_for(lambda: memarb.pid not in (0, old) and memarb.answers(), 60, "memarbd after SIGKILL")
    memarb.wait_guests(len(domains))
    host.point(memarb.show("ActiveState") == "active", "killed with SIGKILL it is up again by itself")
    host.point(memarb.status()["ballooned"] >= taken > 0, "and remembers what it took", (memarb.status()["ballooned"], taken))


def drop_in(text):
    """More for the unit; "" ends it."""
    os.makedirs(os.path.dirname(DROP_IN), exist_ok=True)
    with open(DROP_IN, "w", encoding="ascii") as file:
        file.write(text)
    sh("systemctl", "daemon-reload")


def watchdog_works(host):
    memarb = host.memarb
    drop_in("[Service]\nWatchdogSec=5s\n")
    sh("systemctl", "restart", "memarbd")
    old = memarb.pid
    time.sleep(8)
    host.point(memarb.pid == old, "it feeds a watchdog of 5 s")
    os.kill(old, signal.SIGSTOP)
    wait_for(lambda: memarb.pid not in (0, old) and memarb.answers(), 60, "the watchdog's restart")
    host.point(True, "when it hangs the watchdog replaces it")
    drop_in("")


def is_replaced_when_it_cannot_start(host, domains):
    memarb = host.memarb
    make_short(host, domains)
    wait_for(lambda: is_any_smaller(domains), 60, "a balloon that is owed")
    # The unit's own limit is five within a minute, which an emulated host on a busy machine may not even manage.
    drop_in("[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=1h\n")
    sh("systemctl", "reset-failed", "memarbd", check=False)
    with open("/etc/memarb/memarb.conf.d/zz-bad.conf", "w", encoding="ascii") as text:
        text.write("[Arbiter]\nReserve=much\n")
    try:
        sh("systemctl", "kill", "-s", "KILL", "memarbd")
        wait_for(lambda: memarb.show("ActiveState") == "failed", 90, "memarbd to give up")
        host.point(True, "a configuration that is bad: it gives up after its start limit")
        wait_for(lambda: memarb.show("ExecMainExitTimestamp", unit="memarb-release.service") != "", 90, "memarb-release.service")
        release = memarb.show("Result", "ExecMainStatus", unit="memarb-release.service")
        host.point(release["Result"] == "success", "memarb-release.service ran", release)
        if release["Result"] != "success":
            for entry in memarb.journal(unit="memarb-release.service")[-6:]:
                host.note(f"  {entry.get('MESSAGE')}")
        sizes = settled_sizes(domains)
        host.point(sizes == [PAIR_MIB] * len(domains), "and gave the balloons back without memarbd", sizes)
    finally:
        os.unlink("/etc/memarb/memarb.conf.d/zz-bad.conf")
        drop_in("")
        sh("systemctl", "reset-failed", "memarbd", check=False)


def settled_sizes(domains):
    """Deflating is quick; what has not come back in this time does not."""
    end = time.monotonic() + 10
    while is_any_smaller(domains) and time.monotonic() < end:
        time.sleep(0.5)
    return [domain.dom.memoryStats()["actual"] >> 10 for domain in domains]


def stops_cleanly(host, domains):
    memarb = host.memarb
    memarb.configure({"Budget": None})
    sh("systemctl", "start", "memarbd")
    memarb.wait_guests(len(domains))
    make_short(host, domains)
    wait_for(lambda: is_any_smaller(domains), 60, "a balloon that is owed")
    began = time.monotonic()
    sh("systemctl", "stop", "memarbd", seconds=150)
    unit = memarb.show("ActiveState", "Result", "ExecMainStatus")
    host.point(unit["ActiveState"] == "inactive" and unit["Result"] == "success", "systemctl stop: ends cleanly", unit)
    host.note(f"stopped in {time.monotonic() - began:.1f} s")
    host.point(time.monotonic() - began < 20, "at once, not when its time is up")
    sizes = settled_sizes(domains)
    host.point(sizes == [PAIR_MIB] * len(domains), "and gave everything back before", sizes)
    after = memarb.journal()
    after = after[[entry.get("MESSAGE_ID") for entry in after].index(STOP_ID, len(after) // 2):]
    claims = [entry["MESSAGE"] for entry in after if entry.get("MA_KIND") == "state" and "is normal" in entry["MESSAGE"]]
    host.point(claims == [], "without calling a short host normal meanwhile", claims)
    entries = memarb.journal(message_id=STOP_ID)
    host.point(len(entries) >= 1, "its end stands in the journal")


def run(host):
    domains = host.pair()
    host.memarb.start()
    is_ready(host)
    is_contained(host)
    sees_guests(host, domains)
    takes_when_armed(host, domains)
    survives_a_kill(host, domains)
    watchdog_works(host)
    is_replaced_when_it_cannot_start(host, domains)
    stops_cleanly(host, domains)
    host.point(all(domain.alive() for domain in domains), "both guests live")
