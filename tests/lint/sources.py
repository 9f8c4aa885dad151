#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""sources.py - rules on the text of the sources that no compiler checks."""
import re

from tree import c_files, matches, report, text_of, tracked

PURE = ("arbiter/base", "arbiter/core", "arbiter/ports", "policies")
NO_IO = ("arbiter/core", "arbiter/ports", "policies")
BANNED = r"\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atoll|atof|strtok|system|popen|alloca|tmpnam|mktemp)\s*\("
CODE = (".c", ".h", ".py", ".sh")
SPDX = "SPDX-License-Identifier: LGPL-2.1-or-later"
# Where people and build services keep their trees; none of these belongs into a file of the project.
HOMES = r"(?<![\w.$}/>-])/(?:home|root|Users|work|workspace|builds?|github|jenkins)/[\w.-]+"
# The core's whole input in one place, field by field with its meaning: cut up, a reader would have to join it again.
LONG = {"arbiter/core/model/snapshot.h": 350, "arbiter/daemon/daemon.h": 200}
# What a folder shares with itself alone.
INTERNAL_LINES_MAX = 300
LINES_MAX = {".c": 600, ".py": 600, ".sh": 600, ".h": 150}


def no_float():
    return matches(r"\b(float|double|long\s+double)\b", c_files(*PURE))


def no_io_headers():
    return matches(r"#\s*include\s*<(stdio|fcntl|time|unistd|pthread|signal|sys/(?!types)[\w/]+)\.h>", c_files(*NO_IO))


def no_banned_calls():
    return matches(BANNED, c_files())


def lengths():
    complaints = []
    for path in tracked():
        limit = LONG.get(path) or LINES_MAX.get("." + path.rpartition(".")[2])
        if path.endswith("internal.h"):
            limit = INTERNAL_LINES_MAX
        # A header of the tests holds code, as tap.h does.
        if path.startswith("tests/") and path.endswith(".h"):
            limit = LINES_MAX[".c"]
        if limit is None or "/corpus/" in path or path.startswith("tests/data/"):
            continue
        lines = (text_of(path) or "").count("\n")
        if lines > limit:
            complaints.append(f"{path}: {lines} lines, more than {limit}")
    return complaints


def licence_lines():
    complaints = []
    for path in tracked():
        if path.endswith(CODE) and "/corpus/" not in path:
            head = (text_of(path) or "").split("\n", 3)[:3]
            if not any(SPDX in line for line in head):
                complaints.append(f"{path}: no {SPDX} in its first three lines")
    return complaints


def pragma_once():
    return [path for path in c_files(kinds=(".h",)) if not re.search(r"^#pragma once$", text_of(path), re.M)]


def no_build_machine_paths():
    return matches(HOMES, tracked(), text_of)


def no_open_ends():
    return matches(r"\b(TODO|FIXME|XXX)\b", [path for path in c_files() + tracked() if path.endswith(CODE)
                                             and not path.startswith("tests/lint/")], text_of)


report([("no float in base, core, ports, policies", no_float),
        ("no I/O header in core, ports, policies", no_io_headers),
        ("no banned call", no_banned_calls),
        ("file lengths", lengths),
        ("licence lines", licence_lines),
        ("headers are included once", pragma_once),
        ("no path of a build machine", no_build_machine_paths),
        ("nothing marked as unfinished", no_open_ends)])
