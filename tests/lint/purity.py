#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""purity.py ARCHIVE... - the core, the policies and the protocol of the guest agent do no I/O, read no clock and allocate
nothing: whatever their archives need from outside is on this list. Run on a plain build; sanitizers and coverage add
symbols of their own."""
import re
import subprocess
import sys

from tree import report

# __divti3 and its like: libgcc's arithmetic on 128 bits. bcmp: clang's name for a memcmp whose sign nobody asks for. *_chk: the same functions under _FORTIFY_SOURCE.
ALLOWED = re.compile(r"^(mem(cpy|move|set|cmp|chr)|bcmp|str(cmp|ncmp|len|nlen)|__mem(cpy|move|set)_chk|__stack_chk_fail"
                     r"|__u?(div|mod|divmod|mul)ti[34]|_GLOBAL_OFFSET_TABLE_|mag?_\w+)$")


def impure(archive):
    done = subprocess.run(["nm", "--undefined-only", "--print-file-name", archive], stdout=subprocess.PIPE, check=True, text=True)
    defined = subprocess.run(["nm", "--defined-only", archive], stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    complaints = []
    for line in done.stdout.splitlines():
        where, _, symbol = line.rpartition(" U ")
        if symbol and not ALLOWED.match(symbol) and symbol not in defined:
            complaints.append(f"{where.strip().rstrip(':')}: needs {symbol}")
    return complaints


report([(f"{path.rpartition('/')[2]} needs nothing impure", lambda path=path: impure(path)) for path in sys.argv[1:]])
