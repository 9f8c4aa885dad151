#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""schema.py SCHEMA.rng OUT.c - the schema as a C string."""
import sys

source, out = sys.argv[1:]
with open(source, encoding="ascii") as text:
    lines = [line.replace("\\", "\\\\").replace('"', '\\"') for line in text.read().splitlines()]
with open(out, "w", encoding="ascii") as text:
    text.write('/* made by schema.py */\n#include "guest-element.h"\n\nconst char ma_guest_schema[] =\n')
    text.write("\n".join(f'    "{line}\\n"' for line in lines) + ";\n")
