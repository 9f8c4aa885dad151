/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* take.c - a choice becomes actions. A two-step option is two actions whose frees and impact add up to the option's;
 * a group's option is one action for each member, likewise. */
#include "study.h"

#include <string.h>

#include "bytes.h"

static void set_from(struct ma_plan_action *action, const struct ma_guest *guest) {
    if (action->action == MA_ACTION_BALLOON) {
        action->has_from_to = true;
        action->from_bytes = guest->actual_bytes;
    } else if (action->action == MA_ACTION_RESIZE) {
        action->has_from_to = true;
        action->from_bytes = guest->virtio_mem.plugged_bytes;
    } else if (action->action == MA_ACTION_RECLAIM) {
        action->has_from_to = true;
        action->from_bytes = 0;
    }
}

static struct ma_plan_action *
add_action(struct ma_study *study, uint32_t guest, const struct ma_step *step) {
    struct ma_plan_action *action = ma_plan_add_action(study->plan);

    if (action == NULL) {
        return NULL;
    }
    action->has_guest = true;
    action->guest = guest;
    action->action = step->action;
    action->to_bytes = step->has_to ? step->to_bytes : 0;
    action->is_emergency = true;
    action->has_frees = true;
    set_from(action, study->facts[guest].guest);
    return action;
}

static uint64_t ram_bytes(const struct ma_study *study, const struct ma_amounts *frees) {
    int64_t mib = study->need.ram >= 0 ? frees->mib[study->need.ram] : 0;

    return mib > 0 ? (uint64_t) mib * MA_MIB : 0;
}

static void finish(struct ma_study *study,
                   struct ma_plan_action *action,
                   const struct ma_amounts *frees,
                   uint64_t impact,
                   enum ma_reason reason) {
    action->frees = *frees;
    action->impact = impact;
    action->reason = reason;
    action->deadline_usec = ma_options_deadline_usec(&study->facts[action->guest], action->action,
                                                     ram_bytes(study, frees));
}

static void add_steps(struct ma_study *study, uint32_t guest, const struct ma_option *option) {
    uint64_t second_impact = option->n_steps == 2
                                 ? ma_impact_of_rung(ma_study_impact(study, guest), MA_RUNG_RECLAIM)
                                 : 0;
    struct ma_amounts first = option->frees;
    struct ma_amounts second = {{0}};
    struct ma_plan_action *action = add_action(study, guest, &option->steps[0]);

    if (option->n_steps == 2) {
        ma_frees_of_reclaim(study->plan, &study->facts[guest], option->steps[1].to_bytes, &second);
        for (size_t d = 0; d < study->plan->n_rows; d++) {
            first.mib[d] -= second.mib[d];
        }
    }
    if (action != NULL) {
        finish(study, action, &first, ma_sub_floor0(option->impact, second_impact), option->reason);
    }
    if (option->n_steps == 2 && (action = add_action(study, guest, &option->steps[1])) != NULL) {
        finish(study, action, &second, second_impact,
               option->is_victim ? option->reason : MA_REASON_COLD_PAGES);
    }
}

static void add_group(struct ma_study *study, uint32_t guest, const struct ma_option *option) {
    const struct ma_group *group = &study->groups.groups[study->groups.group_of[guest]];
    enum ma_rung rung = option->rung;
    uint64_t left = option->impact;

    for (uint32_t k = 0; k < group->n_members; k++) {
        uint32_t member = study->groups.members[group->first + k];
        bool is_last = k + 1 == group->n_members;
        uint64_t impact = is_last ? left : ma_impact_of_rung(ma_study_impact(study, member), rung);
        struct ma_plan_action *action = add_action(study, member, &option->steps[0]);
        struct ma_amounts frees;

        if (action == NULL) {
            return;
        }
        impact = ma_min_u64(impact, left);
        left -= impact;
        ma_frees_of_victim(study->plan, &study->need, &study->facts[member],
                           option->steps[0].action, &frees);
        finish(study, action, &frees, impact, option->reason);
    }
}

void ma_study_add_actions(struct ma_study *study, uint32_t guest, const struct ma_option *option) {
    if (option->is_victim && study->groups.group_of[guest] != MA_NO_GROUP) {
        add_group(study, guest, option);
    } else {
        add_steps(study, guest, option);
    }
}

static uint32_t count_victims(const struct ma_plan *plan) {
    uint32_t n = 0;

    for (size_t k = 0; k < plan->n_actions; k++) {
        n += ma_action_is_victim(plan->actions[k].action);
    }
    return n;
}

static void take_option(struct ma_study *study, uint32_t guest, uint32_t index) {
    if (index != MA_COVER_NONE && index < study->plan->n_options) {
        study->plan->options[index].is_chosen = true;
        ma_study_add_actions(study, guest, &study->plan->options[index]);
    }
}

/* The guest that a joint option stands with. */
static uint32_t owner_of(const struct ma_plan *plan, uint32_t option) {
    uint32_t low = 0;
    uint32_t high = (uint32_t) plan->n_candidates;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (plan->candidates[middle].first_option <= option) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

void ma_study_take(struct ma_study *study, const struct ma_choice *choice) {
    struct ma_plan *plan = study->plan;

    for (size_t k = 0; k < choice->n_members; k++) {
        take_option(study, choice->member_guest[k], choice->member_choice[k]);
    }
    for (size_t k = 0; k < choice->n_clusters; k++) {
        uint32_t option = choice->cluster_choice[k];

        if (option != MA_COVER_NONE) {
            take_option(study, owner_of(plan, option), option);
        }
    }
    for (size_t d = 0; d < plan->n_rows; d++) {
        if (choice->has_victims) {
            plan->deficits.mib[d] = study->options.demand_mib[d];
        }
        plan->uncovered.mib[d] = choice->result.uncovered_mib[d];
    }
    plan->has_certificate = true;
    plan->certificate = (struct ma_certificate){
        .total_impact = choice->result.total_cost,
        .lower_bound_impact = choice->result.lower_bound,
        .is_optimal = choice->result.is_optimal,
        .nodes = choice->result.nodes,
        .victims = count_victims(plan),
    };
}
