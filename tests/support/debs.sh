#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# debs.sh OUT [VERSION...] - memarb's Debian packages, built in a copy of this tree, into OUT: *.deb and the *.changes of the
# changelog's version; for each VERSION the same again under that version (nothing is compiled twice), in OUT/VERSION.
# The packages' own run of the tests is left out; DEB_BUILD_OPTIONS= (set and empty) has it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if [ $# -lt 1 ] || [ "${1#-}" != "$1" ]; then
    echo "usage: debs.sh OUT [VERSION...]" >&2
    exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
export DEB_BUILD_OPTIONS=${DEB_BUILD_OPTIONS-nocheck}

work=$(mktemp -d "${MEMARB_TEST_TMP:-/tmp}/memarb-debs.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/memarb"

# What git tracks and what is new, or everything in a tree that is no clone.
copy_tree() {
    if git -C "$root" -c "safe.directory=$root" rev-parse --git-dir >/dev/null 2>&1; then
        git -C "$root" -c "safe.directory=$root" ls-files -z --cached --others --exclude-standard
    else
        (cd "$root" && find . -type f -print0)
    fi | (cd "$root" && while IFS= read -r -d '' file; do
        [ ! -e "$file" ] || printf '%s\0' "$file"
    done | tar --null -T - -c) | tar -C "$work/memarb" -x
}

new_version() { # version
    {
        printf 'memarb (%s) unstable; urgency=medium\n\n  * Another version.\n\n' "$1"
        grep -m 1 '^ -- ' debian/changelog
        echo
        cat debian/changelog
    } >"$work/changelog"
    cp "$work/changelog" debian/changelog
}

copy_tree
cd "$work/memarb"
dpkg-buildpackage -us -uc -b
mv "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo "$out/"
for version in "$@"; do
    new_version "$version"
    dpkg-buildpackage -us -uc -b -nc
    mkdir -p "$out/$version"
    mv "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo "$out/$version/"
done
