#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""headers.py BUILD - each header compiles alone, with the flags of the sources beside it."""
import json
import os
import shlex
import subprocess
import sys

from tree import ROOT, c_files, report

BUILD = sys.argv[1]


def flags_by_folder():
    """Include paths and definitions that the build uses for the C files of a folder."""
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as text:
        commands = json.load(text)
    out = {}
    for entry in commands:
        source = os.path.realpath(os.path.join(entry["directory"], entry["file"]))
        words = shlex.split(entry["command"])
        flags = [word for word in words if word.startswith(("-I", "-D", "-std", "-isystem"))]
        out.setdefault(os.path.relpath(os.path.dirname(source), ROOT), flags)
    return out


def flags_for(path, folders):
    """A folder of headers only takes the flags of the daemon, which may include everything."""
    folder = os.path.dirname(path)
    return folders.get(folder) or folders.get("arbiter/daemon") or max(folders.values(), key=len)


def alone():
    folders = flags_by_folder()
    complaints = []
    for path in c_files(kinds=(".h",)):
        done = subprocess.run(["cc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function",
                               *flags_for(path, folders), "-x", "c", "-"], cwd=BUILD, text=True,
                              input=f'#include "{os.path.join(ROOT, path)}"\n', stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            complaints += [f"{path}:"] + done.stderr.splitlines()[:5]
    return complaints


report([("each header compiles alone", alone)])
