#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""memarbctl's commands for domains against a real libvirtd and a running guest: set and show, beside virsh and beside
themselves, with memarbd following. The guest need not be up: a definition and a QEMU are enough."""
import json
import os
import re
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from taptest import check, check_equal, run_tests, skip_all  # noqa: E402

try:
    import libvirt
    from arbiter import MEMARBCTL, Arbiter
    from tinyguest import Lab, wait_for
    from virthost import Domain
except ImportError as missing:
    skip_all(f"{missing}")

URN = "urn:memarb:guest:1"
OK, ERROR, USAGE, REFUSED, NOT_FOUND = 0, 1, 2, 4, 5
LIVE, CONFIG = libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG


class Host:
    def __init__(self, lab):
        self.lab, self.virt = lab, lab.libvirtd()
        self.arbiter = Arbiter(lab, {"Budget": "4GiB", "Libvirt": "yes", "LibvirtUri": self.virt.uri,
                                     "LibvirtRunDir": f"{self.virt.dir}/run/libvirt/qemu"},
                               guests={"name:sh*": {"Shares": "2000"}})
        self.shop = Domain(self.virt, "shop", self.virt.xml("shop", 128))
        self.other = Domain(self.virt, "other", self.virt.xml("other", 128), persistent=False)
        self.arbiter.start().wait_guests(2)

    def command(self, *args):
        return [MEMARBCTL, *args, f"--config={self.arbiter.config_path}", f"--socket={self.arbiter.control}"]

    def run(self, *args, expect=OK, stdin=subprocess.DEVNULL):
        done = subprocess.run(self.command(*args), stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=60, check=False)
        check_equal(done.returncode, expect, f"exit code of {args}: {done.stdout!r} {done.stderr!r}")
        return done.stdout if expect == OK else done.stderr

    def metadata(self, flags, name="shop", uri=URN):
        try:
            return self.virt.conn.lookupByName(name).metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, uri, flags)
        except libvirt.libvirtError as error:
            check_equal(error.get_error_code(), libvirt.VIR_ERR_NO_DOMAIN_METADATA, "libvirt's error")
            return None

    def put(self, text, flags, name="shop"):
        self.virt.conn.lookupByName(name).setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, text, "memarb" if text else None,
                                                      URN, flags)

    def settings(self, *args):
        return {row["name"]: row for row in json.loads(self.run("show", *(args or ("shop",)), "--json"))["settings"]}

    def applied(self, name="shop"):
        """What memarbd says of its settings, by name."""
        return {row["name"]: (row["value"], row["from"]) for row in self.arbiter.json("explain", name)["settings"]}


def test_set_writes_live_and_persistent_and_memarbd_follows(host):
    text = host.run("set", "shop", "impact=300", "guarantee=32MiB", "--dry-run")
    check("+ <guest impact=\"300\">" in text and "would be set" in text, text)
    check_equal((host.metadata(LIVE), host.metadata(CONFIG)), (None, None), "what a dry run wrote")
    host.run("set", "shop", "impact=300", "guarantee=32MiB")
    check_equal(host.metadata(LIVE), host.metadata(CONFIG), "live and persistent")
    wait_for(lambda: host.applied()["impact"] == ("300", "metadata"), 10, "memarbd to follow")
    check_equal(host.applied()["guarantee"], ("32 MiB", "metadata"), "the second value")
    settings = host.settings()
    check_equal((settings["impact"]["value"], settings["impact"]["from"]), ("300", "metadata"), "show")
    check_equal((settings["shares"]["value"], settings["shares"]["from"]), ("2000", "rule"), "from a section")
    check("[Guest name:sh*], line " in settings["shares"]["rule"], settings["shares"])
    check_equal((settings["actions"]["from"], settings["limit"]["value"]), ("default", "128 MiB"), "defaults")
    check_equal(json.loads(host.run("show", "shop", "--json"))["memarbd"], "same", "memarbd's view")
    check("memarbd applies these." in host.run("show", "shop"), "the same in words")


def test_unset_and_nothing_left(host):
    text = host.run("set", "shop", "guarantee=")
    check("guarantee" not in host.metadata(LIVE) and "-   <memory guarantee=\"32MiB\"/>" in text, text)
    check("nothing to change" in host.run("set", "shop", "impact=300"), "the same again")
    host.run("set", "shop", "impact=")
    check_equal((host.metadata(LIVE), host.metadata(CONFIG)), (None, None), "an element that says nothing")
    wait_for(lambda: host.applied()["impact"] == ("100", "default"), 10, "memarbd to follow")


def test_what_is_wrong_is_refused_before_anything_is_written(host):
    host.run("set", "shop", "impact=never", "limit=48MiB")
    before = host.metadata(LIVE)
    for change, word in {"impact=nevr": "never, first or 1..1000", "guarantee=2G": "2GiB", "impct=5": "keys: impact",
                         "guarantee=120MiB": "exceeds", "group=a b": "no blank", "actions=shoot": "names of"}.items():
        check(word in host.run("set", "shop", change, expect=USAGE), change)
    # One of two is bad: neither is written.
    host.run("set", "shop", "shares=7", "restart=soon", expect=USAGE)
    host.run("set", "nobody", "impact=1", expect=NOT_FOUND)
    check_equal((host.metadata(LIVE), host.metadata(CONFIG)), (before, before), "the metadata")


def test_two_stores_that_differ_are_not_made_one_in_silence(host):
    host.put('<guest impact="never"/>', LIVE | CONFIG)
    host.put('<guest impact="7"/>', LIVE)
    check("differ" in host.run("show", "shop"), "show")
    check("--from" in host.run("set", "shop", "shares=5", expect=REFUSED), "the way out")
    check_equal(host.metadata(CONFIG).count("never"), 1, "the definition's")
    host.run("set", "shop", "shares=5", "--from=config")
    check('impact="never"' in host.metadata(LIVE) and 'shares="5"' in host.metadata(LIVE), host.metadata(LIVE))
    check_equal(host.metadata(LIVE), host.metadata(CONFIG), "live and persistent")


def test_only_one_store_exists(host):
    host.run("set", "other", "impact=9")
    check('impact="9"' in host.metadata(LIVE, "other"), "of a transient domain")
    xml = host.virt.xml("down", 64, metadata=f'<memarb:guest xmlns:memarb="{URN}" impact="3"/>')
    host.virt.conn.defineXML(xml)
    host.run("set", "down", "impact=4")
    check('impact="4"' in host.metadata(CONFIG, "down"), "of one that does not run")
    check_equal(host.settings("down")["impact"]["value"], "4", "show of one that does not run")
    host.virt.conn.lookupByName("down").undefine()


def test_many_at_once_lose_nothing(host):
    host.run("set", "shop", *[f"{key}=" for key in ("impact", "shares", "limit")])
    changes = ["impact=1", "shares=2", "guarantee=3MiB", "restart=4s", "group=five", "pin-limit=6MiB", "cap-pids=7", "cap-cpu=8%"]
    failed = []

    def one(change):
        done = subprocess.run(host.command("set", "shop", change), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=90, check=False)
        if done.returncode != 0:
            failed.append(f"{change}: {done.returncode} {done.stdout}")

    threads = [threading.Thread(target=one, args=(change,)) for change in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_equal(failed, [], "refusals")
    for value in ('impact="1"', 'shares="2"', '"3MiB"', '"4s"', '"five"', '"6MiB"', 'pids="7"', 'cpu="8%"'):
        check(value in host.metadata(LIVE), f"{value} was lost: {host.metadata(LIVE)}")
    check_equal(host.metadata(LIVE), host.metadata(CONFIG), "live and persistent")


def virsh(host, *args):
    done = subprocess.run(["virsh", "-q", "-c", host.virt.uri, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    check_equal(done.returncode, 0, f"virsh {args}: {done.stdout}")
    return done.stdout


def test_plain_virsh_does_the_same(host):
    virsh(host, "metadata", "shop", URN, "memarb", "--live", "--config", "--set", '<guest impact="55"><group name="erp"/></guest>')
    wait_for(lambda: host.applied()["impact"] == ("55", "metadata"), 10, "memarbd to follow virsh")
    check_equal(host.settings()["group"]["value"], "erp", "show")
    host.run("set", "shop", "group=")
    check_equal(re.sub(r"\s", "", virsh(host, "metadata", "shop", URN)), '<guestimpact="55"/>', "what virsh reads")
    virsh(host, "metadata", "shop", URN, "memarb", "--live", "--config", "--set", '<guest impact="sometimes"/>')
    wait_for(lambda: "impact" in (host.arbiter.guest("shop").get("problem") or ""), 10, "the mistake to be told")
    check("problem: impact" in host.run("show", "shop"), "show")
    check_equal(host.applied()["impact"][0], "55", "the last good value")
    check_equal(json.loads(host.run("show", "shop", "--json"))["memarbd_applies"], {"impact": "55"}, "show names it")
    check_equal(host.arbiter.guest("other").get("problem"), None, "the other guest")
    # set mends a bad value of its own key
    host.run("set", "shop", "impact=56")
    wait_for(lambda: host.arbiter.guest("shop").get("problem") is None, 10, "mended")
    virsh(host, "metadata", "shop", URN, "memarb", "--live", "--config", "--set", '<guest impct="5"/>')
    check("impct" in host.run("set", "shop", "impact=5", expect=USAGE), "what the schema does not know is named")
    virsh(host, "metadata", "shop", URN, "--live", "--config", "--remove")
    wait_for(lambda: host.applied()["impact"] == ("100", "default"), 10, "removed")


def main():
    if os.geteuid() != 0:
        skip_all("needs root for a private libvirtd")
    with Lab() as lab:
        run_tests([value for name, value in globals().items() if name.startswith("test_")], Host(lab))


main()
