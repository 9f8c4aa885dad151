/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cover-plan.c - complete choices: what they cost, what they free, and what a change of one slot would do.
 *
 * Invariant: a group whose joint slot is chosen has none slots in all its picks, so a plan's cost and frees are a
 * plain sum, and switching the mode back leaves the members idle. */
#include "cover-internal.h"

void ma_cover_plan_clear(const struct cover_core *core, struct cover_plan *plan) {
    for (uint32_t k = 0; k < core->n_groups; k++) {
        plan->group_slot[k] = core->groups[k].mode_slot;
    }
    for (uint32_t p = 0; p < core->n_picks; p++) {
        plan->pick_slot[p] = core->picks[p].first_slot;
    }
    plan->cost = core->idle_cost;
    for (size_t d = 0; d < core->m; d++) {
        plan->got[d] = 0;
    }
}

void ma_cover_plan_sum_idle(struct cover_core *core) {
    core->idle_cost = 0;
    for (uint32_t k = 0; k < core->n_groups; k++) {
        core->idle_cost += core->cost[core->groups[k].mode_slot];
    }
    for (uint32_t p = 0; p < core->n_picks; p++) {
        core->idle_cost += core->cost[core->picks[p].first_slot];
    }
}

static void add_slot(const struct cover_core *core, struct cover_plan *plan, uint32_t slot) {
    const int32_t *frees = cover_frees(core, slot);
    plan->cost += core->cost[slot];
    for (size_t d = 0; d < core->m; d++) {
        plan->got[d] += frees[d];
    }
}

static void add_group(const struct cover_core *core, struct cover_plan *plan, uint32_t k) {
    const struct cover_group *group = &core->groups[k];
    add_slot(core, plan, plan->group_slot[k]);
    if (plan->group_slot[k] != group->mode_slot) {
        return;
    }
    for (uint32_t i = 0; i < group->n_picks; i++) {
        add_slot(core, plan, plan->pick_slot[group->first_pick + i]);
    }
}

void ma_cover_plan_sum(const struct cover_core *core, struct cover_plan *plan) {
    plan->cost = 0;
    for (size_t d = 0; d < core->m; d++) {
        plan->got[d] = 0;
    }
    for (uint32_t k = 0; k < core->n_groups; k++) {
        add_group(core, plan, k);
    }
}

void ma_cover_plan_sum_open(const struct cover_core *core, struct cover_plan *plan) {
    plan->cost = core->settled_cost;
    for (size_t d = 0; d < core->m; d++) {
        plan->got[d] = core->settled_frees[d];
    }
    for (uint32_t i = 0; i < core->n_open; i++) {
        add_group(core, plan, core->open[i]);
    }
}

bool ma_cover_plan_covers(const struct cover_core *core, const struct cover_plan *plan) {
    for (size_t d = 0; d < core->m; d++) {
        if (plan->got[d] < core->need[d]) {
            return false;
        }
    }
    return true;
}

static int64_t minus_slot(const struct cover_core *core, uint32_t slot, int64_t *frees) {
    const int32_t *f = cover_frees(core, slot);
    for (size_t d = 0; d < core->m; d++) {
        frees[d] -= f[d];
    }
    return -core->cost[slot];
}

/* Change of cost and of frees by choosing slot; a slot of a pick whose group has a joint slot chosen is not asked
 * for. */
int64_t ma_cover_delta(const struct cover_core *core,
                       const struct cover_plan *plan,
                       uint32_t slot,
                       int64_t *frees) {
    const int32_t *f = cover_frees(core, slot);
    int64_t cost = core->cost[slot];
    for (size_t d = 0; d < core->m; d++) {
        frees[d] = f[d];
    }
    if ((core->owner[slot] & COVER_OWNER_JOINT) == 0) {
        return cost + minus_slot(core, plan->pick_slot[core->owner[slot]], frees);
    }
    uint32_t k = core->owner[slot] & ~COVER_OWNER_JOINT;
    const struct cover_group *group = &core->groups[k];
    cost += minus_slot(core, plan->group_slot[k], frees);
    if (plan->group_slot[k] == group->mode_slot && slot != group->mode_slot) {
        for (uint32_t i = 0; i < group->n_picks; i++) {
            cost += minus_slot(core, plan->pick_slot[group->first_pick + i], frees);
        }
    }
    if (plan->group_slot[k] != group->mode_slot && slot == group->mode_slot) {
        for (uint32_t i = 0; i < group->n_picks; i++) {
            uint32_t none = core->picks[group->first_pick + i].first_slot;
            cost += core->cost[none]; /* 0 but while reach is looked for */
        }
    }
    return cost;
}

void ma_cover_plan_switch(const struct cover_core *core, struct cover_plan *plan, uint32_t slot) {
    int64_t frees[MA_ROWS_MAX];
    plan->cost += ma_cover_delta(core, plan, slot, frees);
    for (size_t d = 0; d < core->m; d++) {
        plan->got[d] += frees[d];
    }
    if ((core->owner[slot] & COVER_OWNER_JOINT) == 0) {
        plan->pick_slot[core->owner[slot]] = slot;
        return;
    }
    uint32_t k = core->owner[slot] & ~COVER_OWNER_JOINT;
    const struct cover_group *group = &core->groups[k];
    plan->group_slot[k] = slot;
    for (uint32_t i = 0; i < group->n_picks && slot != group->mode_slot; i++) {
        uint32_t p = group->first_pick + i;
        plan->pick_slot[p] = core->picks[p].first_slot;
    }
}

void ma_cover_plan_copy(const struct cover_core *core,
                        const struct cover_plan *from,
                        struct cover_plan *to) {
    for (uint32_t k = 0; k < core->n_groups; k++) {
        to->group_slot[k] = from->group_slot[k];
    }
    for (uint32_t p = 0; p < core->n_picks; p++) {
        to->pick_slot[p] = from->pick_slot[p];
    }
    to->cost = from->cost;
    for (size_t d = 0; d < core->m; d++) {
        to->got[d] = from->got[d];
    }
}

bool ma_cover_keep_if_better(struct cover_core *core, const struct cover_plan *plan) {
    if (plan->cost >= core->best.cost || !ma_cover_plan_covers(core, plan)) {
        return false;
    }
    ma_cover_plan_copy(core, plan, &core->best);
    return true;
}
