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
    print(f"1..2\n# {len(lines)} plans: {seen}")
    assert len(lines) >= 1000 and all(seen.values()), seen
    print("ok 1 - what is planned is valid by the contract")
    bad = ('{"version":1,"taken_at_usec":5,"host":{"total_bytes":100,"available_bytes":1},"guests":'
           '[{"uuid":"a","name":"n","state":"running","resident_bytes":1,"pinned_bytes":2}]}')
    run = subprocess.run([memarbctl, "plan", "--snapshot", "-"], input=bad.encode(), capture_output=True, check=False)
    assert run.returncode == 1 and run.stdout == b"", run
    assert b"$.guests[0].pinned_bytes: exceeds" in run.stderr, run
    print("ok 2 - a bad snapshot ends with 1 and its place")


main()
