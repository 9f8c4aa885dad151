# SPDX-License-Identifier: LGPL-2.1-or-later
"""cgroup reclaim: a short host with swap gets a libvirt guest's cold pages out through memory.reclaim; nobody dies."""
from labhost import MIB, cgroup_of, mib, oom_kills, read, wait_for
from tinyguest import host_meminfo

RECLAIM_ID = "1e5b5371be0245de9077a76bbd19d48b"
# What the hog leaves: far from the kernel's own watermarks, so that what is swapped out is memarb's doing.
LEFT_MIB = 500


def swapped(domain):
    return domain.memory().get("VmSwap", 0)


def run(host):
    host.swap_on()
    domains = host.pair()
    domains[0].agent("eat 150")
    memarb = host.memarb
    memarb.start(guests={"name:one": {"Actions": "reclaim"}, "name:two": {"Actions": "none"}}, count=2)
    group = cgroup_of(domains[0].pid)
    host.point(group.endswith("/libvirt"), "the group that counts is the one that libvirt keeps limits in", group)
    host.hog((host.available() // MIB) - LEFT_MIB).wait_full()
    left = host.settled(host.available)
    kills, swap_before = oom_kills(), host_meminfo()["SwapFree"]
    host.note(f"available {mib(left)}, swap free {mib(swap_before)}, resident {mib(domains[0].memory()['RssAnon'])}")
    host.point(swapped(domains[0]) == 0, "nothing is swapped while there is room", mib(swapped(domains[0])))

    memarb.reload({"Arm": "reclaim", **host.shortage(left)})
    wait_for(lambda: swapped(domains[0]) >= 30 * MIB, 90, "30 MiB in swap")
    host.point(True, "armed to reclaim: cold pages of the guest go to swap")
    wait_for(lambda: host.available() - left >= 20 * MIB, 60, "the host's available memory to rise")
    host.point(True, "and the host's available memory rises")
    # The kernel writes out more than it is asked for, and what is written stays in the swap cache until somebody needs it.
    host.note(f"swapped {mib(swapped(domains[0]))}, available +{mib(host.settled(host.available) - left)}, in the swap cache "
              f"{mib(host_meminfo()['SwapCached'])}, the guest's group holds {mib(int(read(f'{group}/memory.current')))}")
    host.point(swapped(domains[1]) < 4 * MIB, "the guest that allows nothing keeps its pages", mib(swapped(domains[1])))
    entries = memarb.journal(message_id=RECLAIM_ID)
    host.point(entries and all(entry.get("MA_GUEST_NAME") == "one" for entry in entries), "the journal says what was reclaimed")
    refused = [line["outcome"] for line in memarb.decisions() if (line.get("outcome") or {}).get("result") == "refused"]
    host.point(refused == [], "a slow disk is no refusal", refused)
    for entry in entries[:3]:
        host.note(f"  {entry.get('MESSAGE')}")
    wait_for(lambda: memarb.guest("one").get("swap_bytes", 0) >= 30 * MIB, 30, "the guest's swap among its figures")
    host.point(True, "memarb sees the guest's swap")
    host.point(domains[0].agent("echo here") == "here", "the guest works on")
    host.point(oom_kills() == kills and all(domain.alive() for domain in domains), "nobody died")
