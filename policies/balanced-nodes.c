/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* balanced-nodes.c - limits of the division by NUMA node.
 *
 * A node that is short, and that binds a guest, is a limit beside the host's: what guests together have on it must leave
 * it above its soft watermark. A balloon cannot choose the node, so a guest's memory counts there by the share that it
 * has there now. A guest whose placement is not known counts nowhere. */
#include "balanced.h"
#include "bytes.h"

/* As balanced-divide.c looks ahead and keeps beside. */
#define LOOK_AHEAD_USEC  (UINT64_C(10) * MA_USEC_PER_SEC)
#define HEADROOM_DIVISOR 8

static bool is_limited(const struct ma_study *study, size_t d) {
    return study->plan->rows[d].kind == MA_ROW_NODE && study->need.resources[d].counts &&
           study->plan->row_pressure[d] > MA_PRESSURE_NORMAL;
}

static uint64_t keep_bytes(const struct ma_resource *node) {
    uint64_t keep = node->soft_bytes + node->soft_bytes / HEADROOM_DIVISOR;

    if (node->has_slope && node->slope_bytes_per_s < 0) {
        keep = ma_add_sat(keep, ma_muldiv_sat((uint64_t) 0 - (uint64_t) node->slope_bytes_per_s,
                                              LOOK_AHEAD_USEC, MA_USEC_PER_SEC));
    }
    return keep;
}

/* What the balloons of these guests may have on the node: what they have there, and what is free above what is kept. */
static uint64_t
node_budget(const struct ma_study *study, const struct balanced_items *items, size_t d, size_t k) {
    const struct ma_resource *node = &study->need.resources[d];
    const struct ma_row *row = &study->plan->rows[d];
    uint64_t have = node->available_bytes;
    uint64_t keep = keep_bytes(node);

    for (size_t i = 0; i < items->n_items; i++) {
        const struct ma_facts *facts = &study->facts[items->guests[i]];

        have += ma_permyriad_of(balanced_base_bytes(facts), items->items[i].node_permyriad[k]);
    }
    for (size_t i = 0; i < study->input->snapshot->n_guests; i++) {
        const struct ma_facts *facts = &study->facts[i];

        if (facts->in_flight_bytes > 0 || facts->owed_bytes > 0) {
            have += ma_need_share(facts->guest, row, facts->in_flight_bytes);
            keep += ma_need_share(facts->guest, row, facts->owed_bytes);
        }
    }
    return ma_sub_floor0(have, keep);
}

size_t balanced_limit_nodes(struct ma_study *study,
                            struct balanced_items *items,
                            uint64_t budgets[MA_ROWS_MAX]) {
    size_t rows[MA_ROWS_MAX];
    size_t n = 0;
    uint32_t *shares;

    for (size_t d = 0; d < study->plan->n_rows; d++) {
        if (is_limited(study, d)) {
            rows[n++] = d;
        }
    }
    shares = n == 0 ? NULL : ma_arena_take(&study->arena, items->n_items * n, sizeof(*shares));
    if (shares == NULL) {
        return 0;
    }
    for (size_t i = 0; i < items->n_items; i++) {
        const struct ma_guest *guest = study->facts[items->guests[i]].guest;

        items->items[i].node_permyriad = shares + i * n;
        for (size_t k = 0; k < n; k++) {
            shares[i * n + k] =
                guest->resident_bytes == 0
                    ? 0
                    : (uint32_t) ma_muldiv_sat(
                          ma_need_share(guest, &study->plan->rows[rows[k]], guest->resident_bytes),
                          MA_PERMYRIAD_FULL, guest->resident_bytes);
        }
    }
    for (size_t k = 0; k < n; k++) {
        budgets[k] = node_budget(study, items, rows[k], k);
    }
    return n;
}
