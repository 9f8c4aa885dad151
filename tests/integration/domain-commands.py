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
import uuid

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


# Dials in as a guest's QEMU does, and answers each command as if it were a QEMU whose guest has let all its memory go. Prints
# what it was asked to do.
IMPOSTOR = """
import json, socket, sys
monitor = socket.socket(socket.AF_UNIX)
monitor.connect(sys.argv[1])
monitor.sendall(b'{"QMP":{"version":{"qemu":{"micro":0,"minor":2,"major":7},"package":""},"capabilities":[]}}\\n')
for line in monitor.makefile():
    call = json.loads(line)
    print(call.get("execute"), flush=True)
    answers = {"query-uuid": {"UUID": sys.argv[2]}, "query-name": {"name": sys.argv[3]}, "query-balloon": {"actual": 1 << 20},
               "query-status": {"status": "paused", "running": False, "singlestep": False}}
    monitor.sendall(json.dumps({"return": answers.get(call.get("execute"), {}), "id": call.get("id")}).encode() + b"\\n")
print("closed", flush=True)
"""
# What memarbd asks a monitor to know it and its guest.
READING = {"qmp_capabilities", "query-uuid", "query-name", "query-status", "query-balloon", "qom-list", "qom-get", "closed",
           "query-kvm", "query-memdev", "query-memory-devices", "query-migrate", "query-memory-size-summary", "query-commands",
           "query-version"}


def uuid_of(name):
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.memarb.test"))


class Host:
    def __init__(self, lab):
        self.lab, self.virt = lab, lab.libvirtd()
        self.arbiter = Arbiter(lab, {"Budget": "4GiB", "Libvirt": "yes", "LibvirtUri": self.virt.uri,
                                     "LibvirtRunDir": f"{self.virt.dir}/run/libvirt/qemu"},
                               guests={"name:sh*": {"Shares": "2000"}})
        self.shop = Domain(self.virt, "shop", self.virt.xml("shop", 128))
        self.other = Domain(self.virt, "other", self.virt.xml("other", 128), persistent=False)
        self.arbiter.start().wait_guests(2)
        # There before the guest that it says it is, as a neighbour's QEMU would be that was taken over.
        self.impostor = lab.process("impostor", [sys.executable, "-c", IMPOSTOR, self.arbiter.dial, uuid_of("fast"), "fast"])

    def command(self, *args):
        return [MEMARBCTL, f"--config={self.arbiter.config_path}", f"--socket={self.arbiter.control}", *args]

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


BARE = """<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='{machine}'>hvm</type></os><features><acpi/></features><on_reboot>destroy</on_reboot>
<devices><graphics type='vnc' port='-1' autoport='yes' passwd='secret'/>{more}</devices>{end}</domain>"""
WHOLE = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
CHANNEL = "org.memarb.guest.0"


def bare(host, name, machine="q35", more="", end=""):
    return host.virt.conn.defineXML(BARE.format(name=name, uuid=uuid_of(name), machine=machine, more=more, end=end))


def sorted_lines(xml):
    """libvirt may print a definition's controllers in another order after any change."""
    return sorted(line.strip() for line in xml.splitlines())


def test_disable_takes_out_exactly_what_enable_put_in(host):
    agent = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
    own = ("<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-device'/>"
           "<qemu:arg value='pvpanic'/></qemu:commandline>")
    for number, (machine, more, end) in enumerate([("pc", "", ""), ("q35", "", ""), ("q35", "<memballoon model='none'/>", ""),
                                                   ("q35", agent, ""), ("pc", "<memballoon model='virtio'><stats period='9'/></memballoon>", own)]):
        domain = bare(host, f"bare{number}", machine, more, end)
        before = domain.XMLDesc(WHOLE)
        text = host.run("enable", domain.name(), "--dry-run")
        check("nothing was changed" in text and "secret" not in text, text)
        check_equal(domain.XMLDesc(WHOLE), before, "what a dry run wrote")
        check("nobody is there to ask" in host.run("enable", domain.name(), expect=REFUSED), "the question")
        check_equal(domain.XMLDesc(WHOLE), before, "what was written without an answer")
        host.run("enable", domain.name(), "-y")
        enabled = domain.XMLDesc(WHOLE)
        check(CHANNEL in enabled and f"path={host.arbiter.dial},server=off,reconnect=1" in enabled, enabled)
        check(number in (2, 4) or "<stats period='5'/>" in enabled, enabled)
        check("passwd='secret'" in enabled, "the password was lost")
        check("has everything already" in host.run("enable", domain.name(), "-y"), "a second time")
        host.run("disable", domain.name(), "-y")
        check_equal(sorted_lines(domain.XMLDesc(WHOLE)), sorted_lines(before), f"{machine} {more}")
        check("has added nothing" in host.run("disable", domain.name(), "-y"), "a second time")
        domain.undefine()


def test_disable_leaves_what_somebody_changed_since(host):
    domain = bare(host, "changed")
    host.run("enable", "changed", "-y", "--no-monitor")
    check("qemu:commandline" not in domain.XMLDesc(), "--no-monitor")
    host.virt.conn.defineXML(domain.XMLDesc(WHOLE).replace("<stats period='5'/>", "<stats period='2'/>"))
    host.run("set", "changed", "impact=7")
    answer = json.loads(host.run("disable", "changed", "-y", "--json"))
    check_equal(sorted(answer["left"]), ["guest", "period"], "what was left")
    xml = domain.XMLDesc(WHOLE)
    check("<stats period='2'/>" in xml and 'impact="7"' in xml and CHANNEL not in xml, xml)
    domain.undefine()


