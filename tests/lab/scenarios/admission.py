# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who does not fit is refused by libvirt's own hook, before anything is taken; without it the guest starts."""
import os
import time

import libvirt

from labhost import PAIR_MIB, mib, read, sh, wait_for

SHIPPED, HOOK = "/opt/memarb/hooks/qemu", "/etc/libvirt/hooks/qemu"
FITS_MIB, TOO_MUCH_MIB = 100, 2200
ANSWERS = 10


def metadata(guarantee_mib):
    return ('<memarb:guest xmlns:memarb="urn:memarb:guest:1" impact="first"><memarb:memory guarantee='
            f'"{guarantee_mib}MiB"/></memarb:guest>')


def start(host, name, guarantee_mib):
    return host.virt.domain(name, guarantee_mib + 28, metadata=metadata(guarantee_mib))


def without_hook(host):
    big = start(host, "big", TOO_MUCH_MIB)
    host.point(big.alive(), f"without the hook a guest with {TOO_MUCH_MIB} MiB guaranteed starts, on a host with "
               f"{mib(host.available())} available")
    big.dom.destroy()
    big.wait_exit()


def refused(host, name, guarantee_mib):
    """What libvirt tells the one who asked; None if it was let in."""
    try:
        start(host, name, guarantee_mib)
        return None
    except libvirt.libvirtError as error:
        host.point(error.get_error_code() == libvirt.VIR_ERR_HOOK_SCRIPT_FAILED, "libvirt says that its hook refused", str(error))
        return str(error)


def judges_starts(host):
    memarb = host.memarb
    kept = start(host, "fits", FITS_MIB)
    host.point(kept.alive(), "who fits is let in")
    held = memarb.status()["admission"]
    host.point(held["on_their_way"] == 1, "and what it needs is held for it", held)
    sh("systemctl", "kill", "-s", "KILL", "memarbd")
    wait_for(memarb.answers, 60, "memarbd after SIGKILL")
    host.point(memarb.status()["admission"]["on_their_way"] == 1, "also over a SIGKILL of memarbd", memarb.status()["admission"])
    said = refused(host, "big", TOO_MUCH_MIB) or ""
    host.point("Guest 'big' is refused" in said and "missing" in said, "who does not fit is refused, with what is missing", said)
    host.note(f"  {said.strip()}")
    return kept


def answers_in_time(host):
    path, took = "/run/memarb-lab-big.xml", []
    with open(path, "w", encoding="utf-8") as text:
        text.write(host.virt.xml("big", TOO_MUCH_MIB, metadata=metadata(TOO_MUCH_MIB)))
    for _ in range(ANSWERS):
        began = time.monotonic()
        sh("memarbctl", "admit", f"--xml={path}", "--dry-run", check=False)
        took.append(time.monotonic() - began)
    took.sort()
    host.note(f"an answer takes {took[len(took) // 2]:.3f} s, the longest {took[-1]:.3f} s, of {ANSWERS}, under emulation")


def restarts_harm_nobody(host, domains):
    # Nobody answers, and who asks for a start is to be refused: who runs already must not be touched by that.
    host.memarb.configure({"WhenDown": "refuse"})
    host.memarb.stop()
    for signal_name in ("TERM", "KILL"):
        host.virt.restart(signal_name)
        states = {domain.name: (domain.alive(), host.virt.conn.lookupByName(domain.name).state()[0]) for domain in domains}
        host.point(all(state == (True, libvirt.VIR_DOMAIN_RUNNING) for state in states.values()),
                   f"libvirtd restarted by SIG{signal_name} under running guests: all of them run", states)
    said = refused(host, "late", FITS_MIB) or ""
    host.point("WhenDown=refuse" in said, "(the hook was asked: it refuses a start)", said)


def run(host):
    virt = host.libvirt()
    host.virt_end()
    without_hook(host)
    os.makedirs(os.path.dirname(HOOK), exist_ok=True)
    # The shipped one gives memarbd a second, which an emulated host on a busy machine may need for less.
    with open(HOOK, "w", encoding="utf-8") as text:
        text.write(read(SHIPPED).replace("memarbctl admit", "memarbctl admit --timeout=30s"))
    os.chmod(HOOK, 0o755)
    try:
        virt.restart()
        host.memarb.start({"Arm": "kill", "ReserveFor": "10min"})
        wait_for(lambda: host.memarb.status()["libvirt"] == "connected", 60, "libvirt")
        answers_in_time(host)
        domains = [judges_starts(host), *host.pair()]
        restarts_harm_nobody(host, domains)
    finally:
        os.unlink(HOOK)
        virt.restart()
    host.point(all(domain.alive() for domain in domains), f"guests of {FITS_MIB + 28} and {PAIR_MIB} MiB live")
