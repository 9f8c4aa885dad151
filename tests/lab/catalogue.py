# SPDX-License-Identifier: LGPL-2.1-or-later
"""catalogue.py - the scenarios, in the order in which they run."""
import ast
import collections
import os

Scenario = collections.namedtuple("Scenario", "seconds is_short")
# seconds: what each may take, some three times what was measured on two busy cores.
SCENARIOS = {
    "unit": Scenario(420, True),
    "reclaim": Scenario(300, True),
    "vfio": Scenario(420, True),
    "unplug": Scenario(300, True),
    "throttled": Scenario(240, True),
    "pins": Scenario(1500, False),
    "pressure": Scenario(1800, False),
    "numa": Scenario(900, False),
    "rebalance": Scenario(900, False),
    "hotplug": Scenario(900, False),
    "group": Scenario(900, False),
    "admission": Scenario(600, False),
    "killed": Scenario(600, False),
    "second": Scenario(600, False),
    "hardening": Scenario(900, False),
    "package": Scenario(1800, False),
    "firsthour": Scenario(1200, False),
    "apparmor": Scenario(600, False),
}


def chosen(which):
    """Names of the "short" set, or of all of them."""
    return [name for name, scenario in SCENARIOS.items() if scenario.is_short or which != "short"]


def show():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scenarios")
    for name, scenario in SCENARIOS.items():
        with open(os.path.join(folder, f"{name}.py"), encoding="utf-8") as text:
            first = ast.get_docstring(ast.parse(text.read())).splitlines()[0]
        print(f"{name:10} {'short' if scenario.is_short else 'long':6} {first}")
