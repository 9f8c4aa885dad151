#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every plan that `memarbctl plan` prints is valid by the contract's schema, and what it refuses ends with 1 and the place.
Arguments: plan-dump, memarbctl, the folder of the schemas."""
import json
import os
import subprocess
import sys

try:
    import jsonschema
except ImportError:
    print("1..0 # SKIP python3-jsonschema is not installed")
    sys.exit(0)


def bad_snapshots():
    """(place, snapshot) for each way in which figures can contradict themselves or wrap."""
    def altered(place, change):
        snapshot = {"version": 1, "taken_at_usec": 5, "host": {"total_bytes": 1 << 36, "available_bytes": 1 << 30},
                    "guests": [{"uuid": uuid, "name": "n", "state": "running", "resident_bytes": 1 << 30} for uuid in "ab"]}
        change(snapshot)
        return place, snapshot

    def guest(index, **figures):
        return lambda snapshot: snapshot["guests"][index].update(figures)

    def both(**figures):
        return lambda snapshot: [g.update(figures) for g in snapshot["guests"]]

    node = {"id": 0, "total_bytes": 1 << 35, "available_bytes": 0}
    yield altered("guests[0].pinned_bytes", guest(0, pinned_bytes=1 << 31))
    yield altered("guests[1].resident_bytes", both(resident_bytes=(1 << 49) + 1))
    yield altered("guests[1].swap_bytes", both(swap_bytes=(1 << 49) + 1))
    yield altered("guests[0].resident_bytes", guest(0, resident_bytes=(1 << 50) + 1))
    yield altered("guests[0].resident_bytes", guest(0, resident_bytes=-1))
    yield altered("guests[0].resident_bytes", guest(0, resident_bytes=1.5))
    yield altered("guests[0].nodes[0].id", guest(0, nodes=[{"id": 3, "resident_bytes": 5}]))
    yield altered("guests[1].uuid", guest(1, uuid="a"))
    yield altered("guests[0].config.guarantee_bytes", guest(0, config={"guarantee_bytes": 2, "limit_bytes": 1}))
    yield altered("guests[0].config.impact", guest(0, config={"impact": 0}))
    yield altered("host.available_bytes", lambda s: s["host"].update(available_bytes=1 << 37))
    yield altered("host.nodes[1].id", lambda s: s["host"].update(nodes=[node, node]))
    yield altered("settings", lambda s: s.update(settings={"soft_watermark_bytes": 1 << 30,
                                                           "hard_watermark_bytes": 1 << 31}))
    yield altered("settings", lambda s: s.update(settings={"reserve_bytes": 1 << 40}))


def one_answer_a_line(memarbctl):
    """In step, as a program does that plays the host: it would wait for ever for an answer that does not come."""
    good = {"version": 1, "taken_at_usec": 5, "host": {"total_bytes": 1 << 36, "available_bytes": 1 << 35}, "guests": []}
    lines = [json.dumps(good), "{", '{"version": 1}', "\u00e9\ud800".encode("utf-8", "surrogatepass"), json.dumps(dict(good, version=9)),
             json.dumps(dict(good, taken_at_usec=9))]
    stream = subprocess.Popen([memarbctl, "plan", "--stream"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    for number, line in enumerate(lines, 1):
        stream.stdin.write((line if isinstance(line, bytes) else line.encode()) + b"\n")
        stream.stdin.flush()
        answer = json.loads(stream.stdout.readline())
        if number in (1, len(lines)):
            assert answer["version"] == 1 and answer["actions"] == [], answer
        else:
            assert answer["line"] == number and answer["error"], answer
    out, err = stream.communicate()
    assert out == b"" and stream.returncode == 1 and err.count(b"memarbctl: line ") == 4, (out, err, stream.returncode)


def main():
    dump, memarbctl, folder = sys.argv[1:]
    with open(os.path.join(folder, "plan.schema.json"), encoding="utf-8") as f:
        schema = json.load(f)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    lines = subprocess.run([dump], check=True, stdout=subprocess.PIPE).stdout.decode("utf-8").splitlines()
    seen = {"victims": 0, "certificates": 0, "deadlines": 0, "armed": 0}
    for line in lines:
        plan = json.loads(line)
        validator.validate(plan)
        seen["victims"] += any(a["action"] in ("pause", "save", "shutdown", "kill") for a in plan["actions"])
        seen["armed"] += any(a.get("armed") for a in plan["actions"])
        seen["certificates"] += "certificate" in plan
        seen["deadlines"] += any("-within-" in key for key in plan["deficits"])
    print(f"1..3\n# {len(lines)} plans: {seen}")
    assert len(lines) >= 1000 and all(seen.values()), seen
    print("ok 1 - what is planned is valid by the contract")
    for place, bad in bad_snapshots():
        run = subprocess.run([memarbctl, "plan", "--snapshot", "-"], input=json.dumps(bad).encode(), capture_output=True,
                             check=False)
        assert run.returncode == 1 and run.stdout == b"", (place, run)
        assert f"$.{place}: ".encode() in run.stderr, (place, run)
    print("ok 2 - a bad snapshot ends with 1 and its place")
    one_answer_a_line(memarbctl)
    print("ok 3 - a stream has one answer for each line, also for those that are none")


main()
