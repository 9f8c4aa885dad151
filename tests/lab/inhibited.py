# SPDX-License-Identifier: LGPL-2.1-or-later
"""inhibited.py - no guest whose balloon returns nothing to the host was told to inflate it: memarbd's record says when a guest was
one, QEMU's own trace what it was told, whoever told it."""
import collections
import re

COMMAND = re.compile(r"(\d+)@(\d+)\.(\d{6}):virtio_balloon_to_target balloon target: 0x([0-9a-f]+)")
# A guest that still starts will have a balloon.
PASSING = {"starting"}
# First and last moment at which the record has it inhibited, and its size.
Span = collections.namedtuple("Span", "name first_usec last_usec size")


def commands(log):
    """[(process, moment in usec, bytes), ...] of a guest's log."""
    return [(pid, int(seconds) * 1000000 + int(micros), int(size, 16)) for pid, seconds, micros, size in COMMAND.findall(log)]


def inhibited_in(line):
    """{uuid: guest} of a line of the record."""
    return {guest["uuid"]: guest for guest in line["snapshot"]["guests"]
            if set(guest.get("balloon", {}).get("inhibited_by", [])) - PASSING}


def spans_of(lines):
    """From lines of the record, oldest first. A guest is inhibited until a line says otherwise, or memarbd is another one."""
    spans, begun, now = [], {}, 0
    for line in lines:
        is_start = "record" in line
        if not is_start and "snapshot" not in line:
            continue
        now = line["started_realtime_usec"] if is_start else line["realtime_usec"]
        found = {} if is_start else inhibited_in(line)
        for uuid in [uuid for uuid in begun if uuid not in found]:
            first, guest = begun.pop(uuid)
            spans.append(Span(guest["name"], first, now, guest["max_bytes"]))
        for uuid, guest in found.items():
            begun.setdefault(uuid, (now, guest))
    return spans + [Span(guest["name"], first, now, guest["max_bytes"]) for first, guest in begun.values()]


def inflating(log, span):
    """Commands within the span that asked for less than the one before; the first one for less than the guest's memory. A QEMU that
    was started meanwhile, under the same name, is another guest."""
    found, last, running = [], span.size, None
    for pid, moment, size in commands(log):
        if moment <= span.first_usec or running is None:
            running = pid
        if pid == running and span.first_usec < moment <= span.last_usec and size < last:
            found.append((span.name, moment, size))
        last = size
    return found


def planned(lines):
    """The record's own armed actions of that kind."""
    found = []
    for line in lines:
        if "snapshot" in line:
            names = {guest["name"] for guest in inhibited_in(line).values()}
            found += [action for action in line["plan"].get("actions", []) if action.get("name") in names
                      and action["action"] == "balloon" and action.get("armed") and action["to_bytes"] < action["from_bytes"]]
    return found


def check(host, began_usec):
    """A point, if anybody was inhibited since; else a note."""
    lines = [line for line in host.memarb.decisions()
             if line.get("started_realtime_usec", line.get("realtime_usec", 0)) >= began_usec]
    spans, logs = spans_of(lines), host.qemu_logs()
    told = sum(moment >= began_usec for log in logs.values() for _, moment, _ in commands(log))
    names = sorted({span.name for span in spans})
    if not spans:
        host.note(f"no guest whose balloon is inhibited; balloon commands to all guests: {told}")
        return
    bad = [command for span in spans for command in inflating(logs.get(span.name, ""), span)] + planned(lines)
    host.point(not bad, f"no command to inflate reached a guest that is inhibited ({', '.join(names)}), by its QEMU's trace and "
               "by the record", bad[:3])
    host.note(f"balloon commands to all guests: {told}")
