# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: LGPL-2.1-or-later
# packages.sh - sourced: which Debian packages memarb needs, and a way to install the missing ones after asking.
# The one list of all scripts: examples/quickstart.sh, tests/run.sh, tests/lab/run.sh, .ci/run.

PACKAGES_BUILD="gcc meson ninja-build pkg-config libc6-dev libjansson-dev libvirt-dev libxml2-dev libsystemd-dev
    liburcu-dev libinih-dev libnuma-dev libncurses-dev libmicrohttpd-dev python3"
# libvirt-daemon-system is left out on purpose: it would enable libvirtd on the machine.
PACKAGES_GUESTS="qemu-system-x86 libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients python3-libvirt
    python3-jsonschema python3-prometheus-client busybox-static cpio gzip kmod lz4 util-linux procps tmux"
PACKAGES_LINT="clang-format codespell shellcheck zsh binutils man-db git"
# dpkg-buildpackage asks for build-essential whether or not it is used.
PACKAGES_DEBS="build-essential debhelper dpkg-dev lintian"
PACKAGES_LAB="mmdebstrap e2fsprogs cpio kmod busybox-static qemu-system-x86 lz4 util-linux python3"
PACKAGES_ANALYSES="clang clang-tidy clang-tools"

missing_packages() { # packages... : prints those that are not installed
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
    done
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@" </dev/null
}

# Installs what is missing: $1 = "yes" does not ask. Fails when the person says no, or apt-get does. What apt-get says is
# shown only then.
install_packages() {
    local yes=$1 missing answer log fd status=0
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
    echo "installing them"
    log=$(mktemp) || return 1
    exec {fd}<>"$log"
    rm -f "$log" # now: an interrupt leaves nothing
    # The package lists of a fresh system are empty, those of another old. An archive of somebody else's that cannot be
    # reached fails the update, and need not matter.
    # shellcheck disable=SC2086 # lists of words
    if ! apt_install $missing >&"$fd" 2>&1; then
        apt-get -qq update >&"$fd" 2>&1 </dev/null || true
        apt_install $missing >&"$fd" 2>&1 || status=1
    fi
    [ "$status" -eq 0 ] || tail -n 40 "/proc/self/fd/$fd"
    exec {fd}>&-
    return "$status"
}
