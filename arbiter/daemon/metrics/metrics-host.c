/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* metrics-host.c - the host and its nodes: memory, pressure, what is short and for how long it lasts. */
#include <stdio.h>

#include "bytes.h"
#include "metrics-render.h"

static void render_memory(struct ma_metrics_text *text, const struct ma_view *view) {
    const struct ma_host *host = &view->snapshot.host;
    ma_metrics_single(text, "memarb_host_memory_bytes", "bytes",
                      "Memory of the host (of its budget where it has one).", host->total_bytes);
    ma_metrics_single(text, "memarb_host_memory_available_bytes", "bytes",
                      "Memory that could be used without reclaim hurting.", host->available_bytes);
    ma_metrics_single(text, "memarb_reserve_bytes", "bytes", "Available memory that plans restore.",
                      view->plan.settings.reserve_bytes);
    if ((host->has & MA_HOST_HAS_SWAP) != 0) {
        ma_metrics_single(text, "memarb_host_swap_bytes", "bytes", "Swap of the host.",
                          host->swap_total_bytes);
        ma_metrics_single(text, "memarb_host_swap_free_bytes", "bytes", "Free swap of the host.",
                          host->swap_free_bytes);
    }
    if ((host->has & MA_HOST_HAS_COMMITTED) != 0) {
        ma_metrics_single(text, "memarb_host_committed_bytes", "bytes",
                          "Committed_AS of the kernel.", host->committed_bytes);
    }
    if ((host->has & MA_HOST_HAS_COMMIT_LIMIT) != 0) {
        ma_metrics_single(text, "memarb_host_commit_limit_bytes", "bytes",
                          "CommitLimit of the kernel.", host->commit_limit_bytes);
    }
}

static void render_watermarks(struct ma_metrics_text *text, const struct ma_settings *settings) {
    static const struct ma_metric_family family = {"memarb_watermark_bytes", "bytes",
                                                   MA_METRIC_GAUGE,
                                                   "Available memory below which a state begins."};
    const struct {
        const char *state;
        uint64_t bytes;
    } marks[] = {{"soft", settings->soft_watermark_bytes},
                 {"hard", settings->hard_watermark_bytes},
                 {"critical", settings->critical_watermark_bytes}};
    ma_metrics_family(text, &family);
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        const struct ma_metric_label label = {"state", marks[i].state};
        ma_metrics_number(text, &family, &label, 1, marks[i].bytes);
    }
}

/* Deadline rows are the planner's own affair: the resource stands in the row without one. */
static bool is_resource(const struct ma_plan *plan, size_t row) {
    return plan->rows[row].within_ms == 0;
}

static void render_resources(struct ma_metrics_text *text, const struct ma_view *view) {
    static const struct ma_metric_family state = {
        "memarb_pressure_state", "", MA_METRIC_GAUGE,
        "State of a resource: 0 normal, 1 soft, 2 hard, 3 critical."};
    static const struct ma_metric_family missing = {
        "memarb_missing_bytes", "bytes", MA_METRIC_GAUGE,
        "What is missing of a resource, projected over the time that an action needs, margin "
        "included."};
    static const struct ma_metric_family uncovered = {"memarb_uncovered_bytes", "bytes",
                                                      MA_METRIC_GAUGE,
                                                      "What of it no eligible action covers."};
    static const struct ma_metric_family left = {"memarb_time_left_seconds", "seconds",
                                                 MA_METRIC_GAUGE,
                                                 "Time until a resource is exhausted at its "
                                                 "present slope; absent where it does not shrink."};
    const struct ma_metric_family *families[] = {&state, &missing, &uncovered, &left};
    const struct ma_plan *plan = &view->plan;
    for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
        ma_metrics_family(text, families[f]);
        for (size_t i = 0; i < plan->n_rows; i++) {
            char key[MA_ROW_KEY_MAX];
            const struct ma_metric_label label = {"resource", ma_row_key(key, &plan->rows[i])};
            int64_t mib = families[f] == &missing ? plan->deficits.mib[i] : plan->uncovered.mib[i];
            if (!is_resource(plan, i)) {
                continue;
            }
            if (families[f] == &state) {
                ma_metrics_number(text, &state, &label, 1, (uint64_t) plan->row_pressure[i]);
            } else if (families[f] == &left) {
                if (view->time_left_usec[i] != MA_USEC_INFINITY) {
                    ma_metrics_usec(text, &left, &label, 1, view->time_left_usec[i]);
                }
            } else {
                ma_metrics_number(text, families[f], &label, 1,
                                  mib > 0 ? ma_mul_sat((uint64_t) mib, MA_MIB) : 0);
            }
        }
    }
}

