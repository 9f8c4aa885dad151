# SPDX-License-Identifier: LGPL-2.1-or-later
"""The packages beside running guests: installed, upgraded, removed with memory owed, purged; no guest is changed by it."""
import json
import os
import shutil
import stat
import subprocess
import time

from labhost import KEPT, PAIR_MIB, SETTINGS, read, sh, wait_for
from packaged import Packages
from scenarios.unit import is_any_smaller, make_short, outside_state, settled_sizes

NOTE = "# the operator's own line\n"
HOST_END = "/dev/virtio-ports/lab.agent"
FAKES = "/var/tmp/lab-fakes"
# doctor's name for each, and the program.
OTHERS = {"mom": "momd", "pvestatd": "pvestatd", "ksm": "ksmtuned", "systemd-oomd": "systemd-oomd"}


def is_there(path):
    return os.path.lexists(path)


def unit_state(name="memarbd"):
    return (sh("systemctl", "is-enabled", name, check=False).split("\n", 1)[0],
            sh("systemctl", "is-active", name, check=False).strip())


def installs(host, packages, domains, before):
    memarb = host.memarb
    memarb.began_usec = int(time.time() * 1e6)
    packages.install("memarb")
    host.point(unit_state() == ("enabled", "active"), "installed: memarbd.service is enabled and runs", unit_state())
    memarb.wait_guests(len(domains))
    status = memarb.status()
    host.point(status["arm"] == "observe" and not status["arm_override"], "and observes: nothing is armed", status["arm"])
    host.point("memarb:" in read("/etc/group"), "the group that may read is there")
    modes = [(path, oct(stat.S_IMODE(os.stat(path).st_mode))) for path in ("/run/memarb", "/var/lib/memarb")]
    host.point([mode for _, mode in modes] == ["0o755", "0o750"], "its folders have their modes", modes)
    host.point("Subject: memarbd is ready" in sh("journalctl", "-u", "memarbd", "-x", "--no-pager"), "its catalog is known to journalctl")
    host.point(sh("memarbctl", "show", domains[0].name) != "", "memarbctl finds the program that speaks to libvirt")
    host.point(outside_state(domains) == before, "no guest is changed",
               [new for new, old in zip(outside_state(domains), before) if new != old])


def doctor():
    """What it finds, by the name of its check."""
    done = subprocess.run(["memarbctl", "doctor", "--json"], stdout=subprocess.PIPE, text=True, check=False)
    return {finding["check"]: finding["severity"] for finding in json.loads(done.stdout)["findings"]}