def test_a_monitor_moves_with_the_socket_and_is_never_twice(host):
    """QEMU does not start with two chardevs of one id."""
    domain = bare(host, "moving")
    before = domain.XMLDesc(WHOLE)
    host.run("enable", "moving", "-y")
    moved = host.arbiter.config_path + ".moved"
    with open(host.arbiter.config_path, encoding="utf-8") as text, open(moved, "w", encoding="utf-8") as out:
        out.write(re.sub("^QmpListen=.*", f"QmpListen={host.virt.dir}/moved.sock", text.read(), flags=re.M))
    host.run("enable", "moving", "-y", f"--config={moved}")
    args = re.findall("<qemu:arg value='(.*)'/>", domain.XMLDesc(WHOLE))
    check_equal(args, ["-chardev", f"socket,id=memarb,path={host.virt.dir}/moved.sock,server=off,reconnect=1", "-mon",
                       "chardev=memarb,mode=control"], "QEMU's arguments")
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    domain.destroy()
    host.run("disable", "moving", "-y")
    check_equal(sorted_lines(domain.XMLDesc(WHOLE)), sorted_lines(before), "what is left")
    domain.undefine()
    own = ("<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-chardev'/>"
           "<qemu:arg value='null,id=memarb'/></qemu:commandline>")
    domain = bare(host, "moving", end=own)
    before = domain.XMLDesc(WHOLE)
    check("--no-monitor" in host.run("enable", "moving", "-y", expect=REFUSED), "what stands in the way")
    check_equal(domain.XMLDesc(WHOLE), before, "what was written")
    host.run("enable", "moving", "-y", "--no-monitor")
    domain.undefine()


def channels(domain):
    return domain.XMLDesc().count(f"name='{CHANNEL}'")


def test_live_parts_come_and_go_in_the_running_guest(host):
    domain = bare(host, "alive", "pc", "<controller type='virtio-serial' index='0'/>")
    domain.create()
    text = host.run("enable", "alive", "--live", "-y")
    check("live: + the channel" in text and "shut it down and start it" in text, text)
    check_equal(channels(domain), 1, "channels of the running guest")
    check("<stats period='5'/>" in domain.XMLDesc(), "the running guest's period")
    host.run("disable", "alive", "--live", "-y")
    check_equal(channels(domain), 0, "channels afterwards")
    check("<stats period=" not in domain.XMLDesc(), "the period afterwards")
    check_equal(host.metadata(LIVE, "alive", "urn:memarb:enabled:1"), None, "the note")
    domain.destroy()
    domain.undefine()
    check("--live" in host.run("enable", "other", "-y", expect=REFUSED), "a transient domain")
    # It has the controller of its test channel.
    host.run("enable", "other", "--live", "-y")
    check_equal(channels(host.virt.conn.lookupByName("other")), 1, "channels of a transient domain")
    host.run("disable", "other", "--live", "-y")


def listening(pid):
    """Paths of the Unix sockets that the process listens on."""
    inodes = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{name}")
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    with open(f"/proc/{pid}/net/unix", encoding="ascii") as text:
        rows = [line.split() for line in text.readlines()[1:]]
    return [row[7] for row in rows if row[6] in inodes and row[3] == "00010000" and len(row) > 7]


def test_an_enabled_guests_monitor_is_reached_by_nobody_else(host):
    domain = bare(host, "fast")
    host.run("enable", "fast", "-y")
    domain.create()
    pid = host.virt.qemu_pid("fast")
    def dialled():
        return sorted(host.arbiter.guests().get("fast", {}).get("sources", [])) == ["libvirt", "qmp"]

    wait_for(dialled, 90, "the guest to dial in")
    # libvirt's own monitor and the agent's channel are all that listens: ours has no address to connect to.
    strange = [path for path in listening(pid) if not path.startswith(f"{host.virt.dir}/")
               and not path.startswith("/var/lib/libvirt/")]
    check_equal(strange, [], "sockets that the guest listens on")
    check_equal(host.arbiter.guest("fast")["pid"], pid, "its process")
    # Another process of the same user, which has claimed to be this guest all the time: it is a guest of its own at most.
    said = host.impostor.log_text
    wait_for(lambda: said().count("query-status") > 1 or not host.impostor.alive(), 60, "memarbd to look at the impostor")
    check_equal(set(said().split()) - READING, set(), "what the impostor was asked to do")
    guest = host.arbiter.guest("fast")
    check_equal((guest["pid"], guest["actual_bytes"], guest["state"] == "paused"), (pid, 64 << 20, False),
                "the guest beside the impostor, which says 1 MiB and paused")
    domain.destroy()
    domain.undefine()


def main():
    if os.geteuid() != 0:
        skip_all("needs root for a private libvirtd")
    with Lab() as lab:
        run_tests([value for name, value in globals().items() if name.startswith("test_")], Host(lab))


main()
