#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who else speaks to memarbd's monitor socket: a program that is no guest, one that dials in without end, two QEMUs of one
uuid, more guests than MaxGuests=. Nobody's place is taken, what is not watched is told, the journal is not flooded."""
import socket
import sys
import time

from arbiter import Arbiter, BareGuest, GuestHost
from taptest import check, check_equal, run_tests
from tinyguest import Lab, wait_for

PLACES = 4
# Greets as QEMU does, answers so many commands with nothing, and hangs up or stays.
STRANGER = """
import json, socket, sys, time
kept = []
for _ in range(int(sys.argv[2])):
    monitor = socket.socket(socket.AF_UNIX)
    kept.append(monitor)
    try:
        monitor.connect(sys.argv[1])
        monitor.sendall(b'{"QMP":{"version":{"qemu":{"micro":0,"minor":2,"major":7},"package":""},"capabilities":[]}}\\n')
    except OSError:
        continue
    lines = monitor.makefile()
    for line in range(int(sys.argv[3])):
        monitor.sendall(json.dumps({"return": {}, "id": json.loads(lines.readline()).get("id")}).encode() + b"\\n")
print("done", flush=True)
time.sleep(float(sys.argv[4]))
"""


# A monitor that memarbd dials itself is given up after this silence.
DEFAULT_PATIENCE_SECONDS = 3
GREETING = b'{"QMP":{"version":{"qemu":{"micro":0,"minor":2,"major":7},"package":""},"capabilities":[]}}\n'


def stranger(lab, name, arbiter, times, answers, stay_seconds):
    return lab.process(name, [sys.executable, "-c", STRANGER, arbiter.dial, str(times), str(answers), str(stay_seconds)])


def complaints(arbiter, words):
    return [line for line in arbiter.log().splitlines() if words in line]


def test_passers_by_take_no_guests_place(lab):
    arbiter = Arbiter(lab, {"MaxGuests": str(PLACES), "Budget": "4GiB"}, name="passers").start()
    for number in range(2 * PLACES):
        # Named by then: it has answered the first command, and ends before it says what it is.
        check_equal(stranger(lab, f"passer{number}", arbiter, 1, 1, 0.3).wait_exit(), 0, "the stranger's end")
    guest = BareGuest(lab, "late", 64, dial=arbiter.dial)
    arbiter.wait_guests(1)
    guest.kill()
    arbiter.end()


def test_one_process_cannot_keep_the_others_out(lab):
    arbiter = Arbiter(lab, {"MaxGuests": str(PLACES), "Budget": "4GiB"}, name="flooded").start()
    flood = stranger(lab, "flood", arbiter, 500, 0, 60)
    wait_for(lambda: "done" in flood.log_text(), 30, "500 connections")
    guest = BareGuest(lab, "beside", 64, dial=arbiter.dial)
    wait_for(lambda: "beside" in arbiter.guests(), 10, "the guest beside the flood")
    check(len(complaints(arbiter, "dials in again and again")) <= 2, "one line for all, not one each")
    flood.kill()
    guest.kill()
    arbiter.end()


def test_a_qemu_that_is_long_in_starting_is_waited_for(lab):
    # It dials in first and speaks once its memory is pinned; hung up on before, QEMU 7.2 may end with SIGSEGV.
    arbiter = Arbiter(lab, {"Budget": "4GiB"}, name="slow").start()
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(arbiter.dial)
        time.sleep(DEFAULT_PATIENCE_SECONDS + 2)
        monitor.sendall(GREETING)
        monitor.settimeout(60)
        check(b"qmp_capabilities" in monitor.recv(4096), "it is spoken to after a long silence")
    arbiter.end()


def test_second_qemu_of_a_uuid_is_told_once(lab):
    arbiter = Arbiter(lab, {"Budget": "4GiB"}, name="twins").start()
    first = BareGuest(lab, "twin", 64, dial=arbiter.dial)
    arbiter.wait_guests(1)
    second = lab.process("other", [arg.replace(first.qmp_path, first.qmp_path + "2") for arg in first.popen.args])
    wait_for(lambda: complaints(arbiter, f"process {second.pid} is refused"), 15, "a word about the second")
    # It dials again every second.
    time.sleep(4)
    check_equal(len(complaints(arbiter, "is refused")), 1, "lines")
    check_equal(arbiter.guest("twin")["pid"], first.pid, "the guest is still the first one")
    second.kill()
    first.kill()
    arbiter.end()


def test_more_sockets_than_places_are_told(lab):
    guests = [BareGuest(lab, f"many{number}", 64) for number in range(3)]
    sockets = " ".join(guest.qmp_path for guest in guests)
    arbiter = Arbiter(lab, {"MaxGuests": "2", "Budget": "4GiB", "QmpSockets": sockets}, name="few").start().wait_guests(2)
    wait_for(lambda: complaints(arbiter, "raise MaxGuests="), 15, "a word about the third")
    watched = {guest["pid"] for guest in arbiter.guests().values()}
    left_out = [guest for guest in guests if guest.popen.pid not in watched]
    check_equal(len(left_out), 1, "guests without a place")
    check(left_out[0].qmp_path in complaints(arbiter, "raise MaxGuests=")[0], "it names the socket")
    for guest in guests:
        guest.kill()
    arbiter.end()


def test_shutdown_timeout_of_the_host_holds(lab):
    # Nothing runs in a bare guest: it never answers the power button, so the next one's turn comes with the timeout.
    rules = {"name:web": {"Impact": "5", "Actions": "shutdown"}, "name:mail": {"Impact": "50", "Actions": "kill"},
             "name:shop": {"Impact": "900", "Actions": "kill"}}
    with GuestHost(lab, "timeout", {"ShutdownTimeout": "3s"}, guests=rules) as host:
        setting = {row["name"]: row for row in host.arbiter.json("explain", "web")["settings"]}["shutdown-timeout"]
        check_equal((setting["value"], setting["from"]), ("3.0s", "rule"), "as explained")
        host.short()
        wait_for(lambda: "mail" in host.dead(), 30, "the next victim")
        button, kill = host.arbiter.wait_actions(count=2)
        check_equal((button["name"], kill["name"]), ("web", "mail"), "who it was done to")
        took = (kill["realtime_usec"] - button["realtime_usec"]) / 1e6
        check(2.5 <= took < 60, f"the next one came {took:.1f} s after the first, not after the built-in 60 s")
        host.stands(1, "no third", but=("mail",))


with Lab() as the_lab:
    run_tests([test_passers_by_take_no_guests_place, test_one_process_cannot_keep_the_others_out,
               test_a_qemu_that_is_long_in_starting_is_waited_for,
               test_second_qemu_of_a_uuid_is_told_once, test_more_sockets_than_places_are_told,
               test_shutdown_timeout_of_the_host_holds], the_lab)
