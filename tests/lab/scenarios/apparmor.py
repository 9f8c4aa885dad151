# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests confined by an enforcing AppArmor (with LAB_APPARMOR=1, which boots the virtual host so): seen, dialled in, killed."""
import glob
import os
import subprocess

from labhost import MIB, read, sh, wait_for
from virthost import Domain

NAME, SIZE_MIB = "confined", 192
LOCAL = "/etc/apparmor.d/local/abstractions/libvirt-qemu"
RULE = "/run/memarb/qmp.sock rw,"
SETTLED_SECONDS = 60
# Less than the guest holds.
OVERDRAWN = {"Budget": "64MiB", "Reserve": "16MiB", "SoftWatermark": "32MiB", "HardWatermark": "24MiB", "CriticalWatermark": "16MiB"}


def is_enabled():
    try:
        return read("/sys/module/apparmor/parameters/enabled").strip() == "Y"
    except FileNotFoundError:
        return False


def set_up(host):
    """AppArmor's own program is not on the host's disk; the profiles of libvirt's guests are."""
    debs = glob.glob("/opt/memarb/debs/apparmor_*.deb")
    subprocess.run(["dpkg", "-i", *debs], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
                   env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    sh("apparmor_parser", "-r", "/etc/apparmor.d/usr.sbin.libvirtd", "/etc/apparmor.d/usr.lib.libvirt.virt-aa-helper")
    sh("systemctl", "restart", "libvirtd")
    virt = host.libvirt()
    host.point("<model>apparmor</model>" in virt.conn.getCapabilities(), "libvirt confines its guests by AppArmor")
    return virt


def label_of(pid):
    return read(f"/proc/{pid}/attr/current").strip()


def sources(host):
    return sorted(host.memarb.guests().get(NAME, {}).get("sources", []))


def denials():
    return [line for line in sh("dmesg").splitlines() if 'apparmor="DENIED"' in line and "qmp.sock" in line]


def run(host):
    if not is_enabled():
        host.points.skip("the virtual host runs without AppArmor; LAB_APPARMOR=1")
        return
    virt = set_up(host)
    host.memarb.start()
    guest = Domain(virt, NAME, virt.xml(NAME, SIZE_MIB, stats_period=1), persistent=True)
    virt.names.append(NAME)
    host.point(label_of(guest.pid).startswith("libvirt-") and label_of(guest.pid).endswith("(enforce)"), "the guest is confined",
               label_of(guest.pid))
    host.memarb.wait_guests(1)
    seen = host.memarb.guest(NAME)
    host.point(seen["pid"] == guest.pid and seen["resident_bytes"] > 32 * MIB, "its process is seen through /proc all the same", seen)
    host.point(RULE not in read(LOCAL), "its policy is as Debian has it")
    host.memarb.ctl("enable", NAME, "-y")
    host.point(RULE in read(LOCAL), "enable adds the rule")
    guest.dom.destroy()
    guest.dom.create()
    pid = virt.qemu_pid(NAME)
    host.point(label_of(pid).endswith("(enforce)"), "started again it is confined", label_of(pid))
    try:
        wait_for(lambda: sources(host) == ["libvirt", "qmp"], SETTLED_SECONDS, "the guest to dial in")
    except TimeoutError:
        for line in denials():
            host.note(line)
    host.point(sources(host) == ["libvirt", "qmp"], "and dials in to memarbd", (sources(host), denials()[:2]))
    host.memarb.reload({"Arm": "kill", **OVERDRAWN}, {f"name:{NAME}": {"Actions": "kill"}})
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 120, "its end")
    host.point(True, "SIGKILL of memarbd reaches it")
    host.memarb.ctl("disable", NAME, "-y")
    host.point(RULE not in read(LOCAL), "disable takes the rule out")
    guest.dom.undefine()
