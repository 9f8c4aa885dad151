# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# packages.sh - sourced: which Debian packages memarb needs, and a way to install the missing ones after asking.

# The lists are for those who source this file.
# shellcheck disable=SC2034
PACKAGES_BUILD="gcc meson ninja-build pkg-config libc6-dev libjansson-dev libvirt-dev libxml2-dev libsystemd-dev
    liburcu-dev libinih-dev libnuma-dev python3"
# libvirt-daemon-system is left out on purpose: it would enable libvirtd on the machine.
# shellcheck disable=SC2034
PACKAGES_GUESTS="qemu-system-x86 libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients python3-libvirt
    python3-jsonschema busybox-static cpio gzip kmod lz4 util-linux procps"

missing_packages() { # packages... : prints those that are not installed
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
    done
}

# Installs what is missing: $1 = "yes" does not ask. Fails when the person says no, or apt-get does.
install_packages() {
    local yes=$1 missing answer
    shift
    missing=$(missing_packages "$@" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    echo "missing Debian packages: $missing"
    if [ "$yes" != yes ]; then
        read -r -p "install them with apt-get? [y/N] " answer || answer=''
        case $answer in y | Y | yes) ;; *)
            echo "nothing was installed; with -y this does not ask"
            return 1
            ;;
        esac
    fi
    if [ "$(id -u)" -ne 0 ]; then
        echo "installing packages needs root"
        return 1
    fi
    # Package lists of a fresh system are empty or old.
    apt-get update -qq || return 1
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
}
