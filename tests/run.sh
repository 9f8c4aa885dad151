#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# tests/run.sh - installs what is missing (asks first), builds, runs every test, cleans up. The last line is
# "N passed, N failed, N skipped", counted by single test points; the exit status is 0 only if nothing failed.
set -uo pipefail

usage() {
    cat <<'USAGE'
usage: tests/run.sh [-y] [--suite NAME]... [--list] [--asan] [--keep] [--help]
  -y            install missing Debian packages without asking
  --suite NAME  only this suite, more than once if wanted: unit property contract scenario fuzz integration lint
                (default: all of them but lint, which needs more tools; .ci/run runs that too)
  --list        list the tests and end
  --asan        build with AddressSanitizer and UndefinedBehaviorSanitizer
  --build DIR   use this build folder, brought up to date, and leave it there; default: a fresh one, removed afterwards
  --keep        keep the build and the tests' folders, and say where they are
USAGE
}

SUITES_DEFAULT="unit property contract scenario fuzz integration"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
suites='' yes='' list='' asan='' keep='' build=''
work='' child='' stage=0 stages=0
# shellcheck source=SCRIPTDIR/support/packages.sh disable=SC1091
. "$root/tests/support/packages.sh"

while [ $# -gt 0 ]; do
    case $1 in
    -y) yes=1 ;;
    --suite)
        [ $# -ge 2 ] || { usage >&2; exit 2; }
        suites="$suites $2"
        shift
        ;;
    --list) list=1 ;;
    --asan) asan=1 ;;
    --build)
        [ $# -ge 2 ] || { usage >&2; exit 2; }
        build=$(realpath -m "$2")
        shift
        ;;
    --keep) keep=1 ;;
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
for name in $suites; do
    case " $SUITES_DEFAULT lint " in
    *" $name "*) ;;
    *)
        echo "tests/run.sh: no suite '$name'; there are: $SUITES_DEFAULT lint" >&2
        exit 2
        ;;
    esac
done
suites=${suites:-$SUITES_DEFAULT}

wants() { # suite
    case " $suites " in *" $1 "*) return 0 ;; esac
    return 1
}

clean_up() {
    trap '' INT TERM
    if [ -n "$child" ] && kill -0 "$child" 2>/dev/null; then
        kill -TERM "$child" 2>/dev/null
        wait "$child" 2>/dev/null
    fi
    [ -n "$work" ] && [ -d "$work" ] || return 0
    if [ -n "$keep" ]; then
        echo "kept: $work"
        return 0
    fi
    # Each test's own folder goes when its guests are gone (tests/support/reaper.py); that may take a moment.
    local tenths=150
    while [ "$tenths" -gt 0 ] && [ -n "$(find "$work/tmp" -mindepth 1 -maxdepth 1 -name 'memarb-*' 2>/dev/null)" ]; do
        sleep 0.1
        tenths=$((tenths - 1))
    done
    rm -rf "$work"
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

say() { printf '[%d/%d] %s\n' "$stage" "$stages" "$*"; }

# Runs a command quietly, shows its output when it fails.
quietly() { # what, command...
    local what=$1 began=$SECONDS
    shift
    stage=$((stage + 1))
    "$@" >"$work/log" 2>&1 </dev/null &
    child=$!
    if wait "$child"; then
        child=''
        say "$what: $((SECONDS - began)) s"
        return 0
    fi
    child=''
    tail -n 60 "$work/log"
    say "$what: FAILED after $((SECONDS - began)) s"
    return 1
}

install_missing() {
    local wanted="$PACKAGES_BUILD" began=$SECONDS answer=ask
    if wants integration || wants contract; then wanted="$wanted $PACKAGES_GUESTS"; fi
    if wants lint; then wanted="$wanted $PACKAGES_LINT"; fi
    [ -z "$yes" ] || answer=yes
    stage=$((stage + 1))
    # shellcheck disable=SC2086 # a list of words
    install_packages "$answer" $wanted || return 1
    say "packages: all there after $((SECONDS - began)) s"
}

# shellcheck disable=SC2317 # called by name, through quietly
configure() {
    if [ -f "$build/build.ninja" ]; then
        return 0
    elif [ -n "$asan" ]; then
        meson setup "$build" "$root" -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
    else
        meson setup "$build" "$root" -Dbuildtype=release -Ddebug=true
    fi
}

tests_of() { # suite: how many test programs it has
    meson introspect --tests "$build" | /usr/bin/python3 -c '
import json, sys
print(sum(any(s.split(":")[-1] == sys.argv[1] for s in t["suite"]) for t in json.load(sys.stdin)))' "$1"
}

# Those on real guests mostly wait, each for its own: one more at a time than there are processors.
at_once() { # suites
    case $1 in
    *integration | contract) echo $(($(nproc) + 1)) ;;
    *) nproc ;;
    esac
}

