#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""report.py MEMARBCTL SOURCE - memarbctl report on a record of the real daemon: whole, mangled, hostile, huge."""
import base64
import hashlib
import html.parser
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile

PROGRAM, SOURCE = sys.argv[1:3]
del sys.argv[1:3]
sys.path.insert(0, os.path.join(SOURCE, "tests", "support"))
from taptest import Skip, check, check_equal, run_tests  # noqa: E402  pylint: disable=wrong-import-position

RECORD = os.path.join(SOURCE, "tests", "data", "record", "shutdown-ignored.jsonl")
FREED = os.path.join(SOURCE, "tests", "data", "record", "balloon-then-kill.jsonl")
OK, ERROR, USAGE, NO_DAEMON, REFUSED, NOT_FOUND = range(6)
with open(RECORD, encoding="utf-8") as whole:
    LINES = whole.read().splitlines()
with open(FREED, encoding="utf-8") as whole:
    FREED_LINES = whole.read().splitlines()
# Names that somebody else chose: what would end an element, a script, a string or a line, load something, turn the
# direction of writing round, or is no text at all.
HOSTILE = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"'><svg/onload=alert(1)>",
           "a\u2028b\u2029c", "--><!--<script>", "\u202egnp.exe", "&lt;b&gt;", "]]>{{7*7}}${7*7}", "x\u0085y\u200fz", "\U0001F4BE disk"]
CHROMIUM = shutil.which("chromium")
CHROMIUM_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                  "--disable-background-networking", "--disable-component-update", "--disable-sync",
                  "--window-size=1300,1400"]


class Page(html.parser.HTMLParser):
    """What a browser without scripts sees."""

    def __init__(self, text):
        super().__init__()
        self.text, self.tags, self.attributes, self.raw = [], [], [], {}
        self.inside = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag in ("script", "style"):
            self.inside = (tag, dict(attrs).get("type", ""))
            self.raw.setdefault(self.inside, []).append("")

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside:
            self.raw[self.inside][-1] += data
        else:
            self.text.append(data)

    def data(self):
        return json.loads(self.raw["script", "application/json"][0])

    def shown(self):
        return "".join(self.text)


