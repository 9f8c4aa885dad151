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
    """Include paths and definitions that the build uses for the C files of a folder, and of all folders ("")."""
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as text:
        commands = json.load(text)
    out = {"": []}
    for entry in commands:
        source = os.path.realpath(os.path.join(entry["directory"], entry["file"]))
        for word in shlex.split(entry["command"]):
            if word.startswith(("-I", "-D", "-std", "-isystem")):
                for folder in ("", os.path.relpath(os.path.dirname(source), ROOT)):
                    flags = out.setdefault(folder, [])
                    if word not in flags:
                        flags.append(word)
    return out


def flags_for(path, folders):
    """Its folder's first, so that of two headers of one name the nearer is found; the rest for the folders that have
    no sources of their own, or are included from elsewhere only."""
    return folders.get(os.path.dirname(path), []) + folders[""]


def alone():
    folders = flags_by_folder()
    complaints = []
    for path in c_files(kinds=(".h",)):
        done = subprocess.run(["cc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function",
                               f"-I{os.path.join(ROOT, os.path.dirname(path))}",
                               *flags_for(path, folders), "-x", "c", "-"], cwd=BUILD, text=True,
                              input=f'#include "{os.path.join(ROOT, path)}"\n', stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            complaints += [f"{path}:"] + done.stderr.splitlines()[:5]
    return complaints


report([("each header compiles alone", alone)])
