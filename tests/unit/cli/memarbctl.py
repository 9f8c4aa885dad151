#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""memarbctl.py MEMARBCTL FAKE-DAEMON SOURCE - memarbctl against the real control server over a fake view."""
import json
import os
import pty
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

PROGRAM, DAEMON, SOURCE = sys.argv[1:4]
del sys.argv[1:4]
sys.path.insert(0, os.path.join(SOURCE, "tests", "support"))
from taptest import Skip, check, check_equal, run_tests  # noqa: E402  pylint: disable=wrong-import-position

OK, ERROR, USAGE, NO_DAEMON, REFUSED, NOT_FOUND, WARNINGS = range(7)


class Daemon:
    def __enter__(self):
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen([DAEMON], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.path = self.process.stdout.readline().strip()
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        check_equal(self.process.wait(timeout=20), 0, "the server's end")
        self.process.stdout.close()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().split()


def run(*arguments, daemon=None, expect=OK, env=None):
    options = [f"--socket={daemon.path}"] if daemon else []
    done = subprocess.run([PROGRAM, *options, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, timeout=20, env=env)
    check_equal(done.returncode, expect, f"exit code of {arguments} ({done.stdout!r} {done.stderr!r})")
    check(expect == OK or done.stderr.startswith("memarbctl: ") or "check-config" in arguments, done.stderr)
    return done


def test_reading_commands_show_tables_and_json():
    with Daemon() as daemon:
        for command, words in {("status",): ["hard", "1 GiB of 16 GiB", "pause", "HUGEPAGES", "512 MiB"],
                               ("guests",): ["web-1", "never", "balloon"],
                               ("explain", "web-1"): ["balloon is planned but withheld", "idle-memory", "4 GiB -> 3 GiB",
                                                      "guarantee", "default"],
                               ("explain", "db"): ["would be no victim", "its operator said never", "on node 1", "preferred"],
                               ("plan",): ["short of: ram 512 MiB", "web-1", "idle-memory", "not-armed"],
                               ("events",): []}.items():
            text = run(*command, daemon=daemon).stdout
            for word in words:
                check(word in text, f"{word!r} is missing from {command}: {text}")
            check("\t" not in text and "\033" not in text, f"{command} is not plain when piped")
            if command != ("events",):
                json.loads(run(*command, "--json", daemon=daemon).stdout)


def test_columns_are_aligned():
    with Daemon() as daemon:
        lines = run("guests", daemon=daemon).stdout.splitlines()
        column = lines[0].index("STATE")
        check(all(line[column:].startswith("running") for line in lines[1:]), "\n".join(lines))


def on_terminal(daemon, env):
    primary, secondary = pty.openpty()
    done = subprocess.run([PROGRAM, f"--socket={daemon.path}", "status"], stdout=secondary, check=False, timeout=20,
                          env={**os.environ, "TERM": "xterm", **env})
    os.close(secondary)
    text = os.read(primary, 65536)
    os.close(primary)
    check_equal(done.returncode, OK)
    return text


def test_colour_is_for_terminals_without_no_color():
    with Daemon() as daemon:
        os.environ.pop("NO_COLOR", None)
        check(b"\033[31m" in on_terminal(daemon, {}), "no colour on a terminal")
        check(b"\033" not in on_terminal(daemon, {"NO_COLOR": "1"}), "colour in spite of NO_COLOR")


def test_commands_arrive():
    if os.geteuid() != 0:
        raise Skip("takes root")
    with Daemon() as daemon:
        run("arm", "kill", daemon=daemon)
        check_equal(daemon.say("commands")[:3], ["1", "0", "3"])
        run("hold", "web-2", "2h", daemon=daemon)
        answer = daemon.say("commands")
        check_equal((answer[1], answer[4]), ("2", "7200000000"))
        check(answer[3].startswith("000000a2"), answer)
        run("hold", "web-2", "0", daemon=daemon)
        check_equal(daemon.say("commands")[4], "0")
        run("release", "web-1", daemon=daemon)
        check(daemon.say("commands")[3].startswith("000000a1"), "the guest of release")
        run("release", "--all", daemon=daemon)
        check_equal(daemon.say("commands")[3], "-")
        run("disarm", daemon=daemon)
        check_equal(daemon.say("commands")[1], "1")
        run("reload", daemon=daemon)
        check_equal(daemon.say("commands")[:2], ["7", "4"])
        daemon.say("answer p")
        check("something else" in run("reload", daemon=daemon, expect=REFUSED).stderr, "the refusal's reason")


def test_offline_release_runs_the_memarbd_beside_it_not_one_in_path():
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(PROGRAM, os.path.join(folder, "memarbctl"))
        command = [os.path.join(folder, "memarbctl"), "release", "--offline"]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, timeout=20,
                              env={**os.environ, "PATH": f"{folder}/elsewhere"})
        check_equal(done.returncode, ERROR)
        check("memarbd --release" in done.stderr, done.stderr)
        with open(os.path.join(folder, "memarbd"), "w", encoding="utf-8") as file:
            file.write('#!/bin/sh\necho "$@"\nexit 7\n')
        os.chmod(os.path.join(folder, "memarbd"), 0o755)
        done = subprocess.run(command + ["--config=x.conf"], stdout=subprocess.PIPE, text=True, check=False, timeout=20)
        check_equal((done.stdout, done.returncode), ("--release --config x.conf\n", 7))


def test_what_is_wrong_is_said_with_its_exit_code():
    with Daemon() as daemon:
        run("explain", "nobody", daemon=daemon, expect=NOT_FOUND)
        check("000000a1" in run("explain", "web", daemon=daemon, expect=NOT_FOUND).stderr, "the matches")
        if os.geteuid() == 0:
            run("arm", "shoot", daemon=daemon, expect=USAGE)
        for line in [["hold", "db", "5"], ["hold", "db"], ["release"], ["release", "db", "--all"], ["status", "x"], [],
                     ["nonsense"], ["--nonsense"], ["events", "--since=5"], ["status", "--snapshot=x"],
                     ["release", "--offline", "db"]]:
            run(*line, daemon=daemon, expect=USAGE)
    done = run("status", "--socket=/nonexistent/socket", expect=NO_DAEMON)
    check("systemctl start memarbd" in done.stderr, done.stderr)


def test_arming_needs_a_rung_and_a_daemon():
    run("arm", "shoot", expect=USAGE)
    done = run("arm", "kill", "--socket=/nonexistent/socket", expect=NO_DAEMON)
    check("systemctl start memarbd" in done.stderr, done.stderr)


def test_each_command_has_its_help():
    whole = run("--help").stdout
    commands = set(re.findall(r"^  ([a-z][a-z-]+)", whole.partition("Options:")[0], re.M)) - {"help"}
    check(len(commands) > 20, commands)
    options = {command: set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", run(command, "--help").stdout.partition("Options:")[2], re.M))
               for command in commands}
    for command in commands:
        check(f"\n  {command}" in run(command, "-h").stdout, f"what {command} is")
        check({"--json", "--socket", "--help"} <= options[command], f"options of all are among those of {command}")
    for command, its, not_its in (("report", "--html", "--live"), ("doctor", "--connect", "--html"), ("set", "--from", "--yes"),
                                  ("simulate", "--svg", "--force"), ("admit", "--dry-run", "--once"), ("status", "--json", "--xml")):
        check(its in options[command] and not_its not in options[command], f"options of {command}: {options[command]}")
    check_equal(set().union(*options.values()), set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", whole, re.M)), "all of them")
    check_equal(run("--socket", "/x", "report", "--html", "x", "--help").stdout, run("report", "--help").stdout, "behind other words")
    run("nonsense", "--help", expect=USAGE)


def test_a_socket_is_no_obstacle_to_what_needs_none():
    for line in (["--socket", "/x", "report", "--record", "/absent"], ["report", "--record", "/absent", "--socket=/x"],
                 ["--socket", "/x", "replay", "/absent"]):
        run(*line, expect=ERROR)
    run("--socket", "/nonexistent/socket", "show", "x", "--connect=test:///default", expect=NOT_FOUND)


def test_events_come_with_the_past_and_follow():
    with Daemon() as daemon:
        daemon.say('event {"kind":"kill","realtime_usec":1700000000000000,"name":"we\\u001bb","message":"killed"}')
        text = run("events", daemon=daemon).stdout
        check(re.search(r"^2023-11-\d\d \d\d:\d\d:\d\d  kill +we\?b: killed$", text, re.M), text)
        check_equal(run("events", "--since=1h", daemon=daemon).stdout, "")
        with subprocess.Popen([PROGRAM, f"--socket={daemon.path}", "events", "--follow", "--json"],
                              stdout=subprocess.PIPE, text=True) as follower:
            check_equal(json.loads(follower.stdout.readline())["kind"], "kill")
            daemon.say('event {"kind":"resume","realtime_usec":1,"message":"x"}')
            check_equal(json.loads(follower.stdout.readline())["kind"], "resume")
            follower.terminate()


def test_events_are_filtered():
    kinds = ["kill", "state", "hook", "outcome"]
    with Daemon() as daemon:
        for at, (kind, level) in enumerate(zip(kinds, ["warning", "notice", "err", "debug"])):
            about = "" if kind == "state" else f'"guest":"{at}abc-def","name":"web-{at}","action":"kill",'
            daemon.say(f'event {{"kind":"{kind}","realtime_usec":1700000000000000,{about}"level":"{level}","message":"x"}}')
        for options, wanted in {(): kinds, ("--kind=state",): ["state"], ("--kind=hook,state",): ["state", "hook"],
                                ("--kind=kill",): ["kill", "hook", "outcome"], ("--kind=kil",): [], ("--guest=web-2",): ["hook"],
                                ("--guest=web",): ["kill", "hook", "outcome"], ("--guest=0ab",): ["kill"], ("--guest=nobody",): [],
                                ("--level=warning",): ["kill", "hook"], ("--level=notice",): ["kill", "state", "hook"],
                                ("--level=debug", "--guest=web", "--kind=outcome,state"): ["outcome"]}.items():
            lines = run("events", "--json", *options, daemon=daemon).stdout.splitlines()
            check_equal([json.loads(line)["kind"] for line in lines], wanted, f"events with {options}")
        run("events", "--level=loud", daemon=daemon, expect=USAGE)
        run("guests", "--level=err", daemon=daemon, expect=USAGE)


def test_check_config_reports_all_problems():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("[Arbiter]\nArm=x\nReserv=4GiB\n")
        lines = run("check-config", path, expect=ERROR).stderr.splitlines()
        check(lines[0].startswith(f"{path}:2: Arm=x") and lines[1].startswith(f"{path}:3: unknown key Reserv="), lines)
        answer = json.loads(run("check-config", path, "--json", expect=ERROR).stdout)
        check_equal((answer["good"], len(answer["problems"])), (False, 2))
        with open(path, "w", encoding="utf-8") as file:
            file.write("[Arbiter]\nArm=pause\n")
        check("good: " in run("check-config", path).stdout, "good")
        with open(path, "w", encoding="utf-8") as file:
            file.write("[Arbiter]\nPolicy=nonesuch\n")
        check(f"{path}:2: Policy=nonesuch: there is no such policy" in run("check-config", path, expect=ERROR).stderr,
              "the policy, with its line")
        run("check-config", os.path.join(folder, "absent.conf"), expect=ERROR)


def installed(name):
    with open(os.path.join(SOURCE, "arbiter", "data", name), encoding="utf-8") as file:
        return file.read()


def test_the_shipped_configuration_is_the_table_of_defaults():
    defaults = run("check-config", "--defaults").stdout
    check_equal(installed("memarb.conf"), "# SPDX-License-Identifier: LGPL-2.1-or-later\n" + defaults, "memarb.conf")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.conf")
        with open(path, "w", encoding="utf-8") as file:
            # every default, said aloud, is a good configuration
            file.write(re.sub(r"^#(\w+=)", r"\1", defaults.split("\n# Prefixes")[0], flags=re.M))
        run("check-config", path)


def test_examples_are_good():
    folder = os.path.join(SOURCE, "examples")
    names = [name for name in sorted(os.listdir(folder)) if name.endswith(".conf")] if os.path.isdir(folder) else []
    check(names, "no examples")
    for name in names:
        run("check-config", os.path.join(folder, name))


def test_the_cloud_examples_show_what_their_page_says():
    with open(os.path.join(SOURCE, "docs", "examples", "clouds.md"), encoding="utf-8") as file:
        page = file.read()
    commands = re.findall(r"^    \$ memarbctl (show .*)$", page, re.M)
    check_equal(len(commands), 2, "commands on the page")
    for command in commands:
        words = [os.path.join(SOURCE, word) if word.startswith("examples/") else word for word in command.split()]
        lines = [f"    {line}" for line in run(*words).stdout.splitlines() if line]
        check(len(lines) > 10 and "\n".join(lines) in page, f"{command}: " + "\n".join(lines))


def test_domain_commands_say_what_is_wrong():
    with tempfile.TemporaryDirectory() as folder:
        lonely = shutil.copy(PROGRAM, os.path.join(folder, "memarbctl"))
        done = subprocess.run([lonely, "show", "x"], stderr=subprocess.PIPE, text=True, check=False, timeout=20)
        check_equal(done.returncode, ERROR)
        check("memarb-domain" in done.stderr, done.stderr)
        broken = os.path.join(folder, "broken.xml")
        with open(broken, "w", encoding="utf-8") as file:
            file.write("<domain>")
        run("show", "--xml", broken, expect=ERROR)
        run("show", f"--xml={folder}/absent.xml", expect=ERROR)
    for line in [["show"], ["set", "x"], ["set", "x", "impact"], ["set", "x", "nonsense=1"], ["set", "x", "impact=1", "--from=here"],
                 ["show", "x", "--nonsense"], ["show", "x", "y"], ["status", "--dry-run"], ["enable"],
                 ["disable", "x", "y"]]:
        run(*line, expect=USAGE)
    run("show", "x", "--connect=test:///default", expect=NOT_FOUND)
    # The libvirt that this machine has, or has not, is not asked: the connection is.
    answer = json.loads(run("show", "test", "--json", "--connect=test:///default", "--socket=/nonexistent/socket").stdout)
    check_equal((answer["domain"], answer["memarbd"], answer["in_step"]), ("test", "no-daemon", True))


def findings(*arguments, daemon=None, expect=OK):
    options = [f"--socket={daemon.path}"] if daemon else []
    done = subprocess.run([PROGRAM, "doctor", "--json", *options, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False, timeout=20)
    check(done.returncode in (expect if isinstance(expect, tuple) else (expect,)), f"{done.returncode} {done.stderr}")
    return {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}


def test_doctor_tells_what_it_sees_and_arm_heeds_its_errors():
    found = findings("--socket=/nonexistent/socket", "--connect=test:///default", expect=ERROR)
    check_equal(found["daemon"]["severity"], "error", "no daemon")
    check("systemctl enable --now memarbd" in found["daemon"]["remedy"], found["daemon"])
    check("libvirt" not in found and "statistics" in found, "the test driver's guest")
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(os.path.join(folder, "control"))
        deaf.listen(8)
        threading.Thread(target=lambda: [deaf.accept()[0].close() for _ in range(8)], daemon=True).start()
        found = findings(f"--socket={folder}/control", "--connect=test:///default", expect=ERROR)
        check_equal(found["daemon"]["severity"], "error", "one that closes whatever is asked")
    with Daemon() as daemon, tempfile.TemporaryDirectory() as folder:
        found = findings("--connect=test:///default", daemon=daemon, expect=(WARNINGS, ERROR))
        check("daemon" not in found, found)
        check("dry-run" not in found or found["dry-run"]["severity"] == "note", found)
        bad = os.path.join(folder, "bad.conf")
        with open(bad, "w", encoding="utf-8") as file:
            file.write("[Arbiter]\nArm=x\n")
        found = findings(f"--config={bad}", daemon=daemon, expect=ERROR)
        check(f"{bad}:2" in found["config"]["text"], found["config"])
        if os.geteuid() != 0:
            raise Skip("arming takes root")
        before = daemon.say("commands")[0]
        text = run("arm", "kill", f"--config={bad}", daemon=daemon, expect=REFUSED).stderr
        check(f"{bad}:2" in text and "--force" in text, text)
        check_equal(daemon.say("commands")[0], before, "commands that arrived")
        run("arm", "observe", f"--config={bad}", daemon=daemon)
        run("arm", "kill", "--force", f"--config={bad}", daemon=daemon)
        check(daemon.say("commands")[0] != before, "armed by force")


def completed(*words):
    """What bash offers for the last word."""
    script = f"""source {SOURCE}/arbiter/data/memarbctl.bash-completion
compopt() {{ :; }}
COMP_WORDS=(memarbctl "$@"); COMP_CWORD=$#; _memarbctl; printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", script, "bash", *words], stdout=subprocess.PIPE, text=True, check=True, timeout=20)
    return done.stdout.split()


def test_bash_completes():
    check_equal(completed("sta"), ["status"])
    check_equal(sorted(completed("dis")), ["disable", "disarm"])
    check_equal(completed("arm", "k"), ["kill"])
    check_equal(completed("set", "shop", "guar"), ["guarantee="])
    check("--no-monitor" in completed("enable", "shop", "--n"), "an option")


def plain(page):
    text = installed(os.path.join("man", page))
    return re.sub(r"\\\(lq|\\\(rq", '"', text).replace("\\-", "-").replace("\\(aq", "'")


def test_the_manual_has_every_key_with_its_default():
    page = plain("memarb.conf.5")
    for key in json.loads(run("check-config", "--defaults", "--json").stdout):
        check(f".IR {key['key']} =\n{key['doc']}\n" in page, f"{key['key']}= is not in memarb.conf.5 as in the table")
        if key["default"]:
            part = page.split(f".IR {key['key']} =\n{key['doc']}\n")[1].split(".TP")[0]
            check(f'Default: "{key["default"]}".' in part, f"default of {key['key']}=")


def test_the_manual_has_every_option_reason_and_exit_code():
    page = plain("memarbctl.1")
    text = run("--help").stdout
    for option in set(re.findall(r"--[a-z-]+", text)):
        check(option in page, f"{option} is not in memarbctl.1")
    for command in re.findall(r"^  ([a-z-]+) ", text, re.M):
        check(f".B {command}" in page, f"{command} is not in memarbctl.1")
    with open(os.path.join(SOURCE, "arbiter", "core", "model", "names.c"), encoding="utf-8") as file:
        reasons = re.findall(r'\[MA_REASON_[A-Z_]+\] = "([a-z-]+)"', file.read())
    reasons = [reason for reason in reasons if reason != "none"]
    check(len(reasons) > 40, "reasons in names.c")
    for reason in reasons:
        check(f".B {reason}\n" in page, f"{reason} is not in memarbctl.1")
    for code in range(7):
        check(f".TP\n.B {code}\n" in page, f"exit code {code}")


def test_each_message_id_has_a_catalog_entry():
    with open(os.path.join(SOURCE, "arbiter", "daemon", "report", "message-ids.h"), encoding="utf-8") as file:
        ids = re.findall(r'"([0-9a-f]{32})"', file.read())
    catalog = installed("memarb.catalog")
    check(len(ids) > 20 and len(set(ids)) == len(ids), "ids")
    check_equal(sorted(re.findall(r"^-- ([0-9a-f]{32})$", catalog, re.M)), sorted(ids), "catalog entries")
    for entry in catalog.split("\n-- ")[1:]:
        check("Subject: " in entry and "What to do: " in entry, entry)


def test_systemd_takes_units_catalog_and_group():
    tools = {name: any(os.access(os.path.join(d, name), os.X_OK) for d in os.environ["PATH"].split(":"))
             for name in ("systemd-analyze", "journalctl", "systemd-sysusers")}
    if not tools["systemd-analyze"]:
        raise Skip("systemd-analyze is not installed")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("memarbd.service", "memarb-release.service"):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                text = installed(name)
                file.write(re.sub(r"@s?bindir@/\w+", "/bin/true", text))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", os.path.join(folder, "memarbd.service")],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
        ours = [line for line in done.stdout.splitlines() if "memarb" in line]
        check_equal(ours, [], "what systemd-analyze verify says")
        if tools["journalctl"]:
            os.makedirs(os.path.join(folder, "usr/lib/systemd/catalog"))
            os.makedirs(os.path.join(folder, "var/lib/systemd/catalog"))
            with open(os.path.join(folder, "usr/lib/systemd/catalog/memarb.catalog"), "w", encoding="utf-8") as file:
                file.write(installed("memarb.catalog"))
            done = subprocess.run(["journalctl", f"--root={folder}", "--update-catalog"], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
            check_equal(done.returncode, 0, f"journalctl --update-catalog: {done.stdout}")
        if tools["systemd-sysusers"]:
            os.makedirs(os.path.join(folder, "etc"), exist_ok=True)
            conf = os.path.join(SOURCE, "arbiter", "data", "memarb.sysusers")
            done = subprocess.run(["systemd-sysusers", f"--root={folder}", conf], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
            check_equal(done.returncode, 0, f"systemd-sysusers: {done.stdout}")
            with open(os.path.join(folder, "etc", "group"), encoding="utf-8") as file:
                check("memarb:" in file.read(), "the group")


run_tests([test for name, test in list(globals().items()) if name.startswith("test_")])
