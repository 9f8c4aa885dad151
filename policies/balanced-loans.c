/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* balanced-loans.c - what was given on a guest's word alone, and the host saw it fill too little of, goes back as far as it is
 * more than the guest's shares: to where its balloon stood before, and what it filled.
 *
 *   I1  a guest that says for ever that it is short and fills nothing ends at its part by shares at most, to the byte, or
 *       where it stood when it began
 *   I2  nobody else's balloon moves for it; what is there again the next decisions divide
 *
 * However little it is, there is no dead band: one move for each loan. */
#include "balanced.h"
#include "bytes.h"

static bool is_due(const struct ma_facts *facts) {
    return facts->loan_floor_bytes > 0 && facts->balloon_reason == MA_REASON_NONE &&
           facts->guest->state == MA_GUEST_RUNNING && !facts->is_vetoing;
}

static bool is_any_due(const struct ma_study *study) {
    for (size_t i = 0; i < study->input->snapshot->n_guests; i++) {
        if (is_due(&study->facts[i])) {
            return true;
        }
    }
    return false;
}

static void take_back(struct ma_study *study, uint32_t guest, uint64_t part_bytes) {
    const struct ma_facts *facts = &study->facts[guest];
    uint64_t to =
        ma_max_u64(ma_round_down(part_bytes, MA_MIB), ma_round_up(facts->loan_floor_bytes, MA_MIB));

    if (is_due(facts) && to < facts->guest->actual_bytes && !balanced_has_action(study, guest)) {
        balanced_add_balloon(study, guest, to, MA_REASON_DIVISION);
    }
}

void balanced_take_back_loans(struct ma_study *study) {
    size_t mark = study->arena.used;
    struct balanced_items all;
    uint64_t sum = 0;

    /* Without the memory to think it over a loan stands a decision longer. */
    if (study->need.ram >= 0 && is_any_due(study) &&
        balanced_collect_items(study, &all, &sum) == 0 &&
        balanced_set_shares(study, &all, balanced_budget_bytes(study, sum)) == 0) {
        for (size_t k = 0; k < all.n_items; k++) {
            take_back(study, all.guests[k], all.part_bytes[k]);
        }
    }
    study->arena.used = mark;
}
