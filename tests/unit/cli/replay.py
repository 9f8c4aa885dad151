#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""replay.py MEMARBCTL SOURCE - memarbctl replay on a record of the real daemon, whole and mangled."""
import json
import os
import subprocess
import sys
import tempfile

PROGRAM, SOURCE = sys.argv[1:3]
del sys.argv[1:3]
sys.path.insert(0, os.path.join(SOURCE, "tests", "support"))
from taptest import check, check_equal, run_tests  # noqa: E402  pylint: disable=wrong-import-position

RECORD = os.path.join(SOURCE, "tests", "data", "record", "shutdown-ignored.jsonl")
OK, ERROR, USAGE = range(3)
with open(RECORD, encoding="utf-8") as record:
    LINES = record.read().splitlines()
CYCLES = sum('"snapshot"' in line for line in LINES)


def run(*arguments, text=None, expect=OK):
    with tempfile.TemporaryDirectory() as folder:
        path = RECORD
        if text is not None:
            path = os.path.join(folder, "record.jsonl")
            with open(path, "wb") as out:
                out.write(text if isinstance(text, bytes) else text.encode())
        done = subprocess.run([PROGRAM, "replay", path, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False, timeout=60)
    check_equal(done.returncode, expect, f"exit status ({done.stderr.decode(errors='replace')[-300:]})")
    return done.stdout.decode(), done.stderr.decode(errors="replace")


def counts(*arguments, **options):
    return json.loads(run("--json", *arguments, **options)[0])


def joined(lines):
    return "\n".join(lines) + "\n"


def test_record_of_the_daemon_is_identical():
    answer = counts()
    check_equal((answer["cycles"], answer["identical"], answer["broken"]), (CYCLES, CYCLES, 0), "cycles")
    check(answer["outcomes"] > 0, "outcomes are counted")
    check("identical to the byte" in run()[0], "the text says so")


def test_what_was_given_back_is_identical():
    path = os.path.join(os.path.dirname(RECORD), "balloon-then-kill.jsonl")
    with open(path, encoding="utf-8") as text:
        lines = text.read().splitlines()
    releases = [line for line in lines if '"policy":"release"' in line]
    check(len(releases) > 1, "the record has some")
    answer = counts(text=joined(lines[:1] + releases))
    check_equal((answer["cycles"], answer["identical"], answer["broken"]), (len(releases), len(releases), 0), "cycles")
    worse = [line.replace('"reason":"give-back"', '"reason":"idle-memory"') for line in releases]
    check_equal(counts(text=joined(lines[:1] + worse), expect=ERROR)["identical"], 0, "identical, changed")


def test_from_standard_input():
    with open(RECORD, "rb") as text:
        done = subprocess.run([PROGRAM, "replay", "-"], stdin=text, stdout=subprocess.PIPE, check=False, timeout=60)
    check_equal(done.returncode, OK, "exit status")


def test_changed_plan_is_found():
    lines = list(LINES)
    at = max(i for i, line in enumerate(lines) if '"snapshot"' in line)
    lines[at] = lines[at].replace('"policy":"balanced","state"', '"policy":"balancer","state"')
    answer = counts(text=joined(lines), expect=ERROR)
    check_equal(answer["identical"], CYCLES - 1, "identical")
    check_equal(answer["first_difference"]["line"], at + 1, "line of the difference")
    check(f":{at + 1}: seq" in run(text=joined(lines), expect=ERROR)[0], "and named in the text")


def test_changed_figure_is_found():
    lines = list(LINES)
    lines[2] = lines[2].replace('"available_bytes":', '"available_bytes":1', 1)
    check(run(text=joined(lines), expect=ERROR), "a difference or a broken line")


def test_broken_lines_are_named_and_left_out():
    for bad in ("{", "[]", "{}", '{"seq":1}', "null", '{"seq":1,"snapshot":{}}', LINES[2][:-1], LINES[2][: len(LINES[2]) // 2],
                "x" * 100000, '{"record":2}'):
        lines = LINES[:3] + [bad] + LINES[3:]
        out, err = run(text=joined(lines), expect=ERROR)
        check(":4: " in err and "left out" in err, f"line 4 is named for {bad[:40]!r}: {err[-200:]}")
        check(f"{CYCLES} cycles, {CYCLES} of them identical" in out, f"the others are decided: {out}")


def test_no_utf8_and_no_newline_at_the_end():
    run(text=joined(LINES).encode() + b"\xff\xfe\x00\n", expect=ERROR)
    answer = counts(text="\n".join(LINES))
    check_equal(answer["identical"], CYCLES, "identical without the last newline")
    check_equal(counts(text="\n\n" + joined(LINES))["identical"], CYCLES, "empty lines are no lines")


def test_cut_off_record():
    answer = counts(text=joined(LINES)[:-200], expect=ERROR)
    check_equal(answer["broken"], 1, "the last line")


def test_no_header_no_decision():
    answer = counts(text=joined(LINES[1:]), expect=ERROR)
    check_equal((answer["cycles"], answer["broken"]), (0, CYCLES), "cycles without settings")


def test_empty_record():
    check_equal(counts(text="")["cycles"], 0, "cycles")


def test_other_policy_is_shown_beside():
    answer = counts("--policy", "kernel-badness")
    check_equal(answer["identical"], CYCLES, "the recorded policy still decides alike")
    check_equal(answer["other"]["policy"], "kernel-badness", "policy")
    check("RECORDED" in run("--policy", "mom")[0], "a table")


def test_usage():
    for arguments in (["replay"], ["replay", RECORD, RECORD], ["replay", RECORD, "--policy", "nobody"],
                      ["replay", RECORD, "--runs", "3"]):
        done = subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              timeout=20)
        check_equal(done.returncode, USAGE, f"exit status of {arguments}")
    done = subprocess.run([PROGRAM, "replay", "/nonexistent"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False, timeout=20)
    check_equal(done.returncode, ERROR, "no such file")


run_tests([test_record_of_the_daemon_is_identical, test_what_was_given_back_is_identical, test_from_standard_input, test_changed_plan_is_found,
           test_changed_figure_is_found, test_broken_lines_are_named_and_left_out, test_no_utf8_and_no_newline_at_the_end,
           test_cut_off_record, test_no_header_no_decision, test_empty_record, test_other_policy_is_shown_beside, test_usage])