# What is run at once, and how many test programs that is: a word each. The two suites on real guests are one.
entries() {
    local name together='' count total=0
    for name in $suites; do
        count=$(tests_of "$name")
        [ "$count" -gt 0 ] || continue
        case $name in
        contract | integration) together="${together:+$together+}$name" total=$((total + count)) ;;
        *) echo "$name:$count" ;;
        esac
    done
    [ -z "$together" ] || echo "$together:$total"
}

# meson prints "12/20 name OK" as each test ends; on a terminal that becomes one moving line.
show_progress() { # suite, number of tests
    local line ended
    while IFS= read -r line; do
        [[ $line =~ ^\ *([0-9]+)/[0-9]+\  ]] || continue
        ended=${BASH_REMATCH[1]}
        if [ -t 1 ]; then
            printf '\r\033[K[%d/%d] %s ... %d of %d' "$stage" "$stages" "$1" "$ended" "$2"
        elif [[ $1 = *integration ]]; then
            say "$1 ... $ended of $2"
        fi
    done
    if [ -t 1 ]; then printf '\r\033[K'; fi
}

run_suites() { # suites joined by +, number of tests
    local began=$SECONDS counts name chosen=()
    for name in ${1//+/ }; do chosen+=(--suite "memarb:$name"); done
    stage=$((stage + 1))
    say "$1 ... 0 of $2"
    local multiplier=1
    if [ -n "$asan" ]; then multiplier=4; fi
    rm -f "$build/meson-logs/testlog-$1.json"
    mkfifo "$work/pipe"
    show_progress "$1" "$2" <"$work/pipe" &
    local viewer=$!
    meson test -C "$build" --no-rebuild --no-suite none "${chosen[@]}" --logbase "testlog-$1" \
        --timeout-multiplier "$multiplier" --num-processes "$(at_once "$1")" >"$work/pipe" 2>&1 </dev/null &
    child=$!
    wait "$child"
    child=''
    wait "$viewer"
    rm -f "$work/pipe"
    if [ ! -s "$build/meson-logs/testlog-$1.json" ]; then
        echo "FAILED $1: no results"
        failed=$((failed + 1))
        return
    fi
    counts=$(/usr/bin/python3 "$root/tests/support/tap-summary.py" "$build/meson-logs/testlog-$1.json")
    local p f s
    read -r p f s <<<"$counts"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    tail -n +2 <<<"$counts"
    if [ "$f" -gt 0 ]; then
        /usr/bin/python3 "$root/tests/support/tap-summary.py" --failures "$build/meson-logs/testlog-$1.json"
    fi
    say "$1: $p passed, $f failed, $s skipped in $((SECONDS - began)) s"
}

passed=0 failed=0 skipped=0
work=$(mktemp -d /tmp/memarb-run.XXXXXX)
mkdir "$work/tmp"
build=${build:-$work/build}
export MEMARB_TEST_TMP=$work/tmp PYTHONDONTWRITEBYTECODE=1
if [ -n "$keep" ]; then export MEMARB_TEST_KEEP=1; fi

stages=4
install_missing || close_with 0 1 0
quietly "configure" configure || close_with 0 1 0
if [ -n "$list" ]; then
    meson test -C "$build" --list 2>/dev/null
    exit
fi
quietly "build" ninja -C "$build" || close_with 0 1 0
plan=$(entries)
stages=$((3 + $(wc -w <<<"$plan")))
if wants integration; then
    stages=$((stages + 1))
    quietly "guest image" "$root/tests/support/guest-image.sh" "$work/image" || close_with 0 1 0
fi
for entry in $plan; do
    run_suites "${entry%:*}" "${entry#*:}"
done
close_with "$passed" "$failed" "$skipped"