def run(*arguments, expect=OK, **options):
    done = subprocess.run([PROGRAM, "report", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                          timeout=240, env={**os.environ, "TZ": "UTC"}, **options)
    check_equal(done.returncode, expect, f"exit status of {arguments} ({done.stderr[-300:]})")
    return done


def page_of(folder, lines=None, *arguments):
    record = os.path.join(folder, "record.jsonl")
    with open(record, "w", encoding="utf-8") as out:
        out.write("".join(line + "\n" for line in (LINES if lines is None else lines)))
    path = os.path.join(folder, "report.html")
    run("--record", folder, "--html", path, "--force", *arguments)
    with open(path, encoding="utf-8") as text:
        return text.read()


def renamed(line, names):
    """The line with its guests' names replaced, in the snapshot and in the plan."""
    value = json.loads(line)
    for guest in value.get("snapshot", {}).get("guests", []) + value.get("plan", {}).get("candidates", []) + \
            value.get("plan", {}).get("actions", []):
        if "name" in guest:
            guest["name"] = names[guest["name"]]
    if "record" in value:
        value["host"] = names["host"]
    return json.dumps(value, separators=(",", ":"))


def test_the_tables_tell_the_incident_without_a_script():
    with tempfile.TemporaryDirectory() as folder:
        page = Page(page_of(folder))
    text = page.shown()
    for words in ("Incidents", "critical", "web: shutdown", "member of the set of guests whose loss costs least",
                  "its operator said never", "timeout after 5.0s", "ram 78 MiB", "mail", "Timeline", "least available"):
        check(words.lower() in text.lower(), f"{words!r} is missing from: {text[:3000]}")
    check_equal(page.tags.count("details"), 1 + len(page.data()["decisions"]), "decisions, and the timeline")
    check(page.tags.count("table") >= 6, f"tables: {page.tags.count('table')}")


def test_the_page_needs_nothing_and_lets_nothing_in():
    with tempfile.TemporaryDirectory() as folder:
        page = Page(page_of(folder))
    links = [(tag, name, value) for tag, name, value in page.attributes
             if name in ("src", "href", "action", "srcset", "data") or name.startswith("on") or name == "style"]
    check_equal(links, [], "what would load something, or run")
    policy = next(value for tag, name, value in page.attributes if name == "content" and "default-src" in value)
    check(policy.startswith("default-src 'none'; "), policy)
    check("unsafe" not in policy and "http" not in policy, policy)
    for kind, key in (("style", ("style", "")), ("script", ("script", ""))):
        check_equal(len(page.raw[key]), 1, f"elements of {kind}")
        digest = base64.b64encode(hashlib.sha256(page.raw[key][0].encode()).digest()).decode()
        check(f"{kind}-src 'sha256-{digest}'" in policy, f"the policy allows this {kind}: {policy}")
        check(not re.search(r"https?:(?!//www\.w3\.org/)|url\((?!#)|@import|\beval\b|innerHTML|fetch\(", page.raw[key][0]),
              f"{kind} loads something")


def test_hostile_names_are_text_and_nothing_else():
    with tempfile.TemporaryDirectory() as folder:
        plain = Page(page_of(folder))
    for at in range(0, len(HOSTILE), 2):
        names = dict(zip(("web", "shop", "mail", "host"), (HOSTILE * 2)[at:at + 4]))
        with tempfile.TemporaryDirectory() as folder:
            text = page_of(folder, [renamed(line, names) for line in LINES])
        page = Page(text)
        check_equal(page.tags, plain.tags, f"elements with {names}")
        check_equal([entry[:2] for entry in page.attributes], [entry[:2] for entry in plain.attributes], "attributes")
        for name in names.values():
            seen = re.sub("[\u0085\u200f\u2028\u2029\u202e]", "\ufffd", name)
            check(seen in page.shown(), f"{seen!r} is not shown as it is")
        layers = [layer["name"] for layer in page.data()["layers"]]
        check_equal(sorted(layers), sorted(re.sub("[\u0085\u200f\u2028\u2029\u202e]", "\ufffd", names[name])
                                           for name in ("web", "shop", "mail")), "names in the data")
        check(not re.search("[\u0085\u200f\u2028\u2029\u202e]", text), "no such character is left")
        raw = page.raw["script", "application/json"][0]
        check("<" not in raw and ">" not in raw and "&" not in raw, "the data has no markup")


def test_a_page_appears_whole_and_replaces_nothing_unasked():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "r.html")
        run("--record", RECORD, "--html", path)
        with open(path, encoding="utf-8") as text:
            check(text.read().rstrip().endswith("</html>"), "whole")
        with open(path, "w", encoding="ascii") as text:
            text.write("mine")
        said = run("--record", RECORD, "--html", path, expect=REFUSED).stderr
        check("--force replaces it" in said, said)
        with open(path, encoding="ascii") as text:
            check_equal(text.read(), "mine", "what stood there")
        run("--record", RECORD, "--html", path, "--force")
        check_equal(os.listdir(folder), ["r.html"], "what is left in the folder")
        run("--record", RECORD, "--html", os.path.join(folder, "absent", "r.html"), expect=ERROR)
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([PROGRAM, "report", "--record", RECORD, "--html", "-"], stdout=full, stderr=subprocess.PIPE,
                                  check=False, timeout=60)
        check_equal(done.returncode, ERROR, "exit status on a full disk")


def test_times_and_summaries():
    everything = json.loads(run("--record", RECORD, "--json").stdout)
    check_equal((everything["cycles"], everything["guests"], everything["broken"]), (9, 3, 0), "cycles, guests, broken lines")
    check_equal(everything["taken"], {"shutdown": 2}, "what was taken")
    check_equal([(one["worst"], one["open"], one["victims"]) for one in everything["incidents"]], [("critical", True, 2)], "incidents")
    first = json.loads(LINES[1])["realtime_usec"] // 1000000
    day = subprocess.run(["date", "-u", "-d", f"@{first + 3}", "+%Y-%m-%d %H:%M:%S"], stdout=subprocess.PIPE, text=True,
                         check=True).stdout.strip()
    check_equal(json.loads(run("--record", RECORD, "--json", "--until", day).stdout)["cycles"], 1, "cycles up to then")
    check_equal(json.loads(run("--record", RECORD, "--json", "--since", day).stdout)["cycles"], 8, "cycles since then")
    check("goes from 2026-11-22" in run("--record", RECORD, "--until", "2001-01-01", expect=NOT_FOUND).stderr, "what there is")
    run("--record", RECORD, "--since", "yesterday", expect=USAGE)
    run("--record", "/no/such/folder", expect=ERROR)
    check("shutdown: 2" in run("--record", RECORD).stdout, "text")


