/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* balanced-rebalance.c - a short node's pages that may lie elsewhere go where there is room. The study has worked out
 * which, and what is left of the shortage. */
#include "balanced.h"
#include "bytes.h"

void balanced_rebalance(struct ma_study *study) {
    const struct ma_rebalance *move = &study->rebalance;
    struct ma_plan_action *action;

    if (!move->is_planned || (action = ma_plan_add_action(study->plan)) == NULL) {
        return;
    }
    action->has_guest = true;
    action->guest = move->guest;
    action->action = MA_ACTION_REBALANCE;
    action->has_from_to = true;
    action->from_bytes = move->from_bytes;
    action->to_bytes = move->to_bytes;
    action->has_frees = true;
    action->frees = move->frees;
    action->reason = MA_REASON_ROOM_ELSEWHERE;
    action->deadline_usec = ma_options_deadline_usec(
        &study->facts[move->guest], MA_ACTION_REBALANCE, move->from_bytes - move->to_bytes);
}
