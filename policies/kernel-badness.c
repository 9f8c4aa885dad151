/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kernel-badness.c - the kernel's badness score applied to guests. kernel-badness.md has the rules, their source and
 * what our figures force to be different.
 *
 *   points = resident + swap + page tables + adj x totalpages / 1000      in pages, adj -1000: never
 *
 * One victim, the highest score, when memarb's own last stage would take one; the next when that one's memory is
 * back. Between equals the later one in the list, as select_bad_process() does. */
#include "bytes.h"
#include "reference.h"

#define PAGE_BYTES UINT64_C(4096)
/* A page table of 4 KiB maps 512 pages. */
#define PAGES_PER_TABLE 512U
#define ADJ_MIN         (-1000)
#define ADJ_MAX         1000

static int64_t adj_of(const struct ma_guest *guest) {
    switch (guest->config.impact_class) {
    case MA_IMPACT_NEVER:
        return ADJ_MIN;
    case MA_IMPACT_FIRST:
        return ADJ_MAX;
    case MA_IMPACT_WEIGHT:
        break;
    }
    return 0; /* the kernel knows no weights in between but those that somebody wrote */
}

static int64_t badness(const struct ma_snapshot *snapshot, const struct ma_guest *guest) {
    const struct ma_host *host = &snapshot->host;
    uint64_t pages = (guest->resident_bytes + guest->swap_bytes) / PAGE_BYTES;
    uint64_t total = (host->total_bytes + host->swap_total_bytes) / PAGE_BYTES;

    pages += pages / PAGES_PER_TABLE;
    return (int64_t) pages + adj_of(guest) * ((int64_t) total / 1000);
}

static bool is_bound_to(const struct ma_guest *guest, uint16_t node) {
    if (guest->placement != MA_PLACEMENT_STRICT) {
        return false;
    }
    for (size_t k = 0; k < guest->n_nodes; k++) {
        if (guest->nodes[k].id == node && guest->nodes[k].resident_bytes > 0) {
            return true;
        }
    }
    return false;
}

/* The short row that the killer would be called for: the host first, else a node. NULL: none. */
static const struct ma_row *short_row(const struct ma_study *study) {
    const struct ma_plan *plan = study->plan;

    for (size_t d = 0; d < plan->n_rows; d++) {
        bool is_memory = plan->rows[d].kind == MA_ROW_RAM || plan->rows[d].kind == MA_ROW_NODE;

        if (is_memory && plan->row_pressure[d] == MA_PRESSURE_CRITICAL &&
            study->need.demand_mib[d] > 0) {
            return &plan->rows[d];
        }
    }
    return NULL;
}

static int propose(const struct ma_policy_input *input, struct ma_plan *plan) {
    struct ma_study study;
    const struct ma_row *row;
    int64_t most = INT64_MIN;
    uint32_t chosen = MA_NO_GROUP;
    int r = reference_begin(&study, input, plan);

    row = r == 0 ? short_row(&study) : NULL;
    if (row == NULL || input->state->pending.is_pending) {
        return r;
    }
    for (uint32_t i = 0; i < input->snapshot->n_guests; i++) {
        const struct ma_guest *guest = &input->snapshot->guests[i];
        int64_t points = badness(input->snapshot, guest);
        bool is_meant = row->kind == MA_ROW_RAM || is_bound_to(guest, row->node);

        if (is_meant && adj_of(guest) != ADJ_MIN && guest->state != MA_GUEST_CRASHED &&
            points >= most) {
            most = points;
            chosen = i;
        }
    }
    if (chosen != MA_NO_GROUP) {
        reference_add_kill(&study, chosen);
    }
    return 0;
}

const struct ma_policy ma_policy_kernel_badness = {
    .name = "kernel-badness",
    .summary = "kills the guest with the highest badness score of Linux' OOM killer",
    .source = "Linux 6.1 mm/oom_kill.c oom_badness(), select_bad_process()",
    .is_reference = true,
    .propose = propose,
};
