#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# tests/lab/run.sh - scenarios on memarb's own virtual host: Debian with systemd, libvirt, KVM, VFIO, two NUMA nodes, swap
# and cgroup v2, emulated, made from packages alone. One boot for all scenarios asked for; the last line is
# "N passed, N failed, N skipped", counted by single points; the exit status is 0 only if nothing failed.
set -uo pipefail

usage() {
    cat <<'USAGE'
usage: tests/lab/run.sh [-y] [--short | --long] [--repeat N] [--build DIR] [--keep] [--shell] [--list] [SCENARIO...]
  --short      the scenarios that every change must pass, in one boot (the default)
  --long       all of them
  --repeat N   of scenarios that are pairs (the same trouble without and with memarb) N pairs each, in one boot, and a line
               that counts them: "TALLY ..."; a run without memarb in which nobody dies is void and made again
  --build DIR  take memarb from this build folder (set up with --prefix=/usr --sysconfdir=/etc) and bring it up to date;
               default: a fresh one, removed afterwards
  --shell      no scenario: a root shell on the virtual host's console; `lab SCENARIO` runs one there, with the scripts as
               they are now in the work tree (/opt/memarb/tests); `exit` ends it, Ctrl-a x at once
  --keep       keep logs, console and journal, and say where they are
  --list       the scenarios, with what each shows
  -y           install missing Debian packages without asking
Needs root and a network for the first run. LAB_NODE0_MIB, LAB_NODE1_MIB, LAB_SWAP_MIB: the virtual host's sizes;
MEMARB_TEST_CACHE: where its disk is kept (0.7 GiB, see host-image.sh); LAB_DEBS: packages that tests/support/debs.sh built;
LAB_APPARMOR=1: boot with AppArmor, for the scenario of that name; LAB_SECONDS: all boots and scenarios in so much time, and what
is not at its end then, or hung twice, counts as skipped, as an image does that cannot be made.
USAGE
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=/dev/null
. "$here/../support/packages.sh"
# Boot and power off of the virtual host; 20-40 s each way were measured.
BOOT_SECONDS=240
# Without a sign of life (watch.py gives one every 20 s) the virtual host hangs.
SILENT_SECONDS=90
# tail ends when QEMU has, which is so only once this shell has looked.
LOOK_SECONDS=5
# Of what is made before: images, which need the network once.
MADE_SECONDS=1800
yes='' keep='' mode=run build='' which=short repeat=0 names=() work='' qemu='' began=$SECONDS
passed=0 failed=0 skipped=0
# Scenarios that ran to their end, the points that had passed by then, and whether the virtual host hung.
finished=' ' passed_then=0 hung=''
# Whether what fails now is no fault of memarb's (an image that cannot be made), and whether LAB_SECONDS is over.
is_foreign='' is_late='' deadline=''

listed() { # short|long|all
    PYTHONPATH=$here /usr/bin/python3 -c '
import sys, catalogue
print(*catalogue.chosen(sys.argv[1]), sep="\n")' "$1"
}

while [ $# -gt 0 ]; do
    case $1 in
    -y) yes=yes ;;
    --short) which=short ;;
    --long) which=long ;;
    --keep) keep=1 ;;
    --shell) mode=shell ;;
    --repeat)
        [[ $# -ge 2 && $2 =~ ^[1-9][0-9]?$ ]] || { usage >&2; exit 2; }
        repeat=$2
        shift
        ;;
    --build)
        [ $# -ge 2 ] || { usage >&2; exit 2; }
        build=$2
        shift
        ;;
    --list)
        PYTHONPATH=$here /usr/bin/python3 -c 'import catalogue; catalogue.show()'
        exit
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    -*)
        usage >&2
        exit 2
        ;;
    *) names+=("$1") ;;
    esac
    shift
