#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""units.py - systemd's verdict on the units' sandboxes, and that docs/hardening.md explains each exposure that is left."""
import json
import os
import re
import shutil
import subprocess
import tempfile

from tree import Skip, report, text_of

UNITS = {"memarbd.service": "arbiter/data/memarbd.service", "memarb-release.service": "arbiter/data/memarb-release.service",
         "memarb-guest-agent.service": "guest-agent/data/memarb-guest-agent.service.in"}
# Ten times systemd's figure.
THRESHOLD = 25
SYSTEMD = "252"


def analyze(folder, *arguments):
    return subprocess.run(["systemd-analyze", *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, timeout=60)


def need_systemd():
    if shutil.which("systemd-analyze") is None:
        raise Skip("systemd-analyze is not installed")
    version = analyze("/", "--version").stdout.split()[1]
    if version != SYSTEMD:
        raise Skip(f"systemd {SYSTEMD} decides, not {version}")


def write_unit(folder, unit):
    path = os.path.join(folder, unit)
    with open(path, "w", encoding="utf-8") as text:
        text.write(re.sub(r"@s?bindir@/[\w-]+", "/bin/true", text_of(UNITS[unit])))
    return path


def verified(unit):
    need_systemd()
    with tempfile.TemporaryDirectory() as folder:
        # The one names the other.
        paths = [write_unit(folder, name) for name in UNITS]
        said = analyze(folder, "verify", "--man=no", paths[list(UNITS).index(unit)]).stdout
    return [line for line in said.splitlines() if unit in line]


def words_of(name):
    """What the page has to say of an entry: "SystemCallFilter=~@privileged" is explained by "@privileged"."""
    for pattern in (r"(@[a-z-]+)", r"(CAP_)\(?([A-Z_]+)", r"(AF_UNIX)", r"^(\w+=)"):
        found = re.search(pattern, name)
        if found:
            return "".join(found.groups())
    return name


def exposures(unit):
    need_systemd()
    with tempfile.TemporaryDirectory() as folder:
        path = write_unit(folder, unit)
        done = analyze(folder, "security", "--offline=yes", f"--threshold={THRESHOLD}", path)
        found = analyze(folder, "security", "--offline=yes", "--json=short", path)
    complaints = [done.stdout.strip().splitlines()[-1]] if done.returncode != 0 else []
    page = text_of("docs/hardening.md")
    part = page.partition("## The guest agent")[2] if "agent" in unit else page.partition("## The guest agent")[0]
    left = [entry["name"] for entry in json.loads(found.stdout) if float(entry.get("exposure") or 0) > 0]
    if not left:
        complaints.append("systemd-analyze lists no exposure at all")
    return complaints + [f"{unit}: {name} is not in docs/hardening.md" for name in left if words_of(name) not in part]


report([(f"{unit}: systemd-analyze verify", lambda unit=unit: verified(unit)) for unit in UNITS]
       + [(f"{unit}: exposure small and explained", lambda unit=unit: exposures(unit)) for unit in UNITS])
