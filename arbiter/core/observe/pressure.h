/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* pressure.h - the state of each resource, with hysteresis, from headroom, forecast and PSI. */

#include <stdbool.h>
#include <stdint.h>

#include "rows.h"
#include "snapshot.h"

enum ma_pressure {
    MA_PRESSURE_NORMAL,
    MA_PRESSURE_SOFT,
    MA_PRESSURE_HARD,
    MA_PRESSURE_CRITICAL,
    MA_PRESSURE_COUNT
};
const char *ma_pressure_name(enum ma_pressure pressure);
int ma_pressure_from_name(const char *name);

#define MA_NEW_LOW_SLOTS 8

/* The controller's memory of one resource; all of it is in the record. */
struct ma_pressure_state {
    struct ma_row row;
    enum ma_pressure pressure;
    uint64_t since_usec;       /* when the present state was entered */
    uint64_t calm_since_usec;  /* headroom has been above the way-back mark since; 0: it is not */
    uint64_t last_sample_usec; /* 0: none yet */
    uint64_t last_available_bytes;
    int64_t slope_bytes_per_s; /* EWMA, 0.3 per second */
    bool has_slope;
    /* time left has been under the kill stage's mark since; 0: it is not */
    uint64_t exhausting_since_usec;
    uint64_t gentle_since_usec;               /* likewise for the gentle stage */
    uint64_t low_slot_usec[MA_NEW_LOW_SLOTS]; /* minima of the last minute, for the new-low guard */
    uint64_t low_slot_bytes[MA_NEW_LOW_SLOTS];
};

struct ma_pressure_input {
    uint64_t now_usec;
    uint64_t available_bytes;
    bool has_slope; /* a slope measured by the source replaces our own estimate */
    int64_t slope_bytes_per_s;
    uint64_t soft_bytes; /* watermarks of this resource */
    uint64_t hard_bytes;
    uint64_t critical_bytes;
    const struct ma_psi *psi; /* NULL for resources that have none */
    bool is_single_sample;    /* one snapshot alone: forecast stages need no confirmation time */
};

void ma_pressure_init(struct ma_pressure_state *state, const struct ma_row *row);
/* Advances the state by one sample and returns it. Time that stands still or runs back changes no figure. */
enum ma_pressure ma_pressure_step(struct ma_pressure_state *state,
                                  const struct ma_pressure_input *input);
/* Our own actions are no trend: forget the slope (call after a balloon move or a victim). */
void ma_pressure_forget_trend(struct ma_pressure_state *state);
/* Microseconds until available reaches 0 at the present slope; MA_USEC_INFINITY when it does not shrink. */
uint64_t ma_pressure_time_left_usec(const struct ma_pressure_state *state);
