/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* balanced-pinned.c - a device that is handed through to a ballooned guest brings the whole balloon back (VFIO pins all of
 * it): from then on the guest lacks memory that the host does not have either. Giving it back costs the host nothing. */
#include "balanced.h"
#include "bytes.h"

static bool is_planned(const struct ma_plan *plan, uint32_t guest) {
    for (size_t k = 0; k < plan->n_actions; k++) {
        if (plan->actions[k].has_guest && plan->actions[k].guest == guest) {
            return true;
        }
    }
    return false;
}

static bool is_void(const struct ma_facts *facts) {
    const struct ma_guest *guest = facts->guest;
    const struct ma_guest_memory *memory = facts->memory;

    return memory != NULL && (memory->taken & MA_TAKEN_BALLOON) != 0 &&
           facts->hold_reason == MA_REASON_NONE && guest->state == MA_GUEST_RUNNING &&
           (guest->has & MA_GUEST_HAS_ACTUAL) != 0 &&
           memory->balloon_before_bytes > ma_max_u64(guest->actual_bytes, facts->committed_bytes) &&
           guest->pinned_bytes >= memory->balloon_before_bytes;
}

void balanced_give_back_pinned(struct ma_study *study) {
    for (uint32_t i = 0; i < study->input->snapshot->n_guests; i++) {
        const struct ma_facts *facts = &study->facts[i];

        if (is_void(facts) && !is_planned(study->plan, i)) {
            balanced_add_balloon(study, i, facts->memory->balloon_before_bytes,
                                 MA_REASON_PINNED_MEANWHILE);
        }
    }
}
