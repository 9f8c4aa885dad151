# SPDX-License-Identifier: LGPL-2.1-or-later
"""virthost.py - a private libvirtd and domains of tiny guests on it. Needs Debian's python3-libvirt.

    virt = lab.libvirtd()
    domain = virt.domain("d1", mib=192, metadata='<memarb:guest xmlns:memarb="urn:memarb:guest:1" impact="never"/>')
    domain.wait_up().agent("eat 40")
    domain.dom.setMemoryFlags(...)              # python-libvirt's virDomain
"""
import os
import subprocess
import uuid

import libvirt

from tinyguest import (BOOT_SECONDS, KERNEL_ARGS, SUPPORT, Agent, console_up, proc_memory, wait_for)
from reaper import start_ticks

SCRIPT = os.path.join(SUPPORT, "private-libvirtd.sh")


def quiet_errors():
    """libvirt prints every error to stderr by default; tests see the exceptions."""
    libvirt.registerErrorHandler(lambda *_: None, None)


def domain_xml(name, mib, image, folder, *, accel="tcg", guest_uuid=None, title=None, metadata="", balloon=True,
               autodeflate=False, free_page_reporting=False, stats_period=0, locked=False, dial=None, acpi_off=True,
               kernel="vmlinux", append="", devices="", extra_args=(), before_devices=""):
    """A domain definition. metadata, devices, before_devices: XML put in as it is; extra_args: more of QEMU's arguments;
    dial: path of a listener that QEMU dials in to with a monitor of its own. Console and agent sockets lie in folder."""
    guest_uuid = guest_uuid or str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.memarb.test"))
    args = list(extra_args)
    if dial:
        args += ["-chardev", f"socket,id=arbiter,path={dial},server=off,reconnect=1",
                 "-mon", "chardev=arbiter,mode=control"]
    commandline = "".join(f"<qemu:arg value='{arg}'/>" for arg in args)
    onoff = {True: "on", False: "off"}
    memballoon = "<memballoon model='none'/>"
    if balloon:
        memballoon = (f"<memballoon model='virtio' autodeflate='{onoff[autodeflate]}'"
                      f" freePageReporting='{onoff[free_page_reporting]}'>"
                      + (f"<stats period='{stats_period}'/>" if stats_period else "") + "</memballoon>")
    tcg = accel != "kvm"
    append = f"{KERNEL_ARGS} {'' if acpi_off else 'noacpioff'} {append}"
    return f"""<domain type='{'qemu' if tcg else 'kvm'}' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
 <name>{name}</name><uuid>{guest_uuid}</uuid>{f'<title>{title}</title>' if title else ''}
 <metadata>{metadata}</metadata>
 <memory unit='MiB'>{mib}</memory><currentMemory unit='MiB'>{mib}</currentMemory>
 {"<memoryBacking><locked/></memoryBacking>" if locked else ""}<vcpu>1</vcpu>
 <os><type arch='x86_64' machine='pc'>hvm</type><kernel>{image}/{kernel}</kernel><initrd>{image}/initrd.gz</initrd>
  <cmdline>{append}</cmdline></os>
 <features><acpi/><apic/><vmport state='off'/>{"<tcg><tb-cache unit='MiB'>16</tb-cache></tcg>" if tcg else ""}</features>
 <cpu mode='{'maximum' if tcg else 'host-passthrough'}'/>
 <on_poweroff>destroy</on_poweroff><on_reboot>destroy</on_reboot><on_crash>destroy</on_crash>
 {before_devices}
 <devices><controller type='usb' model='none'/><controller type='virtio-serial' index='0'/>
  {memballoon}
  <channel type='unix'><source mode='bind' path='{folder}/{name}.agent'/><target type='virtio' name='test.0'/></channel>
  <serial type='file'><source path='{folder}/{name}.console'/></serial>
  {devices}</devices>
 {f"<qemu:commandline>{commandline}</qemu:commandline>" if commandline else ""}
</domain>"""


class Domain:
    """A running domain: .dom (virDomain), .pid of its QEMU, .agent after wait_up()."""

    def __init__(self, virt, name, xml, persistent=True):
        self.virt, self.name, self.agent = virt, name, None
        self.console, self.agent_path = f"{virt.guests}/{name}.console", f"{virt.guests}/{name}.agent"
        if os.path.exists(self.console):
            os.unlink(self.console)
        if persistent:
            self.dom = virt.conn.defineXML(xml)
            self.dom.create()
        else:
            self.dom = virt.conn.createXML(xml)
        self.uuid = self.dom.UUIDString()
        self.pid = virt.qemu_pid(name)
        self.start = start_ticks(self.pid)
        virt.lab.on_end({"kill": self.pid, "start": self.start})

    def alive(self):
        return start_ticks(self.pid) == self.start

    def up(self):
        if not self.alive():
            raise RuntimeError(f"domain {self.name} ended: {self.virt.qemu_log(self.name)[-1500:]}")
        return console_up(self.console)

    def wait_up(self, seconds=BOOT_SECONDS):
        wait_for(self.up, seconds, f"boot of domain {self.name}")
        if self.agent is None:
            self.agent = Agent(self.agent_path)
        return self

    def wait_exit(self, seconds=30):
        wait_for(lambda: not self.alive(), seconds, f"end of domain {self.name}")

    def state(self):
        """One of libvirt.VIR_DOMAIN_*, and the reason's number."""
        return tuple(self.dom.state())

    def memory(self):
        return proc_memory(self.pid)


class Libvirtd:
    """.uri for memarbd's configuration, .conn (virConnect) for the test, .guests (folder of consoles and sockets)."""

    def __init__(self, lab):
        quiet_errors()
        self.lab, self.dir, self.guests = lab, lab.path("v"), lab.path("g")
        lab.on_end({"run": [SCRIPT, self.dir, "stop"]})
        self.uri = self._script("start")
        self.conn = libvirt.open(self.uri)

    def _script(self, command, **env):
        done = subprocess.run([SCRIPT, self.dir, command], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              env={**os.environ, **env}, text=True)
        return done.stdout.strip()

    def restart(self, signal_name="TERM"):
        """Ends libvirtd alone (TERM or KILL) and starts it again; .conn is new, virDomain objects of before are not."""
        self._script("restart", SIGNAL=signal_name)
        self.conn = libvirt.open(self.uri)

    def qemu_pid(self, name):
        with open(f"{self.dir}/run/libvirt/qemu/{name}.pid", encoding="ascii") as text:
            return int(text.read())

    def pid(self):
        with open(f"{self.dir}/pid", encoding="ascii") as text:
            return int(text.read())

    def qemu_log(self, name):
        try:
            with open(f"{self.dir}/log/qemu/{name}.log", encoding="utf-8", errors="replace") as text:
                return text.read()
        except OSError:
            return ""

    def xml(self, name, mib=128, **options):
        options.setdefault("accel", "kvm" if self.lab.accel() == "kvm" else "tcg")
        return domain_xml(name, mib, self.lab.image(), self.guests, **options)

    def domain(self, name, mib=128, persistent=True, **options):
        """Defines and starts a domain; the options are those of domain_xml()."""
        return Domain(self, name, self.xml(name, mib, **options), persistent)
