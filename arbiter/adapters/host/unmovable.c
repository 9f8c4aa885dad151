/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unmovable.c - see the header for the rule; what was rejected: VmLck + VmPin (counted twice by iommufd with process
 * accounting), VmLck alone (2 x RAM behind a vIOMMU with two devices), smaps' Locked (0 for VFIO). */
#include "unmovable.h"

#include "bytes.h"

uint64_t ma_unmovable_bytes(const struct ma_unmovable_input *in) {
    if (in->is_mem_locked) {
        return in->resident_bytes;
    }
    uint64_t account = ma_max_u64(in->locked_bytes, in->pinned_bytes);
    if (in->ram_bytes > 0) {
        uint64_t ram = ma_add_sat(in->ram_bytes, in->virtio_mem_plugged_bytes);
        account = ma_min_u64(account, ma_add_sat(ram, MA_UNMOVABLE_SLACK_BYTES));
    }
    return ma_min_u64(account, ma_add_sat(in->resident_bytes, in->hugepage_bytes));
}
