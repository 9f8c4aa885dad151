/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* rate-history.h - what is much for this guest: the 95th percentile of a rate, from its own past.
 * A histogram of quarter octaves, so the percentile is right within 19 %; old values fade. Pure, no allocation. */

#include <stdint.h>

/* From 1 KiB/s, four to an octave, to 2^34 B/s (16 GiB/s) and above. */
#define MA_RATE_BUCKETS 97U
/* Then all counts are halved. Too small: one busy hour is the measure; too large: a guest whose work has changed is
 * measured by its past. A day at one value a minute (guess). */
#define MA_RATE_COUNT_MAX 1440U
/* Fewer values tell nothing. Too small: the first minutes after a start are the measure; too large: unknown for long.
 * Guess. */
#define MA_RATE_COUNT_MIN 20U

struct ma_rate_history {
    uint16_t counts[MA_RATE_BUCKETS];
    uint16_t n; /* sum of counts */
};
/* bytes_per_s: any. */
void ma_rate_history_add(struct ma_rate_history *h, uint64_t bytes_per_s);
/* The upper end of the bucket below or in which 95 of 100 values lie, in bytes a second, at most 2^34 and a quarter octave; 0:
 * fewer than MA_RATE_COUNT_MIN. */
uint64_t ma_rate_history_p95(const struct ma_rate_history *h);
