#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# host-image.sh OUTDIR - the virtual host's disk and kernel: OUTDIR/disk.img, vmlinux, initrd.gz; made of Debian's
# packages alone. Needs root, mmdebstrap, mkfs.ext4.
#
# Kept in the tests' cache (MEMARB_TEST_CACHE, else XDG_CACHE_HOME/memarb-tests, else ~/.cache/memarb-tests), folder lab/,
# one folder a recipe: a change of this script or of host/initramfs-init.sh makes a new one. Everything that is memarb's
# or a test's is carried in at boot (carry.sh), so that editing it costs no new image. 1.1 GiB of cache while it is being
# made, 0.7 GiB afterwards; a minute of processor time.
set -euo pipefail

SUITE=bookworm
MIRROR=http://deb.debian.org/debian
SECURITY=http://deb.debian.org/debian-security
# The generic kernel: the cloud one lacks E1000E, which vfio-pci hands through here.
KERNEL=linux-image-amd64
PACKAGES="systemd systemd-sysv udev dbus kmod procps iproute2 numactl util-linux busybox-static
    libvirt-daemon-system libvirt-clients libvirt-daemon-driver-qemu qemu-system-x86 qemu-utils python3 python3-libvirt
    libjansson4 libxml2 libsystemd0 liburcu8 libinih1 libnuma1 libmicrohttpd12 libncursesw6"
# Sparse; mkfs.ext4 fills what the packages need.
DISK_SIZE=3G
# Only what finds the root disk: udev loads the rest from it.
EARLY_MODULES="virtio_pci virtio_blk ext4"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
support=$here/../support
PATH="$PATH:/usr/sbin:/sbin"

die() {
    echo "host-image.sh: $*" >&2
    exit 1
}

need() { # command, Debian package
    command -v "$1" >/dev/null || die "'$1' is missing (apt-get install $2)"
}

make_root() { # folder
    local packages
    # shellcheck disable=SC2086 # a list of words
    packages=$(printf '%s,' $PACKAGES $KERNEL)
    # No manuals, no recommended packages: what is not there needs no time under emulation. No initrd: it is made below. No modules of
    # devices that the virtual host has not: 190 MiB.
    INITRD=No mmdebstrap --quiet --mode=root --variant=minbase --components=main \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/lib/modules/*/kernel/sound/*' \
        --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/gpu/*' --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/media/*' \
        --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/staging/*' \
        --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/infiniband/*' \
        --dpkgopt='path-exclude=/lib/modules/*/kernel/drivers/net/wireless/*' \
        --include="${packages%,}" "$SUITE" "$1" \
        "deb $MIRROR $SUITE main" "deb $MIRROR $SUITE-updates main" "deb $SECURITY $SUITE-security main"
    rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/* "$1"/boot/initrd*
}

make_initrd() { # root, work folder, output
    local root=$1 tree=$2/tree out=$3 version module path
    version=$(ls "$root/lib/modules")
    mkdir -p "$tree"/{bin,dev,proc,sys,mnt,lib}
    cp "$root/bin/busybox" "$tree/bin/busybox"
    install -m 755 "$here/host/initramfs-init.sh" "$tree/init"
    for module in $EARLY_MODULES; do
        modprobe -d "$root" -S "$version" --show-depends "$module"
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$2/paths"
    while read -r path; do
        cp "$path" "$tree/lib/"
        basename "$path" >>"$tree/lib/order"
    done <"$2/paths"
    (cd "$tree" && find . -print0 | LC_ALL=C sort -z | cpio --null -o -H newc --quiet -R 0:0 | gzip -n -6) >"$out"
}

make_disk() { # root, output
    truncate -s "$DISK_SIZE" "$2"
    # Each run starts from this image and throws its changes away: no journal, no checksums.
    mkfs.ext4 -q -F -m 0 -O ^has_journal,^metadata_csum -E lazy_itable_init=1 -d "$1" "$2"
}

build() { # final folder
    local final=$1 work
    work=$(mktemp -d "$final.XXXXXX")
    # shellcheck disable=SC2064 # the folder's name now, not when the trap runs
    trap "rm -rf --one-file-system '$work'" EXIT
    mkdir "$work/done"
    make_root "$work/system"
    /usr/bin/python3 "$support/bzimage-payload.py" "$work"/system/boot/vmlinuz-* "$work/done/vmlinux"
    make_initrd "$work/system" "$work" "$work/done/initrd.gz"
    make_disk "$work/system" "$work/done/disk.img"
    ls "$work/system/lib/modules" >"$work/done/kernel"
    mv -T "$work/done" "$final"
    rm -rf --one-file-system "$work"
    trap - EXIT
}

main() {
    local out=$1 cache recipe dir
    [ "$(id -u)" = 0 ] || die "needs root"
    need mmdebstrap mmdebstrap
    need mkfs.ext4 e2fsprogs
    need cpio cpio
    need modprobe kmod
    need flock util-linux
    cache=${MEMARB_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/memarb-tests}/lab
    mkdir -p "$cache" "$out"
    recipe=$(cat "$here/host-image.sh" "$here/host/initramfs-init.sh" "$support/bzimage-payload.py" | sha256sum |
        cut -c1-12)
    dir=$cache/host-$recipe
    exec 9>"$cache/lock"
    flock -w 1200 9 || die "another run holds $cache/lock for 20 minutes"
    [ -d "$dir" ] || build "$dir"
    ln -sfn "$dir/disk.img" "$dir/vmlinux" "$dir/initrd.gz" "$out/"
}

if [ $# -ne 1 ] || [ "${1#-}" != "$1" ]; then
    echo "usage: host-image.sh OUTDIR" >&2
    exit 2
fi
main "$1"
