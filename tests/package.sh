#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# tests/package.sh - builds memarb's Debian packages in a copy of this tree and looks at them: lintian, what is in them, a program of
# somebody else's against the -dev package on a real QEMU. The last line is "N passed, N failed, N skipped"; the exit status is 0
# only if nothing failed. That they install, upgrade and go is shown by tests/lab/run.sh package.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=/dev/null
. "$here/support/packages.sh"
PACKAGES_CONSUMER="pkg-config gcc qemu-system-x86"
yes='' debs='' passed=0 failed=0 skipped=0

usage() {
    cat <<'USAGE'
usage: tests/package.sh [-y] [--debs DIR]
  --debs DIR   look at the packages that tests/support/debs.sh made there
  -y           install missing Debian packages without asking
USAGE
}

while [ $# -gt 0 ]; do
    case $1 in
    -y) yes=yes ;;
    --debs)
        [ $# -ge 2 ] || { usage >&2; exit 2; }
        debs=$2
        shift
        ;;
    -h | --help)
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

work=$(mktemp -d "${MEMARB_TEST_TMP:-/tmp}/memarb-package.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

close() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit
}

point() { # name, command...: what it says is shown when it fails
    local name=$1 log=$work/log
    shift
    if "$@" >"$log" 2>&1 </dev/null; then
        passed=$((passed + 1))
        echo "ok - package: $name"
    else
        failed=$((failed + 1))
        tail -n 30 "$log" | sed 's/^/# /'
        echo "not ok - package: $name"
    fi
}

unpack() { # package: its tree below $work
    local deb
    deb=$(find "$debs" -maxdepth 1 -name "$1_*.deb")
    mkdir -p "$work/$1" && dpkg-deb -x "$deb" "$work/$1"
}

# shellcheck disable=SC2317 # called by name, through point
lintian_is_silent() {
    local said
    said=$(lintian --allow-root --fail-on none -I --pedantic "$debs"/*.changes 2>&1 | grep -E '^[EWIP]: ')
    [ -z "$said" ] || { printf '%s\n' "$said"; return 1; }
}

# shellcheck disable=SC2317
has_files() { # package, paths...
    local root=$work/$1 path status=0
    shift
    for path in "$@"; do
        [ -e "$root/$path" ] || { echo "$path is missing"; status=1; }
    done
    return "$status"
}

# shellcheck disable=SC2317
has_debug_symbols() {
    local package
    for package in memarb-dbgsym memarb-guest-agent-dbgsym; do
        unpack "$package" && [ -n "$(find "$work/$package/usr/lib/debug/.build-id" -name '*.debug')" ] || return 1
    done
}

# shellcheck disable=SC2317
starts_unarmed() {
    ! grep -qE '^ *(Arm|DryRun)=' "$work/memarb/etc/memarb/memarb.conf" &&
        "$work/memarb/usr/bin/memarbctl" check-config "$work/memarb/etc/memarb/memarb.conf"
}

# shellcheck disable=SC2317
stands_alone() { # the installed program finds its helper without its source
    "$work/memarb/usr/bin/memarbctl" show --xml "$here/../examples/domain.xml"
}

# shellcheck disable=SC2317
consumer_works() {
    local root=$work/libmemarb-qmp-dev socket=$work/qmp.sock qemu status pc
    pc=$(dirname "$(find "$root" -name memarb-qmp.pc)")
    export PKG_CONFIG_PATH=$pc
    # shellcheck disable=SC2046 # words
    gcc -Wall -Werror -o "$work/consumer" "$here/support/qmp-consumer.c" \
        $(pkg-config --define-variable=prefix="$root/usr" --cflags --libs memarb-qmp) || return 1
    qemu-system-x86_64 -M none -nodefaults -display none -qmp "unix:$socket,server=on,wait=off" &
    qemu=$!
    "$work/consumer" "$socket"
    status=$?
    kill "$qemu"
    wait "$qemu"
    return "$status"
}

# shellcheck disable=SC2086 # lists of words
install_packages "$yes" $PACKAGES_BUILD $PACKAGES_DEBS $PACKAGES_CONSUMER || { failed=1; close; }
if [ -z "$debs" ]; then
    debs=$work/debs
    point "they build" "$here/support/debs.sh" "$debs"
    [ "$failed" -eq 0 ] || close
fi
for package in memarb memarb-guest-agent libmemarb-qmp-dev; do
    unpack "$package" || { failed=1; close; }
done
point "lintian has nothing to say, down to pedantic" lintian_is_silent
point "memarb is whole" has_files memarb usr/sbin/memarbd usr/bin/memarbctl usr/libexec/memarb/memarb-domain \
    lib/systemd/system/memarbd.service lib/systemd/system/memarb-release.service usr/lib/sysusers.d/memarb.conf \
    usr/lib/tmpfiles.d/memarb.conf usr/lib/systemd/catalog/memarb.catalog etc/memarb/memarb.conf etc/memarb/memarb.conf.d \
    usr/share/man/man1/memarbctl.1.gz usr/share/man/man5/memarb.conf.5.gz usr/share/man/man8/memarbd.8.gz \
    usr/share/bash-completion/completions/memarbctl usr/share/zsh/vendor-completions/_memarbctl \
    usr/share/memarb/memarb-guest.rng usr/share/memarb/io.memarb.Arbiter.varlink \
    usr/share/doc/memarb/examples/hooks/qemu usr/share/doc/memarb/examples/metrics/memarb-alerts.yml
point "memarb-guest-agent is whole" has_files memarb-guest-agent usr/sbin/memarb-guest-agent etc/memarb/guest-agent.conf \
    lib/systemd/system/memarb-guest-agent.service usr/share/man/man8/memarb-guest-agent.8.gz
point "both programs' debug symbols are there" has_debug_symbols
point "as installed nothing is armed" starts_unarmed
point "the command finds its helper" stands_alone
point "a program of somebody else's speaks to QEMU through libmemarb-qmp-dev" consumer_works
close
