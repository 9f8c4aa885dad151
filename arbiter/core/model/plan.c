/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan.h"

#include <string.h>

#include "bytes.h"

/* A plan's arrays lie one behind the other in the caller's block, each 16-byte aligned. Per guest: two actions
 * (a two-step option, or a move and its undoing), one candidate, the options, two trims. */
#define ACTIONS_PER_GUEST 2
#define TRIMS_PER_GUEST   2
/* Actions and trims that belong to no guest (exhausted), and what a hostile proposal adds beyond its guests. */
#define SPARE_ENTRIES 16

static size_t align16(size_t bytes) {
    return (bytes + 15U) & ~(size_t) 15U;
}

static size_t count_actions(size_t max_guests) {
    return max_guests * ACTIONS_PER_GUEST + SPARE_ENTRIES;
}

static size_t count_trims(size_t max_guests) {
    return max_guests * TRIMS_PER_GUEST + SPARE_ENTRIES;
}

static size_t count_options(size_t max_guests) {
    return max_guests * MA_OPTIONS_PER_GUEST_MAX;
}

size_t ma_plan_memory_size(size_t max_guests) {
    return align16(count_actions(max_guests) * sizeof(struct ma_plan_action)) +
           align16(max_guests * sizeof(struct ma_candidate)) +
           align16(count_options(max_guests) * sizeof(struct ma_option)) +
           align16(count_trims(max_guests) * sizeof(struct ma_trim));
}

void ma_plan_init(struct ma_plan *plan, void *memory, size_t max_guests) {
    unsigned char *at = memory;

    memset(plan, 0, sizeof(*plan));
    if (memory == NULL) { /* no room for anything: a plan that stays empty */
        return;
    }
    plan->max_actions = count_actions(max_guests);
    plan->max_candidates = max_guests;
    plan->max_options = count_options(max_guests);
    plan->max_trims = count_trims(max_guests);
    plan->actions = (struct ma_plan_action *) (void *) at;
    at += align16(plan->max_actions * sizeof(*plan->actions));
    plan->candidates = (struct ma_candidate *) (void *) at;
    at += align16(max_guests * sizeof(*plan->candidates));
    plan->options = (struct ma_option *) (void *) at;
    at += align16(plan->max_options * sizeof(*plan->options));
    plan->trims = (struct ma_trim *) (void *) at;
}

void ma_plan_reset(struct ma_plan *plan) {
    struct ma_plan empty = {
        .actions = plan->actions,
        .max_actions = plan->max_actions,
        .candidates = plan->candidates,
        .max_candidates = plan->max_candidates,
        .options = plan->options,
        .max_options = plan->max_options,
        .trims = plan->trims,
        .max_trims = plan->max_trims,
    };

    *plan = empty;
}

int ma_plan_row(const struct ma_plan *plan, enum ma_row_kind kind, uint16_t node) {
    for (size_t d = 0; d < plan->n_rows; d++) {
        const struct ma_row *row = &plan->rows[d];
        bool has_node = kind == MA_ROW_NODE || kind == MA_ROW_HUGEPAGES_NODE;

        if (row->kind == kind && row->within_ms == 0 && (!has_node || row->node == node)) {
            return (int) d;
        }
    }
    return -1;
}

struct ma_plan_action *ma_plan_add_action(struct ma_plan *plan) {
    struct ma_plan_action *action;

    if (plan->n_actions >= plan->max_actions) {
        return NULL;
    }
    action = &plan->actions[plan->n_actions++];
    memset(action, 0, sizeof(*action));
    return action;
}

struct ma_option *ma_plan_add_option(struct ma_plan *plan) {
    struct ma_option *option;

    if (plan->n_options >= plan->max_options) {
        return NULL;
    }
    option = &plan->options[plan->n_options++];
    memset(option, 0, offsetof(struct ma_option, frees));
    return option;
}

struct ma_trim *ma_plan_add_trim(struct ma_plan *plan) {
    struct ma_trim *trim;

    if (plan->n_trims >= plan->max_trims) {
        return NULL;
    }
    trim = &plan->trims[plan->n_trims++];
    memset(trim, 0, sizeof(*trim));
    return trim;
}
