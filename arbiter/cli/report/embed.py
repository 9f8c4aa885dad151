#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""embed.py PAGE.css PAGE.js OUT.c - style and script as C strings, and the policy that lets a browser run these alone."""
import base64
import hashlib
import sys


def literal(text):
    quoted = (line.replace("\\", "\\\\").replace('"', '\\"') for line in text.splitlines())
    return "\n".join(f'    "{line}\\n"' for line in quoted)


def source(text):
    """What a policy says of an inline element: the hash of all that stands between its tags."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def main():
    texts = []
    for path in sys.argv[1:3]:
        with open(path, encoding="ascii") as file:
            texts.append(file.read())
    style, script = texts
    policy = f"default-src 'none'; style-src {source(style)}; script-src {source(script)}; base-uri 'none'; form-action 'none'"
    with open(sys.argv[3], "w", encoding="ascii") as file:
        file.write('/* made by embed.py */\n#include "page-parts.h"\n\n')
        file.write(f"const char report_style[] =\n{literal(style)};\nconst char report_script[] =\n{literal(script)};\n")
        file.write(f'const char report_policy[] = "{policy}";\n')


main()
