#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""metrics.py - what the alert rules, their tests, the runbooks and the dashboard say of each other and of memarbd's metrics.
Prometheus' own promtool runs the rules' tests (tests/integration/daemon-metrics.py); that there is one, and that a query's
metric is rendered somewhere, needs neither promtool nor guests."""
import json
import os
import re

from tree import ROOT, report, text_of

FOLDER = "examples/metrics"
RULES, TESTS = text_of(f"{FOLDER}/memarb-alerts.yml"), text_of(f"{FOLDER}/memarb-alerts-test.yml")
ALERTS = re.findall(r"- alert: (\w+)", RULES)
# A section with what to do in it is longer than this.
LEAST_WORDS = 12


def check_runbooks():
    """In the same order: a reader of one finds the other."""
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text_of("docs/runbooks.md"), re.M | re.S))
    complaints = [f"{name} has no section in docs/runbooks.md" for name in ALERTS if name not in sections]
    complaints += [f"docs/runbooks.md: {name} is no alert" for name in sections if name not in ALERTS]
    complaints += [f"docs/runbooks.md: {name} says hardly anything" for name, text in sections.items()
                   if len(text.split()) < LEAST_WORDS]
    links = dict(re.findall(r"- alert: (\w+)(?s:.*?)runbook: (\S+)", RULES))
    return complaints + [f"{name} links to {links.get(name)}" for name in ALERTS
                         if links.get(name) != f"docs/runbooks.md#{name.lower()}"]


def check_tested():
    """Each alert fires in one of promtool's cases, and stands still in another."""
    silent = set(re.findall(r"alertname: (\w+), exp_alerts: \[\]", TESTS))
    fires = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts:\n", TESTS))
    complaints = [f"no case in which {name} fires" for name in ALERTS if name not in fires]
    complaints += [f"no case in which {name} does not fire" for name in ALERTS if name not in silent]
    return complaints + [f"{name} is tested and is no alert" for name in sorted((silent | fires) - set(ALERTS))]


def rendered():
    folder = os.path.join(ROOT, "arbiter", "daemon", "metrics")
    names = set()
    for file in os.listdir(folder):
        if file.endswith(".c"):
            names |= set(re.findall(r'"(memarb_[a-z0-9_]+)"', text_of(f"arbiter/daemon/metrics/{file}")))
    return names


def check_queries():
    """Of rules, their tests' series and every panel."""
    dashboard = json.loads(text_of(f"{FOLDER}/memarb-dashboard.json"))
    queries = [(f"panel {panel['title']!r}", target["expr"]) for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [("memarb-alerts.yml", expression) for expression in re.findall(r"^\s+expr: (.*)$", RULES, re.M)]
    queries += [("memarb-alerts-test.yml", series) for series in re.findall(r"series: '([^']+)'", TESTS)]
    known = rendered()
    complaints = [f"{where}: memarbd has no {name}" for where, query in queries
                  for name in re.findall(r"\bmemarb_[a-z0-9_]+", query) if name not in known]
    complaints += [f"{where} asks for no metric of memarb: {query}" for where, query in queries if "memarb_" not in query]
    return complaints + ([] if len(queries) > 30 else [f"only {len(queries)} queries were found"])


report([("each alert has its runbook", check_runbooks), ("each alert has its cases", check_tested),
        ("each query's metric is there", check_queries)])
