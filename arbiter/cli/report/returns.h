/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* returns.h - what was to come back of each action that was taken, and what came.
 *
 * Of a victim memarbd says it itself, in a line of the record: what the host had more when it was settled. Of a balloon,
 * an unplug or a reclaim the guest's own figures say it, as the host measured them: what it held (resident and huge
 * pages) when it was decided, less the least that it held until memarb's next action on it, RETURN_WINDOW_USEC at most.
 * So a guest that fills up again at once shows what came back nevertheless; one that never gave shows nothing. */

#include "report-data.h"

/* A line of the record says what came back of a victim. False: the record has no such action. */
bool report_return_measured(struct report_data *data, const struct ma_record_outcome *outcome);
/* The guests of this cycle are known to data; actions of its plan that were taken begin. */
void report_returns_see(struct report_data *data, const struct report_cycle *cycle);
/* Of what was taken of a guest at that time; NULL: none that returns memory, or beyond the bound. */
const struct report_return *
report_return_of(const struct report_data *data, const char *uuid, uint64_t realtime_usec);
