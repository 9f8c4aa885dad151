/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guard-suffices.c - P14: could gentle options alone cover what is critical?
 *
 * Worked out here again, whatever the policy says. For each guest the most that one gentle option returns on each row, summed:
 * less than the demand of a row is proof that they cannot. A guest's share of a node is the same whatever the option, so the
 * option that returns most ram returns most on every node; and swap was shared out beforehand. Of the balloon's three
 * targets only the lowest is asked for: it returns no less than the others.
 *
 * Ram before a deadline is another matter: a slow balloon returns most in the end, a page-out most by then. Both rows may be in
 * reach, and not both at once. For weights v, w >= 0 of the two, no choice returns more than
 *
 *   sum over guests of max over options (v frees(ram) + w frees(soon))
 *
 * and one that covers both returns v demand(ram) + w demand(soon) at least; where the first is less, they cannot. Fifteen pairs
 * of weights are tried: a proof that lies between them is missed, and the victim refused then. */
#include <string.h>

#include "bytes.h"
#include "guard-internal.h"

/* Weights go in so many steps from one row to the other. Too small: proofs between them are missed; too large: time, for each
 * guest's options are gone through once for each. Guessed; of 5 million random hosts none needed more. */
#define MIXES 16

struct bound {
    const struct ma_plan *plan;
    const struct ma_need *need;
    int64_t sum[MA_ROWS_MAX];
    int ram; /* critical rows; -1: there is none */
    int soon;
    __int128 mixed[MIXES]; /* [0] is of no use */
};

static bool is_critical(const struct bound *bound, size_t d) {
    return bound->plan->row_pressure[d] == MA_PRESSURE_CRITICAL && bound->need->demand_mib[d] > 0;
}

static void find_mixed_rows(struct bound *bound) {
    bound->ram = -1;
    bound->soon = -1;
    for (size_t d = 0; d < bound->plan->n_rows; d++) {
        const struct ma_row *row = &bound->plan->rows[d];

        if (row->kind == MA_ROW_RAM && is_critical(bound, d)) {
            *(row->within_ms > 0 ? &bound->soon : &bound->ram) = (int) d;
        }
    }
}

static bool has_both(const struct bound *bound) {
    return bound->ram >= 0 && bound->soon >= 0;
}

/* Both demands weigh alike at mix 8: v = (16 - mix) demand(soon), w = mix demand(ram). */
static __int128 mixed(const struct bound *bound, int mix, int64_t ram_mib, int64_t soon_mib) {
    return (__int128) (MIXES - mix) * bound->need->demand_mib[bound->soon] * ram_mib +
           (__int128) mix * bound->need->demand_mib[bound->ram] * soon_mib;
}

static void add_guest(struct bound *bound, const struct ma_plan *options) {
    for (size_t d = 0; d < bound->plan->n_rows; d++) {
        int64_t most = 0;

        for (size_t k = 0; k < options->n_options; k++) {
            most = ma_max_i64(most, options->options[k].frees.mib[d]);
        }
        bound->sum[d] += most;
    }
    for (int mix = 1; mix < MIXES && has_both(bound); mix++) {
        __int128 most = 0;

        for (size_t k = 0; k < options->n_options; k++) {
            const struct ma_amounts *frees = &options->options[k].frees;
            __int128 value = mixed(bound, mix, frees->mib[bound->ram], frees->mib[bound->soon]);

            most = value > most ? value : most;
        }
        bound->mixed[mix] += most;
    }
}

/* Does a victim of this plan bring anything back on that row? */
static bool any_victim_helps(const struct ma_guard *guard, size_t d) {
    for (size_t k = 0; k < guard->plan->n_actions; k++) {
        const struct ma_plan_action *action = &guard->plan->actions[k];

        if (action->has_frees && action->frees.mib[d] > 0 &&
            (ma_action_is_victim(action->action) || ma_guard_is_paired_reclaim(guard, action))) {
            return true;
        }
    }
    return false;
}

static bool is_one_row_short(const struct ma_guard *guard, const struct bound *bound) {
    for (size_t d = 0; d < bound->plan->n_rows; d++) {
        if (is_critical(bound, d) && bound->need->demand_mib[d] > bound->sum[d] &&
            any_victim_helps(guard, d)) {
            return true;
        }
    }
    return false;
}

static bool are_both_short(const struct ma_guard *guard, const struct bound *bound) {
    if (!has_both(bound) || (!any_victim_helps(guard, (size_t) bound->ram) &&
                             !any_victim_helps(guard, (size_t) bound->soon))) {
        return false;
    }
    for (int mix = 1; mix < MIXES; mix++) {
        if (bound->mixed[mix] < mixed(bound, mix, bound->need->demand_mib[bound->ram],
                                      bound->need->demand_mib[bound->soon])) {
            return true;
        }
    }
    return false;
}

bool ma_guard_gentle_suffices(struct ma_guard *guard) {
    const struct ma_need *need = &guard->study.need;
    struct ma_option options[MA_OPTIONS_PER_GUEST_MAX];
    struct ma_plan scrap = {
        .n_rows = guard->plan->n_rows, .options = options, .max_options = MA_OPTIONS_PER_GUEST_MAX};
    struct ma_options_context context = {
        .snapshot = guard->input->snapshot,
        .facts = guard->study.facts,
        .need = need,
        .plan = &scrap,
        .rungs = MA_RUNGS_DEEPEST,
    };
    struct bound bound = {.plan = guard->plan, .need = need};

    memcpy(scrap.rows, guard->plan->rows, sizeof(scrap.rows));
    memcpy(context.demand_mib, need->demand_mib, sizeof(context.demand_mib));
    ma_options_share_swap(&context);
    find_mixed_rows(&bound);
    for (size_t i = 0; i < guard->input->snapshot->n_guests; i++) {
        const struct ma_facts *facts = &guard->study.facts[i];

        if (facts->balloon_reason != MA_REASON_NONE && facts->resize_reason != MA_REASON_NONE &&
            facts->reclaim_reason != MA_REASON_NONE) {
            continue;
        }
        scrap.n_options = 0;
        ma_options_add_gentle(&context, i, 1);
        add_guest(&bound, &scrap);
    }
    return !is_one_row_short(guard, &bound) && !are_both_short(guard, &bound);
}
