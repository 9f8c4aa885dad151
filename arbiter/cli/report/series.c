/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "series.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

static uint64_t group_of(uint64_t n, uint64_t points) {
    return n / points + (n % points != 0 ? 1 : 0);
}

int report_series_init(struct report_series *series, const struct report_data *data) {
    *series = (struct report_series){.data = data,
                                     .busy_group = group_of(data->n_busy, REPORT_BUSY_POINTS),
                                     .calm_group = group_of(data->n_calm, REPORT_CALM_POINTS)};
    series->points = calloc(REPORT_POINTS_MAX, sizeof(series->points[0]));
    return series->points == NULL ? -ENOMEM : 0;
}

void report_series_fini(struct report_series *series) {
    free(series->points);
    series->points = NULL;
}

/* What was worst in either; the guests are those of the sample with the least available. */
static void merge(struct report_point *into, const struct report_point *from) {
    struct report_point worst = from->available_bytes < into->available_bytes ? *from : *into;
    worst.n_samples = into->n_samples + from->n_samples;
    worst.is_busy = into->is_busy || from->is_busy;
    worst.pressure = into->pressure > from->pressure ? into->pressure : from->pressure;
    worst.swap_used_bytes = ma_max_u64(into->swap_used_bytes, from->swap_used_bytes);
    worst.some_permyriad = (uint32_t) ma_max_u64(into->some_permyriad, from->some_permyriad);
    worst.full_permyriad = (uint32_t) ma_max_u64(into->full_permyriad, from->full_permyriad);
    *into = worst;
}

/* Calm and busy ones took turns more often than points are there: each two become one. */
static void compact(struct report_series *series) {
    size_t n = 0;
    for (size_t i = 0; i < series->n; i += 2) {
        struct report_point point = series->points[i];
        if (i + 1 < series->n) {
            merge(&point, &series->points[i + 1]);
        }
        series->points[n++] = point;
    }
    series->n = n;
    series->busy_group *= 2;
    series->calm_group *= 2;
}

static void fill(const struct report_series *series,
                 const struct report_cycle *cycle,
                 struct report_point *point) {
    const struct ma_snapshot *snapshot = cycle->snapshot;
    const struct ma_host *host = &snapshot->host;
    *point = (struct report_point){
        .realtime_usec = cycle->realtime_usec,
        .n_samples = 1,
        .is_busy = cycle->pressure != MA_PRESSURE_NORMAL || cycle->is_new,
        .pressure = cycle->pressure,
        .available_bytes = host->available_bytes,
        .swap_used_bytes = ma_sub_floor0(host->swap_total_bytes, host->swap_free_bytes),
        .some_permyriad = host->pressure.some_avg10_permyriad,
        .full_permyriad = host->pressure.full_avg10_permyriad};
    for (size_t i = 0; i < snapshot->n_guests; i++) {
        const struct ma_guest *g = &snapshot->guests[i];
        uint32_t guest = report_find_guest(series->data, g->uuid);
        uint32_t layer =
            guest == REPORT_NO_GUEST ? REPORT_LAYERS_MAX : series->data->guests[guest].layer;
        point->layer_bytes[layer] =
            ma_add_sat(point->layer_bytes[layer], ma_add_sat(g->resident_bytes, g->hugepage_bytes));
    }
}

void report_series_see(struct report_series *series, const struct report_cycle *cycle) {
    struct report_point point;
    fill(series, cycle, &point);
    series->has_swap = series->has_swap || cycle->snapshot->host.swap_total_bytes > 0;
    series->has_stalls = series->has_stalls || cycle->snapshot->host.pressure.has != 0;
    struct report_point *last = series->n > 0 ? &series->points[series->n - 1] : NULL;
    uint64_t group = point.is_busy ? series->busy_group : series->calm_group;
    if (last != NULL && last->is_busy == point.is_busy && last->n_samples < group) {
        merge(last, &point);
        return;
    }
    if (series->n == REPORT_POINTS_MAX) {
        compact(series);
    }
    series->points[series->n++] = point;
}
