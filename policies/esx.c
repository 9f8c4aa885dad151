/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* esx.c - ESX: min-funding revocation with an idle memory tax. esx.md has the rules, their source and what our figures
 * force to be different.
 *
 * Memory is taken from the guest with the fewest shares per page, an idle page being charged k = 1 / (1 - tax) times
 * an active one. Taken page by page until nobody pays less than another, that comes to one price level L for all:
 *
 *   P_i = L x shares_i                                    where that does not exceed what is active
 *   P_i = tax x active_i + (1 - tax) x L x shares_i       above
 *
 * within [min_i, max_i], L such that the sum is what there is to divide; found by bisection, for P_i grows with L. */
#include "bytes.h"
#include "reference.h"

/* Waldspurger 2002, section 5.3: "default tax rate of 75 %" */
#define TAX_PERMYRIAD 7500U
/* Section 6.3: free memory states high, soft, hard */
#define HIGH_PERMYRIAD 600U
#define SOFT_PERMYRIAD 400U
#define HARD_PERMYRIAD 200U
/* "periodically": not said how often. Guessed. */
#define PERIOD_USEC (UINT64_C(5) * MA_USEC_PER_SEC)
/* Smaller corrections are left out. Guessed: 0.5 % of the guest. */
#define LEAST_CHANGE_PERMYRIAD 50U
/* Of the level: bytes a share, with so many binary places. */
#define LEVEL_PLACES 20U

struct esx {
    const struct ma_study *study;
    uint64_t budget_bytes;
};

static bool is_in(const struct ma_facts *facts) {
    return reference_has_driver(facts->guest);
}

static uint64_t held_by(const struct ma_facts *facts) {
    return ma_min_u64(facts->guest->resident_bytes, facts->guest->actual_bytes);
}

static uint64_t active_of(const struct ma_facts *facts) {
    const struct ma_stats *stats = &facts->guest->stats;
    uint64_t available = (stats->has & MA_STATS_HAS_AVAILABLE) != 0 ? stats->claimed_available_bytes
                                                                    : stats->claimed_free_bytes;

    return ma_sub_floor0(facts->guest->actual_bytes, available);
}

static uint64_t pages_at(const struct ma_facts *facts, uint64_t level) {
    const struct ma_guest_config *config = &facts->guest->config;
    uint64_t shares =
        (config->has & MA_CONFIG_HAS_SHARES) != 0 ? config->shares : MA_SHARES_DEFAULT;
    uint64_t paid = ma_muldiv_sat(level, shares, UINT64_C(1) << LEVEL_PLACES);
    uint64_t active = active_of(facts);

    if (paid > active) {
        paid = active + ma_permyriad_of(paid - active, MA_PERMYRIAD_FULL - TAX_PERMYRIAD);
    }
    return ma_clamp_u64(paid, ma_min_u64(facts->guarantee_bytes, facts->ceiling_bytes),
                        facts->ceiling_bytes);
}

static uint64_t sum_at(const struct esx *esx, uint64_t level) {
    uint64_t sum = 0;

    for (size_t i = 0; i < esx->study->input->snapshot->n_guests; i++) {
        const struct ma_facts *facts = &esx->study->facts[i];

        sum += is_in(facts) ? pages_at(facts, level) : 0;
    }
    return sum;
}

/* The highest level that the budget bears. */
static uint64_t find_level(const struct esx *esx) {
    uint64_t low = 0;
    uint64_t high = UINT64_C(1) << 62;

    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;

        if (sum_at(esx, middle) <= esx->budget_bytes) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

static void page_out(struct ma_study *study, uint32_t index, uint64_t bytes) {
    struct ma_plan_action *action = ma_plan_add_action(study->plan);

    if (action == NULL) {
        return;
    }
    action->has_guest = true;
    action->guest = index;
    action->action = MA_ACTION_RECLAIM;
    action->has_from_to = true;
    action->to_bytes = bytes;
    action->has_frees = true;
    ma_frees_of_reclaim(study->plan, &study->facts[index], bytes, &action->frees);
    action->reason = MA_REASON_COLD_PAGES;
    action->deadline_usec =
        ma_options_deadline_usec(&study->facts[index], MA_ACTION_RECLAIM, bytes);
}

static void set_targets(struct ma_study *study, uint64_t level, bool is_hard) {
    for (uint32_t i = 0; i < study->input->snapshot->n_guests; i++) {
        const struct ma_facts *facts = &study->facts[i];
        uint64_t actual = facts->guest->actual_bytes;
        uint64_t target = is_in(facts) ? pages_at(facts, level) : 0;
        uint64_t change = target > actual ? target - actual : actual - target;

        if (!is_in(facts)) {
            continue;
        }
        if (change > ma_permyriad_of(facts->guest->max_bytes, LEAST_CHANGE_PERMYRIAD)) {
            reference_add_balloon(study, i, target);
        }
        if (is_hard && study->need.swap >= 0 && held_by(facts) > target) {
            page_out(study, i, held_by(facts) - target);
        }
    }
}

static bool has_balloons(const struct ma_study *study) {
    for (size_t i = 0; i < study->input->snapshot->n_guests; i++) {
        const struct ma_facts *facts = &study->facts[i];

        if (is_in(facts) && facts->guest->actual_bytes < facts->ceiling_bytes) {
            return true;
        }
    }
    return false;
}

static int propose(const struct ma_policy_input *input, struct ma_plan *plan) {
    const struct ma_host *host = &input->snapshot->host;
    struct ma_study study;
    struct esx esx = {.study = &study};
    bool is_soft = host->available_bytes < ma_permyriad_of(host->total_bytes, SOFT_PERMYRIAD);
    int r = reference_begin(&study, input, plan);

    if (r < 0 || !reference_is_due(&study, PERIOD_USEC) || (!is_soft && !has_balloons(&study))) {
        return r;
    }
    esx.budget_bytes = host->available_bytes;
    for (size_t i = 0; i < input->snapshot->n_guests; i++) {
        esx.budget_bytes += is_in(&study.facts[i]) ? held_by(&study.facts[i]) : 0;
    }
    esx.budget_bytes =
        ma_sub_floor0(esx.budget_bytes, ma_permyriad_of(host->total_bytes, HIGH_PERMYRIAD));
    set_targets(&study, find_level(&esx),
                host->available_bytes < ma_permyriad_of(host->total_bytes, HARD_PERMYRIAD));
    return 0;
}

const struct ma_policy ma_policy_esx = {
    .name = "esx",
    .summary = "min-funding revocation by shares, idle memory taxed at 75 %",
    .source = "Waldspurger, Memory Resource Management in VMware ESX Server, OSDI 2002",
    .is_reference = true,
    .propose = propose,
};