done
if [ ${#names[@]} -eq 0 ]; then
    mapfile -t names < <(listed "$which")
fi
# What scenarios about packages need: memarb's, of two versions; examples; which files were carried in beside them.
PACKAGED=" hardening package firsthour apparmor "
NEXT_VERSION=0.1.0+1
known=" $(listed long | tr '\n' ' ') "
for name in "${names[@]}"; do
    [[ $known == *" $name "* ]] || { echo "run.sh: no scenario '$name'; there are:$known" >&2; exit 2; }
done

clean_up() {
    trap '' INT TERM
    if [ -n "$qemu" ]; then
        kill "$qemu" 2>/dev/null
        wait "$qemu" 2>/dev/null
    fi
    [ -n "$work" ] && [ -d "$work" ] || return 0
    if [ -n "$keep" ]; then
        rm -rf "$work"/{carry.tar,installed,guest,build} "$work/out/swap.img"
        echo "kept: $work/out"
    else
        rm -rf "$work"
    fi
}
trap clean_up EXIT
trap 'echo; echo "interrupted"; exit 130' INT
trap 'exit 143' TERM

close_with() { # passed, failed, skipped
    trap - EXIT
    clean_up
    echo "$1 passed, $2 failed, $3 skipped"
    [ "$2" -eq 0 ] && [ "$1" -gt 0 ]
    exit
}

say() { printf '[%3d s] %s\n' $((SECONDS - began)) "$*"; }

quietly() { # what, command... : its output matters only when it fails
    local what=$1
    shift
    say "$what ..."
    if ! "$@" >"$work/log" 2>&1 </dev/null; then
        tail -n 40 "$work/log"
        say "$what: FAILED"
        if [ -n "$is_foreign" ]; then
            echo "skipped lab: $what: $(tail -n 1 "$work/log")"
            close_with 0 0 1
        fi
        close_with 0 1 0
    fi
}

# shellcheck disable=SC2317 # called by name, through quietly
build_memarb() {
    if [ ! -f "$build/build.ninja" ]; then
        meson setup "$build" "$root" --prefix=/usr --sysconfdir=/etc -Dbuildtype=release -Ddebug=true -Dbench=false ||
            return 1
    fi
    # What is installed, and no test; by the work tree as it is now.
    ninja -C "$build" build.ninja || return 1
    meson introspect --targets "$build" | /usr/bin/python3 -c '
import json, os, sys
for target in json.load(sys.stdin):
    if target["installed"]:
        print(os.path.relpath(os.path.realpath(target["filename"][0]), os.path.realpath(sys.argv[1])))' "$build" \
        >"$work/targets"
    xargs -a "$work/targets" ninja -C "$build" &&
        meson install -C "$build" --no-rebuild --destdir "$work/installed"
}

wants_packages() {
    local name
    for name in "${names[@]}"; do
        [[ $PACKAGED != *" $name "* ]] || return 0
    done
    return 1
}

# LAB_DEBS: a folder that debs.sh filled before, in place of building again.
# shellcheck disable=SC2317 # called by name, through quietly
add_packages() {
    local own=$work/installed/opt/memarb
    mkdir -p "$own/debs"
    (cd "$work/installed" && find usr etc ! -type d) >"$own/carried"
    cp -a "$root/examples" "$own/"
    if [ -n "${LAB_DEBS:-}" ]; then
        cp -a "$LAB_DEBS/." "$own/debs/"
    else
        "$here/../support/debs.sh" "$own/debs" "$NEXT_VERSION" || return 1
    fi
    rm -f "$own"/debs/*dbgsym* "$own"/debs/*/*dbgsym*
    if [ "${LAB_APPARMOR:-0}" = 1 ]; then
        (cd "$own/debs" && apt-get -qq download apparmor)
    fi
}

# One line of the scenarios' TAP: shown and counted.
take_line() {
    case $1 in
    "ok "*" # SKIP"*) skipped=$((skipped + 1)) ;;
    "ok "*) passed=$((passed + 1)) ;;
    "not ok "*) failed=$((failed + 1)) ;;
    1..* | "# beat") return ;;
    esac
    if [[ $1 =~ $CLOSING ]]; then
        finished+="${BASH_REMATCH[1]} "
        passed_then=$passed
    fi
    printf '%s\n' "$1"
}

# inside.py's last words on a scenario.
CLOSING='^# \[ *[0-9.]+\] ([a-z]+): [0-9]+ s$'

# What the scenarios say, until their end or QEMU's.
follow() {
    local line='' part status silent=0
    while true; do
        IFS= read -r -t "$LOOK_SECONDS" part
        status=$?
        line+=$part
        if [ "$status" -eq 0 ]; then
            [ "$line" != '# end' ] || break
            take_line "$line"
            line='' silent=0
        elif [ "$status" -le 128 ]; then
            break
        elif [ $((silent += LOOK_SECONDS)) -ge "$SILENT_SECONDS" ]; then
            say "no sign of life for $silent s: the virtual host hangs"
            hung=1
            timeout 60 /usr/bin/python3 "$here/hung.py" "$work/out"
            kill "$qemu" 2>/dev/null
            break
        fi
    done < <(tail -n +1 -f --pid="$qemu" "$work/out/tap")
}

# It has said all, or is being ended: what is left is the power off.
await_end() {
    local left=$BOOT_SECONDS
    while kill -0 "$qemu" 2>/dev/null; do
        if [ $((left -= 1)) -eq 0 ]; then
            say "not powered off within $BOOT_SECONDS s: ended"
            kill "$qemu"
            break
        fi
        sleep 1
    done
    wait "$qemu"
}

