# SPDX-License-Identifier: LGPL-2.1-or-later
"""tree.py - the project's files and TAP for the lints."""
import os
import re
import subprocess
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))


def tracked():
    """Paths relative to the root: what git tracks, or everything in a tree that is no clone."""
    done = subprocess.run(["git", "-C", ROOT, "-c", f"safe.directory={ROOT}", "ls-files", "-z"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False)
    if done.returncode == 0:
        names = done.stdout.decode().split("\0")[:-1]
    else:
        names = [os.path.relpath(os.path.join(folder, name), ROOT)
                 for folder, _, files in os.walk(ROOT) for name in files]
    return sorted(name for name in names if os.path.isfile(os.path.join(ROOT, name)))


def text_of(path):
    """The file's text, or None for a binary one."""
    with open(os.path.join(ROOT, path), "rb") as source:
        data = source.read()
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def c_files(*folders, kinds=(".c", ".h")):
    return [path for path in tracked()
            if path.endswith(kinds) and (not folders or path.startswith(tuple(f"{folder}/" for folder in folders)))]


TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code_of(path):
    """C text with comments and strings blanked; line numbers stay."""
    return TOKEN.sub(lambda match: re.sub(r"[^\n]", " ", match.group(0)), text_of(path))


def matches(pattern, paths, text=code_of):
    """["path:line: text", ...] for each match of the pattern."""
    found = []
    for path in paths:
        content = text(path)
        if content is None:
            continue
        for match in re.finditer(pattern, content):
            line = content.count("\n", 0, match.start()) + 1
            found.append(f"{path}:{line}: {match.group(0).strip()}")
    return found


class Skip(Exception):
    """A check that cannot run here, with the reason."""


def report(checks):
    """checks: [(name, function that gives a list of complaints)]. Prints TAP and exits."""
    print(f"1..{len(checks)}")
    failed = False
    for number, (name, check) in enumerate(checks, 1):
        try:
            complaints = check()
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}")
            continue
        for complaint in complaints:
            print(f"# {complaint}")
        failed = failed or bool(complaints)
        print(f"{'not ok' if complaints else 'ok'} {number} - {name}", flush=True)
    sys.exit(1 if failed else 0)
