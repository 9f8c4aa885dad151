# SPDX-License-Identifier: LGPL-2.1-or-later
"""keep-plain.py NAME - lines on stdin, shown and kept as one result each: the text, and what in it is key=value."""
import sys

from benchlib import emit


def value_of(text):
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


for line in sys.stdin:
    print(line, end="", flush=True)
    fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
    if line.strip():
        emit(sys.argv[1], {"text": line.strip()} | {key: value_of(value) for key, value in fields.items()})
