/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* balanced-ahead.c - what there will be to divide.
 *
 *     budget = bases + available + on its way back - taken soon - soft watermark - headroom
 *
 * taken soon: what each guest that grows takes in the time looked ahead, as far as its balloon lets it by then, and what the
 * host loses besides. The host's own slope will not do: it is what guests take less what balloons return, so a division
 * that just keeps up would see no need to be faster; and it goes on beyond where a balloon ends. */
#include "balanced.h"
#include "bytes.h"

/* How far ahead the division looks: balloons that are slewed and dead-banded need longer than the planner's. Too small:
 * the first move comes when it is an emergency; too large: a burst moves everybody. The gentle stage's half; simulated
 * (mix-1.3 to mix-2.4): 20 s and 30 s turn more balloons and save nobody. */
#define LOOK_AHEAD_USEC (UINT64_C(10) * MA_USEC_PER_SEC)

/* What is above the soft watermark, a part of it kept beside: the rest of the hysteresis, and what the next guest that
 * is short gets at once. Too small: a short guest waits until others were shrunk for it; too large: caches are squeezed
 * for nothing. Simulated: half turns more balloons than a quarter and helps nobody, an eighth has guests wait. */
#define HEADROOM_DIVISOR 4

/* A guest without a figure of its growth takes what its balloon was just given over so long, as the host's slope averages
 * it (0.3 a second). Too small: more is thought taken than was given; too large: what we gave looks like somebody's growth
 * and is asked back. */
#define GIVEN_OVER_USEC (UINT64_C(3) * MA_USEC_PER_SEC)

/* What the host has when that time has passed. */
struct outlook {
    uint64_t have_bytes;  /* available now, and what balloons on their way return */
    uint64_t taken_bytes; /* by guests, what was given and is still to be taken included */
};

static uint64_t ahead_of(uint64_t bytes_per_s) {
    return ma_muldiv_sat(bytes_per_s, LOOK_AHEAD_USEC, MA_USEC_PER_SEC);
}

static uint64_t growth_of(const struct ma_study *study, const struct ma_facts *facts) {
    const struct ma_guest *guest = facts->guest;

    if ((guest->has & MA_GUEST_HAS_GROWTH) == 0) {
        return ma_muldiv_sat(balanced_given_lately_bytes(study, facts, LOOK_AHEAD_USEC),
                             MA_USEC_PER_SEC, GIVEN_OVER_USEC);
    }
    return guest->growth_bytes_per_s > 0 ? (uint64_t) guest->growth_bytes_per_s : 0;
}

/* What a guest that grows will have taken by then, as far as its balloon lets it. */
static uint64_t claim_bytes(const struct ma_study *study, const struct ma_facts *facts) {
    const struct ma_guest *guest = facts->guest;
    uint64_t whole = ma_facts_balloon_by(facts, balanced_base_bytes(facts), LOOK_AHEAD_USEC) +
                     guest->virtio_mem.plugged_bytes;

    return (guest->has & MA_GUEST_HAS_ACTUAL) == 0
               ? 0
               : ma_min_u64(ma_sub_floor0(whole, guest->resident_bytes),
                            ahead_of(growth_of(study, facts)));
}

static struct outlook look_ahead(const struct ma_study *study) {
    const struct ma_resource *ram = &study->need.resources[study->need.ram];
    struct outlook outlook = {.have_bytes = ram->available_bytes};
    uint64_t growth = 0;
    uint64_t other = 0;

    for (size_t i = 0; i < study->input->snapshot->n_guests; i++) {
        const struct ma_facts *facts = &study->facts[i];

        if (facts->in_flight_bytes > 0) {
            outlook.have_bytes +=
                ma_facts_returned_by(facts, facts->committed_bytes, LOOK_AHEAD_USEC).held_bytes;
        }
        outlook.taken_bytes += claim_bytes(study, facts) + facts->owed_bytes;
        growth = ma_add_sat(growth, growth_of(study, facts));
    }
    if (ram->has_slope && ram->slope_bytes_per_s < 0) {
        other = ma_sub_floor0((uint64_t) 0 - (uint64_t) ram->slope_bytes_per_s, growth);
    }
    outlook.taken_bytes = ma_add_sat(outlook.taken_bytes, ahead_of(other));
    return outlook;
}

uint64_t balanced_budget_bytes(const struct ma_study *study, uint64_t sum_bytes) {
    const struct ma_resource *ram = &study->need.resources[study->need.ram];
    struct outlook outlook = look_ahead(study);
    uint64_t keep = ram->soft_bytes + ram->soft_bytes / HEADROOM_DIVISOR;

    return ma_sub_floor0(sum_bytes + outlook.have_bytes, ma_add_sat(keep, outlook.taken_bytes));
}

bool balanced_is_hurried(const struct ma_study *study) {
    struct outlook outlook = look_ahead(study);

    return ma_sub_floor0(outlook.have_bytes, outlook.taken_bytes) <
           study->need.resources[study->need.ram].hard_bytes;
}
