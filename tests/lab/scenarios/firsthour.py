# SPDX-License-Identifier: LGPL-2.1-or-later
"""A new operator's first hour: one command a step, from the package alone, with guests that memarb has never seen."""
import os
import subprocess

from labhost import MIB, PAIR_MIB, host_meminfo, mib, oom_kills, wait_for
from packaged import Packages

NAMES = ("shop", "batch")
EATEN_MIB = 180
# As installed, Reserve= is 5 % of the host, and balloons move below twice that.
LEFT_PERCENT = 8
REPORT = "/var/tmp/lab-report.html"


class Hour:
    """The steps: each is one command line in a shell, as docs/first-hour.md has it."""

    def __init__(self, host):
        self.host = host

    def step(self, line, good=(0,), seconds=120):
        done = subprocess.run(["bash", "-c", line], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=seconds, check=False)
        for text in done.stdout.splitlines()[:40]:
            self.host.note(f"  {text}")
        self.host.point(done.returncode in good, line if len(line) < 100 else f"{line[:96]} ...", done.returncode)
        return done.stdout


def looks(host, hour, packages):
    packages.install("memarb")
    said = hour.step("memarbctl status")
    host.point("observe" in said, "as installed it observes", said)
    wait_for(lambda: set(host.memarb.guests()) == set(NAMES), 60, "the guests")
    # 6: there are warnings. An error would keep the operator from arming.
    hour.step("memarbctl doctor", good=(0, 6))
    hour.step("memarbctl set shop impact=500 guarantee=256MiB")
    hour.step("memarbctl set batch impact=20")
    wait_for(lambda: host.memarb.guest("shop").get("impact") == "500" and host.memarb.guest("batch").get("impact") == "20", 60,
             "the marks to be seen")
    host.point(True, "the marks are seen by the daemon")
    hour.step("memarbctl guests")
    hour.step("memarbctl plan")


def is_any_smaller(domains):
    return any(domain.dom.memoryStats()["actual"] < PAIR_MIB << 10 for domain in domains)


def acts(host, hour, domains):
    host.touch(domains, EATEN_MIB)
    hour.step("memarbctl arm reclaim")
    take = (host.available() - host_meminfo()["MemTotal"] * LEFT_PERCENT // 100) // MIB
    hour.step(f"systemd-run --unit=pressure python3 -c 'import time; x = b\"x\" * ({take} << 20); time.sleep(3600)'")
    wait_for(lambda: is_any_smaller(domains), 120, "a balloon")
    host.point(True, "under pressure memory comes back from the guests")
    said = hour.step("memarbctl top --once")
    host.point(all(name in said for name in NAMES), "top shows both", said)
    said = hour.step("memarbctl explain shop")
    host.point("500" in said, "explain shows what it was marked with", said[:400])
    said = hour.step("memarbctl events")
    host.point("batch" in said or "shop" in said, "events tell who gave", said[:400])
    hour.step(f"memarbctl report --since=1h --html={REPORT}")
    with open(REPORT, encoding="utf-8") as page:
        text = page.read()
    host.point("</html>" in text and all(name in text for name in NAMES), "report writes one page with both guests", len(text))
    os.unlink(REPORT)


def ends(host, hour, domains, kills):
    hour.step("systemctl stop pressure")
    wait_for(lambda: not is_any_smaller(domains), 180, "the balloons to come back")
    host.point(True, "afterwards the guests have everything back")
    hour.step("memarbctl disarm")
    host.point(all(domain.alive() for domain in domains) and oom_kills() == kills, "both guests live, and nobody was killed")
    host.note(f"available {mib(host.available())}")


def run(host):
    host.virt_end()
    hour, kills = Hour(host), oom_kills()
    with Packages(host) as packages:
        # As most hosts' guests are: no balloon statistics, no metadata.
        domains = host.domains(NAMES, PAIR_MIB, persistent=True)
        try:
            looks(host, hour, packages)
            acts(host, hour, domains)
            ends(host, hour, domains, kills)
        finally:
            subprocess.run(["systemctl", "stop", "pressure"], stderr=subprocess.DEVNULL, check=False)
            for domain in domains:
                domain.dom.undefine()
