#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Metrics as Prometheus sees them: a real memarbd's answers, read by Prometheus' own promtool and by its Python client's strict
OpenMetrics parser; the alert rules and the dashboard name nothing that memarbd does not say."""
import contextlib
import json
import os
import re
import socket
import subprocess

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_text

from arbiter import Arbiter, GuestHost
from taptest import Skip, check, check_equal, run_tests
from tinyguest import MIB, Lab, wait_for

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
EXAMPLES = os.path.join(ROOT, "examples", "metrics")


def promtool(*args, text=None):
    found = subprocess.run([os.path.join(ROOT, "tests/support/promtool.sh")], stdout=subprocess.PIPE, text=True,
                           stderr=subprocess.PIPE, check=False)
    if found.returncode != 0:
        raise Skip(f"no promtool: {found.stderr.strip()}")
    return subprocess.run([found.stdout.strip(), *args], input=text, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)


def scrape(address, accept="text/plain"):
    """Status line, headers and body of one request."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as sock:
        sock.settimeout(20)
        sock.connect(address)
        sock.sendall(f"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while True:
            more = sock.recv(1 << 16)
            if not more:
                break
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode(), body.decode()


def values(body, name):
    """label set -> value of the samples called so."""
    return {tuple(sorted(sample.labels.items())): sample.value for family in parse_text(body)
            for sample in family.samples if sample.name == name}


def free_port():
    """Below those that the kernel hands out by itself, so that nobody takes it before memarbd does."""
    for port in range(20000 + os.getpid() % 10000, 32000):
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
    raise Skip("no free port")


class Host:
    """Two real guests, a memarbd that tells of them in all three ways."""

    def __init__(self, lab):
        folder = lab.path("metrics")
        self.port = free_port()
        self.socket, self.file = os.path.join(folder, "socket"), os.path.join(folder, "memarb.prom")
        self.guests = GuestHost(lab, "metrics", {"Metrics.Socket": self.socket, "Metrics.Port": str(self.port),
                                                 "Metrics.File": self.file, "Metrics.FileInterval": "1s"},
                                names=("web", "mail"))

    def body(self, accept="text/plain"):
        return scrape(self.socket, accept)[1]


def test_all_three_ways_say_the_same(host):
    head, over_socket = scrape(host.socket)
    check(head.startswith("HTTP/1.1 200"), head)
    over_port = scrape(("127.0.0.1", host.port))[1]
    wait_for(lambda: os.path.exists(host.file), 20, "the file")
    with open(host.file, encoding="utf-8") as text:
        in_file = text.read()
    names = [{family.name for family in parse_text(body)} for body in (over_socket, over_port, in_file)]
    check(len(names[0]) > 30, f"families: {names[0]}")
    check_equal(names[1], names[0], "families over the port")
    check_equal(names[2], names[0], "families in the file")


def test_figures_are_those_of_the_guests(host):
    known = host.guests.arbiter.guests()
    body = host.body()
    for name, guest in known.items():
        labels = (("name", name), ("uuid", guest["uuid"]))
        check_equal(values(body, "memarb_guest_memory_max_bytes")[labels], guest["max_bytes"], f"maximum of {name}")
        resident = values(body, "memarb_guest_resident_bytes")[labels]
        check(abs(resident - guest["resident_bytes"]) < 64 * MIB, f"resident memory of {name}: {resident}")
    check_equal(values(body, "memarb_guests")[()], len(known), "number of guests")
    check_equal(values(body, "memarb_armed")[(("rung", "kill"),)], 1, "armed")


def test_promtool_finds_no_fault(host):
    done = promtool("check", "metrics", text=host.body())
    check_equal((done.returncode, done.stdout.strip()), (0, ""), "promtool check metrics")


def test_open_metrics_is_strict(host):
    body = host.body("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    families = {family.name: family for family in parse_open(body)}
    check_equal(families["memarb_actions_started"].type, "counter", "type of memarb_actions_started")
    check_equal(families["memarb_host_memory_available_bytes"].unit, "bytes", "unit")
    check_equal({sample.labels["name"] for sample in families["memarb_guest_held"].samples}, {"web", "mail"}, "guests")


def test_counters_count_what_memarbd_did(host):
    labels = (("action", "kill"),)
    check_equal(values(host.body(), "memarb_actions_started_total")[labels], 0, "kills at first")
    host.guests.short()
    wait_for(host.guests.dead, 60, "a victim")
    wait_for(lambda: values(host.body(), "memarb_actions_ended_total")[labels + (("result", "done"),)] == 1, 30,
             "the kill in the counters")
    wait_for(lambda: values(host.body(), "memarb_guests")[()] == 1, 30, "one guest left")
    check_equal(values(host.body(), "memarb_incident_victims")[()], 1, "victims of the incident")


def unknown_matchers(content, body):
    """name{label="value"} of the content that no series of the body is chosen by, one by one what a | joins."""
    wrong = []
    for name, matchers in re.findall(r"\b(memarb_[a-z_]+)\{([^}]*)\}", content):
        for label, is_regex, value in re.findall(r'(\w+)\s*!?=(~?)\s*\\?"([^"\\]*)', matchers):
            there = {dict(labels).get(label) for labels in values(body, name)} - {None}
            if not there:
                continue  # such as the time left, which is told while memory shrinks
            for part in value.split("|") if is_regex else [value]:
                if label != "instance" and not any(re.fullmatch(part if is_regex else re.escape(part), one) for one in there):
                    wrong.append(f"{name}: no {label}={part}, but {sorted(there)}")
    return wrong


def test_rules_and_dashboard_name_what_there_is(host):
    said = {family.name for family in parse_text(host.body())}
    said |= {sample.name for family in parse_text(host.body()) for sample in family.samples}
    for file in ("memarb-alerts.yml", "memarb-dashboard.json"):
        with open(os.path.join(EXAMPLES, file), encoding="utf-8") as text:
            content = text.read()
        named = set(re.findall(r"\bmemarb_[a-z_]+", content))
        check(named, f"{file} names metrics")
        check_equal(sorted(named - said), [], f"metrics in {file} that memarbd does not have")
        check_equal(unknown_matchers(content, host.body()), [], f"values in {file} that no label has")
    with open(os.path.join(EXAMPLES, "memarb-alerts.yml"), encoding="utf-8") as text:
        alerts = re.findall(r"- alert: (\w+)(?s:.*?)runbook: (\S+)", text.read())
    with open(os.path.join(ROOT, "docs/runbooks.md"), encoding="utf-8") as text:
        sections = re.findall(r"^## (\w+)$", text.read(), re.M)
    check_equal([name for name, _ in alerts], sections, "alerts, and sections of the runbooks")
    check_equal([link for _, link in alerts], [f"docs/runbooks.md#{name.lower()}" for name in sections], "links")
    done = promtool("check", "rules", os.path.join(EXAMPLES, "memarb-alerts.yml"))
    check_equal(done.returncode, 0, f"promtool check rules: {done.stdout}")
    done = promtool("test", "rules", os.path.join(EXAMPLES, "memarb-alerts-test.yml"))
    check_equal(done.returncode, 0, f"promtool test rules: {done.stdout}")


def panel_cells(panel):
    at = panel["gridPos"]
    return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}


def test_the_dashboard_is_well_formed(host):
    """No Grafana is at hand: what it asks of a dashboard by its documentation, and each query as Prometheus' own parser sees it."""
    with open(os.path.join(EXAMPLES, "memarb-dashboard.json"), encoding="utf-8") as text:
        dashboard = json.load(text)
    panels, taken = dashboard["panels"], set()
    check_equal(len({panel["id"] for panel in panels}), len(panels), "panels, by id")
    expressions = []
    for panel in panels:
        title, cells = panel["title"], panel_cells(panel)
        check(cells and all(0 <= x < 24 for x, _ in cells) and not cells & taken, f"place of {title}: {panel['gridPos']}")
        taken |= cells
        check_equal(panel["datasource"], {"type": "prometheus", "uid": "${source}"}, f"data source of {title}")
        check_equal(len({target["refId"] for target in panel["targets"]}), len(panel["targets"]), f"queries of {title}")
        expressions += [target["expr"].replace("$instance", "host:9090") for target in panel["targets"]]
    rules = {"groups": [{"name": "dashboard", "rules": [{"record": f"panel:query:{i}", "expr": expression}
                                                        for i, expression in enumerate(expressions)]}]}
    file = os.path.join(os.path.dirname(host.file), "dashboard-rules.yml")
    with open(file, "w", encoding="utf-8") as text:
        json.dump(rules, text)  # JSON is YAML
    done = promtool("check", "rules", file)
    check_equal(done.returncode, 0, f"queries of the dashboard: {done.stdout}")


def test_what_is_new_is_there_before_it_counts(host):
    """A rule on increase() needs the series at 0 first."""
    body = host.body()
    for name, labels in (("memarb_kernel_kills_total", {"cause": "host"}),
                         ("memarb_starts_judged_total", {"result": "refused"}),
                         ("memarb_vetoes_total", {}), ("memarb_agent_quarantines_total", {})):
        check_equal(values(body, name)[tuple(labels.items())], 0, name)
    check(values(body, "memarb_pin_budget_bytes")[()] > 0, "the budget of pins")
    check_equal(values(body, "memarb_agents")[(("state", "fresh"),)], 0, "agents")


def said_at_the_end(sock):
    """b"" also where the end came before memarbd had read what was sent: then the kernel calls it a reset."""
    try:
        return sock.recv(1)
    except ConnectionResetError:
        return b""


def test_a_scrape_in_mid_shutdown_ends(host):
    """Connections are open, one of them half-way through a request, when memarbd is told to end."""
    with socket.socket(socket.AF_UNIX) as half, socket.socket(socket.AF_UNIX) as silent:
        for sock in (half, silent):
            sock.settimeout(30)
            sock.connect(host.socket)
        half.sendall(b"GET /metr")
        check_equal(host.guests.arbiter.stop(), 0, "exit status")
        check_equal((said_at_the_end(half), said_at_the_end(silent)), (b"", b""), "what the clients got: the end of their connection")
    check(not os.path.exists(host.socket) and not os.path.exists(host.file), "socket and file are gone")


with Lab() as the_lab:
    the_host = Host(the_lab)
    with the_host.guests:
        run_tests([test_all_three_ways_say_the_same, test_figures_are_those_of_the_guests,
                  test_promtool_finds_no_fault, test_open_metrics_is_strict, test_what_is_new_is_there_before_it_counts, test_counters_count_what_memarbd_did,
                  test_rules_and_dashboard_name_what_there_is, test_the_dashboard_is_well_formed, test_a_scrape_in_mid_shutdown_ends], the_host)
