#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""catalog.py - each MESSAGE_ID of the code stands in the journal's catalog and the other way round, each is told by some
code, and what the catalog quotes are fields that there are."""
import glob
import os
import re

from tree import ROOT, report


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as text:
        return text.read()


IDS = dict(re.findall(r'#define\s+(MA_MESSAGE_\w+)\s*\\?\s*"([0-9a-f]{32})"', read("arbiter", "daemon", "report", "message-ids.h")))
CATALOG = read("arbiter", "data", "memarb.catalog")
ENTRIES = dict(re.findall(r"^-- (\S+)\n(.*?)(?=^-- |\Z)", CATALOG, re.M | re.S))
SOURCES = {path: read(path) for path in glob.glob(os.path.join(ROOT, "arbiter", "**", "*.c"), recursive=True)}


def check_ids():
    complaints = [f"{name} is not in the catalog" for name, value in IDS.items() if value not in ENTRIES]
    complaints += [f"{value} of the catalog is no message of the code" for value in ENTRIES if value not in IDS.values()]
    complaints += [f"{name} has the id of another" for name, value in IDS.items() if list(IDS.values()).count(value) > 1]
    complaints += [f"{value} stands in the catalog twice" for value in ENTRIES if CATALOG.count(f"-- {value}") > 1]
    return complaints + ([] if len(IDS) > 20 else [f"only {len(IDS)} ids were found"])


def check_told():
    return [f"nothing tells {name}" for name in IDS if not any(re.search(rf"\b{name}\b", text) for text in SOURCES.values())]


def check_entries():
    fields = set(re.findall(r'"(MA_[A-Z_]+|MESSAGE)=', read("arbiter", "daemon", "report", "report.c")))
    complaints = []
    for value, text in ENTRIES.items():
        complaints += [f"{value}: no {part}" for part in ("Subject: ", "Defined-By: memarb", "Documentation: man:", "What to do:")
                       if part not in text]
        complaints += [f"{value}: there is no field {field}" for field in re.findall(r"@(\w+)@", text) if field not in fields]
    return complaints


report([("ids of the code and of the catalog", check_ids), ("each is told", check_told), ("what an entry says", check_entries)])
