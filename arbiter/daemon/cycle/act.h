/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* act.h - carrying out a plan's actions. Loop thread only. */

#include <stdbool.h>
#include <stdint.h>

#include "actuator.h"
#include "plan.h"

struct ma_daemon;

void ma_act_run(struct ma_daemon *d, uint64_t now_usec);
/* Actions that have waited for their hooks; `plan` has them and the needs that they were planned for. */
void ma_act_run_asked(struct ma_daemon *d, const struct ma_plan *plan, uint64_t now_usec);
/* Ends a move of pages between nodes where the node is short no more, or it is not wanted for another reason. */
void ma_act_stop_rebalance(struct ma_daemon *d, bool is_wanted);
void ma_act_on_outcome(struct ma_daemon *d, const struct ma_outcome *outcome);
void ma_act_expire(struct ma_daemon *d, uint64_t now_usec);
bool ma_act_is_idle(const struct ma_daemon *d);
