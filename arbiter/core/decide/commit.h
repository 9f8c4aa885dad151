/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* commit.h - writes the armed actions of a plan into the controller's memory, before they are carried out. */

#include "plan.h"
#include "snapshot.h"
#include "state.h"

void ma_commit(const struct ma_snapshot *snapshot,
               const struct ma_plan *plan,
               struct ma_state *state);
