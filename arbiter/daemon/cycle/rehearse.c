/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rehearse.h"

#include <string.h>

/* One row is decided by another program than several (core/cover/cover.c): both are played, the several with as many nodes as
 * a plan has rows for. */
#define NODES_PLAYED MA_ROWS_MAX

static size_t count_known(const struct ma_snapshot *snapshot) {
    size_t known = 0;

    for (size_t i = 0; i < snapshot->n_guests; i++) {
        const struct ma_guest *guest = &snapshot->guests[i];

        known += 1U + ((guest->has & MA_GUEST_HAS_RESIDENT) != 0) +
                 ((guest->stats.has & MA_STATS_HAS_AVAILABLE) != 0);
    }
    return known;
}

static void play(const struct ma_snapshot *shortage, const struct ma_rehearsal_stage *stage) {
    struct ma_decide_options options = {.is_single_snapshot = true, .is_dry_run = true};

    if (ma_state_copy(stage->copy, stage->state) == 0) {
        (void) ma_decide(shortage, stage->policy, &options, stage->copy, stage->scratch,
                         stage->plan);
        ma_plan_reset(stage->plan);
    }
}

static void play_nodes(struct ma_snapshot *shortage, const struct ma_rehearsal_stage *stage) {
    struct ma_node nodes[NODES_PLAYED];
    size_t n = shortage->host.n_nodes < NODES_PLAYED ? shortage->host.n_nodes : NODES_PLAYED;

    memcpy(nodes, shortage->host.nodes, n * sizeof(nodes[0]));
    for (size_t k = 0; k < n; k++) {
        nodes[k].available_bytes = 0;
    }
    shortage->host.nodes = nodes;
    shortage->host.n_nodes = n;
    play(shortage, stage);
}

bool ma_rehearse(struct ma_rehearsal *rehearsal,
                 const struct ma_snapshot *snapshot,
                 const struct ma_rehearsal_stage *stage) {
    bool is_short = snapshot->host.available_bytes < snapshot->settings.soft_watermark_bytes;
    size_t known = count_known(snapshot);
    struct ma_snapshot shortage = *snapshot;

    if (is_short || known <= rehearsal->known) {
        return false;
    }
    rehearsal->known = known;
    shortage.host.available_bytes = 0;
    play(&shortage, stage);
    if (snapshot->host.n_nodes > 1) {
        play_nodes(&shortage, stage);
    }
    return true;
}
