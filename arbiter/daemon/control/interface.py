#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""interface.py ARBITER.varlink SERVICE.varlink OUT.c - interface descriptions as C strings."""
import sys


def literal(path):
    with open(path, encoding="ascii") as file:
        lines = file.read().splitlines()
    quoted = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return "\n".join(f'    "{line}\\n"' for line in quoted)


def main():
    arbiter, service, out = sys.argv[1:]
    with open(out, "w", encoding="ascii") as file:
        file.write('/* made by interface.py */\n#include "interface.h"\n\n')
        file.write(f"const char ma_interface_arbiter[] =\n{literal(arbiter)};\n")
        file.write(f"const char ma_interface_service[] =\n{literal(service)};\n")


main()