def test_what_came_back_stands_beside_what_was_to():
    told = json.loads(run("--record", FREED, "--json").stdout)
    first = [decision["actions"][0] for decision in told["decisions"]]
    at = next(i for i, action in enumerate(first) if action["action"] == "kill")
    check_equal([(action["name"], action["action"], action.get("returned_by"), action.get("withheld_because"))
                 for action in first[at - 1:at + 2]],
                [("idle", "balloon", "guest", None), ("web", "kill", None, "not-armed"), ("web", "kill", "host", None)],
                "actions, who measured them, why not")
    kill = first[at + 1]
    measured = next(json.loads(line)["outcome"] for line in FREED_LINES if '"measured"' in line)
    check_equal((kill["predicted_bytes"], kill["returned_bytes"], kill["result"]),
                (measured["predicted"]["ram"], measured["measured"]["ram"], "done"), "of the victim, memarbd's own word")
    held = {json.loads(line)["seq"]: [guest.get("resident_bytes", 0) for guest in json.loads(line)["snapshot"]["guests"]
                                      if guest["name"] == "idle"] for line in FREED_LINES if '"snapshot"' in line}
    began, until = told["decisions"][at - 1]["seq"], told["decisions"][at + 2]["seq"]  # memarbd's next action on it
    least = min(value[0] for seq, value in held.items() if began < seq <= until)
    check_equal(first[at - 1]["returned_bytes"], held[began][0] - least, "of the balloon, by what the guest held")
    check_equal(told["withheld"], {"not-armed": 1}, "withheld")


def test_trims_and_reasons_are_told():
    """As the guard writes them, in a decision of a record."""
    trims = [{"guest": "g", "name": "<web>", "action": "balloon", "reason": "below-floor", "proposed_bytes": 100 << 20,
              "granted_bytes": 200 << 20}]
    lines = []
    for line in FREED_LINES:
        value = json.loads(line)
        if value.get("trims"):
            value["trims"] = trims + value["trims"]
        lines.append(json.dumps(value, separators=(",", ":")))
    with tempfile.TemporaryDirectory() as folder:
        text = Page(page_of(folder, lines)).shown()
        told = json.loads(run("--record", folder, "--json").stdout)
        said = run("--record", folder).stdout
    check_equal(told["trimmed"], {"below-floor": 1}, "trims, by reason")
    check_equal([decision["trims"] for decision in told["decisions"] if decision["trims"]], [trims], "trims, in their decision")
    for words in ("planned, not taken: Arm= is below this rung", "Came back", "Trimmed", "<web>", "100 MiB", "200 MiB"):
        check(words in text, f"{words!r} on the page: {text[:3000]}")
    for words in ("kill: 1; 78.4 MiB came back, 78 MiB was predicted", "planned and not taken: 1 (Arm= is below",
                  "trimmed by the guard: 1 ("):
        check(words in said, f"{words!r} in: {said}")


def test_broken_lines_are_counted_and_half_a_line_is_not_there_yet():
    lines = [LINES[0], "nonsense", *LINES[1:], '{"seq":1}', "\u0000"]
    with tempfile.TemporaryDirectory() as folder:
        record = os.path.join(folder, "record.jsonl")
        with open(record, "w", encoding="utf-8") as out:
            out.write("".join(line + "\n" for line in lines) + LINES[-1][:500])
        told = json.loads(run("--record", folder, "--json").stdout)
    check_equal((told["cycles"], told["broken"]), (9, 3), "cycles and broken lines")


