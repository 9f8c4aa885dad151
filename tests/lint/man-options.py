#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""man-options.py PROGRAM... - the options on a man page are those that --help prints; so are those of the completions, and the
commands."""
import glob
import os
import re
import subprocess
import sys

from tree import ROOT, report

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]")


def page_of(name):
    pages = glob.glob(os.path.join(ROOT, "arbiter", "data", "man", f"{name}.[18]"))
    return pages[0] if pages else None


def compare(program):
    name = os.path.basename(program)
    page = page_of(name)
    if page is None:
        return [f"no man page of {name}"]
    done = subprocess.run([program, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                          timeout=20)
    if done.returncode != 0:
        return [f"{name} --help ends with {done.returncode}"]
    with open(page, encoding="utf-8") as text:
        described = set(OPTION.findall(re.sub(r"\\(?:f[BIRP]|&)", "", text.read().replace(r"\-", "-"))))
    printed = set(OPTION.findall(done.stdout))
    return [f"{option}: in --help, not on the page" for option in sorted(printed - described)] + \
           [f"{option}: on the page, not in --help" for option in sorted(described - printed)]


def completion_files(name):
    data = os.path.join(ROOT, "arbiter", "data")
    return [path for path in (os.path.join(data, f"{name}.bash-completion"), os.path.join(data, f"_{name}")) if os.path.exists(path)]


def compare_completions(program):
    """A program without completions has nothing to compare; one with one kind has to have the other."""
    name = os.path.basename(program)
    files = completion_files(name)
    complaints = [f"{name}: a completion for one shell alone"] if len(files) == 1 else []
    text = subprocess.run([program, "--help"], stdout=subprocess.PIPE, text=True, check=True, timeout=20).stdout
    commands = set(re.findall(r"^  ([a-z][a-z-]+) ", text.partition("Options:")[0], re.M))
    for path in files:
        with open(path, encoding="utf-8") as source:
            completion = source.read()
        offered = set(OPTION.findall(completion)) - {"--name"}
        wanted = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", text.partition("Options:")[2], re.M))
        complaints += [f"{os.path.basename(path)}: {option} is missing" for option in sorted(wanted - offered)]
        complaints += [f"{os.path.basename(path)}: {option} is not in --help" for option in offered - set(OPTION.findall(text))]
        words = set(re.findall(r"[a-z][a-z-]+", completion))
        complaints += [f"{os.path.basename(path)}: {command} is missing" for command in commands - words]
    return complaints


report([(f"completions of {os.path.basename(path)}", lambda path=path: compare_completions(path)) for path in sys.argv[1:]]
       + [(f"options of {os.path.basename(path)}", lambda path=path: compare(path)) for path in sys.argv[1:]])
