/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* guard.h - the last word on every plan: enforces P1-P5 and P11-P14 on whatever a policy proposed. */

#include "plan.h"
#include "policy.h"
#include "state.h"

/* Trims, reorders and arms plan->actions in place; each change leaves an ma_trim. Returns the number of trims. */
size_t
ma_guard_apply(const struct ma_policy_input *input, bool is_single_snapshot, struct ma_plan *plan);

/* The lowest Arm= at which an action is taken. */
enum ma_arm ma_arm_needed(enum ma_action action);

/* Why a victim by this action is withheld whatever the next sample says: not armed, breaker, quiet time; NONE: it is
 * not. For policies that must do something else meanwhile. n_members: guests that it counts as. */
enum ma_reason
ma_guard_victim_bar(const struct ma_policy_input *input, enum ma_action action, size_t n_members);
