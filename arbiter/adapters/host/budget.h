/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* budget.h - what "the host" is: the whole machine, a budget of bytes, or a cgroup. Pure arithmetic on figures that
 * others have read. The machine's own shortage always shows through: available is never more than the machine has. */

#include <stdint.h>

#include "cgroup.h"
#include "snapshot.h"

enum ma_host_meaning {
    MA_HOST_IS_MACHINE,
    MA_HOST_IS_BUDGET,
    MA_HOST_IS_CGROUP,
    MA_HOST_MEANING_COUNT
};
const char *ma_host_meaning_name(enum ma_host_meaning meaning); /* "machine", "budget", "cgroup" */

/* host holds the machine's figures and is narrowed in place: total = the lesser of budget and machine; available =
 * the lesser of budget - used and the machine's. used_bytes: what the guests hold in host RAM, as charged to their
 * cgroups or resident. Swap, commit, pressure and nodes stay the machine's. */
void ma_budget_narrow_to_bytes(struct ma_host *host, uint64_t budget_bytes, uint64_t used_bytes);

/* The same by a cgroup's figures: total = memory.max or the machine; used = current without what reclaim gets back at
 * once (file pages that are not shmem, reclaimable slab); swap = the lesser of swap.max and the machine's, free
 * likewise; pressure = the cgroup's where it has any. Only this group's own limits count, not its parents'.
 * -ENODATA: sample without current. */
int ma_budget_narrow_to_cgroup(struct ma_host *host, const struct ma_cgroup_sample *sample);
/* Bytes that reclaim gets back at once from the group. */
uint64_t ma_budget_reclaimable_bytes(const struct ma_cgroup_sample *sample);
