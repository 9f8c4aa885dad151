/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* budget.c - narrowing the host. Pure arithmetic.
 *
 *   I1  total and available never exceed the machine's
 *   I2  available <= total
 *   I3  more used never means more available */
#include "budget.h"

#include <errno.h>

#include "bytes.h"

const char *ma_host_meaning_name(enum ma_host_meaning meaning) {
    static const char *const names[MA_HOST_MEANING_COUNT] = {
        [MA_HOST_IS_MACHINE] = "machine",
        [MA_HOST_IS_BUDGET] = "budget",
        [MA_HOST_IS_CGROUP] = "cgroup",
    };
    return (unsigned) meaning < MA_HOST_MEANING_COUNT ? names[meaning] : "unknown";
}

void ma_budget_narrow_to_bytes(struct ma_host *host, uint64_t budget_bytes, uint64_t used_bytes) {
    uint64_t total = ma_min_u64(budget_bytes, host->total_bytes);
    uint64_t left = ma_sub_floor0(total, used_bytes);
    host->total_bytes = total;
    host->available_bytes = ma_min_u64(left, host->available_bytes);
}

/* The lists of file pages hold no shmem (that is on the anonymous lists), so no guest memory is counted here. */
uint64_t ma_budget_reclaimable_bytes(const struct ma_cgroup_sample *sample) {
    uint64_t sum = ma_add_sat(sample->stat_bytes[MA_CGROUP_STAT_INACTIVE_FILE],
                              sample->stat_bytes[MA_CGROUP_STAT_ACTIVE_FILE]);
    sum = ma_add_sat(sum, sample->stat_bytes[MA_CGROUP_STAT_SLAB_RECLAIMABLE]);
    return ma_min_u64(sum, sample->current_bytes);
}

static void narrow_swap(struct ma_host *host, const struct ma_cgroup_sample *sample) {
    const uint32_t both = MA_CGROUP_HAS_SWAP_MAX | MA_CGROUP_HAS_SWAP_CURRENT;
    if ((sample->has & both) != both || (host->has & MA_HOST_HAS_SWAP) == 0) {
        return;
    }
    uint64_t left = ma_sub_floor0(sample->swap_max_bytes, sample->swap_current_bytes);
    host->swap_total_bytes = ma_min_u64(sample->swap_max_bytes, host->swap_total_bytes);
    host->swap_free_bytes =
        ma_min_u64(ma_min_u64(left, host->swap_free_bytes), host->swap_total_bytes);
}

int ma_budget_narrow_to_cgroup(struct ma_host *host, const struct ma_cgroup_sample *sample) {
    if ((sample->has & MA_CGROUP_HAS_CURRENT) == 0) {
        return -ENODATA;
    }
    bool has_max = (sample->has & MA_CGROUP_HAS_MAX) != 0;
    uint64_t limit = has_max ? sample->max_bytes : MA_CGROUP_UNLIMITED;
    uint64_t used = ma_sub_floor0(sample->current_bytes, ma_budget_reclaimable_bytes(sample));
    ma_budget_narrow_to_bytes(host, limit, used);
    narrow_swap(host, sample);
    if (sample->pressure.has != 0) {
        host->pressure = sample->pressure;
    }
    return 0;
}
