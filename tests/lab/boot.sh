#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# boot.sh IMAGE CARRY.tar OUT run|shell - becomes the QEMU that is the virtual host. In OUT it leaves tap (what the
# scenarios say), files.tar (what they leave), journal.log, console.log, qemu.log. `shell` has the console on the terminal.
#
# Two NUMA nodes, one CPU each; an AMD CPU with SVM, which TCG emulates well enough for a real /dev/kvm inside; an IOMMU
# and two e1000e, each in a group of its own, for vfio-pci; vdb for swap. Everything is emulated: no /dev/kvm is needed or used.
# LAB_NODE0_MIB, LAB_NODE1_MIB, LAB_SWAP_MIB: its sizes. LAB_APPARMOR=1: with AppArmor.
set -euo pipefail

# Small, so that filling it up takes seconds: the host itself needs 350 MiB, a tiny guest 200.
node0=${LAB_NODE0_MIB:-1536} node1=${LAB_NODE1_MIB:-1280} swap=${LAB_SWAP_MIB:-1024}
[ $# -eq 4 ] || { echo "usage: boot.sh IMAGE CARRY.tar OUT run|shell" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
image=$1 carry=$2 out=$3 mode=$4

truncate -s "${swap}M" "$out/swap.img"
: >"$out/tap"
: >"$out/files.tar"
append="console=ttyS0 rw quiet psi=1 systemd.unified_cgroup_hierarchy=1 systemd.show_status=0 mitigations=off"
append+=" nowatchdog no_timer_check random.trust_cpu=on cryptomgr.notests audit=0 apparmor=${LAB_APPARMOR:-0} selinux=0 sysrq_always_enabled"
# Its TSC is this machine's. A calibration that a busy machine interrupts is off by far (one boot in six had a clock ten times too
# fast): so it is told. The PM timer, the other clock with a known rate, costs an exit and QEMU's big lock for each look at it.
append+=" tsc=reliable clocksource=tsc tsc_early_khz=$(PYTHONPATH=$here/../support /usr/bin/python3 -c \
    'import tinyguest; print(tinyguest.host_tsc_khz())')"
append+=" intel_iommu=on iommu=nopt memarb.lab=$mode"
# shellcheck disable=SC2054 # the commas are QEMU's
arguments=(-name memarb-lab -nodefaults -no-user-config -display none -no-reboot
    -M q35,kernel-irqchip=split,hpet=off -accel tcg,thread=multi,tb-size=512
    -cpu EPYC,+svm -smp 2,sockets=2,cores=1,threads=1 -m "$((node0 + node1))M"
    -object "memory-backend-ram,id=m0,size=${node0}M" -object "memory-backend-ram,id=m1,size=${node1}M"
    -numa node,nodeid=0,cpus=0,memdev=m0 -numa node,nodeid=1,cpus=1,memdev=m1 -numa dist,src=0,dst=1,val=20
    -device intel-iommu,intremap=on,device-iotlb=on
    -drive "file=$image/disk.img,if=none,id=root,format=raw,snapshot=on,cache=unsafe" -device virtio-blk-pci,drive=root
    -drive "file=$out/swap.img,if=none,id=swap,format=raw,cache=unsafe" -device virtio-blk-pci,drive=swap
    -drive "file=$carry,if=none,id=carry,format=raw,readonly=on" -device virtio-blk-pci,drive=carry
    -device virtio-serial-pci
    -chardev "file,id=tap,path=$out/tap" -device virtserialport,chardev=tap,name=lab.tap
    -chardev "file,id=files,path=$out/files.tar" -device virtserialport,chardev=files,name=lab.files
    -chardev "file,id=journal,path=$out/journal.log" -device virtserialport,chardev=journal,name=lab.journal
    # A guest agent's port, and its host's end, which is in here as well.
    -chardev "socket,id=agent,path=$out/agent,server=on,wait=off" -device virtserialport,chardev=agent,name=org.memarb.guest.0
    -chardev "socket,id=agent-host,path=$out/agent,reconnect=1" -device virtserialport,chardev=agent-host,name=lab.agent
    -netdev user,id=spare,restrict=on -device pcie-root-port,id=rp1,chassis=1,slot=1
    -device e1000e,netdev=spare,bus=rp1,addr=0,mac=52:54:00:aa:bb:01
    -netdev user,id=spare2,restrict=on -device pcie-root-port,id=rp2,chassis=2,slot=2
    -device e1000e,netdev=spare2,bus=rp2,addr=0,mac=52:54:00:aa:bb:02
    -object rng-random,id=rng,filename=/dev/urandom -device virtio-rng-pci,rng=rng
    -kernel "$image/vmlinux" -initrd "$image/initrd.gz" -append "$append")
if [ "$mode" = shell ]; then
    # The tests as they are now, not as they were carried in.
    exec env TMPDIR="$out" "${LAB_QEMU:-qemu-system-x86_64}" "${arguments[@]}" -serial mon:stdio \
        -fsdev "local,id=tests,path=$here/..,security_model=none,readonly=on,multidevs=remap" \
        -device virtio-9p-pci,fsdev=tests,mount_tag=tests 2>"$out/qemu.log"
fi
# The sockets are for hung.py.
exec env TMPDIR="$out" "${LAB_QEMU:-qemu-system-x86_64}" "${arguments[@]}" -qmp "unix:$out/qmp,server=on,wait=off" \
    -chardev "socket,id=console,path=$out/console,server=on,wait=off,logfile=$out/console.log" -serial chardev:console \
    </dev/null >"$out/qemu.log" 2>&1
