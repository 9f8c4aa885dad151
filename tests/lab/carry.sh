#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# carry.sh INSTALLED GUEST-IMAGE OUT.tar REPEAT SCENARIO... - what the virtual host gets at boot over its own files: memarb as
# `meson install --destdir=INSTALLED` left it, the tests, the tiny guests' image, the lab's units, the names of the
# scenarios, how many pairs are to be run of each (0: one, and more than pairs).
set -euo pipefail

# Units that only cost time under emulation, or wait for a network.
MASKED="systemd-udev-settle.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer
    e2scrub_all.timer e2scrub_reap.service systemd-networkd-wait-online.service systemd-resolved.service
    systemd-timesyncd.service systemd-pstore.service getty@tty1.service serial-getty@ttyS0.service getty.target
    console-getty.service libvirt-guests.service systemd-update-utmp.service systemd-random-seed.service
    systemd-binfmt.service ldconfig.service"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 4 ] || { echo "usage: carry.sh INSTALLED GUEST-IMAGE OUT.tar REPEAT SCENARIO..." >&2; exit 2; }
installed=$1 image=$2 out=$3 repeat=$4
shift 4

tree=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
umask 022
units=$tree/etc/systemd/system
mkdir -p "$units/multi-user.target.wants" "$tree/opt/memarb"/{tests,image} "$tree/usr/local/sbin"
cp -a "$installed/." "$tree/"
cp -aL "$image/." "$tree/opt/memarb/image/"
cp -a "$here" "$here/../support" "$tree/opt/memarb/tests/"
cp -a "$here/../../examples/hooks" "$tree/opt/memarb/"
printf '%s\n' "$@" >"$tree/opt/memarb/scenarios"
echo "$repeat" >"$tree/opt/memarb/repeat"

for unit in memarb-lab memarb-lab-shell; do
    install -m 644 "$here/host/$unit.service" "$units/"
    ln -s "/etc/systemd/system/$unit.service" "$units/multi-user.target.wants/"
done
for unit in $MASKED; do
    ln -s /dev/null "$units/$unit"
done
ln -s /lib/systemd/system/multi-user.target "$units/default.target"
printf '#!/bin/sh\nexec /usr/bin/python3 /opt/memarb/tests/lab/inside.py "$@"\n' >"$tree/usr/local/sbin/lab"
chmod 755 "$tree/usr/local/sbin/lab"
# libvirtd must find KVM when it first looks: it remembers that there was none.
mkdir -p "$tree/etc/modules-load.d"
echo kvm_amd >"$tree/etc/modules-load.d/memarb-lab.conf"
echo lab >"$tree/etc/hostname"
echo "127.0.0.1 localhost lab" >"$tree/etc/hosts"
echo "/dev/vda / ext4 rw,noatime 0 0" >"$tree/etc/fstab"
: >"$tree/etc/machine-id"
# Busybox tar does not know other formats' extensions.
tar -C "$tree" --format=gnu --owner=0 --group=0 -cf "$out" .
