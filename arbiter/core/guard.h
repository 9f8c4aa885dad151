/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* guard.h - the last word on every plan: enforces P1-P5 and P11-P14 on whatever a policy proposed. */

#include "plan.h"
#include "policy.h"
#include "state.h"

/* Trims, reorders and arms plan->actions in place; each change leaves an ma_trim. Returns the number of trims. */
size_t
ma_guard_apply(const struct ma_policy_input *input, bool is_single_snapshot, struct ma_plan *plan);
