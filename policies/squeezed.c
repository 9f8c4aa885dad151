/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* squeezed.c - xapi's squeezed: the same part of every guest's range. squeezed.md has the rules, their source and what
 * our figures force to be different.
 *
 *   gamma    = (free + sum of (actual - min - 2 x inaccuracy) - wanted) / sum of (max - min), within [0, 1]
 *   target_i = min_i + gamma x (max_i - min_i)
 *
 * Guests whose driver is stuck are left out and the others carry the load. While any target frees memory, only
 * those are set; growth waits for the next round. */
#include "bytes.h"
#include "reference.h"

/* squeeze_xen.ml: how far from its target a guest may stand and have reached it */
#define INACCURACY_BYTES (UINT64_C(4) * MA_KIB)
/* squeeze.ml: io.wait while targets are being reached; squeezed.ml: the balance check */
#define ITERATION_USEC MA_USEC_PER_SEC
#define BALANCE_USEC   (UINT64_C(10) * MA_USEC_PER_SEC)

struct ranges {
    uint64_t surplus_bytes;
    uint64_t range_bytes;
};

static bool is_active(const struct ma_facts *facts) {
    return reference_has_driver(facts->guest) &&
           (facts->memory == NULL || facts->memory->cooperation != MA_COOPERATION_STUCK);
}

static uint64_t least_of(const struct ma_facts *facts) {
    return ma_min_u64(facts->guarantee_bytes, facts->ceiling_bytes);
}

static uint64_t target_of(const struct ranges *ranges, const struct ma_facts *facts) {
    uint64_t range = facts->ceiling_bytes - least_of(facts);

    if (ranges->surplus_bytes >= ranges->range_bytes) {
        return facts->ceiling_bytes;
    }
    return least_of(facts) + ma_muldiv_sat(range, ranges->surplus_bytes, ranges->range_bytes);
}

static void add_up(const struct ma_study *study, struct ranges *ret) {
    const struct ma_snapshot *snapshot = study->input->snapshot;
    uint64_t most_free = snapshot->host.available_bytes;

    *ret = (struct ranges){0};
    for (size_t i = 0; i < snapshot->n_guests; i++) {
        const struct ma_facts *facts = &study->facts[i];

        if (is_active(facts)) {
            most_free +=
                ma_sub_floor0(facts->guest->actual_bytes, least_of(facts) + 2 * INACCURACY_BYTES);
            ret->range_bytes += facts->ceiling_bytes - least_of(facts);
        }
    }
    ret->surplus_bytes = ma_sub_floor0(most_free, snapshot->settings.reserve_bytes);
}

static bool is_freeing(const struct ma_facts *facts, uint64_t target) {
    return target + INACCURACY_BYTES < facts->guest->actual_bytes;
}

static int propose(const struct ma_policy_input *input, struct ma_plan *plan) {
    struct ma_study study;
    struct ranges ranges;
    bool should_free = false;
    int r = reference_begin(&study, input, plan);

    if (r < 0) {
        return r;
    }
    add_up(&study, &ranges);
    for (size_t i = 0; i < input->snapshot->n_guests; i++) {
        const struct ma_facts *facts = &study.facts[i];

        should_free =
            should_free || (is_active(facts) && is_freeing(facts, target_of(&ranges, facts)));
    }
    if (!reference_is_due(&study, should_free ? ITERATION_USEC : BALANCE_USEC)) {
        return 0;
    }
    for (uint32_t i = 0; i < input->snapshot->n_guests; i++) {
        const struct ma_facts *facts = &study.facts[i];
        uint64_t target = is_active(facts) ? target_of(&ranges, facts) : 0;
        bool has_target = (facts->guest->balloon.has & MA_BALLOON_HAS_TARGET) != 0;
        uint64_t before =
            has_target ? facts->guest->balloon.target_bytes : facts->guest->actual_bytes;

        if (is_active(facts) && target != before && is_freeing(facts, target) == should_free) {
            reference_add_balloon(&study, i, target);
        }
    }
    return 0;
}

const struct ma_policy ma_policy_squeezed = {
    .name = "squeezed",
    .summary = "every guest at the same part of its range between minimum and maximum",
    .source = "xapi-project/xen-api ocaml/squeezed/lib/squeeze.ml (commit 033f5d0)",
    .is_reference = true,
    .propose = propose,
};
