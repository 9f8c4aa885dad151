/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mom.c - oVirt MOM's default balloon rules. mom.md has the rules, their source and what our figures force to be
 * different. Every guest alike: below 20 % host free memory all shrink by up to 5 %, above it all grow by 5 %. */
#include "bytes.h"
#include "reference.h"

/* doc/balloon.rules */
#define PRESSURE_THRESHOLD_PERMYRIAD 2000U
#define PRESSURE_CRITICAL_PERMYRIAD  500U
#define MIN_GUEST_FREE_PERMYRIAD     2000U
#define MAX_CHANGE_PERMYRIAD         500U
#define MIN_CHANGE_PER_100000        250U
/* mom/__init__.py: policy-engine interval */
#define PERIOD_USEC (UINT64_C(10) * MA_USEC_PER_SEC)

static bool is_big_enough(uint64_t current, uint64_t proposed) {
    uint64_t change = proposed > current ? proposed - current : current - proposed;

    return change > ma_muldiv_sat(current, MIN_CHANGE_PER_100000, 100000);
}

static uint64_t used_of(const struct ma_guest *guest) {
    return ma_sub_floor0(guest->actual_bytes, guest->stats.claimed_free_bytes);
}

static void shrink(struct ma_study *study, uint32_t index) {
    const struct ma_facts *facts = &study->facts[index];
    const struct ma_host *host = &study->input->snapshot->host;
    uint64_t current = facts->guest->actual_bytes;
    /* current x host_free_percent: 0.20 x host_free / 0.20 is host_free itself. */
    uint64_t keep = ma_muldiv_sat(current, host->available_bytes, host->total_bytes);
    uint64_t least = used_of(facts->guest) + keep;
    uint64_t size = current - ma_permyriad_of(current, MAX_CHANGE_PERMYRIAD);

    if (host->available_bytes <= ma_permyriad_of(host->total_bytes, PRESSURE_CRITICAL_PERMYRIAD)) {
        /* "Force guest to swap by making free memory negative" */
        least = ma_sub_floor0(least, ma_permyriad_of(current, PRESSURE_CRITICAL_PERMYRIAD));
    }
    size = ma_max_u64(size, ma_max_u64(facts->guarantee_bytes, least));
    if (size <= current && is_big_enough(current, size)) {
        reference_add_balloon(study, index, size);
    }
}

static void grow(struct ma_study *study, uint32_t index) {
    const struct ma_facts *facts = &study->facts[index];
    uint64_t current = facts->guest->actual_bytes;
    uint64_t least = used_of(facts->guest) + ma_permyriad_of(current, MIN_GUEST_FREE_PERMYRIAD);
    uint64_t size = current + ma_permyriad_of(current, MAX_CHANGE_PERMYRIAD);

    if (current >= facts->guest->max_bytes) {
        return;
    }
    size = ma_max_u64(size, ma_max_u64(facts->guarantee_bytes, least));
    size = ma_min_u64(size, facts->guest->max_bytes);
    if (is_big_enough(current, size)) {
        reference_add_balloon(study, index, size);
    }
}

static int propose(const struct ma_policy_input *input, struct ma_plan *plan) {
    const struct ma_host *host = &input->snapshot->host;
    struct ma_study study;
    bool is_short =
        host->available_bytes < ma_permyriad_of(host->total_bytes, PRESSURE_THRESHOLD_PERMYRIAD);
    int r = reference_begin(&study, input, plan);

    if (r < 0 || !reference_is_due(&study, PERIOD_USEC)) {
        return r;
    }
    for (uint32_t i = 0; i < input->snapshot->n_guests; i++) {
        if (!reference_has_driver(&input->snapshot->guests[i])) {
            continue; /* a guest without its mandatory figures leaves the policy */
        }
        if (is_short) {
            shrink(&study, i);
        } else {
            grow(&study, i);
        }
    }
    return 0;
}

const struct ma_policy ma_policy_mom = {
    .name = "mom",
    .summary = "all guests shrink below 20 % host free memory and grow above it, 5 % a step",
    .source = "oVirt/mom doc/balloon.rules (commit 3de1c8e)",
    .is_reference = true,
    .propose = propose,
};