run_scenarios() { # names...
    local limit=$BOOT_SECONDS status
    limit=$((limit + $(PYTHONPATH=$here /usr/bin/python3 -c '
import sys, catalogue
print(sum(catalogue.SCENARIOS[name].seconds * max(int(sys.argv[1]), 1) for name in sys.argv[2:]))' "$repeat" "$@")))
    quietly "what is carried in" "$here/carry.sh" "$work/installed" "$work/guest" "$work/carry.tar" "$repeat" "$@"
    : >"$work/out/tap"
    hung=''
    if [ -n "$deadline" ]; then
        limit=$((deadline > SECONDS ? deadline - SECONDS : 1))
    fi
    say "boot (time limit of all: $limit s)"
    # Each dies with the one before it, also when this script is killed outright.
    setpriv --pdeathsig KILL timeout -k 5 "$limit" \
        setpriv --pdeathsig KILL "$here/boot.sh" "$work/image" "$work/carry.tar" "$work/out" run &
    qemu=$!
    follow
    await_end
    status=$?
    qemu=''
    tar -x -C "$work/out" -f "$work/out/files.tar" 2>/dev/null && rm -f "$work/out/files.tar"
    if [ "$status" -eq 124 ] && [ -n "$deadline" ]; then
        is_late=1
    elif [ -z "$hung" ] && ! grep -qx '# end' "$work/out/tap"; then
        failed=$((failed + 1))
        keep=1
        echo "not ok - lab: the virtual host ended early (status $status; 124: time limit)"
        tail -n 15 "$work/out/console.log" "$work/out/qemu.log"
    fi
    say "powered off"
}

unfinished() {
    local name
    for name in "${names[@]}"; do
        [[ $finished == *" $name "* ]] || printf '%s\n' "$name"
    done
}

skip_late() {
    local rest
    mapfile -t rest < <(unfinished)
    passed=$passed_then
    skipped=$((skipped + ${#rest[@]}))
    echo "skipped lab: ${rest[*]}: not at its end after LAB_SECONDS=$LAB_SECONDS"
}

# An emulated host hangs now and then for a flaw of its emulator (tests/README.md): what was cut short is run once more. One that
# hangs again in the same scenario has another reason.
run_all() {
    local rest first
    [ -z "${LAB_SECONDS:-}" ] || deadline=$((SECONDS + LAB_SECONDS))
    run_scenarios "${names[@]}"
    if [ -n "$is_late" ]; then skip_late; fi
    [ -n "$hung" ] && [ -z "$is_late" ] || return 0
    mapfile -t rest < <(unfinished)
    first=${rest[0]} passed=$passed_then
    rm -f "$work/out/swap.img"
    mv "$work/out" "$work/hung" && mkdir "$work/out"
    say "again from '$first' on"
    run_scenarios "${rest[@]}"
    mv "$work/hung" "$work/out/hung"
    keep=1
    if [ -n "$is_late" ]; then skip_late; fi
    [ -n "$hung" ] && [ -z "$is_late" ] || return 0
    mapfile -t rest < <(unfinished)
    passed=$passed_then
    if [ "${rest[0]}" = "$first" ] && [ -z "$deadline" ]; then
        failed=$((failed + 1))
        echo "not ok - lab: the virtual host hangs in '$first', twice"
    else
        skipped=$((skipped + ${#rest[@]}))
        echo "ok - lab # SKIP ${rest[*]}: the virtual host hung twice, in '$first' and in '${rest[0]}', and was ended"
    fi
}

[ "$(id -u)" = 0 ] || { echo "run.sh: needs root" >&2; exit 1; }
work=$(mktemp -d "${MEMARB_TEST_TMP:-/tmp}/memarb-lab.XXXXXX")
mkdir "$work/out"
build=${build:-$work/build}
# shellcheck disable=SC2086 # lists of words
install_packages "$yes" $PACKAGES_BUILD $PACKAGES_LAB || close_with 0 1 0
quietly "build of memarb" build_memarb
if wants_packages; then
    # shellcheck disable=SC2086 # a list of words
    install_packages "$yes" $PACKAGES_DEBS || close_with 0 1 0
    quietly "packages" add_packages
fi
is_foreign=1
quietly "tiny guests' image" timeout "$MADE_SECONDS" "$here/../support/guest-image.sh" "$work/guest"
quietly "virtual host's image (2-4 minutes when it is not there yet)" timeout "$MADE_SECONDS" "$here/host-image.sh" "$work/image"
is_foreign=''
if [ "$mode" = shell ]; then
    quietly "what is carried in" "$here/carry.sh" "$work/installed" "$work/guest" "$work/carry.tar" "$repeat" "${names[@]}"
    "$here/boot.sh" "$work/image" "$work/carry.tar" "$work/out" shell
    exit
fi
run_all
close_with "$passed" "$failed" "$skipped"
