# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits on real guests: RLIMIT_MEMLOCK over a hotplug, a reboot and a DIMM, caps through systemd, all of it put back."""
import os
import resource
import time

import libvirt
import tinyguest

import ledger
from labhost import MIB, cgroup_of, mib, oom_kills, read, sh, wait_for
from limits import limits_of, memlock, scope_of
from scenarios.vfio import HOSTDEV

PINNED_MIB, DIMM_MIB, MAXIMUM_MIB = 192, 64, 320
LIMIT_MIB = 32
# libvirt's figure for one device, and what is safe with all that may be plugged in.
LIBVIRTS, FLOOR = (PINNED_MIB + 1024) * MIB, (MAXIMUM_MIB + 1024) * MIB
DIMM = (f"<memory model='dimm'><target><size unit='MiB'>{DIMM_MIB}</size><node>0</node></target></memory>")
CHANGED_ID, HELD_ID, PINS_ID = ("77e9a0cb73654eca94a6dcf796b35d74", "fe528a1a71214174b0694599e2255f94",
                                "4ae80d2f93fa478491c7fd82e0b68bbc")
# guest-limits.c lowers nothing for half a minute after a change.
SETTLE_SECONDS = 90
UNLIMITED = resource.RLIM_INFINITY
CAPS = {"CapMemory": "600MiB", "CapSwap": "64MiB", "CapPids": "1", "CapCpu": "150%"}


def told(host, message_id, name):
    return [entry["MESSAGE"] for entry in host.memarb.journal(message_id=message_id) if entry.get("MA_GUEST_NAME") == name]


def recorded(host, guest):
    """What befell its limit."""
    outcomes = [line["outcome"] for line in host.memarb.decisions() if (line.get("outcome") or {}).get("guest") == guest.uuid]
    return [outcome for outcome in outcomes if outcome.get("by") in ("others", "pins")]


def start_pinned(host):
    """A libvirt guest without a device, to which devices and memory can be added, and that may reboot."""
    virt = host.libvirt()
    xml = virt.xml("pinned", PINNED_MIB, stats_period=1)
    xml = xml.replace("<memory unit", f"<maxMemory slots='2' unit='MiB'>{MAXIMUM_MIB}</maxMemory><memory unit", 1)
    xml = xml.replace("<cpu mode='host-passthrough'/>", "<cpu mode='host-passthrough'><numa><cell id='0' cpus='0' memory='"
                      f"{PINNED_MIB}' unit='MiB'/></numa></cpu>").replace("<on_reboot>destroy", "<on_reboot>restart")
    virt.names.append("pinned")
    return tinyguest_domain(virt, xml)


def tinyguest_domain(virt, xml):
    from virthost import Domain  # pylint: disable=import-outside-toplevel
    return Domain(virt, "pinned", xml, persistent=False)


def observes(host, domains, before):
    time.sleep(5)
    host.point([limits_of(domain) for domain in domains] == before, "P8: observing, no limit is touched")
    shown = {limit["limit"]: limit for limit in host.memarb.json("explain", "one")["limits"]}
    host.point(shown.get("pids.max", {}).get("note") == "not-armed", "and explain shows what would be set", shown)


def caps_are_set(host, one, two, before):
    memarb = host.memarb
    memarb.reload({"Arm": "kill"})
    scope = scope_of(one.pid)
    wait_for(lambda: read(f"{scope}/memory.max").strip() == str(600 * MIB), 60, "memory.max")
    wait_for(lambda: read(f"{scope}/cpu.max").split() == ["150000", "100000"], 60, "cpu.max")
    wait_for(lambda: read(f"{scope}/memory.swap.max").strip() == str(64 * MIB), 60, "memory.swap.max")
    host.point(True, "armed: memory.max, memory.swap.max and cpu.max of the machine's scope are the guest's caps")
    pids, threads = int(read(f"{scope}/pids.max")), int(read(f"{scope}/pids.current"))
    host.point(pids >= threads + 1 + 128, "pids.max leaves room for threads, vCPUs and 128 more", (pids, threads))
    shown = sh("systemctl", "show", os.path.basename(scope).replace("\\", "\\"), "-p", "MemoryMax", "-p", "CPUQuotaPerSecUSec")
    host.point(f"MemoryMax={600 * MIB}" in shown, "systemd, which owns the scope, knows them", shown)
    host.point(read(f"{cgroup_of(one.pid)}/memory.max").strip() == "max", "the group that libvirt limits is left to it")
    # Impact=never: what could kill it is not set.
    never = scope_of(two.pid)
    wait_for(lambda: read(f"{never}/memory.high").strip() == str(600 * MIB), 60, "memory.high")
    host.point(read(f"{never}/memory.max").strip() == "max" and read(f"{never}/pids.max") == f"{before[1]['pids.max']}\n",
               "P1: a guest that must not end has memory.high in place of memory.max, and no pids.max of memarb's")
    host.point(len(told(host, HELD_ID, "two")) >= 2, "and that is told", told(host, HELD_ID, "two"))
    wait_for(lambda: limits_of(two)["oom_score_adj"] == "-900", 30, "oom_score_adj of never")
    wait_for(lambda: limits_of(one)["oom_score_adj"] == "1000", 30, "oom_score_adj of first")
    host.point(True, "never is behind and first in front for the kernel, too")
    wait_for(lambda: all(limits_of(domain)["memory.oom.group"] == "1" for domain in (one, two)), 30, "memory.oom.group")
    host.point(True, "helpers go with QEMU: memory.oom.group")


