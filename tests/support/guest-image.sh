#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# guest-image.sh OUTDIR - the tiny guest that tests and the quick start boot: OUTDIR/vmlinux, vmlinuz, initrd.gz.
#
# The kernel is Debian's cloud kernel, downloaded and unpacked but never installed: nothing of it reaches /boot, /lib or
# dpkg's records. What was built is kept in a cache (MEMARB_TEST_CACHE, else XDG_CACHE_HOME/memarb-tests, else
# ~/.cache/memarb-tests), one folder a recipe: a change of this script, of its helpers, of busybox or of the kernel's
# version makes a new one. Runs that race wait for each other on a lock. Without a network the newest folder of the same
# recipe serves.
#
# Two forms of the kernel, measured with 128 MiB under TCG (QEMU 7.2) at the moment that the guest is up:
#
#   vmlinux   ELF, boots by PVH in 3.1-3.6 s; RssAnon 115 MiB, RssFile 71 MiB (QEMU maps the file: 50 MiB that are not
#             the guest's). RssAnon is honest; use this one unless VmRSS itself is asserted
#   vmlinuz   bzImage, 3.8 s; RssAnon 166 MiB (the unpacker's pages, which a balloon can take), RssFile 23 MiB
set -euo pipefail

META=linux-image-cloud-amd64
MODULES="virtio_pci virtio_balloon virtio_console virtio_mem virtio_blk button evdev"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

die() {
    echo "guest-image.sh: $*" >&2
    exit 1
}

need() { # command, Debian package
    PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null || die "'$1' is missing (apt-get install $2)"
}

# The metapackage names the kernel of the day; its first dependency is the real package.
real_package() {
    apt-cache depends "$META" 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }'
}

fetch_kernel() { # package, folder: leaves the unpacked package in folder/kernel
    local package=$1 dir=$2
    mkdir -p "$dir/deb" "$dir/kernel"
    # apt drops its rights to _apt for a download, which cannot write into a private folder: it then says so and goes
    # on as root; the warning is noise here.
    (cd "$dir/deb" && apt-get -q -o APT::Sandbox::User=root download "$package") >"$dir/log" 2>&1 ||
        { cat "$dir/log" >&2; die "cannot download $package (apt-get update needed?)"; }
    dpkg-deb -x "$dir"/deb/*.deb "$dir/kernel"
}

copy_modules() { # unpacked root, initramfs folder
    local root=$1 tree=$2 version module path
    version=$(ls "$root/lib/modules")
    depmod -b "$root" "$version"
    for module in $MODULES; do
        modprobe -d "$root" -S "$version" --show-depends "$module" || die "no module $module in $version"
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$tree/lib/paths"
    while read -r path; do
        cp "$path" "$tree/lib/"
        basename "$path" >>"$tree/lib/order"
    done <"$tree/lib/paths"
    rm "$tree/lib/paths"
}

make_initrd() { # unpacked root, work folder, output
    local root=$1 tree=$2/tree out=$3
    mkdir -p "$tree"/{bin,dev,proc,sys,tmp,lib,etc/acpi/PWRF}
    cp "$(command -v busybox)" "$tree/bin/busybox"
    install -m 755 "$here/guest-init.sh" "$tree/init"
    install -m 755 "$here/guest-power.sh" "$tree/etc/acpi/PWRF/00000080"
    copy_modules "$root" "$tree"
    (cd "$tree" && find . -print0 | LC_ALL=C sort -z | cpio --null -o -H newc --quiet -R 0:0 | gzip -n -6) >"$out"
}

build() { # package, final folder
    local package=$1 final=$2 work
    work=$(mktemp -d "$final.XXXXXX")
    # shellcheck disable=SC2064 # the folder's name now, not when the trap runs
    trap "rm -rf '$work'" EXIT
    fetch_kernel "$package" "$work"
    cp "$work"/kernel/boot/vmlinuz-* "$work/vmlinuz"
    /usr/bin/python3 "$here/bzimage-payload.py" "$work/vmlinuz" "$work/vmlinux"
    make_initrd "$work/kernel" "$work" "$work/initrd.gz"
    mkdir -p "$work/done"
    mv "$work"/{vmlinuz,vmlinux,initrd.gz} "$work/done/"
    echo "$package" >"$work/done/kernel"
    chmod 755 "$work/done"
    mv -T "$work/done" "$final"
    rm -rf "$work"
    trap - EXIT
}

main() {
    local out=$1 cache recipe package dir file
    need busybox busybox-static
    need cpio cpio
    need depmod kmod
    need lz4 lz4
    need flock util-linux
    PATH="$PATH:/usr/sbin:/sbin"
    ldd "$(command -v busybox)" >/dev/null 2>&1 && die "busybox is not static (apt-get install busybox-static)"

    cache=${MEMARB_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/memarb-tests}
    mkdir -p "$cache" "$out"
    recipe=$(cat "$here"/{guest-image.sh,guest-init.sh,guest-power.sh,bzimage-payload.py} "$(command -v busybox)" |
        sha256sum | cut -c1-12)
    package=$(real_package)

    exec 9>"$cache/lock"
    flock -w 600 9 || die "another run holds $cache/lock for 10 minutes"
    if [ -n "$package" ]; then
        dir=$cache/guest-$recipe-${package#linux-image-}
        [ -d "$dir" ] || build "$package" "$dir"
    else
        dir=$(find "$cache" -maxdepth 1 -type d -name "guest-$recipe-*-cloud-amd64" -printf '%T@ %p\n' |
            sort -rn | head -n 1 | cut -d' ' -f2-)
        [ -n "$dir" ] || die "apt knows no $META (apt-get update), and the cache holds none"
    fi
    for file in vmlinuz vmlinux initrd.gz; do
        # A hard link shares the page cache between runs and outlives the cache's removal.
        ln -f "$dir/$file" "$out/$file" 2>/dev/null || cp "$dir/$file" "$out/$file"
    done
}

if [ $# -ne 1 ] || [ "${1#-}" != "$1" ]; then
    echo "usage: guest-image.sh OUTDIR" >&2
    exit 2
fi
main "$1"
