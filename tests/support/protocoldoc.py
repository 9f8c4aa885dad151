# SPDX-License-Identifier: LGPL-2.1-or-later
"""protocoldoc.py - docs/protocol.md in Python, for both ends, written from that page alone.

A second reader of the same page: where it and the C codec of guest-agent/protocol/ disagree over a line, one of the
three is wrong. So nothing here is to be copied from the C code, nor the other way round.

    for line in Cutter().feed(data): ...      # whole lines, without their LF
    read_line(b"memarb/1 rate ...")           # ("rate", {"token": 7, ...}) or Dropped
    write_line("rate", {"token": 7, ...})     # bytes, with the LF
"""
import re

LINE_MAX = 1024  # with its LF
MEMORY_MAX = 1 << 50
TIME_MAX = 1 << 60
ANY_MAX = (1 << 64) - 1
SHARE_MAX = 10000

NUMBER = rb"(?:0|[1-9][0-9]*)"
LINE = re.compile(rb"memarb/(?P<version>" + NUMBER + rb") (?P<kind>[a-z]{1,16})"
                  rb"(?P<pairs>(?: [a-z][a-z0-9_]{0,31}=" + NUMBER + rb")*)")

MEMORY, COUNT, ONE_UP, SHARE, FLAG = (0, MEMORY_MAX), (0, TIME_MAX), (1, TIME_MAX), (0, SHARE_MAX), (0, 1)
REPORT_MUST = {"token": COUNT, "run": ONE_UP, "seq": ONE_UP, "now": COUNT, "alarm": FLAG, "veto": FLAG}
REPORT_MAY = {
    "mem_total": MEMORY, "mem_available": MEMORY, "mem_free": MEMORY, "swap_total": MEMORY, "swap_free": MEMORY,
    "swap_in": COUNT, "swap_out": COUNT, "refaults": COUNT, "oom_kills": COUNT, "some_avg10": SHARE, "full_avg10": SHARE,
    "some_total": COUNT, "full_total": COUNT, "squeeze": ONE_UP, "hook": (0, 5)}
KINDS = {
    "report": (REPORT_MUST, REPORT_MAY),
    "rate": ({"token": ONE_UP, "now": COUNT, "fastest_msec": (100, 10000), "slowest_msec": (100, 10000)}, {}),
    "squeeze": ({"token": ONE_UP, "now": COUNT, "id": ONE_UP, "target": MEMORY, "take": MEMORY,
                 "deadline_msec": (0, 600000)}, {}),
}


class Dropped(Exception):
    """The line is dropped whole; the text is why."""


class Cutter:
    """Cuts a stream into lines; what is longer than LINE_MAX comes out as None, once."""

    def __init__(self):
        self.rest = b""
        self.is_skipping = False

    def feed(self, data):
        lines = []
        for piece in re.findall(rb"[^\n]*\n|[^\n]+", data):
            self.rest += piece
            if not piece.endswith(b"\n"):
                if len(self.rest) >= LINE_MAX:
                    self.rest, self.is_skipping = b"", True
                continue
            line, self.rest = self.rest, b""
            if self.is_skipping or len(line) > LINE_MAX:
                self.is_skipping = False
                lines.append(None)
            elif line != b"\n":
                lines.append(line[:-1])
        return lines


def read_pairs(text, known):
    pairs = {}
    for pair in text.split():
        key, number = pair.decode().split("=")
        if key in pairs and key in known:
            raise Dropped("twice the same key")
        pairs[key] = int(number)
        if pairs[key] > ANY_MAX:
            raise Dropped("a number of 2^64 or more")
    return pairs


def bounded(pairs, must, may):
    missing = must.keys() - pairs.keys()
    if missing:
        raise Dropped(f"without {', '.join(sorted(missing))}")
    values = {}
    for key, (low, high) in {**must, **may}.items():
        if key in pairs:
            if not low <= pairs[key] <= high:
                raise Dropped(f"{key} out of bounds")
            values[key] = pairs[key]
    return values


def read_line(line):
    match = LINE.fullmatch(line)
    if match is None:
        raise Dropped("not a line of this form")
    if match["version"] != b"1" or match["kind"].decode() not in KINDS:
        raise Dropped("another version or kind")
    kind = match["kind"].decode()
    must, may = KINDS[kind]
    values = bounded(read_pairs(match["pairs"], {**must, **may}), must, may)
    if kind == "report" and ("squeeze" in values) != ("hook" in values):
        raise Dropped("squeeze and hook not together")
    if kind == "rate" and values["fastest_msec"] > values["slowest_msec"]:
        raise Dropped("fastest above slowest")
    return kind, values


def write_line(kind, values):
    text = f"memarb/1 {kind}" + "".join(f" {key}={value}" for key, value in values.items()) + "\n"
    return text.encode()
