/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* exhaust.h - has nothing been left to do for so long that the last resort (OnExhausted=) is due? Pure. */

#include <stdbool.h>
#include <stdint.h>

#include "plan.h"
#include "snapshot.h"
#include "state.h"

/* Snapshots in a row that must say so. Too small: a gap between two plans ends a host; too large: at a sampling period
 * of a second or more the kernel is first. Guess. */
#define MA_EXHAUSTION_SNAPSHOTS 3U

struct ma_exhaustion {
    uint32_t count;      /* snapshots in a row without an option */
    uint64_t since_usec; /* of the first of them */
    bool is_done;        /* the last resort was taken in this incident */
};

/* One more snapshot and its plan. true: the last resort is due now, once an incident: the host is critical, its deficit
 * stands, no victim's memory is awaited, and no option was left in MA_EXHAUSTION_SNAPSHOTS snapshots and for
 * after_usec. Not at an Arm= below kill (what may not cost one guest may not cost all), not in the quiet time, not on
 * stale figures. */
bool ma_exhaustion_is_due(struct ma_exhaustion *exhaustion,
                          const struct ma_snapshot *snapshot,
                          const struct ma_state *state,
                          const struct ma_plan *plan,
                          uint64_t after_usec);
