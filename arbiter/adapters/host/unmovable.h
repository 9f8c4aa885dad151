/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* unmovable.h - how much of a guest's memory returns only when the guest ends. Pure. */

#include <stdbool.h>
#include <stdint.h>

/* VmLck also counts device BARs, ROMs and QEMU's own locked pages: this much above the guest's RAM is believed. Too
 * small: pins are understated by the difference; too large: an account counted twice is overstated by it. As libvirt
 * adds 1 GiB to RLIMIT_MEMLOCK for VFIO for the same reason (libvirt 9.0 qemu_domain.c qemuDomainGetMemLockLimitBytes). */
#define MA_UNMOVABLE_SLACK_BYTES (UINT64_C(1) << 30)

struct ma_unmovable_input {
    bool is_mem_locked;      /* mem-lock=on: all of it */
    uint64_t resident_bytes; /* VmRSS */
    uint64_t hugepage_bytes; /* HugetlbPages, not in VmRSS */
    uint64_t locked_bytes;   /* VmLck */
    uint64_t pinned_bytes;   /* VmPin */
    uint64_t ram_bytes;      /* RAM + DIMMs; 0: not known, then no bound by it */
    uint64_t virtio_mem_plugged_bytes;
};
/* mem-lock ? RSS : min(max(VmLck, VmPin), RAM + plugged + slack), never their sum (iommufd counts in both), and never
 * above RSS + huge pages: what is not there cannot be pinned. */
uint64_t ma_unmovable_bytes(const struct ma_unmovable_input *in);
