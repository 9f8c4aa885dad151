/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decide.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "commit.h"
#include "division.h"
#include "guard-internal.h"
#include "guard.h"
#include "observe.h"

size_t ma_scratch_size(size_t max_guests) {
    /* A policy may divide memory besides planning: items, node shares, an index, the solver's workspace. */
    size_t division = ma_arena_round(max_guests * sizeof(struct ma_division_item)) +
                      ma_arena_round(max_guests * MA_ROWS_MAX * sizeof(uint32_t)) +
                      ma_arena_round(max_guests * sizeof(uint32_t)) +
                      ma_arena_round(max_guests * sizeof(uint64_t)) +
                      ma_arena_round(ma_division_workspace_size(max_guests, MA_ROWS_MAX));

    return ma_guard_memory_size(max_guests) + division + ma_arena_round(sizeof(struct ma_groups)) +
           ma_arena_round(sizeof(struct ma_need));
}

static bool needs_victim(const struct ma_plan *plan) {
    for (size_t k = 0; k < plan->n_actions; k++) {
        if (ma_action_is_victim(plan->actions[k].action) ||
            plan->actions[k].action == MA_ACTION_EXHAUSTED) {
            return true;
        }
    }
    return false;
}

/* What both the policy and the guard start from, at the front of the scratch memory; what is left is the policy's, and
 * then the guard's. */
static int work_out_basis(struct ma_policy_input *input, const struct ma_plan *plan) {
    struct ma_arena arena = {.memory = input->scratch.memory, .size = input->scratch.bytes};
    struct ma_facts *facts = ma_arena_take(&arena, input->snapshot->n_guests, sizeof(*facts));
    struct ma_groups *groups = ma_arena_take(&arena, 1, sizeof(*groups));
    struct ma_need *need = ma_arena_take(&arena, 1, sizeof(*need));

    if (facts == NULL || groups == NULL || need == NULL) {
        return -ENOSPC;
    }
    ma_facts_of_all(input->snapshot, input->state, facts);
    if (ma_groups_find(input->snapshot, facts, &arena, groups) < 0) {
        return -ENOSPC;
    }
    ma_need_compute(input->snapshot, input->state, facts, plan, need);
    input->facts = facts;
    input->groups = groups;
    input->need = need;
    input->scratch =
        (struct ma_scratch){.memory = arena.memory + arena.used, .bytes = arena.size - arena.used};
    return 0;
}

int ma_decide(const struct ma_snapshot *snapshot,
              const struct ma_policy *policy,
              const struct ma_decide_options *options,
              struct ma_state *state,
              struct ma_scratch scratch,
              struct ma_plan *ret_plan) {
    struct ma_policy_input input = {.snapshot = snapshot, .state = state, .scratch = scratch};
    int r;

    ma_plan_reset(ret_plan);
    ret_plan->policy = policy->name;
    ma_observe(snapshot, options->is_single_snapshot, state, ret_plan);
    r = work_out_basis(&input, ret_plan);
    r = r < 0 ? r : policy->propose(&input, ret_plan);
    if (r < 0) {
        ret_plan->n_actions = 0;
        state->victim_need_count = 0;
        return r;
    }
    (void) ma_guard_apply(&input, options->is_single_snapshot, ret_plan);
    if (needs_victim(ret_plan)) {
        state->victim_need_count += state->victim_need_count < UINT32_MAX;
    } else {
        state->victim_need_count = 0;
    }
    if (!options->is_dry_run) {
        ma_commit(snapshot, ret_plan, state);
    }
    return 0;
}

/* What is lost within the horizon if things go on as they did. */
static uint64_t projected_loss(const struct ma_plan *plan, int ram) {
    int64_t slope = plan->has_slope[ram] ? plan->slope_bytes_per_s[ram] : 0;

    return slope >= 0 ? 0
                      : ma_muldiv_sat((uint64_t) 0 - (uint64_t) slope, plan->settings.horizon_usec,
                                      MA_USEC_PER_SEC);
}

/* Does a row with a deadline still lack what only fast actions bring in time? */
static bool is_deadline_short(const struct ma_plan *plan, uint64_t available_bytes) {
    for (size_t d = 0; d < plan->n_rows; d++) {
        uint64_t gentle_bytes = 0;

        if (plan->rows[d].within_ms == 0 || plan->deficits.mib[d] <= 0) {
            continue;
        }
        for (size_t k = 0; k < plan->n_actions; k++) {
            const struct ma_plan_action *action = &plan->actions[k];

            if (action->is_armed && action->has_frees && !ma_action_is_victim(action->action) &&
                action->frees.mib[d] > 0) {
                gentle_bytes += (uint64_t) action->frees.mib[d] * MA_MIB;
            }
        }
        return ma_add_sat(available_bytes, gentle_bytes) < projected_loss(plan, (int) d);
    }
    return false;
}

bool ma_victim_still_needed(const struct ma_plan *plan, uint64_t available_bytes) {
    uint64_t gentle_bytes = 0;
    int ram = ma_plan_row(plan, MA_ROW_RAM, 0);
    bool is_node_short = false;

    for (size_t d = 0; d < plan->n_rows; d++) {
        /* What a node has left is not read here: its need stands as planned. */
        is_node_short =
            is_node_short || (plan->rows[d].kind == MA_ROW_NODE && plan->deficits.mib[d] > 0 &&
                              plan->row_pressure[d] == MA_PRESSURE_CRITICAL);
    }
    if (is_node_short) {
        return true;
    }
    if (ram < 0 || plan->deficits.mib[ram] <= 0) {
        return false;
    }
    for (size_t k = 0; k < plan->n_actions; k++) {
        const struct ma_plan_action *action = &plan->actions[k];

        if (action->is_armed && action->has_frees && !ma_action_is_victim(action->action) &&
            action->frees.mib[ram] > 0) {
            gentle_bytes += (uint64_t) action->frees.mib[ram] * MA_MIB;
        }
    }
    /* Above the reserve with what gentle actions of this plan bring, at the end of the horizon that the plan looked to:
     * nobody needs to go. */
    return ma_add_sat(available_bytes, gentle_bytes) <
               ma_add_sat(plan->settings.reserve_bytes, projected_loss(plan, ram)) ||
           is_deadline_short(plan, available_bytes);
}
