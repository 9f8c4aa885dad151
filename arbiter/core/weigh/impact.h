/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* impact.h - what the loss of a guest costs, every term visible (impact.c has ranges, reasons and an example).
 *
 * impact = weight x (base + age + foot + restart + history + cpu + io + dirty), in micro-points: weight in permille
 * of the default, the terms in milli-points, no rounding in between. cpu + io + dirty is what a guest can drive
 * itself and is at most a quarter of the others together. `first` weighs less than any numeric impact; `never` is
 * scored as impact 1000, for its balloon alone (it is no victim). Monotone in every figure and in the weight. */

#include <stdint.h>

#include "snapshot.h"

enum ma_impact_term {
    MA_TERM_WEIGHT, /* the factor, permille of the default weight: 10..10000; `first`: 1 */
    MA_TERM_BASE,
    MA_TERM_AGE,
    MA_TERM_CPU,
    MA_TERM_IO,
    MA_TERM_FOOT,
    MA_TERM_DIRTY,
    MA_TERM_RESTART,
    MA_TERM_HISTORY,
    MA_TERM_COUNT
};
const char *ma_impact_term_name(enum ma_impact_term term);

struct ma_impact {
    uint64_t total; /* >= 1, <= MA_COVER_COST_MAX / 1024 */
    int64_t terms[MA_TERM_COUNT];
};
void ma_impact_score(const struct ma_guest *guest, struct ma_impact *ret);
/* The part of a guest's impact that an action costs, in permille (balloon of free memory 2, cache 20, resize 40, reclaim 60,
 * into the working set 250, pause 450, save 600, shutdown 850, kill 1000); non-decreasing along the ladder. */
enum ma_rung {
    MA_RUNG_BALLOON_FREE,
    MA_RUNG_BALLOON_CACHE,
    MA_RUNG_RESIZE,
    MA_RUNG_RECLAIM,
    MA_RUNG_BALLOON_WORKING,
    MA_RUNG_PAUSE,
    MA_RUNG_SAVE,
    MA_RUNG_SHUTDOWN,
    MA_RUNG_KILL,
    MA_RUNG_COUNT
};
uint64_t ma_impact_of_rung(uint64_t impact_total, enum ma_rung rung); /* >= 1 */