def memlock_is_set(host, pinned, before):
    wait_for(lambda: memlock(pinned.pid)[1] == LIMIT_MIB * MIB, SETTLE_SECONDS, "PinLimit= as RLIMIT_MEMLOCK")
    host.point(True, "PinLimit= is RLIMIT_MEMLOCK of a guest without devices")
    host.note(f"RLIMIT_MEMLOCK was {before}, is {memlock(pinned.pid)}")


def hotplug_is_noticed(host, pinned):
    began = time.time()
    pinned.dom.attachDeviceFlags(HOSTDEV, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    host.note(f"device attached after {time.time() - began:.1f} s, RLIMIT_MEMLOCK {memlock(pinned.pid)}, VmLck "
              f"{mib(pinned.memory()['VmLck'])}")
    host.point(memlock(pinned.pid)[1] == LIBVIRTS, "libvirt raises the limit for the device", memlock(pinned.pid))
    wait_for(lambda: told(host, CHANGED_ID, "pinned"), 15, "the change in the journal")
    host.point(True, "a hotplug over the limit is noticed and told")
    host.note(f"  {told(host, CHANGED_ID, 'pinned')[0]}")
    for entry in host.memarb.journal(message_id=CHANGED_ID)[:1]:
        host.note(f"told {int(entry['__REALTIME_TIMESTAMP']) / 1e6 - began:.1f} s after the attach began")
    wait_for(lambda: pinned.memory()["VmLck"] >= PINNED_MIB * MIB, 30, "all memory pinned")
    wait_for(lambda: "over-limit" in host.memarb.guest("pinned")["pins"]["findings"], 30, "the finding")
    pins = host.memarb.guest("pinned")["pins"]
    host.point(pins["libvirt_bytes"] == LIBVIRTS and pins["floor_bytes"] == FLOOR, "the ledger has libvirt's figure and the floor",
               pins)
    host.point(any("over-limit" in text for text in told(host, PINS_ID, "pinned")), "and is over PinLimit=, which is told")
    wait_for(lambda: len(recorded(host, pinned)) >= 2, 30, "the record")
    found = {outcome["by"]: outcome["because"] for outcome in recorded(host, pinned)}
    host.point(found.get("others") == "memlock" and "over-limit" in found.get("pins", ""), "both stand in the record", found)


def limit_is_kept_and_harms_nothing(host, pinned):
    resource.prlimit(pinned.pid, resource.RLIMIT_MEMLOCK, (UNLIMITED, UNLIMITED))
    wait_for(lambda: "unlimited" in host.memarb.guest("pinned")["pins"]["findings"], 30, "the finding")
    host.point("above-libvirt" in host.memarb.guest("pinned")["pins"]["findings"], "an unlimited limit is found, with libvirt's figure")
    wait_for(lambda: memlock(pinned.pid)[1] == FLOOR, SETTLE_SECONDS, "the limit")
    host.point(True, "it is lowered to what all memory that may come needs, not to PinLimit=")
    marks = read(pinned.console).count("GUEST-UP")
    pinned.dom.reset()
    try:
        wait_for(lambda: read(pinned.console).count("GUEST-UP") > marks, 60, "the reboot")
    except TimeoutError as error:
        host.note(f"{error}: {read(pinned.console)[-300:]!r}")
    wait_for(lambda: not pinned.alive() or pinned.memory()["VmLck"] >= PINNED_MIB * MIB, 30, "all memory pinned again")
    host.point(pinned.alive(), "a reset after that maps everything anew, and QEMU lives")
    pinned.dom.attachDeviceFlags(DIMM, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    wait_for(lambda: pinned.memory()["VmLck"] >= (PINNED_MIB + DIMM_MIB) * MIB, 30, "the DIMM pinned")
    host.point(pinned.alive() and memlock(pinned.pid)[1] == FLOOR, "so does it with a DIMM more, under the same limit",
               memlock(pinned.pid))


def all_is_put_back(host, domains, before):
    memarb, old = host.memarb, host.memarb.pid
    sh("systemctl", "kill", "-s", "KILL", "memarbd")
    wait_for(lambda: memarb.pid not in (0, old) and memarb.answers(), 60, "memarbd after SIGKILL")
    wait_for(lambda: memarb.status()["pins"]["limited_guests"] == len(domains), 60, "its limits")
    host.point(True, "after SIGKILL memarbd knows which limits are its own")
    sh("systemctl", "kill", "-s", "KILL", "memarbd")
    sh("systemctl", "stop", "memarbd")
    # Nobody was there to give back: the limits stand.
    host.point(limits_of(domains[0])["memory.max"] != "max", "(they stand while nobody is there)")
    sh("memarbctl", "release", "--offline", seconds=120)
    back = [limits_of(domain) for domain in domains]
    for domain, was, now in zip(domains, before, back):
        host.point(now == was, f"{domain.name}: every limit is what it was before memarb", {key: (was[key], now[key]) for key in was
                                                                                    if was[key] != now[key]})


def bomb_is_bounded(host):
    """A plain QEMU with mem-lock=on, without CAP_IPC_LOCK, in a scope of its own, that wants more and more."""
    wrapper = "/run/memarb-lab-qemu"
    with open(wrapper, "w", encoding="ascii") as text:
        text.write("#!/bin/sh\nexec systemd-run --quiet --scope --unit=bomb -- setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock "
                   "-- qemu-system-x86_64 \"$@\"\n")
    os.chmod(wrapper, 0o755)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (UNLIMITED, UNLIMITED))
    usual, tinyguest.QEMU = tinyguest.QEMU, wrapper
    try:
        bomb = host.guest("bomb", 128, dial="/run/memarb/qmp.sock", mem_lock=True).wait_up()
    finally:
        tinyguest.QEMU = usual
    host.memarb.start({"Libvirt": "no", "Arm": "reclaim"}, {"name:bomb": {"PinLimit": "160MiB"}}, count=1)
    findings = host.memarb.guest("bomb")["pins"]["findings"]
    host.point("limit-void" not in findings and "unlimited" in findings, "plain QEMU: an unlimited limit is found", findings)
    wait_for(lambda: memlock(bomb.pid)[1] != UNLIMITED, SETTLE_SECONDS, "a limit")
    limit, locked = memlock(bomb.pid)[1], bomb.memory()["VmLck"]
    host.note(f"VmLck {mib(locked)}, RLIMIT_MEMLOCK {mib(limit)}")
    refused = 0
    for number in range(6):
        try:
            bomb.qmp("object-add", **{"qom-type": "memory-backend-ram", "id": f"more{number}", "size": 384 * MIB})
        except Exception as error:  # pylint: disable=broad-except
            refused += 1
            host.note(f"  backend {number}: {error}")
    host.point(refused > 0 and bomb.memory()["VmLck"] <= limit, "a bomb of locked memory is refused at the limit",
               (refused, mib(bomb.memory()["VmLck"])))
    host.point(bomb.alive() and memlock(bomb.pid)[1] == limit, "its QEMU lives, and the limit has not followed it up", memlock(bomb.pid))
    host.memarb.stop()
    host.point(memlock(bomb.pid) == (UNLIMITED, UNLIMITED), "stopped, memarbd puts the limit back", memlock(bomb.pid))
    bomb.stop()


def what_comes_back(host, pinned):
    """Where a difference between the ledger and the host's available memory comes from."""
    host.memarb.start({"Arm": "observe"}, count=3)
    guest = host.memarb.guest("pinned")
    host.memarb.stop()
    sh("sync")
    host.settled(host.available, 60, MIB // 4)
    time.sleep(3)
    before = ledger.accounts()
    pinned.dom.destroy()
    pinned.wait_exit()
    host.settled(host.available, 60, MIB // 4)
    moved = ledger.moved_since(host, before)
    host.note(f"ledger: pinned {mib(guest['pinned_bytes'])}, resident {mib(guest['resident_bytes'])}")
    host.point(-moved["AnonPages"] * MIB >= guest["pinned_bytes"] * 99 // 100 - MIB, "the kernel's own count of anonymous memory falls by "
               "what the ledger had", (moved["AnonPages"], mib(guest["pinned_bytes"])))


def run(host):
    kills = oom_kills()
    host.swap_on()
    one, two = host.pair()
    pinned = start_pinned(host).wait_up()
    domains = [one, two, pinned]
    before = [limits_of(domain) for domain in domains]
    for domain, limits in zip(domains, before):
        host.note(f"{domain.name}: {limits}")
    host.memarb.start({"Arm": "observe"}, {
        "name:one": {"Impact": "first", **CAPS}, "name:pinned": {"PinLimit": f"{LIMIT_MIB}MiB"},
        "name:two": {"Impact": "never"}, "name:tw*": {"CapMemory": "600MiB", "CapPids": "200"}}, count=3)
    observes(host, domains, before)
    caps_are_set(host, one, two, before)
    memlock_is_set(host, pinned, before[2]["memlock"])
    hotplug_is_noticed(host, pinned)
    limit_is_kept_and_harms_nothing(host, pinned)
    before[2]["memlock"] = (UNLIMITED, UNLIMITED)
    all_is_put_back(host, domains, before)
    what_comes_back(host, pinned)
    host.point(one.alive() and two.alive() and oom_kills() == kills, "nobody was killed")
    host.virt_end()
    bomb_is_bounded(host)
