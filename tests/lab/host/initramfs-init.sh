#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# /init of the virtual host: mounts the root disk (vda), unpacks what is carried in (the tar file that vdc is) over it,
# and hands over to systemd.
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
while read -r module; do
    insmod "/lib/$module" 2>/dev/null
done </lib/order
while ! [ -b /dev/vda ] || ! [ -b /dev/vdc ]; do
    usleep 20000
done
mount -t ext4 -o rw,noatime /dev/vda /mnt || exec sh
tar -x -f /dev/vdc -C /mnt || exec sh
mount --move /dev /mnt/dev
umount /proc
exec switch_root /mnt /sbin/init
