/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* names.c - the record's names for how an action ended. */
#include "actuator.h"

#include <assert.h>
#include <stddef.h>

static const char *const outcomes[] = {
    [MA_OUTCOME_DONE] = "done", [MA_OUTCOME_REFUSED] = "refused", [MA_OUTCOME_TIMEOUT] = "timeout",
    [MA_OUTCOME_GONE] = "gone", [MA_OUTCOME_DROPPED] = "dropped",
};
static_assert(sizeof(outcomes) / sizeof(outcomes[0]) == MA_OUTCOME_COUNT, "one name per value");

const char *ma_outcome_name(enum ma_outcome_result result) {
    return (unsigned) result < MA_OUTCOME_COUNT ? outcomes[result] : NULL;
}
