#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# run.sh [reaction|steady|start|readers|domains|agent|agents|decide|cover|division|check|all] - builds a release, measures, prints tables.
#
# BUILD=DIR      build folder (default build-bench in the source tree), set up when it is not there
# RESULTS=FILE   the JSON lines, one a result (default BUILD/results.jsonl, appended to)
# EVENTS=30      pressure events a figure of reaction is made of     COUNTS=1,10,100,1000  its numbers of guests
# SECONDS_AT_REST=60   of steady, agent                                  DOMAINS=30            real ones, of domains
# check proves the measuring: 3 ms slept by the probe at each event must be 3 ms more in the figures.
set -euo pipefail

source_dir=$(cd -- "$(dirname -- "$0")/../.." && pwd)
build=${BUILD:-$source_dir/build-bench}
python=/usr/bin/python3
export MEMARB_BUILD=$build PYTHONDONTWRITEBYTECODE=1
export MEMARB_BENCH_JSON=${RESULTS:-$build/results.jsonl}

build_release() {
    if [ ! -e "$build/build.ninja" ]; then
        meson setup "$build" "$source_dir" --buildtype=release >/dev/null
    fi
    ninja -C "$build" arbiter/daemon/memarbd arbiter/cli/memarbctl tests/contract/qmp-swarm \
        tests/bench/libbench-probe.so tests/bench/bench-cover tests/bench/bench-division \
        tests/bench/bench-decide tests/bench/bench-agents guest-agent/memarb-guest-agent guest-agent/memarb-guest-agent-static >/dev/null
}

machine() {
    printf 'CPU %s, %s cores, Linux %s, load %s\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
        "$(nproc)" "$(uname -r)" "$(cut -d' ' -f1 /proc/loadavg)"
}

# A program that prints key=value lines: each is shown, and kept as a result of its own.
plain() {
    local name=$1
    echo
    echo "$name"
    "$build/tests/bench/bench-$name" | "$python" "$source_dir/tests/bench/keep-plain.py" "$name"
}

measure() {
    case $1 in
    reaction) "$python" "$source_dir/tests/bench/reaction.py" --counts "${COUNTS:-1,10,100,1000}" \
        --events "${EVENTS:-30}" ;;
    steady) "$python" "$source_dir/tests/bench/steady.py" --seconds "${SECONDS_AT_REST:-60}" ;;
    agent) "$python" "$source_dir/tests/bench/agent.py" --seconds "${SECONDS_AT_REST:-60}" ;;
    start) "$python" "$source_dir/tests/bench/start.py" ;;
    readers) "$python" "$source_dir/tests/bench/readers.py" ;;
    domains) "$python" "$source_dir/tests/bench/domains.py" "${DOMAINS:-30}" "${EVENTS:-30}" "${SECONDS_AT_REST:-60}" ;;
    decide | cover | division | agents) plain "$1" ;;
    check) "$python" "$source_dir/tests/bench/reaction.py" --counts 10 --events 10 --delay-usec 0 &&
        "$python" "$source_dir/tests/bench/reaction.py" --counts 10 --events 10 --delay-usec 3000 ;;
    all) for one in reaction steady start readers domains agent decide cover division; do measure "$one"; done ;;
    *)
        sed -n '3,10s/^# \{0,1\}//p' "$0" >&2
        return 2
        ;;
    esac
}

what=${1:-all}
build_release
machine
echo "command: $0 $what; results also in $MEMARB_BENCH_JSON"
measure "$what"
