/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* balanced-culprit.c - before a second victim in one incident the culprit goes: the fastest grower above its guarantee.
 * One innocent guest may pay for a bomb that looked important; two may not. */
#include <string.h>

#include "balanced.h"
#include "bytes.h"

/* Slower than this is no culprit. Too small: a guest that warms its cache pays for a bomb; too large: a slow leak is
 * never found. A hundredth of the bombs seen; guessed. */
#define CULPRIT_GROWTH_BYTES_PER_S ((int64_t) (16 * MA_MIB))

/* ... and so is who takes less than this part of what all growing guests take together: on a host where thirty caches
 * fill, the fastest of them is no bomb. Too small: that; too large: a bomb hides among a boot storm. Simulated
 * (mix-2.4, 4 runs): impact lost 16.5 without it, 11.8 with it; databases were killed for their page cache. */
#define CULPRIT_PART_DIVISOR 2

static bool is_suspect(const struct ma_study *study, uint32_t guest) {
    const struct ma_facts *facts = &study->facts[guest];
    uint32_t owner = ma_study_cluster(study, guest);

    return study->plan->candidates[guest].excluded_because == MA_REASON_NONE &&
           study->plan->candidates[owner].n_options > 0 &&
           facts->guest->growth_bytes_per_s >= CULPRIT_GROWTH_BYTES_PER_S &&
           facts->guest->resident_bytes > facts->guarantee_bytes;
}

/* The first member of its group, or the guest; MA_NO_GROUP: there is none. */
static uint32_t find_culprit(const struct ma_study *study) {
    uint32_t culprit = MA_NO_GROUP;
    int64_t fastest = 0;
    int64_t all = 0;

    for (uint32_t i = 0; i < study->input->snapshot->n_guests; i++) {
        int64_t growth = study->facts[i].guest->growth_bytes_per_s;

        all = ma_add_sat_i64(all, ma_max_i64(growth, 0));
        if (growth > fastest && is_suspect(study, i)) {
            fastest = growth;
            culprit = ma_study_cluster(study, i);
        }
    }
    return fastest >= all / CULPRIT_PART_DIVISOR ? culprit : MA_NO_GROUP;
}

bool balanced_is_chosen_victim(const struct ma_study *study,
                               const struct ma_choice *choice,
                               uint32_t owner) {
    const struct ma_candidate *candidate = &study->plan->candidates[owner];
    uint32_t first = candidate->first_option;
    uint32_t end = first + candidate->n_options;

    for (size_t k = 0; k < choice->n_members; k++) {
        uint32_t option = choice->member_choice[k];

        if (option != MA_COVER_NONE && option >= first && option < end &&
            study->plan->options[option].is_victim) {
            return true;
        }
    }
    for (size_t k = 0; k < choice->n_clusters; k++) {
        uint32_t option = choice->cluster_choice[k];

        if (option != MA_COVER_NONE && option >= first && option < end) {
            return true;
        }
    }
    return false;
}

static size_t count_victims(const struct ma_study *study, const struct ma_choice *choice) {
    size_t n = 0;

    for (size_t k = 0; k < choice->n_clusters; k++) {
        n += choice->cluster_choice[k] != MA_COVER_NONE;
    }
    for (size_t k = 0; k < choice->n_members; k++) {
        uint32_t option = choice->member_choice[k];

        n += option != MA_COVER_NONE && study->plan->options[option].is_victim;
    }
    return n;
}

static void mark(struct ma_study *study, uint32_t owner) {
    struct ma_candidate *candidate = &study->plan->candidates[owner];

    for (uint32_t k = 0; k < candidate->n_options; k++) {
        struct ma_option *option = &study->plan->options[candidate->first_option + k];

        if (option->is_victim) {
            option->reason = MA_REASON_CULPRIT;
        }
    }
}

/* The rest of the plan when the culprit goes by this option. */
static int plan_rest(struct ma_study *study,
                     uint32_t owner,
                     const struct ma_option *option,
                     struct ma_choice *ret) {
    int64_t demand[MA_ROWS_MAX];
    int r;

    memcpy(demand, study->options.demand_mib, sizeof(demand));
    for (size_t d = 0; d < study->plan->n_rows; d++) {
        study->options.demand_mib[d] =
            ma_max_i64(0, study->options.demand_mib[d] - ma_max_i64(0, option->frees.mib[d]));
    }
    study->left_out_guest = owner;
    r = ma_study_choose(study, true, ret);
    study->left_out_guest = MA_NO_GROUP;
    memcpy(study->options.demand_mib, demand, sizeof(demand));
    return r;
}

/* Of its ways to go, the one with the fewest victims besides, then the one with which the whole plan costs least: a
 * bomb that is merely paused keeps its memory, and an innocent guest would pay again. MA_COVER_NONE: none covers. */
static int best_way(struct ma_study *study, uint32_t owner, uint32_t *ret_option) {
    const struct ma_candidate *candidate = &study->plan->candidates[owner];
    uint64_t least = UINT64_MAX;
    size_t fewest = SIZE_MAX;

    *ret_option = MA_COVER_NONE;
    for (uint32_t k = 0; k < candidate->n_options; k++) {
        const struct ma_option *option = &study->plan->options[candidate->first_option + k];
        size_t mark_used = study->arena.used;
        struct ma_choice rest;
        size_t n_others;
        uint64_t total;
        int r;

        if (!option->is_victim) {
            continue;
        }
        r = plan_rest(study, owner, option, &rest);
        study->arena.used = mark_used;
        if (r < 0) {
            return r;
        }
        n_others = count_victims(study, &rest);
        total = rest.result.total_cost + option->impact;
        if (rest.is_covering && (n_others < fewest || (n_others == fewest && total < least))) {
            fewest = n_others;
            least = total;
            *ret_option = candidate->first_option + k;
        }
    }
    return 0;
}

int balanced_force(struct ma_study *study,
                   uint32_t owner,
                   uint32_t option,
                   const struct ma_choice *joint) {
    struct ma_plan *plan = study->plan;
    struct ma_choice rest;
    int r = plan_rest(study, owner, &plan->options[option], &rest);

    if (r < 0) {
        return r;
    }
    plan->options[option].is_chosen = true;
    ma_study_add_actions(study, owner, &plan->options[option]);
    ma_study_take(study, &rest);
    plan->certificate.total_impact += plan->options[option].impact;
    plan->certificate.lower_bound_impact = joint->result.lower_bound;
    plan->certificate.is_optimal = plan->certificate.total_impact == joint->result.lower_bound;
    return 0;
}

int balanced_culprit_first(struct ma_study *study, const struct ma_choice *joint) {
    bool is_second = study->input->state->victims_in_incident > 0;
    uint32_t culprit;
    uint32_t option;
    int r;

    if (!is_second || !study->input->snapshot->settings.culprit_first ||
        count_victims(study, joint) == 0) {
        return 0;
    }
    culprit = find_culprit(study);
    if (culprit == MA_NO_GROUP) {
        return 0;
    }
    mark(study, culprit);
    if (balanced_is_chosen_victim(study, joint, culprit)) {
        return 0;
    }
    r = best_way(study, culprit, &option);
    if (r < 0 || option == MA_COVER_NONE) {
        return r;
    }
    r = balanced_force(study, culprit, option, joint);
    return r < 0 ? r : 1;
}
