#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""tap-summary.py [--failures] TESTLOG.json... - counts single TAP points in meson's logs.

First line: "PASSED FAILED SKIPPED"; then a line for each failure and each skip with its reason. A program that ends
badly without saying "not ok" (a crash, a time-out, a plan not kept) counts as one failure. A test that speaks no TAP
counts as one point. With --failures: the last lines that each failed program printed, instead.
"""
import json
import re
import sys

POINT = re.compile(r"^(not )?ok\b[ \t]*([0-9]*)[ \t]*-?[ \t]*([^#]*)(?:#[ \t]*(\w+)\S*[ \t]*(.*))?$")
PLAN = re.compile(r"^1\.\.([0-9]+)(?:[ \t]*#[ \t]*(?i:skip)\S*[ \t]*(.*))?")
LINES_SHOWN = 40
GOOD, SKIPPED = ("OK", "EXPECTEDFAIL"), "SKIP"


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.notes = []

    def fail(self, text):
        self.failed += 1
        self.notes.append(f"FAILED {text}")

    def skip(self, text):
        self.skipped += 1
        self.notes.append(f"skipped {text}")


def add_point(count, name, match):
    bad, _, text, directive, reason = match.groups()
    where = f"{name}: {text.strip()}"
    if directive and directive.lower() == "skip":
        count.skip(f"{where}: {reason or 'no reason given'}")
    elif bad and not (directive and directive.lower() == "todo"):
        count.fail(where)
    else:
        count.passed += 1


def add_test(count, test):
    name = test["name"].split(" / ")[-1]
    before = count.failed
    points, planned = 0, None
    for line in (test.get("stdout") or "").splitlines():
        plan = PLAN.match(line)
        if plan:
            planned = int(plan.group(1))
            if planned == 0:
                count.skip(f"{name}: {plan.group(2) or 'no reason given'}")
        point = POINT.match(line)
        if point:
            points += 1
            add_point(count, name, point)
    if test["result"] not in GOOD and test["result"] != SKIPPED:
        if count.failed == before:
            count.fail(f"{name}: {test['result'].lower()}, status {test.get('returncode')} after {points} points")
    elif planned is None and points == 0:
        if test["result"] == SKIPPED:
            count.skip(f"{name}: {(test.get('stdout') or '').strip()[-200:] or 'no reason given'}")
        else:
            count.passed += 1


def tests_in(paths):
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as log:
            for line in log:
                yield json.loads(line)


def show_failures(paths):
    for test in tests_in(paths):
        if test["result"] not in GOOD and test["result"] != SKIPPED:
            print(f"==== {test['name']}: {test['result'].lower()} after {test['duration']:.1f} s")
            text = (test.get("stdout") or "") + (test.get("stderr") or "")
            print("\n".join(text.splitlines()[-LINES_SHOWN:]))


def main():
    if sys.argv[1:2] == ["--failures"]:
        show_failures(sys.argv[2:])
        return
    count = Count()
    for test in tests_in(sys.argv[1:]):
        add_test(count, test)
    print(count.passed, count.failed, count.skipped)
    for note in count.notes:
        print(note)


main()
