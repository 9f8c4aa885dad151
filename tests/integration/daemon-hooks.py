#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hooks before and after actions: what they are told, what a no does, and that one that hangs stops nothing."""
import os

from arbiter import CtlError, GuestHost
from taptest import check, check_equal, run_tests
from tinyguest import Lab, wait_for

NOTE = 'echo "$MEMARB_PHASE $MEMARB_ACTION $MEMARB_GUEST_NAME $MEMARB_RESULT" >>%s\n'
LIVES = '[ $MEMARB_PHASE = after ] || kill -0 "$(cat %s/"$MEMARB_GUEST_NAME".pid)" && echo "$MEMARB_PHASE $MEMARB_GUEST_NAME lives" >>%s\n'


class Hooks:
    """A folder of them, and what they wrote down."""

    def __init__(self, lab, name, **scripts):
        self.dir, self.told = lab.path(f"{name}-hooks"), os.path.join(lab.path(f"{name}-told"), "told")
        self.settings = {"Hooks.Directory": self.dir}
        os.chmod(self.dir, 0o755)
        for script, text in scripts.items():
            self.add(script, text)

    def add(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="ascii") as script:
            script.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)

    def lines(self):
        try:
            with open(self.told, encoding="ascii") as text:
                return text.read().splitlines()
        except FileNotFoundError:
            return []

    def host(self, lab, name, settings, **options):
        host = GuestHost(lab, name, {**self.settings, **settings}, **options)
        for guest, process in host.guests.items():
            with open(os.path.join(self.dir, f"{guest}.pid"), "w", encoding="ascii") as text:
                text.write(str(process.pid))
        return host


def dropped_by_hook(arbiter):
    return [line["outcome"] for line in arbiter.decisions() if line.get("outcome", {}).get("by") == "hook"]


def test_a_no_spares_the_guest_and_the_next_one_goes(hosts):
    hooks, host = hosts["veto"]
    with host:
        host.short()
        wait_for(lambda: not host["mail"].alive(), 60, "the second choice to go")
        check(host["web"].alive(), "the first choice, which its hook spoke for, lives")
        wait_for(lambda: "after kill mail done" in hooks.lines(), 30, "the hook behind it")
        lines = hooks.lines()
        check("before mail lives" in lines, f"the hook before it ran before: {lines}")
        check(lines.index("before kill mail ") < lines.index("after kill mail done"), f"in this order: {lines}")
        check("after kill web done" not in lines, f"what is not taken has no after: {lines}")
        outcome = wait_for(lambda: dropped_by_hook(host.arbiter), 30, "it in the record")[0]
        check_equal((outcome["action"], outcome["guest"], outcome["result"], outcome["because"]),
                    ("kill", host["web"].uuid, "dropped", "veto"), "the record")
        wait_for(lambda: "hook 'veto' said no to kill" in host.arbiter.ctl("events"), 30, "it to be told")
        candidate = [one for one in host.arbiter.plan()["candidates"] if one["guest"] == host["web"].uuid]
        check_equal(candidate[0]["excluded_because"], "held", "what it is excluded for")


def test_a_no_for_one_is_a_no_for_its_group(hosts):
    _, host = hosts["group"]
    with host:
        host.short()
        wait_for(lambda: not host["shop"].alive(), 60, "the guest outside of the group to go")
        check(host["web"].alive() and host["mail"].alive(), "both of the group live")


def test_one_that_hangs_is_killed_and_has_no_say(hosts):
    hooks, host = hosts["hang"]
    with host:
        host.short()
        wait_for(lambda: not host["web"].alive(), 60, "the victim")
        check(any(line.startswith("before kill web") for line in hooks.lines()), f"it was asked: {hooks.lines()}")
        wait_for(lambda: "the hooks' time is over" in host.arbiter.ctl("events"), 30, "its end to be told")
        with open(os.path.join(os.path.dirname(hooks.told), "pid"), encoding="ascii") as text:
            pid = int(text.read())
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 30, "the hook's end")


def test_without_a_veto_they_are_told_and_in_a_dry_run_they_are_not(hosts):
    hooks, host = hosts["told"]
    with host:
        host.short(**{"DryRun": "yes"})
        wait_for(lambda: host.arbiter.planned("kill"), 60, "a victim in the plan")
        host.arbiter.pass_cycles()
        check_equal(hooks.lines(), [], "what hooks were told in a dry run")
        host.arbiter.reload({"DryRun": "no"})
        wait_for(lambda: not host["web"].alive(), 60, "the victim")
        wait_for(lambda: "after kill web done" in hooks.lines(), 30, "the hook behind it")
        wait_for(lambda: "before kill web " in hooks.lines(), 30, "the hook before it")


def test_a_folder_that_others_may_write_to_is_refused(hosts):
    hooks, host = hosts["open"]
    with host:
        hooks.add("left-out", "exit 0\n")
        os.chmod(os.path.join(hooks.dir, "left-out"), 0o777)
        host.arbiter.ctl("reload")
        wait_for(lambda: "Hook 'left-out' is left out: it is writable" in host.arbiter.ctl("events"), 30,
                 "a file that is left out to be told")
        os.chmod(hooks.dir, 0o777)
        try:
            host.arbiter.ctl("reload")
            raise AssertionError("a folder open to all was taken")
        except CtlError as error:
            check("is not root's alone" in str(error), str(error))


def make_hosts(lab):
    """All of them at once; each test ends its own."""
    veto = Hooks(lab, "veto")
    veto.add("note", NOTE % veto.told + LIVES % (veto.dir, veto.told))
    veto.add("veto", '[ "$MEMARB_PHASE$MEMARB_GUEST_NAME" = beforeweb ] && exit 75\nexit 0\n')
    group = Hooks(lab, "group", veto='[ "$MEMARB_PHASE$MEMARB_GUEST_NAME" = beforemail ] && exit 75\nexit 0\n')
    hang = Hooks(lab, "hang")
    hang.add("hang", NOTE % hang.told + f"echo $$ >{os.path.dirname(hang.told)}/pid\nexec sleep 1000\n")
    told = Hooks(lab, "told")
    told.add("note", NOTE % told.told)
    is_open = Hooks(lab, "open")
    waits = {"Hooks.Veto": "kill", "Hooks.VetoTimeout": "30s"}
    together = {"name:web": {"Impact": "5", "Actions": "kill", "Group": "pair"},
                "name:mail": {"Impact": "5", "Actions": "kill", "Group": "pair"},
                "name:shop": {"Impact": "900", "Actions": "kill"}}
    return {
        "veto": (veto, veto.host(lab, "veto", waits)),
        "group": (group, group.host(lab, "group", {**waits, "CulpritFirst": "no"}, guests=together)),
        "hang": (hang, hang.host(lab, "hang", {"Hooks.Veto": "kill", "Hooks.VetoTimeout": "2s"})),
        "told": (told, told.host(lab, "told", {})),
        "open": (is_open, is_open.host(lab, "open", {}, names=("web",))),
    }


with Lab() as the_lab:
    run_tests([test_a_no_spares_the_guest_and_the_next_one_goes, test_a_no_for_one_is_a_no_for_its_group,
               test_one_that_hangs_is_killed_and_has_no_say,
               test_without_a_veto_they_are_told_and_in_a_dry_run_they_are_not,
               test_a_folder_that_others_may_write_to_is_refused], make_hosts(the_lab))