def doctor_finds_other_arbiters(host):
    """Programs of these names, and a real systemd that says whether its oomd may kill in the guests' slice."""
    clean = doctor()
    host.point(not set(OTHERS) & set(clean), "doctor finds no other arbiter on this host", clean)
    fakes = []
    try:
        os.makedirs(FAKES, exist_ok=True)
        for program in OTHERS.values():
            shutil.copy("/bin/sleep", f"{FAKES}/{program}")
            fakes.append(subprocess.Popen([f"{FAKES}/{program}", "1000"]))
        found = doctor()
        host.point([found.get(name) for name in ("mom", "pvestatd", "ksm")] == ["error", "error", "warning"],
                   "it finds MOM, pvestatd and ksmtuned", found)
        host.point("systemd-oomd" not in found, "a systemd-oomd that leaves the guests' slice alone is no finding", found)
        sh("systemctl", "set-property", "--runtime", "machine.slice", "ManagedOOMMemoryPressure=kill")
        found = doctor()
        host.point(found.get("systemd-oomd") == "error", "one that may kill there is an error", found)
        done = subprocess.run(["memarbctl", "arm", "reclaim"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        host.point(done.returncode == 4 and host.memarb.status()["arm"] == "observe", "and nothing is armed beside them", done)
    finally:
        for fake in fakes:
            fake.kill()
            fake.wait()
        sh("systemctl", "set-property", "--runtime", "machine.slice", "ManagedOOMMemoryPressure=auto", check=False)
        shutil.rmtree(FAKES)


def take(host, domains, settings=None):
    """Armed by its operator, memarbd holds some of the guests' memory."""
    memarb = host.memarb
    memarb.settings = dict(SETTINGS)
    memarb.configure(settings, {"name:*": KEPT})
    memarb.ctl("reload")
    memarb.ctl("arm", "reclaim")
    make_short(host, domains)
    wait_for(lambda: is_any_smaller(domains), 60, "a balloon")


def upgrades(host, packages, domains):
    memarb, pids, old = host.memarb, [domain.pid for domain in domains], host.memarb.pid
    with open("/etc/memarb/memarb.conf", "a", encoding="ascii") as text:
        text.write(NOTE)
    take(host, domains)
    was = packages.version("memarb")
    packages.install("memarb", packages.next)
    wait_for(lambda: memarb.pid not in (0, old) and memarb.answers(), 90, "the new memarbd")
    host.point(packages.version("memarb") != was, "upgraded under pressure", (was, packages.version("memarb")))
    memarb.wait_guests(len(domains))
    host.point(unit_state() == ("enabled", "active"), "the new memarbd runs", unit_state())
    host.point(memarb.status()["arm"] == "reclaim", "what was armed is armed", memarb.status()["arm"])
    host.point(read("/etc/memarb/memarb.conf").endswith(NOTE), "the operator's configuration is kept")
    # What was given back in between is not resident until it is used again.
    make_short(host, domains)
    wait_for(lambda: is_any_smaller(domains), 60, "the new memarbd to go on")
    host.point([domain.pid for domain in domains] == pids and all(domain.alive() for domain in domains), "the guests ran through")


def removes(host, packages, domains, before, what):
    """With memory owed."""
    host.point(is_any_smaller(domains), f"{what}: memory is owed")
    said = packages.remove("memarb")
    sizes = settled_sizes(domains)
    if not host.point(sizes == [PAIR_MIB] * len(domains), f"{what}: removed, it has given everything back", sizes):
        host.note(said)
    host.point(outside_state(domains) == before, f"{what}: no guest is changed",
               [new for new, old in zip(outside_state(domains), before) if new != old])
    host.point(not is_there("/usr/sbin/memarbd") and "could not be found" in sh("systemctl", "status", "memarbd", check=False),
               f"{what}: the unit is gone")
    host.point(is_there("/etc/memarb/memarb.conf") and is_there("/var/lib/memarb"), f"{what}: configuration and record stay")


def removes_after_no_give_back(host, packages, domains, before):
    packages.install("memarb")
    wait_for(host.memarb.answers, 60, "memarbd")
    host.point(host.memarb.status()["arm"] == "observe", "installed again nothing is armed", host.memarb.status()["arm"])
    host.memarb.wait_guests(len(domains))
    take(host, domains, {"GiveBackOnStop": "no"})
    removes(host, packages, domains, before, "GiveBackOnStop=no")
    host.memarb.configure({"GiveBackOnStop": None})


def purges(host, packages, domains):
    packages.purge("memarb")
    left = [path for path in ("/etc/memarb/memarb.conf", "/var/lib/memarb", "/run/memarb", "/etc/systemd/system/multi-user.target.wants/"
                              "memarbd.service") if is_there(path)]
    host.point(left == [], "purged: configuration, record, state and links are gone", left)
    host.point(all(domain.alive() for domain in domains), "the guests live")


def agent_is_heard(host):
    """The lab's host is a guest, too; both ends of its agent's port are in it."""
    if not is_there(HOST_END):
        host.points.skip("the virtual host has no port for an agent")
        return
    with open(HOST_END, "r+b", buffering=0) as port:
        said = wait_for(lambda: port.read(200), 60, "the agent's first words")
    host.point(said.lstrip(b"\n").startswith(b"memarb/"), "the guest agent speaks on its port, in the sandbox of its unit", said)


def installs_the_agent(host, packages):
    packages.install("memarb-guest-agent")
    host.point(unit_state("memarb-guest-agent")[0] == "enabled", "memarb-guest-agent.service is enabled", unit_state("memarb-guest-agent"))
    agent_is_heard(host)
    printed = subprocess.run(["memarb-guest-agent", "--print"], stdout=subprocess.PIPE, text=True, check=False)
    host.point(printed.returncode == 0 and printed.stdout.startswith("memarb/1 report "), "it prints a report", printed)
    packages.purge("memarb-guest-agent")
    host.point(not is_there("/etc/memarb/guest-agent.conf"), "purged it leaves nothing")


def run(host):
    domains = host.pair()
    with Packages(host) as packages:
        before = outside_state(domains)
        installs(host, packages, domains, before)
        doctor_finds_other_arbiters(host)
        upgrades(host, packages, domains)
        removes(host, packages, domains, before, "after an upgrade")
        removes_after_no_give_back(host, packages, domains, before)
        purges(host, packages, domains)
        installs_the_agent(host, packages)
