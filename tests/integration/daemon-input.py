#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bad input (P5, P9): configurations, reloads, metadata, a guest that lies about its balloon, clients that misbehave."""
import contextlib
import json
import os
import signal
import socket
import time

import libvirt

from arbiter import Arbiter, BareGuest, CtlError
from taptest import check, check_equal, run_tests
from tinyguest import MIB, Lab, wait_for

NAMESPACE = "urn:memarb:guest:1"
# The balloon's PCI ids, and where QEMU 7.2 has a virtio device's own configuration in BAR 4; `actual` is its second
# word (virtio 1.1, 5.5.4).
LIE = ("for d in /sys/bus/pci/devices/*; do case $(cat $d/device) in 0x1002|0x1045) "
       "bar=$(sed -n 5p $d/resource | cut -d' ' -f1); "
       "[ ! -e $d/driver ] || echo ${d##*/} >$d/driver/unbind; "
       "devmem $((bar + 0x2004)) 32 %s;; esac; done")


def metadata(attributes):
    return f'<memarb:guest xmlns:memarb="{NAMESPACE}" {attributes}/>'


def test_bad_configurations_do_not_start(lab):
    """Exit status 1, and the message names file and line."""
    for number, (line, words) in enumerate({
            "[Arbiter]\nReserve=4": "Reserve", "[Arbiter]\nResrve=4GiB": "Resrve", "[Arbiter]\nArm=sometimes": "Arm",
            "[Arbiter]\nReserve=1GiB\nSoftWatermark=512MiB\nHardWatermark=2GiB": "atermark",
            "[Guest name:x]\nImpact=0": "Impact", "[Nonsense]\nA=b": "Nonsense", "no section": "",
            "[Host]\nBudget=99999999999TiB": "Budget", "[Arbiter]\nArm=\xff\xfe": "Arm"}.items()):
        arbiter = Arbiter(lab, name=f"bad-{number}")
        with open(arbiter.config_path, "w", encoding="latin-1") as text:
            text.write(line + "\n")
        arbiter.start(wait=False)
        check_equal(arbiter.process.wait_exit(10), 1, f"exit status with {line!r}")
        check(f"{arbiter.config_path}:" in arbiter.log() and words in arbiter.log(), f"{line!r}: {arbiter.log()}")
        check(any(f"{arbiter.config_path}:{row}" in arbiter.log() for row in range(1, 5)), f"a line: {arbiter.log()}")


def test_reload_is_whole_or_not_at_all(lab):
    arbiter = Arbiter(lab, name="reload", guests={"name:late": {"Impact": "7"}})
    guest = BareGuest(lab, "late", 64, dial=arbiter.dial)
    arbiter.start().wait_guests(1)
    check_equal(arbiter.guest("late")["impact"], "7", "impact by the rule at start")
    before = arbiter.status()
    with open(arbiter.config_path, "a", encoding="ascii") as text:
        text.write("[Guest name:late]\nImpact=9\n[Arbiter]\nReserve=12\n")
    try:
        arbiter.ctl("reload")
        raise AssertionError("a bad configuration was taken")
    except CtlError as refused:
        check(f"{arbiter.config_path}:" in str(refused), f"the operator is told where: {refused}")
    os.kill(arbiter.pid, signal.SIGHUP)
    wait_for(lambda: arbiter.log().count("the old one stays") >= 2, 10, "the refusal in the journal, twice")
    for key in ("reserve_bytes", "soft_watermark_bytes", "arm", "total_bytes"):
        check_equal(arbiter.status()[key], before[key], f"{key} after a refused reload")
    check_equal(arbiter.guest("late")["impact"], "7", "impact after a refused reload")
    arbiter.reload({"Reserve": "40MiB"}, {"name:late": {"Impact": "never"}})
    check_equal(arbiter.status()["reserve_bytes"], 40 * MIB, "reserve after a good reload")
    wait_for(lambda: arbiter.guest("late")["impact"] == "never", 5, "the rule of the new configuration")
    guest.stop()
    arbiter.kill()


def test_clients_that_misbehave_stop_nobody(lab):
    arbiter = Arbiter(lab, name="clients").start()
    rude = []

    def say(data):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(2)
        rude.append(sock)
        with contextlib.suppress(OSError):
            sock.connect(arbiter.control)
            sock.sendall(data)

    say(b"\0" * 4096)
    say(b"GET / HTTP/1.0\r\n\r\n\0")
    say(b"{" * 300000)
    say(json.dumps({"method": "io.memarb.Arbiter.Nothing"}).encode() + b"\0")
    say(json.dumps({"method": 5, "parameters": []}).encode() + b"\0")
    say(json.dumps({"method": "io.memarb.Arbiter.Arm", "parameters": {"rung": "x" * 5000}}).encode() + b"\0")
    say(b'{"method": "io.memarb.Arbiter.GetStatus"')
    # Asks for every event and reads none.
    say(json.dumps({"method": "io.memarb.Arbiter.Subscribe", "more": True}).encode() + b"\0")
    for _ in range(100):
        say(b"x")
    for sock in rude[::2]:
        sock.close()
    arbiter.reload()
    seq = arbiter.status()["seq"]
    wait_for(lambda: arbiter.status()["seq"] > seq + 3, 10, "memarbd to go on deciding")
    for sock in rude:
        sock.close()
    check_equal(arbiter.stop(), 0, "exit status")


