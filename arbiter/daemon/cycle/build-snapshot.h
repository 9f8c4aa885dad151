/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* build-snapshot.h - the guest table as a snapshot: bounded, validated, figures that are not known left out. */

#include "guests.h"
#include "snapshot.h"
#include "state.h"

struct ma_snapshot_builder {
    struct ma_guest *guests; /* max */
    size_t max;
    /* guests left out of the last snapshot: their figures contradict themselves */
    size_t n_suspect;
    uint64_t stale_usec;            /* StaleAfter=: an agent's word that is older counts as none */
    uint64_t shutdown_timeout_usec; /* ShutdownTimeout=, for guests that say none themselves */
};
int ma_snapshot_builder_init(struct ma_snapshot_builder *builder, size_t max);
void ma_snapshot_builder_fini(struct ma_snapshot_builder *builder);
/* Fills *ret, which borrows from builder, guests and host until the next build. Allocates nothing. */
void ma_snapshot_build(struct ma_snapshot_builder *builder,
                       const struct ma_guests *guests,
                       const struct ma_host *host,
                       const struct ma_state *state,
                       uint64_t now_usec,
                       struct ma_snapshot *ret);
