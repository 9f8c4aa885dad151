#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The planner's kernel against another solver: GLPK's glpsol on problems of up to 100 guests and 8 rows.

usage: cover-glpk.py PATH-OF-cover-dump      (TAP; skipped where glpsol is missing)

Our plans are checked in integers to cover at the cost they state, so a dearer optimum of glpsol's is its own rounding
(it happens where costs span 2^30). What it may never do is beat a proven plan of ours, or go below our lower bound.
MEMARB_PROPERTY_RUNS (24) and MEMARB_PROPERTY_SEED (1) change how many and which.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

SECONDS_EACH = "5"
# glpsol works in floating point and stops within 1e-7 of the optimum; our answers are checked in integers.
TOLERANCE = 1e-6


def glpk_answer(glpsol, path):
    """(status, objective) of one problem, as written by glpsol."""
    out = path + ".sol"
    subprocess.run([glpsol, "--lp", path, "--tmlim", SECONDS_EACH, "--cuts", "-o", out],
                   stdout=subprocess.DEVNULL, check=False)
    if not os.path.exists(out):
        return "no answer", None
    with open(out, encoding="ascii") as text:
        answer = text.read()
    status = re.search(r"^Status: +(.*)$", answer, re.M).group(1).strip()
    objective = re.search(r"^Objective: .*= *([-+0-9.e]+)", answer, re.M).group(1)
    return status, round(float(objective))


def disagreement(ours, status, theirs):
    """What is wrong, or None. ours: cost, lower bound, proven."""
    cost, lower, proven = ours
    margin = TOLERANCE * cost
    if status in ("INTEGER OPTIMAL", "INTEGER NON-OPTIMAL"):
        if proven and theirs < cost - margin:
            return f"we say {cost} is the least, glpsol found {theirs}"
        if theirs < lower - margin:
            return f"glpsol's {theirs} is below our bound {lower}"
    elif status in ("INTEGER EMPTY", "INTEGER INFEASIBLE"):
        return "glpsol says nothing covers"
    elif status == "no answer":
        return "glpsol could not read the problem"
    return None


def main():
    glpsol = shutil.which("glpsol")
    if glpsol is None:
        print("1..0 # SKIP glpsol (GLPK) is not installed")
        return 0
    runs = os.environ.get("MEMARB_PROPERTY_RUNS", "24")
    seed = os.environ.get("MEMARB_PROPERTY_SEED", "1")
    wrong = 0
    unproven = 0
    equal = 0
    print(f"1..1\n# seed {seed}, {runs} problems")
    with tempfile.TemporaryDirectory() as folder:
        lines = subprocess.run([sys.argv[1], folder, runs, seed], check=True, capture_output=True,
                               text=True).stdout.splitlines()
        for line in lines:
            name, cost, lower, proven = line.split()
            status, theirs = glpk_answer(glpsol, os.path.join(folder, name + ".lp"))
            unproven += status != "INTEGER OPTIMAL"
            equal += theirs == int(cost)
            what = disagreement((int(cost), int(lower), proven == "1"), status, theirs)
            if what is not None:
                wrong += 1
                print(f"# {name}: {what}")
    print(f"# {len(lines)} problems, {equal} equal, {unproven} not proven by glpsol, {wrong} disagreements")
    print(("ok" if wrong == 0 and lines else "not ok") + " 1 - glpsol agrees")
    return 0 if wrong == 0 and lines else 1


if __name__ == "__main__":
    sys.exit(main())
