#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# private-libvirtd.sh DIR start|stop|restart - a libvirtd that shares nothing with the machine's own.
#
# start    prints the connection URI; everything it writes is under DIR. On a DIR with running guests it takes them over
# restart  ends the daemon alone (SIGNAL=KILL: without warning) and starts it again; the guests run on
# stop     ends the guests and the daemon; DIR is left for its logs to be read
#
# It runs as root in mount and network namespaces of its own: libvirt's folders are bind mounts of DIR, /run is an empty
# tmpfs (so neither systemd-machined nor the machine's libvirt can be found), and no bridge or firewall rule can reach the
# machine. Guests' QEMUs live there too: a socket that a QEMU is to reach must not be under /run; put it into DIR.
#
# LIBVIRTD_CONTROLLERS  cgroup controllers that libvirt may use, e.g. '"memory"'. Default: none; guests stay in the
#                       caller's cgroup. (On a host with mixed v1 and v2 hierarchies libvirt 9.0 cannot start a guest
#                       otherwise: "v2 controller '(null)' is not available".)
set -euo pipefail

START_SECONDS=15

die() {
    echo "private-libvirtd.sh: $*" >&2
    exit 1
}

alive() { # pid file: true while that process is a libvirtd of ours
    local pid
    pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = libvirtd ] &&
        tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF -- "$dir/etc/libvirtd.conf"
}

wait_gone() { # pid, tenths of a second
    local tenths=$2
    while [ "$tenths" -gt 0 ] && kill -0 "$1" 2>/dev/null; do
        # A zombie answers kill -0 until its parent looks; it is gone for us.
        [ "$(awk '$1 == "State:" { print $2 }' "/proc/$1/status" 2>/dev/null)" = Z ] && return 0
        sleep 0.1
        tenths=$((tenths - 1))
    done
    ! kill -0 "$1" 2>/dev/null
}

end_pid() { # pid, first signal
    kill -"$2" "$1" 2>/dev/null || return 0
    wait_gone "$1" 50 && return 0
    kill -KILL "$1" 2>/dev/null || return 0
    wait_gone "$1" 50 || die "process $1 does not die"
}

configure() {
    mkdir -p "$dir"/{sock,run/libvirt,lib,cache,log,etc/qemu}
    cat >"$dir/etc/libvirtd.conf" <<CONF
unix_sock_dir = "$dir/sock"
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "2:file:$dir/log/libvirtd.log"
CONF
    cat >"$dir/etc/qemu.conf" <<CONF
user = "root"
group = "root"
security_driver = "none"
stdio_handler = "file"
cgroup_controllers = [ ${LIBVIRTD_CONTROLLERS:-} ]
namespaces = [ ]
dynamic_ownership = 0
remember_owner = 0
CONF
}

# libvirt looks its default user up before it reads our qemu.conf, and ends without it. Debian's libvirt-daemon-system
# would have added both; here, and in this namespace alone, they stand in copies of the two files.
add_default_user() {
    local file
    for file in passwd group; do
        getent "$file" libvirt-qemu >/dev/null && continue
        cp "/etc/$file" "$dir/etc/$file"
        if [ "$file" = passwd ]; then
            echo 'libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin' >>"$dir/etc/$file"
        else
            echo 'libvirt-qemu:x:64055:' >>"$dir/etc/$file"
        fi
        mount --bind "$dir/etc/$file" "/etc/$file"
    done
}

# Runs inside the new namespaces; only mounts there.
inside() {
    add_default_user
    mount -t tmpfs -o mode=755 private-run /run
    mkdir /run/libvirt /run/lock
    mount --bind "$dir/run/libvirt" /run/libvirt
    local pair target
    for pair in lib:/var/lib/libvirt cache:/var/cache/libvirt log:/var/log/libvirt etc:/etc/libvirt; do
        target=${pair#*:}
        if [ ! -d "$target" ]; then
            # Debian's libvirt-daemon-system, which need not be installed, would have brought the folder. A tmpfs over
            # its parent, in this namespace alone, holds the mount point instead of the machine.
            case $dir/ in "${target%/*}"/*) die "DIR must not be under ${target%/*}" ;; esac
            [ "${target%/*}" != /etc ] || die "/etc/libvirt is missing (apt-get install libvirt-clients)"
            mount -t tmpfs -o mode=755 private-var "${target%/*}"
            mkdir "$target"
        fi
        mount --bind "$dir/${pair%%:*}" "$target"
    done
    echo $$ >"$dir/pid"
    exec "$libvirtd" -f "$dir/etc/libvirtd.conf" -p "$dir/libvirtd.pid"
}

start() {
    local tenths=$((START_SECONDS * 10))
    if ! alive "$dir/pid"; then
        configure
        rm -f "$dir/pid" "$dir/libvirtd.pid" "$dir"/sock/libvirt-sock*
        setsid unshare --mount --net --propagation private "$BASH" "$0" "$dir" inside \
            >"$dir/log/out" 2>&1 </dev/null &
        while [ ! -S "$dir/sock/libvirt-sock" ]; do
            sleep 0.1
            tenths=$((tenths - 1))
            if [ "$tenths" -le 0 ] || { [ -s "$dir/pid" ] && ! kill -0 "$(cat "$dir/pid")" 2>/dev/null; }; then
                cat "$dir/log/out" >&2
                die "libvirtd did not come up. It needs root, and mount and network namespaces: not a plain chroot, nor a container without them"
            fi
        done
    fi
    echo "qemu+unix:///system?socket=$dir/sock/libvirt-sock"
}

halt() { # signal
    if alive "$dir/pid"; then
        end_pid "$(cat "$dir/pid")" "$1"
    fi
    rm -f "$dir/pid"
}

stop_guests() {
    local file pid
    for file in "$dir"/run/libvirt/qemu/*.pid; do
        [ -f "$file" ] || continue
        pid=$(cat "$file")
        # The pid file may be older than its process; only a QEMU of this libvirtd names a monitor there.
        if { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -q -- '-name guest='; then
            end_pid "$pid" TERM
        fi
    done
}

if [ $# -ne 2 ]; then
    echo "usage: private-libvirtd.sh DIR start|stop|restart" >&2
    exit 2
fi
[ "$(id -u)" = 0 ] || die "needs root (mount namespaces)"
libvirtd=$(PATH="$PATH:/usr/sbin:/sbin" command -v libvirtd) || die "libvirtd is missing (apt-get install libvirt-daemon)"
mkdir -p "$1"
dir=$(realpath "$1")
case $dir in
/run/* | /var/run/*) die "DIR must not be under /run, which is private there" ;;
esac
# sun_path holds 107 characters; the longest name below DIR is the guests' monitor and agent socket.
[ "${#dir}" -le 60 ] || die "DIR is too long for socket names: $dir"

case $2 in
start) start ;;
restart)
    halt "${SIGNAL:-TERM}"
    start
    ;;
stop)
    halt TERM
    stop_guests
    ;;
inside) inside ;;
*) die "unknown command '$2'" ;;
esac
