/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "study.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"

size_t ma_study_memory_size(size_t max_guests) {
    size_t n_options = max_guests * MA_OPTIONS_PER_GUEST_MAX;
    size_t problem = ma_arena_round(n_options * sizeof(struct ma_cover_option)) +
                     ma_arena_round(max_guests * sizeof(struct ma_cover_member)) +
                     ma_arena_round(max_guests * sizeof(struct ma_cover_cluster)) +
                     ma_arena_round(max_guests * sizeof(uint32_t));
    size_t answers = 3 * 2 * ma_arena_round(max_guests * sizeof(uint32_t));

    return ma_arena_round(max_guests * sizeof(struct ma_facts)) +
           ma_groups_memory_size(max_guests) + problem + answers +
           ma_arena_round(ma_cover_workspace_size(max_guests, max_guests, n_options, MA_ROWS_MAX));
}

static int take_basis(struct ma_study *study) {
    const struct ma_policy_input *input = study->input;
    struct ma_facts *facts;
    int r;

    if (input->facts != NULL) {
        study->facts = input->facts;
        study->groups = *input->groups;
        study->need = *input->need;
        return 0;
    }
    facts = ma_arena_take(&study->arena, input->snapshot->n_guests, sizeof(*facts));
    if (facts == NULL) {
        return -ENOSPC;
    }
    ma_facts_of_all(input->snapshot, input->state, facts);
    study->facts = facts;
    r = ma_groups_find(input->snapshot, facts, &study->arena, &study->groups);
    if (r == 0) {
        ma_need_compute(input->snapshot, input->state, facts, study->plan, &study->need);
    }
    return r;
}

/* What moves to another node is short no more: the planner covers what is left. */
static void take_rebalance(struct ma_study *study) {
    struct ma_need *need = &study->need;

    ma_rebalance_find(study->input->snapshot, study->facts, need, study->plan, &study->rebalance);
    if (!study->rebalance.is_planned) {
        return;
    }
    need->has_demand = false;
    for (size_t d = 0; d < need->n_rows; d++) {
        int64_t gain = study->rebalance.frees.mib[d];

        if (gain > 0) {
            need->demand_mib[d] = need->demand_mib[d] > gain ? need->demand_mib[d] - gain : 0;
        }
        need->has_demand = need->has_demand || need->demand_mib[d] > 0;
    }
}

int ma_study_begin(struct ma_study *study,
                   const struct ma_policy_input *input,
                   struct ma_plan *plan) {
    int r;

    memset(study, 0, sizeof(*study));
    study->input = input;
    study->plan = plan;
    study->left_out_guest = MA_NO_GROUP;
    study->arena = (struct ma_arena){.memory = input->scratch.memory, .size = input->scratch.bytes};
    if (input->snapshot->n_guests > plan->max_candidates) {
        return -ENOSPC;
    }
    r = take_basis(study);
    if (r < 0) {
        return r;
    }
    take_rebalance(study);
    memcpy(plan->deficits.mib, study->need.demand_mib, sizeof(plan->deficits.mib));
    return 0;
}

/* No score exists for `never`: its memory is asked for after everybody else's. */
static uint64_t impact_as_dearest(const struct ma_guest *guest) {
    struct ma_guest as_dearest = *guest;
    struct ma_impact impact;

    as_dearest.config.has |= MA_CONFIG_HAS_IMPACT;
    as_dearest.config.impact_class = MA_IMPACT_WEIGHT;
    as_dearest.config.impact = MA_IMPACT_MAX;
    ma_impact_score(&as_dearest, &impact);
    return impact.total;
}

uint64_t ma_study_impact(const struct ma_study *study, size_t guest) {
    const struct ma_candidate *candidate = &study->plan->candidates[guest];

    return candidate->has_impact ? candidate->impact.total
                                 : impact_as_dearest(&study->input->snapshot->guests[guest]);
}

