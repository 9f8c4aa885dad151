#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything that the writer writes is valid by the contract's schemas. Arguments: the dump program, the folder of
the schemas."""
import json
import os
import subprocess
import sys

try:
    import jsonschema
except ImportError:
    print("1..0 # SKIP python3-jsonschema is not installed")
    sys.exit(77)


def no_duplicates(pairs):
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"duplicate keys in {keys}"
    return dict(pairs)


def validator(folder, kind):
    with open(os.path.join(folder, kind + ".schema.json"), encoding="utf-8") as f:
        schema = json.load(f)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def main():
    dump, folder = sys.argv[1:]
    validators = {kind: validator(folder, kind) for kind in ("snapshot", "plan", "record")}
    lines = subprocess.run([dump], check=True, stdout=subprocess.PIPE).stdout.decode("utf-8").splitlines()
    counts = dict.fromkeys(validators, 0)
    for line in lines:
        kind, text = line.split(" ", 1)
        document = json.loads(text, object_pairs_hook=no_duplicates)
        assert json.dumps(document, separators=(",", ":"), ensure_ascii=False) == text, "not compact: " + text[:200]
        validators[kind].validate(document)
        if kind == "record" and "snapshot" in document:
            validators["snapshot"].validate(document["snapshot"])
            validators["plan"].validate(document["plan"])
        counts[kind] += 1
    print(f"1..1\n# {counts}")
    assert all(count >= 60 for count in counts.values()), counts
    print("ok 1 - what is written is valid by the contract")


main()
