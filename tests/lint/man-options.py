#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""man-options.py PROGRAM... - the options on a man page are those that --help prints."""
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


report([(f"options of {os.path.basename(path)}", lambda path=path: compare(path)) for path in sys.argv[1:]])
