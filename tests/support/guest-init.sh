#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# /init of the tiny guest: loads its modules, says on the console that it runs, then executes the shell lines that
# arrive on the virtio-serial port "test.0". After the output of each comes a line "<<rc=N>>".
# Kernel command line: noacpioff = ignore the power button.
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
# Memory that virtio-mem plugs must come online by itself; movable, so that it can be unplugged again.
echo online_movable >/sys/devices/system/memory/auto_online_blocks
while read -r module; do
    insmod "/lib/$module" 2>/dev/null
done </lib/order
mkdir -p /m
mount -t tmpfs -o size=100% m /m

# eat N: dirties N MiB and keeps them. Each call adds. tmpfs counts as used, not as cache that a balloon could take.
eat() {
    eaten=$((eaten + 1))
    dd if=/dev/zero of="/m/$eaten" bs=1M count="$1" 2>/dev/null
}
# eatfree: gives everything back to the guest's kernel; the host's pages stay resident until a balloon takes them.
eatfree() {
    rm -f /m/*
}
# grow N RATE: in the background, N MiB at RATE MiB a second.
grow() {
    (
        i=0
        while [ "$i" -lt "$1" ]; do
            dd if=/dev/zero of="/m/grow.$i" bs=1M count="$2" 2>/dev/null || break
            i=$((i + $2))
            sleep 1
        done
    ) </dev/null >/dev/null 2>&1 &
}
eaten=0

grep -q noacpioff /proc/cmdline || acpid -l /dev/null -p /tmp/acpid.pid
echo "GUEST-UP uptime=$(cut -d' ' -f1 /proc/uptime) $(grep MemTotal /proc/meminfo)" >/dev/console

port=
while [ -z "$port" ]; do
    for p in /sys/class/virtio-ports/*; do
        [ "$(cat "$p/name" 2>/dev/null)" = test.0 ] && port=/dev/${p##*/}
    done
    [ -n "$port" ] || sleep 0.3
done
exec 3<>"$port"
while :; do
    # Nobody connected on the host's side reads as end of file at once.
    if read -r line <&3; then
        eval "$line" >/tmp/output 2>&1
        rc=$?
        cat /tmp/output >&3
        echo "<<rc=$rc>>" >&3
    else
        sleep 0.2
    fi
done
