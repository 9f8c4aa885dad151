#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# quickstart.sh - memarb's main job, live, on real guests of its own. On a fresh Debian 12 as root it installs what is
# missing (asks first), builds into a temporary folder, starts a private libvirtd with five small guests and shows how
# memarb takes idle memory, chooses the least-impact victim when that is not enough, and gives everything back.
# The machine's own libvirt, cgroups and services are not touched; nothing is left behind. Under 4 minutes after the
# packages are there. Exit status 0: the host's own figures showed all of it.
set -uo pipefail

usage() {
    cat <<'USAGE'
usage: examples/quickstart.sh [-y] [--build DIR] [--keep] [--help]
  -y           install missing Debian packages without asking
  --build DIR  use memarbd and memarbctl built in this meson folder instead of building
  --keep       keep the build, the logs and memarb's record, and say where they are
USAGE
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
yes=ask build='' keep='' work='' child=''
# shellcheck source=SCRIPTDIR/../tests/support/packages.sh disable=SC1091
. "$root/tests/support/packages.sh"

while [ $# -gt 0 ]; do
    case $1 in
    -y) yes=yes ;;
    --build)
        [ $# -ge 2 ] || { usage >&2; exit 2; }
        build=$(realpath -m "$2")
        shift
        ;;
    --keep) keep=--keep ;;
    --help | -h)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    shift
done

# shellcheck disable=SC2317 # called by trap
clean_up() {
    trap '' INT TERM
    if [ -n "$child" ] && kill -0 "$child" 2>/dev/null; then
        kill -TERM "$child" 2>/dev/null
        wait "$child" 2>/dev/null
    fi
    if [ -n "$work" ] && [ -d "$work" ]; then
        if [ -n "$keep" ]; then echo "kept: $work"; else rm -rf "$work"; fi
    fi
}
trap clean_up EXIT
trap 'echo; echo "interrupted: cleaning up"; exit 130' INT
trap 'exit 143' TERM

# Runs a command in the background and waits, so that a signal is answered at once.
run() {
    "$@" &
    child=$!
    wait "$child"
    local status=$?
    child=''
    return "$status"
}

quietly() { # what, command...
    local what=$1 began=$SECONDS
    shift
    printf '%s ... ' "$what"
    if run "$@" >"$work/log" 2>&1 </dev/null; then
        echo "$((SECONDS - began)) s"
        return 0
    fi
    echo "failed"
    tail -n 40 "$work/log"
    return 1
}

if [ "$(id -u)" -ne 0 ]; then
    echo "quickstart.sh: root is needed for a private libvirtd (mount and network namespaces)" >&2
    exit 1
fi
echo "== 1 of 3: packages"
# shellcheck disable=SC2086
install_packages "$yes" $PACKAGES_GUESTS $PACKAGES_BUILD || exit 1
work=$(mktemp -d /tmp/memarb-quickstart-XXXXXX)
if [ -z "$build" ]; then
    build=$work/build
    echo "== 2 of 3: build"
    quietly "meson setup" meson setup --buildtype=debugoptimized -Dbench=false "$build" "$root" || exit 1
    quietly "compile" ninja -C "$build" arbiter/daemon/memarbd arbiter/cli/memarbctl arbiter/cli/domain/memarb-domain || exit 1
else
    echo "== 2 of 3: using $build"
fi
if [ ! -x "$build/arbiter/daemon/memarbd" ] || [ ! -x "$build/arbiter/cli/memarbctl" ]; then
    echo "quickstart.sh: no memarbd and memarbctl in $build: build them first, or leave --build out" >&2
    exit 1
fi
echo "== 3 of 3: the story"
run /usr/bin/python3 "$root/examples/quickstart/story.py" --build "$build" $keep
exit $?
