/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* series.h - samples over time, thinned to a bounded number of points (report-data.h). */

#include "report-data.h"

#define REPORT_POINTS_MAX (REPORT_CALM_POINTS + REPORT_BUSY_POINTS)

struct report_point {
    uint64_t realtime_usec;
    uint32_t n_samples;
    bool is_busy;
    enum ma_pressure pressure;
    uint64_t available_bytes;
    uint64_t swap_used_bytes;
    uint32_t some_permyriad, full_permyriad;
    uint64_t layer_bytes[REPORT_LAYERS_MAX + 1]; /* the last: all other guests */
};
struct report_series {
    const struct report_data *data;
    struct report_point *points;
    size_t n;
    uint64_t busy_group, calm_group; /* samples in a point */
    bool has_swap, has_stalls;
};
int report_series_init(struct report_series *series, const struct report_data *data);
void report_series_fini(struct report_series *series);
void report_series_see(struct report_series *series, const struct report_cycle *cycle);
