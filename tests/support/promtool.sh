#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# promtool.sh - prints the path of Prometheus' promtool: the installed one, or that of Debian's package, downloaded and
# unpacked into the tests' cache and never installed, since the package would start a server.
set -euo pipefail

die() {
    echo "promtool.sh: $*" >&2
    exit 1
}

if command -v promtool; then exit 0; fi
cache=${MEMARB_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/memarb-tests}/promtool
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -x "$cache/promtool" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    (cd "$work" && apt-get -q -o APT::Sandbox::User=root download prometheus) >"$work/log" 2>&1 ||
        { cat "$work/log" >&2; die "cannot download prometheus (apt-get update needed?)"; }
    dpkg-deb -x "$work"/prometheus_*.deb "$work/root"
    mv "$work/root/usr/bin/promtool" "$cache/promtool"
fi
echo "$cache/promtool"
