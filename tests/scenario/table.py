#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""table.py MEMARBCTL FIRST-SEED RUNS [--defaults] - every shipped scenario under every policy, as a Markdown table.

Seeds: 20268 on are for tuning; docs/adr names those that are held out. --defaults: without the scenarios' [Policy]."""
import json
import os
import re
import subprocess
import sys
import tempfile

PROGRAM, SEED, RUNS = sys.argv[1:4]
IS_DEFAULT = "--defaults" in sys.argv[4:]
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "scenarios")
NAMES = "mix-1.3 mix-1.6 mix-2.0 mix-2.4 bomb bomb-busy boot-storm ha-restart leak liars two-nodes".split()
POLICIES = "balanced esx squeezed mom proxmox systemd-oomd kernel-badness none".split()


def text_of(name):
    with open(os.path.join(FOLDER, f"{name}.scenario"), encoding="utf-8") as file:
        text = file.read()
    return re.sub(r"\[Policy\]\n(?:[^\[]*\n)*?(?=\[)", "", text) if IS_DEFAULT else text


def cell(result):
    runs = int(RUNS)
    hours = result["guest_time_usec"] / 3600e6
    return (f"{result['host_oom_kills'] / runs:.1f}/{result['impact_lost_micropoints'] / runs / 1e6:.1f}/"
            f"{result['innocents'] / runs:.1f}/{result['guest_ooms'] / runs:.1f}/"
            f"{result['weighted_stall_usec'] / runs / 1e6:.0f}/{result['reversals'] / hours:.1f}")


print("| scenario |", " | ".join(POLICIES), "|")
print("|---" * (len(POLICIES) + 1) + "|")
for scenario in NAMES:
    with tempfile.NamedTemporaryFile("w", suffix=".scenario", encoding="utf-8") as copy:
        copy.write(text_of(scenario))
        copy.flush()
        out = json.loads(subprocess.run([PROGRAM, "simulate", copy.name, "--json", f"--seed={SEED}", f"--runs={RUNS}",
                                         f"--policy={','.join(POLICIES)}"], stdout=subprocess.PIPE, check=True).stdout)
    cells = {result["policy"]: cell(result) for result in out["policies"]}
    print(f"| {scenario} |", " | ".join(cells[policy] for policy in POLICIES), "|", flush=True)
