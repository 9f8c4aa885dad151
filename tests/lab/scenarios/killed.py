# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel kills a guest, for its own limit and for the host's want: memarb says whose it was, and writes it down."""
import libvirt

from labhost import MIB, SETTINGS, mib, oom_kills, read, wait_for

KILLED_ID = "42ad413c70714ed09b2c281f45052be8"
UNKILLABLE_ID = "c58bb0b7d33f43ce8562d99e181d2b2f"
# Marks for a host that is half as large again as one guest.
SMALL = {"Reserve": "8MiB", "SoftWatermark": "24MiB", "HardWatermark": "16MiB", "CriticalWatermark": "8MiB"}
SIZE_MIB, LIMIT_MORE_MIB, EATEN_MIB = 320, 40, 150
# memarbd reads an oom_score_adj that is not its own business once a minute.
KNOWN_WITHIN_SECONDS = 180


def told(host, name):
    return [entry for entry in host.memarb.journal(message_id=KILLED_ID) if entry.get("MA_GUEST_NAME") == name]


def recorded(host, guest):
    return [line["outcome"] for line in host.memarb.decisions()
            if (line.get("outcome") or {}).get("by") == "kernel" and line["outcome"]["guest"] == guest.uuid]


def is_told(host, guest, verdicts):
    wait_for(lambda: told(host, guest.name), 60, f"the end of {guest.name} to be told")
    entries = told(host, guest.name)
    verdict = entries[0].get("MA_RESULT")
    host.point(verdict in verdicts, f"{guest.name}: told as the kernel's doing, and why", entries[0].get("MESSAGE"))
    host.note(f"  {verdict}: {entries[0].get('MESSAGE')}")
    wait_for(lambda: recorded(host, guest), 30, "the record")
    host.point(len(entries) == 1 and len(recorded(host, guest)) == 1, "once, and once in the record", (entries, recorded(host, guest)))


def is_warned_of_half_the_host(host, kept):
    """As seen by an operator who put it out of the kernel's reach; the host is what a budget says."""
    memarb, adj = host.memarb, f"/proc/{kept.pid}/oom_score_adj"

    def words():
        return [entry["MESSAGE"] for entry in memarb.journal(message_id=UNKILLABLE_ID)]
    before = read(adj)
    with open(adj, "w", encoding="ascii") as text:
        text.write("-900")
    resident = memarb.guest(kept.name)["resident_bytes"]
    wait_for(lambda: memarb.status()["pins"]["unkillable_bytes"] > 0, KNOWN_WITHIN_SECONDS, "memarb to know it")
    host.point(words() == [], "a guest that the kernel may hardly kill, with little of the host, is no news", words())
    memarb.reload({"Budget": f"{resident + resident // 2}B", **SMALL})
    wait_for(words, 60, "the warning")
    host.point("more than half of the host" in words()[0], "with more than half of the host it is told", words())
    memarb.reload({"Budget": None, **{key: SETTINGS[key] for key in SMALL}})
    wait_for(lambda: len(words()) == 2, 60, "the warning's end")
    host.point("less than half of the host" in words()[1], "and when that is over", words())
    with open(adj, "w", encoding="ascii") as text:
        text.write(before)


def by_its_own_limit(host, tight):
    kills = oom_kills()
    limit_kib = (tight.memory()["VmRSS"] >> 10) + (LIMIT_MORE_MIB << 10)
    tight.dom.setMemoryParameters({"hard_limit": limit_kib}, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    tight.agent.send(f"eat {EATEN_MIB}")
    wait_for(lambda: not tight.alive(), 120, "the kernel to end it")
    host.point(oom_kills() > kills and host.available() > 500 * MIB, "a guest grows over its memory.max: the kernel kills it on a "
               "roomy host", mib(host.available()))
    # systemd may take the group away before anybody can look: then its limit is not known as the reason.
    is_told(host, tight, ("own-limit", "likely"))


def by_the_host(host, guests):
    kills = oom_kills()
    for guest in guests:
        guest.agent(f"eat {EATEN_MIB}")
    host.hog(host.available() // MIB + 400, pause=0.02)
    wait_for(lambda: not all(guest.alive() for guest in guests), 240, "the kernel to end somebody")
    host.end_hogs()
    dead = [guest for guest in guests if not guest.alive()]
    host.point(oom_kills() > kills, "somebody else takes all that there is: the kernel kills a guest", oom_kills())
    for guest in dead:
        is_told(host, guest, ("host", "likely"))


def run(host):
    memarb, tight = host.memarb, None
    pair = host.pair()
    tight = host.virt.domain("tight", SIZE_MIB, stats_period=1).wait_up()
    memarb.start({"Arm": "observe"}, count=3)
    is_warned_of_half_the_host(host, pair[1])
    by_its_own_limit(host, tight)
    by_the_host(host, pair)
    wait_for(lambda: memarb.status()["kernel_kills"] >= 2, 30, "both in the status")
    host.point(memarb.actions() == [], "observing, memarb itself ended nobody", memarb.actions()[:2])
