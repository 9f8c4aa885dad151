#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""simulate.py MEMARBCTL SOURCE - the shipped scenarios, one run each; MEMARB_SIM_RUNS=10 runs each so often and compares
with every reference policy."""
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

PROGRAM, SOURCE = sys.argv[1:3]
del sys.argv[1:3]
sys.path.insert(0, os.path.join(SOURCE, "tests", "support"))
from taptest import Skip, check, check_equal, run_tests  # noqa: E402  pylint: disable=wrong-import-position

FOLDER = os.path.join(SOURCE, "examples", "scenarios")
OK, ERROR, USAGE = range(3)
RUNS = os.environ.get("MEMARB_SIM_RUNS")
REFERENCES = "kernel-badness systemd-oomd mom proxmox squeezed esx".split()
# Where the working sets fit, nobody is lost but a bomb.
FITS = "mix-1.3 mix-1.6 bomb bomb-busy boot-storm leak liars two-nodes".split()
SMALL = """[Scenario]
Duration=5min
[Host]
Memory=32GiB
Swap=4GiB
[Guests calm]
Count=10
Memory=4GiB
Base=20%
Peak=40%
Spread=1min
[Guests bomb]
Demand=bomb
Count=1
Memory=16GiB
Peak=100%
Rate=300MiB
Start=2min
"""


def call(*arguments, expect=OK):
    done = subprocess.run([PROGRAM, "simulate", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, timeout=1000)
    check_equal(done.returncode, expect, f"exit status ({done.stderr[-300:]})")
    return done.stdout if expect == OK else done.stderr


def shipped(name):
    return os.path.join(FOLDER, f"{name}.scenario")


def simulate(path, *policies, runs=1, options=()):
    out = json.loads(call(path, "--json", f"--runs={runs}", f"--policy={','.join(policies)}", *options))
    return {result["policy"]: result for result in out["policies"]}


def written(text):
    file = tempfile.NamedTemporaryFile("w", suffix=".scenario", encoding="utf-8")  # pylint: disable=consider-using-with
    file.write(text)
    file.flush()
    return file


def test_nobody_is_lost_where_it_fits():
    for name in FITS:
        result = simulate(shipped(name), "balanced")["balanced"]
        check_equal((result["host_oom_kills"], result["innocents"], result["policy_errors"]), (0, 0, 0), name)


def test_unattended_hosts_kill():
    """Otherwise the test above says nothing."""
    for name in FITS + ["mix-2.0"]:
        check(simulate(shipped(name), "none")["none"]["host_oom_kills"] > 0, f"{name} without memarb")


def test_nobody_is_a_victim_twice():
    check_equal(simulate(shipped("ha-restart"), "balanced")["balanced"]["repeated_victims"], 0, "ha-restart")


def test_overcommitted_beyond_what_fits():
    for name in ("mix-2.0", "mix-2.4"):
        results = simulate(shipped(name), "balanced", "none")
        for key in ("host_oom_kills", "impact_lost_micropoints"):
            check(results["balanced"][key] < results["none"][key] / 2, f"{name}: {key} less than half of none's")


def test_same_seed_same_figures():
    with written(SMALL) as file:
        one, same = (simulate(file.name, "balanced", "mom", runs=2) for _ in range(2))
        check_equal(one, same, "the second time")
        other = simulate(file.name, "balanced", options=["--seed=99"])
        check(other["balanced"] != one["balanced"], "another seed is another run")


def test_table_names_every_policy():
    with written(SMALL) as file:
        out = call(file.name, f"--policy=none,balanced,{','.join(REFERENCES)}")
    for name in ["none", "balanced", *REFERENCES]:
        check(any(line.split()[:1] == [name] for line in out.splitlines()), f"{name} in the table")


def test_picture_is_an_svg():
    with written(SMALL) as file, tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.svg")
        call(file.name, "--policy=balanced,none", f"--svg={path}")
        root = xml.etree.ElementTree.parse(path).getroot()
        texts = [node.text or "" for node in root.iter("{http://www.w3.org/2000/svg}text")]
        for word in ("policy balanced", "policy none", "available host memory", "soft", "kernel's kill"):
            check(any(word in text for text in texts), f"{word!r} is written in the picture")
        check(len(list(root.iter("{http://www.w3.org/2000/svg}polygon"))) >= 22, "a layer for each guest")
        call(file.name, file.name, f"--svg={path}", expect=USAGE)
        call(file.name, "--svg=/nonexistent/run.svg", expect=ERROR)


def test_bad_scenarios_are_named_by_line():
    for bad in ("[Hosts]\nMemory=1GiB\n", "[Host]\nMemory=32\n", "[Host]\nMemory=-1GiB\n", "[Host]\nColour=red\n",
                "[Host]\nMemory=99999TiB\n", "[Guests x]\nDemand=hunger\n", "[Guests x]\nDriver=drunk\n",
                "[Guests x]\nMemory=\n", "[Guests x]\nMemory=1GiB 1\n", "[Guests x]\nImpact=0\n", "[Guests x]\nShares=0\n",
                "[Guests ]\nCount=1\n", "[Scenario]\nDuration=1000h\n", "[Guests x]\nNode=9\n", "[Host]\nNodes=9\n",
                "no key\n", "[Guests x]\nBase=101%\n"):
        with written(SMALL + bad) as file:
            check(f"{file.name}:{SMALL.count(chr(10)) + bad.count(chr(10))}: " in call(file.name, expect=ERROR), bad)


def test_contradictions():
    for bad in ("[Guests x]\nBase=50%\nPeak=20%\n", "[Guests x]\nNode=1\n", "[Guests x]\nRate=0B\n", "[Guests x]\nPeriod=0s\n",
                "[Host]\nDeadDrivers=60%\nSlowDrivers=60%\n", "[Policy]\nReserve=40GiB\n", "[Guests x]\nCount=2040\n",
                "[Host]\nNodes=0\n"):
        with written(SMALL + bad) as file:
            call(file.name, expect=ERROR)
    for text in ("", "[Host]\nMemory=32GiB\n", "[Guests x]\nCount=1\n", "[Host]\nMemory=32GiB\n[Guests x]\nCount=0\n",
                 "[Host]\nMemory=512MiB\n[Guests x]\nCount=1\n"):
        with written(text) as file:
            call(file.name, expect=ERROR)


def test_usage():
    with written(SMALL) as file:
        for arguments in ([], [file.name, "--policy=nobody"], [file.name, "--runs=0"], [file.name, "--runs=many"],
                          [file.name, "--seed=-1"], [file.name, "--what"]):
            call(*arguments, expect=USAGE)
        call("/nonexistent", expect=ERROR)
        call(FOLDER, expect=ERROR)


def test_against_the_references():
    if not RUNS:
        raise Skip("MEMARB_SIM_RUNS is not set")
    for name in sorted(file[:-len(".scenario")] for file in os.listdir(FOLDER) if file.endswith(".scenario")):
        results = simulate(shipped(name), "balanced", "none", *REFERENCES, runs=int(RUNS))
        ours = results["balanced"]
        for policy, theirs in results.items():
            check(ours["host_oom_kills"] <= theirs["host_oom_kills"] or policy in ("kernel-badness", "systemd-oomd"),
                  f"{name}: host OOM kills of {policy}")
        check_equal(ours["policy_errors"], 0, f"{name}: errors")


run_tests([test_nobody_is_lost_where_it_fits, test_unattended_hosts_kill, test_nobody_is_a_victim_twice,
           test_overcommitted_beyond_what_fits, test_same_seed_same_figures, test_table_names_every_policy,
           test_picture_is_an_svg, test_bad_scenarios_are_named_by_line, test_contradictions, test_usage,
           test_against_the_references])
