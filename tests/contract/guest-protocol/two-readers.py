# SPDX-License-Identifier: LGPL-2.1-or-later
"""two-readers.py LINES CORPUS... - the codec and a second reader of docs/protocol.md (tests/support/protocoldoc.py) take
the same lines and drop the same: those of the fuzz corpora, and made ones, right and nearly right. The seed is printed."""
import os
import random
import subprocess
import sys

from protocoldoc import ANY_MAX, KINDS, LINE_MAX, Cutter, Dropped, read_line, write_line
from taptest import check, check_equal, run_tests

SEED = int(os.environ.get("MEMARB_SEED", random.randrange(1 << 32)))
LINES, CORPORA = sys.argv[1], sys.argv[2:]
sys.argv[1:] = []
PIECES = (1, 7, 1023, 1024, 1025, 4096)


def codec_reads(stream, piece):
    """(what it makes of each line: (kind, values) or None, how many were too long)"""
    result = subprocess.run([LINES, str(piece)], input=stream, capture_output=True, check=True, timeout=60)
    *lines, last = result.stdout.split(b"\n")[:-1]
    return [None if line == b"-" else read_line(line) for line in lines], int(last.split()[1])


def page_reads(stream):
    cut = Cutter().feed(stream)
    verdicts = []
    for line in cut:
        if line is None:
            continue
        try:
            verdicts.append(read_line(line))
        except Dropped:
            verdicts.append(None)
    return verdicts, [line for line in cut if line is not None], cut.count(None)


def compare(stream, pieces, what):
    page, lines, page_dropped = page_reads(stream)
    for piece in pieces:
        codec, dropped = codec_reads(stream, piece)
        for theirs, ours, line in zip(codec, page, lines):
            check_equal(theirs, ours, f"{what}, in pieces of {piece}: the codec's {line!r}")
        check_equal(len(codec), len(page), f"{what}, in pieces of {piece}: lines")
        check_equal(dropped, page_dropped, f"{what}, in pieces of {piece}: lines that are too long")
    return page


def test_the_corpora():
    files = [os.path.join(corpus, name) for corpus in CORPORA for name in sorted(os.listdir(corpus))]
    taken = 0
    for path in files:
        with open(path, "rb") as file:
            stream = file.read()
        # An unfinished line says nothing; one with its end does. The first byte is the fuzz target's.
        for text in (stream + b"\n", stream[1:] + b"\n"):
            taken += sum(verdict is not None for verdict in compare(text, PIECES, os.path.basename(path)))
    check(len(files) > 5 and taken > 5, f"{len(files)} files, {taken} lines taken")


def some_value(rng, low, high):
    return rng.choice((low, high, rng.randint(low, high), min(high, low + rng.randrange(1000))))


def some_line(rng):
    kind = rng.choice(list(KINDS))
    must, may = KINDS[kind]
    keys = list(must) + rng.sample(list(may), rng.randint(0, len(may)))
    values = {key: some_value(rng, *{**must, **may}[key]) for key in keys}
    if ("squeeze" in values) != ("hook" in values):
        values.pop("squeeze", None)
        values.pop("hook", None)
    if kind == "rate":
        values["fastest_msec"], values["slowest_msec"] = sorted((values["fastest_msec"], values["slowest_msec"]))
    pairs = list(values.items())
    rng.shuffle(pairs)
    return kind, dict(pairs)


def test_what_one_writes_the_other_reads():
    rng = random.Random(SEED)
    made = [some_line(rng) for _ in range(4000)]
    stream = b"\n".join(write_line(*line) for line in made)
    for verdict, line in zip(compare(stream, (997,), "made"), made):
        check_equal(verdict, line, "a line that is right, read again")


def near(rng, text):
    """The line with something about it changed: often wrong, sometimes not."""
    words = text.split(b" ")
    at = rng.randrange(len(words))
    odd = rng.choice((0, 1, 9, 99, 100, 10000, 10001, 600001, (1 << 50) + 1, (1 << 60) + 1, ANY_MAX, ANY_MAX + 1))
    change = rng.randrange(10)
    if change == 0:
        del words[at]
    elif change == 1:
        words.insert(rng.randrange(2, len(words) + 1), words[at])
    elif change in (2, 3, 4):
        words[at] = words[at].split(b"=")[0] + b"=%d" % odd
    elif change == 5:
        words.insert(rng.randrange(2, len(words) + 1), b"k" * rng.choice((1, 31, 32, 33)) + b"=%d" % odd)
    elif change == 6:
        words[at] = words[at].replace(b"=", rng.choice((b"=0", b"=-", b"=+", b"= ", b"==", b"=0x", b"=1.", b"")))
    elif change == 7:
        words[0] = rng.choice((b"memarb/0", b"memarb/2", b"memarb/01", b"memarb/", b"Memarb/1", b"memarb/1 ", b""))
    elif change == 8:
        words.append(b"filler_%d=1" % at * rng.choice((1, 90)))
    else:
        spot = rng.randrange(len(text))
        return text[:spot] + bytes([rng.choice(b"\0\t\r =_aZ0\xff\x80")]) + text[spot + rng.randrange(2):]
    return b" ".join(words)


def test_nearly_right_lines():
    rng = random.Random(SEED + 1)
    lines = []
    for _ in range(20000):
        line = write_line(*some_line(rng))[:-1]
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            line = near(rng, line) or b"x"
        if rng.randrange(50) == 0:
            line += b" z=1" * 400
            line = line[:LINE_MAX + rng.randrange(-3, 3)]
        lines.append(line)
    verdicts = compare(b"\n".join(lines) + b"\n", (4096, 313), "nearly right")
    taken = sum(verdict is not None for verdict in verdicts)
    print(f"# {taken} of {len(verdicts)} lines taken")
    check(len(verdicts) / 20 < taken < len(verdicts) * 19 / 20, "both verdicts are there often enough")


print(f"# seed {SEED}: MEMARB_SEED={SEED} to see it again")
run_tests([test_the_corpora, test_what_one_writes_the_other_reads, test_nearly_right_lines])
