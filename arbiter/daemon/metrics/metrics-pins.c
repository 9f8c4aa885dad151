/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* metrics-pins.c - what guests pin against the budgets, and which of their limits want looking at. */
#include <stdio.h>

#include "metrics-render.h"

static void render_nodes(struct ma_metrics_text *text, const struct ma_view_pins *pins) {
    static const struct ma_metric_family pinned = {"memarb_node_pinned_bytes", "bytes",
                                                   MA_METRIC_GAUGE,
                                                   "Memory that guests pin on a NUMA node."};
    static const struct ma_metric_family budget = {"memarb_node_pin_budget_bytes", "bytes",
                                                   MA_METRIC_GAUGE, "What may be pinned there."};
    const struct ma_metric_family *const families[] = {&pinned, &budget};
    for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
        ma_metrics_family(text, families[f]);
        for (size_t i = 0; i < pins->n_nodes && i < MA_VIEW_NODES_MAX; i++) {
            const struct ma_view_pin_node *node = &pins->nodes[i];
            char id[8];
            const struct ma_metric_label label = {"node", id};
            (void) snprintf(id, sizeof(id), "%u", node->id);
            ma_metrics_number(text, families[f], &label, 1,
                              families[f] == &pinned ? node->pinned_bytes : node->budget_bytes);
        }
    }
}

static bool has_limit_of_ours(const struct ma_view_guest *guest) {
    for (size_t i = 0; i < guest->n_limits; i++) {
        if (guest->limits[i].is_ours) {
            return true;
        }
    }
    return false;
}

static void render_findings(struct ma_metrics_text *text, const struct ma_view *view) {
    static const struct ma_metric_family family = {
        "memarb_guests_pin_findings", "", MA_METRIC_GAUGE,
        "Guests whose pins or RLIMIT_MEMLOCK are as the finding says."};
    uint64_t found[MA_PIN_FLAG_COUNT] = {0};
    uint64_t limited = 0;
    for (size_t i = 0; i < view->snapshot.n_guests; i++) {
        const struct ma_view_guest *guest = &view->guests[i];
        for (unsigned k = 0; guest->pins.is_judged && k < MA_PIN_FLAG_COUNT; k++) {
            found[k] += guest->pins.verdict.flags >> k & 1U;
        }
        limited += has_limit_of_ours(guest) ? 1 : 0;
    }
    ma_metrics_family(text, &family);
    for (unsigned k = 0; k < MA_PIN_FLAG_COUNT; k++) {
        const struct ma_metric_label label = {"finding", ma_pin_flag_name(k)};
        ma_metrics_number(text, &family, &label, 1, found[k]);
    }
    ma_metrics_single(text, "memarb_guests_limited", "", "Guests that memarb has set a limit of.",
                      limited);
}

void ma_metrics_render_pins(struct ma_metrics_text *text, const struct ma_view *view) {
    const struct ma_view_pins *pins = &view->pins;
    ma_metrics_single(text, "memarb_pinned_bytes", "bytes",
                      "Memory that guests pin: it returns only when they end.", pins->pinned_bytes);
    ma_metrics_single(text, "memarb_may_pin_bytes", "bytes",
                      "What it would be if every guest pinned what its devices may ask for.",
                      pins->may_pin_bytes);
    ma_metrics_single(text, "memarb_pin_budget_bytes", "bytes", "What guests may pin together.",
                      pins->budget_bytes);
    ma_metrics_single(text, "memarb_unkillable_bytes", "bytes",
                      "Memory of guests that the kernel's OOM killer takes last or never.",
                      pins->unkillable_bytes);
    render_nodes(text, pins);
    render_findings(text, view);
}