static void render_psi(struct ma_metrics_text *text, const struct ma_psi *psi) {
    static const struct ma_metric_family ratio = {
        "memarb_host_memory_stall_ratio", "ratio", MA_METRIC_GAUGE,
        "Share of the last 10 s in which some or all tasks waited for memory (PSI avg10)."};
    static const struct ma_metric_family total = {
        "memarb_host_memory_stall_seconds_total", "seconds", MA_METRIC_COUNTER,
        "Time in which some or all tasks waited for memory (PSI total)."};
    const struct ma_metric_label some = {"kind", "some"};
    const struct ma_metric_label full = {"kind", "full"};
    ma_metrics_family(text, &ratio);
    if ((psi->has & MA_PSI_HAS_SOME_AVG10) != 0) {
        ma_metrics_permyriad(text, &ratio, &some, 1, psi->some_avg10_permyriad);
    }
    if ((psi->has & MA_PSI_HAS_FULL_AVG10) != 0) {
        ma_metrics_permyriad(text, &ratio, &full, 1, psi->full_avg10_permyriad);
    }
    ma_metrics_family(text, &total);
    if ((psi->has & MA_PSI_HAS_SOME_TOTAL) != 0) {
        ma_metrics_usec(text, &total, &some, 1, psi->some_total_usec);
    }
    if ((psi->has & MA_PSI_HAS_FULL_TOTAL) != 0) {
        ma_metrics_usec(text, &total, &full, 1, psi->full_total_usec);
    }
}

struct node_metric {
    struct ma_metric_family family;
    uint32_t needs; /* of ma_node.has; 0: always there */
    size_t offset;  /* of a uint64_t in struct ma_node */
};

static void render_nodes(struct ma_metrics_text *text, const struct ma_host *host) {
    static const struct node_metric metrics[] = {
        {{"memarb_node_memory_bytes", "bytes", MA_METRIC_GAUGE, "Memory of a NUMA node."},
         0,
         offsetof(struct ma_node, total_bytes)},
        {{"memarb_node_memory_available_bytes", "bytes", MA_METRIC_GAUGE,
          "Available memory of a NUMA node."},
         0,
         offsetof(struct ma_node, available_bytes)},
        {{"memarb_node_hugepages_bytes", "bytes", MA_METRIC_GAUGE,
          "Huge pages of a NUMA node, all sizes."},
         MA_NODE_HAS_HUGEPAGES,
         offsetof(struct ma_node, hugepage_total_bytes)},
        {{"memarb_node_hugepages_free_bytes", "bytes", MA_METRIC_GAUGE,
          "Free huge pages of a NUMA node, all sizes."},
         MA_NODE_HAS_HUGEPAGES,
         offsetof(struct ma_node, hugepage_free_bytes)},
    };
    for (size_t m = 0; m < sizeof(metrics) / sizeof(metrics[0]); m++) {
        ma_metrics_family(text, &metrics[m].family);
        for (size_t i = 0; i < host->n_nodes; i++) {
            const struct ma_node *node = &host->nodes[i];
            char id[8];
            const struct ma_metric_label label = {"node", id};
            (void) snprintf(id, sizeof(id), "%u", node->id);
            if ((node->has & metrics[m].needs) == metrics[m].needs) {
                const char *at = (const char *) node + metrics[m].offset;
                ma_metrics_number(text, &metrics[m].family, &label, 1,
                                  *(const uint64_t *) (const void *) at);
            }
        }
    }
}

void ma_metrics_render_host(struct ma_metrics_text *text, const struct ma_view *view) {
    render_memory(text, view);
    render_watermarks(text, &view->plan.settings);
    render_resources(text, view);
    render_psi(text, &view->snapshot.host.pressure);
    render_nodes(text, &view->snapshot.host);
}
