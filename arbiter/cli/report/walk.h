/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* walk.h - from lines to cycles: their plans parsed, repetitions found. Both passes walk the same way. */

#include "report-data.h"

struct report_walker {
    uint64_t from_usec, to_usec; /* CLOCK_REALTIME; lines outside are seen by on_time alone */
    report_cycle_fn on_cycle;    /* the rest may be NULL */
    void (*on_header)(void *userdata, const struct ma_record_header *header);
    void (*on_outcome)(void *userdata, const struct ma_record_line *line, const json_t *outcome);
    void (*on_time)(void *userdata, uint64_t realtime_usec);
    void (*on_broken)(void *userdata);
    void *userdata;
};
int report_walk(const struct report_options *options,
                const struct report_walker *walker,
                struct ma_err *err);
/* What a plan's action does: its member "action"; MA_ACTION_COUNT: none that is known. */
enum ma_action report_action_of(const json_t *action);