uint32_t ma_study_cluster(const struct ma_study *study, uint32_t guest) {
    uint32_t index = study->groups.group_of[guest];
    const struct ma_group *group = index == MA_NO_GROUP ? NULL : &study->groups.groups[index];

    return group == NULL || group->excluded_because != MA_REASON_NONE
               ? guest
               : study->groups.members[group->first];
}

static void describe(struct ma_study *study, size_t guest) {
    const struct ma_facts *facts = &study->facts[guest];
    uint32_t group = study->groups.group_of[guest];
    struct ma_candidate *candidate = &study->plan->candidates[guest];

    memset(candidate, 0, sizeof(*candidate));
    candidate->guest = (uint32_t) guest;
    candidate->excluded_because = facts->victim_reason;
    if (facts->victim_reason == MA_REASON_NONE && group != MA_NO_GROUP) {
        candidate->excluded_because = study->groups.groups[group].excluded_because;
    }
    candidate->is_eligible =
        candidate->excluded_because == MA_REASON_NONE || facts->balloon_reason == MA_REASON_NONE ||
        facts->resize_reason == MA_REASON_NONE || facts->reclaim_reason == MA_REASON_NONE;
    if (facts->guest->config.impact_class != MA_IMPACT_NEVER) {
        candidate->has_impact = true;
        ma_impact_score(facts->guest, &candidate->impact);
    }
}

static void add_victims(struct ma_study *study, size_t guest) {
    struct ma_candidate *candidate = &study->plan->candidates[guest];
    uint32_t index = study->groups.group_of[guest];
    const struct ma_group *group;
    const uint32_t *members;
    uint64_t total = 0;

    if (candidate->excluded_because != MA_REASON_NONE) {
        return;
    }
    if (index == MA_NO_GROUP) {
        ma_options_add_victim(&study->options, guest, candidate->impact.total);
        return;
    }
    group = &study->groups.groups[index];
    members = study->groups.members + group->first;
    /* The joint options stand once, with the first member; the others show theirs in the group's name. */
    if (members[0] != guest) {
        return;
    }
    for (uint32_t k = 0; k < group->n_members; k++) {
        total = ma_add_sat(total, study->plan->candidates[members[k]].impact.total);
    }
    ma_options_add_joint(&study->options, members, group->n_members, total);
}

void ma_study_candidates(struct ma_study *study, uint32_t rungs) {
    struct ma_plan *plan = study->plan;
    size_t n = study->input->snapshot->n_guests;

    study->options = (struct ma_options_context){
        .snapshot = study->input->snapshot,
        .facts = study->facts,
        .need = &study->need,
        .plan = plan,
        .rungs = rungs,
    };
    memcpy(study->options.demand_mib, study->need.demand_mib, sizeof(study->options.demand_mib));
    if (study->need.swap >= 0 && (rungs & MA_RUNG_BIT(MA_RUNG_KILL)) != 0) {
        study->options.demand_mib[study->need.swap] = study->need.swap_demand_mib;
    }
    for (size_t i = 0; i < n; i++) {
        describe(study, i);
    }
    plan->n_candidates = n;
    plan->n_options = 0;
    if (rungs == 0 || !study->need.has_demand) {
        return;
    }
    ma_options_share_swap(&study->options);
    for (size_t i = 0; i < n; i++) {
        struct ma_candidate *candidate = &plan->candidates[i];
        const struct ma_facts *facts = &study->facts[i];

        bool is_left = study->honours_vetoes && facts->is_vetoing;

        candidate->first_option = (uint32_t) plan->n_options;
        if (!is_left &&
            (facts->balloon_reason == MA_REASON_NONE || facts->resize_reason == MA_REASON_NONE ||
             facts->reclaim_reason == MA_REASON_NONE)) {
            ma_options_add_gentle(&study->options, i, ma_study_impact(study, i));
        }
        add_victims(study, i);
        candidate->n_options = (uint32_t) plan->n_options - candidate->first_option;
    }
}