def test_a_huge_record_takes_bounded_memory_and_makes_a_bounded_page():
    """8,000 cycles, half of them of incidents that come and go, and each with a decision of its own."""
    calm, busy = json.loads(LINES[1]), json.loads(LINES[2])
    start = calm["realtime_usec"]
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "record.jsonl.1"), "w", encoding="utf-8") as out:
            out.write(LINES[0] + "\n")
            texts = [json.dumps(value, separators=(",", ":")).split(str(value["realtime_usec"]), 1) for value in (calm, busy)]
            for second in range(8000):
                head, tail = texts[second // 2 % 2]
                out.write(f"{head}{start + second * 1000000}{tail}\n")
        path = os.path.join(folder, "report.html")
        done = run("--record", folder, "--html", path, preexec_fn=limit_memory)
        check("8000 cycles, 200 incidents" in done.stdout, done.stdout)
        check(os.path.getsize(path) < 16 << 20, f"{os.path.getsize(path)} bytes")
        with open(path, encoding="utf-8") as text:
            page = Page(text.read())
    data = page.data()
    check(200 < len(data["t"]) <= 1400, f"{len(data['t'])} points")
    check_equal(data["t"], sorted(data["t"]), "points in order of time")
    check(max(data["state"]) == 3 and min(data["available"]) == 15, "the worst is not thinned away")
    check_equal(len(data["decisions"]), 500, "decisions")
    check("are left out" in page.shown(), "what is left out is told")


with open(PROGRAM, "rb") as binary:
    IS_SANITIZED = re.search(rb"__[at]san_init", binary.read()) is not None


def limit_memory():
    """A sanitizer's own maps are larger than any bound that means something."""
    if not IS_SANITIZED:
        resource.setrlimit(resource.RLIMIT_DATA, (96 << 20, 96 << 20))


def chromium(folder, *arguments):
    done = subprocess.run([CHROMIUM, *CHROMIUM_FLAGS, f"--user-data-dir={tempfile.mkdtemp(dir=folder)}", *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, timeout=240)
    check_equal(done.returncode, 0, "chromium's exit status")
    return done.stdout.decode(errors="replace")


def test_a_browser_draws_it():
    if CHROMIUM is None:
        raise Skip("chromium is not installed: apt-get install chromium")
    names = {"web": HOSTILE[0], "shop": HOSTILE[1], "mail": HOSTILE[9], "host": HOSTILE[2]}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        text = page_of(folder, [renamed(line, names) for line in LINES])
        with open(os.path.join(folder, "bare.html"), "w", encoding="utf-8") as out:
            out.write(re.sub(r"<script.*?</script>", "", text, flags=re.S))
        url = f"file://{folder}/report.html"
        drawn = chromium(folder, "--dump-dom", url + "#d1")
        bare = chromium(folder, "--dump-dom", f"file://{folder}/bare.html")
        picture = os.path.join(folder, "page.png")
        chromium(folder, f"--screenshot={picture}", url)
        size = os.path.getsize(picture)
        with open(picture, "rb") as image:
            check_equal(image.read(8), b"\x89PNG\r\n\x1a\n", "the screenshot's first bytes")
    check('data-ready="yes"' in drawn, "the script ran to its end, which the policy allows")
    check_equal(drawn.count('class="decision '), len(re.findall(r'<details class="decision ', drawn)) * 2, "marks and decisions")
    check("<svg width=" in drawn and 'class="line"' in drawn and drawn.count('class="layer"') == 3, "the charts")
    check(re.search(r'<div id="picked">.*candidates.*its operator said never', drawn, re.S), "the decision of the link is shown")
    check('id="charts" hidden=""' in bare and "<svg" not in bare and "its operator said never" in bare, "tables without the script")
    check_equal(drawn.count("<script"), 2, "scripts")
    check("<img" not in drawn and "onload" not in re.sub(r">[^<]*<", "><", re.sub(r'"[^"]*"', "", drawn)), "nothing got in")
    check(size > 20000, f"a screenshot of {size} bytes shows nothing")


run_tests([test_the_tables_tell_the_incident_without_a_script, test_the_page_needs_nothing_and_lets_nothing_in,
           test_hostile_names_are_text_and_nothing_else, test_a_page_appears_whole_and_replaces_nothing_unasked,
           test_times_and_summaries, test_what_came_back_stands_beside_what_was_to, test_trims_and_reasons_are_told, test_broken_lines_are_counted_and_half_a_line_is_not_there_yet,
           test_a_huge_record_takes_bounded_memory_and_makes_a_bounded_page, test_a_browser_draws_it])