def test_a_guest_that_lies_about_its_balloon(lab):
    """Root in the guest writes the device's configuration itself; QEMU then says a negative size."""
    arbiter = Arbiter(lab, {"Arm": "kill", "Budget": "4GiB", "QuietTime": "0s"}, name="lies",
                      guests={"name:liar": {"Actions": "balloon"}, "name:honest": {"Impact": "never"}})
    liar = lab.guest("liar", mib=192, dial=arbiter.dial)
    honest = BareGuest(lab, "honest", 64, dial=arbiter.dial)
    liar.wait_up()
    arbiter.start().wait_guests(2)
    for lie in ("0xffffffff", "0x80000000", "0x00100000"):
        liar.agent(LIE % lie)
        said = liar.qmp.balloon()
        check(said < 0 or said > 192 * MIB or lie == "0x00100000", f"QEMU believes {lie}: {said}")
        wait_for(lambda: "actual_bytes" not in arbiter.snapshot()["guests"]["liar"], 10, f"no word of a size ({said})")
    arbiter.leave(10, [liar, honest])
    wait_for(lambda: arbiter.status()["pressure"] == "critical", 15, "the shortage")
    arbiter.pass_cycles(30)
    check_equal(arbiter.actions("balloon"), [], "balloon commands to a guest whose word is no figure")
    check(arbiter.snapshot()["guests"]["honest"]["actual_bytes"] == 64 * MIB, "the other one's figures")
    check(liar.alive() and honest.alive() and arbiter.alive(), "all live")
    liar.stop()
    honest.stop()
    arbiter.kill()


def test_bad_metadata_sets_its_guest_aside(lab):
    virt = lab.libvirtd()
    arbiter = Arbiter(lab, {"Arm": "kill", "Budget": "4GiB", "QuietTime": "0s", "Libvirt": "yes", "LibvirtUri": virt.uri,
                            "LibvirtRunDir": f"{virt.dir}/run/libvirt/qemu"}, name="metadata",
                      # The guarantee is all they have: no balloon answers the shortage. Nobody in them hears the button.
                      guests={"name:*": {"Guarantee": "128MiB", "Actions": "kill"}})
    domains = {"bad": virt.domain("bad", metadata=metadata('impact="banana"')),
               "good": virt.domain("good", metadata=metadata('impact="400"')),
               "turns": virt.domain("turns", metadata=metadata('impact="never"'))}
    arbiter.start()
    wait_for(lambda: {name for name, guest in arbiter.guests().items() if guest["state"] == "running"} == set(domains),
             60, "memarbd to know all three")
    check_equal(arbiter.guest("good")["impact"], "400", "the good one's impact")
    check("banana" in arbiter.guest("bad").get("problem", ""), f"the bad one's problem: {arbiter.guest('bad')}")
    # A value that turns bad while it runs: the last good one stays.
    domains["turns"].dom.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, '<guest impact="-3" nonsense="1"/>', "memarb",
                                     NAMESPACE, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    wait_for(lambda: arbiter.guest("turns").get("problem"), 10, "the problem to be told")
    check_equal(arbiter.guest("turns")["impact"], "never", "impact after it turned bad")
    arbiter.leave(10, [domain.wait_up() for domain in domains.values()])
    domains["good"].wait_exit(40)
    arbiter.pass_cycles()
    check(domains["bad"].alive() and domains["turns"].alive(), "no victim whose settings are bad")
    # Mended, it is a guest like others.
    domains["bad"].dom.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, '<guest impact="5"/>', "memarb", NAMESPACE,
                                   libvirt.VIR_DOMAIN_AFFECT_LIVE)
    wait_for(lambda: arbiter.guest("bad")["impact"] == "5", 10, "the mended value")
    check("problem" not in arbiter.guest("bad"), "no problem any more")
    arbiter.kill()


with Lab() as the_lab:
    run_tests([test_bad_configurations_do_not_start, test_reload_is_whole_or_not_at_all,
               test_clients_that_misbehave_stop_nobody, test_a_guest_that_lies_about_its_balloon,
               test_bad_metadata_sets_its_guest_aside], the_lab)
