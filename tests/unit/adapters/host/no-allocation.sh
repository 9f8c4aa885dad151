#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# no-allocation.sh ARCHIVE NM - the host adapters run when memory is short: nothing in them may be able to allocate.
set -euo pipefail
found=$("$2" -u "$1" | awk '$1 == "U" && $2 ~ /^(malloc|calloc|realloc|reallocarray|posix_memalign|aligned_alloc|strdup|strndup|asprintf|vasprintf|getline|getdelim|fopen|fdopen|opendir|fdopendir|scandir|open_memstream)$/ { print $2 }' | sort -u)
echo "1..1"
if [ -n "$found" ]; then
    echo "not ok 1 - allocates through: $found"
    exit 1
fi
echo "ok 1 - nothing in the library can allocate"
