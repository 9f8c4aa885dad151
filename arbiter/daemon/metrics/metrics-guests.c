/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* metrics-guests.c - series of each guest. A figure that is not known has no sample: 0 would be a claim. */
#include "bytes.h"
#include "impact.h"
#include "metrics-render.h"

struct guest_metric {
    struct ma_metric_family family;
    /* False: not known of this guest. */
    bool (*read)(const struct ma_guest *guest, const struct ma_view_guest *view, uint64_t *ret);
    bool is_micro; /* printed with six decimals */
};

static bool is_known(const struct ma_guest *g, uint32_t bit, uint64_t value, uint64_t *ret) {
    *ret = value;
    return (g->has & bit) != 0;
}

static bool read_max(const struct ma_guest *g, const struct ma_view_guest *v, uint64_t *ret) {
    (void) v;
    return is_known(g, MA_GUEST_HAS_MAX, g->max_bytes, ret);
}
static bool read_actual(const struct ma_guest *g, const struct ma_view_guest *v, uint64_t *ret) {
    (void) v;
    return is_known(g, MA_GUEST_HAS_ACTUAL, g->actual_bytes, ret);
}
static bool read_target(const struct ma_guest *g, const struct ma_view_guest *v, uint64_t *ret) {
    (void) v;
    *ret = g->balloon.target_bytes;
    return (g->balloon.has & MA_BALLOON_HAS_TARGET) != 0;
}
static bool read_resident(const struct ma_guest *g, const struct ma_view_guest *v, uint64_t *ret) {
    (void) v;
    return is_known(g, MA_GUEST_HAS_RESIDENT, g->resident_bytes, ret);
}
static bool read_swap(const struct ma_guest *g, const struct ma_view_guest *v, uint64_t *ret) {
    (void) v;
    return is_known(g, MA_GUEST_HAS_SWAP, g->swap_bytes, ret);
}
static bool read_pinned(const struct ma_guest *g, const struct ma_view_guest *v, uint64_t *ret) {
    (void) v;
    return is_known(g, MA_GUEST_HAS_PINNED, g->pinned_bytes, ret);
}
static bool read_memlock(const struct ma_guest *g, const struct ma_view_guest *v, uint64_t *ret) {
    (void) v;
    return is_known(g, MA_GUEST_HAS_MEMLOCK_LIMIT, g->memlock_limit_bytes, ret) &&
           !g->is_memlock_unlimited;
}
static bool
read_claimed_available(const struct ma_guest *g, const struct ma_view_guest *v, uint64_t *ret) {
    (void) v;
    *ret = g->stats.claimed_available_bytes;
    return (g->stats.has & MA_STATS_HAS_AVAILABLE) != 0;
}
static bool read_taken(const struct ma_guest *g, const struct ma_view_guest *v, uint64_t *ret) {
    (void) g;
    bool is_taken = (v->taken & MA_TAKEN_BALLOON) != 0;
    *ret = is_taken ? ma_sub_floor0(v->balloon_before_bytes, v->balloon_ours_bytes) : 0;
    return true;
}
static bool read_paused(const struct ma_guest *g, const struct ma_view_guest *v, uint64_t *ret) {
    (void) g;
    *ret = (v->taken & MA_TAKEN_PAUSE) != 0;
    return true;
}
static bool read_held(const struct ma_guest *g, const struct ma_view_guest *v, uint64_t *ret) {
    (void) v;
    *ret = g->is_held;
    return true;
}
static bool read_age(const struct ma_guest *g, const struct ma_view_guest *v, uint64_t *ret) {
    (void) v;
    return is_known(g, MA_GUEST_HAS_AGE, g->sampled_age_usec, ret);
}
static bool read_impact(const struct ma_guest *g, const struct ma_view_guest *v, uint64_t *ret) {
    struct ma_impact impact;
    (void) v;
    ma_impact_score(g, &impact);
    *ret = impact.total;
    return true;
}

static const struct guest_metric metrics[] = {
    {{"memarb_guest_memory_max_bytes", "bytes", MA_METRIC_GAUGE,
      "Memory of the guest with an empty balloon."},
     read_max,
     false},
    {{"memarb_guest_memory_actual_bytes", "bytes", MA_METRIC_GAUGE,
      "What its balloon leaves the guest, as the guest says it, held to its maximum."},
     read_actual,
     false},
    {{"memarb_guest_balloon_target_bytes", "bytes", MA_METRIC_GAUGE,
      "Balloon target that memarb set; absent where it set none."},
     read_target,
     false},
    {{"memarb_guest_balloon_taken_bytes", "bytes", MA_METRIC_GAUGE,
      "Memory that memarb took by balloon and owes."},
     read_taken,
     false},
    {{"memarb_guest_resident_bytes", "bytes", MA_METRIC_GAUGE, "Host memory that its QEMU holds."},
     read_resident,
     false},
    {{"memarb_guest_swap_bytes", "bytes", MA_METRIC_GAUGE, "Its memory in the host's swap."},
     read_swap,
     false},
    {{"memarb_guest_pinned_bytes", "bytes", MA_METRIC_GAUGE,
      "Memory that returns only when the guest ends."},
     read_pinned,
     false},
    {{"memarb_guest_memlock_limit_bytes", "bytes", MA_METRIC_GAUGE,
      "RLIMIT_MEMLOCK of its QEMU; absent where unlimited or not known."},
     read_memlock,
     false},
    {{"memarb_guest_claimed_available_bytes", "bytes", MA_METRIC_GAUGE,
      "Available memory inside the guest, by its own word."},
     read_claimed_available,
     false},
    {{"memarb_guest_impact_points", "points", MA_METRIC_GAUGE,
      "What its loss costs; 1 point is a fresh idle guest of impact 100."},
     read_impact,
     true},
    {{"memarb_guest_paused", "", MA_METRIC_GAUGE, "1 while memarb keeps it paused."},
     read_paused,
     false},
    {{"memarb_guest_held", "", MA_METRIC_GAUGE,
      "1 while an operator told memarb to leave it alone."},
     read_held,
     false},
    {{"memarb_guest_figures_age_seconds", "seconds", MA_METRIC_GAUGE,
      "Age of the oldest figure that the host measured of it."},
     read_age,
     true},
};

static void render_one(struct ma_metrics_text *text,
                       const struct ma_view *view,
                       size_t n_guests,
                       const struct guest_metric *metric) {
    ma_metrics_family(text, &metric->family);
    for (size_t i = 0; i < n_guests; i++) {
        const struct ma_guest *guest = &view->snapshot.guests[i];
        const struct ma_metric_label labels[] = {{"uuid", guest->uuid}, {"name", guest->name}};
        uint64_t value = 0;
        if (!metric->read(guest, &view->guests[i], &value)) {
            continue;
        }
        if (metric->is_micro) {
            ma_metrics_usec(text, &metric->family, labels, 2, value);
        } else {
            ma_metrics_number(text, &metric->family, labels, 2, value);
        }
    }
}

void ma_metrics_render_guests(struct ma_metrics_text *text, const struct ma_view *view) {
    static const struct ma_metric_family omitted = {
        "memarb_metrics_omitted_guests", "", MA_METRIC_GAUGE,
        "Guests without series of their own, beyond the first 2000."};
    size_t n = view->snapshot.n_guests < MA_METRICS_GUESTS_MAX ? view->snapshot.n_guests
                                                               : MA_METRICS_GUESTS_MAX;
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        render_one(text, view, n, &metrics[i]);
    }
    ma_metrics_family(text, &omitted);
    ma_metrics_number(text, &omitted, NULL, 0, view->snapshot.n_guests - n);
}
