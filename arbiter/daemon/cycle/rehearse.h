/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* rehearse.h - faults in what a critical plan touches, before it is needed (P10).
 *
 * Decides on made-up shortages, with a copy of the state, and throws the plans away. What a decision touches grows with
 * what is known of the guests: of one without figures next to nothing is weighed. So it is done again whenever more is
 * known than at the last one, and not where memory is short already: then the decision in hand does it. */

#include "decide.h"

struct ma_rehearsal {
    size_t known; /* figures that the last one had, of all guests */
};
/* All borrowed; copy and plan are overwritten, the plan left empty. */
struct ma_rehearsal_stage {
    const struct ma_policy *policy;
    const struct ma_state *state;
    struct ma_state *copy; /* of the same capacity */
    struct ma_scratch scratch;
    struct ma_plan *plan;
};

/* Was it done? Loop's thread; allocates nothing. */
bool ma_rehearse(struct ma_rehearsal *rehearsal,
                 const struct ma_snapshot *snapshot,
                 const struct ma_rehearsal_stage *stage);
